/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reference.h: a matcher to be compared with: written from the rules of docs/engine.md, as plainly as can be. One
 * array of orders, searched from end to end for everything. It shares no code with src/.
 */
#ifndef IB_REFERENCE_H
#define IB_REFERENCE_H

#include "ironbook.h"

enum { REFERENCE_ORDERS = 4096, REFERENCE_EVENTS = 16384, REFERENCE_SESSIONS = 16, REFERENCE_INSTRUMENTS = 16 };

struct reference_order {
    uint64_t order_ref; /* 0 = this place is free; smaller = came earlier */
    int64_t price;
    uint64_t open;
    uint64_t filled;
    uint32_t instrument;
    uint32_t user_ref;
    uint16_t session;
    uint8_t side;
    uint8_t time_in_force;
    uint8_t order_type;
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
};

struct reference {
    uint32_t capacity; /* orders */
    uint32_t order_count;
    uint32_t instrument_count;
    uint32_t session_count;
    int halted;
    int ended;
    uint64_t trades;
    uint64_t quantity;
    uint64_t rejects;
    int64_t ticks[REFERENCE_INSTRUMENTS];
    char symbols[REFERENCE_INSTRUMENTS][IB_SYMBOL_SIZE];
    char usernames[REFERENCE_SESSIONS][IB_USERNAME_SIZE];
    uint32_t last_user_ref[REFERENCE_SESSIONS];
    uint32_t session_seq[REFERENCE_SESSIONS];
    struct reference_order orders[REFERENCE_ORDERS];
    struct ib_event events[REFERENCE_EVENTS]; /* of the last command */
    uint32_t event_count;
};

void reference_apply(struct reference *reference, const struct ib_command *command);

#endif
