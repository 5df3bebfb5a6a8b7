/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.c: see book.h. Its invariants stand in book_check.c.
 */
#include "book.h"

#include "hash.h"
#include "memory.h"

static size_t bucket_bytes(const struct ib_book *book)
{
    IB_ASSERT((book->bucket_mask & (book->bucket_mask + 1)) == 0);
    return ((size_t)book->bucket_mask + 1) * sizeof *book->buckets;
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
    while (book->bucket_mask + 1 < orders) { /* a power of two, at least one bucket an order */
        book->bucket_mask = book->bucket_mask << 1 | 1;
    }
    book->buckets = ib_memory_reserve(bucket_bytes(book));
    book->instruments = ib_memory_reserve(instrument_bytes());
    int status = book->buckets != NULL && book->instruments != NULL ? IB_OK : IB_ERROR_MEMORY;
    if (status == IB_OK) {
        status = ib_pool_open(&book->orders, sizeof(struct ib_order), orders);
    }
    if (status == IB_OK) {
        status = ib_pool_open(&book->levels, sizeof(struct ib_level), orders);
    }
    if (status == IB_OK) {
        status = ib_pool_open(&book->nodes, sizeof(struct ib_price_node), 2 * orders);
    }
    if (status != IB_OK) {
        ib_book_close(book);
    }
    return status;
}

void ib_book_close(struct ib_book *book)
{
    IB_ASSERT(book != NULL);
    ib_pool_close(&book->nodes);
    ib_pool_close(&book->levels);
    ib_pool_close(&book->orders);
    ib_memory_release(book->instruments, instrument_bytes());
    ib_memory_release(book->buckets, bucket_bytes(book));
    *book = (struct ib_book){0};
}

void ib_book_add_instrument(struct ib_book *book, uint64_t tick)
{
    IB_ASSERT(book->instruments != NULL);
    IB_ASSERT(book->instruments[book->instrument_count].tick == 0);
    IB_ASSERT(book->instrument_count < IB_INSTRUMENTS_MAX);
    IB_ASSERT(tick >= 1 && tick <= INT64_MAX);
    struct ib_book_instrument *instrument = &book->instruments[book->instrument_count++];
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

uint64_t ib_book_order_hash(const struct ib_order *order, const struct ib_level *level)
{
    IB_ASSERT(order != NULL);
    IB_ASSERT(ib_order_remaining(order) > 0);
    uint64_t data[3];
    memcpy(data, order->client_data, sizeof data);
    uint64_t owner = (uint64_t)order->user_ref << 32 | (uint64_t)order->session << 16 |
                     (uint64_t)order->time_in_force << 8 | order->order_type;
    uint64_t identity = ib_mix(ib_order_ref(order), owner) ^ ib_mix(data[0] + IB_HASH_C, data[1]) ^
                        ib_mix(data[2] + IB_HASH_B, level->key + IB_HASH_A);
    return ib_mix(identity + level->side_index, order->packed_quantity + (order->packed_ref << 48));
}

/* Consecutive numbers of a session fall into consecutive buckets, so a session's recent orders share cache lines. */
uint32_t ib_book_bucket(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    uint32_t spread = session * (uint32_t)0x9e3779b1 + (user_ref >> 16) * (uint32_t)0x9e37;
    return (user_ref + spread) & book->bucket_mask;
}

uint32_t ib_book_find(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    IB_ASSERT(book->buckets != NULL);
    uint32_t index = book->buckets[ib_book_bucket(book, session, user_ref)];
    while (index != IB_NONE) {
        const struct ib_order *order = ib_book_order(book, index);
        if (order->user_ref == user_ref && order->session == session) {
            break;
        }
        index = order->chain;
    }
    return index;
}

static void index_order(struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(index < book->orders.fresh);
    struct ib_order *order = ib_book_order(book, index);
    uint32_t *bucket = &book->buckets[ib_book_bucket(book, order->session, order->user_ref)];
    order->chain = *bucket;
    *bucket = index;
}

static void unindex_order(struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(index < book->orders.fresh);
    const struct ib_order *order = ib_book_order(book, index);
    uint32_t *link = &book->buckets[ib_book_bucket(book, order->session, order->user_ref)];
    while (*link != index) {
        IB_ASSERT(*link != IB_NONE);
        link = &ib_book_order(book, *link)->chain;
    }
    *link = order->chain;
}

/* The level at a key of a side, made when it does not exist. */
static uint32_t level_for(struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(side_index >> 1 < book->instrument_count);
    IB_ASSERT(!ib_pool_is_full(&book->levels));
    struct ib_price_index *side = &book->instruments[side_index >> 1].sides[side_index & 1];
    if (side->best != IB_NONE && ib_book_level(book, side->best)->key == key) {
        return side->best;
    }
    uint32_t *place = ib_price_index_place(side, &book->nodes, key);
    if (*place == IB_NONE) {
        *place = ib_pool_take(&book->levels);
        *ib_book_level(book, *place) = (struct ib_level){.key = key, .side_index = side_index};
        if (side->best == IB_NONE || key < ib_book_level(book, side->best)->key) {
            side->best = *place;
        }
    }
    return *place;
}

static void drop_level(struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_level *level = ib_book_level(book, index);
    IB_ASSERT(level->count == 0 && level->quantity == 0);
    struct ib_price_index *side = &book->instruments[level->side_index >> 1].sides[level->side_index & 1];
    ib_price_index_remove(side, &book->nodes, level->key);
    if (side->best == index) {
        side->best = ib_price_index_lowest(side, &book->nodes);
    }
    ib_pool_give(&book->levels, index);
}

uint32_t ib_book_rest(struct ib_book *book, const struct ib_book_entry *entry)
{
    IB_ASSERT(!ib_book_is_full(book));
    IB_ASSERT(entry->session < IB_SESSIONS_MAX);
    IB_ASSERT(entry->client_data != NULL);
    IB_ASSERT(entry->instrument < book->instrument_count);
    IB_ASSERT(entry->remaining > 0);
    unsigned side_number = ib_side_number(entry->side);
    uint32_t index = ib_pool_take(&book->orders);
    struct ib_order *order = ib_book_order(book, index);
    order->level = level_for(book, 2 * entry->instrument + side_number, ib_book_key(side_number, entry->ticks));
    ib_order_pack(order, entry->order_ref, entry->remaining, entry->executed);
    order->user_ref = entry->user_ref;
    order->session = entry->session;
    order->time_in_force = entry->time_in_force;
    order->order_type = entry->order_type;
    memcpy(order->client_data, entry->client_data, sizeof order->client_data);
    struct ib_level *level = ib_book_level(book, order->level);
    ib_level_append(level, ib_book_order(book, 0), index);
    index_order(book, index);
    book->hash += ib_book_order_hash(order, level);
    return index;
}

void ib_book_remove(struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index < book->orders.fresh);
    IB_ASSERT(index != IB_NONE);
    const struct ib_order *order = ib_book_order(book, index);
    uint32_t level_index = order->level;
    struct ib_level *level = ib_book_level(book, level_index);
    book->hash -= ib_book_order_hash(order, level);
    unindex_order(book, index);
    ib_level_unlink(level, ib_book_order(book, 0), index);
    if (level->count == 0) {
        drop_level(book, level_index);
    }
    ib_pool_give(&book->orders, index);
}

void ib_book_fill(struct ib_book *book, uint32_t index, uint64_t quantity)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t remaining = ib_order_remaining(order);
    IB_ASSERT(quantity > 0 && quantity <= remaining);
    if (quantity == remaining) {
        ib_book_remove(book, index);
        return;
    }
    struct ib_level *level = ib_book_level(book, order->level);
    book->hash -= ib_book_order_hash(order, level);
    ib_order_pack(order, ib_order_ref(order), remaining - quantity, ib_order_executed(order) + quantity);
    level->quantity -= quantity;
    book->hash += ib_book_order_hash(order, level);
}

void ib_book_shrink(struct ib_book *book, uint32_t index, uint64_t remaining)
{
    IB_ASSERT(index != IB_NONE);
    struct ib_order *order = ib_book_order(book, index);
    uint64_t before = ib_order_remaining(order);
    IB_ASSERT(remaining > 0 && remaining <= before);
    struct ib_level *level = ib_book_level(book, order->level);
    book->hash -= ib_book_order_hash(order, level);
    ib_order_pack(order, ib_order_ref(order), remaining, ib_order_executed(order));
    level->quantity -= before - remaining;
    book->hash += ib_book_order_hash(order, level);
}

void ib_book_rename(struct ib_book *book, uint32_t index, uint32_t user_ref, uint8_t time_in_force,
                    const uint8_t *client_data)
{
    IB_ASSERT(client_data != NULL);
    struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(index != IB_NONE);
    const struct ib_level *level = ib_book_level(book, order->level);
    book->hash -= ib_book_order_hash(order, level);
    unindex_order(book, index);
    order->user_ref = user_ref;
    order->time_in_force = time_in_force;
    memcpy(order->client_data, client_data, sizeof order->client_data);
    index_order(book, index);
    book->hash += ib_book_order_hash(order, level);
}
