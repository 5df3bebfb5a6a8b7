/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_peer.c: who has the key is let in, and nobody else: with another key, of another shard, with what was
 * heard before, or with this member's own words.
 */
#define _GNU_SOURCE
#include "ironbook.h"
#include "replica_peer.h"
#include "test.h"

#define KEY "correct horse battery"

struct side {
    struct ib_peer peer;
    struct ib_peer_message challenge, proof;
};

static int begin(struct side *side, uint32_t shard, uint8_t self, uint8_t other, const char *key, uint8_t seed)
{
    uint8_t random[12];
    for (unsigned i = 0; i < sizeof random; i++) {
        random[i] = (uint8_t)(seed * 31 + 7 * i);
    }
    memset(side, 0, sizeof *side);
    const struct ib_peer_terms terms = {.shard = shard, .orders = 64, .key = key};
    return ib_peer_begin(&side->peer, &terms, self, other, random, &side->challenge);
}

/* Null, or why one of the two ends it. */
static const char *shake(struct side *left, struct side *right)
{
    struct ib_peer_message none;
    size_t size;
    const char *why = ib_peer_take(&left->peer, &right->challenge, &left->proof, &size);
    why = why != NULL ? why : ib_peer_take(&right->peer, &left->challenge, &right->proof, &size);
    why = why != NULL ? why : ib_peer_take(&left->peer, &right->proof, &none, &size);
    return why != NULL ? why : ib_peer_take(&right->peer, &left->proof, &none, &size);
}

static void who_has_the_key_is_let_in(void)
{
    struct side left;
    struct side right;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY, 2), IB_OK);
    EXPECT(!ib_peer_is_proven(&left.peer));
    EXPECT(shake(&left, &right) == NULL);
    EXPECT(ib_peer_is_proven(&left.peer) && ib_peer_is_proven(&right.peer));
    EXPECT(memmem(&left.proof, sizeof left.proof, "horse", 5) == NULL); /* the key does not travel */
}

static void who_has_another_book_is_not(void)
{
    struct side left;
    struct side right;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY, 2), IB_OK);
    right.challenge.orders = 65;
    const char *why = shake(&left, &right);
    EXPECT(why != NULL && strstr(why, "limits.orders") != NULL);
}

static void who_has_another_key_is_not(void)
{
    struct side left;
    struct side right;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY "!", 2), IB_OK);
    const char *why = shake(&left, &right);
    EXPECT(why != NULL && strstr(why, "key") != NULL);
    EXPECT(!ib_peer_is_proven(&left.peer) && !ib_peer_is_proven(&right.peer));
}

static void another_shard_or_member_is_named(void)
{
    struct side left;
    struct side right;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 8, 1, 0, KEY, 2), IB_OK);
    EXPECT(strstr(shake(&left, &right), "another shard") != NULL);
    EXPECT_EQUAL(begin(&right, 7, 2, 0, KEY, 2), IB_OK);
    EXPECT(strstr(shake(&left, &right), "another member") != NULL);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY, 2), IB_OK);
    right.challenge.version++;
    EXPECT(strstr(shake(&left, &right), "version") != NULL);
}

static void what_was_heard_before_does_not_fit(void)
{
    struct side left;
    struct side right;
    struct ib_peer_message none;
    size_t size;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY, 2), IB_OK);
    EXPECT(shake(&left, &right) == NULL);
    struct side again; /* member 0 once more, with another nonce; member 1's words of before */
    EXPECT_EQUAL(begin(&again, 7, 0, 1, KEY, 3), IB_OK);
    EXPECT(ib_peer_take(&again.peer, &right.challenge, &none, &size) == NULL);
    EXPECT(ib_peer_take(&again.peer, &right.proof, &none, &size) != NULL);
    EXPECT(!ib_peer_is_proven(&again.peer));
}

static void its_own_words_do_not_fit(void)
{
    struct side left;
    struct ib_peer_message back;
    struct ib_peer_message none;
    size_t size;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    back = left.challenge;
    back.from = 1;
    back.to = 0;
    EXPECT(ib_peer_take(&left.peer, &back, &left.proof, &size) == NULL);
    back = left.proof;
    back.from = 1;
    back.to = 0;
    EXPECT(ib_peer_take(&left.peer, &back, &none, &size) != NULL);
    EXPECT(!ib_peer_is_proven(&left.peer));
}

static void what_comes_out_of_turn_ends_it(void)
{
    struct side left;
    struct side right;
    struct ib_peer_message none;
    size_t size;
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT_EQUAL(begin(&right, 7, 1, 0, KEY, 2), IB_OK);
    struct ib_peer_message early = right.challenge;
    early.kind = IB_PEER_PROOF;
    EXPECT(ib_peer_take(&left.peer, &early, &none, &size) != NULL);
    EXPECT(ib_peer_take(&left.peer, &right.challenge, &none, &size) == NULL);
    EXPECT(ib_peer_take(&left.peer, &right.challenge, &none, &size) != NULL);
    early.kind = 9;
    EXPECT(ib_peer_take(&left.peer, &early, &none, &size) != NULL);
    right.challenge.nonce[3] = '$';
    EXPECT_EQUAL(begin(&left, 7, 0, 1, KEY, 1), IB_OK);
    EXPECT(ib_peer_take(&left.peer, &right.challenge, &none, &size) != NULL);
}

static void a_key_that_is_too_short_or_too_long_is_none(void)
{
    struct side left;
    char key[IB_PEER_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[IB_PEER_KEY_MAX + 1] = '\0';
    EXPECT_EQUAL(begin(&left, 7, 0, 1, key, 1), IB_ERROR_CONFIGURATION);
    key[IB_PEER_KEY_MAX] = '\0';
    EXPECT_EQUAL(begin(&left, 7, 0, 1, key, 1), IB_OK);
    key[IB_PEER_KEY_MIN - 1] = '\0';
    EXPECT_EQUAL(begin(&left, 7, 0, 1, key, 1), IB_ERROR_CONFIGURATION);
}

static const struct test_case cases[] = {
    CASE(who_has_the_key_is_let_in),
    CASE(who_has_another_book_is_not),
    CASE(who_has_another_key_is_not),
    CASE(another_shard_or_member_is_named),
    CASE(what_was_heard_before_does_not_fit),
    CASE(its_own_words_do_not_fit),
    CASE(what_comes_out_of_turn_ends_it),
    CASE(a_key_that_is_too_short_or_too_long_is_none),
};

TEST_MAIN("test_replica_peer", cases)
