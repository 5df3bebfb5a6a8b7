/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * unix_socket.c: see unix_socket.h.
 */
#define _GNU_SOURCE
#include "unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "ironbook.h"

enum { BACKLOG = 16 };

int ib_unix_listen(const char *directory, const char *name, char *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    IB_ASSERT(directory != NULL && name != NULL && error != NULL);
    IB_ASSERT(strchr(name, '/') == NULL); /* the directory alone says where it lies */
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        snprintf(error, IB_ERROR_TEXT_SIZE,
                 "the socket %.300s/%s would have a path of %d bytes, and %zu is the most: give run_directory a shorter "
                 "path (IRONBOOK_STATE)",
                 directory, name, length, sizeof address.sun_path - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    mode_t before = umask(0177); /* 0600 from its first moment on */
    int result = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(before);
    if (result != 0 || listen(fd, BACKLOG) != 0) {
        snprintf(error, IB_ERROR_TEXT_SIZE, "cannot listen on %s: %s: run_directory must be a directory of our own",
                 address.sun_path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int ib_unix_accept(int listener, const char *name)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    IB_ASSERT(listener >= 0 && name != NULL);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || (peer.uid != geteuid() && peer.uid != 0)) {
        fprintf(stderr, "ironbook: %s: refused a connection of user %u\n", name, peer.uid);
        close(fd);
        return -1;
    }
    return fd;
}
