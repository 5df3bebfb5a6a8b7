/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher.c: the state machine's frame: opening, sequence, trading state, who handles which command. What a command
 * does stands in the files beside this one; what can be asked of the state in matcher_look.c.
 *
 * Deterministic: everything here follows from the commands alone. No clock, no random number, no address, no float.
 */
#include "matcher.h"

#include "matcher_ahead.h"
#include "matcher_define.h"
#include "matcher_take.h"
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
    uint32_t rows = orders > IB_RISK_ROWS_MAX   ? IB_RISK_ROWS_MAX
                    : orders < IB_RISK_ROWS_MIN ? IB_RISK_ROWS_MIN
                                                : orders;
    status = ib_risk_open(&opened->risk, rows);
    if (status != IB_OK) {
        ib_book_close(&opened->book);
        ib_memory_release(opened, sizeof *opened);
        return status;
    }
    opened->rules = IB_RULES_1;
    *matcher = opened;
    return IB_OK;
}

void ib_matcher_close(struct ib_matcher *matcher)
{
    if (matcher != NULL) {
        ib_risk_close(&matcher->risk);
        ib_book_close(&matcher->book);
        ib_memory_release(matcher, sizeof *matcher);
    }
}

/* ---- commands ---- */

/* Says whose plain orders take the path. */
void ib_matcher_open_path(struct ib_matcher *matcher)
{
    IB_ASSERT(matcher->rules >= IB_RULES_1);
    int is_open = matcher->trading_state == IB_TRADING_OPEN && matcher->rules >= IB_RULES_2;
    matcher->path_instruments = is_open ? matcher->book.instrument_count : 0;
    IB_ASSERT(matcher->path_instruments <= IB_INSTRUMENTS_MAX);
}

static void change_trading_state(struct ib_turn *turn, int state)
{
    IB_ASSERT(state != IB_TRADING_ENDED);
    IB_ASSERT(turn->matcher->trading_state != IB_TRADING_ENDED);
    if (turn->matcher->trading_state == state) {
        return;
    }
    turn->matcher->trading_state = state;
    ib_matcher_open_path(turn->matcher);
    ib_turn_number(turn, IB_SESSION_NONE);
    if (ib_turn_is_reporting(turn)) {
        ib_event_plain(turn, IB_SESSION_NONE, IB_EVENT_TRADING_STATE,
                       state == IB_TRADING_HALTED ? IB_REASON_HALTED : IB_REASON_NONE);
    }
    for (uint32_t i = 0; i < turn->matcher->book.instrument_count && state == IB_TRADING_OPEN; i++) {
        ib_turn_release_stops(turn, i);
    }
}

static void end_of_day(struct ib_turn *turn)
{
    IB_ASSERT(turn->matcher->trading_state != IB_TRADING_ENDED);
    IB_ASSERT(turn->index == 0);
    turn->matcher->trading_state = IB_TRADING_ENDED;
    ib_matcher_open_path(turn->matcher);
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
    ib_risk_count_message(&turn->matcher->risk.accounts[session->account], command->time_ns);
    return 1;
}

static void change_rules(struct ib_turn *turn)
{
    struct ib_matcher *matcher = turn->matcher;
    IB_ASSERT(turn->command->type == IB_COMMAND_RULES);
    IB_ASSERT(matcher->rules <= IB_RULES_NEWEST);
    if (turn->command->value <= matcher->rules || turn->command->value > IB_RULES_NEWEST) {
        return;
    }
    if (matcher->rules == IB_RULES_1) {
        matcher->order_ref = turn->command->seq; /* above all numbers that were given; from here on they are counted */
    }
    matcher->rules = (uint32_t)turn->command->value;
    ib_matcher_open_path(matcher);
}

/* What rules 2 and those after them have added. */
static void apply_rules_2(struct ib_turn *turn)
{
    IB_ASSERT(turn->index == 0);
    IB_ASSERT(turn->matcher->rules >= IB_RULES_2);
    switch (turn->command->type) {
    case IB_COMMAND_ACCOUNT_ADD: ib_turn_add_account(turn); break;
    case IB_COMMAND_INSTRUMENT_CHANGE: ib_turn_change_instrument(turn); break;
    case IB_COMMAND_INSTRUMENT_REMOVE: ib_turn_remove_instrument(turn); break;
    case IB_COMMAND_PHASE: ib_turn_phase(turn); break;
    case IB_COMMAND_INDICATE: ib_turn_indicate(turn); break;
    case IB_COMMAND_MASS_CANCEL: ib_turn_mass_cancel(turn); break;
    case IB_COMMAND_EXPIRE: ib_turn_expire(turn); break;
    case IB_COMMAND_RISK_LIMIT: ib_turn_risk_limit(turn); break;
    case IB_COMMAND_KILL: ib_turn_kill(turn); break;
    case IB_COMMAND_MODIFY:
        if (turn->matcher->rules >= IB_RULES_3) {
            ib_turn_modify(turn);
        }
        break;
    default: break; /* sequenced nonsense has no effect */
    }
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
    case IB_COMMAND_INSTRUMENT_ADD: ib_turn_add_instrument(turn); break;
    case IB_COMMAND_SESSION_ADD: ib_turn_add_session(turn); break;
    case IB_COMMAND_HALT: change_trading_state(turn, IB_TRADING_HALTED); break;
    case IB_COMMAND_RESUME: change_trading_state(turn, IB_TRADING_OPEN); break;
    case IB_COMMAND_END_OF_DAY: end_of_day(turn); break;
    case IB_COMMAND_RULES: change_rules(turn); break;
    default:
        if (turn->matcher->rules >= IB_RULES_2) {
            apply_rules_2(turn);
        }
        break;
    }
}

/* The command as rules 1 read it: what they do not know is 0. */
static struct ib_command as_rules_1(const struct ib_command *command)
{
    struct ib_command plain = *command;
    plain.self_trade = 0;
    plain.flags = 0;
    plain.account = 0;
    plain.displayed = 0;
    plain.minimum = 0;
    plain.stop_price = 0;
    plain.expire_time_ns = 0;
    return plain;
}

uint32_t ib_matcher_take_special(struct ib_matcher *matcher, const struct ib_command *command,
                                 struct ib_event_sink *sink)
{
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    struct ib_command plain;
    if (matcher->rules == IB_RULES_1) {
        plain = as_rules_1(command);
        turn.command = &plain;
    }
    if (matcher->trading_state != IB_TRADING_ENDED) {
        apply_special(&turn);
    }
    return turn.index;
}

int ib_matcher_is_sound(const struct ib_matcher *matcher)
{
    char text[IB_ERROR_TEXT_SIZE] = "";
    if (ib_matcher_check(matcher, text, sizeof text) != IB_OK) {
        ib_assert_failed(text, __FILE__, __LINE__);
    }
    return 1;
}

/* Whether the sink has an end, and the next command's events might go beyond it. */
IB_INLINE int may_not_fit(const struct ib_matcher *matcher, const struct ib_event_sink *sink)
{
    IB_EXPECT(sink->next <= sink->end);
    return sink->make_room == NULL && ib_matcher_events_max(matcher) > (size_t)(sink->end - sink->next);
}

/* How many commands of a group were taken, until one is refused or might not fit. */
IB_INLINE size_t apply(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                       struct ib_event_sink *sink, int looks_ahead, int reporting)
{
    size_t end = count < IB_SEQ_MAX - matcher->seq ? count : (size_t)(IB_SEQ_MAX - matcher->seq);
    const struct ib_command *command = commands;
    uint64_t seq = matcher->seq;
    struct ib_ahead ahead;
    if (looks_ahead) {
        memset(&ahead, 0, sizeof ahead); /* a block that nobody has filled in leads nowhere */
    }
    for (; command < commands + end; command++) {
        if (reporting && may_not_fit(matcher, sink)) {
            break;
        }
        if (looks_ahead && (size_t)(command - commands) % IB_AHEAD_BLOCK == 0) {
            ib_look_ahead(&ahead, matcher, commands, end, (size_t)(command - commands));
        }
        if (!ib_matcher_take_next(matcher, command, ++seq, sink, reporting)) {
            break;
        }
    }
    return (size_t)(command - commands);
}

/* With somebody who takes the events: the usual case of a venue, but not the one to be kept short. */
static __attribute__((noinline)) size_t apply_reporting(struct ib_matcher *matcher, const struct ib_command *commands,
                                                        size_t count, struct ib_event_sink *sink, int looks_ahead)
{
    IB_ASSERT(matcher != NULL && commands != NULL);
    IB_ASSERT(sink != NULL);
    return apply(matcher, commands, count, sink, looks_ahead, 1);
}

static __attribute__((noinline)) size_t apply_looking_ahead(struct ib_matcher *matcher,
                                                            const struct ib_command *commands, size_t count)
{
    IB_ASSERT(matcher != NULL && commands != NULL);
    return apply(matcher, commands, count, NULL, 1, 0);
}

static __attribute__((noinline)) size_t apply_quietly(struct ib_matcher *matcher, const struct ib_command *commands,
                                                      size_t count)
{
    IB_ASSERT(matcher != NULL);
    IB_ASSERT(commands != NULL || count == 0);
    return apply(matcher, commands, count, NULL, 0, 0);
}

int ib_matcher_apply_group(struct ib_matcher *matcher, const struct ib_command *commands, size_t count,
                           struct ib_event_sink *sink, size_t *applied)
{
    IB_ASSERT(matcher != NULL && applied != NULL);
    IB_ASSERT(commands != NULL || count == 0);
    int looks_ahead = matcher->book.instrument_count >= IB_AHEAD_INSTRUMENTS && count > 1;
    if (sink != NULL && count > 0) {
        *applied = apply_reporting(matcher, commands, count, sink, looks_ahead);
    } else if (looks_ahead) {
        *applied = apply_looking_ahead(matcher, commands, count);
    } else {
        *applied = apply_quietly(matcher, commands, count);
    }
    return *applied == count ? IB_OK : IB_ERROR_ARGUMENT;
}

int ib_matcher_apply(struct ib_matcher *matcher, const struct ib_command *command, struct ib_event_sink *sink)
{
    IB_ASSERT(matcher != NULL && command != NULL);
    uint64_t seq = matcher->seq + 1;
    int taken = sink == NULL ? seq <= IB_SEQ_MAX && ib_matcher_take_next(matcher, command, seq, NULL, 0)
                             : apply_reporting(matcher, command, 1, sink, 0) == 1;
    return taken ? IB_OK : IB_ERROR_ARGUMENT;
}

/* ---- batches ---- */

uint64_t ib_matcher_events_max(const struct ib_matcher *matcher)
{
    IB_ASSERT(matcher != NULL);
    const struct ib_book *book = &matcher->book;
    /* An order ends by two reports of a trade or one of a cancel; a session by one. The order that comes in: Accepted,
     * Rested, and one more. */
    uint64_t plain = 2 * (uint64_t)book->orders.in_use + matcher->session_count + 3;
    if (matcher->rules == IB_RULES_1) {
        return plain;
    }
    /* Each slice of an iceberg ends like an order, and Refreshed follows; the one that comes in may be one, too. A
     * parked order is released, ends as one that comes in, and may break a band. */
    return plain + 3 * IB_SLICES_MAX * ((uint64_t)book->iceberg_count + 1) + 6 * (uint64_t)book->parked_count;
}

int ib_matcher_apply_batch(struct ib_matcher *matcher, const struct ib_command *commands, size_t command_count,
                           struct ib_event *events, size_t event_capacity, size_t *consumed, size_t *event_count)
{
    if (matcher == NULL || consumed == NULL || event_count == NULL || (commands == NULL && command_count > 0) ||
        (events == NULL && event_capacity > 0)) {
        return IB_ERROR_ARGUMENT;
    }
    struct ib_event_sink sink = {.next = events, .end = events};
    if (event_capacity > 0) { /* or the address may be null, to which nothing is added */
        sink.end += event_capacity;
    }
    *consumed = 0;
    int status = command_count == 0 ? IB_OK : ib_matcher_apply_group(matcher, commands, command_count, &sink, consumed);
    *event_count = event_capacity - (size_t)(sink.end - sink.next);
    return may_not_fit(matcher, &sink) ? IB_OK : status;
}
