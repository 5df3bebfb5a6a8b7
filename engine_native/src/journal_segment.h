/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_segment.h: the segment to come, made ahead of need, so that the journal's thread never waits for the disk to
 * find room, and so that a disk that is full is known while there is still a whole segment to write to.
 *
 * One thread appends and takes what is ready; one other may prepare. `room_seq` only grows: up to that sequence number
 * there is room on the disk, reserved, in the segment that is written and in the one to come.
 */
#ifndef IB_JOURNAL_SEGMENT_H
#define IB_JOURNAL_SEGMENT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IB_SEGMENT_NEXT "next.new"

struct ib_segment_next {
    int directory_fd;
    uint64_t bytes;    /* of a segment, its header included */
    bool write_zeros;  /* its blocks are written once before: a sync then has no metadata of the file to write */
    int fd;            /* with `ready`: of the file */
    _Atomic bool ready;
    _Atomic int error; /* errno of the last preparation, 0 = it succeeded */
    _Atomic uint64_t room_seq;
    pthread_mutex_t preparing;
    sem_t taken;       /* posted when the file was taken: another one is wanted */
};

void ib_segment_next_open(struct ib_segment_next *next, int directory_fd, uint64_t bytes, bool write_zeros);
void ib_segment_next_close(struct ib_segment_next *next);
/* Commands that a whole segment holds. */
uint64_t ib_segment_capacity(const struct ib_segment_next *next);

/* Makes the next segment unless it is there. Otherwise, with errno, nothing is left of the try: IB_ERROR_CAPACITY, the
 * disk (or the quota, or the limit on a file's size) has no room and may have some later; IB_ERROR_IO, it does not
 * work. */
int ib_segment_prepare(struct ib_segment_next *next);
/* Hands out the next segment's file, made here if it is not ready; status as ib_segment_prepare. It still has the name
 * IB_SEGMENT_NEXT: whoever takes it renames it, and says so by ib_segment_taken before another one can be made. */
int ib_segment_take(struct ib_segment_next *next, int *fd);
void ib_segment_taken(struct ib_segment_next *next);

/* Reserves [size, bytes) of a segment, and writes zeros there if asked to, and syncs them. Otherwise, with errno, the
 * file ends at `size`: IB_ERROR_CAPACITY or IB_ERROR_IO, as ib_segment_prepare. */
int ib_segment_reserve(int fd, uint64_t size, uint64_t bytes, bool with_zeros);
/* Writes all of it there, whatever is interrupted. IB_OK, or IB_ERROR_IO with errno. */
int ib_segment_write(int fd, const void *data, size_t size, uint64_t offset, int flags);

#endif
