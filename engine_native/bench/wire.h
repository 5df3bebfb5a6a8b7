/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire.h: what the benchmarks' clients and their peers (relay.c) need of SoupBinTCP and OUCH 5.0: logging in, an order,
 * and whether a packet is whole. A few lines of their own, so that they cost little.
 */
#ifndef IB_BENCH_WIRE_H
#define IB_BENCH_WIRE_H

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    WIRE_ORDER = 50,         /* an Enter Order without appendages, packet header included */
    WIRE_LOGIN = 49,
    WIRE_LOGIN_ACCEPTED = 33,
    WIRE_REF = 12, /* of a report (Accepted, Executed): its UserRefNum, behind length, type, type and time */
};

static inline uint64_t wire_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void wire_fail(const char *who, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", who, what, strerror(errno));
    exit(1);
}

/* A connection to 127.0.0.1 that sends at once. */
static inline int wire_connect(const char *who, const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int yes = 1;
    address.sin_port = htons((uint16_t)atoi(port));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        wire_fail(who, "connect");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* From the newest report on. */
static inline int wire_log_in(const char *who, const char *port, const char *username, const char *password)
{
    char request[64], answer[WIRE_LOGIN_ACCEPTED];
    int fd = wire_connect(who, port);
    snprintf(request, sizeof request, "%c%cL%-6s%-10s%10s%20d", 0, WIRE_LOGIN - 2, username, password, "", 0);
    if (write(fd, request, WIRE_LOGIN) != WIRE_LOGIN ||
        recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer || answer[2] != 'A') {
        wire_fail(who, "login");
    }
    return fd;
}

static inline void wire_put_order(uint8_t *out, uint32_t ref, char side, uint64_t price, const char *symbol)
{
    memset(out, 0, WIRE_ORDER);
    out[1] = WIRE_ORDER - 2;
    out[2] = 'U';
    out[3] = 'O';
    uint32_t value = htobe32(ref);
    memcpy(out + 4, &value, 4);
    out[8] = (uint8_t)side;
    value = htobe32(1);
    memcpy(out + 9, &value, 4);
    memset(out + 13, ' ', 8);
    memcpy(out + 13, symbol, strlen(symbol));
    price = htobe64(price);
    memcpy(out + 21, &price, 8);
    memcpy(out + 29, "0YPNN              ", 19);
}

/* Bytes of the packet that begins here; 0: it is not whole yet. */
static inline size_t wire_packet(const uint8_t *bytes, size_t size)
{
    size_t length = size < 2 ? 0 : (size_t)((bytes[0] << 8) | bytes[1]) + 2;
    return size >= 3 && size >= length ? length : 0;
}

static inline uint32_t wire_ref(const uint8_t *bytes)
{
    uint32_t ref;
    memcpy(&ref, bytes, sizeof ref);
    return be32toh(ref);
}

#endif
