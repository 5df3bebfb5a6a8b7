/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster.c: a shard of three members, simulated: see cluster.h. Of eight seeds, one each breaks a process, a host, or
 * switches over, once, and is timed (I8); four are bounded, one is not (cluster_fault.c).
 *
 *   cluster [--seeds N] [--first SEED] [--verbose]
 *
 * The last line has a digest over all that happened: it must not differ between builds. A seed that fails is named, and
 * repeated by --first SEED --seeds 1 --verbose.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cluster.h"
#include "option.h"

enum { QUEUE_MAX = 1 << 16, SLOTS_MAX = 4096, SLOT_BYTES = IB_REPLICA_FRAME_MAX };
#define WARM_NS (2500u * (uint64_t)MS)   /* a shard that starts with nothing is open by then */
#define BROKEN_NS (6000u * (uint64_t)MS) /* so long things break */
#define REST_NS (25000u * (uint64_t)MS)  /* and within so long after it, everybody must have everything */

enum run { ONE_PROCESS, ONE_HOST, ONE_SWITCHOVER, UNBOUNDED, BOUNDED };
static const uint64_t budget_ms[] = {1000, 3000, 100}; /* I8, of the first three */

struct world world;
bool verbose;
static uint64_t progress; /* for mutants_cluster.py: names each seed before it is run */
static struct event queue[QUEUE_MAX];
static size_t queue_size;
static uint8_t slots[SLOTS_MAX][SLOT_BYTES];
static size_t slot_sizes[SLOTS_MAX];
static uint32_t free_slots[SLOTS_MAX];
static uint32_t free_count;

/* ---- random numbers, words ---- */

uint64_t draw(uint64_t below)
{
    world.random ^= world.random << 13;
    world.random ^= world.random >> 7;
    world.random ^= world.random << 17;
    return below == 0 ? 0 : (world.random >> 11) % below;
}

bool chance(uint32_t of_1024)
{
    return draw(1024) < of_1024;
}

void mix(uint64_t value)
{
    world.digest = ib_mix(world.digest + value, world.now_ns);
}

void say(const char *what, ...)
{
    va_list arguments;
    printf("%10.3f ms  ", (double)world.now_ns / MS);
    va_start(arguments, what);
    (void)vprintf(what, arguments);
    va_end(arguments);
    printf("\n");
}

_Noreturn void fail(const char *what, ...)
{
    va_list arguments;
    printf("cluster: FAILED: seed %" PRIu64 ", %.3f ms: ", world.seed, (double)world.now_ns / MS);
    va_start(arguments, what);
    (void)vprintf(what, arguments);
    va_end(arguments);
    printf("\n");
    exit(1);
}

/* ---- the queue of events: a heap by time, then by order of coming ---- */

static bool is_before(const struct event *left, const struct event *right)
{
    return left->at_ns < right->at_ns || (left->at_ns == right->at_ns && left->order < right->order);
}

void push(struct event event, uint64_t delay_ns)
{
    if (queue_size == QUEUE_MAX) {
        fail("the queue is full");
    }
    event.at_ns = world.now_ns + delay_ns;
    event.order = world.order++;
    size_t at = queue_size++;
    while (at > 0 && is_before(&event, &queue[(at - 1) / 2])) {
        queue[at] = queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue[at] = event;
}

static struct event pop(void)
{
    struct event first = queue[0];
    struct event last = queue[--queue_size];
    size_t at = 0;
    for (size_t child = 1; child < queue_size; child = 2 * at + 1) {
        child += child + 1 < queue_size && is_before(&queue[child + 1], &queue[child]);
        if (!is_before(&queue[child], &last)) {
            break;
        }
        queue[at] = queue[child];
        at = child;
    }
    queue[at] = last;
    return first;
}

uint32_t take_slot(void)
{
    if (free_count == 0) {
        fail("no slot for one more frame");
    }
    return free_slots[--free_count];
}

void *slot_bytes(uint32_t slot)
{
    return slots[slot];
}

size_t *slot_size(uint32_t slot)
{
    return &slot_sizes[slot];
}

/* ---- one run ---- */

static void handle(const struct event *event)
{
    struct member *member = &world.members[event->member];
    switch (event->kind) {
    case TICK: member_tick(event->member); break;
    case FRAME: net_frame(event); break;
    case CONNECT: net_connect((unsigned)event->a, (unsigned)event->b); break;
    case DISCONNECTED: net_disconnected(event); break;
    case SYNCED: member_synced(event); break;
    case TRUNCATED: member_truncated(event); break;
    case PROMISED: member_promised(event); break;
    case STORE_APPLY: store_apply(event); break;
    case STORE_ANSWER: store_answer(event); break;
    case RESTART:
        if (!member->up) {
            member_start(event->member);
        }
        break;
    case ASK: client_ask((unsigned)event->a); break;
    case REQUEST: client_request(event); break;
    case ANSWER: client_answer(event); break;
    case FAULT:
        if (!world.healed) {
            fault_strike();
        }
        break;
    case HEAL: fault_heal(event); break;
    default: fail("an event of kind %d", (int)event->kind);
    }
}

/* Whether it happens to a member at all, and to the one that it was meant for. */
static bool is_of_member(enum happening kind)
{
    return kind == TICK || kind == FRAME || kind == DISCONNECTED || kind == SYNCED || kind == TRUNCATED ||
           kind == PROMISED || kind == STORE_ANSWER || kind == REQUEST;
}

static void step(void)
{
    struct event event = pop();
    struct member *member = &world.members[event.member];
    world.now_ns = event.at_ns;
    world.steps++;
    if (is_of_member(event.kind) && member->paused_until_ns > world.now_ns && member->life == event.life) {
        push(event, member->paused_until_ns - world.now_ns); /* stopped: it all comes at once, in its order */
        return;
    }
    if (event.kind == RESTART || !is_of_member(event.kind) || (member->up && member->life == event.life)) {
        handle(&event);
    }
    if (event.slot != 0) {
        free_slots[free_count++] = event.slot;
    }
}

static void run_until(uint64_t at_ns)
{
    while (queue_size > 0 && queue[0].at_ns <= at_ns) {
        step();
    }
    world.now_ns = at_ns;
}

static void begin(uint64_t seed)
{
    world.seed = seed;
    world.random = (seed + 1) * IB_HASH_A;
    world.now_ns = world.order = world.last_answer_ns = world.opened_ns = world.trouble_until_ns = 0;
    memset(world.connection, 0, sizeof world.connection);
    memset(world.clients, 0, sizeof world.clients);
    world.orders_left = 0;
    world.record = (struct ib_shard_record){.version = 1, .in_sync = (1u << MEMBERS) - 1,
                                            .primary = IB_REPLICA_NOBODY};
    world.healed = false;
    queue_size = 0;
    free_count = 0;
    for (uint32_t i = SLOTS_MAX - 1; i > 0; i--) {
        free_slots[free_count++] = i;
    }
    check_begin();
    fault_heal_all();
    world.healed = false;
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct member *member = &world.members[i];
        member->life++;
        member->paused_until_ns = 0;
        member->clock_ns = draw(1000000u * (uint64_t)MS);
        member->skew = draw(20);
        member->wall_ns = 0;
        disk_reset(&member->disk);
        member_start(i);
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        push((struct event){.kind = CONNECT, .a = i, .b = (i + 1) % MEMBERS}, draw(20 * MS));
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        world.clients[i].next_ref = 1;
        world.clients[i].target = (uint8_t)draw(MEMBERS);
        push((struct event){.kind = ASK, .a = i}, draw(20 * MS));
    }
}

static uint64_t worst_ms[3];

/* I8: one thing breaks while everything else is well. */
static void run_timed(enum run kind)
{
    run_until(WARM_NS + draw(300u * MS));
    unsigned primary = fault_primary();
    if (primary == MEMBERS || world.opened_ns == 0 || check_committed() < 10) {
        fail("I8: a shard that starts is not open after %" PRIu64 " ms", world.now_ns / MS);
    }
    uint64_t broken_ns = world.now_ns;
    world.opened_ns = 0;
    if (kind == ONE_SWITCHOVER) {
        while (ib_replica_switch_over(&world.members[primary].replica, (primary + 1) % MEMBERS) != IB_OK) {
            run_until(world.now_ns + MS);
        }
        member_after(primary);
    } else {
        member_crash(primary, kind == ONE_HOST, 4000u * MS);
    }
    while (world.opened_ns == 0 || (kind != ONE_SWITCHOVER && world.last_answer_ns <= world.opened_ns)) {
        run_until(world.now_ns + MS);
        if (world.now_ns - broken_ns > budget_ms[kind] * MS) {
            fail("I8: %s: nothing was acknowledged for %" PRIu64 " ms",
                 kind == ONE_PROCESS ? "process crash" : kind == ONE_HOST ? "host loss" : "switchover",
                 (world.now_ns - broken_ns) / MS);
        }
    }
    uint64_t took_ms = (world.now_ns - broken_ns) / MS;
    worst_ms[kind] = took_ms > worst_ms[kind] ? took_ms : worst_ms[kind];
    world.orders_left = world.orders_left > 20 ? 20 : world.orders_left;
}

/* Everybody has everything: clients their reports, members the journal, the in-sync set all of them. */
static bool is_at_rest(void)
{
    bool rest = clients_are_done() && world.record.in_sync == (1u << MEMBERS) - 1;
    for (unsigned i = 0; i < MEMBERS; i++) {
        const struct member *member = &world.members[i];
        rest = rest && member->up && member->paused_until_ns <= world.now_ns && member->last_seq == check_committed() &&
               member->shown_seq == check_committed() && member->replica.doubt_seq == 0;
    }
    return rest;
}

static uint64_t halted;

static void simulate(uint64_t seed)
{
    enum run kind = seed % 8 <= UNBOUNDED ? (enum run)(seed % 8) : BOUNDED;
    if (progress != 0) {
        fprintf(stderr, "seed %" PRIu64 "\n", seed);
    }
    begin(seed);
    world.orders_left = kind <= ONE_SWITCHOVER ? 400 : 40 + draw(120);
    world.bounded = kind != UNBOUNDED;
    if (kind <= ONE_SWITCHOVER) {
        run_timed(kind);
    } else {
        world.store_lost = (uint32_t)draw(200); /* until a fault sets, and heals, it */
        world.loss = (uint32_t)draw(20);
        world.twice = (uint32_t)draw(20);
        world.delay_ns = MS + draw(5u * MS);
        push((struct event){.kind = FAULT}, draw(2000u * MS));
        run_until(1500u * MS + draw(BROKEN_NS));
    }
    SAY("everything is whole from here on");
    fault_heal_all();
    uint64_t due_ns = world.now_ns + REST_NS;
    while (!is_at_rest() && world.now_ns < due_ns) {
        run_until(world.now_ns + 50u * MS);
    }
    if (!is_at_rest() && world.bounded) {
        fail("I8: %" PRIu64 " s after everything was whole, not everybody has everything: epoch %" PRIu64
             ", primary %u, in sync %x, %" PRIu64 " committed",
             REST_NS / MS / 1000, world.record.epoch, world.record.primary, world.record.in_sync, check_committed());
    }
    halted += !is_at_rest();
    check_end();
    mix(world.order);
    for (unsigned i = 0; i < MEMBERS; i++) {
        member_close(i);
    }
}

int main(int argc, char **argv)
{
    uint64_t seeds = option(argc, argv, "--seeds", 100);
    uint64_t first = option(argc, argv, "--first", 1);
    progress = option(argc, argv, "--progress", 0);
    uint64_t committed = 0;
    uint64_t trades = 0;
    uint64_t epochs = 0;
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* they cost small books half the time */
    verbose = strcmp(argv[argc - 1], "--verbose") == 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        simulate(seed);
        committed += check_committed();
        trades += check_trades();
        epochs += world.record.epoch;
    }
    fault_report();
    printf("cluster: longest without acknowledgement after a process crash %" PRIu64 " ms, a lost host %" PRIu64
           " ms; switchover %" PRIu64 " ms (virtual)\n",
           worst_ms[ONE_PROCESS], worst_ms[ONE_HOST], worst_ms[ONE_SWITCHOVER]);
    printf("cluster: %" PRIu64 " seeds, %" PRIu64 " entries committed in %" PRIu64 " epochs, %" PRIu64
           " trades, %" PRIu64 " steps, %" PRIu64 " halted, nothing lost; digest %016" PRIx64 "\n",
           seeds, committed, epochs, trades, world.steps, halted, world.digest);
    return 0;
}
