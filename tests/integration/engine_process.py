# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine process for tests: `ironbook engine run` in a directory of its own, killed by its own pid.

And a small raw client of SoupBinTCP and OUCH 5.0, written from the specifications and sharing no code with the engine
or with `ironbook.protocols`, so that tests can send what a well-behaved client never would.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest
from ironbook import core
from local_processes import free_port

PASSWORD = "s3cret"
ROOT = Path(__file__).resolve().parents[2]
# A core that was built in the checkout goes before the one that was installed; in a fresh clone there is none.
BUILT_HERE = any(ROOT.glob("engine_native/python/ironbook/core/_core*.so"))
PYTHON_PATH = os.pathsep.join(str(ROOT / part) for part in ("engine_native/python", "services") if BUILT_HERE)


@cache
def hash_of(password: str) -> str:
    """The crypt(3) hash, made as an operator would make it."""
    command = [sys.executable, "-m", "ironbook.cli", "secret", "hash"]
    result = subprocess.run(command, input=password, capture_output=True, text=True, check=True, env=environment())
    return result.stdout.strip()


def environment() -> dict[str, str]:
    """The environment with the checkout's own sources first."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (PYTHON_PATH, os.environ.get("PYTHONPATH"))))}


class Engine:
    """An engine, its configuration and its directories; may be started and killed again and again."""

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.directory = directory
        self.port = free_port()
        self.config_file = directory / "engine.json"
        self.journal = directory / "journal"
        self.run = directory / "run"
        self.log = directory / "engine.log"
        self.config: dict[str, Any] = {
            "shard": 0,
            "replica": 0,
            "epoch": 1,
            "journal_directory": str(self.journal),
            "run_directory": str(self.run),
            "order_entry": {"host": "127.0.0.1", "port": self.port},
            "instruments": [{"symbol": "AAPL", "tick": 1}, {"symbol": "MSFT", "tick": 100}],
            "sessions": [
                {"username": name, "firm": firm, "secret": hash_of(PASSWORD)}
                for name, firm in (("MAKER1", "MAKR"), ("TAKER1", "TAKR"))
            ],
            "journal": {"fsync": "none", "segment_bytes": 4194304},
            "limits": {"orders": 65536, "events": 1048576},
            "heartbeat_seconds": 1,
        }
        for key, value in changes.items():
            self.config[key] = {**self.config.get(key, {}), **value} if isinstance(value, dict) else value
        self.process: subprocess.Popen[bytes] | None = None
        self.enter: list[str] = []  # a command line that brings what follows it to another network
        self.variables: dict[str, str] = {}  # of its environment, besides

    def start(self, wait: bool = True) -> Self:
        """Start the process; `wait` until it serves."""
        self.config_file.write_text(json.dumps(self.config))
        command = [
            *self.enter,
            sys.executable,
            "-m",
            "ironbook.cli",
            "engine",
            "run",
            "--config",
            str(self.config_file),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment() | self.variables
            )
        if wait:
            self._wait()
        return self

    def _wait(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the engine ended at once:\n{self.log.read_text()}")
            try:
                self.admin("status")
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the engine does not serve:\n{self.log.read_text()}")

    def refused(self) -> str:
        """Start it and expect it to refuse: non-zero exit, and the one line that it says."""
        before = self.log.stat().st_size if self.log.exists() else 0
        self.start(wait=False)
        assert self.process is not None
        assert self.process.wait(30) != 0
        lines = self.log.read_text()[before:].splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the process with a signal; harmless when it has ended."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
        if self.process is not None:
            self.process.wait(30)

    def admin(self, request: str) -> dict[str, Any]:
        """One request at the admin socket."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.run / "admin.sock"))
            connection.sendall(request.encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                more = connection.recv(65536)
                assert more, "the admin socket was closed"
                data += more
        answer: dict[str, Any] = json.loads(data)
        return answer

    def disconnects(self, reason: str, expected: int = 1) -> int:
        """How many connections ended for a reason; waits a little for the expected number."""
        deadline = time.monotonic() + 5
        while (count := int(self.admin("status")["disconnects"][reason])) < expected and time.monotonic() < deadline:
            time.sleep(0.02)
        return count

    def login(self, username: str = "MAKER1", sequence: int = 1, **arguments: Any) -> Client:
        """A logged-in client."""
        client = Client(self.port, host=self.config["order_entry"]["host"])
        answer = client.login(username, sequence=sequence, **arguments)
        assert answer[:1] == b"A", answer
        return client


def packet(kind: bytes, payload: bytes = b"") -> bytes:
    """SoupBinTCP 3.00, section 1.1."""
    return struct.pack("!Hc", len(payload) + 1, kind) + payload


def login_request(username: str, password: str = PASSWORD, session: str = "", sequence: int | str = 1) -> bytes:
    """SoupBinTCP 3.00, section 2.3.1."""
    return packet(b"L", f"{username:<6}{password:<10}{session:>10}{sequence:>20}".encode())


def enter(  # noqa: PLR0913, PLR0917  (an order has this many fields)
    ref: int, side: str, quantity: int, price: int, symbol: str = "AAPL", tif: str = "0", appendage: bytes = b""
) -> bytes:
    """OUCH 5.0, section 2.1, in its SoupBinTCP packet."""
    message = struct.pack("!cIcI8sQ5s14sH", b"O", ref, side.encode(), quantity, symbol.ljust(8).encode(), price,
                          f"{tif}YPNN".encode(), f"C{ref:013}".encode(), len(appendage))  # fmt: skip
    return packet(b"U", message + appendage)


def replace(ref: int, new_ref: int, quantity: int, price: int) -> bytes:
    """OUCH 5.0, section 2.2."""
    message = struct.pack("!cIIIQ3s14sH", b"U", ref, new_ref, quantity, price, b"0YN", f"C{new_ref:013}".encode(), 0)
    return packet(b"U", message)


def cancel(ref: int, quantity: int = 0) -> bytes:
    """OUCH 5.0, section 2.3."""
    return packet(b"U", struct.pack("!cII", b"X", ref, quantity))


ACCOUNT_QUERY = packet(b"U", b"Q")


class Client:
    """A socket to the order-entry port. `sequenced` are the payloads of all Sequenced Data so far."""

    def __init__(self, port: int, timeout: float = 10, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self._buffer = b""
        self.sequenced: list[bytes] = []
        self.first = 0  # number of the first of them
        self.session = ""

    def login(self, username: str, **arguments: Any) -> bytes:
        """Log in; the payload of the answer with its type in front, or b'' when the engine closed."""
        self.send(login_request(username, **arguments))
        answer = self.packet()
        if answer[:1] == b"A":
            self.session, self.first = answer[1:11].decode().strip(), int(answer[11:])
        return answer

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def packet(self) -> bytes:
        """The next packet, type and payload; b'' at the end of the stream. TimeoutError when none comes."""
        while len(self._buffer) < 2 or len(self._buffer) < 2 + struct.unpack_from("!H", self._buffer)[0]:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._buffer += data
        size = 2 + struct.unpack_from("!H", self._buffer)[0]
        found, self._buffer = self._buffer[2:size], self._buffer[size:]
        if found[:1] == b"S":
            self.sequenced.append(found[1:])
        return found

    def packets(self) -> Iterator[bytes]:
        """All packets that are no heartbeats, to the end of the stream."""
        while found := self.packet():
            if found != b"H":
                yield found

    def report(self, kind: str) -> bytes:
        """The next Sequenced Data of an OUCH type; others before it are kept in `sequenced` only."""
        for found in self.packets():
            if found[:2] == b"S" + kind.encode():
                return found[1:]
        raise AssertionError(f"the stream ended before a report {kind}")

    def wait_for(self, count: int) -> list[bytes]:
        """Read until `count` sequenced reports are there."""
        while len(self.sequenced) < count:
            assert self.packet(), f"the stream ended after {len(self.sequenced)} of {count} reports"
        return self.sequenced

    def next_user_ref(self) -> int:
        """Ask by Account Query; the answer comes as Unsequenced Data."""
        self.send(ACCOUNT_QUERY)
        for found in self.packets():
            if found[:2] == b"UQ":
                return int(struct.unpack("!I", found[10:])[0])
        raise AssertionError("the stream ended before the answer to Account Query")

    def close(self) -> None:
        """Close the socket without a logout."""
        self.socket.close()


def used(segment: Path) -> bytes:
    """A segment up to its last record; behind it is what was reserved, and is zero."""
    return segment.read_bytes().rstrip(b"\0")


def same_after_a_kill(engine: Engine) -> None:
    """Kill and start again: one state hash, and a replay's."""
    before = engine.admin("totals")
    engine.kill()
    assert f"{core.replay(engine.journal, before['seq']).state_hash:016x}" == before["state_hash"]
    engine.start()
    assert engine.admin("totals")["state_hash"] == before["state_hash"]


SHIM = Path(__file__).resolve().parents[2] / "engine_native" / "tests" / "io_shim.c"


def compiled_shim(directory: Path, source: str | None = None) -> Path:
    """A library for LD_PRELOAD: of this source, or SHIM; what that does, the environment's SHIM_… say."""
    library, file = directory / "shim.so", SHIM
    if source is not None:
        file = directory / "shim.c"
        file.write_text(source)
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", str(library), str(file)], check=True)
    return library


def slow_journal(directory: Path, monkeypatch: pytest.MonkeyPatch, delay_us: int) -> None:
    """Every write of a group to a journal takes so long, in engines that are started from here on."""
    monkeypatch.setenv("LD_PRELOAD", str(compiled_shim(directory)))
    monkeypatch.setenv("SHIM_DELAY_US", str(delay_us))
