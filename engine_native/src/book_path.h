/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_path.h: what every order passes through: find, rest, take from the head, remove. Inline, because the matcher's
 * path is a few tens of instructions and a call would cost a tenth of it; whatever is rare stands in book.c.
 */
#ifndef IB_BOOK_PATH_H
#define IB_BOOK_PATH_H

#include "book_level.h"

IB_INLINE uint32_t ib_book_order_scatter(uint16_t session, uint32_t user_ref)
{
    return ib_buckets_scatter((uint64_t)session << 28 | user_ref >> 4, user_ref);
}

/* Where the chain of (session, user_ref) begins, or will begin when the bucket is made. */
IB_INLINE uint32_t *ib_book_order_bucket(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    return ib_buckets_at(&book->order_buckets, ib_book_order_scatter(session, user_ref));
}

/* The first of a bucket's chain, which is made where it is not yet. */
IB_INLINE uint32_t ib_book_open_bucket(struct ib_book *book, uint32_t *bucket)
{
    uint32_t first = *bucket;
    return IB_LIKELY(first != IB_BUCKET_UNMADE) ? first : ib_book_make_bucket(book, bucket);
}

/* Order of (session, user_ref) in its bucket, or IB_NONE. */
IB_INLINE uint32_t ib_book_find_in(struct ib_book *book, uint32_t *bucket, uint16_t session, uint32_t user_ref)
{
    uint32_t index = *bucket;
    if (!IB_LIKELY(index > IB_CHAIN_END)) {
        index = ib_book_open_bucket(book, bucket);
    }
    while (index != IB_CHAIN_END) {
        const struct ib_order *order = ib_book_order(book, index);
        if (IB_LIKELY(order->user_ref == user_ref && ib_order_session(order) == session)) {
            return index;
        }
        index = ib_book_chain(book, index);
    }
    return IB_NONE;
}

/* An order without a cold half leaves the chain of its bucket. */
IB_INLINE void ib_book_unindex_order(struct ib_book *book, uint32_t *bucket, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    IB_EXPECT(!ib_order_has_cold(order));
    if (IB_LIKELY(*bucket == index)) {
        *bucket = ib_order_chain(order);
    } else {
        ib_book_unindex_chained(book, bucket, index);
    }
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

/* Whether one more order can rest. */
IB_INLINE int ib_book_has_room(struct ib_book *book)
{
    return IB_LIKELY(book->orders.free_head != IB_NONE) || ib_book_make_room(book);
}

/* The side's best is gone, `next` comes after it. */
IB_INLINE void ib_book_set_best(const struct ib_book *book, struct ib_price_index *side, uint32_t next)
{
    IB_EXPECT(next == IB_NONE || ib_book_links(book, next)->next != next);
    side->best = next;
    side->best_key = next == IB_NONE ? IB_KEY_NONE : ib_book_level(book, next).key;
}

/* A level of a window holds no orders any more. Where quotes come and go at the top of a thin book, the next best is
 * the one that was the best before, and needs no search. */
IB_INLINE void ib_book_leave_window(struct ib_book *book, struct ib_price_index *side, uint32_t side_index,
                                    uint64_t key)
{
    struct ib_price_window *window = &book->windows[side_index];
    uint64_t second_key = window->second_key;
    IB_EXPECT(side_index < book->window_sides && side == ib_book_side(book, side_index));
    IB_EXPECT(side->best_key <= key && (second_key <= key || side->root == IB_NONE));
    ib_price_window_unset(window, key);
    if (side->best_key != key) {
        window->second_key = second_key == key ? side->best_key : second_key;
    } else if (second_key > key) {
        side->best_key = second_key;
        side->best = second_key == IB_KEY_NONE ? (uint32_t)IB_NONE : ib_price_window_level(window, second_key);
    } else {
        uint32_t next = IB_LIKELY(side->root == IB_NONE) ? ib_price_window_above(window, key)
                                                         : ib_book_level_from(book, side_index, key);
        ib_book_set_best(book, side, next);
        window->second_key = side->best_key;
    }
}

/* A level without orders leaves its side. */
IB_INLINE void ib_book_drop_level(struct ib_book *book, struct ib_price_index *side, uint32_t index,
                                  struct ib_level level)
{
    IB_EXPECT(ib_book_links(book, index)->next == index && ib_book_links(book, index)->prev == index);
    IB_EXPECT(ib_book_queue(book, index)->quantity == 0);
    IB_EXPECT(side == ib_book_any_side(book, level.side_index));
    if (level.leaf == IB_NONE) {
        ib_book_leave_window(book, side, level.side_index, level.key);
        return;
    }
    uint32_t next = ib_price_index_remove(side, &book->nodes, level.leaf, level.key);
    ib_pool_give(&book->levels, ib_index_of(index), sizeof(struct ib_far_level));
    if (side->best != index) {
        return;
    }
    struct ib_price_window *window = ib_book_window(book, level.side_index);
    if (next == IB_NONE || window != NULL) {
        next = ib_book_level_from(book, level.side_index, level.key);
    }
    ib_book_set_best(book, side, next);
    if (window != NULL) {
        window->second_key = side->best_key;
    }
}

/* A level with orders may be the best of its side. Whether it is, is nobody's guess: no branch. */
IB_INLINE void ib_book_better(struct ib_price_index *side, uint64_t key, uint32_t level)
{
    IB_EXPECT(level != IB_NONE && key != IB_KEY_NONE);
    uint32_t best = side->best;
    uint64_t best_key = side->best_key;
    side->best = key < best_key ? level : best;
    side->best_key = key < best_key ? key : best_key;
}

/* The level of a price, made where there is none, for an order that will stand there. */
IB_INLINE uint32_t ib_book_open_level(struct ib_book *book, struct ib_price_index *side, uint32_t side_index,
                                      uint64_t key)
{
    IB_EXPECT(key != IB_KEY_NONE && side_index >> IB_PLACE_SHIFT <= IB_PLACE_AT_CLOSE);
    if (side_index < book->window_sides) {
        struct ib_price_window *window = &book->windows[side_index];
        uint32_t index = ib_price_window_level(window, key);
        const struct ib_links *ring = ib_book_links(book, index);
        if (!IB_LIKELY(ib_price_window_covers(window, key) && ring->next != IB_NONE &&
                       (side->root == IB_NONE || ring->next != index))) {
            return ib_book_reach_level(book, side, side_index, key);
        }
        ib_price_window_count(window, key, side->best_key);
        ib_book_better(side, key, index);
        ib_price_window_set(window, key); /* again, if it holds orders: no branch that nobody can guess */
        return index;
    }
    uint32_t leaf = ib_price_index_leaf(side, &book->nodes, key);
    uint32_t level = ib_price_leaf_level(&book->nodes, leaf, key);
    return level != IB_NONE ? level : ib_book_add_level(book, side, side_index, key, leaf);
}

/* Behind all orders at its price; `side` is that of the entry. The caller has asked ib_book_has_room. */
IB_INLINE uint32_t ib_book_rest(struct ib_book *book, struct ib_price_index *side, const struct ib_book_entry *entry)
{
    IB_EXPECT(side == ib_book_any_side(book, entry->side_index));
    IB_EXPECT(entry->session < IB_SESSIONS_MAX && ib_side_instrument(entry->side_index) < book->instrument_count);
    IB_EXPECT(entry->remaining > 0 && entry->key != IB_KEY_NONE);
    uint32_t level_index = ib_book_open_level(book, side, entry->side_index, entry->key);
    IB_KEEP(level_index); /* or the compiler would remember where its ring is, in memory */
    uint32_t index = ib_pool_take_given(&book->orders, sizeof(struct ib_order));
    struct ib_order *order = ib_book_order(book, index);
    uint32_t *bucket = ib_book_order_bucket(book, entry->session, entry->user_ref);
    order->amount = entry->remaining << IB_ORDER_CHAIN_BITS | ib_book_open_bucket(book, bucket);
    *bucket = index;
    uint64_t identity = ib_order_identity(entry->order_ref, entry->session, entry->time_in_force, entry->order_type);
    order->identity = identity;
    order->level = level_index;
    ib_ring_append(book->orders.slots, level_index, &order->links, ib_name_of(index));
    ib_book_queue(book, level_index)->quantity += entry->remaining;
    order->user_ref = entry->user_ref; /* not right after `level`: the compiler would join both in a vector first */
    book->hash += ib_order_weight(identity, entry->user_ref, ib_order_where(entry->key, entry->side_index)) *
                  entry->remaining;
    if (entry->executed != 0 || !ib_book_is_blank(entry->client_data)) {
        ib_book_write_cold(book, index, entry->executed, entry->client_data);
    }
    return index;
}

/* An order that stands at `where` leaves the hash, the id index and the pool; its links to its neighbours are the
 * caller's. */
IB_INLINE void ib_book_forget(struct ib_book *book, uint32_t *bucket, uint32_t index, uint64_t where)
{
    const struct ib_order *order = ib_book_order(book, index);
    book->hash -= ib_order_weight(order->identity, order->user_ref, where) * ib_order_remaining(order);
    if (ib_order_has_cold(order)) {
        ib_book_drop_cold(book, index);
    }
    ib_book_unindex_order(book, bucket, index);
    ib_pool_give(&book->orders, index, sizeof(struct ib_order));
}

/* All orders of the best level of `side` before `oldest` were forgotten, `quantity` in all; when that is the level
 * itself, it is empty and goes too. */
IB_INLINE void ib_book_advance(struct ib_book *book, struct ib_price_index *side, uint32_t side_index, uint32_t oldest,
                               uint64_t quantity)
{
    uint32_t level = side->best;
    IB_EXPECT(ib_book_queue(book, level)->quantity >= quantity);
    ib_book_queue(book, level)->quantity -= quantity;
    ib_book_links(book, level)->next = oldest;
    ib_book_links(book, oldest)->prev = level;
    if (oldest == level) {
        uint32_t leaf = level < book->window_level ? ib_book_far_level(book, level)->level.leaf : (uint32_t)IB_NONE;
        ib_book_drop_level(book, side, level, (struct ib_level){side->best_key, side_index, leaf});
    }
}

/* Takes a whole order, found in `bucket`, out of the book. */
IB_INLINE void ib_book_remove_from(struct ib_book *book, uint32_t *bucket, uint32_t index, struct ib_level level)
{
    IB_EXPECT(index != IB_NONE && index < book->orders.fresh);
    const struct ib_order *order = ib_book_order(book, index);
    uint32_t level_index = order->level;
    ib_book_queue(book, level_index)->quantity -= ib_order_remaining(order);
    int is_last = ib_ring_unlink(book->orders.slots, &order->links);
    ib_book_forget(book, bucket, index, ib_book_where(level));
    if (!is_last) {
        return;
    }
    if (IB_LIKELY(level.side_index < IB_SIDES_MAX)) {
        ib_book_drop_level(book, ib_book_side(book, level.side_index), level_index, level);
    } else {
        ib_book_drop_rare_level(book, level_index);
    }
}

#endif
