/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_standby.c: following a primary. R2 is kept in ib_standby_follow, R5's second half in take_entries.
 *
 * What is acknowledged is durable and was compared with the primary's chain in this epoch. An entry is cut off only
 * when the primary of a promised epoch has another one at its place, and never one that is known to be committed.
 */
#include "replica_internal.h"

static void reply(struct ib_replica *self, enum ib_replica_frame_type type, uint64_t seq, uint64_t number)
{
    IB_ASSERT(self->primary < self->config.members);
    IB_ASSERT(self->role == IB_ROLE_STANDBY);
    struct ib_replica_frame frame = {.type = (uint16_t)type, .epoch = self->epoch, .seq = seq,
                                     .number = number, .flags = self->no_room ? IB_FRAME_NO_ROOM : 0};
    if (self->matched && self->check_seq <= self->matched_seq) { /* behind that, the state is not the primary's yet */
        frame.check_seq = self->check_seq;
        frame.check_hash = self->check_hash;
    }
    ib_replica_send(self, self->primary, frame, NULL, 0);
}

void ib_standby_acknowledge(struct ib_replica *self)
{
    IB_ASSERT(!ib_replica_leads(self));
    IB_ASSERT(self->matched_seq <= self->last_seq);
    if (self->role != IB_ROLE_STANDBY || self->primary >= self->config.members || self->epoch != self->promising ||
        self->promised != self->promising || self->truncating || !self->matched) {
        return; /* it is another epoch's, or will be */
    }
    reply(self, IB_FRAME_ACK, self->durable_seq < self->matched_seq ? self->durable_seq : self->matched_seq, 0);
}

void ib_standby_lost(struct ib_replica *self, uint64_t takeover_ns)
{
    IB_ASSERT(self->role == IB_ROLE_STANDBY);
    IB_ASSERT(self->primary < self->config.members);
    self->primary = IB_REPLICA_NOBODY;
    self->lost_epoch = self->epoch > self->lost_epoch ? self->epoch : self->lost_epoch;
    self->takeover_ns = takeover_ns;
}

static void stop(struct ib_replica *self, const char *why)
{
    IB_ASSERT(!ib_replica_leads(self));
    IB_ASSERT(why != NULL);
    ib_replica_become(self, IB_ROLE_STOPPED, why);
}

/* Cuts off what the primary does not have, from behind seq on. */
static void cut(struct ib_replica *self, uint64_t seq)
{
    IB_ASSERT(seq < self->last_seq);
    IB_ASSERT(self->role == IB_ROLE_STANDBY);
    if (seq < self->commit_seq) {
        stop(self, "the primary has another entry where one is committed");
        return;
    }
    self->truncating = true;
    self->io.truncate(self->io.context, seq);
}

void ib_replica_truncated(struct ib_replica *self, uint64_t seq)
{
    IB_ASSERT(self->truncating || self->role == IB_ROLE_STOPPED);
    IB_ASSERT(seq < self->last_seq && seq >= self->commit_seq);
    if (self->role == IB_ROLE_STOPPED) {
        return;
    }
    struct ib_replica_entry entry = {.chain = IB_REPLICA_CHAIN_EMPTY};
    if (seq > 0) {
        size_t count = self->io.read(self->io.context, seq, &entry, 1);
        IB_ASSERT(count == 1 && entry.command.seq == seq);
    }
    self->truncating = false;
    self->last_seq = self->durable_seq = seq;
    self->last_epoch = entry.epoch;
    self->last_time_ns = entry.command.time_ns;
    self->chain = entry.chain;
    self->matched_seq = self->matched_seq < seq ? self->matched_seq : seq;
    self->begin_seq = self->begin_seq <= seq ? self->begin_seq : 0; /* then it went with what was cut off */
    for (unsigned i = 0; i < IB_REPLICA_CHECKS; i++) {
        self->checks[i].seq = self->checks[i].seq <= seq ? self->checks[i].seq : 0;
    }
    self->check_seq = 0;
    if (self->primary < self->config.members) {
        ib_replica_hello(self, self->primary);
    }
}

/* Where the primary shall look next: twice as far back from the end each time. What no primary has committed is at most
 * a window, so few steps find the last entry that both have, or one before. Not past the snapshot that this member
 * began with, before that was looked at: it holds what was committed, and what is before it may not be there. */
static uint64_t further_back(const struct ib_replica *self, uint64_t seq)
{
    uint64_t back = self->last_seq - seq + 1;
    IB_ASSERT(seq <= self->last_seq);
    IB_ASSERT(back > 0);
    uint64_t next = seq > back ? seq - back : 0;
    return seq > self->begin_seq && next < self->begin_seq ? self->begin_seq : next;
}

/* The entries behind frame->seq, up to which both have the same. */
static void take_entries(struct ib_replica *self, const struct ib_replica_frame *frame)
{
    struct ib_replica_entry *entries = self->entries;
    uint64_t chain = frame->chain;
    size_t known = 0; /* entries that are here already */
    IB_ASSERT(frame->seq <= self->last_seq);
    IB_ASSERT(frame->count <= IB_REPLICA_BATCH_MAX);
    for (size_t i = 0; i < frame->count; i++) {
        uint64_t seq = frame->seq + 1 + i;
        chain = ib_replica_chain(chain, entries[i].epoch, &entries[i].command);
        entries[i].chain = chain;
        if (seq > self->last_seq) {
            continue;
        }
        uint64_t mine;
        if (!ib_replica_chain_at(self, seq, &mine)) {
            return; /* it comes again */
        }
        if (mine != chain) { /* R5: compared, and another one */
            cut(self, seq - 1);
            return;
        }
        known = i + 1;
    }
    uint64_t matched = frame->seq + known;
    self->matched = true;
    self->no_room = known < frame->count && !ib_replica_append(self, entries + known, frame->count - known);
    if (known < frame->count && !self->no_room) {
        matched = self->last_seq;
    }
    self->matched_seq = matched > self->matched_seq ? matched : self->matched_seq;
}

/* The primary says that this member has all that is committed. */
static void end_doubt(struct ib_replica *self, const struct ib_replica_frame *frame)
{
    IB_ASSERT(self->role == IB_ROLE_STANDBY && frame->epoch == self->epoch);
    if ((frame->flags & IB_FRAME_IN_SYNC) != 0 && self->doubt_seq > 0) {
        self->doubt_seq = 0;
        ib_replica_promise(self, self->promising, 0);
    }
}

static void take_append(struct ib_replica *self, const struct ib_replica_frame *frame)
{
    IB_ASSERT(self->role == IB_ROLE_STANDBY);
    IB_ASSERT(frame->epoch == self->epoch);
    if (self->truncating) {
        return; /* it comes again */
    }
    if (frame->seq > self->last_seq) {
        reply(self, IB_FRAME_NACK, self->last_seq, frame->number);
        return;
    }
    uint64_t mine;
    if (!ib_replica_chain_at(self, frame->seq, &mine)) {
        return; /* it cannot be compared yet, and comes again */
    }
    if (mine != frame->chain) {
        if (frame->seq <= self->commit_seq) {
            stop(self, "the primary's journal is another one where mine is committed");
        } else {
            reply(self, IB_FRAME_NACK, further_back(self, frame->seq), frame->number);
        }
        return;
    }
    take_entries(self, frame);
    if (self->truncating || self->role == IB_ROLE_STOPPED) {
        return;
    }
    ib_replica_commit_to(self, frame->commit_seq < self->matched_seq ? frame->commit_seq : self->matched_seq);
    end_doubt(self, frame);
    if (frame->count == 0 || self->no_room || self->durable_seq >= self->matched_seq) {
        ib_standby_acknowledge(self); /* otherwise that comes when they are durable, which is all that is of use */
    }
}

/* The primary has seen another state at check_seq than I had. */
static void take_diverged(struct ib_replica *self, const struct ib_replica_frame *frame)
{
    IB_ASSERT(self->role == IB_ROLE_STANDBY);
    IB_ASSERT(frame->type == IB_FRAME_DIVERGED);
    if (self->checks[frame->check_seq % IB_REPLICA_CHECKS].seq == frame->check_seq &&
        self->checks[frame->check_seq % IB_REPLICA_CHECKS].hash != frame->check_hash) {
        stop(self, "this member's state is another one than the primary's: discard it, and replay");
    }
}

void ib_standby_follow(struct ib_replica *self, unsigned from, const struct ib_replica_frame *frame)
{
    IB_ASSERT(from < self->config.members && from != self->config.member);
    IB_ASSERT(frame->epoch > 0);
    if (self->must_read) {
        return;
    }
    if (frame->epoch < self->promising) { /* R2 */
        ib_replica_send(self, from,
                        (struct ib_replica_frame){.type = IB_FRAME_REFUSE, .epoch = self->promising}, NULL, 0);
        return;
    }
    if (frame->epoch > self->promising) {
        ib_replica_promise(self, frame->epoch, self->doubt_seq);
    }
    if (self->promised < frame->epoch) {
        return; /* not yet on disk: it comes again */
    }
    if (self->role == IB_ROLE_TAKEOVER) {
        ib_replica_step_down(self, IB_NEVER, "another member was first");
    }
    if (ib_replica_leads(self)) {
        return; /* nobody else has my epoch: not a member of this shard */
    }
    if (self->epoch != frame->epoch) {
        self->epoch = frame->epoch;
        self->matched = false;
        self->matched_seq = 0;
    }
    self->primary = (uint8_t)from;
    self->primary_ns = self->now_ns;
    self->takeover_ns = IB_NEVER;
    if (frame->type == IB_FRAME_APPEND) {
        take_append(self, frame);
    } else if (frame->type == IB_FRAME_DIVERGED) {
        take_diverged(self, frame);
    } else if (frame->seq == self->last_seq && frame->chain == self->chain && !self->truncating) {
        end_doubt(self, frame);
        ib_standby_lost(self, self->now_ns); /* handed over to me */
        self->planned = true;
    }
}
