/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_buckets.c: the table under the index of orders: how it doubles, and which bucket comes from which.
 */
#include "buckets.h"

#include "ironbook.h"
#include "test.h"

static void doubles_with_its_entries(void)
{
    struct ib_buckets buckets = {0};
    EXPECT_EQUAL(ib_buckets_open(&buckets, 100), IB_OK);
    EXPECT_EQUAL(buckets.capacity, 256);
    ib_buckets_grow(&buckets, 8);
    EXPECT_EQUAL(buckets.mask, 15);
    ib_buckets_grow(&buckets, 9);
    EXPECT_EQUAL(buckets.mask, 31);
    ib_buckets_grow(&buckets, 100);
    EXPECT_EQUAL(buckets.mask, 255);
    for (uint32_t b = 0; b < buckets.capacity; b++) {
        EXPECT_EQUAL(buckets.heads[b], b < IB_BUCKETS_MIN ? IB_CHAIN_END : IB_BUCKET_UNMADE);
    }
    ib_buckets_close(&buckets);
    EXPECT_EQUAL(ib_buckets_open(&buckets, 1000000), IB_OK); /* a large one has less room between */
    EXPECT_EQUAL(buckets.capacity, 1 << 20);
    ib_buckets_grow(&buckets, 32768);
    EXPECT_EQUAL(buckets.mask, 65535);
    ib_buckets_grow(&buckets, 65536);
    EXPECT_EQUAL(buckets.mask, 65535);
    ib_buckets_grow(&buckets, 65537);
    EXPECT_EQUAL(buckets.mask, 131071);
    ib_buckets_close(&buckets);
}

/* A bucket comes from where its entries were while the table was smaller. */
static void a_bucket_comes_from_where_its_entries_were(void)
{
    EXPECT_EQUAL(ib_buckets_parent(24), 8);
    EXPECT_EQUAL(ib_buckets_parent(40), 8);
    EXPECT_EQUAL(ib_buckets_parent(56), 24);
    for (uint32_t bucket = IB_BUCKETS_MIN; bucket < 100000; bucket++) {
        uint32_t mask = IB_BUCKETS_MIN - 1;
        while ((bucket & (mask << 1 | 1)) != bucket) {
            mask = mask << 1 | 1;
        }
        EXPECT_EQUAL(ib_buckets_parent(bucket), bucket & mask);
    }
}

static void neighbours_share_a_line(void)
{
    struct ib_buckets buckets = {0};
    EXPECT_EQUAL(ib_buckets_open(&buckets, 1024), IB_OK);
    ib_buckets_grow(&buckets, 1024);
    for (uint32_t number = 0; number < 100000; number += 16) {
        const uint32_t *first = ib_buckets_at(&buckets, ib_buckets_scatter(number >> 4, number));
        EXPECT_EQUAL((first - buckets.heads) % 16, 0);
        for (uint32_t i = 1; i < 16; i++) {
            EXPECT(ib_buckets_at(&buckets, ib_buckets_scatter(number >> 4, number + i)) - first == i);
        }
    }
    ib_buckets_close(&buckets);
}

static const struct test_case cases[] = {
    CASE(doubles_with_its_entries),
    CASE(a_bucket_comes_from_where_its_entries_were),
    CASE(neighbours_share_a_line),
};

TEST_MAIN("test_buckets", cases)
