/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher_bad_input.c: whatever a client may send that cannot be: each has its reason, and changes nothing but the
 * session's last number. The tables come first: a row is a test.
 *
 * How "changes nothing" is shown stands in ground.h.
 */
#include "ground.h"

/* What is rejected: a good order (buy 30 LOTS at 95, DAY) with one thing changed, or a replacement; and the reason.
 * The maker's orders are 1: sell 50 AAPL at 100, 20 of them executed; 2: cancelled; 3 to 7 in LOTS: sell 100 at 105,
 * showing 10; hidden; a stop; at the close; until a time. The taker's are 1: filled; 2: buy 30 LOTS at 90. */
#define REJECTED(ROW)                                                                                                  \
    ROW(zero_quantity, QUANTITY_INVALID, order.quantity = 0)                                                           \
    ROW(one_more_than_the_largest_quantity, QUANTITY_INVALID,                                                          \
        order.instrument = AAPL, order.quantity = (uint64_t)IB_QUANTITY_MAX + 1)                                       \
    ROW(a_quantity_of_64_bits, QUANTITY_INVALID, order.instrument = AAPL, order.quantity = UINT64_MAX)                 \
    ROW(one_more_than_a_lot, QUANTITY_INVALID, order.quantity = 11)                                                    \
    ROW(one_less_than_a_lot, QUANTITY_INVALID, order.quantity = 9)                                                     \
    ROW(displayed_off_the_lot, QUANTITY_INVALID, order.displayed = 5)                                                  \
    ROW(displayed_above_the_quantity, QUANTITY_INVALID, order.displayed = 40)                                          \
    ROW(displayed_of_64_bits, QUANTITY_INVALID, order.instrument = AAPL, order.displayed = UINT64_MAX)                 \
    ROW(more_slices_than_there_may_be, QUANTITY_INVALID, order.quantity = 650, order.displayed = 10)                   \
    ROW(minimum_off_the_lot, QUANTITY_INVALID, order.minimum = 15)                                                     \
    ROW(minimum_above_the_quantity, QUANTITY_INVALID, order.minimum = 40)                                              \
    ROW(minimum_of_64_bits, QUANTITY_INVALID, order.instrument = AAPL, order.minimum = UINT64_MAX)                     \
    ROW(zero_price, PRICE_INVALID, order.price = 0)                                                                    \
    ROW(negative_price, PRICE_INVALID, order.price = -5)                                                               \
    ROW(the_most_negative_price, PRICE_INVALID, order.instrument = AAPL, order.price = INT64_MIN)                      \
    ROW(the_largest_price_off_the_tick, PRICE_INVALID, order.price = INT64_MAX)                                        \
    ROW(one_above_the_tick, PRICE_INVALID, order.price = 96)                                                           \
    ROW(one_below_the_tick, PRICE_INVALID, order.price = 94)                                                           \
    ROW(zero_stop_price, PRICE_INVALID, order.order_type = IB_ORDER_STOP, order.stop_price = 0)                        \
    ROW(negative_stop_price, PRICE_INVALID, order.order_type = IB_ORDER_STOP, order.stop_price = -5)                   \
    ROW(stop_price_off_the_tick, PRICE_INVALID, order.order_type = IB_ORDER_STOP, order.stop_price = 201)              \
    ROW(stop_limit_off_the_tick, PRICE_INVALID, order.order_type = IB_ORDER_STOP_LIMIT, order.price = 201)             \
    ROW(stop_limit_whose_stop_is_off_the_tick, PRICE_INVALID,                                                          \
        order.order_type = IB_ORDER_STOP_LIMIT, order.stop_price = 201)                                                \
    ROW(the_next_instrument, INSTRUMENT_UNKNOWN, order.instrument = UNKNOWN)                                           \
    ROW(an_instrument_beyond_all, INSTRUMENT_UNKNOWN, order.instrument = IB_INSTRUMENTS_MAX)                           \
    ROW(all_instruments, INSTRUMENT_UNKNOWN, order.instrument = IB_INSTRUMENT_ALL)                                     \
    ROW(an_instrument_that_was_removed, INSTRUMENT_UNKNOWN, order.instrument = GONE)                                   \
    ROW(market_until_cancelled, TIME_IN_FORCE_INVALID,                                                                 \
        order.order_type = IB_ORDER_MARKET, order.time_in_force = IB_TIME_IN_FORCE_GTC)                                \
    ROW(until_a_time_that_is_not_named, TIME_IN_FORCE_INVALID,                                                         \
        order.time_in_force = IB_TIME_IN_FORCE_GTD, order.expire_time_ns = 0)                                          \
    ROW(until_now, TIME_IN_FORCE_INVALID, order.time_in_force = IB_TIME_IN_FORCE_GTD,                                  \
        order.expire_time_ns = ib_matcher_time_ns(world.matcher) + 1)                                                  \
    ROW(hidden_market, FLAGS_INVALID, order.order_type = IB_ORDER_MARKET, order.flags = IB_ORDER_HIDDEN)               \
    ROW(hidden_stop, FLAGS_INVALID, order.order_type = IB_ORDER_STOP, order.flags = IB_ORDER_HIDDEN)                   \
    ROW(hidden_iceberg, FLAGS_INVALID, order.flags = IB_ORDER_HIDDEN, order.displayed = 10)                            \
    ROW(market_iceberg, FLAGS_INVALID, order.order_type = IB_ORDER_MARKET, order.displayed = 10)                       \
    ROW(stop_iceberg, FLAGS_INVALID, order.order_type = IB_ORDER_STOP, order.displayed = 10)                           \
    ROW(post_only_market, FLAGS_INVALID, order.order_type = IB_ORDER_MARKET, order.flags = IB_ORDER_POST_ONLY)         \
    ROW(post_only_stop_limit, FLAGS_INVALID, order.order_type = IB_ORDER_STOP_LIMIT, order.flags = IB_ORDER_POST_ONLY) \
    ROW(post_only_with_a_minimum, FLAGS_INVALID, order.flags = IB_ORDER_POST_ONLY, order.minimum = 10)                 \
    ROW(stop_with_a_minimum, FLAGS_INVALID, order.order_type = IB_ORDER_STOP, order.minimum = 10)                      \
    ROW(stop_limit_with_a_minimum, FLAGS_INVALID, order.order_type = IB_ORDER_STOP_LIMIT, order.minimum = 10)          \
    ROW(post_only_that_would_trade, POST_ONLY, order.flags = IB_ORDER_POST_ONLY, order.price = 105)                    \
    ROW(replace_below_filled, QUANTITY_INVALID, order = changed(1, 19, 100))                                           \
    ROW(replace_to_what_is_filled, QUANTITY_INVALID, order = changed(1, 20, 100))                                      \
    ROW(replace_to_nothing, QUANTITY_INVALID, order = changed(1, 0, 100))                                              \
    ROW(replace_to_more_than_the_largest, QUANTITY_INVALID, order = changed(1, (uint64_t)IB_QUANTITY_MAX + 1, 100))    \
    ROW(replace_off_the_lot, QUANTITY_INVALID, order = changed(3, 95, 105))                                            \
    ROW(replace_off_the_tick, PRICE_INVALID, order = changed(3, 100, 106))                                             \
    ROW(replace_to_zero_price, PRICE_INVALID, order = changed(3, 100, 0))                                              \
    ROW(replace_by_an_unknown_type, ORDER_TYPE_INVALID, order = changed(3, 100, 105), order.order_type = 9)            \
    ROW(replace_of_an_unknown_order, ORDER_UNKNOWN, order = changed(99, 50, 100))                                      \
    ROW(replace_of_a_cancelled_order, ORDER_UNKNOWN, order = changed(2, 50, 100))                                      \
    ROW(replace_of_a_filled_order, ORDER_UNKNOWN, order = changed(1, 50, 100), order.session = TAKER)                  \
    ROW(replace_of_somebody_elses_order, ORDER_UNKNOWN, order = changed(3, 100, 105), order.session = TAKER)

/* What is ignored: it has no events. */
#define IGNORED(ROW)                                                                                                   \
    ROW(an_order_of_an_unknown_session, order.session = 2)                                                             \
    ROW(an_order_of_no_session, order.session = IB_SESSION_NONE)                                                       \
    ROW(a_replacement_of_an_unknown_session, order = changed(1, 50, 100), order.session = 2)                           \
    ROW(a_cancel_of_an_unknown_session, order = cancel(2, 1, 0))                                                       \
    ROW(a_number_that_rests, order.user_ref = 2)                                                                       \
    ROW(a_number_that_is_filled, order.user_ref = 1)                                                                   \
    ROW(number_zero, order.user_ref = 0)                                                                               \
    ROW(a_replacement_by_its_own_number, order = changed(7, 10, 115), order.user_ref = 7)                              \
    ROW(a_replacement_by_a_lower_number, order = changed(3, 100, 105), order.user_ref = 2)                             \
    ROW(a_resend_of_a_cancelled_order, order.session = MAKER, order.user_ref = 2)                                      \
    ROW(cancel_of_a_filled_order, order = cancel(TAKER, 1, 0))                                                         \
    ROW(cancel_of_a_cancelled_order, order = cancel(MAKER, 2, 0))                                                      \
    ROW(cancel_of_somebody_elses_order, order = cancel(TAKER, 3, 0))                                                   \
    ROW(cancel_of_an_unknown_order, order = cancel(MAKER, UINT32_MAX, 0))                                              \
    ROW(cancel_to_the_size_it_has, order = cancel(MAKER, 1, 50))                                                       \
    ROW(cancel_to_a_larger_size, order = cancel(MAKER, 1, UINT64_MAX))                                                 \
    ROW(cancel_to_a_size_off_the_lot, order = cancel(MAKER, 3, 95))                                                    \
    ROW(modify_of_a_filled_order, order = modify(TAKER, 1, 10))                                                        \
    ROW(modify_of_a_cancelled_order, order = modify(MAKER, 2, 10))                                                     \
    ROW(modify_of_somebody_elses_order, order = modify(TAKER, 3, 50))                                                  \
    ROW(modify_of_an_unknown_order, order = modify(MAKER, UINT32_MAX, 50))                                             \
    ROW(modify_of_an_unknown_session, order = modify(2, 1, 40))                                                        \
    ROW(modify_to_a_larger_size, order = modify(MAKER, 1, 51))                                                         \
    ROW(modify_to_the_largest_size, order = modify(MAKER, 1, UINT64_MAX))                                              \
    ROW(modify_to_a_size_off_the_lot, order = modify(MAKER, 3, 95))                                                    \
    ROW(modify_of_a_sale_to_a_buy, order = modify(MAKER, 3, 50), order.side = IB_SIDE_BUY)                             \
    ROW(modify_of_a_buy_to_a_sale, order = modify(TAKER, 2, 20))                                                       \
    ROW(modify_without_a_side, order = modify(MAKER, 3, 50), order.side = 0)                                           \
    ROW(modify_that_changes_nothing, order = modify(MAKER, 1, 50), order.client_data[14] = 0)                          \
    ROW(type_zero, order.type = 0)                                                                                     \
    ROW(an_unknown_type, order.type = 19)                                                                              \
    ROW(the_largest_type, order.type = UINT16_MAX)                                                                     \
    ROW(rules_that_are_in_force, order = control(IB_COMMAND_RULES), order.value = IB_RULES_NEWEST)                     \
    ROW(rules_of_the_past, order = control(IB_COMMAND_RULES), order.value = IB_RULES_2)                                \
    ROW(rules_that_nobody_knows, order = control(IB_COMMAND_RULES), order.value = UINT64_MAX)                          \
    ROW(a_phase_that_there_is_not, order = control(IB_COMMAND_PHASE), order.phase = 7)                                 \
    ROW(the_phase_that_it_has, order = control(IB_COMMAND_PHASE), order.phase = IB_PHASE_CONTINUOUS)                   \
    ROW(the_phase_of_a_removed_one, order = control(IB_COMMAND_PHASE), order.instrument = GONE, order.phase = 1)       \
    ROW(indication_of_an_unknown_one, order = control(IB_COMMAND_INDICATE), order.instrument = UNKNOWN)                \
    ROW(removal_of_a_removed_one, order = control(IB_COMMAND_INSTRUMENT_REMOVE), order.instrument = GONE)              \
    ROW(an_instrument_of_tick_zero, order = instrument_add(UNKNOWN, "NEW     ", 0))                                    \
    ROW(an_instrument_of_negative_tick, order = instrument_add(UNKNOWN, "NEW     ", -1))                               \
    ROW(an_instrument_out_of_turn, order = instrument_add(UNKNOWN + 1, "NEW     ", 1))                                 \
    ROW(an_instrument_defined_again, order = instrument_add(AAPL, "NEW     ", 1))                                      \
    ROW(a_symbol_in_use, order = instrument_add(UNKNOWN, "AAPL    ", 1))                                               \
    ROW(another_tick_below_live_orders, order = instrument_add(LOTS, "LOTS    ", 1),                                   \
        order.type = IB_COMMAND_INSTRUMENT_CHANGE, order.quantity = 10)                                                \
    ROW(another_lot_below_live_orders, order = instrument_add(LOTS, "LOTS    ", 5),                                    \
        order.type = IB_COMMAND_INSTRUMENT_CHANGE, order.quantity = 1)                                                 \
    ROW(a_session_out_of_turn, order = session_add(3, "OTHER1OTHR"))                                                   \
    ROW(a_username_in_use, order = session_add(2, "MAKER1MAKR"))                                                       \
    ROW(a_session_of_an_unknown_account, order = session_add(2, "OTHER1OTHR"), order.account = 3)                      \
    ROW(an_account_out_of_turn, order = control(IB_COMMAND_ACCOUNT_ADD), order.account = 9)                            \
    ROW(a_limit_of_account_0, order = control(IB_COMMAND_RISK_LIMIT), order.limit = 2)                                 \
    ROW(a_limit_that_there_is_not, order = control(IB_COMMAND_RISK_LIMIT), order.account = 1, order.limit = 8)         \
    ROW(limit_zero, order = control(IB_COMMAND_RISK_LIMIT), order.account = 1)                                         \
    ROW(what_is_the_gateways, order = control(IB_COMMAND_ORDER_ENTRY), order.value = 1)                                \
    ROW(what_is_replications, order = control(IB_COMMAND_EPOCH), order.value = 2)                                      \
    ROW(a_kill_of_account_0, order = control(IB_COMMAND_KILL), order.value = 1)                                        \
    ROW(a_kill_of_an_unknown_account, order = control(IB_COMMAND_KILL), order.account = 3, order.value = 1)            \
    ROW(revival_of_who_lives, order = control(IB_COMMAND_KILL), order.account = 1)                                     \
    ROW(mass_cancel_of_an_unknown_side, order = everything(), order.side = 3)                                          \
    ROW(mass_cancel_of_an_unknown_session, order = everything(), order.session = 2)                                    \
    ROW(mass_cancel_of_an_unknown_account, order = everything(), order.account = 3)                                    \
    ROW(mass_cancel_in_an_unknown_one, order = everything(), order.instrument = UNKNOWN)                               \
    ROW(resumption_of_what_runs, order = control(IB_COMMAND_RESUME))

/* ---- a test for each row ---- */

/* A cancel of all there is. */
static struct ib_command everything(void)
{
    return (struct ib_command){.type = IB_COMMAND_MASS_CANCEL, .session = IB_SESSION_NONE, .account = IB_ACCOUNT_ANY,
                               .instrument = IB_INSTRUMENT_ALL};
}

#define TEST_REJECTED(name, why, ...)              \
    static void name(void)                         \
    {                                              \
        open_ground();                             \
        EXPECT_SOUND();                            \
        struct ib_command order = good();          \
        __VA_ARGS__;                               \
        expect_rejected(order, IB_REASON_##why);   \
        expect_next_to_be_good();                  \
        close_ground();                            \
    }
#define TEST_IGNORED(name, ...)                    \
    static void name(void)                         \
    {                                              \
        open_ground();                             \
        EXPECT_SOUND();                            \
        struct ib_command order = good();          \
        __VA_ARGS__;                               \
        expect_ignored(order);                     \
        expect_next_to_be_good();                  \
        close_ground();                            \
    }

REJECTED(TEST_REJECTED)
IGNORED(TEST_IGNORED)

/* ---- what is good, next to what is not ---- */

/* It is taken; and then taken away, if it stays. */
static void expect_accepted(struct ib_command command)
{
    take(command);
    EXPECT_SOUND();
    EXPECT(world.count >= 1);
    EXPECT_EQUAL(world.events[0].type, command.type == IB_COMMAND_ENTER ? IB_EVENT_ACCEPTED : IB_EVENT_REPLACED);
    EXPECT_EQUAL(world.events[0].user_ref, command.user_ref);
    take(cancel(command.session, command.user_ref, 0));
}

static void the_order_that_the_rows_change_is_good(void)
{
    open_ground();
    expect_accepted(good());
    expect_accepted(changed(1, 21, 100));
    close_ground();
}

/* What INSTRUMENT_ADD may not say of a new instrument, besides the rows above: one field each. */
static void definitions_out_of_bounds(void)
{
    const struct ib_instrument_command good_one = {
        .type = IB_COMMAND_INSTRUMENT_ADD, .instrument = UNKNOWN, .tick = 5, .lot = 10, .symbol = "NEW     "};
    struct ib_instrument_command bad[] = {good_one, good_one, good_one, good_one, good_one, good_one, good_one};
    bad[0].tick = INT64_MIN;
    bad[1].static_band = IB_BASIS_POINTS + 1;
    bad[2].dynamic_band = UINT64_MAX;
    bad[3].breach = IB_BREACH_HALT + 1;
    bad[4].phase = IB_PHASE_CLOSING_AUCTION + 1;
    bad[5].reference_price = -1;
    bad[6].instrument = GONE;
    open_ground();
    struct ib_command bytes;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(&bytes, &bad[i], sizeof bytes);
        expect_ignored(bytes);
        EXPECT_SOUND();
        if (i != 6) { /* nor may a change of one that exists say it */
            bytes.type = IB_COMMAND_INSTRUMENT_CHANGE;
            bytes.instrument = LOTS;
            expect_ignored(bytes);
            EXPECT_SOUND();
        }
    }
    memcpy(&bytes, &good_one, sizeof bytes);
    take(bytes);
    EXPECT_EVENT(0, IB_EVENT_INSTRUMENT, IB_SESSION_NONE, 0, 0, 0);
    close_ground();
}

static void the_largest_quantity(void)
{
    open_ground();
    struct ib_command order = good();
    order.instrument = AAPL;
    order.quantity = IB_QUANTITY_MAX;
    take(order);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, order.user_ref, IB_QUANTITY_MAX, IB_QUANTITY_MAX);
    close_ground();
}

static void the_largest_prices_on_the_tick(void)
{
    open_ground();
    struct ib_command order = good();
    order.instrument = AAPL;
    order.price = INT64_MAX;
    order.quantity = 31;
    take(order); /* 30 of them trade at 100 */
    EXPECT_EVENT(2, IB_EVENT_EXECUTED, TAKER, order.user_ref, 30, 1);
    EXPECT_EQUAL(world.events[3].price, INT64_MAX);
    order = good();
    order.side = IB_SIDE_SELL;
    order.price = INT64_MAX - INT64_MAX % 5;
    take(order);
    EXPECT_EVENT(1, IB_EVENT_RESTED, IB_SESSION_NONE, order.user_ref, 30, 30);
    close_ground();
}

/* ---- every value of a field ---- */

/* `reasons[value]` for the first values, `beyond` for all others; NONE = accepted. */
static void every_value(size_t offset, const uint8_t *reasons, int count, uint8_t beyond)
{
    for (int value = 0; value <= UINT8_MAX; value++) {
        open_ground();
        struct ib_command order = good();
        ((uint8_t *)&order)[offset] = (uint8_t)value;
        uint8_t reason = value < count ? reasons[value] : beyond;
        if (reason == IB_REASON_NONE) {
            expect_accepted(order);
        } else {
            expect_rejected(order, reason);
        }
        EXPECT_SOUND();
        close_ground();
    }
}

static void every_side(void)
{
    every_value(offsetof(struct ib_command, side), (const uint8_t[]){IB_REASON_SIDE_INVALID, 0, 0}, 3,
                IB_REASON_SIDE_INVALID);
}

static void every_order_type(void)
{
    every_value(offsetof(struct ib_command, order_type), (const uint8_t[]){IB_REASON_ORDER_TYPE_INVALID, 0, 0, 0, 0}, 5,
                IB_REASON_ORDER_TYPE_INVALID);
}

static void every_time_in_force(void)
{
    const uint8_t reasons[] = {0, 0, IB_REASON_PHASE, 0, 0, IB_REASON_TIME_IN_FORCE_INVALID, 0, 0};
    every_value(offsetof(struct ib_command, time_in_force), reasons, 8, IB_REASON_TIME_IN_FORCE_INVALID);
}

static void every_self_trade(void)
{
    every_value(offsetof(struct ib_command, self_trade), (const uint8_t[]){0, 0, 0, 0, 0}, 5, IB_REASON_FLAGS_INVALID);
}

static void every_flag(void)
{
    every_value(offsetof(struct ib_command, flags), (const uint8_t[]){0, 0, 0, 0}, 4, IB_REASON_FLAGS_INVALID);
}

/* ---- phases ---- */

/* A kind of order, and what its own terms say to each time in force of `times`: T and F are refusals. */
static const struct { uint8_t order_type, flags, displayed, minimum; const char *terms; } kinds[] = {
    {IB_ORDER_LIMIT, 0, 0, 0, "......."},      {IB_ORDER_MARKET, 0, 0, 0, ".T...T."},
    {IB_ORDER_STOP, 0, 0, 0, "..TTT.T"},       {IB_ORDER_STOP_LIMIT, 0, 0, 0, "..TTT.T"},
    {IB_ORDER_LIMIT, 0, 10, 0, "......."},     {IB_ORDER_LIMIT, IB_ORDER_HIDDEN, 0, 0, "......."},
    {IB_ORDER_LIMIT, 0, 0, 10, "..F...F"},     {IB_ORDER_LIMIT, IB_ORDER_POST_ONLY, 0, 0, "..FFF.F"},
};
static const uint8_t times[] = {IB_TIME_IN_FORCE_DAY, IB_TIME_IN_FORCE_GTC, IB_TIME_IN_FORCE_AT_OPEN,
                                IB_TIME_IN_FORCE_IOC, IB_TIME_IN_FORCE_FOK, IB_TIME_IN_FORCE_GTD,
                                IB_TIME_IN_FORCE_AT_CLOSE};
/* What each phase says to each time in force, P and H are refusals, and to what must be done at once. */
static const struct { uint8_t phase; char at_once; const char *terms; } phases[] = {
    {IB_PHASE_CONTINUOUS, '.', "..P...."},      {IB_PHASE_CLOSED, 'P', "PPPPPPP"},
    {IB_PHASE_PRE_OPEN, 'P', "...PP.."},        {IB_PHASE_OPENING_AUCTION, 'P', "...PP.."},
    {IB_PHASE_VOLATILITY_AUCTION, 'P', "..PPP.."}, {IB_PHASE_HALTED, 'H', "HHHHHHH"},
    {IB_PHASE_CLOSING_AUCTION, 'P', "..PPP.."},
};

static uint8_t reason_of(char letter)
{
    return letter == 'T'   ? IB_REASON_TIME_IN_FORCE_INVALID
           : letter == 'F' ? IB_REASON_FLAGS_INVALID
           : letter == 'P' ? IB_REASON_PHASE
           : letter == 'H' ? IB_REASON_HALTED
                           : IB_REASON_NONE;
}

static void one_in_a_phase(size_t phase, size_t kind, size_t time)
{
    struct ib_command order = good();
    order.instrument = PHASED;
    order.order_type = kinds[kind].order_type;
    order.flags = kinds[kind].flags;
    order.displayed = kinds[kind].displayed;
    order.minimum = kinds[kind].minimum;
    order.time_in_force = times[time];
    char letter = kinds[kind].terms[time]; /* its own terms are looked at first */
    letter = letter == '.' ? phases[phase].terms[time] : letter;
    if (letter == '.' && (order.minimum > 0 || (order.flags & IB_ORDER_POST_ONLY) != 0)) {
        letter = phases[phase].at_once;
    }
    if (letter == '.') {
        expect_accepted(order);
    } else {
        expect_rejected(order, reason_of(letter));
    }
    if (test_failed) {
        fprintf(stderr, "phase %zu, kind %zu, time in force %zu: expected %c\n", phase, kind, time, letter);
    }
}

static void every_kind_in_every_phase(void)
{
    open_ground();
    for (size_t phase = 0; phase < sizeof phases / sizeof phases[0]; phase++) {
        take((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = PHASED, .phase = phases[phase].phase});
        EXPECT_SOUND();
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
            for (size_t time = 0; time < sizeof times; time++) {
                one_in_a_phase(phase, kind, time);
                EXPECT_SOUND();
            }
        }
    }
    EXPECT_EQUAL(totals().orders_open, 7); /* the ground's */
    close_ground();
}

static void a_replacement_in_a_phase_that_forbids_it(void)
{
    open_ground();
    take((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = LOTS, .phase = IB_PHASE_HALTED});
    expect_rejected(changed(3, 90, 105), IB_REASON_HALTED);
    take((struct ib_command){.type = IB_COMMAND_PHASE, .instrument = LOTS, .phase = IB_PHASE_VOLATILITY_AUCTION});
    struct ib_command order = changed(3, 90, 105);
    order.time_in_force = IB_TIME_IN_FORCE_IOC;
    expect_rejected(order, IB_REASON_PHASE);
    close_ground();
}

/* ---- the shard, its end, and its bounds ---- */

static void a_halted_shard(void)
{
    open_ground();
    take(control(IB_COMMAND_HALT));
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_TRADING_STATE);
    expect_ignored(control(IB_COMMAND_HALT));
    expect_rejected(good(), IB_REASON_HALTED);
    expect_rejected(changed(3, 90, 105), IB_REASON_HALTED);
    struct ib_command order = good();
    order.instrument = UNKNOWN; /* the first rule that is broken gives the reason */
    expect_rejected(order, IB_REASON_HALTED);
    take(cancel(MAKER, 3, 0));
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 3, 100, 0);
    close_ground();
}

static void nothing_after_the_end_of_day(void)
{
    open_ground();
    take(control(IB_COMMAND_END_OF_DAY));
    EXPECT_EQUAL(ib_matcher_trading_state(world.matcher), IB_TRADING_ENDED);
    expect_ignored(good());
    expect_ignored(changed(3, 90, 105));
    expect_ignored(cancel(MAKER, 3, 0));
    struct ib_command session = session_add(2, "OTHER1OTHR");
    struct ib_command account = {.type = IB_COMMAND_ACCOUNT_ADD, .account = 3};
    expect_ignored(session);
    expect_ignored(account);
    expect_ignored(instrument_of_rules_2(UNKNOWN, "NEW     ", IB_PHASE_CONTINUOUS));
    for (uint16_t type = 0; type < 32; type++) {
        expect_ignored((struct ib_command){.type = type, .account = 1, .limit = 2, .value = 1, .phase = 1});
        EXPECT_SOUND();
    }
    EXPECT_EQUAL(ib_matcher_session_count(world.matcher), 2);
    EXPECT_EQUAL(ib_matcher_account_count(world.matcher), 3);
    close_ground();
}

static void a_full_book(void)
{
    open_ground();
    while (totals().orders_open < BOOK) {
        take(good());
        EXPECT_SOUND();
    }
    struct ib_command order = good();
    for (size_t time = 0; time < sizeof times; time++) {
        order = good();
        order.time_in_force = times[time];
        if (times[time] != IB_TIME_IN_FORCE_AT_OPEN && times[time] != IB_TIME_IN_FORCE_IOC &&
            times[time] != IB_TIME_IN_FORCE_FOK) {
            expect_rejected(order, IB_REASON_BOOK_FULL);
            EXPECT_SOUND();
        }
    }
    order = good();
    order.order_type = IB_ORDER_STOP;
    expect_rejected(order, IB_REASON_BOOK_FULL);
    order = good();
    order.time_in_force = IB_TIME_IN_FORCE_IOC; /* it needs no slot */
    expect_accepted(order);
    expect_accepted(changed(3, 90, 105)); /* nor does what takes another's */
    expect_accepted(good());
    close_ground();
}

/* Each limit is set so that the good order, or one of AAPL, or one that sells, breaks it. */
static void what_the_risk_gate_refuses(void)
{
    static const struct { uint8_t limit, value, instrument, side, reason; } limits[] = {
        {IB_RISK_MESSAGE_RATE, 1, LOTS, IB_SIDE_BUY, IB_REASON_RISK_RATE},
        {IB_RISK_ORDER_QUANTITY, 29, LOTS, IB_SIDE_BUY, IB_REASON_RISK_QUANTITY},
        {IB_RISK_COLLAR, 1, AAPL, IB_SIDE_SELL, IB_REASON_RISK_COLLAR}, /* at 95; the last price is 100 */
        {IB_RISK_ORDER_NOTIONAL, 10, LOTS, IB_SIDE_BUY, IB_REASON_RISK_NOTIONAL},
        {IB_RISK_POSITION_LONG, 59, LOTS, IB_SIDE_BUY, IB_REASON_RISK_POSITION}, /* 30 are open */
        {IB_RISK_POSITION_SHORT, 29, LOTS, IB_SIDE_SELL, IB_REASON_RISK_POSITION},
        {IB_RISK_OPEN_ORDERS, 1, LOTS, IB_SIDE_BUY, IB_REASON_RISK_OPEN_ORDERS},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        open_ground();
        take((struct ib_command){.type = IB_COMMAND_RISK_LIMIT, .account = 2, .instrument = IB_INSTRUMENT_ALL,
                                 .limit = limits[i].limit, .value = limits[i].value});
        EXPECT_EQUAL(world.count, 1);
        struct ib_command order = good();
        order.instrument = limits[i].instrument;
        order.side = limits[i].side;
        expect_rejected(order, limits[i].reason);
        EXPECT_SOUND();
        close_ground();
    }
    open_ground();
    take((struct ib_command){.type = IB_COMMAND_KILL, .account = 2, .value = 1});
    expect_rejected(good(), IB_REASON_RISK_KILLED);
    close_ground();
}

static void what_the_gateway_has_refused(void)
{
    open_ground();
    for (int reason = 1; reason <= UINT8_MAX; reason++) {
        struct ib_command order = reason % 2 == 0 ? good() : changed(3, 90, 105);
        order.reason = (uint8_t)reason;
        expect_rejected(order, (uint8_t)reason);
        EXPECT_SOUND();
    }
    close_ground();
}

#define CASE_OF(name, ...) CASE(name),

static const struct test_case cases[] = {
    REJECTED(CASE_OF)
    IGNORED(CASE_OF)
    CASE(the_order_that_the_rows_change_is_good),
    CASE(definitions_out_of_bounds),
    CASE(the_largest_quantity),
    CASE(the_largest_prices_on_the_tick),
    CASE(every_side),
    CASE(every_order_type),
    CASE(every_time_in_force),
    CASE(every_self_trade),
    CASE(every_flag),
    CASE(every_kind_in_every_phase),
    CASE(a_replacement_in_a_phase_that_forbids_it),
    CASE(a_halted_shard),
    CASE(nothing_after_the_end_of_day),
    CASE(a_full_book),
    CASE(what_the_risk_gate_refuses),
    CASE(what_the_gateway_has_refused),
};

TEST_MAIN("test_matcher_bad_input", cases)
