/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ground.h: a matcher in which a bit of everything lives, and proof that a command has changed nothing. For the tests
 * of bad input.
 *
 * "Changed nothing" is shown twice after each command. All that can be asked of the state is compared with what it was:
 * live orders, instruments, positions, sessions, sums. And a twin, which was told everything that did something and in
 * place of the rest only what is known to be empty (an unknown command; an order that the gateway has refused), has the
 * same state hash. Every command is followed by the check of all invariants, too.
 */
#ifndef IB_TEST_GROUND_H
#define IB_TEST_GROUND_H

#include <stddef.h>

#include "world.h"

/* Instruments. LOTS, PHASED and GONE have tick 5 and lot 10; AAPL and MSFT are those of world.h. */
enum { AAPL = 0, LOTS = 2, PHASED = 3, GONE = 4, UNKNOWN = 5, STATES = 16, BOOK = 16 };

/* ---- the state, as far as it can be asked for, and its twin ---- */

struct state {
    struct ib_live_order orders[BOOK];
    size_t order_count;
    struct ib_instrument_state instruments[STATES];
    struct ib_risk_state risks[STATES][STATES]; /* by account and instrument */
    struct ib_session sessions[STATES];
    struct ib_totals totals;
    uint64_t next_expiry_ns;
    uint32_t rules;
    int trading_state;
};

static struct ib_matcher *twin;
static uint64_t last_order_ref; /* of the ground */
static struct state before;
static struct state after;

static inline void look(struct state *state)
{
    const struct ib_matcher *matcher = world.matcher;
    memset(state, 0, sizeof *state);
    EXPECT_EQUAL(ib_matcher_live_orders(matcher, state->orders, BOOK, &state->order_count), IB_OK);
    uint32_t instruments = ib_matcher_instrument_count(matcher);
    for (uint32_t i = 0; i < instruments && i < STATES; i++) {
        EXPECT_EQUAL(ib_matcher_instrument_state(matcher, i, &state->instruments[i]), IB_OK);
        for (uint16_t account = 0; account < ib_matcher_account_count(matcher) && account < STATES; account++) {
            EXPECT_EQUAL(ib_matcher_risk_state(matcher, account, i, &state->risks[account][i]), IB_OK);
        }
    }
    for (uint16_t i = 0; i < ib_matcher_session_count(matcher) && i < STATES; i++) {
        state->sessions[i] = *ib_matcher_session(matcher, i);
    }
    state->totals = totals();
    state->next_expiry_ns = ib_matcher_next_expiry_ns(matcher);
    state->rules = ib_matcher_rules(matcher);
    state->trading_state = ib_matcher_trading_state(matcher);
}

/* That a command without an event, or with a reject, has changed nothing but what it may. */
static inline void expect_untouched(const struct ib_command *command, int rejected)
{
    look(&after);
    EXPECT_EQUAL(after.totals.seq, before.totals.seq + 1);
    EXPECT_EQUAL(after.totals.rejects, before.totals.rejects + (unsigned)rejected);
    EXPECT_EQUAL(after.totals.event_count, before.totals.event_count + (unsigned)rejected);
    if (rejected && command->session < STATES) {
        EXPECT_EQUAL(after.sessions[command->session].last_user_ref, command->user_ref);
        before.sessions[command->session].last_user_ref = command->user_ref;
        before.sessions[command->session].session_seq++;
    }
    before.totals.seq = after.totals.seq;
    before.totals.rejects = after.totals.rejects;
    before.totals.event_count = after.totals.event_count;
    before.totals.state_hash = after.totals.state_hash; /* the twin tells whether it is right */
    EXPECT(memcmp(&before, &after, sizeof before) == 0);
}

/* What says nothing even when it does something. */
static inline int is_silent(uint16_t type)
{
    return type == IB_COMMAND_SESSION_ADD || type == IB_COMMAND_ACCOUNT_ADD || type == IB_COMMAND_RULES;
}

/* The twin's part of the last command. */
static inline void tell_twin(struct ib_command command)
{
    command.seq = ib_matcher_seq(world.matcher);
    command.time_ns = ib_matcher_time_ns(world.matcher);
    EXPECT_EQUAL(ib_matcher_apply(twin, &command, NULL), IB_OK);
    struct ib_totals twins;
    ib_matcher_totals(twin, &twins);
    EXPECT_EQUAL(totals().state_hash, twins.state_hash);
    EXPECT_EQUAL(totals().event_count, twins.event_count);
}

/* Applies a command, and to the twin only what is known to do what its events say. `must_be_ignored`: so is a silent
 * one that may do something. */
static inline void take_judged(struct ib_command command, int must_be_ignored)
{
    look(&before);
    EXPECT_EQUAL(apply(command), IB_OK);
    int rejected = world.count == 1 && world.events[0].type == IB_EVENT_REJECTED;
    int ignored = world.count == 0 && (must_be_ignored || !is_silent(command.type));
    if (rejected) {
        tell_twin((struct ib_command){.type = IB_COMMAND_ENTER, .session = command.session,
                                      .user_ref = command.user_ref, .reason = IB_REASON_UNSUPPORTED});
    } else {
        tell_twin(ignored ? (struct ib_command){0} : command);
    }
    EXPECT_SOUND();
    char text[IB_ERROR_TEXT_SIZE];
    EXPECT_EQUAL(ib_matcher_check(world.matcher, text, sizeof text), IB_OK);
    if (rejected || ignored) {
        expect_untouched(&command, rejected);
    }
}

static inline void take(struct ib_command command)
{
    take_judged(command, 0);
}

static inline void expect_rejected(struct ib_command command, uint8_t reason)
{
    take(command);
    EXPECT_SOUND();
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_REJECTED);
    EXPECT_EQUAL(world.events[0].reason, reason);
    EXPECT_EQUAL(world.events[0].session, command.session);
    EXPECT_EQUAL(world.events[0].user_ref, command.user_ref);
    EXPECT_EQUAL(world.events[0].quantity, command.quantity);
    EXPECT_EQUAL(world.events[0].price, command.price);
}

static inline void expect_ignored(struct ib_command command)
{
    take_judged(command, 1);
    EXPECT_SOUND();
    EXPECT_EQUAL(world.count, 0);
}

/* ---- the ground ---- */

static inline struct ib_command instrument_of_rules_2(uint32_t index, const char symbol[9], uint8_t phase)
{
    struct ib_instrument_command command = {
        .type = IB_COMMAND_INSTRUMENT_ADD, .instrument = index, .tick = 5, .lot = 10, .phase = phase};
    memcpy(command.symbol, symbol, IB_SYMBOL_SIZE);
    struct ib_command bytes;
    memcpy(&bytes, &command, sizeof bytes);
    return bytes;
}

/* The taker's next order; a good one. */
static inline struct ib_command good(void)
{
    struct ib_command command = enter(TAKER, ib_matcher_next_user_ref(world.matcher, TAKER), IB_SIDE_BUY, 30, 95);
    command.instrument = LOTS;
    command.stop_price = 200;
    command.expire_time_ns = UINT64_MAX;
    return command;
}

/* The next order is as good as if nothing had been before it. What every reject does, the twin's, too, shows here. */
static inline void expect_next_to_be_good(void)
{
    take(good());
    EXPECT_SOUND();
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_ACCEPTED);
    EXPECT_EQUAL(world.events[0].order_ref, last_order_ref + 1);
    EXPECT_EQUAL(world.events[1].type, IB_EVENT_RESTED);
}

/* The maker's order `original`, changed. */
static inline struct ib_command changed(uint32_t original, uint64_t quantity, int64_t price)
{
    return replace(MAKER, original, ib_matcher_next_user_ref(world.matcher, MAKER), quantity, price);
}

static inline void add_orders(void)
{
    take(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    take(enter(TAKER, 1, IB_SIDE_BUY, 20, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 20, 30);
    take(enter(MAKER, 2, IB_SIDE_SELL, 10, 101));
    take(cancel(MAKER, 2, 0));
    struct ib_command orders[5];
    for (uint32_t i = 0; i < 5; i++) {
        orders[i] = enter(MAKER, 3 + i, IB_SIDE_SELL, i == 0 ? 100 : 10, 105 + 5 * (int64_t)(i > 0));
        orders[i].instrument = LOTS;
    }
    orders[0].displayed = 10;
    orders[1].flags = IB_ORDER_HIDDEN;
    orders[2].order_type = IB_ORDER_STOP;
    orders[2].stop_price = 50;
    orders[3].time_in_force = IB_TIME_IN_FORCE_AT_CLOSE;
    orders[4].time_in_force = IB_TIME_IN_FORCE_GTD;
    orders[4].expire_time_ns = 1000000;
    for (uint32_t i = 0; i < 5; i++) {
        take(orders[i]);
        EXPECT_EQUAL(world.events[0].type, IB_EVENT_ACCEPTED);
    }
    struct ib_command buy = good();
    buy.price = 90;
    take(buy);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 2, 30, 30);
    EXPECT_EQUAL(totals().orders_open, 7);
    last_order_ref = world.events[0].order_ref;
}

static inline void open_ground(void)
{
    EXPECT_EQUAL(ib_matcher_open(&world.matcher, BOOK), IB_OK);
    EXPECT_EQUAL(ib_matcher_open(&twin, BOOK), IB_OK);
    take((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_NEWEST});
    take((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = 1, .client_data = "maker"});
    take((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = 2, .client_data = "taker"});
    take(instrument_add(0, "AAPL    ", 1));
    take(instrument_add(1, "MSFT    ", 100));
    take(instrument_of_rules_2(LOTS, "LOTS    ", IB_PHASE_CONTINUOUS));
    take(instrument_of_rules_2(PHASED, "PHASED  ", IB_PHASE_CONTINUOUS));
    take(instrument_of_rules_2(GONE, "GONE    ", IB_PHASE_CONTINUOUS));
    take((struct ib_command){.type = IB_COMMAND_INSTRUMENT_REMOVE, .instrument = GONE});
    for (uint16_t i = 0; i < 2; i++) {
        struct ib_command session = session_add(i, i == MAKER ? "MAKER1MAKR" : "TAKER1TAKR");
        session.account = (uint16_t)(i + 1);
        take(session);
    }
    EXPECT_EQUAL(ib_matcher_session_count(world.matcher), 2);
    add_orders();
}

static inline void close_ground(void)
{
    close_world();
    ib_matcher_close(twin);
    twin = NULL;
}

#endif
