/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * matcher_gate.h: the risk gate on the path of a plain order (matcher_path.h).
 */
#ifndef IB_MATCHER_GATE_H
#define IB_MATCHER_GATE_H

#include "matcher_state.h"

IB_INLINE struct ib_risk_order ib_path_risk_order(const struct ib_matcher *matcher, const struct ib_command *command,
                                                  uint16_t account)
{
    return (struct ib_risk_order){
        .account = account,
        .order_type = IB_ORDER_LIMIT,
        .is_sell = (uint8_t)ib_side_number(command->side),
        .quantity = command->quantity,
        .price = command->price,
        .base = ib_matcher_base(matcher, command->instrument),
        .instrument = command->instrument,
        .row = ib_risk_find(&matcher->risk, account, command->instrument),
    };
}

/* As ib_path_gate, where one of its comparisons has failed; most of all for the first order of an account in an
 * instrument, which has no row yet. A turn of its own, so that the path's may live in registers. */
static __attribute__((noinline)) uint32_t ib_path_gate_closely(struct ib_matcher *matcher,
                                                               const struct ib_command *command, uint16_t account,
                                                               struct ib_event_sink sink)
{
    struct ib_risk_order order = ib_path_risk_order(matcher, command, account);
    uint8_t refusal = ib_risk_refusal(&matcher->risk, &order);
    if (refusal == IB_REASON_NONE) {
        return ib_risk_make(&matcher->risk, account, command->instrument);
    }
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    ib_turn_reject(&turn, refusal);
    return 0;
}

/* Both ways to judge an order say the same. */
static inline int ib_path_gate_agrees(const struct ib_matcher *matcher, const struct ib_command *command,
                                      uint16_t account)
{
    struct ib_risk_order order = ib_path_risk_order(matcher, command, account);
    return ib_risk_refusal(&matcher->risk, &order) == IB_REASON_NONE && order.row != 0;
}

/* The risk row of a plain order that the gate lets in; 0: it was rejected. */
IB_INLINE uint32_t ib_path_gate(struct ib_turn *turn, uint16_t account, uint32_t side_number)
{
    struct ib_matcher *matcher = turn->matcher;
    const struct ib_command *command = turn->command;
    uint32_t row = ib_risk_find(&matcher->risk, account, command->instrument);
    ib_risk_count_message(&matcher->risk, account, command->time_ns);
    if (IB_LIKELY(ib_risk_admits(&matcher->risk.accounts[account], &matcher->risk.rows[row], side_number,
                                 command->quantity, command->price, ib_matcher_base(matcher, command->instrument)))) {
        IB_EXPECT(ib_path_gate_agrees(matcher, command, account));
        return row;
    }
    row = ib_path_gate_closely(matcher, command, account, turn->sink);
    turn->index += row == 0 ? 1u : 0u;
    return row;
}

#endif
