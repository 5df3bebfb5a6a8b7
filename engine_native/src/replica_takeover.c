/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_takeover.c: becoming primary, in the order of R3: read the record; promise a new epoch, on disk, from when on
 * the old one's frames are refused; write the record, if nobody has changed it; and only then lead. Time says when to
 * try, and nothing else: two that try at once, or one that tries without need, do no harm but the interruption.
 */
#include "replica_internal.h"

uint64_t ib_takeover_turn(const struct ib_replica *self, unsigned lost)
{
    unsigned members = self->config.members;
    IB_ASSERT(lost < members);
    IB_ASSERT(self->config.member < members);
    unsigned behind = (self->config.member + members - lost - 1) % members; /* 0: the next one after it */
    return self->now_ns + behind * self->config.stagger_ns;
}

/* A member in doubt may have lost what it acknowledged. It may lead only when it has again what it surely had, and
 * every other in-sync member is there and has no more: what was acknowledged is in one of their journals, and the
 * newest one has it. A record that says that nobody has led yet is not believed against a journal: it may be a new one
 * of an old shard. */
static bool has_the_newest(const struct ib_replica *self)
{
    IB_ASSERT(self->role == IB_ROLE_TAKEOVER);
    IB_ASSERT(self->record.in_sync & ib_member_bit(self->config.member));
    for (unsigned i = 0; i < self->config.members; i++) {
        const struct ib_replica_peer *peer = &self->peers[i];
        if (i == self->config.member || (self->record.in_sync & ib_member_bit(i)) == 0) {
            continue;
        }
        if (!peer->connected || !peer->has_hello || peer->last_epoch > self->last_epoch ||
            (peer->last_epoch == self->last_epoch && peer->last_seq > self->last_seq)) {
            return false;
        }
    }
    /* In epoch 0 nobody was ever primary, and nothing was acknowledged: so a shard of new disks begins. */
    return self->last_seq >= self->doubt_seq || self->doubt_seq == 1 || self->record.epoch == 0;
}

void ib_takeover_tick(struct ib_replica *self)
{
    IB_ASSERT(!ib_replica_leads(self));
    IB_ASSERT(self->promising >= self->promised);
    if (self->role != IB_ROLE_STANDBY) {
        return;
    }
    if (self->primary < self->config.members && self->now_ns - self->primary_ns > self->config.silence_ns) {
        ib_standby_lost(self, ib_takeover_turn(self, self->primary)); /* a dead host */
    }
    if (self->now_ns >= self->takeover_ns && !self->truncating && self->promised == self->promising &&
        self->store.due_ns == IB_NEVER) {
        self->takeover_ns = IB_NEVER;
        self->stage = IB_STAGE_READ;
        ib_replica_become(self, IB_ROLE_TAKEOVER, "no primary is heard");
        ib_store_read(self);
    }
}

/* The record is read: may I, and is it time? */
static void consider(struct ib_replica *self)
{
    const struct ib_shard_record *record = &self->record;
    IB_ASSERT(self->stage == IB_STAGE_READ);
    IB_ASSERT(self->store.due_ns == IB_NEVER);
    uint64_t later = self->now_ns + self->config.silence_ns + self->config.member * self->config.stagger_ns;
    if (record->epoch > self->lost_epoch && record->primary != self->config.member) {
        self->lost_epoch = record->epoch;
        ib_replica_step_down(self, later, "a primary that was not heard yet: wait for it");
    } else if ((record->in_sync & ib_member_bit(self->config.member)) == 0) {
        ib_replica_step_down(self, later, "not in the in-sync set");
    } else if (self->doubt_seq > 0 && !has_the_newest(self)) {
        ib_replica_step_down(self, self->now_ns + self->config.retry_ns, "in doubt, and others may have more");
    } else {
        self->stage = IB_STAGE_PROMISE;
        uint64_t highest = record->epoch > self->promised ? record->epoch : self->promised;
        highest = self->highest > highest ? self->highest : highest;
        ib_replica_promise(self, highest + 1, self->doubt_seq);
    }
}

/* R3: the promise is on disk; now the record. */
void ib_takeover_promised(struct ib_replica *self)
{
    IB_ASSERT(self->role == IB_ROLE_TAKEOVER);
    if (self->stage != IB_STAGE_PROMISE || self->promised != self->promising) {
        return;
    }
    struct ib_shard_record record = self->record;
    IB_ASSERT(self->promised > record.epoch);
    uint8_t old = record.primary;
    record.version++;
    record.epoch = self->promised;
    record.primary = self->config.member;
    if (old != IB_REPLICA_NOBODY && old != self->config.member && !self->planned) {
        uint32_t without = record.in_sync & ~ib_member_bit(old);
        record.in_sync = ib_set_size(without) >= self->config.min_in_sync ? without : record.in_sync;
    }
    self->stage = IB_STAGE_WRITE;
    ib_store_propose(self, record);
}

void ib_takeover_settled(struct ib_replica *self)
{
    IB_ASSERT(self->role == IB_ROLE_TAKEOVER);
    IB_ASSERT(!self->store.proposing);
    if (self->stage == IB_STAGE_READ) {
        consider(self);
    } else if (self->stage == IB_STAGE_WRITE && self->record.epoch == self->promised &&
               self->record.primary == self->config.member) {
        self->planned = false;
        if (self->doubt_seq > 0) { /* what it has is what the shard has, from here on */
            self->doubt_seq = 0;
            ib_replica_promise(self, self->promised, 0);
        }
        ib_primary_begin(self);
    } else {
        ib_replica_step_down(self, ib_takeover_turn(self, 0) + self->config.silence_ns,
                             "another member changed the record first");
    }
}
