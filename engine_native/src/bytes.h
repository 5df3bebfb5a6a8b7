/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bytes.h: big-endian integers in byte buffers, as the wire protocols of Nasdaq write them.
 *
 * The callers have checked the size of the buffer; nothing here does.
 */
#ifndef IB_BYTES_H
#define IB_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t ib_load_u16(const uint8_t *bytes)
{
    return (uint16_t)((bytes[0] << 8) | bytes[1]);
}

static inline uint32_t ib_load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap32(value);
}

static inline uint64_t ib_load_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap64(value);
}

static inline void ib_store_u16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline void ib_store_u32(uint8_t *bytes, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void ib_store_u64(uint8_t *bytes, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(bytes, &value, sizeof value);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the core runs on little-endian hosts only");

#endif
