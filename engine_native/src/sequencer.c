/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sequencer.c: see sequencer.h.
 */
#define _GNU_SOURCE
#include "sequencer.h"

#include "check.h"
#include "clock.h"
#include "ironbook_core.h"

enum {
    /* Bound on the events of n commands in flight, over what the live orders allow: each can add one order that
     * is filled later (2), be accepted or replaced (1), rest or be cancelled (1), and leave two partial fills (4). */
    EVENTS_A_COMMAND = 8,
    ROOM_FOR_REJECTS = 4096, /* kept back for rejects and cancels of parts once Enter is refused */
    ROOM_FOR_ADMINISTRATOR = 1024, /* … for kills, halts and phases, by hand or by the clock, once those are */
    ROOM_TO_END = 64,              /* … and for the end of the day and cancels of all, whatever came before */
    FEW = 8,                       /* commands that the I/O thread writes itself, at most */
    RESERVE_MAX = 65536,           /* commands of the journal's last room that no new order may use: 12 MiB */
};

_Static_assert(EVENTS_A_COMMAND == 2 + 1 + 1 + 4, "all that one command in flight can cause");

/* What an order may cause later that a plain one does not, as ib_matcher_events_max counts it for those that are live:
 * an iceberg's slices, the release of a parked one. */
static uint64_t special_events(const struct ib_command *command)
{
    uint64_t events = 0;
    IB_ASSERT(command->type != 0);
    if (command->type != IB_COMMAND_ENTER && command->type != IB_COMMAND_REPLACE) {
        return 0;
    }
    events += command->displayed > 0 ? 3u * IB_SLICES_MAX : 0u;
    events += command->order_type == IB_ORDER_STOP || command->order_type == IB_ORDER_STOP_LIMIT ||
                      command->time_in_force == IB_TIME_IN_FORCE_AT_CLOSE
                  ? 6u
                  : 0u;
    IB_ASSERT(events <= 3 * IB_SLICES_MAX + 6);
    return events;
}

/* What a command must leave for those that are more urgent. The end of an order is told by one event and frees the room
 * of two: that never makes anything worse. */
static uint64_t kept_back(const struct ib_command *command)
{
    _Static_assert(ROOM_TO_END < ROOM_FOR_ADMINISTRATOR, "who may end it all has the last word");
    IB_ASSERT(command->type != 0);
    switch (command->type) {
    case IB_COMMAND_MASS_CANCEL:
    case IB_COMMAND_EXPIRE:
    case IB_COMMAND_END_OF_DAY:
    case IB_COMMAND_ORDER_ENTRY: /* no event at all */
        return 0;
    case IB_COMMAND_CANCEL:
        return command->quantity == 0 ? 0 : ROOM_FOR_ADMINISTRATOR;
    case IB_COMMAND_HALT:
    case IB_COMMAND_RESUME:
    case IB_COMMAND_PHASE:
    case IB_COMMAND_KILL:
        return ROOM_TO_END;
    case IB_COMMAND_ENTER:
    case IB_COMMAND_REPLACE:
        return ROOM_FOR_ADMINISTRATOR + (command->reason == IB_REASON_NONE ? ROOM_FOR_REJECTS : 0u);
    default:
        return ROOM_FOR_ADMINISTRATOR;
    }
}

bool ib_sequencer_admits(const struct ib_sequencer *sequencer, const struct ib_command *command)
{
    IB_ASSERT(sequencer != NULL && command != NULL);
    /* In this order: the matcher may go on meanwhile, which counts its commands twice and never not at all. */
    uint64_t matched = sequencer->base_seq + ib_ring_done(&sequencer->ring, IB_RING_MATCHER);
    uint64_t largest = atomic_load_explicit(&sequencer->events_max, memory_order_acquire);
    uint64_t room = ib_event_log_room(sequencer->log);
    IB_ASSERT(matched <= sequencer->seq);
    uint64_t in_flight = EVENTS_A_COMMAND * (sequencer->seq - matched + 1) + sequencer->sessions;
    in_flight += matched >= sequencer->special_seq ? 0 : sequencer->special;
    return ib_sequencer_has_room(sequencer, command) && room >= largest + in_flight + kept_back(command);
}

/* As kept_back, of the journal's last room, which is counted in commands. */
static uint64_t room_kept_back(const struct ib_command *command, uint64_t reserve)
{
    IB_ASSERT(command->type != 0);
    IB_ASSERT(reserve <= RESERVE_MAX);
    switch (command->type) {
    case IB_COMMAND_ENTER:
    case IB_COMMAND_REPLACE:
        return command->reason == IB_REASON_NONE ? reserve : reserve / 2;
    case IB_COMMAND_CANCEL:
        return reserve / 8;
    case IB_COMMAND_MASS_CANCEL:
    case IB_COMMAND_EXPIRE:
    case IB_COMMAND_END_OF_DAY:
    case IB_COMMAND_ORDER_ENTRY:
    case IB_COMMAND_HALT:
    case IB_COMMAND_RESUME:
    case IB_COMMAND_PHASE:
    case IB_COMMAND_KILL:
        return 0;
    default:
        return reserve / 4;
    }
}

bool ib_sequencer_has_room(const struct ib_sequencer *sequencer, const struct ib_command *command)
{
    IB_ASSERT(sequencer != NULL && command != NULL);
    if (sequencer->journal == NULL) {
        return true;
    }
    uint64_t room_seq = ib_journal_room_seq(sequencer->journal);
    uint64_t reserve = ib_journal_segment_capacity(sequencer->journal) / 4;
    IB_ASSERT(room_seq >= sequencer->seq);
    return room_seq - sequencer->seq > room_kept_back(command, reserve < RESERVE_MAX ? reserve : RESERVE_MAX);
}

bool ib_sequencer_disk_is_full(const struct ib_sequencer *sequencer)
{
    IB_ASSERT(sequencer != NULL);
    IB_ASSERT(sequencer->journal == NULL || ib_journal_segment_capacity(sequencer->journal) > 0);
    return sequencer->journal != NULL && ib_journal_room_error(sequencer->journal) != 0;
}

bool ib_sequencer_submit(struct ib_sequencer *sequencer, const struct ib_command *command)
{
    IB_ASSERT(sequencer != NULL && command != NULL);
    IB_ASSERT(command->seq == 0 && command->time_ns == 0); /* both are given here, and nowhere else */
    if (sequencer->replica != NULL &&
        !ib_replica_may_sequence(sequencer->replica, sequencer->seq - sequencer->replica->last_seq + 1)) {
        return false;
    }
    struct ib_command *slot = ib_ring_claim(&sequencer->ring);
    if (slot == NULL) {
        return false;
    }
    uint64_t now_ns = ib_clock_ns(CLOCK_REALTIME);
    if (now_ns > sequencer->time_ns) { /* the wall clock may be set back; the journal's time never goes back */
        sequencer->time_ns = now_ns;
    }
    *slot = *command;
    slot->seq = ++sequencer->seq;
    slot->time_ns = sequencer->time_ns;
    ib_latency_sequenced(sequencer->latency, slot->seq);
    uint64_t special = special_events(command);
    if (special > 0) {
        uint64_t matched = sequencer->base_seq + ib_ring_done(&sequencer->ring, IB_RING_MATCHER);
        sequencer->special = special + (matched >= sequencer->special_seq ? 0 : sequencer->special);
        sequencer->special_seq = sequencer->seq;
    }
    IB_ASSERT(sequencer->seq == sequencer->base_seq + sequencer->ring.claimed);
    IB_ASSERT(sequencer->seq <= IB_SEQ_MAX);
    return true;
}

/* What of claimed commands nobody has seen is kept for the I/O thread: a few plain ones while the other two threads
 * have nothing to do. What could take long, or begins an epoch, is not. */
static bool may_keep(const struct ib_sequencer *sequencer)
{
    const struct ib_ring *ring = &sequencer->ring;
    uint64_t position = ib_ring_shown(ring, IB_RING_JOURNAL);
    uint64_t count = ring->claimed - position;
    IB_ASSERT(position <= ring->claimed);
    IB_ASSERT(sequencer->seq == sequencer->base_seq + ring->claimed);
    if (sequencer->journal == NULL || count > FEW || !ib_ring_is_idle(ring, IB_RING_JOURNAL) ||
        !ib_ring_is_idle(ring, IB_RING_MATCHER) || ib_journal_segment_left(sequencer->journal) < count) {
        return false;
    }
    for (; position < ring->claimed; position++) {
        uint16_t type = ring->commands[position & (ring->capacity - 1)].type;
        if (type != IB_COMMAND_ENTER && type != IB_COMMAND_REPLACE && type != IB_COMMAND_CANCEL) {
            return false;
        }
    }
    return true;
}

static void show_or_keep(struct ib_sequencer *sequencer)
{
    IB_ASSERT(sequencer != NULL);
    IB_ASSERT(sequencer->released_seq <= sequencer->seq);
    if (!may_keep(sequencer)) {
        ib_ring_publish(&sequencer->ring);
    }
}

void ib_sequencer_publish(struct ib_sequencer *sequencer)
{
    IB_ASSERT(sequencer != NULL);
    const struct ib_ring *ring = &sequencer->ring;
    show_or_keep(sequencer); /* matcher and journal begin while the others are told */
    uint64_t position = sequencer->replica != NULL ? sequencer->replica->last_seq - sequencer->base_seq : ring->claimed;
    while (position < ring->claimed) {
        uint64_t place = position & (ring->capacity - 1);
        uint64_t count = ring->claimed - position;
        count = count < IB_REPLICA_BATCH_MAX ? count : IB_REPLICA_BATCH_MAX;
        count = count < ring->capacity - place ? count : ring->capacity - place;
        bool taken = ib_replica_sequence(sequencer->replica, &ring->commands[place], count);
        IB_ASSERT(taken); /* was asked before each of them, and nothing else happened since */
        (void)taken;
        position += count;
    }
}

bool ib_sequencer_follow(struct ib_sequencer *sequencer, const struct ib_replica_entry *entries, size_t count)
{
    IB_ASSERT(sequencer->seq == sequencer->replica->last_seq && count >= 1);
    if (ib_ring_free_slots(&sequencer->ring) < count ||
        ib_journal_room_seq(sequencer->journal) - sequencer->seq < count) {
        return false;
    }
    ib_latency_input(sequencer->latency, 0); /* no input of a client's is timed here */
    for (size_t i = 0; i < count; i++) {
        struct ib_command *slot = ib_ring_claim(&sequencer->ring);
        IB_ASSERT(slot != NULL && entries[i].command.seq == sequencer->seq + 1);
        *slot = entries[i].command;
        sequencer->seq = slot->seq;
        sequencer->time_ns = slot->time_ns > sequencer->time_ns ? slot->time_ns : sequencer->time_ns;
        ib_latency_sequenced(sequencer->latency, slot->seq);
    }
    show_or_keep(sequencer);
    return true;
}

uint64_t ib_sequencer_release(struct ib_sequencer *sequencer)
{
    IB_ASSERT(sequencer != NULL);
    uint64_t seq = sequencer->base_seq + ib_ring_done_by_all(&sequencer->ring);
    IB_ASSERT(seq >= sequencer->passed_seq && seq <= sequencer->seq);
    sequencer->passed_seq = seq;
    if (sequencer->replica != NULL && sequencer->commit_seq < seq) { /* R8 */
        seq = sequencer->commit_seq;
    }
    if (seq > sequencer->released_seq) { /* after a start nothing is known to be committed until the primary says it */
        sequencer->released_seq = seq;
    }
    return ib_event_log_release(sequencer->log, sequencer->released_seq);
}
