# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU: who runs where, and what the kernel still does on the engine's cores."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import (
    Between,
    Computed,
    Cpus,
    File,
    Machine,
    NotApplicableError,
    OneOf,
    Parameter,
    Tunable,
    exactly,
    judged_interfaces,
    parsed,
)
from ..conditions import isolates, kernel_at_least, not_in_kernel, several_nodes
from ..facts import CPU_PATH, Facts, second_threads_off
from ..settings import Advice, KernelParameter
from ..shorthand import parameter, sysctl, sysfs
from ..topology import node_of_interface

PARTITIONS = ("/sys/fs/cgroup/*/cpuset.cpus.partition", "/sys/fs/cgroup/*/*/cpuset.cpus.partition")
MANY_HOUSEKEEPING = 4


def isolcpus(_value: Any, facts: Facts) -> str:
    """Spell the parameter: both flags, and the plan's CPUs."""
    return f"managed_irq,domain,{values.as_cpu_list(facts.isolated)}"


def isolcpus_flags(text: str) -> str:
    """Return the flags of ``isolcpus=managed_irq,domain,2-7``; a bare list means ``domain``."""
    flags = sorted(part for part in text.split(",") if part.isidentifier())
    return " ".join(flags) or "domain"


def isolcpus_cpus(text: str) -> frozenset[int]:
    """Return the CPUs of ``isolcpus=managed_irq,domain,2-7``."""
    return values.cpu_list(",".join(part for part in text.split(",") if not part.isidentifier()))


def mitigations(text: str) -> str:
    """Tell whether ``mitigations=auto,nosmt`` and the like leave them on."""
    return "switched off" if "off" in text.split(",") else "kept"


def present(text: str) -> str:
    """Read a parameter that is a bare word."""
    return text.strip() or "set"


def second_threads(machine: Machine) -> dict[str, Any]:
    """Return whether any core runs two threads; where there is no second one, nothing has to be switched off."""
    path = f"{CPU_PATH}/smt/active"
    return {path: parsed(values.number, machine.host.read(path), path)}


def taken_offline(machine: Machine) -> dict[str, Any]:
    """Return the CPUs that are offline, but for the second threads of cores where those are switched off."""
    path = f"{CPU_PATH}/offline"
    offline = parsed(values.cpu_list, machine.host.read(path), path)
    return {path: offline - second_threads_off(machine.host, machine.facts.cpus)}


def partitions(machine: Machine) -> dict[str, Any]:
    """Return the state of each partition of CPUs that some control group was made into."""
    found: dict[str, Any] = {}
    for pattern in PARTITIONS:
        for path in machine.host.matching(pattern):
            state = machine.host.read(path).strip()
            if state != "member":
                found[path] = "invalid" if "invalid" in state else "valid"
    if not found:
        raise NotApplicableError("no control group is a partition: isolcpus isolates at the boot")
    return found


def adapter_node(machine: Machine) -> dict[str, Any]:
    """Return whether the engine has a CPU on the adapter's node."""
    found = {}
    for interface in judged_interfaces(machine):
        node = node_of_interface(machine.host, interface.name)
        if node < 0:
            raise NotApplicableError("the adapter does not say which node it is on")
        path = f"/sys/devices/system/node/node{node}/cpulist"
        near = parsed(values.cpu_list, machine.host.read(path), path)
        found[interface.name] = "near" if near & machine.facts.isolated else f"none on node {node}"
    return found


def housekeeping_to_spare(facts: Facts) -> str | None:
    """Need housekeeping CPUs of which one may be lost to polling."""
    count = len(facts.housekeeping)
    return None if count >= MANY_HOUSEKEEPING else f"{count} housekeeping CPUs: a polling thread would take one of them"


CPU: tuple[Tunable, ...] = (
    Tunable(
        "cpu.smt",
        "Simultaneous multithreading is off",
        Computed(f"{CPU_PATH}/smt/active", second_threads, lambda _text: 0),
        exactly(0),
        "high",
        "A sibling thread shares the core's caches and execution units, so its work shows up as jitter.",
        "EC2: CPU options; tuned",
        absence=not_in_kernel("this kernel has no control of multithreading"),
        risk="Half of the hardware threads are gone; by CPU options they are gone before the kernel starts.",
        setting=KernelParameter("nosmt", lambda _value, _facts: ""),
        default=lambda machine: int(machine.host.read(f"{CPU_PATH}/smt/control").strip() in ("on", "off", "forceoff")),
    ),
    Tunable(
        "cpu.offline",
        "No CPU is offline but for second threads",
        Computed(f"{CPU_PATH}/offline", taken_offline),
        exactly(frozenset()),
        "medium",
        "A CPU that was taken offline at run time moved its interrupts to others, past every plan.",
        "kernel: cpu hotplug",
        risk="None.",
        setting=Advice("echo 1 > /sys/devices/system/cpu/cpuN/online for each of them, or boot without maxcpus="),
        confidence=0.8,
    ),
    Tunable(
        "cpu.isolated",
        "The engine's CPUs are taken from the scheduler",
        File(f"{CPU_PATH}/isolated", values.cpu_list),
        Cpus("equal", "isolated"),
        "critical",
        "Any other task that runs on the engine's core delays an order by a time slice.",
        "tuned: realtime; kernel: isolcpus",
        needs=(isolates,),
        risk="Threads that nobody pins all pile up on one CPU of the isolated ones, since nothing balances there.",
        setting=KernelParameter("isolcpus", isolcpus),
        persists=lambda text, _machine: isolcpus_cpus(text),
    ),
    parameter(
        "cpu.isolation_flags",
        "Isolation covers scheduling domains and managed interrupts",
        "isolcpus",
        OneOf(("domain managed_irq", "domain managed_irq nohz")),
        "high",
        "Without managed_irq the queues of NVMe disks still interrupt isolated cores, and refuse to be moved.",
        "kernel: isolcpus; tuned: realtime",
        isolcpus_flags,
        isolcpus,
        needs=(isolates,),
        risk="None beyond isolation itself.",
    ),
    Tunable(
        "cpu.nohz_full",
        "The engine's CPUs have no periodic tick",
        File(f"{CPU_PATH}/nohz_full", values.cpu_list),
        Cpus("equal", "isolated"),
        "high",
        "The tick interrupts a busy core 100 to 1000 times a second.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
        absence=not_in_kernel("this kernel is built without CONFIG_NO_HZ_FULL"),
        risk="Every system call of these CPUs takes longer, and a second runnable task brings the tick back.",
        setting=KernelParameter("nohz_full"),
    ),
    parameter(
        "cpu.rcu_nocbs",
        "RCU callbacks run elsewhere",
        "rcu_nocbs",
        Cpus("cover", "isolated"),
        "high",
        "RCU callbacks are deferred kernel work that otherwise runs on the core that caused it.",
        "tuned: cpu-partitioning",
        values.cpu_list,
        needs=(isolates,),
        risk="The housekeeping CPUs do the work of all.",
    ),
    parameter(
        "cpu.rcu_nocb_poll",
        "RCU's helpers poll and are not woken",
        "rcu_nocb_poll",
        exactly("set"),
        "low",
        "Waking a helper is an interrupt between processors that the engine's core has to send.",
        "tuned: cpu-partitioning",
        present,
        lambda _value, _facts: "",
        needs=(isolates, housekeeping_to_spare),
        risk="A thread on a housekeeping CPU wakes up all the time.",
    ),
    parameter(
        "cpu.rcu_normal",
        "RCU interrupts no CPU to hurry",
        "rcupdate.rcu_normal_after_boot",
        exactly(1),
        "medium",
        "An expedited grace period interrupts every CPU at once.",
        "tuned: network-latency",
        needs=(isolates,),
        risk="What waits for a grace period, such as the removal of an interface, waits longer.",
    ),
    parameter(
        "cpu.rcu_patience",
        "RCU waits before it asks a tickless CPU",
        "rcutree.nohz_full_patience_delay",
        Between(1000, low=100, unit=" ms"),
        "low",
        "A grace period that is patient ends by itself, without an interrupt on the engine's core.",
        "tuned: network-latency",
        needs=(isolates, kernel_at_least(6, 11)),
        risk="Memory that RCU frees is freed up to a second later.",
    ),
    sysfs(
        "cpu.fair_server",
        "No timer of the fair server runs on the engine's CPUs",
        "/sys/kernel/debug/sched/fair_server/cpu{isolated}/runtime",
        exactly(0),
        "medium",
        "The server's timer brings the tick back to a CPU without one, about a thousand interrupts a second.",
        "NVIDIA kernels: pull request 400",
        needs=(isolates, kernel_at_least(6, 8)),
        absence=not_in_kernel("this kernel does not show a fair server (debugfs)"),
        risk="A real-time thread that spins can starve every ordinary task of its CPU.",
    ),
    Tunable(
        "cpu.partition",
        "No partition of CPUs is invalid",
        Computed("/sys/fs/cgroup/*/cpuset.cpus.partition", partitions),
        exactly("valid"),
        "high",
        "A partition that became invalid isolates nothing any more, and says so only in this file.",
        "kernel: cgroup-v2 cpuset",
        needs=(isolates,),
        risk="None.",
        setting=Advice("read the reason behind the word in cpuset.cpus.partition, and write isolated again"),
    ),
    Tunable(
        "cpu.mitigations",
        "Mitigations of CPU flaws are as the distribution set them",
        Parameter("mitigations", mitigations),
        OneOf(("kept", None)),
        "medium",
        "Turning them off is a decision about security that belongs in a waiver with an owner.",
        "kernel: hw-vuln",
        risk="They cost system calls up to a quarter of their speed.",
        setting=Advice("remove mitigations=off from the kernel's parameters, or waive it with an owner and a date"),
        confidence=0.9,
    ),
    Tunable(
        "cpu.adapter_node",
        "The engine has CPUs on the adapter's node",
        Computed("/sys/class/net/{interface}/device/numa_node", adapter_node),
        exactly("near"),
        "high",
        "Each packet, its buffer and its doorbell would cross the link between the sockets.",
        "BP; T2T",
        needs=(several_nodes, isolates),
        risk="None.",
        setting=Advice(
            "a plan that isolates CPUs of the adapter's node: cat /sys/class/net/INTERFACE/device/numa_node"
        ),
    ),
    sysctl(
        "cpu.rt_throttling",
        "Real-time threads are not stopped",
        "kernel.sched_rt_runtime_us",
        OneOf((-1, 1000000)),
        "medium",
        "The default takes 50 ms of each second from a spinning real-time thread.",
        "tuned: realtime",
        needs=(isolates,),
        risk="A real-time thread that spins on a housekeeping CPU locks it up.",
    ),
    sysctl(
        "cpu.autogroup",
        "Tasks are not grouped by terminal",
        "kernel.sched_autogroup_enabled",
        exactly(0),
        "low",
        "Grouping gives the shares of a desktop, so that priorities hold only within a session.",
        "kernel: sched(7)",
        absence=not_in_kernel("this kernel is built without it"),
        risk="None on a server.",
    ),
    sysctl(
        "cpu.scheduler_statistics",
        "The scheduler keeps no statistics",
        "kernel.sched_schedstats",
        exactly(0),
        "low",
        "They are counted on every switch between tasks.",
        "kernel: sysctl/kernel",
        absence=not_in_kernel("this kernel is built without them"),
        risk="perf sched and latencytop show less.",
        default=0,
    ),
)
