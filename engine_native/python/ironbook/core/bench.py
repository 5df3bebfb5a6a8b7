# SPDX-License-Identifier: GPL-3.0-or-later
"""The matcher's speed and memory on an order flow, and a journal's on its way back: `ironbook_bench.h`.

Every call does the whole of it once, in C, with Python's lock released.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from ironbook.core._core import ffi, lib
from ironbook.core.errors import ArgumentError, ConfigurationError, check
from ironbook.core.matcher import Totals, totals_of
from ironbook.core.records import RULES_NEWEST
from ironbook.core.text import text_of

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


class Recovery(NamedTuple):
    """`struct ib_bench_recovery`: what was read, in how long; events and totals of a whole recovery alone."""

    records: int
    ns: int
    cpu_ns: int
    bytes: int
    events: int
    totals: Totals


class BenchJournal:
    """A journal that is made up, written by the engine's own writer; and how fast it is read and recovered."""

    def __init__(  # noqa: PLR0913 - the fields of struct ib_bench_journal
        self,
        directory: str,
        run_directory: str,
        *,
        records: int,
        symbols: int,
        orders: int,
        events: int,
        segment_bytes: int,
    ) -> None:
        """Nothing is done yet; the directory has to be empty when `write` is called."""
        self._keep = [ffi.new("char[]", os.fsencode(path)) for path in (directory, run_directory)]
        self._journal = ffi.new("struct ib_bench_journal *")
        self._journal.directory, self._journal.run_directory = self._keep
        self._journal.records, self._journal.symbols, self._journal.orders = records, symbols, orders
        self._journal.events, self._journal.segment_bytes = events, segment_bytes

    def write(self) -> None:
        """Write it; CoreError with the reason where that fails."""
        error = ffi.new("char[]", int(lib.IB_ERROR_TEXT_SIZE))
        check(lib.ib_bench_journal_write(self._journal, error), text_of(error))

    def verify(self) -> Recovery:
        """Read and check every record; nobody takes the commands."""
        return self._timed(lib.ib_bench_journal_verify)

    def recover(self) -> Recovery:
        """What an engine does until it has its state: journal, matcher and event log."""
        return self._timed(lib.ib_bench_journal_recover)

    def _timed(self, function: Any) -> Recovery:
        error, found = ffi.new("char[]", int(lib.IB_ERROR_TEXT_SIZE)), ffi.new("struct ib_bench_recovery *")
        check(function(self._journal, found, error), text_of(error))
        return Recovery(found.records, found.ns, found.cpu_ns, found.bytes, found.events, totals_of(found.totals))


def _check(status: int) -> None:
    check(status, _NO_GATE if status == ConfigurationError.status else "")


def compiler() -> str:
    """Name the compiler that built the core, and what is known of its options."""
    return cast(bytes, ffi.string(lib.ib_bench_compiler())).decode()
