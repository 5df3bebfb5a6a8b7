/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.c: see price_index.h.
 */
#include "price_index.h"

#include "ironbook.h"

#define PARENT_SHIFT IB_DIGIT_BITS /* of a node whose children are leaves */
#define DEPTH_MAX 12               /* nodes on a path, the leaf not counted: 64 / IB_DIGIT_BITS */

int ib_price_nodes_open(struct ib_pool *nodes, uint32_t keys)
{
    IB_ASSERT(nodes != NULL);
    IB_ASSERT(keys > 0 && keys <= IB_ORDERS_MAX);
    return ib_pool_open(nodes, sizeof(struct ib_price_node), 3 * keys);
}

static int covers(const struct ib_price_node *node, uint64_t key)
{
    return key >> node->shift >> IB_DIGIT_BITS == node->prefix;
}

/* The parent of a key's leaf becomes a near one. */
static void set_near(struct ib_price_index *index, uint32_t parent, uint64_t key)
{
    uint64_t prefix = key >> IB_PARENT_BITS;
    IB_ASSERT(parent != IB_NONE);
    index->near[prefix & 1] = parent;
    index->near_prefix[prefix & 1] = prefix;
}

/* The parent of a key's leaf, when it is a near one. */
static uint32_t near_parent(const struct ib_price_index *index, uint64_t key)
{
    uint64_t prefix = key >> IB_PARENT_BITS;
    IB_ASSERT(key != IB_KEY_NONE);
    return index->near_prefix[prefix & 1] == prefix ? index->near[prefix & 1] : (uint32_t)IB_NONE;
}

/* The parent of a key's leaf, or IB_NONE. */
static uint32_t find_parent(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    uint32_t at = index->root;
    for (int depth = 0; at != IB_NONE; depth++) {
        IB_ASSERT(depth < DEPTH_MAX);
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        IB_ASSERT(node->shift >= PARENT_SHIFT);
        if (!covers(node, key)) {
            return IB_NONE;
        }
        if (node->shift == PARENT_SHIFT) {
            return at;
        }
        at = node->child[ib_price_digit(key, node->shift)];
    }
    return IB_NONE;
}

uint32_t ib_price_index_find(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    const struct ib_price_node *parent = ib_price_node_at(nodes, find_parent(index, nodes, key));
    return ib_price_leaf_level(nodes, parent->child[ib_price_digit(key, PARENT_SHIFT)], key);
}

uint32_t ib_price_index_approach(struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    uint32_t parent = find_parent(index, nodes, key);
    if (parent == IB_NONE) {
        return IB_NONE;
    }
    set_near(index, parent, key);
    return ib_price_node_at(nodes, parent)->child[ib_price_digit(key, PARENT_SHIFT)];
}

static uint32_t new_node(struct ib_pool *nodes, uint64_t key, uint32_t shift)
{
    IB_ASSERT(shift % IB_DIGIT_BITS == 0 && shift < 64);
    IB_ASSERT(!ib_pool_is_full(nodes));
    uint32_t index = ib_pool_take(nodes, sizeof(struct ib_price_node));
    struct ib_price_node *node = ib_price_node_at(nodes, index);
    node->prefix = key >> shift >> IB_DIGIT_BITS;
    node->shift = shift;
    IB_EXPECT(node->bitmap == 0);
    return index;
}

static void set_child(struct ib_price_node *node, uint64_t key, uint32_t child)
{
    IB_ASSERT(child != IB_NONE);
    unsigned digit = ib_price_digit(key, node->shift);
    node->bitmap |= 1u << digit;
    node->child[digit] = child;
}

static void unset_child(struct ib_price_node *node, uint64_t key)
{
    unsigned digit = ib_price_digit(key, node->shift);
    IB_ASSERT((node->bitmap & 1u << digit) != 0);
    node->bitmap &= ~(1u << digit);
    node->child[digit] = IB_NONE;
}

/* Puts a fork above the node at `link`, which does not cover `key`. */
static void fork_above(struct ib_pool *nodes, uint32_t *link, uint64_t key)
{
    const struct ib_price_node *below = ib_price_node_at(nodes, *link);
    uint64_t below_key = below->prefix << IB_DIGIT_BITS << below->shift; /* the lowest that it can hold */
    IB_ASSERT(!covers(below, key));
    unsigned top_bit = 63u - (unsigned)__builtin_clzll(key ^ below_key);
    IB_ASSERT(top_bit >= below->shift + IB_DIGIT_BITS);
    uint32_t fork = new_node(nodes, key, top_bit / IB_DIGIT_BITS * IB_DIGIT_BITS);
    set_child(ib_price_node_at(nodes, fork), below_key, *link);
    *link = fork;
}

/* The parent of a key's leaf, made where there is none. */
static uint32_t make_parent(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    uint32_t *link = &index->root;
    for (int depth = 0; *link != IB_NONE; depth++) {
        IB_ASSERT(depth < DEPTH_MAX);
        if (!covers(ib_price_node_at(nodes, *link), key)) {
            fork_above(nodes, link, key);
        }
        struct ib_price_node *node = ib_price_node_at(nodes, *link);
        if (node->shift == PARENT_SHIFT) {
            return *link;
        }
        unsigned digit = ib_price_digit(key, node->shift);
        node->bitmap |= 1u << digit;
        link = &node->child[digit];
    }
    *link = new_node(nodes, key, PARENT_SHIFT);
    return *link;
}

uint32_t ib_price_index_grow(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(key != IB_KEY_NONE);
    IB_ASSERT(index != NULL);
    uint32_t parent = near_parent(index, key);
    if (parent == IB_NONE) {
        parent = make_parent(index, nodes, key);
        set_near(index, parent, key);
    }
    uint32_t leaf = new_node(nodes, key, 0);
    set_child(ib_price_node_at(nodes, parent), key, leaf);
    return leaf;
}

/* ---- what comes next ---- */

/* Level of the lowest (`upwards`) or the highest key below a node. */
static uint32_t end_below(const struct ib_pool *nodes, uint32_t at, int upwards)
{
    for (int depth = 0;; depth++) {
        IB_ASSERT(depth <= DEPTH_MAX);
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        IB_ASSERT(node->bitmap != 0);
        at = node->child[upwards ? __builtin_ctz(node->bitmap) : 31 - __builtin_clz(node->bitmap)];
        if (node->shift == 0) {
            return at;
        }
    }
}

/* Takes the parent of leaves that `key` led to, and that has none left, out of the tree, and then the fork above when
 * only one way is left. */
static void drop_parent(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index->root != IB_NONE);
    uint32_t *fork_link = NULL;
    uint32_t *link = &index->root;
    struct ib_price_node *node = ib_price_node_at(nodes, *link);
    while (node->shift != PARENT_SHIFT) {
        IB_ASSERT(covers(node, key));
        fork_link = link;
        link = &node->child[ib_price_digit(key, node->shift)];
        node = ib_price_node_at(nodes, *link);
    }
    unsigned near = key >> IB_PARENT_BITS & 1;
    if (index->near[near] == *link) {
        index->near[near] = IB_NONE;
        index->near_prefix[near] = UINT64_MAX;
    }
    ib_pool_give(nodes, *link, sizeof *node);
    if (fork_link == NULL) {
        index->root = IB_NONE;
        return;
    }
    uint32_t fork = *fork_link;
    node = ib_price_node_at(nodes, fork);
    unset_child(node, key);
    if ((node->bitmap & (node->bitmap - 1)) == 0) { /* one way is no fork */
        unsigned digit = (unsigned)__builtin_ctz(node->bitmap);
        *fork_link = node->child[digit];
        node->child[digit] = IB_NONE;
        node->bitmap = 0;
        ib_pool_give(nodes, fork, sizeof *node);
    }
}

uint32_t ib_price_index_prune(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    uint32_t parent_index = near_parent(index, key);
    parent_index = parent_index != IB_NONE ? parent_index : find_parent(index, nodes, key);
    IB_ASSERT(parent_index != IB_NONE);
    struct ib_price_node *parent = ib_price_node_at(nodes, parent_index);
    ib_pool_give(nodes, parent->child[ib_price_digit(key, PARENT_SHIFT)], sizeof *parent);
    unset_child(parent, key);
    if (parent->bitmap == 0) {
        drop_parent(index, nodes, key);
        return IB_NONE;
    }
    const struct ib_price_node *leaf = ib_price_node_at(nodes, parent->child[__builtin_ctz(parent->bitmap)]);
    return leaf->child[__builtin_ctz(leaf->bitmap)];
}

/* Level of the nearest key at `key` or beyond it. */
static uint32_t beyond(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key, int upwards)
{
    uint32_t farther = IB_NONE; /* the nearest node that lies beyond the path: all of its keys do */
    uint32_t at = index->root;
    for (int depth = 0; at != IB_NONE; depth++) {
        IB_ASSERT(depth <= DEPTH_MAX);
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        if (!covers(node, key)) {
            farther = (node->prefix > key >> node->shift >> IB_DIGIT_BITS) == upwards ? at : farther;
            break;
        }
        unsigned digit = ib_price_digit(key, node->shift);
        uint32_t lower = (1u << digit) - 1;
        uint32_t ways = node->bitmap & (upwards ? ~(lower | 1u << digit) : lower);
        unsigned nearest = ways == 0 ? 0 : (unsigned)(upwards ? __builtin_ctz(ways) : 31 - __builtin_clz(ways));
        at = node->child[digit];
        if (node->shift == 0) {
            at = at == IB_NONE && ways != 0 ? node->child[nearest] : at;
            if (at != IB_NONE) {
                return at;
            }
        } else if (ways != 0) {
            farther = node->child[nearest];
        }
    }
    return farther == IB_NONE ? IB_NONE : end_below(nodes, farther, upwards);
}

uint32_t ib_price_index_from(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    return beyond(index, nodes, key, 1);
}

uint32_t ib_price_index_to(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    return beyond(index, nodes, key, 0);
}
