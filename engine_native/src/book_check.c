/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_check.c: every invariant of the book, one REQUIRE a line. It walks everything and changes nothing. Builds with
 * IB_CHECK run it after each command; recovery runs it once.
 */
#include <stdio.h>

#include "book_path.h"
#include "book_rare.h"

/* What the walk has seen so far. */
struct walk {
    const struct ib_book *book;
    uint32_t side_index;
    uint64_t lowest_key; /* no key may come below: keys ascend along a side */
    uint32_t first_level; /* of the side */
    const struct ib_price_index *side; /* … and its index */
    uint32_t near_nodes;  /* of its near nodes, how many the walk met */
    uint32_t nodes;
    uint32_t levels;
    uint32_t orders;
    uint32_t cold;
    uint32_t extras;
    uint32_t expiring;
    uint32_t parked;
    uint32_t icebergs;
    uint64_t hash;
    const char *broken; /* the first broken invariant, in words */
};

#define REQUIRE(walk, condition, words)  \
    do {                                 \
        if (!(condition)) {              \
            (walk)->broken = (words);    \
            return 0;                    \
        }                                \
    } while (0)

static int is_live_index(const struct ib_pool *pool, uint32_t index)
{
    IB_ASSERT(pool->slots != NULL);
    IB_ASSERT(pool->first >= 1 && pool->fresh >= pool->first);
    return index >= pool->first && index < pool->fresh;
}

/* What a rare order has besides. */
static int check_extra(struct walk *walk, uint32_t index)
{
    const struct ib_book *book = walk->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    int parked = ib_level_is_parked(level);
    uint8_t type = ib_order_type(order);
    REQUIRE(walk, parked == (extra != NULL && (parked || extra->price != 0)), "what is parked has an extra");
    REQUIRE(walk, parked || type == IB_ORDER_LIMIT || type == IB_ORDER_MARKET, "no stop stands in the book");
    REQUIRE(walk, parked || (type == IB_ORDER_MARKET) == (level.key == 0), "market orders stand ahead of all prices");
    REQUIRE(walk, extra != NULL || ib_order_time_in_force(order) != IB_TIME_IN_FORCE_GTD, "GTD has its extra");
    if (extra == NULL) {
        return 1;
    }
    REQUIRE(walk, is_live_index(&book->extras, ib_cold_extra(ib_book_cold(book, index))), "a cold half names an extra");
    REQUIRE(walk, extra->order == index, "an extra knows its order");
    REQUIRE(walk, parked || extra->displayed > 0 || extra->expire_time_ns > 0, "an extra says something");
    REQUIRE(walk, extra->displayed == 0 || (extra->shown > 0 && extra->shown <= extra->displayed &&
                                            extra->shown <= ib_order_remaining(order)),
            "an iceberg shows something, and no more than a slice or what remains");
    REQUIRE(walk, extra->displayed == 0 || ib_level_place(level) != IB_PLACE_HIDDEN, "no iceberg is hidden");
    REQUIRE(walk, (extra->expire_time_ns > 0) == (ib_order_time_in_force(order) == IB_TIME_IN_FORCE_GTD),
            "GTD alone expires");
    REQUIRE(walk, (extra->expire_time_ns > 0) == (extra->expiry_place > 0), "what expires is in the heap");
    REQUIRE(walk, extra->expiry_place <= book->expiry_count &&
                      (extra->expiry_place == 0 ||
                       book->expiry[extra->expiry_place] == ib_cold_extra(ib_book_cold(book, index))),
            "the heap has an extra where it says");
    walk->extras++;
    walk->expiring += extra->expiry_place > 0;
    walk->icebergs += extra->displayed > 0;
    walk->parked += parked != 0;
    return 1;
}

static int check_order(struct walk *walk, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_book *book = walk->book;
    const struct ib_order *order = ib_book_order(book, index);
    REQUIRE(walk, ib_order_remaining(order) > 0, "an order in the book has something left");
    REQUIRE(walk, ib_book_find(book, ib_order_session(order), order->user_ref) == index,
            "the id index finds each order");
    if (ib_order_has_cold(order)) {
        REQUIRE(walk, is_live_index(&book->cold, ib_order_chain(order)), "an order names its cold half");
        REQUIRE(walk, ib_book_cold(book, index)->order == index, "a cold half knows its order");
        REQUIRE(walk, ib_book_cold(book, index)->history != 0 || !ib_book_is_blank(ib_book_client_data(book, index)),
                "a cold half says something");
        walk->cold++;
    }
    if (!check_extra(walk, index)) {
        return 0;
    }
    walk->hash += ib_book_order_hash(book, index);
    walk->orders++;
    REQUIRE(walk, walk->orders <= book->orders.in_use, "no more orders in levels than in use");
    return 1;
}

static int is_level(const struct ib_book *book, uint32_t name)
{
    IB_ASSERT(book->window_level % IB_NAMES == 0);
    return name >= book->window_level || (name % IB_NAMES == 0 && is_live_index(&book->levels, ib_index_of(name)));
}

static int check_level(struct walk *walk, uint32_t level_index)
{
    const struct ib_book *book = walk->book;
    REQUIRE(walk, is_level(book, level_index), "the price index names a level");
    const struct ib_links *ring = ib_book_links(book, level_index);
    REQUIRE(walk, ring->next != level_index, "a level holds an order");
    uint32_t prev = level_index;
    uint64_t quantity = 0;
    uint64_t ref = 0;
    for (uint32_t name = ring->next; name != level_index; name = ib_book_links(book, name)->next) {
        uint32_t index = ib_index_of(name);
        REQUIRE(walk, name % IB_NAMES == 0 && is_live_index(&book->orders, index), "a level's link names an order");
        const struct ib_order *order = ib_book_order(book, index);
        REQUIRE(walk, order->links.prev == prev, "links agree both ways");
        REQUIRE(walk, order->level == level_index, "an order knows its level");
        REQUIRE(walk, ib_order_ref(order) > ref, "older orders come first");
        if (!check_order(walk, index)) {
            return 0;
        }
        ref = ib_order_ref(order);
        prev = name;
        quantity += ib_order_remaining(order);
    }
    REQUIRE(walk, ring->prev == prev, "the tail is the last order");
    REQUIRE(walk, ib_book_queue(book, level_index)->quantity == quantity, "a level sums its quantity");
    walk->levels += level_index < book->window_level; /* those of windows come out of no pool */
    if (walk->first_level == IB_NONE) {
        walk->first_level = level_index;
    }
    return 1;
}

/* A price of the index, the child of a leaf; or one of the window, and `leaf` is IB_NONE. */
static int check_price(struct walk *walk, uint32_t leaf, uint64_t key, uint32_t index)
{
    const struct ib_book *book = walk->book;
    REQUIRE(walk, key >= walk->lowest_key, "keys ascend along a side");
    walk->lowest_key = key;
    REQUIRE(walk, leaf == IB_NONE || (index < book->window_level && is_level(book, index)),
            "a price of the index has a level");
    const struct ib_level level = ib_book_level(book, index);
    REQUIRE(walk, level.key == key && level.side_index == walk->side_index, "a level knows its price and its side");
    REQUIRE(walk, level.leaf == leaf, "a level knows where it is found");
    return check_level(walk, index);
}

/* A node, and all below it. `prefix`: what the way to it says that its keys share, above the lowest `shift` bits; of
 * the root 0 and 64. Recursion is bounded: shift falls by at least five from node to node. */
static int check_node(struct walk *walk, uint32_t index, uint64_t prefix, uint32_t shift)
{
    const struct ib_book *book = walk->book;
    REQUIRE(walk, is_live_index(&book->nodes, index), "the price index links to nodes");
    const struct ib_price_node *node = ib_price_node_at(&book->nodes, index);
    REQUIRE(walk, node->shift < shift && node->shift % IB_DIGIT_BITS == 0, "shifts fall along the price index");
    REQUIRE(walk, (node->shift == 0) == (shift == IB_DIGIT_BITS), "each leaf hangs in a parent of leaves");
    REQUIRE(walk, shift == 64 || node->prefix >> (shift - node->shift - IB_DIGIT_BITS) == prefix,
            "a child lies below its digit");
    REQUIRE(walk, node->bitmap != 0, "no node is empty");
    REQUIRE(walk, node->shift <= IB_DIGIT_BITS || (node->bitmap & (node->bitmap - 1)) != 0, "a fork has two ways");
    walk->nodes++;
    walk->near_nodes += node->shift == IB_DIGIT_BITS && index == walk->side->near[node->prefix & 1] &&
                        node->prefix == walk->side->near_prefix[node->prefix & 1];
    REQUIRE(walk, walk->nodes <= book->nodes.in_use, "no more nodes in trees than in use");
    for (unsigned digit = 0; digit < IB_DIGITS; digit++) {
        uint32_t child = node->child[digit];
        uint64_t below = node->prefix << IB_DIGIT_BITS | digit;
        REQUIRE(walk, (child != IB_NONE) == ((node->bitmap & 1u << digit) != 0),
                "a node has children where its bits say so");
        if (child != IB_NONE && !(node->shift == 0 ? check_price(walk, index, below, child)
                                                   : check_node(walk, child, below, node->shift))) {
            return 0;
        }
    }
    return 1;
}

/* The bits of a window say where it has levels. */
static int check_window_bits(struct walk *walk, const struct ib_price_window *window)
{
    for (uint64_t i = 0; i < sizeof window->summary / sizeof *window->summary; i++) {
        uint64_t summary = 0;
        for (uint64_t word = i * 64; word < IB_WINDOW_KEYS / 64 && word < i * 64 + 64; word++) {
            summary |= (uint64_t)(window->bits[word] != 0) << word % 64;
        }
        REQUIRE(walk, window->summary[i] == summary, "a window's summary says which words have bits");
    }
    return 1;
}

static int check_window_price(struct walk *walk, const struct ib_price_window *window, uint64_t key)
{
    uint32_t index = ib_price_window_level(window, key);
    const struct ib_links *ring = ib_book_links(walk->book, index);
    if (ib_price_window_has(window, key)) {
        REQUIRE(walk, ib_price_index_find(walk->side, &walk->book->nodes, key) == IB_NONE,
                "a price is in the window or in the index");
        return check_price(walk, IB_NONE, key, index);
    }
    REQUIRE(walk, ib_book_queue(walk->book, index)->quantity == 0, "a level without a bit is empty");
    REQUIRE(walk, (ring->next == index && ring->prev == index) || (ring->next == IB_NONE && ring->prev == IB_NONE),
            "a level without a bit holds no order");
    return 1;
}

static int check_window(struct walk *walk, const struct ib_price_window *window)
{
    REQUIRE(walk, window->keys == IB_WINDOW_KEYS || (window->keys == 0 && ib_price_window_is_empty(window)),
            "a window is somewhere, or empty");
    if (ib_price_window_is_empty(window)) {
        return 1;
    }
    REQUIRE(walk, window->base > 0 && window->base <= IB_KEY_NONE - IB_WINDOW_KEYS, "a window lies among the prices");
    if (!check_window_bits(walk, window)) {
        return 0;
    }
    uint32_t first_in_index = walk->first_level;
    walk->first_level = IB_NONE;
    walk->lowest_key = 0;
    uint32_t levels_before = walk->side_index * (uint32_t)IB_WINDOW_KEYS;
    REQUIRE(walk, window->first == walk->book->window_level + levels_before * IB_WINDOW_STEP,
            "a window has levels of its own");
    for (uint64_t key = window->base; key < window->base + IB_WINDOW_KEYS; key++) {
        if (!check_window_price(walk, window, key)) {
            return 0;
        }
    }
    if (first_in_index != IB_NONE &&
        ib_book_level(walk->book, first_in_index).key < ib_book_level(walk->book, walk->first_level).key) {
        walk->first_level = first_in_index;
    }
    return 1;
}

/* What a window says of the level behind the best. */
static int check_second(struct walk *walk, const struct ib_price_index *side, const struct ib_price_window *window)
{
    if (window->keys == 0 || window->second_key == side->best_key) {
        return 1;
    }
    REQUIRE(walk, side->best != IB_NONE && side->root == IB_NONE, "who knows the second best knows all prices");
    uint32_t second = ib_book_level_from(walk->book, walk->side_index, side->best_key + 1);
    uint64_t second_key = second == IB_NONE ? IB_KEY_NONE : ib_book_level(walk->book, second).key;
    REQUIRE(walk, window->second_key == second_key, "a window knows the second best price, or that it does not");
    return 1;
}

static int check_side(struct walk *walk, const struct ib_price_index *side)
{
    const struct ib_book *book = walk->book;
    walk->first_level = IB_NONE;
    walk->lowest_key = 0;
    walk->side = side;
    walk->near_nodes = 0;
    if (side->root != IB_NONE && !check_node(walk, side->root, 0, 64)) {
        return 0;
    }
    for (unsigned near = 0; near < 2; near++) {
        REQUIRE(walk, (side->near[near] == IB_NONE) == (side->near_prefix[near] == UINT64_MAX),
                "a side knows the prefixes of its near nodes");
        walk->near_nodes -= side->near[near] != IB_NONE;
    }
    REQUIRE(walk, walk->near_nodes == 0, "a side's near nodes are its own");
    const struct ib_price_window *window = ib_book_window(book, walk->side_index);
    if (window != NULL && !check_window(walk, window)) {
        return 0;
    }
    REQUIRE(walk, side->best == walk->first_level, "the best level is the lowest key");
    uint64_t best_key = side->best == IB_NONE ? IB_KEY_NONE : ib_book_level(book, side->best).key;
    REQUIRE(walk, side->best_key == best_key, "a side knows the key of its best level");
    return window == NULL || check_second(walk, side, window);
}

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The heap of those that expire: nobody stands above who expires later. */
static int check_expiry(struct walk *walk)
{
    const struct ib_book *book = walk->book;
    REQUIRE(walk, walk->expiring == book->expiry_count, "the heap holds the orders that expire and no others");
    const struct ib_order_extra *extras = (const struct ib_order_extra *)(const void *)book->extras.slots;
    for (uint32_t place = 2; place <= book->expiry_count; place++) {
        const struct ib_order_extra *above = &extras[book->expiry[place / 2]];
        const struct ib_order_extra *below = &extras[book->expiry[place]];
        REQUIRE(walk, above->expire_time_ns < below->expire_time_ns ||
                          (above->expire_time_ns == below->expire_time_ns &&
                           ib_order_ref(ib_book_order(book, above->order)) <
                               ib_order_ref(ib_book_order(book, below->order))),
                "the heap is in order");
    }
    return 1;
}

static int check_instruments(struct walk *walk)
{
    const struct ib_book *book = walk->book;
    for (uint32_t i = 0; i < book->instrument_count; i++) {
        const struct ib_book_instrument *instrument = &book->instruments[i];
        const struct ib_book_rare *rare = &book->rare[i];
        uint32_t icebergs = walk->icebergs;
        for (uint32_t side = 0; side < 8; side++) {
            walk->side_index = side >> 1 << IB_PLACE_SHIFT | 2 * i | (side & 1);
            if (!check_side(walk, ib_book_any_side(book, walk->side_index))) {
                return 0;
            }
        }
        const struct ib_price_index *hidden = rare->sides[IB_PLACE_HIDDEN - 1];
        const struct ib_price_index *stops = rare->sides[IB_PLACE_STOP - 1];
        REQUIRE(walk, rare->icebergs == walk->icebergs - icebergs, "an instrument counts its icebergs");
        REQUIRE(walk,
                ((instrument->special & IB_SPECIAL_ICEBERGS) != 0) == (rare->icebergs != 0) &&
                    ((instrument->special & IB_SPECIAL_HIDDEN) != 0) == ((hidden[0].best | hidden[1].best) != 0) &&
                    ((instrument->special & IB_SPECIAL_STOPS) != 0) == ((stops[0].best | stops[1].best) != 0),
                "the path knows what rare orders an instrument has");
        if ((instrument->special & IB_SPECIAL_PHASE) == 0) {
            uint64_t bid = ~lower(instrument->sides[0].best_key, hidden[0].best_key);
            uint64_t ask = lower(instrument->sides[1].best_key, hidden[1].best_key);
            REQUIRE(walk, bid < ask, "the book is not crossed while it trades");
        }
    }
    REQUIRE(walk, walk->icebergs == book->iceberg_count && walk->parked == book->parked_count,
            "the book counts its icebergs and parked orders");
    return 1;
}

/* The table itself; whoever looks for an order relies on it. */
static int check_table(struct walk *walk)
{
    const struct ib_buckets *buckets = &walk->book->order_buckets;
    IB_ASSERT(buckets->heads != NULL);
    REQUIRE(walk, (buckets->mask & (buckets->mask + 1)) == 0 && buckets->mask < buckets->capacity,
            "buckets are a power of two");
    REQUIRE(walk, buckets->mask + 1 >= walk->book->orders.in_use, "there are buckets for all");
    for (uint32_t b = 0; b < IB_BUCKETS_MIN; b++) {
        REQUIRE(walk, buckets->heads[b] != IB_BUCKET_UNMADE, "the first buckets are made");
    }
    return 1;
}

static int check_order_buckets(struct walk *walk)
{
    const struct ib_book *book = walk->book;
    const struct ib_buckets *buckets = &book->order_buckets;
    uint32_t chained = 0;
    for (uint32_t b = 0; b <= buckets->mask; b++) {
        REQUIRE(walk,
                b < IB_BUCKETS_MIN || buckets->heads[b] == IB_BUCKET_UNMADE ||
                    buckets->heads[ib_buckets_parent(b)] != IB_BUCKET_UNMADE,
                "a bucket comes from one that is made");
        for (uint32_t index = buckets->heads[b]; index > IB_CHAIN_END; index = ib_book_chain(book, index)) {
            REQUIRE(walk, is_live_index(&book->orders, index), "a chain links orders");
            const struct ib_order *order = ib_book_order(book, index);
            uint32_t at = ib_book_order_scatter(ib_order_session(order), order->user_ref) & buckets->mask;
            while (buckets->heads[at] == IB_BUCKET_UNMADE) {
                at = ib_buckets_parent(at);
            }
            REQUIRE(walk, at == b, "an order is in its bucket");
            chained++;
            REQUIRE(walk, chained <= book->orders.in_use, "no chain is a ring");
        }
    }
    REQUIRE(walk, chained == walk->orders, "the id index holds the book's orders and no others");
    return 1;
}

static int check_pool(struct walk *walk, const struct ib_pool *pool, uint32_t seen)
{
    IB_ASSERT(pool->capacity > 0);
    REQUIRE(walk, pool->in_use == seen, "what is in use is reachable: nothing leaks");
    REQUIRE(walk, pool->in_use <= pool->capacity, "no pool holds more than its capacity");
    REQUIRE(walk, (uint64_t)ib_pool_count_free(pool) + pool->in_use + pool->first == pool->fresh,
            "each slot handed out is in use or free");
    return 1;
}

static int is_blank_node(const struct ib_price_node *node)
{
    uint32_t any = node->bitmap;
    IB_ASSERT(node != NULL);
    for (unsigned digit = 0; digit < IB_DIGITS; digit++) {
        any |= node->child[digit];
    }
    return any == 0;
}

/* Nobody clears a node that comes into use, and whoever only looks for a level reads the children of node IB_NONE. The
 * list of free nodes was found to be whole. */
static int check_blank_nodes(struct walk *walk)
{
    const struct ib_pool *nodes = &walk->book->nodes;
    IB_ASSERT(ib_pool_count_free(nodes) != UINT32_MAX);
    REQUIRE(walk, is_blank_node(ib_price_node_at(nodes, IB_NONE)), "node IB_NONE has no children");
    for (uint32_t index = nodes->free_head; index != IB_NONE;) {
        REQUIRE(walk, is_blank_node(ib_price_node_at(nodes, index)), "a node that is not in use is blank");
        memcpy(&index, ib_price_node_at(nodes, index), sizeof index);
    }
    return 1;
}

int ib_book_check(const struct ib_book *book, char *text, size_t text_size)
{
    IB_ASSERT(book != NULL && text != NULL);
    struct walk walk = {.book = book};
    int sound = check_table(&walk) && check_instruments(&walk) && check_order_buckets(&walk) &&
                check_pool(&walk, &book->orders, walk.orders) && check_pool(&walk, &book->levels, walk.levels) &&
                check_pool(&walk, &book->nodes, walk.nodes) && check_pool(&walk, &book->cold, walk.cold) &&
                check_pool(&walk, &book->extras, walk.extras) && check_blank_nodes(&walk) && check_expiry(&walk);
    if (sound && walk.hash != book->hash) {
        walk.broken = "the hash is the sum over all orders";
        sound = 0;
    }
    if (!sound) {
        (void)snprintf(text, text_size, "book: broken invariant: %s", walk.broken);
        return IB_ERROR_ARGUMENT;
    }
    return IB_OK;
}
