/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_event_log.c: publishing, releasing, finding and resuming; a full log and a full disk are statuses.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "event_log.h"
#include "test.h"

enum { CAPACITY = 50000, SESSIONS = 5 };

static char directory[256];
static char path[300];
static char error[IB_ERROR_TEXT_SIZE];

static struct ib_event_log *open_log(uint64_t capacity)
{
    struct ib_event_log *log = NULL;
    test_make_directory(directory);
    (void)snprintf(path, sizeof path, "%s/events", directory);
    (void)ib_event_log_open(&log, path, capacity, error);
    return log;
}

static void close_log(struct ib_event_log *log)
{
    ib_event_log_close(log);
    if (access(path, F_OK) == 0) {
        fprintf(stderr, "the file was not removed\n");
        exit(2);
    }
    test_remove_directory(directory);
}

/* Event `position`: three for each sequence number, two of them reports. */
static struct ib_event event_at(uint64_t position)
{
    struct ib_event event = {
        .seq = position / 3 + 1,
        .index = (uint32_t)(position % 3),
        .session = IB_SESSION_NONE,
        .order_ref = position,
    };
    if (event.index < 2) {
        event.session = (uint16_t)((event.seq + event.index) % SESSIONS);
    }
    return event;
}

/* As the matcher does it. */
static void append(struct ib_event_log *log, const struct ib_event *event)
{
    struct ib_event_sink *sink = ib_event_log_sink(log);
    if (sink->next == sink->end) {
        sink->make_room(sink);
    }
    *sink->next++ = *event;
}

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

/* No room on the disk must not become a SIGBUS at the first touch of a page: a tmpfs of 5 MiB in a mount namespace of
 * its own holds some 40,000 events, not all. Where namespaces are not allowed the case says so. */
static int write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    int written = file != NULL && fputs(text, file) >= 0;
    return file != NULL && fclose(file) == 0 && written;
}

static void on_a_small_disk(int result_fd)
{
    char result = 'n';
    char map[64];
    char group_map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    (void)snprintf(group_map, sizeof group_map, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", map) &&
        write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", group_map) &&
        mount("small", "/mnt", "tmpfs", 0, "size=5m") == 0) {
        struct ib_event_log *log = NULL;
        struct ib_event event = {.seq = 1, .session = IB_SESSION_NONE};
        int status = ib_event_log_open(&log, "/mnt/events", 200000, error);
        uint64_t appended = 0;
        while (status == IB_OK) {
            append(log, &event);
            status = ib_event_log_status(log);
            appended += status == IB_OK;
        }
        result = status == IB_ERROR_IO && appended >= 32768 && appended < 200000 ? 'y' : 'x';
        ib_event_log_close(log);
    }
    _exit(write(result_fd, &result, 1) == 1 ? 0 : 1);
}

static void a_full_disk_is_a_status(void)
{
    int ends[2];
    char result = 'x';
    EXPECT_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        on_a_small_disk(ends[1]);
    }
    close(ends[1]);
    EXPECT_EQUAL(read(ends[0], &result, 1), 1);
    close(ends[0]);
    (void)waitpid(child, NULL, 0);
    if (result == 'n') {
        printf("test_event_log: no mount namespace here: the full disk was not tried\n");
        return;
    }
    EXPECT_EQUAL(result, 'y');
}

/* ---- a log that begins behind a snapshot ---- */

static struct ib_event events[CAPACITY]; /* as a whole log has them */
static struct ib_event_log_history history;

/* The whole log's events, and what was before the event `first`. */
static void make_history(uint64_t first)
{
    uint32_t session_seqs[SESSIONS] = {0};
    memset(&history, 0, sizeof history);
    for (uint64_t position = 0; position < CAPACITY; position++) {
        events[position] = event_at(position);
        if (events[position].session != IB_SESSION_NONE) {
            events[position].session_seq = ++session_seqs[events[position].session];
        }
        if (position + 1 == first) {
            history = (struct ib_event_log_history){
                .count = first, .seq = events[position].seq, .index = events[position].index};
            memcpy(history.session_seqs, session_seqs, sizeof session_seqs);
        }
    }
}

/* What every reader sees of a log that has all events up to `end`. */
static void expect_whole(const struct ib_event_log *log, uint64_t end)
{
    for (uint64_t position = 0; position < end; position += 1 + position % 7) {
        const struct ib_event *event = &events[position];
        EXPECT(memcmp(ib_event_log_at(log, position), event, sizeof *event) == 0);
        EXPECT_EQUAL(ib_event_log_find_after(log, event->seq, event->index), position + 1);
        if (event->session_seq != 0) {
            uint64_t at = ib_event_log_seek_session(log, event->session, event->session_seq);
            EXPECT(at <= position);
            while (events[at].session != event->session || events[at].session_seq < event->session_seq) {
                at++;
            }
            EXPECT_EQUAL(at, position);
        }
    }
    EXPECT_EQUAL(ib_event_log_find_after(log, 0, 0), 0);
}

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
