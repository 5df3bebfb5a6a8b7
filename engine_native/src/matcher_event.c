/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_event.c: building events, for whoever takes them. None of this runs when nobody does.
 */
#include "book_rare.h"
#include "matcher_state.h"

/* The next event, in its place, with what follows from the command and from the numbers that ib_turn_number has given,
 * and zeros where few events say something. Whoever asks writes the rest, before another is asked for. Field by field:
 * the compiler leaves out what is written twice, but would make a loop of 128 bytes of zeros. */
IB_INLINE struct ib_event *begin(const struct ib_turn *turn, uint16_t type, uint16_t session)
{
    struct ib_event_sink *sink = turn->sink;
    const struct ib_command *command = turn->command;
    IB_ASSERT(sink != NULL && turn->index > 0);
    if (!IB_LIKELY(sink->next != sink->end)) {
        IB_ASSERT(sink->make_room != NULL);
        sink->make_room(sink);
        IB_ASSERT(sink->next < sink->end);
    }
    struct ib_event *event = sink->next++;
#ifdef IB_CHECK
    memset(event, 0xa5, sizeof *event); /* what is forgotten differs from what is expected */
#endif
    event->seq = command->seq;
    event->time_ns = command->time_ns;
    event->index = turn->index - 1;
    event->type = type;
    event->session = session;
    event->user_ref_original = 0;
    event->reason = IB_REASON_NONE;
    event->match_ref = 0;
    event->session_seq = session == IB_SESSION_NONE ? 0 : turn->matcher->sessions[session].session_seq;
    event->displayed = 0;
    event->phase = 0;
    event->limit = 0;
    event->account = 0;
    event->reserved = 0;
    return event;
}

/* ---- the order that comes in ---- */

/* An event with the fields that every one about it has. */
IB_INLINE struct ib_event *about_incoming(const struct ib_turn *turn, const struct ib_incoming *incoming, uint16_t type,
                                          uint16_t session, uint32_t flags)
{
    IB_ASSERT(incoming->order_ref > 0);
    IB_ASSERT(incoming->client_data != NULL);
    struct ib_event *event = begin(turn, type, session);
    event->instrument = incoming->side_index >> 1;
    event->user_ref = incoming->user_ref;
    event->side = (incoming->side_index & 1) ? IB_SIDE_SELL : IB_SIDE_BUY;
    event->time_in_force = incoming->time_in_force;
    event->order_type = incoming->order_type;
    event->order_ref = incoming->order_ref;
    event->price = incoming->price;
    event->quantity = incoming->remaining;
    event->remaining = incoming->remaining;
    event->flags = flags | (incoming->is_hidden ? (uint32_t)IB_FLAG_HIDDEN : 0u);
    memcpy(event->client_data, incoming->client_data, sizeof event->client_data);
    return event;
}

void ib_event_accepted(const struct ib_turn *turn, const struct ib_incoming *incoming)
{
    IB_ASSERT(turn->index == 1 && incoming->executed == 0);
    IB_ASSERT(incoming->user_ref == turn->command->user_ref);
    (void)about_incoming(turn, incoming, IB_EVENT_ACCEPTED, incoming->session, IB_FLAG_INCOMING);
}

void ib_event_rested(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t displayed)
{
    IB_ASSERT(incoming->remaining > 0);
    IB_ASSERT(displayed < incoming->remaining);
    about_incoming(turn, incoming, IB_EVENT_RESTED, IB_SESSION_NONE, IB_FLAG_RESTING)->displayed = displayed;
}

void ib_event_dropped(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity, uint8_t reason)
{
    IB_ASSERT(quantity > 0 && quantity <= incoming->remaining);
    IB_ASSERT(reason != IB_REASON_NONE);
    struct ib_event *event = about_incoming(turn, incoming, IB_EVENT_CANCELED, incoming->session, IB_FLAG_INCOMING);
    event->reason = reason;
    event->quantity = quantity;
    event->remaining = incoming->remaining - quantity;
}

void ib_event_replaced(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref,
                       uint32_t flags, uint64_t displayed)
{
    IB_ASSERT(before_ref <= incoming->order_ref);
    struct ib_event *event = about_incoming(turn, incoming, IB_EVENT_REPLACED, incoming->session, flags);
    event->user_ref_original = turn->command->user_ref_original;
    event->match_ref = before_ref;
    event->displayed = displayed;
}

void ib_event_executed(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t quantity, int64_t price)
{
    IB_EXPECT(quantity > 0 && price > 0);
    struct ib_event *event = about_incoming(turn, incoming, IB_EVENT_EXECUTED, incoming->session, IB_FLAG_INCOMING);
    event->match_ref = turn->matcher->match_ref;
    event->quantity = quantity;
    event->price = price;
}

void ib_event_released(const struct ib_turn *turn, const struct ib_incoming *incoming, uint64_t before_ref)
{
    IB_ASSERT(before_ref < incoming->order_ref);
    IB_ASSERT(incoming->remaining > 0);
    about_incoming(turn, incoming, IB_EVENT_RELEASED, IB_SESSION_NONE, 0)->match_ref = before_ref;
}

/* ---- an order in the book ---- */

/* Of an order that is hidden or parked. */
static void tell_place(struct ib_event *event, const struct ib_book *book, uint32_t index)
{
    const struct ib_level level = ib_book_level(book, ib_book_order(book, index)->level);
    IB_ASSERT(ib_level_place(level) != IB_PLACE_VISIBLE);
    IB_ASSERT(event->flags == IB_FLAG_RESTING);
    if (!ib_level_is_parked(level)) {
        event->flags |= IB_FLAG_HIDDEN;
        return;
    }
    const struct ib_order_extra *extra = ib_book_extra_of(book, index);
    event->price = extra->price;
    event->flags = extra->is_hidden ? (uint32_t)IB_FLAG_HIDDEN : 0u;
}

/* An event with the fields that every one about it has; `quantity` is what it loses, `session` to whom it is told. */
IB_INLINE struct ib_event *about_live(const struct ib_turn *turn, uint32_t index, uint16_t type, uint16_t session,
                                      uint64_t quantity)
{
    IB_ASSERT(index != IB_NONE);
    const struct ib_book *book = &turn->matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    IB_ASSERT(order->level != IB_NONE && quantity <= ib_order_remaining(order));
    const struct ib_level level = ib_book_level(book, order->level);
    struct ib_event *event = begin(turn, type, session);
    event->instrument = ib_level_instrument(level);
    event->user_ref = order->user_ref;
    event->side = ib_level_side(level);
    event->time_in_force = ib_order_time_in_force(order);
    event->order_type = ib_order_type(order);
    event->order_ref = ib_order_ref(order);
    event->price = ib_book_any_price(book, level);
    event->quantity = quantity;
    event->remaining = ib_order_remaining(order) - quantity;
    event->flags = IB_FLAG_RESTING;
    if (!IB_LIKELY(ib_level_place(level) == IB_PLACE_VISIBLE)) {
        tell_place(event, book, index);
    }
    memcpy(event->client_data, ib_book_client_data(book, index), sizeof event->client_data);
    return event;
}

/* … to its owner. */
IB_INLINE struct ib_event *about_loss(const struct ib_turn *turn, uint32_t index, uint16_t type, uint64_t quantity)
{
    IB_ASSERT(quantity > 0);
    return about_live(turn, index, type, ib_order_session(ib_book_order(&turn->matcher->book, index)), quantity);
}

void ib_event_resting_executed(const struct ib_turn *turn, uint32_t index, uint64_t quantity, uint64_t displayed)
{
    IB_ASSERT(turn->matcher->match_ref > 0);
    struct ib_event *event = about_loss(turn, index, IB_EVENT_EXECUTED, quantity);
    event->match_ref = turn->matcher->match_ref;
    event->displayed = displayed;
    IB_ASSERT(displayed == 0 || displayed < event->remaining);
}

void ib_event_auctioned(const struct ib_turn *turn, uint32_t index, uint64_t quantity, int64_t price,
                        uint64_t displayed)
{
    struct ib_event *event = about_loss(turn, index, IB_EVENT_EXECUTED, quantity);
    event->match_ref = turn->matcher->match_ref;
    event->price = price;
    event->displayed = displayed;
    event->flags |= IB_FLAG_AUCTION;
    IB_ASSERT(price > 0 && event->match_ref > 0);
    IB_ASSERT(displayed == 0 || displayed < event->remaining);
}

void ib_event_canceled(const struct ib_turn *turn, uint32_t index, uint64_t quantity, uint8_t reason,
                       uint64_t displayed)
{
    IB_ASSERT(reason != IB_REASON_NONE);
    struct ib_event *event = about_loss(turn, index, IB_EVENT_CANCELED, quantity);
    event->reason = reason;
    event->displayed = displayed;
}

void ib_event_modified(const struct ib_turn *turn, uint32_t index, uint64_t quantity, uint64_t displayed)
{
    uint16_t session = ib_order_session(ib_book_order(&turn->matcher->book, index));
    struct ib_event *event = about_live(turn, index, IB_EVENT_MODIFIED, session, quantity);
    event->displayed = displayed;
    IB_ASSERT(event->remaining > 0);
    IB_ASSERT(displayed < event->remaining);
}

void ib_event_refreshed(const struct ib_turn *turn, uint32_t index, uint64_t before_ref)
{
    const struct ib_book *book = &turn->matcher->book;
    struct ib_event *event = about_live(turn, index, IB_EVENT_REFRESHED, IB_SESSION_NONE, 0);
    IB_ASSERT(before_ref < event->order_ref);
    uint64_t shown = ib_book_shown(book, index);
    event->match_ref = before_ref;
    event->quantity = event->remaining;
    event->displayed = shown < event->remaining ? shown : 0;
}

/* ---- no order ---- */

void ib_event_rejected(const struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 1);
    IB_ASSERT(reason != IB_REASON_NONE);
    const struct ib_command *command = turn->command;
    struct ib_event *event = begin(turn, IB_EVENT_REJECTED, command->session);
    event->instrument = command->instrument;
    event->user_ref = command->user_ref;
    event->user_ref_original = command->user_ref_original;
    event->side = command->side;
    event->time_in_force = command->time_in_force;
    event->order_type = command->order_type;
    event->reason = reason;
    event->order_ref = 0;
    event->price = command->price;
    event->quantity = command->quantity;
    event->remaining = 0;
    event->flags = 0;
    memcpy(event->client_data, command->client_data, sizeof event->client_data);
}

/* One that is about no order: `told` has the fields that are its own. */
static void tell(const struct ib_turn *turn, const struct ib_event *told, uint16_t session)
{
    IB_ASSERT(told->user_ref == 0 && told->order_ref == 0);
    struct ib_event *event = begin(turn, told->type, session);
    const struct ib_event numbers = *event;
    *event = *told;
    event->seq = numbers.seq;
    event->time_ns = numbers.time_ns;
    event->index = numbers.index;
    event->session = session;
    event->session_seq = numbers.session_seq;
}

void ib_event_plain(const struct ib_turn *turn, uint16_t session, uint16_t type, uint8_t reason)
{
    IB_ASSERT(type == IB_EVENT_TRADING_STATE || type == IB_EVENT_END_OF_DAY);
    const struct ib_event told = {.type = type, .reason = reason};
    tell(turn, &told, session);
}

void ib_event_told(const struct ib_turn *turn, const struct ib_event *told)
{
    IB_ASSERT(told->type >= IB_EVENT_PHASE);
    IB_ASSERT(told->session_seq == 0);
    tell(turn, told, IB_SESSION_NONE);
}
