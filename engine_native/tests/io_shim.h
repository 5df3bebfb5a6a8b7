/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * io_shim.h: what a test can have the disk do; see io_shim.c.
 */
#ifndef IB_TEST_IO_SHIM_H
#define IB_TEST_IO_SHIM_H

#include <stdint.h>

struct io_shim {
    /* Faults. A count is of calls from here on: -1 = all. */
    int sync_errors;     /* EIO from fdatasync, fsync, or a write with RWF_DSYNC, whose bytes do lie in the cache */
    int sync_error_at;   /* 1 = the next one alone, 2 = the one after it, … */
    int write_error_at;  /* EIO from pwrite, nothing written */
    int short_writes;    /* half of what was asked for is written */
    int no_room;         /* ENOSPC from posix_fallocate */
    long sync_delay_us;
    int crash_after;     /* > 0: at the end of that many calls from here the power is cut and the process ends with 9 */
    uint64_t seed;       /* of what survives a power cut */
    int keeps_history;   /* remember what is not synced: needed for crash_after */
    /* What was seen. */
    unsigned writes, syncs, failed_syncs;
};

extern struct io_shim io_shim;

/* What has been written and not synced since is lost, sector by sector, or not, as the seed has it; and so is the name
 * that a file has got in a directory that was not synced since. */
void io_shim_cut_power(void);

#endif
