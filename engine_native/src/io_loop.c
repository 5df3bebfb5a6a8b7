/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * io_loop.c: see io_loop.h.
 */
#define _GNU_SOURCE
#include "io_loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "ironbook.h"

enum { EVENTS_A_TURN = 64 };

int ib_io_loop_open(struct ib_io_loop *loop)
{
    IB_ASSERT(loop != NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->now_ms = ib_clock_ns(CLOCK_MONOTONIC) / IB_NS_A_MS;
    return loop->epoll_fd >= 0 ? IB_OK : IB_ERROR_IO;
}

void ib_io_loop_close(struct ib_io_loop *loop)
{
    IB_ASSERT(loop != NULL);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
        loop->epoll_fd = -1;
    }
}

int ib_io_add(struct ib_io_loop *loop, struct ib_io_handler *handler, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data = {.ptr = handler}};
    IB_ASSERT(handler->fd >= 0);
    IB_ASSERT(handler->ready != NULL);
    IB_ASSERT((interest & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0); /* level-triggered, and nothing else */
    handler->interest = interest;
    handler->added = loop->turns;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, handler->fd, &event) == 0 ? IB_OK : IB_ERROR_IO;
}

void ib_io_change(struct ib_io_loop *loop, struct ib_io_handler *handler, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data = {.ptr = handler}};
    IB_ASSERT(handler->fd >= 0);
    IB_ASSERT((interest & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0);
    if (handler->interest != interest) {
        int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, handler->fd, &event);
        IB_ASSERT(result == 0);
        (void)result;
        handler->interest = interest;
    }
}

void ib_io_drop(struct ib_io_handler *handler)
{
    IB_ASSERT(handler != NULL);
    if (handler->fd >= 0) {
        close(handler->fd);
        handler->fd = -1;
    }
}

int ib_io_turn(struct ib_io_loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    IB_ASSERT(loop->epoll_fd >= 0);
    IB_ASSERT(timeout_ms >= -1);
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_A_TURN, timeout_ms);
    if (count < 0) {
        return errno == EINTR ? IB_OK : IB_ERROR_IO;
    }
    loop->now_ms = ib_clock_ns(CLOCK_MONOTONIC) / IB_NS_A_MS;
    loop->turns++;
    for (int i = 0; i < count; i++) {
        struct ib_io_handler *handler = events[i].data.ptr;
        IB_ASSERT(handler != NULL);
        if (handler->fd >= 0 && handler->added < loop->turns) {
            handler->ready(handler->owner, events[i].events);
        }
    }
    return IB_OK;
}
