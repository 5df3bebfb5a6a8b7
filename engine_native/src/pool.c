/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool.c: opening and checking; taking and giving are inline in pool.h.
 */
#include "pool.h"

#include "ironbook.h"
#include "memory.h"

static int open_pool(struct ib_pool *pool, uint32_t slot_size, uint32_t capacity, uint32_t slots)
{
    IB_ASSERT(slot_size >= sizeof(uint32_t));
    IB_ASSERT(capacity > 0 && capacity <= slots && slots < UINT32_MAX);
    IB_ASSERT(pool != NULL);
    *pool = (struct ib_pool){.slot_size = slot_size, .capacity = capacity, .first = 1, .fresh = 1};
    pool->bytes = ((size_t)slots + 1) * slot_size;
    pool->slots = ib_memory_reserve(pool->bytes);
    return pool->slots == NULL ? IB_ERROR_MEMORY : IB_OK;
}

int ib_pool_open(struct ib_pool *pool, uint32_t slot_size, uint32_t capacity)
{
    IB_ASSERT(pool != NULL);
    return open_pool(pool, slot_size, capacity, capacity);
}

int ib_pool_open_both(struct ib_pool *pool, struct ib_pool *second, uint32_t slot_size, uint32_t capacity,
                      uint32_t more)
{
    IB_ASSERT(pool != NULL && second != NULL);
    IB_ASSERT(capacity < UINT32_MAX / 4 && more < UINT32_MAX / 4);
    int status = open_pool(pool, slot_size, capacity, 2 * capacity + 1 + more);
    pool->first = pool->fresh = 2;
    *second = *pool;
    second->bytes = 0;
    second->first = capacity + 2;
    second->fresh = second->first;
    return status;
}

void ib_pool_close(struct ib_pool *pool)
{
    IB_ASSERT(pool != NULL);
    if (pool->slots != NULL && pool->bytes != 0) {
        ib_memory_release(pool->slots, pool->bytes);
    }
    *pool = (struct ib_pool){0};
}

int ib_pool_stock(struct ib_pool *pool)
{
    IB_ASSERT(pool->free_head == IB_NONE);
    IB_ASSERT(pool->in_use <= pool->capacity);
    if (ib_pool_is_full(pool)) {
        return 0;
    }
    pool->free_head = pool->fresh++; /* fresh memory is zero: the end of the list */
    return 1;
}

uint32_t ib_pool_count_free(const struct ib_pool *pool)
{
    IB_ASSERT(pool->slots != NULL);
    IB_ASSERT(pool->fresh >= pool->first);
    uint32_t count = 0;
    for (uint32_t index = pool->free_head; index != IB_NONE;) {
        if (index < pool->first || index >= pool->fresh || count >= pool->fresh) {
            return UINT32_MAX; /* a link to nowhere, or a ring */
        }
        memcpy(&index, pool->slots + (size_t)index * pool->slot_size, sizeof index);
        count++;
    }
    return count;
}
