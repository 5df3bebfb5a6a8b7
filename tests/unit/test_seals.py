# SPDX-License-Identifier: GPL-3.0-or-later
"""Seals of a journal: made once, checked by sha256sum as well, and no change of a segment or a seal passes."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ironbook import cli, seals
from ironbook.core import Journal, journal_dump, journal_verify
from ironbook.core.records import CommandType
from ironbook.errors import CommandError
from unit.core.test_binding import command_at

SEGMENT = 128 + 8 * 192  # bytes, eight commands


def write(directory: Path, count: int = 44) -> None:
    """Write a journal of six segments, the last one with four commands."""
    with Journal(directory, segment_bytes=SEGMENT) as journal:
        journal.append([command_at(seq) for seq in range(1, count + 1)])


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Make a journal whose full segments are sealed."""
    write(tmp_path)
    assert len(seals.seal(tmp_path)) == 5
    return tmp_path


def sha256sum(directory: Path) -> subprocess.CompletedProcess[str]:
    """Check all seals by the tool that is not ours."""
    names = sorted(path.name for path in directory.glob("*.sha256"))
    return subprocess.run(["sha256sum", "--strict", "--check", *names], cwd=directory, capture_output=True, text=True,
                          check=False)  # fmt: skip


@pytest.mark.feature("ENG-14", by="U", part="sealed segments")
def test_full_segments_are_sealed_and_another_tool_agrees(sealed: Path) -> None:
    """All but the last one; a second time makes nothing; each seal covers the one before."""
    before = {path: path.read_bytes() for path in sealed.iterdir()}
    assert seals.seal(sealed) == []
    assert {path: path.read_bytes() for path in sealed.iterdir()} == before
    found = seals.check(sealed)
    assert found[:2] == (5, 0)
    last = seals.seal_of(seals.segments(sealed)[4])
    assert found.last == seals.hash_of(last)
    result = sha256sum(sealed)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(": OK") == 9  # five segments, and the seals before four of them
    assert [len(seals.seal_of(segment).read_text().splitlines()) for segment in seals.segments(sealed)[:5]] == [
        1, 2, 2, 2, 2]  # fmt: skip


def test_a_journal_that_goes_on_is_sealed_further(sealed: Path) -> None:
    """What was the last segment is sealed once it is full."""
    with Journal(sealed, segment_bytes=SEGMENT) as journal:
        journal.append([command_at(seq) for seq in range(45, 60)])
    assert seals.check(sealed)[:2] == (5, 2)
    assert [path.name for path in seals.seal(sealed)] == [f"{seq:020}.sha256" for seq in (41, 49)]
    assert seals.check(sealed)[:2] == (7, 0)


def rewritten(directory: Path) -> None:
    """Change one order and write the whole journal anew: every sum, chain and number in it is right."""
    commands = list(journal_dump(directory))
    number = next(i for i, command in enumerate(commands) if command.type == CommandType.ENTER)
    commands[number] = commands[number]._replace(quantity=commands[number].quantity + 1)
    for segment in seals.segments(directory):
        segment.unlink()
    with Journal(directory, segment_bytes=SEGMENT) as journal:
        journal.append(commands)
    journal_verify(directory)


def flipped(directory: Path, name: str, at: int) -> None:
    """Turn one bit of a file."""
    path = directory / name
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def resealed(directory: Path) -> None:
    """Rewrite the journal, and the seal of the changed segment as well: the seal behind it gives that away."""
    rewritten(directory)
    first = seals.segments(directory)[0]
    seals.seal_of(first).write_text(seals.text_of(first, None))


FORGERIES: list[tuple[str, Callable[[Path], None], str]] = [
    ("rewritten", rewritten, r"1\.journal: is not what 0+1\.sha256 has sealed"),
    ("resealed", resealed, r"is not what 0+9\.sha256 has sealed"),
    ("a seal's hash", lambda d: flipped(d, f"{17:020}.sha256", 3), r"sealed|is no seal"),
    ("a seal's name", lambda d: flipped(d, f"{17:020}.sha256", 85), r"is no seal|seals "),
    ("a seal missing", lambda d: seals.seal_of(seals.segments(d)[1]).unlink(), r"9\.sha256: is missing"),
    ("a seal empty", lambda d: seals.seal_of(seals.segments(d)[1]).write_text(""), r"seals nothing"),
    ("two seals swapped", lambda d: (d / f"{9:020}.sha256").write_bytes((d / f"{17:020}.sha256").read_bytes()) and None,
     r"9\.sha256: seals 0+17\.journal"),
]  # fmt: skip


@pytest.mark.parametrize(("forge", "named"), [pytest.param(*rest, id=name) for name, *rest in FORGERIES])
def test_what_was_changed_is_named(sealed: Path, forge: Callable[[Path], None], named: str) -> None:
    """One line that names the file; what has right sums and another history is found by its seal alone."""
    forge(sealed)
    with pytest.raises(CommandError, match=named) as raised:
        seals.check(sealed)
    assert "\n" not in str(raised.value)
    assert re.search("archive", str(raised.value))


def test_each_byte_of_a_seal_counts(sealed: Path) -> None:
    """Whatever bit of any byte of a seal in the middle is turned, it does not pass."""
    path = sealed / f"{17:020}.sha256"
    sound = path.read_bytes()
    for at in range(len(sound)):
        flipped(sealed, path.name, at)
        with pytest.raises(CommandError):
            seals.check(sealed)
        path.write_bytes(sound)
    assert seals.check(sealed)[:2] == (5, 0)


def test_segments_that_were_archived_and_removed(sealed: Path) -> None:
    """The first seal that is there names one that is not: the rest is checked."""
    for segment in seals.segments(sealed)[:2]:
        segment.unlink()
        seals.seal_of(segment).unlink()
    assert seals.check(sealed)[:2] == (3, 0)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`verify` says how many are sealed; `--sealed` wants all; `seal` makes them; a forgery is one line."""
    write(tmp_path)
    verify = ["journal", "verify", str(tmp_path)]
    assert cli.main(verify) == 0
    assert json.loads(capsys.readouterr().out)["unsealed"] == 5
    assert cli.main([*verify, "--sealed"]) == 1
    assert "5 full segments have no seal" in capsys.readouterr().err
    assert cli.main(["journal", "seal", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert cli.main([*verify, "--sealed"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["sealed"], found["unsealed"], len(found["last"])) == (5, 0, 64)
    rewritten(tmp_path)
    assert cli.main(verify) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_sealer_follows_a_journal_and_says_once_what_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thread seals within a look; a directory that is not there is said once."""
    write(tmp_path, 20)
    sealer = seals.Sealer(tmp_path, look_seconds=0.01)
    sealer.start()
    deadline = time.monotonic() + 10
    while seals.check(tmp_path).unsealed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seals.check(tmp_path)[:2] == (2, 0)
    sealer.stop()
    lost = seals.Sealer(tmp_path / "nowhere", look_seconds=0.01)
    lost.start()
    time.sleep(0.1)
    lost.stop()
    assert capsys.readouterr().err.count("cannot be sealed now") == 1
