/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_input.c: the way in. Bytes of a connection become packets, packets a login or messages, messages
 * sequenced commands.
 *
 * Nothing that a client sends is trusted: each length is checked before it is used, whatever does not fit ends this
 * connection with a counted reason, and no other connection notices.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "clock.h"
#include "gateway_internal.h"

/* Fits no password, and takes as long to find out as one that might: unknown users must not be told by the clock. */
static const char hash_of_nobody[] =
    "$6$ironbook$0000000000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000";

static void refuse_login(struct ib_connection *connection, enum ib_soup_reject code, enum ib_disconnect reason)
{
    IB_ASSERT(connection->state == IB_CONNECTION_LOGIN || connection->state == IB_CONNECTION_CHECKING);
    IB_ASSERT(connection->output_begin == connection->output_end); /* before its login nothing was said to it */
    uint8_t *out = ib_output_reserve(connection, IB_SOUP_HEADER_SIZE + 1);
    IB_ASSERT(out != NULL);
    ib_output_commit(connection, ib_soup_encode_login_rejected(out, code));
    ib_connection_finish(connection, reason);
    ib_output_flush(connection);
}

static uint16_t find_session(const struct ib_gateway *gateway, const char *username)
{
    IB_ASSERT(username != NULL);
    for (size_t i = 0; i < gateway->session_count; i++) {
        if (strcmp(gateway->sessions[i].username, username) == 0 && gateway->sessions[i].secret != NULL) {
            return (uint16_t)i;
        }
    }
    return IB_SESSION_NONE;
}

static void ask(struct ib_connection *connection, const struct ib_soup_login *login)
{
    struct ib_gateway *gateway = connection->gateway;
    uint32_t ticket = (connection->generation << IB_TICKET_PLACE_BITS) | (uint32_t)(connection - gateway->connections);
    IB_ASSERT(connection->state == IB_CONNECTION_LOGIN || connection->state == IB_CONNECTION_HELD);
    connection->state = IB_CONNECTION_CHECKING;
    connection->login_sequence = login->sequence;
    memcpy(connection->login_session, login->session, sizeof login->session);
    bool asked = ib_authenticator_ask(
        gateway->authenticator, ticket, login->password,
        connection->session != IB_SESSION_NONE ? gateway->sessions[connection->session].secret : hash_of_nobody);
    IB_ASSERT(asked); /* it has a place for each connection, and one that waits is not closed (gateway_connection.c) */
}

/* A Login Request that can be read. It stays in the input buffer until its password is checked. */
static void take_login(struct ib_connection *connection, const struct ib_soup_login *login)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->session == IB_SESSION_NONE);
    connection->session = find_session(gateway, login->username);
    connection->peer_key = ib_peer_of(connection->handler.fd);
    connection->peer_key.session = connection->session;
    if (ib_peer_may_ask(gateway, &connection->peer_key)) {
        ask(connection, login);
        return;
    }
    IB_ASSERT(connection->state == IB_CONNECTION_LOGIN);
    connection->state = IB_CONNECTION_HELD;
    gateway->logins_held++;
    ib_connection_log(connection, "login waits for its turn: other logins before it");
}

static void handle_login(struct ib_connection *connection, const struct ib_soup_packet *packet)
{
    struct ib_soup_login login;
    IB_ASSERT(connection->state == IB_CONNECTION_LOGIN);
    if (packet->type != IB_SOUP_LOGIN_REQUEST) {
        ib_connection_close(connection, IB_DISCONNECT_LOGIN_EXPECTED);
        return;
    }
    if (ib_soup_decode_login(packet->payload, packet->payload_size, &login)) {
        take_login(connection, &login);
    } else {
        ib_connection_close(connection, IB_DISCONNECT_LOGIN_MALFORMED);
    }
    explicit_bzero(&login, sizeof login); /* a malformed one has its password, too */
}

void ib_input_retry_login(struct ib_connection *connection)
{
    struct ib_soup_packet packet;
    struct ib_soup_login login;
    IB_ASSERT(connection->state == IB_CONNECTION_HELD);
    if (!ib_peer_may_ask(connection->gateway, &connection->peer_key)) {
        return;
    }
    int size = ib_soup_decode(connection->input, connection->input_size, IB_OUCH_INBOUND_SIZE_MAX, &packet);
    bool decoded = size > 0 && ib_soup_decode_login(packet.payload, packet.payload_size, &login);
    IB_ASSERT(decoded); /* it could be read when it came */
    ask(connection, &login);
    explicit_bzero(&login, sizeof login);
}

void ib_input_login_checked(struct ib_connection *connection, bool granted)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(connection->state == IB_CONNECTION_CHECKING);
    IB_ASSERT(connection->input_size >= IB_SOUP_HEADER_SIZE + IB_SOUP_LOGIN_REQUEST_SIZE);
    /* The login packet is still at the start of the buffer, password and all: wipe it. */
    explicit_bzero(connection->input + IB_SOUP_HEADER_SIZE, IB_SOUP_LOGIN_REQUEST_SIZE);
    connection->input_size -= IB_SOUP_HEADER_SIZE + IB_SOUP_LOGIN_REQUEST_SIZE;
    memmove(connection->input, connection->input + IB_SOUP_HEADER_SIZE + IB_SOUP_LOGIN_REQUEST_SIZE,
            connection->input_size);
    struct ib_gateway_session_state *session =
        connection->session != IB_SESSION_NONE ? &gateway->sessions[connection->session] : NULL;
    if (session == NULL || !granted) {
        refuse_login(connection, IB_SOUP_NOT_AUTHORIZED, IB_DISCONNECT_LOGIN_REJECTED);
        return;
    }
    if (session->connection != NULL || session->is_taken) {
        refuse_login(connection, IB_SOUP_SESSION_NOT_AVAILABLE, IB_DISCONNECT_SESSION_IN_USE);
        return;
    }
    uint64_t next = session->session_seq + 1u;
    uint64_t sequence = connection->login_sequence == 0 ? next : connection->login_sequence;
    bool same = connection->login_session[0] == '\0' || strcmp(connection->login_session, gateway->session_name) == 0;
    uint64_t cursor = IB_EVENT_LOG_NOT_THERE;
    bool lost = sequence < next && ib_event_log_resume(gateway->log, connection->session, (uint32_t)sequence,
                                                       &cursor) == IB_HISTORY_LOST;
    if (!same || sequence > next || lost) {
        refuse_login(connection, IB_SOUP_SESSION_NOT_AVAILABLE, IB_DISCONNECT_SESSION_UNKNOWN);
        return;
    }
    session->connection = connection;
    connection->state = IB_CONNECTION_OPEN;
    connection->received_ms = gateway->loop->now_ms;
    uint8_t *out = ib_output_reserve(connection, IB_SOUP_HEADER_SIZE + IB_SOUP_LOGIN_ACCEPTED_SIZE);
    IB_ASSERT(out != NULL);
    ib_output_commit(connection, ib_soup_encode_login_accepted(out, gateway->session_name, sequence));
    ib_connection_log(connection, "logged in, reports from %llu", (unsigned long long)sequence);
    ib_stream_start(connection, (uint32_t)sequence);
    if (connection->live) {
        ib_output_flush(connection);
    } else {
        ib_stream_catch_up(connection);
    }
    if (connection->state == IB_CONNECTION_OPEN) {
        IB_ASSERT(session->connection == connection);
        ib_input_process(connection);
    }
}

/* Tells the client's log, in words, what was not served; Debug packets carry no meaning (SoupBinTCP 3.00, 2.1). */
static void send_debug(struct ib_connection *connection, const char *text)
{
    IB_ASSERT(connection->state == IB_CONNECTION_OPEN);
    uint8_t *out = ib_output_reserve(connection, IB_SOUP_HEADER_SIZE + strlen(text));
    if (out != NULL) {
        ib_output_commit(connection, ib_soup_encode(out, IB_SOUP_DEBUG, text, strlen(text)));
    }
}

/* False when the ring has no room: the message stays in the input buffer. */
static bool sequence_command(struct ib_connection *connection, struct ib_ouch_message *message)
{
    struct ib_gateway *gateway = connection->gateway;
    struct ib_command *command = &message->command;
    bool is_order = command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE;
    IB_ASSERT(is_order || command->type == IB_COMMAND_CANCEL || command->type == IB_COMMAND_MASS_CANCEL ||
              command->type == IB_COMMAND_MODIFY || command->type == IB_COMMAND_ORDER_ENTRY);
    IB_ASSERT(gateway->sessions[connection->session].connection == connection);
    if (command->type == IB_COMMAND_ENTER) {
        command->instrument = ib_directory_find(gateway->directory, message->symbol);
        if (command->instrument == UINT32_MAX) {
            ib_ouch_reject(command, IB_REASON_INSTRUMENT_UNKNOWN, 0);
        }
    }
    if (is_order && message->rules_2_code != 0 && gateway->config.rules < IB_RULES_2) {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, message->rules_2_code);
    }
    if (command->time_in_force == IB_TIME_IN_FORCE_GTD) {
        /* A time to live becomes a time here, where there is a clock. */
        command->expire_time_ns = ib_clock_ns(CLOCK_REALTIME) + (uint64_t)message->expire_seconds * 1000000000u;
    }
    return ib_session_sequence(gateway, connection->session, command);
}

/* The answer to a message comes once the journal has what was sequenced up to here; `before` is the last command that
 * was, before the message came. */
static void answer_later(struct ib_connection *connection, enum ib_ouch_kind kind, uint32_t user_ref, uint64_t before)
{
    IB_ASSERT(connection->answer_seq == 0); /* one at a time: the next message of such a kind waits */
    connection->answer_after = before;
    connection->answer_kind = kind;
    connection->answer_ref = user_ref;
    connection->answer_seq = connection->gateway->sequencer->seq;
    IB_ASSERT(connection->answer_seq > 0);
}

/* Mass Cancel. False when it must wait: for room, for its time, or for the answer to the one before. The answer is no
 * report, as that to an Account Query; the Canceled messages, which it goes before, are. A symbol that is not traded
 * has no orders. */
static bool mass_cancel(struct ib_connection *connection, struct ib_ouch_message *message)
{
    struct ib_gateway *gateway = connection->gateway;
    static const char blank[IB_SYMBOL_SIZE + 1] = "        ";
    bool all = memcmp(message->symbol, blank, IB_SYMBOL_SIZE) == 0;
    uint32_t user_ref = message->command.user_ref;
    uint64_t before = gateway->sequencer->seq;
    IB_ASSERT(message->command.type == IB_COMMAND_MASS_CANCEL);
    if (gateway->config.rules < IB_RULES_2) {
        ib_connection_close(connection, IB_DISCONNECT_MESSAGE_TYPE); /* it must not believe that something happened */
        return true;
    }
    message->command.user_ref = 0;
    message->command.instrument = all ? IB_INSTRUMENT_ALL : ib_directory_find(gateway->directory, message->symbol);
    _Static_assert(IB_INSTRUMENT_ALL == UINT32_MAX, "what is not found must not be taken for all");
    if (connection->answer_seq != 0 ||
        ((all || message->command.instrument != UINT32_MAX) && !sequence_command(connection, message))) {
        return false;
    }
    memcpy(connection->answer_symbol, message->symbol, IB_SYMBOL_SIZE);
    answer_later(connection, IB_OUCH_MASS_CANCEL, user_ref, before);
    return true;
}

/* Disable or Enable Order Entry. False when it must wait: for room, or for the answer to the one before. It holds from
 * here on; the journal has it for the next start, and then the client has its answer. */
static bool order_entry(struct ib_connection *connection, struct ib_ouch_message *message)
{
    struct ib_gateway *gateway = connection->gateway;
    uint32_t user_ref = message->command.user_ref;
    uint64_t before = gateway->sequencer->seq;
    IB_ASSERT(message->command.type == IB_COMMAND_ORDER_ENTRY);
    if (gateway->config.rules < IB_RULES_2) {
        ib_connection_close(connection, IB_DISCONNECT_MESSAGE_TYPE); /* as Mass Cancel */
        return true;
    }
    message->command.user_ref = 0;
    if (connection->answer_seq != 0 || !sequence_command(connection, message)) {
        return false;
    }
    gateway->sessions[connection->session].is_disabled = message->command.value != 0;
    answer_later(connection, IB_OUCH_ORDER_ENTRY, user_ref, before);
    return true;
}

/* Modify Order. False when it must wait for room. OUCH has no reject for one that cannot be served: it is ignored, and
 * the client's log told. */
static bool modify(struct ib_connection *connection, struct ib_ouch_message *message)
{
    struct ib_gateway *gateway = connection->gateway;
    IB_ASSERT(message->command.type == IB_COMMAND_MODIFY && message->command.reason == IB_REASON_NONE);
    IB_ASSERT(gateway->config.rules >= IB_RULES_1);
    const char *why = NULL;
    if (gateway->config.rules < IB_RULES_3) {
        why = "Modify Order is not carried here and was ignored: use Cancel Order or Replace Order";
    } else if (message->command.side == 0) {
        why = "Modify Order was ignored: its Side is none of B, S, T and E";
    }
    if (why == NULL) {
        return sequence_command(connection, message);
    }
    gateway->modify_ignored++;
    send_debug(connection, why);
    return true;
}

/* One message of OUCH. False when it must wait for room in the ring. */
static bool handle_message(struct ib_connection *connection, const struct ib_soup_packet *packet)
{
    struct ib_gateway *gateway = connection->gateway;
    struct ib_ouch_message message;
    IB_ASSERT(connection->session < gateway->session_count);
    IB_ASSERT(packet->payload_size <= IB_OUCH_INBOUND_SIZE_MAX);
    const char *firm = gateway->sessions[connection->session].firm;
    switch (ib_ouch_decode(packet->payload, packet->payload_size, firm, &message)) {
    case IB_OUCH_COMMAND:
        return sequence_command(connection, &message);
    case IB_OUCH_MASS_CANCEL:
        return mass_cancel(connection, &message);
    case IB_OUCH_ORDER_ENTRY:
        return order_entry(connection, &message);
    case IB_OUCH_ACCOUNT_QUERY:
        connection->queries++;
        connection->query_seq = gateway->sequencer->seq;
        ib_stream_answer_queries(connection);
        return true;
    case IB_OUCH_MODIFY:
        return modify(connection, &message);
    case IB_OUCH_UNKNOWN:
        ib_connection_close(connection, IB_DISCONNECT_MESSAGE_TYPE);
        return true;
    case IB_OUCH_MALFORMED:
        break;
    }
    ib_connection_close(connection, IB_DISCONNECT_MESSAGE_MALFORMED);
    return true;
}

/* False when the packet must wait for room in the ring. */
static bool handle_packet(struct ib_connection *connection, const struct ib_soup_packet *packet)
{
    IB_ASSERT(connection->state == IB_CONNECTION_OPEN);
    switch (packet->type) {
    case IB_SOUP_UNSEQUENCED_DATA:
        return handle_message(connection, packet);
    case IB_SOUP_CLIENT_HEARTBEAT:
    case IB_SOUP_DEBUG:
        return true;
    case IB_SOUP_LOGOUT_REQUEST:
        ib_connection_finish(connection, IB_DISCONNECT_LOGOUT);
        return true;
    default:
        ib_connection_close(connection, IB_DISCONNECT_PACKET_TYPE);
        return true;
    }
}

void ib_input_process(struct ib_connection *connection)
{
    size_t used = 0;
    IB_ASSERT(connection->state == IB_CONNECTION_LOGIN || connection->state == IB_CONNECTION_OPEN);
    if (connection->blocked) {
        connection->received_ms = connection->gateway->loop->now_ms; /* until now its silence was our own doing */
    }
    connection->blocked = false;
    ib_latency_input(connection->gateway->sequencer->latency, connection->read_ns);
    while (connection->state == IB_CONNECTION_LOGIN || connection->state == IB_CONNECTION_OPEN) {
        struct ib_soup_packet packet;
        int size = ib_soup_decode(connection->input + used, connection->input_size - used, IB_OUCH_INBOUND_SIZE_MAX,
                                  &packet);
        if (size == 0) {
            break;
        }
        if (size < 0) {
            ib_connection_close(connection, IB_DISCONNECT_PACKET_SIZE);
        } else if (connection->state == IB_CONNECTION_LOGIN) {
            handle_login(connection, &packet); /* the packet stays until its password is checked */
        } else if (handle_packet(connection, &packet)) {
            used += (size_t)size;
        } else {
            connection->blocked = true;
            break;
        }
    }
    ib_latency_input(connection->gateway->sequencer->latency, 0);
    ib_sequencer_publish(connection->gateway->sequencer);
    if (connection->state == IB_CONNECTION_CLOSING && connection->dirty) {
        ib_output_flush(connection);
    }
    if (connection->state == IB_CONNECTION_FREE || connection->state == IB_CONNECTION_CLOSING) {
        return;
    }
    IB_ASSERT(used <= connection->input_size);
    if (used > 0) {
        connection->input_size -= used;
        memmove(connection->input, connection->input + used, connection->input_size);
    }
    bool waits = connection->state == IB_CONNECTION_CHECKING || connection->state == IB_CONNECTION_HELD;
    bool reads = !waits && !connection->blocked;
    uint32_t writes = connection->handler.interest & (uint32_t)EPOLLOUT;
    ib_io_change(connection->gateway->loop, &connection->handler, writes | (reads ? (uint32_t)EPOLLIN : 0));
    if (connection->dirty) {
        ib_output_flush(connection);
    }
}

void ib_input_read(struct ib_connection *connection)
{
    struct ib_gateway *gateway = connection->gateway;
    bool login = connection->state == IB_CONNECTION_LOGIN;
    size_t limit = login ? gateway->config.bytes_before_login + 1u : IB_INPUT_SIZE;
    IB_ASSERT(!connection->blocked && connection->handler.fd >= 0);
    IB_ASSERT(connection->input_size < limit); /* a packet is at most 515 bytes: room is left after processing */
    ssize_t size = recv(connection->handler.fd, connection->input + connection->input_size,
                        limit - connection->input_size, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (size <= 0) {
        ib_connection_close(connection, IB_DISCONNECT_PEER);
        return;
    }
    connection->received_ms = gateway->loop->now_ms;
    connection->read_ns = ib_latency_read_clock(gateway->sequencer->latency);
    connection->input_size += (size_t)size;
    if (login && connection->input_size > gateway->config.bytes_before_login) {
        ib_connection_close(connection, IB_DISCONNECT_LOGIN_TOO_LONG);
        return;
    }
    ib_input_process(connection);
}
