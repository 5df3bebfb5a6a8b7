/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_link_log.c: what the members' connections say in the log is said, and does not fill it.
 */
#define _GNU_SOURCE
#include "link_world.h"

static unsigned lines_of(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned count = 0;
    for (int c; file != NULL && (c = fgetc(file)) != EOF;) {
        count += c == '\n';
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

/* Standard error, where the engine's log goes, in a file meanwhile. */
struct log {
    char directory[256], path[300];
    int fd, before;
};

static void begin_log(struct log *log)
{
    test_make_directory(log->directory);
    (void)snprintf(log->path, sizeof log->path, "%s/log", log->directory);
    log->fd = open(log->path, O_RDWR | O_CREAT, 0600);
    log->before = dup(2);
    dup2(log->fd, 2);
}

static void end_log(struct log *log)
{
    dup2(log->before, 2);
    close(log->before);
    close(log->fd);
}

/* Whoever calls again and again, with one mistake or with two in turns, does not fill the log. */
static void complaints_are_few(void)
{
    struct log log;
    open_sides(1);
    EXPECT_SOUND();
    begin_log(&log);
    for (int i = 0; i < 40; i++) {
        struct ib_peer_message message;
        struct ib_peer peer;
        const uint8_t random[12] = {3};
        int fd = call(0);
        (void)begin_as(&peer, SHARD + (i % 2 == 0), 2, 0, KEY, random, &message);
        message.from = i % 4 < 2 ? 200 : message.from;
        message.version = i % 8 < 4 ? 9 : message.version;
        (void)say(fd, &message, sizeof message);
        close(fd);
        if (i % 8 == 7) {
            sleep_ms(1000);
            turns(2);
        }
    }
    unsigned lines = lines_of(log.path);
    for (int i = 0; i < 5; i++) { /* and one mistake, however long it goes on */
        struct ib_peer peer;
        sleep_ms(60000);
        close(shake(0, 2, KEY "?", &peer));
        turns(2);
    }
    end_log(&log);
    EXPECT(lines >= 1 && lines <= 4);
    EXPECT_EQUAL(lines_of(log.path), lines + 1);
    test_remove_directory(log.directory);
    close_sides();
}

/* A frame that is none is one line in ten seconds, however often the member connects anew. */
static void a_network_that_damages_frames_is_said_to(void)
{
    struct log log;
    uint8_t garbage[256] = {1};
    unsigned lines[3];
    open_sides(1);
    EXPECT_SOUND();
    begin_log(&log);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4; i++) {
            struct ib_peer peer;
            int fd = shake(0, 2, KEY, &peer);
            turns(2);
            if (i % 2 == 0) {
                (void)say(fd, garbage, sizeof garbage);
            } else {
                ib_links_drop(sides[0].links, 2, ib_replica_no_frame); /* the sum was wrong, and the replica said so */
                ib_links_flush(sides[0].links);
            }
            turns(2);
            close(fd);
            sleep_ms(1000);
        }
        lines[round] = lines_of(log.path);
        sleep_ms(60000);
    }
    end_log(&log);
    EXPECT_EQUAL(sides[0].disconnected[2], 12);
    EXPECT(lines[0] == 1 && lines[1] == 2 && lines[2] == 3);
    test_remove_directory(log.directory);
    close_sides();
}

static const struct test_case cases[] = {
    CASE(complaints_are_few),
    CASE(a_network_that_damages_frames_is_said_to),
};

TEST_MAIN("test_replica_link_log", cases)
