/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_order.c: what becomes of an order: entered, matched, rested, replaced, cancelled, rejected.
 *
 * Price-time priority: the best price trades first, at one price the oldest order; the price of a trade is that of
 * the order that stood in the book. A command is either rejected as a whole, before anything is touched, or done.
 *
 * Plain orders do not come here: theirs is matcher_path.h. What it leaves over is told here what is wrong with it, or
 * done with the same pieces.
 */
#include "matcher_path.h"

static void reject(struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(reason != IB_REASON_NONE);
    turn->matcher->rejects++;
    ib_turn_number(turn, turn->command->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_rejected(turn, reason);
    }
}

/* Why type, time in force, size or price of the command cannot be; IB_REASON_NONE when they can. `executed` is what
 * the order has traded already: its total size must stay above it. */
static uint8_t refusal_of_terms(const struct ib_command *command, const struct ib_book_instrument *instrument,
                                       uint64_t executed, uint64_t *ticks)
{
    IB_ASSERT(instrument->tick >= 1);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    *ticks = 0;
    if (command->order_type != IB_ORDER_LIMIT && command->order_type != IB_ORDER_MARKET) {
        return IB_REASON_ORDER_TYPE_INVALID;
    }
    if (command->time_in_force != IB_TIME_IN_FORCE_DAY && command->time_in_force != IB_TIME_IN_FORCE_IOC) {
        return IB_REASON_TIME_IN_FORCE_INVALID;
    }
    if (command->quantity <= executed || command->quantity > IB_QUANTITY_MAX) {
        return IB_REASON_QUANTITY_INVALID;
    }
    if (command->order_type == IB_ORDER_LIMIT && !ib_book_ticks(instrument, command->price, ticks)) {
        return IB_REASON_PRICE_INVALID;
    }
    return IB_REASON_NONE;
}

/* For what is not plain, one compiled copy is enough. */
static void match(struct ib_turn *turn, struct ib_incoming *incoming)
{
    IB_ASSERT(incoming->remaining > 0);
    IB_ASSERT(incoming->remaining <= IB_QUANTITY_MAX);
    const struct ib_price_index *opposite = ib_book_side(&turn->matcher->book, incoming->side_index ^ 1);
    ib_match(turn, incoming, opposite, ib_turn_is_reporting(turn));
}

static uint8_t refusal_of_enter(const struct ib_turn *turn, uint64_t *ticks)
{
    const struct ib_command *command = turn->command;
    const struct ib_book *book = &turn->matcher->book;
    if (command->reason != IB_REASON_NONE) {
        return command->reason;
    }
    if (turn->matcher->trading_state != IB_TRADING_OPEN) {
        return IB_REASON_HALTED;
    }
    if (command->instrument >= book->instrument_count) {
        return IB_REASON_INSTRUMENT_UNKNOWN;
    }
    if (command->side != IB_SIDE_BUY && command->side != IB_SIDE_SELL) {
        return IB_REASON_SIDE_INVALID;
    }
    uint8_t reason = refusal_of_terms(command, &book->instruments[command->instrument], 0, ticks);
    if (reason == IB_REASON_NONE && ib_may_rest(command->order_type, command->time_in_force) && ib_book_is_full(book)) {
        reason = IB_REASON_BOOK_FULL; /* even if it would trade at once: whether it does is not known yet */
    }
    return reason;
}

void ib_turn_enter(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    const struct ib_command *command = turn->command;
    uint64_t ticks;
    uint8_t reason = refusal_of_enter(turn, &ticks);
    if (reason != IB_REASON_NONE) {
        reject(turn, reason);
        return;
    }
    struct ib_incoming incoming = {
        .side_index = 2 * command->instrument + ib_side_number(command->side),
        .time_in_force = command->time_in_force,
        .order_type = command->order_type,
        .key = ib_book_key(ib_side_number(command->side), ticks),
        .price = command->price,
        .order_ref = command->seq, /* unique, and in order of time */
        .remaining = command->quantity,
        .client_data = command->client_data,
    };
    ib_turn_number(turn, command->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_accepted(turn, &incoming);
    }
    match(turn, &incoming);
}

static uint8_t refusal_of_replace(const struct ib_turn *turn, uint32_t index, uint64_t *ticks)
{
    IB_ASSERT(turn->command->type == IB_COMMAND_REPLACE);
    const struct ib_command *command = turn->command;
    const struct ib_book *book = &turn->matcher->book;
    if (command->reason != IB_REASON_NONE) {
        return command->reason;
    }
    if (turn->matcher->trading_state != IB_TRADING_OPEN) {
        return IB_REASON_HALTED;
    }
    if (index == IB_NONE) {
        return IB_REASON_ORDER_UNKNOWN;
    }
    uint32_t instrument = ib_level_instrument(ib_book_level(book, ib_book_order(book, index)->level));
    return refusal_of_terms(command, &book->instruments[instrument], ib_book_executed(book, index), ticks);
}

/* What a Replace does not say again stays as it was entered: each zero byte of its client data is the old order's. */
static void inherit_client_data(uint8_t *merged, const uint8_t *said, const uint8_t *before)
{
    IB_ASSERT(merged != said && merged != before);
    for (size_t i = 0; i < IB_CLIENT_DATA_SIZE; i++) {
        merged[i] = said[i] != 0 ? said[i] : before[i];
    }
}

void ib_turn_replace(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    uint32_t index = ib_book_find(book, command->session, command->user_ref_original);
    uint64_t ticks;
    uint8_t reason = refusal_of_replace(turn, index, &ticks);
    if (reason != IB_REASON_NONE) {
        reject(turn, reason);
        return;
    }
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level *level = ib_book_level(book, order->level);
    uint64_t before_ref = ib_order_ref(order);
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
    inherit_client_data(client_data, command->client_data, ib_book_client_data(book, index));
    struct ib_incoming incoming = {
        .side_index = level->side_index,
        .time_in_force = command->time_in_force,
        .order_type = command->order_type,
        .key = ib_book_key(level->side_index & 1, ticks),
        .price = command->price,
        .order_ref = command->seq,
        .executed = ib_book_executed(book, index),
        .client_data = client_data,
    };
    incoming.remaining = command->quantity - incoming.executed;
    int keeps_priority = ib_may_rest(command->order_type, command->time_in_force) &&
                         incoming.key == level->key &&
                         incoming.remaining <= ib_order_remaining(order);
    if (keeps_priority) {
        incoming.order_ref = before_ref;
        ib_book_shrink(book, index, incoming.remaining);
        ib_book_rename(book, index, command->user_ref, command->time_in_force, client_data);
    } else {
        ib_book_remove(book, index);
    }
    ib_turn_number(turn, command->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_replaced(turn, &incoming, before_ref, keeps_priority);
    }
    if (!keeps_priority) {
        match(turn, &incoming);
    }
}

void ib_turn_cancel(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    uint32_t index = ib_book_find(book, command->session, command->user_ref);
    if (index == IB_NONE) {
        return; /* unknown, foreign, filled or cancelled before: the client's own stream has told it */
    }
    uint64_t before = ib_order_remaining(ib_book_order(book, index));
    uint64_t executed = ib_book_executed(book, index);
    uint64_t remaining = command->quantity > executed ? command->quantity - executed : 0;
    if (remaining >= before) {
        return; /* the new size is not smaller */
    }
    ib_turn_number(turn, command->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_canceled(turn, index, before - remaining, remaining);
    }
    if (remaining == 0) {
        ib_book_remove(book, index);
    } else {
        ib_book_shrink(book, index, remaining);
    }
}
