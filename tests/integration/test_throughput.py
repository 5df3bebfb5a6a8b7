# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of trades per minute, for minutes, from two clients into PostgreSQL (ENG-07)."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from ironbook import admin
from ironbook.protocols import ouch50
from ironbook.protocols.soupbintcp import SoupClient
from venue import FIRMS, PASSWORD, Venue

pytestmark = pytest.mark.integration

# The rate that is asked for is 5,000 a minute; what is sent is a third more, evenly.
WANTED_PER_MINUTE = 5000
SENT_PER_SECOND = 112
SECONDS = int(os.environ.get("IRONBOOK_TEST_TRADE_SECONDS", "120"))
STEP_SECONDS = 0.5


def settle(client: SoupClient) -> int:
    """Wait until all that was sent is sequenced and reported; return how many executions were reported."""
    client.send([ouch50.account_query()])
    executed = 0
    while not client.unsequenced:
        executed += sum(message[:1] == b"E" for message in client.receive(1))
    client.unsequenced.clear()
    return executed


def count(database: psycopg.Connection[Any]) -> int:
    """Return how many trades are in PostgreSQL."""
    row = database.execute("SELECT count(*) FROM trades").fetchone()
    assert row is not None
    return int(row[0])


def trade_evenly(venue: Venue, database: psycopg.Connection[Any]) -> tuple[int, list[int]]:
    """Trade for SECONDS; return the number of trades, and the rows in PostgreSQL at 0, 60, 120 … seconds."""
    maker, taker = (SoupClient.connect("127.0.0.1", venue.engine_port, name, PASSWORD) for name in FIRMS)
    trades, rows_by_minute = 0, [0]
    with maker, taker:
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < SECONDS:
            if elapsed >= 60 * len(rows_by_minute):
                rows_by_minute.append(count(database))
            due = int((elapsed + STEP_SECONDS) * SENT_PER_SECOND) - trades
            refs = range(trades + 1, trades + due + 1)
            price = 1_000_000 + 100 * (trades % 50)
            maker.send([ouch50.enter_order(ref, ouch50.SELL, 10, b"AAPL", price) for ref in refs])
            settle(maker)
            ioc = ouch50.IMMEDIATE_OR_CANCEL
            taker.send([ouch50.enter_order(ref, ouch50.BUY, 10, b"AAPL", price, ioc) for ref in refs])
            assert settle(taker) == due
            trades += due
            time.sleep(max(0.0, begin + elapsed + STEP_SECONDS - time.monotonic()))
    return trades, [*rows_by_minute, count(database)]


@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.feature("ENG-07", by="P")
def test_thousands_of_trades_a_minute_reach_postgresql() -> None:
    assert SECONDS >= 60, "the rate is per minute"
    with Venue() as venue:
        venue.start_all()
        with venue.connect() as database:
            trades, rows_by_minute = trade_evenly(venue, database)
            written = [after - before for before, after in pairwise(rows_by_minute)]
            assert len(written) == SECONDS // 60
            assert min(written) >= WANTED_PER_MINUTE, f"rows written in each minute: {written}"
            venue.settle()
            rows = database.execute("SELECT count(*), count(DISTINCT match_ref) FROM trades").fetchone()
        totals = admin.request(venue.run_directory / "admin.sock", "totals")
        assert rows == (trades, trades)
        assert totals["trades"] == trades
        done = venue.reconcile()
        assert done.returncode == 0, done.stderr
        print(f"{trades} trades in {SECONDS} s; rows written in each minute: {written}")
