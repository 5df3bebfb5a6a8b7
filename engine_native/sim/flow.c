/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flow.c: commands from a file through the matcher, its events against those of another file, byte by byte. Both were
 * written by the oracle (tests/unit/core, through mutants.py). On the way the state goes through a snapshot now and
 * then.
 *
 *   flow ORDERS COMMANDS EVENTS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/take_events.h"
#include "reload.h"

struct file {
    unsigned char *bytes;
    size_t size;
};

struct expected {
    struct file events;
    size_t at; /* bytes compared */
    uint64_t differs; /* seq of the first command with another event; 0 = none */
};

static struct file read_file(const char *path)
{
    struct file file = {0};
    FILE *stream = fopen(path, "rb");
    if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    file.size = (size_t)ftell(stream);
    file.bytes = malloc(file.size + 1);
    rewind(stream);
    if (file.bytes == NULL || fread(file.bytes, 1, file.size, stream) != file.size) {
        perror(path);
        exit(2);
    }
    (void)fclose(stream);
    return file;
}

static void compare(void *context, const struct ib_event *event)
{
    struct expected *expected = context;
    int known = expected->events.size - expected->at >= sizeof *event;
    if (expected->differs == 0 &&
        (!known || memcmp(expected->events.bytes + expected->at, event, sizeof *event) != 0)) {
        expected->differs = event->seq;
    }
    expected->at += known ? sizeof *event : 0;
}

int main(int count, char **arguments)
{
    struct ib_matcher *matcher;
    if (count != 4 || ib_matcher_open(&matcher, (uint32_t)atoi(arguments[1])) != IB_OK) {
        fprintf(stderr, "usage: flow ORDERS COMMANDS EVENTS\n");
        return 2;
    }
    struct file commands = read_file(arguments[2]);
    struct expected expected = {.events = read_file(arguments[3])};
    for (size_t at = 0; at < commands.size && expected.differs == 0; at += sizeof(struct ib_command)) {
        struct ib_command command;
        memcpy(&command, commands.bytes + at, sizeof command);
        if (take_events(matcher, &command, &expected, compare) != IB_OK) {
            expected.differs = command.seq;
        }
        /* An event that is missing shows at once: the next one of the file is not later than this command. */
        struct ib_event next;
        if (expected.differs == 0 && expected.events.size - expected.at >= sizeof next) {
            memcpy(&next, expected.events.bytes + expected.at, sizeof next);
            expected.differs = next.seq <= command.seq ? command.seq : 0;
        }
        const char *wrong = reload_is_due(command.seq) ? reload(&matcher, (uint32_t)atoi(arguments[1])) : NULL;
        if (wrong != NULL && expected.differs == 0) {
            printf("flow: FAILED: command %llu: snapshot: %s\n", (unsigned long long)command.seq, wrong);
            return 1;
        }
    }
    if (expected.differs != 0) {
        printf("flow: FAILED: command %llu: an event differs\n", (unsigned long long)expected.differs);
    }
    ib_matcher_close(matcher);
    free(commands.bytes);
    free(expected.events.bytes);
    return expected.differs != 0;
}
