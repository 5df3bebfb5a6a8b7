/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_book.c: the check of the invariants is itself checked: each kind of damage must be found, and found by name.
 * And exact division by the tick.
 */
#include "book_path.h"
#include "book_rare.h"
#include "test.h"

static struct ib_book book;
static char text[IB_ERROR_TEXT_SIZE];

static uint32_t rest(uint32_t user_ref, uint8_t side, uint64_t ticks)
{
    static uint64_t order_ref;
    static const uint8_t client_data[IB_CLIENT_DATA_SIZE] = "data";
    unsigned side_number = ib_side_number(side);
    struct ib_book_entry entry = {
        .side_index = side_number,
        .session = 1,
        .user_ref = user_ref,
        .key = ib_book_key(side_number, ticks),
        .order_ref = ++order_ref,
        .remaining = 10,
        .order_type = IB_ORDER_LIMIT,
        .client_data = client_data,
    };
    (void)ib_book_has_room(&book);
    return ib_book_rest(&book, ib_book_side(&book, side_number), &entry);
}

static void open_book(void)
{
    (void)ib_book_open(&book, 16);
    ib_book_add_instrument(&book, 1);
    for (uint32_t i = 0; i < 4; i++) {
        (void)rest(1 + i, IB_SIDE_BUY, 100 - i / 2);
        (void)rest(11 + i, IB_SIDE_SELL, 200 + 1000 * (i / 2));
    }
}

static int is_found(const char *words)
{
    int found = ib_book_check(&book, text, sizeof text) != IB_OK && strstr(text, words) != NULL;
    if (!found) {
        fprintf(stderr, "wanted \"%s\", the check said \"%s\"\n", words, text);
    }
    return found;
}

static void a_sound_book_passes(void)
{
    open_book();
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    EXPECT_EQUAL(book.orders.in_use, 8);
    EXPECT_EQUAL(book.levels.in_use, 1); /* that of the far price: the others are in windows */
    ib_book_close(&book);
}

static void damage_is_found(void)
{
    open_book();
    uint32_t first = ib_book_find(&book, 1, 1);
    uint32_t second = ib_book_find(&book, 1, 2);
    struct ib_order *order = ib_book_order(&book, first);
    struct ib_queue *queue = ib_book_queue(&book, order->level);
    struct ib_price_index *bids = &book.instruments[0].sides[0];
    struct ib_price_index *asks = &book.instruments[0].sides[1];
    struct ib_order saved_order = *order;
    struct ib_order_cold *cold = ib_book_cold(&book, first);
    struct ib_queue saved_queue = *queue;

    order->links.prev = ib_name_of(second);
    EXPECT(is_found("links agree both ways"));
    *order = saved_order;
    order->identity += (uint64_t)100 << IB_ORDER_REF_SHIFT; /* younger than the one behind it */
    EXPECT(is_found("older orders come first"));
    *order = saved_order;
    ib_order_set_remaining(order, 0);
    EXPECT(is_found("something left"));
    *order = saved_order;
    ib_order_set_remaining(order, 11);
    EXPECT(is_found("sums its quantity"));
    queue->quantity++;
    EXPECT(is_found("the hash is the sum"));
    *order = saved_order;
    *queue = saved_queue;
    cold->client_data[3] ^= 1;
    EXPECT(is_found("the hash is the sum"));
    cold->client_data[3] ^= 1;
    cold->history += (uint64_t)1 << IB_ORDER_CHAIN_BITS;
    EXPECT(is_found("the hash is the sum"));
    cold->history = 0;
    memset(cold->client_data, 0, sizeof cold->client_data);
    EXPECT(is_found("a cold half says something"));
    memcpy(cold->client_data, "data", 4);
    cold->order++;
    EXPECT(is_found("a cold half knows its order"));
    cold->order--;
    order->user_ref = 99;
    EXPECT(is_found("the id index finds each order"));
    *order = saved_order;
    queue->ring.prev = ib_name_of(first);
    EXPECT(is_found("the tail is the last order"));
    *queue = saved_queue;
    struct ib_level *far = &ib_book_far_level(&book, ib_name_of(book.levels.first))->level;
    far->key--;
    EXPECT(is_found("a level knows its price and its side"));
    far->key++;
    bids->best = ib_book_order(&book, ib_book_find(&book, 1, 3))->level;
    EXPECT(is_found("the best level is the lowest key"));
    bids->best = saved_order.level;
    asks->best_key++;
    EXPECT(is_found("the key of its best level"));
    asks->best_key--;
    ib_book_close(&book);
}

static void damage_of_the_tables_is_found(void)
{
    open_book();
    uint32_t first = ib_book_find(&book, 1, 1);
    book.order_buckets.capacity = 4;
    EXPECT(is_found("buckets are a power of two"));
    book.order_buckets.capacity = 16;
    book.order_buckets.mask = 3;
    EXPECT(is_found("there are buckets for all"));
    book.order_buckets.mask = 15;
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    book.nodes.in_use++;
    EXPECT(is_found("nothing leaks"));
    book.nodes.in_use--;
    uint32_t bucket = 0;
    while (book.order_buckets.heads[bucket] != IB_CHAIN_END) {
        bucket++;
    }
    book.order_buckets.heads[bucket] = first;
    EXPECT(is_found("an order is in its bucket"));
    ib_book_close(&book);
}

static void damage_of_a_window_is_found(void)
{
    open_book();
    struct ib_price_window *window = &book.windows[0];
    const struct ib_price_window saved = *window;
    uint64_t best = book.instruments[0].sides[0].best_key;
    EXPECT(!ib_price_window_is_empty(window));
    window->second_key = best + 7;
    EXPECT(is_found("a window knows the second best price"));
    *window = saved;
    window->summary[0] ^= UINT64_C(1) << best / 64 % 64;
    EXPECT(is_found("a window's summary says"));
    *window = saved;
    ib_price_window_unset(window, best);
    EXPECT(is_found("a level without a bit is empty"));
    ib_book_queue(&book, ib_price_window_level(window, best))->quantity = 0;
    EXPECT(is_found("a level without a bit holds no order"));
    *window = saved;
    EXPECT(is_found("a level sums its quantity"));
    ib_book_queue(&book, ib_price_window_level(window, best))->quantity = 20;
    ib_price_window_set(window, best + 5);
    EXPECT(is_found("a level's link names an order"));
    *window = saved;
    window->first++;
    EXPECT(is_found("a window has levels of its own"));
    *window = saved;
    window->base = 0;
    EXPECT(is_found("a window lies among the prices"));
    *window = saved;
    window->keys--;
    EXPECT(is_found("a window is somewhere, or empty"));
    *window = saved;
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    ib_book_close(&book);
}

/* Prices near and far, windows that slide and windows that are given up: each is found, in order, where it is. */
static void prices_are_found_wherever_they_are(void)
{
    enum { ORDERS_MANY = 400 };
    (void)ib_book_open(&book, ORDERS_MANY);
    ib_book_add_instrument(&book, 1);
    int64_t middle = 5000;
    uint32_t in_index = 0;
    for (uint32_t i = 1; i <= 20000; i++) {
        middle += i % 7 == 0 ? 3 : -(int64_t)(i % 3 == 0);
        int64_t price = middle + (int64_t)(i * 2654435761u >> 20 & 0xff) * (i % 11 == 0 ? 1000 : 1);
        if (i > ORDERS_MANY) {
            uint32_t gone = ib_book_find(&book, 1, i - ORDERS_MANY);
            EXPECT(gone != IB_NONE);
            ib_book_remove(&book, gone);
        }
        uint32_t order = rest(i, IB_SIDE_SELL, (uint64_t)price);
        in_index += book.levels.in_use > 0;
        EXPECT_EQUAL(ib_book_level_at(&book, 1, (uint64_t)price), ib_book_order(&book, order)->level);
        if (i % 100 == 0) {
            EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
            uint32_t level = ib_book_level_from(&book, 1, 0);
            EXPECT_EQUAL(level, book.instruments[0].sides[1].best);
            uint32_t orders = 0;
            uint32_t last = IB_NONE;
            for (; level != IB_NONE; level = ib_book_level_from(&book, 1, ib_book_level(&book, level).key + 1)) {
                EXPECT_EQUAL(last == IB_NONE ? (uint32_t)IB_NONE : ib_book_level_before(&book, level), last);
                for (uint32_t at = ib_book_oldest(&book, level); at != IB_NONE; at = ib_book_younger(&book, at)) {
                    orders++;
                }
                last = level;
            }
            EXPECT_EQUAL(orders, book.orders.in_use);
            EXPECT_EQUAL(last, ib_book_last_level(&book, 1));
        }
        EXPECT_SOUND();
    }
    EXPECT(in_index > 1000);
    while (book.instrument_count <= IB_WINDOW_INSTRUMENTS) {
        ib_book_add_instrument(&book, 1);
    }
    EXPECT_EQUAL(book.window_sides, 2); /* those that hold orders, and those before them */
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    ib_book_close(&book);
}

static void damage_of_nodes_that_are_not_in_use_is_found(void)
{
    open_book();
    struct ib_price_node *none = ib_price_node_at(&book.nodes, IB_NONE);
    none->child[7] = 1;
    EXPECT(is_found("node IB_NONE has no children"));
    none->child[7] = IB_NONE;
    ib_book_remove(&book, rest(60, IB_SIDE_BUY, 1 << 20)); /* its leaf, a parent and a fork come and go */
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    uint32_t second;
    EXPECT(book.nodes.free_head != IB_NONE);
    memcpy(&second, ib_price_node_at(&book.nodes, book.nodes.free_head), sizeof second);
    EXPECT(second != IB_NONE);
    ib_price_node_at(&book.nodes, second)->child[31] = 1;
    EXPECT(is_found("a node that is not in use is blank"));
    ib_price_node_at(&book.nodes, second)->child[31] = IB_NONE;
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    ib_book_close(&book);
}

static void a_crossed_book_is_found(void)
{
    open_book();
    (void)rest(50, IB_SIDE_BUY, 200); /* a matcher would have traded it */
    EXPECT(is_found("the book is not crossed"));
    ib_book_close(&book);
}

static void ticks_divide_exactly(void)
{
    static const int64_t ticks[] = {1, 2, 3, 5, 7, 10, 25, 64, 100, 1000, 12345, 1 << 20, 999999937, INT64_MAX};
    static const int64_t prices[] = {INT64_MIN, -100, -1, 0, 1, 99, 100, 12345, 999999937, INT64_MAX - 1, INT64_MAX};
    for (size_t t = 0; t < sizeof ticks / sizeof ticks[0]; t++) {
        (void)ib_book_open(&book, 4);
        ib_book_add_instrument(&book, (uint64_t)ticks[t]);
        for (int64_t i = 0; i < 3000; i++) {
            int64_t price = i < 11 ? prices[i] : i * 37 - 200;
            uint64_t result = 0;
            int valid = ib_book_ticks(&book.instruments[0], price, &result);
            EXPECT_EQUAL(valid, price > 0 && price % ticks[t] == 0);
            if (valid) {
                EXPECT_EQUAL(result, price / ticks[t]);
            }
        }
        ib_book_close(&book);
    }
}

static void replaced_and_shrunk_orders_keep_the_index(void)
{
    open_book();
    uint32_t order = ib_book_find(&book, 1, 1);
    static const uint8_t other[IB_CLIENT_DATA_SIZE] = "other";
    ib_book_rename(&book, order, 90, IB_TIME_IN_FORCE_DAY, other, NULL);
    ib_book_shrink(&book, order, 4);
    EXPECT_EQUAL(ib_book_find(&book, 1, 1), IB_NONE);
    EXPECT_EQUAL(ib_book_find(&book, 1, 90), order);
    ib_book_fill_part(&book, order, 3);
    EXPECT_EQUAL(ib_book_executed(&book, order), 3);
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    for (uint32_t user_ref = 0; user_ref < 100; user_ref++) {
        if (ib_book_find(&book, 1, user_ref) != IB_NONE) {
            ib_book_remove(&book, ib_book_find(&book, 1, user_ref));
            EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
        }
    }
    EXPECT_EQUAL((long long)book.hash, 0); /* an empty book, however it became empty */
    EXPECT_EQUAL(book.nodes.in_use + book.levels.in_use + book.orders.in_use, 0);
    ib_book_close(&book);
}

/* The table grows under the orders, its buckets are made one by one, and it finds all. */
static void the_indexes_grow_with_the_book(void)
{
    enum { ORDERS_MANY = 3000 };
    (void)ib_book_open(&book, ORDERS_MANY);
    ib_book_add_instrument(&book, 1);
    uint32_t stride = 1 << 20 | 1 << 10; /* hardly a difference in the lower bits */
    for (uint32_t i = 0; i < ORDERS_MANY; i++) {
        (void)rest(1 + i * stride, IB_SIDE_BUY, 100 + i % 700);
        if (i % 500 == 0) {
            EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
        }
    }
    EXPECT(ib_book_is_full(&book));
    EXPECT_EQUAL(book.order_buckets.mask, 8191);
    uint32_t longest = 0;
    for (uint32_t b = 0; b <= book.order_buckets.mask; b++) {
        uint32_t length = 0;
        for (uint32_t index = book.order_buckets.heads[b]; index > IB_CHAIN_END; index = ib_book_chain(&book, index)) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    EXPECT(longest < 64);
    for (uint32_t i = 0; i < ORDERS_MANY; i++) {
        uint32_t index = ib_book_find(&book, 1, 1 + i * stride);
        EXPECT(index != IB_NONE);
        ib_book_remove(&book, index);
    }
    EXPECT_EQUAL(ib_book_check(&book, text, sizeof text), IB_OK);
    EXPECT_EQUAL(book.orders.in_use, 0);
    ib_book_close(&book);
}

static const struct test_case cases[] = {
    CASE(a_sound_book_passes),
    CASE(damage_is_found),
    CASE(damage_of_the_tables_is_found),
    CASE(damage_of_a_window_is_found),
    CASE(prices_are_found_wherever_they_are),
    CASE(damage_of_nodes_that_are_not_in_use_is_found),
    CASE(a_crossed_book_is_found),
    CASE(ticks_divide_exactly),
    CASE(replaced_and_shrunk_orders_keep_the_index),
    CASE(the_indexes_grow_with_the_book),
};

TEST_MAIN("test_book", cases)
