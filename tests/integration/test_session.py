# SPDX-License-Identifier: GPL-3.0-or-later
"""A session from the first order to the last comparison, through real parts, and each way in which it can go wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ironbook import core
from ironbook.core.records import EventType
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


def test_every_place_holds_the_same_trades(venue: Venue) -> None:
    report = venue.reconciled()
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


def test_a_restarted_emulator_is_filled_again(venue: Venue) -> None:
    """The emulator keeps nothing. The publisher lives through its absence, and an absent stream, and fills it."""
    venue.kill("emulator")
    time.sleep(0.5)
    venue.start_emulator()
    time.sleep(0.5)
    assert venue.processes["publisher"].poll() is None
    venue.make_stream()
    venue.settle()
    venue.reconciled()
    assert venue.processes["publisher"].poll() is None


def test_a_restarted_database_loses_nothing(venue: Venue) -> None:
    venue.kill("postgres")
    more = venue.replay(venue.generate(500, seed=9))
    assert more["fills"] > 0
    venue.start_postgres()
    venue.settle()
    venue.reconciled()


def on_the_stream(venue: Venue) -> int:
    """How many Kinesis records there are."""
    client, count = venue.kinesis(), 0
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        place = {"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = client.get_shard_iterator(**place)["ShardIterator"]
        while records := (answer := client.get_records(ShardIterator=iterator))["Records"]:
            count, iterator = count + len(records), answer["NextShardIterator"]
    return count


def another_machine(venue: Venue, forget: bool = False) -> None:
    """The publisher ends, and one that has no file of a checkpoint begins; `forget`: nor a row of the database."""
    venue.kill("publisher", signal.SIGTERM)
    (checkpoint,) = (venue.state / "publisher").glob("*.json")
    checkpoint.unlink()
    if forget:
        with venue.connect() as connection:
            connection.execute("DELETE FROM public.ledger_checkpoint WHERE consumer LIKE 'publisher %'")
    venue.start_publisher()
    venue.settle()


def test_a_publisher_of_another_machine_goes_on_and_sends_nothing_again(venue: Venue) -> None:
    venue.settle()
    before = on_the_stream(venue)
    another_machine(venue)
    assert on_the_stream(venue) == before > 0
    another_machine(venue, forget=True)
    assert on_the_stream(venue) > before, "the control: without the row all of it comes again"
    venue.reconciled()


def test_a_publisher_waits_for_no_database(venue: Venue) -> None:
    venue.kill("postgres")
    before = on_the_stream(venue)
    venue.replay(venue.generate(200, seed=10))
    wait_for(lambda: on_the_stream(venue) > before, "market data without a database")
    venue.start_postgres()
    venue.settle()


def test_a_ledger_that_is_killed_again_and_again_writes_each_trade_once(venue: Venue) -> None:
    file = venue.generate(4000, seed=11)
    replay = in_background(venue, file)
    while replay.poll() is None:
        venue.kill("ledger")
        venue.start_ledger()
        time.sleep(0.4)
    assert replay.returncode == 0
    venue.settle()
    venue.reconciled()


def test_a_row_that_is_refused_leaves_the_checkpoint_where_it_was(venue: Venue) -> None:
    """Rows, positions and checkpoint are one transaction: none of them is there without the others."""
    with venue.connect() as connection:
        held = "SELECT sequence, index, (SELECT count(*) FROM trades) FROM ledger_checkpoint"
        before = connection.execute(held).fetchone()
        connection.execute("ALTER TABLE trades ADD CONSTRAINT refused CHECK (quantity < 0) NOT VALID")
        venue.replay(venue.generate(500, seed=13))
        wait_for(lambda: venue.processes["ledger"].poll() is not None, "the ledger's end")
        assert "refuses the ledger's rows" in venue.log("ledger")
        assert connection.execute(held).fetchone() == before
        connection.execute("ALTER TABLE trades DROP CONSTRAINT refused")
    venue.kill("ledger")
    venue.start_ledger()
    venue.settle()
    venue.reconciled()


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
    venue.reconciled()


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
        replay = in_background(shaken, file, "--patience", "0.1")
        wait_for(lambda: shaken.status()["seq"] > 4000, "orders in the engine")
        shaken.kill("engine")
        output, errors = replay.communicate(timeout=60)
        assert replay.returncode == 1
        assert "no primary has served" in errors
        assert "run again to go on from there" in errors
        assert len(errors.strip().splitlines()) == 1
        assert json.loads(output.splitlines()[-1])["sent"] > 0, "the task that ran it has changed something"
        shaken.start_engine()
        # This one is patient, and outlives two kills.
        replay = in_background(shaken, file)
        for kill_at in (8000, 14_000):
            wait_for(lambda at=kill_at: shaken.status()["seq"] > at, "orders in the engine")  # type: ignore[misc]
            assert replay.poll() is None, "it ended before its engine was killed"
            shaken.kill("engine")
            shaken.start_engine()
        output, errors = replay.communicate(timeout=60)
        assert replay.returncode == 0, errors
        result = json.loads(output.splitlines()[-1])["result"]
        assert 0 < result["sent"] < expected["sent"]
        for key in ("fills", "quantity", "notional", "orders", "reports"):
            assert result[key] == expected[key], key
        assert shaken.status()["state_hash"] is not None
        shaken.settle()
        shaken.reconciled()
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
        done = venue.command("session", "replay", str(venue.generate(10)), "--patience", "0.5")
        assert done.returncode == 1
        assert "no primary has served MAKER1 for 0.5 s" in done.stderr
        assert "is the engine running?" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="no market data beside the checkout")
def test_a_real_hour_is_reconciled_everywhere() -> None:
    with Venue() as venue:
        venue.start_all()
        begin = time.monotonic()
        result = venue.replay(SHARED_DATA)
        venue.settle()
        venue.reconciled()
        seconds = time.monotonic() - begin
        assert result["fills"] > 4000
        assert result["rejected"] == 0
        assert sum(result["skipped"].values()) + result["commands"] == result["messages"] + 80
        print(f"the AAPL hour, traded, settled and reconciled: {seconds:.1f} s")
