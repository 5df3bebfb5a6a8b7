/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * latency.h: the tracker behind ironbook_latency.h, and the gates that the shell calls for every command.
 *
 *   I/O thread       read a socket ─► sequenced ─┬─► matcher thread  begun, matched ─┬─► released ─► histograms
 *   journal thread                               └─► written ───────────────────────┘
 *
 * Times lie in five arrays, one a stage, in the place of the command among those that are followed. Each array has one
 * writer. The ring's own counters carry them to the I/O thread: what it sees as released was written before. So no
 * time is atomic, and only the I/O thread writes histograms: an addition is a plain load and store.
 *
 * A reader of the file takes no part: no lock, no flag. It may see a time in one stage's histogram and not yet in the
 * next one's; each counter by itself is always right.
 *
 * With tracking off the tracker is null, and a gate is one comparison.
 */
#ifndef IB_LATENCY_H
#define IB_LATENCY_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "check.h"
#include "ironbook_latency.h"

#define IB_LATENCY_MAGIC 0x31434e4554414c49ull /* "ILATENC1" in the file */

enum { IB_LATENCY_LINE = 64, IB_LATENCY_NAME_SIZE = 16 };

/* WARNING: read by other programs as it lies in memory (services/ironbook/latency.py). */
struct ib_latency_header {
    _Atomic uint64_t magic; /* written last: whoever reads it there reads the others */
    uint32_t version;
    uint32_t header_bytes;
    uint32_t stages;
    uint32_t buckets;
    uint32_t sub_bits;
    uint32_t every;
    uint32_t shard;
    uint32_t replica;
    uint64_t process;    /* its id */
    uint64_t started_ns; /* CLOCK_MONOTONIC, when the file was made */
    uint64_t clock_ns;   /* what one reading of the clock costs, measured then */
    _Atomic uint64_t released_ns; /* when a command that is followed was last released; 0: none yet */
    _Atomic uint64_t missed;      /* followed and not counted: too many were in flight at once */
    char names[IB_LATENCY_STAGES][IB_LATENCY_NAME_SIZE];
};

struct ib_latency_histogram {
    _Atomic uint64_t max_ns;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[IB_LATENCY_BUCKETS];
};

/* One thread's place among the commands that are followed: the next one's sequence number, and how many came before. */
struct ib_latency_cursor {
    alignas(IB_LATENCY_LINE) uint64_t next;
    uint64_t count;
};

struct ib_latency {
    struct ib_latency_header *header;
    struct ib_latency_histogram *histograms;
    uint64_t *received, *sequenced, *begun, *matched, *journaled; /* `slots` each */
    uint64_t slots; /* a power of two */
    uint64_t every;
    char *path;
    uint64_t input_ns; /* when the bytes were read that are being decoded; 0: no client's */
    struct ib_latency_cursor sequencer, matcher, journal, release;
};

/* ---- gates ---- */

/* The time, where anything is followed at all. */
static inline uint64_t ib_latency_read_clock(const struct ib_latency *latency)
{
    return latency == NULL ? 0 : ib_latency_clock_ns();
}

static inline void ib_latency_input(struct ib_latency *latency, uint64_t read_ns)
{
    if (latency != NULL) {
        IB_ASSERT(latency->every >= 1);
        latency->input_ns = read_ns;
    }
}

static inline void ib_latency_sequenced(struct ib_latency *latency, uint64_t seq)
{
    if (latency != NULL && seq == latency->sequencer.next) {
        ib_latency_note_sequenced(latency, seq, ib_latency_clock_ns());
    }
}

/* Matcher thread, around a command. */
static inline void ib_latency_begun(struct ib_latency *latency, uint64_t seq)
{
    if (latency != NULL && seq == latency->matcher.next) {
        ib_latency_note_begun(latency, seq, ib_latency_clock_ns());
    }
}

static inline void ib_latency_matched(struct ib_latency *latency, uint64_t seq)
{
    if (latency != NULL && seq == latency->matcher.next) {
        ib_latency_note_matched(latency, seq, ib_latency_clock_ns());
    }
}

/* How many of `count` commands, from `seq` on, the matcher may take in one go: each that is followed is taken alone. */
static inline uint64_t ib_latency_together(const struct ib_latency *latency, uint64_t seq, uint64_t count)
{
    if (latency == NULL || latency->matcher.next - seq >= count) {
        return count;
    }
    IB_ASSERT(seq <= latency->matcher.next && count > 0);
    return seq == latency->matcher.next ? 1 : latency->matcher.next - seq;
}

/* Journal thread: its group, up to `seq`, is written; the ring does not say so yet. */
static inline void ib_latency_journaled(struct ib_latency *latency, uint64_t seq)
{
    if (latency != NULL && seq >= latency->journal.next) {
        ib_latency_note_journaled(latency, seq, ib_latency_clock_ns());
    }
}

/* I/O thread: the reports of all commands up to `seq` have left, as far as sockets took them. */
static inline void ib_latency_released(struct ib_latency *latency, uint64_t seq)
{
    if (latency != NULL && seq >= latency->release.next) {
        ib_latency_note_released(latency, seq, ib_latency_clock_ns());
    }
}

#endif
