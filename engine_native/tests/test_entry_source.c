/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_entry_source.c: entries come out of ring and segments with the epochs and chains that a straight computation
 * gives them, wherever the reading begins; and what stands in a segment and is not that entry is none.
 */
#define _GNU_SOURCE
#include "entry_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "commands.h"
#include "journal_record.h"
#include "test.h"

enum { ENTRIES = 9000, RECOVERED = 5300, CAPACITY = 512, SEGMENT = 700, READS = 3000, BATCH = 64 };

static char directory[256], error[IB_ERROR_TEXT_SIZE];
static struct ib_replica_entry truth[ENTRIES + 1];
static struct ib_journal *journal;
static struct ib_ring ring;
static struct ib_entry_source source;
static uint64_t noise = 88172645463325252u;

static uint64_t draw(uint64_t below)
{
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    return noise % below;
}

static void make_truth(void)
{
    uint64_t epoch = 1;
    uint64_t chain = IB_REPLICA_CHAIN_EMPTY;
    for (uint64_t seq = 1; seq <= ENTRIES; seq++) {
        struct ib_command command = enter((uint16_t)(seq % 3), (uint32_t)seq, IB_SIDE_BUY, 1 + seq % 90, 1000);
        if (seq % 311 == 0) {
            epoch += 1 + seq % 3;
            command = (struct ib_command){.type = IB_COMMAND_EPOCH, .value = epoch};
        }
        command.seq = seq;
        command.time_ns = 5 * seq;
        chain = ib_replica_chain(chain, epoch, &command);
        truth[seq] = (struct ib_replica_entry){.epoch = epoch, .chain = chain, .command = command};
    }
}

static void write_to_journal(uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        EXPECT_EQUAL(ib_journal_append(journal, &truth[seq].command, 1), IB_OK);
    }
}

static void open_journal(void)
{
    struct ib_journal_report report;
    const struct ib_journal_config config = {
        .directory = directory,
        .orders = 64,
        .epoch = 1,
        .segment_bytes = IB_RECORD_SEGMENT_SIZE + SEGMENT * (uint64_t)IB_RECORD_COMMAND_SIZE};
    test_make_directory(directory);
    make_truth();
    EXPECT_EQUAL(ib_journal_open(&journal, &config, NULL, NULL, &report), IB_OK);
    EXPECT_EQUAL(ib_entry_source_open(&source, directory), IB_OK);
}

static void close_all(void)
{
    ib_entry_source_close(&source);
    ib_entry_source_close(&source); /* twice is harmless */
    ib_journal_close(journal);
    ib_ring_free(&ring);
    test_remove_directory(directory);
}

static void follow(uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++) {
        struct ib_entry_mark mark = ib_entry_source_follow(&source, &truth[seq].command);
        EXPECT(mark.epoch == truth[seq].epoch && mark.chain == truth[seq].chain);
        EXPECT_EQUAL(ib_entry_source_note(&source, seq, mark), IB_OK);
    }
}

/* The newest entry, as the sequencer and then the replica have it: in the ring, noted, and later in the journal. */
static void sequence(uint64_t seq)
{
    struct ib_command *slot = ib_ring_claim(&ring);
    EXPECT(slot != NULL);
    *slot = truth[seq].command;
    ib_ring_publish(&ring);
    const struct ib_entry_mark mark = {.epoch = truth[seq].epoch, .chain = truth[seq].chain};
    EXPECT_EQUAL(ib_entry_source_note(&source, seq, mark), IB_OK);
}

/* Both readers of the ring have passed `count` commands since it was opened. */
static void pass(uint64_t count)
{
    for (int id = 0; id < IB_RING_CONSUMERS; id++) {
        atomic_store(&ring.consumers[id].done, count);
    }
}

static void expect_read(uint64_t seq, size_t count)
{
    static struct ib_replica_entry entries[BATCH];
    size_t read = 0;
    EXPECT_EQUAL(ib_entry_source_read(&source, seq, entries, count, &read), IB_OK);
    EXPECT(read >= 1 && read <= count);
    EXPECT(seq + read - 1 <= source.last_seq);
    for (size_t i = 0; i < read; i++) {
        EXPECT_EQUAL(entries[i].epoch, truth[seq + i].epoch);
        EXPECT(entries[i].chain == truth[seq + i].chain);
        EXPECT_EQUAL(memcmp(&entries[i].command, &truth[seq + i].command, sizeof entries[i].command), 0);
    }
}

static void read_all(uint64_t until)
{
    static struct ib_replica_entry entries[BATCH];
    for (uint64_t seq = 1; seq <= until;) {
        size_t read = 0;
        EXPECT_EQUAL(ib_entry_source_read(&source, seq, entries, BATCH, &read), IB_OK);
        EXPECT(read >= 1);
        EXPECT(entries[read - 1].chain == truth[seq + read - 1].chain);
        seq += read;
    }
}

/* What recovery found, then a ring that goes round several times; at each step entries from anywhere. */
static void every_entry_has_its_epoch_and_chain(void)
{
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, RECOVERED);
    follow(1, RECOVERED);
    EXPECT_SOUND();
    EXPECT_EQUAL(source.stride_count, RECOVERED / IB_ENTRY_STRIDE + 1);
    for (int i = 0; i < READS; i++) { /* before there is a ring */
        expect_read(1 + draw(RECOVERED), 1 + draw(BATCH));
        EXPECT_SOUND();
    }
    EXPECT_EQUAL(ib_ring_open(&ring, CAPACITY), IB_OK);
    EXPECT_EQUAL(ib_entry_source_use_ring(&source, &ring), IB_OK);
    for (uint64_t seq = RECOVERED + 1; seq <= ENTRIES; seq++) {
        sequence(seq);
        EXPECT_SOUND();
        expect_read(seq - draw(3), 1 + draw(BATCH)); /* what nobody has written yet */
        EXPECT_SOUND();
        if (draw(4) == 0 || seq - RECOVERED - atomic_load(&ring.consumers[0].done) == CAPACITY) {
            write_to_journal(ib_journal_seq(journal) + 1, seq);
            pass(seq - RECOVERED);
        }
        expect_read(1 + draw(seq), 1 + draw(BATCH));
        EXPECT_SOUND();
        uint64_t edge = seq > CAPACITY + 40 ? seq - CAPACITY - 40 : 1; /* where the ring begins */
        expect_read(edge + draw(seq - edge + 1), 1 + draw(BATCH));
        EXPECT_SOUND();
    }
    read_all(ENTRIES);
    for (uint64_t first = SEGMENT; first < ENTRIES; first += SEGMENT) { /* over the end of each segment, and back */
        for (uint64_t seq = first + 3; seq > first - 3; seq--) {
            expect_read(seq, BATCH);
            EXPECT_SOUND();
        }
    }
    close_all();
}

static size_t read_at(uint64_t seq, int *status)
{
    static struct ib_replica_entry entries[BATCH];
    size_t read = 0;
    *status = ib_entry_source_read(&source, seq, entries, BATCH, &read);
    return read;
}

/* The segment that was read is finished, and a newer one begun, between two reads. */
static void a_newer_segment_is_found(void)
{
    int status;
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, SEGMENT - 10);
    follow(1, SEGMENT - 10);
    expect_read(SEGMENT - 30, BATCH); /* it is the last one, as far as is known */
    EXPECT_SOUND();
    EXPECT(source.next_first_seq == UINT64_MAX);
    write_to_journal(SEGMENT - 9, 3 * SEGMENT + 5);
    follow(SEGMENT - 9, 3 * SEGMENT + 5);
    EXPECT_EQUAL(read_at(SEGMENT - 9, &status), 10);
    EXPECT_EQUAL(status, IB_OK);
    expect_read(SEGMENT + 1, BATCH);
    EXPECT_SOUND();
    expect_read(2 * SEGMENT + 1, BATCH);
    EXPECT_SOUND();
    expect_read(3 * SEGMENT + 1, BATCH);
    EXPECT_SOUND();
    read_all(3 * SEGMENT + 5);
    close_all();
}

static void flip(uint64_t first_seq, size_t offset)
{
    char name[IB_SEGMENT_NAME_SIZE], path[600];
    unsigned char byte;
    ib_segment_name(name, first_seq);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR);
    EXPECT(fd >= 0);
    EXPECT_EQUAL(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    EXPECT_EQUAL(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static size_t offset_of(uint64_t place)
{
    return IB_RECORD_SEGMENT_SIZE + place * IB_RECORD_COMMAND_SIZE;
}

/* Entries before it come out, entries behind it too if their chain needs nothing of it, and it does not. */
static void damage_is_an_error(void)
{
    int status;
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, 2 * SEGMENT);
    follow(1, 2 * SEGMENT);
    for (size_t offset = 0; offset < IB_RECORD_COMMAND_SIZE; offset++) { /* every byte of a record */
        flip(1, offset_of(99) + offset);
        EXPECT_SOUND();
        EXPECT_EQUAL(read_at(90, &status), 10);
        EXPECT_EQUAL(status, IB_OK);
        EXPECT_EQUAL(read_at(100, &status), 0);
        EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
        (void)read_at(101, &status); /* its chain goes over the one that is damaged */
        EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
        flip(1, offset_of(99) + offset);
        expect_read(100, BATCH);
        EXPECT_SOUND();
    }
    flip(SEGMENT + 1, offset_of(SEGMENT - 1)); /* the very last one */
    (void)read_at(2 * SEGMENT, &status);
    EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
    expect_read(2 * SEGMENT - 5, 5);
    close_all();
}

static void a_record_of_another_place_is_none(void)
{
    char name[IB_SEGMENT_NAME_SIZE], path[600];
    unsigned char record[IB_RECORD_COMMAND_SIZE];
    int status;
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, 300);
    follow(1, 300);
    ib_segment_name(name, 1);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR);
    EXPECT_EQUAL(pread(fd, record, sizeof record, (off_t)offset_of(49)), sizeof record);
    EXPECT_EQUAL(pwrite(fd, record, sizeof record, (off_t)offset_of(199)), sizeof record);
    (void)read_at(200, &status);
    EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(ftruncate(fd, (off_t)offset_of(150) + 40), 0); /* and one that ends too early has none */
    EXPECT_EQUAL(read_at(149, &status), 2);
    EXPECT_EQUAL(status, IB_OK);
    (void)read_at(151, &status);
    EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
    close(fd);
    ib_entry_source_close(&source);
    EXPECT_EQUAL(ib_entry_source_open(&source, directory), IB_OK);
    follow(1, 300);
    EXPECT_EQUAL(unlink(path), 0); /* nor has one that is not there */
    (void)read_at(10, &status);
    EXPECT_EQUAL(status, IB_ERROR_IO);
    close_all();
}

/* 16 bytes for each IB_ENTRY_STRIDE entries, of which there may be more than room was made for at first. */
static void the_marks_grow(void)
{
    uint64_t count = 1024 * (uint64_t)IB_ENTRY_STRIDE + 3 * IB_ENTRY_STRIDE;
    open_journal();
    EXPECT_SOUND();
    for (uint64_t seq = 1; seq <= count; seq++) {
        const struct ib_entry_mark mark = {.epoch = 1 + seq / 5000, .chain = seq * 0x9e3779b97f4a7c15u};
        EXPECT_EQUAL(ib_entry_source_note(&source, seq, mark), IB_OK);
    }
    EXPECT(source.stride_capacity > 1024);
    EXPECT_EQUAL(source.stride_count, 1024 + 3 + 1);
    for (uint64_t i = 1; i < source.stride_count; i++) {
        EXPECT(source.strides[i].chain == i * IB_ENTRY_STRIDE * 0x9e3779b97f4a7c15u);
        EXPECT_EQUAL(source.strides[i].epoch, 1 + i * IB_ENTRY_STRIDE / 5000);
    }
    EXPECT(source.strides[0].epoch == 1 && source.strides[0].chain == IB_REPLICA_CHAIN_EMPTY);
    close_all();
}

/* As an engine that begins with the snapshot of entry `begin`: it knows that entry's mark, and follows from there. */
static void begin_behind(uint64_t begin)
{
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, RECOVERED);
    const struct ib_entry_mark mark = {.epoch = truth[begin].epoch, .chain = truth[begin].chain};
    EXPECT_EQUAL(ib_entry_source_begin_behind(&source, begin, mark), IB_OK);
    follow(begin + 1, RECOVERED);
}

static int recall(void)
{
    static const _Atomic bool stopping = false;
    error[0] = '\0';
    return ib_entry_source_recall(&source, directory, IB_JOURNAL_SHARD_ANY, &stopping, error);
}

/* What is behind the snapshot at once, with its own entry; what is before it once it was read. Around each edge. */
static void behind_a_snapshot_entries_come_as_ever_and_those_before_it_later(void)
{
    static const uint64_t begins[] = {1, 2, 700, 701, 1023, 1024, 1025, 3000, 4096, RECOVERED - 1, RECOVERED};
    for (unsigned i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        uint64_t begin = begins[i];
        begin_behind(begin);
        EXPECT_SOUND();
        for (int reads = 0; reads < READS / 10; reads++) {
            expect_read(begin + draw(RECOVERED - begin + 1), 1 + draw(BATCH));
            EXPECT_SOUND();
        }
        EXPECT_EQUAL(ib_entry_source_has(&source, begin), true);
        EXPECT_EQUAL(ib_entry_source_has(&source, begin > 1 ? begin - 1 : 1), begin == 1);
        EXPECT_EQUAL(recall(), IB_OK);
        EXPECT(ib_entry_source_has(&source, 1));
        for (int reads = 0; reads < READS / 10; reads++) {
            expect_read(1 + draw(RECOVERED), 1 + draw(BATCH));
            EXPECT_SOUND();
            uint64_t edge = begin > 40 ? begin - 40 : 1;
            expect_read(edge + draw(begin - edge + 1), 1 + draw(BATCH));
            EXPECT_SOUND();
        }
        read_all(RECOVERED);
        EXPECT_EQUAL(ib_ring_open(&ring, CAPACITY), IB_OK);
        EXPECT_EQUAL(ib_entry_source_use_ring(&source, &ring), IB_OK);
        for (uint64_t seq = RECOVERED + 1; seq <= RECOVERED + 1200; seq++) {
            sequence(seq);
            write_to_journal(seq, seq);
            pass(seq - RECOVERED);
            expect_read(1 + draw(seq), 1 + draw(BATCH));
            EXPECT_SOUND();
        }
        close_all();
    }
}

static void a_journal_of_another_chain_or_without_its_beginning_is_never_read(void)
{
    char name[IB_SEGMENT_NAME_SIZE], path[600];
    open_journal();
    EXPECT_SOUND();
    write_to_journal(1, RECOVERED);
    struct ib_entry_mark mark = {.epoch = truth[3000].epoch, .chain = truth[3000].chain ^ 1};
    EXPECT_EQUAL(ib_entry_source_begin_behind(&source, 3000, mark), IB_OK);
    EXPECT_EQUAL(recall(), IB_ERROR_CONFIGURATION);
    EXPECT(!ib_entry_source_has(&source, 2999));
    ib_entry_source_close(&source);
    EXPECT_EQUAL(ib_entry_source_open(&source, directory), IB_OK);
    mark = (struct ib_entry_mark){.epoch = truth[3000].epoch + 1, .chain = truth[3000].chain};
    EXPECT_EQUAL(ib_entry_source_begin_behind(&source, 3000, mark), IB_OK);
    EXPECT_EQUAL(recall(), IB_ERROR_CONFIGURATION);
    EXPECT(!ib_entry_source_has(&source, 2999));
    ib_entry_source_close(&source);
    ib_segment_name(name, 1);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    EXPECT_EQUAL(unlink(path), 0);
    EXPECT_EQUAL(ib_entry_source_open(&source, directory), IB_OK);
    mark.epoch--;
    EXPECT_EQUAL(ib_entry_source_begin_behind(&source, 3000, mark), IB_OK);
    EXPECT_EQUAL(recall(), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT(strstr(error, "the records before this segment are missing") != NULL);
    EXPECT(!ib_entry_source_has(&source, 2999));
    follow(3001, RECOVERED);
    expect_read(3000, BATCH); /* and what is behind it is */
    EXPECT_SOUND();
    expect_read(RECOVERED - 10, BATCH);
    close_all();
}

static void without_a_directory_there_is_no_source(void)
{
    test_make_directory(directory);
    test_remove_directory(directory);
    EXPECT_EQUAL(ib_entry_source_open(&source, directory), IB_ERROR_IO);
    ib_entry_source_close(&source);
}

static const struct test_case cases[] = {
    CASE(every_entry_has_its_epoch_and_chain),
    CASE(a_newer_segment_is_found),
    CASE(damage_is_an_error),
    CASE(a_record_of_another_place_is_none),
    CASE(the_marks_grow),
    CASE(behind_a_snapshot_entries_come_as_ever_and_those_before_it_later),
    CASE(a_journal_of_another_chain_or_without_its_beginning_is_never_read),
    CASE(without_a_directory_there_is_no_source),
};

TEST_MAIN("test_entry_source", cases)
