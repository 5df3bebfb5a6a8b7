/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_check.c: every invariant of the whole state beyond the book's own (book_check.c). It walks everything and
 * changes nothing. Builds with IB_CHECK run it after each command; recovery runs it once.
 */
#include <stdio.h>

#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"

#define REQUIRE(condition, words) \
    do {                          \
        if (!(condition)) {       \
            return (words);       \
        }                         \
    } while (0)

static const char *broken_instrument(const struct ib_matcher *matcher, uint32_t index)
{
    IB_ASSERT(index < matcher->book.instrument_count);
    const struct ib_instrument *instrument = &matcher->instruments[index];
    const struct ib_book_instrument *at = &matcher->book.instruments[index];
    REQUIRE(instrument->removed || ib_matcher_find_instrument(matcher, instrument->symbol) == index,
            "each symbol names its instrument");
    REQUIRE(!instrument->removed || ib_book_is_empty(&matcher->book, index), "a removed instrument has no orders");
    REQUIRE(((at->special & IB_SPECIAL_PHASE) != 0) == (instrument->phase != IB_PHASE_CONTINUOUS) &&
                ((at->special & IB_SPECIAL_REMOVED) != 0) == (instrument->removed != 0) &&
                ((at->special & IB_SPECIAL_LOT) != 0) == (instrument->lot != 1) &&
                ((at->special & IB_SPECIAL_BANDS) != 0) ==
                    ((instrument->static_band | instrument->dynamic_band) != 0),
            "the path knows what is special about an instrument");
    REQUIRE(at->tick == (uint64_t)instrument->tick, "book and definition have one tick");
    REQUIRE(at->base_price == ib_matcher_base(matcher, index), "the gate knows what an order is compared with");
    if (instrument->phase != IB_PHASE_CONTINUOUS) {
        return NULL;
    }
    REQUIRE(at->sides[0].best_key != 0 && at->sides[1].best_key != 0, "no market order rests in continuous trading");
    if (matcher->trading_state == IB_TRADING_OPEN && at->last_price != 0) {
        for (uint32_t side = 0; side < 2; side++) {
            uint32_t best = ib_book_any_side(&matcher->book, IB_PLACE_STOP << IB_PLACE_SHIFT | 2 * index | side)->best;
            int64_t stop_price = best == IB_NONE ? 0 : ib_book_any_price(&matcher->book,
                                                                         ib_book_level(&matcher->book, best));
            REQUIRE(best == IB_NONE || (side == 0 ? stop_price > at->last_price : stop_price < at->last_price),
                    "no stop waits that is due");
        }
    }
    return NULL;
}

/* An order of an open instrument, as its walk names it; its part of the sums of risk rows goes to `open`. */
static const char *broken_order(const struct ib_matcher *matcher, uint32_t index, uint64_t open[3])
{
    const struct ib_book *book = &matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    uint16_t session = ib_order_session(order);
    uint64_t newest = matcher->rules == IB_RULES_1 ? matcher->seq : matcher->order_ref;
    IB_ASSERT(index != IB_NONE);
    REQUIRE(session < matcher->session_count && order->user_ref <= matcher->sessions[session].last_user_ref,
            "an order's number was seen from its session");
    REQUIRE(ib_order_ref(order) <= newest, "no order is newer than the last number given");
    REQUIRE(ib_order_remaining(order) % matcher->instruments[ib_level_instrument(level)].lot == 0,
            "what is open is a multiple of the lot");
    if (ib_matcher_account(matcher, session) != 0) {
        const struct ib_risk_row *row = ib_matcher_row(matcher, session, ib_level_instrument(level));
        REQUIRE(row != matcher->risk.rows, "an order of an account has its row");
        open[level.side_index & 1] += ib_order_remaining(order) * row->weight;
        open[2] += row->weight;
    }
    return NULL;
}

/* Rows against orders: each row's sums, weighted by an odd number of its own, so that no mistake makes up for
 * another. */
static const char *broken_risk(const struct ib_matcher *matcher, const uint64_t open[3])
{
    const struct ib_risk *risk = &matcher->risk;
    uint64_t sums[3] = {0, 0, 0};
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    for (uint32_t i = 1; i <= risk->row_count; i++) {
        const struct ib_risk_row *row = &risk->rows[i];
        const struct ib_risk_pair *pair = &risk->pairs[i];
        REQUIRE(ib_risk_find(risk, pair->account, pair->instrument) == i, "the risk index finds each row");
        REQUIRE((row->order_quantity == pair->limits[IB_RISK_ORDER_QUANTITY] ||
                 row->order_quantity == IB_QUANTITY_MAX) &&
                    row->order_notional == pair->limits[IB_RISK_ORDER_NOTIONAL] &&
                    (row->collar == pair->limits[IB_RISK_COLLAR] || row->collar == IB_RISK_COLLAR_NEAR) &&
                    (row->open_orders_max == pair->limits[IB_RISK_OPEN_ORDERS] || row->open_orders_max == UINT32_MAX),
                "the gate compares with the limits in force");
        REQUIRE(row->position >= -IB_POSITION_MAX && row->position <= IB_POSITION_MAX, "positions are bounded");
        sums[0] += ib_risk_open_quantity(risk, row, 0) * row->weight;
        sums[1] += ib_risk_open_quantity(risk, row, 1) * row->weight;
        sums[2] += row->open_orders * row->weight;
    }
    for (uint32_t i = 1; i < risk->account_count; i++) {
        const struct ib_risk_account *account = &risk->accounts[i];
        REQUIRE(account->messages_max == (account->killed ? 0 : account->limits[IB_RISK_MESSAGE_RATE]),
                "an account's messages are compared with its limit");
        REQUIRE(ib_risk_find(risk, 0, i) == 0, "account 0 has row 0");
    }
    REQUIRE(risk->rows[0].open_orders_max == 0 && risk->rows[0].weight == 0, "row 0 lets nobody in and weighs nothing");
    REQUIRE(sums[0] == open[0] && sums[1] == open[1], "risk rows sum what is open");
    REQUIRE(sums[2] == open[2], "risk rows count what is open");
    REQUIRE(ib_risk_rows_hash(risk) == risk->hash, "the hash of the risk rows is their sum");
    return NULL;
}

static const char *broken_sessions(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher->session_count <= IB_SESSIONS_MAX);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        const struct ib_session *session = &matcher->sessions[i];
        REQUIRE(session->account < matcher->risk.account_count &&
                    session->risk_rows == ib_risk_rows_of(&matcher->risk, session->account),
                "a session knows its account's rows");
    }
    return NULL;
}

static const char *broken_state(const struct ib_matcher *matcher)
{
    uint64_t open[3] = {0, 0, 0};
    uint64_t instruments = 0;
    uint64_t prices = 0;
    uint64_t orders = 0;
    IB_ASSERT(matcher->rules <= IB_RULES_NEWEST);
    REQUIRE(matcher->event_count >= 2 * matcher->match_ref, "each trade has two events");
    int is_open = matcher->trading_state == IB_TRADING_OPEN && matcher->rules >= IB_RULES_2;
    REQUIRE(matcher->path_instruments == (is_open ? matcher->book.instrument_count : 0),
            "plain orders take the path while it is open");
    const char *broken_session = broken_sessions(matcher);
    if (broken_session != NULL) {
        return broken_session;
    }
    for (uint32_t i = 0; i < matcher->book.instrument_count; i++) {
        const char *broken = broken_instrument(matcher, i);
        instruments += ib_instrument_hash(&matcher->instruments[i], i);
        prices += (uint64_t)matcher->book.instruments[i].last_price * ib_price_weight(i);
        struct ib_walk walk;
        ib_walk_begin(&walk, &matcher->book, i);
        for (uint32_t index = ib_walk_next(&walk); index != IB_NONE && broken == NULL; index = ib_walk_next(&walk)) {
            broken = broken_order(matcher, index, open);
            orders++;
        }
        if (broken != NULL) {
            return broken;
        }
    }
    REQUIRE(orders == matcher->book.orders.in_use, "the walk sees each order once");
    REQUIRE(instruments == matcher->instruments_hash, "the hash of the instruments is their sum");
    REQUIRE(prices == matcher->prices_hash, "the hash of the last prices is their sum");
    return broken_risk(matcher, open);
}

int ib_matcher_check(const struct ib_matcher *matcher, char *text, size_t text_size)
{
    IB_ASSERT(text_size > 0);
    IB_ASSERT(matcher != NULL && text != NULL);
    int status = ib_book_check(&matcher->book, text, text_size); /* first: the walk relies on it */
    if (status != IB_OK) {
        return status;
    }
    const char *broken = broken_state(matcher);
    if (broken != NULL) {
        (void)snprintf(text, text_size, "matcher: broken invariant: %s", broken);
        return IB_ERROR_ARGUMENT;
    }
    return IB_OK;
}
