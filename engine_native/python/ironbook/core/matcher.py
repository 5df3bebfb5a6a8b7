# SPDX-License-Identifier: GPL-3.0-or-later
"""The matcher in this process: for tests, backtests and tools. A live shard is reached through its sockets."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple, cast

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, check
from ironbook.core.handle import Handle
from ironbook.core.records import COMMAND, Command, Event, pack_commands, unpack_events

_EVENTS_IN_A_BATCH = 4096
_LIVE_ORDER = struct.Struct("<QqqQQQQQIIHBBBBB17x")
assert _LIVE_ORDER.size == ffi.sizeof("struct ib_live_order")


class Totals(NamedTuple):
    """`struct ib_totals`: sums over all that was applied. `notional` is integer price times quantity."""

    seq: int
    event_count: int
    trades: int
    quantity: int
    notional: int
    orders_open: int
    rejects: int
    state_hash: int


class Place(IntEnum):
    """`enum ib_place`: where a live order is."""

    VISIBLE = lib.IB_PLACE_VISIBLE
    HIDDEN = lib.IB_PLACE_HIDDEN
    STOP = lib.IB_PLACE_STOP
    AT_CLOSE = lib.IB_PLACE_AT_CLOSE


class LiveOrder(NamedTuple):
    """`struct ib_live_order`: one live order."""

    order_ref: int
    price: int
    stop_price: int
    remaining: int
    shown: int
    displayed: int
    executed: int
    expire_time_ns: int
    instrument: int
    user_ref: int
    session: int
    side: int
    time_in_force: int
    order_type: int
    place: int
    self_trade: int


class InstrumentState(NamedTuple):
    """`struct ib_instrument_state`: what an instrument is at the moment; prices 0 = none, bands in basis points."""

    tick: int
    lot: int
    reference_price: int
    last_price: int
    static_band: int
    dynamic_band: int
    schedule: int
    phase: int
    breach: int
    removed: bool


class RiskState(NamedTuple):
    """`struct ib_risk_state`: what the risk gate keeps of an account in an instrument."""

    position: int
    open_buy: int
    open_sell: int
    open_orders: int


def totals_of(pointer: Any) -> Totals:
    """Decode a `struct ib_totals *`."""
    return Totals(
        seq=pointer.seq,
        event_count=pointer.event_count,
        trades=pointer.trades,
        quantity=pointer.quantity,
        notional=pointer.notional_high << 64 | pointer.notional_low,
        orders_open=pointer.orders_open,
        rejects=pointer.rejects,
        state_hash=pointer.state_hash,
    )


class Matcher(Handle):
    """One shard's state machine with room for `orders` resting orders."""

    def __init__(self, orders: int) -> None:
        """Take all memory for `orders` resting orders."""
        handle = ffi.new("struct ib_matcher **")
        if not 0 < orders <= lib.IB_ORDERS_MAX:
            raise ArgumentError(f"room for {orders} orders: it must be 1 to {lib.IB_ORDERS_MAX}")
        check(lib.ib_matcher_open(handle, orders))
        super().__init__(handle[0], lib.ib_matcher_close)

    def apply(self, commands: Iterable[Command]) -> list[Event]:
        """Apply commands in sequence and return their events. Raises `ArgumentError` at one out of sequence."""
        return list(unpack_events(self.apply_packed(pack_commands(commands))))

    def apply_packed(self, commands: bytes | memoryview) -> bytes:
        """Apply a buffer of 128-byte commands; return their 128-byte events."""
        array = ffi.from_buffer("struct ib_command[]", commands, require_writable=False)
        count = len(array)
        if count * COMMAND.size != len(commands):
            raise ArgumentError(f"{len(commands)} bytes are no whole number of commands of {COMMAND.size}")
        consumed, event_count = ffi.new("size_t *"), ffi.new("size_t *")
        result = []
        done = 0
        while done < count:
            capacity = max(_EVENTS_IN_A_BATCH, lib.ib_matcher_events_max(self._handle))
            events = ffi.new("struct ib_event[]", capacity)
            status = lib.ib_matcher_apply_batch(
                self._handle, array + done, count - done, events, capacity, consumed, event_count
            )
            result.append(bytes(ffi.buffer(events, event_count[0] * ffi.sizeof("struct ib_event"))))
            done += consumed[0]
            check(status, f"command {done} of the batch is out of sequence")
        return b"".join(result)

    def totals(self) -> Totals:
        """Return the sums over everything applied so far."""
        raw = ffi.new("struct ib_totals *")
        lib.ib_matcher_totals(self._handle, raw)
        return totals_of(raw)

    def rules(self) -> int:
        """Return the version of the rules in force."""
        return cast(int, lib.ib_matcher_rules(self._handle))

    def next_expiry_ns(self) -> int | None:
        """Return when the next GTD order is due, or None when there is none."""
        due = cast(int, lib.ib_matcher_next_expiry_ns(self._handle))
        return None if due == 2**64 - 1 else due

    def live_orders(self) -> list[LiveOrder]:
        """Return all live orders in the walk of docs/matching.md, section 8."""
        count = ffi.new("size_t *")
        capacity = self.totals().orders_open
        orders = ffi.new("struct ib_live_order[]", capacity)
        check(lib.ib_matcher_live_orders(self._handle, orders, capacity, count))
        return [LiveOrder._make(fields) for fields in _LIVE_ORDER.iter_unpack(ffi.buffer(orders))]

    def instrument_state(self, instrument: int) -> InstrumentState:
        """Return the state of an instrument. Raises `ArgumentError` when it was never defined."""
        state = ffi.new("struct ib_instrument_state *")
        check(lib.ib_matcher_instrument_state(self._handle, instrument, state), f"instrument {instrument}")
        return InstrumentState(
            state.tick,
            state.lot,
            state.reference_price,
            state.last_price,
            state.static_band,
            state.dynamic_band,
            state.schedule,
            state.phase,
            state.breach,
            bool(state.removed),
        )

    def risk_state(self, account: int, instrument: int) -> RiskState:
        """Return what an account has in an instrument. Raises `ArgumentError` when one was never defined."""
        state = ffi.new("struct ib_risk_state *")
        what = f"account {account}, instrument {instrument}"
        check(lib.ib_matcher_risk_state(self._handle, account, instrument, state), what)
        return RiskState(state.position, state.open_buy, state.open_sell, state.open_orders)

    def next_user_ref(self, session: int) -> int:
        """Return what the session's next ENTER or REPLACE must carry at least; 0 for an unknown session."""
        return cast(int, lib.ib_matcher_next_user_ref(self._handle, session))

    def check(self) -> None:
        """Walk the whole state and raise `ArgumentError` with the first invariant that is broken."""
        text = ffi.new("char[]", lib.IB_ERROR_TEXT_SIZE)
        status = lib.ib_matcher_check(self._handle, text, lib.IB_ERROR_TEXT_SIZE)
        check(status, cast(bytes, ffi.string(text)).decode())
