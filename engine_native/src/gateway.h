/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway.h: order entry. SoupBinTCP connections, the sessions behind them, and their reports.
 *
 * A session is a user's stream of reports, numbered from 1 by the matcher; it lives in the journal and
 * outlasts connections, restarts and, later, the host. A connection is a socket that has logged in to a
 * session, at most one at a time: a second login is refused, so that no misplaced copy of a client can throw the
 * real one out.
 *
 * The gateway keeps no reports of its own. It reads the event log, which is a pure function of the
 * journal, from wherever the client left off; a slow client costs one output buffer and no more.
 *
 * Everything here runs on the I/O thread.
 */
#ifndef IB_GATEWAY_H
#define IB_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "directory.h"
#include "event_log.h"
#include "io_loop.h"
#include "matcher.h"
#include "sequencer.h"

/* Why a connection ended. Counted for each; the names are in the admin status. */
enum ib_disconnect {
    IB_DISCONNECT_LOGOUT,           /* Logout Request */
    IB_DISCONNECT_PEER,             /* the client closed, or the network did */
    IB_DISCONNECT_END_OF_SESSION,   /* End of Day was delivered */
    IB_DISCONNECT_SHUTDOWN,         /* the engine ends */
    IB_DISCONNECT_CONNECTIONS_FULL, /* no place for one more */
    IB_DISCONNECT_LOGIN_TIMEOUT,    /* no login within the time for it */
    IB_DISCONNECT_LOGIN_TOO_LONG,   /* more bytes than a login takes, before the login */
    IB_DISCONNECT_LOGIN_EXPECTED,   /* the first packet was another one */
    IB_DISCONNECT_LOGIN_MALFORMED,
    IB_DISCONNECT_LOGIN_REJECTED,   /* unknown user or wrong password */
    IB_DISCONNECT_SESSION_IN_USE,   /* somebody is logged in to it */
    IB_DISCONNECT_SESSION_UNKNOWN,  /* another session's name, or a sequence number that was never sent */
    IB_DISCONNECT_IDLE,             /* nothing heard for 15 heartbeats */
    IB_DISCONNECT_SLOW,             /* took nothing of what it was sent for 15 heartbeats */
    IB_DISCONNECT_PACKET_SIZE,      /* length zero, or longer than any message */
    IB_DISCONNECT_PACKET_TYPE,      /* no packet of a client */
    IB_DISCONNECT_MESSAGE_TYPE,     /* no message of OUCH 5.0 that this venue serves */
    IB_DISCONNECT_MESSAGE_MALFORMED,
    IB_DISCONNECT_COUNT,
};

struct ib_gateway_config {
    const char *host; /* numeric address, loopback or private */
    uint16_t port;
    uint32_t connections;
    uint32_t bytes_before_login;
    uint32_t login_attempts; /* wrong passwords of one peer within login_ms before its next ones have to wait */
    uint32_t login_ms;
    uint32_t heartbeat_ms;
    uint32_t shard;           /* 0 … 99 */
    uint32_t rules;           /* in force */
    const uint8_t *disabled;     /* by session: the journal's last word on its order entry; borrowed for the open */
    uint64_t journal_time_ns; /* of the journal's first command: date of the SoupBinTCP session's name */
};

/* What the admin socket shows of a session. */
struct ib_gateway_session_view {
    const char *username; /* closed by a zero byte */
    bool connected;
    bool disabled; /* its order entry, by itself */
    uint32_t next_user_ref;
    uint32_t session_seq; /* of the last released report */
};

struct ib_gateway;

/* Takes all memory. The matcher stands still, and all that it has done is released: its sessions are read here and do
 * not change after; its instruments are looked up in `directory`, which learns of each later event from here. */
int ib_gateway_open(struct ib_gateway **gateway, const struct ib_gateway_config *config, struct ib_io_loop *loop,
                    struct ib_sequencer *sequencer, const struct ib_event_log *log, const struct ib_matcher *matcher,
                    struct ib_directory *directory, char *error);
void ib_gateway_close(struct ib_gateway *gateway);
/* Lets a user log in; `secret` is a crypt(3) hash, borrowed for the life of the gateway. `cancel_on_disconnect`: its
 * orders are cancelled, by a sequenced MASS_CANCEL, when its connection ends, whyever; and now, if it has any, since
 * the end of the engine before was the end of its connection too. */
void ib_gateway_allow(struct ib_gateway *gateway, uint16_t session, const char *secret, bool cancel_on_disconnect);
/* Binds and listens. IB_ERROR_ADDRESS with the line for people in `error`. */
int ib_gateway_listen(struct ib_gateway *gateway, char *error);

/* Sends what was released, and takes input again where the ring was full. Call after each release. */
void ib_gateway_progress(struct ib_gateway *gateway, uint64_t released);
/* Heartbeats and timeouts. */
void ib_gateway_tick(struct ib_gateway *gateway);
/* True while a client lags behind although its socket takes data: the loop must not sleep. */
bool ib_gateway_is_busy(const struct ib_gateway *gateway);
/* True while a mass cancel waits until its account may have one (cancel_budget.h): the loop sleeps shortly. */
bool ib_gateway_is_waiting(const struct ib_gateway *gateway);
/* From here on no order of a client is taken (End of Day is sequenced). */
void ib_gateway_end_of_day(struct ib_gateway *gateway);

/* ---- for commands.sock: another way into the same sessions ---- */

/* Of those that may log in, by username (padded with spaces); IB_SESSION_NONE when there is none. */
uint16_t ib_gateway_find_session(const struct ib_gateway *gateway, const char username[IB_USERNAME_SIZE]);
/* Takes a session for one connection; false when somebody has it. */
bool ib_gateway_enter_session(struct ib_gateway *gateway, uint16_t session);
void ib_gateway_leave_session(struct ib_gateway *gateway, uint16_t session);
/* Sequences a command of a session (ENTER, REPLACE, CANCEL, MASS_CANCEL), as a message of its would be: repeats are
 * ignored, a full event log rejects. False when it must wait for room. */
bool ib_gateway_submit(struct ib_gateway *gateway, uint16_t session, const struct ib_command *command);
/* UINT32_MAX when it is not traded. */
uint32_t ib_gateway_find_instrument(const struct ib_gateway *gateway, const char symbol[IB_SYMBOL_SIZE]);

size_t ib_gateway_session_count(const struct ib_gateway *gateway);
struct ib_gateway_session_view ib_gateway_session(const struct ib_gateway *gateway, size_t session);
uint32_t ib_gateway_connection_count(const struct ib_gateway *gateway);
uint64_t ib_gateway_disconnects(const struct ib_gateway *gateway, enum ib_disconnect reason);
const char *ib_disconnect_text(enum ib_disconnect reason);
/* Repeated UserRefNums that were ignored, and Modify Order messages that were. */
uint64_t ib_gateway_repeats(const struct ib_gateway *gateway);
uint64_t ib_gateway_modify_ignored(const struct ib_gateway *gateway);
/* Logins that had to wait for their turn. */
uint64_t ib_gateway_logins_held(const struct ib_gateway *gateway);

#endif
