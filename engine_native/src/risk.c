/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * risk.c: see risk.h.
 */
#include "risk.h"

#include <string.h>

#include "memory.h"

#define NS_PER_SECOND 1000000000u

static size_t index_bytes(const struct ib_risk *risk)
{
    IB_ASSERT(risk->account_count >= 1);
    return ((size_t)IB_ACCOUNTS_MAX << IB_RISK_INSTRUMENT_BITS) * sizeof *risk->index;
}

static size_t row_bytes(const struct ib_risk *risk)
{
    IB_ASSERT(risk->row_capacity > 0);
    return ((size_t)risk->row_capacity + 1) * sizeof *risk->rows;
}

static size_t pair_bytes(const struct ib_risk *risk)
{
    IB_ASSERT(risk->row_capacity > 0);
    return ((size_t)risk->row_capacity + 1) * sizeof *risk->pairs;
}

int ib_risk_open(struct ib_risk *risk, uint32_t rows)
{
    IB_ASSERT(risk != NULL);
    IB_ASSERT(risk->account_count == 0);
    if (rows == 0 || rows > IB_RISK_ROWS_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    risk->row_capacity = rows;
    risk->account_count = 1;
    risk->index = ib_memory_reserve(index_bytes(risk));
    risk->rows = ib_memory_reserve(row_bytes(risk));
    risk->pairs = ib_memory_reserve(pair_bytes(risk));
    if (risk->index == NULL || risk->rows == NULL || risk->pairs == NULL) {
        ib_risk_close(risk);
        return IB_ERROR_MEMORY;
    }
    return IB_OK;
}

void ib_risk_close(struct ib_risk *risk)
{
    IB_ASSERT(risk != NULL);
    if (risk->row_capacity != 0) { /* it was opened */
        ib_memory_release(risk->index, index_bytes(risk));
        ib_memory_release(risk->rows, row_bytes(risk));
        ib_memory_release(risk->pairs, pair_bytes(risk));
    }
    risk->row_capacity = 0;
}

/* What a limit is before anybody has set it. */
static uint64_t unlimited(unsigned limit)
{
    IB_ASSERT(limit < IB_RISK_LIMITS);
    return limit == IB_RISK_POSITION_LONG || limit == IB_RISK_POSITION_SHORT ? IB_POSITION_MAX : IB_UNLIMITED;
}

/* What a value that was set means. */
static uint64_t in_force(unsigned limit, uint64_t value)
{
    IB_ASSERT(limit >= IB_RISK_MESSAGE_RATE && limit < IB_RISK_LIMITS);
    uint64_t most = unlimited(limit);
    IB_ASSERT(most >= IB_POSITION_MAX);
    return value < most ? value : most;
}

/* What of an account follows from its limits. */
static void look_at_account(struct ib_risk_account *account)
{
    IB_ASSERT(account->killed <= 1);
    account->messages_max = account->killed ? 0 : account->limits[IB_RISK_MESSAGE_RATE];
}

void ib_risk_add_account(struct ib_risk *risk, const uint8_t name[IB_ACCOUNT_NAME_SIZE])
{
    IB_ASSERT(risk->account_count < IB_ACCOUNTS_MAX);
    IB_ASSERT(name != NULL);
    struct ib_risk_account *account = &risk->accounts[risk->account_count++];
    memcpy(account->name, name, sizeof account->name);
    for (unsigned limit = 0; limit < IB_RISK_LIMITS; limit++) {
        account->limits[limit] = unlimited(limit);
    }
    look_at_account(account);
}

void ib_risk_kill(struct ib_risk *risk, uint16_t account, uint32_t killed)
{
    IB_ASSERT(account > 0 && account < risk->account_count);
    IB_ASSERT(killed <= 1);
    risk->accounts[account].killed = killed;
    look_at_account(&risk->accounts[account]);
}

/* ---- rows ---- */

/* A limit of a pair, by default or its own, takes effect. */
static void set_limit(struct ib_risk *risk, uint32_t index, unsigned limit, uint64_t value)
{
    IB_ASSERT(index > 0 && index <= risk->row_count);
    IB_ASSERT(limit > 0 && limit < IB_RISK_LIMITS);
    struct ib_risk_row *row = &risk->rows[index];
    uint64_t before = risk->pairs[index].limits[limit];
    risk->pairs[index].limits[limit] = value;
    switch (limit) {
    case IB_RISK_ORDER_QUANTITY: row->order_quantity = value < IB_QUANTITY_MAX ? value : IB_QUANTITY_MAX; break;
    case IB_RISK_ORDER_NOTIONAL: row->order_notional = value; break;
    case IB_RISK_POSITION_LONG: row->room[0] = ib_risk_sum(row->room[0], value - before); break;
    case IB_RISK_POSITION_SHORT: row->room[1] = ib_risk_sum(row->room[1], value - before); break;
    case IB_RISK_COLLAR: row->collar = value < IB_RISK_COLLAR_NEAR ? value : IB_RISK_COLLAR_NEAR; break;
    case IB_RISK_OPEN_ORDERS: row->open_orders_max = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX; break;
    default: break; /* MESSAGE_RATE */
    }
}

uint32_t ib_risk_make(struct ib_risk *risk, uint16_t account, uint32_t instrument)
{
    IB_ASSERT(account > 0 && account < risk->account_count);
    uint32_t key = (uint32_t)account << IB_RISK_INSTRUMENT_BITS | instrument;
    uint32_t *place = &risk->index[key];
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    if (*place != 0 || risk->row_count == risk->row_capacity) {
        return *place;
    }
    uint32_t index = ++risk->row_count;
    *place = index;
    struct ib_risk_pair *pair = &risk->pairs[index];
    struct ib_risk_account *owner = &risk->accounts[account];
    pair->account = account;
    pair->instrument = instrument;
    pair->next = owner->first_row;
    owner->first_row = index;
    IB_ASSERT(risk->rows[index].position == 0 && risk->rows[index].open_orders == 0);
    risk->rows[index].weight = ib_mix(key, IB_HASH_C) | 1;
    for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
        set_limit(risk, index, limit, owner->limits[limit]);
    }
    return index;
}

void ib_risk_begin_window(struct ib_risk_account *account, uint64_t time_ns)
{
    IB_ASSERT(time_ns >= account->window_end_ns);
    uint64_t second = time_ns / NS_PER_SECOND;
    if (second != account->second) {
        account->second = second;
        account->messages = 0;
    }
    account->window_end_ns = second < UINT64_MAX / NS_PER_SECOND ? (second + 1) * NS_PER_SECOND : UINT64_MAX;
    IB_ASSERT(account->window_end_ns > time_ns || account->window_end_ns == UINT64_MAX);
}

/* ---- the gate ---- */

static int is_beyond_collar(const struct ib_risk_order *order, uint64_t collar)
{
    IB_ASSERT(order->base >= 0);
    IB_ASSERT(order->is_sell <= 1);
    if (collar == IB_UNLIMITED || order->base == 0 ||
        (order->order_type != IB_ORDER_LIMIT && order->order_type != IB_ORDER_STOP_LIMIT)) {
        return 0;
    }
    ib_int128 away = order->is_sell ? (ib_int128)order->base - order->price : (ib_int128)order->price - order->base;
    return away > 0 && (ib_uint128)away * IB_BASIS_POINTS > (ib_uint128)collar * (uint64_t)order->base;
}

static int is_beyond_notional(const struct ib_risk_order *order, uint64_t limit)
{
    int64_t price = order->order_type == IB_ORDER_MARKET ? order->base : order->price;
    IB_ASSERT(price >= 0);
    IB_ASSERT(order->quantity <= IB_QUANTITY_MAX);
    return limit != IB_UNLIMITED && (ib_uint128)(uint64_t)price * order->quantity > limit;
}

/* `room` is exact, but for a limit of 2^62 on a position of 2^62 the other way: hence the sum by its parts. */
static int is_beyond_position(const struct ib_risk *risk, const struct ib_risk_order *order, uint64_t limit)
{
    IB_ASSERT(order->is_sell <= 1);
    const struct ib_risk_row *row = &risk->rows[order->row];
    uint64_t open = order->row != 0 ? ib_risk_open_quantity(risk, row, order->is_sell) : 0;
    IB_ASSERT(open >= order->replaced);
    ib_int128 bought = order->row != 0 ? row->position : 0;
    ib_int128 position = order->is_sell ? -bought : bought;
    return position + open - order->replaced + order->quantity > limit;
}

uint8_t ib_risk_refusal(const struct ib_risk *risk, const struct ib_risk_order *order)
{
    IB_ASSERT(order->account > 0 && order->account < risk->account_count);
    const struct ib_risk_account *account = &risk->accounts[order->account];
    uint32_t index = order->row;
    IB_EXPECT(index == ib_risk_find(risk, order->account, order->instrument));
    const uint64_t *limits = index != 0 ? risk->pairs[index].limits : account->limits;
    uint32_t open_orders = index != 0 ? risk->rows[index].open_orders : 0;
    IB_ASSERT(index != 0 || order->replaced == 0);
    if (account->killed) {
        return IB_REASON_RISK_KILLED;
    }
    if (account->messages > account->limits[IB_RISK_MESSAGE_RATE]) {
        return IB_REASON_RISK_RATE;
    }
    if (order->quantity > limits[IB_RISK_ORDER_QUANTITY]) {
        return IB_REASON_RISK_QUANTITY;
    }
    if (is_beyond_collar(order, limits[IB_RISK_COLLAR])) {
        return IB_REASON_RISK_COLLAR;
    }
    if (is_beyond_notional(order, limits[IB_RISK_ORDER_NOTIONAL])) {
        return IB_REASON_RISK_NOTIONAL;
    }
    if (is_beyond_position(risk, order, limits[order->is_sell ? IB_RISK_POSITION_SHORT : IB_RISK_POSITION_LONG])) {
        return IB_REASON_RISK_POSITION;
    }
    if (!order->is_replacing && open_orders >= limits[IB_RISK_OPEN_ORDERS]) {
        return IB_REASON_RISK_OPEN_ORDERS;
    }
    return index == 0 && risk->row_count == risk->row_capacity ? IB_REASON_RISK_TABLE_FULL : IB_REASON_NONE;
}

/* ---- limits ---- */

/* What the own limits of a pair contribute to the hash; nothing when it has none. */
static uint64_t limits_hash(const struct ib_risk *risk, uint32_t index)
{
    const struct ib_risk_pair *pair = &risk->pairs[index];
    IB_ASSERT(pair->account > 0);
    IB_ASSERT((pair->own & 1u << IB_RISK_MESSAGE_RATE) == 0);
    uint64_t hash = 0;
    for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
        if (pair->own & 1u << limit) {
            hash += ib_mix(risk->rows[index].weight + limit, pair->limits[limit]);
        }
    }
    return hash;
}

void ib_risk_set_default(struct ib_risk *risk, uint16_t account, uint8_t limit, uint64_t value)
{
    IB_ASSERT(account > 0 && account < risk->account_count);
    IB_ASSERT(limit >= IB_RISK_MESSAGE_RATE && limit < IB_RISK_LIMITS);
    struct ib_risk_account *of = &risk->accounts[account];
    of->limits[limit] = in_force(limit, value);
    look_at_account(of);
    for (uint32_t row = of->first_row; row != 0; row = risk->pairs[row].next) {
        if ((risk->pairs[row].own & 1u << limit) == 0) {
            set_limit(risk, row, limit, of->limits[limit]);
        }
    }
}

int ib_risk_set_own(struct ib_risk *risk, uint16_t account, uint32_t instrument, uint8_t limit, uint64_t value)
{
    IB_ASSERT(account > 0 && account < risk->account_count);
    IB_ASSERT(limit > IB_RISK_MESSAGE_RATE && limit < IB_RISK_LIMITS);
    uint32_t index = ib_risk_make(risk, account, instrument);
    if (index == 0) {
        return 0;
    }
    struct ib_risk_pair *pair = &risk->pairs[index];
    risk->hash -= limits_hash(risk, index);
    pair->own = (uint16_t)(pair->own | 1u << limit);
    set_limit(risk, index, limit, in_force(limit, value));
    risk->hash += limits_hash(risk, index);
    return 1;
}

/* ---- hash ---- */

uint64_t ib_risk_rows_hash(const struct ib_risk *risk)
{
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    uint64_t hash = 0;
    for (uint32_t i = 1; i <= risk->row_count; i++) {
        IB_ASSERT(risk->rows[i].weight % 2 == 1);
        hash += (uint64_t)risk->rows[i].position * risk->rows[i].weight + limits_hash(risk, i);
    }
    return hash;
}

uint64_t ib_risk_state_hash(const struct ib_risk *risk)
{
    IB_ASSERT(risk->account_count >= 1);
    uint64_t hash = ib_mix(risk->hash, risk->account_count);
    for (uint32_t i = 1; i < risk->account_count; i++) {
        const struct ib_risk_account *account = &risk->accounts[i];
        uint64_t name[3];
        memcpy(name, account->name, sizeof name);
        hash = ib_mix(hash + account->second, account->messages << 1 | account->killed);
        hash = ib_mix(hash + name[0], name[1] ^ (name[2] << 32 | name[2] >> 32));
        for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
            hash = ib_mix(hash, account->limits[limit]);
        }
    }
    return hash;
}
