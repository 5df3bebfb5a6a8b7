/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_terms.c: what can be said against an order without a look at the book, each kind of bad input once.
 */
#include "terms.h"

#include "commands.h"
#include "test.h"

/* Tick 100 and lot 10. */
static const struct ib_book_instrument instrument = {
    .tick = 100, .tick_inverse = 0x8f5c28f5c28f5c29u, .tick_shift = 2, .ticks_max = INT64_MAX / 100};

static struct ib_terms_frame frame(uint8_t phase)
{
    return (struct ib_terms_frame){.instrument = &instrument, .lot = 10, .rules = IB_RULES_2, .phase = phase};
}

static struct ib_command order(void)
{
    return enter(0, 1, IB_SIDE_BUY, 50, 1000);
}

static uint8_t refusal(const struct ib_command *command, uint8_t phase)
{
    struct ib_terms_frame judged = frame(phase);
    struct ib_terms terms;
    return ib_terms_refusal(command, &judged, &terms);
}

/* An order with one field changed. */
#define REFUSED(field, value, reason)                                  \
    do {                                                               \
        struct ib_command changed = order();                           \
        changed.field = (value);                                       \
        EXPECT_EQUAL(refusal(&changed, IB_PHASE_CONTINUOUS), (reason)); \
    } while (0)

static void the_inverse_is_right(void)
{
    EXPECT_EQUAL(instrument.tick_inverse * (instrument.tick >> instrument.tick_shift), 1);
    struct ib_command command = order();
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_NONE);
}

static void types_and_times_that_do_not_exist(void)
{
    REFUSED(order_type, 0, IB_REASON_ORDER_TYPE_INVALID);
    REFUSED(order_type, 5, IB_REASON_ORDER_TYPE_INVALID);
    REFUSED(time_in_force, 5, IB_REASON_TIME_IN_FORCE_INVALID);
    REFUSED(time_in_force, 8, IB_REASON_TIME_IN_FORCE_INVALID);
    REFUSED(time_in_force, IB_TIME_IN_FORCE_GTD, IB_REASON_TIME_IN_FORCE_INVALID); /* it is due already */
}

static void quantities_that_cannot_be(void)
{
    REFUSED(quantity, 0, IB_REASON_QUANTITY_INVALID);
    REFUSED(quantity, 55, IB_REASON_QUANTITY_INVALID); /* off the lot */
    REFUSED(quantity, IB_QUANTITY_MAX + 1, IB_REASON_QUANTITY_INVALID);
    REFUSED(quantity, UINT64_MAX, IB_REASON_QUANTITY_INVALID);
    REFUSED(quantity, IB_QUANTITY_MAX / 10 * 10, IB_REASON_NONE);
    REFUSED(displayed, 60, IB_REASON_QUANTITY_INVALID); /* more than there is */
    REFUSED(displayed, 5, IB_REASON_QUANTITY_INVALID);
    REFUSED(minimum, 60, IB_REASON_QUANTITY_INVALID);
    REFUSED(minimum, 5, IB_REASON_QUANTITY_INVALID);
    struct ib_command iceberg = order();
    iceberg.quantity = 10 * IB_SLICES_MAX;
    iceberg.displayed = 10;
    EXPECT_EQUAL(refusal(&iceberg, IB_PHASE_CONTINUOUS), IB_REASON_NONE);
    iceberg.quantity += 10; /* one slice too many */
    EXPECT_EQUAL(refusal(&iceberg, IB_PHASE_CONTINUOUS), IB_REASON_QUANTITY_INVALID);
}

static void prices_that_cannot_be(void)
{
    REFUSED(price, 0, IB_REASON_PRICE_INVALID);
    REFUSED(price, -100, IB_REASON_PRICE_INVALID);
    REFUSED(price, INT64_MIN, IB_REASON_PRICE_INVALID);
    REFUSED(price, 1050, IB_REASON_PRICE_INVALID); /* off the tick */
    REFUSED(price, INT64_MAX, IB_REASON_PRICE_INVALID);
    REFUSED(price, INT64_MAX / 100 * 100, IB_REASON_NONE);
    struct ib_command stop = order();
    stop.order_type = IB_ORDER_STOP_LIMIT;
    EXPECT_EQUAL(refusal(&stop, IB_PHASE_CONTINUOUS), IB_REASON_PRICE_INVALID); /* no stop price */
    stop.stop_price = 1000;
    EXPECT_EQUAL(refusal(&stop, IB_PHASE_CONTINUOUS), IB_REASON_NONE);
}

static void attributes_that_contradict_each_other(void)
{
    REFUSED(flags, 4, IB_REASON_FLAGS_INVALID);
    REFUSED(self_trade, IB_SELF_TRADE_DECREMENT + 1, IB_REASON_FLAGS_INVALID);
    struct ib_command command = order();
    command.flags = IB_ORDER_HIDDEN;
    command.displayed = 10;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_FLAGS_INVALID);
    command = order();
    command.flags = IB_ORDER_POST_ONLY;
    command.time_in_force = IB_TIME_IN_FORCE_IOC;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_FLAGS_INVALID);
    command.time_in_force = IB_TIME_IN_FORCE_DAY;
    command.minimum = 10;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_FLAGS_INVALID);
    command = order();
    command.order_type = IB_ORDER_MARKET;
    command.displayed = 10;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_FLAGS_INVALID);
}

static void phases_that_forbid_it(void)
{
    struct ib_command command = order();
    EXPECT_EQUAL(refusal(&command, IB_PHASE_HALTED), IB_REASON_HALTED);
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CLOSED), IB_REASON_PHASE);
    EXPECT_EQUAL(refusal(&command, IB_PHASE_PRE_OPEN), IB_REASON_NONE);
    command.time_in_force = IB_TIME_IN_FORCE_AT_OPEN;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_OPENING_AUCTION), IB_REASON_NONE);
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_PHASE);
    command.time_in_force = IB_TIME_IN_FORCE_FOK;
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CLOSING_AUCTION), IB_REASON_PHASE);
    EXPECT_EQUAL(refusal(&command, IB_PHASE_CONTINUOUS), IB_REASON_NONE);
}

static void a_replacement_stays_above_what_was_executed(void)
{
    struct ib_terms_frame judged = frame(IB_PHASE_CONTINUOUS);
    struct ib_terms terms;
    struct ib_command command = order();
    judged.executed = 50;
    EXPECT_EQUAL(ib_terms_refusal(&command, &judged, &terms), IB_REASON_QUANTITY_INVALID);
    judged.executed = 40;
    EXPECT_EQUAL(ib_terms_refusal(&command, &judged, &terms), IB_REASON_NONE);
    EXPECT_EQUAL(terms.ticks, 10);
}

static const struct test_case cases[] = {
    CASE(the_inverse_is_right),
    CASE(types_and_times_that_do_not_exist),
    CASE(quantities_that_cannot_be),
    CASE(prices_that_cannot_be),
    CASE(attributes_that_contradict_each_other),
    CASE(phases_that_forbid_it),
    CASE(a_replacement_stays_above_what_was_executed),
};

TEST_MAIN("test_terms", cases)
