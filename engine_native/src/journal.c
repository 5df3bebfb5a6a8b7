/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal.c: the writer. It locks the directory, reads everything that is there through journal_reader.c, cuts off a
 * torn tail, and from then on only appends: one write(2) a group, into segments that appear complete by rename(2).
 *
 * Invariants: the file's end is the journal's end; `seq`, `time_ns` and `chain` are those of the last record in it.
 * After the first failure of the operating system nothing is written any more: what the file holds is unknown then,
 * and only the next open may look.
 */
#define _GNU_SOURCE
#include "journal.h"

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
#include "journal_reader.h"
#include "journal_record.h"

enum { READ_BATCH = 1024, SEGMENT_BYTES_MIN = 1024 };

struct ib_journal {
    char *directory;
    int directory_fd; /* holds the lock */
    int fd;           /* of the last segment, opened to append; -1 = none yet */
    int status;       /* IB_OK, or the failure that ended writing */
    int fsync_policy;
    uint32_t shard;
    uint32_t orders;
    uint64_t epoch;
    uint64_t segment_bytes; /* limit */
    uint64_t size;          /* of the last segment */
    uint64_t seq;
    uint64_t time_ns;
    uint64_t chain;
    char error[IB_ERROR_TEXT_SIZE];
    unsigned char group[IB_JOURNAL_GROUP_MAX * IB_RECORD_COMMAND_SIZE];
};

static int fail(struct ib_journal *journal, int status, const char *what, const char *reason)
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
    journal->status = fail(journal, IB_ERROR_IO, what, strerror(errno));
    return journal->status;
}

/* ---- writing ---- */

static int write_all(int fd, const void *data, size_t size)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(size > 0);
    const char *from = data;
    while (size > 0) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? EIO : errno;
            return IB_ERROR_IO;
        }
        from += written;
        size -= (size_t)written;
    }
    return IB_OK;
}

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
    if (write_all(fd, &record, sizeof record) != IB_OK || fdatasync(fd) != 0) {
        return IB_ERROR_IO;
    }
    journal->chain = ib_record_chain(&record.header, &record.payload);
    journal->size = sizeof record;
    return IB_OK;
}

/* Begins the segment whose first command will be the next one. It appears under its name complete, or not at all. */
static int begin_segment(struct ib_journal *journal)
{
    IB_ASSERT(journal->directory_fd >= 0);
    IB_ASSERT(journal->status == IB_OK);
    if (journal->fd >= 0) {
        if (fdatasync(journal->fd) != 0 || close(journal->fd) != 0) {
            journal->fd = -1;
            return fail_for_good(journal, "cannot finish a segment");
        }
        journal->fd = -1;
    }
    char name[IB_SEGMENT_NAME_SIZE];
    char new_name[IB_SEGMENT_NAME_SIZE + 4];
    ib_segment_name(name, journal->seq + 1);
    (void)snprintf(new_name, sizeof new_name, "%s.new", name);
    journal->fd = openat(journal->directory_fd, new_name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0 || write_segment_header(journal, journal->fd) != IB_OK ||
        renameat(journal->directory_fd, new_name, journal->directory_fd, name) != 0 ||
        fsync(journal->directory_fd) != 0) {
        return fail_for_good(journal, "cannot begin a segment");
    }
    return IB_OK;
}

/* Builds the records of a group in the buffer; returns the chain behind them. */
static uint64_t build_group(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    IB_ASSERT(count >= 1);
    IB_ASSERT(count <= IB_JOURNAL_GROUP_MAX);
    uint64_t chain = journal->chain;
    unsigned char *to = journal->group;
    for (size_t i = 0; i < count; i++) {
        struct ib_record_header header = {
            .magic = IB_JOURNAL_MAGIC,
            .format = IB_JOURNAL_FORMAT,
            .type = IB_RECORD_COMMAND,
            .shard = journal->shard,
            .epoch = journal->epoch,
            .seq = commands[i].seq,
            .time_ns = commands[i].time_ns,
            .chain = chain,
            .group_seq = commands[0].seq,
        };
        ib_record_seal(&header, &commands[i], sizeof commands[i]);
        chain = ib_record_chain(&header, &commands[i]);
        memcpy(to, &header, sizeof header);
        memcpy(to + sizeof header, &commands[i], sizeof commands[i]);
        to += IB_RECORD_COMMAND_SIZE;
    }
    return chain;
}

static int check_group(struct ib_journal *journal, const struct ib_command *commands, size_t count)
{
    IB_ASSERT(journal != NULL);
    IB_ASSERT(count >= 1);
    uint64_t seq = journal->seq;
    uint64_t time_ns = journal->time_ns;
    for (size_t i = 0; i < count; i++) {
        if (commands[i].seq != seq + 1 || commands[i].time_ns < time_ns) {
            return fail(journal, IB_ERROR_ARGUMENT, "append", "sequence or time do not follow the last record");
        }
        seq = commands[i].seq;
        time_ns = commands[i].time_ns;
    }
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
    size_t size = count * IB_RECORD_COMMAND_SIZE;
    if (status == IB_OK && journal->size > IB_RECORD_SEGMENT_SIZE && journal->size + size > journal->segment_bytes) {
        status = begin_segment(journal);
    }
    if (status != IB_OK) {
        return status;
    }
    uint64_t chain = build_group(journal, commands, count);
    if (write_all(journal->fd, journal->group, size) != IB_OK) {
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

/* ---- opening ---- */

static int lock_directory(struct ib_journal *journal)
{
    IB_ASSERT(journal->directory != NULL);
    IB_ASSERT(journal->directory_fd < 0);
    if (mkdir(journal->directory, 0700) != 0 && errno != EEXIST) {
        return fail(journal, IB_ERROR_IO, "cannot make the journal's directory", strerror(errno));
    }
    journal->directory_fd = open(journal->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (journal->directory_fd < 0) {
        return fail(journal, IB_ERROR_IO, "cannot open the journal's directory", strerror(errno));
    }
    if (flock(journal->directory_fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(journal, IB_ERROR_IO, "cannot lock the journal's directory",
                    errno == EWOULDBLOCK ? "another engine is running on it" : strerror(errno));
    }
    return IB_OK;
}

static int visit_all(struct ib_journal *journal, struct ib_journal_reader *reader, ib_journal_visit visit,
                     void *context)
{
    IB_ASSERT(journal->directory_fd >= 0);
    IB_ASSERT(reader != NULL);
    struct ib_command *commands = malloc(READ_BATCH * sizeof *commands);
    int status = commands == NULL ? IB_ERROR_MEMORY : IB_OK;
    size_t count = 1;
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, commands, READ_BATCH, &count);
        for (size_t i = 0; status == IB_OK && i < count && visit != NULL; i++) {
            status = visit(context, &commands[i]);
            if (status != IB_OK) {
                (void)fail(journal, status, "recovery was ended by the engine", ib_status_text(status));
            }
        }
    }
    free(commands);
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
        return fail(journal, IB_ERROR_CONFIGURATION, "limits.orders", text);
    }
    if (report->epoch > journal->epoch) {
        (void)snprintf(text, sizeof text, "the journal is at epoch %" PRIu64 ", the configuration says %" PRIu64,
                       report->epoch, journal->epoch);
        return fail(journal, IB_ERROR_CONFIGURATION, "epoch", text);
    }
    return IB_OK;
}

/* Opens the last segment for appending and cuts off what an unfinished write left. */
static int continue_last_segment(struct ib_journal *journal, const struct ib_journal_report *report)
{
    IB_ASSERT(journal->fd < 0);
    IB_ASSERT(report->segments >= 1);
    journal->fd = openat(journal->directory_fd, report->file, O_RDWR | O_APPEND | O_CLOEXEC);
    struct stat file;
    if (journal->fd < 0 || fstat(journal->fd, &file) != 0) {
        return fail(journal, IB_ERROR_IO, report->file, strerror(errno));
    }
    IB_ASSERT((uint64_t)file.st_size >= report->torn_bytes);
    journal->size = (uint64_t)file.st_size - report->torn_bytes;
    if (report->torn_bytes > 0 && (ftruncate(journal->fd, (off_t)journal->size) != 0 || fsync(journal->fd) != 0)) {
        return fail(journal, IB_ERROR_IO, "cannot cut off the torn tail", strerror(errno));
    }
    journal->seq = report->seq;
    journal->time_ns = report->time_ns;
    journal->chain = report->chain;
    return IB_OK;
}

/* A build with older rules would read on over a RULES command that names ours, and ignore it: so that it refuses, ours
 * stand in a segment that says so. One without a command, which would have the same name, is written anew. */
static int leave_segment_of_older_rules(struct ib_journal *journal, const struct ib_journal_report *report)
{
    IB_ASSERT(journal->fd >= 0 && journal->size >= IB_RECORD_SEGMENT_SIZE);
    IB_ASSERT(report->rules <= IB_RULES_NEWEST);
    if (report->rules == IB_RULES_NEWEST) {
        return IB_OK;
    }
    struct ib_record_header header;
    if (journal->size == IB_RECORD_SEGMENT_SIZE) {
        if (pread(journal->fd, &header, sizeof header, 0) != (ssize_t)sizeof header) {
            return fail(journal, IB_ERROR_IO, report->file, strerror(errno));
        }
        journal->chain = header.chain;
    }
    return begin_segment(journal);
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
        return fail(journal, status, "cannot list the journal's directory", strerror(errno));
    }
    if (segment_count == 0 && behind == NULL) {
        return begin_segment(journal);
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
    if (status == IB_OK) {
        status = leave_segment_of_older_rules(journal, found);
    }
    *report = *found;
    ib_journal_reader_close(reader);
    return status;
}

static int check_config(const struct ib_journal_config *config)
{
    int sound = config != NULL && config->directory != NULL && config->orders >= 1 &&
                config->orders <= IB_ORDERS_MAX && config->segment_bytes >= SEGMENT_BYTES_MIN &&
                (config->fsync_policy == IB_FSYNC_NONE || config->fsync_policy == IB_FSYNC_GROUP);
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
    opened->segment_bytes = config->segment_bytes;
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
    *journal = opened;
    return IB_OK;
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

void ib_journal_close(struct ib_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    if (journal->fd >= 0) {
        close(journal->fd);
    }
    if (journal->directory_fd >= 0) {
        close(journal->directory_fd); /* gives the lock back */
    }
    free(journal->directory);
    free(journal);
}
