/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot_format.c: see snapshot_format.h. Pure: what is written goes to whoever asked, what is read lies in memory.
 */
#include "snapshot_format.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- writing ---- */

static void fill(struct ib_snapshot_writer *writer, const void *bytes, size_t size)
{
    IB_ASSERT(bytes != NULL);
    IB_ASSERT(writer->used < sizeof writer->buffer);
    const uint8_t *from = bytes;
    while (size > 0 && writer->status == IB_OK) {
        size_t room = sizeof writer->buffer - writer->used;
        size_t taken = size < room ? size : room;
        memcpy(writer->buffer + writer->used, from, taken);
        writer->used += taken;
        from += taken;
        size -= taken;
        if (writer->used == sizeof writer->buffer) {
            ib_snapshot_flush(writer);
        }
    }
}

void ib_snapshot_flush(struct ib_snapshot_writer *writer)
{
    IB_ASSERT(writer->write != NULL);
    IB_ASSERT(writer->used <= sizeof writer->buffer);
    if (writer->status == IB_OK && writer->used > 0) {
        ib_sha256_add(&writer->sha, writer->buffer, writer->used);
        writer->status = writer->write(writer->context, writer->buffer, writer->used);
        writer->size += writer->used;
    }
    writer->used = 0;
}

void ib_snapshot_put(struct ib_snapshot_writer *writer, const struct ib_snapshot_record *record)
{
    IB_ASSERT(record->size > 0);
    IB_ASSERT(record->size <= sizeof record->bytes);
    writer->crc = ib_crc32c(writer->crc, record->bytes, record->size);
    fill(writer, record->bytes, record->size);
}

void ib_snapshot_begin_section(struct ib_snapshot_writer *writer, enum ib_snapshot_kind kind, uint64_t length)
{
    IB_ASSERT(kind < IB_SNAPSHOT_KINDS);
    uint32_t name = kind;
    uint32_t crc = ib_crc32c(ib_crc32c(0, &name, sizeof name), &length, sizeof length);
    struct ib_snapshot_record head = {0};
    ib_put_u32(&head, name);
    ib_put_u32(&head, crc);
    ib_put_u64(&head, length);
    IB_ASSERT(head.size == IB_SNAPSHOT_SECTION_SIZE);
    ib_snapshot_put(writer, &head);
    writer->crc = 0;
    writer->section_end = writer->size + writer->used + length;
}

void ib_snapshot_end_section(struct ib_snapshot_writer *writer)
{
    struct ib_snapshot_record sum = {0};
    IB_ASSERT(writer->status != IB_OK || writer->size + writer->used == writer->section_end);
    ib_put_u32(&sum, writer->crc);
    IB_ASSERT(sum.size == sizeof(uint32_t));
    ib_snapshot_put(writer, &sum);
}

static void put_head(struct ib_snapshot_record *record, const struct ib_snapshot_head *head)
{
    IB_ASSERT(head->format == IB_SNAPSHOT_FORMAT);
    IB_ASSERT(record->size == 0);
    ib_put_bytes(record, IB_SNAPSHOT_MAGIC, IB_SNAPSHOT_MAGIC_SIZE);
    ib_put_u32(record, head->format);
    ib_put_u32(record, head->shard);
    ib_put_u32(record, head->rules);
    ib_put_u32(record, head->orders);
    ib_put_u64(record, head->epoch);
    ib_put_u64(record, head->seq);
    ib_put_u64(record, head->time_ns);
    ib_put_u64(record, head->chain);
    ib_put_u64(record, head->event_count);
    ib_put_u64(record, head->state_hash);
    ib_put_u32(record, ib_crc32c(0, record->bytes, record->size));
    IB_ASSERT(record->size == IB_SNAPSHOT_HEAD_SIZE_FORMAT_1);
    ib_put_u64(record, head->entry.epoch);
    ib_put_u64(record, head->entry.chain);
    ib_put_u32(record, ib_crc32c(0, record->bytes + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1,
                                 record->size - IB_SNAPSHOT_HEAD_SIZE_FORMAT_1));
    IB_ASSERT(record->size == IB_SNAPSHOT_HEAD_SIZE);
}

int ib_snapshot_write(struct ib_snapshot_writer *writer, const struct ib_snapshot_head *head,
                      const struct ib_matcher *matcher, const struct ib_past *past)
{
    struct ib_snapshot_record record = {0};
    struct ib_snapshot_record digest = {.size = IB_SHA256_SIZE};
    IB_ASSERT(writer->write != NULL && writer->size == 0 && writer->used == 0);
    IB_ASSERT(head->seq == ib_matcher_seq(matcher));
    ib_sha256_begin(&writer->sha);
    put_head(&record, head);
    ib_snapshot_put(writer, &record);
    ib_matcher_dump(matcher, past, writer);
    ib_snapshot_flush(writer);
    ib_sha256_end(&writer->sha, digest.bytes);
    ib_snapshot_put(writer, &digest);
    ib_snapshot_flush(writer); /* the sum has been taken: that this adds to it does not matter */
    return writer->status;
}

/* ---- reading ---- */

static int refuse(char *what, int status, const char *text)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(what != NULL && text != NULL);
    (void)snprintf(what, IB_ERROR_TEXT_SIZE, "%s", text);
    return status;
}

static void get_head(struct ib_snapshot_part *part, struct ib_snapshot_head *head)
{
    IB_ASSERT(part->end - part->at >= IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - IB_SNAPSHOT_MAGIC_SIZE);
    head->format = ib_get_u32(part);
    head->shard = ib_get_u32(part);
    head->rules = ib_get_u32(part);
    head->orders = ib_get_u32(part);
    head->epoch = ib_get_u64(part);
    head->seq = ib_get_u64(part);
    head->time_ns = ib_get_u64(part);
    head->chain = ib_get_u64(part);
    head->event_count = ib_get_u64(part);
    head->state_hash = ib_get_u64(part);
    IB_ASSERT(!part->is_short);
}

/* What stands behind the head of format 1: null, or what is wrong with it. */
static const char *get_entry(struct ib_snapshot_part *part, struct ib_snapshot_head *head)
{
    const uint8_t *begin = part->at;
    IB_ASSERT(head->format > 1 && head->entry.epoch == 0);
    head->entry.epoch = ib_get_u64(part);
    head->entry.chain = ib_get_u64(part);
    uint32_t crc = ib_get_u32(part);
    if (part->is_short) {
        return "it is shorter than the head of a snapshot";
    }
    IB_ASSERT(part->at == begin + IB_SNAPSHOT_ENTRY_SIZE);
    bool fits = crc == ib_crc32c(0, begin, IB_SNAPSHOT_ENTRY_SIZE - sizeof crc);
    return fits ? NULL : "its head does not fit its checksum";
}

int ib_snapshot_read_head(const uint8_t *bytes, size_t size, struct ib_snapshot_head *head, char *what)
{
    struct ib_snapshot_part part = {.at = bytes, .end = bytes + size};
    uint8_t magic[IB_SNAPSHOT_MAGIC_SIZE];
    char text[120];
    IB_ASSERT(bytes != NULL && head != NULL && what != NULL);
    *head = (struct ib_snapshot_head){0};
    if (size < IB_SNAPSHOT_HEAD_SIZE_FORMAT_1) {
        return refuse(what, IB_ERROR_JOURNAL_DAMAGED, "it is shorter than the head of a snapshot");
    }
    ib_get_bytes(&part, magic, sizeof magic);
    if (memcmp(magic, IB_SNAPSHOT_MAGIC, sizeof magic) != 0) {
        return refuse(what, IB_ERROR_JOURNAL_DAMAGED, "it does not begin as a snapshot does");
    }
    get_head(&part, head);
    IB_ASSERT(part.at == bytes + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - sizeof(uint32_t));
    if (ib_get_u32(&part) != ib_crc32c(0, bytes, IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - sizeof(uint32_t))) {
        return refuse(what, IB_ERROR_JOURNAL_DAMAGED, "its head does not fit its checksum");
    }
    if (head->format < 1 || head->format > IB_SNAPSHOT_FORMAT) {
        (void)snprintf(text, sizeof text, "format %" PRIu32 ", but this build reads formats 1 to %d", head->format,
                       IB_SNAPSHOT_FORMAT);
        return refuse(what, IB_ERROR_JOURNAL_FOREIGN, text);
    }
    if (head->rules < IB_RULES_1 || head->rules > IB_RULES_NEWEST) {
        (void)snprintf(text, sizeof text, "matching rules %" PRIu32 ", but this build knows rules 1 to %d", head->rules,
                       IB_RULES_NEWEST);
        return refuse(what, IB_ERROR_JOURNAL_FOREIGN, text);
    }
    const char *wrong = head->format > 1 ? get_entry(&part, head) : NULL;
    return wrong == NULL ? IB_OK : refuse(what, IB_ERROR_JOURNAL_DAMAGED, wrong);
}

/* Takes the section that comes next, which has to be of this kind. */
static const char *read_section(struct ib_snapshot_part *rest, uint32_t kind, struct ib_snapshot_part *section)
{
    const uint8_t *begin = rest->at;
    uint32_t found = ib_get_u32(rest);
    uint32_t crc = ib_get_u32(rest);
    uint64_t length = ib_get_u64(rest);
    IB_ASSERT(kind < IB_SNAPSHOT_KINDS);
    if (rest->is_short) {
        return "it ends before its last section";
    }
    IB_ASSERT(rest->at == begin + IB_SNAPSHOT_SECTION_SIZE);
    if (crc != ib_crc32c(ib_crc32c(0, begin, sizeof found), begin + 8, sizeof length) || found != kind) {
        return "a section is not the one that comes next";
    }
    if (length > (size_t)(rest->end - rest->at)) {
        return "it ends within a section";
    }
    *section = (struct ib_snapshot_part){.at = rest->at, .end = rest->at + length};
    rest->at += length;
    if (ib_get_u32(rest) != ib_crc32c(0, section->at, (size_t)length) || rest->is_short) {
        return "a section does not fit its checksum";
    }
    return NULL;
}

int ib_snapshot_read(const uint8_t *bytes, size_t size, struct ib_snapshot_head *head,
                     struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS], char *what)
{
    int status = ib_snapshot_read_head(bytes, size, head, what);
    if (status != IB_OK) {
        return status;
    }
    uint8_t digest[IB_SHA256_SIZE];
    struct ib_sha256 sha;
    size_t head_size = ib_snapshot_head_size(head);
    IB_ASSERT(size >= head_size);
    if (size < head_size + IB_SHA256_SIZE) {
        return refuse(what, IB_ERROR_JOURNAL_DAMAGED, "it ends before its last section");
    }
    ib_sha256_begin(&sha);
    ib_sha256_add(&sha, bytes, size - IB_SHA256_SIZE);
    ib_sha256_end(&sha, digest);
    if (memcmp(digest, bytes + size - IB_SHA256_SIZE, sizeof digest) != 0) {
        return refuse(what, IB_ERROR_JOURNAL_DAMAGED, "its content does not fit its SHA-256");
    }
    struct ib_snapshot_part rest = {.at = bytes + head_size, .end = bytes + size - IB_SHA256_SIZE};
    for (uint32_t kind = 0; kind < IB_SNAPSHOT_KINDS; kind++) {
        const char *wrong = read_section(&rest, kind, &parts[kind]);
        if (wrong != NULL) {
            return refuse(what, IB_ERROR_JOURNAL_DAMAGED, wrong);
        }
    }
    IB_ASSERT(!rest.is_short);
    return rest.at == rest.end ? IB_OK : refuse(what, IB_ERROR_JOURNAL_DAMAGED, "it goes on behind its last section");
}
