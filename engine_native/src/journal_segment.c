/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_segment.c: see journal_segment.h.
 */
#define _GNU_SOURCE
#include "journal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "journal.h"

enum { ZEROS = 1 << 20 };

void ib_segment_next_open(struct ib_segment_next *next, int directory_fd, uint64_t bytes, bool write_zeros)
{
    IB_ASSERT(directory_fd >= 0);
    IB_ASSERT(bytes >= IB_RECORD_SEGMENT_SIZE + IB_RECORD_COMMAND_SIZE);
    next->directory_fd = directory_fd;
    next->bytes = bytes;
    next->write_zeros = write_zeros;
    next->fd = -1;
    atomic_store(&next->ready, false);
    atomic_store(&next->error, 0);
    int status = sem_init(&next->taken, 0, 0);
    IB_ASSERT(status == 0);
    pthread_mutex_init(&next->preparing, NULL);
}

void ib_segment_next_close(struct ib_segment_next *next)
{
    IB_ASSERT(next != NULL);
    if (next->bytes == 0) {
        return; /* was never opened */
    }
    IB_ASSERT(next->directory_fd >= 0);
    if (atomic_load(&next->ready)) {
        close(next->fd);
        (void)unlinkat(next->directory_fd, IB_SEGMENT_NEXT, 0);
    }
    pthread_mutex_destroy(&next->preparing);
    sem_destroy(&next->taken);
    next->bytes = 0;
}

uint64_t ib_segment_capacity(const struct ib_segment_next *next)
{
    IB_ASSERT(next->bytes > IB_RECORD_SEGMENT_SIZE);
    return (next->bytes - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE;
}

int ib_segment_write(int fd, const void *data, size_t size, uint64_t offset, int flags)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(size > 0);
    const char *from = data;
    while (size > 0) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
        ssize_t written = flags == 0 ? pwrite(fd, from, size, (off_t)offset)
                                     : pwritev2(fd, &part, 1, (off_t)offset, flags);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? EIO : errno;
            return IB_ERROR_IO;
        }
        from += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return IB_OK;
}

static int write_zeros(int fd, uint64_t offset, uint64_t bytes)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(offset <= bytes);
    void *zeros = calloc(1, ZEROS);
    int status = zeros == NULL ? IB_ERROR_IO : IB_OK;
    for (; status == IB_OK && offset < bytes; offset += ZEROS) {
        status = ib_segment_write(fd, zeros, bytes - offset < ZEROS ? bytes - offset : ZEROS, offset, 0);
    }
    free(zeros);
    return status == IB_OK && fdatasync(fd) == 0 ? IB_OK : IB_ERROR_IO;
}

int ib_segment_reserve(int fd, uint64_t size, uint64_t bytes, bool with_zeros)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(size <= bytes);
    int reason = size == bytes ? 0 : posix_fallocate(fd, (off_t)size, (off_t)(bytes - size));
    if (reason == 0 && with_zeros && write_zeros(fd, size, bytes) != IB_OK) {
        reason = errno;
    }
    if (reason == 0) {
        return IB_OK;
    }
    (void)!ftruncate(fd, (off_t)size);
    errno = reason;
    return reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? IB_ERROR_CAPACITY : IB_ERROR_IO;
}

static int prepare(struct ib_segment_next *next)
{
    IB_ASSERT(next->fd < 0);
    IB_ASSERT(!atomic_load(&next->ready));
    int fd = openat(next->directory_fd, IB_SEGMENT_NEXT, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int status = fd < 0 ? IB_ERROR_IO : ib_segment_reserve(fd, 0, next->bytes, next->write_zeros);
    if (status != IB_OK) {
        int reason = errno;
        if (fd >= 0) {
            close(fd);
            (void)unlinkat(next->directory_fd, IB_SEGMENT_NEXT, 0); /* gives back what it got of the room */
        }
        atomic_store(&next->error, reason);
        errno = reason;
        return status;
    }
    next->fd = fd;
    atomic_store(&next->error, 0);
    atomic_fetch_add(&next->room_seq, ib_segment_capacity(next));
    atomic_store_explicit(&next->ready, true, memory_order_release);
    return IB_OK;
}

int ib_segment_prepare(struct ib_segment_next *next)
{
    IB_ASSERT(next->directory_fd >= 0);
    IB_ASSERT(next->bytes > 0);
    int status = IB_OK;
    int reason = 0;
    if (!atomic_load_explicit(&next->ready, memory_order_acquire)) {
        pthread_mutex_lock(&next->preparing);
        if (!atomic_load(&next->ready)) {
            status = prepare(next);
            reason = errno;
        }
        pthread_mutex_unlock(&next->preparing);
        errno = reason;
    }
    return status;
}

int ib_segment_take(struct ib_segment_next *next, int *fd)
{
    IB_ASSERT(next->bytes > 0);
    IB_ASSERT(fd != NULL);
    int status = ib_segment_prepare(next);
    *fd = status == IB_OK ? next->fd : -1;
    return status;
}

void ib_segment_taken(struct ib_segment_next *next)
{
    IB_ASSERT(atomic_load(&next->ready));
    IB_ASSERT(next->fd >= 0);
    next->fd = -1;
    atomic_store_explicit(&next->ready, false, memory_order_release);
    (void)sem_post(&next->taken);
}
