/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matcher_any_bytes.c: any 128 bytes are a command. Each is done, rejected with one of the reasons that there are,
 * or ignored; the last two change nothing (ground.h). The fuzzer goes further (fuzz/fuzz_commands.c); this is the same
 * in every run, and proves that nothing changed.
 */
#include "ground.h"
#include "ouch50.h"

enum { COMMANDS = 50000, COMMANDS_OF_A_GROUND = 1000, TYPES = IB_COMMAND_MODIFY + 1 };

static uint64_t random_state;
static uint64_t rejected_for[UINT8_MAX + 1];
static uint64_t reports[IB_EVENT_MODIFIED + 1];
static uint64_t canceled_for[UINT8_MAX + 1];
static uint64_t accepted;
static uint64_t ignored;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int one_in(uint64_t count)
{
    return (next_random() >> 20) % count == 0;
}

static struct ib_command any_bytes(void)
{
    struct ib_command command;
    uint64_t words[sizeof command / sizeof(uint64_t)];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        words[i] = next_random();
    }
    memcpy(&command, words, sizeof command);
    return command;
}

/* Any bytes, of which each field may have been made to make sense: or hardly one would come as far as the book. */
static struct ib_command nearly_a_command(void)
{
    struct ib_command command = any_bytes();
    command.type = (uint16_t)(one_in(6) ? command.type % (TYPES + 1) : IB_COMMAND_ENTER + command.type % 3);
    command.session = one_in(20) ? command.session : command.session % 2;
    command.instrument = one_in(20) ? command.instrument : command.instrument % 4;
    const struct ib_session *session = ib_matcher_session(world.matcher, command.session);
    uint32_t last = session == NULL ? 0 : session->last_user_ref;
    int is_old = command.type == IB_COMMAND_CANCEL || command.type == IB_COMMAND_MODIFY || one_in(8);
    command.user_ref = is_old ? last - command.user_ref % 9 : last + 1 + (one_in(200) ? command.user_ref % 1000 : 0);
    command.user_ref_original = one_in(20) ? command.user_ref_original : last - command.user_ref_original % 9;
    command.price = one_in(10) ? command.price : (int64_t)((uint64_t)command.price % 25 * 5);
    command.quantity = one_in(10) ? command.quantity : command.quantity % 12 * 10;
    command.side = one_in(40) ? command.side : 1 + command.side % 2;
    command.time_in_force = one_in(40) ? command.time_in_force : one_in(2) ? command.time_in_force % 8 : 0;
    command.order_type = one_in(40) ? command.order_type : one_in(2) ? 1 + command.order_type % 4 : IB_ORDER_LIMIT;
    command.reason = one_in(50) ? command.reason : 0;
    command.self_trade = one_in(40) ? command.self_trade : command.self_trade % 5;
    command.flags = one_in(40) ? command.flags : one_in(3) ? command.flags % 4 : 0;
    command.account = one_in(20) ? command.account : command.account % 4;
    command.displayed = one_in(40) ? command.displayed : one_in(3) ? command.displayed % 4 * 10 : 0;
    command.minimum = one_in(40) ? command.minimum : one_in(4) ? command.minimum % 4 * 10 : 0;
    command.stop_price = one_in(10) ? command.stop_price : (int64_t)((uint64_t)command.stop_price % 25 * 5);
    command.value = one_in(10) ? command.value : one_in(3) ? 0 : IB_QUANTITY_MAX; /* kills are ended, limits are wide */
    command.phase = one_in(6) ? command.phase % 9 : IB_PHASE_CONTINUOUS;
    int ends = command.type == IB_COMMAND_HALT || command.type == IB_COMMAND_END_OF_DAY ||
               command.type == IB_COMMAND_INSTRUMENT_REMOVE;
    if (ends && !one_in(20)) {
        command.type = IB_COMMAND_RESUME;
    }
    return command;
}

static int is_reason_of_a_reject(uint8_t reason)
{
    return (reason >= IB_REASON_HALTED && reason <= IB_REASON_POST_ONLY) ||
           (reason >= IB_REASON_RISK_KILLED && reason <= IB_REASON_RISK_TABLE_FULL);
}

/* Every report of it can be written to a client of order entry: none of its assertions can be reached from outside. */
static void expect_writable(void)
{
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    for (uint32_t i = 0; i < world.count && i < EVENTS; i++) {
        const struct ib_event *event = &world.events[i];
        if (event->session_seq != 0) {
            size_t size = ib_ouch_encode(out, event, "LOTS    ");
            EXPECT(size > 0 && size <= sizeof out);
            reports[event->type]++;
            canceled_for[event->type == IB_EVENT_CANCELED ? event->reason : 0]++;
        }
    }
}

static void one(struct ib_command command)
{
    take(command);
    EXPECT_SOUND();
    if (world.count == 0) {
        ignored++;
        return;
    }
    const struct ib_event *first = &world.events[0];
    accepted += first->type == IB_EVENT_ACCEPTED || first->type == IB_EVENT_REPLACED;
    if (first->type == IB_EVENT_REJECTED) {
        EXPECT_EQUAL(world.count, 1);
        EXPECT(command.type == IB_COMMAND_ENTER || command.type == IB_COMMAND_REPLACE);
        EXPECT_EQUAL(first->user_ref, command.user_ref);
        EXPECT(command.reason != 0 ? first->reason == command.reason : is_reason_of_a_reject(first->reason));
        rejected_for[command.reason != 0 ? 0 : first->reason]++;
        if (!is_reason_of_a_reject(first->reason)) {
            return; /* the gateway gives no such reason */
        }
    }
    expect_writable();
}

static void many(struct ib_command (*make)(void), uint64_t seed)
{
    random_state = seed;
    accepted = ignored = 0;
    memset(rejected_for, 0, sizeof rejected_for);
    memset(canceled_for, 0, sizeof canceled_for);
    memset(reports, 0, sizeof reports);
    open_ground();
    for (int i = 0; i < COMMANDS; i++) {
        one(make());
        if (test_failed) {
            fprintf(stderr, "seed %llu: command %d\n", (unsigned long long)seed, i);
            return;
        }
        if (i % COMMANDS_OF_A_GROUND == 0 || ib_matcher_trading_state(world.matcher) == IB_TRADING_ENDED) {
            close_ground();
            open_ground();
            EXPECT_SOUND();
        }
    }
    close_ground();
}

static void any_128_bytes(void)
{
    many(any_bytes, 0x1234567890abcdefu);
    EXPECT_SOUND();
    EXPECT(ignored > COMMANDS * 9 / 10);
}

/* The figures are there so that the test cannot become one of nothing but refusals, or of one reason. */
static void nearly_commands(void)
{
    many(nearly_a_command, 0xfedcba0987654321u);
    EXPECT_SOUND();
    unsigned reasons = 0;
    for (int reason = 1; reason <= UINT8_MAX; reason++) {
        reasons += rejected_for[reason] > 0;
    }
    EXPECT(accepted > COMMANDS / 50);
    EXPECT(ignored > COMMANDS / 50);
    EXPECT(reasons >= 12);
    unsigned cancels = 0;
    for (int reason = 1; reason <= UINT8_MAX; reason++) {
        cancels += canceled_for[reason] > 0;
    }
    EXPECT(cancels >= 9);
    EXPECT(reports[IB_EVENT_EXECUTED] > 0 && reports[IB_EVENT_REPLACED] > 0 && reports[IB_EVENT_END_OF_DAY] > 0);
    EXPECT(reports[IB_EVENT_MODIFIED] > 0);
}

static void every_type_without_a_sense(void)
{
    open_ground();
    for (uint32_t type = 0; type <= UINT16_MAX; type += type < 300 ? 1 : 97) {
        if (type != IB_COMMAND_HALT && type != IB_COMMAND_RESUME && type != IB_COMMAND_END_OF_DAY) {
            expect_ignored((struct ib_command){.type = (uint16_t)type, .session = 999, .instrument = 77, .account = 77,
                                               .value = UINT64_MAX});
            EXPECT_SOUND();
        }
    }
    close_ground();
}

/* What only rules 2 know is read as zero, and what only they can do is not done. */
static void fields_of_rules_2_say_nothing_under_rules_1(void)
{
    open_world();
    struct ib_command command = enter(TAKER, 1, IB_SIDE_BUY, 10, 100);
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
    command = enter(TAKER, 2, IB_SIDE_BUY, 10, 100);
    command.order_type = IB_ORDER_STOP;
    EXPECT_REJECT(command, IB_REASON_ORDER_TYPE_INVALID);
    close_world();
}

static const struct test_case cases[] = {
    CASE(any_128_bytes),
    CASE(nearly_commands),
    CASE(every_type_without_a_sense),
    CASE(fields_of_rules_2_say_nothing_under_rules_1),
};

TEST_MAIN("test_matcher_any_bytes", cases)
