/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.c: see book.h. Its invariants stand in book_check.c.
 */
#include "book_path.h"
#include "hash.h"
#include "memory.h"

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
        status = ib_price_nodes_open(&book->nodes, orders);
    }
    if (status == IB_OK) {
        status = ib_buckets_open(&book->order_buckets, IB_BUCKETS_ORDER * (uint64_t)orders + 1);
    }
    if (status == IB_OK) {
        status = ib_buckets_open(&book->level_buckets, IB_BUCKETS_LEVEL * (uint64_t)orders + 1);
    }
    if (status == IB_OK) {
        book->cold = ib_memory_reserve(cold_bytes(book));
        book->instruments = ib_memory_reserve(instrument_bytes());
        status = book->cold != NULL && book->instruments != NULL ? IB_OK : IB_ERROR_MEMORY;
    }
    if (status != IB_OK) {
        ib_book_close(book);
    }
    return status;
}

void ib_book_close(struct ib_book *book)
{
    IB_ASSERT(book != NULL);
    ib_memory_release(book->instruments, instrument_bytes());
    if (book->cold != NULL) {
        ib_memory_release(book->cold, cold_bytes(book));
    }
    ib_buckets_close(&book->level_buckets);
    ib_buckets_close(&book->order_buckets);
    ib_price_nodes_close(&book->nodes);
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
    instrument->ticks_max = INT64_MAX / tick;
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
    uint64_t hash = ib_order_weight(order->identity, order->user_ref, level->key, level->side_index) *
                    ib_order_remaining(order);
    return ib_order_has_cold(order) ? hash + ib_book_cold_hash(book, index) : hash;
}

/* ---- growing the indexes: two or four buckets with each order or level, so that none has to wait ---- */

void ib_book_grow_order_buckets(struct ib_book *book)
{
    struct ib_buckets *buckets = &book->order_buckets;
    IB_ASSERT(buckets->last + 1 >= IB_BUCKETS_ORDER * (book->orders.in_use - 1));
    while (buckets->last < IB_BUCKETS_ORDER * book->orders.in_use) {
        uint32_t from;
        (void)ib_buckets_grow(buckets, &from);
        uint32_t index = buckets->heads[from];
        buckets->heads[from] = IB_NONE;
        while (index != IB_NONE) {
            struct ib_order *order = ib_book_order(book, index);
            uint32_t *bucket = ib_book_order_bucket(book, ib_order_session(order), order->user_ref);
            uint32_t next = ib_order_chain(order);
            ib_order_set_chain(order, *bucket);
            *bucket = index;
            index = next;
        }
    }
}

static void grow_level_buckets(struct ib_book *book)
{
    struct ib_buckets *buckets = &book->level_buckets;
    IB_ASSERT(buckets->last + 1 >= IB_BUCKETS_LEVEL * (book->levels.in_use - 1));
    while (buckets->last < IB_BUCKETS_LEVEL * book->levels.in_use) {
        uint32_t from;
        (void)ib_buckets_grow(buckets, &from);
        uint32_t index = buckets->heads[from];
        buckets->heads[from] = IB_NONE;
        while (index != IB_NONE) {
            struct ib_level *level = ib_book_level(book, index);
            uint32_t *bucket = ib_book_level_bucket(book, level->side_index, level->key);
            uint32_t next = level->chain;
            level->chain = *bucket;
            *bucket = index;
            index = next;
        }
    }
}

/* ---- levels ---- */

uint32_t ib_book_add_level(struct ib_book *book, uint32_t side_index, uint64_t key, uint32_t *bucket)
{
    IB_EXPECT(side_index >> 1 < book->instrument_count);
    IB_EXPECT(bucket == ib_book_level_bucket(book, side_index, key));
    struct ib_price_index *side = ib_book_side(book, side_index);
    uint32_t index = ib_pool_take(&book->levels, sizeof(struct ib_level));
    struct ib_level *level = ib_book_level(book, index);
    level->key = key;
    level->quantity = 0;
    level->head = IB_NONE;
    level->tail = IB_NONE;
    level->side_index = side_index;
    level->chain = *bucket;
    *bucket = index;
    ib_price_index_add(side, &book->nodes, key);
    if (key < side->best_key) {
        side->best_key = key;
        side->best = index;
    }
    if (book->level_buckets.last < IB_BUCKETS_LEVEL * book->levels.in_use) {
        grow_level_buckets(book);
    }
    return index;
}

void ib_book_drop_level(struct ib_book *book, uint32_t index)
{
    IB_EXPECT(index != IB_NONE);
    const struct ib_level *level = ib_book_level(book, index);
    IB_EXPECT(level->head == IB_NONE && level->quantity == 0);
    uint32_t side_index = level->side_index;
    uint64_t key = level->key;
    uint32_t *link = ib_book_level_bucket(book, side_index, key);
    while (*link != index) {
        IB_ASSERT(*link != IB_NONE);
        link = &ib_book_level(book, *link)->chain;
    }
    *link = level->chain;
    ib_pool_give(&book->levels, index, sizeof(struct ib_level));
    struct ib_price_index *side = ib_book_side(book, side_index);
    uint64_t next_key = ib_price_index_remove(side, &book->nodes, key);
    if (side->best == index) {
        side->best_key = next_key != IB_KEY_NONE ? next_key : ib_price_index_from(side, &book->nodes, key);
        side->best = side->best_key == IB_KEY_NONE ? IB_NONE : ib_book_find_level(book, side_index, side->best_key);
    }
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
    ib_book_unindex_order(book, ib_book_order_bucket(book, ib_order_session(order), order->user_ref), index);
    order->user_ref = user_ref;
    uint16_t session = ib_order_session(order);
    order->identity = ib_order_identity(ib_order_ref(order), session, time_in_force, ib_order_type(order));
    uint32_t *bucket = ib_book_order_bucket(book, session, user_ref);
    ib_order_set_chain(order, *bucket);
    *bucket = index;
    book->hash += ib_book_order_hash(book, index);
    if (executed != 0 || !ib_book_is_blank(client_data)) {
        ib_book_write_cold(book, index, executed, client_data);
    }
}
