/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher.c: the state machine's frame: sequence, definitions, trading state, numbering of events. What becomes of
 * an order stands in matcher_order.c.
 *
 * Deterministic: everything here follows from the commands alone. No clock, no random number, no address, no float.
 */
#include "matcher.h"

#include <stdio.h>

#include "matcher_ahead.h"
#include "matcher_path.h"
#include "memory.h"

int ib_matcher_open(struct ib_matcher **matcher, uint32_t orders)
{
    if (matcher == NULL) {
        return IB_ERROR_ARGUMENT;
    }
    *matcher = NULL;
    struct ib_matcher *opened = ib_memory_reserve(sizeof *opened);
    if (opened == NULL) {
        return IB_ERROR_MEMORY;
    }
    int status = ib_book_open(&opened->book, orders);
    if (status != IB_OK) {
        ib_memory_release(opened, sizeof *opened);
        return status;
    }
    *matcher = opened;
    return IB_OK;
}

void ib_matcher_close(struct ib_matcher *matcher)
{
    if (matcher != NULL) {
        ib_book_close(&matcher->book);
        ib_memory_release(matcher, sizeof *matcher);
    }
}

/* ---- look-ups ---- */

uint64_t ib_matcher_seq(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->seq;
}

uint64_t ib_matcher_time_ns(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->time_ns;
}

int ib_matcher_trading_state(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->trading_state;
}

uint16_t ib_matcher_session_count(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->session_count;
}

uint32_t ib_matcher_instrument_count(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return matcher->book.instrument_count;
}

const struct ib_session *ib_matcher_session(const struct ib_matcher *matcher, uint16_t session)
{
    IB_ASSERT(matcher != NULL);
    return session < matcher->session_count ? &matcher->sessions[session] : NULL;
}

const struct ib_instrument *ib_matcher_instrument(const struct ib_matcher *matcher, uint32_t instrument)
{
    IB_ASSERT(matcher != NULL);
    return instrument < matcher->book.instrument_count ? &matcher->instruments[instrument] : NULL;
}

uint32_t ib_matcher_next_user_ref(const struct ib_matcher *matcher, uint16_t session)
{
    IB_ASSERT(matcher != NULL);
    /* After the last number there is none: 0, which no command may carry. */
    return session < matcher->session_count ? matcher->sessions[session].last_user_ref + 1 : 0;
}

uint16_t ib_matcher_find_session(const struct ib_matcher *matcher, const char username[IB_USERNAME_SIZE])
{
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(username != NULL);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        if (memcmp(matcher->sessions[i].username, username, IB_USERNAME_SIZE) == 0) {
            return i;
        }
    }
    return IB_SESSION_NONE;
}

/* Bucket of a symbol: where it is, or the empty one where it would go. At most half of the buckets are in use. */
static uint32_t symbol_bucket(const struct ib_matcher *matcher, const char *symbol)
{
    IB_ASSERT(symbol != NULL);
    IB_ASSERT(matcher->book.instrument_count <= IB_INSTRUMENTS_MAX);
    uint64_t word;
    memcpy(&word, symbol, sizeof word);
    uint32_t bucket = (uint32_t)ib_mix(word, IB_HASH_C) % IB_SYMBOL_BUCKETS;
    while (matcher->symbol_index[bucket] != 0) {
        const struct ib_instrument *instrument = &matcher->instruments[matcher->symbol_index[bucket] - 1];
        if (memcmp(instrument->symbol, symbol, IB_SYMBOL_SIZE) == 0) {
            break;
        }
        bucket = (bucket + 1) % IB_SYMBOL_BUCKETS;
    }
    return bucket;
}

uint32_t ib_matcher_find_instrument(const struct ib_matcher *matcher, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(matcher != NULL);
    return matcher->symbol_index[symbol_bucket(matcher, symbol)] - 1; /* 0, nothing, becomes UINT32_MAX */
}

/* ---- commands ---- */

static void add_instrument(struct ib_turn *turn)
{
    IB_ASSERT(turn->command->type == IB_COMMAND_INSTRUMENT_ADD);
    IB_ASSERT(turn->matcher->book.instrument_count <= IB_INSTRUMENTS_MAX);
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    uint32_t count = matcher->book.instrument_count;
    const char *symbol = (const char *)command->client_data;
    uint32_t bucket = symbol_bucket(matcher, symbol);
    if (command->instrument != count || count == IB_INSTRUMENTS_MAX || command->price < 1 ||
        matcher->symbol_index[bucket] != 0) {
        return;
    }
    matcher->instruments[count].tick = command->price;
    memcpy(matcher->instruments[count].symbol, symbol, IB_SYMBOL_SIZE);
    matcher->symbol_index[bucket] = count + 1;
    ib_book_add_instrument(&matcher->book, (uint64_t)command->price);
    uint64_t word;
    memcpy(&word, symbol, sizeof word);
    matcher->definitions_hash = ib_mix(matcher->definitions_hash + word, (uint64_t)command->price);
}

static void add_session(struct ib_turn *turn)
{
    IB_ASSERT(turn->command->type == IB_COMMAND_SESSION_ADD);
    IB_ASSERT(turn->matcher->session_count <= IB_SESSIONS_MAX);
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    const char *username = (const char *)command->client_data;
    if (command->session != matcher->session_count || matcher->session_count == IB_SESSIONS_MAX ||
        ib_matcher_find_session(matcher, username) != IB_SESSION_NONE) {
        return;
    }
    struct ib_session *session = &matcher->sessions[matcher->session_count++];
    memcpy(session->username, username, IB_USERNAME_SIZE);
    memcpy(session->firm, username + IB_USERNAME_SIZE, IB_FIRM_SIZE);
    uint64_t words[2] = {0, 0};
    memcpy(words, username, IB_USERNAME_SIZE + IB_FIRM_SIZE);
    matcher->definitions_hash = ib_mix(matcher->definitions_hash + words[0], words[1] + IB_HASH_C);
}

static void change_trading_state(struct ib_turn *turn, int state)
{
    IB_ASSERT(state != IB_TRADING_ENDED);
    IB_ASSERT(turn->matcher->trading_state != IB_TRADING_ENDED);
    if (turn->matcher->trading_state == state) {
        return;
    }
    turn->matcher->trading_state = state;
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        ib_event_plain(turn, IB_SESSION_NONE, IB_EVENT_TRADING_STATE,
                       state == IB_TRADING_HALTED ? IB_REASON_HALTED : IB_REASON_NONE);
    }
}

static void end_of_day(struct ib_turn *turn)
{
    IB_ASSERT(turn->matcher->trading_state != IB_TRADING_ENDED);
    IB_ASSERT(turn->index == 0);
    turn->matcher->trading_state = IB_TRADING_ENDED;
    for (uint16_t session = 0; session < turn->matcher->session_count; session++) {
        ib_turn_number(turn, session);
        if (ib_turn_is_reporting(turn)) {
            ib_event_plain(turn, session, IB_EVENT_END_OF_DAY, IB_REASON_NONE);
        }
    }
}

/* Whether an ENTER or REPLACE is new; a number that was seen before is a client's resend and has its result. */
static int is_new(struct ib_turn *turn)
{
    IB_ASSERT(turn->matcher->session_count <= IB_SESSIONS_MAX);
    const struct ib_command *command = turn->command;
    if (command->session >= turn->matcher->session_count) {
        return 0;
    }
    struct ib_session *session = &turn->matcher->sessions[command->session];
    if (command->user_ref <= session->last_user_ref) {
        return 0;
    }
    session->last_user_ref = command->user_ref;
    return 1;
}

/* Everything but plain orders. */
static void apply_special(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(turn->matcher->trading_state != IB_TRADING_ENDED);
    switch (turn->command->type) {
    case IB_COMMAND_ENTER:
        if (is_new(turn)) {
            ib_turn_enter(turn);
        }
        break;
    case IB_COMMAND_REPLACE:
        if (is_new(turn)) {
            ib_turn_replace(turn);
        }
        break;
    case IB_COMMAND_CANCEL: ib_turn_cancel(turn); break;
    case IB_COMMAND_INSTRUMENT_ADD: add_instrument(turn); break;
    case IB_COMMAND_SESSION_ADD: add_session(turn); break;
    case IB_COMMAND_HALT: change_trading_state(turn, IB_TRADING_HALTED); break;
    case IB_COMMAND_RESUME: change_trading_state(turn, IB_TRADING_OPEN); break;
    case IB_COMMAND_END_OF_DAY: end_of_day(turn); break;
    default: break; /* sequenced nonsense has no effect; see matcher.h */
    }
}

/* A turn of its own, so that the path's may live in registers. */
static __attribute__((noinline)) uint32_t take_special(struct ib_matcher *matcher, const struct ib_command *command,
                                                       struct ib_event_sink sink)
{
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    if (matcher->trading_state != IB_TRADING_ENDED) {
        apply_special(&turn);
    }
    return turn.index;
}

/* Number of events. */
IB_INLINE uint32_t take(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink sink,
                      int reporting)
{
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    if (IB_LIKELY(matcher->trading_state == IB_TRADING_OPEN)) {
        if (command->type == IB_COMMAND_ENTER && IB_LIKELY(ib_path_enter(&turn, reporting))) {
            return turn.index;
        }
        if (command->type == IB_COMMAND_CANCEL && IB_LIKELY(ib_path_cancel(&turn, reporting))) {
            return turn.index;
        }
    }
    return take_special(matcher, command, sink);
}

IB_INLINE int apply(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink sink,
                    int reporting)
{
    if (command->seq != matcher->seq + 1 || command->seq > IB_SEQ_MAX || command->time_ns < matcher->time_ns) {
        return IB_ERROR_ARGUMENT;
    }
    matcher->seq = command->seq;
    matcher->time_ns = command->time_ns;
    matcher->event_count += take(matcher, command, sink, reporting);
#ifdef IB_CHECK
    char text[IB_ERROR_TEXT_SIZE] = "";
    if (ib_matcher_check(matcher, text, sizeof text) != IB_OK) {
        ib_assert_failed(text, __FILE__, __LINE__);
    }
#endif
    return IB_OK;
}

/* With somebody who takes the events: the usual case of a venue, but not the one to be kept short. */
static __attribute__((noinline)) int apply_reporting(struct ib_matcher *matcher, const struct ib_command *command,
                                                     struct ib_event_sink sink)
{
    IB_ASSERT(matcher != NULL && command != NULL);
    IB_ASSERT(sink.emit != NULL);
    return apply(matcher, command, sink, 1);
}

int ib_matcher_apply_group(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                           struct ib_event_sink sink, size_t *applied)
{
    IB_ASSERT(matcher != NULL && applied != NULL);
    IB_ASSERT(commands != NULL || count == 0);
    int looks_ahead = matcher->book.instrument_count >= IB_AHEAD_INSTRUMENTS && count > IB_AHEAD_STEP;
    struct ib_ahead ahead;
    if (looks_ahead) {
        ib_ahead_begin(&ahead);
    }
    int status = IB_OK;
    size_t i = 0;
    for (; i < count && status == IB_OK; i++) {
        if (looks_ahead) {
            ib_look_ahead(&ahead, &matcher->book, &commands[i], count - i);
        }
        if (sink.emit == NULL) {
            status = apply(matcher, &commands[i], sink, 0);
        } else {
            status = apply_reporting(matcher, &commands[i], sink);
        }
    }
    *applied = status == IB_OK ? i : i - 1;
    return status;
}

int ib_matcher_apply(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink sink)
{
    size_t applied;
    IB_ASSERT(matcher != NULL && command != NULL);
    return sink.emit == NULL ? ib_matcher_apply_group(matcher, command, 1, sink, &applied)
                             : apply_reporting(matcher, command, sink);
}

/* ---- batches, totals, check ---- */

uint64_t ib_matcher_events_max(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    return 2 * (uint64_t)matcher->book.orders.in_use + matcher->session_count + 3;
}

struct batch {
    struct ib_event *events;
    size_t capacity;
    size_t count;
};

static void batch_emit(void *context, const struct ib_event *event)
{
    struct batch *batch = context;
    IB_ASSERT(event != NULL);
    IB_ASSERT(batch->count < batch->capacity);
    batch->events[batch->count++] = *event;
}

int ib_matcher_apply_batch(struct ib_matcher *matcher, const struct ib_command *commands, size_t command_count,
                           struct ib_event *events, size_t event_capacity, size_t *consumed, size_t *event_count)
{
    if (matcher == NULL || consumed == NULL || event_count == NULL || (commands == NULL && command_count > 0) ||
        (events == NULL && event_capacity > 0)) {
        return IB_ERROR_ARGUMENT;
    }
    struct batch batch = {.events = events, .capacity = event_capacity};
    struct ib_event_sink sink = {.context = &batch, .emit = batch_emit};
    int status = IB_OK;
    *consumed = 0;
    while (*consumed < command_count && ib_matcher_events_max(matcher) <= batch.capacity - batch.count) {
        status = ib_matcher_apply(matcher, &commands[*consumed], sink);
        if (status != IB_OK) {
            break;
        }
        (*consumed)++;
    }
    *event_count = batch.count;
    return status;
}

static uint64_t state_hash(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher->session_count <= IB_SESSIONS_MAX);
    IB_ASSERT(matcher->seq <= IB_SEQ_MAX);
    uint64_t hash = ib_mix(matcher->book.hash, matcher->definitions_hash);
    hash = ib_mix(hash + matcher->seq, matcher->time_ns);
    hash = ib_mix(hash + matcher->match_ref, matcher->event_count);
    hash = ib_mix(hash + (uint64_t)matcher->notional, (uint64_t)(matcher->notional >> 64) + matcher->traded_quantity);
    hash = ib_mix(hash + matcher->rejects, (uint64_t)(unsigned)matcher->trading_state);
    for (uint16_t i = 0; i < matcher->session_count; i++) {
        hash = ib_mix(hash + matcher->sessions[i].last_user_ref, matcher->sessions[i].session_seq);
    }
    return hash;
}

void ib_matcher_totals(const struct ib_matcher *matcher, struct ib_totals *totals)
{
    IB_ASSERT(matcher != NULL && totals != NULL);
    *totals = (struct ib_totals){
        .seq = matcher->seq,
        .event_count = matcher->event_count,
        .trades = matcher->match_ref,
        .quantity = matcher->traded_quantity,
        .notional_high = (uint64_t)(matcher->notional >> 64),
        .notional_low = (uint64_t)matcher->notional,
        .orders_open = matcher->book.orders.in_use,
        .rejects = matcher->rejects,
        .state_hash = state_hash(matcher),
    };
}

int ib_matcher_check(const struct ib_matcher *matcher, char *text, size_t text_size)
{
    IB_ASSERT(text_size > 0);
    IB_ASSERT(matcher != NULL && text != NULL);
    const char *broken = NULL;
    if (matcher->event_count < 2 * matcher->match_ref) {
        broken = "each trade has two events";
    }
    for (uint32_t i = 0; i < matcher->book.instrument_count; i++) {
        if (ib_matcher_find_instrument(matcher, matcher->instruments[i].symbol) != i) {
            broken = "each symbol names its instrument";
        }
    }
    for (uint32_t i = 1; i < matcher->book.orders.fresh; i++) {
        const struct ib_order *order = ib_book_order(&matcher->book, i);
        /* Free slots keep their last owner, so this may look at both kinds. */
        uint16_t session = ib_order_session(order);
        if (session >= matcher->session_count || order->user_ref > matcher->sessions[session].last_user_ref) {
            broken = "an order's number was seen from its session";
        }
        if (ib_order_ref(order) > matcher->seq) {
            broken = "no order is newer than the last command";
        }
    }
    if (broken != NULL) {
        (void)snprintf(text, text_size, "matcher: broken invariant: %s", broken);
        return IB_ERROR_ARGUMENT;
    }
    return ib_book_check(&matcher->book, text, text_size);
}
