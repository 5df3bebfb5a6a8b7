/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_walk.c: all live orders of an instrument in the order that mass cancels, closes and snapshots have in common.
 */
#include "book_path.h"
#include "book_rare.h"

/* The stages of the walk; the last is the at-close queue, where both sides stand in one order of time. */
static const struct stage {
    uint32_t place;
    uint32_t side_number;
} stages[] = {
    {IB_PLACE_VISIBLE, 0}, {IB_PLACE_HIDDEN, 0}, {IB_PLACE_VISIBLE, 1}, {IB_PLACE_HIDDEN, 1},
    {IB_PLACE_STOP, 0},    {IB_PLACE_STOP, 1},   {IB_PLACE_AT_CLOSE, 0},
};

enum { STAGES = sizeof stages / sizeof stages[0], LAST = STAGES - 1 };

static uint32_t first_of(const struct ib_book *book, uint32_t instrument, uint32_t place, uint32_t side_number)
{
    IB_ASSERT(instrument < book->instrument_count);
    IB_ASSERT(place <= IB_PLACE_AT_CLOSE && side_number <= 1);
    uint32_t level = ib_book_any_side(book, place << IB_PLACE_SHIFT | 2 * instrument | side_number)->best;
    return level == IB_NONE ? IB_NONE : ib_book_oldest(book, level);
}

uint32_t ib_book_level_behind(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_level level = ib_book_level(book, index);
    return ib_book_level_from(book, level.side_index, level.key + 1);
}

uint32_t ib_book_level_before(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_level level = ib_book_level(book, index);
    return level.key == 0 ? (uint32_t)IB_NONE : ib_book_level_to(book, level.side_index, level.key - 1);
}

uint32_t ib_book_last_level(const struct ib_book *book, uint32_t side_index)
{
    IB_ASSERT(ib_side_instrument(side_index) < book->instrument_count);
    return ib_book_level_to(book, side_index, IB_KEY_NONE - 1);
}

/* The order behind this one on its side, or IB_NONE. */
static uint32_t behind(const struct ib_book *book, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    uint32_t younger = ib_book_younger(book, index);
    if (younger != IB_NONE) {
        return younger;
    }
    uint32_t level = ib_book_order(book, index)->level;
    IB_ASSERT(ib_book_links(book, level)->prev == ib_name_of(index));
    uint32_t next = ib_book_level_behind(book, level);
    return next == IB_NONE ? IB_NONE : ib_book_oldest(book, next);
}

static void begin_stage(struct ib_walk *walk)
{
    IB_ASSERT(walk->stage < STAGES);
    const struct stage *stage = &stages[walk->stage];
    walk->next[0] = first_of(walk->book, walk->instrument, stage->place, stage->side_number);
    walk->next[1] = walk->stage == LAST ? first_of(walk->book, walk->instrument, stage->place, 1) : IB_NONE;
}

void ib_walk_begin(struct ib_walk *walk, const struct ib_book *book, uint32_t instrument)
{
    IB_ASSERT(walk != NULL);
    *walk = (struct ib_walk){.book = book, .instrument = instrument};
    begin_stage(walk);
}

uint32_t ib_walk_next(struct ib_walk *walk)
{
    const struct ib_book *book = walk->book;
    IB_ASSERT(walk->stage < STAGES);
    while (walk->next[0] == IB_NONE && walk->next[1] == IB_NONE && walk->stage < LAST) {
        walk->stage++;
        begin_stage(walk);
    }
    unsigned from = walk->next[0] == IB_NONE;
    if (walk->next[0] != IB_NONE && walk->next[1] != IB_NONE) {
        from = ib_order_ref(ib_book_order(book, walk->next[1])) < ib_order_ref(ib_book_order(book, walk->next[0]));
    }
    uint32_t index = walk->next[from];
    IB_ASSERT(walk->stage == LAST || walk->next[1] == IB_NONE);
    if (index != IB_NONE) {
        walk->next[from] = behind(book, index); /* now, because this one may leave */
    }
    return index;
}
