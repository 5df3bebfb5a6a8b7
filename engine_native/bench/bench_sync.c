/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_sync.c: how a group of records gets to the disk fastest. Ways to lay out the file and to write it, each over
 * several sizes of group, in turns, so that whatever else the machine does meets all of them. One JSON object on a line
 * for each: microseconds until the group is on the disk, at the 50th, 90th and 99th of a hundred.
 *
 *   bench_sync [DIRECTORY [GROUPS]]      default: TMPDIR or the present directory, and 400 groups of each size
 *
 * The disk has to be one that the figures shall speak of: a tmpfs has none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

#include "uring.h"

enum { RECORD = 192, SEGMENT = 64 << 20, BLOCK = 4096, GROUPS_MAX = 100000 };

enum layout { GROWS, RESERVED, ZEROED };
enum call { FDATASYNC, WRITE_DSYNC, OPEN_DSYNC, DIRECT_DSYNC, URING_LINKED, URING_DSYNC, URING_DIRECT };

struct way {
    const char *name;
    enum layout layout;
    enum call call;
    int fd; /* -1: this machine cannot */
    off_t end;
    double *times;
};

static struct way ways[] = {
    {.name = "appended, fdatasync", .layout = GROWS, .call = FDATASYNC},
    {.name = "reserved, fdatasync", .layout = RESERVED, .call = FDATASYNC},
    {.name = "reserved, RWF_DSYNC", .layout = RESERVED, .call = WRITE_DSYNC},
    {.name = "zeroed, fdatasync", .layout = ZEROED, .call = FDATASYNC},
    {.name = "zeroed, RWF_DSYNC", .layout = ZEROED, .call = WRITE_DSYNC},
    {.name = "zeroed, O_DSYNC", .layout = ZEROED, .call = OPEN_DSYNC},
    {.name = "zeroed, O_DIRECT and RWF_DSYNC", .layout = ZEROED, .call = DIRECT_DSYNC},
    {.name = "zeroed, io_uring: write, then fdatasync", .layout = ZEROED, .call = URING_LINKED},
    {.name = "zeroed, io_uring: RWF_DSYNC", .layout = ZEROED, .call = URING_DSYNC},
    {.name = "zeroed, io_uring: O_DIRECT and RWF_DSYNC", .layout = ZEROED, .call = URING_DIRECT},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static struct uring ring;
static unsigned char *data; /* aligned to a block */

static void fail(const char *what)
{
    fprintf(stderr, "bench_sync: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

/* The file as its layout has it, and synced. It has no name: whatever happens, nothing stays. */
static void lay_out(struct way *way, const char *directory, int has_uring)
{
    int flags = O_RDWR | O_TMPFILE | O_CLOEXEC;
    int is_uring = way->call == URING_LINKED || way->call == URING_DSYNC || way->call == URING_DIRECT;
    way->end = 0;
    way->fd = is_uring && !has_uring ? -1 : open(directory, flags, 0600);
    if (way->fd < 0) {
        return;
    }
    if (way->layout != GROWS && (errno = posix_fallocate(way->fd, 0, SEGMENT)) != 0) {
        fail("posix_fallocate");
    }
    static const unsigned char zeros[1 << 20];
    for (off_t at = 0; way->layout == ZEROED && at < SEGMENT; at += (off_t)sizeof zeros) {
        if (pwrite(way->fd, zeros, sizeof zeros, at) != (ssize_t)sizeof zeros) {
            fail("pwrite");
        }
    }
    if (fsync(way->fd) != 0) {
        fail("fsync");
    }
    if (way->call == OPEN_DSYNC || way->call == DIRECT_DSYNC || way->call == URING_DIRECT) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", way->fd);
        int again = open(path, O_RDWR | O_CLOEXEC | (way->call == OPEN_DSYNC ? O_DSYNC : O_DIRECT));
        close(way->fd);
        way->fd = again; /* < 0: the file system has no O_DIRECT */
    }
}

/* Whole blocks around the group, which is all that O_DIRECT writes: the last one is written again by the next group. */
static int write_group(struct way *way, size_t size)
{
    struct iovec part = {.iov_base = data, .iov_len = size};
    off_t at = way->end;
    if (way->call == DIRECT_DSYNC || way->call == URING_DIRECT) {
        off_t behind = (at + (off_t)size + BLOCK - 1) / BLOCK * BLOCK;
        at = at / BLOCK * BLOCK;
        part.iov_len = (size_t)(behind - at);
    }
    way->end += (off_t)size;
    switch (way->call) {
    case FDATASYNC:
        return pwrite(way->fd, data, size, at) == (ssize_t)size ? fdatasync(way->fd) : -1;
    case OPEN_DSYNC:
        return pwrite(way->fd, data, size, at) == (ssize_t)size ? 0 : -1;
    case WRITE_DSYNC:
    case DIRECT_DSYNC:
        return pwritev2(way->fd, &part, 1, at, RWF_DSYNC) == (ssize_t)part.iov_len ? 0 : -1;
    case URING_LINKED:
        return uring_write_and_sync(&ring, way->fd, data, size, (uint64_t)at);
    default:
        return uring_write_dsync(&ring, way->fd, data, part.iov_len, (uint64_t)at);
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void measure(const char *directory, size_t records, size_t groups, int has_uring)
{
    for (size_t i = 0; i < WAYS; i++) {
        lay_out(&ways[i], directory, has_uring);
    }
    for (size_t group = 0; group < groups; group++) {
        for (size_t k = 0; k < WAYS; k++) {
            struct way *way = &ways[(k + group) % WAYS];
            if (way->fd < 0) {
                continue;
            }
            double begin = now_us();
            if (write_group(way, records * RECORD) != 0) {
                fail(way->name);
            }
            way->times[group] = now_us() - begin;
        }
    }
    for (size_t i = 0; i < WAYS; i++) {
        struct way *way = &ways[i];
        printf("{\"bench\": \"sync\", \"way\": \"%s\", \"group\": %zu, ", way->name, records);
        if (way->fd < 0) {
            printf("\"us\": null}\n");
            continue;
        }
        qsort(way->times, groups, sizeof *way->times, compare);
        printf("\"us_p50\": %.1f, \"us_p90\": %.1f, \"us_p99\": %.1f, ", way->times[groups / 2],
               way->times[groups * 9 / 10], way->times[groups * 99 / 100]);
        printf("\"records_per_s\": %.0f}\n", 1e6 * (double)records / way->times[groups / 2]);
        close(way->fd);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {1, 8, 64, 512};
    const char *directory = argc > 1 ? argv[1] : getenv("TMPDIR") != NULL ? getenv("TMPDIR") : ".";
    long given = argc > 2 ? strtol(argv[2], NULL, 10) : 400;
    if (argc > 3 || given < 10 || given > GROUPS_MAX) {
        fprintf(stderr, "usage: bench_sync [DIRECTORY [GROUPS]], 10 to %d groups\n", GROUPS_MAX);
        return 2;
    }
    int has_uring = uring_open(&ring) == 0;
    data = aligned_alloc(BLOCK, 1 << 20);
    if (data == NULL) {
        fail("memory");
    }
    memset(data, 0xa5, 1 << 20);
    for (size_t i = 0; i < WAYS; i++) {
        ways[i].times = calloc((size_t)given, sizeof(double));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t most = SEGMENT / (sizes[i] * RECORD) - 1;
        measure(directory, sizes[i], (size_t)given < most ? (size_t)given : most, has_uring);
    }
    return 0;
}
