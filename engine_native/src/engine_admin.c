/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_admin.c: what the requests of the admin socket do, and their answers as JSON.
 *
 * The state belongs to the matcher thread. When its totals are wanted the I/O thread raises a flag, the matcher
 * copies them between two commands, and the answer waits for that: nobody reads a state while it moves.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "engine_internal.h"

enum { INSTRUMENTS_SHOWN = 4096 }; /* in one answer */

_Static_assert(INSTRUMENTS_SHOWN * (IB_SYMBOL_SIZE + 4) + 64 < IB_ADMIN_ANSWER_SIZE, "room for all of them");

void ib_say(struct ib_text *text, const char *format, ...)
{
    va_list arguments;
    IB_ASSERT(text->size < IB_ADMIN_ANSWER_SIZE);
    va_start(arguments, format);
    int size = vsnprintf(text->out + text->size, IB_ADMIN_ANSWER_SIZE - text->size, format, arguments);
    va_end(arguments);
    IB_ASSERT(size >= 0 && text->size + (size_t)size < IB_ADMIN_ANSWER_SIZE);
    text->size += (size_t)size;
}

/* A 128-bit sum in decimal. */
static void add_decimal(struct ib_text *text, uint64_t high, uint64_t low)
{
    unsigned __int128 value = ((unsigned __int128)high << 64) | low;
    char digits[40];
    _Static_assert(~(unsigned __int128)0 / 10000000000000000000u / 10000000000000000000u < 10,
                   "39 digits, and a zero byte");
    size_t begin = sizeof digits;
    digits[--begin] = '\0';
    do {
        IB_ASSERT(begin > 0);
        digits[--begin] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value != 0);
    ib_say(text, "%s", digits + begin);
}

static void add_totals(struct ib_text *text, const struct ib_engine *engine)
{
    static const char *const states[] = {
        [IB_TRADING_OPEN] = "serving", [IB_TRADING_HALTED] = "halted", [IB_TRADING_ENDED] = "ended"};
    _Static_assert(sizeof states / sizeof states[0] == IB_TRADING_ENDED + 1, "a name for each state");
    const struct ib_totals *totals = &engine->snapshot;
    IB_ASSERT(engine->trading_state >= IB_TRADING_OPEN && engine->trading_state <= IB_TRADING_ENDED);
    ib_say(text, "\"shard\": %u, \"replica\": %u, \"epoch\": %" PRIu64 ", \"state\": \"%s\", \"seq\": %" PRIu64,
        engine->config.shard, engine->config.replica, ib_engine_epoch(engine), states[engine->trading_state],
        totals->seq);
    ib_say(text, ", \"event_count\": %" PRIu64 ", \"trades\": %" PRIu64 ", \"quantity\": %" PRIu64 ", \"notional\": \"",
        totals->event_count, totals->trades, totals->quantity);
    add_decimal(text, totals->notional_high, totals->notional_low);
    ib_say(text, "\", \"orders_open\": %" PRIu64 ", \"rejects\": %" PRIu64 ", \"state_hash\": \"%016" PRIx64 "\"",
        totals->orders_open, totals->rejects, totals->state_hash);
}

static void add_sessions(struct ib_text *text, const struct ib_gateway *gateway)
{
    IB_ASSERT(ib_gateway_session_count(gateway) <= IB_SESSIONS_MAX); /* the size of an answer is made for these */
    ib_say(text, ", \"sessions\": [");
    for (size_t i = 0; i < ib_gateway_session_count(gateway); i++) {
        struct ib_gateway_session_view view = ib_gateway_session(gateway, i);
        ib_say(text,
               "%s{\"username\": \"%s\", \"connected\": %s, \"order_entry\": %s, \"next_user_ref\": %u, "
               "\"session_seq\": %u}",
               i == 0 ? "" : ", ", view.username, view.connected ? "true" : "false", view.disabled ? "false" : "true",
               view.next_user_ref, view.session_seq);
    }
    ib_say(text, "]");
}

static void add_gateway(struct ib_text *text, const struct ib_engine *engine)
{
    const struct ib_gateway *gateway = engine->gateway;
    IB_ASSERT(ib_gateway_connection_count(gateway) <= engine->config.connections);
    ib_say(text, ", \"connections\": %u, \"repeats_ignored\": %" PRIu64 ", \"modify_ignored\": %" PRIu64
        ", \"logins_held\": %" PRIu64,
        ib_gateway_connection_count(gateway), ib_gateway_repeats(gateway), ib_gateway_modify_ignored(gateway),
        ib_gateway_logins_held(gateway));
    ib_say(text, ", \"event_consumers\": %u, \"disconnects\": {", ib_event_feed_consumer_count(engine->feed));
    for (int i = 0; i < IB_DISCONNECT_COUNT; i++) {
        ib_say(text, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", ib_disconnect_text((enum ib_disconnect)i),
            ib_gateway_disconnects(gateway, (enum ib_disconnect)i));
    }
    ib_say(text, "}");
}

static void add_status(struct ib_text *text, const struct ib_engine *engine)
{
    static const struct ib_event_log_history nothing = {0};
    const struct ib_event_log_history *history = ib_event_log_history(engine->log);
    bool is_known = history->seq <= engine->sequencer.released_seq; /* a member may not know yet that it is committed */
    uint64_t released = is_known ? ib_event_log_released(engine->log) : 0;
    history = is_known ? history : &nothing;
    const struct ib_event *last = released > history->count ? ib_event_log_at(engine->log, released - 1) : NULL;
    uint64_t last_seq = last != NULL ? last->seq : history->seq;
    IB_ASSERT(last_seq <= engine->sequencer.released_seq); /* no event is shown before its command */
    ib_say(text, ", \"rules\": %u", ib_engine_has_venue(engine) ? engine->rules : 0);
    ib_say(text, ", \"commit_seq\": %" PRIu64 ", \"released_events\": %" PRIu64, engine->sequencer.released_seq,
        released);
    ib_say(text, ", \"last_event\": {\"seq\": %" PRIu64 ", \"index\": %u}", last_seq,
        last != NULL ? last->index : history->index);
    ib_say(text, ", \"event_room\": %" PRIu64, ib_event_log_room(engine->log));
    ib_say(text, ", \"journal_room\": %" PRIu64, ib_journal_room_seq(engine->journal) - engine->sequencer.seq);
    if (ib_engine_has_venue(engine)) {
        add_sessions(text, engine->gateway);
        add_gateway(text, engine);
    } else {
        ib_say(text, ", \"sessions\": [], \"connections\": 0");
    }
    ib_engine_say_replication(engine, text);
    ib_say(text, ", \"recovered_seq\": %" PRIu64 ", \"started_at\": %" PRIu64 ", \"pid\": %d", engine->recovered_seq,
        engine->started_at_s, (int)getpid());
}

/* The names of instruments from index `first` on: by these, and not by a place in a configuration, events are read. */
static size_t answer_instruments(const struct ib_engine *engine, uint64_t first, char *out)
{
    struct ib_text text = {.out = out};
    uint32_t count = ib_directory_count(engine->directory);
    uint64_t end = first + INSTRUMENTS_SHOWN < count ? first + INSTRUMENTS_SHOWN : count;
    IB_ASSERT(first <= IB_INSTRUMENTS_MAX && count <= IB_INSTRUMENTS_MAX);
    ib_say(&text, "{\"count\": %u, \"symbols\": [", count);
    for (uint64_t i = first; i < end; i++) {
        const char *symbol = ib_directory_symbol(engine->directory, (uint32_t)i);
        int size = IB_SYMBOL_SIZE;
        while (size > 0 && symbol[size - 1] == ' ') {
            size--;
        }
        ib_say(&text, "%s\"%.*s\"", i == first ? "" : ", ", size, symbol);
    }
    ib_say(&text, "]}");
    IB_ASSERT(text.size < IB_ADMIN_ANSWER_SIZE);
    return text.size;
}

static bool begin_instruments(const char *arguments, uint64_t *ticket, const char **error)
{
    char *end;
    IB_ASSERT(arguments != NULL);
    *ticket = strtoull(arguments, &end, 10);
    if (arguments[0] < '0' || arguments[0] > '9' || *end != '\0' || *ticket > IB_INSTRUMENTS_MAX) {
        *error = "instruments from which number on? give it one from 0 to 131072";
        return false;
    }
    _Static_assert(IB_INSTRUMENTS_MAX == 131072, "told above");
    return true;
}

/* A member says how it is, whatever it waits for. */
static bool is_at_once(const struct ib_engine *engine, enum ib_admin_request request)
{
    IB_ASSERT(request < IB_ADMIN_REQUEST_COUNT);
    return engine->replication != NULL && request == IB_ADMIN_STATUS;
}

static size_t answer(void *context, enum ib_admin_request request, uint64_t ticket, char *out)
{
    const struct ib_engine *engine = context;
    if (request == IB_ADMIN_INSTRUMENTS) {
        return answer_instruments(engine, ticket, out);
    }
    if (request == IB_ADMIN_INSTRUMENT) {
        return ib_engine_instrument_answer(engine, (uint32_t)ticket, out);
    }
    if (request >= IB_ADMIN_PHASE) {
        return ib_engine_request_answer(engine, request, ticket, out);
    }
    struct ib_text text = {.out = out};
    IB_ASSERT(request < IB_ADMIN_REQUEST_COUNT);
    if (request == IB_ADMIN_SWITCH_OVER) {
        ib_say(&text, "{\"accepted\": true}");
        return text.size;
    }
    /* Nothing is told that a crash could take back; a member's status says itself what is committed. */
    IB_ASSERT(engine->snapshot.seq <= engine->sequencer.released_seq || is_at_once(engine, request));
    ib_say(&text, "{");
    add_totals(&text, engine);
    if (request != IB_ADMIN_TOTALS) {
        add_status(&text, engine);
    }
    ib_say(&text, "}");
    return text.size;
}

/* Whether what the directory says of the command's instrument is what the command will find. A change is made from it
 * and carries all fields, and an auction that is on its way may still move one of them. */
static bool is_settled(const struct ib_engine *engine, const struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_INSTRUMENT_ADD || command->type == IB_COMMAND_INSTRUMENT_CHANGE);
    const struct ib_directory_entry *entry = ib_directory_at(engine->directory, command->instrument);
    IB_ASSERT(entry != NULL || command->type == IB_COMMAND_INSTRUMENT_ADD);
    IB_ASSERT(entry == NULL || entry->pending_seq <= engine->sequencer.seq);
    return entry == NULL || entry->pending_seq <= engine->sequencer.released_seq;
}

/* Why the sequencer has no room for a command, and the remedy. */
static const char *refusal(const struct ib_engine *engine, const struct ib_command *command)
{
    IB_ASSERT(engine != NULL && command != NULL);
    if (ib_sequencer_has_room(&engine->sequencer, command)) {
        return "the event log is full: raise limits.events and start the engine again";
    }
    return ib_sequencer_disk_is_full(&engine->sequencer)
               ? "the journal's disk is full: make room on it, the engine goes on by itself"
               : "the journal's next segment is being made: ask again in a moment";
}

/* Sequences a request with arguments. */
static bool begin_command(struct ib_engine *engine, enum ib_admin_request request, char *arguments, const char **error)
{
    struct ib_command command = {0};
    struct ib_instrument definition;
    IB_ASSERT(arguments != NULL);
    bool defines = request == IB_ADMIN_INSTRUMENT_ADD || request == IB_ADMIN_INSTRUMENT_CHANGE;
    IB_ASSERT(request >= IB_ADMIN_PHASE);
    if (engine->rules < IB_RULES_2) {
        *error = "the journal goes by rules 1: set rules to 2 in the configuration and start the engine again";
    } else if (engine->ended) {
        *error = "the day has ended: nothing changes any more";
    } else if (!ib_engine_request_command(engine, request, arguments, &command, &definition, error)) {
        return false;
    } else if (!ib_sequencer_admits(&engine->sequencer, &command)) {
        *error = refusal(engine, &command);
    } else if (defines && !is_settled(engine, &command)) {
        *error = "a change of its phase is on its way: ask again in a moment";
    } else if (defines && !ib_directory_stage(engine->directory, engine->sequencer.seq + 1,
                                              engine->sequencer.released_seq, command.instrument, &definition)) {
        *error = "another change of an instrument is on its way: ask again in a moment";
    } else if (!ib_sequencer_submit(&engine->sequencer, &command)) {
        *error = "the ring is full: ask again in a moment";
    } else {
        if (request == IB_ADMIN_PHASE) {
            ib_directory_at(engine->directory, command.instrument)->pending_seq = engine->sequencer.seq;
        }
        ib_sequencer_publish(&engine->sequencer);
        return true;
    }
    IB_ASSERT(*error != NULL);
    return false;
}

static bool begin(void *context, enum ib_admin_request request, char *arguments, uint64_t *ticket, const char **error)
{
    struct ib_engine *engine = context;
    struct ib_command command = {.session = IB_SESSION_NONE};
    IB_ASSERT(ticket != NULL && error != NULL);
    if (request == IB_ADMIN_SWITCH_OVER) {
        *ticket = 0;
        return ib_engine_switch_over(engine, arguments, error);
    }
    if (request != IB_ADMIN_STATUS && !ib_engine_has_venue(engine)) {
        *error = ib_engine_ask_another(engine);
        return false;
    }
    if (request == IB_ADMIN_INSTRUMENTS) {
        return begin_instruments(arguments, ticket, error);
    }
    if (request == IB_ADMIN_INSTRUMENT) {
        uint32_t index = 0;
        bool found = ib_engine_request_instrument(engine, arguments, &index, error);
        *ticket = index;
        return found;
    }
    if (request >= IB_ADMIN_PHASE) {
        if (!begin_command(engine, request, arguments, error)) {
            return false;
        }
        *ticket = engine->sequencer.seq;
        return true;
    }
    if (arguments[0] != '\0') {
        *error = "this request has no arguments";
        return false;
    }
    switch (request) {
    case IB_ADMIN_HALT:
        command.type = IB_COMMAND_HALT;
        break;
    case IB_ADMIN_RESUME:
        command.type = IB_COMMAND_RESUME;
        break;
    case IB_ADMIN_END_OF_DAY:
        command.type = IB_COMMAND_END_OF_DAY;
        break;
    default:
        IB_ASSERT(request == IB_ADMIN_STATUS || request == IB_ADMIN_TOTALS);
        break;
    }
    if (command.type != 0 && !engine->ended) {
        if (!ib_sequencer_admits(&engine->sequencer, &command)) {
            *error = refusal(engine, &command);
            return false;
        }
        if (!ib_sequencer_submit(&engine->sequencer, &command)) {
            *error = "the ring is full: ask again in a moment";
            return false;
        }
        ib_sequencer_publish(&engine->sequencer);
        if (request == IB_ADMIN_END_OF_DAY) {
            engine->ended = true;
            ib_gateway_end_of_day(engine->gateway);
        }
    }
    *ticket = engine->sequencer.seq;
    return true;
}

static bool ready(void *context, enum ib_admin_request request, uint64_t ticket)
{
    struct ib_engine *engine = context;
    if (request == IB_ADMIN_INSTRUMENTS || request == IB_ADMIN_INSTRUMENT) {
        return true; /* the directory knows what is released, and no more */
    }
    if (request == IB_ADMIN_SWITCH_OVER) {
        return true;
    }
    IB_ASSERT(ticket <= engine->sequencer.seq);
    if (request >= IB_ADMIN_PHASE) {
        return engine->sequencer.released_seq >= ticket;
    }
    if (atomic_load_explicit(&engine->snapshot_state, memory_order_acquire) == IB_SNAPSHOT_TAKEN) {
        IB_ASSERT(engine->snapshot_taken.seq >= engine->snapshot.seq);
        engine->snapshot = engine->snapshot_taken;
        engine->trading_state = engine->snapshot_taken_state;
        atomic_store_explicit(&engine->snapshot_state, IB_SNAPSHOT_NONE, memory_order_relaxed);
    }
    if (engine->snapshot.seq >= ticket) {
        return is_at_once(engine, request) || engine->sequencer.released_seq >= engine->snapshot.seq;
    }
    if (atomic_load_explicit(&engine->snapshot_state, memory_order_relaxed) == IB_SNAPSHOT_NONE) {
        atomic_store_explicit(&engine->snapshot_state, IB_SNAPSHOT_WANTED, memory_order_seq_cst);
        ib_ring_nudge(&engine->sequencer.ring, IB_RING_MATCHER);
    }
    return false;
}

struct ib_admin_hooks ib_engine_admin_hooks(struct ib_engine *engine)
{
    IB_ASSERT(engine != NULL);
    return (struct ib_admin_hooks){.context = engine, .begin = begin, .ready = ready, .answer = answer};
}
