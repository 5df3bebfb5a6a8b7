/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ring.c: see ring.h; what is not on the path of an order.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

int ib_ring_open(struct ib_ring *ring, uint64_t capacity)
{
    IB_ASSERT(ring != NULL);
    IB_ASSERT(capacity >= 2 && (capacity & (capacity - 1)) == 0);
    memset(ring, 0, sizeof *ring);
    ring->capacity = capacity;
    ring->commands = aligned_alloc(IB_RING_LINE, capacity * sizeof *ring->commands);
    ring->producer_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ring->commands == NULL || ring->producer_event < 0) {
        free(ring->commands);
        ring->commands = NULL; /* or ib_ring_free would free it again */
        if (ring->producer_event >= 0) {
            close(ring->producer_event);
        }
        return IB_ERROR_MEMORY;
    }
    memset(ring->commands, 0, capacity * sizeof *ring->commands); /* touch every page now, not on the path */
    return IB_OK;
}

void ib_ring_free(struct ib_ring *ring)
{
    IB_ASSERT(ring != NULL);
    IB_ASSERT(ring->commands == NULL || ring->producer_event >= 0);
    if (ring->commands != NULL) {
        close(ring->producer_event);
    }
    free(ring->commands);
    ring->commands = NULL;
}

void ib_ring_close(struct ib_ring *ring)
{
    ib_ring_publish(ring);
    IB_ASSERT(ib_ring_shown(ring, IB_RING_MATCHER) == ib_ring_shown(ring, IB_RING_JOURNAL));
    atomic_store_explicit(&ring->closed, true, memory_order_seq_cst);
    for (int id = 0; id < IB_RING_CONSUMERS; id++) {
        ib_ring_nudge(ring, (enum ib_ring_consumer_id)id);
    }
}
