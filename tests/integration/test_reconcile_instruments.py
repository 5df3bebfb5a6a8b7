# SPDX-License-Identifier: GPL-3.0-or-later
"""What an instrument is called, the engine says: wherever a configuration has it, its trades are booked under its name.

In PostgreSQL and on the stream of the emulator, by the ledger and the publisher as they run.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from ironbook import admin
from ironbook.core.records import INSTRUMENT_ALL, Command, CommandType, OrderType, Side
from ironbook.protocols.commands import CommandStream
from ironbook.service import read_json, write_json
from venue import Venue

pytestmark = pytest.mark.integration


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A venue of three instruments, which nobody has traded yet."""
    with Venue() as made:
        configure(made, ["AAPL", "MSFT", "TSLA"], ["AAPL", "MSFT", "TSLA"])
        made.start_all()
        yield made


def configure(venue: Venue, engine: list[str], settlement: list[str]) -> None:
    """Give the engine's configuration, and that of who follows it, their instruments."""
    config = read_json(venue.state / "engine.json")
    config["instruments"] = [{"symbol": symbol, "tick": 1} for symbol in engine]
    write_json(venue.state / "engine.json", config)
    config = read_json(venue.settlement)
    config.update(instruments=settlement, shards=[{"shard": 0, "symbols": settlement}])
    write_json(venue.settlement, config)


def trade(venue: Venue, symbol: str, quantity: int) -> None:
    """One trade of that many."""
    path = venue.run_directory / "commands.sock"
    for session, side in (("MAKER1", Side.SELL), ("TAKER1", Side.BUY)):
        with CommandStream(path, session) as stream:
            instrument = stream.ask(symbol)[1].instrument
            assert instrument != INSTRUMENT_ALL, symbol
            stream.send(
                Command(
                    0, 0, CommandType.ENTER, user_ref=stream.next_user_ref, instrument=instrument, side=side,
                    quantity=quantity, price=100, order_type=OrderType.LIMIT,
                )
            )  # fmt: skip
            assert stream.ask()[0]


def booked(venue: Venue) -> dict[str, int]:
    """Quantity of each symbol in PostgreSQL, by trades, which the taker's positions agree with."""
    with venue.connect() as connection:
        traded = dict(connection.execute("SELECT symbol, sum(quantity)::int FROM trades GROUP BY symbol").fetchall())
        held = dict(connection.execute("SELECT symbol, position FROM portfolios WHERE client_id = 'TAKR'").fetchall())
    assert traded == held
    return traded


def restart(venue: Venue) -> None:
    """Everything that reads a configuration ends, and starts over what it has become."""
    for name in ("ledger", "publisher", "engine"):
        venue.kill(name, signal.SIGTERM)
    venue.start_engine()
    venue.start_ledger()
    venue.start_publisher()


def test_an_instrument_keeps_its_name_wherever_it_is_configured(venue: Venue) -> None:
    """Moved to the front, taken out, added by hand while all of it runs: the same names, and no difference."""
    expected = {"AAPL": 1, "MSFT": 2, "TSLA": 4}
    for symbol, quantity in expected.items():
        trade(venue, symbol, quantity)
    venue.settle()
    venue.reconciled()
    assert booked(venue) == expected

    configure(venue, ["TSLA", "MSFT", "AAPL"], ["TSLA", "MSFT", "AAPL"])  # in another order
    restart(venue)
    for symbol in expected:
        trade(venue, symbol, 10)
    venue.settle()
    venue.reconciled()
    assert booked(venue) == {"AAPL": 11, "MSFT": 12, "TSLA": 14}

    configure(venue, ["TSLA"], ["TSLA"])  # the first two are no more
    restart(venue)
    trade(venue, "TSLA", 100)
    trade(venue, "AAPL", 1000)  # who is not configured trades on
    assert admin.request(venue.run_directory / "admin.sock", "instrument_remove MSFT")["event_count"] == 1
    venue.settle()
    venue.reconciled()
    assert booked(venue) == {"AAPL": 1011, "MSFT": 12, "TSLA": 114}

    assert admin.request(venue.run_directory / "admin.sock", "instrument_add NVDA tick=1")["event_count"] == 1
    trade(venue, "NVDA", 7)  # ledger and publisher run, and have never heard of it
    venue.settle()
    venue.reconciled()
    assert booked(venue) == {"AAPL": 1011, "MSFT": 12, "NVDA": 7, "TSLA": 114}
    assert venue.processes["ledger"].poll() is None
    assert venue.processes["publisher"].poll() is None

    configure(venue, ["TSLA"], ["TSLA", "NOPE"])  # negative control
    assert "the journal does not have its instruments ['NOPE']: start the engine with them" in venue.refused()
