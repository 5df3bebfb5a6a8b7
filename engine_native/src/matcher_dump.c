/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_dump.c: the state of a matcher as the sections of a snapshot (snapshot_format.h), field by field. What
 * follows from something else is not written: price index, id index, sums of levels and of what is open, hashes.
 * matcher_restore.c reads in the same order; a field of the state that is forgotten here shows there, in the state
 * hash.
 */
#include <stdlib.h>
#include <string.h>

#include "book_path.h"
#include "book_rare.h"
#include "matcher_dump.h"

/* ---- sections ---- */

static void dump_sums(const struct ib_matcher *matcher, struct ib_snapshot_writer *writer)
{
    struct ib_snapshot_record sums = {0};
    IB_ASSERT(matcher->trading_state >= IB_TRADING_OPEN && matcher->trading_state <= IB_TRADING_ENDED);
    ib_put_u64(&sums, matcher->match_ref);
    ib_put_u64(&sums, matcher->traded_quantity);
    ib_put_u64(&sums, (uint64_t)matcher->notional);
    ib_put_u64(&sums, (uint64_t)(matcher->notional >> 64));
    ib_put_u64(&sums, matcher->rejects);
    ib_put_u64(&sums, matcher->order_ref);
    ib_put_u32(&sums, (uint32_t)matcher->trading_state);
    ib_put_u32(&sums, matcher->risk.account_count);
    ib_put_u32(&sums, matcher->session_count);
    ib_put_u32(&sums, matcher->book.instrument_count);
    ib_put_u32(&sums, matcher->risk.row_count);
    ib_put_u32(&sums, matcher->book.orders.in_use);
    IB_ASSERT(sums.size == IB_DUMP_SUMS_SIZE);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_SUMS, sums.size);
    ib_snapshot_put(writer, &sums);
    ib_snapshot_end_section(writer);
}

static void dump_past(const struct ib_past *past, struct ib_snapshot_writer *writer)
{
    struct ib_snapshot_record record = {0};
    uint8_t bits[IB_SESSIONS_MAX / 8] = {0};
    for (unsigned i = 0; i < IB_SESSIONS_MAX; i++) {
        IB_ASSERT(past->disabled[i] <= 1);
        bits[i / 8] = (uint8_t)(bits[i / 8] | past->disabled[i] << i % 8);
    }
    ib_put_u64(&record, past->first_time_ns);
    ib_put_u64(&record, past->event_seq);
    ib_put_u32(&record, past->event_index);
    ib_put_bytes(&record, bits, sizeof bits);
    IB_ASSERT(record.size == IB_DUMP_PAST_SIZE);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_PAST, record.size);
    ib_snapshot_put(writer, &record);
    ib_snapshot_end_section(writer);
}

/* Account 0 is nobody's and has nothing to say. The end of the present second follows from the second. */
static void dump_accounts(const struct ib_risk *risk, struct ib_snapshot_writer *writer)
{
    IB_ASSERT(risk->account_count >= 1);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_ACCOUNTS, (risk->account_count - 1) * (uint64_t)IB_DUMP_ACCOUNT_SIZE);
    for (uint32_t i = 1; i < risk->account_count; i++) {
        const struct ib_risk_account *account = &risk->accounts[i];
        struct ib_snapshot_record record = {0};
        ib_put_bytes(&record, account->name, sizeof account->name);
        ib_put_u64(&record, account->second);
        ib_put_u64(&record, account->messages);
        ib_put_u32(&record, account->killed);
        for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
            ib_put_u64(&record, account->limits[limit]);
        }
        IB_ASSERT(record.size == IB_DUMP_ACCOUNT_SIZE);
        ib_snapshot_put(writer, &record);
    }
    ib_snapshot_end_section(writer);
}

static void dump_sessions(const struct ib_matcher *matcher, struct ib_snapshot_writer *writer)
{
    IB_ASSERT(matcher->session_count <= IB_SESSIONS_MAX);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_SESSIONS, matcher->session_count * (uint64_t)IB_DUMP_SESSION_SIZE);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        const struct ib_session *session = &matcher->sessions[i];
        struct ib_snapshot_record record = {0};
        ib_put_bytes(&record, session->username, IB_USERNAME_SIZE);
        ib_put_bytes(&record, session->firm, IB_FIRM_SIZE);
        ib_put_u16(&record, session->account);
        ib_put_u32(&record, session->last_user_ref);
        ib_put_u32(&record, session->session_seq);
        IB_ASSERT(record.size == IB_DUMP_SESSION_SIZE);
        ib_snapshot_put(writer, &record);
    }
    ib_snapshot_end_section(writer);
}

static void dump_instruments(const struct ib_matcher *matcher, const struct ib_past *past,
                             struct ib_snapshot_writer *writer)
{
    uint32_t count = matcher->book.instrument_count;
    IB_ASSERT(count <= IB_INSTRUMENTS_MAX);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_INSTRUMENTS, count * (uint64_t)IB_DUMP_INSTRUMENT_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        const struct ib_instrument *instrument = &matcher->instruments[i];
        struct ib_snapshot_record record = {0};
        ib_put_bytes(&record, instrument->symbol, IB_SYMBOL_SIZE);
        ib_put_u64(&record, (uint64_t)instrument->tick);
        ib_put_u64(&record, instrument->lot);
        ib_put_u64(&record, (uint64_t)instrument->reference_price);
        ib_put_u64(&record, instrument->static_band);
        ib_put_u64(&record, instrument->dynamic_band);
        ib_put_u32(&record, instrument->schedule);
        ib_put_u8(&record, instrument->phase);
        ib_put_u8(&record, instrument->breach);
        ib_put_u8(&record, instrument->price_scale);
        ib_put_u8(&record, instrument->quantity_scale);
        ib_put_u8(&record, instrument->removed);
        ib_put_u64(&record, (uint64_t)matcher->book.instruments[i].last_price);
        ib_put_u64(&record, past->since_ns[i]);
        IB_ASSERT(record.size == IB_DUMP_INSTRUMENT_SIZE);
        ib_snapshot_put(writer, &record);
    }
    ib_snapshot_end_section(writer);
}

/* ---- the risk gate's rows, in an order that no history has made ---- */

static int compare_keys(const void *left, const void *right)
{
    IB_ASSERT(left != NULL);
    IB_ASSERT(right != NULL);
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t row_size(const struct ib_risk_pair *pair)
{
    IB_ASSERT(pair->account > 0);
    IB_ASSERT((pair->own & 1u) == 0);
    return IB_DUMP_ROW_SIZE + (uint64_t)__builtin_popcount(pair->own) * sizeof(uint64_t);
}

static void dump_row(const struct ib_risk *risk, uint32_t row, struct ib_snapshot_writer *writer)
{
    const struct ib_risk_pair *pair = &risk->pairs[row];
    struct ib_snapshot_record record = {0};
    IB_ASSERT(row >= 1 && row <= risk->row_count);
    ib_put_u16(&record, pair->account);
    ib_put_u16(&record, pair->own);
    ib_put_u32(&record, pair->instrument);
    ib_put_u64(&record, (uint64_t)risk->rows[row].position);
    for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
        if (pair->own & 1u << limit) {
            ib_put_u64(&record, pair->limits[limit]);
        }
    }
    IB_ASSERT(record.size == row_size(pair));
    ib_snapshot_put(writer, &record);
}

static void dump_rows(const struct ib_risk *risk, struct ib_snapshot_writer *writer)
{
    uint64_t length = 0;
    uint64_t *keys = malloc((risk->row_count + 1u) * sizeof *keys); /* account, instrument and row */
    IB_ASSERT(risk->row_count <= IB_RISK_ROWS_MAX);
    if (keys == NULL) {
        writer->status = writer->status == IB_OK ? IB_ERROR_MEMORY : writer->status;
        return;
    }
    for (uint32_t i = 1; i <= risk->row_count; i++) {
        const struct ib_risk_pair *pair = &risk->pairs[i];
        keys[i - 1] = ((uint64_t)pair->account << IB_RISK_INSTRUMENT_BITS | pair->instrument) << 32 | i;
        length += row_size(pair);
    }
    qsort(keys, risk->row_count, sizeof *keys, compare_keys);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_RISK_ROWS, length);
    for (uint32_t i = 0; i < risk->row_count; i++) {
        IB_ASSERT(i == 0 || keys[i] > keys[i - 1]);
        dump_row(risk, (uint32_t)keys[i], writer);
    }
    ib_snapshot_end_section(writer);
    free(keys);
}

/* ---- orders ---- */

static void dump_order(const struct ib_book *book, uint32_t index, struct ib_snapshot_writer *writer)
{
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    struct ib_snapshot_record record = {0};
    IB_ASSERT(index != IB_NONE);
    ib_put_u64(&record, ib_order_ref(order));
    ib_put_u64(&record, ib_order_remaining(order));
    ib_put_u64(&record, level.key);
    ib_put_u32(&record, level.side_index);
    ib_put_u32(&record, order->user_ref);
    ib_put_u16(&record, ib_order_session(order));
    ib_put_u8(&record, ib_order_time_in_force(order));
    ib_put_u8(&record, ib_order_type(order));
    ib_put_u8(&record, (uint8_t)((ib_order_has_cold(order) ? IB_DUMP_COLD : 0) | (extra != NULL ? IB_DUMP_EXTRA : 0)));
    IB_ASSERT(record.size == IB_DUMP_ORDER_SIZE);
    if (ib_order_has_cold(order)) {
        ib_put_u64(&record, ib_book_executed(book, index));
        ib_put_bytes(&record, ib_book_client_data(book, index), IB_CLIENT_DATA_SIZE);
    }
    if (extra != NULL) {
        ib_put_u64(&record, extra->displayed);
        ib_put_u64(&record, extra->shown);
        ib_put_u64(&record, extra->expire_time_ns);
        ib_put_u64(&record, (uint64_t)extra->price);
        ib_put_u8(&record, extra->self_trade);
        ib_put_u8(&record, extra->is_hidden);
    }
    ib_snapshot_put(writer, &record);
}

static void dump_orders(const struct ib_matcher *matcher, struct ib_snapshot_writer *writer)
{
    const struct ib_book *book = &matcher->book;
    uint64_t length = book->orders.in_use * (uint64_t)IB_DUMP_ORDER_SIZE +
                      book->cold.in_use * (uint64_t)IB_DUMP_COLD_SIZE +
                      book->extras.in_use * (uint64_t)IB_DUMP_EXTRA_SIZE;
    IB_ASSERT(book->cold.in_use <= book->orders.in_use);
    IB_ASSERT(book->extras.in_use <= book->cold.in_use);
    ib_snapshot_begin_section(writer, IB_SNAPSHOT_ORDERS, length);
    for (uint32_t i = 0; i < book->instrument_count; i++) {
        struct ib_walk walk;
        if (ib_book_is_empty(book, i)) {
            continue;
        }
        ib_walk_begin(&walk, book, i);
        for (uint32_t index = ib_walk_next(&walk); index != IB_NONE; index = ib_walk_next(&walk)) {
            dump_order(book, index, writer);
        }
    }
    ib_snapshot_end_section(writer);
}

void ib_matcher_dump(const struct ib_matcher *matcher, const struct ib_past *past, struct ib_snapshot_writer *writer)
{
    IB_ASSERT(matcher != NULL && past != NULL);
    IB_ASSERT(writer != NULL && writer->write != NULL);
    dump_sums(matcher, writer);
    dump_past(past, writer);
    dump_accounts(&matcher->risk, writer);
    dump_sessions(matcher, writer);
    dump_instruments(matcher, past, writer);
    dump_rows(&matcher->risk, writer);
    dump_orders(matcher, writer);
}
