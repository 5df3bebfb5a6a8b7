/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica.c: what happened, and to whom it goes. See replica.h and replica_internal.h.
 */
#include "replica_internal.h"

#include <string.h>

void ib_replica_open(struct ib_replica *self, const struct ib_replica_config *config, const struct ib_replica_io *io,
                     const struct ib_replica_recovered *recovered, uint64_t now_ns)
{
    IB_ASSERT(config->members >= 1 && config->members <= IB_REPLICA_MEMBERS_MAX && config->member < config->members);
    IB_ASSERT(config->min_in_sync >= 1 && config->min_in_sync <= config->members);
    IB_ASSERT(config->window > 0 && config->check_every > 0 && config->silence_ns > config->heartbeat_ns);
    IB_ASSERT(recovered->last_seq > 0 || recovered->chain == IB_REPLICA_CHAIN_EMPTY);
    memset(self, 0, sizeof *self);
    self->config = *config;
    self->io = *io;
    self->role = IB_ROLE_STANDBY;
    self->now_ns = now_ns;
    /* Its own entries are as good as a promise: whoever wrote the last one had it written to the record. */
    self->promised = recovered->promised > recovered->last_epoch ? recovered->promised : recovered->last_epoch;
    self->promising = self->promised;
    self->doubt_seq = recovered->doubt_seq;
    self->must_read = recovered->doubt_seq == IB_DOUBT_NEW;
    self->primary = IB_REPLICA_NOBODY;
    self->handover_to = IB_REPLICA_NOBODY;
    self->store.due_ns = IB_NEVER;
    IB_ASSERT(recovered->begin_seq <= recovered->last_seq);
    self->begin_seq = recovered->begin_seq;
    self->last_seq = self->durable_seq = recovered->last_seq;
    self->last_epoch = recovered->last_epoch;
    self->last_time_ns = recovered->last_time_ns;
    self->chain = recovered->chain;
    self->takeover_ns = now_ns + config->silence_ns + config->member * config->stagger_ns;
}

/* ---- what the other files use ---- */

void ib_replica_send(struct ib_replica *self, unsigned peer, struct ib_replica_frame frame,
                     const struct ib_replica_entry *entries, size_t count)
{
    IB_ASSERT(peer < self->config.members && peer != self->config.member);
    IB_ASSERT(count <= IB_REPLICA_BATCH_MAX);
    frame.from = self->config.member;
    frame.shard = self->config.shard;
    if (self->peers[peer].connected) {
        size_t size = ib_replica_frame_write(&frame, entries, count, self->bytes);
        self->io.send(self->io.context, peer, self->bytes, size);
    }
}

void ib_replica_hello(struct ib_replica *self, unsigned peer)
{
    IB_ASSERT(self->promising >= self->promised);
    IB_ASSERT(self->durable_seq <= self->last_seq);
    ib_replica_send(self, peer,
                    (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = self->promising, .seq = self->last_seq,
                                              .chain = self->chain, .last_epoch = self->last_epoch},
                    NULL, 0);
}

void ib_replica_become(struct ib_replica *self, enum ib_replica_role role, const char *why)
{
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    IB_ASSERT(why != NULL);
    if (self->role != role) {
        self->role = role;
        self->io.role(self->io.context, role, why);
    }
}

void ib_replica_step_down(struct ib_replica *self, uint64_t takeover_ns, const char *why)
{
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    IB_ASSERT(why != NULL);
    self->primary = IB_REPLICA_NOBODY;
    self->matched = false;
    self->matched_seq = 0;
    self->epoch_seq = 0;
    self->handover_to = IB_REPLICA_NOBODY;
    self->planned = false;
    self->takeover_ns = takeover_ns;
    ib_replica_become(self, IB_ROLE_STANDBY, why);
    ib_store_abandon(self);
}

void ib_replica_promise(struct ib_replica *self, uint64_t epoch, uint64_t doubt_seq)
{
    IB_ASSERT(epoch >= self->promised);
    IB_ASSERT(epoch >= self->promising);
    self->promising = epoch;
    self->io.promise(self->io.context, epoch, doubt_seq);
}

bool ib_replica_append(struct ib_replica *self, const struct ib_replica_entry *entries, size_t count)
{
    IB_ASSERT(count > 0 && entries[0].command.seq == self->last_seq + 1);
    IB_ASSERT(!self->truncating);
    if (!self->io.append(self->io.context, entries, count)) {
        return false;
    }
    const struct ib_replica_entry *last = &entries[count - 1];
    self->last_seq = last->command.seq;
    self->last_epoch = last->epoch;
    self->last_time_ns = last->command.time_ns;
    self->chain = last->chain;
    return true;
}

void ib_replica_commit_to(struct ib_replica *self, uint64_t seq)
{
    IB_ASSERT(seq <= self->last_seq);
    IB_ASSERT(self->commit_seq <= self->last_seq);
    if (seq > self->commit_seq) {
        self->commit_seq = seq;
        self->io.commit(self->io.context, seq);
    }
}

bool ib_replica_chain_at(struct ib_replica *self, uint64_t seq, uint64_t *chain)
{
    struct ib_replica_entry entry = {.chain = IB_REPLICA_CHAIN_EMPTY};
    IB_ASSERT(seq <= self->last_seq);
    if (seq == self->last_seq) {
        entry.chain = self->chain;
    } else if (seq > 0) {
        if (self->io.read(self->io.context, seq, &entry, 1) == 0) {
            return false;
        }
        IB_ASSERT(entry.command.seq == seq);
    }
    *chain = entry.chain;
    return true;
}

/* ---- what happened ---- */

/* A host that was paused has heard nobody, and that says nothing about them: give them the time that was lost. */
static void forgive_pause(struct ib_replica *self, uint64_t paused_ns)
{
    IB_ASSERT(paused_ns > 0);
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    self->primary_ns += paused_ns;
    self->takeover_ns = self->takeover_ns == IB_NEVER ? IB_NEVER : self->takeover_ns + paused_ns;
    for (unsigned i = 0; i < self->config.members; i++) {
        self->peers[i].heard_ns += paused_ns;
        self->peers[i].progress_ns += paused_ns;
    }
}

void ib_replica_tick(struct ib_replica *self, uint64_t now_ns)
{
    IB_ASSERT(self->config.members > 0);
    if (self->role == IB_ROLE_STOPPED || now_ns < self->now_ns) {
        return;
    }
    if (now_ns - self->now_ns > self->config.silence_ns / 2) { /* but for a heartbeat, so that time passes at all */
        forgive_pause(self, now_ns - self->now_ns - self->config.heartbeat_ns);
    }
    self->now_ns = now_ns;
    for (unsigned i = 0; i < self->config.members; i++) {
        struct ib_replica_peer *peer = &self->peers[i];
        if (peer->connected && now_ns - peer->heard_ns > self->config.silence_ns && ib_replica_leads(self)) {
            peer->heard_ns = now_ns; /* once; the connection's end is told by whoever holds it */
            self->io.disconnect(self->io.context, i, NULL);
        }
    }
    ib_store_tick(self);
    if (ib_replica_leads(self)) {
        ib_primary_tick(self);
        ib_members_tick(self);
    } else {
        ib_takeover_tick(self);
    }
    IB_ASSERT(self->commit_seq <= self->last_seq && self->durable_seq <= self->last_seq);
}

void ib_replica_connected(struct ib_replica *self, unsigned peer)
{
    IB_ASSERT(peer < self->config.members && peer != self->config.member);
    IB_ASSERT(!self->peers[peer].connected);
    if (self->role == IB_ROLE_STOPPED) {
        return;
    }
    self->peers[peer] = (struct ib_replica_peer){.connected = true, .heard_ns = self->now_ns,
                                                 .progress_ns = self->now_ns, .heartbeat_ns = self->now_ns,
                                                 .next_seq = self->last_seq + 1};
    ib_replica_hello(self, peer);
}

void ib_replica_disconnected(struct ib_replica *self, unsigned peer)
{
    IB_ASSERT(peer < self->config.members && peer != self->config.member);
    IB_ASSERT(self->role <= IB_ROLE_STOPPED);
    struct ib_replica_peer *gone = &self->peers[peer];
    bool was_connected = gone->connected;
    gone->connected = gone->matched = gone->has_hello = false;
    gone->acked_seq = 0; /* what it had, it may have lost when it comes back */
    gone->check_seq = 0;
    gone->down_ns = self->now_ns;
    if (was_connected && self->role == IB_ROLE_STANDBY && self->primary == peer) {
        ib_standby_lost(self, ib_takeover_turn(self, peer)); /* a dead process: at once */
    }
}

/* Somebody has promised a higher epoch than the one in which this member leads or takes over. */
static void outlived(struct ib_replica *self, uint64_t epoch)
{
    IB_ASSERT(epoch > self->promising);
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    if (self->role != IB_ROLE_STANDBY) {
        ib_replica_step_down(self, self->now_ns + self->config.silence_ns, "a member has promised a higher epoch");
    }
}

static void take_hello(struct ib_replica *self, unsigned from, const struct ib_replica_frame *frame)
{
    struct ib_replica_peer *peer = &self->peers[from];
    IB_ASSERT(peer->connected);
    IB_ASSERT(frame->type == IB_FRAME_HELLO);
    peer->has_hello = true;
    peer->last_seq = frame->seq;
    peer->last_epoch = frame->last_epoch;
    if (ib_replica_leads(self)) {
        ib_primary_match(self, from);
    }
}

static void dispatch(struct ib_replica *self, unsigned from, const struct ib_replica_frame *frame)
{
    IB_ASSERT(from == frame->from);
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    bool leads = ib_replica_leads(self) && frame->epoch == self->epoch;
    switch (frame->type) {
    case IB_FRAME_HELLO:
        take_hello(self, from, frame);
        break;
    case IB_FRAME_ACK:
        if (leads) {
            ib_primary_take_ack(self, from, frame);
        }
        break;
    case IB_FRAME_NACK:
        if (leads) {
            ib_primary_take_nack(self, from, frame);
        }
        break;
    case IB_FRAME_APPEND:
    case IB_FRAME_HANDOVER:
    case IB_FRAME_DIVERGED:
        ib_standby_follow(self, from, frame);
        break;
    default: /* REFUSE has said all that it has to say; of other kinds a newer build may know */
        break;
    }
}

void ib_replica_received(struct ib_replica *self, unsigned peer, const uint8_t *bytes, size_t size)
{
    struct ib_replica_frame frame;
    IB_ASSERT(peer < self->config.members && peer != self->config.member);
    if (self->role == IB_ROLE_STOPPED || !self->peers[peer].connected) {
        return;
    }
    if (!ib_replica_frame_read(bytes, size, &frame, self->entries) || frame.shard != self->config.shard ||
        frame.from != peer || frame.epoch > IB_SEQ_MAX ||
        (frame.epoch == 0 && frame.type != IB_FRAME_HELLO)) {
        self->io.disconnect(self->io.context, peer, ib_replica_no_frame);
        return;
    }
    self->peers[peer].heard_ns = self->now_ns;
    self->highest = frame.epoch > self->highest ? frame.epoch : self->highest;
    if (frame.epoch > self->promising) { /* R5 */
        outlived(self, frame.epoch);
    }
    dispatch(self, peer, &frame);
}

void ib_replica_durable(struct ib_replica *self, uint64_t seq)
{
    IB_ASSERT(seq <= self->last_seq);
    IB_ASSERT(self->config.members > 0);
    if (self->role == IB_ROLE_STOPPED || self->truncating || seq <= self->durable_seq) {
        return;
    }
    self->durable_seq = seq;
    if (ib_replica_leads(self)) {
        ib_primary_advance(self);
    } else {
        ib_standby_acknowledge(self);
    }
}

bool ib_replica_is_checked(const struct ib_replica *self, const struct ib_command *command)
{
    IB_ASSERT(command->seq > 0);
    IB_ASSERT(self->config.check_every > 0);
    return command->type == IB_COMMAND_EPOCH || command->seq % self->config.check_every == 0;
}

void ib_replica_applied(struct ib_replica *self, uint64_t seq, uint64_t state_hash)
{
    IB_ASSERT(seq > 0);
    IB_ASSERT(seq <= self->last_seq);
    if (self->role == IB_ROLE_STOPPED || self->truncating) {
        return;
    }
    self->checks[seq % IB_REPLICA_CHECKS].seq = seq;
    self->checks[seq % IB_REPLICA_CHECKS].hash = state_hash;
    self->check_seq = seq;
    self->check_hash = state_hash;
    for (unsigned i = 0; ib_replica_leads(self) && i < self->config.members; i++) {
        if (i != self->config.member) {
            ib_primary_compare(self, i);
        }
    }
    if (ib_replica_leads(self)) {
        ib_primary_advance(self);
    }
}

void ib_replica_promised(struct ib_replica *self, uint64_t epoch, uint64_t doubt_seq)
{
    IB_ASSERT(epoch <= self->promising);
    IB_ASSERT(epoch >= self->promised);
    if (self->role == IB_ROLE_STOPPED) {
        return;
    }
    bool rises = epoch > self->promised;
    self->promised = epoch;
    self->doubt_seq = doubt_seq;
    if (self->role == IB_ROLE_TAKEOVER) {
        ib_takeover_promised(self);
    } else if (rises && self->role == IB_ROLE_STANDBY) { /* whoever waits for it may send now */
        for (unsigned i = 0; i < self->config.members; i++) {
            if (i != self->config.member) {
                ib_replica_hello(self, i);
            }
        }
    }
}
