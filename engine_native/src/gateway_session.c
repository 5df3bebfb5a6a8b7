/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_session.c: what is a session's, whichever connection it has: order entry (gateway_input.c) or the command
 * stream (command_feed.c). The rule on numbers, room in the event log, and the end of its connection.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "gateway_internal.h"

/* Whether the account's mass cancels have cost the others little enough for one more. */
static bool may_cancel(struct ib_gateway *gateway, const struct ib_gateway_session_state *state)
{
    const struct ib_sequencer *sequencer = gateway->sequencer;
    IB_ASSERT(sequencer->released_seq <= sequencer->seq);
    IB_ASSERT(state->cancels < IB_ACCOUNTS_MAX + IB_SESSIONS_MAX);
    bool may = ib_cancel_budget_allows(&sequencer->cancels, state->cancels, sequencer->released_seq,
                                       ib_latency_clock_ns());
    gateway->waiting = gateway->waiting || !may;
    return may;
}

bool ib_session_cancel(struct ib_gateway *gateway, uint16_t session)
{
    struct ib_gateway_session_state *state = &gateway->sessions[session];
    const struct ib_command command = {.type = IB_COMMAND_MASS_CANCEL,
                                       .session = session,
                                       .account = IB_ACCOUNT_ANY,
                                       .instrument = IB_INSTRUMENT_ALL};
    IB_ASSERT(session < gateway->session_count);
    if (!state->cancel_due) {
        return true;
    }
    IB_ASSERT(gateway->cancels_due > 0);
    if (!gateway->ended && state->has_orders) {
        if (!ib_sequencer_admits(gateway->sequencer, &command) ||
            !ib_sequencer_submit(gateway->sequencer, &command)) {
            return false;
        }
        ib_sequencer_publish(gateway->sequencer);
        ib_cancel_budget_take(&gateway->sequencer->cancels, state->cancels, gateway->sequencer->seq);
        state->has_orders = false;
        state->owes = true;
    }
    state->cancel_due = false;
    gateway->cancels_due--;
    return true;
}

bool ib_session_sequence(struct ib_gateway *gateway, uint16_t session, struct ib_command *command)
{
    struct ib_gateway_session_state *state = &gateway->sessions[session];
    bool is_order = command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE;
    IB_ASSERT(session < gateway->session_count);
    bool is_mass_cancel = command->type == IB_COMMAND_MASS_CANCEL;
    IB_ASSERT(is_order || is_mass_cancel || command->type == IB_COMMAND_CANCEL || command->type == IB_COMMAND_MODIFY ||
              command->type == IB_COMMAND_ORDER_ENTRY);
    if (gateway->ended) {
        return true; /* after End of Day the stream has ended: there is no number for an answer */
    }
    if (is_order && command->user_ref <= state->last_user_ref) {
        gateway->repeats++; /* OUCH 5.0, 1.2: a retransmission, ignored */
        return true;
    }
    if (!ib_session_cancel(gateway, session)) {
        return false; /* first what its last connection left */
    }
    if ((is_mass_cancel || (is_order && state->owes)) && !may_cancel(gateway, state)) {
        return false; /* the others have their turn */
    }
    if (is_order && state->is_disabled) {
        ib_ouch_reject_disabled(command);
    }
    bool has_room = ib_sequencer_has_room(gateway->sequencer, command);
    if (!has_room && !ib_sequencer_disk_is_full(gateway->sequencer)) {
        gateway->waiting = true; /* the next segment is being made */
        return false;
    }
    if (is_order && !ib_sequencer_admits(gateway->sequencer, command)) {
        ib_ouch_reject(command, has_room ? IB_REASON_EVENT_LOG_FULL : IB_REASON_JOURNAL_FULL, 0);
    }
    if (!ib_sequencer_admits(gateway->sequencer, command)) {
        if (!ib_sequencer_has_room(gateway->sequencer, command)) {
            gateway->waiting = true; /* engine_room.c has said so, and looks again */
        } else if (!gateway->full) {
            gateway->full = true;
            fprintf(stderr, "ironbook: order entry: %s: the event log is full, no order is taken any more: raise "
                            "limits.events and restart\n", state->username);
        }
        return false;
    }
    command->session = session;
    if (!ib_sequencer_submit(gateway->sequencer, command)) {
        return false;
    }
    if (is_order) {
        state->last_user_ref = command->user_ref;
        state->has_orders = state->has_orders || command->reason == IB_REASON_NONE;
        state->owes = false;
    } else if (is_mass_cancel) {
        ib_cancel_budget_take(&gateway->sequencer->cancels, state->cancels, gateway->sequencer->seq);
    }
    return true;
}

bool ib_gateway_submit(struct ib_gateway *gateway, uint16_t session, const struct ib_command *command)
{
    struct ib_command copy = *command;
    IB_ASSERT(session < gateway->session_count && gateway->sessions[session].is_taken);
    IB_ASSERT(copy.reason == IB_REASON_NONE && gateway->config.rules >= IB_RULES_2);
    if (copy.type == IB_COMMAND_MASS_CANCEL) {
        copy.account = IB_ACCOUNT_ANY;
    }
    bool taken = ib_session_sequence(gateway, session, &copy);
    ib_sequencer_publish(gateway->sequencer);
    return taken;
}

uint16_t ib_gateway_find_session(const struct ib_gateway *gateway, const char username[IB_USERNAME_SIZE])
{
    IB_ASSERT(gateway != NULL && username != NULL);
    uint16_t session = ib_matcher_find_session(gateway->matcher, username);
    IB_ASSERT(session == IB_SESSION_NONE || session < gateway->session_count);
    return session != IB_SESSION_NONE && gateway->sessions[session].secret != NULL ? session
                                                                                   : (uint16_t)IB_SESSION_NONE;
}

bool ib_gateway_enter_session(struct ib_gateway *gateway, uint16_t session)
{
    struct ib_gateway_session_state *state = &gateway->sessions[session];
    IB_ASSERT(session < gateway->session_count);
    if (state->connection != NULL || state->is_taken) {
        return false;
    }
    state->is_taken = true;
    IB_ASSERT(state->secret != NULL);
    return true;
}

void ib_session_disconnected(struct ib_gateway *gateway, uint16_t session)
{
    struct ib_gateway_session_state *state = &gateway->sessions[session];
    IB_ASSERT(state->connection == NULL && !state->is_taken);
    if (state->cancel_on_disconnect && !state->cancel_due) {
        state->cancel_due = true; /* sequenced in the next turn: here may be no room */
        gateway->cancels_due++;
    }
    IB_ASSERT(gateway->cancels_due <= gateway->session_count);
}

void ib_gateway_leave_session(struct ib_gateway *gateway, uint16_t session)
{
    IB_ASSERT(session < gateway->session_count);
    IB_ASSERT(gateway->sessions[session].is_taken);
    gateway->sessions[session].is_taken = false;
    ib_session_disconnected(gateway, session);
}

uint32_t ib_gateway_find_instrument(const struct ib_gateway *gateway, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(gateway != NULL);
    IB_ASSERT(symbol != NULL);
    return ib_directory_find(gateway->directory, symbol);
}
