/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_member.c: an engine as a member of a replicated shard. It has a venue (order entry, event feed, command
 * stream) while it is primary, and none otherwise. What ends here is the life of a state: a member that has to discard
 * its own ends its run, and is opened again.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>

#include "check.h"
#include "engine_internal.h"

enum { LEAVE_MS = 2000 }; /* for a handover before the end: one that waits for others is given up after drain_ms */

static bool is_primary(const struct ib_engine *engine)
{
    IB_ASSERT(engine->replication != NULL);
    IB_ASSERT(engine->replication->sequencer == &engine->sequencer);
    return engine->replication->replica.role == IB_ROLE_PRIMARY && engine->replication->status == IB_OK &&
           !engine->replication->restarts;
}

/* Whether the run goes on; if not, why is noted. */
static bool goes_on(struct ib_engine *engine)
{
    const struct ib_replication *replication = engine->replication;
    IB_ASSERT(replication != NULL);
    IB_ASSERT(replication->status == IB_OK || replication->error[0] != '\0'); /* who ends it says why */
    if (replication->status != IB_OK) {
        if (replication->replica.role == IB_ROLE_STOPPED) { /* maybe for the state that it began with */
            (void)ib_engine_distrust_snapshot(engine);
        }
        ib_engine_fail(engine, replication->status, replication->error);
    } else if (replication->restarts) {
        ib_engine_fail(engine, IB_RESTART, "this member has what the primary has not: it discards its state");
    }
    return atomic_load(&engine->fatal) == IB_OK && !atomic_load(&engine->stopping);
}

/* Until everything is matched and committed, or this member is primary no more. */
static bool settle(struct ib_engine *engine)
{
    struct ib_sequencer *sequencer = &engine->sequencer;
    IB_ASSERT(!ib_engine_has_venue(engine));
    while (goes_on(engine) && is_primary(engine)) {
        IB_ASSERT(sequencer->released_seq <= sequencer->seq);
        if (sequencer->released_seq == sequencer->seq) {
            return true;
        }
        ib_engine_turn(engine);
    }
    return false;
}

int ib_engine_sequence_as_primary(struct ib_engine *engine, const struct ib_command *command, char *error)
{
    struct ib_sequencer *sequencer = &engine->sequencer;
    IB_ASSERT(!ib_engine_has_venue(engine));
    IB_ASSERT(command->seq == 0 && error != NULL);
    while (!ib_sequencer_admits(sequencer, command) || !ib_sequencer_submit(sequencer, command)) {
        if (!goes_on(engine) || !is_primary(engine)) {
            snprintf(error, IB_ERROR_TEXT_SIZE, "this member is primary no more");
            return IB_RESTART;
        }
        if (ib_event_log_room(engine->log) < ib_matcher_events_max(engine->matcher) + IB_SESSIONS_MAX) {
            snprintf(error, IB_ERROR_TEXT_SIZE, "limits.events = %llu is too low for the journal: raise it",
                     (unsigned long long)engine->config.events);
            return IB_ERROR_CAPACITY;
        }
        ib_engine_turn(engine);
    }
    ib_sequencer_publish(sequencer);
    while (sequencer->base_seq + ib_ring_done(&sequencer->ring, IB_RING_MATCHER) < sequencer->seq) {
        if (atomic_load(&engine->fatal) != IB_OK) {
            return IB_ERROR_IO; /* the matcher thread has said why */
        }
        (void)sched_yield(); /* a microsecond, and nothing else could happen here */
    }
    return IB_OK;
}

/* It leads, everything that it inherited is committed, and the matcher stands still: what its configuration adds, and
 * then it trades. */
static void open_venue(struct ib_engine *engine)
{
    char error[IB_ERROR_TEXT_SIZE] = "";
    IB_ASSERT(!ib_engine_has_venue(engine) && is_primary(engine));
    if (!settle(engine)) {
        return;
    }
    engine->is_new = ib_matcher_rules(engine->matcher) == IB_RULES_1 &&
                     ib_matcher_session_count(engine->matcher) == 0 &&
                     ib_matcher_instrument_count(engine->matcher) == 0;
    int status = ib_engine_configure(engine, error);
    if (status == IB_OK && settle(engine)) {
        status = ib_engine_open_venue(engine, error);
    }
    if (status == IB_RESTART || atomic_load(&engine->fatal) != IB_OK || !is_primary(engine)) {
        ib_engine_close_venue(engine);
    } else if (status != IB_OK) {
        ib_engine_close_venue(engine);
        ib_engine_fail(engine, status, error);
    }
    IB_ASSERT(status != IB_OK || !ib_engine_has_venue(engine) || engine->sequencer.released_seq > 0);
}

/* The next member in the order of takeover: should this one end before the other leads, it is not raced by a third. */
bool ib_engine_leave(struct ib_engine *engine)
{
    IB_ASSERT(engine->signals.fd >= 0);
    if (engine->replication == NULL || !ib_engine_has_venue(engine) || engine->leave_ms != 0) {
        return false;
    }
    struct ib_replica *replica = &engine->replication->replica;
    IB_ASSERT(replica->config.members >= 1);
    for (unsigned i = 1; i < replica->config.members && engine->leave_ms == 0; i++) {
        if (ib_replica_switch_over(replica, (replica->config.member + i) % replica->config.members) == IB_OK) {
            engine->leave_ms = engine->loop.now_ms + LEAVE_MS;
        }
    }
    return engine->leave_ms != 0;
}

/* Whether a member that has begun to hand over may end: another one leads, or it comes to nothing. */
static bool has_left(const struct ib_engine *engine)
{
    const struct ib_replica *replica = &engine->replication->replica;
    bool is_alone = true;
    IB_ASSERT(engine->leave_ms != 0);
    IB_ASSERT(replica->primary == IB_REPLICA_NOBODY || replica->primary < replica->config.members);
    for (unsigned i = 0; i < replica->config.members; i++) {
        is_alone = is_alone && !replica->peers[i].connected;
    }
    bool drains = replica->role == IB_ROLE_PRIMARY && replica->handover_to != IB_REPLICA_NOBODY;
    bool waits = replica->role == IB_ROLE_STANDBY && replica->primary == IB_REPLICA_NOBODY; /* for the new primary */
    return !(drains || waits) || engine->replication->restarts || is_alone || engine->loop.now_ms >= engine->leave_ms;
}

void ib_engine_follow_role(struct ib_engine *engine)
{
    IB_ASSERT(engine->replication != NULL);
    if (engine->leave_ms != 0 && has_left(engine)) {
        atomic_store(&engine->stopping, true);
    }
    if (!goes_on(engine)) {
        return;
    }
    if (is_primary(engine) && !ib_engine_has_venue(engine)) {
        open_venue(engine);
    } else if (!is_primary(engine) && ib_engine_has_venue(engine)) {
        ib_engine_close_venue(engine);
    }
    IB_ASSERT(!ib_engine_has_venue(engine) || is_primary(engine));
}
