# SPDX-License-Identifier: GPL-3.0-or-later
"""A replicated shard that fails over, as its clients see it: ours, a foreign one, and the canary of a drill."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from pathlib import Path

import pytest
from history.check import History, check
from history.journal_bytes import read
from integration.drill_commands import Drill
from integration.resuming_clients import ForeignClient, LibraryTrader, entered, side_by_side
from integration.shard import Shard
from integration.trader import replayed
from ironbook.drills.canary_log import read_log
from ironbook.drills.report import outages
from ironbook.order_entry import ANSWER_SECONDS, Endpoint
from local_processes import wait_for

pytestmark = pytest.mark.integration
USERS = ("MAKER1", "TAKER1")


def endpoints(shard: Shard) -> list[Endpoint]:
    return [Endpoint("127.0.0.1", port) for port in shard.ports]


# ---- what breaks; each returns once another member is primary, all three in sync again ----


def kill(shard: Shard) -> int:
    primary = shard.in_sync()
    shard.engines[primary].kill()
    shard.primary(other_than=[primary])
    shard.engines[primary].start()
    return shard.in_sync()


def pause(shard: Shard) -> int:
    """Longer than the silence after which others take over: its clients hear nothing, and it lets nobody in."""
    primary = shard.in_sync()
    process = shard.engines[primary].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        shard.primary_unless(primary)
        time.sleep(2)
    finally:
        process.send_signal(signal.SIGCONT)
    return shard.in_sync()


def switch_over(shard: Shard) -> int:
    primary = shard.in_sync()
    to = (primary + 1) % 3
    wait_for(lambda: "accepted" in shard.engines[primary].admin(f"switch_over {to}"), "a switchover")
    assert shard.primary(other_than=[primary]) == to
    return shard.in_sync()


def pause_the_standbys(shard: Shard) -> int:
    """The primary sends its clients heartbeats and can have nothing durable, for longer than they wait for answers."""
    primary = shard.in_sync()
    standbys = [engine.process for number, engine in enumerate(shard.engines) if number != primary]
    for process in standbys:
        assert process is not None
        process.send_signal(signal.SIGSTOP)
    time.sleep(ANSWER_SECONDS + 1)
    for process in standbys:
        assert process is not None
        process.send_signal(signal.SIGCONT)
    return shard.in_sync()


FAULTS = (kill, switch_over, pause)


def told_more(traders: list[LibraryTrader], before: list[int]) -> bool:
    """Whether each has had 50 reports more."""
    return all(len(trader.reports) > count + 50 for trader, count in zip(traders, before, strict=True))


@pytest.mark.feature("ENG-15", by="P", part="clients with a list of endpoints go on at the member that took over")
def test_our_clients_outlive_failovers_under_load(shard: Shard) -> None:
    shard.in_sync()
    traders = [LibraryTrader(endpoints(shard), user) for user in USERS]
    stop = [False]
    work = [
        lambda t=trader, s=number: t.trade(100_000, random.Random(s), lambda: stop[0])
        for number, trader in enumerate(traders)
    ]
    threads, failures = side_by_side(work)  # type: ignore[arg-type]
    survivor = 0
    for fault in (*FAULTS, pause_the_standbys):
        before = [len(trader.reports) for trader in traders]
        survivor = fault(shard)
        wait_for(lambda past=before: failures or told_more(traders, past), "orders after a failover")  # type: ignore[misc]
        assert failures == []
    stop[0] = True
    for thread in threads:
        thread.join(60)
    assert failures == [] and not any(thread.is_alive() for thread in threads)
    assert all(trader.entry.logins >= 1 + len(FAULTS) for trader in traders)
    for trader in traders:
        trader.drain()
        trader.entry.close()
    for engine in shard.engines:
        engine.kill(signal.SIGTERM)
    journals = {f"engine-{number}": read(engine.journal) for number, engine in enumerate(shard.engines)}
    name = f"engine-{survivor}"
    orders = [order for trader in traders for order in trader.orders.values()]
    assert entered(journals[name]) == {(order.session, order.ref): 1 for order in orders}
    assert all(order.acked_ns is not None for order in orders)
    again = replayed(shard.engines[survivor].journal, journals[name])
    assert check(History(orders, journals, name, replayed=again)) == [], shard.logs()
    assert sum(len(order.fills) for order in orders) > 100


@pytest.mark.feature("ENG-15", by="P", part="a foreign client goes on at the member that took over")
def test_a_foreign_client_outlives_a_kill_and_a_switchover(shard: Shard) -> None:
    shard.in_sync()

    async def scenario() -> ForeignClient:
        client = ForeignClient(endpoints(shard))
        await client.connect()
        for ref in range(1, 301):
            await client.send(ref)
            if ref in (100, 200):
                await asyncio.to_thread(kill if ref == 100 else switch_over, shard)
        await client.settle()
        await client.session.close()
        return client

    client = asyncio.run(asyncio.wait_for(scenario(), 120))
    assert client.logins == 3
    survivor = shard.in_sync()
    for engine in shard.engines:
        engine.kill(signal.SIGTERM)
    assert entered(read(shard.engines[survivor].journal)) == {("MAKER1", ref): 1 for ref in range(1, 301)}
    assert [int.from_bytes(report[9:13], "big") for report in client.reports] == [*range(1, 301)]


@pytest.mark.feature("ENG-15", by="P", part="RTO and RPO of a killed, a paused and a switched primary, by a canary")
def test_a_drill_measures_what_a_canary_saw(shard: Shard, tmp_path: Path) -> None:
    shard.in_sync()
    sockets = {f"engine-7-{number}": engine.run / "admin.sock" for number, engine in enumerate(shard.engines)}
    with Drill(tmp_path, shard.ports, sockets) as drill:
        drill.start()
        for fault in FAULTS:
            drill.done("wait", "--orders", "30")
            drill.done("mark", "--fault", fault.__name__)
            survivor = fault(shard)
        drill.done("wait", "--orders", "30")
        status, output, errors = drill.stop()
        assert (status, errors) == (0, "")
        sums = json.loads(output)["result"]
        result = drill.report("--journal", str(shard.engines[survivor].journal), rto="30")
        assert result.returncode == 0, result.stderr + shard.logs()
        report = drill.written
    assert report["verdict"] == "passed" and report["orders"]["unanswered"] == 0
    assert report["compared_with"]["journal_orders"] == sums["sent"]
    measured = outages(read_log(drill.log))
    print({outage.fault.what: outage.seconds for outage in measured})
    assert [outage.seconds is not None and outage.seconds < 30 for outage in measured] == [True] * len(FAULTS)
    assert (measured[2].seconds or 0) > 1, "a paused primary is replaced after its silence, not before"
    words = [one["what"] for one in report["timeline"] if one["who"].startswith("engine-7-")]
    assert any(what.startswith("is primary") for what in words)
    assert any("it does not answer" in what for what in words)
    epochs = [said.epoch for said in read_log(drill.log).members if said.role == "primary" and said.epoch]
    assert max(epochs) >= epochs[0] + len(FAULTS)  # the paused one may say once more that it is, when it wakes
