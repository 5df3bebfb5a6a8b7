/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_replica_frame.c: what is written is read back; nothing else is: not at any length, nor with any bit changed.
 */
#include "replica_frame.h"
#include "test.h"

enum { COUNT = 3 };

static struct ib_replica_entry out[COUNT];
static struct ib_replica_entry in[IB_REPLICA_BATCH_MAX];
static uint8_t bytes[IB_REPLICA_FRAME_MAX];

static size_t write_frame(void)
{
    struct ib_replica_frame frame = {.type = IB_FRAME_APPEND, .from = 2, .shard = 7, .epoch = 9, .seq = 40,
                                     .chain = 77, .commit_seq = 39};
    for (uint64_t i = 0; i < COUNT; i++) {
        out[i] = (struct ib_replica_entry){.epoch = 8 + (i > 0)};
        out[i].command.seq = 41 + i;
        out[i].command.user_ref = (uint32_t)(1000 + i);
    }
    return ib_replica_frame_write(&frame, out, COUNT, bytes);
}

static void is_read_back(void)
{
    struct ib_replica_frame frame;
    size_t size = write_frame();
    EXPECT_EQUAL(size, IB_REPLICA_HEADER_SIZE + COUNT * IB_REPLICA_ENTRY_SIZE);
    EXPECT(ib_replica_frame_read(bytes, size, &frame, in));
    EXPECT_EQUAL(frame.type, IB_FRAME_APPEND);
    EXPECT_EQUAL(frame.from, 2);
    EXPECT_EQUAL(frame.chain, 77);
    EXPECT_EQUAL(frame.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_EQUAL(in[i].epoch, out[i].epoch);
        EXPECT(memcmp(&in[i].command, &out[i].command, sizeof out[i].command) == 0);
    }
}

static void no_other_length_is_a_frame(void)
{
    struct ib_replica_frame frame;
    size_t size = write_frame();
    for (size_t length = 0; length <= size + 1; length++) {
        EXPECT_EQUAL(ib_replica_frame_read(bytes, length, &frame, in), length == size);
    }
}

static void no_changed_bit_is_a_frame(void)
{
    struct ib_replica_frame frame;
    size_t size = write_frame();
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT(!ib_replica_frame_read(bytes, size, &frame, in));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void entries_that_no_primary_sends_are_no_frame(void)
{
    struct ib_replica_frame frame = {.type = IB_FRAME_APPEND, .epoch = 9, .seq = 40};
    (void)write_frame();
    out[1].command.seq = 41; /* not dense */
    EXPECT(!ib_replica_frame_read(bytes, ib_replica_frame_write(&frame, out, COUNT, bytes), &frame, in));
    (void)write_frame();
    out[2].epoch = 10; /* of an epoch that is not there yet */
    EXPECT(!ib_replica_frame_read(bytes, ib_replica_frame_write(&frame, out, COUNT, bytes), &frame, in));
    (void)write_frame();
    out[2].epoch = 8; /* going back */
    EXPECT(!ib_replica_frame_read(bytes, ib_replica_frame_write(&frame, out, COUNT, bytes), &frame, in));
    (void)write_frame();
    out[0].epoch = 0;
    EXPECT(!ib_replica_frame_read(bytes, ib_replica_frame_write(&frame, out, COUNT, bytes), &frame, in));
}

static void the_chain_covers_epoch_and_command(void)
{
    struct ib_command command = {.seq = 5, .type = IB_COMMAND_CANCEL};
    uint64_t chain = ib_replica_chain(IB_REPLICA_CHAIN_EMPTY, 1, &command);
    EXPECT(chain != ib_replica_chain(IB_REPLICA_CHAIN_EMPTY, 2, &command));
    EXPECT(chain != ib_replica_chain(chain, 1, &command));
    for (size_t i = 0; i < sizeof command; i++) {
        ((uint8_t *)&command)[i] ^= 1;
        EXPECT(chain != ib_replica_chain(IB_REPLICA_CHAIN_EMPTY, 1, &command));
        ((uint8_t *)&command)[i] ^= 1;
    }
}

static const struct test_case cases[] = {
    CASE(is_read_back),
    CASE(no_other_length_is_a_frame),
    CASE(no_changed_bit_is_a_frame),
    CASE(entries_that_no_primary_sends_are_no_frame),
    CASE(the_chain_covers_epoch_and_command),
};

TEST_MAIN("test_replica_frame", cases)
