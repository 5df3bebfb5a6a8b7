# SPDX-License-Identifier: GPL-3.0-or-later
"""A session from the first order to the last comparison, through real parts, and each way in which it can go wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ironbook import core
from ironbook.core.records import EventType
from ironbook.kinesis_codec import MarketDataRecord, aggregate, encode_all
from venue import FIRMS, MIGRATIONS, ROOT, STREAM, Venue, wait_for

pytestmark = pytest.mark.integration
MESSAGES = 3000
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """A venue where one generated session was traded and settled."""
    with Venue() as made:
        made.start_all()
        made.traded = made.replay(made.generate(MESSAGES))
        made.settle()
        yield made


def reconciled(venue: Venue) -> dict[str, Any]:
    """Reconcile, which must succeed; return the report."""
    done = venue.reconcile()
    assert done.returncode == 0, done.stderr
    return venue.report()


def refused(venue: Venue) -> str:
    """Reconcile, which must fail with one line; return it."""
    done = venue.reconcile()
    assert done.returncode != 0, "the reconciliation saw no difference"
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


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


def test_every_place_holds_the_same_trades(venue: Venue) -> None:
    report = reconciled(venue)
    traded = venue.traded
    assert [place["place"] for place in report["places"]] == [
        "journal",
        "engine",
        "client reports",
        "PostgreSQL",
        "Kinesis",
    ]
    for place in report["places"]:
        assert place["fills"] == traded["fills"] > 50
        assert place["quantity"] == traded["quantity"]
        assert place["notional"] == traded["notional"]
        assert not place["unread"]
        if place["positions"]:
            assert sum(place["positions"].values()) == 0
            assert set(place["positions"]) == {f"{firm} {venue.symbol}" for firm in FIRMS.values()}


def test_rows_are_those_that_the_clients_saw(venue: Venue) -> None:
    with venue.connect() as connection:
        row = connection.execute(
            "SELECT count(*), sum(quantity), sum(price * quantity * 10000)::bigint, count(DISTINCT match_ref),"
            " bool_and(maker_client_id = ANY(%s) AND taker_client_id = ANY(%s)) FROM trades",
            (list(FIRMS.values()), list(FIRMS.values())),
        ).fetchone()
    traded = venue.traded
    assert row == (traded["fills"], traded["quantity"], traded["notional"], traded["fills"], True)


def test_a_second_replay_sends_nothing(venue: Venue) -> None:
    before = venue.status()["seq"]
    again = venue.replay(venue.generate(MESSAGES))
    assert (again["sent"], again["changed"]) == (0, False)
    assert {key: again[key] for key in ("fills", "quantity", "notional", "reports")} == {
        key: venue.traded[key] for key in ("fills", "quantity", "notional", "reports")
    }
    assert venue.status()["seq"] == before


@contextmanager
def changed_rows(venue: Venue, statement: str) -> Iterator[None]:
    """Run a statement that a dishonest hand might; put the tables back at the end."""
    with venue.connect() as connection:
        for table in ("trades", "portfolios"):
            connection.execute(f"CREATE TABLE saved_{table} AS TABLE {table}")  # type: ignore[arg-type]
        assert connection.execute(statement).rowcount == 1  # type: ignore[arg-type]
    yield
    with venue.connect() as connection, connection.transaction():
        for table in ("trades", "portfolios"):
            connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
            connection.execute(f"INSERT INTO {table} TABLE saved_{table}")  # type: ignore[arg-type]
            connection.execute(f"DROP TABLE saved_{table}")  # type: ignore[arg-type]


ONE = "id = (SELECT min(id) + 7 FROM trades)"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (f"UPDATE trades SET quantity = quantity + 1 WHERE {ONE}", "PostgreSQL: trade (0, "),
        (f"UPDATE trades SET price = price + 0.0001 WHERE {ONE}", "price"),
        (f"UPDATE trades SET maker_client_id = 'OTHR' WHERE {ONE}", "maker OTHR, the journal says MAKR"),
        (f"UPDATE trades SET index = index + 100 WHERE {ONE}", "is not in the journal"),
        (f"DELETE FROM trades WHERE {ONE}", "is missing"),
        ("UPDATE portfolios SET position = position + 1 WHERE client_id = 'TAKR'", "position of TAKR in AAPL"),
        ("UPDATE portfolios SET avg_cost = avg_cost + 0.00000001 WHERE client_id = 'TAKR'", "average cost of TAKR"),
    ],
)
def test_a_changed_row_is_named(venue: Venue, statement: str, named: str) -> None:
    with changed_rows(venue, statement):
        assert named in refused(venue)
    reconciled(venue)


def test_a_flipped_byte_of_the_journal_is_named(venue: Venue) -> None:
    [segment] = venue.journal.glob("*.journal")
    offset = segment.stat().st_size // 2
    with segment.open("r+b") as file:
        file.seek(offset)
        [byte] = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
        file.flush()
        line = refused(venue)
        file.seek(offset)
        file.write(bytes([byte]))
    assert "journal: " in line
    assert segment.name in line
    reconciled(venue)


def a_trade(venue: Venue) -> MarketDataRecord:
    """Return one of the session's trade records."""
    return next(record for record in market_data(venue) if b'"trade"' in record.data)


FORGERIES: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("another quantity", lambda data: data.replace(b'"quantity":', b'"quantity":1'), "twice, with different content"),
    ("a trade of its own", lambda data: data.replace(b'"sequence":', b'"sequence":9'), "is not in the journal: forged"),
    ("no record at all", lambda _data: b"something else", "is no market data record"),
]


@pytest.mark.parametrize(("forge", "named"), [pytest.param(*rest, id=name) for name, *rest in FORGERIES])
def test_a_forged_kinesis_record_is_named(venue: Venue, forge: Callable[[bytes], bytes], named: str) -> None:
    record = a_trade(venue)
    put(venue, [record._replace(data=forge(record.data))])
    assert named in refused(venue)
    renew_stream(venue)
    venue.settle()
    reconciled(venue)


def test_a_kinesis_record_that_comes_twice_is_read_once(venue: Venue) -> None:
    put(venue, [a_trade(venue)])
    reconciled(venue)


def test_a_missing_kinesis_record_is_named(venue: Venue) -> None:
    venue.kill("publisher")
    renew_stream(venue)
    missing = a_trade(venue)
    put(venue, [record for record in market_data(venue) if record != missing])
    value = json.loads(missing.data)
    assert f"record (0, {value['sequence']}, {value['index']}) is missing" in refused(venue)
    renew_stream(venue)
    venue.start_publisher()
    venue.settle()
    reconciled(venue)


def test_a_restarted_emulator_is_filled_again(venue: Venue) -> None:
    """The emulator keeps nothing. The publisher lives through its absence, and an absent stream, and fills it."""
    venue.kill("emulator")
    time.sleep(0.5)
    venue.start_emulator()
    time.sleep(0.5)
    assert venue.processes["publisher"].poll() is None
    venue.make_stream()
    venue.settle()
    reconciled(venue)
    assert venue.processes["publisher"].poll() is None


def test_a_restarted_database_loses_nothing(venue: Venue) -> None:
    venue.kill("postgres")
    more = venue.replay(venue.generate(500, seed=9))
    assert more["fills"] > 0
    venue.start_postgres()
    venue.settle()
    reconciled(venue)


def test_a_ledger_that_is_killed_again_and_again_writes_each_trade_once(venue: Venue) -> None:
    file = venue.generate(4000, seed=11)
    replay = in_background(venue, file)
    while replay.poll() is None:
        venue.kill("ledger")
        venue.start_ledger()
        time.sleep(0.4)
    assert replay.returncode == 0
    venue.settle()
    reconciled(venue)


def test_what_is_behind_is_named_at_the_deadline(venue: Venue) -> None:
    venue.kill("ledger", signal.SIGTERM)
    venue.replay(venue.generate(200, seed=21))
    done = venue.command("settlement", "wait", "--config", str(venue.settlement), "--seconds", "1.5")
    assert done.returncode == 1
    assert "not settled after 2 s" in done.stderr or "not settled after 1 s" in done.stderr
    assert "the ledger is at" in done.stderr
    assert "publisher" not in done.stderr
    venue.start_ledger()
    venue.settle()
    reconciled(venue)


def in_background(venue: Venue, file: Path, *arguments: str) -> subprocess.Popen[str]:
    code = "import sys; from ironbook.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, "session", "replay", str(file), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=venue.environment,
    )


def test_an_engine_killed_in_the_middle_of_trading_ends_in_the_same_totals() -> None:
    with Venue() as calm, Venue() as shaken:
        calm.start_engine()
        file = calm.generate(20_000, seed=5)
        expected = calm.replay(file)
        shaken.start_all()
        for kill_at in (4000, 11_000):
            replay = in_background(shaken, file)
            wait_for(lambda at=kill_at: shaken.status()["seq"] > at, "orders in the engine")  # type: ignore[misc]
            shaken.kill("engine")
            _, errors = replay.communicate(timeout=60)
            assert replay.returncode == 1
            assert "closed the connection" in errors
            assert "run again to go on from there" in errors
            assert len(errors.strip().splitlines()) == 1
            shaken.start_engine()
        result = shaken.replay(file)
        assert 0 < result["sent"] < expected["sent"]
        for key in ("fills", "quantity", "notional", "orders", "reports"):
            assert result[key] == expected[key], key
        assert shaken.status()["state_hash"] is not None
        shaken.settle()
        reconciled(shaken)
        totals = core.replay(shaken.journal)
        assert (totals.trades, totals.notional) == (expected["fills"], expected["notional"])
        kinds = [event.type for event in core.events(shaken.journal)]
        assert kinds.count(EventType.ACCEPTED) == expected["orders"]


def test_a_client_killed_in_the_middle_goes_on_and_another_input_waits_its_turn() -> None:
    with Venue() as venue:
        venue.start_engine()
        first, second = venue.generate(20_000, seed=6), venue.generate(300, seed=7)
        replay = in_background(venue, first)
        wait_for(lambda: venue.status()["seq"] > 3000, "orders in the engine")
        replay.kill()
        replay.communicate()
        result = venue.replay(first)
        assert result["changed"]
        assert result["sent"] < 20_000
        other = venue.replay(second)
        files = [path for path in (venue.state / "trade").glob("*.json") if path.name != "client.json"]
        states = sorted((json.loads(path.read_text()) for path in files), key=lambda state: state["base"])
        assert states[1]["base"] >= states[0]["base"] + states[0]["commands"]
        totals = core.replay(venue.journal)
        assert totals.trades == result["fills"] + other["fills"]


def test_an_unfinished_replay_is_not_resumed_over_somebody_elses_numbers() -> None:
    with Venue() as venue:
        venue.start_engine()
        first, second = venue.generate(20_000, seed=6), venue.generate(300, seed=7)
        replay = in_background(venue, first)
        wait_for(lambda: venue.status()["seq"] > 1000, "orders in the engine")
        replay.kill()
        replay.communicate()
        venue.replay(second)
        done = venue.command("session", "replay", str(first))
        assert done.returncode == 1
        assert "cannot be resumed" in done.stderr


def test_a_ledger_needs_the_schema_of_0002() -> None:
    with Venue() as venue:
        venue.start_postgres()
        with venue.connect("postgres") as connection:
            connection.execute("DROP DATABASE trading_platform")
            connection.execute("CREATE DATABASE trading_platform")
        venue.migrate(MIGRATIONS[:1])
        done = venue.command("ledger", "run", "--config", str(venue.settlement))
        assert done.returncode == 1
        assert "older than migration 0002" in done.stderr.strip().splitlines()[-1]
        assert "ironbook.trading.migrate" in done.stderr
        assert json.loads((venue.state / "run" / "ledger-0.status.json").read_text())["state"] == "failed"


def test_a_database_that_refuses_is_one_line() -> None:
    with Venue() as venue:
        venue.start_postgres()
        (venue.state / "secrets" / "database").write_text("wrong\n")
        done = venue.command("ledger", "run", "--config", str(venue.settlement))
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert "refuses: password authentication failed" in last
        assert "trading_platform" in last


def test_an_absent_engine_is_one_line() -> None:
    with Venue() as venue:
        done = venue.command("session", "replay", str(venue.generate(10)))
        assert done.returncode == 1
        assert "is the engine running?" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no market data beside the checkout")
def test_a_real_hour_is_reconciled_everywhere() -> None:
    with Venue() as venue:
        venue.start_all()
        begin = time.monotonic()
        result = venue.replay(SHARED_DATA)
        venue.settle()
        reconciled(venue)
        seconds = time.monotonic() - begin
        assert result["fills"] > 4000
        assert result["rejected"] == 0
        assert sum(result["skipped"].values()) + result["commands"] == result["messages"] + 80
        print(f"the AAPL hour, traded, settled and reconciled: {seconds:.1f} s")
