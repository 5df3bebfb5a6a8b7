/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * memory.c: see memory.h.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <sys/mman.h>

#include "check.h"

/* One huge page: below this there is none to be had. */
#define HUGE_FROM_BYTES ((size_t)2 << 20)

void *ib_memory_reserve(size_t bytes)
{
    IB_ASSERT(bytes > 0);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    if (bytes >= HUGE_FROM_BYTES) {
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: a kernel without them changes nothing */
    }
    return memory;
}

void ib_memory_release(void *memory, size_t bytes)
{
    IB_ASSERT(bytes > 0 || memory == NULL);
    if (memory != NULL) {
        int result = munmap(memory, bytes);
        IB_ASSERT(result == 0);
    }
}
