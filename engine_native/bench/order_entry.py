# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an order takes, and how many go through one connection: the real engine over loopback TCP, journal on.

    python engine_native/bench/order_entry.py [--round-trips N] [--orders N] [--window N] [--fsync none|group]
    python engine_native/bench/order_entry.py --latency-cost bench/results/latency_tracking.json [--rounds 9]

Prints one line of JSON: the round trip of one order (wire to Accepted, one in flight) and the flat-out rate (half of
the orders rest, half trade), with the machine's load before the run, without which neither says much.

--latency-cost measures what the engine's own latency tracking costs. First the tracker alone (bench_latency.c): CPU
time an order, which other work on the machine hardly disturbs. Then the whole engine, with it off, for one order in 64
and for every order, in turns: the medians of all rounds, and the least CPU time of the engine's threads an order.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ironbook import latency, machine
from ironbook.core.bench import compiler
from ironbook.secret import hash_password

PASSWORD = "bench"


def main() -> int:
    """Compile the client, start an engine in a temporary directory, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--round-trips", type=int, default=20_000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=16_384, help="orders sent and not yet accepted, at most")
    parser.add_argument("--fsync", choices=("none", "group"), default="none")
    parser.add_argument("--port", type=int, default=23_950)
    parser.add_argument("--latency-every", type=int, default=64, help="one order in so many is timed; 0: none")
    parser.add_argument("--latency-cost", type=Path, metavar="RESULT.json", help="what timing them costs")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    if arguments.latency_cost:
        return latency_cost(arguments)
    load = os.getloadavg()[0]
    result = once(arguments, arguments.latency_every)
    about = {"machine": platform.machine(), "cpus": os.cpu_count(), "load_before": round(load, 2)}
    print(json.dumps({"fsync": arguments.fsync, **result, **about}))
    return 0


def once(arguments: argparse.Namespace, every: int) -> dict[str, Any]:
    """One run in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="ironbook-bench-") as name:
        return measure(Path(name), arguments, every)


def latency_cost(arguments: argparse.Namespace) -> int:
    """Run with tracking off, of one in 64 and of every order, in turns; print and write the medians and ratios."""
    found: dict[int, list[dict[str, Any]]] = {0: [], 64: [], 1: []}
    for _ in range(arguments.rounds):
        for every, runs in found.items():
            runs.append(once(arguments, every))
    result: dict[str, Any] = {"tracker_cpu_ns_per_order": tracker_alone()}
    print("tracker alone", json.dumps(result["tracker_cpu_ns_per_order"]))
    result.update(orders=arguments.orders, window=arguments.window, rounds=arguments.rounds)
    for every, runs in found.items():
        cost = {}
        for key in ("engine_cpu_ns_per_order", "orders_a_second", "p50_us"):
            cost[key] = round(statistics.median(run[key] for run in runs), 2)
        cost["engine_cpu_ns_per_order_least"] = min(run["engine_cpu_ns_per_order"] for run in runs)
        name = "every_order" if every == 1 else f"one_in_{every}" if every else "off"
        result[name] = {**cost, "stages": runs[-1]["stages"]}
        print(f"{name:<12}", json.dumps(cost))
    result.update(
        machine=machine.processor(),
        compiler=compiler(),
        commit=machine.commit(),
        date=machine.now(),
        load=machine.load(),
    )
    arguments.latency_cost.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


def tracker_alone() -> dict[str, Any]:
    """Compile and run bench_latency.c: nanoseconds of CPU an order."""
    native = Path(__file__).resolve().parents[1]
    sources = [native / name for name in ("bench/bench_latency.c", "src/latency.c", "src/status.c")]
    with tempfile.TemporaryDirectory(prefix="ironbook-bench-") as name:
        options = ["-std=c11", "-D_DEFAULT_SOURCE", "-O3", f"-I{native / 'include'}", f"-I{native / 'src'}"]
        subprocess.run(["gcc", *options, *map(str, sources), "-o", f"{name}/bench"], check=True)
        done = subprocess.run([f"{name}/bench"], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return {key: value for key, value in found.items() if key != "benchmark"}


def cpu_ns(process: int) -> int:
    """CPU time of all threads of a process so far (the kernel's scheduler: nanoseconds)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{process}/task").glob("*/schedstat"))


def measure(directory: Path, arguments: argparse.Namespace, every: int) -> dict[str, Any]:
    """One run in one directory, one order in `every` timed."""
    client = directory / "client"
    source = Path(__file__).with_name("order_entry_client.c")
    subprocess.run(["gcc", "-O2", "-o", str(client), str(source)], check=True)
    config = {
        "shard": 0,
        "replica": 0,
        "journal_directory": str(directory / "journal"),
        "run_directory": str(directory / "run"),
        "order_entry": {"host": "127.0.0.1", "port": arguments.port},
        "instruments": [{"symbol": "BENCH", "tick": 100}, {"symbol": "IDLE", "tick": 1}],
        "sessions": [{"username": "BENCH", "firm": "BNCH", "secret": hash_password(PASSWORD)}],
        "journal": {"fsync": arguments.fsync},
        "limits": {"events": 4 * (arguments.orders + arguments.round_trips) + 2**20},
        "latency": {"every": every},
    }
    (directory / "engine.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "ironbook.cli", "engine", "run", "--config", str(directory / "engine.json")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as engine:
        try:
            wait_for(arguments.port)
            result = drive(client, arguments, engine.pid)
            if every:
                figures = latency.read(directory / "run").figures()
                result["stages"] = figures["stages"]
            else:
                result["stages"] = None
        finally:
            engine.send_signal(signal.SIGTERM)
    return result


def drive(client: Path, arguments: argparse.Namespace, engine: int) -> dict[str, Any]:
    """Run the client; what it printed, and the engine's CPU time for each flat-out order."""
    numbers = [arguments.round_trips, arguments.orders, arguments.window]
    run = [str(client), str(arguments.port), "BENCH", PASSWORD, "BENCH", *map(str, numbers)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        trips = process.stdout.readline()  # the client ends it before it goes flat out
        before = cpu_ns(engine)
        rest, said = process.communicate()
        after = cpu_ns(engine)
    if process.returncode != 0:
        raise SystemExit(f"order_entry: {said.strip()}")
    result: dict[str, Any] = json.loads(trips + rest)
    return {**result, "engine_cpu_ns_per_order": round((after - before) / arguments.orders, 1)}


def wait_for(port: int) -> None:
    """Until somebody listens; TimeoutError after ten seconds."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on {port}")


if __name__ == "__main__":
    sys.exit(main())
