/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_look.c: what can be asked of the state: definitions, totals, live orders. Nothing here changes it.
 */
#include <string.h>

#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"

/* ---- look-ups ---- */

uint64_t ib_matcher_seq(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->seq;
}

uint64_t ib_matcher_time_ns(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->time_ns;
}

int ib_matcher_trading_state(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->trading_state;
}

uint16_t ib_matcher_session_count(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->session_count;
}

uint32_t ib_matcher_instrument_count(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->book.instrument_count;
}

const struct ib_session *ib_matcher_session(const struct ib_matcher *matcher, uint16_t session)
{
    IB_ASSERT(matcher != NULL);
    return session < matcher->session_count ? &matcher->sessions[session] : NULL;
}

const struct ib_instrument *ib_matcher_instrument(const struct ib_matcher *matcher, uint32_t instrument)
{
    IB_ASSERT(matcher != NULL);
    return instrument < matcher->book.instrument_count ? &matcher->instruments[instrument] : NULL;
}

uint32_t ib_matcher_next_user_ref(const struct ib_matcher *matcher, uint16_t session)
{
    IB_ASSERT(matcher != NULL);
    /* After the last number there is none: 0, which no command may carry. */
    return session < matcher->session_count ? matcher->sessions[session].last_user_ref + 1 : 0;
}

uint16_t ib_matcher_find_session(const struct ib_matcher *matcher, const char username[IB_USERNAME_SIZE])
{
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(username != NULL);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        if (memcmp(matcher->sessions[i].username, username, IB_USERNAME_SIZE) == 0) {
            return i;
        }
    }
    return IB_SESSION_NONE;
}

/* At most half of the buckets are in use. A removed instrument's stays, for the next one of its symbol. */
uint32_t ib_matcher_symbol_bucket(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(symbol != NULL);
    IB_ASSERT(matcher->book.instrument_count <= IB_INSTRUMENTS_MAX);
    uint64_t word;
    memcpy(&word, symbol, sizeof word);
    uint32_t bucket = (uint32_t)ib_mix(word, IB_HASH_C) % IB_SYMBOL_BUCKETS;
    while (matcher->symbol_index[bucket] != 0) {
        const struct ib_instrument *instrument = &matcher->instruments[matcher->symbol_index[bucket] - 1];
        if (memcmp(instrument->symbol, symbol, IB_SYMBOL_SIZE) == 0) {
            break;
        }
        bucket = (bucket + 1) % IB_SYMBOL_BUCKETS;
    }
    return bucket;
}

uint32_t ib_matcher_find_instrument(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(matcher != NULL);
    uint32_t index = matcher->symbol_index[ib_matcher_symbol_bucket(matcher, symbol)] - 1;
    return index == UINT32_MAX || matcher->instruments[index].removed ? UINT32_MAX : index; /* 0 - 1: nothing */
}

/* ---- totals ---- */

static uint64_t state_hash(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher->session_count <= IB_SESSIONS_MAX);
    IB_ASSERT(matcher->seq <= IB_SEQ_MAX);
    uint64_t hash = ib_mix(matcher->book.hash, matcher->sessions_hash);
    hash = ib_mix(hash + matcher->instruments_hash, matcher->prices_hash + matcher->rules);
    hash = ib_mix(hash + ib_risk_state_hash(&matcher->risk), matcher->rules == IB_RULES_1 ? 0 : matcher->order_ref);
    hash = ib_mix(hash + matcher->seq, matcher->time_ns);
    hash = ib_mix(hash + matcher->match_ref, matcher->event_count);
    hash = ib_mix(hash + (uint64_t)matcher->notional, (uint64_t)(matcher->notional >> 64) + matcher->traded_quantity);
    hash = ib_mix(hash + matcher->rejects, (uint64_t)(unsigned)matcher->trading_state);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        hash = ib_mix(hash + matcher->sessions[i].last_user_ref, matcher->sessions[i].session_seq);
    }
    return hash;
}

void ib_matcher_totals(const struct ib_matcher *matcher, struct ib_totals *totals)
{
    IB_ASSERT(matcher != NULL && totals != NULL);
    *totals = (struct ib_totals){
        .seq = matcher->seq,
        .event_count = matcher->event_count,
        .trades = matcher->match_ref,
        .quantity = matcher->traded_quantity,
        .notional_high = (uint64_t)(matcher->notional >> 64),
        .notional_low = (uint64_t)matcher->notional,
        .orders_open = matcher->book.orders.in_use,
        .rejects = matcher->rejects,
        .state_hash = state_hash(matcher),
    };
}

/* ---- what is live ---- */

uint32_t ib_matcher_rules(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->rules;
}

uint64_t ib_matcher_next_expiry_ns(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    uint32_t index = ib_book_expiry_first(&matcher->book);
    return index == IB_NONE ? UINT64_MAX : ib_book_extra_of(&matcher->book, index)->expire_time_ns;
}

int ib_matcher_instrument_state(const struct ib_matcher *matcher, uint32_t index, struct ib_instrument_state *state)
{
    IB_ASSERT(matcher != NULL && state != NULL);
    const struct ib_instrument *instrument = ib_matcher_instrument(matcher, index);
    if (instrument == NULL) {
        return IB_ERROR_ARGUMENT;
    }
    *state = (struct ib_instrument_state){
        .tick = instrument->tick,
        .lot = instrument->lot,
        .reference_price = instrument->reference_price,
        .last_price = matcher->book.instruments[index].last_price,
        .static_band = instrument->static_band,
        .dynamic_band = instrument->dynamic_band,
        .schedule = instrument->schedule,
        .phase = instrument->phase,
        .breach = instrument->breach,
        .removed = instrument->removed,
    };
    return IB_OK;
}

int ib_matcher_risk_state(const struct ib_matcher *matcher, uint16_t account, uint32_t instrument,
                          struct ib_risk_state *state)
{
    IB_ASSERT(matcher != NULL && state != NULL);
    if (account >= matcher->risk.account_count || instrument >= matcher->book.instrument_count) {
        return IB_ERROR_ARGUMENT;
    }
    uint32_t row = ib_risk_find(&matcher->risk, account, instrument);
    *state = (struct ib_risk_state){0};
    if (row != 0) {
        const struct ib_risk_row *of = &matcher->risk.rows[row];
        *state = (struct ib_risk_state){
            .position = of->position,
            .open_buy = ib_risk_open_quantity(&matcher->risk, of, 0),
            .open_sell = ib_risk_open_quantity(&matcher->risk, of, 1),
            .open_orders = of->open_orders,
        };
    }
    return IB_OK;
}

static struct ib_live_order live_order(const struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    uint32_t place = ib_level_place(level);
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(order->level != IB_NONE);
    struct ib_live_order live = {
        .order_ref = ib_order_ref(order),
        .price = ib_level_is_parked(level) ? ib_book_extra_of(book, index)->price : ib_book_any_price(book, level),
        .stop_price = place == IB_PLACE_STOP ? ib_book_any_price(book, level) : 0,
        .remaining = ib_order_remaining(order),
        .shown = place == IB_PLACE_VISIBLE ? ib_book_shown(book, index) : 0,
        .executed = ib_book_executed(book, index),
        .instrument = ib_level_instrument(level),
        .user_ref = order->user_ref,
        .session = ib_order_session(order),
        .side = ib_level_side(level),
        .time_in_force = ib_order_time_in_force(order),
        .order_type = ib_order_type(order),
        .place = (uint8_t)place,
    };
    if (extra != NULL) {
        live.displayed = extra->displayed;
        live.expire_time_ns = extra->expire_time_ns;
        live.self_trade = extra->self_trade;
    }
    return live;
}

int ib_matcher_live_orders(const struct ib_matcher *matcher, struct ib_live_order *orders, size_t capacity,
                           size_t *count)
{
    IB_ASSERT(matcher != NULL && count != NULL);
    IB_ASSERT(orders != NULL || capacity == 0);
    size_t found = 0;
    for (uint32_t i = 0; i < matcher->book.instrument_count && found < capacity; i++) {
        struct ib_walk walk;
        ib_walk_begin(&walk, &matcher->book, i);
        uint32_t index = ib_walk_next(&walk);
        for (; index != IB_NONE && found < capacity; index = ib_walk_next(&walk)) {
            orders[found++] = live_order(&matcher->book, index);
        }
    }
    *count = matcher->book.orders.in_use;
    return *count > capacity ? IB_ERROR_CAPACITY : IB_OK;
}
