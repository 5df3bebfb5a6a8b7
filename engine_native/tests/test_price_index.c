/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_price_index.c: the radix tree of prices against a plain array, near, far and at both ends of 64 bits.
 */
#include "ironbook.h"
#include "price_index.h"
#include "test.h"

enum { LEVELS = 200, PARENT_KEYS = 1 << IB_PARENT_BITS };

struct model {
    uint64_t keys[LEVELS];
    uint32_t count;
};

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t highest_at_most(const struct model *model, uint64_t to)
{
    uint64_t best = IB_KEY_NONE;
    for (uint32_t i = 0; i < model->count; i++) {
        uint64_t key = model->keys[i];
        best = key <= to && (best == IB_KEY_NONE || key > best) ? key : best;
    }
    return best;
}

static uint64_t lowest_at_least(const struct model *model, uint64_t from)
{
    uint64_t best = IB_KEY_NONE;
    for (uint32_t i = 0; i < model->count; i++) {
        best = model->keys[i] >= from && model->keys[i] < best ? model->keys[i] : best;
    }
    return best;
}

/* Mostly close to each other, as prices are; sometimes anywhere. */
static uint64_t random_key(void)
{
    switch (next_random() % 8) {
    case 0: return next_random();
    case 1: return next_random() % 3 == 0 ? 0 : IB_KEY_NONE - 1;
    case 2: return 1000000 + next_random() % 100000;
    default: return 1000000 + next_random() % 200;
    }
}

/* The level of a key: in these tests a number that follows from it. */
static uint32_t level_of(uint64_t key)
{
    return key == IB_KEY_NONE ? IB_NONE : (uint32_t)(key * 0x9e3779b97f4a7c15u >> 33) | 1;
}

static void add(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    uint32_t leaf = ib_price_index_leaf(index, nodes, key);
    uint32_t added = ib_price_index_add(index, nodes, leaf, key, level_of(key));
    EXPECT(leaf == IB_NONE || added == leaf);
    EXPECT(ib_price_leaf_level(nodes, added, key) == level_of(key));
}

/* Returns the level of what is the lowest key of its leaf or its parent then. */
static uint32_t take(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    return ib_price_index_remove(index, nodes, ib_price_index_leaf(index, nodes, key), key);
}

static void agree(struct ib_price_index *index, const struct ib_pool *nodes, const struct model *model)
{
    EXPECT(ib_price_index_from(index, nodes, 0) == level_of(lowest_at_least(model, 0)));
    for (uint32_t i = 0; i < model->count; i++) {
        uint64_t key = model->keys[i];
        EXPECT(ib_price_index_find(index, nodes, key) == level_of(key));
        EXPECT(ib_price_leaf_level(nodes, ib_price_index_leaf(index, nodes, key), key) == level_of(key));
        EXPECT(ib_price_index_from(index, nodes, key) == level_of(key));
        EXPECT(ib_price_index_to(index, nodes, key) == level_of(key));
        EXPECT(key == 0 || ib_price_index_to(index, nodes, key - 1) == level_of(highest_at_most(model, key - 1)));
        EXPECT(ib_price_index_from(index, nodes, key + 1) == level_of(lowest_at_least(model, key + 1)));
    }
    uint64_t probe = random_key();
    uint64_t at = lowest_at_least(model, probe);
    EXPECT(ib_price_index_from(index, nodes, probe) == level_of(at));
    EXPECT(ib_price_index_to(index, nodes, probe) == level_of(highest_at_most(model, probe)));
    EXPECT(ib_price_index_find(index, nodes, probe) == (at == probe ? level_of(probe) : IB_NONE));
    EXPECT(nodes->in_use <= 3 * model->count);
}

static void random_against_array(void)
{
    struct ib_pool nodes;
    struct ib_price_index index;
    struct model model = {.count = 0};
    ib_price_index_clear(&index);
    EXPECT_EQUAL(ib_price_nodes_open(&nodes, LEVELS), IB_OK);
    for (uint32_t step = 1; step <= 20000; step++) {
        uint64_t key = random_key();
        if (lowest_at_least(&model, key) != key && model.count < LEVELS && next_random() % 100 < 55) {
            add(&index, &nodes, key);
            model.keys[model.count++] = key;
        } else if (model.count > 0) {
            uint32_t victim = (uint32_t)(next_random() % model.count);
            key = model.keys[victim];
            model.keys[victim] = model.keys[--model.count];
            uint32_t left = take(&index, &nodes, key);
            uint64_t in_leaf = lowest_at_least(&model, key / IB_DIGITS * IB_DIGITS);
            uint64_t below_parent = lowest_at_least(&model, key / PARENT_KEYS * PARENT_KEYS);
            EXPECT(left == (in_leaf / IB_DIGITS == key / IB_DIGITS            ? level_of(in_leaf)
                            : below_parent / PARENT_KEYS == key / PARENT_KEYS ? level_of(below_parent)
                                                                              : IB_NONE));
        }
        agree(&index, &nodes, &model);
        EXPECT_SOUND();
    }
    while (model.count > 0) {
        (void)take(&index, &nodes, model.keys[--model.count]);
        agree(&index, &nodes, &model);
        EXPECT_SOUND();
    }
    EXPECT_EQUAL(nodes.in_use, 0);
    EXPECT_EQUAL(index.root, IB_NONE);
    EXPECT_EQUAL(ib_pool_count_free(&nodes) + 1, nodes.fresh);
    ib_pool_close(&nodes);
}

/* A usual book of 1,000 neighbouring prices is one parent and its leaves. */
static void near_prices_stay_small(void)
{
    struct ib_pool nodes;
    struct ib_price_index index;
    ib_price_index_clear(&index);
    EXPECT_EQUAL(ib_price_nodes_open(&nodes, 4000), IB_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        add(&index, &nodes, 1024 * 100 + i);
    }
    EXPECT_EQUAL(nodes.in_use, 1 + 32);
    add(&index, &nodes, IB_KEY_NONE - 1); /* a far one: a leaf, its parent and a fork */
    EXPECT_EQUAL(nodes.in_use, 1 + 32 + 3);
    (void)take(&index, &nodes, IB_KEY_NONE - 1);
    EXPECT_EQUAL(nodes.in_use, 1 + 32);
    ib_pool_close(&nodes);
}

/* A window that wanders over all 64 bits, in steps and in jumps, leaves nothing behind. */
static void a_moving_window_stays_small(void)
{
    enum { WIDTH = 300 };
    struct ib_pool nodes;
    struct ib_price_index index;
    static uint64_t window[WIDTH];
    uint64_t key = 1000;
    ib_price_index_clear(&index);
    EXPECT_EQUAL(ib_price_nodes_open(&nodes, WIDTH), IB_OK);
    for (uint32_t step = 0; step < 200000; step++) {
        if (step >= WIDTH) {
            (void)take(&index, &nodes, window[step % WIDTH]);
        }
        key += step % 1000 == 0 ? next_random() >> step / 1000 % 64 : 1 + next_random() % 3;
        key = key >= IB_KEY_NONE - 10 ? key / 2 : key;
        while (ib_price_index_find(&index, &nodes, key) != IB_NONE) {
            key++;
        }
        add(&index, &nodes, key);
        window[step % WIDTH] = key;
        if (step % 1000 >= WIDTH && step >= 2 * WIDTH) { /* the last jump has left the window */
            EXPECT(nodes.in_use <= WIDTH * 3 / IB_DIGITS + 2 + 3);
        }
        EXPECT_SOUND();
    }
    EXPECT(nodes.fresh <= 3 * WIDTH + 1);
    ib_pool_close(&nodes);
}

static const struct test_case cases[] = {
    CASE(random_against_array),
    CASE(near_prices_stay_small),
    CASE(a_moving_window_stays_small),
};

TEST_MAIN("test_price_index", cases)
