# SPDX-License-Identifier: GPL-3.0-or-later
"""One value of the tuned guest after the other is set wrong, audited, and set right again: in one process on the guest.

What is wrong about a tunable is not said here: the cases of tests/fixtures/host_cases.py say it, of which those are
taken that one write to a file of the kernel brings about.
"""

from __future__ import annotations

import json
from typing import Any

from fixtures.host_cases import ALL, CASES, METAL, NET
from host_guests.guest import Guest

FILES = ("/proc/sys/", "/sys/kernel/mm/", "/sys/devices/virtual/workqueue/", NET)
NOT_HERE = {
    "kernel.nmi_watchdog": "the emulated processor has no counters",
    "adapter.large_llq": "an adapter of Amazon's",
    "packet.rps_default": "a file of later kernels than the guest's",
    "packet.xps": "it is called harmful then, and not drift",
    "network.keepalive": "wanted on EC2",
    "packet.mtu": "an event of the link, after which it is set right again",
}
GUEST_VALUES = {ALL: "f", "0-35": "0-3", "67584": "16384"}
"""By the value of the tree's host: what is as wrong on one of four CPUs and 6 GiB."""


def wrong_value(name: str) -> tuple[str, str] | None:
    """Return the file and the value that make a tunable wrong, where one write does."""
    case = CASES[name]
    files = [(path, text) for path, text in case.wrong.items() if path.startswith(FILES) and isinstance(text, str)]
    if len(files) != 1 or len(case.wrong) != 1 or case.on != METAL or case.base or name in NOT_HERE:
        return None
    path, text = files[0]
    value = text.rstrip("\n")
    if "[" in value:
        value = value.split("[")[1].split("]")[0]
    return path, GUEST_VALUES.get(value, value)


DETUNED = {name: found for name in CASES if (found := wrong_value(name))}

COMMON = """
import json, os, sys, time
sys.path.insert(0, "/opt/audit")
from host_tuning import service

given = json.loads(sys.stdin.readline())

def audit():
    return service.run("/", given["isolated"], given["huge_pages"], [given["interface"]],
                       gigantic_pages=given["gigantic_pages"])

def verdicts(found):
    return {row["id"]: row["verdict"] for row in found["findings"] if not row["counter"]}

def write(path, value):
    with open(path, "w") as file:
        file.write(value)

def read(path):
    with open(path) as file:
        return file.read().strip()
"""
ONE_BY_ONE = """
def difference(one, other):
    return {name: [one[name], other[name]] for name in one if one[name] != other[name]}

audit()
began = time.monotonic()
first = audit()
answer = {"audit": first, "seconds": round(time.monotonic() - began, 2), "changed": {}}
for name, (path, value) in given["wrong"].items():
    try:
        before = read(path)
        write(path, value)
        answer["changed"][name] = difference(verdicts(first), verdicts(audit()))
        write(path, before.split("[")[-1].split("]")[0])
    except OSError as exc:
        answer["changed"][name] = str(exc)
answer["left"] = difference(verdicts(first), verdicts(audit()))
print(json.dumps(answer))
"""
PARTITION = """
group = "/sys/fs/cgroup/engine.slice"
state = group + "/cpuset.cpus.partition"
write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset")
os.makedirs(group, exist_ok=True)
answer = []
# Of all CPUs none would be left to the other groups.
for cpus in (given["isolated"], read("/sys/devices/system/cpu/online")):
    write(group + "/cpuset.cpus", cpus)
    if not answer:
        write(state, "isolated")
    answer.append([read(state), verdicts(audit())["cpu.partition"]])
os.rmdir(group)
print(json.dumps(answer))
"""


def on_guest(guest: Guest, program: str, given: dict[str, Any]) -> Any:
    """Run a program on the guest, where host_tuning lies in /opt/audit, and return what it answers."""
    guest.run("cat >/opt/audit/detune.py", text=COMMON + program)
    return json.loads(guest.run("python3 /opt/audit/detune.py", seconds=1200, text=json.dumps(given) + "\n"))


def detune_all(guest: Guest, given: dict[str, Any]) -> dict[str, Any]:
    """Return the first audit, how long one takes, and by tunable which verdicts changed while it was wrong.

    Args:
        guest: the guest.
        given: its plan: `isolated`, `huge_pages` and `gigantic_pages` in all, and the `interface` to judge.

    """
    files = {name: (path.replace(NET, f"/sys/class/net/{given['interface']}"), value)
             for name, (path, value) in DETUNED.items()}  # fmt: skip
    found: dict[str, Any] = on_guest(guest, ONE_BY_ONE, {**given, "wrong": files})
    return found


def partition(guest: Guest, given: dict[str, Any]) -> list[list[str]]:
    """Make a valid partition of the isolated CPUs and an invalid one; return each one's state and verdict.

    Whatever was pinned on the guest is so no longer: when a partition comes or goes, a kernel before 6.2 gives every
    process of the other groups all CPUs that are left to them.
    """
    found: list[list[str]] = on_guest(guest, PARTITION, given)
    return found
