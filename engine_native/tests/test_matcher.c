/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher.c: each rule of the matcher by one short script. Every command is followed by the check of all
 * invariants (IB_CHECK).
 */
#include "commands.h"
#include "matcher.h"
#include "test.h"

enum { ORDERS = 8, EVENTS = 256, MAKER = 0, TAKER = 1 };

/* One matcher with two sessions and two instruments (ticks 1 and 100), and the events of the last command. */
static struct {
    struct ib_matcher *matcher;
    struct ib_event events[EVENTS];
    uint32_t count;
} world;

static void keep(void *context, const struct ib_event *event)
{
    (void)context;
    if (world.count < EVENTS) {
        world.events[world.count] = *event;
    }
    world.count++;
}

static int apply(struct ib_command command)
{
    world.count = 0;
    command.seq = ib_matcher_seq(world.matcher) + 1;
    command.time_ns = ib_matcher_time_ns(world.matcher) + 1;
    return ib_matcher_apply(world.matcher, &command, (struct ib_event_sink){.emit = keep});
}

static void open_world(void)
{
    (void)ib_matcher_open(&world.matcher, ORDERS);
    (void)apply(instrument_add(0, "AAPL    ", 1));
    (void)apply(instrument_add(1, "MSFT    ", 100));
    (void)apply(session_add(0, "MAKER1MAKR"));
    (void)apply(session_add(1, "TAKER1TAKR"));
}

static void close_world(void)
{
    ib_matcher_close(world.matcher);
    world.matcher = NULL;
}

static struct ib_totals totals(void)
{
    struct ib_totals result;
    ib_matcher_totals(world.matcher, &result);
    return result;
}

/* One event of the last command, in the fields that most cases look at. */
static void expect_event(uint32_t index, uint16_t type, uint16_t session, uint32_t user_ref, uint64_t quantity,
                         uint64_t remaining)
{
    EXPECT(index < world.count);
    const struct ib_event *event = &world.events[index];
    EXPECT_EQUAL(event->index, index);
    EXPECT_EQUAL(event->type, type);
    EXPECT_EQUAL(event->session, session);
    EXPECT_EQUAL(event->user_ref, user_ref);
    EXPECT_EQUAL(event->quantity, quantity);
    EXPECT_EQUAL(event->remaining, remaining);
}

#define EXPECT_EVENT(...)           \
    do {                            \
        expect_event(__VA_ARGS__);  \
        EXPECT_SOUND();             \
    } while (0)

static void expect_reject(struct ib_command command, uint8_t reason)
{
    struct ib_totals before = totals();
    EXPECT_EQUAL(apply(command), IB_OK);
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_REJECTED);
    EXPECT_EQUAL(world.events[0].reason, reason);
    EXPECT_EQUAL(world.events[0].user_ref, command.user_ref);
    EXPECT_EQUAL(totals().rejects, before.rejects + 1);
    EXPECT_EQUAL(totals().orders_open, before.orders_open);
}

#define EXPECT_REJECT(command, reason)  \
    do {                                \
        expect_reject(command, reason); \
        EXPECT_SOUND();                 \
    } while (0)

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

static void a_number_that_was_seen_is_ignored(void)
{
    open_world();
    apply(enter(MAKER, 5, IB_SIDE_BUY, 50, 100));
    EXPECT_EQUAL(ib_matcher_next_user_ref(world.matcher, MAKER), 6);
    struct ib_totals before = totals();
    apply(enter(MAKER, 5, IB_SIDE_BUY, 50, 100));
    EXPECT_EQUAL(world.count, 0);
    apply(enter(MAKER, 4, IB_SIDE_BUY, 50, 100));
    EXPECT_EQUAL(world.count, 0);
    apply(replace(MAKER, 5, 5, 40, 100));
    EXPECT_EQUAL(world.count, 0);
    apply(enter(MAKER, 0, IB_SIDE_BUY, 50, 100));
    EXPECT_EQUAL(world.count, 0);
    apply(enter(77, 1, IB_SIDE_BUY, 50, 100)); /* no such session */
    EXPECT_EQUAL(world.count, 0);
    EXPECT_EQUAL(totals().event_count, before.event_count);
    EXPECT_EQUAL(totals().orders_open, 1);
    EXPECT_REJECT(enter(MAKER, 6, IB_SIDE_BUY, 0, 100), IB_REASON_QUANTITY_INVALID);
    EXPECT_EQUAL(ib_matcher_next_user_ref(world.matcher, MAKER), 7); /* a reject uses its number */
    apply(enter(MAKER, UINT32_MAX, IB_SIDE_BUY, 50, 100));
    EXPECT_EQUAL(ib_matcher_next_user_ref(world.matcher, MAKER), 0); /* there is none after the last */
    EXPECT_EQUAL(ib_matcher_next_user_ref(world.matcher, 2), 0);
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

static void halt_rejects_orders_and_accepts_cancels(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(control(IB_COMMAND_HALT));
    EXPECT_EQUAL(world.count, 1);
    EXPECT_EQUAL(world.events[0].type, IB_EVENT_TRADING_STATE);
    EXPECT_EQUAL(world.events[0].reason, IB_REASON_HALTED);
    EXPECT_EQUAL(world.events[0].session, IB_SESSION_NONE);
    apply(control(IB_COMMAND_HALT));
    EXPECT_EQUAL(world.count, 0);
    EXPECT_REJECT(enter(TAKER, 1, IB_SIDE_BUY, 10, 100), IB_REASON_HALTED);
    EXPECT_REJECT(replace(MAKER, 1, 2, 10, 100), IB_REASON_HALTED);
    apply(cancel(MAKER, 1, 40));
    EXPECT_EVENT(0, IB_EVENT_CANCELED, MAKER, 1, 10, 40);
    apply(control(IB_COMMAND_RESUME));
    EXPECT_EQUAL(world.events[0].reason, IB_REASON_NONE);
    apply(enter(TAKER, 2, IB_SIDE_BUY, 10, 100));
    EXPECT_EVENT(1, IB_EVENT_EXECUTED, MAKER, 1, 10, 30);
    close_world();
}

static void nothing_happens_after_the_end_of_the_day(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    apply(control(IB_COMMAND_END_OF_DAY));
    EXPECT_EQUAL(world.count, 2);
    EXPECT_EVENT(0, IB_EVENT_END_OF_DAY, MAKER, 0, 0, 0);
    EXPECT_EVENT(1, IB_EVENT_END_OF_DAY, TAKER, 0, 0, 0);
    EXPECT_EQUAL(world.events[0].session_seq, 2);
    struct ib_totals before = totals();
    apply(enter(TAKER, 1, IB_SIDE_BUY, 10, 100));
    EXPECT_EQUAL(world.count, 0);
    apply(cancel(MAKER, 1, 0));
    EXPECT_EQUAL(world.count, 0);
    apply(control(IB_COMMAND_RESUME));
    EXPECT_EQUAL(world.count, 0);
    apply(session_add(2, "LATE  LATE"));
    EXPECT_EQUAL(ib_matcher_session_count(world.matcher), 2);
    EXPECT_EQUAL(totals().seq, before.seq + 4);
    EXPECT_EQUAL(totals().orders_open, 1);
    close_world();
}

static void definitions_are_looked_up(void)
{
    open_world();
    EXPECT_EQUAL(ib_matcher_find_session(world.matcher, "TAKER1"), TAKER);
    EXPECT_EQUAL(ib_matcher_find_session(world.matcher, "NOBODY"), IB_SESSION_NONE);
    EXPECT_EQUAL(ib_matcher_find_instrument(world.matcher, "MSFT    "), 1);
    EXPECT(ib_matcher_find_instrument(world.matcher, "GOOG    ") == UINT32_MAX);
    EXPECT_EQUAL(ib_matcher_instrument(world.matcher, 1)->tick, 100);
    EXPECT(ib_matcher_instrument(world.matcher, 2) == NULL);
    EXPECT_EQUAL(memcmp(ib_matcher_session(world.matcher, 0)->firm, "MAKR", 4), 0);
    EXPECT(ib_matcher_session(world.matcher, 2) == NULL);
    close_world();
}

static void definitions_that_make_no_sense_are_ignored(void)
{
    open_world();
    EXPECT_EQUAL(apply(instrument_add(3, "SKIP    ", 1)), IB_OK); /* not the next index */
    apply(instrument_add(2, "AAPL    ", 1));                      /* exists */
    apply(instrument_add(2, "TICK    ", 0));
    apply(instrument_add(2, "TICK    ", -1));
    EXPECT_EQUAL(ib_matcher_instrument_count(world.matcher), 2);
    apply(session_add(3, "SKIP  SKIP"));
    apply(session_add(2, "MAKER1OTHR"));
    EXPECT_EQUAL(ib_matcher_session_count(world.matcher), 2);
    apply((struct ib_command){.type = 99});
    apply((struct ib_command){.type = 0});
    EXPECT_EQUAL(world.count, 0);
    EXPECT_EQUAL(totals().seq, 12);
    close_world();
}

static void a_command_out_of_sequence_changes_nothing(void)
{
    open_world();
    struct ib_totals before = totals();
    struct ib_event_sink sink = {.emit = keep};
    struct ib_command order = enter(MAKER, 1, IB_SIDE_BUY, 10, 100);
    order.time_ns = 100;
    order.seq = before.seq;
    EXPECT_EQUAL(ib_matcher_apply(world.matcher, &order, sink), IB_ERROR_ARGUMENT);
    order.seq = before.seq + 2;
    EXPECT_EQUAL(ib_matcher_apply(world.matcher, &order, sink), IB_ERROR_ARGUMENT);
    order.seq = before.seq + 1;
    order.time_ns = ib_matcher_time_ns(world.matcher) - 1;
    EXPECT_EQUAL(ib_matcher_apply(world.matcher, &order, sink), IB_ERROR_ARGUMENT);
    struct ib_totals after = totals();
    EXPECT_EQUAL(memcmp(&before, &after, sizeof before), 0);
    close_world();
}

/* Equal states have equal hashes, whichever way they came about; different ones differ. */
static void the_hash_is_of_the_state(void)
{
    open_world();
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    uint64_t one = totals().state_hash;
    struct ib_matcher *first = world.matcher;
    open_world();
    EXPECT(totals().state_hash != one);
    apply(enter(MAKER, 1, IB_SIDE_SELL, 50, 100));
    EXPECT(totals().state_hash == one);
    struct ib_matcher *second = world.matcher;
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 101));
    uint64_t higher = totals().state_hash;
    world.matcher = first;
    apply(enter(MAKER, 2, IB_SIDE_SELL, 50, 102));
    EXPECT(totals().state_hash != higher);
    close_world();
    world.matcher = second;
    close_world();
}

static void batches_stop_where_events_might_not_fit(void)
{
    open_world();
    struct ib_command commands[3] = {enter(MAKER, 1, IB_SIDE_SELL, 5, 100), enter(MAKER, 2, IB_SIDE_SELL, 5, 100),
                                     enter(TAKER, 1, IB_SIDE_BUY, 10, 100)};
    for (uint64_t i = 0; i < 3; i++) {
        commands[i].seq = 5 + i;
        commands[i].time_ns = 1000;
    }
    struct ib_event events[EVENTS];
    size_t consumed = 9;
    size_t count = 9;
    EXPECT_EQUAL(ib_matcher_events_max(world.matcher), 5);
    EXPECT_EQUAL(ib_matcher_apply_batch(world.matcher, commands, 3, events, 4, &consumed, &count), IB_OK);
    EXPECT_EQUAL(consumed, 0);
    EXPECT_EQUAL(ib_matcher_apply_batch(world.matcher, commands, 3, events, 8, &consumed, &count), IB_OK);
    EXPECT_EQUAL(consumed, 1);
    EXPECT_EQUAL(ib_matcher_apply_batch(world.matcher, commands + 1, 2, events, EVENTS, &consumed, &count), IB_OK);
    EXPECT_EQUAL(consumed, 2);
    EXPECT_EQUAL(count, 2 + 5);
    EXPECT_EQUAL(ib_matcher_apply_batch(world.matcher, commands, 1, events, EVENTS, &consumed, &count),
                 IB_ERROR_ARGUMENT);
    close_world();
}

static void capacities_out_of_range_are_refused(void)
{
    struct ib_matcher *matcher = NULL;
    EXPECT_EQUAL(ib_matcher_open(&matcher, 0), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(ib_matcher_open(&matcher, IB_ORDERS_MAX + 1), IB_ERROR_ARGUMENT);
    EXPECT(matcher == NULL);
    EXPECT_EQUAL(ib_matcher_open(&matcher, IB_ORDERS_MAX), IB_OK); /* address space only */
    ib_matcher_close(matcher);
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
    CASE(bad_orders_are_rejected),
    CASE(bad_replaces_are_rejected_and_the_order_stays),
    CASE(a_number_that_was_seen_is_ignored),
    CASE(a_full_book_rejects),
    CASE(halt_rejects_orders_and_accepts_cancels),
    CASE(nothing_happens_after_the_end_of_the_day),
    CASE(definitions_are_looked_up),
    CASE(definitions_that_make_no_sense_are_ignored),
    CASE(a_command_out_of_sequence_changes_nothing),
    CASE(the_hash_is_of_the_state),
    CASE(batches_stop_where_events_might_not_fit),
    CASE(capacities_out_of_range_are_refused),
};

TEST_MAIN("test_matcher", cases)
