/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.c: see price_index.h.
 */
#include "price_index.h"

#include "ironbook.h"

#define DIGIT_BITS 6
#define DEPTH_MAX 11 /* ceil(64 / 6) */

int ib_price_nodes_open(struct ib_price_nodes *nodes, uint32_t keys)
{
    IB_ASSERT(nodes != NULL);
    IB_ASSERT(keys > 0 && keys < IB_NODE_LEAF);
    *nodes = (struct ib_price_nodes){0};
    int status = ib_pool_open(&nodes->leaves, sizeof(struct ib_price_leaf), keys);
    return status == IB_OK ? ib_pool_open(&nodes->forks, sizeof(struct ib_price_fork), keys) : status;
}

void ib_price_nodes_close(struct ib_price_nodes *nodes)
{
    IB_ASSERT(nodes != NULL);
    ib_pool_close(&nodes->forks);
    ib_pool_close(&nodes->leaves);
}

static uint32_t new_leaf(struct ib_price_nodes *nodes, uint64_t key)
{
    IB_ASSERT(!ib_pool_is_full(&nodes->leaves));
    uint32_t node = ib_pool_take(&nodes->leaves, sizeof(struct ib_price_leaf)) | IB_NODE_LEAF;
    *ib_price_leaf_at(nodes, node) = (struct ib_price_leaf){.bitmap = ib_price_bit(key), .prefix = key >> DIGIT_BITS};
    return node;
}

/* Puts a fork above the node at `link`, whose lowest possible key is `node_key` and which does not cover `key`. */
static void fork_above(struct ib_price_nodes *nodes, uint32_t *link, uint64_t node_key, uint64_t key)
{
    IB_ASSERT(*link != IB_NONE && node_key != key);
    IB_ASSERT(!ib_pool_is_full(&nodes->forks));
    uint32_t below = *link;
    unsigned top_bit = 63u - (unsigned)__builtin_clzll(key ^ node_key);
    unsigned shift = top_bit / DIGIT_BITS * DIGIT_BITS;
    IB_ASSERT(shift >= DIGIT_BITS);
    uint32_t leaf = new_leaf(nodes, key);
    uint32_t index = ib_pool_take(&nodes->forks, sizeof(struct ib_price_fork));
    struct ib_price_fork *fork = ib_price_fork_at(nodes, index);
    fork->shift = shift;
    fork->prefix = key >> shift >> DIGIT_BITS;
    unsigned old_digit = ib_price_fork_digit(fork, node_key);
    unsigned new_digit = ib_price_fork_digit(fork, key);
    IB_ASSERT(old_digit != new_digit);
    /* Children are valid only where the bitmap says so: no need to clear them. */
    fork->bitmap = ib_price_bit(old_digit) | ib_price_bit(new_digit);
    fork->child[old_digit] = below;
    fork->child[new_digit] = leaf;
    *link = index;
}

/* Adds a key that has no leaf. */
void ib_price_index_grow(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key)
{
    IB_ASSERT(key != IB_KEY_NONE);
    uint32_t *link = &index->root;
    while (*link != IB_NONE && !ib_price_node_is_leaf(*link)) {
        struct ib_price_fork *fork = ib_price_fork_at(nodes, *link);
        if (!ib_price_fork_covers(fork, key)) {
            fork_above(nodes, link, fork->prefix << DIGIT_BITS << fork->shift, key);
            return;
        }
        unsigned digit = ib_price_fork_digit(fork, key);
        link = &fork->child[digit];
        if ((fork->bitmap & ib_price_bit(digit)) == 0) {
            fork->bitmap |= ib_price_bit(digit);
            *link = IB_NONE;
        }
    }
    if (*link == IB_NONE) {
        *link = new_leaf(nodes, key);
        return;
    }
    const struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, *link);
    IB_ASSERT(leaf->prefix != key >> DIGIT_BITS);
    fork_above(nodes, link, leaf->prefix << DIGIT_BITS, key);
}

/* Takes the emptied leaf of `key` out of the tree, and the fork above it when only one way is left. */
void ib_price_index_prune(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key)
{
    IB_ASSERT(index->root != IB_NONE);
    uint32_t *parent_link = NULL;
    uint32_t *link = &index->root;
    while (!ib_price_node_is_leaf(*link)) {
        struct ib_price_fork *fork = ib_price_fork_at(nodes, *link);
        IB_EXPECT(ib_price_fork_covers(fork, key));
        parent_link = link;
        link = &fork->child[ib_price_fork_digit(fork, key)];
    }
    IB_ASSERT(ib_price_leaf_at(nodes, *link)->bitmap == 0);
    ib_pool_give(&nodes->leaves, *link & ~IB_NODE_LEAF, sizeof(struct ib_price_leaf));
    if (parent_link == NULL) {
        index->root = IB_NONE;
        return;
    }
    uint32_t parent = *parent_link;
    struct ib_price_fork *fork = ib_price_fork_at(nodes, parent);
    fork->bitmap &= ~ib_price_bit(ib_price_fork_digit(fork, key));
    if ((fork->bitmap & (fork->bitmap - 1)) == 0) { /* one way is no fork */
        *parent_link = fork->child[__builtin_ctzll(fork->bitmap)];
        ib_pool_give(&nodes->forks, parent, sizeof(struct ib_price_fork));
    }
}

static uint64_t lowest_below(const struct ib_price_nodes *nodes, uint32_t node)
{
    IB_ASSERT(node != IB_NONE);
    while (!ib_price_node_is_leaf(node)) {
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, node);
        IB_EXPECT(fork->bitmap != 0);
        node = fork->child[__builtin_ctzll(fork->bitmap)];
    }
    const struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, node);
    IB_EXPECT(leaf->bitmap != 0);
    return leaf->prefix << DIGIT_BITS | (unsigned)__builtin_ctzll(leaf->bitmap);
}

uint64_t ib_price_index_from(const struct ib_price_index *index, const struct ib_price_nodes *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    uint32_t above = IB_NONE; /* the nearest subtree that lies above all of the path */
    uint32_t at = index->root;
    for (int depth = 0; at != IB_NONE && !ib_price_node_is_leaf(at); depth++) {
        IB_ASSERT(depth < DEPTH_MAX);
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, at);
        if (!ib_price_fork_covers(fork, key)) {
            above = fork->prefix > key >> fork->shift >> DIGIT_BITS ? at : above;
            at = IB_NONE;
            break;
        }
        unsigned digit = ib_price_fork_digit(fork, key);
        uint64_t higher = fork->bitmap & ~(ib_price_bit(digit) | (ib_price_bit(digit) - 1));
        above = higher != 0 ? fork->child[__builtin_ctzll(higher)] : above;
        at = (fork->bitmap & ib_price_bit(digit)) != 0 ? fork->child[digit] : IB_NONE;
    }
    if (at != IB_NONE) {
        const struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, at);
        uint64_t higher = leaf->prefix == key >> DIGIT_BITS ? leaf->bitmap & ~(ib_price_bit(key) - 1)
                          : leaf->prefix > key >> DIGIT_BITS ? leaf->bitmap : 0;
        if (higher != 0) {
            return leaf->prefix << DIGIT_BITS | (unsigned)__builtin_ctzll(higher);
        }
    }
    return above == IB_NONE ? IB_KEY_NONE : lowest_below(nodes, above);
}

static uint64_t highest_below(const struct ib_price_nodes *nodes, uint32_t node)
{
    IB_ASSERT(node != IB_NONE);
    while (!ib_price_node_is_leaf(node)) {
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, node);
        IB_EXPECT(fork->bitmap != 0);
        node = fork->child[63 - __builtin_clzll(fork->bitmap)];
    }
    const struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, node);
    IB_EXPECT(leaf->bitmap != 0);
    return leaf->prefix << DIGIT_BITS | (63u - (unsigned)__builtin_clzll(leaf->bitmap));
}

uint64_t ib_price_index_to(const struct ib_price_index *index, const struct ib_price_nodes *nodes, uint64_t key)
{
    IB_ASSERT(index != NULL && nodes != NULL);
    uint32_t below = IB_NONE; /* the nearest subtree that lies below all of the path */
    uint32_t at = index->root;
    for (int depth = 0; at != IB_NONE && !ib_price_node_is_leaf(at); depth++) {
        IB_ASSERT(depth < DEPTH_MAX);
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, at);
        if (!ib_price_fork_covers(fork, key)) {
            below = fork->prefix < key >> fork->shift >> DIGIT_BITS ? at : below;
            at = IB_NONE;
            break;
        }
        unsigned digit = ib_price_fork_digit(fork, key);
        uint64_t lower = fork->bitmap & (ib_price_bit(digit) - 1);
        below = lower != 0 ? fork->child[63 - __builtin_clzll(lower)] : below;
        at = (fork->bitmap & ib_price_bit(digit)) != 0 ? fork->child[digit] : IB_NONE;
    }
    if (at != IB_NONE) {
        const struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, at);
        uint64_t upto = ib_price_bit(key) | (ib_price_bit(key) - 1);
        uint64_t lower = leaf->prefix == key >> DIGIT_BITS ? leaf->bitmap & upto
                         : leaf->prefix < key >> DIGIT_BITS ? leaf->bitmap : 0;
        if (lower != 0) {
            return leaf->prefix << DIGIT_BITS | (63u - (unsigned)__builtin_clzll(lower));
        }
    }
    return below == IB_NONE ? IB_KEY_NONE : highest_below(nodes, below);
}
