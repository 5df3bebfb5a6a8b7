/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * listen.c: see listen.h.
 */
#define _GNU_SOURCE
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "check.h"
#include "ironbook.h"

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

int ib_private_address(const char *host, uint16_t port, const char *key, const char *who,
                       struct sockaddr_storage *address, socklen_t *size, char *error)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    char service[8];
    IB_ASSERT(host != NULL && error != NULL);
    IB_ASSERT(key != NULL && who != NULL); /* the line for people names both */
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "%s.host %.100s is no numeric address: write for instance 127.0.0.1", key,
                 host);
        return IB_ERROR_ADDRESS;
    }
    bool is_ours = is_private(found->ai_addr);
    if (is_ours) {
        IB_ASSERT(found->ai_addrlen <= sizeof *address);
        memcpy(address, found->ai_addr, found->ai_addrlen);
        *size = found->ai_addrlen;
    } else {
        snprintf(error, IB_ERROR_TEXT_SIZE, "%s.host %.100s is neither loopback nor private: %s is never bound to a "
                 "public address", key, host, who);
    }
    freeaddrinfo(found);
    return is_ours ? IB_OK : IB_ERROR_ADDRESS;
}

int ib_listen(struct ib_io_loop *loop, struct ib_io_handler *handler, const char *host, uint16_t port, const char *key,
              const char *who, char *error)
{
    struct sockaddr_storage address;
    socklen_t size;
    int yes = 1;
    IB_ASSERT(handler->fd < 0 && handler->ready != NULL);
    int status = ib_private_address(host, port, key, who, &address, &size, error);
    if (status != IB_OK) {
        return status;
    }
    handler->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* After a restart, not beside another. */
    setsockopt(handler->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (handler->fd < 0 || bind(handler->fd, (const struct sockaddr *)&address, size) != 0 ||
        listen(handler->fd, BACKLOG) != 0) {
        int reason = errno;
        int length = snprintf(error, IB_ERROR_TEXT_SIZE, "%s cannot listen on %.100s:%u: %s: ", who, host, port,
                              strerror(reason));
        IB_ASSERT(length > 0 && length < IB_ERROR_TEXT_SIZE);
        snprintf(error + length, IB_ERROR_TEXT_SIZE - (size_t)length,
                 reason == EADDRINUSE ? "stop the process that listens there, or choose another %s.port" : "correct %s",
                 key);
        ib_io_drop(handler);
        return IB_ERROR_ADDRESS;
    }
    return ib_io_add(loop, handler, EPOLLIN);
}
