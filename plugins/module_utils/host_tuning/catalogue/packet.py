# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets: what the interface and the kernel do to each one between the wire and the socket."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import Between, Computed, Machine, NotApplicableError, Tunable, exactly, judged_interfaces, parsed
from ..conditions import not_in_kernel, on_ec2
from ..facts import Facts
from ..host import AbsentError
from ..settings import Advice
from ..shorthand import feature, of_ena, sysctl, sysfs
from ..topology import node_of_interface

CORE = "net.core"
INTERFACE = "/sys/class/net/{interface}"
NO_BUSY_POLL = not_in_kernel("this kernel is built without busy polling")
NO_CPU: frozenset[int] = frozenset()


def interrupts_at_once(facts: Facts) -> str | None:
    """Need an engine that sleeps: one that polls all the time may defer interrupts."""
    return "the plan says that the engine polls all the time" if facts.always_polling else None


def foreign_senders(machine: Machine) -> dict[str, Any]:
    """Return for each send queue the CPUs of other nodes that it serves beside those of the adapter's node."""
    found = {}
    for interface in judged_interfaces(machine):
        base = INTERFACE.format(interface=interface.name)
        node = node_of_interface(machine.host, interface.name)
        if node < 0:
            raise NotApplicableError("the adapter does not say which node it is on")
        path = f"/sys/devices/system/node/node{node}/cpulist"
        near = parsed(values.cpu_list, machine.host.read(path), path)
        for queue in machine.host.matching(f"{base}/queues/tx-*/xps_cpus"):
            try:
                text = machine.host.read(queue)
            except AbsentError:
                continue  # of an adapter with one queue the kernel shows the file, and nothing in it
            serves = parsed(values.cpu_mask, text, queue) & machine.facts.cpus
            found[queue] = values.as_cpu_list(serves - near) if serves & near and serves - near else "none"
    if not found:
        raise AbsentError(f"{INTERFACE}/queues/tx-*/xps_cpus")
    return found


PACKET: tuple[Tunable, ...] = (
    feature(
        "packet.gro",
        "Receive offload (GRO) is off",
        "generic-receive-offload",
        "gro",
        exactly(False),
        "medium",
        "It holds packets back to merge them.",
        "kernel: segmentation offloads",
        risk="More work for each packet of a bulk transfer; measure where the feed is TCP.",
    ),
    feature(
        "packet.lro",
        "Large receive offload is off",
        "large-receive-offload",
        "lro",
        exactly(False),
        "medium",
        "It merges packets in the adapter, so that the second one pays for the first.",
        "kernel: segmentation offloads",
        risk="More work for each packet of a bulk transfer.",
        default=of_ena(False),
    ),
    feature(
        "packet.gso",
        "Segmentation offload (GSO) is off",
        "generic-segmentation-offload",
        "gso",
        exactly(False),
        "low",
        "Orders are smaller than a segment; the code path is longer for nothing.",
        "kernel: segmentation offloads",
        risk="Bulk transfers cost more CPU.",
    ),
    feature(
        "packet.tso",
        "Segmentation by the adapter (TSO) is off",
        "tcp-segmentation-offload",
        "tso",
        exactly(False),
        "low",
        "Orders are smaller than a segment, and most adapters of EC2 have it off and fixed.",
        "kernel: segmentation offloads; ENA",
        risk="Bulk transfers cost more CPU.",
        default=of_ena(False),
    ),
    feature(
        "packet.rx_checksum",
        "The adapter checks checksums",
        "rx-checksumming",
        "rx",
        exactly(True),
        "medium",
        "It batches nothing; without it the CPU does the work for each packet.",
        "kernel: checksum offloads; against T2T",
        risk="None.",
        default=of_ena(True),
    ),
    feature(
        "packet.tx_checksum",
        "The adapter makes checksums",
        "tx-checksumming",
        "tx",
        exactly(True),
        "medium",
        "It batches nothing; without it the CPU does the work for each packet.",
        "kernel: checksum offloads; against T2T",
        risk="None.",
        default=of_ena(True),
    ),
    feature(
        "packet.scatter_gather",
        "The adapter gathers the parts of a packet",
        "scatter-gather",
        "sg",
        exactly(True),
        "low",
        "Without it the kernel copies each packet into one piece.",
        "kernel: netdev-features; against T2T",
        risk="None.",
        default=of_ena(True),
    ),
    sysfs(
        "packet.mtu",
        "The MTU suits the VPC",
        f"{INTERFACE}/mtu",
        Between(9001, low=1500, high=9001),
        "medium",
        "A fragment leaves the accelerated path and has a budget of its own.",
        "EC2: Nitro considerations",
        needs=(on_ec2,),
        risk="More than 1500 is fragmented on the way to the internet, and ENA Express takes 8900 at most.",
        default=of_ena(9001),
    ),
    sysfs(
        "packet.rps",
        "Packets are not passed between CPUs (RPS)",
        f"{INTERFACE}/queues/rx-*/rps_cpus",
        exactly(NO_CPU),
        "high",
        "It costs an interrupt between processors and a second softirq for each packet.",
        "BP; AWS Graviton guide",
        values.cpu_mask,
        risk="One core does all the work of its queue.",
        default=NO_CPU,
    ),
    sysctl(
        "packet.rps_default",
        "A new queue does not pass packets either",
        "net.core.rps_default_mask",
        exactly(NO_CPU),
        "low",
        "An interface that comes up again takes its masks from here.",
        "kernel: sysctl/net",
        values.cpu_mask,
        absence=not_in_kernel("this kernel has no default for it"),
        risk="None.",
        default=NO_CPU,
    ),
    sysctl(
        "packet.rfs",
        "Flows are not chased over CPUs (RFS)",
        f"{CORE}.rps_sock_flow_entries",
        exactly(0),
        "medium",
        "It moves packets after the thread that last read, and the engine's thread does not move.",
        "kernel: scaling",
        risk="None where threads are pinned.",
        default=0,
    ),
    sysfs(
        "packet.rfs_queues",
        "No queue keeps a table of flows for it",
        f"{INTERFACE}/queues/rx-*/rps_flow_cnt",
        exactly(0),
        "low",
        "The table is looked up for each packet.",
        "kernel: scaling",
        absence=not_in_kernel("this kernel is built without it"),
        risk="None where threads are pinned.",
        default=0,
    ),
    Tunable(
        "packet.xps",
        "No send queue is shared with CPUs of another node",
        Computed(f"{INTERFACE}/queues/tx-*/xps_cpus", foreign_senders, lambda _text: "none"),
        exactly("none"),
        "medium",
        "A sender on another node takes the queue's lock and its descriptors across the link between the sockets.",
        "T2T; kernel: scaling",
        absence=not_in_kernel("this kernel does not map senders to queues"),
        risk="A CPU in no mask sends by the hash of its flow.",
        setting=Advice("write the CPUs of the adapter's own node to queues/tx-N/xps_cpus, after each ethtool -L"),
        wrong="harmful",
    ),
    sysfs(
        "packet.threaded_napi",
        "Packets are handled in the interrupt",
        f"{INTERFACE}/threaded",
        exactly(0),
        "medium",
        "A thread for each queue adds a wake-up to each packet.",
        "kernel: NAPI",
        absence=not_in_kernel("this kernel cannot thread NAPI"),
        risk="A flood of packets starves the threads of its CPU.",
        default=0,
    ),
    sysfs(
        "packet.deferred_interrupts",
        "Interrupts are not deferred",
        f"{INTERFACE}/napi_defer_hard_irqs",
        exactly(0),
        "high",
        "Without a thread that polls all the time, deferring is plain delay.",
        "kernel: NAPI",
        needs=(interrupts_at_once,),
        absence=not_in_kernel("this kernel cannot defer them"),
        risk="None.",
        default=0,
    ),
    sysfs(
        "packet.gro_timeout",
        "No timer holds received packets back",
        f"{INTERFACE}/gro_flush_timeout",
        exactly(0),
        "high",
        "It is the length of that delay in nanoseconds.",
        "kernel: NAPI",
        needs=(interrupts_at_once,),
        absence=not_in_kernel("this kernel has no such timer"),
        risk="None.",
        default=0,
    ),
    sysctl(
        "packet.busy_read",
        "Reads poll the adapter",
        f"{CORE}.busy_read",
        Between(50, low=50, high=100, unit=" µs"),
        "high",
        "A blocked read that polls saves the interrupt and the wake-up, 5 to 15 µs.",
        "EC2: network latency; BP; tuned: network-latency",
        absence=NO_BUSY_POLL,
        risk="A blocked thread keeps its core busy.",
    ),
    sysctl(
        "packet.busy_poll",
        "poll() and select() poll the adapter",
        f"{CORE}.busy_poll",
        Between(50, low=50, high=100, unit=" µs"),
        "high",
        "The same for a thread that waits for many sockets.",
        "EC2: network latency; BP; tuned: network-latency",
        absence=NO_BUSY_POLL,
        risk="A blocked thread keeps its core busy.",
    ),
)
