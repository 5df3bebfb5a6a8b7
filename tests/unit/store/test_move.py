# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbol's move as it stands in the store: what may stand there, and what may follow what."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from ironbook.store.errors import InvalidChangeError, ItemError, MalformedItemError, WrongShardError
from ironbook.store.items import from_json, to_json
from ironbook.store.move import STATES, Move, State

MOVE = Move("AAPL", 0, 1, 8, "moved", "continuous", "tick=1 lot=1", 90, 4, 70, 2, 5, "symbol_move:1:0123")


def at(state: State, **changes: Any) -> Move:
    """A move in a state, with all that it has to say then."""
    return replace(MOVE, **{"state": state} | changes)


def test_it_is_read_as_it_was_written() -> None:
    for state in STATES:
        move = at(state)
        assert Move.parse("move/AAPL", from_json("it", to_json(move.document())), 0) == move


@pytest.mark.parametrize("value", [None, True, 1.0, -1, 2**64, "\x00", "a\nb", [], {}, "x y" * 300])
def test_each_key_is_checked(value: Any) -> None:
    for name in MOVE.document():
        with pytest.raises(ItemError) as refused:
            Move.parse(MOVE.key, MOVE.document() | {name: value}, 0)
        assert name in str(refused.value)
        rest = {key: there for key, there in MOVE.document().items() if key != name}
        with pytest.raises(MalformedItemError, match=f"{name} is missing"):
            Move.parse(MOVE.key, rest, 0)
    with pytest.raises(WrongShardError, match="says that it is of AAPL"):
        Move.parse("move/MSFT", MOVE.document(), 0)


def test_only_the_next_step_follows() -> None:
    """One further; back only while nothing is removed; and behind the end the next move, from where it is."""
    allowed = {*itertools.pairwise(STATES), ("drained", "draining"), ("draining", "draining"), ("drained", "drained")}
    for before, after in itertools.product(STATES, STATES):
        known, wanted = at(before), at(after, version=6)
        if (before, after) in allowed:
            wanted.require_follows(known)
        else:
            with pytest.raises(InvalidChangeError, match="cannot follow"):
                wanted.require_follows(known)
    at("draining", version=6, source=1, target=3, map_version=9, phase="closed").require_follows(MOVE)
    for other in ({"source": 2}, {"target": 2}, {"map_version": 9}, {"phase": "closed"}, {"version": 7}):
        with pytest.raises(InvalidChangeError, match="cannot follow"):
            at("removed", **{"version": 6} | other).require_follows(at("drained"))


def test_it_says_as_of_when() -> None:
    for state, lack in (("drained", "definition"), ("drained", "source_seq"), ("removed", "source_epoch"),
                        ("added", "target_seq"), ("moved", "target_epoch")):  # fmt: skip
        empty = "" if lack == "definition" else 0
        with pytest.raises(InvalidChangeError, match="does not say as of when"):
            at(state, **{lack: empty}).require_valid()  # type: ignore[arg-type]
    with pytest.raises(InvalidChangeError, match="to itself"):
        at("moved", target=0).require_valid()
