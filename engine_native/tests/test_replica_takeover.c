/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_takeover.c: becoming primary: when a member tries, whether it may, and in which order (R3).
 */
#include "replica_host.h"

static const struct ib_shard_record of_member_0 = {.version = 5, .epoch = 1, .in_sync = 7, .primary = 0};

/* Member `index` with entries 1 … 4 of epoch 1, which followed member 0. */
static void follow(uint8_t index)
{
    host_make(1, 4, 1, true, 0);
    host_open(index, 1, 0, 4);
    give_append(0, 1, 5, 4, 4, 0);
}

static void a_closed_connection_is_a_dead_primary_at_once(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
    EXPECT(host.request != 0 && !host.is_write);
    follow(2); /* the next one but one waits a little, so that they do not race */
    ib_replica_disconnected(&host.replica, 0);
    pass(50);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    pass(20);
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
}

static void silence_is_a_dead_host(void)
{
    follow(1);
    pass(900);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    give_append(0, 1, 5, 4, 4, 0);
    pass(900);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    pass(150);
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
}

static void a_host_that_is_always_late_notices_it_too(void)
{
    follow(1);
    for (int i = 0; i < 30 && host.role == IB_ROLE_STANDBY; i++) {
        host.now_ns += 700 * (uint64_t)MS;
        ib_replica_tick(&host.replica, host.now_ns);
        EXPECT(host.role == IB_ROLE_STANDBY || i >= 15);
    }
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
}

static void r3_promises_on_disk_then_writes_then_leads(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0);
    EXPECT_EQUAL(host.promise, 2);
    EXPECT(host.request == 0);
    pass(100);
    EXPECT(host.request == 0 && host.role == IB_ROLE_TAKEOVER); /* however long the disk takes */
    keep_promise();
    EXPECT(host.request != 0 && host.is_write);
    EXPECT_EQUAL(host.record.version, 6);
    EXPECT_EQUAL(host.record.epoch, 2);
    EXPECT_EQUAL(host.record.primary, 1);
    EXPECT_EQUAL(host.record.in_sync, 6); /* without the old one */
    EXPECT_EQUAL(host.last, 4);
    answer(IB_STORE_OK, host.record);
    EXPECT_EQUAL(host.role, IB_ROLE_OPENING);
    EXPECT_EQUAL(host.log[5].command.type, IB_COMMAND_EPOCH);
    EXPECT_EQUAL(host.log[5].command.value, 2);
    EXPECT_EQUAL(host.log[5].epoch, 2);
}

static void take_over(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0);
    keep_promise();
    answer(IB_STORE_OK, host.record);
}

static void r3_opens_when_all_is_committed_and_the_states_agree(void)
{
    take_over();
    uint64_t before = host.committed;
    EXPECT(!sequence());
    ib_replica_durable(&host.replica, 5);
    give_ack(2, 2, 5, 5, 55);
    EXPECT_EQUAL(host.role, IB_ROLE_OPENING); /* its own state is not there yet */
    EXPECT_EQUAL(host.committed, before);
    ib_replica_applied(&host.replica, 5, 55);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    EXPECT_EQUAL(host.committed, 5);
    EXPECT(sequence());
}

static void r3_does_not_open_with_another_state(void)
{
    take_over();
    ib_replica_durable(&host.replica, 5);
    ib_replica_applied(&host.replica, 5, 55);
    give_ack(2, 2, 5, 5, 56);
    EXPECT_EQUAL(host.role, IB_ROLE_STOPPED);
    EXPECT_EQUAL(host.committed, 4);
}

static void what_is_inherited_counts_only_with_the_new_epoch_s_first_entry(void)
{
    take_over();
    ib_replica_durable(&host.replica, 5);
    ib_replica_applied(&host.replica, 5, 55);
    host.committed = 0;
    give_ack(2, 2, 4, 0, 0);
    EXPECT_EQUAL(host.committed, 0);
}

static void who_is_not_in_sync_does_not_take_over(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    struct ib_shard_record without = of_member_0;
    without.in_sync = 5;
    answer(IB_STORE_OK, without);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    EXPECT_EQUAL(host.promise, 0);
}

static void of_two_that_race_one_wins(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0);
    keep_promise();
    struct ib_shard_record theirs = {.version = 6, .epoch = 2, .in_sync = 6, .primary = 2};
    answer(IB_STORE_CONFLICT, theirs);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    EXPECT_EQUAL(host.last, 4);
    host_make(5, 1, 2, true, 0);
    give_append(2, 2, 5, 5, 0, 0); /* the winner has the same epoch, and is followed */
    ib_replica_durable(&host.replica, 5);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_ACK)->frame.seq, 5);
}

static void an_unknown_outcome_is_neither_won_nor_lost(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0);
    keep_promise();
    struct ib_shard_record mine = host.record;
    answer(IB_STORE_UNKNOWN, mine);
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
    pass(110);
    EXPECT(host.request != 0 && !host.is_write);
    answer(IB_STORE_OK, of_member_0); /* not written, or not yet */
    EXPECT(host.is_write && memcmp(&host.record, &mine, sizeof mine) == 0);
    answer(IB_STORE_UNKNOWN, mine);
    pass(110);
    answer(IB_STORE_OK, mine); /* it is, by one of the two */
    EXPECT_EQUAL(host.role, IB_ROLE_OPENING);
}

static void a_store_that_is_down_is_asked_again(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    host.request = 0;
    pass(210);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    pass(110);
    EXPECT(host.request != 0 && !host.is_write);
}

/* What a takeover makes of a record. */
static void meet(struct ib_shard_record record)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, record);
}

static void a_record_that_cannot_be_is_not_believed(void)
{
    meet((struct ib_shard_record){.version = 5, .epoch = 1, .in_sync = 7, .primary = 0});
    EXPECT_EQUAL(host.promise, 2);
    static const struct ib_shard_record wrong[] = {
        {.version = 0, .epoch = 1, .in_sync = 7, .primary = 0},
        {.version = 5, .epoch = 1, .in_sync = 0, .primary = 0},
        {.version = 5, .epoch = 1, .in_sync = 15, .primary = 0},                   /* a fourth member */
        {.version = 5, .epoch = 1, .in_sync = 7, .primary = 3},
        {.version = 5, .epoch = 1, .in_sync = 6, .primary = 0},                    /* a primary that is not in sync */
        {.version = 5, .epoch = 1, .in_sync = 7, .primary = IB_REPLICA_NOBODY},
        {.version = 5, .epoch = 0, .in_sync = 7, .primary = 0},
        {.version = 5, .epoch = UINT64_MAX, .in_sync = 7, .primary = 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        meet(wrong[i]);
        EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
        EXPECT_EQUAL(host.promise, 0);
        EXPECT(host.replica.store.fault != NULL);
    }
}

static void a_store_that_was_set_back_is_not_believed(void)
{
    meet((struct ib_shard_record){.version = 9, .epoch = 1, .in_sync = 5, .primary = 0}); /* not in sync: tries later */
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    pass(1200);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 8, .epoch = 1, .in_sync = 7, .primary = 0});
    EXPECT_EQUAL(host.promise, 0);
    EXPECT(host.replica.store.fault != NULL);
}

/* Nor by a member that was only told of the newer one, and has never read it itself. */
static void what_was_told_of_the_record_is_not_forgotten(void)
{
    follow(1);
    ib_replica_record_seen(&host.replica, &(struct ib_shard_record){.version = 6, .epoch = 1, .in_sync = 5});
    ib_replica_record_seen(&host.replica, &(struct ib_shard_record){.version = 9, .epoch = 0, .in_sync = 5}); /* none */
    ib_replica_record_seen(&host.replica, &of_member_0);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0); /* version 5, in which it was in sync */
    EXPECT_EQUAL(host.promise, 0);
    EXPECT(host.replica.store.fault != NULL);
    pass(110);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 6, .epoch = 1, .in_sync = 7});
    EXPECT_EQUAL(host.promise, 2);
}

/* Nor one of an epoch before that of an entry; a new record of an old shard is one, and a restart does not matter. */
static void a_record_is_never_older_than_an_entry(void)
{
    static const struct ib_shard_record older[] = {{.version = 1, .in_sync = 7, .primary = IB_REPLICA_NOBODY},
                                                   {.version = 8, .epoch = 2, .in_sync = 7, .primary = 0}};
    for (size_t i = 0; i < sizeof older / sizeof older[0]; i++) {
        host_make(1, 4, 3, true, 0);
        host_open(1, 3, 0, 4);
        pass(1100);
        answer(IB_STORE_OK, older[i]);
        EXPECT_EQUAL(host.promise, 0);
        EXPECT(host.replica.store.fault != NULL);
    }
    host_open(1, 0, IB_DOUBT_NEW, 4); /* but the journal of an engine that ran alone says nothing of a record */
    give(0, (struct ib_replica_frame){.type = IB_FRAME_HELLO});
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO});
    pass(1100);
    answer(IB_STORE_OK, older[0]);
    EXPECT(host.replica.store.fault == NULL);
}

static void a_primary_that_was_not_heard_yet_gets_its_time(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 9, .epoch = 3, .in_sync = 6, .primary = 2});
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    pass(900);
    EXPECT(host.request == 0);
    pass(200);
    EXPECT(host.request != 0);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 9, .epoch = 3, .in_sync = 6, .primary = 2});
    EXPECT_EQUAL(host.promise, 4);
}

static void of_two_in_sync_the_old_one_stays_in_the_set(void)
{
    follow(1);
    ib_replica_disconnected(&host.replica, 0);
    pass(10);
    struct ib_shard_record two = of_member_0;
    two.in_sync = 3;
    answer(IB_STORE_OK, two);
    keep_promise();
    EXPECT_EQUAL(host.record.in_sync, 3); /* alone it could commit nothing, and the old one may take over again */
}

/* Member 1 in doubt, of which `surely` was durable once; members 0 and 2 say what they have. */
static void doubt(uint64_t surely, uint64_t last_of_2, bool hears_0)
{
    host_make(1, 4, 1, true, 0);
    host_open(1, 1, surely, 4);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = last_of_2, .last_epoch = 1});
    if (hears_0) {
        give(0, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = 3, .last_epoch = 1});
    }
    pass(1100);
    struct ib_shard_record record = of_member_0;
    record.primary = 1;
    answer(IB_STORE_OK, record);
}

static void in_doubt_it_takes_over_only_with_the_newest_of_all_journals(void)
{
    doubt(1, 4, false);
    EXPECT_EQUAL(host.promise, 0); /* member 0 may have more */
    doubt(1, 5, true);
    EXPECT_EQUAL(host.promise, 0); /* member 2 has */
    doubt(6, 4, true);
    EXPECT_EQUAL(host.promise, 0); /* it had more itself */
    doubt(UINT64_MAX, 4, true);
    EXPECT_EQUAL(host.promise, 0); /* a new disk */
    doubt(4, 4, true);
    EXPECT_EQUAL(host.promise, 2);
}

/* All disks are new, and nobody has led yet: so a shard begins. Where somebody has a journal the record is not
 * believed, and neither before all of them have said what they have. */
static void a_shard_of_new_disks_begins(void)
{
    static const struct ib_shard_record nobody = {
        .version = 1, .epoch = 0, .in_sync = 7, .primary = IB_REPLICA_NOBODY};
    for (int fault = 0; fault < 3; fault++) { /* none; one that has entries; one that is not heard */
        host_open(1, 0, IB_DOUBT_NEW, 0);
        bool has_journal = fault == 1;
        give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .seq = has_journal ? 4 : 0,
                                          .last_epoch = has_journal});
        if (fault != 2) {
            give(0, (struct ib_replica_frame){.type = IB_FRAME_HELLO});
        }
        pass(10);
        answer(IB_STORE_OK, nobody); /* it wants to know which epochs are over */
        pass(1100);
        answer(IB_STORE_OK, nobody);
        EXPECT_EQUAL(host.promise, fault == 0 ? 1 : 0);
    }
}

static void who_is_handed_over_to_is_in_no_doubt(void)
{
    host_make(1, 4, 1, true, 0);
    host_open(1, 1, 1, 4);
    give(0, (struct ib_replica_frame){.type = IB_FRAME_APPEND, .epoch = 1, .seq = 4, .chain = host.log[4].chain});
    give(0, (struct ib_replica_frame){.type = IB_FRAME_HANDOVER, .epoch = 1, .seq = 4, .chain = host.log[4].chain,
                                      .flags = IB_FRAME_IN_SYNC});
    keep_promise();
    EXPECT_EQUAL(host.doubt, 0);
    pass(10);
    answer(IB_STORE_OK, of_member_0); /* though nobody else has said what it has */
    EXPECT_EQUAL(host.promise, 2);
}

static void handed_over_it_takes_over_at_once_and_keeps_the_set(void)
{
    follow(1);
    give(0, (struct ib_replica_frame){.type = IB_FRAME_HANDOVER, .epoch = 1, .seq = 4, .chain = host.log[4].chain});
    pass(10);
    EXPECT_EQUAL(host.role, IB_ROLE_TAKEOVER);
    answer(IB_STORE_OK, of_member_0);
    keep_promise();
    EXPECT_EQUAL(host.record.in_sync, 7);
}

static const struct test_case cases[] = {
    CASE(a_closed_connection_is_a_dead_primary_at_once),
    CASE(silence_is_a_dead_host),
    CASE(a_host_that_is_always_late_notices_it_too),
    CASE(r3_promises_on_disk_then_writes_then_leads),
    CASE(r3_opens_when_all_is_committed_and_the_states_agree),
    CASE(r3_does_not_open_with_another_state),
    CASE(what_is_inherited_counts_only_with_the_new_epoch_s_first_entry),
    CASE(who_is_not_in_sync_does_not_take_over),
    CASE(of_two_that_race_one_wins),
    CASE(an_unknown_outcome_is_neither_won_nor_lost),
    CASE(a_store_that_is_down_is_asked_again),
    CASE(a_record_that_cannot_be_is_not_believed),
    CASE(a_store_that_was_set_back_is_not_believed),
    CASE(what_was_told_of_the_record_is_not_forgotten),
    CASE(a_record_is_never_older_than_an_entry),
    CASE(a_primary_that_was_not_heard_yet_gets_its_time),
    CASE(of_two_in_sync_the_old_one_stays_in_the_set),
    CASE(in_doubt_it_takes_over_only_with_the_newest_of_all_journals),
    CASE(a_shard_of_new_disks_begins),
    CASE(who_is_handed_over_to_is_in_no_doubt),
    CASE(handed_over_it_takes_over_at_once_and_keeps_the_set),
};

TEST_MAIN("test_replica_takeover", cases)
