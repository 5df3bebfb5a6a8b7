/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_members.c: who counts. The primary alone changes the in-sync set, by a conditional write, and one change at a
 * time (R4): who is shut out is waited for until it is written that he is; who is taken in is waited for from the
 * moment that it might be written. Never fewer than min_in_sync: nothing could be committed, and there would be fewer
 * who may take over.
 */
#include "replica_internal.h"

/* It has everything that is committed, and nearly all that is sequenced. */
static bool has_caught_up(const struct ib_replica *self, unsigned member)
{
    const struct ib_replica_peer *peer = &self->peers[member];
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(peer->acked_seq <= self->last_seq);
    return peer->connected && peer->matched && !peer->diverged && peer->acked_seq >= self->epoch_seq &&
           peer->acked_seq >= self->commit_seq && self->last_seq - peer->acked_seq <= self->config.grow_lag;
}

static bool is_failing(const struct ib_replica *self, unsigned member)
{
    const struct ib_replica_peer *peer = &self->peers[member];
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(member != self->config.member);
    if (peer->diverged) {
        return true;
    }
    if (!peer->connected) {
        return self->now_ns - peer->down_ns >= self->config.down_ns &&
               self->now_ns - peer->progress_ns >= self->config.down_ns;
    }
    return self->now_ns - peer->progress_ns >= self->config.lag_ns;
}

void ib_members_tick(struct ib_replica *self)
{
    uint32_t in_sync = self->record.in_sync;
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(in_sync & ib_member_bit(self->config.member));
    if (self->handover_to != IB_REPLICA_NOBODY && self->now_ns >= self->drain_due_ns) {
        self->handover_to = IB_REPLICA_NOBODY; /* somebody does not acknowledge: trade on */
    }
    if (self->store.proposing || self->store.due_ns != IB_NEVER || self->now_ns < self->store.retry_ns ||
        self->epoch_seq == 0) {
        return;
    }
    for (unsigned i = 0; i < self->config.members; i++) {
        if (i != self->config.member && (in_sync & ib_member_bit(i)) == 0 && has_caught_up(self, i)) {
            in_sync |= ib_member_bit(i);
        }
    }
    for (unsigned i = 0; i < self->config.members && in_sync == self->record.in_sync; i++) {
        if (i != self->config.member && (in_sync & ib_member_bit(i)) != 0 && is_failing(self, i) &&
            ib_set_size(in_sync) > self->config.min_in_sync) {
            in_sync &= ~ib_member_bit(i);
        }
    }
    if (in_sync != self->record.in_sync) {
        struct ib_shard_record record = self->record;
        record.version++;
        record.in_sync = in_sync;
        ib_store_propose(self, record);
    }
}

/* ---- planned switchover: drain, say so, and stop; the other one takes over as after a crash, but at once ---- */

int ib_replica_switch_over(struct ib_replica *self, unsigned to)
{
    IB_ASSERT(self->config.members > 0);
    IB_ASSERT(self->handover_to == IB_REPLICA_NOBODY || ib_replica_leads(self));
    if (self->role != IB_ROLE_PRIMARY || to >= self->config.members || to == self->config.member ||
        (self->record.in_sync & ib_member_bit(to)) == 0 || !self->peers[to].connected || self->store.proposing) {
        return IB_ERROR_ARGUMENT;
    }
    self->handover_to = (uint8_t)to;
    self->drain_due_ns = self->now_ns + self->config.drain_ns;
    if (self->commit_seq == self->last_seq) {
        ib_members_hand_over(self);
    }
    return IB_OK;
}

void ib_members_hand_over(struct ib_replica *self)
{
    unsigned to = self->handover_to;
    IB_ASSERT(self->role == IB_ROLE_PRIMARY && to < self->config.members);
    IB_ASSERT(self->commit_seq == self->last_seq);
    struct ib_replica_frame frame = {.type = IB_FRAME_HANDOVER, .epoch = self->epoch, .seq = self->last_seq,
                                     .chain = self->chain, .commit_seq = self->commit_seq,
                                     .flags = ib_primary_counts(self, to) ? IB_FRAME_IN_SYNC : 0};
    /* Stopped first: should nobody get the frame, this member is one of those that may take over later. */
    ib_replica_step_down(self, self->now_ns + self->config.silence_ns, "handed over");
    ib_replica_send(self, to, frame, NULL, 0);
}
