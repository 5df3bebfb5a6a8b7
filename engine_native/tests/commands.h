/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * commands.h: short ways to write commands in the tests of the core.
 */
#ifndef IB_TEST_COMMANDS_H
#define IB_TEST_COMMANDS_H

#include <string.h>

#include "ironbook_core.h"

/* seq and time_ns are set by whoever applies. */
static inline struct ib_command instrument_add(uint32_t index, const char symbol[9], int64_t tick)
{
    struct ib_command command = {.type = IB_COMMAND_INSTRUMENT_ADD, .instrument = index, .price = tick};
    memcpy(command.client_data, symbol, IB_SYMBOL_SIZE);
    return command;
}

static inline struct ib_command session_add(uint16_t index, const char name[11])
{
    struct ib_command command = {.type = IB_COMMAND_SESSION_ADD, .session = index};
    memcpy(command.client_data, name, IB_USERNAME_SIZE + IB_FIRM_SIZE);
    return command;
}

static inline struct ib_command enter(uint16_t session, uint32_t user_ref, uint8_t side, uint64_t quantity,
                                      int64_t price)
{
    return (struct ib_command){
        .type = IB_COMMAND_ENTER,
        .session = session,
        .user_ref = user_ref,
        .side = side,
        .quantity = quantity,
        .price = price,
        .order_type = IB_ORDER_LIMIT,
        .time_in_force = IB_TIME_IN_FORCE_DAY,
        .client_data = "order",
    };
}

static inline struct ib_command replace(uint16_t session, uint32_t original, uint32_t user_ref, uint64_t quantity,
                                        int64_t price)
{
    struct ib_command command = enter(session, user_ref, 0, quantity, price);
    command.type = IB_COMMAND_REPLACE;
    command.user_ref_original = original;
    return command;
}

static inline struct ib_command cancel(uint16_t session, uint32_t user_ref, uint64_t quantity)
{
    return (struct ib_command){
        .type = IB_COMMAND_CANCEL, .session = session, .user_ref = user_ref, .quantity = quantity};
}

/* A sale is to be marked as a short one, and to have `quantity` in all. */
static inline struct ib_command modify(uint16_t session, uint32_t user_ref, uint64_t quantity)
{
    struct ib_command command = cancel(session, user_ref, quantity);
    command.type = IB_COMMAND_MODIFY;
    command.side = IB_SIDE_SELL;
    command.client_data[14] = 'T';
    return command;
}

static inline struct ib_command control(uint16_t type)
{
    return (struct ib_command){.type = type};
}

#endif
