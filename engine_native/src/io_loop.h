/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * io_loop.h: one epoll instance and the handlers behind its descriptors.
 *
 * A handler is embedded in the struct that it serves and stays at its address until the loop is closed
 * (connections are recycled, never freed), so an event for a descriptor that was closed a moment ago
 * reaches live memory: its `fd` is -1, or it is a new connection's and the read finds nothing.
 */
#ifndef IB_IO_LOOP_H
#define IB_IO_LOOP_H

#include <stdint.h>

struct ib_io_handler {
    int fd; /* -1: closed */
    uint32_t interest; /* EPOLLIN and EPOLLOUT as registered */
    uint64_t added;    /* the loop's turn in which `fd` was registered */
    void *owner;
    void (*ready)(void *owner, uint32_t events);
};

struct ib_io_loop {
    int epoll_fd;
    uint64_t now_ms; /* monotonic; read once for each turn of the loop */
    uint64_t turns;  /* that have begun */
};

int ib_io_loop_open(struct ib_io_loop *loop);
void ib_io_loop_close(struct ib_io_loop *loop);

/* Registers handler->fd. IB_ERROR_IO when the kernel refuses. */
int ib_io_add(struct ib_io_loop *loop, struct ib_io_handler *handler, uint32_t interest);
/* Changes the interest; a system call only when it differs. */
void ib_io_change(struct ib_io_loop *loop, struct ib_io_handler *handler, uint32_t interest);
/* Closes the descriptor, which also unregisters it. Twice is harmless. */
void ib_io_drop(struct ib_io_handler *handler);

/* Waits at most `timeout_ms` (-1: for ever, 0: not at all) and calls the handlers that are ready. One that another of
 * them drops is not called, nor one that is registered meanwhile, though its place had been ready with a descriptor of
 * before. */
int ib_io_turn(struct ib_io_loop *loop, int timeout_ms);

#endif
