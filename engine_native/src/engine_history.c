/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_history.c: an engine that began with a snapshot trades at once; the events of before it are made again behind
 * its back, out of the journal, by a thread and a matcher of their own, so that clients and consumers are served from
 * any point on, as ever. Who asks for one of them meanwhile waits.
 *
 * It ends at the snapshot's sequence number, and there its state hash must be the snapshot's: so each start compares a
 * snapshot with the journal that it stands for. If they differ, the engine ends. If the journal does not reach back to
 * its first command, or a record of then is damaged, trading goes on and those who ask for such events are refused.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "check.h"
#include "engine_internal.h"

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

/* The journal has come to the snapshot: do they agree? */
static void compare(struct ib_engine *engine, const struct ib_replay *replay)
{
    struct ib_totals totals;
    char text[IB_ERROR_TEXT_SIZE];
    ib_replay_totals(replay, &totals);
    IB_ASSERT(engine->snapshot_seq > 0);
    if (totals.seq == engine->snapshot_seq && totals.state_hash == engine->snapshot_hash &&
        ib_event_log_filled(engine->log)) {
        return;
    }
    snprintf(text, sizeof text, "the journal leads to another state at sequence %llu than the snapshot of it says: "
             "move the snapshot out of journal_directory and start again; this is a defect",
             (unsigned long long)engine->snapshot_seq);
    IB_ASSERT(text[0] != '\0');
    ib_engine_fail(engine, IB_ERROR_JOURNAL_DAMAGED, text);
}

static void *run_history(void *context)
{
    struct ib_engine *engine = context;
    struct ib_replay *replay = NULL;
    IB_ASSERT(engine->snapshot_seq > 0);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone; a wish */
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
    IB_ASSERT(engine->history_runs);
    ib_ring_wake_producer(&engine->sequencer.ring);
    return NULL;
}

void ib_engine_history_start(struct ib_engine *engine)
{
    IB_ASSERT(!engine->history_runs);
    if (ib_event_log_history_state(engine->log) != IB_HISTORY_COMING) {
        return;
    }
    IB_ASSERT(engine->snapshot_seq > 0);
    engine->history_runs = true;
    if (pthread_create(&engine->history_thread, NULL, run_history, engine) != 0) {
        engine->history_runs = false;
        ib_event_log_lose_history(engine->log);
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
