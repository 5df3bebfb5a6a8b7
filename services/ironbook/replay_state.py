# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of each replayed session: a small file, named by the SHA-256 of the session's input.

It is there before the first order is sent, so that a run that was cut off knows its numbers, and it says when the
session is finished, so that it is never sent again. It holds no more: how far a replay has come, the venue says.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError
from ironbook.service import read_json, write_json

FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass
class State:
    """What is known of the replay of one input, as its file holds it. `first` is where each session's stream was."""

    sha256: str
    input: str
    base: int
    commands: int
    first: dict[str, int]
    result: dict[str, Any] | None = None

    @property
    def last_user_ref(self) -> int:
        """The highest number that this replay may use."""
        return self.base + self.commands


class StateDirectory:
    """The files of all replays of one state directory."""

    def __init__(self, path: Path) -> None:
        """`path` is made at the first writing."""
        self.path = path

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second replay away: two at once would log each other out."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(f"another replay is running (lock {self.path}/.lock)") from None
            yield

    def load(self, sha256: str) -> State | None:
        """Return what is known of this input."""
        path = self.path / f"{sha256}.json"
        return self._read(path) if path.exists() else None

    def highest_reserved(self) -> int:
        """Return the highest UserRefNum that any replay may use."""
        files = [path for path in self.path.glob("*.json") if _SHA256.match(path.stem)]
        return max((self._read(path).last_user_ref for path in files), default=0)

    def save(self, state: State) -> None:
        """Write the file of one replay."""
        write_json(self.path / f"{state.sha256}.json", {"format": FORMAT, **vars(state)})

    @staticmethod
    def _read(path: Path) -> State:
        value = read_json(path)
        if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
            raise CommandError(f"{path}: is not the state of a replay in format {FORMAT}")
        return State(**value)
