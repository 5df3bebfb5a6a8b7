# SPDX-License-Identifier: GPL-3.0-or-later
"""What one member may cost the others: mass cancels that have to walk the others' orders, as many as it can ask for."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.engine_process import PASSWORD, Client, Engine, enter, hash_of, packet
from ironbook import core
from ironbook.core.records import Command, CommandType

pytestmark = pytest.mark.integration
ORDERS = 200_000
ACCEPTED = 3 + 64


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A running engine with three members, the third of which loses its orders with its connection."""
    members = [("MAKER1", "MAKR", False), ("TAKER1", "TAKR", False), ("OTHER1", "OTHR", True)]
    process = Engine(
        tmp_path,
        limits={"orders": 2 * ORDERS, "events": 20 * ORDERS},
        sessions=[
            {"username": name, "firm": firm, "secret": hash_of(PASSWORD), "cancel_on_disconnect": cancels}
            for name, firm, cancels in members
        ],
    )
    yield process
    process.kill()


def fill(client: Client) -> None:
    """Orders of one member, which somebody else's mass cancel has to walk past; all are accepted at the end."""

    def read() -> None:
        left = ORDERS * ACCEPTED
        while left > 0:
            left -= len(client.socket.recv(1 << 20))

    client.socket.settimeout(60)
    reader = threading.Thread(target=read)
    reader.start()
    for first in range(1, ORDERS + 1, 2000):
        client.send(b"".join(enter(i, "B", 1, 10_000 + i % 500) for i in range(first, first + 2000)))
    reader.join()


def mass_cancel(ref: int, firm: str = "TAKR") -> bytes:
    """OUCH 5.0, Mass Cancel of all symbols."""
    return packet(b"U", struct.pack("!cI4s8s", b"C", ref, firm.encode(), b" " * 8))


def commands(engine: Engine, kind: CommandType) -> list[Command]:
    """Those of the journal."""
    return [command for command in core.journal_dump(engine.journal) if command.type == kind]


@pytest.mark.parametrize("percent", [5, 1])
def test_a_flood_of_mass_cancels_keeps_nobody_waiting(engine: Engine, percent: int) -> None:
    """Two thousand of them, each past 200,000 orders of others: seconds of matching that the others do not wait for."""
    engine.config["limits"]["mass_cancel_percent"] = percent
    engine.start()
    fill(engine.login("MAKER1"))
    flood = engine.login("TAKER1")
    flood.send(b"".join(enter(i, "B", 1, 1) + mass_cancel(i) for i in range(1, 2001)))
    flood.report("A")
    flood.report("C")
    other = engine.login("OTHER1")
    slowest = 0.0
    for ref in range(1, 21):
        before = time.monotonic()
        other.send(enter(ref, "S", 1, 1_000_000))
        other.report("A")
        slowest = max(slowest, time.monotonic() - before)
    assert slowest < 1
    taken = commands(engine, CommandType.MASS_CANCEL)
    assert 1 <= len(taken) < 500
    # By the journal's own time, with some room for what a busy machine does to a clock.
    waits = [later.time_ns - earlier.time_ns for earlier, later in itertools.pairwise(taken)]
    assert all(wait > 500_000 * (100 / percent - 1) for wait in waits), waits


def test_nothing_that_has_to_wait_is_lost(engine: Engine) -> None:
    """Each order is accepted, each mass cancel answered and done, in the order in which they were sent."""
    engine.start()
    client = engine.login("TAKER1")
    client.send(b"".join(enter(i, "B", 1, 1) + mass_cancel(i) for i in range(1, 101)))
    client.send(enter(101, "B", 1, 1))
    client.wait_for(201)
    assert [report[:1] for report in client.sequenced] == [b"A", b"C"] * 100 + [b"A"]
    assert len(commands(engine, CommandType.MASS_CANCEL)) == 100


def test_a_small_book_is_not_waited_for(engine: Engine) -> None:
    """Where a mass cancel costs nobody anything, one follows the other: a thousand within a few seconds."""
    engine.start()
    client = engine.login("TAKER1")
    before = time.monotonic()
    client.send(b"".join(enter(i, "B", 1, 1) + mass_cancel(i) for i in range(1, 1001)))
    client.wait_for(2000)
    assert time.monotonic() - before < 10


def test_a_lost_connection_is_paid_for_with_the_next_order(engine: Engine) -> None:
    """The cancel itself comes at once; who connects again waits with its first order, and with no other."""
    engine.config["limits"]["mass_cancel_percent"] = 1
    engine.start()
    fill(engine.login("MAKER1"))
    client = engine.login("OTHER1")
    client.send(enter(1, "B", 1, 1))
    client.report("A")
    client.close()
    client = engine.login("OTHER1", sequence=2)
    client.report("C")
    client.send(enter(2, "B", 1, 1) + enter(3, "B", 1, 1))
    client.wait_for(3)  # the cancel, and both orders
    (cancel,) = commands(engine, CommandType.MASS_CANCEL)
    second, third = [command for command in commands(engine, CommandType.ENTER) if command.session == 2][1:]
    assert second.time_ns - cancel.time_ns > 100_000_000
    assert third.time_ns - second.time_ns < 100_000_000


def test_a_lost_connection_without_orders_costs_nothing(engine: Engine) -> None:
    """Nothing is sequenced for a session that entered no order since its last ones were cancelled."""
    engine.start()
    client = engine.login("OTHER1")
    client.send(enter(1, "B", 1, 1))
    client.report("A")
    for _ in range(5):
        client.close()
        client = engine.login("OTHER1", sequence=0)
    assert client.next_user_ref() == 2
    assert len(commands(engine, CommandType.MASS_CANCEL)) == 1
    assert engine.admin("totals")["orders_open"] == 0


def test_what_an_administrator_cancels_is_not_charged_to_the_member(engine: Engine) -> None:
    """Thirty walks past 200,000 orders, asked for by the administrator: the member's own cancel waits for none."""
    engine.config["limits"]["mass_cancel_percent"] = 1
    engine.start()
    fill(engine.login("MAKER1"))
    client = engine.login("TAKER1")
    for ref in range(1, 31):
        client.send(enter(ref, "B", 1, 1))
        client.report("A")
        assert engine.admin("mass_cancel session=TAKER1")["canceled"] == 1
        client.report("C")
    before = time.monotonic()
    client.send(enter(31, "B", 1, 1) + mass_cancel(31))
    client.report("C")
    assert time.monotonic() - before < 2  # charged, they would take as many times 99 of a walk
    assert len(commands(engine, CommandType.MASS_CANCEL)) == 31


def test_who_was_not_read_from_is_not_taken_for_idle(engine: Engine) -> None:
    """Its cancels wait for longer than the engine's patience, which begins anew once it is read from again."""
    engine.config["limits"]["mass_cancel_percent"] = 1
    engine.config["heartbeat_seconds"] = 0.1
    engine.start()
    fill(engine.login("MAKER1"))  # and ends: who says nothing more has no place
    client = engine.login("TAKER1")
    patience = 15 * 0.1
    before = time.monotonic()
    client.send(b"".join(enter(i, "B", 1, 1) + mass_cancel(i) for i in range(1, 61)))
    client.wait_for(120)
    assert time.monotonic() - before > 2 * patience, "they did not have to wait: the case is none"
    time.sleep(patience / 5)  # twenty looks at who is idle
    assert client.next_user_ref() == 61
    assert engine.disconnects("idle", 0) == 0
