# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of one engine under its service manager: supervisor or systemd."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SECONDS = 25  # the managers give a process 15 to end by itself, and kill it then
_GONE = ("STOPPED", "EXITED", "FATAL")


@dataclass(frozen=True)
class Service:
    """`name` is that of the unit or the program."""

    manager: str
    name: str
    supervisorctl: str = "supervisorctl"
    supervisor_config: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Service:
        """Read the module's option. ValueError where something is missing."""
        if given["manager"] == "supervisor" and not given["supervisor_config"]:
            raise ValueError("service: supervisor needs supervisor_config, the supervisord.conf")
        return cls(given["manager"], given["name"], given["supervisorctl"] or "supervisorctl",
                   given["supervisor_config"] or "")  # fmt: skip

    def stop(self) -> None:
        """End it, and keep it from being started again. ValueError where the manager refuses."""
        if self.manager == "systemd":
            self._run("systemctl", "disable", "--now", f"{self.name}.service")
            return
        self._control("stop")

    def start(self) -> None:
        """Start it, now and at every start of the host."""
        if self.manager == "systemd":
            self._run("systemctl", "enable", "--now", f"{self.name}.service")
            return
        if self._supervised() in _GONE:
            self._control("start")

    def _supervised(self) -> str:
        done = self._run(*self._supervisorctl(), "status", self.name, good=(0, 3))
        words = done.split()
        if len(words) < 2 or words[0] != self.name:
            raise ValueError(f"supervisor knows no {self.name}: {' '.join(words) or 'it says nothing'}")
        return words[1]

    def _control(self, verb: str) -> None:
        if verb == "stop" and self._supervised() in _GONE:
            return
        self._run(*self._supervisorctl(), verb, self.name)

    def _supervisorctl(self) -> tuple[str, ...]:
        return (self.supervisorctl, "-c", self.supervisor_config)

    def _run(self, *command: str, good: tuple[int, ...] = (0,)) -> str:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"{' '.join(command)}: {error}") from error
        said = f"{done.stdout}\n{done.stderr}".strip()
        if done.returncode not in good:
            raise ValueError(f"{' '.join(command)}: ended with status {done.returncode}: {' '.join(said.split())}")
        return said
