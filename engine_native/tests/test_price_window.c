/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_price_window.c: a window as wide as the product's (the other tests have a small one), against a plain array.
 */
#define IB_WINDOW_BITS 16

#include "../src/price_window.c"
#include "test.h"

enum { LEVELS = 60, FIRST = 1000 };

static struct ib_price_window window;
static uint64_t keys[LEVELS]; /* that have orders */
static uint32_t count;

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void begin(void)
{
    window = (struct ib_price_window){.first = FIRST};
    count = 0;
}

static uint32_t level_of(uint64_t key)
{
    return key == IB_KEY_NONE ? (uint32_t)IB_NONE : FIRST + IB_WINDOW_STEP * (uint32_t)(key % IB_WINDOW_KEYS);
}

static uint64_t lowest_from(uint64_t key)
{
    uint64_t lowest = IB_KEY_NONE;
    for (uint32_t i = 0; i < count; i++) {
        lowest = keys[i] >= key && keys[i] < lowest ? keys[i] : lowest;
    }
    return lowest;
}

static uint64_t highest_to(uint64_t key)
{
    uint64_t highest = IB_KEY_NONE;
    for (uint32_t i = 0; i < count; i++) {
        highest = keys[i] <= key && (highest == IB_KEY_NONE || keys[i] > highest) ? keys[i] : highest;
    }
    return highest;
}

/* Whether all keys, and one more, lie within one window. */
static int fits(uint64_t key)
{
    uint64_t low = lowest_from(0) < key ? lowest_from(0) : key;
    uint64_t high = count > 0 && highest_to(IB_KEY_NONE - 1) > key ? highest_to(IB_KEY_NONE - 1) : key;
    return high - low < IB_WINDOW_KEYS;
}

static void agree(uint64_t probe)
{
    EXPECT(ib_price_window_from(&window, probe) == level_of(lowest_from(probe)));
    EXPECT(ib_price_window_to(&window, probe) == level_of(highest_to(probe)));
    EXPECT(ib_price_window_is_empty(&window) == (count == 0));
    for (uint32_t i = 0; i < count; i++) {
        EXPECT(ib_price_window_covers(&window, keys[i]) && ib_price_window_has(&window, keys[i]));
        EXPECT(ib_price_window_from(&window, keys[i] + 1) == level_of(lowest_from(keys[i] + 1)));
        EXPECT(ib_price_window_to(&window, keys[i] - 1) == level_of(highest_to(keys[i] - 1)));
    }
}

static void set(uint64_t key)
{
    int known = lowest_from(key) == key;
    ib_price_window_set(&window, key);
    if (!known) {
        keys[count++] = key;
    }
}

static void unset(uint32_t victim)
{
    uint64_t key = keys[victim];
    ib_price_window_unset(&window, key);
    keys[victim] = keys[--count];
    EXPECT(lowest_from(0) < key || ib_price_window_above(&window, key) == level_of(lowest_from(0)));
}

/* A price that drifts, in steps of any size, over several windows; orders around it come and go. */
static void random_against_array(void)
{
    begin();
    uint64_t middle = 1000000;
    uint32_t slides = 0;
    uint32_t refusals = 0;
    for (uint32_t step = 0; step < 40000; step++) {
        middle += (next_random() >> (44 + next_random() % 20)) - (next_random() >> (44 + next_random() % 20));
        uint64_t key = middle + next_random() % (UINT64_C(1) << next_random() % 17);
        if (count < LEVELS && next_random() % 100 < 60) {
            int covered = ib_price_window_covers(&window, key);
            int reached = covered || ib_price_window_reach(&window, key);
            EXPECT(covered || reached == fits(key));
            slides += !covered && reached;
            refusals += !reached;
            if (reached) {
                EXPECT(ib_price_window_level(&window, key) == level_of(key));
                set(key);
            }
        } else if (count > 0) {
            unset((uint32_t)(next_random() % count));
        }
        agree(middle + next_random() % 200000 - 100000);
        EXPECT_SOUND();
    }
    EXPECT(slides > 100 && refusals > 100);
    while (count > 0) {
        unset(count - 1);
        agree(middle);
    }
    EXPECT(ib_price_window_is_empty(&window));
}

/* At both ends of all keys, and never at key 0. */
static void the_ends_of_all_keys(void)
{
    begin();
    EXPECT_EQUAL(ib_price_window_from(&window, 0), IB_NONE);
    EXPECT_EQUAL(ib_price_window_to(&window, IB_KEY_NONE - 1), IB_NONE);
    EXPECT_EQUAL(ib_price_window_reach(&window, 0), 0);
    EXPECT_EQUAL(window.keys, 0);
    EXPECT(ib_price_window_reach(&window, 1));
    EXPECT_EQUAL((long long)window.base, 1);
    EXPECT_EQUAL(ib_price_window_covers(&window, 0), 0);
    set(1);
    EXPECT_EQUAL(ib_price_window_reach(&window, IB_KEY_NONE - 1), 0);
    set(IB_WINDOW_KEYS); /* the farthest that fits beside it */
    agree(0);
    agree(IB_WINDOW_KEYS);
    EXPECT_EQUAL(ib_price_window_reach(&window, IB_WINDOW_KEYS + 1), 0);
    unset(0);
    EXPECT(ib_price_window_reach(&window, IB_WINDOW_KEYS + 1));
    unset(0);
    EXPECT(ib_price_window_reach(&window, IB_KEY_NONE - 1));
    EXPECT(window.base + (window.keys - 1) == IB_KEY_NONE - 1);
    set(IB_KEY_NONE - 1);
    agree(IB_KEY_NONE - 1);
    unset(0);
}

/* The best level goes: the next one is in the same word, in the same summary, in another, or round the wheel. */
static void the_next_best_at_every_distance(void)
{
    for (uint64_t base = 1; base < 3 * IB_WINDOW_KEYS; base += 4099) {
        for (uint64_t distance = 1; distance < IB_WINDOW_KEYS; distance = distance * 3 / 2 + 1) {
            begin();
            EXPECT(ib_price_window_reach(&window, base));
            set(base);
            EXPECT(ib_price_window_covers(&window, base + distance) ||
                   ib_price_window_reach(&window, base + distance));
            set(base + distance);
            unset(0);
            EXPECT(ib_price_window_above(&window, base) == level_of(base + distance));
            unset(0);
            EXPECT_EQUAL(ib_price_window_above(&window, base + distance), IB_NONE);
        }
    }
}

static const struct test_case cases[] = {
    CASE(random_against_array),
    CASE(the_ends_of_all_keys),
    CASE(the_next_best_at_every_distance),
};

TEST_MAIN("test_price_window", cases)
