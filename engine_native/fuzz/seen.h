/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * seen.h: what a target says of the inputs that it was given, in the words that run.py reads.
 */
#ifndef IB_FUZZ_SEEN_H
#define IB_FUZZ_SEEN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Which of `size` counts are not 0. */
static inline void print_seen(const char *what, const uint64_t *counts, size_t size)
{
    printf("reached %s:", what);
    for (size_t i = 0; i < size; i++) {
        if (counts[i] > 0) {
            printf(" %zu", i);
        }
    }
    printf("\n");
}

#endif
