/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_ahead.h: fetching what the commands to come will touch. With a thousand instruments hardly a line of the book
 * is in the cache when its turn comes, and each order waits for a chain of four or five of them. A group in hand tells
 * what comes, so the chains of its commands are walked side by side, block by block, one link a stage:
 *
 *   stage           1         2                                  3                       4
 *   ENTER, rests              instrument, near node ─► leaf      level
 *   ENTER, trades             instrument ─► best opposite level  its first order, leaf   the next; bucket of the first
 *   CANCEL          bucket    order                              level, neighbours       leaf
 *
 * While one block is applied, the next is at stage 4, the one behind it at stage 3, and so on. Within a block the
 * commands go on lists by what they are, without a branch: which of the two a command is, nobody can guess, and each
 * wrong guess costs as much as a line that is fetched. The lines of an instrument and its near nodes are not fetched
 * first: they are mostly in the second-level cache, and where not, the orders of a block wait for them together.
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

/* How far the commands of a block have been followed: lists of what the next stage reads, so that no loop asks what a
 * command is. */
struct ib_ahead_block {
    uint32_t enter_count;
    uint32_t cancel_count;
    uint32_t rest_count; /* of those that are entered and will rest, or … */
    uint32_t trade_count;
    const struct ib_command *enters[IB_AHEAD_BLOCK];
    const void *cancels[IB_AHEAD_BLOCK];
    const void *rests[IB_AHEAD_BLOCK];
    const void *trades[IB_AHEAD_BLOCK];
};

struct ib_ahead {
    struct ib_ahead_block blocks[IB_AHEAD_STAGES];
};

IB_INLINE void ib_ahead_first(struct ib_ahead_block *block, const struct ib_book *book,
                              const struct ib_command *commands, size_t count)
{
    IB_EXPECT(count <= IB_AHEAD_BLOCK);
    const struct ib_command **enter = block->enters;
    const void **cancel = block->cancels;
    for (const struct ib_command *command = commands; command < commands + count; command++) {
        const uint32_t *bucket = ib_book_order_bucket(book, command->session, command->user_ref);
        __builtin_prefetch(bucket, 1);
        uint64_t is_cancel = command->type == IB_COMMAND_CANCEL;
        uint64_t is_enter = command->type == IB_COMMAND_ENTER;
        IB_KEEP(is_cancel); /* or the compiler would branch on what nobody can guess */
        *cancel = bucket;
        *enter = command;
        cancel += is_cancel;
        enter += is_enter;
    }
    block->enter_count = (uint32_t)(enter - block->enters);
    block->cancel_count = (uint32_t)(cancel - block->cancels);
}

IB_INLINE void ib_ahead_second(struct ib_ahead_block *block, const struct ib_book *book)
{
    const void **rest = block->rests;
    const void **trade = block->trades;
    for (uint32_t i = 0; i < block->enter_count; i++) {
        const struct ib_command *command = block->enters[i];
        const struct ib_book_instrument *instrument = book->instruments;
        if (IB_LIKELY(command->instrument < book->instrument_count)) { /* or any will do */
            instrument += command->instrument;
        }
        uint64_t side_number = ib_side_number(command->side);
        uint64_t ticks;
        (void)ib_book_ticks(instrument, command->price, &ticks); /* off the tick: likewise */
        uint64_t key = ib_book_key(side_number, ticks);
        const struct ib_price_index *opposite = &instrument->sides[side_number ^ 1];
        if (opposite->best_key <= ~key) {
            *trade = ib_book_links(book, opposite->best);
            __builtin_prefetch(*trade++, 1);
        } else {
            uint32_t near = instrument->sides[side_number].near[key >> IB_PARENT_BITS & 1];
            uint32_t leaf = ib_price_node_at(&book->nodes, near)->child[ib_price_digit(key, IB_DIGIT_BITS)];
            *rest = &ib_price_node_at(&book->nodes, leaf)->child[ib_price_digit(key, 0)];
            __builtin_prefetch(*rest++, 1);
        }
    }
    block->rest_count = (uint32_t)(rest - block->rests);
    block->trade_count = (uint32_t)(trade - block->trades);
    for (uint32_t i = 0; i < block->cancel_count; i++) {
        block->cancels[i] = ib_book_order(book, *(const uint32_t *)block->cancels[i]);
        __builtin_prefetch(block->cancels[i], 1);
    }
}

IB_INLINE void ib_ahead_third(struct ib_ahead_block *block, const struct ib_book *book)
{
    for (uint32_t i = 0; i < block->rest_count; i++) {
        __builtin_prefetch(ib_book_links(book, *(const uint32_t *)block->rests[i]), 1);
    }
    for (uint32_t i = 0; i < block->trade_count; i++) {
        const struct ib_far_level *far = block->trades[i];
        __builtin_prefetch(&ib_price_node_at(&book->nodes, far->level.leaf)->bitmap, 1);
        block->trades[i] = ib_book_links(book, far->queue.ring.next);
        __builtin_prefetch(block->trades[i], 1);
    }
    for (uint32_t i = 0; i < block->cancel_count; i++) {
        const struct ib_order *order = block->cancels[i];
        block->cancels[i] = ib_book_links(book, order->level);
        __builtin_prefetch(ib_book_links(book, order->links.prev), 1);
        __builtin_prefetch(ib_book_links(book, order->links.next), 1);
        __builtin_prefetch(block->cancels[i], 1);
    }
}

IB_INLINE void ib_ahead_fourth(const struct ib_ahead_block *block, const struct ib_book *book)
{
    for (uint32_t i = 0; i < block->trade_count; i++) {
        const struct ib_order *order = block->trades[i];
        __builtin_prefetch(ib_book_links(book, order->links.next), 1);
        __builtin_prefetch(ib_book_order_bucket(book, ib_order_session(order), order->user_ref), 1);
    }
    for (uint32_t i = 0; i < block->cancel_count; i++) {
        const struct ib_far_level *far = block->cancels[i];
        const struct ib_price_node *leaf = ib_price_node_at(&book->nodes, far->level.leaf);
        __builtin_prefetch(&leaf->bitmap, 1);
        __builtin_prefetch(&leaf->child[ib_price_digit(far->level.key, 0)], 1);
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
        IB_KEEP(block);
        switch (stage) {
        case 1: ib_ahead_first(block, &matcher->book, &commands[from], left); break;
        case 2: ib_ahead_second(block, &matcher->book); break;
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
