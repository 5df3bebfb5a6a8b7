# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CPU does what, as a pure function of a host's topology and a few wishes.

Housekeeping CPUs run everything but the engine, isolated ones the engine alone. Interrupts of the adapter arrive on
housekeeping CPUs of the adapter's node, its management interrupt on any of them. Cores are never split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import values
from .topology import Topology

MOST_QUEUES = 4
"""One core takes the interrupts of a queue; more of them than a venue's sessions need are cores lost."""
LEFT_TO_OTHERS = 10
"""Per cent of a node's memory that huge pages leave alone."""


class PlanError(ValueError):
    """A wish does not fit the host; one line that names the wish, what is wrong, and what would fit."""


@dataclass(frozen=True)
class Wishes:
    """What a plan is asked for; whatever is left out follows from the topology."""

    isolated: frozenset[int] | None = None
    """These CPUs and no others."""
    isolated_cores: int = 0
    """So many whole cores, where no CPUs are named."""
    engine: frozenset[int] | None = None
    """The CPUs that the engine's threads are pinned to."""
    engine_cores: int = 1
    interrupts: frozenset[int] | None = None
    """The CPUs that the adapter's queues interrupt."""
    queues: int | None = None
    huge_pages: Mapping[int, int | Mapping[int, int]] = field(default_factory=dict)
    """By size in KiB: how many on the engine's node, or for each node how many."""


@dataclass(frozen=True)
class Plan:
    """Who has which CPU, and how much memory is set aside."""

    housekeeping: frozenset[int]
    isolated: frozenset[int]
    engine: frozenset[int]
    interface: str | None
    interface_node: int
    interrupts: tuple[int, ...]
    """The CPU of each queue, in order."""
    management: frozenset[int]
    huge_pages: dict[int, dict[int, int]]
    """By size in KiB and node."""

    @property
    def queues(self) -> int:
        """How many queues the adapter gets."""
        return len(self.interrupts)

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as a report shows it and a file keeps it."""
        interrupts = {f"{self.interface} queue {queue}": str(cpu) for queue, cpu in enumerate(self.interrupts)}
        if self.interface:
            interrupts[f"{self.interface} management"] = values.as_cpu_list(self.management)
        return {
            "housekeeping": values.as_cpu_list(self.housekeeping),
            "isolated": values.as_cpu_list(self.isolated),
            "engine": values.as_cpu_list(self.engine),
            "interface": self.interface,
            "interface_node": self.interface_node,
            "queues": self.queues,
            "interrupts": interrupts,
            "huge_pages": {
                str(size): {str(node): count for node, count in nodes.items()}
                for size, nodes in self.huge_pages.items()
            },
        }

    def lines(self) -> list[str]:
        """Print it, a fact a line, so that two plans can be compared by any diff."""
        return [f"{name}: {'none' if value in ('', None) else value}" for name, value in _flat(self.as_dict())]


def plan(topology: Topology, wishes: Wishes) -> Plan:
    """Make the plan.

    Raises:
        PlanError: a wish does not fit the host.

    """
    isolated = _chosen_isolated(topology, wishes)
    housekeeping = topology.cpus - isolated
    engine = _engine(topology, wishes, isolated)
    interrupts = _interrupts(topology, wishes, housekeeping)
    return Plan(
        housekeeping,
        isolated,
        engine,
        topology.interface,
        topology.interface_node,
        interrupts,
        housekeeping,
        _huge_pages(topology, wishes, engine),
    )


def _chosen_isolated(topology: Topology, wishes: Wishes) -> frozenset[int]:
    if wishes.isolated is None:
        return _isolated_cores(topology, wishes.isolated_cores)
    what = "isolated CPUs"
    isolated = _known(what, wishes.isolated, topology)
    if 0 in isolated:
        raise PlanError(f"{what}: CPU 0 cannot be isolated, the kernel's own work needs it: start at a higher one")
    if isolated and isolated == topology.cpus:
        raise PlanError(f"{what}: all CPUs of the host, which leaves none to everything else: leave at least one core")
    for cpu in sorted(isolated):
        split = topology.siblings[cpu] - isolated
        if split:
            raise PlanError(
                f"{what}: CPU {cpu} shares its core with CPU {values.as_cpu_list(split)}, which would stay "
                f"housekeeping: isolate both or neither, or switch multithreading off"
            )
    return isolated


def _isolated_cores(topology: Topology, count: int) -> frozenset[int]:
    """Take whole cores of the adapter's node from its end, then of the others; CPU 0's core is never one of them."""
    cores = {min(siblings): siblings for siblings in topology.siblings.values()}
    free = [first for first, siblings in cores.items() if 0 not in siblings]
    if count < 0 or (count and count >= len(cores)) or count > len(free):
        raise PlanError(
            f"isolated cores: {count} of {len(cores)}, and the core of CPU 0 has to stay: at most {len(free)}"
        )
    free.sort(key=lambda first: (topology.node_of(first) != max(topology.interface_node, 0), -first))
    return frozenset(cpu for first in free[:count] for cpu in cores[first])


def _engine(topology: Topology, wishes: Wishes, isolated: frozenset[int]) -> frozenset[int]:
    if wishes.engine is not None:
        named = _known("engine CPUs", wishes.engine, topology)
        outside = named - isolated
        if outside and isolated:
            raise PlanError(
                f"engine CPUs: CPU {values.as_cpu_list(outside)} is not isolated, only {values.as_cpu_list(isolated)}"
            )
        return named
    firsts = sorted(
        (cpu for cpu in isolated if cpu == min(topology.siblings[cpu])),
        key=lambda cpu: (topology.node_of(cpu) != max(topology.interface_node, 0), cpu),
    )
    return frozenset(firsts[: max(0, wishes.engine_cores)])


def _interrupts(topology: Topology, wishes: Wishes, housekeeping: frozenset[int]) -> tuple[int, ...]:
    """One CPU for each queue: on the adapter's node where that is known, a thread a core, CPU 0 last."""
    if topology.interface is None:
        return ()
    if wishes.interrupts is not None:
        named = _known("interrupt CPUs", wishes.interrupts, topology)
        outside = named - housekeeping
        if outside or not named:
            raise PlanError(
                f"interrupt CPUs: {values.shown(named)} must be some of the housekeeping CPUs "
                f"{values.as_cpu_list(housekeeping)}"
            )
        candidates = sorted(named)
    else:
        firsts = [cpu for cpu in housekeeping if cpu == min(topology.siblings[cpu])]
        near = [cpu for cpu in firsts if topology.node_of(cpu) == topology.interface_node]
        candidates = sorted(near or firsts, key=lambda cpu: (cpu == 0, cpu))
    count = wishes.queues if wishes.queues is not None else min(len(candidates), MOST_QUEUES, topology.queues or 1)
    if count < 1:
        raise PlanError(f"queues: {count} of {topology.interface}: it needs at least 1")
    cpus = len(topology.cpus)
    if count > cpus:
        raise PlanError(f"queues: {count} of {topology.interface}: no more than the host has CPUs, {cpus}")
    return tuple(candidates[queue % len(candidates)] for queue in range(count))


def _huge_pages(topology: Topology, wishes: Wishes, engine: frozenset[int]) -> dict[int, dict[int, int]]:
    home = topology.node_of(min(engine)) if engine else max(topology.interface_node, 0)
    home = home if home in topology.nodes else min(topology.nodes)
    found: dict[int, dict[int, int]] = {}
    taken = dict.fromkeys(topology.nodes, 0)
    for size, wish in sorted(wishes.huge_pages.items()):
        if size not in topology.page_sizes:
            known = ", ".join(str(each) for each in sorted(topology.page_sizes)) or "none"
            raise PlanError(f"huge pages: this kernel has no pages of {size} KiB, only of {known}")
        by_node = dict(wish) if isinstance(wish, Mapping) else {home: wish}
        for node, count in sorted(by_node.items()):
            if node not in topology.nodes:
                raise PlanError(f"huge pages: this host has no node {node}, only {_numbers(topology.nodes)}")
            if count < 0:
                raise PlanError(f"huge pages: {count} of {size} KiB on node {node} is no count")
            taken[node] += size * count
            if taken[node] * 100 > topology.nodes[node].memory_kib * (100 - LEFT_TO_OTHERS):
                raise PlanError(
                    f"huge pages: {taken[node] // 1024} MiB on node {node}, which has "
                    f"{topology.nodes[node].memory_kib // 1024} MiB and has to keep {LEFT_TO_OTHERS} % of them"
                )
        found[size] = {node: by_node.get(node, 0) for node in sorted(topology.nodes)}
    return found


def _known(what: str, cpus: frozenset[int], topology: Topology) -> frozenset[int]:
    """Return the CPUs that are there: a second thread that multithreading's end has taken offline is one by name."""
    missing = cpus - topology.cpus - topology.switched_off
    if missing:
        raise PlanError(
            f"{what}: this host has no CPU {values.as_cpu_list(missing)}, only {values.as_cpu_list(topology.cpus)}"
        )
    if cpus and cpus <= topology.switched_off:
        raise PlanError(f"{what}: {values.as_cpu_list(cpus)} are second threads, which are off: name the first ones")
    return cpus - topology.switched_off


def _numbers(nodes: Mapping[int, Any]) -> str:
    return values.as_cpu_list(nodes)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        found += _flat(value, f"{prefix}{name}: ") if isinstance(value, Mapping) else [(prefix + name, value)]
    return found
