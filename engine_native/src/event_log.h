/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_log.h: every event of the shard since its first command, as one array in a sparse, memory-mapped file.
 *
 * The log is derived: it is emptied at open and filled again from the journal, so it is never recovered and never
 * synced. Where the engine begins with a snapshot, the events of before it, the log's history, have their places, and
 * are filled in meanwhile (engine_history.c); until all of them are there, nobody sees any. Four threads share it
 * without a lock:
 *   writer   (matcher)  its sink … publish      `written` moves once the events of whole commands are all there
 *   releaser (I/O)      release(commit_seq)     `released` moves up to the committed sequence, never past `written`
 *   history  (its own)  fill … filled           its state says that all of it is there
 *   readers  (any)      released, at, find, seek below `released` only; what they see there never changes again
 *
 * The matcher writes each event where it stays, through the log's sink, which has room for a short run and asks for the
 * next one. Address space is reserved at open, blocks of the file in steps, so that a full disk is a status and never a
 * signal.
 */
#ifndef IB_EVENT_LOG_H
#define IB_EVENT_LOG_H

#include <stdbool.h>

#include "matcher.h"

struct ib_event_log;

/* `path` is made or emptied, mode 0600. `capacity` in events, at most 2^32 - 1. `error` (IB_ERROR_TEXT_SIZE) gets
 * the line for people on failure. */
int ib_event_log_open(struct ib_event_log **log, const char *path, uint64_t capacity, char *error);
void ib_event_log_close(struct ib_event_log *log); /* the file is removed: it is derived */

/* ---- history ---- */

/* What was before the log's own first event. */
struct ib_event_log_history {
    uint64_t count;      /* events, which have the first places */
    uint64_t seq;        /* of the last of them … */
    uint32_t index;      /* … and its index */
    uint32_t session_seqs[IB_SESSIONS_MAX]; /* reports that each session has had */
};

enum ib_history_state { IB_HISTORY_COMPLETE, IB_HISTORY_COMING, IB_HISTORY_LOST };

/* Where a position is asked for that is in a history which is not there: ask again later, or never when it is lost. */
#define IB_EVENT_LOG_NOT_THERE UINT64_MAX

/* Before the first event. IB_ERROR_CAPACITY: the log is too small for what was before. */
int ib_event_log_begin_behind(struct ib_event_log *log, const struct ib_event_log_history *history);
const struct ib_event_log_history *ib_event_log_history(const struct ib_event_log *log);
enum ib_history_state ib_event_log_history_state(const struct ib_event_log *log); /* any thread */
/* By one thread: the next events of the history. IB_ERROR_CAPACITY: more than it has; IB_ERROR_IO: the disk is full. */
int ib_event_log_fill(struct ib_event_log *log, const struct ib_event *events, size_t count);
/* All of it is there, and readers may see it; false when it is not what the history says. */
bool ib_event_log_filled(struct ib_event_log *log);
void ib_event_log_lose_history(struct ib_event_log *log); /* it will not be filled */

/* ---- writer ---- */

/* Where the next events go, for as long as the log is open. An event that finds no room, because the log is full or the
 * disk is, goes nowhere: see ib_event_log_status. */
struct ib_event_sink *ib_event_log_sink(struct ib_event_log *log);
/* IB_OK, or why an event went nowhere, which is fatal: IB_ERROR_CAPACITY, or IB_ERROR_IO (disk full). */
int ib_event_log_status(const struct ib_event_log *log);
/* The events since the last publish, `*count` of them: until then nobody else sees them. */
const struct ib_event *ib_event_log_unpublished(const struct ib_event_log *log, size_t *count);
/* All events of the last command are in the sink: the releaser may see them. */
void ib_event_log_publish(struct ib_event_log *log);
/* While an engine recovers, nobody reads: the events of many commands go through a buffer and by write(2) into the
 * file, where each page that is mapped and written to for the first time would be an interrupt and a page to clear.
 * From `load` to `loaded` nothing is published; then all of it is. What went wrong is in ib_event_log_status.
 * `see` gets all of them, in order, when they leave the buffer: commands later than they were made, or within one. */
typedef void (*ib_event_log_see)(void *context, const struct ib_event *events, size_t count);
int ib_event_log_load(struct ib_event_log *log, ib_event_log_see see, void *context); /* IB_ERROR_MEMORY: no buffer */
void ib_event_log_loaded(struct ib_event_log *log);
/* Events that still fit behind those that are published. Any thread. */
uint64_t ib_event_log_room(const struct ib_event_log *log);

/* ---- releaser ---- */

/* Releases all published events of commands up to `commit_seq`; returns the released count. */
uint64_t ib_event_log_release(struct ib_event_log *log, uint64_t commit_seq);

/* ---- readers ---- */

uint64_t ib_event_log_released(const struct ib_event_log *log);
/* `position` < released, and not in a history that is not there. The pointer, and those after it up to released, stay
 * valid until close. */
const struct ib_event *ib_event_log_at(const struct ib_event_log *log, uint64_t position);
/* Position of the first released event after (seq, index): where a consumer that has seen that one goes on;
 * = released when there is none yet. (0, 0) = from the start. Or IB_EVENT_LOG_NOT_THERE. */
uint64_t ib_event_log_find_after(const struct ib_event_log *log, uint64_t seq, uint32_t index);
/* Position of the report `session_seq` (from 1) of a session, or of the place where it will come at the earliest:
 * scan on from there for events of that session. One binary search and at most 4,096 events. Or
 * IB_EVENT_LOG_NOT_THERE. */
uint64_t ib_event_log_seek_session(const struct ib_event_log *log, uint16_t session, uint32_t session_seq);
/* For whoever reads a session's reports from a cursor on: one that is not there is sought again. Whether it is there
 * now: IB_HISTORY_COMPLETE; not yet: _COMING; never: _LOST. */
enum ib_history_state ib_event_log_resume(const struct ib_event_log *log, uint16_t session, uint32_t session_seq,
                                          uint64_t *cursor);

#endif
