/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_reader.h: what the two files of the reader share: journal_reader_open.c (where it begins) and
 * journal_reader.c (record by record). And for whoever reads a journal behind a snapshot.
 */
#ifndef IB_JOURNAL_READER_H
#define IB_JOURNAL_READER_H

#include "journal.h"

enum { BUFFER_SIZE = 1 << 18 };

struct ib_journal_reader {
    struct ib_journal_report report;
    char *directory;
    int directory_fd;
    int64_t shard; /* wanted, or IB_JOURNAL_SHARD_ANY */
    uint64_t *first_seqs; /* of the segments, ascending */
    size_t segment_count;
    size_t segment; /* the next one to open */
    int fd;         /* of the open segment, or -1 */
    uint64_t offset; /* of the next record in the open segment */
    size_t begin;    /* unread bytes of the buffer: [begin, end) */
    size_t end;
    int status;      /* the first failure is kept */
    int finished;
    unsigned char buffer[BUFFER_SIZE];
};

/* Closes the segment that was read, and opens the next one, or finishes. */
int ib_journal_reader_open_segment(struct ib_journal_reader *reader);

/* As ib_journal_reader_open, but the first command that is handed out is the one behind `place`; the segments before
 * its own need not be there. IB_ERROR_CONFIGURATION: the journal does not reach so far back or so far ahead; or its
 * chain there is another, and it is not the one that the place is of. */
int ib_journal_reader_open_behind(struct ib_journal_reader **reader, const char *directory, int64_t shard,
                                  const struct ib_journal_place *place);

#endif
