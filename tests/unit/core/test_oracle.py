# SPDX-License-Identifier: GPL-3.0-or-later
"""Short sequences of commands, found and shrunk by Hypothesis, through the core and through the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ironbook.core import Command, Event, Matcher
from ironbook.core.records import SESSION_NONE, CommandType, EventType, instrument_add, session_add
from unit.core.oracle import Oracle, Said

TICKS = [1, 100]
SESSIONS = 2
CAPACITY = 4

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
    instrument=st.sampled_from([0, 0, 0, 1, 2]),
    side=st.sampled_from([1, 1, 2, 2, 3]),
    **terms,
)
replacing = fields(session=session, step=small, back=small, **terms)
cancelling = fields(session=session, back=small, quantity=st.one_of(st.just(0), st.integers(0, 25)))
command = st.one_of(
    st.tuples(st.just("ENTER"), enter),
    st.tuples(st.just("ENTER"), enter),
    st.tuples(st.just("REPLACE"), replacing),
    st.tuples(st.just("CANCEL"), cancelling),
    st.tuples(st.sampled_from(["HALT", "RESUME", "RESUME", "RESUME", "END_OF_DAY"]), st.just({})),
)


def said_by_core(event: Event) -> Said:
    """Return an event of the core in the oracle's form."""
    return Said(
        EventType(event.type).name,
        None if event.session == SESSION_NONE else event.session,
        event.user_ref,
        event.quantity,
        event.remaining,
        event.price,
        event.order_ref,
        event.match_ref,
        event.reason,
        event.flags,
    )


def number(kind: str, c: dict[str, int], used: list[int]) -> dict[str, int]:
    """Replace `step` and `back`, which shrink well, by the numbers that a client would use."""
    c = dict(c)
    seen = used[c.get("session", 0) % SESSIONS]
    if "step" in c:
        c["user_ref"] = seen + c.pop("step")
    if "back" in c:
        c["user_ref_original" if kind == "REPLACE" else "user_ref"] = max(0, seen - c.pop("back"))
    if kind in ("ENTER", "REPLACE"):
        used[c["session"] % SESSIONS] = max(seen, c["user_ref"])
    return c


def compare(script: list[tuple[str, dict[str, int]]]) -> None:
    """Run a script through both and compare every event, the sums and the room that is left."""
    oracle = Oracle(list(TICKS), SESSIONS, CAPACITY)
    definitions = [instrument_add(1 + i, 0, i, f"SYM{i}", tick) for i, tick in enumerate(TICKS)]
    definitions += [session_add(3 + i, 0, i, f"USER{i}", "FIRM") for i in range(SESSIONS)]
    used = [0] * SESSIONS
    with Matcher(CAPACITY) as matcher:
        matcher.apply(definitions)
        for seq, (kind, drawn) in enumerate(script, start=len(definitions) + 1):
            c = number(kind, drawn, used)
            events = matcher.apply([Command(seq, seq, CommandType[kind], **c)])
            assert [said_by_core(event) for event in events] == oracle.apply(seq, kind, **c)
            assert [event.index for event in events] == list(range(len(events)))
            matcher.check()
            totals = matcher.totals()
            assert totals.orders_open == len(oracle.book)
            assert (totals.trades, totals.quantity, totals.notional) == (
                oracle.trades,
                oracle.quantity,
                oracle.notional,
            )


@settings(max_examples=300, deadline=None)
@given(st.lists(command, max_size=25))
def test_core_and_oracle_say_the_same(script: list[tuple[str, dict[str, int]]]) -> None:
    """Every event, sum and count is the same after each command."""
    compare(script)


def test_the_comparison_notices_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: an oracle that gives the newest order priority is told apart."""
    sell = {"session": 0, "step": 1, "instrument": 0, "side": 2, "price": 100, "quantity": 5, "order_type": 1}
    sell["time_in_force"] = 0
    buy = {**sell, "session": 1, "side": 1}
    script = [("ENTER", sell), ("ENTER", sell), ("ENTER", buy)]
    compare(script)
    work = Oracle._work

    def newest_first(self: Oracle, order: Any) -> list[Said]:
        for resting in self.book:
            resting.order_ref = -resting.order_ref
        said = work(self, order)
        for resting in self.book:
            resting.order_ref = abs(resting.order_ref)
        return [replace(one, order_ref=abs(one.order_ref)) for one in said]

    monkeypatch.setattr(Oracle, "_work", newest_first)
    with pytest.raises(AssertionError):
        compare(script)
