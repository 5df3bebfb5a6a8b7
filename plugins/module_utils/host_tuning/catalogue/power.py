# SPDX-License-Identifier: GPL-3.0-or-later
"""Power: how deep an idle core sleeps, and how fast a busy one runs."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import Between, Computed, File, Machine, OneOf, Parameter, Tunable, exactly, parsed
from ..conditions import can, hidden_by_hypervisor, intel, isolates, metal, not_in_kernel, x86
from ..host import AbsentError
from ..settings import Advice, IdleStates, KernelParameter
from ..shorthand import parameter, sysfs

CPU_PATH = "/sys/devices/system/cpu"
UNCORE = f"{CPU_PATH}/intel_uncore_frequency"
SLOWEST_EXIT = 10
C_STATES = can("c_states", "idle states to choose from")
P_STATES = can("p_states", "frequency to choose")
NO_CPUIDLE = hidden_by_hypervisor("the hypervisor owns the idle states", "c_states")
NO_CPUFREQ = hidden_by_hypervisor("the hypervisor owns the clock frequency", "p_states")


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


def deepest_latency(machine: Machine) -> int:
    """Return the exit latency of the deepest state that the kernel knows, switched off or not."""
    paths = machine.host.matching(f"{CPU_PATH}/cpu0/cpuidle/state[0-9]*/latency")
    return max((parsed(values.number, machine.host.read(path), path) for path in paths), default=SLOWEST_EXIT + 1)


def allowed(text: str) -> Any:
    """Read the kernel's spelling of an allowed latency in µs, which is n/a for "none at all" and 0 for "any"."""
    number = values.number(text) if text.strip() != "n/a" else None
    return 0 if number is None else number or "any"


def uncore_range(machine: Machine) -> dict[str, Any]:
    """Return whether the uncore's frequency has room to move, package by package."""
    packages = machine.host.matching(f"{UNCORE}/package_*/min_freq_khz")
    if not packages:
        raise AbsentError(UNCORE)
    found = {}
    for low in packages:
        high = low.replace("/min_freq_khz", "/max_freq_khz")
        same = parsed(values.number, machine.host.read(low), low) >= parsed(
            values.number, machine.host.read(high), high
        )
        found[low] = "at the maximum" if same else "may sink"
    return found


class Latency(Between):
    """An allowed latency, of which "any" is above every bound."""

    def accepts(self, value: Any, facts: Any) -> bool:
        """Judge a value."""
        return value != "any" and super().accepts(value, facts)


POWER: tuple[Tunable, ...] = (
    Tunable(
        "power.idle_latency",
        "No CPU may sleep deeply",
        Computed(f"{CPU_PATH}/cpu*/cpuidle/state*/{{latency,disable}}", enabled_idle_latency),
        Between(1, high=SLOWEST_EXIT, unit=" µs"),
        "high",
        "A core that slept in C6 takes up to 170 µs to answer an interrupt; C1 and C1E take less than 10.",
        "EC2: processor state control; BP",
        needs=(C_STATES,),
        absence=NO_CPUIDLE,
        risk="Idle cores draw more power, which takes turbo frequency from the busy ones.",
        setting=IdleStates(SLOWEST_EXIT),
        persists=lambda text, _machine: 1 if text == "1" else SLOWEST_EXIT + 1,
        default=deepest_latency,
    ),
    Tunable(
        "power.intel_idle",
        "The kernel's idle driver offers C1 at most",
        Parameter("intel_idle.max_cstate", values.number),
        Between(1, low=1, high=1),
        "medium",
        "States that are switched off at run time are allowed from the kernel's start until then.",
        "EC2: processor state control; BP",
        needs=(C_STATES, intel),
        risk="0 would switch the driver off and hand the CPU to ACPI's.",
        setting=KernelParameter("intel_idle.max_cstate"),
        confidence=0.9,
    ),
    parameter(
        "power.acpi_idle",
        "ACPI's idle driver offers C1 at most",
        "processor.max_cstate",
        exactly(1),
        "medium",
        "Where the kernel's own driver does not know the CPU, ACPI's takes over with states of its own.",
        "BP; OpenShift node tuning",
        needs=(C_STATES, x86),
        risk="As of the other one.",
        confidence=0.9,
    ),
    Tunable(
        "power.idle_driver",
        "The kernel knows the CPU's idle states",
        File(f"{CPU_PATH}/cpuidle/current_driver"),
        OneOf(("intel_idle", "haltpoll")),
        "medium",
        "ACPI's driver knows only what the firmware says, and its latencies are guesses.",
        "kernel: cpuidle",
        needs=(C_STATES, intel),
        absence=NO_CPUIDLE,
        risk="None.",
        setting=Advice("remove intel_idle.max_cstate=0 from the kernel's parameters, and boot"),
    ),
    sysfs(
        "power.resume_latency",
        "The engine's CPUs allow no slow wake-up",
        f"{CPU_PATH}/cpu{{isolated}}/power/pm_qos_resume_latency_us",
        Latency(1, high=SLOWEST_EXIT, unit=" µs"),
        "medium",
        "It holds whatever idle driver is in charge, and for these CPUs alone, so that the others may sleep.",
        "kernel: pm_qos; tuned: cpu-partitioning",
        allowed,
        needs=(C_STATES, isolates),
        absence=not_in_kernel("this kernel is built without it"),
        risk="Idle cores draw more power.",
    ),
    Tunable(
        "power.idle_poll",
        "Idle CPUs do not spin",
        Parameter("idle"),
        OneOf((None, "halt", "nomwait")),
        "medium",
        "A spinning idle core takes the turbo frequency of the busy ones and half of a sibling's.",
        "T2T against EC2: processor state control",
        needs=(x86,),
        risk="Waking from C1 takes about a microsecond.",
        setting=Advice("remove idle=poll from the kernel's parameters, and boot"),
        confidence=0.9,
    ),
    sysfs(
        "power.governor",
        "The frequency governor is performance",
        f"{CPU_PATH}/cpu[0-9]*/cpufreq/scaling_governor",
        exactly("performance"),
        "high",
        "Any other governor lowers the frequency between bursts, and a P-state change takes tens of µs.",
        "tuned: latency-performance; EC2",
        values.word,
        needs=(P_STATES,),
        absence=NO_CPUFREQ,
        risk="Idle cores draw more power.",
    ),
    sysfs(
        "power.energy_preference",
        "The energy preference is performance",
        f"{CPU_PATH}/cpu[0-9]*/cpufreq/energy_performance_preference",
        OneOf(("performance", "0")),
        "medium",
        "Where the hardware chooses the frequency by itself, this is all that it listens to.",
        "kernel: intel_pstate",
        values.word,
        needs=(P_STATES,),
        absence=not_in_kernel("the hardware does not choose the frequency by itself"),
        risk="Idle cores draw more power.",
    ),
    sysfs(
        "power.pstate_driver",
        "The frequency driver is in charge",
        f"{CPU_PATH}/intel_pstate/status",
        OneOf(("active", "passive")),
        "medium",
        "Switched off, it leaves the frequency to the firmware.",
        "OpenShift node tuning against tuned: realtime",
        values.word,
        needs=(P_STATES, metal, intel),
        absence=not_in_kernel("intel_pstate does not drive this CPU"),
        risk="None.",
        default="active",
    ),
    sysfs(
        "power.frequency_floor",
        "The lowest frequency is the highest",
        f"{CPU_PATH}/intel_pstate/min_perf_pct",
        exactly(100),
        "medium",
        "A floor of 100 % leaves the frequency no room to move.",
        "tuned: latency-performance",
        needs=(P_STATES, metal, x86),
        absence=not_in_kernel("intel_pstate does not drive this CPU"),
        risk="Idle cores draw more power.",
    ),
    sysfs(
        "power.turbo",
        "Turbo is on",
        f"{CPU_PATH}/intel_pstate/no_turbo",
        exactly(0),
        "low",
        "A quarter of the frequency is in it, and with few busy cores it holds.",
        "tuned: latency-performance; EC2: processor state control",
        needs=(P_STATES, metal, x86),
        absence=not_in_kernel("intel_pstate does not drive this CPU"),
        risk="The frequency depends on how many cores are busy; who prefers one frequency waives this.",
        default=0,
    ),
    sysfs(
        "power.boost",
        "Boost is on",
        f"{CPU_PATH}/cpufreq/boost",
        exactly(1),
        "low",
        "The same for CPUs that intel_pstate does not drive.",
        "tuned: latency-performance",
        needs=(P_STATES, metal),
        absence=not_in_kernel("the frequency driver has no such switch"),
        risk="The frequency depends on how many cores are busy.",
        default=1,
    ),
    sysfs(
        "power.energy_bias",
        "The energy bias is performance",
        f"{CPU_PATH}/cpu[0-9]*/power/energy_perf_bias",
        exactly(0),
        "medium",
        "The bias tells the core's own power control which way to err.",
        "tuned: latency-performance",
        needs=(P_STATES, metal, x86),
        absence=not_in_kernel("this CPU has no energy bias"),
        risk="Idle cores draw more power.",
    ),
    Tunable(
        "power.uncore",
        "The uncore's frequency does not move",
        Computed(f"{UNCORE}/package_*/{{min,max}}_freq_khz", uncore_range),
        exactly("at the maximum"),
        "medium",
        "Caches, memory and PCIe run by it, and it follows the load only after milliseconds.",
        "tuned: latency-performance",
        needs=(metal, intel),
        absence=not_in_kernel("the driver intel_uncore_frequency is not loaded"),
        risk="The socket draws more power.",
        setting=Advice(f"copy max_freq_khz to min_freq_khz in each {UNCORE}/package_*, at each boot"),
    ),
    sysfs(
        "power.pcie",
        "PCIe links do not sleep",
        "/sys/module/pcie_aspm/parameters/policy",
        OneOf(("performance", "default")),
        "medium",
        "A link that woke up first delays the doorbell and the packet behind it.",
        "kernel: pcie_aspm; OpenShift node tuning",
        values.choice,
        needs=(metal,),
        absence=not_in_kernel("this kernel does not manage the links' power"),
        risk="The links draw more power.",
        default="default",
    ),
)
