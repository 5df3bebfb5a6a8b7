/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher_bad_input.c: whatever a client may send that cannot be: each has its reason, and changes nothing but the
 * session's last number. Every command is followed by the check of all invariants (IB_CHECK).
 */
#include "world.h"

enum { LOTS = 2, CLOSED = 3 }; /* instruments: lot 10 and tick 5; one that is closed */

static struct ib_command instrument_of_rules_2(uint32_t index, const char symbol[9], uint8_t phase)
{
    struct ib_instrument_command command = {
        .type = IB_COMMAND_INSTRUMENT_ADD, .instrument = index, .tick = 5, .lot = 10, .phase = phase};
    memcpy(command.symbol, symbol, IB_SYMBOL_SIZE);
    struct ib_command bytes;
    memcpy(&bytes, &command, sizeof bytes);
    return bytes;
}

static void open_rules_2(void)
{
    open_world();
    (void)apply((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2});
    (void)apply(instrument_of_rules_2(LOTS, "LOTS    ", IB_PHASE_CONTINUOUS));
    (void)apply(instrument_of_rules_2(CLOSED, "CLOSED  ", IB_PHASE_CLOSED));
    EXPECT_EQUAL(ib_matcher_rules(world.matcher), IB_RULES_2);
    (void)apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100)); /* something that must stay as it is */
}

static struct ib_command order(uint32_t instrument, uint64_t quantity, int64_t price)
{
    struct ib_command command = enter(TAKER, ib_matcher_next_user_ref(world.matcher, TAKER), IB_SIDE_BUY, quantity, price);
    command.instrument = instrument;
    return command;
}

static void zero_quantity(void)
{
    open_rules_2();
    EXPECT_REJECT(order(0, 0, 100), IB_REASON_QUANTITY_INVALID);
    close_world();
}

static void the_largest_quantity_and_one_more(void)
{
    open_rules_2();
    EXPECT_REJECT(order(0, (uint64_t)IB_QUANTITY_MAX + 1, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(order(0, UINT64_MAX, 100), IB_REASON_QUANTITY_INVALID);
    apply(order(0, IB_QUANTITY_MAX, 99));
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, world.events[0].user_ref, IB_QUANTITY_MAX, IB_QUANTITY_MAX);
    close_world();
}

static void zero_and_negative_prices(void)
{
    open_rules_2();
    EXPECT_REJECT(order(0, 1, 0), IB_REASON_PRICE_INVALID);
    EXPECT_REJECT(order(0, 1, -1), IB_REASON_PRICE_INVALID);
    EXPECT_REJECT(order(0, 1, INT64_MIN), IB_REASON_PRICE_INVALID);
    close_world();
}

static void the_largest_price(void)
{
    open_rules_2();
    apply(order(0, 1, INT64_MAX));
    EXPECT_EQUAL(world.events[1].type, IB_EVENT_EXECUTED);
    EXPECT_EQUAL(world.events[1].price, 100);
    EXPECT_REJECT(order(LOTS, 10, INT64_MAX), IB_REASON_PRICE_INVALID); /* 2^63 - 1 is no multiple of 5 */
    close_world();
}

static void off_the_tick(void)
{
    open_rules_2();
    EXPECT_REJECT(order(LOTS, 10, 101), IB_REASON_PRICE_INVALID);
    EXPECT_REJECT(order(LOTS, 10, 104), IB_REASON_PRICE_INVALID);
    struct ib_command stop = order(LOTS, 10, 100);
    stop.order_type = IB_ORDER_STOP_LIMIT;
    stop.stop_price = 101;
    EXPECT_REJECT(stop, IB_REASON_PRICE_INVALID);
    close_world();
}

static void off_the_lot(void)
{
    open_rules_2();
    EXPECT_REJECT(order(LOTS, 11, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(order(LOTS, 9, 100), IB_REASON_QUANTITY_INVALID);
    apply(order(LOTS, 30, 100));
    uint32_t number = world.events[0].user_ref;
    EXPECT_REJECT(replace(TAKER, number, number + 1, 25, 100), IB_REASON_QUANTITY_INVALID);
    apply(cancel(TAKER, number, 25)); /* a size that it could not have */
    EXPECT_EQUAL(world.count, 0);
    close_world();
}

static void unknown_instruments(void)
{
    open_rules_2();
    EXPECT_REJECT(order(4, 1, 100), IB_REASON_INSTRUMENT_UNKNOWN);
    EXPECT_REJECT(order(UINT32_MAX, 1, 100), IB_REASON_INSTRUMENT_UNKNOWN);
    apply((struct ib_command){.type = IB_COMMAND_INSTRUMENT_REMOVE, .instrument = LOTS});
    EXPECT_EQUAL(world.events[0].reason, IB_REASON_INSTRUMENT_REMOVED);
    EXPECT_REJECT(order(LOTS, 10, 100), IB_REASON_INSTRUMENT_UNKNOWN);
    close_world();
}

static void numbers_that_were_used(void)
{
    open_rules_2();
    apply(order(0, 5, 90));
    struct ib_command again = order(0, 7, 91);
    again.user_ref--;
    uint64_t hash = totals().state_hash;
    apply(again); /* a resend: it has its result */
    EXPECT_EQUAL(world.count, 0);
    EXPECT(totals().state_hash != hash); /* only seq and time went on */
    EXPECT_EQUAL(totals().orders_open, 2);
    apply(cancel(TAKER, again.user_ref, 0));
    EXPECT_EQUAL(world.count, 1);
    apply(again); /* nor is it free after its order is gone */
    EXPECT_EQUAL(world.count, 0);
    again.user_ref = 0;
    apply(again);
    EXPECT_EQUAL(world.count, 0);
    close_world();
}

static void cancel_of_a_filled_order(void)
{
    open_rules_2();
    apply(order(0, 50, 100));
    EXPECT_EQUAL(totals().orders_open, 0);
    apply(cancel(MAKER, 1, 0));
    EXPECT_EQUAL(world.count, 0);
    apply(cancel(TAKER, 1, 0));
    EXPECT_EQUAL(world.count, 0);
    close_world();
}

static void replace_below_what_was_executed(void)
{
    open_rules_2();
    apply(order(0, 20, 100));
    EXPECT_REJECT(replace(MAKER, 1, 2, 20, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(replace(MAKER, 1, 3, 5, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_REJECT(replace(MAKER, 9, 4, 50, 100), IB_REASON_ORDER_UNKNOWN);
    apply(replace(MAKER, 1, 5, 21, 100));
    EXPECT_EVENT(0, IB_EVENT_REPLACED, MAKER, 5, 1, 1);
    close_world();
}

static void phases_that_forbid_orders(void)
{
    open_rules_2();
    EXPECT_REJECT(order(CLOSED, 10, 100), IB_REASON_PHASE);
    apply((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = CLOSED, .phase = IB_PHASE_HALTED});
    EXPECT_REJECT(order(CLOSED, 10, 100), IB_REASON_HALTED);
    apply((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = CLOSED, .phase = IB_PHASE_CLOSING_AUCTION});
    struct ib_command command = order(CLOSED, 10, 100);
    command.time_in_force = IB_TIME_IN_FORCE_IOC;
    EXPECT_REJECT(command, IB_REASON_PHASE);
    command = order(CLOSED, 10, 100);
    command.time_in_force = IB_TIME_IN_FORCE_AT_OPEN;
    EXPECT_REJECT(command, IB_REASON_PHASE);
    apply((struct ib_command){.type = IB_COMMAND_HALT});
    EXPECT_REJECT(order(0, 10, 100), IB_REASON_HALTED);
    close_world();
}

static void fields_of_rules_2_say_nothing_under_rules_1(void)
{
    open_world();
    struct ib_command command = order(0, 10, 100);
    command.flags = 0xff;
    command.self_trade = 0xff;
    command.displayed = 3;
    command.minimum = UINT64_MAX;
    command.stop_price = -1;
    command.expire_time_ns = 1;
    apply(command);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, 1, 10, 10);
    EXPECT_EQUAL(world.events[1].displayed, 0);
    apply((struct ib_command){.type = IB_COMMAND_PHASE, .phase = IB_PHASE_CLOSED});
    EXPECT_EQUAL(world.count, 0);
    command = order(0, 10, 100);
    command.order_type = IB_ORDER_STOP;
    EXPECT_REJECT(command, IB_REASON_ORDER_TYPE_INVALID);
    close_world();
}

static void commands_that_make_no_sense(void)
{
    open_rules_2();
    struct ib_totals before = totals();
    for (uint16_t type = 0; type < 300; type++) {
        struct ib_command command = {.type = type, .session = 999, .instrument = 77, .account = 77, .value = UINT64_MAX};
        if (type != IB_COMMAND_HALT && type != IB_COMMAND_RESUME && type != IB_COMMAND_END_OF_DAY &&
            type != IB_COMMAND_EXPIRE) {
            EXPECT_EQUAL(apply(command), IB_OK);
            EXPECT_EQUAL(world.count, 0);
        }
    }
    EXPECT_EQUAL(totals().orders_open, before.orders_open);
    EXPECT_EQUAL(totals().event_count, before.event_count);
    close_world();
}

static const struct test_case cases[] = {
    CASE(zero_quantity),
    CASE(the_largest_quantity_and_one_more),
    CASE(zero_and_negative_prices),
    CASE(the_largest_price),
    CASE(off_the_tick),
    CASE(off_the_lot),
    CASE(unknown_instruments),
    CASE(numbers_that_were_used),
    CASE(cancel_of_a_filled_order),
    CASE(replace_below_what_was_executed),
    CASE(phases_that_forbid_orders),
    CASE(fields_of_rules_2_say_nothing_under_rules_1),
    CASE(commands_that_make_no_sense),
};

TEST_MAIN("test_matcher_bad_input", cases)
