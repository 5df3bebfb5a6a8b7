# SPDX-License-Identifier: GPL-3.0-or-later
"""The matcher's speed and memory on an order flow: `ironbook_bench.h`, for `ironbook bench`.

Every call runs the whole flow once through a fresh matcher, in C, with Python's lock released.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, ConfigurationError, check
from ironbook.core.matcher import Totals, totals_of
from ironbook.core.records import RULES_NEWEST

INSTRUMENTS_MAX: int = lib.IB_INSTRUMENTS_MAX
_NO_GATE = "this build has no risk gate: it let an order through that exceeds its account's limit"


class Memory(NamedTuple):
    """`struct ib_bench_memory`: the most orders that rested, bytes that they touched, bytes of the definitions."""

    peak_orders: int
    order_bytes: int
    definition_bytes: int


class BenchFlow:
    """Records of a LOBW file (16 bytes each) as the benchmark takes them."""

    def __init__(  # noqa: PLR0913 - the fields of struct ib_bench_flow
        self,
        records: bytes | memoryview,
        *,
        warm: int,
        symbols: int,
        id_max: int,
        orders: int,
        limits: bool = True,
        sessions: int = 1,
        reporting: bool = False,
    ) -> None:
        """Refuse records that no flow may have, with ArgumentError and the number of the first such record."""
        if not 0 < symbols <= INSTRUMENTS_MAX:
            raise ArgumentError(f"{symbols} symbols: it must be 1 to {INSTRUMENTS_MAX}")
        if id_max >= 2**32 - 1:
            raise ArgumentError(f"highest id {id_max}: it must be below {2**32 - 1}")
        self._messages = ffi.from_buffer("struct ib_bench_message[]", records, require_writable=False)
        self._flow = ffi.new("struct ib_bench_flow *")
        self._flow.messages = self._messages
        self._flow.count = len(self._messages)
        self._flow.warm = warm
        self._flow.symbols, self._flow.id_max, self._flow.orders = symbols, id_max, orders
        self._flow.rules, self._flow.limits = RULES_NEWEST, limits
        self._flow.sessions, self._flow.reporting = sessions, reporting
        self.measured: int = len(self._messages) - warm
        index = ffi.new("uint64_t *")
        fault = lib.ib_bench_fault(self._flow, index)
        if fault != ffi.NULL:
            raise ArgumentError(f"record {index[0] + 1}: {cast(bytes, ffi.string(fault)).decode()}")

    def run(self) -> tuple[int, Totals]:
        """Return thread-CPU ns of the measured messages, and what came of the whole flow."""
        ns, totals = ffi.new("uint64_t *"), ffi.new("struct ib_totals *")
        _check(lib.ib_bench_pass(self._flow, ns, totals))
        return ns[0], totals_of(totals)

    def latencies(self) -> Sequence[int]:
        """Return ns of each measured message, without what the clock costs."""
        ns: Any = ffi.new("uint32_t[]", self.measured)
        _check(lib.ib_bench_latency(self._flow, ns))
        return memoryview(ffi.buffer(ns)).cast("I")

    def memory(self) -> Memory:
        """Return what the flow touched, in whole 4 KiB pages."""
        memory = ffi.new("struct ib_bench_memory *")
        _check(lib.ib_bench_memory(self._flow, memory))
        return Memory(memory.peak_orders, memory.order_bytes, memory.definition_bytes)


def _check(status: int) -> None:
    check(status, _NO_GATE if status == ConfigurationError.status else "")


def compiler() -> str:
    """Name the compiler that built the core, and what is known of its options."""
    return cast(bytes, ffi.string(lib.ib_bench_compiler())).decode()
