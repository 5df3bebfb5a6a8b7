/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot.h: snapshots as files beside the journal: DIRECTORY/%020llu.snapshot, named after the last command that it
 * holds. A file has its name once all of it is on the disk and was loaded once. For whoever recovers; taking one is in
 * ironbook_snapshot.h.
 *
 * A snapshot that is damaged is passed over for an older one, or for the whole journal, and a line says so. One that
 * contradicts the journal or the configuration is refused, by its name: to pass that over would be to guess. A member
 * of a shard passes that over, too: what it then has is compared with the others' (0019).
 */
#ifndef IB_SNAPSHOT_H
#define IB_SNAPSHOT_H

#include "ironbook_snapshot.h"
#include "journal_reader.h"
#include "snapshot_format.h"

/* One that was loaded: every checksum and invariant was checked, and the state hash. */
struct ib_snapshot {
    struct ib_matcher *matcher; /* whoever takes it, puts null here */
    struct ib_snapshot_report report;
    struct ib_past past;
};

/* Which one is wanted. */
struct ib_snapshot_wanted {
    const char *directory;
    int64_t shard;      /* or IB_JOURNAL_SHARD_ANY */
    uint32_t orders;    /* capacity of the book; 0 = any */
    uint64_t until_seq; /* none behind it; 0 = any */
    bool marked;        /* one that has the mark of its entry */
    bool fitting;       /* one that contradicts journal or configuration is passed over, and not refused */
};

/* The newest sound one; *snapshot is null where there is none. `note` (IB_ERROR_TEXT_SIZE) gets a line about those that
 * were passed over, and on failure `error` (IB_ERROR_TEXT_SIZE) one about the snapshot that is refused. */
int ib_snapshot_newest(struct ib_snapshot **snapshot, const struct ib_snapshot_wanted *wanted, char *note, char *error);
/* The journal behind a snapshot, or all of it where that is null; one that does not fit is refused. The reader must be
 * closed, also after a failure, where there is one. */
int ib_snapshot_follow(const struct ib_snapshot *snapshot, const struct ib_snapshot_wanted *wanted, const char *note,
                       struct ib_journal_reader **reader, char *error);
struct ib_journal_place ib_snapshot_place(const struct ib_snapshot *snapshot);
void ib_snapshot_close(struct ib_snapshot *snapshot); /* null is allowed */

/* Gives it a name under which nobody looks for it, durably: false with errno. */
bool ib_snapshot_set_aside(const char *directory, uint64_t seq);
/* Writes one under its name. The matcher is at the journal's `place`. */
int ib_snapshot_store(const char *directory, const struct ib_snapshot_head *head, const struct ib_matcher *matcher,
                      const struct ib_past *past, struct ib_snapshot_report *report);

#endif
