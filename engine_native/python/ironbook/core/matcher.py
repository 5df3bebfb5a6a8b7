# SPDX-License-Identifier: GPL-3.0-or-later
"""The matcher in this process: for tests, backtests and tools. A live shard is reached through its sockets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, check
from ironbook.core.handle import Handle
from ironbook.core.records import COMMAND, Command, Event, pack_commands, unpack_events

_EVENTS_IN_A_BATCH = 4096


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

    def next_user_ref(self, session: int) -> int:
        """Return what the session's next ENTER or REPLACE must carry at least; 0 for an unknown session."""
        return cast(int, lib.ib_matcher_next_user_ref(self._handle, session))

    def check(self) -> None:
        """Walk the whole state and raise `ArgumentError` with the first invariant that is broken."""
        text = ffi.new("char[]", lib.IB_ERROR_TEXT_SIZE)
        status = lib.ib_matcher_check(self._handle, text, lib.IB_ERROR_TEXT_SIZE)
        check(status, cast(bytes, ffi.string(text)).decode())
