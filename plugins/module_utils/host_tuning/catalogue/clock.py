# SPDX-License-Identifier: GPL-3.0-or-later
"""Clock and timers: that reading the time is an instruction, and timers fire where they were set."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import Computed, File, FromFacts, Machine, Parameter, Tunable, exactly, isolates, not_in_kernel, x86
from ..host import AbsentError

CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
TSC_FLAGS = frozenset({"constant_tsc", "nonstop_tsc"})


def tsc_flags(machine: Machine) -> dict[str, Any]:
    """Return those of the wanted flags that the CPU has."""
    if not machine.facts.cpu_flags:
        raise AbsentError("/proc/cpuinfo flags")
    return {"/proc/cpuinfo flags": " ".join(sorted(TSC_FLAGS & machine.facts.cpu_flags)) or "neither"}


CLOCK: tuple[Tunable, ...] = (
    Tunable(
        "clock.source",
        "The clock is the CPU's own",
        File(CLOCKSOURCE),
        FromFacts(lambda facts: "arch_sys_counter" if facts.architecture == "aarch64" else "tsc"),
        "critical",
        "Any other source takes a system call or a device access for each time stamp.",
        "tuned: network-latency; BP",
    ),
    Tunable(
        "clock.tsc",
        "The CPU's counter keeps its rate and does not stop",
        Computed("/proc/cpuinfo flags", tsc_flags),
        exactly("constant_tsc nonstop_tsc"),
        "high",
        "A counter that changes with the frequency or stops in idle states cannot be a clock.",
        "kernel: timekeeping",
        needs=(x86,),
    ),
    Tunable(
        "clock.timer_migration",
        "Timers fire where they were set",
        File("/proc/sys/kernel/timer_migration", values.number),
        exactly(0),
        "medium",
        "A timer that moves to a busy CPU fires on the engine's.",
        "tuned: network-latency",
        absence=not_in_kernel("this kernel does not migrate timers"),
    ),
    Tunable(
        "clock.skew_tick",
        "The CPUs' ticks do not coincide",
        Parameter("skew_tick", values.number),
        exactly(1),
        "low",
        "Ticks at the same instant contend for the same locks.",
        "tuned: network-latency",
        needs=(isolates,),
    ),
)
