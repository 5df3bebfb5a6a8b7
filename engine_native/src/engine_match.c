/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_match.c: the matcher thread: what is in the ring becomes state and events, some commands at a time.
 */
#define _GNU_SOURCE
#include <time.h>

#include "check.h"
#include "clock.h"
#include "engine_internal.h"

enum { MATCH_BATCH = 64 }; /* commands between two looks at the outside world */

static void take_snapshot(struct ib_engine *engine)
{
    if (atomic_load_explicit(&engine->snapshot_state, memory_order_seq_cst) == IB_SNAPSHOT_WANTED) {
        ib_matcher_totals(engine->matcher, &engine->snapshot_taken);
        engine->snapshot_taken_state = ib_matcher_trading_state(engine->matcher);
        IB_ASSERT(engine->snapshot_taken.seq == ib_matcher_seq(engine->matcher));
        IB_ASSERT(engine->snapshot_taken_state >= IB_TRADING_OPEN && engine->snapshot_taken_state <= IB_TRADING_ENDED);
        atomic_store_explicit(&engine->snapshot_state, IB_SNAPSHOT_TAKEN, memory_order_release);
        ib_ring_wake_producer(&engine->sequencer.ring);
    }
}

/* A session's mass cancel, which the account pays for. */
static int match_mass_cancel(struct ib_engine *engine, const struct ib_command *command, struct ib_event_sink *sink)
{
    const struct ib_session *session = ib_matcher_session(engine->matcher, command->session);
    IB_ASSERT(command->type == IB_COMMAND_MASS_CANCEL && session != NULL);
    uint64_t before_ns = ib_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int status = ib_matcher_apply(engine->matcher, command, sink);
    uint64_t cost_ns = ib_clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
    IB_ASSERT(status != IB_OK || ib_matcher_seq(engine->matcher) == command->seq);
    ib_cancel_budget_charge(&engine->sequencer.cancels, ib_cancel_budget_place(session->account, command->session),
                            cost_ns, ib_latency_clock_ns());
    return status;
}

/* What a session asks for names no account; what the administrator does names one wherever it names a session. */
static bool is_charged(const struct ib_command *command)
{
    return command->type == IB_COMMAND_MASS_CANCEL && command->session != IB_SESSION_NONE &&
           command->account == IB_ACCOUNT_ANY;
}

/* The first `*applied` of some commands: a mass cancel that is paid for, or what is before the next. */
static int match_together(struct ib_engine *engine, const struct ib_command *commands, size_t count,
                          struct ib_event_sink *sink, size_t *applied)
{
    IB_ASSERT(count > 0);
    IB_ASSERT(commands->seq == ib_matcher_seq(engine->matcher) + 1);
    if (is_charged(commands)) {
        *applied = 1;
        return match_mass_cancel(engine, commands, sink);
    }
    size_t together = 1;
    while (together < count && !is_charged(&commands[together])) {
        together++;
    }
    return ib_matcher_apply_group(engine->matcher, commands, together, sink, applied);
}

/* What a member has to know when it becomes primary; and what the others are told of the state. */
static void note_past(struct ib_engine *engine, const struct ib_command *commands, uint64_t count)
{
    size_t events;
    IB_ASSERT(count >= 1);
    IB_ASSERT(ib_matcher_seq(engine->matcher) == commands[count - 1].seq);
    for (uint64_t i = 0; i < count; i++) {
        ib_past_command(&engine->past, &commands[i]);
    }
    const struct ib_event *first = ib_event_log_unpublished(engine->log, &events);
    ib_past_events(&engine->past, engine->matcher, first, events);
    if (ib_replication_is_checked(engine->replication, &commands[count - 1])) {
        struct ib_totals totals;
        ib_matcher_totals(engine->matcher, &totals);
        ib_replication_matched(engine->replication, totals.seq, totals.state_hash);
    }
}

/* How many of the commands are matched before the next look at the outside world; of a member's, none behind one whose
 * state is compared. */
static uint64_t batch_of(const struct ib_engine *engine, const struct ib_command *commands, uint64_t count)
{
    IB_ASSERT(count >= 1);
    count = count < MATCH_BATCH ? count : MATCH_BATCH;
    for (uint64_t i = 0; engine->replication != NULL && i < count; i++) {
        if (ib_replication_is_checked(engine->replication, &commands[i])) {
            return i + 1;
        }
    }
    return count;
}

static int match_batch(struct ib_engine *engine, const struct ib_command *commands, uint64_t count)
{
    struct ib_event_sink *sink = ib_event_log_sink(engine->log);
    struct ib_latency *latency = engine->sequencer.latency;
    IB_ASSERT(count >= 1 && count <= MATCH_BATCH);
    for (uint64_t done = 0; done < count;) {
        const struct ib_command *first = &commands[done];
        size_t applied;
        ib_latency_begun(latency, first->seq);
        int status = match_together(engine, first, ib_latency_together(latency, first->seq, count - done), sink,
                                    &applied);
        if (status == IB_OK) {
            status = ib_event_log_status(engine->log);
        }
        if (status != IB_OK) {
            return status;
        }
        ib_latency_matched(latency, first->seq);
        done += applied;
    }
    IB_ASSERT(ib_matcher_seq(engine->matcher) == commands[count - 1].seq);
    if (engine->replication != NULL) {
        note_past(engine, commands, count);
    }
    ib_event_log_publish(engine->log); /* before the ring says that they are matched */
    atomic_store_explicit(&engine->next_expiry_ns, ib_matcher_next_expiry_ns(engine->matcher), memory_order_release);
    atomic_store_explicit(&engine->sequencer.events_max, ib_matcher_events_max(engine->matcher), memory_order_release);
    return IB_OK;
}

/* False: the engine has to end. */
static bool match(struct ib_engine *engine, const struct ib_command *commands, uint64_t count)
{
    int status = match_batch(engine, commands, count);
    IB_ASSERT(commands != NULL);
    if (status != IB_OK) {
        ib_engine_fail(engine, status,
                       status == IB_ERROR_IO ? "the event log in run_directory cannot grow: is its disk full?"
                                             : "the matcher refused a sequenced command: this is a defect");
    }
    return status == IB_OK;
}

void ib_engine_match_kept(struct ib_engine *engine)
{
    struct ib_ring *ring = &engine->sequencer.ring;
    struct ib_command *commands;
    uint64_t count;
    if (atomic_load(&engine->snapshot_state) == IB_SNAPSHOT_WANTED) { /* the other thread is looking at the matcher */
        ib_ring_show(ring, IB_RING_MATCHER);
        return;
    }
    while ((count = ib_ring_unshown(ring, IB_RING_MATCHER, &commands)) > 0) {
        IB_ASSERT(ib_ring_is_idle(ring, IB_RING_MATCHER));
        IB_ASSERT(ib_matcher_seq(engine->matcher) + 1 == commands->seq);
        count = batch_of(engine, commands, count);
        if (!match(engine, commands, count)) {
            return;
        }
        ib_ring_pass(ring, IB_RING_MATCHER, count);
    }
}

void *ib_engine_run_matcher(void *context)
{
    struct ib_engine *engine = context;
    struct ib_ring *ring = &engine->sequencer.ring;
    IB_ASSERT(engine->matcher != NULL); /* where it stands is not to be asked here: the I/O thread may match already */
    for (;;) {
        bool closed = ib_ring_is_closed(ring); /* before the look: what was published before the close is matched */
        struct ib_command *commands;
        uint64_t count = ib_ring_peek(ring, IB_RING_MATCHER, &commands);
        if (count > 0) {
            count = batch_of(engine, commands, count);
            if (!match(engine, commands, count)) {
                return NULL;
            }
            ib_ring_advance(ring, IB_RING_MATCHER, count); /* the matcher is the I/O thread's from here on */
        }
        take_snapshot(engine);
        if (count == 0) {
            if (closed) {
                return NULL;
            }
            ib_ring_wait(ring, IB_RING_MATCHER);
        }
    }
}
