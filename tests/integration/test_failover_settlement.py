# SPDX-License-Identifier: GPL-3.0-or-later
"""Ledger and publisher follow a replicated shard over its failovers: each trade is booked and published, once.

In the end clients, journal, engine, PostgreSQL and Kinesis are compared, as after every session.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from integration.engine_process import PASSWORD
from integration.resuming_clients import LibraryTrader, side_by_side
from integration.shard import Shard
from ironbook.order_entry import Endpoint
from ironbook.service import read_json, write_json
from local_processes import IRONBOOK, wait_for
from venue import FIRMS, Venue

pytestmark = pytest.mark.integration


def follow(venue: Venue, shard: Shard) -> None:
    """Have the venue's ledger and publisher follow this shard."""
    secret = venue.state / "secrets" / "shard"
    secret.write_text(f"{PASSWORD}\n")
    config = read_json(venue.settlement)
    members = [
        {
            "run_directory": str(engine.run),
            "journal_directory": str(engine.journal),
            "order_entry": {"host": "127.0.0.1", "port": engine.port},
        }
        for engine in shard.engines
    ]
    sessions = [{"username": name, "firm": firm, "password_file": str(secret)} for name, firm in FIRMS.items()]
    own = {"shard": shard.number, "symbols": ["AAPL", "MSFT"]}
    write_json(
        venue.settlement,
        {**config, "shard": shard.number, "members": members, "sessions": sessions, "shards": [own],
         "instruments": ["AAPL", "MSFT"]},
    )  # fmt: skip


def fail_over(shard: Shard, primary: int, what: str) -> None:
    """Another member is primary when this returns."""
    if what == "kill":
        shard.engines[primary].kill()
    else:
        wait_for(lambda: "accepted" in shard.engines[primary].admin(f"switch_over {(primary + 1) % 3}"), what)
    shard.primary(other_than=[primary])
    if what == "kill":
        shard.engines[primary].start()


def test_a_replayed_session_goes_on_over_failovers(shard: Shard) -> None:
    """Two firms' sessions, one order after the other: what a calm venue trades, this one does."""
    shard.in_sync()
    with Venue() as calm, Venue() as venue:
        calm.start_engine()
        file = calm.generate(20_000, seed=5)
        expected = calm.replay(file)
        secret = venue.state / "secrets" / "shard"
        secret.write_text(f"{PASSWORD}\n")
        login = {
            name: {"username": user, "password_file": str(secret)}
            for name, user in zip(("maker", "taker"), FIRMS, strict=True)
        }
        endpoints = [f"127.0.0.1:{port}" for port in shard.ports]
        write_json(venue.state / "trade" / "client.json", {"endpoints": endpoints, **login})
        # An hour in seven seconds: it is not over before its primary is.
        command = [*IRONBOOK, "session", "replay", str(file), "--speed", "500"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=venue.environment
        ) as replay:
            for after, what in ((2000, "kill"), (8000, "switch_over")):
                primary = shard.in_sync()
                wait_for(lambda p=primary, n=after: (shard.status(p) or {"seq": 0})["seq"] > n, "orders")  # type: ignore[misc]
                assert replay.poll() is None, "it ended before its primary did"
                fail_over(shard, primary, what)
            output, errors = replay.communicate(timeout=120)
        assert replay.returncode == 0, errors
        result = json.loads(output.splitlines()[-1])["result"]
        for key in ("fills", "quantity", "notional", "orders", "reports", "rejected"):
            assert result[key] == expected[key], key
        assert shard.engines[shard.in_sync()].admin("totals")["trades"] == expected["fills"]


@pytest.mark.feature("ENG-15", by="P", part="ledger and stream have each trade once after failovers")
def test_each_trade_is_booked_and_published_once_over_failovers(shard: Shard) -> None:
    shard.in_sync()
    with Venue() as venue:
        follow(venue, shard)
        venue.start_postgres()
        venue.start_emulator()
        venue.make_stream()
        venue.start_ledger()
        venue.start_publisher()
        traders = [LibraryTrader([Endpoint("127.0.0.1", port) for port in shard.ports], user) for user in FIRMS]
        stop = [False]
        work = [
            lambda t=trader, s=number: t.trade(100_000, random.Random(s), lambda: stop[0])
            for number, trader in enumerate(traders)
        ]
        threads, failures = side_by_side(work)  # type: ignore[arg-type]

        def booked() -> int:
            path = Path(venue.state / "run" / f"ledger-{shard.number}.status.json")
            return int(json.loads(path.read_text())["trades"]) if path.exists() else 0

        wait_for(lambda: booked() > 20 or failures, "the first trades in the ledger")
        for what in ("kill", "switch_over"):
            primary = shard.in_sync()
            before = booked()
            fail_over(shard, primary, what)
            wait_for(lambda n=before: booked() > n + 20 or failures, f"trades in the ledger after a {what}")  # type: ignore[misc]
            assert venue.processes["ledger"].poll() is None, venue.log("ledger")
            assert venue.processes["publisher"].poll() is None, venue.log("publisher")
        stop[0] = True
        for thread in threads:
            thread.join(60)
        assert failures == []
        for trader in traders:
            trader.entry.close()  # the reconciliation logs in to their sessions
        shard.in_sync()
        venue.settle()
        report = venue.reconciled()
        fills = {place["place"]: place["fills"] for place in report["places"]}
        seen = {fill.match for trader in traders for order in trader.orders.values() for fill in order.fills}
        assert set(fills.values()) == {len(seen)} and len(seen) > 60, fills
