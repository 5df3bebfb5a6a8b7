/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_io_loop.c: which handlers a turn calls when one of them closes another, or gives its place to a new descriptor.
 */
#define _GNU_SOURCE
#include "io_loop.h"

#include <sys/epoll.h>

#include "ironbook.h"
#include "test.h"

/* Two pipes whose ends lie in the loop, and one that takes the place of the second. */
static struct {
    struct ib_io_loop loop;
    struct ib_io_handler first, second;
    int pipes[3][2];
    int drops, reuses; /* what the first does with the second */
    unsigned calls[2];
} world;

static void first_ready(void *owner, uint32_t events)
{
    (void)owner;
    (void)events;
    world.calls[0]++;
    if (world.drops) {
        ib_io_drop(&world.second);
    }
    if (world.reuses) {
        world.second.fd = world.pipes[2][0];
        (void)ib_io_add(&world.loop, &world.second, EPOLLIN);
    }
    world.drops = world.reuses = 0;
}

static void second_ready(void *owner, uint32_t events)
{
    (void)owner;
    (void)events;
    world.calls[1]++;
}

/* Both are ready, the first before the second: epoll tells them in that order. */
static void open_world(int drops, int reuses)
{
    memset(&world, 0, sizeof world);
    EXPECT_EQUAL(ib_io_loop_open(&world.loop), IB_OK);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQUAL(pipe(world.pipes[i]), 0);
    }
    world.first = (struct ib_io_handler){.fd = world.pipes[0][0], .ready = first_ready};
    world.second = (struct ib_io_handler){.fd = world.pipes[1][0], .ready = second_ready};
    world.drops = drops;
    world.reuses = reuses;
    EXPECT_EQUAL(ib_io_add(&world.loop, &world.first, EPOLLIN), IB_OK);
    EXPECT_EQUAL(ib_io_add(&world.loop, &world.second, EPOLLIN), IB_OK);
    EXPECT_EQUAL(write(world.pipes[0][1], "x", 1), 1);
    EXPECT_EQUAL(write(world.pipes[1][1], "x", 1), 1);
}

static void close_world(void)
{
    ib_io_drop(&world.first);
    ib_io_drop(&world.second);
    ib_io_loop_close(&world.loop);
    for (int i = 0; i < 3; i++) {
        (void)close(world.pipes[i][0]); /* some are closed already */
        (void)close(world.pipes[i][1]);
    }
}

static void whoever_is_ready_is_called(void)
{
    open_world(0, 0);
    EXPECT_SOUND();
    EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    EXPECT_EQUAL(world.calls[0], 1);
    EXPECT_EQUAL(world.calls[1], 1);
    close_world();
}

static void who_was_dropped_is_not_called(void)
{
    open_world(1, 0);
    EXPECT_SOUND();
    EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    EXPECT_EQUAL(world.calls[0], 1);
    EXPECT_EQUAL(world.calls[1], 0);
    close_world();
}

/* What was told of the old descriptor is not the new one's: nothing has come from it. Once something has, it is. */
static void a_new_descriptor_is_not_taken_for_the_one_before(void)
{
    open_world(1, 1);
    EXPECT_SOUND();
    EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    EXPECT_EQUAL(world.calls[0], 1);
    EXPECT_EQUAL(world.calls[1], 0);
    EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    EXPECT_EQUAL(world.calls[1], 0);
    EXPECT_EQUAL(write(world.pipes[2][1], "x", 1), 1);
    EXPECT_EQUAL(ib_io_turn(&world.loop, 0), IB_OK);
    EXPECT_EQUAL(world.calls[1], 1);
    close_world();
}

static const struct test_case cases[] = {
    CASE(whoever_is_ready_is_called),
    CASE(who_was_dropped_is_not_called),
    CASE(a_new_descriptor_is_not_taken_for_the_one_before),
};

TEST_MAIN("test_io_loop", cases)
