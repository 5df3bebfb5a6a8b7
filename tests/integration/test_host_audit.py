# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit on the kernel that runs this test: what it finds, that it only reads, and the role around it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue import TUNABLES
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.catalogue.clock import TRACKING
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.facts import instance_type_of
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import Host
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.shorthand import UNITS_COMMAND
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe import experiment
from ansible_collections.ironbook.trading.plugins.module_utils.latency_probe.measurement import summarize
from fixtures import host_trees, probe_documents
from integration.role_play import COLLECTIONS, run_play

MODULE = COLLECTIONS / "ansible_collections/ironbook/trading/plugins/modules/host_tuning_info.py"
UTILS = "ansible_collections.ironbook.trading.plugins.module_utils.host_tuning"

pytestmark = pytest.mark.integration


def run_module(**options: Any) -> dict[str, Any]:
    """Run the module in a process of its own, as Ansible would."""
    done = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def verdicts(result: dict[str, Any]) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in result["audit"]["findings"]}


def test_this_machine_gets_a_verdict_on_every_tunable_quickly() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run_module()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor: by the clock it takes as long as its neighbours let it.
    took = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    audit = result["audit"]
    assert result["changed"] is False and audit["schema_version"] == 2
    assert len(audit["findings"]) >= 110 and sum(audit["counts"].values()) == len(audit["findings"])
    assert audit["counts"]["ok"] + audit["counts"]["drift"] >= 30, "most of it must have been read, not waved through"
    assert took < 3, f"{took:.2f} s"
    for row in audit["findings"]:
        assert row["planes"]["live"] or row["because"], row["id"]


def test_what_it_says_is_what_the_kernel_says() -> None:
    live = {row["id"]: row["planes"]["live"] for row in run_module()["audit"]["findings"]}
    assert live["memory.swappiness"] == Path("/proc/sys/vm/swappiness").read_text().strip()
    assert live["network.sack"] == Path("/proc/sys/net/ipv4/tcp_sack").read_text().strip()
    clock = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    assert live["clock.source"] == clock.read_text().strip()


ORDINARY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from {utils} import service
if os.geteuid() == 0:  # after the start: the interpreter may lie where only root can start it
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
assert os.geteuid() != 0
print(json.dumps(service.run("/", "", 0, None)))
"""


def test_an_ordinary_user_gets_the_same_verdicts_or_unknown() -> None:
    mine = verdicts(run_module())
    command = [sys.executable, "-c", ORDINARY.format(utils=UTILS), str(COLLECTIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    ordinary = verdicts({"audit": json.loads(done.stdout)})
    counters = {tunable.id for tunable in TUNABLES if tunable.counter}  # they may move between the two audits
    assert {
        name: verdict for name, verdict in ordinary.items() if verdict not in (mine[name], "unknown")
    }.keys() <= counters
    assert sum(verdict in ("ok", "drift") for verdict in ordinary.values()) >= 30


WATCHED = """
import json, sys
sys.path.insert(0, sys.argv[1])
from {utils} import service
from {utils}.ethtool import SIOCETHTOOL
seen, active = [], [False]
def hook(event, arguments):
    if not active[0]:
        return
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        if arguments[0] != "/dev/null" and (mode and set(mode) & set("wax+") or flags & 0o3103):  # to write in any way
            seen.append([event, str(arguments)])
    elif event == "fcntl.ioctl":
        if arguments[1] != SIOCETHTOOL:
            seen.append([event, str(arguments)])
    elif event == "subprocess.Popen" and tuple(arguments[1][1:]) in {commands}:
        pass
    elif event.split(".")[0] in ("os", "subprocess", "shutil", "socket") and event not in {allowed}:
        seen.append([event, str(arguments)])
sys.addaudithook(hook)
active[0] = True
result = service.run("/", "", 0, None)
if len(sys.argv) > 2:
    open(sys.argv[2], "w").close()
active[0] = False
print(json.dumps([len(result["findings"]), seen]))
"""


def questions() -> list[tuple[str, ...]]:
    """What the audit may ask of commands, without the command's own path: none of these changes anything."""
    found = [UNITS_COMMAND[1:], TRACKING[1:]]
    for interface in os.listdir("/sys/class/net"):
        found += [("qdisc", "show", "dev", interface), ("-x", interface)]
    return found


def watched(*arguments: str) -> tuple[int, list[list[str]]]:
    """Audit this machine, with every open, ioctl, socket and command recorded; return what was not a read."""
    allowed = ("os.listdir", "os.scandir", "socket.__new__", "socket.gethostname")
    script = WATCHED.format(utils=UTILS, allowed=allowed, commands=questions())
    command = [sys.executable, "-c", script, str(COLLECTIONS), *arguments]
    count, seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    return count, seen


def test_it_opens_nothing_for_writing_and_starts_only_what_asks(tmp_path: Path) -> None:
    count, seen = watched()
    assert count >= 110 and seen == []
    _count, seen = watched(str(tmp_path / "written"))
    assert [event for event, _arguments in seen] == ["open"], "the watcher itself must see a write"


DETUNE = """
import fcntl, array, json, socket, struct, sys
sys.path.insert(0, sys.argv[1])
from {utils} import service
QUEUE, NET = "/sys/class/net/lo/queues/rx-0", "/sys/class/net/lo"
ITEMS = [("network.idle_restart", "/proc/sys/net/ipv4/tcp_slow_start_after_idle", "0", "1"),
         ("network.timestamps", "/proc/sys/net/ipv4/tcp_timestamps", "1", "0"),
         ("network.sack", "/proc/sys/net/ipv4/tcp_sack", "1", "0"),
         ("packet.rps", QUEUE + "/rps_cpus", "0", "1"),
         ("packet.deferred_interrupts", NET + "/napi_defer_hard_irqs", "0", "2"),
         ("packet.gro_timeout", NET + "/gro_flush_timeout", "0", "20000"),
         ("packet.gro", 0x2C, "0", "1"), ("packet.gso", 0x24, "0", "1")]
# /sys belongs to the machine's own root, in a namespace of an ordinary user, too.
ITEMS = [item for item in ITEMS if sys.argv[2] == "0" or not str(item[1]).startswith("/sys")]
def put(target, value):
    if isinstance(target, str):
        with open(target, "w") as file:
            file.write(value)
        return
    words = array.array("I", [target, int(value)])  # ETHTOOL_SGRO, ETHTOOL_SGSO
    with socket.socket() as door:
        fcntl.ioctl(door, 0x8946, struct.pack("16sP", b"lo", words.buffer_info()[0]).ljust(40, b"\\0"))
def audit():
    return {{row["id"]: row["verdict"] for row in service.run("/", "", 0, ["lo"])["findings"]}}
for name, target, good, bad in ITEMS:
    put(target, good)
tuned = audit()
named = {{}}
for name, target, good, bad in ITEMS:
    put(target, bad)
    after = audit()
    others = [other for other in after if after[other] != tuned[other] and other != name]
    named[name] = [tuned[name], after[name], others]
    put(target, good)
print(json.dumps(named))
"""


@pytest.mark.feature(
    "HFT-16",
    by="G",
    part="eight tunables of the network stack, detuned one at a time in a network namespace of a real kernel",
)
def test_one_tunable_detuned_on_a_real_kernel_is_named_and_no_other() -> None:
    unshare = shutil.which("unshare")
    assert unshare, "util-linux is missing: apt-get install util-linux"
    private = ["--net", "--mount"] if os.geteuid() == 0 else ["--net", "--mount", "--user", "--map-root-user"]
    shell = 'mount -t sysfs none /sys && exec "$@"'
    command = [
        unshare,
        *private,
        "--",
        "sh",
        "-c",
        shell,
        "sh",
        sys.executable,
        "-c",
        DETUNE.format(utils=UTILS),
        str(COLLECTIONS),
        str(os.geteuid()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    named = json.loads(done.stdout)
    assert len(named) == (8 if os.geteuid() == 0 else 5)
    # Right by somebody's hand, and at the next boot perhaps not: nothing keeps it here.
    right = ("ok", "not_persisted")
    assert {name: found for name, found in named.items() if found[0] not in right or found[1:] != ["drift", []]} == {}


def play(tmp_path: Path, *flags: str, **variables: Any) -> tuple[str, dict[str, int]]:
    """Run the role on three hosts that are this machine; return the output, and each host's changed tasks."""
    hosts = {f"engine-0-{replica}": None for replica in range(3)}
    inventory = {
        "all": {"hosts": hosts, "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
    }
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    (tmp_path / "play.json").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "roles": ["ironbook.trading.host_audit"]}])
    )
    options = {"ironbook_state_directory": str(tmp_path / "state"), **variables}
    done = run_play(tmp_path, *flags, seconds=120, **options)
    changed = {
        line.split()[0]: int(line.split("changed=")[1].split()[0])
        for line in done.stdout.splitlines()
        if "changed=" in line
    }
    return done.stdout + done.stderr, changed


def test_the_role_reports_and_its_second_run_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    output, changed = play(tmp_path)
    assert sum(changed.values()) == 2, output  # the directory, and the report
    reports = tmp_path / "state/reports"
    first = json.loads((reports / "host_audit.json").read_text())
    assert (first["schema"], first["schema_version"], first["hosts"], len(first["machines"])) == (
        "ironbook.host_audit",
        2,
        3,
        1,
    )
    assert first["machines"][0]["names"] == ["engine-0-0", "engine-0-1", "engine-0-2"]
    page = (reports / "host_audit.html").read_text()
    assert "engine-0-2 share one machine" in page and "memory.swappiness" in page
    assert "host_audit.html" in output

    output, changed = play(tmp_path)
    assert len(changed) == 3 and sum(changed.values()) == 0, output
    second = json.loads((reports / "host_audit.json").read_text())
    assert second["generated_at"] > first["generated_at"], "an unchanged audit is still the newest one"
    assert second["fingerprint"] == first["fingerprint"]

    # Another verdict, here because another plan is asked for, is a change.
    output, changed = play(tmp_path, host_audit_huge_pages=1 << 30)
    assert sum(changed.values()) == 1, output


def test_the_role_shows_what_an_experiment_has_measured(tmp_path: Path) -> None:
    """From where host_experiment writes its evidence; a group that was measured on this kernel has an effect."""
    reports = tmp_path / "state/reports"
    reports.mkdir(parents=True)
    runs = [probe_documents.pingpong(range(first, first + 2000)) for first in (20_000, 10_000)]
    for run in runs:
        run["kernel"] = os.uname().release
    before, after = (
        {**summarize([run] * 3, "pingpong", {}), "instance_type": instance_type_of(Host())} for run in runs
    )
    row = {"group": "memory", "judged": experiment.judge([before], [after]), "outcome": "kept", "because": "better"}
    report = experiment.report([row], "engine-0-1", "2026-01-01 00:00:00 UTC")
    (reports / "host_experiment-engine-0-1.json").write_text(json.dumps(report))
    output, _changed = play(tmp_path)
    assert "failed=0" in output, output
    (machine,) = json.loads((reports / "host_audit.json").read_text())["machines"]
    effects = {row["id"]: row["planes"]["effect"] for row in machine["findings"]}
    assert effects["memory.swappiness"].startswith("better, of the whole group memory, kept: pingpong p50_ns ")
    assert effects["network.sack"] is None
    assert effects["memory.swappiness"] in (reports / "host_audit.html").read_text()


def test_the_role_audits_a_captured_tree(tmp_path: Path) -> None:
    """The report is of the host that the tree was, and of nothing of this machine."""
    (tmp_path / "state").mkdir()
    root = host_trees.write(host_trees.tuned_metal(), tmp_path / "tree")
    output, _changed = play(tmp_path, host_audit_root=str(root), host_audit_isolated_cpus="4-35")
    assert "failed=0" in output and "0 do not hold" in output, output
    (machine,) = json.loads((tmp_path / "state/reports/host_audit.json").read_text())["machines"]
    assert (machine["host"]["instance_type"], machine["host"]["isolated_cpus"]) == ("c5n.metal", "4-35")


def test_it_fails_from_the_chosen_severity_on_and_the_report_is_there(tmp_path: Path) -> None:
    """No machine has as many huge pages as are asked for here; that tunable is `high`, no critical one is judged."""
    (tmp_path / "state").mkdir()
    output, _changed = play(tmp_path, host_audit_huge_pages=1 << 30, host_audit_fail_at="critical")
    assert "failed=0" in output, output
    output, _changed = play(tmp_path, host_audit_huge_pages=1 << 30, host_audit_fail_at="high")
    assert "failed=1" in output and "memory.huge_pages (high) is drift" in output, output
    assert (tmp_path / "state/reports/host_audit.sarif").exists()


def test_a_check_run_writes_no_report(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    output, _changed = play(tmp_path, "--check", "--diff")
    assert "failed=0" in output and "ok," in output
    assert list((tmp_path / "state").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"isolated_cpus": "0"}, "CPU 0 cannot be isolated"),
        ({"isolated_cpus": "4096"}, "this host has no CPU 4096"),
        ({"isolated_cpus": "two"}, "no CPU list: 'two'"),
        ({"interfaces": ["nosuch0"]}, "this host has no interface nosuch0"),
        ({"root": "/nowhere"}, "root /nowhere"),
    ],
)
def test_bad_input_is_one_line(options: dict[str, Any], words: str) -> None:
    result = run_module(**options)
    assert result["failed"] and words in result["msg"] and "\n" not in result["msg"]


def test_a_plan_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    output, _changed = play(tmp_path, host_audit_isolated_cpus="2 to 7")
    assert "host_audit_isolated_cpus=2 to 7 must be a CPU list such as 2-7" in output
    assert list((tmp_path / "state").iterdir()) == []
