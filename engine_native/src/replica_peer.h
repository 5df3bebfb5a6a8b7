/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_peer.h: two members prove to each other that they have the shard's key, before a frame of replica_frame.h
 * passes. Each sends a challenge of its own and answers the other's; the key itself never travels.
 *
 *   CHALLENGE { shard, from, to, nonce }          both, as soon as the connection is there
 *   PROOF     { shard, from, to, crypt(3) }       both, when the other's challenge has come
 *
 * The proof is crypt(3)'s SHA-256 of key, shard, from, to and the prover's nonce, salted with the verifier's nonce: one
 * that was seen once fits no other connection, no other direction and no other shard. It is what keeps strangers and
 * misconfigured members out, on a network that is private: what passes after it has checksums, but is neither encrypted
 * nor signed.
 *
 * A proof takes about half a millisecond, and memory; so none of it is on the path of an order, and few of them may
 * be asked for by whoever connects (replica_links.c).
 */
#ifndef IB_REPLICA_PEER_H
#define IB_REPLICA_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ib_peer_limit {
    IB_PEER_KEY_MIN = 16, /* characters, none of them zero */
    IB_PEER_KEY_MAX = 128,
    IB_PEER_NONCE_SIZE = 16,
    IB_PEER_PROOF_SIZE = 80,
    IB_PEER_MESSAGE_SIZE = 128,
};

enum ib_peer_kind { IB_PEER_CHALLENGE = 1, IB_PEER_PROOF = 2 };

/* WARNING: sent as it lies in memory. */
struct ib_peer_message {
    uint32_t magic;
    uint16_t kind;    /* enum ib_peer_kind */
    uint16_t version; /* of what is spoken after it */
    uint32_t shard;
    uint8_t from;
    uint8_t to;
    uint8_t reserved_1[2];
    char nonce[IB_PEER_NONCE_SIZE];
    char proof[IB_PEER_PROOF_SIZE]; /* padded with zeros */
    uint32_t orders;
    uint8_t reserved_2[12];
};

_Static_assert(sizeof(struct ib_peer_message) == IB_PEER_MESSAGE_SIZE, "layout");

/* What all members of a shard have alike. */
struct ib_peer_terms {
    uint32_t shard;
    uint32_t orders; /* capacity of the book: with another one the same commands lead to another state */
    const char *key; /* borrowed */
};

struct ib_peer {
    struct ib_peer_terms terms;
    uint8_t self;
    uint8_t other;
    bool challenged; /* the other's challenge has come */
    bool proven;     /* the other has the key */
    char nonce[IB_PEER_NONCE_SIZE];
    char other_nonce[IB_PEER_NONCE_SIZE];
};

/* A handshake with member `other`, and its first message. `random`: 12 bytes that nobody can foresee and that were
 * never used before (getrandom). IB_ERROR_CONFIGURATION: the key is too short or too long. */
int ib_peer_begin(struct ib_peer *peer, const struct ib_peer_terms *terms, uint8_t self, uint8_t other,
                  const uint8_t random[12], struct ib_peer_message *challenge);

/* One message of the other. `*answer_size`: what is to be sent back, 0 or IB_PEER_MESSAGE_SIZE. Null, or why the
 * connection must end. */
const char *ib_peer_take(struct ib_peer *peer, const struct ib_peer_message *message, struct ib_peer_message *answer,
                         size_t *answer_size);

/* Both have proven it to each other: frames may pass. */
static inline bool ib_peer_is_proven(const struct ib_peer *peer)
{
    return peer->proven && peer->challenged;
}

#endif
