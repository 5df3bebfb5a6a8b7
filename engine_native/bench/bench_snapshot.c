/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_snapshot.c: what a snapshot of many resting orders costs to write and to load, and what recovery with one costs
 * beside a replay of the whole journal.
 *
 *   bench_snapshot [ORDERS [TAIL]]      default: 1,000,000 resting orders, then as many records that enter and cancel
 *
 * Every order has client data, and so its cold half, as each of OUCH has. The journal and the snapshot are files in a
 * new directory under TMPDIR or /tmp, removed afterwards; what is read was written shortly before, and so is in memory.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal_record.h"
#include "snapshot.h"

enum { INSTRUMENTS = 100, SESSIONS = 50, LEVELS = 500, GROUP = 1024 };

static char directory[256];
static struct ib_journal *journal;
static struct ib_command group[GROUP];
static size_t grouped;
static uint64_t seq;

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "bench_snapshot: %s\n", what);
    exit(1);
}

static void flush(void)
{
    if (grouped > 0 && ib_journal_append(journal, group, grouped) != IB_OK) {
        fail(ib_journal_error(journal));
    }
    grouped = 0;
}

static void say(struct ib_command command)
{
    command.seq = ++seq;
    command.time_ns = seq * 1000;
    group[grouped++] = command;
    if (grouped == GROUP) {
        flush();
    }
}

static void define(void)
{
    say((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2});
    for (uint16_t i = 0; i < SESSIONS; i++) {
        struct ib_command account = {.type = IB_COMMAND_ACCOUNT_ADD, .account = (uint16_t)(i + 1)};
        struct ib_command session = {.type = IB_COMMAND_SESSION_ADD, .session = i, .account = (uint16_t)(i + 1)};
        (void)snprintf((char *)account.client_data, sizeof account.client_data, "account %u", i);
        (void)snprintf((char *)session.client_data, sizeof session.client_data, "U%05uFIRM", i);
        say(account);
        say(session);
    }
    for (uint32_t i = 0; i < INSTRUMENTS; i++) {
        struct ib_command instrument = {.type = IB_COMMAND_INSTRUMENT_ADD, .instrument = i, .price = 1};
        (void)snprintf((char *)instrument.client_data, sizeof instrument.client_data, "SYM%05u", i);
        say(instrument);
    }
}

/* The n-th order of all, which rests: buys below sells. */
static struct ib_command order(uint32_t n)
{
    uint32_t scattered = n * 2654435761u;
    uint8_t side = (uint8_t)(1 + (scattered >> 8) % 2);
    struct ib_command command = {.type = IB_COMMAND_ENTER,
                                 .session = (uint16_t)(n % SESSIONS),
                                 .instrument = (scattered >> 9) % INSTRUMENTS,
                                 .user_ref = n / SESSIONS + 1,
                                 .side = side,
                                 .order_type = IB_ORDER_LIMIT,
                                 .quantity = 1 + scattered % 1000};
    int64_t away = (int64_t)(1 + (scattered >> 16) % LEVELS);
    command.price = side == IB_SIDE_BUY ? 10000 - away : 10000 + away;
    memcpy(command.client_data, "client order ", 13);
    memcpy(command.client_data + 13, &n, sizeof n);
    return command;
}

static void write_journal(uint32_t orders, uint32_t tail)
{
    const char *parent = getenv("TMPDIR");
    struct ib_journal_report report;
    struct ib_journal_config config = {
        .directory = directory, .orders = 2 * orders + 1, .epoch = 1, .segment_bytes = (uint64_t)64 << 20};
    (void)snprintf(directory, sizeof directory, "%s/ironbook-bench-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(directory) == NULL || ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK) {
        fail("no directory to work in");
    }
    define();
    for (uint32_t n = 0; n < orders; n++) {
        say(order(n));
    }
    for (uint32_t n = 0; n < tail; n += 2) { /* enters one, and cancels the oldest */
        struct ib_command old = order(n / 2);
        say(order(orders + n / 2));
        say((struct ib_command){.type = IB_COMMAND_CANCEL, .session = old.session, .user_ref = old.user_ref});
    }
    flush();
    ib_journal_close(journal);
}

static int count_bytes(void *context, const void *bytes, size_t size)
{
    (void)bytes;
    *(uint64_t *)context += size;
    return IB_OK;
}

static void measure(uint32_t orders, uint64_t at_seq)
{
    static char note[IB_ERROR_TEXT_SIZE], error[IB_ERROR_TEXT_SIZE];
    struct ib_snapshot *snapshot;
    const struct ib_snapshot_wanted wanted = {.directory = directory, .shard = 0, .until_seq = at_seq};
    double begin = now_s();
    if (ib_snapshot_newest(&snapshot, &wanted, note, error) != IB_OK || snapshot == NULL) {
        fail(error);
    }
    double loaded_s = now_s() - begin;
    struct ib_snapshot_writer *writer = calloc(1, sizeof *writer);
    struct ib_snapshot_head head = {.format = IB_SNAPSHOT_FORMAT,
                                    .rules = snapshot->report.rules,
                                    .orders = snapshot->report.orders,
                                    .epoch = snapshot->report.epoch,
                                    .seq = snapshot->report.seq,
                                    .time_ns = snapshot->report.time_ns,
                                    .chain = snapshot->report.chain,
                                    .event_count = snapshot->report.event_count,
                                    .state_hash = snapshot->report.state_hash};
    uint64_t bytes = 0;
    writer->write = count_bytes;
    writer->context = &bytes;
    begin = now_s();
    (void)ib_snapshot_write(writer, &head, snapshot->matcher, &snapshot->past);
    double dumped_s = now_s() - begin;
    struct ib_snapshot_report report = {0};
    begin = now_s();
    if (ib_snapshot_store(directory, &head, snapshot->matcher, &snapshot->past, &report) != IB_OK) {
        fail(report.error);
    }
    double stored_s = now_s() - begin;
    printf("{\"bench\": \"snapshot\", \"orders\": %u, \"bytes\": %llu, \"bytes_per_order\": %.1f, \"dump_s\": %.3f, "
           "\"load_s\": %.3f, \"write_sync_load_name_s\": %.3f, \"same_bytes\": %s}\n",
           orders, (unsigned long long)bytes, (double)bytes / orders, dumped_s, loaded_s, stored_s,
           bytes == report.bytes && bytes == snapshot->report.bytes &&
                   strcmp(report.sha256, snapshot->report.sha256) == 0
               ? "true"
               : "false");
    free(writer);
    ib_snapshot_close(snapshot);
}

/* Records a second, from opening to the last one; the state hash at the end. */
static uint64_t recover(int whole, double *seconds)
{
    struct ib_replay *replay;
    struct ib_totals totals;
    double begin = now_s();
    int status = whole ? ib_replay_open(&replay, directory, 0) : ib_replay_open_behind(&replay, directory, 0);
    status = status == IB_OK ? ib_replay_run(replay) : status;
    *seconds = now_s() - begin;
    if (status != IB_OK) {
        fail(ib_replay_error(replay));
    }
    ib_replay_totals(replay, &totals);
    if (totals.seq != seq) {
        fail("the replay did not come to the end");
    }
    ib_replay_close(replay);
    return totals.state_hash;
}

/* The segments and the snapshot: there is nothing else in the directory. */
static void remove_all(const char *snapshot)
{
    char path[400];
    uint64_t *first_seqs;
    size_t count;
    int fd = open(directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || ib_segment_list(fd, &first_seqs, &count) != IB_OK) {
        fail("the directory cannot be listed");
    }
    for (size_t i = 0; i < count; i++) {
        char name[IB_SEGMENT_NAME_SIZE];
        ib_segment_name(name, first_seqs[i]);
        (void)snprintf(path, sizeof path, "%s/%s", directory, name);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, snapshot);
    (void)unlink(path);
    (void)rmdir(directory);
    free(first_seqs);
    close(fd);
}

int main(int argc, char **argv)
{
    uint32_t orders = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    uint32_t tail = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : orders;
    struct ib_snapshot_report report;
    double whole_s, behind_s, load_s;
    if (orders < 1 || orders > IB_ORDERS_MAX / 2 - 1 || tail > 2 * orders) {
        fail("orders from 1 to 8388606, and a tail of at most twice as many");
    }
    write_journal(orders, tail);
    uint64_t at_seq = seq - (tail + 1) / 2 * 2;
    if (ib_snapshot_take(directory, 0, at_seq, &report) != IB_OK) {
        fail(report.error);
    }
    measure(orders, at_seq);
    uint64_t hash = recover(1, &whole_s);
    int same = recover(0, &behind_s) == hash;
    double begin = now_s();
    if (ib_snapshot_verify(directory, report.file, 0, &report) != IB_OK) {
        fail(report.error);
    }
    load_s = now_s() - begin;
    printf("{\"bench\": \"recovery\", \"orders\": %u, \"records\": %llu, \"whole_s\": %.3f, "
           "\"whole_records_per_s\": %.0f, \"behind_records\": %llu, \"behind_s\": %.3f, "
           "\"behind_records_per_s\": %.0f, \"records_in_all_per_s\": %.0f, \"same_state\": %s}\n",
           orders, (unsigned long long)seq, whole_s, (double)seq / whole_s, (unsigned long long)(seq - at_seq),
           behind_s, (double)(seq - at_seq) / (behind_s - load_s), (double)seq / behind_s, same ? "true" : "false");
    remove_all(report.file);
    return same ? 0 : 1;
}
