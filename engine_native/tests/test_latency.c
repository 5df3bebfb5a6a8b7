/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_latency.c: where a time is counted, what becomes of a command's times, and what another process sees of them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "latency.h"
#include "test.h"

static char directory[256];
static char path[300];
static char error[IB_ERROR_TEXT_SIZE];

static struct ib_latency *open_tracker(uint32_t every, uint64_t base_seq)
{
    struct ib_latency *latency = NULL;
    test_make_directory(directory);
    (void)snprintf(path, sizeof path, "%s/latency", directory);
    int status = ib_latency_open(&latency, directory, every, base_seq, 3, 1, error);
    if (status != IB_OK) {
        fprintf(stderr, "open: %s\n", error);
        exit(2);
    }
    return latency;
}

static void close_tracker(struct ib_latency *latency)
{
    ib_latency_close(latency);
    if (access(path, F_OK) == 0) {
        fprintf(stderr, "the file was not removed\n");
        exit(2);
    }
    test_remove_directory(directory);
}

static uint64_t counted(const struct ib_latency_histogram *histogram)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < IB_LATENCY_BUCKETS; i++) {
        sum += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    }
    return sum;
}

static uint64_t at(const struct ib_latency_histogram *histogram, uint64_t ns)
{
    return atomic_load_explicit(&histogram->buckets[ib_latency_bucket(ns)], memory_order_relaxed);
}

/* Each bucket ends where the next begins, and none is wider than 1/64 of its lowest value. */
static void buckets_are_seamless_and_narrow(void)
{
    uint64_t lowest = 0;
    for (uint32_t bucket = 0; bucket < IB_LATENCY_BUCKETS; bucket++) {
        uint64_t highest = ib_latency_bucket_ceiling(bucket);
        EXPECT_EQUAL(ib_latency_bucket(lowest), bucket);
        EXPECT_EQUAL(ib_latency_bucket(highest), bucket);
        EXPECT((highest - lowest + 1 - (bucket < 128)) * 64 <= lowest);
        lowest = highest + 1;
    }
    EXPECT(lowest == 1ull << 40);
    EXPECT_EQUAL(ib_latency_bucket(lowest), IB_LATENCY_BUCKETS - 1);
    EXPECT_EQUAL(ib_latency_bucket(UINT64_MAX), IB_LATENCY_BUCKETS - 1);
}

/* One command with a time of its own at each stage. */
static void follow(struct ib_latency *latency, uint64_t seq, uint64_t start)
{
    ib_latency_note_input(latency, start);
    ib_latency_note_sequenced(latency, seq, start + 100);
    ib_latency_note_input(latency, 0);
    ib_latency_note_begun(latency, seq, start + 100 + 2000);
    ib_latency_note_matched(latency, seq, start + 100 + 2000 + 70);
    ib_latency_note_journaled(latency, seq, start + 100 + 9000);
    ib_latency_note_released(latency, seq, start + 100 + 9000 + 40);
}

static void each_stage_gets_its_own_time(void)
{
    struct ib_latency *latency = open_tracker(1, 0);
    const struct ib_latency_histogram *histograms = latency->histograms;
    const uint64_t expected[IB_LATENCY_STAGES] = {100, 2000, 70, 9000, 40, 9140};
    follow(latency, 1, 1000000);
    follow(latency, 2, 2000000);
    for (int stage = 0; stage < IB_LATENCY_STAGES; stage++) {
        EXPECT_EQUAL(at(&histograms[stage], expected[stage]), 2);
        EXPECT_EQUAL(counted(&histograms[stage]), 2);
        EXPECT_EQUAL(atomic_load(&histograms[stage].max_ns), expected[stage]);
        EXPECT_EQUAL(atomic_load(&histograms[stage].sum_ns), 2 * expected[stage]);
    }
    EXPECT_EQUAL(atomic_load(&latency->header->released_ns), 2000000 + 9140);
    close_tracker(latency);
}

/* The slower of matcher and journal is what its release waits for. */
static void release_counts_from_the_slower_of_both(void)
{
    struct ib_latency *latency = open_tracker(1, 0);
    ib_latency_note_input(latency, 10);
    ib_latency_note_sequenced(latency, 1, 20);
    ib_latency_note_journaled(latency, 1, 30);
    ib_latency_note_begun(latency, 1, 40);
    ib_latency_note_matched(latency, 1, 90);
    ib_latency_note_released(latency, 1, 95);
    EXPECT_EQUAL(at(&latency->histograms[IB_LATENCY_RELEASE], 5), 1);
    EXPECT_EQUAL(at(&latency->histograms[IB_LATENCY_TOTAL], 85), 1);
    close_tracker(latency);
}

/* What no client sent (a halt) has no read and no way from there. */
static void what_no_client_sent_is_not_decoded(void)
{
    struct ib_latency *latency = open_tracker(1, 0);
    ib_latency_note_sequenced(latency, 1, 20);
    ib_latency_note_begun(latency, 1, 30);
    ib_latency_note_matched(latency, 1, 40);
    ib_latency_note_journaled(latency, 1, 50);
    ib_latency_note_released(latency, 1, 60);
    EXPECT_EQUAL(counted(&latency->histograms[IB_LATENCY_DECODE]), 0);
    EXPECT_EQUAL(counted(&latency->histograms[IB_LATENCY_TOTAL]), 0);
    EXPECT_EQUAL(counted(&latency->histograms[IB_LATENCY_MATCH]), 1);
    close_tracker(latency);
}

/* One in 64, behind a recovery to 1,000: 1,024, 1,088 … by the gates that the shell calls, in uneven groups. */
static void one_in_so_many_is_followed(void)
{
    struct ib_latency *latency = open_tracker(64, 1000);
    ib_latency_input(latency, ib_latency_read_clock(latency));
    uint64_t seq = 1000;
    uint64_t taken = 0;
    for (uint64_t group = 1; group <= 100; group++) {
        uint64_t first = seq + 1;
        for (uint64_t i = 0; i < group; i++) {
            ib_latency_sequenced(latency, ++seq);
        }
        for (uint64_t i = first; i <= seq; taken++) { /* as the engine's matcher takes them */
            uint64_t together = ib_latency_together(latency, i, seq - i + 1);
            EXPECT(together >= 1 && together <= seq - i + 1 && (i % 64 != 0 || together == 1));
            ib_latency_begun(latency, i);
            ib_latency_matched(latency, i);
            i += together;
        }
        ib_latency_journaled(latency, seq);
        ib_latency_released(latency, seq);
    }
    EXPECT_EQUAL(seq, 1000 + 5050);
    EXPECT(taken < 100 + 3 * (6050 / 64 - 1000 / 64)); /* a followed one parts its group in three at most */
    for (int stage = 0; stage < IB_LATENCY_STAGES; stage++) {
        EXPECT_EQUAL(counted(&latency->histograms[stage]), 6050 / 64 - 1000 / 64);
    }
    EXPECT_EQUAL(atomic_load(&latency->header->missed), 0);
    close_tracker(latency);
}

/* The gates of a shell that follows nothing. */
static void off_is_nothing(void)
{
    EXPECT_EQUAL(ib_latency_read_clock(NULL), 0);
    ib_latency_input(NULL, 1);
    ib_latency_sequenced(NULL, 1);
    ib_latency_begun(NULL, 1);
    ib_latency_matched(NULL, 1);
    EXPECT_EQUAL(ib_latency_together(NULL, 1, 64), 64);
    ib_latency_journaled(NULL, 1);
    ib_latency_released(NULL, 1);
    ib_latency_close(NULL);
}

/* More in flight than there are slots: the oldest are missed, and said to be; those behind them are right. */
static void too_many_in_flight_are_missed_and_counted(void)
{
    struct ib_latency *latency = open_tracker(1000000, 0);
    uint64_t slots = latency->slots, every = latency->every;
    for (uint64_t i = 1; i <= slots + 3; i++) {
        ib_latency_note_input(latency, i * 1000);
        ib_latency_note_sequenced(latency, i * every, i * 1000 + i);
    }
    for (uint64_t i = 1; i <= slots + 3; i++) {
        ib_latency_note_begun(latency, i * every, 2000000);
        ib_latency_note_matched(latency, i * every, 2000000);
    }
    ib_latency_note_journaled(latency, (slots + 3) * every, 2000000);
    ib_latency_note_released(latency, (slots + 3) * every, 2000000);
    EXPECT_EQUAL(atomic_load(&latency->header->missed), 3);
    EXPECT_EQUAL(counted(&latency->histograms[IB_LATENCY_DECODE]), slots);
    for (uint64_t i = 1; i <= slots + 3; i++) {
        EXPECT_EQUAL(at(&latency->histograms[IB_LATENCY_DECODE], i), i > 3);
    }
    close_tracker(latency);
}

/* 50 us of standing still in the matcher are 50 us in its histogram, by the real clock. */
static void a_stall_is_seen_where_it_was(void)
{
    struct ib_latency *latency = open_tracker(1, 0);
    enum { COMMANDS = 200, STALL_NS = 50000 };
    for (uint64_t seq = 1; seq <= COMMANDS; seq++) {
        ib_latency_input(latency, ib_latency_read_clock(latency));
        ib_latency_sequenced(latency, seq);
        ib_latency_begun(latency, seq);
        uint64_t start_ns = ib_latency_clock_ns();
        while (ib_latency_clock_ns() - start_ns < STALL_NS) {
        }
        ib_latency_matched(latency, seq);
        ib_latency_journaled(latency, seq);
        ib_latency_released(latency, seq);
    }
    uint64_t near = 0;
    for (uint64_t ns = STALL_NS; ns < STALL_NS + STALL_NS / 2;
         ns = ib_latency_bucket_ceiling(ib_latency_bucket(ns)) + 1) {
        near += at(&latency->histograms[IB_LATENCY_MATCH], ns);
    }
    EXPECT(near > COMMANDS / 2); /* others run on this machine, too */
    EXPECT_EQUAL(counted(&latency->histograms[IB_LATENCY_MATCH]), COMMANDS);
    EXPECT(at(&latency->histograms[IB_LATENCY_QUEUE], STALL_NS) < COMMANDS / 2);
    close_tracker(latency);
}

/* Another process maps the file: what it reads never falls, and in the end it is all there. */
static int watch(uint64_t total)
{
    int fd = open(path, O_RDONLY);
    size_t bytes = IB_LATENCY_HEADER_SIZE + IB_LATENCY_STAGES * sizeof(struct ib_latency_histogram);
    const char *mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || mapped == MAP_FAILED) {
        return 1;
    }
    const struct ib_latency_histogram *histogram = (const void *)(mapped + IB_LATENCY_HEADER_SIZE);
    for (uint64_t seen = 0; seen < total;) {
        uint64_t now = counted(&histogram[IB_LATENCY_TOTAL]);
        if (now < seen || now > total) {
            return 2;
        }
        seen = now;
    }
    return 0;
}

static void another_process_reads_while_it_is_written(void)
{
    enum { COMMANDS = 200000 };
    struct ib_latency *latency = open_tracker(1, 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(watch(COMMANDS));
    }
    for (uint64_t seq = 1; seq <= COMMANDS; seq++) {
        follow(latency, seq, seq * 10000);
    }
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close_tracker(latency);
}

struct pipeline {
    struct ib_latency *latency;
    _Atomic uint64_t sequenced, matched, journaled;
};

enum { PIPELINE_COMMANDS = 300000 };

static void *match_all(void *context)
{
    struct pipeline *pipeline = context;
    for (uint64_t seq = 1; seq <= PIPELINE_COMMANDS; seq++) {
        while (atomic_load(&pipeline->sequenced) < seq) {
            sched_yield();
        }
        ib_latency_begun(pipeline->latency, seq);
        ib_latency_matched(pipeline->latency, seq);
        atomic_store(&pipeline->matched, seq);
    }
    return NULL;
}

static void *journal_all(void *context)
{
    struct pipeline *pipeline = context;
    for (uint64_t done = 0; done < PIPELINE_COMMANDS;) {
        uint64_t there = atomic_load(&pipeline->sequenced);
        if (there == done) {
            sched_yield();
            continue;
        }
        done = there;
        ib_latency_journaled(pipeline->latency, done);
        atomic_store(&pipeline->journaled, done);
    }
    return NULL;
}

/* The three threads of a shard: nothing is lost, and no stage takes less than no time (count asserts it). */
static void three_threads_follow_every_command(void)
{
    struct pipeline pipeline = {.latency = open_tracker(1, 0)};
    pthread_t matcher, journal;
    EXPECT(pthread_create(&matcher, NULL, match_all, &pipeline) == 0);
    EXPECT(pthread_create(&journal, NULL, journal_all, &pipeline) == 0);
    uint64_t seq = 0, released = 0;
    while (released < PIPELINE_COMMANDS) {
        ib_latency_input(pipeline.latency, ib_latency_read_clock(pipeline.latency));
        for (int i = 0; i < 40 && seq < PIPELINE_COMMANDS && seq - released < 20000; i++) {
            ib_latency_sequenced(pipeline.latency, ++seq);
        }
        atomic_store(&pipeline.sequenced, seq);
        uint64_t matched = atomic_load(&pipeline.matched), journaled = atomic_load(&pipeline.journaled);
        released = matched < journaled ? matched : journaled;
        ib_latency_released(pipeline.latency, released);
    }
    pthread_join(matcher, NULL);
    pthread_join(journal, NULL);
    for (int stage = 0; stage < IB_LATENCY_STAGES; stage++) {
        EXPECT_EQUAL(counted(&pipeline.latency->histograms[stage]), PIPELINE_COMMANDS);
    }
    close_tracker(pipeline.latency);
}

static void the_file_is_private_and_names_its_engine(void)
{
    struct ib_latency *latency = open_tracker(8, 0);
    struct stat status;
    EXPECT(stat(path, &status) == 0);
    EXPECT_EQUAL(status.st_mode & 07777, 0600);
    EXPECT_EQUAL(status.st_size, 4096 + 6 * 8 * (2 + 2240));
    EXPECT(status.st_blocks * 512 >= status.st_size); /* all blocks are there: no write can find the disk full */
    EXPECT_EQUAL(latency->header->process, getpid());
    EXPECT_EQUAL(latency->header->every, 8);
    EXPECT_EQUAL(latency->header->shard, 3);
    EXPECT_EQUAL(latency->header->replica, 1);
    EXPECT(latency->header->clock_ns < 100000);
    close_tracker(latency);
}

/* A reader of a killed engine's file keeps what it has mapped when the next engine makes its own. */
static void a_new_file_leaves_the_old_one_whole(void)
{
    struct ib_latency *left = open_tracker(1, 0), *next = NULL;
    follow(left, 1, 5000);
    int fd = open(path, O_RDONLY);
    EXPECT(fd >= 0);
    EXPECT_EQUAL(ib_latency_open(&next, directory, 1, 1, 3, 1, error), IB_OK);
    struct stat old_file, new_file;
    EXPECT(fstat(fd, &old_file) == 0 && stat(path, &new_file) == 0);
    EXPECT(old_file.st_ino != new_file.st_ino && old_file.st_size == new_file.st_size);
    EXPECT_EQUAL(counted(&next->histograms[IB_LATENCY_TOTAL]), 0);
    EXPECT_EQUAL(counted(&left->histograms[IB_LATENCY_TOTAL]), 1);
    close(fd);
    ib_latency_close(next);
    close_tracker(left);
}

static void off_removes_what_was_left(void)
{
    struct ib_latency *left = open_tracker(1, 0), *next = NULL;
    EXPECT_EQUAL(ib_latency_open(&next, directory, 0, 0, 3, 1, error), IB_OK);
    EXPECT(next == NULL && access(path, F_OK) != 0);
    close_tracker(left);
}

static void refusals_say_what_to_do(void)
{
    struct ib_latency *latency = NULL;
    EXPECT_EQUAL(ib_latency_open(&latency, "/nowhere/at/all", 1, 0, 0, 0, error), IB_ERROR_IO);
    EXPECT(latency == NULL && strstr(error, "/nowhere/at/all") != NULL && strstr(error, "latency.every") != NULL);
    EXPECT_EQUAL(ib_latency_open(&latency, "/tmp", IB_LATENCY_EVERY_MAX + 1, 0, 0, 0, error), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(ib_latency_open(&latency, NULL, 1, 0, 0, 0, error), IB_ERROR_ARGUMENT);
    char deep[600];
    memset(deep, 'x', sizeof deep - 1);
    deep[0] = '/';
    deep[sizeof deep - 1] = '\0';
    EXPECT_EQUAL(ib_latency_open(&latency, deep, 1, 0, 0, 0, error), IB_ERROR_IO);
}

/* In a mount namespace of its own, on a disk of 64 KiB. Skipped where nobody may mount. */
static void a_full_disk_is_a_status(void)
{
    test_make_directory(directory);
    pid_t child = fork();
    if (child == 0) {
        struct ib_latency *latency = NULL;
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", directory, "tmpfs", 0, "size=64k") != 0) {
            _exit(77);
        }
        int status = ib_latency_open(&latency, directory, 1, 0, 0, 0, error);
        char left[300];
        (void)snprintf(left, sizeof left, "%s/latency.new", directory);
        _exit(status == IB_ERROR_IO && latency == NULL && access(left, F_OK) != 0 ? 0 : 1);
    }
    int status = -1;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(buckets_are_seamless_and_narrow),
    CASE(each_stage_gets_its_own_time),
    CASE(release_counts_from_the_slower_of_both),
    CASE(what_no_client_sent_is_not_decoded),
    CASE(one_in_so_many_is_followed),
    CASE(off_is_nothing),
    CASE(too_many_in_flight_are_missed_and_counted),
    CASE(a_stall_is_seen_where_it_was),
    CASE(another_process_reads_while_it_is_written),
    CASE(three_threads_follow_every_command),
    CASE(the_file_is_private_and_names_its_engine),
    CASE(a_new_file_leaves_the_old_one_whole),
    CASE(off_removes_what_was_left),
    CASE(refusals_say_what_to_do),
    CASE(a_full_disk_is_a_status),
};

TEST_MAIN("latency", cases)
