/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_index.c: how the index of orders grows, bucket by bucket (buckets.h), and what of finding an order is rare.
 */
#include "book_path.h"

int ib_book_make_room(struct ib_book *book)
{
    if (!ib_pool_stock(&book->orders)) {
        return 0;
    }
    IB_ASSERT(book->orders.fresh > book->orders.first);
    IB_ASSERT(book->orders.free_head != IB_NONE);
    ib_buckets_grow(&book->order_buckets, book->orders.fresh - book->orders.first);
    return 1;
}

/* Gives a bucket what is its own of the one that it comes from. */
static void split_bucket(struct ib_book *book, uint32_t from, uint32_t to)
{
    struct ib_buckets *buckets = &book->order_buckets;
    uint32_t mask = 2 * (to - from) - 1; /* up to the bit in which they differ */
    uint32_t index = buckets->heads[from];
    IB_ASSERT(index != IB_BUCKET_UNMADE && buckets->heads[to] == IB_BUCKET_UNMADE);
    buckets->heads[from] = IB_CHAIN_END;
    buckets->heads[to] = IB_CHAIN_END;
    while (index != IB_CHAIN_END) {
        const struct ib_order *order = ib_book_order(book, index);
        uint32_t scattered = ib_book_order_scatter(ib_order_session(order), order->user_ref);
        uint32_t *bucket = &buckets->heads[(scattered & mask) == to ? to : from];
        uint32_t next = ib_book_chain(book, index);
        ib_book_set_chain(book, index, *bucket);
        *bucket = index;
        index = next;
    }
}

/* Recursion is bounded: a parent has a bit less. */
uint32_t ib_book_make_bucket(struct ib_book *book, uint32_t *bucket)
{
    struct ib_buckets *buckets = &book->order_buckets;
    uint32_t at = (uint32_t)(bucket - buckets->heads);
    IB_ASSERT(at <= buckets->mask && *bucket == IB_BUCKET_UNMADE);
    uint32_t parent = ib_buckets_parent(at);
    if (buckets->heads[parent] == IB_BUCKET_UNMADE) {
        (void)ib_book_make_bucket(book, &buckets->heads[parent]);
    }
    split_bucket(book, parent, at);
    return *bucket;
}

/* The order is not the first of its bucket, or the bucket is not made yet. */
void ib_book_unindex_chained(struct ib_book *book, uint32_t *bucket, uint32_t index)
{
    uint32_t before = ib_book_open_bucket(book, bucket);
    uint32_t chain = ib_order_chain(ib_book_order(book, index));
    if (before == index) {
        *bucket = chain;
        return;
    }
    while (ib_book_chain(book, before) != index) {
        before = ib_book_chain(book, before);
        IB_ASSERT(before > IB_CHAIN_END);
    }
    ib_book_set_chain(book, before, chain);
}

uint32_t ib_book_find(const struct ib_book *book, uint16_t session, uint32_t user_ref)
{
    const struct ib_buckets *buckets = &book->order_buckets;
    uint32_t at = ib_book_order_scatter(session, user_ref) & buckets->mask;
    while (buckets->heads[at] == IB_BUCKET_UNMADE) {
        at = ib_buckets_parent(at);
    }
    uint32_t index = buckets->heads[at];
    while (index != IB_CHAIN_END) {
        const struct ib_order *order = ib_book_order(book, index);
        IB_ASSERT(index > IB_CHAIN_END && index < book->orders.fresh);
        if (order->user_ref == user_ref && ib_order_session(order) == session) {
            return index;
        }
        index = ib_book_chain(book, index);
    }
    return IB_NONE;
}
