# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a shard, from outside its engine: verify it, read it, replay it. And `Journal`, which writes one.

Reading takes no lock and changes nothing, so a live journal can be read. Replaying it gives what the shard has said
and where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, check
from ironbook.core.handle import Handle
from ironbook.core.matcher import Totals, totals_of
from ironbook.core.records import COMMAND, Command, Event, pack_commands, unpack_commands, unpack_events
from ironbook.core.text import text_of

_BATCH = 4096


class JournalReport(NamedTuple):
    """What reading a journal found: `struct ib_journal_report` without its error, which is raised."""

    shard: int
    epoch: int
    orders: int
    format: int
    rules: int
    segments: int
    records: int
    seq: int
    time_ns: int
    bytes: int
    chain: int
    torn_bytes: int
    spare_bytes: int
    file: str


def _report(raw: Any) -> JournalReport:
    fields = {name: getattr(raw, name) for name in JournalReport._fields if name != "file"}
    return JournalReport(**fields, file=text_of(raw.file))


class _Reader:
    """An open `struct ib_journal_reader`."""

    def __init__(self, directory: str | Path, shard: int | None) -> None:
        handle = ffi.new("struct ib_journal_reader **")
        wanted = lib.IB_JOURNAL_SHARD_ANY if shard is None else shard
        status = lib.ib_journal_reader_open(handle, os.fsencode(directory), wanted)
        if handle[0] == ffi.NULL:
            check(status)
        self._handle = ffi.gc(handle[0], lib.ib_journal_reader_close)
        self._check(status)

    def _check(self, status: int) -> None:
        check(status, text_of(lib.ib_journal_reader_report(self._handle).error))

    def batches(self) -> Iterator[bytes]:
        """Yield the commands in buffers of at most 4,096."""
        commands = ffi.new("struct ib_command[]", _BATCH)
        count = ffi.new("size_t *")
        while True:
            self._check(lib.ib_journal_reader_next(self._handle, commands, _BATCH, count))
            if count[0] == 0:
                return
            yield bytes(ffi.buffer(commands, count[0] * COMMAND.size))

    def report(self) -> JournalReport:
        return _report(lib.ib_journal_reader_report(self._handle))


class _Replay:
    """An open `struct ib_replay`: of all commands, or of those behind a snapshot."""

    def __init__(self, directory: str | Path, until_seq: int | None, *, whole: bool = True) -> None:
        if until_seq is not None and until_seq < 1:
            raise ArgumentError(f"until sequence {until_seq}: sequence numbers begin at 1")
        handle = ffi.new("struct ib_replay **")
        opens = lib.ib_replay_open if whole else lib.ib_replay_open_behind
        status = opens(handle, os.fsencode(directory), until_seq or 0)
        if handle[0] == ffi.NULL:
            check(status)
        self.handle = ffi.gc(handle[0], lib.ib_replay_close)
        self.check(status)

    def check(self, status: int) -> None:
        check(status, text_of(lib.ib_replay_error(self.handle)))


def journal_verify(directory: str | Path, shard: int | None = None) -> JournalReport:
    """Read every record of a journal, check its sums, chain and sequence, and return what is there.

    Raises JournalDamagedError with file, offset and sequence; JournalForeignError for another shard than `shard`.
    """
    reader = _Reader(directory, shard)
    for _ in reader.batches():
        pass
    return reader.report()


def journal_dump(directory: str | Path, shard: int | None = None) -> Iterator[Command]:
    """Yield every command of a journal, in sequence. Raises as `journal_verify`, once the sound ones are out."""
    for batch in _Reader(directory, shard).batches():
        yield from unpack_commands(batch)


def replay(
    directory: str | Path, until_seq: int | None = None, *, whole: bool = True, notes: list[str] | None = None
) -> Totals:
    """Apply a journal to a matcher, up to `until_seq` or its end, and return the sums and the state hash.

    Unless `whole`, the matcher begins with the newest sound snapshot in the directory that is not behind `until_seq`,
    and `notes` gets a line about those that were passed over.
    Raises as `journal_verify`, ArgumentError when the journal ends before `until_seq`, and ConfigurationError for a
    snapshot that contradicts the journal.
    """
    run = _Replay(directory, until_seq, whole=whole)
    if notes is not None and (note := text_of(lib.ib_replay_note(run.handle))):
        notes.append(note)
    run.check(lib.ib_replay_run(run.handle))
    raw = ffi.new("struct ib_totals *")
    lib.ib_replay_totals(run.handle, raw)
    totals = totals_of(raw)
    if until_seq is not None and totals.seq < until_seq:
        raise ArgumentError(f"{directory}: the journal ends at sequence {totals.seq}, before {until_seq}")
    text = ffi.new("char[]", lib.IB_ERROR_TEXT_SIZE)
    check(lib.ib_replay_check(run.handle, text, lib.IB_ERROR_TEXT_SIZE), text_of(text))
    return totals


def event_batches(directory: str | Path, until_seq: int | None = None) -> Iterator[bytes]:
    """Yield a journal's events as buffers of 128-byte records, at most 4,096 each. Raises as `journal_verify`."""
    run = _Replay(directory, until_seq)
    buffer = ffi.new("struct ib_event[]", _BATCH)
    count = ffi.new("size_t *")
    while True:
        run.check(lib.ib_replay_events(run.handle, buffer, _BATCH, count))
        if count[0] == 0:
            return
        yield bytes(ffi.buffer(buffer, count[0] * ffi.sizeof("struct ib_event")))


def events(directory: str | Path, until_seq: int | None = None) -> Iterator[Event]:
    """Yield a journal's events, decoded, in order. Raises as `journal_verify`."""
    for batch in event_batches(directory, until_seq):
        yield from unpack_events(batch)


class Journal(Handle):
    """Writes a journal, and holds its lock until it is closed: for tests and tools; the engine writes its own."""

    def __init__(  # noqa: PLR0913 - the fields of struct ib_journal_config
        self,
        directory: str | Path,
        *,
        shard: int = 0,
        orders: int = 1024,
        epoch: int = 1,
        segment_bytes: int = 1 << 26,
        fsync: bool = False,
    ) -> None:
        """Lock the directory, recover what is there and open it for appending. Raises as `journal_verify`."""
        path = ffi.new("char[]", os.fsencode(directory))
        config = ffi.new("struct ib_journal_config *")
        config.directory = path
        config.shard = shard
        config.orders = orders
        config.epoch = epoch
        config.segment_bytes = segment_bytes
        config.fsync_policy = lib.IB_FSYNC_GROUP if fsync else lib.IB_FSYNC_NONE
        handle = ffi.new("struct ib_journal **")
        report = ffi.new("struct ib_journal_report *")
        check(lib.ib_journal_open(handle, config, ffi.NULL, ffi.NULL, report), text_of(report.error))
        super().__init__(handle[0], lib.ib_journal_close)
        self.recovered = _report(report)

    def append(self, commands: list[Command]) -> None:
        """Append one group, 1 to 4,096 commands, by one write. Raises ArgumentError when it is out of sequence."""
        array = ffi.from_buffer("struct ib_command[]", pack_commands(commands), require_writable=False)
        status = lib.ib_journal_append(self._handle, array, len(array))
        check(status, text_of(lib.ib_journal_error(self._handle)))

    @property
    def seq(self) -> int:
        """The last sequence number in the journal; 0 = none."""
        return cast(int, lib.ib_journal_seq(self._handle))
