/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_state.c: see replica_state.h.
 */
#define _GNU_SOURCE
#include "replica_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "crc32c.h"
#include "journal_segment.h"
#include "replica.h"

#define STATE_NAME "replica.state"
#define STATE_NEW "replica.state.new"
#define STATE_MAGIC 0x31534c50u /* "PLS1" in the file */

enum { STATE_FORMAT = 1 };

/* WARNING: written to disk as it lies in memory. */
struct file {
    uint32_t magic;
    uint32_t format;
    uint32_t shard;
    uint32_t member;
    uint64_t promised;
    uint64_t doubt_seq;
    uint64_t cut_seq;
    uint32_t is_cut;
    uint32_t reserved[4];
    uint32_t crc32c; /* of the 60 bytes before it */
};

_Static_assert(sizeof(struct file) == 64 && offsetof(struct file, crc32c) == 60, "layout");

/* Null, or what is wrong with it. */
static const char *fault_of(const struct file *file, uint32_t shard, uint32_t member, int *status)
{
    IB_ASSERT(file != NULL);
    IB_ASSERT(status != NULL);
    *status = IB_ERROR_JOURNAL_DAMAGED;
    if (file->magic != STATE_MAGIC || file->crc32c != ib_crc32c(0, file, offsetof(struct file, crc32c)) ||
        file->is_cut > 1) {
        return "is damaged. Have the member rejoin with an empty journal_directory";
    }
    *status = IB_ERROR_JOURNAL_FOREIGN;
    if (file->format != STATE_FORMAT) {
        return "is of another build: run the newer one";
    }
    if (file->shard != shard || file->member != member) {
        return "is another shard's or another member's: give this one a journal_directory of its own";
    }
    *status = IB_OK;
    return NULL;
}

int ib_replica_state_read(const char *directory, uint32_t shard, uint32_t member, struct ib_replica_state *state,
                          char *error)
{
    char path[512];
    struct file file;
    IB_ASSERT(directory != NULL && state != NULL && error != NULL);
    *state = (struct ib_replica_state){.doubt_seq = IB_DOUBT_NEW};
    int length = snprintf(path, sizeof path, "%s/" STATE_NAME, directory);
    errno = ENAMETOOLONG; /* or what was left there before would say whether the disk is a new one */
    int fd = length > 0 && (size_t)length < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 && errno == ENOENT) {
        return IB_OK;
    }
    ssize_t size = fd < 0 ? -1 : read(fd, &file, sizeof file);
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (size < 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "%.300s/" STATE_NAME " cannot be read: %s", directory, strerror(reason));
        return IB_ERROR_IO;
    }
    int status;
    IB_ASSERT((size_t)size <= sizeof file);
    memset((char *)&file + size, 0, sizeof file - (size_t)size);
    const char *fault = fault_of(&file, shard, member, &status);
    if (fault != NULL) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "%.300s/" STATE_NAME " %s", directory, fault);
        return status;
    }
    *state = (struct ib_replica_state){.promised = file.promised,
                                       .doubt_seq = file.doubt_seq,
                                       .is_cut = file.is_cut != 0,
                                       .cut_seq = file.cut_seq};
    return IB_OK;
}

int ib_replica_state_write(const char *directory, uint32_t shard, uint32_t member, const struct ib_replica_state *state)
{
    struct file file = {.magic = STATE_MAGIC,
                        .format = STATE_FORMAT,
                        .shard = shard,
                        .member = member,
                        .promised = state->promised,
                        .doubt_seq = state->doubt_seq,
                        .cut_seq = state->cut_seq,
                        .is_cut = state->is_cut};
    IB_ASSERT(directory != NULL);
    file.crc32c = ib_crc32c(0, &file, offsetof(struct file, crc32c));
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_fd < 0) {
        return IB_ERROR_IO;
    }
    int fd = openat(directory_fd, STATE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = fd >= 0 && ib_segment_write(fd, &file, sizeof file, 0, 0) == IB_OK && fsync(fd) == 0 &&
                renameat(directory_fd, STATE_NEW, directory_fd, STATE_NAME) == 0 && fsync(directory_fd) == 0;
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    close(directory_fd);
    errno = reason;
    return done ? IB_OK : IB_ERROR_IO;
}
