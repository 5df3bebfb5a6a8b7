/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_state.h: what the matcher's own files share. Nobody else includes it.
 */
#ifndef IB_MATCHER_STATE_H
#define IB_MATCHER_STATE_H

#include "book.h"
#include "hash.h"
#include "matcher.h"
#include "risk.h"

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
    uint64_t order_ref;        /* the last one given; rules 1: not used */
    uint64_t sessions_hash;    /* over all SESSION_ADD, in order */
    uint64_t instruments_hash; /* sum over the instruments, as they are at present, but for their last prices … */
    uint64_t prices_hash;      /* … and of these: last price x weight of the instrument */
    uint32_t rules;            /* enum ib_rules */
    int trading_state;
    uint32_t path_instruments; /* whose plain orders take the path: all, while trading is open by rules 2 or newer */
    uint16_t session_count;
    struct ib_risk risk;
    struct ib_session sessions[IB_SESSIONS_MAX];
    struct ib_instrument instruments[IB_INSTRUMENTS_MAX];
    uint32_t symbol_index[IB_SYMBOL_BUCKETS]; /* open addressing: instrument + 1, or 0 */
};

/* One command being applied. */
struct ib_turn {
    struct ib_matcher *matcher;
    const struct ib_command *command;
    struct ib_event_sink *sink; /* or null */
    uint32_t index; /* of the next event */
};

/* An order that comes in: entered, put in the place of another, or released. */
struct ib_incoming {
    uint32_t side_index; /* 2 x instrument + (side is sell) */
    uint32_t user_ref;
    uint16_t session;
    uint8_t time_in_force;
    uint8_t order_type;
    uint8_t is_hidden;
    struct ib_risk_row *row; /* its account's in the risk table; row 0 = not tracked */
    uint64_t key;  /* of its price on its own side; 0 of a market order */
    int64_t price; /* as its events say it */
    uint64_t order_ref;
    uint64_t remaining;
    uint64_t executed;
    const uint8_t *client_data;
};

/* What stands in the book, or is parked, of an incoming order: at `key` of a place (enum ib_place). */
IB_INLINE struct ib_book_entry ib_incoming_entry(const struct ib_incoming *incoming, uint32_t place, uint64_t key)
{
    return (struct ib_book_entry){
        .side_index = place << IB_PLACE_SHIFT | incoming->side_index,
        .user_ref = incoming->user_ref,
        .session = incoming->session,
        .time_in_force = incoming->time_in_force,
        .order_type = incoming->order_type,
        .key = key,
        .order_ref = incoming->order_ref,
        .remaining = incoming->remaining,
        .executed = incoming->executed,
        .client_data = incoming->client_data,
    };
}

/* … with what plain ones do not have. */
struct ib_arrival {
    struct ib_incoming order;
    uint64_t displayed;
    uint64_t minimum;
    uint64_t expire_time_ns; /* GTD */
    uint64_t stop_ticks;
    uint8_t self_trade;
};

/* matcher_order.c: what the path of plain orders leaves over, and the others. Of these two, user_ref is new. */
void ib_turn_enter(struct ib_turn *turn);
void ib_turn_replace(struct ib_turn *turn);
void ib_turn_cancel(struct ib_turn *turn);
void ib_turn_modify(struct ib_turn *turn); /* rules 3 */
void ib_turn_reject(struct ib_turn *turn, uint8_t reason);
void ib_turn_cancel_order(struct ib_turn *turn, uint32_t order, uint8_t reason); /* all of a live one */

/* What is special about matching (matcher_match.c). */
void ib_turn_match(struct ib_turn *turn, struct ib_arrival *arrival); /* docs/matching.md, section 4 */
void ib_turn_rest(struct ib_turn *turn, const struct ib_arrival *arrival);
/* Waits in the stops or for the close; `place` is enum ib_place. */
void ib_turn_park(struct ib_turn *turn, const struct ib_arrival *arrival, uint32_t place);
void ib_turn_release_stops(struct ib_turn *turn, uint32_t instrument); /* section 6 */
/* A parked order leaves its place, as an arrival under a new number; its client data moves to `client_data`. */
void ib_turn_release(struct ib_turn *turn, uint32_t order, struct ib_arrival *arrival,
                     uint8_t client_data[IB_CLIENT_DATA_SIZE]);
/* The sums of a trade. */
void ib_turn_count_trade(struct ib_turn *turn, uint32_t instrument, int64_t price, uint64_t quantity);

/* Commands of rules 2 (matcher_phase.c, matcher_admin.c). */
void ib_turn_phase(struct ib_turn *turn);
void ib_turn_indicate(struct ib_turn *turn);
void ib_turn_add_instrument(struct ib_turn *turn);
void ib_turn_change_instrument(struct ib_turn *turn);
void ib_turn_remove_instrument(struct ib_turn *turn);
void ib_turn_add_session(struct ib_turn *turn);
void ib_turn_add_account(struct ib_turn *turn);
void ib_turn_mass_cancel(struct ib_turn *turn);
void ib_turn_expire(struct ib_turn *turn);
void ib_turn_risk_limit(struct ib_turn *turn);
void ib_turn_kill(struct ib_turn *turn);
/* The phase of an instrument, told with `reason`. */
void ib_turn_set_phase(struct ib_turn *turn, uint32_t instrument, uint8_t phase, uint8_t reason);

/* Which orders a cancel of many means. */
struct ib_selection {
    uint32_t instrument; /* or IB_INSTRUMENT_ALL */
    uint16_t session;    /* or IB_SESSION_NONE */
    uint16_t account;    /* or IB_ACCOUNT_ANY */
    uint8_t side;        /* 0 = any */
    uint8_t only_auction; /* those in the book that are for an auction alone */
    uint8_t only_day;    /* those that end with the day */
};

/* Cancels what is selected, in the walk of section 8. */
void ib_turn_cancel_many(struct ib_turn *turn, const struct ib_selection *selection, uint8_t reason);

/* Where the index of symbols has a symbol, or the empty place where it would go. */
uint32_t ib_matcher_symbol_bucket(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE]);

/* What an instrument contributes to the state hash, but for its last price. */
uint64_t ib_instrument_hash(const struct ib_instrument *instrument, uint32_t index);

/* What a unit of its last price does. */
static inline uint64_t ib_price_weight(uint32_t instrument)
{
    return (instrument * IB_HASH_A + IB_HASH_B) | 1;
}

/* Null when there is none, or none any more. */
static inline struct ib_instrument *ib_matcher_live_instrument(struct ib_matcher *matcher, uint32_t index)
{
    int lives = index < matcher->book.instrument_count && !matcher->instruments[index].removed;
    return lives ? &matcher->instruments[index] : NULL;
}

static inline uint16_t ib_matcher_account(const struct ib_matcher *matcher, uint16_t session)
{
    IB_EXPECT(session < matcher->session_count);
    return matcher->sessions[session].account;
}

/* The risk row of a session's account in an instrument; row 0 when it is not tracked. */
IB_INLINE struct ib_risk_row *ib_session_row(const struct ib_matcher *matcher, const struct ib_session *session,
                                             uint32_t instrument)
{
    IB_EXPECT(session->risk_rows == ib_risk_rows_of(&matcher->risk, session->account));
    return &matcher->risk.rows[session->risk_rows[instrument]];
}

IB_INLINE struct ib_risk_row *ib_matcher_row(const struct ib_matcher *matcher, uint16_t session, uint32_t instrument)
{
    IB_EXPECT(session < matcher->session_count);
    return ib_session_row(matcher, &matcher->sessions[session], instrument);
}

/* What an order is worth where nothing else tells: the last price, or the reference price; 0 = none. */
static inline int64_t ib_matcher_base(const struct ib_matcher *matcher, uint32_t instrument)
{
    int64_t last = matcher->book.instruments[instrument].last_price;
    return last != 0 ? last : matcher->instruments[instrument].reference_price;
}

static inline void ib_matcher_set_last_price(struct ib_matcher *matcher, uint32_t instrument, int64_t price)
{
    struct ib_book_instrument *of = &matcher->book.instruments[instrument];
    matcher->prices_hash += ((uint64_t)price - (uint64_t)of->last_price) * ib_price_weight(instrument);
    of->last_price = price;
    of->base_price = price;
}

/* A new order_ref: the venue's number of an order, and its place in time. */
static inline uint64_t ib_turn_next_ref(struct ib_turn *turn)
{
    uint64_t *last = &turn->matcher->order_ref;
    return *last = turn->matcher->rules == IB_RULES_1 ? turn->command->seq : *last + 1;
}

/* ---- events (matcher_event.c) ----
 *
 * Every event is numbered, in the matcher's count and, when it is a report, in its session's stream. It is built only
 * when somebody takes it: whoever reports says
 *
 *     ib_turn_number(turn, session);
 *     if (reporting) { ib_event_...(turn, ...); }
 * `reporting` is a parameter, not a look at the turn, because the path of plain orders is compiled for both answers.
 */

/* Whether somebody takes the events. */
static inline int ib_turn_is_reporting(const struct ib_turn *turn)
{
    return turn->sink != NULL;
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
void ib_event_rested(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t displayed);
void ib_event_dropped(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity,
                      uint8_t reason);
void ib_event_replaced(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref,
                       uint32_t flags, uint64_t displayed);
void ib_event_executed(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity,
                       int64_t price);
void ib_event_released(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref);
/* About an order in the book, before it is touched: `quantity` is what it loses, `displayed` what the event says. */
void ib_event_resting_executed(const struct ib_turn *turn, uint32_t order, uint64_t quantity, uint64_t displayed);
void ib_event_auctioned(const struct ib_turn *turn, uint32_t order, uint64_t quantity, int64_t price,
                        uint64_t displayed);
void ib_event_canceled(const struct ib_turn *turn, uint32_t order, uint64_t quantity, uint8_t reason,
                       uint64_t displayed);
void ib_event_modified(const struct ib_turn *turn, uint32_t order, uint64_t quantity, uint64_t displayed);
/* About an iceberg, after it has got its new number. */
void ib_event_refreshed(const struct ib_turn *turn, uint32_t order, uint64_t before_ref);
/* About no order. */
void ib_event_rejected(const struct ib_turn *turn, uint8_t reason);
void ib_event_plain(const struct ib_turn *turn, uint16_t session, uint16_t type, uint8_t reason);
/* Any other: `told` has the fields that are its own; no report. */
void ib_event_told(const struct ib_turn *turn, const struct ib_event *told);

#endif
