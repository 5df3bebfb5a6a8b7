# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency tracking in a running engine: what `ironbook latency` shows, and that nothing but its file depends on it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import Engine, cancel, compiled_shim, enter, environment, replace, slow_journal
from ironbook import core
from ironbook.core.records import EventType

pytestmark = pytest.mark.integration

ORDERS = 600


# Writes of the process to a regular file take two milliseconds longer: the journal's, and nobody else's.
@contextmanager
def running(directory: Path, every: int, **changes: Any) -> Iterator[Engine]:
    """An engine that times one order in `every`."""
    directory.mkdir(exist_ok=True)
    engine = Engine(directory, latency={"every": every}, **changes).start()
    try:
        yield engine
    finally:
        engine.kill()


def trade(engine: Engine, orders: int = ORDERS) -> int:
    """The same messages each time: orders that rest, take, are replaced, cancelled and rejected; how many there were.

    One session after the other, each waited for, so that the order of all of them is the same, too.
    """
    maker, taker = engine.login("MAKER1"), engine.login("TAKER1")
    maker.send(b"".join(enter(ref, "S", 10, 1_000_000 + ref % 7) for ref in range(1, orders + 1)))
    maker.next_user_ref()
    taker.send(b"".join(enter(ref, "B", 15, 1_000_003, tif="3") for ref in range(1, orders // 2 + 1)))
    taker.next_user_ref()
    maker.send(b"".join(cancel(ref) for ref in range(orders - 9, orders + 1)))
    maker.send(replace(orders - 20, orders + 1, 30, 1_000_009) + enter(orders + 2, "S", 10, 1, symbol="NONE"))
    maker.next_user_ref()
    maker.close()
    taker.close()
    return orders + orders // 2 + 10 + 2


def shown(engine: Engine) -> dict[str, Any]:
    """What `ironbook latency` prints, from a process of its own."""
    command = [sys.executable, "-m", "ironbook.cli", "latency", "--run-directory", str(engine.run), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment())
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_every_order_is_timed_at_every_stage(tmp_path: Path) -> None:
    """All of them, at all stages, and a halt where it passes; in a file that only the engine's user can read."""
    with running(tmp_path, 1) as engine:
        sent = trade(engine)
        engine.admin("halt")
        printed = shown(engine)
        stages = printed["stages"]
        assert (printed["running"], printed["every"], printed["missed"]) == (True, 1, 0)
        of_all = dict.fromkeys(("queue", "match", "journal", "release"), sent + 1)
        counts = {name: figures["count"] for name, figures in stages.items()}
        assert counts == {"decode": sent, "total": sent, **of_all}
        for figures in stages.values():
            assert 0 <= figures["p50_ns"] <= figures["p90_ns"] <= figures["p99_ns"] <= figures["p999_ns"]
            assert figures["p999_ns"] <= figures["max_ns"] < 60 * 10**9
        assert stages["total"]["p50_ns"] >= max(stages[name]["p50_ns"] for name in ("decode", "match"))
        assert stages["match"]["p50_ns"] > 0
        assert stat.S_IMODE((engine.run / "latency").stat().st_mode) == 0o600
        engine.kill(signal.SIGTERM)
        assert not (engine.run / "latency").exists()


def switches(engine: Engine) -> list[int]:
    """How often each of the engine's threads has waited for something so far, by number."""
    assert engine.process is not None
    found = []
    for task in sorted(Path(f"/proc/{engine.process.pid}/task").iterdir(), key=lambda path: int(path.name)):
        lines = (task / "status").read_text().splitlines()
        found += [int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches")]
    return found


def test_a_lone_order_stays_on_one_thread(tmp_path: Path) -> None:
    """Sent one by one, orders wake no thread but the one that reads them; many at once are shared out."""
    with running(tmp_path, 0, journal={"fsync": "write"}) as engine:
        maker = engine.login("MAKER1")

        def woken(first: int, orders: int, together: int) -> list[int]:
            before = switches(engine)
            for ref in range(first, first + orders, together):
                maker.send(b"".join(enter(ref + i, "S", 1, 1_000_000) for i in range(together)))
                maker.next_user_ref()
            return sorted(after - earlier for after, earlier in zip(switches(engine), before, strict=True))

        woken(1, 10, 1)
        *others, reader = woken(11, 300, 1)
        assert reader >= 300 and sum(others) < 100, (others, reader)
        *others, reader = woken(311, 6000, 20)
        assert sum(others) > 300, (others, reader)


LATE = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct begun {
    void *(*function)(void *);
    void *context;
};

static void *begin_late(void *given)
{
    struct begun begun = *(struct begun *)given;
    free(given);
    usleep(300000);
    return begun.function(begun.context);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *context)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    struct begun *begun = malloc(sizeof *begun);
    *begun = (struct begun){function, context};
    return create(thread, attributes, begin_late, begun);
}
"""


def test_threads_that_begin_late_find_the_first_orders_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The I/O thread may have matched and journaled them before the threads of matcher and journal run at all."""
    monkeypatch.setenv("LD_PRELOAD", str(compiled_shim(tmp_path, LATE)))
    with running(tmp_path / "engine", 0) as engine:
        maker = engine.login("MAKER1")
        for ref in range(1, 6):
            maker.send(enter(ref, "S", 1, 1_000_000))
            assert maker.report("A")
        time.sleep(0.6)  # they have begun
        maker.send(b"".join(enter(ref, "S", 1, 1_000_000) for ref in range(6, 106)))
        maker.wait_for(105)


def test_one_order_in_so_many(tmp_path: Path) -> None:
    """By the sequence number: what is counted is what the numbers between say, also behind a restart."""
    with running(tmp_path, 50) as engine:
        first = int(engine.admin("status")["seq"])
        sent = trade(engine)
        assert shown(engine)["stages"]["decode"]["count"] == (first + sent) // 50 - first // 50
        engine.kill()
        assert shown(engine)["running"] is False
        engine.start()
        assert shown(engine)["stages"]["decode"]["count"] == 0


def test_off_there_is_no_file(tmp_path: Path) -> None:
    """And whoever asks is told in one line; an older file does not stay."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "latency").write_text("left by another")
    with running(tmp_path, 0) as engine:
        trade(engine, 20)
        assert not (engine.run / "latency").exists()
        command = [sys.executable, "-m", "ironbook.cli", "latency", "--run-directory", str(engine.run)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert "latency.every" in done.stderr


def without_time(commands: list[core.Command]) -> list[core.Command]:
    """The wall clock is the one thing in which two runs of the same messages differ."""
    return [command._replace(time_ns=command.seq) for command in commands]


def test_journal_events_and_state_are_the_same_on_and_off(tmp_path: Path) -> None:
    """Two engines get the same messages; and a live engine's state hash is that of a replay, which times nothing."""
    journals, hashes, streams = [], [], []
    for name, every in (("off", 0), ("some", 7), ("all", 1)):
        with running(tmp_path / name, every) as engine:
            trade(engine)
            live = engine.admin("totals")
            engine.kill(signal.SIGTERM)
            assert int(live["state_hash"], 16) == core.replay(engine.journal).state_hash
            commands = without_time(list(core.journal_dump(engine.journal)))
        matcher = core.Matcher(65536)
        streams.append(matcher.apply(commands))
        journals.append(commands)
        hashes.append(matcher.totals().state_hash)
    assert journals[0] == journals[1] == journals[2]
    assert streams[0] == streams[1] == streams[2]
    assert len(set(hashes)) == 1
    assert sum(event.type == EventType.EXECUTED for event in streams[0]) > ORDERS


def test_a_slow_disk_is_seen_at_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two milliseconds more for each write: the journal's stage has them, and so the total; the match has not."""
    slow_journal(tmp_path, monkeypatch, 2000)
    engine = Engine(tmp_path, latency={"every": 1}).start()
    try:
        maker = engine.login("MAKER1")
        for ref in range(1, 41):
            maker.send(enter(ref, "S", 10, 1_000_000))
            maker.wait_for(ref)
        stages = shown(engine)["stages"]
    finally:
        engine.kill()
    assert stages["journal"]["p50_ns"] >= 2_000_000
    assert stages["total"]["p50_ns"] >= 2_000_000
    assert stages["match"]["p50_ns"] < 1_000_000
    assert stages["decode"]["p50_ns"] < 1_000_000
