/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * unix_socket.h: listening on a Unix stream socket that only our own user may use.
 */
#ifndef IB_UNIX_SOCKET_H
#define IB_UNIX_SOCKET_H

/* Listens at DIRECTORY/NAME, mode 0600. What an earlier process left there is replaced: the caller holds the
 * journal's lock, so no living engine owns it. Returns the descriptor, or -1 and the line for people in `error`. */
int ib_unix_listen(const char *directory, const char *name, char *error);

/* Accepts one connection of our own user or root. -1 when there is none, or it was somebody else's (closed, and
 * said on stderr). */
int ib_unix_accept(int listener, const char *name);

#endif
