# SPDX-License-Identifier: GPL-3.0-or-later
"""How long `make site` takes: from nothing, first run, unchanged run, and the session within it.

    .venv/bin/python bench/site.py [--cold] [--save]

Works on a site of its own (.test/bench, ports of the tests), so it runs beside any other. --cold clones the checkout's
last commit into an empty directory and times `make site` there with no .venv, package downloads included. Prints one
JSON object with the machine, the commit and the date, and exits 1 when a figure misses its bar; --save writes it to
bench/results/site.json. The session is that of MARKET_DATA where it is set.

`session_seconds` is what Ansible's three tasks took that send the session, wait until it is settled, and reconcile it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from gates import ports  # noqa: E402  (found through the line above)

# Seconds on 2 cores, as the issue of the main job set them.
BARS = {"cold_seconds": 360, "first_seconds": 120, "unchanged_seconds": 60, "session_seconds": 20}
_SESSION_TASKS = ("Send what has not been sent yet", "Until everything that the engine has released", "Client reports,")


def make(directory: Path, *targets: str, **environment: str) -> tuple[float, str]:
    """Run make there; return the seconds it took and what it printed.  Raises SystemExit with its output's end."""
    begin = time.monotonic()
    done = subprocess.run(
        ["make", "--no-print-directory", *targets],
        cwd=directory,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"make {' '.join(targets)} failed:\n{done.stdout[-4000:]}")
    return round(time.monotonic() - begin, 1), done.stdout


def session_seconds(output: str) -> float:
    """Sum of the session's tasks, as ansible.posix.profile_tasks prints them."""
    taken = [
        float(seconds)
        for task, seconds in re.findall(r"^(.*?) -+ ([0-9.]+)s$", output, re.MULTILINE)
        if any(part in task for part in _SESSION_TASKS)
    ]
    if len(taken) != len(_SESSION_TASKS):
        raise SystemExit(f"found {len(taken)} of the session's {len(_SESSION_TASKS)} tasks in the output")
    return round(sum(taken), 1)


def measure(cold: bool) -> dict[str, float]:
    """Bring the site up twice, and once from nothing where asked."""
    site = {
        "IRONBOOK_STATE": str(ROOT / ".test" / "bench"),
        "IRONBOOK_PORT_BASE": str(ports.first()),
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
        "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
    }
    figures: dict[str, float] = {}
    if cold:
        with tempfile.TemporaryDirectory(prefix="ironbook-") as empty:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), f"{empty}/clone"], check=True)
            clone = {"IRONBOOK_STATE": f"{empty}/clone/.site", "IRONBOOK_PORT_BASE": site["IRONBOOK_PORT_BASE"]}
            figures["cold_seconds"], _ = make(Path(empty, "clone"), "site", **clone)
            make(Path(empty, "clone"), "clean-site", **clone)
    make(ROOT, "venv")
    make(ROOT, "clean-site", **site)
    try:
        figures["first_seconds"], output = make(ROOT, "site", **site)
        figures["session_seconds"] = session_seconds(output)
        figures["unchanged_seconds"], output = make(ROOT, "site", **site)
        if re.search(r"changed=[1-9]", output):
            raise SystemExit("the second run changed something")
    finally:
        make(ROOT, "clean-site", **site)
    return figures


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="time a fresh clone without .venv too")
    parser.add_argument("--save", action="store_true", help="write bench/results/site.json")
    arguments = parser.parse_args()
    figures = measure(arguments.cold)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    result = {
        **figures,
        "bars": {name: BARS[name] for name in figures},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}",
        "python": platform.python_version(),
        "commit": commit,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    print(json.dumps(result))
    if arguments.save:
        path = ROOT / "bench" / "results" / "site.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    missed = [name for name, seconds in figures.items() if seconds > BARS[name]]
    for name in missed:
        print(f"{name}: {figures[name]} is over {BARS[name]}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
