/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.h: the ordered set of the price levels of one side: key (64 bits) -> level.
 *
 * A radix tree of 64-way nodes with a bitmap each, where a path without a fork has no nodes:
 *
 *   root ─► [ inner: shift 18, bits 0 and 5 ]        a fork only where keys differ
 *              │0                    │5
 *              ▼                     ▼
 *           [ leaf: 64 ticks ]    [ leaf: 64 ticks ]   child = level
 *
 * A usual book is one root and a few leaves. A far price, anywhere in 64 bits, adds one leaf and at most one inner
 * node: it costs memory only while it is used, and at most one more step for the others. Depth is at most 11 and no
 * window is ever moved. The lowest key is found by counting trailing zeros on the way down.
 *
 * L levels need at most L leaves and L - 1 inner nodes: with two nodes an order the pool cannot run out first.
 */
#ifndef IB_PRICE_INDEX_H
#define IB_PRICE_INDEX_H

#include "pool.h"

struct ib_price_node {
    uint64_t bitmap; /* which children exist; never 0; an inner node has at least two */
    uint64_t prefix; /* what all keys below share: key >> shift >> 6 */
    uint32_t shift;  /* 0 = leaf, 6, 12 … 60: where this node's six bits of the key begin */
    uint32_t child[64]; /* leaf: level; inner: node */
};

/* No level may have it: it is the lowest key of an empty side. */
#define IB_KEY_NONE UINT64_MAX

/* One side's index. Empty: ib_price_index_clear. */
struct ib_price_index {
    uint64_t best_key; /* the lowest key, or IB_KEY_NONE: one comparison tells whether an order can trade */
    uint32_t best;     /* its level, or IB_NONE */
    uint32_t root;
};

static inline void ib_price_index_clear(struct ib_price_index *index)
{
    *index = (struct ib_price_index){.best_key = IB_KEY_NONE};
}

/* Level at `key`, or IB_NONE. */
uint32_t ib_price_index_find(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);
/* The place of `key`, to be filled with its level; it holds IB_NONE when the key is new, and the caller must fill it. */
uint32_t *ib_price_index_place(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key);
/* `key` must exist. */
void ib_price_index_remove(struct ib_price_index *index, struct ib_pool *nodes, uint64_t key);
/* Finds best and best_key anew. */
void ib_price_index_find_best(struct ib_price_index *index, const struct ib_pool *nodes);
/* Level with the lowest key above `key`; IB_NONE when there is none. */
uint32_t ib_price_index_above(const struct ib_price_index *index, const struct ib_pool *nodes, uint64_t key);

static inline struct ib_price_node *ib_price_node_at(const struct ib_pool *nodes, uint32_t index)
{
    return (struct ib_price_node *)(void *)nodes->slots + index;
}

/* Which child of `node` leads to `key`. */
static inline unsigned ib_price_node_digit(const struct ib_price_node *node, uint64_t key)
{
    return (unsigned)(key >> node->shift) & 63u;
}

static inline int ib_price_node_covers(const struct ib_price_node *node, uint64_t key)
{
    return key >> node->shift >> 6 == node->prefix;
}

#endif
