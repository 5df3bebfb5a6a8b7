# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel: watchdogs and the scheduler's own limits."""

from __future__ import annotations

from .. import values
from ..check import File, OneOf, Tunable, exactly, isolates, not_in_kernel, x86

SYS = "/proc/sys/kernel"
NO_WATCHDOG = not_in_kernel("this kernel is built without it")


def seconds_or_never(text: str) -> str:
    """Read a timeout of which 0 means never; 600 s and more are as rare."""
    seconds = values.number(text)
    return "600 s or never" if seconds == 0 or seconds >= 600 else f"{seconds} s"


KERNEL: tuple[Tunable, ...] = (
    Tunable(
        "kernel.nmi_watchdog",
        "No watchdog interrupts by NMI",
        File(f"{SYS}/nmi_watchdog", values.number),
        exactly(0),
        "medium",
        "It takes a performance counter and an interrupt that cannot be masked, on every CPU.",
        "tuned: network-latency",
        needs=(x86,),
        absence=NO_WATCHDOG,
    ),
    Tunable(
        "kernel.soft_watchdog",
        "No watchdog runs on every CPU",
        File(f"{SYS}/soft_watchdog", values.number),
        exactly(0),
        "low",
        "A timer and a thread of the highest priority run on each CPU every few seconds.",
        "tuned: cpu-partitioning",
        absence=NO_WATCHDOG,
    ),
    Tunable(
        "kernel.hung_task",
        "Hung tasks are looked for rarely",
        File(f"{SYS}/hung_task_timeout_secs", seconds_or_never),
        exactly("600 s or never"),
        "low",
        "The search walks over all tasks.",
        "tuned: network-latency",
        absence=NO_WATCHDOG,
    ),
    Tunable(
        "kernel.rt_throttling",
        "Real-time threads are not stopped",
        File(f"{SYS}/sched_rt_runtime_us", values.number),
        OneOf((-1, 1000000)),
        "medium",
        "The default takes 50 ms of each second from a spinning real-time thread.",
        "tuned: realtime",
        needs=(isolates,),
    ),
)
