# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture file for whoever may not capture: a relay keeps what each side sent and writes it as TCP segments.

The payload is what really went over the sockets, in its order and cut where it was received; the IPv4 and TCP headers
around it are made up here (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, RFC 791, RFC 9293).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from typing import Self

LINKTYPE_RAW = 101  # a packet begins with its IP header
HOST = socket.inet_aton("127.0.0.1")


class Recorder:
    """Listens on a port of its own, relays to the engine's and remembers; a context manager."""

    def __init__(self, engine_port: int) -> None:
        self._engine_port = engine_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._chunks: list[tuple[float, int, bool, bytes]] = []  # time, connection, towards the engine, bytes
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._sockets:
            end.close()

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            engine = socket.create_connection(("127.0.0.1", self._engine_port))
            self._sockets += [client, engine]
            for source, target, inward in ((client, engine, True), (engine, client, False)):
                threading.Thread(target=self._pump, args=(source, target, number, inward), daemon=True).start()
            number += 1

    def _pump(self, source: socket.socket, target: socket.socket, number: int, inward: bool) -> None:
        try:
            while data := source.recv(1400):
                with self._lock:
                    self._chunks.append((time.time(), number, inward, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def write(self, path: Path) -> None:
        """Write everything so far as a capture; the engine's port is that of the recorder."""
        with self._lock, path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_RAW))
            sent: dict[tuple[int, bool], int] = {}
            for when, number, inward, data in self._chunks:
                seq = sent.get((number, inward), 1)
                ack = sent.get((number, not inward), 1)
                sent[number, inward] = seq + len(data)
                ports = (50_000 + number, self.port) if inward else (self.port, 50_000 + number)
                tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, 5 << 4, 0x18, 65535, 0, 0) + data
                ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, HOST, HOST)
                size = len(ip) + len(tcp)
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), size, size) + ip + tcp)
