/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal.c: what is written is read; every cut and every changed byte ends in a prefix or a refusal that names
 * file, offset and sequence; never in other commands. Killed processes are in test_journal_crash.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "commands.h"
#include "journal_record.h"
#include "test.h"

enum { ORDERS = 64, COMMANDS = 14 };

static char directory[256];
static struct ib_journal_report report; /* of the last open or reading */
static int forged; /* the case has put a command there that was never appended */

static struct ib_journal_config config(void)
{
    return (struct ib_journal_config){
        .directory = directory, .shard = 3, .orders = ORDERS, .epoch = 1, .segment_bytes = 1408};
}

static void path_of(char path[600], uint64_t first_seq)
{
    char name[IB_SEGMENT_NAME_SIZE];
    ib_segment_name(name, first_seq);
    (void)snprintf(path, 600, "%s/%s", directory, name);
}

static struct ib_command command_at(uint64_t seq)
{
    struct ib_command command = enter((uint16_t)(seq % 3), (uint32_t)seq, IB_SIDE_BUY, seq, (int64_t)(1000 + seq));
    command.seq = seq;
    command.time_ns = 1000000 + seq / 2;
    return command;
}

static int append(struct ib_journal *journal, uint64_t first_seq, size_t count)
{
    struct ib_command commands[IB_JOURNAL_GROUP_MAX];
    for (size_t i = 0; i < count; i++) {
        commands[i] = command_at(first_seq + i);
    }
    return ib_journal_append(journal, commands, count);
}

/* Segments of 8 commands at most: 14 commands in groups of 2 are two segments, 1 … 8 and 9 … 14. */
static void write_journal(void)
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
static int read_journal(uint64_t *records)
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

static size_t load(uint64_t first_seq, unsigned char *bytes, size_t capacity)
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

static void store(uint64_t first_seq, const unsigned char *bytes, size_t size)
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

static int see(void *context, const struct ib_command *command)
{
    struct seen *seen = context;
    struct ib_command written = command_at(++seen->count);
    seen->sound = seen->sound && memcmp(command, &written, sizeof written) == 0;
    return IB_OK;
}

static void what_is_written_is_read(void)
{
    write_journal();
    EXPECT_SOUND();
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, COMMANDS);
    EXPECT_EQUAL(report.segments, 2);
    EXPECT_EQUAL(report.orders, ORDERS);
    EXPECT_EQUAL(report.torn_bytes, 0);
    EXPECT_EQUAL(report.bytes, 2 * IB_RECORD_SEGMENT_SIZE + COMMANDS * IB_RECORD_COMMAND_SIZE);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    struct seen seen = {.sound = 1};
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, see, &seen, &report), IB_OK);
    EXPECT(seen.sound && seen.count == COMMANDS);
    EXPECT_EQUAL(append(journal, COMMANDS + 1, 1), IB_OK); /* goes on where it stopped */
    ib_journal_close(journal);
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, COMMANDS + 1);
    test_remove_directory(directory);
}

static void the_last_segment_cut_anywhere(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    EXPECT_EQUAL(size, IB_RECORD_SEGMENT_SIZE + 6 * IB_RECORD_COMMAND_SIZE);
    for (size_t cut = 0; cut <= size; cut++) {
        store(9, bytes, cut);
        uint64_t records;
        int status = read_journal(&records);
        if (cut < IB_RECORD_SEGMENT_SIZE) { /* segments appear complete: this is no crash */
            EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
            EXPECT_EQUAL(records, 8);
            EXPECT_EQUAL(report.error_seq, 9);
            continue;
        }
        EXPECT_EQUAL(status, IB_OK);
        EXPECT_EQUAL(records, 8 + (cut - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE);
        EXPECT_EQUAL(report.torn_bytes, (cut - IB_RECORD_SEGMENT_SIZE) % IB_RECORD_COMMAND_SIZE);

        struct ib_journal_config settings = config(); /* a writer cuts the rest off and goes on */
        struct ib_journal *journal;
        struct seen seen = {.sound = 1};
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, see, &seen, &report), IB_OK);
        EXPECT(seen.sound && seen.count == records);
        EXPECT_EQUAL(append(journal, records + 1, 1), IB_OK);
        ib_journal_close(journal);
        uint64_t records_after;
        EXPECT_EQUAL(read_journal(&records_after), IB_OK);
        EXPECT_EQUAL(records_after, records + 1);
        EXPECT_EQUAL(report.torn_bytes, 0);
    }
    test_remove_directory(directory);
}

static void an_earlier_segment_cut_anywhere(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(1, bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        store(1, bytes, cut);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT_EQUAL(report.error_seq, records + 1);
        EXPECT(strstr(report.error, ".journal at offset ") != NULL);
    }
    test_remove_directory(directory);
}

/* Flips one byte of one segment in four ways; reading and opening must refuse, and change nothing. */
static void flip_each_byte(uint64_t first_seq)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x10};
    unsigned char bytes[4096];
    unsigned char after[4096];
    size_t size = load(first_seq, bytes, sizeof bytes);
    EXPECT(size > 0);
    for (size_t i = 0; i < size * sizeof masks; i++) {
        size_t at = i / sizeof masks;
        bytes[at] ^= masks[i % sizeof masks];
        store(first_seq, bytes, size);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(report.error_offset <= at && at < report.error_offset + IB_RECORD_COMMAND_SIZE);
        EXPECT_EQUAL(report.error_seq, records + 1);
        char name[IB_SEGMENT_NAME_SIZE];
        ib_segment_name(name, first_seq);
        EXPECT(strstr(report.error, name) != NULL);
        if (masks[i % sizeof masks] == 0xff) {
            struct ib_journal_config settings = config();
            struct ib_journal *journal;
            EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_DAMAGED);
            EXPECT_EQUAL(load(first_seq, after, sizeof after), size);
            EXPECT_EQUAL(memcmp(bytes, after, size), 0);
        }
        bytes[at] ^= masks[i % sizeof masks];
    }
    store(first_seq, bytes, size);
}

static void each_byte_flipped(void)
{
    write_journal();
    EXPECT_SOUND();
    flip_each_byte(1);
    EXPECT_SOUND();
    flip_each_byte(9);
    EXPECT_SOUND();
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    test_remove_directory(directory);
}

/* Pages that were never written read as zeros after a power loss. */
static void a_tail_of_zeros_is_torn(void)
{
    unsigned char bytes[8192] = {0};
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    store(9, bytes, size + 1000);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, COMMANDS);
    EXPECT_EQUAL(report.torn_bytes, 1000);
    bytes[size + 999] = 1; /* something else is there */
    store(9, bytes, size + 1000);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    test_remove_directory(directory);
}

static void records_in_another_order_do_not_fit(void)
{
    unsigned char bytes[4096];
    unsigned char swapped[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    enum { FIRST = IB_RECORD_SEGMENT_SIZE, SECOND = FIRST + IB_RECORD_COMMAND_SIZE };
    memcpy(swapped, bytes, size);
    memcpy(swapped + FIRST, bytes + SECOND, IB_RECORD_COMMAND_SIZE);
    memcpy(swapped + SECOND, bytes + FIRST, IB_RECORD_COMMAND_SIZE);
    store(9, swapped, size);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 8);
    memmove(bytes + FIRST, bytes + SECOND, size - SECOND); /* one is missing */
    store(9, bytes, size - IB_RECORD_COMMAND_SIZE);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 8);
    test_remove_directory(directory);
}

/* A record with right sums and sequence, but of another history: only the chain tells. */
static void a_record_of_another_history_does_not_fit(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    struct {
        struct ib_record_header header;
        struct ib_command command;
    } record;
    unsigned char *at = bytes + IB_RECORD_SEGMENT_SIZE;
    memcpy(&record, at, sizeof record);
    record.command.quantity++;
    ib_record_seal(&record.header, &record.command, sizeof record.command);
    memcpy(at, &record, sizeof record);
    store(9, bytes, size);
    uint64_t records;
    forged = 1;
    int status = read_journal(&records);
    forged = 0;
    EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 9); /* the forged one itself is sound; the one behind it gives it away */
    EXPECT(strstr(report.error, "chain") != NULL);
    test_remove_directory(directory);
}

static void missing_segments_are_noticed(void)
{
    char path[600];
    write_journal();
    EXPECT_SOUND();
    path_of(path, 1);
    EXPECT_EQUAL(unlink(path), 0);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT(strstr(report.error, "missing") != NULL);
    path_of(path, 9);
    EXPECT_EQUAL(unlink(path), 0);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_IO);
    EXPECT(strstr(report.error, "no journal here") != NULL);
    test_remove_directory(directory);
}

static void foreign_journals_are_refused(void)
{
    write_journal();
    EXPECT_SOUND();
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.shard = 4;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "shard 3") != NULL);
    settings = config();
    settings.orders = 65;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_CONFIGURATION);
    EXPECT(strstr(report.error, "limits.orders to 64") != NULL);
    settings = config();
    settings.epoch = 0;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_CONFIGURATION);
    unsigned char bytes[4096]; /* a later format, whose header this build can still recognise */
    size_t size = load(1, bytes, sizeof bytes);
    struct ib_record_header header;
    memcpy(&header, bytes, sizeof header);
    header.format = 2;
    ib_record_seal(&header, bytes + sizeof header, header.length);
    memcpy(bytes, &header, sizeof header);
    store(1, bytes, size);
    settings = config();
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "format 2") != NULL);
    EXPECT(journal == NULL);
    test_remove_directory(directory);
}

static void a_second_engine_is_refused(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal *first;
    struct ib_journal *second;
    EXPECT_EQUAL(ib_journal_open(&first, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(ib_journal_open(&second, &settings, NULL, NULL, &report), IB_ERROR_IO);
    EXPECT(strstr(report.error, "another engine") != NULL);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK); /* readers do not mind */
    ib_journal_close(first);
    EXPECT_EQUAL(ib_journal_open(&second, &settings, NULL, NULL, &report), IB_OK);
    ib_journal_close(second);
    test_remove_directory(directory);
}

static void groups_out_of_sequence_are_refused(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(append(journal, 2, 1), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(append(journal, 1, 1), IB_OK);
    EXPECT_EQUAL(append(journal, 1, 1), IB_ERROR_ARGUMENT);
    struct ib_command late = command_at(2);
    late.time_ns = 1;
    EXPECT_EQUAL(ib_journal_append(journal, &late, 1), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(ib_journal_append(journal, &late, 0), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(ib_journal_append(journal, &late, IB_JOURNAL_GROUP_MAX + 1), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(append(journal, 2, IB_JOURNAL_GROUP_MAX), IB_OK);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 1 + IB_JOURNAL_GROUP_MAX);
    test_remove_directory(directory);
}

/* A limit on the file's size stands in for a full disk: write(2) writes a part, then fails. */
static void a_full_disk_ends_writing_and_loses_nothing(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    settings.segment_bytes = 1 << 20;
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(append(journal, 1, 4), IB_OK);
    struct rlimit before;
    EXPECT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int status = append(journal, 5, 4);
    int again = append(journal, 5, 1);
    EXPECT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQUAL(status, IB_ERROR_IO);
    EXPECT_EQUAL(again, IB_ERROR_IO);
    EXPECT_EQUAL(append(journal, 5, 1), IB_ERROR_IO); /* for good, even when there is room again */
    EXPECT(strstr(ib_journal_error(journal), "cannot append") != NULL);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 4);
    EXPECT_EQUAL(report.torn_bytes, 0);
    test_remove_directory(directory);
}

static void fsync_policy_group_works(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    settings.fsync_policy = IB_FSYNC_GROUP;
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(append(journal, 1, 20), IB_OK);
    EXPECT_EQUAL(append(journal, 21, 20), IB_OK);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 40);
    EXPECT_EQUAL(report.segments, 2);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(what_is_written_is_read),
    CASE(the_last_segment_cut_anywhere),
    CASE(an_earlier_segment_cut_anywhere),
    CASE(each_byte_flipped),
    CASE(a_tail_of_zeros_is_torn),
    CASE(records_in_another_order_do_not_fit),
    CASE(a_record_of_another_history_does_not_fit),
    CASE(missing_segments_are_noticed),
    CASE(foreign_journals_are_refused),
    CASE(a_second_engine_is_refused),
    CASE(groups_out_of_sequence_are_refused),
    CASE(a_full_disk_ends_writing_and_loses_nothing),
    CASE(fsync_policy_group_works),
};

TEST_MAIN("test_journal", cases)
