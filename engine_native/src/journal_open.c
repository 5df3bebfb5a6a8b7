/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_open.c: how a journal is opened for appending: its directory is locked, everything in it is read through
 * journal_reader.c, a torn tail is cut off, and the room of the last segment reserved again. And how it is closed.
 */
#define _GNU_SOURCE
#include "journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "journal_ahead.h"
#include "journal_record.h"

enum { READ_BATCH = 1024, SEGMENT_BYTES_MIN = 1024 };

static int lock_directory(struct ib_journal *journal)
{
    IB_ASSERT(journal->directory != NULL);
    IB_ASSERT(journal->directory_fd < 0);
    if (mkdir(journal->directory, 0700) != 0 && errno != EEXIST) {
        return ib_journal_fail(journal, IB_ERROR_IO, "cannot make the journal's directory", strerror(errno));
    }
    journal->directory_fd = open(journal->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->directory_fd < 0) {
        return ib_journal_fail(journal, IB_ERROR_IO, "cannot open the journal's directory", strerror(errno));
    }
    if (flock(journal->directory_fd, LOCK_EX | LOCK_NB) != 0) {
        return ib_journal_fail(journal, IB_ERROR_IO, "cannot lock the journal's directory",
                    errno == EWOULDBLOCK ? "another engine is running on it" : strerror(errno));
    }
    return IB_OK;
}

/* Reads to the end, and hands nothing to anybody. */
static int read_all(struct ib_journal_reader *reader)
{
    IB_ASSERT(reader != NULL);
    struct ib_command *commands = malloc(READ_BATCH * sizeof *commands);
    int status = commands == NULL ? IB_ERROR_MEMORY : IB_OK;
    size_t count = 1;
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, commands, READ_BATCH, &count);
    }
    free(commands);
    return status;
}

static int visit_all(struct ib_journal *journal, struct ib_journal_reader *reader, ib_journal_visit visit,
                     void *context)
{
    int visit_status;
    IB_ASSERT(journal->directory_fd >= 0);
    IB_ASSERT(journal->fd < 0); /* nothing is written before all is read */
    if (visit == NULL) {
        return read_all(reader);
    }
    int status = ib_journal_visit_all(reader, visit, context, &visit_status);
    IB_ASSERT(status != IB_OK || visit_status == IB_OK);
    if (visit_status != IB_OK) {
        (void)ib_journal_fail(journal, status, "recovery was ended by the engine", ib_status_text(status));
    }
    return status;
}

static int check_configuration(struct ib_journal *journal, const struct ib_journal_report *report)
{
    IB_ASSERT(journal->orders >= 1);
    IB_ASSERT(report->orders >= 1);
    char text[160];
    if (report->orders != journal->orders) {
        (void)snprintf(text, sizeof text,
                       "the journal was begun with room for %" PRIu32 " orders, the configuration says %" PRIu32
                       ": set limits.orders to %" PRIu32,
                       report->orders, journal->orders, report->orders);
        return ib_journal_fail(journal, IB_ERROR_CONFIGURATION, "limits.orders", text);
    }
    if (journal->epoch > 0 && report->epoch > journal->epoch) {
        (void)snprintf(text, sizeof text, "the journal is at epoch %" PRIu64 ", the configuration says %" PRIu64,
                       report->epoch, journal->epoch);
        return ib_journal_fail(journal, IB_ERROR_CONFIGURATION, "epoch", text);
    }
    return IB_OK;
}

/* What was read may lie in the system's memory alone: the process before was killed in front of a sync, or its sync has
 * failed, and the system takes those pages for written then. Only the last group can be so, and the segment's name.
 * The group is written again, and both are synced, before anybody is told of it. */
static int write_last_group_again(struct ib_journal *journal)
{
    uint64_t size = journal->size - IB_RECORD_SEGMENT_SIZE;
    IB_ASSERT(journal->fd >= 0 && journal->size >= IB_RECORD_SEGMENT_SIZE);
    size = size < sizeof journal->group ? size : sizeof journal->group;
    if (journal->fsync_policy == IB_FSYNC_NONE) {
        return IB_OK;
    }
    uint64_t offset = journal->size - size;
    IB_ASSERT(offset >= IB_RECORD_SEGMENT_SIZE);
    ssize_t got = pread(journal->fd, journal->group, size, (off_t)offset);
    if (got >= 0 && got != (ssize_t)size) {
        errno = EIO;
    }
    if (got != (ssize_t)size ||
        (size > 0 && ib_segment_write(journal->fd, journal->group, size, offset, 0) != IB_OK) ||
        fdatasync(journal->fd) != 0 || fsync(journal->directory_fd) != 0) {
        return ib_journal_fail(journal, IB_ERROR_IO, "cannot write the last group again", strerror(errno));
    }
    return IB_OK;
}

/* Takes the last segment's end for the journal's, and cuts off what an unfinished write left. A segment of an older
 * format or of older rules is not gone on with: a build of before would read on over a RULES command that names ours,
 * and ignore it, unless it stands in a segment that says so. Where nothing is in the old one yet, the new one takes
 * its place. */
static int continue_last_segment(struct ib_journal *journal, const struct ib_journal_report *report)
{
    IB_ASSERT(journal->fd < 0);
    IB_ASSERT(report->segments >= 1);
    journal->fd = openat(journal->directory_fd, report->file, O_RDWR | O_CLOEXEC);
    struct stat file;
    if (journal->fd < 0 || fstat(journal->fd, &file) != 0) {
        return ib_journal_fail(journal, IB_ERROR_IO, report->file, strerror(errno));
    }
    uint64_t length = (uint64_t)file.st_size;
    IB_ASSERT(length >= report->torn_bytes + report->spare_bytes);
    journal->size = length - report->torn_bytes - report->spare_bytes;
    journal->limit = journal->next.bytes > journal->size ? journal->next.bytes : journal->size;
    journal->seq = report->seq;
    journal->time_ns = report->time_ns;
    journal->chain = report->chain;
    journal->epoch = journal->epoch == 0 ? report->epoch : journal->epoch;
    int is_old = report->segment_format < IB_JOURNAL_FORMAT_MARKED || report->rules < IB_RULES_NEWEST;
    if ((report->torn_bytes > 0 || is_old || length > journal->limit) &&
        (ftruncate(journal->fd, (off_t)journal->size) != 0 || fsync(journal->fd) != 0)) {
        return ib_journal_fail(journal, IB_ERROR_IO, "cannot cut off the torn tail", strerror(errno));
    }
    int status = write_last_group_again(journal);
    if (status == IB_OK && !is_old) {
        status = ib_segment_reserve(journal->fd, journal->size, journal->limit, journal->next.write_zeros);
        if (status == IB_ERROR_IO) {
            (void)ib_journal_fail(journal, status, "cannot reserve the last segment", strerror(errno));
        }
    }
    if (status == IB_ERROR_IO) {
        return status;
    }
    if (is_old || status == IB_ERROR_CAPACITY) {
        journal->limit = journal->size; /* the disk is full: whoever wants to write may wait for a segment */
    }
    if (is_old && journal->size == IB_RECORD_SEGMENT_SIZE) {
        struct ib_record_header header;
        if (pread(journal->fd, &header, sizeof header, 0) != (ssize_t)sizeof header) {
            return ib_journal_fail(journal, IB_ERROR_IO, report->file, strerror(errno));
        }
        journal->chain = header.chain;
    }
    uint64_t fits = (journal->limit - journal->size) / IB_RECORD_COMMAND_SIZE;
    atomic_fetch_add(&journal->next.room_seq, journal->seq + fits);
    status = is_old ? ib_journal_begin_segment(journal) : IB_OK;
    return status == IB_ERROR_CAPACITY ? IB_OK : status; /* the first command begins it, once there is room */
}

static int recover(struct ib_journal *journal, const struct ib_journal_place *behind, ib_journal_visit visit,
                   void *context, struct ib_journal_report *report)
{
    IB_ASSERT(journal->directory_fd >= 0);
    IB_ASSERT(journal->seq == 0);
    uint64_t *first_seqs = NULL;
    size_t segment_count = 0;
    int status = ib_segment_list(journal->directory_fd, &first_seqs, &segment_count);
    free(first_seqs);
    if (status != IB_OK) {
        return ib_journal_fail(journal, status, "cannot list the journal's directory", strerror(errno));
    }
    ib_segment_next_open(&journal->next, journal->directory_fd, journal->limit,
                         journal->fsync_policy != IB_FSYNC_NONE);
    if (segment_count == 0 && behind == NULL) {
        return ib_journal_begin_segment(journal);
    }
    struct ib_journal_reader *reader = NULL;
    status = behind == NULL ? ib_journal_reader_open(&reader, journal->directory, journal->shard)
                            : ib_journal_reader_open_behind(&reader, journal->directory, journal->shard, behind);
    if (reader == NULL) {
        return status;
    }
    const struct ib_journal_report *found = ib_journal_reader_report(reader);
    if (status == IB_OK) {
        status = check_configuration(journal, found); /* before any command is handed out */
    }
    if (status == IB_OK) {
        status = visit_all(journal, reader, visit, context);
    }
    if (status == IB_OK) {
        status = check_configuration(journal, found);
    }
    if (status == IB_OK) {
        status = continue_last_segment(journal, found);
    }
    *report = *found;
    ib_journal_reader_close(reader);
    return status;
}

static int check_config(const struct ib_journal_config *config)
{
    int sound = config != NULL && config->directory != NULL && config->orders >= 1 &&
                config->orders <= IB_ORDERS_MAX && config->segment_bytes >= SEGMENT_BYTES_MIN &&
                config->fsync_policy >= IB_FSYNC_NONE && config->fsync_policy <= IB_FSYNC_WRITE;
    return sound ? IB_OK : IB_ERROR_ARGUMENT;
}

int ib_journal_open(struct ib_journal **journal, const struct ib_journal_config *config, ib_journal_visit visit,
                    void *context, struct ib_journal_report *report)
{
    if (journal == NULL || report == NULL || check_config(config) != IB_OK) {
        return IB_ERROR_ARGUMENT;
    }
    *journal = NULL;
    *report = (struct ib_journal_report){.shard = config->shard, .orders = config->orders};
    struct ib_journal *opened = calloc(1, sizeof *opened);
    if (opened == NULL || (opened->directory = strdup(config->directory)) == NULL) {
        free(opened);
        return IB_ERROR_MEMORY;
    }
    opened->directory_fd = opened->fd = -1;
    opened->fsync_policy = config->fsync_policy;
    opened->shard = config->shard;
    opened->orders = config->orders;
    opened->epoch = config->epoch;
    opened->limit = config->segment_bytes;
    IB_ASSERT(opened->limit >= IB_RECORD_SEGMENT_SIZE + IB_RECORD_COMMAND_SIZE); /* room for a command in each */
    int status = lock_directory(opened);
    if (status == IB_OK) {
        status = recover(opened, config->behind, visit, context, report);
    }
    if (status != IB_OK) {
        if (report->error[0] == '\0') {
            memcpy(report->error, opened->error, sizeof report->error);
        }
        ib_journal_close(opened);
        return status;
    }
    IB_ASSERT(opened->directory_fd >= 0 && opened->status == IB_OK);
    *journal = opened;
    return IB_OK;
}

void ib_journal_close(struct ib_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    if (journal->fd >= 0) {
        IB_ASSERT(journal->directory_fd >= 0); /* the lock is held to the last change */
        IB_ASSERT(journal->size <= journal->limit);
        if (journal->status == IB_OK) { /* gives back what it has not used; otherwise nothing is touched any more */
            (void)!ftruncate(journal->fd, (off_t)journal->size);
        }
        close(journal->fd);
    }
    ib_segment_next_close(&journal->next);
    if (journal->directory_fd >= 0) {
        close(journal->directory_fd); /* gives the lock back */
    }
    free(journal->directory);
    free(journal);
}
