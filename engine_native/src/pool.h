/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool.h: a fixed number of equal slots, named by a 4-byte index. A freed slot is the next one taken (last in, first
 * out), so that a busy book lives in few, warm cache lines: the largest gain that was measured for matching.
 *
 *   slots:  | none | used | free ─┐ used | free | used | never touched ...
 *             0      1      2     │ 3      4  ▲   5      6 = fresh
 *                                 └───────────┘           free_head = 2
 *
 * Index 0 is never handed out and means "none". A free slot's first four bytes link to the next free one; slots from
 * `fresh` on have never been touched and cost no memory.
 */
#ifndef IB_POOL_H
#define IB_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check.h"

#define IB_NONE 0u

struct ib_pool {
    unsigned char *slots;
    uint32_t slot_size; /* bytes */
    uint32_t capacity;  /* slots that can be in use together */
    uint32_t in_use;
    uint32_t free_head; /* last slot freed, or IB_NONE */
    uint32_t fresh;     /* first slot never handed out */
    uint32_t first;     /* the lowest index it hands out */
    size_t bytes;       /* of its memory; 0 when that is another pool's */
};

int ib_pool_open(struct ib_pool *pool, uint32_t slot_size, uint32_t capacity); /* enum ib_status */
/* Two pools of as many slots each in one array: the indexes of `second` begin where those of `pool` end, so that one
 * index names a slot of either, or one of `more` that follow and that neither hands out. They begin at 2: 1 is free to
 * mean something else (buckets.h). */
int ib_pool_open_both(struct ib_pool *pool, struct ib_pool *second, uint32_t slot_size, uint32_t capacity,
                      uint32_t more);
void ib_pool_close(struct ib_pool *pool);
/* Puts a fresh slot on an empty free list; 0 when there is none. */
int ib_pool_stock(struct ib_pool *pool);
/* Number of slots on the free list; UINT32_MAX when the list is broken. O(free). */
uint32_t ib_pool_count_free(const struct ib_pool *pool);

IB_INLINE int ib_pool_is_full(const struct ib_pool *pool)
{
    return pool->in_use == pool->capacity;
}

/* The caller has asked ib_pool_is_full before: exhaustion is decided where it can be rejected. `slot_size` is the
 * pool's own, told again because a constant turns the address into a shift. */
IB_INLINE uint32_t ib_pool_take(struct ib_pool *pool, size_t slot_size)
{
    IB_EXPECT(!ib_pool_is_full(pool));
    IB_EXPECT(slot_size == pool->slot_size);
    pool->in_use++;
    uint32_t index = pool->free_head;
    if (index == IB_NONE) {
        return pool->fresh++;
    }
    memcpy(&pool->free_head, pool->slots + index * slot_size, sizeof pool->free_head);
    return index;
}

/* The same where a slot is on the free list, as ib_pool_stock has seen to. */
IB_INLINE uint32_t ib_pool_take_given(struct ib_pool *pool, size_t slot_size)
{
    IB_EXPECT(pool->free_head != IB_NONE && slot_size == pool->slot_size);
    uint32_t index = pool->free_head;
    pool->in_use++;
    IB_KEEP(index); /* or the compiler would join both fields in a vector first */
    memcpy(&pool->free_head, pool->slots + index * slot_size, sizeof pool->free_head);
    return index;
}

IB_INLINE void ib_pool_give(struct ib_pool *pool, uint32_t index, size_t slot_size)
{
    IB_EXPECT(index >= pool->first && index < pool->fresh);
    IB_EXPECT(pool->in_use > 0 && slot_size == pool->slot_size);
    memcpy(pool->slots + index * slot_size, &pool->free_head, sizeof pool->free_head);
    pool->in_use--;
    IB_KEEP(pool); /* as above */
    pool->free_head = index;
}

#endif
