/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_rare.h: what the path of plain orders does not know of the book: extras, hidden and parked orders, orders that
 * expire, and the walk over all that is live.
 */
#ifndef IB_BOOK_RARE_H
#define IB_BOOK_RARE_H

#include "book.h"

/* As ib_book_rest (book_path.h), anywhere that the entry's side_index names; `extra` may be null. */
uint32_t ib_book_put(struct ib_book *book, const struct ib_book_entry *entry, const struct ib_order_extra *extra);
/* Takes a whole order out of the book. */
void ib_book_remove(struct ib_book *book, uint32_t order);
/* Shrinks an order where it stands; 0 < remaining <= what remains now. An iceberg shows at most that. */
void ib_book_shrink(struct ib_book *book, uint32_t order, uint64_t remaining);
/* The order lives on, where it stands, under its owner's new number and data; `extra` may be null. */
void ib_book_rename(struct ib_book *book, uint32_t order, uint32_t user_ref, uint8_t time_in_force,
                    const uint8_t *client_data, const struct ib_order_extra *extra);
/* The order lives on as it is, with other client data, which is not blank. */
void ib_book_relabel(struct ib_book *book, uint32_t order, const uint8_t client_data[IB_CLIENT_DATA_SIZE]);
/* An iceberg shows `shown` of what remains. */
void ib_book_show(struct ib_book *book, uint32_t order, uint64_t shown);
/* An order goes to the end of its level under a new number. */
void ib_book_requeue(struct ib_book *book, uint32_t order, uint64_t order_ref);

/* Whether a limit order of this key would trade at once, with visible or hidden orders (matcher_match.c). */
int ib_book_would_trade(const struct ib_book *book, uint32_t side_index, uint64_t key);

/* ---- orders that expire (book_expiry.c), by (expire_time_ns, order_ref) ---- */

void ib_book_expiry_add(struct ib_book *book, uint32_t extra);
void ib_book_expiry_remove(struct ib_book *book, uint32_t extra);
void ib_book_expiry_renumber(struct ib_book *book, uint32_t extra); /* its order has a higher order_ref now */
uint32_t ib_book_expiry_first(const struct ib_book *book);          /* the next order to expire, or IB_NONE */

/* ---- the walk over all orders of an instrument (book_walk.c), docs/matching.md, section 8 ----
 *
 * The order that the walk has named may leave the book; no other may. */

struct ib_walk {
    const struct ib_book *book;
    uint32_t instrument;
    uint32_t stage;
    uint32_t next[2]; /* of the present side; at the close of both sides */
};

void ib_walk_begin(struct ib_walk *walk, const struct ib_book *book, uint32_t instrument);
uint32_t ib_walk_next(struct ib_walk *walk); /* IB_NONE = the end */
/* The level next to this one on its side, away from the best, or towards it: a buy's next lower, next higher price. */
uint32_t ib_book_level_behind(const struct ib_book *book, uint32_t level);
uint32_t ib_book_level_before(const struct ib_book *book, uint32_t level);
uint32_t ib_book_last_level(const struct ib_book *book, uint32_t side_index); /* farthest from the best */

/* ---- looking ---- */

IB_INLINE uint64_t ib_book_executed(const struct ib_book *book, uint32_t index)
{
    return ib_order_has_cold(ib_book_order(book, index)) ? ib_cold_executed(ib_book_cold(book, index)) : 0;
}

/* IB_CLIENT_DATA_SIZE bytes. */
IB_INLINE const uint8_t *ib_book_client_data(const struct ib_book *book, uint32_t index)
{
    static const uint8_t none[IB_CLIENT_DATA_SIZE];
    return ib_order_has_cold(ib_book_order(book, index)) ? ib_book_cold(book, index)->client_data : none;
}

/* What an order has besides, or null. */
IB_INLINE struct ib_order_extra *ib_book_extra(const struct ib_book *book, uint32_t index)
{
    uint32_t extra = ib_order_has_cold(ib_book_order(book, index)) ? ib_cold_extra(ib_book_cold(book, index)) : IB_NONE;
    return extra == IB_NONE ? NULL : (struct ib_order_extra *)(void *)book->extras.slots + extra;
}

/* That of an order which surely has one: a parked one, an iceberg, one that expires. */
IB_INLINE struct ib_order_extra *ib_book_extra_of(const struct ib_book *book, uint32_t index)
{
    struct ib_order_extra *extra = ib_book_extra(book, index);
    IB_ASSERT(extra != NULL);
    return extra;
}

/* What the book shows of an order, or would if it were not hidden. */
IB_INLINE uint64_t ib_book_shown(const struct ib_book *book, uint32_t index)
{
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    return extra != NULL && extra->displayed > 0 ? extra->shown : ib_order_remaining(ib_book_order(book, index));
}

/* Key of a stop price in the stops of a side: buys from the lowest, sells from the highest. */
static inline uint64_t ib_book_stop_key(unsigned side_number, uint64_t ticks)
{
    return ib_book_key(side_number ^ 1, ticks);
}

/* Price of any level: limit, or stop price; 0 where it is neither. */
static inline int64_t ib_book_any_price(const struct ib_book *book, struct ib_level level)
{
    unsigned side_number = level.side_index & 1;
    uint64_t ticks = ib_level_place(level) == IB_PLACE_STOP ? ib_book_stop_key(side_number, level.key)
                                                           : ib_book_key(side_number, level.key);
    return level.key == 0 ? 0 : (int64_t)(ticks * book->instruments[ib_level_instrument(level)].tick);
}

#endif
