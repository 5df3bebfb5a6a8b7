# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next step of a symbol's move is, on the shard where it is taken, and what stands against it. Pure.

A step is taken where the move has come as far as that; one that was taken before is nothing, so that the same run can
be repeated from its beginning. Which one was taken last, the move in the store says (services/ironbook/store/move.py).
No order of the steps, and no repetition of one, has both shards trade the symbol:

  - it is added to the target only where the store says that it was removed from the source;
  - what a start of the engine would add by itself (engine.json names it) is refused on the source before anything is
    drained, and on the target before it is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SOURCE_STEPS, TARGET_STEPS = ("drain", "remove"), ("add", "open")
STEPS = (*SOURCE_STEPS, *TARGET_STEPS)
CLOSED = "closed"
# The words of instrument_add, but for the phase.
KEYS = ("tick", "lot", "reference_price", "static_band", "dynamic_band", "breach", "schedule", "price_scale",
        "quantity_scale")  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """Which symbol goes where, by which version of the shard map."""

    symbol: str
    source: int
    target: int
    map_version: int

    def shard_of(self, step: str) -> int:
        """On which of the two a step is taken."""
        return self.source if step in SOURCE_STEPS else self.target


class Come(Protocol):
    """How far a move has come: what is needed here of ironbook.store.move.Move."""

    @property
    def source(self) -> int:
        """From which shard."""

    @property
    def target(self) -> int:
        """To which shard."""

    @property
    def map_version(self) -> int:
        """By which version of the shard map."""

    @property
    def state(self) -> str:
        """The last step that was taken."""

    @property
    def source_epoch(self) -> int:
        """No later one has an order on the source."""

    @property
    def target_epoch(self) -> int:
        """It was added there by then."""


@dataclass(frozen=True)
class Here:
    """A member and its shard at one moment.

    `primary`: who leads as far as it knows; `whole`: it leads and all are in sync; `instrument`: what the admin request
    of that name answers, None where the symbol is not traded; `configured`: a start of this engine would add it.
    """

    shard: int
    replica: int
    role: str
    primary: int | None
    whole: bool
    epoch: int
    instrument: Mapping[str, Any] | None
    configured: bool

    @property
    def leads(self) -> bool:
        """Whether it is the primary."""
        return self.role == "primary"


class Refused(ValueError):
    """It is not to be done; one line says why, and what to do instead."""


def words(instrument: Mapping[str, Any]) -> str:
    """What instrument_add has to be told so that it makes the same again."""
    return " ".join(f"{key}={instrument[key]}" for key in KEYS)


def is_of(asked: Asked, move: Come | None) -> bool:
    """Whether a move is the one that is asked for."""
    return move is not None and (move.source, move.target, move.map_version) == (
        asked.source,
        asked.target,
        asked.map_version,
    )


def problems(asked: Asked, move: Come | None, here: Here) -> list[str]:
    """What stands against a move as a member sees it, a line each, before any of its steps is taken or gone on with."""
    found = []
    if asked.source == asked.target:
        found.append(f"{asked.symbol} is to move from shard {asked.source} to itself: name another one")
    if asked.map_version < 1:
        found.append("the shard map has no version: set ironbook_shard_map_version, and raise it with the move")
    if move is not None and not is_of(asked, move):
        found += _of_another(asked, move)
    mine = is_of(asked, move)
    state = move.state if mine and move is not None else ""
    if here.shard == asked.source and here.configured:
        found.append(
            f"engine.json of shard {here.shard} replica {here.replica} names {asked.symbol}, or is newer than its "
            "process, and a start would trade it again: deploy the new map on the source first (the play configure)"
        )
    if here.shard == asked.target and here.configured and state not in {"added", "moved"}:
        found.append(
            f"engine.json of shard {here.shard} replica {here.replica} names {asked.symbol}, or is newer than its "
            "process, and a start would trade it while the other shard does: deploy the map before the move there"
        )
    return [*found, *_of_primary(asked, state, here)] if here.leads and not found else found


def _of_another(asked: Asked, move: Come) -> list[str]:
    if move.state != "moved":
        return [
            f"{asked.symbol} is on its way from shard {move.source} to {move.target} by map version "
            f"{move.map_version} ({move.state}): finish that move first"
        ]
    if move.target != asked.source:
        return [f"{asked.symbol} has moved to shard {move.target} by map version {move.map_version}: begin there"]
    if move.map_version >= asked.map_version:
        return [
            f"{asked.symbol} has moved to shard {move.target} by map version {move.map_version}, and this map has "
            f"{asked.map_version}: raise it"
        ]
    return []


def _of_primary(asked: Asked, state: str, here: Here) -> list[str]:
    if not here.whole and state != "moved":
        return [f"shard {here.shard} is not whole: a symbol moves only where all members are in sync"]
    if here.shard == asked.source:
        if here.instrument is None and state in {"", "draining"}:
            return [f"{asked.symbol} is not traded on shard {here.shard}: look at the shard map of before"]
        if here.instrument is not None and state in {"removed", "added", "moved"}:
            return [f"{asked.symbol} is traded on shard {here.shard} again: somebody has added it; remove it"]
    elif here.instrument is not None and state in {"", "draining", "drained"}:
        return [f"{asked.symbol} is traded on shard {here.shard} already: end that first (instrument_remove)"]
    return []


def actions(step: str, asked: Asked, move: Come | None, here: Here, preview: bool = False) -> tuple[str, ...]:
    """What a step has its primary do, in order; empty where it was done. Raises Refused.

    `preview`: the steps before it were not taken, so that nothing is said of how far the move has come.
    """
    if found := problems(asked, move, here):
        raise Refused("; ".join(found))
    state = move.state if move is not None and is_of(asked, move) else ""
    if step == "drain":
        reopened = here.instrument is not None and here.instrument["phase"] != CLOSED
        if not state:
            return ("begin", "close", "cancel")
        return ("close", "cancel") if state == "draining" or (state == "drained" and reopened) else ()
    before, after = {"remove": ("drained", "removed"), "add": ("removed", "added"), "open": ("added", "moved")}[step]
    order = ("", "draining", "drained", "removed", "added", "moved")
    if order.index(state) >= order.index(after):
        return ()
    if preview:
        return (step,)
    if state != before or move is None:
        raise Refused(f"{asked.symbol} is not {before} yet ({state or 'nothing is done'}): the steps before this first")
    _require_new_epoch(step, asked, move, here)
    return (step,)


def _require_new_epoch(step: str, asked: Asked, move: Come, here: Here) -> None:
    if step == "remove" and here.instrument is not None and here.instrument["phase"] != CLOSED:
        raise Refused(f"{asked.symbol} was opened again after it was drained (by its schedule?): run this again")
    epoch = {"remove": move.source_epoch, "open": move.target_epoch}.get(step, -1)
    if here.epoch <= epoch:
        raise Refused(
            f"shard {here.shard} is of epoch {here.epoch} still, as what came before: have its primary hand over first"
        )
