/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_event_log.c: publishing, releasing, finding and resuming; a full log and a full disk are statuses.
 */
#define _GNU_SOURCE
#include "small_event_log.h"

static void fill(struct ib_event_log *log, uint64_t from, uint64_t to, uint32_t session_seqs[SESSIONS])
{
    for (uint64_t position = from; position < to; position++) {
        struct ib_event event = event_at(position);
        if (event.session != IB_SESSION_NONE) {
            event.session_seq = ++session_seqs[event.session];
        }
        append(log, &event);
        if (event.index == 2) {
            ib_event_log_publish(log);
        }
    }
}

static void only_committed_events_are_released(void)
{
    uint32_t session_seqs[SESSIONS] = {0};
    struct ib_event_log *log = open_log(CAPACITY);
    EXPECT(log != NULL);
    fill(log, 0, 10, session_seqs); /* three commands, and one event of the fourth, not published */
    EXPECT_EQUAL(ib_event_log_released(log), 0);
    EXPECT_EQUAL(ib_event_log_release(log, 2), 6);
    EXPECT_EQUAL(ib_event_log_released(log), 6);
    EXPECT_EQUAL(ib_event_log_release(log, 1), 6); /* never back */
    EXPECT_EQUAL(ib_event_log_release(log, 99), 9);
    EXPECT_EQUAL(ib_event_log_at(log, 8)->order_ref, 8);
    EXPECT_EQUAL(ib_event_log_room(log), CAPACITY - 9); /* of what is published */
    close_log(log);
}

static void consumers_resume_by_sequence_and_index(void)
{
    uint32_t session_seqs[SESSIONS] = {0};
    struct ib_event_log *log = open_log(CAPACITY);
    EXPECT(log != NULL);
    fill(log, 0, 3000, session_seqs);
    (void)ib_event_log_release(log, 500);
    EXPECT_EQUAL(ib_event_log_find_after(log, 0, 0), 0);
    EXPECT_EQUAL(ib_event_log_find_after(log, 1, 0), 1);
    EXPECT_EQUAL(ib_event_log_find_after(log, 1, 2), 3);
    EXPECT_EQUAL(ib_event_log_find_after(log, 1, 77), 3);
    EXPECT_EQUAL(ib_event_log_find_after(log, 499, 2), 1497);
    EXPECT_EQUAL(ib_event_log_find_after(log, 500, 2), 1500); /* the next one, not released yet */
    EXPECT_EQUAL(ib_event_log_find_after(log, 900, 0), 1500);
    close_log(log);
}

static void sessions_resume_at_their_own_number(void)
{
    uint32_t session_seqs[SESSIONS] = {0};
    struct ib_event_log *log = open_log(CAPACITY);
    EXPECT(log != NULL);
    fill(log, 0, 48000, session_seqs);
    uint64_t released = ib_event_log_release(log, UINT64_MAX);
    EXPECT_EQUAL(released, 48000);
    uint32_t next[SESSIONS] = {1, 1, 1, 1, 1};
    for (uint64_t position = 0; position < released; position++) {
        const struct ib_event *event = ib_event_log_at(log, position);
        if (event->session_seq == 0) {
            continue;
        }
        EXPECT_EQUAL(event->session_seq, next[event->session]);
        if (position % 7 == 0) {
            EXPECT_EQUAL(ib_event_log_seek_session(log, event->session, event->session_seq), position);
        }
        next[event->session]++;
    }
    EXPECT_EQUAL(ib_event_log_seek_session(log, 1, next[1]), released);
    EXPECT_EQUAL(ib_event_log_seek_session(log, 900, 1), released);
    close_log(log);
}

static void a_full_log_is_a_status(void)
{
    uint32_t session_seqs[SESSIONS] = {0};
    struct ib_event_log *log = open_log(9);
    EXPECT(log != NULL);
    fill(log, 0, 9, session_seqs);
    EXPECT_EQUAL(ib_event_log_status(log), IB_OK);
    EXPECT_EQUAL(ib_event_log_room(log), 0);
    struct ib_event event = event_at(11);
    for (int i = 0; i < 3; i++) { /* they go nowhere */
        append(log, &event);
        EXPECT_EQUAL(ib_event_log_status(log), IB_ERROR_CAPACITY);
    }
    ib_event_log_publish(log);
    EXPECT_EQUAL(ib_event_log_room(log), 0);
    EXPECT_EQUAL(ib_event_log_release(log, UINT64_MAX), 9);
    close_log(log);
}

static void a_path_that_cannot_be_made_is_named(void)
{
    struct ib_event_log *log = NULL;
    EXPECT_EQUAL(ib_event_log_open(&log, "/proc/no/such/place", 10, error), IB_ERROR_IO);
    EXPECT(strstr(error, "/proc/no/such/place") != NULL);
    EXPECT(log == NULL);
    EXPECT_EQUAL(ib_event_log_open(&log, "x", 0, error), IB_ERROR_ARGUMENT);
}

/* No room on the disk must not become a SIGBUS at the first touch of a page. */
static char append_until_it_is_full(const char *name)
{
    struct ib_event_log *log = NULL;
    struct ib_event event = {.seq = 1, .session = IB_SESSION_NONE};
    int status = ib_event_log_open(&log, name, 200000, error);
    uint64_t appended = 0;
    while (status == IB_OK) {
        append(log, &event);
        status = ib_event_log_status(log);
        appended += status == IB_OK;
    }
    ib_event_log_close(log);
    return status == IB_ERROR_IO && appended >= 32768 && appended < 200000 ? 'y' : 'x';
}

static void a_full_disk_is_a_status(void)
{
    char result = on_a_small_disk(append_until_it_is_full);
    if (result == 'n') {
        printf("test_event_log: no mount namespace here: the full disk was not tried\n");
        return;
    }
    EXPECT_EQUAL(result, 'y');
}

/* ---- a log that begins behind a snapshot ---- */

static void begin_behind(uint64_t first)
{
    struct ib_event_log *log = open_log(CAPACITY);
    uint64_t end = first + 9000 < CAPACITY ? first + 9000 : CAPACITY;
    make_history(first);
    EXPECT_EQUAL(ib_event_log_begin_behind(log, &history), IB_OK);
    for (uint64_t position = first; position < end; position++) {
        append(log, &events[position]);
    }
    ib_event_log_publish(log);
    EXPECT_EQUAL(ib_event_log_status(log), IB_OK);
    EXPECT_EQUAL(ib_event_log_release(log, UINT64_MAX), end);
    EXPECT_EQUAL(ib_event_log_history_state(log), IB_HISTORY_COMING);
    /* What the log has itself is there at once, and nothing else is. */
    EXPECT_EQUAL(ib_event_log_find_after(log, 0, 0), IB_EVENT_LOG_NOT_THERE);
    EXPECT_EQUAL(ib_event_log_find_after(log, history.seq, history.index), first);
    for (uint64_t position = 0; position < end; position += 1 + position % 5) {
        const struct ib_event *event = &events[position];
        uint64_t found = ib_event_log_find_after(log, event->seq, event->index);
        EXPECT(found == (position + 1 < first ? IB_EVENT_LOG_NOT_THERE : position + 1));
        uint64_t sought = event->session_seq == 0 ? first
                                                  : ib_event_log_seek_session(log, event->session, event->session_seq);
        EXPECT((sought == IB_EVENT_LOG_NOT_THERE) == (event->session_seq != 0 && position < first));
        EXPECT(sought == IB_EVENT_LOG_NOT_THERE || event->session_seq == 0 || (sought >= first && sought <= position));
    }
    for (uint64_t position = 0; position < first;) {
        size_t count = first - position < 1000 ? (size_t)(first - position) : 1000;
        EXPECT_EQUAL(ib_event_log_fill(log, events + position, count), IB_OK);
        position += count;
    }
    EXPECT_EQUAL(ib_event_log_fill(log, events, 1), IB_ERROR_CAPACITY);
    EXPECT(ib_event_log_filled(log));
    EXPECT_EQUAL(ib_event_log_history_state(log), IB_HISTORY_COMPLETE);
    expect_whole(log, end);
    close_log(log);
}

static void it_begins_behind_a_snapshot_anywhere(void)
{
    static const uint64_t firsts[] = {1, 2, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 12345, 20480, 49999, 50000};
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        begin_behind(firsts[i]);
        EXPECT_SOUND();
    }
}

static void another_history_is_not_taken_for_it(void)
{
    for (unsigned wrong = 0; wrong < 3; wrong++) { /* one event short; another last one; another session's reports */
        struct ib_event_log *log = open_log(CAPACITY);
        make_history(100);
        history.seq += wrong == 1;
        history.session_seqs[2] += wrong == 2;
        EXPECT_EQUAL(ib_event_log_begin_behind(log, &history), IB_OK);
        EXPECT_EQUAL(ib_event_log_fill(log, events, wrong == 0 ? 99 : 100), IB_OK);
        EXPECT(!ib_event_log_filled(log));
        EXPECT_EQUAL(ib_event_log_history_state(log), IB_HISTORY_COMING);
        ib_event_log_lose_history(log);
        EXPECT_EQUAL(ib_event_log_find_after(log, 0, 0), IB_EVENT_LOG_NOT_THERE);
        EXPECT_EQUAL(ib_event_log_history_state(log), IB_HISTORY_LOST);
        close_log(log);
    }
    struct ib_event_log *log = open_log(99);
    make_history(100);
    EXPECT_EQUAL(ib_event_log_begin_behind(log, &history), IB_ERROR_CAPACITY);
    close_log(log);
}

static const struct test_case cases[] = {
    CASE(only_committed_events_are_released),
    CASE(consumers_resume_by_sequence_and_index),
    CASE(sessions_resume_at_their_own_number),
    CASE(a_full_log_is_a_status),
    CASE(a_path_that_cannot_be_made_is_named),
    CASE(a_full_disk_is_a_status),
    CASE(it_begins_behind_a_snapshot_anywhere),
    CASE(another_history_is_not_taken_for_it),
};

TEST_MAIN("test_event_log", cases)
