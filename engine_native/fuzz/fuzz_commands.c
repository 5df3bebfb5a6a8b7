/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_commands.c: any sequence of commands, sensible or not, keeps every invariant (IB_CHECK), never yields more
 * events than ib_matcher_events_max promised, numbers them and each session's reports without a gap, and gives the same
 * state in a second matcher, which gets all commands as one group and builds no events. At its end it says what it has
 * reached (run.py reads that).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "../tests/take_events.h"
#include "seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORDERS = 24, ORDERS_FEW = 4, MANY_INSTRUMENTS = 80, COMMANDS_MAX = 512 };
enum { SHORT_SIZE = 10, ATTRIBUTES = 11, LONG_MARK = 0xee };

/* What the events of all inputs have said. */
static struct {
    uint64_t commands[IB_COMMAND_MODIFY + 1]; /* of each type, those that caused an event */
    uint64_t events[IB_EVENT_MODIFIED + 1];
    uint64_t reasons[IB_REASON_RISK_TABLE_FULL + 1];
    uint64_t phases[IB_PHASE_CLOSING_AUCTION + 1];
} seen;

/* One run of one input. */
struct run {
    struct ib_matcher *matcher;
    uint64_t events; /* of this command */
    uint16_t command_type;
    uint8_t command_reason; /* given by the gateway, whatever it is */
    uint32_t session_seq[IB_SESSIONS_MAX]; /* of each session's last report */
};

struct input {
    const uint8_t *data;
    size_t left;
};

static int take(struct input *input, void *to, size_t size)
{
    if (input->left < size) {
        return 0;
    }
    memcpy(to, input->data, size);
    input->data += size;
    input->left -= size;
    return 1;
}

/* What only some commands have, out of one more byte each. */
static void add_attributes(struct ib_command *command, const uint8_t bytes[ATTRIBUTES])
{
    command->self_trade = bytes[0] % 8;
    command->flags = bytes[1] % 8 < 4 ? 0 : bytes[1] % 8 - 4;
    command->account = bytes[2] % 8 == 7 ? IB_ACCOUNT_ANY : bytes[2] % 8;
    command->displayed = bytes[3] % 4 == 0 ? 1 + bytes[3] / 32 : 0;
    command->minimum = bytes[4] % 8 == 0 ? 1 + bytes[4] / 32 : 0;
    command->stop_price = 1 + bytes[5] % 16;
    command->expire_time_ns = command->time_ns + bytes[6];
    command->value = bytes[7] % 8 == 7 ? IB_UNLIMITED : bytes[7] % 32;
    command->phase = bytes[8] % 8;
    command->limit = bytes[9] % 10;
    command->order_type = bytes[10] % 8 < 4 ? IB_ORDER_LIMIT : 1 + bytes[10] % 5;
    command->time_in_force = bytes[10] / 16 % 8;
}

static struct ib_command instrument_command(const struct ib_command *command)
{
    struct ib_instrument_command instrument = {
        .type = command->type,
        .instrument = command->instrument,
        .tick = 1 + (int64_t)command->minimum,
        .lot = command->displayed,
        .phase = command->phase,
        .breach = command->self_trade % 3,
        .static_band = command->value * 200,
        .dynamic_band = command->user_ref % 4 * 500,
        .reference_price = command->stop_price - 1,
    };
    memset(instrument.symbol, 'A' + (int)command->user_ref % 8, sizeof instrument.symbol);
    struct ib_command bytes;
    memcpy(&bytes, &instrument, sizeof bytes);
    return bytes;
}

/* Ten bytes of input make a plain command with small numbers; ATTRIBUTES more, when the first is odd, whatever there
 * is; after LONG_MARK come all bytes of a command as they are. */
static int next_command(struct input *input, struct ib_command *command, uint64_t time_ns)
{
    uint8_t bytes[SHORT_SIZE];
    if (!take(input, bytes, sizeof bytes)) {
        return 0;
    }
    if (bytes[0] == LONG_MARK) {
        return take(input, command, sizeof *command);
    }
    uint16_t type = bytes[0] / 2 % 32;
    *command = (struct ib_command){
        .time_ns = time_ns + bytes[9] / 8,
        .type = type <= IB_COMMAND_KILL || type == IB_COMMAND_MODIFY ? type : IB_COMMAND_ENTER,
        .session = bytes[1] % 8 == 7 ? IB_SESSION_NONE : bytes[1] % 5,
        .instrument = bytes[2] % 8 == 7 ? IB_INSTRUMENT_ALL : bytes[2] % 6,
        .user_ref = bytes[3],
        .user_ref_original = bytes[4],
        .price = 1 + bytes[5] % 16,
        .quantity = bytes[6] % 32,
        .side = bytes[7] % 8 == 7 ? bytes[7] : (uint8_t)(1 + bytes[7] % 2),
        .time_in_force = bytes[8] % 4 == 3 ? 3 : 0,
        .order_type = bytes[9] % 8 == 7 ? 2 : 1,
    };
    if (bytes[0] % 2 == 1) {
        uint8_t attributes[ATTRIBUTES];
        if (!take(input, attributes, sizeof attributes)) {
            return 0;
        }
        add_attributes(command, attributes);
    }
    if (command->type == IB_COMMAND_INSTRUMENT_ADD || command->type == IB_COMMAND_INSTRUMENT_CHANGE) {
        *command = instrument_command(command);
    } else if (command->type == IB_COMMAND_MODIFY) {
        command->client_data[14] = bytes[4];
    } else if (command->type == IB_COMMAND_SESSION_ADD) {
        memset(command->client_data, bytes[3] % 8, sizeof command->client_data);
    }
    return 1;
}

static void print_all_seen(void)
{
    print_seen("commands", seen.commands, sizeof seen.commands / sizeof seen.commands[0]);
    print_seen("events", seen.events, sizeof seen.events / sizeof seen.events[0]);
    print_seen("reasons", seen.reasons, sizeof seen.reasons / sizeof seen.reasons[0]);
    print_seen("phases", seen.phases, sizeof seen.phases / sizeof seen.phases[0]);
}

static void see_event(void *context, const struct ib_event *event)
{
    struct run *run = context;
    if (event->index != run->events || event->seq != ib_matcher_seq(run->matcher)) {
        abort();
    }
    run->events++;
    if (event->session != IB_SESSION_NONE && event->session_seq != ++run->session_seq[event->session]) {
        abort();
    }
    seen.commands[run->command_type]++; /* whatever causes an event is of a known type */
    seen.events[event->type]++;
    if (run->command_reason == IB_REASON_NONE) {
        seen.reasons[event->reason]++;
    }
    if (event->type == IB_EVENT_PHASE) {
        seen.phases[event->phase]++;
    }
}

/* So many that memory is fetched ahead (matcher_ahead.h). */
static void define_more(struct ib_matcher *matcher)
{
    for (uint32_t i = ib_matcher_instrument_count(matcher); i < MANY_INSTRUMENTS; i++) {
        struct ib_command command = {.seq = ib_matcher_seq(matcher) + 1, .type = IB_COMMAND_INSTRUMENT_ADD};
        command.instrument = i;
        command.price = 1;
        memset(command.client_data, (int)(128 + i), IB_SYMBOL_SIZE);
        if (ib_matcher_apply(matcher, &command, NULL) != IB_OK) {
            abort();
        }
    }
}

/* The same sums, hash and live orders. */
static void compare(const struct ib_matcher *first, const struct ib_matcher *second)
{
    struct ib_totals left;
    struct ib_totals right;
    static struct ib_live_order left_orders[ORDERS];
    static struct ib_live_order right_orders[ORDERS];
    size_t left_count;
    size_t right_count;
    ib_matcher_totals(first, &left);
    ib_matcher_totals(second, &right);
    if (memcmp(&left, &right, sizeof left) != 0 ||
        ib_matcher_live_orders(first, left_orders, ORDERS, &left_count) != IB_OK ||
        ib_matcher_live_orders(second, right_orders, ORDERS, &right_count) != IB_OK ||
        left_count != left.orders_open || right_count != left_count ||
        memcmp(left_orders, right_orders, left_count * sizeof left_orders[0]) != 0 ||
        ib_matcher_next_expiry_ns(first) != ib_matcher_next_expiry_ns(second)) {
        abort();
    }
}

static void define(struct ib_matcher *matcher, uint32_t rules)
{
    for (uint16_t i = 0; i < 8; i++) {
        struct ib_command command = {.seq = 1u + i, .session = (uint16_t)(i - 3), .instrument = i, .price = 1 + 4 * i};
        command.type = i < 3 ? IB_COMMAND_INSTRUMENT_ADD : i < 6 ? IB_COMMAND_SESSION_ADD : IB_COMMAND_ACCOUNT_ADD;
        memset(command.client_data, 'A' + i, sizeof command.client_data);
        if (rules != IB_RULES_1) { /* sessions of accounts 0, 1 and 1 */
            command.type = i == 0   ? IB_COMMAND_RULES
                           : i == 1 ? IB_COMMAND_ACCOUNT_ADD
                           : i < 5  ? IB_COMMAND_INSTRUMENT_ADD
                                    : IB_COMMAND_SESSION_ADD;
            command.value = rules;
            command.instrument = i - 2u;
            command.session = (uint16_t)(i - 5);
            command.account = i == 5 ? 0 : 1;
            command.price = i == 3 ? 5 : 1; /* the tick; of the others nearly every price that the input has is one */
            command.quantity = i == 4 ? 2 : 1;
        }
        if (ib_matcher_apply(matcher, &command, NULL) != IB_OK) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    static int prepared;
    if (!prepared) {
        prepared = 1;
        (void)atexit(print_all_seen);
        /* Two small books an input are two times a dozen huge pages to be zeroed, which takes longer than the rest. */
        (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
    struct input input = {.data = data, .left = size};
    struct ib_matcher *first;
    struct ib_matcher *second;
    uint8_t last = size > 0 ? data[size - 1] : 0; /* which rules, and how large a book */
    uint32_t rules = last % 4 == 0 ? IB_RULES_1 : IB_RULES_NEWEST;
    uint32_t orders = last / 4 % 4 == 0 ? ORDERS_FEW : ORDERS;
    if (ib_matcher_open(&first, orders) != IB_OK || ib_matcher_open(&second, orders) != IB_OK) {
        abort();
    }
    define(first, rules);
    define(second, rules);
    if (last / 16 % 4 == 0) {
        define_more(first);
        define_more(second);
    }
    run = (struct run){.matcher = first};
    static struct ib_command commands[COMMANDS_MAX];
    size_t count = 0;
    struct ib_command command;
    while (count < COMMANDS_MAX && next_command(&input, &command, ib_matcher_time_ns(first))) {
        command.seq = ib_matcher_seq(first) + 1;
        if (command.time_ns > UINT64_MAX / 2 || command.time_ns < ib_matcher_time_ns(first)) {
            command.time_ns = ib_matcher_time_ns(first);
        }
        run.events = 0;
        run.command_type = command.type;
        run.command_reason = command.reason;
        uint64_t events_max = ib_matcher_events_max(first);
        if (take_events(first, &command, &run, see_event) != IB_OK || run.events > events_max) {
            abort();
        }
        commands[count++] = command;
    }
    size_t applied;
    if (ib_matcher_apply_group(second, commands, count, NULL, &applied) != IB_OK || applied != count) {
        abort();
    }
    compare(first, second);
    ib_matcher_close(first);
    ib_matcher_close(second);
    return 0;
}
