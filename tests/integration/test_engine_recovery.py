# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine killed, started again, started wrongly, or started over a journal that somebody damaged."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.engine_process import (
    ACCOUNT_QUERY,
    Client,
    Engine,
    cancel,
    compiled_shim,
    enter,
    packet,
    replace,
    same_after_a_kill,
    used,
)
from ironbook import core
from ironbook.core.records import CommandType

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that is not started yet."""
    process = Engine(tmp_path)
    yield process
    process.kill()


def orders(ref: int, seed: int) -> bytes:
    """A reproducible mix of orders, replaces and cancels that cross each other; one UserRefNum each."""
    numbers = random.Random(seed * 1_000_003 + ref)
    choice = numbers.random()
    price = 1_000_000 + numbers.randrange(-20, 21) * 100
    if choice < 0.15 and ref > 50:
        return replace(ref - numbers.randrange(1, 50), ref, numbers.randrange(1, 500), price)
    order = enter(ref, numbers.choice("BS"), numbers.randrange(1, 500), price, tif="3" if choice > 0.8 else "0")
    canceled = max(1, ref - numbers.randrange(0, 10))
    return order + (cancel(canceled, numbers.choice([0, 0, 50])) if choice > 0.5 else b"")


class Trader(threading.Thread):
    """Sends as fast as it can, reads as it goes, until the connection breaks."""

    def __init__(self, client: Client, ref: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.client, self.ref, self.seed = client, ref, seed
        self.sent_all = True

    def run(self) -> None:
        """Send until the engine dies; then read what the socket still holds."""
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        try:
            while True:
                self.client.send(b"".join(orders(ref, self.seed) for ref in range(self.ref, self.ref + 100)))
                self.ref += 100
        except OSError:
            reader.join(20)

    def _read(self) -> None:
        try:
            while self.client.packet():
                pass
        except OSError:
            pass


def test_kill_minus_nine_in_the_middle_of_trading(engine: Engine) -> None:
    """After each kill: every report that a client had is still there, byte for byte; none is lost, doubled or changed.

    The client then asks for its next UserRefNum and sends on from there, some numbers twice, as OUCH 5.0 lets it.
    """
    known: dict[str, list[bytes]] = {"MAKER1": [], "TAKER1": []}
    for generation in range(5):
        engine.start()
        traders = []
        for name, had in known.items():
            client = engine.login(name, sequence=1)
            # First the past: what the last incarnation acknowledged.
            if had:
                assert client.wait_for(len(had))[: len(had)] == had
            client.send(packet(b"R"))
            ref = client.next_user_ref()
            client.send(orders(ref - 1, 7) if ref > 1 else b"")  # a repeat: ignored
            traders.append(Trader(client, ref, len(name) + generation))
        for trader in traders:
            trader.start()
        time.sleep(0.25 + 0.15 * generation)
        engine.kill()
        for trader in traders:
            trader.join(30)
            assert not trader.is_alive()
        for name, trader in zip(known, traders, strict=True):
            reports = trader.client.sequenced
            assert reports[: len(known[name])] == known[name]
            assert len(reports) > len(known[name]) + 100, "the engine was killed before anything happened"
            known[name] = list(reports)

    engine.start()
    totals = engine.admin("totals")
    replayed = core.replay(str(engine.journal))
    assert (replayed.seq, f"{replayed.state_hash:016x}") == (totals["seq"], totals["state_hash"])
    assert totals["trades"] > 0
    for name, had in known.items():
        half = len(had) // 2
        client = engine.login(name, sequence=half + 1)
        assert client.first == half + 1
        assert client.wait_for(len(had) - half)[: len(had) - half] == had[half:]
        # No order was accepted twice, and none that was acknowledged is unknown to the account query.
        refs = [struct.unpack("!I", report[9:13])[0] for report in had if report[:1] == b"A"]
        assert len(set(refs)) == len(refs)
        assert client.next_user_ref() > max(refs)


def test_a_report_never_comes_before_its_journal_record(engine: Engine) -> None:
    """Kill at once after each acknowledgement: the record must be in the file, every time."""
    engine.start()
    client = engine.login()
    client.send(enter(1, "B", 10, 1_000_000))
    for ref in range(2, 12):
        client.report("A")
        engine.kill()
        engine.start()
        assert engine.admin("status")["orders_open"] == ref - 1
        client = engine.login(sequence=0)
        assert client.next_user_ref() == ref
        client.send(enter(ref, "B", 10, 1_000_000))


@pytest.fixture
def shim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts SHIM in front of libc in every engine that the test starts."""
    monkeypatch.setenv("LD_PRELOAD", str(compiled_shim(tmp_path)))


@pytest.mark.usefixtures("shim")
def test_a_report_waits_for_the_journal(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a journal that takes 200 ms for each write(2), so does each report."""
    monkeypatch.setenv("SHIM_DELAY_US", "200000")
    engine.start()
    client = engine.login()
    for ref in (1, 2, 3):
        started = time.monotonic()
        client.send(enter(ref, "B", 10, 1_000_000))
        time.sleep(0.1)
        with pytest.raises(TimeoutError):
            client.socket.settimeout(0.01)
            client.packet()
        client.socket.settimeout(10)
        client.report("A")
        assert 0.19 < time.monotonic() - started < 1.5
    # An Account Query behind an order is answered behind its report: the number it names cannot be lost any more.
    client.send(enter(4, "B", 10, 1_000_000) + ACCOUNT_QUERY)
    assert [found[:2] for found, _ in zip(client.packets(), range(2), strict=False)] == [b"SA", b"UQ"]


@pytest.mark.usefixtures("shim")
def test_a_change_keeps_the_price_of_an_auction_on_its_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrument's change carries all of it: one that knew nothing of the auction would put its old price back."""
    monkeypatch.setenv("SHIM_DELAY_US", "100000")
    engine.config["instruments"][0]["reference_price"] = 5
    engine.start()
    engine.admin("phase AAPL opening_auction")
    client = engine.login()
    client.send(enter(1, "B", 1, 1_000_000) + enter(2, "S", 1, 1_000_000))
    client.wait_for(2)
    change, answer = "instrument_change AAPL dynamic_band=100", {"error": "not yet"}
    asked = 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine.run / "admin.sock"))
        connection.sendall(b"phase AAPL continuous\n")
        while "error" in answer:
            time.sleep(0.01)
            answer = engine.admin(change)
            asked += "a change of its phase is on its way" in answer.get("error", "")
            assert asked < 300
        assert json.loads(connection.recv(65536))["trades"] == 1
    assert asked >= 1
    (sent,) = [c for c in core.journal_dump(engine.journal) if c.type == CommandType.INSTRUMENT_CHANGE]
    assert (sent.stop_price, sent.minimum) == (1_000_000, 100)  # its reference price and dynamic band (ironbook.h)


def test_an_orderly_end(engine: Engine) -> None:
    """SIGTERM: exit status 0, nothing listens, the journal is whole, and the sequence goes on."""
    engine.start()
    client = engine.login()
    client.send(b"".join(enter(ref, "B", 1, 100) for ref in range(1, 1001)))
    client.report("A")
    engine.kill(signal.SIGTERM)
    assert engine.process is not None
    assert engine.process.returncode == 0
    assert core.journal_verify(str(engine.journal)).torn_bytes == 0
    before = len(client.sequenced) + sum(1 for found in client.packets() if found[:1] == b"S")
    engine.start()
    again = engine.login(sequence=before + 1)
    assert again.first == before + 1


def test_a_second_engine_is_refused(engine: Engine, tmp_path: Path) -> None:
    """By port, run directory or journal: one line that names the thing and the remedy; the first one serves on."""
    engine.start()
    for directory in ("port", "run", "journal"):
        (tmp_path / directory).mkdir(exist_ok=True)
    port = Engine(tmp_path / "port", order_entry={"port": engine.port})
    line = port.refused()
    assert f"127.0.0.1:{engine.port}" in line
    assert "another order_entry.port" in line
    assert not (port.run / "admin.sock").exists() or port.process is not None

    run = Engine(tmp_path / "run2")
    run.directory.mkdir()
    run.config["run_directory"] = str(engine.run)
    line = run.refused()
    assert str(engine.run) in line
    assert "run_directory" in line

    journal = Engine(tmp_path / "port")
    journal.config["journal_directory"] = str(engine.journal)
    line = journal.refused()
    assert str(engine.journal) in line

    client = engine.login()
    client.send(enter(1, "B", 1, 100))
    client.report("A")
    assert engine.admin("status")["state"] == "serving"


def _trade_a_little(engine: Engine, count: int = 200) -> str:
    """Orders, then kill; the state hash before."""
    engine.start()
    client = engine.login()
    client.send(b"".join(orders(ref, 3) for ref in range(1, count)))
    client.next_user_ref()
    state: str = engine.admin("totals")["state_hash"]
    engine.kill()
    return state


def test_a_damaged_journal_is_refused(engine: Engine) -> None:
    """A bit flipped in the middle, a piece cut out, another shard's: one line, nothing changed, nothing served."""
    _trade_a_little(engine)
    segment = next(iter(engine.journal.glob("*.journal")))
    whole = used(segment)
    middle = len(whole) // 2
    for what, damaged in {
        "bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "hole": whole[:middle] + whole[middle + 192 :],
    }.items():
        segment.write_bytes(damaged)
        line = engine.refused()
        assert segment.name in line, (what, line)
        assert segment.read_bytes() == damaged
    segment.write_bytes(whole)
    engine.config["shard"] = 1
    assert "shard" in engine.refused()
    engine.config["shard"] = 0
    engine.start()


def test_a_torn_tail_is_cut_off(engine: Engine) -> None:
    """Half a record at the end is what a killed process can leave: it goes on without it."""
    state = _trade_a_little(engine)
    segment = next(iter(engine.journal.glob("*.journal")))
    whole = used(segment)
    segment.write_bytes(whole + whole[-192:-70] + bytes(10_000))
    engine.start()
    assert engine.admin("totals")["state_hash"] == state
    engine.kill(signal.SIGTERM)
    segment.write_bytes(whole[:-30])
    engine.start()
    assert engine.admin("totals")["state_hash"] != state
    client = engine.login(sequence=1)
    ref = client.next_user_ref()
    client.send(enter(ref, "B", 1, 100))
    client.report("A")


def test_a_configuration_that_contradicts_the_journal(engine: Engine) -> None:
    """What is traded keeps its tick, a session its firm; a user may be taken out and just cannot log in."""
    engine.start()
    client = engine.login()
    client.send(enter(1, "B", 1, 100))
    client.report("A")
    engine.kill(signal.SIGTERM)
    good = dict(engine.config)
    engine.config["instruments"] = [{"symbol": "AAPL", "tick": 5}, {"symbol": "MSFT", "tick": 100}]
    line = engine.refused()
    assert "AAPL has tick 1 and lot 1 in the journal, 5 and 1 in the configuration" in line
    assert "cancel them first" in line
    engine.config = dict(good)
    engine.config["sessions"] = [{**good["sessions"][0], "firm": "ELSE"}]
    assert "MAKER1 belongs to firm MAKR" in engine.refused()
    engine.config["sessions"] = [good["sessions"][1]]
    engine.config["instruments"] = [*good["instruments"], {"symbol": "TSLA", "tick": 1}]
    engine.start()
    assert Client(engine.port).login("MAKER1") == b"JA"
    taker = engine.login("TAKER1")
    taker.send(enter(1, "B", 1, 100, symbol="TSLA"))
    taker.report("A")


def test_the_last_user_ref_of_all_leaves_none(engine: Engine) -> None:
    """A client may use up its numbers at once. It is told that none is left, and harms nobody else, then or later."""
    client = engine.start().login()
    client.send(enter(0xFFFFFFFF, "B", 1, 100))
    client.report("A")
    assert client.next_user_ref() == 0
    engine.kill()
    assert engine.start().login().next_user_ref() == 0
    assert engine.admin("status")["state"] == "serving"
    assert engine.login("TAKER1").next_user_ref() == 1


def until_the_log_is_full(engine: Engine) -> Client:
    """A member whose orders are rejected, then not taken any more: the engine has stopped reading from it."""
    client = engine.login()
    ref = 1
    codes: list[int] = []
    while not codes:
        client.send(b"".join(enter(i, "B", 1, 100) for i in range(ref, ref + 500)))
        ref += 500
        client.wait_for(ref - 1)
        codes = [struct.unpack("!H", report[13:15])[0] for report in client.sequenced if report[:1] == b"J"]
        assert ref < 60_000
    assert set(codes) == {0x000A}
    client.send(cancel(1))
    client.report("C")
    client.socket.settimeout(3)
    with pytest.raises(TimeoutError):
        while True:
            client.send(b"".join(enter(i, "B", 1, 100) for i in range(ref, ref + 500)))
            ref += 500
            while len(client.sequenced) < ref - 2000:
                client.socket.settimeout(3)
                if client.packet() == b"H":
                    raise TimeoutError
    assert "the event log is full" in engine.log.read_text()
    assert engine.admin("status")["state"] == "serving"
    return client


def test_a_full_event_log_rejects_and_then_holds(engine: Engine) -> None:
    """Near its end Enter is rejected with a report while Cancel works; at its end no order is taken; nothing is lost.

    Whoever reduces risk is served to the last: a member that cancels, the administrator who halts, kills and ends.
    """
    engine.config["limits"] = {"orders": 65536, "events": 65536}
    engine.start()
    other = engine.login("TAKER1")
    other.send(enter(1, "B", 1, 99) + enter(2, "B", 2, 99))
    other.wait_for(2)
    until_the_log_is_full(engine)
    other.send(cancel(1))
    other.report("C")
    assert "the event log is full" in engine.admin("risk_limit MAKR open_orders 5")["error"]
    assert "the event log is full" in engine.admin("instrument_add TSLA tick=1")["error"]
    assert len(engine.admin("phase MSFT halted")["events"]) == 1
    # Nor can the administrator overflow it …
    answers = [engine.admin(request) for _ in range(600) for request in ("halt", "resume")]
    assert answers[0]["state"] == "halted"
    assert "the event log is full" in answers[-1]["error"]
    assert "the event log is full" in engine.admin("kill MAKR")["error"]
    other.send(cancel(2, 1) + cancel(2))  # a part of an order frees nothing, and is not taken
    with pytest.raises(TimeoutError):
        other.socket.settimeout(1)
        other.report("C")
    # … and there is room to end all of it, as many orders as there are.
    orders = engine.admin("totals")["orders_open"]
    assert orders > 10_000
    assert engine.admin("mass_cancel all")["canceled"] == orders
    status = engine.admin("end_of_day")
    assert (status["state"], status["orders_open"]) == ("ended", 0)
    engine.kill()
    engine.start()
    again = engine.admin("status")
    assert (again["seq"], again["state_hash"]) == (status["seq"], status["state_hash"])


def test_a_full_event_log_can_be_killed(engine: Engine) -> None:
    """The kill switch has its reserve, and ends all orders of the account that filled the log."""
    engine.config["limits"] = {"orders": 65536, "events": 65536}
    engine.start()
    until_the_log_is_full(engine)
    orders = engine.admin("totals")["orders_open"]
    assert engine.admin("kill MAKR")["canceled"] == orders
    status = engine.admin("status")
    assert (status["state"], status["orders_open"]) == ("serving", 0)
    same_after_a_kill(engine)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": {}}, "limit is no key of the engine: did you mean limits?"),
        ({"shard": "0"}, "shard is '0': give it an integer from 0 to 99"),
        ({"shard": True}, "shard is True"),
        ({"heartbeat_seconds": "1"}, "heartbeat_seconds is '1'"),
        ({"limits": {"order": 5}}, "limits.order is no key of the engine: did you mean orders?"),
        ({"limits": {"events": 1}}, "limits.events is 1"),
        ({"order_entry": {"host": "0.0.0.0"}}, "order_entry.host is '0.0.0.0'"),
        ({"order_entry": {"host": "8.8.8.8"}}, "order_entry.host is '8.8.8.8'"),
        ({"order_entry": {"host": "localhost"}}, "order_entry.host is 'localhost'"),
        ({"order_entry": {"port": 70000}}, "order_entry.port is 70000"),
        ({"journal": {"fsync": "always"}}, "journal.fsync is 'always': give it none, group or write"),
        ({"journal_directory": "journal"}, "journal_directory is 'journal': give it an absolute path"),
        ({"instruments": []}, "instruments must be a list of 1 to"),
        ({"instruments": [{"symbol": "aapl", "tick": 1}]}, "instruments[0].symbol is 'aapl'"),
        ({"instruments": [{"symbol": "AAPL"}]}, "instruments[0].tick is missing"),
        ({"instruments": [{"symbol": "AAPL", "tick": 1}] * 2}, "instruments[1].symbol is 'AAPL' a second time"),
        ({"sessions": [{"username": "A", "firm": "B", "secret": "hunter2"}]}, "sessions[0].secret is no crypt(3) hash"),
        ({"run_directory": "/tmp/" + "x" * 120}, "run_directory"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_wrong_configuration_is_one_line(engine: Engine, change: dict[str, object], said: str) -> None:
    """It names the key and the remedy, and leaves nothing behind."""
    for key, value in change.items():
        old = engine.config.get(key)
        engine.config[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    line = engine.refused()
    assert said in line
    assert "hunter2" not in line
    if "xxx" in str(change):
        shutil.rmtree(str(change["run_directory"]), ignore_errors=True)
    else:
        assert not engine.journal.exists()
        assert not engine.run.exists()
