/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reference.c: see reference.h. Slow on purpose: where the core has an index, this has a loop.
 */
#include "reference.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct ib_event *say(struct reference *r, const struct ib_command *c, uint16_t type, int session)
{
    assert(r->event_count < REFERENCE_EVENTS);
    struct ib_event *event = &r->events[r->event_count];
    memset(event, 0, sizeof *event);
    event->seq = c->seq;
    event->time_ns = c->time_ns;
    event->index = r->event_count++;
    event->type = type;
    event->session = IB_SESSION_NONE;
    if (session >= 0) {
        event->session = (uint16_t)session;
        event->session_seq = ++r->session_seq[session];
    }
    return event;
}

static void describe(struct ib_event *event, const struct reference_order *order)
{
    event->instrument = order->instrument;
    event->user_ref = order->user_ref;
    event->side = order->side;
    event->time_in_force = order->time_in_force;
    event->order_type = order->order_type;
    event->order_ref = order->order_ref;
    event->price = order->price;
    event->remaining = order->open;
    memcpy(event->client_data, order->client_data, sizeof event->client_data);
}

static void say_reject(struct reference *r, const struct ib_command *c, uint8_t reason)
{
    struct ib_event *event = say(r, c, IB_EVENT_REJECTED, c->session);
    event->instrument = c->instrument;
    event->user_ref = c->user_ref;
    event->user_ref_original = c->user_ref_original;
    event->side = c->side;
    event->time_in_force = c->time_in_force;
    event->order_type = c->order_type;
    event->reason = reason;
    event->price = c->price;
    event->quantity = c->quantity;
    memcpy(event->client_data, c->client_data, sizeof event->client_data);
    r->rejects++;
}

static struct reference_order *find(struct reference *r, uint16_t session, uint32_t user_ref)
{
    for (int i = 0; i < REFERENCE_ORDERS; i++) {
        if (r->orders[i].order_ref != 0 && r->orders[i].session == session && r->orders[i].user_ref == user_ref) {
            return &r->orders[i];
        }
    }
    return NULL;
}

/* The order that `taker` would trade with first: best price, then earliest; null when none is good enough. */
static struct reference_order *counterparty(struct reference *r, const struct reference_order *taker)
{
    struct reference_order *best = NULL;
    for (int i = 0; i < REFERENCE_ORDERS; i++) {
        struct reference_order *o = &r->orders[i];
        if (o->order_ref == 0 || o->instrument != taker->instrument || o->side == taker->side) {
            continue;
        }
        if (taker->order_type == IB_ORDER_LIMIT &&
            (taker->side == IB_SIDE_BUY ? o->price > taker->price : o->price < taker->price)) {
            continue;
        }
        if (best == NULL || (taker->side == IB_SIDE_BUY ? o->price < best->price : o->price > best->price) ||
            (o->price == best->price && o->order_ref < best->order_ref)) {
            best = o;
        }
    }
    return best;
}

static void remove_order(struct reference *r, struct reference_order *order)
{
    order->order_ref = 0;
    r->order_count--;
}

/* Trades what can be traded; the rest stands or is cancelled. */
static void work(struct reference *r, const struct ib_command *c, struct reference_order taker)
{
    struct reference_order *maker;
    while (taker.open > 0 && (maker = counterparty(r, &taker)) != NULL) {
        uint64_t quantity = maker->open < taker.open ? maker->open : taker.open;
        r->trades++;
        r->quantity += quantity;
        maker->open -= quantity;
        maker->filled += quantity;
        taker.open -= quantity;
        taker.filled += quantity;
        struct ib_event *event = say(r, c, IB_EVENT_EXECUTED, maker->session);
        describe(event, maker);
        event->quantity = quantity;
        event->match_ref = r->trades;
        event->flags = IB_FLAG_RESTING;
        event = say(r, c, IB_EVENT_EXECUTED, taker.session);
        describe(event, &taker);
        event->quantity = quantity;
        event->price = maker->price;
        event->match_ref = r->trades;
        event->flags = IB_FLAG_INCOMING;
        if (maker->open == 0) {
            remove_order(r, maker);
        }
    }
    if (taker.open == 0) {
        return;
    }
    if (taker.order_type == IB_ORDER_MARKET || taker.time_in_force == IB_TIME_IN_FORCE_IOC) {
        struct ib_event *event = say(r, c, IB_EVENT_CANCELED, taker.session);
        describe(event, &taker);
        event->reason = IB_REASON_IMMEDIATE_OR_CANCEL;
        event->quantity = taker.open;
        event->remaining = 0;
        event->flags = IB_FLAG_INCOMING;
        return;
    }
    for (int i = 0; i < REFERENCE_ORDERS; i++) {
        if (r->orders[i].order_ref == 0) {
            r->orders[i] = taker;
            r->order_count++;
            struct ib_event *event = say(r, c, IB_EVENT_RESTED, -1);
            describe(event, &taker);
            event->quantity = taker.open;
            event->flags = IB_FLAG_RESTING;
            return;
        }
    }
    abort();
}

static uint8_t terms(const struct reference *r, const struct ib_command *c, uint32_t instrument, uint64_t filled)
{
    if (c->order_type != IB_ORDER_LIMIT && c->order_type != IB_ORDER_MARKET) {
        return IB_REASON_ORDER_TYPE_INVALID;
    }
    if (c->time_in_force != IB_TIME_IN_FORCE_DAY && c->time_in_force != IB_TIME_IN_FORCE_IOC) {
        return IB_REASON_TIME_IN_FORCE_INVALID;
    }
    if (c->quantity == 0 || c->quantity > IB_QUANTITY_MAX || c->quantity <= filled) {
        return IB_REASON_QUANTITY_INVALID;
    }
    if (c->order_type == IB_ORDER_LIMIT && (c->price <= 0 || c->price % r->ticks[instrument] != 0)) {
        return IB_REASON_PRICE_INVALID;
    }
    return IB_REASON_NONE;
}

static void enter(struct reference *r, const struct ib_command *c)
{
    uint8_t reason = c->reason;
    if (reason == 0 && r->halted) {
        reason = IB_REASON_HALTED;
    }
    if (reason == 0 && c->instrument >= r->instrument_count) {
        reason = IB_REASON_INSTRUMENT_UNKNOWN;
    }
    if (reason == 0 && c->side != IB_SIDE_BUY && c->side != IB_SIDE_SELL) {
        reason = IB_REASON_SIDE_INVALID;
    }
    if (reason == 0) {
        reason = terms(r, c, c->instrument, 0);
    }
    if (reason == 0 && r->order_count == r->capacity && c->order_type == IB_ORDER_LIMIT &&
        c->time_in_force == IB_TIME_IN_FORCE_DAY) {
        reason = IB_REASON_BOOK_FULL;
    }
    if (reason != 0) {
        say_reject(r, c, reason);
        return;
    }
    struct reference_order order = {
        .order_ref = c->seq, .price = c->price, .open = c->quantity, .instrument = c->instrument,
        .user_ref = c->user_ref, .session = c->session, .side = c->side, .time_in_force = c->time_in_force,
        .order_type = c->order_type};
    memcpy(order.client_data, c->client_data, sizeof order.client_data);
    struct ib_event *event = say(r, c, IB_EVENT_ACCEPTED, c->session);
    describe(event, &order);
    event->quantity = order.open;
    event->flags = IB_FLAG_INCOMING;
    work(r, c, order);
}

static void replace(struct reference *r, const struct ib_command *c)
{
    struct reference_order *old = find(r, c->session, c->user_ref_original);
    uint8_t reason = c->reason;
    if (reason == 0 && r->halted) {
        reason = IB_REASON_HALTED;
    }
    if (reason == 0 && old == NULL) {
        reason = IB_REASON_ORDER_UNKNOWN;
    }
    if (reason == 0) {
        reason = terms(r, c, old->instrument, old->filled);
    }
    if (reason != 0) {
        say_reject(r, c, reason);
        return;
    }
    struct reference_order order = *old;
    order.user_ref = c->user_ref;
    order.time_in_force = c->time_in_force;
    order.order_type = c->order_type;
    order.price = c->price;
    order.open = c->quantity - old->filled;
    for (int i = 0; i < IB_CLIENT_DATA_SIZE; i++) {
        if (c->client_data[i] != 0) { /* what is not said again stays */
            order.client_data[i] = c->client_data[i];
        }
    }
    int stays = c->order_type == IB_ORDER_LIMIT && c->time_in_force == IB_TIME_IN_FORCE_DAY &&
                order.price == old->price && order.open <= old->open;
    if (!stays) {
        order.order_ref = c->seq;
    }
    struct ib_event *event = say(r, c, IB_EVENT_REPLACED, c->session);
    describe(event, &order);
    event->user_ref_original = c->user_ref_original;
    event->match_ref = old->order_ref;
    event->quantity = order.open;
    event->flags = IB_FLAG_RESTING | (stays ? (uint32_t)IB_FLAG_PRIORITY_KEPT : 0u);
    if (stays) {
        *old = order;
    } else {
        remove_order(r, old);
        work(r, c, order);
    }
}

static void cancel(struct reference *r, const struct ib_command *c)
{
    struct reference_order *order = find(r, c->session, c->user_ref);
    if (order == NULL || c->quantity >= order->open + order->filled) {
        return;
    }
    uint64_t left = c->quantity <= order->filled ? 0 : c->quantity - order->filled;
    struct ib_event *event = say(r, c, IB_EVENT_CANCELED, c->session);
    describe(event, order);
    event->reason = IB_REASON_USER;
    event->quantity = order->open - left;
    event->remaining = left;
    event->flags = IB_FLAG_RESTING;
    order->open = left;
    if (left == 0) {
        remove_order(r, order);
    }
}

static void add_instrument(struct reference *r, const struct ib_command *c)
{
    for (uint32_t i = 0; i < r->instrument_count; i++) {
        if (memcmp(r->symbols[i], c->client_data, IB_SYMBOL_SIZE) == 0) {
            return;
        }
    }
    if (c->instrument == r->instrument_count && c->price >= 1) {
        assert(r->instrument_count < REFERENCE_INSTRUMENTS);
        memcpy(r->symbols[r->instrument_count], c->client_data, IB_SYMBOL_SIZE);
        r->ticks[r->instrument_count++] = c->price;
    }
}

static void add_session(struct reference *r, const struct ib_command *c)
{
    for (uint32_t i = 0; i < r->session_count; i++) {
        if (memcmp(r->usernames[i], c->client_data, IB_USERNAME_SIZE) == 0) {
            return;
        }
    }
    if (c->session == r->session_count) {
        assert(r->session_count < REFERENCE_SESSIONS);
        memcpy(r->usernames[r->session_count++], c->client_data, IB_USERNAME_SIZE);
    }
}

static void change_state(struct reference *r, const struct ib_command *c, int halted)
{
    if (r->halted != halted) {
        r->halted = halted;
        say(r, c, IB_EVENT_TRADING_STATE, -1)->reason = halted ? IB_REASON_HALTED : IB_REASON_NONE;
    }
}

void reference_apply(struct reference *r, const struct ib_command *c)
{
    r->event_count = 0;
    if (r->ended) {
        return;
    }
    if (c->type == IB_COMMAND_ENTER || c->type == IB_COMMAND_REPLACE) {
        if (c->session < r->session_count && c->user_ref > r->last_user_ref[c->session]) {
            r->last_user_ref[c->session] = c->user_ref;
            (c->type == IB_COMMAND_ENTER ? enter : replace)(r, c);
        }
    } else if (c->type == IB_COMMAND_CANCEL) {
        cancel(r, c);
    } else if (c->type == IB_COMMAND_INSTRUMENT_ADD) {
        add_instrument(r, c);
    } else if (c->type == IB_COMMAND_SESSION_ADD) {
        add_session(r, c);
    } else if (c->type == IB_COMMAND_HALT || c->type == IB_COMMAND_RESUME) {
        change_state(r, c, c->type == IB_COMMAND_HALT);
    } else if (c->type == IB_COMMAND_END_OF_DAY) {
        r->ended = 1;
        for (uint32_t i = 0; i < r->session_count; i++) {
            (void)say(r, c, IB_EVENT_END_OF_DAY, (int)i);
        }
    }
}
