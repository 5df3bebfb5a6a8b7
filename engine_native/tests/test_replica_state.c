/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_state.c: what a member keeps besides its journal comes back as it was written, or is refused; and
 * whatever is interrupted or fails, one of both is there, whole.
 */
#define _GNU_SOURCE
#include "replica_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "crc32c.h"
#include "io_shim.c"
#include "ironbook.h"
#include "replica.h"
#include "test.h"

enum { SHARD = 3, MEMBER = 1, SIZE = 64 };

static char directory[256];
static char error[IB_ERROR_TEXT_SIZE];

static const struct ib_replica_state states[] = {
    {.promised = 7, .doubt_seq = 41, .is_cut = true, .cut_seq = 40},
    {.promised = UINT64_MAX, .doubt_seq = IB_DOUBT_NEW},
    {.promised = 0, .doubt_seq = 0, .is_cut = true, .cut_seq = 0},
    {.promised = 1, .doubt_seq = UINT64_MAX - 1, .is_cut = false, .cut_seq = 9},
};

enum { STATES = sizeof states / sizeof states[0] };

static void begin(void)
{
    io_shim = (struct io_shim){0};
    test_make_directory(directory);
    error[0] = '\0';
}

static int are_equal(const struct ib_replica_state *left, const struct ib_replica_state *right)
{
    return left->promised == right->promised && left->doubt_seq == right->doubt_seq &&
           left->is_cut == right->is_cut && left->cut_seq == right->cut_seq;
}

static int read_state(struct ib_replica_state *state)
{
    return ib_replica_state_read(directory, SHARD, MEMBER, state, error);
}

static int write_state(const struct ib_replica_state *state)
{
    return ib_replica_state_write(directory, SHARD, MEMBER, state);
}

static size_t load(unsigned char *bytes, size_t capacity)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/replica.state", directory);
    FILE *file = fopen(path, "rb");
    size_t size = file != NULL ? fread(bytes, 1, capacity, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static void store(const unsigned char *bytes, size_t size)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/replica.state", directory);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static void what_was_written_is_read(void)
{
    begin();
    for (size_t i = 0; i < STATES; i++) {
        struct ib_replica_state state;
        EXPECT_EQUAL(write_state(&states[i]), IB_OK);
        memset(&state, 0xaa, sizeof state);
        EXPECT_EQUAL(read_state(&state), IB_OK);
        EXPECT(are_equal(&state, &states[i]));
    }
    test_remove_directory(directory);
}

/* Nothing there is a new disk; whatever else keeps it from being read is not. */
static void only_an_absent_one_is_a_new_disk(void)
{
    struct ib_replica_state state;
    char path[600], name[600];
    begin();
    EXPECT_EQUAL(read_state(&state), IB_OK);
    EXPECT(state.promised == 0 && state.doubt_seq == IB_DOUBT_NEW && !state.is_cut);
    EXPECT_EQUAL(write_state(&states[0]), IB_OK);
    memset(path, 'd', sizeof path);
    path[sizeof path - 1] = '\0';
    errno = ENOENT; /* of something else, before */
    EXPECT_EQUAL(ib_replica_state_read(path, SHARD, MEMBER, &state, error), IB_ERROR_IO);
    EXPECT(strstr(error, "cannot be read") != NULL);
    (void)snprintf(name, sizeof name, "%s/replica.state", directory);
    EXPECT_EQUAL(unlink(name), 0);
    EXPECT_EQUAL(mkdir(name, 0700), 0);
    EXPECT_EQUAL(read_state(&state), IB_ERROR_IO);
    EXPECT(strstr(error, "/replica.state cannot be read: Is a directory") != NULL);
    EXPECT_EQUAL(write_state(&states[1]), IB_ERROR_IO); /* nor is it written over */
    EXPECT_EQUAL(rmdir(name), 0);
    test_remove_directory(directory);
}

static void every_changed_bit_and_every_length_is_refused(void)
{
    unsigned char bytes[SIZE + 1], changed[SIZE];
    struct ib_replica_state state;
    begin();
    EXPECT_EQUAL(write_state(&states[0]), IB_OK);
    EXPECT_EQUAL(load(bytes, sizeof bytes), SIZE);
    for (size_t bit = 0; bit < 8 * SIZE; bit++) {
        memcpy(changed, bytes, SIZE);
        changed[bit / 8] ^= (unsigned char)(1u << bit % 8);
        store(changed, SIZE);
        EXPECT_EQUAL(read_state(&state), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(strstr(error, "replica.state is damaged. Have the member rejoin") != NULL);
        EXPECT(state.doubt_seq == IB_DOUBT_NEW && state.promised == 0);
    }
    for (size_t size = 0; size < SIZE; size++) {
        store(bytes, size);
        EXPECT_EQUAL(read_state(&state), IB_ERROR_JOURNAL_DAMAGED);
    }
    memset(changed, 0, SIZE);
    store(changed, SIZE);
    EXPECT_EQUAL(read_state(&state), IB_ERROR_JOURNAL_DAMAGED);
    store(bytes, SIZE);
    EXPECT_EQUAL(read_state(&state), IB_OK);
    test_remove_directory(directory);
}

/* With a field of it changed and its checksum right: made by another member, or another build. */
static int read_with(size_t offset, uint32_t value)
{
    unsigned char bytes[SIZE];
    struct ib_replica_state state;
    if (write_state(&states[0]) != IB_OK || load(bytes, SIZE) != SIZE) {
        return -1;
    }
    memcpy(bytes + offset, &value, sizeof value);
    uint32_t checksum = ib_crc32c(0, bytes, SIZE - 4);
    memcpy(bytes + SIZE - 4, &checksum, sizeof checksum);
    store(bytes, SIZE);
    return read_state(&state);
}

static void anothers_is_refused(void)
{
    begin();
    EXPECT_EQUAL(read_with(4, 1), IB_OK);
    EXPECT_EQUAL(read_with(4, 2), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(error, "another build: run the newer one") != NULL);
    EXPECT_EQUAL(read_with(8, SHARD + 1), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(error, "another shard's or another member's") != NULL);
    EXPECT_EQUAL(read_with(12, MEMBER + 1), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(error, "another shard's or another member's") != NULL);
    EXPECT_EQUAL(read_with(40, 2), IB_ERROR_JOURNAL_DAMAGED); /* neither cut nor not */
    test_remove_directory(directory);
}

/* The power goes at each call in turn: before the rename the old one is there, and never a mixture. */
static void a_crash_leaves_one_of_both(void)
{
    unsigned seen[2] = {0, 0};
    for (uint64_t seed = 1; seed <= 32; seed++) {
        for (int calls = 1; calls <= 4; calls++) {
            struct ib_replica_state state;
            int how;
            begin();
            EXPECT_EQUAL(write_state(&states[0]), IB_OK);
            pid_t child = fork();
            if (child == 0) {
                io_shim = (struct io_shim){.keeps_history = 1, .crash_after = calls, .seed = seed << 33};
                _exit(write_state(&states[3]) == IB_OK ? 0 : 1);
            }
            EXPECT_EQUAL(waitpid(child, &how, 0), child);
            EXPECT(WIFEXITED(how) && WEXITSTATUS(how) == 9); /* write, sync, rename, sync of the directory */
            EXPECT_EQUAL(read_state(&state), IB_OK);
            int is_new = are_equal(&state, &states[3]);
            EXPECT(is_new || are_equal(&state, &states[0]));
            EXPECT(calls >= 3 || !is_new);
            EXPECT(calls < 4 || is_new); /* it was told that it is there */
            seen[is_new]++;
            EXPECT_EQUAL(write_state(&states[1]), IB_OK); /* what is left of the other is in nobody's way */
            EXPECT_EQUAL(read_state(&state), IB_OK);
            EXPECT(are_equal(&state, &states[1]));
            test_remove_directory(directory);
        }
    }
    EXPECT(seen[0] > 32 && seen[1] > 32);
}

static void what_fails_is_told(void)
{
    struct ib_replica_state state;
    for (int sync = 1; sync <= 2; sync++) {
        begin();
        EXPECT_EQUAL(write_state(&states[0]), IB_OK);
        io_shim.sync_error_at = sync;
        EXPECT_EQUAL(write_state(&states[1]), IB_ERROR_IO);
        EXPECT_EQUAL(errno, EIO);
        EXPECT_EQUAL(read_state(&state), IB_OK);
        EXPECT(are_equal(&state, &states[sync == 1 ? 0 : 1]));
        test_remove_directory(directory);
    }
    begin();
    EXPECT_EQUAL(write_state(&states[0]), IB_OK);
    io_shim.write_error_at = 1;
    EXPECT_EQUAL(write_state(&states[1]), IB_ERROR_IO);
    EXPECT_EQUAL(read_state(&state), IB_OK);
    EXPECT(are_equal(&state, &states[0]));
    io_shim.short_writes = 3;
    EXPECT_EQUAL(write_state(&states[1]), IB_OK);
    EXPECT_EQUAL(read_state(&state), IB_OK);
    EXPECT(are_equal(&state, &states[1]));
    test_remove_directory(directory);
    EXPECT_EQUAL(write_state(&states[0]), IB_ERROR_IO); /* no directory */
    EXPECT_EQUAL(errno, ENOENT);
}

static const struct test_case cases[] = {
    CASE(what_was_written_is_read),
    CASE(only_an_absent_one_is_a_new_disk),
    CASE(every_changed_bit_and_every_length_is_refused),
    CASE(anothers_is_refused),
    CASE(a_crash_leaves_one_of_both),
    CASE(what_fails_is_told),
};

TEST_MAIN("test_replica_state", cases)
