# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own: the role compiles the core there; and orders are timed there before and after it is tuned.

Ansible runs outside and reaches the guest as it would reach any host, through a connection plugin. The guest's address
is a private one, its client sits at the other end of a cable.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from integration.engine_process import PASSWORD, hash_of
from integration.guest_host import ADDRESS, INTERFACE, SET, Guest, running_guest
from integration.role_play import COLLECTIONS, run_play
from local_processes import ROOT, wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="a guest with a root and a network of its own needs root"),
]

INSTALLED = "/opt/ironbook"
ORDER_ENTRY = 7001
IMPORT = "import json, ironbook.core as c; print(json.dumps([c.__file__, c._core.__file__]))"


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """One guest for the whole file."""
    with running_guest(tmp_path_factory.mktemp("guest")) as running:
        yield running


def play(guest: Guest, directory: Path, *flags: str) -> tuple[str, int]:
    """Run the role engine_build on the guest; the output, and how many tasks changed something there."""
    # The plugin would change the root directory alone: this enters all of the guest.
    enter = directory / "enter"
    enter.write_text(f'#!/bin/sh\nshift\nexec {" ".join(guest.enter)} "$@"\n')
    enter.chmod(0o700)
    host = {
        "ansible_connection": "community.general.chroot",
        "ansible_host": str(guest.root),
        "ansible_chroot_exe": str(enter),
        "ansible_python_interpreter": sys.executable,
        "engine_build_virtualenv": "",
        "ironbook_state_directory": str(directory / "state"),
        "service_manager": "systemd",
    }
    (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"guest": host}}}))
    book = [{"hosts": "all", "gather_facts": False, "roles": ["ironbook.trading.engine_build"]}]
    (directory / "play.json").write_text(json.dumps(book))
    done = run_play(directory, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, int(done.stdout.split("changed=")[1].split()[0])


@pytest.fixture(scope="module")
def installed(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the role has installed the distribution in the guest, which had none."""
    said = guest.run(sys.executable, "-c", IMPORT, status=1)
    assert "No module named 'ironbook.core'" in said, said
    directory = tmp_path_factory.mktemp("controller")
    _output, changed = play(guest, directory)
    assert changed > 0
    (version,) = [path.name for path in (guest.root / INSTALLED.lstrip("/")).iterdir() if path.is_dir()]
    _output, changed = play(guest, directory)
    assert changed == 0, "a second run builds nothing"
    return f"{INSTALLED}/{version}"


@pytest.mark.feature("USR-05", by="G")
def test_the_role_compiles_the_core_on_the_guest_and_it_agrees_with_the_oracle(guest: Guest, installed: str) -> None:
    """What is imported is what was compiled there; the same sources under the sanitizers say the same as the oracle."""
    package, extension = guest.python(IMPORT, PYTHONPATH=installed)
    assert package.startswith(installed) and extension.startswith(installed)
    made = guest.root / extension.lstrip("/")
    assert made.read_bytes()[:4] == b"\x7fELF"
    assert not Path(INSTALLED, Path(installed).name).exists(), "it is the guest's, not this machine's"

    # API mode: the C compiler has seen the header, and compiled what cffi generated from it with the core's sources.
    assert guest.run("sh", "-c", f"nm -D --defined-only {extension} | grep -c PyInit__core").strip() == "1"
    flow = [sys.executable, str(ROOT / "tests/core_flow.py"), "--steps", "100000"]
    said = guest.run(*flow, PYTHONPATH=installed)
    assert said.startswith("core-flow: 100000 commands") and said.endswith("no difference\n"), said

    said = guest.run(sys.executable, "-c", SANITIZED, str(ROOT / "engine_native"), PYTHONPATH=installed)
    assert said == "4 flows, no difference\nan event differs\n"


# The core's sources with the sanitizers and its own checks, fed with flows that the oracle has written; and once with
# an event that the oracle did not say.
SANITIZED = """
import pathlib, subprocess, sys, tempfile
home = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(home / "sim"))
from flows import write_flows
from mutants import CORE, FLAGS
build = pathlib.Path(tempfile.mkdtemp())
sources = [str(home / "sim/flow.c"), *(str(home / f"src/{name}.c") for name in CORE)]
options = [*FLAGS, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
subprocess.run(["gcc", *options, *sources, "-lpthread", "-o", str(build / "flow")], check=True)
flows = write_flows(build)
for flow in flows:
    subprocess.run([str(build / "flow"), str(flow.capacity), str(flow.commands), str(flow.events)], check=True)
print(len(flows), "flows, no difference")
said = bytearray(flows[0].events.read_bytes())
said[-1] ^= 1
flows[0].events.write_bytes(said)
done = subprocess.run([str(build / "flow"), str(flows[0].capacity), str(flows[0].commands), str(flows[0].events)],
                      capture_output=True, text=True)
assert done.returncode == 1, done
print(done.stdout.split(": ")[-1].strip())
"""


# What the guest's interface is detuned by: moderation as an adapter has it that is made for throughput. A received
# packet waits for half a millisecond.
DETUNED = {"packet.gro": "on", "packet.deferred_interrupts": "2", "packet.gro_timeout": "500000"}
AUDIT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import service
print(json.dumps(service.run("/", "", 0, [sys.argv[2]])))
"""
# One order at a time, each of which trades with one that rests: from its sending to the report of its execution.
CLIENT = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from integration.engine_process import Client, enter
host, port, orders = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
maker, taker = Client(port, host=host), Client(port, host=host)
assert maker.login("MAKER1")[:1] == taker.login("TAKER1")[:1] == b"A"
maker.send(enter(1, "S", 900_000, 1_000_000))
maker.report("A")
times = []
for ref in range(1, orders + 1):
    begin = time.perf_counter_ns()
    taker.send(enter(ref, "B", 1, 1_000_000))
    taker.report("E")
    times.append(time.perf_counter_ns() - begin)
times.sort()
print(json.dumps({"orders": orders, "p50_ns": times[orders // 2]}))
"""
ORDERS = 400
IRONBOOK = (sys.executable, "-m", "ironbook.cli")


class Observed(NamedTuple):
    """What is seen of the guest at one time; medians of an order, from the outside in."""

    findings: dict[str, dict[str, Any]]  # of the audit, by id
    wire_ns: int  # from its sending to the report of its execution
    engine_ns: int  # of that in the engine, from the read of its last byte to the send
    matcher_ns: float  # CPU time in the matcher

    @property
    def drift(self) -> set[str]:
        """What the audit calls drift of what is detuned here."""
        return {name for name in DETUNED if self.findings[name]["verdict"] == "drift"}


def observe(guest: Guest, installed: str, name: str) -> Observed:
    """Audit, trade against an engine that begins anew, ask it for its latency, and run the matcher's benchmark."""
    findings = {row["id"]: row for row in guest.python(AUDIT, str(COLLECTIONS), INTERFACE)["findings"]}
    directory = f"/srv/{name}"
    users = [{"username": user, "firm": user[:4], "secret": hash_of(PASSWORD)} for user in ("MAKER1", "TAKER1")]
    config = {
        "shard": 0,
        "replica": 0,
        "epoch": 1,
        "journal_directory": f"{directory}/journal",
        "run_directory": f"{directory}/run",
        "order_entry": {"host": ADDRESS, "port": ORDER_ENTRY},
        "instruments": [{"symbol": "AAPL", "tick": 1}],
        "sessions": users,
        "journal": {"fsync": "none"},
        "latency": {"every": 1},
    }
    seen = guest.root / directory[1:]
    seen.mkdir()
    (seen / "engine.json").write_text(json.dumps(config))
    command = (*IRONBOOK, "engine", "run", "--config", f"{directory}/engine.json")
    with guest.start(*command, PYTHONPATH=installed) as engine:
        try:
            wait_for(lambda: (seen / "run/admin.sock").exists() or engine.poll() is not None, "the engine in the guest")
            assert engine.poll() is None, engine.communicate()
            wire = guest.client(CLIENT, str(ROOT / "tests"), ADDRESS, str(ORDER_ENTRY), str(ORDERS))
            shown = guest.run(
                *IRONBOOK, "latency", "--run-directory", f"{directory}/run", "--json", PYTHONPATH=installed
            )
        finally:
            guest.run("pkill", "-INT", "-f", f"{directory}/engine.json")
            engine.communicate(timeout=30)
    total = json.loads(shown)["stages"]["total"]
    assert (wire["orders"], total["count"]) == (ORDERS, ORDERS + 1)
    flow = f"{directory}/flow.lobw"
    guest.run(*IRONBOOK, "bench", "generate", flow, "--messages", "50000", PYTHONPATH=installed)
    bench = guest.run(*IRONBOOK, "bench", "match", "--workload", flow, "--passes", "3", "--json", PYTHONPATH=installed)
    return Observed(findings, wire["p50_ns"], total["p50_ns"], json.loads(bench)["ns_per_op"])


@pytest.mark.feature("ENG-08", by="G")
def test_orders_take_less_time_once_what_the_audit_names_is_tuned(guest: Guest, installed: str) -> None:
    """Audited, measured, tuned as the audit says, measured again; and detuned once more, so that it is no chance."""
    fresh = {row["id"]: row for row in guest.python(AUDIT, str(COLLECTIONS), INTERFACE)["findings"]}
    assert {fresh[name]["verdict"] for name in DETUNED} <= {"ok", "not_persisted"}
    detuned = {fresh[name]["path"]: value for name, value in DETUNED.items()}
    guest.python(SET, INTERFACE, json.dumps(detuned))
    before = observe(guest, installed, "before")
    assert before.drift == DETUNED.keys()

    tuned = {before.findings[name]["path"]: before.findings[name]["planes"]["desired"] for name in before.drift}
    guest.python(SET, INTERFACE, json.dumps(tuned))
    after = observe(guest, installed, "after")
    assert after.drift == set()

    guest.python(SET, INTERFACE, json.dumps(detuned))
    again = observe(guest, installed, "again")
    guest.python(SET, INTERFACE, json.dumps(tuned))
    assert again.drift == DETUNED.keys()

    report = {"before": before, "after": after, "detuned again": again}
    for name, seen in report.items():
        print(f"{name}: drift {sorted(seen.drift)}; wire {seen.wire_ns} ns, engine {seen.engine_ns} ns, "
              f"matcher {seen.matcher_ns} ns")  # fmt: skip
        assert 0 < seen.matcher_ns < seen.engine_ns
    # The moderation's half millisecond is gone, and it was not the engine's: what is on the wire and not in the engine.
    outside = {name: seen.wire_ns - seen.engine_ns for name, seen in report.items()}
    assert after.wire_ns < 0.5 * min(before.wire_ns, again.wire_ns), report
    assert min(outside["before"], outside["detuned again"]) > outside["after"] + 250_000, outside
