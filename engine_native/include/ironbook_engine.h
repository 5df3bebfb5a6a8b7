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
    int64_t tick;       /* units of 10^-4, at least 1 */
};

struct ib_engine_session {
    const char *username; /* 1 to 6 characters, upper case */
    const char *firm;     /* 1 to 4 characters */
    const char *secret;   /* crypt(3) hash of the password */
};

/* Borrowed by ib_engine_open until ib_engine_close. services/ironbook/engine.py says what each key means. */
struct ib_engine_config {
    uint32_t shard, replica; /* shard 0 … 99 */
    uint64_t epoch;
    const char *journal_directory;
    const char *run_directory; /* sockets and the event log */
    const char *host;          /* of order entry: numeric, loopback or private */
    uint16_t port;
    const struct ib_engine_instrument *instruments;
    size_t instrument_count;
    const struct ib_engine_session *sessions;
    size_t session_count;
    int fsync_policy; /* enum ib_fsync_policy of ironbook_core.h */
    uint64_t segment_bytes;
    uint32_t orders; /* live orders at most */
    uint64_t events; /* events of the journal's whole life at most */
    uint32_t connections;
    uint32_t bytes_before_login;
    uint32_t login_attempts;
    uint32_t login_ms;
    uint32_t heartbeat_ms;
    uint32_t latency_every; /* one command in so many is followed (ironbook_latency.h); 0: none */
};

struct ib_engine;

/* Recovers the journal, adds what the configuration adds, and listens. On failure `error` (IB_ERROR_TEXT_SIZE)
 * has one line for people, nothing listens, and *engine is null. */
int ib_engine_open(struct ib_engine **engine, const struct ib_engine_config *config, char *error);
/* Serves until SIGTERM, SIGINT or ib_engine_stop. IB_OK after an orderly end; otherwise ib_engine_error has why. */
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
