/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_level.h: where the level of a price is: in its side's window or in its price index.
 *
 * The price index takes any price. In a book of few instruments, fewer than IB_WINDOW_INSTRUMENTS, each side has a
 * window besides (price_window.h), where the prices that lie close together have a level each, and only the others are
 * in the index. With more, orders are few to a price, and most of those levels would be empty. No price is in both.
 */
#ifndef IB_BOOK_LEVEL_H
#define IB_BOOK_LEVEL_H

#include "book.h"

/* The level of a price on any side, of the best price at `key` or worse, of the worst one at `key` or better; IB_NONE
 * when there is none. */
uint32_t ib_book_level_at(const struct ib_book *book, uint32_t side_index, uint64_t key);
uint32_t ib_book_level_from(const struct ib_book *book, uint32_t side_index, uint64_t key);
uint32_t ib_book_level_to(const struct ib_book *book, uint32_t side_index, uint64_t key);

/* A price without a level gets one without orders; `leaf` as ib_price_index_leaf has it. */
uint32_t ib_book_add_level(struct ib_book *book, struct ib_price_index *side, uint32_t side_index, uint64_t key,
                           uint32_t leaf);
/* The level of a price that is not its window's yet, of a side that has one: in the index, or made. */
uint32_t ib_book_reach_level(struct ib_book *book, struct ib_price_index *side, uint32_t side_index, uint64_t key);
void ib_book_drop_rare_level(struct ib_book *book, uint32_t level); /* of a side that is not visible */

/* A new instrument's sides have windows while there are few; with many, nobody's have that are empty by then. */
void ib_book_share_windows(struct ib_book *book);
/* Tells the path of plain orders whether hidden orders and stops stand in an instrument. */
void ib_book_look_for_rare_sides(struct ib_book *book, uint32_t instrument);

/* The window of a side, or null. */
IB_INLINE struct ib_price_window *ib_book_window(const struct ib_book *book, uint32_t side_index)
{
    return side_index < book->window_sides ? &book->windows[side_index] : NULL;
}

#endif
