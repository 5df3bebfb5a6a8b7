/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * risk.c: see risk.h.
 */
#include "risk.h"

#include <string.h>

#include "memory.h"

#define NS_PER_SECOND 1000000000u

__extension__ typedef __int128 int128;

static size_t row_bytes(uint32_t rows)
{
    IB_ASSERT(rows > 0);
    return ((size_t)rows + 1) * sizeof(struct ib_risk_row);
}

static size_t slot_bytes(const struct ib_risk *risk)
{
    IB_ASSERT((risk->slot_mask & (risk->slot_mask + 1)) == 0);
    return ((size_t)risk->slot_mask + 1) * sizeof *risk->slots;
}

int ib_risk_open(struct ib_risk *risk, uint32_t rows)
{
    IB_ASSERT(risk != NULL);
    IB_ASSERT(risk->account_count == 0);
    if (rows == 0 || rows > IB_RISK_ROWS_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    uint32_t slots = 1;
    while (slots < 2 * rows) { /* at most half of them are in use: a search is short, and ends */
        slots *= 2;
    }
    risk->slot_mask = slots - 1;
    risk->row_capacity = rows;
    risk->account_count = 1;
    risk->rows = ib_memory_reserve(row_bytes(rows));
    risk->slots = ib_memory_reserve(slot_bytes(risk));
    if (risk->rows == NULL || risk->slots == NULL) {
        ib_risk_close(risk);
        return IB_ERROR_MEMORY;
    }
    return IB_OK;
}

void ib_risk_close(struct ib_risk *risk)
{
    IB_ASSERT(risk != NULL);
    if (risk->row_capacity != 0) { /* it was opened */
        ib_memory_release(risk->rows, row_bytes(risk->row_capacity));
        ib_memory_release(risk->slots, slot_bytes(risk));
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

void ib_risk_add_account(struct ib_risk *risk, const uint8_t name[IB_ACCOUNT_NAME_SIZE])
{
    IB_ASSERT(risk->account_count < IB_ACCOUNTS_MAX);
    IB_ASSERT(name != NULL);
    struct ib_risk_account *account = &risk->accounts[risk->account_count++];
    memcpy(account->name, name, sizeof account->name);
    for (unsigned limit = 0; limit < IB_RISK_LIMITS; limit++) {
        account->limits[limit] = unlimited(limit);
    }
}

/* ---- rows ---- */

uint32_t ib_risk_make(struct ib_risk *risk, uint16_t account, uint32_t instrument)
{
    IB_ASSERT(account > 0 && account < risk->account_count);
    uint32_t key = ib_risk_key(account, instrument);
    uint64_t *slot = ib_risk_slot(risk, key);
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    if (*slot != 0 || risk->row_count == risk->row_capacity) {
        return (uint32_t)*slot;
    }
    uint32_t index = ++risk->row_count;
    *slot = (uint64_t)key << 32 | index;
    struct ib_risk_row *row = &risk->rows[index];
    struct ib_risk_account *owner = &risk->accounts[account];
    row->account = account;
    row->instrument = instrument;
    row->weight = ib_mix(key, IB_HASH_C) | 1;
    row->next = owner->first_row;
    owner->first_row = index;
    memcpy(row->limits, owner->limits, sizeof row->limits);
    IB_ASSERT(row->position == 0 && row->open_orders == 0);
    return index;
}

void ib_risk_count_message(struct ib_risk *risk, uint16_t account, uint64_t time_ns)
{
    IB_ASSERT(account < risk->account_count);
    struct ib_risk_account *of = &risk->accounts[account];
    if (time_ns >= of->window_end_ns) { /* a division a second, and not one a message */
        uint64_t second = time_ns / NS_PER_SECOND;
        if (second != of->second) {
            of->second = second;
            of->messages = 0;
        }
        of->window_end_ns = second < UINT64_MAX / NS_PER_SECOND ? (second + 1) * NS_PER_SECOND : UINT64_MAX;
    }
    if (of->messages != UINT32_MAX) { /* a machine that sends four billion in a second is beyond any limit */
        of->messages++;
    }
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
    int128 away = order->is_sell ? (int128)order->base - order->price : (int128)order->price - order->base;
    return away > 0 && (ib_uint128)away * IB_BASIS_POINTS > (ib_uint128)collar * (uint64_t)order->base;
}

static int is_beyond_notional(const struct ib_risk_order *order, uint64_t limit)
{
    int64_t price = order->order_type == IB_ORDER_MARKET ? order->base : order->price;
    IB_ASSERT(price >= 0);
    IB_ASSERT(order->quantity <= IB_QUANTITY_MAX);
    return limit != IB_UNLIMITED && (ib_uint128)(uint64_t)price * order->quantity > limit;
}

static int is_beyond_position(const struct ib_risk_row *row, const struct ib_risk_order *order, const uint64_t *limits)
{
    IB_ASSERT(order->is_sell <= 1);
    IB_ASSERT(row->open[order->is_sell] >= order->replaced);
    uint64_t limit = limits[order->is_sell ? IB_RISK_POSITION_SHORT : IB_RISK_POSITION_LONG];
    int128 position = order->is_sell ? -(int128)row->position : (int128)row->position;
    return position + row->open[order->is_sell] - order->replaced + order->quantity > limit;
}

uint8_t ib_risk_refusal(const struct ib_risk *risk, const struct ib_risk_order *order)
{
    static const struct ib_risk_row nothing;
    IB_ASSERT(order->account > 0 && order->account < risk->account_count);
    const struct ib_risk_account *account = &risk->accounts[order->account];
    uint32_t index = order->row;
    IB_EXPECT(index == ib_risk_find(risk, order->account, order->instrument));
    const struct ib_risk_row *row = index != 0 ? &risk->rows[index] : &nothing;
    const uint64_t *limits = index != 0 ? row->limits : account->limits;
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
    if (is_beyond_position(row, order, limits)) {
        return IB_REASON_RISK_POSITION;
    }
    if (!order->is_replacing && row->open_orders >= limits[IB_RISK_OPEN_ORDERS]) {
        return IB_REASON_RISK_OPEN_ORDERS;
    }
    return index == 0 && risk->row_count == risk->row_capacity ? IB_REASON_RISK_TABLE_FULL : IB_REASON_NONE;
}

/* ---- limits ---- */

/* What the own limits of a pair contribute to the hash; nothing when it has none. */
static uint64_t limits_hash(const struct ib_risk_row *row)
{
    IB_ASSERT(row->account > 0);
    IB_ASSERT((row->own & 1u << IB_RISK_MESSAGE_RATE) == 0);
    uint64_t hash = 0;
    for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
        if (row->own & 1u << limit) {
            hash += ib_mix(row->weight + limit, row->limits[limit]);
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
    for (uint32_t row = of->first_row; row != 0; row = risk->rows[row].next) {
        if ((risk->rows[row].own & 1u << limit) == 0) {
            risk->rows[row].limits[limit] = of->limits[limit];
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
    struct ib_risk_row *row = &risk->rows[index];
    risk->hash -= limits_hash(row);
    row->own = (uint16_t)(row->own | 1u << limit);
    row->limits[limit] = in_force(limit, value);
    risk->hash += limits_hash(row);
    return 1;
}

/* ---- hash ---- */

uint64_t ib_risk_rows_hash(const struct ib_risk *risk)
{
    IB_ASSERT(risk->row_count <= risk->row_capacity);
    uint64_t hash = 0;
    for (uint32_t i = 1; i <= risk->row_count; i++) {
        IB_ASSERT(risk->rows[i].account > 0);
        hash += (uint64_t)risk->rows[i].position * risk->rows[i].weight + limits_hash(&risk->rows[i]);
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
        hash = ib_mix(hash + account->second, (uint64_t)account->messages << 1 | account->killed);
        hash = ib_mix(hash + name[0], name[1] ^ (name[2] << 32 | name[2] >> 32));
        for (unsigned limit = 1; limit < IB_RISK_LIMITS; limit++) {
            hash = ib_mix(hash, account->limits[limit]);
        }
    }
    return hash;
}
