/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_store.c: the configuration record, whatever the store answers. One call is out at a time. A write whose
 * outcome is unknown is never taken for done, nor for not done: it may even be carried out later. So the record is
 * read; while it still has the old version the same write is tried again, and of all these, which name the same
 * version, one at most succeeds. Only a newer version settles it, whoever wrote that.
 */
#include "replica_internal.h"

static void begin(struct ib_replica *self, bool is_write)
{
    IB_ASSERT(self->store.due_ns == IB_NEVER);
    IB_ASSERT(!is_write || self->store.proposing);
    self->store.request++;
    self->store.is_write = is_write;
    self->store.due_ns = self->now_ns + self->config.store_ns;
    if (is_write) {
        self->io.store_write(self->io.context, self->store.request, &self->store.proposal);
    } else {
        self->io.store_read(self->io.context, self->store.request);
    }
}

void ib_store_read(struct ib_replica *self)
{
    IB_ASSERT(!ib_replica_leads(self) || self->store.proposing);
    IB_ASSERT(self->now_ns >= self->store.retry_ns || self->store.due_ns == IB_NEVER);
    if (self->store.due_ns == IB_NEVER) {
        begin(self, false);
    }
}

void ib_store_propose(struct ib_replica *self, struct ib_shard_record record)
{
    IB_ASSERT(!self->store.proposing && self->store.due_ns == IB_NEVER);
    IB_ASSERT(record.version == self->record.version + 1 && record.epoch >= self->record.epoch);
    IB_ASSERT(record.in_sync & ib_member_bit(self->config.member));
    self->store.proposal = record;
    self->store.proposing = true;
    begin(self, true);
}

/* Whatever is on its way may still be written. Of a member that leads no more, that takes nothing away: what it was to
 * take in has acknowledged all that was committed, and without what it was to shut out nothing was committed. */
void ib_store_abandon(struct ib_replica *self)
{
    IB_ASSERT(!ib_replica_leads(self));
    IB_ASSERT(self->role != IB_ROLE_TAKEOVER);
    self->store.proposing = false;
    self->store.due_ns = IB_NEVER;
}

void ib_store_tick(struct ib_replica *self)
{
    struct ib_replica_store *store = &self->store;
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    IB_ASSERT(store->due_ns == IB_NEVER || store->due_ns > 0);
    if (self->must_read && store->due_ns == IB_NEVER && self->now_ns >= store->retry_ns) {
        begin(self, false);
    }
    if (store->due_ns != IB_NEVER && self->now_ns >= store->due_ns) {
        ib_replica_stored(self, store->request, IB_STORE_UNKNOWN, NULL);
    }
    if (store->proposing && store->due_ns == IB_NEVER && self->now_ns >= store->retry_ns) {
        begin(self, false);
    }
}

/* self->record is what stands there. */
static void settled(struct ib_replica *self)
{
    IB_ASSERT(self->store.due_ns == IB_NEVER && !self->store.proposing);
    IB_ASSERT(self->role != IB_ROLE_STOPPED);
    if (self->must_read) {
        self->must_read = false;
        if (self->record.epoch > self->promising) {
            ib_replica_promise(self, self->record.epoch, self->doubt_seq);
        }
    }
    if (self->role == IB_ROLE_TAKEOVER) {
        ib_takeover_settled(self);
    } else if (ib_replica_leads(self) &&
               (self->record.epoch != self->epoch || self->record.primary != self->config.member)) {
        ib_replica_step_down(self, self->now_ns + self->config.silence_ns, "the record names another primary");
    } else if (ib_replica_leads(self)) {
        ib_primary_advance(self);
    }
}

/* Why a record cannot be: a store that lies, or was set back to an older copy; a hand that wrote something else. */
static const char *fault_of(const struct ib_replica *self, const struct ib_shard_record *record)
{
    uint32_t members = (1u << self->config.members) - 1;
    IB_ASSERT(record != NULL);
    IB_ASSERT(members != 0);
    if (record->version == 0 || record->in_sync == 0 || (record->in_sync & ~members) != 0 ||
        record->epoch > IB_SEQ_MAX) {
        return "the record in the store makes no sense: restore it";
    }
    if (record->epoch == 0 ? record->primary != IB_REPLICA_NOBODY
                           : record->primary >= self->config.members ||
                                 (record->in_sync & ib_member_bit(record->primary)) == 0) {
        return "the record in the store names a primary that is not in sync: restore it";
    }
    /* Whoever wrote an entry had its epoch written to the record before. The journal of an engine that ran alone, on a
     * disk that is new to the shard, says nothing of it. */
    uint64_t led = self->doubt_seq == IB_DOUBT_NEW ? 0 : self->last_epoch;
    if (record->version < self->record.version || record->epoch < self->record.epoch ||
        record->version < self->store.seen_version || record->epoch < led) {
        return "the record in the store is an older one than was there before: restore it";
    }
    return NULL;
}

/* A read has come back while a proposal is open. */
static void resolve(struct ib_replica *self, const struct ib_shard_record *found)
{
    struct ib_replica_store *store = &self->store;
    IB_ASSERT(store->proposing);
    IB_ASSERT(store->due_ns == IB_NEVER);
    if (found->version < store->proposal.version) {
        begin(self, true); /* it may be on its way: only the same write can overtake it and change nothing */
        return;
    }
    self->record = *found;
    store->proposing = false;
    settled(self);
}

void ib_replica_stored(struct ib_replica *self, uint64_t request, enum ib_store_outcome outcome,
                       const struct ib_shard_record *record)
{
    struct ib_replica_store *store = &self->store;
    IB_ASSERT(request <= store->request);
    IB_ASSERT(outcome <= IB_STORE_UNKNOWN);
    if (self->role == IB_ROLE_STOPPED || store->due_ns == IB_NEVER || request != store->request) {
        return; /* too late: it counts as unknown already */
    }
    store->due_ns = IB_NEVER;
    bool is_written = store->is_write && outcome == IB_STORE_OK;
    bool is_answered = is_written || (outcome != IB_STORE_UNKNOWN && record != NULL);
    store->fault = is_answered && !is_written ? fault_of(self, record) : NULL;
    if (!is_answered || store->fault != NULL) {
        store->retry_ns = self->now_ns + self->config.retry_ns;
        if (!store->proposing && self->role == IB_ROLE_TAKEOVER) {
            ib_replica_step_down(self, store->retry_ns,
                                 store->fault != NULL
                                     ? store->fault
                                     : "the store does not answer, or has no record of this shard: create it");
        }
        return; /* while it is open, ib_store_tick goes on asking */
    }
    if (!store->is_write && store->proposing) {
        resolve(self, record);
        return;
    }
    self->record = is_written ? store->proposal : *record;
    store->proposing = false;
    settled(self);
}

void ib_replica_record_seen(struct ib_replica *self, const struct ib_shard_record *record)
{
    IB_ASSERT(record != NULL);
    IB_ASSERT(self->config.members > 0);
    if (fault_of(self, record) == NULL) { /* then nothing is older than it that is believed: so it only rises */
        self->store.seen_version = record->version;
    }
    if (self->role != IB_ROLE_STOPPED && ib_replica_leads(self) && record->epoch > self->epoch) {
        ib_replica_step_down(self, self->now_ns + self->config.silence_ns, "the record names another primary");
    }
}
