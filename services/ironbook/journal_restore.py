# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook journal restore` and `aside`: what a person does to the journal of an engine that is down.

`restore` puts a journal that ends at a sequence number or a time in the place of the one that is there, byte for byte
the same up to there; `aside` an empty one. What was there is moved beside it, `journal.aside-TIME`, and never deleted.
Cut off anywhere, both can be run again: the new directory is whole and on the disk before anything is moved.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ironbook import core, replica_state
from ironbook.errors import CommandError
from ironbook.point_in_time import Moment, sequence_at

# Of a record's header (docs/engine.md, The journal): magic, format, type, length of the payload, shard, epoch, seq.
_HEADER = struct.Struct("<4sHHIIQQ")
_HEADER_BYTES = 64
_MAGIC = b"JNL1"
_SEGMENT = 1
_COPY_BYTES = 1 << 20


class Restored(NamedTuple):
    """What a journal is after it was restored. `aside`: where the one before is; empty where nothing was to be done."""

    seq: int
    changed: bool
    aside: str


def restore(directory: Path, until: Moment, shard: int, look_only: bool = False) -> Restored:
    """Have a journal end at a moment. CommandError where its engine runs, or it does not reach so far."""
    ready = _beside(directory, "restored")
    with _alone(directory):
        if not directory.exists() and ready.exists() and not look_only:  # cut off between the two renames
            ready.rename(directory)
            _sync(directory.parent)
        seq = sequence_at(directory, until)
        if seq is None or seq < 1:
            raise CommandError(f"{directory}: until sequence {seq}: sequence numbers begin at 1")
        end = _end(directory)
        if end < seq:
            raise CommandError(f"{directory}: the journal ends at sequence {end}, before {seq}")
        if end == seq or look_only:
            return Restored(seq, end != seq, "")
        _make(directory, ready, seq, shard)
        return Restored(seq, True, str(_swap(directory, ready)))


def aside(directory: Path, look_only: bool = False) -> Restored:
    """Have an empty journal. CommandError where its engine runs."""
    with _alone(directory):
        if not directory.exists():
            directory.mkdir(mode=0o700)
        if not any(directory.iterdir()) or look_only:
            return Restored(0, any(directory.iterdir()), "")
        ready = _beside(directory, "restored")
        shutil.rmtree(ready, ignore_errors=True)
        ready.mkdir()
        return Restored(0, True, str(_swap(directory, ready)))


def _beside(directory: Path, word: str) -> Path:
    return directory.with_name(f"{directory.name}.{word}")


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the lock that an engine holds on its journal."""
    if not directory.exists():
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CommandError(f"{directory}: an engine has it open: end that first") from error
    finally:
        os.close(descriptor)


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("[0-9]" * 20 + ".journal"))


def _records(segment: Path) -> Iterator[tuple[int, int, int]]:
    """Yield (type, seq, where it ends) of each record; a segment ends where no header stands."""
    at = 0
    with segment.open("rb") as file:
        while len(header := file.read(_HEADER_BYTES)) == _HEADER_BYTES and header[:4] == _MAGIC:
            _, _, kind, length, _, _, seq = _HEADER.unpack_from(header)
            at += _HEADER_BYTES + length
            file.seek(at)
            yield kind, seq, at


def _end(directory: Path) -> int:
    """Return the sequence number of the last command; records are not checked here."""
    for segment in reversed(_segments(directory)):
        commands = [seq for kind, seq, _ in _records(segment) if kind != _SEGMENT]
        if commands:
            return commands[-1]
    return 0


def _make(directory: Path, ready: Path, seq: int, shard: int) -> None:
    """Make the journal up to `seq` in `ready`, whole, checked and on the disk. CommandError where it is not sound."""
    making = _beside(directory, "restoring")
    for left in (making, ready):
        shutil.rmtree(left, ignore_errors=True)
    there = directory.stat()
    making.mkdir(mode=0o700)
    for segment in _segments(directory):
        size = max((end for kind, number, end in _records(segment) if kind == _SEGMENT or number <= seq), default=0)
        if int(segment.stem) > seq:
            break
        _copy(segment, making / segment.name, size)
        seal = segment.with_suffix(".sha256")
        if size == segment.stat().st_size and seal.exists():
            _copy(seal, making / seal.name, seal.stat().st_size)
    for snapshot in core.snapshots(directory):
        if int(snapshot.stem) <= seq:
            _copy(snapshot, making / snapshot.name, snapshot.stat().st_size)
    _keep_state(directory, making)
    report = core.journal_verify(making, shard)
    if report.seq != seq:
        raise CommandError(f"{making}: ends at sequence {report.seq}, and {seq} was asked for: nothing was moved")
    for path in (*making.iterdir(), making):
        os.chmod(path, 0o700 if path == making else 0o600)
        if os.geteuid() == 0:
            os.chown(path, there.st_uid, there.st_gid)
    _sync(making)
    making.rename(ready)
    _sync(directory.parent)


def _copy(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        while size > 0 and (data := read.read(min(size, _COPY_BYTES))):
            written.write(data)
            size -= len(data)
        written.flush()
        os.fsync(written.fileno())


def _keep_state(source: Path, target: Path) -> None:
    """Keep what the member has promised; it is in no doubt about a journal that a person has chosen for it."""
    state = replica_state.read(source)
    if state is None:
        return
    if not state.known:
        raise CommandError(f"{source / replica_state.NAME}: was written by a newer build: restore with that one")
    path = target / replica_state.NAME
    path.write_bytes(replica_state.without_doubt(state))
    _sync(path)


def _swap(directory: Path, ready: Path) -> Path:
    """Move the journal aside and the new one in its place, in this order, so that no moment has two of them."""
    there = directory.stat()
    old = directory.with_name(f"{directory.name}.aside-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S.%fZ}")
    ready.chmod(there.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(ready, there.st_uid, there.st_gid)
    directory.rename(old)
    ready.rename(directory)
    _sync(directory.parent)
    return old


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def run_restore(arguments: argparse.Namespace) -> None:
    """Print what was done, one line of JSON."""
    _print(lambda: restore(Path(arguments.directory), arguments.until, arguments.shard, arguments.check))


def run_aside(arguments: argparse.Namespace) -> None:
    """Print what was done, one line of JSON."""
    _print(lambda: aside(Path(arguments.directory), arguments.check))


def _print(function: Any) -> None:
    try:
        print(json.dumps(function()._asdict()))
    except OSError as error:
        raise CommandError(f"{error.filename or 'journal'}: {error.strerror}") from error
