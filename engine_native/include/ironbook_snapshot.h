/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook_snapshot.h: snapshots of a shard's state at a sequence number, beside its journal: taken from the journal by
 * whoever can read it, so that nothing that trades ever waits for one. docs/engine.md says what they replace and what
 * they do not.
 */
#ifndef IRONBOOK_SNAPSHOT_H
#define IRONBOOK_SNAPSHOT_H

#include "ironbook_core.h"

/* CFFI-BEGIN */

/* What a snapshot says of itself. */
struct ib_snapshot_report {
    uint32_t format;
    uint32_t shard;
    uint32_t rules;       /* in force */
    uint32_t orders;      /* capacity of the book */
    uint64_t epoch;       /* the highest of the journal that was read */
    uint64_t seq;         /* the last command applied */
    uint64_t time_ns;     /* its time */
    uint64_t chain;       /* of the journal up to and with its record */
    uint64_t event_count; /* so far */
    uint64_t state_hash;
    uint64_t entry_epoch; /* of its record, as members of a shard compare entries; 0 = not known (format 1) … */
    uint64_t entry_chain; /* … and the chain of their entries, up to and with it */
    uint64_t bytes;       /* of the file */
    uint64_t from_seq;    /* of the snapshot that it was made from; 0 = of the whole journal */
    char sha256[65];      /* of the file without its last 32 bytes, which are this; hexadecimal */
    char file[40];        /* its name, without the directory */
    char note[512];       /* one line for people: what was passed over on the way; empty when nothing was */
    char error[512];      /* with a failure: one line for people */
};

/* Takes a snapshot of the journal in `directory` at `until_seq`, 0 = at its end, which may be a running engine's, and
 * puts it there as SEQ.snapshot: written, synced, loaded once to see that it can be, and only then named. One that is
 * there already is left as it is. IB_ERROR_ARGUMENT: the journal ends before. */
int ib_snapshot_take(const char *directory, int64_t shard, uint64_t until_seq, struct ib_snapshot_report *report);
/* Loads the snapshot called `file` in `directory`, checks all of it and forgets it; `shard` or IB_JOURNAL_SHARD_ANY. */
int ib_snapshot_verify(const char *directory, const char *file, int64_t shard, struct ib_snapshot_report *report);
/* Reads its head and nothing else. */
int ib_snapshot_look(const char *directory, const char *file, struct ib_snapshot_report *report);

/* As ib_replay_open, but from the newest sound snapshot that is not behind `until_seq`: there are no events of before
 * it. */
int ib_replay_open_behind(struct ib_replay **replay, const char *directory, uint64_t until_seq);
/* Where a replay began: after this command; 0 = with the first one. */
uint64_t ib_replay_from_seq(const struct ib_replay *replay);
/* One line for people on what was passed over on the way; empty when nothing was. */
const char *ib_replay_note(const struct ib_replay *replay);

/* CFFI-END */

#endif
