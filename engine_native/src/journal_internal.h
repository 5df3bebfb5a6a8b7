/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_internal.h: what the two files of the writer share: journal_open.c (lock, recovery, close) and journal.c
 * (append, room).
 */
#ifndef IB_JOURNAL_INTERNAL_H
#define IB_JOURNAL_INTERNAL_H

#include "journal.h"
#include "journal_segment.h"

struct ib_journal {
    struct ib_segment_next next;
    char *directory;
    int directory_fd; /* holds the lock */
    int fd;           /* of the last segment; -1 = none yet */
    int status;       /* IB_OK, or the failure that ended writing */
    int fsync_policy;
    uint32_t shard;
    uint32_t orders;
    uint64_t epoch;
    uint64_t size;  /* of the last segment, up to its last record */
    uint64_t limit; /* what of it is reserved on the disk */
    uint64_t seq;
    uint64_t time_ns;
    uint64_t chain;
    char error[IB_ERROR_TEXT_SIZE];
    unsigned char group[IB_JOURNAL_GROUP_MAX * IB_RECORD_COMMAND_SIZE];
};

/* Notes what failed for people; returns the status. */
int ib_journal_fail(struct ib_journal *journal, int status, const char *what, const char *reason);
/* Begins the segment whose first command will be the next one. It appears under its name complete, or not at all. */
int ib_journal_begin_segment(struct ib_journal *journal);

#endif
