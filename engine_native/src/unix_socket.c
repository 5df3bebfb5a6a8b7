/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * unix_socket.c: see unix_socket.h.
 */
#define _GNU_SOURCE
#include "unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "ironbook.h"

enum { BACKLOG = 128 }; /* a connect(2) that does not wait fails where it is full */

static int listen_at(const char *directory, const char *name, char *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    IB_ASSERT(directory != NULL && name != NULL && error != NULL);
    IB_ASSERT(strchr(name, '/') == NULL); /* the directory alone says where it lies */
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        snprintf(error, IB_ERROR_TEXT_SIZE,
                 "the socket %.300s/%s would have a path of %d bytes, and %zu is the most: give run_directory a "
                 "shorter path (IRONBOOK_STATE)",
                 directory, name, length, sizeof address.sun_path - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    mode_t before = umask(0177); /* 0600 from its first moment on */
    int result = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(before);
    if (result != 0 || listen(fd, BACKLOG) != 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "cannot listen on %s: %s: run_directory must be a directory of our own",
                 address.sun_path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* One connection of our own user or root; -1 when there is none, or it was somebody else's. */
static int accept_own(const struct ib_unix_listener *listener)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    IB_ASSERT(listener->handler.fd >= 0);
    IB_ASSERT(listener->name != NULL);
    int fd = accept4(listener->handler.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || (peer.uid != geteuid() && peer.uid != 0)) {
        fprintf(stderr, "ironbook: %s: refused a connection of user %u\n", listener->name, peer.uid);
        close(fd);
        return -1;
    }
    return fd;
}

struct ib_unix_peer *ib_unix_peer_at(const struct ib_unix_listener *listener, uint32_t place)
{
    IB_ASSERT(place < listener->count);
    IB_ASSERT(listener->size >= sizeof(struct ib_unix_peer));
    return (struct ib_unix_peer *)(void *)(listener->places + place * listener->size);
}

void ib_unix_heard(struct ib_unix_listener *listener, struct ib_unix_peer *peer)
{
    IB_ASSERT(peer->heard <= listener->clock);
    IB_ASSERT(peer->handler.fd >= 0);
    peer->heard = ++listener->clock;
}

/* A free place, or that of the peer without a claim that nothing was heard of for longest; null: all have one. */
static struct ib_unix_peer *find_place(const struct ib_unix_listener *listener)
{
    struct ib_unix_peer *oldest = NULL;
    IB_ASSERT(listener->count > 0);
    for (uint32_t i = 0; i < listener->count; i++) {
        struct ib_unix_peer *peer = ib_unix_peer_at(listener, i);
        if (peer->handler.fd < 0) {
            return peer;
        }
        IB_ASSERT(peer->heard > 0 && peer->heard <= listener->clock);
        if (!peer->has_claim && (oldest == NULL || peer->heard < oldest->heard)) {
            oldest = peer;
        }
    }
    return oldest;
}

static void listener_ready(void *owner, uint32_t events)
{
    struct ib_unix_listener *listener = owner;
    (void)events;
    int fd = accept_own(listener);
    if (fd < 0) {
        return;
    }
    struct ib_unix_peer *peer = find_place(listener);
    if (peer == NULL) {
        fprintf(stderr, "ironbook: %s: refused a connection: all %u places are in use\n", listener->name,
                listener->count);
        close(fd);
        return;
    }
    if (peer->handler.fd >= 0) {
        IB_ASSERT(!peer->has_claim);
        fprintf(stderr, "ironbook: %s: closed an idle connection: a new one had no place\n", listener->name);
        ib_io_drop(&peer->handler);
    }
    IB_ASSERT(peer->handler.fd < 0);
    peer->handler.fd = fd;
    peer->has_claim = false;
    ib_unix_heard(listener, peer);
    listener->begin(peer);
    if (ib_io_add(listener->loop, &peer->handler, EPOLLIN) != IB_OK) {
        ib_io_drop(&peer->handler);
    }
}

int ib_unix_open(struct ib_unix_listener *listener, const char *run_directory,
                 void (*ready)(void *peer, uint32_t events), char *error)
{
    IB_ASSERT(run_directory != NULL && error != NULL && ready != NULL);
    IB_ASSERT(listener->count > 0 && listener->size >= sizeof(struct ib_unix_peer));
    IB_ASSERT(listener->loop != NULL && listener->begin != NULL && listener->places != NULL);
    for (uint32_t i = 0; i < listener->count; i++) {
        struct ib_unix_peer *peer = ib_unix_peer_at(listener, i);
        peer->handler = (struct ib_io_handler){.fd = -1, .owner = peer, .ready = ready};
    }
    listener->handler = (struct ib_io_handler){.owner = listener, .ready = listener_ready};
    listener->handler.fd = listen_at(run_directory, listener->name, error);
    return listener->handler.fd >= 0 && ib_io_add(listener->loop, &listener->handler, EPOLLIN) == IB_OK
               ? IB_OK
               : IB_ERROR_ADDRESS;
}

void ib_unix_close(struct ib_unix_listener *listener)
{
    IB_ASSERT(listener->places != NULL || listener->count == 0);
    for (uint32_t i = 0; i < listener->count; i++) {
        ib_io_drop(&ib_unix_peer_at(listener, i)->handler);
    }
    ib_io_drop(&listener->handler);
}
