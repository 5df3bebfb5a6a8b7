# SPDX-License-Identifier: GPL-3.0-or-later
"""replica.state, the 64 bytes that a member keeps beside its journal (engine_native/src/replica_state.h).

Where it is missing the disk is a new one, and the member leads nobody before it is in sync. The engine writes it; here
it is looked at while the engine is down, and cleared of doubt where a person has chosen the journal.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ironbook.errors import CommandError

NAME = "replica.state"
_MAGIC = b"PLS1"
_FORMAT = 1
# magic, format, shard, member, promised epoch, doubt_seq, cut_seq, is_cut, reserved; then CRC-32C of them
_FIELDS = struct.Struct("<4sIIIQQQI16s")
_BYTES = _FIELDS.size + 4


@dataclass(frozen=True)
class ReplicaState:
    """Whose it is, and the epoch that it has promised. `known`: this build knows the format."""

    shard: int
    replica: int
    promised: int
    known: bool


def read(directory: Path) -> ReplicaState | None:
    """Read that of a journal's directory, None where there is none. CommandError where it is damaged."""
    path = directory / NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    whole = len(data) == _BYTES and data[:4] == _MAGIC
    if not whole or crc32c(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise CommandError(f"{path}: is damaged")
    _, number, shard, replica, promised, *_ = _FIELDS.unpack(data[:-4])
    return ReplicaState(shard, replica, promised, number == _FORMAT)


def without_doubt(state: ReplicaState) -> bytes:
    """Return the file of a member that keeps its promise and doubts nothing of its journal."""
    data = _FIELDS.pack(_MAGIC, _FORMAT, state.shard, state.replica, state.promised, 0, 0, 0, bytes(16))
    return data + crc32c(data).to_bytes(4, "little")


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720, B.4) of some bytes, bit by bit: they are few."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
