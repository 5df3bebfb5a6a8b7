/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ouch50.h: the messages of OUCH 5.0 (Nasdaq, "Order Entry Specification", April 2023): inbound messages
 * become commands of the core, events of the core become outbound messages.
 *
 * Bytes only: no socket, no session, no clock, no state. What a message asks for and this venue does not
 * carry becomes a command with a reason, so that the reject is sequenced, journaled and resumable like any
 * other report. docs/protocols/ouch50.md has the tables.
 *
 * What the reports must echo and the core does not interpret travels in `client_data` (24 bytes):
 *   0-13 ClOrdID   14 side: of a sale its mark, which Modify Order changes   15 display   16 capacity
 *   17 intermarket sweep   18 cross type
 *   19 time in force, of an order for a cross that is not 0
 *   20-21 reject code of OUCH when the gateway rejects, otherwise zero   22-23 zero
 */
#ifndef IB_OUCH50_H
#define IB_OUCH50_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ironbook.h"

enum ib_ouch_size {
    IB_OUCH_ENTER_SIZE = 47, /* inbound sizes are without appendage */
    IB_OUCH_REPLACE_SIZE = 40,
    IB_OUCH_CANCEL_SIZE = 9,
    IB_OUCH_MODIFY_SIZE = 10,
    IB_OUCH_ACCOUNT_QUERY_SIZE = 1,
    IB_OUCH_MASS_CANCEL_SIZE = 17,
    IB_OUCH_ORDER_ENTRY_SIZE = 9, /* Disable and Enable Order Entry */
    IB_OUCH_INBOUND_SIZE_MAX = 512, /* all options at once take 110 bytes; above this a message is refused */
    IB_OUCH_SYSTEM_EVENT_SIZE = 10,
    IB_OUCH_ACCEPTED_SIZE = 64,
    IB_OUCH_REPLACED_SIZE = 68,
    IB_OUCH_CANCELED_SIZE = 18,
    IB_OUCH_EXECUTED_SIZE = 36,
    IB_OUCH_MODIFIED_SIZE = 18,
    IB_OUCH_REJECTED_SIZE = 29,
    IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE = 13,
    IB_OUCH_MASS_CANCEL_RESPONSE_SIZE = 27,
    IB_OUCH_ORDER_ENTRY_RESPONSE_SIZE = 19,
    IB_OUCH_OUTBOUND_SIZE_MAX = 68,
};

/* The tables of sections 2 and 3, field by field. */
_Static_assert(IB_OUCH_ENTER_SIZE == 1 + 4 + 1 + 4 + 8 + 8 + 1 + 1 + 1 + 1 + 1 + 14 + 2, "section 2.1");
_Static_assert(IB_OUCH_REPLACE_SIZE == 1 + 4 + 4 + 4 + 8 + 1 + 1 + 1 + 14 + 2, "section 2.2");
_Static_assert(IB_OUCH_CANCEL_SIZE == 1 + 4 + 4, "section 2.3");
_Static_assert(IB_OUCH_MODIFY_SIZE == 1 + 4 + 1 + 4, "Modify Order");
_Static_assert(IB_OUCH_ACCOUNT_QUERY_SIZE == 1, "Account Query");
_Static_assert(IB_OUCH_MASS_CANCEL_SIZE == 1 + 4 + 4 + 8, "Mass Cancel, without the length of its appendage");
_Static_assert(IB_OUCH_ORDER_ENTRY_SIZE == 1 + 4 + 4, "Disable and Enable Order Entry, likewise");
_Static_assert(IB_OUCH_ORDER_ENTRY_RESPONSE_SIZE == 1 + 8 + 4 + 4 + 2, "Disable and Enable Order Entry Response");
_Static_assert(IB_OUCH_MASS_CANCEL_RESPONSE_SIZE == 1 + 8 + 4 + 4 + 8 + 2, "Mass Cancel Response");
_Static_assert(IB_OUCH_SYSTEM_EVENT_SIZE == 1 + 8 + 1, "System Event");
_Static_assert(IB_OUCH_ACCEPTED_SIZE == 1 + 8 + 4 + 1 + 4 + 8 + 8 + 1 + 1 + 8 + 1 + 1 + 1 + 1 + 14 + 2, "section 3.2");
_Static_assert(IB_OUCH_REPLACED_SIZE == IB_OUCH_ACCEPTED_SIZE + 4, "section 3.3: OrigUserRefNum, then as Accepted");
_Static_assert(IB_OUCH_CANCELED_SIZE == 1 + 8 + 4 + 4 + 1, "section 3.4");
_Static_assert(IB_OUCH_EXECUTED_SIZE == 1 + 8 + 4 + 4 + 8 + 1 + 8 + 2, "section 3.6");
_Static_assert(IB_OUCH_MODIFIED_SIZE == 1 + 8 + 4 + 1 + 4, "Order Modified");
_Static_assert(IB_OUCH_REJECTED_SIZE == 1 + 8 + 4 + 2 + 14, "section 3.8");
_Static_assert(IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE == 1 + 8 + 4, "Account Query Response");
_Static_assert(IB_OUCH_OUTBOUND_SIZE_MAX == IB_OUCH_REPLACED_SIZE, "the longest report");
_Static_assert(IB_OUCH_INBOUND_SIZE_MAX >= IB_OUCH_ENTER_SIZE + 110, "the longest order, with all its options");

/* Section 1.2. Prices have four decimals, as the core's. */
#define IB_OUCH_PRICE_MAX 1999999900     /* $199,999.99: the highest limit */
#define IB_OUCH_PRICE_MARKET 2147483647  /* 7FFFFFFF: a market order */
#define IB_OUCH_PRICE_MARKET_OLD 2000000000 /* $200,000.00: treated as a market order too */
#define IB_OUCH_QUANTITY_MAX 999999      /* sections 2.1 and 2.2: less than 1,000,000 */

_Static_assert(IB_OUCH_PRICE_MAX < IB_OUCH_PRICE_MARKET_OLD, "no limit is taken for a market order");
_Static_assert(IB_OUCH_PRICE_MARKET_OLD < IB_OUCH_PRICE_MARKET, "the two marks differ");
_Static_assert(IB_OUCH_QUANTITY_MAX <= IB_QUANTITY_MAX, "the core takes what the protocol can ask for");

enum ib_ouch_kind {
    IB_OUCH_COMMAND,       /* `command` is filled but for session, instrument, seq and time */
    IB_OUCH_MASS_CANCEL,   /* `command` is a MASS_CANCEL, its user_ref for the response; of one symbol unless blank */
    IB_OUCH_ORDER_ENTRY,   /* `command` is an ORDER_ENTRY, its user_ref for the response */
    IB_OUCH_ACCOUNT_QUERY, /* wants the next UserRefNum */
    IB_OUCH_MODIFY,        /* `command` is a MODIFY; its side is 0 where the message names none */
    IB_OUCH_UNKNOWN,       /* no message that this venue serves: the connection ends */
    IB_OUCH_MALFORMED,     /* size or appendage do not add up: the connection ends */
};

struct ib_ouch_message {
    struct ib_command command;
    char symbol[IB_SYMBOL_SIZE]; /* of Enter Order and Mass Cancel, padded with spaces */
    uint16_t rules_2_code;       /* not 0: it asks for what rules 1 do not carry; the code of that reject */
    uint32_t expire_seconds;     /* GTT: to live, from when it is sequenced; the command lacks it still */
};

/* Reads one message. `firm` is the session's own: the only one that it may name. */
enum ib_ouch_kind ib_ouch_decode(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                 struct ib_ouch_message *message);

/* Whether `letter` is the mark of a sale: a plain one, a short one, or one that is exempt from the rules on those. */
bool ib_ouch_marks_sale(uint8_t letter);

/* Marks an order as rejected because its session has disabled its order entry. */
void ib_ouch_reject_disabled(struct ib_command *command);
/* Marks a command as rejected by the gateway, with the code that the Rejected message will carry. */
void ib_ouch_reject(struct ib_command *command, enum ib_reason reason, uint16_t code);

/* Writes the message of a report (an event with a session_seq): its size, at most IB_OUCH_OUTBOUND_SIZE_MAX. */
size_t ib_ouch_encode(uint8_t *out, const struct ib_event *event, const char symbol[IB_SYMBOL_SIZE]);

/* Answers Mass Cancel; `firm` and `symbol` as they were asked for. */
size_t ib_ouch_encode_mass_cancel_response(uint8_t *out, uint64_t time_ns, uint32_t user_ref,
                                           const char firm[IB_FIRM_SIZE], const char symbol[IB_SYMBOL_SIZE]);

/* Answers Disable or Enable Order Entry. */
size_t ib_ouch_encode_order_entry_response(uint8_t *out, uint64_t time_ns, uint32_t user_ref, bool disabled,
                                           const char firm[IB_FIRM_SIZE]);

/* `next_user_ref` 0: the session has used its last number, 2^32 - 1. */
size_t ib_ouch_encode_account_query_response(uint8_t *out, uint64_t time_ns, uint32_t next_user_ref);

#endif
