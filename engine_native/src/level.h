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
 * processor costs more than all the rest of it. In a ring nobody asks: orders and levels lie in one array and begin
 * with the same links, and a level has its links like any order. A link is a name, which counts the array's 8 bytes, so
 * that the processor multiplies as it loads. A level of a window is 16 bytes, ring and sum: price and side follow from
 * its name (ib_book_level). Levels of the price index have both behind that, and are as long as an order: 32 bytes.
 * Pools, buckets and chains count those.
 */
#ifndef IB_LEVEL_H
#define IB_LEVEL_H

#include "ironbook_core.h"
#include "order.h"
#include "pool.h"
#include "price_window.h"

/* What a level is. */
struct ib_level {
    uint64_t key;
    uint32_t side_index; /* place << IB_PLACE_SHIFT | 2 x instrument + (side is sell) */
    uint32_t leaf;       /* of the price index, where its price is; IB_NONE: it is in the window */
};

/* The orders of a level; one in a window is no more than that, and all zero until it is first used. */
struct ib_queue {
    struct ib_links ring; /* next: the oldest order, prev: the newest; the level itself when it holds none */
    uint64_t quantity;    /* sum of remaining */
};

/* A level in the price index. */
struct ib_far_level {
    struct ib_queue queue;
    struct ib_level level;
};

/* Above the instrument in a side_index: enum ib_place, 0 = the visible book. */
#define IB_PLACE_SHIFT 18
#define IB_SIDES_MAX (1u << IB_PLACE_SHIFT)

_Static_assert(2 * IB_INSTRUMENTS_MAX <= IB_SIDES_MAX, "width of a side_index");

_Static_assert(sizeof(struct ib_queue) == IB_WINDOW_STEP * sizeof(struct ib_links), "names of a window's levels");
_Static_assert(sizeof(struct ib_far_level) == sizeof(struct ib_order), "one array of both");
_Static_assert(offsetof(struct ib_queue, ring) == 0 && offsetof(struct ib_order, links) == 0, "one kind of link");

#define IB_NAMES (sizeof(struct ib_order) / sizeof(struct ib_links))
_Static_assert(IB_NAMES * sizeof(struct ib_links) == sizeof(struct ib_order), "a slot has a whole number of names");

/* The name of a slot, for links and for an order's level. */
IB_INLINE uint32_t ib_name_of(uint32_t index)
{
    return index * (uint32_t)IB_NAMES;
}

IB_INLINE uint32_t ib_index_of(uint32_t name)
{
    return name / (uint32_t)IB_NAMES;
}

/* By the name of an order or a level; `slots`: both. */
IB_INLINE struct ib_links *ib_links_at(unsigned char *slots, uint32_t name)
{
    return (struct ib_links *)(void *)slots + name;
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

/* Takes an order out; whether it was the only one of its level, which alone is on both sides of it then. */
IB_INLINE int ib_ring_unlink(unsigned char *slots, const struct ib_links *order)
{
    struct ib_links links = *order;
    IB_EXPECT(ib_links_at(slots, ib_links_at(slots, links.prev)->next) == order);
    IB_EXPECT(ib_links_at(slots, ib_links_at(slots, links.next)->prev) == order);
    ib_links_at(slots, links.prev)->next = links.next;
    ib_links_at(slots, links.next)->prev = links.prev;
    return links.next == links.prev;
}

IB_INLINE unsigned ib_side_number(uint8_t side)
{
    return side == IB_SIDE_SELL;
}

IB_INLINE uint32_t ib_side_instrument(uint32_t side_index)
{
    return (side_index & (IB_SIDES_MAX - 1)) >> 1;
}

IB_INLINE uint32_t ib_level_instrument(struct ib_level level)
{
    return ib_side_instrument(level.side_index);
}

/* The place of its orders in the hash of the book. */
IB_INLINE uint64_t ib_book_where(struct ib_level level)
{
    return ib_order_where(level.key, level.side_index);
}

/* enum ib_place */
static inline uint32_t ib_level_place(struct ib_level level)
{
    return level.side_index >> IB_PLACE_SHIFT;
}

static inline int ib_level_is_parked(struct ib_level level)
{
    return ib_level_place(level) >= IB_PLACE_STOP;
}

IB_INLINE uint8_t ib_level_side(struct ib_level level)
{
    return (level.side_index & 1) ? IB_SIDE_SELL : IB_SIDE_BUY;
}

#endif
