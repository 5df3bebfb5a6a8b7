/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_level.c: see book_level.h.
 */
#include "book_path.h"

void ib_book_share_windows(struct ib_book *book)
{
    uint32_t sides = 2 * book->instrument_count;
    IB_ASSERT(book->windows != NULL);
    IB_ASSERT(book->instrument_count > 0);
    if (book->instrument_count < IB_WINDOW_INSTRUMENTS) {
        book->window_sides = sides;
    } else if (book->instrument_count == IB_WINDOW_INSTRUMENTS) {
        while (book->window_sides > 0 && ib_price_window_is_empty(&book->windows[book->window_sides - 1])) {
            book->window_sides--;
        }
    }
    IB_ASSERT(book->window_sides < 2 * IB_WINDOW_INSTRUMENTS);
}

void ib_book_look_for_rare_sides(struct ib_book *book, uint32_t instrument)
{
    IB_ASSERT(instrument < book->instrument_count);
    const struct ib_book_rare *rare = &book->rare[instrument];
    const struct ib_price_index *hidden = rare->sides[IB_PLACE_HIDDEN - 1];
    const struct ib_price_index *stops = rare->sides[IB_PLACE_STOP - 1];
    uint32_t special = book->instruments[instrument].special & ~(uint32_t)(IB_SPECIAL_HIDDEN | IB_SPECIAL_STOPS);
    special |= (hidden[0].best | hidden[1].best) != IB_NONE ? IB_SPECIAL_HIDDEN : 0u;
    special |= (stops[0].best | stops[1].best) != IB_NONE ? IB_SPECIAL_STOPS : 0u;
    book->instruments[instrument].special = special;
}

uint32_t ib_book_add_level(struct ib_book *book, struct ib_price_index *side, uint32_t side_index, uint64_t key,
                           uint32_t leaf)
{
    IB_EXPECT(side == ib_book_any_side(book, side_index));
    IB_EXPECT(ib_side_instrument(side_index) < book->instrument_count);
    uint32_t name = ib_name_of(ib_pool_take(&book->levels, sizeof(struct ib_far_level)));
    struct ib_far_level *far = ib_book_far_level(book, name);
    far->level.key = key;
    far->queue.quantity = 0;
    far->queue.ring.next = name;
    far->level.side_index = side_index;
    far->queue.ring.prev = name;
    far->level.leaf = ib_price_index_add(side, &book->nodes, leaf, key, name);
    ib_book_better(side, key, name);
    return name;
}

/* Whether the window of a side takes a price that is not its own yet. */
static int takes(const struct ib_book *book, struct ib_price_window *window, const struct ib_price_index *side,
                 uint32_t side_index, uint64_t key)
{
    IB_ASSERT(key != IB_KEY_NONE && side_index < book->window_sides);
    if (key > side->best_key && key - side->best_key > IB_WINDOW_REACH) {
        return 0;
    }
    window->first = book->window_level + side_index * IB_WINDOW_STEP * (uint32_t)IB_WINDOW_KEYS;
    return ib_price_window_covers(window, key) || ib_price_window_reach(window, key);
}

uint32_t ib_book_reach_level(struct ib_book *book, struct ib_price_index *side, uint32_t side_index, uint64_t key)
{
    struct ib_price_window *window = &book->windows[side_index];
    IB_ASSERT(side == ib_book_side(book, side_index));
    IB_ASSERT(side_index < book->window_sides && key != IB_KEY_NONE);
    uint32_t leaf = IB_NONE;
    if (side->root != IB_NONE) {
        leaf = ib_price_index_leaf(side, &book->nodes, key);
        uint32_t far = ib_price_leaf_level(&book->nodes, leaf, key);
        if (far != IB_NONE) {
            return far;
        }
    }
    if (!takes(book, window, side, side_index, key)) {
        uint32_t added = ib_book_add_level(book, side, side_index, key, leaf);
        window->second_key = side->best_key;
        return added;
    }
    uint32_t index = ib_price_window_level(window, key);
    struct ib_queue *queue = ib_book_queue(book, index);
    IB_ASSERT(queue->quantity == 0 && (queue->ring.next == index || queue->ring.next == IB_NONE)); /* or never used */
    queue->ring = (struct ib_links){index, index};
    ib_price_window_set(window, key);
    ib_book_better(side, key, index);
    window->second_key = side->best_key;
    return index;
}

uint32_t ib_book_level_at(const struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(key != IB_KEY_NONE);
    IB_ASSERT(ib_side_instrument(side_index) < book->instrument_count);
    const struct ib_price_window *window = ib_book_window(book, side_index);
    if (window != NULL && ib_price_window_covers(window, key) && ib_price_window_has(window, key)) {
        return ib_price_window_level(window, key);
    }
    return ib_price_index_find(ib_book_any_side(book, side_index), &book->nodes, key);
}

uint32_t ib_book_level_from(const struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(ib_side_instrument(side_index) < book->instrument_count);
    const struct ib_price_window *window = ib_book_window(book, side_index);
    uint32_t far = ib_price_index_from(ib_book_any_side(book, side_index), &book->nodes, key);
    uint32_t close = window == NULL ? (uint32_t)IB_NONE : ib_price_window_from(window, key);
    if (far == IB_NONE || close == IB_NONE) {
        return far == IB_NONE ? close : far;
    }
    return ib_book_level(book, far).key < ib_book_level(book, close).key ? far : close;
}

uint32_t ib_book_level_to(const struct ib_book *book, uint32_t side_index, uint64_t key)
{
    IB_ASSERT(ib_side_instrument(side_index) < book->instrument_count);
    const struct ib_price_window *window = ib_book_window(book, side_index);
    IB_ASSERT(key != IB_KEY_NONE);
    uint32_t far = ib_price_index_to(ib_book_any_side(book, side_index), &book->nodes, key);
    uint32_t close = window == NULL ? (uint32_t)IB_NONE : ib_price_window_to(window, key);
    if (far == IB_NONE || close == IB_NONE) {
        return far == IB_NONE ? close : far;
    }
    return ib_book_level(book, far).key > ib_book_level(book, close).key ? far : close;
}

void ib_book_drop_rare_level(struct ib_book *book, uint32_t index)
{
    struct ib_level level = ib_book_far_level(book, index)->level;
    IB_ASSERT(level.side_index >= IB_SIDES_MAX);
    ib_book_drop_level(book, ib_book_any_side(book, level.side_index), index, level);
    ib_book_look_for_rare_sides(book, ib_level_instrument(level));
}
