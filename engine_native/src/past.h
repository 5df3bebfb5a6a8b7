/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * past.h: of the journal up to a command, what the engine's shell has to know and the matcher does not keep. A snapshot
 * carries it beside the state; whoever replays goes on with it, command by command and event by event.
 */
#ifndef IB_PAST_H
#define IB_PAST_H

#include "check.h"
#include "matcher.h"

struct ib_past {
    uint64_t first_time_ns;                /* of the first command: date of the SoupBinTCP session's name */
    uint64_t event_seq;                    /* the last event: its command … */
    uint32_t event_index;                  /* … and its index */
    uint32_t reserved;
    uint8_t disabled[IB_SESSIONS_MAX];     /* by session: the last ORDER_ENTRY's value */
    uint64_t since_ns[IB_INSTRUMENTS_MAX]; /* of each instrument's last change of phase (directory.h); 0 = none */
};

/* The next command, which is about to be applied. */
static inline void ib_past_command(struct ib_past *past, const struct ib_command *command)
{
    IB_ASSERT(command->seq > 0);
    if (command->seq == 1) {
        past->first_time_ns = command->time_ns;
    }
    if (command->type == IB_COMMAND_ORDER_ENTRY && command->session < IB_SESSIONS_MAX) {
        past->disabled[command->session] = command->value != 0;
    }
}

/* An event of a command that `matcher` has applied, or is applying. */
static inline void ib_past_event(struct ib_past *past, const struct ib_matcher *matcher, const struct ib_event *event)
{
    IB_ASSERT(event->seq > 0);
    past->event_seq = event->seq;
    past->event_index = event->index;
    if (event->type == IB_EVENT_PHASE) {
        past->since_ns[event->instrument] = event->time_ns;
    } else if (event->type == IB_EVENT_INSTRUMENT && past->since_ns[event->instrument] == 0) {
        const struct ib_instrument *instrument = ib_matcher_instrument(matcher, event->instrument);
        IB_ASSERT(instrument != NULL);
        if (instrument->phase == IB_PHASE_VOLATILITY_AUCTION) { /* it was defined in one, which has to end, too */
            past->since_ns[event->instrument] = event->time_ns;
        }
    }
}

/* The same of some of them, in order. */
static inline void ib_past_events(struct ib_past *past, const struct ib_matcher *matcher,
                                  const struct ib_event *events, size_t count)
{
    IB_ASSERT(events != NULL || count == 0);
    for (size_t i = 0; i < count; i++) {
        ib_past_event(past, matcher, &events[i]);
    }
}

#endif
