/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_price_index.c: the radix tree of prices against a plain array, near, far and at both ends of 64 bits.
 */
#include "ironbook.h"
#include "price_index.h"
#include "test.h"

enum { LEVELS = 200 };

struct model {
    uint64_t keys[LEVELS];
    uint32_t levels[LEVELS];
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

static uint32_t lowest_at_least(const struct model *model, uint64_t from)
{
    uint32_t best = IB_NONE;
    uint64_t best_key = UINT64_MAX;
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->keys[i] >= from && (best == IB_NONE || model->keys[i] < best_key)) {
            best = model->levels[i];
            best_key = model->keys[i];
        }
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

static void agree(struct ib_price_index *index, const struct ib_pool *nodes, const struct model *model)
{
    ib_price_index_find_best(index, nodes);
    EXPECT_EQUAL(index->best, lowest_at_least(model, 0));
    if (index->best == IB_NONE) {
        EXPECT(index->best_key == IB_KEY_NONE);
    } else {
        EXPECT_EQUAL(ib_price_index_find(index, nodes, index->best_key), index->best);
    }
    for (uint32_t i = 0; i < model->count; i++) {
        uint64_t key = model->keys[i];
        EXPECT_EQUAL(ib_price_index_find(index, nodes, key), model->levels[i]);
        uint32_t above = lowest_at_least(model, key + 1);
        EXPECT_EQUAL(ib_price_index_above(index, nodes, key), above);
    }
    uint64_t probe = random_key();
    uint32_t above = lowest_at_least(model, probe + 1);
    EXPECT_EQUAL(ib_price_index_above(index, nodes, probe), above);
    EXPECT(nodes->in_use <= 2 * model->count);
}

static void random_against_array(void)
{
    struct ib_pool nodes;
    struct ib_price_index index;
    ib_price_index_clear(&index);
    struct model model = {.count = 0};
    EXPECT_EQUAL(ib_pool_open(&nodes, sizeof(struct ib_price_node), 2 * LEVELS), IB_OK);
    for (uint32_t step = 1; step <= 20000; step++) {
        uint64_t key = random_key();
        uint32_t found = ib_price_index_find(&index, &nodes, key);
        if (found == IB_NONE && model.count < LEVELS && next_random() % 100 < 55) {
            *ib_price_index_place(&index, &nodes, key) = step;
            model.keys[model.count] = key;
            model.levels[model.count++] = step;
        } else if (model.count > 0) {
            uint32_t victim = (uint32_t)(next_random() % model.count);
            ib_price_index_remove(&index, &nodes, model.keys[victim]);
            model.keys[victim] = model.keys[--model.count];
            model.levels[victim] = model.levels[model.count];
        }
        agree(&index, &nodes, &model);
        EXPECT_SOUND();
    }
    while (model.count > 0) {
        ib_price_index_remove(&index, &nodes, model.keys[--model.count]);
        agree(&index, &nodes, &model);
        EXPECT_SOUND();
    }
    EXPECT_EQUAL(nodes.in_use, 0);
    EXPECT_EQUAL(ib_pool_count_free(&nodes) + 1, nodes.fresh);
    ib_pool_close(&nodes);
}

/* A usual book of 1,000 neighbouring prices is one root and its leaves. */
static void near_prices_stay_small(void)
{
    struct ib_pool nodes;
    struct ib_price_index index;
    ib_price_index_clear(&index);
    EXPECT_EQUAL(ib_pool_open(&nodes, sizeof(struct ib_price_node), 4000), IB_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        *ib_price_index_place(&index, &nodes, 4096 * 100 + i) = i + 1;
    }
    EXPECT_EQUAL(nodes.in_use, 1 + 16);
    *ib_price_index_place(&index, &nodes, IB_KEY_NONE - 1) = 5000; /* a far one: one leaf, one fork */
    EXPECT_EQUAL(nodes.in_use, 1 + 16 + 2);
    ib_price_index_remove(&index, &nodes, IB_KEY_NONE - 1);
    EXPECT_EQUAL(nodes.in_use, 1 + 16);
    ib_pool_close(&nodes);
}

static const struct test_case cases[] = {
    CASE(random_against_array),
    CASE(near_prices_stay_small),
};

TEST_MAIN("test_price_index", cases)
