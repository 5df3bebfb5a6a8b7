/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_internal.h: what the files of the replica share. replica.c: what happened, and to whom it goes;
 * replica_primary.c: streaming, commit and opening; replica_members.c: the in-sync set and the switchover;
 * replica_standby.c: following; replica_takeover.c: becoming primary; replica_store.c: the record, whatever the
 * answer.
 */
#ifndef IB_REPLICA_INTERNAL_H
#define IB_REPLICA_INTERNAL_H

#include "check.h"
#include "replica.h"

#define IB_NEVER UINT64_MAX

static inline bool ib_replica_leads(const struct ib_replica *self)
{
    return self->role == IB_ROLE_OPENING || self->role == IB_ROLE_PRIMARY;
}

static inline uint32_t ib_member_bit(unsigned member)
{
    IB_ASSERT(member < IB_REPLICA_MEMBERS_MAX);
    return 1u << member;
}

static inline unsigned ib_set_size(uint32_t set)
{
    unsigned size = 0;
    for (; set != 0; set &= set - 1) { /* without the lowest one */
        size++;
    }
    return size;
}

/* ---- replica.c ---- */

/* Fills in what every frame carries, and sends it. */
void ib_replica_send(struct ib_replica *self, unsigned peer, struct ib_replica_frame frame,
                     const struct ib_replica_entry *entries, size_t count);
void ib_replica_hello(struct ib_replica *self, unsigned peer);
void ib_replica_become(struct ib_replica *self, enum ib_replica_role role, const char *why);
/* R5: whoever leads, or tries to, stops at once; it goes on as a standby. `takeover_ns`: when it may try again. */
void ib_replica_step_down(struct ib_replica *self, uint64_t takeover_ns, const char *why);
/* Makes epoch and doubt durable; ib_replica_promised says when. */
void ib_replica_promise(struct ib_replica *self, uint64_t epoch, uint64_t doubt_seq);
/* Journals entries that follow on the last one. */
bool ib_replica_append(struct ib_replica *self, const struct ib_replica_entry *entries, size_t count);
void ib_replica_commit_to(struct ib_replica *self, uint64_t seq);
/* The chain up to the entry at seq, which the journal has; of 0, an empty one's. False: it cannot be told now. */
bool ib_replica_chain_at(struct ib_replica *self, uint64_t seq, uint64_t *chain);

/* ---- replica_primary.c ---- */

void ib_primary_begin(struct ib_replica *self);
void ib_primary_tick(struct ib_replica *self);
void ib_primary_advance(struct ib_replica *self); /* commits what it may, and opens when it may */
void ib_primary_match(struct ib_replica *self, unsigned peer); /* from its HELLO: where to begin */
void ib_primary_stream(struct ib_replica *self, unsigned peer);
/* It has all that is committed, and everybody waits for it: it may be told that it is in no doubt. */
bool ib_primary_counts(const struct ib_replica *self, unsigned member);
void ib_primary_take_ack(struct ib_replica *self, unsigned peer, const struct ib_replica_frame *frame);
void ib_primary_take_nack(struct ib_replica *self, unsigned peer, const struct ib_replica_frame *frame);
void ib_primary_compare(struct ib_replica *self, unsigned peer);

/* ---- replica_members.c ---- */

void ib_members_tick(struct ib_replica *self);
void ib_members_hand_over(struct ib_replica *self); /* when everything is drained */

/* ---- replica_standby.c ---- */

void ib_standby_follow(struct ib_replica *self, unsigned peer, const struct ib_replica_frame *frame);
void ib_standby_acknowledge(struct ib_replica *self);
void ib_standby_lost(struct ib_replica *self, uint64_t takeover_ns);

/* ---- replica_takeover.c ---- */

void ib_takeover_tick(struct ib_replica *self);
void ib_takeover_promised(struct ib_replica *self);
void ib_takeover_settled(struct ib_replica *self);
/* When this member may try, after a primary was lost: one after the other, so that they do not race. */
uint64_t ib_takeover_turn(const struct ib_replica *self, unsigned lost);

/* ---- replica_store.c ---- */

void ib_store_read(struct ib_replica *self);
/* Writes `record` over self->record, until it is settled what stands there: that is self->record then. */
void ib_store_propose(struct ib_replica *self, struct ib_shard_record record);
void ib_store_tick(struct ib_replica *self);
void ib_store_abandon(struct ib_replica *self); /* who no longer leads wants nothing of it, and ignores its answers */

#endif
