/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_host.h: one member of three, whose host is this file: it notes what the replica asks for and does nothing by
 * itself, so that a case says each step. For the tests of the replica.
 */
#ifndef IB_TEST_REPLICA_HOST_H
#define IB_TEST_REPLICA_HOST_H

#include "replica.h"
#include "test.h"

enum { HOST_LOG = 256, HOST_SENT = 256, SHARD = 7, MS = 1000000 };

struct sent {
    unsigned to;
    struct ib_replica_frame frame;
    struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX];
};

static struct {
    struct ib_replica replica;
    struct ib_replica_entry log[HOST_LOG];
    uint64_t last, cut_to, committed, unread; /* entries before `unread` cannot be read now */
    bool no_room;
    struct sent sent[HOST_SENT];
    unsigned count;           /* of sent */
    uint64_t promise, doubt;  /* asked for, not yet durable; 0 = none */
    uint64_t request;         /* of the store call that is out; 0 = none */
    bool is_write;
    struct ib_shard_record record; /* of a write */
    unsigned disconnected;    /* members, as bits */
    uint64_t now_ns;
    enum ib_replica_role role;
} host;

static inline void host_send(void *context, unsigned peer, const uint8_t *bytes, size_t size)
{
    (void)context;
    if (host.count < HOST_SENT) {
        struct sent *sent = &host.sent[host.count++];
        sent->to = peer;
        if (!ib_replica_frame_read(bytes, size, &sent->frame, sent->entries)) {
            test_failed = 1;
        }
    }
}

static inline void host_disconnect(void *context, unsigned peer, const char *why)
{
    (void)context, (void)why;
    host.disconnected |= 1u << peer;
}

static inline bool host_append(void *context, const struct ib_replica_entry *entries, size_t count)
{
    (void)context;
    if (host.no_room) {
        return false;
    }
    memcpy(&host.log[host.last + 1], entries, count * sizeof *entries);
    host.last += count;
    return true;
}

static inline void host_truncate(void *context, uint64_t seq)
{
    (void)context;
    host.cut_to = seq;
    host.last = seq;
}

static inline size_t host_read(void *context, uint64_t seq, struct ib_replica_entry *entries, size_t count)
{
    (void)context;
    count = seq < host.unread ? 0 : host.last - seq + 1 < count ? (size_t)(host.last - seq + 1) : count;
    memcpy(entries, &host.log[seq], count * sizeof *entries);
    return count;
}

static inline void host_promise(void *context, uint64_t epoch, uint64_t doubt_seq)
{
    (void)context;
    host.promise = epoch;
    host.doubt = doubt_seq;
}

static inline void host_store_read(void *context, uint64_t request)
{
    (void)context;
    host.request = request;
    host.is_write = false;
}

static inline void host_store_write(void *context, uint64_t request, const struct ib_shard_record *record)
{
    (void)context;
    host.request = request;
    host.is_write = true;
    host.record = *record;
}

static inline void host_commit(void *context, uint64_t seq)
{
    (void)context;
    host.committed = seq;
}

static inline void host_role(void *context, enum ib_replica_role role, const char *why)
{
    (void)context, (void)why;
    host.role = role;
}

static const struct ib_replica_config host_config = {
    .shard = SHARD, .members = 3, .min_in_sync = 2, .window = 8, .grow_lag = 2, .check_every = 4,
    .heartbeat_ns = 50 * MS, .silence_ns = 1000 * (uint64_t)MS, .down_ns = 100 * MS, .lag_ns = 1000 * (uint64_t)MS,
    .retry_ns = 100 * MS, .stagger_ns = 60 * MS, .store_ns = 200 * MS, .drain_ns = 100 * MS};

/* Member `index` with the first `entries` of host.log, connected to both others. */
static inline void host_open(uint8_t index, uint64_t promised, uint64_t doubt_seq, uint64_t entries)
{
    struct ib_replica_config config = host_config;
    struct ib_replica_io io = {NULL, host_send, host_disconnect, host_append, host_truncate, host_read, host_promise,
                               host_store_read, host_store_write, host_commit, host_role};
    struct ib_replica_recovered recovered = {.promised = promised, .doubt_seq = doubt_seq, .last_seq = entries,
                                             .chain = IB_REPLICA_CHAIN_EMPTY};
    struct ib_replica_entry log[HOST_LOG];
    memcpy(log, host.log, sizeof log);
    memset(&host, 0, sizeof host);
    memcpy(host.log, log, sizeof log);
    host.last = entries;
    if (entries > 0) {
        recovered.last_epoch = log[entries].epoch;
        recovered.chain = log[entries].chain;
        recovered.last_time_ns = log[entries].command.time_ns;
    }
    config.member = index;
    host.now_ns = 5 * (uint64_t)MS;
    ib_replica_open(&host.replica, &config, &io, &recovered, host.now_ns);
    for (unsigned i = 0; i < 3; i++) {
        if (i != index) {
            ib_replica_connected(&host.replica, i);
        }
    }
    host.count = 0;
}

/* Entries of host.log from `from` on, of an epoch: the first one an EPOCH when `begins`. */
static inline void host_make(uint64_t from, uint64_t count, uint64_t epoch, bool begins, uint32_t mark)
{
    for (uint64_t seq = from; seq < from + count; seq++) {
        struct ib_replica_entry *entry = &host.log[seq];
        *entry = (struct ib_replica_entry){.epoch = epoch};
        entry->command.seq = seq;
        entry->command.time_ns = seq;
        entry->command.type = begins && seq == from ? IB_COMMAND_EPOCH : IB_COMMAND_CANCEL;
        entry->command.user_ref = mark;
        entry->chain = ib_replica_chain(seq > 1 ? host.log[seq - 1].chain : IB_REPLICA_CHAIN_EMPTY, epoch,
                                        &entry->command);
    }
}

static inline void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        host.now_ns += 10 * (uint64_t)MS;
        ib_replica_tick(&host.replica, host.now_ns);
    }
}

static inline void give_entries(unsigned from, struct ib_replica_frame frame,
                                const struct ib_replica_entry *entries, size_t count)
{
    uint8_t bytes[IB_REPLICA_FRAME_MAX];
    frame.from = (uint8_t)from;
    frame.shard = frame.shard == 0 ? SHARD : frame.shard;
    ib_replica_received(&host.replica, from, bytes, ib_replica_frame_write(&frame, entries, count, bytes));
}

static inline void give(unsigned from, struct ib_replica_frame frame)
{
    give_entries(from, frame, NULL, 0);
}

/* A primary's entries from..to of host.log, or a heartbeat behind `from` - 1 when to < from. */
static inline void give_append(unsigned from_member, uint64_t epoch, uint64_t from, uint64_t to, uint64_t commit,
                               uint8_t flags)
{
    struct ib_replica_entry copy[IB_REPLICA_BATCH_MAX];
    uint64_t count = to + 1 - from;
    memcpy(copy, &host.log[from], count * sizeof copy[0]); /* reading it may write to host.log */
    give_entries(from_member,
                 (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = epoch, .seq = from - 1, .flags = flags,
                                           .chain = from > 1 ? host.log[from - 1].chain : IB_REPLICA_CHAIN_EMPTY,
                                           .commit_seq = commit, .number = 1},
                 copy, (size_t)count);
}

static inline void give_ack(unsigned from, uint64_t epoch, uint64_t seq, uint64_t check_seq, uint64_t check_hash)
{
    give(from, (struct ib_replica_frame){.type = IB_FRAME_ACK, .epoch = epoch, .seq = seq, .check_seq = check_seq,
                                         .check_hash = check_hash});
}

/* The last frame of a kind; null: none. */
static inline const struct sent *last_sent(unsigned to, enum ib_replica_frame_type type)
{
    for (unsigned i = host.count; i > 0; i--) {
        if (host.sent[i - 1].to == to && host.sent[i - 1].frame.type == type) {
            return &host.sent[i - 1];
        }
    }
    return NULL;
}

static inline void answer(enum ib_store_outcome outcome, struct ib_shard_record record)
{
    uint64_t request = host.request;
    host.request = 0; /* before the next one comes */
    ib_replica_stored(&host.replica, request, outcome, outcome == IB_STORE_UNKNOWN ? NULL : &record);
}

static inline void keep_promise(void)
{
    ib_replica_promised(&host.replica, host.promise, host.doubt);
    host.promise = 0;
}

/* Member 0 leads epoch 1 of an empty shard, open, with members 1 and 2 in sync; entry 1 is its EPOCH. */
static inline void lead(void)
{
    host_open(0, 0, 0, 0);
    pass(1000);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 1, .in_sync = 7, .primary = IB_REPLICA_NOBODY});
    keep_promise();
    answer(IB_STORE_OK, host.record);
    ib_replica_applied(&host.replica, 1, 11);
    ib_replica_durable(&host.replica, 1);
    give_ack(1, 1, 1, 1, 11);
    give_ack(2, 1, 1, 1, 11);
}

static inline bool sequence(void)
{
    struct ib_command command = {.seq = host.replica.last_seq + 1, .time_ns = host.replica.last_time_ns,
                                 .type = IB_COMMAND_CANCEL};
    return ib_replica_sequence(&host.replica, &command, 1);
}

#endif
