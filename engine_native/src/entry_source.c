/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * entry_source.c: see entry_source.h. Records of one size stand one behind the other, so that each is found by its
 * number; checksums and number are looked at all the same, as everywhere.
 */
#define _GNU_SOURCE
#include "entry_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "journal_record.h"

enum { READ_RECORDS = 64, STRIDES_FIRST = 1024, RECALL_BATCH = 1024 };

int ib_entry_source_open(struct ib_entry_source *source, const char *directory)
{
    IB_ASSERT(source != NULL && directory != NULL);
    *source = (struct ib_entry_source){.fd = -1, .last = ib_entry_mark_empty()};
    source->strides = calloc(STRIDES_FIRST, sizeof *source->strides);
    if (source->strides == NULL) {
        return IB_ERROR_MEMORY;
    }
    source->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source->directory_fd < 0) {
        ib_entry_source_close(source);
        return IB_ERROR_IO;
    }
    source->stride_capacity = STRIDES_FIRST;
    source->strides[source->stride_count++] = source->last;
    source->read = source->last;
    return IB_OK;
}

void ib_entry_source_close(struct ib_entry_source *source)
{
    IB_ASSERT(source != NULL);
    if (source->strides == NULL) {
        return; /* was never opened, or is closed */
    }
    if (source->fd >= 0) {
        close(source->fd);
    }
    if (source->directory_fd >= 0) {
        close(source->directory_fd);
    }
    free(source->strides);
    free(source->recalled);
    free(source->marks);
    *source = (struct ib_entry_source){.fd = -1, .directory_fd = -1};
}

int ib_entry_source_begin_behind(struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark mark)
{
    IB_ASSERT(source->last_seq == 0 && source->ring == NULL && source->begin_seq == 0);
    IB_ASSERT(seq >= 1 && mark.epoch >= 1);
    source->stride_first = seq / IB_ENTRY_STRIDE + 1;
    source->stride_count = 0;
    source->recalled = calloc(source->stride_first, sizeof *source->recalled);
    if (source->recalled == NULL) {
        return IB_ERROR_MEMORY;
    }
    source->begin_seq = source->last_seq = source->read_seq = seq;
    source->begin = source->last = source->read = mark;
    return IB_OK;
}

int ib_entry_source_recall(struct ib_entry_source *source, const char *directory, int64_t shard,
                           const _Atomic bool *stopping, char *error)
{
    struct ib_journal_reader *reader = NULL;
    struct ib_entry_mark mark = ib_entry_mark_empty();
    struct ib_command *commands = malloc(RECALL_BATCH * sizeof *commands);
    uint64_t seq = 0;
    size_t count = 1;
    IB_ASSERT(source->begin_seq > 0 && !atomic_load(&source->is_recalled));
    int status = commands == NULL ? IB_ERROR_MEMORY : ib_journal_reader_open(&reader, directory, shard);
    source->recalled[0] = mark;
    while (status == IB_OK && count > 0 && seq < source->begin_seq && !atomic_load(stopping)) {
        uint64_t left = source->begin_seq - seq;
        status = ib_journal_reader_next(reader, commands, left < RECALL_BATCH ? (size_t)left : RECALL_BATCH, &count);
        for (size_t i = 0; i < count; i++) {
            mark = ib_entry_mark_behind(mark, &commands[i]);
            seq = commands[i].seq;
            if (seq % IB_ENTRY_STRIDE == 0) {
                IB_ASSERT(seq / IB_ENTRY_STRIDE < source->stride_first);
                source->recalled[seq / IB_ENTRY_STRIDE] = mark;
            }
        }
    }
    if (status != IB_OK && reader != NULL) {
        memcpy(error, ib_journal_reader_report(reader)->error, IB_ERROR_TEXT_SIZE);
    }
    if (status == IB_OK && !atomic_load(stopping)) {
        bool is_same = seq == source->begin_seq && mark.epoch == source->begin.epoch &&
                       mark.chain == source->begin.chain;
        status = is_same ? IB_OK : IB_ERROR_CONFIGURATION;
        atomic_store_explicit(&source->is_recalled, is_same, memory_order_release);
    }
    ib_journal_reader_close(reader);
    free(commands);
    return status;
}

bool ib_entry_source_has(const struct ib_entry_source *source, uint64_t seq)
{
    IB_ASSERT(source->strides != NULL);
    IB_ASSERT(seq >= 1 && seq <= source->last_seq);
    return seq >= source->begin_seq || atomic_load_explicit(&source->is_recalled, memory_order_acquire);
}

int ib_entry_source_use_ring(struct ib_entry_source *source, const struct ib_ring *ring)
{
    IB_ASSERT(source->ring == NULL && ring->claimed == 0);
    IB_ASSERT(source->marks == NULL && (ring->capacity & (ring->capacity - 1)) == 0);
    source->marks = calloc(ring->capacity, sizeof *source->marks);
    if (source->marks == NULL) {
        return IB_ERROR_MEMORY;
    }
    source->ring = ring;
    source->base_seq = source->last_seq;
    return IB_OK;
}

int ib_entry_source_note(struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark mark)
{
    IB_ASSERT(seq == source->last_seq + 1 && mark.epoch >= source->last.epoch);
    IB_ASSERT(source->ring == NULL || seq <= source->base_seq + source->ring->claimed); /* in the ring first */
    if (seq % IB_ENTRY_STRIDE == 0) {
        IB_ASSERT(source->stride_first + source->stride_count == seq / IB_ENTRY_STRIDE);
        if (source->stride_count == source->stride_capacity) {
            struct ib_entry_mark *more =
                realloc(source->strides, 2 * source->stride_capacity * sizeof *source->strides);
            if (more == NULL) {
                return IB_ERROR_MEMORY;
            }
            source->strides = more;
            source->stride_capacity *= 2;
        }
        source->strides[source->stride_count++] = mark;
    }
    if (source->ring != NULL) {
        source->marks[(seq - source->base_seq - 1) & (source->ring->capacity - 1)] = mark;
    }
    source->last_seq = seq;
    source->last = mark;
    return IB_OK;
}

struct ib_entry_mark ib_entry_source_follow(const struct ib_entry_source *source, const struct ib_command *command)
{
    IB_ASSERT(command->seq == source->last_seq + 1);
    IB_ASSERT(source->ring == NULL); /* then the replica says what the marks are */
    return ib_entry_mark_behind(source->last, command);
}

/* ---- the segments ---- */

/* Opens the segment that has entry seq. */
static int open_segment(struct ib_entry_source *source, uint64_t seq)
{
    uint64_t *first_seqs = NULL;
    size_t count = 0;
    char name[IB_SEGMENT_NAME_SIZE];
    IB_ASSERT(seq >= 1 && source->directory_fd >= 0);
    IB_ASSERT(source->fd < 0 || source->first_seq <= source->next_first_seq); /* equal: it is looked for anew */
    if (source->fd >= 0 && seq >= source->first_seq && seq < source->next_first_seq) {
        return IB_OK;
    }
    if (source->fd >= 0) {
        close(source->fd);
        source->fd = -1;
    }
    int status = ib_segment_list(source->directory_fd, &first_seqs, &count);
    if (status != IB_OK) {
        return status;
    }
    size_t at = 0;
    while (at + 1 < count && first_seqs[at + 1] <= seq) {
        at++;
    }
    if (count == 0 || first_seqs[at] > seq) {
        free(first_seqs);
        errno = ENOENT;
        return IB_ERROR_IO;
    }
    source->first_seq = first_seqs[at];
    source->next_first_seq = at + 1 < count ? first_seqs[at + 1] : UINT64_MAX;
    free(first_seqs);
    ib_segment_name(name, source->first_seq);
    source->fd = openat(source->directory_fd, name, O_RDONLY | O_CLOEXEC);
    return source->fd >= 0 ? IB_OK : IB_ERROR_IO;
}

/* Commands from seq on, at most READ_RECORDS, of the segment that is open; `*read` 0: it has none of them. */
static int read_open(struct ib_entry_source *source, uint64_t seq, struct ib_command *commands, size_t count,
                     size_t *read)
{
    static unsigned char bytes[READ_RECORDS * IB_RECORD_COMMAND_SIZE]; /* the I/O thread's only */
    IB_ASSERT(count >= 1 && count <= READ_RECORDS);
    IB_ASSERT(source->fd >= 0 && seq >= source->first_seq && seq < source->next_first_seq);
    uint64_t left = source->next_first_seq - seq;
    count = left < count ? (size_t)left : count;
    off_t offset = (off_t)ib_record_offset(source->first_seq, seq);
    ssize_t size;
    do {
        size = pread(source->fd, bytes, count * IB_RECORD_COMMAND_SIZE, offset);
    } while (size < 0 && errno == EINTR);
    *read = 0;
    while (size > 0 && *read < (size_t)size / IB_RECORD_COMMAND_SIZE &&
           ib_record_open(bytes + *read * IB_RECORD_COMMAND_SIZE, seq + *read, &commands[*read])) {
        ++*read;
    }
    IB_ASSERT(*read <= count);
    return size < 0 ? IB_ERROR_IO : IB_OK;
}

static int read_commands(struct ib_entry_source *source, uint64_t seq, struct ib_command *commands, size_t count,
                         size_t *read)
{
    int status = open_segment(source, seq);
    if (status == IB_OK) {
        status = read_open(source, seq, commands, count, read);
    }
    if (status == IB_OK && *read == 0 && source->next_first_seq == UINT64_MAX) { /* a later one is there meanwhile? */
        source->next_first_seq = source->first_seq;
        status = open_segment(source, seq);
        if (status == IB_OK) {
            status = read_open(source, seq, commands, count, read);
        }
    }
    IB_ASSERT(status != IB_OK || *read <= count);
    return status == IB_OK && *read == 0 ? IB_ERROR_JOURNAL_DAMAGED : status;
}

/* ---- reading ---- */

static bool is_in_ring(const struct ib_entry_source *source, uint64_t seq)
{
    IB_ASSERT(seq >= 1 && seq <= source->last_seq);
    return source->ring != NULL && seq > source->base_seq &&
           seq - source->base_seq - 1 + source->ring->capacity >= source->ring->claimed;
}

/* The nearest mark at seq or before it that is remembered; its entry. */
static uint64_t nearest_mark(const struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark *mark)
{
    uint64_t i = seq / IB_ENTRY_STRIDE;
    IB_ASSERT(seq >= source->begin_seq || atomic_load(&source->is_recalled));
    IB_ASSERT(i < source->stride_first + source->stride_count);
    if (i < source->stride_first && seq >= source->begin_seq) {
        *mark = source->begin;
        return source->begin_seq;
    }
    *mark = i < source->stride_first ? source->recalled[i] : source->strides[i - source->stride_first];
    return i * IB_ENTRY_STRIDE;
}

/* The mark behind entry seq, which is older than the ring. */
static int find_mark(struct ib_entry_source *source, uint64_t seq, struct ib_entry_mark *mark)
{
    struct ib_command commands[READ_RECORDS];
    uint64_t at = source->read_seq;
    *mark = source->read;
    if (at > seq || seq - at >= IB_ENTRY_STRIDE) {
        at = nearest_mark(source, seq, mark);
    }
    IB_ASSERT(at <= seq && seq - at < IB_ENTRY_STRIDE); /* so much is read at most, whatever is asked for */
    while (at < seq) {
        size_t read;
        size_t wanted = seq - at < READ_RECORDS ? (size_t)(seq - at) : READ_RECORDS;
        int status = read_commands(source, at + 1, commands, wanted, &read);
        if (status != IB_OK) {
            return status;
        }
        for (size_t i = 0; i < read; i++) {
            *mark = ib_entry_mark_behind(*mark, &commands[i]);
        }
        at += read;
    }
    IB_ASSERT(at == seq);
    return IB_OK;
}

/* That of the snapshot, whose mark is known without those before it. */
static int read_first(struct ib_entry_source *source, struct ib_replica_entry *entry)
{
    const struct ib_entry_mark mark = source->begin;
    size_t read;
    IB_ASSERT(source->begin_seq > 0 && mark.epoch > 0);
    int status = read_commands(source, source->begin_seq, &entry->command, 1, &read);
    IB_ASSERT(status != IB_OK || read == 1);
    entry->epoch = mark.epoch;
    entry->chain = mark.chain;
    return status;
}

static int read_segments(struct ib_entry_source *source, uint64_t seq, struct ib_replica_entry *entries, size_t count,
                         size_t *read)
{
    struct ib_command commands[READ_RECORDS];
    struct ib_entry_mark mark;
    IB_ASSERT(count >= 1);
    if (seq == source->begin_seq) {
        *read = 1;
        return read_first(source, entries);
    }
    int status = find_mark(source, seq - 1, &mark);
    if (status == IB_OK) {
        status = read_commands(source, seq, commands, count < READ_RECORDS ? count : READ_RECORDS, read);
    }
    for (size_t i = 0; status == IB_OK && i < *read; i++) {
        mark = ib_entry_mark_behind(mark, &commands[i]);
        entries[i] = (struct ib_replica_entry){.epoch = mark.epoch, .chain = mark.chain, .command = commands[i]};
    }
    if (status == IB_OK) {
        IB_ASSERT(*read >= 1 && *read <= count);
        source->read_seq = seq + *read - 1;
        source->read = mark;
    }
    return status;
}

int ib_entry_source_read(struct ib_entry_source *source, uint64_t seq, struct ib_replica_entry *entries, size_t count,
                         size_t *read)
{
    IB_ASSERT(ib_entry_source_has(source, seq) && count >= 1);
    uint64_t left = source->last_seq - seq + 1;
    count = left < count ? (size_t)left : count;
    if (!is_in_ring(source, seq)) {
        uint64_t oldest = source->ring == NULL ? UINT64_MAX : source->base_seq + 1;
        if (source->ring != NULL && source->ring->claimed > source->ring->capacity) {
            oldest += source->ring->claimed - source->ring->capacity;
        }
        IB_ASSERT(seq < oldest); /* those in the ring may not be on the disk yet */
        return read_segments(source, seq, entries, oldest - seq < count ? (size_t)(oldest - seq) : count, read);
    }
    IB_ASSERT(seq + count - 1 <= source->base_seq + source->ring->claimed);
    for (*read = 0; *read < count; ++*read) {
        uint64_t place = (seq + *read - source->base_seq - 1) & (source->ring->capacity - 1);
        entries[*read] = (struct ib_replica_entry){.epoch = source->marks[place].epoch,
                                                   .chain = source->marks[place].chain,
                                                   .command = source->ring->commands[place]};
    }
    return IB_OK;
}
