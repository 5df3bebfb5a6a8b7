# SPDX-License-Identifier: GPL-3.0-or-later
"""What every long-lived service of ours has in common: its configuration, its files, its end, and patience.

Configurations are JSON objects. Each service names its keys and their types; an unknown key, a missing one or a wrong
type is refused by name, since a misspelt setting that is ignored is worse than none.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ironbook.errors import CommandError

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    bool: "true or false",
}


def check_keys(
    value: object, keys: Mapping[str, type], where: str, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return `value` if it is an object with exactly these keys, each of its type. `where` names it in the error."""
    if not isinstance(value, dict):
        raise CommandError(f"{where}: must be an object")
    unknown = sorted(set(value) - set(keys))
    if unknown:
        raise CommandError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(keys))}")
    for key, wanted in keys.items():
        if key not in value:
            if key in optional:
                continue
            raise CommandError(f"{where}: key {key!r} is missing")
        given = value[key]
        fits = isinstance(given, (int, float) if wanted is float else wanted)
        if not fits or (isinstance(given, bool) and wanted is not bool):
            raise CommandError(f"{where}: {key!r} must be {_WORDS[wanted]}, not {given!r}")
    return value


def read_json(path: Path) -> Any:
    """Read a JSON file; one line that names it where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CommandError(f"{path}: is not JSON: {error}") from error


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Write a JSON file, whole or not at all; `durable`: and on the disk when this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
        if durable:
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)


def read_secret(path: Path) -> str:
    """Return the one line of a file that holds a password."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise CommandError(f"{path}: the password cannot be read: {error.strerror}") from error


class Stop:
    """Set by SIGTERM and SIGINT; services look at it between two steps and wait on it instead of sleeping."""

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self._event = threading.Event()

    def catch_signals(self) -> None:
        """Let SIGTERM and SIGINT set it, instead of ending the process in the middle of something."""

        def handler(_number: int, _frame: FrameType | None) -> None:
            self._event.set()

        signal.signal(signal.SIGTERM, handler)
        signal.signal(signal.SIGINT, handler)

    def set(self) -> None:
        """Ask the service to end."""
        self._event.set()

    def __bool__(self) -> bool:
        """Whether the service was asked to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, or return at once when the service is asked to end."""
        self._event.wait(seconds)


class Backoff:
    """Growing pauses between attempts: 0.1 s, doubled each time up to `longest`; `reset` after a success."""

    def __init__(self, stop: Stop, longest: float = 5.0) -> None:
        """`longest` in seconds."""
        self._stop = stop
        self._longest = longest
        self._next = 0.1

    def wait(self) -> None:
        """Pause once."""
        self._stop.wait(self._next)
        self._next = min(2 * self._next, self._longest)

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self._next = 0.1


def deadline_ticks(seconds: float, step: float = 0.05) -> Iterator[float]:
    """Yield the seconds that are left, at once and then each `step`, until none are."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        yield left
        time.sleep(min(step, left))


def log_to_stderr(name: str) -> logging.Logger:
    """Return a logger whose lines a supervisor can keep: time, level, text."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    return logging.getLogger(name)
