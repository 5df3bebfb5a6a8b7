# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an order takes, and how many go through one connection: the real engine over loopback TCP, journal on.

    python engine_native/bench/order_entry.py [--round-trips N] [--orders N] [--window N] [--fsync none|group]

Prints one line of JSON: the round trip of one order (wire to Accepted, one in flight) and the flat-out rate (half of
the orders rest, half trade), with the machine's load before the run, without which neither says much.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="ironbook-bench-") as name:
        result = measure(Path(name), arguments)
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "load_before": round(load, 2)}
    print(json.dumps({"fsync": arguments.fsync, **result, **machine}))
    return 0


def measure(directory: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """One run in one directory."""
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
    }
    (directory / "engine.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "ironbook.cli", "engine", "run", "--config", str(directory / "engine.json")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as engine:
        try:
            wait_for(arguments.port)
            numbers = [arguments.round_trips, arguments.orders, arguments.window]
            run = [str(client), str(arguments.port), "BENCH", PASSWORD, "BENCH", *map(str, numbers)]
            result: dict[str, object] = json.loads(subprocess.run(run, check=True, capture_output=True).stdout)
        finally:
            engine.send_signal(signal.SIGTERM)
    return result


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
