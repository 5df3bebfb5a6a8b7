/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_request_answer.c: what an admin request with arguments caused, read back from the event log as JSON; and how
 * an instrument is defined. Nothing is told that did not happen: where the command changed nothing, the list of events
 * is empty, and "unchanged" says why.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "engine_internal.h"
#include "engine_names.h"

enum { EVENTS_SHOWN = 64 };

const char *const ib_phase_names[IB_PHASE_NAMES] = {
    "continuous", "closed", "pre_open", "opening_auction", "volatility_auction", "halted", "closing_auction"};
const char *const ib_breach_names[IB_BREACH_NAMES] = {"volatility_auction", "halt"};
const char *const ib_limit_names[IB_LIMIT_NAMES] = {NULL,           "message_rate",  "order_quantity", "collar",
                                                    "order_notional", "position_long", "position_short", "open_orders",
                                                    "kill"};
const char *const ib_event_names[IB_EVENT_NAMES] = {
    NULL,          "accepted", "rested",     "executed",  "canceled", "replaced",   "rejected", "trading_state",
    "end_of_day",  "phase",    "indicative", "refreshed", "released", "instrument", "risk",     "modified"};

_Static_assert(IB_PHASE_NAMES == IB_PHASE_CLOSING_AUCTION + 1, "a word for each phase");
_Static_assert(IB_LIMIT_NAMES == IB_RISK_KILL + 1, "a word for each limit");
_Static_assert(IB_EVENT_NAMES == IB_EVENT_MODIFIED + 1, "a word for each event");
_Static_assert(IB_PHASE_OPENING_AUCTION == 3 && IB_PHASE_HALTED == 5, "in their order");
_Static_assert(EVENTS_SHOWN * 320 < IB_ADMIN_ANSWER_SIZE, "room for all that are shown");

/* What the state machine found where it ignored a request that had made sense when it was sequenced. Each names every
 * cause there can be: what came between is not looked for. */
static const char *const unchanged_texts[IB_ADMIN_REQUEST_COUNT] = {
    [IB_ADMIN_PHASE] = "the instrument is in that phase already, or was removed",
    [IB_ADMIN_INSTRUMENT_ADD] = "another instrument came before it",
    [IB_ADMIN_INSTRUMENT_CHANGE] = "tick and lot stay as they are while the instrument has live orders: cancel them "
                                   "first (mass_cancel); or it was removed",
    [IB_ADMIN_INSTRUMENT_REMOVE] = "the instrument was removed already",
    [IB_ADMIN_RISK_LIMIT] = "the risk gate has no row for one more pair of account and instrument: limit the account "
                            "as a whole; or the instrument was removed",
    [IB_ADMIN_KILL] = "the account is killed already",
    [IB_ADMIN_REVIVE] = "the account is not killed",
    [IB_ADMIN_MASS_CANCEL] = "there is no live order of that kind", /* nor of an instrument that was removed */
};

/* A name as the core pads it. */
static void add_name(struct ib_text *text, const char *key, const char *name, size_t size)
{
    IB_ASSERT(name != NULL);
    while (size > 0 && (name[size - 1] == ' ' || name[size - 1] == '\0')) {
        size--;
    }
    ib_say(text, ", \"%s\": \"%.*s\"", key, (int)size, name);
}

static void add_value(struct ib_text *text, const struct ib_event *event)
{
    IB_ASSERT(event->type == IB_EVENT_RISK);
    IB_ASSERT(event->limit < IB_LIMIT_NAMES);
    ib_say(text, ", \"limit\": \"%s\"", ib_limit_names[event->limit]);
    if (event->quantity == IB_UNLIMITED) {
        ib_say(text, ", \"value\": \"unlimited\"");
    } else {
        ib_say(text, ", \"value\": %" PRIu64, event->quantity);
    }
}

static void add_event(struct ib_text *text, const struct ib_engine *engine, const struct ib_event *event)
{
    IB_ASSERT(event->type > 0 && event->type < IB_EVENT_NAMES);
    ib_say(text, "{\"type\": \"%s\"", ib_event_names[event->type]);
    if (event->instrument != IB_INSTRUMENT_ALL) {
        add_name(text, "symbol", ib_directory_symbol(engine->directory, event->instrument), IB_SYMBOL_SIZE);
    }
    if (event->type == IB_EVENT_PHASE) {
        ib_say(text, ", \"phase\": \"%s\"", ib_phase_names[event->phase]);
    } else if (event->type == IB_EVENT_RISK) {
        add_name(text, "account", (const char *)ib_matcher_account_name(engine->matcher, event->account),
                 IB_CLIENT_DATA_SIZE);
        add_value(text, event);
    } else if (event->type != IB_EVENT_INSTRUMENT) {
        ib_say(text, ", \"order_ref\": %" PRIu64 ", \"price\": %" PRId64 ", \"quantity\": %" PRIu64, event->order_ref,
            event->price, event->quantity);
    }
    if (event->session != IB_SESSION_NONE) {
        const struct ib_session *session = ib_matcher_session(engine->matcher, event->session);
        IB_ASSERT(session != NULL);
        add_name(text, "session", session->username, IB_USERNAME_SIZE);
        ib_say(text, ", \"user_ref\": %u", event->user_ref);
    }
    if (event->reason != IB_REASON_NONE) {
        ib_say(text, ", \"reason\": \"%s\"", ib_reason_text(event->reason));
    }
    ib_say(text, "}");
}

size_t ib_engine_instrument_answer(const struct ib_engine *engine, uint32_t index, char *out)
{
    struct ib_text text = {.out = out};
    const struct ib_directory_entry *entry = ib_directory_at(engine->directory, index);
    IB_ASSERT(entry != NULL && out != NULL);
    const struct ib_instrument *definition = &entry->definition;
    IB_ASSERT(definition->phase < IB_PHASE_NAMES && definition->breach < IB_BREACH_NAMES);
    ib_say(&text, "{\"instrument\": %u", index);
    add_name(&text, "symbol", definition->symbol, IB_SYMBOL_SIZE);
    ib_say(&text, ", \"tick\": %" PRId64 ", \"lot\": %" PRIu64 ", \"reference_price\": %" PRId64, definition->tick,
        definition->lot, definition->reference_price);
    ib_say(&text, ", \"static_band\": %" PRIu64 ", \"dynamic_band\": %" PRIu64 ", \"breach\": \"%s\"",
        definition->static_band, definition->dynamic_band, ib_breach_names[definition->breach]);
    ib_say(&text, ", \"schedule\": %u, \"price_scale\": %u, \"quantity_scale\": %u, \"phase\": \"%s\"}",
        definition->schedule, definition->price_scale, definition->quantity_scale,
        ib_phase_names[definition->phase]);
    IB_ASSERT(text.size < IB_ADMIN_ANSWER_SIZE);
    return text.size;
}

size_t ib_engine_request_answer(const struct ib_engine *engine, enum ib_admin_request request, uint64_t seq, char *out)
{
    struct ib_text text = {.out = out};
    uint64_t released = ib_event_log_released(engine->log);
    IB_ASSERT(seq > 0 && seq <= engine->sequencer.released_seq);
    uint64_t position = seq == 1 ? 0 : ib_event_log_find_after(engine->log, seq - 1, UINT32_MAX);
    uint64_t count = 0, canceled = 0, trades = 0;
    ib_say(&text, "{\"request\": \"%s\", \"seq\": %" PRIu64 ", \"events\": [", ib_admin_request_name(request), seq);
    for (; position < released; position++) {
        const struct ib_event *event = ib_event_log_at(engine->log, position);
        if (event->seq != seq) {
            break;
        }
        if (count < EVENTS_SHOWN) {
            ib_say(&text, count == 0 ? "" : ", ");
            add_event(&text, engine, event);
        }
        count++;
        canceled += event->type == IB_EVENT_CANCELED;
        trades += event->type == IB_EVENT_EXECUTED;
    }
    IB_ASSERT(canceled <= count && trades <= count);
    IB_ASSERT(trades % 2 == 0); /* both sides of a match are told */
    ib_say(&text, "], \"event_count\": %" PRIu64 ", \"canceled\": %" PRIu64 ", \"trades\": %" PRIu64, count, canceled,
        trades / 2);
    if (count == 0) {
        IB_ASSERT(unchanged_texts[request] != NULL);
        ib_say(&text, ", \"unchanged\": \"%s\"", unchanged_texts[request]);
    }
    ib_say(&text, "}");
    return text.size;
}
