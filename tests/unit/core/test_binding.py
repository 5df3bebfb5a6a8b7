# SPDX-License-Identifier: GPL-3.0-or-later
"""The binding: typed results, one exception for each status, batches, and what the command line says."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ironbook import cli
from ironbook.core import Command, Journal, Matcher, events, journal_dump, journal_verify, replay
from ironbook.core._core import lib
from ironbook.core.errors import (
    BY_STATUS,
    ArgumentError,
    ConfigurationError,
    CoreError,
    InputOutputError,
    JournalDamagedError,
    JournalForeignError,
    check,
)
from ironbook.core.records import COMMAND, CommandType, instrument_add, pack_commands, session_add, unpack_commands

RECORD = 64 + COMMAND.size
SEGMENT_HEADER = 128


def command_at(seq: int) -> Command:
    """Return the command of a sequence number, the same in every process."""
    if seq == 1:
        return instrument_add(1, 1, 0, "AAPL", 1)
    if seq <= 3:
        return session_add(seq, seq, seq - 2, f"USER{seq}", "FIRM")
    noise = seq * 2654435761 % 2**32
    session, side = noise >> 8 & 1, 1 + (noise >> 9 & 1)
    if noise % 4 == 0:
        return Command(seq, seq, CommandType.CANCEL, session, user_ref=max(1, seq - noise % 7))
    price, quantity = 100 + (noise >> 12) % 10, 1 + (noise >> 20) % 50
    return Command(seq, seq, CommandType.ENTER, session, 0, seq, 0, price, quantity, side, 0, 1, client_data=b"x" * 24)


def write(directory: Path, count: int, **options: int) -> list[Command]:
    """Write a journal of so many commands and return them."""
    commands = [command_at(seq) for seq in range(1, count + 1)]
    with Journal(directory, **options) as journal:
        for begin in range(0, count, 16):
            journal.append(commands[begin : begin + 16])
    return commands


def test_every_status_has_an_exception() -> None:
    """Each status of the header but IB_OK is one exception, and `check` raises it."""
    statuses = [value for name in dir(lib) if name.startswith("IB_ERROR_") and name != "IB_ERROR_TEXT_SIZE"
                for value in [getattr(lib, name)]]  # fmt: skip
    assert sorted(statuses) == sorted(BY_STATUS)
    for status, error in BY_STATUS.items():
        with pytest.raises(error, match="what happened"):
            check(status, "what happened")
    check(lib.IB_OK)
    with pytest.raises(CoreError, match="unknown status"):
        check(99)


def test_commands_survive_packing() -> None:
    """What is packed is unpacked, and has the size of the C struct."""
    commands = [command_at(seq) for seq in range(1, 30)]
    packed = pack_commands(commands)
    assert len(packed) == len(commands) * 128
    padded = [command._replace(client_data=command.client_data.ljust(24, b"\0")) for command in commands]
    assert list(unpack_commands(packed)) == padded


def test_journal_replay_equals_the_matcher(tmp_path: Path) -> None:
    """A journal leads to the state, and the events, of a matcher that was fed directly; also part of the way."""
    commands = write(tmp_path, 500, orders=64)
    with Matcher(64) as matcher:
        direct = matcher.apply(commands[:333])
        assert replay(tmp_path, 333) == matcher.totals()
        direct += matcher.apply(commands[333:])
        assert replay(tmp_path) == matcher.totals()
        assert list(events(tmp_path)) == direct
    assert [command.seq for command in journal_dump(tmp_path)] == list(range(1, 501))


def test_a_matcher_refuses_what_is_out_of_sequence() -> None:
    """A gap in the sequence, and half a command, are the caller's mistakes."""
    with Matcher(8) as matcher:
        with pytest.raises(ArgumentError, match="out of sequence"):
            matcher.apply([command_at(2)])
        with pytest.raises(ArgumentError, match="no whole number"):
            matcher.apply_packed(pack_commands([command_at(1)])[:-1])
    with pytest.raises(ArgumentError, match="it must be 1 to"):
        Matcher(0)


def test_errors_name_the_thing_and_the_place(tmp_path: Path) -> None:
    """No journal, another shard, another capacity, an end that is not there: each is its own exception."""
    with pytest.raises(InputOutputError, match="No such file"):
        journal_verify(tmp_path / "nowhere")
    with pytest.raises(InputOutputError, match="no journal here"):
        journal_verify(tmp_path)
    write(tmp_path, 20, shard=3, orders=64)
    with pytest.raises(JournalForeignError, match="shard 3, but shard 4"):
        journal_verify(tmp_path, shard=4)
    with pytest.raises(ConfigurationError, match=r"limits\.orders to 64"):
        Journal(tmp_path, shard=3, orders=65)
    with pytest.raises(ArgumentError, match="ends at sequence 20, before 21"):
        replay(tmp_path, 21)
    with pytest.raises(ArgumentError, match="begin at 1"):
        replay(tmp_path, 0)
    with Journal(tmp_path, shard=3, orders=64), pytest.raises(InputOutputError, match="another engine"):
        Journal(tmp_path, shard=3, orders=64)


@pytest.mark.feature("ENG-14", by="U", part="the journal")
def test_one_flipped_bit_is_found_at_its_place(tmp_path: Path) -> None:
    """Any flipped bit of a record is refused with file, offset and sequence; the sound journal is not."""
    write(tmp_path, 8)
    (segment,) = tmp_path.glob("*.journal")
    sound = segment.read_bytes()
    for bit in range(0, 8 * len(sound), 97):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        segment.write_bytes(damaged)
        record = max(0, (bit // 8 - SEGMENT_HEADER)) // RECORD
        offset = 0 if bit // 8 < SEGMENT_HEADER else SEGMENT_HEADER + record * RECORD
        seq = 1 if bit // 8 < SEGMENT_HEADER else record + 1
        with pytest.raises(JournalDamagedError, match=rf"{segment.name} at offset {offset}, sequence {seq}:"):
            journal_verify(tmp_path)
    segment.write_bytes(sound)
    assert journal_verify(tmp_path).records == 8


def test_every_cut_is_a_prefix(tmp_path: Path) -> None:
    """Cut anywhere, the journal is what was complete before, and its state that of the prefix."""
    commands = write(tmp_path, 12)
    (segment,) = tmp_path.glob("*.journal")
    sound = segment.read_bytes()
    states = {}
    with Matcher(1024) as matcher:
        states[0] = matcher.totals()
        for command in commands:
            matcher.apply([command])
            states[command.seq] = matcher.totals()
    for size in range(SEGMENT_HEADER, len(sound), 7):
        segment.write_bytes(sound[:size])
        assert replay(tmp_path) == states[(size - SEGMENT_HEADER) // RECORD]


VICTIM = """
import sys
from ironbook.core import Journal
sys.path.insert(0, sys.argv[2])
from unit.core.test_binding import command_at
with Journal(sys.argv[1], orders=64) as journal:
    while True:
        begin = journal.seq + 1
        size = 1 + begin % 700
        journal.append([command_at(seq) for seq in range(begin, begin + size)])
        print(journal.seq, flush=True)
"""


@pytest.mark.slow
@pytest.mark.feature("ENG-13", by="U", part="kill -9 and recovery to a sequence number; not to a time")
def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """After SIGKILL the journal leads to exactly the state of all commands up to its end, none acknowledged missing."""
    tests = str(Path(__file__).resolve().parents[2])
    for round_number in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(tmp_path), tests], stdout=subprocess.PIPE, text=True
        ) as victim:
            assert victim.stdout is not None
            acknowledged = [victim.stdout.readline() for _ in range(3 + round_number)]
            victim.send_signal(signal.SIGKILL)
            acknowledged += victim.stdout.read().splitlines()
        last = int(acknowledged[-1])
        totals = replay(tmp_path)
        assert totals.seq >= last > 0
        with Matcher(64) as oracle:
            oracle.apply([command_at(seq) for seq in range(1, last + 1)])
            assert replay(tmp_path, last) == oracle.totals()
            oracle.apply([command_at(seq) for seq in range(last + 1, totals.seq + 1)])
            assert totals == oracle.totals()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run `ironbook` with arguments; return status, output and error."""
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ironbook journal` verifies, dumps, hashes and sums; a damaged journal is one line and exit status 1."""
    write(tmp_path, 40)
    status, out, _ = run(capsys, "journal", "verify", str(tmp_path))
    assert status == 0
    assert json.loads(out)["records"] == 40
    status, out, _ = run(capsys, "journal", "dump", str(tmp_path), "--until", "5")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [1, 2, 3, 4, 5]
    status, out, _ = run(capsys, "journal", "totals", str(tmp_path))
    totals = json.loads(out)
    assert int(totals["notional"]) == replay(tmp_path).notional
    assert run(capsys, "journal", "hash", str(tmp_path))[1].strip() == totals["state_hash"]
    (segment,) = tmp_path.glob("*.journal")
    segment.write_bytes(segment.read_bytes()[:-RECORD] + b"\1" * RECORD)
    status, out, error = run(capsys, "journal", "totals", str(tmp_path))
    assert (status, out) == (1, "")
    assert error.count("\n") == 1
    assert "sequence 40" in error
