# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook bench recovery`: a journal that an engine really recovers from, and what it says of that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ironbook import bench_recovery, cli, core
from ironbook.core.bench import BenchJournal, Recovery
from ironbook.core.journal import journal_verify, replay
from ironbook.core.matcher import Totals
from ironbook.errors import CommandError

RECORDS = 100_000


def journal(directory: Path, symbols: int = 3, events: int = 4 * RECORDS) -> BenchJournal:
    for name in ("journal", "run"):
        (directory / name).mkdir(exist_ok=True)
    return BenchJournal(
        str(directory / "journal"),
        str(directory / "run"),
        records=RECORDS,
        symbols=symbols,
        orders=2**16,
        events=events,
        segment_bytes=2**22,
    )


def test_one_line_says_how_fast_a_journal_is_read_and_recovered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--records", str(RECORDS), "--symbols", "2", "--passes", "2", "--directory", str(tmp_path), "--json"]
    assert cli.main(["bench", "recovery", *words]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert found["records"] == RECORDS and found["journal_bytes"] > RECORDS * 192
    for name in ("verify", "whole"):
        assert 0 < found[name]["records_per_s"] <= found[name]["records_per_s_best"]
        assert found[name]["ns_per_record"] > 0 and found[name]["cpu_ns_per_record"] > 0
    assert found["trades"] > RECORDS // 10 and found["rejects"] == 0
    assert 5_000 < found["resting"] < 50_000
    assert found["events"] > RECORDS
    assert found["machine"] and found["compiler"] and found["date"]
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_it_says_the_same_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "recovery", "--records", str(RECORDS), "--passes", "1"]) == 0
    assert "records a second recovered: matcher and event log as well" in capsys.readouterr().out


def test_the_journal_is_one_that_the_replay_knows(tmp_path: Path) -> None:
    """Offline, through another reader and a matcher of its own: the same state after the same events."""
    made = journal(tmp_path)
    made.write()
    assert journal_verify(tmp_path / "journal").records == RECORDS
    found = made.recover()
    assert replay(tmp_path / "journal") == found.totals
    assert found.records == RECORDS and found.events == found.totals.event_count
    assert made.verify().records == RECORDS
    assert made.recover().totals == found.totals  # and the first recovery has changed nothing


def test_directory_with_a_journal_in_it_is_refused(tmp_path: Path) -> None:
    journal(tmp_path).write()
    with pytest.raises(core.CoreError, match="name an empty one"):
        journal(tmp_path).write()


def test_damage_and_a_log_that_is_too_small_are_told(tmp_path: Path) -> None:
    journal(tmp_path).write()
    with pytest.raises(core.CoreError, match=r"raise limits\.events"):
        journal(tmp_path, events=RECORDS).recover()
    segment = min((tmp_path / "journal").glob("*.journal"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    for call in (journal(tmp_path).verify, journal(tmp_path).recover):
        with pytest.raises(core.CoreError, match="damaged"):
            call()


def test_place_that_is_no_directory_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--directory", "--run-directory"):
        assert cli.main(["bench", "recovery", flag, str(tmp_path / "none")]) == 1
        said = capsys.readouterr().err
        assert said == f"ironbook: bench recovery: {tmp_path}/none is no directory: make it, or name another one\n"


def test_passes_that_differ_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter(range(10))
    plain = Recovery(RECORDS, 1, 1, 1, 1, Totals(RECORDS, 0, 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(BenchJournal, "write", lambda _: None)
    monkeypatch.setattr(BenchJournal, "verify", lambda _: plain)
    monkeypatch.setattr(
        BenchJournal,
        "recover",
        lambda _: plain._replace(totals=plain.totals._replace(state_hash=next(hashes))),
    )
    with pytest.raises(CommandError, match="not every pass came to the same end"):
        bench_recovery.measure(records=RECORDS, symbols=1, passes=2, directory=None, run=None)
