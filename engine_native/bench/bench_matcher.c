/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_matcher.c: thread-CPU nanoseconds per command of the matcher alone, all checks on, events built and counted.
 *
 *   bench_matcher [FILE.lobw]
 *
 * Without a file: a flow of our own, 1 symbol, 60 % new, 35 % cancel, 5 % crossing several orders. With
 * one: a LOBW file (64 bytes of header, then 16 bytes a message: type 0 new, 1 cancel, 2 cross; side; symbol; id; price;
 * quantity), whose header says how many trades, what quantity and notional must come out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "matcher.h"

enum { PASSES = 9, FLOW = 1000000, FLOW_RESTING = 10000, ORDERS = 1 << 20 };

struct lobw_header {
    uint64_t magic;
    uint32_t version, symbols, warm, messages, id_max, price_max;
    uint64_t trades, quantity, notional, resting;
};

struct lobw_message {
    uint8_t type, side;
    uint16_t symbol;
    uint32_t id, price, quantity;
};

struct flow {
    struct ib_command *commands;
    size_t count;
    size_t warm; /* not timed */
    uint32_t symbols;
    struct lobw_header expected; /* magic 0: nothing is known */
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_matcher: %s\n", what);
    exit(1);
}

static uint64_t thread_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void count_event(void *context, const struct ib_event *event)
{
    *(uint64_t *)context += event->type;
}

/* Definitions first: one session, all symbols. */
static void begin_flow(struct flow *flow, size_t messages, uint32_t symbols)
{
    flow->symbols = symbols;
    flow->commands = calloc(messages + symbols + 1, sizeof *flow->commands);
    if (flow->commands == NULL) {
        fail("no memory");
    }
    flow->commands[flow->count++] = (struct ib_command){.type = IB_COMMAND_SESSION_ADD, .client_data = "BENCH "};
    for (uint32_t i = 0; i < symbols; i++) {
        struct ib_command command = {.type = IB_COMMAND_INSTRUMENT_ADD, .instrument = i, .price = 1};
        (void)snprintf((char *)command.client_data, sizeof command.client_data, "S%-7u", (unsigned)i);
        flow->commands[flow->count++] = command;
    }
    flow->warm = flow->count;
}

static void add_message(struct flow *flow, const struct lobw_message *message)
{
    struct ib_command command = {
        .type = message->type == 1 ? IB_COMMAND_CANCEL : IB_COMMAND_ENTER,
        .instrument = message->symbol,
        .user_ref = message->id,
        .price = message->price,
        .quantity = message->type == 1 ? 0 : message->quantity,
        .side = message->side == 0 ? IB_SIDE_BUY : IB_SIDE_SELL,
        .order_type = IB_ORDER_LIMIT,
        .time_in_force = message->type == 2 ? IB_TIME_IN_FORCE_IOC : IB_TIME_IN_FORCE_DAY,
    };
    flow->commands[flow->count++] = command;
}

static void load(struct flow *flow, const char *path)
{
    FILE *file = fopen(path, "rb");
    struct lobw_header header;
    struct lobw_message message;
    if (file == NULL || fread(&header, sizeof header, 1, file) != 1 || header.magic != 0x31574f42304c4f42u) {
        fail("not a LOBW file");
    }
    begin_flow(flow, (size_t)header.warm + header.messages, header.symbols);
    flow->warm += header.warm;
    while (fread(&message, sizeof message, 1, file) == 1) {
        add_message(flow, &message);
    }
    flow->expected = header;
    fclose(file);
}

static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state >> 11;
}

/* Cancels name any of the last orders: some of them were filled meanwhile and the cancel finds nothing. */
static void generate(struct flow *flow)
{
    static uint32_t live[FLOW_RESTING];
    uint32_t id = 0;
    begin_flow(flow, FLOW, 1);
    for (size_t i = 0; i < FLOW; i++) {
        uint64_t kind = id < FLOW_RESTING ? 0 : next_random() % 100;
        struct lobw_message message = {.side = (uint8_t)(next_random() % 2)};
        uint32_t away = (uint32_t)(next_random() % 64 * (next_random() % 64) / 16);
        uint32_t place = (uint32_t)(next_random() % FLOW_RESTING);
        message.price = message.side == 0 ? 99999 - away : 100000 + away;
        message.quantity = (uint32_t)(1 + next_random() % (kind >= 95 ? 600 : 100));
        if (kind < 60) {
            message.id = ++id;
            live[id <= FLOW_RESTING ? id - 1 : place] = id; /* what it overwrites stays until it trades */
        } else if (kind < 95) {
            message.type = 1;
            message.id = live[place];
        } else {
            message.type = 2;
            message.id = ++id;
            message.price = message.side == 0 ? 100100 : 99900;
        }
        add_message(flow, &message);
    }
}

/* One pass over a fresh matcher; ns of the timed part. */
static uint64_t run(const struct flow *flow, struct ib_totals *totals)
{
    uint64_t events = 0;
    struct ib_event_sink sink = {.context = &events, .emit = count_event};
    struct ib_matcher *matcher;
    if (ib_matcher_open(&matcher, ORDERS) != IB_OK) {
        fail("no memory");
    }
    uint64_t begin = thread_ns();
    for (size_t i = 0; i < flow->count; i++) {
        if (i == flow->warm) {
            begin = thread_ns();
        }
        if (ib_matcher_apply(matcher, &flow->commands[i], sink) != IB_OK) {
            fail("a command was refused");
        }
    }
    uint64_t ns = thread_ns() - begin;
    ib_matcher_totals(matcher, totals);
    ib_matcher_close(matcher);
    return ns;
}

static int compare_ns(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    struct flow flow = {0};
    struct ib_totals totals = {0};
    uint64_t ns[PASSES];
    if (argc > 1) {
        load(&flow, argv[1]);
    } else {
        generate(&flow);
    }
    for (size_t i = 0; i < flow.count; i++) {
        flow.commands[i].seq = i + 1;
        flow.commands[i].time_ns = i + 1;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        ns[pass] = run(&flow, &totals);
    }
    const struct lobw_header *expected = &flow.expected;
    if (expected->magic != 0 &&
        (totals.trades != expected->trades || totals.quantity != expected->quantity ||
         totals.notional_low != expected->notional || totals.orders_open != expected->resting)) {
        fail("trades, quantity, notional or resting orders are not those of the file");
    }
    qsort(ns, PASSES, sizeof ns[0], compare_ns);
    double per_command = (double)(flow.count - flow.warm);
    printf("{\"bench\": \"match\", \"commands\": %zu, \"ns_per_op\": %.1f, \"ns_per_op_best\": %.1f, \"trades\": %llu, "
           "\"resting\": %llu, \"rejects\": %llu, \"verified\": %s}\n",
           flow.count - flow.warm, (double)ns[PASSES / 2] / per_command, (double)ns[0] / per_command,
           (unsigned long long)totals.trades, (unsigned long long)totals.orders_open,
           (unsigned long long)totals.rejects, expected->magic != 0 ? "true" : "false");
    free(flow.commands);
    return 0;
}
