/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * soupbintcp.c: see soupbintcp.h.
 */
#define _GNU_SOURCE
#include "soupbintcp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "check.h"

int ib_soup_decode(const uint8_t *bytes, size_t size, size_t payload_size_max, struct ib_soup_packet *packet)
{
    IB_ASSERT(bytes != NULL || size == 0);
    IB_ASSERT(payload_size_max < UINT16_MAX);
    if (size < 2) {
        return 0;
    }
    size_t length = ib_load_u16(bytes);
    /* Judged before the rest has come: a length that can never be served must not hold a buffer. */
    if (length == 0 || length > payload_size_max + 1) {
        return -1;
    }
    if (size < 2 + length) {
        return 0;
    }
    IB_ASSERT(packet != NULL);
    packet->type = bytes[2];
    packet->payload = bytes + IB_SOUP_HEADER_SIZE;
    packet->payload_size = length - 1;
    return (int)(2 + length);
}

/* Copies a padded field without the spaces around it; what follows is zero. */
static void trim(char *out, const uint8_t *field, size_t size)
{
    size_t begin = 0;
    size_t end = size;
    IB_ASSERT(out != NULL);
    IB_ASSERT(field != NULL);
    while (begin < end && field[begin] == ' ') {
        begin++;
    }
    while (end > begin && field[end - 1] == ' ') {
        end--;
    }
    memset(out, 0, size + 1);
    memcpy(out, field + begin, end - begin);
}

static bool parse_sequence(const char *digits, uint64_t *value)
{
    uint64_t sum = 0;
    IB_ASSERT(digits != NULL && value != NULL);
    if (*digits == '\0') {
        return false;
    }
    for (; *digits != '\0'; digits++) {
        if (*digits < '0' || *digits > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*digits - '0');
        if (sum > (UINT64_MAX - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

bool ib_soup_decode_login(const uint8_t *payload, size_t size, struct ib_soup_login *login)
{
    IB_ASSERT(login != NULL);
    if (size != IB_SOUP_LOGIN_REQUEST_SIZE) {
        return false;
    }
    IB_ASSERT(payload != NULL);
    char digits[IB_SOUP_SEQUENCE_SIZE + 1];
    trim(login->username, payload, IB_SOUP_USERNAME_SIZE);
    for (char *letter = login->username; *letter != '\0'; letter++) {
        if (*letter >= 'a' && *letter <= 'z') {
            *letter = (char)(*letter - 'a' + 'A');
        }
    }
    trim(login->password, payload + 6, IB_SOUP_PASSWORD_SIZE);
    trim(login->session, payload + 16, IB_SOUP_SESSION_SIZE);
    trim(digits, payload + 26, IB_SOUP_SEQUENCE_SIZE);
    return parse_sequence(digits, &login->sequence);
}

void ib_soup_encode_header(uint8_t *out, enum ib_soup_type type, size_t payload_size)
{
    IB_ASSERT(out != NULL);
    IB_ASSERT(payload_size < UINT16_MAX);
    ib_store_u16(out, (uint16_t)(payload_size + 1));
    out[2] = (uint8_t)type;
}

size_t ib_soup_encode(uint8_t *out, enum ib_soup_type type, const void *payload, size_t payload_size)
{
    IB_ASSERT(payload != NULL || payload_size == 0);
    ib_soup_encode_header(out, type, payload_size);
    if (payload_size > 0) {
        memcpy(out + IB_SOUP_HEADER_SIZE, payload, payload_size);
    }
    return IB_SOUP_HEADER_SIZE + payload_size;
}

size_t ib_soup_encode_login_accepted(uint8_t *out, const char *session, uint64_t sequence)
{
    /* Both fields are padded on the left: session alphanumeric, sequence numeric. */
    char payload[IB_SOUP_LOGIN_ACCEPTED_SIZE + 1];
    IB_ASSERT(strlen(session) <= IB_SOUP_SESSION_SIZE);
    int size = snprintf(payload, sizeof payload, "%10s%20" PRIu64, session, sequence);
    IB_ASSERT(size == IB_SOUP_LOGIN_ACCEPTED_SIZE);
    (void)size;
    return ib_soup_encode(out, IB_SOUP_LOGIN_ACCEPTED, payload, IB_SOUP_LOGIN_ACCEPTED_SIZE);
}

size_t ib_soup_encode_login_rejected(uint8_t *out, enum ib_soup_reject reason)
{
    uint8_t payload = (uint8_t)reason;
    IB_ASSERT(reason == IB_SOUP_NOT_AUTHORIZED || reason == IB_SOUP_SESSION_NOT_AVAILABLE);
    return ib_soup_encode(out, IB_SOUP_LOGIN_REJECTED, &payload, 1);
}
