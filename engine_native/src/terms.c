/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * terms.c: see terms.h. One function for each rule, called in their order.
 */
#include "terms.h"

/* Rule 5. */
static int is_order_type(const struct ib_command *command, uint32_t rules)
{
    IB_ASSERT(rules >= IB_RULES_1 && rules <= IB_RULES_NEWEST);
    uint8_t newest = rules == IB_RULES_1 ? IB_ORDER_MARKET : IB_ORDER_STOP_LIMIT;
    return command->order_type >= IB_ORDER_LIMIT && command->order_type <= newest;
}

/* Rule 6. */
static int is_time_in_force(const struct ib_command *command, uint32_t rules)
{
    IB_ASSERT(rules >= IB_RULES_1);
    uint8_t time_in_force = command->time_in_force;
    if (rules == IB_RULES_1) {
        return time_in_force == IB_TIME_IN_FORCE_DAY || time_in_force == IB_TIME_IN_FORCE_IOC;
    }
    switch (time_in_force) {
    case IB_TIME_IN_FORCE_DAY: return 1;
    case IB_TIME_IN_FORCE_GTC: return command->order_type != IB_ORDER_MARKET;
    case IB_TIME_IN_FORCE_GTD:
        return command->order_type != IB_ORDER_MARKET && command->expire_time_ns > command->time_ns;
    case IB_TIME_IN_FORCE_AT_OPEN:
    case IB_TIME_IN_FORCE_IOC:
    case IB_TIME_IN_FORCE_FOK:
    case IB_TIME_IN_FORCE_AT_CLOSE: return !ib_type_is_stop(command->order_type);
    default: return 0;
    }
}

/* Rule 7: attributes that nobody knows, or that contradict each other. */
static int are_attributes(const struct ib_command *command)
{
    IB_ASSERT(command->order_type >= IB_ORDER_LIMIT && command->order_type <= IB_ORDER_STOP_LIMIT);
    uint8_t type = command->order_type;
    uint8_t time_in_force = command->time_in_force;
    int hidden = (command->flags & IB_ORDER_HIDDEN) != 0;
    int post_only = (command->flags & IB_ORDER_POST_ONLY) != 0;
    if ((command->flags & ~(IB_ORDER_HIDDEN | IB_ORDER_POST_ONLY)) != 0 ||
        command->self_trade > IB_SELF_TRADE_DECREMENT) {
        return 0;
    }
    if (post_only && (type != IB_ORDER_LIMIT || !ib_time_in_force_lasts(time_in_force) || command->minimum > 0)) {
        return 0;
    }
    if ((hidden || command->displayed > 0) && !ib_type_has_limit(type)) {
        return 0;
    }
    if (hidden && command->displayed > 0) {
        return 0;
    }
    return command->minimum == 0 || (!ib_type_is_stop(type) && time_in_force != IB_TIME_IN_FORCE_AT_OPEN &&
                                     time_in_force != IB_TIME_IN_FORCE_AT_CLOSE);
}

static int is_part(uint64_t part, uint64_t open, uint64_t lot)
{
    IB_ASSERT(lot >= 1);
    return part <= open && (lot == 1 || part % lot == 0);
}

/* Rule 8. */
static int are_quantities(const struct ib_command *command, uint64_t lot, uint64_t executed)
{
    IB_ASSERT(lot >= 1);
    IB_ASSERT(executed <= IB_QUANTITY_MAX);
    if (command->quantity > IB_QUANTITY_MAX || command->quantity <= executed) {
        return 0;
    }
    uint64_t open = command->quantity - executed;
    if (!is_part(open, open, lot) || !is_part(command->displayed, open, lot) ||
        !is_part(command->minimum, open, lot)) {
        return 0;
    }
    return command->displayed == 0 || command->displayed * IB_SLICES_MAX >= open; /* < 2^46: it was found <= open */
}

/* Rule 9. */
static int are_prices(const struct ib_command *command, const struct ib_book_instrument *instrument,
                      struct ib_terms *terms)
{
    IB_ASSERT(instrument->tick >= 1);
    if (ib_type_has_limit(command->order_type) && !ib_book_ticks(instrument, command->price, &terms->ticks)) {
        return 0;
    }
    return !ib_type_is_stop(command->order_type) ||
           ib_book_ticks(instrument, command->stop_price, &terms->stop_ticks);
}

/* Rule 10. */
static uint8_t refusal_of_phase(const struct ib_command *command, uint8_t phase)
{
    IB_ASSERT(phase <= IB_PHASE_CLOSING_AUCTION);
    if (phase == IB_PHASE_HALTED) {
        return IB_REASON_HALTED;
    }
    if (phase == IB_PHASE_CLOSED) {
        return IB_REASON_PHASE;
    }
    int at_once = ib_time_in_force_is_immediate(command->time_in_force) || command->minimum > 0 ||
                  (command->flags & IB_ORDER_POST_ONLY) != 0;
    if (phase != IB_PHASE_CONTINUOUS && at_once) {
        return IB_REASON_PHASE;
    }
    if (command->time_in_force == IB_TIME_IN_FORCE_AT_OPEN && phase != IB_PHASE_PRE_OPEN &&
        phase != IB_PHASE_OPENING_AUCTION) {
        return IB_REASON_PHASE;
    }
    return IB_REASON_NONE;
}

uint8_t ib_terms_refusal(const struct ib_command *command, const struct ib_terms_frame *frame, struct ib_terms *terms)
{
    IB_ASSERT(command != NULL && frame != NULL);
    IB_ASSERT(frame->rules != IB_RULES_1 || frame->phase == IB_PHASE_CONTINUOUS);
    *terms = (struct ib_terms){0};
    if (!is_order_type(command, frame->rules)) {
        return IB_REASON_ORDER_TYPE_INVALID;
    }
    if (!is_time_in_force(command, frame->rules)) {
        return IB_REASON_TIME_IN_FORCE_INVALID;
    }
    if (!are_attributes(command)) {
        return IB_REASON_FLAGS_INVALID;
    }
    if (!are_quantities(command, frame->lot, frame->executed)) {
        return IB_REASON_QUANTITY_INVALID;
    }
    if (!are_prices(command, frame->instrument, terms)) {
        return IB_REASON_PRICE_INVALID;
    }
    return refusal_of_phase(command, frame->phase);
}
