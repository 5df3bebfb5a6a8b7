/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.h: the resting orders of one shard: for each instrument two sides of price levels, for all of them one pool
 * of orders and one index from (session, user_ref) to the order.
 *
 *   (session, user_ref) ─► bucket ─► order ◄─► order …      one chain through the orders of a bucket
 *                                      │ level
 *   (side, price) ─► bucket ─────────► level ─► head … tail
 *   instrument ─► side ─► best ──────────┘
 *                  └ price index: which prices there are, in order
 *
 * The book stores and finds; it decides nothing, emits nothing and knows no clock. All memory is taken at open. What
 * every order passes through is inline, in book_path.h.
 */
#ifndef IB_BOOK_H
#define IB_BOOK_H

#include "buckets.h"
#include "level.h"
#include "price_index.h"

/* What an order that comes in looks at: whether it can trade, and how many ticks its price is. */
struct ib_book_instrument {
    struct ib_price_index sides[2]; /* 0 buy, 1 sell */
    uint64_t tick;
    uint64_t tick_inverse; /* inverse of the tick's odd part modulo 2^64 */
    uint64_t ticks_max;    /* INT64_MAX / tick */
    uint32_t tick_shift;   /* trailing zero bits of the tick */
    uint32_t reserved;
};

_Static_assert(sizeof(struct ib_book_instrument) == 64, "one cache line");

struct ib_book {
    struct ib_pool orders;
    struct ib_pool levels;
    struct ib_buckets order_buckets; /* (session, user_ref) -> orders */
    struct ib_buckets level_buckets; /* (side, key) -> levels */
    struct ib_book_instrument *instruments;
    struct ib_order_cold *cold; /* the other halves of `orders` */
    struct ib_price_nodes nodes; /* of all price indexes */
    uint32_t instrument_count;
    uint64_t hash; /* sum over the resting orders of what each one contributes: equal books, equal sums */
};

/* What makes a new resting order. */
struct ib_book_entry {
    uint32_t side_index; /* 2 x instrument + (side is sell) */
    uint32_t user_ref;
    uint16_t session;
    uint8_t time_in_force;
    uint8_t order_type;
    uint64_t key;
    uint64_t order_ref;
    uint64_t remaining;
    uint64_t executed;
    const uint8_t *client_data;
};

int ib_book_open(struct ib_book *book, uint32_t orders); /* enum ib_status */
void ib_book_close(struct ib_book *book);

/* The next index gets `tick` (at least 1). The caller has seen that instrument_count < IB_INSTRUMENTS_MAX. */
void ib_book_add_instrument(struct ib_book *book, uint64_t tick);

/* Trades a part of an order. */
void ib_book_fill_part(struct ib_book *book, uint32_t order, uint64_t quantity);
/* Shrinks an order where it stands; 0 < remaining <= what remains now. */
void ib_book_shrink(struct ib_book *book, uint32_t order, uint64_t remaining);
/* The order lives on, where it stands, under its owner's new number and data. */
void ib_book_rename(struct ib_book *book, uint32_t order, uint32_t user_ref, uint8_t time_in_force,
                    const uint8_t *client_data);

/* Every invariant, in O(book). IB_OK, or IB_ERROR_ARGUMENT and the broken one in `text`. */
int ib_book_check(const struct ib_book *book, char *text, size_t text_size);

/* What one order contributes to the hash of the book. */
uint64_t ib_book_order_hash(const struct ib_book *book, uint32_t order);
/* What its cold half contributes, when it has one. */
uint64_t ib_book_cold_hash(const struct ib_book *book, uint32_t order);

/* For book_path.h: what does not happen to every order. */
uint32_t ib_book_add_level(struct ib_book *book, uint32_t side_index, uint64_t key, uint32_t *bucket);
void ib_book_drop_level(struct ib_book *book, uint32_t level);
void ib_book_grow_order_buckets(struct ib_book *book);
void ib_book_write_cold(struct ib_book *book, uint32_t order, uint64_t executed, const uint8_t *client_data);

IB_INLINE struct ib_order *ib_book_order(const struct ib_book *book, uint32_t index)
{
    return (struct ib_order *)(void *)book->orders.slots + index;
}

IB_INLINE struct ib_level *ib_book_level(const struct ib_book *book, uint32_t index)
{
    return (struct ib_level *)(void *)book->levels.slots + index;
}

IB_INLINE int ib_book_is_full(const struct ib_book *book)
{
    return ib_pool_is_full(&book->orders);
}

IB_INLINE uint64_t ib_book_executed(const struct ib_book *book, uint32_t index)
{
    return ib_order_has_cold(ib_book_order(book, index)) ? book->cold[index].executed : 0;
}

/* IB_CLIENT_DATA_SIZE bytes. */
IB_INLINE const uint8_t *ib_book_client_data(const struct ib_book *book, uint32_t index)
{
    static const uint8_t none[IB_CLIENT_DATA_SIZE];
    return ib_order_has_cold(ib_book_order(book, index)) ? book->cold[index].client_data : none;
}

IB_INLINE unsigned ib_side_number(uint8_t side)
{
    return side == IB_SIDE_SELL;
}

/* Key of a price on a side; the complement of a key is the same price on the other side. */
IB_INLINE uint64_t ib_book_key(unsigned side_number, uint64_t ticks)
{
    return ticks ^ ((uint64_t)side_number - 1);
}

IB_INLINE uint32_t ib_level_instrument(const struct ib_level *level)
{
    return level->side_index >> 1;
}

IB_INLINE uint8_t ib_level_side(const struct ib_level *level)
{
    return (level->side_index & 1) ? IB_SIDE_SELL : IB_SIDE_BUY;
}

/* Price of a level in units of 10^-4. */
IB_INLINE int64_t ib_book_price(const struct ib_book *book, const struct ib_level *level)
{
    uint64_t ticks = ib_book_key(level->side_index & 1, level->key);
    return (int64_t)(ticks * book->instruments[level->side_index >> 1].tick);
}

IB_INLINE struct ib_price_index *ib_book_side(const struct ib_book *book, uint32_t side_index)
{
    return &book->instruments[side_index >> 1].sides[side_index & 1];
}

/* Price -> ticks without a division: multiplying by the inverse of the tick's odd part divides exactly when the
 * tick divides the price, and lands above ticks_max when it does not, or when the price is negative. False = off the
 * tick, or below 1. */
IB_INLINE int ib_book_ticks(const struct ib_book_instrument *instrument, int64_t price, uint64_t *ticks)
{
    uint64_t product = (uint64_t)price * instrument->tick_inverse;
    uint32_t shift = instrument->tick_shift;
    *ticks = product >> shift | product << (-shift & 63u);
    return *ticks - 1 < instrument->ticks_max;
}

#endif
