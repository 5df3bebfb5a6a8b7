/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order.h: one resting order in one cache line.
 *
 *    0  next      4  prev       8  level     12  chain       links: FIFO of the level, level, bucket of the id index
 *   16  order_ref (48 bits) · executed, high 16 bits
 *   24  remaining (40 bits) · executed, low 24 bits
 *   32  user_ref 36  session   38  time_in_force · order_type
 *   40  client_data (24 bytes)
 *
 * Price, side and instrument stand in the level. The three numbers of 16 and 24 are packed because a 65th byte would
 * cost every order a second cache line; IB_SEQ_MAX and IB_QUANTITY_MAX are the widths.
 */
#ifndef IB_ORDER_H
#define IB_ORDER_H

#include "check.h"
#include "ironbook.h"

struct ib_order {
    uint32_t next;  /* towards the tail of the level's FIFO; also the pool's free link */
    uint32_t prev;  /* towards the head */
    uint32_t level; /* where it stands */
    uint32_t chain; /* next order in the same bucket of the id index */
    uint64_t packed_ref;
    uint64_t packed_quantity;
    uint32_t user_ref;
    uint16_t session;
    uint8_t time_in_force;
    uint8_t order_type;
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
};

_Static_assert(sizeof(struct ib_order) == 64, "one cache line");

_Static_assert(IB_SEQ_MAX == ((uint64_t)1 << 48) - 1, "width of order_ref");
_Static_assert(IB_QUANTITY_MAX == ((uint64_t)1 << 40) - 1, "width of remaining and executed");

#define IB_EXECUTED_LOW_BITS 24

static inline uint64_t ib_order_ref(const struct ib_order *order)
{
    return order->packed_ref >> 16;
}

/* Units that are still open; never 0 in the book. */
static inline uint64_t ib_order_remaining(const struct ib_order *order)
{
    return order->packed_quantity >> IB_EXECUTED_LOW_BITS;
}

/* Units traded so far, over all replacements: Cancel and Replace speak of total size. */
static inline uint64_t ib_order_executed(const struct ib_order *order)
{
    return (order->packed_ref & 0xffff) << IB_EXECUTED_LOW_BITS | (order->packed_quantity & 0xffffff);
}

static inline void ib_order_pack(struct ib_order *order, uint64_t order_ref, uint64_t remaining, uint64_t executed)
{
    IB_ASSERT(order_ref <= IB_SEQ_MAX);
    IB_ASSERT((remaining | executed) <= IB_QUANTITY_MAX);
    order->packed_ref = order_ref << 16 | executed >> IB_EXECUTED_LOW_BITS;
    order->packed_quantity = remaining << IB_EXECUTED_LOW_BITS | (executed & 0xffffff);
}

#endif
