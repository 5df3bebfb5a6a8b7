# SPDX-License-Identifier: GPL-3.0-or-later
"""A raw client of order entry that writes down what it sends and what it is told, for the checker in tests/history.

It shares no code with `ironbook.client`: what it shows, the protocol alone suffices for.
"""

from __future__ import annotations

import dataclasses
import struct
import time
from collections.abc import Callable
from pathlib import Path

from history.check import Acceptance, Fill, Order, replay_of
from history.journal_bytes import Journal
from integration.engine_process import Client, enter
from ironbook import core

# OUCH 5.0, sections 3.2.2 (Accepted) and 3.2.6 (Executed): type, timestamp, UserRefNum, …
ACCEPTED = struct.Struct("!cQIcI8sQccQ")
EXECUTED = struct.Struct("!cQIIQcQ")


class Trader:
    """One session. `login` logs in as a user, from the first report on, wherever the shard is served now."""

    def __init__(self, username: str, login: Callable[[str], Client]) -> None:
        self.username = username
        self.orders: dict[int, Order] = {}
        self.unanswered: set[int] = set()  # refs of those, so that none is looked for among thousands
        self.read = 0  # reports that were dealt with
        self._login = login
        self.client = login(username)

    def send(self, side: str, quantity: int, price: int) -> None:
        """One order, on its way; where the connection is gone it waits for `again`."""
        ref = len(self.orders) + 1
        self.orders[ref] = Order(self.username, ref, side, quantity, price, time.monotonic_ns())
        self.unanswered.add(ref)
        try:
            self.client.send(enter(ref, side, quantity, price))
        except OSError:
            self.client.close()

    def again(self) -> None:
        """Connect anew, and send again what has no answer: OUCH ignores what is repeated."""
        self.client.close()
        self.read = 0
        self.client = self._login(self.username)
        # The stream begins at its first report and tells every fill once more.
        self.orders = {ref: dataclasses.replace(order, fills=()) for ref, order in self.orders.items()}
        for ref in sorted(self.unanswered):
            order = self.orders[ref]
            self.client.send(enter(ref, order.side, order.quantity, order.price))

    def is_settled(self) -> bool:
        """Whether every order has its answer."""
        return not self.unanswered

    def settle(self) -> None:
        """Read until every order has its answer."""
        while not self.is_settled():
            self.step()

    def settle_somewhere(self, tries: int = 200) -> None:
        """As `settle`, and where the connection ends before, at whichever member serves then."""
        for _ in range(tries):
            try:
                self.settle()
                return
            except (OSError, AssertionError) as error:
                assert "told another number" not in str(error)
                try:
                    self.again()
                except OSError:
                    time.sleep(0.05)
        raise AssertionError(f"{self.username} has no answer after {tries} connections")

    def step(self) -> None:
        """Deal with one report."""
        self.client.wait_for(self.read + 1)
        report = self.client.sequenced[self.read]
        self.read += 1
        now = time.monotonic_ns()
        if report[:1] == b"A":
            fields = ACCEPTED.unpack_from(report)
            order = self.orders[fields[2]]
            told = dataclasses.replace(order, acked_ns=order.acked_ns or now, result="accepted", order_ref=fields[9])
            assert order.order_ref in {0, told.order_ref}, "told another number the second time"
            self.orders[fields[2]] = told
            self.unanswered.discard(fields[2])
        elif report[:1] == b"E":
            _, _, ref, quantity, price, _, match = EXECUTED.unpack_from(report)
            fill = Fill(match, self.username, ref, price, quantity)
            self.orders[ref] = dataclasses.replace(self.orders[ref], fills=(*self.orders[ref].fills, fill))

    def drain(self, session_seq: int) -> None:
        """Read up to this report of the session's."""
        while self.read < session_seq:
            self.step()


def replayed(directory: Path, journal: Journal) -> list[Fill | Acceptance]:
    """What a replay of a journal says that clients can know."""
    names = ("match_ref", "session", "user_ref", "order_ref", "price", "quantity")
    events = [{"type": int(e.type), **{name: getattr(e, name) for name in names}} for e in core.events(directory)]
    return replay_of(events, journal.sessions())
