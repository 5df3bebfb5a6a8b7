/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ironbook.h: the contract of the matching core.
 *
 * One shard is one deterministic state machine: sequenced commands go in, events come out, and the
 * same commands give the same events on every machine. Whoever speaks to the core, the gateway, the
 * journal, a test or Python, speaks in the two structs below and in nothing else.
 *
 * Units: price in units of 10^-4 of the currency and quantity in units of 1, unless the instrument's scales say
 * otherwise; time in nanoseconds since the Unix epoch (UTC). All integers are native little-endian; both structs are on
 * disk and in sockets as they lie in memory, so their layout is asserted (src/layout.h) and never changes in a format.
 *
 * The part between CFFI-BEGIN and CFFI-END is plain C that compiler and cffi read: no declaration exists twice.
 */
#ifndef IRONBOOK_H
#define IRONBOOK_H

#include <stddef.h>
#include <stdint.h>
/* CFFI-BEGIN */

/* What every call that can fail returns; ib_status_text() names it. */
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
    IB_RESTART = 9,               /* no error: a member has to discard its state. Close the engine, and open it again */
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
    IB_ORDERS_MAX = 16777214, /* live orders of a shard; with IB_QUANTITY_MAX no sum can leave 64 bits */
    IB_ACCOUNTS_MAX = 1024,
    IB_ACCOUNT_ANY = 0xffff, /* MASS_CANCEL: whoever's */
    IB_SLICES_MAX = 64,      /* an iceberg shows itself at most this often */
    IB_BASIS_POINTS = 10000, /* bands and collars are given in these parts of one */
    IB_ERROR_TEXT_SIZE = 512, /* every error text, its closing zero included */
};
#define IB_QUANTITY_MAX 1099511627775  /* 2^40 - 1: what one order may ask for */
#define IB_SEQ_MAX 281474976710655     /* 2^48 - 1: nine years at a million commands a second */
#define IB_INSTRUMENT_ALL 4294967295   /* MASS_CANCEL, RISK_LIMIT: every instrument */
#define IB_UNLIMITED 18446744073709551615ull /* RISK_LIMIT: no limit */
#define IB_POSITION_MAX 4611686018427387904  /* 2^62: no position goes further, whatever the limits */
enum ib_side { IB_SIDE_BUY = 1, IB_SIDE_SELL = 2 };
/* Numbers of FIX tag 59. */
enum ib_time_in_force {
    IB_TIME_IN_FORCE_DAY = 0, /* what is left rests until the instrument closes */
    IB_TIME_IN_FORCE_GTC = 1, /* … until it is cancelled */
    IB_TIME_IN_FORCE_AT_OPEN = 2,  /* trades in the opening auction or not at all */
    IB_TIME_IN_FORCE_IOC = 3, /* what is left is cancelled at once */
    IB_TIME_IN_FORCE_FOK = 4, /* all of it at once, or nothing */
    IB_TIME_IN_FORCE_GTD = 6, /* … until expire_time_ns */
    IB_TIME_IN_FORCE_AT_CLOSE = 7, /* waits for the closing auction, trades in it or not at all */
};

enum ib_order_type { IB_ORDER_LIMIT = 1, IB_ORDER_MARKET = 2, IB_ORDER_STOP = 3, IB_ORDER_STOP_LIMIT = 4 };
enum ib_order_flag {
    IB_ORDER_HIDDEN = 1,    /* nothing of it is shown; behind the visible orders at its price */
    IB_ORDER_POST_ONLY = 2, /* is rejected rather than take liquidity */
};

/* What happens when an order meets one of its own account: the incoming order decides. */
enum ib_self_trade {
    IB_SELF_TRADE_ALLOWED = 0,
    IB_SELF_TRADE_CANCEL_NEWEST = 1,
    IB_SELF_TRADE_CANCEL_OLDEST = 2,
    IB_SELF_TRADE_CANCEL_BOTH = 3,
    IB_SELF_TRADE_DECREMENT = 4,
};
/* Of an instrument. Orders match in CONTINUOUS alone; entering CONTINUOUS or CLOSED uncrosses the book. */
enum ib_phase {
    IB_PHASE_CONTINUOUS = 0,
    IB_PHASE_CLOSED = 1,
    IB_PHASE_PRE_OPEN = 2,
    IB_PHASE_OPENING_AUCTION = 3,
    IB_PHASE_VOLATILITY_AUCTION = 4,
    IB_PHASE_HALTED = 5,
    IB_PHASE_CLOSING_AUCTION = 6,
};
/* What a price band does that is broken. */
enum ib_breach { IB_BREACH_VOLATILITY_AUCTION = 0, IB_BREACH_HALT = 1 };

enum ib_risk_limit {
    IB_RISK_MESSAGE_RATE = 1,   /* ENTER and REPLACE in a second; of a whole account */
    IB_RISK_ORDER_QUANTITY = 2,
    IB_RISK_COLLAR = 3,         /* basis points from the last price */
    IB_RISK_ORDER_NOTIONAL = 4, /* price x quantity */
    IB_RISK_POSITION_LONG = 5,  /* position and open buy orders */
    IB_RISK_POSITION_SHORT = 6,
    IB_RISK_OPEN_ORDERS = 7,
    IB_RISK_KILL = 8,           /* in events: the kill switch */
};

enum ib_command_type {
    IB_COMMAND_INSTRUMENT_ADD = 1, /* instrument = the next free index; client_data = symbol; price = tick size */
    IB_COMMAND_SESSION_ADD = 2,    /* session = the next free index; client_data = username, firm */
    IB_COMMAND_ENTER = 3,
    IB_COMMAND_REPLACE = 4, /* user_ref_original is replaced by user_ref; quantity = new total, filled part included */
    IB_COMMAND_CANCEL = 5,  /* quantity = new total size of the order; 0 cancels all that is left */
    IB_COMMAND_HALT = 6,    /* from here on Enter and Replace are rejected; Cancel is accepted */
    IB_COMMAND_RESUME = 7,
    IB_COMMAND_END_OF_DAY = 8, /* every session's stream ends; nothing is accepted after it */
    /* from rules 2 on */
    IB_COMMAND_RULES = 9,        /* value = the version of the rules from here on */
    IB_COMMAND_ACCOUNT_ADD = 10, /* account = the next free index from 1; client_data = its name */
    IB_COMMAND_INSTRUMENT_CHANGE = 11, /* struct ib_instrument_command */
    IB_COMMAND_INSTRUMENT_REMOVE = 12,
    IB_COMMAND_PHASE = 13,       /* instrument, phase */
    IB_COMMAND_INDICATE = 14,    /* instrument: what would its auction give now? */
    IB_COMMAND_MASS_CANCEL = 15, /* session, account, instrument, side: of whom, each may be any */
    IB_COMMAND_EXPIRE = 16,      /* GTD orders whose time has come */
    IB_COMMAND_RISK_LIMIT = 17,  /* account, instrument, limit, value */
    IB_COMMAND_KILL = 18,        /* account, value: 1 kills, 0 revives */
    IB_COMMAND_ORDER_ENTRY = 19, /* session, value: 1 disables, 0 enables; the gateway's, matching ignores it */
    IB_COMMAND_MODIFY = 20, /* rules 3: as CANCEL, of an order of `side`; and its client_data, but for zero bytes */
    IB_COMMAND_EPOCH = 21, /* value = the epoch that begins: the first entry of each primary; matching ignores it */
};
/* Versions of the matching rules (docs/matching.md). A journal begins with 1. */
enum ib_rules { IB_RULES_1 = 1, IB_RULES_2 = 2, IB_RULES_3 = 3, IB_RULES_NEWEST = IB_RULES_3 };

enum ib_event_type {
    IB_EVENT_ACCEPTED = 1, /* report: quantity = accepted size, price = limit */
    IB_EVENT_RESTED = 2,   /* no report: the order now stands in the book with `remaining` */
    IB_EVENT_EXECUTED = 3, /* report: one each for the resting and the incoming order, same match_ref */
    IB_EVENT_CANCELED = 4, /* report: quantity = how much was taken off, remaining = what still stands */
    IB_EVENT_REPLACED = 5, /* report: the order lives on under user_ref; quantity = remaining = what is open now */
    IB_EVENT_REJECTED = 6, /* report: reason tells why; no state changed */
    IB_EVENT_TRADING_STATE = 7, /* no report: reason = IB_REASON_HALTED or IB_REASON_NONE */
    IB_EVENT_END_OF_DAY = 8,    /* report to each session: its stream ends here */
    /* from rules 2 on; no reports */
    IB_EVENT_PHASE = 9,       /* phase; reason = IB_REASON_NONE or IB_REASON_PRICE_BAND */
    IB_EVENT_INDICATIVE = 10, /* auction: price, quantity = volume, remaining = surplus, side = whose, 0 none */
    IB_EVENT_REFRESHED = 11,  /* an iceberg shows its next slice: order_ref, match_ref = order_ref before */
    IB_EVENT_RELEASED = 12,   /* a parked order (stop, at the close) goes to the book: order_ref, match_ref = before */
    IB_EVENT_INSTRUMENT = 13, /* added, changed, or removed (reason) */
    IB_EVENT_RISK = 14,       /* account, instrument, limit, quantity = the new value */
    IB_EVENT_MODIFIED = 15,   /* rules 3, report: quantity = how much was taken off, or 0; client_data as it is now */
};

enum ib_reason {
    IB_REASON_NONE = 0,
    /* of IB_EVENT_CANCELED */
    IB_REASON_USER = 1,              /* the client asked */
    IB_REASON_IMMEDIATE_OR_CANCEL = 2, /* an IOC or market order found no more to trade with */
    IB_REASON_FILL_OR_KILL = 3,
    IB_REASON_MINIMUM_QUANTITY = 4,
    IB_REASON_SELF_TRADE = 5,
    IB_REASON_PRICE_BAND = 6,
    IB_REASON_AUCTION_ENDED = 7,     /* market, at-open and at-close orders that the auction left over */
    IB_REASON_DAY_ENDED = 8,         /* the instrument closed */
    IB_REASON_EXPIRED = 9,           /* good till date */
    IB_REASON_MASS_CANCEL = 10,
    IB_REASON_INSTRUMENT_REMOVED = 11,
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
    IB_REASON_FLAGS_INVALID = 27,   /* attributes of the order that contradict each other */
    IB_REASON_PHASE = 28,           /* the instrument's phase forbids such an order */
    IB_REASON_POST_ONLY = 29,       /* it would have traded */
    IB_REASON_JOURNAL_FULL = 30,    /* the journal's disk has no room but what is kept for cancels */
    /* of the risk gate; RISK_KILLED of IB_EVENT_CANCELED too */
    IB_REASON_RISK_KILLED = 32,
    IB_REASON_RISK_RATE = 33,
    IB_REASON_RISK_QUANTITY = 34,
    IB_REASON_RISK_COLLAR = 35,
    IB_REASON_RISK_NOTIONAL = 36,
    IB_REASON_RISK_POSITION = 37,
    IB_REASON_RISK_OPEN_ORDERS = 38,
    IB_REASON_RISK_TABLE_FULL = 39,
};

enum ib_event_flag {
    IB_FLAG_RESTING = 1,  /* the order stood in the book: this event changes the visible book */
    IB_FLAG_INCOMING = 2, /* the order is the aggressor of this command */
    IB_FLAG_PRIORITY_KEPT = 4, /* Replaced: it shrank where it stood; otherwise it left, and Rested may follow */
    IB_FLAG_AUCTION = 8,  /* Executed: in an auction; both orders stood in the book */
    IB_FLAG_HIDDEN = 16,  /* the book does not show this order */
};

/* One sequenced input: the payload of one journal record. 128 bytes; format 1 had the first 96 of them. */
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
    uint8_t self_trade;         /* enum ib_self_trade */
    uint8_t flags;              /* enum ib_order_flag */
    uint16_t account;           /* of commands that name one; an order's is its session's */
    uint64_t displayed;         /* iceberg: what the book shows of it at a time; 0 = all */
    uint64_t minimum;           /* what must trade at once on arrival; 0 = nothing */
    uint8_t client_data[24];    /* opaque to matching, repeated in reports; a Replace's zero bytes keep the order's */
    int64_t stop_price;         /* STOP, STOP_LIMIT: units of 10^-4 */
    uint64_t expire_time_ns;    /* GTD */
    uint64_t value;             /* RULES, RISK_LIMIT, KILL */
    uint8_t phase;              /* PHASE: enum ib_phase */
    uint8_t limit;              /* RISK_LIMIT: enum ib_risk_limit */
    uint8_t reserved[6];        /* zero */
};

/* INSTRUMENT_ADD, _CHANGE and _REMOVE as they lie in the journal: the same 128 bytes, read otherwise. */
struct ib_instrument_command {
    uint64_t seq;
    uint64_t time_ns;
    uint16_t type;
    uint16_t session;           /* not used */
    uint32_t instrument;
    uint64_t reserved_1;        /* zero */
    int64_t tick;               /* prices are multiples of it; at least 1 */
    uint64_t lot;               /* quantities are multiples of it; 0 = 1 */
    uint8_t price_scale;        /* decimal places of a price unit, for people; 0 = 4. Matching never looks */
    uint8_t quantity_scale;     /* decimal places of a quantity unit, for people */
    uint8_t phase;              /* of a new instrument: enum ib_phase */
    uint8_t breach;             /* enum ib_breach */
    uint32_t schedule;          /* number of its phase schedule, for whoever sequences PHASE */
    uint64_t static_band;       /* basis points around the reference price; 0 = none */
    uint64_t dynamic_band;      /* basis points around the last trade price; 0 = none */
    char symbol[8];
    uint8_t reserved_2[16];     /* zero */
    int64_t reference_price;    /* 0 = none */
    uint64_t reserved_3[3];     /* zero */
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
    uint64_t order_ref;         /* the venue's number of it, unique in the shard; a new one when it loses priority */
    uint64_t match_ref;         /* Executed: the venue's number of the trade; Replaced: order_ref before; otherwise 0 */
    int64_t price;              /* Executed: trade price; otherwise the order's limit */
    uint64_t quantity;          /* see enum ib_event_type */
    uint64_t remaining;         /* what is still open of the order after this event */
    uint32_t flags;             /* enum ib_event_flag */
    uint32_t session_seq;       /* number of this report in its session's stream, from 1; 0 = no report */
    uint64_t displayed;         /* iceberg: what the book shows of it after this event; 0 = all of `remaining` */
    uint8_t phase;              /* Phase: enum ib_phase */
    uint8_t limit;              /* Risk: enum ib_risk_limit */
    uint16_t account;           /* Risk */
    uint32_t reserved;          /* zero */
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

#endif
