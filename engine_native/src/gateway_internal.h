/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gateway_internal.h: what the files of the gateway share: gateway.c (sessions, places for connections),
 * gateway_connection.c (the life of one), gateway_peer.c (who it is), gateway_input.c (the way in), gateway_session.c
 * (what is a session's), gateway_stream.c
 * (the way out).
 */
#ifndef IB_GATEWAY_INTERNAL_H
#define IB_GATEWAY_INTERNAL_H

#include <sys/socket.h>

#include "authenticator.h"
#include "gateway.h"
#include "ouch50.h"
#include "soupbintcp.h"

enum {
    IB_CONNECTIONS_MAX = 4095,
    IB_TICKET_PLACE_BITS = 12, /* of an authenticator's ticket: the connection's place; the others: its generation */
    IB_INPUT_SIZE = 65536, /* of each connection: several thousand messages in one read */
    IB_OUTPUT_SIZE = 262144,
    IB_IDLE_HEARTBEATS = 15, /* SoupBinTCP 3.00, section 2.2.4: the usual timeout is 15 intervals */
    IB_CLOSING_MS = 1000,    /* for the last packet to reach a client that is refused */
    IB_PEER_ACCOUNTS = 1024, /* of wrong passwords; one more takes the place of the oldest */
    IB_CHECKS_MAX = 512,     /* passwords that are checked at once */
    IB_SCAN_EVENTS = 4096,   /* events that one turn looks at for one client that catches up: some 100 us */
};

_Static_assert(IB_CONNECTIONS_MAX < 1 << IB_TICKET_PLACE_BITS, "a ticket holds the place of any connection");
_Static_assert(IB_CHECKS_MAX < IB_PEER_ACCOUNTS, "an account whose password is checked is not taken away");
_Static_assert(IB_INPUT_SIZE >= 2 * (IB_SOUP_HEADER_SIZE + IB_OUCH_INBOUND_SIZE_MAX),
               "behind a packet that has not come to its end there is room for the rest of it");
_Static_assert(IB_OUTPUT_SIZE >= 2 * IB_SOUP_HEADER_SIZE + IB_OUCH_OUTBOUND_SIZE_MAX + IB_SOUP_LOGIN_ACCEPTED_SIZE,
               "an empty buffer takes whatever a turn must write");
_Static_assert((int)IB_SOUP_USERNAME_SIZE == (int)IB_USERNAME_SIZE, "a login's username is the name of a session");
_Static_assert((int)IB_SESSIONS_MAX < (int)IB_SESSION_NONE, "no session is taken for none");

enum ib_connection_state {
    IB_CONNECTION_FREE,
    IB_CONNECTION_LOGIN,    /* waits for the Login Request */
    IB_CONNECTION_HELD,  /* its Login Request waits for its turn; nothing is read meanwhile */
    IB_CONNECTION_CHECKING, /* its password is being checked, likewise */
    IB_CONNECTION_OPEN,
    IB_CONNECTION_CLOSING, /* the last packet is on its way; input is thrown away */
};

#define IB_UID_UNKNOWN UINT32_MAX

/* Whom a login is charged to: for each session anew, so that a user's broken client stops none of its others. */
struct ib_peer {
    uint8_t address[16]; /* zero where the uid is known */
    uint32_t uid;        /* owner of a socket on this machine, or IB_UID_UNKNOWN */
    uint16_t session;    /* that it wants; IB_SESSION_NONE: unknown usernames, all of them */
    uint16_t account;    /* where its account was last found */
};

struct ib_peer_account {
    struct ib_peer peer;
    bool used;
    bool checking;           /* one password at a time */
    uint64_t spent_until_ms; /* when all its wrong passwords will be forgotten */
};

struct ib_connection {
    struct ib_io_handler handler;
    struct ib_gateway *gateway;
    enum ib_connection_state state;
    uint32_t generation; /* tells answers for an earlier user of this place */
    uint16_t session;    /* IB_SESSION_NONE until login */
    struct ib_peer peer_key; /* from its Login Request on */
    bool live;           /* has every released report: new ones are appended as they come */
    bool blocked;        /* input waits for room in the ring */
    bool dirty;          /* output was added in this turn */
    uint32_t next_seq;   /* number of the next report that it is sent; 0 until login */
    uint64_t cursor;     /* not live: position in the event log from which on reports are to be sent */
    /* stalled: since when the socket takes nothing; 0 = it does */
    uint64_t opened_ms, received_ms, sent_ms, stalled_ms;
    uint64_t closing_ms;
    uint64_t received_bytes;
    uint64_t read_ns; /* when the newest of its input was read, where latency is tracked */
    uint32_t queries;    /* Account Queries to answer … */
    uint64_t query_seq;  /* … once this command is released */
    uint64_t answer_seq; /* Mass Cancel, Disable or Enable Order Entry to answer once this is released; 0: none … */
    uint64_t answer_after; /* … behind the reports of all up to this command, and before those of later ones … */
    uint32_t answer_ref; /* … its UserRefNum … */
    enum ib_ouch_kind answer_kind;
    char answer_symbol[IB_SYMBOL_SIZE]; /* … and, of a Mass Cancel, its Symbol */
    uint64_t login_sequence;
    char login_session[IB_SOUP_SESSION_SIZE + 1];
    char peer[64];
    uint8_t *input, *output;
    size_t input_size;
    size_t output_begin, output_end;
};

struct ib_gateway_session_state {
    char username[IB_USERNAME_SIZE + 1];
    char firm[IB_FIRM_SIZE];
    const char *secret; /* null: may not log in */
    struct ib_connection *connection;
    bool is_taken; /* by a client of commands.sock */
    bool is_disabled; /* its member has disabled its order entry: orders are rejected */
    bool cancel_on_disconnect;
    bool cancel_due; /* its connection has ended, and its orders are not cancelled yet */
    bool has_orders; /* it may have: one was taken since that last happened */
    bool owes;       /* that was done at once, and is waited for before its next order */
    uint32_t cancels; /* its place in the budget of mass cancels */
    uint32_t last_user_ref; /* highest that was sequenced */
    uint32_t session_seq;   /* of the last released report */
};

struct ib_gateway {
    struct ib_gateway_config config;
    struct ib_io_loop *loop;
    struct ib_sequencer *sequencer;
    const struct ib_event_log *log;
    const struct ib_matcher *matcher; /* of its sessions alone */
    struct ib_directory *directory;
    struct ib_authenticator *authenticator;
    struct ib_io_handler listener;
    struct ib_io_handler answers;
    struct ib_connection *connections;
    struct ib_peer_account accounts[IB_PEER_ACCOUNTS];
    uint32_t checking; /* connections whose password is being checked */
    uint32_t retry_place; /* where the next turn for those who are held begins */
    uint8_t *buffers;
    struct ib_gateway_session_state *sessions;
    size_t session_count;
    uint64_t dispatched; /* events of the log that were handed to live connections */
    uint32_t used;       /* places in `connections` from here on are free */
    uint32_t cancels_due; /* sessions */
    bool ended;          /* End of Day is sequenced */
    bool busy;
    bool waiting;        /* a mass cancel waits for its time, or the journal for room, which no socket tells */
    bool full;           /* the event log is full, and this was said */
    char session_name[IB_SOUP_SESSION_SIZE + 1];
    uint64_t disconnects[IB_DISCONNECT_COUNT];
    uint64_t repeats, modify_ignored, logins_held;
    uint64_t log_second, log_lines; /* of the connection log: see ib_connection_log */
};

/* gateway_connection.c */
/* Takes an accepted socket into a free place, and waits for its login. */
void ib_connection_begin(struct ib_connection *connection, int fd, const struct sockaddr *address, socklen_t size);
/* As ib_io_handler.ready, owner = the connection. */
void ib_connection_ready(void *owner, uint32_t events);
/* Its heartbeat, and the ends that come with time. */
void ib_connection_tick(struct ib_connection *connection);
/* One line on stderr about a connection; at most 100 a second, the others are only counted. */
void ib_connection_log(struct ib_connection *connection, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ib_connection_close(struct ib_connection *connection, enum ib_disconnect reason);
/* Ends after what stands in the output buffer has left. */
void ib_connection_finish(struct ib_connection *connection, enum ib_disconnect reason);

/* What follows the end of a session's connection, whichever it was. */
void ib_session_disconnected(struct ib_gateway *gateway, uint16_t session);
/* Sequences a command of a session, as ib_gateway_submit; it may be marked as rejected. */
bool ib_session_sequence(struct ib_gateway *gateway, uint16_t session, struct ib_command *command);
/* Cancels what a session that lost its connection has; false when there is no room for the command yet. */
bool ib_session_cancel(struct ib_gateway *gateway, uint16_t session);

/* gateway_peer.c */
/* Who is at the other end of a connected socket; its session is for the caller to say. */
struct ib_peer ib_peer_of(int fd);
/* True: a password of this peer is checked now, and ib_peer_answered will follow. */
bool ib_peer_may_ask(struct ib_gateway *gateway, struct ib_peer *peer);
void ib_peer_answered(struct ib_gateway *gateway, struct ib_peer *peer, bool granted);

/* gateway_input.c */
/* Has the password of a login checked whose turn has come. */
void ib_input_retry_login(struct ib_connection *connection);
/* Reads what the socket has and serves it. */
void ib_input_read(struct ib_connection *connection);
/* Serves the packets that stand in the input buffer, as far as the ring has room. */
void ib_input_process(struct ib_connection *connection);
/* The answer to the login's password. */
void ib_input_login_checked(struct ib_connection *connection, bool granted);

/* gateway_stream.c */
/* Room for one more packet of `size` bytes, or null. */
uint8_t *ib_output_reserve(struct ib_connection *connection, size_t size);
void ib_output_commit(struct ib_connection *connection, size_t size);
void ib_output_flush(struct ib_connection *connection);
/* Begins to send reports from number `sequence` on. */
void ib_stream_start(struct ib_connection *connection, uint32_t sequence);
/* Sends what a connection that is not live can take. */
void ib_stream_catch_up(struct ib_connection *connection);
/* Hands newly released events to live connections. */
void ib_stream_dispatch(struct ib_gateway *gateway, uint64_t released);
/* Account Queries, Mass Cancel, and Disable and Enable Order Entry. */
void ib_stream_answer_queries(struct ib_connection *connection);

#endif
