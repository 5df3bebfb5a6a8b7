/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * level.h: all orders of one side at one price, first come first served: a ring through the level and its orders.
 *
 *      ┌──► level ◄──► oldest order ◄──► order ◄──► newest order ◄──┐
 *      └────────────────────────────────────────────────────────────┘      next ─►   ◄─ prev
 *
 * A level exists while it holds an order; in a window (price_window.h) it stays, and is empty. Its key orders the
 * levels of a side with the best price lowest: the price in ticks for sells, its complement for buys, so that one
 * search serves both sides. Key 0, which no price has, is ahead of all: market orders that wait for an auction.
 *
 * Whether an order is the first or the last of its level is a coin's toss in a thin book, and a wrong guess of the
 * processor costs more than all the rest of it. In a ring nobody asks: orders and levels lie in one array, in slots of
 * one size that begin with the same links, and a level has its links like any order.
 */
#ifndef IB_LEVEL_H
#define IB_LEVEL_H

#include "order.h"
#include "pool.h"

struct ib_level {
    struct ib_links ring; /* next: the oldest order, prev: the newest; the level itself when it holds none */
    uint64_t key;
    uint64_t quantity; /* sum of remaining */
    uint32_t side_index; /* place << IB_PLACE_SHIFT | 2 x instrument + (side is sell) */
    uint32_t leaf;       /* of the price index, where its price is; IB_NONE: it is in the window */
};

/* Above the instrument in a side_index: enum ib_place, 0 = the visible book. */
#define IB_PLACE_SHIFT 18
#define IB_SIDES_MAX (1u << IB_PLACE_SHIFT)

_Static_assert(2 * IB_INSTRUMENTS_MAX <= IB_SIDES_MAX, "width of a side_index");

_Static_assert(sizeof(struct ib_level) == sizeof(struct ib_order), "one array of both");
_Static_assert(offsetof(struct ib_level, ring) == 0 && offsetof(struct ib_order, links) == 0, "one kind of link");

/* `slots`: orders and levels. */
IB_INLINE struct ib_links *ib_links_at(unsigned char *slots, uint32_t index)
{
    return (struct ib_links *)(void *)(slots + index * sizeof(struct ib_order));
}

/* Puts an order behind all others of a level. */
IB_INLINE void ib_ring_append(unsigned char *slots, uint32_t level, struct ib_links *links, uint32_t order)
{
    struct ib_links *ring = ib_links_at(slots, level);
    uint32_t newest = ring->prev;
    IB_EXPECT(ib_links_at(slots, newest)->next == level && links == ib_links_at(slots, order));
    links->prev = newest;
    ib_links_at(slots, newest)->next = order; /* perhaps the level's */
    links->next = level; /* not beside `prev`: the compiler would join both in a vector first */
    ring->prev = order;
}

IB_INLINE void ib_ring_unlink(unsigned char *slots, uint32_t order)
{
    struct ib_links links = *ib_links_at(slots, order);
    IB_EXPECT(ib_links_at(slots, links.prev)->next == order && ib_links_at(slots, links.next)->prev == order);
    ib_links_at(slots, links.prev)->next = links.next;
    ib_links_at(slots, links.next)->prev = links.prev;
}

#endif
