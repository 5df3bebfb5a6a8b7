/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin.c: see admin.h.
 */
#define _GNU_SOURCE
#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "ironbook.h"
#include "unix_socket.h"

enum { CLIENTS = 8, LINE_SIZE = 512 };

static const char *const request_names[IB_ADMIN_REQUEST_COUNT] = {
    [IB_ADMIN_STATUS] = "status",
    [IB_ADMIN_TOTALS] = "totals",
    [IB_ADMIN_HALT] = "halt",
    [IB_ADMIN_RESUME] = "resume",
    [IB_ADMIN_END_OF_DAY] = "end_of_day",
    [IB_ADMIN_INSTRUMENTS] = "instruments",
    [IB_ADMIN_INSTRUMENT] = "instrument",
    [IB_ADMIN_SWITCH_OVER] = "switch_over",
    [IB_ADMIN_PHASE] = "phase",
    [IB_ADMIN_INSTRUMENT_ADD] = "instrument_add",
    [IB_ADMIN_INSTRUMENT_CHANGE] = "instrument_change",
    [IB_ADMIN_INSTRUMENT_REMOVE] = "instrument_remove",
    [IB_ADMIN_RISK_LIMIT] = "risk_limit",
    [IB_ADMIN_KILL] = "kill",
    [IB_ADMIN_REVIVE] = "revive",
    [IB_ADMIN_MASS_CANCEL] = "mass_cancel",
};

const char *ib_admin_request_name(enum ib_admin_request request)
{
    IB_ASSERT(request < IB_ADMIN_REQUEST_COUNT);
    IB_ASSERT(request_names[request] != NULL);
    return request_names[request];
}

struct client {
    struct ib_unix_peer peer;
    struct ib_admin *admin;
    char line[LINE_SIZE];
    size_t line_size;
    bool waiting; /* a request was begun and is not answered yet */
    enum ib_admin_request request;
    uint64_t ticket;
    char *output;
    size_t output_begin, output_end;
};

struct ib_admin {
    struct ib_io_loop *loop;
    struct ib_admin_hooks hooks;
    struct ib_unix_listener listener;
    char *outputs;
    struct client clients[CLIENTS];
};

static void flush(struct client *client)
{
    IB_ASSERT(client->peer.handler.fd >= 0);
    IB_ASSERT(client->output_begin <= client->output_end && client->output_end <= IB_ADMIN_ANSWER_SIZE);
    while (client->output_begin < client->output_end) {
        ssize_t sent = send(client->peer.handler.fd, client->output + client->output_begin,
                            client->output_end - client->output_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            ib_io_drop(&client->peer.handler);
            return;
        }
        if (sent < 0) {
            break;
        }
        client->output_begin += (size_t)sent;
        ib_unix_heard(&client->admin->listener, &client->peer);
    }
    bool more = client->output_begin < client->output_end;
    /* The next request is read when this one is answered: one at a time, nothing piles up. */
    ib_io_change(client->admin->loop, &client->peer.handler, more ? (uint32_t)EPOLLOUT : (uint32_t)EPOLLIN);
}

static void answer_error(struct client *client, const char *error)
{
    IB_ASSERT(error != NULL && !client->waiting);
    IB_ASSERT(client->output_begin == client->output_end); /* the answer before has left */
    client->output_begin = 0;
    int size = snprintf(client->output, IB_ADMIN_ANSWER_SIZE, "{\"error\": \"%s\"}\n", error);
    IB_ASSERT(size > 0 && size < IB_ADMIN_ANSWER_SIZE);
    client->output_end = (size_t)size;
    flush(client);
}

static void begin(struct client *client, char *line)
{
    size_t name_size = strcspn(line, " ");
    char *arguments = line + name_size + (line[name_size] == ' ');
    const struct ib_admin_hooks *hooks = &client->admin->hooks;
    const char *error = NULL;
    IB_ASSERT(!client->waiting);
    IB_ASSERT(client->peer.handler.fd >= 0);
    for (int i = 0; i < IB_ADMIN_REQUEST_COUNT; i++) {
        if (strlen(request_names[i]) == name_size && memcmp(line, request_names[i], name_size) == 0) {
            client->request = (enum ib_admin_request)i;
            if (!hooks->begin(hooks->context, client->request, arguments, &client->ticket, &error)) {
                answer_error(client, error);
                return;
            }
            client->waiting = client->peer.has_claim = true;
            ib_io_change(client->admin->loop, &client->peer.handler, 0);
            return;
        }
    }
    answer_error(client, "unknown request: ask status, totals, halt, resume, end_of_day, instruments, instrument, "
                         "switch_over, phase, instrument_add, instrument_change, instrument_remove, risk_limit, kill, "
                         "revive or mass_cancel");
}

/* Serves the lines of the buffer, one after the other: the next one when the one before is answered. */
static void take_lines(struct client *client)
{
    IB_ASSERT(client->line_size <= LINE_SIZE);
    while (client->peer.handler.fd >= 0 && !client->waiting && client->output_begin == client->output_end) {
        const char *end = memchr(client->line, '\n', client->line_size);
        if (end == NULL) {
            if (client->line_size == LINE_SIZE) {
                ib_io_drop(&client->peer.handler); /* no request is that long */
            }
            return;
        }
        char line[LINE_SIZE];
        size_t size = (size_t)(end - client->line);
        IB_ASSERT(size < client->line_size);
        memcpy(line, client->line, size);
        line[size] = '\0';
        client->line_size -= size + 1;
        memmove(client->line, end + 1, client->line_size);
        begin(client, line);
    }
}

static void client_ready(void *owner, uint32_t events)
{
    struct client *client = owner;
    IB_ASSERT(client->peer.handler.fd >= 0);
    if ((events & EPOLLOUT) != 0) {
        flush(client);
    }
    if (client->peer.handler.fd >= 0 && (events & EPOLLIN) != 0 && client->line_size < LINE_SIZE) {
        ssize_t size = recv(client->peer.handler.fd, client->line + client->line_size, LINE_SIZE - client->line_size,
                            MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
            ib_io_drop(&client->peer.handler);
        } else if (size > 0) {
            client->line_size += (size_t)size;
            ib_unix_heard(&client->admin->listener, &client->peer);
        }
    } else if (client->peer.handler.fd >= 0 && (events & (EPOLLERR | EPOLLHUP)) != 0) {
        ib_io_drop(&client->peer.handler);
    }
    take_lines(client);
}

static void client_begins(void *owner)
{
    struct client *client = owner;
    IB_ASSERT(client->output != NULL);
    client->waiting = false;
    client->line_size = client->output_begin = client->output_end = 0;
}

int ib_admin_open(struct ib_admin **admin, const char *run_directory, struct ib_io_loop *loop,
                  struct ib_admin_hooks hooks, char *error)
{
    IB_ASSERT(admin != NULL && loop != NULL);
    IB_ASSERT(run_directory != NULL && error != NULL);
    IB_ASSERT(hooks.begin != NULL && hooks.ready != NULL && hooks.answer != NULL);
    *admin = NULL;
    struct ib_admin *self = calloc(1, sizeof *self);
    char *outputs = malloc((size_t)CLIENTS * IB_ADMIN_ANSWER_SIZE);
    if (self == NULL || outputs == NULL) {
        free(self);
        free(outputs);
        return IB_ERROR_MEMORY;
    }
    self->loop = loop;
    self->hooks = hooks;
    self->outputs = outputs;
    for (int i = 0; i < CLIENTS; i++) {
        self->clients[i].admin = self;
        self->clients[i].output = self->outputs + (size_t)i * IB_ADMIN_ANSWER_SIZE;
    }
    self->listener = (struct ib_unix_listener){.loop = loop,
                                               .name = "admin.sock",
                                               .places = (char *)self->clients,
                                               .size = sizeof self->clients[0],
                                               .count = CLIENTS,
                                               .begin = client_begins};
    int status = ib_unix_open(&self->listener, run_directory, client_ready, error);
    if (status != IB_OK) {
        ib_admin_close(self);
        return status;
    }
    *admin = self;
    return IB_OK;
}

void ib_admin_close(struct ib_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    ib_unix_close(&admin->listener);
    free(admin->outputs);
    free(admin);
}

void ib_admin_progress(struct ib_admin *admin)
{
    IB_ASSERT(admin != NULL);
    const struct ib_admin_hooks *hooks = &admin->hooks;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &admin->clients[i];
        if (client->peer.handler.fd < 0 || !client->waiting ||
            !hooks->ready(hooks->context, client->request, client->ticket)) {
            continue;
        }
        IB_ASSERT(client->output_begin == client->output_end); /* one answer at a time */
        size_t size = hooks->answer(hooks->context, client->request, client->ticket, client->output);
        IB_ASSERT(size < IB_ADMIN_ANSWER_SIZE);
        client->output[size] = '\n';
        client->output_begin = 0;
        client->output_end = size + 1;
        client->waiting = client->peer.has_claim = false;
        flush(client);
        take_lines(client); /* the next one may be here already */
    }
}
