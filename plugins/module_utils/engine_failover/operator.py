# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a plan on a member's host: asks its engine, writes its record, ends and starts its process, and waits.

Who changes something holds the shard's lease of operators: of two people, the second is told so in one line. A lease
whose holder was killed is free once it has not changed for its term.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engine_member import member as members
from ..engine_member.member import Member
from .end import is_reached, missing, told
from .plan import Plan, Record, Step, View, Wanted, plan
from .service import Service

with contextlib.suppress(ImportError):  # the modules say what is missing
    from ironbook import agent, core, journal_restore, replica_state
    from ironbook.admin import request
    from ironbook.core.errors import JournalDamagedError, JournalForeignError
    from ironbook.errors import CommandError
    from ironbook.protocols import store as names
    from ironbook.store import items
    from ironbook.store.client import Conflict, Store, Unknown, Written
    from ironbook.store.errors import StoreError
    from ironbook.store.lease import Held, Leases, Taken

LEASE_SECONDS = 30.0
GONE_SECONDS = 5.0  # from the service manager's word until the kernel has closed all that a process held
_RENEW_SECONDS = 5.0
_POLL_SECONDS = 0.1


def lease_name(shard: int) -> str:
    """What the lease of a shard's operators is called in the store."""
    return f"operator/shard-{shard}"


def pause(seconds: float) -> None:
    """Wait; a signal ends it, as it ends the process."""
    threading.Event().wait(seconds)


@dataclass(frozen=True)
class Result:
    """What was done, and what was there before and after. `warning`: what is left to be done."""

    plan: Plan
    before: View
    after: View
    warning: str = ""


class Operator:
    """Whoever acts on one member. Its store is used by one thread."""

    def __init__(self, member: Member, agent_config: Path, service: Service | None, seconds: float) -> None:
        """`seconds`: how long to wait for what a plan leads to. Raises ValueError and CommandError."""
        config = agent.load(agent_config)
        if (config.shard, config.replica) != (member.shard, member.replica):
            raise ValueError(
                f"{agent_config} is of shard {config.shard} replica {config.replica}, and engine.json of shard "
                f"{member.shard} replica {member.replica}: give both of one member"
            )
        self.member = member
        self.seconds = seconds
        self._service = service
        self.store: Store = config.open_store()
        self._leases = Leases(self.store, f"{socket.gethostname()}:{os.getpid()}")
        self._held: Held | None = None
        self._renewed = 0.0
        self.timeline: list[dict[str, str]] = []  # what happened: `at` (UTC), `what`

    # ----------------------------------------------------------------------------------------------- what is there

    def record(self) -> items.Record | None:
        """The shard's record. Raises StoreError."""
        return self.store.record(self.member.shard)

    def look(self, verify: bool) -> tuple[dict[str, Any], str]:
        """What the twin returns, and why the store said nothing. Raises ValueError."""
        lease, store_error = None, ""
        record: items.Record | None = None
        try:
            record = self.record()
            lease = self.store.read(items.Lease, items.Lease.key_of(lease_name(self.member.shard)))
        except StoreError as error:
            store_error = str(error)
        return described(self._view(verify, as_numbers(record)), lease), store_error

    def view(self, verify: bool) -> View:
        """Look at everything. `verify`: read the journal of an engine that is down. Raises StoreError, ValueError."""
        return self._view(verify, as_numbers(self.record()))

    def _view(self, verify: bool, record: Record | None) -> View:
        status = members.status(self.member)
        alive = status is not None or members.is_alive(self.member)
        fault, foreign = self._fault() if verify and not alive else ("", False)
        return View(
            shard=self.member.shard,
            replica=self.member.replica,
            members=self.member.members,
            min_in_sync=self.member.min_in_sync,
            record=record,
            status=status,
            alive=alive,
            fault=fault,
            foreign_format=foreign,
        )

    def _state_fault(self) -> tuple[str, bool] | None:
        """The same of what lies beside the journal; None where nothing is wrong with it."""
        path = self.member.journal / replica_state.NAME
        try:
            kept = replica_state.read(self.member.journal)
        except CommandError as error:
            return str(error), False
        if kept is None or (kept.shard, kept.replica, kept.known) == (self.member.shard, self.member.replica, True):
            return None
        if not kept.known:
            return f"{path} has another format", True
        return f"{path} is of shard {kept.shard} replica {kept.replica}", False

    def _fault(self) -> tuple[str, bool]:
        """Why the journal cannot be gone on with, and whether that is because a newer build wrote it."""
        directory = self.member.journal
        if problem := self._state_fault():
            return problem
        if not directory.is_dir() or not any(directory.glob("*.journal")):
            return "", False
        try:
            core.journal_verify(directory, self.member.shard)
        except JournalForeignError as error:
            return str(error), _is_newer(directory)
        except JournalDamagedError as error:
            return str(error), False
        except core.CoreError as error:
            raise ValueError(str(error)) from error
        return "", False

    # ------------------------------------------------------------------------------------------------ what is done

    def run(self, wanted: Wanted, look_only: bool) -> Result:
        """Do what is wanted. Raises Refused, StoreError, AdminError, ValueError; each is one line."""
        verify = wanted.state == "rejoined" or wanted.force
        before = self.view(verify)
        todo = plan(wanted, before)
        if look_only or not (todo.steps or todo.until):
            return Result(todo, before, before)
        if not todo.steps:
            return Result(todo, before, *self._wait(wanted, todo, before))
        with self.alone(f"state {wanted.state} of replica {wanted.replica}{', by force' if wanted.force else ''}"):
            before = self.view(verify)
            todo = plan(wanted, before)
            for step in todo.steps:
                self.keep()
                self.note(f"{step.action}: {step.why}")
                self._do(step, wanted)
            return Result(todo, before, *self._wait(wanted, todo, before))

    def _do(self, step: Step, wanted: Wanted) -> None:
        if step.action == "switch_over":
            request(self.member.socket, f"switch_over {wanted.replica}")
        elif step.action == "promote":
            self._promote(step)
        elif step.action == "set_aside":
            journal_restore.aside(self.member.journal)
        elif self._service is None:
            raise ValueError(f"to {step.action} the engine, service has to be given")
        elif step.action == "start":
            self._service.start()
        else:
            self._service.stop()
            if not self._until(lambda: not members.is_alive(self.member), GONE_SECONDS):
                raise ValueError(
                    f"{self._service.name} is stopped, and still a process holds {self.member.journal}: it was started "
                    "by somebody else; end it, and run this again"
                )

    def _promote(self, step: Step) -> None:
        known = self.record()
        if known is None:
            raise ValueError("the record has vanished meanwhile: nothing was written")
        me = names.member_name(self.member.shard, self.member.replica)
        wanted = known.next(f"operator:{me}", max(step.epoch, known.epoch + 1), me, (me,), allow_data_loss=True)
        outcome = self.store.replace(known, wanted, allow_data_loss=True)
        end = time.monotonic() + self.seconds
        while isinstance(outcome, Unknown) and time.monotonic() < end:
            self.keep()
            outcome = self.store.again(outcome)
        if isinstance(outcome, Conflict):
            raise ValueError(
                f"somebody else has changed the record of shard {known.shard} meanwhile: look, and run again"
            )
        if not isinstance(outcome, Written):
            raise ValueError(f"whether the record is written is not known ({outcome.reason}): run this again")

    # ------------------------------------------------------------------------------------------ what is waited for

    def _wait(self, wanted: Wanted, todo: Plan, before: View) -> tuple[View, str]:
        """Wait until the plan has led to what it is for; then what is there, and what is left to do."""
        view = before

        def reached() -> bool:
            nonlocal view
            self.keep()
            seen, view = view.shown(), self.view(verify=False)
            if view.shown() != seen:
                self.note(told(view))
            return is_reached(todo.until, wanted, before, view)

        if self._until(reached, self.seconds):
            alone = (
                f"replica {view.replica} leads and acknowledges nothing before {view.min_in_sync} members are in sync: "
                "have another one rejoin"
            )
            return view, alone if todo.until == "leads" and view.role == "opening" else ""
        raise ValueError(f"after {self.seconds:.0f} s {missing(todo.until, wanted, before, view)}")

    def note(self, what: str) -> None:
        """Remember that something happened now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self.timeline.append({"at": now, "what": what})

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= end:
                return False
            pause(_POLL_SECONDS)
        return True

    # --------------------------------------------------------------------------------------------------- the lease

    @contextlib.contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        """Hold the lease of the shard's operators; ValueError, one line, where somebody else does."""
        name = lease_name(self.member.shard)
        first, answer = None, self._leases.acquire(name, LEASE_SECONDS, purpose)
        while isinstance(answer, Taken):
            first = first or answer.lease
            if (answer.lease.counter, answer.lease.holder) != (first.counter, first.holder):
                who = answer.lease.holder.rpartition(":")[0]
                raise ValueError(
                    f"another operator is at work on shard {self.member.shard}: {who} ({answer.lease.purpose}): wait "
                    "until that is done"
                )
            pause(min(answer.wait_seconds + 0.05, 1.0))
            answer = self._leases.acquire(name, LEASE_SECONDS, purpose)
        self._held, self._renewed = answer, time.monotonic()
        try:
            yield
        finally:
            with contextlib.suppress(Exception):  # it ends by itself, and what went wrong before is to be heard
                self._leases.release(self._held)
            self._held = None

    def keep(self) -> None:
        """Renew the lease where that is due."""
        if self._held is None or time.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        answer = self._leases.renew(self._held)
        if isinstance(answer, Taken):
            raise ValueError(f"another operator has taken over: {answer.lease.holder} ({answer.lease.purpose})")
        self._held, self._renewed = answer, time.monotonic()


def _is_newer(directory: Path) -> bool:
    """Whether a foreign journal is foreign to every shard."""
    try:
        core.journal_verify(directory, None)
    except JournalForeignError:
        return True
    except core.CoreError:
        pass
    return False


def as_numbers(record: items.Record | None) -> Record | None:
    """The store's record with the members' numbers. Raises ForeignMemberError, which is a ValueError."""
    if record is None:
        return None
    terms = names.to_terms(record)
    in_sync = frozenset(number for number in range(items.MEMBERS_MAX) if terms.in_sync >> number & 1)
    primary = None if terms.primary == names.PRIMARY_NOBODY else terms.primary
    return Record(record.epoch, primary, in_sync, record.version)


def build_of(pid: int | None) -> str:
    """Where the distribution is that a process runs, empty where that cannot be told: its PYTHONPATH (proc(5))."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    return next((os.fsdecode(one[11:]) for one in variables if one.startswith(b"PYTHONPATH=")), "")


def described(view: View, lease: Any = None) -> dict[str, Any]:
    """What the twin returns of a member."""
    says = view.replication
    return view.shown() | {
        "shard": view.shard,
        "replica": view.replica,
        "version": view.record.version if view.record else None,
        "alive": view.alive,
        "min_in_sync": view.min_in_sync,
        "members": view.members,
        "pid": (view.status or {}).get("pid"),
        "build": build_of((view.status or {}).get("pid")),
        "state": (view.status or {}).get("state"),
        "journal_fault": view.fault,
        "heard": says.get("primary"),
        "heard_epoch": says.get("epoch"),
        **{key: says.get(key) for key in ("last_seq", "commit_seq", "in_doubt", "store_fault", "reason")},
        "operator": {"holder": lease.holder, "purpose": lease.purpose} if lease is not None and lease.holder else None,
    }
