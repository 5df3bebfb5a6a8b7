/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal.c: what is written is read, what does not belong is refused, what cannot be written ends writing. Damage
 * is in test_journal_damage.c, killed processes are in test_journal_crash.c.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "journal_segment.h"
#include "small_journal.h"

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
    settings.epoch = 1;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_CONFIGURATION);
    unsigned char bytes[4096]; /* a later format, whose header this build can still recognise */
    size_t size = load(1, bytes, sizeof bytes);
    struct ib_record_header header;
    memcpy(&header, bytes, sizeof header);
    header.format = IB_JOURNAL_FORMAT + 1;
    ib_record_seal(&header, bytes + sizeof header, header.length);
    memcpy(bytes, &header, sizeof header);
    store(1, bytes, size);
    settings = config();
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "format 4") != NULL);
    EXPECT(journal == NULL);
    test_remove_directory(directory);
}

/* The first segment as another build would have written it: with its rules and capacity, and the chain that follows. */
static void write_as(uint32_t rules, uint32_t orders)
{
    unsigned char bytes[4096];
    size_t size = load(1, bytes, sizeof bytes);
    struct ib_record_header header;
    uint64_t chain = 0;
    struct ib_segment_payload payload = {.rules = rules, .orders = orders};
    memcpy(bytes + sizeof header, &payload, sizeof payload);
    for (size_t at = 0; at < size; at += sizeof header + header.length) {
        memcpy(&header, bytes + at, sizeof header);
        header.chain = chain;
        ib_record_seal(&header, bytes + at + sizeof header, header.length);
        chain = ib_record_chain(&header, bytes + at + sizeof header);
        memcpy(bytes + at, &header, sizeof header);
    }
    store(1, bytes, size);
}

/* A build of older rules would read on over a RULES command that it does not know: it must meet a segment of rules that
 * it does not know instead. */
static void behind_a_segment_of_older_rules_begins_another(void)
{
    for (uint64_t before = 0; before <= 3; before += 3) { /* commands in the older segment */
        test_make_directory(directory);
        struct ib_journal_config settings = config();
        struct ib_journal *journal;
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        EXPECT_EQUAL(before == 0 ? IB_OK : append(journal, 1, before), IB_OK);
        ib_journal_close(journal);
        write_as(IB_RULES_2, ORDERS);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(report.rules, IB_RULES_2);
        EXPECT_EQUAL(records, before);
        for (int again = 0; again < 2; again++) { /* the second time it has ours already */
            EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
            ib_journal_close(journal);
            EXPECT_EQUAL(read_journal(&records), IB_OK);
            EXPECT_EQUAL(report.rules, IB_RULES_NEWEST);
            EXPECT_EQUAL(report.segments, before == 0 ? 1 : 2);
            EXPECT_EQUAL(records, before);
            EXPECT_SOUND();
        }
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        EXPECT_EQUAL(append(journal, before + 1, 2), IB_OK);
        ib_journal_close(journal);
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, before + 2);
        test_remove_directory(directory);
    }
}

/* Builds of before had room for one order more. That is no damage, and what to do stands in the line. */
static void a_larger_book_than_this_build_has_is_refused(void)
{
    write_journal();
    EXPECT_SOUND();
    uint64_t records;
    write_as(IB_RULES_2, IB_ORDERS_MAX + 1);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "more than 16777214 orders, this build's most: run the build that") != NULL);
    EXPECT(strchr(report.error, '\n') == NULL);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.orders = IB_ORDERS_MAX;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "begin a new journal_directory") != NULL);
    write_as(IB_RULES_2, 0);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
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

static void works_with(int fsync_policy)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    settings.fsync_policy = fsync_policy;
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(append(journal, 1, 20), IB_OK);
    EXPECT_EQUAL(append(journal, 21, 20), IB_OK);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 40);
    EXPECT_EQUAL(report.segments, 5); /* a group that does not fit into what is left is written in parts */
    test_remove_directory(directory);
}

static void each_sync_mode_works(void)
{
    works_with(IB_FSYNC_NONE);
    EXPECT_SOUND();
    works_with(IB_FSYNC_GROUP);
    EXPECT_SOUND();
    works_with(IB_FSYNC_WRITE);
    EXPECT_SOUND();
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.fsync_policy = IB_FSYNC_WRITE + 1;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_ARGUMENT);
}

static uint64_t size_of(const char *name)
{
    char path[600];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return stat(path, &file) == 0 ? (uint64_t)file.st_size : 0;
}

/* While it is written a segment is as long as it may become, and the next one stands ready; closed, it has what is in
 * it. */
static void segments_are_reserved_ahead_of_need(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(ib_journal_segment_capacity(journal), 8);
    EXPECT_EQUAL(ib_journal_room_seq(journal), 8);
    EXPECT_EQUAL(ib_journal_prepare(journal), IB_OK);
    EXPECT_EQUAL(ib_journal_prepare(journal), IB_OK); /* one is enough */
    EXPECT_EQUAL(ib_journal_room_seq(journal), 16);
    EXPECT_EQUAL(append(journal, 1, 3), IB_OK);
    EXPECT_EQUAL(size_of("00000000000000000001.journal"), settings.segment_bytes);
    EXPECT_EQUAL(size_of(IB_SEGMENT_NEXT), settings.segment_bytes);
    uint64_t records; /* a reader of the live journal sees zeros behind the last record, and no damage */
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 3);
    EXPECT_EQUAL(report.torn_bytes, 0);
    EXPECT_EQUAL(report.spare_bytes, settings.segment_bytes - 128 - 3 * IB_RECORD_COMMAND_SIZE);
    EXPECT_EQUAL(append(journal, 4, 10), IB_OK);
    EXPECT_EQUAL(size_of("00000000000000000001.journal"), 128 + 8 * IB_RECORD_COMMAND_SIZE);
    EXPECT_EQUAL(size_of("00000000000000000009.journal"), settings.segment_bytes);
    EXPECT_EQUAL(size_of(IB_SEGMENT_NEXT), 0); /* it is the one that is written now */
    EXPECT_EQUAL(ib_journal_room_seq(journal), 16);
    EXPECT_EQUAL(ib_journal_prepare(journal), IB_OK);
    ib_journal_close(journal);
    EXPECT_EQUAL(size_of("00000000000000000009.journal"), 128 + 5 * IB_RECORD_COMMAND_SIZE);
    EXPECT_EQUAL(size_of(IB_SEGMENT_NEXT), 0);
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 13);
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(ib_journal_room_seq(journal), 16);
    EXPECT_EQUAL(size_of("00000000000000000009.journal"), settings.segment_bytes);
    ib_journal_close(journal);
    test_remove_directory(directory);
}

/* A reader beside an engine may hold zeros, or half of a record, where records are by the time that it gets there. */
static void a_live_journal_is_read_on(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    settings.segment_bytes = 1 << 20;
    struct ib_journal *journal;
    struct ib_journal_reader *reader;
    struct ib_command command;
    size_t count;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(append(journal, 1, 3), IB_OK);
    EXPECT_EQUAL(ib_journal_reader_open(&reader, directory, 3), IB_OK);
    EXPECT_EQUAL(ib_journal_reader_next(reader, &command, 1, &count), IB_OK); /* and a quarter of a megabyte with it */
    EXPECT_EQUAL(append(journal, 4, 3000), IB_OK);
    for (uint64_t seq = 2; seq <= 3003; seq++) {
        EXPECT_EQUAL(ib_journal_reader_next(reader, &command, 1, &count), IB_OK);
        EXPECT_EQUAL(count, 1);
        EXPECT_EQUAL(command.seq, seq);
    }
    EXPECT_EQUAL(ib_journal_reader_next(reader, &command, 1, &count), IB_OK);
    EXPECT_EQUAL(count, 0);
    ib_journal_reader_close(reader);
    ib_journal_close(journal);
    test_remove_directory(directory);
}

/* Without room for one more segment what fits is written, the rest is not, and both can go on once there is room. */
static void a_full_disk_is_known_before_anything_is_written(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    settings.segment_bytes = 4096;
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    uint64_t room = ib_journal_room_seq(journal);
    EXPECT_EQUAL(room, (4096 - 128) / IB_RECORD_COMMAND_SIZE);
    struct rlimit before;
    EXPECT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit limit = {.rlim_cur = 4095, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int prepared = ib_journal_prepare(journal);
    int reason = ib_journal_room_error(journal);
    int written = append(journal, 1, room);
    int refused = append(journal, room + 1, 1);
    int again = append(journal, room + 1, 1);
    EXPECT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQUAL(prepared, IB_ERROR_CAPACITY);
    EXPECT_EQUAL(reason, EFBIG);
    EXPECT_EQUAL(written, IB_OK);
    EXPECT_EQUAL(refused, IB_ERROR_CAPACITY);
    EXPECT_EQUAL(again, IB_ERROR_CAPACITY);
    EXPECT_EQUAL(ib_journal_seq(journal), room);
    EXPECT_EQUAL(ib_journal_room_seq(journal), room);
    EXPECT_EQUAL(append(journal, room + 1, 1), IB_OK); /* there is room again */
    EXPECT_EQUAL(ib_journal_room_error(journal), 0);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, room + 1);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(what_is_written_is_read),
    CASE(foreign_journals_are_refused),
    CASE(behind_a_segment_of_older_rules_begins_another),
    CASE(a_larger_book_than_this_build_has_is_refused),
    CASE(a_second_engine_is_refused),
    CASE(groups_out_of_sequence_are_refused),
    CASE(a_full_disk_ends_writing_and_loses_nothing),
    CASE(each_sync_mode_works),
    CASE(segments_are_reserved_ahead_of_need),
    CASE(a_live_journal_is_read_on),
    CASE(a_full_disk_is_known_before_anything_is_written),
};

TEST_MAIN("test_journal", cases)
