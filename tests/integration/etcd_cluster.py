# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster of Debian's etcd-server for tests: on the loopback, in its own directory, ended by its own pids."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from local_processes import free_port, wait_for

LACKING = "etcd is missing: apt-get install etcd-server"


class Member:
    """One member: its process, its URLs and its log."""

    def __init__(self, name: str, directory: Path, scheme: str = "http") -> None:
        port = free_port(2)
        self.name = name
        self.port = port
        self.client_url = f"{scheme}://127.0.0.1:{port}"
        self.peer_url = f"http://127.0.0.1:{port + 1}"
        self.directory = directory / name
        self.log = directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.command: list[str] = []

    def start(self) -> None:
        """Start it, or start it again with what it has on its disk."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        if os.uname().machine != "x86_64":
            environment["ETCD_UNSUPPORTED_ARCH"] = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def signal(self, number: int) -> None:
        """Send a signal to this very process. SIGSTOP has taken effect, in all of its threads, when this returns.

        One of them has to be scheduled before the kernel stops the others, which on a busy machine takes a while.
        """
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            tasks = Path(f"/proc/{self.process.pid}/task")
            wait_for(lambda: all(_state(task) in "TX" for task in tasks.iterdir()), f"{self.name} to stop")

    def kill(self) -> None:
        """End it as a power failure would; harmless where it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait(30)

    def status(self) -> dict[str, Any] | None:
        """What it says of itself, None where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("POST", "/v3/maintenance/status", b"{}")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def is_leader(self) -> bool:
        """Whether it says so itself."""
        status = self.status()
        return bool(status and status.get("leader") and status["leader"] == status["header"]["member_id"])


def _state(task: Path) -> str:
    """The state of a thread, proc(5): T is stopped; X where it has ended meanwhile."""
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


class Cluster:
    """The members of one cluster."""

    def __init__(self, directory: Path, size: int, options: Sequence[str] = (), scheme: str = "http") -> None:
        self.shards = iter(range(1, 100))  # those that no test has used
        self.members = [Member(f"member{number}", directory, scheme) for number in range(size)]
        peers = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member in self.members:
            member.command = [
                *("etcd", "--name", member.name, "--data-dir", str(member.directory)),
                *("--listen-client-urls", member.client_url, "--advertise-client-urls", member.client_url),
                *("--listen-peer-urls", member.peer_url, "--initial-advertise-peer-urls", member.peer_url),
                *("--initial-cluster", peers, "--initial-cluster-state", "new"),
                *("--initial-cluster-token", directory.name, "--logger", "zap", "--log-level", "error", *options),
            ]
            member.start()

    @property
    def endpoints(self) -> list[str]:
        """The client URLs of all members."""
        return [member.client_url for member in self.members]

    def leader(self) -> Member:
        """Wait until one of the members leads."""
        return wait_for(lambda: next((one for one in self.members if one.is_leader()), None), "a leader of etcd")

    def leader_first(self) -> list[str]:
        """The client URLs, that of the leader first."""
        leader = self.leader()
        return [leader.client_url, *(member.client_url for member in self.members if member is not leader)]

    def heal(self) -> None:
        """Let every member run again, and wait until one leads and all follow it."""
        for member in self.members:
            assert member.process is not None
            if member.process.poll() is None:
                member.signal(signal.SIGCONT)
            else:
                member.start()
        self.leader()
        wait_for(lambda: all((one.status() or {}).get("leader") for one in self.members), "all members of etcd")

    def end(self) -> None:
        """End all members, paused ones too."""
        for member in self.members:
            member.kill()


@contextmanager
def etcd_cluster(
    directory: Path, size: int = 3, options: Sequence[str] = (), scheme: str = "http"
) -> Iterator[Cluster]:
    """A running cluster; skips the test, with its reason, where Debian's etcd-server is not installed."""
    if shutil.which("etcd") is None:
        pytest.skip(LACKING)
    cluster = Cluster(directory, size, options, scheme)
    try:
        if scheme == "http":
            cluster.leader()
        yield cluster
    finally:
        cluster.end()
