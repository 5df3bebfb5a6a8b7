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
 * A consumer that has nothing to do may be left asleep: the producer does its part for it and passes the commands in
 * its place (ib_ring_pass). Whoever has a part to do owns what belongs to it: a consumer while it has been shown more
 * than it has passed, the producer otherwise.
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
    alignas(IB_RING_LINE) _Atomic uint64_t shown; /* commands that it may read */
};

struct ib_ring {
    struct ib_command *commands;
    uint64_t capacity; /* a power of two */
    int producer_event; /* eventfd that wakes the producer */
    alignas(IB_RING_LINE) _Atomic uint32_t producer_asleep;
    _Atomic bool closed;
    uint64_t claimed; /* the producer's own: slots handed out, shown or not */
    struct ib_ring_consumer consumers[IB_RING_CONSUMERS];
};

_Static_assert(IB_RING_CONSUMERS == 2, "ib_ring_advance: the other one is 1 - id");
_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex is a word of 32 bits");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "no lock hides behind an atomic");
_Static_assert(sizeof(struct ib_ring_consumer) % IB_RING_LINE == 0, "consumers share no cache line");
_Static_assert(offsetof(struct ib_ring_consumer, asleep) == IB_RING_LINE, "nor does a flag share with a count");
_Static_assert(offsetof(struct ib_ring, producer_asleep) % IB_RING_LINE == 0, "what is written often begins one");
_Static_assert(offsetof(struct ib_ring, consumers) % IB_RING_LINE == 0, "and so do the consumers");

int ib_ring_open(struct ib_ring *ring, uint64_t capacity); /* a power of two */
void ib_ring_free(struct ib_ring *ring);
/* Producer: no more will come; consumers finish what is claimed and then see `closed`. */
void ib_ring_close(struct ib_ring *ring);

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

/* Producer: the next slot, or NULL when the ring is full. Invisible until it is shown. */
static inline struct ib_command *ib_ring_claim(struct ib_ring *ring)
{
    if (ib_ring_free_slots(ring) == 0) {
        return NULL;
    }
    return &ring->commands[ring->claimed++ & (ring->capacity - 1)];
}

/* Producer: commands that this consumer has been shown. */
static inline uint64_t ib_ring_shown(const struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    IB_ASSERT(id < IB_RING_CONSUMERS);
    uint64_t shown = atomic_load_explicit(&ring->consumers[id].shown, memory_order_relaxed);
    IB_ASSERT(shown <= ring->claimed);
    return shown;
}

/* Producer: shows all claimed slots to a consumer, and wakes it if it sleeps. */
static inline void ib_ring_show(struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    struct ib_ring_consumer *consumer = &ring->consumers[id];
    if (ib_ring_shown(ring, id) == ring->claimed) {
        return;
    }
    atomic_store_explicit(&consumer->shown, ring->claimed, memory_order_seq_cst);
    if (atomic_load_explicit(&consumer->asleep, memory_order_seq_cst) != 0) {
        atomic_store_explicit(&consumer->asleep, 0, memory_order_seq_cst);
        ib_ring_futex_wake(&consumer->asleep);
    }
}

/* Producer: shows them to both. */
static inline void ib_ring_publish(struct ib_ring *ring)
{
    ib_ring_show(ring, IB_RING_MATCHER);
    ib_ring_show(ring, IB_RING_JOURNAL);
}

/* Producer: the consumer has passed all that it was shown. What it had been doing is seen by whoever asks. */
static inline bool ib_ring_is_idle(const struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    IB_ASSERT(ib_ring_shown(ring, id) <= ring->claimed);
    return ib_ring_done(ring, id) == ib_ring_shown(ring, id);
}

/* Producer: how many claimed slots a consumer was not shown, in one piece of memory, and the first of them. */
static inline uint64_t ib_ring_unshown(const struct ib_ring *ring, enum ib_ring_consumer_id id,
                                       struct ib_command **first)
{
    uint64_t shown = ib_ring_shown(ring, id);
    uint64_t count = ring->claimed - shown;
    uint64_t offset = shown & (ring->capacity - 1);
    IB_ASSERT(count <= ring->capacity);
    *first = &ring->commands[offset];
    return count < ring->capacity - offset ? count : ring->capacity - offset;
}

/* Producer: passes the first of these in place of a consumer that is idle. `done` first: at no time does the consumer,
 * which looks at `shown` first, find anything that is for it. */
static inline void ib_ring_pass(struct ib_ring *ring, enum ib_ring_consumer_id id, uint64_t count)
{
    struct ib_ring_consumer *consumer = &ring->consumers[id];
    uint64_t passed = ib_ring_shown(ring, id) + count;
    IB_ASSERT(count >= 1);
    IB_ASSERT(ib_ring_is_idle(ring, id) && passed <= ring->claimed);
    atomic_store_explicit(&consumer->done, passed, memory_order_seq_cst);
    atomic_store_explicit(&consumer->shown, passed, memory_order_seq_cst);
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
    uint64_t shown = atomic_load_explicit(&ring->consumers[id].shown, memory_order_acquire);
    uint64_t done = atomic_load_explicit(&ring->consumers[id].done, memory_order_acquire);
    uint64_t count = shown > done ? shown - done : 0; /* see ib_ring_pass */
    uint64_t offset = done & (ring->capacity - 1);
    IB_ASSERT(count <= ring->capacity);
    *first = &ring->commands[offset];
    return count < ring->capacity - offset ? count : ring->capacity - offset;
}

/* Consumer: sleeps until something is shown to it or it is nudged. May return early. Whoever nudges writes down what
 * it wants first: the consumer looks for it after each wait. */
static inline void ib_ring_wait(struct ib_ring *ring, enum ib_ring_consumer_id id)
{
    struct ib_ring_consumer *consumer = &ring->consumers[id];
    atomic_store_explicit(&consumer->asleep, 1, memory_order_seq_cst);
    uint64_t shown = atomic_load_explicit(&consumer->shown, memory_order_seq_cst);
    if (shown <= atomic_load_explicit(&consumer->done, memory_order_seq_cst) &&
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
    IB_ASSERT(before + count <= atomic_load_explicit(&consumer->shown, memory_order_relaxed));
    atomic_store_explicit(&consumer->done, before + count, memory_order_seq_cst);
    uint64_t other = atomic_load_explicit(&ring->consumers[1 - id].done, memory_order_seq_cst);
    if (other > before && atomic_exchange_explicit(&ring->producer_asleep, 0, memory_order_seq_cst) != 0) {
        ib_ring_wake_producer(ring);
    }
}

static inline bool ib_ring_is_closed(const struct ib_ring *ring)
{
    return atomic_load_explicit(&ring->closed, memory_order_seq_cst);
}

#endif
