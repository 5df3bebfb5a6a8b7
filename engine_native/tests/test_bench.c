/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_bench.c: the benchmark's own work is right: a flow goes through the matcher whole, what it counts is what
 * happened, and a record that no flow may have is named.
 */
#include "ironbook_bench.h"
#include "ironbook_core.h"
#include "test.h"

static const struct ib_bench_message messages[] = {
    {IB_BENCH_NEW, 0, 0, 1, 100, 10}, {IB_BENCH_NEW, 1, 0, 2, 101, 10},   {IB_BENCH_NEW, 1, 1, 3, 50, 5},
    {IB_BENCH_NEW, 1, 0, 4, 102, 10}, {IB_BENCH_CROSS, 0, 0, 5, 102, 15}, {IB_BENCH_CANCEL, 0, 0, 1, 100, 10},
};

enum { COUNT = sizeof messages / sizeof messages[0], WARM = 2 };

static struct ib_bench_flow flow_of(uint32_t sessions, uint32_t reporting)
{
    return (struct ib_bench_flow){.messages = messages, .count = COUNT, .warm = WARM, .symbols = 2, .id_max = 5,
                                  .orders = 100, .sessions = sessions, .rules = IB_RULES_NEWEST,
                                  .reporting = reporting};
}

static void a_flow_goes_through_whole(void)
{
    for (uint32_t variant = 0; variant < 4; variant++) {
        struct ib_bench_flow flow = flow_of(1 + variant / 2, variant % 2);
        struct ib_totals totals;
        uint64_t ns;
        EXPECT_EQUAL(ib_bench_pass(&flow, &ns, &totals), IB_OK);
        EXPECT_EQUAL(totals.trades, 2);
        EXPECT_EQUAL(totals.quantity, 15);
        EXPECT_EQUAL(totals.notional_low, 10 * 101 + 5 * 102);
        EXPECT_EQUAL(totals.orders_open, 2);
        EXPECT_EQUAL(totals.rejects, 0);
    }
}

static void each_measured_message_has_its_time(void)
{
    struct ib_bench_flow flow = flow_of(1, 0);
    uint32_t ns[COUNT - WARM + 1];
    memset(ns, 0xff, sizeof ns);
    EXPECT_EQUAL(ib_bench_latency(&flow, ns), IB_OK);
    for (size_t i = 0; i < COUNT - WARM; i++) {
        EXPECT(ns[i] != UINT32_MAX);
    }
    EXPECT_EQUAL(ns[COUNT - WARM], UINT32_MAX); /* and nothing behind them was written */
}

static void the_peak_is_counted(void)
{
    struct ib_bench_flow flow = flow_of(1, 0);
    struct ib_bench_memory memory;
    EXPECT_EQUAL(ib_bench_memory(&flow, &memory), IB_OK);
    EXPECT_EQUAL(memory.peak_orders, 4);
    EXPECT(memory.order_bytes > 0);
}

/* Limits are promised: an order that exceeds one is refused, or the run fails. */
static void the_gate_is_on_or_the_run_fails(void)
{
    struct ib_bench_flow flow = flow_of(1, 0);
    struct ib_totals totals;
    uint64_t ns;
    flow.limits = 1;
    EXPECT_EQUAL(ib_bench_pass(&flow, &ns, &totals), IB_OK);
    EXPECT_EQUAL(totals.rejects, 1);
    EXPECT_EQUAL(totals.trades, 2);
    flow.rules = IB_RULES_NEWEST + 1; /* rules that this core does not know, and so no gate */
    EXPECT_EQUAL(ib_bench_pass(&flow, &ns, &totals), IB_ERROR_CONFIGURATION);
}

static void a_wrong_record_is_named(void)
{
    struct ib_bench_message wrong[COUNT];
    struct ib_bench_flow flow = flow_of(1, 0);
    uint64_t index;
    EXPECT(ib_bench_fault(&flow, &index) == NULL);
    memcpy(wrong, messages, sizeof wrong);
    wrong[3].symbol = 2;
    flow.messages = wrong;
    EXPECT(ib_bench_fault(&flow, &index) != NULL);
    EXPECT_EQUAL(index, 3);
    EXPECT(strlen(ib_bench_compiler()) > 5);
}

static const struct test_case cases[] = {
    CASE(a_flow_goes_through_whole), CASE(each_measured_message_has_its_time), CASE(the_peak_is_counted),
    CASE(the_gate_is_on_or_the_run_fails), CASE(a_wrong_record_is_named),
};

TEST_MAIN("test_bench", cases)
