/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_path.h: what every order passes through: find, rest, take from the head, remove. Inline, because the matcher's
 * path is a few tens of instructions and a call would cost a tenth of it; whatever is rare stands in book.c.
 */
#ifndef IB_BOOK_PATH_H
#define IB_BOOK_PATH_H

#include "book.h"

/* Bucket of an order's number. 16 consecutive numbers of a session lie side by side, one cache line, and the lines are
 * scattered: no stride of numbers piles up in one bucket. The table grows by one bucket at a time (linear hashing), so
 * that it is as small as the book ever was, and no order has to wait for a table to be moved: buckets above the count
 * do not exist yet, and theirs are still with those half a table below. */
static inline uint32_t ib_book_bucket(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    uint64_t line = ((uint64_t)session << 28 | user_ref >> 4) * IB_HASH_A;
    uint32_t bucket = ((uint32_t)(line >> 32) << 4 | (user_ref & 15)) & book->bucket_mask;
    uint32_t below = bucket & book->bucket_mask >> 1;
    return bucket < book->bucket_count ? bucket : below;
}

/* Order of (session, user_ref), or IB_NONE. */
static inline uint32_t ib_book_find(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    uint32_t index = book->buckets[ib_book_bucket(book, session, user_ref)];
    while (index != IB_NONE) {
        const struct ib_order *order = ib_book_order(book, index);
        if (order->user_ref == user_ref && ib_order_session(order) == session) {
            break;
        }
        index = ib_order_chain(order);
    }
    return index;
}

static inline void ib_book_index_order(struct ib_book *book, uint32_t index)
{
    struct ib_order *order = ib_book_order(book, index);
    uint32_t *bucket = &book->buckets[ib_book_bucket(book, ib_order_session(order), order->user_ref)];
    ib_order_set_chain(order, *bucket);
    *bucket = index;
}

static inline void ib_book_unindex_order(struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    uint32_t *bucket = &book->buckets[ib_book_bucket(book, ib_order_session(order), order->user_ref)];
    if (IB_LIKELY(*bucket == index)) {
        *bucket = ib_order_chain(order);
        return;
    }
    struct ib_order *before = ib_book_order(book, *bucket);
    while (ib_order_chain(before) != index) {
        IB_ASSERT(ib_order_chain(before) != IB_NONE);
        before = ib_book_order(book, ib_order_chain(before));
    }
    ib_order_set_chain(before, ib_order_chain(order));
}

static inline int ib_book_is_blank(const uint8_t client_data[IB_CLIENT_DATA_SIZE])
{
    uint64_t words[3];
    memcpy(words, client_data, sizeof words);
    return (words[0] | words[1] | words[2]) == 0;
}

/* The level at a key of a side, made when it does not exist. */
static inline uint32_t ib_book_level_for(struct ib_book *book, uint32_t side_index, uint64_t key)
{
    uint32_t level = ib_price_index_find(ib_book_side(book, side_index), &book->nodes, key);
    return level != IB_NONE ? level : ib_book_add_level(book, side_index, key);
}

/* Behind all orders at its price. The caller has asked ib_book_is_full. */
static inline __attribute__((always_inline)) uint32_t ib_book_rest(struct ib_book *book, const struct ib_book_entry *entry)
{
    IB_EXPECT(entry->session < IB_SESSIONS_MAX && entry->side_index >> 1 < book->instrument_count);
    IB_EXPECT(entry->remaining > 0 && entry->key != IB_KEY_NONE);
    uint32_t index = ib_pool_take(&book->orders, sizeof(struct ib_order));
    struct ib_order *order = ib_book_order(book, index);
    uint32_t level_index = ib_book_level_for(book, entry->side_index, entry->key);
    struct ib_level *level = ib_book_level(book, level_index);
    order->level = level_index;
    order->user_ref = entry->user_ref;
    order->identity = ib_order_identity(entry->order_ref, entry->session, entry->time_in_force, entry->order_type);
    order->amount = entry->remaining << IB_ORDER_CHAIN_BITS;
    ib_level_append(level, ib_book_order(book, 0), index);
    ib_book_index_order(book, index);
    book->hash += ib_order_weight(order, entry->key, entry->side_index) * entry->remaining;
    if (entry->executed != 0 || !ib_book_is_blank(entry->client_data)) {
        ib_book_write_cold(book, index, entry->executed, entry->client_data);
    }
    if (book->bucket_count < 2 * book->orders.in_use) {
        ib_book_grow_buckets(book);
    }
    return index;
}

/* An order leaves the hash, the id index and the pool; its links to its neighbours are the caller's. */
static inline void ib_book_forget(struct ib_book *book, uint32_t index, const struct ib_level *level)
{
    const struct ib_order *order = ib_book_order(book, index);
    book->hash -= ib_order_weight(order, level->key, level->side_index) * ib_order_remaining(order);
    if (ib_order_has_cold(order)) {
        book->hash -= ib_book_cold_hash(book, index);
    }
    ib_book_unindex_order(book, index);
    ib_pool_give(&book->orders, index, sizeof(struct ib_order));
}

/* All orders of a level before `head` were forgotten, `quantity` in all; with IB_NONE it is empty and goes too. */
static inline void ib_book_advance(struct ib_book *book, uint32_t level_index, uint32_t head, uint64_t quantity)
{
    struct ib_level *level = ib_book_level(book, level_index);
    IB_EXPECT(level->quantity >= quantity);
    level->quantity -= quantity;
    level->head = head;
    ib_book_order(book, head)->prev = IB_NONE;
    if (head == IB_NONE) {
        level->tail = IB_NONE;
        ib_book_drop_level(book, level_index);
    }
}

/* Takes a whole order out of the book. */
static inline void ib_book_remove(struct ib_book *book, uint32_t index)
{
    IB_EXPECT(index != IB_NONE && index < book->orders.fresh);
    uint32_t level_index = ib_book_order(book, index)->level;
    struct ib_level *level = ib_book_level(book, level_index);
    ib_level_unlink(level, ib_book_order(book, 0), index);
    ib_book_forget(book, index, level);
    if (level->head == IB_NONE) {
        ib_book_drop_level(book, level_index);
    }
}

#endif
