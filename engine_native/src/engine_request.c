/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_request.c: the words of an admin request become a command. Everything is checked here that the I/O thread can
 * know, so that nonsense is refused with one line and never sequenced; docs/protocols/admin.md has the requests.
 *
 * The words come from a file that our own user or root may write to, and are bounded by the line; still nothing of them
 * is trusted: printable ASCII without quotes, numbers read to their end, names looked up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "engine_internal.h"
#include "engine_names.h"

enum { WORDS_MAX = 16 };

struct words {
    struct ib_engine *engine;
    size_t count, next;
    char *words[WORDS_MAX];
};

static bool fail(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct words *words, const char *format, ...)
{
    va_list arguments;
    IB_ASSERT(words->engine != NULL);
    va_start(arguments, format);
    int size = vsnprintf(words->engine->request_error, sizeof words->engine->request_error, format, arguments);
    va_end(arguments);
    IB_ASSERT(size > 0);
    return false;
}

static bool split(struct words *words, char *text)
{
    IB_ASSERT(words->count == 0 && words->next == 0);
    IB_ASSERT(text != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\') {
            return fail(words, "a request is printable ASCII without quotes");
        }
    }
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
        if (word[0] == '\0') {
            continue;
        }
        if (words->count == WORDS_MAX) {
            return fail(words, "a request has at most %d words", WORDS_MAX);
        }
        words->words[words->count++] = word;
    }
    return true;
}

static const char *take(struct words *words, const char *what)
{
    IB_ASSERT(what != NULL && words->next <= words->count);
    if (words->next == words->count) {
        fail(words, "%s is missing: give it", what);
        return NULL;
    }
    return words->words[words->next++];
}

static bool number(struct words *words, const char *name, const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    IB_ASSERT(name != NULL && text != NULL && value != NULL);
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *value > most) {
        return fail(words, "%s is '%.32s': give it an integer from 0 to %llu", name, text, (unsigned long long)most);
    }
    return true;
}

static bool named(struct words *words, const char *name, const char *text, const char *const *names, size_t count,
                  uint8_t *value)
{
    IB_ASSERT(text != NULL && count > 0);
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && strcmp(text, names[i]) == 0) {
            *value = (uint8_t)i;
            return true;
        }
    }
    char all[160] = "";
    for (size_t i = 0, size = 0; i < count; i++) {
        if (names[i] != NULL) {
            size += (size_t)snprintf(all + size, sizeof all - size, "%s%s", size == 0 ? "" : ", ", names[i]);
            IB_ASSERT(size < sizeof all);
        }
    }
    return fail(words, "%s is '%.32s': give it one of %s", name, text, all);
}

static bool symbol_of(struct words *words, const char *text, char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(text != NULL && symbol != NULL);
    size_t size = strlen(text);
    if (size < 1 || size > IB_SYMBOL_SIZE) {
        return fail(words, "'%.32s' is no symbol: 1 to %d characters", text, IB_SYMBOL_SIZE);
    }
    memset(symbol, ' ', IB_SYMBOL_SIZE);
    memcpy(symbol, text, size);
    return true;
}

static bool instrument_of(struct words *words, const char *text, uint32_t *instrument)
{
    char symbol[IB_SYMBOL_SIZE];
    if (text == NULL || !symbol_of(words, text, symbol)) {
        return false;
    }
    *instrument = ib_directory_find(words->engine->directory, symbol);
    IB_ASSERT(*instrument == UINT32_MAX || *instrument < ib_directory_count(words->engine->directory));
    return *instrument != UINT32_MAX || fail(words, "%s is not traded here", text);
}

static bool account_of(struct words *words, const char *text, uint16_t *account)
{
    uint8_t name[IB_CLIENT_DATA_SIZE];
    if (text == NULL) {
        return false;
    }
    size_t size = strlen(text);
    IB_ASSERT(account != NULL);
    *account = IB_ACCOUNT_ANY;
    if (size >= 1 && size <= sizeof name) {
        memset(name, ' ', sizeof name);
        memcpy(name, text, size);
        *account = ib_matcher_find_account(words->engine->matcher, name);
    }
    return *account != IB_ACCOUNT_ANY || fail(words, "there is no account '%.32s': a session that names none "
                                                           "trades for that of its firm's name", text);
}

static bool session_of(struct words *words, const char *text, uint16_t *session)
{
    char username[IB_USERNAME_SIZE + 1];
    IB_ASSERT(words->engine->matcher != NULL);
    IB_ASSERT(text != NULL && session != NULL);
    *session = IB_SESSION_NONE;
    if (strlen(text) >= 1 && strlen(text) <= IB_USERNAME_SIZE) {
        snprintf(username, sizeof username, "%-6s", text);
        *session = ib_matcher_find_session(words->engine->matcher, username);
    }
    return *session != IB_SESSION_NONE || fail(words, "there is no session '%.32s'", text);
}

/* One key=value of an instrument. */
static bool define(struct words *words, char *word, struct ib_instrument *instrument)
{
    char *value = strchr(word, '=');
    uint64_t whole = 0;
    IB_ASSERT(instrument->phase < IB_PHASE_NAMES && instrument->breach < IB_BREACH_NAMES);
    if (value == NULL) {
        return fail(words, "'%.32s' is no key=value", word);
    }
    *value++ = '\0';
    const struct {
        const char *key;
        uint64_t most;
    } keys[] = {{"tick", INT64_MAX},        {"lot", IB_QUANTITY_MAX}, {"reference_price", INT64_MAX},
                {"static_band", 10000},     {"dynamic_band", 10000},  {"schedule", IB_SCHEDULES_MAX},
                {"price_scale", 8},         {"quantity_scale", 8}};
    if (strcmp(word, "phase") == 0) {
        return named(words, word, value, ib_phase_names, IB_PHASE_NAMES, &instrument->phase);
    }
    if (strcmp(word, "breach") == 0) {
        return named(words, word, value, ib_breach_names, IB_BREACH_NAMES, &instrument->breach);
    }
    size_t i = 0;
    while (i < sizeof keys / sizeof keys[0] && strcmp(word, keys[i].key) != 0) {
        i++;
    }
    if (i == sizeof keys / sizeof keys[0]) {
        return fail(words, "'%.32s' is nothing of an instrument: tick, lot, reference_price, static_band, "
                           "dynamic_band, schedule, price_scale, quantity_scale, phase or breach", word);
    }
    if (!number(words, word, value, keys[i].most, &whole)) {
        return false;
    }
    IB_ASSERT(whole <= keys[i].most);
    switch (i) {
    case 0: instrument->tick = (int64_t)whole; break;
    case 1: instrument->lot = whole; break;
    case 2: instrument->reference_price = (int64_t)whole; break;
    case 3: instrument->static_band = whole; break;
    case 4: instrument->dynamic_band = whole; break;
    case 5: instrument->schedule = (uint32_t)whole; break;
    case 6: instrument->price_scale = (uint8_t)whole; break;
    default: instrument->quantity_scale = (uint8_t)whole; break;
    }
    return true;
}

static bool define_instrument(struct words *words, bool is_new, struct ib_command *out,
                              struct ib_instrument *instrument)
{
    struct ib_directory *directory = words->engine->directory;
    const char *text = take(words, "the symbol");
    uint32_t index = ib_directory_count(directory);
    *instrument = (struct ib_instrument){.lot = 1, .price_scale = 4};
    if (text == NULL || !symbol_of(words, text, instrument->symbol)) {
        return false;
    }
    if (is_new && ib_directory_find(directory, instrument->symbol) != UINT32_MAX) {
        return fail(words, "%s is traded already: change it with instrument_change", text);
    }
    if (is_new && index >= IB_INSTRUMENTS_MAX) {
        return fail(words, "there are %d instruments, which is the most", IB_INSTRUMENTS_MAX);
    }
    if (!is_new) {
        if (!instrument_of(words, text, &index)) {
            return false;
        }
        *instrument = ib_directory_at(directory, index)->definition;
    }
    uint8_t phase = instrument->phase;
    IB_ASSERT(index <= ib_directory_count(directory));
    while (words->next < words->count) {
        if (!define(words, words->words[words->next++], instrument)) {
            return false;
        }
    }
    if (instrument->tick < 1 || instrument->lot < 1) {
        return fail(words, "%s of %s must be at least 1: give it", instrument->tick < 1 ? "tick" : "lot", text);
    }
    if (instrument->schedule > words->engine->config.schedule_count) {
        return fail(words, "there is no schedule %u: the configuration has %zu", instrument->schedule,
                    words->engine->config.schedule_count);
    }
    if (!is_new && phase != instrument->phase) {
        return fail(words, "a phase is not changed so: ask phase %s", text);
    }
    *out = ib_engine_definition(is_new ? IB_COMMAND_INSTRUMENT_ADD : IB_COMMAND_INSTRUMENT_CHANGE, index, instrument);
    return true;
}

static bool risk_limit(struct words *words, struct ib_command *command)
{
    IB_ASSERT(command->session == IB_SESSION_NONE && words->next == 0);
    command->type = IB_COMMAND_RISK_LIMIT;
    command->instrument = IB_INSTRUMENT_ALL;
    const char *text;
    if (!account_of(words, take(words, "the account"), &command->account) ||
        (text = take(words, "the limit")) == NULL ||
        !named(words, "the limit", text, ib_limit_names, IB_LIMIT_NAMES - 1, &command->limit) ||
        (text = take(words, "the value")) == NULL) {
        return false;
    }
    IB_ASSERT(command->limit >= IB_RISK_MESSAGE_RATE && command->limit <= IB_RISK_OPEN_ORDERS);
    command->value = IB_UNLIMITED;
    if (strcmp(text, "unlimited") != 0 && !number(words, "the value", text, IB_UNLIMITED - 1, &command->value)) {
        return false;
    }
    if (words->next == words->count) {
        return true;
    }
    if (command->limit == IB_RISK_MESSAGE_RATE) {
        return fail(words, "message_rate is of a whole account: leave the symbol out");
    }
    return instrument_of(words, take(words, "the symbol"), &command->instrument);
}

static bool mass_cancel(struct words *words, struct ib_command *command)
{
    static const char *const sides[] = {NULL, "buy", "sell"};
    *command = (struct ib_command){.type = IB_COMMAND_MASS_CANCEL,
                                   .session = IB_SESSION_NONE,
                                   .account = IB_ACCOUNT_ANY,
                                   .instrument = IB_INSTRUMENT_ALL};
    IB_ASSERT(words->next == 0);
    if (words->count == 0) {
        return fail(words, "whose? give session=, account=, symbol=, side= or all");
    }
    if (words->count == 1 && strcmp(words->words[0], "all") == 0) {
        words->next = 1;
        return true;
    }
    while (words->next < words->count) {
        char *word = words->words[words->next++];
        char *value = strchr(word, '=');
        bool taken = false;
        if (value != NULL) {
            *value++ = '\0';
            taken = strcmp(word, "session") == 0   ? session_of(words, value, &command->session)
                    : strcmp(word, "account") == 0 ? account_of(words, value, &command->account)
                    : strcmp(word, "symbol") == 0  ? instrument_of(words, value, &command->instrument)
                    : strcmp(word, "side") == 0
                        ? named(words, word, value, sides, 3, &command->side)
                        : fail(words, "'%.32s': give session=, account=, symbol= or side=", word);
        } else {
            fail(words, "'%.32s': give session=, account=, symbol= or side=", word);
        }
        if (!taken) {
            return false;
        }
    }
    IB_ASSERT(command->side <= IB_SIDE_SELL);
    if (command->session != IB_SESSION_NONE && command->account == IB_ACCOUNT_ANY) {
        /* The same orders; but a session's own names no account, and it alone is charged for it (engine.c). */
        command->account = ib_matcher_session(words->engine->matcher, command->session)->account;
    }
    return true;
}

static bool read_words(struct words *words, enum ib_admin_request request, struct ib_command *command,
                       struct ib_instrument *definition)
{
    const char *text;
    IB_ASSERT(request >= IB_ADMIN_PHASE && request < IB_ADMIN_REQUEST_COUNT);
    *command = (struct ib_command){.session = IB_SESSION_NONE};
    switch (request) {
    case IB_ADMIN_PHASE:
        command->type = IB_COMMAND_PHASE;
        return instrument_of(words, take(words, "the symbol"), &command->instrument) &&
               (text = take(words, "the phase")) != NULL &&
               named(words, "the phase", text, ib_phase_names, IB_PHASE_NAMES, &command->phase);
    case IB_ADMIN_INSTRUMENT_ADD:
    case IB_ADMIN_INSTRUMENT_CHANGE:
        return define_instrument(words, request == IB_ADMIN_INSTRUMENT_ADD, command, definition);
    case IB_ADMIN_INSTRUMENT_REMOVE:
        command->type = IB_COMMAND_INSTRUMENT_REMOVE;
        return instrument_of(words, take(words, "the symbol"), &command->instrument);
    case IB_ADMIN_RISK_LIMIT:
        return risk_limit(words, command);
    case IB_ADMIN_MASS_CANCEL:
        return mass_cancel(words, command);
    default:
        IB_ASSERT(request == IB_ADMIN_KILL || request == IB_ADMIN_REVIVE);
        command->type = IB_COMMAND_KILL;
        command->value = request == IB_ADMIN_KILL;
        return account_of(words, take(words, "the account"), &command->account);
    }
}

bool ib_engine_request_command(struct ib_engine *engine, enum ib_admin_request request, char *arguments,
                               struct ib_command *command, struct ib_instrument *definition, const char **error)
{
    struct words words = {.engine = engine};
    IB_ASSERT(engine != NULL && arguments != NULL && command != NULL && definition != NULL && error != NULL);
    bool taken = split(&words, arguments) && read_words(&words, request, command, definition);
    if (taken && words.next < words.count) {
        taken = fail(&words, "'%.32s' is too much: this request ends before it", words.words[words.next]);
    }
    *error = taken ? NULL : engine->request_error;
    IB_ASSERT(!taken || command->type != 0);
    return taken;
}

bool ib_engine_request_instrument(struct ib_engine *engine, char *arguments, uint32_t *index, const char **error)
{
    struct words words = {.engine = engine};
    IB_ASSERT(engine != NULL && arguments != NULL && index != NULL && error != NULL);
    bool taken = split(&words, arguments) && instrument_of(&words, take(&words, "the symbol"), index);
    if (taken && words.next < words.count) {
        taken = fail(&words, "'%.32s' is too much: this request ends before it", words.words[words.next]);
    }
    *error = taken ? NULL : engine->request_error;
    IB_ASSERT(!taken || *index < ib_directory_count(engine->directory));
    return taken;
}
