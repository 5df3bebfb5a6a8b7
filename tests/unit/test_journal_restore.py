# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal that ends earlier, in the place of the one that was there: to every command, and cut off anywhere."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from ironbook import cli, core, journal_restore, replica_state, seals
from ironbook.errors import CommandError
from ironbook.journal_restore import aside, restore
from ironbook.point_in_time import Moment, time_text
from unit.core.test_binding import command_at

SEGMENT = 128 + 8 * 192  # bytes, eight commands
BEGIN_NS = 1_764_426_600_000_000_000
LAST = 37
STATE = replica_state.ReplicaState(7, 1, 12, True)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Five segments, sealed, two snapshots, and what a member keeps beside it."""
    directory = tmp_path / "journal"
    commands = [command_at(seq)._replace(time_ns=BEGIN_NS + seq * 10**9) for seq in range(1, LAST + 1)]
    with core.Journal(directory, shard=7, segment_bytes=SEGMENT) as written:
        for begin in range(0, LAST, 5):
            written.append(commands[begin : begin + 5])
    seals.seal(directory)
    for seq in (9, 20):
        core.snapshot_take(directory, seq)
    (directory / replica_state.NAME).write_bytes(replica_state.without_doubt(STATE))
    return directory


def until(seq: int) -> Moment:
    return Moment(seq, None)


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("seq", range(1, LAST))
def test_it_ends_where_it_is_to_end(journal: Path, seq: int) -> None:
    """Its state is what the journal led to there, and what was there is moved, whole."""
    before, state = content(journal), core.replay(journal, seq)
    done = restore(journal, until(seq), 7)
    assert (done.seq, done.changed) == (seq, True)
    assert core.journal_verify(journal, 7).seq == seq
    assert core.replay(journal, whole=True) == core.replay(journal, whole=False) == state
    assert content(Path(done.aside)) == before
    seals.check(journal)
    assert [int(path.stem) for path in core.snapshots(journal)] == [one for one in (9, 20) if one <= seq]
    assert replica_state.read(journal) == STATE
    assert restore(journal, until(seq), 7) == (seq, False, "")
    with core.Journal(journal, shard=7, segment_bytes=SEGMENT) as more:  # and it can be gone on with
        more.append([command_at(seq + 1)._replace(time_ns=BEGIN_NS + 10**12)])
    assert core.journal_verify(journal, 7).seq == seq + 1


def test_to_a_time(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line: the last command that is not later; a preview first."""
    words = ["journal", "restore", str(journal), "--shard", "7", "--until", time_text(BEGIN_NS + 12 * 10**9 + 5)]
    assert cli.main([*words, "--check"]) == 0
    assert json.loads(capsys.readouterr().out) == {"seq": 12, "changed": True, "aside": ""}
    assert core.journal_verify(journal).seq == LAST
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == core.journal_verify(journal).seq == 12
    assert cli.main(["journal", "aside", str(journal)]) == 0
    assert list(journal.iterdir()) == []


def test_damage_behind_the_place_is_no_matter_and_before_it_is(journal: Path) -> None:
    last = sorted(journal.glob("*.journal"))[-1]
    data = bytearray(last.read_bytes())
    data[200] ^= 1
    last.write_bytes(data)
    assert restore(journal, until(20), 7).changed is True
    first = sorted(journal.glob("*.journal"))[0]
    data = bytearray(first.read_bytes())
    data[200] ^= 1
    first.write_bytes(data)
    before = content(journal)
    with pytest.raises(core.CoreError, match="offset"):
        restore(journal, until(15), 7)
    assert content(journal) == before


def test_what_cannot_be_is_refused_and_moves_nothing(journal: Path) -> None:
    before = content(journal)
    with pytest.raises(CommandError, match=f"ends at sequence {LAST}, before 38"):
        restore(journal, until(38), 7)
    with pytest.raises(CommandError, match="begin at 1"):
        restore(journal, until(0), 7)
    with pytest.raises(CommandError, match="nothing is in this journal at that time"):
        restore(journal, Moment(None, BEGIN_NS), 7)
    with pytest.raises(core.CoreError, match="shard"):
        restore(journal, until(5), 8)
    descriptor = os.open(journal, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    for function in (lambda: restore(journal, until(5), 7), lambda: aside(journal)):
        with pytest.raises(CommandError, match="an engine has it open"):
            function()
    os.close(descriptor)
    assert content(journal) == before


@pytest.mark.parametrize("calls", range(1, 60))
def test_cut_off_anywhere_it_can_be_run_again(journal: Path, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each rename and each sync: what was there is never lost, and the second run comes to the end."""
    before = content(journal)
    left = calls

    class Cut(Exception):
        pass

    def counted(function):  # type: ignore[no-untyped-def]
        def call(*arguments):  # type: ignore[no-untyped-def]
            nonlocal left
            left -= 1
            if left == 0:
                raise Cut
            return function(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted(Path.rename))
        patched.setattr(journal_restore, "_sync", counted(journal_restore._sync))
        patched.setattr(journal_restore, "_copy", counted(journal_restore._copy))
        try:
            restore(journal, until(20), 7)
        except Cut:
            pass
        else:
            assert calls > 10, "there are fewer places than that"
    kept = [path for path in journal.parent.iterdir() if path.name.startswith(("journal.aside-", "journal"))]
    assert any(content(path) == before for path in kept)
    assert restore(journal, until(20), 7).seq == core.journal_verify(journal, 7).seq == 20
    assert any(content(path) == before for path in journal.parent.glob("journal.aside-*"))


def test_an_empty_one(journal: Path) -> None:
    before = content(journal)
    done = aside(journal)
    assert (done.changed, list(journal.iterdir())) == (True, [])
    assert content(Path(done.aside)) == before
    assert aside(journal) == (0, False, "")


def test_a_damaged_state_is_told(journal: Path) -> None:
    path = journal / replica_state.NAME
    data = bytearray(path.read_bytes())
    for offset in range(len(data)):
        data[offset] ^= 1
        path.write_bytes(data)
        with pytest.raises(CommandError, match="is damaged"):
            replica_state.read(journal)
        data[offset] ^= 1
    path.write_bytes(data)
    assert replica_state.read(journal) == STATE
