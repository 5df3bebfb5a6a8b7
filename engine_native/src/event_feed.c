/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * event_feed.c: see event_feed.h.
 */
#define _GNU_SOURCE
#include "event_feed.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "unix_socket.h"

enum {
    CONSUMERS = 32,
    HELLO_SIZE = 32,
    FEED_VERSION = 1,
    BYTES_A_TURN = 1 << 18, /* for one consumer, before the others and the orders have their turn */
};

/* Both little-endian, as they lie in memory. */
struct hello {
    char magic[8];
    uint32_t version, shard;
    uint64_t after_seq;
    uint32_t after_index, flags;
};

struct answer {
    char magic[8];
    uint32_t version, status, shard, epoch, event_size, reserved;
};

_Static_assert(sizeof(struct hello) == HELLO_SIZE, "feed layout");
_Static_assert(offsetof(struct hello, version) == 8, "feed layout");
_Static_assert(offsetof(struct hello, shard) == 12, "feed layout");
_Static_assert(offsetof(struct hello, after_seq) == 16, "feed layout");
_Static_assert(offsetof(struct hello, after_index) == 24, "feed layout");
_Static_assert(offsetof(struct hello, flags) == 28, "feed layout");
_Static_assert(sizeof(struct answer) == HELLO_SIZE, "feed layout");
_Static_assert(offsetof(struct answer, version) == 8, "feed layout");
_Static_assert(offsetof(struct answer, status) == 12, "feed layout");
_Static_assert(offsetof(struct answer, shard) == 16, "feed layout");
_Static_assert(offsetof(struct answer, epoch) == 20, "feed layout");
_Static_assert(offsetof(struct answer, event_size) == 24, "feed layout");
_Static_assert(offsetof(struct answer, reserved) == 28, "feed layout");

struct consumer {
    struct ib_unix_peer peer;
    struct ib_event_feed *feed;
    uint8_t hello[HELLO_SIZE];
    uint32_t hello_size;
    bool streaming;
    bool waits; /* for the log's history: where it goes on is not there yet */
    uint64_t sent; /* bytes of the whole log, as this consumer has them */
};

struct ib_event_feed {
    struct ib_io_loop *loop;
    const struct ib_sequencer *sequencer;
    const struct ib_event_log *log;
    uint32_t shard, epoch;
    struct ib_unix_listener listener;
    struct consumer consumers[CONSUMERS];
};

static const char magic[8] = {'I', 'B', 'E', 'V', 'L', 'O', 'G', '1'};

/* Where a consumer goes on. False when that is in a history which is not there yet; one that will never be there ends
 * the connection. */
static bool find_place(struct consumer *consumer)
{
    const struct ib_event_feed *feed = consumer->feed;
    struct hello hello;
    IB_ASSERT(consumer->hello_size == sizeof hello && consumer->peer.handler.fd >= 0);
    memcpy(&hello, consumer->hello, sizeof hello);
    uint64_t position = ib_event_log_find_after(feed->log, hello.after_seq, hello.after_index);
    consumer->waits = position == IB_EVENT_LOG_NOT_THERE;
    if (consumer->waits) {
        if (ib_event_log_history_state(feed->log) == IB_HISTORY_LOST) {
            ib_io_drop(&consumer->peer.handler);
        }
        return false;
    }
    IB_ASSERT(position <= ib_event_log_released(feed->log));
    consumer->sent = position * sizeof(struct ib_event);
    return true;
}

/* Sends as much as the socket takes; leaves EPOLLOUT set while there is more than that. */
static void send_events(struct consumer *consumer)
{
    const struct ib_event_feed *feed = consumer->feed;
    if (consumer->waits && !find_place(consumer)) {
        return;
    }
    uint64_t end = ib_event_log_released(feed->log) * sizeof(struct ib_event);
    uint64_t turn_end = consumer->sent + BYTES_A_TURN < end ? consumer->sent + BYTES_A_TURN : end;
    IB_ASSERT(consumer->streaming && !consumer->waits && consumer->sent <= end);
    IB_ASSERT(consumer->peer.handler.fd >= 0);
    while (consumer->sent < turn_end) {
        const struct ib_event *event = ib_event_log_at(feed->log, consumer->sent / sizeof(struct ib_event));
        const uint8_t *bytes = (const uint8_t *)event + consumer->sent % sizeof(struct ib_event);
        ssize_t sent = send(consumer->peer.handler.fd, bytes, turn_end - consumer->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN) {
                ib_io_drop(&consumer->peer.handler);
                return;
            }
            break;
        }
        consumer->sent += (uint64_t)sent;
    }
    ib_io_change(feed->loop, &consumer->peer.handler, EPOLLIN | (consumer->sent < end ? (uint32_t)EPOLLOUT : 0));
}

/* What a consumer asked for, judged. */
static enum ib_status judge(const struct ib_event_feed *feed, const struct hello *hello)
{
    IB_ASSERT(feed->sequencer->released_seq <= feed->sequencer->seq);
    if (memcmp(hello->magic, magic, sizeof magic) != 0 || hello->version != FEED_VERSION || hello->flags != 0) {
        return IB_ERROR_ARGUMENT;
    }
    if (hello->shard != feed->shard) {
        return IB_ERROR_JOURNAL_FOREIGN;
    }
    /* It has seen more than this journal holds: another journal's consumer. Sending on would skip events. */
    if (hello->after_seq > feed->sequencer->released_seq) {
        return IB_ERROR_ARGUMENT;
    }
    bool is_lost = ib_event_log_history_state(feed->log) == IB_HISTORY_LOST &&
                   ib_event_log_find_after(feed->log, hello->after_seq, hello->after_index) == IB_EVENT_LOG_NOT_THERE;
    return is_lost ? IB_ERROR_CAPACITY : IB_OK;
}

static void greet(struct consumer *consumer)
{
    const struct ib_event_feed *feed = consumer->feed;
    struct hello hello;
    IB_ASSERT(!consumer->streaming);
    IB_ASSERT(consumer->hello_size == sizeof hello);
    memcpy(&hello, consumer->hello, sizeof hello);
    enum ib_status status = judge(feed, &hello);
    struct answer answer = {.version = FEED_VERSION,
                            .status = (uint32_t)status,
                            .shard = feed->shard,
                            .epoch = feed->epoch,
                            .event_size = sizeof(struct ib_event)};
    memcpy(answer.magic, magic, sizeof magic);
    /* The first bytes into an empty socket buffer: they fit, or the consumer is gone. */
    ssize_t sent = send(consumer->peer.handler.fd, &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)sizeof answer || status != IB_OK) {
        ib_io_drop(&consumer->peer.handler);
        return;
    }
    consumer->streaming = consumer->peer.has_claim = true; /* however slowly it reads */
    consumer->waits = true;
    send_events(consumer);
}

static void consumer_ready(void *owner, uint32_t events)
{
    struct consumer *consumer = owner;
    IB_ASSERT(consumer->peer.handler.fd >= 0);
    IB_ASSERT(consumer->streaming == (consumer->hello_size == HELLO_SIZE));
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        uint8_t more[HELLO_SIZE];
        size_t want = consumer->streaming ? 1 : HELLO_SIZE - consumer->hello_size;
        ssize_t size = recv(consumer->peer.handler.fd, more, want, MSG_DONTWAIT);
        if (size <= 0 ? !(size < 0 && (errno == EAGAIN || errno == EINTR)) : consumer->streaming) {
            ib_io_drop(&consumer->peer.handler); /* it left, or it talks where it has only to listen */
            return;
        }
        if (size > 0) {
            memcpy(consumer->hello + consumer->hello_size, more, (size_t)size);
            consumer->hello_size += (uint32_t)size;
            if (consumer->hello_size == HELLO_SIZE) {
                greet(consumer);
                return;
            }
        }
    }
    if (consumer->streaming) {
        send_events(consumer);
    }
}

static void consumer_begins(void *owner)
{
    struct consumer *consumer = owner;
    IB_ASSERT(consumer->feed != NULL);
    consumer->streaming = consumer->waits = false;
    consumer->hello_size = 0;
}

int ib_event_feed_open(struct ib_event_feed **feed, const char *run_directory, uint32_t shard, uint64_t epoch,
                       struct ib_io_loop *loop, const struct ib_sequencer *sequencer, const struct ib_event_log *log,
                       char *error)
{
    IB_ASSERT(run_directory != NULL && error != NULL);
    IB_ASSERT(feed != NULL && loop != NULL && sequencer != NULL && log != NULL);
    *feed = NULL;
    struct ib_event_feed *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return IB_ERROR_MEMORY;
    }
    self->loop = loop;
    self->sequencer = sequencer;
    self->log = log;
    self->shard = shard;
    self->epoch = (uint32_t)epoch;
    for (int i = 0; i < CONSUMERS; i++) {
        self->consumers[i].feed = self;
    }
    self->listener = (struct ib_unix_listener){.loop = loop,
                                               .name = "events.sock",
                                               .places = (char *)self->consumers,
                                               .size = sizeof self->consumers[0],
                                               .count = CONSUMERS,
                                               .begin = consumer_begins};
    int status = ib_unix_open(&self->listener, run_directory, consumer_ready, error);
    if (status != IB_OK) {
        ib_event_feed_close(self);
        return status;
    }
    *feed = self;
    return IB_OK;
}

void ib_event_feed_close(struct ib_event_feed *feed)
{
    if (feed == NULL) {
        return;
    }
    ib_unix_close(&feed->listener);
    free(feed);
}

void ib_event_feed_progress(struct ib_event_feed *feed)
{
    IB_ASSERT(feed != NULL);
    for (int i = 0; i < CONSUMERS; i++) {
        struct consumer *consumer = &feed->consumers[i];
        /* One whose socket is full is served when it takes data again. */
        if (consumer->peer.handler.fd >= 0 && consumer->streaming &&
            (consumer->peer.handler.interest & EPOLLOUT) == 0) {
            send_events(consumer);
        }
    }
}

uint32_t ib_event_feed_consumer_count(const struct ib_event_feed *feed)
{
    IB_ASSERT(feed != NULL);
    uint32_t count = 0;
    for (int i = 0; i < CONSUMERS; i++) {
        count += feed->consumers[i].peer.handler.fd >= 0 ? 1 : 0;
    }
    return count;
}
