# SPDX-License-Identifier: GPL-3.0-or-later
"""No two threads of an engine use one place in memory without an order between them: whole processes, watched.

    python3 tests/threads.py BUILD_DIRECTORY [ROUNDS]

BUILD_DIRECTORY/threads has the objects of the engine and of engine_host.c, made with -fsanitize=thread.  Two scenarios:
an engine alone, and a shard of three members with a store in this process.  Clients send lone orders, some at a time
and bursts, so that I/O thread and the threads of matcher and journal take turns at both; an administrator asks for the
totals, halts and resumes meanwhile; the disk is slow in every other run; each start but the first begins with a
snapshot, and makes again what was before; members are killed and paused.  Whatever ThreadSanitizer says is a failure,
and so is an engine that ends otherwise than it should.

Synchronisation by reading and writing a descriptor does not count (io_sync=0): the engine's threads wake each other
so, and an order that only a wake-up brings would be missing whenever nobody sleeps.

At last, faults: one order less, or one look less at who is idle.  Each must be noticed.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from threads_world import Commands, Host, OrderEntry, Store, until

HOME = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOME / "sim"))

from mutants import Mutant, faulty_sources, misfits, try_all  # noqa: E402  (found through the line above)

FLAGS = ["-std=c11", "-D_DEFAULT_SOURCE", "-O1", "-g", "-fsanitize=thread", f"-I{HOME}/include"]


RING = ("engine", "engine_match", "sequencer", "ring")  # those that have ring.h in them
MUTANTS = (
    Mutant(
        "what a thread has done is not published with its count",
        "ring.h",
        "atomic_store_explicit(&consumer->done, before + count, memory_order_seq_cst);",
        "atomic_store_explicit(&consumer->done, before + count, memory_order_relaxed);",
    ),
    Mutant(
        "commands are shown before they are there",
        "ring.h",
        "atomic_store_explicit(&consumer->shown, ring->claimed, memory_order_seq_cst);",
        "atomic_store_explicit(&consumer->shown, ring->claimed, memory_order_relaxed);",
    ),
    Mutant(
        "whether a thread is idle is asked without an order",
        "ring.h",
        "return atomic_load_explicit(&ring->consumers[id].done, memory_order_acquire);",
        "return atomic_load_explicit(&ring->consumers[id].done, memory_order_relaxed);",
    ),
    Mutant(
        "what is shown is read without an order",
        "ring.h",
        "uint64_t shown = atomic_load_explicit(&ring->consumers[id].shown, memory_order_acquire);",
        "uint64_t shown = atomic_load_explicit(&ring->consumers[id].shown, memory_order_relaxed);",
    ),
    Mutant(
        "orders are kept while the journal's thread is busy",
        "sequencer",
        "!ib_ring_is_idle(ring, IB_RING_JOURNAL) ||",
        "",
    ),
    Mutant(
        "orders are matched while the other thread looks at the matcher",
        "engine_match",
        "if (atomic_load(&engine->snapshot_state) == IB_SNAPSHOT_WANTED) {",
        "if (0) {",
    ),
    Mutant(
        "totals are taken before they are there",
        "engine_match",
        "IB_SNAPSHOT_TAKEN, memory_order_release",
        "IB_SNAPSHOT_TAKEN, memory_order_relaxed",
    ),
    Mutant(
        "the history is complete before its events are there",
        "event_log",
        "atomic_store_explicit(&log->history_state, IB_HISTORY_COMPLETE, memory_order_release);",
        "atomic_store_explicit(&log->history_state, IB_HISTORY_COMPLETE, memory_order_relaxed);",
    ),
)


def trade(client: Commands | OrderEntry, rounds: int, seed: int) -> None:
    """Lone orders, one behind the other; a few at a time; bursts."""
    choice = random.Random(seed)
    for _ in range(rounds):
        kind = choice.randrange(8)
        if kind < 4:
            for _ in range(4):
                client.orders(1)
        elif kind < 7:
            client.orders(choice.randrange(2, 9))
        else:
            client.orders(choice.randrange(9, 120))
        if choice.randrange(16) == 0:
            client.cancel()


REQUESTS = (
    *("halt", "resume", "risk_limit MAKR open_orders 3000", "mass_cancel session=MAKER1", "kill TAKR", "revive TAKR"),
    *("phase MSFT halted", "phase MSFT continuous", "instrument_change MSFT static_band=100", "instrument MSFT"),
)


def administer(hosts: list[Host], ended: threading.Event) -> None:
    """Ask for totals again and again, and now and then for something that changes the state."""
    asked = 0
    while not ended.is_set():
        asked += 1
        host = hosts[asked % len(hosts)]
        host.asks("totals" if asked % 4 else REQUESTS[asked // 4 % len(REQUESTS)])
        host.asks("status" if asked % 8 == 0 else "totals")


def alone(program: Path, directory: Path, rounds: int, shim: Path) -> list[str]:
    """An engine alone: started, killed, and started again over a slow disk. What went wrong."""
    host = Host(program, directory, network())
    try:
        for number, (disk, end) in enumerate((("0", signal.SIGKILL), ("2000", signal.SIGTERM), ("0", signal.SIGTERM))):
            host.start(LD_PRELOAD=str(shim), SHIM_SYNC_DELAY_US=disk)
            ended = threading.Event()

            def trades(client: Commands | OrderEntry, seed: int) -> None:
                try:
                    trade(client, rounds, seed)
                except OSError as error:
                    host.wrong.append(f"a client: {error!r}")

            threads = [
                threading.Thread(target=administer, args=([host], ended)),
                threading.Thread(target=trades, args=(Commands(host, "MAKER1", 0), number)),
                threading.Thread(target=trades, args=(OrderEntry(host, "TAKER1"), number + 100)),
            ]
            for thread in threads:
                thread.start()
            for thread in threads[1:]:
                thread.join()
            ended.set()
            threads[0].join()
            host.end(end)
    except OSError as error:
        host.wrong.append(f"a client: {error!r}")
    return host.faults()


def network() -> str:
    """Of the loopback's, at random: no two engines share an address."""
    number = random.SystemRandom().randrange(1 << 14)
    return f"127.{64 + (number >> 8)}.{number & 255}"


class Load:
    """A session's orders at whichever member is primary, for as long as it is not ended."""

    def __init__(self, hosts: list[Host]) -> None:
        """Begin, beside an administrator who asks all of them."""
        self.hosts, self.acknowledged, self.ended = hosts, 0, threading.Event()
        self.threads = [
            threading.Thread(target=self._run),
            threading.Thread(target=administer, args=(hosts, self.ended)),
        ]
        for thread in self.threads:
            thread.start()

    def _run(self) -> None:
        turn = 0
        while not self.ended.is_set():
            turn += 1
            try:
                client = Commands(self.hosts[turn % len(self.hosts)], "MAKER1")
                while not self.ended.is_set():
                    trade(client, 1, self.acknowledged)
                    self.acknowledged += 1
            except OSError:
                time.sleep(0.01)

    def goes_on(self, rounds: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = self.acknowledged + rounds
        until(lambda: self.acknowledged >= wanted, "orders to be acknowledged")

    def end(self) -> None:
        """No more of them."""
        self.ended.set()
        for thread in self.threads:
            thread.join()


def primary(hosts: list[Host], whole: bool = True) -> Host:
    """The member that is primary; `whole`: and has all of them in sync."""
    found: list[Host] = []

    def look() -> bool:
        for host in hosts:
            status = host.asks("status") or {}
            if status.get("role") == "primary" and (not whole or len(status["replication"]["in_sync"]) == len(hosts)):
                found.append(host)
        return bool(found)

    until(look, "a primary")
    return found[0]


def shard(program: Path, directory: Path, rounds: int, shim: Path) -> list[str]:
    """Three members; one is killed, one paused, the primary paused until another leads. What went wrong."""
    here = network()
    hosts = [Host(program, directory / str(replica), here, replica, 3) for replica in range(3)]
    Store([host.directory for host in hosts])
    load = Load(hosts)
    try:
        for host in hosts:
            host.start(LD_PRELOAD=str(shim), SHIM_SYNC_DELAY_US=str(host.replica * 500))
        first = primary(hosts)
        load.goes_on(rounds)
        first.end(signal.SIGKILL)
        load.goes_on(rounds)
        first.start()
        second = primary(hosts)
        standby = next(host for host in hosts if host not in {first, second})
        standby.send(signal.SIGSTOP)
        time.sleep(0.3)
        standby.send(signal.SIGCONT)
        load.goes_on(rounds)
        second.send(signal.SIGSTOP)
        primary([host for host in hosts if host is not second], whole=False)
        load.goes_on(rounds)
        second.send(signal.SIGCONT)
        primary(hosts)
        load.goes_on(rounds)
        load.end()
        for host in hosts:
            host.end(signal.SIGTERM)
    except (OSError, TimeoutError) as error:
        hosts[0].wrong.append(repr(error))
    finally:
        load.end()
    return [f"member {host.replica}: {fault}" for host in hosts for fault in host.faults()]


def compile_objects(sources: Path, names: tuple[str, ...], target: Path) -> None:
    """Make some objects of the engine."""
    target.mkdir(parents=True, exist_ok=True)
    files = [f"{sources}/{name}.c" for name in names]
    subprocess.run(["gcc", *FLAGS, f"-I{sources}", "-c", *files], cwd=target, check=True)


def link(objects: list[Path], program: Path) -> None:
    """Make the program."""
    command = ["gcc", "-fsanitize=thread", *map(str, objects), "-lcrypt", "-lpthread", "-o", str(program)]
    subprocess.run(command, check=True)


def catches(mutant: Mutant, build: Path, shim: Path) -> str | None:
    """What is said about a mutant; None: nothing."""
    place = build / f"mutant_{MUTANTS.index(mutant)}"
    names = RING if mutant.file == "ring.h" else (mutant.file,)
    compile_objects(faulty_sources([mutant], place), names, place)
    others = [path for path in build.glob("*.o") if path.stem not in names]
    link([*others, *place.glob("*.o")], place / "engine_host")
    with tempfile.TemporaryDirectory(prefix="ib") as directory:
        return next(iter(alone(place / "engine_host", Path(directory), 12, shim)), None)


def main() -> int:
    """Run both scenarios, then the faults; 1 when something is said of the engine, or nothing of a fault."""
    build, rounds = Path(sys.argv[1]) / "threads", int(sys.argv[2]) if len(sys.argv) > 2 else 30
    if wrong := misfits(list(MUTANTS)):
        sys.exit("\n".join(wrong))
    shim = build / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", str(HOME / "tests" / "io_shim.c"), "-o", str(shim)], check=True)
    with ThreadPoolExecutor(2) as pool:
        tried = pool.map(lambda mutant: catches(mutant, build, shim), MUTANTS)  # while the members wait for each other
        for name, scenario in (("alone", alone), ("a shard", shard)):
            with tempfile.TemporaryDirectory(prefix="ib") as directory:
                if faults := scenario(build / "engine_host", Path(directory), rounds, shim):
                    pool.shutdown(cancel_futures=True)
                    print("\n".join(faults))
                    print(f"threads: {name}: {len(faults)} faults")
                    return 1
            print(f"  {name}: nothing", flush=True)
        found = dict(zip(MUTANTS, tried, strict=True))
    return try_all("threads: two scenarios without a race", MUTANTS, found.get)


if __name__ == "__main__":
    sys.exit(main())
