/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * buckets.h: the table under both indexes of the book, orders by (session, number) and levels by (side, price): where
 * each chain begins. What a chain links, and how, is the business of whoever owns it.
 *
 *   heads:   0 … half … last … mask      a bucket b > last does not exist yet: its entries are in b - half
 *
 * The table grows by one bucket at a time (linear hashing): it is as small as the book ever was, its lines stay warm,
 * and no order has to wait until a table has been moved.
 *
 * 16 neighbours, of numbers or of prices, lie side by side in one cache line; the lines are scattered by a
 * multiplication. So what is used together is together, and no stride piles up in one bucket.
 */
#ifndef IB_BUCKETS_H
#define IB_BUCKETS_H

#include "check.h"
#include "hash.h"

#define IB_BUCKETS_SCATTER UINT64_C(0x4f1bbcdd) /* half the golden ratio in 32 bits, odd */

struct ib_buckets {
    uint32_t *heads;   /* first of each chain, or 0 */
    uint32_t mask;     /* a power of two less one: the lowest that covers `last` */
    uint32_t half;     /* (mask + 1) / 2 */
    uint32_t last;     /* the last bucket that exists */
    uint32_t capacity; /* a power of two */
};

int ib_buckets_open(struct ib_buckets *buckets, uint64_t capacity); /* enum ib_status; rounded up */
void ib_buckets_close(struct ib_buckets *buckets);
/* Makes one more bucket exist and returns it; the caller moves to it what now belongs there, out of `*from`. */
uint32_t ib_buckets_grow(struct ib_buckets *buckets, uint32_t *from);

/* `line` names 16 neighbours, the lowest four bits of `place` which of them. Whether its bucket exists already is a
 * coin's toss: no branch. */
IB_INLINE uint32_t *ib_buckets_at(const struct ib_buckets *buckets, uint64_t line, uint64_t place)
{
    /* A multiplier of 31 bits is part of the instruction; what is taken begins where all of its bits have come in. */
    uint32_t scattered = (uint32_t)(line * IB_BUCKETS_SCATTER >> 24) & ~15u;
    uint32_t bucket = (scattered + (uint32_t)place) & buckets->mask;
    uint32_t beyond = (uint32_t)((int32_t)(buckets->last - bucket) >> 31); /* all ones when it does not exist */
    return &buckets->heads[bucket - (beyond & buckets->half)];
}

#endif
