# SPDX-License-Identifier: GPL-3.0-or-later
"""The command stream and `ironbook client`: what OUCH lacks, in the real engine process, over kills."""

from __future__ import annotations

import json
import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from integration.engine_process import Engine, enter, environment, same_after_a_kill
from ironbook import core
from ironbook.core.records import (
    Command,
    CommandType,
    EventType,
    OrderFlag,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from ironbook.protocols.commands import CommandStream, CommandStreamError

pytestmark = pytest.mark.integration


def stream(engine: Engine, session: str = "MAKER1", after: int = 0xFFFFFFFF) -> CommandStream:
    """A connection."""
    return CommandStream(engine.run / "commands.sock", session, after)


def order(ref: int, side: Side, quantity: int, price: int, **fields: Any) -> Command:
    """A limit order for the day in AAPL, or what the fields say."""
    values = {"instrument": 0, "order_type": OrderType.LIMIT, "time_in_force": TimeInForce.DAY, **fields}
    return Command(0, 0, CommandType.ENTER, user_ref=ref, side=side, quantity=quantity, price=price, **values)


def told(connection: CommandStream) -> list[tuple[EventType, int, int, Reason]]:
    """All reports until now: type, number of the order, quantity, reason."""
    return [(EventType(e.type), e.user_ref, e.quantity, Reason(e.reason)) for e in connection.ask()[0]]


def test_a_stop_is_released(engine: Engine) -> None:
    """It waits, over a kill too, for a trade at its price, and then takes what stands."""
    maker, taker = stream(engine), stream(engine, "TAKER1")
    maker.send(order(1, Side.SELL, 5, 100), order(2, Side.SELL, 5, 110))
    taker.send(order(1, Side.BUY, 5, 0, order_type=OrderType.STOP, stop_price=100))
    assert told(taker) == [(EventType.ACCEPTED, 1, 5, Reason.NONE)]
    maker.close()
    taker.close()
    same_after_a_kill(engine)
    taker = stream(engine, "TAKER1")
    assert taker.next_user_ref == 2
    taker.send(order(2, Side.BUY, 5, 100))
    assert told(taker) == [
        (EventType.ACCEPTED, 2, 5, Reason.NONE),
        (EventType.EXECUTED, 2, 5, Reason.NONE),
        (EventType.EXECUTED, 1, 5, Reason.NONE),
    ]
    assert [e.price for e in core.events(engine.journal) if e.type == EventType.EXECUTED] == [100, 100, 110, 110]
    same_after_a_kill(engine)


def test_gtd_expires_on_time(engine: Engine) -> None:
    """At its nanosecond or a tick later, never before."""
    maker = stream(engine)
    expires = time.time_ns() + 1_000_000_000
    maker.send(order(1, Side.SELL, 5, 100, time_in_force=TimeInForce.GTD, expire_time_ns=expires))
    assert [maker.event().type for _ in range(2)] == [EventType.ACCEPTED, EventType.CANCELED]
    (canceled,) = [e for e in core.events(engine.journal) if e.type == EventType.CANCELED]
    assert canceled.reason == Reason.EXPIRED
    assert 0 <= canceled.time_ns - expires < 500_000_000
    maker.send(order(2, Side.SELL, 5, 100, time_in_force=TimeInForce.GTD, expire_time_ns=1))
    assert told(maker) == [(EventType.REJECTED, 2, 5, Reason.TIME_IN_FORCE_INVALID)]
    same_after_a_kill(engine)


def test_fill_or_kill_self_trade_prevention_and_flags(engine: Engine) -> None:
    """All or nothing; the newer of two orders of one account goes; hidden, post-only, iceberg."""
    maker = stream(engine)
    maker.send(
        order(1, Side.SELL, 5, 100, flags=OrderFlag.HIDDEN),
        order(2, Side.BUY, 6, 100, time_in_force=TimeInForce.FOK),
        order(3, Side.BUY, 5, 100, self_trade=SelfTrade.CANCEL_NEWEST),
        order(4, Side.BUY, 5, 100, flags=OrderFlag.POST_ONLY),
        order(5, Side.BUY, 50, 99, displayed=10, time_in_force=TimeInForce.GTC),
        Command(0, 0, CommandType.REPLACE, user_ref=6, user_ref_original=5, quantity=40, price=99,
                order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC, displayed=10),
        Command(0, 0, CommandType.CANCEL, user_ref=6, quantity=30),
        Command(0, 0, CommandType.CANCEL, user_ref=77),
        Command(0, 0, CommandType.MASS_CANCEL, instrument=0, side=Side.SELL),
    )  # fmt: skip
    assert told(maker) == [
        (EventType.ACCEPTED, 1, 5, Reason.NONE),
        (EventType.ACCEPTED, 2, 6, Reason.NONE),
        (EventType.CANCELED, 2, 6, Reason.FILL_OR_KILL),
        (EventType.ACCEPTED, 3, 5, Reason.NONE),
        (EventType.CANCELED, 3, 5, Reason.SELF_TRADE),
        (EventType.REJECTED, 4, 5, Reason.POST_ONLY),
        (EventType.ACCEPTED, 5, 50, Reason.NONE),
        (EventType.REPLACED, 6, 40, Reason.NONE),
        (EventType.CANCELED, 6, 10, Reason.USER),
        (EventType.CANCELED, 1, 5, Reason.MASS_CANCEL),
    ]
    same_after_a_kill(engine)


def test_one_session_two_ways_in(engine: Engine) -> None:
    """One connection at a time; numbers and reports go on whichever way; a repeated number is ignored."""
    first = stream(engine)
    with pytest.raises(CommandStreamError, match="has a connection of MAKER1 already"):
        stream(engine)
    assert engine.admin("status")["sessions"][0]["connected"]
    first.send(order(1, Side.SELL, 5, 100), order(1, Side.SELL, 7, 100))
    assert told(first) == [(EventType.ACCEPTED, 1, 5, Reason.NONE)]
    first.close()
    client = engine.login("MAKER1", sequence=1)
    assert client.report("A")[9:18] == struct.pack("!IcI", 1, b"S", 5)
    assert client.next_user_ref() == 2
    client.send(enter(2, "S", 5, 101))
    client.report("A")
    with pytest.raises(CommandStreamError, match="already: one at a time"):
        stream(engine)
    client.close()
    deadline = time.monotonic() + 5
    while engine.admin("status")["sessions"][0]["connected"]:
        assert time.monotonic() < deadline
    engine.kill()
    engine.start()
    again = stream(engine, after=1)
    assert (again.session_seq, again.next_user_ref) == (2, 3)
    assert [event.user_ref for event in again.ask()[0]] == [2]
    for session, after, said in (("NOBODY", 0, "knows no session NOBODY"), ("TAKER1", 5, "never sent a report 5")):
        with pytest.raises(CommandStreamError, match=said):
            stream(engine, session, after)


def test_rules_1_serve_nothing(tmp_path: Path) -> None:
    """Fields that those rules do not know would be read as zero in silence."""
    engine = Engine(tmp_path, rules=1).start()
    try:
        with pytest.raises(CommandStreamError, match="set rules to 2"):
            stream(engine)
    finally:
        engine.kill()


def test_rules_2_serve_no_modify(tmp_path: Path) -> None:
    """The machine would ignore it in silence. All else is served."""
    engine = Engine(tmp_path, rules=2).start()
    try:
        maker = stream(engine)
        maker.send(order(1, Side.SELL, 5, 100))
        assert len(told(maker)) == 1
        maker.send(Command(0, 0, CommandType.MODIFY, user_ref=1, side=Side.SELL, quantity=4))
        with pytest.raises(CommandStreamError, match="its log says why"):
            maker.event()
        assert "set rules to 3 in the engine's configuration" in engine.log.read_text()
    finally:
        engine.kill()


def test_a_lost_connection_and_end_of_day(engine: Engine) -> None:
    """Cancel on disconnect holds here too; after End of Day the stream has its last report."""
    engine.kill()
    engine.config["sessions"][0]["cancel_on_disconnect"] = True
    engine.start()
    maker = stream(engine)
    maker.send(order(1, Side.SELL, 5, 100))
    assert len(told(maker)) == 1
    maker.close()
    deadline = time.monotonic() + 5
    while engine.admin("totals")["orders_open"]:
        assert time.monotonic() < deadline
    engine.admin("end_of_day")
    maker = stream(engine, after=0)
    kinds = [event.type for event in maker.ask()[0]]
    assert kinds == [EventType.ACCEPTED, EventType.CANCELED, EventType.END_OF_DAY]


HELLO = struct.pack("<8sII6sHII", b"IBCOMND1", 1, 0, b"MAKER1", 0, 0xFFFFFFFF, 0)


def raw(engine: Engine, data: bytes, seconds: float = 0.5) -> bytes:
    """Send bytes; what comes back until the engine closes or says no more."""
    found = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(str(engine.run / "commands.sock"))
        try:
            connection.sendall(data)
            while more := connection.recv(65536):
                found += more
        except (TimeoutError, ConnectionError):
            pass
    return found


@pytest.mark.parametrize(
    "bad",
    [
        Command(0, 0, CommandType.HALT),
        Command(0, 0, CommandType.KILL, value=1),
        Command(1, 0, CommandType.ENTER),
        Command(0, 1, CommandType.ENTER),
        Command(0, 0, CommandType.ENTER, session=1),
        Command(0, 0, CommandType.ENTER, account=1),
        Command(0, 0, CommandType.ENTER, reason=1),
        Command(0, 0, CommandType.CANCEL, value=1),
        Command(0, 0, CommandType.ENTER, phase=1),
        Command(0, 0, CommandType.ENTER, limit=1),
        Command(0, 0, CommandType.ENTER, client_data=b"x" * 15),
        Command(0, 0, CommandType.ENTER, side=Side.SELL, client_data=bytes(14) + b"B"),
        Command(0, 0, CommandType.ENTER, side=Side.SELL, client_data=bytes(15) + b"x"),
        Command(0, 0, CommandType.ENTER, side=Side.BUY, client_data=bytes(14) + b"T"),
        Command(0, 0, CommandType.REPLACE, client_data=bytes(14) + b"T"),
        Command(0, 0, CommandType.MODIFY, side=Side.SELL, client_data=b"x"),
        Command(0, 0, CommandType.MODIFY, side=Side.SELL, value=1),
        Command(0, 0, 999),
    ],
)
def test_a_command_that_is_not_the_clients_ends_the_connection(engine: Engine, bad: Command) -> None:
    """One line in the log; nothing is sequenced."""
    seq = engine.admin("totals")["seq"]
    with stream(engine) as connection:
        connection.send(bad)
        with pytest.raises(CommandStreamError, match="closed the connection"):
            connection.event()
    assert engine.admin("totals")["seq"] == seq
    assert engine.log.read_text().count("commands.sock: disconnected") == 1


def test_what_waits_behind_a_question_is_served_at_once(engine: Engine) -> None:
    """An order that is let in when the one before it is released, by nobody who would wake the engine for it.

    It is not left for the next tick of the engine's timer, a tenth of a second later.
    """
    maker = stream(engine)
    took = []
    for ref in range(1, 40, 2):
        begin = time.monotonic()
        maker.send(order(ref, Side.SELL, 5, 100), Command(0, 0, 0), order(ref + 1, Side.SELL, 5, 100))
        while maker.event().user_ref != ref + 1 or maker.event().type != EventType.ACCEPTED:
            pass
        took.append(time.monotonic() - begin)
    assert sorted(took)[len(took) // 2] < 0.05, took


def test_any_bytes(engine: Engine) -> None:
    """Greetings and records of chance, cut anywhere: the engine serves on, and its journal replays."""
    numbers = random.Random(7)
    for _ in range(60):
        raw(engine, numbers.randbytes(numbers.randrange(1, 400)), 0.02)
        raw(engine, HELLO + numbers.randbytes(numbers.randrange(1, 400)), 0.02)
    assert struct.unpack_from("<I", raw(engine, b"x" * 32), 12) == (1,)
    assert struct.unpack_from("<I", raw(engine, HELLO[:12] + b"\7\0\0\0" + HELLO[16:]), 12) == (2,)
    with stream(engine) as connection:
        fields = [0, 1, 2, 3, 4, 5, 7, 255]
        for ref in range(1, 3000):
            connection.send(
                Command(
                    0,
                    0,
                    numbers.choice([3, 3, 3, 4, 5, 15, 20]),
                    instrument=numbers.choice([0, 0, 1, 2, 2**32 - 1]),
                    user_ref=ref,
                    user_ref_original=max(0, ref - numbers.randrange(9)),
                    price=numbers.choice([100, 100, 101, 0, -1, 2**63 - 1]),
                    quantity=numbers.choice([5, 50, 0, 2**40, 2**64 - 1]),
                    side=numbers.choice([1, 2, 2, 0, 255]),
                    time_in_force=numbers.choice(fields),
                    order_type=numbers.choice([1, 1, 1, *fields]),
                    self_trade=numbers.choice(fields),
                    flags=numbers.choice([0, 0, 0, 1, 2, 3, 255]),
                    displayed=numbers.choice([0, 0, 5, 2**64 - 1]),
                    minimum=numbers.choice([0, 0, 5, 2**64 - 1]),
                    stop_price=numbers.choice([0, 100, -1]),
                    expire_time_ns=numbers.choice([0, 2**64 - 1]),
                )
            )
            if ref % 50 == 0:
                connection.ask()
    same_after_a_kill(engine)


def client(engine: Engine, *words: str) -> subprocess.CompletedProcess[str]:
    """`ironbook client`."""
    base = [sys.executable, "-m", "ironbook.cli", "client", "--socket", str(engine.run / "commands.sock")]
    return subprocess.run([*base, *words], check=False, capture_output=True, text=True, env=environment())


def test_the_command_line(engine: Engine) -> None:
    """Enter, replace, cancel, mass-cancel and watch; JSON; a reject is 2, a mistake one line and 1."""
    engine.admin("instrument_add ABCDEFGH tick=1")
    maker = ("--session", "MAKER1", "--json")
    done = client(
        engine, *maker, "enter", "sell", "AAPL", "50", "1000000", "--displayed", "10", "--client-data", "mine"
    )
    accepted = json.loads(done.stdout)
    assert (done.returncode, accepted["type"], accepted["user_ref"], accepted["client_data"]) == (
        0,
        "accepted",
        1,
        "mine",
    )
    done = client(engine, *maker, "replace", "1", "40", "1000000", "--displayed", "10")
    assert json.loads(done.stdout)["flags"] == ["resting", "priority_kept"]
    done = client(
        engine, "--session", "TAKER1", "enter", "buy", "AAPL", "5", "--type", "stop", "--stop-price", "1000000"
    )
    assert done.stdout.startswith("accepted session_seq=1 ")
    assert done.stdout.endswith(" stop_price=1000000\n")
    done = client(engine, *maker, "enter", "buy", "AAPL", "128", "1", "--displayed", "2", "--time-in-force", "ioc")
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["accepted", "canceled"]
    done = client(engine, *maker, "enter", "buy", "AAPL", "1", "1000000", "--post-only")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (2, "post_only")
    done = client(engine, *maker, "modify", "2", "sell-short", "35")
    modified = json.loads(done.stdout)
    assert (done.returncode, modified["type"], modified["side"], modified["client_data"]) == (
        0,
        "modified",
        "sell-short",
        "mine",
    )
    assert (modified["quantity"], modified["remaining"], modified["displayed"]) == (5, 35, 10)
    done = client(engine, *maker, "modify", "2", "buy", "30")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "ironbook: client: modify changed nothing\n")
    done = client(engine, *maker, "cancel", "2", "30")
    assert (done.returncode, json.loads(done.stdout)["quantity"], json.loads(done.stdout)["side"]) == (
        0,
        5,
        "sell-short",
    )
    done = client(engine, *maker, "cancel", "99")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "ironbook: client: cancel changed nothing\n")
    done = client(engine, *maker, "mass-cancel", "--symbol", "AAPL", "--side", "sell")
    assert json.loads(done.stdout)["reason"] == "mass_cancel"
    done = client(engine, *maker, "watch", "--after", "2", "--count", "3")
    assert [json.loads(line)["session_seq"] for line in done.stdout.splitlines()] == [3, 4, 5]
    done = client(engine, *maker, "enter", "sell-short-exempt", "AAPL", "1", "2000000", "--client-data", "exempt")
    accepted = json.loads(done.stdout)
    assert (accepted["side"], accepted["client_data"]) == ("sell-short-exempt", "exempt")
    assert client(engine, *maker, "cancel", str(accepted["user_ref"])).returncode == 0
    for words, said in {
        ("enter", "buy", "AAPL", "5"): "price is 0: give it a number from 1",
        ("enter", "buy", "AAPL", "0", "1"): "quantity is 0",
        ("enter", "buy", "NOPE", "5", "1"): "NOPE is not traded here",
        ("enter", "buy", "AAPL", "5", "1", "--type", "market"): "price is 1: a market order has none, leave it out",
        ("enter", "buy", "AAPL", "5", "1", "--stop-price", "1"): "--stop-price is 1: a limit order has none",
        ("enter", "buy", "AAPL", "5", "1", "--displayed", "6"): "--displayed is 6",
        ("enter", "buy", "AAPL", "129", "1", "--displayed", "2"): "at most 64 times, give it at least 3",
        ("enter", "buy", "AAPL", "5", "1", "--time-in-force", "gtd"): "give --expire-seconds",
        ("enter", "buy", "AAPL", "5", "1", "--expire-seconds", "5"): "is of gtd orders: give --time-in-force gtd, too",
        ("enter", "buy", "AAPL", "5", "1", "--user-ref", "1"): "--user-ref 1 is used up: the next free one is 6",
        ("enter", "buy", "AAPL", "5", "1", "--client-data", "x" * 15): "at most 14 ASCII characters",
        ("enter", "buy", "ABCDEFGHI", "5", "1"): "ABCDEFGHI is not traded here",
        ("enter", "buy", "AAPL", "5", "99.5"): "client enter: argument price: invalid int value: '99.5'",
        ("enter", "up", "AAPL", "5", "1"): "client enter: argument side: invalid choice: 'up'",
        ("enter", "buy"): "client enter: the following arguments are required: symbol, quantity",
        ("cancel", "0"): "user_ref is 0",
        ("modify", "1", "sell", "0"): "quantity is 0",
        ("modify", "1", "short", "5"): "client modify: argument side: invalid choice: 'short'",
        ("watch", "--after", "99"): "never sent a report 99",
    }.items():
        done = client(engine, *maker, *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert said in done.stderr
    for name in ("MAKER1X", "", "M\u00c4KER1"):  # never another session's, whose name it begins with
        done = client(engine, "--session", name, "enter", "buy", "AAPL", "5", "1")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert "is no session: it has 1 to 6 ASCII characters" in done.stderr
    engine.admin("instrument_remove ABCDEFGH")
    same_after_a_kill(engine)


def test_one_client_too_many_is_told(engine: Engine) -> None:
    """Sixteen have a session, the next is refused: its line says where the reason stands, not that no engine runs."""
    secret = engine.config["sessions"][0]["secret"]
    engine.config["sessions"] += [{"username": f"S{i}", "firm": "MAKR", "secret": secret} for i in range(16)]
    engine.kill()
    engine.start()
    connected = [stream(engine, f"S{i}") for i in range(16)]
    done = client(engine, "--session", "MAKER1", "cancel", "1")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "the engine closed the connection: its log says why" in done.stderr
    assert "commands.sock: refused a connection: all 16 places are in use" in engine.log.read_text()
    assert all(connection.ask()[0] == [] for connection in connected)
    connected.pop().close()
    with stream(engine) as late:
        late.ask()


def test_who_says_nothing_keeps_no_place(engine: Engine) -> None:
    """Thirty connections without a hello: each client gets in, one after the other, and those with a session stay."""
    first = stream(engine)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(30)]
    for connection in idle:
        connection.connect(str(engine.run / "commands.sock"))
    taker = stream(engine, "TAKER1")
    taker.send(order(1, Side.BUY, 1, 100))
    assert told(taker) == [(EventType.ACCEPTED, 1, 1, Reason.NONE)]
    assert first.ask()[0] == []
    assert "commands.sock: closed an idle connection" in engine.log.read_text()
    idle[0].settimeout(5)
    assert idle[0].recv(1) == b""  # the oldest of them
    idle[-1].setblocking(False)
    with pytest.raises(BlockingIOError):
        idle[-1].recv(1)
    for connection in idle:
        connection.close()
