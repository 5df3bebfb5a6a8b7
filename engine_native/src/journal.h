/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal.h: the records of the journal as they lie on disk. The functions are in ironbook_core.h.
 *
 *   DIRECTORY/%020llu.journal      one segment; the number is the seq of its first command
 *   segment = header record (64 + 64 bytes), then command records (64 + 128 bytes each; in format 1, 64 + 96)
 *
 * Each record names its format, which never goes back: a writer goes on behind the records of an older one.
 *
 * Each record carries the CRC32C of its header and of its payload, and a 64-bit hash chain over every record before
 * it, back to the first one: a record that is missing, doubled, moved or taken from another journal does not fit.
 *
 * Recovery (docs/engine.md): an unfinished record at the very end, which is all that a killed process can leave, is
 * a torn tail and is cut off. Anything else that does not fit is damage: the open is refused, nothing is changed.
 */
#ifndef IB_JOURNAL_H
#define IB_JOURNAL_H

#include "ironbook_core.h"

#define IB_JOURNAL_MAGIC 0x314c4e4au /* "JNL1" in the file */

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

enum ib_record_size {
    IB_COMMAND_SIZE_FORMAT_1 = 96, /* a prefix of struct ib_command; what it lacks is read as 0 */
    IB_RECORD_COMMAND_SIZE = 64 + 128,
    IB_RECORD_SEGMENT_SIZE = 64 + 64,
};

#endif
