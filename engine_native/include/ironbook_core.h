/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook_core.h: the functions of the core that C and Python both call: the matcher, the journal and
 * the offline replay. What only C modules need stands in src/matcher.h, src/journal.h and src/event_log.h.
 *
 * A handle belongs to one thread at a time; nothing here locks. Every pointer to a struct is borrowed
 * for the length of the call unless its comment says otherwise.
 */
#ifndef IRONBOOK_CORE_H
#define IRONBOOK_CORE_H

#include "ironbook.h"

/* CFFI-BEGIN */

/* ---- matcher: the state machine itself. It knows no clock, no file and no socket. ---- */

enum ib_trading_state { IB_TRADING_OPEN = 0, IB_TRADING_HALTED = 1, IB_TRADING_ENDED = 2 };

struct ib_matcher;

/* Takes all memory for `orders` live orders (1 … IB_ORDERS_MAX). `orders` is part of the state machine:
 * a book that is full rejects, so the same journal needs the same number (it stands in each segment's header). */
int ib_matcher_open(struct ib_matcher **matcher, uint32_t orders);
void ib_matcher_close(struct ib_matcher *matcher); /* null is allowed */

/* Applies `command_count` commands and writes their events to `events`. `*consumed` tells how many commands were
 * applied: fewer than asked when `event_capacity` could not surely hold the next command's events
 * (ib_matcher_events_max). IB_ERROR_ARGUMENT as ib_matcher_apply (matcher.h). */
int ib_matcher_apply_batch(struct ib_matcher *matcher, const struct ib_command *commands, size_t command_count,
                           struct ib_event *events, size_t event_capacity, size_t *consumed, size_t *event_count);

/* The most events that the next command can cause: two for each live order, one for each session, and three. */
uint64_t ib_matcher_events_max(const struct ib_matcher *matcher);
void ib_matcher_totals(const struct ib_matcher *matcher, struct ib_totals *totals);
/* What the next ENTER or REPLACE of this session must carry at least; 0 when the session does not exist. */
uint32_t ib_matcher_next_user_ref(const struct ib_matcher *matcher, uint16_t session);
int ib_matcher_trading_state(const struct ib_matcher *matcher); /* enum ib_trading_state */
/* Every invariant of the whole state, in O(state). IB_OK, or IB_ERROR_ARGUMENT and the broken rule in `text`. */
int ib_matcher_check(const struct ib_matcher *matcher, char *text, size_t text_size);

/* Where a live order is. */
enum ib_place { IB_PLACE_VISIBLE = 0, IB_PLACE_HIDDEN = 1, IB_PLACE_STOP = 2, IB_PLACE_AT_CLOSE = 3 };

/* One live order, for whoever looks: checks, snapshots, people. 96 bytes. */
struct ib_live_order {
    uint64_t order_ref;
    int64_t price;          /* limit; 0 of a market order */
    int64_t stop_price;     /* of a parked stop, otherwise 0 */
    uint64_t remaining;
    uint64_t shown;         /* of `remaining`, what the book shows; 0 of a hidden or parked order */
    uint64_t displayed;     /* of an iceberg: its slice; otherwise 0 */
    uint64_t executed;
    uint64_t expire_time_ns; /* GTD; otherwise 0 */
    uint32_t instrument;
    uint32_t user_ref;
    uint16_t session;
    uint8_t side;
    uint8_t time_in_force;
    uint8_t order_type;
    uint8_t place;          /* enum ib_place */
    uint8_t self_trade;     /* of a parked order, which still has to match; otherwise 0 */
    uint8_t reserved[17];   /* zero */
};

/* What an instrument is at the moment. */
struct ib_instrument_state {
    int64_t tick;
    uint64_t lot;
    int64_t reference_price; /* 0 = none */
    int64_t last_price;      /* of the newest trade; 0 = none */
    uint64_t static_band;    /* basis points */
    uint64_t dynamic_band;
    uint32_t schedule;
    uint8_t phase;           /* enum ib_phase */
    uint8_t breach;
    uint8_t removed;
    uint8_t reserved;
};

/* What the risk gate keeps of one account in one instrument. */
struct ib_risk_state {
    int64_t position;   /* bought less sold */
    uint64_t open_buy;  /* quantity of live buy orders */
    uint64_t open_sell;
    uint64_t open_orders;
};

/* All live orders in the walk of docs/matching.md, section 8; `*count` is how many there are, also when that is more
 * than `capacity`: then IB_ERROR_CAPACITY and the first ones. */
int ib_matcher_live_orders(const struct ib_matcher *matcher, struct ib_live_order *orders, size_t capacity,
                           size_t *count);
/* IB_ERROR_ARGUMENT: it was never defined. */
int ib_matcher_instrument_state(const struct ib_matcher *matcher, uint32_t instrument,
                                struct ib_instrument_state *state);
/* All zero for a pair that never had an order. IB_ERROR_ARGUMENT: account or instrument was never defined. */
int ib_matcher_risk_state(const struct ib_matcher *matcher, uint16_t account, uint32_t instrument,
                          struct ib_risk_state *state);
uint32_t ib_matcher_rules(const struct ib_matcher *matcher); /* version in force */
/* When the next GTD order is due; UINT64_MAX when there is none. */
uint64_t ib_matcher_next_expiry_ns(const struct ib_matcher *matcher);

/* ---- journal: the sequenced input on disk ---- */

enum ib_fsync_policy {
    IB_FSYNC_NONE = 0,  /* written by write(2): survives the process, not the power supply */
    IB_FSYNC_GROUP = 1, /* fdatasync(2) after each group */
    IB_FSYNC_WRITE = 2, /* each group by one pwritev2(2) with RWF_DSYNC */
};

enum ib_journal_limit {
    IB_JOURNAL_FORMAT = 3,        /* what is written; every format from 1 on is read */
    IB_JOURNAL_GROUP_MAX = 4096,  /* commands in one append */
    IB_JOURNAL_SHARD_ANY = -1,    /* read-only opens: whatever shard it is */
};

/* A place in a journal: behind the record of a command. */
struct ib_journal_place {
    uint64_t seq;
    uint64_t time_ns;
    uint64_t chain; /* as seq_chain of struct ib_journal_report */
};

struct ib_journal_config {
    const char *directory;  /* exists, or is made with mode 0700 */
    uint32_t shard;
    uint32_t orders;        /* capacity of the book, as ib_matcher_open takes it */
    uint64_t epoch;         /* that records bear until an EPOCH command names a higher one; never lower than the
                             * journal's last one; 0: as the journal has it */
    uint64_t segment_bytes; /* size of a segment, which is reserved on the disk when it is begun */
    int fsync_policy;       /* enum ib_fsync_policy */
    const struct ib_journal_place *behind; /* what is before it is known, and not visited; null = nothing is */
};

/* What reading a journal found. Filled in as far as known on failure too. */
struct ib_journal_report {
    uint32_t shard;
    uint32_t orders;       /* capacity of the book that the journal was made with */
    uint32_t format;
    uint32_t rules;
    uint64_t epoch;        /* of the last record */
    uint64_t segments;
    uint64_t records;      /* commands read */
    uint64_t seq;          /* last valid command; 0 = none */
    uint64_t time_ns;      /* of that command */
    uint64_t bytes;        /* valid bytes in all segments */
    uint64_t chain;        /* hash of everything up to the end */
    uint64_t seq_chain;    /* … up to and with the record of `seq`: a segment may have begun behind it */
    uint64_t torn_bytes;   /* bytes of an unfinished last record; a writer's open cuts them off */
    uint64_t spare_bytes;  /* zeros behind the last record: reserved, and not yet used */
    uint32_t segment_format; /* of the last segment's header */
    uint64_t error_offset; /* with error: where in `file` */
    uint64_t error_seq;    /* with error: the sequence number that was expected there */
    uint32_t error_in_last_group; /* 1: damage, and no sound record of a later group is behind it. A power cut before
                                   * that group was acknowledged may have left it so: a standby can say */
    char file[256];        /* the last segment that was looked at, its name without the directory */
    char error[IB_ERROR_TEXT_SIZE]; /* one line for people; empty when all is well */
};

struct ib_journal_reader;

/* Opens for reading only: no lock, nothing is changed, a live journal may be read. `shard` or IB_JOURNAL_SHARD_ANY.
 * After a failure `*reader` still holds the report, and must be closed; it is null only without memory. */
int ib_journal_reader_open(struct ib_journal_reader **reader, const char *directory, int64_t shard);
/* Fills `commands` with the next ones in sequence; `*count` 0 = the end. After an error the reader stays at it. */
int ib_journal_reader_next(struct ib_journal_reader *reader, struct ib_command *commands, size_t capacity,
                           size_t *count);
const struct ib_journal_report *ib_journal_reader_report(const struct ib_journal_reader *reader);
void ib_journal_reader_close(struct ib_journal_reader *reader);

struct ib_journal;

/* Called with the valid commands, in order and some at a time, while a journal is opened. Anything but IB_OK ends the
 * open with it. */
typedef int (*ib_journal_visit)(void *context, const struct ib_command *commands, size_t count);

/* Opens for appending: locks the directory, recovers, cuts off a torn tail, makes the first segment when there is
 * none. `visit` may be null. On failure `report->error` has the line for people and `*journal` is null. */
int ib_journal_open(struct ib_journal **journal, const struct ib_journal_config *config, ib_journal_visit visit,
                    void *context, struct ib_journal_report *report);
/* Appends 1 … IB_JOURNAL_GROUP_MAX commands (seq dense, time_ns never back) as one group, or as one for each segment
 * that they lie in, and applies the fsync policy to each. IB_OK: all are in the file. IB_ERROR_CAPACITY: the disk has
 * no room for the next segment; ib_journal_seq says how far it came, the rest may be tried again. IB_ERROR_IO is
 * fatal: every later call repeats it. */
int ib_journal_append(struct ib_journal *journal, const struct ib_command *commands, size_t count);
uint64_t ib_journal_seq(const struct ib_journal *journal); /* last appended */
uint64_t ib_journal_time_ns(const struct ib_journal *journal); /* of that one */
const char *ib_journal_error(const struct ib_journal *journal); /* why the last call failed */
/* Commands that the segment has room for which is written now: so many are appended without a new one. */
uint64_t ib_journal_segment_left(const struct ib_journal *journal);

/* These another thread may call while one appends. Makes the segment to come, if it is not there: IB_OK, or with errno
 * IB_ERROR_CAPACITY (the disk is full) or IB_ERROR_IO. Who never calls it has segments made when they are needed. */
int ib_journal_prepare(struct ib_journal *journal);
/* Waits until another one is wanted, at most so long; ib_journal_nudge ends the wait. */
void ib_journal_wait(struct ib_journal *journal, uint32_t milliseconds);
void ib_journal_nudge(struct ib_journal *journal);
uint64_t ib_journal_room_seq(const struct ib_journal *journal); /* up to this one the disk has room, reserved; grows */
int ib_journal_room_error(const struct ib_journal *journal); /* errno of the last preparation; 0 = it succeeded */
uint64_t ib_journal_segment_capacity(const struct ib_journal *journal); /* commands in a whole segment */
void ib_journal_close(struct ib_journal *journal);

/* ---- replay: a journal through a fresh matcher, offline ---- */

struct ib_replay;

/* until_seq = 0: to the end. After a failure `*replay` still has the line for people, and must be closed; it is null
 * only without memory. */
int ib_replay_open(struct ib_replay **replay, const char *directory, uint64_t until_seq);
/* The next batch of events, at most `capacity`; `*count` 0 = the end. */
int ib_replay_events(struct ib_replay *replay, struct ib_event *events, size_t capacity, size_t *count);
/* Runs to the end without handing out events. */
int ib_replay_run(struct ib_replay *replay);
void ib_replay_totals(const struct ib_replay *replay, struct ib_totals *totals);
/* The broken invariant, if any, as ib_matcher_check. */
int ib_replay_check(const struct ib_replay *replay, char *text, size_t text_size);
const char *ib_replay_error(const struct ib_replay *replay); /* one line for people on why it failed */
void ib_replay_close(struct ib_replay *replay);

/* CFFI-END */

#endif
