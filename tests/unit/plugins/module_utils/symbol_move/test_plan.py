# SPDX-License-Identifier: GPL-3.0-or-later
"""Which step comes when; and a model of both shards that is brought through every order of events there is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.symbol_move.plan import (
    STEPS,
    Asked,
    Here,
    Refused,
    actions,
    problems,
    words,
)

ASKED = Asked("AAPL", 0, 1, 8)
OPEN = {"tick": 5, "lot": 10, "reference_price": 900, "static_band": 400, "dynamic_band": 0, "breach": "halt",
        "schedule": 2, "price_scale": 4, "quantity_scale": 0, "phase": "continuous", "symbol": "AAPL"}  # fmt: skip
CLOSED = OPEN | {"phase": "closed"}


@dataclass(frozen=True)
class Come:
    """A move as the store has it."""

    state: str
    source: int = 0
    target: int = 1
    map_version: int = 8
    source_epoch: int = 0
    target_epoch: int = 0


def here(shard: int, **more: Any) -> Here:
    """The primary of a shard that is whole."""
    fields = {"replica": 0, "role": "primary", "primary": 0, "whole": True, "epoch": 5, "instrument": None}
    return Here(shard=shard, **fields | {"configured": False} | more)


def test_the_words_make_the_same_again() -> None:
    assert words(OPEN) == (
        "tick=5 lot=10 reference_price=900 static_band=400 dynamic_band=0 breach=halt schedule=2 price_scale=4 "
        "quantity_scale=0"
    )


@pytest.mark.parametrize(
    ("move", "seen", "said"),
    [
        (None, here(0, instrument=OPEN, configured=True), "on the source first"),
        (None, here(0, role="standby", configured=True), "on the source first"),
        (None, here(1, role="standby", configured=True), "before the move there"),
        (Come("removed"), here(1, configured=True), "before the move there"),
        (None, here(0), "is not traded on shard 0"),
        (None, here(1, instrument=OPEN), "is traded on shard 1 already"),
        (None, here(0, instrument=OPEN, whole=False), "not whole"),
        (Come("removed"), here(0, instrument=OPEN), "somebody has added it"),
        (Come("drained", target=2), here(0, instrument=OPEN), "finish that move first"),
        (Come("moved", 3, 2, 7), here(0, instrument=OPEN), "begin there"),
        (Come("moved", 1, 0, 8), here(0, instrument=OPEN), "raise it"),
    ],
)
def test_what_stands_against_it(move: Come | None, seen: Here, said: str) -> None:
    [problem] = problems(ASKED, move, seen)
    assert said in problem and "\n" not in problem
    with pytest.raises(Refused, match=said):
        actions("drain" if seen.shard == 0 else "add", ASKED, move, seen)


def test_what_does_not() -> None:
    assert problems(ASKED, Come("moved", 1, 0, 7), here(0, instrument=OPEN)) == []
    assert problems(ASKED, Come("added"), here(1, instrument=CLOSED, configured=True)) == []
    assert problems(ASKED, Come("moved"), here(1, instrument=OPEN, configured=True, whole=False)) == []
    assert problems(ASKED, None, here(0, role="down", whole=False, epoch=0)) == []


def test_what_was_opened_again_is_drained_again() -> None:
    """And what was not, is not; a step that was taken is nothing."""
    assert actions("drain", ASKED, Come("drained"), here(0, instrument=OPEN)) == ("close", "cancel")
    assert actions("drain", ASKED, Come("drained"), here(0, instrument=CLOSED)) == ()
    assert actions("drain", ASKED, Come("draining"), here(0, instrument=CLOSED)) == ("close", "cancel")
    assert actions("remove", ASKED, Come("added"), here(0)) == ()


@dataclass(frozen=True)
class World:
    """Both shards: what each has of the symbol, its epoch, and the epochs of its orders."""

    source: dict[str, Any] | None
    target: dict[str, Any] | None
    epochs: tuple[int, int]
    move: Come | None
    last_on_source: int = 1
    first_on_target: int = 99

    def here(self, shard: int) -> Here:
        return here(shard, epoch=self.epochs[shard], instrument=self.target if shard else self.source)

    def trades(self) -> World:
        """Whoever can trade it does so now."""
        if self.source is not None and self.source["phase"] != "closed":
            return replace(self, last_on_source=self.epochs[0])
        if self.target is not None and self.target["phase"] != "closed":
            return replace(self, first_on_target=min(self.first_on_target, self.epochs[1]))
        return self

    def step(self, step: str, cut_off: bool) -> World:
        """A step; `cut_off`: the engine has done it, and the store does not know."""
        todo = actions(step, ASKED, self.move, self.here(ASKED.shard_of(step)))
        if not todo:
            return self
        if step == "drain":
            move = Come("draining") if cut_off else Come("drained", source_epoch=self.epochs[0])
            return replace(self, source=CLOSED, move=move)
        assert self.move is not None
        done = {"remove": replace(self, source=None), "add": replace(self, target=self.target or CLOSED),
                "open": replace(self, target=OPEN)}[step]  # fmt: skip
        if cut_off:
            return done
        state = {"remove": "removed", "add": "added", "open": "moved"}[step]
        epoch = self.epochs[1] if step == "add" else self.move.target_epoch
        return replace(done, move=replace(self.move, state=state, target_epoch=epoch))

    def after(self, event: str) -> World:
        """What an event makes of it; a step that is refused makes nothing."""
        kind, _, rest = event.partition(" ")
        if kind == "hand_over":
            epochs = list(self.epochs)
            epochs[int(rest)] += 1
            return replace(self, epochs=(epochs[0], epochs[1]))
        if kind == "reopen":
            return replace(self, source=OPEN) if self.source is not None else self
        try:
            return self.step(rest, kind == "cut_off")
        except Refused:
            return self


def key(world: World) -> str:
    return repr(world)


def test_no_order_of_events_has_it_traded_twice() -> None:
    """All that can be reached with two hand-overs a shard: both never trade it, and the epochs keep their word."""
    events = [f"{kind} {step}" for kind, step in itertools.product(("step", "cut_off"), STEPS)]
    events += ["hand_over 0", "hand_over 1", "reopen "]
    begin = World(OPEN, None, (1, 1), None)
    seen, todo, ended = {key(begin)}, [begin], 0
    while todo:
        world = todo.pop()
        for event in events:
            made = world.after(event).trades()
            both = made.source is not None and made.target is not None
            assert not both, (world, event)
            move = made.move
            if move is not None and move.state in {"removed", "added", "moved"}:
                assert made.last_on_source <= move.source_epoch < made.epochs[0], (world, event)
            if move is not None and move.state == "moved":
                ended += 1
                assert made.first_on_target > move.target_epoch, (world, event)
            if max(made.epochs) <= 3 and key(made) not in seen:
                seen.add(key(made))
                todo.append(made)
    assert ended > 0 and len(seen) > 100
