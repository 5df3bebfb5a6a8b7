/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flash1_ring.h: the queue of reports behind the benchmark's transport interface (flash1_adapter.c): one writer, one
 * reader. A report that does not fit waits for the reader.
 */
#ifndef IB_FLASH1_RING_H
#define IB_FLASH1_RING_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "matching_engine_api.h"

enum {
    PUBLISH = 32, /* reports that the reader is told of at a time */
    CACHE_LINE = 64,
};

_Static_assert(sizeof(me_report_t) == CACHE_LINE, "a report is a cache line");

struct ring {
    me_report_t *slots;
    uint64_t mask;
    /* the writer's line */
    _Alignas(CACHE_LINE) uint64_t written;
    uint64_t seen_read; /* the reader was here, when the writer last looked */
    _Alignas(CACHE_LINE) _Atomic uint64_t published;
    /* the reader's line */
    _Alignas(CACHE_LINE) _Atomic uint64_t read;
};

static void *ring_create(uint32_t capacity)
{
    uint64_t slots = 1024;
    while (slots < capacity) {
        slots *= 2;
    }
    struct ring *ring = aligned_alloc(CACHE_LINE, sizeof *ring);
    if (ring == NULL) {
        return NULL;
    }
    memset(ring, 0, sizeof *ring);
    ring->slots = aligned_alloc(CACHE_LINE, slots * sizeof *ring->slots);
    ring->mask = slots - 1;
    if (ring->slots == NULL) {
        free(ring);
        return NULL;
    }
    memset(ring->slots, 0, slots * sizeof *ring->slots); /* touched before the clock runs */
    return ring;
}

static void ring_flush(void *handle)
{
    struct ring *ring = handle;
    atomic_store_explicit(&ring->published, ring->written, memory_order_release);
}

/* The next slot to write to, once there is one. */
static inline me_report_t *ring_next(struct ring *ring)
{
    while (__builtin_expect(ring->written - ring->seen_read > ring->mask, 0)) {
        ring_flush(ring);
        ring->seen_read = atomic_load_explicit(&ring->read, memory_order_acquire);
    }
    return &ring->slots[ring->written & ring->mask];
}

static inline void ring_commit(struct ring *ring)
{
    ring->written++;
    if (ring->written % PUBLISH == 0) {
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
    uint32_t count = waiting < max ? (uint32_t)waiting : max;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = ring->slots[(read + i) & ring->mask];
    }
    if (count > 0) {
        atomic_store_explicit(&ring->read, read + count, memory_order_release);
    }
    return count;
}

static void ring_destroy(void *handle)
{
    struct ring *ring = handle;
    free(ring->slots);
    free(ring);
}

#endif
