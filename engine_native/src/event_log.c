/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_log.c: see event_log.h.
 *
 *   file:         | event 0 | event 1 | …  released … written … | sink: next … end | reserved blocks | sparse → end
 *   checkpoints:  for each 4,096 events, how many reports each session had before them
 */
#define _GNU_SOURCE
#include "event_log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "memory.h"
#include "layout.h"

static size_t checkpoint_bytes(uint64_t capacity)
{
    IB_ASSERT(capacity > 0);
    IB_ASSERT(capacity <= UINT32_MAX);
    return (capacity / BLOCK_EVENTS + 1) * IB_SESSIONS_MAX * sizeof(uint32_t);
}

static int refuse(char *error, const char *path, const char *what)
{
    IB_ASSERT(error != NULL);
    IB_ASSERT(errno != 0);
    (void)snprintf(error, IB_ERROR_TEXT_SIZE, "%.200s: cannot %s the event log: %s", path, what, strerror(errno));
    return IB_ERROR_IO;
}

static int map_file(struct ib_event_log *log, char *error)
{
    IB_ASSERT(log->path != NULL);
    IB_ASSERT(log->events == NULL);
    log->fd = open(log->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0) {
        return refuse(error, log->path, "make");
    }
    size_t bytes = log->capacity * sizeof *log->events;
    if (ftruncate(log->fd, (off_t)bytes) != 0) {
        return refuse(error, log->path, "size");
    }
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, log->fd, 0);
    if (mapped == MAP_FAILED) {
        return refuse(error, log->path, "map");
    }
    log->events = mapped;
    log->checkpoints = ib_memory_reserve(checkpoint_bytes(log->capacity));
    return log->checkpoints == NULL ? IB_ERROR_MEMORY : IB_OK;
}

int ib_event_log_open(struct ib_event_log **log, const char *path, uint64_t capacity, char *error)
{
    if (log == NULL || path == NULL || error == NULL || capacity == 0 || capacity > UINT32_MAX) {
        return IB_ERROR_ARGUMENT;
    }
    error[0] = '\0';
    *log = NULL;
    struct ib_event_log *opened = aligned_alloc(CACHE_LINE, sizeof *opened);
    if (opened == NULL) {
        return IB_ERROR_MEMORY;
    }
    memset(opened, 0, sizeof *opened);
    opened->fd = -1;
    opened->capacity = capacity;
    opened->path = strdup(path);
    int status = opened->path == NULL ? IB_ERROR_MEMORY : map_file(opened, error);
    if (status != IB_OK) {
        ib_event_log_close(opened);
        return status;
    }
    ib_event_log_write_from(opened, 0);
    *log = opened;
    return IB_OK;
}

void ib_event_log_close(struct ib_event_log *log)
{
    if (log == NULL) {
        return;
    }
    if (log->events != NULL) {
        (void)munmap(log->events, log->capacity * sizeof *log->events);
    }
    ib_memory_release(log->checkpoints, checkpoint_bytes(log->capacity));
    free(log->filled_seqs);
    free(log->load);
    if (log->fd >= 0) {
        close(log->fd);
        (void)unlink(log->path);
    }
    free(log->path);
    free(log);
}

/* ---- writer ---- */

/* Gets blocks for the next stretch of the file. Without them a full disk would be a SIGBUS in the middle of an
 * event. */
static int reserve(struct ib_event_log *log)
{
    IB_ASSERT(log->reserved < log->capacity);
    IB_ASSERT(log->fd >= 0);
    uint64_t target = log->reserved + RESERVE_EVENTS < log->capacity ? log->reserved + RESERVE_EVENTS : log->capacity;
    off_t from = (off_t)(log->reserved * sizeof *log->events);
    off_t size = (off_t)((target - log->reserved) * sizeof *log->events);
    int result = posix_fallocate(log->fd, from, size); /* the error itself, not -1 */
    if (result != 0) {
        errno = result;
        return IB_ERROR_IO;
    }
    log->reserved = target;
    return IB_OK;
}

void ib_event_log_count(struct ib_event_log *log, const struct ib_event *events, uint64_t count)
{
    IB_ASSERT(events != NULL);
    IB_ASSERT(log->counted + count <= log->capacity);
    for (uint64_t i = 0; i < count; i++) {
        const struct ib_event *event = &events[i];
        IB_ASSERT((event->session == IB_SESSION_NONE) == (event->session_seq == 0) && event->seq > 0);
        if (event->session_seq != 0) {
            IB_ASSERT(event->session < IB_SESSIONS_MAX);
            IB_ASSERT(event->session_seq == log->session_seqs[event->session] + 1);
            log->session_seqs[event->session] = event->session_seq;
        }
    }
    log->counted += count;
}

void ib_event_log_begin_block(struct ib_event_log *log)
{
    IB_ASSERT(log->counted <= log->capacity);
    if (log->counted % BLOCK_EVENTS == 0) {
        memcpy(log->checkpoints + log->counted / BLOCK_EVENTS * IB_SESSIONS_MAX, log->session_seqs,
               sizeof log->session_seqs);
    }
}

void ib_event_log_lose(struct ib_event_log *log, int status)
{
    IB_ASSERT(status != IB_OK);
    if (ib_event_log_status(log) == IB_OK) {
        atomic_store_explicit(&log->status, status, memory_order_release);
    }
    log->sink.next = &log->nowhere;
    log->sink.end = log->sink.next + 1;
}

/* Room for the run that begins at `position`. IB_ERROR_CAPACITY or IB_ERROR_IO (disk full): there is none. */
static int begin_run(struct ib_event_log *log, uint64_t position)
{
    IB_ASSERT(position % RUN_EVENTS == 0 || position == log->capacity || position == log->begun);
    IB_ASSERT(position <= log->reserved || position == log->begun);
    IB_ASSERT(position == log->counted);
    if (position == log->capacity) {
        return IB_ERROR_CAPACITY;
    }
    if (position >= log->reserved) {
        int status = reserve(log);
        if (status != IB_OK) {
            return status;
        }
    }
    ib_event_log_begin_block(log);
    uint64_t room = log->capacity - position;
    uint64_t run = RUN_EVENTS - position % RUN_EVENTS;
    log->sink.end = log->sink.next + (room < run ? room : run);
    return IB_OK;
}

/* The run is full, and one more event comes. */
static void make_room(struct ib_event_sink *sink)
{
    struct ib_event_log *log = (struct ib_event_log *)(void *)sink;
    IB_ASSERT(sink->next == sink->end && log->load == NULL);
    int status = ib_event_log_status(log);
    if (status == IB_OK) {
        uint64_t position = (uint64_t)(sink->next - log->events);
        ib_event_log_count(log, log->events + log->counted, position - log->counted);
        status = begin_run(log, position);
        if (status == IB_OK) {
            return;
        }
    }
    ib_event_log_lose(log, status);
}

void ib_event_log_write_from(struct ib_event_log *log, uint64_t position)
{
    IB_ASSERT(position <= log->capacity && log->load == NULL);
    IB_ASSERT(position == log->counted);
    log->begun = position;
    log->reserved = position / RESERVE_EVENTS * RESERVE_EVENTS; /* what is behind it may lack blocks */
    /* No room yet: a disk is asked for the first time by an event. */
    log->sink = (struct ib_event_sink){
        .next = log->events + position, .end = log->events + position, .make_room = make_room};
}

struct ib_event_sink *ib_event_log_sink(struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    IB_ASSERT((void *)&log->sink == (void *)log);
    return &log->sink;
}

int ib_event_log_status(const struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    return atomic_load_explicit(&log->status, memory_order_acquire);
}

const struct ib_event *ib_event_log_unpublished(const struct ib_event_log *log, size_t *count)
{
    IB_ASSERT(log != NULL && count != NULL && log->load == NULL);
    uint64_t written = atomic_load_explicit(&log->written, memory_order_relaxed);
    bool is_whole = ib_event_log_status(log) == IB_OK; /* otherwise the sink is nowhere */
    *count = is_whole ? (size_t)(log->sink.next - log->events) - written : 0;
    return &log->events[written];
}

void ib_event_log_publish(struct ib_event_log *log)
{
    IB_ASSERT(log != NULL && log->load == NULL);
    if (IB_LIKELY(ib_event_log_status(log) == IB_OK)) {
        uint64_t count = (uint64_t)(log->sink.next - log->events);
        IB_ASSERT(count >= atomic_load_explicit(&log->written, memory_order_relaxed));
        atomic_store_explicit(&log->written, count, memory_order_release);
    }
}

uint64_t ib_event_log_room(const struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    return log->capacity - atomic_load_explicit(&log->written, memory_order_acquire);
}

/* ---- releaser ---- */

uint64_t ib_event_log_release(struct ib_event_log *log, uint64_t commit_seq)
{
    IB_ASSERT(log != NULL);
    uint64_t released = atomic_load_explicit(&log->released, memory_order_relaxed);
    uint64_t written = atomic_load_explicit(&log->written, memory_order_acquire);
    IB_ASSERT(released <= written);
    if (released < written && log->events[written - 1].seq <= commit_seq) {
        released = written; /* the usual case: the journal is not behind the matcher */
    }
    while (released < written && log->events[released].seq <= commit_seq) {
        released++;
    }
    atomic_store_explicit(&log->released, released, memory_order_release);
    return released;
}

/* ---- history ---- */

int ib_event_log_begin_behind(struct ib_event_log *log, const struct ib_event_log_history *history)
{
    IB_ASSERT(log->history.count == 0 && log->sink.next == log->events);
    IB_ASSERT(atomic_load_explicit(&log->written, memory_order_relaxed) == 0);
    if (history->count > log->capacity) {
        return IB_ERROR_CAPACITY;
    }
    log->filled_seqs = calloc(IB_SESSIONS_MAX, sizeof *log->filled_seqs);
    if (log->filled_seqs == NULL) {
        return IB_ERROR_MEMORY;
    }
    log->history = *history;
    memcpy(log->session_seqs, history->session_seqs, sizeof log->session_seqs);
    log->counted = history->count;
    ib_event_log_write_from(log, history->count);
    atomic_store(&log->history_state, history->count > 0 ? IB_HISTORY_COMING : IB_HISTORY_COMPLETE);
    atomic_store(&log->written, history->count);
    atomic_store(&log->released, history->count);
    return IB_OK;
}

const struct ib_event_log_history *ib_event_log_history(const struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    IB_ASSERT(log->history.count <= log->capacity);
    return &log->history;
}

enum ib_history_state ib_event_log_history_state(const struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    return (enum ib_history_state)atomic_load_explicit(&log->history_state, memory_order_acquire);
}

/* The first event that readers may see. */
static uint64_t first_there(const struct ib_event_log *log)
{
    IB_ASSERT(log->history.count <= log->capacity);
    return ib_event_log_history_state(log) == IB_HISTORY_COMPLETE ? 0 : log->history.count;
}

int ib_event_log_fill(struct ib_event_log *log, const struct ib_event *events, size_t count)
{
    IB_ASSERT(events != NULL || count == 0);
    IB_ASSERT(log->filled <= log->history.count);
    if (count > log->history.count - log->filled) {
        return IB_ERROR_CAPACITY;
    }
    off_t from = (off_t)(log->filled * sizeof *events);
    int result = count == 0 ? 0 : posix_fallocate(log->fd, from, (off_t)(count * sizeof *events));
    if (result != 0) {
        errno = result;
        return IB_ERROR_IO;
    }
    for (size_t i = 0; i < count; i++, log->filled++) {
        if (log->filled % BLOCK_EVENTS == 0) {
            memcpy(log->checkpoints + log->filled / BLOCK_EVENTS * IB_SESSIONS_MAX, log->filled_seqs,
                   IB_SESSIONS_MAX * sizeof *log->filled_seqs);
        }
        if (events[i].session_seq != 0) {
            IB_ASSERT(events[i].session < IB_SESSIONS_MAX);
            log->filled_seqs[events[i].session] = events[i].session_seq;
        }
        log->events[log->filled] = events[i];
    }
    return IB_OK;
}

bool ib_event_log_filled(struct ib_event_log *log)
{
    const struct ib_event_log_history *history = &log->history;
    IB_ASSERT(ib_event_log_history_state(log) == IB_HISTORY_COMING && history->count > 0);
    if (log->filled != history->count ||
        memcmp(log->filled_seqs, history->session_seqs, sizeof history->session_seqs) != 0 ||
        log->events[history->count - 1].seq != history->seq ||
        log->events[history->count - 1].index != history->index) {
        return false;
    }
    atomic_store_explicit(&log->history_state, IB_HISTORY_COMPLETE, memory_order_release);
    return true;
}

void ib_event_log_lose_history(struct ib_event_log *log)
{
    IB_ASSERT(ib_event_log_history_state(log) == IB_HISTORY_COMING);
    IB_ASSERT(log->history.count > 0);
    atomic_store_explicit(&log->history_state, IB_HISTORY_LOST, memory_order_release);
}

/* ---- readers ---- */

uint64_t ib_event_log_released(const struct ib_event_log *log)
{
    IB_ASSERT(log != NULL);
    return atomic_load_explicit(&log->released, memory_order_acquire);
}

const struct ib_event *ib_event_log_at(const struct ib_event_log *log, uint64_t position)
{
    IB_ASSERT(log != NULL);
    IB_ASSERT(position < ib_event_log_released(log) && position >= first_there(log));
    return &log->events[position];
}

uint64_t ib_event_log_find_after(const struct ib_event_log *log, uint64_t seq, uint32_t index)
{
    IB_ASSERT(log != NULL);
    uint64_t low = first_there(log);
    uint64_t high = ib_event_log_released(log);
    const struct ib_event_log_history *history = &log->history;
    if (low > 0 && (seq < history->seq || (seq == history->seq && index < history->index))) {
        return IB_EVENT_LOG_NOT_THERE;
    }
    if (seq == 0) {
        return 0; /* no event has sequence 0: from the start */
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct ib_event *event = &log->events[middle];
        if (event->seq < seq || (event->seq == seq && event->index <= index)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t ib_event_log_seek_session(const struct ib_event_log *log, uint16_t session, uint32_t session_seq)
{
    IB_ASSERT(log != NULL);
    uint64_t released = ib_event_log_released(log);
    if (session >= IB_SESSIONS_MAX || released == 0) {
        return released;
    }
    uint64_t first = first_there(log);
    if (first > 0 && session_seq <= log->history.session_seqs[session]) {
        return IB_EVENT_LOG_NOT_THERE;
    }
    uint64_t low = first / BLOCK_EVENTS; /* the report is not before it; any other's checkpoint is below session_seq */
    uint64_t high = (released + BLOCK_EVENTS - 1) / BLOCK_EVENTS;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (log->checkpoints[middle * IB_SESSIONS_MAX + session] < session_seq) {
            low = middle;
        } else {
            high = middle;
        }
    }
    uint64_t position = low * BLOCK_EVENTS < first ? first : low * BLOCK_EVENTS;
    while (position < released &&
           (log->events[position].session != session || log->events[position].session_seq < session_seq)) {
        position++;
    }
    return position;
}

enum ib_history_state ib_event_log_resume(const struct ib_event_log *log, uint16_t session, uint32_t session_seq,
                                          uint64_t *cursor)
{
    IB_ASSERT(cursor != NULL && session_seq >= 1);
    if (*cursor != IB_EVENT_LOG_NOT_THERE) {
        return IB_HISTORY_COMPLETE;
    }
    enum ib_history_state state = ib_event_log_history_state(log); /* first: it may be completed meanwhile */
    *cursor = ib_event_log_seek_session(log, session, session_seq);
    IB_ASSERT(state != IB_HISTORY_COMPLETE || *cursor != IB_EVENT_LOG_NOT_THERE);
    return *cursor != IB_EVENT_LOG_NOT_THERE ? IB_HISTORY_COMPLETE : state;
}
