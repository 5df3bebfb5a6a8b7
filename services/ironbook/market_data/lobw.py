# SPDX-License-Identifier: GPL-3.0-or-later
"""LOBW files: order flow for benchmarks, and what every correct matcher makes of it.

Little-endian. A header of 64 bytes: magic "BOL0BOW1", then u32 version (1), symbols, warm, messages, id_max, price_max;
u64 trades, quantity, notional, resting. Then warm + messages records of 16 bytes: u8 type (0 new, 1 cancel, 2 cross),
u8 side (0 buy, 1 sell), u16 symbol, u32 id, u32 price (ticks), u32 quantity.

A new order never crosses, a cancel names a resting order, a cross fills whole; so trades, quantity, notional (sum of
quantity times the resting order's price) and the orders that rest at the end are the same for every matcher with
price-time priority, and stand in the header.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ironbook.errors import CommandError

MAGIC = 0x31574F42304C4F42
VERSION = 1
_HEADER = struct.Struct("<Q6I4Q")
RECORD = struct.Struct("<BBHIII")
NEW, CANCEL, CROSS = range(3)
BUY, SELL = range(2)


class Header(NamedTuple):
    """The first 64 bytes, without magic and version."""

    symbols: int
    warm: int
    messages: int
    id_max: int
    price_max: int
    trades: int
    quantity: int
    notional: int
    resting: int


@dataclass(frozen=True)
class Flow:
    """A file that was read: `records` holds warm + messages records of RECORD.size bytes."""

    path: Path
    header: Header
    records: memoryview


def is_lobw(beginning: bytes) -> bool:
    """Whether a file that begins so says that it is one."""
    return beginning[:8] == MAGIC.to_bytes(8, "little")


def read(path: Path) -> Flow:
    """Read a whole file. Raises CommandError when it is none, or is cut short."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    if not is_lobw(data):
        raise CommandError(f"{path}: is not a LOBW file: it does not begin with their magic number")
    if len(data) < _HEADER.size:
        raise CommandError(f"{path}: is cut short: {len(data)} bytes, and the header has {_HEADER.size}")
    _, version, *fields = _HEADER.unpack_from(data)
    if version != VERSION:
        raise CommandError(f"{path}: has LOBW version {version}; this program reads version {VERSION}")
    header = Header(*fields)
    wanted = _HEADER.size + RECORD.size * (header.warm + header.messages)
    if len(data) != wanted:
        what = "is cut short" if len(data) < wanted else "goes on behind its end"
        raise CommandError(f"{path}: {what}: {len(data)} bytes where the header announces {wanted}")
    if header.messages == 0:
        raise CommandError(f"{path}: has no messages to measure")
    return Flow(path, header, memoryview(data)[_HEADER.size :])


def write(path: Path, header: Header, records: bytes) -> None:
    """Write a whole file."""
    path.write_bytes(_HEADER.pack(MAGIC, VERSION, *header) + records)
