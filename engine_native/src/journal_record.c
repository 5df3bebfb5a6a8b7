/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * journal_record.c: see journal_record.h.
 */
#define _GNU_SOURCE
#include "journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "crc32c.h"
#include "hash.h"
#include "layout.h"

#define SEGMENT_SUFFIX ".journal"
#define SEGMENT_DIGITS 20

IB_INLINE uint64_t chain_words(uint64_t chain, const void *data, size_t size)
{
    IB_ASSERT(data != NULL);
    IB_ASSERT(size % 16 == 0);
    for (size_t offset = 0; offset < size; offset += 16) {
        uint64_t words[2];
        memcpy(words, (const char *)data + offset, sizeof words);
        chain = ib_mix(chain + words[0], words[1]);
    }
    return chain;
}

uint64_t ib_record_chain(const struct ib_record_header *header, const void *payload)
{
    IB_ASSERT(payload != NULL);
    IB_ASSERT(header->length > 0);
    uint64_t chain = chain_words(IB_HASH_C, header, sizeof *header);
    if (IB_LIKELY(header->length == sizeof(struct ib_command))) { /* of a size that the compiler knows: no loop */
        return chain_words(chain, payload, sizeof(struct ib_command));
    }
    return chain_words(chain, payload, header->length);
}

void ib_record_seal(struct ib_record_header *header, const void *payload, uint32_t length)
{
    IB_ASSERT(header->magic == IB_JOURNAL_MAGIC);
    IB_ASSERT(length % 16 == 0);
    IB_ASSERT(payload != NULL && length > 0);
    header->length = length;
    header->payload_crc32c = ib_crc32c(0, payload, length);
    header->header_crc32c = ib_crc32c(0, header, offsetof(struct ib_record_header, header_crc32c));
}

int ib_record_header_is_sound(const struct ib_record_header *header)
{
    IB_ASSERT(header != NULL);
    return header->magic == IB_JOURNAL_MAGIC &&
           header->header_crc32c == ib_crc32c(0, header, offsetof(struct ib_record_header, header_crc32c));
}

uint64_t ib_record_write(unsigned char *to, struct ib_record_header header, const struct ib_command *command)
{
    static const uint32_t end = IB_RECORD_END;
    IB_ASSERT(command->seq >= 1 && command->seq <= IB_SEQ_MAX);
    IB_ASSERT(header.group_seq <= command->seq);
    unsigned char *payload = to + sizeof header;
    memcpy(payload, command, sizeof *command);
    memcpy(payload + IB_RECORD_END_OFFSET, &end, sizeof end);
    header.magic = IB_JOURNAL_MAGIC;
    header.format = IB_JOURNAL_FORMAT;
    header.type = IB_RECORD_COMMAND;
    header.seq = command->seq;
    header.time_ns = command->time_ns;
    ib_record_seal(&header, payload, sizeof *command);
    memcpy(to, &header, sizeof header);
    return ib_record_chain(&header, payload);
}

int ib_record_read(const struct ib_record_header *header, const unsigned char *payload, struct ib_command *command)
{
    uint32_t end = IB_RECORD_END;
    IB_ASSERT(header->type == IB_RECORD_COMMAND);
    IB_ASSERT(header->length <= sizeof *command);
    if (IB_LIKELY(header->length == sizeof *command)) {
        memcpy(command, payload, sizeof *command);
    } else {
        *command = (struct ib_command){0};
        memcpy(command, payload, header->length);
    }
    if (header->format >= IB_JOURNAL_FORMAT_MARKED) {
        memcpy(&end, (unsigned char *)command + IB_RECORD_END_OFFSET, sizeof end);
        memset((unsigned char *)command + IB_RECORD_END_OFFSET, 0, sizeof end);
    }
    return command->seq == header->seq && command->time_ns == header->time_ns && end == IB_RECORD_END;
}

bool ib_record_open(const unsigned char *bytes, uint64_t seq, struct ib_command *command)
{
    struct ib_record_header header;
    IB_ASSERT(bytes != NULL && command != NULL);
    IB_ASSERT(seq >= 1);
    memcpy(&header, bytes, sizeof header);
    const unsigned char *payload = bytes + sizeof header;
    return ib_record_header_is_sound(&header) && header.type == IB_RECORD_COMMAND && header.seq == seq &&
           header.length == sizeof *command && header.payload_crc32c == ib_crc32c(0, payload, header.length) &&
           ib_record_read(&header, payload, command);
}

void ib_segment_name(char name[IB_SEGMENT_NAME_SIZE], uint64_t first_seq)
{
    IB_ASSERT(first_seq >= 1);
    int length = snprintf(name, IB_SEGMENT_NAME_SIZE, "%020" PRIu64 SEGMENT_SUFFIX, first_seq);
    IB_ASSERT(length == SEGMENT_DIGITS + (int)strlen(SEGMENT_SUFFIX));
}

/* The number in a segment's name; 0, which no segment has, for any other name. */
static uint64_t first_seq_of(const char *name)
{
    IB_ASSERT(name != NULL);
    if (strspn(name, "0123456789") != SEGMENT_DIGITS || strcmp(name + SEGMENT_DIGITS, SEGMENT_SUFFIX) != 0) {
        return 0;
    }
    return strtoull(name, NULL, 10);
}

static int compare_seqs(const void *left, const void *right)
{
    IB_ASSERT(left != NULL);
    IB_ASSERT(right != NULL);
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int collect(DIR *stream, uint64_t **first_seqs, size_t *count)
{
    IB_ASSERT(stream != NULL);
    IB_ASSERT(*count == 0);
    size_t capacity = 0;
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        uint64_t first_seq = first_seq_of(entry->d_name);
        if (first_seq == 0) {
            continue;
        }
        if (*count == capacity) {
            capacity = 2 * capacity + 16;
            uint64_t *larger = realloc(*first_seqs, capacity * sizeof *larger);
            if (larger == NULL) {
                return IB_ERROR_MEMORY;
            }
            *first_seqs = larger;
        }
        (*first_seqs)[(*count)++] = first_seq;
        errno = 0;
    }
    return errno == 0 ? IB_OK : IB_ERROR_IO;
}

int ib_segment_list(int directory_fd, uint64_t **first_seqs, size_t *count)
{
    IB_ASSERT(first_seqs != NULL);
    IB_ASSERT(count != NULL);
    IB_ASSERT(directory_fd >= 0);
    *first_seqs = NULL;
    *count = 0;
    int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return IB_ERROR_IO;
    }
    int status = collect(stream, first_seqs, count);
    closedir(stream);
    if (status != IB_OK) {
        free(*first_seqs);
        *first_seqs = NULL;
        *count = 0;
    } else if (*count > 0) {
        qsort(*first_seqs, *count, sizeof **first_seqs, compare_seqs);
    }
    return status;
}

void ib_journal_say(char *error, const char *directory, const char *format, ...)
{
    IB_ASSERT(error != NULL && directory != NULL);
    int used = snprintf(error, IB_ERROR_TEXT_SIZE, "%.200s: ", directory);
    IB_ASSERT(used > 0 && used < IB_ERROR_TEXT_SIZE);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error + used, (size_t)(IB_ERROR_TEXT_SIZE - used), format, arguments);
    va_end(arguments);
}
