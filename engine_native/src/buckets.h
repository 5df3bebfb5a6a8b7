/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * buckets.h: the table under the index of orders by (session, number): where each chain begins. What a chain links, and
 * how, is the business of whoever owns it.
 *
 * The table doubles when it gets too full, and moves nothing then. A new bucket is not made yet; its
 * entries stand in the bucket that it comes from, until somebody asks for it and it gets its own. So no order has to
 * wait until a table has been moved, and a table is as small as the book ever was.
 *
 *   mask 15:  bucket 8                          8, 24, 40 and 56 are made one after the other, each out of the bucket
 *   mask 31:  bucket 8    24                    before: a bucket that is made comes from one that is made
 *   mask 63:  bucket 8    24    40    56
 *
 * 16 neighbours lie side by side in one cache line; the lines are scattered by a multiplication. So what is used
 * together is together, and no stride piles up in one bucket.
 */
#ifndef IB_BUCKETS_H
#define IB_BUCKETS_H

#include "check.h"
#include "hash.h"

#define IB_BUCKETS_SCATTER UINT64_C(0x4f1bbcdd) /* half the golden ratio in 32 bits, odd */

enum {
    IB_BUCKETS_MIN = 16, /* one cache line; these are made from the beginning */
    IB_BUCKETS_SPARSE = 32768, /* entries: up to here there are two buckets for each, for fewer chains; 256 KiB then */
    IB_BUCKET_UNMADE = 0,
    IB_CHAIN_END = 1, /* what a bucket says that holds nothing, and the last link of a chain: no entry's index */
};

struct ib_buckets {
    uint32_t *heads; /* first of each chain, IB_CHAIN_END, or IB_BUCKET_UNMADE */
    uint32_t mask;   /* number of buckets, a power of two, less one */
    uint32_t capacity;
};

/* Room for `capacity` entries. enum ib_status. */
int ib_buckets_open(struct ib_buckets *buckets, uint64_t capacity);
void ib_buckets_close(struct ib_buckets *buckets);
/* Doubles until there are buckets for so many entries. */
void ib_buckets_grow(struct ib_buckets *buckets, uint32_t entries);
/* The bucket that `bucket`, which is not one of the first 16, comes from. */
uint32_t ib_buckets_parent(uint32_t bucket);

/* `line` names 16 neighbours, the lowest four bits of `place` which of them. */
IB_INLINE uint32_t ib_buckets_scatter(uint64_t line, uint32_t place)
{
    /* A multiplier of 31 bits is part of the instruction; what is taken begins where all of its bits have come in. */
    return ((uint32_t)(line * IB_BUCKETS_SCATTER >> 24) & ~15u) + place;
}

IB_INLINE uint32_t *ib_buckets_at(const struct ib_buckets *buckets, uint32_t scattered)
{
    return &buckets->heads[scattered & buckets->mask];
}

#endif
