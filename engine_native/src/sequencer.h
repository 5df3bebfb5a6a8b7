/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sequencer.h: gives each command its place. The I/O thread's end of the ring.
 *
 * What comes in here is in order and dense; what leaves the ring on the other side, and only that, may be
 * shown to anybody: `released_seq` is the last command that was both matched and written to the journal and, in a
 * replicated shard, committed.
 *
 * Events need room in the event log before their command is sequenced, since a command in the journal
 * cannot be taken back. What would end all orders at once always has its room; near the end of the log each command
 * has as much as it is needed for: first orders are sequenced as rejects, then not at all, then the administrator's
 * definitions are refused, and last of all what ends orders or trading. The journal's disk is shared out in the same
 * way, once it has no room for another segment.
 */
#ifndef IB_SEQUENCER_H
#define IB_SEQUENCER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cancel_budget.h"
#include "event_log.h"
#include "latency.h"
#include "replica.h"
#include "ring.h"

struct ib_sequencer {
    struct ib_ring ring;
    struct ib_event_log *log;
    struct ib_latency *latency; /* null: nothing is followed */
    const struct ib_journal *journal; /* for its room; null: there is always some */
    struct ib_replica *replica; /* null: the shard is not replicated */
    uint64_t commit_seq;   /* of the replica: up to here everything may be shown */
    uint64_t base_seq;     /* last command of the recovery: position 0 of the ring is the one after it */
    uint64_t seq;          /* last command sequenced */
    uint64_t time_ns;      /* its time */
    uint64_t released_seq; /* last command that may be shown */
    uint64_t passed_seq;   /* last command that was matched and written when it was last looked */
    uint64_t special;      /* events that orders of the last special commands may cause besides … */
    uint64_t special_seq;  /* … and the last of these: once it is matched, the matcher's own count has them */
    uint64_t sessions;     /* End of Day causes an event for each */
    struct ib_cancel_budget cancels;
    _Atomic uint64_t events_max; /* written by the matcher thread: what one command could cause now, at most */
};

/* Whether the event log has room for what the command may cause, and for all that is more urgent. An order that it has
 * none for may have, once it is marked as rejected. */
bool ib_sequencer_admits(const struct ib_sequencer *sequencer, const struct ib_command *command);

/* Whether the journal's disk has room for the command and for all that is more urgent: part of ib_sequencer_admits.
 * Where it has none, the next segment is still being made, or the disk is full and orders have to be refused. */
bool ib_sequencer_has_room(const struct ib_sequencer *sequencer, const struct ib_command *command);
bool ib_sequencer_disk_is_full(const struct ib_sequencer *sequencer);

/* Stamps seq and time, and puts the command into the ring, unseen until ib_sequencer_publish. False when the
 * ring is full, or the replica takes none now: nothing happened, try again after progress. */
bool ib_sequencer_submit(struct ib_sequencer *sequencer, const struct ib_command *command);
/* To the replica, and to matcher and journal; but a few orders, while those have nothing to do, are kept from both:
 * the I/O thread does their part itself in the next turn, so that a lone order is not handed from thread to thread. */
void ib_sequencer_publish(struct ib_sequencer *sequencer);

/* Entries of the shard's primary, or this one's EPOCH, as they are: into the ring, and shown. False when there is no
 * room in it or in the journal: nothing happened. */
bool ib_sequencer_follow(struct ib_sequencer *sequencer, const struct ib_replica_entry *entries, size_t count);

/* Releases events of commands that are matched and written. Returns the released count of events. */
uint64_t ib_sequencer_release(struct ib_sequencer *sequencer);

#endif
