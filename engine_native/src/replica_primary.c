/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_primary.c: what a primary sends, what it counts as committed, and when it opens. R1 is kept in
 * ib_primary_advance, and nowhere else.
 */
#include "replica_internal.h"

/* The first entry of an epoch. Whoever has a longer journal of an older one finds another entry in its place, and cuts
 * it off; and nothing that was inherited counts as committed before this one does. */
static void append_epoch(struct ib_replica *self)
{
    struct ib_replica_entry entry = {.epoch = self->epoch};
    IB_ASSERT(self->role == IB_ROLE_OPENING);
    IB_ASSERT(self->epoch_seq == 0 && self->epoch > self->last_epoch);
    entry.command.type = IB_COMMAND_EPOCH;
    entry.command.seq = self->last_seq + 1;
    entry.command.time_ns = self->last_time_ns;
    entry.command.value = self->epoch;
    entry.chain = ib_replica_chain(self->chain, self->epoch, &entry.command);
    if (ib_replica_append(self, &entry, 1)) {
        self->epoch_seq = entry.command.seq;
    }
}

void ib_primary_begin(struct ib_replica *self)
{
    IB_ASSERT(self->record.primary == self->config.member && self->record.epoch == self->promised);
    IB_ASSERT(!self->truncating);
    self->epoch = self->record.epoch;
    self->primary = self->config.member;
    self->epoch_seq = 0;
    self->handover_to = IB_REPLICA_NOBODY;
    ib_replica_become(self, IB_ROLE_OPENING, "the record names this member");
    append_epoch(self);
    for (unsigned i = 0; i < self->config.members; i++) {
        struct ib_replica_peer *peer = &self->peers[i];
        peer->matched = false;
        peer->acked_seq = 0;
        peer->check_seq = peer->checked_seq = 0;
        peer->progress_ns = peer->heartbeat_ns = peer->heard_ns = self->now_ns;
        peer->next_seq = self->last_seq + 1;
        if (peer->connected) {
            ib_primary_stream(self, i); /* an empty one, until it is known where its journal is the same */
        }
    }
    ib_primary_advance(self);
}

/* ---- streaming ---- */

void ib_primary_match(struct ib_replica *self, unsigned from)
{
    struct ib_replica_peer *peer = &self->peers[from];
    IB_ASSERT(ib_replica_leads(self) && peer->has_hello);
    IB_ASSERT(peer->connected);
    peer->matched = false;
    peer->acked_seq = 0; /* it may have started again, with less */
    peer->next_seq = (peer->last_seq < self->last_seq ? peer->last_seq : self->last_seq) + 1;
    ib_primary_stream(self, from);
}

/* How many entries may be sent now: none before it is known where to begin, nor more than a window ahead. */
static size_t sendable(const struct ib_replica *self, const struct ib_replica_peer *peer)
{
    if (!peer->connected || !peer->matched || peer->is_full) {
        return 0;
    }
    IB_ASSERT(peer->next_seq > peer->acked_seq);
    IB_ASSERT(peer->next_seq <= self->last_seq + 1);
    uint64_t ahead = peer->next_seq - 1 - peer->acked_seq; /* sent and not acknowledged */
    uint64_t left = self->last_seq - (peer->next_seq - 1);
    if (ahead >= self->config.window) {
        return 0;
    }
    left = left < self->config.window - ahead ? left : self->config.window - ahead;
    return left < IB_REPLICA_BATCH_MAX ? (size_t)left : IB_REPLICA_BATCH_MAX;
}

bool ib_primary_counts(const struct ib_replica *self, unsigned member)
{
    const struct ib_replica_peer *peer = &self->peers[member];
    IB_ASSERT(member < self->config.members);
    return (self->record.in_sync & ib_member_bit(member)) != 0 && !self->store.proposing && peer->matched &&
           peer->acked_seq >= self->commit_seq && self->role == IB_ROLE_PRIMARY;
}

/* Sends what is next, how many entries. Where that is none: a frame of nothing, if one is `due`. Where it cannot be
 * read now, that frame is of my end, so that I am heard all the same. */
static size_t send_next(struct ib_replica *self, unsigned to, bool due)
{
    struct ib_replica_peer *peer = &self->peers[to];
    IB_ASSERT(ib_replica_leads(self) && peer->connected);
    IB_ASSERT(peer->next_seq >= 1 && peer->next_seq <= self->last_seq + 1);
    uint64_t seq = peer->next_seq - 1;
    uint64_t chain = self->chain;
    bool is_known = ib_replica_chain_at(self, seq, &chain);
    seq = is_known ? seq : self->last_seq;
    size_t count = is_known ? sendable(self, peer) : 0;
    if (count > 0) {
        count = self->io.read(self->io.context, peer->next_seq, self->entries, count);
    }
    if (count == 0 && !due) {
        return 0; /* or each frame would be answered by the next */
    }
    struct ib_replica_frame frame = {.type = IB_FRAME_APPEND, .epoch = self->epoch, .seq = seq, .chain = chain,
                                     .commit_seq = self->commit_seq, .number = ++peer->number};
    frame.flags = ib_primary_counts(self, to) ? IB_FRAME_IN_SYNC : 0;
    peer->next_seq += count;
    peer->heartbeat_ns = self->now_ns + self->config.heartbeat_ns;
    ib_replica_send(self, to, frame, self->entries, count);
    return count;
}

/* … also nothing: when there is nothing, or when it is not known yet what would fit. */
void ib_primary_stream(struct ib_replica *self, unsigned to)
{
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(to < self->config.members);
    (void)send_next(self, to, true);
}

/* Sends all that may be sent. */
static void stream_all(struct ib_replica *self, unsigned to)
{
    struct ib_replica_peer *peer = &self->peers[to];
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(to < self->config.members);
    while (sendable(self, peer) > 0 && send_next(self, to, false) > 0) {
    }
}

void ib_primary_take_ack(struct ib_replica *self, unsigned from, const struct ib_replica_frame *frame)
{
    struct ib_replica_peer *peer = &self->peers[from];
    IB_ASSERT(ib_replica_leads(self) && frame->epoch == self->epoch);
    IB_ASSERT(peer->connected);
    if (frame->seq > self->last_seq) {
        return; /* nothing that I have sent */
    }
    peer->matched = true;
    peer->is_full = (frame->flags & IB_FRAME_NO_ROOM) != 0;
    if (frame->seq > peer->acked_seq || frame->seq == self->last_seq) {
        peer->progress_ns = self->now_ns;
    }
    if (frame->seq > peer->acked_seq) {
        peer->acked_seq = frame->seq;
    }
    if (peer->next_seq <= peer->acked_seq || peer->is_full) {
        peer->next_seq = peer->acked_seq + 1;
    }
    if (frame->check_seq > peer->check_seq) {
        peer->check_seq = frame->check_seq;
        peer->check_hash = frame->check_hash;
        ib_primary_compare(self, from);
    }
    if (ib_replica_leads(self)) {
        ib_primary_advance(self);
    }
    if (ib_replica_leads(self)) {
        stream_all(self, from);
    }
}

void ib_primary_take_nack(struct ib_replica *self, unsigned from, const struct ib_replica_frame *frame)
{
    struct ib_replica_peer *peer = &self->peers[from];
    IB_ASSERT(ib_replica_leads(self) && frame->epoch == self->epoch);
    IB_ASSERT(peer->connected);
    uint64_t next = (frame->seq < self->last_seq ? frame->seq : self->last_seq) + 1;
    if (next >= peer->next_seq || frame->number <= peer->rewound) {
        return; /* an old one: I am there already, or was */
    }
    peer->rewound = peer->number;
    peer->next_seq = next > peer->acked_seq ? next : peer->acked_seq + 1;
    ib_primary_stream(self, from);
}

void ib_primary_tick(struct ib_replica *self)
{
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(self->epoch == self->promised);
    if (self->epoch_seq == 0) {
        append_epoch(self); /* there was no room */
    }
    for (unsigned i = 0; i < self->config.members; i++) {
        if (self->peers[i].connected && self->now_ns >= self->peers[i].heartbeat_ns) {
            self->peers[i].is_full = false;
            ib_primary_stream(self, i);
        }
    }
}

/* ---- state hashes ---- */

/* A third member has told the same state as this one, at the same place. */
static bool another_agrees(const struct ib_replica *self, unsigned with)
{
    IB_ASSERT(with < self->config.members);
    IB_ASSERT(self->peers[with].check_seq > 0);
    for (unsigned i = 0; i < self->config.members; i++) {
        if (i != with && self->peers[i].check_seq == self->peers[with].check_seq &&
            self->peers[i].check_hash == self->peers[with].check_hash) {
            return true;
        }
    }
    return false;
}

void ib_primary_compare(struct ib_replica *self, unsigned with)
{
    struct ib_replica_peer *peer = &self->peers[with];
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(with < self->config.members);
    if (peer->check_seq <= peer->checked_seq ||
        self->checks[peer->check_seq % IB_REPLICA_CHECKS].seq != peer->check_seq) {
        return; /* compared already, or mine is not there yet, or no more */
    }
    if (self->checks[peer->check_seq % IB_REPLICA_CHECKS].hash == peer->check_hash) {
        peer->checked_seq = peer->check_seq;
        return;
    }
    if (self->role == IB_ROLE_OPENING) { /* who is wrong? Whoever would open; the next one compares, too */
        ib_replica_become(self, IB_ROLE_STOPPED, "another member has another state: discard this one, and replay");
        return;
    }
    if (another_agrees(self, with)) {
        ib_replica_become(self, IB_ROLE_STOPPED, "two members have the same other state: discard this one, and replay");
        return;
    }
    peer->diverged = true;
    ib_replica_send(self, with,
                    (struct ib_replica_frame){.type = IB_FRAME_DIVERGED, .epoch = self->epoch,
                                              .check_seq = peer->check_seq,
                                              .check_hash = self->checks[peer->check_seq % IB_REPLICA_CHECKS].hash},
                    NULL, 0);
}

/* ---- commit ---- */

/* Those without whom nothing is committed: the in-sync set, and while a change of it is open the proposed one, too. */
static uint32_t needed(const struct ib_replica *self)
{
    uint32_t set = self->record.in_sync | (self->store.proposing ? self->store.proposal.in_sync : 0);
    IB_ASSERT(set & ib_member_bit(self->config.member));
    IB_ASSERT(self->record.epoch == self->epoch);
    return set;
}

/* The states of all in-sync members are the same at my EPOCH entry. */
static bool states_agree(const struct ib_replica *self)
{
    IB_ASSERT(self->epoch_seq > 0);
    IB_ASSERT(self->role == IB_ROLE_OPENING);
    bool agree = self->check_seq >= self->epoch_seq;
    for (unsigned i = 0; i < self->config.members; i++) {
        if (i != self->config.member && (self->record.in_sync & ib_member_bit(i)) != 0) {
            agree = agree && self->peers[i].checked_seq >= self->epoch_seq && !self->peers[i].diverged;
        }
    }
    return agree;
}

void ib_primary_advance(struct ib_replica *self)
{
    IB_ASSERT(ib_replica_leads(self));
    IB_ASSERT(self->durable_seq <= self->last_seq);
    if (ib_set_size(self->record.in_sync) < self->config.min_in_sync || self->epoch_seq == 0) {
        return;
    }
    uint32_t set = needed(self);
    uint64_t seq = self->durable_seq; /* R1 */
    for (unsigned i = 0; i < self->config.members; i++) {
        if (i != self->config.member && (set & ib_member_bit(i)) != 0 && self->peers[i].acked_seq < seq) {
            seq = self->peers[i].acked_seq;
        }
    }
    if (seq < self->epoch_seq || (self->role == IB_ROLE_OPENING && !states_agree(self))) {
        return; /* what older epochs have left comes with this one's first entry, and nothing before R3's end */
    }
    ib_replica_commit_to(self, seq);
    if (self->role == IB_ROLE_OPENING) {
        ib_replica_become(self, IB_ROLE_PRIMARY, "everything inherited is committed, and the states are the same");
    }
    if (self->handover_to != IB_REPLICA_NOBODY && self->commit_seq == self->last_seq) {
        ib_members_hand_over(self);
    }
}

bool ib_replica_may_sequence(const struct ib_replica *self, uint64_t count)
{
    IB_ASSERT(count >= 1);
    IB_ASSERT(self->commit_seq <= self->last_seq);
    return self->role == IB_ROLE_PRIMARY && self->handover_to == IB_REPLICA_NOBODY &&
           self->last_seq + count - self->commit_seq <= self->config.window;
}

bool ib_replica_sequence(struct ib_replica *self, const struct ib_command *commands, size_t count)
{
    IB_ASSERT(commands != NULL);
    IB_ASSERT(count >= 1 && count <= IB_REPLICA_BATCH_MAX);
    if (!ib_replica_may_sequence(self, count)) {
        return false;
    }
    uint64_t chain = self->chain;
    for (size_t i = 0; i < count; i++) {
        IB_ASSERT(commands[i].seq == self->last_seq + 1 + i && commands[i].time_ns >= self->last_time_ns);
        chain = ib_replica_chain(chain, self->epoch, &commands[i]);
        self->entries[i] = (struct ib_replica_entry){.epoch = self->epoch, .chain = chain, .command = commands[i]};
    }
    if (!ib_replica_append(self, self->entries, count)) {
        return false;
    }
    for (unsigned i = 0; i < self->config.members; i++) {
        stream_all(self, i);
    }
    return true;
}
