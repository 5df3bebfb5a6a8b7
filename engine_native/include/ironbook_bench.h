/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook_bench.h: how fast the matcher is, and what it costs in memory, on a given order flow. No part of the
 * venue; it stands in the installed library so that what is measured is what is installed.
 *
 * A flow is a LOBW file's records (services/ironbook/market_data/lobw.py has the format). They are turned into
 * commands in batches, as a gateway would have done before; of that, nothing is measured.
 */
#ifndef IRONBOOK_BENCH_H
#define IRONBOOK_BENCH_H

#include "ironbook.h"

/* CFFI-BEGIN */

enum ib_bench_message_type {
    IB_BENCH_NEW = 0,    /* a limit order that never crosses */
    IB_BENCH_CANCEL = 1, /* of a resting order */
    IB_BENCH_CROSS = 2,  /* a limit order that fills whole: sent as IOC */
};

/* One record as it lies in the file: 16 bytes, little-endian. */
struct ib_bench_message {
    uint8_t type; /* enum ib_bench_message_type */
    uint8_t side; /* 0 buy, 1 sell */
    uint16_t symbol;
    uint32_t id;    /* from 1; rises over NEW and CROSS */
    uint32_t price; /* ticks, at least 1 */
    uint32_t quantity;
};

struct ib_bench_flow {
    const struct ib_bench_message *messages; /* borrowed for the length of a call */
    uint64_t count;    /* warm ones included */
    uint64_t warm;     /* the first ones: applied, not measured */
    uint32_t symbols;
    uint32_t id_max;
    uint32_t orders;   /* capacity of the book, as ib_matcher_open takes it */
    uint32_t sessions; /* 1 …; order `id` is of session id modulo this */
    uint32_t rules;    /* enum ib_rules */
    uint32_t limits;   /* 1: every account has every limit of the risk gate set; 0: orders are of no account */
    uint32_t reporting; /* 1: every event is built and taken by somebody; 0: events are counted, not built */
};

struct ib_bench_memory {
    uint64_t peak_orders;      /* the most orders that rested at one time */
    uint64_t order_bytes;      /* what the flow touched, after the definitions: whole 4 KiB pages, as the kernel says */
    uint64_t definition_bytes; /* what the definitions touched */
};

/* What is wrong with the record at `*index`; null when nothing is wrong with any. */
const char *ib_bench_fault(const struct ib_bench_flow *flow, uint64_t *index);

/* Each of these runs the whole flow once through a fresh matcher. IB_ERROR_CONFIGURATION: an order that exceeds a limit
 * was let through. */

/* `*ns`: CPU time of this thread for the measured messages. */
int ib_bench_pass(const struct ib_bench_flow *flow, uint64_t *ns, struct ib_totals *totals);
/* `ns`: one number for each measured message, without what the clock itself costs. */
int ib_bench_latency(const struct ib_bench_flow *flow, uint32_t *ns);
/* IB_ERROR_IO where the kernel does not tell (/proc/self/smaps_rollup). */
int ib_bench_memory(const struct ib_bench_flow *flow, struct ib_bench_memory *memory);

/* ---- recovery ---- */

/* A journal that is made up: four sessions, `symbols` instruments, 60 % new orders, 35 % cancels of any that
 * rests, 5 % that sweep several; some 10,000 orders rest. The same arguments give the same journal. */
struct ib_bench_journal {
    const char *directory; /* of the journal; borrowed for the length of a call */
    const char *run_directory; /* of the engine that recovers it, for its event log */
    uint64_t records;      /* definitions included */
    uint64_t segment_bytes;
    uint64_t events;       /* capacity of the event log */
    uint32_t orders;       /* capacity of the book */
    uint32_t symbols;
};

struct ib_bench_recovery {
    uint64_t records;    /* that were read */
    uint64_t ns;         /* by the clock on the wall */
    uint64_t cpu_ns;     /* of all threads of this process */
    uint64_t bytes;      /* of the journal; of a whole recovery 0 */
    uint64_t events;     /* of a whole recovery: in the event log at its end */
    struct ib_totals totals; /* of a whole recovery: what the matcher came to */
};

/* What each of these failed with is in `error` (IB_ERROR_TEXT_SIZE), one line for people. */

/* By the engine's own writer, without a sync. The directory has to be empty. */
int ib_bench_journal_write(const struct ib_bench_journal *journal, char *error);
/* Reads and checks every record, and hands the commands to nobody. */
int ib_bench_journal_verify(const struct ib_bench_journal *journal, struct ib_bench_recovery *found, char *error);
/* What an engine does until it has its state: journal, matcher, event log (engine_open.c), and nothing beside it. */
int ib_bench_journal_recover(const struct ib_bench_journal *journal, struct ib_bench_recovery *found, char *error);

/* Compiler and what of its options can be known. */
const char *ib_bench_compiler(void);

/* CFFI-END */

#endif
