/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * hash.h: 64-bit mixing by wide multiplication, for the state hash and the journal's chain. Not cryptographic:
 * it finds accidents, not forgers. Its constants are part of the journal's format.
 */
#ifndef IB_HASH_H
#define IB_HASH_H

#include <stdint.h>

__extension__ typedef unsigned __int128 ib_uint128;
__extension__ typedef __int128 ib_int128;

/* Odd 64-bit numbers without structure (digits of the golden ratio, and of pi from bit 2 on). */
#define IB_HASH_A 0x9e3779b97f4a7c15u
#define IB_HASH_B 0xc90fdaa22168c235u
#define IB_HASH_C 0x243f6a8885a308d3u

/* Both halves of a 128-bit product, folded: every bit of both inputs reaches every bit of the result. */
static inline uint64_t ib_mix(uint64_t a, uint64_t b)
{
    ib_uint128 product = (ib_uint128)(a ^ IB_HASH_A) * (b ^ IB_HASH_B);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
