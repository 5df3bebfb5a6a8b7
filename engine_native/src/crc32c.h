/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crc32c.h: CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the processor's instruction where it has one.
 */
#ifndef IB_CRC32C_H
#define IB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 at the start) over `size` bytes. */
uint32_t ib_crc32c(uint32_t crc, const void *data, size_t size);
/* The same by tables alone: the reference that the instruction is tested against. */
uint32_t ib_crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
