/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_stop.c: orders that are parked, beside the book: stops until a trade at their price (docs/matching.md,
 * section 6), orders for the closing auction until it begins. They are live: their number is taken, they can be
 * cancelled and replaced, and they count as open.
 */
#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"
#include "terms.h"

void ib_turn_park(struct ib_turn *turn, const struct ib_arrival *arrival, uint32_t place)
{
    const struct ib_incoming *incoming = &arrival->order;
    IB_ASSERT(place == IB_PLACE_STOP || place == IB_PLACE_AT_CLOSE);
    IB_ASSERT(place != IB_PLACE_STOP || arrival->stop_ticks > 0);
    unsigned side_number = incoming->side_index & 1;
    uint64_t key = place == IB_PLACE_STOP ? ib_book_stop_key(side_number, arrival->stop_ticks) : 0;
    struct ib_book_entry entry = ib_incoming_entry(incoming, place, key);
    struct ib_order_extra extra = {
        .displayed = arrival->displayed,
        .shown = arrival->displayed < incoming->remaining ? arrival->displayed : incoming->remaining,
        .expire_time_ns = arrival->expire_time_ns,
        .price = incoming->price,
        .self_trade = arrival->self_trade,
        .is_hidden = incoming->is_hidden,
    };
    ib_book_put(&turn->matcher->book, &entry, &extra);
    ib_risk_add(incoming->row, side_number, incoming->remaining);
}

void ib_turn_release(struct ib_turn *turn, uint32_t index, struct ib_arrival *arrival,
                     uint8_t client_data[IB_CLIENT_DATA_SIZE])
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_level level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    IB_ASSERT(ib_level_is_parked(level) && extra != NULL);
    uint32_t side_index = level.side_index & (IB_SIDES_MAX - 1);
    uint8_t order_type = ib_order_type(order);
    if (ib_type_is_stop(order_type)) {
        order_type = order_type == IB_ORDER_STOP ? IB_ORDER_MARKET : IB_ORDER_LIMIT;
    }
    memcpy(client_data, ib_book_client_data(book, index), IB_CLIENT_DATA_SIZE);
    *arrival = (struct ib_arrival){
        .order = {
            .side_index = side_index,
            .user_ref = order->user_ref,
            .session = ib_order_session(order),
            .time_in_force = ib_order_time_in_force(order),
            .order_type = order_type,
            .is_hidden = extra->is_hidden,
            .row = ib_matcher_row(matcher, ib_order_session(order), side_index >> 1),
            .price = extra->price,
            .order_ref = ib_turn_next_ref(turn),
            .remaining = ib_order_remaining(order),
            .executed = ib_book_executed(book, index),
            .client_data = client_data,
        },
        .displayed = extra->displayed,
        .expire_time_ns = extra->expire_time_ns,
        .self_trade = extra->self_trade,
    };
    if (order_type == IB_ORDER_LIMIT) {
        uint64_t ticks;
        int on_tick = ib_book_ticks(&book->instruments[side_index >> 1], extra->price, &ticks);
        IB_ASSERT(on_tick); /* the tick stays while the instrument has orders */
        arrival->order.key = ib_book_key(side_index & 1, ticks);
    }
    uint64_t before_ref = ib_order_ref(order);
    ib_risk_take(arrival->order.row, side_index & 1, arrival->order.remaining, 1);
    ib_book_remove(book, index);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        ib_event_released(turn, &arrival->order, before_ref);
    }
}

/* The next stop that a trade at `last` has set free, or IB_NONE. */
static uint32_t due_stop(const struct ib_book *book, uint32_t instrument, int64_t last)
{
    IB_ASSERT(last > 0);
    IB_ASSERT(instrument < book->instrument_count);
    for (unsigned side = 0; side < 2; side++) {
        uint32_t side_index = IB_PLACE_STOP << IB_PLACE_SHIFT | 2 * instrument | side;
        uint32_t best = ib_book_any_side(book, side_index)->best;
        if (best != IB_NONE) {
            int64_t stop_price = ib_book_any_price(book, ib_book_level(book, best));
            if (side == 0 ? stop_price <= last : stop_price >= last) {
                return ib_book_oldest(book, best);
            }
        }
    }
    return IB_NONE;
}

void ib_turn_release_stops(struct ib_turn *turn, uint32_t instrument)
{
    struct ib_matcher *matcher = turn->matcher;
    IB_ASSERT(instrument < matcher->book.instrument_count);
    const struct ib_book_instrument *at = &matcher->book.instruments[instrument];
    while ((at->special & IB_SPECIAL_STOPS) != 0 && at->last_price != 0 &&
           matcher->instruments[instrument].phase == IB_PHASE_CONTINUOUS &&
           matcher->trading_state == IB_TRADING_OPEN) {
        uint32_t index = due_stop(&matcher->book, instrument, at->last_price);
        if (index == IB_NONE) {
            return;
        }
        struct ib_arrival arrival;
        uint8_t client_data[IB_CLIENT_DATA_SIZE];
        ib_turn_release(turn, index, &arrival, client_data);
        IB_ASSERT(arrival.order.order_type == IB_ORDER_LIMIT || arrival.order.order_type == IB_ORDER_MARKET);
        ib_turn_match(turn, &arrival);
    }
}
