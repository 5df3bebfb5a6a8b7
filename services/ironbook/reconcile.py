# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook reconcile`: whether all the places that hold a shard's trades hold the same ones.

The journal decides: it is read offline through the core, and what it gives is compared, one by one, with

- the running engine's own totals,
- the clients' execution reports: each session whose password is configured is read from its first report,
- PostgreSQL: each trade's row, and each position,
- the Kinesis stream: each record, byte for byte; the same one twice is allowed, two that differ are a forgery.

Fills are matches, quantity is in units of 1, notional is integer price x quantity in units of 10^-4. Any difference
fails, and the first one is named. It compares a market at rest: if the engine goes on meanwhile, it says so and fails.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from ironbook import admin, settlement
from ironbook.core.records import Event, EventFlag, EventType
from ironbook.errors import CommandError
from ironbook.journal_view import JournalView, read_journal
from ironbook.kinesis_codec import RecordError, deaggregate, decode, encode
from ironbook.protocols import ouch50, soupbintcp
from ironbook.service import read_secret, write_json
from ironbook.settlement import Config
from ironbook.trades import (
    AVERAGE_UNIT,
    PRICE_UNIT,
    Holding,
    Portfolio,
    Trade,
    TradeBuilder,
    average_text,
    price_text,
)

# Plain integers: comparing with an enumeration costs more than all else here.
_EXECUTED, _RESTING = int(EventType.EXECUTED), int(EventFlag.RESTING)
_SHOWN = 100  # differences in the report; a broken source has thousands
_ANSWER_SECONDS = 30.0
_KINESIS_EMPTY_READS = 3
Positions = dict[tuple[str, str], int]


@dataclass
class Figures:
    """What one place says of the shard, all in all.

    `positions` is None where the place does not know who traded. With `unread` sessions the sums are not the whole.
    """

    place: str
    fills: int = 0
    quantity: int = 0
    notional: int = 0
    positions: Positions | None = None
    seconds: float = 0.0
    unread: list[str] = field(default_factory=list)

    def add(self, quantity: int, price: int) -> None:
        """Take one match in."""
        self.fills += 1
        self.quantity += quantity
        self.notional += quantity * price

    def as_dict(self) -> dict[str, Any]:
        """Return it for the report."""
        positions = None
        if self.positions is not None:
            positions = {f"{firm} {symbol}": amount for (firm, symbol), amount in sorted(self.positions.items())}
        return {**vars(self), "positions": positions, "seconds": round(self.seconds, 3)}


@dataclass
class Differences:
    """What does not agree, in the order in which it was found."""

    found: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, text: str) -> None:
        """Keep one difference, or count it if there are very many."""
        self.count += 1
        if len(self.found) < _SHOWN:
            self.found.append(text)

    def compare(self, mine: Figures, journal: Figures) -> None:
        """Compare the sums of one place with the journal's, if they are the whole."""
        if mine.unread:
            return
        for name in ("fills", "quantity", "notional"):
            ours, theirs = getattr(mine, name), getattr(journal, name)
            if ours != theirs:
                self.add(f"{mine.place}: {name} {ours}, the journal says {theirs}")
        if mine.positions is not None and journal.positions is not None:
            for key in sorted(set(mine.positions) | set(journal.positions)):
                ours, theirs = mine.positions.get(key, 0), journal.positions.get(key, 0)
                if ours != theirs:
                    self.add(f"{mine.place}: position of {' in '.join(key)} {ours}, the journal says {theirs}")


@dataclass
class Truth:
    """What the journal says, in the forms in which the others are compared with it."""

    view: JournalView
    trades: list[Trade]
    portfolio: Portfolio
    figures: Figures


def journal_truth(config: Config, view: JournalView) -> Truth:
    """Return the trades and positions of a journal."""
    figures = Figures("journal", positions={})
    portfolio = Portfolio()
    trades = list(TradeBuilder(config.shard, view.names).add(view.events))
    for trade in trades:
        figures.add(trade.quantity, trade.price)
        portfolio.add(trade)
    figures.positions = {key: held.position for key, held in portfolio.holdings.items()}
    return Truth(view, trades, portfolio, figures)


def check_totals(truth: Truth, differences: Differences) -> None:
    """Compare the trades counted here with the core's own sums over the same journal."""
    totals = truth.view.totals
    core = Figures("the core's own sums", totals.trades, totals.quantity, totals.notional)
    differences.compare(core, truth.figures)


def engine_figures(config: Config) -> Figures:
    """Return the running engine's totals."""
    totals = admin.request(config.admin_socket, "totals")
    return Figures("engine", int(totals["trades"]), int(totals["quantity"]), int(totals["notional"]))


# ---- the clients


def session_reports(config: Config, number: int) -> list[ouch50.Report]:
    """Return every report of one session, from its first one."""
    session = config.sessions[number]
    assert session.password_file is not None, "only sessions with a password are read"
    host, port = config.order_entry
    reports: list[ouch50.Report] = []
    with soupbintcp.SoupClient.connect(
        host, port, session.username, read_secret(session.password_file), sequence=1
    ) as client:
        # The venue answers an Account Query behind all reports that it has: then we have them all.
        client.send([ouch50.account_query()])
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not client.unsequenced and not client.ended:
            if time.monotonic() > deadline:
                raise CommandError(f"{client.peer} did not send all reports of {session.username} in time")
            reports += map(ouch50.decode, client.receive(0.2))
    return reports


def client_figures(config: Config, truth: Truth, differences: Differences) -> Figures:
    """Return what the clients' reports add up to, each compared with the journal's event."""
    figures = Figures("client reports", positions={})
    assert figures.positions is not None
    matches: dict[int, tuple[int, int]] = {}
    for number, session in enumerate(config.sessions):
        if session.password_file is None:
            figures.unread.append(session.username)
            continue
        executions = [e for e in truth.view.events if e.type == _EXECUTED and e.session == number]
        wanted = {(event.match_ref, event.user_ref): event for event in executions}
        orders: dict[int, tuple[bytes, str]] = {}
        for report in session_reports(config, number):
            if isinstance(report, ouch50.Accepted | ouch50.Replaced):
                orders[report.user_ref] = (report.side, report.symbol.decode("ascii").strip())
            elif isinstance(report, ouch50.Executed):
                matches[report.match_ref] = (report.quantity, report.price)
                event = wanted.pop((report.match_ref, report.user_ref), None)
                _check_execution(session.username, report, event, differences)
                side, symbol = orders[report.user_ref]
                key = (session.firm, symbol)
                change = report.quantity if side == ouch50.BUY else -report.quantity
                figures.positions[key] = figures.positions.get(key, 0) + change
        for event in wanted.values():
            differences.add(
                f"client reports: {session.username} has no report of match {event.match_ref} "
                f"(sequence {event.seq}, order {event.user_ref})"
            )
    for quantity, price in matches.values():
        figures.add(quantity, price)
    return figures


def _check_execution(username: str, report: ouch50.Executed, event: Event | None, differences: Differences) -> None:
    if event is None:
        differences.add(f"client reports: {username} has match {report.match_ref}, which the journal has not")
    elif (report.quantity, report.price) != (event.quantity, event.price):
        differences.add(
            f"client reports: {username} has match {report.match_ref} as {report.quantity} at "
            f"{price_text(report.price)}, the journal as {event.quantity} at {price_text(event.price)}"
        )


# ---- PostgreSQL

_TRADES = """SELECT shard, sequence, index, match_ref, symbol, quantity, price * %s,
    (extract(epoch FROM "timestamp") * 1000000)::bigint, maker_client_id, taker_client_id, maker_user_ref,
    taker_user_ref, taker_side FROM trades WHERE shard = %s ORDER BY sequence, index"""
_PORTFOLIOS = """SELECT client_id, symbol, position, avg_cost * %s FROM portfolios WHERE symbol = ANY(%s)"""


def _exact(value: Any) -> Any:
    """Return a whole numeric as an integer, and any other as it is, so that no fraction is rounded away."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def database_figures(config: Config, truth: Truth, differences: Differences) -> Figures:
    """Return what PostgreSQL's rows add up to, each compared with the journal's trade and position."""
    figures = Figures("PostgreSQL", positions={})
    with settlement.connect(config.database) as connection:
        rows = connection.execute(_TRADES, (PRICE_UNIT, config.shard)).fetchall()
        held = connection.execute(_PORTFOLIOS, (AVERAGE_UNIT, config.instruments)).fetchall()
    wanted = {(trade.sequence, trade.index): trade._replace(time_ns=trade.time_ns // 1000) for trade in truth.trades}
    for row in rows:
        trade = Trade(*map(_exact, row))
        figures.add(trade.quantity, int(trade.price))
        expected = wanted.pop((trade.sequence, trade.index), None)
        place = f"PostgreSQL: trade ({trade.shard}, {trade.sequence}, {trade.index})"
        if expected is None:
            differences.add(f"{place} is not in the journal")
        elif trade != expected:
            name = next(name for name in Trade._fields if getattr(trade, name) != getattr(expected, name))
            differences.add(f"{place}: {name} {getattr(trade, name)}, the journal says {getattr(expected, name)}")
    for trade in wanted.values():
        differences.add(f"PostgreSQL: trade ({trade.shard}, {trade.sequence}, {trade.index}) is missing")
    figures.positions = {(client, symbol): position for client, symbol, position, _ in held}
    for client, symbol, _, held_average in held:
        average = _exact(held_average)
        expected_average = truth.portfolio.holdings.get((client, symbol), Holding()).average
        if average != expected_average:
            differences.add(
                f"PostgreSQL: average cost of {client} in {symbol} {held_average / AVERAGE_UNIT}, "
                f"the journal gives {average_text(expected_average)}"
            )
    return figures


# ---- Kinesis


def stream_records(client: Any, stream: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (where, record) for every record that the stream still holds, shard by shard."""
    pages = client.get_paginator("list_shards").paginate(StreamName=stream)
    for shard in [shard for page in pages for shard in page["Shards"]]:
        place = shard["ShardId"]
        iterator = client.get_shard_iterator(StreamName=stream, ShardId=place, ShardIteratorType="TRIM_HORIZON")
        following, empty = iterator["ShardIterator"], 0
        # An empty answer is no end (the API may look through a part of the shard and find nothing), zero lag is.
        while following and empty < _KINESIS_EMPTY_READS:
            answer = client.get_records(ShardIterator=following, Limit=10_000)
            for record in answer["Records"]:
                yield f"{place} {record['SequenceNumber']}", record
            following = answer.get("NextShardIterator")
            empty = empty + 1 if not answer["Records"] else 0
            if not answer["Records"] and answer.get("MillisBehindLatest", 0) == 0:
                break


class StreamCheck:
    """Compares what is read from the stream with what the journal says should be there."""

    def __init__(self, config: Config, truth: Truth, differences: Differences) -> None:
        """Encode every record of the journal as the publisher would."""
        self.figures = Figures("Kinesis")
        self._config = config
        self._differences = differences
        self._events: dict[bytes, Event] = {}
        for event in truth.view.events:
            record = encode(event, config.shard, truth.view.names.symbols)
            if record is not None:
                self._events[record.data] = event
        self._wanted = {(event.seq, event.index) for event in self._events.values()}
        self._seen: dict[tuple[int, int, int], bytes] = {}

    def add(self, where: str, data: bytes) -> None:
        """Take one record in. Nearly all are the journal's, byte for byte, and need no parsing."""
        event = self._events.get(data)
        if event is None:
            self._stranger(where, data)
            return
        key = self._config.shard, event.seq, event.index
        if self._first(where, key, data) and event.type == _EXECUTED and not event.flags & _RESTING:
            self.figures.add(event.quantity, event.price)

    def _first(self, where: str, key: tuple[int, int, int], data: bytes) -> bool:
        """Return whether no record of this identity came before; one that differs from it is a forgery."""
        before = self._seen.setdefault(key, data)
        if before is not data and before != data:
            self._differences.add(f"Kinesis: {where}: record {key} is there twice, with different content: forged")
        return before is data

    def _stranger(self, where: str, data: bytes) -> None:
        """Name what is not in the journal as it stands there."""
        try:
            value = decode(data)
        except RecordError as error:
            self._differences.add(f"Kinesis: {where}: {error}")
            return
        key = value["shard"], value["sequence"], value["index"]
        if not self._first(where, key, data):
            return
        known = key[0] == self._config.shard and key[1:] in self._wanted
        what = "differs from the journal's" if known else "is not in the journal"
        self._differences.add(f"Kinesis: {where}: record {key} {what}: forged")
        quantity, price = value.get("quantity"), value.get("price")
        if value.get("type") == "trade" and isinstance(quantity, int) and isinstance(price, int):
            self.figures.add(quantity, price)

    def finish(self) -> Figures:
        """Name what is missing; return the sums."""
        for event in self._events.values():
            key = self._config.shard, event.seq, event.index
            if key not in self._seen:
                self._differences.add(f"Kinesis: record {key} is missing from the stream {self._config.stream}")
        return self.figures


def kinesis_figures(
    config: Config, truth: Truth, differences: Differences, records: Iterable[tuple[str, dict[str, Any]]]
) -> Figures:
    """Return what the stream's records add up to, without repeats, each compared with the journal's."""
    check = StreamCheck(config, truth, differences)
    for where, record in records:
        for data in deaggregate(record["Data"], record["PartitionKey"], record["SequenceNumber"]):
            check.add(where, data)
    return check.finish()


# ---- all of it


def reconcile(config: Config, client: Any) -> dict[str, Any]:
    """Compare all places; return the report."""
    differences = Differences()
    before = settlement.check_engine(config)["last_event"]
    begin = time.monotonic()
    truth = journal_truth(config, read_journal(config.journal_directory, config.shard))
    truth.figures.seconds = time.monotonic() - begin
    check_totals(truth, differences)
    named = list(zip(truth.view.usernames, truth.view.names.firms, strict=True))
    if named != [(session.username, session.firm) for session in config.sessions]:
        differences.add(f"configuration: its sessions are not the journal's, which are {named}")
    places: list[Callable[[], Figures]] = [
        lambda: engine_figures(config),
        lambda: client_figures(config, truth, differences),
        lambda: database_figures(config, truth, differences),
        lambda: kinesis_figures(config, truth, differences, stream_records(client, config.stream)),
    ]
    every = [truth.figures]
    for place in places:
        begin = time.monotonic()
        figures = place()
        figures.seconds = time.monotonic() - begin
        differences.compare(figures, truth.figures)
        every.append(figures)
    after = settlement.check_engine(config)["last_event"]
    if after != before:
        differences.add(f"engine: it went on from {before} to {after} meanwhile; stop trading, then reconcile again")
    return {
        "shard": config.shard,
        "reconciled": differences.count == 0,
        "last_event": after,
        "places": [figures.as_dict() for figures in every],
        "differences": differences.found,
        "difference_count": differences.count,
    }


def table(report: dict[str, Any]) -> str:
    """Return the report for people."""
    lines = [f"{'place':<16}{'fills':>12}{'quantity':>16}{'notional':>24}{'seconds':>9}  positions"]
    for place in report["places"]:
        positions = place["positions"]
        held = "-"
        if positions is not None:
            held = ", ".join(f"{key} {amount:+,}" for key, amount in positions.items()) or "none"
        figures = f"{place['fills']:>12,}{place['quantity']:>16,}{price_text(place['notional']):>24}"
        unread = f" (not read: {', '.join(place['unread'])})" if place["unread"] else ""
        lines.append(f"{place['place']:<16}{figures}{place['seconds']:>9.2f}  {held}{unread}")
    return "\n".join(lines)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook reconcile` to the command line."""
    parser = subparsers.add_parser("reconcile", help="client reports = journal = PostgreSQL = Kinesis")
    parser.add_argument("--config", type=Path, required=True, help="the shard's settlement.json")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON, not as a table")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Reconcile one shard, print the table, keep the report; fails with the first difference."""
    config = settlement.read_config(arguments.config)
    report = reconcile(config, settlement.kinesis_client())
    write_json(config.report, report)
    print(json.dumps({"result": report}) if arguments.json else table(report), flush=True)
    if not report["reconciled"]:
        more = report["difference_count"] - 1
        rest = f" (and {more} more differences; see {config.report})" if more else ""
        raise CommandError(f"shard {config.shard} is not reconciled: {report['differences'][0]}{rest}")
    return 0
