/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * determinism.c: everything that the core writes for given commands, into files, so that builds can be compared byte by
 * byte (builds.py): DIRECTORY/events, DIRECTORY/states (the state hash after each command), the journal, and snapshots.
 *
 *   determinism run ORDERS COMMANDS DIRECTORY    commands in a file: written as a journal, and replayed from that; with
 *                                                snapshots of its middle and, made from that one, of its end
 *   determinism replay JOURNAL DIRECTORY         a journal that is there already
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "ironbook_snapshot.h"
#include "../tests/take_events.h"

enum { GROUP = 64, SHARD = 3, EPOCH = 1, SEGMENT_BYTES = 1 << 20 };

struct out {
    FILE *events;
    FILE *states;
    uint32_t crc; /* of the events, by the way that every machine has */
    uint32_t crc_fast; /* by the way that this one prefers */
    uint64_t event_count;
    uint64_t command_count;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "determinism: %s\n", what);
    exit(1);
}

static FILE *create(const char *directory, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

static void keep(void *context, const struct ib_event *event)
{
    struct out *out = context;
    out->crc = ib_crc32c_portable(out->crc, event, sizeof *event);
    out->crc_fast = ib_crc32c(out->crc_fast, event, sizeof *event);
    out->event_count++;
    if (fwrite(event, sizeof *event, 1, out->events) != 1) {
        fail("an event could not be written");
    }
}

static void apply(struct out *out, struct ib_matcher *matcher, const struct ib_command *command)
{
    if (take_events(matcher, command, out, keep) != IB_OK) {
        fail("a command in sequence was refused");
    }
    struct ib_totals totals;
    ib_matcher_totals(matcher, &totals);
    out->command_count++;
    if (fwrite(&totals, sizeof totals, 1, out->states) != 1) {
        fail("a state could not be written");
    }
}

static void finish(struct out *out, const struct ib_matcher *matcher)
{
    char text[IB_ERROR_TEXT_SIZE];
    struct ib_totals totals;
    ib_matcher_totals(matcher, &totals);
    if (ib_matcher_check(matcher, text, sizeof text) != IB_OK) {
        fail(text);
    }
    if (out->crc != out->crc_fast) {
        fail("the two ways to a CRC-32C differ");
    }
    if (fclose(out->events) != 0 || fclose(out->states) != 0) {
        fail("the files could not be closed");
    }
    printf("%llu commands, %llu events, crc %08x, state %016llx\n", (unsigned long long)out->command_count,
           (unsigned long long)out->event_count, (unsigned)out->crc, (unsigned long long)totals.state_hash);
}

static struct out begin(const char *directory)
{
    return (struct out){.events = create(directory, "events"), .states = create(directory, "states")};
}

/* The journal that stands in `path`, command by command, and once more through ib_replay, which must end alike. */
static void replay(const char *path, const char *directory)
{
    struct out out = begin(directory);
    struct ib_journal_reader *reader;
    struct ib_replay *again;
    struct ib_matcher *matcher;
    struct ib_command command;
    size_t count = 1;
    if (ib_journal_reader_open(&reader, path, IB_JOURNAL_SHARD_ANY) != IB_OK) {
        fail(reader != NULL ? ib_journal_reader_report(reader)->error : "no memory");
    }
    if (ib_matcher_open(&matcher, ib_journal_reader_report(reader)->orders) != IB_OK) {
        fail("no memory");
    }
    while (count > 0) {
        if (ib_journal_reader_next(reader, &command, 1, &count) != IB_OK) {
            fail(ib_journal_reader_report(reader)->error);
        }
        if (count > 0) {
            apply(&out, matcher, &command);
        }
    }
    if (ib_replay_open(&again, path, 0) != IB_OK || ib_replay_run(again) != IB_OK) {
        fail("the replay failed");
    }
    struct ib_totals left;
    struct ib_totals right;
    ib_matcher_totals(matcher, &left);
    ib_replay_totals(again, &right);
    if (memcmp(&left, &right, sizeof left) != 0) {
        fail("the replay came to another state");
    }
    finish(&out, matcher);
    ib_replay_close(again);
    ib_journal_reader_close(reader);
    ib_matcher_close(matcher);
}

/* They lie beside the journal, so that builds are compared by them, too. */
static void take_snapshots(const char *path)
{
    struct ib_snapshot_report end, middle;
    if (ib_snapshot_take(path, SHARD, 0, &end) != IB_OK) {
        fail(end.error);
    }
    char name[600];
    (void)snprintf(name, sizeof name, "%s/%s", path, end.file);
    (void)remove(name);
    if (ib_snapshot_take(path, SHARD, end.seq / 2, &middle) != IB_OK) {
        fail(middle.error);
    }
    struct ib_snapshot_report again;
    if (ib_snapshot_take(path, SHARD, 0, &again) != IB_OK) {
        fail(again.error);
    }
    if (again.from_seq != middle.seq || strcmp(again.sha256, end.sha256) != 0) {
        fail("a snapshot shows what it was made from");
    }
}

static void write_journal(const char *journal_path, uint32_t orders, const char *commands_path)
{
    struct ib_journal_config config = {.directory = journal_path, .shard = SHARD, .orders = orders, .epoch = EPOCH,
                                       .segment_bytes = SEGMENT_BYTES};
    struct ib_journal_report report;
    struct ib_journal *journal;
    FILE *file = fopen(commands_path, "rb");
    if (file == NULL) {
        perror(commands_path);
        exit(2);
    }
    if (ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK) {
        fail(report.error);
    }
    struct ib_command commands[GROUP];
    size_t count;
    while ((count = fread(commands, sizeof commands[0], GROUP, file)) > 0) {
        if (ib_journal_append(journal, commands, count) != IB_OK) {
            fail(ib_journal_error(journal));
        }
    }
    ib_journal_close(journal);
    (void)fclose(file);
}

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "replay") == 0) {
        replay(arguments[2], arguments[3]);
    } else if (count == 5 && strcmp(arguments[1], "run") == 0) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/journal", arguments[4]);
        write_journal(path, (uint32_t)atoi(arguments[2]), arguments[3]);
        replay(path, arguments[4]);
        take_snapshots(path);
    } else {
        fprintf(stderr, "usage: determinism run ORDERS COMMANDS DIRECTORY | determinism replay JOURNAL DIRECTORY\n");
        return 2;
    }
    return 0;
}
