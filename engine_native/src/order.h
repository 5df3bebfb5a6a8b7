/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order.h: one resting order: half a cache line that matching reads and writes, and what most orders do not have.
 *
 *   hot    0  next      4  prev       8  level     12  user_ref     links: FIFO of the level (level.h), level
 *         16  order_ref (48 bits) · session (10) · time_in_force (3) · order_type (2) · has cold (1)
 *         24  remaining (40 bits) · chain (24): next order in the same bucket of the id index
 *   cold   0  executed (40 bits) · extra (24): what a rare order has besides
 *          8  client_data (24 bytes)
 *         32  chain: that of the order, which has the index of its cold half at the place of its own
 *   extra     iceberg, GTD or parked: 48 bytes more
 *
 * Price, side and instrument stand in the level. An order has a cold half once it carries client data, was executed in
 * part, or has an extra; it comes out of a pool, so that such an order costs 40 bytes and all others none. IB_SEQ_MAX,
 * IB_QUANTITY_MAX, IB_SESSIONS_MAX and IB_ORDERS_MAX are the widths.
 */
#ifndef IB_ORDER_H
#define IB_ORDER_H

#include <string.h>

#include "check.h"
#include "hash.h"
#include "ironbook.h"

#define IB_QUANTITY_BITS 40

/* Neighbours in the ring of a level, by their indexes among orders and levels (level.h). */
struct ib_links {
    uint32_t next; /* younger, or the level; also the pool's free link */
    uint32_t prev; /* older, or the level */
};

struct ib_order {
    struct ib_links links;
    uint32_t level; /* where it stands */
    uint32_t user_ref;
    uint64_t identity; /* what it is: stays as long as it stands, but for the bit that tells of a cold half */
    uint64_t amount;   /* remaining, and the chain or, of an order with a cold half, that one */
};

struct ib_order_cold {
    uint64_t history; /* executed: units traded so far, over all replacements: Cancel and Replace speak of total size */
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
    uint32_t chain;
    uint32_t order; /* whose */
};

/* What an iceberg, an order that expires, and one that is parked have besides. */
struct ib_order_extra {
    uint64_t displayed;      /* iceberg: size of a slice; otherwise 0 */
    uint64_t shown;          /* … and what is left of the present one */
    uint64_t expire_time_ns; /* GTD; otherwise 0 */
    int64_t price;           /* of a parked order: its limit, which its level does not tell; otherwise 0 */
    uint32_t order;          /* whose */
    uint32_t expiry_place;   /* GTD: where in the heap of those that expire */
    uint8_t self_trade;      /* of a parked order, which still has to match */
    uint8_t is_hidden;       /* likewise */
    uint8_t reserved[6];
};

_Static_assert(sizeof(struct ib_order_extra) == 48, "rare");
_Static_assert(sizeof(struct ib_order) == 32, "two orders a cache line");
_Static_assert(sizeof(struct ib_order_cold) == 40, "rare");
_Static_assert(IB_SEQ_MAX == ((uint64_t)1 << 48) - 1, "width of order_ref");
_Static_assert(IB_QUANTITY_MAX == ((uint64_t)1 << IB_QUANTITY_BITS) - 1, "width of remaining and executed");
_Static_assert(IB_SESSIONS_MAX <= 1 << 10, "width of session");
_Static_assert(IB_ORDERS_MAX + 1 < 1 << 24, "width of chain: indexes begin at 2");

enum {
    IB_ORDER_COLD = 1,
    IB_ORDER_TYPE_SHIFT = 1,
    IB_ORDER_TIME_IN_FORCE_SHIFT = 3,
    IB_ORDER_SESSION_SHIFT = 6,
    IB_ORDER_REF_SHIFT = 16,
    IB_ORDER_CHAIN_BITS = 24,
};

#define IB_ORDER_CHAIN_MASK (((uint64_t)1 << IB_ORDER_CHAIN_BITS) - 1)

IB_INLINE uint64_t ib_order_identity(uint64_t order_ref, uint16_t session, uint8_t time_in_force, uint8_t order_type)
{
    IB_EXPECT(order_ref <= IB_SEQ_MAX && session < IB_SESSIONS_MAX);
    IB_EXPECT(time_in_force < 8 && order_type >= IB_ORDER_LIMIT && order_type <= IB_ORDER_STOP_LIMIT);
    return order_ref << IB_ORDER_REF_SHIFT | (uint64_t)session << IB_ORDER_SESSION_SHIFT |
           (uint64_t)time_in_force << IB_ORDER_TIME_IN_FORCE_SHIFT | ((uint64_t)order_type - 1) << IB_ORDER_TYPE_SHIFT;
}

IB_INLINE uint64_t ib_order_ref(const struct ib_order *order)
{
    return order->identity >> IB_ORDER_REF_SHIFT;
}

IB_INLINE uint16_t ib_order_session(const struct ib_order *order)
{
    return (uint16_t)(order->identity >> IB_ORDER_SESSION_SHIFT & 0x3ff);
}

IB_INLINE uint8_t ib_order_time_in_force(const struct ib_order *order)
{
    return (uint8_t)(order->identity >> IB_ORDER_TIME_IN_FORCE_SHIFT & 7);
}

IB_INLINE uint8_t ib_order_type(const struct ib_order *order)
{
    return (uint8_t)((order->identity >> IB_ORDER_TYPE_SHIFT & 3) + 1);
}

IB_INLINE int ib_order_has_cold(const struct ib_order *order)
{
    return (order->identity & IB_ORDER_COLD) != 0;
}

static inline uint64_t ib_cold_executed(const struct ib_order_cold *cold)
{
    return cold->history >> IB_ORDER_CHAIN_BITS;
}

/* Index of its extra, or IB_NONE. */
static inline uint32_t ib_cold_extra(const struct ib_order_cold *cold)
{
    return (uint32_t)(cold->history & IB_ORDER_CHAIN_MASK);
}

static inline uint64_t ib_cold_history(uint64_t executed, uint32_t extra)
{
    IB_EXPECT(executed <= IB_QUANTITY_MAX && extra <= IB_ORDER_CHAIN_MASK);
    return executed << IB_ORDER_CHAIN_BITS | extra;
}

/* Units that are still open; never 0 in the book. */
IB_INLINE uint64_t ib_order_remaining(const struct ib_order *order)
{
    return order->amount >> IB_ORDER_CHAIN_BITS;
}

/* Next order in its bucket, or, of an order with a cold half, the index of that. */
IB_INLINE uint32_t ib_order_chain(const struct ib_order *order)
{
    return (uint32_t)(order->amount & IB_ORDER_CHAIN_MASK);
}

IB_INLINE void ib_order_set_remaining(struct ib_order *order, uint64_t remaining)
{
    IB_EXPECT(remaining <= IB_QUANTITY_MAX);
    order->amount = remaining << IB_ORDER_CHAIN_BITS | (order->amount & IB_ORDER_CHAIN_MASK);
}

IB_INLINE void ib_order_set_chain(struct ib_order *order, uint32_t chain)
{
    IB_EXPECT(chain <= IB_ORDER_CHAIN_MASK);
    order->amount = (order->amount & ~IB_ORDER_CHAIN_MASK) | chain;
}

/* What one unit of the order weighs in the hash of the book: it names the order and the place where it stands. Two
 * orders of a book differ in order_ref, so no two weigh the same but by an accident of 64 bits. */
IB_INLINE uint64_t ib_order_weight(uint64_t identity, uint32_t user_ref, uint64_t where)
{
    return ((identity & ~(uint64_t)IB_ORDER_COLD) + user_ref * (uint64_t)0x5f35db29) ^ where;
}

/* The place, in that. */
IB_INLINE uint64_t ib_order_where(uint64_t key, uint32_t side_index)
{
    return key * IB_HASH_A + side_index;
}

#endif
