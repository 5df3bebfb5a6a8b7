/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal.h: the records of the journal as they lie on disk. The functions are in ironbook_core.h.
 *
 *   DIRECTORY/%020llu.journal      one segment; the number is the seq of its first command
 *   DIRECTORY/%020llu.sha256       its seal, once a later segment is there (services/ironbook/seals.py)
 *   DIRECTORY/next.new             the segment to come, made ahead of need (journal_segment.h)
 *   segment = header record (64 + 64 bytes), then command records (64 + 128 bytes each; in format 1, 64 + 96)
 *
 * The last segment is as long as it may become, and zero behind its last record; the others end with theirs.
 * Each record names its format, which never goes back. A segment whose header is of format 3 has no older record; in
 * one of format 1 those of format 2 may follow.
 *
 * Each record carries the CRC32C of its header and of its payload, and a 64-bit hash chain over every record before
 * it, back to the first one: a record that is missing, doubled, moved or taken from another journal does not fit.
 *
 * From format 3 on a command's record ends in IB_RECORD_END, whose bytes are none of them zero: a record that was
 * written to its end is told from one that was not, though both have zeros behind them.
 *
 * Recovery (docs/engine.md): an unfinished record at the very end, which is all that a killed process can leave, is
 * a torn tail and is cut off. Anything else that does not fit is damage: the open is refused, nothing is changed.
 */
#ifndef IB_JOURNAL_H
#define IB_JOURNAL_H

#include "ironbook_core.h"

#define IB_JOURNAL_MAGIC 0x314c4e4au /* "JNL1" in the file */
#define IB_RECORD_END 0xe5dac9b6u    /* the last four bytes of a command's record; each has five bits or more */

enum ib_record_type { IB_RECORD_SEGMENT = 1, IB_RECORD_COMMAND = 2 };

/* WARNING: written to disk as it lies in memory. */
struct ib_record_header {
    uint32_t magic;
    uint16_t format; /* IB_JOURNAL_FORMAT */
    uint16_t type;   /* enum ib_record_type */
    uint32_t length; /* bytes of payload */
    uint32_t shard;
    uint64_t epoch;
    uint64_t seq;     /* segment: of the first command to come */
    uint64_t time_ns; /* segment: that of the last command before it */
    uint64_t chain;   /* hash of all records before this one; 0 in the very first */
    uint64_t group_seq; /* first command of the group that was written together */
    uint32_t payload_crc32c;
    uint32_t header_crc32c; /* of the 60 bytes before it; at this place in every format */
};

/* Payload of a segment's header record: what rules the state machine beside the commands. */
struct ib_segment_payload {
    uint32_t rules;  /* IB_RULES_NEWEST of the build that wrote it: the highest that a RULES command in it can name */
    uint32_t orders; /* capacity of the book */
    uint64_t reserved[7];
};

_Static_assert(sizeof(struct ib_record_header) == 64, "layout");
_Static_assert(offsetof(struct ib_record_header, magic) == 0, "layout");
_Static_assert(offsetof(struct ib_record_header, format) == 4, "layout");
_Static_assert(offsetof(struct ib_record_header, type) == 6, "layout");
_Static_assert(offsetof(struct ib_record_header, length) == 8, "layout");
_Static_assert(offsetof(struct ib_record_header, shard) == 12, "layout");
_Static_assert(offsetof(struct ib_record_header, epoch) == 16, "layout");
_Static_assert(offsetof(struct ib_record_header, seq) == 24, "layout");
_Static_assert(offsetof(struct ib_record_header, time_ns) == 32, "layout");
_Static_assert(offsetof(struct ib_record_header, chain) == 40, "layout");
_Static_assert(offsetof(struct ib_record_header, group_seq) == 48, "layout");
_Static_assert(offsetof(struct ib_record_header, payload_crc32c) == 56, "layout");
_Static_assert(offsetof(struct ib_record_header, header_crc32c) == 60, "layout");
_Static_assert(sizeof(struct ib_segment_payload) == 64, "layout");
_Static_assert(offsetof(struct ib_segment_payload, orders) == 4, "layout");
_Static_assert(offsetof(struct ib_segment_payload, reserved) == 8, "layout");

enum { IB_JOURNAL_FORMAT_MARKED = 3 }; /* the first one whose records end in IB_RECORD_END */

enum ib_record_size {
    IB_COMMAND_SIZE_FORMAT_1 = 96, /* a prefix of struct ib_command; what it lacks is read as 0 */
    IB_RECORD_COMMAND_SIZE = 64 + 128,
    IB_RECORD_SEGMENT_SIZE = 64 + 64,
    IB_RECORD_END_OFFSET = 124, /* in the payload: of the bytes that struct ib_command has reserved */
};

_Static_assert((IB_RECORD_END & 0xffu) != 0 && (IB_RECORD_END & 0xff00u) != 0, "no byte of it is zero");
_Static_assert((IB_RECORD_END & 0xff0000u) != 0 && (IB_RECORD_END & 0xff000000u) != 0, "no byte of it is zero");
_Static_assert(((IB_RECORD_END >> 24) & ((IB_RECORD_END >> 24) - 1)) != 0, "nor one bit away from it, the last one");
_Static_assert(IB_RECORD_END_OFFSET + 4 == sizeof(struct ib_command), "the mark is what is written last");
_Static_assert(IB_RECORD_END_OFFSET >= offsetof(struct ib_command, reserved), "and takes nothing of a command");

#endif
