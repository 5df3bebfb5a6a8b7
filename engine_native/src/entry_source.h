/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * entry_source.h: the journal's entries by number, with their epochs and the replica's chain, for a member that has to
 * compare or to send them: the newest from the ring, the others from the segments on the disk.
 *
 * The chain is in no record. It is remembered behind every IB_ENTRY_STRIDE-th entry, 16 bytes each, and computed from
 * there on; whoever reads on where the last read has ended begins there.
 *
 * Where the engine begins with a snapshot, that has the mark of its entry. Entries before that one cannot be read until
 * ib_entry_source_recall has come to the same mark, out of the journal.
 *
 * Everything here runs on the I/O thread, but for ib_entry_source_recall.
 */
#ifndef IB_ENTRY_SOURCE_H
#define IB_ENTRY_SOURCE_H

#include <stdatomic.h>

#include "journal.h"
#include "replica.h"
#include "ring.h"

enum { IB_ENTRY_STRIDE = 1024 };

struct ib_entry_source {
    int directory_fd;
    const struct ib_ring *ring;  /* null until it is there */
    uint64_t base_seq;           /* the entry before the ring's first */
    uint64_t last_seq;           /* the newest that was noted */
    struct ib_entry_mark last;   /* its mark */
    struct ib_entry_mark *marks; /* of those in the ring, by place */
    struct ib_entry_mark *strides; /* [i]: behind entry (stride_first + i) * IB_ENTRY_STRIDE; null: it is not open */
    uint64_t stride_first;
    size_t stride_count, stride_capacity;
    /* the snapshot that it begins behind */
    uint64_t begin_seq;             /* 0: none */
    struct ib_entry_mark begin;     /* its mark */
    struct ib_entry_mark *recalled; /* [i]: behind entry i * IB_ENTRY_STRIDE, for those before stride_first */
    _Atomic bool is_recalled;       /* all of them are there */
    /* the segment that was read last */
    int fd;
    uint64_t first_seq;
    uint64_t next_first_seq; /* of the one behind it; UINT64_MAX: none was there */
    /* where the last read ended */
    uint64_t read_seq;
    struct ib_entry_mark read;
};

int ib_entry_source_open(struct ib_entry_source *source, const char *directory);
void ib_entry_source_close(struct ib_entry_source *source);
/* Before the first entry is noted: it will be the one behind `seq`, whose mark this is. IB_ERROR_MEMORY. */
int ib_entry_source_begin_behind(struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark mark);
/* Reads the journal from its first entry to the one of the snapshot, as long as `stopping` is false; from then on all
 * of them can be read. IB_ERROR_CONFIGURATION: the journal comes to another mark than the snapshot. What else is wrong
 * with the journal is in `error` (IB_ERROR_TEXT_SIZE). One other thread, once. */
int ib_entry_source_recall(struct ib_entry_source *source, const char *directory, int64_t shard,
                           const _Atomic bool *stopping, char *error);
/* Whether this entry, which was noted or is before the snapshot, can be read now. */
bool ib_entry_source_has(const struct ib_entry_source *source, uint64_t seq);
/* From here on the entries behind those that were noted are in the ring. */
int ib_entry_source_use_ring(struct ib_entry_source *source, const struct ib_ring *ring);

/* The next entry, which the journal has or will have. IB_ERROR_MEMORY. */
int ib_entry_source_note(struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark mark);
/* The mark of the next entry, `command`, which recovery has found: its epoch is that of the last EPOCH. */
struct ib_entry_mark ib_entry_source_follow(const struct ib_entry_source *source, const struct ib_command *command);

/* Entries from seq on, which it has, at most `count` of those that were noted. IB_ERROR_IO with errno;
 * IB_ERROR_JOURNAL_DAMAGED: what stands in the segment is not that entry. */
int ib_entry_source_read(struct ib_entry_source *source, uint64_t seq, struct ib_replica_entry *entries, size_t count,
                         size_t *read);

#endif
