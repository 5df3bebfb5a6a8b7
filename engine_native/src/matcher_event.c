/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_event.c: building events, for whoever takes them. None of this runs when nobody does.
 */
#include "book_rare.h"
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

/* ---- the order that comes in ---- */

/* The fields that every event about it has. */
static struct ib_event about_incoming(const struct ib_incoming *incoming, uint16_t type, uint32_t flags)
{
    IB_ASSERT(incoming->order_ref > 0);
    IB_ASSERT(incoming->client_data != NULL);
    struct ib_event event = {
        .type = type,
        .instrument = incoming->side_index >> 1,
        .user_ref = incoming->user_ref,
        .side = (incoming->side_index & 1) ? IB_SIDE_SELL : IB_SIDE_BUY,
        .time_in_force = incoming->time_in_force,
        .order_type = incoming->order_type,
        .order_ref = incoming->order_ref,
        .price = incoming->price,
        .quantity = incoming->remaining,
        .remaining = incoming->remaining,
        .flags = flags | (incoming->is_hidden ? (uint32_t)IB_FLAG_HIDDEN : 0u),
    };
    memcpy(event.client_data, incoming->client_data, sizeof event.client_data);
    return event;
}

void ib_event_accepted(const struct ib_turn *turn, const struct ib_incoming *incoming)
{
    struct ib_event event = about_incoming(incoming, IB_EVENT_ACCEPTED, IB_FLAG_INCOMING);
    emit(turn, &event, incoming->session);
}

void ib_event_rested(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t displayed)
{
    struct ib_event event = about_incoming(incoming, IB_EVENT_RESTED, IB_FLAG_RESTING);
    event.displayed = displayed;
    emit(turn, &event, IB_SESSION_NONE);
}

void ib_event_dropped(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity, uint8_t reason)
{
    IB_ASSERT(quantity > 0 && quantity <= incoming->remaining);
    IB_ASSERT(reason != IB_REASON_NONE);
    struct ib_event event = about_incoming(incoming, IB_EVENT_CANCELED, IB_FLAG_INCOMING);
    event.reason = reason;
    event.quantity = quantity;
    event.remaining = incoming->remaining - quantity;
    emit(turn, &event, incoming->session);
}

void ib_event_replaced(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref,
                       uint32_t flags, uint64_t displayed)
{
    IB_ASSERT(before_ref <= incoming->order_ref);
    struct ib_event event = about_incoming(incoming, IB_EVENT_REPLACED, flags);
    event.user_ref_original = turn->command->user_ref_original;
    event.match_ref = before_ref;
    event.displayed = displayed;
    emit(turn, &event, incoming->session);
}

void ib_event_executed(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity, int64_t price)
{
    struct ib_event event = about_incoming(incoming, IB_EVENT_EXECUTED, IB_FLAG_INCOMING);
    event.match_ref = turn->matcher->match_ref;
    event.quantity = quantity;
    event.price = price;
    emit(turn, &event, incoming->session);
}

void ib_event_released(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref)
{
    IB_ASSERT(before_ref < incoming->order_ref);
    struct ib_event event = about_incoming(incoming, IB_EVENT_RELEASED, 0);
    event.match_ref = before_ref;
    emit(turn, &event, IB_SESSION_NONE);
}

/* ---- an order in the book ---- */

/* The fields that every event about it has. */
static struct ib_event about_live(const struct ib_turn *turn, uint32_t index, uint16_t type)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_book *book = &turn->matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level *level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    IB_ASSERT(order->level != IB_NONE);
    int parked = ib_level_is_parked(level);
    int hidden = parked ? ib_book_extra_of(book, index)->is_hidden : ib_level_place(level) == IB_PLACE_HIDDEN;
    struct ib_event event = {
        .type = type,
        .instrument = ib_level_instrument(level),
        .user_ref = order->user_ref,
        .side = ib_level_side(level),
        .time_in_force = ib_order_time_in_force(order),
        .order_type = ib_order_type(order),
        .order_ref = ib_order_ref(order),
        .price = parked ? extra->price : ib_book_any_price(book, level),
        .flags = (parked ? 0u : (uint32_t)IB_FLAG_RESTING) | (hidden ? (uint32_t)IB_FLAG_HIDDEN : 0u),
    };
    memcpy(event.client_data, ib_book_client_data(book, index), sizeof event.client_data);
    return event;
}

static void emit_loss(const struct ib_turn *turn, struct ib_event *event, uint32_t index, uint64_t quantity)
{
    const struct ib_order *order = ib_book_order(&turn->matcher->book, index);
    IB_ASSERT(quantity > 0);
    IB_ASSERT(quantity <= ib_order_remaining(order));
    event->quantity = quantity;
    event->remaining = ib_order_remaining(order) - quantity;
    emit(turn, event, ib_order_session(order));
}

void ib_event_resting_executed(const struct ib_turn *turn, uint32_t index, uint64_t quantity, uint64_t displayed)
{
    struct ib_event event = about_live(turn, index, IB_EVENT_EXECUTED);
    event.match_ref = turn->matcher->match_ref;
    event.displayed = displayed;
    emit_loss(turn, &event, index, quantity);
}

void ib_event_auctioned(const struct ib_turn *turn, uint32_t index, uint64_t quantity, int64_t price,
                        uint64_t displayed)
{
    struct ib_event event = about_live(turn, index, IB_EVENT_EXECUTED);
    event.match_ref = turn->matcher->match_ref;
    event.price = price;
    event.displayed = displayed;
    event.flags |= IB_FLAG_AUCTION;
    emit_loss(turn, &event, index, quantity);
}

void ib_event_canceled(const struct ib_turn *turn, uint32_t index, uint64_t quantity, uint8_t reason,
                       uint64_t displayed)
{
    IB_ASSERT(reason != IB_REASON_NONE);
    struct ib_event event = about_live(turn, index, IB_EVENT_CANCELED);
    event.reason = reason;
    event.displayed = displayed;
    emit_loss(turn, &event, index, quantity);
}

void ib_event_refreshed(const struct ib_turn *turn, uint32_t index, uint64_t before_ref)
{
    const struct ib_book *book = &turn->matcher->book;
    struct ib_event event = about_live(turn, index, IB_EVENT_REFRESHED);
    IB_ASSERT(before_ref < event.order_ref);
    uint64_t remaining = ib_order_remaining(ib_book_order(book, index));
    uint64_t shown = ib_book_shown(book, index);
    event.match_ref = before_ref;
    event.quantity = remaining;
    event.remaining = remaining;
    event.displayed = shown < remaining ? shown : 0;
    emit(turn, &event, IB_SESSION_NONE);
}

/* ---- no order ---- */

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

void ib_event_told(const struct ib_turn *turn, struct ib_event *event)
{
    IB_ASSERT(event->type >= IB_EVENT_PHASE);
    IB_ASSERT(event->session_seq == 0);
    emit(turn, event, IB_SESSION_NONE);
}
