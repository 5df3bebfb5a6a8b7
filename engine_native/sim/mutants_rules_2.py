# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in what rules 2 have added, each of which the flow against the oracle must notice: name, file, line, fault."""

from __future__ import annotations

MUTANTS = [
    # priority and matching
    ("hidden orders come first at a price", "matcher_match", "hidden)->key < ib", "hidden)->key <= ib"),
    ("an iceberg keeps its place", "matcher_match", "ib_book_requeue(book, index, ib_turn_next_ref(turn));", ""),
    (
        "an iceberg shows all of itself",
        "matcher_match",
        "displayed < remaining ? displayed : remaining);",
        "remaining);",
    ),
    (
        "cancel the oldest cancels both",
        "matcher_match",
        "if (arrival->self_trade != IB_SELF_TRADE_CANCEL_OLDEST)",
        "if (1)",
    ),
    (
        "sessions of one account are strangers",
        "matcher_match",
        "(account != 0 && account == ib_matcher_account(matcher, arrival->order.session))",
        "0",
    ),
    ("account 0 is one account", "matcher_match", "(account != 0 && account == ib", "(account == ib"),
    ("a self-trade takes no quantity off", "matcher_match", "ib_book_shrink(book, index, open - quantity);", ""),
    ("a band's edge is outside", "matcher_match", "> (ib_uint128)bands->band[i]", ">= (ib_uint128)bands->band[i]"),
    (
        "the dynamic band is static",
        "matcher_match",
        "ib_matcher_base(matcher, index)}",
        "instrument->reference_price}",
    ),
    ("a breach does the other thing", "matcher_match", "breach == IB_BREACH_HALT", "breach != IB_BREACH_HALT"),
    ("fill or kill fills in part", "matcher_match", "&bands, arrival->order.remaining)", "&bands, 1)"),
    ("a minimum of one is enough", "matcher_match", "&bands, arrival->minimum)", "&bands, 1)"),
    ("own orders count as available", "matcher_match", "*met_own = 1;\n            break;", "continue;"),
    ("a trade leaves no price", "matcher_match", "ib_matcher_set_last_price(matcher, instrument, price);", ""),
    ("the path looks at nothing special", "matcher_path.h", "if (instrument->special != 0 &&", "if (0 &&"),
    ("post only takes", "matcher_order", "(command->flags & IB_ORDER_POST_ONLY) != 0 &&", "0 &&"),
    ("a replacement grows in its place", "matcher_order", "incoming->remaining <= ib_order_remaining(order);", "1;"),
    (
        "a hidden order shows itself where it stands",
        "matcher_order",
        "incoming->is_hidden == (ib_level_place(level) == IB_PLACE_HIDDEN) &&",
        "",
    ),
    ("any number of slices", "terms", "return command->displayed == 0 || ", "return 1 || "),
    (
        "numbers begin at the beginning",
        "matcher",
        "matcher->order_ref = turn->command->seq;",
        "matcher->order_ref = 0;",
    ),
    # parked orders
    ("a stop waits one tick longer", "matcher_stop", "stop_price <= last :", "stop_price < last :"),
    (
        "the farthest stop goes first",
        "book_rare.h",
        "return ib_book_key(side_number ^ 1, ticks);",
        "return ib_book_key(side_number, ticks);",
    ),
    (
        "a released order keeps its number",
        "matcher_stop",
        ".order_ref = ib_turn_next_ref(turn),",
        ".order_ref = ib_order_ref(order),",
    ),
    (
        "the newest goes to the close first",
        "matcher_phase",
        "ib_order_ref(ib_book_order(book, head)) <",
        "ib_order_ref(ib_book_order(book, head)) >",
    ),
    (
        "the latest expires first",
        "book_expiry",
        "return a->expire_time_ns < b->expire_time_ns;",
        "return a->expire_time_ns > b->expire_time_ns;",
    ),
    # auctions
    ("the most surplus wins", "auction", "surplus > auction->surplus", "surplus < auction->surplus"),
    (
        "buys press the price down",
        "auction",
        "if (auction->buys_press) {\n        return auction->high;",
        "if (auction->buys_press) {\n        return auction->low;",
    ),
    (
        "the reference price is taken as it is",
        "auction",
        "reference < auction->high ? reference : auction->high",
        "reference",
    ),
    (
        "a bid is gone at its own price",
        "auction",
        "uint64_t demand = auction->demand;",
        "uint64_t demand = auction->demand - buys;",
    ),
    (
        "market orders stay out of the auction",
        "matcher_phase",
        "market_quantity(&sides, 0), market_quantity(&sides, 1));",
        "0, 0);",
    ),
    ("an auction moves no reference", "matcher_phase", "of->reference_price = outcome.price;", ""),
    ("an iceberg shows nothing after an auction", "matcher_phase", "ib_book_show(book, index, shown);", ""),
    ("market orders outlive the auction", "matcher_admin", "(ib_order_type(order) == IB_ORDER_MARKET || ", "("),
    ("GTC ends with the day", "matcher_admin", "time_in_force == IB_TIME_IN_FORCE_DAY ||", "1 ||"),
    # risk and arithmetic
    ("what is open does not count", "risk", "position + open -", "position -"),
    ("the replaced order counts twice", "risk", " - order->replaced + order->quantity", " + order->quantity"),
    (
        "notional in 64 bits",
        "risk",
        "(ib_uint128)(uint64_t)price * order->quantity",
        "(uint64_t)price * order->quantity",
    ),
    ("a collar for the other side", "risk", "int128 away = order->is_sell ?", "int128 away = !order->is_sell ?"),
    ("the second never ends", "risk", "if (second != account->second) {", "if (0) {"),
    ("defaults overwrite own limits", "risk", "if ((risk->pairs[row].own & 1u << limit) == 0) {", "if (1) {"),
    ("one open order too many", "risk", "open_orders >= limits", "open_orders > limits"),
    ("the path lets any quantity through", "risk.h", "quantity - 1 < row->order_quantity &&", ""),
    ("the path counts no open orders", "risk.h", " && row->open_orders < row->open_orders_max;", ";"),
    ("a killed account passes the path", "risk", "account->killed ? 0 : account->limits", "account->limits"),
    (
        "a trade leaves the other side's room",
        "risk.h",
        "quantity);\n    row->open_orders -= orders;\n    risk",
        "0);\n    row->open_orders -= orders;\n    risk",
    ),
    ("a new limit leaves the room", "risk", "ib_risk_sum(row->room[0], value - before)", "row->room[0]"),
    ("a killed account keeps its orders", "matcher_admin", "    if (killed) {", "    if (0) {"),
    ("a mass cancel takes both sides", "matcher_admin", "selection->side != ib_level_side(level)", "0"),
]
