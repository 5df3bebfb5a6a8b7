# SPDX-License-Identifier: GPL-3.0-or-later
"""How long production takes to be made on an empty account, and to be found unchanged.

    .venv/bin/python bench/provision.py [--terraform DIRECTORY [--plugins DIRECTORY]] [--save]

Plays inventories/production against an emulator of its own. `engine_seconds` is what the tasks of the reconcile engine
(module platform_resources) took in the unchanged run, one after the other. With --terraform the resources of that
directory are applied and planned by Terraform against a fresh emulator in the same run, and ours are told as ratios to
that; `resources` says how many each made. Prints one JSON object with the machine, the commit and the date, and exits 1
when a figure misses its bar; --save writes it to bench/results/provision.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / ".venv" / "collections")]

from integration.platform_runs import AS_JSON, Run, of_site  # noqa: E402  (found through the lines above)
from integration.production_site import Production, listed  # noqa: E402
from ironbook import machine  # noqa: E402
from local_processes import local_site  # noqa: E402

# As the issue of the AWS foundation set them: seconds, and ratios to Terraform's apply and plan.
BARS = {"first_seconds": 120, "unchanged_seconds": 40, "engine_seconds": 5, "first_ratio": 0.7, "unchanged_ratio": 3}


def timed(run: Callable[[], Run]) -> tuple[float, Run]:
    """Return the seconds that a run took, and the run. Raises SystemExit where it failed."""
    begin = time.monotonic()
    done = run()
    if done.returncode:
        raise SystemExit(f"a run failed:\n{done.output[-4000:]}")
    return round(time.monotonic() - begin, 1), done


def engine_seconds(run: Run) -> float:
    """Sum what the tasks of the reconcile engine took, of a run AS_JSON."""
    taken = 0.0
    for play in run.json["plays"]:
        for task in play["tasks"]:
            if any(host.get("action") == "ironbook.trading.platform_resources" for host in task["hosts"].values()):
                begin, end = (
                    datetime.datetime.fromisoformat(task["task"]["duration"][name]) for name in ("start", "end")
                )
                taken += (end - begin).total_seconds()
    if not taken:
        raise SystemExit("no task of the reconcile engine is in the run")
    return round(taken, 1)


def ours() -> dict[str, Any]:
    """Make production, find it unchanged, count it."""
    with local_site() as site, tempfile.TemporaryDirectory() as directory:
        production = Production(site, of_site(site), Path(directory))
        first, _ = timed(lambda: production.play("provision"))
        unchanged, run = timed(lambda: production.play("provision", **AS_JSON))
        if run.changed:
            raise SystemExit(f"the second run changed something: {run.changed}")
        resources = len(listed(production))
    return {
        "first_seconds": first,
        "unchanged_seconds": unchanged,
        "engine_seconds": engine_seconds(run),
        "resources": {"ours": resources},
    }


def terraform(source: Path, plugins: Path | None) -> dict[str, Any]:
    """Apply and plan the directory's resources against a fresh emulator."""
    with local_site() as site, tempfile.TemporaryDirectory() as copy:
        for file in source.glob("*.tf"):
            shutil.copy(file, copy)
        endpoint = f"endpoint={of_site(site)['AWS_ENDPOINT_URL']}"

        def call(*arguments: str) -> float:
            begin = time.monotonic()
            done = subprocess.run(
                ["terraform", *arguments],
                cwd=copy,
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"CI": "1"},
            )
            if done.returncode:
                raise SystemExit(f"terraform {arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
            return round(time.monotonic() - begin, 1)

        call("init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []))
        applied = call("apply", "-auto-approve", "-input=false", "-var", endpoint)
        planned = call("plan", "-input=false", "-var", endpoint)
        listed = subprocess.run(["terraform", "state", "list"], cwd=copy, capture_output=True, text=True, check=True)
    return {"apply_seconds": applied, "plan_seconds": planned, "resources": len(listed.stdout.split())}


def main() -> int:
    """Measure, print, and compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terraform", type=Path, help="a directory of resources to apply by Terraform beside ours")
    parser.add_argument("--plugins", type=Path, help="where Terraform finds its provider, without its registry")
    parser.add_argument("--save", action="store_true", help="write bench/results/provision.json")
    arguments = parser.parse_args()
    load_before = machine.load()
    figures = ours()
    if arguments.terraform:
        theirs = terraform(arguments.terraform, arguments.plugins)
        figures["resources"]["terraform"] = theirs.pop("resources")
        figures |= {f"terraform_{name}": seconds for name, seconds in theirs.items()}
        figures["first_ratio"] = round(figures["first_seconds"] / theirs["apply_seconds"], 2)
        figures["unchanged_ratio"] = round(figures["unchanged_seconds"] / theirs["plan_seconds"], 2)
    result = {
        "bench": "provision",
        **figures,
        "bars": {name: bar for name, bar in BARS.items() if name in figures},
        "machine": machine.processor(),
        "python": platform.python_version(),
        "commit": machine.commit("playbooks", "roles", "plugins", "services", "inventories"),
        "date": machine.now(),
        "load_before": load_before,
    }
    print(json.dumps(result))
    if arguments.save:
        path = ROOT / "bench" / "results" / "provision.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    missed = [name for name, bar in BARS.items() if figures.get(name, 0) > bar]
    for name in missed:
        print(f"{name}: {figures[name]} is over {BARS[name]}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
