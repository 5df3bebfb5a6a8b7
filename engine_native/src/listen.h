/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * listen.h: TCP addresses of our own hosts. Never a public one.
 */
#ifndef IB_LISTEN_H
#define IB_LISTEN_H

#include <sys/socket.h>

#include "io_loop.h"

/* A numeric, loopback or private address. IB_ERROR_ADDRESS with the line for people in `error`; `key` is what the
 * configuration calls it, and `who` is what is never bound elsewhere. */
int ib_private_address(const char *host, uint16_t port, const char *key, const char *who,
                       struct sockaddr_storage *address, socklen_t *size, char *error);
/* Binds handler->fd there, listens, and adds it to the loop. Status and error as above. */
int ib_listen(struct ib_io_loop *loop, struct ib_io_handler *handler, const char *host, uint16_t port, const char *key,
              const char *who, char *error);

#endif
