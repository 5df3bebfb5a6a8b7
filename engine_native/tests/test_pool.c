/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_pool.c: slots are recycled last in, first out, and counted.
 */
#include "ironbook.h"
#include "pool.h"
#include "test.h"

static void recycles_the_last_slot(void)
{
    struct ib_pool pool;
    EXPECT_EQUAL(ib_pool_open(&pool, 64, 3), IB_OK);
    uint32_t first = ib_pool_take(&pool, 64);
    uint32_t second = ib_pool_take(&pool, 64);
    uint32_t third = ib_pool_take(&pool, 64);
    EXPECT(first != IB_NONE && second != first && third != second);
    EXPECT(ib_pool_is_full(&pool));
    ib_pool_give(&pool, first, 64);
    ib_pool_give(&pool, third, 64);
    EXPECT_EQUAL(ib_pool_count_free(&pool), 2);
    EXPECT_EQUAL(ib_pool_take(&pool, 64), third);
    EXPECT_EQUAL(ib_pool_take(&pool, 64), first);
    EXPECT(ib_pool_is_full(&pool));
    EXPECT_EQUAL(pool.fresh, 4);
    ib_pool_close(&pool);
}

static void two_pools_share_an_array(void)
{
    struct ib_pool pool;
    struct ib_pool second;
    EXPECT_EQUAL(ib_pool_open_both(&pool, &second, 64, 2, 0), IB_OK);
    EXPECT_EQUAL(ib_pool_take(&pool, 64), 2);
    EXPECT_EQUAL(ib_pool_take(&second, 64), 4);
    EXPECT_EQUAL(ib_pool_stock(&pool), 1);
    EXPECT_EQUAL(ib_pool_take_given(&pool, 64), 3);
    EXPECT_EQUAL(ib_pool_stock(&pool), 0);
    EXPECT_EQUAL(ib_pool_take(&second, 64), 5);
    EXPECT(ib_pool_is_full(&pool) && ib_pool_is_full(&second));
    memset(second.slots + 5 * 64, 1, 64); /* the last byte is ours */
    ib_pool_give(&second, 4, 64);
    EXPECT_EQUAL(ib_pool_count_free(&pool), 0);
    EXPECT_EQUAL(ib_pool_count_free(&second), 1);
    EXPECT_EQUAL(ib_pool_take(&second, 64), 4);
    ib_pool_close(&second);
    EXPECT(pool.slots[64] == 0); /* still there */
    ib_pool_close(&pool);
}

static void a_broken_free_list_is_noticed(void)
{
    struct ib_pool pool;
    EXPECT_EQUAL(ib_pool_open(&pool, 64, 4), IB_OK);
    uint32_t slot = ib_pool_take(&pool, 64);
    (void)ib_pool_take(&pool, 64);
    ib_pool_give(&pool, slot, 64);
    memcpy(pool.slots + (size_t)slot * 64, &slot, sizeof slot); /* a ring */
    EXPECT_EQUAL(ib_pool_count_free(&pool), UINT32_MAX);
    ib_pool_close(&pool);
}

static const struct test_case cases[] = {
    CASE(recycles_the_last_slot),
    CASE(two_pools_share_an_array),
    CASE(a_broken_free_list_is_noticed),
};

TEST_MAIN("test_pool", cases)
