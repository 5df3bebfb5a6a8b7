/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal.c: what is written is read, what does not belong is refused, what cannot be written ends writing. Damage
 * is in test_journal_damage.c, killed processes are in test_journal_crash.c.
 */
#include <signal.h>
#include <sys/resource.h>

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
    settings.epoch = 0;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_CONFIGURATION);
    unsigned char bytes[4096]; /* a later format, whose header this build can still recognise */
    size_t size = load(1, bytes, sizeof bytes);
    struct ib_record_header header;
    memcpy(&header, bytes, sizeof header);
    header.format = 3;
    ib_record_seal(&header, bytes + sizeof header, header.length);
    memcpy(bytes, &header, sizeof header);
    store(1, bytes, size);
    settings = config();
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(report.error, "format 3") != NULL);
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
    CASE(foreign_journals_are_refused),
    CASE(behind_a_segment_of_older_rules_begins_another),
    CASE(a_larger_book_than_this_build_has_is_refused),
    CASE(a_second_engine_is_refused),
    CASE(groups_out_of_sequence_are_refused),
    CASE(a_full_disk_ends_writing_and_loses_nothing),
    CASE(fsync_policy_group_works),
};

TEST_MAIN("test_journal", cases)
