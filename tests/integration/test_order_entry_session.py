# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client of order entry sees: every message that is carried, and the clean end of what is not.

One engine serves the whole file. Each test takes it as it finds it: it counts from what was counted before, and logs in
at the number that comes next. So the tests may run alone and in any order.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from integration.engine_process import (
    ACCOUNT_QUERY,
    Client,
    Engine,
    cancel,
    enter,
    login_request,
    packet,
    replace,
)
from ironbook import core

pytestmark = pytest.mark.integration

HEARTBEAT_SECONDS = 0.2
LOGIN_SECONDS = 1.0
USERNAMES = ("MAKER1", "TAKER1", "WATCH1", "OTHER1", "SLOW1", "SPARE1", "LATE1", "MORE1")
PATIENCE_SECONDS = 15 * HEARTBEAT_SECONDS  # gateway_internal.h: IB_IDLE_HEARTBEATS


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for this file, which comes through all of it: the same process, and a journal that replays to it."""
    process = Engine(
        tmp_path_factory.mktemp("engine"),
        heartbeat_seconds=HEARTBEAT_SECONDS,
        limits={"connections": len(USERNAMES), "login_seconds": LOGIN_SECONDS, "login_attempts": 3},
        sessions=[
            {**session, "username": name}
            for session in Engine(tmp_path_factory.mktemp("template")).config["sessions"][:1]
            for name in USERNAMES
        ],
    ).start()
    try:
        yield process
        assert process.process is not None
        assert process.process.poll() is None, process.log.read_text()
        totals = process.admin("totals")
        replayed = core.replay(str(process.journal))
        assert (replayed.seq, replayed.trades, f"{replayed.state_hash:016x}") == (
            totals["seq"],
            totals["trades"],
            totals["state_hash"],
        )
    finally:
        process.kill()


class Watch:
    """A session that trades on while somebody else misbehaves."""

    def __init__(self, engine: Engine) -> None:
        self.client = engine.login("WATCH1", sequence=0)
        self.ref = self.client.next_user_ref()

    def trades_on(self) -> None:
        """Place and cancel one order on the same connection as before."""
        self.client.send(enter(self.ref, "B", 1, 1))
        self.client.report("A")
        self.client.send(cancel(self.ref))
        self.client.report("C")
        self.ref += 1


@pytest.fixture
def watch(engine: Engine) -> Iterator[Watch]:
    """A well-behaved session, which must not notice what the test does."""
    other = Watch(engine)
    other.trades_on()
    yield other
    other.trades_on()
    other.client.close()
    wait_until_disconnected(engine, "WATCH1")


def wait_until_disconnected(engine: Engine, username: str) -> None:
    """Until the engine has seen that a client is gone."""
    for _ in range(200):
        sessions = {session["username"]: session for session in engine.admin("status")["sessions"]}
        if not sessions[username]["connected"]:
            return
        time.sleep(0.02)
    raise AssertionError(f"{username} stays connected")


@pytest.fixture
def pair(engine: Engine) -> Iterator[tuple[Client, Client, int]]:
    """A maker and a taker, both from now on, and a UserRefNum that is free for both."""
    maker, taker = engine.login("MAKER1", sequence=0), engine.login("TAKER1", sequence=0)
    yield maker, taker, max(maker.next_user_ref(), taker.next_user_ref())
    for username, client in (("MAKER1", maker), ("TAKER1", taker)):
        client.send(packet(b"O"))
        assert list(client.packets()) == []
        client.close()
        wait_until_disconnected(engine, username)


def test_ioc_and_market_orders_are_cancelled_where_they_find_nothing(pair: tuple[Client, Client, int]) -> None:
    """What an IOC or market order cannot trade is Canceled for the reason I."""
    maker, taker, ref = pair
    maker.send(enter(ref, "S", 10, 2_000_000))
    maker.report("A")
    taker.send(enter(ref, "B", 30, 2_000_000, tif="3"))
    assert struct.unpack("!IQ", taker.report("E")[13:25]) == (10, 2_000_000)
    assert struct.unpack("!Ic", taker.report("C")[13:]) == (20, b"I")
    maker.report("E")
    maker.send(enter(ref + 1, "S", 10, 2_000_100))
    maker.report("A")
    taker.send(enter(ref + 1, "B", 15, 0x7FFFFFFF, tif="3"))
    accepted = taker.report("A")
    assert struct.unpack("!Q", accepted[26:34]) == (0x7FFFFFFF,)
    assert struct.unpack("!IQ", taker.report("E")[13:25]) == (10, 2_000_100)
    assert struct.unpack("!Ic", taker.report("C")[13:]) == (5, b"I")
    maker.report("E")


def test_replace_keeps_the_chain_and_says_what_is_open(pair: tuple[Client, Client, int]) -> None:
    """OUCH 5.0, 2.2: the size of a Replace includes what was executed before; Replaced tells what is open."""
    maker, taker, ref = pair
    maker.send(enter(ref, "S", 500, 3_000_000))
    maker.report("A")
    taker.send(enter(ref, "B", 100, 3_000_000, tif="3"))
    maker.report("E")
    taker.report("E")
    maker.send(replace(ref, ref + 1, 500, 3_000_100))
    replaced = maker.report("U")
    old, new, side, shares, symbol, price = struct.unpack("!IIcI8sQ", replaced[9:38])
    assert (old, new, side, shares, symbol, price) == (ref, ref + 1, b"S", 400, b"AAPL    ", 3_000_100)
    assert replaced[52:66] == f"C{ref + 1:013}".encode()
    maker.send(cancel(ref + 1, 150))
    assert struct.unpack("!IIc", maker.report("C")[9:]) == (ref + 1, 350, b"U")
    maker.send(cancel(ref + 1))
    assert struct.unpack("!I", maker.report("C")[13:17]) == (50,)
    maker.send(replace(ref + 1, ref + 2, 10, 3_000_000))
    assert struct.unpack("!IH", maker.report("J")[9:15]) == (ref + 2, 0x0015)  # no longer live


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"price": 0}, 0x1D),
        ({"price": 1_999_999_901}, 0x1D),
        ({"price": 150, "symbol": "MSFT"}, 0x1D),  # off its tick of 100
        ({"quantity": 0}, 0x13),
        ({"quantity": 1_000_000}, 0x13),
        ({"symbol": "NOPE"}, 0x17),
        ({"side": "?"}, 0x09),
        ({"tif": "6"}, 0x0F),
        ({"appendage": b"\x05\x03\x00\x00\x00\x09"}, 0x0D),  # MinQty above the order's quantity
        ({"appendage": b"\x05\x02XXXX"}, 0x0C),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else hex(value),
)
def test_what_is_not_carried_is_rejected_in_sequence(
    pair: tuple[Client, Client, int], change: dict[str, object], code: int
) -> None:
    """A reject is a report like any other: it has a number, and it is there again after a new login."""
    maker, _, ref = pair
    order: dict[str, object] = {"side": "B", "quantity": 1, "price": 100, **change}
    maker.send(enter(ref, **order))  # type: ignore[arg-type]
    rejected = maker.report("J")
    assert struct.unpack("!IH14s", rejected[9:]) == (ref, code, f"C{ref:013}".encode())
    assert maker.next_user_ref() == ref + 1


def test_repeated_and_lower_user_refs_are_ignored(engine: Engine, pair: tuple[Client, Client, int]) -> None:
    """OUCH 5.0, 1.2: a repeated UserRefNum is a retransmission. It is not journaled, and nothing answers."""
    maker, _, ref = pair
    maker.send(enter(ref + 5, "B", 1, 100))
    maker.report("A")
    before = engine.admin("status")
    for repeat in (ref + 5, ref + 4, ref, 0):
        maker.send(enter(repeat, "S", 7, 200))
    maker.send(replace(ref + 5, ref + 5, 3, 100))
    assert maker.next_user_ref() == ref + 6
    after = engine.admin("status")
    assert after["repeats_ignored"] - before["repeats_ignored"] == 5
    assert (after["seq"], after["released_events"]) == (before["seq"], before["released_events"])
    maker.send(cancel(ref + 5) * 2 + cancel(ref + 4711))  # superfluous cancels are ignored, too
    maker.report("C")
    assert maker.next_user_ref() == ref + 6
    assert len(maker.sequenced) == 2


def test_heartbeats_and_a_session_without_orders(engine: Engine) -> None:
    """Both sides only heartbeat, for longer than the patience of the engine."""
    client = engine.login("OTHER1", sequence=0)
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    heartbeats = 0
    while time.monotonic() < deadline:
        assert client.packet() == b"H"
        heartbeats += 1
        client.send(packet(b"R"))
    assert PATIENCE_SECONDS / HEARTBEAT_SECONDS < heartbeats < 2.2 * PATIENCE_SECONDS / HEARTBEAT_SECONDS
    client.close()
    wait_until_disconnected(engine, "OTHER1")


def test_a_second_login_is_refused(engine: Engine) -> None:
    """One connection to a session; the first one keeps it."""
    before = engine.disconnects("session_in_use", 0)
    first = engine.login("OTHER1", sequence=0)
    second = Client(engine.port)
    assert second.login("OTHER1") == b"JS"
    assert second.packet() == b""
    assert first.next_user_ref() >= 1
    first.close()
    wait_until_disconnected(engine, "OTHER1")
    assert engine.disconnects("session_in_use", before + 1) == before + 1


def test_logins_that_name_what_does_not_exist(engine: Engine) -> None:
    """Another session's name, and a number that was never sent, are refused as not available."""
    before = engine.disconnects("session_unknown", 0)
    for arguments in ({"session": "1999010100"}, {"sequence": 4_000_000_000}, {"sequence": 2**64 - 1}):
        assert Client(engine.port).login("LATE1", **arguments) == b"JS"
    named = Client(engine.port)
    session = engine.login("LATE1")
    session.close()
    wait_until_disconnected(engine, "LATE1")
    assert named.login("late1", session=session.session)[:1] == b"A"  # by its right name, user in lower case
    named.close()
    wait_until_disconnected(engine, "LATE1")
    assert engine.disconnects("session_unknown", before + 3) == before + 3


BEFORE_LOGIN = {
    "login_expected": [packet(b"U", b"Q"), packet(b"R"), packet(b"+", b"hello")],
    "login_malformed": [packet(b"L"), packet(b"L", b"x" * 45), login_request("MAKER1", sequence="abc")],
    "login_too_long": [b"\x00\x60L" + b"x" * 80],
    "packet_size": [b"\x00\x00", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"],
}


@pytest.mark.parametrize(("reason", "data"), [(r, d) for r, all_ in BEFORE_LOGIN.items() for d in all_])
def test_garbage_before_login(engine: Engine, watch: Watch, reason: str, data: bytes) -> None:
    """The connection ends, for a counted reason, and nobody else notices."""
    before = engine.disconnects(reason, 0)
    client = Client(engine.port)
    client.send(data)
    assert client.packet() == b""
    assert engine.disconnects(reason, before + 1) == before + 1


AFTER_LOGIN = {
    "packet_size": [b"\x00\x00", b"\x02\x02U", b"\xff\xff"],
    "packet_type": [packet(b"S", b"x"), packet(b"Z"), packet(b"\x00"), login_request("OTHER1")],
    "message_type": [packet(b"U", b"d" + bytes(8)), packet(b"U", b"\xff")],
    "message_malformed": [
        packet(b"U"),
        packet(b"U", b"O"),
        packet(b"U", b"X\x00\x00\x00\x01"),
        packet(b"U", b"Q!"),
        enter(1, "B", 1, 1)[:-2] + b"\x00\x09",
        enter(1, "B", 1, 1, appendage=b"\x00\x03"),
        packet(b"U", b"O" * 512),
    ],
}


@pytest.mark.parametrize(("reason", "data"), [(r, d) for r, all_ in AFTER_LOGIN.items() for d in all_])
def test_garbage_after_login(engine: Engine, watch: Watch, reason: str, data: bytes) -> None:
    """As before login; the session can be used again at once."""
    before = engine.disconnects(reason, 0)
    client = engine.login("OTHER1", sequence=0)
    client.send(data)
    assert list(client.packets()) == []
    assert engine.disconnects(reason, before + 1) == before + 1
    again = engine.login("OTHER1", sequence=0)
    again.close()
    wait_until_disconnected(engine, "OTHER1")


def test_half_a_message_and_one_byte_at_a_time(engine: Engine, watch: Watch) -> None:
    """TCP may cut anywhere: a message in single bytes is served, half of one and no more is not."""
    client = engine.login("OTHER1", sequence=0)
    ref = client.next_user_ref()
    for byte in enter(ref, "B", 1, 100) + cancel(ref):
        client.send(bytes([byte]))
    client.report("A")
    client.report("C")
    seq = engine.admin("status")["seq"]
    client.send(enter(ref + 1, "B", 1, 100)[:30])
    client.close()
    wait_until_disconnected(engine, "OTHER1")
    status = engine.admin("status")
    # The one order of the healthy session at most; the half one is nowhere.
    assert status["seq"] == seq
    assert {s["username"]: s["next_user_ref"] for s in status["sessions"]}["OTHER1"] == ref + 1


def test_silence_before_and_after_login(engine: Engine, watch: Watch) -> None:
    """Who does not log in within the time, and who is silent for 15 heartbeats, is disconnected."""
    before, idle = engine.disconnects("login_timeout", 0), engine.disconnects("idle", 0)
    silent, quiet = Client(engine.port), engine.login("OTHER1", sequence=0)
    started = time.monotonic()
    assert silent.packet() == b""
    assert LOGIN_SECONDS * 0.8 < time.monotonic() - started < LOGIN_SECONDS * 2.5
    assert engine.disconnects("login_timeout", before + 1) == before + 1
    while quiet.packet():
        assert time.monotonic() - started < PATIENCE_SECONDS * 3, "a silent client is never disconnected"
        watch.client.send(packet(b"R"))
    assert PATIENCE_SECONDS * 0.8 < time.monotonic() - started < PATIENCE_SECONDS * 3
    assert engine.disconnects("idle", idle + 1) == idle + 1


def test_more_connections_than_places(engine: Engine) -> None:
    """Strangers make room for each other and for members; where all have logged in, one more is closed at once."""
    full, timeout = engine.disconnects("connections_full", 0), engine.disconnects("login_timeout", 0)
    started = time.monotonic()
    strangers = [Client(engine.port) for _ in range(8)]
    members = [engine.login(name, sequence=0) for name in USERNAMES]
    if time.monotonic() - started < LOGIN_SECONDS:
        assert strangers[0].packet() == b""  # the one that had waited longest
    ended = engine.disconnects("connections_full", full + 1) + engine.disconnects("login_timeout", 0)
    assert ended - full - timeout >= 8
    before = engine.disconnects("connections_full", 0)
    late = Client(engine.port)
    assert late.packet() == b""
    assert engine.disconnects("connections_full", before + 1) == before + 1
    for member in members:
        assert member.next_user_ref() >= 1
    for name, member in zip(USERNAMES, members, strict=True):
        member.close()
        wait_until_disconnected(engine, name)


def test_a_client_that_does_not_read_is_disconnected(engine: Engine, watch: Watch) -> None:
    """It fills its socket and its one output buffer; after 15 heartbeats without a byte taken it is out."""
    before = engine.disconnects("slow", 0)
    feeder = engine.login("SLOW1", sequence=0)
    ref = feeder.next_user_ref()
    count = 100_000
    for start in range(ref, ref + count, 1000):
        feeder.send(b"".join(enter(i, "B", 1, 100, symbol="NOPE") for i in range(start, start + 1000)))
        while len(feeder.sequenced) < start - ref:
            assert feeder.packet()
        watch.client.send(packet(b"R"))
    feeder.wait_for(count)
    feeder.close()
    watch.trades_on()
    wait_until_disconnected(engine, "SLOW1")
    slow = Client(engine.port)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.send(login_request("SLOW1", sequence=feeder.first))
    started = time.monotonic()
    while time.monotonic() - started < PATIENCE_SECONDS * 4 and engine.disconnects("slow", 0) == before:
        slow.send(packet(b"R"))
        watch.trades_on()
        time.sleep(0.05)
    assert engine.disconnects("slow", before + 1) == before + 1
    # Nothing is lost for it: it comes again and gets the whole stream.
    again = engine.login("SLOW1", sequence=feeder.first)
    assert again.wait_for(count) == feeder.sequenced
    again.close()
    watch.client.send(packet(b"R"))
    wait_until_disconnected(engine, "SLOW1")


def test_a_flood_without_reading_is_held_back_not_lost(engine: Engine) -> None:
    """100,000 orders in one go: the ring and the buffers fill, the socket waits, every order is answered in order."""
    client = engine.login("OTHER1", sequence=0)
    client.socket.settimeout(30)
    ref = client.next_user_ref()
    count = 100_000
    data = b"".join(enter(i, "B" if i % 2 else "S", 1, 5_000_000, tif="3") for i in range(ref, ref + count))
    client.socket.setblocking(False)
    sent = 0
    deadline = time.monotonic() + 60
    while sent < len(data) and time.monotonic() < deadline:
        try:
            sent += client.socket.send(data[sent : sent + 262144])
        except BlockingIOError:
            client.socket.setblocking(True)
            client.socket.settimeout(30)
            client.packet()
            client.socket.setblocking(False)
    client.socket.settimeout(30)
    reports = client.wait_for(2 * count)  # Accepted and Canceled each
    accepted = [struct.unpack("!I", report[9:13])[0] for report in reports if report[:1] == b"A"]
    assert accepted == list(range(ref, ref + count))
    client.send(ACCOUNT_QUERY)
    client.close()
    wait_until_disconnected(engine, "OTHER1")
