# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients with a list of endpoints, against a real engine that is killed under load and comes back elsewhere.

One engine that is restarted on another port of its list is to a client what a failover is: the connection ends, another
address serves, and the journal is the same. What was acknowledged is held against the journal by the checker that
shares no code with the engine or with our client.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from history.check import History, check
from history.journal_bytes import read
from integration.engine_process import PASSWORD, Engine, cancel, environment
from integration.resuming_clients import ForeignClient, LibraryTrader, entered, side_by_side
from integration.trader import replayed
from ironbook.order_entry import Endpoint, NoPrimaryError, OrderEntry
from local_processes import IRONBOOK, free_port

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


@pytest.mark.feature("ENG-15", by="P", part="clients find the engine that serves, and no order is lost or doubled")
def test_an_order_is_there_once_however_often_its_engine_is_killed(moving: MovingEngine) -> None:
    luck = random.Random(7)
    traders = [LibraryTrader(moving.endpoints, user) for user in USERS]
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
    history = History(orders, {"engine": journal}, "engine", replayed=replayed(moving.journal, journal))
    assert check(history) == []
    assert sum(len(order.fills) for order in orders) > 100


def test_the_command_line_finds_whichever_engine_serves(moving: MovingEngine, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    places = [word for each in moving.endpoints for word in ("--endpoint", str(each))]
    login = [*IRONBOOK, "client", *places, "--session", "MAKER1", "--password-file", str(secret), "--patience", "2"]

    def client(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        command = [*login, "--json", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=60)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    status, (accepted,), _ = client("enter", "sell", "AAPL", "100", "10000", "--client-data", "mine")
    assert status == 0
    assert (accepted["type"], accepted["user_ref"], accepted["side"], accepted["quantity"]) == ("accepted", 1, "S", 100)
    assert (accepted["price"], accepted["client_order_id"], accepted["session_seq"]) == (10000, "mine", 1)
    moving.fail_over()
    status, (replaced,), _ = client("replace", "1", "80", "10001", "--hidden")
    assert (status, replaced["type"], replaced["user_ref"], replaced["display"]) == (0, "replaced", 2, "N")
    status, (modified,), _ = client("modify", "2", "sell-short", "70")
    assert (status, modified["type"], modified["side"], modified["quantity"]) == (0, "modified", "T", 70)
    status, (canceled,), _ = client("cancel", "2")
    assert (status, canceled["type"], canceled["quantity"]) == (0, "canceled", 70)
    assert client("cancel", "2") == (2, [], "ironbook: client: cancel changed nothing\n")
    status, (rejected,), _ = client("enter", "buy", "NONE", "1", "1")
    assert (status, rejected["type"], rejected["reason"]) == (2, "rejected", 0x17)
    assert (
        "--user-ref 3 is used up: the next free one is 4"
        in client("enter", "buy", "AAPL", "1", "1", "--user-ref", "3")[2]
    )
    client("enter", "buy", "AAPL", "1", "1")
    status, (canceled,), _ = client("mass-cancel", "--symbol", "AAPL")
    assert (status, canceled["type"], canceled["user_ref"]) == (0, "canceled", 4)
    status, seen, _ = client("watch", "--count", "7")
    assert status == 0 and [each["session_seq"] for each in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert client("watch", "--after", "6", "--count", "1")[1] == [canceled]
    moving.kill()
    status, seen, said = client("watch")
    assert (status, seen) == (1, []) and "no primary has served MAKER1 for 2 s" in said and len(said.splitlines()) == 1


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
