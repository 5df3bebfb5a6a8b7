# SPDX-License-Identifier: GPL-3.0-or-later
"""The two Unix sockets of an engine: the event feed and the admin socket."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from integration.engine_process import Engine, cancel, enter
from ironbook import core

pytestmark = pytest.mark.integration

EVENT_SIZE = 128
EVENT_HEAD = struct.Struct("<QQIHH")  # seq, time_ns, index, type, session: ironbook.h


class Consumer:
    """A raw client of events.sock."""

    def __init__(self, engine: Engine, after: tuple[int, int] = (0, 0), hello: bytes | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(engine.run / "events.sock"))
        self.socket.sendall(hello if hello is not None else struct.pack("<8sIIQII", b"IBEVLOG1", 1, 0, *after, 0))
        answer = self._read(32)
        fields = struct.unpack("<8sIIIIII", answer) if answer else (b"",) * 7
        self.magic, self.version, self.status, self.shard, self.epoch, self.event_size, _ = fields

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return b""
            data += more
        return data

    def events(self, count: int) -> list[bytes]:
        """The next `count` events as they lie on the wire."""
        data = self._read(count * EVENT_SIZE)
        return [data[i : i + EVENT_SIZE] for i in range(0, len(data), EVENT_SIZE)]


def key(event: bytes) -> tuple[int, int]:
    """The identity of an event within its shard."""
    seq, _, index, _, _ = EVENT_HEAD.unpack_from(event)
    return seq, index


def trade(engine: Engine, count: int = 500) -> None:
    """Orders that rest and orders that take them."""
    maker, taker = engine.login("MAKER1", sequence=0), engine.login("TAKER1", sequence=0)
    first = maker.next_user_ref()
    maker.send(b"".join(enter(ref, "S", 10, 1_000_000 + ref % 7) for ref in range(first, first + count)))
    maker.next_user_ref()
    first = taker.next_user_ref()
    taker.send(b"".join(enter(ref, "B", 15, 1_000_003, tif="3") for ref in range(first, first + count // 2)))
    taker.next_user_ref()
    maker.close()
    taker.close()


def test_the_feed_is_the_journal_and_resumes_anywhere(engine: Engine) -> None:
    """Every event from the start; the same bytes after any (seq, index), also across a restart."""
    trade(engine)
    count = engine.admin("status")["released_events"]
    consumer = Consumer(engine)
    assert (consumer.magic, consumer.version, consumer.status) == (b"IBEVLOG1", 1, 0)
    assert (consumer.shard, consumer.epoch, consumer.event_size) == (0, 1, EVENT_SIZE)
    everything = consumer.events(count)
    assert len(set(map(key, everything))) == count
    assert sorted(everything, key=key) == everything
    replayed = [(event.seq, event.index) for event in core.events(str(engine.journal))]
    assert replayed == [key(event) for event in everything]

    for position in (0, 1, count // 3, count - 2):
        assert Consumer(engine, key(everything[position])).events(count - position - 1) == everything[position + 1 :]

    # Live, while the old consumer still listens; and slowly, after a kill.
    trade(engine, 20)
    more = engine.admin("status")["released_events"] - count
    live = consumer.events(more)
    engine.kill()
    engine.start()
    assert Consumer(engine).events(count + more) == everything + live
    assert Consumer(engine, key(everything[-1])).events(more) == live


def test_the_feed_refuses_what_it_cannot_serve(engine: Engine) -> None:
    """Another shard, another protocol, a position that this journal never reached: a status, then the end."""
    trade(engine, 10)
    seq = engine.admin("status")["seq"]
    good = (b"IBEVLOG1", 1, 0, 0, 0, 0)
    for place, value, status in ((0, b"IBEVLOG2", 1), (1, 2, 1), (2, 7, 6), (5, 1, 1), (3, seq + 1, 1)):
        fields = [*good[:place], value, *good[place + 1 :]]
        refused = Consumer(engine, hello=struct.pack("<8sIIQII", *fields))
        assert refused.status == status
        assert refused.events(1) == []
    talker = Consumer(engine)
    talker.socket.sendall(b"more")
    assert talker.socket.recv(1 << 20) is not None
    half = socket.socket(socket.AF_UNIX)
    half.connect(str(engine.run / "events.sock"))
    half.sendall(b"IBEV")
    half.close()
    assert Consumer(engine).status == 0


def test_a_consumer_that_does_not_read_blocks_nobody(engine: Engine) -> None:
    """It lags; orders and other consumers go on; later it reads all that it missed."""
    lazy = Consumer(engine)
    trade(engine, 20_000)
    count = engine.admin("status")["released_events"]
    assert count * EVENT_SIZE > 4 << 20  # more than any socket buffer
    quick = Consumer(engine).events(count)
    trade(engine, 10)
    assert lazy.events(count) == quick


def test_a_consumer_that_says_nothing_keeps_no_place(engine: Engine) -> None:
    """Of 32 places: those who follow the events keep theirs, those who never asked for any give way, oldest first."""
    engine.login().send(enter(1, "B", 1, 100))
    followers = [Consumer(engine) for _ in range(2)]
    idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    for connection in idle:
        connection.connect(str(engine.run / "events.sock"))
    followers += [Consumer(engine) for _ in range(30)]
    for follower in followers:
        assert (follower.status, follower.event_size) == (0, EVENT_SIZE)
        assert len(follower.events(2)) == 2
    with contextlib.suppress(ConnectionError):
        assert Consumer(engine).magic == b""
    assert "events.sock: refused a connection: all 32 places are in use" in engine.log.read_text()
    for connection in [*idle, *(follower.socket for follower in followers)]:
        connection.close()


def test_an_idle_administrator_keeps_no_place(engine: Engine) -> None:
    """Eight that have asked and stayed, one within a line: a ninth is served, and the oldest of them has gone."""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for connection in idle:
        connection.settimeout(5)
        connection.connect(str(engine.run / "admin.sock"))
        connection.sendall(b"totals\n")
        assert connection.recv(65536).endswith(b"\n")
    idle[0].sendall(b"totals\n")
    idle[0].recv(65536)
    idle[2].sendall(b"tot")
    for _ in range(3):
        assert engine.admin("totals")["state"] == "serving"
    assert idle[1].recv(1) == b""
    idle[0].sendall(b"totals\n")
    assert idle[0].recv(65536).endswith(b"\n")
    for connection in idle:
        connection.close()


def test_an_administrator_that_does_not_read_keeps_no_place(engine: Engine) -> None:
    """Eight that ask and never read their answers until these fill their sockets: a ninth is served."""
    stuck = [socket.socket(socket.AF_UNIX) for _ in range(8)]
    for connection in stuck:
        connection.setblocking(False)
        connection.connect(str(engine.run / "admin.sock"))
        with contextlib.suppress(BlockingIOError):
            for _ in range(20_000):
                connection.send(b"status\n")
    answer = {}
    deadline = time.monotonic() + 10
    while not answer and time.monotonic() < deadline:  # refused as long as all eight are being answered
        with contextlib.suppress(ConnectionError, AssertionError):
            answer = engine.admin("totals")
    assert answer["state"] == "serving"
    for connection in stuck:
        connection.close()


def test_sockets_are_private(engine: Engine) -> None:
    """Mode 0600 in a directory of mode 0700."""
    assert stat.S_IMODE(engine.run.stat().st_mode) == 0o700
    for name in ("admin.sock", "events.sock", "events.log"):
        assert stat.S_IMODE((engine.run / name).stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's process needs root to start")
def test_another_user_is_refused_even_where_modes_allow_it() -> None:
    """The uid of the peer is checked by the kernel's word, not only by the mode of the file."""
    directory = Path(tempfile.mkdtemp(prefix="ironbook-peer-"))
    engine = Engine(directory)
    try:
        engine.start()
        directory.chmod(0o755)
        engine.run.chmod(0o755)
        for name, send in (
            ("admin.sock", b"status\n"),
            ("events.sock", struct.pack("<8sIIQII", b"IBEVLOG1", 1, 0, 0, 0, 0)),
        ):
            (engine.run / name).chmod(0o666)
            script = (
                "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
                "try:\n"
                f"    s.sendall({send!r})\n"
                "    answer = s.recv(100)\n"
                "except (BrokenPipeError, ConnectionResetError):\n"
                "    answer = b''\n"
                "sys.exit(0 if answer == b'' else 1)\n"
            )
            subprocess.run([sys.executable, "-I", "-c", script, str(engine.run / name)], check=True, cwd="/")
        assert engine.log.read_text().count("refused a connection of user 65534") == 2
        assert engine.admin("status")["state"] == "serving"
    finally:
        engine.kill()
        shutil.rmtree(directory)


def test_admin_answers_one_line_to_one_line(engine: Engine) -> None:
    """Status and totals; several requests in one write; what is no request; a line without end."""
    status = engine.admin("status")
    keys = (
        "shard replica epoch state seq commit_seq released_events last_event trades quantity notional orders_open "
        "rejects state_hash sessions started_at pid"
    )
    assert set(keys.split()) <= set(status)
    assert engine.process is not None
    assert status["pid"] == engine.process.pid
    assert [session["username"] for session in status["sessions"]] == ["MAKER1", "TAKER1"]
    assert engine.admin("promote")["error"].startswith("unknown request")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(engine.run / "admin.sock"))
        connection.sendall(b"totals\nnonsense\nstatus\n")
        lines = connection.makefile("rb")
        assert [set(json.loads(lines.readline())) & {"trades", "error", "pid"} for _ in range(3)] == [
            {"trades"},
            {"error"},
            {"trades", "pid"},
        ]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(engine.run / "admin.sock"))
        connection.sendall(b"x" * 4096)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) == b""
    assert engine.admin("status")["state"] == "serving"


def test_halt_resume_and_end_of_day(engine: Engine) -> None:
    """Each is sequenced: it is in the journal, and a restart comes back to it."""
    client = engine.login()
    client.send(enter(1, "B", 10, 1_000_000))
    client.report("A")
    assert engine.admin("halt")["state"] == "halted"
    client.send(enter(2, "B", 10, 1_000_000))
    assert struct.unpack("!H", client.report("J")[13:15]) == (0x0007,)
    client.send(cancel(1, 4))
    client.report("C")
    engine.kill()
    engine.start()
    assert engine.admin("status")["state"] == "halted"
    assert engine.admin("resume")["state"] == "serving"
    client = engine.login(sequence=0)
    client.send(enter(3, "B", 10, 1_000_000))
    client.report("A")

    assert engine.admin("end_of_day")["state"] == "ended"
    assert [found[:2] for found in client.packets()] == [b"SS", b"Z"]
    assert client.sequenced[-1][9:] == b"E"
    # Whoever comes later gets the whole day, its end, and the end of the session.
    late = engine.login("MAKER1", sequence=1)
    kinds = [found[:2].decode() for found in late.packets()]
    assert kinds == ["SA", "SJ", "SC", "SA", "SS", "Z"]
    seq = engine.admin("status")["seq"]
    assert engine.admin("end_of_day")["seq"] == seq
    engine.kill()
    engine.start()
    assert engine.admin("status")["state"] == "ended"
    taker = engine.login("TAKER1", sequence=1)
    assert [found[:2] for found in taker.packets()] == [b"SS", b"Z"]
    assert engine.disconnects("end_of_session") == 1
