/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * every_byte.c: a journal of several segments, cut at every length and with every bit of every byte turned, one at a
 * time. Whatever is found then is a beginning of what was written, where a killed process may have left it so, or
 * refused; never anything else, and nothing on disk is changed by a refusal.
 *
 *   every_byte GOLDEN.hex [RECORDS [PART PARTS]]
 *
 * The commands are those of a golden journal, which has every type there is, and orders up to RECORDS (default: only
 * those). PART of PARTS (from 0) takes only its share of the bytes: for several processes at a time.
 *
 * A reader has no way back: what it says of a record depends on the bytes from there on, and on what it holds of those
 * before. So each damage is judged by a reader that has read all before it, a copy of the one that did; it reads on
 * until it refuses or is at the end of the whole journal. That this comes to the same as reading from the first byte,
 * with the same report in each field, is looked at for each damage of a short journal, and for one of WHOLE_EVERY
 * of a long one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "commands.h"
#include "journal_reader.h"
#include "journal_record.h"
#include "matcher.h"
#include "test.h"

enum {
    ORDERS = 12,            /* capacity that the golden journal was made with */
    SHARD = 3,
    RECORDS_MAX = 200000,
    SPARE = 512,            /* zeros behind the last record, as a live journal has them */
    WRITER_EVERY = 61,      /* of so many one is given to the writer, too: of the last segment each cut */
    REPLAY_EVERY = 61,      /* of so many cuts one is replayed to its state */
    SHORT = 1000,           /* records: up to here each damage is also read from the first byte on … */
    WHOLE_EVERY = 61,       /* … and above, one of so many */
    SEGMENT_RECORDS_MAX = 490, /* what is behind a damage in its segment is looked through for each of them */
    SEGMENTS_MAX = RECORDS_MAX / SEGMENT_RECORDS_MAX + 8,
};

static struct ib_command *commands;
static uint64_t *states; /* hash of the state after each command */
static size_t command_count;
static size_t segment_records = 40;
static char directory[256];
static struct ib_journal_report report;

static struct {
    uint64_t cuts, cut_prefixes, cut_refusals, turns, turn_prefixes, turn_refusals, wholes, writers, replays;
} counts;

static void fail(const char *what, uint64_t first_seq, uint64_t at)
{
    fprintf(stderr, "every_byte: segment %" PRIu64 ", %s at %" PRIu64 ": %s (%s)\n", first_seq, what, at,
            "neither a beginning of the journal nor refused as it should be", report.error);
    exit(1);
}

/* ---- the journal ---- */

static int digit(int character)
{
    return character >= 'a' ? character - 'a' + 10 : character - '0';
}

/* The commands in the lines of a golden journal: each a record in hex, the first one the segment's own. */
static void load_golden(const char *path)
{
    FILE *file = fopen(path, "r");
    static char line[2 * IB_RECORD_COMMAND_SIZE + 8];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strlen(line) != 2 * IB_RECORD_COMMAND_SIZE + 1) {
            continue;
        }
        unsigned char *to = (unsigned char *)&commands[command_count++];
        for (size_t i = 0; i < IB_RECORD_END_OFFSET; i++) {
            const char *pair = line + 2 * (sizeof(struct ib_record_header) + i);
            to[i] = (unsigned char)(digit(pair[0]) << 4 | digit(pair[1]));
        }
    }
    if (file == NULL || fclose(file) != 0 || command_count == 0) {
        fprintf(stderr, "every_byte: %s: no golden journal\n", path);
        exit(2);
    }
}

static void append_orders(size_t wanted)
{
    uint64_t time_ns = commands[command_count - 1].time_ns;
    while (command_count < wanted) {
        uint64_t noise = (command_count + 1) * 0x9e3779b97f4a7c15u;
        struct ib_command command = enter((uint16_t)(noise >> 60), (uint32_t)command_count + 1,
                                          (uint8_t)(1 + (noise >> 59 & 1)), 1 + (noise >> 33) % 100,
                                          (int64_t)(1000 + (noise >> 20) % 40));
        command.seq = command_count + 1;
        command.time_ns = ++time_ns;
        commands[command_count++] = command;
    }
}

static void write_journal(void)
{
    struct ib_journal_config config = {.directory = directory, .shard = SHARD, .orders = ORDERS, .epoch = 1};
    struct ib_journal *journal;
    struct ib_matcher *matcher;
    struct ib_totals totals;
    config.segment_bytes = IB_RECORD_SEGMENT_SIZE + segment_records * IB_RECORD_COMMAND_SIZE;
    if (ib_journal_open(&journal, &config, NULL, NULL, &report) != IB_OK ||
        ib_matcher_open(&matcher, ORDERS) != IB_OK) {
        fprintf(stderr, "every_byte: %s\n", report.error);
        exit(2);
    }
    for (size_t i = 0; i < command_count; i++) {
        if (ib_journal_append(journal, &commands[i], 1) != IB_OK ||
            ib_matcher_apply(matcher, &commands[i], NULL) != IB_OK) {
            fprintf(stderr, "every_byte: %s\n", ib_journal_error(journal));
            exit(2);
        }
        ib_matcher_totals(matcher, &totals);
        states[i + 1] = totals.state_hash;
    }
    ib_matcher_close(matcher);
    ib_journal_close(journal);
}

/* ---- looking at it ---- */

static uint64_t seen;

static int see(void *context, const struct ib_command *read, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++, seen++) {
        if (seen >= command_count || memcmp(&read[i], &commands[seen], sizeof *read) != 0) {
            fprintf(stderr, "every_byte: command %" PRIu64 " is another one than was written\n", seen + 1);
            exit(1);
        }
    }
    return IB_OK;
}

/* Reads on to the end, or to a failure: its status. */
static int read_on(struct ib_journal_reader *reader, int status)
{
    static struct ib_command batch[256];
    size_t count = 1;
    while (status == IB_OK && count > 0) {
        status = ib_journal_reader_next(reader, batch, 256, &count);
        (void)see(NULL, batch, status == IB_OK ? count : 0);
    }
    report = *ib_journal_reader_report(reader);
    return status;
}

/* Status of a reading; `seen` is how many commands came out, each of them the one that was written. */
static int look(void)
{
    struct ib_journal_reader *reader;
    seen = 0;
    int status = read_on(reader, ib_journal_reader_open(&reader, directory, SHARD));
    ib_journal_reader_close(reader);
    return status;
}

/* ---- looking from where the damage is ---- */

enum { STATE_SIZE = offsetof(struct ib_journal_reader, buffer) };

static struct ib_journal_reader *walker;       /* has read the whole journal; its copies borrow what it owns */
static unsigned char (*walked)[STATE_SIZE];    /* what it held behind each command; [0]: behind the first header */
static int segment_fds[SEGMENTS_MAX];

static void walk(void)
{
    struct ib_command command;
    char path[600], name[IB_SEGMENT_NAME_SIZE];
    size_t count = 1;
    walked = calloc(command_count + 1, sizeof *walked);
    int status = walked == NULL ? IB_ERROR_MEMORY : ib_journal_reader_open(&walker, directory, SHARD);
    for (size_t i = 0; status == IB_OK && count > 0; i += count) {
        memcpy(walked[i], walker, STATE_SIZE);
        status = ib_journal_reader_next(walker, &command, 1, &count);
    }
    if (status != IB_OK || walker->report.seq != command_count || walker->segment_count > SEGMENTS_MAX) {
        fprintf(stderr, "every_byte: the journal cannot be walked through\n");
        exit(2);
    }
    for (size_t i = 0; i < walker->segment_count; i++) {
        ib_segment_name(name, walker->first_seqs[i]);
        (void)snprintf(path, sizeof path, "%s/%s", directory, name);
        segment_fds[i] = open(path, O_RDONLY);
        if (segment_fds[i] < 0) {
            perror(path);
            exit(2);
        }
    }
}

/* As look(), by a reader that is behind command `from` and has read nothing ahead. */
static int look_behind(uint64_t from)
{
    static struct ib_journal_reader reader;
    memcpy(&reader, walked[from], STATE_SIZE);
    reader.begin = reader.end = 0;
    reader.fd = dup(segment_fds[reader.segment - 1]);
    if (reader.fd < 0 || lseek(reader.fd, (off_t)reader.offset, SEEK_SET) < 0) {
        perror("every_byte: lseek");
        exit(2);
    }
    seen = from;
    int status = read_on(&reader, IB_OK);
    if (reader.fd >= 0) {
        close(reader.fd);
    }
    return status;
}

static int is_same_report(const struct ib_journal_report *one, const struct ib_journal_report *other)
{
    _Static_assert(offsetof(struct ib_journal_report, error) ==
                       offsetof(struct ib_journal_report, file) + sizeof one->file, "the texts come last");
    return memcmp(one, other, offsetof(struct ib_journal_report, file)) == 0 && strcmp(one->file, other->file) == 0 &&
           strcmp(one->error, other->error) == 0;
}

/* The verdict on a journal that is as it was written before byte `at` of the segment that begins with `first_seq`. */
static int judge(uint64_t first_seq, size_t at, int is_sample)
{
    static struct ib_journal_report by_copy;
    uint64_t before = at < IB_RECORD_SEGMENT_SIZE ? 0 : (at - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE;
    uint64_t from = first_seq - 1 + before;
    if (from == 0 && at < IB_RECORD_SEGMENT_SIZE) {
        return look(); /* nothing is before it */
    }
    int status = look_behind(from < command_count ? from : command_count);
    if (is_sample) {
        uint64_t seen_by_copy = seen;
        by_copy = report;
        int whole = look();
        if (whole != status || seen != seen_by_copy || !is_same_report(&report, &by_copy)) {
            fprintf(stderr, "every_byte: segment %" PRIu64 ", damage at %zu: ", first_seq, at);
            fprintf(stderr, "a copy of the reader says %d (%s), and the whole reading %d (%s)\n", status, by_copy.error,
                    whole, report.error);
            exit(1);
        }
        counts.wholes++;
    }
    return status;
}

static int is_sample(size_t number)
{
    return command_count <= SHORT || number % WHOLE_EVERY == 0;
}

static int is_refused(int status)
{
    return (status == IB_ERROR_JOURNAL_DAMAGED || status == IB_ERROR_JOURNAL_FOREIGN) && report.error[0] != '\0';
}

/* The same through the writer's open, which must come to the same end. It may cut a torn tail off. */
static void look_as_writer(int expected, uint64_t expected_seen, uint64_t first_seq, uint64_t at)
{
    struct ib_journal_config config = {.directory = directory, .shard = SHARD, .orders = ORDERS, .epoch = 1};
    struct ib_journal *journal;
    config.segment_bytes = IB_RECORD_SEGMENT_SIZE + segment_records * IB_RECORD_COMMAND_SIZE;
    seen = 0;
    int status = ib_journal_open(&journal, &config, see, NULL, &report);
    if (status != expected || (status == IB_OK && seen != expected_seen)) {
        fail("the writer", first_seq, at);
    }
    ib_journal_close(journal);
    counts.writers++;
}

static void look_at_state(uint64_t expected_seen, uint64_t first_seq, uint64_t at)
{
    struct ib_replay *replay;
    struct ib_totals totals;
    int status = ib_replay_open(&replay, directory, 0);
    if (status == IB_OK) {
        status = ib_replay_run(replay);
    }
    ib_replay_totals(replay, &totals);
    if (status != IB_OK || totals.seq != expected_seen ||
        (expected_seen > 0 && totals.state_hash != states[expected_seen])) {
        fail("the state", first_seq, at);
    }
    ib_replay_close(replay);
    counts.replays++;
}

/* ---- one segment ---- */

struct segment {
    uint64_t first_seq;
    int is_last;
    int fd;
    size_t used; /* up to its last record */
    size_t size;
    unsigned char *bytes;
};

static void put(const struct segment *segment, size_t at, const void *bytes, size_t size)
{
    if (pwrite(segment->fd, bytes, size, (off_t)at) != (ssize_t)size) {
        perror("every_byte: pwrite");
        exit(2);
    }
}

static void restore(const struct segment *segment, size_t from)
{
    if (ftruncate(segment->fd, (off_t)segment->size) != 0) {
        perror("every_byte: ftruncate");
        exit(2);
    }
    if (from < segment->size) {
        put(segment, from, segment->bytes + from, segment->size - from);
    }
}

static void open_segment(struct segment *segment)
{
    char path[600], name[IB_SEGMENT_NAME_SIZE];
    struct stat file;
    ib_segment_name(name, segment->first_seq);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    segment->fd = open(path, O_RDWR);
    if (segment->fd < 0 || fstat(segment->fd, &file) != 0) {
        perror(path);
        exit(2);
    }
    segment->used = (size_t)file.st_size;
    segment->size = segment->used + (segment->is_last ? SPARE : 0);
    segment->bytes = calloc(1, segment->size);
    if (segment->bytes == NULL || pread(segment->fd, segment->bytes, segment->used, 0) != (ssize_t)segment->used) {
        perror(path);
        exit(2);
    }
    restore(segment, segment->used);
}

/* A file that is shorter, and one that is zero from there on: what a killed process can leave of the last segment. */
static void cut(const struct segment *segment, size_t at, int with_zeros)
{
    uint64_t whole = segment->first_seq - 1;
    whole += at < IB_RECORD_SEGMENT_SIZE ? 0 : (at - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE;
    if (ftruncate(segment->fd, (off_t)at) != 0 || (with_zeros && ftruncate(segment->fd, (off_t)segment->size) != 0)) {
        perror("every_byte: ftruncate");
        exit(2);
    }
    int status = judge(segment->first_seq, at, is_sample(at));
    int may_be_read = segment->is_last && at >= IB_RECORD_SEGMENT_SIZE;
    whole = whole < command_count ? whole : command_count;
    if (segment->is_last && with_zeros && at < IB_RECORD_SEGMENT_SIZE && status == IB_OK && seen == whole) {
        may_be_read = 1; /* the header's last bytes are zero themselves: it is all there */
    }
    if (may_be_read ? status != IB_OK || seen != whole : !is_refused(status)) {
        fail(with_zeros ? "zeros" : "a cut", segment->first_seq, at);
    }
    counts.cuts++;
    *(may_be_read ? &counts.cut_prefixes : &counts.cut_refusals) += 1;
    if (may_be_read && at % REPLAY_EVERY == 0) {
        look_at_state(whole, segment->first_seq, at);
    }
    if (segment->is_last || at % WRITER_EVERY == 0) {
        look_as_writer(status, whole, segment->first_seq, at);
    }
    restore(segment, at < segment->used ? (may_be_read ? IB_RECORD_SEGMENT_SIZE : at) : segment->used);
}

static void turn(const struct segment *segment, size_t at, int bit)
{
    unsigned char turned = (unsigned char)(segment->bytes[at] ^ 1 << bit);
    put(segment, at, &turned, 1);
    int status = judge(segment->first_seq, at, is_sample(at * 8 + (size_t)bit));
    /* Behind the last record a stray bit is what a write that was cut short may look like: all before it is there. */
    int may_be_read = at >= segment->used && status == IB_OK && seen == command_count;
    if (!may_be_read && !is_refused(status)) {
        fail("a bit turned", segment->first_seq, at * 8 + (size_t)bit);
    }
    counts.turns++;
    *(may_be_read ? &counts.turn_prefixes : &counts.turn_refusals) += 1;
    if ((at * 8 + (size_t)bit) % WRITER_EVERY == 0) {
        look_as_writer(status, seen, segment->first_seq, at);
        unsigned char now = 0;
        if (!may_be_read && (pread(segment->fd, &now, 1, (off_t)at) != 1 || now != turned)) {
            fail("changed by a refusal", segment->first_seq, at);
        }
        restore(segment, segment->used);
    }
    put(segment, at, &segment->bytes[at], 1);
}

static void try_segment(struct segment *segment, size_t part, size_t parts)
{
    open_segment(segment);
    for (size_t at = part; at < segment->used; at += parts) {
        cut(segment, at, 0);
        if (segment->is_last) {
            cut(segment, at, 1);
        }
    }
    for (size_t at = part; at < segment->size; at += parts) {
        for (int bit = 0; bit < 8; bit++) {
            turn(segment, at, bit);
        }
    }
    if (look() != IB_OK || seen != command_count) {
        fail("restored", segment->first_seq, 0);
    }
    close(segment->fd);
    free(segment->bytes);
}

/* One object, so that those of all parts can be added up (bench/proofs.py). */
static void say(size_t segments, long seconds)
{
    printf("{\"records\": %zu, \"segments\": %zu, \"cuts\": %" PRIu64 ", \"cuts_a_beginning\": %" PRIu64
           ", \"cuts_refused\": %" PRIu64 ", \"bits\": %" PRIu64 ", \"bits_a_beginning\": %" PRIu64
           ", \"bits_refused\": %" PRIu64 ", \"read_from_the_first_byte_too\": %" PRIu64
           ", \"by_the_writer_too\": %" PRIu64 ", \"replayed\": %" PRIu64 ", \"seconds\": %ld}\n",
           command_count, segments, counts.cuts, counts.cut_prefixes, counts.cut_refusals, counts.turns,
           counts.turn_prefixes, counts.turn_refusals, counts.wholes, counts.writers, counts.replays, seconds);
}

int main(int argc, char **argv)
{
    size_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    size_t part = argc > 4 ? strtoull(argv[3], NULL, 10) : 0;
    size_t parts = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    if (argc < 2 || argc == 4 || argc > 5 || wanted > RECORDS_MAX || part >= parts) {
        fprintf(stderr, "usage: every_byte GOLDEN.hex [RECORDS [PART PARTS]]: up to %d records\n", RECORDS_MAX);
        return 2;
    }
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    commands = calloc(RECORDS_MAX, sizeof *commands);
    states = calloc(RECORDS_MAX + 1, sizeof *states);
    if (commands == NULL || states == NULL) {
        return 2;
    }
    load_golden(argv[1]);
    append_orders(wanted);
    segment_records = command_count / 5; /* five whole segments and a sixth, or nearly so; more of a long journal */
    segment_records = segment_records < SEGMENT_RECORDS_MAX ? segment_records : SEGMENT_RECORDS_MAX;
    test_make_directory(directory);
    write_journal();
    walk();
    size_t segments = 0;
    for (size_t first = 0; first < command_count; first += segment_records, segments++) {
        struct segment segment = {.first_seq = first + 1, .is_last = first + segment_records >= command_count};
        try_segment(&segment, part, parts);
        if (command_count > SHORT) {
            size_t done = segment.is_last ? command_count : first + segment_records;
            (void)clock_gettime(CLOCK_MONOTONIC, &end);
            fprintf(stderr, "every_byte: part %zu: %zu of %zu records, %ld s\n", part, done, command_count,
                    (long)(end.tv_sec - begin.tv_sec));
        }
    }
    test_remove_directory(directory);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    say(segments, (long)(end.tv_sec - begin.tv_sec));
    return 0;
}
