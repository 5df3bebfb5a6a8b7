/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_ouch50.c: messages written out by hand from the tables of the specification, what each becomes, and every
 * field that this venue does not carry.
 */
#include "bytes.h"
#include "ouch50.h"
#include "test.h"

static const char firm[IB_FIRM_SIZE] = {'M', 'A', 'K', 'R'};

/* Section 2.1: buy 100 AAPL at 100.5000, day, visible, agency, no sweep, continuous. */
static size_t enter(uint8_t out[IB_OUCH_INBOUND_SIZE_MAX])
{
    static const char message[] = "O" "\0\0\0\x07" "B" "\0\0\0\x64" "AAPL    " "\0\0\0\0\0\x0f\x55\xc8" "0YANN"
                                  "CLORDID0000001" "\0\0";
    memcpy(out, message, IB_OUCH_ENTER_SIZE);
    return IB_OUCH_ENTER_SIZE;
}

/* Section 2.2: order 7 becomes order 8. */
static size_t replace(uint8_t out[IB_OUCH_INBOUND_SIZE_MAX])
{
    static const char message[] = "U" "\0\0\0\x07" "\0\0\0\x08" "\0\0\0\xc8" "\0\0\0\0\0\x0f\x55\xc8" "3YN"
                                  "CLORDID0000002" "\0\0";
    memcpy(out, message, IB_OUCH_REPLACE_SIZE);
    return IB_OUCH_REPLACE_SIZE;
}

/* Puts one option behind a message that ends in its appendage length. */
static size_t with_option(uint8_t *message, size_t size, uint8_t tag, const void *value, uint8_t value_size)
{
    message[size] = (uint8_t)(value_size + 1);
    message[size + 1] = tag;
    memcpy(message + size + 2, value, value_size);
    size_t fixed = message[0] == 'O' ? IB_OUCH_ENTER_SIZE : IB_OUCH_REPLACE_SIZE;
    ib_store_u16(message + fixed - 2, (uint16_t)(size + 2u + value_size - fixed));
    return size + 2u + value_size;
}

static void reads_an_enter_order(void)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    EXPECT_EQUAL(ib_ouch_decode(bytes, enter(bytes), firm, &message), IB_OUCH_COMMAND);
    const struct ib_command *command = &message.command;
    EXPECT_EQUAL(command->type, IB_COMMAND_ENTER);
    EXPECT_EQUAL(command->user_ref, 7);
    EXPECT_EQUAL(command->side, IB_SIDE_BUY);
    EXPECT_EQUAL(command->quantity, 100);
    EXPECT_EQUAL(command->price, 1005000);
    EXPECT_EQUAL(command->order_type, IB_ORDER_LIMIT);
    EXPECT_EQUAL(command->time_in_force, IB_TIME_IN_FORCE_DAY);
    EXPECT_EQUAL(command->reason, IB_REASON_NONE);
    EXPECT(memcmp(message.symbol, "AAPL    ", IB_SYMBOL_SIZE) == 0);
    EXPECT(memcmp(command->client_data, "CLORDID0000001BYANN\0\0\0\0\0", IB_CLIENT_DATA_SIZE) == 0);
    EXPECT_EQUAL(command->session, 0);
    EXPECT_EQUAL(command->seq, 0);
}

static void reads_replace_cancel_query(void)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    EXPECT_EQUAL(ib_ouch_decode(bytes, replace(bytes), firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.type, IB_COMMAND_REPLACE);
    EXPECT_EQUAL(message.command.user_ref_original, 7);
    EXPECT_EQUAL(message.command.user_ref, 8);
    EXPECT_EQUAL(message.command.quantity, 200);
    EXPECT_EQUAL(message.command.time_in_force, IB_TIME_IN_FORCE_IOC);
    EXPECT_EQUAL(message.command.client_data[16], 0); /* capacity: the replaced order's */
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"X\0\0\0\x09\0\0\0\x0a", 9, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.type, IB_COMMAND_CANCEL);
    EXPECT_EQUAL(message.command.user_ref, 9);
    EXPECT_EQUAL(message.command.quantity, 10);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"X\0\0\0\x09\0\0\0\x0a\0\0", 11, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"Q", 1, firm, &message), IB_OUCH_ACCOUNT_QUERY);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"Q\0\0", 3, firm, &message), IB_OUCH_ACCOUNT_QUERY);
}

/* Of each side mark what the core is asked for; a buy has none, and no letter but the four is a side. */
static void reads_modify(void)
{
    static const struct { uint8_t letter, side, mark; } sides[] = {
        {'S', IB_SIDE_SELL, 'S'}, {'T', IB_SIDE_SELL, 'T'}, {'E', IB_SIDE_SELL, 'E'}, {'B', IB_SIDE_BUY, 0}};
    uint8_t bytes[13] = "M\0\0\0\x09?\0\0\0\x0a\0\0";
    struct ib_ouch_message message;
    unsigned known = 0;
    for (unsigned letter = 0; letter <= UINT8_MAX; letter++) {
        bytes[5] = (uint8_t)letter;
        EXPECT_EQUAL(ib_ouch_decode(bytes, 10, firm, &message), IB_OUCH_MODIFY);
        EXPECT_EQUAL(message.command.type, IB_COMMAND_MODIFY);
        EXPECT_EQUAL(message.command.user_ref, 9);
        EXPECT_EQUAL(message.command.quantity, 10);
        const uint8_t *data = message.command.client_data;
        uint8_t side = 0;
        uint8_t mark = 0;
        for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
            if (sides[i].letter == letter) {
                side = sides[i].side;
                mark = sides[i].mark;
                known++;
            }
        }
        EXPECT_EQUAL(message.command.side, side);
        EXPECT_EQUAL(data[14], mark);
        EXPECT(memcmp(data, data + 15, 9) == 0 && data[0] == 0 && memcmp(data, data + 1, 13) == 0);
    }
    EXPECT_EQUAL(known, 4);
    EXPECT_EQUAL(ib_ouch_decode(bytes, 12, firm, &message), IB_OUCH_MODIFY);
    EXPECT_EQUAL(ib_ouch_decode(bytes, 9, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode(bytes, 11, firm, &message), IB_OUCH_MALFORMED);
    bytes[11] = 1;
    EXPECT_EQUAL(ib_ouch_decode(bytes, 12, firm, &message), IB_OUCH_MALFORMED);
}

static void refuses_every_wrong_size(void)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t size = enter(bytes);
    for (size_t cut = 1; cut < size; cut++) {
        EXPECT_EQUAL(ib_ouch_decode(bytes, cut, firm, &message), IB_OUCH_MALFORMED);
    }
    EXPECT_EQUAL(ib_ouch_decode(bytes, size + 1, firm, &message), IB_OUCH_MALFORMED);
    size = replace(bytes);
    for (size_t cut = 1; cut < size; cut++) {
        EXPECT_EQUAL(ib_ouch_decode(bytes, cut, firm, &message), IB_OUCH_MALFORMED);
    }
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"X\0\0\0\x09\0\0\0\x0a", 8, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"X\0\0\0\x09\0\0\0\x0a\0", 10, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"Q\0\1", 3, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"M", 1, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode(NULL, 0, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"C\0\0\0\1", 5, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"C\0\0\0\1OTHRAAPL    ", 17, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"d\0\0\0\1MAKR", 9, firm, &message), IB_OUCH_UNKNOWN);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"\0", 1, firm, &message), IB_OUCH_UNKNOWN);
}

/* One byte of an Enter Order changed: the reason and the code of OUCH that it is rejected with. */
static void one_byte(size_t offset, char value, int reason, int code)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t size = enter(bytes);
    bytes[offset] = (uint8_t)value;
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.reason, reason);
    EXPECT_EQUAL(ib_load_u16(message.command.client_data + 20), code);
}

static void rejects_what_is_not_carried(void)
{
    one_byte(5, 'T', IB_REASON_NONE, 0); /* sell short */
    one_byte(5, 'E', IB_REASON_NONE, 0);
    one_byte(5, 'U', IB_REASON_SIDE_INVALID, 0x09);
    one_byte(6, 1, IB_REASON_QUANTITY_INVALID, 0x13); /* 16,777,316 */
    one_byte(9, 0, IB_REASON_QUANTITY_INVALID, 0x13);
    one_byte(18, 1, IB_REASON_PRICE_INVALID, 0x1d);
    one_byte(26, '3', IB_REASON_NONE, 0);
    one_byte(26, '5', IB_REASON_TIME_IN_FORCE_INVALID, 0x0f);
    one_byte(26, '6', IB_REASON_TIME_IN_FORCE_INVALID, 0x0f); /* GTT without ExpireTime */
    one_byte(26, 'E', IB_REASON_TIME_IN_FORCE_INVALID, 0x0f);
    one_byte(27, 'A', IB_REASON_UNSUPPORTED, 0x03);
    one_byte(28, 'P', IB_REASON_NONE, 0);
    one_byte(28, 'x', IB_REASON_UNSUPPORTED, 0x0f);
    one_byte(28, '\0', IB_REASON_UNSUPPORTED, 0x0f);
    one_byte(29, 'Y', IB_REASON_NONE, 0);
    one_byte(29, 'x', IB_REASON_UNSUPPORTED, 0x0f);
    one_byte(30, 'H', IB_REASON_UNSUPPORTED, 0x14);
    EXPECT_SOUND();
}

/* What rules 1 do not carry: as an order, and the code of its reject under them. */
static void reads_what_rules_2_carry(void)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t size = enter(bytes);
    bytes[27] = 'N';
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.flags, IB_ORDER_HIDDEN);
    EXPECT_EQUAL(message.rules_2_code, 0x03);
    static const struct {
        char letter, time_in_force;
        int expected, echoed;
    } crosses[] = {{'O', '0', IB_TIME_IN_FORCE_AT_OPEN, 0}, {'C', '3', IB_TIME_IN_FORCE_AT_CLOSE, '3'}};
    for (size_t i = 0; i < 2; i++) {
        size = enter(bytes);
        bytes[26] = (uint8_t)crosses[i].time_in_force;
        bytes[30] = (uint8_t)crosses[i].letter;
        EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
        EXPECT_EQUAL(message.command.time_in_force, crosses[i].expected);
        EXPECT_EQUAL(message.command.client_data[18], crosses[i].letter);
        EXPECT_EQUAL(message.command.client_data[19], crosses[i].echoed);
        EXPECT_EQUAL(message.rules_2_code, 0x14);
    }
    size = enter(bytes);
    bytes[26] = '6';
    size = with_option(bytes, size, 15, "\0\0\0\x1e", 4);
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.reason, IB_REASON_NONE);
    EXPECT_EQUAL(message.command.time_in_force, IB_TIME_IN_FORCE_GTD);
    EXPECT_EQUAL(message.expire_seconds, 30);
    bytes[30] = 'O'; /* until a time, or in a cross: not both */
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.reason, IB_REASON_UNSUPPORTED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"C\0\0\0\1MAKRAAPL    ", 17, firm, &message), IB_OUCH_MASS_CANCEL);
    EXPECT_EQUAL(message.command.type, IB_COMMAND_MASS_CANCEL);
    EXPECT_EQUAL(message.command.user_ref, 1);
    EXPECT(memcmp(message.symbol, "AAPL    ", 8) == 0);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"C\0\0\0\1            \0\0", 19, firm, &message),
                 IB_OUCH_MASS_CANCEL);
    EXPECT_EQUAL(message.command.instrument, IB_INSTRUMENT_ALL);
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    EXPECT_EQUAL(ib_ouch_encode_mass_cancel_response(out, 1, 7, "MAKR", "AAPL    "), 27);
    EXPECT(memcmp(out, "X\0\0\0\0\0\0\0\1\0\0\0\7MAKRAAPL    \0\0", 27) == 0);
}

static void order_entry_is_switched(void)
{
    struct ib_ouch_message message;
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"D\0\0\0\7MAKR\0\0", 11, firm, &message), IB_OUCH_ORDER_ENTRY);
    EXPECT_EQUAL(message.command.type, IB_COMMAND_ORDER_ENTRY);
    EXPECT_EQUAL(message.command.user_ref, 7);
    EXPECT_EQUAL(message.command.value, 1);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"E\0\0\0\7    ", 9, firm, &message), IB_OUCH_ORDER_ENTRY);
    EXPECT_EQUAL(message.command.value, 0);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"D\0\0\0\7TAKR", 9, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"D\0\0\0\7MAK", 8, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_decode((const uint8_t *)"E\0\0\0\7MAKR\0\3\2\34\1", 14, firm, &message), IB_OUCH_MALFORMED);
    EXPECT_EQUAL(ib_ouch_encode_order_entry_response(out, 1, 7, true, "MAKR"), 19);
    EXPECT(memcmp(out, "G\0\0\0\0\0\0\0\1\0\0\0\7MAKR\0\0", 19) == 0);
    EXPECT_EQUAL(ib_ouch_encode_order_entry_response(out, 1, 7, false, "MAKR"), 19);
    EXPECT_EQUAL(out[0], 'K');
    struct ib_command order = {.type = IB_COMMAND_ENTER};
    ib_ouch_reject_disabled(&order);
    EXPECT_EQUAL(order.reason, IB_REASON_RISK_KILLED);
    EXPECT_EQUAL(ib_load_u16(order.client_data + 20), 0x000C); /* firm not authorized */
}

static void price(uint64_t value, int order_type, int reason)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t size = enter(bytes);
    ib_store_u64(bytes + 18, value);
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.order_type, order_type);
    EXPECT_EQUAL(message.command.reason, reason);
}

static void reads_prices_at_their_limits(void)
{
    price(1, IB_ORDER_LIMIT, IB_REASON_NONE);
    price(1999999900, IB_ORDER_LIMIT, IB_REASON_NONE);
    price(1999999901, IB_ORDER_LIMIT, IB_REASON_PRICE_INVALID);
    price(2000000000, IB_ORDER_MARKET, IB_REASON_NONE);
    price(2147483647, IB_ORDER_MARKET, IB_REASON_NONE);
    price(2147483648, IB_ORDER_LIMIT, IB_REASON_PRICE_INVALID);
    price(0, IB_ORDER_LIMIT, IB_REASON_PRICE_INVALID);
    price(UINT64_MAX, IB_ORDER_LIMIT, IB_REASON_PRICE_INVALID);
    EXPECT_SOUND();
}

static void option(uint8_t tag, const char *value, uint8_t size, int reason, int code)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t whole = with_option(bytes, enter(bytes), tag, value, size);
    EXPECT_EQUAL(ib_ouch_decode(bytes, whole, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.reason, reason);
    EXPECT_EQUAL(ib_load_u16(message.command.client_data + 20), code);
}

/* An option that rules 2 carry. */
static void carried(uint8_t tag, const char *value, uint8_t size, int rules_2_code, uint64_t minimum,
                    uint64_t displayed, int flags)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t whole = with_option(bytes, enter(bytes), tag, value, size);
    EXPECT_EQUAL(ib_ouch_decode(bytes, whole, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(message.command.reason, IB_REASON_NONE);
    EXPECT_EQUAL(message.rules_2_code, rules_2_code);
    EXPECT_EQUAL(message.command.minimum, minimum);
    EXPECT_EQUAL(message.command.displayed, displayed);
    EXPECT_EQUAL(message.command.flags, flags);
}

static void accepts_options_that_ask_for_nothing(void)
{
    option(2, "    ", 4, IB_REASON_NONE, 0);
    option(2, "MAKR", 4, IB_REASON_NONE, 0);
    option(2, "OTHR", 4, IB_REASON_UNSUPPORTED, 0x0c);
    option(3, "\0\0\0\0", 4, IB_REASON_NONE, 0);
    carried(3, "\0\0\0\1", 4, 0x0d, 1, 0, 0);
    carried(3, "\0\0\0\x64", 4, 0x0d, 100, 0, 0);
    option(3, "\0\0\0\x65", 4, IB_REASON_UNSUPPORTED, 0x0d); /* more than the order */
    option(4, " ", 1, IB_REASON_NONE, 0);
    option(4, "N", 1, IB_REASON_NONE, 0);
    option(4, "R", 1, IB_REASON_UNSUPPORTED, 0x1a);
    carried(5, "\0\0\0\5", 4, 0x04, 0, 5, 0);
    option(5, "\xff\xff\xff\xff", 4, IB_REASON_UNSUPPORTED, 0x04);
    option(6, "L", 1, IB_REASON_NONE, 0);
    option(6, "P", 1, IB_REASON_UNSUPPORTED, 0x05);
    option(6, "\0", 1, IB_REASON_UNSUPPORTED, 0x05);
    option(7, "\0\0\0\1", 4, IB_REASON_UNSUPPORTED, 0x11);
    option(9, "\0\0\0\0\0\0\0\0", 8, IB_REASON_NONE, 0);
    carried(12, "P", 1, 0x0f, 0, 0, IB_ORDER_POST_ONLY);
    option(12, "X", 1, IB_REASON_UNSUPPORTED, 0x0f);
    option(14, "DOTI", 4, IB_REASON_UNSUPPORTED, 0x16);
    option(15, "\0\0\0\1", 4, IB_REASON_UNSUPPORTED, 0x0f);
    option(24, "\0\0", 2, IB_REASON_NONE, 0);
    option(25, "Y", 1, IB_REASON_UNSUPPORTED, 0x0f);
    option(28, "\1", 1, IB_REASON_UNSUPPORTED, 0x0f);
    option(99, "?", 1, IB_REASON_UNSUPPORTED, 0x0f);
    EXPECT_SOUND();
}

static void refuses_an_appendage_that_does_not_add_up(void)
{
    uint8_t bytes[IB_OUCH_INBOUND_SIZE_MAX];
    struct ib_ouch_message message;
    size_t size = with_option(bytes, enter(bytes), 3, "\0\0\0\0", 4);
    bytes[IB_OUCH_ENTER_SIZE] = 6; /* the element reaches beyond the appendage */
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_MALFORMED);
    bytes[IB_OUCH_ENTER_SIZE] = 0; /* an element without a tag would never end */
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_MALFORMED);
    size = with_option(bytes, enter(bytes), 3, "\0\0", 2); /* MinQty has four bytes */
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_MALFORMED);
    size = with_option(bytes, replace(bytes), 12, "N", 1);
    EXPECT_EQUAL(ib_ouch_decode(bytes, size, firm, &message), IB_OUCH_COMMAND);
    EXPECT_EQUAL(ib_ouch_decode(bytes, size - 1, firm, &message), IB_OUCH_MALFORMED);
}

/* Nanoseconds of 00:00:01.000000002 on some day. */
static const uint64_t one_second_past_midnight_ns = 20000u * 86400000000000u + 1000000002u;

static struct ib_event report(int type)
{
    struct ib_event event = {.time_ns = one_second_past_midnight_ns, .type = (uint16_t)type, .session_seq = 1,
                             .user_ref = 8, .user_ref_original = 7, .side = IB_SIDE_BUY, .order_type = IB_ORDER_LIMIT,
                             .order_ref = 0x0102030405060708, .match_ref = 0x1112131415161718, .price = 1005000,
                             .quantity = 100, .remaining = 60};
    memcpy(event.client_data, "CLORDID0000001BYANN", 19);
    return event;
}

#define TIME "\0\0\0\0\x3b\x9a\xca\x02"
#define PRICE "\0\0\0\0\0\x0f\x55\xc8"
#define ORDER_REF "\1\2\3\4\5\6\7\x08"

static void writes_every_report(void)
{
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    struct ib_event event = report(IB_EVENT_ACCEPTED);
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_ACCEPTED_SIZE);
    EXPECT(memcmp(out, "A" TIME "\0\0\0\x08" "B" "\0\0\0\x64" "AAPL    " PRICE "0Y" ORDER_REF "ANNL" "CLORDID0000001"
                       "\0\0", IB_OUCH_ACCEPTED_SIZE) == 0);
    event = report(IB_EVENT_REPLACED);
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_REPLACED_SIZE);
    EXPECT(memcmp(out, "U" TIME "\0\0\0\x07" "\0\0\0\x08" "B" "\0\0\0\x3c" "AAPL    " PRICE "0Y" ORDER_REF "ANNL"
                       "CLORDID0000001" "\0\0", IB_OUCH_REPLACED_SIZE) == 0);
    event = report(IB_EVENT_CANCELED);
    event.reason = IB_REASON_USER;
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_CANCELED_SIZE);
    EXPECT(memcmp(out, "C" TIME "\0\0\0\x08" "\0\0\0\x64" "U", IB_OUCH_CANCELED_SIZE) == 0);
    event.reason = IB_REASON_IMMEDIATE_OR_CANCEL;
    (void)ib_ouch_encode(out, &event, "AAPL    ");
    EXPECT_EQUAL(out[17], 'I');
    event = report(IB_EVENT_EXECUTED);
    event.flags = IB_FLAG_RESTING;
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_EXECUTED_SIZE);
    EXPECT(memcmp(out, "E" TIME "\0\0\0\x08" "\0\0\0\x64" PRICE "A" "\x11\x12\x13\x14\x15\x16\x17\x18" "\0\0",
                  IB_OUCH_EXECUTED_SIZE) == 0);
    event.flags = IB_FLAG_INCOMING;
    (void)ib_ouch_encode(out, &event, "AAPL    ");
    EXPECT_EQUAL(out[25], 'R');
    event = report(IB_EVENT_MODIFIED);
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_MODIFIED_SIZE);
    EXPECT(memcmp(out, "M" TIME "\0\0\0\x08" "B" "\0\0\0\x3c", IB_OUCH_MODIFIED_SIZE) == 0);
    event.side = IB_SIDE_SELL;
    event.client_data[14] = 'E';
    (void)ib_ouch_encode(out, &event, "AAPL    ");
    EXPECT_EQUAL(out[13], 'E');
    event.client_data[14] = 0; /* it came another way */
    (void)ib_ouch_encode(out, &event, "AAPL    ");
    EXPECT_EQUAL(out[13], 'S');
    event = report(IB_EVENT_END_OF_DAY);
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "        "), IB_OUCH_SYSTEM_EVENT_SIZE);
    EXPECT(memcmp(out, "S" TIME "E", IB_OUCH_SYSTEM_EVENT_SIZE) == 0);
    EXPECT_EQUAL(ib_ouch_encode_account_query_response(out, one_second_past_midnight_ns, 9),
                 IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE);
    EXPECT(memcmp(out, "Q" TIME "\0\0\0\x09", IB_OUCH_ACCOUNT_QUERY_RESPONSE_SIZE) == 0);
}

static void writes_rejects_with_the_codes_of_ouch(void)
{
    static const struct { int reason, code; } codes[] = {
        {IB_REASON_HALTED, 0x07}, {IB_REASON_INSTRUMENT_UNKNOWN, 0x17}, {IB_REASON_PRICE_INVALID, 0x1d},
        {IB_REASON_QUANTITY_INVALID, 0x13}, {IB_REASON_SIDE_INVALID, 0x09}, {IB_REASON_ORDER_UNKNOWN, 0x15},
        {IB_REASON_BOOK_FULL, 0x0a}, {IB_REASON_EVENT_LOG_FULL, 0x0a}, {IB_REASON_JOURNAL_FULL, 0x0a},
        {IB_REASON_UNSUPPORTED, 0x0f}};
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    struct ib_event event = report(IB_EVENT_REJECTED);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        event.reason = (uint8_t)codes[i].reason;
        EXPECT_EQUAL(ib_ouch_encode(out, &event, "        "), IB_OUCH_REJECTED_SIZE);
        EXPECT_EQUAL(ib_load_u16(out + 13), codes[i].code);
    }
    ib_store_u16(event.client_data + 20, 0x0c); /* the gateway's own code goes first */
    EXPECT_EQUAL(ib_ouch_encode(out, &event, "        "), IB_OUCH_REJECTED_SIZE);
    EXPECT(memcmp(out, "J" TIME "\0\0\0\x08" "\0\x0c" "CLORDID0000001", IB_OUCH_REJECTED_SIZE) == 0);
}

/* Each reason that the core gives for a Canceled, with its letter of appendix C. A reason that is added and not put
 * here, or not in the encoder, fails: the encoder must know them all, since clients bring them about. */
static void writes_every_reason_of_a_cancel(void)
{
    static const char letters[IB_REASON_RISK_KILLED + 1] = {
        [IB_REASON_USER] = 'U',          [IB_REASON_IMMEDIATE_OR_CANCEL] = 'I', [IB_REASON_FILL_OR_KILL] = 'I',
        [IB_REASON_MINIMUM_QUANTITY] = 'I', [IB_REASON_SELF_TRADE] = 'Q',       [IB_REASON_PRICE_BAND] = 'K',
        [IB_REASON_AUCTION_ENDED] = 'Z', [IB_REASON_DAY_ENDED] = 'E',           [IB_REASON_EXPIRED] = 'T',
        [IB_REASON_MASS_CANCEL] = 'U',   [IB_REASON_INSTRUMENT_REMOVED] = 'Z',  [IB_REASON_RISK_KILLED] = 'S'};
    const char *unknown = ib_reason_text(UINT8_MAX);
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    struct ib_event event = report(IB_EVENT_CANCELED);
    unsigned written = 0;
    for (int reason = 1; reason <= IB_REASON_RISK_KILLED; reason++) {
        int is_known = strcmp(ib_reason_text(reason), unknown) != 0;
        if (is_known && (reason < IB_REASON_HALTED || reason == IB_REASON_RISK_KILLED)) {
            event.reason = (uint8_t)reason;
            EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_CANCELED_SIZE);
            EXPECT(letters[reason] != 0);
            EXPECT_EQUAL(out[17], letters[reason]);
            written++;
        }
    }
    EXPECT_EQUAL(written, 12);
}

/* Whatever the core or the gateway refuses an order for has a code. */
static void writes_every_reason_of_a_reject(void)
{
    const char *unknown = ib_reason_text(UINT8_MAX);
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    struct ib_event event = report(IB_EVENT_REJECTED);
    unsigned written = 0;
    for (int reason = IB_REASON_HALTED; reason < UINT8_MAX; reason++) {
        event.reason = (uint8_t)reason;
        if (strcmp(ib_reason_text(reason), unknown) != 0) {
            EXPECT_EQUAL(ib_ouch_encode(out, &event, "AAPL    "), IB_OUCH_REJECTED_SIZE);
            EXPECT(ib_load_u16(out + 13) != 0);
            written++;
        }
    }
    EXPECT_EQUAL(written, 23);
}

static void a_market_order_is_echoed_as_one(void)
{
    uint8_t out[IB_OUCH_OUTBOUND_SIZE_MAX];
    struct ib_event event = report(IB_EVENT_ACCEPTED);
    event.order_type = IB_ORDER_MARKET;
    event.time_in_force = IB_TIME_IN_FORCE_IOC;
    (void)ib_ouch_encode(out, &event, "AAPL    ");
    EXPECT(memcmp(out + 26, "\0\0\0\0\x7f\xff\xff\xff" "3", 9) == 0);
}

static const struct test_case cases[] = {
    CASE(reads_an_enter_order), CASE(reads_replace_cancel_query), CASE(reads_modify), CASE(refuses_every_wrong_size),
    CASE(rejects_what_is_not_carried), CASE(reads_prices_at_their_limits), CASE(accepts_options_that_ask_for_nothing),
    CASE(reads_what_rules_2_carry), CASE(order_entry_is_switched),
    CASE(refuses_an_appendage_that_does_not_add_up), CASE(writes_every_report),
    CASE(writes_every_reason_of_a_cancel), CASE(writes_every_reason_of_a_reject),
    CASE(writes_rejects_with_the_codes_of_ouch), CASE(a_market_order_is_echoed_as_one),
};

TEST_MAIN("test_ouch50", cases)
