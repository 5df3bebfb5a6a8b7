# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the lanes of `make test`: every gate of the repository, some at a time, one line for each.

A lane is one command. It passes when the command exits 0; its log stays in .cache/lanes/, and its line ends with the
last line that the command itself printed. A lane that needs a tool that is missing counts as not run, and a test may be
skipped for want of something; as root on Debian, where both could have been installed, either is a failure.

Every lane runs with a state directory and ports of its own, so that `make test` can run beside a `make site`, and with
nothing of a real AWS account in its environment.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

sys.dont_write_bytecode = True  # nothing beside the sources
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gates import debian, ports  # noqa: E402  (found through the line above)

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
STATE = ROOT / ".test"
MAY_RUN_AGAIN = 2  # lanes, each once and alone (docs/decisions/0023); more that fail are no accident of the machine
AT_ONCE = (os.cpu_count() or 1) + 1  # each waits now and then, for a server to start or for a deadline to pass
TAIL_LINES = 40
LINE_LENGTH = 300
ERRORS_SHOWN = 3
FAST, LINT, INTEGRATION, MOLECULE = "fast", "lint", "integration", "molecule"
# The one thing that a test may lack where everything can be installed: data that nobody may give away.
MAY_LACK = "no market data beside the checkout"


@dataclass(frozen=True)
class Lane:
    """One gate: a command, what it needs, and the shorter runs that it belongs to. `weight` is its usual seconds."""

    name: str
    command: str
    weight: int = 1
    needs: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def is_pytest(self) -> bool:
        """Whether its log ends as pytest's does."""
        return "python -m pytest" in self.command

    @property
    def meets_the_clock(self) -> bool:
        """Whether it waits for real processes, so that a machine that stalls can fail it."""
        return INTEGRATION in self.runs or self.name.startswith(MOLECULE)

    @property
    def starts_servers(self) -> bool:
        """Whether it needs ports of its own."""
        return self.is_pytest or self.name == MOLECULE


@dataclass(frozen=True)
class Outcome:
    """How a lane ended: "ok", "FAIL" or "not run"."""

    lane: Lane
    state: str
    seconds: float
    closing: str
    failed: tuple[str, ...] = ()  # the tests, where pytest names them
    cpu: float = 0  # seconds, of what it started and waited for; servers that are left running are not in it
    first: Outcome | None = None  # how it failed beside other lanes, where this is its second run, alone


def native(target: str) -> str:
    """Run a target of the core's own Makefile, with a build directory of its own: two lanes run at a time."""
    return f"make --no-print-directory -C engine_native BUILD={CACHE}/native/{target} {target}"


def pytest(paths: str, options: str = "") -> str:
    """Run pytest; -p no:cacheprovider, because two lanes would write one cache."""
    return f"python -m pytest -q -p no:cacheprovider {options} {paths}"


UNIT = "tests/unit tests/tidy"
# What compiles the core for arm64 and runs it here.
ARM64 = ("aarch64-linux-gnu-gcc", "arm64-libc", "qemu-aarch64-static")
# The tests of the emulator's repairs start an emulator; that takes longer than the inner loop may.
# What takes a second or more is marked slow.
FAST_OPTIONS = '-m "not slow and not integration" -n 2 --ignore tests/unit/emulator'
# Through the link in .venv, so that module_utils have the name under which they import each other.
MODULE_UTILS = ".venv/collections/ansible_collections/ironbook/trading/plugins/module_utils"
MYPY = f"services engine_native/python {MODULE_UTILS} tests/feature_rows.py tests/gates tests/tidy tests/history"
# antsibull-docs copies amazon.aws as git would, and our repository ignores .venv: so git may not look that far up.
GIT_STAYS_BELOW = f"GIT_CEILING_DIRECTORIES={ROOT} ANSIBLE_COLLECTIONS_PATH={CACHE}/docs"
DOCS = "--plugin-docs --skip-rstcheck .cache/docs/ansible_collections/ironbook/trading"
COPY = "python tests/gates/collection_copy.py .cache/docs"
IN_CONTAINERS = "python tests/gates/containers.py"
CONTAINERS = ("podman", "crun", "mmdebstrap", "unshare")
STRONGSWAN = ("charon-systemd", "swanctl", "kernel-libipsec", "strongswan-openssl", "bird", "ping", "ss", "unshare")
# Lane -> beginnings of the names of its files in tests/integration, its usual seconds, and what it needs. A file that
# none of them names goes into the lane `site`. Whatever shares a server belongs into one file.
INTEGRATION_LANES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "production": (("production",), 400, ()),
    "phases": (("phases",), 350, ()),
    "vpn": (("vpn",), 40, STRONGSWAN),
    "deploy": (("deploy",), 140, ()),
    "throughput": (("throughput",), 130, ()),
    "venue": (("session", "reconcile"), 110, ()),
    "input": (("bad_input",), 90, ()),
    "database": (("postgres", "rds"), 90, ()),
    "engine": (("engine", "order_entry"), 130, ("ps", "ss")),
    "failover": (("failover", "shard"), 260, ()),
    "operate": (("agent_failover", "agent_shard", "operation"), 120, ()),
    "store": (("store", "agent"), 90, ()),
    "latency": (("latency",), 240, ()),
    "site": ((), 90, ()),
    "capture": (("capture",), 15, ("tshark",)),
}


def integration(names: Iterable[str]) -> list[Lane]:
    """Sort the files of tests/integration into lanes, each into the first that names the beginning of its name."""
    files: dict[str, list[str]] = {lane: [] for lane in INTEGRATION_LANES}
    for name in sorted(names):
        words = ((lane, f"test_{word}") for lane, (prefixes, *_) in INTEGRATION_LANES.items() for word in prefixes)
        files[next((lane for lane, word in words if name.startswith(word)), "site")].append(name)
    return [
        Lane(
            f"{INTEGRATION}-{lane}",
            pytest(" ".join(f"tests/integration/{name}" for name in files[lane]), "--durations 10"),
            weight,
            needs,
            (INTEGRATION,),
        )
        for lane, (_, weight, needs) in INTEGRATION_LANES.items()
        if files[lane]
    ]


LANES = (
    Lane(MOLECULE, "molecule test --scenario-name default", 220, ("ps", "ss")),
    Lane("molecule-hosts", f"{IN_CONTAINERS} molecule test --scenario-name tuned_host", 110, CONTAINERS),
    *integration(path.name for path in (ROOT / "tests/integration").glob("test_*.py")),
    Lane("sanity", "python tests/gates/sanity.py", 120, ("git",)),
    Lane("collection", pytest("tests/collection"), 15, ("git",)),
    Lane("unit", pytest(UNIT), 450),
    Lane("unit-fast", pytest(UNIT, FAST_OPTIONS), 25, (), (FAST,)),
    Lane("c-analyze", native("analyze"), 40, ("gcc", "make")),
    Lane("c-test", native("test"), 40, ("gcc", "make"), (FAST,)),
    Lane("fuzz", native("fuzz"), 60, ("clang", "fuzzer", "make")),
    Lane("sim", native("sim"), 90, ("gcc", "make")),
    Lane("cluster", native("cluster"), 75, ("gcc", "make")),
    Lane("probe", native("probe"), 10, ("gcc", "make"), (FAST,)),
    Lane("limits", native("limits"), 30, ("gcc", "make")),
    Lane("journal", native("journal"), 45, ("gcc", "make")),
    Lane("threads", native("threads"), 60, ("gcc", "make")),
    Lane("builds", native("builds"), 60, ("gcc", "make", "clang", *ARM64)),
    Lane("core-flow", "python tests/core_flow.py", 150),
    Lane(
        "ansible-lint",
        "ANSIBLE_INVENTORY=tests/gates/inventory.yml ansible-lint --offline --strict",
        65,
        ("git",),
        (LINT,),
    ),
    Lane("syntax", "python tests/gates/syntax.py", 15, (), (LINT,)),
    Lane("mypy", f"MYPYPATH=tests:requirements:.venv/collections mypy {MYPY}", 20, (), (FAST, LINT)),
    Lane("docs", f"{COPY} && {GIT_STAYS_BELOW} antsibull-docs lint-collection-docs {DOCS}", 9, (), (LINT,)),
    Lane("yamllint", "yamllint --strict .", 4, (), (FAST, LINT)),
    Lane("changelog", "antsibull-changelog lint", 1, (), (LINT,)),
    Lane("ruff", "ruff check . && ruff format --check .", 1, (), (FAST, LINT)),
)


def chosen(lanes: Sequence[Lane], run: str) -> list[Lane]:
    """Return the lanes of a run ("all", "fast", "lint") or the one lane of that name, the longest first."""
    if run == "all":
        mine = [lane for lane in lanes if lane.name != "unit-fast"]
    else:
        mine = [lane for lane in lanes if run in (*lane.runs, lane.name)]
    return sorted(mine, key=lambda lane: -lane.weight)


def environment(lane: Lane) -> dict[str, str]:
    """Build the environment of a lane: the tools of .venv first, and no trace of a real account."""
    serving = [each for each in LANES if each.starts_servers]
    first_port = str(ports.of_lane(serving.index(lane)) if lane in serving else ports.first())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONPATH"):
        inherited.pop(name, None)
    binaries = ROOT / ".venv" / "bin"
    return inherited | {
        "PATH": f"{binaries}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv" / "collections"),
        "ANSIBLE_HOME": str(STATE / "ansible" / lane.name),
        "IRONBOOK_STATE": str(STATE / "site"),
        "IRONBOOK_PORT_BASE": first_port,
        "IRONBOOK_TEST_PORTS": first_port,
        "IRONBOOK_FEATURES_REPORT": str(CACHE / "features" / f"{lane.name}.json"),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(CACHE / "molecule" / lane.name),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
        "PYTHONDONTWRITEBYTECODE": "1",  # nothing beside the sources; pip has compiled what is in .venv
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "PY_COLORS": "0",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
    }


class Runner:
    """Runs lanes, `AT_ONCE` at a time, and ends what it started when it is interrupted."""

    def __init__(self, cache: Path, strict: bool) -> None:
        """`strict`: a missing tool is a failure."""
        self.logs = cache / "lanes"
        self.strict = strict
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.Lock()
        self.stopping = False

    def log(self, lane: Lane) -> Path:
        """Return where the lane's output goes."""
        return self.logs / f"{lane.name}.log"

    def run_one(self, lane: Lane) -> Outcome:
        """Run one lane to its end."""
        missing = [tool for tool in lane.needs if not debian.has(tool)]
        if missing:
            packages = " ".join(dict.fromkeys(debian.PACKAGES[tool] for tool in missing))
            return Outcome(lane, "FAIL" if self.strict else "not run", 0, f"missing: apt-get install {packages}")
        log = self.log(lane)
        begin = time.monotonic()
        with log.open("wb") as output, self.lock:
            if self.stopping:
                return Outcome(lane, "not run", 0, "interrupted")
            process = subprocess.Popen(
                ["bash", "-c", lane.command],
                cwd=ROOT,
                env=environment(lane),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.started[lane.name] = process
        _, status, used = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        seconds, cpu = time.monotonic() - begin, used.ru_utime + used.ru_stime
        with self.lock:
            del self.started[lane.name]
        if not code and self.strict and lane.is_pytest and (skipped := skips(log)):
            return Outcome(lane, "FAIL", seconds, f"skipped: {'; '.join(skipped)}", cpu=cpu)
        return Outcome(lane, "FAIL" if code else "ok", seconds, last_line(log), failures(log) if code else (), cpu)

    def run(self, lanes: Sequence[Lane]) -> list[Outcome]:
        """Run the lanes and print a line as each ends; then those again, alone, that the machine may have failed."""
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(self.run_one, lane) for lane in lanes]
            ended = [self.tell(future.result()) for future in as_completed(running)]
        failed = [outcome for outcome in ended if outcome.state == "FAIL"]
        if len(ended) > 1 and len(failed) <= MAY_RUN_AGAIN and all(map(self.may_run_again, failed)):
            for first in failed:
                log = self.log(first.lane)
                log.rename(log.with_suffix(".first.log"))
                ended[ended.index(first)] = self.tell(replace(self.run_one(first.lane), first=first))
        return ended

    def may_run_again(self, outcome: Outcome) -> bool:
        """Whether the machine may have failed it, and not its code alone or a missing tool."""
        return outcome.lane.meets_the_clock and self.log(outcome.lane).exists() and not self.stopping

    def tell(self, outcome: Outcome) -> Outcome:
        """Print how a lane ended."""
        print(
            f"{outcome.state:<7} {outcome.lane.name:<22} {outcome.seconds:6.1f} s, {outcome.cpu:6.1f} s of CPU "
            f" {outcome.closing[:150]}",
            flush=True,
        )
        if outcome.state == "FAIL":
            print_tail(self.log(outcome.lane))
        return outcome

    def stop(self, *_: object) -> None:
        """End the lanes that run; the others are not started."""
        with self.lock:
            self.stopping = True
            for process in self.started.values():
                os.killpg(process.pid, signal.SIGTERM)


def last_line(log: Path) -> str:
    """Return what pytest counted, or the last line that says something; without the bars that pytest draws."""
    lines = [line.strip("= ") for line in log.read_text(errors="replace").splitlines()]
    counts = [line for line in lines if re.fullmatch(r"\d+ (passed|failed|skipped|errors?)\b.* in [\d.]+s.*", line)]
    return next((line for line in reversed(counts or lines) if line), "")


def failures(log: Path) -> tuple[str, ...]:
    """Return what pytest says of each failed test in short; of another lane the first lines that tell of an error.

    Molecule ends with its cleanup, so that what went wrong stands far above the end of its log.
    """
    text = log.read_text(errors="replace")
    tests = re.findall(r"^(?:FAILED|ERROR) \S+::.+$", text, re.MULTILINE)
    return tuple(tests or re.findall(r"^(?:fatal|ERROR|CRITICAL|ironbook)\b.*: .+$", text, re.MULTILINE)[:ERRORS_SHOWN])


def skips(log: Path) -> list[str]:
    """Return the reasons that pytest gives for skipped tests, without the one that is allowed."""
    found = re.findall(r"^SKIPPED \[\d+\] (.+)$", log.read_text(errors="replace"), re.MULTILINE)
    return [reason for reason in found if not reason.endswith(MAY_LACK)]


def print_tail(log: Path) -> None:
    """Show the end of a failed lane's log."""
    if not log.exists():
        return
    lines = log.read_text(errors="replace").splitlines()
    print(f"  {'-' * 20} the last {min(TAIL_LINES, len(lines))} of {len(lines)} lines of {log}")
    print("\n".join(f"  {line}" for line in lines[-TAIL_LINES:]), flush=True)


def summary(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Say what the test runners said last, which tests failed, what was not run, and how the whole ended."""
    lines = [""]
    lines.extend(f"{each.lane.name}: {each.closing}" for each in outcomes if each.lane.is_pytest and each.seconds)
    for each in outcomes:
        if each.first:
            lines.append(f"run again, alone, since it had failed: {each.lane.name}, {each.first.closing}")
        lines.extend(f"  {line[:LINE_LENGTH]}" for line in (*(each.first.failed if each.first else ()), *each.failed))
    counts = {state: [o.lane.name for o in outcomes if o.state == state] for state in ("ok", "FAIL", "not run")}
    for state in ("not run", "FAIL"):
        if counts[state]:
            lines.append(f"{state}: {' '.join(sorted(counts[state]))}")
    lines.append(
        f"{len(counts['ok'])} lanes passed, {len(counts['FAIL'])} failed, {len(counts['not run'])} not run,"
        f" in {seconds:.0f} s"
    )
    return "\n".join(lines)


def changes() -> str:
    """Return what git sees as changed in the checkout."""
    command = ["git", "status", "--porcelain"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def main(words: Sequence[str] | None = None, lanes: Sequence[Lane] = LANES, cache: Path = CACHE) -> int:
    """Run the lanes that the command line names. Exits 1 if one failed."""
    names = sorted({"all", *(name for lane in lanes for name in (lane.name, *lane.runs))})
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", nargs="*", default=["all"], help=f"one or more of: {' '.join(names)}")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.run) - set(names):
        parser.error(f"no lane {' '.join(sorted(unknown))}; there are: {' '.join(names)}")
    mine = list(dict.fromkeys(lane for run in arguments.run for lane in chosen(lanes, run)))
    for lane in mine:
        first_port = int(environment(lane)["IRONBOOK_TEST_PORTS"])
        if lane.name == MOLECULE:
            ports.require_fixed(STATE / MOLECULE, first_port)
    if "all" in arguments.run:
        shutil.rmtree(cache / "features", ignore_errors=True)
    runner = Runner(cache, strict=debian.may_install())
    handlers = {number: signal.signal(number, runner.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    begin, dirty = time.monotonic(), changes()
    outcomes = runner.run(mine)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    print(summary(outcomes, time.monotonic() - begin))
    if not dirty and (left := changes()):
        print(f"the lanes left the tree changed:\n{left}", file=sys.stderr)
        return 1
    return int(runner.stopping or any(outcome.state == "FAIL" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
