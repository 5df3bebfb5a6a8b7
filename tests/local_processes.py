# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of real processes share: free ports, our command line, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import itertools
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
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
IRONBOOK = (sys.executable, "-m", "ironbook.cli")


def own_ports() -> range:
    """The hundred ports that this process gives to its tests. The hundred after them are for the engines of its sites.

    Each lane of `make test` has its own, IRONBOOK_TEST_PORTS is the first; a worker of pytest-xdist has a part of them.
    """
    first = int(os.environ.get("IRONBOOK_TEST_PORTS") or 1000 + int(os.environ.get("IRONBOOK_PORT_BASE") or 21000))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = 100 // workers // 10 * 10
    return range(first + worker * size, first + (worker + 1) * size)


PORTS = own_ports()
SITE_PORTS = 10


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: our services first, and nothing of AWS but what `more` says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IRONBOOK_"))}
    sources = [str(ROOT / "services"), os.environ.get("PYTHONPATH", "")]
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sources))} | more


def free_port(first_of: int = 1) -> int:
    """A free port, or the first of `first_of` that are free together; the next call goes on behind them.

    They lie below the ports that the kernel gives to clients, so that none of those takes one meanwhile.
    """
    for _ in range(2 * len(PORTS)):
        first = next(_next_ports)
        if first % first_of == 0 and all(is_free(port) for port in range(first, first + first_of)):
            for _ in range(1, first_of):
                next(_next_ports)
            return first
    raise AssertionError(f"no {first_of} free ports together in {PORTS}")


_next_ports = itertools.cycle(PORTS)


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60.0) -> T:
    """Return what `condition` says as soon as it is true; an assertion that names `what` where it never is."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return value


def state_and_parent(process: Path) -> tuple[str, int] | None:
    """Of a directory of /proc: the letter of its state, and its parent's id; None where it has ended (proc(5))."""
    try:
        said = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return said[0], int(said[1])


def kill_family(pid: int) -> int:
    """Kill a process and everything that descends from it, in whatever session; return how many there were.

    Each is stopped before its children are looked for, so that none starts another one meanwhile. What has detached
    itself, by a parent that ended, is no descendant, and lives on.
    """
    family = {pid}
    while True:
        for one in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGSTOP)
        there = {int(path.name): found for path in Path("/proc").iterdir()
                 if path.name.isdigit() and (found := state_and_parent(path))}  # fmt: skip
        are_still = all(there[one][0] in "TtZX" for one in family if one in there)
        children = {one for one, (_, parent) in there.items() if parent in family} - family
        family |= children
        if are_still and not children:
            break
    for one in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return len(family)


@dataclass(frozen=True)
class LocalSite:
    """A local site that a test owns. Port 0: IRONBOOK_PORT_BASE is not set."""

    state: Path
    port: int
    wrapper: tuple[str, ...] = ()

    def environment(self) -> dict[str, str]:
        """What names this site."""
        return environment(IRONBOOK_STATE=str(self.state), IRONBOOK_PORT_BASE=str(self.port or ""))

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
        """Every process whose command line or environment names this site's directory, without those of the test."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and int(process.name) != os.getpid():
                    said = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                    if os.fsencode(self.state) in said and os.fsencode(_WATCH) not in said:
                        found.append(int(process.name))
            except OSError:
                continue
        return found


# Waits for the test to say that it has ended; where it ends without a word, killed, puts away what it left.
_WATCH = 'read -r word && exit; "$@" >/dev/null 2>&1; rm -rf "$PARENT"'


@contextlib.contextmanager
def put_away_if_killed(site: LocalSite) -> Iterator[None]:
    """Have a process of its own end the site and remove its parent directory, should this one be killed meanwhile.

    It reads from a pipe of ours, which the kernel closes with us: no kill can keep it from hearing of that.
    """
    watcher = subprocess.Popen(
        ["sh", "-c", _WATCH, "sh", *IRONBOOK, "local", "down", "--remove"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=site.environment() | {"PARENT": str(site.state.parent)},
        start_new_session=True,
        cwd="/",
    )
    try:
        yield
    finally:
        watcher.communicate(b"ended\n")


@contextlib.contextmanager
def local_site(up: bool = True, wrapper: tuple[str, ...] = ()) -> Iterator[LocalSite]:
    """Give a test a local site of its own, in a short path; nothing of it is left afterwards."""
    parent = Path(tempfile.mkdtemp(prefix="ib"))
    site = LocalSite(parent / "s", free_port(SITE_PORTS), wrapper)
    try:
        with put_away_if_killed(site):
            try:
                if up:
                    site.up()
                yield site
            finally:
                site.local("down", "--remove")
    finally:
        for pid in site.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(parent, ignore_errors=True)
