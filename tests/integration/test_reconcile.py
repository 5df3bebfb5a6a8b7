# SPDX-License-Identifier: GPL-3.0-or-later
"""Each thing that can be broken behind the venue's back is broken, and the reconciliation names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from ironbook import core
from ironbook.core.records import Command, CommandType, Event, EventType
from ironbook.kinesis_codec import MarketDataRecord, aggregate, encode_all
from ironbook.postgres import SUPERUSER
from ironbook.protocols import ouch50
from ironbook.reconciliation import clients
from ironbook.reconciliation.stream import hash_key
from ironbook.settlement import Config
from venue import PASSWORD, STREAM, Venue

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


TABLES = ("trades", "portfolios", "ledger_checkpoint")
LEDGER = "WHERE consumer = 'ledger'"  # the publisher has a row of its own there
CONSTRAINTS = """SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = ANY(%s::regclass[]) AND contype <> 'n'"""


@contextmanager
def saved_rows(venue: Venue) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection to tables without constraints; put rows and constraints back, whatever happens meanwhile."""
    with venue.connect() as connection, connection.transaction():
        constraints = connection.execute(CONSTRAINTS, (list(TABLES),)).fetchall()
        for table in TABLES:
            connection.execute(f"CREATE TABLE saved_{table} AS TABLE {table}")  # type: ignore[arg-type]
        # A dishonest hand is not kept off by a constraint either.
        for table, name, _ in constraints:
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")  # type: ignore[arg-type]
    try:
        with venue.connect() as connection:
            yield connection
    finally:
        with venue.connect() as connection, connection.transaction():
            for table in TABLES:
                connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
                connection.execute(f"INSERT INTO {table} TABLE saved_{table}")  # type: ignore[arg-type]
                connection.execute(f"DROP TABLE saved_{table}")  # type: ignore[arg-type]
            for table, name, definition in constraints:
                connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")  # type: ignore[arg-type]


@contextmanager
def changed_rows(venue: Venue, statement: str) -> Iterator[None]:
    """Run a statement that a dishonest hand might; put the tables back at the end."""
    with saved_rows(venue) as connection:
        assert connection.execute(statement).rowcount == 1  # type: ignore[arg-type]
        yield


def test_changed_rows_are_put_back_even_if_the_test_between_fails(venue: Venue) -> None:
    """Else one failure would be that of every test behind it."""
    with pytest.raises(AssertionError), changed_rows(venue, f"DELETE FROM ledger_checkpoint {LEDGER}"):
        raise AssertionError
    with pytest.raises(AssertionError), changed_rows(venue, "DELETE FROM trades"):
        pass
    venue.reconciled()


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
    (f"UPDATE ledger_checkpoint SET sequence = sequence + 1 {LEDGER}", "is at (", "ahead of the journal's last event"),
    (f"UPDATE ledger_checkpoint SET sequence = sequence - 1 {LEDGER}", "is at (", "behind the journal's last event"),
    (f"DELETE FROM ledger_checkpoint {LEDGER}", "the ledger's checkpoint of shard 0 is missing"),
    ("INSERT INTO ledger_checkpoint VALUES ('ledger', 7, 1, 1)", "checkpoint of ledger in shard 7, which is not"),
    # Rows of one key: the honest one comes last.
    (
        "INSERT INTO portfolios (id, client_id, symbol, position, avg_cost) "
        "SELECT 0, client_id, symbol, position + 5, avg_cost FROM portfolios WHERE client_id = 'TAKR'",
        "position of TAKR in AAPL has 2 rows",
    ),
    ("INSERT INTO ledger_checkpoint VALUES ('publisher s t', 0, 99999999, 1)", "ahead of the journal's last event"),
    (
        f"INSERT INTO ledger_checkpoint SELECT * FROM ledger_checkpoint {LEDGER}",
        "checkpoint of ledger in shard 0 has 2 rows",
    ),
    (f"INSERT INTO trades SELECT * FROM trades WHERE {ONE}", "here twice"),
    # What is no number to reckon with.
    (f"UPDATE trades SET \"timestamp\" = 'infinity' WHERE {ONE}", "time_ns Infinity, the journal says"),
    (f"UPDATE trades SET \"timestamp\" = '-infinity' WHERE {ONE}", "time_ns -Infinity, the journal says"),
    (f"UPDATE trades SET price = 'NaN' WHERE {ONE}", "price NaN, the journal says"),
    ("UPDATE portfolios SET avg_cost = 'NaN' WHERE client_id = 'TAKR'", "average cost of TAKR in AAPL NaN"),
]


@pytest.mark.parametrize(("statement", "words"), [(statement, words) for statement, *words in CHANGES])
def test_a_changed_row_is_named(venue: Venue, statement: str, words: list[str]) -> None:
    with changed_rows(venue, statement):
        line = venue.refused()
    assert all(word in line for word in words), line
    venue.reconciled()


def test_a_schema_named_like_the_user_shadows_nothing(venue: Venue) -> None:
    """PostgreSQL looks there first: honest copies would be read instead of the tables that everybody else reads."""
    with changed_rows(venue, f"UPDATE trades SET quantity = quantity + 1 WHERE {ONE}"), venue.connect() as connection:
        connection.execute(f"CREATE SCHEMA {SUPERUSER}")  # type: ignore[arg-type]
        try:
            for table in TABLES:
                copied = f"CREATE TABLE {SUPERUSER}.{table} AS TABLE public.saved_{table}"
                connection.execute(copied)  # type: ignore[arg-type]
            assert "PostgreSQL: trade (0, " in venue.refused()
            connection.execute(f"UPDATE {SUPERUSER}.ledger_checkpoint SET sequence = 0")  # type: ignore[arg-type]
            venue.settle(5)
        finally:
            connection.execute(f"DROP SCHEMA {SUPERUSER} CASCADE")  # type: ignore[arg-type]
    venue.reconciled()


def test_a_view_in_the_place_of_a_table_is_named(venue: Venue) -> None:
    """What it leaves out, or shows to one user alone, nobody could see by its rows."""
    with venue.connect() as connection:
        connection.execute("ALTER TABLE trades RENAME TO hidden")
        connection.execute("CREATE VIEW trades AS TABLE hidden")
        try:
            line = venue.refused()
        finally:
            connection.execute("DROP VIEW trades")
            connection.execute("ALTER TABLE hidden RENAME TO trades")
    assert "PostgreSQL: public.trades is no table" in line
    venue.reconciled()


@contextmanager
def plain_owner(venue: Venue) -> Iterator[None]:
    """The services' own user owns the tables and is no superuser, as on RDS: policies may be forced on it."""
    config = venue.settlement.read_text()
    with venue.connect() as connection:
        connection.execute(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")  # type: ignore[arg-type]
        for table in TABLES:
            connection.execute(f"ALTER TABLE {table} OWNER TO plain")  # type: ignore[arg-type]
        try:
            value = json.loads(config)
            value["database"]["user"] = "plain"
            venue.settlement.write_text(json.dumps(value))
            yield
        finally:
            venue.settlement.write_text(config)
            connection.execute(f"REASSIGN OWNED BY plain TO {SUPERUSER}")  # type: ignore[arg-type]
            connection.execute("DROP ROLE plain")


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_a_policy_hides_are_refused_in_one_line(venue: Venue, table: str) -> None:
    """A forged row of another shard is there for all but the one who looks for it."""
    with plain_owner(venue), venue.connect() as connection:
        venue.reconciled()
        connection.execute(f"CREATE POLICY hide ON {table} USING (false)")  # type: ignore[arg-type]
        connection.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")  # type: ignore[arg-type]
        connection.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")  # type: ignore[arg-type]
        try:
            line = venue.refused()
        finally:
            connection.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")  # type: ignore[arg-type]
            connection.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")  # type: ignore[arg-type]
            connection.execute(f"DROP POLICY hide ON {table}")  # type: ignore[arg-type]
    assert f'row-level security policy for table "{table}"' in line, line
    venue.reconciled()


def test_a_journal_that_lost_its_end_is_refused_before_anybody_waits_for_it(venue: Venue) -> None:
    """The ledger has had what the engine does not have: it is named, with what to do."""
    with changed_rows(venue, f"UPDATE ledger_checkpoint SET sequence = sequence + 1 {LEDGER}"):
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
    offset = len(segment.read_bytes().rstrip(b"\0")) // 2  # behind its last record a live one is zero
    with segment.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
        file.flush()
        try:
            line = venue.refused()
        finally:
            file.seek(offset)
            file.write(bytes([byte]))
    assert "journal: " in line
    assert segment.name in line
    venue.reconciled()


def untouched_enter(commands: list[Command], events: list[Event]) -> Command:
    """Return the last order that rests in the book as it came: nothing happened to it afterwards."""
    last = {event.order_ref: event for event in events}
    resting = {event.seq for event in last.values() if event.type == EventType.RESTED}
    return next(c for c in reversed(commands) if c.type == CommandType.ENTER and c.seq in resting)


def canceled_enter(commands: list[Command], events: list[Event]) -> Command:
    """Return an order that is gone without a fill: nothing of it is left in the engine's state."""
    last = {event.order_ref: event for event in events}
    entered = {event.seq for event in events if event.type == EventType.ACCEPTED}
    gone = {(e.session, e.user_ref) for e in last.values() if e.type == EventType.CANCELED}
    return next(c for c in commands if c.seq in entered and (c.session, c.user_ref) in gone)


Commands = list[Command]


def with_owner(commands: Commands, events: list[Event]) -> Commands:
    command = untouched_enter(commands, events)
    other = 1 - command.session
    assert all(later.session != other for later in commands[command.seq :]), "its numbers would go backwards"
    user_ref = max(c.user_ref for c in commands if c.session == other) + 1
    forged = command._replace(session=other, user_ref=user_ref)
    return [*commands[: command.seq - 1], forged, *commands[command.seq :]]


def with_client_data(commands: Commands, command: Command) -> Commands:
    return [*commands[: command.seq - 1], command._replace(client_data=b"FORGED"), *commands[command.seq :]]


JOURNALS: list[tuple[str, Callable[[Commands, list[Event]], Commands], str]] = [
    ("an open order's owner", with_owner, "it leads to the state "),
    ("an open order's data", lambda c, e: with_client_data(c, untouched_enter(c, e)), "it leads to the state "),
    ("a dead order's data", lambda c, e: with_client_data(c, canceled_enter(c, e)), "client_data b'FORGED"),
    ("one more command", lambda c, _: [*c, c[-1]._replace(seq=len(c) + 1)], "after the engine's last one"),
    ("one command less", lambda c, _: c[:-1], "it does not lead to the engine's sequence number"),
]


@pytest.mark.parametrize(("forge", "named"), [pytest.param(*rest, id=name) for name, *rest in JOURNALS])
def test_a_journal_that_the_engine_did_not_write_is_named(
    venue: Venue, forge: Callable[[Commands, list[Event]], Commands], named: str
) -> None:
    """Sums and chain are right, since the core itself wrote them; the engine still has the old file open."""
    [segment] = venue.journal.glob("*.journal")
    kept, directory = venue.state / "kept.journal", venue.state / "forged"
    commands = forge(list(core.journal_dump(venue.journal, 0)), list(core.events(venue.journal)))
    with core.Journal(directory) as journal:
        for begin in range(0, len(commands), 500):
            journal.append(commands[begin : begin + 500])
    assert core.journal_verify(directory, 0)
    kept.hardlink_to(segment)
    [written] = directory.glob("*.journal")
    written.rename(segment)
    try:
        line = venue.refused()
    finally:
        kept.rename(segment)
        shutil.rmtree(directory)
    assert line.partition("is not reconciled: ")[2].startswith("journal: "), line
    assert named in line
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
    try:
        yield
    finally:
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
