/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * buckets.c: see buckets.h.
 */
#include "buckets.h"

#include "ironbook.h"
#include "memory.h"

static size_t heads_bytes(const struct ib_buckets *buckets)
{
    IB_ASSERT(buckets->capacity >= IB_BUCKETS_MIN);
    IB_ASSERT((buckets->capacity & (buckets->capacity - 1)) == 0);
    return (size_t)buckets->capacity * sizeof *buckets->heads;
}

/* At least so many buckets for so many entries; twice as many while the table is small. */
static uint64_t buckets_for(uint64_t entries)
{
    IB_ASSERT(entries <= (uint64_t)1 << 30);
    return entries <= IB_BUCKETS_SPARSE ? 2 * entries : entries;
}

int ib_buckets_open(struct ib_buckets *buckets, uint64_t capacity)
{
    IB_ASSERT(buckets != NULL);
    IB_ASSERT(capacity <= (uint64_t)1 << 30);
    *buckets = (struct ib_buckets){.mask = IB_BUCKETS_MIN - 1, .capacity = IB_BUCKETS_MIN};
    while (buckets->capacity < buckets_for(capacity)) {
        buckets->capacity *= 2;
    }
    buckets->heads = ib_memory_reserve(heads_bytes(buckets));
    if (buckets->heads == NULL) {
        return IB_ERROR_MEMORY;
    }
    for (uint32_t b = 0; b < IB_BUCKETS_MIN; b++) {
        buckets->heads[b] = IB_CHAIN_END;
    }
    return IB_OK;
}

void ib_buckets_close(struct ib_buckets *buckets)
{
    IB_ASSERT(buckets != NULL);
    if (buckets->heads != NULL) {
        ib_memory_release(buckets->heads, heads_bytes(buckets));
    }
    *buckets = (struct ib_buckets){0};
}

void ib_buckets_grow(struct ib_buckets *buckets, uint32_t entries)
{
    IB_ASSERT(buckets->heads != NULL);
    IB_ASSERT(entries <= buckets->capacity);
    while (buckets->mask + 1 < buckets_for(entries)) {
        buckets->mask = buckets->mask << 1 | 1;
    }
}

uint32_t ib_buckets_parent(uint32_t bucket)
{
    IB_ASSERT(bucket >= IB_BUCKETS_MIN);
    uint32_t parent = bucket & ~(1u << (31 - __builtin_clz(bucket))); /* as the highest bit was not asked about yet */
    IB_ASSERT(parent < bucket);
    return parent;
}
