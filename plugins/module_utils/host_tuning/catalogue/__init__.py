# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every tunable that the audit judges, a file a group.

To add one: an entry in its group's file, and its two cases in the tests.

Sources are named shortly: BP and ENA are the best practices and the README of amzn/amzn-drivers, EC2 the EC2 User Guide
(network latency, processor state control), tuned the profiles latency-performance, network-latency, cpu-partitioning
and realtime of redhat-performance/tuned, kernel the kernel's own documentation.
"""

from __future__ import annotations

from ..check import Tunable
from .clock import CLOCK
from .cpu import CPU
from .irq import IRQ
from .kernel import KERNEL
from .memory import MEMORY
from .network import NETWORK

TUNABLES: tuple[Tunable, ...] = (*CPU, *IRQ, *NETWORK, *MEMORY, *CLOCK, *KERNEL)
TITLES = {
    "cpu": "CPU: isolation, idle states, frequency",
    "irq": "Interrupts and kernel work",
    "network": "Network: adapter and stack",
    "memory": "Memory",
    "clock": "Clock and timers",
    "kernel": "Kernel: watchdogs and scheduler",
}
