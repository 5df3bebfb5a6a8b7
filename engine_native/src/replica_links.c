/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_links.c: see replica_links.h.
 *
 * A place for each connection: those of the members that are dialled come first, by number, then those for whoever
 * connects. A stranger has to say within IB_LINK_SHAKE_MS who it is, and prove it, there are few places for them, and
 * few are let in at a time: so one without the key can keep a place for that long, keep others waiting, and cost the
 * I/O thread a proof or two, sixteen times a second at most.
 */
#define _GNU_SOURCE
#include "replica_links.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"
#include "listen.h"
#include "memory.h"
#include "replica_link.h"

/* ---- connections ---- */

/* A connection that carries nothing ends, too, when its other end is no more. */
static void begin(struct ib_link *link, int fd, enum ib_link_state state, uint8_t peer)
{
    const int yes = 1, idle_s = 1, times = 3;
    struct ib_links *links = link->links;
    unsigned silence_ms = links->config.replication->silence_ms;
    IB_ASSERT(link->state == IB_LINK_FREE && link->handler.fd < 0);
    IB_ASSERT(fd >= 0 && (state == IB_LINK_CALLING || state == IB_LINK_SHAKING));
    IB_ASSERT((state == IB_LINK_CALLING) == (peer < links->config.member)); /* who is called is known */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
    link->handler.fd = fd;
    link->state = state;
    link->peer = peer;
    link->began_ms = links->loop->now_ms;
    link->is_over = false;
    link->input_end = link->output_begin = link->output_end = 0;
    if (ib_io_add(links->loop, &link->handler, state == IB_LINK_CALLING ? EPOLLOUT : EPOLLIN) != IB_OK) {
        ib_link_end(link);
    }
    IB_ASSERT((link->state == IB_LINK_FREE) == (link->handler.fd < 0));
}

static void dial(struct ib_links *links, uint8_t peer)
{
    const struct ib_engine_member *member = &links->config.replication->members[peer];
    struct sockaddr_storage address;
    socklen_t size;
    char error[IB_ERROR_TEXT_SIZE];
    IB_ASSERT(peer < links->config.member && links->places[peer].state == IB_LINK_FREE);
    IB_ASSERT(links->open[peer] == NULL); /* it has no other place */
    links->dial_ms[peer] = links->loop->now_ms + links->config.replication->retry_ms;
    if (ib_private_address(member->host, member->port, "replication.members", "replication", &address, &size, error) !=
        IB_OK) {
        return; /* was looked at when the links were opened */
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS) {
        close(fd);
        return;
    }
    begin(&links->places[peer], fd, IB_LINK_CALLING, peer);
}

/* Whether one more stranger may be let in now. */
static bool keeps_pace(struct ib_links *links)
{
    IB_ASSERT(links->paced <= IB_LINK_PACE);
    IB_ASSERT(links->loop->now_ms >= links->pace_ms);
    if (links->loop->now_ms - links->pace_ms >= IB_LINK_PACE_MS) {
        links->pace_ms = links->loop->now_ms;
        links->paced = 0;
    }
    return links->paced < IB_LINK_PACE;
}

static void listener_ready(void *owner, uint32_t events)
{
    struct ib_links *links = owner;
    (void)events;
    IB_ASSERT(links->listener.fd >= 0);
    if (!keeps_pace(links)) {
        ib_io_change(links->loop, &links->listener, 0); /* they wait until the tick listens again */
        return;
    }
    int fd = accept4(links->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            ib_io_change(links->loop, &links->listener, 0); /* the tick listens again; else this would spin */
        }
        return;
    }
    links->paced++;
    struct ib_link *oldest = NULL;
    for (int i = IB_REPLICA_MEMBERS_MAX; i < IB_LINK_PLACES; i++) {
        struct ib_link *link = &links->places[i];
        if (link->state == IB_LINK_FREE) {
            begin(link, fd, IB_LINK_SHAKING, IB_REPLICA_NOBODY);
            return;
        }
        if (link->state == IB_LINK_SHAKING && (oldest == NULL || link->began_ms < oldest->began_ms)) {
            oldest = link;
        }
    }
    if (oldest == NULL) {
        close(fd);
        return;
    }
    IB_ASSERT(oldest->peer >= IB_REPLICA_MEMBERS_MAX || links->open[oldest->peer] != oldest);
    ib_link_end(oldest);
    begin(oldest, fd, IB_LINK_SHAKING, IB_REPLICA_NOBODY);
}

void ib_links_tick(struct ib_links *links)
{
    uint64_t now_ms = links->loop->now_ms;
    IB_ASSERT(links->listener.fd >= 0);
    if (keeps_pace(links)) {
        ib_io_change(links->loop, &links->listener, EPOLLIN);
    }
    for (int i = 0; i < IB_LINK_PLACES; i++) {
        struct ib_link *link = &links->places[i];
        bool is_new = link->state == IB_LINK_CALLING || link->state == IB_LINK_SHAKING;
        IB_ASSERT(!is_new || now_ms >= link->began_ms);
        if (is_new && now_ms - link->began_ms > IB_LINK_SHAKE_MS) {
            ib_link_end(link);
        }
    }
    for (uint8_t peer = 0; peer < links->config.member; peer++) {
        if (links->places[peer].state == IB_LINK_FREE && now_ms >= links->dial_ms[peer]) {
            dial(links, peer);
        }
    }
}

/* ---- what is sent ---- */

void ib_links_send(struct ib_links *links, unsigned peer, const uint8_t *bytes, size_t size)
{
    IB_ASSERT(peer < IB_REPLICA_MEMBERS_MAX && bytes != NULL);
    IB_ASSERT(size >= IB_REPLICA_HEADER_SIZE && peer != links->config.member);
    IB_ASSERT(size <= IB_REPLICA_FRAME_MAX); /* the other end takes no longer one */
    struct ib_link *link = links->open[peer];
    if (link != NULL && !link->is_over) {
        (void)ib_link_put(link, bytes, size);
    }
}

void ib_links_drop(struct ib_links *links, unsigned peer, const char *why)
{
    IB_ASSERT(peer < IB_REPLICA_MEMBERS_MAX && peer != links->config.member);
    if (links->open[peer] != NULL) {
        IB_ASSERT(links->open[peer]->state == IB_LINK_OPEN);
        if (why != NULL && !links->open[peer]->is_over) {
            ib_link_complain(links, peer, why);
        }
        links->open[peer]->is_over = true;
    }
}

void ib_links_flush(struct ib_links *links)
{
    IB_ASSERT(links != NULL && links->listener.fd >= 0);
    for (int i = 0; i < IB_LINK_PLACES; i++) {
        struct ib_link *link = &links->places[i];
        IB_ASSERT(link->state != IB_LINK_OPEN || links->open[link->peer] == link);
        if (link->state == IB_LINK_OPEN && !link->is_over && link->output_end > 0 &&
            (link->handler.interest & EPOLLOUT) == 0) {
            ib_link_flush(link);
        }
        if (link->state != IB_LINK_FREE && link->is_over) {
            ib_link_end(link);
        }
    }
}

/* ---- life ---- */

static int check(const struct ib_links_config *config, char *error)
{
    const struct ib_engine_replication *replication = config->replication;
    size_t length = strlen(replication->key);
    IB_ASSERT(replication->member_count <= IB_REPLICA_MEMBERS_MAX && config->member < replication->member_count);
    if (length < IB_PEER_KEY_MIN || length > IB_PEER_KEY_MAX) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "replication.key has %zu characters: give it %d to %d", length,
                 IB_PEER_KEY_MIN, IB_PEER_KEY_MAX);
        return IB_ERROR_CONFIGURATION;
    }
    for (size_t i = 0; i < replication->member_count; i++) {
        struct sockaddr_storage address;
        socklen_t size;
        int status = ib_private_address(replication->members[i].host, replication->members[i].port,
                                        "replication.members", "replication", &address, &size, error);
        if (status != IB_OK) {
            return status;
        }
    }
    return IB_OK;
}

int ib_links_open(struct ib_links **links, const struct ib_links_config *config, struct ib_io_loop *loop,
                  struct ib_links_hooks hooks, char *error)
{
    IB_ASSERT(links != NULL && loop != NULL && error != NULL);
    IB_ASSERT(hooks.connected != NULL && hooks.disconnected != NULL && hooks.received != NULL);
    *links = NULL;
    int status = check(config, error);
    if (status != IB_OK) {
        return status;
    }
    struct ib_links *self = calloc(1, sizeof *self);
    uint8_t *buffers = ib_memory_reserve((size_t)IB_LINK_PLACES * (IB_LINK_INPUT_SIZE + IB_LINK_OUTPUT_SIZE));
    if (self == NULL || buffers == NULL) {
        free(self);
        ib_memory_release(buffers, (size_t)IB_LINK_PLACES * (IB_LINK_INPUT_SIZE + IB_LINK_OUTPUT_SIZE));
        return IB_ERROR_MEMORY;
    }
    self->config = *config;
    self->loop = loop;
    self->hooks = hooks;
    self->buffers = buffers;
    self->listener = (struct ib_io_handler){.fd = -1, .owner = self, .ready = listener_ready};
    for (int i = 0; i < IB_LINK_PLACES; i++) {
        struct ib_link *link = &self->places[i];
        link->handler = (struct ib_io_handler){.fd = -1, .owner = link, .ready = ib_link_ready};
        link->links = self;
        link->input = buffers + (size_t)i * (IB_LINK_INPUT_SIZE + IB_LINK_OUTPUT_SIZE);
        link->output = link->input + IB_LINK_INPUT_SIZE;
    }
    const struct ib_engine_member *own = &config->replication->members[config->member];
    status = ib_listen(loop, &self->listener, own->host, own->port, "replication.members", "replication", error);
    if (status != IB_OK) {
        ib_links_close(self);
        return status;
    }
    IB_ASSERT(self->listener.fd >= 0);
    *links = self;
    return IB_OK;
}

void ib_links_close(struct ib_links *links)
{
    if (links == NULL) {
        return;
    }
    for (int i = 0; i < IB_LINK_PLACES; i++) {
        ib_io_drop(&links->places[i].handler);
    }
    ib_io_drop(&links->listener);
    ib_memory_release(links->buffers, (size_t)IB_LINK_PLACES * (IB_LINK_INPUT_SIZE + IB_LINK_OUTPUT_SIZE));
    free(links);
}
