/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_recovery.c: how fast a journal is read, and how fast an engine comes to its state out of one. Writer, reader
 * and recovery are the engine's own; only the orders are made up. See ironbook_bench.h.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "engine_internal.h"
#include "ironbook_bench.h"

enum {
    GROUP = 256,
    SESSIONS = 4,
    MIDDLE = 1000000,
    READ_BATCH = 1024,
    TAKEN = 64,
    RESTING = 10000, /* orders that rest before the first is cancelled */
};
#define STEP_NS 1000u /* between commands: a million a second */

/* An order that rests. */
struct resting {
    uint32_t ref;
    uint32_t symbol;
};

struct flow {
    struct ib_event_sink sink; /* the first, so that its address is the flow's */
    struct ib_event events[TAKEN];
    struct ib_matcher *matcher; /* takes each command first: it tells what still rests */
    uint64_t random;
    uint64_t seq;
    uint32_t last_ref;
    uint32_t symbols;
    uint32_t live_count;
    struct resting *live; /* [live_count]; any of them may be cancelled */
    uint32_t *places;     /* by user_ref: its place in `live` */
    struct ib_command group[GROUP];
};

/* ---- the commands ---- */

static uint64_t next_random(struct flow *flow)
{
    IB_ASSERT(flow->random != 0);
    flow->random ^= flow->random << 13;
    flow->random ^= flow->random >> 7;
    flow->random ^= flow->random << 17;
    return flow->random >> 11;
}

/* Rules, sessions and instruments are the first commands of all. */
static int define(const struct flow *flow, struct ib_command *command)
{
    uint64_t place = flow->seq;
    IB_ASSERT(flow->symbols >= 1 && flow->symbols <= IB_INSTRUMENTS_MAX);
    IB_ASSERT(command->type == 0);
    if (place == 0) {
        *command = (struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_NEWEST};
    } else if (place <= SESSIONS) {
        *command = (struct ib_command){.type = IB_COMMAND_SESSION_ADD, .session = (uint16_t)(place - 1)};
        (void)snprintf((char *)command->client_data, sizeof command->client_data, "B%-5uBNCH", (unsigned)place);
    } else if (place <= SESSIONS + flow->symbols) {
        uint32_t index = (uint32_t)(place - SESSIONS - 1);
        struct ib_instrument instrument = {.tick = 1, .lot = 1};
        char symbol[IB_SYMBOL_SIZE + 1];
        (void)snprintf(symbol, sizeof symbol, "S%-7u", (unsigned)index);
        memcpy(instrument.symbol, symbol, sizeof instrument.symbol);
        *command = ib_engine_definition(IB_COMMAND_INSTRUMENT_ADD, index, &instrument);
    }
    return command->type != 0;
}

static struct ib_command next_order(struct flow *flow)
{
    uint64_t kind = flow->live_count < RESTING ? 0 : next_random(flow) % 100;
    struct ib_command command = {.order_type = IB_ORDER_LIMIT, .time_in_force = IB_TIME_IN_FORCE_DAY};
    IB_ASSERT(flow->last_ref < UINT32_MAX);
    IB_ASSERT(flow->symbols >= 1);
    if (kind >= 60 && kind < 95) {
        const struct resting *order = &flow->live[next_random(flow) % flow->live_count];
        command.type = IB_COMMAND_CANCEL;
        command.user_ref = order->ref;
        command.session = (uint16_t)(order->ref % SESSIONS);
        command.instrument = order->symbol;
        return command;
    }
    int64_t away = (int64_t)(next_random(flow) % 64 * (next_random(flow) % 64) / 16);
    int buys = next_random(flow) % 2 == 0;
    command.type = IB_COMMAND_ENTER;
    command.user_ref = ++flow->last_ref;
    command.session = (uint16_t)(command.user_ref % SESSIONS);
    command.instrument = (uint32_t)(next_random(flow) % flow->symbols);
    command.side = buys ? IB_SIDE_BUY : IB_SIDE_SELL;
    command.quantity = 1 + next_random(flow) % (kind >= 95 ? 500 : 100); /* sweeps five of the others, about */
    command.price = buys ? MIDDLE - 1 - away : MIDDLE + away;
    if (kind >= 95) {
        command.price = buys ? 2 * MIDDLE : 1;
        command.time_in_force = IB_TIME_IN_FORCE_IOC;
    }
    return command;
}

static void forget(struct flow *flow, uint32_t ref)
{
    IB_ASSERT(flow->live_count > 0);
    IB_ASSERT(ref <= flow->last_ref);
    uint32_t place = flow->places[ref];
    IB_ASSERT(place < flow->live_count && flow->live[place].ref == ref);
    flow->live[place] = flow->live[--flow->live_count];
    flow->places[flow->live[place].ref] = place;
}

/* What rests, and what no longer does, as the events say. */
static void take_events(struct ib_event_sink *sink)
{
    struct flow *flow = (struct flow *)(void *)sink;
    IB_ASSERT(sink->next >= flow->events && sink->next <= flow->events + TAKEN);
    for (const struct ib_event *event = flow->events; event < sink->next; event++) {
        IB_ASSERT(event->user_ref <= flow->last_ref);
        if (event->type == IB_EVENT_RESTED) {
            flow->places[event->user_ref] = flow->live_count;
            flow->live[flow->live_count++] = (struct resting){event->user_ref, event->instrument};
        } else if ((event->type == IB_EVENT_EXECUTED || event->type == IB_EVENT_CANCELED) && event->remaining == 0 &&
                   event->time_in_force == IB_TIME_IN_FORCE_DAY) {
            forget(flow, event->user_ref);
        }
    }
    IB_ASSERT(flow->live_count <= flow->last_ref);
    sink->next = flow->events;
    sink->end = flow->events + TAKEN;
}

static size_t make_group(struct flow *flow, uint64_t records)
{
    size_t count = 0;
    IB_ASSERT(flow->seq < records);
    for (; count < GROUP && flow->seq < records; count++) {
        struct ib_command *command = &flow->group[count];
        *command = (struct ib_command){0};
        if (!define(flow, command)) {
            *command = next_order(flow);
        }
        command->seq = ++flow->seq;
        command->time_ns = command->seq * STEP_NS;
        int status = ib_matcher_apply(flow->matcher, command, &flow->sink);
        IB_ASSERT(status == IB_OK);
        take_events(&flow->sink);
    }
    IB_ASSERT(count >= 1);
    return count;
}

static void close_flow(struct flow *flow)
{
    ib_matcher_close(flow->matcher);
    free(flow->live);
    free(flow->places);
    free(flow);
}

/* Null without memory. */
static struct flow *open_flow(const struct ib_bench_journal *journal)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL) {
        return NULL;
    }
    IB_ASSERT(journal->records < UINT32_MAX);
    flow->random = 88172645463325252u;
    flow->symbols = journal->symbols;
    flow->live = calloc(journal->records + 1, sizeof *flow->live);
    flow->places = calloc(journal->records + 1, sizeof *flow->places);
    flow->sink = (struct ib_event_sink){
        .next = flow->events, .end = flow->events + TAKEN, .make_room = take_events};
    if (flow->live == NULL || flow->places == NULL || ib_matcher_open(&flow->matcher, journal->orders) != IB_OK) {
        close_flow(flow);
        return NULL;
    }
    IB_ASSERT(flow->sink.next == flow->events);
    return flow;
}

/* ---- the journal ---- */

static struct ib_journal_config config_of(const struct ib_bench_journal *journal)
{
    IB_ASSERT(journal->directory != NULL);
    IB_ASSERT(journal->orders >= 1);
    return (struct ib_journal_config){.directory = journal->directory,
                                      .orders = journal->orders,
                                      .epoch = 1,
                                      .segment_bytes = journal->segment_bytes,
                                      .fsync_policy = IB_FSYNC_NONE};
}

static int say(char *error, const char *text)
{
    IB_ASSERT(error != NULL && text != NULL);
    (void)snprintf(error, IB_ERROR_TEXT_SIZE, "%s", text);
    return IB_ERROR_ARGUMENT;
}

static int write_all(struct ib_journal *opened, struct flow *flow, uint64_t records, char *error)
{
    int status = IB_OK;
    IB_ASSERT(opened != NULL);
    IB_ASSERT(flow->seq == 0);
    while (flow->seq < records && status == IB_OK) {
        size_t count = make_group(flow, records);
        status = ib_journal_append(opened, flow->group, count);
    }
    if (status != IB_OK) {
        (void)say(error, ib_journal_error(opened));
    }
    return status;
}

int ib_bench_journal_write(const struct ib_bench_journal *journal, char *error)
{
    struct ib_journal_config config = config_of(journal);
    struct ib_journal_report report;
    struct ib_journal *opened = NULL;
    if (journal->symbols < 1 || journal->symbols > IB_INSTRUMENTS_MAX || journal->records >= UINT32_MAX) {
        return say(error, "symbols or records are out of range");
    }
    struct flow *flow = open_flow(journal);
    if (flow == NULL) {
        (void)say(error, "no memory");
        return IB_ERROR_MEMORY;
    }
    int status = ib_journal_open(&opened, &config, NULL, NULL, &report);
    if (status != IB_OK) {
        (void)say(error, report.error);
    } else if (ib_journal_seq(opened) != 0) {
        status = say(error, "the directory has a journal already: name an empty one");
    } else {
        status = write_all(opened, flow, journal->records, error);
    }
    ib_journal_close(opened);
    close_flow(flow);
    return status;
}

/* ---- reading it ---- */

struct stopwatch {
    uint64_t wall_ns, cpu_ns;
};

static struct stopwatch start(void)
{
    return (struct stopwatch){.wall_ns = ib_clock_ns(CLOCK_MONOTONIC),
                              .cpu_ns = ib_clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

static void stop(const struct stopwatch *begin, struct ib_bench_recovery *found)
{
    found->ns = ib_clock_ns(CLOCK_MONOTONIC) - begin->wall_ns;
    found->cpu_ns = ib_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin->cpu_ns;
    IB_ASSERT(found->ns > 0);
}

int ib_bench_journal_verify(const struct ib_bench_journal *journal, struct ib_bench_recovery *found, char *error)
{
    struct ib_journal_reader *reader = NULL;
    size_t count = 1;
    *found = (struct ib_bench_recovery){0};
    struct ib_command *commands = malloc(READ_BATCH * sizeof *commands);
    if (commands == NULL) {
        (void)say(error, "no memory");
        return IB_ERROR_MEMORY;
    }
    struct stopwatch begin = start();
    int status = ib_journal_reader_open(&reader, journal->directory, 0);
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, commands, READ_BATCH, &count);
    }
    stop(&begin, found);
    if (reader != NULL) {
        const struct ib_journal_report *report = ib_journal_reader_report(reader);
        found->records = report->records;
        found->bytes = report->bytes;
        (void)say(error, report->error);
    }
    ib_journal_reader_close(reader);
    free(commands);
    return status;
}

struct instrument {
    char symbol[IB_SYMBOL_SIZE + 1];
};

/* The instruments as the journal has them, so that the configuration adds nothing. */
static int configure(struct ib_engine_config *config, struct ib_engine_instrument *instruments,
                     struct instrument *names, uint32_t symbols)
{
    if (instruments == NULL || names == NULL) {
        return IB_ERROR_MEMORY;
    }
    IB_ASSERT(symbols >= 1 && symbols <= IB_INSTRUMENTS_MAX);
    for (uint32_t i = 0; i < symbols; i++) {
        (void)snprintf(names[i].symbol, sizeof names[i].symbol, "S%u", (unsigned)i);
        instruments[i] = (struct ib_engine_instrument){.symbol = names[i].symbol, .tick = 1, .lot = 1};
    }
    config->instruments = instruments;
    config->instrument_count = symbols;
    IB_ASSERT(config->session_count == 0);
    return IB_OK;
}

static int recover(struct ib_engine *engine, struct ib_bench_recovery *found, char *error)
{
    IB_ASSERT(engine->journal == NULL && engine->matcher == NULL);
    error[0] = '\0';
    struct stopwatch begin = start();
    int status = ib_engine_recover(engine, error);
    stop(&begin, found);
    if (status != IB_OK) {
        return status;
    }
    IB_ASSERT(engine->recovered_seq > 0);
    if (ib_journal_seq(engine->journal) != engine->recovered_seq) {
        return say(error, "the configuration added something to the journal: this is a defect of the benchmark");
    }
    found->records = engine->recovered_seq;
    found->events = engine->config.events - ib_event_log_room(engine->log);
    ib_matcher_totals(engine->matcher, &found->totals);
    return IB_OK;
}

int ib_bench_journal_recover(const struct ib_bench_journal *journal, struct ib_bench_recovery *found, char *error)
{
    IB_ASSERT(journal->directory != NULL && journal->run_directory != NULL);
    *found = (struct ib_bench_recovery){0};
    struct ib_engine_instrument *instruments = calloc(journal->symbols, sizeof *instruments);
    struct instrument *names = calloc(journal->symbols, sizeof *names);
    struct ib_engine *engine = aligned_alloc(IB_RING_LINE, sizeof *engine);
    struct ib_engine_config config = {.epoch = 1,
                                      .journal_directory = journal->directory,
                                      .run_directory = journal->run_directory,
                                      .segment_bytes = journal->segment_bytes,
                                      .orders = journal->orders,
                                      .events = journal->events};
    int status = configure(&config, instruments, names, journal->symbols);
    if (engine == NULL || status != IB_OK) {
        (void)say(error, "no memory");
        free(engine);
        status = IB_ERROR_MEMORY;
    } else {
        memset(engine, 0, sizeof *engine);
        engine->config = config;
        engine->run_lock = engine->loop.epoll_fd = engine->ticks.fd = engine->signals.fd = -1;
        pthread_mutex_init(&engine->fatal_mutex, NULL);
        status = recover(engine, found, error);
        ib_engine_close(engine);
    }
    free(names);
    free(instruments);
    return status;
}
