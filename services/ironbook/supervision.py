# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisord of one local site: its configuration, its RPC socket, and the processes that it left behind.

A supervisord gives each of its children SUPERVISOR_SERVER_URL, which names its socket and so its site, and the site's
random id, which stays the same where the directory is moved.  That is how the orphans of a killed supervisord are told
from every other process of the machine, without a single pid file.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import shlex
import signal
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET_PATH_BYTES_MAX = 107  # sun_path of unix(7) holds 108 bytes, the closing NUL included
USER = "ironbook"
IDENTITY_VARIABLE = "IRONBOOK_SITE"
_AT_REST = ("STOPPED", "EXITED", "FATAL")
_LOG_BYTES_MAX = "10MB"
_LOG_BACKUPS = 3


@dataclass(frozen=True)
class Program:
    """One supervised process.  `priority`: the lower, the earlier it starts and the later it stops."""

    name: str
    command: tuple[str, ...]
    stop_signal: str = "TERM"
    priority: int = 999
    stop_seconds: int = 15


def quote(word: str) -> str:
    """Quote a word for a `command=` line: supervisor expands %(x)s and then splits like a shell."""
    return shlex.quote(word).replace("%", "%%")


def program_section(program: Program, log_directory: Path) -> str:
    """Return the file of one program in supervisor.d."""
    lines = {
        "command": " ".join(quote(word) for word in program.command),
        "priority": program.priority,
        "autorestart": "true",
        "startsecs": 1,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "redirect_stderr": "true",
        "stdout_logfile": log_directory / f"{program.name}.log",
        "stdout_logfile_maxbytes": _LOG_BYTES_MAX,
        "stdout_logfile_backups": _LOG_BACKUPS,
    }
    return _section(f"program:{program.name}", lines)


def daemon_sections(state: Path, password: str) -> str:
    """supervisord.conf.  Naming root as the user, and a password, keeps two warnings out of a quiet log."""
    socket = state / "run" / "supervisor.sock"
    login = {"username": USER, "password": password}
    daemon: dict[str, object] = {
        "logfile": state / "log" / "supervisord.log",
        "logfile_maxbytes": _LOG_BYTES_MAX,
        "logfile_backups": _LOG_BACKUPS,
        "pidfile": state / "run" / "supervisord.pid",
        "childlogdir": state / "log",
        "directory": state,
        "umask": "077",
        "identifier": "ironbook",
    }
    if os.geteuid() == 0:
        daemon["user"] = "root"
    return "\n".join(
        (
            _section("supervisord", daemon),
            _section("unix_http_server", {"file": socket, "chmod": "0600", **login}),
            _section(
                "rpcinterface:supervisor",
                {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            _section("supervisorctl", {"serverurl": server_url(state), **login}),
            _section("include", {"files": "supervisor.d/*.conf"}),
        )
    )


def _section(name: str, lines: Mapping[str, object]) -> str:
    return "".join([f"[{name}]\n", *(f"{key} = {value}\n" for key, value in lines.items())])


def server_url(state: Path) -> str:
    """Return the address of a site's supervisord, which each of its children carries in its environment."""
    return f"unix://{state}/run/supervisor.sock"


class Supervisor:
    """The RPC interface of one supervisord, which need not run yet."""

    def __init__(self, state: Path, password: str) -> None:
        """Name the supervisord; nothing is asked of it yet."""
        self._url = server_url(state)
        self._password = password

    @property
    def _rpc(self) -> Any:
        """A new connection for each call, since supervisor's transport does not survive a refused one."""
        from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]  # noqa: PLC0415

        transport = SupervisorTransport(USER, self._password, self._url)
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def answers(self) -> bool:
        """Whether a supervisord listens on the socket and is not shutting down."""
        try:
            return bool(self._rpc.getState()["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def processes(self) -> list[dict[str, Any]]:
        """One dictionary a program: name, statename, pid, start, now (unix s), description."""
        every: list[dict[str, Any]] = self._rpc.getAllProcessInfo()
        return every

    def process(self, name: str) -> dict[str, Any]:
        """Return the dictionary of one program."""
        one: dict[str, Any] = self._rpc.getProcessInfo(name)
        return one

    def is_alive(self, name: str) -> bool:
        """Whether a process of this program runs, or is about to; not where an older site has no such program."""
        try:
            return self.process(name)["statename"] in ("STARTING", "RUNNING", "STOPPING")
        except xmlrpc.client.Fault:
            return False

    def ensure(self, names: Iterable[str]) -> None:
        """Take over the changed files of these programs and start those that do not run; take in every new program.

        A new one is there when Ansible was broken off between writing its file and telling supervisord.
        """
        added, changed, _removed = self._rpc.reloadConfig()[0]
        for name in added:
            self._rpc.addProcessGroup(name)
        for name in names:
            if name in changed:
                self._rpc.stopProcessGroup(name)
                self._rpc.removeProcessGroup(name)
                self._rpc.addProcessGroup(name)
            elif name not in added and self.process(name)["statename"] in _AT_REST:
                with contextlib.suppress(xmlrpc.client.Fault):  # started meanwhile
                    self._rpc.startProcess(name, False)


def daemons_of(configuration: Path | None, identity: str = "") -> list[int]:
    """Process ids of each supervisord that runs with this configuration file, or for the site with this id."""
    wanted = os.fsencode(configuration) if configuration else b""

    def matches(process: Path) -> bool:
        words = (process / "cmdline").read_bytes().split(b"\0")
        if not any(word.endswith(b"supervisord") for word in words):
            return False
        return bool(wanted and wanted in words) or _has(process, _identified(identity))

    return _processes(matches)


def children_of(state: Path | None, identity: str = "") -> list[int]:
    """Process ids of all that a supervisord of this directory, or of the site with this id, started.

    Whether or not it still runs.
    """
    served = {b"SUPERVISOR_SERVER_URL=" + os.fsencode(server_url(state))} if state else set()
    return _processes(lambda process: _has(process, served | _identified(identity)))


def _identified(identity: str) -> set[bytes]:
    return {f"{IDENTITY_VARIABLE}={identity}".encode("ascii")} if identity else set()


def _has(process: Path, wanted: set[bytes]) -> bool:
    """Whether a process was started with one of these variables."""
    return not wanted.isdisjoint((process / "environ").read_bytes().split(b"\0"))


def _processes(matches: Callable[[Path], bool]) -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and int(process.name) != os.getpid() and matches(process):
                found.append(int(process.name))
        except OSError:
            continue  # gone meanwhile, or another user's
    return found


def end(find: Callable[[], list[int]], stop: signal.Signals, seconds: float) -> list[int]:
    """Ask the processes that `find` finds to end, kill after `seconds` what stayed, and return what is left even so.

    Each process is held by a pidfd: `find` is asked again before a signal is sent, so that none reaches a process that
    was given the id in between; and a process has ended when all of its threads have, which is when its ports are free.
    `find` alone no longer sees it once the first of them is gone.
    """
    held: dict[int, int] = {}
    try:
        for number, patience in ((stop, seconds), (signal.SIGKILL, 5.0)):
            _signal(find, number, held)
            deadline = time.monotonic() + patience
            while (find() or _running(held)) and time.monotonic() < deadline:
                time.sleep(0.05)
        return sorted({*find(), *_running(held)})
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _signal(find: Callable[[], list[int]], number: signal.Signals, held: dict[int, int]) -> None:
    for pid in {*find(), *_running(held)}:
        with contextlib.suppress(ProcessLookupError):
            known = pid in held
            if not known:
                held[pid] = os.pidfd_open(pid)
            if known or pid in find():
                signal.pidfd_send_signal(held[pid], number)
            else:
                os.close(held.pop(pid))


def _running(held: Mapping[int, int]) -> list[int]:
    """Those processes that have not ended: a pidfd becomes readable when the last thread has (pidfd_open(2))."""
    return [pid for pid, descriptor in held.items() if not select.select([descriptor], [], [], 0)[0]]
