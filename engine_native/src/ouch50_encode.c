/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ouch50_encode.c: the way out: events of the core become outbound messages. See ouch50.h. Section numbers are those of
 * the OUCH 5.0 specification.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "check.h"
#include "ouch50_internal.h"

enum { ORDER_SIZE = 4 + 1 + 4 + 8 + 8 + 1 + 1 + 8 + 1 + 1 + 1 + 1 + 14 + 2 }; /* see encode_order */

_Static_assert(IB_QUANTITY_MAX > UINT32_MAX, "or size32 would have nothing to do");
_Static_assert(IB_OUCH_ACCEPTED_SIZE == 1 + 8 + ORDER_SIZE, "section 3.2: type, timestamp, the order");
_Static_assert(IB_OUCH_REPLACED_SIZE == 1 + 8 + 4 + ORDER_SIZE, "section 3.3: the same behind OrigUserRefNum");

/* Nanoseconds since midnight, UTC. */
static uint64_t timestamp(uint64_t time_ns)
{
    return time_ns % 86400000000000u;
}

/* What the client said when it entered the order. A Replace does not repeat it, so its bytes are zero there unless the
 * core has carried them over from the replaced order: then `otherwise` is told. */
static uint8_t as_entered(const struct ib_event *event, int field, char otherwise)
{
    IB_ASSERT(field >= CLIENT_SIDE && field <= CLIENT_TIME_IN_FORCE);
    uint8_t letter = event->client_data[field];
    return letter != 0 ? letter : (uint8_t)otherwise;
}

static uint8_t side_letter(const struct ib_event *event)
{
    IB_ASSERT(event->side == IB_SIDE_BUY || event->side == IB_SIDE_SELL);
    return as_entered(event, CLIENT_SIDE, event->side == IB_SIDE_BUY ? 'B' : 'S');
}

/* A size of an order that came another way (docs/protocols/commands.md) may have more than the 32 bits of this one. */
static uint32_t size32(uint64_t quantity)
{
    IB_ASSERT(quantity <= IB_QUANTITY_MAX);
    return quantity > UINT32_MAX ? UINT32_MAX : (uint32_t)quantity;
}

/* Sections 3.2 and 3.3: from UserRefNum on, Accepted and Replaced are the same fields. */
static void encode_order(uint8_t *out, const struct ib_event *event, uint64_t quantity,
                         const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(event->price >= 0);
    IB_ASSERT(event->order_ref > 0);
    ib_store_u32(out, event->user_ref);
    out[4] = side_letter(event);
    ib_store_u32(out + 5, size32(quantity));
    memcpy(out + 9, symbol, IB_SYMBOL_SIZE);
    bool any_price = event->order_type == IB_ORDER_MARKET || event->price == 0; /* a stop has none, either */
    ib_store_u64(out + 17, any_price ? IB_OUCH_PRICE_MARKET : (uint64_t)event->price);
    out[25] = as_entered(event, CLIENT_TIME_IN_FORCE,
                         event->time_in_force == IB_TIME_IN_FORCE_IOC   ? '3'
                         : event->time_in_force == IB_TIME_IN_FORCE_GTD ? '6'
                                                                        : '0');
    out[26] = as_entered(event, CLIENT_DISPLAY, (event->flags & IB_FLAG_HIDDEN) != 0 ? 'N' : 'Y');
    ib_store_u64(out + 27, event->order_ref);
    out[35] = as_entered(event, CLIENT_CAPACITY, 'O');
    out[36] = as_entered(event, CLIENT_SWEEP, 'N');
    out[37] = as_entered(event, CLIENT_CROSS, 'N');
    out[38] = 'L'; /* live: what an IOC order does not trade is told by a Canceled message of its own */
    memcpy(out + 39, event->client_data, CL_ORD_ID_SIZE);
    ib_store_u16(out + 53, 0);
}

/* Appendix C. An order of this protocol meets most of these only where somebody else acted: an administrator, the
 * clock, or another session of its account. */
static uint8_t cancel_reason(uint8_t reason)
{
    IB_ASSERT((reason != IB_REASON_NONE && reason < IB_REASON_HALTED) || reason == IB_REASON_RISK_KILLED);
    switch (reason) {
    case IB_REASON_IMMEDIATE_OR_CANCEL:
    case IB_REASON_FILL_OR_KILL:
    case IB_REASON_MINIMUM_QUANTITY:
        return 'I';
    case IB_REASON_SELF_TRADE:
        return 'Q';
    case IB_REASON_PRICE_BAND:
        return 'K';
    case IB_REASON_DAY_ENDED:
        return 'E';
    case IB_REASON_EXPIRED:
        return 'T';
    case IB_REASON_RISK_KILLED:
        return 'S';
    case IB_REASON_AUCTION_ENDED:
    case IB_REASON_INSTRUMENT_REMOVED:
        return 'Z';
    default:
        IB_ASSERT(reason == IB_REASON_USER || reason == IB_REASON_MASS_CANCEL);
        return 'U';
    }
}

/* Section 3.4. */
static size_t encode_canceled(uint8_t *out, const struct ib_event *event)
{
    IB_ASSERT(event->quantity >= 1);
    out[0] = 'C';
    ib_store_u32(out + 9, event->user_ref);
    ib_store_u32(out + 13, size32(event->quantity));
    out[17] = cancel_reason(event->reason);
    return IB_OUCH_CANCELED_SIZE;
}

/* Section 3.6 and appendix E: in a cross both orders stood. What kind of cross it was, the order's own type tells. */
static uint8_t liquidity(const struct ib_event *event)
{
    bool stood = (event->flags & IB_FLAG_RESTING) != 0;
    IB_ASSERT(stood != ((event->flags & IB_FLAG_INCOMING) != 0)); /* one of the two */
    if ((event->flags & IB_FLAG_AUCTION) != 0) {
        return event->time_in_force == IB_TIME_IN_FORCE_AT_OPEN    ? 'O'
               : event->time_in_force == IB_TIME_IN_FORCE_AT_CLOSE ? 'C'
                                                                   : 'A';
    }
    return !stood ? 'R' : (event->flags & IB_FLAG_HIDDEN) != 0 ? 'J' : 'A';
}

static size_t encode_executed(uint8_t *out, const struct ib_event *event)
{
    IB_ASSERT(event->price >= 0);
    IB_ASSERT(event->match_ref != 0);
    out[0] = 'E';
    ib_store_u32(out + 9, event->user_ref);
    ib_store_u32(out + 13, size32(event->quantity));
    ib_store_u64(out + 17, (uint64_t)event->price);
    out[25] = liquidity(event);
    ib_store_u64(out + 26, event->match_ref);
    ib_store_u16(out + 34, 0);
    return IB_OUCH_EXECUTED_SIZE;
}

/* What stands now of its side and of its size. */
static size_t encode_modified(uint8_t *out, const struct ib_event *event)
{
    IB_ASSERT(event->remaining >= 1);
    IB_ASSERT(event->side == IB_SIDE_BUY || event->side == IB_SIDE_SELL);
    out[0] = 'M';
    ib_store_u32(out + 9, event->user_ref);
    out[13] = side_letter(event);
    ib_store_u32(out + 14, size32(event->remaining));
    return IB_OUCH_MODIFIED_SIZE;
}

static uint16_t reject_code(const struct ib_event *event)
{
    IB_ASSERT(event->type == IB_EVENT_REJECTED);
    uint16_t code = ib_load_u16(event->client_data + CLIENT_CODE);
    if (code != 0) {
        return code;
    }
    switch (event->reason) {
    case IB_REASON_HALTED:
    case IB_REASON_PHASE:
        return CODE_HALTED;
    case IB_REASON_INSTRUMENT_UNKNOWN:
        return CODE_INVALID_SYMBOL;
    case IB_REASON_PRICE_INVALID:
        return CODE_INVALID_PRICE;
    case IB_REASON_QUANTITY_INVALID:
        return CODE_INVALID_QUANTITY;
    case IB_REASON_SIDE_INVALID:
        return CODE_INVALID_SIDE;
    case IB_REASON_ORDER_UNKNOWN:
        return CODE_REPLACE_NOT_ALLOWED;
    case IB_REASON_RISK_QUANTITY:
        return CODE_EXCEEDS_SIZE;
    case IB_REASON_RISK_NOTIONAL:
        return CODE_EXCEEDS_NOTIONAL;
    case IB_REASON_BOOK_FULL:
    case IB_REASON_EVENT_LOG_FULL:
    case IB_REASON_JOURNAL_FULL:
        return CODE_PROCESSING_ERROR;
    default:
        return CODE_OTHER;
    }
}

/* Section 3.8 and appendix D. */
static size_t encode_rejected(uint8_t *out, const struct ib_event *event)
{
    IB_ASSERT(event->reason >= IB_REASON_HALTED);
    out[0] = 'J';
    ib_store_u32(out + 9, event->user_ref);
    ib_store_u16(out + 13, reject_code(event));
    memcpy(out + 15, event->client_data, CL_ORD_ID_SIZE);
    return IB_OUCH_REJECTED_SIZE;
}

size_t ib_ouch_encode(uint8_t *out, const struct ib_event *event, const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(out != NULL && event != NULL && symbol != NULL);
    IB_ASSERT(event->session_seq != 0);
    ib_store_u64(out + 1, timestamp(event->time_ns)); /* the same place in every outbound message */
    switch (event->type) {
    case IB_EVENT_ACCEPTED:
        out[0] = 'A';
        encode_order(out + 9, event, event->quantity, symbol);
        return IB_OUCH_ACCEPTED_SIZE;
    case IB_EVENT_EXECUTED:
        return encode_executed(out, event);
    case IB_EVENT_CANCELED:
        return encode_canceled(out, event);
    case IB_EVENT_MODIFIED:
        return encode_modified(out, event);
    case IB_EVENT_REPLACED:
        out[0] = 'U';
        ib_store_u32(out + 9, event->user_ref_original);
        encode_order(out + 13, event, event->remaining, symbol);
        return IB_OUCH_REPLACED_SIZE;
    case IB_EVENT_REJECTED:
        return encode_rejected(out, event);
    default:
        IB_ASSERT(event->type == IB_EVENT_END_OF_DAY);
        out[0] = 'S';
        out[9] = 'E';
        return IB_OUCH_SYSTEM_EVENT_SIZE;
    }
}

size_t ib_ouch_encode_mass_cancel_response(uint8_t *out, uint64_t time_ns, uint32_t user_ref,
                                           const char firm[IB_FIRM_SIZE], const char symbol[IB_SYMBOL_SIZE])
{
    IB_ASSERT(out != NULL);
    IB_ASSERT(firm != NULL && symbol != NULL);
    out[0] = 'X';
    ib_store_u64(out + 1, timestamp(time_ns));
    ib_store_u32(out + 9, user_ref);
    memcpy(out + 13, firm, IB_FIRM_SIZE);
    memcpy(out + 17, symbol, IB_SYMBOL_SIZE);
    ib_store_u16(out + 25, 0);
    return IB_OUCH_MASS_CANCEL_RESPONSE_SIZE;
}

size_t ib_ouch_encode_order_entry_response(uint8_t *out, uint64_t time_ns, uint32_t user_ref, bool disabled,
                                           const char firm[IB_FIRM_SIZE])
{
    IB_ASSERT(out != NULL);
    IB_ASSERT(firm != NULL);
    out[0] = disabled ? 'G' : 'K';
    ib_store_u64(out + 1, timestamp(time_ns));
    ib_store_u32(out + 9, user_ref);
    memcpy(out + 13, firm, IB_FIRM_SIZE);
    ib_store_u16(out + 17, 0);
    return IB_OUCH_ORDER_ENTRY_RESPONSE_SIZE;
}

size_t ib_ouch_encode_account_query_response(uint8_t *out, uint64_t time_ns, uint32_t next_user_ref)
{
    IB_ASSERT(out != NULL);
    out[0] = 'Q';
    ib_store_u64(out + 1, timestamp(time_ns));
    ib_store_u32(out + 9, next_user_ref);
    return IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE;
}
