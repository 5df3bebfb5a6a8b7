/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * io_shim.c: stands between the journal and the operating system, so that a test can have a disk that is full, slow or
 * broken, a power cut, and a clock that somebody sets. Two ways in: a C test includes this file, and the linker takes
 * these functions for libc's; an engine's process gets it by LD_PRELOAD, and the environment says what happens:
 *
 *   SHIM_DELAY_US=N             each write of a group takes so long
 *   SHIM_FULL_FILE=PATH         while PATH exists the disk has no room to reserve
 *   SHIM_BROKEN_SYNC_FILE=PATH  while PATH exists each sync fails with EIO
 *   SHIM_SYNC_DELAY_US=N        each sync takes so long
 *   SHIM_SHORT_WRITES=1         each write of a group takes half of it at most
 *   SHIM_CLOCK_FILE=PATH        the eight bytes of PATH say by how many nanoseconds CLOCK_REALTIME is wrong
 */
#define _GNU_SOURCE
#include "io_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct io_shim io_shim;

enum { SECTOR = 512, UNDO_MAX = 4096, RECORD = 192 };

/* One write that is not synced: what was there before. Or a name that a directory may not have yet, and under `kept`
 * the file that has had it. */
struct undo {
    int fd; /* a copy of the descriptor; of the directory */
    ino_t inode;
    off_t offset;
    size_t size;
    int is_lost; /* a sync has failed for it: the system takes it for written, until it is written again */
    unsigned char *before;
    char from[64], to[64], kept[32];
};

static struct undo undos[UNDO_MAX];
static int undo_count;

static int counts(int *left)
{
    if (*left == 0) {
        return 0;
    }
    *left -= *left > 0;
    return 1;
}

static int exists(const char *variable)
{
    const char *path = getenv(variable);
    return path != NULL && access(path, F_OK) == 0;
}

/* Other files of an engine have a disk of their own. */
static int is_journal(int fd)
{
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return strstr(path, ".journal") != NULL || strstr(path, "/next.new") != NULL;
}

static void wait_us(const char *variable, long us)
{
    const char *given = getenv(variable);
    us = given != NULL ? atol(given) : us;
    if (us > 0) {
        usleep((useconds_t)us);
    }
}

static ino_t inode_of(int fd)
{
    struct stat file;
    if (fstat(fd, &file) != 0) {
        abort();
    }
    return file.st_ino;
}

static struct undo *remember(int fd)
{
    if (undo_count == UNDO_MAX) {
        fprintf(stderr, "io_shim: more is not synced than can be remembered\n");
        abort();
    }
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* of a directory: this one does not lock it */
    undos[undo_count] =
        (struct undo){.fd = copy >= 0 ? copy : (int)syscall(SYS_dup, fd), .inode = inode_of(fd)};
    return &undos[undo_count++];
}

static void forget(int fd)
{
    ino_t inode = inode_of(fd);
    int kept = 0;
    for (int i = 0; i < undo_count; i++) {
        if (undos[i].inode == inode && !undos[i].is_lost) {
            free(undos[i].before);
            if (undos[i].kept[0] != '\0') {
                syscall(SYS_unlinkat, undos[i].fd, undos[i].kept, 0);
            }
            syscall(SYS_close, undos[i].fd);
        } else {
            undos[kept++] = undos[i];
        }
    }
    undo_count = kept;
}

static void lose(int fd)
{
    ino_t inode = inode_of(fd);
    for (int i = 0; i < undo_count; i++) {
        undos[i].is_lost |= undos[i].inode == inode && undos[i].before != NULL; /* a name is the file system's own */
    }
}

static void find_again(const struct undo *written)
{
    for (int i = 0; i < undo_count; i++) {
        if (undos[i].inode == written->inode && undos[i].offset >= written->offset &&
            undos[i].offset + (off_t)undos[i].size <= written->offset + (off_t)written->size) {
            undos[i].is_lost = 0;
        }
    }
}

static int survives(void)
{
    io_shim.seed = io_shim.seed * 6364136223846793005u + 1442695040888963407u;
    return (int)(io_shim.seed >> 62 & 1);
}

void io_shim_cut_power(void)
{
    while (undo_count > 0) {
        struct undo *undo = &undos[--undo_count];
        if (undo->before == NULL) {
            int has_old = undo->kept[0] != '\0';
            if (!survives()) {
                syscall(SYS_renameat, undo->fd, undo->to, undo->fd, undo->from);
                if (has_old) {
                    syscall(SYS_renameat, undo->fd, undo->kept, undo->fd, undo->to);
                }
            } else if (has_old) {
                syscall(SYS_unlinkat, undo->fd, undo->kept, 0);
            }
            continue;
        }
        for (size_t done = 0; done < undo->size;) {
            off_t at = undo->offset + (off_t)done;
            size_t part = SECTOR - (size_t)(at % SECTOR);
            part = part < undo->size - done ? part : undo->size - done;
            if (!survives()) {
                syscall(SYS_pwrite64, undo->fd, undo->before + done, part, at);
            }
            done += part;
        }
    }
}

static void maybe_crash(void)
{
    if (io_shim.crash_after > 0 && --io_shim.crash_after == 0) {
        io_shim_cut_power();
        _exit(9);
    }
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t offset)
{
    io_shim.writes++;
    if (io_shim.write_error_at > 0 && --io_shim.write_error_at == 0) {
        errno = EIO;
        return -1;
    }
    if (size >= RECORD && size % RECORD == 0) {
        wait_us("SHIM_DELAY_US", 0);
    }
    if (size > 1 && (counts(&io_shim.short_writes) || getenv("SHIM_SHORT_WRITES") != NULL)) {
        size /= 2;
    }
    if (io_shim.keeps_history) {
        struct undo *undo = remember(fd);
        undo->before = calloc(1, size);
        undo->offset = offset;
        undo->size = size;
        (void)!syscall(SYS_pread64, fd, undo->before, size, offset);
        find_again(undo);
    }
    ssize_t written = syscall(SYS_pwrite64, fd, data, size, offset);
    maybe_crash();
    return written;
}

static int sync_with(long number, int fd)
{
    io_shim.syncs++;
    wait_us("SHIM_SYNC_DELAY_US", io_shim.sync_delay_us);
    int is_the_one = io_shim.sync_error_at > 0 && --io_shim.sync_error_at == 0;
    if (is_the_one || counts(&io_shim.sync_errors) || exists("SHIM_BROKEN_SYNC_FILE")) {
        io_shim.failed_syncs++;
        if (io_shim.keeps_history) {
            lose(fd);
        }
        errno = EIO;
        return -1;
    }
    int status = (int)syscall(number, fd);
    if (status == 0 && io_shim.keeps_history) {
        forget(fd);
    }
    maybe_crash();
    return status;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return write_at(fd, data, size, offset);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (count != 1) {
        abort(); /* the journal never does */
    }
    ssize_t written = write_at(fd, parts->iov_base, parts->iov_len, offset);
    if (written > 0 && (flags & RWF_DSYNC) != 0 && sync_with(SYS_fdatasync, fd) != 0) {
        return -1;
    }
    return written;
}

int fdatasync(int fd)
{
    return sync_with(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_with(SYS_fsync, fd);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    if (is_journal(fd) && (counts(&io_shim.no_room) || exists("SHIM_FULL_FILE"))) {
        return ENOSPC;
    }
    return syscall(SYS_fallocate, fd, 0, offset, size) == 0 ? 0 : errno;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (io_shim.keeps_history) {
        struct undo *undo = remember(to_fd);
        (void)snprintf(undo->from, sizeof undo->from, "%s", from);
        (void)snprintf(undo->to, sizeof undo->to, "%s", to);
        (void)snprintf(undo->kept, sizeof undo->kept, ".kept-%d", undo_count);
        if (syscall(SYS_linkat, to_fd, to, to_fd, undo->kept, 0) != 0) {
            undo->kept[0] = '\0'; /* nothing had the name */
        }
    }
    int status = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
    maybe_crash();
    return status;
}

/* Mapped, so that whoever writes the file sets the clock. */
static int64_t clock_error_ns(void)
{
    static const volatile int64_t *error_ns;
    const char *path = error_ns == NULL ? getenv("SHIM_CLOCK_FILE") : NULL;
    if (path != NULL) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        void *mapped = mmap(NULL, sizeof *error_ns, PROT_READ, MAP_SHARED, fd, 0);
        if (mapped == MAP_FAILED) {
            abort();
        }
        syscall(SYS_close, fd);
        error_ns = mapped;
    }
    return error_ns == NULL ? 0 : *error_ns;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int status = (int)syscall(SYS_clock_gettime, clock, time);
    if (status == 0 && clock == CLOCK_REALTIME) {
        int64_t ns = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + clock_error_ns();
        time->tv_sec = (time_t)(ns / 1000000000);
        time->tv_nsec = (long)(ns % 1000000000);
    }
    return status;
}
