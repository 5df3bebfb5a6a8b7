/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook_engine.h: a shard as a running process: journal, matcher, order entry, event feed and admin socket
 * under one roof. Python fills the configuration, calls ib_engine_run and waits; it never sees an order.
 */
#ifndef IRONBOOK_ENGINE_H
#define IRONBOOK_ENGINE_H

#include "ironbook.h"

/* CFFI-BEGIN */

struct ib_engine_instrument {
    const char *symbol; /* 1 to 8 characters */
    int64_t tick;       /* price units, at least 1 */
    uint64_t lot;       /* at least 1 */
    int64_t reference_price; /* of a new instrument; 0 = none. It moves with each auction, so a restart leaves it */
    uint32_t static_band;  /* basis points; 0 = none */
    uint32_t dynamic_band;
    uint32_t schedule;     /* number in `schedules`, from 1; 0 = none */
    uint8_t phase;         /* of a new instrument without a schedule: enum ib_phase */
    uint8_t breach;        /* enum ib_breach */
    uint8_t price_scale;   /* decimal places */
    uint8_t quantity_scale;
    uint8_t removed;       /* 1: it is taken out of trading, with all its orders */
};

/* An account; its index in `accounts`, from 0, is not its number in the journal. */
struct ib_engine_account {
    const char *name; /* 1 to 24 characters */
};

struct ib_engine_limit {
    uint32_t account;   /* index in `accounts` */
    uint8_t limit;      /* enum ib_risk_limit, MESSAGE_RATE to OPEN_ORDERS */
    const char *symbol; /* null: of every instrument that has no limit of its own */
    uint64_t value;     /* IB_UNLIMITED: none */
};

struct ib_engine_session {
    const char *username; /* 1 to 6 characters, upper case */
    const char *firm;     /* 1 to 4 characters */
    const char *secret;   /* crypt(3) hash of the password */
    uint32_t account;     /* index in `accounts`; UINT32_MAX: none */
    uint8_t account_named; /* 1: the configuration says so itself, and a journal that says otherwise is refused */
    uint8_t cancel_on_disconnect;
};

/* One change of phase by the clock. */
struct ib_engine_phase_time {
    uint64_t time_ns; /* since the Unix epoch */
    uint8_t phase;    /* enum ib_phase */
};

/* Changes of phase in order of time: those of some days back, so that an engine that was down catches up, and of as
 * long ahead as it may run. Time zones and weekdays are behind whoever made the list. */
struct ib_engine_schedule {
    const struct ib_engine_phase_time *times;
    size_t count; /* at least 1 */
};

/* Where a member of the shard listens for the others: numeric, loopback or private. */
struct ib_engine_member {
    const char *host;
    uint16_t port;
};

/* The shard is replicated: this engine is member `replica` of these. src/replica.h says what the times decide. */
struct ib_engine_replication {
    const struct ib_engine_member *members; /* by number */
    size_t member_count;                    /* 1 to 8 */
    const char *key;                        /* 16 to 128 characters, the same for all of them */
    uint32_t min_in_sync;
    uint32_t window;      /* commands sequenced and not committed, at most; up to 16384 */
    uint32_t check_every; /* states are compared at each multiple of it; 64 at least */
    uint32_t heartbeat_ms, silence_ms, down_ms, lag_ms, retry_ms, stagger_ms, store_ms, drain_ms;
};

/* Borrowed by ib_engine_open until ib_engine_close. services/ironbook/engine.py says what each key means. */
struct ib_engine_config {
    uint32_t shard, replica; /* shard 0 … 99 */
    uint64_t epoch; /* without replication: what the journal's records and the event feed say */
    const struct ib_engine_replication *replication; /* null: the engine runs alone */
    const char *journal_directory;
    const char *run_directory; /* sockets and the event log */
    const char *host;          /* of order entry: numeric, loopback or private */
    uint16_t port;
    const struct ib_engine_instrument *instruments;
    size_t instrument_count;
    const struct ib_engine_account *accounts;
    size_t account_count;
    const struct ib_engine_limit *limits;
    size_t limit_count;
    const struct ib_engine_session *sessions;
    size_t session_count;
    const struct ib_engine_schedule *schedules;
    size_t schedule_count;
    uint32_t rules; /* enum ib_rules; 0: as the journal has it, and the newest for a new one */
    uint32_t indicate_ms; /* between two INDICATE of an instrument in an auction; 0: none */
    uint32_t volatility_auction_ms; /* 0: until somebody ends it */
    int fsync_policy; /* enum ib_fsync_policy of ironbook_core.h */
    uint64_t segment_bytes;
    uint32_t orders; /* live orders at most */
    uint64_t events; /* events of the journal's whole life at most */
    uint32_t connections;
    uint32_t bytes_before_login;
    uint32_t login_attempts;
    uint32_t login_ms;
    uint32_t mass_cancel_percent; /* of the matcher's time that the mass cancels of one account may take, 1 to 100 */
    uint32_t heartbeat_ms;
    uint32_t latency_every; /* one command in so many is followed (ironbook_latency.h); 0: none */
};

struct ib_engine;

/* Recovers the journal, adds what the configuration adds, and listens. On failure `error` (IB_ERROR_TEXT_SIZE)
 * has one line for people, nothing listens, and *engine is null. */
int ib_engine_open(struct ib_engine **engine, const struct ib_engine_config *config, char *error);
/* Serves until SIGTERM, SIGINT (at which a primary hands over first) or ib_engine_stop. IB_OK after an orderly end;
 * IB_RESTART: the member has to discard its state, so it is to be closed and opened again; otherwise ib_engine_error
 * has why. */
int ib_engine_run(struct ib_engine *engine);
/* From any thread or signal handler. */
void ib_engine_stop(struct ib_engine *engine);
const char *ib_engine_error(const struct ib_engine *engine);
/* Commands that the journal held when it was opened. */
uint64_t ib_engine_recovered_seq(const struct ib_engine *engine);
void ib_engine_close(struct ib_engine *engine);

/* A crypt(3) hash of a password (1 to 10 characters) for configuration files; `hash` has room for `size`: 128 do. */
int ib_secret_hash(const char *password, char *hash, uint64_t size);

/* CFFI-END */

#endif
