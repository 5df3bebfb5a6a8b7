/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * engine_timed.c: what happens because time has come, not because somebody asked: orders expire, instruments change
 * their phase by schedule, a volatility auction ends, an auction's indicative price is told.
 *
 * The state machine knows no clock. Here the I/O thread's clock becomes sequenced commands, so that the journal alone
 * determines what became of them. Everything is looked at once a tick; what the ring, the event log or the journal
 * has no room for is done at a later one. The state itself belongs to the matcher thread: phases come from released
 * events (directory.h), the next expiry from a word that the matcher thread publishes.
 */
#define _GNU_SOURCE
#include "check.h"
#include "clock.h"
#include "engine_internal.h"

static bool submit(struct ib_engine *engine, const struct ib_command *command)
{
    IB_ASSERT(command->session == IB_SESSION_NONE);
    IB_ASSERT(!engine->ended);
    return ib_sequencer_admits(&engine->sequencer, command) &&
           ib_sequencer_submit(&engine->sequencer, command);
}

static bool submit_phase(struct ib_engine *engine, uint32_t instrument, uint8_t phase)
{
    struct ib_directory_entry *entry = ib_directory_at(engine->directory, instrument);
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION);
    const struct ib_command command = {
        .type = IB_COMMAND_PHASE, .session = IB_SESSION_NONE, .instrument = instrument, .phase = phase};
    IB_ASSERT(entry != NULL && entry->pending_seq <= engine->sequencer.released_seq);
    if (!submit(engine, &command)) {
        return false;
    }
    entry->pending_seq = engine->sequencer.seq;
    return true;
}

static void expire(struct ib_engine *engine, uint64_t now_ns)
{
    IB_ASSERT(now_ns >= engine->sequencer.time_ns);
    const struct ib_command command = {.type = IB_COMMAND_EXPIRE, .session = IB_SESSION_NONE};
    struct ib_timed *timed = &engine->timed;
    IB_ASSERT(timed->expire_seq <= engine->sequencer.seq);
    if (timed->expire_seq <= engine->sequencer.released_seq && /* else the word is of before it */
        now_ns >= atomic_load_explicit(&engine->next_expiry_ns, memory_order_acquire) && submit(engine, &command)) {
        timed->expire_seq = engine->sequencer.seq;
    }
}

/* Whether a schedule's last change at `time_ns` into `phase` is still to be made. Whatever happened to the instrument
 * after that moment stands: an administrator's word, a band that broke. A halt stands until it is ended by hand; only
 * the close goes over it. */
static bool is_due(const struct ib_directory_entry *entry, uint64_t time_ns, uint8_t phase)
{
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION);
    const struct ib_instrument *instrument = &entry->definition;
    IB_ASSERT(instrument->phase <= IB_PHASE_CLOSING_AUCTION);
    return instrument->phase != phase && entry->since_ns < time_ns &&
           (instrument->phase != IB_PHASE_HALTED || phase == IB_PHASE_CLOSED);
}

/* Goes on through the instruments of a schedule whose time has come. */
static void follow_schedule(struct ib_engine *engine, uint32_t number)
{
    IB_ASSERT(engine->rules >= IB_RULES_2);
    struct ib_timed_schedule *at = &engine->timed.schedules[number];
    IB_ASSERT(number < engine->config.schedule_count);
    if (!at->is_due || at->next == 0) {
        return; /* nothing is due, or the schedule has not begun */
    }
    const struct ib_engine_phase_time *change = &engine->config.schedules[number].times[at->next - 1];
    IB_ASSERT(at->next <= engine->config.schedules[number].count);
    for (; at->instrument < ib_directory_count(engine->directory); at->instrument++) {
        const struct ib_directory_entry *entry = ib_directory_at(engine->directory, at->instrument);
        if (entry->definition.schedule != number + 1 || entry->definition.removed ||
            !is_due(entry, change->time_ns, change->phase)) {
            continue;
        }
        if (entry->pending_seq > engine->sequencer.released_seq) {
            at->is_late = true; /* a change of it is on its way: look again when it is there */
        } else if (!submit_phase(engine, at->instrument, change->phase)) {
            return;
        }
    }
    at->instrument = 0;
    at->is_due = at->is_late;
    at->is_late = false;
}

static void follow_schedules(struct ib_engine *engine, uint64_t now_ns)
{
    struct ib_timed *timed = &engine->timed;
    bool anew = timed->definitions != ib_directory_definitions(engine->directory);
    IB_ASSERT(engine->config.schedule_count <= IB_SCHEDULES_MAX);
    timed->definitions = ib_directory_definitions(engine->directory);
    for (uint32_t i = 0; i < engine->config.schedule_count; i++) {
        const struct ib_engine_schedule *schedule = &engine->config.schedules[i];
        struct ib_timed_schedule *at = &timed->schedules[i];
        bool comes = at->next < schedule->count && schedule->times[at->next].time_ns <= now_ns;
        while (at->next < schedule->count && schedule->times[at->next].time_ns <= now_ns) {
            at->next++;
        }
        if (comes || anew) {
            at->is_due = true;
            at->instrument = 0;
        }
        follow_schedule(engine, i);
    }
}

static void end_volatility_auctions(struct ib_engine *engine, uint64_t now_ns)
{
    IB_ASSERT(engine->directory != NULL);
    uint64_t length_ns = (uint64_t)engine->config.volatility_auction_ms * 1000000u;
    if (length_ns == 0 || ib_directory_volatile(engine->directory) == 0) {
        return;
    }
    for (uint32_t i = 0; i < ib_directory_count(engine->directory); i++) {
        const struct ib_directory_entry *entry = ib_directory_at(engine->directory, i);
        IB_ASSERT(entry != NULL);
        if (entry->definition.phase == IB_PHASE_VOLATILITY_AUCTION && !entry->definition.removed &&
            entry->since_ns != 0 && entry->since_ns + length_ns <= now_ns &&
            entry->pending_seq <= engine->sequencer.released_seq && !submit_phase(engine, i, IB_PHASE_CONTINUOUS)) {
            return;
        }
    }
    IB_ASSERT(engine->sequencer.seq >= engine->sequencer.released_seq);
}

static bool is_auction(uint8_t phase)
{
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION);
    return phase == IB_PHASE_OPENING_AUCTION || phase == IB_PHASE_VOLATILITY_AUCTION ||
           phase == IB_PHASE_CLOSING_AUCTION;
}

/* A round goes over all instruments in an auction. Where nothing was sequenced since the last round, nothing can have
 * changed: a quiet auction fills no journal. */
static void indicate(struct ib_engine *engine)
{
    struct ib_timed *timed = &engine->timed;
    uint32_t interval_ms = engine->config.indicate_ms;
    IB_ASSERT(timed->indicated_seq <= engine->sequencer.seq);
    if (interval_ms == 0 || (timed->indicate_next == 0 && (engine->loop.now_ms < timed->indicate_due_ms ||
                                                           timed->indicated_seq == engine->sequencer.seq))) {
        return;
    }
    if (timed->indicate_next == 0) { /* what is in flight now may change phases and books that the round does not see */
        timed->is_settled = engine->sequencer.released_seq == engine->sequencer.seq;
    }
    for (; timed->indicate_next < ib_directory_count(engine->directory); timed->indicate_next++) {
        const struct ib_directory_entry *entry = ib_directory_at(engine->directory, timed->indicate_next);
        const struct ib_command command = {
            .type = IB_COMMAND_INDICATE, .session = IB_SESSION_NONE, .instrument = timed->indicate_next};
        if (is_auction(entry->definition.phase) && !entry->definition.removed && !submit(engine, &command)) {
            return;
        }
    }
    timed->indicate_next = 0;
    timed->indicate_due_ms = engine->loop.now_ms + interval_ms;
    timed->indicated_seq = timed->is_settled ? engine->sequencer.seq : 0;
}

void ib_engine_timed_tick(struct ib_engine *engine)
{
    uint64_t now_ns = ib_clock_ns(CLOCK_REALTIME);
    IB_ASSERT(engine->directory != NULL);
    if (engine->ended || engine->rules < IB_RULES_2) {
        return;
    }
    /* As a command would be stamped. */
    now_ns = now_ns > engine->sequencer.time_ns ? now_ns : engine->sequencer.time_ns;
    expire(engine, now_ns);
    follow_schedules(engine, now_ns);
    end_volatility_auctions(engine, now_ns);
    indicate(engine);
    ib_sequencer_publish(&engine->sequencer);
    IB_ASSERT(engine->timed.expire_seq <= engine->sequencer.seq);
}
