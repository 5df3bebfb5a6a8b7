# SPDX-License-Identifier: GPL-3.0-or-later
"""OUCH 5.0, the client's side: the bytes of each request, and each report as a named tuple.

Source: Nasdaq, "O*U*C*H Version 5.0". Integers are big-endian; prices are integers in units of 10^-4 of the currency;
text is ASCII, padded with spaces on the right. Text fields stay bytes here, as they came: callers compare them with
constants.

An optional appendage (a length, then tag-value elements) may follow some messages; requests here carry none.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

BUY, SELL, SELL_SHORT, SELL_SHORT_EXEMPT = b"B", b"S", b"T", b"E"
DAY, IMMEDIATE_OR_CANCEL = b"0", b"3"
USER_REF_MAX = 0xFFFFFFFF
QUANTITY_MAX = 999_999  # "Quantity: must be greater than zero and less than 1,000,000"

_ENTER = struct.Struct(">cIcI8sQccccc14sH")
_REPLACE = struct.Struct(">cIIIQccc14sH")
_CANCEL = struct.Struct(">cII")
_MODIFY = struct.Struct(">cIcI")


def enter_order(  # noqa: PLR0913, PLR0917 - an order has this many fields
    user_ref: int,
    side: bytes,
    quantity: int,
    symbol: bytes,
    price: int,
    time_in_force: bytes = DAY,
    *,
    client_order_id: bytes = b"",
    display: bytes = b"Y",
) -> bytes:
    """Enter Order ('O'): a limit order of an agency, in the continuous market; `display` N hides it."""
    return _ENTER.pack(
        b"O",
        user_ref,
        side,
        quantity,
        symbol.ljust(8),
        price,
        time_in_force,
        display,
        b"A",
        b"N",
        b"N",
        client_order_id.ljust(14),
        0,
    )


def replace_order(  # noqa: PLR0913
    original_user_ref: int,
    user_ref: int,
    quantity: int,
    price: int,
    time_in_force: bytes = DAY,
    *,
    client_order_id: bytes = b"",
    display: bytes = b"Y",
) -> bytes:
    """Replace Order ('U'): the order `original_user_ref` lives on as `user_ref`."""
    return _REPLACE.pack(
        b"U", original_user_ref, user_ref, quantity, price, time_in_force, display, b"N", client_order_id.ljust(14), 0
    )


def cancel_order(user_ref: int, quantity: int = 0) -> bytes:
    """Cancel Order ('X'): `quantity` is the order's new size in all, what was executed included; 0 cancels the rest.

    Being absolute, it may be sent twice without harm.
    """
    return _CANCEL.pack(b"X", user_ref, quantity)


def modify_order(user_ref: int, side: bytes, quantity: int) -> bytes:
    """Modify Order ('M'): another mark of a sale, a smaller size, or both; the order keeps its place.

    `quantity` is the order's new size in all, as Cancel Order's.
    """
    return _MODIFY.pack(b"M", user_ref, side, quantity)


def account_query() -> bytes:
    """Account Query ('Q'): asks for the next free UserRefNum."""
    return b"Q"


class SystemEvent(NamedTuple):
    """'S'. `event_code`: S start of day, E end of day."""

    timestamp_ns: int
    event_code: bytes


class Accepted(NamedTuple):
    """'A'. `state`: L live, D dead (accepted and cancelled at once)."""

    timestamp_ns: int
    user_ref: int
    side: bytes
    quantity: int
    symbol: bytes
    price: int
    time_in_force: bytes
    display: bytes
    order_ref: int
    capacity: bytes
    intermarket_sweep: bytes
    cross_type: bytes
    state: bytes
    client_order_id: bytes
    appendage: bytes = b""


class Replaced(NamedTuple):
    """'U'."""

    timestamp_ns: int
    original_user_ref: int
    user_ref: int
    side: bytes
    quantity: int
    symbol: bytes
    price: int
    time_in_force: bytes
    display: bytes
    order_ref: int
    capacity: bytes
    intermarket_sweep: bytes
    cross_type: bytes
    state: bytes
    client_order_id: bytes
    appendage: bytes = b""


class Canceled(NamedTuple):
    """'C'. `quantity` is how much was taken off. `reason`: U the user asked, I immediate or cancel, and others."""

    timestamp_ns: int
    user_ref: int
    quantity: int
    reason: bytes


class AiqCanceled(NamedTuple):
    """'D': taken off to prevent a trade with oneself."""

    timestamp_ns: int
    user_ref: int
    decrement: int
    reason: bytes
    prevented: int
    price: int
    liquidity: bytes


class Executed(NamedTuple):
    """'E'. `liquidity`: A added, R removed, …; `match_ref` is the same in both parties' reports."""

    timestamp_ns: int
    user_ref: int
    quantity: int
    price: int
    liquidity: bytes
    match_ref: int
    appendage: bytes = b""


class BrokenTrade(NamedTuple):
    """'B'."""

    timestamp_ns: int
    user_ref: int
    match_ref: int
    reason: bytes
    client_order_id: bytes


class Rejected(NamedTuple):
    """'J'. `reason` is a number of the specification's table of reject reasons."""

    timestamp_ns: int
    user_ref: int
    reason: int
    client_order_id: bytes


class CancelPending(NamedTuple):
    """'P'."""

    timestamp_ns: int
    user_ref: int


class CancelReject(NamedTuple):
    """'I'."""

    timestamp_ns: int
    user_ref: int


class PriorityUpdate(NamedTuple):
    """'T'."""

    timestamp_ns: int
    user_ref: int
    price: int
    display: bytes
    order_ref: int


class Modified(NamedTuple):
    """'M'. `side` and `quantity` as they are from here on; the latter is what is open."""

    timestamp_ns: int
    user_ref: int
    side: bytes
    quantity: int


class Restated(NamedTuple):
    """'R'."""

    timestamp_ns: int
    user_ref: int
    reason: bytes
    appendage: bytes = b""


class AccountQueryResponse(NamedTuple):
    """'Q'. Every higher UserRefNum than `next_user_ref - 1` is free."""

    timestamp_ns: int
    next_user_ref: int


Report = (
    SystemEvent
    | Accepted
    | Replaced
    | Canceled
    | AiqCanceled
    | Executed
    | BrokenTrade
    | Rejected
    | CancelPending
    | CancelReject
    | PriorityUpdate
    | Modified
    | Restated
    | AccountQueryResponse
)

# After the type byte. Those of _WITH_APPENDAGE are followed by a two-byte length and the appendage itself.
_REPORTS: dict[int, tuple[struct.Struct, type]] = {
    ord("S"): (struct.Struct(">Qc"), SystemEvent),
    ord("A"): (struct.Struct(">QIcI8sQccQcccc14s"), Accepted),
    ord("U"): (struct.Struct(">QIIcI8sQccQcccc14s"), Replaced),
    ord("C"): (struct.Struct(">QIIc"), Canceled),
    ord("D"): (struct.Struct(">QIIcIQc"), AiqCanceled),
    ord("E"): (struct.Struct(">QIIQcQ"), Executed),
    ord("B"): (struct.Struct(">QIQc14s"), BrokenTrade),
    ord("J"): (struct.Struct(">QIH14s"), Rejected),
    ord("P"): (struct.Struct(">QI"), CancelPending),
    ord("I"): (struct.Struct(">QI"), CancelReject),
    ord("T"): (struct.Struct(">QIQcQ"), PriorityUpdate),
    ord("M"): (struct.Struct(">QIcI"), Modified),
    ord("R"): (struct.Struct(">QIc"), Restated),
    ord("Q"): (struct.Struct(">QI"), AccountQueryResponse),
}
_WITH_APPENDAGE = frozenset(b"AUER")


class OuchError(Exception):
    """A message that OUCH 5.0 does not know, or half of one."""


def decode(message: bytes) -> Report:
    """Return the report in `message` (without SoupBinTCP's framing). What a later version appends is left alone."""
    try:
        kind = message[0]
        layout, report = _REPORTS[kind]
        fields = layout.unpack_from(message, 1)
    except (IndexError, KeyError, struct.error) as error:
        raise OuchError(f"not an OUCH 5.0 message: {bytes(message[:32])!r} ({len(message)} bytes)") from error
    if kind in _WITH_APPENDAGE and len(message) > layout.size + 3:
        return report(*fields, message[layout.size + 3 :])
    return report(*fields)
