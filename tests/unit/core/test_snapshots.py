# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots through the binding and the command line: what is printed, what is refused, and with which words."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path

import pytest
from ironbook import cli, core
from ironbook.core.errors import ArgumentError, ConfigurationError, JournalDamagedError, JournalForeignError
from unit.core.flow import FIELDS, Flow
from unit.core.oracle import Oracle

CAPACITY = 300


@functools.cache
def flow(seed: int) -> list[core.Command]:
    """Return 3,000 commands over all order types, phases and limits, as the oracle aims them."""
    oracle = Oracle(CAPACITY)
    aimed = Flow(seed, oracle)
    definitions = iter(aimed.definitions())
    commands = []
    for _ in range(3000):
        command = next(definitions, None) or aimed.next()
        oracle.apply(command)
        commands.append(core.Command(*[command[field] for field in FIELDS]))
    return commands


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of such a flow in several segments."""
    commands = flow(11)
    with core.Journal(tmp_path / "journal", shard=7, orders=CAPACITY, segment_bytes=100_000) as written:
        for begin in range(0, len(commands), 50):
            written.append(commands[begin : begin + 50])
    return tmp_path / "journal"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `ironbook` and return its status and what it wrote."""
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def damage(path: Path, offset: int) -> None:
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


def test_any_snapshot_leads_where_the_whole_journal_leads(journal: Path) -> None:
    """At random places of a flow over all rules: behind the snapshot comes the state that the whole journal has."""
    numbers = random.Random(5)
    places = sorted(numbers.sample(range(1, 3001), 25))
    ends = {seq: core.replay(journal, seq) for seq in [*places, 3000]}
    for seq in places:
        report = core.snapshot_take(journal, seq, shard=7)
        assert (report.seq, report.state_hash) == (seq, ends[seq].state_hash)
        assert report.event_count == ends[seq].event_count
        assert core.snapshot_verify(journal / report.file) == report._replace(from_seq=0)
        assert core.replay(journal, whole=False) == ends[3000]
    assert core.replay(journal, places[9], whole=False) == ends[places[9]]
    assert [core.snapshot_look(path).seq for path in core.snapshots(journal)] == places


def test_the_command_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Take, list, verify; the journal's own commands begin with the newest one unless told not to."""
    status, out, _ = run(capsys, "snapshot", "take", str(journal), "--until", "1000", "--shard", "7")
    first = json.loads(out)
    assert (status, first["seq"], first["from_seq"], first["shard"]) == (0, 1000, 0, 7)
    second = json.loads(run(capsys, "snapshot", "take", str(journal))[1])
    assert (second["seq"], second["from_seq"]) == (3000, 1000)
    assert second["state_hash"] == run(capsys, "journal", "hash", str(journal))[1].strip()
    assert second["state_hash"] == run(capsys, "journal", "hash", str(journal), "--whole")[1].strip()
    totals = run(capsys, "journal", "totals", str(journal))
    assert totals == run(capsys, "journal", "totals", str(journal), "--whole")
    listed = [json.loads(line) for line in run(capsys, "snapshot", "list", str(journal))[1].splitlines()]
    assert [line["file"] for line in listed] == [first["file"], second["file"]]
    verified = [json.loads(line) for line in run(capsys, "snapshot", "verify", str(journal))[1].splitlines()]
    assert [line["sha256"] for line in verified] == [first["sha256"], second["sha256"]]


@pytest.mark.feature("ENG-14", by="U", part="a snapshot")
def test_a_damaged_one_is_passed_over_and_said(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It costs time, not the state; who verifies it is told what is wrong in one line."""
    good = core.snapshot_take(journal, 500)
    bad = core.snapshot_take(journal, 2000)
    damage(journal / bad.file, bad.bytes // 2)
    status, out, error = run(capsys, "journal", "hash", str(journal))
    assert (status, out.strip()) == (0, f"{core.replay(journal).state_hash:016x}")
    assert error.count("\n") == 1
    assert f"{bad.file}: its content does not fit its SHA-256, so it is passed over" in error
    status, _, error = run(capsys, "snapshot", "verify", str(journal / bad.file))
    assert (status, error.count("\n")) == (1, 1)
    assert bad.file in error
    assert core.snapshot_take(journal, 600).from_seq == good.seq
    replayed = json.loads(run(capsys, "replay", str(journal))[1])
    assert replayed["state_hash"] == out.strip()
    assert bad.file in replayed["notes"][0]


def test_what_contradicts_is_refused_by_name(journal: Path, tmp_path: Path) -> None:
    """Another shard's, one that is ahead of the journal, and one of another history are no accident of a disk."""
    with pytest.raises(JournalForeignError, match="journal of shard 7, but shard 8 was asked for"):
        core.snapshot_take(journal, shard=8)
    report = core.snapshot_take(journal, 2500)
    with pytest.raises(JournalForeignError, match=f"{report.file}: a snapshot of shard 7, but shard 8"):
        core.snapshot_verify(journal / report.file, shard=8)
    other = tmp_path / "other"
    for count, words in ((2000, "ends before it"), (2800, "another hash chain")):
        commands = flow(12)[:count]
        with core.Journal(other, shard=7, orders=CAPACITY) as written:
            for begin in range(0, len(commands), 50):
                written.append(commands[begin : begin + 50])
        (other / report.file).write_bytes((journal / report.file).read_bytes())
        with pytest.raises(ConfigurationError, match=f"sequence 2500 .*{words}.*{report.file}"):
            core.replay(other, whole=False)
        assert core.replay(other).seq == count
        for path in other.iterdir():
            path.unlink()
    with pytest.raises(JournalDamagedError, match="shorter than the head"):
        (other / report.file).write_bytes(b"IBSNAP\r\n")
        core.snapshot_look(other / report.file)


def test_bad_arguments_are_one_line(journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nowhere, nothing, and sequence numbers that are none."""
    with pytest.raises(ArgumentError, match="sequence numbers begin at 1"):
        core.snapshot_take(journal, 0)
    with pytest.raises(ArgumentError, match="before the one that was asked for"):
        core.snapshot_take(journal, 3001)
    for arguments, words in (
        (("take", str(tmp_path / "nowhere")), "cannot open the journal's directory"),
        (("list", str(tmp_path / "nowhere")), "cannot be read"),
        (("verify", str(journal)), "no snapshot here"),
        (("verify", str(journal / "x.snapshot")), "No such file"),
    ):
        status, _, error = run(capsys, "snapshot", *arguments)
        assert (status, error.count("\n")) == (1, 1), error
        assert words in error
    assert not list(journal.glob("*.new"))
