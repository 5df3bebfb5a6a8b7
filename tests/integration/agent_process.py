# SPDX-License-Identifier: GPL-3.0-or-later
"""The real agent process for tests: `ironbook agent run` in a directory of its own, ended by its own pid."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

from local_processes import IRONBOOK, environment, wait_for


class Agent:
    """The agent of one replica; `directory` is short, for the sockets' sake."""

    def __init__(
        self, directory: Path, shard: int, replica: int, store: dict[str, Any], run: Path | None = None
    ) -> None:
        self.shard, self.replica = shard, replica
        self.directory = directory
        self.log = directory / f"agent-{replica}.log"
        self.run = run or directory / f"run-{replica}"
        self.socket = self.run / "store.sock"
        self.config = directory / f"agent-{replica}.json"
        config = {"shard": shard, "replica": replica, "run_directory": str(self.run), "store": store}
        self.config.write_text(json.dumps(config))
        self.process: subprocess.Popen[bytes] | None = None
        self.enter: list[str] = []  # as Engine.enter
        self.variables: dict[str, str] = {}  # of its environment, besides

    def start(self, **variables: str) -> Self:
        """Start it, with these variables in its environment, and wait until it serves."""
        with self.log.open("ab") as log:
            command = [*self.enter, *IRONBOOK, "agent", "run", "--config", str(self.config)]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**self.variables, **variables),
            )

        def serves() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            with socket.socket(socket.AF_UNIX) as connection:
                return connection.connect_ex(str(self.socket)) == 0

        wait_for(serves, "an agent")
        return self

    def end(self, number: int = signal.SIGKILL) -> int:
        """End it with a signal; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)
