/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_log_internal.h: what the two files of the event log share: event_log.c, and event_log_load.c, which fills it
 * while an engine recovers.
 */
#ifndef IB_EVENT_LOG_INTERNAL_H
#define IB_EVENT_LOG_INTERNAL_H

#include <stdatomic.h>

#include "event_log.h"

enum {
    BLOCK_EVENTS = 4096,   /* between two checkpoints; what a seek scans at most */
    RESERVE_EVENTS = 512, /* 64 KiB of the file reserved at a time: in memory (tmpfs) the kernel clears them at once,
                            * and all orders wait: 4 MiB took more than a millisecond */
    RUN_EVENTS = 64, /* that the sink has room for at a time: still in the nearest cache when they are counted */
    CACHE_LINE = 64,
};

_Static_assert(BLOCK_EVENTS % RUN_EVENTS == 0 && RESERVE_EVENTS % RUN_EVENTS == 0, "a run ends with its block");

struct ib_event_log {
    struct ib_event_sink sink; /* writer only; the first, so that its address is the log's */
    struct ib_event *events;
    uint32_t *checkpoints; /* [block][session] */
    char *path;
    struct ib_event_log_history history; /* .count = position of the first event that is the log's own */
    uint32_t *filled_seqs; /* as session_seqs, of the history as far as it is filled; its thread's only */
    uint64_t filled;       /* events of it that are there; its thread's only */
    _Atomic int history_state;
    uint64_t capacity;
    uint64_t reserved; /* events that have blocks of the file behind them; writer only */
    int fd;
    _Atomic int status; /* why there was no room, the first time */
    struct ib_event nowhere; /* what finds no room is written here */
    struct ib_event *load;   /* while it is loaded: events that are not in the file yet; otherwise null */
    ib_event_log_see see;    /* who is shown them when they are */
    void *see_context;
    uint64_t begun;          /* events that were there before the sink wrote into the file itself; writer only */
    uint64_t counted;        /* events whose reports are in session_seqs; writer only */
    uint32_t session_seqs[IB_SESSIONS_MAX]; /* reports of each session in the events that are counted; writer only */
    /* Each on a line of its own: two threads write them. */
    _Alignas(CACHE_LINE) _Atomic uint64_t written;
    _Alignas(CACHE_LINE) _Atomic uint64_t released;
};

/* event_log.c: */

/* Counts the reports of the next events, which are (still) at `events`. */
void ib_event_log_count(struct ib_event_log *log, const struct ib_event *events, uint64_t count);
/* Where the next event that is counted begins a block, its checkpoint. */
void ib_event_log_begin_block(struct ib_event_log *log);
/* Events go nowhere from here on; the first reason is kept. */
void ib_event_log_lose(struct ib_event_log *log, int status);
/* The sink writes into the file itself, from this position on. */
void ib_event_log_write_from(struct ib_event_log *log, uint64_t position);

#endif
