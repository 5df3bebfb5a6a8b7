/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * small_journal.h: a journal of fourteen commands in two segments, and how to read, load and store it. For the tests
 * of the journal.
 */
#ifndef IB_TEST_SMALL_JOURNAL_H
#define IB_TEST_SMALL_JOURNAL_H

#include "commands.h"
#include "journal_record.h"
#include "test.h"

enum { ORDERS = 64, COMMANDS = 14 };

static char directory[256];
static struct ib_journal_report report; /* of the last open or reading */
static int forged; /* the case has put a command there that was never appended */

static inline struct ib_journal_config config(void)
{
    return (struct ib_journal_config){
        .directory = directory, .shard = 3, .orders = ORDERS, .epoch = 2, .segment_bytes = 1664};
}

static inline void path_of(char path[600], uint64_t first_seq)
{
    char name[IB_SEGMENT_NAME_SIZE];
    ib_segment_name(name, first_seq);
    (void)snprintf(path, 600, "%s/%s", directory, name);
}

static inline struct ib_command command_at(uint64_t seq)
{
    struct ib_command command = enter((uint16_t)(seq % 3), (uint32_t)seq, IB_SIDE_BUY, seq, (int64_t)(1000 + seq));
    command.seq = seq;
    command.time_ns = 1000000 + seq / 2;
    return command;
}

static inline int append(struct ib_journal *journal, uint64_t first_seq, size_t count)
{
    struct ib_command commands[IB_JOURNAL_GROUP_MAX];
    for (size_t i = 0; i < count; i++) {
        commands[i] = command_at(first_seq + i);
    }
    return ib_journal_append(journal, commands, count);
}

/* Segments of 8 commands at most: 14 commands in groups of 2 are two segments, 1 … 8 and 9 … 14. */
static inline void write_journal(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    for (uint64_t seq = 1; seq <= COMMANDS; seq += 2) {
        EXPECT_EQUAL(append(journal, seq, 2), IB_OK);
    }
    EXPECT_EQUAL(ib_journal_seq(journal), COMMANDS);
    ib_journal_close(journal);
}

/* Reads all; every command that comes out must be the one that was written. */
static inline int read_journal(uint64_t *records)
{
    struct ib_journal_reader *reader;
    struct ib_command command;
    size_t count = 1;
    *records = 0;
    int status = ib_journal_reader_open(&reader, directory, 3);
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, &command, 1, &count);
        if (status == IB_OK && count > 0) {
            struct ib_command written = command_at(*records + 1);
            if (!forged && memcmp(&command, &written, sizeof command) != 0) {
                fprintf(stderr, "another command than was written\n");
                abort();
            }
            (*records)++;
        }
    }
    report = *ib_journal_reader_report(reader);
    ib_journal_reader_close(reader);
    return status;
}

static inline size_t load(uint64_t first_seq, unsigned char *bytes, size_t capacity)
{
    char path[600];
    path_of(path, first_seq);
    FILE *file = fopen(path, "rb");
    size_t size = file != NULL ? fread(bytes, 1, capacity, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static inline void store(uint64_t first_seq, const unsigned char *bytes, size_t size)
{
    char path[600];
    path_of(path, first_seq);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

struct seen {
    uint64_t count;
    int sound;
};

static inline int see(void *context, const struct ib_command *commands, size_t count)
{
    struct seen *seen = context;
    for (size_t i = 0; i < count; i++) {
        struct ib_command written = command_at(++seen->count);
        seen->sound = seen->sound && memcmp(&commands[i], &written, sizeof written) == 0;
    }
    return IB_OK;
}

#endif
