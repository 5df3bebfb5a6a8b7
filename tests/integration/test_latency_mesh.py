# SPDX-License-Identifier: GPL-3.0-or-later
"""The role latency_mesh between two hosts with a network each, and a cable between them that a test makes slower."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.delayed_cable import ADDRESSES, Cable, delayed_cable
from integration.role_play import run_play
from local_processes import free_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="hosts with a network of their own need root"),
]
HOSTS = ("engine-0-0", "engine-0-1")


class Mesh:
    """Ansible outside, two hosts, and what it wrote."""

    def __init__(self, directory: Path, cable: Cable) -> None:
        self.directory = directory
        self.cable = cable
        self.state = directory / "state"
        self.state.mkdir()
        hosts = {name: self.host(number) for number, name in enumerate(HOSTS)}
        variables = {
            "ansible_connection": "community.general.chroot",
            "ansible_python_interpreter": sys.executable,
            "ironbook_state_directory": str(self.state),
            "service_manager": "systemd",
            "probe_build_directory": str(directory / "installed"),
            "latency_mesh_port": free_port(),
            "latency_mesh_protocols": ["udp"],
            "latency_mesh_busy_poll_us": [0],
            "latency_mesh_repeats": 3,
            "latency_mesh_seconds": 1,
            "latency_mesh_interval_us": 10000,
        }
        (directory / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
        book = {"hosts": "all", "gather_facts": False, "any_errors_fatal": True}
        (directory / "play.json").write_text(json.dumps([book | {"roles": ["ironbook.trading.latency_mesh"]}]))

    def host(self, number: int) -> dict[str, Any]:
        """Each is entered by a script in place of chroot: another network, the same files."""
        enter = self.directory / f"enter{number}"
        enter.write_text(f'#!/bin/sh\nshift\nexec {" ".join(self.cable.enter[number])} "$@"\n')
        enter.chmod(0o700)
        return {"ansible_host": "/", "ansible_chroot_exe": str(enter), "latency_mesh_address": ADDRESSES[number]}

    def play(self, *flags: str, status: int = 0, **variables: Any) -> str:
        """Run the role; what was printed."""
        done = run_play(self.directory, *flags, **variables)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def report(self) -> dict[str, Any]:
        """The report for programs."""
        return json.loads((self.state / "reports/latency_mesh.json").read_text())


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    """Two hosts."""
    with delayed_cable() as cable:
        yield Mesh(tmp_path, cable)


@pytest.mark.feature("HFT-07", by="G")
@pytest.mark.feature(
    "HFT-08", by="G", part="before and after as two distributions and a verdict; no placement group is switched here"
)
def test_round_trips_between_two_hosts_and_again_when_the_cable_takes_two_milliseconds(mesh: Mesh) -> None:
    """Packets take 2 ms each way, by the cable: the kernel here has no netem, which would do the same."""
    with mesh.cable.carrying(0.0):
        mesh.play("--check")
        assert list(mesh.state.iterdir()) == [], "in check mode nothing is measured and nothing written"
        said = mesh.play()
    near = mesh.report
    assert (near["schema"], near["schema_version"], near["hosts"]) == ("ironbook.latency_mesh", 1, list(HOSTS))
    before = near["matrix"]["udp"][HOSTS[0]][HOSTS[1]]
    assert 0 < before["p50_ns"] < 1.5e6 and near["rows"][0]["compared"] is None
    assert f"{before['p50_ns'] / 1000:.1f}" in said and "latency_mesh.json" in said

    kept = mesh.directory / "before.json"
    shutil.copy(mesh.state / "reports/latency_mesh.json", kept)
    with mesh.cable.carrying(2.0):
        mesh.play(latency_mesh_baseline=str(kept))
    far = mesh.report
    after = far["matrix"]["udp"][HOSTS[0]][HOSTS[1]]
    assert 4.0e6 <= after["p50_ns"] <= 5.5e6, after
    (row,) = far["rows"]
    assert row["compared"]["verdict"] == "worse" and row["compared"]["metrics"]["p50_ns"]["verdict"] == "worse"
    # Both distributions, drawn from what was measured: they do not even touch in the middle.
    for measured, least, most in ((row["compared"]["before"], 0, 1.5e6), (row["measurement"], 4.0e6, 5.5e6)):
        drawn = measured["series"]["round_trip"]["histogram"]
        middle = sum(count for upper, count in drawn["buckets"] if least <= upper <= most)
        assert drawn["count"] >= 250 and middle > 0.5 * drawn["count"], drawn
    table = (mesh.state / "reports/latency_mesh.txt").read_text()
    assert table.splitlines()[1].endswith("worse")


def test_who_cannot_be_reached_is_named_and_a_lone_host_is_refused(mesh: Mesh) -> None:
    """No cable carries: the caller says who does not answer. And round trips of one host are none."""
    said = mesh.play(status=2, latency_mesh_repeats=3)
    assert "serve: cannot listen at 10.79.0.2" in said or "10.79.0.2 does not answer at UDP port" in said
    said = mesh.play("--limit", HOSTS[0], status=2)
    assert f"round trips are measured between hosts, and the play has {HOSTS[0]} alone" in said
    said = mesh.play(status=2, latency_mesh_baseline="/nowhere.json")
    assert "latency_mesh_baseline: there is no file /nowhere.json" in said
    assert not (mesh.state / "reports").exists()
