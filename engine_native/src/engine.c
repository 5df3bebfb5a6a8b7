/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine.c: one shard as a running process. Three threads and what joins them (a fourth, engine_room.c, makes the
 * journal's segments and knows no order):
 *
 *   I/O (the caller's)   sockets in → decode → sequencer ─┬─► matcher thread ─► event log
 *                                                         └─► journal thread ─► pwrite(2)
 *   I/O                  released = what both have passed ─► reports, event feed
 *
 * Nothing leaves that is not in the journal: the I/O thread shows events only up to the slower of the two. Each
 * thread sleeps when it has nothing to do; and while both others sleep, the I/O thread does for a few orders what they
 * would do: to wake them and be woken by them takes longer. Any fatal error (disk, lost invariant) ends the whole
 * engine at once, with one line that says why; what was acknowledged is in the journal, and the next start goes on from
 * there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "engine_internal.h"

enum { RING_COMMANDS = 32768 }; /* 4 MiB: some milliseconds of a flood; a full ring stops reading from sockets */

_Static_assert((RING_COMMANDS & (RING_COMMANDS - 1)) == 0, "ib_ring_open wants a power of two");
_Static_assert((int)IB_JOURNAL_GROUP_MAX <= RING_COMMANDS, "and what the journal does");

void ib_engine_fail(struct ib_engine *engine, int status, const char *text)
{
    IB_ASSERT(status != IB_OK && text != NULL);
    pthread_mutex_lock(&engine->fatal_mutex);
    if (atomic_load(&engine->fatal) == IB_OK) { /* the first error is the cause; later ones are its echo */
        snprintf(engine->error, sizeof engine->error, "%s", text);
        atomic_store(&engine->fatal, status);
    }
    pthread_mutex_unlock(&engine->fatal_mutex);
    ib_ring_wake_producer(&engine->sequencer.ring);
}

/* One group, durable when it returns true. False: the engine has to end. */
static bool journal_group(struct ib_engine *engine, const struct ib_command *commands, uint64_t count)
{
    int status = ib_journal_append(engine->journal, commands, count);
    IB_ASSERT(count >= 1);
    if (status != IB_OK) {
        char error[IB_ERROR_TEXT_SIZE];
        ib_engine_journal_error(status, ib_journal_error(engine->journal), error);
        ib_engine_fail(engine, status, error);
        return false;
    }
    IB_ASSERT(ib_journal_seq(engine->journal) == commands[count - 1].seq);
    ib_latency_journaled(engine->sequencer.latency, ib_journal_seq(engine->journal));
    return true;
}

static void *run_journal(void *context)
{
    struct ib_engine *engine = context;
    struct ib_ring *ring = &engine->sequencer.ring;
    IB_ASSERT(engine->journal != NULL); /* where it stands is not to be asked here: the I/O thread may write already */
    for (;;) {
        bool closed = ib_ring_is_closed(ring);
        struct ib_command *commands;
        uint64_t count = ib_ring_peek(ring, IB_RING_JOURNAL, &commands);
        if (count > 0) { /* all that waits is one group: the busier the shard, the fewer writes a command */
            count = count < IB_JOURNAL_GROUP_MAX ? count : IB_JOURNAL_GROUP_MAX;
            if (!journal_group(engine, commands, count)) {
                return NULL;
            }
            ib_ring_advance(ring, IB_RING_JOURNAL, count); /* the journal is the I/O thread's from here on */
        } else if (closed) {
            return NULL;
        } else {
            ib_ring_wait(ring, IB_RING_JOURNAL);
        }
    }
}

static void signals_ready(void *owner, uint32_t events)
{
    struct ib_engine *engine = owner;
    struct signalfd_siginfo information;
    (void)events;
    ssize_t size = read(engine->signals.fd, &information, sizeof information);
    IB_ASSERT(size == (ssize_t)sizeof information || errno == EAGAIN);
    if (size == (ssize_t)sizeof information && !ib_engine_leave(engine)) {
        atomic_store(&engine->stopping, true);
    }
}

static int open_sequencer(struct ib_engine *engine)
{
    struct ib_sequencer *sequencer = &engine->sequencer;
    int status = ib_ring_open(&sequencer->ring, RING_COMMANDS);
    if (status != IB_OK) {
        return status;
    }
    sequencer->log = engine->log;
    sequencer->journal = engine->journal;
    sequencer->base_seq = sequencer->seq = sequencer->passed_seq = ib_journal_seq(engine->journal);
    /* Of what a member finds in its journal nobody knows yet whether it is committed. */
    sequencer->released_seq = engine->replication != NULL ? 0 : sequencer->base_seq;
    sequencer->time_ns = ib_journal_time_ns(engine->journal);
    sequencer->sessions = ib_matcher_session_count(engine->matcher);
    ib_cancel_budget_open(&sequencer->cancels, engine->config.mass_cancel_percent);
    atomic_store(&sequencer->events_max, ib_matcher_events_max(engine->matcher));
    atomic_store(&engine->next_expiry_ns, ib_matcher_next_expiry_ns(engine->matcher));
    IB_ASSERT(ib_matcher_seq(engine->matcher) == sequencer->base_seq); /* whatever is journaled is matched */
    IB_ASSERT(ib_matcher_time_ns(engine->matcher) == sequencer->time_ns);
    ib_matcher_totals(engine->matcher, &engine->snapshot);
    engine->trading_state = ib_matcher_trading_state(engine->matcher);
    return IB_OK;
}

int ib_engine_open(struct ib_engine **engine, const struct ib_engine_config *config, char *error)
{
    if (engine == NULL || config == NULL || error == NULL || config->shard > 99 || config->connections == 0 ||
        config->schedule_count > IB_SCHEDULES_MAX || config->mass_cancel_percent - 1 > 99) {
        return IB_ERROR_ARGUMENT;
    }
    *engine = NULL;
    error[0] = '\0';
    struct ib_engine *self = aligned_alloc(IB_RING_LINE, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    memset(self, 0, sizeof *self);
    self->config = *config;
    self->run_lock = self->loop.epoll_fd = -1;
    self->signals = (struct ib_io_handler){.fd = -1, .owner = self, .ready = signals_ready};
    self->ticks.fd = -1;
    self->started_at_s = ib_clock_ns(CLOCK_REALTIME) / 1000000000u;
    pthread_mutex_init(&self->fatal_mutex, NULL);
    int status = ib_engine_recover(self, error);
    if (status == IB_OK) {
        status = open_sequencer(self);
    }
    if (status == IB_OK) {
        status = ib_latency_open(&self->sequencer.latency, config->run_directory, config->latency_every,
                                 self->sequencer.base_seq, config->shard, config->replica, error);
    }
    if (status == IB_OK) {
        status = ib_io_loop_open(&self->loop);
    }
    if (status == IB_OK) {
        status = ib_engine_open_shell(self, error);
    }
    if (status == IB_OK) {
        status = self->replication == NULL ? ib_engine_open_venue(self, error)
                                           : ib_replication_open(self->replication, &self->sequencer,
                                                                 self->torn_bytes > 0, &self->loop, error);
    }
    if (status != IB_OK) {
        if (error[0] == '\0') {
            snprintf(error, IB_ERROR_TEXT_SIZE, "the engine cannot start: %s (%s)", ib_status_text(status),
                     strerror(errno));
        }
        ib_engine_close(self);
        return status;
    }
    IB_ASSERT(self->run_lock >= 0 && self->loop.epoll_fd >= 0);
    IB_ASSERT(self->admin != NULL && ib_engine_has_venue(self) == (self->replication == NULL));
    *engine = self;
    return IB_OK;
}

/* Shows what may be shown, and takes input again where there was no room. */
static void progress(struct ib_engine *engine)
{
    struct ib_sequencer *sequencer = &engine->sequencer;
    if (engine->replication != NULL) {
        ib_replication_progress(engine->replication);
    }
    uint64_t released = ib_sequencer_release(sequencer);
    if (ib_engine_has_venue(engine)) {
        ib_gateway_progress(engine->gateway, released);
        ib_event_feed_progress(engine->feed);
        ib_command_feed_progress(engine->commands);
    }
    ib_latency_released(sequencer->latency, sequencer->released_seq);
    ib_admin_progress(engine->admin);
    if (engine->replication != NULL) {
        ib_links_flush(engine->replication->links); /* what came of all that */
    }
    IB_ASSERT(sequencer->passed_seq >= sequencer->base_seq);
}

static void write_kept(struct ib_engine *engine)
{
    struct ib_ring *ring = &engine->sequencer.ring;
    struct ib_command *commands;
    uint64_t count;
    IB_ASSERT(ib_ring_shown(ring, IB_RING_JOURNAL) < ring->claimed);
    while ((count = ib_ring_unshown(ring, IB_RING_JOURNAL, &commands)) > 0) {
        IB_ASSERT(ib_ring_is_idle(ring, IB_RING_JOURNAL));
        if (!journal_group(engine, commands, count)) {
            return;
        }
        ib_ring_pass(ring, IB_RING_JOURNAL, count);
    }
    IB_ASSERT(ib_journal_seq(engine->journal) == engine->sequencer.seq);
}

static bool has_kept(const struct ib_engine *engine)
{
    const struct ib_ring *ring = &engine->sequencer.ring;
    IB_ASSERT(ring->claimed >= ib_ring_shown(ring, IB_RING_JOURNAL));
    return ring->claimed > ib_ring_shown(ring, IB_RING_JOURNAL);
}

/* What the two threads are spared (ib_sequencer_publish). The other members have it by now. */
static void serve_kept(struct ib_engine *engine)
{
    if (!has_kept(engine)) {
        return;
    }
    bool has_venue = ib_engine_has_venue(engine);
    IB_ASSERT(has_venue || engine->replication != NULL); /* who runs alone has nothing to serve without one */
    if (has_venue) {
        ib_engine_match_kept(engine);
    }
    write_kept(engine);
    progress(engine);
    if (!has_venue) { /* the primary waits for what is durable; for what becomes of it nobody does here */
        ib_engine_match_kept(engine);
        progress(engine);
    }
}

void ib_engine_turn(struct ib_engine *engine)
{
    struct ib_sequencer *sequencer = &engine->sequencer;
    progress(engine);
    serve_kept(engine);
    bool has_venue = ib_engine_has_venue(engine);
    bool busy = has_venue && (ib_gateway_is_busy(engine->gateway) || ib_command_feed_is_busy(engine->commands));
    busy = busy || has_kept(engine); /* what was released may have let more in, and nobody wakes this thread for it */
    bool sleep =
        !busy && ib_ring_producer_may_sleep(&sequencer->ring, sequencer->passed_seq - sequencer->base_seq);
    int sleep_ms = has_venue && ib_gateway_is_waiting(engine->gateway) ? 1 : -1;
    if (ib_io_turn(&engine->loop, sleep ? sleep_ms : 0) != IB_OK) {
        ib_engine_fail(engine, IB_ERROR_IO, "epoll_wait failed: this is a defect");
    }
    ib_ring_producer_awake(&sequencer->ring);
}

static bool start_threads(struct ib_engine *engine)
{
    sigset_t all, before;
    IB_ASSERT(!ib_ring_is_closed(&engine->sequencer.ring));
    IB_ASSERT(engine->signals.fd >= 0); /* blocked in this thread, and so in those that it starts */
    sigfillset(&all); /* signals belong to the I/O thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ib_engine_history_start(engine); /* without it the others run all the same */
    bool started = pthread_create(&engine->matcher_thread, NULL, ib_engine_run_matcher, engine) == 0;
    if (started && pthread_create(&engine->journal_thread, NULL, run_journal, engine) != 0) {
        ib_ring_close(&engine->sequencer.ring);
        pthread_join(engine->matcher_thread, NULL);
        started = false;
    }
    if (started && pthread_create(&engine->room_thread, NULL, ib_engine_run_room, engine) != 0) {
        ib_ring_close(&engine->sequencer.ring);
        pthread_join(engine->matcher_thread, NULL);
        pthread_join(engine->journal_thread, NULL);
        started = false;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

int ib_engine_run(struct ib_engine *engine)
{
    sigset_t ends, before;
    IB_ASSERT(engine != NULL && engine->signals.fd < 0);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, &before);
    engine->signals.fd = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    if (engine->signals.fd < 0 || ib_io_add(&engine->loop, &engine->signals, EPOLLIN) != IB_OK ||
        !start_threads(engine)) {
        ib_engine_fail(engine, IB_ERROR_IO, "the threads of the engine cannot be started");
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return IB_ERROR_IO;
    }
    while (!atomic_load(&engine->stopping) && atomic_load(&engine->fatal) == IB_OK) {
        if (engine->replication != NULL) {
            ib_engine_follow_role(engine);
        }
        ib_engine_turn(engine);
    }
    atomic_store(&engine->stopping, true); /* for the history */
    ib_ring_close(&engine->sequencer.ring);
    ib_journal_nudge(engine->journal);
    pthread_join(engine->matcher_thread, NULL);
    pthread_join(engine->journal_thread, NULL);
    pthread_join(engine->room_thread, NULL);
    ib_engine_history_join(engine);
    int status = atomic_load(&engine->fatal);
    if (status == IB_OK && engine->replication == NULL) {
        /* What was in flight is in the journal now: its reports leave, as far as sockets take them. */
        uint64_t released = ib_sequencer_release(&engine->sequencer);
        IB_ASSERT(engine->sequencer.released_seq == engine->sequencer.seq);
        ib_gateway_progress(engine->gateway, released);
        ib_latency_released(engine->sequencer.latency, engine->sequencer.released_seq);
        ib_event_feed_progress(engine->feed);
    }
    ib_io_drop(&engine->signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

void ib_engine_stop(struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    atomic_store(&engine->stopping, true);
    ib_ring_wake_producer(&engine->sequencer.ring);
}

const char *ib_engine_error(const struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    return engine->error;
}

uint64_t ib_engine_recovered_seq(const struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    return engine->recovered_seq;
}

void ib_engine_close(struct ib_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    atomic_store(&engine->stopping, true);
    ib_engine_history_join(engine); /* where the run could not begin */
    ib_admin_close(engine->admin);
    ib_engine_close_venue(engine);
    ib_replication_close(engine->replication);
    ib_io_drop(&engine->ticks);
    ib_io_drop(&engine->signals); /* still open where the run never began */
    ib_io_loop_close(&engine->loop);
    ib_ring_free(&engine->sequencer.ring);
    ib_latency_close(engine->sequencer.latency);
    if (engine->journal != NULL) {
        ib_journal_close(engine->journal);
    }
    ib_matcher_close(engine->matcher);
    if (engine->log != NULL) {
        ib_event_log_close(engine->log);
    }
    if (engine->run_lock >= 0) {
        close(engine->run_lock);
    }
    pthread_mutex_destroy(&engine->fatal_mutex);
    free(engine);
}
