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
INSTRUMENT_ALL: int = lib.IB_INSTRUMENT_ALL
ACCOUNT_ANY: int = lib.IB_ACCOUNT_ANY
UNLIMITED: int = lib.IB_UNLIMITED
RULES_NEWEST: int = lib.IB_RULES_NEWEST


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
    RULES = lib.IB_COMMAND_RULES
    ACCOUNT_ADD = lib.IB_COMMAND_ACCOUNT_ADD
    INSTRUMENT_CHANGE = lib.IB_COMMAND_INSTRUMENT_CHANGE
    INSTRUMENT_REMOVE = lib.IB_COMMAND_INSTRUMENT_REMOVE
    PHASE = lib.IB_COMMAND_PHASE
    INDICATE = lib.IB_COMMAND_INDICATE
    MASS_CANCEL = lib.IB_COMMAND_MASS_CANCEL
    EXPIRE = lib.IB_COMMAND_EXPIRE
    RISK_LIMIT = lib.IB_COMMAND_RISK_LIMIT
    KILL = lib.IB_COMMAND_KILL
    ORDER_ENTRY = lib.IB_COMMAND_ORDER_ENTRY
    MODIFY = lib.IB_COMMAND_MODIFY
    EPOCH = lib.IB_COMMAND_EPOCH


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
    PHASE = lib.IB_EVENT_PHASE
    INDICATIVE = lib.IB_EVENT_INDICATIVE
    REFRESHED = lib.IB_EVENT_REFRESHED
    RELEASED = lib.IB_EVENT_RELEASED
    INSTRUMENT = lib.IB_EVENT_INSTRUMENT
    RISK = lib.IB_EVENT_RISK
    MODIFIED = lib.IB_EVENT_MODIFIED


class Side(IntEnum):
    """`enum ib_side`."""

    BUY = lib.IB_SIDE_BUY
    SELL = lib.IB_SIDE_SELL


class TimeInForce(IntEnum):
    """`enum ib_time_in_force`."""

    DAY = lib.IB_TIME_IN_FORCE_DAY
    GTC = lib.IB_TIME_IN_FORCE_GTC
    AT_OPEN = lib.IB_TIME_IN_FORCE_AT_OPEN
    IOC = lib.IB_TIME_IN_FORCE_IOC
    FOK = lib.IB_TIME_IN_FORCE_FOK
    GTD = lib.IB_TIME_IN_FORCE_GTD
    AT_CLOSE = lib.IB_TIME_IN_FORCE_AT_CLOSE


class OrderType(IntEnum):
    """`enum ib_order_type`."""

    LIMIT = lib.IB_ORDER_LIMIT
    MARKET = lib.IB_ORDER_MARKET
    STOP = lib.IB_ORDER_STOP
    STOP_LIMIT = lib.IB_ORDER_STOP_LIMIT


class Reason(IntEnum):
    """`enum ib_reason`."""

    NONE = lib.IB_REASON_NONE
    USER = lib.IB_REASON_USER
    IMMEDIATE_OR_CANCEL = lib.IB_REASON_IMMEDIATE_OR_CANCEL
    FILL_OR_KILL = lib.IB_REASON_FILL_OR_KILL
    MINIMUM_QUANTITY = lib.IB_REASON_MINIMUM_QUANTITY
    SELF_TRADE = lib.IB_REASON_SELF_TRADE
    PRICE_BAND = lib.IB_REASON_PRICE_BAND
    AUCTION_ENDED = lib.IB_REASON_AUCTION_ENDED
    DAY_ENDED = lib.IB_REASON_DAY_ENDED
    EXPIRED = lib.IB_REASON_EXPIRED
    MASS_CANCEL = lib.IB_REASON_MASS_CANCEL
    INSTRUMENT_REMOVED = lib.IB_REASON_INSTRUMENT_REMOVED
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
    FLAGS_INVALID = lib.IB_REASON_FLAGS_INVALID
    PHASE = lib.IB_REASON_PHASE
    POST_ONLY = lib.IB_REASON_POST_ONLY
    JOURNAL_FULL = lib.IB_REASON_JOURNAL_FULL
    RISK_KILLED = lib.IB_REASON_RISK_KILLED
    RISK_RATE = lib.IB_REASON_RISK_RATE
    RISK_QUANTITY = lib.IB_REASON_RISK_QUANTITY
    RISK_COLLAR = lib.IB_REASON_RISK_COLLAR
    RISK_NOTIONAL = lib.IB_REASON_RISK_NOTIONAL
    RISK_POSITION = lib.IB_REASON_RISK_POSITION
    RISK_OPEN_ORDERS = lib.IB_REASON_RISK_OPEN_ORDERS
    RISK_TABLE_FULL = lib.IB_REASON_RISK_TABLE_FULL


class EventFlag(IntFlag):
    """`enum ib_event_flag`."""

    RESTING = lib.IB_FLAG_RESTING
    INCOMING = lib.IB_FLAG_INCOMING
    PRIORITY_KEPT = lib.IB_FLAG_PRIORITY_KEPT
    AUCTION = lib.IB_FLAG_AUCTION
    HIDDEN = lib.IB_FLAG_HIDDEN


class OrderFlag(IntFlag):
    """`enum ib_order_flag`."""

    HIDDEN = lib.IB_ORDER_HIDDEN
    POST_ONLY = lib.IB_ORDER_POST_ONLY


class SelfTrade(IntEnum):
    """`enum ib_self_trade`."""

    ALLOWED = lib.IB_SELF_TRADE_ALLOWED
    CANCEL_NEWEST = lib.IB_SELF_TRADE_CANCEL_NEWEST
    CANCEL_OLDEST = lib.IB_SELF_TRADE_CANCEL_OLDEST
    CANCEL_BOTH = lib.IB_SELF_TRADE_CANCEL_BOTH
    DECREMENT = lib.IB_SELF_TRADE_DECREMENT


class Phase(IntEnum):
    """`enum ib_phase`."""

    CONTINUOUS = lib.IB_PHASE_CONTINUOUS
    CLOSED = lib.IB_PHASE_CLOSED
    PRE_OPEN = lib.IB_PHASE_PRE_OPEN
    OPENING_AUCTION = lib.IB_PHASE_OPENING_AUCTION
    VOLATILITY_AUCTION = lib.IB_PHASE_VOLATILITY_AUCTION
    HALTED = lib.IB_PHASE_HALTED
    CLOSING_AUCTION = lib.IB_PHASE_CLOSING_AUCTION


class Breach(IntEnum):
    """`enum ib_breach`."""

    VOLATILITY_AUCTION = lib.IB_BREACH_VOLATILITY_AUCTION
    HALT = lib.IB_BREACH_HALT


class RiskLimit(IntEnum):
    """`enum ib_risk_limit`."""

    MESSAGE_RATE = lib.IB_RISK_MESSAGE_RATE
    ORDER_QUANTITY = lib.IB_RISK_ORDER_QUANTITY
    COLLAR = lib.IB_RISK_COLLAR
    ORDER_NOTIONAL = lib.IB_RISK_ORDER_NOTIONAL
    POSITION_LONG = lib.IB_RISK_POSITION_LONG
    POSITION_SHORT = lib.IB_RISK_POSITION_SHORT
    OPEN_ORDERS = lib.IB_RISK_OPEN_ORDERS
    KILL = lib.IB_RISK_KILL


COMMAND = struct.Struct("<QQHHIIIqQBBBBBBHQQ24sqQQBB6x")
EVENT = struct.Struct("<QQIHHIIIBBBBQQqQQIIQBBH4x24s")
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
    self_trade: int = 0
    flags: int = 0
    account: int = 0
    displayed: int = 0
    minimum: int = 0
    client_data: bytes = b""
    stop_price: int = 0
    expire_time_ns: int = 0
    value: int = 0
    phase: int = 0
    limit: int = 0


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
    displayed: int
    phase: int
    limit: int
    account: int
    client_data: bytes


def pack_commands(commands: Iterable[Command]) -> bytes:
    """Lay commands out as the core reads them, 128 bytes each. Raises `struct.error` when a field does not fit."""
    return b"".join(COMMAND.pack(*command) for command in commands)


def unpack_commands(buffer: bytes | memoryview) -> Iterator[Command]:
    """Decode a whole number of 128-byte commands."""
    return map(Command._make, COMMAND.iter_unpack(buffer))


def unpack_events(buffer: bytes | memoryview) -> Iterator[Event]:
    """Decode a whole number of 128-byte events."""
    return map(Event._make, EVENT.iter_unpack(buffer))


def instrument_add(  # noqa: PLR0913 - the fields of struct ib_instrument_command
    seq: int,
    time_ns: int,
    index: int,
    symbol: str,
    tick: int,
    *,
    lot: int = 1,
    static_band: int = 0,
    dynamic_band: int = 0,
    breach: int = 0,
    phase: int = 0,
    reference_price: int = 0,
    price_scale: int = 4,
    quantity_scale: int = 0,
    change: bool = False,
) -> Command:
    """Define the next instrument, or `change` one; `tick` in price units, bands in basis points (0 = none).

    It is `struct ib_instrument_command`, said in the fields of `struct ib_command` that lie at the same places.
    """
    return Command(
        seq,
        time_ns,
        CommandType.INSTRUMENT_CHANGE if change else CommandType.INSTRUMENT_ADD,
        instrument=index,
        price=tick,
        quantity=lot,
        side=price_scale,
        time_in_force=quantity_scale,
        order_type=phase,
        reason=breach,
        displayed=static_band,
        minimum=dynamic_band,
        client_data=symbol.encode("ascii").ljust(lib.IB_SYMBOL_SIZE),
        stop_price=reference_price,
    )


def session_add(  # noqa: PLR0913 - the fields of the command
    seq: int, time_ns: int, index: int, username: str, firm: str, *, account: int = 0
) -> Command:
    """Define the next session; it trades for `account` (0: for none, without limits)."""
    data = username.encode("ascii").ljust(lib.IB_USERNAME_SIZE) + firm.encode("ascii").ljust(lib.IB_FIRM_SIZE)
    return Command(seq, time_ns, CommandType.SESSION_ADD, session=index, account=account, client_data=data)
