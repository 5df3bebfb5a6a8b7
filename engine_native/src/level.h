/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * level.h: all orders of one side at one price, first come first served.
 *
 *   level.head ─► order ◄─► order ◄─► order ◄─ level.tail          next ─►   ◄─ prev
 *                 oldest                newest
 *
 * A level exists while it holds an order. Its key orders the levels of a side with the best price lowest:
 * the price in ticks for sells, its complement for buys, so that one search serves both sides. Key 0, which no price
 * has, is ahead of all: market orders that wait for an auction.
 *
 * Whether an order is the first or the last of its level is a coin's toss in a thin book, and a wrong guess of the
 * processor costs more than all the rest of it. So nothing here branches: what has no neighbour links to order 0,
 * which nobody is, and whose links may be scribbled on.
 */
#ifndef IB_LEVEL_H
#define IB_LEVEL_H

#include "order.h"
#include "pool.h"

struct ib_level {
    uint64_t key;
    uint64_t quantity; /* sum of remaining */
    uint32_t head;
    uint32_t tail;
    uint32_t side_index; /* place << IB_PLACE_SHIFT | 2 x instrument + (side is sell) */
    uint32_t chain;      /* next level in the same bucket of the price hash */
};

/* Above the instrument in a side_index: enum ib_place, 0 = the visible book. */
#define IB_PLACE_SHIFT 18
#define IB_SIDES_MAX (1u << IB_PLACE_SHIFT)

_Static_assert(2 * IB_INSTRUMENTS_MAX <= IB_SIDES_MAX, "width of a side_index");

_Static_assert(sizeof(struct ib_level) == 32, "two levels a cache line");

IB_INLINE void ib_level_append(struct ib_level *level, struct ib_order *orders, uint32_t index, uint64_t remaining)
{
    IB_EXPECT((level->head == IB_NONE) == (level->tail == IB_NONE));
    struct ib_order *order = &orders[index];
    uint32_t tail = level->tail;
    order->prev = tail;
    order->next = IB_NONE;
    orders[tail].next = index;
    level->head = IB_CHOOSE(tail == IB_NONE, index, level->head);
    level->tail = index;
    level->quantity += remaining;
}

IB_INLINE void ib_level_unlink(struct ib_level *level, struct ib_order *orders, uint32_t index)
{
    const struct ib_order *order = &orders[index];
    IB_EXPECT(level->quantity >= ib_order_remaining(order));
    uint32_t next = order->next;
    uint32_t prev = order->prev;
    orders[prev].next = next;
    orders[next].prev = prev;
    level->head = IB_CHOOSE(prev == IB_NONE, next, level->head);
    level->tail = IB_CHOOSE(next == IB_NONE, prev, level->tail);
    level->quantity -= ib_order_remaining(order);
}

#endif
