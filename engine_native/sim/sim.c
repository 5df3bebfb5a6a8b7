/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim.c: seeded random commands through the matcher and through the reference, compared after each step: every byte of
 * every event, the sums, and every order of the book from time to time. Now and then the state goes through a snapshot,
 * and what was loaded goes on. One seed is one run, byte for byte.
 *
 *   sim [--seeds N] [--first SEED] [--steps N]
 *
 * The last line has a digest over all events and states: it must not differ between builds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book_path.h"
#include "book_rare.h"
#include "hash.h"
#include "matcher_state.h"
#include "../tests/take_events.h"
#include "option.h"
#include "reference.h"
#include "reload.h"

enum { SESSIONS = 5, INSTRUMENTS = 3 };

struct run {
    uint64_t seed;
    uint64_t random;
    uint64_t step;
    struct ib_matcher *matcher;
    struct reference *reference;
    uint32_t next_user_ref[SESSIONS];
    struct ib_event events[REFERENCE_EVENTS];
    uint32_t event_count;
    uint64_t digest;
    uint64_t command_count;
    uint64_t trades;
};

static uint64_t draw(struct run *run, uint64_t below)
{
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (run->random >> 11) % below;
}

static int one_in(struct run *run, uint64_t n)
{
    return draw(run, n) == 0;
}

static _Noreturn void fail(const struct run *run, const char *what)
{
    printf("sim: FAILED: seed %llu, step %llu: %s\n", (unsigned long long)run->seed, (unsigned long long)run->step,
           what);
    exit(1);
}

/* ---- the generator: mostly sensible orders around one price, with a share of everything else ---- */

static int64_t draw_price(struct run *run, uint32_t instrument)
{
    int64_t tick = instrument == 0 ? 1 : instrument == 1 ? 100 : 25;
    switch (draw(run, 60)) {
    case 0: return (int64_t)(run->random >> 1);
    case 1: return INT64_MAX / tick * tick;
    case 2: return tick;
    case 3: return -(int64_t)draw(run, 1000);
    case 4: return (int64_t)draw(run, 100000);
    case 5: return tick * (int64_t)(1 + draw(run, (uint64_t)1 << 40));
    default: return tick * (int64_t)(1000 + draw(run, 12));
    }
}

static uint64_t draw_quantity(struct run *run)
{
    switch (draw(run, 100)) {
    case 0: return 0;
    case 1: return IB_QUANTITY_MAX;
    case 2: return IB_QUANTITY_MAX + 1;
    case 3: return run->random;
    default: return 1 + draw(run, 200);
    }
}

static void draw_terms(struct run *run, struct ib_command *command)
{
    command->instrument = (uint32_t)draw(run, one_in(run, 200) ? 9 : INSTRUMENTS);
    command->side = (uint8_t)(one_in(run, 200) ? draw(run, 256) : 1 + draw(run, 2));
    command->order_type = (uint8_t)(one_in(run, 200) ? draw(run, 256) : one_in(run, 15) ? 2 : 1);
    command->time_in_force = (uint8_t)(one_in(run, 200) ? draw(run, 256) : one_in(run, 6) ? 3 : 0);
    command->price = draw_price(run, command->instrument);
    command->quantity = draw_quantity(run);
    command->reason = one_in(run, 100) ? IB_REASON_UNSUPPORTED : IB_REASON_NONE;
    uint64_t data = one_in(run, 3) ? 0 : run->random;
    for (unsigned i = 0; i < sizeof command->client_data; i++) {
        command->client_data[i] = (uint8_t)(data >> (i % 8 * 8));
    }
}

/* An order that lives, or null: what a client would name. */
static const struct reference_order *draw_live(struct run *run)
{
    const struct reference *reference = run->reference;
    if (reference->order_count == 0 || one_in(run, 4)) {
        return NULL;
    }
    uint64_t wanted = draw(run, reference->order_count); /* the reference fills its array from the front */
    for (uint64_t i = wanted; i < REFERENCE_ORDERS; i++) {
        if (reference->orders[i].order_ref != 0) {
            return &reference->orders[i];
        }
    }
    return NULL;
}

/* Any number near those that the session has used. */
static uint32_t draw_used(struct run *run, uint16_t session)
{
    uint32_t next = session < SESSIONS ? run->next_user_ref[session] : 1;
    return next > 64 ? next - (uint32_t)draw(run, 64) : (uint32_t)draw(run, next + 1);
}

static void draw_replace(struct run *run, struct ib_command *command)
{
    const struct reference_order *live = draw_live(run);
    draw_terms(run, command);
    command->user_ref_original = draw_used(run, command->session);
    if (live != NULL) {
        command->session = live->session;
        command->user_ref_original = live->user_ref;
    }
    if (live != NULL && one_in(run, 2)) { /* around what it is: the size a little up or down, mostly at its price */
        command->price = one_in(run, 5) ? command->price : live->price;
        command->quantity = 1 + draw(run, live->open + live->filled + 20);
    }
}

static void draw_cancel(struct run *run, struct ib_command *command)
{
    const struct reference_order *live = draw_live(run);
    command->user_ref = draw_used(run, command->session);
    command->quantity = one_in(run, 2) ? 0 : draw(run, 200);
    if (live != NULL) {
        command->session = one_in(run, 20) ? command->session : live->session;
        command->user_ref = live->user_ref;
        command->quantity = one_in(run, 3) ? 0 : draw(run, live->open + live->filled + 5);
    }
}

static struct ib_command draw_command(struct run *run)
{
    struct ib_command command = {.type = IB_COMMAND_ENTER};
    command.session = (uint16_t)draw(run, one_in(run, 100) ? 12 : SESSIONS);
    uint64_t kind = draw(run, 1000);
    if (kind < 660) {
        draw_terms(run, &command);
    } else if (kind < 820) {
        command.type = IB_COMMAND_REPLACE;
        draw_replace(run, &command);
    } else if (kind < 990) {
        command.type = IB_COMMAND_CANCEL;
        draw_cancel(run, &command);
        return command;
    } else {
        static const uint16_t others[] = {IB_COMMAND_HALT, IB_COMMAND_RESUME, IB_COMMAND_RESUME, IB_COMMAND_RESUME,
                                          IB_COMMAND_INSTRUMENT_ADD, IB_COMMAND_SESSION_ADD, 0, 99};
        command.type = others[draw(run, 8)];
        command.instrument = (uint32_t)draw(run, 5);
        command.client_data[0] = 'A'; /* at most one of each kind is ever added beyond those of the start */
        return command;
    }
    uint32_t *next = &run->next_user_ref[command.session % SESSIONS];
    *next += one_in(run, 50) ? 0 : one_in(run, 50) ? (uint32_t)draw(run, 100000) : 1; /* resend, gap, or the next */
    command.user_ref = *next;
    return command;
}

/* ---- comparing ---- */

static void keep(void *context, const struct ib_event *event)
{
    struct run *run = context;
    if (run->event_count < REFERENCE_EVENTS) {
        run->events[run->event_count++] = *event;
    }
}

static void compare_events(struct run *run)
{
    const struct reference *reference = run->reference;
    if (run->event_count != reference->event_count) {
        fail(run, "another number of events");
    }
    for (uint32_t i = 0; i < run->event_count; i++) {
        if (memcmp(&run->events[i], &reference->events[i], sizeof run->events[i]) != 0) {
            fail(run, "an event differs");
        }
        uint64_t words[16];
        memcpy(words, &run->events[i], sizeof words);
        for (unsigned w = 0; w < 16; w += 2) {
            run->digest = ib_mix(run->digest + words[w], words[w + 1]);
        }
    }
}

static void compare_book(struct run *run)
{
    const struct ib_book *book = &run->matcher->book;
    for (int i = 0; i < REFERENCE_ORDERS; i++) {
        const struct reference_order *expected = &run->reference->orders[i];
        if (expected->order_ref == 0) {
            continue;
        }
        uint32_t index = ib_book_find(book, expected->session, expected->user_ref);
        if (index == IB_NONE) {
            fail(run, "an order is missing in the book");
        }
        const struct ib_order *order = ib_book_order(book, index);
        const struct ib_level level = ib_book_level(book, order->level);
        if (ib_order_ref(order) != expected->order_ref || ib_order_remaining(order) != expected->open ||
            ib_book_executed(book, index) != expected->filled || ib_book_price(book, level) != expected->price ||
            ib_level_side(level) != expected->side || ib_level_instrument(level) != expected->instrument) {
            fail(run, "an order of the book differs");
        }
    }
}

static void compare_totals(struct run *run)
{
    struct ib_totals totals;
    ib_matcher_totals(run->matcher, &totals);
    const struct reference *reference = run->reference;
    if (totals.orders_open != reference->order_count || totals.trades != reference->trades ||
        totals.quantity != reference->quantity || totals.rejects != reference->rejects) {
        fail(run, "the sums differ");
    }
    run->digest = ib_mix(run->digest, totals.state_hash);
}

static void apply(struct run *run, struct ib_command command)
{
    command.seq = ++run->step;
    command.time_ns = run->step / 3;
    run->event_count = 0;
    reference_apply(run->reference, &command);
    if (take_events(run->matcher, &command, run, keep) != IB_OK) {
        fail(run, "a command in sequence was refused");
    }
    compare_events(run);
    compare_totals(run);
    const char *wrong = reload_is_due(command.seq * run->seed) ? reload(&run->matcher, run->reference->capacity) : NULL;
    if (wrong != NULL) {
        fail(run, wrong);
    }
}

static void define(struct run *run)
{
    static const int64_t ticks[INSTRUMENTS] = {1, 100, 25};
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        struct ib_command command = {.type = IB_COMMAND_INSTRUMENT_ADD, .instrument = i, .price = ticks[i]};
        (void)snprintf((char *)command.client_data, sizeof command.client_data, "SYM%u    ", (unsigned)i);
        apply(run, command);
    }
    for (uint16_t i = 0; i < SESSIONS; i++) {
        struct ib_command command = {.type = IB_COMMAND_SESSION_ADD, .session = i};
        (void)snprintf((char *)command.client_data, sizeof command.client_data, "USER%u FIRM", (unsigned)i);
        apply(run, command);
    }
}

static void simulate(struct run *run, uint64_t seed, uint64_t steps)
{
    static const uint32_t capacities[] = {1, 7, 64, 300};
    uint32_t capacity = capacities[seed % 4];
    run->seed = seed;
    run->random = (seed + 1) * IB_HASH_A;
    run->step = 0;
    memset(run->next_user_ref, 0, sizeof run->next_user_ref);
    memset(run->reference, 0, sizeof *run->reference);
    run->reference->capacity = capacity;
    if (ib_matcher_open(&run->matcher, capacity) != IB_OK) {
        fail(run, "no memory");
    }
    define(run);
    for (uint64_t i = 0; i < steps; i++) {
        apply(run, draw_command(run));
        if (i % 100 == 0) {
            compare_book(run);
        }
    }
    if (one_in(run, 2)) {
        apply(run, (struct ib_command){.type = IB_COMMAND_END_OF_DAY});
        apply(run, draw_command(run));
    }
    compare_book(run);
    run->command_count += run->step;
    run->trades += run->reference->trades;
    ib_matcher_close(run->matcher);
}

int main(int argc, char **argv)
{
    uint64_t seeds = option(argc, argv, "--seeds", 20);
    uint64_t first = option(argc, argv, "--first", 1);
    uint64_t steps = option(argc, argv, "--steps", 3000);
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL || (run->reference = calloc(1, sizeof *run->reference)) == NULL) {
        fprintf(stderr, "sim: no memory\n");
        return 2;
    }
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        simulate(run, seed, steps);
    }
    printf("sim: %llu seeds, %llu commands, %llu trades, no difference; digest %016llx\n", (unsigned long long)seeds,
           (unsigned long long)run->command_count, (unsigned long long)run->trades, (unsigned long long)run->digest);
    free(run->reference);
    free(run);
    return 0;
}
