/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_ahead.h: fetching what the commands to come will touch. With a thousand instruments hardly a line of the book
 * is in the cache when its turn comes, and each order waits for a chain of four or five of them. A group in hand tells
 * what comes, so the chains of its commands are walked side by side, one link a stage:
 *
 *   stage           1              2                      3                   4
 *   ENTER, rests    instrument     bucket of its level    level               last order there
 *   ENTER, trades   instrument     best opposite level    its first order     the next; bucket of the first
 *   CANCEL          bucket         order                  level, neighbours
 *
 * It only reads, and what it reads may have changed when the turn comes: nothing follows from it but speed.
 */
#ifndef IB_MATCHER_AHEAD_H
#define IB_MATCHER_AHEAD_H

#include "book_path.h"
#include "matcher_state.h"

enum {
    IB_AHEAD_STEP = 3,         /* commands between two stages: time for a line to arrive */
    IB_AHEAD_SLOTS = 16,       /* commands that are on their way: a power of two, at least four steps */
    IB_AHEAD_INSTRUMENTS = 64, /* with fewer the book is in the cache anyway, and looking ahead only costs */
};

enum ib_ahead_kind { IB_AHEAD_NOTHING, IB_AHEAD_RESTS, IB_AHEAD_TRADES, IB_AHEAD_CANCELS };

/* How far each command of the group has been followed: the line that its next stage reads. */
struct ib_ahead {
    struct {
        enum ib_ahead_kind kind;
        const void *line;
    } slots[IB_AHEAD_SLOTS];
};

IB_INLINE void ib_ahead_begin(struct ib_ahead *ahead)
{
    for (unsigned slot = 0; slot < IB_AHEAD_SLOTS; slot++) {
        ahead->slots[slot].kind = IB_AHEAD_NOTHING;
        ahead->slots[slot].line = NULL;
    }
}

IB_INLINE void ib_ahead_first(struct ib_ahead *ahead, const struct ib_matcher *matcher,
                              const struct ib_command *command)
{
    const struct ib_book *book = &matcher->book;
    unsigned slot = command->seq % IB_AHEAD_SLOTS;
    ahead->slots[slot].kind = IB_AHEAD_NOTHING;
    if (command->type == IB_COMMAND_ENTER && command->instrument < book->instrument_count) {
        ahead->slots[slot].kind = IB_AHEAD_RESTS;
        ahead->slots[slot].line = &book->instruments[command->instrument];
        __builtin_prefetch(ahead->slots[slot].line);
        if (command->session < matcher->session_count) {
            __builtin_prefetch(&matcher->risk.rows[ib_matcher_row(matcher, command->session, command->instrument)], 1);
        }
    } else if (command->type == IB_COMMAND_CANCEL) {
        ahead->slots[slot].kind = IB_AHEAD_CANCELS;
        ahead->slots[slot].line = ib_book_order_bucket(book, command->session, command->user_ref);
        __builtin_prefetch(ahead->slots[slot].line, 1);
    }
}

IB_INLINE void ib_ahead_second(struct ib_ahead *ahead, const struct ib_book *book, const struct ib_command *command)
{
    unsigned slot = command->seq % IB_AHEAD_SLOTS;
    const void *line = ahead->slots[slot].line;
    if (ahead->slots[slot].kind == IB_AHEAD_CANCELS) {
        line = ib_book_order(book, *(const uint32_t *)line);
    } else if (ahead->slots[slot].kind == IB_AHEAD_RESTS) {
        const struct ib_book_instrument *instrument = line;
        unsigned side_number = ib_side_number(command->side);
        uint64_t ticks;
        (void)ib_book_ticks(instrument, command->price, &ticks); /* off the tick: any line will do */
        uint64_t key = ib_book_key(side_number, ticks);
        const struct ib_price_index *opposite = &instrument->sides[side_number ^ 1];
        if (opposite->best_key <= ~key) {
            ahead->slots[slot].kind = IB_AHEAD_TRADES;
            line = ib_book_level(book, opposite->best);
        } else {
            line = ib_book_level_bucket(book, 2 * command->instrument + side_number, key);
        }
    } else {
        return;
    }
    __builtin_prefetch(line, 1);
    ahead->slots[slot].line = line;
}

IB_INLINE void ib_ahead_third(struct ib_ahead *ahead, const struct ib_book *book, const struct ib_command *command)
{
    unsigned slot = command->seq % IB_AHEAD_SLOTS;
    const void *line = ahead->slots[slot].line;
    switch (ahead->slots[slot].kind) {
    case IB_AHEAD_RESTS:
        line = ib_book_level(book, *(const uint32_t *)line);
        break;
    case IB_AHEAD_TRADES:
        line = ib_book_order(book, ((const struct ib_level *)line)->ring.next);
        break;
    case IB_AHEAD_CANCELS: {
        const struct ib_order *order = line;
        __builtin_prefetch(ib_book_order(book, order->links.prev), 1);
        __builtin_prefetch(ib_book_order(book, order->links.next), 1);
        line = ib_book_level(book, order->level);
        break;
    }
    default: return;
    }
    __builtin_prefetch(line, 1);
    ahead->slots[slot].line = line;
}

IB_INLINE void ib_ahead_fourth(const struct ib_ahead *ahead, const struct ib_book *book,
                               const struct ib_command *command)
{
    unsigned slot = command->seq % IB_AHEAD_SLOTS;
    if (ahead->slots[slot].kind == IB_AHEAD_RESTS) {
        const struct ib_level *level = ahead->slots[slot].line;
        __builtin_prefetch(ib_book_order(book, level->ring.prev), 1);
    } else if (ahead->slots[slot].kind == IB_AHEAD_TRADES) {
        const struct ib_order *order = ahead->slots[slot].line;
        __builtin_prefetch(ib_book_order(book, order->links.next), 1);
        __builtin_prefetch(ib_book_order_bucket(book, ib_order_session(order), order->user_ref), 1);
    }
}

/* Takes each of the commands ahead of `commands`, of which `left` are known, one stage further. */
IB_INLINE void ib_look_ahead(struct ib_ahead *ahead, const struct ib_matcher *matcher,
                             const struct ib_command *commands, size_t left)
{
    const struct ib_book *book = &matcher->book;
    if (IB_LIKELY(left > 4 * IB_AHEAD_STEP)) {
        ib_ahead_first(ahead, matcher, &commands[4 * IB_AHEAD_STEP - 1]);
    }
    if (IB_LIKELY(left > 3 * IB_AHEAD_STEP)) {
        ib_ahead_second(ahead, book, &commands[3 * IB_AHEAD_STEP - 1]);
    }
    if (IB_LIKELY(left > 2 * IB_AHEAD_STEP)) {
        ib_ahead_third(ahead, book, &commands[2 * IB_AHEAD_STEP - 1]);
    }
    if (IB_LIKELY(left > IB_AHEAD_STEP)) {
        ib_ahead_fourth(ahead, book, &commands[IB_AHEAD_STEP - 1]);
    }
}

#endif
