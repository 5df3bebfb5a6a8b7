# SPDX-License-Identifier: GPL-3.0-or-later
"""Modify Order of OUCH 5.0: another mark of a sale, a smaller size, or both, in the real engine process, over kills."""

from __future__ import annotations

import signal
import struct
from pathlib import Path

import pytest
from integration.engine_process import Client, Engine, cancel, enter, packet, replace, same_after_a_kill
from ironbook import core
from ironbook.core.records import CommandType, EventType

pytestmark = pytest.mark.integration

PRICE = 1_000_000


def modify(ref: int, side: bytes, quantity: int, tail: bytes = b"") -> bytes:
    """A Modify Order by the specification: UserRefNum, Side, Quantity."""
    return packet(b"U", struct.pack("!cIcI", b"M", ref, side, quantity) + tail)


def modified(client: Client) -> tuple[int, bytes, int]:
    """UserRefNum, Side and Quantity of the next report, an Order Modified of 18 bytes."""
    report = client.report("M")
    assert len(report) == 18
    return struct.unpack("!IcI", report[9:])


def both(engine: Engine) -> tuple[Client, Client]:
    """Maker and taker."""
    return engine.login("MAKER1"), engine.login("TAKER1")


def test_each_mark_of_a_sale_becomes_each_other(engine: Engine) -> None:
    """Every later report of the order echoes the last one; after a kill all of it is told again."""
    maker, taker = both(engine)
    maker.send(enter(1, "S", 100, PRICE))
    assert maker.report("A")[13:14] == b"S"
    marks = (b"T", b"E", b"S", b"E", b"T")
    for mark in marks:
        maker.send(modify(1, mark, 100))
        assert modified(maker) == (1, mark, 100)
    taker.send(enter(1, "B", 30, PRICE))
    maker.report("E")
    maker.send(modify(1, b"E", 90))  # 30 of the 90 are executed
    assert modified(maker) == (1, b"E", 60)
    maker.send(replace(1, 2, 80, PRICE + 100))
    assert maker.report("U")[17:18] == b"E"
    taker.send(enter(2, "B", 50, PRICE + 100))
    maker.report("E")
    kinds = [report[:1] for report in maker.sequenced]
    assert kinds == [b"A", *[b"M"] * 5, b"E", b"M", b"U", b"E"]
    same_after_a_kill(engine)
    again = engine.login("MAKER1", sequence=2)
    assert [modified(again) for _ in marks] == [(1, mark, 100) for mark in marks]
    told = [event.client_data[14:15] for event in core.events(engine.journal) if event.type == EventType.REPLACED]
    assert told == [b"E"]


def test_it_keeps_its_place_in_the_queue(engine: Engine) -> None:
    """Smaller and marked anew it still trades before the one behind it; an iceberg, a buy and a halted venue, too."""
    maker, taker = both(engine)
    maker.send(enter(1, "S", 50, PRICE) + enter(2, "S", 50, PRICE) + enter(3, "B", 50, PRICE - 100))
    for _ in range(3):
        maker.report("A")
    engine.admin("halt")
    maker.send(modify(1, b"T", 20) + modify(3, b"B", 40))
    assert [modified(maker), modified(maker)] == [(1, b"T", 20), (3, b"B", 40)]
    engine.admin("resume")
    taker.send(enter(1, "B", 30, PRICE))
    fills = [struct.unpack("!II", maker.report("E")[9:17]) for _ in range(2)]
    assert fills == [(1, 20), (2, 10)]
    maker.send(modify(2, b"T", 10))  # what is executed: nothing stays open
    assert maker.report("C")[9:] == struct.pack("!IIc", 2, 40, b"U")
    same_after_a_kill(engine)


def test_an_invalid_change_is_ignored(engine: Engine) -> None:
    """A buy never becomes a sale, a sale no buy; no growth; nobody else's order; what is so already."""
    maker, taker = both(engine)
    maker.send(enter(1, "S", 50, PRICE) + enter(2, "B", 50, PRICE - 100) + enter(3, "S", 50, PRICE) + cancel(3))
    for _ in range(3):
        maker.report("A")
    maker.report("C")
    taker.send(modify(1, b"T", 20) + modify(2, b"B", 20))
    maker.send(
        modify(1, b"B", 20)
        + modify(2, b"S", 20)
        + modify(1, b"T", 51)
        + modify(1, b"S", 50)
        + modify(1, b"T", 0xFFFFFFFF)
        + modify(3, b"T", 20)
        + modify(4711, b"T", 20)
    )
    before = [event.seq for event in core.events(engine.journal)]
    assert (maker.next_user_ref(), taker.next_user_ref()) == (4, 1)
    assert [event.seq for event in core.events(engine.journal)] == before
    maker.send(modify(1, b"T", 50, b"\0\0"))  # the empty appendage of the later revision
    assert modified(maker) == (1, b"T", 50)
    maker.send(modify(1, b"X", 40))
    assert next(maker.packets()).startswith(b"+Modify Order was ignored: its Side is none of")
    assert engine.admin("status")["modify_ignored"] == 1
    assert maker.next_user_ref() == 4
    same_after_a_kill(engine)
    maker = engine.login("MAKER1", sequence=0)
    maker.send(modify(1, b"T", 40, b"\0\1"))
    assert list(maker.packets()) == []
    assert engine.disconnects("message_malformed") == 1


def test_who_has_disabled_order_entry_can_still_modify(engine: Engine) -> None:
    """It only ever makes an order smaller."""
    maker, _ = both(engine)
    maker.send(enter(1, "S", 50, PRICE))
    maker.report("A")
    maker.send(packet(b"U", struct.pack("!cI4s", b"D", 7, b"MAKR")) + enter(2, "S", 1, PRICE) + modify(1, b"T", 40))
    maker.report("J")
    assert modified(maker) == (1, b"T", 40)
    same_after_a_kill(engine)


def test_a_journal_of_rules_2_goes_on_until_the_configuration_asks(tmp_path: Path) -> None:
    """Ignored aloud until then; from the RULES record on an order of before is modified, too."""
    engine = Engine(tmp_path, rules=2).start()
    try:
        maker = engine.login("MAKER1")
        maker.send(enter(1, "S", 50, PRICE))
        maker.report("A")
        for rules in (2, 0):  # 0: the journal goes on under its own
            maker.send(modify(1, b"T", 40))
            assert next(maker.packets()).startswith(b"+Modify Order is not carried")
            assert engine.admin("status")["modify_ignored"] == 1
            engine.kill(signal.SIGTERM)
            engine.config["rules"] = 0 if rules == 2 else 3
            engine.start()
            maker = engine.login("MAKER1", sequence=0)
        maker.send(modify(1, b"T", 40))
        assert modified(maker) == (1, b"T", 40)
        switches = [c.value for c in core.journal_dump(engine.journal, 0) if c.type == CommandType.RULES]
        assert switches == [2, 3]
        same_after_a_kill(engine)
        engine.kill()
        engine.config["rules"] = 2
        assert "the journal goes by rules 3 and the configuration asks for 2: rules never go back" in engine.refused()
    finally:
        engine.kill()
