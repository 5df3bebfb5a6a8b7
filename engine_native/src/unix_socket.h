/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * unix_socket.h: a Unix stream socket that only our own user may use, and the places of those who connect to it.
 *
 * Places are few, and nobody keeps one for nothing: where all are taken, a new connection gets the place of the one
 * that nothing was heard of for longest, among those that have no claim to theirs. What a claim is, its owner says: a
 * session, a stream of events, a request that is not answered yet. Only where all have one, the new connection is
 * refused.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_UNIX_SOCKET_H
#define IB_UNIX_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io_loop.h"

/* The first member of whatever its owner keeps of a connection, and the `owner` of its own handler. */
struct ib_unix_peer {
    struct ib_io_handler handler; /* fd -1: the place is free */
    uint64_t heard;               /* when something was last heard of it, in the listener's own count */
    bool has_claim;
};

struct ib_unix_listener {
    struct ib_io_handler handler;
    struct ib_io_loop *loop;
    const char *name; /* of the socket, in run_directory */
    char *places;
    size_t size; /* of a place */
    uint32_t count;
    void (*begin)(void *peer); /* makes the rest of a place that of a new connection */
    uint64_t clock;            /* counts what is heard */
};

/* Listens at `run_directory`/name, mode 0600, with `name`, `places`, `size`, `count`, `loop` and `begin` set; `ready`
 * is that of each peer. What an earlier process left there is replaced: the caller holds the journal's lock, so no
 * living engine owns it. IB_ERROR_ADDRESS with the line for people in `error`. */
int ib_unix_open(struct ib_unix_listener *listener, const char *run_directory,
                 void (*ready)(void *peer, uint32_t events), char *error);
/* Closes it and all its peers; twice, and before the open, is harmless once `places` is set. */
void ib_unix_close(struct ib_unix_listener *listener);
struct ib_unix_peer *ib_unix_peer_at(const struct ib_unix_listener *listener, uint32_t place);
/* It has sent, or taken, something. */
void ib_unix_heard(struct ib_unix_listener *listener, struct ib_unix_peer *peer);

#endif
