/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_connection.c: the life of one connection, from its accepted socket to the counted reason of its end. Why it
 * ends is the business of others; that it ends once, and leaves its session free, is the business of this file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "gateway_internal.h"

enum { LOG_LINES_A_SECOND = 100, SEND_BUFFER_SIZE = 262144 };

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
    IB_ASSERT(disconnect_texts[reason] != NULL); /* a reason that was added has its name above */
    return disconnect_texts[reason];
}

void ib_connection_log(struct ib_connection *connection, const char *format, ...)
{
    struct ib_gateway *gateway = connection->gateway;
    char text[256];
    va_list arguments;
    uint64_t second = gateway->loop->now_ms / 1000;
    IB_ASSERT(second >= gateway->log_second); /* the clock is monotonic */
    IB_ASSERT(connection->session == IB_SESSION_NONE || connection->session < gateway->session_count);
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
    IB_ASSERT(connection->state != IB_CONNECTION_FREE && connection->state != IB_CONNECTION_CLOSING); /* counts once */
    gateway->disconnects[reason]++;
    ib_connection_log(connection, "disconnected: %s", ib_disconnect_text(reason));
    if (connection->session != IB_SESSION_NONE && gateway->sessions[connection->session].connection == connection) {
        gateway->sessions[connection->session].connection = NULL;
        ib_session_disconnected(gateway, connection->session);
    }
    connection->queries = 0;
    connection->answer_seq = 0;
    connection->live = false;
    connection->blocked = false;
}

void ib_connection_close(struct ib_connection *connection, enum ib_disconnect reason)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->state != IB_CONNECTION_FREE);
    IB_ASSERT(connection < gateway->connections + gateway->used); /* else progress and tick would never visit it */
    IB_ASSERT(connection->input_size <= IB_INPUT_SIZE);
    if (connection->state != IB_CONNECTION_CLOSING) {
        detach(connection, reason);
    }
    ib_io_drop(&connection->handler);
    explicit_bzero(connection->input, connection->input_size); /* a password may be anywhere in what was not served */
    connection->input_size = 0;
    connection->state = IB_CONNECTION_FREE;
    connection->dirty = false;
    connection->generation++;
    while (gateway->used > 0 && gateway->connections[gateway->used - 1].state == IB_CONNECTION_FREE) {
        gateway->used--;
    }
}

void ib_connection_finish(struct ib_connection *connection, enum ib_disconnect reason)
{
    IB_ASSERT(connection->handler.fd >= 0);
    detach(connection, reason);
    connection->state = IB_CONNECTION_CLOSING;
    connection->closing_ms = connection->gateway->loop->now_ms;
    connection->dirty = true; /* so that somebody flushes, which also ends our half of the stream */
    ib_io_change(connection->gateway->loop, &connection->handler, connection->handler.interest | (uint32_t)EPOLLIN);
}

/* Reads and forgets: closing with unread bytes would reset the stream and take our last packet with it. */
static void discard_input(struct ib_connection *connection)
{
    IB_ASSERT(connection->state == IB_CONNECTION_CLOSING);
    IB_ASSERT(!connection->blocked); /* nothing of the input is still to be served */
    /* tcp(7): MSG_TRUNC throws away what it counts. It may be a second try at the password. */
    ssize_t size = recv(connection->handler.fd, NULL, IB_INPUT_SIZE, MSG_DONTWAIT | MSG_TRUNC);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        ib_connection_close(connection, IB_DISCONNECT_PEER);
    }
}

void ib_connection_ready(void *owner, uint32_t events)
{
    struct ib_connection *connection = owner;
    IB_ASSERT(connection->state != IB_CONNECTION_FREE && connection->handler.fd >= 0);
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

void ib_connection_begin(struct ib_connection *connection, int fd, const struct sockaddr *address, socklen_t size)
{
    struct ib_gateway *gateway = connection->gateway;
    char host[48] = "?", port[8] = "?";
    int yes = 1, send_buffer = SEND_BUFFER_SIZE;
    IB_ASSERT(fd >= 0);
    IB_ASSERT(connection->state == IB_CONNECTION_FREE && connection->handler.fd < 0);
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
    connection->answer_seq = 0;
    connection->next_seq = 0;
    connection->live = connection->blocked = connection->dirty = false;
    if (ib_io_add(gateway->loop, &connection->handler, EPOLLIN) != IB_OK) {
        ib_connection_close(connection, IB_DISCONNECT_CONNECTIONS_FULL);
    }
}

void ib_connection_tick(struct ib_connection *connection)
{
    const struct ib_gateway *gateway = connection->gateway;
    uint64_t now_ms = gateway->loop->now_ms;
    IB_ASSERT(connection->opened_ms <= now_ms && connection->received_ms <= now_ms && connection->sent_ms <= now_ms);
    IB_ASSERT(connection->output_begin <= connection->output_end);
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
    case IB_CONNECTION_HELD: /* it waits for us */
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
        IB_ASSERT(out != NULL); /* the buffer is empty */
        ib_output_commit(connection, ib_soup_encode(out, IB_SOUP_SERVER_HEARTBEAT, NULL, 0));
        ib_output_flush(connection);
    }
}
