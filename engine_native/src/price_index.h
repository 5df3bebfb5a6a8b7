/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * price_index.h: the ordered set of the prices of one side, as 64-bit keys. It answers what comes next; which level a
 * price has, the book finds by hash.
 *
 * A radix tree of 64-way forks over leaves of 64 neighbouring keys, one bit each; a path without a fork has no nodes:
 *
 *   root ─► [ fork: shift 18, bits 0 and 5 ]        a fork only where keys differ
 *              │0                    │5
 *              ▼                     ▼
 *           [ leaf: 64 ticks ]    [ leaf: 64 ticks ]
 *
 * A usual book is one fork and a few leaves of 16 bytes. A far price, anywhere in 64 bits, adds one leaf and at most
 * one fork: it costs memory only while it is used, and at most one more step for the others. Depth is at most 11 and
 * no window is ever moved. The lowest key is found by counting trailing zeros on the way down.
 *
 * L keys need at most L leaves and L - 1 forks: with one of each an order the pools cannot run out first.
 */
#ifndef IB_PRICE_INDEX_H
#define IB_PRICE_INDEX_H

#include "pool.h"

/* No price may have it: it is the lowest key of an empty side. */
#define IB_KEY_NONE UINT64_MAX

struct ib_price_leaf {
    uint64_t bitmap; /* which keys exist; never 0 */
    uint64_t prefix; /* key >> 6 */
};

struct ib_price_fork {
    uint64_t bitmap; /* which children exist; at least two */
    uint64_t prefix; /* what all keys below share: key >> shift >> 6 */
    uint32_t shift;  /* 6, 12 … 60: where this node's six bits of the key begin */
    uint32_t child[64];
};

/* A node's name: its index in its pool, and IB_NODE_LEAF when that is the pool of leaves. 0 = none. */
#define IB_NODE_LEAF 0x80000000u

/* The nodes of all price indexes. */
struct ib_price_nodes {
    struct ib_pool leaves;
    struct ib_pool forks;
};

/* One side's index. Empty: ib_price_index_clear. */
struct ib_price_index {
    uint64_t best_key; /* the lowest key, or IB_KEY_NONE: one comparison tells whether an order can trade */
    uint32_t best;     /* its level, or IB_NONE: the book's */
    uint32_t root;
};

int ib_price_nodes_open(struct ib_price_nodes *nodes, uint32_t keys); /* enum ib_status */
void ib_price_nodes_close(struct ib_price_nodes *nodes);

/* The lowest key at or above `key`; IB_KEY_NONE when there is none. */
uint64_t ib_price_index_from(const struct ib_price_index *index, const struct ib_price_nodes *nodes, uint64_t key);
/* The highest key at or below `key`; IB_KEY_NONE when there is none. */
uint64_t ib_price_index_to(const struct ib_price_index *index, const struct ib_price_nodes *nodes, uint64_t key);

static inline void ib_price_index_clear(struct ib_price_index *index)
{
    *index = (struct ib_price_index){.best_key = IB_KEY_NONE};
}

IB_INLINE struct ib_price_leaf *ib_price_leaf_at(const struct ib_price_nodes *nodes, uint32_t node)
{
    return (struct ib_price_leaf *)(void *)nodes->leaves.slots + (node & ~IB_NODE_LEAF);
}

IB_INLINE struct ib_price_fork *ib_price_fork_at(const struct ib_price_nodes *nodes, uint32_t node)
{
    return (struct ib_price_fork *)(void *)nodes->forks.slots + node;
}

IB_INLINE int ib_price_node_is_leaf(uint32_t node)
{
    return (node & IB_NODE_LEAF) != 0;
}

/* Which child of `fork` leads to `key`. */
IB_INLINE unsigned ib_price_fork_digit(const struct ib_price_fork *fork, uint64_t key)
{
    return (unsigned)(key >> fork->shift) & 63u;
}

IB_INLINE int ib_price_fork_covers(const struct ib_price_fork *fork, uint64_t key)
{
    return key >> fork->shift >> 6 == fork->prefix;
}

IB_INLINE uint64_t ib_price_bit(uint64_t digit)
{
    return (uint64_t)1 << (digit & 63);
}

/* What is rare: nodes come and go (price_index.c). */
void ib_price_index_grow(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key);
void ib_price_index_prune(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key);

/* The leaf on the way to `key`, or IB_NONE: the last node there is on it may be a fork. */
IB_INLINE uint32_t ib_price_index_leaf(const struct ib_price_index *index, const struct ib_price_nodes *nodes,
                                       uint64_t key)
{
    uint32_t node = index->root;
    while (node != IB_NONE && !ib_price_node_is_leaf(node)) {
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, node);
        unsigned digit = ib_price_fork_digit(fork, key);
        if (!ib_price_fork_covers(fork, key) || (fork->bitmap & ib_price_bit(digit)) == 0) {
            return IB_NONE;
        }
        node = fork->child[digit];
    }
    return node;
}

/* `key` must not exist. */
IB_INLINE void ib_price_index_add(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key)
{
    IB_EXPECT(key != IB_KEY_NONE);
    uint32_t node = ib_price_index_leaf(index, nodes, key);
    if (IB_LIKELY(node != IB_NONE && ib_price_leaf_at(nodes, node)->prefix == key >> 6)) {
        ib_price_leaf_at(nodes, node)->bitmap |= ib_price_bit(key);
    } else {
        ib_price_index_grow(index, nodes, key);
    }
}

/* `key` must exist. A key that remains in its leaf, the lowest; IB_KEY_NONE when the leaf is gone. */
IB_INLINE uint64_t ib_price_index_remove(struct ib_price_index *index, struct ib_price_nodes *nodes, uint64_t key)
{
    IB_EXPECT(ib_price_index_leaf(index, nodes, key) != IB_NONE);
    uint32_t node = index->root;
    while (!ib_price_node_is_leaf(node)) { /* it is there: every fork on the way covers it */
        const struct ib_price_fork *fork = ib_price_fork_at(nodes, node);
        node = fork->child[ib_price_fork_digit(fork, key)];
    }
    struct ib_price_leaf *leaf = ib_price_leaf_at(nodes, node);
    IB_EXPECT(leaf->prefix == key >> 6 && (leaf->bitmap & ib_price_bit(key)) != 0);
    leaf->bitmap &= ~ib_price_bit(key);
    if (leaf->bitmap == 0) {
        ib_price_index_prune(index, nodes, key);
        return IB_KEY_NONE;
    }
    return leaf->prefix << 6 | (unsigned)__builtin_ctzll(leaf->bitmap);
}

#endif
