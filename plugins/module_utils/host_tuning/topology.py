# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is made of, as far as a plan needs to know: cores and their threads, memory nodes, the adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import values
from .facts import gather, listed, second_threads_off
from .host import AbsentError, Host, UnreadableError

SYSTEM = "/sys/devices/system"


@dataclass(frozen=True)
class Node:
    """One NUMA node."""

    cpus: frozenset[int]
    memory_kib: int


@dataclass(frozen=True)
class Topology:
    """Threads by core, nodes by number, and the adapter's place."""

    siblings: dict[int, frozenset[int]]
    """For each CPU that is online, all threads of its core, itself among them."""
    nodes: dict[int, Node]
    interface: str | None = None
    interface_node: int = -1
    """-1 where the host does not say, as on a virtual machine."""
    queues: int | None = None
    """How many the adapter has now; None where the host does not say."""
    page_sizes: frozenset[int] = field(default_factory=frozenset)
    """The sizes of huge pages in KiB that the kernel knows."""
    switched_off: frozenset[int] = frozenset()
    """Second threads that exist and are offline, since multithreading is off."""

    @property
    def cpus(self) -> frozenset[int]:
        """All CPUs that are online."""
        return frozenset(self.siblings)

    def node_of(self, cpu: int) -> int:
        """Return the node of a CPU; 0 where none lists it."""
        return next((number for number, node in self.nodes.items() if cpu in node.cpus), 0)


def node_of_interface(host: Host, interface: str) -> int:
    """Return the node of an adapter, -1 where its device does not say. A virtio device is a child of the one that does.

    Raises:
        AbsentError: nothing says it, as for an interface without a device.
        UnreadableError: it is no number.

    """
    device = f"/sys/class/net/{interface}/device"
    path = next((path for path in (f"{device}/numa_node", f"{device}/../numa_node") if host.exists(path)), None)
    if path is None:
        raise AbsentError(f"{device}/numa_node")
    text = host.read(path).strip()
    if not re.fullmatch(r"-?\d+", text):
        raise UnreadableError(f"{path}: {text!r} is no node")
    return int(text)


def topology_of(host: Host, interfaces: Iterable[str] | None) -> Topology:
    """Read the topology of a host, seen from the first of its judged interfaces.

    Args:
        host: the host.
        interfaces: the interfaces to judge; None or none are those that lead out of the machine and are not down.

    Raises:
        ValueError: the host has no such interface; one line that names it.

    """
    found = gather(host, interfaces=list(interfaces or ()) or None).interfaces
    return discover(host, found[0].name if found else None)


def discover(host: Host, interface: str | None) -> Topology:
    """Read the topology of a host.

    Args:
        host: the host.
        interface: the adapter of the engine's traffic; None where there is none.

    Raises:
        ValueError: a file of the kernel is not in the known form.

    """
    online = listed(host, f"{SYSTEM}/cpu/online")
    if not online:
        raise ValueError(f"{SYSTEM}/cpu/online does not say which CPUs the host has: is half of it missing?")
    siblings = {}
    for cpu in online:
        text = _text(host, f"{SYSTEM}/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings[cpu] = values.cpu_list(text) & online | {cpu}
    total = re.search(r"MemTotal:\s*(\d+)", _text(host, "/proc/meminfo"))
    all_kib = int(total[1]) if total else 0
    nodes = {}
    numbers = listed(host, f"{SYSTEM}/node/online")
    for number in numbers:
        memory = re.search(r"MemTotal:\s*(\d+)", _text(host, f"{SYSTEM}/node/node{number}/meminfo"))
        cpus = values.cpu_list(_text(host, f"{SYSTEM}/node/node{number}/cpulist"))
        nodes[number] = Node(cpus & online, int(memory[1]) if memory else all_kib // len(numbers))
    if len(nodes) < 2 or not any(node.cpus for node in nodes.values()):
        nodes = {0: Node(online, all_kib)}
    kinds = host.names("/sys/kernel/mm/hugepages") or host.names(f"{SYSTEM}/node/node0/hugepages")
    sizes = [re.fullmatch(r"hugepages-(\d+)kB", name) for name in kinds]
    return Topology(
        siblings,
        nodes,
        interface,
        _node_or_none(host, interface) if interface else -1,
        len(host.matching(f"/sys/class/net/{interface}/queues/rx-*")) or None if interface else None,
        frozenset(int(size[1]) for size in sizes if size),
        second_threads_off(host, online),
    )


def _node_or_none(host: Host, interface: str) -> int:
    try:
        return node_of_interface(host, interface)
    except (AbsentError, UnreadableError):
        return -1


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path)
    except (AbsentError, UnreadableError):
        return ""
