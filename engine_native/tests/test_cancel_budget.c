/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_cancel_budget.c: what a mass cancel took is waited for, in proportion, by its own account alone.
 */
#include "cancel_budget.h"
#include "test.h"

static struct ib_cancel_budget budget;

static void open_with(uint32_t percent)
{
    budget = (struct ib_cancel_budget){0};
    ib_cancel_budget_open(&budget, percent);
}

static void what_was_spent_is_waited_for(void)
{
    open_with(5);
    EXPECT(ib_cancel_budget_allows(&budget, 1, 0, 0));
    ib_cancel_budget_take(&budget, 1, 7);
    ib_cancel_budget_charge(&budget, 1, 1000, 50000); /* 5 percent: 19 times as long for the others */
    EXPECT(!ib_cancel_budget_allows(&budget, 1, 7, 50000 + 18999));
    EXPECT(ib_cancel_budget_allows(&budget, 1, 7, 50000 + 19000));
    EXPECT(ib_cancel_budget_allows(&budget, 2, 7, 50000)); /* another account's is its own */
}

static void one_is_in_flight_at_a_time(void)
{
    open_with(100);
    ib_cancel_budget_take(&budget, 3, 10);
    EXPECT(!ib_cancel_budget_allows(&budget, 3, 9, UINT64_MAX));
    EXPECT(ib_cancel_budget_allows(&budget, 3, 10, 0));
    ib_cancel_budget_charge(&budget, 3, 1000, 5000); /* all of the time is its own */
    EXPECT(ib_cancel_budget_allows(&budget, 3, 10, 5000));
}

static void debts_add_up_and_are_forgotten(void)
{
    open_with(50);
    ib_cancel_budget_charge(&budget, 4, 1000, 10000);
    ib_cancel_budget_charge(&budget, 4, 500, 10100); /* those that nobody could hold back: lost connections */
    EXPECT(!ib_cancel_budget_allows(&budget, 4, 0, 11499));
    EXPECT(ib_cancel_budget_allows(&budget, 4, 0, 11500));
    ib_cancel_budget_charge(&budget, 4, 1, 90000); /* time that went by is no credit, and no debt */
    EXPECT(!ib_cancel_budget_allows(&budget, 4, 0, 90000));
    EXPECT(ib_cancel_budget_allows(&budget, 4, 0, 90001));
}

static void a_session_without_account_has_its_own(void)
{
    EXPECT_EQUAL(ib_cancel_budget_place(5, 0), ib_cancel_budget_place(5, IB_SESSIONS_MAX - 1));
    EXPECT(ib_cancel_budget_place(0, 0) != ib_cancel_budget_place(0, 1));
    EXPECT(ib_cancel_budget_place(0, 0) > ib_cancel_budget_place(IB_ACCOUNTS_MAX - 1, 0));
    EXPECT_EQUAL(ib_cancel_budget_place(0, IB_SESSIONS_MAX - 1), IB_ACCOUNTS_MAX + IB_SESSIONS_MAX - 1);
}

static const struct test_case cases[] = {
    CASE(what_was_spent_is_waited_for), CASE(one_is_in_flight_at_a_time), CASE(debts_add_up_and_are_forgotten),
    CASE(a_session_without_account_has_its_own),
};

TEST_MAIN("test_cancel_budget", cases)
