/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_history.c: an engine that began with a snapshot trades at once; the events of before it are made again behind
 * its back, out of the journal, by a thread and a matcher of their own, so that clients and consumers are served from
 * any point on, as ever. Who asks for one of them meanwhile waits.
 *
 * It ends at the snapshot's sequence number, and there its state hash must be the snapshot's: so each start compares a
 * snapshot with the journal that it stands for. If they differ, the engine ends. If the journal does not reach back to
 * its first command, or a record of then is damaged, trading goes on and those who ask for such events are refused.
 *
 * A member of a shard has to know the chain of those entries, too, for a member that lacks them: that is read first.
 * And where snapshot and journal differ, it discards its state: the next start does not use that snapshot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "engine_internal.h"
#include "snapshot.h"

enum { BATCH = 1024, NICE = 10 /* behind everything that trades */ };

/* All events up to the snapshot into the log. IB_OK too when the engine ends meanwhile. */
static int fill(struct ib_engine *engine, struct ib_replay *replay)
{
    struct ib_event *events = malloc(BATCH * sizeof *events);
    size_t count = 1;
    int status = events == NULL ? IB_ERROR_MEMORY : IB_OK;
    IB_ASSERT(ib_event_log_history_state(engine->log) == IB_HISTORY_COMING);
    while (status == IB_OK && count > 0 && !atomic_load(&engine->stopping)) {
        status = ib_replay_events(replay, events, BATCH, &count);
        if (status == IB_OK) {
            status = ib_event_log_fill(engine->log, events, count);
        }
    }
    free(events);
    IB_ASSERT(status != IB_OK || count == 0 || atomic_load(&engine->stopping));
    return status;
}

bool ib_engine_distrust_snapshot(const struct ib_engine *engine)
{
    IB_ASSERT(engine->replication != NULL);
    if (engine->snapshot_seq == 0) {
        return true;
    }
    bool done = ib_snapshot_set_aside(engine->config.journal_directory, engine->snapshot_seq);
    IB_ASSERT(engine->config.journal_directory != NULL);
    fprintf(stderr, "ironbook: engine: shard %u replica %u: the snapshot of sequence %llu is not used again: %s\n",
            engine->config.shard, engine->config.replica, (unsigned long long)engine->snapshot_seq,
            done ? "its name ends in .refused now" : strerror(errno));
    return done;
}

/* The journal is another one than the snapshot says. */
static void contradict(struct ib_engine *engine, const char *what)
{
    char text[IB_ERROR_TEXT_SIZE];
    bool is_discarded = engine->replication != NULL && ib_engine_distrust_snapshot(engine);
    IB_ASSERT(engine->snapshot_seq > 0 && what != NULL);
    snprintf(text, sizeof text, "the journal leads to another %s at sequence %llu than the snapshot of it says: %s",
             what, (unsigned long long)engine->snapshot_seq,
             is_discarded ? "this member discards its state, and begins without that snapshot"
                          : "move the snapshot out of journal_directory and start again; this is a defect");
    IB_ASSERT(text[0] != '\0');
    ib_engine_fail(engine, is_discarded ? IB_RESTART : IB_ERROR_JOURNAL_DAMAGED, text);
}

/* The entries of before the snapshot can be read again, or a line says why not. */
static int recall(struct ib_engine *engine)
{
    char error[IB_ERROR_TEXT_SIZE] = "";
    IB_ASSERT(engine->replication != NULL);
    int status = ib_entry_source_recall(&engine->replication->entries, engine->config.journal_directory,
                                        engine->config.shard, &engine->stopping, error);
    if (status == IB_ERROR_CONFIGURATION) {
        contradict(engine, "chain of entries");
    } else if (status != IB_OK) {
        fprintf(stderr, "ironbook: engine: shard %u replica %u: the entries before sequence %llu cannot be read again, "
                "and a member that lacks them cannot have them from here: %s\n", engine->config.shard,
                engine->config.replica, (unsigned long long)engine->snapshot_seq,
                error[0] != '\0' ? error : ib_status_text(status));
    }
    IB_ASSERT(status != IB_OK || error[0] == '\0');
    return status;
}

/* The journal has come to the snapshot: do they agree? */
static void compare(struct ib_engine *engine, const struct ib_replay *replay)
{
    struct ib_totals totals;
    ib_replay_totals(replay, &totals);
    IB_ASSERT(engine->snapshot_seq > 0);
    IB_ASSERT(ib_event_log_history_state(engine->log) == IB_HISTORY_COMING);
    if (totals.seq != engine->snapshot_seq || totals.state_hash != engine->snapshot_hash ||
        !ib_event_log_filled(engine->log)) {
        contradict(engine, "state");
    }
}

/* The events of before the snapshot. */
static void make_events(struct ib_engine *engine)
{
    struct ib_replay *replay = NULL;
    IB_ASSERT(ib_event_log_history_state(engine->log) == IB_HISTORY_COMING);
    int status = ib_replay_open(&replay, engine->config.journal_directory, engine->snapshot_seq);
    if (status == IB_OK) {
        status = fill(engine, replay);
    }
    if (status == IB_OK && !atomic_load(&engine->stopping)) {
        compare(engine, replay);
    } else if (status != IB_OK) {
        const char *why = replay != NULL ? ib_replay_error(replay) : "";
        fprintf(stderr, "ironbook: engine: the events up to sequence %llu cannot be made again, and nobody is served "
                "from before: %s\n", (unsigned long long)engine->snapshot_seq,
                why[0] != '\0' ? why : ib_status_text(status));
        ib_event_log_lose_history(engine->log);
    }
    ib_replay_close(replay);
    IB_ASSERT(ib_event_log_history_state(engine->log) != IB_HISTORY_COMING || atomic_load(&engine->stopping) ||
              atomic_load(&engine->fatal) != IB_OK);
}

static void *run_history(void *context)
{
    struct ib_engine *engine = context;
    IB_ASSERT(engine->snapshot_seq > 0);
    IB_ASSERT(engine->history_runs);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone; a wish */
    int status = engine->replication == NULL ? IB_OK : recall(engine);
    if (status != IB_ERROR_CONFIGURATION && ib_event_log_history_state(engine->log) == IB_HISTORY_COMING) {
        make_events(engine);
    }
    ib_ring_wake_producer(&engine->sequencer.ring);
    return NULL;
}

void ib_engine_history_start(struct ib_engine *engine)
{
    IB_ASSERT(!engine->history_runs);
    bool has_events = ib_event_log_history_state(engine->log) == IB_HISTORY_COMING;
    IB_ASSERT(!has_events || engine->snapshot_seq > 0);
    if (!has_events && (engine->replication == NULL || engine->snapshot_seq == 0)) {
        return;
    }
    engine->history_runs = true;
    if (pthread_create(&engine->history_thread, NULL, run_history, engine) != 0) {
        engine->history_runs = false;
        if (has_events) {
            ib_event_log_lose_history(engine->log);
        }
    }
}

void ib_engine_history_join(struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    IB_ASSERT(!engine->history_runs || atomic_load(&engine->stopping));
    if (engine->history_runs) {
        pthread_join(engine->history_thread, NULL);
        engine->history_runs = false;
    }
}
