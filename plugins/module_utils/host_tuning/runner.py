# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are only asked: chronyc, systemctl and tc know what no file says. No shell is between."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Protocol

from .host import AbsentError, Host, UnreadableError

SEARCH = os.pathsep.join(("/usr/sbin", "/usr/bin", "/sbin", "/bin"))
SECONDS = 2.0


class Runner(Protocol):
    """Asks a command."""

    def run(self, *command: str) -> str:
        """Return what it prints.

        Raises:
            AbsentError: the host has no such command.
            UnreadableError: it failed, or did not answer in time.

        """


class NoCommands:
    """A host whose commands are not asked."""

    def run(self, *command: str) -> str:
        """Refuse."""
        raise UnreadableError(f"{command[0]}: no command is asked here")


NO_COMMANDS = NoCommands()


def started(command: tuple[str, ...], seconds: float) -> str:
    """Start a command of this machine, and return what it prints.

    Raises:
        AbsentError: the host has no such command.
        UnreadableError: it failed, with the first line of what it said, or did not end in time.

    """
    program = shutil.which(command[0], path=SEARCH)
    if program is None:
        raise AbsentError(f"command {command[0]}")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env={"PATH": SEARCH, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise UnreadableError(f"{' '.join(command)}: {exc}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UnreadableError(f"{' '.join(command)}: {said[0] if said else f'exit {done.returncode}'}")
    return done.stdout


class LiveRunner:
    """Asks the commands of this machine, each once."""

    def __init__(self) -> None:
        """Begin without an answer."""
        self.answers: dict[tuple[str, ...], str] = {}

    def run(self, *command: str) -> str:
        """Start it, or return what it has said before."""
        if command not in self.answers:
            self.answers[command] = started(command, SECONDS)
        return self.answers[command]


class CapturedRunner:
    """Reads ``_cmd/ethtool_-x_eth0.txt`` and the like: what the command printed on the host."""

    def __init__(self, host: Host) -> None:
        """Take the captured tree."""
        self.host = host

    def run(self, *command: str) -> str:
        """Return what was captured."""
        try:
            return self.host.read(f"/_cmd/{'_'.join(command)}.txt")
        except AbsentError:
            raise UnreadableError(f"{' '.join(command)}: no output was captured") from None
