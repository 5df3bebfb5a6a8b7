/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_directory.c: the I/O thread's copy of the instruments says the same whether it followed all events, or was
 * opened after them, as at a restart, and sees them again.
 */
#include "directory.h"
#include "world.h"

static struct ib_directory *live, *restarted;
static struct ib_event seen[64];
static uint32_t seen_count;

static void happens(struct ib_command command)
{
    EXPECT_EQUAL(apply(command), IB_OK);
    for (uint32_t i = 0; i < world.count; i++) {
        EXPECT(seen_count < sizeof seen / sizeof seen[0]);
        seen[seen_count++] = world.events[i];
        ib_directory_see(live, &world.events[i]);
    }
}

static struct ib_command phase(uint32_t instrument, uint8_t to)
{
    return (struct ib_command){
        .type = IB_COMMAND_PHASE, .session = IB_SESSION_NONE, .instrument = instrument, .phase = to};
}

static void restart(void)
{
    EXPECT_EQUAL(ib_directory_open(&restarted, world.matcher, NULL), IB_OK);
    for (uint32_t i = 0; i < seen_count; i++) {
        ib_directory_see(restarted, &seen[i]);
        EXPECT(ib_directory_volatile(restarted) <= ib_directory_count(restarted));
    }
}

static void begin(void)
{
    seen_count = 0;
    open_world();
    EXPECT_EQUAL(apply((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_2}), IB_OK);
    EXPECT_EQUAL(ib_directory_open(&live, world.matcher, NULL), IB_OK);
}

static void end(void)
{
    EXPECT_EQUAL(ib_directory_volatile(live), ib_directory_volatile(restarted));
    for (uint32_t i = 0; i < ib_directory_count(live); i++) {
        EXPECT_EQUAL(ib_directory_at(live, i)->definition.phase, ib_directory_at(restarted, i)->definition.phase);
        EXPECT_EQUAL(ib_directory_at(live, i)->definition.removed, ib_directory_at(restarted, i)->definition.removed);
        EXPECT_EQUAL(ib_directory_at(live, i)->since_ns, ib_directory_at(restarted, i)->since_ns);
    }
    ib_directory_close(live);
    ib_directory_close(restarted);
    close_world();
}

static void what_was_removed_in_an_auction_has_none(void)
{
    begin();
    happens(phase(0, IB_PHASE_VOLATILITY_AUCTION));
    happens(phase(0, IB_PHASE_CONTINUOUS));
    happens(phase(0, IB_PHASE_VOLATILITY_AUCTION));
    happens(phase(1, IB_PHASE_VOLATILITY_AUCTION));
    EXPECT_EQUAL(ib_directory_volatile(live), 2);
    happens((struct ib_command){.type = IB_COMMAND_INSTRUMENT_REMOVE, .instrument = 0});
    EXPECT_EQUAL(ib_directory_volatile(live), 1);
    restart();
    EXPECT_EQUAL(ib_directory_volatile(restarted), 1);
    end();
}

static void what_is_in_an_auction_still_is(void)
{
    begin();
    happens(phase(0, IB_PHASE_VOLATILITY_AUCTION));
    happens(phase(1, IB_PHASE_VOLATILITY_AUCTION));
    happens(phase(1, IB_PHASE_CONTINUOUS));
    restart();
    EXPECT_EQUAL(ib_directory_volatile(restarted), 1);
    end();
}

static const struct test_case cases[] = {
    CASE(what_was_removed_in_an_auction_has_none),
    CASE(what_is_in_an_auction_still_is),
};

TEST_MAIN("test_directory", cases)
