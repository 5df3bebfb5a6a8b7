/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_order.c: orders entered, replaced, cancelled and modified (docs/matching.md, sections 3 and 8). A command is
 * either rejected as a whole, before anything is touched, or done.
 *
 * Plain orders do not come here: theirs is matcher_path.h. What it leaves over is told here what is wrong with it, or
 * done.
 */
#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"
#include "terms.h"

void ib_turn_reject(struct ib_turn *turn, uint8_t reason)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(reason != IB_REASON_NONE);
    turn->matcher->rejects++;
    ib_turn_number(turn, turn->command->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_rejected(turn, reason);
    }
}

/* ---- what is checked ---- */

/* An order that asks to be let in: entered, or instead of the order `old` (IB_NONE = entered). */
struct request {
    uint32_t instrument;
    unsigned side_number;
    uint32_t old;
    uint64_t executed; /* of the old one */
    struct ib_terms terms;
};

/* Rule 11. */
static uint8_t refusal_of_risk(const struct ib_turn *turn, const struct request *request)
{
    const struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    IB_ASSERT(command->quantity > request->executed);
    uint16_t account = ib_matcher_account(matcher, command->session);
    if (account == 0) {
        return IB_REASON_NONE;
    }
    struct ib_risk_order order = {
        .account = account,
        .order_type = command->order_type,
        .is_sell = (uint8_t)request->side_number,
        .is_replacing = request->old != IB_NONE,
        .replaced = request->old != IB_NONE ? ib_order_remaining(ib_book_order(&matcher->book, request->old)) : 0,
        .quantity = command->quantity - request->executed,
        .price = command->order_type == IB_ORDER_STOP ? command->stop_price : command->price,
        .base = ib_matcher_base(matcher, request->instrument),
        .instrument = request->instrument,
        .row = ib_risk_find(&matcher->risk, account, request->instrument),
    };
    return ib_risk_refusal(&matcher->risk, &order);
}

/* Rule 12: whatever it would trade at once, because that is not known yet. */
static int could_stay(const struct ib_command *command, uint8_t phase)
{
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION);
    IB_ASSERT(command->order_type >= IB_ORDER_LIMIT);
    return !ib_time_in_force_is_immediate(command->time_in_force) &&
           (command->order_type != IB_ORDER_MARKET || command->time_in_force != IB_TIME_IN_FORCE_DAY ||
            phase != IB_PHASE_CONTINUOUS);
}

/* Rules 5 to 13. */
static uint8_t refusal_of_request(const struct ib_turn *turn, struct request *request)
{
    const struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    const struct ib_instrument *instrument = &matcher->instruments[request->instrument];
    IB_ASSERT(!instrument->removed);
    IB_ASSERT(request->side_number <= 1);
    struct ib_terms_frame frame = {
        .instrument = &matcher->book.instruments[request->instrument],
        .lot = instrument->lot,
        .executed = request->executed,
        .rules = matcher->rules,
        .phase = instrument->phase,
    };
    uint8_t reason = ib_terms_refusal(command, &frame, &request->terms);
    if (reason == IB_REASON_NONE) {
        reason = refusal_of_risk(turn, request);
    }
    if (reason != IB_REASON_NONE) {
        return reason;
    }
    if (request->old == IB_NONE && ib_book_is_full(&matcher->book) && could_stay(command, instrument->phase)) {
        return IB_REASON_BOOK_FULL;
    }
    if ((command->flags & IB_ORDER_POST_ONLY) != 0 && instrument->phase == IB_PHASE_CONTINUOUS &&
        ib_book_would_trade(&matcher->book, 2 * request->instrument | request->side_number,
                            ib_book_key(request->side_number, request->terms.ticks))) {
        return IB_REASON_POST_ONLY;
    }
    return IB_REASON_NONE;
}

static uint8_t refusal_of_enter(const struct ib_turn *turn, struct request *request)
{
    const struct ib_command *command = turn->command;
    IB_ASSERT(command->type == IB_COMMAND_ENTER);
    IB_ASSERT(command->session < turn->matcher->session_count);
    if (command->reason != IB_REASON_NONE) {
        return command->reason;
    }
    if (turn->matcher->trading_state != IB_TRADING_OPEN) {
        return IB_REASON_HALTED;
    }
    if (ib_matcher_live_instrument(turn->matcher, command->instrument) == NULL) {
        return IB_REASON_INSTRUMENT_UNKNOWN;
    }
    if (command->side != IB_SIDE_BUY && command->side != IB_SIDE_SELL) {
        return IB_REASON_SIDE_INVALID;
    }
    *request = (struct request){.instrument = command->instrument, .side_number = ib_side_number(command->side)};
    return refusal_of_request(turn, request);
}

static uint8_t refusal_of_replace(const struct ib_turn *turn, uint32_t old, struct request *request)
{
    const struct ib_command *command = turn->command;
    const struct ib_book *book = &turn->matcher->book;
    IB_ASSERT(command->type == IB_COMMAND_REPLACE);
    IB_ASSERT(command->session < turn->matcher->session_count);
    if (command->reason != IB_REASON_NONE) {
        return command->reason;
    }
    if (turn->matcher->trading_state != IB_TRADING_OPEN) {
        return IB_REASON_HALTED;
    }
    if (old == IB_NONE) {
        return IB_REASON_ORDER_UNKNOWN;
    }
    const struct ib_level level = ib_book_level(book, ib_book_order(book, old)->level);
    *request = (struct request){
        .instrument = ib_level_instrument(level),
        .side_number = level.side_index & 1,
        .old = old,
        .executed = ib_book_executed(book, old),
    };
    return refusal_of_request(turn, request);
}

/* ---- what is done ---- */

/* The order that a command describes; it has no number yet. */
static struct ib_arrival arrival_of(const struct ib_turn *turn, const struct request *request)
{
    const struct ib_command *command = turn->command;
    IB_ASSERT(command->quantity > request->executed);
    IB_ASSERT(request->instrument < turn->matcher->book.instrument_count);
    int priced = turn->matcher->rules == IB_RULES_1 || ib_type_has_limit(command->order_type);
    return (struct ib_arrival){
        .order = {
            .side_index = 2 * request->instrument | request->side_number,
            .user_ref = command->user_ref,
            .session = command->session,
            .time_in_force = command->time_in_force,
            .order_type = command->order_type,
            .is_hidden = (command->flags & IB_ORDER_HIDDEN) != 0,
            .key = ib_type_has_limit(command->order_type) ? ib_book_key(request->side_number, request->terms.ticks) : 0,
            .price = priced ? command->price : 0,
            .remaining = command->quantity - request->executed,
            .executed = request->executed,
            .client_data = command->client_data,
        },
        .displayed = command->displayed,
        .minimum = command->minimum,
        .expire_time_ns = command->time_in_force == IB_TIME_IN_FORCE_GTD ? command->expire_time_ns : 0,
        .stop_ticks = request->terms.stop_ticks,
        .self_trade = command->self_trade,
    };
}

/* Where an accepted order goes. */
static void arrive(struct ib_turn *turn, struct ib_arrival *arrival)
{
    uint32_t instrument = arrival->order.side_index >> 1;
    uint8_t phase = turn->matcher->instruments[instrument].phase;
    IB_ASSERT(phase != IB_PHASE_CLOSED && phase != IB_PHASE_HALTED);
    IB_ASSERT(arrival->order.order_ref > 0);
    if (ib_type_is_stop(arrival->order.order_type)) {
        ib_turn_park(turn, arrival, IB_PLACE_STOP);
    } else if (arrival->order.time_in_force == IB_TIME_IN_FORCE_AT_CLOSE && phase != IB_PHASE_CLOSING_AUCTION) {
        ib_turn_park(turn, arrival, IB_PLACE_AT_CLOSE);
    } else if (phase != IB_PHASE_CONTINUOUS) {
        ib_turn_rest(turn, arrival);
    } else {
        ib_turn_match(turn, arrival);
    }
    ib_turn_release_stops(turn, instrument);
}

/* The row of the order's account; the gate has seen that there is one to be had. */
static struct ib_risk_row *row_for(struct ib_turn *turn, uint32_t instrument)
{
    IB_ASSERT(instrument < turn->matcher->book.instrument_count);
    uint16_t account = ib_matcher_account(turn->matcher, turn->command->session);
    uint32_t row = account == 0 ? 0 : ib_risk_make(&turn->matcher->risk, account, instrument);
    IB_ASSERT(account == 0 || row != 0);
    return &turn->matcher->risk.rows[row];
}

void ib_turn_enter(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    struct request request;
    uint8_t reason = refusal_of_enter(turn, &request);
    if (reason != IB_REASON_NONE) {
        ib_turn_reject(turn, reason);
        return;
    }
    struct ib_arrival arrival = arrival_of(turn, &request);
    arrival.order.row = row_for(turn, request.instrument);
    arrival.order.order_ref = ib_turn_next_ref(turn);
    ib_turn_number(turn, arrival.order.session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_accepted(turn, &arrival.order);
    }
    arrive(turn, &arrival);
}

/* What a Replace or a Modify does not say again stays as it was entered: each zero byte of its client data is the
 * order's. */
static void inherit_client_data(uint8_t *merged, const uint8_t *said, const uint8_t *before)
{
    IB_ASSERT(merged != said && merged != before);
    for (size_t i = 0; i < IB_CLIENT_DATA_SIZE; i++) {
        merged[i] = said[i] != 0 ? said[i] : before[i];
    }
}

static int keeps_priority(const struct ib_turn *turn, const struct ib_arrival *arrival, uint32_t old)
{
    const struct ib_book *book = &turn->matcher->book;
    const struct ib_order *order = ib_book_order(book, old);
    const struct ib_level level = ib_book_level(book, order->level);
    const struct ib_order_extra *extra = ib_book_extra(book, old);
    const struct ib_incoming *incoming = &arrival->order;
    uint8_t phase = turn->matcher->instruments[incoming->side_index >> 1].phase;
    IB_ASSERT(incoming->side_index == (level.side_index & (IB_SIDES_MAX - 1)));
    int may_rest = !ib_time_in_force_is_immediate(incoming->time_in_force) &&
                   (incoming->time_in_force != IB_TIME_IN_FORCE_AT_CLOSE || phase == IB_PHASE_CLOSING_AUCTION);
    return !ib_level_is_parked(level) && may_rest && incoming->order_type == IB_ORDER_LIMIT &&
           ib_order_type(order) == IB_ORDER_LIMIT && incoming->key == level.key &&
           incoming->is_hidden == (ib_level_place(level) == IB_PLACE_HIDDEN) &&
           arrival->displayed == (extra == NULL ? 0 : extra->displayed) && arrival->minimum == 0 &&
           incoming->remaining <= ib_order_remaining(order);
}

/* The old order stays where it stands, smaller or the same, under its new number. */
static void replace_in_place(struct ib_turn *turn, struct ib_arrival *arrival, uint32_t old)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    struct ib_incoming *incoming = &arrival->order;
    uint64_t before = ib_order_remaining(ib_book_order(book, old));
    uint64_t shown = ib_book_shown(book, old);
    IB_ASSERT(incoming->remaining <= before);
    incoming->order_ref = ib_order_ref(ib_book_order(book, old));
    ib_risk_take(incoming->row, incoming->side_index & 1, before - incoming->remaining, 0);
    struct ib_order_extra extra = {.displayed = arrival->displayed, .expire_time_ns = arrival->expire_time_ns};
    if (extra.displayed > 0) {
        extra.shown = shown < incoming->remaining ? shown : incoming->remaining;
    }
    int has_extra = extra.displayed > 0 || extra.expire_time_ns > 0;
    ib_book_shrink(book, old, incoming->remaining);
    ib_book_rename(book, old, incoming->user_ref, incoming->time_in_force, incoming->client_data,
                   has_extra ? &extra : NULL);
    ib_turn_number(turn, incoming->session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_replaced(turn, incoming, incoming->order_ref, IB_FLAG_RESTING | IB_FLAG_PRIORITY_KEPT,
                          extra.shown < incoming->remaining ? extra.shown : 0);
    }
    IB_ASSERT(ib_book_find(book, incoming->session, incoming->user_ref) == old);
}

void ib_turn_replace(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    uint32_t old = ib_book_find(book, turn->command->session, turn->command->user_ref_original);
    struct request request;
    uint8_t reason = refusal_of_replace(turn, old, &request);
    if (reason != IB_REASON_NONE) {
        ib_turn_reject(turn, reason);
        return;
    }
    struct ib_arrival arrival = arrival_of(turn, &request);
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
    inherit_client_data(client_data, turn->command->client_data, ib_book_client_data(book, old));
    arrival.order.client_data = client_data;
    arrival.order.row = row_for(turn, request.instrument);
    if (keeps_priority(turn, &arrival, old)) {
        replace_in_place(turn, &arrival, old);
        return;
    }
    const struct ib_order *order = ib_book_order(book, old);
    uint64_t before_ref = ib_order_ref(order);
    uint32_t flags = ib_level_is_parked(ib_book_level(book, order->level)) ? 0 : IB_FLAG_RESTING;
    IB_ASSERT(arrival.order.side_index == (2 * request.instrument | request.side_number));
    ib_risk_take(arrival.order.row, request.side_number, ib_order_remaining(order), 1);
    ib_book_remove(book, old);
    arrival.order.order_ref = ib_turn_next_ref(turn);
    ib_turn_number(turn, arrival.order.session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_replaced(turn, &arrival.order, before_ref, flags, 0);
    }
    arrive(turn, &arrival);
}

/* ---- cancel, modify ---- */

void ib_turn_cancel_order(struct ib_turn *turn, uint32_t index, uint8_t reason)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_order *order = ib_book_order(&matcher->book, index);
    const struct ib_level level = ib_book_level(&matcher->book, order->level);
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(ib_order_remaining(order) > 0);
    ib_turn_number(turn, ib_order_session(order));
    if (ib_turn_is_reporting(turn)) {
        ib_event_canceled(turn, index, ib_order_remaining(order), reason, 0);
    }
    struct ib_risk_row *row = ib_matcher_row(matcher, ib_order_session(order), ib_level_instrument(level));
    ib_risk_take(row, level.side_index & 1, ib_order_remaining(order), 1);
    ib_book_remove(&matcher->book, index);
}

/* What stays open of an order whose new total size the command says, its filled part included. */
static uint64_t open_of(const struct ib_turn *turn, uint32_t index)
{
    IB_ASSERT(index != IB_NONE);
    uint64_t executed = ib_book_executed(&turn->matcher->book, index);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    return turn->command->quantity > executed ? turn->command->quantity - executed : 0;
}

/* An order of the command's session has less open from here on, or as much, and keeps its place; `type` of event says
 * so. */
static void lessen(struct ib_turn *turn, uint32_t index, uint64_t remaining, uint16_t type)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_level level = ib_book_level(&matcher->book, ib_book_order(&matcher->book, index)->level);
    uint64_t off = ib_order_remaining(ib_book_order(&matcher->book, index)) - remaining;
    uint64_t shown = ib_book_shown(&matcher->book, index);
    IB_ASSERT(shown > 0 && shown <= off + remaining);
    IB_ASSERT(off > 0 || type == IB_EVENT_MODIFIED);
    uint64_t displayed = ib_level_place(level) == IB_PLACE_VISIBLE && shown < remaining ? shown : 0;
    ib_turn_number(turn, turn->command->session);
    if (ib_turn_is_reporting(turn) && type == IB_EVENT_MODIFIED) {
        ib_event_modified(turn, index, off, displayed);
    } else if (ib_turn_is_reporting(turn)) {
        ib_event_canceled(turn, index, off, IB_REASON_USER, displayed);
    }
    ib_risk_take(ib_matcher_row(matcher, turn->command->session, ib_level_instrument(level)), level.side_index & 1,
                 off, 0);
    ib_book_shrink(&matcher->book, index, remaining);
}

void ib_turn_cancel(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    const struct ib_command *command = turn->command;
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    uint32_t index = ib_book_find(book, command->session, command->user_ref);
    if (index == IB_NONE) {
        return; /* unknown, foreign, filled or cancelled before: the client's own stream has told it */
    }
    uint64_t remaining = open_of(turn, index);
    const struct ib_level level = ib_book_level(book, ib_book_order(book, index)->level);
    if (remaining >= ib_order_remaining(ib_book_order(book, index)) ||
        remaining % matcher->instruments[ib_level_instrument(level)].lot != 0) {
        return; /* the new size is not smaller, or none that the order could have */
    }
    if (remaining == 0) {
        ib_turn_cancel_order(turn, index, IB_REASON_USER);
    } else {
        lessen(turn, index, remaining, IB_EVENT_CANCELED);
    }
}

void ib_turn_modify(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(turn->matcher->rules >= IB_RULES_3);
    const struct ib_command *command = turn->command;
    struct ib_book *book = &turn->matcher->book;
    uint32_t index = ib_book_find(book, command->session, command->user_ref);
    if (index == IB_NONE) {
        return; /* as a cancel's */
    }
    uint64_t before = ib_order_remaining(ib_book_order(book, index));
    uint64_t remaining = open_of(turn, index);
    const struct ib_level level = ib_book_level(book, ib_book_order(book, index)->level);
    uint64_t lot = turn->matcher->instruments[ib_level_instrument(level)].lot;
    if (command->side != ib_level_side(level) || remaining > before || remaining % lot != 0) {
        return; /* an order never changes its side, and grows by Replace alone */
    }
    if (remaining == 0) {
        ib_turn_cancel_order(turn, index, IB_REASON_USER);
        return;
    }
    uint8_t client_data[IB_CLIENT_DATA_SIZE];
    inherit_client_data(client_data, command->client_data, ib_book_client_data(book, index));
    int is_relabelled = memcmp(client_data, ib_book_client_data(book, index), sizeof client_data) != 0;
    if (is_relabelled) {
        ib_book_relabel(book, index, client_data);
    }
    if (is_relabelled || remaining < before) {
        lessen(turn, index, remaining, IB_EVENT_MODIFIED);
    }
    IB_ASSERT(ib_book_find(book, command->session, command->user_ref) == index);
    IB_ASSERT(ib_book_shown(book, index) > 0);
}
