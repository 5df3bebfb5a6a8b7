/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_log_load.c: the event log while an engine recovers. Its events go into a buffer that stays in the cache, and
 * from there into the file, whole pages at a time: a write to a page that is new to a mapping costs as much as a dozen
 * events, and most of a recovery was spent on it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "event_log_internal.h"

/* 128 KiB, a part of the second-level cache; each ends where a page, a run and, every fourth time, a block does. */
enum { LOAD_EVENTS = 1024 };

_Static_assert(BLOCK_EVENTS % LOAD_EVENTS == 0 && LOAD_EVENTS % RUN_EVENTS == 0, "a block begins with a buffer");

static int write_whole(int fd, const void *data, size_t size, off_t offset)
{
    IB_ASSERT(fd >= 0);
    IB_ASSERT(data != NULL);
    for (size_t done = 0; done < size;) {
        ssize_t written = pwrite(fd, (const char *)data + done, size - done, offset + (off_t)done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return IB_ERROR_IO;
        }
        done += (size_t)written;
    }
    return IB_OK;
}

/* What is in the buffer goes into the file. */
static int flush(struct ib_event_log *log)
{
    IB_ASSERT(log->load != NULL);
    IB_ASSERT(log->sink.next >= log->load && log->sink.next <= log->sink.end);
    uint64_t count = (uint64_t)(log->sink.next - log->load);
    int status = write_whole(log->fd, log->load, count * sizeof *log->load, (off_t)(log->counted * sizeof *log->load));
    if (status == IB_OK) {
        ib_event_log_count(log, log->load, count);
        log->see(log->see_context, log->load, count);
    }
    return status;
}

/* The buffer for the events from `counted` on: up to where a whole one ends. */
static int begin(struct ib_event_log *log)
{
    IB_ASSERT(log->load != NULL);
    IB_ASSERT(log->counted <= log->capacity);
    if (log->counted == log->capacity) {
        return IB_ERROR_CAPACITY;
    }
    ib_event_log_begin_block(log);
    uint64_t room = log->capacity - log->counted;
    uint64_t part = LOAD_EVENTS - log->counted % LOAD_EVENTS;
    log->sink.next = log->load;
    log->sink.end = log->load + (room < part ? room : part);
    return IB_OK;
}

static void load_more(struct ib_event_sink *sink)
{
    struct ib_event_log *log = (struct ib_event_log *)(void *)sink;
    IB_ASSERT(sink->next == sink->end);
    int status = ib_event_log_status(log);
    if (status == IB_OK) {
        status = flush(log);
    }
    if (status == IB_OK) {
        status = begin(log);
    }
    if (status != IB_OK) {
        ib_event_log_lose(log, status);
    }
}

int ib_event_log_load(struct ib_event_log *log, ib_event_log_see see, void *context)
{
    IB_ASSERT(log != NULL && log->load == NULL);
    IB_ASSERT(see != NULL);
    IB_ASSERT(log->sink.next == log->sink.end && log->counted == log->begun); /* no event yet, but for a history */
    log->load = malloc(LOAD_EVENTS * sizeof *log->load);
    if (log->load == NULL) {
        return IB_ERROR_MEMORY;
    }
    log->see = see;
    log->see_context = context;
    log->sink = (struct ib_event_sink){.next = log->load, .end = log->load, .make_room = load_more};
    return IB_OK;
}

void ib_event_log_loaded(struct ib_event_log *log)
{
    IB_ASSERT(log != NULL && log->load != NULL);
    int status = ib_event_log_status(log);
    if (status == IB_OK) {
        status = flush(log);
    }
    free(log->load);
    log->load = NULL;
    if (status != IB_OK) {
        ib_event_log_lose(log, status);
        return;
    }
    ib_event_log_write_from(log, log->counted);
    ib_event_log_publish(log);
    IB_ASSERT(log->begun == log->counted);
}
