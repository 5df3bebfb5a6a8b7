/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_path.h: the path of a plain order: a limit order, DAY or IOC, and the cancel of a whole order. It is compiled
 * into ib_matcher_apply twice: with a taker of events, and without, where not even a test for one is left. Whatever is
 * special leaves it early: an order with attributes, an instrument that is not continuous or has hidden orders, a trade
 * with icebergs, stops or bands about; that is in matcher_order.c and matcher_match.c. No allocation and no division.
 */
#ifndef IB_MATCHER_PATH_H
#define IB_MATCHER_PATH_H

#include "book_path.h"
#include "matcher_gate.h"

/* One match with an order in the book, and what it does to the risk of its owner; the order itself has not been touched
 * yet, the one that comes in has. `orders`: 1, when it trades whole. */
IB_INLINE void ib_trade_order(struct ib_turn *turn, const struct ib_incoming *incoming, uint32_t index,
                              uint64_t quantity, int64_t price, uint32_t orders, int reporting)
{
    struct ib_matcher *matcher = turn->matcher;
    uint16_t session_index = ib_order_session(ib_book_order(&matcher->book, index));
    struct ib_session *session = &matcher->sessions[session_index];
    IB_EXPECT(session_index < matcher->session_count && quantity > 0);
    IB_KEEP(session);
    matcher->match_ref++;
    session->session_seq++;
    turn->index++;
    if (reporting) {
        ib_event_resting_executed(turn, index, quantity, 0);
        ib_turn_number(turn, incoming->session);
        ib_event_executed(turn, incoming, quantity, price);
    } /* otherwise those of the order that comes in are counted at the end */
    struct ib_risk_row *row = ib_session_row(matcher, session, incoming->side_index >> 1);
    ib_risk_fill(&matcher->risk, row, ~incoming->side_index & 1, quantity, orders);
}

/* Trades with the best opposite level, oldest order first, until one of the two is used up. */
IB_INLINE void ib_trade_level(struct ib_turn *turn, struct ib_incoming *incoming, struct ib_price_index *opposite,
                              int reporting)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    const uint32_t level_index = opposite->best;
    const struct ib_level level = {.key = opposite->best_key, .side_index = incoming->side_index ^ 1};
    IB_EXPECT(ib_book_links(book, level_index)->next != level_index && incoming->remaining > 0);
    const int64_t price = ib_book_price(book, level);
    const uint64_t where = ib_book_where(level);
    const uint64_t before = incoming->remaining;
    uint64_t part = 0; /* what is traded of an order that stays */
    uint32_t name = ib_book_links(book, level_index)->next;
    while (name != level_index) {
        uint32_t index = ib_index_of(name);
        const struct ib_order *order = ib_book_order(book, index);
        uint64_t open = ib_order_remaining(order);
        uint32_t next = order->links.next;
        __builtin_prefetch(ib_book_links(book, next));
        if (open > incoming->remaining) {
            part = incoming->remaining;
            break;
        }
        incoming->remaining -= open;
        ib_trade_order(turn, incoming, index, open, price, 1, reporting);
        ib_book_forget(book, ib_book_order_bucket(book, ib_order_session(order), order->user_ref), index, where);
        name = next;
    }
    if (part > 0) {
        incoming->remaining = 0;
        ib_trade_order(turn, incoming, ib_index_of(name), part, price, 0, reporting);
        ib_book_fill_part(book, ib_index_of(name), part);
    }
    uint64_t traded = before - incoming->remaining;
    matcher->traded_quantity += traded;
    matcher->notional += (ib_uint128)(uint64_t)price * traded;
    incoming->executed += traded;
    ib_matcher_set_last_price(matcher, incoming->side_index >> 1, price);
    ib_risk_trade(&matcher->risk, incoming->row, incoming->side_index & 1, traded);
    ib_book_advance(book, opposite, level.side_index, name, traded - part);
}

/* Trades up to `limit`. */
IB_INLINE void ib_trade(struct ib_turn *turn, struct ib_incoming *incoming, struct ib_price_index *opposite,
                        uint64_t limit, int reporting)
{
    while (opposite->best_key <= limit && incoming->remaining > 0) {
        ib_trade_level(turn, incoming, opposite, reporting);
    }
}

/* What is left of a plain order that may rest; `side` is its own. */
IB_INLINE void ib_rest(struct ib_turn *turn, const struct ib_incoming *incoming, struct ib_price_index *side,
                       unsigned side_number, int reporting)
{
    struct ib_book_entry entry = ib_incoming_entry(incoming, IB_PLACE_VISIBLE, incoming->key);
    IB_EXPECT(entry.time_in_force == IB_TIME_IN_FORCE_DAY && entry.order_type == IB_ORDER_LIMIT);
    entry.time_in_force = IB_TIME_IN_FORCE_DAY; /* said again for the compiler */
    entry.order_type = IB_ORDER_LIMIT;
    ib_book_rest(&turn->matcher->book, side, &entry);
    ib_risk_add(incoming->row, side_number, incoming->remaining);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (reporting) {
        ib_event_rested(turn, incoming, 0);
    }
}

/* Trades what can be traded; what is left rests or is cancelled. */
IB_INLINE void ib_match(struct ib_turn *turn, struct ib_incoming *incoming, struct ib_book_instrument *instrument,
                        int reporting)
{
    struct ib_matcher *matcher = turn->matcher;
    unsigned side_number = incoming->side_index & 1;
    uint64_t before = matcher->match_ref;
    ib_trade(turn, incoming, &instrument->sides[side_number ^ 1], ~incoming->key, reporting);
    if (!reporting) {
        uint32_t trades = (uint32_t)(matcher->match_ref - before);
        turn->index += trades;
        matcher->sessions[incoming->session].session_seq += trades;
    }
    if (incoming->remaining == 0) {
        return;
    }
    if (incoming->time_in_force != IB_TIME_IN_FORCE_IOC) {
        ib_rest(turn, incoming, &instrument->sides[side_number], side_number, reporting);
    } else {
        ib_turn_number(turn, incoming->session);
        if (reporting) {
            ib_event_dropped(turn, incoming, incoming->remaining, IB_REASON_IMMEDIATE_OR_CANCEL);
        }
    }
}

/* The same with nobody listening; number of events. Not inline: most orders rest, and better without its registers. */
static __attribute__((noinline)) uint32_t ib_match_quietly(struct ib_matcher *matcher, const struct ib_command *command,
                                                           struct ib_risk_row *row, uint64_t key, uint64_t order_ref)
{
    struct ib_turn turn = {.matcher = matcher, .command = command};
    struct ib_incoming incoming = {
        .side_index = 2 * command->instrument + ib_side_number(command->side),
        .user_ref = command->user_ref,
        .session = command->session,
        .time_in_force = command->time_in_force,
        .order_type = IB_ORDER_LIMIT,
        .row = row, .key = key, .order_ref = order_ref,
        .remaining = command->quantity, .client_data = command->client_data,
    };
    ib_match(&turn, &incoming, &matcher->book.instruments[command->instrument], 0);
    return turn.index;
}

/* Whether it was a plain order that nothing speaks against. If not, nothing was touched. */
IB_INLINE int ib_path_enter(struct ib_turn *turn, int reporting)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    /* side, time_in_force, order_type, reason, self_trade, flags, account: eight bytes that lie side by side. A plain
     * order has a side, is DAY or IOC, is limited, and has none of the others; its account is its session's. */
    uint64_t terms;
    memcpy(&terms, &command->side, sizeof terms);
    const uint64_t plain = (uint64_t)IB_ORDER_LIMIT << 16 | (uint64_t)IB_TIME_IN_FORCE_DAY << 8 | IB_SIDE_BUY;
    const uint64_t immediate = (uint64_t)(IB_TIME_IN_FORCE_IOC - IB_TIME_IN_FORCE_DAY) << 8;
    uint64_t side_number = (terms & 0xffffffffffff) - plain;
    int day = side_number <= 1;
    if (!IB_LIKELY(day) && (side_number -= immediate) > 1) {
        return 0;
    }
    const uint32_t at = command->instrument;
    const uint16_t session_index = command->session;
    if ((command->displayed | command->minimum) != 0 || at >= matcher->path_instruments ||
        session_index >= matcher->session_count) {
        return 0;
    }
    struct ib_session *session = &matcher->sessions[session_index];
    struct ib_book_instrument *instrument = &matcher->book.instruments[at];
    IB_KEEP(session);
    IB_KEEP(instrument);
    struct ib_risk_row *row = ib_path_gate(matcher, command, instrument, session, side_number);
    const uint64_t quantity = command->quantity;
    uint64_t ticks;
    if (row == NULL || command->user_ref <= session->last_user_ref ||
        !ib_book_ticks(instrument, command->price, &ticks)) {
        return 0;
    }
    uint64_t key = ib_book_key(side_number, ticks);
    int rests = instrument->sides[side_number ^ 1].best_key > ~key;
    if ((instrument->special != 0 && ((instrument->special & IB_SPECIAL_ALWAYS) != 0 || !rests)) ||
        !ib_book_has_room(&matcher->book)) {
        return 0;
    }
    matcher->risk.accounts[session->account].messages++;
    IB_EXPECT(session->account == 0 || ib_path_gate_agrees(matcher, command, session->account));
    session->session_seq++;
    IB_KEEP(session); /* or the compiler would join both fields in a vector first */
    session->last_user_ref = command->user_ref;
    turn->index++;
    struct ib_incoming incoming = {
        .side_index = 2 * at + (uint32_t)side_number,
        .user_ref = command->user_ref,
        .session = session_index,
        .time_in_force = day ? IB_TIME_IN_FORCE_DAY : IB_TIME_IN_FORCE_IOC,
        .order_type = IB_ORDER_LIMIT,
        .row = row, .key = key,
        .price = command->price,
        .order_ref = ++matcher->order_ref,
        .remaining = quantity,
        .client_data = command->client_data,
    };
    if (reporting) {
        ib_event_accepted(turn, &incoming);
    }
    struct ib_price_index *side = &instrument->sides[side_number];
    IB_KEEP(side);
    if (IB_LIKELY(rests && day)) {
        ib_rest(turn, &incoming, side, (unsigned)side_number, reporting);
    } else if (reporting) {
        ib_match(turn, &incoming, instrument, 1);
    } else {
        turn->index += ib_match_quietly(matcher, command, row, key, incoming.order_ref);
    }
    return 1;
}

/* Whether it was the cancel of a whole order, or named none. If not, nothing was touched. */
IB_INLINE int ib_path_cancel(struct ib_turn *turn, int reporting)
{
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    if (command->quantity != 0 || turn->matcher->path_instruments == 0) {
        return 0;
    }
    const uint16_t session_index = command->session;
    uint32_t *bucket = ib_book_order_bucket(book, session_index, command->user_ref);
    uint32_t index = ib_book_find_in(book, bucket, session_index, command->user_ref);
    if (index == IB_NONE) {
        return 1; /* unknown, foreign, filled or cancelled before: the client's own stream has told it */
    }
    const struct ib_order *order = ib_book_order(book, index);
    struct ib_session *session = &turn->matcher->sessions[session_index]; /* it exists: the order is its own */
    IB_EXPECT(session_index < turn->matcher->session_count);
    IB_KEEP(session);
    session->session_seq++;
    turn->index++;
    if (reporting) {
        ib_event_canceled(turn, index, ib_order_remaining(order), IB_REASON_USER, 0);
    }
    const struct ib_level level = ib_book_level(book, order->level);
    ib_risk_take(ib_session_row(turn->matcher, session, ib_level_instrument(level)), level.side_index & 1,
                 ib_order_remaining(order), 1);
    ib_book_remove_from(book, bucket, index, level);
    return 1;
}

#endif
