# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that can be broken behind the venue's back is broken, and the reconciliation names it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from ironbook import core
from ironbook.kinesis_codec import MarketDataRecord, aggregate, encode_all
from ironbook.protocols import ouch50
from ironbook.reconciliation import clients
from ironbook.reconciliation.stream import hash_key
from ironbook.settlement import Config
from venue import STREAM, Venue

pytestmark = pytest.mark.integration
MESSAGES = 3000


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """A venue where one generated session was traded and settled."""
    with Venue() as made:
        made.start_all()
        made.traded = made.replay(made.generate(MESSAGES))
        made.settle()
        yield made


def market_data(venue: Venue) -> list[MarketDataRecord]:
    """Return what has to be on the stream, by the journal."""
    return list(encode_all(core.events(venue.journal), 0, [venue.symbol]))


def put(venue: Venue, records: list[MarketDataRecord]) -> None:
    """Put records on the stream beside the publisher."""
    client = venue.kinesis()
    for queue in aggregate(records).values():
        for record in queue:
            client.put_record(StreamName=STREAM, Data=record.data, PartitionKey=record.partition_key)


def renew_stream(venue: Venue) -> None:
    """Delete the stream and make it anew, empty."""
    client = venue.kinesis()
    client.delete_stream(StreamName=STREAM)
    client.get_waiter("stream_not_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    venue.make_stream()


COMPLETE = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'trades_complete'"
TABLES = ("trades", "portfolios", "ledger_checkpoint")


@contextmanager
def changed_rows(venue: Venue, statement: str) -> Iterator[None]:
    """Run a statement that a dishonest hand might; put the tables back at the end."""
    with venue.connect() as connection, connection.transaction():
        for table in TABLES:
            connection.execute(f"CREATE TABLE saved_{table} AS TABLE {table}")  # type: ignore[arg-type]
        # Such a hand is not kept off by a constraint either.
        [check] = connection.execute(COMPLETE).fetchall()
        connection.execute("ALTER TABLE trades DROP CONSTRAINT trades_complete")
        assert connection.execute(statement).rowcount == 1  # type: ignore[arg-type]
        connection.execute(f"ALTER TABLE trades ADD CONSTRAINT trades_complete {check[0]}")  # type: ignore[arg-type]
    yield
    with venue.connect() as connection, connection.transaction():
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
            connection.execute(f"INSERT INTO {table} TABLE saved_{table}")  # type: ignore[arg-type]
            connection.execute(f"DROP TABLE saved_{table}")  # type: ignore[arg-type]


ONE = "id = (SELECT min(id) + 7 FROM trades)"


INSERT = "INSERT INTO trades (shard, symbol) VALUES"
CHANGES: list[tuple[str, ...]] = [
    (f"UPDATE trades SET quantity = quantity + 1 WHERE {ONE}", "PostgreSQL: trade (0, "),
    (f"UPDATE trades SET price = price + 0.0001 WHERE {ONE}", "price"),
    (f"UPDATE trades SET maker_client_id = 'OTHR' WHERE {ONE}", "maker OTHR, the journal says MAKR"),
    (f"UPDATE trades SET index = index + 100 WHERE {ONE}", "is not in the journal"),
    (f"DELETE FROM trades WHERE {ONE}", "is missing"),
    ("UPDATE portfolios SET position = position + 1 WHERE client_id = 'TAKR'", "position of TAKR in AAPL"),
    ("UPDATE portfolios SET avg_cost = avg_cost + 0.00000001 WHERE client_id = 'TAKR'", "average cost of TAKR"),
    ("DELETE FROM portfolios WHERE client_id = 'TAKR'", "position of TAKR in AAPL has no row"),
    (f"UPDATE trades SET maker_user_ref = NULL WHERE {ONE}", "has no maker_user_ref"),
    (f"{INSERT} (NULL, 'AAPL')", "1 trade (first id ", "of no shard: no engine made it"),
    (f"{INSERT} (7, 'AAPL')", "of shard 7, which is not configured"),
    (f"{INSERT} (0, 'MSFT')", "has no sequence"),
    ("INSERT INTO portfolios (client_id, symbol, position, avg_cost) VALUES ('TAKR', 'MSFT', 5, 1)", "in MSFT"),
    ("INSERT INTO portfolios (client_id, symbol, position, avg_cost) VALUES ('OTHR', 'AAPL', 0, 0)", "never traded"),
    ("INSERT INTO portfolios (symbol, position, avg_cost) VALUES ('AAPL', 5, 1)", "has an empty column"),
    ("UPDATE ledger_checkpoint SET sequence = sequence + 1", "is at (", "ahead of the journal's last event"),
    ("UPDATE ledger_checkpoint SET sequence = sequence - 1", "is at (", "behind the journal's last event"),
    ("DELETE FROM ledger_checkpoint", "the ledger's checkpoint of shard 0 is missing"),
    ("INSERT INTO ledger_checkpoint VALUES ('ledger', 7, 1, 1)", "checkpoint of ledger in shard 7, which is not"),
]


@pytest.mark.parametrize(("statement", "words"), [(statement, words) for statement, *words in CHANGES])
def test_a_changed_row_is_named(venue: Venue, statement: str, words: list[str]) -> None:
    with changed_rows(venue, statement):
        line = venue.refused()
    assert all(word in line for word in words), line
    venue.reconciled()


def test_a_journal_that_lost_its_end_is_refused_before_anybody_waits_for_it(venue: Venue) -> None:
    """The ledger has had what the engine does not have: it is named, with what to do."""
    with changed_rows(venue, "UPDATE ledger_checkpoint SET sequence = sequence + 1"):
        done = venue.command("settlement", "wait", "--config", str(venue.settlement), "--seconds", "5")
    assert done.returncode == 1
    assert "the engine's journal has lost its end" in done.stderr
    assert "restore" in done.stderr
    venue.settle()


Reports = list[ouch50.Report]


def changed_execution(reports: Reports, **what: int) -> Reports:
    """Return the reports with one execution changed, or without it."""
    at = next(number for number, report in enumerate(reports) if isinstance(report, ouch50.Executed))
    return reports[:at] + [reports[at]._replace(**what)] * bool(what) + reports[at + 1 :]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"quantity": 999_999}, "has match 1 as 999999 at"),
        ({"price": 1}, "at 0.0001, the journal as"),
        ({"match_ref": 999_999}, "has match 999999, which the journal has not"),
        ({}, "has no report of match 1 "),
    ],
)
def test_an_execution_that_a_client_saw_otherwise_is_named(
    venue: Venue, monkeypatch: pytest.MonkeyPatch, change: dict[str, int], named: str
) -> None:
    """One session's real reports, as the gateway sends them, with one of them changed on the way."""
    read = clients.session_reports

    def forged(config: Config, number: int) -> Reports:
        reports = read(config, number)
        return changed_execution(reports, **change) if config.sessions[number].username == "TAKER1" else reports

    monkeypatch.setattr(clients, "session_reports", forged)
    line = venue.refused()
    assert "client reports: TAKER1 " in line
    assert named in line


def test_a_flipped_byte_of_the_journal_is_named(venue: Venue) -> None:
    [segment] = venue.journal.glob("*.journal")
    offset = segment.stat().st_size // 2
    with segment.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
        file.flush()
        line = venue.refused()
        file.seek(offset)
        file.write(bytes([byte]))
    assert "journal: " in line
    assert segment.name in line
    venue.reconciled()


def a_trade(venue: Venue) -> MarketDataRecord:
    """Return one of the session's trade records."""
    return next(record for record in market_data(venue) if b'"trade"' in record.data)


FORGERIES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("another quantity", lambda data: data.replace(b'"quantity":', b'"quantity":1'), "twice, with different content"),
    ("a trade of its own", lambda data: data.replace(b'"sequence":', b'"sequence":9'), "is not in the journal: forged"),
    ("no record at all", lambda _data: b"something else", "is no market data record"),
    ("a nest without end", lambda _data: b"[" * 100_000, "is no market data record"),
]


@pytest.mark.parametrize(("forge", "named"), [pytest.param(*rest, id=name) for name, *rest in FORGERIES])
def test_a_forged_kinesis_record_is_named(venue: Venue, forge: Callable[[bytes], bytes], named: str) -> None:
    record = a_trade(venue)
    put(venue, [record._replace(data=forge(record.data))])
    assert named in venue.refused()
    renew_stream(venue)
    venue.settle()
    venue.reconciled()


def test_a_kinesis_record_that_comes_twice_is_read_once(venue: Venue) -> None:
    put(venue, [a_trade(venue)])
    venue.reconciled()


@contextmanager
def refilled_stream(venue: Venue) -> Iterator[None]:
    """An empty stream that the publisher leaves alone; at the end it is made anew, filled and reconciled."""
    venue.kill("publisher")
    renew_stream(venue)
    yield
    renew_stream(venue)
    venue.start_publisher()
    venue.settle()
    venue.reconciled()


def test_missing_kinesis_records_are_named(venue: Venue) -> None:
    """One that carries money, and two that do not: the sums would miss only the first."""
    with refilled_stream(venue):
        records = market_data(venue)
        kinds = (b'"trade"', b'"add"', b'"cancel"')
        missing = [next(record for record in records if kind in record.data) for kind in kinds]
        put(venue, [record for record in records if record not in missing])
        venue.refused()
        found = venue.report()["differences"]
        for record in missing:
            value = json.loads(record.data)
            assert any(f"record (0, {value['sequence']}, {value['index']}) is missing" in line for line in found)


def test_kinesis_records_out_of_their_symbols_order_are_named(venue: Venue) -> None:
    """The same records, each once, under the right key and on the right shard: two of them have changed places."""
    with refilled_stream(venue):
        records = market_data(venue)
        records[20], records[21] = records[21], records[20]
        put(venue, records)
        first, second = (json.loads(records[at].data) for at in (21, 20))
        line = venue.refused()
        assert f"record (0, {first['sequence']}, {first['index']}) of {venue.symbol} comes after" in line
        assert f"(0, {second['sequence']}, {second['index']}): out of order" in line


def test_a_stream_that_is_filled_again_from_an_older_place_is_in_order(venue: Venue) -> None:
    """What a publisher does that lost its checkpoint: every record of before comes again, behind the last."""
    put(venue, market_data(venue)[-500:])
    venue.reconciled()


def test_a_kinesis_record_under_another_partition_key_is_named(venue: Venue) -> None:
    """Everything is there, byte for byte; one record's key is another symbol's, so its readers may not find it."""
    with refilled_stream(venue):
        [queue] = aggregate(market_data(venue)).values()
        for record in queue:
            venue.kinesis().put_record(StreamName=STREAM, Data=record.data, PartitionKey="MSFT")
        assert "is under the partition key MSFT, what is in it belongs under AAPL" in venue.refused()


def test_a_record_that_is_packed_under_another_partition_key_is_named(venue: Venue) -> None:
    with refilled_stream(venue):
        records = [record._replace(partition_key="MSFT") for record in market_data(venue)]
        [queue] = aggregate(records).values()
        for record in queue:
            venue.kinesis().put_record(StreamName=STREAM, Data=record.data, PartitionKey="AAPL")
        assert "is under the partition key MSFT, what is in it belongs under AAPL" in venue.refused()


def test_a_kinesis_record_on_a_shard_that_is_not_its_keys_is_named(venue: Venue) -> None:
    """An ExplicitHashKey sends a record elsewhere than its partition key would: it overtakes those before it."""
    with refilled_stream(venue):
        [queue] = aggregate(market_data(venue)).values()
        elsewhere = str((hash_key(venue.symbol) + 2**127) % 2**128)
        for record in queue:
            venue.kinesis().put_record(
                StreamName=STREAM, Data=record.data, PartitionKey=venue.symbol, ExplicitHashKey=elsewhere
            )
        assert f"partition key {venue.symbol} does not belong on this shard" in venue.refused()
