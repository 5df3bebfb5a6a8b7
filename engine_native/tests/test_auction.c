/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_auction.c: each rule that picks the price of an auction, by the smallest book that needs it.
 */
#include "auction.h"

#include "ironbook.h"
#include "test.h"

/* What stands at one price. */
struct at {
    int64_t price;
    uint64_t buys;
    uint64_t sells;
};

static struct ib_auction auction_of(const struct at *book, size_t count, uint64_t market_buys, uint64_t market_sells)
{
    struct ib_auction auction;
    uint64_t limit_buys = 0;
    for (size_t i = 0; i < count; i++) {
        limit_buys += book[i].buys;
    }
    ib_auction_begin(&auction, limit_buys, market_buys, market_sells);
    for (size_t i = 0; i < count; i++) {
        ib_auction_tell(&auction, book[i].price, book[i].buys, book[i].sells);
    }
    return auction;
}

#define AUCTION(book, market_buys, market_sells) \
    auction_of(book, sizeof(book) / sizeof((book)[0]), market_buys, market_sells)

static void a_book_that_does_not_cross_has_no_volume(void)
{
    const struct at book[] = {{99, 10, 0}, {101, 0, 10}};
    EXPECT_EQUAL(AUCTION(book, 0, 0).volume, 0);
    EXPECT_EQUAL(AUCTION(book, 5, 0).volume, 5); /* a market order meets the sells */
}

static void most_volume_comes_first(void)
{
    const struct at book[] = {{100, 0, 10}, {101, 20, 5}, {102, 10, 20}};
    struct ib_auction auction = AUCTION(book, 0, 0); /* demand 30 30 10, supply 10 15 35 */
    EXPECT_EQUAL(auction.volume, 15);
    EXPECT_EQUAL(ib_auction_price(&auction, 0, 1), 101);
}

static void then_the_least_surplus(void)
{
    const struct at book[] = {{100, 20, 10}, {101, 5, 0}, {102, 10, 0}};
    struct ib_auction auction = AUCTION(book, 0, 0); /* volume 10 everywhere; surplus 25, 5, 0 */
    EXPECT_EQUAL(auction.volume, 10);
    EXPECT_EQUAL(auction.surplus, 0);
    EXPECT_EQUAL(ib_auction_price(&auction, 100, 1), 102);
}

static void then_the_side_that_presses(void)
{
    const struct at buys[] = {{100, 0, 10}, {104, 15, 0}};
    struct ib_auction auction = AUCTION(buys, 0, 0);
    EXPECT_EQUAL(ib_auction_price(&auction, 101, 1), 104);
    const struct at sells[] = {{100, 0, 15}, {104, 10, 0}};
    auction = AUCTION(sells, 0, 0);
    EXPECT_EQUAL(ib_auction_price(&auction, 103, 1), 100);
}

static void then_the_reference_price(void)
{
    const struct at book[] = {{100, 0, 10}, {110, 10, 0}};
    struct ib_auction auction = AUCTION(book, 0, 0);
    EXPECT_EQUAL(ib_auction_price(&auction, 107, 5), 105); /* on the tick below */
    EXPECT_EQUAL(ib_auction_price(&auction, 90, 5), 100);
    EXPECT_EQUAL(ib_auction_price(&auction, 190, 5), 110);
    EXPECT_EQUAL(ib_auction_price(&auction, 0, 5), 100);
    EXPECT_EQUAL(ib_auction_price(&auction, INT64_MAX, 5), 110);
}

static void quantities_at_the_limit_do_not_overflow(void)
{
    const uint64_t side = (uint64_t)IB_ORDERS_MAX / 2 * IB_QUANTITY_MAX;
    const struct at book[] = {{1, 0, side}, {INT64_MAX, side, 0}};
    struct ib_auction auction = AUCTION(book, 0, 0);
    EXPECT(auction.volume == side);
    EXPECT_EQUAL(auction.surplus, 0);
    EXPECT(ib_auction_price(&auction, INT64_MAX, 1) == INT64_MAX);
}

static const struct test_case cases[] = {
    CASE(a_book_that_does_not_cross_has_no_volume),
    CASE(most_volume_comes_first),
    CASE(then_the_least_surplus),
    CASE(then_the_side_that_presses),
    CASE(then_the_reference_price),
    CASE(quantities_at_the_limit_do_not_overflow),
};

TEST_MAIN("test_auction", cases)
