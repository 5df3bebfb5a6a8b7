/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sha256.c: see sha256.h. Two ways to one result: Intel's SHA extensions, and plain arithmetic.
 */
#include "sha256.h"

#include <string.h>

#include "check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

/* Fractional parts of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2). */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

_Static_assert(sizeof constants == 64 * 4, "one for each round");
_Static_assert(IB_SHA256_BLOCK == 64 && IB_SHA256_SIZE == 8 * 4, "FIPS 180-4");

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static void take_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t words[64];
    uint32_t s[8];
    IB_ASSERT(state != NULL && block != NULL);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t word;
        memcpy(&word, block + 4 * i, sizeof word);
        words[i] = __builtin_bswap32(word);
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t early = words[i - 15];
        uint32_t late = words[i - 2];
        words[i] = words[i - 16] + words[i - 7] + (rotate(early, 7) ^ rotate(early, 18) ^ early >> 3) +
                   (rotate(late, 17) ^ rotate(late, 19) ^ late >> 10);
    }
    memcpy(s, state, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + words[i];
        uint32_t second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += first;
        s[0] = first + second;
    }
    for (unsigned i = 0; i < 8; i++) {
        state[i] += s[i];
    }
}

static void take_blocks_portably(uint32_t state[8], const uint8_t *bytes, size_t count)
{
    IB_ASSERT(state != NULL);
    IB_ASSERT(bytes != NULL || count == 0);
    for (size_t i = 0; i < count; i++) {
        take_block(state, bytes + i * IB_SHA256_BLOCK);
    }
}

#if defined(__x86_64__)

static int has_instructions(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) != 0 && (c & bit_SSSE3) != 0 &&
           __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) != 0;
}

/* The instructions (Intel 64 manual, volume 2B, SHA256RNDS2 …) keep the state as {f, e, b, a} and {h, g, d, c}, from
 * the lowest word up, and do two rounds each. */
__attribute__((target("sha,sse4.1,ssse3"))) static void take_blocks_by_instruction(uint32_t state[8],
                                                                                   const uint8_t *bytes, size_t count)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    for (size_t block = 0; block < count; block++, bytes += IB_SHA256_BLOCK) {
        const __m128i abef_before = abef;
        const __m128i cdgh_before = cdgh;
        __m128i words[4]; /* the last sixteen */
        for (unsigned i = 0; i < 16; i++) { /* four rounds each */
            __m128i *next = &words[i % 4];
            if (i < 4) {
                *next = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i)), swap);
            } else {
                const __m128i seventh = _mm_alignr_epi8(words[(i + 3) % 4], words[(i + 2) % 4], 4);
                *next = _mm_add_epi32(_mm_sha256msg1_epu32(*next, words[(i + 1) % 4]), seventh);
                *next = _mm_sha256msg2_epu32(*next, words[(i + 3) % 4]);
            }
            const __m128i k = _mm_loadu_si128((const __m128i *)(const void *)(constants + 4 * i));
            const __m128i sum = _mm_add_epi32(*next, k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    uint32_t low[4], high[4];
    memcpy(low, &abef, sizeof low);
    memcpy(high, &cdgh, sizeof high);
    const uint32_t after[8] = {low[3], low[2], high[3], high[2], low[1], low[0], high[1], high[0]};
    memcpy(state, after, sizeof after);
}

#else

static int has_instructions(void)
{
    return 0;
}

static void take_blocks_by_instruction(uint32_t state[8], const uint8_t *bytes, size_t count)
{
    take_blocks_portably(state, bytes, count);
}

#endif

static void take_blocks(struct ib_sha256 *sha, const uint8_t *bytes, size_t count)
{
    IB_ASSERT(sha->is_portable == 0 || sha->is_portable == 1);
    IB_ASSERT(bytes != NULL || count == 0);
    if (sha->is_portable) {
        take_blocks_portably(sha->state, bytes, count);
    } else {
        take_blocks_by_instruction(sha->state, bytes, count);
    }
}

void ib_sha256_begin(struct ib_sha256 *sha)
{
    IB_ASSERT(sha != NULL);
    *sha = (struct ib_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                        0x1f83d9ab, 0x5be0cd19},
                              .is_portable = !has_instructions()};
}

void ib_sha256_add(struct ib_sha256 *sha, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t waiting = sha->size % IB_SHA256_BLOCK;
    IB_ASSERT(data != NULL || size == 0);
    IB_ASSERT(sha->size <= UINT64_MAX / 8 - size); /* its length in bits has 64 of them */
    sha->size += size;
    if (waiting > 0) {
        size_t taken = size < IB_SHA256_BLOCK - waiting ? size : IB_SHA256_BLOCK - waiting;
        memcpy(sha->block + waiting, bytes, taken);
        bytes += taken;
        size -= taken;
        if (waiting + taken < IB_SHA256_BLOCK) {
            return;
        }
        take_blocks(sha, sha->block, 1);
    }
    take_blocks(sha, bytes, size / IB_SHA256_BLOCK);
    if (size % IB_SHA256_BLOCK > 0) {
        memcpy(sha->block, bytes + size / IB_SHA256_BLOCK * IB_SHA256_BLOCK, size % IB_SHA256_BLOCK);
    }
}

void ib_sha256_end(struct ib_sha256 *sha, uint8_t digest[IB_SHA256_SIZE])
{
    static const uint8_t padding[IB_SHA256_BLOCK] = {0x80};
    uint64_t bits = __builtin_bswap64(sha->size * 8);
    size_t waiting = sha->size % IB_SHA256_BLOCK;
    IB_ASSERT(digest != NULL);
    IB_ASSERT(sha->size <= UINT64_MAX / 8); /* or the length in bits would not be that of what was added */
    ib_sha256_add(sha, padding, (waiting < 56 ? 56 : 120) - waiting);
    ib_sha256_add(sha, &bits, sizeof bits);
    IB_ASSERT(sha->size % IB_SHA256_BLOCK == 0);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t word = __builtin_bswap32(sha->state[i]);
        memcpy(digest + 4 * i, &word, sizeof word);
    }
}
