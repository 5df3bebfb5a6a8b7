/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench.c: see ironbook_bench.h.
 */
#define _GNU_SOURCE
#include "ironbook_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "check.h"
#include "clock.h"
#include "matcher.h"
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum {
    BATCH = 1024, /* commands made at a time: 128 KiB, which leaves most of a second-level cache to the book */
    TAKEN = 64, /* events, when reporting */
    TIMER_SAMPLES = 1001,
    PROBE_USER_REF = 1, /* the order that the risk gate must refuse; order `id` has id + 1 */
};
#define STEP_NS 1000u /* between commands: a million a second */

/* Limits that are set and looked at, and that only the probe exceeds. */
#define LIMIT_QUANTITY (UINT64_C(1) << 32)
#define LIMIT_OTHER (UINT64_C(1) << 60)
#define LIMIT_COLLAR 1000000u /* basis points: a hundred times the last price */

struct run {
    struct ib_matcher *matcher;
    struct ib_event_sink events;
    struct ib_event_sink *sink; /* null, or `events` */
    struct ib_event taken[TAKEN]; /* the last ones, when reporting */
    uint64_t seq;
    struct ib_command commands[BATCH];
};

/* A reading that waits for what came before it, and that what comes after waits for. */
static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    unsigned processor;
    _mm_lfence();
    uint64_t ticks = __rdtscp(&processor);
    _mm_lfence();
    return ticks;
#else
    return ib_clock_ns(CLOCK_MONOTONIC);
#endif
}

/* Whoever takes the events has done so, and the same memory serves again. */
static void taken(struct ib_event_sink *sink)
{
    IB_ASSERT(sink->next == sink->end);
    sink->next = sink->end - TAKEN;
}

/* ---- commands ---- */

static int apply(struct run *run, struct ib_command command)
{
    IB_ASSERT(command.type != 0);
    IB_ASSERT(run->matcher != NULL && run->seq < IB_SEQ_MAX);
    command.seq = ++run->seq;
    command.time_ns = run->seq * STEP_NS;
    return ib_matcher_apply(run->matcher, &command, run->sink);
}

static void define_account(struct run *run, uint16_t account)
{
    static const uint64_t limits[][2] = {
        {IB_RISK_MESSAGE_RATE, LIMIT_OTHER},   {IB_RISK_ORDER_QUANTITY, LIMIT_QUANTITY},
        {IB_RISK_COLLAR, LIMIT_COLLAR},        {IB_RISK_ORDER_NOTIONAL, LIMIT_OTHER},
        {IB_RISK_POSITION_LONG, LIMIT_OTHER},  {IB_RISK_POSITION_SHORT, LIMIT_OTHER},
        {IB_RISK_OPEN_ORDERS, IB_ORDERS_MAX},
    };
    IB_ASSERT(account >= 1 && account < IB_ACCOUNTS_MAX);
    struct ib_command add = {.type = IB_COMMAND_ACCOUNT_ADD, .account = account};
    (void)snprintf((char *)add.client_data, sizeof add.client_data, "ACCOUNT%u", (unsigned)account);
    (void)apply(run, add);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        (void)apply(run, (struct ib_command){.type = IB_COMMAND_RISK_LIMIT,
                                             .account = account,
                                             .instrument = (uint32_t)IB_INSTRUMENT_ALL,
                                             .limit = (uint8_t)limits[i][0],
                                             .value = limits[i][1]});
    }
}

/* Rules, accounts, instruments and sessions; and an order that shows that the gate is on. */
static int define(struct run *run, const struct ib_bench_flow *flow)
{
    IB_ASSERT(flow->sessions >= 1 && flow->sessions < IB_ACCOUNTS_MAX);
    IB_ASSERT(flow->symbols >= 1 && flow->symbols <= IB_INSTRUMENTS_MAX);
    IB_ASSERT(run->seq == 0);
    int limited = flow->limits != 0;
    (void)apply(run, (struct ib_command){.type = IB_COMMAND_RULES, .value = flow->rules});
    for (uint16_t i = 0; i < flow->sessions; i++) {
        uint16_t account = limited ? (uint16_t)(i + 1) : 0;
        if (limited) {
            define_account(run, account);
        }
        struct ib_command session = {.type = IB_COMMAND_SESSION_ADD, .session = i, .account = account};
        (void)snprintf((char *)session.client_data, sizeof session.client_data, "B%-5uBNCH", (unsigned)i);
        (void)apply(run, session);
    }
    for (uint32_t i = 0; i < flow->symbols; i++) {
        struct ib_command instrument = {.type = IB_COMMAND_INSTRUMENT_ADD, .instrument = i, .price = 1};
        (void)snprintf((char *)instrument.client_data, sizeof instrument.client_data, "S%-7u", (unsigned)i);
        (void)apply(run, instrument);
    }
    if (!limited) {
        return IB_OK;
    }
    (void)apply(run, (struct ib_command){.type = IB_COMMAND_ENTER, .user_ref = PROBE_USER_REF, .side = IB_SIDE_BUY,
                                         .order_type = IB_ORDER_LIMIT, .price = 1, .quantity = LIMIT_QUANTITY + 1});
    struct ib_totals totals;
    ib_matcher_totals(run->matcher, &totals);
    return totals.rejects == 1 && totals.orders_open == 0 ? IB_OK : IB_ERROR_CONFIGURATION;
}

static struct ib_command command_of(const struct ib_bench_message *message, uint32_t sessions)
{
    IB_ASSERT(message->type <= IB_BENCH_CROSS && message->side <= 1);
    IB_ASSERT(message->id < UINT32_MAX - PROBE_USER_REF);
    return (struct ib_command){
        .type = message->type == IB_BENCH_CANCEL ? IB_COMMAND_CANCEL : IB_COMMAND_ENTER,
        .session = (uint16_t)(sessions == 1 ? 0 : message->id % sessions),
        .instrument = message->symbol,
        .user_ref = message->id + PROBE_USER_REF,
        .price = message->price,
        .quantity = message->type == IB_BENCH_CANCEL ? 0 : message->quantity,
        .side = message->side == 0 ? IB_SIDE_BUY : IB_SIDE_SELL,
        .order_type = IB_ORDER_LIMIT,
        .time_in_force = message->type == IB_BENCH_CROSS ? IB_TIME_IN_FORCE_IOC : IB_TIME_IN_FORCE_DAY,
    };
}

/* The next batch: from `from`, at most up to `to`. Returns how many. */
static size_t make_batch(struct run *run, const struct ib_bench_flow *flow, uint64_t from, uint64_t to)
{
    IB_ASSERT(from < to && to <= flow->count);
    size_t count = to - from < BATCH ? (size_t)(to - from) : BATCH;
    IB_ASSERT(count > 0 && count <= BATCH);
    for (size_t i = 0; i < count; i++) {
        run->commands[i] = command_of(&flow->messages[from + i], flow->sessions);
        run->commands[i].seq = ++run->seq;
        run->commands[i].time_ns = run->seq * STEP_NS;
    }
    return count;
}

/* ---- a run ---- */

static int run_open(struct run **opened, const struct ib_bench_flow *flow)
{
    IB_ASSERT(opened != NULL);
    IB_ASSERT(flow->warm <= flow->count);
    struct run *run = malloc(sizeof *run);
    *opened = run;
    if (run == NULL) {
        return IB_ERROR_MEMORY;
    }
    memset(run, 0, sizeof *run); /* touched now: not to be taken for memory of the book */
    run->events = (struct ib_event_sink){.next = run->taken, .end = run->taken + TAKEN, .make_room = taken};
    run->sink = flow->reporting ? &run->events : NULL;
    return ib_matcher_open(&run->matcher, flow->orders);
}

static void run_close(struct run *run)
{
    if (run != NULL) {
        ib_matcher_close(run->matcher);
        free(run);
    }
}

/* The definitions, and what is not measured. */
static int run_warm(struct run *run, const struct ib_bench_flow *flow)
{
    IB_ASSERT(run->matcher != NULL);
    IB_ASSERT(flow->warm <= flow->count);
    int status = define(run, flow);
    for (uint64_t next = 0; next < flow->warm && status == IB_OK;) {
        size_t count = make_batch(run, flow, next, flow->warm);
        for (size_t i = 0; i < count && status == IB_OK; i++) {
            status = ib_matcher_apply(run->matcher, &run->commands[i], run->sink);
        }
        next += count;
    }
    return status;
}

static int start(struct run **run, const struct ib_bench_flow *flow)
{
    int status = run_open(run, flow);
    return status == IB_OK ? run_warm(*run, flow) : status;
}

int ib_bench_pass(const struct ib_bench_flow *flow, uint64_t *ns, struct ib_totals *totals)
{
    IB_ASSERT(flow != NULL && ns != NULL && totals != NULL);
    struct run *run;
    int status = start(&run, flow);
    *ns = 0;
    for (uint64_t next = flow->warm; next < flow->count && status == IB_OK;) {
        size_t count = make_batch(run, flow, next, flow->count);
        size_t applied;
        uint64_t begin = ib_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        status = ib_matcher_apply_group(run->matcher, run->commands, count, run->sink, &applied);
        *ns += ib_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
        IB_ASSERT(status != IB_OK || applied == count);
        next += count;
    }
    if (status == IB_OK) {
        ib_matcher_totals(run->matcher, totals);
    }
    run_close(run);
    return status;
}

static int compare_ticks(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* What two readings in a row are apart, usually. */
static uint64_t timer_cost(void)
{
    static uint64_t samples[TIMER_SAMPLES];
    for (size_t i = 0; i < TIMER_SAMPLES; i++) {
        uint64_t begin = ticks_now();
        samples[i] = ticks_now() - begin;
    }
    IB_ASSERT(samples[0] < UINT32_MAX);
    qsort(samples, TIMER_SAMPLES, sizeof samples[0], compare_ticks);
    return samples[TIMER_SAMPLES / 2];
}

int ib_bench_latency(const struct ib_bench_flow *flow, uint32_t *ns)
{
    IB_ASSERT(flow != NULL && ns != NULL);
    struct run *run;
    int status = start(&run, flow);
    uint64_t cost = timer_cost();
    uint64_t first_tick = ticks_now();
    uint64_t first_ns = ib_clock_ns(CLOCK_MONOTONIC);
    uint32_t *next_ns = ns;
    for (uint64_t next = flow->warm; next < flow->count && status == IB_OK;) {
        size_t count = make_batch(run, flow, next, flow->count);
        for (size_t i = 0; i < count; i++) {
            uint64_t begin = ticks_now();
            status |= ib_matcher_apply(run->matcher, &run->commands[i], run->sink);
            uint64_t ticks = ticks_now() - begin;
            ticks = ticks > cost ? ticks - cost : 0;
            *next_ns++ = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
        }
        next += count;
    }
    IB_ASSERT(next_ns <= ns + (flow->count - flow->warm));
    double ns_per_tick = (double)(ib_clock_ns(CLOCK_MONOTONIC) - first_ns) / (double)(ticks_now() - first_tick);
    for (const uint32_t *end = next_ns; ns < end; ns++) {
        *ns = (uint32_t)((double)*ns * ns_per_tick + 0.5);
    }
    run_close(run);
    return status;
}

/* ---- memory ---- */

/* Bytes of anonymous memory that this process has touched; 0 when the kernel does not tell. */
static uint64_t touched_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    unsigned long long kilobytes = 0;
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "Anonymous: %llu", &kilobytes) != 1) {
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kilobytes * 1024;
}

static int run_for_memory(struct run *run, const struct ib_bench_flow *flow, struct ib_bench_memory *memory)
{
    uint64_t at_open = touched_bytes();
    int status = at_open == 0 ? IB_ERROR_IO : define(run, flow);
    uint64_t defined = touched_bytes();
    for (uint64_t next = 0; next < flow->count && status == IB_OK;) {
        size_t count = make_batch(run, flow, next, flow->count);
        for (size_t i = 0; i < count; i++) {
            struct ib_totals totals;
            status |= ib_matcher_apply(run->matcher, &run->commands[i], run->sink);
            ib_matcher_totals(run->matcher, &totals);
            memory->peak_orders = totals.orders_open > memory->peak_orders ? totals.orders_open : memory->peak_orders;
        }
        next += count;
    }
    IB_ASSERT(status != IB_OK || defined >= at_open);
    memory->definition_bytes = defined - at_open;
    memory->order_bytes = touched_bytes() - defined;
    return status;
}

/* On small pages, or the kernel would count whole huge pages of which the book has touched a part. What is touched is
 * never given back, so the end of the flow shows at least what the peak needed. */
int ib_bench_memory(const struct ib_bench_flow *flow, struct ib_bench_memory *memory)
{
    IB_ASSERT(flow != NULL && memory != NULL);
    *memory = (struct ib_bench_memory){0};
    int huge = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0;
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    (void)touched_bytes(); /* the C library's own buffers, once */
    struct run *run;
    int status = run_open(&run, flow);
    if (status == IB_OK) {
        status = run_for_memory(run, flow, memory);
    }
    run_close(run);
    if (huge) {
        (void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    }
    return status;
}

/* ---- the flow itself ---- */

const char *ib_bench_fault(const struct ib_bench_flow *flow, uint64_t *index)
{
    IB_ASSERT(flow != NULL && index != NULL);
    uint32_t last_id = 0;
    for (*index = 0; *index < flow->count; (*index)++) {
        const struct ib_bench_message *message = &flow->messages[*index];
        if (message->type > IB_BENCH_CROSS) {
            return "its type is not 0, 1 or 2";
        }
        if (message->side > 1) {
            return "its side is not 0 or 1";
        }
        if (message->symbol >= flow->symbols) {
            return "its symbol is not below the header's count";
        }
        if (message->id == 0 || message->id > flow->id_max) {
            return "its id is 0, or above the header's highest";
        }
        if (message->type == IB_BENCH_CANCEL) {
            continue;
        }
        if (message->id <= last_id) {
            return "its id is not above that of the order before";
        }
        if (message->price == 0 || message->quantity == 0) {
            return "its price or quantity is 0";
        }
        last_id = message->id;
    }
    return NULL;
}

const char *ib_bench_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__
#else
    return "gcc " __VERSION__
#endif
#if defined(__OPTIMIZE__)
        ", optimised"
#endif
#if defined(__AVX2__)
        ", AVX2"
#endif
#if defined(IB_CHECK)
        ", invariants checked after every command"
#endif
        ;
}
