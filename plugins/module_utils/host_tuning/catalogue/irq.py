# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupts and kernel work: that they happen on the housekeeping CPUs and nowhere else."""

from __future__ import annotations

import re
from typing import Any

from .. import values
from ..check import (
    Computed,
    Cpus,
    File,
    Machine,
    NotApplicableError,
    Tunable,
    isolates,
    judged_interfaces,
    not_in_kernel,
    parsed,
    with_ena,
)
from ..host import AbsentError, UnreadableError

HOUSEKEEPING = Cpus("inside", "housekeeping")
BAN_LINE = re.compile(r"(?m)^\s*(?:export\s+)?IRQBALANCE_BANNED_CPULIST=[\"']?([\d,:-]*)[\"']?\s*$")


def effective(machine: Machine, interrupts: list[str]) -> dict[str, Any]:
    """Return where interrupts really arrive; the requested mask may be another one."""
    found = {}
    for interrupt in interrupts:
        path = f"/proc/irq/{interrupt}/effective_affinity_list"
        found[path] = parsed(values.cpu_list, machine.host.read(path), path)
    return found


def interface_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where the interrupts of the judged interfaces arrive, but for management, which has a check of its own."""
    management = management_lines(machine)
    found: dict[str, Any] = {}
    for interface in judged_interfaces(machine):
        device = f"/sys/class/net/{interface.name}/device"
        # A virtio device is a child of the PCI device that has the interrupts.
        interrupts = machine.host.names(f"{device}/msi_irqs") or machine.host.names(f"{device}/../msi_irqs")
        if not interrupts:
            raise AbsentError(f"{device}/msi_irqs")
        found.update(effective(machine, [name for name in interrupts if name not in management]))
    return found


def management_lines(machine: Machine) -> list[str]:
    """Return the adapter's management interrupts, by their name in /proc/interrupts."""
    lines = machine.host.read("/proc/interrupts").splitlines()
    return [line.split(":")[0].strip() for line in lines if "ena-mgmnt@" in line]


def management_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where the adapter's management interrupt arrives."""
    interrupts = management_lines(machine)
    if not interrupts:
        raise UnreadableError("/proc/interrupts: no line of ena-mgmnt@")
    return effective(machine, interrupts)


def irqbalance_bans(machine: Machine) -> dict[str, Any]:
    """Return the CPUs that a running irqbalance keeps off."""
    running = [path for path in machine.host.matching("/proc/[0-9]*/comm") if _command(machine, path) == "irqbalance"]
    if not running:
        raise NotApplicableError("irqbalance does not run")
    for path in ("/etc/default/irqbalance", "/etc/sysconfig/irqbalance"):
        try:
            match = BAN_LINE.search(machine.host.read(path))
        except AbsentError:
            continue
        if match:
            return {path: parsed(values.cpu_list, match[1], path)}
    return {"its default": machine.facts.isolated}


def _command(machine: Machine, path: str) -> str:
    try:
        return machine.host.read(path).strip()
    except (AbsentError, UnreadableError):  # the process has ended meanwhile
        return ""


def first_process_cpus(machine: Machine) -> dict[str, Any]:
    """Return the CPUs of process 1, which every service inherits."""
    for line in machine.host.read("/proc/1/status").splitlines():
        name, _colon, value = line.partition(":")
        if name == "Cpus_allowed_list":
            return {"/proc/1/status": parsed(values.cpu_list, value, "/proc/1/status")}
    raise UnreadableError("/proc/1/status: no Cpus_allowed_list")


IRQ: tuple[Tunable, ...] = (
    Tunable(
        "irq.default_affinity",
        "New interrupts start on housekeeping CPUs",
        File("/proc/irq/default_smp_affinity", values.cpu_mask),
        HOUSEKEEPING,
        "high",
        "A device that resets asks for its interrupts again, and they start from this mask.",
        "kernel: irqaffinity",
        needs=(isolates,),
    ),
    Tunable(
        "irq.interface",
        "The adapter's interrupts arrive on housekeeping CPUs",
        Computed("/proc/irq/*/effective_affinity_list", interface_interrupts),
        HOUSEKEEPING,
        "critical",
        "A packet's interrupt on the engine's core stops the engine for the length of the handler.",
        "BP; tuned: realtime",
        needs=(isolates,),
    ),
    Tunable(
        "irq.ena_management",
        "The adapter's management interrupt arrives on a housekeeping CPU",
        Computed("/proc/interrupts ena-mgmnt@", management_interrupts),
        HOUSEKEEPING,
        "high",
        "It fires every second for the keep-alive, and is easily forgotten since it is no queue's.",
        "ENA",
        needs=(with_ena, isolates),
    ),
    Tunable(
        "irq.irqbalance",
        "irqbalance keeps off the engine's CPUs",
        Computed("/etc/default/irqbalance", irqbalance_bans),
        Cpus("cover", "isolated"),
        "high",
        "Setting any ban replaces its default of keeping off isolated CPUs, so a ban that forgets one hands it over.",
        "irqbalance(1)",
        needs=(isolates,),
    ),
    Tunable(
        "irq.workqueues",
        "Unbound kernel workers run on housekeeping CPUs",
        File("/sys/devices/virtual/workqueue/cpumask", values.cpu_mask),
        HOUSEKEEPING,
        "high",
        "Unbound kernel work otherwise runs on whatever CPU is idle, and an isolated one often is.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
    ),
    Tunable(
        "irq.writeback",
        "Writeback runs on housekeeping CPUs",
        File("/sys/devices/virtual/workqueue/writeback/cpumask", values.cpu_mask),
        HOUSEKEEPING,
        "medium",
        "Writing dirty pages back takes milliseconds at a time.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
        absence=not_in_kernel("this kernel does not show the writeback workers"),
    ),
    Tunable(
        "irq.services",
        "Services start on housekeeping CPUs",
        Computed("/proc/1/status Cpus_allowed_list", first_process_cpus),
        HOUSEKEEPING,
        "high",
        "Every service inherits the CPUs of process 1 unless its unit says otherwise.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
    ),
)
