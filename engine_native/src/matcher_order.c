/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_order.c: what becomes of an order: entered, matched, rested, replaced, cancelled, rejected.
 *
 * Price-time priority: the best price trades first, at one price the oldest order; the price of a trade is that of
 * the order that stood in the book. A command is either rejected as a whole, before anything is touched, or done.
 */
#include "matcher_state.h"

/* The order that is being matched. Its description is the event that reports it: all its reports are that one event
 * with another type and other numbers, so it is built once. `event.remaining` is what is open of it. */
struct incoming {
    struct ib_event event;
    uint64_t ticks; /* limit orders only */
    uint64_t executed;
};

static void describe_incoming(struct incoming *incoming, const struct ib_command *command, uint32_t instrument,
                              uint8_t side)
{
    IB_ASSERT(side == IB_SIDE_BUY || side == IB_SIDE_SELL);
    IB_ASSERT(instrument != UINT32_MAX);
    incoming->event = (struct ib_event){
        .instrument = instrument,
        .user_ref = command->user_ref,
        .side = side,
        .time_in_force = command->time_in_force,
        .order_type = command->order_type,
        .order_ref = command->seq, /* unique, and in order of time */
        .price = command->price,
        .remaining = command->quantity,
    };
    memcpy(incoming->event.client_data, command->client_data, sizeof incoming->event.client_data);
}

static struct ib_event event_of_resting(const struct ib_book *book, const struct ib_order *order, uint16_t type)
{
    IB_ASSERT(order->level != IB_NONE);
    IB_ASSERT(ib_order_remaining(order) > 0);
    const struct ib_level *level = ib_book_level(book, order->level);
    struct ib_event event = {
        .type = type,
        .instrument = ib_level_instrument(level),
        .user_ref = order->user_ref,
        .side = ib_level_side(level),
        .time_in_force = order->time_in_force,
        .order_type = order->order_type,
        .order_ref = ib_order_ref(order),
        .price = ib_book_price(book, level),
        .remaining = ib_order_remaining(order),
        .flags = IB_FLAG_RESTING,
    };
    memcpy(event.client_data, order->client_data, sizeof event.client_data);
    return event;
}

static void reject(struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 0);
    const struct ib_command *command = turn->command;
    IB_ASSERT(reason != IB_REASON_NONE);
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
    turn->matcher->rejects++;
    ib_turn_emit(turn, &event, command->session);
}

/* Why type, time in force, size or price of the command cannot be; IB_REASON_NONE when they can. `executed` is what
 * the order has traded already: its total size must stay above it. */
static uint8_t refusal_of_terms(const struct ib_command *command, const struct ib_book_instrument *instrument,
                                uint64_t executed, uint64_t *ticks)
{
    IB_ASSERT(instrument->tick >= 1);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    if (command->order_type != IB_ORDER_LIMIT && command->order_type != IB_ORDER_MARKET) {
        return IB_REASON_ORDER_TYPE_INVALID;
    }
    if (command->time_in_force != IB_TIME_IN_FORCE_DAY && command->time_in_force != IB_TIME_IN_FORCE_IOC) {
        return IB_REASON_TIME_IN_FORCE_INVALID;
    }
    if (command->quantity <= executed || command->quantity > IB_QUANTITY_MAX) {
        return IB_REASON_QUANTITY_INVALID;
    }
    *ticks = 0;
    if (command->order_type == IB_ORDER_LIMIT && !ib_book_ticks(instrument, command->price, ticks)) {
        return IB_REASON_PRICE_INVALID;
    }
    return IB_REASON_NONE;
}

/* What is left of it may stand in the book. */
static int may_rest(uint8_t order_type, uint8_t time_in_force)
{
    return order_type == IB_ORDER_LIMIT && time_in_force == IB_TIME_IN_FORCE_DAY;
}

/* One match between the incoming order and the oldest order of the best opposite level. `report` is the event of the
 * resting side, complete but for what differs from fill to fill. */
static void trade(struct ib_turn *turn, struct incoming *incoming, const struct ib_level *level, struct ib_event *report)
{
    IB_ASSERT(level->head != IB_NONE);
    IB_ASSERT(incoming->event.remaining > 0);
    struct ib_matcher *matcher = turn->matcher;
    struct ib_event *event = &incoming->event;
    uint32_t resting_index = level->head;
    const struct ib_order *resting = ib_book_order(&matcher->book, resting_index);
    int64_t price = ib_book_price(&matcher->book, level);
    uint64_t open = ib_order_remaining(resting);
    uint64_t quantity = event->remaining < open ? event->remaining : open;
    matcher->match_ref++;
    matcher->traded_quantity += quantity;
    matcher->notional += (ib_uint128)(uint64_t)price * quantity;

    report->user_ref = resting->user_ref;
    report->time_in_force = resting->time_in_force;
    report->order_type = resting->order_type;
    report->order_ref = ib_order_ref(resting);
    report->price = price;
    report->quantity = quantity;
    report->remaining = open - quantity;
    report->match_ref = matcher->match_ref;
    memcpy(report->client_data, resting->client_data, sizeof report->client_data);
    ib_turn_emit(turn, report, resting->session);

    incoming->executed += quantity;
    event->remaining -= quantity;
    event->quantity = quantity;
    event->price = price;
    event->match_ref = matcher->match_ref;
    ib_turn_emit(turn, event, turn->command->session);

    ib_book_fill(&matcher->book, resting_index, quantity);
}

/* Trades while the best opposite price is good enough. */
static void trade_all(struct ib_turn *turn, struct incoming *incoming)
{
    IB_ASSERT(turn->index == 1);
    IB_ASSERT(incoming->event.remaining > 0);
    const struct ib_book *book = &turn->matcher->book;
    struct ib_event *event = &incoming->event;
    unsigned opposite = !ib_side_number(event->side);
    /* A market order takes any price: the worst key there is. */
    uint64_t limit = event->order_type == IB_ORDER_MARKET ? UINT64_MAX : ib_book_key(opposite, incoming->ticks);
    uint32_t best = ib_book_best(book, event->instrument, opposite);
    if (best == IB_NONE || ib_book_level(book, best)->key > limit) {
        return; /* the usual case: nothing to report */
    }
    int64_t price = event->price;
    struct ib_event report = {
        .type = IB_EVENT_EXECUTED,
        .instrument = event->instrument,
        .side = opposite ? IB_SIDE_SELL : IB_SIDE_BUY,
        .flags = IB_FLAG_RESTING,
    };
    event->type = IB_EVENT_EXECUTED;
    event->flags = IB_FLAG_INCOMING;
    event->user_ref_original = 0;
    while (best != IB_NONE && ib_book_level(book, best)->key <= limit && event->remaining > 0) {
        trade(turn, incoming, ib_book_level(book, best), &report);
        best = ib_book_best(book, event->instrument, opposite);
    }
    event->price = price;
}

/* Trades what can be traded; what is left rests or is cancelled. */
static void match(struct ib_turn *turn, struct incoming *incoming)
{
    IB_ASSERT(incoming->event.remaining <= IB_QUANTITY_MAX);
    struct ib_event *event = &incoming->event;
    trade_all(turn, incoming);
    if (event->remaining == 0) {
        return;
    }
    event->match_ref = 0;
    event->user_ref_original = 0;
    event->quantity = event->remaining;
    if (!may_rest(event->order_type, event->time_in_force)) {
        event->type = IB_EVENT_CANCELED;
        event->reason = IB_REASON_IMMEDIATE_OR_CANCEL;
        event->remaining = 0;
        event->flags = IB_FLAG_INCOMING;
        ib_turn_emit(turn, event, turn->command->session);
        return;
    }
    struct ib_book_entry entry = {
        .instrument = event->instrument,
        .side = event->side,
        .time_in_force = event->time_in_force,
        .order_type = event->order_type,
        .session = turn->command->session,
        .user_ref = event->user_ref,
        .ticks = incoming->ticks,
        .order_ref = event->order_ref,
        .remaining = event->remaining,
        .executed = incoming->executed,
        .client_data = event->client_data,
    };
    ib_book_rest(&turn->matcher->book, &entry);
    event->type = IB_EVENT_RESTED;
    event->flags = IB_FLAG_RESTING;
    ib_turn_emit(turn, event, IB_SESSION_NONE);
}

static uint8_t refusal_of_enter(const struct ib_turn *turn, uint64_t *ticks)
{
    IB_ASSERT(turn->command->type == IB_COMMAND_ENTER);
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
    IB_ASSERT(turn->command->user_ref > 0);
    const struct ib_command *command = turn->command;
    uint64_t ticks = 0;
    uint8_t reason = refusal_of_enter(turn, &ticks);
    if (reason != IB_REASON_NONE) {
        reject(turn, reason);
        return;
    }
    struct incoming incoming;
    describe_incoming(&incoming, command, command->instrument, command->side);
    incoming.ticks = ticks;
    incoming.executed = 0;
    incoming.event.type = IB_EVENT_ACCEPTED;
    incoming.event.quantity = command->quantity;
    incoming.event.flags = IB_FLAG_INCOMING;
    ib_turn_emit(turn, &incoming.event, command->session);
    match(turn, &incoming);
}

/* The order that a command of its own session names, or IB_NONE. */
static uint32_t find_own(const struct ib_turn *turn, uint32_t user_ref)
{
    IB_ASSERT(turn->command->type != IB_COMMAND_ENTER);
    return ib_book_find(&turn->matcher->book, turn->command->session, user_ref);
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
    const struct ib_order *order = ib_book_order(book, index);
    uint32_t instrument = ib_level_instrument(ib_book_level(book, order->level));
    return refusal_of_terms(command, &book->instruments[instrument], ib_order_executed(order), ticks);
}

/* What a Replace does not say again stays as it was entered: each zero byte of its client data is the old order's. */
static void inherit_client_data(struct ib_event *event, const struct ib_order *before)
{
    for (size_t i = 0; i < IB_CLIENT_DATA_SIZE; i++) {
        if (event->client_data[i] == 0) {
            event->client_data[i] = before->client_data[i];
        }
    }
}

void ib_turn_replace(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(turn->command->user_ref > 0);
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    uint32_t index = find_own(turn, command->user_ref_original);
    uint64_t ticks = 0;
    uint8_t reason = refusal_of_replace(turn, index, &ticks);
    if (reason != IB_REASON_NONE) {
        reject(turn, reason);
        return;
    }
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level *level = ib_book_level(book, order->level);
    uint64_t before_ref = ib_order_ref(order);
    struct incoming incoming;
    struct ib_event *event = &incoming.event;
    describe_incoming(&incoming, command, ib_level_instrument(level), ib_level_side(level));
    inherit_client_data(event, order);
    incoming.ticks = ticks;
    incoming.executed = ib_order_executed(order);
    event->remaining = command->quantity - incoming.executed;
    int keeps_priority = may_rest(command->order_type, command->time_in_force) &&
                         ib_book_key(ib_side_number(event->side), ticks) == level->key &&
                         event->remaining <= ib_order_remaining(order);
    event->type = IB_EVENT_REPLACED;
    event->user_ref_original = command->user_ref_original;
    event->match_ref = before_ref;
    event->quantity = event->remaining;
    event->flags = IB_FLAG_RESTING;
    if (keeps_priority) {
        event->order_ref = before_ref;
        event->flags |= IB_FLAG_PRIORITY_KEPT;
        ib_book_shrink(book, index, event->remaining);
        ib_book_rename(book, index, command->user_ref, command->time_in_force, event->client_data);
        ib_turn_emit(turn, event, command->session);
        return;
    }
    ib_book_remove(book, index);
    ib_turn_emit(turn, event, command->session);
    match(turn, &incoming);
}

void ib_turn_cancel(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(turn->command->type == IB_COMMAND_CANCEL);
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    uint32_t index = find_own(turn, command->user_ref);
    if (index == IB_NONE) {
        return; /* unknown, foreign, filled or cancelled before: the client's own stream has told it */
    }
    const struct ib_order *order = ib_book_order(book, index);
    uint64_t before = ib_order_remaining(order);
    uint64_t executed = ib_order_executed(order);
    uint64_t remaining = command->quantity > executed ? command->quantity - executed : 0;
    if (remaining >= before) {
        return; /* the new size is not smaller */
    }
    struct ib_event event = event_of_resting(book, order, IB_EVENT_CANCELED);
    event.reason = IB_REASON_USER;
    event.quantity = before - remaining;
    event.remaining = remaining;
    ib_turn_emit(turn, &event, command->session);
    if (remaining == 0) {
        ib_book_remove(book, index);
    } else {
        ib_book_shrink(book, index, remaining);
    }
}
