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

/* An order that comes in: entered, or put in the place of another. */
struct ib_incoming {
    uint32_t side_index; /* 2 x instrument + (side is sell) */
    uint8_t time_in_force;
    uint8_t order_type;
    uint64_t ticks; /* 0 for a market order */
    int64_t price;
    uint64_t order_ref;
    uint64_t remaining;
    uint64_t executed;
    const uint8_t *client_data;
};

/* ENTER and REPLACE (matcher_order.c); the session exists and user_ref is new. */
void ib_turn_enter(struct ib_turn *turn);
void ib_turn_replace(struct ib_turn *turn);
void ib_turn_cancel(struct ib_turn *turn);

/* ---- events (matcher_event.c) ----
 *
 * Every event is numbered, in the matcher's count and, when it is a report, in its session's stream: ib_turn_number.
 * It is built only when somebody takes it, by one of the functions below; so whoever emits says
 *
 *     if (ib_turn_number(turn, session)) {
 *         ib_event_...(turn, ...);
 *     }
 */

/* The next event, for a session or IB_SESSION_NONE. Whether it is to be built. */
static inline int ib_turn_number(struct ib_turn *turn, uint16_t session)
{
    turn->index++;
    if (session != IB_SESSION_NONE) {
        IB_EXPECT(session < turn->matcher->session_count);
        turn->matcher->sessions[session].session_seq++;
    }
    return turn->sink.emit != NULL;
}

/* The session that sent the command gets `type`; its number is the last one given. `event` carries what is special. */
void ib_event_incoming(const struct ib_turn *turn, const struct ib_incoming *incoming, uint16_t session,
                       struct ib_event event);
/* About an order in the book, as it stands there; `event.quantity` and `event.remaining` are said by the caller. */
void ib_event_resting(const struct ib_turn *turn, uint32_t order, struct ib_event event);
void ib_event_rejected(const struct ib_turn *turn, uint8_t reason);
/* About no order. */
void ib_event_plain(const struct ib_turn *turn, uint16_t session, uint16_t type, uint8_t reason);

#endif
