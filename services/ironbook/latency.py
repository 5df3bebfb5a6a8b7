# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook latency`: how long orders take inside a running engine, from the histograms that it keeps in its file.

The file `latency` of run_directory is memory that the engine maps and writes; this maps it too, and only reads.  The
engine is not asked, and does not notice.  engine_native/include/ironbook_latency.h has the stages and the buckets; the
layout is in the file's own header, so that this needs no compiled core.

A percentile is the highest value of its bucket: never below the true one, and at most 1.6 % above it.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError

FILE_NAME = "latency"
MAGIC = b"ILATENC1"
VERSION = 1
# As struct ib_latency_header (engine_native/src/latency.h) lies in memory; the names of the stages follow.
HEADER = struct.Struct("=8s8I5Q")
NAME_SIZE = 16
# Percentiles that are shown, in thousandths.
SHOWN = {"p50_ns": 500, "p90_ns": 900, "p99_ns": 990, "p999_ns": 999}


class LatencyError(CommandError):
    """There are no latency figures, or none that can be read."""


@dataclass(frozen=True)
class Stage:
    """One stage's histogram: bucket by bucket how many orders took so long; times in nanoseconds."""

    name: str
    sub_bits: int
    max_ns: int
    sum_ns: int
    buckets: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many orders were counted."""
        return sum(self.buckets)

    def ceiling(self, bucket: int) -> int:
        """The highest time in nanoseconds that is counted in a bucket."""
        width = 1 << self.sub_bits
        if bucket < 2 * width:
            return bucket
        shift = (bucket >> self.sub_bits) - 1
        return ((bucket - (shift << self.sub_bits) + 1) << shift) - 1

    def percentile(self, thousandths: int) -> int | None:
        """The time in nanoseconds that so many of a thousand orders did not exceed; None where there were none."""
        rank = -(-self.count * thousandths // 1000)
        for bucket, count in enumerate(self.buckets):
            rank -= count
            if rank <= 0 < count:
                return min(self.ceiling(bucket), self.max_ns)
        return None

    def since(self, before: Stage) -> Stage:
        """What was added after `before`.  The maximum of that alone is known as its bucket's highest value."""
        buckets = tuple(now - then for now, then in zip(self.buckets, before.buckets, strict=True))
        last = max((bucket for bucket, count in enumerate(buckets) if count), default=0)
        highest = min(self.ceiling(last), self.max_ns)
        return Stage(self.name, self.sub_bits, highest, self.sum_ns - before.sum_ns, buckets)

    def figures(self) -> dict[str, int | None]:
        """What is shown of it; times in nanoseconds, None where no order was counted."""
        count = self.count
        shown: dict[str, int | None] = {name: self.percentile(thousandths) for name, thousandths in SHOWN.items()}
        return {
            "count": count,
            **shown,
            "max_ns": self.max_ns if count else None,
            "mean_ns": self.sum_ns // count if count else None,
        }


@dataclass(frozen=True)
class Snapshot:
    """An engine's file at one moment; `*_ns` of the monotonic clock."""

    shard: int
    replica: int
    process: int
    every: int  # one order in so many is timed
    clock_ns: int  # what one reading of the clock costs
    started_ns: int
    released_ns: int  # when one was last released; 0: none yet
    missed: int
    stages: tuple[Stage, ...]

    def since(self, before: Snapshot) -> Snapshot:
        """What was added after `before`; all of it where that was another engine's."""
        if (before.started_ns, before.process) != (self.started_ns, self.process):
            return self
        stages = tuple(now.since(then) for now, then in zip(self.stages, before.stages, strict=True))
        return Snapshot(**{**self.__dict__, "stages": stages, "missed": self.missed - before.missed})

    def figures(self) -> dict[str, Any]:
        """Return all that is shown, for JSON."""
        about = {name: getattr(self, name) for name in ("shard", "replica", "process", "every", "clock_ns", "missed")}
        return {**about, "stages": {stage.name: stage.figures() for stage in self.stages}}


def read(run_directory: Path) -> Snapshot:
    """Read an engine's file; raises LatencyError where it has none, or none that can be read."""
    path = run_directory / FILE_NAME
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return parse(mapped, str(path))
    except FileNotFoundError as error:
        raise LatencyError(
            f"{path}: is not there: does an engine run with this run_directory, and with latency.every above 0?"
        ) from error
    except (OSError, ValueError) as error:
        raise LatencyError(f"{path}: cannot be read: {error}; be the user that the engine runs as") from error


def parse(mapped: mmap.mmap | bytes, source: str) -> Snapshot:
    """Take a file apart; `source` is its name, for the messages.

    Words of 8 bytes are taken one by one, as the engine writes them: none is torn.
    """
    if len(mapped) < HEADER.size or mapped[:8] != MAGIC:
        raise LatencyError(f"{source}: holds no latency figures of an engine")
    (_, version, header_bytes, count, buckets, sub_bits, every, shard, replica, *rest) = HEADER.unpack_from(mapped)
    size = header_bytes + 8 * count * (2 + buckets)
    if version != VERSION or len(mapped) < size or header_bytes < HEADER.size + count * NAME_SIZE:
        raise LatencyError(
            f"{source}: has layout {version} and {len(mapped)} bytes, not layout {VERSION} and {size}: "
            "use the ironbook that the engine is of"
        )
    process, started_ns, clock_ns, released_ns, missed = rest
    with memoryview(mapped) as view, view[header_bytes:size] as body, body.cast("Q") as words:
        stages = []
        for index in range(count):
            name = bytes(view[HEADER.size + index * NAME_SIZE : HEADER.size + (index + 1) * NAME_SIZE])
            first = index * (2 + buckets)
            longest, total, *counted = words[first : first + 2 + buckets].tolist()
            stages.append(Stage(name.rstrip(b"\0").decode("ascii"), sub_bits, longest, total, tuple(counted)))
    return Snapshot(shard, replica, process, every, clock_ns, started_ns, released_ns, missed, tuple(stages))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _microseconds(ns: int | None) -> str:
    return "-" if ns is None else f"{ns / 1000:.2f}"


def _show(snapshot: Snapshot, as_json: bool) -> None:
    running = _runs(snapshot.process)
    if as_json:
        print(json.dumps({**snapshot.figures(), "running": running}), flush=True)
        return
    missed = f", {snapshot.missed} missed" if snapshot.missed else ""
    ended = "" if running else "; it has ended, and these are its last figures"
    print(
        f"shard {snapshot.shard} replica {snapshot.replica}, process {snapshot.process}: one order in "
        f"{snapshot.every} is timed, a reading of the clock costs {snapshot.clock_ns} ns{missed}{ended}"
    )
    print(f"{'us':<8} {'count':>12} {'p50':>10} {'p90':>10} {'p99':>10} {'p99.9':>10} {'max':>10}")
    for stage in snapshot.stages:
        figures = stage.figures()
        times = " ".join(f"{_microseconds(figures[name]):>10}" for name in (*SHOWN, "max_ns"))
        print(f"{stage.name:<8} {figures['count']:>12} {times}")
    sys.stdout.flush()


def show(arguments: argparse.Namespace) -> int:
    """Print the figures since the engine began, or with --watch those of each interval, until it ends."""
    before = read(arguments.run_directory)
    if arguments.watch is None:
        _show(before, arguments.json)
        return 0
    while True:
        time.sleep(arguments.watch)
        try:
            now = read(arguments.run_directory)
        except LatencyError:
            if (arguments.run_directory / FILE_NAME).exists():
                raise
            print("ironbook: the engine has ended", file=sys.stderr)
            return 0
        _show(now.since(before), arguments.json)
        before = now


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return value


def add_parser(subparsers: Any) -> None:
    """Add `ironbook latency` to the command line."""
    parser = subparsers.add_parser(
        "latency", help="how long orders take inside a running engine", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--run-directory", type=Path, required=True, metavar="DIR", help="the engine's run_directory")
    parser.add_argument("--json", action="store_true", help="one JSON object on a line, times in nanoseconds")
    parser.add_argument("--watch", type=_seconds, metavar="SECONDS", help="again and again, each time of that interval")
    parser.set_defaults(function=show)
