# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that begins with a snapshot: the same state, the same streams and events, and what it refuses.

The journals are of the raw client of engine_process.py; the snapshots are taken by `ironbook snapshot`'s own function,
beside the running engine.
"""

from __future__ import annotations

import hashlib
import random
import struct
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from history.journal_bytes import crc32c
from integration.engine_process import Client, Engine, cancel, compiled_shim, enter, packet, replace
from ironbook import core
from ironbook.core.records import CommandType, EventType, Phase
from ironbook.event_log import START, EventLog, EventLogError, EventLogLostError, Position
from ironbook.protocols.commands import CommandStream, CommandStreamError

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with small segments that is not started yet."""
    process = Engine(tmp_path, journal={"segment_bytes": 100_000})
    yield process
    process.kill()


def order(ref: int) -> bytes:
    """A reproducible mix of orders, replaces and cancels that cross each other; one UserRefNum each."""
    numbers = random.Random(ref)
    price = 1_000_000 + numbers.randrange(-20, 21) * 100
    if ref > 50 and numbers.random() < 0.15:
        return replace(ref - numbers.randrange(1, 50), ref, numbers.randrange(1, 500), price)
    entered = enter(ref, numbers.choice("BS"), numbers.randrange(1, 500), price)
    return entered + (cancel(max(1, ref - numbers.randrange(0, 10))) if numbers.random() < 0.3 else b"")


def trade(engine: Engine, first: int, last: int) -> None:
    """Both sessions send orders of these numbers, and every report has come out before it returns."""
    for name in ("MAKER1", "TAKER1"):
        client = engine.login(name, sequence=0)
        client.send(b"".join(order(ref) for ref in range(first, last)))
        client.next_user_ref()  # it comes behind the reports of everything before it
        client.close()


def stream(engine: Engine, name: str, sequence: int = 1) -> tuple[str, list[bytes]]:
    """Return a session's name and all of its reports from a number on."""
    client = engine.login(name, sequence=sequence)
    views = {view["username"]: view for view in engine.admin("status")["sessions"]}
    reports = list(client.wait_for(views[name]["session_seq"] - sequence + 1))
    client.close()
    return client.session, reports


def stream_after(engine: Engine, client: Client, name: str, count: int) -> list[bytes]:
    """Close a client, and return the reports of its session behind the first `count`."""
    client.close()
    deadline = time.monotonic() + 5
    while next(view for view in engine.admin("status")["sessions"] if view["username"] == name)["connected"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return stream(engine, name, count + 1)[1]


def events(engine: Engine, after: Position = START) -> list[core.Event]:
    """Return all events of the log behind one."""
    last = engine.admin("status")["last_event"]
    found: list[core.Event] = []
    with EventLog(engine.run / "events.sock", 0, after) as log:
        while not found or (found[-1].seq, found[-1].index) != (last["seq"], last["index"]):
            more = log.read(20)
            assert more, "the events do not come"
            found += more
    return found


def entered(engine: Engine, ref: int) -> list[core.Event]:
    """Enter an order of OTHER1 over commands.sock, and return the reports that it has."""
    command = core.Command(0, 0, CommandType.ENTER, user_ref=ref, side=1, quantity=7, price=1, order_type=1)
    with CommandStream(engine.run / "commands.sock", "OTHER1") as connection:
        connection.send(command)
        return connection.ask()[0]


def last_phase(engine: Engine, instrument: int) -> core.Event:
    """Return the last change of an instrument's phase that the journal leads to."""
    changes = [e for e in core.events(engine.journal) if e.type == EventType.PHASE and e.instrument == instrument]
    return changes[-1]


def test_the_same_state_streams_and_events(engine: Engine) -> None:
    """Run, snapshot, run on, kill -9, start: nobody can tell by what it is served that there was a snapshot."""
    engine.start()
    trade(engine, 1, 1500)
    taken = core.snapshot_take(engine.journal, shard=0)  # beside the engine, which goes on
    trade(engine, 1500, 2200)
    before = engine.admin("totals")
    status = engine.admin("status")
    streams = {name: stream(engine, name) for name in ("MAKER1", "TAKER1")}
    told = events(engine)
    assert taken.seq < before["seq"]
    assert told[0].seq < taken.seq
    engine.kill()

    engine.start()
    assert engine.admin("totals") == before
    assert core.replay(engine.journal).state_hash == int(before["state_hash"], 16)
    again = engine.admin("status")
    for field in ("commit_seq", "released_events", "last_event", "event_room", "recovered_seq"):
        assert again[field] == status[field] or field == "recovered_seq"
    for name, had in streams.items():
        assert stream(engine, name) == had
        half = len(had[1]) // 2
        assert stream(engine, name, half + 1) == (had[0], had[1][half:])
        assert engine.login(name, sequence=len(had[1]) + 1).next_user_ref() == 2200
    assert events(engine) == told
    middle = told[len(told) // 2]
    assert events(engine, Position(middle.seq, middle.index)) == told[len(told) // 2 + 1 :]
    engine.kill()

    engine.start()  # and orders go on
    trade(engine, 2200, 2300)
    assert events(engine)[: len(told)] == told
    after = engine.admin("totals")
    assert core.replay(engine.journal).state_hash == int(after["state_hash"], 16)
    assert core.replay(engine.journal, whole=False).state_hash == int(after["state_hash"], 16)


def test_a_resend_is_still_a_repeat(engine: Engine) -> None:
    """Numbers of before the snapshot are known; the original result is in the stream."""
    engine.start()
    trade(engine, 1, 300)
    core.snapshot_take(engine.journal)
    engine.kill()
    engine.start()
    before = engine.admin("totals")
    client = engine.login("MAKER1", sequence=0)
    client.send(b"".join(order(ref) for ref in range(1, 300)))
    assert client.next_user_ref() == 300
    assert engine.admin("status")["repeats_ignored"] >= 299
    # The cancels of that mix are no repeats in OUCH, and name orders that have had them.
    assert engine.admin("totals")["orders_open"] == before["orders_open"]


def test_what_the_shell_knows_survives(engine: Engine) -> None:
    """Disabled order entry and the name of the SoupBinTCP session are no part of the matcher's state."""
    engine.start()
    client = engine.login("MAKER1")
    name = client.session
    client.send(packet(b"U", struct.pack("!cI4sH", b"D", 1, b"MAKR", 0)))  # Disable Order Entry
    while client.packet()[:2] != b"UG":
        pass
    client.close()
    core.snapshot_take(engine.journal)
    trade_one = engine.login("TAKER1", sequence=0)
    trade_one.send(order(1))
    trade_one.next_user_ref()
    engine.kill()
    engine.start()
    views = {view["username"]: view for view in engine.admin("status")["sessions"]}
    assert (views["MAKER1"]["order_entry"], views["TAKER1"]["order_entry"]) == (False, True)
    assert engine.login("MAKER1", sequence=0).session == name


def test_a_volatility_auction_ends_in_time(engine: Engine) -> None:
    """Since when an instrument is in its phase, the clock's side of the engine knows from the snapshot alone."""
    engine.config["volatility_auction_seconds"] = 3
    engine.config["schedules"] = [{"name": "day", "steps": [{"at": "00:00:00", "phase": "continuous"}]}]
    engine.config["instruments"][1]["schedule"] = "day"
    engine.start()
    engine.admin("phase AAPL volatility_auction")
    engine.admin("phase MSFT pre_open")  # by hand, and later than the schedule's last change: it stands
    began_ns = core.snapshot_take(engine.journal).time_ns
    engine.kill()
    engine.start()
    deadline = time.monotonic() + 10
    while (phase := last_phase(engine, 0)).phase != Phase.CONTINUOUS:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert 2_900_000_000 < phase.time_ns - began_ns < 5_000_000_000
    assert last_phase(engine, 1).phase == Phase.PRE_OPEN


SHIM = r"""
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* The thread that makes the history lowers its own priority before it does anything; others name theirs by number. */
int setpriority(__priority_which_t which, id_t who, int value)
{
    (void)which, (void)value;
    while (who == 0 && access(getenv("SHIM_HISTORY_WAITS"), F_OK) == 0) {
        usleep(10000);
    }
    return 0;
}
"""


def test_nobody_who_trades_waits_for_the_history(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the events of before are still to be made: who is up to date trades, who is not gets all of it later."""
    shim = compiled_shim(tmp_path, SHIM)
    engine.config["sessions"].append({**engine.config["sessions"][0], "username": "OTHER1"})
    engine.start()
    trade(engine, 1, 500)
    had = entered(engine, 1)
    core.snapshot_take(engine.journal)
    streams = {name: stream(engine, name)[1] for name in ("MAKER1", "TAKER1")}
    last = engine.admin("status")["last_event"]
    engine.kill()
    waits = tmp_path / "waits"
    waits.touch()
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("SHIM_HISTORY_WAITS", str(waits))
    engine.start()
    assert engine.admin("status")["last_event"] == last
    behind = engine.login("MAKER1", sequence=1)
    assert behind.packet() == b"H"
    trade_one = engine.login("TAKER1", sequence=0)
    trade_one.send(order(500))
    assert trade_one.next_user_ref() == 501
    behind.send(order(500))
    waiting = CommandStream(engine.run / "commands.sock", "OTHER1", 0, timeout=0.5)
    with pytest.raises(CommandStreamError, match="did not answer in time"), waiting:
        waiting.event()
    assert len(entered(engine, 2)) == len(had)
    with EventLog(engine.run / "events.sock", 0) as log:
        assert log.read(1.0) == []
        fresh = events(engine, Position(last["seq"], last["index"]))
        assert fresh
        assert not behind.sequenced
        waits.unlink()
        first = log.read(20)
        assert (first[0].index, first[0].seq) == (0, events(engine)[0].seq)
    assert behind.wait_for(len(streams["MAKER1"]) + 1)[:-1] == streams["MAKER1"]
    with CommandStream(engine.run / "commands.sock", "OTHER1", 0) as all_of_it:
        assert all_of_it.ask()[0][: len(had)] == had
    assert trade_one.sequenced == stream_after(engine, trade_one, "TAKER1", len(streams["TAKER1"]))


def test_a_damaged_snapshot_is_passed_over(engine: Engine) -> None:
    """The older one is taken, one line says so, and the state is the same."""
    engine.start()
    trade(engine, 1, 400)
    core.snapshot_take(engine.journal, 200)
    bad = core.snapshot_take(engine.journal)
    before = engine.admin("totals")
    engine.kill()
    data = bytearray((engine.journal / bad.file).read_bytes())
    data[len(data) // 2] ^= 1
    (engine.journal / bad.file).write_bytes(data)
    engine.start()
    assert engine.admin("totals") == before
    said = [line for line in engine.log.read_text().splitlines() if "passed over" in line]
    assert len(said) == 1
    assert bad.file in said[0]


def test_without_the_segments_of_before(engine: Engine) -> None:
    """Trading and all that is new is as ever; who asks for what was before is refused, and told why."""
    engine.start()
    trade(engine, 1, 800)
    taken = core.snapshot_take(engine.journal)
    last = engine.admin("status")["last_event"]
    trade(engine, 800, 900)
    before = engine.admin("totals")
    streams = {name: stream(engine, name) for name in ("MAKER1", "TAKER1")}
    engine.kill()
    segments = sorted(engine.journal.glob("*.journal"))
    for segment, following in pairwise(segments):
        if int(following.stem) <= taken.seq:
            segment.unlink()
    engine.start()
    assert engine.admin("totals") == before
    behind = events(engine, Position(last["seq"], last["index"]))
    assert behind[0].seq > taken.seq
    deadline = time.monotonic() + 20
    while "cannot be made again" not in engine.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises((EventLogError, EventLogLostError), match="of before its snapshot"):
        events(engine)
    with pytest.raises(CommandStreamError, match="snapshot"):
        CommandStream(engine.run / "commands.sock", "TAKER1", 0)
    name, had = streams["MAKER1"]
    client = Client(engine.port)
    assert client.login("MAKER1", sequence=1)[:1] == b"J"
    assert stream(engine, "MAKER1", len(had)) == (name, had[-1:])
    trade(engine, 900, 1000)
    (engine.journal / taken.file).unlink()
    engine.kill()
    assert "the records before this segment are missing" in engine.refused()


def test_one_that_contradicts_is_refused_by_name(engine: Engine, tmp_path: Path) -> None:
    """Another shard's, another capacity, and one that the journal does not reach: nothing starts, nothing changes."""
    engine.start()
    trade(engine, 1, 400)
    taken = core.snapshot_take(engine.journal)
    engine.kill()
    engine.config["limits"]["orders"] = 65537
    line = engine.refused()
    assert taken.file in line
    assert "set limits.orders to 65536" in line
    engine.config["limits"]["orders"] = 65536
    engine.config["shard"] = 1
    assert f"{taken.file}: a snapshot of shard 0, but shard 1" in engine.refused()
    engine.config["shard"] = 0
    last = sorted(engine.journal.glob("*.journal"))[-1]
    last.rename(tmp_path / "away")
    line = engine.refused()
    assert taken.file in line
    assert "ends before it" in line
    (tmp_path / "away").rename(last)
    engine.start()


def test_a_snapshot_of_another_state_ends_the_engine(engine: Engine, tmp_path: Path) -> None:
    """The last line of defence: sound in itself, at this journal's chain, and of another state.

    No accident makes one; a defect might. The journal of before, replayed behind the engine's back, shows it.
    """
    engine.start()
    trade(engine, 1, 300)
    taken = core.snapshot_take(engine.journal)
    engine.kill()
    commands = list(core.journal_dump(engine.journal))[: taken.seq]
    orders = [place for place, command in enumerate(commands) if command.quantity > 1]
    commands[orders[-1]] = commands[orders[-1]]._replace(quantity=1)
    with core.Journal(tmp_path / "other", orders=taken.orders) as other:
        for begin in range(0, len(commands), 100):
            other.append(commands[begin : begin + 100])
    forged = core.snapshot_take(tmp_path / "other")
    assert (forged.seq, forged.time_ns) == (taken.seq, taken.time_ns)
    assert forged.state_hash != taken.state_hash
    data = bytearray((tmp_path / "other" / forged.file).read_bytes())
    data[48:56] = taken.chain.to_bytes(8, "little")
    data[72:76] = crc32c(data[:72]).to_bytes(4, "little")
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    (engine.journal / taken.file).write_bytes(data)
    assert core.snapshot_verify(engine.journal / taken.file).chain == taken.chain
    engine.start(wait=False)
    assert engine.process is not None
    assert engine.process.wait(30) != 0
    assert f"another state at sequence {taken.seq} than the snapshot" in engine.log.read_text()
    (engine.journal / taken.file).unlink()
    engine.start()
    assert int(engine.admin("totals")["state_hash"], 16) == core.replay(engine.journal).state_hash
