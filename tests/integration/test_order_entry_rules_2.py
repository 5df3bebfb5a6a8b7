# SPDX-License-Identifier: GPL-3.0-or-later
"""What OUCH 5.0 carries of rules 2.

Icebergs, hidden orders, minimum quantity, post-only, a time to live, crosses, Mass Cancel: written to the bytes of the
specification, with the raw client of engine_process.py.
"""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from integration.engine_process import Client, Engine, cancel, packet, same_after_a_kill, slow_journal
from ironbook import core
from ironbook.core.records import Command, CommandType, Event, EventType, Reason
from ironbook.protocols.commands import CommandStream

pytestmark = pytest.mark.integration


def order(  # noqa: PLR0913, PLR0917  (an order has this many fields)
    ref: int,
    side: str,
    quantity: int,
    price: int,
    tif: str = "0",
    display: str = "Y",
    cross: str = "N",
    options: dict[int, bytes] | None = None,
) -> bytes:
    """OUCH 5.0, section 2.1, with options by tag."""
    tail = b"".join(bytes([len(value) + 1, tag]) + value for tag, value in (options or {}).items())
    letters = f"{tif}{display}PN{cross}".encode()
    fixed = (b"O", ref, side.encode(), quantity, b"AAPL    ", price, letters, b"C".ljust(14), len(tail))
    return packet(b"U", struct.pack("!cIcI8sQ5s14sH", *fixed) + tail)


def number(value: int) -> bytes:
    """Of an option with four bytes."""
    return struct.pack("!I", value)


def code(report: bytes) -> int:
    """Of a Rejected message."""
    return int(struct.unpack("!H", report[13:15])[0])


def fill(report: bytes) -> tuple[int, int, bytes]:
    """Quantity, price and liquidity flag of an Executed message."""
    return (*struct.unpack_from("!IQ", report, 13), report[25:26])


def both(engine: Engine) -> tuple[Client, Client]:
    """Maker and taker."""
    return engine.login("MAKER1"), engine.login("TAKER1")


def events(engine: Engine, kind: EventType) -> list[Event]:
    """What the journal leads to, of one type."""
    return [event for event in core.events(engine.journal) if event.type == kind]


def test_an_iceberg(engine: Engine) -> None:
    """MaxFloor: it shows 10 of 25, and each slice goes to the end of its price."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 25, 1_000_000, options={5: number(10)}) + order(2, "S", 10, 1_000_000))
    maker.report("A")
    maker.report("A")
    taker.send(order(1, "B", 15, 1_000_000))
    assert [struct.unpack_from("!I", maker.report("E"), 9)[0] for _ in range(2)] == [1, 2]
    assert [(e.displayed or e.remaining) for e in events(engine, EventType.RESTED)] == [10, 10]
    assert [(e.displayed, e.remaining) for e in events(engine, EventType.REFRESHED)] == [(10, 15)]
    same_after_a_kill(engine)


def test_a_hidden_order_stands_behind_the_visible_ones(engine: Engine) -> None:
    """Display N: echoed, passed over by time, and told as non-displayed liquidity."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000, display="N") + order(2, "S", 10, 1_000_000))
    assert maker.report("A")[35:36] == b"N"
    maker.report("A")
    taker.send(order(1, "B", 20, 1_000_000))
    first, second = maker.report("E"), maker.report("E")
    assert [struct.unpack_from("!I", report, 9)[0] for report in (first, second)] == [2, 1]
    assert [fill(report)[2] for report in (first, second)] == [b"A", b"J"]
    same_after_a_kill(engine)


def test_post_only_is_rejected_rather_than_take(engine: Engine) -> None:
    """And rests where it would not."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000))
    maker.report("A")
    taker.send(order(1, "B", 10, 1_000_000, options={12: b"P"}) + order(2, "B", 10, 999_999, options={12: b"P"}))
    assert code(taker.report("J")) == 0x000F
    taker.report("A")
    assert engine.admin("totals")["trades"] == 0
    same_after_a_kill(engine)


def test_a_minimum_quantity(engine: Engine) -> None:
    """All of it at once on arrival, or nothing."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000))
    maker.report("A")
    taker.send(order(1, "B", 20, 1_000_000, tif="3", options={3: number(11)}))
    taker.report("A")
    assert taker.report("C")[13:] == number(20) + b"I"
    taker.send(order(2, "B", 20, 1_000_000, tif="3", options={3: number(10)}))
    assert fill(taker.report("E")) == (10, 1_000_000, b"R")
    taker.send(order(3, "B", 5, 1_000_000, options={3: number(6)}))
    assert code(taker.report("J")) == 0x000D
    same_after_a_kill(engine)


def test_a_time_to_live(engine: Engine) -> None:
    """GTT with ExpireTime: cancelled on time, over a kill too; without one, or too long, no order."""
    maker, _ = both(engine)
    maker.send(order(1, "S", 10, 1_000_000, tif="6", options={15: number(2)}) + order(2, "S", 1, 1_000_000, tif="6"))
    began = time.monotonic()
    assert maker.report("A")[34:35] == b"6"
    assert code(maker.report("J")) == 0x000F
    engine.kill()
    engine.start()
    maker = engine.login("MAKER1", sequence=3)
    assert maker.report("C")[13:] == number(10) + b"T"
    assert time.monotonic() - began < 5
    (expired,) = events(engine, EventType.CANCELED)
    (accepted,) = events(engine, EventType.ACCEPTED)
    assert 1_990_000_000 <= expired.time_ns - accepted.time_ns < 3_500_000_000
    maker.send(order(3, "S", 1, 1_000_000, tif="6", options={15: number(86401)}))
    assert code(maker.report("J")) == 0x000F
    same_after_a_kill(engine)


def test_crosses(engine: Engine) -> None:
    """An order for the opening cross, one for the close; what the cross leaves over is cancelled."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000, cross="O"))
    assert code(maker.report("J")) == 0x0007  # its phase is over
    engine.admin("phase AAPL opening_auction")
    maker.send(order(2, "S", 10, 1_000_000, tif="3", cross="O"))
    assert maker.report("A")[34:35] == b"3"
    taker.send(order(1, "B", 4, 1_000_000))
    taker.report("A")
    engine.admin("phase AAPL continuous")
    assert fill(maker.report("E")) == (4, 1_000_000, b"O")
    assert maker.report("C")[13:] == number(6) + b"Z"
    assert fill(taker.report("E")) == (4, 1_000_000, b"A")
    maker.send(order(3, "S", 10, 1_000_000, cross="C"))
    maker.report("A")
    taker.send(order(2, "B", 10, 1_000_000))  # it waits for the close: nothing to trade with
    taker.report("A")
    engine.admin("phase AAPL closing_auction")
    engine.admin("phase AAPL closed")
    assert fill(maker.report("E")) == (10, 1_000_000, b"C")
    same_after_a_kill(engine)


def test_mass_cancel(engine: Engine) -> None:
    """One symbol, then all; an unknown symbol has no orders; another firm's are not ours."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000) + order(2, "S", 10, 1_000_100))
    taker.send(order(1, "B", 10, 100))
    taker.report("A")
    maker.wait_for(2)
    answers = []
    for symbol in (b"NOPE    ", b"AAPL    ", b"        "):
        maker.send(packet(b"U", b"C" + number(9) + b"MAKR" + symbol))
        answers.append(next(found for found in maker.packets() if found[:1] == b"U"))
    assert [answer[10:] for answer in answers] == [
        number(9) + b"MAKR" + symbol + b"\0\0" for symbol in (b"NOPE    ", b"AAPL    ", b"        ")
    ]
    assert {maker.wait_for(4)[2][17:18], maker.sequenced[3][17:18]} == {b"U"}
    assert engine.admin("totals")["orders_open"] == 1
    maker.send(packet(b"U", b"C" + number(9) + b"TAKR" + b"AAPL    "))
    assert list(maker.packets()) == []
    assert engine.disconnects("message_malformed") == 1
    same_after_a_kill(engine)


def switch(kind: bytes, ref: int, firm: bytes = b"MAKR") -> bytes:
    """Disable (D) or Enable (E) Order Entry."""
    return packet(b"U", kind + number(ref) + firm + b"\0\0")


def answer(client: Client) -> bytes:
    """The next Unsequenced Data, without its timestamp."""
    found = next(found for found in client.packets() if found[:1] == b"U")
    return found[1:2] + found[10:]


def test_a_member_disables_its_own_order_entry(engine: Engine) -> None:
    """Its orders are rejected, whichever way they come, over a kill; its cancels work, and the others trade."""
    maker, taker = both(engine)
    maker.send(order(1, "S", 10, 1_000_000) + order(2, "S", 10, 1_000_100))
    maker.send(switch(b"D", 7) + order(3, "S", 10, 1_000_200))
    assert answer(maker) == b"G" + number(7) + b"MAKR\0\0"
    assert code(maker.wait_for(3)[2]) == 0x000C
    maker.send(cancel(2) + order(4, "S", 1, 1_000_000))
    maker.report("C")
    assert code(maker.report("J")) == 0x000C
    taker.send(order(1, "B", 5, 1_000_000))
    assert fill(taker.report("E"))[0] == 5
    assert [session["order_entry"] for session in engine.admin("status")["sessions"]] == [False, True]
    same_after_a_kill(engine)
    assert [session["order_entry"] for session in engine.admin("status")["sessions"]] == [False, True]
    with CommandStream(engine.run / "commands.sock", "MAKER1") as stream:
        stream.send(Command(0, 0, CommandType.ENTER, user_ref=5, side=2, quantity=1, price=1, order_type=1))
        assert [event.reason for event in stream.ask()[0]] == [Reason.RISK_KILLED]
    maker = engine.login("MAKER1", sequence=0)
    maker.send(order(6, "S", 1, 1_000_000))
    assert code(maker.report("J")) == 0x000C
    maker.send(switch(b"E", 8, b"    ") + order(7, "S", 1, 1_000_000))
    assert answer(maker) == b"K" + number(8) + b"MAKR\0\0"
    assert maker.wait_for(2)[1][:1] == b"A"
    same_after_a_kill(engine)
    assert [session["order_entry"] for session in engine.admin("status")["sessions"]] == [True, True]


def test_each_switch_is_answered_in_its_turn(engine: Engine) -> None:
    """Many at once, with orders between them: each order finds what was said last before it."""
    client = engine.login()
    data, wanted = b"", []
    for ref in range(1, 101):
        data += switch(b"DE"[ref % 2 : ref % 2 + 1], ref) + order(ref, "S", 1, 1_000_000)
        wanted.append(b"JA"[ref % 2 : ref % 2 + 1])
    client.send(data)
    answers = [answer(client) for _ in range(100)]
    assert answers == [b"GK"[ref % 2 : ref % 2 + 1] + number(ref) + b"MAKR\0\0" for ref in range(1, 101)]
    client.wait_for(100)
    assert [report[:1] for report in client.sequenced] == wanted
    client.send(switch(b"D", 101, b"TAKR"))
    assert list(client.packets()) == []
    assert engine.disconnects("message_malformed") == 1
    same_after_a_kill(engine)


def test_a_switch_is_not_answered_before_the_journal_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed as soon as it is answered, every time: at the next start order entry is as it was answered."""
    slow_journal(tmp_path, monkeypatch, 50_000)
    engine = Engine(tmp_path).start()
    try:
        for ref, kind in enumerate([b"D", b"E"] * 5, 1):
            client = engine.login(sequence=0)
            client.send(switch(kind, ref))
            assert answer(client)[:1] == (b"G" if kind == b"D" else b"K")
            engine.kill()
            engine.start()
            assert engine.admin("status")["sessions"][0]["order_entry"] == (kind == b"E")
    finally:
        engine.kill()


def test_a_mass_cancel_is_not_answered_before_the_journal_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed as soon as it is answered, every time: at the next start no order stands."""
    slow_journal(tmp_path, monkeypatch, 50_000)
    engine = Engine(tmp_path).start()
    try:
        for ref in range(1, 6):
            client = engine.login(sequence=0)
            client.send(order(ref, "S", 10, 1_000_000))
            client.report("A")
            client.send(packet(b"U", b"C" + number(ref) + b"MAKR" + b" " * 8))
            assert answer(client) == b"X" + number(ref) + b"MAKR" + b" " * 8 + b"\0\0"
            engine.kill()
            engine.start()
            assert engine.admin("totals")["orders_open"] == 0
    finally:
        engine.kill()


def test_the_answer_to_a_mass_cancel_goes_before_what_it_cancels(engine: Engine) -> None:
    """One Canceled for each order behind it, also where many are sent at once; a symbol that is not traded has none."""
    client = engine.login()
    unknown = packet(b"U", b"C" + number(7) + b"MAKR" + b"NOPE    ")
    everything = packet(b"U", b"C" + number(8) + b"MAKR" + b" " * 8)
    client.send(b"".join(order(ref, "S", 10, 1_000_000) + unknown + everything for ref in range(1, 101)))
    kinds = b""
    while len(kinds) < 400:
        kinds += next(client.packets())[1:2]
    assert kinds == b"AXXC" * 100


def test_rules_1_carry_none_of_it(tmp_path: Path) -> None:
    """Each is rejected as before; a Mass Cancel ends the connection."""
    engine = Engine(tmp_path, rules=1).start()
    try:
        client = engine.login()
        for ref, (options, fields, expected) in enumerate(
            [
                ({3: number(1)}, {}, 0x000D),
                ({5: number(5)}, {}, 0x0004),
                ({12: b"P"}, {}, 0x000F),
                ({15: number(9)}, {"tif": "6"}, 0x000F),
                ({}, {"display": "N"}, 0x0003),
                ({}, {"cross": "O"}, 0x0014),
            ],
            1,
        ):
            client.send(order(ref, "B", 10, 100, options=options, **fields))
            assert code(client.report("J")) == expected
        client.send(order(7, "B", 10, 100) + cancel(7))
        client.report("C")
        client.send(packet(b"U", b"C" + number(9) + b"MAKRAAPL    "))
        assert list(client.packets()) == []
        assert engine.disconnects("message_type") == 1
    finally:
        engine.kill()
