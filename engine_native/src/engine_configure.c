/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_configure.c: the configuration against the state that the journal led to. What differs and may be changed is
 * sequenced, before any thread runs; what may not be changed is refused with one line; what is the same is nothing, so
 * that a second start over the same configuration sequences nothing.
 *
 * The rules come first (docs/matching.md, section 1): a new journal begins with the newest ones, an old one goes on
 * under its own until the configuration asks for more.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "engine_internal.h"

enum { UNCONFIGURED_NAMED = 8 }; /* of them by name; the others are counted */

_Static_assert(UNCONFIGURED_NAMED * (IB_SYMBOL_SIZE + 1) < 128, "in one line");

static void pad(uint8_t *field, const char *text, size_t size)
{
    IB_ASSERT(strlen(text) >= 1 && strlen(text) <= size);
    memset(field, ' ', size);
    memcpy(field, text, strlen(text));
}

static int refuse(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(char *error, const char *format, ...)
{
    va_list arguments;
    IB_ASSERT(error != NULL);
    va_start(arguments, format);
    int size = vsnprintf(error, IB_ERROR_TEXT_SIZE, format, arguments);
    va_end(arguments);
    IB_ASSERT(size > 0);
    return IB_ERROR_CONFIGURATION;
}

/* As ib_engine_sequence; but to a day that has ended nothing is added, not even what would be ignored. */
static int sequence(struct ib_engine *engine, struct ib_command *command, char *error)
{
    IB_ASSERT(command->type != 0 && command->seq == 0);
    IB_ASSERT(!ib_engine_has_venue(engine)); /* nobody trades while this is said */
    if (engine->ended) {
        return refuse(error, "the journal's day has ended and the configuration adds to it: begin a new "
                             "journal_directory");
    }
    return ib_engine_sequence(engine, command, error);
}

static int set_rules(struct ib_engine *engine, char *error)
{
    uint32_t wanted = engine->config.rules;
    uint32_t now = ib_matcher_rules(engine->matcher);
    IB_ASSERT(wanted <= IB_RULES_NEWEST);
    if (wanted == 0) {
        wanted = engine->is_new ? (uint32_t)IB_RULES_NEWEST : now;
    }
    if (wanted < now) {
        return refuse(error,
                      "rules: the journal goes by rules %u and the configuration asks for %u: rules never go back; ask "
                      "for %u, or begin a new journal_directory",
                      now, wanted, now);
    }
    if (wanted == now) {
        return IB_OK;
    }
    struct ib_command command = {.type = IB_COMMAND_RULES, .session = IB_SESSION_NONE, .value = wanted};
    int status = sequence(engine, &command, error);
    IB_ASSERT(status != IB_OK || ib_matcher_rules(engine->matcher) == wanted);
    return status;
}

/* ---- accounts and sessions ---- */

static uint16_t account_number(const struct ib_engine *engine, uint32_t index)
{
    IB_ASSERT(engine->matcher != NULL);
    uint8_t name[IB_CLIENT_DATA_SIZE];
    if (index >= engine->config.account_count || ib_matcher_rules(engine->matcher) < IB_RULES_2) {
        return 0;
    }
    pad(name, engine->config.accounts[index].name, sizeof name);
    uint16_t account = ib_matcher_find_account(engine->matcher, name);
    IB_ASSERT(account != IB_ACCOUNT_ANY || engine->ended);
    return account;
}

static int add_account(struct ib_engine *engine, const struct ib_engine_account *wanted, char *error)
{
    struct ib_command command = {.type = IB_COMMAND_ACCOUNT_ADD, .session = IB_SESSION_NONE};
    pad(command.client_data, wanted->name, IB_CLIENT_DATA_SIZE);
    if (ib_matcher_find_account(engine->matcher, command.client_data) != IB_ACCOUNT_ANY) {
        return IB_OK;
    }
    command.account = ib_matcher_account_count(engine->matcher);
    IB_ASSERT(command.account >= 1);
    if (command.account >= IB_ACCOUNTS_MAX) {
        return refuse(error, "accounts: %s would be one more than the %d that a journal can have: begin a new "
                             "journal_directory", wanted->name, IB_ACCOUNTS_MAX - 1);
    }
    return sequence(engine, &command, error);
}

static int check_session(const struct ib_engine *engine, const struct ib_engine_session *wanted,
                         const struct ib_command *command, uint16_t index, char *error)
{
    const struct ib_session *session = ib_matcher_session(engine->matcher, index);
    IB_ASSERT(session != NULL && wanted != NULL);
    IB_ASSERT(session->account < ib_matcher_account_count(engine->matcher));
    if (memcmp(session->firm, command->client_data + IB_USERNAME_SIZE, IB_FIRM_SIZE) != 0) {
        return refuse(error,
                      "sessions: %s belongs to firm %.4s in the journal and to %s in the configuration: a session "
                      "cannot change its firm",
                      wanted->username, session->firm, wanted->firm);
    }
    if (wanted->account_named && session->account != command->account) {
        return refuse(error,
                      "sessions: %s trades for account %.24s in the journal and for %s in the configuration: a session "
                      "cannot change its account; give the account a session of a new username",
                      wanted->username,
                      session->account == 0 ? "0, nobody's,"
                                            : (const char *)ib_matcher_account_name(engine->matcher, session->account),
                      engine->config.accounts[wanted->account].name);
    }
    return IB_OK;
}

static int add_session(struct ib_engine *engine, const struct ib_engine_session *wanted, char *error)
{
    struct ib_command command = {.type = IB_COMMAND_SESSION_ADD, .account = account_number(engine, wanted->account)};
    pad(command.client_data, wanted->username, IB_USERNAME_SIZE);
    pad(command.client_data + IB_USERNAME_SIZE, wanted->firm, IB_FIRM_SIZE);
    uint16_t index = ib_matcher_find_session(engine->matcher, (const char *)command.client_data);
    if (index != IB_SESSION_NONE) {
        return check_session(engine, wanted, &command, index, error);
    }
    command.session = ib_matcher_session_count(engine->matcher);
    IB_ASSERT(command.session <= IB_SESSIONS_MAX);
    return sequence(engine, &command, error);
}

/* ---- instruments ---- */

struct ib_command ib_engine_definition(uint16_t type, uint32_t index, const struct ib_instrument *instrument)
{
    const struct ib_instrument_command definition = {
        .type = type,
        .session = IB_SESSION_NONE,
        .instrument = index,
        .tick = instrument->tick,
        .lot = instrument->lot,
        .price_scale = instrument->price_scale,
        .quantity_scale = instrument->quantity_scale,
        .phase = instrument->phase,
        .breach = instrument->breach,
        .schedule = instrument->schedule,
        .static_band = instrument->static_band,
        .dynamic_band = instrument->dynamic_band,
        .reference_price = instrument->reference_price,
    };
    struct ib_command command;
    IB_ASSERT(instrument->tick >= 1 && instrument->lot >= 1);
    IB_ASSERT(instrument->breach <= IB_BREACH_HALT && instrument->phase <= IB_PHASE_CLOSING_AUCTION);
    _Static_assert(sizeof command == sizeof definition, "the same bytes, read otherwise");
    memcpy(&command, &definition, sizeof command);
    memcpy(command.client_data, instrument->symbol, IB_SYMBOL_SIZE);
    return command;
}

static struct ib_instrument wanted_instrument(const struct ib_engine_instrument *wanted)
{
    struct ib_instrument instrument = {
        .tick = wanted->tick,
        .lot = wanted->lot,
        .reference_price = wanted->reference_price,
        .static_band = wanted->static_band,
        .dynamic_band = wanted->dynamic_band,
        .schedule = wanted->schedule,
        .phase = wanted->phase,
        .breach = wanted->breach,
        .price_scale = wanted->price_scale,
        .quantity_scale = wanted->quantity_scale,
    };
    IB_ASSERT(wanted->symbol != NULL);
    pad((uint8_t *)instrument.symbol, wanted->symbol, sizeof instrument.symbol);
    return instrument;
}

/* A definition from before rules 2 says nothing of scales: that means 4 and 0. */
static uint8_t price_scale(uint8_t scale)
{
    IB_ASSERT(scale <= 8);
    return scale == 0 ? 4 : scale;
}

/* Its phase and its reference price are not compared: the first belongs to trading, the second moves with it. */
static bool is_as_wanted(const struct ib_instrument *now, const struct ib_engine_instrument *wanted)
{
    IB_ASSERT(now->lot >= 1 && wanted->lot >= 1);
    return now->tick == wanted->tick && now->lot == wanted->lot && now->static_band == wanted->static_band &&
           now->dynamic_band == wanted->dynamic_band && now->schedule == wanted->schedule &&
           now->breach == wanted->breach && price_scale(now->price_scale) == price_scale(wanted->price_scale) &&
           now->quantity_scale == wanted->quantity_scale;
}

static int change_instrument(struct ib_engine *engine, uint32_t index, const struct ib_engine_instrument *wanted,
                             char *error)
{
    const struct ib_instrument *now = ib_matcher_instrument(engine->matcher, index);
    bool rules_2 = ib_matcher_rules(engine->matcher) >= IB_RULES_2;
    IB_ASSERT(now != NULL && !now->removed);
    struct ib_instrument instrument = wanted_instrument(wanted);
    uint16_t type = IB_COMMAND_INSTRUMENT_CHANGE;
    instrument.reference_price = now->reference_price;
    if (wanted->removed) {
        type = IB_COMMAND_INSTRUMENT_REMOVE;
    } else if (is_as_wanted(now, wanted)) {
        return IB_OK;
    } else if (!rules_2 && now->tick != wanted->tick) {
        return refuse(error,
                      "instruments: %s has tick %lld in the journal and %lld in the configuration: a tick cannot "
                      "change within a journal of rules 1; set rules to 2, or begin a new journal_directory",
                      wanted->symbol, (long long)now->tick, (long long)wanted->tick);
    } else if ((now->tick != wanted->tick || now->lot != wanted->lot) &&
               !ib_matcher_instrument_is_idle(engine->matcher, index)) {
        return refuse(error,
                      "instruments: %s has tick %lld and lot %llu in the journal, %lld and %llu in the configuration, "
                      "and live orders: cancel them first (mass_cancel), or leave both as they are",
                      wanted->symbol, (long long)now->tick, (unsigned long long)now->lot, (long long)wanted->tick,
                      (unsigned long long)wanted->lot);
    }
    if (!rules_2) {
        return refuse(error, "instruments: what the configuration asks of %s needs rules 2, and the journal goes by "
                             "rules 1: set rules to 2, or begin a new journal_directory",
                      wanted->symbol);
    }
    struct ib_command command = ib_engine_definition(type, index, &instrument);
    return sequence(engine, &command, error);
}

static int add_instrument(struct ib_engine *engine, const struct ib_engine_instrument *wanted, char *error)
{
    static const struct ib_instrument plain = {.lot = 1};
    IB_ASSERT(wanted->symbol != NULL && wanted->tick >= 1);
    struct ib_instrument instrument = wanted_instrument(wanted);
    uint32_t index = ib_matcher_find_instrument(engine->matcher, instrument.symbol);
    if (index != UINT32_MAX) {
        return change_instrument(engine, index, wanted, error);
    }
    if (wanted->removed) {
        return IB_OK;
    }
    struct ib_instrument alike = plain;
    alike.tick = wanted->tick;
    if (ib_matcher_rules(engine->matcher) < IB_RULES_2 &&
        (!is_as_wanted(&alike, wanted) || wanted->phase != 0 || wanted->reference_price != 0)) {
        return refuse(error, "instruments: what the configuration asks of %s needs rules 2, and the journal goes by "
                             "rules 1: set rules to 2, or begin a new journal_directory",
                      wanted->symbol);
    }
    index = ib_matcher_instrument_count(engine->matcher);
    if (index >= IB_INSTRUMENTS_MAX) {
        return refuse(error, "instruments: %s would be one more than the %d that a journal can have: begin a new "
                             "journal_directory", wanted->symbol, IB_INSTRUMENTS_MAX);
    }
    struct ib_command command = ib_engine_definition(IB_COMMAND_INSTRUMENT_ADD, index, &instrument);
    return sequence(engine, &command, error);
}

/* What the journal trades and the configuration lacks was added by an administrator, or taken out of the configuration:
 * it goes on trading, with its orders, and one line says so. A start after a crash must not depend on who added
 * what. */
static int tell_of_unconfigured(const struct ib_engine *engine)
{
    char names[128] = "", symbol[IB_SYMBOL_SIZE];
    size_t size = 0;
    uint32_t unconfigured = 0, count = ib_matcher_instrument_count(engine->matcher);
    bool *configured = calloc(count + 1u, sizeof *configured);
    if (configured == NULL) {
        return IB_ERROR_MEMORY;
    }
    for (size_t i = 0; i < engine->config.instrument_count; i++) {
        IB_ASSERT(engine->config.instruments[i].symbol != NULL);
        pad((uint8_t *)symbol, engine->config.instruments[i].symbol, sizeof symbol);
        uint32_t index = ib_matcher_find_instrument(engine->matcher, symbol);
        IB_ASSERT(index < count || engine->ended || engine->config.instruments[i].removed);
        configured[index < count ? index : count] = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct ib_instrument *instrument = ib_matcher_instrument(engine->matcher, i);
        IB_ASSERT(instrument != NULL);
        if (instrument->removed || configured[i]) {
            continue;
        }
        if (++unconfigured <= UNCONFIGURED_NAMED) {
            size_t length = IB_SYMBOL_SIZE;
            while (length > 0 && instrument->symbol[length - 1] == ' ') {
                length--;
            }
            size += (size_t)snprintf(names + size, sizeof names - size, " %.*s", (int)length, instrument->symbol);
            IB_ASSERT(size < sizeof names);
        }
    }
    IB_ASSERT(unconfigured <= count);
    if (unconfigured > 0) {
        fprintf(stderr, "ironbook: engine: instruments: the journal trades %u that the configuration lacks, and so "
                        "does this engine:%s%s: add them to it, with removed: true to end their trading\n",
                unconfigured, names, unconfigured > UNCONFIGURED_NAMED ? " …" : "");
    }
    free(configured);
    return IB_OK;
}

/* ---- limits ---- */

static int set_limit(struct ib_engine *engine, const struct ib_engine_limit *wanted, char *error)
{
    struct ib_command command = {.type = IB_COMMAND_RISK_LIMIT,
                                 .session = IB_SESSION_NONE,
                                 .instrument = IB_INSTRUMENT_ALL,
                                 .account = account_number(engine, wanted->account),
                                 .limit = wanted->limit,
                                 .value = wanted->value};
    uint64_t now;
    IB_ASSERT(wanted->limit >= IB_RISK_MESSAGE_RATE && wanted->limit <= IB_RISK_OPEN_ORDERS);
    if (command.account == 0 || command.account == IB_ACCOUNT_ANY) {
        return IB_OK; /* rules 1, where that was refused already, or a day that has ended */
    }
    if (wanted->symbol != NULL) {
        char symbol[IB_SYMBOL_SIZE];
        pad((uint8_t *)symbol, wanted->symbol, sizeof symbol);
        command.instrument = ib_matcher_find_instrument(engine->matcher, symbol);
        if (command.instrument == UINT32_MAX) {
            return refuse(error, "accounts: %s has a limit for %s, which is not traded: take it out",
                          engine->config.accounts[wanted->account].name, wanted->symbol);
        }
    }
    IB_ASSERT(command.instrument == IB_INSTRUMENT_ALL || command.limit != IB_RISK_MESSAGE_RATE);
    bool is_position = wanted->limit == IB_RISK_POSITION_LONG || wanted->limit == IB_RISK_POSITION_SHORT;
    if (is_position && command.value > IB_POSITION_MAX) {
        command.value = IB_POSITION_MAX; /* what it would mean anyway */
    }
    if (ib_matcher_limit(engine->matcher, command.account, command.instrument, command.limit, &now) &&
        now == command.value) {
        return IB_OK;
    }
    return sequence(engine, &command, error);
}

/* Whether somebody wrote down what rules 1 cannot do. The accounts that firms have by default are no wish. */
static bool needs_rules_2(const struct ib_engine_config *config)
{
    bool needs = config->limit_count > 0;
    IB_ASSERT(config->account_count < IB_ACCOUNTS_MAX);
    IB_ASSERT(config->session_count <= IB_SESSIONS_MAX);
    for (size_t i = 0; i < config->session_count; i++) {
        needs = needs || config->sessions[i].account_named != 0 || config->sessions[i].cancel_on_disconnect != 0;
    }
    return needs;
}

int ib_engine_configure(struct ib_engine *engine, char *error)
{
    const struct ib_engine_config *config = &engine->config;
    uint64_t before = ib_matcher_seq(engine->matcher);
    engine->ended = ib_matcher_trading_state(engine->matcher) == IB_TRADING_ENDED; /* nothing here ends it */
    int status = engine->ended ? IB_OK : set_rules(engine, error);
    bool rules_2 = ib_matcher_rules(engine->matcher) >= IB_RULES_2;
    IB_ASSERT(engine->recovered_seq <= before);
    if (status == IB_OK && !rules_2 && needs_rules_2(config)) {
        status = refuse(error, "accounts, limits and cancel_on_disconnect need rules 2, and the journal goes by rules "
                               "1: set rules to 2, or begin a new journal_directory");
    }
    for (size_t i = 0; i < config->account_count && rules_2 && status == IB_OK; i++) {
        status = add_account(engine, &config->accounts[i], error);
    }
    for (size_t i = 0; i < config->instrument_count && status == IB_OK; i++) {
        status = add_instrument(engine, &config->instruments[i], error);
    }
    for (size_t i = 0; i < config->session_count && status == IB_OK; i++) {
        status = add_session(engine, &config->sessions[i], error);
    }
    for (size_t i = 0; i < config->limit_count && status == IB_OK; i++) {
        status = set_limit(engine, &config->limits[i], error);
    }
    IB_ASSERT(engine->ended ? ib_matcher_seq(engine->matcher) == before : ib_matcher_seq(engine->matcher) >= before);
    return status == IB_OK ? tell_of_unconfigured(engine) : status;
}
