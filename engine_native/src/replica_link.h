/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_link.h: one connection to another member; what replica_link.c (handshake, frames) and replica_links.c (who
 * has a place, and when) share.
 */
#ifndef IB_REPLICA_LINK_H
#define IB_REPLICA_LINK_H

#include "replica.h"
#include "replica_links.h"
#include "replica_peer.h"

enum {
    IB_LINK_STRANGERS = 16, /* those who called and have proven it keep their places */
    IB_LINK_PACE = 8,       /* so many may call in each … */
    IB_LINK_PACE_MS = 500,  /* … of these, for a proof takes two milliseconds of the I/O thread's */
    IB_LINK_PLACES = IB_REPLICA_MEMBERS_MAX + IB_LINK_STRANGERS,
    IB_LINK_INPUT_SIZE = 1 << 17,
    IB_LINK_OUTPUT_SIZE = 1 << 22, /* a window of commands, each in a frame of its own */
    IB_LINK_SHAKE_MS = 2000,
};

_Static_assert(IB_LINK_PACE <= IB_LINK_STRANGERS - (IB_REPLICA_MEMBERS_MAX - 1), "nobody is ended as soon as it came");
_Static_assert(IB_LINK_INPUT_SIZE >= 2 * IB_REPLICA_FRAME_MAX, "a whole frame fits, wherever it begins");

enum ib_link_state { IB_LINK_FREE, IB_LINK_CALLING, IB_LINK_SHAKING, IB_LINK_OPEN };

struct ib_link {
    struct ib_io_handler handler;
    struct ib_links *links;
    enum ib_link_state state;
    uint8_t peer; /* IB_REPLICA_NOBODY: it has not said yet who it is */
    bool is_over; /* it ends with the next flush */
    uint64_t began_ms;
    struct ib_peer proof;
    uint8_t *input, *output;
    size_t input_end, output_begin, output_end;
};

struct ib_links {
    struct ib_links_config config;
    struct ib_io_loop *loop;
    struct ib_links_hooks hooks;
    struct ib_io_handler listener;
    uint8_t *buffers;
    uint64_t dial_ms[IB_REPLICA_MEMBERS_MAX]; /* when to try again */
    /* the last complaint of each member's connection, and the strangers' last; and when it was */
    const char *told[IB_REPLICA_MEMBERS_MAX + 1];
    uint64_t told_ms[IB_REPLICA_MEMBERS_MAX + 1];
    uint64_t pace_ms; /* since then `paced` have called */
    unsigned paced;
    struct ib_link places[IB_LINK_PLACES];
    struct ib_link *open[IB_REPLICA_MEMBERS_MAX]; /* null: no connection over which frames pass */
};

/* One line for the log, but not of everybody and at all times. */
void ib_link_complain(struct ib_links *links, unsigned peer, const char *why);
void ib_link_end(struct ib_link *link);
void ib_link_ready(void *link, uint32_t events);
/* False: there is no room for it. */
bool ib_link_put(struct ib_link *link, const void *bytes, size_t size);
void ib_link_flush(struct ib_link *link);

#endif
