/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot_store.c: taking a snapshot: the journal is read, from the newest snapshot on, into a matcher of one's own,
 * whatever engine is writing it; its state goes into a file that has no name yet, is synced and loaded, and only then
 * appears under its name. Whatever fails on the way leaves the directory as it was.
 */
#define _GNU_SOURCE
#include "snapshot_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "journal_record.h"
#include "snapshot.h"

#define SNAPSHOT_SUFFIX ".snapshot"
#define SNAPSHOT_DIGITS 20

enum { BATCH = 1024, EVENTS = 64 };

void ib_snapshot_name(char name[IB_SNAPSHOT_NAME_SIZE], uint64_t seq)
{
    IB_ASSERT(seq >= 1 && seq <= IB_SEQ_MAX);
    int length = snprintf(name, IB_SNAPSHOT_NAME_SIZE, "%020" PRIu64 SNAPSHOT_SUFFIX, seq);
    IB_ASSERT(length == SNAPSHOT_DIGITS + (int)strlen(SNAPSHOT_SUFFIX));
}

uint64_t ib_snapshot_seq_of(const char *name)
{
    IB_ASSERT(name != NULL);
    if (strspn(name, "0123456789") != SNAPSHOT_DIGITS || strcmp(name + SNAPSHOT_DIGITS, SNAPSHOT_SUFFIX) != 0) {
        return 0;
    }
    uint64_t seq = strtoull(name, NULL, 10);
    IB_ASSERT(errno != 0 || seq < UINT64_MAX);
    return seq <= IB_SEQ_MAX ? seq : 0;
}

bool ib_snapshot_set_aside(const char *directory, uint64_t seq)
{
    char name[IB_SNAPSHOT_NAME_SIZE], aside[IB_SNAPSHOT_NAME_SIZE + 16];
    IB_ASSERT(directory != NULL);
    ib_snapshot_name(name, seq);
    (void)snprintf(aside, sizeof aside, "%s.refused", name);
    IB_ASSERT(ib_snapshot_seq_of(aside) == 0);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && (renameat(fd, name, fd, aside) == 0 || errno == ENOENT) && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = reason;
    return done;
}

/* ---- the file ---- */

static int write_out(void *context, const void *bytes, size_t size)
{
    int fd = *(const int *)context;
    const uint8_t *from = bytes;
    IB_ASSERT(fd >= 0 && size > 0);
    while (size > 0) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? EIO : errno;
            return IB_ERROR_IO;
        }
        IB_ASSERT((size_t)written <= size);
        from += written;
        size -= (size_t)written;
    }
    return IB_OK;
}

static int fail(struct ib_snapshot_report *report, const char *directory, int status, const char *what, int reason)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(what != NULL);
    ib_journal_say(report->error, directory, "cannot %s %s: %s", what, report->file,
                   status == IB_ERROR_IO ? strerror(reason) : ib_status_text(status));
    return status;
}

/* The whole file, on the disk. */
static int write_file(int fd, const struct ib_snapshot_head *head, const struct ib_matcher *matcher,
                      const struct ib_past *past)
{
    struct ib_snapshot_writer *writer = calloc(1, sizeof *writer);
    IB_ASSERT(fd >= 0);
    if (writer == NULL) {
        return IB_ERROR_MEMORY;
    }
    writer->write = write_out;
    writer->context = &fd;
    int status = ib_snapshot_write(writer, head, matcher, past);
    IB_ASSERT(status != IB_OK || writer->size > IB_SNAPSHOT_HEAD_SIZE);
    if (status == IB_OK && fsync(fd) != 0) {
        status = IB_ERROR_IO;
    }
    int reason = errno;
    free(writer);
    errno = reason;
    return status;
}

/* Writes, syncs, loads and names it. The lock keeps off another one that is taken at the same time. */
static int store(int directory_fd, const char *directory, const struct ib_snapshot_head *head,
                 const struct ib_matcher *matcher, const struct ib_past *past, struct ib_snapshot_report *report)
{
    char name[IB_SNAPSHOT_NAME_SIZE];
    IB_ASSERT(directory_fd >= 0);
    ib_snapshot_name(name, head->seq);
    (void)snprintf(report->file, sizeof report->file, "%.30s.new", name);
    int fd = openat(directory_fd, report->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return fail(report, directory, IB_ERROR_IO, "make", errno);
    }
    int status = flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 ? IB_OK : IB_ERROR_IO;
    if (status != IB_OK) { /* it is the other one's */
        status = fail(report, directory, IB_ERROR_IO, "lock", errno);
        close(fd);
        return status;
    }
    status = write_file(fd, head, matcher, past);
    status = status == IB_OK ? IB_OK : fail(report, directory, status, "write", errno);
    if (status == IB_OK) {
        struct ib_snapshot_report seen = {0};
        status = ib_snapshot_verify(directory, report->file, head->shard, &seen);
        seen.from_seq = report->from_seq;
        memcpy(seen.note, report->note, sizeof seen.note);
        *report = seen;
    }
    if (status == IB_OK &&
        (renameat(directory_fd, report->file, directory_fd, name) != 0 || fsync(directory_fd) != 0)) {
        status = fail(report, directory, IB_ERROR_IO, "name", errno);
    }
    if (status != IB_OK) {
        (void)unlinkat(directory_fd, report->file, 0);
    }
    close(fd);
    memcpy(report->file, name, sizeof name);
    IB_ASSERT((status == IB_OK) == (report->error[0] == '\0'));
    return status;
}

int ib_snapshot_store(const char *directory, const struct ib_snapshot_head *head, const struct ib_matcher *matcher,
                      const struct ib_past *past, struct ib_snapshot_report *report)
{
    IB_ASSERT(directory != NULL && head != NULL && matcher != NULL);
    IB_ASSERT(past != NULL && report != NULL);
    report->error[0] = '\0';
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        return fail(report, directory, IB_ERROR_IO, "open the directory of", errno);
    }
    int status = store(directory_fd, directory, head, matcher, past, report);
    close(directory_fd);
    return status;
}

/* ---- the state ---- */

/* What follows the journal: the state, and of its events what the past takes down. */
struct follower {
    struct ib_event_sink sink; /* the first, so that its address is the follower's */
    struct ib_matcher *matcher;
    struct ib_past past;
    struct ib_entry_mark entry; /* epoch 0: of what was before nobody knows */
    struct ib_event events[EVENTS];
};

static void take_down(struct ib_event_sink *sink)
{
    struct follower *follower = (struct follower *)(void *)sink;
    IB_ASSERT(sink->next >= follower->events && sink->next <= follower->events + EVENTS);
    for (const struct ib_event *event = follower->events; event < sink->next; event++) {
        ib_past_event(&follower->past, follower->matcher, event);
    }
    sink->next = follower->events;
    sink->end = follower->events + EVENTS;
    IB_ASSERT(sink->make_room == take_down);
}

static int follow(struct follower *follower, struct ib_journal_reader *reader, uint64_t until_seq)
{
    struct ib_command *commands = malloc(BATCH * sizeof *commands);
    size_t count = 1;
    int status = commands == NULL ? IB_ERROR_MEMORY : IB_OK;
    IB_ASSERT(follower->matcher != NULL);
    while (status == IB_OK && count > 0) {
        uint64_t left = until_seq - ib_matcher_seq(follower->matcher);
        IB_ASSERT(until_seq >= ib_matcher_seq(follower->matcher));
        status = ib_journal_reader_next(reader, commands, left < BATCH ? (size_t)left : BATCH, &count);
        for (size_t i = 0; status == IB_OK && i < count; i++) {
            ib_past_command(&follower->past, &commands[i]);
            if (follower->entry.epoch > 0) {
                follower->entry = ib_entry_mark_behind(follower->entry, &commands[i]);
            }
            status = ib_matcher_apply(follower->matcher, &commands[i], &follower->sink);
            take_down(&follower->sink);
        }
    }
    free(commands);
    return status;
}

static struct ib_snapshot_head head_of(const struct follower *follower, const struct ib_journal_report *journal)
{
    struct ib_totals totals;
    ib_matcher_totals(follower->matcher, &totals);
    IB_ASSERT(totals.seq == journal->seq);
    IB_ASSERT(ib_matcher_time_ns(follower->matcher) == journal->time_ns);
    return (struct ib_snapshot_head){
        .format = IB_SNAPSHOT_FORMAT,
        .shard = journal->shard,
        .rules = ib_matcher_rules(follower->matcher),
        .orders = journal->orders,
        .epoch = journal->epoch,
        .seq = totals.seq,
        .time_ns = journal->time_ns,
        .chain = journal->seq_chain,
        .event_count = totals.event_count,
        .state_hash = totals.state_hash,
        .entry = follower->entry,
    };
}

/* The follower has come to the journal's end, or as far as was asked. */
static int take(struct follower *follower, const struct ib_journal_report *journal,
                const struct ib_snapshot_wanted *wanted, struct ib_snapshot_report *report)
{
    char text[IB_ERROR_TEXT_SIZE] = "";
    IB_ASSERT(journal->seq == ib_matcher_seq(follower->matcher));
    if (journal->seq == 0 || (wanted->until_seq != 0 && journal->seq < wanted->until_seq)) {
        ib_journal_say(report->error, wanted->directory, "the journal ends at sequence %" PRIu64 "%s", journal->seq,
                       journal->seq == 0 ? ": there is nothing to take yet" : ", before the one that was asked for");
        return IB_ERROR_ARGUMENT;
    }
    if (ib_matcher_check(follower->matcher, text, sizeof text) != IB_OK) {
        ib_journal_say(report->error, wanted->directory, "sequence %" PRIu64 ": %s: this is a defect", journal->seq,
                       text);
        return IB_ERROR_ARGUMENT;
    }
    struct ib_snapshot_head head = head_of(follower, journal);
    return ib_snapshot_store(wanted->directory, &head, follower->matcher, &follower->past, report);
}

/* From `snapshot`, which may be null. */
static int take_from(struct follower *follower, struct ib_snapshot *snapshot, const struct ib_snapshot_wanted *wanted,
                     struct ib_snapshot_report *report)
{
    struct ib_journal_reader *reader = NULL;
    IB_ASSERT(follower->matcher == NULL);
    int status = ib_snapshot_follow(snapshot, wanted, report->note, &reader, report->error);
    if (status == IB_OK && snapshot != NULL) {
        follower->matcher = snapshot->matcher;
        follower->past = snapshot->past;
        follower->entry = (struct ib_entry_mark){.epoch = snapshot->report.entry_epoch,
                                                 .chain = snapshot->report.entry_chain};
        report->from_seq = snapshot->report.seq;
        snapshot->matcher = NULL;
    } else if (status == IB_OK) {
        follower->entry = ib_entry_mark_empty();
        status = ib_matcher_open(&follower->matcher, ib_journal_reader_report(reader)->orders);
    }
    if (status == IB_OK) {
        status = follow(follower, reader, wanted->until_seq != 0 ? wanted->until_seq : IB_SEQ_MAX);
        memcpy(report->error, ib_journal_reader_report(reader)->error, sizeof report->error);
    }
    if (status == IB_OK && report->from_seq == ib_journal_reader_report(reader)->seq && snapshot != NULL) {
        *report = snapshot->report; /* it is there already */
        report->from_seq = report->seq;
    } else if (status == IB_OK) {
        status = take(follower, ib_journal_reader_report(reader), wanted, report);
    }
    IB_ASSERT(reader != NULL || status != IB_OK);
    ib_journal_reader_close(reader);
    return status;
}

/* Whether the journal has its first command: then a chain can be had that the newest snapshot may not have. */
static bool reaches_back(const char *directory)
{
    char path[600], name[IB_SEGMENT_NAME_SIZE];
    IB_ASSERT(directory != NULL);
    ib_segment_name(name, 1);
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    IB_ASSERT(length > 0);
    return (size_t)length < sizeof path && access(path, R_OK) == 0;
}

int ib_snapshot_take(const char *directory, int64_t shard, uint64_t until_seq, struct ib_snapshot_report *report)
{
    if (directory == NULL || report == NULL || until_seq > IB_SEQ_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    *report = (struct ib_snapshot_report){0};
    struct follower *follower = calloc(1, sizeof *follower);
    struct ib_snapshot *snapshot = NULL;
    if (follower == NULL) {
        return IB_ERROR_MEMORY;
    }
    follower->sink = (struct ib_event_sink){
        .next = follower->events, .end = follower->events + EVENTS, .make_room = take_down};
    const struct ib_snapshot_wanted wanted = {
        .directory = directory, .shard = shard, .until_seq = until_seq, .marked = reaches_back(directory)};
    int status = ib_snapshot_newest(&snapshot, &wanted, report->note, report->error);
    if (status == IB_OK) {
        status = take_from(follower, snapshot, &wanted, report);
    }
    IB_ASSERT(status != IB_OK || report->error[0] == '\0');
    ib_snapshot_close(snapshot);
    ib_matcher_close(follower->matcher);
    free(follower);
    return status;
}
