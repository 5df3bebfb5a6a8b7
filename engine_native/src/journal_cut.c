/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_cut.c: see journal_cut.h. First the place is looked for: where it is not, nothing goes. Then segments go from
 * the newest on, each by unlink(2), so that whenever it is interrupted a whole beginning is left; then the one that
 * holds the place ends behind it.
 */
#define _GNU_SOURCE
#include "journal_cut.h"

#include <dirent.h>
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
#include "journal_record.h"
#include "snapshot_store.h"

struct cut {
    const char *directory;
    int directory_fd;
    uint64_t seq;
    char *error;
    uint64_t *first_seqs; /* of all segments */
    size_t count;
    size_t kept; /* of them; the last of these has the place */
    int fd;      /* of that one; -1: nothing is kept */
};

static int fail(const struct cut *cut, int status, const char *what, const char *reason)
{
    IB_ASSERT(status != IB_OK);
    IB_ASSERT(what != NULL && reason != NULL);
    ib_journal_say(cut->error, cut->directory, "cannot cut off what is behind sequence %" PRIu64 ": %s: %s", cut->seq,
                   what, reason);
    return status;
}

/* Missing is as good as removed. */
static int take_away(const struct cut *cut, const char *name)
{
    IB_ASSERT(name != NULL && strchr(name, '/') == NULL); /* nothing goes but what lies in the directory */
    IB_ASSERT(cut->directory_fd >= 0);
    if (unlinkat(cut->directory_fd, name, 0) != 0 && errno != ENOENT) {
        return fail(cut, IB_ERROR_IO, name, strerror(errno));
    }
    return IB_OK;
}

/* The seal of the segment that begins with `first_seq`: it speaks of bytes that are going. */
static int take_seal_away(const struct cut *cut, uint64_t first_seq)
{
    char name[IB_SEGMENT_NAME_SIZE];
    IB_ASSERT(first_seq >= 1);
    int length = snprintf(name, sizeof name, "%020" PRIu64 ".sha256", first_seq);
    IB_ASSERT(length > 0 && (size_t)length < sizeof name);
    return take_away(cut, name);
}

static int take_snapshots_away(const struct cut *cut)
{
    int status = IB_OK;
    IB_ASSERT(cut->directory_fd >= 0);
    int fd = openat(cut->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    if (listing == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return fail(cut, IB_ERROR_IO, "the directory", strerror(errno));
    }
    for (const struct dirent *entry; status == IB_OK && (entry = readdir(listing)) != NULL;) {
        if (ib_snapshot_seq_of(entry->d_name) > cut->seq) {
            status = take_away(cut, entry->d_name);
        }
    }
    (void)closedir(listing);
    return status;
}

/* Whether the record at the place is, whole, that of cut->seq. Of format 1 the records are shorter; no shard was ever
 * replicated in it. */
static bool is_at(int fd, off_t place, uint64_t seq)
{
    unsigned char record[IB_RECORD_COMMAND_SIZE];
    struct ib_record_header header;
    struct ib_command command;
    IB_ASSERT(fd >= 0 && seq >= 1);
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || !ib_record_header_is_sound(&header) ||
        header.type != IB_RECORD_SEGMENT || header.format < 2 ||
        pread(fd, record, sizeof record, place) != (ssize_t)sizeof record) {
        return false;
    }
    return ib_record_open(record, seq, &command);
}

static off_t place_of(const struct cut *cut)
{
    IB_ASSERT(cut->kept > 0 && cut->kept <= cut->count);
    IB_ASSERT(cut->first_seqs[cut->kept - 1] <= cut->seq);
    return (off_t)ib_record_offset(cut->first_seqs[cut->kept - 1], cut->seq);
}

/* What is kept, and that its end is there. */
static int find_place(struct cut *cut)
{
    char name[IB_SEGMENT_NAME_SIZE] = "the directory";
    IB_ASSERT(cut->directory_fd >= 0 && cut->fd < 0);
    int status = ib_segment_list(cut->directory_fd, &cut->first_seqs, &cut->count);
    if (status != IB_OK) {
        return fail(cut, status, name, strerror(errno));
    }
    while (cut->kept < cut->count && cut->first_seqs[cut->kept] <= cut->seq) {
        cut->kept++;
    }
    if (cut->seq == 0) {
        return IB_OK; /* all of it goes */
    }
    if (cut->kept > 0) {
        ib_segment_name(name, cut->first_seqs[cut->kept - 1]);
        cut->fd = openat(cut->directory_fd, name, O_RDWR | O_CLOEXEC);
        if (cut->fd < 0) {
            return fail(cut, IB_ERROR_IO, name, strerror(errno));
        }
    }
    if (cut->kept == 0 || !is_at(cut->fd, place_of(cut), cut->seq)) {
        return fail(cut, IB_ERROR_JOURNAL_DAMAGED, name, "the record is not where it should be. Nothing was cut: have "
                    "the member rejoin with an empty journal_directory");
    }
    return IB_OK;
}

/* The segment that has the place ends behind it. Synced even if it ends there already: who cut it may have died before
 * it was on the disk. */
static int shorten(const struct cut *cut)
{
    char name[IB_SEGMENT_NAME_SIZE];
    struct stat file;
    IB_ASSERT(cut->fd >= 0 && cut->kept > 0);
    off_t size = place_of(cut) + (off_t)IB_RECORD_COMMAND_SIZE;
    ib_segment_name(name, cut->first_seqs[cut->kept - 1]);
    if (fstat(cut->fd, &file) != 0 || (file.st_size > size && ftruncate(cut->fd, size) != 0) || fsync(cut->fd) != 0) {
        return fail(cut, IB_ERROR_IO, name, strerror(errno));
    }
    IB_ASSERT(file.st_size >= size); /* its last record was read a moment ago */
    return IB_OK;
}

static int cut_segments(const struct cut *cut)
{
    int status = IB_OK;
    IB_ASSERT((cut->fd >= 0) == (cut->kept > 0));
    for (size_t i = cut->count; status == IB_OK && i > cut->kept; i--) {
        char name[IB_SEGMENT_NAME_SIZE];
        IB_ASSERT(cut->first_seqs[i - 1] > cut->seq);
        ib_segment_name(name, cut->first_seqs[i - 1]);
        status = take_seal_away(cut, cut->first_seqs[i - 1]);
        status = status == IB_OK ? take_away(cut, name) : status;
    }
    if (status == IB_OK && cut->kept > 0) {
        status = take_seal_away(cut, cut->first_seqs[cut->kept - 1]);
        status = status == IB_OK ? shorten(cut) : status;
    }
    return status;
}

static void release(struct cut *cut)
{
    IB_ASSERT(cut != NULL);
    free(cut->first_seqs);
    if (cut->fd >= 0) {
        close(cut->fd);
    }
    if (cut->directory_fd >= 0) {
        close(cut->directory_fd); /* and gives up the lock */
    }
}

int ib_journal_cut(const char *directory, uint64_t seq, char *error)
{
    struct cut cut = {.directory = directory, .directory_fd = -1, .fd = -1, .seq = seq, .error = error};
    IB_ASSERT(directory != NULL && error != NULL);
    IB_ASSERT(seq <= IB_SEQ_MAX); /* of replica.state, whose checksum was right */
    int status = IB_OK;
    cut.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cut.directory_fd < 0 || flock(cut.directory_fd, LOCK_EX | LOCK_NB) != 0) {
        status = fail(&cut, IB_ERROR_IO, "the directory",
                      errno == EWOULDBLOCK ? "another engine is running on it" : strerror(errno));
    }
    status = status == IB_OK ? find_place(&cut) : status;
    status = status == IB_OK ? take_snapshots_away(&cut) : status;
    status = status == IB_OK ? cut_segments(&cut) : status;
    if (status == IB_OK && fsync(cut.directory_fd) != 0) {
        status = fail(&cut, IB_ERROR_IO, "the directory", strerror(errno));
    }
    release(&cut);
    IB_ASSERT(status == IB_OK || error[0] != '\0');
    return status;
}
