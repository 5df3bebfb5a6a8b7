/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_journal.c: a journal that was damaged in any way is read as a prefix of what was written, or refused; and a
 * file of any content at all is read without harm.
 *
 * The input is a list of changes to a sound journal of two segments: five bytes each, {what, where (2), value,
 * count}. One kind of change seals the record again, so that what lies behind the checksums is reached too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"
#include "journal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMANDS = 12, FIRST_SEGMENT = 8, SEGMENT_MAX = 4096, CHANGE_SIZE = 5 };

static char directory[64];
static uint8_t sound[2][SEGMENT_MAX]; /* the segments as written */
static size_t sound_size[2];

static struct ib_command command_at(uint64_t seq)
{
    struct ib_command command = {.seq = seq, .time_ns = seq, .type = (uint16_t)(1 + seq % 5), .price = (int64_t)seq};
    memset(command.client_data, (int)('A' + seq), sizeof command.client_data);
    return command;
}

static void path_of(char path[128], int segment)
{
    char name[IB_SEGMENT_NAME_SIZE];
    ib_segment_name(name, segment == 0 ? 1 : FIRST_SEGMENT + 1);
    (void)snprintf(path, 128, "%s/%s", directory, name);
}

static void store(int segment, const uint8_t *bytes, size_t size)
{
    char path[128];
    path_of(path, segment);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) != 0) {
        abort();
    }
}

static void clean_up(void)
{
    char path[128];
    for (int segment = 0; segment < 2; segment++) {
        path_of(path, segment);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

static void prepare(void)
{
    (void)snprintf(directory, sizeof directory, "%s/ironbook-fuzz-%d",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
    struct ib_journal_config config = {.directory = directory, .orders = 8, .epoch = 1, .segment_bytes = 1664};
    struct ib_journal_report report;
    struct ib_journal *journal;
    if (ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK) {
        abort();
    }
    for (uint64_t seq = 1; seq <= COMMANDS; seq++) {
        struct ib_command command = command_at(seq);
        if (ib_journal_append(journal, &command, 1) != IB_OK) {
            abort();
        }
    }
    ib_journal_close(journal);
    for (int segment = 0; segment < 2; segment++) {
        char path[128];
        path_of(path, segment);
        int fd = open(path, O_RDONLY);
        ssize_t got = fd < 0 ? -1 : read(fd, sound[segment], SEGMENT_MAX);
        if (got <= 0) {
            abort();
        }
        sound_size[segment] = (size_t)got;
        close(fd);
    }
    (void)atexit(clean_up);
}

/* Makes the checksums of the record around `at` right again. */
static void seal_again(uint8_t *bytes, size_t size, size_t at)
{
    size_t begin = 0;
    size_t length = sizeof(struct ib_segment_payload);
    if (at >= IB_RECORD_SEGMENT_SIZE) {
        begin = at - (at - IB_RECORD_SEGMENT_SIZE) % IB_RECORD_COMMAND_SIZE;
        length = sizeof(struct ib_command);
    }
    struct ib_record_header header;
    if (begin + sizeof header + length > size) {
        return;
    }
    memcpy(&header, bytes + begin, sizeof header);
    struct ib_record_header claimed = header; /* what is false stays false, under a right sum */
    header.magic = IB_JOURNAL_MAGIC;
    ib_record_seal(&header, bytes + begin + sizeof header, (uint32_t)length);
    header.magic = claimed.magic;
    header.length = claimed.length;
    header.header_crc32c = ib_crc32c(0, &header, offsetof(struct ib_record_header, header_crc32c));
    memcpy(bytes + begin, &header, sizeof header);
}

/* Applies the changes; whether one of them forged a record. */
static int change(uint8_t bytes[2][SEGMENT_MAX], size_t sizes[2], const uint8_t *data, size_t size)
{
    int forged = 0;
    for (; size >= CHANGE_SIZE; data += CHANGE_SIZE, size -= CHANGE_SIZE) {
        int segment = data[0] >> 7;
        size_t at = (size_t)(data[1] | data[2] << 8) % SEGMENT_MAX;
        size_t count = 1 + data[4] % 32u;
        if (at >= sizes[segment] || sizes[segment] == 0) {
            continue;
        }
        count = at + count > sizes[segment] ? sizes[segment] - at : count;
        switch (data[0] % 8) {
        case 0: sizes[segment] = at; break;
        case 1: memset(bytes[segment] + at, data[3], count); break;
        case 2: memmove(bytes[segment] + at, bytes[segment] + at / 2, count); break;
        case 3:
            seal_again(bytes[segment], sizes[segment], at);
            forged = 1;
            break;
        case 4: /* more behind the end */
            if (sizes[segment] + count <= SEGMENT_MAX) {
                memset(bytes[segment] + sizes[segment], data[3] & 1 ? data[3] : 0, count);
                sizes[segment] += count;
            }
            break;
        default: bytes[segment][at] ^= data[3]; break;
        }
    }
    return forged;
}

static void read_and_judge(int forged)
{
    struct ib_journal_reader *reader;
    struct ib_command command;
    size_t count = 1;
    uint64_t records = 0;
    int status = ib_journal_reader_open(&reader, directory, forged ? IB_JOURNAL_SHARD_ANY : 0);
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, &command, 1, &count);
        if (status == IB_OK && count > 0) {
            struct ib_command written = command_at(++records);
            if (!forged && (records > COMMANDS || memcmp(&command, &written, sizeof written) != 0)) {
                abort(); /* another state */
            }
        }
    }
    const struct ib_journal_report *report = ib_journal_reader_report(reader);
    if ((status == IB_OK) != (report->error[0] == '\0') || report->records != records) {
        abort();
    }
    ib_journal_reader_close(reader);
    struct ib_replay *replay;
    struct ib_event events[64];
    status = ib_replay_open(&replay, directory, 0);
    count = 1;
    while (status == IB_OK && count > 0) {
        status = ib_replay_events(replay, events, 64, &count);
    }
    ib_replay_close(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[2][SEGMENT_MAX];
    size_t sizes[2];
    if (directory[0] == '\0') {
        prepare();
    }
    memcpy(bytes, sound, sizeof bytes);
    memcpy(sizes, sound_size, sizeof sizes);
    int forged = 0;
    if (size > 0 && data[0] == 0xff) { /* any content at all */
        sizes[1] = size < SEGMENT_MAX ? size : SEGMENT_MAX;
        memcpy(bytes[1], data, sizes[1]);
    } else if (size > 0) {
        forged = change(bytes, sizes, data + 1, size - 1);
    }
    store(0, bytes[0], sizes[0]);
    store(1, bytes[1], sizes[1]);
    read_and_judge(forged);
    return 0;
}
