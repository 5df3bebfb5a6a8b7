# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook ledger run`: every trade and every position of a shard into PostgreSQL, exactly once.

The ledger follows the engine's event log. For each batch of events one transaction holds the trades, the positions
that they move, and the checkpoint, which is the last event of the batch: after a crash of anything, the batch is there
whole or not at all, and the ledger goes on after the checkpoint. Two ledgers cannot both write: the checkpoint moves
only from where this one left it.

What waiting cures (no engine, no database) is waited for. What it does not (a schema that is too old, a wrong password)
ends the process with one line.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from ironbook import settlement
from ironbook.admin import AdminError
from ironbook.core.records import Event
from ironbook.errors import CommandError
from ironbook.event_log import START, EventLog, EventLogLostError, Position, UnnamedInstrumentError
from ironbook.service import Backoff, Stop, log_to_stderr
from ironbook.settlement import CONSUMER, Config
from ironbook.trades import (
    AVERAGE_UNIT,
    Holding,
    Portfolio,
    Trade,
    TradeBuilder,
    average_text,
    price_text,
)

_COPY = """COPY public.trades (symbol, quantity, price, "timestamp", shard, sequence, index, match_ref, maker_client_id,
    taker_client_id, maker_user_ref, taker_user_ref, taker_side) FROM STDIN"""
_UPSERT = """INSERT INTO public.portfolios (client_id, symbol, position, avg_cost)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::numeric[])
    ON CONFLICT (client_id, symbol) DO UPDATE SET position = excluded.position, avg_cost = excluded.avg_cost"""
_MOVE = """UPDATE public.ledger_checkpoint SET sequence = %s, index = %s, updated_at = now()
    WHERE consumer = %s AND shard = %s AND sequence = %s AND index = %s"""
_STATUS_SECONDS = 0.5
_READ_SECONDS = 0.5


class Ledger:
    """One shard's ledger."""

    def __init__(self, config: Config, stop: Stop) -> None:
        """Nothing is connected yet."""
        self.config = config
        self.stop = stop
        self.log = log_to_stderr("ledger")
        self.position = START
        self.trades = 0
        self._told = 0.0
        self._portfolio = Portfolio()
        self._names = config.names([])

    def run(self) -> None:
        """Follow the engine until asked to end. Raises CommandError where waiting does not help."""
        backoff = Backoff(self.stop)
        last_reason = ""
        while not self.stop:
            try:
                with settlement.connect(self.config.database) as connection:
                    connection.autocommit = True
                    self._open(connection)
                    self.config = settlement.at_primary(self.config)
                    settlement.check_engine(self.config)
                    self._names = self.config.names(settlement.engine_symbols(self.config))
                    self._read_holdings(connection)
                    with EventLog(self.config.events_socket, self.config.shard, self.position) as events:
                        self.log.info("following shard %d after %s", self.config.shard, tuple(self.position))
                        backoff.reset()
                        last_reason = ""
                        self._follow(connection, events)
            except (psycopg.OperationalError, EventLogLostError, AdminError, UnnamedInstrumentError) as error:
                reason = " ".join(str(error).split())
                if reason != last_reason:
                    self.log.warning("waiting: %s", reason)
                last_reason = reason
                self._tell("waiting", reason)
                backoff.wait()
            except psycopg.Error as error:
                raise CommandError(f"the database refuses the ledger's rows: {' '.join(str(error).split())}") from error
        self._tell("ended")

    def _open(self, connection: psycopg.Connection[Any]) -> None:
        """Check the schema, and read where the ledger is."""
        tables = "SELECT to_regclass('public.ledger_checkpoint'), to_regclass('public.trades')"
        found = connection.execute(tables).fetchone()
        if found is None or None in found:
            place = f"{self.config.database.host}:{self.config.database.port}/{self.config.database.dbname}"
            raise CommandError(
                f"the schema of {place} is older than migration 0002, which the ledger needs: "
                "run the playbook ironbook.trading.migrate"
            )
        key = (CONSUMER, self.config.shard)
        connection.execute("INSERT INTO public.ledger_checkpoint VALUES (%s, %s, 0, 0) ON CONFLICT DO NOTHING", key)
        row = connection.execute(
            "SELECT sequence, index FROM public.ledger_checkpoint WHERE consumer = %s AND shard = %s", key
        ).fetchone()
        assert row is not None, "the row was inserted above"
        self.position = Position(*row)
        counted = "SELECT count(*) FROM public.trades WHERE shard = %s"
        count = connection.execute(counted, (self.config.shard,)).fetchone()
        self.trades = count[0] if count else 0

    def _read_holdings(self, connection: psycopg.Connection[Any]) -> None:
        """Read what is held of the engine's instruments."""
        held = connection.execute(
            "SELECT client_id, symbol, position, (avg_cost * %s)::bigint FROM public.portfolios WHERE symbol = ANY(%s)",
            (AVERAGE_UNIT, list(self._names.symbols)),
        ).fetchall()
        self._portfolio = Portfolio({(client, symbol): Holding(p, a) for client, symbol, p, a in held})

    def _follow(self, connection: psycopg.Connection[Any], events: EventLog) -> None:
        builder = TradeBuilder(self.config.shard, self._names)
        trades: list[Trade] = []
        while not self.stop:
            batch = events.read(_READ_SECONDS)
            trades += builder.add(batch)
            # A batch may end between the two halves of a match: then the next one goes into the same transaction.
            if batch and not builder.between:
                self._write(connection, trades, batch[-1])
                trades = []
            self._tell("running")

    def _write(self, connection: psycopg.Connection[Any], trades: list[Trade], last: Event) -> None:
        touched: set[tuple[str, str]] = set()
        for trade in trades:
            touched.update(self._portfolio.add(trade))
        to = Position(last.seq, last.index)
        with connection.transaction(), connection.cursor() as cursor:
            if trades:
                with cursor.copy(_COPY) as copy:
                    for trade in trades:
                        copy.write_row(_row(trade))
                held = [(*key, *self._portfolio.holdings[key]) for key in sorted(touched)]
                clients, symbols, positions, averages = (list(column) for column in zip(*held, strict=True))
                cursor.execute(_UPSERT, (clients, symbols, positions, [average_text(a) for a in averages]))
            cursor.execute(_MOVE, (*to, CONSUMER, self.config.shard, *self.position))
            if cursor.rowcount != 1:
                raise CommandError(
                    f"the ledger's checkpoint of shard {self.config.shard} is no longer at {tuple(self.position)}: "
                    "another ledger writes to this database; stop one of them"
                )
        self.position = to
        self.trades += len(trades)

    def _tell(self, state: str, reason: str = "") -> None:
        now = time.monotonic()
        if state != "running" or now - self._told >= _STATUS_SECONDS:
            self._told = now if state == "running" else 0.0
            path = self.config.status_file("ledger")
            settlement.write_status(path, "ledger", state, reason, position=list(self.position), trades=self.trades)


def _row(trade: Trade) -> tuple[object, ...]:
    seconds, nanoseconds = divmod(trade.time_ns, 10**9)
    time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds // 1000:06d}+00"
    return (
        trade.symbol,
        trade.quantity,
        price_text(trade.price),
        time_text,
        trade.shard,
        trade.sequence,
        trade.index,
        trade.match_ref,
        trade.maker,
        trade.taker,
        trade.maker_user_ref,
        trade.taker_user_ref,
        trade.taker_side,
    )


def add_parser(subparsers: Any) -> None:
    """Add `ironbook ledger` to the command line."""
    settlement.add_consumer(
        subparsers,
        "ledger",
        "trades and positions into PostgreSQL, exactly once",
        lambda config, stop: Ledger(config, stop).run(),
    )
