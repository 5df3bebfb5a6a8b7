/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_match.c: continuous matching with all that is special about it, and the stops that it releases
 * (docs/matching.md, sections 4 and 6): hidden orders, icebergs, minimum quantity, fill or kill, self-trade
 * prevention, price bands. One order at a time; the path of plain orders (matcher_path.h) does the same for plain ones.
 */
#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"
#include "terms.h"

/* Prices that an order may trade at: the bands around two bases that stay as they are while it matches. */
struct bands {
    uint64_t band[2]; /* basis points; 0 = none */
    int64_t base[2];  /* 0 = no check */
};

static struct bands bands_of(const struct ib_matcher *matcher, uint32_t index)
{
    IB_ASSERT(index < matcher->book.instrument_count);
    const struct ib_instrument *instrument = &matcher->instruments[index];
    IB_ASSERT(instrument->static_band <= IB_BASIS_POINTS && instrument->dynamic_band <= IB_BASIS_POINTS);
    return (struct bands){
        .band = {instrument->static_band, instrument->dynamic_band},
        .base = {instrument->reference_price, ib_matcher_base(matcher, index)},
    };
}

static int is_allowed(const struct bands *bands, int64_t price)
{
    IB_ASSERT(price > 0);
    for (int i = 0; i < 2; i++) {
        IB_ASSERT(bands->base[i] >= 0);
        uint64_t away = (uint64_t)(price > bands->base[i] ? price - bands->base[i] : bands->base[i] - price);
        if (bands->band[i] != 0 && bands->base[i] != 0 &&
            (ib_uint128)away * IB_BASIS_POINTS > (ib_uint128)bands->band[i] * (uint64_t)bands->base[i]) {
            return 0;
        }
    }
    return 1;
}

/* ---- the other side: visible and hidden orders in one priority ---- */

/* The key on the other side up to which an order trades: its own price there, or, for a market order, any. */
static uint64_t limit_of(const struct ib_incoming *incoming)
{
    IB_ASSERT(ib_type_has_limit(incoming->order_type) || incoming->order_type == IB_ORDER_MARKET);
    IB_ASSERT(incoming->order_type != IB_ORDER_LIMIT || incoming->key != 0);
    return incoming->order_type == IB_ORDER_MARKET ? IB_KEY_NONE - 1 : ~incoming->key;
}

/* Of two levels the one that trades first; at one price the visible one. */
static uint32_t better(const struct ib_book *book, uint32_t visible, uint32_t hidden)
{
    IB_ASSERT(visible != hidden || visible == IB_NONE);
    if (visible == IB_NONE || hidden == IB_NONE) {
        return visible == IB_NONE ? hidden : visible;
    }
    IB_ASSERT(ib_level_place(ib_book_level(book, hidden)) == IB_PLACE_HIDDEN);
    return ib_book_level(book, hidden).key < ib_book_level(book, visible).key ? hidden : visible;
}

static uint32_t best_within(const struct ib_book *book, uint32_t side_index, uint64_t limit)
{
    IB_ASSERT(side_index < IB_SIDES_MAX);
    IB_ASSERT(limit < IB_KEY_NONE);
    const struct ib_price_index *visible = ib_book_side(book, side_index);
    const struct ib_price_index *hidden = ib_book_any_side(book, IB_PLACE_HIDDEN << IB_PLACE_SHIFT | side_index);
    uint32_t level = better(book, visible->best, hidden->best);
    return level != IB_NONE && ib_book_level(book, level).key <= limit ? level : IB_NONE;
}

int ib_book_would_trade(const struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(key != 0 && key != IB_KEY_NONE);
    IB_ASSERT(side_index < IB_SIDES_MAX);
    return best_within(book, side_index ^ 1, ~key) != IB_NONE;
}

/* An order of account 0 has only its own session's for company. */
static int is_own(const struct ib_turn *turn, const struct ib_arrival *arrival, uint32_t index)
{
    const struct ib_matcher *matcher = turn->matcher;
    uint16_t session = ib_order_session(ib_book_order(&matcher->book, index));
    uint16_t account = ib_matcher_account(matcher, session);
    IB_ASSERT(index != IB_NONE);
    return session == arrival->order.session ||
           (account != 0 && account == ib_matcher_account(matcher, arrival->order.session));
}

/* What of a level could trade: all of it, or what stands before the first own order. */
static uint64_t available_at(const struct ib_turn *turn, const struct ib_arrival *arrival,
                             uint32_t level, int *met_own)
{
    const struct ib_book *book = &turn->matcher->book;
    if (arrival->self_trade == IB_SELF_TRADE_ALLOWED) {
        return ib_book_queue(book, level)->quantity;
    }
    uint64_t sum = 0;
    for (uint32_t index = ib_book_oldest(book, level); index != IB_NONE; index = ib_book_younger(book, index)) {
        if (is_own(turn, arrival, index)) {
            *met_own = 1;
            break;
        }
        sum += ib_order_remaining(ib_book_order(book, index));
    }
    IB_ASSERT(*met_own || sum == ib_book_queue(book, level)->quantity);
    return sum;
}

/* Whether at least `needed` could trade at once. */
static int is_available(const struct ib_turn *turn, const struct ib_arrival *arrival, const struct bands *bands,
                        uint64_t needed)
{
    IB_ASSERT(needed > 0 && needed <= IB_QUANTITY_MAX);
    const struct ib_book *book = &turn->matcher->book;
    IB_ASSERT(needed <= arrival->order.remaining);
    uint32_t side_index = arrival->order.side_index ^ 1;
    uint64_t limit = limit_of(&arrival->order);
    uint32_t levels[2] = {ib_book_side(book, side_index)->best,
                          ib_book_any_side(book, IB_PLACE_HIDDEN << IB_PLACE_SHIFT | side_index)->best};
    uint64_t sum = 0;
    int met_own = 0;
    while (sum < needed && !met_own) {
        uint32_t at = better(book, levels[0], levels[1]);
        if (at == IB_NONE) {
            break;
        }
        const struct ib_level level = ib_book_level(book, at);
        if (level.key > limit || !is_allowed(bands, ib_book_any_price(book, level))) {
            break;
        }
        sum += available_at(turn, arrival, at, &met_own);
        levels[at == levels[1]] = ib_book_level_behind(book, at);
    }
    return sum >= needed;
}

/* ---- one order meets another ---- */

static void drop(struct ib_turn *turn, struct ib_arrival *arrival, uint64_t quantity, uint8_t reason)
{
    IB_ASSERT(quantity > 0);
    ib_turn_number(turn, arrival->order.session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_dropped(turn, &arrival->order, quantity, reason);
    }
    IB_ASSERT(quantity <= arrival->order.remaining);
    arrival->order.remaining -= quantity;
}

/* What an iceberg shows after it has lost `quantity`, as events say it: 0 = all, or the next slice follows. */
static uint64_t displayed_after(const struct ib_book *book, uint32_t index, uint64_t quantity)
{
    uint64_t remaining = ib_order_remaining(ib_book_order(book, index));
    uint64_t shown = ib_book_shown(book, index);
    IB_ASSERT(quantity <= shown && shown <= remaining);
    if (ib_level_place(ib_book_level(book, ib_book_order(book, index)->level)) != IB_PLACE_VISIBLE) {
        return 0;
    }
    return shown < remaining ? shown - quantity : 0;
}

/* The next slice of an iceberg, at the end of its price. */
static void refresh(struct ib_turn *turn, uint32_t index)
{
    struct ib_book *book = &turn->matcher->book;
    uint64_t before_ref = ib_order_ref(ib_book_order(book, index));
    uint64_t remaining = ib_order_remaining(ib_book_order(book, index));
    uint64_t displayed = ib_book_extra_of(book, index)->displayed;
    IB_ASSERT(displayed > 0 && remaining > 0);
    IB_ASSERT(turn->matcher->rules >= IB_RULES_2);
    ib_book_requeue(book, index, ib_turn_next_ref(turn));
    ib_book_show(book, index, displayed < remaining ? displayed : remaining);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        ib_event_refreshed(turn, index, before_ref);
    }
}

void ib_turn_count_trade(struct ib_turn *turn, uint32_t instrument, int64_t price, uint64_t quantity)
{
    IB_ASSERT(price > 0);
    IB_ASSERT(quantity > 0);
    struct ib_matcher *matcher = turn->matcher;
    matcher->match_ref++;
    matcher->traded_quantity += quantity;
    matcher->notional += (ib_uint128)(uint64_t)price * quantity;
    ib_matcher_set_last_price(matcher, instrument, price);
}

static void trade(struct ib_turn *turn, struct ib_arrival *arrival, uint32_t index, uint64_t quantity, int64_t price)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    struct ib_incoming *incoming = &arrival->order;
    uint32_t instrument = incoming->side_index >> 1;
    unsigned is_sell = incoming->side_index & 1;
    uint16_t session = ib_order_session(ib_book_order(book, index));
    uint64_t open = ib_order_remaining(ib_book_order(book, index));
    uint64_t shown = ib_book_shown(book, index);
    IB_ASSERT(quantity > 0 && quantity <= shown && quantity <= incoming->remaining);
    ib_turn_count_trade(turn, instrument, price, quantity);
    incoming->remaining -= quantity;
    incoming->executed += quantity;
    ib_turn_number(turn, session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_resting_executed(turn, index, quantity, displayed_after(book, index, quantity));
    }
    ib_turn_number(turn, incoming->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_executed(turn, incoming, quantity, price);
    }
    struct ib_risk_row *row = ib_matcher_row(matcher, session, instrument);
    ib_risk_fill(&matcher->risk, row, is_sell ^ 1, quantity, quantity == open);
    ib_risk_trade(&matcher->risk, incoming->row, is_sell, quantity);
    if (quantity == open) {
        ib_book_remove(book, index);
        return;
    }
    ib_book_fill_part(book, index, quantity);
    IB_ASSERT(ib_order_remaining(ib_book_order(book, index)) == open - quantity);
    if (quantity == shown) {
        refresh(turn, index);
    }
}

/* Both orders lose what they would have traded. */
static void decrement(struct ib_turn *turn, struct ib_arrival *arrival, uint32_t index, uint64_t quantity)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    uint64_t open = ib_order_remaining(ib_book_order(book, index));
    uint64_t shown = ib_book_shown(book, index);
    int is_iceberg = shown < open;
    IB_ASSERT(quantity > 0 && quantity <= shown);
    ib_turn_number(turn, ib_order_session(ib_book_order(book, index)));
    if (ib_turn_is_reporting(turn)) {
        ib_event_canceled(turn, index, quantity, IB_REASON_SELF_TRADE, displayed_after(book, index, quantity));
    }
    drop(turn, arrival, quantity, IB_REASON_SELF_TRADE);
    ib_risk_take(ib_matcher_row(matcher, ib_order_session(ib_book_order(book, index)), arrival->order.side_index >> 1),
                 ~arrival->order.side_index & 1, quantity, quantity == open);
    if (quantity == open) {
        ib_book_remove(book, index);
        return;
    }
    ib_book_shrink(book, index, open - quantity);
    IB_ASSERT(is_iceberg || quantity < shown); /* what shows all of itself and stays lost a part of it */
    if (is_iceberg) {
        ib_book_show(book, index, shown - quantity);
    }
    if (quantity == shown) {
        refresh(turn, index);
    }
}

/* An order meets one of its own account, and asked for something to be done about it. */
static void prevent_self_trade(struct ib_turn *turn, struct ib_arrival *arrival, uint32_t index, uint64_t quantity)
{
    IB_ASSERT(arrival->self_trade > IB_SELF_TRADE_ALLOWED && arrival->self_trade <= IB_SELF_TRADE_DECREMENT);
    IB_ASSERT(arrival->order.remaining > 0);
    if (arrival->self_trade == IB_SELF_TRADE_DECREMENT) {
        decrement(turn, arrival, index, quantity);
        return;
    }
    if (arrival->self_trade != IB_SELF_TRADE_CANCEL_NEWEST) {
        ib_turn_cancel_order(turn, index, IB_REASON_SELF_TRADE);
    }
    if (arrival->self_trade != IB_SELF_TRADE_CANCEL_OLDEST) {
        drop(turn, arrival, arrival->order.remaining, IB_REASON_SELF_TRADE);
    }
}

/* ---- an order that comes in ---- */

void ib_turn_rest(struct ib_turn *turn, const struct ib_arrival *arrival)
{
    const struct ib_incoming *incoming = &arrival->order;
    IB_ASSERT(incoming->remaining > 0);
    IB_ASSERT(incoming->order_type == IB_ORDER_LIMIT || incoming->order_type == IB_ORDER_MARKET);
    uint32_t place = incoming->is_hidden ? IB_PLACE_HIDDEN : IB_PLACE_VISIBLE;
    struct ib_book_entry entry = ib_incoming_entry(incoming, place, incoming->key);
    struct ib_order_extra extra = {.displayed = arrival->displayed, .expire_time_ns = arrival->expire_time_ns};
    if (arrival->displayed > 0) {
        extra.shown = arrival->displayed < incoming->remaining ? arrival->displayed : incoming->remaining;
    }
    int has_extra = extra.displayed > 0 || extra.expire_time_ns > 0;
    ib_book_put(&turn->matcher->book, &entry, has_extra ? &extra : NULL);
    ib_risk_add(incoming->row, incoming->side_index & 1, incoming->remaining);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        ib_event_rested(turn, incoming, extra.shown < incoming->remaining ? extra.shown : 0);
    }
}

/* What is left when nothing more can trade. */
static void leave(struct ib_turn *turn, struct ib_arrival *arrival, uint8_t reason)
{
    const struct ib_incoming *incoming = &arrival->order;
    IB_ASSERT(incoming->remaining > 0);
    if (incoming->order_type == IB_ORDER_MARKET || ib_time_in_force_is_immediate(incoming->time_in_force)) {
        drop(turn, arrival, incoming->remaining, reason);
        IB_ASSERT(incoming->remaining == 0);
    } else {
        ib_turn_rest(turn, arrival);
    }
}

void ib_turn_match(struct ib_turn *turn, struct ib_arrival *arrival)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_book *book = &matcher->book;
    uint32_t instrument = arrival->order.side_index >> 1;
    uint64_t limit = limit_of(&arrival->order);
    struct bands bands = bands_of(matcher, instrument);
    IB_ASSERT(matcher->instruments[instrument].phase == IB_PHASE_CONTINUOUS);
    IB_ASSERT(arrival->order.remaining > 0);
    if (arrival->order.time_in_force == IB_TIME_IN_FORCE_FOK &&
        !is_available(turn, arrival, &bands, arrival->order.remaining)) {
        drop(turn, arrival, arrival->order.remaining, IB_REASON_FILL_OR_KILL);
        return;
    }
    if (arrival->minimum > 0 && !is_available(turn, arrival, &bands, arrival->minimum)) {
        drop(turn, arrival, arrival->order.remaining, IB_REASON_MINIMUM_QUANTITY);
        return;
    }
    while (arrival->order.remaining > 0) {
        uint32_t at = best_within(book, arrival->order.side_index ^ 1, limit);
        if (at == IB_NONE) {
            leave(turn, arrival, IB_REASON_IMMEDIATE_OR_CANCEL);
            return;
        }
        int64_t price = ib_book_any_price(book, ib_book_level(book, at));
        if (!is_allowed(&bands, price)) {
            uint8_t phase = matcher->instruments[instrument].breach == IB_BREACH_HALT ? IB_PHASE_HALTED
                                                                                       : IB_PHASE_VOLATILITY_AUCTION;
            ib_turn_set_phase(turn, instrument, phase, IB_REASON_PRICE_BAND);
            leave(turn, arrival, IB_REASON_PRICE_BAND);
            return;
        }
        uint32_t index = ib_book_oldest(book, at);
        uint64_t shown = ib_book_shown(book, index);
        uint64_t quantity = shown < arrival->order.remaining ? shown : arrival->order.remaining;
        if (arrival->self_trade != IB_SELF_TRADE_ALLOWED && is_own(turn, arrival, index)) {
            prevent_self_trade(turn, arrival, index, quantity);
        } else {
            trade(turn, arrival, index, quantity, price);
        }
    }
}
