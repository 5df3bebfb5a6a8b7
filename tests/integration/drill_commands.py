# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of a drill as whoever runs one would give them: `ironbook canary` and `ironbook drill`."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from integration.engine_process import PASSWORD, environment
from local_processes import IRONBOOK


class Drill:
    """The commands, with the arguments that they share."""

    def __init__(self, directory: Path, ports: Sequence[int], sockets: Mapping[str, Path]) -> None:
        """`ports` of the members' order entry, `sockets` their admin sockets, by their names."""
        self.directory = directory
        self.log = directory / "canary.jsonl"
        self.secret = directory / "secret"
        self.secret.write_text(f"{PASSWORD}\n")
        self.canary: subprocess.Popen[str] | None = None
        self.places = [word for port in ports for word in ("--endpoint", f"127.0.0.1:{port}")]
        self.members = [word for name, path in sockets.items() for word in ("--member", f"{name}={path}")]
        self.login = [*self.places, "--password-file", str(self.secret)]

    def start(self, *more: str) -> None:
        words = ["--session", "MAKER1", "--symbol", "AAPL", "--price", "10", "--rate", "100", "--log", str(self.log)]
        command = [*IRONBOOK, "canary", *self.login, *words, *self.members, *more]
        self.canary = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        assert self.canary is not None
        self.canary.send_signal(number)
        output, errors = self.canary.communicate(timeout=30)
        return self.canary.returncode, output, errors

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*IRONBOOK, "drill", *words, "--log", str(self.log)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=60)

    def done(self, *words: str) -> dict[str, Any]:
        result = self.command(*words)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)["result"] if result.stdout else {}

    def report(self, *more: str, rto: str = "60") -> subprocess.CompletedProcess[str]:
        files = ["--json", str(self.directory / "drill.json"), "--html", str(self.directory / "drill.html")]
        target = ["--drill", "process_crash", "--rto-below", rto, "--rpo-below", "0", "--patience", "10"]
        return self.command("report", *self.login, *files, *target, *more)

    @property
    def written(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.directory / "drill.json").read_text())
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.canary is not None and self.canary.poll() is None:
            self.canary.kill()
            self.canary.communicate()
