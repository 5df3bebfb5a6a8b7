# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook bench recovery`: how many journal records a second an engine recovers from.

A journal is made up and written by the engine's own writer; then it is read, twice over in each pass. `verify`: every
record is read and checked as always (both sums, chain, sequence, time, epoch, shard), and nobody takes the commands.
`whole`: what an engine does until it has its state, by the same function (ib_engine_recover): that reading, the
matcher, and the event log. Time is by the clock on the wall, which counts here; CPU time of all threads is beside it.

The journal was written just before, so it is in the page cache: what a disk adds on a cold start is not in it. The
event log lies in memory (/dev/shm) unless --run-directory says otherwise, as an engine's does in /run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from ironbook import core, machine
from ironbook.core.bench import BenchJournal, Recovery, compiler
from ironbook.errors import CommandError

RECORDS = 5_000_000
ORDERS = 2**20  # room in the book, as an engine has it by default
SEGMENT_BYTES = 2**26  # as an engine has it by default
EVENTS_A_RECORD = 4  # room in the event log; the flow makes a little over two
MEMORY = Path("/dev/shm")  # the machine's tmpfs


def rate(passes: list[Recovery]) -> dict[str, Any]:
    """Return records a second and nanoseconds a record: the median of the passes, and the best of them."""
    ns = [found.ns / found.records for found in passes]
    return {
        "records_per_s": round(1e9 / statistics.median(ns)),
        "records_per_s_best": round(1e9 / min(ns)),
        "ns_per_record": round(statistics.median(ns), 1),
        "cpu_ns_per_record": round(statistics.median(found.cpu_ns / found.records for found in passes), 1),
    }


def measure(*, records: int, symbols: int, passes: int, directory: Path | None, run: Path | None) -> dict[str, Any]:
    """Write a journal into a directory of its own, read it so many times, and return everything that is known."""
    load_before = machine.load()
    for name in (directory, run):
        if name is not None and not name.is_dir():
            raise CommandError(f"bench recovery: {name} is no directory: make it, or name another one")
    run = run if run is not None else MEMORY if MEMORY.is_dir() else directory
    try:
        with (
            tempfile.TemporaryDirectory(prefix="ironbook-bench-", dir=directory) as journal_directory,
            tempfile.TemporaryDirectory(prefix="ironbook-bench-", dir=run) as run_directory,
        ):
            journal = BenchJournal(
                journal_directory,
                run_directory,
                records=records,
                symbols=symbols,
                orders=ORDERS,
                events=EVENTS_A_RECORD * records + 2**16,
                segment_bytes=SEGMENT_BYTES,
            )
            journal.write()
            found = [(journal.verify(), journal.recover()) for _ in range(passes)]
    except core.CoreError as error:
        raise CommandError(f"bench recovery: {error}") from error
    except OSError as error:
        raise CommandError(f"bench recovery: {error.filename}: {error.strerror}") from error
    verified, recovered = [verify for verify, _ in found], [whole for _, whole in found]
    if {one.records for one in verified + recovered} != {records} or len({one.totals for one in recovered}) != 1:
        raise CommandError("bench recovery: not every pass came to the same end: this is a defect")
    totals = recovered[-1].totals
    return {
        "bench": "recovery",
        "records": records,
        "symbols": symbols,
        "passes": passes,
        "journal_bytes": verified[-1].bytes,
        "journal": "in the page cache",
        "event_log": str(run) if run is not None else tempfile.gettempdir(),
        "events": recovered[-1].events,
        "verify": rate(verified),
        "whole": rate(recovered),
        "trades": totals.trades,
        "rejects": totals.rejects,
        "resting": totals.orders_open,
        "state_hash": f"{totals.state_hash:016x}",
        "machine": machine.processor(),
        "compiler": compiler(),
        "commit": machine.commit(),
        "date": machine.now(),
        "load_before": load_before,
    }


def in_words(result: dict[str, Any]) -> str:
    """Lay a result out for people."""
    lines = [f"{result['records']:,} journal records of {result['symbols']:,} instruments, {result['events']:,} events"]
    for name, what in (("verify", "read and checked"), ("whole", "recovered: matcher and event log as well")):
        found = result[name]
        lines.append(
            f"  {found['records_per_s']:,} records a second {what} ({found['ns_per_record']} ns each, "
            f"{found['cpu_ns_per_record']} ns of CPU; best {found['records_per_s_best']:,})"
        )
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    result = measure(
        records=arguments.records,
        symbols=arguments.symbols,
        passes=arguments.passes,
        directory=arguments.directory,
        run=arguments.run_directory,
    )
    print(json.dumps(result) if arguments.json else in_words(result))
    return 0
