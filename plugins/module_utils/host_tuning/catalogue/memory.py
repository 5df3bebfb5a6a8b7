# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: that nothing moves, merges, scans or writes pages while an order is on its way."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import (
    Between,
    Computed,
    File,
    FromFacts,
    Machine,
    OneOf,
    Tunable,
    exactly,
    hidden_by_hypervisor,
    not_in_kernel,
    parsed,
    plans_huge_pages,
    several_nodes,
)
from ..host import AbsentError, UnreadableError

VM = "/proc/sys/vm"
HUGE = "/sys/kernel/mm/transparent_hugepage"
NO_THP = not_in_kernel("this kernel is built without transparent huge pages")


def swap_areas(machine: Machine) -> dict[str, Any]:
    """Return how many swap areas are in use; the first line is the heading."""
    lines = machine.host.read("/proc/swaps").splitlines()
    if not lines or not lines[0].startswith("Filename"):
        raise UnreadableError("/proc/swaps: not in the known form")
    return {"/proc/swaps": len(lines) - 1}


def reserve_percent(machine: Machine) -> dict[str, Any]:
    """Return the reserve for atomic allocations in per cent of the memory."""
    if not machine.facts.memory_kib:
        raise UnreadableError("/proc/meminfo: no MemTotal")
    reserve = parsed(values.number, machine.host.read(f"{VM}/min_free_kbytes"), "min_free_kbytes")
    return {f"{VM}/min_free_kbytes": 100 * reserve / machine.facts.memory_kib}


def background_percent(machine: Machine) -> dict[str, Any]:
    """Return the share of dirty memory at which writing back begins; the kernel keeps the last of two settings."""
    size = parsed(values.number, machine.host.read(f"{VM}/dirty_background_bytes"), "dirty_background_bytes")
    if size:
        if not machine.facts.memory_kib:
            raise UnreadableError("/proc/meminfo: no MemTotal")
        return {f"{VM}/dirty_background_bytes": 100 * size / (machine.facts.memory_kib * 1024)}
    ratio = parsed(values.number, machine.host.read(f"{VM}/dirty_background_ratio"), "dirty_background_ratio")
    return {f"{VM}/dirty_background_ratio": float(ratio)}


def huge_pages(machine: Machine) -> dict[str, Any]:
    """Return the 2 MiB pages that the kernel really gave, over all nodes."""
    pattern = "/sys/devices/system/node/node[0-9]*/hugepages/hugepages-2048kB/nr_hugepages"
    paths = machine.host.matching(pattern) or machine.host.matching(
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
    )
    if not paths:
        raise AbsentError(pattern)
    return {pattern: sum(parsed(values.number, machine.host.read(path), path) for path in paths)}


MEMORY: tuple[Tunable, ...] = (
    Tunable(
        "memory.thp",
        "Transparent huge pages are not made",
        File(f"{HUGE}/enabled", values.choice),
        FromFacts(lambda facts: "madvise" if facts.architecture == "aarch64" else "never"),
        "high",
        "Making one zeroes and moves 2 MiB in the middle of a page fault.",
        "tuned: network-latency; AWS Graviton guide",
        absence=NO_THP,
    ),
    Tunable(
        "memory.thp_defrag",
        "A page fault does not compact memory",
        File(f"{HUGE}/defrag", values.choice),
        OneOf(("never", "madvise")),
        "high",
        "Compaction in a page fault stalls the thread for 100 µs to a millisecond.",
        "kernel: transhuge",
        absence=NO_THP,
    ),
    Tunable(
        "memory.khugepaged",
        "khugepaged does not compact memory",
        File(f"{HUGE}/khugepaged/defrag", values.number),
        exactly(0),
        "medium",
        "It takes locks of the process whose pages it collapses.",
        "kernel: transhuge",
        absence=NO_THP,
    ),
    Tunable(
        "memory.ksm",
        "Equal pages are not merged",
        File("/sys/kernel/mm/ksm/run", values.number),
        OneOf((0, 2)),
        "high",
        "The scanner burns a core, and a write to a merged page faults.",
        "tuned: cpu-partitioning",
        absence=not_in_kernel("this kernel is built without page merging"),
    ),
    Tunable(
        "memory.swap",
        "There is no swap",
        Computed("/proc/swaps", swap_areas),
        exactly(0),
        "critical",
        "A swapped page comes back in milliseconds.",
        "tuned: latency-performance",
    ),
    Tunable(
        "memory.swappiness",
        "Pages of programs are kept",
        File(f"{VM}/swappiness", values.number),
        Between(0, low=0, high=10),
        "medium",
        "It also steers how readily a program's pages are reclaimed where there is swap.",
        "tuned: latency-performance",
    ),
    Tunable(
        "memory.compaction",
        "Memory is not compacted in advance",
        File(f"{VM}/compaction_proactiveness", values.number),
        exactly(0),
        "medium",
        "Background compaction moves pages under a running program, and interrupts other CPUs to flush their TLBs.",
        "kernel: sysctl/vm",
        absence=not_in_kernel("this kernel has no proactive compaction"),
    ),
    Tunable(
        "memory.locked_pages",
        "Locked pages are not moved",
        File(f"{VM}/compact_unevictable_allowed", values.number),
        exactly(0),
        "medium",
        "mlock keeps a page in memory, and only this keeps it in its place.",
        "kernel: sysctl/vm",
        absence=not_in_kernel("this kernel is built without compaction"),
    ),
    Tunable(
        "memory.zone_reclaim",
        "A node takes memory from another one before it reclaims",
        File(f"{VM}/zone_reclaim_mode", values.number),
        exactly(0),
        "medium",
        "Reclaiming inside an allocation takes longer than the access to the other node.",
        "kernel: sysctl/vm",
        absence=not_in_kernel("this kernel is built without NUMA"),
    ),
    Tunable(
        "memory.numa_balancing",
        "Pages are not moved between nodes",
        File("/proc/sys/kernel/numa_balancing", values.number),
        exactly(0),
        "high",
        "It unmaps pages on purpose, to learn from the faults who uses them.",
        "tuned: network-latency",
        needs=(several_nodes,),
        absence=not_in_kernel("this kernel is built without NUMA balancing"),
    ),
    Tunable(
        "memory.reserve",
        "Interrupts find free memory",
        Computed(f"{VM}/min_free_kbytes", reserve_percent),
        Between(1.0, low=0.9, high=4.0, unit=" % of memory"),
        "medium",
        "A driver allocates in an interrupt and cannot wait; 1 to 3 % survive a burst.",
        "BP",
    ),
    Tunable(
        "memory.writeback",
        "Dirty pages are written early",
        Computed(f"{VM}/dirty_background_{{bytes,ratio}}", background_percent),
        Between(3.0, low=0.0, high=3.0, unit=" % of memory"),
        "low",
        "Little and often: a late start writes gigabytes at once, and the journal's own write waits behind them.",
        "tuned: latency-performance",
    ),
    Tunable(
        "memory.statistics",
        "Memory statistics are folded rarely",
        File(f"{VM}/stat_interval", values.number),
        Between(10, low=10, unit=" s"),
        "medium",
        "Each interval wakes a kernel worker on every CPU.",
        "tuned: network-latency",
    ),
    Tunable(
        "memory.huge_pages",
        "The planned huge pages are there",
        Computed("/sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages", huge_pages),
        FromFacts(lambda facts: facts.huge_pages, "at_least"),
        "high",
        "The kernel gives fewer than it was asked for without an error.",
        "kernel: hugetlbpage",
        needs=(plans_huge_pages,),
        absence=hidden_by_hypervisor("this kernel has no 2 MiB pages"),
    ),
)
