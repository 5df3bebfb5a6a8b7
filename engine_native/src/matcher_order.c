/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_order.c: what becomes of an order: entered, matched, rested, replaced, cancelled, rejected.
 *
 * Price-time priority: the best price trades first, at one price the oldest order; the price of a trade is that of
 * the order that stood in the book. A command is either rejected as a whole, before anything is touched, or done.
 *
 * This is the path of every order. It builds no event that nobody takes, allocates nothing, divides nothing, and walks
 * no further than what it trades.
 */
#include "book_path.h"
#include "matcher_state.h"

static void reject(struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(reason != IB_REASON_NONE);
    turn->matcher->rejects++;
    if (ib_turn_number(turn, turn->command->session)) {
        ib_event_rejected(turn, reason);
    }
}

/* Why type, time in force, size or price of the command cannot be; IB_REASON_NONE when they can. `executed` is what
 * the order has traded already: its total size must stay above it. */
static inline uint8_t refusal_of_terms(const struct ib_command *command, const struct ib_book_instrument *instrument,
                                       uint64_t executed, uint64_t *ticks)
{
    IB_EXPECT(instrument->tick >= 1 && executed <= IB_QUANTITY_MAX);
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

/* What is left of it may stand in the book. */
static inline int may_rest(uint8_t order_type, uint8_t time_in_force)
{
    return order_type == IB_ORDER_LIMIT && time_in_force == IB_TIME_IN_FORCE_DAY;
}

/* Both reports of one match; `index` has not been touched yet, `incoming` has. */
static inline void report_trade(struct ib_turn *turn, const struct ib_incoming *incoming, uint32_t index,
                                uint64_t quantity, int64_t price)
{
    const struct ib_order *resting = ib_book_order(&turn->matcher->book, index);
    struct ib_event event;
    if (ib_turn_number(turn, ib_order_session(resting))) {
        event = (struct ib_event){.type = IB_EVENT_EXECUTED, .quantity = quantity};
        event.match_ref = turn->matcher->match_ref;
        event.remaining = ib_order_remaining(resting) - quantity;
        ib_event_resting(turn, index, event);
    }
    if (ib_turn_number(turn, turn->command->session)) {
        event = (struct ib_event){.type = IB_EVENT_EXECUTED, .quantity = quantity, .price = price};
        event.match_ref = turn->matcher->match_ref;
        event.remaining = incoming->remaining;
        event.flags = IB_FLAG_INCOMING;
        ib_event_incoming(turn, incoming, turn->command->session, event);
    }
}

/* Trades with the best opposite level, oldest order first, until one of the two is used up. */
static void trade_level(struct ib_turn *turn, struct ib_incoming *incoming, uint32_t level_index)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    const struct ib_level *level = ib_book_level(book, level_index);
    IB_ASSERT(level->head != IB_NONE);
    int64_t price = ib_book_price(book, level);
    uint64_t before = incoming->remaining;
    uint32_t index = level->head;
    do {
        uint64_t open = ib_order_remaining(ib_book_order(book, index));
        uint64_t quantity = incoming->remaining < open ? incoming->remaining : open;
        uint32_t next = ib_book_order(book, index)->next;
        incoming->remaining -= quantity;
        matcher->match_ref++;
        report_trade(turn, incoming, index, quantity, price);
        if (quantity < open) {
            ib_book_fill_part(book, index, quantity);
            break;
        }
        ib_book_remove(book, index);
        index = next;
    } while (index != IB_NONE && incoming->remaining > 0);
    uint64_t traded = before - incoming->remaining;
    incoming->executed += traded;
    matcher->traded_quantity += traded;
    matcher->notional += (ib_uint128)(uint64_t)price * traded;
}

/* Trades what can be traded; what is left rests or is cancelled. */
static inline void match(struct ib_turn *turn, struct ib_incoming *incoming)
{
    struct ib_book *book = &turn->matcher->book;
    const struct ib_command *command = turn->command;
    const struct ib_price_index *opposite = ib_book_side(book, incoming->side_index ^ 1);
    uint64_t key = ib_book_key(incoming->side_index & 1, incoming->ticks);
    /* The same price on the other side is the complement; a market order takes any, the worst key there is. */
    uint64_t limit = incoming->order_type == IB_ORDER_MARKET ? IB_KEY_NONE - 1 : ~key;
    while (opposite->best_key <= limit && incoming->remaining > 0) {
        trade_level(turn, incoming, opposite->best);
    }
    if (incoming->remaining == 0) {
        return;
    }
    if (!may_rest(incoming->order_type, incoming->time_in_force)) {
        if (ib_turn_number(turn, command->session)) {
            struct ib_event event = {.type = IB_EVENT_CANCELED, .reason = IB_REASON_IMMEDIATE_OR_CANCEL};
            event.quantity = incoming->remaining;
            event.flags = IB_FLAG_INCOMING;
            ib_event_incoming(turn, incoming, command->session, event);
        }
        return;
    }
    struct ib_book_entry entry = {
        .side_index = incoming->side_index,
        .user_ref = command->user_ref,
        .session = command->session,
        .time_in_force = incoming->time_in_force,
        .order_type = incoming->order_type,
        .key = key,
        .order_ref = incoming->order_ref,
        .remaining = incoming->remaining,
        .executed = incoming->executed,
        .client_data = incoming->client_data,
    };
    ib_book_rest(book, &entry);
    if (ib_turn_number(turn, IB_SESSION_NONE)) {
        struct ib_event event = {.type = IB_EVENT_RESTED, .flags = IB_FLAG_RESTING};
        event.quantity = event.remaining = incoming->remaining;
        ib_event_incoming(turn, incoming, IB_SESSION_NONE, event);
    }
}

static inline uint8_t refusal_of_enter(const struct ib_turn *turn, uint64_t *ticks)
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
    if (reason == IB_REASON_NONE && may_rest(command->order_type, command->time_in_force) && ib_book_is_full(book)) {
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
        .ticks = ticks,
        .price = command->price,
        .order_ref = command->seq, /* unique, and in order of time */
        .remaining = command->quantity,
        .client_data = command->client_data,
    };
    if (ib_turn_number(turn, command->session)) {
        struct ib_event event = {.type = IB_EVENT_ACCEPTED, .flags = IB_FLAG_INCOMING};
        event.quantity = event.remaining = command->quantity;
        ib_event_incoming(turn, &incoming, command->session, event);
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

static void report_replaced(struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref, int kept)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(before_ref <= incoming->order_ref);
    if (ib_turn_number(turn, turn->command->session)) {
        struct ib_event event = {.type = IB_EVENT_REPLACED, .match_ref = before_ref, .flags = IB_FLAG_RESTING};
        event.user_ref_original = turn->command->user_ref_original;
        event.quantity = event.remaining = incoming->remaining;
        event.flags |= kept ? (uint32_t)IB_FLAG_PRIORITY_KEPT : 0u;
        ib_event_incoming(turn, incoming, turn->command->session, event);
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
        .ticks = ticks,
        .price = command->price,
        .order_ref = command->seq,
        .executed = ib_book_executed(book, index),
        .client_data = client_data,
    };
    incoming.remaining = command->quantity - incoming.executed;
    int keeps_priority = may_rest(command->order_type, command->time_in_force) &&
                         ib_book_key(level->side_index & 1, ticks) == level->key &&
                         incoming.remaining <= ib_order_remaining(order);
    if (keeps_priority) {
        incoming.order_ref = before_ref;
        ib_book_shrink(book, index, incoming.remaining);
        ib_book_rename(book, index, command->user_ref, command->time_in_force, client_data);
        report_replaced(turn, &incoming, before_ref, 1);
        return;
    }
    ib_book_remove(book, index);
    report_replaced(turn, &incoming, before_ref, 0);
    match(turn, &incoming);
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
    uint64_t remaining = 0;
    if (command->quantity != 0) {
        uint64_t executed = ib_book_executed(book, index);
        remaining = command->quantity > executed ? command->quantity - executed : 0;
        if (remaining >= before) {
            return; /* the new size is not smaller */
        }
    }
    if (ib_turn_number(turn, command->session)) {
        struct ib_event event = {.type = IB_EVENT_CANCELED, .reason = IB_REASON_USER, .remaining = remaining};
        event.quantity = before - remaining;
        ib_event_resting(turn, index, event);
    }
    if (remaining == 0) {
        ib_book_remove(book, index);
    } else {
        ib_book_shrink(book, index, remaining);
    }
}
