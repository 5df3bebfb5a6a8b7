# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU: who runs where, how deep an idle core sleeps, and how fast a busy one runs."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import (
    Between,
    Computed,
    Cpus,
    File,
    Machine,
    OneOf,
    Parameter,
    Tunable,
    exactly,
    hidden_by_hypervisor,
    isolates,
    metal,
    not_in_kernel,
    parsed,
    x86,
)
from ..host import AbsentError

CPU_PATH = "/sys/devices/system/cpu"
MITIGATIONS = OneOf(("kept", None))
NO_CPUFREQ = hidden_by_hypervisor("the hypervisor owns the clock frequency")


def enabled_idle_latency(machine: Machine) -> dict[str, Any]:
    """Return for each CPU the exit latency, in µs, of the deepest idle state that it may enter."""
    found: dict[str, int] = {}
    for path in machine.host.matching(f"{CPU_PATH}/cpu[0-9]*/cpuidle/state[0-9]*/latency"):
        state = path.removesuffix("/latency")
        if parsed(values.number, machine.host.read(f"{state}/disable"), state):
            continue
        cpu = state.partition("/cpuidle")[0]
        found[cpu] = max(found.get(cpu, 0), parsed(values.number, machine.host.read(path), path))
    if not found:
        raise AbsentError(f"{CPU_PATH}/cpu*/cpuidle")
    return found


def isolcpus_flags(text: str) -> str:
    """Return the flags of ``isolcpus=managed_irq,domain,2-7``; a bare list means ``domain``."""
    flags = sorted(part for part in text.split(",") if part.isidentifier())
    return " ".join(flags) or "domain"


def mitigations(text: str) -> str:
    """Tell whether ``mitigations=auto,nosmt`` and the like leave them on."""
    return "switched off" if "off" in text.split(",") else "kept"


CPU: tuple[Tunable, ...] = (
    Tunable(
        "cpu.smt",
        "Simultaneous multithreading is off",
        File(f"{CPU_PATH}/smt/active", values.number),
        exactly(0),
        "high",
        "A sibling thread shares the core's caches and execution units, so its work shows up as jitter.",
        "EC2: CPU options; tuned",
        absence=not_in_kernel("this kernel has no control of multithreading"),
    ),
    Tunable(
        "cpu.offline",
        "No CPU is offline",
        File(f"{CPU_PATH}/offline", values.cpu_list),
        exactly(frozenset()),
        "medium",
        "A CPU that was taken offline at run time moved its interrupts to others, past every plan.",
        "kernel: cpu hotplug",
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
    ),
    Tunable(
        "cpu.isolation_flags",
        "Isolation covers scheduling domains and managed interrupts",
        Parameter("isolcpus", isolcpus_flags),
        OneOf(("domain managed_irq", "domain managed_irq nohz")),
        "high",
        "Without managed_irq the queues of NVMe disks still interrupt isolated cores, and refuse to be moved.",
        "kernel: isolcpus; tuned: realtime",
        needs=(isolates,),
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
    ),
    Tunable(
        "cpu.rcu_nocbs",
        "RCU callbacks run elsewhere",
        Parameter("rcu_nocbs", values.cpu_list),
        Cpus("cover", "isolated"),
        "high",
        "RCU callbacks are deferred kernel work that otherwise runs on the core that caused it.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
    ),
    Tunable(
        "cpu.idle_latency",
        "No CPU may sleep deeply",
        Computed(f"{CPU_PATH}/cpu*/cpuidle/state*/{{latency,disable}}", enabled_idle_latency),
        Between(1, high=10, unit=" µs"),
        "high",
        "A core that slept in C6 takes up to 170 µs to answer an interrupt; C1 and C1E take less than 10.",
        "EC2: processor state control; BP",
        absence=hidden_by_hypervisor("the hypervisor owns the idle states"),
    ),
    Tunable(
        "cpu.governor",
        "The frequency governor is performance",
        File(f"{CPU_PATH}/cpu[0-9]*/cpufreq/scaling_governor"),
        exactly("performance"),
        "high",
        "Any other governor lowers the frequency between bursts, and a P-state change takes tens of µs.",
        "tuned: latency-performance; EC2",
        absence=NO_CPUFREQ,
    ),
    Tunable(
        "cpu.frequency_floor",
        "The lowest frequency is the highest",
        File(f"{CPU_PATH}/intel_pstate/min_perf_pct", values.number),
        exactly(100),
        "medium",
        "A floor of 100 % leaves the frequency no room to move.",
        "tuned: latency-performance",
        needs=(metal, x86),
        absence=not_in_kernel("intel_pstate does not drive this CPU"),
    ),
    Tunable(
        "cpu.energy_bias",
        "The energy bias is performance",
        File(f"{CPU_PATH}/cpu[0-9]*/power/energy_perf_bias", values.number),
        exactly(0),
        "medium",
        "The bias tells the core's own power control which way to err.",
        "tuned: latency-performance",
        needs=(metal, x86),
        absence=not_in_kernel("this CPU has no energy bias"),
    ),
    Tunable(
        "cpu.corrected_errors",
        "Corrected machine checks are not polled",
        File("/sys/devices/system/machinecheck/machinecheck[0-9]*/ignore_ce", values.number),
        exactly(1),
        "low",
        "Polling for corrected memory errors is a timer on every core; the platform reports them by itself.",
        "tuned: cpu-partitioning",
        needs=(metal, x86),
        absence=not_in_kernel("this kernel has no machine check control"),
    ),
    Tunable(
        "cpu.mitigations",
        "Mitigations of CPU flaws are as the distribution set them",
        Parameter("mitigations", mitigations),
        MITIGATIONS,
        "medium",
        "Turning them off is a decision about security that belongs in a waiver with an owner, not in a tuning "
        "profile.",
        "kernel: hw-vuln",
    ),
)
