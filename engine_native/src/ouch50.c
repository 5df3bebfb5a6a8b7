/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ouch50.c: see ouch50.h. Section numbers are those of the OUCH 5.0 specification.
 */
#define _GNU_SOURCE
#include "ouch50.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "check.h"

enum { CLIENT_SIDE = 14, CLIENT_DISPLAY, CLIENT_CAPACITY, CLIENT_SWEEP, CLIENT_CROSS, CLIENT_CODE = 20 };
enum { CL_ORD_ID_SIZE = 14 };
enum { ORDER_SIZE = 4 + 1 + 4 + 8 + 8 + 1 + 1 + 8 + 1 + 1 + 1 + 1 + 14 + 2 }; /* see encode_order */

_Static_assert((int)CLIENT_SIDE == (int)CL_ORD_ID_SIZE, "the letters follow ClOrdID");
_Static_assert(CLIENT_CROSS < CLIENT_CODE, "the reject code follows the letters");
_Static_assert(CLIENT_CODE + sizeof(uint16_t) <= IB_CLIENT_DATA_SIZE, "all of it has room");
_Static_assert(IB_OUCH_ACCEPTED_SIZE == 1 + 8 + ORDER_SIZE, "section 3.2: type, timestamp, the order");
_Static_assert(IB_OUCH_REPLACED_SIZE == 1 + 8 + 4 + ORDER_SIZE, "section 3.3: the same behind OrigUserRefNum");

/* Appendix D. */
enum reject_code {
    CODE_INVALID_DISPLAY = 0x0003,
    CODE_INVALID_MAX_FLOOR = 0x0004,
    CODE_INVALID_PEG_TYPE = 0x0005,
    CODE_HALTED = 0x0007,
    CODE_INVALID_SIDE = 0x0009,
    CODE_PROCESSING_ERROR = 0x000A,
    CODE_FIRM_NOT_AUTHORIZED = 0x000C,
    CODE_INVALID_MIN_QUANTITY = 0x000D,
    CODE_OTHER = 0x000F,
    CODE_PEGGING_NOT_ALLOWED = 0x0011,
    CODE_INVALID_QUANTITY = 0x0013,
    CODE_INVALID_CROSS_ORDER = 0x0014,
    CODE_REPLACE_NOT_ALLOWED = 0x0015,
    CODE_ROUTING_NOT_ALLOWED = 0x0016,
    CODE_INVALID_SYMBOL = 0x0017,
    CODE_RETAIL_NOT_ALLOWED = 0x001A,
    CODE_INVALID_PRICE = 0x001D,
};

/* Appendix B: an option is accepted only with the value that asks for nothing. */
struct option_rule {
    uint8_t tag;
    uint8_t size;     /* of the value */
    char harmless[3]; /* one-byte options: the values that ask for nothing; "" = all bytes zero */
    uint16_t code;    /* otherwise the order is rejected with this */
};

enum { OPTION_FIRM = 2, OPTION_ROUTE = 14 };

static const struct option_rule option_rules[] = {
    {OPTION_FIRM, 4, "", CODE_FIRM_NOT_AUTHORIZED}, /* blank or the session's own: see option_is_harmless */
    {3, 4, "", CODE_INVALID_MIN_QUANTITY},          /* MinQty */
    {4, 1, " N", CODE_RETAIL_NOT_ALLOWED},          /* CustomerType */
    {5, 4, "", CODE_INVALID_MAX_FLOOR},             /* MaxFloor */
    {6, 1, "L", CODE_INVALID_PEG_TYPE},             /* PriceType */
    {7, 4, "", CODE_PEGGING_NOT_ALLOWED},           /* PegOffset */
    {9, 8, "", CODE_OTHER},                         /* DiscretionPrice */
    {10, 1, "L", CODE_OTHER},                       /* DiscretionPriceType */
    {11, 4, "", CODE_OTHER},                        /* DiscretionPegOffset */
    {12, 1, "N", CODE_OTHER},                       /* PostOnly */
    {13, 4, "", CODE_OTHER},                        /* RandomReserves */
    {OPTION_ROUTE, 4, "", CODE_ROUTING_NOT_ALLOWED}, /* blank only */
    {15, 4, "", CODE_OTHER},                        /* ExpireTime */
    {16, 1, " N", CODE_OTHER},                      /* TradeNow */
    {17, 1, " ", CODE_OTHER},                       /* HandleInst */
    {24, 2, "", CODE_OTHER},                        /* GroupID */
    {25, 1, "N", CODE_OTHER},                       /* SharesLocated */
    {28, 1, "", CODE_OTHER},                        /* UserRefIdx of the later revision: one flow a session */
};

void ib_ouch_reject(struct ib_command *command, enum ib_reason reason, uint16_t code)
{
    IB_ASSERT(command != NULL);
    IB_ASSERT(reason >= IB_REASON_HALTED);
    if (command->reason == IB_REASON_NONE) { /* the first reason found is the one that is told */
        command->reason = (uint8_t)reason;
        ib_store_u16(command->client_data + CLIENT_CODE, code);
    }
}

static bool all_bytes_are(const uint8_t *bytes, size_t size, uint8_t value)
{
    IB_ASSERT(bytes != NULL && size > 0);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

static bool option_is_harmless(const struct option_rule *rule, const uint8_t *value, const char firm[IB_FIRM_SIZE])
{
    IB_ASSERT(rule != NULL && value != NULL);
    IB_ASSERT(rule->harmless[0] == '\0' || rule->size == 1); /* letters are for options of one byte */
    IB_ASSERT((rule->tag != OPTION_FIRM && rule->tag != OPTION_ROUTE) || rule->size == IB_FIRM_SIZE);
    if (rule->tag == OPTION_FIRM) {
        return all_bytes_are(value, rule->size, ' ') || memcmp(value, firm, IB_FIRM_SIZE) == 0;
    }
    if (rule->tag == OPTION_ROUTE) {
        return all_bytes_are(value, rule->size, ' ');
    }
    if (rule->harmless[0] != '\0') {
        return memchr(rule->harmless, value[0], strlen(rule->harmless)) != NULL;
    }
    return all_bytes_are(value, rule->size, 0);
}

/* Section 1.2: TagValue elements {length of what follows, tag, value}. False when they do not add up. */
static bool decode_appendage(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                             struct ib_command *command)
{
    IB_ASSERT(bytes != NULL && command != NULL);
    while (size > 0) {
        size_t length = bytes[0];
        if (length < 1 || length + 1 > size) {
            return false;
        }
        const struct option_rule *rule = NULL;
        for (size_t i = 0; i < sizeof option_rules / sizeof option_rules[0]; i++) {
            if (option_rules[i].tag == bytes[1]) {
                rule = &option_rules[i];
            }
        }
        if (rule == NULL) {
            ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_OTHER);
        } else if (rule->size + 1u != length) {
            return false;
        } else if (!option_is_harmless(rule, bytes + 2, firm)) {
            ib_ouch_reject(command, IB_REASON_UNSUPPORTED, rule->code);
        }
        bytes += length + 1;
        size -= length + 1;
    }
    return true;
}

/* Finds the appendage behind `fixed` bytes that end in its length. */
static bool decode_tail(const uint8_t *bytes, size_t size, size_t fixed, const char firm[IB_FIRM_SIZE],
                        struct ib_command *command)
{
    IB_ASSERT(fixed == IB_OUCH_ENTER_SIZE || fixed == IB_OUCH_REPLACE_SIZE);
    if (size < fixed || size - fixed != ib_load_u16(bytes + fixed - 2)) {
        return false;
    }
    return decode_appendage(bytes + fixed, size - fixed, firm, command);
}

static void decode_quantity(const uint8_t *bytes, struct ib_command *command)
{
    IB_ASSERT(command->quantity == 0);
    command->quantity = ib_load_u32(bytes);
    if (command->quantity == 0 || command->quantity > IB_OUCH_QUANTITY_MAX) {
        ib_ouch_reject(command, IB_REASON_QUANTITY_INVALID, CODE_INVALID_QUANTITY);
    }
}

static void decode_price(const uint8_t *bytes, struct ib_command *command)
{
    IB_ASSERT(command->price == 0 && command->order_type == 0);
    uint64_t price = ib_load_u64(bytes);
    command->order_type = IB_ORDER_LIMIT;
    if (price == IB_OUCH_PRICE_MARKET || price == IB_OUCH_PRICE_MARKET_OLD) {
        command->order_type = IB_ORDER_MARKET;
        return;
    }
    if (price == 0 || price > IB_OUCH_PRICE_MAX) {
        ib_ouch_reject(command, IB_REASON_PRICE_INVALID, CODE_INVALID_PRICE);
        return;
    }
    command->price = (int64_t)price;
}

static void decode_time_in_force(uint8_t letter, struct ib_command *command)
{
    IB_ASSERT(command->time_in_force == IB_TIME_IN_FORCE_DAY);
    if (letter == '3') {
        command->time_in_force = IB_TIME_IN_FORCE_IOC;
    } else if (letter != '0') { /* extended hours, a time to live, after hours: this venue has one session */
        ib_ouch_reject(command, IB_REASON_TIME_IN_FORCE_INVALID, CODE_OTHER);
    }
}

static void decode_display_and_sweep(const uint8_t *display, const uint8_t *sweep, struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE);
    command->client_data[CLIENT_DISPLAY] = *display;
    command->client_data[CLIENT_SWEEP] = *sweep;
    if (*display != 'Y') { /* hidden and attributable orders are not carried */
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_INVALID_DISPLAY);
    }
    if (*sweep != 'Y' && *sweep != 'N') {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_OTHER);
    }
}

/* Section 2.1. */
static enum ib_ouch_kind decode_enter(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                      struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == 0 && command->reason == IB_REASON_NONE);
    if (size < IB_OUCH_ENTER_SIZE) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_ENTER;
    command->user_ref = ib_load_u32(bytes + 1);
    uint8_t side = bytes[5];
    command->side = side == 'B' ? IB_SIDE_BUY : IB_SIDE_SELL; /* short sales are sales, echoed as entered */
    if (side != 'B' && side != 'S' && side != 'T' && side != 'E') {
        ib_ouch_reject(command, IB_REASON_SIDE_INVALID, CODE_INVALID_SIDE);
    }
    decode_quantity(bytes + 6, command);
    memcpy(message->symbol, bytes + 10, IB_SYMBOL_SIZE);
    decode_price(bytes + 18, command);
    decode_time_in_force(bytes[26], command);
    decode_display_and_sweep(bytes + 27, bytes + 29, command);
    if (memchr("APRO", bytes[28], 4) == NULL) {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_OTHER);
    }
    if (bytes[30] != 'N') { /* no crosses: continuous matching only */
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_INVALID_CROSS_ORDER);
    }
    command->client_data[CLIENT_SIDE] = side;
    command->client_data[CLIENT_CAPACITY] = bytes[28];
    command->client_data[CLIENT_CROSS] = bytes[30];
    memcpy(command->client_data, bytes + 31, CL_ORD_ID_SIZE);
    return decode_tail(bytes, size, IB_OUCH_ENTER_SIZE, firm, command) ? IB_OUCH_COMMAND : IB_OUCH_MALFORMED;
}

/* Section 2.2. Side, capacity and cross type are the replaced order's: their zero bytes say "inherit". */
static enum ib_ouch_kind decode_replace(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                        struct ib_command *command)
{
    IB_ASSERT(command->type == 0 && command->reason == IB_REASON_NONE);
    if (size < IB_OUCH_REPLACE_SIZE) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_REPLACE;
    command->user_ref_original = ib_load_u32(bytes + 1);
    command->user_ref = ib_load_u32(bytes + 5);
    decode_quantity(bytes + 9, command);
    decode_price(bytes + 13, command);
    decode_time_in_force(bytes[21], command);
    decode_display_and_sweep(bytes + 22, bytes + 23, command);
    memcpy(command->client_data, bytes + 24, CL_ORD_ID_SIZE);
    return decode_tail(bytes, size, IB_OUCH_REPLACE_SIZE, firm, command) ? IB_OUCH_COMMAND : IB_OUCH_MALFORMED;
}

/* The later revision lets an appendage follow Cancel, Modify and Account Query; its one option that could matter
 * here, UserRefIdx, is not carried, and these messages have no reject: a non-empty one is malformed. */
static bool tail_is_empty(const uint8_t *bytes, size_t size, size_t fixed)
{
    IB_ASSERT(fixed == IB_OUCH_CANCEL_SIZE || fixed == IB_OUCH_ACCOUNT_QUERY_SIZE);
    return size == fixed || (size == fixed + 2 && ib_load_u16(bytes + fixed) == 0);
}

/* Section 2.3. */
static enum ib_ouch_kind decode_cancel(const uint8_t *bytes, size_t size, struct ib_command *command)
{
    IB_ASSERT(command->type == 0);
    if (size < IB_OUCH_CANCEL_SIZE || !tail_is_empty(bytes, size, IB_OUCH_CANCEL_SIZE)) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_CANCEL;
    command->user_ref = ib_load_u32(bytes + 1);
    command->quantity = ib_load_u32(bytes + 5);
    return IB_OUCH_COMMAND;
}

enum ib_ouch_kind ib_ouch_decode(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                 struct ib_ouch_message *message)
{
    IB_ASSERT(bytes != NULL || size == 0);
    IB_ASSERT(firm != NULL && message != NULL);
    memset(message, 0, sizeof *message);
    if (size == 0) {
        return IB_OUCH_MALFORMED;
    }
    switch (bytes[0]) {
    case 'O':
        return decode_enter(bytes, size, firm, message);
    case 'U':
        return decode_replace(bytes, size, firm, &message->command);
    case 'X':
        return decode_cancel(bytes, size, &message->command);
    case 'M':
        return size >= IB_OUCH_MODIFY_SIZE ? IB_OUCH_NOT_CARRIED : IB_OUCH_MALFORMED;
    case 'Q':
        return tail_is_empty(bytes, size, IB_OUCH_ACCOUNT_QUERY_SIZE) ? IB_OUCH_ACCOUNT_QUERY : IB_OUCH_MALFORMED;
    default:
        return IB_OUCH_UNKNOWN;
    }
}

/* Nanoseconds since midnight, UTC. */
static uint64_t timestamp(uint64_t time_ns)
{
    return time_ns % 86400000000000u;
}

/* What the client said when it entered the order. A Replace does not repeat it, so its bytes are zero there unless the
 * core has carried them over from the replaced order: then `otherwise` is told. */
static uint8_t as_entered(const struct ib_event *event, int field, char otherwise)
{
    IB_ASSERT(field >= CLIENT_SIDE && field <= CLIENT_CROSS);
    uint8_t letter = event->client_data[field];
    return letter != 0 ? letter : (uint8_t)otherwise;
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
    IB_ASSERT(event->side == IB_SIDE_BUY || event->side == IB_SIDE_SELL);
    ib_store_u32(out, event->user_ref);
    out[4] = as_entered(event, CLIENT_SIDE, event->side == IB_SIDE_BUY ? 'B' : 'S');
    ib_store_u32(out + 5, size32(quantity));
    memcpy(out + 9, symbol, IB_SYMBOL_SIZE);
    bool any_price = event->order_type == IB_ORDER_MARKET || event->price == 0; /* a stop has none, either */
    ib_store_u64(out + 17, any_price ? IB_OUCH_PRICE_MARKET : (uint64_t)event->price);
    out[25] = event->time_in_force == IB_TIME_IN_FORCE_IOC ? '3' : '0';
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

static uint16_t reject_code(const struct ib_event *event)
{
    IB_ASSERT(event->type == IB_EVENT_REJECTED);
    uint16_t code = ib_load_u16(event->client_data + CLIENT_CODE);
    if (code != 0) {
        return code;
    }
    switch (event->reason) {
    case IB_REASON_HALTED:
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
    case IB_REASON_BOOK_FULL:
    case IB_REASON_EVENT_LOG_FULL:
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

size_t ib_ouch_encode_account_query_response(uint8_t *out, uint64_t time_ns, uint32_t next_user_ref)
{
    IB_ASSERT(out != NULL);
    out[0] = 'Q';
    ib_store_u64(out + 1, timestamp(time_ns));
    ib_store_u32(out + 9, next_user_ref);
    return IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE;
}
