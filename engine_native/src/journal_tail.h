/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_tail.h: what stands in a segment from a record on that does not fit: what tells a torn tail from damage.
 */
#ifndef IB_JOURNAL_TAIL_H
#define IB_JOURNAL_TAIL_H

#include <stddef.h>
#include <stdint.h>

struct ib_tail {
    uint64_t bytes;   /* to the end of the file, the record itself included */
    uint64_t written; /* up to the last byte that is not zero */
    int sound_record; /* one stands in it, behind the first byte */
    uint64_t group_seq; /* the highest of those records: where the last group begins that has one there */
};

/* Reads from `offset` to the end of the file. IB_OK, IB_ERROR_IO with errno, or IB_ERROR_MEMORY. */
int ib_tail_look(int fd, uint64_t offset, struct ib_tail *tail);
/* Whether the bytes at `offset` are (still) these; bytes that the file does not have are none. */
int ib_tail_is(int fd, uint64_t offset, const unsigned char *bytes, size_t size);

#endif
