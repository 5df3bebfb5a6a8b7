/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sha256.h: SHA-256 (FIPS 180-4, section 6.2). It names the content of a file that leaves this machine, so that whoever
 * has it can compare it with any tool. Not on the path of an order.
 */
#ifndef IB_SHA256_H
#define IB_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { IB_SHA256_SIZE = 32, IB_SHA256_BLOCK = 64 };

struct ib_sha256 {
    uint32_t state[8];
    uint64_t size; /* bytes so far */
    int is_portable; /* 0: by the processor's instructions for it, which it has */
    uint8_t block[IB_SHA256_BLOCK]; /* the first size % 64 bytes of it wait */
};

void ib_sha256_begin(struct ib_sha256 *sha);
void ib_sha256_add(struct ib_sha256 *sha, const void *data, size_t size);
void ib_sha256_end(struct ib_sha256 *sha, uint8_t digest[IB_SHA256_SIZE]);

#endif
