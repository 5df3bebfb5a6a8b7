/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_journal.c: commands a second into the journal, in groups of several sizes and by each fsync policy, and
 * commands a second out of it. What a single group takes by which call: bench_sync.c.
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

static void measure(const char *directory, size_t group, int fsync_policy, uint64_t total)
{
    static const char *const policies[] = {"none", "group", "write"};
    static struct ib_command commands[IB_JOURNAL_GROUP_MAX];
    struct ib_journal_config config = {
        .directory = directory, .orders = 1024, .epoch = 1, .segment_bytes = (uint64_t)1 << 28,
        .fsync_policy = fsync_policy};
    struct ib_journal_report report;
    struct ib_journal *journal;
    if (ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK) {
        fprintf(stderr, "bench_journal: %s\n", report.error);
        exit(1);
    }
    double begin = now_s();
    for (uint64_t seq = 0; seq < total; seq += group) {
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
    printf("{\"bench\": \"journal\", \"group\": %zu, \"fsync\": \"%s\", \"append_per_s\": %.0f, ", group,
           policies[fsync_policy], (double)total / written);
    printf("\"read_per_s\": %.0f, \"verified\": %s}\n", (double)total / read,
           status == IB_OK && records == total ? "true" : "false");
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
    measure(directory, 1, IB_FSYNC_NONE, COMMANDS);
    for (int policy = IB_FSYNC_NONE; policy <= IB_FSYNC_WRITE; policy++) {
        measure(directory, 64, policy, policy == IB_FSYNC_NONE ? COMMANDS : COMMANDS / 16);
        measure(directory, 1024, policy, COMMANDS);
    }
    (void)rmdir(directory);
    return 0;
}
