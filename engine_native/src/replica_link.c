/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_link.c: one connection to another member: who it is, and then frame by frame.
 */
#define _GNU_SOURCE
#include "replica_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "check.h"

enum {
    READS_A_TURN = 4, /* for one member, before the others have their turn */
    COMPLAINT_MS = 10000,
};

/* ---- ending ---- */

/* Each complaint once: a member that is configured wrongly dials again and again. And not every other one: whoever
 * makes mistakes in turns would fill the log. A network that damages frames does so whatever was said of it before. */
void ib_link_complain(struct ib_links *links, unsigned peer, const char *why)
{
    unsigned place = peer < IB_REPLICA_MEMBERS_MAX ? peer : IB_REPLICA_MEMBERS_MAX;
    uint64_t now_ms = links->loop->now_ms;
    IB_ASSERT(why != NULL);
    IB_ASSERT(links->told_ms[place] <= now_ms);
    bool is_told = links->told[place] == why && why != ib_replica_no_frame;
    if (links->told[place] != NULL && (is_told || now_ms - links->told_ms[place] < COMPLAINT_MS)) {
        return;
    }
    links->told[place] = why;
    links->told_ms[place] = now_ms;
    if (place < IB_REPLICA_MEMBERS_MAX) {
        fprintf(stderr, "ironbook: replication: shard %u: refused member %u: %s\n", links->config.shard, peer, why);
    } else {
        fprintf(stderr, "ironbook: replication: shard %u: refused a connection: %s\n", links->config.shard, why);
    }
}

void ib_link_end(struct ib_link *link)
{
    struct ib_links *links = link->links;
    IB_ASSERT(link->state != IB_LINK_FREE);
    bool was_open = link->state == IB_LINK_OPEN;
    ib_io_drop(&link->handler);
    link->state = IB_LINK_FREE;
    link->is_over = false;
    explicit_bzero(&link->proof, sizeof link->proof);
    if (was_open) {
        IB_ASSERT(links->open[link->peer] == link);
        links->open[link->peer] = NULL;
        links->hooks.disconnected(links->hooks.context, link->peer);
    }
}

static void refuse(struct ib_link *link, const char *why)
{
    IB_ASSERT(link->state == IB_LINK_SHAKING);
    IB_ASSERT(why != NULL && !ib_peer_is_proven(&link->proof));
    ib_link_complain(link->links, link->peer, why);
    ib_link_end(link);
}

/* ---- sending ---- */

void ib_link_flush(struct ib_link *link)
{
    IB_ASSERT(link->handler.fd >= 0 && link->state >= IB_LINK_SHAKING);
    IB_ASSERT(link->output_begin <= link->output_end && link->output_end <= IB_LINK_OUTPUT_SIZE);
    while (link->output_begin < link->output_end) {
        ssize_t sent = send(link->handler.fd, link->output + link->output_begin,
                            link->output_end - link->output_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            link->is_over = true;
            return;
        }
        if (sent < 0) {
            break;
        }
        link->output_begin += (size_t)sent;
    }
    if (link->output_begin == link->output_end) {
        link->output_begin = link->output_end = 0;
    }
    ib_io_change(link->links->loop, &link->handler, EPOLLIN | (link->output_end > 0 ? (uint32_t)EPOLLOUT : 0));
}

bool ib_link_put(struct ib_link *link, const void *bytes, size_t size)
{
    IB_ASSERT(link->output_begin <= link->output_end);
    IB_ASSERT(size <= IB_LINK_OUTPUT_SIZE);
    if (link->output_end + size > IB_LINK_OUTPUT_SIZE && link->output_begin > 0) {
        link->output_end -= link->output_begin;
        memmove(link->output, link->output + link->output_begin, link->output_end);
        link->output_begin = 0;
    }
    if (link->output_end + size > IB_LINK_OUTPUT_SIZE) {
        return false;
    }
    memcpy(link->output + link->output_end, bytes, size);
    link->output_end += size;
    return true;
}

/* ---- the handshake ---- */

/* Knows with whom it speaks, and challenges it. False: no random numbers, or no room. */
static bool challenge(struct ib_link *link, uint8_t peer)
{
    const struct ib_links_config *config = &link->links->config;
    struct ib_peer_message message;
    uint8_t random[12];
    IB_ASSERT(peer != config->member && peer < config->replication->member_count);
    IB_ASSERT(link->output_end == 0); /* its first words */
    link->peer = peer;
    link->state = IB_LINK_SHAKING;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    const struct ib_peer_terms terms = {
        .shard = config->shard, .orders = config->orders, .key = config->replication->key};
    int status = ib_peer_begin(&link->proof, &terms, config->member, peer, random, &message);
    IB_ASSERT(status == IB_OK); /* the key was looked at when the links were opened */
    return ib_link_put(link, &message, sizeof message);
}

/* Frames pass from here on. The connection that was there before, if any, is gone: the other end would not have made
 * a second one otherwise. */
static void become_open(struct ib_link *link)
{
    struct ib_links *links = link->links;
    IB_ASSERT(link->state == IB_LINK_SHAKING && link->peer < IB_REPLICA_MEMBERS_MAX);
    IB_ASSERT(ib_peer_is_proven(&link->proof)); /* nobody else gets as far as a frame */
    if (links->open[link->peer] != NULL) {
        ib_link_end(links->open[link->peer]);
    }
    link->state = IB_LINK_OPEN;
    links->open[link->peer] = link;
    if (links->told[link->peer] != ib_replica_no_frame) { /* that was no mistake of its own */
        links->told[link->peer] = NULL;
    }
    links->hooks.connected(links->hooks.context, link->peer);
}

static void take_message(struct ib_link *link, const struct ib_peer_message *message)
{
    const struct ib_links_config *config = &link->links->config;
    struct ib_peer_message answer;
    size_t size = 0;
    IB_ASSERT(link->state == IB_LINK_SHAKING);
    if (link->peer == IB_REPLICA_NOBODY) { /* it has dialled, so it is of a higher number */
        if (message->from <= config->member || message->from >= config->replication->member_count) {
            refuse(link, "it is no member that would call this one: compare the members in both configurations");
            return;
        }
        if (!challenge(link, message->from)) {
            ib_link_end(link);
            return;
        }
    }
    const char *fault = ib_peer_take(&link->proof, message, &answer, &size);
    if (fault != NULL) {
        refuse(link, fault);
        return;
    }
    if (size > 0 && !ib_link_put(link, &answer, size)) {
        ib_link_end(link);
        return;
    }
    if (ib_peer_is_proven(&link->proof)) {
        become_open(link);
    }
    ib_link_flush(link); /* the proof, before any frame */
}

/* ---- receiving ---- */

/* Bytes of the frame, or message, that begins at `bytes`; 0: more are needed to say. SIZE_MAX: it is none. */
static size_t size_of(const struct ib_link *link, const uint8_t *bytes, size_t size)
{
    struct ib_replica_frame frame;
    IB_ASSERT(link->state == IB_LINK_SHAKING || link->state == IB_LINK_OPEN);
    if (link->state == IB_LINK_SHAKING) {
        return sizeof(struct ib_peer_message);
    }
    if (size < sizeof frame) {
        return 0;
    }
    memcpy(&frame, bytes, sizeof frame);
    if (frame.magic != IB_REPLICA_MAGIC || frame.count > IB_REPLICA_BATCH_MAX) {
        return SIZE_MAX;
    }
    return sizeof frame + frame.count * (size_t)IB_REPLICA_ENTRY_SIZE;
}

static void take_input(struct ib_link *link)
{
    size_t begin = 0;
    IB_ASSERT(link->input_end <= IB_LINK_INPUT_SIZE);
    IB_ASSERT(link->state >= IB_LINK_SHAKING && !link->is_over);
    while (link->state >= IB_LINK_SHAKING && !link->is_over && begin < link->input_end) {
        const uint8_t *bytes = link->input + begin;
        size_t size = size_of(link, bytes, link->input_end - begin);
        if (size == SIZE_MAX) {
            ib_link_complain(link->links, link->peer, ib_replica_no_frame);
            link->is_over = true;
            return;
        }
        if (size == 0 || size > link->input_end - begin) {
            break;
        }
        begin += size;
        if (link->state == IB_LINK_OPEN) {
            link->links->hooks.received(link->links->hooks.context, link->peer, bytes, size);
        } else {
            struct ib_peer_message message;
            memcpy(&message, bytes, sizeof message);
            take_message(link, &message);
        }
    }
    if (link->state >= IB_LINK_SHAKING) {
        IB_ASSERT(begin <= link->input_end);
        link->input_end -= begin;
        memmove(link->input, link->input + begin, link->input_end);
    }
}

/* True: there may be more. */
static bool receive(struct ib_link *link)
{
    IB_ASSERT(link->handler.fd >= 0);
    IB_ASSERT(link->input_end < IB_LINK_INPUT_SIZE);
    size_t room = IB_LINK_INPUT_SIZE - link->input_end;
    ssize_t size = recv(link->handler.fd, link->input + link->input_end, room, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (size <= 0) {
        link->is_over = true;
        return false;
    }
    bool is_full = (size_t)size == room;
    link->input_end += (size_t)size;
    take_input(link);
    return is_full && link->state == IB_LINK_OPEN && !link->is_over;
}

void ib_link_ready(void *owner, uint32_t events)
{
    struct ib_link *link = owner;
    IB_ASSERT(link->state != IB_LINK_FREE && link->handler.fd >= 0);
    if (link->is_over) { /* dropped by what another one of this turn was told */
        ib_link_end(link);
        return;
    }
    if (link->state == IB_LINK_CALLING) {
        int reason = 0;
        socklen_t size = sizeof reason;
        bool is_there = getsockopt(link->handler.fd, SOL_SOCKET, SO_ERROR, &reason, &size) == 0 && reason == 0;
        if (!is_there || !challenge(link, link->peer)) {
            ib_link_end(link);
            return;
        }
    }
    if ((events & EPOLLOUT) != 0) {
        ib_link_flush(link);
    }
    for (int i = 0; i < READS_A_TURN && link->state >= IB_LINK_SHAKING && !link->is_over && receive(link); i++) {
    }
    if (link->state >= IB_LINK_SHAKING && (events & (EPOLLERR | EPOLLHUP)) != 0) {
        link->is_over = true;
    }
    if (link->state != IB_LINK_FREE && link->is_over) {
        ib_link_end(link);
    }
}
