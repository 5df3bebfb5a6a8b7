# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals that older builds wrote, kept as hex, replay to the very events that those builds gave, for ever.

Each was written by the build of its format and is never written again: a new format or new rules add a pair of files
(NAME.hex, a line for each record, and NAME.json, what came out of it).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from ironbook.core import Command, Journal, event_batches, journal_dump, journal_verify, replay
from ironbook.core.records import CommandType

GOLDEN = Path(__file__).resolve().parents[2] / "fixtures" / "core" / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.hex"))


def lay_out(name: str, directory: Path) -> Path:
    """Write the golden journal as the one segment of `directory`; return the segment's path."""
    segment = directory / "00000000000000000001.journal"
    segment.write_bytes(bytes.fromhex((GOLDEN / f"{name}.hex").read_text(encoding="ascii")))
    return segment


@pytest.mark.parametrize("name", NAMES)
def test_an_old_journal_gives_its_old_events(name: str, tmp_path: Path) -> None:
    """Every byte of every event, and the totals."""
    lay_out(name, tmp_path)
    expected = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    events = b"".join(event_batches(tmp_path))
    assert hashlib.sha256(events).hexdigest() == expected["events_sha256"]
    totals = replay(tmp_path)._asdict()
    del totals["seq"], totals["event_count"], totals["state_hash"]
    assert totals == {key: expected[key] for key in totals}
    assert journal_verify(tmp_path).records == expected["records"]


def test_a_writer_goes_on_behind_records_of_format_1(tmp_path: Path) -> None:
    """The records of both formats are one journal; what format 1 had no room for is 0."""
    lay_out("format_1_rules_1", tmp_path)
    last = list(journal_dump(tmp_path))[-1]
    with Journal(tmp_path, shard=3, orders=64) as journal:
        journal.append([Command(last.seq + 1, last.time_ns, CommandType.HALT, value=2**63)])
    commands = list(journal_dump(tmp_path))
    assert [command.seq for command in commands] == list(range(1, last.seq + 2))
    assert {command.value for command in commands[:-1]} == {0}
    assert commands[-1].value == 2**63
