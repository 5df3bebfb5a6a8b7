# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapter: the driver, its moderation, queues and rings, and what its counters tell."""

from __future__ import annotations

import re
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
)
from ..conditions import not_in_kernel, on_ec2, surely_can, with_ena
from ..facts import Facts
from ..host import UnreadableError
from ..settings import Advice, EthtoolValue, Sysfs
from ..shorthand import ethtool, of_ena

PARAMETERS = "/sys/module/ena/parameters"
OLD_DRIVER = not_in_kernel("the driver in the kernel's own tree has no such parameter")
SMALL_RING, LARGE_RING = 512, 1024


def drivers(machine: Machine) -> dict[str, Any]:
    """Return the driver of each judged interface."""
    return {interface.name: interface.driver for interface in judged_interfaces(machine)}


def send_ring(facts: Facts) -> int:
    """Return the longest send ring that the adapter takes: large descriptors halve it."""
    return SMALL_RING if facts.can("large_llq") else LARGE_RING


def spread(machine: Machine) -> dict[str, Any]:
    """Return how many queues each interface's table of hashes leads to, and whether these are all of them."""
    found = {}
    for interface in judged_interfaces(machine):
        queues = machine.ethtool.values(interface.name).get("channels-combined", 0)
        text = machine.runner.run("ethtool", "-x", interface.name)
        rows = re.findall(r"(?m)^\s*\d+:((?:\s+\d+)+)\s*$", text)
        used = {int(queue) for row in rows for queue in row.split()}
        if not used or not queues:
            raise UnreadableError(f"ethtool -x {interface.name}: no table in it")
        found[interface.name] = "all of them" if used == set(range(queues)) else f"{len(used)} of {queues}"
    return found


def discipline(machine: Machine) -> dict[str, Any]:
    """Return how each interface's queues order packets: the leaves of what tc shows."""
    found = {}
    for interface in judged_interfaces(machine):
        text = machine.runner.run("tc", "qdisc", "show", "dev", interface.name)
        kinds = re.findall(r"(?m)^qdisc (\S+)", text)
        if not kinds:
            raise UnreadableError(f"tc qdisc show dev {interface.name}: no discipline in it")
        leaves = sorted({kind for kind in kinds if kind != "mq"} or {"mq"})
        found[interface.name] = " ".join(leaves)
    return found


ADAPTER: tuple[Tunable, ...] = (
    Tunable(
        "adapter.driver",
        "The adapter is an ENA",
        Computed("/sys/class/net/{interface}/device/driver", drivers),
        exactly("ena"),
        "critical",
        "Every other adapter of EC2 is an emulated one, slower by an order of magnitude.",
        "EC2: enhanced networking; HFT-04",
        needs=(on_ec2,),
        risk="None.",
        setting=Advice("choose an instance type of the Nitro system, and an image with EnaSupport"),
    ),
    Tunable(
        "adapter.ena_version",
        "The ENA driver is recent",
        File("/sys/module/ena/version", values.version),
        Between((2, 2, 9), low=(2, 2, 9)),
        "medium",
        "2.2.9 brought the accelerated path of Nitro version 3 and later.",
        "BP; EC2: Nitro considerations",
        needs=(with_ena,),
        absence=not_in_kernel("the driver in the kernel's own tree has no version but the kernel's"),
        risk="A driver outside the kernel's tree must be built for each new kernel, or the network is gone.",
        setting=Advice("the role ena_driver"),
    ),
    ethtool(
        "adapter.rx_moderation",
        "A received packet interrupts at once",
        "rx-usecs",
        Between(0, high=2, unit=" µs"),
        "critical",
        "The adapter's default holds a packet back for 20 µs to spare interrupts.",
        "EC2: network latency; BP",
        risk="An interrupt for each packet can fill a core; 1 to 2 µs is the usual compromise.",
    ),
    ethtool(
        "adapter.rx_adaptive",
        "Receive moderation does not adapt",
        "adaptive-rx",
        exactly(False),
        "high",
        "Adaptive moderation raises the delay exactly when a burst arrives.",
        "EC2: network latency; BP",
        risk="More interrupts in a burst.",
    ),
    ethtool(
        "adapter.tx_moderation",
        "A sent packet is completed at once",
        "tx-usecs",
        Between(0, high=2, unit=" µs"),
        "high",
        "The default of 64 µs delays the release of buffers, and with it back pressure.",
        "BP",
        risk="More interrupts.",
    ),
    ethtool(
        "adapter.queues",
        "No more queues than cores for them",
        "channels-combined",
        FromFacts(lambda facts: facts.queues or len(facts.housekeeping), "at_most"),
        "high",
        "A queue without a housekeeping core of its own interrupts a core that has other work.",
        "BP; EC2: ENA queues",
        risk="The change stops traffic for less than a millisecond, and sets interrupts and hash table back.",
    ),
    ethtool(
        "adapter.rx_ring",
        "The receive ring is neither short nor deep",
        "ring-rx",
        Between(1024, low=256, high=4096),
        "medium",
        "A short ring drops a burst, a deep one hides that the host is too slow.",
        "BP",
        risk="The change drops what is in the ring.",
        default=of_ena(1024),
    ),
    ethtool(
        "adapter.tx_ring",
        "The send ring is as long as the adapter takes",
        "ring-tx",
        FromFacts(send_ring, "at_most"),
        "low",
        "ENA takes 1024 at most, 512 with large descriptors, and rejects a call that asks for more as a whole.",
        "BP; ENA",
        risk="The change drops what is in the ring.",
        default=of_ena(send_ring),
    ),
    Tunable(
        "adapter.llq",
        "Packets are pushed to the adapter",
        Offload("g", "ring-tx-push", switch=True, by_command=True),
        exactly(True),
        "high",
        "Without push mode the adapter fetches each descriptor from memory, which takes several µs.",
        "BP",
        needs=(with_ena,),
        risk="None.",
        setting=Advice("it is automatic: see the kernel's log of the ena driver for why it fell back to host mode"),
    ),
    Tunable(
        "adapter.large_llq",
        "Descriptors have the size that the card is best at",
        File("/sys/class/net/{interface}/device/large_llq_header", values.number),
        FromFacts(lambda facts: int(bool(facts.can("large_llq")))),
        "low",
        "Small ones hold headers of 96 bytes, large ones halve the ring.",
        "ENA; BP",
        needs=(with_ena,),
        absence=not_in_kernel("this driver has no such file"),
        risk="With small ones a packet whose headers are longer than 96 bytes is dropped.",
        setting=Sysfs("/sys/class/net/{interface}/device/large_llq_header"),
        default=lambda machine: int(bool(machine.facts.can("large_llq"))),
    ),
    Tunable(
        "adapter.byte_limits",
        "The driver does not limit the bytes in flight",
        File(f"{PARAMETERS}/enable_bql", values.number),
        exactly(0),
        "low",
        "Limits hold a packet back that the ring has room for.",
        "ENA",
        needs=(with_ena,),
        absence=OLD_DRIVER,
        risk="None.",
        setting=Advice("enable_bql=0 among the options of ena in /etc/modprobe.d, and the initramfs anew"),
    ),
    Tunable(
        "adapter.page_cache",
        "The driver keeps pages for received packets",
        File(f"{PARAMETERS}/lpc_size", values.number),
        Between(2, low=1, high=32),
        "low",
        "A page from its own cache spares the allocator's locks.",
        "ENA",
        needs=(with_ena,),
        absence=OLD_DRIVER,
        risk="A little memory for each queue; fewer than 16 queues switch it off before 2.13.0.",
        setting=Advice("lpc_size=2 among the options of ena in /etc/modprobe.d, and the initramfs anew"),
    ),
    Tunable(
        "adapter.fragment_bypass",
        "Fragments are counted as any packet",
        File(f"{PARAMETERS}/enable_frag_bypass", values.number),
        exactly(0),
        "low",
        "The bypass has an allowance of its own, and drops what is above it.",
        "ENA",
        needs=(with_ena,),
        absence=OLD_DRIVER,
        risk="None.",
        setting=Advice("enable_frag_bypass=0 among the options of ena in /etc/modprobe.d, and the initramfs anew"),
    ),
    Tunable(
        "adapter.copybreak",
        "Small packets are copied and keep their page",
        Offload("-get-tunable", "rx-copybreak"),
        Between(256, low=200, high=1024),
        "low",
        "Market data fits, and a copy is faster than a new page for the ring.",
        "ENA",
        needs=(with_ena,),
        risk="None.",
        setting=Advice("ethtool --set-tunable INTERFACE rx-copybreak 256"),
    ),
    Tunable(
        "adapter.hash_table",
        "Received flows spread over all queues",
        Computed("ethtool -x {interface}", spread),
        exactly("all of them"),
        "medium",
        "A table from before a change of the queues leaves some idle and others full.",
        "BP",
        needs=(with_ena,),
        absence=not_in_kernel("there is no ethtool command to ask"),
        risk="Each flow may move to another queue.",
        setting=Advice("ethtool -X INTERFACE equal QUEUES"),
    ),
    Tunable(
        "adapter.flow_steering",
        "The adapter takes rules for flows",
        Offload("k", "ntuple-filters", switch=True),
        exactly(True),
        "low",
        "A session's flow can be given the queue whose core is nearest to the engine's.",
        "ENA",
        needs=(surely_can("flow_steering", "flow steering"),),
        risk="None without rules.",
        setting=EthtoolValue("K", "ntuple"),
    ),
    Tunable(
        "adapter.queue_discipline",
        "The interface sends packets in the order of their arrival",
        Computed("tc qdisc show dev {interface}", discipline),
        OneOf(("pfifo_fast", "noqueue", "pfifo", "mq")),
        "medium",
        "fq_codel hashes flows and drops on delay, whatever the default is now that was another when it came up.",
        "kernel: default_qdisc",
        absence=not_in_kernel("there is no tc command to ask"),
        risk="A burst that is not paced can overflow the adapter.",
        setting=Advice("tc qdisc replace dev INTERFACE root mq, or a boot with net.core.default_qdisc=pfifo_fast"),
    ),
)
