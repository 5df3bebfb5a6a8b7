/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal_ahead.c: a thread reads the journal ahead of whoever visits its commands: all of them, in order, on the
 * thread that asked; up to a damaged record and no further; or up to where the visitor wants no more.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>

#include "journal_ahead.h"
#include "small_journal.h"

enum { MANY = 9000 /* more than all batches hold together */ };

struct visitor {
    struct seen seen;
    pthread_t thread;
    uint64_t fails_behind; /* commands; 0: never */
    int status;            /* with which it fails */
    int is_slow;
};

static int visit(void *context, const struct ib_command *commands, size_t count)
{
    struct visitor *visitor = context;
    if (visitor->is_slow) { /* before it looks: what it is given must stay as long as it takes */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    (void)see(&visitor->seen, commands, count);
    visitor->seen.sound = visitor->seen.sound && count > 0 && pthread_equal(pthread_self(), visitor->thread) != 0;
    return visitor->fails_behind != 0 && visitor->seen.count >= visitor->fails_behind ? visitor->status : IB_OK;
}

/* One segment of MANY commands. */
static void write_many(void)
{
    test_make_directory(directory);
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    settings.segment_bytes = IB_RECORD_SEGMENT_SIZE + MANY * IB_RECORD_COMMAND_SIZE;
    EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
    for (uint64_t seq = 1; seq <= MANY; seq += 1000) {
        EXPECT_EQUAL(append(journal, seq, 1000), IB_OK);
    }
    ib_journal_close(journal);
}

static int open_with(struct visitor *visitor)
{
    struct ib_journal_config settings = config();
    struct ib_journal *journal;
    visitor->thread = pthread_self();
    visitor->seen = (struct seen){.sound = 1};
    int status = ib_journal_open(&journal, &settings, visit, visitor, &report);
    ib_journal_close(journal);
    return status;
}

static void all_are_visited_in_order_on_this_thread(void)
{
    write_many();
    EXPECT_SOUND();
    for (int is_slow = 0; is_slow < 2; is_slow++) {
        struct visitor visitor = {.is_slow = is_slow};
        EXPECT_EQUAL(open_with(&visitor), IB_OK);
        EXPECT(visitor.seen.sound);
        EXPECT_EQUAL(visitor.seen.count, MANY);
        EXPECT_EQUAL(report.seq, MANY);
    }
    test_remove_directory(directory);
}

static void what_is_before_damage_is_visited_and_no_more(void)
{
    static const uint64_t damaged[] = {1, 2, 1024, 1025, 4096, 4097, 5000, MANY};
    static unsigned char bytes[IB_RECORD_SEGMENT_SIZE + MANY * IB_RECORD_COMMAND_SIZE];
    write_many();
    EXPECT_SOUND();
    size_t size = load(1, bytes, sizeof bytes);
    EXPECT_EQUAL(size, sizeof bytes);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct visitor visitor = {.is_slow = damaged[i] == 5000};
        size_t at = IB_RECORD_SEGMENT_SIZE + (size_t)damaged[i] * IB_RECORD_COMMAND_SIZE - 40;
        bytes[at] ^= 1;
        store(1, bytes, size);
        EXPECT_EQUAL(open_with(&visitor), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(visitor.seen.sound);
        EXPECT_EQUAL(visitor.seen.count, damaged[i] - 1);
        EXPECT_EQUAL(report.error_seq, damaged[i]);
        EXPECT(strstr(report.error, "content is damaged") != NULL);
        bytes[at] ^= 1;
    }
    test_remove_directory(directory);
}

static void a_visitor_that_fails_ends_it(void)
{
    static const uint64_t places[] = {1, 1025, 4097, MANY};
    write_many();
    EXPECT_SOUND();
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct visitor visitor = {.fails_behind = places[i], .status = IB_ERROR_CAPACITY, .is_slow = i % 2 == 0};
        EXPECT_EQUAL(open_with(&visitor), IB_ERROR_CAPACITY);
        EXPECT(visitor.seen.sound);
        EXPECT(visitor.seen.count >= places[i] && visitor.seen.count < places[i] + 1024);
        EXPECT(strstr(report.error, "recovery was ended by the engine") != NULL);
    }
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(all_are_visited_in_order_on_this_thread),
    CASE(what_is_before_damage_is_visited_and_no_more),
    CASE(a_visitor_that_fails_ends_it),
};

TEST_MAIN("test_journal_ahead", cases)
