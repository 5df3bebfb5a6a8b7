/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * small_event_log.h: events as a log has them, a log that is asked for each of them, and a disk that is too small. For
 * the tests of the event log.
 */
#ifndef IB_TEST_SMALL_EVENT_LOG_H
#define IB_TEST_SMALL_EVENT_LOG_H

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "event_log.h"
#include "test.h"

enum { CAPACITY = 50000, SESSIONS = 5 };

static char directory[256];
static char path[300];
static char error[IB_ERROR_TEXT_SIZE];

static inline struct ib_event_log *open_log(uint64_t capacity)
{
    struct ib_event_log *log = NULL;
    test_make_directory(directory);
    (void)snprintf(path, sizeof path, "%s/events", directory);
    (void)ib_event_log_open(&log, path, capacity, error);
    return log;
}

static inline void close_log(struct ib_event_log *log)
{
    ib_event_log_close(log);
    if (access(path, F_OK) == 0) {
        fprintf(stderr, "the file was not removed\n");
        exit(2);
    }
    test_remove_directory(directory);
}

/* Event `position`: three for each sequence number, two of them reports. */
static inline struct ib_event event_at(uint64_t position)
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
static inline void append(struct ib_event_log *log, const struct ib_event *event)
{
    struct ib_event_sink *sink = ib_event_log_sink(log);
    if (sink->next == sink->end) {
        sink->make_room(sink);
    }
    *sink->next++ = *event;
}

/* A tmpfs of 5 MiB in a mount namespace of its own holds some 40,000 events, not all. `run` says 'y' when all was as it
 * should be; the answer is that, or 'n' where namespaces are not allowed. */
static inline int write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    int written = file != NULL && fputs(text, file) >= 0;
    return file != NULL && fclose(file) == 0 && written;
}

static inline char try_on_a_small_disk(char (*run)(const char *path))
{
    char result = 'n';
    char map[64];
    char group_map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    (void)snprintf(group_map, sizeof group_map, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", map) &&
        write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", group_map) &&
        mount("small", "/mnt", "tmpfs", 0, "size=5m") == 0) {
        result = run("/mnt/events");
    }
    return result;
}

static inline char on_a_small_disk(char (*run)(const char *path))
{
    int ends[2];
    char result = 'x';
    if (pipe(ends) != 0) {
        return result;
    }
    pid_t child = fork();
    if (child == 0) {
        result = try_on_a_small_disk(run);
        _exit(write(ends[1], &result, 1) == 1 ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &result, 1) != 1) {
        result = 'x';
    }
    close(ends[0]);
    (void)waitpid(child, NULL, 0);
    return result;
}

static struct ib_event events[CAPACITY]; /* as a whole log has them */
static struct ib_event_log_history history;

/* The whole log's events, and what was before the event `first`. */
static inline void make_history(uint64_t first)
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
static inline void expect_whole(const struct ib_event_log *log, uint64_t end)
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

#endif
