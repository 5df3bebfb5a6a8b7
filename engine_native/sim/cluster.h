/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cluster.h: the simulated shard: three members with the real replica and the real core, a store, a network, disks
 * and clocks that exist only here, clients that resend what they do not know, and a checker that knows nothing of
 * replica.c. One seed is one run, byte for byte: one source of random numbers, one queue of events, one thread.
 */
#ifndef IB_SIM_CLUSTER_H
#define IB_SIM_CLUSTER_H

#include "hash.h"
#include "journal_record.h"
#include "matcher.h"
#include "replica.h"

#define MS 1000000u

enum {
    MEMBERS = 3,
    CLIENTS = 3,
    INSTRUMENTS = 2,
    ORDERS = 128,            /* capacity of the book */
    LOG_MAX = 1024,          /* entries of a run */
    EVENTS_MAX = 8192,
    USER_REFS_MAX = 512,     /* of a client */
    RECORD = IB_RECORD_COMMAND_SIZE,
    DISK_BYTES = LOG_MAX * RECORD,
    SECTOR = 512,
    SHARD = 7,
    OUTSTANDING = 3,         /* orders of a client that have no report yet */
    REPORTS = 16,            /* in one answer */
    EPOCHS_MAX = 4096,
};

enum happening {
    TICK, FRAME, CONNECT, DISCONNECTED, SYNCED, TRUNCATED, PROMISED, STORE_APPLY, STORE_ANSWER, RESTART, RESUME,
    ASK, REQUEST, ANSWER, FAULT, HEAL
};

struct event {
    uint64_t at_ns;
    uint64_t order;  /* of those at the same time, first in, first out */
    uint64_t a, b;   /* by kind */
    enum happening kind;
    uint8_t member;  /* whom it happens to */
    uint8_t peer;
    uint32_t life;   /* of the member: what an older one has started ends with it */
    uint32_t slot;   /* payload, 0 = none */
};

/* ---- a disk: what was written, and what would be there after a power loss ---- */

struct disk {
    uint8_t cache[DISK_BYTES];
    uint8_t platter[DISK_BYTES];
    size_t dirty_from, dirty_to; /* bytes where they may differ */
    size_t extent;               /* behind it there was never anything but zeros */
    uint64_t promised[2], doubt[2]; /* cache, platter */
    size_t room;        /* bytes that may be used: ENOSPC beyond */
    uint64_t slow_ns;   /* a sync takes so much longer */
    bool fails;         /* the next sync does */
    bool damaged;       /* bits were flipped, and it has not been made good since */
    uint64_t damage_ns;
};

struct found {
    struct ib_replica_recovered recovered;
    size_t entries;
};

struct member {
    bool up, stopped;
    uint32_t life;
    uint64_t paused_until_ns;
    uint64_t clock_ns, skew; /* what its clock is ahead; parts of 1024 that it runs faster or slower */
    int64_t wall_ns;         /* what its wall clock is off */
    struct ib_replica replica;
    struct ib_matcher *matcher;
    struct disk disk;
    struct ib_replica_entry log[LOG_MAX + 1]; /* by seq */
    uint64_t hashes[LOG_MAX + 1];
    uint32_t event_end[LOG_MAX + 1]; /* events up to and with those of seq */
    struct ib_event events[EVENTS_MAX];
    uint64_t last_seq, applied_seq, written_seq, syncing_seq, commit_seq, shown_seq;
    uint64_t led_seq; /* committed while it led */
    uint64_t begin_seq, readable_ns; /* of the snapshot that it began with; until then nothing before it can be read */
    uint64_t chain_disk, group_seq;  /* the journal's own chain, and first entry of the group being written */
    bool syncing, cutting;
    uint32_t fuse;               /* so many more promises, writes of the record and truncations, and it crashes */
    bool blown, fuse_is_host;
    bool astray;                 /* its state in memory is wrong, until it replays */
    uint64_t cut_seq;
    bool cut_wanted;
};

struct client {
    uint32_t next_ref;      /* of the next order */
    uint32_t session_seq;   /* reports received */
    uint8_t target;         /* the member that it speaks to */
    uint64_t answered_ns;   /* when it last heard of it */
    uint32_t outstanding;
    struct ib_command orders[OUTSTANDING];
};

struct world {
    uint64_t seed, random, now_ns, order, steps, digest;
    struct member members[MEMBERS];
    struct client clients[CLIENTS];
    uint64_t orders_left; /* that clients may still begin */
    uint64_t last_answer_ns; /* of any new report */
    uint64_t opened_ns;      /* when a member last began to take orders */
    /* network */
    uint64_t connection[MEMBERS][MEMBERS], next_connection; /* as each end believes */
    bool cut[MEMBERS][MEMBERS]; /* one way */
    bool cut_store[MEMBERS];
    uint32_t loss, twice;       /* of 1024 frames */
    uint64_t delay_ns;          /* at most */
    /* store */
    struct ib_shard_record record;
    bool store_down;
    uint32_t store_lost;        /* of 1024: request or answer is lost, or very late */
    /* faults */
    bool bounded;               /* one good copy, and no more than one member in trouble at a time */
    bool healed;
    uint64_t trouble_until_ns;  /* of the member that is in trouble */
};

extern struct world world;

/* ---- cluster.c: random numbers, events ---- */
uint64_t draw(uint64_t below);
bool chance(uint32_t of_1024);
void push(struct event event, uint64_t delay_ns);
uint32_t take_slot(void);
void *slot_bytes(uint32_t slot);
size_t *slot_size(uint32_t slot);
void mix(uint64_t value);
__attribute__((format(printf, 1, 2))) _Noreturn void fail(const char *what, ...);
extern bool verbose;
#define SAY(...) do { if (verbose) { say(__VA_ARGS__); } } while (0)
__attribute__((format(printf, 1, 2))) void say(const char *what, ...);

/* What a run has reached, counted over all runs. */
enum reached {
    TAKEOVERS, RACES_LOST, STEPPED_DOWN, CUTS, TORN, IN_DOUBT, DIVERGED, WRITTEN_LATE, UNKNOWN_WRITES,
    RESENDS, WINDOWS_FULL, UNREADABLE, REACHED
};
extern uint64_t reached[REACHED];

/* ---- cluster_fault.c ---- */
void fault_strike(void);      /* one, and when the next one comes */
void fault_heal(const struct event *event);
void fault_heal_all(void);
unsigned fault_primary(void); /* who is primary, or was last; MEMBERS: nobody */
void fault_report(void);

/* ---- cluster_disk.c ---- */
void disk_reset(struct disk *disk);
bool disk_write(struct disk *disk, size_t offset, const void *bytes, size_t size);
void disk_erase(struct disk *disk, size_t offset); /* all behind it */
void disk_sync(struct disk *disk);
void disk_lose_power(struct disk *disk); /* or the cache, after an error: of what was not synced any sector may stay */
void disk_flip(struct disk *disk, size_t offset);
bool disk_holds(const struct disk *disk, uint64_t seq, const struct ib_replica_entry *entry); /* durably */
/* Writes one entry at its place; the journal's chain behind it. */
uint64_t disk_write_entry(struct disk *disk, const struct ib_replica_entry *entry, uint64_t chain, uint64_t group_seq);
/* Reads what is there into the member's log, erases what is no good, and syncs. */
struct ib_replica_recovered disk_recover(struct member *member);

/* ---- cluster_net.c, cluster_store.c ---- */
void net_send(unsigned from, unsigned to, const uint8_t *bytes, size_t size);
void net_disconnect(unsigned from, unsigned to);
void net_died(unsigned member, bool host);
void net_connect(unsigned a, unsigned b);
void net_frame(const struct event *event);
void net_disconnected(const struct event *event);
void store_ask(unsigned member, uint64_t request, const struct ib_shard_record *record);
void store_apply(const struct event *event);
void store_answer(const struct event *event);

/* ---- cluster_member.c ---- */
void member_start(unsigned index);
void member_crash(unsigned index, bool power, uint64_t down_ns);
void member_tick(unsigned index);
void member_synced(const struct event *event);
void member_truncated(const struct event *event);
void member_promised(const struct event *event);
void member_after(unsigned index); /* whatever was told to its replica is carried on */
bool member_submit(unsigned index, struct ib_command command);
void member_close(unsigned index);
uint64_t member_clock(unsigned index);

/* ---- cluster_client.c ---- */
void client_ask(unsigned index);
void client_request(const struct event *event);
void client_answer(const struct event *event);
bool clients_are_done(void);

/* ---- cluster_check.c ---- */
void check_begin(void);
void check_end(void); /* after everything healed and came to rest */
void check_commit(unsigned member, uint64_t seq, const struct ib_replica_entry *entry, uint64_t hash, bool leads);
void check_shown(unsigned member, const struct ib_event *events, size_t count);
void check_invoke(unsigned client, uint32_t user_ref);
void check_report(unsigned client, const struct ib_event *event);
void check_asked(unsigned member, uint64_t epoch);        /* a member asks the store for it */
void check_forgot(unsigned member); /* a new disk: what is in the record is all that it can know again */
void check_acknowledged(unsigned member, uint64_t epoch); /* a standby says on the wire that it has something */
uint64_t check_committed(void);
uint64_t check_trades(void);

#endif
