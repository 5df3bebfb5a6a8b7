/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_reader.c: reads a journal from its first record and believes nothing: each record must have both checksums
 * right, follow the one before in sequence, time, epoch and hash chain, and belong to the shard.
 *
 * What does not fit is one of three things:
 *   spare    nothing but zeros, to the end of the last segment: reserved, and not yet written.
 *   torn     a record there whose end was not written: the file ends within it or, from format 3 on, its last byte and
 *            all behind it are zero. That is what a killed process leaves. It was never acknowledged. The journal ends
 *            before it.
 *   foreign  a sound record of another shard, or of a format, rules or size that this build does not know.
 *   damage   everything else, a complete last record with a wrong checksum included: no killed process leaves that.
 * The latter two are refused with file, offset and the sequence number that was expected there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "crc32c.h"
#include "journal_reader.h"
#include "journal_record.h"
#include "journal_tail.h"

/* ---- reading ---- */

static int fail(struct ib_journal_reader *reader, int status, const char *what)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(reader->status == IB_OK);
    struct ib_journal_report *report = &reader->report;
    report->error_offset = reader->offset;
    report->error_seq = report->seq + 1;
    ib_journal_say(report->error, reader->directory, "%s at offset %" PRIu64 ", sequence %" PRIu64 ": %s",
                   report->file, report->error_offset, report->error_seq, what);
    reader->status = status;
    return status;
}

/* Tries to have `size` unread bytes; fewer only at the end of the file. */
static int fill(struct ib_journal_reader *reader, size_t size)
{
    IB_ASSERT(reader->fd >= 0);
    IB_ASSERT(reader->begin <= reader->end);
    IB_ASSERT(size <= BUFFER_SIZE);
    if (reader->end - reader->begin >= size) {
        return IB_OK;
    }
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
    while (reader->end < size) {
        ssize_t got = read(reader->fd, reader->buffer + reader->end, BUFFER_SIZE - reader->end);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(reader, IB_ERROR_IO, strerror(errno));
        }
        if (got == 0) {
            break;
        }
        reader->end += (size_t)got;
    }
    return IB_OK;
}

/* ---- what a record that does not fit means ---- */

static int is_torn(const struct ib_journal_reader *reader, const struct ib_tail *tail, size_t record_size)
{
    IB_ASSERT(tail->written <= tail->bytes);
    IB_ASSERT(reader->segment >= 1);
    if (reader->segment < reader->segment_count || reader->offset == 0) {
        return 0; /* the others are whole, and a segment appears by rename(2), its header complete */
    }
    return tail->written == 0 || tail->bytes < record_size ||
           (reader->report.segment_format >= IB_JOURNAL_FORMAT_MARKED && tail->written < record_size);
}

/* The record at `offset` does not fit; `record_size` is what it should measure. Torn: the journal ends here. */
static int judge(struct ib_journal_reader *reader, size_t record_size, const char *what)
{
    IB_ASSERT(what != NULL);
    IB_ASSERT(reader->status == IB_OK);
    struct ib_tail tail;
    int status = ib_tail_look(reader->fd, reader->offset, &tail);
    if (status != IB_OK) {
        return fail(reader, status, ib_status_text(status));
    }
    if (is_torn(reader, &tail, record_size)) {
        int has_spare = reader->report.segment_format >= IB_JOURNAL_FORMAT_MARKED &&
                        (tail.written == 0 || tail.bytes >= record_size);
        reader->report.torn_bytes = has_spare ? tail.written : tail.bytes;
        reader->report.spare_bytes = tail.bytes - reader->report.torn_bytes;
        reader->finished = 1;
        return IB_OK;
    }
    size_t judged = reader->end - reader->begin;
    judged = judged < IB_RECORD_COMMAND_SIZE ? judged : IB_RECORD_COMMAND_SIZE;
    if (!ib_tail_is(reader->fd, reader->offset, reader->buffer + reader->begin, judged)) {
        /* An engine has written it meanwhile: what was read was not all of it. Once more. */
        reader->begin = reader->end = 0;
        if (lseek(reader->fd, (off_t)reader->offset, SEEK_SET) != (off_t)reader->offset) {
            return fail(reader, IB_ERROR_IO, strerror(errno));
        }
        return IB_OK;
    }
    reader->report.error_in_last_group = reader->segment == reader->segment_count && reader->offset > 0 &&
                                         tail.group_seq <= reader->report.seq + 1;
    char text[256];
    const char *context = "nothing valid follows it, but it is complete, which no killed process leaves behind";
    if (tail.sound_record || reader->segment < reader->segment_count) {
        context = "valid records follow it";
    } else if (tail.bytes < record_size) {
        context = "the segment ends within it";
    }
    (void)snprintf(text, sizeof text, "%s; %s. Nothing was changed: restore this file from a standby or a copy", what,
                   context);
    return fail(reader, IB_ERROR_JOURNAL_DAMAGED, text);
}

/* ---- records ---- */

static int check_origin(struct ib_journal_reader *reader, const struct ib_record_header *header)
{
    IB_ASSERT(header->magic == IB_JOURNAL_MAGIC);
    char text[160];
    if (header->format < 1 || header->format > IB_JOURNAL_FORMAT) {
        (void)snprintf(text, sizeof text, "format %u, but this build reads formats 1 to %d", header->format,
                       IB_JOURNAL_FORMAT);
        return fail(reader, IB_ERROR_JOURNAL_FOREIGN, text);
    }
    if (reader->shard != IB_JOURNAL_SHARD_ANY && header->shard != reader->shard) {
        (void)snprintf(text, sizeof text, "the journal of shard %u, but shard %" PRId64 " was asked for",
                       header->shard, reader->shard);
        return fail(reader, IB_ERROR_JOURNAL_FOREIGN, text);
    }
    return IB_OK;
}

/* Null, or in what the record does not follow the one before. */
static const char *misfit(const struct ib_journal_reader *reader, const struct ib_record_header *header)
{
    IB_ASSERT(reader->report.seq <= IB_SEQ_MAX);
    IB_ASSERT(header->format <= IB_JOURNAL_FORMAT);
    const struct ib_journal_report *report = &reader->report;
    int is_first = report->bytes == 0;
    if (header->seq != report->seq + 1) {
        return "the sequence number does not follow the record before";
    }
    if (header->chain != report->chain && !(is_first && report->seq > 0)) { /* what is before it was not read */
        return "the hash chain does not follow the record before";
    }
    if (header->format < report->format) {
        return "the format goes back";
    }
    if (!is_first && (header->epoch < report->epoch || header->shard != report->shard)) {
        return "epoch or shard do not follow the record before";
    }
    if (header->time_ns < report->time_ns || header->group_seq > header->seq) {
        return "the time goes back";
    }
    return NULL;
}

static void accept(struct ib_journal_reader *reader, const struct ib_record_header *header, const void *payload)
{
    IB_ASSERT(header->chain == reader->report.chain || reader->report.bytes == 0);
    IB_ASSERT(header->time_ns >= reader->report.time_ns);
    IB_ASSERT(reader->begin + sizeof *header + header->length <= reader->end);
    struct ib_journal_report *report = &reader->report;
    report->shard = header->shard;
    report->epoch = header->epoch;
    report->format = header->format;
    report->time_ns = header->time_ns;
    report->chain = ib_record_chain(header, payload);
    report->seq_chain = header->type == IB_RECORD_SEGMENT ? header->chain : report->chain;
    report->bytes += sizeof *header + header->length;
    reader->offset += sizeof *header + header->length;
    reader->begin += sizeof *header + header->length;
}

/* Bytes of payload that a record of this type has in this format. */
static uint32_t payload_length(uint16_t type, uint32_t format)
{
    IB_ASSERT(type == IB_RECORD_SEGMENT || type == IB_RECORD_COMMAND);
    if (type == IB_RECORD_SEGMENT) {
        return sizeof(struct ib_segment_payload);
    }
    return format == 1 ? IB_COMMAND_SIZE_FORMAT_1 : sizeof(struct ib_command);
}

/* Brings the next record into the buffer and checks it. `*payload` null: there is no whole one; see `finished`. */
static int read_record(struct ib_journal_reader *reader, uint16_t type, struct ib_record_header *header,
                       const unsigned char **payload)
{
    IB_ASSERT(header != NULL);
    IB_ASSERT(reader->fd >= 0);
    *payload = NULL;
    int status = fill(reader, sizeof *header + payload_length(type, IB_JOURNAL_FORMAT));
    if (status != IB_OK) {
        return status;
    }
    /* As long as its header is not known to be sound, a record is taken for one of the format before it. */
    size_t size = sizeof *header + payload_length(type, reader->report.format);
    size_t available = reader->end - reader->begin;
    if (available < sizeof *header) {
        return judge(reader, size, "an incomplete record");
    }
    memcpy(header, reader->buffer + reader->begin, sizeof *header);
    if (!ib_record_header_is_sound(header)) {
        return judge(reader, size, "a record's header is damaged");
    }
    status = check_origin(reader, header);
    if (status != IB_OK) {
        return status;
    }
    uint32_t length = payload_length(type, header->format);
    if (header->type != type || header->length != length) {
        return judge(reader, 0, "a record of the wrong type or length");
    }
    size = sizeof *header + length;
    if (available < size) {
        return judge(reader, size, "an incomplete record");
    }
    const unsigned char *bytes = reader->buffer + reader->begin + sizeof *header;
    if (header->payload_crc32c != ib_crc32c(0, bytes, length)) {
        return judge(reader, size, "a record's content is damaged");
    }
    const char *what = misfit(reader, header);
    if (what != NULL) {
        return judge(reader, 0, what);
    }
    *payload = bytes;
    return IB_OK;
}

static int read_segment_header(struct ib_journal_reader *reader)
{
    IB_ASSERT(reader->offset == 0);
    struct ib_record_header header;
    const unsigned char *bytes;
    int status;
    do {
        status = read_record(reader, IB_RECORD_SEGMENT, &header, &bytes);
    } while (status == IB_OK && bytes == NULL); /* a bad first record is never torn, but may be read again */
    if (status != IB_OK) {
        return status;
    }
    struct ib_segment_payload payload;
    IB_ASSERT(bytes != NULL);
    memcpy(&payload, bytes, sizeof payload);
    struct ib_journal_report *report = &reader->report;
    if (payload.rules < IB_RULES_1 || payload.rules > IB_RULES_NEWEST) {
        return fail(reader, IB_ERROR_JOURNAL_FOREIGN, "matching rules that this build does not know");
    }
    if (payload.orders > IB_ORDERS_MAX) { /* by one, of a build of before */
        return fail(reader, IB_ERROR_JOURNAL_FOREIGN, "it has room for more than 16777214 orders, this build's most: "
                                                      "run the build that wrote it, or begin a new journal_directory");
    }
    if (payload.orders == 0 || (report->orders != 0 && payload.orders != report->orders)) {
        return fail(reader, IB_ERROR_JOURNAL_DAMAGED, "the capacity of the book changes from segment to segment");
    }
    report->rules = payload.rules;
    report->orders = payload.orders;
    report->segment_format = header.format;
    accept(reader, &header, bytes);
    return IB_OK;
}

int ib_journal_reader_open_segment(struct ib_journal_reader *reader)
{
    IB_ASSERT(reader->segment <= reader->segment_count);
    IB_ASSERT(!reader->finished);
    if (reader->fd >= 0) {
        close(reader->fd);
        reader->fd = -1;
    }
    if (reader->segment == reader->segment_count) {
        reader->finished = 1;
        return IB_OK;
    }
    uint64_t first_seq = reader->first_seqs[reader->segment++];
    struct ib_journal_report *report = &reader->report;
    char name[IB_SEGMENT_NAME_SIZE];
    ib_segment_name(name, first_seq);
    memcpy(report->file, name, sizeof name);
    reader->offset = reader->begin = reader->end = 0;
    report->spare_bytes = 0;
    if (first_seq != report->seq + 1) {
        return fail(reader, IB_ERROR_JOURNAL_DAMAGED,
                    "the records before this segment are missing. Restore them from a standby or a copy");
    }
    reader->fd = openat(reader->directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0) {
        return fail(reader, IB_ERROR_IO, strerror(errno));
    }
    report->segments++;
    return read_segment_header(reader);
}

static int read_command(struct ib_journal_reader *reader, struct ib_command *command, size_t *count)
{
    IB_ASSERT(command != NULL);
    IB_ASSERT(reader->offset >= IB_RECORD_SEGMENT_SIZE);
    struct ib_record_header header;
    const unsigned char *bytes;
    int status = read_record(reader, IB_RECORD_COMMAND, &header, &bytes);
    if (status != IB_OK || bytes == NULL) {
        return status;
    }
    if (!ib_record_read(&header, bytes, command)) {
        return judge(reader, 0, "header and content of a record disagree");
    }
    accept(reader, &header, bytes);
    reader->report.seq = header.seq;
    reader->report.records++;
    (*count)++;
    return IB_OK;
}

int ib_journal_reader_next(struct ib_journal_reader *reader, struct ib_command *commands, size_t capacity,
                           size_t *count)
{
    if (reader == NULL || count == NULL || (commands == NULL && capacity > 0)) {
        return IB_ERROR_ARGUMENT;
    }
    *count = 0;
    while (reader->status == IB_OK && !reader->finished && *count < capacity) {
        if (reader->fd >= 0) {
            int status = fill(reader, 1);
            if (status == IB_OK && reader->begin < reader->end) {
                (void)read_command(reader, &commands[*count], count);
                continue;
            }
        }
        if (reader->status == IB_OK) {
            (void)ib_journal_reader_open_segment(reader);
        }
    }
    /* What came before a failure is handed out first; the next call repeats the failure. */
    return *count > 0 ? IB_OK : reader->status;
}
