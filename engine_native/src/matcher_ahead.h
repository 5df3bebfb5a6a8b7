/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_ahead.h: fetching what the commands to come will touch. With a thousand instruments hardly a line of the book
 * is in the cache when its turn comes, and each order waits for a chain of four or five of them. A group in hand tells
 * what comes, so the chains of its commands are walked side by side, block by block, one link a stage:
 *
 *   stage           1                 2                      3                   4
 *   ENTER, rests    instrument, row   near node              leaf                level
 *   ENTER, trades   instrument, row   best opposite level    its first order     the next; bucket of the first
 *   CANCEL          bucket            order                  level, neighbours
 *
 * While one block is applied, the next is at stage 4, the one behind it at stage 3, and so on. Within a block entered
 * and cancelled orders are told apart first, by bits and without a branch: which of the two a command is, nobody can
 * guess, and each wrong guess costs as much as a line that is fetched.
 *
 * It only reads, and what it reads may have changed when the turn comes: nothing follows from it but speed.
 */
#ifndef IB_MATCHER_AHEAD_H
#define IB_MATCHER_AHEAD_H

#include "book_path.h"
#include "matcher_state.h"

enum {
    IB_AHEAD_BLOCK = 16,       /* commands: enough lines at a time to keep the memory busy */
    IB_AHEAD_STAGES = 4,
    IB_AHEAD_INSTRUMENTS = 64, /* with fewer the book is in the cache anyway, and looking ahead only costs */
};

/* How far the commands of a block have been followed. */
struct ib_ahead_block {
    uint32_t enters; /* bit i: command i is one */
    uint32_t cancels;
    uint8_t trades[IB_AHEAD_BLOCK];   /* by command: an ENTER that will trade … */
    uint8_t key[IB_AHEAD_BLOCK];      /* … or where in its leaf its price is */
    const void *line[IB_AHEAD_BLOCK]; /* by command: what its next stage reads */
};

struct ib_ahead {
    struct ib_ahead_block blocks[IB_AHEAD_STAGES];
};

IB_INLINE void ib_ahead_first(struct ib_ahead_block *block, const struct ib_matcher *matcher,
                              const struct ib_command *commands, size_t count)
{
    const struct ib_book *book = &matcher->book;
    IB_EXPECT(count <= IB_AHEAD_BLOCK);
    uint32_t enters = 0;
    uint32_t cancels = 0;
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ib_command *command = &commands[i];
        enters |= (uint32_t)(command->type == IB_COMMAND_ENTER) << i;
        cancels |= (uint32_t)(command->type == IB_COMMAND_CANCEL) << i;
        wrong |= (command->instrument >= book->instrument_count) | (command->session >= matcher->session_count);
        block->line[i] = ib_book_order_bucket(book, command->session, command->user_ref);
        __builtin_prefetch(block->line[i], 1);
    }
    block->enters = wrong ? 0 : enters; /* what is wrong with one is no matter: it is rare */
    block->cancels = cancels;
    for (uint32_t left = block->enters; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        const struct ib_command *command = &commands[at];
        block->line[at] = &book->instruments[command->instrument];
        __builtin_prefetch(&book->instruments[command->instrument].sides);
        __builtin_prefetch(&book->instruments[command->instrument].tick);
        __builtin_prefetch(ib_matcher_row(matcher, command->session, command->instrument), 1);
    }
}

IB_INLINE void ib_ahead_second(struct ib_ahead_block *block, const struct ib_book *book,
                               const struct ib_command *commands)
{
    for (uint32_t left = block->enters; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        const struct ib_command *command = &commands[at];
        const struct ib_book_instrument *instrument = block->line[at];
        unsigned side_number = ib_side_number(command->side);
        uint64_t ticks;
        (void)ib_book_ticks(instrument, command->price, &ticks); /* off the tick: any line will do */
        uint64_t key = ib_book_key(side_number, ticks);
        const struct ib_price_index *opposite = &instrument->sides[side_number ^ 1];
        block->trades[at] = opposite->best_key <= ~key;
        if (block->trades[at]) {
            block->line[at] = ib_book_level(book, opposite->best);
        } else {
            const struct ib_price_index *side = &instrument->sides[side_number];
            block->key[at] = (uint8_t)(ib_price_digit(key, 0));
            block->line[at] = &ib_price_node_at(&book->nodes, side->near[key >> IB_PARENT_BITS & 1])
                                   ->child[ib_price_digit(key, IB_DIGIT_BITS)];
        }
        __builtin_prefetch(block->line[at], 1);
    }
    for (uint32_t left = block->cancels; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        block->line[at] = ib_book_order(book, *(const uint32_t *)block->line[at]);
        __builtin_prefetch(block->line[at], 1);
    }
}

IB_INLINE void ib_ahead_third(struct ib_ahead_block *block, const struct ib_book *book)
{
    for (uint32_t left = block->enters; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        if (block->trades[at]) {
            const struct ib_level *level = block->line[at];
            __builtin_prefetch(&ib_price_node_at(&book->nodes, level->leaf)->bitmap, 1);
            block->line[at] = ib_book_order(book, level->ring.next);
        } else {
            const struct ib_price_node *leaf = ib_price_node_at(&book->nodes, *(const uint32_t *)block->line[at]);
            block->line[at] = &leaf->child[block->key[at]];
        }
        __builtin_prefetch(block->line[at], 1);
    }
    for (uint32_t left = block->cancels; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        const struct ib_order *order = block->line[at];
        block->line[at] = ib_book_level(book, order->level);
        __builtin_prefetch(ib_book_order(book, order->links.prev), 1);
        __builtin_prefetch(ib_book_order(book, order->links.next), 1);
        __builtin_prefetch(block->line[at], 1);
    }
}

IB_INLINE void ib_ahead_fourth(const struct ib_ahead_block *block, const struct ib_book *book)
{
    for (uint32_t left = block->enters; left != 0; left &= left - 1) {
        const unsigned at = (unsigned)__builtin_ctz(left);
        if (block->trades[at]) {
            const struct ib_order *order = block->line[at];
            __builtin_prefetch(ib_book_order(book, order->links.next), 1);
            __builtin_prefetch(ib_book_order_bucket(book, ib_order_session(order), order->user_ref), 1);
        } else {
            __builtin_prefetch(ib_book_level(book, *(const uint32_t *)block->line[at]), 1);
        }
    }
    for (uint32_t left = block->cancels; left != 0; left &= left - 1) {
        const struct ib_level *level = block->line[(unsigned)__builtin_ctz(left)];
        const struct ib_price_node *leaf = ib_price_node_at(&book->nodes, level->leaf);
        __builtin_prefetch(&leaf->bitmap, 1);
        __builtin_prefetch(&leaf->child[ib_price_digit(level->key, 0)], 1);
    }
}

/* Takes each of the blocks behind block `present` one stage further, of a group of `count` commands; before block 0
 * there are only those behind it. */
IB_INLINE void ib_ahead_step(struct ib_ahead *ahead, const struct ib_matcher *matcher,
                             const struct ib_command *commands, size_t count, int64_t present)
{
    for (int64_t stage = IB_AHEAD_STAGES; stage >= 1; stage--) {
        int64_t number = present + 1 + IB_AHEAD_STAGES - stage;
        size_t from = (size_t)number * IB_AHEAD_BLOCK;
        if (number < 0 || from >= count) {
            continue;
        }
        size_t left = count - from < IB_AHEAD_BLOCK ? count - from : IB_AHEAD_BLOCK;
        struct ib_ahead_block *block = &ahead->blocks[number % IB_AHEAD_STAGES];
        switch (stage) {
        case 1: ib_ahead_first(block, matcher, &commands[from], left); break;
        case 2: ib_ahead_second(block, &matcher->book, &commands[from]); break;
        case 3: ib_ahead_third(block, &matcher->book); break;
        default: ib_ahead_fourth(block, &matcher->book); break;
        }
    }
}

/* Whoever applies a group says so at the first command of each block, `at`. */
static __attribute__((noinline)) void ib_look_ahead(struct ib_ahead *ahead, const struct ib_matcher *matcher,
                                                    const struct ib_command *commands, size_t count, size_t at)
{
    IB_EXPECT(at % IB_AHEAD_BLOCK == 0 && at < count);
    int64_t present = (int64_t)(at / IB_AHEAD_BLOCK);
    for (int64_t first = present == 0 ? -IB_AHEAD_STAGES : present; first <= present; first++) {
        ib_ahead_step(ahead, matcher, commands, count, first);
    }
}

#endif
