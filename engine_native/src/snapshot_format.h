/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot_format.h: the bytes of a snapshot, and what writes and reads them one number at a time: no struct lies on
 * disk as it lies in memory, so that every build writes the same ones.
 *
 *   head      76 bytes: the magic, struct ib_snapshot_head in its order up to the state hash, and the CRC32C of what is
 *             before it; from format 2 on 20 more: epoch and chain of the entry, and their CRC32C
 *   sections  in the order of enum ib_snapshot_kind, each once:
 *               u32 kind · u32 CRC32C of kind and length · u64 length · content · u32 CRC32C of the content
 *   SHA-256   of everything before it: the last 32 bytes
 *
 * All numbers are little-endian. What stands in a section, field by field, is matcher_dump.c's to say. Orders are
 * written in the walk of docs/matching.md, section 8, and rows of the risk gate by account and instrument, never by the
 * slots in which they happen to lie: two histories that lead to one state lead to the same bytes.
 */
#ifndef IB_SNAPSHOT_FORMAT_H
#define IB_SNAPSHOT_FORMAT_H

#include <string.h>

#include "check.h"
#include "crc32c.h"
#include "past.h"
#include "replica_frame.h"
#include "sha256.h"

enum {
    IB_SNAPSHOT_FORMAT = 2,
    IB_SNAPSHOT_MAGIC_SIZE = 8,
    IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 = 76, /* every format begins so */
    IB_SNAPSHOT_ENTRY_SIZE = 20,
    IB_SNAPSHOT_HEAD_SIZE = IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 + IB_SNAPSHOT_ENTRY_SIZE,
    IB_SNAPSHOT_SECTION_SIZE = 16, /* before the content; behind it come four more */
    IB_SNAPSHOT_BUFFER_SIZE = 1 << 16,
};

#define IB_SNAPSHOT_MAGIC "IBSNAP\r\n" /* a copy that was made as text shows here */

enum ib_snapshot_kind {
    IB_SNAPSHOT_SUMS,        /* counters, and how many there are of what follows */
    IB_SNAPSHOT_PAST,        /* what the shell knows and the matcher does not keep: struct ib_past */
    IB_SNAPSHOT_ACCOUNTS,    /* limits, kill switches, messages of the present second */
    IB_SNAPSHOT_SESSIONS,    /* names, account, last user_ref, number of the last report */
    IB_SNAPSHOT_INSTRUMENTS, /* definition, phase, last price */
    IB_SNAPSHOT_RISK_ROWS,   /* position and own limits; what is open follows from the orders */
    IB_SNAPSHOT_ORDERS,
    IB_SNAPSHOT_KINDS,
};

/* What a snapshot says first. */
struct ib_snapshot_head {
    uint32_t format;
    uint32_t shard;
    uint32_t rules;          /* in force */
    uint32_t orders;         /* capacity of the book */
    uint64_t epoch;          /* the highest of the journal that was read */
    uint64_t seq;            /* the last command applied */
    uint64_t time_ns;        /* its time */
    uint64_t chain;          /* of the journal, up to and with that record */
    uint64_t event_count;    /* events so far: where the next one goes in the event log */
    uint64_t state_hash;     /* as struct ib_totals has it */
    struct ib_entry_mark entry; /* of `seq`, as members of a shard compare entries; epoch 0: not known (format 1) */
};

static inline size_t ib_snapshot_head_size(const struct ib_snapshot_head *head)
{
    return head->format == 1 ? IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 : IB_SNAPSHOT_HEAD_SIZE;
}

/* ---- writing ---- */

struct ib_snapshot_writer {
    int (*write)(void *context, const void *bytes, size_t size); /* enum ib_status */
    void *context;
    int status;    /* the first failure is kept, and nothing is written after it */
    uint32_t crc;  /* of the present section's content */
    uint64_t size; /* bytes handed on so far */
    uint64_t section_end; /* size where the present section's content ends, as it was announced */
    struct ib_sha256 sha;
    size_t used;
    uint8_t buffer[IB_SNAPSHOT_BUFFER_SIZE];
};

/* What is put together before it is written: a record of a section. */
struct ib_snapshot_record {
    size_t size;
    uint8_t bytes[256];
};

static inline void ib_put_bytes(struct ib_snapshot_record *record, const void *bytes, size_t size)
{
    IB_ASSERT(record->size + size <= sizeof record->bytes);
    memcpy(record->bytes + record->size, bytes, size);
    record->size += size;
}

static inline void ib_put_u8(struct ib_snapshot_record *record, uint8_t value)
{
    ib_put_bytes(record, &value, sizeof value);
}

static inline void ib_put_u16(struct ib_snapshot_record *record, uint16_t value)
{
    ib_put_bytes(record, &value, sizeof value);
}

static inline void ib_put_u32(struct ib_snapshot_record *record, uint32_t value)
{
    ib_put_bytes(record, &value, sizeof value);
}

static inline void ib_put_u64(struct ib_snapshot_record *record, uint64_t value)
{
    ib_put_bytes(record, &value, sizeof value);
}

void ib_snapshot_begin_section(struct ib_snapshot_writer *writer, enum ib_snapshot_kind kind, uint64_t length);
void ib_snapshot_put(struct ib_snapshot_writer *writer, const struct ib_snapshot_record *record);
void ib_snapshot_end_section(struct ib_snapshot_writer *writer);
void ib_snapshot_flush(struct ib_snapshot_writer *writer); /* what the buffer holds is handed on */

/* The whole of a snapshot. `writer` is zero but for `write` and `context`; its status is returned. */
int ib_snapshot_write(struct ib_snapshot_writer *writer, const struct ib_snapshot_head *head,
                      const struct ib_matcher *matcher, const struct ib_past *past);

/* ---- reading ---- */

/* A stretch of bytes that is read from its beginning. Beyond its end everything is 0, and `is_short` says so. */
struct ib_snapshot_part {
    const uint8_t *at;
    const uint8_t *end;
    int is_short;
};

static inline void ib_get_bytes(struct ib_snapshot_part *part, void *bytes, size_t size)
{
    IB_ASSERT(part->at <= part->end);
    if ((size_t)(part->end - part->at) < size) {
        part->is_short = 1;
        part->at = part->end;
        memset(bytes, 0, size);
        return;
    }
    memcpy(bytes, part->at, size);
    part->at += size;
}

static inline uint8_t ib_get_u8(struct ib_snapshot_part *part)
{
    uint8_t value;
    ib_get_bytes(part, &value, sizeof value);
    return value;
}

static inline uint16_t ib_get_u16(struct ib_snapshot_part *part)
{
    uint16_t value;
    ib_get_bytes(part, &value, sizeof value);
    return value;
}

static inline uint32_t ib_get_u32(struct ib_snapshot_part *part)
{
    uint32_t value;
    ib_get_bytes(part, &value, sizeof value);
    return value;
}

static inline uint64_t ib_get_u64(struct ib_snapshot_part *part)
{
    uint64_t value;
    ib_get_bytes(part, &value, sizeof value);
    return value;
}

/* The head alone: its checksum, its format, and rules that this build knows. IB_ERROR_JOURNAL_DAMAGED, or
 * IB_ERROR_JOURNAL_FOREIGN, and in `what` (IB_ERROR_TEXT_SIZE) what is wrong, in words. */
int ib_snapshot_read_head(const uint8_t *bytes, size_t size, struct ib_snapshot_head *head, char *what);
/* … and every checksum of the whole, and where its sections are. */
int ib_snapshot_read(const uint8_t *bytes, size_t size, struct ib_snapshot_head *head,
                     struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS], char *what);

/* ---- the matcher's part (matcher_dump.c, matcher_restore.c): pure, no file ---- */

/* All sections, in order. */
void ib_matcher_dump(const struct ib_matcher *matcher, const struct ib_past *past, struct ib_snapshot_writer *writer);
/* A fresh matcher in the state that head and sections say, `past` filled in; every invariant was checked, and the state
 * hash is the head's. On failure *matcher is null and `what` (IB_ERROR_TEXT_SIZE) says what is wrong, in words.
 * IB_ERROR_MEMORY, or IB_ERROR_JOURNAL_DAMAGED. */
int ib_matcher_restore(struct ib_matcher **matcher, const struct ib_snapshot_head *head,
                       struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS], struct ib_past *past, char *what);

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie in memory");

#endif
