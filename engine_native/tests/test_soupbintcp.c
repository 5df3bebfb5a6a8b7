/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_soupbintcp.c: packets as the specification writes them, cut at every byte, and what is no packet.
 */
#include "soupbintcp.h"
#include "test.h"

/* As PyPI nasdaq-protocols packs it, and as ouch_connect does: padded on the other side. */
static const char login_right[] = "\0\x2fL" "MAKER1" "secret    " "2026112100" "7                   ";
static const char login_left[] = "\0\x2fL" " dummy" "     dummy" "          " "                   0";
static const char login_lower[] = "\0\x2fL" "maker1" "Secret    " "          " "                   1";

static void reads_a_packet_cut_at_every_byte(void)
{
    struct ib_soup_packet packet;
    for (size_t size = 0; size < 49; size++) {
        EXPECT_EQUAL(ib_soup_decode((const uint8_t *)login_right, size, 512, &packet), 0);
    }
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)login_right, 49, 512, &packet), 49);
    EXPECT_EQUAL(packet.type, IB_SOUP_LOGIN_REQUEST);
    EXPECT_EQUAL(packet.payload_size, IB_SOUP_LOGIN_REQUEST_SIZE);
    EXPECT(packet.payload == (const uint8_t *)login_right + 3);
}

static void refuses_a_length_before_its_bytes_have_come(void)
{
    struct ib_soup_packet packet;
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)"\0\0", 2, 512, &packet), -1);
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)"\xff\xff", 2, 512, &packet), -1);
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)"\x02\x02", 2, 512, &packet), -1); /* 513 of payload */
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)"\x02\x01", 2, 512, &packet), 0);  /* 512: the most */
    EXPECT_EQUAL(ib_soup_decode((const uint8_t *)"\0\1R", 3, 512, &packet), 3);
    EXPECT_EQUAL(packet.payload_size, 0);
}

static void reads_logins_of_either_padding(void)
{
    struct ib_soup_login login;
    EXPECT(ib_soup_decode_login((const uint8_t *)login_right + 3, IB_SOUP_LOGIN_REQUEST_SIZE, &login));
    EXPECT(strcmp(login.username, "MAKER1") == 0 && strcmp(login.password, "secret") == 0);
    EXPECT(strcmp(login.session, "2026112100") == 0);
    EXPECT_EQUAL(login.sequence, 7);
    EXPECT(ib_soup_decode_login((const uint8_t *)login_left + 3, IB_SOUP_LOGIN_REQUEST_SIZE, &login));
    EXPECT(strcmp(login.username, "DUMMY") == 0 && strcmp(login.password, "dummy") == 0 && login.session[0] == '\0');
    EXPECT_EQUAL(login.sequence, 0);
    EXPECT(ib_soup_decode_login((const uint8_t *)login_lower + 3, IB_SOUP_LOGIN_REQUEST_SIZE, &login));
    EXPECT(strcmp(login.username, "MAKER1") == 0); /* usernames ignore case, passwords do not */
    EXPECT(strcmp(login.password, "Secret") == 0);
}

static bool login_with_sequence(const char *digits)
{
    struct ib_soup_login login;
    uint8_t payload[IB_SOUP_LOGIN_REQUEST_SIZE];
    memset(payload, ' ', sizeof payload);
    memcpy(payload + 26, digits, strlen(digits));
    return ib_soup_decode_login(payload, sizeof payload, &login);
}

static void refuses_what_is_no_login(void)
{
    struct ib_soup_login login;
    EXPECT(!ib_soup_decode_login((const uint8_t *)login_right + 3, IB_SOUP_LOGIN_REQUEST_SIZE - 1, &login));
    EXPECT(!ib_soup_decode_login((const uint8_t *)login_right + 3, 0, &login));
    EXPECT(login_with_sequence("18446744073709551615"));
    EXPECT(!login_with_sequence("18446744073709551616"));
    EXPECT(!login_with_sequence(""));
    EXPECT(!login_with_sequence("-1"));
    EXPECT(!login_with_sequence("1 2"));
    EXPECT(!login_with_sequence("1x"));
}

static void writes_what_the_specification_shows(void)
{
    uint8_t out[64];
    EXPECT_EQUAL(ib_soup_encode_login_accepted(out, "2026112100", 42), 33);
    EXPECT(memcmp(out, "\0\x1f" "A2026112100                  42", 33) == 0);
    EXPECT_EQUAL(ib_soup_encode_login_accepted(out, "S", UINT64_MAX), 33);
    EXPECT(memcmp(out, "\0\x1f" "A         S18446744073709551615", 33) == 0);
    EXPECT_EQUAL(ib_soup_encode_login_rejected(out, IB_SOUP_NOT_AUTHORIZED), 4);
    EXPECT(memcmp(out, "\0\2JA", 4) == 0);
    EXPECT_EQUAL(ib_soup_encode(out, IB_SOUP_SERVER_HEARTBEAT, NULL, 0), 3);
    EXPECT(memcmp(out, "\0\1H", 3) == 0);
    EXPECT_EQUAL(ib_soup_encode(out, IB_SOUP_SEQUENCED_DATA, "abc", 3), 6);
    EXPECT(memcmp(out, "\0\4Sabc", 6) == 0);
}

static const struct test_case cases[] = {
    CASE(reads_a_packet_cut_at_every_byte), CASE(refuses_a_length_before_its_bytes_have_come),
    CASE(reads_logins_of_either_padding),   CASE(refuses_what_is_no_login),
    CASE(writes_what_the_specification_shows),
};

TEST_MAIN("test_soupbintcp", cases)
