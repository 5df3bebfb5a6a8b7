/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_take.h: the next command in sequence is taken, on the path when it is plain. Inline, for whoever applies
 * commands one after the other and knows what is in them; all others call ib_matcher_apply.
 */
#ifndef IB_MATCHER_TAKE_H
#define IB_MATCHER_TAKE_H

#include "matcher_path.h"

/* What the path leaves over; number of events. Its turn is its own, so that the path's may live in registers. */
uint32_t ib_matcher_take_special(struct ib_matcher *matcher, const struct ib_command *command,
                                 struct ib_event_sink *sink);
/* Whether every invariant holds; stops where one does not, and says which. */
int ib_matcher_is_sound(const struct ib_matcher *matcher);

/* Number of events. Nobody but inline functions sees this turn, unless it reports: so it is no memory, but
 * registers. */
IB_INLINE uint32_t ib_matcher_take(struct ib_matcher *matcher, const struct ib_command *command,
                                   struct ib_event_sink *sink, int reporting)
{
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    if (command->type == IB_COMMAND_ENTER && IB_LIKELY(ib_path_enter(&turn, reporting))) {
        return turn.index;
    }
    if (command->type == IB_COMMAND_CANCEL && IB_LIKELY(ib_path_cancel(&turn, reporting))) {
        return turn.index;
    }
    return ib_matcher_take_special(matcher, command, sink);
}

/* Whether it was taken: it is the next one, `seq`. The caller has seen that there is a next one: at most IB_SEQ_MAX. */
IB_INLINE int ib_matcher_take_next(struct ib_matcher *matcher, const struct ib_command *command, uint64_t seq,
                                   struct ib_event_sink *sink, int reporting)
{
    IB_EXPECT(seq == matcher->seq + 1);
    if (command->seq != seq || command->time_ns < matcher->time_ns) {
        return 0;
    }
    IB_EXPECT(sink != NULL || !reporting);
    matcher->seq = seq;
    matcher->time_ns = command->time_ns;
    matcher->event_count += ib_matcher_take(matcher, command, sink, reporting);
    IB_EXPECT(ib_matcher_is_sound(matcher));
    return 1;
}

#endif
