# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals that older builds wrote, kept as hex, replay to the very events that those builds gave, for ever.

Each was written by the build of its format and is never written again: a new format or new rules add a pair of files
(NAME.hex, a line for each record, and NAME.json, what came out of it). Those of rules 2 and 3 are seeded flows of some
12,000 commands, of which only those were kept that were needed for every type of command, event, reason, phase and
flag, every cause of each, and every pair of order type and time in force. That of rules 3 begins with rules 2, and has
every kind of MODIFY, before and after the switch.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from ironbook.core import Command, Journal, event_batches, journal_dump, journal_verify, replay
from ironbook.core.records import CommandType
from unit.core.differential import EVERYTHING, EVERYTHING_OF_RULES_2, Pair

GOLDEN = Path(__file__).resolve().parents[2] / "fixtures" / "core" / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.hex"))


def lay_out(name: str, directory: Path) -> Path:
    """Write the golden journal as the one segment of `directory`; return the segment's path."""
    directory.mkdir(exist_ok=True)
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
    if "state_hash" in expected:  # members of one shard compare it, whatever build each of them is
        assert f"{totals['state_hash']:016x}" == expected.pop("state_hash")
    del totals["seq"], totals["event_count"], totals["state_hash"]
    assert totals == {key: expected[key] for key in totals}
    assert journal_verify(tmp_path).records == expected["records"]


@pytest.mark.parametrize(
    ("name", "later", "everything"),
    [("format_2_rules_2", {CommandType.MODIFY}, EVERYTHING_OF_RULES_2), ("format_2_rules_3", set(), EVERYTHING)],
)
def test_the_journal_has_every_command_of_its_rules_and_reaches_everything(
    name: str, later: set[CommandType], everything: set[tuple[str, int]], tmp_path: Path
) -> None:
    """And its events are those of the oracle, which was written from the rules and not from the core."""
    lay_out(name, tmp_path)
    commands = list(journal_dump(tmp_path))
    assert {command.type for command in commands} >= set(CommandType) - later
    pair = Pair(12)
    with pair.core:
        pair.run((command._asdict() for command in commands), every=1)
    assert everything - set(pair.seen) == set()


@pytest.mark.parametrize("fault", ["matching", "state hash"])
def test_another_outcome_is_noticed(fault: str, tmp_path: Path) -> None:
    """Negative control: one order of another size, sealed anew, is another outcome; so is one more message."""
    lay_out("format_2_rules_2", tmp_path / "golden")
    commands = list(journal_dump(tmp_path / "golden"))
    if fault == "matching":
        first = next(i for i, command in enumerate(commands) if command.type == CommandType.ENTER)
        commands[first] = commands[first]._replace(quantity=commands[first].quantity + 1)
    else:
        last = commands[-1]
        commands.append(last._replace(seq=last.seq + 1))
    with Journal(tmp_path / "other", shard=3, orders=12) as journal:
        journal.append(commands)
    expected = json.loads((GOLDEN / "format_2_rules_2.json").read_text(encoding="utf-8"))
    events = b"".join(event_batches(tmp_path / "other"))
    if fault == "matching":
        assert hashlib.sha256(events).hexdigest() != expected["events_sha256"]
    else:
        assert hashlib.sha256(events).hexdigest() == expected["events_sha256"]
        assert f"{replay(tmp_path / 'other').state_hash:016x}" != expected["state_hash"]


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
