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
static __attribute__((noinline)) struct ib_risk_row *ib_path_gate_closely(struct ib_matcher *matcher,
                                                                          const struct ib_command *command,
                                                                          uint16_t account, struct ib_event_sink *sink)
{
    struct ib_risk_order order = ib_path_risk_order(matcher, command, account);
    IB_ASSERT(account > 0 && command->type == IB_COMMAND_ENTER);
    uint8_t refusal = ib_risk_refusal(&matcher->risk, &order);
    if (refusal == IB_REASON_NONE) {
        return &matcher->risk.rows[ib_risk_make(&matcher->risk, account, command->instrument)];
    }
    struct ib_turn turn = {.matcher = matcher, .command = command, .sink = sink};
    ib_turn_reject(&turn, refusal);
    return NULL;
}

/* Both ways to judge an order say the same. */
static inline int ib_path_gate_agrees(const struct ib_matcher *matcher, const struct ib_command *command,
                                      uint16_t account)
{
    struct ib_risk_order order = ib_path_risk_order(matcher, command, account);
    return ib_risk_refusal(&matcher->risk, &order) == IB_REASON_NONE && order.row != 0;
}

/* The risk row of a plain order that the gate lets in; null: it was rejected. */
IB_INLINE struct ib_risk_row *ib_path_gate(struct ib_turn *turn, uint16_t account, uint32_t instrument,
                                           uint32_t side_number, const struct ib_incoming *incoming, int reporting)
{
    struct ib_matcher *matcher = turn->matcher;
    struct ib_risk_account *of = &matcher->risk.accounts[account];
    struct ib_risk_row *row = &matcher->risk.rows[ib_risk_find(&matcher->risk, account, instrument)];
    IB_KEEP(of);
    IB_KEEP(row);
    ib_risk_count_message(of, turn->command->time_ns);
    int64_t base = ib_matcher_base(matcher, instrument);
    if (IB_LIKELY(ib_risk_admits(of, row, side_number, incoming->remaining, incoming->price, base))) {
        IB_EXPECT(ib_path_gate_agrees(matcher, turn->command, account));
        return row;
    }
    row = ib_path_gate_closely(matcher, turn->command, account, reporting ? turn->sink : NULL);
    turn->index += row == NULL ? 1u : 0u;
    return row;
}

#endif
