# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal's sealed segments as they lie in its directory: what may be archived, and whether it is what was sealed.

What is archived is held against its seals by code of its own, that shares nothing with what made them (seals.py): the
names, the words of sha256sum(1), and one field of a segment's first record (docs/engine.md).
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SEGMENT = re.compile(r"\d{20}\.journal")
_LINE = re.compile(r"([0-9a-f]{64})  (\d{20}\.(?:journal|sha256))")
# Of the first record: magic "JNL1", 28 bytes, time of the last command before the segment in nanoseconds.
_HEADER = struct.Struct("<4s28xQ")
_MAGIC = b"JNL1"
_FIRST_RECORD, _RECORD = 128, 192  # bytes: of a segment's own record, and of each command's

UNCOMMITTED_MAX = 32_768
"""How many commands at a journal's end another member may still replace, at most: twice the longest window of a shard.

A primary sequences no more than a window that is not committed. Each one after it that comes to nothing adds one.
"""


@dataclass(frozen=True)
class File:
    """One file to archive: a segment or its seal. `last_ns`: time of the segment's last command.

    `written_ns`: when it was last written (st_mtime_ns).
    """

    name: str
    path: Path
    size: int
    sha256: str
    last_ns: int
    written_ns: int


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def promises(text: str, name: str) -> dict[str, str]:
    """What a seal says: file name -> SHA-256, its segment first. ValueError where it is none."""
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    named = {match[2]: match[1] for match in found if match}
    if not named or len(named) != len(found) or len(named) > 2:
        raise ValueError(f"{name}: is no seal of a journal's segment")
    return named


def chain(seals: Sequence[tuple[str, Mapping[str, str], str]]) -> list[str]:
    """What is wrong with seals in order, each (name, what it says, its own SHA-256): a line for each.

    The first may name one before it that is not there.
    """
    wrong = []
    for number, (name, said, _sha256) in enumerate(seals):
        names = list(said)
        segment = name.replace(".sha256", ".journal")
        if names[0] != segment:
            wrong.append(f"{name}: seals {names[0]}, not {segment}")
        if number > 0:
            before, _said, sha256 = seals[number - 1]
            if names[1:] != [before]:
                wrong.append(f"{name}: names {names[1] if names[1:] else 'no seal'} as the one before, not {before}")
            elif said[before] != sha256:
                wrong.append(f"{name}: does not cover {before} as it is")
    return wrong


def _time_before(segment: Path) -> int:
    with segment.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:4] != _MAGIC:
        raise ValueError(f"{segment}: is no segment of a journal")
    time_ns: int = _HEADER.unpack(header)[1]
    return time_ns


def _last_seq(segment: Path) -> int:
    """Number of the last command in a segment, behind which there is nothing but zeros, or the file's end."""
    places = max(0, segment.stat().st_size - _FIRST_RECORD) // _RECORD
    with segment.open("rb") as file:

        def is_empty(place: int) -> bool:
            file.seek(_FIRST_RECORD + place * _RECORD)
            return file.read(len(_MAGIC)) != _MAGIC

        count = bisect.bisect_left(range(places), True, key=is_empty)
    return int(segment.stem) - 1 + count


def _file(path: Path, last_ns: int, known: Mapping[str, File]) -> File:
    """Describe it; its content is read again only where its size or its time is another one than was known."""
    there = path.stat()
    before = known.get(path.name)
    same = before is not None and (before.size, before.written_ns) == (there.st_size, there.st_mtime_ns)
    sha256 = before.sha256 if before is not None and same else hash_of(path)
    return File(path.name, path, there.st_size, sha256, last_ns, there.st_mtime_ns)


def read(directory: Path, known: Mapping[str, File] | None = None, uncommitted: int = UNCOMMITTED_MAX) -> list[File]:
    """Each sealed segment that is final, and its seal, in order, held against each other.

    Args:
        directory: the journal.
        known: what was read before, by name; what was not written since is not hashed again.
        uncommitted: how many commands at the journal's end may still be replaced: 0 for an engine that runs alone.

    The last segment has no seal, and neither has one that was filled a moment ago: they are left for the next time, as
    is a segment with any of the last `uncommitted` commands.

    Raises:
        ValueError: names what is not as it was sealed.

    """
    if not directory.is_dir():
        raise ValueError(f"{directory}: is no directory: give the journal_directory of an engine")
    segments = sorted(path for path in directory.iterdir() if _SEGMENT.fullmatch(path.name))
    final_seq = _last_seq(segments[-1]) - uncommitted if segments else 0
    files: list[File] = []
    seals = []
    for segment, following in itertools.pairwise(segments):
        seal = segment.with_suffix(".sha256")
        if not seal.exists() or int(following.stem) > final_seq + 1:
            break
        last_ns = _time_before(following)
        said = promises(seal.read_text(encoding="ascii", errors="replace"), str(seal))
        for path in (segment, seal):
            files.append(_file(path, last_ns, known or {}))
        seals.append((seal.name, said, files[-1].sha256))
        if said.get(segment.name) != files[-2].sha256:
            raise ValueError(f"{segment}: is not what {seal.name} has sealed: it was changed since")
    if wrong := chain(seals):
        raise ValueError(f"{directory}: {wrong[0]}")
    return files
