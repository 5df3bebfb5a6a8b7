/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_matcher.c: thread-CPU nanoseconds per command of the matcher alone, events counted and not built.
 *
 *   bench_matcher [FILE.lobw]
 *
 * Without a file: four flows of our own, 1 symbol, 60 % new, 35 % cancel, 5 % crossing several orders, which differ in
 * where the prices are. A book that relies on prices being near each other collapses on some of them:
 *   near    within 256 ticks
 *   swing   the same window, up and down by 40 % of the price every 20,000 commands
 *   crash   the price falls to a tenth within 1,000 commands and comes back, every 100,000
 *   far     anywhere in 63 bits, hardly two orders at one price
 * With one: a LOBW file (64 bytes of header, then 16 bytes a message: type 0 new, 1 cancel, 2 cross; side; symbol; id;
 * price; quantity), whose header says how many trades, what quantity and notional must come out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "matcher.h"

enum { PASSES = 9, FLOW = 1000000, FLOW_RESTING = 10000, ORDERS = 1 << 20, GROUP = 1024 };

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

/* Where the market is at command `i`. */
static int64_t middle_of(const char *name, size_t i)
{
    int64_t phase = (int64_t)(i % 20000);
    if (strcmp(name, "swing") == 0) {
        return 1000000 + 40 * (phase < 10000 ? phase : 20000 - phase);
    }
    phase = (int64_t)(i % 100000);
    if (strcmp(name, "crash") == 0 && phase < 2000) {
        return 1000000 - 900 * (phase < 1000 ? phase : 2000 - phase);
    }
    return 1000000;
}

static int64_t price_of(const char *name, size_t i, int sells)
{
    if (strcmp(name, "far") == 0) {
        int64_t half = (int64_t)1 << 62;
        int64_t away = (int64_t)(next_random() << 9 & ((uint64_t)half - 1)) | 1;
        return sells ? half + away : half - away;
    }
    int64_t away = (int64_t)(next_random() % 64 * (next_random() % 64) / 16);
    return sells ? middle_of(name, i) + away : middle_of(name, i) - 1 - away;
}

/* Cancels name any of the last orders: some of them were filled meanwhile and the cancel finds nothing. */
static void generate(struct flow *flow, const char *name)
{
    static uint32_t live[FLOW_RESTING];
    uint32_t id = 0;
    begin_flow(flow, FLOW, 1);
    for (size_t i = 0; i < FLOW; i++) {
        uint64_t kind = id < FLOW_RESTING ? 0 : next_random() % 100;
        uint32_t place = (uint32_t)(next_random() % FLOW_RESTING);
        struct lobw_message message = {.side = (uint8_t)(next_random() % 2)};
        message.quantity = (uint32_t)(1 + next_random() % (kind >= 95 ? 800 : 100));
        message.type = kind < 60 ? 0 : kind < 95 ? 1 : 2;
        message.id = message.type == 1 ? live[place] : ++id;
        add_message(flow, &message);
        struct ib_command *command = &flow->commands[flow->count - 1];
        if (message.type == 0) {
            command->price = price_of(name, i, message.side);
            live[id <= FLOW_RESTING ? id - 1 : place] = id; /* what it overwrites stays until it trades */
        } else {
            command->price = message.side == 0 ? INT64_MAX : 1;
        }
    }
}

/* One pass over a fresh matcher; ns of the timed part. */
static uint64_t run(const struct flow *flow, struct ib_totals *totals)
{
    struct ib_matcher *matcher;
    size_t applied;
    if (ib_matcher_open(&matcher, ORDERS) != IB_OK ||
        ib_matcher_apply_group(matcher, flow->commands, flow->warm, NULL, &applied) != IB_OK) {
        fail("no memory, or a definition was refused");
    }
    uint64_t begin = thread_ns();
    for (size_t i = flow->warm; i < flow->count; i += applied) {
        size_t count = flow->count - i < GROUP ? flow->count - i : GROUP;
        if (ib_matcher_apply_group(matcher, &flow->commands[i], count, NULL, &applied) != IB_OK) {
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

static void measure(const char *name, struct flow *flow)
{
    struct ib_totals totals = {0};
    uint64_t ns[PASSES];
    for (size_t i = 0; i < flow->count; i++) {
        flow->commands[i].seq = i + 1;
        flow->commands[i].time_ns = i + 1;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        ns[pass] = run(flow, &totals);
    }
    const struct lobw_header *expected = &flow->expected;
    if (expected->magic != 0 &&
        (totals.trades != expected->trades || totals.quantity != expected->quantity ||
         totals.notional_low != expected->notional || totals.orders_open != expected->resting)) {
        fail("trades, quantity, notional or resting orders are not those of the file");
    }
    qsort(ns, PASSES, sizeof ns[0], compare_ns);
    double per_command = (double)(flow->count - flow->warm);
    printf("{\"bench\": \"match\", \"flow\": \"%s\", \"commands\": %zu, \"ns_per_op\": %.1f, \"ns_per_op_best\": %.1f, "
           "\"trades\": %llu, \"resting\": %llu, \"rejects\": %llu, \"verified\": %s}\n",
           name, flow->count - flow->warm, (double)ns[PASSES / 2] / per_command, (double)ns[0] / per_command,
           (unsigned long long)totals.trades, (unsigned long long)totals.orders_open,
           (unsigned long long)totals.rejects, expected->magic != 0 ? "true" : "false");
    free(flow->commands);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"near", "swing", "crash", "far"};
    struct flow flow = {0};
    if (argc > 1) {
        load(&flow, argv[1]);
        measure(argv[1], &flow);
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        flow = (struct flow){0};
        generate(&flow, names[i]);
        measure(names[i], &flow);
    }
    return 0;
}
