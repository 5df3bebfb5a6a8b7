/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_commands.c: any sequence of commands, sensible or not, keeps every invariant (IB_CHECK), never yields more
 * events than ib_matcher_events_max promised, and gives the same state in a second matcher.
 */
#include <stdlib.h>
#include <string.h>

#include "matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORDERS = 24, SHORT_SIZE = 10, ATTRIBUTES = 11, LONG_MARK = 0xee };

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
    *command = (struct ib_command){
        .time_ns = time_ns + bytes[9] / 8,
        .type = bytes[0] / 2 % 32 < 19 ? bytes[0] / 2 % 32 : IB_COMMAND_ENTER,
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
    } else if (command->type == IB_COMMAND_SESSION_ADD) {
        memset(command->client_data, bytes[3] % 8, sizeof command->client_data);
    }
    return 1;
}

static void count_event(void *context, const struct ib_event *event)
{
    uint64_t *count = context;
    if (event->index != *count) {
        abort();
    }
    (*count)++;
}

static void define(struct ib_matcher *matcher, uint32_t rules)
{
    struct ib_event_sink sink = {.emit = NULL};
    for (uint16_t i = 0; i < 8; i++) {
        struct ib_command command = {.seq = 1u + i, .session = (uint16_t)(i - 3), .instrument = i, .price = 1 + 4 * i};
        command.type = i < 3 ? IB_COMMAND_INSTRUMENT_ADD : i < 6 ? IB_COMMAND_SESSION_ADD : IB_COMMAND_ACCOUNT_ADD;
        memset(command.client_data, 'A' + i, sizeof command.client_data);
        if (rules == IB_RULES_2) { /* sessions of accounts 0, 1 and 1 */
            command.type = i == 0   ? IB_COMMAND_RULES
                           : i == 1 ? IB_COMMAND_ACCOUNT_ADD
                           : i < 5  ? IB_COMMAND_INSTRUMENT_ADD
                                    : IB_COMMAND_SESSION_ADD;
            command.value = IB_RULES_2;
            command.instrument = i - 2u;
            command.session = (uint16_t)(i - 5);
            command.account = i == 5 ? 0 : 1;
            command.quantity = i == 4 ? 2 : 1;
        }
        if (ib_matcher_apply(matcher, &command, sink) != IB_OK) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    struct ib_matcher *first;
    struct ib_matcher *second;
    if (ib_matcher_open(&first, ORDERS) != IB_OK || ib_matcher_open(&second, ORDERS) != IB_OK) {
        abort();
    }
    uint32_t rules = size > 0 && data[size - 1] % 4 == 0 ? IB_RULES_1 : IB_RULES_2;
    define(first, rules);
    define(second, rules);
    struct ib_command command;
    while (next_command(&input, &command, ib_matcher_time_ns(first))) {
        command.seq = ib_matcher_seq(first) + 1;
        if (command.time_ns > UINT64_MAX / 2 || command.time_ns < ib_matcher_time_ns(first)) {
            command.time_ns = ib_matcher_time_ns(first);
        }
        uint64_t events = 0;
        uint64_t events_max = ib_matcher_events_max(first);
        struct ib_event_sink sink = {.context = &events, .emit = count_event};
        struct ib_event_sink silent = {.emit = NULL};
        if (ib_matcher_apply(first, &command, sink) != IB_OK || events > events_max ||
            ib_matcher_apply(second, &command, silent) != IB_OK) {
            abort();
        }
    }
    struct ib_totals left;
    struct ib_totals right;
    ib_matcher_totals(first, &left);
    ib_matcher_totals(second, &right);
    if (memcmp(&left, &right, sizeof left) != 0) {
        abort();
    }
    ib_matcher_close(first);
    ib_matcher_close(second);
    return 0;
}
