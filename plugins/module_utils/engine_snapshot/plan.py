# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshot is to be taken, and which have had their day. Pure: a list in, a list of actions out.

The newest snapshots that are sound stay, as many as are wanted and one at least; whatever is older goes. So the only
sound one is never removed, and one that is damaged counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """A snapshot beside a journal. `taken_at`: Unix seconds; `fault`: why it is not sound, empty where it is."""

    file: str
    seq: int
    taken_at: float
    fault: str = ""
    epoch: int = 0
    bytes: int = 0
    state_hash: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None: not asked for. Without the first two: one of the journal's end as it is now."""

    at_least: int | None = None
    max_age: int | None = None  # seconds
    keep: int | None = None


@dataclass(frozen=True)
class Action:
    """One thing to do: `take` at a sequence number, or `remove` a file. `why` is for people."""

    action: str
    seq: int
    file: str
    why: str


def name_of(seq: int) -> str:
    """Return the name of the snapshot at a sequence number."""
    return f"{seq:020}.snapshot"


def plan(wanted: Wanted, found: Sequence[Found], end: int, now: float) -> list[Action]:
    """Return what is to be done. `end`: the last command that a snapshot may hold, which is committed.

    ValueError where no snapshot can be what is wanted.
    """
    sound = [one for one in found if not one.fault]
    newest = max(sound, key=lambda one: one.seq, default=None)
    actions = []
    if why := _due(wanted, newest, end, now):
        actions.append(Action("take", end, name_of(end), why))
    return actions + old(wanted.keep, found, [action.seq for action in actions])


def _due(wanted: Wanted, newest: Found | None, end: int, now: float) -> str:
    """Why a snapshot is to be taken; empty where none is."""
    if wanted.at_least is not None and max(end, newest.seq if newest else 0) < wanted.at_least:
        raise ValueError(
            f"a snapshot at sequence {wanted.at_least} or later is wanted, and what is committed ends at {end}: "
            "ask for less, or later"
        )
    if newest is None:
        if end == 0:
            raise ValueError("the journal is empty: there is nothing to take a snapshot of")
        return "there is no sound one"
    if newest.seq >= end:
        return ""
    if wanted.at_least is not None and newest.seq < wanted.at_least:
        return f"the newest is of sequence {newest.seq}, before {wanted.at_least}"
    if wanted.max_age is not None and now - newest.taken_at > wanted.max_age:
        return f"the newest is {now - newest.taken_at:.0f} s old, more than {wanted.max_age}"
    if wanted.at_least is None and wanted.max_age is None:
        return f"the newest is of sequence {newest.seq}, and the journal goes on to {end}"
    return ""


def old(keep: int | None, found: Sequence[Found], taken: Sequence[int] = ()) -> list[Action]:
    """Return the removals that leave the newest `keep` sound ones; `taken`: what is about to be there as well."""
    if keep is None:
        return []
    sound = sorted({one.seq for one in found if not one.fault} | set(taken), reverse=True)
    if len(sound) < keep:
        return []  # and none is too old, damaged ones included
    last = sound[keep - 1]
    return [
        Action("remove", one.seq, one.file, one.fault or f"older than the newest {keep} sound ones")
        for one in sorted(found, key=lambda one: one.seq)
        if one.seq < last
    ]
