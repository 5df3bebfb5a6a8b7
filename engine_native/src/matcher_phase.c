/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_phase.c: the phases of an instrument and its call auctions (docs/matching.md, section 5).
 */
#include "auction.h"
#include "book_path.h"
#include "book_rare.h"
#include "matcher_state.h"

void ib_turn_set_phase(struct ib_turn *turn, uint32_t index, uint8_t phase, uint8_t reason)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_instrument *instrument = &matcher->instruments[index];
    IB_ASSERT(index < matcher->book.instrument_count);
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION && phase != instrument->phase);
    matcher->instruments_hash -= ib_instrument_hash(instrument, index);
    instrument->phase = phase;
    matcher->instruments_hash += ib_instrument_hash(instrument, index);
    uint32_t *special = &matcher->book.instruments[index].special;
    *special = phase == IB_PHASE_CONTINUOUS ? *special & ~(uint32_t)IB_SPECIAL_PHASE : *special | IB_SPECIAL_PHASE;
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        struct ib_event event = {.type = IB_EVENT_PHASE, .instrument = index, .phase = phase, .reason = reason};
        ib_event_told(turn, &event);
    }
}

/* ---- the price of an auction ---- */

/* One side of an instrument, visible and hidden: 0 buys, 1 hidden buys, 2 sells, 3 hidden sells. */
enum { SIDES = 4 };

struct auction_sides {
    const struct ib_book *book;
    uint32_t side_index[SIDES];
    uint32_t at[SIDES]; /* the next level of each, from the lowest price up */
};

static struct auction_sides sides_of(const struct ib_book *book, uint32_t instrument)
{
    IB_ASSERT(instrument < book->instrument_count);
    struct auction_sides sides = {.book = book};
    for (uint32_t i = 0; i < SIDES; i++) {
        uint32_t place = i & 1 ? IB_PLACE_HIDDEN : IB_PLACE_VISIBLE;
        sides.side_index[i] = place << IB_PLACE_SHIFT | 2 * instrument | i >> 1;
    }
    return sides;
}

/* Market orders of a side. */
static uint64_t market_quantity(const struct auction_sides *sides, unsigned side_number)
{
    IB_ASSERT(side_number <= 1);
    uint32_t best = ib_book_any_side(sides->book, sides->side_index[2 * side_number])->best;
    return best != IB_NONE && ib_book_level(sides->book, best).key == 0 ? ib_book_queue(sides->book, best)->quantity
                                                                         : 0;
}

/* To the level with the next higher limit price. */
static void advance_side(struct auction_sides *sides, unsigned i)
{
    const struct ib_book *book = sides->book;
    IB_ASSERT(i < SIDES);
    IB_ASSERT(sides->at[i] != IB_NONE);
    sides->at[i] = i >= 2 ? ib_book_level_behind(book, sides->at[i]) : ib_book_level_before(book, sides->at[i]);
    if (sides->at[i] != IB_NONE && ib_book_level(book, sides->at[i]).key == 0) {
        sides->at[i] = IB_NONE; /* market orders have no price, and are ahead of all that have */
    }
}

/* Sets each side to the level with its lowest limit price. */
static void rewind_sides(struct auction_sides *sides)
{
    const struct ib_book *book = sides->book;
    IB_ASSERT(book != NULL);
    for (unsigned i = 0; i < SIDES; i++) {
        /* The best buy is the highest: its lowest price is farthest from the best. */
        sides->at[i] = i >= 2 ? ib_book_any_side(book, sides->side_index[i])->best
                              : ib_book_last_level(book, sides->side_index[i]);
        if (i >= 2 && sides->at[i] != IB_NONE && ib_book_level(book, sides->at[i]).key == 0) {
            advance_side(sides, i);
        }
        if (i < 2 && sides->at[i] != IB_NONE && ib_book_level(book, sides->at[i]).key == 0) {
            sides->at[i] = IB_NONE;
        }
    }
}

/* The lowest price that was not told yet, and what stands there; 0 = all were. */
static int64_t next_price(struct auction_sides *sides, uint64_t *buys, uint64_t *sells)
{
    const struct ib_book *book = sides->book;
    IB_ASSERT(buys != sells);
    int64_t price = 0;
    for (unsigned i = 0; i < SIDES; i++) {
        if (sides->at[i] != IB_NONE) {
            int64_t at = ib_book_any_price(book, ib_book_level(book, sides->at[i]));
            price = price == 0 || at < price ? at : price;
        }
    }
    *buys = 0;
    *sells = 0;
    for (unsigned i = 0; i < SIDES && price != 0; i++) {
        if (sides->at[i] != IB_NONE && ib_book_any_price(book, ib_book_level(book, sides->at[i])) == price) {
            *(i >= 2 ? sells : buys) += ib_book_queue(book, sides->at[i])->quantity;
            advance_side(sides, i);
        }
    }
    return price;
}

/* Sum of all limit orders of the buy side. */
static uint64_t limit_buys(struct auction_sides *sides)
{
    IB_ASSERT(sides->book != NULL);
    uint64_t sum = 0;
    uint64_t buys;
    uint64_t sells;
    rewind_sides(sides);
    while (next_price(sides, &buys, &sells) != 0) {
        IB_ASSERT(sum <= UINT64_MAX - buys);
        sum += buys;
    }
    return sum;
}

struct outcome {
    int64_t price;
    uint64_t buys; /* at that price or better */
    uint64_t sells;
};

/* What would trade at a price. */
static struct outcome outcome_at(struct auction_sides *sides, int64_t price)
{
    IB_ASSERT(price > 0);
    struct outcome outcome = {
        .price = price, .buys = market_quantity(sides, 0), .sells = market_quantity(sides, 1)};
    uint64_t buys;
    uint64_t sells;
    rewind_sides(sides);
    for (int64_t at = next_price(sides, &buys, &sells); at != 0; at = next_price(sides, &buys, &sells)) {
        outcome.buys += at >= price ? buys : 0;
        outcome.sells += at <= price ? sells : 0;
    }
    IB_ASSERT(outcome.buys > 0 && outcome.sells > 0);
    return outcome;
}

/* What an uncross would do now; price 0: nothing trades. */
static struct outcome equilibrium(const struct ib_matcher *matcher, uint32_t instrument)
{
    struct auction_sides sides = sides_of(&matcher->book, instrument);
    int64_t tick = matcher->instruments[instrument].tick;
    int64_t reference = matcher->instruments[instrument].reference_price;
    IB_ASSERT(tick >= 1 && reference >= 0);
    reference = reference != 0 ? reference : matcher->book.instruments[instrument].last_price;
    struct ib_auction auction;
    uint64_t buys;
    uint64_t sells;
    ib_auction_begin(&auction, limit_buys(&sides), market_quantity(&sides, 0), market_quantity(&sides, 1));
    rewind_sides(&sides);
    for (int64_t at = next_price(&sides, &buys, &sells); at != 0; at = next_price(&sides, &buys, &sells)) {
        ib_auction_tell(&auction, at, buys, sells);
    }
    if (!auction.told && reference >= tick) { /* market orders alone */
        ib_auction_tell(&auction, reference - reference % tick, 0, 0);
    }
    if (!auction.told || auction.volume == 0) {
        return (struct outcome){0};
    }
    struct outcome outcome = outcome_at(&sides, ib_auction_price(&auction, reference, tick));
    IB_ASSERT((outcome.buys < outcome.sells ? outcome.buys : outcome.sells) == auction.volume);
    return outcome;
}

/* ---- the auction itself ---- */

/* The order of a side that trades next in an auction: market orders first, then by price, visible before hidden. */
static uint32_t first_order(const struct ib_book *book, uint32_t side_index)
{
    const struct ib_price_index *visible = ib_book_side(book, side_index);
    const struct ib_price_index *hidden = ib_book_any_side(book, IB_PLACE_HIDDEN << IB_PLACE_SHIFT | side_index);
    const struct ib_price_index *best = hidden->best_key < visible->best_key ? hidden : visible;
    IB_ASSERT(best->best != IB_NONE); /* there is volume left */
    return ib_book_oldest(book, best->best);
}

/* One order's part of a trade in an auction. */
static void auction_fill(struct ib_turn *turn, uint32_t index, unsigned is_sell, uint64_t quantity, int64_t price)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_book *book = &matcher->book;
    const struct ib_order *order = ib_book_order(book, index);
    const struct ib_order_extra *extra = ib_book_extra(book, index);
    uint16_t session = ib_order_session(order);
    uint64_t remaining = ib_order_remaining(order) - quantity;
    IB_ASSERT(quantity > 0 && quantity <= ib_order_remaining(order));
    int is_iceberg = extra != NULL && extra->displayed > 0;
    uint64_t shown = is_iceberg && extra->displayed < remaining ? extra->displayed : remaining;
    ib_turn_number(turn, session);
    if (ib_turn_is_reporting(turn)) {
        ib_event_auctioned(turn, index, quantity, price, shown < remaining ? shown : 0);
    }
    struct ib_risk_row *row = ib_matcher_row(matcher, session, ib_level_instrument(ib_book_level(book, order->level)));
    ib_risk_fill(&matcher->risk, row, is_sell, quantity, remaining == 0);
    if (remaining == 0) {
        ib_book_remove(book, index);
        return;
    }
    ib_book_fill_part(book, index, quantity);
    if (is_iceberg) {
        ib_book_show(book, index, shown); /* it keeps its place */
    }
    IB_ASSERT(ib_order_remaining(order) == remaining);
}

static void uncross(struct ib_turn *turn, uint32_t instrument)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_book *book = &matcher->book;
    struct outcome outcome = equilibrium(matcher, instrument);
    uint64_t volume = outcome.buys < outcome.sells ? outcome.buys : outcome.sells;
    IB_ASSERT((volume == 0) == (outcome.price == 0));
    if (volume == 0) {
        return;
    }
    struct ib_instrument *of = &matcher->instruments[instrument];
    matcher->instruments_hash -= ib_instrument_hash(of, instrument);
    of->reference_price = outcome.price;
    matcher->instruments_hash += ib_instrument_hash(of, instrument);
    while (volume > 0) {
        uint32_t buy = first_order(book, 2 * instrument);
        uint32_t sell = first_order(book, 2 * instrument + 1);
        uint64_t open = ib_order_remaining(ib_book_order(book, buy));
        uint64_t opposite = ib_order_remaining(ib_book_order(book, sell));
        uint64_t quantity = open < opposite ? open : opposite;
        IB_ASSERT(quantity <= volume);
        volume -= quantity;
        ib_turn_count_trade(turn, instrument, outcome.price, quantity);
        auction_fill(turn, buy, 0, quantity, outcome.price);
        auction_fill(turn, sell, 1, quantity, outcome.price);
    }
}

/* ---- commands ---- */

static void release_at_close(struct ib_turn *turn, uint32_t instrument)
{
    const struct ib_book *book = &turn->matcher->book;
    IB_ASSERT(instrument < book->instrument_count);
    for (;;) {
        uint32_t first = IB_NONE;
        for (uint32_t side = 0; side < 2; side++) {
            uint32_t side_index = IB_PLACE_AT_CLOSE << IB_PLACE_SHIFT | 2 * instrument | side;
            uint32_t best = ib_book_any_side(book, side_index)->best;
            uint32_t head = best == IB_NONE ? IB_NONE : ib_book_oldest(book, best);
            if (head != IB_NONE && (first == IB_NONE || ib_order_ref(ib_book_order(book, head)) <
                                                            ib_order_ref(ib_book_order(book, first)))) {
                first = head;
            }
        }
        if (first == IB_NONE) {
            return;
        }
        struct ib_arrival arrival;
        uint8_t client_data[IB_CLIENT_DATA_SIZE];
        ib_turn_release(turn, first, &arrival, client_data);
        IB_ASSERT(arrival.order.time_in_force == IB_TIME_IN_FORCE_AT_CLOSE);
        ib_turn_rest(turn, &arrival);
    }
}

void ib_turn_phase(struct ib_turn *turn)
{
    const struct ib_command *command = turn->command;
    uint32_t index = command->instrument;
    uint8_t phase = command->phase;
    const struct ib_instrument *instrument = ib_matcher_live_instrument(turn->matcher, index);
    IB_ASSERT(command->type == IB_COMMAND_PHASE);
    if (instrument == NULL || phase > IB_PHASE_CLOSING_AUCTION || phase == instrument->phase) {
        return;
    }
    ib_turn_set_phase(turn, index, phase, IB_REASON_NONE);
    struct ib_selection selection = {
        .instrument = index, .session = IB_SESSION_NONE, .account = IB_ACCOUNT_ANY, .only_auction = 1};
    if (phase == IB_PHASE_CONTINUOUS || phase == IB_PHASE_CLOSED) {
        uncross(turn, index);
        ib_turn_cancel_many(turn, &selection, IB_REASON_AUCTION_ENDED);
    }
    if (phase == IB_PHASE_CLOSED) {
        selection.only_auction = 0;
        selection.only_day = 1;
        ib_turn_cancel_many(turn, &selection, IB_REASON_DAY_ENDED);
    }
    if (phase == IB_PHASE_CLOSING_AUCTION) {
        release_at_close(turn, index);
    }
    ib_turn_release_stops(turn, index);
    IB_ASSERT(instrument->phase == phase || phase == IB_PHASE_CONTINUOUS); /* a stop may have broken a band */
}

void ib_turn_indicate(struct ib_turn *turn)
{
    uint32_t index = turn->command->instrument;
    const struct ib_instrument *instrument = ib_matcher_live_instrument(turn->matcher, index);
    IB_ASSERT(turn->command->type == IB_COMMAND_INDICATE);
    if (instrument == NULL || instrument->phase == IB_PHASE_CONTINUOUS || instrument->phase == IB_PHASE_CLOSED) {
        return;
    }
    ib_turn_number(turn, IB_SESSION_NONE);
    if (!ib_turn_is_reporting(turn)) {
        return;
    }
    struct outcome outcome = equilibrium(turn->matcher, index);
    int buys_left = outcome.buys > outcome.sells;
    struct ib_event event = {
        .type = IB_EVENT_INDICATIVE,
        .instrument = index,
        .price = outcome.price,
        .quantity = buys_left ? outcome.sells : outcome.buys,
        .remaining = buys_left ? outcome.buys - outcome.sells : outcome.sells - outcome.buys,
    };
    if (event.remaining > 0) {
        event.side = buys_left ? IB_SIDE_BUY : IB_SIDE_SELL;
    }
    IB_ASSERT((outcome.price == 0) == (event.quantity == 0));
    ib_event_told(turn, &event);
}
