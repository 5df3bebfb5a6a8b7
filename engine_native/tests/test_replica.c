/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica.c: the rules of replication, one by one: what a primary counts as committed (R1), who counts (R4),
 * when it stops (R5). The other half is in test_replica_standby.c and test_replica_takeover.c; all of them together,
 * with everything breaking, in sim/cluster.c.
 */
#include "replica_host.h"

static void r1_commits_when_every_in_sync_member_has_it_durable(void)
{
    lead();
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    EXPECT_EQUAL(host.committed, 1);
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    give_ack(1, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 1); /* member 2 is missing */
    give_ack(2, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 2);
}

static void r1_the_primary_s_own_disk_counts(void)
{
    lead();
    EXPECT(sequence());
    give_ack(1, 1, 2, 0, 0);
    give_ack(2, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 1);
    ib_replica_durable(&host.replica, 2);
    EXPECT_EQUAL(host.committed, 2);
}

static void r1_an_acknowledgement_of_another_epoch_does_not_count(void)
{
    lead();
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    give_ack(1, 1, 2, 0, 0);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_ACK, .epoch = 0, .seq = 2});
    EXPECT_EQUAL(host.committed, 1);
    give_ack(2, 1, 99, 0, 0); /* nor one of what was never sent */
    EXPECT_EQUAL(host.committed, 1);
}

static void r1_what_a_member_had_before_it_reconnected_does_not_count(void)
{
    lead();
    EXPECT(sequence());
    give_ack(1, 1, 2, 0, 0);
    give_ack(2, 1, 2, 0, 0);
    ib_replica_disconnected(&host.replica, 2);
    ib_replica_connected(&host.replica, 2);
    ib_replica_durable(&host.replica, 2);
    EXPECT_EQUAL(host.committed, 1);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = 1, .chain = host.log[1].chain});
    const struct sent *probe = last_sent(2, IB_FRAME_APPEND);
    EXPECT(probe != NULL && probe->frame.seq == 1 && probe->frame.count == 0);
    give_ack(2, 1, 1, 0, 0);
    const struct sent *again = last_sent(2, IB_FRAME_APPEND);
    EXPECT(again != NULL && again->frame.count == 1 && again->entries[0].command.seq == 2);
    give_ack(2, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 2);
}

static void r1_alone_it_commits_only_where_an_operator_wants_it(void)
{
    for (uint8_t least = 1; least <= 2; least++) {
        host_open(0, 0, 0, 0);
        host.replica.config.min_in_sync = least;
        pass(1000);
        answer(IB_STORE_OK, (struct ib_shard_record){.version = 1, .in_sync = 1, .primary = IB_REPLICA_NOBODY});
        keep_promise();
        answer(IB_STORE_OK, host.record);
        ib_replica_applied(&host.replica, 1, 11);
        ib_replica_durable(&host.replica, 1);
        EXPECT_EQUAL(host.role, least == 1 ? IB_ROLE_PRIMARY : IB_ROLE_OPENING);
        EXPECT_EQUAL(host.committed, least == 1);
    }
}

static void r4_commits_without_a_member_only_once_that_is_written(void)
{
    lead();
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    ib_replica_disconnected(&host.replica, 2);
    pass(150);
    give_ack(1, 1, 2, 0, 0);
    EXPECT(host.is_write && host.request != 0);
    EXPECT_EQUAL(host.record.in_sync, 3);
    EXPECT_EQUAL(host.record.version, 3);
    EXPECT_EQUAL(host.committed, 1); /* written, but not yet known to be */
    answer(IB_STORE_OK, host.record);
    EXPECT_EQUAL(host.committed, 2);
}

static void r4_the_set_never_falls_below_its_least(void)
{
    lead();
    ib_replica_disconnected(&host.replica, 2);
    pass(150);
    answer(IB_STORE_OK, host.record);
    host.request = 0;
    ib_replica_disconnected(&host.replica, 1);
    pass(3000);
    EXPECT_EQUAL(host.request, 0);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY); /* it takes what its window holds, and acknowledges nothing */
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    EXPECT_EQUAL(host.committed, 1);
}

static void shut_out_member_2(void)
{
    lead();
    ib_replica_disconnected(&host.replica, 2);
    pass(150);
    answer(IB_STORE_OK, host.record);
    host.request = 0;
    ib_replica_connected(&host.replica, 2);
}

static void r4_takes_a_member_in_when_it_has_caught_up(void)
{
    shut_out_member_2();
    for (int i = 0; i < 6; i++) {
        EXPECT(sequence());
    }
    ib_replica_durable(&host.replica, 7);
    give_ack(1, 1, 7, 0, 0);
    EXPECT_EQUAL(host.committed, 7);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = 1, .chain = host.log[1].chain});
    give_ack(2, 1, 6, 0, 0); /* one short of what is committed */
    pass(20);
    EXPECT_EQUAL(host.request, 0);
    give_ack(2, 1, 7, 0, 0);
    pass(20);
    EXPECT(host.request != 0 && host.is_write);
    EXPECT_EQUAL(host.record.in_sync, 7);
}

static void r4_waits_for_a_member_from_when_it_may_be_in(void)
{
    shut_out_member_2();
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = 1, .chain = host.log[1].chain});
    give_ack(2, 1, 1, 0, 0);
    pass(20);
    EXPECT_EQUAL(host.record.in_sync, 7);
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    give_ack(1, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 1); /* the write is out: member 2 might take over */
    answer(IB_STORE_UNKNOWN, host.record);
    EXPECT_EQUAL(host.committed, 1);
    give_ack(2, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 2); /* now it does not matter */
}

static void a_member_is_told_that_it_counts_when_it_has_everything(void)
{
    lead();
    pass(60);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.flags, IB_FRAME_IN_SYNC);
    ib_replica_disconnected(&host.replica, 2);
    ib_replica_connected(&host.replica, 2);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1}); /* it has lost its journal */
    pass(60);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.flags, 0);
    give_ack(2, 1, 0, 0, 0);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.flags, 0);
    give_ack(2, 1, 1, 0, 0);
    pass(60);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.flags, IB_FRAME_IN_SYNC);
}

static void an_unknown_outcome_is_read_and_the_same_write_repeated(void)
{
    shut_out_member_2();
    give(2, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 1, .seq = 1, .chain = host.log[1].chain});
    give_ack(2, 1, 1, 0, 0);
    pass(20);
    struct ib_shard_record proposed = host.record;
    uint64_t first = host.request;
    host.request = 0;
    pass(400); /* no answer: unknown; and after a while it is read */
    EXPECT(host.request > first && !host.is_write);
    struct ib_shard_record before = proposed;
    before.version--;
    before.in_sync = 3;
    answer(IB_STORE_OK, before);
    EXPECT(host.is_write && host.request != 0);
    EXPECT(memcmp(&host.record, &proposed, sizeof proposed) == 0);
    ib_replica_stored(&host.replica, first, IB_STORE_OK, &proposed); /* the first answer, too late: ignored */
    EXPECT(host.replica.store.proposing);
    answer(IB_STORE_CONFLICT, proposed); /* the first write was carried out, and this is what stands there */
    EXPECT(!host.replica.store.proposing);
    EXPECT_EQUAL(host.replica.record.in_sync, 7);
}

static void r5_a_primary_stops_at_a_higher_epoch(void)
{
    lead();
    give(1, (struct ib_replica_frame){.type = IB_FRAME_REFUSE, .epoch = 2});
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    EXPECT(!sequence());
    give_ack(1, 1, 1, 0, 0);
    EXPECT_EQUAL(host.committed, 1);
}

static void r5_a_primary_stops_when_the_record_names_another_one(void)
{
    lead();
    ib_replica_disconnected(&host.replica, 2);
    pass(150);
    answer(IB_STORE_CONFLICT, (struct ib_shard_record){.version = 9, .epoch = 4, .in_sync = 6, .primary = 2});
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
    lead();
    ib_replica_record_seen(&host.replica, &(struct ib_shard_record){.version = 2, .epoch = 1, .in_sync = 7});
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    ib_replica_record_seen(&host.replica, &(struct ib_shard_record){.version = 9, .epoch = 4, .in_sync = 6});
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
}

static void trades_on_while_the_store_is_down(void)
{
    lead();
    host.request = 0;
    for (uint64_t seq = 2; seq < 60; seq++) {
        EXPECT(sequence());
        ib_replica_durable(&host.replica, seq);
        give_ack(1, 1, seq, 0, 0);
        give_ack(2, 1, seq, 0, 0);
        EXPECT_EQUAL(host.committed, seq);
        pass(100);
    }
    EXPECT_EQUAL(host.request, 0); /* it has not even asked */
}

static void takes_no_more_than_its_window(void)
{
    lead();
    for (int i = 0; i < 8; i++) {
        EXPECT(sequence());
    }
    EXPECT(!sequence());
    EXPECT_EQUAL(host.last, 9);
    ib_replica_durable(&host.replica, 9);
    give_ack(1, 1, 9, 0, 0);
    give_ack(2, 1, 2, 0, 0);
    EXPECT(sequence());
}

static void r6_takes_nothing_that_the_journal_has_no_room_for(void)
{
    lead();
    host.no_room = true;
    EXPECT(!sequence());
    EXPECT_EQUAL(host.replica.last_seq, 1);
    host.no_room = false;
    EXPECT(sequence());
}

static void a_member_that_has_no_room_is_left_alone_until_the_next_heartbeat(void)
{
    lead();
    EXPECT(sequence());
    give(2, (struct ib_replica_frame){.type = IB_FRAME_ACK, .epoch = 1, .seq = 1, .flags = IB_FRAME_NO_ROOM});
    host.count = 0;
    EXPECT(sequence());
    EXPECT(last_sent(2, IB_FRAME_APPEND) == NULL && last_sent(1, IB_FRAME_APPEND) != NULL);
    pass(60);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.count, 2);
}

static void an_old_nack_does_not_begin_anew_again(void)
{
    lead();
    EXPECT(sequence());
    uint64_t number = last_sent(2, IB_FRAME_APPEND)->frame.number;
    host.count = 0;
    give(2, (struct ib_replica_frame){.type = IB_FRAME_NACK, .epoch = 1, .seq = 1, .number = number});
    EXPECT_EQUAL(host.count, 1);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_NACK, .epoch = 1, .seq = 1, .number = number});
    EXPECT_EQUAL(host.count, 1);
}

/* Member 0 leads epoch 2; of the nine entries before it began with the snapshot of the sixth. Entry 10 is its EPOCH. */
static void lead_behind(void)
{
    host_make(1, 9, 1, true, 0);
    host_open(0, 1, 0, 9);
    host.replica.begin_seq = host.unread = 6;
    pass(1000);
    answer(IB_STORE_OK, (struct ib_shard_record){.version = 2, .epoch = 1, .in_sync = 7, .primary = 0});
    keep_promise();
    answer(IB_STORE_OK, host.record);
    ib_replica_durable(&host.replica, 10);
    host.count = 0;
}

static void give_hello(unsigned from, uint64_t seq)
{
    give(from, (struct ib_replica_frame){.type = IB_FRAME_HELLO, .epoch = 2, .seq = seq, .last_epoch = 1,
                                         .chain = seq > 0 ? host.log[seq].chain : IB_REPLICA_CHAIN_EMPTY});
}

static void who_lacks_what_cannot_be_read_hears_the_primary_and_waits(void)
{
    lead_behind();
    give_hello(2, 2);
    const struct sent *probe = last_sent(2, IB_FRAME_APPEND);
    EXPECT(probe != NULL && probe->frame.seq == 10 && probe->frame.count == 0);
    EXPECT(probe->frame.chain == host.log[10].chain); /* what it says is true */
    give(2, (struct ib_replica_frame){.type = IB_FRAME_NACK, .epoch = 2, .seq = 2, .number = probe->frame.number});
    EXPECT_EQUAL(host.count, 1);
    pass(60);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.seq, 10); /* a heartbeat */
    host.unread = 0;
    pass(60);
    probe = last_sent(2, IB_FRAME_APPEND);
    EXPECT(probe->frame.seq == 2 && probe->frame.count == 0 && probe->frame.chain == host.log[2].chain);
    give_ack(2, 2, 2, 0, 0);
    EXPECT(last_sent(2, IB_FRAME_APPEND)->entries[0].command.seq == 3);
    give_hello(1, 9); /* whom it has all for is not concerned */
    EXPECT_EQUAL(last_sent(1, IB_FRAME_APPEND)->frame.seq, 9);
}

/* Of an empty journal it is known what is before its first entry: none of its answers begets another frame. */
static void a_new_disk_waits_for_the_first_entry_without_being_asked_for_ever(void)
{
    lead_behind();
    give_hello(2, 0);
    EXPECT_EQUAL(last_sent(2, IB_FRAME_APPEND)->frame.seq, 0);
    unsigned before = host.count;
    give_ack(2, 2, 0, 0, 0);
    EXPECT_EQUAL(host.count, before);
    pass(60);
    EXPECT(last_sent(2, IB_FRAME_APPEND)->frame.count == 0);
    host.unread = 0;
    give_ack(2, 2, 0, 0, 0);
    const struct sent *first = last_sent(2, IB_FRAME_APPEND);
    EXPECT(first->frame.seq == 0 && first->frame.count == 8 && first->entries[0].command.seq == 1);
}

static void another_state_is_told_to_who_has_it(void)
{
    lead();
    for (int i = 0; i < 3; i++) {
        EXPECT(sequence());
    }
    ib_replica_applied(&host.replica, 4, 44);
    give_ack(1, 1, 4, 4, 44);
    EXPECT(last_sent(1, IB_FRAME_DIVERGED) == NULL);
    give_ack(2, 1, 4, 4, 45);
    EXPECT(last_sent(2, IB_FRAME_DIVERGED) != NULL);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    pass(20);
    EXPECT(host.is_write && host.record.in_sync == 3);
}

static void two_that_agree_against_the_primary_are_right(void)
{
    lead();
    for (int i = 0; i < 3; i++) {
        EXPECT(sequence());
    }
    ib_replica_applied(&host.replica, 4, 44);
    give_ack(1, 1, 4, 4, 45);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    give_ack(2, 1, 4, 4, 45);
    EXPECT_EQUAL(host.role, IB_ROLE_STOPPED);
}

static void silence_shuts_a_member_out(void)
{
    lead();
    EXPECT(sequence());
    ib_replica_durable(&host.replica, 2);
    for (int i = 0; i < 11; i++) {
        give_ack(1, 1, 2, 0, 0);
        pass(100);
    }
    EXPECT_EQUAL(host.disconnected, 4);
    EXPECT(host.is_write && host.record.in_sync == 3);
}

static void a_pause_of_its_own_says_nothing_about_others(void)
{
    lead();
    host.now_ns += 5000 * (uint64_t)MS;
    ib_replica_tick(&host.replica, host.now_ns);
    EXPECT_EQUAL(host.disconnected, 0);
    EXPECT_EQUAL(host.request, 0);
}

static void a_switchover_drains_says_so_and_stops(void)
{
    lead();
    EXPECT_EQUAL(ib_replica_switch_over(&host.replica, 0), IB_ERROR_ARGUMENT);
    EXPECT_EQUAL(ib_replica_switch_over(&host.replica, 3), IB_ERROR_ARGUMENT);
    EXPECT(sequence());
    EXPECT_EQUAL(ib_replica_switch_over(&host.replica, 1), IB_OK);
    EXPECT(!sequence());
    ib_replica_durable(&host.replica, 2);
    give_ack(1, 1, 2, 0, 0);
    EXPECT(last_sent(1, IB_FRAME_HANDOVER) == NULL);
    give_ack(2, 1, 2, 0, 0);
    EXPECT_EQUAL(host.committed, 2);
    EXPECT(last_sent(1, IB_FRAME_HANDOVER) != NULL);
    EXPECT_EQUAL(host.role, IB_ROLE_STANDBY);
}

static void a_switchover_that_cannot_drain_is_given_up(void)
{
    lead();
    EXPECT(sequence());
    EXPECT_EQUAL(ib_replica_switch_over(&host.replica, 1), IB_OK);
    pass(150);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
    EXPECT(sequence());
}

static void what_is_no_frame_of_this_shard_ends_the_connection(void)
{
    uint8_t bytes[IB_REPLICA_HEADER_SIZE] = {1};
    lead();
    ib_replica_received(&host.replica, 1, bytes, sizeof bytes);
    EXPECT_EQUAL(host.disconnected, 2);
    give(2, (struct ib_replica_frame){.type = IB_FRAME_REFUSE, .epoch = 9, .shard = SHARD + 1});
    EXPECT_EQUAL(host.disconnected, 6);
    EXPECT_EQUAL(host.role, IB_ROLE_PRIMARY);
}

static const struct test_case cases[] = {
    CASE(r1_commits_when_every_in_sync_member_has_it_durable),
    CASE(r1_the_primary_s_own_disk_counts),
    CASE(r1_an_acknowledgement_of_another_epoch_does_not_count),
    CASE(r1_what_a_member_had_before_it_reconnected_does_not_count),
    CASE(r1_alone_it_commits_only_where_an_operator_wants_it),
    CASE(r4_commits_without_a_member_only_once_that_is_written),
    CASE(r4_the_set_never_falls_below_its_least),
    CASE(r4_takes_a_member_in_when_it_has_caught_up),
    CASE(r4_waits_for_a_member_from_when_it_may_be_in),
    CASE(a_member_is_told_that_it_counts_when_it_has_everything),
    CASE(an_unknown_outcome_is_read_and_the_same_write_repeated),
    CASE(r5_a_primary_stops_at_a_higher_epoch),
    CASE(r5_a_primary_stops_when_the_record_names_another_one),
    CASE(trades_on_while_the_store_is_down),
    CASE(takes_no_more_than_its_window),
    CASE(r6_takes_nothing_that_the_journal_has_no_room_for),
    CASE(a_member_that_has_no_room_is_left_alone_until_the_next_heartbeat),
    CASE(an_old_nack_does_not_begin_anew_again),
    CASE(who_lacks_what_cannot_be_read_hears_the_primary_and_waits),
    CASE(a_new_disk_waits_for_the_first_entry_without_being_asked_for_ever),
    CASE(another_state_is_told_to_who_has_it),
    CASE(two_that_agree_against_the_primary_are_right),
    CASE(silence_shuts_a_member_out),
    CASE(a_pause_of_its_own_says_nothing_about_others),
    CASE(a_switchover_drains_says_so_and_stops),
    CASE(a_switchover_that_cannot_drain_is_given_up),
    CASE(what_is_no_frame_of_this_shard_ends_the_connection),
};

TEST_MAIN("test_replica", cases)
