/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * book_expiry.c: the orders that expire, in a binary heap of their extras: the next one stands at [1], the children of
 * [n] at [2n] and [2n + 1]. An extra knows its place, so that an order that leaves before its time is taken out in
 * logarithmic time.
 */
#include "book_rare.h"

static struct ib_order_extra *extra_at(const struct ib_book *book, uint32_t place)
{
    IB_ASSERT(place >= 1 && place <= book->expiry_count);
    IB_ASSERT(book->expiry[place] != IB_NONE);
    return (struct ib_order_extra *)(void *)book->extras.slots + book->expiry[place];
}

/* Whether the order at one place goes before the order at another. */
static int is_before(const struct ib_book *book, uint32_t place, uint32_t other)
{
    const struct ib_order_extra *a = extra_at(book, place);
    const struct ib_order_extra *b = extra_at(book, other);
    IB_ASSERT(place != other && a->expiry_place == place && b->expiry_place == other);
    if (a->expire_time_ns != b->expire_time_ns) {
        return a->expire_time_ns < b->expire_time_ns;
    }
    return ib_order_ref(ib_book_order(book, a->order)) < ib_order_ref(ib_book_order(book, b->order));
}

static void swap(struct ib_book *book, uint32_t place, uint32_t other)
{
    IB_ASSERT(place != other && book->expiry[place] != book->expiry[other]);
    uint32_t moved = book->expiry[place];
    book->expiry[place] = book->expiry[other];
    book->expiry[other] = moved;
    extra_at(book, place)->expiry_place = place;
    extra_at(book, other)->expiry_place = other;
}

static void rise(struct ib_book *book, uint32_t place)
{
    IB_ASSERT(place >= 1 && place <= book->expiry_count);
    while (place > 1 && is_before(book, place, place / 2)) {
        swap(book, place, place / 2);
        place /= 2;
    }
}

static void sink(struct ib_book *book, uint32_t place)
{
    IB_ASSERT(place >= 1);
    while (2 * place <= book->expiry_count) {
        uint32_t child = 2 * place;
        if (child < book->expiry_count && is_before(book, child + 1, child)) {
            child++;
        }
        if (!is_before(book, child, place)) {
            return;
        }
        swap(book, place, child);
        place = child;
    }
}

void ib_book_expiry_add(struct ib_book *book, uint32_t extra)
{
    IB_ASSERT(extra != IB_NONE);
    IB_ASSERT(book->expiry_count < book->orders.capacity);
    uint32_t place = ++book->expiry_count;
    book->expiry[place] = extra;
    extra_at(book, place)->expiry_place = place;
    rise(book, place);
}

void ib_book_expiry_remove(struct ib_book *book, uint32_t extra)
{
    struct ib_order_extra *leaving = (struct ib_order_extra *)(void *)book->extras.slots + extra;
    uint32_t place = leaving->expiry_place;
    IB_ASSERT(place >= 1 && place <= book->expiry_count && book->expiry[place] == extra);
    uint32_t last = book->expiry_count;
    IB_ASSERT(leaving->expire_time_ns > 0);
    if (place != last) {
        swap(book, place, last);
    }
    book->expiry_count--;
    leaving->expiry_place = 0;
    if (place != last) { /* what came from the end may belong above or below */
        rise(book, place);
        sink(book, place);
    }
}

void ib_book_expiry_renumber(struct ib_book *book, uint32_t extra)
{
    const struct ib_order_extra *renumbered = (const struct ib_order_extra *)(void *)book->extras.slots + extra;
    IB_ASSERT(renumbered->expiry_place >= 1);
    IB_ASSERT(book->expiry[renumbered->expiry_place] == extra);
    sink(book, renumbered->expiry_place); /* a new number is higher than any before */
}

uint32_t ib_book_expiry_first(const struct ib_book *book)
{
    IB_ASSERT(book->expiry_count <= book->orders.capacity);
    return book->expiry_count == 0 ? IB_NONE : extra_at(book, 1)->order;
}
