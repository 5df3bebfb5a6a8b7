/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_internal.h: what the files of the engine share: engine.c (lifecycle and threads), engine_match.c (the
 * matcher's thread), engine_room.c (that of the journal's next segment), engine_open.c (recovery), engine_history.c
 * (the events of before a snapshot), engine_configure.c (what the configuration adds), engine_shell.c (timer, and the
 * sockets of clients and consumers), engine_member.c (when a member of a shard has these) and engine_admin.c (the
 * admin socket's answers).
 */
#ifndef IB_ENGINE_INTERNAL_H
#define IB_ENGINE_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "admin.h"
#include "command_feed.h"
#include "directory.h"
#include "event_feed.h"
#include "event_log.h"
#include "gateway.h"
#include "ironbook_core.h"
#include "ironbook_engine.h"
#include "matcher.h"
#include "past.h"
#include "replication.h"
#include "sequencer.h"

enum { IB_SCHEDULES_MAX = 64 };

/* Where a phase schedule stands. */
struct ib_timed_schedule {
    size_t next;         /* its first change that is still to come */
    uint32_t instrument; /* the next one to look at, while the last change is due */
    bool is_due;
    bool is_late;        /* one has to be looked at again */
};

/* engine_timed.c */
struct ib_timed {
    struct ib_timed_schedule schedules[IB_SCHEDULES_MAX];
    uint64_t definitions;   /* changes of instruments that the schedules know of */
    uint64_t expire_seq;    /* the last EXPIRE */
    uint64_t indicate_due_ms;
    uint64_t indicated_seq; /* the last command of the last round of INDICATE; 0: something came during it */
    bool is_settled;        /* nothing was in flight when the present round began */
    uint32_t indicate_next; /* instrument where the round goes on */
};

enum ib_snapshot_state { IB_SNAPSHOT_NONE, IB_SNAPSHOT_WANTED, IB_SNAPSHOT_TAKEN };

struct ib_engine {
    struct ib_engine_config config;
    struct ib_io_loop loop;
    struct ib_sequencer sequencer;
    struct ib_matcher *matcher; /* of the matcher thread while the engine runs */
    struct ib_journal *journal; /* of the journal thread while the engine runs */
    struct ib_event_log *log;
    struct ib_replication *replication; /* null: the shard is this engine alone */
    /* The venue: null on a member that is not primary. */
    struct ib_directory *directory;
    struct ib_gateway *gateway;
    struct ib_event_feed *feed;
    struct ib_command_feed *commands;
    struct ib_admin *admin;
    int run_lock; /* descriptor that holds the lock on run_directory */
    uint64_t recovered_seq;
    uint64_t snapshot_seq; /* that it began with; 0 = none */
    uint64_t snapshot_hash; /* its state hash */
    struct ib_past past; /* of all that is matched; while it runs alone, of the journal when it was opened */
    uint64_t started_at_s;
    uint64_t torn_bytes; /* that recovery cut off the journal */
    uint32_t rules; /* in force since the venue was opened: they do not change while it is */
    bool is_new; /* nothing was sequenced before but the beginnings of epochs */
    bool ended;
    struct ib_timed timed;
    _Atomic uint64_t next_expiry_ns; /* of a GTD order; written by the matcher thread */
    struct ib_io_handler wake, ticks, signals;
    pthread_t matcher_thread, journal_thread, room_thread, history_thread;
    bool history_runs;

    /* Totals, taken by the matcher thread between two commands when the I/O thread wants them. */
    _Atomic int snapshot_state;
    struct ib_totals snapshot_taken;
    int snapshot_taken_state;
    struct ib_totals snapshot; /* the I/O thread's own */
    int trading_state;

    uint64_t leave_ms; /* it has handed over, and ends at this time at the latest; 0: it does not */
    _Atomic bool stopping;
    _Atomic int fatal; /* the first status that stopped it; its text is below */
    pthread_mutex_t fatal_mutex;
    char request_error[256]; /* of the last request that was refused */
    char error[IB_ERROR_TEXT_SIZE];
};

/* Notes the first fatal error and wakes the I/O thread, which ends the engine. Any thread. */
void ib_engine_fail(struct ib_engine *engine, int status, const char *text);

/* engine_open.c: the journal into the matcher and the event log, then what the configuration adds. */
int ib_engine_recover(struct ib_engine *engine, char *error);
/* Journals one command and applies it: before any thread runs, or on a primary before its venue is open. */
int ib_engine_sequence(struct ib_engine *engine, struct ib_command *command, char *error);
/* engine_history.c: the events of before a snapshot, made again while the engine runs. */
void ib_engine_history_start(struct ib_engine *engine);
void ib_engine_history_join(struct ib_engine *engine);
/* The snapshot that this member began with is not used again; false: it is, its name cannot be changed. Any thread. */
bool ib_engine_distrust_snapshot(const struct ib_engine *engine);
/* engine_configure.c: sequences what of the configuration the journal does not say already. */
int ib_engine_configure(struct ib_engine *engine, char *error);
/* INSTRUMENT_ADD or _CHANGE of an instrument as it shall be. */
struct ib_command ib_engine_definition(uint16_t type, uint32_t index, const struct ib_instrument *instrument);
/* What the journal said, with its remedy, into `error` (IB_ERROR_TEXT_SIZE). */
void ib_engine_journal_error(int status, const char *cause, char *error);

/* engine_match.c: the thread that matches, until the ring is closed; and what the I/O thread does in its place. */
void *ib_engine_run_matcher(void *context);
void ib_engine_match_kept(struct ib_engine *engine);

/* engine_room.c: the thread that makes the journal's next segment ahead of need, until the ring is closed. */
void *ib_engine_run_room(void *context);

/* engine_shell.c: timer and admin socket; then the venue: order entry, the event feed and the command stream, for a
 * matcher that stands still and of which all is released. */
int ib_engine_open_shell(struct ib_engine *engine, char *error);
int ib_engine_open_venue(struct ib_engine *engine, char *error);
void ib_engine_close_venue(struct ib_engine *engine); /* twice is harmless */
static inline bool ib_engine_has_venue(const struct ib_engine *engine)
{
    return engine->commands != NULL; /* it is opened last */
}

/* Of the primary that it is or follows; of an engine that runs alone, the configuration's. */
static inline uint64_t ib_engine_epoch(const struct ib_engine *engine)
{
    return engine->replication != NULL ? engine->replication->replica.epoch : engine->config.epoch;
}

/* engine_member.c: opens the venue of a member that has become primary, and closes that of one that is it no more. In
 * each turn, outside of all handlers. */
void ib_engine_follow_role(struct ib_engine *engine);
/* It is to end: a primary begins to hand over to a member that is in sync, and ends when that has happened, or by
 * itself after LEAVE_MS. False: there is nobody, or it is no primary, or it was told before: it may end at once. */
bool ib_engine_leave(struct ib_engine *engine);
/* A primary's own command, sequenced and matched when it returns; IB_RESTART: it is primary no more. */
int ib_engine_sequence_as_primary(struct ib_engine *engine, const struct ib_command *command, char *error);
/* One turn of the loop: shows what may be shown, waits for what comes, and takes it. */
void ib_engine_turn(struct ib_engine *engine);

/* engine_timed.c: sequences what is due. Once a tick. */
void ib_engine_timed_tick(struct ib_engine *engine);

/* engine_admin.c: text that grows in a buffer of IB_ADMIN_ANSWER_SIZE, which was chosen for the largest answer. */
struct ib_text {
    char *out;
    size_t size;
};
void ib_say(struct ib_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct ib_admin_hooks ib_engine_admin_hooks(struct ib_engine *engine);

/* engine_member_admin.c: what a member says of the shard, as keys of the status; and what it is asked. */
void ib_engine_say_replication(const struct ib_engine *engine, struct ib_text *text);
bool ib_engine_switch_over(struct ib_engine *engine, const char *arguments, const char **error);
const char *ib_engine_ask_another(struct ib_engine *engine);

/* engine_request.c: the requests with arguments. What they say as a command, and, for the first of `definition`, what
 * an instrument will be; false and why not. */
bool ib_engine_request_command(struct ib_engine *engine, enum ib_admin_request request, char *arguments,
                               struct ib_command *command, struct ib_instrument *definition, const char **error);
/* … and the number of the instrument that the only word names. */
bool ib_engine_request_instrument(struct ib_engine *engine, char *arguments, uint32_t *index, const char **error);
/* engine_request_answer.c: the events of command `seq` as JSON; returns the size. */
size_t ib_engine_request_answer(const struct ib_engine *engine, enum ib_admin_request request, uint64_t seq, char *out);
/* … and an instrument as it is defined now. */
size_t ib_engine_instrument_answer(const struct ib_engine *engine, uint32_t index, char *out);

#endif
