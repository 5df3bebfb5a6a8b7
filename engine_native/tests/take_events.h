/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * take_events.h: a taker of events that sees them one by one, through a sink of a few at a time, so that a command with
 * many events asks for room more than once. For tests, the simulation and the fuzzers, of which each includes it once.
 */
#ifndef IB_TEST_TAKE_EVENTS_H
#define IB_TEST_TAKE_EVENTS_H

#include "check.h"
#include "matcher.h"

enum { TAKER_EVENTS = 3 };

struct taker {
    struct ib_event_sink sink; /* the first, so that its address is the taker's */
    void *context;
    void (*take)(void *context, const struct ib_event *event);
    struct ib_event events[TAKER_EVENTS];
};

/* Hands out what the sink holds. */
static inline void taker_hand_out(struct ib_event_sink *sink)
{
    struct taker *taker = (struct taker *)(void *)sink;
    IB_ASSERT(sink->next >= taker->events && sink->next <= taker->events + TAKER_EVENTS);
    for (const struct ib_event *event = taker->events; event < sink->next; event++) {
        taker->take(taker->context, event);
    }
    sink->next = taker->events;
    sink->end = taker->events + TAKER_EVENTS;
}

/* ib_matcher_apply_group, every event handed to `take`. */
static inline int take_group(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                             size_t *applied, void *context, void (*take)(void *context, const struct ib_event *event))
{
    struct taker taker = {.context = context, .take = take};
    taker.sink.next = taker.events;
    taker.sink.end = taker.events + TAKER_EVENTS;
    taker.sink.make_room = taker_hand_out;
    int status = ib_matcher_apply_group(matcher, commands, count, &taker.sink, applied);
    taker_hand_out(&taker.sink);
    return status;
}

/* ib_matcher_apply, likewise. */
static inline int take_events(struct ib_matcher *matcher, const struct ib_command *command, void *context,
                              void (*take)(void *context, const struct ib_event *event))
{
    struct taker taker = {.context = context, .take = take};
    taker.sink.next = taker.events;
    taker.sink.end = taker.events + TAKER_EVENTS;
    taker.sink.make_room = taker_hand_out;
    int status = ib_matcher_apply(matcher, command, &taker.sink);
    taker_hand_out(&taker.sink);
    return status;
}

#endif
