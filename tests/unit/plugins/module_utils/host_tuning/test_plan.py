# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a host: what holds on every topology, what is refused, and what real hosts get."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning import values
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.host import (
    AbsentError,
    Host,
    UnreadableError,
)
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.plan import PlanError, Wishes, plan
from ansible_collections.ironbook.trading.plugins.module_utils.host_tuning.topology import (
    Node,
    Topology,
    discover,
    node_of_interface,
)
from hypothesis import given
from hypothesis import strategies as st

GIB = 1048576
PAGES = frozenset({2048, GIB})


def built(shape: tuple[int, int, int], *, adjacent: bool = False, interface_node: int = 0, queues: int = 8) -> Topology:
    """Return a host of sockets, cores and threads each; siblings are numbered after all cores, or beside each other."""
    sockets, cores, threads = shape
    total = sockets * cores
    siblings: dict[int, frozenset[int]] = {}
    nodes: dict[int, set[int]] = {node: set() for node in range(sockets)}
    for core in range(total):
        numbers = [core * threads + t if adjacent else core + t * total for t in range(threads)]
        siblings.update(dict.fromkeys(numbers, frozenset(numbers)))
        nodes[core // cores].update(numbers)
    return Topology(
        siblings,
        {node: Node(frozenset(cpus), 4 * GIB) for node, cpus in nodes.items()},
        "eth0",
        interface_node,
        queues,
        PAGES,
    )


topologies = st.builds(
    built,
    st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 2)),
    adjacent=st.booleans(),
    interface_node=st.integers(-1, 1),
    queues=st.integers(1, 32),
)


@given(topologies, st.integers(0, 20), st.integers(0, 3), st.one_of(st.none(), st.integers(1, 8)))
def test_any_plan_is_a_partition_that_splits_no_core(
    topology: Topology, cores: int, engine_cores: int, queues: int | None
) -> None:
    """Every CPU has one of the two roles, CPU 0 keeps house, and what interrupts does so on housekeeping CPUs."""
    wishes = Wishes(isolated_cores=cores, engine_cores=engine_cores, queues=queues)
    number_of_cores = len({min(each) for each in topology.siblings.values()})
    if cores >= number_of_cores:
        with pytest.raises(PlanError, match="isolated cores") as caught:
            plan(topology, wishes)
        assert "\n" not in str(caught.value)
        return
    if queues is not None and queues > len(topology.cpus):
        with pytest.raises(PlanError, match="queues"):
            plan(topology, wishes)
        return
    made = plan(topology, wishes)
    assert made.housekeeping | made.isolated == topology.cpus
    assert not made.housekeeping & made.isolated
    assert 0 in made.housekeeping
    assert len({min(topology.siblings[cpu]) for cpu in made.isolated}) == cores
    assert all(topology.siblings[cpu] <= made.isolated for cpu in made.isolated)
    assert set(made.interrupts) <= made.housekeeping
    assert made.management == made.housekeeping
    assert made.engine <= made.isolated
    assert len(made.engine) == min(engine_cores, cores)
    assert made.queues == (queues if queues is not None else made.queues) >= 1
    assert made == plan(topology, wishes)


@given(topologies, st.frozensets(st.integers(0, 40), max_size=12))
def test_a_named_set_is_taken_as_it_is_or_refused_for_a_reason(topology: Topology, cpus: frozenset[int]) -> None:
    """The refusal is computed here once more, core by core: an unknown CPU, CPU 0, all of them, or half a core."""
    half = any(0 < len(siblings & cpus) < len(siblings) for siblings in topology.siblings.values())
    bad = bool(cpus - topology.cpus) or 0 in cpus or cpus == topology.cpus or half
    if bad:
        with pytest.raises(PlanError, match="isolated CPUs"):
            plan(topology, Wishes(isolated=cpus))
    else:
        assert plan(topology, Wishes(isolated=cpus)).isolated == cpus


@given(topologies, st.integers(0, 3000), st.integers(0, 6))
def test_huge_pages_stay_within_a_node(topology: Topology, small: int, large: int) -> None:
    """They lie on one node, the engine's, and leave a tenth of it; more is refused."""
    fits = small * 2048 + large * GIB <= 4 * GIB * 0.9
    wishes = Wishes(huge_pages={2048: small, GIB: large})
    if fits:
        made = plan(topology, wishes)
        assert sum(made.huge_pages[2048].values()) == small
        assert sum(made.huge_pages[GIB].values()) == large
        assert set(made.huge_pages[2048]) == set(topology.nodes)
    else:
        with pytest.raises(PlanError, match="has to keep 10 %"):
            plan(topology, wishes)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        (Wishes(isolated=frozenset({0, 8})), "CPU 0 cannot be isolated"),
        (Wishes(isolated=frozenset({99})), "this host has no CPU 99, only 0-15"),
        (Wishes(isolated=frozenset({2})), "CPU 2 shares its core with CPU 10"),
        (Wishes(isolated_cores=8), "at most 7"),
        (Wishes(isolated=frozenset({2, 10}), engine=frozenset({3})), "CPU 3 is not isolated, only 2,10"),
        (Wishes(isolated=frozenset({2, 10}), interrupts=frozenset({2})), "must be some of the housekeeping CPUs"),
        (Wishes(queues=0), "it needs at least 1"),
        (Wishes(queues=17), "no more than the host has CPUs, 16"),
        (Wishes(huge_pages={4: 1}), "no pages of 4 KiB, only of 2048, 1048576"),
        (Wishes(huge_pages={2048: {7: 1}}), "no node 7, only 0"),
        (Wishes(huge_pages={2048: -1}), "is no count"),
        (Wishes(huge_pages={GIB: {0: 4}}), "4096 MiB on node 0, which has 4096 MiB"),
    ],
)
def test_a_wish_that_does_not_fit_is_refused_by_one_line(wishes: Wishes, why: str) -> None:
    """The line names the wish, what is wrong, and what would fit."""
    with pytest.raises(PlanError) as caught:
        plan(built((1, 8, 2)), wishes)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_cpus_cannot_be_isolated() -> None:
    """Not even on a host whose CPU 0 is offline."""
    topology = Topology({1: frozenset({1}), 2: frozenset({2})}, {0: Node(frozenset({1, 2}), GIB)})
    with pytest.raises(PlanError, match="leaves none to everything else"):
        plan(topology, Wishes(isolated=frozenset({1, 2})))


def test_a_two_socket_host_keeps_the_engine_beside_its_adapter() -> None:
    """36 cores as a c5n.metal has them, adapter on node 1: engine, interrupts and pages are all there."""
    made = plan(built((2, 18, 2), interface_node=1, queues=32), Wishes(isolated_cores=4, huge_pages={2048: 512}))
    assert values.as_cpu_list(made.isolated) == "32-35,68-71"
    assert made.engine == {32}
    assert made.interrupts == (18, 19, 20, 21)
    assert made.huge_pages == {2048: {0: 0, 1: 512}}
    assert made.lines()[:3] == ["housekeeping: 0-31,36-67", "isolated: 32-35,68-71", "engine: 32"]
    assert "interrupts: eth0 management: 0-31,36-67" in made.lines()


def test_two_plans_differ_in_the_lines_that_differ() -> None:
    """A wish overrides one thing and leaves the others."""
    topology = built((1, 8, 1))
    before = plan(topology, Wishes(isolated_cores=2)).lines()
    after = plan(topology, Wishes(isolated_cores=2, queues=1, interrupts=frozenset({0}))).lines()
    changed = [line for line in after if line not in before]
    assert changed == ["queues: 1", "interrupts: eth0 queue 0: 0"]


def test_the_topology_is_read_from_a_host(tmp_path: Path) -> None:
    """Two nodes, threads, an offline CPU, and an adapter that says where it is."""
    files = {
        "sys/devices/system/cpu/online": "0-2,4-7",
        "sys/devices/system/node/online": "0-1",
        "sys/devices/system/node/node0/cpulist": "0-1,4-5",
        "sys/devices/system/node/node1/cpulist": "2-3,6-7",
        "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       4194304 kB\n",
        "sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:       2097152 kB\n",
        "sys/class/net/eth0/device/numa_node": "1\n",
        "sys/class/net/eth0/queues/rx-0/rps_cpus": "0",
        "sys/class/net/eth0/queues/rx-1/rps_cpus": "0",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "0",
    }
    for cpu in range(8):
        files[f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"] = f"{cpu % 4},{cpu % 4 + 4}"
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    topology = discover(Host(str(tmp_path)), "eth0")
    assert topology.siblings[1] == {1, 5}
    assert topology.siblings[7] == {7}  # its sibling is offline
    assert topology.nodes[1] == Node(frozenset({2, 6, 7}), 2097152)
    assert (topology.interface_node, topology.queues, topology.page_sizes) == (1, 2, {2048})


def virtio(root: Path, node: str | None = "1\n") -> Host:
    """A host whose adapter is a virtio device: the PCI device above it has the node, and it has none of its own."""
    above = root / "sys/devices/pci0000:40/0000:41:00.0"
    (above / "virtio2/net/enp65s0").mkdir(parents=True)
    (above / "virtio2/net/enp65s0/device").symlink_to("../..")
    (root / "sys/class/net").mkdir(parents=True)
    link = root / "sys/class/net/enp65s0"
    link.symlink_to("../../devices/pci0000:40/0000:41:00.0/virtio2/net/enp65s0")
    if node is not None:
        (above / "numa_node").write_text(node)
    (root / "sys/devices/system/cpu").mkdir(parents=True)
    (root / "sys/devices/system/cpu/online").write_text("0-3\n")
    return Host(str(root))


def test_a_virtio_adapter_has_the_node_of_the_device_above_it(tmp_path: Path) -> None:
    host = virtio(tmp_path)
    assert node_of_interface(host, "enp65s0") == 1
    assert discover(host, "enp65s0").interface_node == 1


def test_an_adapter_that_does_not_say_its_node_is_on_none(tmp_path: Path) -> None:
    assert discover(virtio(tmp_path / "a", "-1\n"), "enp65s0").interface_node == -1
    silent, odd = virtio(tmp_path / "b", None), virtio(tmp_path / "c", "one\n")
    assert discover(silent, "enp65s0").interface_node == discover(odd, "enp65s0").interface_node == -1
    with pytest.raises(AbsentError, match="numa_node"):
        node_of_interface(silent, "enp65s0")
    with pytest.raises(UnreadableError, match="'one' is no node"):
        node_of_interface(odd, "enp65s0")
