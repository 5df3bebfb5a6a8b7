/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_state.h: what the matcher's own files share. Nobody else includes it.
 */
#ifndef IB_MATCHER_STATE_H
#define IB_MATCHER_STATE_H

#include "book.h"
#include "hash.h"
#include "matcher.h"

enum { IB_SYMBOL_BUCKETS = 2 * IB_INSTRUMENTS_MAX };

struct ib_matcher {
    struct ib_book book;
    uint64_t seq;
    uint64_t time_ns;
    uint64_t event_count;
    uint64_t match_ref; /* of the last trade = number of trades */
    uint64_t traded_quantity;
    ib_uint128 notional;
    uint64_t rejects;
    uint64_t definitions_hash; /* over all INSTRUMENT_ADD and SESSION_ADD, in order */
    int trading_state;
    uint16_t session_count;
    struct ib_session sessions[IB_SESSIONS_MAX];
    struct ib_instrument instruments[IB_INSTRUMENTS_MAX];
    uint32_t symbol_index[IB_SYMBOL_BUCKETS]; /* open addressing: instrument + 1, or 0 */
};

/* One command being applied. */
struct ib_turn {
    struct ib_matcher *matcher;
    const struct ib_command *command;
    struct ib_event_sink sink;
    uint32_t index; /* of the next event */
};

/* ENTER and REPLACE (matcher_order.c); the session exists and user_ref is new. */
void ib_turn_enter(struct ib_turn *turn);
void ib_turn_replace(struct ib_turn *turn);
void ib_turn_cancel(struct ib_turn *turn);

/* Numbers the event, completes it from the command, hands it out. `session` = who gets the report, or
 * IB_SESSION_NONE (matcher.c). */
void ib_turn_emit(struct ib_turn *turn, struct ib_event *event, uint16_t session);

#endif
