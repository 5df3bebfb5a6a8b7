# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy on a TCP connection between two processes: it delays, stops one direction, resets, cuts short and damages.

store_proxy.py is the other one: it knows HTTP, and with it a request from its answer. This one knows bytes alone, and
so serves for any protocol. What it does is set while it runs, and holds for each direction by itself.
"""

from __future__ import annotations

import random
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHUNK = 1 << 16
LOOK_SECONDS = 0.02  # so long at most until what is set anew has its effect
DIRECTIONS = ("there", "back")  # from who connects to who listens, and from there to who has connected


@dataclass
class Way:
    """What happens to the bytes of one direction, of all connections of the proxy."""

    delay: float = 0.0  # seconds
    jitter: float = 0.0  # up to so many more; bytes stay in their order all the same
    stalled: bool = False  # nothing is taken any more: it piles up with the sender
    damage: int = 0  # so many chunks get one bit turned
    damaged: int = 0  # so many have
    passed: int = 0  # bytes


@dataclass
class LinkProxy:
    """A proxy that listens at `port`. `ways` by the name of their direction."""

    port: int
    target: tuple[str, int]
    luck: random.Random
    ways: dict[str, Way] = field(default_factory=lambda: {direction: Way() for direction in DIRECTIONS})
    connections: int = 0
    cuts: int = 0  # so many connections are cut in the middle of what they carry, each at its next chunk
    _pairs: set[_Pair] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def slow(self, delay: float, jitter: float = 0.0) -> None:
        """Let both directions take so long."""
        for way in self.ways.values():
            way.delay, way.jitter = delay, jitter

    def reset(self) -> None:
        """End every connection with a reset (RST), whatever is on its way."""
        with self._lock:
            for pair in self._pairs:
                pair.is_reset = True

    def heal(self) -> None:
        """Do nothing any more; what was held back goes on."""
        self.cuts = 0
        for way in self.ways.values():
            way.delay = way.jitter = 0.0
            way.stalled, way.damage = False, 0

    def _treat(self, way: Way, data: bytes) -> tuple[bytes, bool]:
        """What is sent on of a chunk, and whether the connection ends behind it."""
        with self._lock:
            if way.damage > 0:
                way.damage -= 1
                way.damaged += 1
                place = self.luck.randrange(len(data))
                data = data[:place] + bytes([data[place] ^ 1 << self.luck.randrange(8)]) + data[place + 1 :]
            if self.cuts > 0 and len(data) > 1:
                self.cuts -= 1
                return data[: self.luck.randrange(1, len(data))], True
            return data, False


class _Pair:
    """One connection and the one that was made for it; served by a thread of its own."""

    def __init__(self, proxy: LinkProxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.is_reset = self.is_over = False
        self.ends = {"there": (client, server), "back": (server, client)}
        # Of each direction what has come and is not due yet: when it is, and whether the connection ends behind it.
        self.held: dict[str, deque[tuple[float, bytes, bool]]] = {direction: deque() for direction in DIRECTIONS}

    def serve(self) -> None:
        """Carry bytes until one of the two ends, or a fault says so."""
        sockets = self.ends["there"]
        try:
            while not self.is_over and not self.is_reset:
                self._turn()
        except OSError:
            pass
        finally:
            with self.proxy._lock:
                self.proxy._pairs.discard(self)
            for one in sockets:
                if self.is_reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()

    def _turn(self) -> None:
        with selectors.DefaultSelector() as selector:
            for direction, (source, _) in self.ends.items():
                if not self.proxy.ways[direction].stalled:
                    selector.register(source, selectors.EVENT_READ, direction)
            now = time.monotonic()
            due = min((held[0][0] for held in self.held.values() if held), default=now + LOOK_SECONDS)
            for key, _ in selector.select(max(0.0, min(LOOK_SECONDS, due - now))):
                self._take(key.data)
        for direction in DIRECTIONS:
            self._give(direction)

    def _take(self, direction: str) -> None:
        way = self.proxy.ways[direction]
        data = self.ends[direction][0].recv(CHUNK)
        if not data:
            self.is_over = True
            return
        data, ends = self.proxy._treat(way, data)
        held = self.held[direction]
        due = time.monotonic() + way.delay + self.proxy.luck.uniform(0.0, way.jitter)
        held.append((max(due, held[-1][0]) if held else due, data, ends))

    def _give(self, direction: str) -> None:
        held, way = self.held[direction], self.proxy.ways[direction]
        while held and held[0][0] <= time.monotonic() and not way.stalled:
            _, data, ends = held.popleft()
            self.ends[direction][1].sendall(data)
            way.passed += len(data)
            self.is_over = self.is_over or ends


@contextmanager
def link_proxy(port: int, target: tuple[str, int], seed: int = 1) -> Iterator[LinkProxy]:
    """A proxy at a port, in front of `target`; whoever finds nobody there is told so by the end of its connection."""
    proxy = LinkProxy(port, target, random.Random(seed))
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(0.05)
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            try:
                server = socket.create_connection(target, timeout=5)
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.settimeout(5)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(proxy, client, server)
            with proxy._lock:
                proxy._pairs.add(pair)
            proxy.connections += 1
            threads.append(threading.Thread(target=pair.serve, daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        stop.set()
        accepting.join(10)
        listener.close()
        proxy.reset()
        for thread in threads:
            thread.join(10)
