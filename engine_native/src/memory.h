/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * memory.h: the core's only source of memory. Address space is taken once, at open; a page of it costs memory from
 * its first touch on, so that a capacity that is never used costs nothing.
 */
#ifndef IB_MEMORY_H
#define IB_MEMORY_H

#include <stddef.h>

/* Zeroed, page-aligned, on huge pages where the kernel has them; null when the address space cannot be had. */
void *ib_memory_reserve(size_t bytes);
void ib_memory_release(void *memory, size_t bytes); /* null is allowed */

#endif
