# SPDX-License-Identifier: GPL-3.0-or-later
r"""The matcher beside other engines that the reader has built, in turns, on the same order flow.

    python engine_native/bench/peers.py --workload a.lobw --workload b.lobw \
        --peer "CppTrader=/elsewhere/cpptrader_lobw" [--rounds 5] [--save bench/results/match.json]

A peer is a command. It is given the workload's path as its last argument, and prints either a JSON object on a line
with `ns_per_op`, or that number alone. Ours is `ironbook bench match --json`, or any command as --ours: so the public
harness is run too, with ADAPTER.so as a file of either side:

    python engine_native/bench/peers.py --workload $FLASH1/orders_normal_s23_n1000000.bin \
        --ours "./flash1_single ./ironbook_adapter.so" --peer "CppTrader=./flash1_single ./cpptrader_adapter.so"

Machines are noisy, and both sides of a round suffer alike: what counts is the ratio, the median over the rounds.
Nothing of any other engine is in this repository, and nothing that builds one.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from ironbook import machine
from ironbook.core.bench import compiler

OURS = "Ironbook"
LEFT_OUT = ("machine", "compiler", "commit", "date", "load_before", "histogram_ns")


def run(name: str, command: list[str], workload: Path) -> dict[str, Any]:
    """Run one engine once; return what it printed.  SystemExit with one line when it fails or prints no figure."""
    try:
        done = subprocess.run([*command, str(workload)], capture_output=True, text=True, check=False)
    except OSError as error:
        raise SystemExit(f"peers: {name}: {command[0]}: {error.strerror}") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        said = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise SystemExit(f"peers: {name} failed on {workload}: {said}")
    try:
        found = json.loads(lines[-1])
        result: dict[str, Any] = found if isinstance(found, dict) else {"ns_per_op": float(found)}
        if result["ns_per_op"] > 0:
            return result
    except (ValueError, KeyError, TypeError):
        pass
    raise SystemExit(f"peers: {name}: no ns_per_op in the last line that it printed: {lines[-1][:80]!r}")


def alternate(engines: dict[str, list[str]], workload: Path, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run all engines in turn, so many times."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, command in engines.items():
            found[name].append(run(name, command, workload))
    return found


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Our last result with the median of its rounds; for each peer its median, and the median ratio of ours to it."""
    ns = {name: [result["ns_per_op"] for result in results] for name, results in found.items()}
    peers = {
        name: {
            "ns_per_op": round(statistics.median(ns[name]), 2),
            "ratio": round(statistics.median(ours / peer for ours, peer in zip(ns[OURS], ns[name], strict=True)), 3),
        }
        for name in ns
        if name != OURS
    }
    ours = {key: value for key, value in found[OURS][-1].items() if key not in LEFT_OUT}
    best = {"ns_per_op_best_round": round(min(ns[OURS]), 2), "rounds": len(ns[OURS])}
    return {**ours, "ns_per_op": round(statistics.median(ns[OURS]), 2), **best, "peers": peers}


def show(workload: str, result: dict[str, Any]) -> None:
    """Print one workload's table."""
    print(f"{workload}: {OURS} {result['ns_per_op']} ns/op, median of {result['rounds']} rounds")
    for name, peer in result["peers"].items():
        print(f"  {name:<20} {peer['ns_per_op']:>8} ns/op   {OURS} / {name} = {peer['ratio']}")


def save(path: Path, results: dict[str, Any]) -> None:
    """Write the results with their machine; those of workloads that were not run now stay as they were."""
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    about = {"machine": machine.processor(), "compiler": compiler(), "commit": machine.commit(), "date": machine.now(),
             "load": machine.load()}  # fmt: skip
    new = {workload: {**result, **about} for workload, result in results.items()}
    path.write_text(json.dumps({**old, **new}, indent=1) + "\n", encoding="utf-8")


def peer(text: str) -> tuple[str, list[str]]:
    """Parse NAME=COMMAND."""
    name, _, command = text.partition("=")
    words = shlex.split(command)
    if not name or not words or name == OURS:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COMMAND")
    return name, words


def main(words: list[str] | None = None) -> int:
    """Measure, print, and save where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", required=True, type=Path, metavar="FILE")
    parser.add_argument("--peer", action="append", default=[], type=peer, metavar="NAME=COMMAND")
    ours = f"{Path(sys.executable).parent}/ironbook bench match --json --passes 3 --workload"
    parser.add_argument("--ours", default=ours, metavar="COMMAND")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path, metavar="RESULT.json")
    arguments = parser.parse_args(words)
    engines = {OURS: shlex.split(arguments.ours), **dict(arguments.peer)}
    results = {}
    for workload in arguments.workload:
        results[workload.name] = summary(alternate(engines, workload, max(1, arguments.rounds)))
        show(workload.name, results[workload.name])
    if arguments.save:
        save(arguments.save, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
