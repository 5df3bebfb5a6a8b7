/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sequencer.h: gives each command its place. The I/O thread's end of the ring.
 *
 * What comes in here is in order and dense; what leaves the ring on the other side, and only that, may be
 * shown to anybody: `released_seq` is the last command that was both matched and written to the journal.
 *
 * Events need room in the event log before their command is sequenced, since a command in the journal
 * cannot be taken back. Near the end of the log Enter and Replace are sequenced as rejects; at the end
 * nothing is taken any more.
 */
#ifndef IB_SEQUENCER_H
#define IB_SEQUENCER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cancel_budget.h"
#include "event_log.h"
#include "latency.h"
#include "ring.h"

struct ib_sequencer {
    struct ib_ring ring;
    struct ib_event_log *log;
    struct ib_latency *latency; /* null: nothing is followed */
    uint64_t base_seq;     /* last command of the recovery: position 0 of the ring is the one after it */
    uint64_t seq;          /* last command sequenced */
    uint64_t time_ns;      /* its time */
    uint64_t released_seq; /* last command that may be shown */
    uint64_t special;      /* events that orders of the last special commands may cause besides … */
    uint64_t special_seq;  /* … and the last of these: once it is matched, the matcher's own count has them */
    uint64_t sessions;     /* End of Day causes an event for each */
    struct ib_cancel_budget cancels;
    _Atomic uint64_t events_max; /* written by the matcher thread: what one command could cause now, at most */
};

enum ib_sequencer_room {
    IB_SEQUENCER_OPEN,   /* all is taken */
    IB_SEQUENCER_REJECT, /* Enter and Replace must be sequenced as rejected: the event log is nearly full */
    IB_SEQUENCER_FULL,   /* nothing of clients is taken: the event log is full */
};

/* What the event log still allows. */
enum ib_sequencer_room ib_sequencer_room(const struct ib_sequencer *sequencer);

/* Stamps seq and time, and puts the command into the ring, unseen until ib_sequencer_publish. False when the
 * ring is full: nothing happened, try again after progress. */
bool ib_sequencer_submit(struct ib_sequencer *sequencer, const struct ib_command *command);
void ib_sequencer_publish(struct ib_sequencer *sequencer);

/* Releases events of commands that are matched and written. Returns the released count of events. */
uint64_t ib_sequencer_release(struct ib_sequencer *sequencer);

#endif
