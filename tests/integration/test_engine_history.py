# SPDX-License-Identifier: GPL-3.0-or-later
"""The checker of histories, on a real engine: killed while two raw clients trade, it keeps what it acknowledged.

And the checker's own reader agrees with the engine's about a real journal.
"""

from __future__ import annotations

import dataclasses
import random
import shutil
import struct
import time
from pathlib import Path

from history.check import Fill, History, Order, StateTold, check, replay_of
from history.journal_bytes import read
from integration.engine_process import Client, Engine, enter
from ironbook import core

USERS = ("MAKER1", "TAKER1")
# OUCH 5.0, sections 3.2.2 (Accepted) and 3.2.6 (Executed): type, timestamp, UserRefNum, …
ACCEPTED = struct.Struct("!cQIcI8sQccQ")
EXECUTED = struct.Struct("!cQIIQcQ")


class Trader:
    """A raw client that writes down what it sends and what it is told."""

    def __init__(self, engine: Engine, username: str) -> None:
        self.username = username
        self.engine = engine
        self.orders: dict[int, Order] = {}
        self.read = 0  # reports that were dealt with
        self.client: Client = engine.login(username)

    def send(self, side: str, quantity: int, price: int) -> None:
        ref = len(self.orders) + 1
        self.orders[ref] = Order(self.username, ref, side, quantity, price, time.monotonic_ns())
        self.client.send(enter(ref, side, quantity, price))

    def again(self) -> None:
        """Connect anew after a kill, and send again what has no answer: OUCH ignores what is repeated."""
        self.client.close()
        self.read = 0
        self.client = self.engine.login(self.username, sequence=1)
        self.orders = {
            ref: dataclasses.replace(order, fills=()) for ref, order in self.orders.items()
        }  # the stream begins at its first report and tells every fill once more
        for ref, order in self.orders.items():
            if order.acked_ns is None:
                self.client.send(enter(ref, order.side, order.quantity, order.price))

    def settle(self) -> None:
        """Read until every order has its answer."""
        while any(order.acked_ns is None for order in self.orders.values()):
            self.step()

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
        elif report[:1] == b"E":
            _, _, ref, quantity, price, _, match = EXECUTED.unpack_from(report)
            fill = Fill(match, self.username, ref, price, quantity)
            self.orders[ref] = dataclasses.replace(self.orders[ref], fills=(*self.orders[ref].fills, fill))

    def drain(self) -> None:
        """Read all that the engine has for it."""
        sessions = {session["username"]: session for session in self.engine.admin("status")["sessions"]}
        while self.read < sessions[self.username]["session_seq"]:
            self.step()


def trade(engine: Engine) -> list[Trader]:
    """Two clients trade, and twice the engine is killed with orders on their way."""
    luck = random.Random(3)
    traders = [Trader(engine, user) for user in USERS]
    for _ in range(3):
        for _ in range(120):
            trader = luck.choice(traders)
            trader.send(luck.choice("BS"), luck.randrange(1, 50), 10000 + luck.randrange(20))
        traders[0].step()
        engine.kill()
        engine.start()
        for trader in traders:
            trader.again()
        for trader in traders:
            trader.settle()
    for trader in traders:
        trader.drain()
    return traders


def test_what_clients_were_told_is_what_the_journal_has(engine: Engine, tmp_path: Path) -> None:
    traders = trade(engine)
    live = engine.admin("totals")
    engine.kill()
    journal = read(engine.journal)
    assert len(journal.commands) == live["seq"] and journal.sessions() == list(USERS)
    names = ("match_ref", "session", "user_ref", "order_ref", "price", "quantity")
    events = [{"type": int(e.type), **{name: getattr(e, name) for name in names}} for e in core.events(engine.journal)]
    orders = [order for trader in traders for order in trader.orders.values()]
    replayed = core.replay(engine.journal)
    history = History(
        orders=orders,
        journals={"engine-0-0": journal},
        survivor="engine-0-0",
        states=[
            StateTold("engine", live["seq"], live["state_hash"]),
            StateTold("replay", replayed.seq, f"{replayed.state_hash:016x}"),
        ],
        replayed=replay_of(events, journal.sessions()),
        budget_ns=30_000_000_000,
    )
    assert check(history) == []
    assert len(orders) == 360 and sum(len(order.fills) for order in orders) > 100
    # The control, with the real thing: without its last segment's end it is found.
    cut = tmp_path / "cut"
    shutil.copytree(engine.journal, cut)
    last = sorted(cut.glob("*.journal"))[-1]
    last.write_bytes(last.read_bytes().rstrip(b"\0")[: -192 * 5])  # what is reserved behind the last record is zero
    history.journals = {"engine-0-0": read(cut)}
    assert any(line.startswith("I1: ") for line in check(history))
