# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's disk is full, broken or slow under a running engine: nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.engine_process import Client, Engine, cancel, compiled_shim, enter, same_after_a_kill
from ironbook import core, seals

pytestmark = pytest.mark.integration

SEGMENT = 65536
COMMANDS = (SEGMENT - 128) // 192  # that fit into a segment
RESERVE = COMMANDS // 4  # that no new order may use


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with the smallest segments, not started yet."""
    process = Engine(tmp_path, journal={"segment_bytes": SEGMENT})
    yield process
    process.kill()


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts engine_native/tests/io_shim.c in front of libc in every engine that the test starts."""
    monkeypatch.setenv("LD_PRELOAD", str(compiled_shim(tmp_path)))


def kinds(client: Client) -> Counter[str]:
    """How many reports of each type a client has."""
    return Counter(chr(report[0]) for report in client.sequenced)


def read_until_quiet(client: Client, seconds: float = 1) -> None:
    """Read what comes, until nothing has come for so long but heartbeats."""
    client.socket.settimeout(seconds)
    last = time.monotonic()
    while time.monotonic() - last < seconds:
        try:
            if client.packet() != b"H":
                last = time.monotonic()
        except TimeoutError:
            break
    client.socket.settimeout(10)


def goes_through_a_full_disk(engine: Engine, segments: int, make_room: Callable[[], None]) -> None:
    """Run the disk full with orders, `segments` being what it has room for; then make room; then kill the engine."""
    other, client = engine.login("TAKER1"), engine.login()
    other.send(b"".join(enter(ref, "B", 1, 99) for ref in range(1, 6)))
    other.wait_for(5)
    before = engine.admin("totals")["seq"]
    room = segments * COMMANDS - before
    count = room + 100
    client.send(b"".join(enter(ref, "B", 1, 100) for ref in range(1, count + 1)))
    read_until_quiet(client)
    seen = kinds(client)
    # First orders are taken, then each is answered by a reject, then none is read any more.
    assert seen == {"A": room - RESERVE, "J": RESERVE - RESERVE // 2}
    assert {struct.unpack("!H", report[13:15])[0] for report in client.sequenced if report[:1] == b"J"} == {0x000A}
    assert "No space left on device. New orders are rejected (JOURNAL_FULL)" in engine.log.read_text()
    reasons = Counter(event.reason for event in core.events(engine.journal) if event.type == 6)
    assert reasons == {30: seen["J"]}
    # Whoever reduces risk is served: cancels, the administrator.
    other.send(cancel(1) + cancel(2))
    other.report("C")
    other.report("C")
    answers = [engine.admin(f"risk_limit MAKR open_orders {100_000 + i}") for i in range(RESERVE // 2)]
    assert "error" not in answers[0]  # what the administrator defines is taken, for a while …
    assert "journal's disk is full: make room on it" in answers[-1]["error"]
    assert engine.admin("halt")["state"] == "halted"  # … and what ends trading to the last
    assert engine.admin("resume")["state"] != "halted"
    assert engine.admin("status")["state"] == "serving"
    make_room()  # and it goes on by itself, with what had not been read
    client.wait_for(count)
    assert kinds(client) == {"A": count - seen["J"], "J": seen["J"]}
    assert "there is room for the next segment again" in engine.log.read_text()
    same_after_a_kill(engine)
    assert engine.login(sequence=1).wait_for(count) == client.sequenced


@pytest.mark.feature("ENG-14", by="P", part="a disk without room for the journal's next segment")
@pytest.mark.usefixtures("shim")
def test_a_full_disk_stops_orders_before_it_stops_the_journal(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC for the third segment: orders are rejected while the second one has room left for what ends trading."""
    full = tmp_path / "disk_is_full"
    monkeypatch.setenv("SHIM_FULL_FILE", str(full))
    engine.start()
    deadline = time.monotonic() + 10
    while not (engine.journal / "next.new").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    full.touch()
    goes_through_a_full_disk(engine, 2, full.unlink)


@pytest.mark.skipif(os.geteuid() != 0, reason="to mount a tmpfs takes root")
def test_a_real_file_system_runs_full(engine: Engine) -> None:
    """A tmpfs with room for three segments, made larger once it is full."""
    engine.journal.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={3 * SEGMENT + 8192},mode=0700", "tmpfs", str(engine.journal)]
    subprocess.run(mount, check=True)
    try:
        engine.start()
        larger = ["mount", "-o", "remount,size=4m", str(engine.journal)]
        goes_through_a_full_disk(engine, 3, lambda: subprocess.run(larger, check=True) and None)
    finally:
        engine.kill()
        subprocess.run(["umount", str(engine.journal)], check=True)


@pytest.mark.usefixtures("shim")
def test_a_disk_that_is_full_from_the_start(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new journal has no room for a segment: one line, and the next start begins as if nothing had been."""
    full = tmp_path / "disk_is_full"
    full.touch()
    monkeypatch.setenv("SHIM_FULL_FILE", str(full))
    line = engine.refused()
    assert "no room for the next segment: No space left on device: see to journal_directory" in line
    full.unlink()
    engine.start()
    assert engine.admin("status")["recovered_seq"] == 0


def test_a_running_engine_seals_its_segments(engine: Engine) -> None:
    """Each one that is full, and none that is written; sha256sum agrees, also after a kill and a start."""
    engine.start()
    client = engine.login()
    for begin in range(1, 1401, 700):
        client.send(b"".join(enter(ref, "B", 1, 100) for ref in range(begin, begin + 700)))
        client.wait_for(begin + 699)
        deadline = time.monotonic() + 15
        while seals.check(engine.journal).unsealed and time.monotonic() < deadline:
            time.sleep(0.05)
        found = seals.check(engine.journal)
        assert found.sealed == len(list(engine.journal.glob("*.journal"))) - 1 > 0
        assert found.unsealed == 0
        check = ["sha256sum", "--check", "--quiet", *sorted(path.name for path in engine.journal.glob("*.sha256"))]
        subprocess.run(check, cwd=engine.journal, check=True)
        same_after_a_kill(engine)
        client = engine.login(sequence=1)
        client.wait_for(begin + 699)


@pytest.mark.usefixtures("shim")
def test_a_start_on_a_full_disk(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a journal that is there it serves, and takes no order until there is room; nothing of before is lost."""
    full = tmp_path / "disk_is_full"
    monkeypatch.setenv("SHIM_FULL_FILE", str(full))
    engine.start()
    client = engine.login()
    client.send(enter(1, "B", 1, 100))
    client.wait_for(1)
    engine.kill(signal.SIGTERM)  # which gives back what was reserved
    full.touch()
    engine.start()
    again = engine.login(sequence=1)
    again.send(enter(2, "B", 1, 100))
    read_until_quiet(again)
    assert again.sequenced == client.sequenced
    full.unlink()
    again.wait_for(2)
    assert kinds(again) == {"A": 2}


@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize("policy", ["none", "group", "write"])
def test_a_report_waits_for_the_disk(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    """With `group` and `write` a report waits for the sync: where that fails, no report, and an end."""
    broken = tmp_path / "sync_is_broken"
    monkeypatch.setenv("SHIM_BROKEN_SYNC_FILE", str(broken))
    engine.config["journal"]["fsync"] = policy
    engine.start()
    client = engine.login()
    client.send(enter(1, "B", 10, 1_000_000))
    client.report("A")
    broken.touch()
    client.send(enter(2, "B", 10, 1_000_000))
    if policy == "none":
        client.report("A")
        return
    assert list(client.packets()) == []
    assert len(client.sequenced) == 1
    assert engine.process is not None
    assert engine.process.wait(20) != 0
    assert "Input/output error: see to journal_directory" in engine.log.read_text().splitlines()[-1]
    broken.unlink()
    engine.start()
    assert engine.login(sequence=1).wait_for(1) == client.sequenced


@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize(("variable", "value"), [("SHIM_SYNC_DELAY_US", "50000"), ("SHIM_SHORT_WRITES", "1")])
def test_a_slow_or_short_disk_changes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Each sync takes 50 ms, or each write takes half: the reports are late, and the journal is what it would be."""
    monkeypatch.setenv(variable, value)
    engine.config["journal"]["fsync"] = "group"
    engine.start()
    client = engine.login()
    begin = time.monotonic()
    client.send(enter(1, "B", 10, 100))
    client.wait_for(1)
    waited = time.monotonic() - begin
    assert variable != "SHIM_SYNC_DELAY_US" or waited >= 0.05
    client.send(b"".join(enter(ref, "B", 10, 100) for ref in range(2, 500)))
    client.wait_for(499)
    assert kinds(client) == {"A": 499}
    same_after_a_kill(engine)
    assert core.journal_verify(engine.journal).torn_bytes == 0
