/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_window.c: see price_window.h.
 */
#include "price_window.h"

#include "price_index.h"

#define NO_SLOT UINT64_MAX

/* The bits of a word behind bit `bit`; up to bit `last`. */
static uint64_t bits_behind(uint64_t word, uint64_t bit)
{
    IB_ASSERT(bit < 64);
    return word & (UINT64_MAX - 1) << bit;
}

static uint64_t bits_to(uint64_t word, uint64_t last)
{
    IB_ASSERT(last < 64);
    return word & UINT64_MAX >> (63 - last);
}

static uint64_t lowest_bit(uint64_t word)
{
    IB_ASSERT(word != 0);
    return (uint64_t)__builtin_ctzll(word);
}

static uint64_t highest_bit(uint64_t word)
{
    IB_ASSERT(word != 0);
    return 63 - (uint64_t)__builtin_clzll(word);
}

/* The first slot in use whose word is behind that of `slot`, or NO_SLOT. */
static uint64_t slot_behind_word(const struct ib_price_window *window, uint64_t slot)
{
    IB_ASSERT(slot < IB_WINDOW_KEYS);
    uint64_t word = slot / 64;
    uint64_t part = word / 64;
    uint64_t found = bits_behind(window->summary[part], word % 64);
    while (found == 0) {
        if (++part == IB_WINDOW_PARTS) {
            return NO_SLOT;
        }
        found = window->summary[part];
    }
    word = part * 64 + lowest_bit(found);
    IB_ASSERT(window->bits[word] != 0);
    return word * 64 + lowest_bit(window->bits[word]);
}

/* The first slot in use at or behind `slot`, or NO_SLOT. */
static uint64_t slot_from(const struct ib_price_window *window, uint64_t slot)
{
    IB_ASSERT(slot < IB_WINDOW_KEYS);
    uint64_t found = window->bits[slot / 64] & UINT64_MAX << slot % 64;
    return found != 0 ? slot / 64 * 64 + lowest_bit(found) : slot_behind_word(window, slot);
}

/* The last slot in use at or before `slot`, or NO_SLOT. */
static uint64_t slot_to(const struct ib_price_window *window, uint64_t slot)
{
    IB_ASSERT(slot < IB_WINDOW_KEYS);
    uint64_t found = bits_to(window->bits[slot / 64], slot % 64);
    if (found != 0) {
        return slot / 64 * 64 + highest_bit(found);
    }
    uint64_t word = slot / 64;
    uint64_t part = word / 64;
    found = word % 64 == 0 ? 0 : bits_to(window->summary[part], word % 64 - 1);
    while (found == 0) {
        if (part == 0) {
            return NO_SLOT;
        }
        found = window->summary[--part];
    }
    word = part * 64 + highest_bit(found);
    IB_ASSERT(window->bits[word] != 0);
    return word * 64 + highest_bit(window->bits[word]);
}

uint32_t ib_price_window_far_above(const struct ib_price_window *window, uint64_t slot)
{
    IB_ASSERT(slot < IB_WINDOW_KEYS);
    IB_ASSERT(window->first != IB_NONE);
    uint64_t found = slot_behind_word(window, slot);
    found = found != NO_SLOT ? found : slot_from(window, 0); /* round the wheel */
    return found == NO_SLOT ? (uint32_t)IB_NONE : window->first + IB_WINDOW_STEP * (uint32_t)found;
}

int ib_price_window_is_empty(const struct ib_price_window *window)
{
    IB_ASSERT(window != NULL);
    IB_ASSERT(window->keys == 0 || window->keys == IB_WINDOW_KEYS);
    return slot_from(window, 0) == NO_SLOT;
}

/* The lowest key at or above one that the window covers, the highest at or below it; IB_KEY_NONE. */
static uint64_t key_from(const struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(ib_price_window_covers(window, key));
    uint64_t slot = slot_from(window, key % IB_WINDOW_KEYS);
    slot = slot == NO_SLOT ? slot_from(window, 0) : slot;
    uint64_t found = slot == NO_SLOT ? IB_KEY_NONE : ib_price_window_key(window, slot);
    IB_ASSERT(found == IB_KEY_NONE || ib_price_window_covers(window, found));
    return found >= key ? found : IB_KEY_NONE;
}

static uint64_t key_to(const struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(ib_price_window_covers(window, key));
    uint64_t slot = slot_to(window, key % IB_WINDOW_KEYS);
    slot = slot == NO_SLOT ? slot_to(window, IB_WINDOW_KEYS - 1) : slot;
    uint64_t found = slot == NO_SLOT ? IB_KEY_NONE : ib_price_window_key(window, slot);
    IB_ASSERT(found == IB_KEY_NONE || ib_price_window_covers(window, found));
    return found <= key ? found : IB_KEY_NONE;
}

static uint32_t level_at(const struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(window->first != IB_NONE);
    IB_ASSERT(key == IB_KEY_NONE || ib_price_window_has(window, key));
    return key == IB_KEY_NONE ? (uint32_t)IB_NONE : ib_price_window_level(window, key);
}

uint32_t ib_price_window_from(const struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(window != NULL);
    IB_ASSERT(window->keys == 0 || window->keys == IB_WINDOW_KEYS);
    key = key < window->base ? window->base : key;
    return ib_price_window_covers(window, key) ? level_at(window, key_from(window, key)) : (uint32_t)IB_NONE;
}

uint32_t ib_price_window_to(const struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(window != NULL);
    IB_ASSERT(window->keys == 0 || window->keys == IB_WINDOW_KEYS);
    if (window->keys == 0 || key < window->base) {
        return IB_NONE;
    }
    uint64_t last = window->base + (window->keys - 1);
    return level_at(window, key_to(window, key < last ? key : last));
}

int ib_price_window_reach(struct ib_price_window *window, uint64_t key)
{
    IB_ASSERT(window != NULL && key != IB_KEY_NONE);
    IB_ASSERT(!ib_price_window_covers(window, key));
    if (key == 0) {
        return 0;
    }
    uint64_t lowest = key;
    uint64_t highest = key;
    if (!ib_price_window_is_empty(window)) {
        uint64_t best = key_from(window, window->base);
        uint64_t worst = key_to(window, window->base + (IB_WINDOW_KEYS - 1));
        lowest = key < best ? key : best;
        highest = key > worst ? key : worst;
        if (highest - lowest >= IB_WINDOW_KEYS) {
            return 0;
        }
    }
    uint64_t around = (IB_WINDOW_KEYS - 1 - (highest - lowest)) / 2;
    uint64_t base = lowest > around ? lowest - around : 1;
    window->base = base < IB_KEY_NONE - IB_WINDOW_KEYS ? base : IB_KEY_NONE - IB_WINDOW_KEYS;
    window->keys = IB_WINDOW_KEYS;
    IB_ASSERT(ib_price_window_covers(window, lowest) && ib_price_window_covers(window, highest));
    return 1;
}
