/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book.h: the resting orders of one shard: for each instrument two sides of price levels, for all of them one pool
 * of orders and one index from (session, user_ref) to the order.
 *
 *   (session, user_ref) ─► bucket ─► order ◄─► order …      one chain through the orders of a bucket
 *                                      │ level
 *   instrument ─► side ─► price index ─► level ─► oldest order … newest
 *                  └ best ────────────────┘
 *
 * Each instrument has more such sides for what is rarer: hidden orders, parked stops (by stop price), and those that
 * wait for the closing auction (one level).
 *
 * The book stores and finds; it decides nothing, emits nothing and knows no clock. All memory is taken at open. What
 * every order passes through is inline, in book_path.h.
 */
#ifndef IB_BOOK_H
#define IB_BOOK_H

#include "buckets.h"
#include "ironbook_core.h"
#include "level.h"
#include "price_index.h"
#include "price_window.h"

/* From so many instruments on there are no windows, but for those that hold orders by then. */
#define IB_WINDOW_INSTRUMENTS 64

/* What makes an instrument's orders leave the path of plain ones: at once … */
enum ib_special {
    IB_SPECIAL_PHASE = 1, /* it is not in CONTINUOUS */
    IB_SPECIAL_REMOVED = 2,
    IB_SPECIAL_LOT = 4,
    IB_SPECIAL_HIDDEN = 8, /* hidden orders stand in the book */
    IB_SPECIAL_ALWAYS = 15,
    /* … or when they would trade */
    IB_SPECIAL_ICEBERGS = 16,
    IB_SPECIAL_STOPS = 32,
    IB_SPECIAL_BANDS = 64,
};

/* What an order that comes in looks at: whether it can trade, and how many ticks its price is. */
struct ib_book_instrument {
    struct ib_price_index sides[2]; /* 0 buy, 1 sell */
    uint64_t tick;
    uint64_t tick_inverse; /* inverse of the tick's odd part modulo 2^64 */
    int64_t last_price;    /* of the newest trade; 0 = none */
    int64_t base_price;    /* the last price, or the reference price; 0 = none */
    uint32_t tick_shift;   /* trailing zero bits of the tick */
    uint32_t special;      /* enum ib_special; 0 = all is plain */
    uint64_t ticks_max;    /* of any price */
};

_Static_assert(sizeof(struct ib_book_instrument) == 128, "two cache lines: its sides, and its terms");

/* An instrument's rarer sides: those of IB_PLACE_HIDDEN, IB_PLACE_STOP, IB_PLACE_AT_CLOSE. */
struct ib_book_rare {
    struct ib_price_index sides[3][2];
    uint32_t icebergs; /* orders with a displayed quantity */
    uint32_t reserved[3];
};

_Static_assert(sizeof(struct ib_book_rare) == 256, "four cache lines");

struct ib_book {
    struct ib_pool orders;
    struct ib_pool levels; /* behind the orders, in their array: one name for either (level.h) */
    struct ib_buckets order_buckets; /* (session, user_ref) -> orders */
    struct ib_book_instrument *instruments;
    struct ib_pool cold; /* the other halves of `orders` */
    struct ib_pool nodes; /* of all price indexes */
    struct ib_price_window *windows; /* of the visible sides */
    uint32_t window_sides;           /* how many have one */
    uint32_t window_level;           /* name of the first level of the first window, behind all others */
    struct ib_book_rare *rare; /* of the same instruments */
    struct ib_pool extras;
    uint32_t *expiry;        /* heap of the extras that expire, the next at [1] */
    uint32_t expiry_count;
    uint32_t iceberg_count;  /* orders with a displayed quantity */
    uint32_t parked_count;   /* orders in stop sides and at-close queues */
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

/* Gives an instrument without orders another tick. */
void ib_book_set_tick(struct ib_book *book, uint32_t instrument, uint64_t tick);
/* Whether nothing of an instrument is live. */
int ib_book_is_empty(const struct ib_book *book, uint32_t instrument);

/* Order of (session, user_ref), or IB_NONE. */
uint32_t ib_book_find(const struct ib_book *book, uint16_t session, uint32_t user_ref);

/* Trades a part of an order; an iceberg's comes out of what it shows. */
void ib_book_fill_part(struct ib_book *book, uint32_t order, uint64_t quantity);

/* Every invariant, in O(book). IB_OK, or IB_ERROR_ARGUMENT and the broken one in `text`. */
int ib_book_check(const struct ib_book *book, char *text, size_t text_size);

/* What one order contributes to the hash of the book. */
uint64_t ib_book_order_hash(const struct ib_book *book, uint32_t order);

/* For book_path.h: what does not happen to every order. */
int ib_book_make_room(struct ib_book *book); /* false: the book is full */
uint32_t ib_book_make_bucket(struct ib_book *book, uint32_t *bucket); /* what it says then */
void ib_book_unindex_chained(struct ib_book *book, uint32_t *bucket, uint32_t order);
void ib_book_write_cold(struct ib_book *book, uint32_t order, uint64_t executed, const uint8_t *client_data);
void ib_book_drop_cold(struct ib_book *book, uint32_t order);

IB_INLINE struct ib_order *ib_book_order(const struct ib_book *book, uint32_t index)
{
    return (struct ib_order *)(void *)book->orders.slots + index;
}

/* The links of an order or a level, by its name. */
IB_INLINE struct ib_links *ib_book_links(const struct ib_book *book, uint32_t name)
{
    return ib_links_at(book->orders.slots, name);
}

IB_INLINE struct ib_queue *ib_book_queue(const struct ib_book *book, uint32_t level)
{
    return (struct ib_queue *)(void *)ib_book_links(book, level);
}

IB_INLINE struct ib_far_level *ib_book_far_level(const struct ib_book *book, uint32_t level)
{
    IB_EXPECT(level < book->window_level && level % IB_NAMES == 0);
    return (struct ib_far_level *)(void *)ib_book_queue(book, level);
}

/* What a level is, which holds orders. */
IB_INLINE struct ib_level ib_book_level(const struct ib_book *book, uint32_t level)
{
    if (level < book->window_level) {
        return ib_book_far_level(book, level)->level;
    }
    uint32_t at = (level - book->window_level) / IB_WINDOW_STEP;
    uint32_t side_index = at / (uint32_t)IB_WINDOW_KEYS;
    IB_EXPECT(side_index < book->window_sides && (level - book->window_level) % IB_WINDOW_STEP == 0);
    return (struct ib_level){.key = ib_price_window_key(&book->windows[side_index], at), .side_index = side_index};
}

/* The oldest order of a level that holds some. */
IB_INLINE uint32_t ib_book_oldest(const struct ib_book *book, uint32_t level)
{
    IB_EXPECT(ib_book_queue(book, level)->ring.next != level);
    return ib_index_of(ib_book_queue(book, level)->ring.next);
}

/* The order behind one at its price, or IB_NONE. */
IB_INLINE uint32_t ib_book_younger(const struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    IB_EXPECT(index < book->orders.fresh && order->links.next != IB_NONE);
    return order->links.next == order->level ? (uint32_t)IB_NONE : ib_index_of(order->links.next);
}

IB_INLINE int ib_book_is_full(const struct ib_book *book)
{
    return ib_pool_is_full(&book->orders);
}

/* The cold half of an order that has one. */
IB_INLINE struct ib_order_cold *ib_book_cold(const struct ib_book *book, uint32_t index)
{
    IB_EXPECT(ib_order_has_cold(ib_book_order(book, index)));
    return (struct ib_order_cold *)(void *)book->cold.slots + ib_order_chain(ib_book_order(book, index));
}

/* Next order in the bucket of an order. */
IB_INLINE uint32_t ib_book_chain(const struct ib_book *book, uint32_t index)
{
    const struct ib_order *order = ib_book_order(book, index);
    return ib_order_has_cold(order) ? ib_book_cold(book, index)->chain : ib_order_chain(order);
}

IB_INLINE void ib_book_set_chain(struct ib_book *book, uint32_t index, uint32_t chain)
{
    struct ib_order *order = ib_book_order(book, index);
    if (ib_order_has_cold(order)) {
        ib_book_cold(book, index)->chain = chain;
    } else {
        ib_order_set_chain(order, chain);
    }
}

/* Key of a price on a side; the complement of a key is the same price on the other side. */
IB_INLINE uint64_t ib_book_key(uint64_t side_number, uint64_t ticks)
{
    return ticks ^ (side_number - 1);
}

/* Price of a visible level with limit orders in units of 10^-4: all that stands there in CONTINUOUS. */
IB_INLINE int64_t ib_book_price(const struct ib_book *book, struct ib_level level)
{
    IB_EXPECT(level.side_index < IB_SIDES_MAX && level.key != 0);
    uint64_t ticks = ib_book_key(level.side_index & 1, level.key);
    return (int64_t)(ticks * book->instruments[level.side_index >> 1].tick);
}

/* A visible side. */
IB_INLINE struct ib_price_index *ib_book_side(const struct ib_book *book, uint32_t side_index)
{
    IB_EXPECT(side_index < IB_SIDES_MAX);
    return &book->instruments[side_index >> 1].sides[side_index & 1];
}

/* Any side. */
static inline struct ib_price_index *ib_book_any_side(const struct ib_book *book, uint32_t side_index)
{
    uint32_t visible = side_index & (IB_SIDES_MAX - 1);
    if (IB_LIKELY(side_index == visible)) {
        return ib_book_side(book, visible);
    }
    return &book->rare[visible >> 1].sides[(side_index >> IB_PLACE_SHIFT) - 1][visible & 1];
}

/* Price -> ticks without a division: multiplying by the inverse of the tick's odd part divides exactly when the tick
 * divides the price, and lands above all that times the tick fits 64 bits when it does not (Granlund and Montgomery,
 * "Division by Invariant Integers using Multiplication", 1994, section 9). False = off the tick, or below 1. */
IB_INLINE int ib_book_ticks(const struct ib_book_instrument *instrument, int64_t price, uint64_t *ticks)
{
    uint64_t product = (uint64_t)price * instrument->tick_inverse;
    uint32_t shift = instrument->tick_shift;
    *ticks = product >> shift | product << (-shift & 63u);
    return *ticks - 1 < instrument->ticks_max;
}

#endif
