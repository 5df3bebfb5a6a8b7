# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshots beside one member's journal: read, taken and removed. What is to be done, plan.py decides."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..engine_member.member import Member
from .plan import Action, Found

with contextlib.suppress(ImportError):  # the modules say what is missing
    from ironbook import core

_NICENESS = 10  # a snapshot is never worth a trade's time


def end_of(member: Member, status: dict[str, Any] | None) -> int:
    """Return the last command that a snapshot of this member may hold.

    What is not committed may be cut off again, and then its snapshot would belong to no journal: of a replicated member
    its engine alone knows how far that is. ValueError where nobody can say. Raises core.CoreError.
    """
    if status is not None and (replication := status.get("replication")):
        return int(replication["commit_seq"])
    if member.replicated:
        raise ValueError(
            f"the engine of shard {member.shard} replica {member.replica} does not answer, so nobody knows how much of "
            "its journal is committed: start it, or take the snapshot on another member"
        )
    return int(status["commit_seq"]) if status is not None else core.journal_verify(member.journal, member.shard).seq


def read(member: Member, end: int | None, verify: bool = True) -> list[Found]:
    """Return the snapshots that are there, the oldest first; unless `verify`, their heads are believed.

    `end`: what is behind it is not sound, whatever its sums say. ValueError where the directory cannot be read.
    """
    try:
        paths = core.snapshots(member.journal)
    except OSError as error:
        raise ValueError(f"{member.journal}: cannot be read: {error.strerror}") from error
    return [_found(path, member.shard, end, verify) for path in paths]


def _found(path: Path, shard: int, end: int | None, verify: bool) -> Found:
    seq, taken_at = int(path.stem), path.stat().st_mtime
    try:
        report = core.snapshot_verify(path, shard) if verify else core.snapshot_look(path)
    except core.CoreError as error:
        return Found(path.name, seq, taken_at, str(error))
    fault = "" if end is None or seq <= end else f"{path}: holds more than the {end} commands that are committed"
    return Found(path.name, seq, taken_at, fault, report.epoch, report.bytes, f"{report.state_hash:016x}")


def take(member: Member, action: Action) -> None:
    """Take one, slowly. It belongs to whom the journal belongs. Raises core.CoreError and OSError."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    core.snapshot_take(member.journal, action.seq, member.shard)
    owner = member.journal.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(member.journal / action.file, owner.st_uid, owner.st_gid)


def remove(member: Member, actions: Iterable[Action]) -> None:
    """Remove files, and make that durable. Raises OSError."""
    for action in actions:
        (member.journal / action.file).unlink(missing_ok=True)
    descriptor = os.open(member.journal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
