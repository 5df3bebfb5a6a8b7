# SPDX-License-Identifier: GPL-3.0-or-later
"""Slippage and fill ratio: by hand, and against a second calculation that looks at the book itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from core_events import event
from ironbook import core
from ironbook.core.errors import ArgumentError
from ironbook.core.records import Command, EventFlag, EventType
from ironbook.execution_quality import Quality, accounts_of, measure
from unit.core.flow import ENTER, REPLACE, Flow
from unit.core.oracle import Oracle

BUY, SELL = 1, 2
E, F = EventType, EventFlag


def test_by_hand() -> None:
    """A buys 5 at 100 and 5 at 101 where 100 was the best offer; the last 2 rest, and fill at 101."""
    events = [
        event(type=E.ACCEPTED, session=1, side=SELL, order_ref=1, price=100, quantity=5, remaining=5),
        event(type=E.RESTED, side=SELL, order_ref=1, price=100, remaining=5, flags=F.RESTING),
        event(type=E.ACCEPTED, session=1, side=SELL, order_ref=2, price=101, quantity=5, remaining=5),
        event(type=E.RESTED, side=SELL, order_ref=2, price=101, remaining=5, flags=F.RESTING),
        event(type=E.ACCEPTED, session=0, side=BUY, order_ref=3, price=101, quantity=14, remaining=14),
        event(type=E.EXECUTED, session=1, side=SELL, order_ref=1, price=100, quantity=5, flags=F.RESTING),
        event(type=E.EXECUTED, session=0, side=BUY, order_ref=3, price=100, quantity=5, remaining=9),
        event(type=E.EXECUTED, session=1, side=SELL, order_ref=2, price=101, quantity=5, flags=F.RESTING),
        event(type=E.EXECUTED, session=0, side=BUY, order_ref=3, price=101, quantity=5, remaining=4),
        event(type=E.RESTED, side=BUY, order_ref=3, price=101, remaining=4, flags=F.RESTING),
        event(type=E.ACCEPTED, session=1, side=SELL, order_ref=4, price=99, quantity=2, remaining=2),
        event(type=E.EXECUTED, session=0, side=BUY, order_ref=3, price=101, quantity=2, remaining=2, flags=F.RESTING),
        event(type=E.EXECUTED, session=1, side=SELL, order_ref=4, price=101, quantity=2),
        event(type=E.CANCELED, session=0, side=BUY, order_ref=3, price=101, quantity=2, flags=F.RESTING),
    ]
    found = measure(events, {0: "A", 1: "B"})
    assert found["A"] == Quality(1, 14, 12, 0, 5 * 0 + 5 * 1 + 2 * 1, 12 * 100)
    assert found["A"].figures()["fill_ratio_millionths"] == 857_143
    assert found["A"].figures()["slippage_bp_hundredths"] == 5_833  # 7 of 1,200
    # B's first two had nothing to arrive at; its last sold where it met 101.
    assert found["B"] == Quality(3, 12, 12, 10, 0, 2 * 101)


class Beside:
    """The second calculation: orders by their owners' numbers, arrival prices from the matcher's own live orders."""

    def __init__(self, accounts: dict[int, str]) -> None:
        self.accounts = accounts
        self.found: dict[str, list[int]] = {}
        self.orders: dict[tuple[int, int], dict[str, Any]] = {}

    def arrival(self, matcher: core.Matcher, command: Command) -> int | None:
        """What an order would arrive at: best visible price of the other side, or the last trade's."""
        prices = [
            order.price for order in matcher.live_orders()
            if order.instrument == command.instrument and order.side == 3 - command.side and order.shown and order.price
        ]  # fmt: skip
        if prices:
            return min(prices) if command.side == BUY else max(prices)
        return matcher.instrument_state(command.instrument).last_price or None

    def take(self, command: Command, arrival: int | None, events: list[core.Event]) -> None:
        """Take what a command did."""
        for happened in events:
            key = (happened.session, happened.user_ref)
            if happened.type == E.ACCEPTED:
                row = self.found.setdefault(self.accounts[happened.session], [0] * 6)
                row[0] += 1
                row[1] += command.quantity
                self.orders[key] = {"row": row, "arrival": arrival, "total": command.quantity}
            elif happened.type == E.REPLACED:
                order = self.orders.pop((happened.session, happened.user_ref_original))
                order["row"][1] += command.quantity - order["total"]
                order["total"] = command.quantity
                self.orders[key] = order
            elif happened.type == E.EXECUTED:
                order = self.orders[key]
                row, quantity = order["row"], happened.quantity
                row[2] += quantity
                if order["arrival"] is None:
                    row[3] += quantity
                    continue
                paid = happened.price if happened.side == BUY else -happened.price
                wanted = order["arrival"] if happened.side == BUY else -order["arrival"]
                row[4] += (paid - wanted) * quantity
                row[5] += order["arrival"] * quantity


@pytest.mark.feature("ENG-06", by="U", part="slippage and fill ratio; no metric of them is published")
@pytest.mark.parametrize(("seed", "rules"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_against_a_second_calculation(seed: int, rules: int) -> None:
    """A seeded session over all order types, phases, auctions, icebergs, replacements and self-trades."""
    oracle, matcher = Oracle(3_000), core.Matcher(3_000)
    flow = Flow(seed, oracle, rules=rules)
    commands: list[Command] = []
    events: list[core.Event] = []
    beside: Beside | None = None

    def step(fields: dict[str, Any]) -> None:
        command = Command(**fields)
        arrival = None
        if beside is not None and command.type == ENTER and command.side in {BUY, SELL}:
            with suppress(ArgumentError):  # an instrument that there is not: nothing is accepted
                arrival = beside.arrival(matcher, command)
        oracle.apply(fields)
        done = matcher.apply([command])
        commands.append(command)
        events.extend(done)
        if beside is not None:
            beside.take(command, arrival, done)

    for fields in flow.definitions():
        step(fields)
    beside = Beside(accounts_of(commands))
    for _ in range(4_000):
        step(flow.next())
    accounts = accounts_of(commands)
    found = measure(events, accounts)
    assert {name: Quality(*row) for name, row in beside.found.items()} == found
    executed = sum(quality.executed for quality in found.values())
    assert executed == 2 * matcher.totals().quantity > 0
    assert all(quality.slippage != 0 for quality in found.values())
    assert sum(command.type == REPLACE for command in commands) > 100
