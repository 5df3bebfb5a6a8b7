/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_ring.c: every command reaches both consumers once and in order, or is passed in their place; a full ring
 * refuses, nobody sleeps for ever.
 */
#include <poll.h>
#include <pthread.h>

#include "ring.h"
#include "test.h"

static struct ib_ring ring;

static void is_full_until_the_slower_consumer_moves(void)
{
    struct ib_command *first;
    EXPECT_EQUAL(ib_ring_open(&ring, 4), IB_OK);
    for (uint64_t i = 1; i <= 4; i++) {
        struct ib_command *slot = ib_ring_claim(&ring);
        EXPECT(slot != NULL);
        slot->seq = i;
    }
    EXPECT(ib_ring_claim(&ring) == NULL);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_MATCHER, &first), 0); /* claimed, not published */
    ib_ring_publish(&ring);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_MATCHER, &first), 4);
    EXPECT_EQUAL(first->seq, 1);
    ib_ring_advance(&ring, IB_RING_MATCHER, 4);
    EXPECT(ib_ring_claim(&ring) == NULL);
    EXPECT_EQUAL(ib_ring_done_by_all(&ring), 0);
    ib_ring_advance(&ring, IB_RING_JOURNAL, 1);
    EXPECT_EQUAL(ib_ring_done_by_all(&ring), 1);
    EXPECT(ib_ring_claim(&ring) != NULL);
    EXPECT(ib_ring_claim(&ring) == NULL);
    ib_ring_free(&ring);
}

static void hands_out_pieces_that_do_not_wrap(void)
{
    struct ib_command *first;
    EXPECT_EQUAL(ib_ring_open(&ring, 4), IB_OK);
    for (int i = 0; i < 3; i++) {
        ib_ring_claim(&ring)->seq = 0;
    }
    ib_ring_publish(&ring);
    ib_ring_advance(&ring, IB_RING_MATCHER, 3);
    ib_ring_advance(&ring, IB_RING_JOURNAL, 3);
    for (uint64_t i = 4; i <= 6; i++) {
        ib_ring_claim(&ring)->seq = i;
    }
    ib_ring_publish(&ring);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_JOURNAL, &first), 1); /* up to the end of the array */
    EXPECT_EQUAL(first->seq, 4);
    ib_ring_advance(&ring, IB_RING_JOURNAL, 1);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_JOURNAL, &first), 2);
    EXPECT_EQUAL(first->seq, 5);
    ib_ring_free(&ring);
}

static void what_is_passed_for_a_consumer_is_not_for_it(void)
{
    struct ib_command *first;
    EXPECT_EQUAL(ib_ring_open(&ring, 4), IB_OK);
    for (uint64_t i = 1; i <= 3; i++) {
        ib_ring_claim(&ring)->seq = i;
    }
    ib_ring_show(&ring, IB_RING_MATCHER);
    EXPECT_EQUAL(ib_ring_unshown(&ring, IB_RING_MATCHER, &first), 0);
    EXPECT_EQUAL(ib_ring_unshown(&ring, IB_RING_JOURNAL, &first), 3);
    EXPECT_EQUAL(first->seq, 1);
    EXPECT(ib_ring_is_idle(&ring, IB_RING_JOURNAL) && !ib_ring_is_idle(&ring, IB_RING_MATCHER));
    ib_ring_pass(&ring, IB_RING_JOURNAL, 2);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_JOURNAL, &first), 0);
    EXPECT_EQUAL(ib_ring_done(&ring, IB_RING_JOURNAL), 2);
    EXPECT_EQUAL(ib_ring_done_by_all(&ring), 0);
    ib_ring_publish(&ring);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_JOURNAL, &first), 1);
    EXPECT_EQUAL(first->seq, 3);
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_MATCHER, &first), 3);
    ib_ring_advance(&ring, IB_RING_MATCHER, 3);
    ib_ring_advance(&ring, IB_RING_JOURNAL, 1);
    ib_ring_claim(&ring)->seq = 4;
    ib_ring_claim(&ring)->seq = 5;
    EXPECT_EQUAL(ib_ring_unshown(&ring, IB_RING_JOURNAL, &first), 1); /* up to the end of the array */
    EXPECT_EQUAL(first->seq, 4);
    ib_ring_close(&ring); /* what was claimed is for the consumers after all */
    EXPECT_EQUAL(ib_ring_peek(&ring, IB_RING_JOURNAL, &first), 1);
    ib_ring_free(&ring);
}

static void a_nudge_and_a_close_wake(void)
{
    EXPECT_EQUAL(ib_ring_open(&ring, 4), IB_OK);
    ib_ring_nudge(&ring, IB_RING_MATCHER);
    ib_ring_wait(&ring, IB_RING_MATCHER); /* returns: the nudge came first */
    EXPECT(!ib_ring_is_closed(&ring));
    ib_ring_close(&ring);
    ib_ring_wait(&ring, IB_RING_JOURNAL);
    EXPECT(ib_ring_is_closed(&ring));
    ib_ring_free(&ring);
}

enum { COMMANDS = 200000, CAPACITY = 64 };

struct consumer {
    enum ib_ring_consumer_id id;
    uint64_t received; /* of whoever has the part to do: no atomic */
    uint64_t spared, looks;
    int in_order;
};

static void receive(struct consumer *self, const struct ib_command *first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        self->in_order &= first[i].seq == ++self->received;
    }
}

static void *consume(void *context)
{
    struct consumer *self = context;
    for (;;) {
        struct ib_command *first;
        bool closed = ib_ring_is_closed(&ring);
        uint64_t count = ib_ring_peek(&ring, self->id, &first);
        receive(self, first, count);
        if (count > 0) {
            ib_ring_advance(&ring, self->id, count);
        } else if (closed) {
            return NULL;
        } else if (++self->looks % 64 == 0) { /* restless, so that it also looks while something is passed for it */
            ib_ring_wait(&ring, self->id);
        }
    }
}

/* Does the part of a consumer that has nothing to do, and was not shown what there is. */
static void spare(struct consumer *consumer)
{
    struct ib_command *first;
    uint64_t count;
    while (ib_ring_is_idle(&ring, consumer->id) && (count = ib_ring_unshown(&ring, consumer->id, &first)) > 0) {
        receive(consumer, first, count);
        ib_ring_pass(&ring, consumer->id, count);
        consumer->spared += count;
    }
}

/* The I/O thread in small: produces when there is room, else sleeps in poll until it is woken. Sometimes it does itself
 * what a consumer would do. */
static void both_consumers_get_all_in_order(void)
{
    struct consumer consumers[2] = {{.id = IB_RING_MATCHER, .in_order = 1}, {.id = IB_RING_JOURNAL, .in_order = 1}};
    pthread_t threads[2];
    EXPECT_EQUAL(ib_ring_open(&ring, CAPACITY), IB_OK);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQUAL(pthread_create(&threads[i], NULL, consume, &consumers[i]), 0);
    }
    uint64_t lost_wakeups = 0, turns = 0;
    for (uint64_t sent = 0; sent < COMMANDS;) {
        uint64_t seen = ib_ring_done_by_all(&ring);
        struct ib_command *slot;
        uint64_t count = turns++ % 11 == 0 ? COMMANDS : 1 + turns % 5; /* as many as there is room for, or a few */
        for (; count > 0 && sent < COMMANDS && (slot = ib_ring_claim(&ring)) != NULL; count--) {
            slot->seq = ++sent;
            if (sent % 17 == 0) {
                ib_ring_publish(&ring);
            }
        }
        spare(&consumers[turns % 2]);
        ib_ring_publish(&ring);
        if (ib_ring_producer_may_sleep(&ring, seen)) {
            struct pollfd wake = {.fd = ring.producer_event, .events = POLLIN};
            uint64_t wakes;
            lost_wakeups += poll(&wake, 1, 2000) == 0 ? 1 : 0;
            ssize_t size = read(ring.producer_event, &wakes, sizeof wakes);
            (void)size;
        }
        ib_ring_producer_awake(&ring);
    }
    ib_ring_close(&ring);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        EXPECT_EQUAL(consumers[i].received, COMMANDS);
        EXPECT(consumers[i].in_order);
        EXPECT(consumers[i].spared > 0 && consumers[i].spared < COMMANDS); /* each way was gone */
    }
    EXPECT_EQUAL(lost_wakeups, 0);
    ib_ring_free(&ring);
}

static const struct test_case cases[] = {
    CASE(is_full_until_the_slower_consumer_moves), CASE(hands_out_pieces_that_do_not_wrap),
    CASE(what_is_passed_for_a_consumer_is_not_for_it), CASE(a_nudge_and_a_close_wake),
    CASE(both_consumers_get_all_in_order),
};

TEST_MAIN("test_ring", cases)
