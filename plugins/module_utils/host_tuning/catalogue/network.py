# SPDX-License-Identifier: GPL-3.0-or-later
"""Network: the kernel's queues, filters and protocols above the interface."""

from __future__ import annotations

from typing import Any

from .. import values
from ..check import Between, Computed, File, Machine, OneOf, Tunable, exactly
from ..conditions import not_in_kernel, on_ec2
from ..settings import Advice
from ..shorthand import counted, sysctl

CORE = "net.core"
TCP = "net.ipv4.tcp"
MIB = 1024 * 1024
FILTER_MODULES = ("ip_tables", "iptable_filter", "iptable_nat", "nf_tables", "nf_nat")


def packet_filters(machine: Machine) -> dict[str, Any]:
    """Return the packet filters that the kernel has loaded."""
    loaded = {line.split()[0] for line in machine.host.read("/proc/modules").splitlines() if line.strip()}
    return {"/proc/modules": " ".join(sorted(loaded & set(FILTER_MODULES))) or "none"}


NETWORK: tuple[Tunable, ...] = (
    sysctl(
        "network.qdisc",
        "New interfaces send in the order of arrival",
        f"{CORE}.default_qdisc",
        OneOf(("pfifo_fast", "noqueue", "pfifo", "mq")),
        "medium",
        "fq_codel hashes flows and drops on delay, which is work for each packet and a surprise for an order.",
        "kernel: default_qdisc; T2T",
        values.word,
        absence=not_in_kernel("this kernel has no traffic control"),
        risk="A burst that is not paced can overflow the adapter.",
    ),
    sysctl(
        "network.bpf_jit",
        "Packet filters are compiled",
        f"{CORE}.bpf_jit_enable",
        OneOf((1, 2)),
        "low",
        "An interpreted filter takes about 200 ns a packet.",
        "kernel: bpf_jit_enable; T2T",
        absence=not_in_kernel("this kernel has no BPF compiler"),
        risk="None on current kernels.",
        default=1,
    ),
    sysctl(
        "network.bpf_harden",
        "Compiled filters of root are not blinded",
        f"{CORE}.bpf_jit_harden",
        OneOf((0, 1)),
        "low",
        "Blinding every constant, root's own too, makes a filter longer and slower.",
        "kernel: bpf_jit_harden; T2T",
        absence=not_in_kernel("this kernel has no BPF compiler"),
        risk="A flaw of the compiler is easier to use for who is root already.",
        default=0,
    ),
    sysctl(
        "network.backlog",
        "A CPU's backlog holds a burst and no more",
        f"{CORE}.netdev_max_backlog",
        Between(1000, low=1000, high=30000, unit=" packets"),
        "low",
        "It is used where packets change CPUs, and a long one hides that they wait.",
        "kernel: sysctl/net; T2T warns of more",
        risk="None.",
        default=1000,
    ),
    sysctl(
        "network.budget",
        "One round of receiving ends soon",
        f"{CORE}.netdev_budget",
        Between(300, low=64, high=600, unit=" packets"),
        "low",
        "A longer round is fewer rounds, and a longer wait of everything else on that CPU.",
        "kernel: sysctl/net",
        risk="None.",
        default=300,
    ),
    sysctl(
        "network.receive_limit",
        "A socket may buffer a burst and no more",
        f"{CORE}.rmem_max",
        Between(4 * MIB, low=212992, high=16 * MIB, unit=" B"),
        "low",
        "A buffer that holds seconds of data delivers data that is seconds old.",
        "T2T: oversized buffers; kernel: sysctl/net",
        risk="None.",
        default=212992,
    ),
    sysctl(
        "network.send_limit",
        "A socket may send a burst and no more",
        f"{CORE}.wmem_max",
        Between(4 * MIB, low=212992, high=16 * MIB, unit=" B"),
        "low",
        "What stands in a long queue is sent late.",
        "T2T: oversized buffers; kernel: sysctl/net",
        risk="None.",
        default=212992,
    ),
    sysctl(
        "network.neighbour",
        "A neighbour's address is believed for a while",
        "net.ipv4.neigh.default.base_reachable_time_ms",
        Between(30000, low=30000, unit=" ms"),
        "low",
        "Each time it ends a packet may wait for an answer; Amazon Linux sets 5 s.",
        "amazon-ec2-net-utils; kernel: ip-sysctl",
        risk="An address that moved is noticed later.",
        default=30000,
    ),
    counted(
        "network.conntrack",
        "No connection is tracked",
        Computed(
            "/proc/sys/net/netfilter/nf_conntrack_count",
            lambda machine: File("/proc/sys/net/netfilter/nf_conntrack_count", values.number).read(machine),
        ),
        exactly(0),
        "medium",
        "Tracking looks each packet up in a table; on EC2 the security group filters before the host.",
        "kernel: nf_conntrack; talawah.io",
        "unload nf_conntrack, or a rule with notrack for the engine's ports",
        absence=not_in_kernel("connection tracking is not loaded"),
        risk="The host's own filter goes with it, and the security group must do all.",
    ),
    Tunable(
        "network.filters",
        "The kernel filters no packets",
        Computed("/proc/modules", packet_filters),
        exactly("none"),
        "low",
        "Each packet passes every hook; without iptables a server was a fifth faster.",
        "talawah.io; T2T",
        needs=(on_ec2,),
        absence=not_in_kernel("this kernel has no modules"),
        risk="The security group must carry all of the filtering.",
        setting=Advice("blacklist the modules in /etc/modprobe.d where the security group filters, and boot"),
        confidence=0.8,
    ),
    sysctl(
        "network.idle_restart",
        "TCP does not start slowly after a pause",
        f"{TCP}_slow_start_after_idle",
        exactly(0),
        "medium",
        "A burst after a quiet second would wait for acknowledgements again.",
        "kernel: ip-sysctl; T2T",
        risk="A burst may meet a path that has become narrower.",
    ),
    sysctl(
        "network.autocorking",
        "TCP sends a small segment at once",
        f"{TCP}_autocorking",
        exactly(0),
        "medium",
        "It holds a small segment back while another one is on its way through the adapter.",
        "kernel: ip-sysctl",
        risk="More and smaller packets.",
    ),
    sysctl(
        "network.fast_open",
        "TCP takes data with the first segment",
        f"{TCP}_fastopen",
        Between(3, low=1, high=3),
        "low",
        "It saves a round trip for who asks for it, and costs nothing else.",
        "tuned: network-latency",
        risk="None where nobody asks for it.",
        default=1,
    ),
    sysctl(
        "network.keepalive",
        "An idle connection is not forgotten outside",
        f"{TCP}_keepalive_time",
        Between(300, low=1, high=349, unit=" s"),
        "medium",
        "The card forgets a flow that was idle for 350 s, and its next packet takes the slow path.",
        "EC2: Nitro considerations",
        needs=(on_ec2,),
        risk="A packet each way for every idle connection.",
    ),
    sysctl(
        "network.timestamps",
        "TCP timestamps are on",
        f"{TCP}_timestamps",
        OneOf((1, 2)),
        "low",
        "They make round-trip estimates, and so retransmission timers, exact; switching them off is folklore.",
        "kernel: ip-sysctl; against BP",
        risk="12 bytes a segment.",
        default=1,
    ),
    sysctl(
        "network.sack",
        "Selective acknowledgement is on",
        f"{TCP}_sack",
        exactly(1),
        "medium",
        "Without it one lost packet costs the retransmission of all that followed.",
        "kernel: ip-sysctl; against BP",
        risk="Headers may outgrow small descriptors of the adapter.",
        default=1,
    ),
)
