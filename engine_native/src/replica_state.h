/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_state.h: what a member has to keep besides its journal: DIRECTORY/replica.state, 64 bytes beside the
 * segments. It appears whole and on the disk, or not at all. Where there is none the disk is a new one (IB_DOUBT_NEW).
 */
#ifndef IB_REPLICA_STATE_H
#define IB_REPLICA_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct ib_replica_state {
    uint64_t promised;  /* epoch */
    uint64_t doubt_seq; /* of replica.h */
    bool is_cut;        /* the journal is to be cut off behind cut_seq before it is opened */
    uint64_t cut_seq;
};

/* IB_OK; IB_ERROR_JOURNAL_FOREIGN: another shard's or member's, or of a build to come; IB_ERROR_JOURNAL_DAMAGED;
 * IB_ERROR_IO. `error` (IB_ERROR_TEXT_SIZE) has the line for people. */
int ib_replica_state_read(const char *directory, uint32_t shard, uint32_t member, struct ib_replica_state *state,
                          char *error);
/* Durably. IB_OK, or IB_ERROR_IO with errno: then it is unknown which of both is there, and the process has to end. */
int ib_replica_state_write(const char *directory, uint32_t shard, uint32_t member,
                           const struct ib_replica_state *state);

#endif
