/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_frame.h: what the members of a shard say to each other: one header for every kind of frame, and behind an
 * APPEND the journal's entries. A frame is believed only when its checksum, its shard and its lengths are right.
 *
 *   frame = header (96 bytes), then `count` x { epoch, command } (136 bytes each)
 *
 * The chain is a hash over (epoch, command) of every entry from the first one on. Two members whose chains are equal at
 * a sequence number hold the same entries up to there. It is not the journal's own chain: that one covers segments and
 * groups too, which each member forms as its own disk allows.
 */
#ifndef IB_REPLICA_FRAME_H
#define IB_REPLICA_FRAME_H

#include <stdbool.h>

#include "ironbook.h"

#define IB_REPLICA_MAGIC 0x314c5052u /* "RPL1" in the frame */
#define IB_REPLICA_CHAIN_EMPTY 0x243f6a8885a308d3u /* chain of an empty journal */

enum ib_replica_size {
    IB_REPLICA_BATCH_MAX = 64, /* entries in one frame */
    IB_REPLICA_HEADER_SIZE = 96,
    IB_REPLICA_ENTRY_SIZE = 8 + 128,
    IB_REPLICA_FRAME_MAX = IB_REPLICA_HEADER_SIZE + IB_REPLICA_BATCH_MAX * IB_REPLICA_ENTRY_SIZE,
};

enum ib_replica_frame_type {
    IB_FRAME_HELLO = 1,   /* who I am: epoch = promised, seq, chain and last_epoch = end of my journal */
    IB_FRAME_APPEND = 2,  /* primary: seq and chain = what stands before the entries; none: a heartbeat */
    IB_FRAME_ACK = 3,     /* standby: everything up to seq is the primary's and is durable here */
    IB_FRAME_NACK = 4,    /* standby: what stands before does not fit; try from behind seq */
    IB_FRAME_REFUSE = 5,  /* epoch = what I have promised: yours is over */
    IB_FRAME_HANDOVER = 6, /* primary: all up to seq is committed, I have stopped, take over */
    IB_FRAME_DIVERGED = 7, /* primary: your state at check_seq is not mine */
};

enum ib_replica_frame_flag {
    IB_FRAME_IN_SYNC = 1, /* APPEND, HANDOVER: you have all that is committed, and count */
    IB_FRAME_NO_ROOM = 2, /* ACK: there was no room for what you sent; let it be until the next heartbeat */
};

/* WARNING: sent as it lies in memory. */
struct ib_replica_frame {
    uint32_t magic;
    uint16_t type;  /* enum ib_replica_frame_type */
    uint8_t from;   /* index of the member that sent it */
    uint8_t flags;
    uint32_t shard;
    uint32_t count; /* entries behind the header */
    uint64_t epoch;
    uint64_t seq;
    uint64_t chain;
    uint64_t last_epoch;
    uint64_t commit_seq;
    uint64_t check_seq; /* newest command whose state was hashed; 0 = none */
    uint64_t check_hash;
    uint64_t number; /* APPEND: one more each time; NACK: of the one that did not fit */
    uint64_t reserved;
    uint32_t payload_crc32c;
    uint32_t header_crc32c; /* of all before it */
};

/* One entry of the journal, as the members keep it. */
struct ib_replica_entry {
    uint64_t epoch; /* of the primary that sequenced it */
    uint64_t chain; /* up to and with this entry */
    struct ib_command command;
};

/* Epoch and chain up to and with an entry. */
struct ib_entry_mark {
    uint64_t epoch;
    uint64_t chain;
};

_Static_assert(sizeof(struct ib_replica_frame) == IB_REPLICA_HEADER_SIZE, "layout");
_Static_assert(offsetof(struct ib_replica_frame, epoch) == 16, "layout");
_Static_assert(offsetof(struct ib_replica_frame, check_seq) == 56, "layout");
_Static_assert(offsetof(struct ib_replica_frame, header_crc32c) == 92, "layout");
_Static_assert(sizeof(struct ib_replica_entry) == 16 + sizeof(struct ib_command), "layout");

uint64_t ib_replica_chain(uint64_t chain, uint64_t epoch, const struct ib_command *command);

/* Before the first entry. */
static inline struct ib_entry_mark ib_entry_mark_empty(void)
{
    return (struct ib_entry_mark){.epoch = 1, .chain = IB_REPLICA_CHAIN_EMPTY};
}
/* The mark of the entry behind it, by its command alone: its epoch is that of the last EPOCH. So whoever reads a
 * journal comes to the same marks. */
struct ib_entry_mark ib_entry_mark_behind(struct ib_entry_mark before, const struct ib_command *command);

/* Completes magic, count and checksums, and writes frame and entries to `bytes` (IB_REPLICA_FRAME_MAX). Its size. */
size_t ib_replica_frame_write(struct ib_replica_frame *frame, const struct ib_replica_entry *entries, size_t count,
                              uint8_t *bytes);
/* What is said of whatever comes instead of one. */
extern const char ib_replica_no_frame[];
/* False: not a whole, sound frame. The entries' chains are not in the frame: the reader computes them. */
bool ib_replica_frame_read(const uint8_t *bytes, size_t size, struct ib_replica_frame *frame,
                           struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX]);

#endif
