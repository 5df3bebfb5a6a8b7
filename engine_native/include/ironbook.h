/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook.h: the contract of the matching core.
 *
 * One shard is one deterministic state machine: sequenced commands go in, events come out, and the
 * same commands give the same events on every machine. Whoever speaks to the core, the gateway, the
 * journal, a test or Python, speaks in the two structs below and in nothing else.
 *
 * Units: price in units of 10^-4 of the currency, quantity in units of 1, time in nanoseconds since
 * the Unix epoch (UTC). All integers are native little-endian; both structs are written to disk and to
 * sockets as they lie in memory, so their layout is asserted below and never changes within a format.
 *
 * The part between CFFI-BEGIN and CFFI-END is plain C that both the compiler and cffi read: no
 * declaration of the core exists twice.
 */
#ifndef IRONBOOK_H
#define IRONBOOK_H

#include <stddef.h>
#include <stdint.h>

/* CFFI-BEGIN */

/* Every call that can fail returns one of these; ib_status_text() names it. */
enum ib_status {
    IB_OK = 0,
    IB_ERROR_ARGUMENT = 1,        /* a caller's mistake: out of range, wrong order, null */
    IB_ERROR_MEMORY = 2,          /* memory could not be had at open */
    IB_ERROR_CAPACITY = 3,        /* a table that was sized at open is full */
    IB_ERROR_IO = 4,              /* the operating system refused; errno is in the error text */
    IB_ERROR_JOURNAL_DAMAGED = 5, /* a bad record is followed by a valid one: halt, never truncate */
    IB_ERROR_JOURNAL_FOREIGN = 6, /* another shard's journal, or a format this build cannot read */
    IB_ERROR_ADDRESS = 7,         /* an address is in use, not local, or a socket path is too long */
    IB_ERROR_CONFIGURATION = 8,   /* the configuration contradicts itself or the journal */
};

/* Limits of this format. Capacities below them are chosen at open. */
enum ib_limit {
    IB_SESSIONS_MAX = 1024,
    IB_SESSION_NONE = 0xffff, /* an event that is no report to any session */
    IB_SYMBOL_SIZE = 8,       /* ASCII, padded with spaces on the right */
    IB_USERNAME_SIZE = 6,     /* SoupBinTCP 4.00 login, padded with spaces on the right */
    IB_FIRM_SIZE = 4,
    IB_CLIENT_DATA_SIZE = 24,
    IB_INSTRUMENTS_MAX = 131072,
    IB_ORDERS_MAX = 16777216, /* live orders of a shard; with IB_QUANTITY_MAX no sum can leave 64 bits */
    IB_ERROR_TEXT_SIZE = 512, /* every error text, its closing zero included */
};
#define IB_QUANTITY_MAX 1099511627775  /* 2^40 - 1: what one order may ask for */
#define IB_SEQ_MAX 281474976710655     /* 2^48 - 1: nine years at a million commands a second */

enum ib_side { IB_SIDE_BUY = 1, IB_SIDE_SELL = 2 };

enum ib_time_in_force {
    IB_TIME_IN_FORCE_DAY = 0, /* what is left rests in the book */
    IB_TIME_IN_FORCE_IOC = 3, /* what is left is cancelled at once */
};

enum ib_order_type { IB_ORDER_LIMIT = 1, IB_ORDER_MARKET = 2 };

enum ib_command_type {
    IB_COMMAND_INSTRUMENT_ADD = 1, /* instrument = the next free index; client_data = symbol; price = tick size */
    IB_COMMAND_SESSION_ADD = 2,    /* session = the next free index; client_data = username, firm */
    IB_COMMAND_ENTER = 3,
    IB_COMMAND_REPLACE = 4, /* user_ref_original is replaced by user_ref; quantity = new total size, filled part included */
    IB_COMMAND_CANCEL = 5,  /* quantity = new total size of the order; 0 cancels all that is left */
    IB_COMMAND_HALT = 6,    /* from here on Enter and Replace are rejected; Cancel is accepted */
    IB_COMMAND_RESUME = 7,
    IB_COMMAND_END_OF_DAY = 8, /* every session's stream ends; nothing is accepted after it */
};

enum ib_event_type {
    IB_EVENT_ACCEPTED = 1, /* report: quantity = accepted size, price = limit */
    IB_EVENT_RESTED = 2,   /* no report: the order now stands in the book with `remaining` */
    IB_EVENT_EXECUTED = 3, /* report: one each for the resting and the incoming order, same match_ref */
    IB_EVENT_CANCELED = 4, /* report: quantity = how much was taken off, remaining = what still stands */
    IB_EVENT_REPLACED = 5, /* report: the order lives on under user_ref; quantity = remaining = what is open now */
    IB_EVENT_REJECTED = 6, /* report: reason tells why; no state changed */
    IB_EVENT_TRADING_STATE = 7, /* no report: reason = IB_REASON_HALTED or IB_REASON_NONE */
    IB_EVENT_END_OF_DAY = 8,    /* report to each session: its stream ends here */
};

enum ib_reason {
    IB_REASON_NONE = 0,
    /* of IB_EVENT_CANCELED */
    IB_REASON_USER = 1,              /* the client asked */
    IB_REASON_IMMEDIATE_OR_CANCEL = 2, /* an IOC or market order found no more to trade with */
    /* of IB_EVENT_REJECTED */
    IB_REASON_HALTED = 16,
    IB_REASON_INSTRUMENT_UNKNOWN = 17,
    IB_REASON_PRICE_INVALID = 18, /* not positive, above the limit, or off the tick */
    IB_REASON_QUANTITY_INVALID = 19,
    IB_REASON_SIDE_INVALID = 20,
    IB_REASON_ORDER_TYPE_INVALID = 21,
    IB_REASON_TIME_IN_FORCE_INVALID = 22,
    IB_REASON_ORDER_UNKNOWN = 23,   /* Replace names an order that is not live */
    IB_REASON_BOOK_FULL = 24,       /* no slot for one more order */
    IB_REASON_EVENT_LOG_FULL = 25,  /* the event log cannot hold the reports */
    IB_REASON_UNSUPPORTED = 26,     /* a field of the protocol that this venue does not carry */
};

enum ib_event_flag {
    IB_FLAG_RESTING = 1,  /* the order stood in the book: this event changes the visible book */
    IB_FLAG_INCOMING = 2, /* the order is the aggressor of this command */
    IB_FLAG_PRIORITY_KEPT = 4, /* Replaced: it shrank where it stood; otherwise it left, and Rested may follow */
};

/* One sequenced input: the payload of one journal record. 96 bytes. */
struct ib_command {
    uint64_t seq;               /* dense from 1, given by the sequencer */
    uint64_t time_ns;           /* never lower than that of the record before */
    uint16_t type;              /* enum ib_command_type */
    uint16_t session;           /* index of the session that sent it */
    uint32_t instrument;        /* index of the instrument */
    uint32_t user_ref;          /* the client's own number of the order (OUCH: UserRefNum) */
    uint32_t user_ref_original; /* Replace: the order that is replaced */
    int64_t price;              /* units of 10^-4; ignored for market orders */
    uint64_t quantity;          /* units of 1 */
    uint8_t side;               /* enum ib_side */
    uint8_t time_in_force;      /* enum ib_time_in_force */
    uint8_t order_type;         /* enum ib_order_type */
    uint8_t reason;             /* set by the gateway: a reject to be sequenced, or IB_REASON_NONE */
    uint32_t reserved;          /* zero */
    uint64_t reserved_quantity[2]; /* zero; displayed and minimum quantity will live here */
    uint8_t client_data[24];    /* opaque to matching, repeated in the reports (OUCH: ClOrdID and flags); a zero byte
                                   of a Replace's stays as the order had it */
};

/* One output of the state machine. 128 bytes. Identified by (shard, seq, index). */
struct ib_event {
    uint64_t seq;               /* the command that caused it */
    uint64_t time_ns;           /* time of that command */
    uint32_t index;             /* 0, 1, … within the command */
    uint16_t type;              /* enum ib_event_type */
    uint16_t session;           /* to whom the report goes, or IB_SESSION_NONE */
    uint32_t instrument;
    uint32_t user_ref;          /* the order that the report is about, by its owner's number */
    uint32_t user_ref_original; /* Replaced: its number before */
    uint8_t side;
    uint8_t time_in_force;
    uint8_t order_type;
    uint8_t reason;             /* enum ib_reason */
    uint64_t order_ref;         /* the venue's number of the order, unique in the shard; a new one when it loses priority */
    uint64_t match_ref;         /* Executed: the venue's number of the trade; Replaced: order_ref before; otherwise 0 */
    int64_t price;              /* Executed: trade price; otherwise the order's limit */
    uint64_t quantity;          /* see enum ib_event_type */
    uint64_t remaining;         /* what is still open of the order after this event */
    uint32_t flags;             /* enum ib_event_flag */
    uint32_t session_seq;       /* number of this report in its session's stream, from 1; 0 = no report */
    uint64_t reserved[2];       /* zero */
    uint8_t client_data[24];    /* as the order's command carried it */
};

/* Sums over a journal or a running shard, for reconciliation. */
struct ib_totals {
    uint64_t seq;               /* last command applied */
    uint64_t event_count;
    uint64_t trades;            /* number of matches */
    uint64_t quantity;          /* sum of traded quantity */
    uint64_t notional_high;     /* sum of price x quantity, 128 bits: high and low half */
    uint64_t notional_low;
    uint64_t orders_open;
    uint64_t rejects;
    uint64_t state_hash;        /* of the whole state: equal state, equal hash */
};

const char *ib_status_text(int status);
const char *ib_reason_text(int reason);

/* CFFI-END */

/* The layout of both structs, field by field: it is what lies on disk and on sockets. */
_Static_assert(sizeof(struct ib_command) == 96, "layout");
_Static_assert(offsetof(struct ib_command, seq) == 0, "layout");
_Static_assert(offsetof(struct ib_command, time_ns) == 8, "layout");
_Static_assert(offsetof(struct ib_command, type) == 16, "layout");
_Static_assert(offsetof(struct ib_command, session) == 18, "layout");
_Static_assert(offsetof(struct ib_command, instrument) == 20, "layout");
_Static_assert(offsetof(struct ib_command, user_ref) == 24, "layout");
_Static_assert(offsetof(struct ib_command, user_ref_original) == 28, "layout");
_Static_assert(offsetof(struct ib_command, price) == 32, "layout");
_Static_assert(offsetof(struct ib_command, quantity) == 40, "layout");
_Static_assert(offsetof(struct ib_command, side) == 48, "layout");
_Static_assert(offsetof(struct ib_command, time_in_force) == 49, "layout");
_Static_assert(offsetof(struct ib_command, order_type) == 50, "layout");
_Static_assert(offsetof(struct ib_command, reason) == 51, "layout");
_Static_assert(offsetof(struct ib_command, reserved) == 52, "layout");
_Static_assert(offsetof(struct ib_command, reserved_quantity) == 56, "layout");
_Static_assert(offsetof(struct ib_command, client_data) == 72, "layout");

_Static_assert(sizeof(struct ib_event) == 128, "layout");
_Static_assert(offsetof(struct ib_event, seq) == 0, "layout");
_Static_assert(offsetof(struct ib_event, time_ns) == 8, "layout");
_Static_assert(offsetof(struct ib_event, index) == 16, "layout");
_Static_assert(offsetof(struct ib_event, type) == 20, "layout");
_Static_assert(offsetof(struct ib_event, session) == 22, "layout");
_Static_assert(offsetof(struct ib_event, instrument) == 24, "layout");
_Static_assert(offsetof(struct ib_event, user_ref) == 28, "layout");
_Static_assert(offsetof(struct ib_event, user_ref_original) == 32, "layout");
_Static_assert(offsetof(struct ib_event, side) == 36, "layout");
_Static_assert(offsetof(struct ib_event, time_in_force) == 37, "layout");
_Static_assert(offsetof(struct ib_event, order_type) == 38, "layout");
_Static_assert(offsetof(struct ib_event, reason) == 39, "layout");
_Static_assert(offsetof(struct ib_event, order_ref) == 40, "layout");
_Static_assert(offsetof(struct ib_event, match_ref) == 48, "layout");
_Static_assert(offsetof(struct ib_event, price) == 56, "layout");
_Static_assert(offsetof(struct ib_event, quantity) == 64, "layout");
_Static_assert(offsetof(struct ib_event, remaining) == 72, "layout");
_Static_assert(offsetof(struct ib_event, flags) == 80, "layout");
_Static_assert(offsetof(struct ib_event, session_seq) == 84, "layout");
_Static_assert(offsetof(struct ib_event, reserved) == 88, "layout");
_Static_assert(offsetof(struct ib_event, client_data) == 104, "layout");

#endif
