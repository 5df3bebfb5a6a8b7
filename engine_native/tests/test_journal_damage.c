/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_journal_damage.c: every cut and every changed byte ends in a prefix or a refusal that names file, offset and
 * sequence; never in other commands.
 */
#include "small_journal.h"

static void the_last_segment_cut_anywhere(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    EXPECT_EQUAL(size, IB_RECORD_SEGMENT_SIZE + 6 * IB_RECORD_COMMAND_SIZE);
    for (size_t cut = 0; cut <= size; cut++) {
        store(9, bytes, cut);
        uint64_t records;
        int status = read_journal(&records);
        if (cut < IB_RECORD_SEGMENT_SIZE) { /* segments appear complete: this is no crash */
            EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
            EXPECT_EQUAL(records, 8);
            EXPECT_EQUAL(report.error_seq, 9);
            continue;
        }
        EXPECT_EQUAL(status, IB_OK);
        EXPECT_EQUAL(records, 8 + (cut - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE);
        EXPECT_EQUAL(report.torn_bytes, (cut - IB_RECORD_SEGMENT_SIZE) % IB_RECORD_COMMAND_SIZE);

        struct ib_journal_config settings = config(); /* a writer cuts the rest off and goes on */
        struct ib_journal *journal;
        struct seen seen = {.sound = 1};
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, see, &seen, &report), IB_OK);
        EXPECT(seen.sound && seen.count == records);
        EXPECT_EQUAL(append(journal, records + 1, 1), IB_OK);
        ib_journal_close(journal);
        uint64_t records_after;
        EXPECT_EQUAL(read_journal(&records_after), IB_OK);
        EXPECT_EQUAL(records_after, records + 1);
        EXPECT_EQUAL(report.torn_bytes, 0);
    }
    test_remove_directory(directory);
}

static void an_earlier_segment_cut_anywhere(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(1, bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut++) {
        store(1, bytes, cut);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT_EQUAL(report.error_seq, records + 1);
        EXPECT(strstr(report.error, ".journal at offset ") != NULL);
    }
    test_remove_directory(directory);
}

/* Flips one byte of one segment in four ways; reading and opening must refuse, and change nothing. */
static void flip_each_byte(uint64_t first_seq)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x10};
    unsigned char bytes[4096];
    unsigned char after[4096];
    size_t size = load(first_seq, bytes, sizeof bytes);
    EXPECT(size > 0);
    for (size_t i = 0; i < size * sizeof masks; i++) {
        size_t at = i / sizeof masks;
        bytes[at] ^= masks[i % sizeof masks];
        store(first_seq, bytes, size);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT(report.error_offset <= at && at < report.error_offset + IB_RECORD_COMMAND_SIZE);
        EXPECT_EQUAL(report.error_seq, records + 1);
        EXPECT_EQUAL(report.error_in_last_group, records >= COMMANDS - 2); /* groups are of two */
        char name[IB_SEGMENT_NAME_SIZE];
        ib_segment_name(name, first_seq);
        EXPECT(strstr(report.error, name) != NULL);
        if (masks[i % sizeof masks] == 0xff) {
            struct ib_journal_config settings = config();
            struct ib_journal *journal;
            EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_ERROR_JOURNAL_DAMAGED);
            EXPECT_EQUAL(load(first_seq, after, sizeof after), size);
            EXPECT_EQUAL(memcmp(bytes, after, size), 0);
        }
        bytes[at] ^= masks[i % sizeof masks];
    }
    store(first_seq, bytes, size);
}

static void each_byte_flipped(void)
{
    write_journal();
    EXPECT_SOUND();
    flip_each_byte(1);
    EXPECT_SOUND();
    flip_each_byte(9);
    EXPECT_SOUND();
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    test_remove_directory(directory);
}

/* What was reserved and never written reads as zeros. */
static void a_tail_of_zeros_is_spare(void)
{
    unsigned char bytes[8192] = {0};
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    store(9, bytes, size + 1000);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    EXPECT_EQUAL(records, COMMANDS);
    EXPECT_EQUAL(report.torn_bytes, 0);
    EXPECT_EQUAL(report.spare_bytes, 1000);
    bytes[size + 999] = 1; /* something else is there */
    store(9, bytes, size + 1000);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    test_remove_directory(directory);
}

/* A process that is killed in write(2) leaves a beginning of what it wrote, and zeros as before behind that: each such
 * tail is cut off, and one that was written to its end and has changed since is not taken for one. */
static void a_killed_write_leaves_zeros_behind_it(void)
{
    enum { SPARE = 300 };
    unsigned char bytes[4096] = {0};
    unsigned char torn[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    for (size_t cut = IB_RECORD_SEGMENT_SIZE; cut <= size; cut++) {
        memset(torn, 0, sizeof torn);
        memcpy(torn, bytes, cut);
        store(9, torn, size + SPARE);
        uint64_t records;
        size_t whole = (cut - IB_RECORD_SEGMENT_SIZE) / IB_RECORD_COMMAND_SIZE;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, 8 + whole);
        size_t end = IB_RECORD_SEGMENT_SIZE + whole * IB_RECORD_COMMAND_SIZE;
        EXPECT_EQUAL(report.torn_bytes + report.spare_bytes, size + SPARE - end);
        EXPECT((report.torn_bytes == 0) == (cut == end) && report.torn_bytes <= cut - end);
        struct ib_journal_config settings = config();
        struct ib_journal *journal;
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        uint64_t after;
        EXPECT_EQUAL(read_journal(&after), IB_OK);
        EXPECT_EQUAL(report.torn_bytes, 0); /* what was torn is gone before anything is written there */
        EXPECT_EQUAL(append(journal, records + 1, 1), IB_OK);
        ib_journal_close(journal);
        EXPECT_EQUAL(read_journal(&after), IB_OK);
        EXPECT_EQUAL(after, records + 1);
        if (report.segments == 3) { /* that one had not fitted in */
            char path[600];
            path_of(path, after);
            EXPECT_EQUAL(unlink(path), 0);
        }
    }
    for (size_t at = size - IB_RECORD_COMMAND_SIZE; at < size; at++) { /* the last record, with zeros behind it */
        memset(torn, 0, sizeof torn);
        memcpy(torn, bytes, size);
        torn[at] ^= 0x04;
        store(9, torn, size + SPARE);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
        EXPECT_EQUAL(records, COMMANDS - 1);
    }
    test_remove_directory(directory);
}

/* Turns a segment's records into those of format 2; returns the chain behind them. */
static uint64_t make_format_2(unsigned char *bytes, size_t size, uint64_t chain)
{
    for (size_t at = 0; at < size;) {
        struct ib_record_header header;
        memcpy(&header, bytes + at, sizeof header);
        unsigned char *payload = bytes + at + sizeof header;
        if (header.type == IB_RECORD_COMMAND) {
            memset(payload + IB_RECORD_END_OFFSET, 0, 4);
        }
        header.format = 2;
        header.chain = chain;
        ib_record_seal(&header, payload, header.length);
        memcpy(bytes + at, &header, sizeof header);
        chain = ib_record_chain(&header, payload);
        at += sizeof header + header.length;
    }
    return chain;
}

/* Its records have no mark of their end, so nothing that may be torn is written behind them. */
static void a_segment_of_an_older_format_is_not_gone_on_with(void)
{
    unsigned char bytes[4096];
    for (int has_commands = 0; has_commands <= 1; has_commands++) {
        write_journal();
        EXPECT_SOUND();
        uint64_t chain = make_format_2(bytes, load(1, bytes, sizeof bytes), 0);
        store(1, bytes, IB_RECORD_SEGMENT_SIZE + 8 * IB_RECORD_COMMAND_SIZE);
        size_t size = load(9, bytes, sizeof bytes);
        (void)make_format_2(bytes, size, chain);
        store(9, bytes, has_commands ? size - 5 : IB_RECORD_SEGMENT_SIZE); /* with a torn tail, or without a command */
        uint64_t seq = has_commands ? COMMANDS - 1 : 8;
        struct ib_journal_config settings = config();
        struct ib_journal *journal;
        EXPECT_EQUAL(ib_journal_open(&journal, &settings, NULL, NULL, &report), IB_OK);
        EXPECT_EQUAL(report.format, 2);
        EXPECT_EQUAL(report.seq, seq);
        EXPECT_EQUAL(append(journal, seq + 1, 2), IB_OK);
        ib_journal_close(journal);
        uint64_t records;
        EXPECT_EQUAL(read_journal(&records), IB_OK);
        EXPECT_EQUAL(records, seq + 2);
        EXPECT_EQUAL(report.format, 3);
        EXPECT_EQUAL(report.segments, has_commands ? 3 : 2);
        test_remove_directory(directory);
    }
}

static void records_in_another_order_do_not_fit(void)
{
    unsigned char bytes[4096];
    unsigned char swapped[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    enum { FIRST = IB_RECORD_SEGMENT_SIZE, SECOND = FIRST + IB_RECORD_COMMAND_SIZE };
    memcpy(swapped, bytes, size);
    memcpy(swapped + FIRST, bytes + SECOND, IB_RECORD_COMMAND_SIZE);
    memcpy(swapped + SECOND, bytes + FIRST, IB_RECORD_COMMAND_SIZE);
    store(9, swapped, size);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 8);
    memmove(bytes + FIRST, bytes + SECOND, size - SECOND); /* one is missing */
    store(9, bytes, size - IB_RECORD_COMMAND_SIZE);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 8);
    test_remove_directory(directory);
}

/* A record with right sums and sequence, but of another history: only the chain tells. */
static void a_record_of_another_history_does_not_fit(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    size_t size = load(9, bytes, sizeof bytes);
    struct {
        struct ib_record_header header;
        struct ib_command command;
    } record;
    unsigned char *at = bytes + IB_RECORD_SEGMENT_SIZE;
    memcpy(&record, at, sizeof record);
    record.command.quantity++;
    ib_record_seal(&record.header, &record.command, sizeof record.command);
    memcpy(at, &record, sizeof record);
    store(9, bytes, size);
    uint64_t records;
    forged = 1;
    int status = read_journal(&records);
    forged = 0;
    EXPECT_EQUAL(status, IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, 9); /* the forged one itself is sound; the one behind it gives it away */
    EXPECT(strstr(report.error, "chain") != NULL);
    test_remove_directory(directory);
}

/* A sound record of format 1, in sequence and in the chain, behind one of format 2. */
static void a_format_never_goes_back(void)
{
    unsigned char bytes[4096];
    write_journal();
    EXPECT_SOUND();
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_OK);
    size_t size = load(9, bytes, sizeof bytes);
    struct ib_command command = command_at(COMMANDS + 1);
    struct ib_record_header header;
    memcpy(&header, bytes + size - IB_RECORD_COMMAND_SIZE, sizeof header);
    header.format = 1;
    header.seq = header.group_seq = COMMANDS + 1;
    header.time_ns = command.time_ns;
    header.chain = report.chain;
    ib_record_seal(&header, &command, IB_COMMAND_SIZE_FORMAT_1);
    memcpy(bytes + size, &header, sizeof header);
    memcpy(bytes + size + sizeof header, &command, IB_COMMAND_SIZE_FORMAT_1);
    store(9, bytes, size + sizeof header + IB_COMMAND_SIZE_FORMAT_1);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(records, COMMANDS);
    EXPECT(strstr(report.error, "format goes back") != NULL);
    test_remove_directory(directory);
}

static void missing_segments_are_noticed(void)
{
    char path[600];
    write_journal();
    EXPECT_SOUND();
    path_of(path, 1);
    EXPECT_EQUAL(unlink(path), 0);
    uint64_t records;
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_JOURNAL_DAMAGED);
    EXPECT(strstr(report.error, "missing") != NULL);
    path_of(path, 9);
    EXPECT_EQUAL(unlink(path), 0);
    EXPECT_EQUAL(read_journal(&records), IB_ERROR_IO);
    EXPECT(strstr(report.error, "no journal here") != NULL);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(the_last_segment_cut_anywhere),
    CASE(an_earlier_segment_cut_anywhere),
    CASE(each_byte_flipped),
    CASE(a_tail_of_zeros_is_spare),
    CASE(a_killed_write_leaves_zeros_behind_it),
    CASE(a_segment_of_an_older_format_is_not_gone_on_with),
    CASE(records_in_another_order_do_not_fit),
    CASE(a_record_of_another_history_does_not_fit),
    CASE(a_format_never_goes_back),
    CASE(missing_segments_are_noticed),
};

TEST_MAIN("test_journal_damage", cases)
