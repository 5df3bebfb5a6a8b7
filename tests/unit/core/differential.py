# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands through the core and through the oracle, and compares every byte of every event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ironbook.core import Matcher
from ironbook.core.records import COMMAND, unpack_events
from unit.core.flow import FIELDS, Flow
from unit.core.oracle import Oracle
from unit.core.oracle_book import GTD, IN_AT_CLOSE, IN_STOP, MODIFIED, PHASE, Order


def live_order(o: Order) -> tuple[int, ...]:
    """Return an order of the oracle in the fields of `struct ib_live_order`."""
    parked = o.place in (IN_STOP, IN_AT_CLOSE)
    return (
        o.ref, o.price, o.stop_price if o.place == IN_STOP else 0, o.open, o.shown(), o.displayed, o.filled,
        o.expires if o.tif == GTD else 0, o.instrument, o.user_ref, o.session, o.side, o.tif, o.kind, o.place,
        o.self_trade if parked else 0,
    )  # fmt: skip


class Pair:
    """A core and an oracle with room for `capacity` orders, at the same command."""

    def __init__(self, capacity: int) -> None:
        """Open both."""
        self.oracle = Oracle(capacity)
        self.seen: Counter[tuple[str, int]] = Counter()  # what the events have said
        self.deepest = 0
        self.core = Matcher(capacity)

    def step(self, command: dict[str, Any]) -> None:
        """Apply one command to both. Raises AssertionError at the first event that differs."""
        expected = self.oracle.apply(command)
        buffer = self.core.apply_packed(COMMAND.pack(*[command[name] for name in FIELDS]))
        events = [tuple(event) for event in unpack_events(buffer)]
        assert events == expected, f"after { ({k: v for k, v in command.items() if v}) }"
        self.deepest = max(self.deepest, len(self.oracle.live))
        for event in unpack_events(buffer):
            self.seen["type", event.type] += 1
            self.seen["reason", event.reason] += 1
            if event.type == PHASE:
                self.seen["phase", event.phase] += 1
            self.seen.update(("flag", flag) for flag in (1, 2, 4, 8, 16) if event.flags & flag)

    def compare_state(self) -> None:
        """Compare sums and what is live, and let the core check all of its invariants."""
        self.core.check()
        totals, oracle = self.core.totals(), self.oracle
        assert totals.orders_open == len(oracle.live)
        sums = (totals.trades, totals.quantity, totals.notional, totals.rejects)
        assert sums == (oracle.trades, oracle.quantity, oracle.notional, oracle.rejects)
        assert self.core.rules() == oracle.rules
        assert [tuple(order) for order in self.core.live_orders()] == [live_order(o) for o in oracle.walk()]
        due = [o.expires for o in oracle.live.values() if o.tif == GTD]
        assert self.core.next_expiry_ns() == (min(due) if due else None)
        for index, i in enumerate(oracle.instruments):
            state = self.core.instrument_state(index)
            assert (state.tick, state.lot, state.reference_price, state.last_price) == (
                i.tick, i.lot, i.reference, i.last,
            )  # fmt: skip
            assert (state.static_band, state.dynamic_band) == (i.static_band, i.dynamic_band)
            assert (state.phase, state.breach, state.removed) == (i.phase, i.breach, i.removed)
            for account in range(1, len(oracle.accounts)):
                assert tuple(self.core.risk_state(account, index)) == oracle.risk_state(account, index)

    def run(self, commands: Iterable[dict[str, Any]], every: int = 100) -> None:
        """Apply all commands; compare the whole state each `every` of them and at the end."""
        for number, command in enumerate(commands):
            self.step(command)
            if number % every == 0:
                self.compare_state()
        self.compare_state()


# What a flow of rules 2 must have reached: every type of event, reason, phase and flag. EVENT_LOG_FULL is the gateway's
# reason, as UNSUPPORTED is, which stands for both; RISK_TABLE_FULL takes a thousand pairs (test_risk.c).
EVERYTHING_OF_RULES_2 = (
    {("type", kind) for kind in range(1, 15)}
    | {("reason", reason) for reason in (*range(1, 12), *range(16, 25), *range(26, 30), *range(32, 39))}
    | {("phase", phase) for phase in range(7)}
    | {("flag", flag) for flag in (1, 2, 4, 8, 16)}
)
EVERYTHING = EVERYTHING_OF_RULES_2 | {("type", MODIFIED)}


def run_flow(seed: int, steps: int, *, capacity: int, rules: int) -> Pair:
    """Run a seeded flow through both, and end its day; return both, the core closed."""
    pair = Pair(capacity)
    with pair.core:
        flow = Flow(seed, pair.oracle, rules=rules)
        pair.run(flow.definitions())
        pair.run(flow.next() for _ in range(steps))
        pair.run([flow.command(8), flow.command(7), flow.next()])
    return pair
