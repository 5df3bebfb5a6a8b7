# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench-failover`: how long a shard acknowledges nothing when something breaks, and that nothing is lost by it.

    .venv/bin/python bench/failover.py [--crashes N] [--others N] [--only KIND ...] [--save]

Three engines with their agents and a real cluster of etcd, all on this machine. One client has one order in flight, and
when its connection ends or says nothing for 100 ms it asks all members at once, every 2 ms, who lets it log in; it
resends what has no answer. A figure is the time from the last acknowledgement before the fault to the first after it.

crash        kill -9 of the primary's process
silence      SIGSTOP of it, as a host that is lost: its connections stay open and say nothing (silence_ms = 1000)
with_store   the same, and etcd's leader with it
switchover   planned, by the admin socket

Between two faults everything is whole and in sync again. In the end the clients' logs are held against the three
journals by tests/history, which shares no code with the engine. Ends in one line of JSON with every figure and its bar,
the machine, the commit and the date; exits 1 where one misses, or an acknowledged order is missing, doubled or changed.
--save writes it to bench/results/failover.json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import selectors
import signal
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from history.check import History, Order, check  # noqa: E402  (found through the line above)
from history.journal_bytes import read  # noqa: E402
from integration.engine_process import enter, login_request  # noqa: E402
from integration.etcd_cluster import Cluster, etcd_cluster  # noqa: E402
from integration.shard import Shard, replicated_shard  # noqa: E402
from integration.stores import Etcd  # noqa: E402
from integration.trader import ACCEPTED, replayed  # noqa: E402
from ironbook import machine  # noqa: E402
from local_processes import wait_for  # noqa: E402

# What issue 4 asks for, in milliseconds, at most. The owner's promise is 30 s.
BARS = {
    "crash_p50_ms": 250,
    "crash_worst_ms": 1000,
    "silence_worst_ms": 3000,
    "with_store_worst_ms": 8000,
    "switchover_worst_ms": 100,
}
USER = "MAKER1"
# As deployed: the defaults of engine.json. Tests give each other more time.
TIMES = {"silence_ms": 1000, "stagger_ms": 100, "lag_ms": 1000}
SAYS_NOTHING_S = 0.1
ASK_EVERY_S = 0.002


class Seeker:
    """One session with one order in flight, at whichever member is primary."""

    def __init__(self, ports: list[int]) -> None:
        """Order entry of each member."""
        self.ports = ports
        self.orders: list[Order] = []
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._reports = 0

    def _packets(self, seconds: float) -> list[bytes]:
        """What comes within so long, at least one packet; OSError where none does."""
        assert self._socket is not None
        self._socket.settimeout(seconds)
        while not (found := self._whole()):
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionResetError
            self._buffer += more
        return found

    def _whole(self) -> list[bytes]:
        found = []
        while len(self._buffer) >= 2 and len(self._buffer) >= (size := 2 + struct.unpack_from("!H", self._buffer)[0]):
            found.append(self._buffer[2:size])
            self._buffer = self._buffer[size:]
        return found

    def _log_in(self) -> None:
        """Ask all members at once until one says yes; whoever is paused is not waited for."""
        request = login_request(USER, sequence=self._reports + 1)
        selector = selectors.DefaultSelector()
        open_sockets: dict[int, socket.socket] = {}
        while True:
            for port in self.ports:
                if port not in open_sockets:
                    connection = socket.socket()
                    connection.setblocking(False)
                    connection.connect_ex(("127.0.0.1", port))
                    open_sockets[port] = connection
                    selector.register(connection, selectors.EVENT_WRITE, port)
            for key, events in selector.select(ASK_EVERY_S):
                connection = open_sockets[key.data]
                try:
                    if events & selectors.EVENT_WRITE:
                        connection.send(request)
                        selector.modify(connection, selectors.EVENT_READ, key.data)
                        continue
                    answer = connection.recv(1 << 16)
                except OSError:
                    answer = b""
                if answer[2:3] == b"A":
                    selector.close()
                    for port, other in open_sockets.items():
                        if port != key.data:
                            other.close()
                    self._socket, self._buffer = connection, answer
                    return
                selector.unregister(connection)
                open_sockets.pop(key.data).close()
            time.sleep(ASK_EVERY_S)

    def order(self) -> int:
        """One order; the moment of its acknowledgement, in nanoseconds of the monotonic clock."""
        ref = len(self.orders) + 1
        price = 10_000 + ref % 100
        self.orders.append(Order(USER, ref, "S", 1 + ref % 50, price, time.monotonic_ns()))
        is_sent = False
        while True:
            try:
                if self._socket is None:
                    self._log_in()
                    is_sent = False
                assert self._socket is not None
                if not is_sent:
                    self._socket.sendall(enter(ref, "S", 1 + ref % 50, price))
                    is_sent = True
                for packet in self._packets(SAYS_NOTHING_S):
                    if packet[:1] == b"S":
                        self._reports += 1
                    if packet[:2] == b"SA" and self._take(packet[1:], ref):
                        return time.monotonic_ns()
            except OSError:
                if self._socket is not None:
                    self._socket.close()
                self._socket = None

    def _take(self, report: bytes, ref: int) -> bool:
        fields = ACCEPTED.unpack_from(report)
        if fields[2] != ref:
            raise SystemExit(f"failover: an acknowledgement of order {fields[2]} came while {ref} was in flight")
        told = dataclasses.replace(
            self.orders[-1], acked_ns=time.monotonic_ns(), result="accepted", order_ref=fields[9]
        )
        self.orders[-1] = told
        return True

    def outage_ms(self, fault: Callable[[], object]) -> float:
        """Some orders, the fault, and the first order after it: what its client waited for an acknowledgement."""
        for _ in range(20):
            last = self.order()
        fault()
        return (self.order() - last) / 1e6


def stop(process: Any) -> None:
    """As a lost host: nothing ends, and nothing is said."""
    process.send_signal(signal.SIGSTOP)


class Drill:
    """A running shard, its store, and the client."""

    def __init__(self, shard: Shard, cluster: Cluster) -> None:
        """Nobody is logged in yet."""
        self.shard, self.cluster = shard, cluster
        self.client = Seeker(shard.ports)
        self.kinds: dict[str, Callable[[int], float]] = {
            "crash": self.crash,
            "silence": self.silence,
            "with_store": self.with_store,
            "switchover": self.switchover,
        }

    def crash(self, primary: int) -> float:
        """Kill, measure, and start it again."""
        took = self.client.outage_ms(self.shard.engines[primary].kill)
        self.shard.engines[primary].start()
        return took

    def silence(self, primary: int) -> float:
        """Pause, measure, and let it go on."""
        process = self.shard.engines[primary].process
        assert process is not None
        took = self.client.outage_ms(lambda: stop(process))
        process.send_signal(signal.SIGCONT)
        return took

    def with_store(self, primary: int) -> float:
        """Pause it and etcd's leader."""
        process, leader = self.shard.engines[primary].process, self.cluster.leader()
        assert process is not None

        def fault() -> None:
            leader.signal(signal.SIGSTOP)
            stop(process)

        took = self.client.outage_ms(fault)
        process.send_signal(signal.SIGCONT)
        self.cluster.heal()
        return took

    def switchover(self, primary: int) -> float:
        """Hand over to the next one."""
        to = (primary + 1) % len(self.shard.engines)
        return self.client.outage_ms(lambda: self.shard.engines[primary].admin(f"switch_over {to}"))

    def run(self, kind: str, times: int) -> list[float]:
        """So many of a kind, each with a whole shard before it."""
        took = []
        for number in range(times):
            primary = self.shard.in_sync()
            took.append(round(self.kinds[kind](primary), 1))
            print(f"{kind} {number + 1}: {took[-1]} ms", file=sys.stderr, flush=True)
        return took

    def faults(self) -> list[str]:
        """What the journals do not have of what the client was told, or have otherwise."""
        survivor = self.shard.in_sync()
        wait_for(self.shard.equal_states, "three equal states")
        for engine in self.shard.engines:
            engine.kill(signal.SIGTERM)
        directories = {f"engine-{number}": engine.journal for number, engine in enumerate(self.shard.engines)}
        journals = {name: read(directory) for name, directory in directories.items()}
        name = f"engine-{survivor}"
        events = replayed(directories[name], journals[name])
        return check(History(self.client.orders, journals, name, replayed=events))


def figures_of(took: dict[str, list[float]]) -> dict[str, float]:
    """Median and worst of each kind."""
    found = {}
    for kind, values in took.items():
        found[f"{kind}_p50_ms"] = round(statistics.median(values), 1)
        found[f"{kind}_worst_ms"] = max(values)
    return found


def main(words: list[str] | None = None) -> int:
    """Break it, measure, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crashes", type=int, default=100)
    parser.add_argument("--others", type=int, default=10, help="of each other kind")
    parser.add_argument("--only", nargs="+", choices=("crash", "silence", "with_store", "switchover"))
    parser.add_argument("--save", action="store_true", help="write bench/results/failover.json")
    arguments = parser.parse_args(words)
    load_before = machine.load()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ib")))
        cluster = stack.enter_context(etcd_cluster(directory))
        backend = Etcd(cluster)
        settings = {"kind": "etcd", "endpoints": cluster.endpoints}
        shard = stack.enter_context(
            replicated_shard(settings, backend.open(), backend.shard(), replication=TIMES, journal={"fsync": "write"})
        )
        drill = Drill(shard, cluster)
        counts = {kind: arguments.crashes if kind == "crash" else arguments.others for kind in drill.kinds}
        took = {kind: drill.run(kind, count) for kind, count in counts.items() if kind in (arguments.only or counts)}
        lost = drill.faults()
        orders = len(drill.client.orders)
    figures = figures_of(took)
    missed = [f"{name}: {figures[name]} is over {bar}" for name, bar in BARS.items() if figures.get(name, 0) > bar]
    result = {
        "bench": "failover", **figures, "bars": BARS, "acknowledged": orders, "lost_doubled_or_changed": len(lost),
        "times_ms": took, "members": 3, "fsync": "write", **TIMES,
        "machine": machine.processor(), "commit": machine.commit(), "date": machine.now(), "load_before": load_before,
    }  # fmt: skip
    print(json.dumps(result))
    if arguments.save:
        path = ROOT / "bench" / "results" / "failover.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for line in [*missed, *lost]:
        print(line, file=sys.stderr)
    return 1 if missed or lost else 0


if __name__ == "__main__":
    sys.exit(main())
