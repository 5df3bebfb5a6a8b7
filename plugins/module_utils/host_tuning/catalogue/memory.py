# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: that nothing moves, merges, scans or writes pages while an order is on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import values
from ..check import (
    Between,
    Computed,
    FromFacts,
    Machine,
    OneOf,
    Tunable,
    exactly,
    parsed,
)
from ..conditions import (
    hidden_by_hypervisor,
    not_in_kernel,
    plans_gigantic_pages,
    plans_huge_pages,
    several_nodes,
)
from ..facts import Facts
from ..host import AbsentError, UnreadableError
from ..settings import Advice, HugePages, Sysctl
from ..shorthand import parameter, sysctl, sysfs

VM = "/proc/sys/vm"
HUGE = "/sys/kernel/mm/transparent_hugepage"
NO_THP = not_in_kernel("this kernel is built without transparent huge pages")
HUGE_KIB, GIGANTIC_KIB = 2048, 1048576


def swap_areas(machine: Machine) -> dict[str, Any]:
    """Return how many swap areas are in use; the first line is the heading."""
    lines = machine.host.read("/proc/swaps").splitlines()
    if not lines or not lines[0].startswith("Filename"):
        raise UnreadableError("/proc/swaps: not in the known form")
    return {"/proc/swaps": len(lines) - 1}


def total_kib(machine: Machine) -> int:
    """Return the size of the memory."""
    if not machine.facts.memory_kib:
        raise UnreadableError("/proc/meminfo: no MemTotal")
    return machine.facts.memory_kib


def reserve_percent(machine: Machine) -> dict[str, Any]:
    """Return the reserve for atomic allocations in per cent of the memory."""
    reserve = parsed(values.number, machine.host.read(f"{VM}/min_free_kbytes"), "min_free_kbytes")
    return {f"{VM}/min_free_kbytes": 100 * reserve / total_kib(machine)}


def reserve_kib(percent: Any, facts: Facts) -> str:
    """Spell per cent of the memory in KiB."""
    return str(int(facts.memory_kib * percent / 100))


def percent_of_memory(text: str, machine: Machine) -> float:
    """Read KiB as per cent of the memory."""
    return 100 * values.number(text) / total_kib(machine)


def dirty_percent(which: str) -> Callable[[Machine], dict[str, Any]]:
    """Return a reader of the share of dirty memory of ``vm.WHICH_{bytes,ratio}``: the kernel keeps the last set one."""

    def read(machine: Machine) -> dict[str, Any]:
        size = parsed(values.number, machine.host.read(f"{VM}/{which}_bytes"), f"{which}_bytes")
        if size:
            return {f"{VM}/{which}_bytes": 100 * size / (total_kib(machine) * 1024)}
        ratio = parsed(values.number, machine.host.read(f"{VM}/{which}_ratio"), f"{which}_ratio")
        return {f"{VM}/{which}_ratio": float(ratio)}

    return read


def whole_percent(value: Any, _facts: Facts) -> str:
    """Spell per cent as the kernel's ratios are."""
    return str(int(value))


def pages(size_kib: int) -> Callable[[Machine], dict[str, Any]]:
    """Return a reader of the pages of a size that the kernel really gave, over all nodes."""
    name = f"hugepages/hugepages-{size_kib}kB/nr_hugepages"

    def read(machine: Machine) -> dict[str, Any]:
        pattern = f"/sys/devices/system/node/node[0-9]*/{name}"
        paths = machine.host.matching(pattern) or machine.host.matching(f"/sys/kernel/mm/{name}")
        if not paths:
            raise AbsentError(pattern)
        return {pattern: sum(parsed(values.number, machine.host.read(path), path) for path in paths)}

    return read


def asked_pages(text: str) -> int:
    """Read how many pages were asked for: ``1024``, or ``0:512,1:512`` by nodes."""
    return sum(values.number(part.rpartition(":")[2]) for part in text.split(","))


MEMORY: tuple[Tunable, ...] = (
    sysfs(
        "memory.thp",
        "Transparent huge pages are not made",
        f"{HUGE}/enabled",
        FromFacts(lambda facts: "madvise" if facts.architecture == "aarch64" else "never"),
        "high",
        "Making one zeroes and moves 2 MiB in the middle of a page fault.",
        "tuned: network-latency; AWS Graviton guide",
        values.choice,
        absence=NO_THP,
        risk="A program with a large heap and no huge pages of its own misses the TLB more often.",
    ),
    parameter(
        "memory.thp_boot",
        "They are off from the kernel's start",
        "transparent_hugepage",
        FromFacts(lambda facts: "madvise" if facts.architecture == "aarch64" else "never"),
        "low",
        "Until a file is written at the boot, the first services get what the kernel's default gives.",
        "tuned: network-latency",
        values.word,
        absence=NO_THP,
        risk="As of the live value.",
        confidence=0.9,
    ),
    sysfs(
        "memory.thp_defrag",
        "A page fault does not compact memory",
        f"{HUGE}/defrag",
        OneOf(("never", "madvise")),
        "high",
        "Compaction in a page fault stalls the thread for 100 µs to a millisecond.",
        "kernel: transhuge; T2T",
        values.choice,
        absence=NO_THP,
        risk="Fewer huge pages for who asks for them.",
        default="madvise",
    ),
    sysfs(
        "memory.khugepaged",
        "khugepaged does not compact memory",
        f"{HUGE}/khugepaged/defrag",
        exactly(0),
        "medium",
        "It takes locks of the process whose pages it collapses.",
        "kernel: transhuge",
        absence=NO_THP,
        risk="Small pages stay small.",
    ),
    sysfs(
        "memory.thp_shared",
        "Shared memory has huge pages only where it is asked for",
        f"{HUGE}/shmem_enabled",
        OneOf(("never", "advise", "deny")),
        "low",
        "A shared segment would be moved and zeroed as private memory is.",
        "kernel: transhuge",
        values.choice,
        absence=NO_THP,
        risk="None.",
        default="never",
    ),
    sysfs(
        "memory.ksm",
        "Equal pages are not merged",
        "/sys/kernel/mm/ksm/run",
        OneOf((0, 2)),
        "high",
        "The scanner burns a core, and a write to a merged page faults.",
        "tuned: cpu-partitioning",
        absence=not_in_kernel("this kernel is built without page merging"),
        risk="Equal pages take memory twice.",
        default=0,
    ),
    Tunable(
        "memory.swap",
        "There is no swap",
        Computed("/proc/swaps", swap_areas),
        exactly(0),
        "critical",
        "A swapped page comes back in milliseconds.",
        "tuned: latency-performance; T2T",
        risk="Memory that runs out kills a process instead of slowing all.",
        setting=Advice("swapoff -a, and no line of swap in /etc/fstab"),
    ),
    sysctl(
        "memory.swappiness",
        "Pages of programs are kept",
        "vm.swappiness",
        Between(0, low=0, high=10),
        "medium",
        "It also steers how readily a program's pages are reclaimed where there is swap.",
        "tuned: latency-performance; T2T",
        risk="None without swap.",
    ),
    sysctl(
        "memory.compaction",
        "Memory is not compacted in advance",
        "vm.compaction_proactiveness",
        exactly(0),
        "medium",
        "Background compaction moves pages under a running program, and interrupts other CPUs to flush their TLBs.",
        "kernel: sysctl/vm; T2T",
        absence=not_in_kernel("this kernel has no proactive compaction"),
        risk="A large allocation may have to compact by itself.",
    ),
    sysctl(
        "memory.locked_pages",
        "Locked pages are not moved",
        "vm.compact_unevictable_allowed",
        exactly(0),
        "medium",
        "mlock keeps a page in memory, and only this keeps it in its place.",
        "kernel: sysctl/vm; T2T",
        absence=not_in_kernel("this kernel is built without compaction"),
        risk="Memory stays in pieces where locked pages are.",
    ),
    sysctl(
        "memory.zone_reclaim",
        "A node takes memory from another one before it reclaims",
        "vm.zone_reclaim_mode",
        exactly(0),
        "medium",
        "Reclaiming inside an allocation takes longer than the access to the other node.",
        "kernel: sysctl/vm; T2T",
        absence=not_in_kernel("this kernel is built without NUMA"),
        risk="None.",
        default=0,
    ),
    sysctl(
        "memory.numa_balancing",
        "Pages are not moved between nodes",
        "kernel.numa_balancing",
        exactly(0),
        "high",
        "It unmaps pages on purpose, to learn from the faults who uses them.",
        "tuned: network-latency",
        needs=(several_nodes,),
        absence=not_in_kernel("this kernel is built without NUMA balancing"),
        risk="Memory stays where it was first touched, so that places have to be chosen.",
    ),
    Tunable(
        "memory.reserve",
        "Interrupts find free memory",
        Computed(f"{VM}/min_free_kbytes", reserve_percent),
        Between(1.0, low=0.9, high=4.0, unit=" % of memory"),
        "medium",
        "A driver allocates in an interrupt and cannot wait; 1 to 3 % survive a burst.",
        "BP",
        risk="That much memory is for nobody else.",
        setting=Sysctl("vm.min_free_kbytes", reserve_kib),
        persists=percent_of_memory,
    ),
    Tunable(
        "memory.writeback",
        "Dirty pages are written early",
        Computed(f"{VM}/dirty_background_{{bytes,ratio}}", dirty_percent("dirty_background"), float),
        Between(3.0, low=0.0, high=3.0, unit=" % of memory"),
        "low",
        "Little and often: a late start writes gigabytes at once, and the journal's own write waits behind them.",
        "tuned: latency-performance",
        risk="What is written twice within seconds goes to the disk twice.",
        setting=Sysctl("vm.dirty_background_ratio", whole_percent),
    ),
    Tunable(
        "memory.dirty_limit",
        "A writer is stopped before the memory is full of dirty pages",
        Computed(f"{VM}/dirty_{{bytes,ratio}}", dirty_percent("dirty"), float),
        Between(10.0, low=1.0, high=15.0, unit=" % of memory"),
        "low",
        "Above the limit every write waits for the disk, and the more there is the longer.",
        "tuned: latency-performance",
        risk="A writer of gigabytes is stopped earlier.",
        setting=Sysctl("vm.dirty_ratio", whole_percent),
    ),
    sysctl(
        "memory.statistics",
        "Memory statistics are folded rarely",
        "vm.stat_interval",
        Between(10, low=10, unit=" s"),
        "medium",
        "Each interval wakes a kernel worker on every CPU.",
        "tuned: network-latency; LLTune",
        risk="Counters of memory are seconds old.",
    ),
    sysctl(
        "memory.laptop_mode",
        "The disk is not waited for",
        "vm.laptop_mode",
        exactly(0),
        "low",
        "Set, it delays writes until the disk is up for another reason.",
        "kernel: sysctl/vm",
        risk="None on a server.",
        default=0,
    ),
    Tunable(
        "memory.huge_pages",
        "The planned huge pages are there",
        Computed(
            f"/sys/devices/system/node/node*/hugepages/hugepages-{HUGE_KIB}kB/nr_hugepages",
            pages(HUGE_KIB),
            asked_pages,
        ),
        FromFacts(lambda facts: facts.huge_pages, "at_least"),
        "high",
        "The kernel gives fewer than it was asked for without an error.",
        "kernel: hugetlbpage; OpenShift node tuning",
        needs=(plans_huge_pages,),
        absence=hidden_by_hypervisor("this kernel has no 2 MiB pages"),
        risk="That memory is for nobody else.",
        setting=HugePages(HUGE_KIB),
    ),
    Tunable(
        "memory.gigantic_pages",
        "The planned pages of 1 GiB are there",
        Computed(
            f"/sys/devices/system/node/node*/hugepages/hugepages-{GIGANTIC_KIB}kB/nr_hugepages",
            pages(GIGANTIC_KIB),
            asked_pages,
        ),
        FromFacts(lambda facts: facts.gigantic_pages, "at_least"),
        "high",
        "A whole GiB in one piece is there only at the boot, and too small a node gets none without an error.",
        "kernel: hugetlbpage; OpenShift node tuning",
        needs=(plans_gigantic_pages,),
        absence=hidden_by_hypervisor("this CPU has no pages of 1 GiB"),
        risk="That memory is for nobody else.",
        setting=HugePages(GIGANTIC_KIB),
    ),
)
