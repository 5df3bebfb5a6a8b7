/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot_world.h: a state with something of everything that a snapshot has to carry, as commands; and the journal of
 * them. For the tests of snapshots.
 */
#ifndef IB_TEST_SNAPSHOT_WORLD_H
#define IB_TEST_SNAPSHOT_WORLD_H

#include "../sim/reload.h"
#include "commands.h"
#include "take_events.h"
#include "test.h"

enum { ORDERS = 32, WORLD_COMMANDS = 64, SHARD = 3 };

static struct ib_command world[WORLD_COMMANDS];
static uint64_t world_size;

static inline struct ib_command *say(struct ib_command command)
{
    if (world_size == WORLD_COMMANDS) {
        abort();
    }
    command.seq = world_size + 1;
    command.time_ns = 1700000000000000000u + world_size * 1000000u;
    world[world_size] = command;
    return &world[world_size++];
}

static inline void say_definitions(void)
{
    say((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_NEWEST});
    for (uint16_t i = 1; i <= 3; i++) {
        say((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = i, .client_data = {(uint8_t)('0' + i)}});
    }
    say((struct ib_command){.type = IB_COMMAND_RISK_LIMIT, .account = 1, .instrument = IB_INSTRUMENT_ALL,
                            .limit = IB_RISK_OPEN_ORDERS, .value = 20});
    for (uint16_t i = 0; i < 4; i++) { /* the last one trades for nobody in particular */
        struct ib_command session = session_add(i, "USER0 FIRM");
        session.client_data[4] = (uint8_t)('0' + i);
        session.account = i < 3 ? (uint16_t)(i + 1) : 0;
        say(session);
    }
    say(instrument_add(0, "AAPL    ", 100));
    say(instrument_add(1, "MSFT    ", 1));
    say(instrument_add(2, "GONE    ", 1));
    say((struct ib_command){.type = IB_COMMAND_INSTRUMENT_REMOVE, .instrument = 2});
    say(instrument_add(3, "GONE    ", 1));
    say((struct ib_command){.type = IB_COMMAND_RISK_LIMIT, .account = 2, .instrument = 1, .limit = IB_RISK_COLLAR,
                            .value = 5000});
    say((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = 1, .phase = IB_PHASE_OPENING_AUCTION});
    say((struct ib_command){.type = IB_COMMAND_ORDER_ENTRY, .session = 2, .value = 1});
}

static inline void say_orders(void)
{
    struct ib_command *order;
    say(enter(0, 1, IB_SIDE_SELL, 100, 10000)); /* two at a price, the first of them executed in part */
    say(enter(3, 1, IB_SIDE_SELL, 100, 10000));
    say(enter(1, 1, IB_SIDE_BUY, 30, 10000));
    order = say(enter(1, 2, IB_SIDE_BUY, 10, 9900)); /* nothing but the plainest */
    memset(order->client_data, 0, sizeof order->client_data);
    order = say(enter(0, 2, IB_SIDE_BUY, 50, 9800)); /* an iceberg … */
    order->displayed = 10;
    order = say(enter(0, 3, IB_SIDE_BUY, 60, 9800)); /* … which a hidden one stands behind */
    order->flags = IB_ORDER_HIDDEN;
    order = say(enter(1, 3, IB_SIDE_SELL, 70, 11000));
    order->time_in_force = IB_TIME_IN_FORCE_GTD;
    order->expire_time_ns = 1800000000000000000u;
    order = say(enter(1, 4, IB_SIDE_BUY, 5, 12000)); /* a stop */
    order->order_type = IB_ORDER_STOP_LIMIT;
    order->stop_price = 11500;
    order->self_trade = IB_SELF_TRADE_CANCEL_OLDEST;
    order = say(enter(3, 2, IB_SIDE_SELL, 7, 10500)); /* waits for the close, as does one of the other side */
    order->time_in_force = IB_TIME_IN_FORCE_AT_CLOSE;
    order = say(enter(0, 4, IB_SIDE_BUY, 8, 10500));
    order->time_in_force = IB_TIME_IN_FORCE_AT_CLOSE;
    say(enter(1, 5, IB_SIDE_BUY, 11, 300))->instrument = 1; /* in an auction, where a market order waits, too */
    order = say(enter(3, 3, IB_SIDE_SELL, 12, 0));
    order->instrument = 1;
    order->order_type = IB_ORDER_MARKET;
    say(enter(0, 5, IB_SIDE_SELL, 13, 280))->instrument = 1;
    say((struct ib_command){.type = IB_COMMAND_KILL, .account = 3, .value = 1});
}

/* The commands of the world, anew: a case may have changed them. */
static inline void make_world(void)
{
    world_size = 0;
    say_definitions();
    say_orders();
}

static inline void see_nothing(void *context, const struct ib_event *event)
{
    (void)context;
    (void)event;
}

static inline void see_last(void *context, const struct ib_event *event)
{
    struct ib_past *past = context;
    past->event_seq = event->seq;
    past->event_index = event->index;
}

static inline struct ib_matcher *matcher_telling(uint64_t seq, void *context,
                                                 void (*see)(void *context, const struct ib_event *event))
{
    struct ib_matcher *matcher;
    if (ib_matcher_open(&matcher, ORDERS) != IB_OK) {
        abort();
    }
    for (uint64_t i = 0; i < seq; i++) {
        if (take_events(matcher, &world[i], context, see) != IB_OK) {
            abort();
        }
    }
    return matcher;
}

static inline struct ib_matcher *matcher_of_world(uint64_t seq)
{
    return matcher_telling(seq, NULL, see_nothing);
}

/* As of the first `seq` commands. */
static inline struct ib_past *past_at(uint64_t seq)
{
    static struct ib_past past;
    memset(&past, 0, sizeof past);
    past.first_time_ns = world[0].time_ns;
    for (uint64_t i = 0; i < seq; i++) {
        past.disabled[2] |= world[i].type == IB_COMMAND_ORDER_ENTRY;
        if (world[i].type == IB_COMMAND_PHASE) {
            past.since_ns[world[i].instrument] = world[i].time_ns;
        }
    }
    ib_matcher_close(matcher_telling(seq, &past, see_last));
    return &past;
}

static inline struct ib_past *past_of_world(void)
{
    return past_at(world_size);
}

static inline uint64_t hash_of(const struct ib_matcher *matcher)
{
    struct ib_totals totals;
    ib_matcher_totals(matcher, &totals);
    return totals.state_hash;
}

#endif
