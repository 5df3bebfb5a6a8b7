/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal_faults.c: the disk fails, lies short, is slow, or the power is cut, at every call that the journal
 * makes: what was acknowledged under `fsync: group` or `write` is there afterwards, and a sync that failed is never
 * tried again.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "io_shim.c"
#include "small_journal.h"

enum { ROUNDS = 400 };

static const int policies[] = {IB_FSYNC_GROUP, IB_FSYNC_WRITE};

static struct ib_journal *open_new(int fsync_policy)
{
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.fsync_policy = fsync_policy;
    test_make_directory(directory);
    io_shim = (struct io_shim){0};
    if (ib_journal_open(&journal, &settings, NULL, NULL, &report) != IB_OK) {
        fprintf(stderr, "%s\n", report.error);
        exit(2);
    }
    return journal;
}

static void a_failed_sync_is_final(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct ib_journal *journal = open_new(policies[i]);
        EXPECT_EQUAL(append(journal, 1, 2), IB_OK);
        io_shim.sync_errors = 1; /* one alone: tried again it would succeed, and what it was to write would be lost */
        EXPECT_EQUAL(append(journal, 3, 2), IB_ERROR_IO);
        EXPECT_EQUAL(io_shim.failed_syncs, 1);
        EXPECT(strstr(ib_journal_error(journal), "Input/output error") != NULL);
        EXPECT_EQUAL(ib_journal_seq(journal), 2);
        unsigned writes = io_shim.writes;
        unsigned syncs = io_shim.syncs;
        EXPECT_EQUAL(append(journal, 3, 2), IB_ERROR_IO);
        EXPECT_EQUAL(append(journal, 5, 1), IB_ERROR_IO);
        EXPECT_EQUAL(io_shim.writes, writes);
        ib_journal_close(journal);
        EXPECT_EQUAL(io_shim.writes, writes);
        EXPECT_EQUAL(io_shim.syncs, syncs);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT(records >= 2);
        test_remove_directory(directory);
    }
}

/* At the change of segments: the old one's end, the new one's header, its name, and then the group. */
static void a_failed_sync_between_segments_is_final(void)
{
    enum { SYNCS = 4 };
    for (int call = 1; call <= SYNCS + 1; call++) {
        struct ib_journal *journal = open_new(IB_FSYNC_GROUP);
        EXPECT_EQUAL(ib_journal_prepare(journal), IB_OK);
        EXPECT_EQUAL(append(journal, 1, 8), IB_OK);
        io_shim.syncs = 0;
        io_shim.sync_error_at = call;
        EXPECT_EQUAL(append(journal, 9, 1), call <= SYNCS ? IB_ERROR_IO : IB_OK);
        EXPECT_EQUAL(io_shim.syncs, call <= SYNCS ? call : SYNCS); /* nothing is tried again */
        io_shim.sync_error_at = 0;
        EXPECT_EQUAL(append(journal, call <= SYNCS ? 9 : 10, 1), call <= SYNCS ? IB_ERROR_IO : IB_OK);
        EXPECT_EQUAL(io_shim.failed_syncs, call <= SYNCS);
        ib_journal_close(journal);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT(records >= (call <= SYNCS ? 8 : 10));
        test_remove_directory(directory);
    }
}

/* The process before was killed in front of its sync; or that failed, and a sync of another process is told of nothing.
 * The disk may be full besides. What an open says that it has outlasts the next power cut. */
static void what_an_open_has_read_is_on_the_disk(void)
{
    enum { SEEDS = 8, WAYS = 4 };
    for (unsigned round = 0; round < SEEDS * WAYS; round++) {
        int has_failed = round % 2 == 1;
        struct ib_journal_config settings = config();
        struct ib_journal *journal = open_new(has_failed ? IB_FSYNC_GROUP : IB_FSYNC_NONE);
        EXPECT_EQUAL(append(journal, 1, 2), IB_OK);
        io_shim.keeps_history = 1;
        io_shim.sync_errors = has_failed;
        EXPECT_EQUAL(append(journal, 3, 3), has_failed ? IB_ERROR_IO : IB_OK);
        ib_journal_close(journal);
        settings.fsync_policy = policies[round / 2 % 2];
        io_shim.no_room = round / WAYS % 2 == 0 ? -1 : 0;
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        uint64_t seq = ib_journal_seq(journal), records;
        EXPECT_EQUAL(seq, 5);
        ib_journal_close(journal);
        io_shim.seed = round * 0x9e3779b97f4a7c15u + 1;
        io_shim_cut_power();
        io_shim = (struct io_shim){0};
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, seq);
        test_remove_directory(directory);
    }
}

/* … the name of its last segment, too, whose directory was not synced any more. */
static void a_name_that_an_open_has_read_is_on_the_disk(void)
{
    enum { SEEDS = 8, DIRECTORY = 3 /* behind the end of the full segment, and the header of the next one */ };
    for (unsigned round = 0; round < SEEDS; round++) {
        struct ib_journal_config settings = config();
        struct ib_journal *journal = open_new(IB_FSYNC_GROUP);
        EXPECT_EQUAL(ib_journal_prepare(journal), IB_OK);
        EXPECT_EQUAL(append(journal, 1, 8), IB_OK);
        io_shim.keeps_history = 1;
        io_shim.sync_error_at = DIRECTORY;
        EXPECT_EQUAL(append(journal, 9, 1), IB_ERROR_IO);
        ib_journal_close(journal);
        settings.fsync_policy = policies[round % 2];
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        EXPECT_EQUAL(append(journal, 9, 2), IB_OK);
        ib_journal_close(journal);
        io_shim.seed = round * 0x9e3779b97f4a7c15u + 1;
        io_shim_cut_power();
        io_shim = (struct io_shim){0};
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, 10);
        test_remove_directory(directory);
    }
}

/* Nor is it believed where the sync of that fails: of the last group, of its name, or of the zeros behind it. */
static void an_open_whose_sync_fails_is_refused(void)
{
    for (int call = 1; call <= 3; call++) {
        struct ib_journal_config settings = config();
        struct ib_journal *journal = open_new(IB_FSYNC_NONE);
        EXPECT_EQUAL(append(journal, 1, 3), IB_OK);
        ib_journal_close(journal);
        settings.fsync_policy = IB_FSYNC_WRITE;
        io_shim.sync_error_at = call;
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_IO);
        EXPECT_EQUAL(io_shim.failed_syncs, 1);
        EXPECT(strstr(report.error, "Input/output error") != NULL);
        test_remove_directory(directory);
    }
}

static void short_writes_are_gone_on_with(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct ib_journal *journal = open_new(policies[i]);
        io_shim.short_writes = -1;
        EXPECT_EQUAL(append(journal, 1, 20), IB_OK);
        EXPECT(io_shim.writes > 20);
        ib_journal_close(journal);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, 20);
        test_remove_directory(directory);
    }
}

static void a_failed_write_leaves_what_was_there(void)
{
    struct ib_journal *journal = open_new(IB_FSYNC_GROUP);
    EXPECT_EQUAL(append(journal, 1, 3), IB_OK);
    io_shim.short_writes = 1; /* half of it arrives, then no more */
    io_shim.write_error_at = 2;
    EXPECT_EQUAL(append(journal, 4, 2), IB_ERROR_IO);
    EXPECT_EQUAL(append(journal, 4, 2), IB_ERROR_IO);
    EXPECT_EQUAL(io_shim.writes, 3 + 2); /* zeros, the segment's header, a group; then the half and the failure */
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, 3);
    test_remove_directory(directory);
}

static void a_slow_sync_is_waited_for(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct ib_journal *journal = open_new(policies[i]);
        struct timespec begin, end;
        io_shim.sync_delay_us = 20000;
        (void)clock_gettime(CLOCK_MONOTONIC, &begin);
        EXPECT_EQUAL(append(journal, 1, 1), IB_OK);
        (void)clock_gettime(CLOCK_MONOTONIC, &end);
        EXPECT((end.tv_sec - begin.tv_sec) * 1000000000 + (end.tv_nsec - begin.tv_nsec) >= 20000000);
        io_shim.sync_delay_us = 0;
        ib_journal_close(journal);
        test_remove_directory(directory);
    }
}

/* The victim: appends groups until the power is cut; `*acknowledged` lies in memory that its parent sees. */
static void append_until_the_end(uint64_t *acknowledged, int fsync_policy, uint64_t seed)
{
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.fsync_policy = fsync_policy;
    io_shim = (struct io_shim){.keeps_history = 1, .seed = seed, .crash_after = 1 + (int)(seed % 60)};
    if (ib_journal_open(&journal, &settings, NULL, NULL, &report) != IB_OK) {
        fprintf(stderr, "%s\n", report.error);
        _exit(3);
    }
    for (;;) {
        uint64_t seq = ib_journal_seq(journal);
        if (seq % 3 == 0 && ib_journal_prepare(journal) != IB_OK) {
            _exit(4);
        }
        if (append(journal, seq + 1, 1 + (size_t)((seq * 2654435761u + seed) % 11)) != IB_OK) {
            _exit(5);
        }
        *acknowledged = ib_journal_seq(journal);
    }
}

/* A power cut at any call. What was acknowledged is there, or the journal says that it is damaged further on: pages
 * of the last group may be missing in its middle, and a standby has to say what was in them. */
static void a_power_cut_loses_nothing_acknowledged(void)
{
    unsigned whole = 0, torn = 0, refused = 0;
    uint64_t *acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(acknowledged != MAP_FAILED);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        test_make_directory(directory);
        *acknowledged = 0;
        pid_t child = fork();
        if (child == 0) {
            append_until_the_end(acknowledged, policies[round % 2], round * 0x9e3779b97f4a7c15u + 1);
        }
        int how;
        EXPECT_EQUAL(waitpid(child, &how, 0), child);
        EXPECT(WIFEXITED(how) && WEXITSTATUS(how) == 9);
        io_shim = (struct io_shim){0};
        uint64_t records;
        int status = read_journal(&records);
        int is_empty = status == IB_ERROR_IO && strstr(report.error, "no journal here") != NULL;
        EXPECT(status == IB_OK || status == IB_ERROR_JOURNAL_DAMAGED || is_empty);
        if (records < *acknowledged) {
            fprintf(stderr, "round %" PRIu64 ": %" PRIu64 " acknowledged, %" PRIu64 " found (%s)\n", round,
                    *acknowledged, records, report.error);
        }
        EXPECT(records >= *acknowledged);
        EXPECT(status != IB_ERROR_JOURNAL_DAMAGED || report.error_offset > 0); /* a segment appears complete */
        EXPECT(status != IB_ERROR_JOURNAL_DAMAGED || report.error_in_last_group); /* and older groups are whole */
        whole += status == IB_OK && report.torn_bytes == 0;
        torn += status == IB_OK && report.torn_bytes > 0;
        refused += status == IB_ERROR_JOURNAL_DAMAGED;
        test_remove_directory(directory);
    }
    printf("test_journal_faults: %d power cuts: %u journals whole, %u with a torn tail, %u refused\n", ROUNDS, whole,
           torn, refused);
    EXPECT(whole > 0 && torn > 0 && refused > 0);
    munmap(acknowledged, 4096);
}

static const struct test_case cases[] = {
    CASE(a_failed_sync_is_final),
    CASE(a_failed_sync_between_segments_is_final),
    CASE(what_an_open_has_read_is_on_the_disk),
    CASE(a_name_that_an_open_has_read_is_on_the_disk),
    CASE(an_open_whose_sync_fails_is_refused),
    CASE(short_writes_are_gone_on_with),
    CASE(a_failed_write_leaves_what_was_there),
    CASE(a_slow_sync_is_waited_for),
    CASE(a_power_cut_loses_nothing_acknowledged),
};

TEST_MAIN("test_journal_faults", cases)
