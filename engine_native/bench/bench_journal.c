/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_journal.c: commands a second into the journal, in groups of several sizes, by write(2) without fsync, and
 * commands a second out of it.
 *
 *   bench_journal [DIRECTORY]      default: a new directory under TMPDIR or /tmp, removed afterwards
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal_record.h"

enum { COMMANDS = 1 << 20 };

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void remove_segments(const char *directory)
{
    uint64_t first = 1;
    struct ib_journal_reader *reader;
    if (ib_journal_reader_open(&reader, directory, IB_JOURNAL_SHARD_ANY) == IB_OK) {
        char path[600];
        (void)snprintf(path, sizeof path, "%s/%020llu.journal", directory, (unsigned long long)first);
        (void)unlink(path);
    }
    ib_journal_reader_close(reader);
}

static void measure(const char *directory, size_t group)
{
    static struct ib_command commands[IB_JOURNAL_GROUP_MAX];
    struct ib_journal_config config = {
        .directory = directory, .orders = 1024, .epoch = 1, .segment_bytes = (uint64_t)1 << 34};
    struct ib_journal_report report;
    struct ib_journal *journal;
    if (ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK) {
        fprintf(stderr, "bench_journal: %s\n", report.error);
        exit(1);
    }
    double begin = now_s();
    for (uint64_t seq = 0; seq < COMMANDS; seq += group) {
        for (size_t i = 0; i < group; i++) {
            commands[i].seq = seq + i + 1;
            commands[i].time_ns = seq + i + 1;
            commands[i].quantity = seq ^ i;
        }
        if (ib_journal_append(journal, commands, group) != IB_OK) {
            fprintf(stderr, "bench_journal: %s\n", ib_journal_error(journal));
            exit(1);
        }
    }
    double written = now_s() - begin;
    ib_journal_close(journal);
    struct ib_journal_reader *reader;
    size_t count = 1;
    begin = now_s();
    int status = ib_journal_reader_open(&reader, directory, 0);
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, commands, IB_JOURNAL_GROUP_MAX, &count);
    }
    double read = now_s() - begin;
    uint64_t records = ib_journal_reader_report(reader)->records;
    ib_journal_reader_close(reader);
    printf("{\"bench\": \"journal\", \"group\": %zu, \"append_per_s\": %.0f, \"read_per_s\": %.0f, \"verified\": %s}\n",
           group, COMMANDS / written, COMMANDS / read, status == IB_OK && records == COMMANDS ? "true" : "false");
    remove_segments(directory);
}

int main(int argc, char **argv)
{
    char directory[256];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/ironbook-bench-XXXXXX", parent != NULL ? parent : "/tmp");
    if (argc > 1) {
        (void)snprintf(directory, sizeof directory, "%s", argv[1]);
    } else if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 1;
    }
    measure(directory, 1);
    measure(directory, 64);
    measure(directory, 1024);
    (void)rmdir(directory);
    return 0;
}
