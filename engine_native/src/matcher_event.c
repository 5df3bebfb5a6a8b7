/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_event.c: building events, for whoever takes them. None of this runs when nobody does.
 */
#include "matcher_state.h"

/* Completes the event from the command and from the numbers that ib_turn_number has given, and hands it out. */
static void emit(const struct ib_turn *turn, struct ib_event *event, uint16_t session)
{
    IB_ASSERT(turn->sink.emit != NULL);
    IB_ASSERT(turn->index > 0 && event->type >= IB_EVENT_ACCEPTED);
    event->seq = turn->command->seq;
    event->time_ns = turn->command->time_ns;
    event->index = turn->index - 1;
    event->session = session;
    event->session_seq = session == IB_SESSION_NONE ? 0 : turn->matcher->sessions[session].session_seq;
    turn->sink.emit(turn->sink.context, event);
}

void ib_event_incoming(const struct ib_turn *turn, const struct ib_incoming *incoming, uint16_t session,
                       struct ib_event event)
{
    IB_ASSERT(incoming->order_ref > 0);
    IB_ASSERT(session == turn->command->session || session == IB_SESSION_NONE);
    event.instrument = incoming->side_index >> 1;
    event.user_ref = turn->command->user_ref;
    event.side = (incoming->side_index & 1) ? IB_SIDE_SELL : IB_SIDE_BUY;
    event.time_in_force = incoming->time_in_force;
    event.order_type = incoming->order_type;
    event.order_ref = incoming->order_ref;
    event.price = event.type == IB_EVENT_EXECUTED ? event.price : incoming->price;
    memcpy(event.client_data, incoming->client_data, sizeof event.client_data);
    emit(turn, &event, session);
}

void ib_event_resting(const struct ib_turn *turn, uint32_t index, struct ib_event event)
{
    const struct ib_book *book = &turn->matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level *level = ib_book_level(book, order->level);
    IB_ASSERT(index != IB_NONE && order->level != IB_NONE);
    event.instrument = ib_level_instrument(level);
    event.user_ref = order->user_ref;
    event.side = ib_level_side(level);
    event.time_in_force = ib_order_time_in_force(order);
    event.order_type = ib_order_type(order);
    event.order_ref = ib_order_ref(order);
    event.price = ib_book_price(book, level);
    event.flags = IB_FLAG_RESTING;
    memcpy(event.client_data, ib_book_client_data(book, index), sizeof event.client_data);
    emit(turn, &event, ib_order_session(order));
}

void ib_event_rejected(const struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 1);
    IB_ASSERT(reason != IB_REASON_NONE);
    const struct ib_command *command = turn->command;
    struct ib_event event = {
        .type = IB_EVENT_REJECTED,
        .instrument = command->instrument,
        .user_ref = command->user_ref,
        .user_ref_original = command->user_ref_original,
        .side = command->side,
        .time_in_force = command->time_in_force,
        .order_type = command->order_type,
        .reason = reason,
        .price = command->price,
        .quantity = command->quantity,
    };
    memcpy(event.client_data, command->client_data, sizeof event.client_data);
    emit(turn, &event, command->session);
}

void ib_event_plain(const struct ib_turn *turn, uint16_t session, uint16_t type, uint8_t reason)
{
    IB_ASSERT(type == IB_EVENT_TRADING_STATE || type == IB_EVENT_END_OF_DAY);
    struct ib_event event = {.type = type, .reason = reason};
    emit(turn, &event, session);
}
