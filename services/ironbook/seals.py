# SPDX-License-Identifier: GPL-3.0-or-later
"""Seals of a journal's segments: SHA-256 of each, chained, so that a change that keeps every sum right is still seen.

The seal of segment N is a file beside it, N.sha256, in the words of sha256sum(1): one line for the segment, one for the
seal of the segment before, which thereby covers all before it. `cd DIRECTORY && sha256sum --check *.sha256` needs
nothing of ours. A segment is sealed once a later one is there: from then on nobody writes to it. Whoever wants proof
keeps the last seal elsewhere (`ironbook journal verify` prints its hash).
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from ironbook.errors import CommandError

LOOK_SECONDS = 1.0  # between two looks for a segment that is full; one lasts seconds at the highest rate
_NAME = re.compile(r"(\d{20})\.journal")
_LINE = re.compile(r"([0-9a-f]{64})  (\d{20}\.(?:journal|sha256))")
_NICENESS = 10  # hashing waits for whoever trades


class Seals(NamedTuple):
    """What the seals of a journal say: how many segments have one, how many could have, and the last seal's hash."""

    sealed: int
    unsealed: int
    last: str


def segments(directory: Path) -> list[Path]:
    """Return the segments in order; the last one may be written to."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def seal_of(segment: Path) -> Path:
    """Return where a segment's seal is, or will be."""
    return segment.with_suffix(".sha256")


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex; its content passes through a small buffer."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_of(segment: Path, before: Path | None) -> str:
    """Return what a segment's seal has to say; `before` is the seal of the segment before, None for the first."""
    lines = [f"{hash_of(path)}  {path.name}\n" for path in (segment, before) if path is not None]
    return "".join(lines)


def _write(path: Path, text: str) -> None:
    """Let the file appear complete, and on the disk, or not at all."""
    new = path.with_suffix(".sha256.new")
    with new.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def seal(directory: Path) -> list[Path]:
    """Seal each segment that is full and has no seal, in order; return the new seals. Raises OSError."""
    made = []
    before: Path | None = None
    for segment in segments(directory)[:-1]:
        path = seal_of(segment)
        if not path.exists():
            _write(path, text_of(segment, before))
            made.append(path)
        before = path
    return made


def _promises(path: Path) -> dict[str, str]:
    """Read a seal: file name to hash, the segment's own first."""
    promises = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise CommandError(f"{path}: is no seal: {line[:80]!r}; restore it from the archive")
        promises[match[2]] = match[1]
    return promises


def check_one(segment: Path, before: Path | None, is_first: bool) -> None:
    """Hold a segment and the seal before it against the segment's seal; CommandError names what differs.

    The first segment that is there may be behind others that were archived and removed: what its seal says of the one
    before it cannot be looked at then.
    """
    path = seal_of(segment)
    promises = _promises(path)
    wanted = [segment.name] if before is None else [segment.name, before.name]
    if list(promises) != wanted and not (is_first and list(promises)[:1] == wanted and len(promises) == 2):
        raise CommandError(f"{path}: seals {', '.join(promises) or 'nothing'}, not {' and '.join(wanted)}; "
                           "restore it from the archive")  # fmt: skip
    for name in wanted:
        if hash_of(path.with_name(name)) != promises[name]:
            raise CommandError(f"{path.with_name(name)}: is not what {path.name} has sealed: it was changed since. "
                               "Restore it from the archive, a standby or a copy")  # fmt: skip


def check(directory: Path) -> Seals:
    """Hold each sealed segment against its seal; CommandError names the first file that is not as it was sealed."""
    full = segments(directory)[:-1]
    before: Path | None = None
    sealed = 0
    for number, segment in enumerate(full):
        if not seal_of(segment).exists():
            break
        check_one(segment, before, is_first=number == 0)
        before = seal_of(segment)
        sealed += 1
    for segment in full[sealed:]:
        if seal_of(segment).exists():
            raise CommandError(f"{seal_of(full[sealed])}: is missing, though a later segment is sealed; restore it "
                               "from the archive")  # fmt: skip
    return Seals(sealed, len(full) - sealed, hash_of(before) if before is not None else "")


class Sealer:
    """A thread beside a running engine that seals its segments; it never stands in the way of an order.

    What keeps it from sealing (a full disk) is said once on stderr, and tried again: the journal is whole without.
    """

    def __init__(self, directory: Path, look_seconds: float = LOOK_SECONDS) -> None:
        """Prepare; `look_seconds` is the time between two looks."""
        self._directory = directory
        self._look_seconds = look_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sealer", daemon=True)
        self._said = ""

    def start(self) -> None:
        """Begin. The thread takes no signal: they are the engine's, which waits for them in its own way."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def stop(self) -> None:
        """Seal what is full, and end."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        try:
            seal(self._directory)
            self._said = ""
        except OSError as error:
            if str(error) != self._said:
                self._said = str(error)
                print(f"ironbook: journal: a segment cannot be sealed now: {error}", file=sys.stderr, flush=True)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while not self._ended.wait(self._look_seconds):
            self._look()
        self._look()
