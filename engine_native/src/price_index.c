/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.c: see price_index.h.
 */
#include "price_index.h"

#define DIGIT_BITS 6
#define DEPTH_MAX 11 /* ceil(64 / 6) */

static uint64_t bit(unsigned digit)
{
    IB_ASSERT(digit < 64);
    return (uint64_t)1 << digit;
}

static uint32_t new_leaf(struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(!ib_pool_is_full(nodes));
    uint32_t index = ib_pool_take(nodes, sizeof(struct ib_price_node));
    struct ib_price_node *leaf = ib_price_node_at(nodes, index);
    leaf->bitmap = 0; /* children are valid only where the bitmap says so: no need to clear them */
    leaf->prefix = key >> DIGIT_BITS;
    leaf->shift = 0;
    return index;
}

/* Puts a fork above `node`, which does not cover `key`, and returns the new leaf on the fork's other side. */
static uint32_t fork_above(struct ib_pool *nodes, uint32_t *link, uint64_t key)
{
    IB_ASSERT(!ib_price_node_covers(ib_price_node_at(nodes, *link), key));
    uint32_t below = *link;
    const struct ib_price_node *node = ib_price_node_at(nodes, below);
    uint64_t node_key = node->prefix << DIGIT_BITS << node->shift; /* the lowest key that it covers */
    unsigned top_bit = 63u - (unsigned)__builtin_clzll(key ^ node_key);
    unsigned shift = top_bit / DIGIT_BITS * DIGIT_BITS;
    IB_ASSERT(shift > node->shift);

    uint32_t leaf = new_leaf(nodes, key);
    uint32_t index = ib_pool_take(nodes, sizeof(struct ib_price_node));
    struct ib_price_node *fork = ib_price_node_at(nodes, index);
    fork->shift = shift;
    fork->prefix = key >> shift >> DIGIT_BITS;
    unsigned old_digit = ib_price_node_digit(fork, node_key);
    unsigned new_digit = ib_price_node_digit(fork, key);
    IB_ASSERT(old_digit != new_digit);
    fork->bitmap = bit(old_digit) | bit(new_digit);
    fork->child[old_digit] = below;
    fork->child[new_digit] = leaf;
    *link = index;
    return leaf;
}

/* The leaf that covers `key`, made when it does not exist. */
static uint32_t leaf_for(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL);
    uint32_t *link = &index->root;
    if (*link == IB_NONE) {
        *link = new_leaf(nodes, key);
        return *link;
    }
    for (int depth = 0; depth <= DEPTH_MAX; depth++) {
        struct ib_price_node *node = ib_price_node_at(nodes, *link);
        if (!ib_price_node_covers(node, key)) {
            return fork_above(nodes, link, key);
        }
        if (node->shift == 0) {
            return *link;
        }
        unsigned digit = ib_price_node_digit(node, key);
        if ((node->bitmap & bit(digit)) == 0) {
            uint32_t leaf = new_leaf(nodes, key);
            node->bitmap |= bit(digit);
            node->child[digit] = leaf;
            return leaf;
        }
        link = &node->child[digit];
    }
    IB_ASSERT(!"a radix tree of 64-bit keys is at most 11 deep");
    return IB_NONE;
}

uint32_t *ib_price_index_place(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(key != IB_KEY_NONE);
    struct ib_price_node *leaf = ib_price_node_at(nodes, leaf_for(index, nodes, key));
    IB_ASSERT(leaf->shift == 0 && ib_price_node_covers(leaf, key));
    unsigned digit = ib_price_node_digit(leaf, key);
    if ((leaf->bitmap & bit(digit)) == 0) {
        leaf->bitmap |= bit(digit);
        leaf->child[digit] = IB_NONE;
    }
    return &leaf->child[digit];
}

uint32_t ib_price_index_find(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL);
    IB_ASSERT(nodes != NULL);
    uint32_t at = index->root;
    for (int depth = 0; at != IB_NONE && depth <= DEPTH_MAX; depth++) {
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        unsigned digit = ib_price_node_digit(node, key);
        if (!ib_price_node_covers(node, key) || (node->bitmap & bit(digit)) == 0) {
            return IB_NONE;
        }
        if (node->shift == 0) {
            return node->child[digit];
        }
        at = node->child[digit];
    }
    return IB_NONE;
}

/* Takes an emptied leaf out of the tree, and the fork above it when only one way is left. */
static void prune(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index->root != IB_NONE);
    uint32_t *parent_link = NULL;
    uint32_t *link = &index->root;
    while (ib_price_node_at(nodes, *link)->shift != 0) {
        struct ib_price_node *node = ib_price_node_at(nodes, *link);
        parent_link = link;
        link = &node->child[ib_price_node_digit(node, key)];
    }
    uint32_t leaf = *link;
    IB_ASSERT(ib_price_node_at(nodes, leaf)->bitmap == 0);
    ib_pool_give(nodes, leaf, sizeof(struct ib_price_node));
    if (parent_link == NULL) {
        index->root = IB_NONE;
        return;
    }
    uint32_t fork = *parent_link;
    struct ib_price_node *node = ib_price_node_at(nodes, fork);
    node->bitmap &= ~bit(ib_price_node_digit(node, key));
    IB_ASSERT(node->bitmap != 0);
    if ((node->bitmap & (node->bitmap - 1)) == 0) {
        *parent_link = node->child[__builtin_ctzll(node->bitmap)];
        ib_pool_give(nodes, fork, sizeof(struct ib_price_node));
    }
}

void ib_price_index_remove(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index->root != IB_NONE);
    uint32_t at = index->root;
    while (ib_price_node_at(nodes, at)->shift != 0) {
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        at = node->child[ib_price_node_digit(node, key)];
    }
    struct ib_price_node *leaf = ib_price_node_at(nodes, at);
    unsigned digit = ib_price_node_digit(leaf, key);
    IB_ASSERT(ib_price_node_covers(leaf, key));
    IB_ASSERT((leaf->bitmap & bit(digit)) != 0);
    leaf->bitmap &= ~bit(digit);
    if (leaf->bitmap == 0) {
        prune(index, nodes, key);
    }
}

static uint32_t lowest_below(const struct ib_pool *nodes, uint32_t at)
{
    IB_ASSERT(at != IB_NONE);
    for (;;) {
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        IB_ASSERT(node->bitmap != 0);
        uint32_t child = node->child[__builtin_ctzll(node->bitmap)];
        if (node->shift == 0) {
            return child;
        }
        at = child;
    }
}

void ib_price_index_find_best(struct ib_price_index *index, const struct ib_pool *nodes)
{
    IB_ASSERT(index != NULL);
    index->best = IB_NONE;
    index->best_key = IB_KEY_NONE;
    for (uint32_t at = index->root; at != IB_NONE;) {
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        IB_ASSERT(node->bitmap != 0);
        unsigned digit = (unsigned)__builtin_ctzll(node->bitmap);
        at = node->child[digit];
        if (node->shift == 0) {
            index->best = at;
            index->best_key = node->prefix << DIGIT_BITS | digit;
            return;
        }
    }
}

uint32_t ib_price_index_above(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL);
    IB_ASSERT(nodes != NULL);
    uint32_t candidate = IB_NONE; /* the nearest subtree, or level, that lies above all of the path */
    int candidate_is_level = 0;
    uint32_t at = index->root;
    while (at != IB_NONE) {
        const struct ib_price_node *node = ib_price_node_at(nodes, at);
        if (!ib_price_node_covers(node, key)) {
            if (node->prefix > key >> node->shift >> DIGIT_BITS) {
                return lowest_below(nodes, at);
            }
            break;
        }
        unsigned digit = ib_price_node_digit(node, key);
        uint64_t above = digit == 63 ? 0 : node->bitmap & (~(uint64_t)0 << (digit + 1));
        if (above != 0) {
            candidate = node->child[__builtin_ctzll(above)];
            candidate_is_level = node->shift == 0;
        }
        at = node->shift != 0 && (node->bitmap & bit(digit)) != 0 ? node->child[digit] : IB_NONE;
    }
    if (candidate == IB_NONE || candidate_is_level) {
        return candidate;
    }
    return lowest_below(nodes, candidate);
}
