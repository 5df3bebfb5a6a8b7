/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_standby.c: what a standby takes, refuses, acknowledges and cuts off (R2, R5).
 */
#include "replica_host.h"

/* Member 1 with entries 1 … 4 of epoch 1, which follows member 0. */
static void follow(void)
{
    host_make(1, 4, 1, true, 0);
    host_open(1, 1, 0, 4);
    give_append(0, 1, 5, 4, 2, 0);
}

static void acknowledges_what_is_durable_and_compared(void)
{
    follow();
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.seq, 4);
    EXPECT_EQUAL(host.committed, 2);
    host_make(5, 2, 1, false, 0);
    host.count = 0;
    give_append(0, 1, 5, 6, 2, 0);
    EXPECT_EQUAL(host.last, 6);
    EXPECT(last_sent(0, IB_FRAME_ACK) == NULL); /* not yet on disk */
    give_append(0, 1, 7, 6, 2, 0);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.seq, 4); /* but a heartbeat is answered */
    ib_replica_durable(&host.replica, 6);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.seq, 6);
}

static void what_comes_twice_or_too_early_changes_nothing(void)
{
    follow();
    host_make(5, 4, 1, false, 0);
    give_append(0, 1, 3, 4, 0, 0);
    EXPECT_EQUAL(host.last, 4);
    give_append(0, 1, 7, 8, 0, 0);
    EXPECT_EQUAL(host.last, 4);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_NACK)->frame.seq, 4);
    give_append(0, 1, 4, 6, 0, 0);
    EXPECT_EQUAL(host.last, 6);
}

static void r2_refuses_an_epoch_below_its_promise(void)
{
    host_make(1, 4, 1, true, 0);
    host_open(1, 3, 0, 4);
    give_append(0, 2, 5, 4, 4, 0);
    EXPECT(last_sent(0, IB_FRAME_ACK) == NULL);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_REFUSE)->frame.epoch, 3);
    EXPECT_EQUAL(host.committed, 0);
}

static void r2_follows_a_higher_epoch_only_when_that_is_on_disk(void)
{
    follow();
    host.count = 0;
    host_make(5, 1, 2, true, 0);
    give_append(2, 2, 5, 5, 0, 0);
    EXPECT_EQUAL(host.promise, 2);
    EXPECT(host.last == 4 && last_sent(2, IB_FRAME_ACK) == NULL);
    give_append(0, 1, 5, 4, 4, 0); /* and no more the old one, from now on */
    EXPECT(last_sent(0, IB_FRAME_ACK) == NULL && last_sent(0, IB_FRAME_REFUSE) != NULL);
    keep_promise();
    EXPECT(last_sent(2, IB_FRAME_HELLO) != NULL); /* it may send now */
    give_append(2, 2, 5, 5, 0, 0);
    EXPECT_EQUAL(host.last, 5);
}

static void its_own_entries_are_as_good_as_a_promise(void)
{
    host_make(1, 4, 3, true, 0);
    host_open(1, 1, 0, 4); /* the promise of epoch 3 was lost; its entries are there */
    give_append(0, 2, 5, 4, 0, 0);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_REFUSE)->frame.epoch, 3);
}

static void r2_a_new_disk_asks_the_record_which_epochs_are_over(void)
{
    host_open(1, 0, IB_DOUBT_NEW, 0);
    host_make(1, 2, 1, true, 0);
    give_append(0, 1, 1, 2, 2, IB_FRAME_IN_SYNC);
    EXPECT(host.last == 0 && last_sent(0, IB_FRAME_ACK) == NULL);
    pass(10);
    EXPECT(host.request != 0 && !host.is_write);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 9, .epoch = 3, .in_sync = 5, .primary = 2});
    EXPECT_EQUAL(host.promise, 3);
    keep_promise();
    give_append(0, 1, 1, 2, 2, IB_FRAME_IN_SYNC);
    EXPECT(host.last == 0 && last_sent(0, IB_FRAME_REFUSE) != NULL);
    EXPECT_EQUAL(host.replica.doubt_seq, IB_DOUBT_NEW);
}

static void r5_cuts_off_what_the_primary_has_not_after_comparing(void)
{
    host_make(1, 6, 1, true, 0);
    host_open(1, 2, 0, 6);
    host_make(5, 2, 2, true, 1); /* the primary of epoch 2 had four of the six */
    struct ib_replica_entry theirs[2] = {host.log[5], host.log[6]};
    host_make(5, 2, 1, false, 0);
    give_entries(2, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 2, .seq = 4,
                                              .chain = host.log[4].chain, .commit_seq = 4}, theirs, 2);
    EXPECT_EQUAL(host.cut_to, 4);
    EXPECT(last_sent(2, IB_FRAME_ACK) == NULL);
    ib_replica_truncated(&host.replica, 4);
    EXPECT_EQUAL(host.replica.last_seq, 4);
    EXPECT_EQUAL(host.replica.chain, host.log[4].chain);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_HELLO)->frame.seq, 4);
    give_entries(2, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 2, .seq = 4,
                                              .chain = host.log[4].chain, .commit_seq = 4}, theirs, 2);
    ib_replica_durable(&host.replica, 6);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_ACK)->frame.seq, 6);
    EXPECT_EQUAL(host.committed, 4);
}

static void r5_a_longer_journal_is_not_cut_off_by_a_heartbeat(void)
{
    host_make(1, 6, 1, true, 0);
    host_open(1, 1, 0, 6);
    give_append(0, 1, 4, 3, 3, 0);
    EXPECT_EQUAL(host.last, 6);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.seq, 3); /* and what was not compared is not acknowledged */
}

static void r5_never_cuts_off_what_is_committed(void)
{
    follow();
    EXPECT_EQUAL(host.committed, 2);
    host_make(5, 1, 1, false, 0);
    struct ib_replica_entry other = host.log[2];
    other.command.user_ref = 99;
    give_entries(0, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 1, .seq = 1,
                                              .chain = host.log[1].chain}, &other, 1);
    EXPECT_EQUAL(host.cut_to, 0);
    EXPECT_EQUAL(host.role, IB_ROLE_STOPPED);
}

static void looks_further_back_each_time(void)
{
    host_make(1, 40, 1, true, 0);
    host_open(1, 2, 0, 40);
    for (uint64_t seq = 40, step = 1; seq > 9; step *= 2) {
        give(2, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 2, .seq = seq, .chain = 1});
        EXPECT_EQUAL(last_sent(2, IB_FRAME_NACK)->frame.seq, seq - step);
        seq -= step;
    }
}

/* Member 1 with entries 1 … 12 and the snapshot of entry 6; the primary of epoch 2 has others from `from` on. */
static void begin_behind(uint64_t from, struct ib_replica_entry theirs[12])
{
    host_make(1, 12, 1, true, 0);
    host_make(from, 12 - from + 1, 2, true, 1);
    memcpy(theirs, &host.log[1], 12 * sizeof *theirs);
    host_make(from, 12 - from + 1, 1, false, 0);
    host_open(1, 2, 0, 12);
    host.replica.begin_seq = host.unread = 6;
}

/* The primary's heartbeat behind entry `seq`; or with the next `count` of its entries. */
static void give_theirs(const struct ib_replica_entry theirs[12], uint64_t seq, size_t count)
{
    host.count = 0;
    give_entries(2, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 2, .seq = seq,
                                              .chain = seq > 0 ? theirs[seq - 1].chain : IB_REPLICA_CHAIN_EMPTY},
                 theirs + seq, count);
}

static void looks_at_its_snapshot_before_it_looks_behind_it(void)
{
    struct ib_replica_entry theirs[12];
    begin_behind(8, theirs);
    static const uint64_t asked[] = {12, 11, 9, 6};
    for (unsigned i = 0; i + 1 < sizeof asked / sizeof asked[0]; i++) {
        give_theirs(theirs, asked[i], 0);
        EXPECT_EQUAL(last_sent(2, IB_FRAME_NACK)->frame.seq, asked[i + 1]);
    }
    give_theirs(theirs, 6, 6); /* and nothing of before it had to be read */
    EXPECT_EQUAL(host.cut_to, 7);
    begin_behind(5, theirs);
    give_theirs(theirs, 9, 0);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_NACK)->frame.seq, 6);
    give_theirs(theirs, 6, 0);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_NACK)->frame.seq, 0); /* there, too, the primary has another one */
}

/* It comes again. */
static void what_it_cannot_read_it_neither_acknowledges_nor_cuts_off(void)
{
    struct ib_replica_entry theirs[12];
    for (uint64_t seq = 0; seq <= 4; seq += 4) { /* of the first entry it is known what is before it */
        begin_behind(5, theirs);
        for (int i = 0; i < 2; i++) {
            give_theirs(theirs, seq, 8);
            EXPECT_EQUAL(host.count, 0);
            EXPECT(host.cut_to == 0 && host.last == 12 && host.role == IB_ROLE_STANDBY);
        }
        host.unread = 0;
        give_theirs(theirs, seq, 8);
        EXPECT_EQUAL(host.cut_to, 4);
        ib_replica_truncated(&host.replica, 4); /* the snapshot is gone, too */
        EXPECT_EQUAL(host.replica.begin_seq, 0);
    }
    begin_behind(9, theirs);
    give_theirs(theirs, 4, 0); /* the same entry, and nobody can say so yet */
    EXPECT_EQUAL(host.count, 0);
    give_theirs(theirs, 6, 0); /* of the snapshot's own it can be said */
    EXPECT_EQUAL(last_sent(2, IB_FRAME_ACK)->frame.seq, 6);
}

static void no_commit_beyond_what_was_compared(void)
{
    host_make(1, 6, 1, true, 0);
    host_open(1, 1, 0, 6);
    give_append(0, 1, 4, 3, 5, 0);
    EXPECT_EQUAL(host.committed, 3);
}

static void a_full_journal_says_so(void)
{
    follow();
    host_make(5, 1, 1, false, 0);
    host.no_room = true;
    give_append(0, 1, 5, 5, 0, 0);
    EXPECT_EQUAL(host.replica.last_seq, 4);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.flags, IB_FRAME_NO_ROOM);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.seq, 4);
}

static void doubt_ends_when_the_primary_says_that_it_has_everything(void)
{
    host_make(1, 4, 1, true, 0);
    host_open(1, 1, 9, 4);
    give_append(0, 1, 5, 4, 4, 0);
    EXPECT_EQUAL(host.replica.doubt_seq, 9);
    give_append(0, 1, 5, 4, 4, IB_FRAME_IN_SYNC);
    EXPECT(host.promise == 1 && host.doubt == 0);
    keep_promise();
    EXPECT_EQUAL(host.replica.doubt_seq, 0);
}

static void the_state_of_what_was_not_compared_is_not_told(void)
{
    host_make(1, 6, 1, true, 0);
    host_open(1, 1, 0, 6);
    ib_replica_applied(&host.replica, 4, 44);
    give_append(0, 1, 4, 3, 3, 0);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.check_seq, 0);
    give_append(0, 1, 5, 4, 3, 0);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.check_seq, 4);
    EXPECT_EQUAL(last_sent(0, IB_FRAME_ACK)->frame.check_hash, 44);
}

static void another_state_than_the_primary_s_halts_it(void)
{
    follow();
    ib_replica_applied(&host.replica, 4, 44);
    give(0, (struct ib_replica_frame){.type = IB_FRAME_DIVERGED, .epoch = 1, .check_seq = 4, .check_hash = 44});
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    give(0, (struct ib_replica_frame){.type = IB_FRAME_DIVERGED, .epoch = 1, .check_seq = 4, .check_hash = 45});
    EXPECT_EQUAL(host.role, IB_ROLE_STOPPED);
}

static const struct test_case cases[] = {
    CASE(acknowledges_what_is_durable_and_compared),
    CASE(what_comes_twice_or_too_early_changes_nothing),
    CASE(r2_refuses_an_epoch_below_its_promise),
    CASE(r2_follows_a_higher_epoch_only_when_that_is_on_disk),
    CASE(its_own_entries_are_as_good_as_a_promise),
    CASE(r2_a_new_disk_asks_the_record_which_epochs_are_over),
    CASE(r5_cuts_off_what_the_primary_has_not_after_comparing),
    CASE(r5_a_longer_journal_is_not_cut_off_by_a_heartbeat),
    CASE(r5_never_cuts_off_what_is_committed),
    CASE(looks_further_back_each_time),
    CASE(looks_at_its_snapshot_before_it_looks_behind_it),
    CASE(what_it_cannot_read_it_neither_acknowledges_nor_cuts_off),
    CASE(no_commit_beyond_what_was_compared),
    CASE(a_full_journal_says_so),
    CASE(doubt_ends_when_the_primary_says_that_it_has_everything),
    CASE(the_state_of_what_was_not_compared_is_not_told),
    CASE(another_state_than_the_primary_s_halts_it),
};

TEST_MAIN("test_replica_standby", cases)
