/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_stream.c: the way out. From the event log into the output buffer of each connection.
 *
 * A connection is live when it has every report that was released before; then each new event is handed to
 * it once, as it is released. When its buffer is full it stops being live and keeps a position in the log
 * instead; when its socket takes data again it reads the log from there until it is live again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "clock.h"
#include "gateway_internal.h"

enum { PACKET_SIZE_MAX = IB_SOUP_HEADER_SIZE + IB_OUCH_OUTBOUND_SIZE_MAX };

uint8_t *ib_output_reserve(struct ib_connection *connection, size_t size)
{
    IB_ASSERT(size <= IB_OUTPUT_SIZE);
    IB_ASSERT(connection->output_begin <= connection->output_end);
    if (connection->output_end + size > IB_OUTPUT_SIZE) {
        if (connection->output_begin == 0) {
            return NULL;
        }
        connection->output_end -= connection->output_begin;
        memmove(connection->output, connection->output + connection->output_begin, connection->output_end);
        connection->output_begin = 0;
        if (connection->output_end + size > IB_OUTPUT_SIZE) {
            return NULL;
        }
    }
    return connection->output + connection->output_end;
}

void ib_output_commit(struct ib_connection *connection, size_t size)
{
    IB_ASSERT(size > 0);
    connection->output_end += size;
    IB_ASSERT(connection->output_end <= IB_OUTPUT_SIZE);
    connection->dirty = true;
}

void ib_output_flush(struct ib_connection *connection)
{
    IB_ASSERT(connection->handler.fd >= 0);
    IB_ASSERT(connection->output_end <= IB_OUTPUT_SIZE);
    struct ib_io_loop *loop = connection->gateway->loop;
    connection->dirty = false;
    while (connection->output_begin < connection->output_end) {
        ssize_t sent = send(connection->handler.fd, connection->output + connection->output_begin,
                            connection->output_end - connection->output_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                ib_connection_close(connection, IB_DISCONNECT_PEER);
                return;
            }
            if (connection->stalled_ms == 0) {
                connection->stalled_ms = loop->now_ms;
            }
            ib_io_change(loop, &connection->handler, connection->handler.interest | EPOLLOUT);
            return;
        }
        connection->output_begin += (size_t)sent;
        connection->sent_ms = loop->now_ms;
        connection->stalled_ms = 0;
    }
    connection->output_begin = connection->output_end = 0;
    ib_io_change(loop, &connection->handler, connection->handler.interest & ~(uint32_t)EPOLLOUT);
    if (connection->state == IB_CONNECTION_CLOSING) {
        shutdown(connection->handler.fd, SHUT_WR);
    }
}

/* Whether there is a Mass Cancel or a switch of order entry to answer. Its member believes the answer, which a crash
 * must not take back: so it waits until the journal has what it answers. */
static bool may_answer(const struct ib_connection *connection)
{
    const struct ib_sequencer *sequencer = connection->gateway->sequencer;
    IB_ASSERT(connection->answer_seq <= sequencer->seq);
    return connection->answer_seq != 0 && connection->answer_seq <= sequencer->released_seq;
}

/* False when the buffer has no room for it. */
static bool send_answer(struct ib_connection *connection)
{
    const struct ib_gateway *gateway = connection->gateway;
    const struct ib_gateway_session_state *session = &gateway->sessions[connection->session];
    IB_ASSERT(connection->answer_seq > 0 && connection->answer_seq <= gateway->sequencer->released_seq);
    IB_ASSERT(connection->session < gateway->session_count);
    uint8_t *out = ib_output_reserve(connection, PACKET_SIZE_MAX);
    if (out == NULL) {
        return false;
    }
    uint8_t *message = out + IB_SOUP_HEADER_SIZE;
    uint64_t now_ns = ib_clock_ns(CLOCK_REALTIME);
    size_t size = connection->answer_kind == IB_OUCH_MASS_CANCEL
                      ? ib_ouch_encode_mass_cancel_response(message, now_ns, connection->answer_ref, session->firm,
                                                            connection->answer_symbol)
                      : ib_ouch_encode_order_entry_response(message, now_ns, connection->answer_ref,
                                                            session->is_disabled, session->firm);
    ib_soup_encode_header(out, IB_SOUP_UNSEQUENCED_DATA, size);
    ib_output_commit(connection, IB_SOUP_HEADER_SIZE + size);
    connection->answer_seq = 0;
    return true;
}

/* Writes one report. False when the buffer has no room for it. */
static bool send_report(struct ib_connection *connection, const struct ib_event *event)
{
    IB_ASSERT(event->session == connection->session && event->session_seq != 0);
    if (event->seq > connection->answer_after && may_answer(connection) && !send_answer(connection)) {
        return false; /* what came of a request comes behind its answer */
    }
    /* Room for the End of Session that may follow, too. */
    uint8_t *out = ib_output_reserve(connection, PACKET_SIZE_MAX + IB_SOUP_HEADER_SIZE);
    if (out == NULL) {
        return false;
    }
    const char *symbol = ib_directory_symbol(connection->gateway->directory, event->instrument);
    size_t size = ib_ouch_encode(out + IB_SOUP_HEADER_SIZE, event, symbol);
    IB_ASSERT(size <= IB_OUCH_OUTBOUND_SIZE_MAX);
    ib_soup_encode_header(out, IB_SOUP_SEQUENCED_DATA, size);
    ib_output_commit(connection, IB_SOUP_HEADER_SIZE + size);
    IB_ASSERT(event->session_seq == connection->next_seq); /* the client counts: none may be left out or come twice */
    connection->next_seq++;
    if (event->type == IB_EVENT_END_OF_DAY) {
        out = ib_output_reserve(connection, IB_SOUP_HEADER_SIZE);
        IB_ASSERT(out != NULL);
        ib_output_commit(connection, ib_soup_encode(out, IB_SOUP_END_OF_SESSION, NULL, 0));
        ib_connection_finish(connection, IB_DISCONNECT_END_OF_SESSION);
    }
    return true;
}

void ib_stream_start(struct ib_connection *connection, uint32_t sequence)
{
    const struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(sequence >= 1);
    IB_ASSERT(sequence <= gateway->sessions[connection->session].session_seq + 1);
    connection->next_seq = sequence;
    connection->live = sequence == gateway->sessions[connection->session].session_seq + 1;
    connection->cursor =
        connection->live ? gateway->dispatched : ib_event_log_seek_session(gateway->log, connection->session, sequence);
}

void ib_stream_catch_up(struct ib_connection *connection)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->state == IB_CONNECTION_OPEN && !connection->live);
    switch (ib_event_log_resume(gateway->log, connection->session, connection->next_seq, &connection->cursor)) {
    case IB_HISTORY_COMPLETE: break;
    case IB_HISTORY_COMING: ib_output_flush(connection); return; /* that it is logged in */
    case IB_HISTORY_LOST: ib_connection_close(connection, IB_DISCONNECT_SESSION_UNKNOWN); return;
    }
    IB_ASSERT(connection->cursor <= gateway->dispatched);
    uint64_t end = gateway->dispatched;
    if (end - connection->cursor > IB_SCAN_EVENTS) {
        end = connection->cursor + IB_SCAN_EVENTS;
    }
    while (connection->cursor < end && connection->state == IB_CONNECTION_OPEN) {
        const struct ib_event *event = ib_event_log_at(gateway->log, connection->cursor);
        if (event->session == connection->session && event->session_seq != 0 && !send_report(connection, event)) {
            ib_output_flush(connection);
            if (connection->state != IB_CONNECTION_OPEN || connection->output_begin < connection->output_end) {
                return; /* gone, or its socket is full: EPOLLOUT brings us back */
            }
            continue;
        }
        connection->cursor++;
    }
    if (connection->state != IB_CONNECTION_OPEN) {
        ib_output_flush(connection);
        return;
    }
    connection->live = connection->cursor == gateway->dispatched;
    gateway->busy = gateway->busy || !connection->live;
    ib_output_flush(connection);
}

void ib_stream_dispatch(struct ib_gateway *gateway, uint64_t released)
{
    IB_ASSERT(released >= gateway->dispatched);
    for (; gateway->dispatched < released; gateway->dispatched++) {
        const struct ib_event *event = ib_event_log_at(gateway->log, gateway->dispatched);
        if (event->session_seq == 0 || (event->flags & IB_FLAG_AUCTION) != 0) {
            ib_directory_see(gateway->directory, event);
        }
        if (event->session_seq == 0) {
            continue;
        }
        IB_ASSERT(event->session < gateway->session_count);
        struct ib_gateway_session_state *session = &gateway->sessions[event->session];
        IB_ASSERT(event->session_seq == session->session_seq + 1);
        session->session_seq = event->session_seq;
        struct ib_connection *connection = session->connection;
        if (connection == NULL || !connection->live || connection->state != IB_CONNECTION_OPEN) {
            continue;
        }
        if (!send_report(connection, event)) {
            ib_output_flush(connection); /* perhaps the socket has room while the buffer has not */
            if (connection->state == IB_CONNECTION_OPEN && !send_report(connection, event)) {
                connection->live = false;
                connection->cursor = gateway->dispatched;
            }
        }
    }
}

/* The answer is no report: it is not in the session's stream, so it comes as Unsequenced Data. It waits for the
 * reports of everything that was sequenced before it, so that a number it names was never lost by a crash. */
void ib_stream_answer_queries(struct ib_connection *connection)
{
    const struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->state == IB_CONNECTION_OPEN);
    IB_ASSERT(connection->query_seq <= gateway->sequencer->seq);
    if (connection->live && may_answer(connection)) {
        (void)send_answer(connection); /* without room, a later turn tries again */
    }
    while (connection->queries > 0 && connection->live && gateway->sequencer->released_seq >= connection->query_seq) {
        uint8_t *out = ib_output_reserve(connection, PACKET_SIZE_MAX);
        if (out == NULL) {
            return; /* the tick tries again */
        }
        size_t size = ib_ouch_encode_account_query_response(out + IB_SOUP_HEADER_SIZE, ib_clock_ns(CLOCK_REALTIME),
                                                            gateway->sessions[connection->session].last_user_ref + 1);
        ib_soup_encode_header(out, IB_SOUP_UNSEQUENCED_DATA, size);
        ib_output_commit(connection, IB_SOUP_HEADER_SIZE + size);
        connection->queries--;
    }
}
