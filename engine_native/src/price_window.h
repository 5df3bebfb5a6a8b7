/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_window.h: which prices of one side that lie close together have orders. Each price in the window has a level of
 * its own for good, found by the lowest bits of its key; a level that holds no order is empty, and its bit says so. So
 * nothing is made when a price comes and nothing is given back when it goes, and nobody has to guess which it will be.
 *
 *   keys     base ──────────────────── base + 65,536        a level for each: first + 2 x (key % 65,536)
 *   bits     1,024 words, a bit for each level that holds an order
 *   summary  16 words, a bit for each of those words that is not 0
 *
 * Because of the remainder the window can slide without moving what is in it: it turns like a wheel. It slides only as
 * far as all that it holds stays inside. What lies outside, and what is so far from the best price that it would only
 * hold the window fast, is the price index's (price_index.h), which takes any 64 bits.
 *
 * The levels of a window are 1 MiB of address space, and cost memory a page at a time where orders have been: that is
 * for shards with few instruments, whose orders are many to a side. Books of many instruments have none (book_level.h).
 */
#ifndef IB_PRICE_WINDOW_H
#define IB_PRICE_WINDOW_H

#include "pool.h"

/* Builds that check after each command have a small one, so that tests slide it and leave it often. */
#ifndef IB_WINDOW_BITS
#ifdef IB_CHECK
#define IB_WINDOW_BITS 8
#else
#define IB_WINDOW_BITS 16
#endif
#endif

#define IB_WINDOW_STEP 2 /* from the name of a level to that of the next (level.h) */
#define IB_WINDOW_KEYS (UINT64_C(1) << IB_WINDOW_BITS)
#define IB_WINDOW_PARTS ((IB_WINDOW_KEYS + 4095) / 4096) /* words of the summary */

/* How much worse than the best price one may be that is let in. */
#define IB_WINDOW_REACH (IB_WINDOW_KEYS / 8 * 7)

/* All zero: empty, and nowhere yet. */
struct ib_price_window {
    uint64_t base;  /* the lowest key in it, at least 1: key 0, ahead of all prices, is the index's */
    uint64_t keys;  /* how many from there: 0 until it is somewhere, then IB_WINDOW_KEYS */
    uint32_t first; /* the name of the level of keys whose remainder is 0 */
    uint32_t reserved;
    uint64_t second_key; /* of the level behind the side's best, IB_KEY_NONE where there is none; that of the best: not
                          * known, as whenever a price is not in the window */
    uint64_t summary[IB_WINDOW_PARTS];
    uint64_t bits[IB_WINDOW_KEYS / 64];
};

/* The level that holds orders of the lowest key at or above `key`, of the highest at or below it; IB_NONE when there is
 * none. */
uint32_t ib_price_window_from(const struct ib_price_window *window, uint64_t key);
uint32_t ib_price_window_to(const struct ib_price_window *window, uint64_t key);

/* For ib_price_window_above: the first level with orders whose word is behind that of `slot`. */
uint32_t ib_price_window_far_above(const struct ib_price_window *window, uint64_t slot);

int ib_price_window_is_empty(const struct ib_price_window *window);

/* Whether the window can slide so that it covers a key that it does not, and has then. */
int ib_price_window_reach(struct ib_price_window *window, uint64_t key);

IB_INLINE int ib_price_window_covers(const struct ib_price_window *window, uint64_t key)
{
    return key - window->base < window->keys;
}

/* The level of a key that it covers. */
IB_INLINE uint32_t ib_price_window_level(const struct ib_price_window *window, uint64_t key)
{
    IB_EXPECT(key != UINT64_MAX);
    return window->first + IB_WINDOW_STEP * (uint32_t)(key % IB_WINDOW_KEYS);
}

/* The key of a slot, the remainder of it. */
IB_INLINE uint64_t ib_price_window_key(const struct ib_price_window *window, uint64_t slot)
{
    return window->base + (slot - window->base) % IB_WINDOW_KEYS;
}

/* Whether it holds orders. */
IB_INLINE int ib_price_window_has(const struct ib_price_window *window, uint64_t key)
{
    uint64_t slot = key % IB_WINDOW_KEYS;
    return window->bits[slot / 64] >> slot % 64 & 1;
}

/* It holds orders, whether or not it did before. */
IB_INLINE void ib_price_window_set(struct ib_price_window *window, uint64_t key)
{
    uint64_t slot = key % IB_WINDOW_KEYS;
    IB_EXPECT(ib_price_window_covers(window, key));
    window->bits[slot / 64] |= UINT64_C(1) << slot % 64;
    window->summary[slot / 4096] |= UINT64_C(1) << slot / 64 % 64;
}

/* It holds none any more. */
IB_INLINE void ib_price_window_unset(struct ib_price_window *window, uint64_t key)
{
    uint64_t slot = key % IB_WINDOW_KEYS;
    IB_EXPECT(ib_price_window_covers(window, key) && ib_price_window_has(window, key));
    window->bits[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    if (window->bits[slot / 64] == 0) {
        window->summary[slot / 4096] &= ~(UINT64_C(1) << slot / 64 % 64);
    }
}

/* An order rests at `key`, on a side whose best key is `best_key` so far. No branch: whether the price is the best, the
 * second, or new at all, is nobody's guess. */
IB_INLINE void ib_price_window_count(struct ib_price_window *window, uint64_t key, uint64_t best_key)
{
    IB_EXPECT(ib_price_window_covers(window, key) && window->second_key >= best_key);
    uint64_t behind = key > best_key ? key : best_key;
    window->second_key = behind < window->second_key ? behind : window->second_key;
}

/* The level of the lowest key that holds orders, or IB_NONE, when `key` was that and holds none any more. */
IB_INLINE uint32_t ib_price_window_above(const struct ib_price_window *window, uint64_t key)
{
    uint64_t slot = key % IB_WINDOW_KEYS;
    IB_EXPECT(ib_price_window_covers(window, key) && !ib_price_window_has(window, key));
    uint64_t above = window->bits[slot / 64] & (UINT64_MAX - 1) << slot % 64;
    if (IB_LIKELY(above != 0)) {
        return window->first + IB_WINDOW_STEP * (uint32_t)(slot / 64 * 64 + (unsigned)__builtin_ctzll(above));
    }
    return ib_price_window_far_above(window, slot);
}

#endif
