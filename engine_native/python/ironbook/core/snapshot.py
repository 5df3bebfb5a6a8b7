# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a shard's state beside its journal: take, look at, verify. No engine is asked, none waits."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, check
from ironbook.core.text import text_of

NAME = re.compile(r"[0-9]{20}\.snapshot")


class SnapshotReport(NamedTuple):
    """What a snapshot says of itself: `struct ib_snapshot_report` without its error, which is raised.

    `from_seq`: of the snapshot that it was made from, 0 = of the whole journal. `note`: what was passed over on the
    way, one line or nothing. `sha256` is empty where only the head was read. `entry_epoch` and `entry_chain`: of its
    last entry, as members of a shard compare them; 0 where it does not say (format 1).
    """

    file: str
    format: int
    shard: int
    rules: int
    orders: int
    epoch: int
    seq: int
    time_ns: int
    chain: int
    event_count: int
    state_hash: int
    entry_epoch: int
    entry_chain: int
    bytes: int
    sha256: str
    from_seq: int
    note: str


def _report(status: int, raw: Any) -> SnapshotReport:
    check(status, text_of(raw.error))
    texts = {name: text_of(getattr(raw, name)) for name in ("file", "sha256", "note")}
    return SnapshotReport(*(texts.get(name, getattr(raw, name)) for name in SnapshotReport._fields))


def snapshot_take(directory: str | Path, until_seq: int | None = None, shard: int | None = None) -> SnapshotReport:
    """Take a snapshot of the journal in a directory, at `until_seq` or its end, and put it there.

    The journal may be a running engine's. Raises as `replay`, and ArgumentError for an empty journal.
    """
    if until_seq is not None and until_seq < 1:
        raise ArgumentError(f"until sequence {until_seq}: sequence numbers begin at 1")
    raw = ffi.new("struct ib_snapshot_report *")
    wanted = lib.IB_JOURNAL_SHARD_ANY if shard is None else shard
    return _report(lib.ib_snapshot_take(os.fsencode(directory), wanted, until_seq or 0, raw), raw)


def snapshot_verify(path: str | Path, shard: int | None = None) -> SnapshotReport:
    """Load a snapshot, check every sum and invariant of it, and forget it.

    Raises JournalDamagedError with what is wrong, and JournalForeignError for another shard, format or rules.
    """
    raw = ffi.new("struct ib_snapshot_report *")
    wanted = lib.IB_JOURNAL_SHARD_ANY if shard is None else shard
    path = Path(path)
    return _report(lib.ib_snapshot_verify(os.fsencode(path.parent), os.fsencode(path.name), wanted, raw), raw)


def snapshot_look(path: str | Path) -> SnapshotReport:
    """Read the head of a snapshot and nothing else. Raises as `snapshot_verify`."""
    raw = ffi.new("struct ib_snapshot_report *")
    path = Path(path)
    return _report(lib.ib_snapshot_look(os.fsencode(path.parent), os.fsencode(path.name), raw), raw)


def snapshots(directory: str | Path) -> list[Path]:
    """Return the snapshots in a directory by their names, the oldest first. Raises OSError where there is none."""
    return sorted(path for path in Path(directory).iterdir() if NAME.fullmatch(path.name))
