# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal read from its bytes, by docs/engine.md alone: no line of the engine's or of its binding's is used here.

It verifies what the record layout says of one journal: sums, dense sequence, time and epoch that never fall, one shard.
The hash chain is the engine's own mixing and is left to it. A torn tail is reported; everything else that does not fit
is a JournalError. Formats 1 to 3: where segments are reserved ahead, the last one is zero behind its last record.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = 0x314C4E4A  # JNL1
SEGMENT, COMMAND = 1, 2
SESSION_ADD, ENTER, EPOCH = 2, 3, 21
SIDES = {1: "B", 2: "S"}  # enum ib_side
_HEADER = struct.Struct("<IHHIIQQQQQII")
_COMMAND = struct.Struct("<QQHHIIIqQBBBB")
_CLIENT_DATA = slice(72, 96)
_VALUE = slice(112, 120)
_RECORD_BYTES = 64 + 128
_LENGTHS = {SEGMENT: (64,), COMMAND: (96, 128)}


class JournalError(Exception):
    """The bytes are no journal; the text names file and offset."""


@dataclass(frozen=True)
class Command:
    """One sequenced command, as far as a check looks at it."""

    seq: int
    time_ns: int
    epoch: int
    type: int
    session: int
    instrument: int
    user_ref: int
    price: int
    quantity: int
    side: str
    value: int  # EPOCH: the epoch that begins
    payload: bytes  # what two members must have alike


@dataclass
class Journal:
    """All commands of a directory, `commands[i]` of sequence number i + 1."""

    shard: int = -1
    commands: list[Command] = field(default_factory=list)
    torn_bytes: int = 0

    def sessions(self) -> list[str]:
        """The user names, by their index."""
        added = [one for one in self.commands if one.type == SESSION_ADD]
        return [one.payload[_CLIENT_DATA][:6].decode("ascii", "replace").strip("\0 ") for one in added]


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C, RFC 3720, B.4: iSCSI's polynomial, reflected."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def read(directory: Path) -> Journal:
    """Read all segments of a directory; JournalError where they are none."""
    journal = Journal()
    files = sorted(path for path in directory.iterdir() if re.fullmatch(r"\d{20}\.journal", path.name))
    for number, path in enumerate(files):
        _read_segment(path, journal, is_last=number == len(files) - 1)
    return journal


def _read_segment(path: Path, journal: Journal, is_last: bool) -> None:
    data = path.read_bytes()
    offset = 0
    while offset < len(data):
        record = data[offset : offset + _RECORD_BYTES]
        if not any(record) and not any(data[offset:]):
            if not is_last:
                raise JournalError(f"{path.name} at {offset}: zeros, and it is not the last segment")
            return
        if problem := _problem(record, path, offset, journal):
            # A write that was cut short: the file ends within the record, or its last byte and all behind it are zero.
            cut_short = len(record) < _RECORD_BYTES or not any(data[offset + _RECORD_BYTES - 1 :])
            if is_last and cut_short and offset > 0:
                journal.torn_bytes = len(data[offset:].rstrip(b"\0"))
                return
            raise JournalError(f"{path.name} at {offset}: {problem}")
        offset += _take(record, journal)


def _problem(record: bytes, path: Path, offset: int, journal: Journal) -> str:
    """What is wrong with the record at an offset; an empty text where nothing is."""
    return _problem_of_bytes(record) or _problem_of_place(record, path, offset, journal)


def _problem_of_bytes(record: bytes) -> str:
    """What is wrong with a record alone."""
    if len(record) < _HEADER.size:
        return "ends within a header"
    magic, form, kind, length, *_, payload_crc, header_crc = _HEADER.unpack_from(record)
    if magic != MAGIC or header_crc != crc32c(record[:60]):
        return "no header of a record, or a wrong sum of it"
    if form not in {1, 2, 3} or length not in _LENGTHS.get(kind, ()):
        return f"format {form}, type {kind}, length {length}"
    payload = record[_HEADER.size : _HEADER.size + length]
    if len(payload) < length or payload_crc != crc32c(payload):
        return "ends within its payload, or a wrong sum of it"
    return ""


def _problem_of_place(record: bytes, path: Path, offset: int, journal: Journal) -> str:
    """What is wrong with a sound record where it stands."""
    _, _, kind, _, shard, epoch, seq, time_ns, *_ = _HEADER.unpack_from(record)
    wanted, before = len(journal.commands) + 1, journal.commands[-1] if journal.commands else None
    checks = (
        (seq != wanted, f"sequence number {seq}, where {wanted} is to come"),
        ((kind == SEGMENT) != (offset == 0), f"type {kind} in this place"),
        (kind == SEGMENT and int(path.name[:20]) != seq, f"a segment of {seq} in a file of another name"),
        (journal.shard not in {-1, shard}, f"of shard {shard}, behind records of shard {journal.shard}"),
        (before and epoch < before.epoch, f"of epoch {epoch}, behind one of epoch {before and before.epoch}"),
        (before and time_ns < before.time_ns, "of an earlier time than the record before it"),
        (
            kind == COMMAND and _COMMAND.unpack_from(record, _HEADER.size)[:2] != (seq, time_ns),
            "the command says another sequence number or time than its header",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), "")


def _take(record: bytes, journal: Journal) -> int:
    """Add a sound record; its length."""
    _, _, kind, length, journal.shard, epoch, *_ = _HEADER.unpack_from(record)
    if kind == COMMAND:
        payload = record[_HEADER.size : _HEADER.size + length]
        seq, time_ns, what, session, instrument, user_ref, _, price, quantity, side, *_ = _COMMAND.unpack_from(payload)
        meaning = payload[:124].ljust(124, b"\0")  # the last four bytes are the mark of format 3
        journal.commands.append(
            Command(
                *(seq, time_ns, epoch, what, session, instrument, user_ref, price, quantity),
                side=SIDES.get(side, ""),
                value=int.from_bytes(payload[_VALUE], "little"),
                payload=meaning,
            )
        )
    return _HEADER.size + length
