/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_tail.c: see journal_tail.h.
 */
#define _GNU_SOURCE
#include "journal_tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "journal_record.h"

enum { BUFFER_SIZE = 1 << 18 };

static int is_zero(const unsigned char *data, size_t size)
{
    IB_ASSERT(data != NULL);
    IB_ASSERT(size <= BUFFER_SIZE);
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

/* Reads until the buffer is full or the file ends; < 0 with errno. */
static ssize_t read_all(int fd, unsigned char *buffer, size_t size, uint64_t offset)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(size <= BUFFER_SIZE);
    size_t have = 0;
    while (have < size) {
        ssize_t got = pread(fd, buffer + have, size - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static void look_at(const unsigned char *data, size_t size, struct ib_tail *tail)
{
    IB_ASSERT(size <= BUFFER_SIZE);
    IB_ASSERT(tail->written <= tail->bytes + sizeof(struct ib_record_header));
    if (is_zero(data, size)) {
        return;
    }
    size_t last = size - 1;
    while (data[last] == 0) {
        last--;
    }
    tail->written = tail->bytes + last + 1;
    for (size_t i = tail->bytes == 0; i + sizeof(struct ib_record_header) <= size; i++) {
        struct ib_record_header header;
        memcpy(&header, data + i, sizeof header);
        if (ib_record_header_is_sound(&header)) {
            tail->sound_record = 1;
            tail->group_seq = header.group_seq > tail->group_seq ? header.group_seq : tail->group_seq;
        }
    }
}

int ib_tail_look(int fd, uint64_t offset, struct ib_tail *tail)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(tail != NULL);
    *tail = (struct ib_tail){0};
    unsigned char *buffer = malloc(BUFFER_SIZE);
    if (buffer == NULL) {
        return IB_ERROR_MEMORY;
    }
    ssize_t size;
    while ((size = read_all(fd, buffer, BUFFER_SIZE, offset + tail->bytes)) == BUFFER_SIZE) {
        look_at(buffer, BUFFER_SIZE, tail);
        /* A header may lie across the edge: its first 63 bytes are looked at again. */
        tail->bytes += BUFFER_SIZE - (sizeof(struct ib_record_header) - 1);
    }
    if (size > 0) {
        look_at(buffer, (size_t)size, tail);
        tail->bytes += (uint64_t)size;
    }
    free(buffer);
    return size < 0 ? IB_ERROR_IO : IB_OK;
}

int ib_tail_is(int fd, uint64_t offset, const unsigned char *bytes, size_t size)
{
    unsigned char now[IB_RECORD_COMMAND_SIZE];
    IB_ASSERT(fd >= 0);
    IB_ASSERT(size <= sizeof now);
    ssize_t got = read_all(fd, now, sizeof now, offset);
    return got >= 0 && (size_t)got >= size && (size == sizeof now || (size_t)got == size) &&
           memcmp(now, bytes, size) == 0;
}
