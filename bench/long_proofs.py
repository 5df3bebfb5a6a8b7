# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs that are too long for `make test`, each with a result file. Two of them have a short form there.

    .venv/bin/python bench/long_proofs.py failovers [--rounds N] [--save]      `make failovers-long`
    .venv/bin/python bench/long_proofs.py every-byte [--records N] [--save]    `make every-byte-long`
    .venv/bin/python bench/long_proofs.py hosts [--save]                       `make test-hosts`
    .venv/bin/python bench/long_proofs.py operations [--save]                  `make operations-long`
    .venv/bin/python bench/long_proofs.py inventories [--save]                 `make inventories-long`

failovers    tests/integration/test_failover.py with N rounds (300): kills, pauses, switchovers and lost agents under
             load, then the clients' logs against the three journals
every-byte   engine_native/tests/every_byte.c over N records (10,000): a journal cut at every length, and each bit of it
             turned, in as many processes as there are cores
hosts        tests/host_guests: a guest in QEMU with a kernel of its own is tuned, booted, de-tuned and audited
operations   tests/integration/test_operations.py, all of it: each playbook of a shard's operations, whole, and killed
             in its middle and run again
inventories  tests/every_inventory: site.yml of each inventory for AWS and of each profile, on an account that was empty
             and with this machine as the hosts: planned, made and found unchanged

Each says how far it is, ends in one line of JSON with machine, commit and date, and exits 1 where the proof fails.
--save writes that line to bench/results/failovers.json, every_byte.json, hosts.json, operations.json or
inventories.json, of a proof that failed, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Any

from ironbook import machine

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "engine_native"
GOLDEN = ROOT / "tests" / "fixtures" / "core" / "golden" / "format_3_rules_3.hex"


def failovers(arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """What the test says of its rounds, and whether it passed."""
    with tempfile.TemporaryDirectory(prefix="ib") as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, "tests/integration/test_failover.py"],
            cwd=ROOT,
            env=os.environ | {"FAILOVERS": str(arguments.rounds), "FAILOVERS_REPORT": str(report)},
            stdout=sys.stderr,
            check=False,
        )
        found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {"rounds": None}
    return found, done.returncode == 0


def every_byte(arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The sums over all parts, and whether every one of them found what it should."""
    parts = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="ib") as build:
        program = Path(build) / "tests" / "every_byte"
        make = ["make", "--no-print-directory", "-C", str(NATIVE), f"BUILD={build}", f"-j{parts}", str(program)]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        command = [str(program), str(GOLDEN), str(arguments.records)]
        running = [
            subprocess.Popen([*command, str(part), str(parts)], stdout=subprocess.PIPE, text=True)
            for part in range(parts)
        ]
        outputs = [process.communicate()[0] for process in running]
    passed = all(process.returncode == 0 for process in running)
    totals: Counter[str] = Counter()
    for output in outputs:
        totals.update(json.loads(output or "{}"))
    alike = ("records", "segments")  # of each part the same
    found = {name: total // parts if name in alike else total for name, total in totals.items() if name != "seconds"}
    return {**found, "parts": parts, "failed_parts": sum(process.returncode != 0 for process in running)}, passed


def tested(path: str, variable: str) -> tuple[dict[str, Any], list[dict[str, Any]], bool]:
    """What the tests there wrote into the file that the variable names, the results of rows, and whether all passed."""
    with tempfile.TemporaryDirectory(prefix="ib") as directory:
        report, rows = Path(directory) / "report.json", Path(directory) / "rows.json"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-v", "-p", "no:cacheprovider", path],
            cwd=ROOT,
            env=os.environ | {variable: str(report), "IRONBOOK_FEATURES_REPORT": str(rows)},
            stdout=sys.stderr,
            check=False,
        )
        found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
        results = json.loads(rows.read_text())["results"] if rows.exists() else []
    return found, results, done.returncode == 0


# What the rows that the guest proves rest on: a change of any of it takes them away until the next run.
HOSTS_COVER = (
    "plugins/module_utils/host_tuning", "plugins/modules/host_tuning.py", "plugins/modules/host_tuning_info.py",
    "plugins/filter/host_audit.py", "roles/host_tuning", "roles/host_audit", "roles/time_sync", "tests/host_guests",
)  # fmt: skip


def hosts(_arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """What the guest's tests measured, each row that they carry and how it ended, and whether all of them passed."""
    if os.geteuid() != 0:
        raise SystemExit("make test-hosts makes a disk by a loop device and an adapter by a tap: run it as root")
    found, results, passed = tested("tests/host_guests", "HOSTS_REPORT")
    return {**found, "results": results, "covers": list(HOSTS_COVER)}, passed


# What a person runs, and on what: of a tree in which any of it differs, the file says nothing.
OPERATIONS_COVER = (
    "playbooks", "plugins", "roles", "services", "engine_native/include", "engine_native/src", "engine_native/python",
    "inventories/local", "tests/integration/test_operations.py",
)  # fmt: skip


def cases(report: Path) -> dict[str, dict[str, Any]]:
    """Of a report in JUnit's XML: each case by the name in its brackets, whether it passed, and its seconds."""
    found = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = case.get("name", "").partition("[")[2].rstrip("]") or case.get("name", "")
        passed = not any(case.find(word) is not None for word in ("failure", "error", "skipped"))
        found[name] = {"passed": passed, "seconds": round(float(case.get("time", "0")))}
    return found


def operations(_arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Each operation, whether it passed and how long it took, and whether all of them did."""
    with tempfile.TemporaryDirectory(prefix="ib") as directory:
        report = Path(directory) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", f"--junitxml={report}",
             "tests/integration/test_operations.py"],
            cwd=ROOT,
            env=os.environ | {"OPERATIONS": "all"},
            stdout=sys.stderr,
            check=False,
        )  # fmt: skip
        found = cases(report) if report.exists() else {}
    passed = done.returncode == 0 and len(found) > 0 and all(case["passed"] for case in found.values())
    return {"operations": found, "covers": list(OPERATIONS_COVER)}, passed


# What is made of an inventory, and what it is made on.
INVENTORIES_COVER = (
    "inventories", "playbooks", "plugins", "roles", "services", "engine_native/include", "engine_native/src",
    "engine_native/python", "tests/every_inventory", "tests/integration/whole_site.py",
    "tests/integration/production_site.py",
)  # fmt: skip


def inventories(_arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Of each inventory its resources, its trades and what its runs took, the rows, and whether all of them passed."""
    found, results, passed = tested("tests/every_inventory", "INVENTORIES_REPORT")
    return {"inventories": found, "results": results, "covers": list(INVENTORIES_COVER)}, passed


COVERS = {"hosts": HOSTS_COVER, "operations": OPERATIONS_COVER, "inventories": INVENTORIES_COVER}


def main(words: list[str] | None = None) -> int:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="PROOF")
    one = commands.add_parser("failovers")
    one.add_argument("--rounds", type=int, default=300)
    one.set_defaults(run=failovers, name="failovers")
    other = commands.add_parser("every-byte")
    other.add_argument("--records", type=int, default=10_000)
    other.set_defaults(run=every_byte, name="every_byte")
    guest = commands.add_parser("hosts")
    guest.set_defaults(run=hosts, name="hosts")
    shard = commands.add_parser("operations")
    shard.set_defaults(run=operations, name="operations")
    environment = commands.add_parser("inventories")
    environment.set_defaults(run=inventories, name="inventories")
    for command in (one, other, guest, shard, environment):
        command.add_argument("--save", action="store_true", help="write the result file")
    arguments = parser.parse_args(words)
    covers = COVERS.get(arguments.name, ())
    begin, load_before, commit = time.monotonic(), machine.load(), machine.commit(*covers)
    found, passed = arguments.run(arguments)
    if machine.commit(*covers) != commit:
        commit = f"{commit}+"  # what was proved is a mixture
    result = {
        "proof": arguments.name, "passed": passed, **found, "seconds": round(time.monotonic() - begin),
        "machine": machine.processor(), "commit": commit, "date": machine.now(),
        "load_before": load_before,
    }  # fmt: skip
    print(json.dumps(result))
    if arguments.save:
        path = ROOT / "bench" / "results" / f"{arguments.name}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
