/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_path.h: what every order passes through: find, rest, take from the head, remove. Inline, because the matcher's
 * path is a few tens of instructions and a call would cost a tenth of it; whatever is rare stands in book.c.
 */
#ifndef IB_BOOK_PATH_H
#define IB_BOOK_PATH_H

#include "book.h"

/* Buckets for each order. The emptier, the fewer chains, and the fewer guesses go wrong; the fuller, the fewer lines. */
enum { IB_BUCKETS_ORDER = 2 };

IB_INLINE uint32_t *ib_book_order_bucket(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    return ib_buckets_at(&book->order_buckets, (uint64_t)session << 28 | user_ref >> 4, user_ref);
}

/* Order of (session, user_ref) in its bucket, or IB_NONE. */
IB_INLINE uint32_t ib_book_find_in(const struct ib_book *book, const uint32_t *bucket, uint16_t session,
                                       uint32_t user_ref)
{
    uint32_t index = *bucket;
    while (index != IB_NONE) {
        const struct ib_order *order = ib_book_order(book, index);
        if (IB_LIKELY(order->user_ref == user_ref && ib_order_session(order) == session)) {
            break;
        }
        index = ib_book_chain(book, index);
    }
    return index;
}

/* Order of (session, user_ref), or IB_NONE. */
IB_INLINE uint32_t ib_book_find(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    return ib_book_find_in(book, ib_book_order_bucket(book, session, user_ref), session, user_ref);
}

/* `bucket` is that of an order without a cold half. */
IB_INLINE void ib_book_unindex_order(struct ib_book *book, uint32_t *bucket, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    IB_EXPECT(!ib_order_has_cold(order));
    if (IB_LIKELY(*bucket == index)) {
        *bucket = ib_order_chain(order);
        return;
    }
    uint32_t before = *bucket;
    while (ib_book_chain(book, before) != index) {
        before = ib_book_chain(book, before);
        IB_ASSERT(before != IB_NONE);
    }
    ib_book_set_chain(book, before, ib_order_chain(order));
}

IB_INLINE int ib_book_is_blank(const uint8_t client_data[IB_CLIENT_DATA_SIZE])
{
    uint64_t first;
    uint64_t second;
    uint64_t third;
    memcpy(&first, client_data, sizeof first);
    memcpy(&second, client_data + 8, sizeof second);
    memcpy(&third, client_data + 16, sizeof third);
    return (first | second | third) == 0;
}

/* Behind all orders at its price; `side` is that of the entry. The caller has asked ib_book_is_full. */
IB_INLINE uint32_t ib_book_rest(struct ib_book *book, struct ib_price_index *side, const struct ib_book_entry *entry)
{
    IB_EXPECT(side == ib_book_any_side(book, entry->side_index));
    IB_EXPECT(entry->session < IB_SESSIONS_MAX && ib_side_instrument(entry->side_index) < book->instrument_count);
    IB_EXPECT(entry->remaining > 0 && entry->key != IB_KEY_NONE);
    uint32_t index = ib_pool_take(&book->orders, sizeof(struct ib_order));
    struct ib_order *order = ib_book_order(book, index);
    uint32_t leaf = ib_price_index_leaf(side, &book->nodes, entry->key);
    uint32_t level_index = ib_price_leaf_level(&book->nodes, leaf, entry->key);
    if (level_index == IB_NONE) {
        level_index = ib_book_add_level(book, entry->side_index, entry->key, leaf);
    }
    uint32_t *bucket = ib_book_order_bucket(book, entry->session, entry->user_ref);
    order->amount = entry->remaining << IB_ORDER_CHAIN_BITS | *bucket;
    *bucket = index;
    uint64_t identity = ib_order_identity(entry->order_ref, entry->session, entry->time_in_force, entry->order_type);
    order->identity = identity;
    order->level = level_index;
    ib_ring_append(book->orders.slots, level_index, index);
    ib_book_level(book, level_index)->quantity += entry->remaining;
    order->user_ref = entry->user_ref; /* not right after `level`: the compiler would join both in a vector first */
    book->hash += ib_order_weight(identity, entry->user_ref, entry->key, entry->side_index) * entry->remaining;
    if (entry->executed != 0 || !ib_book_is_blank(entry->client_data)) {
        ib_book_write_cold(book, index, entry->executed, entry->client_data);
    }
    if (book->order_buckets.last < IB_BUCKETS_ORDER * book->orders.in_use) {
        ib_book_grow_order_buckets(book);
    }
    return index;
}

/* An order leaves the hash, the id index and the pool; its links to its neighbours are the caller's. */
IB_INLINE void ib_book_forget(struct ib_book *book, uint32_t *bucket, uint32_t index, const struct ib_level *level)
{
    const struct ib_order *order = ib_book_order(book, index);
    book->hash -= ib_order_weight(order->identity, order->user_ref, level->key, level->side_index) *
                  ib_order_remaining(order);
    if (ib_order_has_cold(order)) {
        ib_book_drop_cold(book, index);
    }
    ib_book_unindex_order(book, bucket, index);
    ib_pool_give(&book->orders, index, sizeof(struct ib_order));
}

/* All orders of a level before `oldest` were forgotten, `quantity` in all; when that is the level itself, it is empty and
 * goes too. */
IB_INLINE void ib_book_advance(struct ib_book *book, uint32_t level_index, uint32_t oldest, uint64_t quantity)
{
    struct ib_level *level = ib_book_level(book, level_index);
    IB_EXPECT(level->quantity >= quantity);
    level->quantity -= quantity;
    level->ring.next = oldest;
    ib_links_at(book->orders.slots, oldest)->prev = level_index;
    if (oldest == level_index) {
        ib_book_drop_level(book, level_index);
    }
}

/* Takes a whole order, found in `bucket`, out of the book. */
IB_INLINE void ib_book_remove_from(struct ib_book *book, uint32_t *bucket, uint32_t index)
{
    IB_EXPECT(index != IB_NONE && index < book->orders.fresh);
    uint32_t level_index = ib_book_order(book, index)->level;
    struct ib_level *level = ib_book_level(book, level_index);
    ib_ring_unlink(book->orders.slots, index);
    level->quantity -= ib_order_remaining(ib_book_order(book, index));
    ib_book_forget(book, bucket, index, level);
    if (level->ring.next == level_index) {
        ib_book_drop_level(book, level_index);
    }
}

/* Takes a whole order out of the book. */
IB_INLINE void ib_book_remove(struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    ib_book_remove_from(book, ib_book_order_bucket(book, ib_order_session(order), order->user_ref), index);
}

#endif
