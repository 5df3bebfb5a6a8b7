/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher.h: the deterministic state machine of one shard, for the C modules beside it. Opening, totals and the
 * check are in ironbook_core.h.
 *
 * What each command does stands in docs/matching.md, rule by rule. A command out of sequence or back in time is
 * IB_ERROR_ARGUMENT and changes nothing; any other is taken, and replay never fails on content: what makes no sense is
 * ignored without an event. Whoever sequences checks before, by the look-ups below.
 */
#ifndef IB_MATCHER_H
#define IB_MATCHER_H

#include <stdbool.h>

#include "ironbook_core.h"

/* Where events go: a stretch of the taker's own memory. Each event is written there once, all of it, and nowhere else.
 * No sink (null): events are counted and numbered, but not built. */
struct ib_event_sink {
    struct ib_event *next; /* the next event is written here */
    struct ib_event *end;  /* behind the last one that has room */
    /* Called, before an event is written, when next = end; moves them so that there is room for one at least. All
     * events before are complete. Null: no command is applied whose events might not fit (ib_matcher_events_max). */
    void (*make_room)(struct ib_event_sink *sink);
};

/* A session, as SESSION_ADD defined it. */
struct ib_session {
    uint32_t last_user_ref; /* highest user_ref of any ENTER or REPLACE; 0 = none */
    uint32_t session_seq;   /* number of its last report; 0 = none */
    char username[IB_USERNAME_SIZE]; /* padded with spaces */
    char firm[IB_FIRM_SIZE];         /* padded with spaces */
    uint16_t account;                /* for whom it trades; 0 = nobody in particular */
    uint16_t reserved[2];
    const uint32_t *risk_rows;       /* of that account in each instrument (risk.h): no part of the state */
};

_Static_assert(sizeof(struct ib_session) == 32, "a power of two: found by a shift");

/* An instrument, as INSTRUMENT_ADD and INSTRUMENT_CHANGE defined it, and its phase. */
struct ib_instrument {
    int64_t tick; /* price units */
    char symbol[IB_SYMBOL_SIZE]; /* padded with spaces */
    uint64_t lot;
    int64_t reference_price; /* 0 = none */
    uint64_t static_band;    /* basis points; 0 = none */
    uint64_t dynamic_band;
    uint32_t schedule;
    uint8_t phase;  /* enum ib_phase */
    uint8_t breach; /* enum ib_breach */
    uint8_t price_scale;
    uint8_t quantity_scale;
    uint8_t removed;
    uint8_t reserved[7];
};

_Static_assert(sizeof(struct ib_instrument) == 64, "one cache line");

int ib_matcher_apply(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink *sink);

/* The same for `count` commands, until one is refused or might not fit: `*applied` tells how many were taken. It knows
 * what comes next, and with many instruments fetches its memory ahead; so whoever has a group in hand should hand over
 * the group. */
int ib_matcher_apply_group(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                           struct ib_event_sink *sink, size_t *applied);

uint64_t ib_matcher_seq(const struct ib_matcher *matcher);     /* last command applied; 0 = none */
uint64_t ib_matcher_time_ns(const struct ib_matcher *matcher); /* its time */

/* The definitions live as long as the matcher, at a fixed address, and only the thread that applies writes
 * last_user_ref and session_seq. Null when the index is not defined. */
const struct ib_session *ib_matcher_session(const struct ib_matcher *matcher, uint16_t session);
const struct ib_instrument *ib_matcher_instrument(const struct ib_matcher *matcher, uint32_t instrument);
uint16_t ib_matcher_session_count(const struct ib_matcher *matcher);
uint32_t ib_matcher_instrument_count(const struct ib_matcher *matcher);

/* Index by name (padded with spaces); IB_SESSION_NONE, or UINT32_MAX, when there is none that was not removed. */
uint16_t ib_matcher_find_session(const struct ib_matcher *matcher, const char username[IB_USERNAME_SIZE]);
uint32_t ib_matcher_find_instrument(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE]);

/* ---- matcher_query.c: what whoever sequences looks at first. Names of accounts never change. ---- */

uint16_t ib_matcher_account_count(const struct ib_matcher *matcher); /* account 0 counted */
/* IB_ACCOUNT_ANY when there is none of that name (padded with spaces). */
uint16_t ib_matcher_find_account(const struct ib_matcher *matcher, const uint8_t name[IB_CLIENT_DATA_SIZE]);
const uint8_t *ib_matcher_account_name(const struct ib_matcher *matcher, uint16_t account);
/* An account's default (IB_INSTRUMENT_ALL), or a pair's own value: false when it has none. */
bool ib_matcher_limit(const struct ib_matcher *matcher, uint16_t account, uint32_t instrument, uint8_t limit,
                      uint64_t *value);
/* No live order of it. The second walks the whole book. */
bool ib_matcher_instrument_is_idle(const struct ib_matcher *matcher, uint32_t instrument);
bool ib_matcher_session_is_idle(const struct ib_matcher *matcher, uint16_t session);

#endif
