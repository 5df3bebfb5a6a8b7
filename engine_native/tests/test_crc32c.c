/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_crc32c.c: the published check values, and the instruction against the table.
 */
#include "crc32c.h"
#include "test.h"

/* RFC 3720, appendix B.4, as the number that its bytes spell in little-endian order. */
static void published_values(void)
{
    unsigned char data[32];
    memset(data, 0, sizeof data);
    EXPECT_EQUAL(ib_crc32c(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    EXPECT_EQUAL(ib_crc32c(0, data, sizeof data), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)i;
    }
    EXPECT_EQUAL(ib_crc32c(0, data, sizeof data), 0x46dd794e);
    EXPECT_EQUAL(ib_crc32c_portable(0, data, sizeof data), 0x46dd794e);
    EXPECT_EQUAL(ib_crc32c(0, "123456789", 9), 0xe3069283);
}

static void instruction_equals_table(void)
{
    unsigned char data[300];
    uint32_t random = 1;
    for (unsigned i = 0; i < sizeof data; i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (unsigned char)(random >> 24);
    }
    for (size_t begin = 0; begin < 16; begin++) {
        for (size_t size = 0; size + begin <= sizeof data; size++) {
            EXPECT_EQUAL(ib_crc32c(7, data + begin, size), ib_crc32c_portable(7, data + begin, size));
        }
    }
}

static void continues_where_it_stopped(void)
{
    const char *text = "one shard is one deterministic state machine";
    size_t size = strlen(text);
    for (size_t cut = 0; cut <= size; cut++) {
        uint32_t crc = ib_crc32c(ib_crc32c(0, text, cut), text + cut, size - cut);
        EXPECT_EQUAL(crc, ib_crc32c_portable(0, text, size));
    }
}

static const struct test_case cases[] = {
    CASE(published_values),
    CASE(instruction_equals_table),
    CASE(continues_where_it_stopped),
};

TEST_MAIN("test_crc32c", cases)
