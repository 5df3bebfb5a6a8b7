/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ouch50.c: see ouch50.h. The way in; the way out is in ouch50_encode.c. Section numbers are those of the OUCH 5.0
 * specification.
 */
#define _GNU_SOURCE
#include "ouch50.h"

#include <string.h>

#include "bytes.h"
#include "check.h"
#include "ouch50_internal.h"

/* Appendix B: what this venue does not carry is accepted only with the value that asks for nothing. */
struct option_rule {
    uint8_t tag;
    uint8_t size;     /* of the value */
    char harmless[3]; /* one-byte options: the values that ask for nothing; "" = all bytes zero */
    uint16_t code;    /* otherwise the order is rejected with this */
};

enum {
    OPTION_FIRM = 2,
    OPTION_MIN_QUANTITY = 3,
    OPTION_MAX_FLOOR = 5,
    OPTION_POST_ONLY = 12,
    OPTION_ROUTE = 14,
    OPTION_EXPIRE_TIME = 15,
};
enum { EXPIRE_SECONDS_MAX = 86400 };

static const struct option_rule option_rules[] = {
    {OPTION_FIRM, 4, "", CODE_FIRM_NOT_AUTHORIZED}, /* blank or the session's own: see option_is_harmless */
    {OPTION_MIN_QUANTITY, 4, "", CODE_INVALID_MIN_QUANTITY}, /* carried, as are the next ones that have a name */
    {4, 1, " N", CODE_RETAIL_NOT_ALLOWED},          /* CustomerType */
    {OPTION_MAX_FLOOR, 4, "", CODE_INVALID_MAX_FLOOR},
    {6, 1, "L", CODE_INVALID_PEG_TYPE},             /* PriceType */
    {7, 4, "", CODE_PEGGING_NOT_ALLOWED},           /* PegOffset */
    {9, 8, "", CODE_OTHER},                         /* DiscretionPrice */
    {10, 1, "L", CODE_OTHER},                       /* DiscretionPriceType */
    {11, 4, "", CODE_OTHER},                        /* DiscretionPegOffset */
    {OPTION_POST_ONLY, 1, "N", CODE_OTHER},
    {13, 4, "", CODE_OTHER},                        /* RandomReserves */
    {OPTION_ROUTE, 4, "", CODE_ROUTING_NOT_ALLOWED}, /* blank only */
    {OPTION_EXPIRE_TIME, 4, "", CODE_OTHER},
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

void ib_ouch_reject_disabled(struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE);
    ib_ouch_reject(command, IB_REASON_RISK_KILLED, CODE_FIRM_NOT_AUTHORIZED);
    IB_ASSERT(command->reason != IB_REASON_NONE);
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

/* Rules 1 do not know it: whoever sequences under them rejects it with this code. */
static void needs_rules_2(struct ib_ouch_message *message, uint16_t code)
{
    IB_ASSERT(code != 0);
    IB_ASSERT(message->command.type == IB_COMMAND_ENTER || message->command.type == IB_COMMAND_REPLACE);
    if (message->rules_2_code == 0) {
        message->rules_2_code = code;
    }
}

/* An option that asks for something. False where this venue does not carry it, or not with this order. */
static bool take_option(const struct option_rule *rule, const uint8_t *value, struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE);
    IB_ASSERT(rule->code != 0);
    switch (rule->tag) {
    case OPTION_MIN_QUANTITY:
        command->minimum = ib_load_u32(value);
        needs_rules_2(message, rule->code);
        return command->minimum <= command->quantity;
    case OPTION_MAX_FLOOR:
        command->displayed = ib_load_u32(value);
        needs_rules_2(message, rule->code);
        return command->displayed <= command->quantity;
    case OPTION_POST_ONLY:
        command->flags |= IB_ORDER_POST_ONLY;
        needs_rules_2(message, rule->code);
        return value[0] == 'P';
    case OPTION_EXPIRE_TIME:
        message->expire_seconds = ib_load_u32(value);
        return command->time_in_force == IB_TIME_IN_FORCE_GTD && message->expire_seconds <= EXPIRE_SECONDS_MAX;
    default:
        return false;
    }
}

/* Section 1.2: TagValue elements {length of what follows, tag, value}. False when they do not add up. */
static bool decode_appendage(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                             struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(bytes != NULL);
    IB_ASSERT(size <= IB_OUCH_INBOUND_SIZE_MAX);
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
        } else if (!option_is_harmless(rule, bytes + 2, firm) && !take_option(rule, bytes + 2, message)) {
            ib_ouch_reject(command, IB_REASON_UNSUPPORTED, rule->code);
        }
        bytes += length + 1;
        size -= length + 1;
    }
    return true;
}

/* Finds the appendage behind `fixed` bytes that end in its length. */
static bool decode_tail(const uint8_t *bytes, size_t size, size_t fixed, const char firm[IB_FIRM_SIZE],
                        struct ib_ouch_message *message)
{
    IB_ASSERT(fixed == IB_OUCH_ENTER_SIZE || fixed == IB_OUCH_REPLACE_SIZE);
    if (size < fixed || size - fixed != ib_load_u16(bytes + fixed - 2)) {
        return false;
    }
    if (!decode_appendage(bytes + fixed, size - fixed, firm, message)) {
        return false;
    }
    if (message->command.time_in_force == IB_TIME_IN_FORCE_GTD && message->expire_seconds == 0) {
        ib_ouch_reject(&message->command, IB_REASON_TIME_IN_FORCE_INVALID, CODE_OTHER); /* until when? */
    }
    return true;
}

static void decode_quantity(const uint8_t *bytes, struct ib_command *command)
{
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE);
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

static void decode_time_in_force(uint8_t letter, struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->time_in_force == IB_TIME_IN_FORCE_DAY);
    IB_ASSERT(message->expire_seconds == 0); /* the appendage comes behind */
    if (letter == '3') {
        command->time_in_force = IB_TIME_IN_FORCE_IOC;
    } else if (letter == '6') { /* GTT: ExpireTime says how long */
        command->time_in_force = IB_TIME_IN_FORCE_GTD;
        needs_rules_2(message, CODE_OTHER);
    } else if (letter != '0') { /* extended hours, after hours: this venue has one session */
        ib_ouch_reject(command, IB_REASON_TIME_IN_FORCE_INVALID, CODE_OTHER);
    }
}

/* An order for a cross trades in it or not at all, whichever of both times in force it has. */
static void decode_cross(uint8_t letter, uint8_t time_in_force, struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == IB_COMMAND_ENTER);
    IB_ASSERT(command->time_in_force <= IB_TIME_IN_FORCE_GTD); /* what its letter made of it */
    command->client_data[CLIENT_CROSS] = letter;
    if (letter == 'N') {
        return;
    }
    needs_rules_2(message, CODE_INVALID_CROSS_ORDER);
    if ((letter != 'O' && letter != 'C') || command->time_in_force == IB_TIME_IN_FORCE_GTD) {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_INVALID_CROSS_ORDER);
        return;
    }
    command->time_in_force = letter == 'O' ? IB_TIME_IN_FORCE_AT_OPEN : IB_TIME_IN_FORCE_AT_CLOSE;
    command->client_data[CLIENT_TIME_IN_FORCE] = time_in_force == '0' ? 0 : time_in_force;
}

static void decode_display_and_sweep(const uint8_t *display, const uint8_t *sweep, struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == IB_COMMAND_ENTER || command->type == IB_COMMAND_REPLACE);
    command->client_data[CLIENT_DISPLAY] = *display;
    command->client_data[CLIENT_SWEEP] = *sweep;
    if (*display == 'N') {
        command->flags |= IB_ORDER_HIDDEN;
        needs_rules_2(message, CODE_INVALID_DISPLAY);
    } else if (*display != 'Y') { /* attributable orders are not carried */
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_INVALID_DISPLAY);
    }
    if (*sweep != 'Y' && *sweep != 'N') {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_OTHER);
    }
}

bool ib_ouch_marks_sale(uint8_t letter)
{
    _Static_assert('B' != 'S' && 'B' != 'T' && 'B' != 'E', "no buy is taken for a sale");
    return letter == 'S' || letter == 'T' || letter == 'E';
}

/* Short sales are sales, echoed as entered; 0: no side at all. */
static uint8_t side_of(uint8_t letter)
{
    IB_ASSERT(!ib_ouch_marks_sale('B'));
    return letter == 'B' ? IB_SIDE_BUY : ib_ouch_marks_sale(letter) ? IB_SIDE_SELL : 0;
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
    command->side = side_of(side);
    if (command->side == 0) {
        ib_ouch_reject(command, IB_REASON_SIDE_INVALID, CODE_INVALID_SIDE);
    }
    decode_quantity(bytes + 6, command);
    memcpy(message->symbol, bytes + 10, IB_SYMBOL_SIZE);
    decode_price(bytes + 18, command);
    decode_time_in_force(bytes[26], message);
    decode_display_and_sweep(bytes + 27, bytes + 29, message);
    if (memchr("APRO", bytes[28], 4) == NULL) {
        ib_ouch_reject(command, IB_REASON_UNSUPPORTED, CODE_OTHER);
    }
    decode_cross(bytes[30], bytes[26], message);
    command->client_data[CLIENT_SIDE] = side;
    command->client_data[CLIENT_CAPACITY] = bytes[28];
    memcpy(command->client_data, bytes + 31, CL_ORD_ID_SIZE);
    return decode_tail(bytes, size, IB_OUCH_ENTER_SIZE, firm, message) ? IB_OUCH_COMMAND : IB_OUCH_MALFORMED;
}

/* Section 2.2. Side, capacity and cross type are the replaced order's: their zero bytes say "inherit". */
static enum ib_ouch_kind decode_replace(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                        struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == 0 && command->reason == IB_REASON_NONE);
    if (size < IB_OUCH_REPLACE_SIZE) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_REPLACE;
    command->user_ref_original = ib_load_u32(bytes + 1);
    command->user_ref = ib_load_u32(bytes + 5);
    decode_quantity(bytes + 9, command);
    decode_price(bytes + 13, command);
    decode_time_in_force(bytes[21], message);
    decode_display_and_sweep(bytes + 22, bytes + 23, message);
    memcpy(command->client_data, bytes + 24, CL_ORD_ID_SIZE);
    return decode_tail(bytes, size, IB_OUCH_REPLACE_SIZE, firm, message) ? IB_OUCH_COMMAND : IB_OUCH_MALFORMED;
}

/* The later revision lets an appendage follow Cancel, Modify and Account Query; its one option that could matter
 * here, UserRefIdx, is not carried, and these messages have no reject: a non-empty one is malformed. */
static bool tail_is_empty(const uint8_t *bytes, size_t size, size_t fixed)
{
    IB_ASSERT(fixed == IB_OUCH_CANCEL_SIZE || fixed == IB_OUCH_ACCOUNT_QUERY_SIZE ||
              fixed == IB_OUCH_MASS_CANCEL_SIZE || fixed == IB_OUCH_ORDER_ENTRY_SIZE || fixed == IB_OUCH_MODIFY_SIZE);
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

/* Modify Order: another mark of a sale, a smaller size, or both. A buy has no mark to change. */
static enum ib_ouch_kind decode_modify(const uint8_t *bytes, size_t size, struct ib_command *command)
{
    IB_ASSERT(command->type == 0);
    if (size < IB_OUCH_MODIFY_SIZE || !tail_is_empty(bytes, size, IB_OUCH_MODIFY_SIZE)) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_MODIFY;
    command->user_ref = ib_load_u32(bytes + 1);
    command->side = side_of(bytes[5]);
    command->client_data[CLIENT_SIDE] = command->side == IB_SIDE_SELL ? bytes[5] : 0;
    command->quantity = ib_load_u32(bytes + 6);
    IB_ASSERT(command->reason == IB_REASON_NONE);
    return IB_OUCH_MODIFY;
}

/* Another firm's are not this session's to touch: that cannot be meant. */
static bool names_own_firm(const uint8_t *bytes, const char firm[IB_FIRM_SIZE])
{
    IB_ASSERT(bytes != NULL && firm != NULL);
    return all_bytes_are(bytes, IB_FIRM_SIZE, ' ') || memcmp(bytes, firm, IB_FIRM_SIZE) == 0;
}

/* Disable and Enable Order Entry, of the later revision: of the session itself. */
static enum ib_ouch_kind decode_order_entry(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                            struct ib_command *command)
{
    IB_ASSERT(command->type == 0);
    IB_ASSERT(bytes[0] == 'D' || bytes[0] == 'E');
    if (size < IB_OUCH_ORDER_ENTRY_SIZE || !tail_is_empty(bytes, size, IB_OUCH_ORDER_ENTRY_SIZE) ||
        !names_own_firm(bytes + 5, firm)) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_ORDER_ENTRY;
    command->user_ref = ib_load_u32(bytes + 1);
    command->value = bytes[0] == 'D';
    return IB_OUCH_ORDER_ENTRY;
}

/* Mass Cancel, of the later revision: the session's own orders, in one symbol or, where it is blank, in all. */
static enum ib_ouch_kind decode_mass_cancel(const uint8_t *bytes, size_t size, const char firm[IB_FIRM_SIZE],
                                            struct ib_ouch_message *message)
{
    struct ib_command *command = &message->command;
    IB_ASSERT(command->type == 0);
    if (size < IB_OUCH_MASS_CANCEL_SIZE || !tail_is_empty(bytes, size, IB_OUCH_MASS_CANCEL_SIZE) ||
        !names_own_firm(bytes + 5, firm)) {
        return IB_OUCH_MALFORMED;
    }
    command->type = IB_COMMAND_MASS_CANCEL;
    command->user_ref = ib_load_u32(bytes + 1);
    command->account = IB_ACCOUNT_ANY;
    command->instrument = IB_INSTRUMENT_ALL;
    memcpy(message->symbol, bytes + 9, IB_SYMBOL_SIZE);
    return IB_OUCH_MASS_CANCEL;
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
        return decode_replace(bytes, size, firm, message);
    case 'X':
        return decode_cancel(bytes, size, &message->command);
    case 'C':
        return decode_mass_cancel(bytes, size, firm, message);
    case 'D':
    case 'E':
        return decode_order_entry(bytes, size, firm, &message->command);
    case 'M':
        return decode_modify(bytes, size, &message->command);
    case 'Q':
        return tail_is_empty(bytes, size, IB_OUCH_ACCOUNT_QUERY_SIZE) ? IB_OUCH_ACCOUNT_QUERY : IB_OUCH_MALFORMED;
    default:
        return IB_OUCH_UNKNOWN;
    }
}
