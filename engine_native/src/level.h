/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * level.h: all orders of one side at one price, first come first served.
 *
 *   level.head ─► order ◄─► order ◄─► order ◄─ level.tail          next ─►   ◄─ prev
 *                 oldest                newest
 *
 * A level exists while it holds an order. Its key orders the levels of a side with the best price lowest:
 * the price in ticks for sells, its complement for buys, so that one search serves both sides.
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
    uint32_t count;
    uint32_t side_index; /* 2 x instrument + (side is sell) */
};

_Static_assert(sizeof(struct ib_level) == 32, "two levels a cache line");

static inline void ib_level_append(struct ib_level *level, struct ib_order *orders, uint32_t index)
{
    struct ib_order *order = &orders[index];
    IB_ASSERT((level->head == IB_NONE) == (level->tail == IB_NONE));
    order->prev = level->tail;
    order->next = IB_NONE;
    if (level->tail == IB_NONE) {
        level->head = index;
    } else {
        orders[level->tail].next = index;
    }
    level->tail = index;
    level->count++;
    level->quantity += ib_order_remaining(order);
}

static inline void ib_level_unlink(struct ib_level *level, struct ib_order *orders, uint32_t index)
{
    const struct ib_order *order = &orders[index];
    IB_ASSERT(level->count > 0);
    IB_ASSERT(level->quantity >= ib_order_remaining(order));
    if (order->prev == IB_NONE) {
        level->head = order->next;
    } else {
        orders[order->prev].next = order->next;
    }
    if (order->next == IB_NONE) {
        level->tail = order->prev;
    } else {
        orders[order->next].prev = order->prev;
    }
    level->count--;
    level->quantity -= ib_order_remaining(order);
}

#endif
