# SPDX-License-Identifier: GPL-3.0-or-later
"""The core against the oracle over seeded flows: every event byte by byte, the whole state every 100 commands.

tests/core_flow.py runs a million of them.
"""

from __future__ import annotations

from collections import Counter

import pytest
from unit.core.differential import EVERYTHING, run_flow
from unit.core.oracle_book import Book


@pytest.mark.parametrize("capacity", [12, 300])
def test_a_flow_of_rules_1(capacity: int) -> None:
    """What format 1 could say, in a book that is often full and in one that never is."""
    assert run_flow(7, 5_000, capacity=capacity, rules=1).oracle.trades > 100


def test_a_flow_of_rules_2() -> None:
    """A journal that never goes on to rules 3."""
    pair = run_flow(7, 5_000, capacity=300, rules=2)
    assert pair.oracle.trades > 100
    assert pair.oracle.rules == 2


@pytest.mark.slow
def test_flows_of_rules_3_reach_everything() -> None:
    """60,000 commands over every order type, phase and limit."""
    seen: Counter[tuple[str, int]] = Counter()
    for seed, capacity in ((1, 12), (2, 300), (3, 12), (4, 300)):
        pair = run_flow(seed, 15_000, capacity=capacity, rules=3)
        assert pair.oracle.trades > 500
        assert capacity == 12 or pair.deepest > 40
        seen |= pair.seen
    assert EVERYTHING - set(seen) == set()


def test_a_flow_notices_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an oracle whose icebergs say nothing of their next slice is told apart."""
    monkeypatch.setattr(Book, "slice_gone", lambda self, order: self.put(order, 0))
    with pytest.raises(AssertionError):
        run_flow(1, 15_000, capacity=300, rules=3)
