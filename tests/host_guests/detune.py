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
    "packet.xps": "it is called harmful then, and not drift",
    "network.keepalive": "wanted on EC2",
    "packet.mtu": "an event of the link, after which it is set right again",
}
GUEST_VALUES = {ALL: "f", "0-35": "0-3", "67584": "16384"}
"""By the value of the tree's host: what is as wrong on one of four CPUs and 6 GiB."""
PARTITION = "/sys/fs/cgroup/engine.slice"


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

PROGRAM = """
import json, sys, time
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

import os
group = given["partition"]
write("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset")
os.makedirs(group, exist_ok=True)
write(group + "/cpuset.cpus", given["isolated"])
write(group + "/cpuset.cpus.partition", "isolated")
states, seen = [read(group + "/cpuset.cpus.partition")], [verdicts(audit())["cpu.partition"]]
write(group + "/cpuset.cpus", "\\n")
states.append(read(group + "/cpuset.cpus.partition"))
seen.append(verdicts(audit())["cpu.partition"])
os.rmdir(group)
answer["partition"] = {"states": states, "verdicts": seen}
answer["left"] = difference(verdicts(first), verdicts(audit()))
print(json.dumps(answer))
"""


def detune_all(
    guest: Guest, interface: str, isolated: str, huge_pages: dict[str, int], gigantic_pages: dict[str, int]
) -> dict[str, Any]:
    """Return the first audit, how long one takes, and by tunable which verdicts changed while it was wrong."""
    given = {
        "isolated": isolated, "interface": interface, "partition": PARTITION,
        "huge_pages": sum(huge_pages.values()), "gigantic_pages": sum(gigantic_pages.values()),
        "wrong": {name: (path.replace(NET, f"/sys/class/net/{interface}"), value)
                  for name, (path, value) in DETUNED.items()},
    }  # fmt: skip
    guest.run("cat >/opt/audit/detune.py", text=PROGRAM)
    found: dict[str, Any] = json.loads(
        guest.run("python3 /opt/audit/detune.py", seconds=1200, text=json.dumps(given) + "\n")
    )
    return found
