/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher.c: the frame of the state machine: sequence, resends, trading state, definitions, hash and batches.
 * Orders are in test_matcher_order.c.
 */
#include "matcher_state.h"
#include "world.h"

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
    struct ib_command order = enter(MAKER, 1, IB_SIDE_BUY, 10, 100);
    order.time_ns = 100;
    order.seq = before.seq;
    EXPECT_EQUAL(take_events(world.matcher, &order, NULL, keep), IB_ERROR_ARGUMENT);
    order.seq = before.seq + 2;
    EXPECT_EQUAL(take_events(world.matcher, &order, NULL, keep), IB_ERROR_ARGUMENT);
    order.seq = before.seq + 1;
    order.time_ns = ib_matcher_time_ns(world.matcher) - 1;
    EXPECT_EQUAL(take_events(world.matcher, &order, NULL, keep), IB_ERROR_ARGUMENT);
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

enum { MANY = 100, COMMANDS = 4000, GROUP = 37 };

static struct {
    struct ib_event events[8 * COMMANDS];
    size_t count;
} said;

static void remember(void *context, const struct ib_event *event)
{
    (void)context;
    said.events[said.count++] = *event;
}

/* With many instruments a group is looked ahead over; nothing may follow from it. Nor may anything follow from where
 * events are written: three at a time, or all of a group where there is surely room. */
static void a_group_gives_what_its_commands_give_one_by_one(void)
{
    static struct ib_command commands[COMMANDS];
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t draw = (uint32_t)(random >> 33);
        char symbol[9];
        (void)snprintf(symbol, sizeof symbol, "S%-7u", (unsigned)i);
        commands[i] = i < MANY    ? instrument_add(i, symbol, 1 + i % 3)
                      : i == MANY ? session_add(0, "MAKER1MAKR")
                      : draw % 3 == 0
                          ? cancel((uint16_t)(draw / 3 % 2), draw / 8 % i, 0)
                          : enter(0, i, 1 + draw / 4 % 2, 1 + draw / 8 % 50, (int64_t)(90 + draw / 512 % 20));
        commands[i].instrument = i < MANY ? i : draw / 64 % (MANY + 2);
        commands[i].seq = i + 1;
    }
    struct ib_matcher *single;
    struct ib_matcher *grouped;
    struct ib_matcher *reporting;
    static struct ib_event events[8 * COMMANDS];
    struct ib_event_sink sink = {.next = events, .end = events + 8 * COMMANDS};
    said.count = 0;
    EXPECT_EQUAL(ib_matcher_open(&single, 500), IB_OK);
    EXPECT_EQUAL(ib_matcher_open(&grouped, 500), IB_OK);
    EXPECT_EQUAL(ib_matcher_open(&reporting, 500), IB_OK);
    for (uint32_t i = 0; i < COMMANDS; i += GROUP) {
        size_t count = COMMANDS - i < GROUP ? COMMANDS - i : GROUP;
        size_t applied = 0;
        EXPECT_EQUAL(ib_matcher_apply_group(grouped, &commands[i], count, NULL, &applied), IB_OK);
        EXPECT_EQUAL(applied, count);
        EXPECT_EQUAL(ib_matcher_apply_group(reporting, &commands[i], count, &sink, &applied), IB_OK);
        EXPECT_EQUAL(applied, count);
        for (size_t k = 0; k < count; k++) {
            EXPECT_EQUAL(take_events(single, &commands[i + k], NULL, remember), IB_OK);
        }
        EXPECT_EQUAL((size_t)(sink.next - events), said.count);
        struct ib_totals left;
        struct ib_totals right;
        ib_matcher_totals(single, &left);
        ib_matcher_totals(grouped, &right);
        EXPECT_EQUAL(memcmp(&left, &right, sizeof left), 0);
        EXPECT_EQUAL(left.event_count, said.count);
        EXPECT(i < 2 * MANY || left.trades > 0);
    }
    EXPECT_EQUAL(memcmp(events, said.events, said.count * sizeof events[0]), 0);
    size_t applied = 9;
    EXPECT_EQUAL(ib_matcher_apply_group(grouped, commands, 3, NULL, &applied), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(applied, 0);
    ib_matcher_close(single);
    ib_matcher_close(grouped);
    ib_matcher_close(reporting);
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

static void a_session_with_the_rows_of_another_account_is_found(void)
{
    char text[IB_ERROR_TEXT_SIZE] = "";
    open_world();
    EXPECT_EQUAL(ib_matcher_check(world.matcher, text, sizeof text), IB_OK);
    world.matcher->sessions[TAKER].risk_rows++;
    EXPECT_EQUAL(ib_matcher_check(world.matcher, text, sizeof text), IB_ERROR_ARGUMENT);
    EXPECT(strstr(text, "a session knows its account's rows") != NULL);
    close_world();
}

static const struct test_case cases[] = {
    CASE(a_number_that_was_seen_is_ignored),
    CASE(halt_rejects_orders_and_accepts_cancels),
    CASE(nothing_happens_after_the_end_of_the_day),
    CASE(definitions_are_looked_up),
    CASE(definitions_that_make_no_sense_are_ignored),
    CASE(a_command_out_of_sequence_changes_nothing),
    CASE(the_hash_is_of_the_state),
    CASE(batches_stop_where_events_might_not_fit),
    CASE(a_group_gives_what_its_commands_give_one_by_one),
    CASE(a_session_with_the_rows_of_another_account_is_found),
    CASE(capacities_out_of_range_are_refused),
};

TEST_MAIN("test_matcher", cases)
