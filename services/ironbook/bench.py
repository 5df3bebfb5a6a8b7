# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook bench match`: what an order costs the matcher, in time and memory, and whether it trades right meanwhile.

The matcher alone: no journal, no socket, no thread, but with every check that it makes in service, the risk gate with
all its limits included. engine_native/bench has what needs a compiler, or other engines.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from ironbook import bench_recovery, core, machine
from ironbook.core.bench import BenchFlow, compiler
from ironbook.core.records import RULES_NEWEST
from ironbook.errors import CommandError
from ironbook.market_data import lobw, lobw_generate

PASSES = 9
ORDERS = 2**20  # room in the book; a flow that needs more shows itself by rejects
_MEMORY = "4 KiB pages that the kernel says the flow touched after the definitions, by the most orders that ever rested"
_QUANTILES = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999}


def percentiles(histogram: Counter[int]) -> dict[str, int]:
    """Return the quantiles of _QUANTILES and the highest of a count of nanoseconds."""
    values = sorted(histogram)
    sums = list(accumulate(histogram[value] for value in values))
    found = {}
    for name, share in _QUANTILES.items():
        rank = share * sums[-1]
        found[name] = next(value for value, below in zip(values, sums, strict=True) if below >= rank)
    return {**found, "max_ns": values[-1]}


def buckets(histogram: Counter[int]) -> list[list[int]]:
    """Return [lowest ns, how many] of log-linear buckets: exact below 32 ns, then 16 to each power of two."""
    found: Counter[int] = Counter()
    for value, count in histogram.items():
        step = max(value.bit_length() - 5, 0)
        found[value >> step << step] += count
    return [[lowest, found[lowest]] for lowest in sorted(found)]


def quietest(passes: Sequence[Counter[int]]) -> Counter[int]:
    """Return the pass that took the least time in all."""
    return min(passes, key=lambda histogram: sum(value * count for value, count in histogram.items()))


def compare(path: Path, header: lobw.Header, totals: core.Totals) -> None:
    """Raise CommandError when anything came out otherwise than the file says."""
    found = {
        "trades": totals.trades,
        "quantity": totals.quantity,
        "notional": totals.notional,
        "resting": totals.orders_open,
    }
    wrong = [f"{name} {value}, not {getattr(header, name)}" for name, value in found.items()
             if value != getattr(header, name)]  # fmt: skip
    if wrong:
        raise CommandError(f"{path}: the matcher does not agree with the file: {'; '.join(wrong)}")


def mix(path: Path) -> dict[str, int]:
    """Count the measured messages of each type."""
    flow = lobw.read(path)
    types = Counter(bytes(flow.records[flow.header.warm * lobw.RECORD.size :])[:: lobw.RECORD.size])
    return {"new": types[lobw.NEW], "cancel": types[lobw.CANCEL], "cross": types[lobw.CROSS]}


def load(path: Path, limits: bool, sessions: int, events: bool) -> tuple[lobw.Header, BenchFlow]:
    """Read a LOBW file. Raises CommandError that names the file and what is wrong with it."""
    flow = lobw.read(path)
    header = flow.header
    try:
        bench = BenchFlow(
            flow.records,
            warm=header.warm,
            symbols=header.symbols,
            id_max=header.id_max,
            orders=ORDERS,
            limits=limits,
            sessions=sessions,
            reporting=events,
        )
    except core.CoreError as error:
        raise CommandError(f"{path}: {error}") from error
    return header, bench


def measure(path: Path, *, passes: int, limits: bool, sessions: int, events: bool) -> dict[str, Any]:
    """Run a LOBW file and return everything that is known of it."""
    load_before = machine.load()
    header, bench = load(path, limits, sessions, events)
    ns = []
    try:
        for _ in range(passes):
            taken, totals = bench.run()
            compare(path, header, totals)
            ns.append(taken / bench.measured)
        best = quietest([Counter(bench.latencies()) for _ in range(passes)])
        memory = bench.memory()
    except core.CoreError as error:
        raise CommandError(f"{path}: {error}") from error
    return {
        "bench": "match",
        "workload": path.name,
        "messages": bench.measured,
        "mix": mix(path),
        "symbols": header.symbols,
        "passes": passes,
        "rules": RULES_NEWEST,
        "risk_gate": limits,
        "sessions": sessions,
        "events": events,
        "ns_per_op": round(statistics.median(ns), 2),
        "ns_per_op_best": round(min(ns), 2),
        **percentiles(best),
        "histogram_ns": buckets(best),
        "trades": header.trades,
        "quantity": header.quantity,
        "notional": header.notional,
        "resting": header.resting,
        "peak_orders": memory.peak_orders,
        "bytes_per_order": round(memory.order_bytes / memory.peak_orders, 1),
        "bytes_per_instrument": round(memory.definition_bytes / header.symbols, 1),
        "bytes_measured_as": _MEMORY,
        "machine": machine.processor(),
        "compiler": compiler(),
        "commit": machine.commit(),
        "date": machine.now(),
        "load_before": load_before,
    }


def in_words(result: dict[str, Any]) -> str:
    """Lay a result out for people."""
    return (
        f"{result['workload']}: {result['messages']:,} messages"
        f"{', every risk limit set' if result['risk_gate'] else ''}\n"
        f"  {result['ns_per_op']} ns of CPU an order (median of {result['passes']}; best {result['ns_per_op_best']})\n"
        f"  p50 {result['p50_ns']} ns, p99 {result['p99_ns']} ns, p99.9 {result['p999_ns']} ns in the quietest pass\n"
        f"  {result['bytes_per_order']} bytes an order at {result['peak_orders']:,} orders\n"
        f"  {result['trades']:,} trades, quantity {result['quantity']:,}, {result['resting']:,} orders resting: "
        "as the file says"
    )


def match(arguments: argparse.Namespace) -> int:
    """Measure one workload; print it, and write it where that is asked."""
    result = measure(
        arguments.workload,
        passes=arguments.passes,
        limits=not arguments.no_limits,
        sessions=arguments.sessions,
        events=arguments.events,
    )
    print(json.dumps(result) if arguments.json else in_words(result))
    return 0


def generate(arguments: argparse.Namespace) -> int:
    """Write a LOBW file of our own making."""
    flow = lobw_generate.generate(arguments.messages, arguments.symbols, arguments.resting, arguments.seed)
    try:
        lobw.write(arguments.file, *flow)
    except OSError as error:
        raise CommandError(f"{arguments.file}: cannot be written: {error.strerror}") from error
    header = flow[0]
    print(f"{arguments.file}: {header.messages:,} messages, {header.trades:,} trades, {header.resting:,} orders rest")
    return 0


def _number(lowest: int, highest: int) -> Any:
    def number(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() else -1
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {lowest} to {highest}")
        return value

    return number


def add_parser(subparsers: Any) -> None:
    """Add `bench` with its commands."""
    parser = subparsers.add_parser("bench", help="measure the matcher, or a recovery, or make an order flow")
    commands = parser.add_subparsers(dest="bench_command", required=True)
    command = commands.add_parser("match", help="time and memory of the matcher alone", description=__doc__)
    command.add_argument("--workload", required=True, type=Path, metavar="FILE.lobw")
    command.add_argument("--json", action="store_true", help="one JSON object on one line")
    command.add_argument("--passes", type=_number(1, 1000), default=PASSES, help=f"default {PASSES}")
    command.add_argument("--no-limits", action="store_true", help="orders of no account, which no limit holds")
    command.add_argument("--sessions", type=_number(1, 1000), default=1, help="each trades for an account of its own")
    command.add_argument("--events", action="store_true", help="build every event and hand it over")
    command.set_defaults(function=match)
    command = commands.add_parser(
        "recovery",
        help="journal records a second that an engine recovers from",
        description=bench_recovery.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="one JSON object on one line")
    records = bench_recovery.RECORDS
    command.add_argument("--records", type=_number(10**5, 10**9), default=records, help=f"default {records:,}")
    command.add_argument("--symbols", type=_number(1, 10**4), default=1, help="instruments")
    command.add_argument("--passes", type=_number(1, 1000), default=5, help="default 5")
    command.add_argument("--directory", type=Path, metavar="DIR", help="where the journal is made, and removed")
    command.add_argument("--run-directory", type=Path, metavar="DIR", help="where the event log is; default /dev/shm")
    command.set_defaults(function=bench_recovery.run)
    command = commands.add_parser("generate", help="write a LOBW file: 60 % new, 35 % cancel, 5 % crossing")
    command.add_argument("file", type=Path, metavar="FILE.lobw")
    command.add_argument("--messages", type=_number(1, 10**8), default=2_000_000)
    command.add_argument("--symbols", type=_number(1, 65_536), default=1)
    command.add_argument("--resting", type=_number(1, ORDERS), default=10_000, help="orders that rest, about")
    command.add_argument("--seed", type=_number(0, 2**64 - 1), default=1)
    command.set_defaults(function=generate)
