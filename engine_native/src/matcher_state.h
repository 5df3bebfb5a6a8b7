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
    uint64_t event_count;
    uint64_t time_ns; /* not beside seq: the compiler would join both in a vector first, and lose by it */
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
    uint64_t key;  /* of its price on its own side; of a market order nothing */
    int64_t price; /* as the command said it */
    uint64_t order_ref;
    uint64_t remaining;
    uint64_t executed;
    const uint8_t *client_data;
};

/* What the path of plain orders (matcher_path.h) leaves over, and REPLACE (matcher_order.c). The session exists and
 * user_ref is new. */
void ib_turn_enter(struct ib_turn *turn);
void ib_turn_replace(struct ib_turn *turn);
void ib_turn_cancel(struct ib_turn *turn);

/* ---- events (matcher_event.c) ----
 *
 * Every event is numbered, in the matcher's count and, when it is a report, in its session's stream. It is built only
 * when somebody takes it: whoever reports says
 *
 *     ib_turn_number(turn, session);
 *     if (reporting) {
 *         ib_event_...(turn, ...);
 *     }
 *
 * `reporting` is a parameter, not a look at the turn, because the path of plain orders is compiled for both answers.
 */

/* Whether somebody takes the events. */
static inline int ib_turn_is_reporting(const struct ib_turn *turn)
{
    return turn->sink.emit != NULL;
}

/* The next event, for a session or IB_SESSION_NONE. */
static inline void ib_turn_number(struct ib_turn *turn, uint16_t session)
{
    turn->index++;
    if (session != IB_SESSION_NONE) {
        IB_EXPECT(session < turn->matcher->session_count);
        turn->matcher->sessions[session].session_seq++;
    }
}

/* About the order that comes in; `remaining` of it is what is open after the event. */
void ib_event_accepted(const struct ib_turn *turn, const struct ib_incoming *incoming);
void ib_event_rested(const struct ib_turn *turn, const struct ib_incoming *incoming);
void ib_event_expired(const struct ib_turn *turn, const struct ib_incoming *incoming);
void ib_event_replaced(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref, int kept);
void ib_event_executed(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity,
                       int64_t price);
/* About an order in the book, before it is touched. */
void ib_event_resting_executed(const struct ib_turn *turn, uint32_t order, uint64_t quantity);
void ib_event_canceled(const struct ib_turn *turn, uint32_t order, uint64_t quantity, uint64_t remaining);
/* About no order. */
void ib_event_rejected(const struct ib_turn *turn, uint8_t reason);
void ib_event_plain(const struct ib_turn *turn, uint16_t session, uint16_t type, uint8_t reason);

#endif
