# SPDX-License-Identifier: GPL-3.0-or-later
"""Reader of LOBSTER message files: one event of a limit order book on each line.

Source: lobsterdata.com, "LOBSTER output: message file". Six columns without a header: time (seconds after midnight,
to the nanosecond), type, order id, size, price (units of 10^-4), direction of the limit order (1 buy, -1 sell). A
file is named TICKER_DATE_START_END_message_LEVELS.csv, and may be compressed (.csv.gz).

A line that is not so is refused with FILE:LINE: field NAME: …, since a guess about an order is worse than none.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ironbook.errors import CommandError

NEW, PARTIAL_CANCEL, DELETE, EXECUTION, HIDDEN_EXECUTION, CROSS_TRADE, HALT = range(1, 8)

_COLUMNS = ("time", "type", "order_id", "size", "price", "direction")
_NAME = re.compile(r"^(?P<symbol>[A-Z][A-Z0-9.]{0,7})_\d{4}-\d{2}-\d{2}_\d+_\d+_message_\d+\.csv(\.gz)?$")
_PATTERN = "TICKER_DATE_START_END_message_LEVELS.csv[.gz]"
_TIME = re.compile(r"^([0-9]{1,5})(?:\.([0-9]{1,9})[0-9]*)?$")
_INTEGER = re.compile(r"^-?[0-9]{1,18}$")
# What OUCH 5.0 can carry: a ClOrdID of 14 digits, a quantity of four bytes, a price of at most $199,999.99.
_HIGHEST = {"order_id": 10**14 - 1, "size": 2**32 - 1, "price": 1_999_999_900}
_DAY_NS = 86_400 * 10**9


class MarketDataError(CommandError):
    """One line that names the file, the line, the field and what is wrong with it."""


class Message(NamedTuple):
    """One line. `time_ns` is nanoseconds after midnight, `price` in units of 10^-4, `direction` 1 or -1."""

    line: int
    time_ns: int
    type: int
    order_id: int
    size: int
    price: int
    direction: int


@dataclass(frozen=True)
class Session:
    """A whole file. `sha256` is that of the uncompressed text, so a file is the same one however it is packed."""

    path: Path
    symbol: str
    sha256: str
    messages: list[Message]


def find_message_file(place: Path) -> Path:
    """`place` itself, or the one message file in the directory `place`."""
    if place.is_file():
        return place
    if not place.is_dir():
        raise MarketDataError(f"{place}: no such market data file or directory")
    found = sorted(entry for entry in place.iterdir() if _NAME.match(entry.name))
    if not found:
        raise MarketDataError(f"{place}: holds no LOBSTER message file ({_PATTERN})")
    if len(found) > 1:
        names = ", ".join(entry.name for entry in found)
        raise MarketDataError(f"{place}: holds {len(found)} message files ({names}); name the one to replay")
    return found[0]


@dataclass(frozen=True)
class MessageFile:
    """A message file that was read and not yet parsed: enough to know whether it is one that was replayed before."""

    path: Path
    symbol: str
    sha256: str
    data: bytes

    def session(self) -> Session:
        """Parse and check every line. Raises MarketDataError at the first wrong one."""
        return Session(self.path, self.symbol, self.sha256, parse(self.data, str(self.path)))


def read_file(path: Path) -> MessageFile:
    """Read the message file `path`. Raises MarketDataError if it is not named as one, or cannot be read."""
    name = _NAME.match(path.name)
    if name is None:
        raise MarketDataError(f"{path}: is not named as LOBSTER names message files ({_PATTERN})")
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise MarketDataError(f"{path}: cannot be read: {error}") from error
    return MessageFile(path, name["symbol"], hashlib.sha256(data).hexdigest(), data)


def read_session(path: Path) -> Session:
    """Read and check every line of the message file `path`. Raises MarketDataError at the first wrong one."""
    return read_file(path).session()


def parse(data: bytes, name: str) -> list[Message]:
    """Return the messages in `data`, the content of the file called `name` in errors."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MarketDataError(f"{name}:{line}: field line: is not text") from error
    messages: list[Message] = []
    latest = 0
    for number, row in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        message = _parse_line(row, number, name)
        if message.time_ns < latest:
            raise MarketDataError(f"{name}:{number}: field time: {row.split(',')[0]} is earlier than the line before")
        latest = message.time_ns
        messages.append(message)
    if not messages:
        raise MarketDataError(f"{name}: is empty")
    return messages


def _parse_line(line: str, number: int, name: str) -> Message:
    def wrong(field: str, value: str, wanted: str) -> MarketDataError:
        return MarketDataError(f"{name}:{number}: field {field}: {value[:40]!r} is not {wanted}")

    fields = line.rstrip("\r").split(",")
    if len(fields) != len(_COLUMNS):
        given = f"{len(fields)} columns"
        raise MarketDataError(f"{name}:{number}: field {_COLUMNS[min(len(fields), 5)]}: the line has {given}, not 6")
    time = _TIME.match(fields[0])
    if time is None:
        raise wrong("time", fields[0], "seconds after midnight")
    time_ns = int(time[1]) * 10**9 + int((time[2] or "").ljust(9, "0"))
    if time_ns > _DAY_NS:
        raise wrong("time", fields[0], "within one day")
    for column, value in zip(_COLUMNS[1:], fields[1:], strict=True):
        if not _INTEGER.match(value):
            raise wrong(column, value, "an integer")
    kind, order_id, size, price, direction = map(int, fields[1:])
    if not NEW <= kind <= HALT:
        raise wrong("type", fields[1], "1 to 7")
    if kind in (NEW, PARTIAL_CANCEL, DELETE, EXECUTION):
        for column, amount in (("order_id", order_id), ("size", size), ("price", price)):
            if not 0 < amount <= _HIGHEST[column]:
                raise wrong(column, str(amount), f"between 1 and {_HIGHEST[column]}")
        if direction not in (1, -1):
            raise wrong("direction", fields[5], "1 (buy) or -1 (sell)")
    return Message(number, time_ns, kind, order_id, size, price, direction)
