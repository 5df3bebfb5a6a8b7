# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs commands through the core and through the oracle, and compares every byte of every event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ironbook.core import Matcher
from ironbook.core.records import COMMAND, unpack_events
from unit.core.flow import FIELDS, Flow
from unit.core.oracle import Oracle


class Pair:
    """A core and an oracle with room for `capacity` orders, at the same command."""

    def __init__(self, capacity: int) -> None:
        """Open both."""
        self.oracle = Oracle(capacity)
        self.core = Matcher(capacity)

    def step(self, command: dict[str, Any]) -> None:
        """Apply one command to both. Raises AssertionError at the first event that differs."""
        expected = self.oracle.apply(command)
        buffer = self.core.apply_packed(COMMAND.pack(*[command[name] for name in FIELDS]))
        events = [tuple(event) for event in unpack_events(buffer)]
        assert events == expected, f"after { ({k: v for k, v in command.items() if v}) }"

    def compare_state(self) -> None:
        """Compare sums and what is live, and let the core check all of its invariants."""
        self.core.check()
        totals, oracle = self.core.totals(), self.oracle
        assert totals.orders_open == len(oracle.live)
        sums = (totals.trades, totals.quantity, totals.notional, totals.rejects)
        assert sums == (oracle.trades, oracle.quantity, oracle.notional, oracle.rejects)

    def run(self, commands: Iterable[dict[str, Any]], every: int = 100) -> None:
        """Apply all commands; compare the whole state each `every` of them and at the end."""
        for number, command in enumerate(commands):
            self.step(command)
            if number % every == 0:
                self.compare_state()
        self.compare_state()


def run_flow(seed: int, steps: int, *, capacity: int, rules: int) -> Oracle:
    """Run a seeded flow through both; return the oracle."""
    pair = Pair(capacity)
    with pair.core:
        flow = Flow(seed, pair.oracle, rules=rules)
        pair.run(flow.definitions())
        pair.run(flow.next() for _ in range(steps))
    return pair.oracle
