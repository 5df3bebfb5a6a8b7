/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_gate.h: the risk gate on the path of a plain order (matcher_path.h).
 */
#ifndef IB_MATCHER_GATE_H
#define IB_MATCHER_GATE_H

#include "matcher_state.h"

/* The risk row of a plain order that the gate lets in; 0: it was rejected. */
IB_INLINE uint32_t ib_path_gate(struct ib_turn *turn, uint16_t account, uint32_t side_number)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    struct ib_risk_order order = {
        .account = account,
        .order_type = IB_ORDER_LIMIT,
        .is_sell = (uint8_t)side_number,
        .quantity = command->quantity,
        .price = command->price,
        .base = ib_matcher_base(matcher, command->instrument),
        .instrument = command->instrument,
        .row = ib_risk_find(&matcher->risk, account, command->instrument),
    };
    ib_risk_count_message(&matcher->risk, account, command->time_ns);
    uint8_t reason = ib_risk_refusal(&matcher->risk, &order);
    if (IB_LIKELY(reason == IB_REASON_NONE)) {
        return IB_LIKELY(order.row != 0) ? order.row : ib_risk_make(&matcher->risk, account, command->instrument);
    }
    ib_turn_reject(turn, reason);
    return 0;
}

#endif
