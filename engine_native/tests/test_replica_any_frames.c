/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_any_frames.c: sound frames with any content, in any order, between anything else that can happen: no
 * assertion of the replica fails, and no memory is touched that is not its own (the tests run under the sanitizers). A
 * peer that has the key and is broken must not be able to end its neighbours.
 */
#include "hash.h"
#include "replica_host.h"

enum { STEPS = 400000 };

static uint64_t state = 1;

static uint64_t draw(uint64_t below)
{
    state = ib_mix(state, below);
    return state % below;
}

static uint64_t draw_seq(void)
{
    return draw(8) == 0 ? state : draw(host.last + 3);
}

static uint64_t draw_epoch(void)
{
    switch (draw(200)) {
    case 0:
        return state;
    case 1:
        return host.replica.promising + 1;
    case 2:
        return draw(host.replica.promising + 1);
    default:
        return host.replica.promising;
    }
}

static void any_frame(unsigned from)
{
    struct ib_replica_entry entries[4] = {0};
    struct ib_replica_frame frame = {.type = (uint16_t)(1 + draw(8)), .flags = (uint8_t)draw(4), .seq = draw_seq(),
                                     .epoch = draw_epoch(),
                                     .commit_seq = draw_seq(), .check_seq = draw_seq(), .check_hash = draw(2),
                                     .last_epoch = draw(9), .number = draw(9)};
    size_t count = frame.type == IB_FRAME_APPEND ? (size_t)draw(5) : 0;
    if (frame.seq <= host.last && draw(4) > 0) {
        frame.chain = frame.seq == 0 ? IB_REPLICA_CHAIN_EMPTY : host.log[frame.seq].chain;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t seq = frame.seq + 1 + i;
        entries[i].epoch = frame.epoch;
        if (seq <= host.last && draw(3) > 0) {
            entries[i] = host.log[seq];
        }
        entries[i].command.seq = seq;
    }
    give_entries(from, frame, entries, count);
}

static void any_answer(void)
{
    struct ib_shard_record record = {.version = draw(3) + host.replica.record.version, .in_sync = (uint32_t)draw(9),
                                     .epoch = draw(20) / 19 + host.replica.record.epoch, .primary = (uint8_t)draw(4)};
    if (draw(3) > 0) { /* what a store would say */
        record = host.is_write ? host.record : host.replica.record;
        record.version += record.version == 0;
        record.in_sync = record.in_sync == 0 ? 7 : record.in_sync;
        record.epoch = record.epoch < host.replica.last_epoch ? host.replica.last_epoch : record.epoch;
        record.primary = record.epoch == 0 ? IB_REPLICA_NOBODY : record.primary;
    }
    if (host.request != 0) {
        answer(draw(2) == 0 ? IB_STORE_OK : (enum ib_store_outcome)draw(3), record);
    }
}

static void complete(void)
{
    if (host.replica.truncating) {
        ib_replica_truncated(&host.replica, host.cut_to);
    } else if (host.replica.role != IB_ROLE_STOPPED) {
        ib_replica_durable(&host.replica, draw(host.replica.last_seq + 1));
    }
    if (host.promise > 0) {
        keep_promise();
    }
}

static void any_step(void)
{
    unsigned other = 1 + (unsigned)draw(2);
    switch (draw(12)) {
    case 0:
        pass(10 * (1 + draw(30)));
        break;
    case 1:
        ib_replica_disconnected(&host.replica, other);
        break;
    case 2:
        any_answer();
        break;
    case 3:
        complete();
        break;
    case 4:
        if (host.replica.last_seq > 0 && !host.replica.truncating) {
            ib_replica_applied(&host.replica, 1 + draw(host.replica.last_seq), draw(2));
        }
        break;
    case 5:
        (void)(host.replica.truncating || sequence());
        break;
    case 6:
        (void)ib_replica_switch_over(&host.replica, (unsigned)draw(4));
        break;
    default:
        if (host.replica.peers[other].connected) {
            any_frame(other);
        } else if (host.replica.role != IB_ROLE_STOPPED) {
            ib_replica_connected(&host.replica, other);
        }
        break;
    }
}

static void any_frames_in_any_order_break_nothing(void)
{
    uint64_t roles[5] = {0};
    uint64_t cuts = 0;
    host_open(0, 0, 0, 0);
    for (unsigned i = 0; i < STEPS; i++) {
        host.count = 0;
        host.no_room = host.last > HOST_LOG - 80 || draw(20) == 0;
        any_step();
        roles[host.replica.role]++;
        cuts += host.replica.truncating;
        if (host.replica.role == IB_ROLE_STOPPED || host.last > HOST_LOG - 80) { /* begin with some of what is there */
            host_open(0, host.replica.promised % 5, draw(3), draw(3) * host.last / 8);
        }
        EXPECT(host.committed <= host.replica.last_seq);
    }
    for (unsigned role = 0; role < 5; role++) {
        EXPECT(roles[role] > 0);
    }
    EXPECT(cuts > 100);
}

static const struct test_case cases[] = {
    CASE(any_frames_in_any_order_break_nothing),
};

TEST_MAIN("test_replica_any_frames", cases)
