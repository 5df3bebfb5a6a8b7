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

/* Both ways to judge an order say the same. */
static inline int ib_path_gate_agrees(const struct ib_matcher *matcher, const struct ib_command *command,
                                      uint16_t account)
{
    struct ib_risk_order order = ib_path_risk_order(matcher, command, account);
    return ib_risk_refusal(&matcher->risk, &order) == IB_REASON_NONE && order.row != 0;
}

/* The risk row of a plain order against which surely no limit speaks. Null: perhaps one does, or it is the first order
 * of its account in the instrument or in this second. An order of account 0 has no limits and row 0. */
IB_INLINE struct ib_risk_row *ib_path_gate(const struct ib_matcher *matcher, const struct ib_command *command,
                                           const struct ib_book_instrument *instrument,
                                           const struct ib_session *session, uint64_t side_number)
{
    uint16_t account = session->account;
    if (account == 0) {
        return command->quantity - 1 < IB_QUANTITY_MAX ? matcher->risk.rows : NULL;
    }
    const struct ib_risk_account *of = &matcher->risk.accounts[account];
    struct ib_risk_row *row = ib_session_row(matcher, session, command->instrument);
    IB_KEEP(of);
    IB_KEEP(row);
    IB_EXPECT(instrument->base_price == ib_matcher_base(matcher, command->instrument));
    return IB_LIKELY(ib_risk_admits_message(of, command->time_ns) &&
                     ib_risk_admits(row, side_number, command->quantity, command->price, instrument->base_price))
               ? row
               : NULL;
}

#endif
