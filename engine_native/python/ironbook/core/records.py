# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and events in Python: the two structs of ironbook.h, decoded from buffers in batches.

Units are those of the header: price in 10^-4 of the currency, quantity in units of 1, time in ns since the Unix epoch
(UTC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum, IntFlag
from typing import NamedTuple

from ironbook.core._core import ffi, lib

SESSION_NONE: int = lib.IB_SESSION_NONE
QUANTITY_MAX: int = lib.IB_QUANTITY_MAX


class CommandType(IntEnum):
    """`enum ib_command_type`."""

    INSTRUMENT_ADD = lib.IB_COMMAND_INSTRUMENT_ADD
    SESSION_ADD = lib.IB_COMMAND_SESSION_ADD
    ENTER = lib.IB_COMMAND_ENTER
    REPLACE = lib.IB_COMMAND_REPLACE
    CANCEL = lib.IB_COMMAND_CANCEL
    HALT = lib.IB_COMMAND_HALT
    RESUME = lib.IB_COMMAND_RESUME
    END_OF_DAY = lib.IB_COMMAND_END_OF_DAY


class EventType(IntEnum):
    """`enum ib_event_type`."""

    ACCEPTED = lib.IB_EVENT_ACCEPTED
    RESTED = lib.IB_EVENT_RESTED
    EXECUTED = lib.IB_EVENT_EXECUTED
    CANCELED = lib.IB_EVENT_CANCELED
    REPLACED = lib.IB_EVENT_REPLACED
    REJECTED = lib.IB_EVENT_REJECTED
    TRADING_STATE = lib.IB_EVENT_TRADING_STATE
    END_OF_DAY = lib.IB_EVENT_END_OF_DAY


class Side(IntEnum):
    """`enum ib_side`."""

    BUY = lib.IB_SIDE_BUY
    SELL = lib.IB_SIDE_SELL


class TimeInForce(IntEnum):
    """`enum ib_time_in_force`."""

    DAY = lib.IB_TIME_IN_FORCE_DAY
    IOC = lib.IB_TIME_IN_FORCE_IOC


class OrderType(IntEnum):
    """`enum ib_order_type`."""

    LIMIT = lib.IB_ORDER_LIMIT
    MARKET = lib.IB_ORDER_MARKET


class Reason(IntEnum):
    """`enum ib_reason`."""

    NONE = lib.IB_REASON_NONE
    USER = lib.IB_REASON_USER
    IMMEDIATE_OR_CANCEL = lib.IB_REASON_IMMEDIATE_OR_CANCEL
    HALTED = lib.IB_REASON_HALTED
    INSTRUMENT_UNKNOWN = lib.IB_REASON_INSTRUMENT_UNKNOWN
    PRICE_INVALID = lib.IB_REASON_PRICE_INVALID
    QUANTITY_INVALID = lib.IB_REASON_QUANTITY_INVALID
    SIDE_INVALID = lib.IB_REASON_SIDE_INVALID
    ORDER_TYPE_INVALID = lib.IB_REASON_ORDER_TYPE_INVALID
    TIME_IN_FORCE_INVALID = lib.IB_REASON_TIME_IN_FORCE_INVALID
    ORDER_UNKNOWN = lib.IB_REASON_ORDER_UNKNOWN
    BOOK_FULL = lib.IB_REASON_BOOK_FULL
    EVENT_LOG_FULL = lib.IB_REASON_EVENT_LOG_FULL
    UNSUPPORTED = lib.IB_REASON_UNSUPPORTED


class EventFlag(IntFlag):
    """`enum ib_event_flag`."""

    RESTING = lib.IB_FLAG_RESTING
    INCOMING = lib.IB_FLAG_INCOMING
    PRIORITY_KEPT = lib.IB_FLAG_PRIORITY_KEPT


COMMAND = struct.Struct("<QQHHIIIqQBBBBI16x24s")
EVENT = struct.Struct("<QQIHHIIIBBBBQQqQQII16x24s")
assert COMMAND.size == ffi.sizeof("struct ib_command")
assert EVENT.size == ffi.sizeof("struct ib_event")


class Command(NamedTuple):
    """`struct ib_command`: one sequenced input."""

    seq: int
    time_ns: int
    type: int
    session: int = 0
    instrument: int = 0
    user_ref: int = 0
    user_ref_original: int = 0
    price: int = 0
    quantity: int = 0
    side: int = 0
    time_in_force: int = 0
    order_type: int = 0
    reason: int = 0
    reserved: int = 0
    client_data: bytes = b""


class Event(NamedTuple):
    """`struct ib_event`: one output, named by (seq, index)."""

    seq: int
    time_ns: int
    index: int  # type: ignore[assignment]  # the header's word, though tuples have a method of that name
    type: int
    session: int
    instrument: int
    user_ref: int
    user_ref_original: int
    side: int
    time_in_force: int
    order_type: int
    reason: int
    order_ref: int
    match_ref: int
    price: int
    quantity: int
    remaining: int
    flags: int
    session_seq: int
    client_data: bytes


def pack_commands(commands: Iterable[Command]) -> bytes:
    """Lay commands out as the core reads them, 96 bytes each. Raises `struct.error` when a field does not fit."""
    return b"".join(COMMAND.pack(*command) for command in commands)


def unpack_commands(buffer: bytes | memoryview) -> Iterator[Command]:
    """Decode a whole number of 96-byte commands."""
    return map(Command._make, COMMAND.iter_unpack(buffer))


def unpack_events(buffer: bytes | memoryview) -> Iterator[Event]:
    """Decode a whole number of 128-byte events."""
    return map(Event._make, EVENT.iter_unpack(buffer))


def instrument_add(seq: int, time_ns: int, index: int, symbol: str, tick: int) -> Command:
    """Define the next instrument; `tick` in units of 10^-4."""
    data = symbol.encode("ascii").ljust(lib.IB_SYMBOL_SIZE)
    return Command(seq, time_ns, CommandType.INSTRUMENT_ADD, instrument=index, price=tick, client_data=data)


def session_add(seq: int, time_ns: int, index: int, username: str, firm: str) -> Command:
    """Define the next session."""
    data = username.encode("ascii").ljust(lib.IB_USERNAME_SIZE) + firm.encode("ascii").ljust(lib.IB_FIRM_SIZE)
    return Command(seq, time_ns, CommandType.SESSION_ADD, session=index, client_data=data)
