# SPDX-License-Identifier: GPL-3.0-or-later
"""Members whose wall clocks somebody sets, by an hour and back, while they trade and while one takes over from another.

The shim (engine_native/tests/io_shim.c) gives each member's processes, engine and agent, a CLOCK_REALTIME of their own.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from history.check import check
from integration.engine_process import Engine, compiled_shim, enter
from integration.etcd_cluster import Cluster
from integration.shard import TIMES, Shard, replicated_shard
from integration.shard_history import USERS, ended, led, trade
from integration.stores import Etcd
from integration.trader import Trader
from local_processes import wait_for

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
EVERYBODY = (0, 1, 2)


def set_clock(file: Path, error_ns: int) -> None:
    """In place: whoever has mapped the file sees it at once."""
    if not file.exists():
        file.write_bytes(bytes(8))
    with file.open("r+b") as clock:
        clock.write(struct.pack("<q", error_ns))


class Clocks(NamedTuple):
    """A shard, and the clock of each member."""

    shard: Shard
    files: list[Path]

    def set(self, error_ns: int, members: Sequence[int] = EVERYBODY) -> None:
        """From now on the wall clocks of these members are wrong by so much."""
        for member in members:
            set_clock(self.files[member], error_ns)


@pytest.fixture
def clocks(cluster: Cluster, tmp_path: Path) -> Iterator[Clocks]:
    library = str(compiled_shim(tmp_path))
    files: list[Path] = []

    def with_a_clock(engine: Engine) -> None:
        files.append(engine.directory / "clock")
        set_clock(files[-1], 0)
        engine.variables = {"LD_PRELOAD": library, "SHIM_CLOCK_FILE": str(files[-1])}

    backend = Etcd(cluster)
    settings = {"kind": "etcd", "endpoints": cluster.endpoints}
    with replicated_shard(settings, backend.open(), backend.shard(), before=with_a_clock) as shard:
        yield Clocks(shard, files)


def others(primary: int) -> list[int]:
    return [member for member in EVERYBODY if member != primary]


# Who is set, by how much, one after the other; each is a jump from where the one before left the clock.
JUMPS: tuple[tuple[str, Callable[[int], Sequence[int]], int], ...] = (
    ("the primary's, an hour ahead", lambda primary: [primary], HOUR),
    ("and back again", lambda primary: [primary], 0),
    ("an hour behind", lambda primary: [primary], -HOUR),
    ("everybody's, an hour ahead", lambda primary: EVERYBODY, HOUR),
    ("the standbys', two hours back", others, -HOUR),
    ("everybody's, an hour behind", lambda primary: EVERYBODY, -HOUR),
    ("everybody's, right again", lambda primary: EVERYBODY, 0),
)


def test_a_clock_that_is_set_takes_nothing_over_and_changes_nothing(clocks: Clocks) -> None:
    """Leases and silences are of the monotonic clock; what bears a time bears none that goes back."""
    luck = random.Random(5)
    shard = clocks.shard
    primary = shard.in_sync()
    leaders = [led(shard, primary)]
    traders = [Trader(user, shard.login) for user in USERS]
    for what, whose, error_ns in JUMPS:
        trade(traders, luck, 40)
        clocks.set(error_ns, whose(primary))
        trade(traders, luck, 40)
        for step in range(20):  # and small steps back, in the midst of it
            clocks.set(error_ns - step * SECOND // 20, whose(primary))
            trade(traders, luck, 2)
        for trader in traders:
            trader.settle()
        time.sleep(TIMES["silence_ms"] / 1000)
        told = shard.status(primary)
        assert told is not None and (told["role"], told["epoch"]) == ("primary", leaders[0].epoch), what
        assert sorted(told["replication"]["in_sync"]) == [0, 1, 2], what
        leaders.append(led(shard, primary))
    history = ended(shard, traders, leaders)
    assert check(history) == [], shard.logs()
    for journal in history.journals.values():
        times = [command.time_ns for command in journal.commands]
        assert times == sorted(times)
        assert times[-1] > time.time_ns() + HOUR // 2  # the clocks were set, and time did not go back with them
        assert {command.epoch for command in journal.commands[: leaders[-1].commit_seq]} == {leaders[0].epoch}


def test_time_does_not_go_back_where_a_member_with_an_earlier_clock_takes_over(clocks: Clocks) -> None:
    luck = random.Random(6)
    shard = clocks.shard
    shard.in_sync()
    traders = [Trader(user, shard.login) for user in USERS]
    leaders, latest = [], 0
    for error_ns in (HOUR, 0, -HOUR):  # of who leads; whoever takes over is an hour behind
        primary = shard.in_sync()
        leaders.append(led(shard, primary))
        clocks.set(error_ns, [primary])
        clocks.set(error_ns - HOUR, others(primary))
        trade(traders, luck, 30)
        for trader in traders:
            trader.settle()  # so that its time is in the journal
        trade(traders, luck, 30)
        shard.engines[primary].kill()
        shard.primary(other_than=[primary])
        trade(traders, luck, 60)
        for trader in traders:
            trader.settle_somewhere()
        clocks.set(error_ns - 2 * HOUR, [primary])
        shard.engines[primary].start()
        shard.in_sync()
        latest = max(latest, time.time_ns() + error_ns)
    history = ended(shard, traders, leaders)
    assert check(history) == [], shard.logs()
    for journal in history.journals.values():
        times = [command.time_ns for command in journal.commands]
        assert times == sorted(times)
        assert abs(times[-1] - latest) < HOUR // 2  # and so did it stay at the latest that was told
        assert len({command.epoch for command in journal.commands}) >= 4


def test_a_disk_that_was_full_is_looked_at_again_though_the_clock_was_set_back(tmp_path: Path) -> None:
    """The wait between two looks is not one until a time of the wall clock."""
    clock, full = tmp_path / "clock", tmp_path / "full"
    set_clock(clock, HOUR)
    engine = Engine(tmp_path, journal={"fsync": "none", "segment_bytes": 65536})
    engine.variables = {
        "LD_PRELOAD": str(compiled_shim(tmp_path)),
        "SHIM_CLOCK_FILE": str(clock),
        "SHIM_FULL_FILE": str(full),
    }
    engine.start()
    try:
        full.touch()
        client = engine.login()
        client.send(b"".join(enter(ref, "S", 1, 10000) for ref in range(1, 601)))  # into the second segment
        wait_for(lambda: "no room for the next segment" in engine.log.read_text(), "a full disk", 20)
        set_clock(clock, 0)
        full.unlink()
        wait_for(lambda: "there is room for the next segment again" in engine.log.read_text(), "room", 20)
    finally:
        engine.kill()
