/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher_order.c: what becomes of an order, each rule by one short script. Every command is followed by the check
 * of all invariants (IB_CHECK).
 */
#include "world.h"

static void an_order_rests(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    EXPECT_EQUAL(world.count, 2);
    EXPECT_EVENT(0, IB_EVENT_ACCEPTED, MAKER, 1, 50, 50);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 1, 50, 50);
    EXPECT_EQUAL(world.events[0].session_seq, 1);
    EXPECT_EQUAL(world.events[1].session_seq, 0);
    EXPECT_EQUAL(world.events[1].flags, IB_FLAG_RESTING);
    EXPECT_EQUAL(memcmp(world.events[0].client_data, "order", 6), 0);
    EXPECT_EQUAL(totals().orders_open, 1);
    close_world();
}

static void price_comes_before_time(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 10, 102));
    apply(enter(MAKER, 2, IB_SIDE_SELL, 10, 101));
    apply(enter(MAKER, 3, IB_SIDE_SELL, 10, 101));
    apply(enter(TAKER, 1, IB_SIDE_BUY, 25, 102));
    EXPECT_EQUAL(world.count, 7);
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 2, 10, 0);
    EXPECT_EVENT(2, IB_EVENT_EXECUTED, TAKER, 1, 10, 15);
    EXPECT_EVENT(3, IB_EVENT_EXECUTED, MAKER, 3, 10, 0);
    EXPECT_EVENT(4, IB_EVENT_EXECUTED, TAKER, 1, 10, 5);
    EXPECT_EVENT(5, IB_EVENT_EXECUTED, MAKER, 1, 5, 5);
    EXPECT_EVENT(6, IB_EVENT_EXECUTED, TAKER, 1, 5, 0);
    EXPECT_EQUAL(world.events[2].price, 101); /* the resting order's price, for both */
    EXPECT_EQUAL(world.events[6].price, 102);
    EXPECT_EQUAL(world.events[1].match_ref, world.events[2].match_ref);
    EXPECT_EQUAL(world.events[5].match_ref, 3);
    EXPECT_EQUAL(totals().trades, 3);
    EXPECT_EQUAL(totals().quantity, 25);
    EXPECT_EQUAL(totals().notional_low, 20 * 101 + 5 * 102);
    close_world();
}

static void what_is_left_of_a_limit_order_rests(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_BUY, 10, 100));
    apply(enter(TAKER, 1, IB_SIDE_SELL, 30, 99));
    EXPECT_EQUAL(world.count, 4);
    EXPECT_EVENT(3, IB_EVENT_RESTED, IB_SESSION_NONE, 1, 20, 20);
    EXPECT_EQUAL(world.events[3].price, 99);
    close_world();
}

static void an_ioc_never_rests(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 10, 100));
    struct ib_command ioc = enter(TAKER, 1, IB_SIDE_BUY, 30, 100);
    ioc.time_in_force = IB_TIME_IN_FORCE_IOC;
    apply(ioc);
    EXPECT_EVENT(3, IB_EVENT_CANCELED, TAKER, 1, 20, 0);
    EXPECT_EQUAL(world.events[3].reason, IB_REASON_IMMEDIATE_OR_CANCEL);
    EXPECT_EQUAL(totals().orders_open, 0);
    close_world();
}

static void a_market_order_takes_any_price(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 10, INT64_MAX));
    apply(enter(MAKER, 2, IB_SIDE_SELL, 10, 1));
    struct ib_command market = enter(TAKER, 1, IB_SIDE_BUY, 25, -7);
    market.order_type = IB_ORDER_MARKET; /* its price is ignored */
    apply(market);
    EXPECT_EQUAL(world.count, 6);
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 2, 10, 0);
    EXPECT_EVENT(4, IB_EVENT_EXECUTED, TAKER, 1, 10, 5);
    EXPECT(world.events[4].price == INT64_MAX);
    EXPECT_EVENT(5, IB_EVENT_CANCELED, TAKER, 1, 5, 0);
    struct ib_totals sums = totals(); /* 10 x (2^63 - 1) + 10 x 1 = 5 x 2^64 */
    EXPECT_EQUAL(sums.notional_high, 5);
    EXPECT_EQUAL(sums.notional_low, 0);
    close_world();
}

static void cancel_takes_all_or_shrinks(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 100));
    apply(enter(TAKER, 1, IB_SIDE_BUY, 20, 100));
    apply(cancel(MAKER, 1, 30)); /* total size 30, of which 20 are filled */
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 1, 20, 10);
    EXPECT_EQUAL(world.events[0].reason, IB_REASON_USER);
    EXPECT_EQUAL(world.events[0].flags, IB_FLAG_RESTING);
    apply(cancel(MAKER, 1, 30));
    EXPECT_EQUAL(world.count, 0); /* it is 30 already */
    apply(enter(TAKER, 2, IB_SIDE_BUY, 5, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 5, 5); /* it kept its place */
    apply(cancel(MAKER, 1, 20)); /* below what is filled: all that is left */
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 1, 5, 0);
    apply(cancel(MAKER, 2, 0));
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 2, 50, 0);
    EXPECT_EQUAL(totals().orders_open, 0);
    close_world();
}

static void cancel_of_what_is_not_there_is_ignored(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(cancel(TAKER, 1, 0)); /* another session's */
    EXPECT_EQUAL(world.count, 0);
    apply(cancel(MAKER, 2, 0));
    EXPECT_EQUAL(world.count, 0);
    apply(cancel(77, 1, 0)); /* no such session */
    EXPECT_EQUAL(world.count, 0);
    apply(cancel(MAKER, 1, 0));
    apply(cancel(MAKER, 1, 0)); /* cancelled before */
    EXPECT_EQUAL(world.count, 0);
    close_world();
}

static void a_shrinking_replace_keeps_priority(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    uint64_t order_ref = world.events[0].order_ref;
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 100));
    apply(replace(MAKER, 1, 3, 40, 100));
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EVENT(0, IB_EVENT_REPLACED, MAKER, 3, 40, 40);
    EXPECT_EQUAL(world.events[0].user_ref_original, 1);
    EXPECT_EQUAL(world.events[0].flags, IB_FLAG_RESTING | IB_FLAG_PRIORITY_KEPT);
    EXPECT_EQUAL(world.events[0].order_ref, order_ref);
    apply(enter(TAKER, 1, IB_SIDE_BUY, 10, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 3, 10, 30);
    apply(cancel(MAKER, 1, 0)); /* the old number names nothing any more */
    EXPECT_EQUAL(world.count, 0);
    apply(replace(MAKER, 3, 4, 20, 100)); /* total size, the filled 10 included */
    EXPECT_EVENT(0, IB_EVENT_REPLACED, MAKER, 4, 10, 10);
    close_world();
}

static void any_other_replace_loses_priority(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    uint64_t order_ref = world.events[0].order_ref;
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 100));
    apply(replace(MAKER, 1, 3, 60, 100)); /* larger */
    EXPECT_EQUAL(world.count, 2);
    EXPECT_EVENT(0, IB_EVENT_REPLACED, MAKER, 3, 60, 60);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 3, 60, 60);
    EXPECT_EQUAL(world.events[0].flags, IB_FLAG_RESTING);
    EXPECT_EQUAL(world.events[0].match_ref, order_ref);
    EXPECT(world.events[0].order_ref > order_ref);
    EXPECT_EQUAL(world.events[1].order_ref, world.events[0].order_ref);
    apply(enter(TAKER, 1, IB_SIDE_BUY, 10, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 2, 10, 40);
    apply(replace(MAKER, 2, 4, 20, 101)); /* smaller, but elsewhere */
    EXPECT_EQUAL(world.count, 2);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 4, 10, 10);
    close_world();
}

static void a_replace_may_trade(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 30, 105));
    apply(enter(TAKER, 1, IB_SIDE_BUY, 50, 100));
    apply(replace(TAKER, 1, 2, 50, 105));
    EXPECT_EQUAL(world.count, 4);
    EXPECT_EVENT(0, IB_EVENT_REPLACED, TAKER, 2, 50, 50);
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 30, 0);
    EXPECT_EVENT(2, IB_EVENT_EXECUTED, TAKER, 2, 30, 20);
    EXPECT_EVENT(3, IB_EVENT_RESTED, IB_SESSION_NONE, 2, 20, 20);
    struct ib_command ioc = replace(TAKER, 2, 3, 40, 105);
    ioc.time_in_force = IB_TIME_IN_FORCE_IOC;
    apply(ioc);
    EXPECT_EVENT(0, IB_EVENT_REPLACED, TAKER, 3, 10, 10);
    EXPECT_EVENT(1, IB_EVENT_CANCELED, TAKER, 3, 10, 0);
    EXPECT_EQUAL(totals().orders_open, 0);
    close_world();
}

static void what_a_replace_does_not_say_again_stays(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    struct ib_command silent = replace(MAKER, 1, 2, 50, 101); /* loses priority */
    memset(silent.client_data, 0, sizeof silent.client_data);
    silent.client_data[0] = 'X';
    apply(silent);
    EXPECT_EQUAL(memcmp(world.events[0].client_data, "Xrder", 6), 0);
    silent.user_ref_original = 2;
    silent.user_ref = 3;
    silent.quantity = 40; /* keeps priority */
    silent.client_data[0] = 0;
    apply(silent);
    EXPECT_EQUAL(memcmp(world.events[0].client_data, "Xrder", 6), 0);
    close_world();
}

static void bad_orders_are_rejected(void)
{
    open_world();
    struct ib_command order = enter(MAKER, 1, IB_SIDE_BUY, 10, 100);
    order.reason = IB_REASON_UNSUPPORTED; /* the gateway's own reject, sequenced */
    EXPECT_REJECT(order, IB_REASON_UNSUPPORTED);
    order = enter(MAKER, 2, IB_SIDE_BUY, 10, 100);
    order.instrument = 2;
    EXPECT_REJECT(order, IB_REASON_INSTRUMENT_UNKNOWN);
    EXPECT_REJECT(enter(MAKER, 3, 3, 10, 100), IB_REASON_SIDE_INVALID);
    order = enter(MAKER, 4, IB_SIDE_BUY, 10, 100);
    order.order_type = 9;
    EXPECT_REJECT(order, IB_REASON_ORDER_TYPE_INVALID);
    order = enter(MAKER, 5, IB_SIDE_BUY, 10, 100);
    order.time_in_force = 1;
    EXPECT_REJECT(order, IB_REASON_TIME_IN_FORCE_INVALID);
    EXPECT_REJECT(enter(MAKER, 6, IB_SIDE_BUY, 0, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(enter(MAKER, 7, IB_SIDE_BUY, IB_QUANTITY_MAX + 1, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(enter(MAKER, 8, IB_SIDE_BUY, UINT64_MAX, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(enter(MAKER, 9, IB_SIDE_BUY, 10, 0), IB_REASON_PRICE_INVALID);
    EXPECT_REJECT(enter(MAKER, 10, IB_SIDE_BUY, 10, INT64_MIN), IB_REASON_PRICE_INVALID);
    order = enter(MAKER, 11, IB_SIDE_BUY, 10, 150);
    order.instrument = 1; /* tick 100 */
    EXPECT_REJECT(order, IB_REASON_PRICE_INVALID);
    order = enter(MAKER, 12, IB_SIDE_BUY, IB_QUANTITY_MAX, INT64_MAX - 7);
    order.instrument = 1; /* 2^63 - 8 = 100 x … + 0: the highest prices work too */
    apply(order);
    EXPECT_EQUAL(world.count, (INT64_MAX - 7) % 100 == 0 ? 2 : 1);
    close_world();
}

static void bad_replaces_are_rejected_and_the_order_stays(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_BUY, 50, 100));
    apply(enter(TAKER, 1, IB_SIDE_SELL, 20, 100));
    EXPECT_REJECT(replace(MAKER, 7, 2, 50, 100), IB_REASON_ORDER_UNKNOWN);
    EXPECT_REJECT(replace(TAKER, 1, 2, 50, 100), IB_REASON_ORDER_UNKNOWN); /* filled */
    EXPECT_REJECT(replace(MAKER, 1, 3, 20, 100), IB_REASON_QUANTITY_INVALID); /* not above what is filled */
    EXPECT_REJECT(replace(MAKER, 1, 4, 50, 0), IB_REASON_PRICE_INVALID);
    apply(replace(MAKER, 1, 5, 50, 101));
    EXPECT_EVENT(0, IB_EVENT_REPLACED, MAKER, 5, 30, 30);
    close_world();
}

static void a_full_book_rejects(void)
{
    open_world();
    for (uint32_t i = 1; i <= ORDERS; i++) {
        apply(enter(MAKER, i, IB_SIDE_SELL, 10, 100 + (int64_t)i * 1000000007));
        EXPECT_EQUAL(world.count, 2);
    }
    EXPECT_REJECT(enter(MAKER, ORDERS + 1, IB_SIDE_SELL, 10, 100), IB_REASON_BOOK_FULL);
    EXPECT_REJECT(enter(TAKER, 1, IB_SIDE_BUY, 10, INT64_MAX), IB_REASON_BOOK_FULL);
    apply(replace(MAKER, 1, ORDERS + 2, 99, 5)); /* it takes its own slot again */
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, ORDERS + 2, 99, 99);
    struct ib_command ioc = enter(TAKER, 2, IB_SIDE_BUY, 99, 100);
    ioc.time_in_force = IB_TIME_IN_FORCE_IOC; /* it needs none */
    apply(ioc);
    EXPECT_EVENT(2, IB_EVENT_EXECUTED, TAKER, 2, 99, 0);
    apply(enter(TAKER, 3, IB_SIDE_BUY, 10, 1));
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 3, 10, 10);
    close_world();
}

/* ---- modify ---- */

static void open_world_of(uint32_t rules)
{
    open_world();
    struct ib_command command = control(IB_COMMAND_RULES);
    command.value = rules;
    (void)apply(command);
    EXPECT_EQUAL(ib_matcher_rules(world.matcher), rules);
}

static void a_modify_marks_a_sale_and_takes_a_part_off(void)
{
    open_world_of(IB_RULES_3);
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 100));
    uint64_t order_ref = world.events[0].order_ref - 1;
    apply(enter(TAKER, 1, IB_SIDE_BUY, 20, 100));
    apply(modify(MAKER, 1, 50)); /* the mark alone */
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 0, 30);
    EXPECT(memcmp(world.events[0].client_data, "order\0\0\0\0\0\0\0\0\0T\0\0\0\0\0\0\0\0", IB_CLIENT_DATA_SIZE) == 0);
    EXPECT_EQUAL(world.events[0].flags, IB_FLAG_RESTING);
    EXPECT_EQUAL(world.events[0].side, IB_SIDE_SELL);
    EXPECT_EQUAL(world.events[0].price, 100);
    EXPECT_EQUAL(world.events[0].order_ref, order_ref);
    apply(modify(MAKER, 1, 50));
    EXPECT_EQUAL(world.count, 0); /* it is so already */
    apply(modify(MAKER, 1, 40)); /* 20 are filled */
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 10, 20);
    struct ib_command exempt = modify(MAKER, 1, 30);
    exempt.client_data[14] = 'E';
    apply(exempt); /* both at once */
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 10, 10);
    EXPECT_EQUAL(world.events[0].client_data[14], 'E');
    apply(enter(TAKER, 2, IB_SIDE_BUY, 5, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 5, 5); /* it kept its place */
    EXPECT_EQUAL(world.events[1].client_data[14], 'E');
    apply(modify(MAKER, 1, 25)); /* what is filled: all that is left */
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 1, 5, 0);
    EXPECT_EQUAL(world.events[0].reason, IB_REASON_USER);
    EXPECT_EQUAL(totals().orders_open, 1);
    close_world();
}

/* A buy, one without client data, an iceberg, and one that is parked, while the shard is halted. */
static void any_live_order_can_be_modified(void)
{
    open_world_of(IB_RULES_3);
    struct ib_command buy = enter(TAKER, 1, IB_SIDE_BUY, 20, 90);
    memset(buy.client_data, 0, sizeof buy.client_data);
    apply(buy);
    struct ib_command iceberg = enter(MAKER, 1, IB_SIDE_SELL, 50, 100);
    iceberg.displayed = 20;
    apply(iceberg);
    struct ib_command stop = enter(MAKER, 2, IB_SIDE_SELL, 10, 80);
    stop.order_type = IB_ORDER_STOP_LIMIT;
    stop.stop_price = 90;
    apply(stop);
    apply(control(IB_COMMAND_HALT));
    struct ib_command less = modify(TAKER, 1, 15);
    less.side = IB_SIDE_BUY;
    less.client_data[14] = 0;
    apply(less);
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, TAKER, 1, 5, 15);
    apply(modify(MAKER, 1, 45));
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 5, 45);
    EXPECT_EQUAL(world.events[0].displayed, 20);
    apply(modify(MAKER, 1, 15));
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 30, 15);
    EXPECT_EQUAL(world.events[0].displayed, 0);
    apply(modify(MAKER, 2, 10));
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 2, 0, 10);
    EXPECT_EQUAL(world.events[0].flags, 0);
    apply(control(IB_COMMAND_RESUME));
    apply(enter(MAKER, 3, IB_SIDE_SELL, 1, 90)); /* trades at 90, which releases the stop */
    EXPECT_EQUAL(world.events[3].type, IB_EVENT_RELEASED);
    EXPECT_EQUAL(world.events[3].client_data[14], 'T');
    close_world();
}

static void rules_2_know_no_modify(void)
{
    open_world_of(IB_RULES_2);
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(modify(MAKER, 1, 40));
    EXPECT_EQUAL(world.count, 0);
    struct ib_command rules = control(IB_COMMAND_RULES);
    rules.value = IB_RULES_3;
    apply(rules);
    apply(modify(MAKER, 1, 40));
    EXPECT_EVENT(0, IB_EVENT_MODIFIED, MAKER, 1, 10, 40);
    close_world();
}

/* An iceberg gives more numbers than there were commands; the next rules go on behind them. */
static void numbers_of_orders_never_go_back(void)
{
    open_world_of(IB_RULES_2);
    struct ib_command iceberg = enter(MAKER, 1, IB_SIDE_SELL, 50, 100);
    iceberg.displayed = 1;
    apply(iceberg);
    apply(enter(TAKER, 1, IB_SIDE_BUY, 40, 100));
    uint64_t newest = world.events[world.count - 1].order_ref;
    EXPECT_EQUAL(world.events[world.count - 1].type, IB_EVENT_REFRESHED);
    EXPECT(newest > ib_matcher_seq(world.matcher) + 1);
    struct ib_command rules = control(IB_COMMAND_RULES);
    rules.value = IB_RULES_3;
    apply(rules);
    apply(enter(MAKER, 2, IB_SIDE_SELL, 1, 100));
    EXPECT_EQUAL(world.events[0].order_ref, newest + 1);
    close_world();
}

static const struct test_case cases[] = {
    CASE(an_order_rests),
    CASE(price_comes_before_time),
    CASE(what_is_left_of_a_limit_order_rests),
    CASE(an_ioc_never_rests),
    CASE(a_market_order_takes_any_price),
    CASE(cancel_takes_all_or_shrinks),
    CASE(cancel_of_what_is_not_there_is_ignored),
    CASE(a_shrinking_replace_keeps_priority),
    CASE(any_other_replace_loses_priority),
    CASE(a_replace_may_trade),
    CASE(what_a_replace_does_not_say_again_stays),
    CASE(bad_orders_are_rejected),
    CASE(bad_replaces_are_rejected_and_the_order_stays),
    CASE(a_full_book_rejects),
    CASE(a_modify_marks_a_sale_and_takes_a_part_off),
    CASE(any_live_order_can_be_modified),
    CASE(rules_2_know_no_modify),
    CASE(numbers_of_orders_never_go_back),
};

TEST_MAIN("test_matcher_order", cases)
