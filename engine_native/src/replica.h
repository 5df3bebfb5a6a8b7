/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica.h: one member of a shard: replication, membership and takeover as one deterministic state machine. It knows
 * no clock, file, socket, thread or memory: whatever happens is told to it, whatever is to be done goes out through
 * struct ib_replica_io, and the same calls give the same calls. docs/engine.md, "Replication", has the whole; the rules
 * R1 to R9 are named in the sources where they are kept.
 *
 * What always holds:
 *   - commit_seq moves only when every member of the in-sync set has it durable, in this primary's epoch, and the set
 *     has min_in_sync members (R1); while a change of the set is not settled, both sets count;
 *   - an epoch belongs to one member: it is written to the configuration store by whoever promised it first, on disk
 *     (R3), and only if nobody has changed the record since it was read;
 *   - a member that may have lost what it acknowledged is in doubt, on disk, until a primary has given it everything.
 *     `doubt_seq` is the last entry that it surely had once, at least 1; 0 is a member that is in no doubt, and
 *     IB_DOUBT_NEW one that knows nothing, its promise included: a new disk.
 *
 * What is called here must not call back; what is called out must not call back in.
 */
#ifndef IB_REPLICA_H
#define IB_REPLICA_H

#include "replica_frame.h"

enum ib_replica_limit {
    IB_REPLICA_MEMBERS_MAX = 8,
    IB_REPLICA_NOBODY = 0xff,
    IB_REPLICA_CHECKS = 64, /* state hashes that are remembered until the others' come */
};

#define IB_DOUBT_NEW UINT64_MAX

enum ib_replica_role {
    IB_ROLE_STANDBY = 0,
    IB_ROLE_TAKEOVER = 1, /* reads the record, promises, writes it */
    IB_ROLE_OPENING = 2,  /* has its epoch; commits what it inherited, compares states; takes no order yet */
    IB_ROLE_PRIMARY = 3,
    IB_ROLE_STOPPED = 4, /* for good: restart, or a person */
};

enum ib_store_outcome {
    IB_STORE_OK = 0,       /* read: `record` is what stands there; write: it is written */
    IB_STORE_CONFLICT = 1, /* write: `record` is what stands there instead */
    IB_STORE_UNKNOWN = 2,  /* no answer: it may be written, or may be written later */
};

/* The configuration record of a shard, in the store on which everybody agrees. */
struct ib_shard_record {
    uint64_t version; /* each write adds one, and names the one that it found */
    uint64_t epoch;   /* 0: nobody was ever primary */
    uint32_t in_sync; /* bit i: member i has everything that is committed */
    uint8_t primary;  /* IB_REPLICA_NOBODY in epoch 0 */
};

struct ib_replica_config {
    uint32_t shard;
    uint8_t member;
    uint8_t members;
    uint8_t min_in_sync;     /* 2; 1 risks what is acknowledged, and is an operator's explicit wish */
    uint32_t window;         /* entries sequenced and not committed, at most */
    uint32_t grow_lag;       /* entries that a member may lack when it is taken into the in-sync set */
    uint32_t check_every;    /* the states are compared whenever seq is a multiple of it */
    uint64_t heartbeat_ns;
    uint64_t silence_ns;     /* nothing heard for so long: the host is dead */
    uint64_t down_ns;        /* a standby's connection may be closed for so long before the set shrinks */
    uint64_t lag_ns;         /* … and it may acknowledge nothing new for so long */
    uint64_t retry_ns;       /* between attempts at the store */
    uint64_t stagger_ns;     /* so much later does each next standby try */
    uint64_t store_ns;       /* an answer that takes longer is unknown */
    uint64_t drain_ns;       /* a planned switchover is given up after it */
};

/* What recovery found on this member's disk. */
struct ib_replica_recovered {
    uint64_t promised;   /* epoch */
    uint64_t doubt_seq;  /* as on disk; or as recovery found, when that cut off more than a clean end */
    uint64_t last_seq;   /* end of the journal, all of it durable; 0 = empty */
    uint64_t last_epoch;
    uint64_t last_time_ns;
    uint64_t chain;      /* IB_REPLICA_CHAIN_EMPTY of an empty one */
    uint64_t begin_seq;  /* of the snapshot that it began with: what is before may not be read yet; 0: none */
};

/* What the state machine asks of the member around it. Of append, promise, truncate and the store the completion comes
 * later, by the call of the same name below. */
struct ib_replica_io {
    void *context;
    void (*send)(void *context, unsigned peer, const uint8_t *bytes, size_t size);
    void (*disconnect)(void *context, unsigned peer, const char *why); /* null: it says nothing any more */
    /* Journal these behind what is there, and match them. False: there is no room now, nothing happened. */
    bool (*append)(void *context, const struct ib_replica_entry *entries, size_t count);
    /* Cut the journal behind seq, durably; discard the state, and replay. */
    void (*truncate)(void *context, uint64_t seq);
    /* Entries from seq on, which the journal has; how many were read. Durable or not. At least 1; before `begin_seq` it
     * may be 0, now or for ever. */
    size_t (*read)(void *context, uint64_t seq, struct ib_replica_entry *entries, size_t count);
    void (*promise)(void *context, uint64_t epoch, uint64_t doubt_seq);
    void (*store_read)(void *context, uint64_t request);
    /* Write `record` if the version there is record->version - 1. */
    void (*store_write)(void *context, uint64_t request, const struct ib_shard_record *record);
    void (*commit)(void *context, uint64_t seq); /* up to here everything may be shown (R8) */
    void (*role)(void *context, enum ib_replica_role role, const char *why);
};

/* A member as this one sees it. */
struct ib_replica_peer {
    bool connected;
    bool matched;    /* primary: it has said where its journal is the same as mine */
    bool diverged;   /* its state was another one: not taken in before it has discarded it */
    bool has_hello;  /* since it connected */
    uint64_t heard_ns;
    uint64_t down_ns;      /* when its connection closed */
    uint64_t progress_ns;  /* when it last acknowledged more, or all */
    uint64_t heartbeat_ns; /* when the next one is due */
    uint64_t next_seq;     /* the next entry to send */
    uint64_t number;       /* of the last APPEND to it */
    uint64_t rewound;      /* … when it was last begun anew: a NACK of one before is answered already */
    bool is_full;          /* it had no room: nothing more before the next heartbeat */
    uint64_t acked_seq;    /* durable there, and mine */
    uint64_t last_seq, last_epoch; /* of its HELLO: end of its journal */
    uint64_t check_seq, check_hash; /* newest state that it told */
    uint64_t checked_seq;  /* newest state that was compared and is the same */
};

enum ib_replica_stage { IB_STAGE_READ = 0, IB_STAGE_PROMISE = 1, IB_STAGE_WRITE = 2 };

/* One change of the record, from its first write to the answer that settles it. */
struct ib_replica_store {
    uint64_t request;  /* number of the newest call; an answer to an older one is ignored */
    uint64_t due_ns;   /* UINT64_MAX: no call is out */
    bool is_write;     /* of that call */
    bool proposing;    /* `proposal` may be written, or may be written later */
    uint64_t retry_ns; /* not before */
    struct ib_shard_record proposal;
    uint64_t seen_version; /* newest one that the watcher has told: no record before it is believed any more */
    const char *fault; /* why the last record was not believed; null: it was */
};

struct ib_replica {
    struct ib_replica_config config;
    struct ib_replica_io io;
    enum ib_replica_role role;
    uint64_t now_ns;
    /* epochs */
    uint64_t epoch;     /* of the primary that I follow, or mine; 0 = none known */
    uint64_t promised;  /* durable: nothing of a lower one is accepted */
    uint64_t promising; /* what is being made durable, or `promised` */
    uint64_t highest;   /* epoch that anybody has named */
    uint64_t doubt_seq; /* durable, as `promised` */
    bool must_read;     /* a new disk: follows nobody before the record has told which epochs are over */
    uint8_t primary;    /* whom I follow; IB_REPLICA_NOBODY */
    uint64_t primary_ns; /* when it was last heard */
    uint64_t lost_epoch; /* the primary of this epoch and all before is given up */
    uint64_t takeover_ns; /* when to try; UINT64_MAX: not at all */
    enum ib_replica_stage stage;
    bool planned;       /* the old primary has handed over, and stays in the set */
    struct ib_shard_record record; /* as last read or written */
    struct ib_replica_store store;
    /* the journal */
    uint64_t last_seq, last_epoch, last_time_ns, chain; /* its end, durable or not */
    uint64_t begin_seq; /* as recovery found */
    uint64_t durable_seq;
    uint64_t commit_seq;
    bool matched;         /* standby: compared with this epoch's primary … */
    uint64_t matched_seq; /* … and up to here it is the primary's */
    bool truncating;
    bool no_room;         /* the journal took nothing when it was last asked */
    /* as a primary */
    uint64_t epoch_seq; /* of my EPOCH entry; 0: not yet appended */
    uint8_t handover_to; /* IB_REPLICA_NOBODY: no switchover */
    uint64_t drain_due_ns;
    struct ib_replica_peer peers[IB_REPLICA_MEMBERS_MAX];
    struct { uint64_t seq, hash; } checks[IB_REPLICA_CHECKS]; /* mine, by seq */
    uint64_t check_seq, check_hash; /* the newest of them */
    /* room for one frame, in and out */
    struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX];
    uint8_t bytes[IB_REPLICA_FRAME_MAX];
};

void ib_replica_open(struct ib_replica *self, const struct ib_replica_config *config, const struct ib_replica_io *io,
                     const struct ib_replica_recovered *recovered, uint64_t now_ns);

/* ---- what happened ---- */

/* Monotonic time of this host; several times a heartbeat. */
void ib_replica_tick(struct ib_replica *self, uint64_t now_ns);
/* A connection to a peer is there: nothing that an older one carried arrives any more. And it is gone. */
void ib_replica_connected(struct ib_replica *self, unsigned peer);
void ib_replica_disconnected(struct ib_replica *self, unsigned peer);
/* One frame of it, any bytes. They may be lost, doubled or in another order. */
void ib_replica_received(struct ib_replica *self, unsigned peer, const uint8_t *bytes, size_t size);
/* The journal's entries up to seq are durable. After a truncation never one that was cut off before. */
void ib_replica_durable(struct ib_replica *self, uint64_t seq);
/* The state behind command seq, which is_checked. */
void ib_replica_applied(struct ib_replica *self, uint64_t seq, uint64_t state_hash);
void ib_replica_promised(struct ib_replica *self, uint64_t epoch, uint64_t doubt_seq);
/* The journal ends at seq now, on disk, and the state is the one there. */
void ib_replica_truncated(struct ib_replica *self, uint64_t seq);
/* Null `record`: there is none. One that makes no sense, or goes back, is not believed: as if nothing was heard. */
void ib_replica_stored(struct ib_replica *self, uint64_t request, enum ib_store_outcome outcome,
                       const struct ib_shard_record *record);
/* The record, seen by whoever watches it: a primary that nobody can reach may hear there that it is none any more. */
void ib_replica_record_seen(struct ib_replica *self, const struct ib_shard_record *record);

/* ---- what is wanted of it ---- */

/* Whether `count` more commands, of any number, may be sequenced now. */
bool ib_replica_may_sequence(const struct ib_replica *self, uint64_t count);
/* Primary: sequences commands behind last_seq (seq and time_ns are set, dense, never back). False: not primary, the
 * window is full, or the journal has no room: nothing happened, and nobody may be told that it did. */
bool ib_replica_sequence(struct ib_replica *self, const struct ib_command *commands, size_t count);
/* Primary: hands over to a member of the in-sync set. IB_ERROR_ARGUMENT: not primary, or it is not such a member. */
int ib_replica_switch_over(struct ib_replica *self, unsigned to);
/* Whether the state behind this entry is to be told by ib_replica_applied. */
bool ib_replica_is_checked(const struct ib_replica *self, const struct ib_command *command);

#endif
