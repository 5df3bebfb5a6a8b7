/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_listen.c: where order entry listens. Never on a public address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "gateway_internal.h"

enum { BACKLOG = 128 };

/* Loopback, the private ranges of RFC 1918 and RFC 4193, and link-local: nothing else may be bound. */
static bool is_private(const struct sockaddr *address)
{
    IB_ASSERT(address != NULL);
    IB_ASSERT(address->sa_family == AF_INET || address->sa_family == AF_INET6); /* all that a numeric address can be */
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *host = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(host) || IN6_IS_ADDR_LINKLOCAL(host) || (host->s6_addr[0] & 0xfe) == 0xfc;
    }
    uint32_t host = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr);
    return host >> 24 == 127 || host >> 24 == 10 || host >> 20 == 0xac1 || host >> 16 == 0xc0a8 ||
           host >> 16 == 0xa9fe;
}

int ib_gateway_listen(struct ib_gateway *gateway, char *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address = NULL;
    char port[8];
    int yes = 1;
    const char *host = gateway->config.host;
    IB_ASSERT(gateway->listener.fd < 0);
    IB_ASSERT(host != NULL && error != NULL);
    snprintf(port, sizeof port, "%u", gateway->config.port);
    if (getaddrinfo(host, port, &hints, &address) != 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "order_entry.host %s is no numeric address: write for instance 127.0.0.1",
                 host);
        return IB_ERROR_ADDRESS;
    }
    if (!is_private(address->ai_addr)) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "order_entry.host %s is neither loopback nor private: order entry is never "
                 "bound to a public address", host);
        freeaddrinfo(address);
        return IB_ERROR_ADDRESS;
    }
    gateway->listener.fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* After a restart, not beside another. */
    setsockopt(gateway->listener.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool bound = gateway->listener.fd >= 0 &&
                 bind(gateway->listener.fd, address->ai_addr, address->ai_addrlen) == 0 &&
                 listen(gateway->listener.fd, BACKLOG) == 0;
    int reason = errno;
    freeaddrinfo(address);
    if (!bound) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "order entry cannot listen on %s:%s: %s: %s", host, port, strerror(reason),
                 reason == EADDRINUSE ? "stop the process that listens there, or choose another order_entry.port"
                                      : "correct order_entry");
        ib_io_drop(&gateway->listener);
        return IB_ERROR_ADDRESS;
    }
    return ib_io_add(gateway->loop, &gateway->listener, EPOLLIN);
}
