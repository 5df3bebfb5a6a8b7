/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_snapshot.c: snapshots as files beside a journal: taken, followed, passed over when damaged, refused when they
 * contradict the journal or what was asked for.
 */
#include "journal_record.h"
#include "snapshot.h"
#include "snapshot_store.h"
#include "snapshot_world.h"

enum { GROUP = 4 }; /* commands; a segment holds two groups */

static char directory[256];
static struct ib_snapshot_report taken;
static char note[IB_ERROR_TEXT_SIZE], error[IB_ERROR_TEXT_SIZE];

static void path_of(char path[600], const char *name)
{
    (void)snprintf(path, 600, "%s/%s", directory, name);
}

static void write_journal_of(uint32_t shard, uint64_t commands)
{
    struct ib_journal_config config = {
        .directory = directory, .shard = shard, .orders = ORDERS, .epoch = 1, .segment_bytes = 128 + 2 * GROUP * 192};
    struct ib_journal_report report;
    struct ib_journal *journal;
    EXPECT_EQUAL(ib_journal_open(&journal, &config, NULL, NULL, &report), IB_OK);
    for (uint64_t at = report.seq; at < commands; at += GROUP) {
        EXPECT_EQUAL(ib_journal_append(journal, world + at, commands - at < GROUP ? commands - at : GROUP), IB_OK);
    }
    ib_journal_close(journal);
}

/* The whole world's, in segments of at most eight commands, and nothing else in the directory. */
static void begin(void)
{
    make_world();
    test_make_directory(directory);
    write_journal_of(SHARD, world_size);
}

static int take(uint64_t until_seq)
{
    return ib_snapshot_take(directory, SHARD, until_seq, &taken);
}

static int newest_of(int64_t shard, uint32_t orders, uint64_t until_seq, uint64_t *seq)
{
    struct ib_snapshot *snapshot;
    const struct ib_snapshot_wanted wanted = {
        .directory = directory, .shard = shard, .orders = orders, .until_seq = until_seq};
    error[0] = '\0';
    int status = ib_snapshot_newest(&snapshot, &wanted, note, error);
    *seq = snapshot != NULL ? snapshot->report.seq : 0;
    ib_snapshot_close(snapshot);
    return status;
}

/* Whether the newest snapshot has the past of its sequence number. */
static int has_its_past(void)
{
    struct ib_snapshot *snapshot;
    const struct ib_snapshot_wanted wanted = {.directory = directory, .shard = SHARD};
    int same = ib_snapshot_newest(&snapshot, &wanted, note, error) == IB_OK &&
               memcmp(&snapshot->past, past_at(snapshot->report.seq), sizeof snapshot->past) == 0;
    ib_snapshot_close(snapshot);
    return same;
}

/* The state of a replay from the newest snapshot, and where it began; 0 where it fails, and `error` says why. */
static uint64_t replayed(uint64_t until_seq, uint64_t *from_seq)
{
    struct ib_replay *replay;
    struct ib_totals totals;
    int status = ib_replay_open_behind(&replay, directory, until_seq);
    status = status == IB_OK ? ib_replay_run(replay) : status;
    (void)snprintf(error, sizeof error, "%s", ib_replay_error(replay));
    (void)snprintf(note, sizeof note, "%s", ib_replay_note(replay));
    ib_replay_totals(replay, &totals);
    *from_seq = ib_replay_from_seq(replay);
    ib_replay_close(replay);
    return status == IB_OK ? totals.state_hash : 0;
}

static uint64_t hash_at(uint64_t seq)
{
    struct ib_matcher *matcher = matcher_of_world(seq);
    uint64_t hash = hash_of(matcher);
    ib_matcher_close(matcher);
    return hash;
}

static void flip(const char *name, long offset)
{
    char path[600];
    path_of(path, name);
    FILE *file = fopen(path, "r+b");
    EXPECT(file != NULL && fseek(file, offset, SEEK_SET) == 0);
    int byte = fgetc(file);
    EXPECT(fseek(file, offset, SEEK_SET) == 0 && fputc(byte ^ 1, file) != EOF);
    EXPECT(fclose(file) == 0);
}

static void rename_in(const char *from, const char *to)
{
    char a[600], b[600];
    path_of(a, from);
    path_of(b, to);
    EXPECT(rename(a, b) == 0);
}

static unsigned files(void)
{
    DIR *stream = opendir(directory);
    unsigned count = 0;
    while (stream != NULL && readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count - 2; /* . and .. */
}

/* ---- cases ---- */

static void taken_anywhere_it_leads_to_the_same_state(void)
{
    uint64_t from_seq;
    begin();
    for (uint64_t seq = 1; seq <= world_size; seq++) {
        EXPECT_EQUAL(take(seq), IB_OK);
        EXPECT_EQUAL(taken.seq, seq);
        EXPECT_EQUAL(taken.from_seq, seq - 1); /* of the one before, and not of the whole journal */
        EXPECT_EQUAL(taken.state_hash, hash_at(seq));
        EXPECT_EQUAL(strlen(taken.sha256), 64);
        EXPECT(has_its_past());
        EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
        EXPECT_EQUAL(from_seq, seq);
        EXPECT_EQUAL(replayed(seq, &from_seq), hash_at(seq));
        EXPECT(note[0] == '\0' && error[0] == '\0');
    }
    test_remove_directory(directory);
}

/* A directory of snapshots made of each other, and one made of the whole journal: the same bytes. */
static void it_does_not_show_what_it_was_made_of(void)
{
    char sha256[65];
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    EXPECT_EQUAL(take(0), IB_OK);
    EXPECT_EQUAL(taken.from_seq, 20);
    EXPECT_EQUAL(taken.seq, world_size);
    memcpy(sha256, taken.sha256, sizeof sha256);
    test_remove_directory(directory);
    begin();
    EXPECT_EQUAL(take(0), IB_OK);
    EXPECT_EQUAL(taken.from_seq, 0);
    EXPECT(strcmp(taken.sha256, sha256) == 0);
    unsigned before = files();
    EXPECT_EQUAL(take(0), IB_OK); /* it is there already */
    EXPECT_EQUAL(taken.from_seq, world_size);
    EXPECT(strcmp(taken.sha256, sha256) == 0 && files() == before);
    test_remove_directory(directory);
}

static void the_newest_that_was_asked_for(void)
{
    uint64_t seq;
    begin();
    EXPECT_EQUAL(newest_of(SHARD, ORDERS, 0, &seq), IB_OK);
    EXPECT_EQUAL(seq, 0);
    EXPECT(take(5) == IB_OK && take(17) == IB_OK && take(30) == IB_OK);
    EXPECT_EQUAL(newest_of(SHARD, ORDERS, 0, &seq), IB_OK);
    EXPECT_EQUAL(seq, 30);
    EXPECT_EQUAL(newest_of(IB_JOURNAL_SHARD_ANY, 0, 29, &seq), IB_OK);
    EXPECT_EQUAL(seq, 17);
    EXPECT_EQUAL(newest_of(SHARD, 0, 17, &seq), IB_OK);
    EXPECT_EQUAL(seq, 17);
    EXPECT_EQUAL(newest_of(SHARD, 0, 4, &seq), IB_OK);
    EXPECT_EQUAL(seq, 0);
    test_remove_directory(directory);
}

static void a_damaged_one_is_passed_over_and_named(void)
{
    uint64_t from_seq;
    begin();
    EXPECT(take(10) == IB_OK && take(20) == IB_OK);
    flip("00000000000000000020.snapshot", 300);
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 10);
    EXPECT(strstr(note, "00000000000000000020.snapshot: its content does not fit its SHA-256") != NULL);
    EXPECT(strstr(note, "passed over") != NULL && error[0] == '\0');
    flip("00000000000000000010.snapshot", 3); /* and the other one: the whole journal */
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 0);
    EXPECT(strstr(note, "20.snapshot") != NULL && strstr(note, "10.snapshot: it does not begin as") != NULL);
    EXPECT_EQUAL(ib_snapshot_verify(directory, "00000000000000000010.snapshot", SHARD, &taken),
                 IB_ERROR_JOURNAL_DAMAGED);
    EXPECT_EQUAL(take(20), IB_OK); /* taken anew, over the damaged one */
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 20);
    test_remove_directory(directory);
}

static void remove_segments_before(uint64_t seq)
{
    for (uint64_t first = 1; first + 8 <= seq + 1; first += 8) {
        char name[IB_SEGMENT_NAME_SIZE], path[600];
        ib_segment_name(name, first);
        path_of(path, name);
        EXPECT(unlink(path) == 0);
    }
}

static void the_journal_before_it_need_not_be_there(void)
{
    uint64_t from_seq;
    begin();
    EXPECT(take(10) == IB_OK && take(20) == IB_OK && take(24) == IB_OK);
    remove_segments_before(20); /* 1 … 8 and 9 … 16 */
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 24); /* the end of a segment */
    flip("00000000000000000024.snapshot", 300);
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 20);
    flip("00000000000000000020.snapshot", 300); /* and now neither snapshot nor journal reaches back */
    EXPECT_EQUAL(replayed(0, &from_seq), 0);
    EXPECT(strstr(error, "sequence 10 is not in the journal, which begins behind it") != NULL);
    EXPECT(strstr(error, "00000000000000000010.snapshot") != NULL && strstr(error, "passed over") != NULL);
    EXPECT(strstr(error, "00000000000000000024.snapshot: its content") != NULL);
    EXPECT(take(0) != IB_OK && strcmp(taken.error, error) == 0);
    test_remove_directory(directory);
}

static void the_whole_journal_where_it_does_not_reach_back(void)
{
    uint64_t from_seq;
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    remove_segments_before(20);
    flip("00000000000000000020.snapshot", 300);
    EXPECT_EQUAL(replayed(0, &from_seq), 0);
    EXPECT(strstr(error, "the records before this segment are missing") != NULL);
    EXPECT(strstr(error, "20.snapshot: its content") != NULL);
    test_remove_directory(directory);
}

static void a_newer_one_than_the_journal_is_refused(void)
{
    uint64_t from_seq;
    char last[IB_SEGMENT_NAME_SIZE], path[600];
    begin();
    EXPECT_EQUAL(take(0), IB_OK);
    ib_segment_name(last, (world_size - 1) / 8 * 8 + 1);
    path_of(path, last);
    EXPECT(unlink(path) == 0);
    EXPECT_EQUAL(replayed(0, &from_seq), 0);
    EXPECT(strstr(error, "is not in the journal, which ends before it, behind the snapshot ") != NULL);
    EXPECT(strstr(error, taken.file) != NULL);
    test_remove_directory(directory);
}

static void one_of_another_history_is_refused(void)
{
    uint64_t from_seq;
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    char path[600];
    for (uint64_t first = 1; first <= world_size; first += 8) {
        char name[IB_SEGMENT_NAME_SIZE];
        ib_segment_name(name, first);
        path_of(path, name);
        EXPECT(unlink(path) == 0);
    }
    world[18].client_data[0] ^= 1; /* as many commands, at the same times, and one of them was another */
    write_journal_of(SHARD, world_size);
    EXPECT_SOUND();
    EXPECT_EQUAL(replayed(0, &from_seq), 0);
    EXPECT(strstr(error, "sequence 20 has another hash chain in the journal, behind the snapshot") != NULL);
    EXPECT_EQUAL(replayed(19, &from_seq), hash_at(19)); /* before it nothing is wrong */
    test_remove_directory(directory);
}

static void what_contradicts_is_refused_by_name(void)
{
    uint64_t seq;
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    EXPECT_EQUAL(newest_of(SHARD + 1, 0, 0, &seq), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(error, "20.snapshot: a snapshot of shard 3, but shard 4 was asked for") != NULL && seq == 0);
    EXPECT_EQUAL(newest_of(SHARD, ORDERS + 1, 0, &seq), IB_ERROR_CONFIGURATION);
    EXPECT(strstr(error, "set limits.orders to 32") != NULL);
    rename_in("00000000000000000020.snapshot", "00000000000000000021.snapshot");
    EXPECT_EQUAL(newest_of(SHARD, ORDERS, 0, &seq), IB_ERROR_CONFIGURATION);
    EXPECT(strstr(error, "21.snapshot: a snapshot of sequence 20 under another one's name") != NULL);
    test_remove_directory(directory);
}

/* A head that a later build has written: the sums fit, and this build does not know what it says. */
static void a_later_builds_is_refused_by_name(void)
{
    uint8_t bytes[IB_SNAPSHOT_HEAD_SIZE];
    struct ib_snapshot_head head;
    struct ib_matcher *matcher = matcher_of_world(world_size);
    for (unsigned field = 0; field < 2; field++) { /* format, rules */
        struct reload_bytes whole = reload_dump(matcher, past_of_world(), ORDERS);
        memcpy(bytes, whole.at, sizeof bytes);
        bytes[field == 0 ? 8 : 16] = 9;
        uint32_t crc = ib_crc32c(0, bytes, IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - 4);
        memcpy(bytes + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - 4, &crc, sizeof crc);
        EXPECT_EQUAL(ib_snapshot_read_head(bytes, sizeof bytes, &head, error), IB_ERROR_JOURNAL_FOREIGN);
        EXPECT(strstr(error, field == 0 ? "format 9, but this build reads formats 1 to 2"
                                        : "matching rules 9, but this build knows rules 1 to ") != NULL);
        free(whole.at);
    }
    ib_matcher_close(matcher);
}

/* The chain of the first `seq` entries, straight from what it is said to be. */
static struct ib_entry_mark mark_at(uint64_t seq)
{
    struct ib_entry_mark mark = {.epoch = 1, .chain = IB_REPLICA_CHAIN_EMPTY};
    for (uint64_t i = 0; i < seq; i++) {
        mark.chain = ib_replica_chain(mark.chain, 1, &world[i]);
    }
    return mark;
}

static int has_its_mark(void)
{
    struct ib_entry_mark mark = mark_at(taken.seq);
    return taken.entry_epoch == mark.epoch && taken.entry_chain == mark.chain;
}

static void it_has_the_chain_of_the_entries(void)
{
    struct ib_snapshot_report seen;
    begin();
    for (uint64_t seq = 3; seq <= world_size; seq += 5) {
        EXPECT_EQUAL(take(seq), IB_OK); /* of the one before */
        EXPECT_EQUAL(taken.from_seq, seq == 3 ? 0 : seq - 5);
        EXPECT(has_its_mark());
        EXPECT_EQUAL(ib_snapshot_look(directory, taken.file, &seen), IB_OK);
        EXPECT(seen.entry_epoch == taken.entry_epoch && seen.entry_chain == taken.entry_chain);
    }
    test_remove_directory(directory);
}

/* The epoch of an entry is that of the last EPOCH, and one that goes back begins none. */
static void the_mark_follows_the_epochs(void)
{
    struct ib_command command = {.type = IB_COMMAND_EPOCH, .seq = 1, .value = 7};
    struct ib_entry_mark mark = ib_entry_mark_behind(ib_entry_mark_empty(), &command);
    EXPECT_EQUAL(mark.epoch, 7);
    EXPECT(mark.chain == ib_replica_chain(IB_REPLICA_CHAIN_EMPTY, 7, &command));
    command.value = 6;
    struct ib_entry_mark next = ib_entry_mark_behind(mark, &command);
    EXPECT_EQUAL(next.epoch, 7);
    EXPECT(next.chain == ib_replica_chain(mark.chain, 7, &command));
    command = (struct ib_command){.type = IB_COMMAND_CANCEL, .seq = 2, .value = 9};
    EXPECT_EQUAL(ib_entry_mark_behind(mark, &command).epoch, 7);
}

/* As a build of before wrote it: format 1, whose head ends with its checksum. */
static void make_format_1(const char *name)
{
    static uint8_t bytes[1 << 16];
    char path[600];
    path_of(path, name);
    FILE *file = fopen(path, "rb");
    size_t size = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    EXPECT(file != NULL && size > IB_SNAPSHOT_HEAD_SIZE && size < sizeof bytes && fclose(file) == 0);
    size -= IB_SNAPSHOT_ENTRY_SIZE;
    memmove(bytes + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1, bytes + IB_SNAPSHOT_HEAD_SIZE,
            size - IB_SNAPSHOT_HEAD_SIZE_FORMAT_1);
    bytes[IB_SNAPSHOT_MAGIC_SIZE] = 1;
    uint32_t crc = ib_crc32c(0, bytes, IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - 4);
    memcpy(bytes + IB_SNAPSHOT_HEAD_SIZE_FORMAT_1 - 4, &crc, sizeof crc);
    struct ib_sha256 sha;
    ib_sha256_begin(&sha);
    ib_sha256_add(&sha, bytes, size - IB_SHA256_SIZE);
    ib_sha256_end(&sha, bytes + size - IB_SHA256_SIZE);
    file = fopen(path, "wb");
    EXPECT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

/* The newest that a member may begin with. */
static uint64_t newest_of_member(uint64_t until_seq)
{
    struct ib_snapshot *snapshot;
    const struct ib_snapshot_wanted wanted = {.directory = directory, .shard = SHARD, .orders = ORDERS,
                                              .until_seq = until_seq, .marked = true, .fitting = true};
    int status = ib_snapshot_newest(&snapshot, &wanted, note, error);
    uint64_t seq = snapshot != NULL ? snapshot->report.seq : 0;
    ib_snapshot_close(snapshot);
    return status == IB_OK ? seq : UINT64_MAX;
}

static void one_of_format_1_is_read_and_is_none_for_a_member(void)
{
    uint64_t from_seq;
    begin();
    EXPECT(take(10) == IB_OK && take(20) == IB_OK);
    make_format_1("00000000000000000020.snapshot");
    EXPECT_EQUAL(replayed(0, &from_seq), hash_at(world_size));
    EXPECT_EQUAL(from_seq, 20);
    EXPECT(note[0] == '\0');
    EXPECT_EQUAL(newest_of_member(0), 10);
    EXPECT(strstr(note, "20.snapshot: it does not have the chain of the members' entries") != NULL);
    EXPECT_EQUAL(take(30), IB_OK); /* so it is made of the one before */
    EXPECT_EQUAL(taken.from_seq, 10);
    EXPECT(has_its_mark());
    make_format_1("00000000000000000010.snapshot");
    EXPECT_EQUAL(take(20), IB_OK); /* anew, out of the whole journal */
    EXPECT_EQUAL(taken.from_seq, 0);
    EXPECT(has_its_mark());
    EXPECT_EQUAL(newest_of_member(29), 20);
    test_remove_directory(directory);
}

static void without_its_beginning_the_journal_has_no_chain(void)
{
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    make_format_1("00000000000000000020.snapshot");
    remove_segments_before(20);
    EXPECT_EQUAL(take(30), IB_OK);
    EXPECT_EQUAL(taken.from_seq, 20);
    EXPECT_EQUAL(taken.entry_epoch, 0);
    EXPECT_EQUAL(newest_of_member(0), 0);
    test_remove_directory(directory);
}

/* What a lone engine refuses to start with, a member leaves for an older one: the others say what is right. */
static void a_member_passes_over_what_does_not_fit(void)
{
    char last[IB_SEGMENT_NAME_SIZE], path[600];
    begin();
    EXPECT(take(10) == IB_OK && take(15) == IB_OK && take(0) == IB_OK);
    EXPECT_EQUAL(newest_of_member(0), world_size);
    ib_segment_name(last, (world_size - 1) / 8 * 8 + 1);
    path_of(path, last);
    EXPECT(unlink(path) == 0); /* the journal ends before the newest one */
    EXPECT_EQUAL(newest_of_member(0), 15);
    EXPECT(strstr(note, taken.file) != NULL && strstr(note, "which ends before it") != NULL);
    rename_in("00000000000000000015.snapshot", "00000000000000000016.snapshot");
    EXPECT_EQUAL(newest_of_member(17), 10);
    EXPECT(strstr(note, "under another one's name") != NULL);
    for (uint64_t first = 1; first <= world_size; first += 8) {
        ib_segment_name(last, first);
        path_of(path, last);
        (void)unlink(path);
    }
    world[3].client_data[0] ^= 1; /* another history, in which one command was another */
    write_journal_of(SHARD, world_size);
    EXPECT_EQUAL(newest_of_member(14), 0);
    EXPECT(strstr(note, "10.snapshot: one of them does not belong here") != NULL);
    test_remove_directory(directory);
}

/* A snapshot whose sums fit, and which says of its entry what the journal cannot have: no primary was of that epoch. */
static void one_of_an_epoch_that_never_was_is_passed_over(void)
{
    struct ib_snapshot *snapshot;
    const struct ib_snapshot_wanted wanted = {.directory = directory, .shard = SHARD};
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    EXPECT_EQUAL(ib_snapshot_newest(&snapshot, &wanted, note, error), IB_OK);
    struct ib_snapshot_head head = {.format = IB_SNAPSHOT_FORMAT, .shard = SHARD, .rules = taken.rules,
                                    .orders = ORDERS, .epoch = 1, .seq = 20, .time_ns = taken.time_ns,
                                    .chain = taken.chain, .event_count = taken.event_count,
                                    .state_hash = taken.state_hash,
                                    .entry = {.epoch = 2, .chain = taken.entry_chain}};
    EXPECT_EQUAL(ib_snapshot_store(directory, &head, snapshot->matcher, &snapshot->past, &taken), IB_OK);
    ib_snapshot_close(snapshot);
    EXPECT_EQUAL(newest_of_member(0), 0);
    EXPECT(strstr(note, "20.snapshot: it is of a higher epoch than the journal is") != NULL);
    test_remove_directory(directory);
}

static void one_that_is_set_aside_is_not_found(void)
{
    begin();
    EXPECT(take(10) == IB_OK && take(20) == IB_OK);
    EXPECT(ib_snapshot_set_aside(directory, 20));
    EXPECT_EQUAL(newest_of_member(0), 10);
    EXPECT(note[0] == '\0');
    EXPECT(ib_snapshot_set_aside(directory, 20)); /* twice is harmless */
    rename_in("00000000000000000020.snapshot.refused", "00000000000000000020.snapshot");
    EXPECT_EQUAL(newest_of_member(0), 20);
    test_remove_directory(directory);
    EXPECT(!ib_snapshot_set_aside(directory, 20));
}

static void what_cannot_be_taken_leaves_nothing(void)
{
    begin();
    unsigned before = files();
    EXPECT_EQUAL(take(world_size + 1), IB_ERROR_ARGUMENT);
    EXPECT(strstr(taken.error, "before the one that was asked for") != NULL);
    EXPECT_EQUAL(ib_snapshot_take(directory, SHARD + 1, 0, &taken), IB_ERROR_JOURNAL_FOREIGN);
    EXPECT(strstr(taken.error, "the journal of shard 3, but shard 4 was asked for") != NULL);
    EXPECT_EQUAL(files(), before);
    test_remove_directory(directory);
    EXPECT_EQUAL(take(0), IB_ERROR_IO);
    EXPECT(strstr(taken.error, "cannot open the journal's directory") != NULL);
    test_make_directory(directory);
    write_journal_of(SHARD, 0);
    EXPECT_EQUAL(take(0), IB_ERROR_ARGUMENT);
    EXPECT(strstr(taken.error, "there is nothing to take yet") != NULL);
    test_remove_directory(directory);
}

static void it_looks_at_a_head_without_the_rest(void)
{
    begin();
    EXPECT_EQUAL(take(20), IB_OK);
    struct ib_snapshot_report seen;
    flip("00000000000000000020.snapshot", 300);
    EXPECT_EQUAL(ib_snapshot_look(directory, "00000000000000000020.snapshot", &seen), IB_OK);
    EXPECT(seen.seq == 20 && seen.bytes == taken.bytes && seen.state_hash == taken.state_hash);
    for (long offset = 0; offset < IB_SNAPSHOT_HEAD_SIZE; offset++) {
        flip("00000000000000000020.snapshot", offset);
        EXPECT_SOUND();
        EXPECT_EQUAL(ib_snapshot_look(directory, "00000000000000000020.snapshot", &seen), IB_ERROR_JOURNAL_DAMAGED);
        flip("00000000000000000020.snapshot", offset);
    }
    EXPECT_EQUAL(ib_snapshot_look(directory, "00000000000000000021.snapshot", &seen), IB_ERROR_IO);
    EXPECT(strstr(seen.error, "21.snapshot: No such file") != NULL);
    test_remove_directory(directory);
}

static const struct test_case cases[] = {
    CASE(taken_anywhere_it_leads_to_the_same_state),
    CASE(it_does_not_show_what_it_was_made_of),
    CASE(the_newest_that_was_asked_for),
    CASE(a_damaged_one_is_passed_over_and_named),
    CASE(the_journal_before_it_need_not_be_there),
    CASE(the_whole_journal_where_it_does_not_reach_back),
    CASE(a_newer_one_than_the_journal_is_refused),
    CASE(one_of_another_history_is_refused),
    CASE(what_contradicts_is_refused_by_name),
    CASE(a_later_builds_is_refused_by_name),
    CASE(it_has_the_chain_of_the_entries),
    CASE(the_mark_follows_the_epochs),
    CASE(one_of_format_1_is_read_and_is_none_for_a_member),
    CASE(without_its_beginning_the_journal_has_no_chain),
    CASE(a_member_passes_over_what_does_not_fit),
    CASE(one_of_an_epoch_that_never_was_is_passed_over),
    CASE(one_that_is_set_aside_is_not_found),
    CASE(what_cannot_be_taken_leaves_nothing),
    CASE(it_looks_at_a_head_without_the_rest),
};

TEST_MAIN("test_snapshot", cases)
