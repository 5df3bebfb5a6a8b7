# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupts by their names: a number is another one after each reset of the device, the name stays."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .host import Host

if TYPE_CHECKING:
    from .check import Machine

ACTION = re.compile(r"(?:\d+-(?:edge|level|fasteoi)|\s(?:Edge|Level))(?:\s+(?P<action>.*\S))?\s*$")
"""What follows the way in which the interrupt is triggered; nothing for a vector without a handler."""
QUEUE = re.compile(r"(?:-|\.)(\d+)$")
MANAGEMENT = "ena-mgmnt@"


def numbers(host: Host) -> dict[str, int]:
    """Return the interrupts that have a handler, by its name.

    Raises:
        AbsentError: there is no /proc/interrupts.

    """
    found: dict[str, int] = {}
    for line in host.read("/proc/interrupts").splitlines():
        number, colon, rest = line.partition(":")
        match = ACTION.search(rest)
        if colon and number.strip().isdigit() and match and match["action"]:
            found[match["action"]] = int(number)
    return found


def names(machine: Machine, which: str) -> list[str]:
    """Return the names of one kind, in the order of their numbers.

    The kinds are ``interface``: the queues of the judged interfaces, ``ena_management``: the adapter's own, and
    ``all_other``.
    """
    found = numbers(machine.host)
    ordered = sorted(found, key=lambda name: found[name])
    management = [name for name in ordered if MANAGEMENT in name]
    if which == "ena_management":
        return management
    vectors: set[int] = set()
    for interface in machine.facts.interfaces:
        device = f"/sys/class/net/{interface.name}/device"
        # A virtio device is a child of the PCI device that has the interrupts.
        listed = machine.host.names(f"{device}/msi_irqs") or machine.host.names(f"{device}/../msi_irqs")
        vectors.update(int(name) for name in listed if name.isdigit())
    queues = [name for name in ordered if found[name] in vectors and name not in management]
    if which == "interface":
        return queues
    return [name for name in ordered if name not in queues and name not in management]


def queue_of(name: str) -> int:
    """Return the queue of an interrupt, by the number at the end of its name; one without a number goes with the first.

    A pair of queues may have an interrupt each, as virtio has: they go together. The place among all interrupts would
    be another one to the program that sets them again, which looks at one interface.
    """
    number = QUEUE.search(name)
    return int(number[1]) if number else 0
