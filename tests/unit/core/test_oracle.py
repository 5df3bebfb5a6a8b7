# SPDX-License-Identifier: GPL-3.0-or-later
"""The core against the oracle: a seeded flow, and short sequences that Hypothesis finds and shrinks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.core.differential import Pair
from unit.core.flow import Flow
from unit.core.oracle_book import Order

SESSIONS = 2
CAPACITY = 4
ENTER, REPLACE, CANCEL = 3, 4, 5

small = st.integers(min_value=0, max_value=5)
price = st.one_of(
    st.integers(min_value=98, max_value=103),
    st.sampled_from([100, 200, 300, 150, 0, -1, -(2**63), 2**63 - 1, 2**63 - 8]),
)
quantity = st.one_of(st.integers(min_value=1, max_value=20), st.sampled_from([0, 2**40 - 1, 2**40, 2**64 - 1]))
terms = {
    "price": price,
    "quantity": quantity,
    "order_type": st.sampled_from([1, 1, 1, 2, 9]),
    "time_in_force": st.sampled_from([0, 0, 0, 3, 1]),
}
session = st.sampled_from([0, 0, 1, 1, 7])


def fields(**strategies: Any) -> st.SearchStrategy[dict[str, int]]:
    """Return a strategy for the fields of one kind of command."""
    return st.fixed_dictionaries(strategies)


enter = fields(
    session=session,
    step=small,
    instrument=st.sampled_from([0, 0, 0, 1, 9]),
    side=st.sampled_from([1, 1, 2, 2, 3]),
    **terms,
)
replacing = fields(session=session, step=small, back=small, **terms)
cancelling = fields(session=session, back=small, quantity=st.one_of(st.just(0), st.integers(0, 25)))
command = st.one_of(
    st.tuples(st.just(ENTER), enter),
    st.tuples(st.just(ENTER), enter),
    st.tuples(st.just(REPLACE), replacing),
    st.tuples(st.just(CANCEL), cancelling),
    st.tuples(st.sampled_from([6, 7, 7, 7, 8]), st.just({})),
)


def number(kind: int, c: dict[str, int], used: list[int]) -> dict[str, int]:
    """Replace `step` and `back`, which shrink well, by the numbers that a client would use."""
    c = dict(c)
    seen = used[c.get("session", 0) % SESSIONS]
    if "step" in c:
        c["user_ref"] = seen + c.pop("step")
    if "back" in c:
        c["user_ref_original" if kind == REPLACE else "user_ref"] = max(0, seen - c.pop("back"))
    if kind in (ENTER, REPLACE):
        used[c["session"] % SESSIONS] = max(seen, c["user_ref"])
    return c


def compare(script: list[tuple[int, dict[str, int]]]) -> None:
    """Run a script through both, and compare the whole state after each command."""
    pair = Pair(CAPACITY)
    used = [0] * SESSIONS
    with pair.core:
        flow = Flow(0, pair.oracle, rules=1)
        pair.run(flow.definitions())
        pair.run((flow.command(kind, **number(kind, drawn, used)) for kind, drawn in script), every=1)


@settings(max_examples=300)
@given(st.lists(command, max_size=25))
def test_core_and_oracle_say_the_same(script: list[tuple[int, dict[str, int]]]) -> None:
    """Every event, sum and count is the same after each command."""
    compare(script)


def test_the_comparison_notices_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an oracle that gives the newest order priority is told apart."""
    sell = {"session": 0, "step": 1, "instrument": 0, "side": 2, "price": 100, "quantity": 5, "order_type": 1}
    buy = {**sell, "session": 1, "side": 1}
    script = [(ENTER, sell), (ENTER, sell), (ENTER, buy)]
    compare(script)
    key = Order.key
    monkeypatch.setattr(Order, "key", lambda order: (*key(order)[:2], -order.ref))
    with pytest.raises(AssertionError):
        compare(script)
