/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replication.c: see replication.h.
 *
 * The state machine must not be called from within what it calls. So what it asks for is done, or begun, and what came
 * of it is told by ib_replication_progress, in the next turn of the loop.
 */
#define _GNU_SOURCE
#include "replication.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "clock.h"
#include "journal_cut.h"

const char *ib_replica_role_text(enum ib_replica_role role)
{
    static const char *const names[] = {[IB_ROLE_STANDBY] = "standby",
                                        [IB_ROLE_TAKEOVER] = "takeover",
                                        [IB_ROLE_OPENING] = "opening",
                                        [IB_ROLE_PRIMARY] = "primary",
                                        [IB_ROLE_STOPPED] = "stopped"};
    IB_ASSERT(role <= IB_ROLE_STOPPED && names[role] != NULL);
    return names[role];
}

/* The first failure ends the engine. */
static void fail(struct ib_replication *self, int status, const char *what, const char *why)
{
    IB_ASSERT(status != IB_OK && what != NULL && why != NULL);
    if (self->status == IB_OK) {
        self->status = status;
        snprintf(self->error, sizeof self->error, "replication: %s: %s", what, why);
    }
}

/* Durably; otherwise the engine has to end, and `error` has the line for people. */
static int write_state(const struct ib_replication *self, char *error)
{
    const struct ib_engine_config *config = self->config;
    int status = ib_replica_state_write(config->journal_directory, config->shard, config->replica, &self->state);
    if (status != IB_OK) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "replica.state in %.300s cannot be written: %s", config->journal_directory,
                 strerror(errno));
    }
    return status;
}

/* ---- what the replica asks for ---- */

static void io_send(void *context, unsigned peer, const uint8_t *bytes, size_t size)
{
    struct ib_replication *self = context;
    IB_ASSERT(self->links != NULL);
    IB_ASSERT(peer != self->config->replica); /* nobody sends to itself */
    if (self->status == IB_OK) { /* what could not be read is nothing that the others are told */
        ib_links_send(self->links, peer, bytes, size);
    }
}

static void io_disconnect(void *context, unsigned peer, const char *why)
{
    struct ib_replication *self = context;
    IB_ASSERT(self->links != NULL);
    IB_ASSERT(peer != self->config->replica);
    ib_links_drop(self->links, peer, why);
}

/* Null, or why this build cannot follow: a state that only a newer one can compute; or epochs that no primary makes,
 * other than the EPOCH commands among them say. */
static const char *fault_of(const struct ib_entry_source *source, const struct ib_replica_entry *entries, size_t count)
{
    uint64_t epoch = source->last.epoch;
    IB_ASSERT(count >= 1);
    for (size_t i = 0; i < count; i++) {
        const struct ib_command *command = &entries[i].command;
        if (command->type > IB_COMMAND_EPOCH) {
            return "the primary sequences a command that this build does not know: upgrade this member";
        }
        if (command->type == IB_COMMAND_RULES && command->value > IB_RULES_NEWEST) {
            return "the primary goes by matching rules that this build does not know: upgrade this member";
        }
        bool begins = command->type == IB_COMMAND_EPOCH && command->value >= epoch;
        epoch = begins ? command->value : epoch;
        if (entries[i].epoch != epoch || (i > 0 && command->time_ns < entries[i - 1].command.time_ns)) {
            return "the primary sends what no primary sequences: this is a defect";
        }
    }
    return NULL;
}

/* Of commands that this primary has sequenced the ring has them already; all others come here first. */
static bool io_append(void *context, const struct ib_replica_entry *entries, size_t count)
{
    struct ib_replication *self = context;
    struct ib_sequencer *sequencer = self->sequencer;
    IB_ASSERT(count >= 1 && entries[0].command.seq == self->entries.last_seq + 1);
    bool is_new = entries[0].command.seq > sequencer->seq;
    const char *fault = is_new ? fault_of(&self->entries, entries, count) : NULL;
    if (fault != NULL) {
        fail(self, IB_ERROR_JOURNAL_FOREIGN, "entries", fault);
        return false;
    }
    if (is_new && !ib_sequencer_follow(sequencer, entries, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ib_entry_mark mark = {.epoch = entries[i].epoch, .chain = entries[i].chain};
        if (ib_entry_source_note(&self->entries, entries[i].command.seq, mark) != IB_OK) {
            fail(self, IB_ERROR_MEMORY, "entries", "no memory");
        }
    }
    IB_ASSERT(self->entries.last_seq <= sequencer->seq || self->status != IB_OK);
    return true;
}

/* Cut when the engine opens the next time, which it does at once: so there is one way to a state, from the journal. */
static void io_truncate(void *context, uint64_t seq)
{
    struct ib_replication *self = context;
    IB_ASSERT(seq < self->entries.last_seq);
    if (self->status != IB_OK) {
        return; /* what could not be read is not another entry */
    }
    self->state.is_cut = true;
    self->state.cut_seq = seq;
    self->status = write_state(self, self->error);
    self->restarts = true;
}

static size_t io_read(void *context, uint64_t seq, struct ib_replica_entry *entries, size_t count)
{
    struct ib_replication *self = context;
    size_t read = 0;
    IB_ASSERT(count >= 1 && seq >= 1);
    if (!ib_entry_source_has(&self->entries, seq)) {
        return 0;
    }
    int status = ib_entry_source_read(&self->entries, seq, entries, count, &read);
    if (status != IB_OK) {
        char what[64];
        (void)snprintf(what, sizeof what, "entry %" PRIu64 " cannot be read from the journal", seq);
        fail(self, status, what, status == IB_ERROR_IO ? strerror(errno) : ib_status_text(status));
        /* Nobody is told of this (io_send), and the engine ends. */
        memset(entries, 0, sizeof *entries);
        entries->command.seq = seq;
        read = 1;
    }
    IB_ASSERT(read >= 1 && read <= count);
    return read;
}

/* A few milliseconds in which nothing else happens: there is no order yet, or no more, that could wait for it. */
static void io_promise(void *context, uint64_t epoch, uint64_t doubt_seq)
{
    struct ib_replication *self = context;
    IB_ASSERT(epoch >= self->state.promised);
    self->state.promised = epoch;
    self->state.doubt_seq = doubt_seq;
    self->status = self->status == IB_OK ? write_state(self, self->error) : self->status;
    self->promises = self->status == IB_OK;
}

static void io_store_read(void *context, uint64_t request)
{
    struct ib_replication *self = context;
    IB_ASSERT(self->store != NULL);
    ib_store_link_ask(self->store, request, NULL);
}

static void io_store_write(void *context, uint64_t request, const struct ib_shard_record *record)
{
    struct ib_replication *self = context;
    IB_ASSERT(self->store != NULL && record != NULL);
    ib_store_link_ask(self->store, request, record);
}

static void io_commit(void *context, uint64_t seq)
{
    struct ib_replication *self = context;
    IB_ASSERT(seq >= self->sequencer->commit_seq);
    IB_ASSERT(seq <= self->sequencer->seq);
    self->sequencer->commit_seq = seq;
}

static void io_role(void *context, enum ib_replica_role role, const char *why)
{
    struct ib_replication *self = context;
    IB_ASSERT(why != NULL && role == self->replica.role);
    self->reason = why;
    if (role != IB_ROLE_TAKEOVER && (self->said != why || role != IB_ROLE_STANDBY)) { /* who may not tries again */
        self->said = why;
        fprintf(stderr, "ironbook: engine: shard %u replica %u: %s, epoch %" PRIu64 ", sequence %" PRIu64 ": %s\n",
                self->config->shard, self->config->replica, ib_replica_role_text(role), self->replica.epoch,
                self->replica.last_seq, why);
    }
    if (role == IB_ROLE_STOPPED) {
        fail(self, IB_ERROR_JOURNAL_DAMAGED, "this member has stopped", why);
    }
}

/* ---- what happened ---- */

static void peer_connected(void *context, unsigned peer)
{
    struct ib_replication *self = context;
    IB_ASSERT(peer < self->config->replication->member_count && peer != self->config->replica);
    IB_ASSERT(self->links != NULL); /* it is greeted at once */
    ib_replica_connected(&self->replica, peer);
}

static void peer_disconnected(void *context, unsigned peer)
{
    struct ib_replication *self = context;
    IB_ASSERT(peer < self->config->replication->member_count && peer != self->config->replica);
    ib_replica_disconnected(&self->replica, peer);
}

static void peer_received(void *context, unsigned peer, const uint8_t *frame, size_t size)
{
    struct ib_replication *self = context;
    IB_ASSERT(size >= IB_REPLICA_HEADER_SIZE && size <= IB_REPLICA_FRAME_MAX);
    if (!self->restarts && self->status == IB_OK) {
        ib_replica_received(&self->replica, peer, frame, size);
    }
}

static void store_answered(void *context, uint64_t request, enum ib_store_outcome outcome,
                           const struct ib_shard_record *record)
{
    struct ib_replication *self = context;
    IB_ASSERT(outcome <= IB_STORE_UNKNOWN);
    IB_ASSERT(outcome != IB_STORE_UNKNOWN || record == NULL);
    ib_replica_stored(&self->replica, request, outcome, record);
}

static void record_seen(void *context, const struct ib_shard_record *record)
{
    struct ib_replication *self = context;
    IB_ASSERT(record != NULL);
    self->seen = record->version > self->seen.version ? *record : self->seen;
    ib_replica_record_seen(&self->replica, record);
}

void ib_replication_tick(struct ib_replication *self)
{
    IB_ASSERT(self->links != NULL && self->store != NULL);
    if (self->restarts || self->status != IB_OK) {
        return;
    }
    ib_links_tick(self->links);
    ib_store_link_tick(self->store);
    ib_replica_tick(&self->replica, ib_clock_ns(CLOCK_MONOTONIC));
}

static void tell_states(struct ib_replication *self)
{
    uint64_t noted = atomic_load_explicit(&self->noted, memory_order_acquire);
    uint64_t told = atomic_load_explicit(&self->told, memory_order_relaxed);
    IB_ASSERT(noted - told <= IB_REPLICATION_CHECKS);
    for (; told < noted; told++) {
        uint64_t seq = self->checks[told % IB_REPLICATION_CHECKS].seq;
        ib_replica_applied(&self->replica, seq, self->checks[told % IB_REPLICATION_CHECKS].hash);
    }
    atomic_store_explicit(&self->told, told, memory_order_release);
}

void ib_replication_progress(struct ib_replication *self)
{
    IB_ASSERT(self->links != NULL);
    if (self->restarts || self->status != IB_OK) {
        return;
    }
    if (self->promises) {
        self->promises = false;
        ib_replica_promised(&self->replica, self->state.promised, self->state.doubt_seq);
    }
    tell_states(self);
    uint64_t durable_seq = self->sequencer->base_seq + ib_ring_done(&self->sequencer->ring, IB_RING_JOURNAL);
    if (durable_seq > self->durable_seq) {
        IB_ASSERT(durable_seq <= self->entries.last_seq); /* the others compare what is noted */
        self->durable_seq = durable_seq;
        ib_replica_durable(&self->replica, durable_seq);
    }
    IB_ASSERT(self->replica.last_seq == self->sequencer->seq || self->status != IB_OK);
}

/* ---- matcher thread ---- */

bool ib_replication_is_checked(const struct ib_replication *self, const struct ib_command *command)
{
    IB_ASSERT(command != NULL);
    return ib_replica_is_checked(&self->replica, command);
}

void ib_replication_matched(struct ib_replication *self, uint64_t seq, uint64_t state_hash)
{
    uint64_t noted = atomic_load_explicit(&self->noted, memory_order_relaxed);
    IB_ASSERT(seq > 0);
    IB_ASSERT(noted - atomic_load_explicit(&self->told, memory_order_acquire) < IB_REPLICATION_CHECKS);
    self->checks[noted % IB_REPLICATION_CHECKS].seq = seq;
    self->checks[noted % IB_REPLICATION_CHECKS].hash = state_hash;
    atomic_store_explicit(&self->noted, noted + 1, memory_order_release);
}

/* ---- life ---- */

static int check_config(const struct ib_engine_config *config)
{
    const struct ib_engine_replication *wanted = config->replication;
    IB_ASSERT(wanted != NULL);
    /* Of the ring's 32768 places, so that all that is not committed is still in it; and of checks there are fewer than
     * places for them. */
    bool sound = wanted->member_count >= 1 && wanted->member_count <= IB_REPLICA_MEMBERS_MAX &&
                 config->replica < wanted->member_count && wanted->key != NULL && wanted->min_in_sync >= 1 &&
                 wanted->min_in_sync <= wanted->member_count && wanted->window >= 1 && wanted->window <= 16384 &&
                 wanted->check_every >= 64 && wanted->heartbeat_ms >= 1 && wanted->silence_ms > wanted->heartbeat_ms;
    return sound ? IB_OK : IB_ERROR_ARGUMENT;
}

int ib_replication_prepare(struct ib_replication **replication, const struct ib_engine_config *config, char *error)
{
    const char *directory = config->journal_directory;
    IB_ASSERT(replication != NULL && error != NULL);
    *replication = NULL;
    if (check_config(config) != IB_OK) {
        return IB_ERROR_ARGUMENT;
    }
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "journal_directory %.300s cannot be made: %s", directory, strerror(errno));
        return IB_ERROR_IO;
    }
    struct ib_replication *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->config = config;
    int status = ib_replica_state_read(directory, config->shard, config->replica, &self->state, error);
    if (status == IB_OK && self->state.is_cut) {
        status = ib_journal_cut(directory, self->state.cut_seq, error);
        self->state.is_cut = false;
        status = status == IB_OK ? write_state(self, error) : status;
    }
    if (status == IB_OK) {
        status = ib_entry_source_open(&self->entries, directory);
    }
    if (status != IB_OK) {
        ib_replication_close(self);
        return status;
    }
    *replication = self;
    return IB_OK;
}

static uint64_t ns_of(uint32_t milliseconds)
{
    return (uint64_t)milliseconds * IB_NS_A_MS;
}

static void open_replica(struct ib_replication *self, bool torn)
{
    const struct ib_engine_replication *wanted = self->config->replication;
    const struct ib_replica_config config = {
        .shard = self->config->shard,
        .member = (uint8_t)self->config->replica,
        .members = (uint8_t)wanted->member_count,
        .min_in_sync = (uint8_t)wanted->min_in_sync,
        .window = wanted->window,
        .grow_lag = wanted->window / 4 + 1,
        .check_every = wanted->check_every,
        .heartbeat_ns = ns_of(wanted->heartbeat_ms),
        .silence_ns = ns_of(wanted->silence_ms),
        .down_ns = ns_of(wanted->down_ms),
        .lag_ns = ns_of(wanted->lag_ms),
        .retry_ns = ns_of(wanted->retry_ms),
        .stagger_ns = ns_of(wanted->stagger_ms),
        .store_ns = ns_of(wanted->store_ms),
        .drain_ns = ns_of(wanted->drain_ms),
    };
    const struct ib_replica_io io = {self,       io_send,       io_disconnect,  io_append, io_truncate, io_read,
                                     io_promise, io_store_read, io_store_write, io_commit, io_role};
    const struct ib_entry_source *entries = &self->entries;
    uint64_t last_seq = self->sequencer->seq;
    IB_ASSERT(entries->last_seq == last_seq);
    IB_ASSERT(!self->state.is_cut); /* it was made before the journal was opened */
    if (torn && self->state.doubt_seq != IB_DOUBT_NEW) { /* it may be the end of what it acknowledged */
        uint64_t had_seq = last_seq > 0 ? last_seq : 1;
        self->state.doubt_seq = had_seq > self->state.doubt_seq ? had_seq : self->state.doubt_seq;
    }
    const struct ib_replica_recovered recovered = {.promised = self->state.promised,
                                                   .doubt_seq = self->state.doubt_seq,
                                                   .last_seq = last_seq,
                                                   .last_epoch = last_seq > 0 ? entries->last.epoch : 0,
                                                   .last_time_ns = self->sequencer->time_ns,
                                                   .chain = entries->last.chain,
                                                   .begin_seq = entries->begin_seq};
    self->durable_seq = last_seq;
    ib_replica_open(&self->replica, &config, &io, &recovered, ib_clock_ns(CLOCK_MONOTONIC));
}

int ib_replication_open(struct ib_replication *self, struct ib_sequencer *sequencer, bool torn,
                        struct ib_io_loop *loop, char *error)
{
    const struct ib_links_config links = {.shard = self->config->shard,
                                          .orders = self->config->orders,
                                          .member = (uint8_t)self->config->replica,
                                          .replication = self->config->replication};
    const struct ib_store_link_config store = {.run_directory = self->config->run_directory,
                                               .shard = self->config->shard,
                                               .member = self->config->replica,
                                               .retry_ms = self->config->replication->retry_ms};
    IB_ASSERT(self->sequencer == NULL && error != NULL);
    self->sequencer = sequencer;
    self->reason = "it has just begun";
    int status = ib_entry_source_use_ring(&self->entries, &sequencer->ring);
    if (status != IB_OK) {
        return status;
    }
    open_replica(self, torn);
    if (self->state.doubt_seq != IB_DOUBT_NEW && (status = write_state(self, error)) != IB_OK) {
        return status;
    }
    sequencer->replica = &self->replica;
    status = ib_store_link_open(&self->store, &store, loop,
                                (struct ib_store_link_hooks){self, store_answered, record_seen});
    if (status == IB_OK) {
        status = ib_links_open(&self->links, &links, loop,
                               (struct ib_links_hooks){self, peer_connected, peer_disconnected, peer_received}, error);
    }
    return status;
}

void ib_replication_close(struct ib_replication *self)
{
    if (self != NULL) {
        ib_links_close(self->links);
        ib_store_link_close(self->store);
        ib_entry_source_close(&self->entries);
        free(self);
    }
}
