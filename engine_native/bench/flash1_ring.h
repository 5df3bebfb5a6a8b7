/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flash1_ring.h: the queue of reports behind the benchmark's transport interface (flash1_adapter.c): one writer, one
 * reader. A report that does not fit waits for the reader.
 *
 * The benchmark asks for room for a million reports: 64 MB, of which a plain ring would write every line anew, and
 * fetch it from memory to do so. So the queue is a ring of blocks, and a block that has been read is the next to be
 * written: as long as the reader keeps up, a few of them go to and fro, and stay in the caches.
 */
#ifndef IB_FLASH1_RING_H
#define IB_FLASH1_RING_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "matching_engine_api.h"
#include "memory.h"

enum {
    PUBLISH = 32, /* reports that the reader is told of at a time */
    BLOCK = 256,  /* reports */
    CACHE_LINE = 64,
};

_Static_assert(sizeof(me_report_t) == CACHE_LINE, "a report is a cache line");
_Static_assert(BLOCK % PUBLISH == 0, "a block ends with what is published");

struct ring {
    me_report_t *memory; /* of whole pages */
    size_t bytes;
    uint32_t *places; /* of a block in the stream of reports, modulo `blocks`: which block of the memory it is */
    uint32_t blocks;  /* a power of two */
    /* the writer's lines */
    _Alignas(CACHE_LINE) me_report_t *slot; /* the next one */
    me_report_t *end;                       /* of its block */
    uint64_t begun;                         /* reports up to the end of that block */
    uint64_t freed;                         /* blocks of the stream that are known to be read */
    uint32_t *unused;                       /* blocks of the memory: the last one in is the next one out */
    uint32_t unused_count;
    _Alignas(CACHE_LINE) _Atomic uint64_t published;
    /* the reader's line */
    _Alignas(CACHE_LINE) _Atomic uint64_t read;
};

static void ring_destroy(void *handle)
{
    struct ring *ring = handle;
    ib_memory_release(ring->memory, ring->bytes);
    free(ring->places);
    free(ring->unused);
    free(ring);
}

static void *ring_create(uint32_t capacity)
{
    struct ring *ring = aligned_alloc(CACHE_LINE, sizeof *ring);
    if (ring == NULL) {
        return NULL;
    }
    memset(ring, 0, sizeof *ring);
    ring->blocks = 4;
    while (ring->blocks * (uint64_t)BLOCK < capacity) {
        ring->blocks *= 2;
    }
    ring->bytes = ring->blocks * (size_t)BLOCK * sizeof *ring->memory;
    ring->memory = ib_memory_reserve(ring->bytes);
    ring->places = calloc(ring->blocks, sizeof *ring->places);
    ring->unused = calloc(ring->blocks, sizeof *ring->unused);
    if (ring->memory == NULL || ring->places == NULL || ring->unused == NULL) {
        ring_destroy(ring);
        return NULL;
    }
    memset(ring->memory, 0, ring->bytes); /* touched before the clock runs */
    for (uint32_t i = 0; i < ring->blocks; i++) {
        ring->unused[i] = ring->blocks - 1 - i;
    }
    ring->unused_count = ring->blocks;
    return ring;
}

static void ring_flush(void *handle)
{
    struct ring *ring = handle;
    atomic_store_explicit(&ring->published, ring->begun - (uint64_t)(ring->end - ring->slot), memory_order_release);
}

/* A block of the memory for the next reports, once there is one. */
static __attribute__((noinline)) void ring_begin_block(struct ring *ring)
{
    do {
        uint64_t read = atomic_load_explicit(&ring->read, memory_order_acquire) / BLOCK;
        for (; ring->freed < read; ring->freed++) {
            ring->unused[ring->unused_count++] = ring->places[ring->freed & (ring->blocks - 1)];
        }
    } while (ring->unused_count == 0);
    uint32_t place = ring->unused[--ring->unused_count];
    ring->places[ring->begun / BLOCK & (ring->blocks - 1)] = place;
    ring->slot = ring->memory + (size_t)place * BLOCK;
    ring->end = ring->slot + BLOCK;
    ring->begun += BLOCK;
}

/* The next slot to write to. */
static inline me_report_t *ring_next(struct ring *ring)
{
    if (__builtin_expect(ring->slot == ring->end, 0)) {
        ring_begin_block(ring);
    }
    return ring->slot;
}

static inline void ring_commit(struct ring *ring)
{
    ring->slot++;
    if ((uintptr_t)ring->slot % (PUBLISH * CACHE_LINE) == 0) {
        ring_flush(ring);
    }
}

static int ring_push(void *handle, const me_report_t *report)
{
    *ring_next(handle) = *report;
    ring_commit(handle);
    return 1;
}

static uint32_t ring_drain(void *handle, me_report_t *out, uint32_t max)
{
    struct ring *ring = handle;
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    uint64_t waiting = atomic_load_explicit(&ring->published, memory_order_acquire) - read;
    uint64_t left = BLOCK - read % BLOCK; /* in its block */
    uint64_t count = waiting < max ? waiting : max;
    count = count < left ? count : left;
    if (count > 0) {
        const me_report_t *block = ring->memory + (size_t)ring->places[read / BLOCK & (ring->blocks - 1)] * BLOCK;
        memcpy(out, block + read % BLOCK, count * sizeof *out);
        atomic_store_explicit(&ring->read, read + count, memory_order_release);
    }
    return (uint32_t)count;
}

#endif
