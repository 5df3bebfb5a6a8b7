# SPDX-License-Identifier: GPL-3.0-or-later
"""What threads.py has around an engine_host: its process, clients, an administrator, and a store for a shard.

The clients and the store speak the protocols as docs/protocols has them, and share no code with the engine.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

OPTIONS = "io_sync=0:history_size=4:exitcode=66:log_path="
COMMAND = struct.Struct("<QQHHIIIqQBBBBBBHQQ24sqQQBB6s")
MESSAGE = struct.Struct("<IIQQQIIII16x")  # docs/protocols/store.md
ENTER, MASS_CANCEL, ACCEPTED, REJECTED = 3, 15, 1, 6
READ, WRITE, ANSWER, CHANGE, CONFLICT = 1, 2, 3, 4, 1
ONLY_NEW, ORDER_ENTRY_PORT = 0xFFFFFFFF, 20001  # the port: engine_host.c
PATIENCE_S = 60
# Where addresses are more random than ThreadSanitizer can do with, they are not random.
RANDOM_BITS = Path("/proc/sys/vm/mmap_rnd_bits")
LAID_OUT = ["setarch", "-R"] if RANDOM_BITS.exists() and int(RANDOM_BITS.read_text(encoding="ascii")) > 28 else []


class Store:
    """The configuration record of a shard of three, and a store.sock for each member, as its agent would serve it."""

    def __init__(self, directories: list[Path]) -> None:
        """Serve at `run/store.sock` below each directory, which is a member's."""
        self.lock = threading.Lock()
        self.record = (1, 0, (1 << len(directories)) - 1, 0xFF)  # version, epoch, in-sync set, primary
        self.connections: list[socket.socket] = []
        for directory in directories:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(directory / "run" / "store.sock"))
            listener.listen()
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _tell(self, connection: socket.socket, kind: int, outcome: int, request: int) -> None:
        version, epoch, in_sync, primary = self.record
        connection.sendall(MESSAGE.pack(kind, outcome, request, version, epoch, in_sync, primary, 1, 0))

    def _serve(self, connection: socket.socket) -> None:
        try:
            hello = receive(connection, 32)
            connection.sendall(hello[:12] + struct.pack("<I", 0) + hello[12:20] + bytes(8))
            with self.lock:
                self._tell(connection, CHANGE, 0, 0)
                self.connections.append(connection)
            while True:
                kind, _, request, version, epoch, in_sync, primary, _, _ = MESSAGE.unpack(receive(connection, 64))
                with self.lock:
                    fits = version == self.record[0] + 1
                    if kind == WRITE and fits:
                        self.record = (version, epoch, in_sync, primary)
                    self._tell(connection, ANSWER, 0 if kind == READ or fits else CONFLICT, request)
                    if kind == WRITE and fits:
                        self._tell_others(connection)
        except OSError:
            with self.lock:
                self.connections = [other for other in self.connections if other is not connection]

    def _tell_others(self, writer: socket.socket) -> None:
        for other in self.connections:
            if other is not writer:
                with suppress(OSError):  # its own thread finds out that it has gone
                    self._tell(other, CHANGE, 0, 0)


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; ConnectionError where the other end has gone."""
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


class Host:
    """An engine's process: alone, or a member of a shard of `members`."""

    def __init__(self, program: Path, directory: Path, network: str, replica: int = 0, members: int = 0) -> None:
        """The program is an engine_host; nothing is started yet."""
        self.directory, self.address, self.replica = directory, f"{network}.{replica + 1}", replica
        self.command = [*LAID_OUT, str(program), str(directory), network, str(replica), str(members)]
        self.process: subprocess.Popen[bytes] | None = None
        self.wrong: list[str] = []
        (directory / "run").mkdir(parents=True, mode=0o700)

    def start(self, **variables: str) -> None:
        """Start it, and wait until it answers."""
        options = f"{OPTIONS}{self.directory}/threads"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stderr=log, stdout=log, env=os.environ | {"TSAN_OPTIONS": options} | variables
            )
        until(lambda: self.process is None or self.process.poll() is not None or self.asks("status"), "an engine")

    def asks(self, request: str) -> dict[str, Any] | None:
        """The answer to a request of an administrator's; None where there is none."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(2)
                connection.connect(str(self.directory / "run" / "admin.sock"))
                connection.sendall(request.encode() + b"\n")
                data = b""
                while not data.endswith(b"\n"):
                    data += receive(connection, 1)
                answer: dict[str, Any] = json.loads(data)
                return answer
        except OSError:
            return None

    def send(self, number: int) -> None:
        """A signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int) -> None:
        """End it with a signal; it is wrong to end otherwise."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != (-number if number == signal.SIGKILL else 0):
            lines = (self.directory / "log").read_text(encoding="utf-8", errors="replace").splitlines()
            self.wrong.append(f"it ended with {code}: {lines[-1] if lines else ''}")

    def faults(self) -> list[str]:
        """What ThreadSanitizer has said, each in a line, and how else it went wrong; it is ended if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self.directory.glob("threads.*")]
        said = [line for text in texts for line in text.splitlines() if line.startswith("SUMMARY: ")]
        return said + self.wrong


def until(there: Callable[[], Any], what: str) -> None:
    """Wait for it; TimeoutError says for what."""
    deadline = time.monotonic() + PATIENCE_S
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.01)


class Commands:
    """A session at commands.sock, from report number `after` on (docs/protocols/commands.md)."""

    def __init__(self, host: Host, username: str, after: int = ONLY_NEW) -> None:
        """Connect, and read the reports that were sent before; OSError where nobody serves."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(host.directory / "run" / "commands.sock"))
        self.socket.sendall(struct.pack("<8sII6sHII", b"IBCOMND1", 1, 0, username.encode(), 0, after, 0))
        _, _, status, _, self.ref, self.last, _, _ = struct.unpack("<8sIIIIIHH", receive(self.socket, 32))
        if status != 0:
            raise ConnectionRefusedError
        if after != ONLY_NEW:
            for _ in range(self.last - after):
                receive(self.socket, 128)

    def orders(self, count: int) -> None:
        """So many orders in one write, some of which trade; until the last one is accepted or rejected."""
        data = b""
        for ref in range(self.ref, self.ref + count):
            side, price = 1 + ref % 2, 1000 + ref % 3 - ref % 2
            data += COMMAND.pack(0, 0, ENTER, 0, 0, ref, 0, price, 10, side, 0, 1, 0, 0, 0, 0, 0, 0, b"", 0, 0, 0, 0, 0,
                                 b"")  # fmt: skip
        self.socket.sendall(data)
        self.ref += count
        while True:
            event = receive(self.socket, 128)
            if event[20] in {ACCEPTED, REJECTED} and struct.unpack_from("<I", event, 28)[0] == self.ref - 1:
                return

    def cancel(self) -> None:
        """All orders of the session."""
        self.socket.sendall(COMMAND.pack(0, 0, MASS_CANCEL, 0, 0xFFFFFFFF, 0, 0, 0, 0, *([0] * 9), b"", 0, 0, 0, 0, 0,
                                         b""))  # fmt: skip


class OrderEntry:
    """A session at order entry (SoupBinTCP, OUCH 5.0)."""

    def __init__(self, host: Host, username: str) -> None:
        """Log in, and ask for the next number of an order; OSError where nobody serves."""
        self.socket = socket.create_connection((host.address, ORDER_ENTRY_PORT), timeout=10)
        self.socket.sendall(soup(b"L", f"{username:<6}{'secret':<10}{'':>10}{0:>20}".encode()))
        if self._packet()[:1] != b"A":
            raise ConnectionRefusedError
        self.socket.sendall(soup(b"U", b"Q"))
        while not (found := self._packet()).startswith(b"UQ"):
            pass
        self.ref = struct.unpack("!I", found[10:14])[0]

    def _packet(self) -> bytes:
        return receive(self.socket, struct.unpack("!H", receive(self.socket, 2))[0])

    def orders(self, count: int) -> None:
        """As those of Commands."""
        data = b""
        for ref in range(self.ref, self.ref + count):
            side, price = b"SB"[ref % 2 : ref % 2 + 1], 1000 + ref % 3 - ref % 2
            data += soup(b"U", struct.pack("!cIcI8sQ5s14sH", b"O", ref, side, 10, b"AAPL    ", price, b"0YPNN", b"", 0))
        self.socket.sendall(data)
        self.ref += count
        while True:
            found = self._packet()
            if found[:2] in {b"SA", b"SJ"} and struct.unpack("!I", found[10:14])[0] == self.ref - 1:
                return

    def cancel(self) -> None:
        """Each order of its own: the last ten."""
        self.socket.sendall(b"".join(soup(b"U", struct.pack("!cII", b"X", self.ref - i, 0)) for i in range(1, 10)))


def soup(kind: bytes, payload: bytes) -> bytes:
    """A packet of SoupBinTCP."""
    return struct.pack("!Hc", len(payload) + 1, kind) + payload
