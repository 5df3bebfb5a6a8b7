# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every tunable that the audit judges and the tuning sets, a file a group.

Roles, audit, documentation and tests are made from it. To add one: an entry in its group's file, and its two fixtures
in tests/fixtures/host_cases.py.

Sources are named shortly: BP and ENA are the best practices and the README of amzn/amzn-drivers, EC2 the EC2 User
Guide, T2T aws-samples/trading-latency-benchmark, tuned the profiles latency-performance, network-latency,
cpu-partitioning and realtime of redhat-performance/tuned, kernel the kernel's own documentation. "Against" names who
says the opposite.
"""

from __future__ import annotations

from ..check import Tunable
from .adapter import ADAPTER
from .clock import CLOCK
from .conflict import CONFLICT
from .counter import COUNTER
from .cpu import CPU
from .ec2 import EC2
from .irq import IRQ
from .kernel import KERNEL
from .memory import MEMORY
from .network import NETWORK
from .packet import PACKET
from .power import POWER
from .service import SERVICE

TUNABLES: tuple[Tunable, ...] = (
    *CPU,
    *POWER,
    *IRQ,
    *ADAPTER,
    *PACKET,
    *NETWORK,
    *MEMORY,
    *CLOCK,
    *KERNEL,
    *SERVICE,
    *COUNTER,
    *EC2,
    *CONFLICT,
)
TITLES = {
    "cpu": "CPU: isolation and scheduling",
    "power": "Power: idle states and frequency",
    "irq": "Interrupts and kernel work",
    "adapter": "Adapter: driver, moderation, queues",
    "packet": "Packets: offloads and polling",
    "network": "Network: kernel and protocols",
    "memory": "Memory",
    "clock": "Clock and timers",
    "kernel": "Kernel: watchdogs and traces",
    "service": "Services and limits",
    "counter": "Counters since the boot",
    "ec2": "EC2: what the API says",
    "conflict": "Conflicts and folklore",
}
