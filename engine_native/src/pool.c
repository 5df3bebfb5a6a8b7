/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool.c: opening and checking; taking and giving are inline in pool.h.
 */
#include "pool.h"

#include "ironbook.h"
#include "memory.h"

static size_t pool_bytes(const struct ib_pool *pool)
{
    IB_ASSERT(pool->slot_size > 0);
    return ((size_t)pool->capacity + 1) * pool->slot_size;
}

int ib_pool_open(struct ib_pool *pool, uint32_t slot_size, uint32_t capacity)
{
    IB_ASSERT(pool != NULL);
    IB_ASSERT(slot_size >= sizeof(uint32_t));
    IB_ASSERT(capacity > 0 && capacity < UINT32_MAX);
    *pool = (struct ib_pool){.slot_size = slot_size, .capacity = capacity, .fresh = 1};
    pool->slots = ib_memory_reserve(pool_bytes(pool));
    return pool->slots == NULL ? IB_ERROR_MEMORY : IB_OK;
}

void ib_pool_close(struct ib_pool *pool)
{
    IB_ASSERT(pool != NULL);
    if (pool->slots != NULL) {
        ib_memory_release(pool->slots, pool_bytes(pool));
    }
    *pool = (struct ib_pool){0};
}

uint32_t ib_pool_count_free(const struct ib_pool *pool)
{
    IB_ASSERT(pool->slots != NULL);
    IB_ASSERT(pool->fresh >= 1);
    uint32_t count = 0;
    for (uint32_t index = pool->free_head; index != IB_NONE;) {
        if (index >= pool->fresh || count >= pool->fresh) {
            return UINT32_MAX; /* a link to nowhere, or a ring */
        }
        memcpy(&index, pool->slots + (size_t)index * pool->slot_size, sizeof index);
        count++;
    }
    return count;
}
