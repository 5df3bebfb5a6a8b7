# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients with a list of endpoints, against a real engine that is killed under load and comes back elsewhere.

One engine that is restarted on another port of its list is to a client what a failover is: the connection ends, another
address serves, and the journal is the same. What was acknowledged is held against the journal by the checker that
shares no code with the engine or with our client.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from history.check import Fill, History, Order, check, replay_of
from history.journal_bytes import ENTER, Journal, read
from integration.engine_process import PASSWORD, Engine, cancel, enter
from ironbook import core
from ironbook.order_entry import Endpoint, NoPrimaryError, OrderEntry
from ironbook.protocols import ouch50
from local_processes import free_port
from nasdaq_protocols import soup

pytestmark = pytest.mark.integration
USERS = ("MAKER1", "TAKER1")


class MovingEngine(Engine):
    """An engine that comes back on the other port after each kill."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        super().__init__(directory, **changes)
        self.ports = [self.port, free_port()]

    @property
    def endpoints(self) -> list[Endpoint]:
        return [Endpoint("127.0.0.1", port) for port in self.ports]

    def fail_over(self, outage: float = 0.0) -> None:
        """SIGKILL, a while of nothing, and the other port."""
        self.kill()
        time.sleep(outage)
        self.port = self.ports[1 - self.ports.index(self.port)]
        self.config["order_entry"]["port"] = self.port
        self.start()


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[MovingEngine]:
    engine = MovingEngine(tmp_path)
    engine.start()
    yield engine
    engine.kill()


class Trader:
    """One firm on our client library, which writes down what it sends and what it is told."""

    def __init__(self, endpoints: list[Endpoint], username: str) -> None:
        self.username = username
        self.orders: dict[int, Order] = {}
        self.reports: list[bytes] = []
        self.entry = OrderEntry(endpoints, username, PASSWORD, patience=30)

    def trade(self, count: int, luck: random.Random) -> None:
        """Enter orders that cross now and then; each tenth is cancelled again."""
        for ref in range(1, count + 1):
            side, quantity, price = luck.choice("BS"), luck.randrange(1, 50), 10_000 + luck.randrange(20)
            self.orders[ref] = Order(self.username, ref, side, quantity, price, time.monotonic_ns())
            messages = [ouch50.enter_order(ref, side.encode(), quantity, b"AAPL", price)]
            if ref % 10 == 0:
                messages.append(ouch50.cancel_order(ref))
            self.entry.send(messages)
            self.take(0.001)
        self.entry.next_user_ref()
        self.take(0)
        assert self.entry.unanswered == 0

    def take(self, timeout: float) -> None:
        """Write down what has come."""
        for report in self.entry.receive(timeout):
            self.reports.append(report)
            told = ouch50.decode(report)
            order = self.orders[getattr(told, "user_ref", 0)]
            if isinstance(told, ouch50.Accepted):
                assert order.acked_ns is None, f"order {order.ref} was acknowledged twice"
                order = dataclasses.replace(
                    order, acked_ns=time.monotonic_ns(), result="accepted", order_ref=told.order_ref
                )
            elif isinstance(told, ouch50.Executed):
                fill = Fill(told.match_ref, self.username, told.user_ref, told.price, told.quantity)
                order = dataclasses.replace(order, fills=(*order.fills, fill))
            self.orders[order.ref] = order


def entered(journal: Journal) -> Counter[tuple[str, int]]:
    """How often each order is in the journal."""
    names = journal.sessions()
    return Counter((names[one.session], one.user_ref) for one in journal.commands if one.type == ENTER)


def side_by_side(work: list[Callable[[], None]]) -> tuple[list[threading.Thread], list[BaseException]]:
    """Start each on a thread; what they raise is kept."""
    failures: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    return threads, failures


@pytest.mark.feature("ENG-15", by="P", part="clients find the engine that serves, and no order is lost or doubled")
def test_an_order_is_there_once_however_often_its_engine_is_killed(moving: MovingEngine) -> None:
    luck = random.Random(7)
    traders = [Trader(moving.endpoints, user) for user in USERS]
    work = [lambda t=trader, s=number: t.trade(1500, random.Random(s)) for number, trader in enumerate(traders)]
    threads, failures = side_by_side(work)  # type: ignore[arg-type]
    for seq in (300, 900, 1600, 2300):
        while int(moving.admin("status")["seq"]) < seq + luck.randrange(100) and not failures:
            time.sleep(0.005)
        assert all(thread.is_alive() for thread in threads), f"{failures}: they ended before the engine was killed"
        moving.fail_over()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert [trader.entry.logins for trader in traders] == [5, 5]
    for trader in traders:
        trader.take(0.2)
        trader.entry.close()
    told = {trader.username: trader.reports for trader in traders}
    for user in USERS:  # once more from the first report, by a client that is not ours
        client = moving.login(user)
        assert client.wait_for(len(told[user])) == told[user]
        client.close()
    moving.kill()
    journal = read(moving.journal)
    orders = [order for trader in traders for order in trader.orders.values()]
    assert entered(journal) == {(order.session, order.ref): 1 for order in orders}
    assert all(order.acked_ns is not None for order in orders)
    names = ("match_ref", "session", "user_ref", "order_ref", "price", "quantity")
    events = [{"type": int(e.type), **{name: getattr(e, name) for name in names}} for e in core.events(moving.journal)]
    history = History(orders, {"engine": journal}, "engine", replayed=replay_of(events, journal.sessions()))
    assert check(history) == []
    assert sum(len(order.fills) for order in orders) > 100


def test_when_no_engine_comes_back_the_client_ends_with_one_line(moving: MovingEngine) -> None:
    with OrderEntry(moving.endpoints, "MAKER1", PASSWORD, patience=1) as entry:
        moving.kill()
        begin = time.monotonic()
        with pytest.raises(NoPrimaryError, match=r"no primary has served MAKER1 for 1 s: .*refused") as caught:
            while True:
                entry.receive(1)
        assert time.monotonic() - begin < 5
        assert all(str(place) in str(caught.value) for place in moving.endpoints)


def test_a_stopped_engine_is_left_for_the_one_that_serves(moving: MovingEngine, tmp_path: Path) -> None:
    """The kernel still takes connections for a process that is stopped: only its silence tells."""
    other = Engine(tmp_path / "other")
    (tmp_path / "other").mkdir()
    with OrderEntry([*moving.endpoints[:1], Endpoint("127.0.0.1", other.port)], "MAKER1", PASSWORD) as entry:
        assert moving.process is not None
        moving.process.send_signal(signal.SIGSTOP)
        try:
            shutil.copytree(moving.journal, other.journal)
            other.start()
            begin = time.monotonic()
            assert entry.next_user_ref() == 1
            assert entry.peer.endswith(str(other.port)) and time.monotonic() - begin < 6
        finally:
            moving.process.send_signal(signal.SIGCONT)
            other.kill()


# ---- a client that no one here wrote: PyPI nasdaq-protocols


class ForeignClient:
    """What SoupBinTCP and OUCH 5.0 say of resuming, on nasdaq-protocols: a list of places, a number, what is open."""

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self.endpoints = endpoints
        self.reports: list[bytes] = []
        self.open: dict[int, bytes] = {}  # what was sent and has no report yet, in its order
        self.session: Any = None
        self.connections = self.logins = 0

    async def _message(self, connection: int, message: Any) -> None:
        # What the library still has of an ended connection is asked for again on the next one.
        if connection == self.connections and type(message).__name__ == "SequencedData":
            report = bytes(message.data)
            self.reports.append(report)
            if report[:1] == b"A":
                self.open.pop(int.from_bytes(report[9:13], "big"), None)

    async def connect(self) -> None:
        """Log in where somebody serves, at the next report, and send what has no report."""
        for _ in range(600):
            for where in self.endpoints:
                self.connections += 1
                try:
                    self.session = await soup.connect_async(
                        (where.host, where.port),
                        "MAKER1",
                        PASSWORD,
                        "",
                        sequence=len(self.reports) + 1,
                        on_msg_coro=functools.partial(self._message, self.connections),
                        client_heartbeat_interval=1,
                        server_heartbeat_interval=5,
                    )
                except OSError:
                    continue
                self.logins += 1
                for message in self.open.values():
                    self.session.send_unseq_data(message)
                return
            await asyncio.sleep(0.05)
        raise AssertionError("nobody serves")

    async def send(self, ref: int) -> None:
        """Enter an order."""
        self.open[ref] = enter(ref, "B", 1, 10_000)[3:]
        if self.session.is_closed():
            await self.connect()
        else:
            self.session.send_unseq_data(self.open[ref])

    async def settle(self) -> None:
        """Wait until everything has its report."""
        deadline = time.monotonic() + 30
        while self.open:
            assert time.monotonic() < deadline, f"{len(self.open)} orders have no report"
            if self.session.is_closed():
                await self.connect()
            await asyncio.sleep(0.02)


@pytest.mark.feature("ENG-15", by="P", part="the protocol alone suffices to resume: a foreign client does")
def test_a_foreign_client_resumes_on_another_endpoint(moving: MovingEngine) -> None:
    async def scenario() -> ForeignClient:
        client = ForeignClient(moving.endpoints)
        await client.connect()
        for ref in range(1, 601):
            await client.send(ref)
            if ref % 10 == 0:
                await asyncio.sleep(0.002)
            if ref in (200, 400):
                await asyncio.to_thread(moving.fail_over)
        await client.settle()
        client.session.send_unseq_data(cancel(1)[3:])
        while client.reports[-1][:1] != b"C":
            await asyncio.sleep(0.01)
        await client.session.close()
        return client

    client = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert client.logins == 3
    moving.kill()
    journal = read(moving.journal)
    assert entered(journal) == {("MAKER1", ref): 1 for ref in range(1, 601)}
    assert [int.from_bytes(report[9:13], "big") for report in client.reports] == [*range(1, 601), 1]
