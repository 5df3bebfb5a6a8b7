/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_sha256.c: the examples of FIPS 180-4 (NIST, "SHA256.pdf" of its example values, and "SHA_All.pdf"), and that it
 * does not matter in what pieces the bytes come.
 */
#include "sha256.h"
#include "test.h"

static int is_portable; /* the case wants the plain way, also where there is another */

static void digest_of(const void *data, size_t size, size_t piece, char hex[65])
{
    struct ib_sha256 sha;
    uint8_t digest[IB_SHA256_SIZE];
    ib_sha256_begin(&sha);
    sha.is_portable |= is_portable;
    for (size_t at = 0; at < size; at += piece) {
        ib_sha256_add(&sha, (const uint8_t *)data + at, size - at < piece ? size - at : piece);
    }
    ib_sha256_end(&sha, digest);
    for (unsigned i = 0; i < sizeof digest; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

static void published_examples(void)
{
    static const struct {
        const char *text;
        const char *hex;
    } examples[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65];
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        digest_of(examples[i].text, strlen(examples[i].text), 64, hex);
        EXPECT(strcmp(hex, examples[i].hex) == 0);
    }
}

static void a_million_letters(void)
{
    static char letters[1000000];
    char hex[65];
    memset(letters, 'a', sizeof letters);
    digest_of(letters, sizeof letters, sizeof letters, hex);
    EXPECT(strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0);
}

static void pieces_do_not_matter(void)
{
    uint8_t bytes[300];
    char whole[65], pieces[65];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    for (size_t size = 0; size <= sizeof bytes; size++) {
        digest_of(bytes, size, sizeof bytes, whole);
        digest_of(bytes, size, 1 + size % 70, pieces);
        EXPECT(strcmp(whole, pieces) == 0);
    }
}

static void both_ways_say_the_same(void)
{
    uint8_t bytes[1000];
    char fast[65], plain[65];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * i + i / 7);
    }
    for (size_t size = 0; size <= sizeof bytes; size += 1 + size / 3) {
        digest_of(bytes, size, sizeof bytes, fast);
        is_portable = 1;
        digest_of(bytes, size, sizeof bytes, plain);
        published_examples();
        is_portable = 0;
        EXPECT_SOUND();
        EXPECT(strcmp(fast, plain) == 0);
    }
}

static const struct test_case cases[] = {CASE(published_examples), CASE(a_million_letters), CASE(pieces_do_not_matter),
                                         CASE(both_ways_say_the_same)};

TEST_MAIN("test_sha256", cases)
