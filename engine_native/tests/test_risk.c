/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_risk.c: the gate alone: each limit at its edge, the window of messages, defaults and own limits, a full table.
 */
#include "risk.h"

#include "test.h"

static struct ib_risk *risk;

static const uint8_t name[IB_ACCOUNT_NAME_SIZE] = "ACCOUNT";

static void open_risk(uint32_t rows)
{
    risk = calloc(1, sizeof *risk);
    (void)ib_risk_open(risk, rows);
    ib_risk_add_account(risk, name);
    ib_risk_add_account(risk, name);
}

static void close_risk(void)
{
    ib_risk_close(risk);
    free(risk);
    risk = NULL;
}

static struct ib_risk_order buy(uint64_t quantity, int64_t price)
{
    return (struct ib_risk_order){.account = 1,
                                  .order_type = IB_ORDER_LIMIT,
                                  .quantity = quantity,
                                  .price = price,
                                  .base = 1000,
                                  .instrument = 7};
}

/* What the path of plain orders compares before it asks. */
static int passes(const struct ib_risk_order *order)
{
    const struct ib_risk_account *account = &risk->accounts[order->account];
    return account->messages <= account->messages_max && /* this one is counted already */
           ib_risk_admits(&risk->rows[order->row], order->is_sell, order->quantity, order->price, order->base);
}

static uint8_t ask(struct ib_risk_order order)
{
    order.row = ib_risk_find(risk, order.account, order.instrument);
    uint8_t refusal = ib_risk_refusal(risk, &order);
    int contradiction = !order.is_replacing && passes(&order) && refusal != IB_REASON_NONE;
    return contradiction ? UINT8_MAX : refusal;
}

/* The largest of what a limit lets through, and one more. */
static void each_limit_has_its_edge(void)
{
    open_risk(4);
    EXPECT_EQUAL(ask(buy(IB_QUANTITY_MAX, INT64_MAX)), IB_REASON_NONE);
    ib_risk_set_default(risk, 1, IB_RISK_ORDER_QUANTITY, 50);
    EXPECT_EQUAL(ask(buy(50, 1000)), IB_REASON_NONE);
    EXPECT_EQUAL(ask(buy(51, 1000)), IB_REASON_RISK_QUANTITY);
    ib_risk_set_default(risk, 1, IB_RISK_COLLAR, 100); /* one per cent of 1000 */
    EXPECT_EQUAL(ask(buy(1, 1010)), IB_REASON_NONE);
    EXPECT_EQUAL(ask(buy(1, 1011)), IB_REASON_RISK_COLLAR);
    struct ib_risk_order sell = buy(1, 989);
    sell.is_sell = 1;
    EXPECT_EQUAL(ask(sell), IB_REASON_RISK_COLLAR);
    sell.price = 5000; /* far from the market, but harmless */
    EXPECT_EQUAL(ask(sell), IB_REASON_NONE);
    ib_risk_set_default(risk, 1, IB_RISK_ORDER_NOTIONAL, 10000);
    EXPECT_EQUAL(ask(buy(10, 1000)), IB_REASON_NONE);
    EXPECT_EQUAL(ask(buy(10, 1001)), IB_REASON_RISK_NOTIONAL);
    ib_risk_set_default(risk, 1, IB_RISK_POSITION_LONG, 9);
    EXPECT_EQUAL(ask(buy(9, 1000)), IB_REASON_NONE);
    EXPECT_EQUAL(ask(buy(10, 1000)), IB_REASON_RISK_POSITION);
    ib_risk_set_default(risk, 1, IB_RISK_OPEN_ORDERS, 0);
    EXPECT_EQUAL(ask(buy(9, 1000)), IB_REASON_RISK_OPEN_ORDERS);
    ib_risk_kill(risk, 1, 1);
    EXPECT_EQUAL(ask(buy(51, 1000)), IB_REASON_RISK_KILLED);
    close_risk();
}

static void what_is_open_counts(void)
{
    open_risk(4);
    ib_risk_set_default(risk, 1, IB_RISK_POSITION_LONG, 100);
    ib_risk_set_default(risk, 1, IB_RISK_POSITION_SHORT, 100);
    struct ib_risk_row *row = &risk->rows[ib_risk_make(risk, 1, 7)];
    ib_risk_add(row, 0, 60);
    EXPECT_EQUAL(ask(buy(40, 1)), IB_REASON_NONE);
    EXPECT_EQUAL(ask(buy(41, 1)), IB_REASON_RISK_POSITION);
    struct ib_risk_order replacing = buy(100, 1);
    replacing.is_replacing = 1;
    replacing.replaced = 60;
    EXPECT_EQUAL(ask(replacing), IB_REASON_NONE);
    ib_risk_take(row, 0, 60, 1);
    ib_risk_trade(risk, row, 0, 60);
    EXPECT_EQUAL(ask(buy(41, 1)), IB_REASON_RISK_POSITION);
    struct ib_risk_order sell = buy(160, 1);
    sell.is_sell = 1;
    EXPECT_EQUAL(ask(sell), IB_REASON_NONE); /* from long 60 to short 100 */
    sell.quantity++;
    EXPECT_EQUAL(ask(sell), IB_REASON_RISK_POSITION);
    EXPECT(ib_risk_rows_hash(risk) == risk->hash);
    close_risk();
}

/* The comparisons of the path lie where the limits lie, and do not leave the work to the function behind them. */
static void the_path_passes_up_to_each_edge(void)
{
    open_risk(4);
    struct ib_risk_order order = buy(10, 1000);
    ib_risk_set_default(risk, 1, IB_RISK_ORDER_QUANTITY, 10);
    EXPECT(!passes(&order)); /* no row yet: row 0 lets nobody in */
    order.row = ib_risk_make(risk, 1, 7);
    EXPECT(passes(&order));
    order.quantity = 11;
    EXPECT(!passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_QUANTITY, 11);
    EXPECT(passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_NOTIONAL, 11000);
    EXPECT(passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_NOTIONAL, 10999);
    EXPECT(!passes(&order));
    order.quantity = 1;
    ib_risk_set_own(risk, 1, 7, IB_RISK_COLLAR, 100);
    order.price = 1010;
    EXPECT(passes(&order));
    order.price = 1011;
    EXPECT(!passes(&order));
    order.is_sell = 1;
    EXPECT(passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_POSITION_SHORT, 5);
    ib_risk_add(&risk->rows[order.row], 1, 4);
    EXPECT(passes(&order));
    ib_risk_fill(risk, &risk->rows[order.row], 1, 4, 1);
    ib_risk_trade(risk, &risk->rows[order.row], 1, 1);
    EXPECT(!passes(&order)); /* short 5, which is the limit */
    EXPECT_EQUAL(ib_risk_open_quantity(risk, &risk->rows[order.row], 1), 0);
    ib_risk_set_own(risk, 1, 7, IB_RISK_POSITION_SHORT, 6);
    EXPECT(passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_OPEN_ORDERS, 0);
    EXPECT(!passes(&order));
    ib_risk_set_own(risk, 1, 7, IB_RISK_OPEN_ORDERS, IB_UNLIMITED);
    EXPECT(passes(&order));
    ib_risk_kill(risk, 1, 1);
    ib_risk_count_message(&risk->accounts[1], 1);
    EXPECT(!passes(&order));
    close_risk();
}

/* As far short as one may be, and as much room to buy as there can be: one more than fits the sign. */
static void room_may_wrap_round(void)
{
    open_risk(4);
    struct ib_risk_order order = buy(1, 1000);
    order.row = ib_risk_make(risk, 1, 7);
    for (uint64_t left = (uint64_t)IB_POSITION_MAX; left > 0; left -= IB_POSITION_MAX / 4) {
        ib_risk_trade(risk, &risk->rows[order.row], 1, IB_POSITION_MAX / 4);
    }
    EXPECT_EQUAL(ask(order), IB_REASON_NONE);
    EXPECT_EQUAL(ib_risk_open_quantity(risk, &risk->rows[order.row], 0), 0);
    order.is_sell = 1;
    EXPECT_EQUAL(ask(order), IB_REASON_RISK_POSITION);
    close_risk();
}

static void products_do_not_overflow(void)
{
    open_risk(4);
    ib_risk_set_default(risk, 1, IB_RISK_ORDER_NOTIONAL, UINT64_MAX - 1);
    EXPECT_EQUAL(ask(buy(2, INT64_MAX)), IB_REASON_NONE); /* 2^64 - 2 */
    EXPECT_EQUAL(ask(buy(3, INT64_MAX)), IB_REASON_RISK_NOTIONAL);
    EXPECT_EQUAL(ask(buy(IB_QUANTITY_MAX, INT64_MAX)), IB_REASON_RISK_NOTIONAL);
    ib_risk_set_default(risk, 1, IB_RISK_COLLAR, UINT64_MAX - 1);
    struct ib_risk_order order = buy(1, INT64_MAX);
    order.base = 1;
    EXPECT_EQUAL(ask(order), IB_REASON_RISK_COLLAR); /* 2^63 x 10^4 is above 2^64 */
    order.base = INT64_MAX / 2;
    EXPECT_EQUAL(ask(order), IB_REASON_NONE);
    close_risk();
}

static void messages_are_counted_by_the_second(void)
{
    open_risk(4);
    ib_risk_set_default(risk, 1, IB_RISK_MESSAGE_RATE, 2);
    for (int i = 0; i < 2; i++) {
        ib_risk_count_message(&risk->accounts[1], 1999999999u);
        EXPECT_EQUAL(ask(buy(1, 1)), IB_REASON_NONE);
    }
    ib_risk_count_message(&risk->accounts[1], 1999999999u);
    EXPECT_EQUAL(ask(buy(1, 1)), IB_REASON_RISK_RATE);
    ib_risk_count_message(&risk->accounts[1], 2000000000u);
    EXPECT_EQUAL(ask(buy(1, 1)), IB_REASON_NONE);
    for (int i = 0; i < 3; i++) { /* the last second that 64 bits can count, which ends in no next one */
        ib_risk_count_message(&risk->accounts[1], UINT64_MAX);
    }
    EXPECT_EQUAL(risk->accounts[1].messages, 3);
    close_risk();
}

static void an_own_limit_stays(void)
{
    open_risk(4);
    EXPECT(ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_QUANTITY, 5));
    ib_risk_set_default(risk, 1, IB_RISK_ORDER_QUANTITY, 3);
    EXPECT_EQUAL(ask(buy(5, 1)), IB_REASON_NONE);
    struct ib_risk_order elsewhere = buy(5, 1);
    elsewhere.instrument = 8;
    EXPECT_EQUAL(ask(elsewhere), IB_REASON_RISK_QUANTITY);
    uint64_t before = ib_risk_state_hash(risk);
    EXPECT(ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_QUANTITY, 6));
    EXPECT(ib_risk_state_hash(risk) != before);
    EXPECT(ib_risk_set_own(risk, 1, 7, IB_RISK_ORDER_QUANTITY, 5));
    EXPECT(ib_risk_state_hash(risk) == before); /* equal states, equal hashes */
    EXPECT(ib_risk_rows_hash(risk) == risk->hash);
    close_risk();
}

static void a_full_table_refuses(void)
{
    open_risk(2);
    EXPECT(ib_risk_make(risk, 1, 0) != 0);
    EXPECT(ib_risk_make(risk, 2, 0) != 0);
    EXPECT_EQUAL(ib_risk_make(risk, 1, 7), 0);
    EXPECT_EQUAL(ib_risk_find(risk, 1, 7), 0);
    EXPECT(ib_risk_make(risk, 2, 0) == ib_risk_find(risk, 2, 0));
    EXPECT_EQUAL(ask(buy(1, 1)), IB_REASON_RISK_TABLE_FULL);
    EXPECT(!ib_risk_set_own(risk, 1, 7, IB_RISK_COLLAR, 1));
    close_risk();
}

static const struct test_case cases[] = {
    CASE(each_limit_has_its_edge), CASE(what_is_open_counts),
    CASE(the_path_passes_up_to_each_edge), CASE(room_may_wrap_round), CASE(products_do_not_overflow),
    CASE(messages_are_counted_by_the_second), CASE(an_own_limit_stays), CASE(a_full_table_refuses),
};

TEST_MAIN("test_risk", cases)
