/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flash1_adapter.c: the matcher behind the C interface of the public benchmark flash1-dev/matching-engine-benchmark. It
 * is ours; the benchmark, its header included, is the reader's own checkout (FLASH1):
 *
 *   gcc -std=c11 -O3 -march=native -mtune=generic -fPIC -fno-semantic-interposition -shared -o ironbook_adapter.so \
 *       -I$FLASH1/api -Iinclude -Isrc bench/flash1_adapter.c $(find src -name '*.c') -lcrypt -lpthread
 *
 * An order of theirs is an order of ours under a number of ours: a session's numbers must rise, and theirs come in any
 * order and come back (modify, reuse). So a hash of the orders in the book leads from their number to ours, and a
 * table, which is written and read where the newest orders are, from ours to what their reports repeat: their number,
 * side and price. A table of their numbers instead would be short of one look-up, but of four megabytes that each order
 * writes to anywhere, and the writes of all others would wait behind those that miss the caches. A modify is a cancel
 * and a new order, as their contract has it.
 *
 *   message ─► command ─► ib_matcher_apply ─► report (64 bytes) ─► ring ─► their drainer, on another core
 *
 * Whether a cancel found its order, what an order traded with, and what expired, is what the matcher says. All else in
 * a report follows from the message and from the order that it names; where nothing trades, the matcher is told that
 * nobody takes its events, as their adapters of other engines do with what those engines look up.
 *
 * Reports go through a ring of our own (flash1_ring.h), which their interface allows.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "book_path.h"
#include "flash1_ring.h"
#include "matching_engine_api.h"
#include "matcher_take.h"
#include "memory.h"

enum {
    ORDERS = 1 << 20,
    WARM_ORDERS = 1 << 15,
    TOUCHED = 1 << 22, /* orders whose table is in memory before the clock runs */
    USER_REF_BITS = 28, /* address space is taken for so many of them */
    ID_BITS = 30,     /* their ids are below 2^32, and dense */
    HEADS_BITS = 15,  /* chains by a hash of their ids: 128 KiB, which stay in the second-level cache */
    EVENTS = 32,      /* that are taken at a time, where orders trade */
};

const me_transport_t *engine_get_transport(void)
{
    static const me_transport_t transport = {ring_create, ring_push, ring_drain, ring_flush, ring_destroy};
    return &transport;
}

static struct ib_matcher *matcher;
static struct ring *ring; /* null: the harness brought a transport of its own */
static const me_transport_t *transport;
static void *sink;
static uint32_t heads[1 << HEADS_BITS]; /* the newest order of each chain, by our number, or 0 */
static struct order *orders; /* by our number; [0] is none */
static uint32_t last_user_ref;
static uint64_t message_seq; /* of the message at hand, as reports carry it */
static uint64_t taker_id; /* of the order at hand, theirs */
static int expired; /* some of the order at hand: immediate or cancel */
static struct ib_event events[EVENTS];

/* What the commands below are, told to the compiler again where it could have forgotten. */
#define ASSUME(condition)            \
    do {                             \
        if (!(condition)) {          \
            __builtin_unreachable(); \
        }                            \
    } while (0)

/* An order in the book as their reports tell of it. */
struct order {
    int64_t price;
    uint32_t next;    /* older one in the chain of its id's hash, or 0 */
    uint32_t id_side; /* theirs: id << 1 | side */
};

/* What changes is written for each. */
static struct ib_command entering = {.type = IB_COMMAND_ENTER, .order_type = IB_ORDER_LIMIT};
static struct ib_command canceling = {.type = IB_COMMAND_CANCEL};

_Static_assert(offsetof(struct ib_command, order_type) == offsetof(struct ib_command, side) + 2 &&
                   offsetof(struct ib_command, time_in_force) == offsetof(struct ib_command, side) + 1,
               "side, time in force and type lie side by side");

/* Where the next report is written: in the ring itself, or wherever a foreign transport copies it from. A report that
 * were made elsewhere and copied would be read before its single fields have reached the cache. */
IB_INLINE me_report_t *report_begin(void)
{
    static me_report_t kept;
    return ring != NULL ? ring_next(ring) : &kept;
}

IB_INLINE void report_end(const me_report_t *made)
{
    if (ring != NULL) {
        ring_commit(ring);
    } else {
        while (!transport->push(sink, made)) {
        }
    }
}

/* Where the chain of an id begins. */
IB_INLINE uint32_t *head_of(uint64_t id)
{
    return &heads[id * IB_BUCKETS_SCATTER >> (32 - HEADS_BITS) & ((1u << HEADS_BITS) - 1)];
}

/* Where a chain names the order of an id, or ends without one. */
IB_INLINE uint32_t *link_to(uint64_t id)
{
    uint32_t *link = head_of(id);
    while (!IB_LIKELY(orders[*link].id_side >> 1 == id) && *link != 0) {
        link = &orders[*link].next;
    }
    return link;
}

/* An order stands in the book. */
IB_INLINE void remember(uint32_t user_ref, uint64_t id, uint8_t side, int64_t price)
{
    uint32_t *head = head_of(id);
    struct order *order = &orders[user_ref];
    order->price = price;
    order->next = *head;
    order->id_side = (uint32_t)id << 1 | side;
    *head = user_ref;
}

/* It stands there no more. */
IB_INLINE void forget(uint32_t *link)
{
    *link = orders[*link].next;
}

/* Makes reports of the events that have come; their memory serves again. */
static void take_events(struct ib_event_sink *taken)
{
    for (const struct ib_event *event = events; event < taken->next; event++) {
        if (event->type == IB_EVENT_EXECUTED && (event->flags & IB_FLAG_RESTING) != 0) {
            uint64_t id = orders[event->user_ref].id_side >> 1;
            me_report_t *made = report_begin();
            *made = (me_report_t){
                .type = ME_TRADE,
                .sequence_number = message_seq,
                .price_ticks = event->price,
                .quantity = (uint32_t)event->quantity,
                .maker_order_id = id,
                .taker_order_id = taker_id,
            };
            report_end(made);
            if (event->remaining == 0) {
                forget(link_to(id));
            }
        } else if (event->type == IB_EVENT_RESTED) {
            remember(event->user_ref, taker_id, event->side == IB_SIDE_SELL, event->price);
        }
        expired |= event->type == IB_EVENT_CANCELED;
    }
    taken->next = events;
    taken->end = events + EVENTS;
}

/* Returns whether it had an effect that is told. Time stands still, as their messages have none. */
IB_INLINE int apply(struct ib_command *command, struct ib_event_sink *taken)
{
    uint64_t before = matcher->event_count;
    command->seq = matcher->seq + 1;
    if (ib_matcher_apply(matcher, command, taken) != IB_OK) {
        abort();
    }
    return matcher->event_count != before;
}

/* The same with nobody who takes events, and the path inlined: the compiler knows what is in the command. */
IB_INLINE int apply_quietly(struct ib_command *command)
{
    uint64_t before = matcher->event_count;
    uint64_t seq = matcher->seq + 1;
    command->seq = seq;
    if (!ib_matcher_take_next(matcher, command, seq, NULL, 0)) {
        abort();
    }
    return matcher->event_count != before;
}

/* As a venue is before it opens: so many orders have rested at so many prices, and are gone. Memory has been
 * touched. */
static void warm_up(void)
{
    entering.side = IB_SIDE_BUY;
    entering.quantity = 1;
    for (uint32_t i = 0; i < WARM_ORDERS; i++) {
        entering.user_ref = ++last_user_ref;
        entering.price = 1 + i;
        (void)apply(&entering, NULL);
    }
    for (uint32_t user_ref = 1; user_ref <= WARM_ORDERS; user_ref++) {
        canceling.user_ref = user_ref;
        (void)apply(&canceling, NULL);
    }
}

static void *reserve(size_t bytes)
{
    void *memory = ib_memory_reserve(bytes);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void define_one(struct ib_command command)
{
    (void)apply(&command, NULL);
}

/* One instrument, one session, and an account that has every limit of the risk gate set, far from what is sent. */
static void define(void)
{
    const uint16_t account = IB_RULES_NEWEST > IB_RULES_1;
    define_one((struct ib_command){.type = IB_COMMAND_RULES, .value = IB_RULES_NEWEST});
    define_one((struct ib_command){.type = IB_COMMAND_INSTRUMENT_ADD, .price = 1, .client_data = "FLASH1  "});
    define_one((struct ib_command){.type = IB_COMMAND_ACCOUNT_ADD, .account = account, .client_data = "FLASH1  "});
    define_one((struct ib_command){.type = IB_COMMAND_SESSION_ADD, .account = account, .client_data = "FLASH1  "});
    for (uint8_t limit = IB_RISK_MESSAGE_RATE; limit <= IB_RISK_OPEN_ORDERS; limit++) {
        struct ib_command command = {.type = IB_COMMAND_RISK_LIMIT, .account = account, .limit = limit};
        command.instrument = (uint32_t)IB_INSTRUMENT_ALL;
        command.value = UINT64_C(1) << 60;
        if (limit == IB_RISK_COLLAR) {
            command.value = 1000000; /* basis points: a hundred times the last price */
        } else if (limit == IB_RISK_ORDER_QUANTITY) {
            command.value = UINT32_MAX; /* the most that a message of theirs can ask for */
        }
        define_one(command);
    }
}

/* An order that is too large must be refused, or the limits are not what they are said to be. */
static void probe(void)
{
    struct ib_totals totals;
    entering.user_ref = ++last_user_ref;
    entering.side = IB_SIDE_BUY;
    entering.price = 1;
    entering.quantity = UINT64_C(1) << 32;
    (void)apply(&entering, NULL);
    ib_matcher_totals(matcher, &totals);
    if (IB_RULES_NEWEST > IB_RULES_1 && (totals.rejects != 1 || totals.orders_open != 0)) {
        abort();
    }
}

void engine_init(uint64_t seed, const me_transport_t *used, void *report_sink)
{
    (void)seed;
    transport = used;
    sink = report_sink;
    ring = used == engine_get_transport() ? report_sink : NULL;
    orders = reserve(sizeof *orders << USER_REF_BITS);
    if (ib_matcher_open(&matcher, ORDERS) != IB_OK) {
        abort();
    }
    memset(orders, 0, TOUCHED * sizeof *orders);
    memset(heads, 0, sizeof heads);
    orders[0].id_side = UINT32_MAX; /* above every id */
    define();
    warm_up();
    probe();
}

void engine_shutdown(void)
{
    ib_matcher_close(matcher);
    ib_memory_release(orders, sizeof *orders << USER_REF_BITS);
}

/* ---- messages ---- */

/* Whether a price meets the best one of the other side. */
IB_INLINE int crosses(uint8_t side, int64_t price)
{
    uint64_t other = ib_book_side(&matcher->book, (unsigned)side ^ 1)->best_key;
    return price > 0 && other <= ~ib_book_key(side, (uint64_t)price);
}

/* Where spreads are wide, the level of a price is as good as never in the cache: it is asked for before anything else
 * is done about the order, and is perhaps there when its turn comes. */
IB_INLINE void fetch_level(uint8_t side, int64_t price)
{
    unsigned side_number = side != 0;
    const struct ib_price_window *window = &matcher->book.windows[side_number];
    uint64_t key = ib_book_key(side_number, (uint64_t)price);
    __builtin_prefetch(ib_book_links(&matcher->book, ib_price_window_level(window, key)), 1);
}

/* Returns whether some of it expired. */
IB_INLINE int enter(uint64_t id, uint8_t side, int64_t price, uint32_t quantity, int immediate)
{
    uint32_t user_ref = ++last_user_ref;
    if ((id >> ID_BITS | user_ref >> USER_REF_BITS) != 0) {
        abort(); /* more than there are tables for */
    }
    side = side != 0;
    entering.user_ref = user_ref;
    entering.price = price;
    entering.quantity = quantity;
    entering.type = IB_COMMAND_ENTER; /* told again: the compiler knows the rest of the path by these three */
    entering.session = 0;
    entering.instrument = 0;
    /* Eight bytes in one store, because the matcher reads them in one load: single ones would have to reach the cache
     * before it, behind all stores that miss it, which was a third of all time. */
    uint64_t terms = (uint64_t)(IB_SIDE_BUY + side) | (uint64_t)IB_ORDER_LIMIT << 16;
    terms |= (uint64_t)(immediate * IB_TIME_IN_FORCE_IOC) << 8; /* 0 is DAY */
    memcpy(&entering.side, &terms, sizeof terms);
    if (!crosses(side, price)) {
        ASSUME((entering.displayed | entering.minimum) == 0);
        (void)apply_quietly(&entering);
        if (!immediate) {
            remember(user_ref, id, side, price);
        }
        return immediate;
    }
    expired = 0;
    taker_id = id;
    struct ib_event_sink taken = {.next = events, .end = events + EVENTS, .make_room = take_events};
    (void)apply(&entering, &taken);
    take_events(&taken);
    return expired;
}

/* Whether it stood in the book, which it has left now; `*order` is what is known of it. */
IB_INLINE int cancel(uint64_t id, struct order *order)
{
    uint32_t *link = link_to(id);
    canceling.user_ref = *link;
    *order = orders[*link];
    if (*link != 0) {
        forget(link);
    }
    canceling.type = IB_COMMAND_CANCEL;
    canceling.session = 0;
    canceling.instrument = 0;
    ASSUME(canceling.quantity == 0);
    return apply_quietly(&canceling);
}

/* Of all reports but that of a trade. */
IB_INLINE void answer(me_report_type_t type, uint8_t side, uint64_t id, int64_t price, uint32_t quantity)
{
    me_report_t *made = report_begin();
    *made = (me_report_t){.type = (uint8_t)type, .side = side, .sequence_number = message_seq,
                          .order_id = id, .price_ticks = price, .quantity = quantity};
    report_end(made);
}

IB_INLINE void take_new_order(const new_order_t *order)
{
    message_seq = order->sequence_number;
    fetch_level(order->side, order->price_ticks);
    answer(ME_ORDER_ACK, order->side, order->order_id, order->price_ticks, order->quantity);
    if (enter(order->order_id, order->side, order->price_ticks, order->quantity, order->ioc != 0)) {
        answer(ME_CANCEL_ACK, order->side, order->order_id, order->price_ticks, 0);
    }
}

IB_INLINE void take_cancel(const cancel_t *request)
{
    struct order order;
    message_seq = request->sequence_number;
    if (IB_LIKELY(cancel(request->order_id, &order))) {
        answer(ME_CANCEL_ACK, order.id_side & 1, request->order_id, order.price, 0);
    } else {
        answer(ME_CANCEL_REJECT, 0, request->order_id, 0, 0);
    }
}

IB_INLINE void take_modify(const modify_t *request)
{
    struct order order;
    message_seq = request->sequence_number;
    fetch_level(request->side, request->new_price_ticks);
    if (IB_LIKELY(cancel(request->order_id, &order))) {
        answer(ME_MODIFY_ACK, order.id_side & 1, request->order_id, request->new_price_ticks, request->new_quantity);
        (void)enter(request->order_id, order.id_side & 1, request->new_price_ticks, request->new_quantity, 0);
    } else {
        answer(ME_MODIFY_REJECT, 0, request->order_id, request->new_price_ticks, request->new_quantity);
    }
}

void engine_on_new_order(const new_order_t *order)
{
    take_new_order(order);
}

void engine_on_cancel(const cancel_t *request)
{
    take_cancel(request);
}

void engine_on_modify(const modify_t *request)
{
    take_modify(request);
}

/* All is done when a call returns. */
void engine_flush(void)
{
}

/* One after the other: none is looked at before all reports of the one before are made. */
void engine_on_batch(const me_msg_t *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        switch (messages[i].type) {
        case 0: take_new_order(&messages[i].no); break;
        case 1: take_cancel(&messages[i].c); break;
        default: take_modify(&messages[i].md); break;
        }
    }
}

/* ---- what the book says of itself ---- */

static int64_t best(unsigned side_number, int64_t none)
{
    uint64_t key = ib_book_side(&matcher->book, side_number)->best_key;
    return key == IB_KEY_NONE ? none : (int64_t)ib_book_key(side_number, key);
}

int64_t engine_query_best_bid(void)
{
    return best(0, INT64_MIN);
}

int64_t engine_query_best_ask(void)
{
    return best(1, INT64_MAX);
}

uint64_t engine_query_depth_at(int64_t price, uint8_t side)
{
    uint64_t key = ib_book_key(side, (uint64_t)price);
    uint32_t level = price < 1 ? (uint32_t)IB_NONE : ib_book_level_at(&matcher->book, side, key);
    return level == IB_NONE ? 0 : ib_book_queue(&matcher->book, level)->quantity;
}
