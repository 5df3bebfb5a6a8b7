/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * uring.h: as much of io_uring as one thread needs that writes a group, syncs it and waits for both: by the bare system
 * calls, so that a benchmark needs no library. A kernel without it, or one that forbids it, is a status.
 */
#ifndef IB_BENCH_URING_H
#define IB_BENCH_URING_H

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct uring {
    int fd;
    struct io_uring_params params;
    struct io_uring_sqe *entries;
    unsigned char *submissions, *completions;
};

static inline _Atomic unsigned *uring_word(unsigned char *ring, unsigned offset)
{
    return (_Atomic unsigned *)(void *)(ring + offset);
}

static inline int uring_open(struct uring *ring)
{
    memset(ring, 0, sizeof *ring);
    ring->fd = (int)syscall(SYS_io_uring_setup, 8, &ring->params);
    if (ring->fd < 0) {
        return -1;
    }
    const struct io_uring_params *params = &ring->params;
    size_t submissions = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t completions = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    int protection = PROT_READ | PROT_WRITE;
    ring->submissions = mmap(NULL, submissions, protection, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    ring->completions = mmap(NULL, completions, protection, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_CQ_RING);
    size_t entries = params->sq_entries * sizeof *ring->entries;
    ring->entries = mmap(NULL, entries, protection, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
    return ring->submissions == MAP_FAILED || ring->completions == MAP_FAILED || ring->entries == MAP_FAILED ? -1 : 0;
}

static inline void uring_put(struct uring *ring, unsigned at, struct io_uring_sqe entry)
{
    unsigned tail = atomic_load(uring_word(ring->submissions, ring->params.sq_off.tail));
    unsigned slot = (tail + at) & (ring->params.sq_entries - 1);
    ring->entries[slot] = entry;
    atomic_store(uring_word(ring->submissions, ring->params.sq_off.array) + slot, slot);
}

/* Submits `count` entries and waits for all; 0, or -1 when one of them failed or wrote less than `size`. */
static inline int uring_run(struct uring *ring, unsigned count, size_t size)
{
    atomic_fetch_add(uring_word(ring->submissions, ring->params.sq_off.tail), count);
    if (syscall(SYS_io_uring_enter, ring->fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0) != (long)count) {
        return -1;
    }
    _Atomic unsigned *head = uring_word(ring->completions, ring->params.cq_off.head);
    const struct io_uring_cqe *results =
        (const struct io_uring_cqe *)(const void *)(ring->completions + ring->params.cq_off.cqes);
    int status = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct io_uring_cqe *result = &results[(atomic_load(head) + i) & (ring->params.cq_entries - 1)];
        status |= result->res < 0 || (result->user_data == 1 && (size_t)result->res != size) ? -1 : 0;
    }
    atomic_fetch_add(head, count);
    return status;
}

/* The write, and then, linked to it, the sync. */
static inline int uring_write_and_sync(struct uring *ring, int fd, const void *data, size_t size, uint64_t offset)
{
    uring_put(ring, 0, (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .flags = IOSQE_IO_LINK, .fd = fd, .off = offset,
                                            .addr = (uint64_t)(uintptr_t)data, .len = (unsigned)size, .user_data = 1});
    uring_put(ring, 1, (struct io_uring_sqe){.opcode = IORING_OP_FSYNC, .fd = fd, .fsync_flags = IORING_FSYNC_DATASYNC,
                                            .user_data = 2});
    return uring_run(ring, 2, size);
}

/* One write that is on the disk when it is done. */
static inline int uring_write_dsync(struct uring *ring, int fd, const void *data, size_t size, uint64_t offset)
{
    const unsigned dsync = 2; /* RWF_DSYNC, which its header has signed */
    uring_put(ring, 0, (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .fd = fd, .off = offset, .fsync_flags = dsync,
                                            .addr = (uint64_t)(uintptr_t)data, .len = (unsigned)size, .user_data = 1});
    return uring_run(ring, 1, size);
}

#endif
