/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.c: see book.h. Its invariants stand in book_check.c.
 */
#include "book_path.h"
#include "hash.h"
#include "memory.h"

enum { BUCKETS_MIN = 16 }; /* one cache line */

static size_t bucket_bytes(const struct ib_book *book)
{
    IB_ASSERT((book->bucket_capacity & (book->bucket_capacity - 1)) == 0);
    return (size_t)book->bucket_capacity * sizeof *book->buckets;
}

static size_t cold_bytes(const struct ib_book *book)
{
    IB_ASSERT(book->orders.capacity > 0);
    return ((size_t)book->orders.capacity + 1) * sizeof *book->cold;
}

static size_t instrument_bytes(void)
{
    return IB_INSTRUMENTS_MAX * sizeof(struct ib_book_instrument);
}

int ib_book_open(struct ib_book *book, uint32_t orders)
{
    IB_ASSERT(book != NULL);
    *book = (struct ib_book){0};
    if (orders == 0 || orders > IB_ORDERS_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    int status = ib_pool_open(&book->orders, sizeof(struct ib_order), orders);
    if (status == IB_OK) {
        status = ib_pool_open(&book->levels, sizeof(struct ib_level), orders);
    }
    if (status == IB_OK) {
        status = ib_pool_open(&book->nodes, sizeof(struct ib_price_node), 2 * orders);
    }
    if (status == IB_OK) {
        book->bucket_capacity = BUCKETS_MIN;
        while (book->bucket_capacity < 2 * (uint64_t)orders) { /* two buckets an order */
            book->bucket_capacity *= 2;
        }
        book->bucket_count = BUCKETS_MIN;
        book->bucket_mask = BUCKETS_MIN - 1;
        book->buckets = ib_memory_reserve(bucket_bytes(book));
        book->cold = ib_memory_reserve(cold_bytes(book));
        book->instruments = ib_memory_reserve(instrument_bytes());
        if (book->buckets == NULL || book->cold == NULL || book->instruments == NULL) {
            status = IB_ERROR_MEMORY;
        }
    }
    if (status != IB_OK) {
        ib_book_close(book);
    }
    return status;
}

void ib_book_close(struct ib_book *book)
{
    IB_ASSERT(book != NULL);
    if (book->bucket_capacity != 0) { /* the pools were opened */
        ib_memory_release(book->instruments, instrument_bytes());
        ib_memory_release(book->cold, cold_bytes(book));
        ib_memory_release(book->buckets, bucket_bytes(book));
    }
    ib_pool_close(&book->nodes);
    ib_pool_close(&book->levels);
    ib_pool_close(&book->orders);
    *book = (struct ib_book){0};
}

void ib_book_add_instrument(struct ib_book *book, uint64_t tick)
{
    IB_ASSERT(book->instruments != NULL);
    IB_ASSERT(book->instruments[book->instrument_count].tick == 0);
    IB_ASSERT(book->instrument_count < IB_INSTRUMENTS_MAX);
    IB_ASSERT(tick >= 1 && tick <= INT64_MAX);
    struct ib_book_instrument *instrument = &book->instruments[book->instrument_count++];
    ib_price_index_clear(&instrument->sides[0]);
    ib_price_index_clear(&instrument->sides[1]);
    instrument->tick = tick;
    instrument->tick_shift = (uint32_t)__builtin_ctzll(tick);
    instrument->ticks_max = UINT64_MAX / tick;
    uint64_t odd = tick >> instrument->tick_shift;
    uint64_t inverse = odd; /* right in its lowest 3 bits; each Newton step doubles the bits that are right */
    for (int step = 0; step < 5; step++) {
        inverse *= 2 - odd * inverse;
    }
    IB_ASSERT(odd * inverse == 1);
    instrument->tick_inverse = inverse;
}

/* ---- hash ---- */

uint64_t ib_book_cold_hash(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_order_cold *cold = &book->cold[index];
    uint64_t data[3];
    memcpy(data, cold->client_data, sizeof data);
    uint64_t hash = ib_mix(ib_order_ref(ib_book_order(book, index)), cold->executed);
    return ib_mix(hash + data[0], data[1]) ^ ib_mix(hash + IB_HASH_C, data[2]);
}

uint64_t ib_book_order_hash(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level *level = ib_book_level(book, order->level);
    uint64_t hash = ib_order_weight(order, level->key, level->side_index) * ib_order_remaining(order);
    return ib_order_has_cold(order) ? hash + ib_book_cold_hash(book, index) : hash;
}

/* ---- id index ---- */

/* Moves to the new last bucket what belongs there, out of the one half a table below. */
static void split_bucket(struct ib_book *book)
{
    IB_ASSERT(book->bucket_count < book->bucket_capacity);
    uint32_t added = book->bucket_count++;
    if (added > book->bucket_mask) {
        book->bucket_mask = book->bucket_mask << 1 | 1;
    }
    IB_ASSERT(added <= book->bucket_mask && book->buckets[added] == IB_NONE);
    uint32_t *from = &book->buckets[added & book->bucket_mask >> 1];
    uint32_t index = *from;
    *from = IB_NONE;
    while (index != IB_NONE) {
        uint32_t next = ib_order_chain(ib_book_order(book, index));
        ib_book_index_order(book, index);
        index = next;
    }
}

void ib_book_grow_buckets(struct ib_book *book)
{
    uint32_t target = 2 * book->orders.in_use;
    IB_ASSERT(target <= book->bucket_capacity);
    IB_ASSERT(target <= book->bucket_count + 2); /* it grows as the book does: two at a time */
    while (book->bucket_count < target) {
        split_bucket(book);
    }
}

/* ---- levels ---- */

uint32_t ib_book_add_level(struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(side_index >> 1 < book->instrument_count);
    IB_ASSERT(!ib_pool_is_full(&book->levels));
    struct ib_price_index *side = ib_book_side(book, side_index);
    uint32_t *place = ib_price_index_place(side, &book->nodes, key);
    IB_ASSERT(*place == IB_NONE);
    uint32_t index = ib_pool_take(&book->levels, sizeof(struct ib_level));
    *place = index;
    *ib_book_level(book, index) = (struct ib_level){.key = key, .side_index = side_index};
    if (key < side->best_key) {
        side->best_key = key;
        side->best = index;
    }
    return index;
}

void ib_book_drop_level(struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_level *level = ib_book_level(book, index);
    IB_ASSERT(level->head == IB_NONE && level->quantity == 0);
    struct ib_price_index *side = ib_book_side(book, level->side_index);
    ib_price_index_remove(side, &book->nodes, level->key);
    if (side->best == index) {
        ib_price_index_find_best(side, &book->nodes);
    }
    ib_pool_give(&book->levels, index, sizeof(struct ib_level));
}

/* ---- orders ---- */

void ib_book_write_cold(struct ib_book *book, uint32_t index, uint64_t executed, const uint8_t *client_data)
{
    IB_ASSERT(client_data != NULL);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(!ib_order_has_cold(order));
    order->identity |= IB_ORDER_COLD;
    book->cold[index].executed = executed;
    memcpy(book->cold[index].client_data, client_data, sizeof book->cold[index].client_data);
    book->hash += ib_book_cold_hash(book, index);
}

void ib_book_fill_part(struct ib_book *book, uint32_t index, uint64_t quantity)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t remaining = ib_order_remaining(order);
    IB_ASSERT(quantity > 0 && quantity < remaining);
    book->hash -= ib_book_order_hash(book, index);
    if (!ib_order_has_cold(order)) {
        book->cold[index] = (struct ib_order_cold){0};
        order->identity |= IB_ORDER_COLD;
    }
    book->cold[index].executed += quantity;
    ib_order_set_remaining(order, remaining - quantity);
    ib_book_level(book, order->level)->quantity -= quantity;
    book->hash += ib_book_order_hash(book, index);
}

void ib_book_shrink(struct ib_book *book, uint32_t index, uint64_t remaining)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t before = ib_order_remaining(order);
    IB_ASSERT(remaining > 0 && remaining <= before);
    book->hash -= ib_book_order_hash(book, index);
    ib_order_set_remaining(order, remaining);
    ib_book_level(book, order->level)->quantity -= before - remaining;
    book->hash += ib_book_order_hash(book, index);
}

void ib_book_rename(struct ib_book *book, uint32_t index, uint32_t user_ref, uint8_t time_in_force,
                    const uint8_t *client_data)
{
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(client_data != NULL);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t executed = ib_book_executed(book, index);
    book->hash -= ib_book_order_hash(book, index);
    ib_book_unindex_order(book, index);
    order->user_ref = user_ref;
    order->identity = ib_order_identity(ib_order_ref(order), ib_order_session(order), time_in_force, ib_order_type(order));
    ib_book_index_order(book, index);
    book->hash += ib_book_order_hash(book, index);
    if (executed != 0 || !ib_book_is_blank(client_data)) {
        ib_book_write_cold(book, index, executed, client_data);
    }
}
