/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replica_peer.c: see replica_peer.h.
 */
#define _GNU_SOURCE
#include "replica_peer.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ironbook.h"

#define PEER_MAGIC 0x31524550u /* "PER1" */
#define PEER_VERSION 1u

/* The alphabet of crypt(3), six bits a character. */
static void write_nonce(char nonce[IB_PEER_NONCE_SIZE], const uint8_t random[12])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    _Static_assert(sizeof digits == 64 + 1, "six bits each");
    IB_ASSERT(nonce != NULL && random != NULL);
    for (size_t i = 0; i < 4; i++) {
        uint32_t bits = (uint32_t)random[3 * i] << 16 | (uint32_t)random[3 * i + 1] << 8 | random[3 * i + 2];
        for (size_t digit = 0; digit < 4; digit++) {
            nonce[4 * i + digit] = digits[bits >> (6 * digit) & 63];
        }
    }
}

static bool is_nonce(const char nonce[IB_PEER_NONCE_SIZE])
{
    IB_ASSERT(nonce != NULL);
    for (size_t i = 0; i < IB_PEER_NONCE_SIZE; i++) {
        char c = nonce[i];
        if (!((c >= '.' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) {
            return false;
        }
    }
    return true;
}

/* What `from` sends to `to`; false without memory. */
static bool prove(const struct ib_peer *peer, uint8_t from, uint8_t to, const char *prover_nonce,
                  const char *verifier_nonce, char proof[IB_PEER_PROOF_SIZE])
{
    char words[IB_PEER_KEY_MAX + 64];
    char salt[32];
    IB_ASSERT(strlen(peer->terms.key) <= IB_PEER_KEY_MAX);
    IB_ASSERT(from != to);
    struct crypt_data *data = calloc(1, sizeof *data); /* 32 KiB: too much for a thread's stack */
    if (data == NULL) {
        return false;
    }
    (void)snprintf(words, sizeof words, "%s:%u:%u:%u:%.16s", peer->terms.key, (unsigned)peer->terms.shard, from, to,
                   prover_nonce);
    (void)snprintf(salt, sizeof salt, "$5$%.16s$", verifier_nonce);
    const char *computed = crypt_r(words, salt, data);
    bool done = computed != NULL && computed[0] != '*' && strlen(computed) < IB_PEER_PROOF_SIZE;
    memset(proof, 0, IB_PEER_PROOF_SIZE);
    if (done) {
        memcpy(proof, computed, strlen(computed));
    }
    explicit_bzero(words, sizeof words);
    explicit_bzero(data, sizeof *data);
    free(data);
    return done;
}

static struct ib_peer_message message_of(const struct ib_peer *peer, enum ib_peer_kind kind)
{
    struct ib_peer_message message = {.magic = PEER_MAGIC, .kind = (uint16_t)kind, .version = PEER_VERSION,
                                      .shard = peer->terms.shard, .from = peer->self, .to = peer->other,
                                      .orders = peer->terms.orders};
    IB_ASSERT(peer->self != peer->other);
    IB_ASSERT(kind == IB_PEER_CHALLENGE || kind == IB_PEER_PROOF);
    memcpy(message.nonce, peer->nonce, sizeof message.nonce);
    return message;
}

int ib_peer_begin(struct ib_peer *peer, const struct ib_peer_terms *terms, uint8_t self, uint8_t other,
                  const uint8_t random[12], struct ib_peer_message *challenge)
{
    IB_ASSERT(peer != NULL && terms->key != NULL);
    IB_ASSERT(self != other);
    size_t length = strlen(terms->key);
    if (length < IB_PEER_KEY_MIN || length > IB_PEER_KEY_MAX) {
        return IB_ERROR_CONFIGURATION;
    }
    *peer = (struct ib_peer){.terms = *terms, .self = self, .other = other};
    write_nonce(peer->nonce, random);
    *challenge = message_of(peer, IB_PEER_CHALLENGE);
    return IB_OK;
}

static const char *take_challenge(struct ib_peer *peer, const struct ib_peer_message *message,
                                  struct ib_peer_message *answer, size_t *answer_size)
{
    IB_ASSERT(message->kind == IB_PEER_CHALLENGE);
    IB_ASSERT(*answer_size == 0);
    if (peer->challenged || !is_nonce(message->nonce)) {
        return "a second challenge, or none that could be answered";
    }
    peer->challenged = true;
    memcpy(peer->other_nonce, message->nonce, sizeof peer->other_nonce);
    *answer = message_of(peer, IB_PEER_PROOF);
    if (!prove(peer, peer->self, peer->other, peer->nonce, peer->other_nonce, answer->proof)) {
        return "crypt(3) cannot make a proof";
    }
    *answer_size = sizeof *answer;
    return NULL;
}

static const char *take_proof(struct ib_peer *peer, const struct ib_peer_message *message)
{
    char expected[IB_PEER_PROOF_SIZE];
    unsigned char difference = 0;
    IB_ASSERT(message->kind == IB_PEER_PROOF);
    IB_ASSERT(sizeof expected == sizeof message->proof);
    if (!peer->challenged || peer->proven) {
        return "a proof out of turn";
    }
    if (!prove(peer, peer->other, peer->self, peer->other_nonce, peer->nonce, expected)) {
        return "crypt(3) cannot make a proof";
    }
    for (size_t i = 0; i < sizeof expected; i++) { /* as long for a near miss as for a far one */
        difference |= (unsigned char)(expected[i] ^ message->proof[i]);
    }
    explicit_bzero(expected, sizeof expected);
    peer->proven = difference == 0;
    return peer->proven ? NULL : "it does not have this shard's key";
}

const char *ib_peer_take(struct ib_peer *peer, const struct ib_peer_message *message, struct ib_peer_message *answer,
                         size_t *answer_size)
{
    IB_ASSERT(peer != NULL && peer->terms.key != NULL);
    IB_ASSERT(message != NULL && answer != NULL && answer_size != NULL);
    *answer_size = 0;
    if (message->magic != PEER_MAGIC) {
        return "it is no member of a shard";
    }
    if (message->version != PEER_VERSION) {
        return "it speaks another version of the protocol: upgrade the older member";
    }
    if (message->shard != peer->terms.shard) {
        return "it is a member of another shard: correct the address";
    }
    if (message->orders != peer->terms.orders) {
        return "its limits.orders are others: give all members of a shard the same";
    }
    if (message->from != peer->other || message->to != peer->self) {
        return "it is another member than the address is of, or takes this one for another: correct the address";
    }
    if (message->kind == IB_PEER_CHALLENGE) {
        return take_challenge(peer, message, answer, answer_size);
    }
    return message->kind == IB_PEER_PROOF ? take_proof(peer, message) : "a message that there is not";
}
