/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_buckets.c: the table under both indexes grows by one bucket at a time, and tells which one to share out.
 */
#include "buckets.h"

#include "ironbook.h"
#include "test.h"

static void grows_bucket_by_bucket(void)
{
    struct ib_buckets buckets = {0};
    EXPECT_EQUAL(ib_buckets_open(&buckets, 100), IB_OK);
    EXPECT_EQUAL(buckets.capacity, 128);
    while (buckets.last + 1 < buckets.capacity) {
        uint32_t before = buckets.last;
        uint32_t from = UINT32_MAX;
        EXPECT_EQUAL(ib_buckets_grow(&buckets, &from), before + 1);
        EXPECT_EQUAL(from, (before + 1) - buckets.half);
        EXPECT(buckets.last <= buckets.mask);
    }
    ib_buckets_close(&buckets);
}

static void a_key_has_one_bucket_that_exists(void)
{
    struct ib_buckets buckets = {0};
    EXPECT_EQUAL(ib_buckets_open(&buckets, 64), IB_OK);
    for (uint64_t line = 0; line < 1000; line++) {
        const uint32_t *at = ib_buckets_at(&buckets, line, line);
        EXPECT(at >= buckets.heads && at <= buckets.heads + buckets.last);
        EXPECT(at == ib_buckets_at(&buckets, line, line));
    }
    ib_buckets_close(&buckets);
}

static const struct test_case cases[] = {
    CASE(grows_bucket_by_bucket),
    CASE(a_key_has_one_bucket_that_exists),
};

TEST_MAIN("test_buckets", cases)
