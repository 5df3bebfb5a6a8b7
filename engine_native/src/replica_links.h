/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_links.h: the connections between the members of a shard. Of two members the one with the higher number dials
 * the other; both prove the shard's key (replica_peer.h); then frames pass (replica_frame.h). One connection to a
 * member at a time: a newer one that has proven the key takes the place of the older.
 *
 * What is sent is kept until ib_links_flush, once a turn. What finds no room is left out: the replica takes that for a
 * frame that was lost.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_REPLICA_LINKS_H
#define IB_REPLICA_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io_loop.h"
#include "ironbook_engine.h"

struct ib_links;

struct ib_links_config {
    uint32_t shard;
    uint32_t orders; /* capacity of the book */
    uint8_t member;
    const struct ib_engine_replication *replication; /* addresses, key, times; borrowed */
};

/* What is told of the others. None of these may close the links. */
struct ib_links_hooks {
    void *context;
    void (*connected)(void *context, unsigned peer);
    void (*disconnected)(void *context, unsigned peer);
    void (*received)(void *context, unsigned peer, const uint8_t *frame, size_t size); /* one frame; any bytes */
};

int ib_links_open(struct ib_links **links, const struct ib_links_config *config, struct ib_io_loop *loop,
                  struct ib_links_hooks hooks, char *error);
void ib_links_close(struct ib_links *links); /* null is allowed; tells nobody */

void ib_links_send(struct ib_links *links, unsigned peer, const uint8_t *bytes, size_t size);
/* Ends the connection to a member, and tells so, in the next ib_links_flush. `why` is for the log, or null. */
void ib_links_drop(struct ib_links *links, unsigned peer, const char *why);
void ib_links_flush(struct ib_links *links);
/* Dials those that are not there, and ends what takes too long. Several times a second. */
void ib_links_tick(struct ib_links *links);

#endif
