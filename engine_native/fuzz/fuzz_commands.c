/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_commands.c: any sequence of commands, sensible or not, keeps every invariant (IB_CHECK), never yields more
 * events than ib_matcher_events_max promised, and gives the same state in a second matcher.
 */
#include <stdlib.h>
#include <string.h>

#include "matcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ORDERS = 24, SHORT_SIZE = 10, LONG_MARK = 0xee };

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

/* Ten bytes of input make a command with small numbers; after LONG_MARK come all 128 bytes as they are. */
static int next_command(struct input *input, struct ib_command *command)
{
    uint8_t bytes[SHORT_SIZE];
    if (!take(input, bytes, sizeof bytes)) {
        return 0;
    }
    if (bytes[0] == LONG_MARK) {
        return take(input, command, sizeof *command);
    }
    *command = (struct ib_command){
        .type = bytes[0] % 16 < 9 ? bytes[0] % 16 : IB_COMMAND_ENTER,
        .session = bytes[1] % 5,
        .instrument = bytes[2] % 4,
        .user_ref = bytes[3],
        .user_ref_original = bytes[4],
        .price = 1 + bytes[5] % 16,
        .quantity = bytes[6] % 32,
        .side = bytes[7] % 8 == 7 ? bytes[7] : (uint8_t)(1 + bytes[7] % 2),
        .time_in_force = bytes[8] % 4 == 3 ? 3 : 0,
        .order_type = bytes[9] % 8 == 7 ? 2 : 1,
    };
    if (command->type == IB_COMMAND_INSTRUMENT_ADD || command->type == IB_COMMAND_SESSION_ADD) {
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

static void define(struct ib_matcher *matcher)
{
    struct ib_event_sink sink = {.emit = NULL};
    for (uint16_t i = 0; i < 6; i++) {
        struct ib_command command = {.seq = 1u + i, .session = (uint16_t)(i - 3), .instrument = i, .price = 1 + 4 * i};
        command.type = i < 3 ? IB_COMMAND_INSTRUMENT_ADD : IB_COMMAND_SESSION_ADD;
        memset(command.client_data, 'A' + i, sizeof command.client_data);
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
    define(first);
    define(second);
    struct ib_command command;
    while (next_command(&input, &command)) {
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
