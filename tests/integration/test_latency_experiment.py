# SPDX-License-Identifier: GPL-3.0-or-later
"""The role host_experiment on a guest: what helps is kept, what does not is undone; the evidence is both distributions.

A stand-in takes the place of the module host_tuning: with the same parameters and answers, and groups whose effect on
the guest's own network is known beforehand. That real groups are applied and undone, that module's own tests show.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.guest_host import CLIENT_ADDRESS, INTERFACE, SET, Guest, running_guest
from integration.probe_process import Probe, compile_probe
from integration.role_play import COLLECTIONS, run_play
from local_processes import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="a guest with a root and a network of its own needs root"),
]
WAIT = "/sys/class/net/eth0/gro_flush_timeout"
# Before anything is tried the guest looks for received packets every 50 ms only, which no other test of this machine
# can hide. Messages are 70 ms apart, so that they come at any time between two looks.
DETUNED = {
    "ethtool -k {interface}: generic-receive-offload": "on",
    "/sys/class/net/{interface}/napi_defer_hard_irqs": "1000",
    "/sys/class/net/{interface}/gro_flush_timeout": "50000000",
}
STAND_IN = """#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
import json, pathlib
from ansible.module_utils.basic import AnsibleModule
GROUPS = {
    "adapter": ("/sys/class/net/eth0/gro_flush_timeout", "0"),         # packets are taken as they come
    "packet": ("/sys/class/net/eth0/gro_flush_timeout", "100000000"),  # every 100 ms
    "memory": ("/proc/sys/net/ipv4/tcp_sack", "0"),                   # nothing to UDP
    "clock": ("/proc/sys/net/ipv4/tcp_timestamps", "0"),              # said to take a reboot
    "irq": ("/proc/sys/net/ipv4/icmp_ratelimit", "none"),             # it breaks what the other end needs, see below
}
module = AnsibleModule(
    argument_spec=dict(
        state=dict(type="str", choices=["tuned", "reverted"], default="tuned"),
        groups=dict(type="list", elements="str"),
        isolated_cpus=dict(type="str"), isolated_cores=dict(type="int"), engine_cpus=dict(type="str"),
        interrupt_cpus=dict(type="str"), huge_pages=dict(type="raw"), gigantic_pages=dict(type="raw"),
        interfaces=dict(type="list", elements="str"),
    ),
    supports_check_mode=True,
)
kept = pathlib.Path("/var/lib/stand_in.json")
known = json.loads(kept.read_text()) if kept.exists() else {}
changed = False
for group in module.params["groups"]:
    if group not in GROUPS:
        continue
    path, value = GROUPS[group]
    file = pathlib.Path(path)
    if module.params["state"] == "reverted":
        if group in known:
            changed = True
            if not module.check_mode:
                file.write_text(known.pop(group))
    elif group == "irq":
        known[group], changed = file.read_text(), True
        if not module.check_mode:
            pathlib.Path("/run/broken").write_text("")
    elif file.read_text().strip() != value:
        known[group], changed = file.read_text(), True
        if not module.check_mode:
            file.write_text(value)
if not module.check_mode:
    kept.write_text(json.dumps(known))
module.exit_json(changed=changed, reboot_required=changed and module.params["groups"] == ["clock"])
"""


def stand_in_collection(directory: Path) -> Path:
    """The collection, but for one module: links to all else."""
    ours = COLLECTIONS / "ansible_collections/ironbook/trading"
    other = directory / "collections/ansible_collections/ironbook/trading"
    modules = other / "plugins/modules"
    modules.mkdir(parents=True)
    for source, target in ((ours, other), (ours / "plugins", other / "plugins"), (ours / "plugins/modules", modules)):
        for path in source.iterdir():
            if not (target / path.name).exists() and path.name != "host_tuning.py":
                (target / path.name).symlink_to(path.resolve())
    (modules / "host_tuning.py").write_text(STAND_IN)
    return directory / "collections"


class Experiment:
    """Ansible outside, a guest, and an echo at the other end of its cable."""

    def __init__(self, directory: Path, guest: Guest, port: int) -> None:
        self.directory = directory
        self.guest = guest
        self.reports = directory / "state/reports"
        enter = directory / "enter"
        enter.write_text(f'#!/bin/sh\nshift\nexec {" ".join(guest.enter)} "$@"\n')
        enter.chmod(0o700)
        self.collections = stand_in_collection(directory)
        probe = {"mode": "pingpong", "protocol": "udp", "peer": CLIENT_ADDRESS, "port": port, "seconds": 2}
        host = {
            "ansible_connection": "community.general.chroot",
            "ansible_host": str(guest.root),
            "ansible_chroot_exe": str(enter),
            "ansible_python_interpreter": sys.executable,
            "ironbook_state_directory": str(directory / "state"),
            "ironbook_environment": "guests",
            "service_manager": "systemd",
            # Of three runs, one that other work slows is enough that nothing can be told; of five it is not.
            "host_experiment_repeats": 5,
            "host_experiment_probes": [probe | {"interval_us": 70000, "wait_seconds": 2}],
        }
        (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": {"engine-0-0": host}}}))
        book = [{"hosts": "all", "gather_facts": False, "roles": ["ironbook.trading.host_experiment"]}]
        (directory / "play.json").write_text(json.dumps(book))

    def play(self, *flags: str, status: int = 0, **variables: Any) -> str:
        """Run the role; what was printed."""
        paths = f"{self.collections}:{COLLECTIONS}"
        done = run_play(self.directory, *flags, collections=paths, seconds=600, **variables)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def value(self, path: str) -> str:
        """What a file of the guest says."""
        return self.guest.run("cat", path).strip()


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experiment]:
    """One guest for the whole file."""
    port = free_port()
    echo_of = compile_probe(tmp_path_factory.mktemp("probe"))
    with running_guest(tmp_path_factory.mktemp("guest")) as guest:
        guest.python(SET, INTERFACE, json.dumps(DETUNED))
        at_client = ["nsenter", f"--target={guest.client_pid}", "--net", "--"]
        with Probe(echo_of, at_client).serving(CLIENT_ADDRESS, port):
            yield Experiment(tmp_path_factory.mktemp("controller"), guest, port)


def test_nothing_is_tried_where_it_is_not_meant(experiment: Experiment) -> None:
    said = experiment.play(status=2, host_experiment_groups=["adapter"])
    assert "if it is meant, add -e host_experiment_confirm=guests" in " ".join(said.split())
    said = experiment.play(status=2, host_experiment_groups=["adapter"], service_manager="supervisor")
    assert "whose tuning is read and never changed" in " ".join(said.split())
    experiment.play("--check", host_experiment_groups=["adapter"], host_experiment_confirm="guests")
    assert experiment.value(WAIT) == "50000000" and not experiment.reports.exists()


def p50s(row: dict[str, Any]) -> list[Any]:
    """What was measured before and after a group, one value a run, in milliseconds, and what was said of it."""
    if row["judged"] is None:
        return []
    comparison = row["judged"]["comparisons"][0]
    values = [comparison[when]["metrics"]["p50_ns"]["values"] for when in ("before", "after")]
    said = comparison["metrics"]["p50_ns"]["because"]
    return [[None if value is None else round(value / 1e6, 1) for value in run] for run in values] + [said]


@pytest.mark.feature(
    "HFT-08",
    by="G",
    part="settings of a guest's network switched one at a time, by a stand-in for host_tuning: both distributions, a"
    " verdict, kept or reverted",
)
def test_what_helps_is_kept_and_all_else_is_undone(experiment: Experiment) -> None:
    sack = experiment.value("/proc/sys/net/ipv4/tcp_sack")
    timestamps = experiment.value("/proc/sys/net/ipv4/tcp_timestamps")
    groups = ["memory", "adapter", "packet", "clock", "cpu", "adapter"]
    said = experiment.play(host_experiment_groups=groups, host_experiment_confirm="guests")
    report = json.loads((experiment.reports / "host_experiment-engine-0-0.json").read_text())
    rows = report["groups"]
    assert [(row["group"], row["outcome"]) for row in rows] == [
        ("memory", "reverted"),
        ("adapter", "kept"),
        ("packet", "reverted"),
        ("clock", "left"),
        ("cpu", "left"),
        ("adapter", "left"),
    ], [(row["group"], row["outcome"], row["because"], p50s(row)) for row in rows]
    assert (report["kept"], report["reverted"]) == (["adapter"], ["memory", "packet"])
    # And so the guest is: one group stays, and nothing else of what was tried is left.
    assert experiment.value(WAIT) == "0"
    assert experiment.value("/proc/sys/net/ipv4/tcp_sack") == sack
    assert experiment.value("/proc/sys/net/ipv4/tcp_timestamps") == timestamps

    none, better, worse = (row["judged"]["comparisons"][0]["metrics"]["p50_ns"] for row in rows[:3])
    assert better["verdict"] == "better" and better["difference"] < -5_000_000
    assert worse["verdict"] == "worse" and worse["difference"] > 20_000_000
    assert none["verdict"] in ("no_difference", "cannot_tell")
    assert rows[3]["because"].startswith("it takes a reboot") and rows[3]["judged"] is None
    assert rows[4]["because"] == "the host is tuned so already"
    assert rows[5]["because"].startswith("it was applied before")
    for comparison in (rows[1]["judged"]["comparisons"][0], rows[2]["judged"]["comparisons"][0]):
        assert all(
            comparison[when]["series"]["round_trip"]["histogram"]["count"] >= 100 for when in ("before", "after")
        )
    assert "engine-0-0: adapter kept: better" in said and "engine-0-0: packet reverted: worse" in said


def test_a_group_that_breaks_the_measurement_is_undone_before_the_run_fails(experiment: Experiment) -> None:
    """The stand-in's last group has the probe fail: what it did is undone, and the reason is shown."""
    probe = next(path for path in (experiment.guest.root / "opt/ironbook").glob("probe-*/ironbook-probe"))
    whole = probe.read_bytes()
    probe.rename(probe.with_name("whole"))
    try:
        whole_at = f"/opt/ironbook/{probe.parent.name}/whole"
        script = f'#!/bin/sh\n[ -e /run/broken ] && {{ echo "no way out" >&2; exit 1; }}\nexec {whole_at} "$@"\n'
        probe.write_text(script)
        probe.chmod(0o755)
        said = experiment.play(status=2, host_experiment_groups=["irq"], host_experiment_confirm="guests")
    finally:
        probe.write_bytes(whole)
    assert "irq was reverted, since it could not be tried" in " ".join(said.split())
    assert json.loads(experiment.value("/var/lib/stand_in.json")).keys() == {"adapter"}
