/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway.c: see gateway.h. The life of connections: accept, time out, end.
 */
#define _GNU_SOURCE
#include "gateway.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "gateway_internal.h"
#include "memory.h"

enum { LOG_LINES_A_SECOND = 100, CONNECTIONS_MAX = 4095, SEND_BUFFER_SIZE = 262144 };

static const char *const disconnect_texts[IB_DISCONNECT_COUNT] = {
    [IB_DISCONNECT_LOGOUT] = "logout",
    [IB_DISCONNECT_PEER] = "peer_closed",
    [IB_DISCONNECT_END_OF_SESSION] = "end_of_session",
    [IB_DISCONNECT_SHUTDOWN] = "shutdown",
    [IB_DISCONNECT_CONNECTIONS_FULL] = "connections_full",
    [IB_DISCONNECT_LOGIN_TIMEOUT] = "login_timeout",
    [IB_DISCONNECT_LOGIN_TOO_LONG] = "login_too_long",
    [IB_DISCONNECT_LOGIN_EXPECTED] = "login_expected",
    [IB_DISCONNECT_LOGIN_MALFORMED] = "login_malformed",
    [IB_DISCONNECT_LOGIN_REJECTED] = "login_rejected",
    [IB_DISCONNECT_LOGIN_THROTTLED] = "login_throttled",
    [IB_DISCONNECT_SESSION_IN_USE] = "session_in_use",
    [IB_DISCONNECT_SESSION_UNKNOWN] = "session_unknown",
    [IB_DISCONNECT_IDLE] = "idle",
    [IB_DISCONNECT_SLOW] = "slow",
    [IB_DISCONNECT_PACKET_SIZE] = "packet_size",
    [IB_DISCONNECT_PACKET_TYPE] = "packet_type",
    [IB_DISCONNECT_MESSAGE_TYPE] = "message_type",
    [IB_DISCONNECT_MESSAGE_MALFORMED] = "message_malformed",
};

const char *ib_disconnect_text(enum ib_disconnect reason)
{
    IB_ASSERT(reason < IB_DISCONNECT_COUNT);
    return disconnect_texts[reason];
}

void ib_connection_log(struct ib_connection *connection, const char *format, ...)
{
    struct ib_gateway *gateway = connection->gateway;
    char text[256];
    va_list arguments;
    uint64_t second = gateway->loop->now_ms / 1000;
    if (second != gateway->log_second) {
        if (gateway->log_lines > LOG_LINES_A_SECOND) {
            fprintf(stderr, "ironbook: order entry: %llu more lines were left out\n",
                    (unsigned long long)(gateway->log_lines - LOG_LINES_A_SECOND));
        }
        gateway->log_second = second;
        gateway->log_lines = 0;
    }
    if (++gateway->log_lines > LOG_LINES_A_SECOND) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *username =
        connection->session != IB_SESSION_NONE ? gateway->sessions[connection->session].username : "-";
    fprintf(stderr, "ironbook: order entry: %s (%s) %s\n", connection->peer, username, text);
}

/* Ends what ties the connection to its session, and counts why. */
static void detach(struct ib_connection *connection, enum ib_disconnect reason)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(reason < IB_DISCONNECT_COUNT);
    gateway->disconnects[reason]++;
    ib_connection_log(connection, "disconnected: %s", ib_disconnect_text(reason));
    if (connection->session != IB_SESSION_NONE && gateway->sessions[connection->session].connection == connection) {
        gateway->sessions[connection->session].connection = NULL;
    }
    connection->queries = 0;
    connection->live = false;
    connection->blocked = false;
}

void ib_connection_close(struct ib_connection *connection, enum ib_disconnect reason)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->state != IB_CONNECTION_FREE);
    if (connection->state != IB_CONNECTION_CLOSING) {
        detach(connection, reason);
    }
    ib_io_drop(&connection->handler);
    explicit_bzero(connection->input, connection->input_size < 64 ? connection->input_size : 64); /* a password? */
    connection->state = IB_CONNECTION_FREE;
    connection->dirty = false;
    connection->generation++;
    while (gateway->used > 0 && gateway->connections[gateway->used - 1].state == IB_CONNECTION_FREE) {
        gateway->used--;
    }
}

void ib_connection_finish(struct ib_connection *connection, enum ib_disconnect reason)
{
    IB_ASSERT(connection->state != IB_CONNECTION_FREE && connection->state != IB_CONNECTION_CLOSING);
    detach(connection, reason);
    connection->state = IB_CONNECTION_CLOSING;
    connection->closing_ms = connection->gateway->loop->now_ms;
    connection->dirty = true; /* so that somebody flushes, which also ends our half of the stream */
    ib_io_change(connection->gateway->loop, &connection->handler, connection->handler.interest | (uint32_t)EPOLLIN);
}

/* Reads and forgets: closing with unread bytes would reset the stream and take our last packet with it. */
static void discard_input(struct ib_connection *connection)
{
    ssize_t size = recv(connection->handler.fd, connection->input, IB_INPUT_SIZE, MSG_DONTWAIT);
    IB_ASSERT(connection->state == IB_CONNECTION_CLOSING);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        ib_connection_close(connection, IB_DISCONNECT_PEER);
    }
}

static void connection_ready(void *owner, uint32_t events)
{
    struct ib_connection *connection = owner;
    if ((events & EPOLLOUT) != 0) {
        ib_output_flush(connection);
        if (connection->state == IB_CONNECTION_OPEN && !connection->live &&
            connection->output_begin == connection->output_end) {
            ib_stream_catch_up(connection);
        }
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0 || connection->state == IB_CONNECTION_FREE) {
        return;
    }
    if (connection->state == IB_CONNECTION_CLOSING) {
        discard_input(connection);
    } else if ((connection->handler.interest & EPOLLIN) != 0) {
        ib_input_read(connection);
    } else if (connection->state != IB_CONNECTION_CHECKING) { /* one that is checked is closed after its answer */
        ib_connection_close(connection, IB_DISCONNECT_PEER);
    } else {
        ib_io_drop(&connection->handler);
    }
}

static struct ib_connection *free_place(struct ib_gateway *gateway)
{
    for (uint32_t i = 0; i < gateway->config.connections; i++) {
        if (gateway->connections[i].state == IB_CONNECTION_FREE) {
            gateway->used = gateway->used > i ? gateway->used : i + 1;
            return &gateway->connections[i];
        }
    }
    return NULL;
}

/* All places taken: the one that has waited longest without logging in makes room, so that strangers, who need no
 * password to connect, cannot keep members out. Null when everybody has logged in. */
static struct ib_connection *evict_stranger(struct ib_gateway *gateway)
{
    struct ib_connection *oldest = NULL;
    for (uint32_t i = 0; i < gateway->config.connections; i++) {
        struct ib_connection *connection = &gateway->connections[i];
        if (connection->state == IB_CONNECTION_LOGIN && (oldest == NULL || connection->opened_ms < oldest->opened_ms)) {
            oldest = connection;
        }
    }
    if (oldest == NULL) {
        return NULL;
    }
    ib_connection_close(oldest, IB_DISCONNECT_CONNECTIONS_FULL);
    return free_place(gateway);
}

static void begin(struct ib_connection *connection, int fd, const struct sockaddr *address, socklen_t size)
{
    struct ib_gateway *gateway = connection->gateway;
    char host[48] = "?", port[8] = "?";
    int yes = 1, send_buffer = SEND_BUFFER_SIZE;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* Bounded, too: left alone, the kernel lets it grow to megabytes for a client that does not read. */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(connection->peer, sizeof connection->peer, "%s:%s", host, port);
    connection->handler.fd = fd;
    connection->state = IB_CONNECTION_LOGIN;
    connection->session = IB_SESSION_NONE;
    connection->opened_ms = connection->received_ms = connection->sent_ms = gateway->loop->now_ms;
    connection->stalled_ms = 0;
    connection->input_size = connection->output_begin = connection->output_end = 0;
    connection->queries = 0;
    connection->live = connection->blocked = connection->dirty = false;
    if (ib_io_add(gateway->loop, &connection->handler, EPOLLIN) != IB_OK) {
        ib_connection_close(connection, IB_DISCONNECT_CONNECTIONS_FULL);
    }
}

static void listener_ready(void *owner, uint32_t events)
{
    struct ib_gateway *gateway = owner;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
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
    begin(connection, fd, (const struct sockaddr *)&address, size);
}

static void answers_ready(void *owner, uint32_t events)
{
    struct ib_gateway *gateway = owner;
    struct ib_authentication answer;
    (void)events;
    while (ib_authenticator_next(gateway->authenticator, &answer)) {
        struct ib_connection *connection = &gateway->connections[answer.ticket & 0xfff];
        IB_ASSERT(connection->state == IB_CONNECTION_CHECKING);
        IB_ASSERT((connection->generation & 0xfffff) == answer.ticket >> 12);
        if (connection->handler.fd < 0) {
            ib_connection_close(connection, IB_DISCONNECT_PEER);
        } else {
            ib_input_login_checked(connection, answer.granted);
        }
    }
}

void ib_gateway_progress(struct ib_gateway *gateway, uint64_t released)
{
    IB_ASSERT(gateway != NULL);
    gateway->busy = false;
    ib_stream_dispatch(gateway, released);
    for (uint32_t i = 0; i < gateway->used; i++) {
        struct ib_connection *connection = &gateway->connections[i];
        if (connection->state == IB_CONNECTION_OPEN && !connection->live &&
            connection->output_begin == connection->output_end) {
            ib_stream_catch_up(connection);
        }
        if (connection->state == IB_CONNECTION_OPEN && connection->queries > 0) {
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

static void tick_connection(struct ib_gateway *gateway, struct ib_connection *connection)
{
    uint64_t now_ms = gateway->loop->now_ms;
    uint64_t patience_ms = (uint64_t)IB_IDLE_HEARTBEATS * gateway->config.heartbeat_ms;
    switch (connection->state) {
    case IB_CONNECTION_LOGIN:
        if (now_ms - connection->opened_ms >= gateway->config.login_ms) {
            ib_connection_close(connection, IB_DISCONNECT_LOGIN_TIMEOUT);
        }
        return;
    case IB_CONNECTION_CLOSING:
        if (now_ms - connection->closing_ms >= IB_CLOSING_MS) {
            ib_connection_close(connection, IB_DISCONNECT_PEER);
        }
        return;
    case IB_CONNECTION_OPEN:
        break;
    case IB_CONNECTION_FREE:
    case IB_CONNECTION_CHECKING:
        return;
    }
    if (connection->stalled_ms != 0 && now_ms - connection->stalled_ms >= patience_ms) {
        ib_connection_close(connection, IB_DISCONNECT_SLOW);
    } else if (!connection->blocked && now_ms - connection->received_ms >= patience_ms) {
        ib_connection_close(connection, IB_DISCONNECT_IDLE); /* while we do not read, silence is our own doing */
    } else if (connection->output_begin == connection->output_end &&
               now_ms - connection->sent_ms >= gateway->config.heartbeat_ms) {
        uint8_t *out = ib_output_reserve(connection, IB_SOUP_HEADER_SIZE);
        ib_output_commit(connection, ib_soup_encode(out, IB_SOUP_SERVER_HEARTBEAT, NULL, 0));
        ib_output_flush(connection);
    }
}

void ib_gateway_tick(struct ib_gateway *gateway)
{
    IB_ASSERT(gateway != NULL);
    for (uint32_t i = 0; i < gateway->used; i++) {
        tick_connection(gateway, &gateway->connections[i]);
    }
    if (gateway->listener.fd >= 0) {
        ib_io_change(gateway->loop, &gateway->listener, EPOLLIN);
    }
}

/* Pure function of the journal, so that it outlasts restarts: the day of its first command, and the shard. */
static void name_session(struct ib_gateway *gateway)
{
    time_t seconds = (time_t)(gateway->config.journal_time_ns / 1000000000u);
    struct tm day;
    gmtime_r(&seconds, &day);
    strftime(gateway->session_name, sizeof gateway->session_name, "%Y%m%d", &day);
    IB_ASSERT(gateway->config.shard < 100);
    gateway->session_name[8] = (char)('0' + gateway->config.shard / 10);
    gateway->session_name[9] = (char)('0' + gateway->config.shard % 10);
    gateway->session_name[10] = '\0';
}

/* The sessions of the journal, whether or not the configuration lets them log in. */
static void copy_sessions(struct ib_gateway *gateway)
{
    for (size_t i = 0; i < gateway->session_count; i++) {
        struct ib_gateway_session_state *state = &gateway->sessions[i];
        const struct ib_session *session = ib_matcher_session(gateway->matcher, (uint16_t)i);
        IB_ASSERT(session != NULL);
        memcpy(state->username, session->username, IB_USERNAME_SIZE);
        for (size_t end = IB_USERNAME_SIZE; end > 0 && state->username[end - 1] == ' '; end--) {
            state->username[end - 1] = '\0';
        }
        memcpy(state->firm, session->firm, IB_FIRM_SIZE);
        state->last_user_ref = session->last_user_ref;
    }
}

int ib_gateway_open(struct ib_gateway **gateway, const struct ib_gateway_config *config, struct ib_io_loop *loop,
                    struct ib_sequencer *sequencer, const struct ib_event_log *log, const struct ib_matcher *matcher,
                    char *error)
{
    IB_ASSERT(gateway != NULL && config != NULL);
    IB_ASSERT(config->connections > 0 && config->connections <= CONNECTIONS_MAX);
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
    self->listener = (struct ib_io_handler){.fd = -1, .owner = self, .ready = listener_ready};
    self->session_count = ib_matcher_session_count(matcher);
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
        connection->handler = (struct ib_io_handler){.fd = -1, .owner = connection, .ready = connection_ready};
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
    ib_io_drop(&gateway->listener);
    ib_authenticator_close(gateway->authenticator);
    ib_memory_release(gateway->buffers, (size_t)gateway->config.connections * (IB_INPUT_SIZE + IB_OUTPUT_SIZE));
    free(gateway->connections);
    free(gateway->sessions);
    free(gateway);
}

void ib_gateway_allow(struct ib_gateway *gateway, uint16_t session, const char *secret)
{
    IB_ASSERT(session < gateway->session_count);
    IB_ASSERT(secret != NULL);
    gateway->sessions[session].secret = secret;
}

bool ib_gateway_is_busy(const struct ib_gateway *gateway)
{
    return gateway->busy;
}

void ib_gateway_end_of_day(struct ib_gateway *gateway)
{
    gateway->ended = true;
}

size_t ib_gateway_session_count(const struct ib_gateway *gateway)
{
    return gateway->session_count;
}

struct ib_gateway_session_view ib_gateway_session(const struct ib_gateway *gateway, size_t session)
{
    IB_ASSERT(session < gateway->session_count);
    const struct ib_gateway_session_state *state = &gateway->sessions[session];
    return (struct ib_gateway_session_view){.username = state->username,
                                            .connected = state->connection != NULL,
                                            .next_user_ref = state->last_user_ref + 1,
                                            .session_seq = state->session_seq};
}

uint32_t ib_gateway_connection_count(const struct ib_gateway *gateway)
{
    uint32_t count = 0;
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
    return gateway->repeats;
}

uint64_t ib_gateway_not_carried(const struct ib_gateway *gateway)
{
    return gateway->not_carried;
}
