/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.h: the prices of one side, as 64-bit keys in order, and the level of each. It answers which level a price
 * has, and which price comes next.
 *
 * A radix tree of 32-way nodes. A leaf holds 32 neighbouring keys; each leaf hangs in a node of its own 1,024; above
 * those, a path without a fork has no nodes:
 *
 *   root ─► [ shift 15: 0 and 5 ]            a fork only where keys differ
 *              │0             │5
 *              ▼              ▼
 *        ┌► [ shift 5 ]    [ shift 5 ]       one for each 1,024 ticks in use
 *   near ┘     │3   │4        │31
 *              ▼    ▼         ▼
 *           [ leaf ] [ leaf ] [ leaf: shift 0, a level for each of 32 ticks ]
 *
 * `near` are two parents of leaves that were used last, one with an even and one with an odd prefix, so that neighbours
 * are remembered together. Orders come in where others came in before: most that ask for their level compare one prefix
 * and take two steps, whatever the rest of the tree looks like. A far price, anywhere in 64 bits, adds at most three
 * nodes: it costs memory only while it is used, and nothing to the others. Depth is at most 13 and no window is ever
 * moved. The lowest key is found by counting trailing zeros on the way down.
 *
 * L keys need at most L leaves, L parents of leaves and L - 1 forks above: the pool holds as many and cannot run out
 * first.
 */
#ifndef IB_PRICE_INDEX_H
#define IB_PRICE_INDEX_H

#include "pool.h"

/* No price may have it: it is the lowest key of an empty side. */
#define IB_KEY_NONE UINT64_MAX

enum {
    IB_DIGIT_BITS = 5,
    IB_DIGITS = 1 << IB_DIGIT_BITS,
    IB_PARENT_BITS = 2 * IB_DIGIT_BITS, /* of a key, below the prefix of a parent of leaves */
};

/* A child is a node, or a level where `shift` is 0. Where there is none, the array says IB_NONE, too; and node IB_NONE
 * is one without children. So whoever only asks need not look at the bits, and a node that is not in use, or never was,
 * needs no clearing. */
struct ib_price_node {
    uint64_t prefix; /* what all keys below share: key >> shift >> IB_DIGIT_BITS */
    uint32_t bitmap; /* which children there are: two at least where `shift` is above IB_DIGIT_BITS, else one */
    uint32_t shift;  /* 0, 5 … 60: where this node's five bits of the key begin */
    uint32_t child[IB_DIGITS];
};

/* One side's index. Empty: ib_price_index_clear. */
struct ib_price_index {
    uint64_t best_key;       /* the lowest key, or IB_KEY_NONE: one comparison tells whether an order can trade */
    uint64_t near_prefix[2]; /* of `near`; without one, a number that no key has */
    uint32_t near[2];        /* parents of leaves, by the lowest bit of their prefix; or IB_NONE */
    uint32_t best;           /* level of the lowest key, or IB_NONE; like best_key the book's */
    uint32_t root;           /* a node that is no leaf, or IB_NONE */
};

/* The nodes of all price indexes, for at most `keys` keys. */
int ib_price_nodes_open(struct ib_pool *nodes, uint32_t keys); /* enum ib_status */

/* The level of a key, or IB_NONE; the index is not changed. */
uint32_t ib_price_index_find(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);
/* The level of the lowest key at or above `key`, of the highest at or below it; IB_NONE when there is none. */
uint32_t ib_price_index_from(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);
uint32_t ib_price_index_to(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);

/* For the functions below: what does not happen to every order. The first two return the leaf of a key, and make its
 * parent a near one; _approach returns IB_NONE when there is no leaf. _prune takes the emptied leaf of a key away, and
 * returns what ib_price_index_remove does. */
uint32_t ib_price_index_approach(struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);
uint32_t ib_price_index_grow(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key);
uint32_t ib_price_index_prune(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key);

static inline void ib_price_index_clear(struct ib_price_index *index)
{
    *index = (struct ib_price_index){.best_key = IB_KEY_NONE, .near_prefix = {UINT64_MAX, UINT64_MAX}};
}

IB_INLINE struct ib_price_node *ib_price_node_at(const struct ib_pool *nodes, uint32_t node)
{
    return (struct ib_price_node *)(void *)nodes->slots + node;
}

/* Which child of a node leads to `key`. */
IB_INLINE unsigned ib_price_digit(uint64_t key, unsigned shift)
{
    return (unsigned)(key >> shift) % IB_DIGITS;
}

/* The leaf where a key is or would be, or IB_NONE. */
IB_INLINE uint32_t ib_price_index_leaf(struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key)
{
    uint64_t prefix = key >> IB_PARENT_BITS;
    if (!IB_LIKELY(prefix == index->near_prefix[prefix & 1])) {
        return ib_price_index_approach(index, nodes, key);
    }
    return ib_price_node_at(nodes, index->near[prefix & 1])->child[ib_price_digit(key, IB_DIGIT_BITS)];
}

/* Level of a key in its leaf, which may be IB_NONE, as the level may. */
IB_INLINE uint32_t ib_price_leaf_level(const struct ib_pool *nodes, uint32_t leaf, uint64_t key)
{
    return ib_price_node_at(nodes, leaf)->child[ib_price_digit(key, 0)];
}

/* `key` must not exist; `leaf` as ib_price_index_leaf has it. Returns the leaf that holds the key now. */
IB_INLINE uint32_t ib_price_index_add(struct ib_price_index *index, struct ib_pool *nodes, uint32_t leaf, uint64_t key,
                                      uint32_t level)
{
    IB_EXPECT(key != IB_KEY_NONE && level != IB_NONE && ib_price_leaf_level(nodes, leaf, key) == IB_NONE);
    if (leaf == IB_NONE) {
        leaf = ib_price_index_grow(index, nodes, key);
    }
    struct ib_price_node *at = ib_price_node_at(nodes, leaf);
    at->bitmap |= 1u << ib_price_digit(key, 0);
    at->child[ib_price_digit(key, 0)] = level;
    return leaf;
}

/* `key` must exist, in `leaf`. The level of the lowest key that is left in the leaf, or, when that is gone, below its
 * parent; IB_NONE when both are. So it is the next best level when `key` was the best. */
IB_INLINE uint32_t ib_price_index_remove(struct ib_price_index *index, struct ib_pool *nodes, uint32_t leaf,
                                         uint64_t key)
{
    struct ib_price_node *at = ib_price_node_at(nodes, leaf);
    IB_EXPECT(at->prefix == key >> IB_DIGIT_BITS && ib_price_leaf_level(nodes, leaf, key) != IB_NONE);
    at->bitmap &= ~(1u << ib_price_digit(key, 0));
    at->child[ib_price_digit(key, 0)] = IB_NONE;
    if (at->bitmap == 0) {
        return ib_price_index_prune(index, nodes, key);
    }
    return at->child[__builtin_ctz(at->bitmap)];
}

#endif
