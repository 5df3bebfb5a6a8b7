/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link_world.h: two or three members' connections in one process, over loopback, with a clock that a test moves on; and
 * whoever calls them with a socket of its own. For test_replica_link*.c.
 */
#ifndef IB_TEST_LINK_WORLD_H
#define IB_TEST_LINK_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "ironbook.h"
#include "replica_frame.h"
#include "replica_link.h"
#include "replica_links.h"
#include "replica_peer.h"
#include "test.h"

#define KEY "correct horse battery"

enum { SHARD = 7, ORDERS = 64, MEMBERS = 3, RETRY_MS = 20, HEARD_MAX = 8192 };

struct side { /* one member, and what it was told */
    struct ib_io_loop loop;
    struct ib_links *links;
    struct ib_engine_replication replication;
    unsigned connected[IB_REPLICA_MEMBERS_MAX], disconnected[IB_REPLICA_MEMBERS_MAX];
    unsigned received, damaged;
    uint64_t numbers[HEARD_MAX];
    uint8_t from[HEARD_MAX];
    int drops; /* ends all of its connections when somebody sends it something */
};

static struct side sides[MEMBERS];
static struct ib_engine_member members[MEMBERS];
static uint64_t later_ns; /* the only clock there is */

int clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)clock;
    time->tv_sec = (time_t)(1000 + later_ns / 1000000000u);
    time->tv_nsec = (long)(later_ns % 1000000000u);
    return 0;
}

#define sleep_ms(ms) ((void)(later_ns += (ms) * (uint64_t)1000000)) /* nobody sleeps */

static inline void told_connected(void *context, unsigned peer)
{
    struct side *side = context;
    side->connected[peer]++;
}

static inline void told_disconnected(void *context, unsigned peer)
{
    struct side *side = context;
    side->disconnected[peer]++;
}

static inline void told_received(void *context, unsigned peer, const uint8_t *frame, size_t size)
{
    static struct ib_replica_entry entries[IB_REPLICA_BATCH_MAX];
    struct side *side = context;
    struct ib_replica_frame read;
    if (!ib_replica_frame_read(frame, size, &read, entries)) {
        side->damaged++;
    } else if (side->received < HEARD_MAX) {
        side->numbers[side->received] = read.number;
        side->from[side->received++] = (uint8_t)peer;
    }
    for (unsigned i = 0; side->drops && i < MEMBERS; i++) {
        if (side != &sides[i]) {
            ib_links_drop(side->links, i, NULL);
        }
    }
}

static inline uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)bind(fd, (const struct sockaddr *)&address, size);
    (void)getsockname(fd, (struct sockaddr *)&address, &size);
    close(fd);
    return ntohs(address.sin_port);
}

static inline int open_side(unsigned member, uint32_t shard, const char *key, char *error)
{
    struct side *side = &sides[member];
    const struct ib_links_hooks hooks = {side, told_connected, told_disconnected, told_received};
    memset(side, 0, sizeof *side);
    side->replication = (struct ib_engine_replication){
        .members = members, .member_count = MEMBERS, .key = key, .silence_ms = 5000, .retry_ms = RETRY_MS};
    const struct ib_links_config config = {
        .shard = shard, .orders = ORDERS, .member = (uint8_t)member, .replication = &side->replication};
    int status = ib_io_loop_open(&side->loop);
    return status == IB_OK ? ib_links_open(&side->links, &config, &side->loop, hooks, error) : status;
}

static inline void close_sides(void)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (sides[i].links != NULL) {
            ib_links_close(sides[i].links);
            ib_io_loop_close(&sides[i].loop);
            sides[i].links = NULL;
        }
    }
}

static inline void begin(void)
{
    memset(sides, 0, sizeof sides);
    sleep_ms(60000); /* nothing of the case before counts */
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = (struct ib_engine_member){.host = "127.0.0.1", .port = free_port()};
    }
}

/* The first `count` members, with the same shard and key. */
static inline void open_sides(unsigned count)
{
    char error[IB_ERROR_TEXT_SIZE];
    begin();
    for (unsigned i = 0; i < count; i++) {
        EXPECT_EQUAL(open_side(i, SHARD, KEY, error), IB_OK);
    }
}

/* Some turns of each, with ticks, as an engine has them, a millisecond each. */
static inline void turns(int count)
{
    for (int turn = 0; turn < count; turn++) {
        sleep_ms(1);
        for (unsigned i = 0; i < MEMBERS; i++) {
            if (sides[i].links != NULL) {
                (void)ib_io_turn(&sides[i].loop, i == 0); /* what was sent may take a moment */
                ib_links_tick(sides[i].links);
                ib_links_flush(sides[i].links);
            }
        }
    }
}

/* For what has to come, at whatever speed. */
#define EXPECT_SOON(condition)                                       \
    do {                                                             \
        for (int soon = 0; soon < 1500 && !(condition); soon++) {    \
            turns(1);                                                \
        }                                                            \
        EXPECT(condition);                                           \
    } while (0)

/* Until two members have found each other for the so-manieth time. */
static inline int comes(unsigned member, unsigned peer, unsigned times)
{
    const struct side *one = &sides[member], *other = &sides[peer];
    for (int i = 0; i < 600 && (one->connected[peer] < times || other->connected[member] == 0); i++) {
        turns(1);
    }
    return one->connected[peer] == times;
}

static inline void send_number(unsigned from, unsigned to, uint64_t number)
{
    uint8_t bytes[IB_REPLICA_FRAME_MAX];
    struct ib_replica_frame frame = {.type = IB_FRAME_ACK, .from = (uint8_t)from, .shard = SHARD, .number = number};
    size_t size = ib_replica_frame_write(&frame, NULL, 0, bytes);
    ib_links_send(sides[from].links, to, bytes, size);
}

/* ---- whoever calls with a socket of its own ---- */

static inline int call(unsigned member)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(members[member].port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)connect(fd, (const struct sockaddr *)&address, sizeof address); /* if not, nothing will be heard of it */
    return fd;
}

/* Exactly `size` bytes, or the connection has ended. */
static inline int hear(int fd, void *bytes, size_t size)
{
    size_t got = 0;
    for (int i = 0; i < 400 && got < size; i++) {
        ssize_t more = recv(fd, (char *)bytes + got, size - got, MSG_DONTWAIT);
        if (more == 0 || (more < 0 && errno != EAGAIN)) {
            return 0;
        }
        got += more > 0 ? (size_t)more : 0;
        turns(more > 0 ? 0 : 1);
    }
    return got == size;
}

static inline int say(int fd, const void *bytes, size_t size)
{
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    turns(4);
    return sent == (ssize_t)size;
}

/* Whether the member has ended the connection, whatever it had said before. */
static inline int is_ended(int fd)
{
    char bytes[4096];
    for (int i = 0; i < 400; i++) {
        ssize_t more = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (more == 0 || (more < 0 && errno != EAGAIN)) {
            return 1;
        }
        turns(1);
    }
    return 0;
}

static inline int begin_as(struct ib_peer *peer, uint32_t shard, unsigned self, unsigned other, const char *key,
                           const uint8_t random[12], struct ib_peer_message *challenge)
{
    const struct ib_peer_terms terms = {.shard = shard, .orders = ORDERS, .key = key};
    return ib_peer_begin(peer, &terms, (uint8_t)self, (uint8_t)other, random, challenge);
}

/* The handshake of member `self` with `key`, said to member `to`; its descriptor. `*proven`: it was let in. */
static inline int shake(unsigned to, unsigned self, const char *key, struct ib_peer *peer)
{
    static uint8_t random[12];
    struct ib_peer_message message, answer;
    size_t size;
    int fd = call(to);
    random[0]++;
    if (begin_as(peer, SHARD, self, to, key, random, &message) != IB_OK ||
        !say(fd, &message, sizeof message) || !hear(fd, &message, sizeof message) ||
        ib_peer_take(peer, &message, &answer, &size) != NULL || !say(fd, &answer, size)) {
        return fd;
    }
    (void)!(hear(fd, &message, sizeof message) && ib_peer_take(peer, &message, &answer, &size) == NULL);
    return fd;
}

#endif
