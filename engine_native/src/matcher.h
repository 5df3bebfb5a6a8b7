/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher.h: the deterministic state machine of one shard, for the C modules beside it. Opening, totals and the
 * check are in ironbook_core.h.
 *
 * What a command does (docs/engine.md has each rule):
 *   - A command is taken when seq is one above the last and time_ns is not lower. Anything else is
 *     IB_ERROR_ARGUMENT and changes nothing. A command that is taken always advances seq, whatever its content:
 *     replay never fails on content. What makes no sense (an unknown type, INSTRUMENT_ADD or SESSION_ADD that is
 *     not the next index, a tick below 1, a symbol or username that exists, a session that does not) is ignored
 *     without an event: whoever sequences checks before, by the look-ups below.
 *   - ENTER and REPLACE with user_ref not above the session's last one: ignored without an event, and the last
 *     one is raised by every other ENTER and REPLACE, rejected ones included.
 *   - CANCEL names its order by user_ref; of an unknown, foreign, filled or not shrinking order: ignored.
 *   - After END_OF_DAY everything is ignored.
 *   - Events of ENTER: Accepted; for each fill Executed (resting), Executed (incoming); then Rested, or Canceled
 *     (IOC, market), or nothing when filled. Of REPLACE: Replaced, the fills, Rested or Canceled; a replacement
 *     that only shrinks at the same price emits Replaced with IB_FLAG_PRIORITY_KEPT and nothing more.
 *     Of HALT and RESUME: one Trading_state when the state changes. Of END_OF_DAY: one for each session.
 */
#ifndef IB_MATCHER_H
#define IB_MATCHER_H

#include "ironbook_core.h"

/* Where events go. `emit` is called within ib_matcher_apply, in order; the event is borrowed for that call.
 * emit = NULL: events are counted and numbered, but not built. */
struct ib_event_sink {
    void *context;
    void (*emit)(void *context, const struct ib_event *event);
};

/* A session, as SESSION_ADD defined it. */
struct ib_session {
    uint32_t last_user_ref; /* highest user_ref of any ENTER or REPLACE; 0 = none */
    uint32_t session_seq;   /* number of its last report; 0 = none */
    char username[IB_USERNAME_SIZE]; /* padded with spaces */
    char firm[IB_FIRM_SIZE];         /* padded with spaces */
    char reserved[14];               /* 32 bytes: a session's row is found by a shift */
};

_Static_assert(sizeof(struct ib_session) == 32, "a power of two");

/* An instrument, as INSTRUMENT_ADD defined it. */
struct ib_instrument {
    int64_t tick; /* units of 10^-4 */
    char symbol[IB_SYMBOL_SIZE]; /* padded with spaces */
};

int ib_matcher_apply(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink sink);

/* The same for `count` commands, until one is refused: `*applied` tells how many were taken. It knows what comes next,
 * and with many instruments fetches its memory ahead; so whoever has a group in hand should hand over the group. */
int ib_matcher_apply_group(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                           struct ib_event_sink sink, size_t *applied);

uint64_t ib_matcher_seq(const struct ib_matcher *matcher);     /* last command applied; 0 = none */
uint64_t ib_matcher_time_ns(const struct ib_matcher *matcher); /* its time */

/* The definitions live as long as the matcher, at a fixed address, and only the thread that applies writes
 * last_user_ref and session_seq. Null when the index is not defined. */
const struct ib_session *ib_matcher_session(const struct ib_matcher *matcher, uint16_t session);
const struct ib_instrument *ib_matcher_instrument(const struct ib_matcher *matcher, uint32_t instrument);
uint16_t ib_matcher_session_count(const struct ib_matcher *matcher);
uint32_t ib_matcher_instrument_count(const struct ib_matcher *matcher);

/* Index by name (padded with spaces); IB_SESSION_NONE, or UINT32_MAX, when there is none. */
uint16_t ib_matcher_find_session(const struct ib_matcher *matcher, const char username[IB_USERNAME_SIZE]);
uint32_t ib_matcher_find_instrument(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE]);

#endif
