# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of real processes share: free ports, our command line, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IRONBOOK = (sys.executable, "-m", "ironbook.cli")
PORTS = range(24000, 24490, 10)


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: our services first, and nothing of AWS but what `more` says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IRONBOOK_"))}
    sources = [str(ROOT / "services"), os.environ.get("PYTHONPATH", "")]
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sources))} | more


def free_ports() -> Iterator[int]:
    """Yield first ports of groups of ten whose first two are free; parallel workers begin at different places."""
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
    groups = list(PORTS)
    begin = (worker * 12 + os.getpid()) % len(groups)
    for port in groups[begin:] + groups[:begin]:
        if is_free(port) and is_free(port + 1):
            yield port


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Return as soon as `condition` holds; an assertion that names `what` where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class LocalSite:
    """A local site that a test owns."""

    state: Path
    port: int
    wrapper: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """What names this site."""
        return environment(IRONBOOK_STATE=str(self.state), IRONBOOK_PORT_BASE=str(self.port))

    def local(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `ironbook local ...` for this site."""
        command = [*self.wrapper, *IRONBOOK, "local", *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=False, timeout=120)

    def up(self) -> None:
        """Bring it up, or fail with what it says."""
        done = self.local("up")
        assert done.returncode == 0, done.stderr

    def supervisorctl(self, *arguments: str) -> str:
        """Ask its supervisord something."""
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.state / "supervisord.conf")]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60).stdout

    def pid(self, name: str) -> int:
        """Process id of supervisord or of one of its programs."""
        if name == "supervisord":
            return int((self.state / "run" / "supervisord.pid").read_text())
        return int(self.supervisorctl("pid", name))

    def restart(self, name: str) -> None:
        """Restart one program and wait until the site answers again."""
        self.supervisorctl("restart", name)
        self.up()

    def processes(self) -> list[int]:
        """Every process whose command line or environment names this site's directory, without the test itself."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and int(process.name) != os.getpid():
                    said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                    if os.fsencode(self.state) in said:
                        found.append(int(process.name))
            except OSError:
                continue
        return found


@contextlib.contextmanager
def local_site(up: bool = True, wrapper: tuple[str, ...] = ()) -> Iterator[LocalSite]:
    """Give a test a local site of its own, in a short path; nothing of it is left afterwards."""
    parent = Path(tempfile.mkdtemp(prefix="ib"))
    site = LocalSite(parent / "s", next(free_ports()), wrapper)
    try:
        if up:
            site.up()
        yield site
    finally:
        site.local("down", "--remove")
        for pid in site.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(parent, ignore_errors=True)
