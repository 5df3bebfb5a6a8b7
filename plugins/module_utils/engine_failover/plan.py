# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done so that a member becomes primary, is fenced, or takes part again. Pure.

The engines fail over by themselves; this is for what a person decides. Nothing here changes the in-sync set of a shard
whose primary leads (rule R4): a fenced member is taken out by the primary. The one record that is written by hand is
that of a forced failover, which gives up what other members may have had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PRIMARY, FENCED, REJOINED = "primary", "fenced", "rejoined"
STATES = (PRIMARY, FENCED, REJOINED)


@dataclass(frozen=True)
class Record:
    """The shard's record, members by their numbers. `primary` None: nobody was ever primary."""

    epoch: int
    primary: int | None
    in_sync: frozenset[int]
    version: int


@dataclass(frozen=True)
class View:
    """A member and its shard at one moment.

    `status`: what its engine answers, None where none does; `alive`: a process holds its journal; `fault`: why that
    journal cannot be gone on with, and `foreign_format`: because a newer build wrote it.
    """

    shard: int
    replica: int
    members: int
    min_in_sync: int
    record: Record | None
    status: Mapping[str, Any] | None
    alive: bool
    fault: str = ""
    foreign_format: bool = False

    @property
    def role(self) -> str:
        """What its engine is, or that there is none."""
        return "down" if self.status is None else str(self.status.get("role", "alone"))

    @property
    def replication(self) -> Mapping[str, Any]:
        """What its engine says of the others; empty where it says nothing."""
        return (self.status or {}).get("replication") or {}

    def shown(self) -> dict[str, Any]:
        """What a diff shows."""
        record = self.record
        return {
            "role": self.role,
            "epoch": record.epoch if record else None,
            "primary": record.primary if record else None,
            "in_sync": sorted(record.in_sync) if record else [],
        }


@dataclass(frozen=True)
class Wanted:
    """What is asked for, of which member."""

    state: str
    replica: int
    force: bool = False
    allow_data_loss: bool = False


@dataclass(frozen=True)
class Step:
    """One change: `switch_over`, `promote`, `stop`, `set_aside` or `start`. `why` is for people."""

    action: str
    why: str
    epoch: int = 0


@dataclass(frozen=True)
class Plan:
    """The changes in their order, what is waited for behind them, and what the diff shows of the end."""

    steps: tuple[Step, ...] = ()
    until: str = ""  # "", "leads", "handed_over", "out" or "in_sync"
    may_be_lost: str = ""
    after: dict[str, Any] = field(default_factory=dict)


class Refused(ValueError):
    """It is not to be done; one line says why, and what to do instead."""


def plan(wanted: Wanted, view: View) -> Plan:
    """Return what is to be done. Raises Refused."""
    record = view.record
    if view.members == 0:
        raise Refused(f"the engine of shard {view.shard} runs alone: there is nobody to fail over to")
    if record is None:
        raise Refused(f"shard {view.shard} has no record in the store: its first start makes it (the deploy play)")
    if not 0 <= wanted.replica < view.members:
        raise Refused(f"replica {wanted.replica}: shard {view.shard} has the replicas 0 to {view.members - 1}")
    if wanted.state == PRIMARY and not wanted.force:
        return _planned(wanted, view, record)
    if wanted.replica != view.replica:
        raise Refused(
            f"replica {wanted.replica} is {_FORCED[wanted.state]} on its own host, and this one has replica "
            f"{view.replica}: run it there"
        )
    if wanted.state == PRIMARY:
        return _forced(wanted, view, record)
    return _fenced(wanted, view, record) if wanted.state == FENCED else _rejoined(view, record)


_FORCED = {PRIMARY: "made primary by force", FENCED: "fenced", REJOINED: "made to rejoin"}


def _planned(wanted: Wanted, view: View, record: Record) -> Plan:
    to = wanted.replica
    if record.primary == to:
        if to == view.replica and view.role == "down":
            raise Refused(
                f"the record names replica {to} as the primary, and its engine does not answer: a standby takes over "
                "by itself, or start it again (state: rejoined)"
            )
        waits = to == view.replica and view.role != "primary"
        return Plan(until="leads" if waits else "", after=view.shown() | ({"role": "primary"} if waits else {}))
    if view.replica != record.primary:
        raise Refused(
            f"the primary of shard {view.shard} is {_named(record.primary)}, and only it can hand over: run this on "
            f"its host; this one has replica {view.replica}"
        )
    if view.role != "primary":
        raise Refused(
            f"the record names replica {view.replica} as the primary, and its engine is {view.role}: a standby takes "
            "over by itself; look again in a moment"
        )
    if to not in record.in_sync:
        raise Refused(
            f"replica {to} is not in sync ({_listed(record.in_sync)} are): have it rejoin first; what it lacks would "
            "be lost"
        )
    step = Step("switch_over", f"replica {view.replica} hands over to replica {to}")
    after = view.shown() | {"role": "standby", "epoch": record.epoch + 1, "primary": to}
    return Plan((step,), "handed_over", after=after)


def _forced(wanted: Wanted, view: View, record: Record) -> Plan:
    to = wanted.replica
    if record.primary == to and view.role == "primary":
        return Plan(after=view.shown())
    if view.alive and view.status is None:
        raise Refused(f"a process holds the journal of replica {to} and answers nothing: fence it first")
    if view.fault:
        raise Refused(f"{view.fault}: replica {to} cannot lead; take one whose journal is whole, or restore this one")
    heard = view.replication.get("primary")
    if heard is not None and heard != to:
        raise Refused(
            f"replica {heard} is heard as the primary of epoch {view.replication.get('epoch')}: nothing is to be "
            "forced; a planned switchover loses nothing"
        )
    last = f"sequence {view.replication['last_seq']}, the last that" if view.status else "what the journal of"
    others = _listed(record.in_sync - {to}) if record.in_sync - {to} else "nobody else"
    lost = (
        f"what was acknowledged after {last} replica {to} has; {others} may have more of it (in sync in epoch "
        f"{record.epoch})"
    )
    if not wanted.allow_data_loss:
        raise Refused(f"force gives up {lost}: say allow_data_loss as well, or bring one of those back")
    after = view.shown() | {"role": "primary", "primary": to, "in_sync": [to]}
    start = () if view.status else (Step("start", f"replica {to} is to lead"),)
    if record.primary == to and record.in_sync == {to}:  # an earlier run has written it
        return Plan(start, "leads", lost, after)
    epoch = max(record.epoch, int(view.replication.get("promised", 0))) + 1
    step = Step("promote", f"replica {to} alone is in sync from epoch {epoch} on, and this is given up: {lost}", epoch)
    return Plan((step, *start), "leads", lost, after | {"epoch": epoch})


def _fenced(wanted: Wanted, view: View, record: Record) -> Plan:
    left = record.in_sync - {view.replica}
    enough = len(left) >= view.min_in_sync
    if view.replica in record.in_sync and not enough and not wanted.force:
        raise Refused(
            f"without replica {view.replica} only {_listed(left)} would be in sync, and {view.min_in_sync} are needed: "
            "nothing would be acknowledged any more; have another one rejoin first, or say force"
        )
    alive = view.alive or view.status is not None
    steps = (Step("stop", f"replica {view.replica} can neither lead nor acknowledge any more"),) if alive else ()
    if not enough:
        return Plan(steps, after=view.shown() | {"role": "down"})
    after = view.shown() | {"role": "down", "in_sync": sorted(left)}
    if record.primary == view.replica:
        after |= {"epoch": record.epoch + 1, "primary": "another"}
    return Plan(steps, "out" if view.replica in record.in_sync else "", after=after)


def _rejoined(view: View, record: Record) -> Plan:
    me = view.replica
    after = view.shown() | {"in_sync": sorted(record.in_sync | {me})}
    if view.role == "stopped":
        raise Refused(f"replica {me} has stopped for good ({view.replication.get('reason')}): fence it, then rejoin")
    if view.status is not None:
        return Plan(until="" if me in record.in_sync else "in_sync", after=after)
    if view.alive:
        raise Refused(f"a process holds the journal of replica {me} and answers nothing: fence it first")
    after |= {"role": "standby"}
    start = Step("start", f"replica {me} follows the primary again")
    if not view.fault:
        return Plan((start,), "in_sync", after=after)
    if view.foreign_format:
        raise Refused(f"{view.fault}: a newer build wrote it, so that this member is to be upgraded, not emptied")
    if record.primary == me:
        raise Refused(
            f"{view.fault}; and the record names replica {me} as the primary, so that nobody may have more than this "
            "journal: nothing is set aside before another member leads"
        )
    return Plan((Step("set_aside", view.fault), start), "in_sync", after=after)


def _named(replica: int | None) -> str:
    return "nobody" if replica is None else f"replica {replica}"


def _listed(replicas: frozenset[int]) -> str:
    numbers = sorted(replicas)
    return f"replica{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}" if numbers else "nobody"
