# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters since the boot: what was dropped, exceeded or taken away. Nothing sets them, and they move by themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .. import values
from ..check import Between, Computed, Machine, NotApplicableError, Tunable, exactly, judged_interfaces, parsed
from ..conditions import virtual, with_ena
from ..host import UnreadableError
from ..shorthand import counted

SOFTNET = "/proc/net/softnet_stat"
DROPPED, SQUEEZED = 1, 2
"""Columns of /proc/net/softnet_stat, one line a CPU, in hex: processed, dropped, squeezed …"""
STEAL_COLUMN = 8
"""Of the line cpu of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal …, after the name."""


def counters(*names: str) -> Callable[[Machine], dict[str, Any]]:
    """Return a reader of some counters of the driver; a star in a name stands for the number of a queue."""
    patterns = [re.compile(name.replace("*", r"\d+")) for name in names]

    def read(machine: Machine) -> dict[str, Any]:
        found = {}
        for interface in judged_interfaces(machine):
            for name, value in machine.ethtool.counters(interface.name).items():
                if any(pattern.fullmatch(name) for pattern in patterns):
                    found[f"{interface.name} {name}"] = value
        if not found:
            raise NotApplicableError(f"the driver does not count {', '.join(names)}")
        return found

    return read


def statistics(*names: str) -> Computed:
    """Read some counters of the driver."""
    return Computed(f"ethtool -S {{interface}}: {', '.join(names)}", counters(*names))


def softnet(column: int) -> Callable[[Machine], dict[str, Any]]:
    """Return a reader of a column of the backlogs' counters."""

    def read(machine: Machine) -> dict[str, Any]:
        lines = machine.host.read(SOFTNET).splitlines()
        try:
            return {f"line {number}": int(line.split()[column], 16) for number, line in enumerate(lines)}
        except (IndexError, ValueError):
            raise UnreadableError(f"{SOFTNET}: not in the known form") from None

    return read


def protocol_counter(path: str, protocol: str, name: str) -> Computed:
    """Read a counter of a protocol: two lines each, the names and the numbers."""

    def read(machine: Machine) -> dict[str, Any]:
        rows = [line.split() for line in machine.host.read(path).splitlines() if line.startswith(f"{protocol}:")]
        if len(rows) != 2 or name not in rows[0] or len(rows[0]) != len(rows[1]):
            raise UnreadableError(f"{path}: no {protocol} {name}")
        return {name: parsed(values.number, rows[1][rows[0].index(name)], path)}

    return Computed(f"{path} {protocol} {name}", read)


def stolen(machine: Machine) -> dict[str, Any]:
    """Return how much of the CPUs' time since the boot the hypervisor gave to others, in millionths."""
    for line in machine.host.read("/proc/stat").splitlines():
        fields = line.split()
        if fields[:1] == ["cpu"] and len(fields) > STEAL_COLUMN:
            numbers = [parsed(values.number, field, "/proc/stat") for field in fields[1 : STEAL_COLUMN + 1]]
            return {"/proc/stat steal": 1_000_000 * numbers[-1] // max(1, sum(numbers))}
    raise UnreadableError("/proc/stat: not in the known form")


COUNTER: tuple[Tunable, ...] = (
    counted(
        "counter.bandwidth_allowance",
        "The instance has not exceeded its bandwidth",
        statistics("bw_in_allowance_exceeded", "bw_out_allowance_exceeded"),
        exactly(0),
        "high",
        "Packets were queued or dropped outside the instance, which looks like latency from inside.",
        "BP; EC2: Nitro considerations",
        "a larger instance type, or less traffic beside the engine's",
        needs=(with_ena,),
    ),
    counted(
        "counter.packet_allowance",
        "The instance has not exceeded its packets a second",
        statistics("pps_allowance_exceeded"),
        exactly(0),
        "high",
        "Packets were queued or dropped outside the instance, and small ones reach this limit first.",
        "BP; EC2: Nitro considerations",
        "a larger instance type, or fewer and larger packets",
        needs=(with_ena,),
    ),
    counted(
        "counter.connection_allowance",
        "The instance has not exceeded its tracked connections",
        statistics("conntrack_allowance_exceeded"),
        exactly(0),
        "high",
        "A new connection cannot be made until an old one is forgotten.",
        "BP; EC2: connection tracking",
        "security group rules that need no tracking, or a larger instance type",
        needs=(with_ena,),
    ),
    counted(
        "counter.link_local_allowance",
        "The instance has not exceeded its link-local packets",
        statistics("linklocal_allowance_exceeded"),
        exactly(0),
        "medium",
        "Names, metadata and the clock share 1024 packets a second, and what is above it is dropped.",
        "BP; EC2: Amazon Time Sync",
        "a cache of names on the host, and fewer requests for metadata",
        needs=(with_ena,),
    ),
    counted(
        "counter.rx_overruns",
        "No received packet found the ring full",
        statistics("queue_*_rx_overruns", "rx_overruns", "rx_drops"),
        exactly(0),
        "high",
        "The host was too slow for a burst, and the packet is lost.",
        "BP",
        "a longer receive ring (4096), or more queues",
        needs=(with_ena,),
    ),
    counted(
        "counter.missed_completions",
        "No sent packet was forgotten",
        statistics("queue_*_tx_missed_tx"),
        exactly(0),
        "medium",
        "The driver waited for a completion that came late or never, and resets the adapter after some.",
        "ENA; amzn-drivers: issue 336",
        "keep what starves interrupts, such as a serial console, from the CPUs of the queues",
        needs=(with_ena,),
    ),
    counted(
        "counter.resets",
        "The adapter was not reset",
        statistics("tx_timeout", "wd_expired", "device_request_reset", "bad_tx_req_id", "bad_rx_req_id"),
        exactly(0),
        "high",
        "A reset silences the interface for milliseconds, and undoes pins, queues and the hash table.",
        "ENA; amzn-drivers: issue 336",
        "see the kernel's log of the ena driver for the reason",
        needs=(with_ena,),
    ),
    counted(
        "counter.backlog_drops",
        "No CPU's backlog overflowed",
        Computed(SOFTNET, softnet(DROPPED)),
        exactly(0),
        "high",
        "A full backlog drops packets silently, and TCP answers a drop with at least 200 ms.",
        "kernel: netdev_max_backlog",
        "find what floods the host, or a longer net.core.netdev_max_backlog",
    ),
    counted(
        "counter.receive_errors",
        "No datagram was dropped for want of a buffer",
        protocol_counter("/proc/net/snmp", "Udp", "RcvbufErrors"),
        exactly(0),
        "medium",
        "The reader was too slow for a burst, and the feed has a gap.",
        "kernel: snmp counters",
        "a reader that keeps up, or a larger SO_RCVBUF",
    ),
    counted(
        "counter.listen_overflows",
        "No connection was refused for want of room",
        protocol_counter("/proc/net/netstat", "TcpExt", "ListenOverflows"),
        exactly(0),
        "medium",
        "The client tries again after a second.",
        "kernel: snmp counters",
        "a longer backlog of listen(), and net.core.somaxconn",
    ),
    counted(
        "counter.steal",
        "The hypervisor takes no time",
        Computed("/proc/stat steal", stolen),
        Between(0, high=100, unit=" ppm"),
        "high",
        "A stolen time slice is milliseconds in which the CPU does not exist.",
        "kernel: proc; EC2: dedicated hosts",
        "a larger or a metal instance type: nothing on the host changes it",
        needs=(virtual,),
    ),
)
