/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * soupbintcp.h: the packets of SoupBinTCP (Nasdaq, version 3.00), as a server reads and writes them.
 *
 * A packet is a two-byte big-endian length, a type, and a payload; the length counts type and
 * payload. This file knows bytes only: no socket, no clock, no session. docs/protocols/soupbintcp.md
 * says what the gateway does with each packet.
 */
#ifndef IB_SOUPBINTCP_H
#define IB_SOUPBINTCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ib_soup_type {
    IB_SOUP_DEBUG = '+',
    /* server to client */
    IB_SOUP_LOGIN_ACCEPTED = 'A',
    IB_SOUP_LOGIN_REJECTED = 'J',
    IB_SOUP_SEQUENCED_DATA = 'S',
    IB_SOUP_SERVER_HEARTBEAT = 'H',
    IB_SOUP_END_OF_SESSION = 'Z',
    /* client to server */
    IB_SOUP_LOGIN_REQUEST = 'L',
    IB_SOUP_CLIENT_HEARTBEAT = 'R',
    IB_SOUP_LOGOUT_REQUEST = 'O',
    /* both ways */
    IB_SOUP_UNSEQUENCED_DATA = 'U',
};

enum ib_soup_reject { IB_SOUP_NOT_AUTHORIZED = 'A', IB_SOUP_SESSION_NOT_AVAILABLE = 'S' };

enum {
    IB_SOUP_HEADER_SIZE = 3, /* length and type */
    IB_SOUP_LOGIN_REQUEST_SIZE = 46, /* payload: username 6, password 10, session 10, sequence 20 */
    IB_SOUP_LOGIN_ACCEPTED_SIZE = 30, /* payload: session 10, sequence 20 */
    IB_SOUP_USERNAME_SIZE = 6,
    IB_SOUP_PASSWORD_SIZE = 10,
    IB_SOUP_SESSION_SIZE = 10,
    IB_SOUP_SEQUENCE_SIZE = 20,
};

_Static_assert(IB_SOUP_HEADER_SIZE == 2 + 1, "length and type");
_Static_assert(IB_SOUP_LOGIN_REQUEST_SIZE == IB_SOUP_USERNAME_SIZE + IB_SOUP_PASSWORD_SIZE + IB_SOUP_SESSION_SIZE +
                                                 IB_SOUP_SEQUENCE_SIZE, "Login Request");
_Static_assert(IB_SOUP_LOGIN_ACCEPTED_SIZE == IB_SOUP_SESSION_SIZE + IB_SOUP_SEQUENCE_SIZE, "Login Accepted");
_Static_assert(UINT64_MAX / 10000000000u / 1000000000u < 10, "IB_SOUP_SEQUENCE_SIZE digits hold 64 bits");

struct ib_soup_packet {
    uint8_t type;
    const uint8_t *payload;
    size_t payload_size;
};

/* The fields of a Login Request without their padding, closed by a zero byte. */
struct ib_soup_login {
    char username[IB_SOUP_USERNAME_SIZE + 1]; /* folded to upper case: usernames ignore case */
    char password[IB_SOUP_PASSWORD_SIZE + 1];
    char session[IB_SOUP_SESSION_SIZE + 1]; /* empty: the current one */
    uint64_t sequence;                      /* the next one wanted; 0: only what is new */
};

/* Finds the packet at the start of `bytes`. Returns its size with header, 0 when more bytes must
 * arrive first, -1 when its length is zero or above `payload_size_max` + 1. */
int ib_soup_decode(const uint8_t *bytes, size_t size, size_t payload_size_max, struct ib_soup_packet *packet);

/* Reads a Login Request. Padding may stand on either side: the specification pads names on the right,
 * and clients that pad them on the left exist. False when the size is wrong or the sequence is no number. */
bool ib_soup_decode_login(const uint8_t *payload, size_t size, struct ib_soup_login *login);

/* Each writes one packet, returns its size with header, and needs that much room in `out`. */
size_t ib_soup_encode(uint8_t *out, enum ib_soup_type type, const void *payload, size_t payload_size);
size_t ib_soup_encode_login_accepted(uint8_t *out, const char *session, uint64_t sequence);
size_t ib_soup_encode_login_rejected(uint8_t *out, enum ib_soup_reject reason);

/* Writes the header of a packet whose payload the caller has put, or will put, behind it. */
void ib_soup_encode_header(uint8_t *out, enum ib_soup_type type, size_t payload_size);

#endif
