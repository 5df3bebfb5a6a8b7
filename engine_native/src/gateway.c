/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway.c: see gateway.h. The sessions, the places for connections, and who gets one.
 */
#define _GNU_SOURCE
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "gateway_internal.h"
#include "listen.h"
#include "memory.h"

static struct ib_connection *free_place(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway->used <= gateway->config.connections);
    for (uint32_t i = 0; i < gateway->config.connections; i++) {
        if (gateway->connections[i].state == IB_CONNECTION_FREE) {
            IB_ASSERT(gateway->connections[i].handler.fd < 0);
            gateway->used = gateway->used > i ? gateway->used : i + 1;
            return &gateway->connections[i];
        }
    }
    return NULL;
}

/* How little a connection without login would lose: one that was refused and told so; one that waits because others
 * like it gave wrong passwords; one that has said nothing yet. Zero: it stays. */
static int strangeness(const struct ib_connection *connection)
{
    IB_ASSERT(connection->state != IB_CONNECTION_FREE);
    if (connection->next_seq != 0) {
        return 0; /* it has logged in */
    }
    switch (connection->state) {
    case IB_CONNECTION_CLOSING:
        return 3;
    case IB_CONNECTION_HELD:
        return 2;
    case IB_CONNECTION_LOGIN:
        return 1;
    default:
        return 0;
    }
}

/* All places taken: the strangest that has waited longest makes room, so that those who need no password to connect
 * cannot keep members out. Null when everybody has logged in. */
static struct ib_connection *evict_stranger(struct ib_gateway *gateway)
{
    struct ib_connection *oldest = NULL;
    IB_ASSERT(gateway->used == gateway->config.connections);
    for (uint32_t i = 0; i < gateway->config.connections; i++) {
        struct ib_connection *connection = &gateway->connections[i];
        int more = strangeness(connection) - (oldest == NULL ? 0 : strangeness(oldest));
        if (more > 0 || (more == 0 && oldest != NULL && connection->opened_ms < oldest->opened_ms)) {
            oldest = connection;
        }
    }
    if (oldest == NULL) {
        return NULL;
    }
    ib_connection_close(oldest, IB_DISCONNECT_CONNECTIONS_FULL);
    struct ib_connection *place = free_place(gateway);
    IB_ASSERT(place == oldest);
    return place;
}

static void listener_ready(void *owner, uint32_t events)
{
    struct ib_gateway *gateway = owner;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    IB_ASSERT(gateway->listener.fd >= 0);
    (void)events;
    int fd = accept4(gateway->listener.fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            ib_io_change(gateway->loop, &gateway->listener, 0); /* the tick listens again; else this would spin */
        }
        return;
    }
    struct ib_connection *connection = free_place(gateway);
    if (connection == NULL) {
        connection = evict_stranger(gateway);
    }
    if (connection == NULL) {
        gateway->disconnects[IB_DISCONNECT_CONNECTIONS_FULL]++;
        close(fd);
        return;
    }
    ib_connection_begin(connection, fd, (const struct sockaddr *)&address, size);
}

/* Those whose turn has come. Whoever was served last comes last: none of them can be passed over for ever. */
static void retry_logins(struct ib_gateway *gateway)
{
    uint32_t first = gateway->retry_place;
    IB_ASSERT(gateway->used <= gateway->config.connections);
    for (uint32_t i = 0; i < gateway->used; i++) {
        uint32_t place = (first + i) % gateway->used;
        struct ib_connection *connection = &gateway->connections[place];
        if (connection->state == IB_CONNECTION_HELD) {
            ib_input_retry_login(connection);
            if (connection->state != IB_CONNECTION_HELD) {
                gateway->retry_place = place + 1;
            }
        }
    }
}

static void answers_ready(void *owner, uint32_t events)
{
    struct ib_gateway *gateway = owner;
    struct ib_authentication answer;
    (void)events;
    while (ib_authenticator_next(gateway->authenticator, &answer)) {
        uint32_t place = answer.ticket & ((1u << IB_TICKET_PLACE_BITS) - 1);
        IB_ASSERT(place < gateway->used); /* who waits for an answer keeps its place */
        struct ib_connection *connection = &gateway->connections[place];
        IB_ASSERT(connection->state == IB_CONNECTION_CHECKING);
        IB_ASSERT(connection->generation << IB_TICKET_PLACE_BITS >> IB_TICKET_PLACE_BITS ==
                  answer.ticket >> IB_TICKET_PLACE_BITS);
        ib_peer_answered(gateway, &connection->peer_key, answer.granted);
        if (connection->handler.fd < 0) {
            ib_connection_close(connection, IB_DISCONNECT_PEER);
        } else {
            ib_input_login_checked(connection, answer.granted);
        }
    }
    retry_logins(gateway);
}

static void cancel_orphans(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway->session_count <= IB_SESSIONS_MAX);
    IB_ASSERT(gateway->cancels_due <= gateway->session_count);
    for (uint16_t i = 0; i < gateway->session_count && gateway->cancels_due > 0; i++) {
        if (!ib_session_cancel(gateway, i)) {
            return;
        }
    }
    IB_ASSERT(gateway->cancels_due == 0);
}

void ib_gateway_progress(struct ib_gateway *gateway, uint64_t released)
{
    IB_ASSERT(gateway != NULL);
    IB_ASSERT(gateway->used <= gateway->config.connections);
    gateway->busy = gateway->waiting = false;
    ib_stream_dispatch(gateway, released);
    IB_ASSERT(gateway->dispatched == released);
    if (gateway->cancels_due > 0) {
        cancel_orphans(gateway);
    }
    for (uint32_t i = 0; i < gateway->used; i++) {
        struct ib_connection *connection = &gateway->connections[i];
        if (connection->state == IB_CONNECTION_OPEN && !connection->live &&
            connection->output_begin == connection->output_end) {
            ib_stream_catch_up(connection);
        }
        if (connection->state == IB_CONNECTION_OPEN && (connection->queries > 0 || connection->answer_seq > 0)) {
            ib_stream_answer_queries(connection);
        }
        if (connection->state == IB_CONNECTION_OPEN && connection->blocked) {
            ib_input_process(connection);
        }
        if (connection->dirty) {
            ib_output_flush(connection);
        }
    }
}

void ib_gateway_tick(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    IB_ASSERT(gateway->used <= gateway->config.connections);
    for (uint32_t i = 0; i < gateway->used; i++) {
        ib_connection_tick(&gateway->connections[i]);
    }
    retry_logins(gateway);
    if (gateway->listener.fd >= 0) {
        ib_io_change(gateway->loop, &gateway->listener, EPOLLIN);
    }
}

_Static_assert(IB_SOUP_SESSION_SIZE == 8 + 2, "date and shard fill the name of a session");

/* Pure function of the journal, so that it outlasts restarts: the day of its first command, and the shard. */
static void name_session(struct ib_gateway *gateway)
{
    time_t seconds = (time_t)(gateway->config.journal_time_ns / 1000000000u);
    struct tm day;
    gmtime_r(&seconds, &day);
    size_t size = strftime(gateway->session_name, sizeof gateway->session_name, "%Y%m%d", &day);
    IB_ASSERT(size == 8); /* 64 bits of nanoseconds end in the year 2554 */
    IB_ASSERT(gateway->config.shard < 100);
    gateway->session_name[size] = (char)('0' + gateway->config.shard / 10);
    gateway->session_name[size + 1] = (char)('0' + gateway->config.shard % 10);
    gateway->session_name[size + 2] = '\0';
}

/* The sessions of the journal, whether or not the configuration lets them log in. */
static void copy_sessions(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway->session_count <= IB_SESSIONS_MAX);
    for (size_t i = 0; i < gateway->session_count; i++) {
        struct ib_gateway_session_state *state = &gateway->sessions[i];
        const struct ib_session *session = ib_matcher_session(gateway->matcher, (uint16_t)i);
        IB_ASSERT(session != NULL);
        memcpy(state->username, session->username, IB_USERNAME_SIZE);
        for (size_t end = IB_USERNAME_SIZE; end > 0 && state->username[end - 1] == ' '; end--) {
            state->username[end - 1] = '\0';
        }
        IB_ASSERT(state->connection == NULL && state->session_seq == 0);
        state->session_seq = session->session_seq; /* all of them are released */
        memcpy(state->firm, session->firm, IB_FIRM_SIZE);
        state->last_user_ref = session->last_user_ref;
        state->is_disabled = gateway->config.disabled[i];
        state->cancels = ib_cancel_budget_place(session->account, (uint16_t)i);
    }
}

int ib_gateway_open(struct ib_gateway **gateway, const struct ib_gateway_config *config, struct ib_io_loop *loop,
                    struct ib_sequencer *sequencer, const struct ib_event_log *log, const struct ib_matcher *matcher,
                    struct ib_directory *directory, char *error)
{
    IB_ASSERT(gateway != NULL && config != NULL && error != NULL);
    IB_ASSERT(loop != NULL && sequencer != NULL && log != NULL && matcher != NULL && directory != NULL);
    IB_ASSERT(config->connections > 0 && config->connections <= IB_CONNECTIONS_MAX && config->disabled != NULL);
    *gateway = NULL;
    struct ib_gateway *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->config = *config;
    self->loop = loop;
    self->sequencer = sequencer;
    self->log = log;
    self->matcher = matcher;
    self->directory = directory;
    self->listener = (struct ib_io_handler){.fd = -1, .owner = self, .ready = listener_ready};
    self->session_count = ib_matcher_session_count(matcher);
    self->dispatched = ib_event_log_released(log); /* the directory knows what came of those */
    self->sessions = calloc(self->session_count + 1, sizeof *self->sessions);
    self->connections = calloc(config->connections, sizeof *self->connections);
    self->buffers = ib_memory_reserve((size_t)config->connections * (IB_INPUT_SIZE + IB_OUTPUT_SIZE));
    if (self->sessions == NULL || self->connections == NULL || self->buffers == NULL ||
        ib_authenticator_open(&self->authenticator, config->connections) != IB_OK) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "no memory for %u connections: lower limits.connections",
                 config->connections);
        ib_gateway_close(self);
        return IB_ERROR_MEMORY;
    }
    for (uint32_t i = 0; i < config->connections; i++) {
        struct ib_connection *connection = &self->connections[i];
        connection->gateway = self;
        connection->handler = (struct ib_io_handler){.fd = -1, .owner = connection, .ready = ib_connection_ready};
        connection->input = self->buffers + (size_t)i * (IB_INPUT_SIZE + IB_OUTPUT_SIZE);
        connection->output = connection->input + IB_INPUT_SIZE;
        connection->session = IB_SESSION_NONE;
    }
    name_session(self);
    copy_sessions(self);
    self->answers = (struct ib_io_handler){
        .fd = ib_authenticator_event_fd(self->authenticator), .owner = self, .ready = answers_ready};
    if (ib_io_add(loop, &self->answers, EPOLLIN) != IB_OK) {
        ib_gateway_close(self);
        return IB_ERROR_IO;
    }
    *gateway = self;
    return IB_OK;
}

void ib_gateway_close(struct ib_gateway *gateway)
{
    if (gateway == NULL) {
        return;
    }
    IB_ASSERT(gateway->loop != NULL);
    for (uint32_t i = 0; gateway->connections != NULL && i < gateway->used; i++) {
        if (gateway->connections[i].state != IB_CONNECTION_FREE) {
            ib_connection_close(&gateway->connections[i], IB_DISCONNECT_SHUTDOWN);
        }
    }
    IB_ASSERT(gateway->used == 0);
    ib_io_drop(&gateway->listener);
    ib_authenticator_close(gateway->authenticator);
    ib_memory_release(gateway->buffers, (size_t)gateway->config.connections * (IB_INPUT_SIZE + IB_OUTPUT_SIZE));
    free(gateway->connections);
    free(gateway->sessions);
    free(gateway);
}

int ib_gateway_listen(struct ib_gateway *gateway, char *error)
{
    IB_ASSERT(gateway->listener.fd < 0);
    return ib_listen(gateway->loop, &gateway->listener, gateway->config.host, gateway->config.port, "order_entry",
                     "order entry", error);
}

void ib_gateway_allow(struct ib_gateway *gateway, uint16_t session, const char *secret, bool cancel_on_disconnect)
{
    IB_ASSERT(session < gateway->session_count);
    IB_ASSERT(secret != NULL);
    struct ib_gateway_session_state *state = &gateway->sessions[session];
    state->secret = secret;
    state->cancel_on_disconnect = cancel_on_disconnect;
    if (cancel_on_disconnect && !ib_matcher_session_is_idle(gateway->matcher, session)) {
        state->cancel_due = state->has_orders = true;
        gateway->cancels_due++;
    }
}

bool ib_gateway_is_busy(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->busy;
}

bool ib_gateway_is_waiting(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->waiting;
}

void ib_gateway_end_of_day(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    IB_ASSERT(!gateway->ended); /* a day ends once: whoever sequences End of Day looks first */
    gateway->ended = true;
}

size_t ib_gateway_session_count(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->session_count;
}

struct ib_gateway_session_view ib_gateway_session(const struct ib_gateway *gateway, size_t session)
{
    IB_ASSERT(session < gateway->session_count);
    const struct ib_gateway_session_state *state = &gateway->sessions[session];
    IB_ASSERT(state->connection == NULL || state->connection->session == session);
    IB_ASSERT(state->connection == NULL || state->connection->state == IB_CONNECTION_OPEN);
    return (struct ib_gateway_session_view){.username = state->username,
                                            .connected = state->connection != NULL || state->is_taken,
                                            .disabled = state->is_disabled,
                                            .next_user_ref = state->last_user_ref + 1,
                                            .session_seq = state->session_seq};
}

uint32_t ib_gateway_connection_count(const struct ib_gateway *gateway)
{
    uint32_t count = 0;
    IB_ASSERT(gateway->used <= gateway->config.connections);
    for (uint32_t i = 0; i < gateway->used; i++) {
        count += gateway->connections[i].state == IB_CONNECTION_OPEN ? 1 : 0;
    }
    return count;
}

uint64_t ib_gateway_disconnects(const struct ib_gateway *gateway, enum ib_disconnect reason)
{
    IB_ASSERT(reason < IB_DISCONNECT_COUNT);
    return gateway->disconnects[reason];
}

uint64_t ib_gateway_repeats(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->repeats;
}

uint64_t ib_gateway_logins_held(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->logins_held;
}

uint64_t ib_gateway_modify_ignored(const struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    return gateway->modify_ignored;
}
