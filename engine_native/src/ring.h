/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ring.h: the bounded queue of sequenced commands between the I/O thread and its two readers.
 *
 * One producer (I/O thread), two consumers that each read every command: the matcher and the journal
 * thread. A slot is reused only when both have passed it, so a command is copied once, when it is
 * decoded, and a full ring is the back pressure that stops reading from sockets.
 *
 * Positions count commands since the ring was opened and never wrap (64 bits).
 *
 * Sleeping: nobody spins. Consumers sleep on a futex; the producer is woken through an eventfd, since
 * it sleeps in epoll_wait. Each side raises its flag, looks once more, and only then sleeps; the other
 * side publishes first and then looks at the flag. Both orders are sequentially consistent, so at least
 * one of the two sees the other: no wake-up is lost.
 */
#ifndef IB_RING_H
#define IB_RING_H

#include <limits.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ironbook.h"

enum ib_ring_consumer_id { IB_RING_MATCHER = 0, IB_RING_JOURNAL = 1, IB_RING_CONSUMERS = 2 };

enum { IB_RING_LINE = 64 }; /* size of a cache line: what one thread writes, no other thread shares */

struct ib_ring_consumer {
    alignas(IB_RING_LINE) _Atomic uint64_t done; /* commands this consumer has passed */
    alignas(IB_RING_LINE) _Atomic uint32_t asleep;
    _Atomic uint32_t nudged; /* the producer wants something that is no command */
};

struct ib_ring {
    struct ib_command *commands;
    uint64_t capacity; /* a power of two */
    int producer_event; /* eventfd that wakes the producer */
    alignas(IB_RING_LINE) _Atomic uint64_t published;
    _Atomic uint32_t producer_asleep;
    _Atomic bool closed;
    uint64_t claimed; /* the producer's own: slots handed out, published or not */
    struct ib_ring_consumer consumers[IB_RING_CONSUMERS];
};

_Static_assert(IB_RING_CONSUMERS == 2, "ib_ring_advance: the other one is 1 - id");
_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex is a word of 32 bits");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "no lock hides behind an atomic");
_Static_assert(sizeof(struct ib_ring_consumer) % IB_RING_LINE == 0, "consumers share no cache line");
_Static_assert(offsetof(struct ib_ring_consumer, asleep) == IB_RING_LINE, "nor does a flag share with a count");
_Static_assert(offsetof(struct ib_ring, published) % IB_RING_LINE == 0, "what is written often begins one");
_Static_assert(offsetof(struct ib_ring, consumers) % IB_RING_LINE == 0, "and so do the consumers");

static inline int ib_ring_open(struct ib_ring *ring, uint64_t capacity)
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

static inline void ib_ring_free(struct ib_ring *ring)
{
    IB_ASSERT(ring != NULL);
    if (ring->commands != NULL) {
        close(ring->producer_event);
    }
    free(ring->commands);
    ring->commands = NULL;
}

/* Commands that this consumer has passed. */
static inline uint64_t ib_ring_done(const struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    IB_ASSERT(id < IB_RING_CONSUMERS);
    return atomic_load_explicit(&ring->consumers[id].done, memory_order_acquire);
}

/* Commands that both consumers have passed. */
static inline uint64_t ib_ring_done_by_all(const struct ib_ring *ring)
{
    uint64_t matched = ib_ring_done(ring, IB_RING_MATCHER);
    uint64_t written = ib_ring_done(ring, IB_RING_JOURNAL);
    return matched < written ? matched : written;
}

static inline void ib_ring_futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Producer: how many more may be claimed. */
static inline uint64_t ib_ring_free_slots(const struct ib_ring *ring)
{
    uint64_t in_use = ring->claimed - ib_ring_done_by_all(ring);
    IB_ASSERT(in_use <= ring->capacity);
    return ring->capacity - in_use;
}

/* Producer: the next slot, or NULL when the ring is full. Invisible until published. */
static inline struct ib_command *ib_ring_claim(struct ib_ring *ring)
{
    IB_ASSERT(ring->claimed >= atomic_load_explicit(&ring->published, memory_order_relaxed));
    if (ib_ring_free_slots(ring) == 0) {
        return NULL;
    }
    return &ring->commands[ring->claimed++ & (ring->capacity - 1)];
}

/* Producer: slots that are claimed and not shown yet. */
static inline uint64_t ib_ring_unpublished(const struct ib_ring *ring)
{
    uint64_t published = atomic_load_explicit(&ring->published, memory_order_relaxed);
    IB_ASSERT(ring->claimed >= published);
    return ring->claimed - published;
}

/* Producer: shows all claimed slots to the consumers and wakes those that sleep. */
static inline void ib_ring_publish(struct ib_ring *ring)
{
    if (atomic_load_explicit(&ring->published, memory_order_relaxed) == ring->claimed) {
        return;
    }
    atomic_store_explicit(&ring->published, ring->claimed, memory_order_seq_cst);
    for (int id = 0; id < IB_RING_CONSUMERS; id++) {
        _Atomic uint32_t *asleep = &ring->consumers[id].asleep;
        if (atomic_load_explicit(asleep, memory_order_seq_cst) != 0) {
            atomic_store_explicit(asleep, 0, memory_order_seq_cst);
            ib_ring_futex_wake(asleep);
        }
    }
}

/* Producer: makes the consumer's wait return although nothing was published. */
static inline void ib_ring_nudge(struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    IB_ASSERT(id < IB_RING_CONSUMERS);
    atomic_store_explicit(&ring->consumers[id].nudged, 1, memory_order_seq_cst);
    atomic_store_explicit(&ring->consumers[id].asleep, 0, memory_order_seq_cst);
    ib_ring_futex_wake(&ring->consumers[id].asleep);
}

/* Producer: before it sleeps. True when it may: nothing has passed beyond `seen`. */
static inline bool ib_ring_producer_may_sleep(struct ib_ring *ring, uint64_t seen)
{
    atomic_store_explicit(&ring->producer_asleep, 1, memory_order_seq_cst);
    uint64_t matched = atomic_load_explicit(&ring->consumers[IB_RING_MATCHER].done, memory_order_seq_cst);
    uint64_t written = atomic_load_explicit(&ring->consumers[IB_RING_JOURNAL].done, memory_order_seq_cst);
    IB_ASSERT(matched >= seen && written >= seen); /* it has seen no more than there was */
    return (matched < written ? matched : written) == seen;
}

static inline void ib_ring_producer_awake(struct ib_ring *ring)
{
    atomic_store_explicit(&ring->producer_asleep, 0, memory_order_seq_cst);
}

static inline void ib_ring_wake_producer(struct ib_ring *ring)
{
    uint64_t one = 1;
    IB_ASSERT(ring->producer_event >= 0);
    ssize_t written = write(ring->producer_event, &one, sizeof one);
    (void)written; /* a full counter is a pending wake-up already */
}

/* Consumer: how many commands wait for it, in one piece of memory, and the first of them. */
static inline uint64_t ib_ring_peek(struct ib_ring *ring, enum ib_ring_consumer_id id, struct ib_command **first)
{
    uint64_t done = atomic_load_explicit(&ring->consumers[id].done, memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&ring->published, memory_order_acquire) - done;
    uint64_t offset = done & (ring->capacity - 1);
    IB_ASSERT(count <= ring->capacity);
    *first = &ring->commands[offset];
    return count < ring->capacity - offset ? count : ring->capacity - offset;
}

/* Consumer: sleeps until something is published or it is nudged. May return early. Whoever nudges writes down what
 * it wants first: the consumer looks for it after each wait. */
static inline void ib_ring_wait(struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    struct ib_ring_consumer *consumer = &ring->consumers[id];
    uint64_t done = atomic_load_explicit(&consumer->done, memory_order_relaxed);
    atomic_store_explicit(&consumer->asleep, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&ring->published, memory_order_seq_cst) == done &&
        atomic_load_explicit(&consumer->nudged, memory_order_seq_cst) == 0) {
        syscall(SYS_futex, &consumer->asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
    atomic_store_explicit(&consumer->asleep, 0, memory_order_seq_cst);
    atomic_store_explicit(&consumer->nudged, 0, memory_order_seq_cst);
}

/* Consumer: has passed `count` more commands. Wakes the producer only when the slower of the two
 * consumers moved, which is when something can leave. */
static inline void ib_ring_advance(struct ib_ring *ring, enum ib_ring_consumer_id id, uint64_t count)
{
    struct ib_ring_consumer *consumer = &ring->consumers[id];
    uint64_t before = atomic_load_explicit(&consumer->done, memory_order_relaxed);
    IB_ASSERT(before + count <= atomic_load_explicit(&ring->published, memory_order_relaxed));
    atomic_store_explicit(&consumer->done, before + count, memory_order_seq_cst);
    uint64_t other = atomic_load_explicit(&ring->consumers[1 - id].done, memory_order_seq_cst);
    if (other > before && atomic_exchange_explicit(&ring->producer_asleep, 0, memory_order_seq_cst) != 0) {
        ib_ring_wake_producer(ring);
    }
}

/* Producer: no more will come; consumers finish what is published and then see `closed`. */
static inline void ib_ring_close(struct ib_ring *ring)
{
    atomic_store_explicit(&ring->closed, true, memory_order_seq_cst);
    for (int id = 0; id < IB_RING_CONSUMERS; id++) {
        ib_ring_nudge(ring, (enum ib_ring_consumer_id)id);
    }
}

static inline bool ib_ring_is_closed(const struct ib_ring *ring)
{
    return atomic_load_explicit(&ring->closed, memory_order_seq_cst);
}

#endif
