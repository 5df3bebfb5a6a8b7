/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world.h: one matcher with two sessions and two instruments, and what its last command has said. For the tests of
 * the matcher.
 */
#ifndef IB_TEST_WORLD_H
#define IB_TEST_WORLD_H

#include "commands.h"
#include "take_events.h"
#include "test.h"

enum { ORDERS = 8, EVENTS = 256, MAKER = 0, TAKER = 1 };

/* One matcher with two sessions and two instruments (ticks 1 and 100), and the events of the last command. */
static struct {
    struct ib_matcher *matcher;
    struct ib_event events[EVENTS];
    uint32_t count;
} world;

static inline void keep(void *context, const struct ib_event *event)
{
    (void)context;
    if (world.count < EVENTS) {
        world.events[world.count] = *event;
    }
    world.count++;
}

static inline int apply(struct ib_command command)
{
    world.count = 0;
    command.seq = ib_matcher_seq(world.matcher) + 1;
    command.time_ns = ib_matcher_time_ns(world.matcher) + 1;
    return take_events(world.matcher, &command, NULL, keep);
}

static inline void open_world(void)
{
    (void)ib_matcher_open(&world.matcher, ORDERS);
    (void)apply(instrument_add(0, "AAPL    ", 1));
    (void)apply(instrument_add(1, "MSFT    ", 100));
    (void)apply(session_add(0, "MAKER1MAKR"));
    (void)apply(session_add(1, "TAKER1TAKR"));
}

static inline void close_world(void)
{
    ib_matcher_close(world.matcher);
    world.matcher = NULL;
}

static inline struct ib_totals totals(void)
{
    struct ib_totals result;
    ib_matcher_totals(world.matcher, &result);
    return result;
}

/* One event of the last command, in the fields that most cases look at. */
static inline void expect_event(uint32_t index, uint16_t type, uint16_t session, uint32_t user_ref, uint64_t quantity,
                         uint64_t remaining)
{
    EXPECT(index < world.count);
    const struct ib_event *event = &world.events[index];
    EXPECT_EQUAL(event->index, index);
    EXPECT_EQUAL(event->type, type);
    EXPECT_EQUAL(event->session, session);
    EXPECT_EQUAL(event->user_ref, user_ref);
    EXPECT_EQUAL(event->quantity, quantity);
    EXPECT_EQUAL(event->remaining, remaining);
}

#define EXPECT_EVENT(...)           \
    do {                            \
        expect_event(__VA_ARGS__);  \
        EXPECT_SOUND();             \
    } while (0)

static inline void expect_reject(struct ib_command command, uint8_t reason)
{
    struct ib_totals before = totals();
    EXPECT_EQUAL(apply(command), IB_OK);
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_REJECTED);
    EXPECT_EQUAL(world.events[0].reason, reason);
    EXPECT_EQUAL(world.events[0].user_ref, command.user_ref);
    EXPECT_EQUAL(totals().rejects, before.rejects + 1);
    EXPECT_EQUAL(totals().orders_open, before.orders_open);
}

#define EXPECT_REJECT(command, reason)  \
    do {                                \
        expect_reject(command, reason); \
        EXPECT_SOUND();                 \
    } while (0)

#endif
