/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_event_log_load.c: a log that is loaded while an engine recovers is the log that was written event by event,
 * wherever it begins and ends; and what does not fit is a status.
 */
#define _GNU_SOURCE
#include "small_event_log.h"

static const uint64_t counts[] = {0,    1,    2,    31,   32,   33,   63,   64,   65,   511,   512,   513,
                                  1023, 1024, 1025, 2048, 4095, 4096, 4097, 8192, 9000, 12288, 20000};
enum { COUNTS = sizeof counts / sizeof counts[0] };

static uint64_t seen_to; /* position behind the last event that was shown */

static void see_event(void *context, const struct ib_event *shown, size_t count)
{
    for (size_t i = 0; i < count; i++, seen_to++) {
        if (context != events || memcmp(&shown[i], &events[seen_to], sizeof *shown) != 0) {
            fprintf(stderr, "event %" PRIu64 " was not shown as it is\n", seen_to);
            exit(1);
        }
    }
}

static void ignore(void *context, const struct ib_event *shown, size_t count)
{
    (void)context, (void)shown, (void)count;
}

static void append_all(struct ib_event_log *log, uint64_t from, uint64_t to)
{
    for (uint64_t position = from; position < to; position++) {
        append(log, &events[position]);
    }
}

/* Events [first, first + count) loaded, and then some written as ever. */
static void load_and_go_on(uint64_t first, uint64_t count)
{
    struct ib_event_log *log = open_log(CAPACITY);
    uint64_t end = first + count + 5000 < CAPACITY ? first + count + 5000 : CAPACITY;
    make_history(first);
    if (first > 0) {
        EXPECT_EQUAL(ib_event_log_begin_behind(log, &history), IB_OK);
    }
    seen_to = first;
    EXPECT_EQUAL(ib_event_log_load(log, see_event, events), IB_OK);
    append_all(log, first, first + count);
    EXPECT_EQUAL(ib_event_log_room(log), CAPACITY - first); /* nobody sees anything yet */
    ib_event_log_loaded(log);
    EXPECT_EQUAL(ib_event_log_status(log), IB_OK);
    EXPECT_EQUAL(seen_to, first + count);
    EXPECT_EQUAL(ib_event_log_room(log), CAPACITY - first - count);
    EXPECT_EQUAL(ib_event_log_release(log, UINT64_MAX), first + count);
    append_all(log, first + count, end);
    ib_event_log_publish(log);
    EXPECT_EQUAL(ib_event_log_status(log), IB_OK);
    EXPECT_EQUAL(ib_event_log_release(log, UINT64_MAX), end);
    if (first > 0) {
        EXPECT_EQUAL(ib_event_log_fill(log, events, first), IB_OK);
        EXPECT(ib_event_log_filled(log));
    }
    expect_whole(log, end);
    close_log(log);
}

static void what_is_loaded_is_what_is_written(void)
{
    for (size_t i = 0; i < COUNTS; i++) {
        load_and_go_on(0, counts[i]);
        EXPECT_SOUND();
    }
}

static void it_is_loaded_behind_a_snapshot_anywhere(void)
{
    static const uint64_t firsts[] = {1, 63, 64, 513, 1023, 1024, 1025, 4096, 12345};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        for (size_t j = 0; j < COUNTS; j += 3) {
            load_and_go_on(firsts[i], counts[j]);
            EXPECT_SOUND();
        }
    }
}

/* Exactly as many as it holds; then one more, which is a status while it is loaded, and afterwards. */
static void a_log_that_is_full_is_a_status(void)
{
    static const uint64_t capacities[] = {1, 9, 64, 1000, 1024, 1025, 4096, 5000};
    make_history(0);
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        uint64_t capacity = capacities[i];
        for (int loads_more = 0; loads_more < 2; loads_more++) {
            struct ib_event_log *log = open_log(capacity);
            EXPECT_EQUAL(ib_event_log_load(log, ignore, NULL), IB_OK);
            append_all(log, 0, capacity);
            EXPECT_EQUAL(ib_event_log_status(log), IB_OK);
            append_all(log, capacity, capacity + (loads_more ? 3 : 0));
            EXPECT_EQUAL(ib_event_log_status(log), loads_more ? IB_ERROR_CAPACITY : IB_OK);
            ib_event_log_loaded(log);
            append_all(log, capacity, capacity + 3);
            EXPECT_EQUAL(ib_event_log_status(log), IB_ERROR_CAPACITY);
            EXPECT_EQUAL(ib_event_log_release(log, UINT64_MAX), loads_more ? 0 : capacity);
            close_log(log);
        }
    }
}

static char load_until_it_is_full(const char *name)
{
    struct ib_event_log *log = NULL;
    struct ib_event event = {.seq = 1, .session = IB_SESSION_NONE};
    int status = ib_event_log_open(&log, name, 200000, error);
    uint64_t appended = 0;
    if (status == IB_OK) {
        status = ib_event_log_load(log, ignore, NULL);
    }
    while (status == IB_OK && appended < 200000) {
        append(log, &event);
        status = ib_event_log_status(log);
        appended += status == IB_OK;
    }
    if (log != NULL) {
        ib_event_log_loaded(log);
    }
    int at_last = log == NULL ? IB_OK : ib_event_log_status(log);
    ib_event_log_close(log);
    return status == IB_ERROR_IO && at_last == IB_ERROR_IO && appended >= 32768 && appended < 200000 ? 'y' : 'x';
}

static void a_full_disk_is_a_status(void)
{
    char result = on_a_small_disk(load_until_it_is_full);
    if (result == 'n') {
        printf("test_event_log_load: no mount namespace here: the full disk was not tried\n");
        return;
    }
    EXPECT_EQUAL(result, 'y');
}

static const struct test_case cases[] = {
    CASE(what_is_loaded_is_what_is_written),
    CASE(it_is_loaded_behind_a_snapshot_anywhere),
    CASE(a_log_that_is_full_is_a_status),
    CASE(a_full_disk_is_a_status),
};

TEST_MAIN("test_event_log_load", cases)
