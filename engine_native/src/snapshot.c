/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * snapshot.c: finding, loading and following snapshots; see snapshot.h. Writing one is in snapshot_store.c.
 */
#define _GNU_SOURCE
#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_record.h"
#include "memory.h"
#include "snapshot_store.h"

/* ---- a file ---- */

struct content {
    uint8_t *bytes;
    size_t size;
    size_t reserved;
};

static int fail(struct ib_snapshot_report *report, const char *directory, int status, const char *what)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(what != NULL && what != report->error);
    ib_journal_say(report->error, directory, "%s: %s", report->file, what);
    return status;
}

/* At most `limit` bytes of a file. */
static int read_file(const char *directory, size_t limit, struct content *content, struct ib_snapshot_report *report)
{
    char path[600];
    struct stat about;
    IB_ASSERT(content->bytes == NULL);
    int length = snprintf(path, sizeof path, "%s/%s", directory, report->file);
    int fd = length > 0 && (size_t)length < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &about) != 0) {
        int reason = errno;
        if (fd >= 0) {
            close(fd);
        }
        return fail(report, directory, IB_ERROR_IO, strerror(reason));
    }
    report->bytes = (uint64_t)about.st_size;
    size_t size = (uint64_t)about.st_size < limit ? (size_t)about.st_size : limit;
    content->reserved = size + 1; /* an empty file is read, too */
    content->bytes = ib_memory_reserve(content->reserved);
    ssize_t got = content->bytes == NULL ? -1 : 1;
    while (got > 0 && content->size < size) {
        got = read(fd, content->bytes + content->size, size - content->size);
        got = got < 0 && errno == EINTR ? 0 : got;
        content->size += got > 0 ? (size_t)got : 0;
    }
    int reason = errno;
    close(fd);
    IB_ASSERT(content->size <= size);
    return got >= 0 ? IB_OK : fail(report, directory, content->bytes == NULL ? IB_ERROR_MEMORY : IB_ERROR_IO,
                                   strerror(reason));
}

static void tell(struct ib_snapshot_report *report, const struct ib_snapshot_head *head, const struct content *content)
{
    IB_ASSERT(head != NULL && content->bytes != NULL);
    report->format = head->format;
    report->shard = head->shard;
    report->rules = head->rules;
    report->orders = head->orders;
    report->epoch = head->epoch;
    report->seq = head->seq;
    report->time_ns = head->time_ns;
    report->chain = head->chain;
    report->event_count = head->event_count;
    report->state_hash = head->state_hash;
    report->entry_epoch = head->entry.epoch;
    report->entry_chain = head->entry.chain;
    if (content->size == report->bytes && content->size >= IB_SHA256_SIZE) {
        for (unsigned i = 0; i < IB_SHA256_SIZE; i++) {
            const uint8_t *digest = content->bytes + content->size - IB_SHA256_SIZE;
            IB_ASSERT(2 * i + 2 < sizeof report->sha256);
            (void)snprintf(report->sha256 + 2 * i, 3, "%02x", digest[i]);
        }
    }
}

/* Null, or why a sound snapshot is not one that was asked for. */
static const char *contradiction(const struct ib_snapshot_report *report, const struct ib_snapshot_wanted *wanted,
                                 char text[200])
{
    char name[IB_SNAPSHOT_NAME_SIZE];
    IB_ASSERT(wanted->shard >= IB_JOURNAL_SHARD_ANY || text != NULL);
    if (wanted->shard != IB_JOURNAL_SHARD_ANY && report->shard != wanted->shard) {
        (void)snprintf(text, 200, "a snapshot of shard %" PRIu32 ", but shard %" PRId64
                       " was asked for: move it out of this directory", report->shard, wanted->shard);
        return text;
    }
    if (wanted->orders != 0 && report->orders != wanted->orders) {
        (void)snprintf(text, 200, "a snapshot with room for %" PRIu32 " orders, the configuration says %" PRIu32
                       ": set limits.orders to %" PRIu32, report->orders, wanted->orders, report->orders);
        return text;
    }
    ib_snapshot_name(name, report->seq);
    if (strncmp(name, report->file, strlen(name)) != 0) {
        (void)snprintf(text, 200, "a snapshot of sequence %" PRIu64 " under another one's name: give it back its own, "
                       "or move it out of this directory", report->seq);
        return text;
    }
    IB_ASSERT(report->error[0] == '\0');
    return NULL;
}

/* Reads, checks and rebuilds; `snapshot->report.file` says which file. */
static int load(struct ib_snapshot *snapshot, const struct ib_snapshot_wanted *wanted)
{
    struct content content = {0};
    struct ib_snapshot_head head;
    struct ib_snapshot_part parts[IB_SNAPSHOT_KINDS];
    struct ib_snapshot_report *report = &snapshot->report;
    char what[IB_ERROR_TEXT_SIZE] = "";
    char text[200];
    IB_ASSERT(snapshot->matcher == NULL && report->file[0] != '\0');
    int status = read_file(wanted->directory, SIZE_MAX, &content, report);
    if (status == IB_OK) {
        status = ib_snapshot_read(content.bytes, content.size, &head, parts, what);
        if (status == IB_OK) {
            tell(report, &head, &content);
            const char *misfit = contradiction(report, wanted, text);
            if (misfit != NULL) {
                int is_foreign = wanted->shard != IB_JOURNAL_SHARD_ANY && head.shard != wanted->shard;
                status = is_foreign ? IB_ERROR_JOURNAL_FOREIGN : IB_ERROR_CONFIGURATION;
                (void)snprintf(what, sizeof what, "%s", misfit);
            }
        }
        if (status == IB_OK) {
            status = ib_matcher_restore(&snapshot->matcher, &head, parts, &snapshot->past, what);
        }
        if (status != IB_OK) {
            (void)fail(report, wanted->directory, status, what);
        }
    }
    IB_ASSERT((status == IB_OK) == (snapshot->matcher != NULL));
    ib_memory_release(content.bytes, content.reserved);
    return status;
}

static struct ib_snapshot *new_snapshot(const char *file)
{
    struct ib_snapshot *snapshot = calloc(1, sizeof *snapshot);
    IB_ASSERT(file != NULL);
    if (snapshot != NULL) {
        int length = snprintf(snapshot->report.file, sizeof snapshot->report.file, "%s", file);
        IB_ASSERT(length >= 0);
    }
    return snapshot;
}

int ib_snapshot_verify(const char *directory, const char *file, int64_t shard, struct ib_snapshot_report *report)
{
    if (directory == NULL || file == NULL || report == NULL || strlen(file) >= sizeof report->file) {
        return IB_ERROR_ARGUMENT;
    }
    struct ib_snapshot *snapshot = new_snapshot(file);
    if (snapshot == NULL) {
        return IB_ERROR_MEMORY;
    }
    const struct ib_snapshot_wanted wanted = {.directory = directory, .shard = shard};
    int status = load(snapshot, &wanted);
    *report = snapshot->report;
    IB_ASSERT((status == IB_OK) == (report->error[0] == '\0'));
    ib_snapshot_close(snapshot);
    return status;
}

int ib_snapshot_look(const char *directory, const char *file, struct ib_snapshot_report *report)
{
    struct content content = {0};
    struct ib_snapshot_head head;
    char what[IB_ERROR_TEXT_SIZE] = "";
    if (directory == NULL || file == NULL || report == NULL || strlen(file) >= sizeof report->file) {
        return IB_ERROR_ARGUMENT;
    }
    *report = (struct ib_snapshot_report){0};
    (void)snprintf(report->file, sizeof report->file, "%s", file);
    int status = read_file(directory, IB_SNAPSHOT_HEAD_SIZE, &content, report);
    if (status == IB_OK) {
        status = ib_snapshot_read_head(content.bytes, content.size, &head, what);
        tell(report, &head, &content);
        status = status == IB_OK ? IB_OK : fail(report, directory, status, what);
    }
    IB_ASSERT((status == IB_OK) == (report->error[0] == '\0'));
    ib_memory_release(content.bytes, content.reserved);
    return status;
}

/* ---- which one ---- */

/* The highest sequence number below `below` that a file of the directory is named after; 0 = none. */
static int name_below(const char *directory, uint64_t below, uint64_t *seq)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    IB_ASSERT(directory != NULL && below > 0);
    *seq = 0;
    if (stream == NULL) {
        return errno == ENOENT ? IB_OK : IB_ERROR_IO;
    }
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        uint64_t found = ib_snapshot_seq_of(entry->d_name);
        *seq = found < below && found > *seq ? found : *seq;
    }
    int status = errno == 0 ? IB_OK : IB_ERROR_IO;
    closedir(stream);
    IB_ASSERT(*seq < below);
    return status;
}

static void add_note(char *note, const char *error)
{
    size_t used = strlen(note);
    IB_ASSERT(used < IB_ERROR_TEXT_SIZE);
    IB_ASSERT(error[0] != '\0');
    (void)snprintf(note + used, IB_ERROR_TEXT_SIZE - used, "%s%.220s, so it is passed over", used > 0 ? "; " : "",
                   error);
}

/* Whether a sound one is one that is wanted; otherwise its report says why not. */
static int judge(struct ib_snapshot *found, const struct ib_snapshot_wanted *wanted)
{
    struct ib_snapshot_report *report = &found->report;
    struct ib_journal_reader *reader = NULL;
    IB_ASSERT(found->matcher != NULL && report->error[0] == '\0');
    if (wanted->marked && report->entry_epoch == 0) {
        return fail(report, wanted->directory, IB_ERROR_JOURNAL_DAMAGED, "it does not have the chain of the members' "
                                                                         "entries, as those of format 1 have not");
    }
    if (!wanted->fitting) {
        return IB_OK; /* whoever takes it follows it, and refuses it then */
    }
    int status = ib_snapshot_follow(found, wanted, "", &reader, report->error);
    uint64_t epoch = status == IB_OK ? ib_journal_reader_report(reader)->epoch : 0;
    ib_journal_reader_close(reader);
    if (status == IB_OK && report->entry_epoch > epoch && report->entry_epoch > 1) { /* 1: before the first EPOCH */
        status = fail(report, wanted->directory, IB_ERROR_CONFIGURATION, "it is of a higher epoch than the journal is");
    }
    return status;
}

static bool is_passed_over(int status, const struct ib_snapshot_wanted *wanted)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(wanted != NULL);
    return status == IB_ERROR_JOURNAL_DAMAGED ||
           (wanted->fitting && (status == IB_ERROR_JOURNAL_FOREIGN || status == IB_ERROR_CONFIGURATION));
}

int ib_snapshot_newest(struct ib_snapshot **snapshot, const struct ib_snapshot_wanted *wanted, char *note, char *error)
{
    uint64_t below = wanted->until_seq != 0 ? wanted->until_seq + 1 : IB_SEQ_MAX;
    IB_ASSERT(snapshot != NULL && wanted->directory != NULL);
    IB_ASSERT(note != NULL && error != NULL);
    *snapshot = NULL;
    note[0] = '\0';
    for (;;) {
        char name[IB_SNAPSHOT_NAME_SIZE];
        int status = name_below(wanted->directory, below, &below);
        if (status != IB_OK) {
            ib_journal_say(error, wanted->directory, "cannot list the journal's directory: %s", strerror(errno));
            return status;
        }
        if (below == 0) {
            return IB_OK;
        }
        ib_snapshot_name(name, below);
        struct ib_snapshot *found = new_snapshot(name);
        if (found == NULL) {
            return IB_ERROR_MEMORY;
        }
        status = load(found, wanted);
        status = status == IB_OK ? judge(found, wanted) : status;
        if (status == IB_OK) {
            *snapshot = found;
            return IB_OK;
        }
        bool goes_on = is_passed_over(status, wanted);
        if (goes_on) {
            add_note(note, found->report.error);
        } else {
            memcpy(error, found->report.error, sizeof found->report.error);
        }
        ib_snapshot_close(found);
        if (!goes_on) {
            return status;
        }
    }
}

struct ib_journal_place ib_snapshot_place(const struct ib_snapshot *snapshot)
{
    IB_ASSERT(snapshot != NULL && snapshot->report.seq > 0);
    IB_ASSERT(snapshot->report.error[0] == '\0');
    return (struct ib_journal_place){
        .seq = snapshot->report.seq, .time_ns = snapshot->report.time_ns, .chain = snapshot->report.chain};
}

int ib_snapshot_follow(const struct ib_snapshot *snapshot, const struct ib_snapshot_wanted *wanted, const char *note,
                       struct ib_journal_reader **reader, char *error)
{
    int status;
    IB_ASSERT(reader != NULL && note != NULL && error != NULL);
    IB_ASSERT(wanted->directory != NULL);
    *reader = NULL;
    if (snapshot == NULL) {
        status = ib_journal_reader_open(reader, wanted->directory, wanted->shard);
    } else {
        struct ib_journal_place place = ib_snapshot_place(snapshot);
        status = ib_journal_reader_open_behind(reader, wanted->directory, wanted->shard, &place);
    }
    if (status != IB_OK && *reader != NULL) {
        const char *why = ib_journal_reader_report(*reader)->error;
        int room = IB_ERROR_TEXT_SIZE / 2;
        (void)snprintf(error, IB_ERROR_TEXT_SIZE, "%.*s%s%s%s%s%.*s", room, why,
                       snapshot != NULL ? ", behind the snapshot " : "", snapshot != NULL ? snapshot->report.file : "",
                       snapshot != NULL ? ": one of them does not belong here" : "", note[0] != '\0' ? "; " : "",
                       room - 100, note);
    }
    return status;
}

void ib_snapshot_close(struct ib_snapshot *snapshot)
{
    if (snapshot != NULL) {
        IB_ASSERT(snapshot->matcher == NULL || ib_matcher_seq(snapshot->matcher) >= snapshot->report.seq);
        ib_matcher_close(snapshot->matcher);
        free(snapshot);
    }
}
