/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * terms.h: what can be said against the terms of an order without a look at the book: rules 5 to 10 of
 * docs/matching.md, section 3. A pure function: the same command in the same frame has the same answer.
 */
#ifndef IB_TERMS_H
#define IB_TERMS_H

#include "book.h"

/* What the terms are judged by. */
struct ib_terms_frame {
    const struct ib_book_instrument *instrument; /* for its tick */
    uint64_t lot;
    uint64_t executed; /* REPLACE: what the order has traded already; its total size must stay above it */
    uint32_t rules;
    uint8_t phase; /* of the instrument */
};

/* What judging them has found out. */
struct ib_terms {
    uint64_t ticks;      /* of the limit; 0 of an order without one */
    uint64_t stop_ticks; /* of the stop price; 0 likewise */
};

/* The first rule that is broken, or IB_REASON_NONE. Under rules 1 the caller has cleared the fields that those do not
 * know. */
uint8_t ib_terms_refusal(const struct ib_command *command, const struct ib_terms_frame *frame, struct ib_terms *terms);

static inline int ib_type_is_stop(uint8_t order_type)
{
    return order_type == IB_ORDER_STOP || order_type == IB_ORDER_STOP_LIMIT;
}

static inline int ib_type_has_limit(uint8_t order_type)
{
    return order_type == IB_ORDER_LIMIT || order_type == IB_ORDER_STOP_LIMIT;
}

/* What is left of it goes to the book and does not leave it before somebody says so. */
static inline int ib_time_in_force_lasts(uint8_t time_in_force)
{
    return time_in_force == IB_TIME_IN_FORCE_DAY || time_in_force == IB_TIME_IN_FORCE_GTC ||
           time_in_force == IB_TIME_IN_FORCE_GTD;
}

static inline int ib_time_in_force_is_immediate(uint8_t time_in_force)
{
    return time_in_force == IB_TIME_IN_FORCE_IOC || time_in_force == IB_TIME_IN_FORCE_FOK;
}

#endif
