/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * command_feed.c: see command_feed.h.
 *
 * Nothing that comes is trusted: records have one size, each field that is not the client's to fill must be zero, and
 * whatever does not fit ends the connection with one line on stderr.
 */
#define _GNU_SOURCE
#include "command_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "ouch50.h"
#include "unix_socket.h"

enum {
    CLIENTS = 16,
    HELLO_SIZE = 32,
    FEED_VERSION = 1,
    INPUT_RECORDS = 64,
    SCAN_EVENTS = 4096, /* for one client in one turn */
    OPAQUE_SIZE = 14,   /* of client_data: what OUCH calls ClOrdID; the rest is the order-entry gateway's, but for … */
    SIDE_MARK = 14,     /* … the mark of a sale (ouch50.h) */
};

#define SHARD_ANY UINT32_MAX
#define ONLY_NEW UINT32_MAX

/* Of the answer. */
enum feed_status {
    FEED_OK = 0,
    FEED_PROTOCOL = 1,        /* not this protocol or version, or a flag that is not known */
    FEED_SHARD = 2,           /* another shard */
    FEED_RULES = 3,           /* the journal goes by rules 1 */
    FEED_SESSION_UNKNOWN = 4,
    FEED_SESSION_IN_USE = 5,
    FEED_SEQUENCE = 6,        /* a report that was never sent, or of a history that is lost (event_log.h) */
};

/* Little-endian, as they lie in memory. */
struct hello {
    char magic[8];
    uint32_t version, shard;
    char username[IB_USERNAME_SIZE]; /* padded with spaces */
    uint16_t flags;
    uint32_t after; /* number of the last report that it has; ONLY_NEW: none of before */
    uint32_t reserved;
};

struct answer {
    char magic[8];
    uint32_t version, status, shard, next_user_ref, session_seq;
    uint16_t session, event_size;
};

_Static_assert(sizeof(struct hello) == HELLO_SIZE && sizeof(struct answer) == HELLO_SIZE, "command stream layout");
_Static_assert(offsetof(struct hello, username) == 16 && offsetof(struct hello, after) == 24, "command stream layout");
_Static_assert(offsetof(struct answer, session) == 28, "command stream layout");

struct client {
    struct ib_unix_peer peer;
    struct ib_command_feed *feed;
    uint8_t input[INPUT_RECORDS * sizeof(struct ib_command)];
    size_t input_size;
    uint16_t session;   /* IB_SESSION_NONE until its hello is answered */
    bool waits;         /* the first record of the input has no room yet, or is a question to be answered later */
    bool asked;         /* … a question */
    uint64_t asked_seq; /* which is answered once this command is released */
    uint32_t next;      /* number of its next report */
    uint64_t cursor;    /* where it is looked for in the event log */
    uint8_t output[sizeof(struct ib_event)];
    size_t output_begin, output_end;
};

struct ib_command_feed {
    struct ib_io_loop *loop;
    struct ib_gateway *gateway;
    const struct ib_sequencer *sequencer;
    const struct ib_event_log *log;
    struct ib_command_feed_config config;
    struct ib_unix_listener listener;
    bool busy;
    struct client clients[CLIENTS];
};

static const char magic[8] = {'I', 'B', 'C', 'O', 'M', 'N', 'D', '1'};

static void drop(struct client *client, const char *why)
{
    IB_ASSERT(client->peer.handler.fd >= 0);
    if (why != NULL) {
        fprintf(stderr, "ironbook: commands.sock: disconnected: %s\n", why);
    }
    ib_io_drop(&client->peer.handler);
    if (client->session != IB_SESSION_NONE) {
        ib_gateway_leave_session(client->feed->gateway, client->session);
        client->session = IB_SESSION_NONE;
    }
    IB_ASSERT(client->peer.handler.fd < 0);
}

/* Sends what stands in the output. True when all of it has left. */
static bool flush(struct client *client)
{
    IB_ASSERT(client->output_begin <= client->output_end && client->output_end <= sizeof client->output);
    IB_ASSERT(client->peer.handler.fd >= 0);
    while (client->output_begin < client->output_end) {
        ssize_t sent = send(client->peer.handler.fd, client->output + client->output_begin,
                            client->output_end - client->output_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            drop(client, NULL);
            return false;
        }
        if (sent < 0) {
            return false;
        }
        client->output_begin += (size_t)sent;
    }
    return true;
}

static void put(struct client *client, const void *record, size_t size)
{
    IB_ASSERT(client->output_begin == client->output_end && size <= sizeof client->output);
    IB_ASSERT(record != NULL);
    memcpy(client->output, record, size);
    client->output_begin = 0;
    client->output_end = size;
}

/* Sends released reports, as far as the socket takes them. */
static void send_reports(struct client *client)
{
    struct ib_command_feed *feed = client->feed;
    enum ib_history_state there = ib_event_log_resume(feed->log, client->session, client->next, &client->cursor);
    if (there == IB_HISTORY_LOST) {
        drop(client, "its reports are of before the engine's snapshot, and the journal of then is not there");
    }
    if (there != IB_HISTORY_COMPLETE) {
        return;
    }
    uint64_t released = ib_event_log_released(feed->log);
    uint64_t end = released - client->cursor > SCAN_EVENTS ? client->cursor + SCAN_EVENTS : released;
    IB_ASSERT(client->session != IB_SESSION_NONE);
    IB_ASSERT(client->cursor <= released);
    while (flush(client) && client->cursor < end) {
        const struct ib_event *event = ib_event_log_at(feed->log, client->cursor++);
        if (event->session == client->session && event->session_seq >= client->next) {
            IB_ASSERT(event->session_seq == client->next);
            client->next++;
            put(client, event, sizeof *event);
        }
    }
    if (client->peer.handler.fd >= 0 && client->output_begin == client->output_end && client->cursor < released) {
        feed->busy = true;
    }
}

/* A question is a command of type 0. Its answer comes behind the reports of everything that was sequenced before it. */
static void answer_question(struct client *client)
{
    struct ib_command_feed *feed = client->feed;
    struct ib_command question;
    IB_ASSERT(client->asked && client->input_size >= sizeof question);
    if (client->asked_seq > feed->sequencer->released_seq || client->cursor != ib_event_log_released(feed->log) ||
        client->output_begin < client->output_end) {
        return;
    }
    memcpy(&question, client->input, sizeof question);
    struct ib_event answer = {
        .seq = client->asked_seq,
        .session = client->session,
        .user_ref = ib_gateway_session(feed->gateway, client->session).next_user_ref,
        .instrument = ib_gateway_find_instrument(feed->gateway, (const char *)question.client_data),
    };
    put(client, &answer, sizeof answer);
    client->asked = client->waits = false;
    client->input_size -= sizeof question;
    memmove(client->input, client->input + sizeof question, client->input_size);
    flush(client);
}

/* What of a command is not its client's to say must be zero. */
static const char *fault(const struct ib_command *command)
{
    static const uint8_t zero[IB_CLIENT_DATA_SIZE];
    IB_ASSERT(command != NULL);
    _Static_assert(sizeof command->reserved <= sizeof zero, "compared with it");
    if (command->type != 0 && command->type != IB_COMMAND_ENTER && command->type != IB_COMMAND_REPLACE &&
        command->type != IB_COMMAND_CANCEL && command->type != IB_COMMAND_MASS_CANCEL &&
        command->type != IB_COMMAND_MODIFY) {
        return "a command that is not a client's";
    }
    if (command->seq != 0 || command->time_ns != 0 || command->session != 0 || command->account != 0 ||
        command->reason != 0 || command->value != 0 || command->phase != 0 || command->limit != 0 ||
        memcmp(command->reserved, zero, sizeof command->reserved) != 0) {
        return "a command with a field that is not its client's to fill";
    }
    uint8_t mark = command->client_data[SIDE_MARK];
    if (mark != 0 && !((command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_MODIFY) &&
                       command->side == IB_SIDE_SELL && ib_ouch_marks_sale(mark))) {
        return "a command with a side mark that it cannot have";
    }
    if (memcmp(command->client_data + SIDE_MARK + 1, zero, IB_CLIENT_DATA_SIZE - SIDE_MARK - 1) != 0 ||
        (command->type == IB_COMMAND_MODIFY && memcmp(command->client_data, zero, OPAQUE_SIZE) != 0)) {
        return "a command with more client data than it can have";
    }
    return NULL;
}

/* Serves one record. False when it must wait. */
static bool take_record(struct client *client, const struct ib_command *command)
{
    struct ib_command_feed *feed = client->feed;
    IB_ASSERT(client->session != IB_SESSION_NONE && !client->asked);
    const char *why = fault(command);
    if (why != NULL) {
        drop(client, why);
        return false;
    }
    if (command->type == 0) {
        client->asked = true;
        client->asked_seq = feed->sequencer->seq;
        return false;
    }
    IB_ASSERT(command->type >= IB_COMMAND_ENTER);
    if (command->type == IB_COMMAND_MODIFY && feed->config.rules < IB_RULES_3) {
        drop(client, "a MODIFY under rules 2: set rules to 3 in the engine's configuration and start it again");
        return false;
    }
    return ib_gateway_submit(feed->gateway, client->session, command);
}

static void take_records(struct client *client)
{
    size_t used = 0;
    IB_ASSERT(client->input_size <= sizeof client->input);
    client->waits = false;
    while (client->peer.handler.fd >= 0 && !client->waits && client->input_size - used >= sizeof(struct ib_command)) {
        struct ib_command command;
        memcpy(&command, client->input + used, sizeof command);
        client->waits = !take_record(client, &command);
        used += client->waits ? 0 : sizeof command;
    }
    if (client->peer.handler.fd < 0) {
        return;
    }
    IB_ASSERT(used <= client->input_size);
    client->input_size -= used;
    memmove(client->input, client->input + used, client->input_size);
}

static enum feed_status judge(struct ib_command_feed *feed, const struct hello *hello, uint16_t *session)
{
    *session = IB_SESSION_NONE;
    IB_ASSERT(feed->config.rules >= IB_RULES_1);
    if (memcmp(hello->magic, magic, sizeof magic) != 0 || hello->version != FEED_VERSION || hello->flags != 0 ||
        hello->reserved != 0) {
        return FEED_PROTOCOL;
    }
    if (hello->shard != feed->config.shard && hello->shard != SHARD_ANY) {
        return FEED_SHARD;
    }
    if (feed->config.rules < IB_RULES_2) {
        return FEED_RULES;
    }
    uint16_t found = ib_gateway_find_session(feed->gateway, hello->username);
    if (found == IB_SESSION_NONE) {
        return FEED_SESSION_UNKNOWN;
    }
    if (hello->after != ONLY_NEW && hello->after > ib_gateway_session(feed->gateway, found).session_seq) {
        return FEED_SEQUENCE;
    }
    uint64_t cursor = IB_EVENT_LOG_NOT_THERE;
    if (hello->after != ONLY_NEW &&
        ib_event_log_resume(feed->log, found, hello->after + 1, &cursor) == IB_HISTORY_LOST) {
        return FEED_SEQUENCE;
    }
    if (!ib_gateway_enter_session(feed->gateway, found)) {
        return FEED_SESSION_IN_USE;
    }
    *session = found;
    return FEED_OK;
}

static void greet(struct client *client)
{
    struct ib_command_feed *feed = client->feed;
    struct hello hello;
    struct answer answer = {.version = FEED_VERSION,
                            .shard = feed->config.shard,
                            .event_size = sizeof(struct ib_event)};
    IB_ASSERT(client->session == IB_SESSION_NONE && client->input_size >= sizeof hello);
    memcpy(&hello, client->input, sizeof hello);
    memcpy(answer.magic, magic, sizeof magic);
    answer.status = (uint32_t)judge(feed, &hello, &client->session);
    answer.session = client->session;
    client->peer.has_claim = answer.status == FEED_OK; /* it may wait for its reports as long as it likes */
    if (answer.status == FEED_OK) {
        struct ib_gateway_session_view view = ib_gateway_session(feed->gateway, client->session);
        answer.next_user_ref = view.next_user_ref;
        answer.session_seq = view.session_seq;
        client->next = (hello.after == ONLY_NEW ? view.session_seq : hello.after) + 1;
        client->cursor = ib_event_log_seek_session(feed->log, client->session, client->next);
    }
    client->input_size -= sizeof hello;
    memmove(client->input, client->input + sizeof hello, client->input_size);
    put(client, &answer, sizeof answer); /* into an empty socket buffer: it fits, or the client is gone */
    if (flush(client) && answer.status != FEED_OK) {
        drop(client, NULL);
    }
}

static void set_interest(struct client *client)
{
    bool room = client->input_size < sizeof client->input && !client->waits;
    bool more = client->output_begin < client->output_end;
    IB_ASSERT(client->peer.handler.fd >= 0);
    IB_ASSERT(!client->asked || client->waits); /* who has asked is not read from until it has its answer */
    ib_io_change(client->feed->loop, &client->peer.handler,
                 (room ? (uint32_t)EPOLLIN : 0u) | (more ? (uint32_t)EPOLLOUT : 0u));
}

static void serve(struct client *client)
{
    IB_ASSERT(client->peer.handler.fd >= 0);
    IB_ASSERT(client->session != IB_SESSION_NONE || !client->waits); /* before its hello nothing is served */
    if (client->session == IB_SESSION_NONE && client->input_size >= HELLO_SIZE) {
        greet(client);
    }
    if (client->peer.handler.fd >= 0 && client->session != IB_SESSION_NONE) {
        send_reports(client);
    }
    if (client->peer.handler.fd >= 0 && client->asked) {
        answer_question(client);
    }
    if (client->peer.handler.fd >= 0 && client->session != IB_SESSION_NONE && !client->asked) {
        take_records(client);
    }
    if (client->peer.handler.fd >= 0) {
        set_interest(client);
    }
}

static void client_ready(void *owner, uint32_t events)
{
    struct client *client = owner;
    IB_ASSERT(client->peer.handler.fd >= 0);
    IB_ASSERT(client->input_size <= sizeof client->input);
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        size_t room = sizeof client->input - client->input_size;
        ssize_t size =
            room == 0 ? -1 : recv(client->peer.handler.fd, client->input + client->input_size, room, MSG_DONTWAIT);
        if (room > 0 && (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))) {
            drop(client, NULL);
            return;
        }
        if (room == 0 && (events & (EPOLLERR | EPOLLHUP)) != 0) {
            drop(client, NULL); /* it is gone, and what it sent last has no room */
            return;
        }
        client->input_size += size > 0 ? (size_t)size : 0;
    }
    serve(client);
}

static void client_begins(void *owner)
{
    struct client *client = owner;
    IB_ASSERT(client->session == IB_SESSION_NONE);
    client->waits = client->asked = false;
    client->input_size = client->output_begin = client->output_end = 0;
}

int ib_command_feed_open(struct ib_command_feed **feed, const struct ib_command_feed_config *config,
                         struct ib_io_loop *loop, struct ib_gateway *gateway, const struct ib_sequencer *sequencer,
                         const struct ib_event_log *log, char *error)
{
    IB_ASSERT(feed != NULL && config != NULL && error != NULL);
    IB_ASSERT(loop != NULL && gateway != NULL && sequencer != NULL && log != NULL);
    *feed = NULL;
    struct ib_command_feed *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->loop = loop;
    self->gateway = gateway;
    self->sequencer = sequencer;
    self->log = log;
    self->config = *config;
    for (int i = 0; i < CLIENTS; i++) {
        self->clients[i].feed = self;
        self->clients[i].session = IB_SESSION_NONE;
    }
    self->listener = (struct ib_unix_listener){.loop = loop,
                                               .name = "commands.sock",
                                               .places = (char *)self->clients,
                                               .size = sizeof self->clients[0],
                                               .count = CLIENTS,
                                               .begin = client_begins};
    int status = ib_unix_open(&self->listener, config->run_directory, client_ready, error);
    if (status != IB_OK) {
        ib_command_feed_close(self);
        return status;
    }
    *feed = self;
    return IB_OK;
}

void ib_command_feed_close(struct ib_command_feed *feed)
{
    if (feed == NULL) {
        return;
    }
    ib_unix_close(&feed->listener);
    free(feed);
}

void ib_command_feed_progress(struct ib_command_feed *feed)
{
    IB_ASSERT(feed != NULL);
    IB_ASSERT(feed->listener.handler.fd >= 0);
    feed->busy = false;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &feed->clients[i];
        /* One whose socket is full is served when it takes data again. */
        if (client->peer.handler.fd >= 0 && client->session != IB_SESSION_NONE &&
            (client->peer.handler.interest & EPOLLOUT) == 0) {
            serve(client);
        }
    }
}

bool ib_command_feed_is_busy(const struct ib_command_feed *feed)
{
    _Static_assert(CLIENTS < 64, "a turn that looks at each of them is short");
    IB_ASSERT(feed != NULL);
    return feed->busy;
}
