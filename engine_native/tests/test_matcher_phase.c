/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher_phase.c: auctions and parked orders, the corners that a random flow seldom turns.
 */
#include "world.h"

static struct ib_command phase(uint8_t phase)
{
    return (struct ib_command){.type = IB_COMMAND_PHASE, .instrument = 1, .phase = phase};
}

/* Instrument 1 has tick 100. */
static void open_auction(int64_t reference_price)
{
    open_world();
    (void)apply((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2});
    struct ib_instrument_command change = {
        .type = IB_COMMAND_INSTRUMENT_CHANGE, .instrument = 1, .tick = 100, .reference_price = reference_price};
    struct ib_command command;
    memcpy(&command, &change, sizeof command);
    EXPECT_EQUAL(apply(command), IB_OK);
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_INSTRUMENT);
    (void)apply(phase(IB_PHASE_OPENING_AUCTION));
}

static struct ib_command market(uint16_t session, uint8_t side, uint64_t quantity)
{
    struct ib_command command = enter(session, ib_matcher_next_user_ref(world.matcher, session), side, quantity, 7);
    command.instrument = 1;
    command.order_type = IB_ORDER_MARKET;
    return command;
}

static void market_orders_alone_trade_at_the_reference_on_the_tick(void)
{
    open_auction(250);
    apply(market(MAKER, IB_SIDE_BUY, 30));
    EXPECT_EQUAL(world.events[1].price, 0);
    apply(market(TAKER, IB_SIDE_SELL, 20));
    apply((struct ib_command){.type = IB_COMMAND_INDICATE, .instrument = 1});
    EXPECT_EQUAL(world.events[0].price, 200);
    EXPECT_EQUAL(world.events[0].quantity, 20);
    EXPECT_EQUAL(world.events[0].remaining, 10);
    EXPECT_EQUAL(world.events[0].side, IB_SIDE_BUY);
    apply(phase(IB_PHASE_CONTINUOUS));
    EXPECT_EQUAL(world.count, 4);
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 20, 10);
    EXPECT_EQUAL(world.events[1].price, 200);
    EXPECT_EQUAL(world.events[1].flags, IB_FLAG_RESTING | IB_FLAG_AUCTION);
    EXPECT_EVENT(3, IB_EVENT_CANCELED, MAKER, 1, 10, 0);
    EXPECT_EQUAL(world.events[3].reason, IB_REASON_AUCTION_ENDED);
    close_world();
}

static void market_orders_without_any_price_do_not_trade(void)
{
    open_auction(99); /* below the first tick: no price at all */
    apply(market(MAKER, IB_SIDE_BUY, 30));
    apply(market(TAKER, IB_SIDE_SELL, 20));
    apply((struct ib_command){.type = IB_COMMAND_INDICATE, .instrument = 1});
    EXPECT_EQUAL(world.events[0].quantity, 0);
    apply(phase(IB_PHASE_CLOSED));
    EXPECT_EQUAL(world.count, 3); /* Phase, and both are cancelled */
    EXPECT_EQUAL(totals().trades, 0);
    EXPECT_EQUAL(totals().orders_open, 0);
    close_world();
}

static void an_iceberg_in_an_auction_keeps_its_place(void)
{
    open_auction(0);
    struct ib_command iceberg = enter(MAKER, 1, IB_SIDE_SELL, 50, 300);
    iceberg.instrument = 1;
    iceberg.displayed = 10;
    apply(iceberg);
    EXPECT_EQUAL(world.events[1].displayed, 10);
    struct ib_command other = enter(MAKER, 2, IB_SIDE_SELL, 50, 300);
    other.instrument = 1;
    apply(other);
    struct ib_command buy = enter(TAKER, 1, IB_SIDE_BUY, 45, 300);
    buy.instrument = 1;
    apply(buy);
    apply(phase(IB_PHASE_CONTINUOUS));
    EXPECT_EVENT(2, IB_EVENT_EXECUTED, MAKER, 1, 45, 5);
    struct ib_live_order orders[2];
    size_t count;
    EXPECT_EQUAL(ib_matcher_live_orders(world.matcher, orders, 2, &count), IB_OK);
    EXPECT_EQUAL(count, 2);
    EXPECT_EQUAL(orders[0].user_ref, 1);
    EXPECT_EQUAL(orders[0].shown, 5);
    EXPECT_EQUAL(ib_matcher_live_orders(world.matcher, orders, 1, &count), IB_ERROR_CAPACITY);
    close_world();
}

static void a_stop_releases_the_next(void)
{
    open_world();
    (void)apply((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2});
    for (uint32_t i = 0; i < 3; i++) { /* sells at 101, 102, 103, and stops that buy there one after the other */
        apply(enter(MAKER, 1 + i, IB_SIDE_SELL, 10, 101 + i));
        struct ib_command stop = enter(TAKER, 1 + i, IB_SIDE_BUY, 10, 0);
        stop.order_type = IB_ORDER_STOP;
        stop.stop_price = 100 + i;
        apply(stop);
        EXPECT_EQUAL(world.count, 1); /* Accepted, and nothing has traded yet */
    }
    apply(enter(MAKER, 9, IB_SIDE_BUY, 1, 101));
    EXPECT_EQUAL(world.events[3].type, IB_EVENT_RELEASED);
    EXPECT_EQUAL(world.events[3].order_type, IB_ORDER_MARKET);
    EXPECT_EQUAL(totals().trades, 6); /* the first order took one share of the first sell, so the last stop lacks one */
    EXPECT_EVENT(world.count - 1, IB_EVENT_CANCELED, TAKER, 3, 1, 0);
    EXPECT_EQUAL(totals().orders_open, 0);
    close_world();
}

static const struct test_case cases[] = {
    CASE(market_orders_alone_trade_at_the_reference_on_the_tick),
    CASE(market_orders_without_any_price_do_not_trade),
    CASE(an_iceberg_in_an_auction_keeps_its_place),
    CASE(a_stop_releases_the_next),
};

TEST_MAIN("test_matcher_phase", cases)
