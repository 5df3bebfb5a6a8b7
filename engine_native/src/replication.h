/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replication.h: the replica of a running engine: what the state machine (replica.h) asks for is done here, and what
 * happened is told to it. The disk, the others and the store are behind entry_source.h, replica_state.h,
 * replica_links.h and store_link.h; the ring and the release are the sequencer's.
 *
 * Everything here runs on the I/O thread, but for ib_replication_matched.
 */
#ifndef IB_REPLICATION_H
#define IB_REPLICATION_H

#include "entry_source.h"
#include "replica_links.h"
#include "replica_state.h"
#include "sequencer.h"
#include "store_link.h"

/* States on their way from the matcher thread: a place for each entry that it can pass between two turns of the loop,
 * for each may begin an epoch. Those are what the ring holds, 32,768, and what all links together give in one turn,
 * 30,840 (replica_link.c). */
enum { IB_REPLICATION_CHECKS = 1 << 16 };

struct ib_replication {
    struct ib_replica replica;
    const struct ib_engine_config *config;
    struct ib_sequencer *sequencer;
    struct ib_links *links;
    struct ib_store_link *store;
    struct ib_entry_source entries;
    struct ib_replica_state state; /* as on the disk */
    bool promises; /* what is on the disk since is not told yet */
    struct ib_shard_record seen; /* the newest record that the agent has told of */
    const char *reason; /* of the last change of its role */
    const char *said;   /* … and of the last one that the log has */
    uint64_t durable_seq; /* as it was told */
    bool restarts; /* the state has to be discarded: it is not to be told of anything any more */
    int status; /* IB_OK, or the failure that ends the engine; its text: */
    char error[IB_ERROR_TEXT_SIZE];
    /* from the matcher thread; one writes `noted`, the other `told` */
    struct { uint64_t seq, hash; } checks[IB_REPLICATION_CHECKS];
    _Atomic uint64_t noted, told;
};

/* Before the journal is opened: its state, and the cut that it may have to make first. Then `entries` is told where the
 * snapshot stands that the engine begins with, if it does, and each command that recovery finds; and
 * ib_replication_open goes on. */
int ib_replication_prepare(struct ib_replication **replication, const struct ib_engine_config *config, char *error);
/* The journal is read, `torn`: and more than zeros was cut off it. The sequencer is ready, nothing runs yet. */
int ib_replication_open(struct ib_replication *replication, struct ib_sequencer *sequencer, bool torn,
                        struct ib_io_loop *loop, char *error);
void ib_replication_close(struct ib_replication *replication); /* null is allowed */

/* Several times a heartbeat. */
void ib_replication_tick(struct ib_replication *replication);
/* Tells what matcher, journal and disk have done since. Once a turn; what is to be sent goes with ib_links_flush. */
void ib_replication_progress(struct ib_replication *replication);

/* Matcher thread: whether the state behind a command is compared; if so, it says what it is. */
bool ib_replication_is_checked(const struct ib_replication *replication, const struct ib_command *command);
void ib_replication_matched(struct ib_replication *replication, uint64_t seq, uint64_t state_hash);

const char *ib_replica_role_text(enum ib_replica_role role);

#endif
