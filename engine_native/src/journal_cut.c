/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_cut.c: see journal_cut.h. Segments go from the newest on, each by unlink(2), so that whenever it is
 * interrupted a whole beginning is left; then the one that holds the place ends behind it.
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
};

static int fail(const struct cut *cut, int status, const char *what, const char *reason)
{
    IB_ASSERT(status != IB_OK && what != NULL);
    ib_journal_say(cut->error, cut->directory, "cannot cut off what is behind sequence %" PRIu64 ": %s: %s", cut->seq,
                   what, reason);
    return status;
}

/* Missing is as good as removed. */
static int take_away(const struct cut *cut, const char *name)
{
    IB_ASSERT(name != NULL);
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
    (void)snprintf(name, sizeof name, "%020" PRIu64 ".sha256", first_seq);
    return take_away(cut, name);
}

static int take_snapshots_away(const struct cut *cut)
{
    int fd = openat(cut->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    int status = IB_OK;
    IB_ASSERT(cut->directory_fd >= 0);
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

/* The segment that has the place, and more than that: it ends behind it from here on. */
static int shorten(const struct cut *cut, uint64_t first_seq)
{
    char name[IB_SEGMENT_NAME_SIZE];
    struct ib_record_header header;
    struct stat file;
    IB_ASSERT(first_seq <= cut->seq);
    ib_segment_name(name, first_seq);
    int fd = openat(cut->directory_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0 || pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header) {
        int reason = errno;
        if (fd >= 0) {
            close(fd);
        }
        return fail(cut, IB_ERROR_IO, name, strerror(reason));
    }
    /* Of format 1 the records are shorter; no shard was ever replicated in it. */
    uint64_t last = IB_RECORD_SEGMENT_SIZE + (cut->seq - first_seq) * IB_RECORD_COMMAND_SIZE;
    bool is_known = ib_record_header_is_sound(&header) && header.format >= 2 &&
                    pread(fd, &header, sizeof header, (off_t)last) == (ssize_t)sizeof header &&
                    ib_record_header_is_sound(&header) && header.seq == cut->seq;
    int status = is_known ? IB_OK
                          : fail(cut, IB_ERROR_JOURNAL_DAMAGED, name, "the record is not where it should be. Nothing "
                                 "was cut there: have the member rejoin with an empty journal_directory");
    off_t size = (off_t)(last + IB_RECORD_COMMAND_SIZE);
    if (status == IB_OK && file.st_size > size && (ftruncate(fd, size) != 0 || fsync(fd) != 0)) {
        status = fail(cut, IB_ERROR_IO, name, strerror(errno));
    }
    close(fd);
    return status;
}

static int cut_segments(const struct cut *cut)
{
    uint64_t *first_seqs = NULL;
    size_t count = 0;
    int status = ib_segment_list(cut->directory_fd, &first_seqs, &count);
    if (status != IB_OK) {
        return fail(cut, status, "the directory", strerror(errno));
    }
    while (status == IB_OK && count > 0) {
        uint64_t first_seq = first_seqs[--count];
        char name[IB_SEGMENT_NAME_SIZE];
        ib_segment_name(name, first_seq);
        status = take_seal_away(cut, first_seq);
        if (status == IB_OK && first_seq > cut->seq) {
            status = take_away(cut, name);
        } else if (status == IB_OK) {
            status = shorten(cut, first_seq);
            break;
        }
    }
    free(first_seqs);
    IB_ASSERT(status != IB_OK || cut->seq <= IB_SEQ_MAX);
    return status;
}

int ib_journal_cut(const char *directory, uint64_t seq, char *error)
{
    struct cut cut = {.directory = directory, .directory_fd = -1, .seq = seq, .error = error};
    IB_ASSERT(directory != NULL && error != NULL);
    cut.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cut.directory_fd < 0 || flock(cut.directory_fd, LOCK_EX | LOCK_NB) != 0) {
        int status = fail(&cut, IB_ERROR_IO, "the directory",
                          errno == EWOULDBLOCK ? "another engine is running on it" : strerror(errno));
        if (cut.directory_fd >= 0) {
            close(cut.directory_fd);
        }
        return status;
    }
    int status = take_snapshots_away(&cut);
    if (status == IB_OK) {
        status = cut_segments(&cut);
    }
    if (status == IB_OK && fsync(cut.directory_fd) != 0) {
        status = fail(&cut, IB_ERROR_IO, "the directory", strerror(errno));
    }
    close(cut.directory_fd);
    IB_ASSERT(status == IB_OK || error[0] != '\0');
    return status;
}
