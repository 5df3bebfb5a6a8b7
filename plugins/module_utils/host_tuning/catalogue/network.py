# SPDX-License-Identifier: GPL-3.0-or-later
"""Network: the adapter's coalescing, queues and offloads, and the stack above it."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import (
    Between,
    Computed,
    File,
    FromFacts,
    Machine,
    Offload,
    OneOf,
    Tunable,
    exactly,
    judged_interfaces,
    not_in_kernel,
    on_ec2,
    with_ena,
)
from ..host import UnreadableError

CORE = "/proc/sys/net/core"
IPV4 = "/proc/sys/net/ipv4"
DROPPED_COLUMN = 1
"""Of /proc/net/softnet_stat, one line a CPU, in hex: processed, dropped, squeezed …"""


def drivers(machine: Machine) -> dict[str, Any]:
    """Return the driver of each judged interface."""
    return {interface.name: interface.driver for interface in judged_interfaces(machine)}


def backlog_drops(machine: Machine) -> dict[str, Any]:
    """Return how many packets each CPU has dropped since boot because its backlog was full."""
    lines = machine.host.read("/proc/net/softnet_stat").splitlines()
    try:
        return {f"line {number}": int(line.split()[DROPPED_COLUMN], 16) for number, line in enumerate(lines)}
    except (IndexError, ValueError):
        raise UnreadableError("/proc/net/softnet_stat: not in the known form") from None


NETWORK: tuple[Tunable, ...] = (
    Tunable(
        "network.driver",
        "The adapter is an ENA",
        Computed("/sys/class/net/{interface}/device/driver", drivers),
        exactly("ena"),
        "critical",
        "Every other adapter of EC2 is an emulated one, slower by an order of magnitude.",
        "EC2: enhanced networking",
        needs=(on_ec2,),
    ),
    Tunable(
        "network.ena_version",
        "The ENA driver is recent",
        File("/sys/module/ena/version", values.version),
        Between((2, 2, 9), low=(2, 2, 9)),
        "medium",
        "2.2.9 brought the accelerated path of Nitro version 3 and later.",
        "BP",
        needs=(with_ena,),
        absence=not_in_kernel("the driver in the kernel's own tree has no version but the kernel's"),
    ),
    Tunable(
        "network.rx_coalescing",
        "A received packet interrupts at once",
        Offload("c", "rx-usecs"),
        Between(0, high=2, unit=" µs"),
        "critical",
        "The adapter's default holds a packet back for 20 µs to spare interrupts.",
        "EC2; BP",
    ),
    Tunable(
        "network.rx_adaptive",
        "Receive moderation does not adapt",
        Offload("c", "adaptive-rx", switch=True),
        exactly(False),
        "high",
        "Adaptive moderation raises the delay exactly when a burst arrives.",
        "EC2; BP",
    ),
    Tunable(
        "network.tx_coalescing",
        "A sent packet is completed at once",
        Offload("c", "tx-usecs"),
        Between(0, high=2, unit=" µs"),
        "high",
        "The default of 64 µs delays the release of buffers, and with it back pressure.",
        "BP",
    ),
    Tunable(
        "network.rx_ring",
        "The receive ring is neither short nor deep",
        Offload("g", "ring-rx"),
        Between(1024, low=256, high=4096),
        "medium",
        "A short ring drops a burst, a deep one hides that the host is too slow.",
        "BP",
    ),
    Tunable(
        "network.tx_ring",
        "The send ring is not deep",
        Offload("g", "ring-tx"),
        Between(1024, low=256, high=1024),
        "low",
        "ENA takes 1024 at most, and a deeper queue is only a longer wait.",
        "BP; ENA",
    ),
    Tunable(
        "network.queues",
        "No more queues than cores for them",
        Offload("l", "channels-combined"),
        FromFacts(lambda facts: len(facts.housekeeping), "at_most"),
        "high",
        "A queue without a housekeeping core of its own interrupts a core that has other work.",
        "BP",
    ),
    Tunable(
        "network.gro",
        "Receive offload (GRO) is off",
        Offload("k", "generic-receive-offload", switch=True),
        exactly(False),
        "medium",
        "It holds packets back to merge them.",
        "kernel: segmentation offloads",
    ),
    Tunable(
        "network.lro",
        "Large receive offload is off",
        Offload("k", "large-receive-offload", switch=True),
        exactly(False),
        "medium",
        "It merges packets in the adapter, so that the second one pays for the first.",
        "kernel: segmentation offloads",
    ),
    Tunable(
        "network.gso",
        "Segmentation offload (GSO) is off",
        Offload("k", "generic-segmentation-offload", switch=True),
        exactly(False),
        "low",
        "Orders are smaller than a segment; the code path is longer for nothing.",
        "kernel: segmentation offloads",
    ),
    Tunable(
        "network.rx_checksum",
        "The adapter checks checksums",
        Offload("k", "rx-checksumming", switch=True),
        exactly(True),
        "medium",
        "It batches nothing; without it the CPU does the work for each packet.",
        "kernel: checksum offloads",
    ),
    Tunable(
        "network.tx_checksum",
        "The adapter makes checksums",
        Offload("k", "tx-checksumming", switch=True),
        exactly(True),
        "medium",
        "It batches nothing; without it the CPU does the work for each packet.",
        "kernel: checksum offloads",
    ),
    Tunable(
        "network.mtu",
        "The MTU suits the VPC",
        File("/sys/class/net/{interface}/mtu", values.number),
        Between(9001, low=1500, high=9001),
        "medium",
        "A fragment leaves the accelerated path and has a budget of its own.",
        "EC2: Nitro considerations",
        needs=(on_ec2,),
    ),
    Tunable(
        "network.rps",
        "Packets are not passed between CPUs (RPS)",
        File("/sys/class/net/{interface}/queues/rx-*/rps_cpus", values.cpu_mask),
        exactly(frozenset()),
        "high",
        "It costs an interrupt between processors and a second softirq for each packet.",
        "BP",
    ),
    Tunable(
        "network.rfs",
        "Flows are not chased over CPUs (RFS)",
        File(f"{CORE}/rps_sock_flow_entries", values.number),
        exactly(0),
        "medium",
        "It moves packets after the thread that last read, and the engine's thread does not move.",
        "kernel: scaling",
    ),
    Tunable(
        "network.threaded_napi",
        "Packets are handled in the interrupt",
        File("/sys/class/net/{interface}/threaded", values.number),
        exactly(0),
        "medium",
        "A thread for each queue adds a wake-up to each packet.",
        "kernel: NAPI",
        absence=not_in_kernel("this kernel cannot thread NAPI"),
    ),
    Tunable(
        "network.deferred_irqs",
        "Interrupts are not deferred",
        File("/sys/class/net/{interface}/napi_defer_hard_irqs", values.number),
        exactly(0),
        "high",
        "Without a thread that polls all the time, deferring is plain delay.",
        "kernel: NAPI",
        absence=not_in_kernel("this kernel cannot defer them"),
    ),
    Tunable(
        "network.gro_timeout",
        "No timer holds received packets back",
        File("/sys/class/net/{interface}/gro_flush_timeout", values.number),
        exactly(0),
        "high",
        "It is the length of that delay in nanoseconds.",
        "kernel: NAPI",
        absence=not_in_kernel("this kernel has no such timer"),
    ),
    Tunable(
        "network.busy_read",
        "Reads poll the adapter",
        File(f"{CORE}/busy_read", values.number),
        Between(50, low=50, high=100, unit=" µs"),
        "high",
        "A blocked read that polls saves the interrupt and the wake-up, 5 to 15 µs.",
        "EC2; BP; tuned: network-latency",
        absence=not_in_kernel("this kernel is built without busy polling"),
    ),
    Tunable(
        "network.busy_poll",
        "poll() and select() poll the adapter",
        File(f"{CORE}/busy_poll", values.number),
        Between(50, low=50, high=100, unit=" µs"),
        "high",
        "The same for a thread that waits for many sockets.",
        "EC2; BP; tuned: network-latency",
        absence=not_in_kernel("this kernel is built without busy polling"),
    ),
    Tunable(
        "network.qdisc",
        "Packets leave in the order of their arrival",
        File(f"{CORE}/default_qdisc"),
        OneOf(("noqueue", "pfifo_fast", "pfifo", "mq")),
        "medium",
        "fq_codel hashes flows and drops on delay, which is work for each packet and a surprise for an order.",
        "kernel: default_qdisc",
        absence=not_in_kernel("this kernel has no traffic control"),
    ),
    Tunable(
        "network.bpf_jit",
        "Packet filters are compiled",
        File(f"{CORE}/bpf_jit_enable", values.number),
        exactly(1),
        "low",
        "An interpreted filter takes about 200 ns a packet.",
        "kernel: bpf_jit_enable",
        absence=not_in_kernel("this kernel has no BPF compiler"),
    ),
    Tunable(
        "network.conntrack",
        "No connection is tracked",
        File("/proc/sys/net/netfilter/nf_conntrack_count", values.number),
        exactly(0),
        "medium",
        "Tracking looks each packet up in a table; on EC2 the security group filters before the host.",
        "kernel: nf_conntrack",
        absence=not_in_kernel("connection tracking is not loaded"),
        counter=True,
    ),
    Tunable(
        "network.backlog_drops",
        "No CPU's backlog overflowed",
        Computed("/proc/net/softnet_stat", backlog_drops),
        exactly(0),
        "high",
        "A full backlog drops packets silently, and TCP answers a drop with at least 200 ms.",
        "kernel: netdev_max_backlog",
        counter=True,
    ),
    Tunable(
        "network.idle_restart",
        "TCP does not start slowly after a pause",
        File(f"{IPV4}/tcp_slow_start_after_idle", values.number),
        exactly(0),
        "medium",
        "A burst after a quiet second would wait for acknowledgements again.",
        "kernel: ip-sysctl",
    ),
    Tunable(
        "network.timestamps",
        "TCP timestamps are on",
        File(f"{IPV4}/tcp_timestamps", values.number),
        OneOf((1, 2)),
        "low",
        "They make round-trip estimates, and so retransmission timers, exact; switching them off is folklore.",
        "kernel: ip-sysctl",
    ),
    Tunable(
        "network.sack",
        "Selective acknowledgement is on",
        File(f"{IPV4}/tcp_sack", values.number),
        exactly(1),
        "medium",
        "Without it one lost packet costs the retransmission of all that followed.",
        "kernel: ip-sysctl",
    ),
)
