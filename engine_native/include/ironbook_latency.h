/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook_latency.h: how long orders take inside a running engine, for whoever looks from outside. One order in
 * `every` is followed; what it took at each stage is counted in a histogram, in a file of run_directory that the
 * engine maps and any process of the same user can map beside it.
 *
 *   RUN_DIRECTORY/latency       header (4,096 bytes), then one struct ib_latency_histogram for each stage
 *
 * Bucket i holds whole nanoseconds: i itself below 2^(SUB_BITS + 1); from there on each power of two has 2^SUB_BITS
 * buckets of the same width. A bucket is at most 1/64 of its lowest value wide, so whoever takes a bucket's highest
 * value for a percentile is never below the true one, and at most 1.6 % above. Memory is fixed; nothing is divided.
 *
 * No part of the state machine: no command, event, hash or journal depends on it.
 */
#ifndef IRONBOOK_LATENCY_H
#define IRONBOOK_LATENCY_H

#include "ironbook.h"

/* CFFI-BEGIN */

enum ib_latency_stage {
    IB_LATENCY_DECODE = 0,  /* read from its socket → sequenced: waits behind what came with it, and is decoded */
    IB_LATENCY_QUEUE = 1,   /* sequenced → the matcher begins with it */
    IB_LATENCY_MATCH = 2,   /* … → its events are in the event log */
    IB_LATENCY_JOURNAL = 3, /* sequenced → its group is written (with fsync, synced) */
    IB_LATENCY_RELEASE = 4, /* matched and written → its reports were handed to the sockets */
    IB_LATENCY_TOTAL = 5,   /* read → handed over: what the engine adds to an order's way */
    IB_LATENCY_STAGES = 6,
};

enum ib_latency_layout {
    IB_LATENCY_VERSION = 1,
    IB_LATENCY_SUB_BITS = 6,
    IB_LATENCY_BUCKETS = 2240, /* up to 2^40 ns, 18 minutes; what takes longer is counted in the last one */
    IB_LATENCY_HEADER_SIZE = 4096,
    IB_LATENCY_EVERY_MAX = 1000000,
};

struct ib_latency;

/* Makes the file, mode 0600, in place of any older one. One command in `every` is followed, by its sequence number; the
 * first that comes is `base_seq` + 1. `every` 0: only an older file goes, and *latency is null. `error`
 * (IB_ERROR_TEXT_SIZE) has the line for people on failure. */
int ib_latency_open(struct ib_latency **latency, const char *directory, uint32_t every, uint64_t base_seq,
                    uint32_t shard, uint32_t replica, char *error);
/* Also removes the file. Null is allowed. */
void ib_latency_close(struct ib_latency *latency);

/* Where a command that is followed has come to, at that time of the monotonic clock. The gates of src/latency.h call
 * these for the commands that are followed, and for no others. */
/* Of all that is sequenced next; 0: no client's. */
void ib_latency_note_input(struct ib_latency *latency, uint64_t now_ns);
void ib_latency_note_sequenced(struct ib_latency *latency, uint64_t seq, uint64_t now_ns);
void ib_latency_note_begun(struct ib_latency *latency, uint64_t seq, uint64_t now_ns);
void ib_latency_note_matched(struct ib_latency *latency, uint64_t seq, uint64_t now_ns);
/* All up to `seq`. */
void ib_latency_note_journaled(struct ib_latency *latency, uint64_t seq, uint64_t now_ns);
void ib_latency_note_released(struct ib_latency *latency, uint64_t seq, uint64_t now_ns);

uint64_t ib_latency_clock_ns(void);                 /* CLOCK_MONOTONIC */
uint32_t ib_latency_bucket(uint64_t ns);            /* where such a time is counted */
uint64_t ib_latency_bucket_ceiling(uint32_t bucket); /* the highest time that is counted there */

/* CFFI-END */

#endif
