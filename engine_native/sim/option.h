/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * option.h: a number on a simulation's command line.
 */
#ifndef IB_OPTION_H
#define IB_OPTION_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What follows `name`, or `otherwise`. */
static inline uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return strtoull(argv[i + 1], NULL, 10);
        }
    }
    return otherwise;
}

#endif
