# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel: watchdogs, checks and traces that run beside the engine."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import Between, File, OneOf, Tunable, exactly
from ..conditions import can, metal, not_in_kernel, x86
from ..facts import Facts
from ..settings import Advice, Sysctl
from ..shorthand import parameter, sysctl, sysfs

NO_WATCHDOG = not_in_kernel("this kernel is built without it")
CONSOLE_LEVEL = 4


def seconds_or_never(text: str) -> str:
    """Read a timeout of which 0 means never; 600 s and more are as rare."""
    seconds = values.number(text)
    return "600 s or never" if seconds == 0 or seconds >= 600 else f"{seconds} s"


def console_level(text: str) -> int:
    """Read the first of the four numbers of the kernel's log: what is more urgent goes to the console."""
    return values.number((text.split() or [""])[0])


def ten_minutes(_value: Any, _facts: Facts) -> str:
    """Spell the timeout as the kernel takes it."""
    return "600"


def console_levels(value: Any, _facts: Facts) -> str:
    """Spell the console's level with the three that stand beside it, as the kernel has them by itself."""
    return f"{value} 4 1 7"


KERNEL: tuple[Tunable, ...] = (
    sysctl(
        "kernel.nmi_watchdog",
        "No watchdog interrupts by NMI",
        "kernel.nmi_watchdog",
        exactly(0),
        "medium",
        "It takes a performance counter and an interrupt that cannot be masked, on every CPU.",
        "tuned: network-latency",
        needs=(x86,),
        absence=NO_WATCHDOG,
        risk="A CPU that hangs with interrupts off is not reported.",
    ),
    sysctl(
        "kernel.soft_watchdog",
        "No watchdog runs on every CPU",
        "kernel.soft_watchdog",
        exactly(0),
        "low",
        "A timer and a thread of the highest priority run on each CPU every few seconds.",
        "tuned: cpu-partitioning",
        absence=NO_WATCHDOG,
        risk="A task that never leaves the kernel is not reported.",
    ),
    sysctl(
        "kernel.hung_task",
        "Hung tasks are looked for rarely",
        "kernel.hung_task_timeout_secs",
        exactly("600 s or never"),
        "low",
        "The search walks over all tasks.",
        "tuned: network-latency",
        seconds_or_never,
        absence=NO_WATCHDOG,
        risk="A task that waits for a disk for ever is reported later.",
        setting=Sysctl("kernel.hung_task_timeout_secs", ten_minutes),
    ),
    sysctl(
        "kernel.console",
        "The kernel writes little to the console",
        "kernel.printk",
        Between(3, low=1, high=CONSOLE_LEVEL),
        "medium",
        "A serial console takes a millisecond a line, with interrupts off: the adapter was reset for it.",
        "amzn-drivers: issue 336",
        console_level,
        risk="Warnings are in the log alone.",
        setting=Sysctl("kernel.printk", console_levels),
    ),
    parameter(
        "kernel.audit",
        "System calls are not audited",
        "audit",
        exactly(0),
        "low",
        "Each system call takes the longer way; without it a server was a tenth faster.",
        "talawah.io; T2T",
        risk="There is no trail of system calls, which compliance may want: then waive it.",
        confidence=0.9,
    ),
    parameter(
        "kernel.iommu",
        "Devices reach memory without translation",
        "iommu",
        OneOf(("pt", "off")),
        "medium",
        "A table is looked up for each access of the adapter to memory.",
        "OpenShift node tuning; T2T",
        values.word,
        needs=(metal, x86, can("iommu", "IOMMU")),
        risk="A device that errs can write anywhere.",
        confidence=0.9,
    ),
    sysfs(
        "kernel.corrected_errors",
        "Corrected machine checks are not polled",
        "/sys/devices/system/machinecheck/machinecheck[0-9]*/ignore_ce",
        exactly(1),
        "low",
        "Polling for corrected memory errors is a timer on every core; the platform reports them by itself.",
        "tuned: cpu-partitioning",
        needs=(metal, x86),
        absence=not_in_kernel("this kernel has no machine check control"),
        risk="Memory that goes bad is noticed later.",
    ),
    Tunable(
        "kernel.tracer",
        "No tracer is active",
        File("/sys/kernel/tracing/current_tracer"),
        exactly("nop"),
        "high",
        "One that was left on patches every function of the kernel.",
        "kernel: ftrace",
        absence=not_in_kernel("this kernel has no tracer, or does not show it"),
        risk="None.",
        setting=Advice("echo nop > /sys/kernel/tracing/current_tracer"),
        default="nop",
    ),
    sysfs(
        "kernel.selinux_cache",
        "SELinux keeps its decisions",
        "/sys/fs/selinux/avc/cache_threshold",
        Between(8192, low=8192),
        "low",
        "A decision that is not kept is computed again, under a lock.",
        "tuned: network-latency",
        absence=not_in_kernel("SELinux is not active"),
        risk="Some memory.",
    ),
    sysfs(
        "kernel.random_interrupts",
        "Disks feed no random numbers",
        "/sys/block/*/queue/add_random",
        exactly(0),
        "low",
        "Each request of a disk stirs a pool that has other sources.",
        "kernel: queue-sysfs",
        absence=not_in_kernel("there is no disk"),
        risk="None where the CPU has an instruction for it.",
        default=0,
    ),
    sysfs(
        "kernel.disk_scheduler",
        "Disks are given requests as they come",
        "/sys/block/nvme[0-9]*/queue/scheduler",
        exactly("none"),
        "low",
        "The device orders requests itself, and the kernel's order costs a lock.",
        "EC2: EBS performance; T2T",
        values.choice,
        absence=not_in_kernel("there is no NVMe disk"),
        risk="None on NVMe.",
        default="none",
    ),
)
