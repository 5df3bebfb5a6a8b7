/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * buckets.c: see buckets.h.
 */
#include "buckets.h"

#include "ironbook.h"
#include "memory.h"

enum { BUCKETS_MIN = 16 }; /* one cache line */

static size_t heads_bytes(const struct ib_buckets *buckets)
{
    IB_ASSERT(buckets->capacity >= BUCKETS_MIN);
    IB_ASSERT((buckets->capacity & (buckets->capacity - 1)) == 0);
    return (size_t)buckets->capacity * sizeof *buckets->heads;
}

int ib_buckets_open(struct ib_buckets *buckets, uint64_t capacity)
{
    IB_ASSERT(buckets != NULL);
    IB_ASSERT(capacity <= (uint64_t)1 << 30);
    *buckets = (struct ib_buckets){
        .mask = BUCKETS_MIN - 1, .half = BUCKETS_MIN / 2, .last = BUCKETS_MIN - 1, .capacity = BUCKETS_MIN};
    while (buckets->capacity < capacity) {
        buckets->capacity *= 2;
    }
    buckets->heads = ib_memory_reserve(heads_bytes(buckets));
    return buckets->heads == NULL ? IB_ERROR_MEMORY : IB_OK;
}

void ib_buckets_close(struct ib_buckets *buckets)
{
    IB_ASSERT(buckets != NULL);
    if (buckets->heads != NULL) {
        ib_memory_release(buckets->heads, heads_bytes(buckets));
    }
    *buckets = (struct ib_buckets){0};
}

uint32_t ib_buckets_grow(struct ib_buckets *buckets, uint32_t *from)
{
    uint32_t added = ++buckets->last;
    IB_ASSERT(added < buckets->capacity);
    if (added > buckets->mask) {
        buckets->half = buckets->mask + 1;
        buckets->mask = buckets->mask << 1 | 1;
    }
    IB_ASSERT(added <= buckets->mask && buckets->heads[added] == 0);
    *from = added - buckets->half;
    return added;
}
