# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of `make test`: no two lanes share one, two clones need not, a taken one is named before anything runs."""

from __future__ import annotations

import itertools
import os
import socket
from pathlib import Path

import pytest
from gates import ports
from gates.lanes import LANES, environment
from local_processes import SITE_PORTS, free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane that runs these tests has set the variable for itself."""
    monkeypatch.delenv("IRONBOOK_PORT_BASE", raising=False)


def lane_ports() -> dict[str, int]:
    """First port of each lane that starts servers, by its name."""
    return {lane.name: int(environment(lane)["IRONBOOK_TEST_PORTS"]) for lane in LANES if lane.starts_servers}


def test_lanes_share_no_port_and_stay_below_the_kernels_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRONBOOK_PORT_BASE", str(ports.BASE_MAX))
    mine = sorted(lane_ports().values())
    assert len(mine) > 3
    assert all(second - first >= ports.OF_ONE_LANE for first, second in itertools.pairwise(mine))
    assert mine[-1] + ports.OF_ONE_LANE <= 32768


def test_two_clones_take_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing said, the first is 22000; what is said moves every lane, molecule's and what bench takes."""
    assert ports.first() == 22000
    default = lane_ports()
    assert default["molecule"] == 22200
    monkeypatch.setenv("IRONBOOK_PORT_BASE", "26000")
    moved = lane_ports()
    assert {name: port - default[name] for name, port in moved.items()} == dict.fromkeys(default, 5000)
    assert max(default.values()) + ports.OF_ONE_LANE <= ports.first()


@pytest.mark.parametrize("port", ["1023", str(ports.BASE_MAX + 1), "x", "²"])
def test_a_base_without_room_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("IRONBOOK_PORT_BASE", port)
    with pytest.raises(SystemExit, match=rf"^IRONBOOK_PORT_BASE={port}: [^\n]* between 1024 and {ports.BASE_MAX}$"):
        ports.first()


@pytest.mark.parametrize("offset", [0, 1, 100])
def test_a_taken_port_is_named_with_whose_it_is(tmp_path: Path, offset: int) -> None:
    base = free_port(SITE_PORTS)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", base + offset))
        stranger.listen()
        with pytest.raises(SystemExit, match=rf"^port {base + offset}, [^\n]*: process {os.getpid()} \([^\n]*: end it"):
            ports.require_fixed(tmp_path / "none", base)


def test_molecule_and_bench_ask_for_their_ports() -> None:
    """None of the two has a number of its own that the variable would not move."""
    molecule = (ROOT / "molecule/default/molecule.yml").read_text() + (ROOT / "molecule/default/ground.sh").read_text()
    assert molecule.count("${IRONBOOK_TEST_PORTS:-22200}") == 3 == molecule.count("22200")
    assert "ports.first()" in (ROOT / "bench/site.py").read_text()
