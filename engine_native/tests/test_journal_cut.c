/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal_cut.c: the end of a journal is taken back, at every place and whatever is interrupted or fails in
 * between; and where the place is not, or somebody has the journal open, nothing goes.
 */
#define _GNU_SOURCE
#include "journal_cut.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "io_shim.c"
#include "small_journal.h"
#include "snapshot_store.h"

enum { LONG = 21 }; /* segments of eight: 1 … 8, 9 … 16 and 17 … 21 */

static char error[IB_ERROR_TEXT_SIZE];
static int steps_left = -1; /* changes of names and lengths that still succeed; -1: all */

/* Stopped before a step is as good as killed there: the ones behind it are not done either. */
static int is_stopped(void)
{
    if (steps_left == 0) {
        errno = EIO;
        return 1;
    }
    steps_left -= steps_left > 0;
    return 0;
}

int unlinkat(int fd, const char *name, int flags)
{
    return is_stopped() ? -1 : (int)syscall(SYS_unlinkat, fd, name, flags);
}

int ftruncate(int fd, off_t size)
{
    return is_stopped() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

static void touch(const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static int has(const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, F_OK) == 0;
}

static void seal_of(char name[64], uint64_t first_seq)
{
    (void)snprintf(name, 64, "%020" PRIu64 ".sha256", first_seq);
}

/* Three segments, seals of the first two, and a snapshot behind each fourth command. */
static void write_long_journal(void)
{
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    char name[64];
    test_make_directory(directory);
    io_shim = (struct io_shim){0};
    steps_left = -1;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    for (uint64_t seq = 1; seq <= LONG; seq++) {
        EXPECT_EQUAL(append(journal, seq, 1), IB_OK);
    }
    ib_journal_close(journal);
    for (uint64_t first_seq = 1; first_seq <= 9; first_seq += 8) {
        seal_of(name, first_seq);
        touch(name);
    }
    for (uint64_t seq = 4; seq <= 20; seq += 4) {
        ib_snapshot_name(name, seq);
        touch(name);
    }
}

/* What must be there, and nothing else, when the journal ends with `seq`; and that it goes on. */
static void expect_end(uint64_t seq)
{
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    struct seen seen = {.sound = 1};
    char name[64];
    for (uint64_t first_seq = 1; first_seq <= 17; first_seq += 8) {
        ib_segment_name(name, first_seq);
        EXPECT_EQUAL(has(name), first_seq <= seq);
        seal_of(name, first_seq);
        EXPECT_EQUAL(has(name), first_seq + 8 <= seq);
    }
    for (uint64_t at = 4; at <= 20; at += 4) {
        ib_snapshot_name(name, at);
        EXPECT_EQUAL(has(name), at <= seq);
    }
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, see, &seen, &report), IB_OK);
    EXPECT_EQUAL(report.torn_bytes, 0);
    EXPECT(seen.sound);
    EXPECT_EQUAL(seen.count, seq);
    EXPECT_EQUAL(append(journal, seq + 1, 3), IB_OK);
    ib_journal_close(journal);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, seq + 3);
}

static void it_ends_at_every_place(void)
{
    for (uint64_t seq = 0; seq <= LONG; seq++) {
        write_long_journal();
        EXPECT_SOUND();
        EXPECT_EQUAL(ib_journal_cut(directory, seq, error), IB_OK);
        EXPECT_EQUAL(ib_journal_cut(directory, seq, error), IB_OK); /* is done already */
        expect_end(seq);
        EXPECT_SOUND();
        test_remove_directory(directory);
    }
}

/* Then it is cut again, as whoever starts after a crash does, and all is as if nothing had happened. */
static void whatever_step_is_its_last_it_can_be_cut_again(void)
{
    for (uint64_t seq = 0; seq <= LONG; seq++) {
        int status = IB_ERROR_IO;
        for (int steps = 0; status != IB_OK; steps++) {
            struct ib_journal *journal;
            struct ib_journal_config settings = config();
            struct seen seen = {.sound = 1};
            write_long_journal();
            EXPECT_SOUND();
            steps_left = steps;
            status = ib_journal_cut(directory, seq, error);
            steps_left = -1;
            EXPECT(status == IB_OK || (status == IB_ERROR_IO && strstr(error, "Input/output error") != NULL));
            EXPECT_EQUAL(ib_journal_open(&journal, &settings, see, &seen, &report), IB_OK); /* sound as before */
            ib_journal_close(journal);
            EXPECT(seen.sound && seen.count >= seq);
            EXPECT_EQUAL(ib_journal_cut(directory, seq, error), IB_OK);
            expect_end(seq);
            EXPECT_SOUND();
            test_remove_directory(directory);
            EXPECT(steps < 64);
        }
    }
}

/* The one of the shortened file, and the one of the directory; also of a cut that had been done and not synced. */
static void no_cut_is_believed_that_was_not_synced(void)
{
    for (int done = 0; done < 2; done++) {
        for (int sync = 1; sync <= 2; sync++) {
            write_long_journal();
            EXPECT_SOUND();
            if (done) {
                EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_OK);
            }
            io_shim.sync_error_at = sync;
            EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_ERROR_IO);
            EXPECT(strstr(error, "sequence 12") != NULL && strstr(error, "Input/output error") != NULL);
            EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_OK);
            expect_end(12);
            EXPECT_SOUND();
            test_remove_directory(directory);
        }
    }
}

static void expect_unchanged(void)
{
    char name[64];
    for (uint64_t at = 4; at <= 20; at += 4) {
        ib_snapshot_name(name, at);
        EXPECT(has(name));
    }
    for (uint64_t first_seq = 1; first_seq <= 17; first_seq += 8) {
        ib_segment_name(name, first_seq);
        EXPECT(has(name));
        seal_of(name, first_seq);
        EXPECT(first_seq == 17 || has(name));
    }
}

/* Every byte of the record at the place, and of its segment's header. */
static void a_wrong_record_at_the_place_is_refused_and_nothing_goes(void)
{
    static unsigned char bytes[1 << 16], changed[1 << 16];
    size_t at = IB_RECORD_SEGMENT_SIZE + 3 * IB_RECORD_COMMAND_SIZE; /* 12 is the fourth of its segment */
    write_long_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    EXPECT(size >= at + IB_RECORD_COMMAND_SIZE);
    for (size_t i = 0; i < IB_RECORD_SEGMENT_SIZE / 2 + IB_RECORD_COMMAND_SIZE; i++) {
        size_t place = i < IB_RECORD_SEGMENT_SIZE / 2 ? i : at + i - IB_RECORD_SEGMENT_SIZE / 2;
        memcpy(changed, bytes, size);
        changed[place] ^= (unsigned char)(1u << i % 8);
        store(9, changed, size);
        EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(strstr(error, "00000000000000000009.journal: the record is not where it should be") != NULL);
        EXPECT_EQUAL(load(9, changed, sizeof changed), size);
        expect_unchanged();
        EXPECT_SOUND();
    }
    for (size_t place = 0; place < at + IB_RECORD_COMMAND_SIZE; place += 13) { /* too short to have it */
        store(9, bytes, place);
        EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_ERROR_JOURNAL_DAMAGED);
        expect_unchanged();
        EXPECT_SOUND();
    }
    memcpy(changed, bytes, size); /* another one, whole, is none, either */
    memcpy(changed + at, bytes + at - IB_RECORD_COMMAND_SIZE, IB_RECORD_COMMAND_SIZE);
    store(9, changed, size);
    EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_ERROR_JOURNAL_DAMAGED);
    store(9, bytes, size);
    EXPECT_EQUAL(ib_journal_cut(directory, LONG + 1, error), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(ib_journal_cut(directory, IB_SEQ_MAX, error), IB_ERROR_JOURNAL_DAMAGED);
    expect_unchanged();
    EXPECT_SOUND();
    EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_OK);
    expect_end(12);
    test_remove_directory(directory);
}

static void a_place_whose_segment_is_missing_is_refused(void)
{
    char path[600];
    write_long_journal();
    EXPECT_SOUND();
    path_of(path, 1);
    EXPECT_EQUAL(unlink(path), 0);
    EXPECT_EQUAL(ib_journal_cut(directory, 5, error), IB_ERROR_JOURNAL_DAMAGED);
    path_of(path, 9);
    EXPECT_EQUAL(access(path, F_OK), 0);
    test_remove_directory(directory);
    test_make_directory(directory); /* no segment at all */
    EXPECT_EQUAL(ib_journal_cut(directory, 5, error), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(ib_journal_cut(directory, 0, error), IB_OK);
    test_remove_directory(directory);
    EXPECT_EQUAL(ib_journal_cut(directory, 5, error), IB_ERROR_IO);
    EXPECT(strstr(error, "No such file") != NULL);
}

static void a_journal_that_another_process_has_open_is_refused(void)
{
    int told[2], done[2];
    char byte;
    write_long_journal();
    EXPECT_SOUND();
    EXPECT_EQUAL(pipe(told), 0);
    EXPECT_EQUAL(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ib_journal_config settings = config();
        struct ib_journal *journal;
        close(done[1]);
        if (ib_journal_open(&journal, &settings, NULL, NULL, &report) != IB_OK || write(told[1], "x", 1) != 1) {
            _exit(3);
        }
        (void)!read(done[0], &byte, 1); /* until the parent has seen what it wanted */
        _exit(0);
    }
    close(done[0]);
    EXPECT_EQUAL(read(told[0], &byte, 1), 1);
    EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_ERROR_IO);
    EXPECT(strstr(error, "another engine is running on it") != NULL);
    expect_unchanged();
    close(done[1]);
    EXPECT_EQUAL(waitpid(child, NULL, 0), child);
    close(told[0]);
    close(told[1]);
    EXPECT_SOUND();
    EXPECT_EQUAL(ib_journal_cut(directory, 12, error), IB_OK);
    expect_end(12);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(it_ends_at_every_place),
    CASE(whatever_step_is_its_last_it_can_be_cut_again),
    CASE(no_cut_is_believed_that_was_not_synced),
    CASE(a_wrong_record_at_the_place_is_refused_and_nothing_goes),
    CASE(a_place_whose_segment_is_missing_is_refused),
    CASE(a_journal_that_another_process_has_open_is_refused),
};

TEST_MAIN("test_journal_cut", cases)
