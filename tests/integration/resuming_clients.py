# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clients that are given the address of each member and outlive a failover: ours, and one that no one here wrote.

Both write down what they are told. Whether that holds afterwards, the checker in tests/history says.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from history.check import Fill, Order
from history.journal_bytes import ENTER, Journal
from integration.engine_process import PASSWORD, enter
from ironbook.order_entry import Endpoint, OrderEntry
from ironbook.protocols import ouch50
from nasdaq_protocols import soup


class LibraryTrader:
    """One firm on our client library, which writes down what it sends and what it is told."""

    def __init__(self, endpoints: list[Endpoint], username: str) -> None:
        self.username = username
        self.orders: dict[int, Order] = {}
        self.reports: list[bytes] = []
        self.entry = OrderEntry(endpoints, username, PASSWORD, patience=30)

    def trade(self, count: int, luck: random.Random, is_over: Callable[[], bool] = lambda: False) -> None:
        """Enter orders that cross now and then, each tenth is cancelled again; return when all are answered."""
        for ref in range(1, count + 1):
            if is_over():
                break
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

    def drain(self) -> None:
        """Write down what the last orders of others have done to ours, until a second brings nothing."""
        told = -1
        while told != len(self.reports):
            told = len(self.reports)
            self.take(1)

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
