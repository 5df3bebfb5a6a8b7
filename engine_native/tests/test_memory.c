/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_memory.c: address space is zeroed, costs nothing until it is touched, and its lack is a null pointer.
 */
#include <stdint.h>

#include "memory.h"
#include "test.h"

static void what_is_reserved_is_zero(void)
{
    size_t bytes = (size_t)1 << 34; /* more than this machine may have: only what is touched counts */
    unsigned char *memory = ib_memory_reserve(bytes);
    EXPECT(memory != NULL);
    EXPECT_EQUAL(memory[0], 0);
    EXPECT_EQUAL(memory[bytes - 1], 0);
    memory[bytes / 2] = 1;
    EXPECT_EQUAL((uintptr_t)memory % 64, 0);
    ib_memory_release(memory, bytes);
}

static void too_much_is_null(void)
{
    EXPECT(ib_memory_reserve(SIZE_MAX / 2) == NULL);
    ib_memory_release(NULL, 0);
}

static const struct test_case cases[] = {
    CASE(what_is_reserved_is_zero),
    CASE(too_much_is_null),
};

TEST_MAIN("test_memory", cases)
