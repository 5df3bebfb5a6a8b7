/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_admin.c: definitions, risk limits, kill switches and cancels of many orders (docs/matching.md, sections 2, 7
 * and 8). None of it is on the path of an order.
 */
#include <string.h>

#include "book_path.h"
#include "book_rare.h"
#include "matcher_define.h"
#include "matcher_state.h"

/* ---- instruments ---- */

uint64_t ib_instrument_hash(const struct ib_instrument *instrument, uint32_t index)
{
    IB_ASSERT(instrument->tick >= 1);
    IB_ASSERT(instrument->phase <= IB_PHASE_CLOSING_AUCTION);
    uint64_t symbol;
    memcpy(&symbol, instrument->symbol, sizeof symbol);
    uint64_t hash = ib_mix(symbol + index, (uint64_t)instrument->tick);
    hash = ib_mix(hash + instrument->lot, (uint64_t)instrument->reference_price);
    hash = ib_mix(hash + instrument->static_band, instrument->dynamic_band);
    return ib_mix(hash + instrument->schedule, (uint64_t)instrument->phase | (uint64_t)instrument->breach << 8 |
                                                   (uint64_t)instrument->removed << 16 |
                                                   (uint64_t)instrument->price_scale << 24 |
                                                   (uint64_t)instrument->quantity_scale << 32);
}

/* The command as an instrument's definition. Under rules 1 it says tick and symbol alone. */
static struct ib_instrument definition_of(const struct ib_turn *turn)
{
    struct ib_instrument_command command;
    _Static_assert(sizeof command == sizeof *turn->command, "the same bytes, read otherwise");
    memcpy(&command, turn->command, sizeof command);
    struct ib_instrument instrument = {.tick = command.tick, .lot = 1};
    memcpy(instrument.symbol, command.symbol, IB_SYMBOL_SIZE);
    if (turn->matcher->rules >= IB_RULES_2) {
        instrument.lot = command.lot == 0 ? 1 : command.lot;
        instrument.reference_price = command.reference_price;
        instrument.static_band = command.static_band;
        instrument.dynamic_band = command.dynamic_band;
        instrument.schedule = command.schedule;
        instrument.phase = command.phase;
        instrument.breach = command.breach;
        instrument.price_scale = command.price_scale;
        instrument.quantity_scale = command.quantity_scale;
    }
    IB_ASSERT(instrument.lot >= 1);
    IB_ASSERT(!instrument.removed);
    return instrument;
}

int ib_instrument_is_sound(const struct ib_instrument *instrument)
{
    IB_ASSERT(instrument->lot >= 1);
    return instrument->tick >= 1 && instrument->reference_price >= 0 && instrument->static_band <= IB_BASIS_POINTS &&
           instrument->dynamic_band <= IB_BASIS_POINTS && instrument->breach <= IB_BREACH_HALT &&
           instrument->phase <= IB_PHASE_CLOSING_AUCTION;
}

/* Tells the path of plain orders what it has to know about an instrument. */
static void set_special(struct ib_matcher *matcher, uint32_t index)
{
    IB_ASSERT(index < matcher->book.instrument_count);
    const struct ib_instrument *instrument = &matcher->instruments[index];
    IB_ASSERT(instrument->lot >= 1);
    uint32_t *special = &matcher->book.instruments[index].special;
    *special &= ~(uint32_t)(IB_SPECIAL_PHASE | IB_SPECIAL_REMOVED | IB_SPECIAL_LOT | IB_SPECIAL_BANDS);
    *special |= instrument->phase != IB_PHASE_CONTINUOUS ? IB_SPECIAL_PHASE : 0u;
    *special |= instrument->removed ? IB_SPECIAL_REMOVED : 0u;
    *special |= instrument->lot != 1 ? IB_SPECIAL_LOT : 0u;
    *special |= (instrument->static_band | instrument->dynamic_band) != 0 ? IB_SPECIAL_BANDS : 0u;
    matcher->book.instruments[index].base_price = ib_matcher_base(matcher, index);
}

static void tell_instrument(struct ib_turn *turn, uint32_t index, uint8_t reason)
{
    IB_ASSERT(index < turn->matcher->book.instrument_count);
    IB_ASSERT(reason == IB_REASON_NONE || reason == IB_REASON_INSTRUMENT_REMOVED);
    if (turn->matcher->rules == IB_RULES_1) {
        return;
    }
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        struct ib_event event = {.type = IB_EVENT_INSTRUMENT, .instrument = index, .reason = reason};
        ib_event_told(turn, &event);
    }
}

void ib_matcher_define_instrument(struct ib_matcher *matcher, const struct ib_instrument *instrument)
{
    uint32_t index = matcher->book.instrument_count;
    IB_ASSERT(index < IB_INSTRUMENTS_MAX);
    IB_ASSERT(instrument->tick >= 1 && instrument->lot >= 1);
    matcher->instruments[index] = *instrument;
    matcher->instruments_hash += ib_instrument_hash(instrument, index);
    matcher->symbol_index[ib_matcher_symbol_bucket(matcher, instrument->symbol)] = index + 1;
    ib_book_add_instrument(&matcher->book, (uint64_t)instrument->tick);
    set_special(matcher, index);
}

void ib_turn_add_instrument(struct ib_turn *turn)
{
    struct ib_matcher *matcher = turn->matcher;
    uint32_t index = matcher->book.instrument_count;
    IB_ASSERT(turn->command->type == IB_COMMAND_INSTRUMENT_ADD);
    IB_ASSERT(index <= IB_INSTRUMENTS_MAX);
    struct ib_instrument instrument = definition_of(turn);
    if (turn->command->instrument != index || index == IB_INSTRUMENTS_MAX || !ib_instrument_is_sound(&instrument) ||
        ib_matcher_find_instrument(matcher, instrument.symbol) != UINT32_MAX) {
        return;
    }
    ib_matcher_define_instrument(matcher, &instrument);
    ib_matcher_open_path(matcher);
    tell_instrument(turn, index, IB_REASON_NONE);
}

void ib_turn_change_instrument(struct ib_turn *turn)
{
    struct ib_matcher *matcher = turn->matcher;
    uint32_t index = turn->command->instrument;
    struct ib_instrument *instrument = ib_matcher_live_instrument(matcher, index);
    IB_ASSERT(turn->command->type == IB_COMMAND_INSTRUMENT_CHANGE);
    IB_ASSERT(matcher->rules >= IB_RULES_2);
    struct ib_instrument changed = definition_of(turn);
    if (instrument == NULL || !ib_instrument_is_sound(&changed)) {
        return;
    }
    memcpy(changed.symbol, instrument->symbol, sizeof changed.symbol);
    changed.phase = instrument->phase;
    int same_units = changed.tick == instrument->tick && changed.lot == instrument->lot;
    if (!same_units && !ib_book_is_empty(&matcher->book, index)) {
        return;
    }
    matcher->instruments_hash -= ib_instrument_hash(instrument, index);
    *instrument = changed;
    matcher->instruments_hash += ib_instrument_hash(instrument, index);
    if (!same_units) {
        ib_book_set_tick(&matcher->book, index, (uint64_t)changed.tick);
    }
    set_special(matcher, index);
    tell_instrument(turn, index, IB_REASON_NONE);
}

void ib_turn_remove_instrument(struct ib_turn *turn)
{
    struct ib_matcher *matcher = turn->matcher;
    uint32_t index = turn->command->instrument;
    struct ib_instrument *instrument = ib_matcher_live_instrument(matcher, index);
    IB_ASSERT(turn->command->type == IB_COMMAND_INSTRUMENT_REMOVE);
    if (instrument == NULL) {
        return;
    }
    struct ib_selection selection = {.instrument = index, .session = IB_SESSION_NONE, .account = IB_ACCOUNT_ANY};
    ib_turn_cancel_many(turn, &selection, IB_REASON_INSTRUMENT_REMOVED);
    IB_ASSERT(ib_book_is_empty(&matcher->book, index));
    matcher->instruments_hash -= ib_instrument_hash(instrument, index);
    instrument->removed = 1;
    matcher->instruments_hash += ib_instrument_hash(instrument, index);
    set_special(matcher, index);
    tell_instrument(turn, index, IB_REASON_INSTRUMENT_REMOVED);
}

/* ---- sessions and accounts ---- */

struct ib_session *ib_matcher_define_session(struct ib_matcher *matcher, const char *name, uint16_t account)
{
    IB_ASSERT(matcher->session_count < IB_SESSIONS_MAX);
    IB_ASSERT(account < matcher->risk.account_count);
    struct ib_session *session = &matcher->sessions[matcher->session_count++];
    memcpy(session->username, name, IB_USERNAME_SIZE);
    memcpy(session->firm, name + IB_USERNAME_SIZE, IB_FIRM_SIZE);
    session->account = account;
    session->risk_rows = ib_risk_rows_of(&matcher->risk, session->account);
    uint64_t words[2] = {0, 0};
    memcpy(words, name, IB_USERNAME_SIZE + IB_FIRM_SIZE);
    matcher->sessions_hash = ib_mix(matcher->sessions_hash + words[0], words[1] + IB_HASH_C + session->account);
    return session;
}

void ib_turn_add_session(struct ib_turn *turn)
{
    IB_ASSERT(turn->command->type == IB_COMMAND_SESSION_ADD);
    IB_ASSERT(turn->matcher->session_count <= IB_SESSIONS_MAX);
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    const char *username = (const char *)command->client_data;
    if (command->session != matcher->session_count || matcher->session_count == IB_SESSIONS_MAX ||
        ib_matcher_find_session(matcher, username) != IB_SESSION_NONE ||
        command->account >= matcher->risk.account_count) {
        return;
    }
    ib_matcher_define_session(matcher, username, command->account);
}

void ib_turn_add_account(struct ib_turn *turn)
{
    struct ib_risk *risk = &turn->matcher->risk;
    IB_ASSERT(turn->command->type == IB_COMMAND_ACCOUNT_ADD);
    IB_ASSERT(risk->account_count >= 1);
    if (turn->command->account == risk->account_count && risk->account_count < IB_ACCOUNTS_MAX) {
        ib_risk_add_account(risk, turn->command->client_data);
    }
}

/* ---- cancels of many ---- */

static int is_selected(const struct ib_matcher *matcher, uint32_t index, const struct ib_selection *selection)
{
    const struct ib_order *order = ib_book_order(&matcher->book, index);
    const struct ib_level level = ib_book_level(&matcher->book, order->level);
    uint16_t session = ib_order_session(order);
    uint8_t time_in_force = ib_order_time_in_force(order);
    IB_ASSERT(index != IB_NONE);
    IB_ASSERT(session < matcher->session_count);
    if ((selection->session != IB_SESSION_NONE && selection->session != session) ||
        (selection->account != IB_ACCOUNT_ANY && selection->account != ib_matcher_account(matcher, session)) ||
        (selection->side != 0 && selection->side != ib_level_side(level))) {
        return 0;
    }
    if (selection->only_auction) {
        return !ib_level_is_parked(level) &&
               (ib_order_type(order) == IB_ORDER_MARKET || time_in_force == IB_TIME_IN_FORCE_AT_OPEN ||
                time_in_force == IB_TIME_IN_FORCE_AT_CLOSE);
    }
    return !selection->only_day || time_in_force == IB_TIME_IN_FORCE_DAY || ib_level_place(level) == IB_PLACE_AT_CLOSE;
}

/* Whose orders a selection means; IB_ACCOUNT_ANY when that is more than one account, or account 0, which nobody
 * counts. */
static uint16_t selected_account(const struct ib_matcher *matcher, const struct ib_selection *selection)
{
    uint16_t account = selection->session != IB_SESSION_NONE ? ib_matcher_account(matcher, selection->session)
                                                             : selection->account;
    IB_ASSERT(account == IB_ACCOUNT_ANY || account < matcher->risk.account_count);
    return account != 0 ? account : IB_ACCOUNT_ANY;
}

/* What the walk need not look at costs nobody's time: it ends with the last order of the account in the instrument, so
 * that a member without orders cannot keep the others waiting. */
void ib_turn_cancel_many(struct ib_turn *turn, const struct ib_selection *selection, uint8_t reason)
{
    const struct ib_matcher *matcher = turn->matcher;
    int all = selection->instrument == IB_INSTRUMENT_ALL;
    uint32_t first = all ? 0 : selection->instrument;
    uint32_t end = all ? matcher->book.instrument_count : first + 1;
    uint16_t account = selected_account(matcher, selection);
    IB_ASSERT(end <= matcher->book.instrument_count);
    IB_ASSERT(reason != IB_REASON_NONE);
    for (uint32_t instrument = first; instrument < end; instrument++) {
        uint32_t left = UINT32_MAX;
        if (account != IB_ACCOUNT_ANY) {
            uint32_t row = ib_risk_find(&matcher->risk, account, instrument);
            left = row == 0 ? 0 : matcher->risk.rows[row].open_orders;
        }
        struct ib_walk walk;
        ib_walk_begin(&walk, &matcher->book, instrument);
        for (uint32_t index = left > 0 ? ib_walk_next(&walk) : IB_NONE; index != IB_NONE;
             index = left > 0 ? ib_walk_next(&walk) : IB_NONE) {
            left -= ib_matcher_account(matcher, ib_order_session(ib_book_order(&matcher->book, index))) == account;
            if (is_selected(matcher, index, selection)) {
                ib_turn_cancel_order(turn, index, reason);
            }
        }
    }
}

void ib_turn_mass_cancel(struct ib_turn *turn)
{
    const struct ib_command *command = turn->command;
    struct ib_matcher *matcher = turn->matcher;
    IB_ASSERT(command->type == IB_COMMAND_MASS_CANCEL);
    IB_ASSERT(turn->index == 0);
    if ((command->session != IB_SESSION_NONE && command->session >= matcher->session_count) ||
        (command->account != IB_ACCOUNT_ANY && command->account >= matcher->risk.account_count) ||
        (command->instrument != IB_INSTRUMENT_ALL &&
         ib_matcher_live_instrument(matcher, command->instrument) == NULL) ||
        command->side > IB_SIDE_SELL) {
        return;
    }
    struct ib_selection selection = {
        .instrument = command->instrument,
        .session = command->session,
        .account = command->account,
        .side = command->side,
    };
    ib_turn_cancel_many(turn, &selection, IB_REASON_MASS_CANCEL);
}

void ib_turn_expire(struct ib_turn *turn)
{
    const struct ib_book *book = &turn->matcher->book;
    IB_ASSERT(turn->command->type == IB_COMMAND_EXPIRE);
    IB_ASSERT(turn->index == 0);
    for (;;) {
        uint32_t index = ib_book_expiry_first(book);
        if (index == IB_NONE || ib_book_extra_of(book, index)->expire_time_ns > turn->command->time_ns) {
            return;
        }
        ib_turn_cancel_order(turn, index, IB_REASON_EXPIRED);
    }
}

/* ---- risk ---- */

static void tell_risk(struct ib_turn *turn, uint32_t instrument, uint8_t limit, uint64_t value)
{
    IB_ASSERT(turn->command->account > 0);
    IB_ASSERT(limit >= IB_RISK_MESSAGE_RATE && limit <= IB_RISK_KILL);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        struct ib_event event = {
            .type = IB_EVENT_RISK,
            .account = turn->command->account,
            .instrument = instrument,
            .limit = limit,
            .quantity = value,
        };
        ib_event_told(turn, &event);
    }
}

void ib_turn_risk_limit(struct ib_turn *turn)
{
    const struct ib_command *command = turn->command;
    struct ib_matcher *matcher = turn->matcher;
    IB_ASSERT(command->type == IB_COMMAND_RISK_LIMIT);
    IB_ASSERT(turn->index == 0);
    if (command->account == 0 || command->account >= matcher->risk.account_count ||
        command->limit < IB_RISK_MESSAGE_RATE || command->limit > IB_RISK_OPEN_ORDERS) {
        return;
    }
    if (command->instrument == IB_INSTRUMENT_ALL) {
        ib_risk_set_default(&matcher->risk, command->account, command->limit, command->value);
    } else if (command->limit == IB_RISK_MESSAGE_RATE ||
               ib_matcher_live_instrument(matcher, command->instrument) == NULL ||
               !ib_risk_set_own(&matcher->risk, command->account, command->instrument, command->limit,
                                command->value)) {
        return;
    }
    tell_risk(turn, command->instrument, command->limit, command->value);
}

void ib_turn_kill(struct ib_turn *turn)
{
    const struct ib_command *command = turn->command;
    struct ib_matcher *matcher = turn->matcher;
    uint32_t killed = command->value != 0;
    IB_ASSERT(command->type == IB_COMMAND_KILL);
    IB_ASSERT(turn->index == 0);
    if (command->account == 0 || command->account >= matcher->risk.account_count ||
        matcher->risk.accounts[command->account].killed == killed) {
        return;
    }
    ib_risk_kill(&matcher->risk, command->account, killed);
    tell_risk(turn, IB_INSTRUMENT_ALL, IB_RISK_KILL, killed);
    if (killed) {
        struct ib_selection selection = {
            .instrument = IB_INSTRUMENT_ALL, .session = IB_SESSION_NONE, .account = command->account};
        ib_turn_cancel_many(turn, &selection, IB_REASON_RISK_KILLED);
    }
}
