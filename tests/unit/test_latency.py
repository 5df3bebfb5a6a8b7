# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook latency` reads what the core's tracker writes: each percentile against the sorted times themselves."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ironbook import latency
from ironbook.cli import main
from ironbook.core._core import ffi, lib

STAGES = ("decode", "queue", "match", "journal", "release", "total")
# Widest bucket over its lowest value: 2^-SUB_BITS.
ERROR = 1 / 64


class Tracker:
    """The core's own tracker, driven by hand: one order after the other, at times of our choice."""

    def __init__(self, directory: Path, every: int = 1, base_seq: int = 0) -> None:
        self._tracker = ffi.new("struct ib_latency **")
        error = ffi.new("char[]", int(lib.IB_ERROR_TEXT_SIZE))
        status = lib.ib_latency_open(self._tracker, str(directory).encode(), every, base_seq, 2, 1, error)
        assert status == lib.IB_OK, ffi.string(error)
        self.seq, self.every = base_seq, every

    def follow(self, decode: int, queue: int, match: int, journal: int, release: int) -> int:
        """One order that takes so many nanoseconds at each stage; its total."""
        tracker, start = self._tracker[0], 1_000_000_000
        self.seq += self.every
        sequenced = start + decode
        matched, written = sequenced + queue + match, sequenced + journal
        released = max(matched, written) + release
        lib.ib_latency_note_input(tracker, start)
        lib.ib_latency_note_sequenced(tracker, self.seq, sequenced)
        lib.ib_latency_note_begun(tracker, self.seq, sequenced + queue)
        lib.ib_latency_note_matched(tracker, self.seq, matched)
        lib.ib_latency_note_journaled(tracker, self.seq, written)
        lib.ib_latency_note_released(tracker, self.seq, released)
        return released - start

    def stall(self, ns: int) -> None:
        """One order during whose match the thread does nothing for so long, by the clock itself."""
        tracker, clock = self._tracker[0], lib.ib_latency_clock_ns
        self.seq += self.every
        lib.ib_latency_note_sequenced(tracker, self.seq, clock())
        begun = clock()
        lib.ib_latency_note_begun(tracker, self.seq, begun)
        while time.monotonic_ns() - begun < ns:
            pass
        lib.ib_latency_note_matched(tracker, self.seq, clock())
        lib.ib_latency_note_journaled(tracker, self.seq, clock())
        lib.ib_latency_note_released(tracker, self.seq, clock())

    def close(self) -> None:
        """End it, and its file."""
        lib.ib_latency_close(self._tracker[0])


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    """A tracker of every order, whose file is in tmp_path."""
    made = Tracker(tmp_path)
    yield made
    made.close()


def exact(times: list[int], thousandths: int) -> int:
    """The smallest time that so many of a thousand did not exceed."""
    return sorted(times)[math.ceil(len(times) * thousandths / 1000) - 1]


@pytest.mark.parametrize("spread", [10, 100, 10_000, 10**9])
def test_percentiles_hold_against_the_sorted_times(tracker: Tracker, tmp_path: Path, spread: int) -> None:
    """Never below the true one, at most 1/64 above it, at every stage; count, mean and maximum are exact."""
    choose = random.Random(spread)
    times: dict[str, list[int]] = {name: [] for name in STAGES}
    for _ in range(3_000):
        taken = {name: int(choose.paretovariate(1.2) * choose.randrange(1, spread)) for name in STAGES[:-1]}
        taken = {name: min(ns, 2**39) for name, ns in taken.items()}
        for name, ns in {**taken, "total": tracker.follow(**taken)}.items():
            times[name].append(ns)
    snapshot = latency.read(tmp_path)
    assert tuple(stage.name for stage in snapshot.stages) == STAGES
    for stage in snapshot.stages:
        for thousandths in (1, 10, 500, 900, 990, 999, 1000):
            true, shown = exact(times[stage.name], thousandths), stage.percentile(thousandths)
            assert shown is not None
            assert true <= shown <= true * (1 + ERROR), (stage.name, thousandths)
        assert (stage.count, stage.max_ns, stage.sum_ns) == (
            3_000,
            max(times[stage.name]),
            sum(times[stage.name]),
        )


def test_both_sides_have_the_same_buckets() -> None:
    """The reader's arithmetic is its own; it agrees with the core's on every bucket."""
    stage = latency.Stage("x", int(lib.IB_LATENCY_SUB_BITS), 0, 0, ())
    for bucket in range(int(lib.IB_LATENCY_BUCKETS)):
        ceiling = stage.ceiling(bucket)
        assert ceiling == lib.ib_latency_bucket_ceiling(bucket)
        assert lib.ib_latency_bucket(ceiling) == bucket


@pytest.mark.feature("ENG-05", by="U", part="inside the engine; not exposed through Prometheus")
def test_a_stall_of_50_us_is_in_its_stage(tracker: Tracker, tmp_path: Path) -> None:
    """One order in a hundred stands still for 50 us: p50 does not see it, p99.9 and the maximum do, queue never."""
    for order in range(2_000):
        tracker.stall(50_000 if order % 100 == 0 else 0)
    stages = {stage.name: stage for stage in latency.read(tmp_path).stages}
    median, stalled = stages["match"].percentile(500), stages["match"].percentile(995)
    assert median is not None
    assert stalled is not None
    assert median < 25_000
    assert 50_000 <= stalled < 75_000  # other processes take their share of this machine, too
    queued = stages["queue"].percentile(995)
    assert queued is not None
    assert queued < 50_000


def test_one_in_so_many(tmp_path: Path) -> None:
    """What is shown is of the orders that are followed, and says so."""
    followed = Tracker(tmp_path, every=64, base_seq=640)
    followed.follow(1, 2, 3, 4, 5)
    snapshot = latency.read(tmp_path)
    assert (snapshot.every, snapshot.shard, snapshot.replica, snapshot.process) == (64, 2, 1, os.getpid())
    assert [stage.count for stage in snapshot.stages] == [1] * len(STAGES)
    followed.close()


def test_an_interval_is_what_came_in_it(tracker: Tracker, tmp_path: Path) -> None:
    """`since`: counts and percentiles of the new orders alone, and a maximum that is theirs."""
    tracker.follow(900_000, 1, 1, 1, 1)
    before = latency.read(tmp_path)
    for _ in range(10):
        tracker.follow(500, 1, 1, 1, 1)
    decode = latency.read(tmp_path).since(before).stages[0]
    assert (decode.count, decode.sum_ns) == (10, 5_000)
    assert 500 <= decode.max_ns <= 500 * (1 + ERROR)
    again = latency.read(tmp_path)
    assert again.since(again).stages[0].figures() == {
        "count": 0, "p50_ns": None, "p90_ns": None, "p99_ns": None, "p999_ns": None, "max_ns": None, "mean_ns": None,
    }  # fmt: skip


def test_another_engine_begins_anew(tmp_path: Path) -> None:
    """A restart in the middle of an interval: all that the new engine has is of it."""
    first = Tracker(tmp_path)
    first.follow(100, 1, 1, 1, 1)
    before = latency.read(tmp_path)
    first.close()
    second = Tracker(tmp_path)
    second.follow(200, 1, 1, 1, 1)
    assert latency.read(tmp_path).since(before).stages[0].sum_ns == 200
    second.close()


def test_what_is_printed(tracker: Tracker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table for people, and one line of JSON with the same figures."""
    for _ in range(1_000):
        tracker.follow(1_000, 2_000, 100, 5_000, 300)
    assert main(["latency", "--run-directory", str(tmp_path)]) == 0
    head, columns, *rows = capsys.readouterr().out.splitlines()
    assert f"shard 2 replica 1, process {os.getpid()}: one order in 1 is timed" in head
    assert columns.split() == ["us", "count", "p50", "p90", "p99", "p99.9", "max"]
    assert [row.split()[:2] for row in rows] == [[name, "1000"] for name in STAGES]
    assert rows[0].split()[-1] == "1.00"
    assert main(["latency", "--run-directory", str(tmp_path), "--json"]) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["running"] is True
    assert printed["stages"]["total"]["max_ns"] == 6_300
    assert set(printed["stages"]["match"]) == {"count", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns", "mean_ns"}


def test_watching_ends_with_the_engine(tracker: Tracker, tmp_path: Path) -> None:
    """A process of its own prints an interval, and ends in order once the file is gone."""
    tracker.follow(100, 1, 1, 1, 1)
    command = [sys.executable, "-m", "ironbook.cli", "latency", "--run-directory", str(tmp_path), "--json",
               "--watch", "0.2"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        first = json.loads(watcher.stdout.readline())
        assert first["stages"]["total"]["count"] in (0, 1)
        tracker.close()
        _, said = watcher.communicate(timeout=20)
        assert (watcher.returncode, said) == (0, "ironbook: the engine has ended\n")
    tracker._tracker[0] = ffi.NULL


def test_a_killed_engine_is_said_to_have_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its last figures stay in the file, and are not taken for news."""
    made = Tracker(tmp_path)
    made.follow(100, 1, 1, 1, 1)
    content = bytearray((tmp_path / "latency").read_bytes())
    made.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    content[40:48] = child.pid.to_bytes(8, "little")
    (tmp_path / "latency").write_bytes(content)
    assert main(["latency", "--run-directory", str(tmp_path)]) == 0
    assert "it has ended, and these are its last figures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there: does an engine run with this run_directory, and with latency.every above 0?"),
        (b"", "cannot be read"),
        (b"x" * 5000, "holds no latency figures of an engine"),
        (b"ILATENC1" + b"\0" * 100, "holds no latency figures of an engine|use the ironbook that the engine is of"),
        (b"ILATENC1" + b"\1\0\0\0" + b"\xff" * 5000, "use the ironbook that the engine is of"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Whatever lies there."""
    if content is not None:
        (tmp_path / "latency").write_bytes(content)
    with pytest.raises(latency.LatencyError, match=said) as raised:
        latency.read(tmp_path)
    assert "\n" not in str(raised.value)
    assert main(["latency", "--run-directory", str(tmp_path)]) == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "1e9"])
def test_a_wrong_interval_is_refused(tmp_path: Path, seconds: str) -> None:
    """By the command line, before anything is read."""
    assert main(["latency", "--run-directory", str(tmp_path), "--watch", seconds]) == 1
