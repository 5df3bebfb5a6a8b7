/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal.c: the writer, once journal_open.c has found the end. It only goes forward: each group is written in place,
 * into blocks that the segment has since before it was begun (journal_segment.h). A segment appears under its name,
 * header and all, by rename(2), and is cut to what is in it when the next one begins.
 *
 * Invariants: behind `size` the last segment is zero; `seq`, `time_ns` and `chain` are those of the last record in it.
 * After the first failure of the operating system nothing is written any more, and no sync is tried again: what the
 * file holds is unknown then, and only the next open may look. That there is no room for one more segment is found
 * before anything is written, and is no such failure.
 */
#define _GNU_SOURCE
#include "journal_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "journal_record.h"

int ib_journal_fail(struct ib_journal *journal, int status, const char *what, const char *reason)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(what != NULL);
    ib_journal_say(journal->error, journal->directory, "%s: %s", what, reason);
    return status;
}

/* A failure of the operating system: final. */
static int fail_for_good(struct ib_journal *journal, const char *what)
{
    IB_ASSERT(errno != 0);
    IB_ASSERT(journal->status == IB_OK);
    journal->status = ib_journal_fail(journal, IB_ERROR_IO, what, strerror(errno));
    return journal->status;
}

/* ---- writing ---- */

/* Writes the header record of a new segment. It has no name yet that a reader would look at. */
static int write_segment_header(struct ib_journal *journal, int fd)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(journal->seq < IB_SEQ_MAX);
    struct {
        struct ib_record_header header;
        struct ib_segment_payload payload;
    } record = {
        .header = {
            .magic = IB_JOURNAL_MAGIC,
            .format = IB_JOURNAL_FORMAT,
            .type = IB_RECORD_SEGMENT,
            .shard = journal->shard,
            .epoch = journal->epoch,
            .seq = journal->seq + 1,
            .time_ns = journal->time_ns,
            .chain = journal->chain,
            .group_seq = journal->seq + 1,
        },
        .payload = {.rules = IB_RULES_NEWEST, .orders = journal->orders},
    };
    _Static_assert(sizeof record == IB_RECORD_SEGMENT_SIZE, "no padding");
    ib_record_seal(&record.header, &record.payload, sizeof record.payload);
    if (ib_segment_write(fd, &record, sizeof record, 0, 0) != IB_OK || fdatasync(fd) != 0) {
        return IB_ERROR_IO;
    }
    journal->chain = ib_record_chain(&record.header, &record.payload);
    return IB_OK;
}

/* The last segment is full: it ends with its last record from here on, on the disk as well. */
static int finish_segment(struct ib_journal *journal)
{
    IB_ASSERT(journal->fd >= 0);
    IB_ASSERT(journal->size <= journal->limit);
    int fd = journal->fd;
    journal->fd = -1;
    if (ftruncate(fd, (off_t)journal->size) != 0 || fsync(fd) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return fail_for_good(journal, "cannot finish a segment");
    }
    close(fd); /* is synced: nothing that it could say is news */
    return IB_OK;
}

int ib_journal_begin_segment(struct ib_journal *journal)
{
    IB_ASSERT(journal->directory_fd >= 0);
    IB_ASSERT(journal->status == IB_OK);
    int fd;
    int status = ib_segment_take(&journal->next, &fd);
    if (status == IB_ERROR_CAPACITY) { /* nothing was written, so this is not for good */
        return ib_journal_fail(journal, status, "no room for the next segment", strerror(errno));
    }
    if (status != IB_OK) {
        return fail_for_good(journal, "cannot make the next segment");
    }
    if (journal->fd >= 0 && finish_segment(journal) != IB_OK) {
        return journal->status;
    }
    char name[IB_SEGMENT_NAME_SIZE];
    ib_segment_name(name, journal->seq + 1);
    if (write_segment_header(journal, fd) != IB_OK ||
        renameat(journal->directory_fd, IB_SEGMENT_NEXT, journal->directory_fd, name) != 0 ||
        fsync(journal->directory_fd) != 0) {
        return fail_for_good(journal, "cannot begin a segment");
    }
    journal->fd = fd;
    journal->size = IB_RECORD_SEGMENT_SIZE;
    journal->limit = journal->next.bytes;
    ib_segment_taken(&journal->next);
    return IB_OK;
}

/* Builds the records of a group in the buffer; returns the chain behind them. */
static uint64_t build_group(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    IB_ASSERT(count >= 1);
    IB_ASSERT(count <= IB_JOURNAL_GROUP_MAX);
    struct ib_record_header header = {.shard = journal->shard,
                                      .epoch = journal->epoch,
                                      .chain = journal->chain,
                                      .group_seq = commands[0].seq};
    for (size_t i = 0; i < count; i++) {
        if (commands[i].type == IB_COMMAND_EPOCH) { /* a primary's first entry, whichever member writes it */
            header.epoch = commands[i].value > header.epoch ? commands[i].value : header.epoch;
        }
        header.chain = ib_record_write(journal->group + i * IB_RECORD_COMMAND_SIZE, header, &commands[i]);
    }
    journal->epoch = header.epoch;
    return header.chain;
}

static int check_group(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    IB_ASSERT(journal != NULL);
    IB_ASSERT(count >= 1);
    uint64_t seq = journal->seq;
    uint64_t time_ns = journal->time_ns;
    for (size_t i = 0; i < count; i++) {
        if (commands[i].seq != seq + 1 || commands[i].time_ns < time_ns) {
            return ib_journal_fail(journal, IB_ERROR_ARGUMENT, "append",
                                   "sequence or time do not follow the last record");
        }
        seq = commands[i].seq;
        time_ns = commands[i].time_ns;
    }
    return IB_OK;
}

/* Writes and syncs one group that fits into the last segment. */
static int write_group(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    size_t size = count * IB_RECORD_COMMAND_SIZE;
    IB_ASSERT(journal->fd >= 0);
    IB_ASSERT(journal->size + size <= journal->limit);
    uint64_t chain = build_group(journal, commands, count);
    int flags = journal->fsync_policy == IB_FSYNC_WRITE ? RWF_DSYNC : 0;
    if (ib_segment_write(journal->fd, journal->group, size, journal->size, flags) != IB_OK) {
        int reason = errno;
        /* None of the group was acknowledged: leave the file as it was before, if that can be done. */
        (void)!ftruncate(journal->fd, (off_t)journal->size);
        errno = reason;
        return fail_for_good(journal, "cannot append");
    }
    if (journal->fsync_policy == IB_FSYNC_GROUP && fdatasync(journal->fd) != 0) {
        return fail_for_good(journal, "cannot sync");
    }
    journal->size += size;
    journal->chain = chain;
    journal->seq = commands[count - 1].seq;
    journal->time_ns = commands[count - 1].time_ns;
    return IB_OK;
}

int ib_journal_append(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    if (journal == NULL || commands == NULL || count == 0 || count > IB_JOURNAL_GROUP_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    if (journal->status != IB_OK) {
        return journal->status;
    }
    int status = check_group(journal, commands, count);
    while (status == IB_OK && count > 0) {
        size_t fits = (size_t)((journal->limit - journal->size) / IB_RECORD_COMMAND_SIZE);
        if (fits == 0) {
            status = ib_journal_begin_segment(journal);
            continue;
        }
        fits = fits < count ? fits : count;
        status = write_group(journal, commands, fits);
        commands += fits;
        count -= fits;
    }
    return status;
}

/* ---- room ---- */

uint64_t ib_journal_segment_left(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    IB_ASSERT(journal->size <= journal->limit);
    return (journal->limit - journal->size) / IB_RECORD_COMMAND_SIZE;
}

uint64_t ib_journal_room_seq(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    IB_ASSERT(journal->next.bytes > 0);
    return atomic_load_explicit(&journal->next.room_seq, memory_order_acquire);
}

int ib_journal_room_error(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return atomic_load_explicit(&journal->next.error, memory_order_acquire);
}

uint64_t ib_journal_segment_capacity(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return ib_segment_capacity(&journal->next);
}

int ib_journal_prepare(struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return ib_segment_prepare(&journal->next);
}

void ib_journal_wait(struct ib_journal *journal, uint32_t milliseconds)
{
    IB_ASSERT(journal != NULL);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may be set back, by an hour */
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    IB_ASSERT(until.tv_nsec >= 0 && until.tv_nsec < 1000000000);
    (void)sem_clockwait(&journal->next.taken, CLOCK_MONOTONIC, &until);
}

void ib_journal_nudge(struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    (void)sem_post(&journal->next.taken);
}

uint64_t ib_journal_seq(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return journal->seq;
}

uint64_t ib_journal_time_ns(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return journal->time_ns;
}

const char *ib_journal_error(const struct ib_journal *journal)
{
    IB_ASSERT(journal != NULL);
    return journal->error;
}
