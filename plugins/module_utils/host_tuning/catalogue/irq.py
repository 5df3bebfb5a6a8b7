# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupts and kernel work: that they happen on the housekeeping CPUs and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .. import interrupts, values
from ..check import (
    Computed,
    Cpus,
    File,
    Machine,
    NotApplicableError,
    OneOf,
    Tunable,
    exactly,
    judged_interfaces,
    parsed,
)
from ..conditions import isolates, not_in_kernel, with_ena
from ..host import AbsentError, UnreadableError
from ..processes import line_of, tasks
from ..settings import Advice, Affinity, KernelParameter, SystemdKey, Unit
from ..shorthand import sysctl, sysfs

HOUSEKEEPING = Cpus("inside", "housekeeping")
BAN_LINE = re.compile(r"(?m)^\s*(?:export\s+)?IRQBALANCE_BANNED_CPULIST=[\"']?([\d,:-]*)[\"']?\s*$")
MANAGED = re.compile(r"nvme\d+q\d+|virtio\d+-req\.\d+")
"""Disks' queues: the kernel manages their interrupts, and refuses to move them (EIO)."""
OF_EVERY_CPU = re.compile(r"timer|pmu\b")
"""Interrupts that each CPU has for itself, whatever their number."""
FOLLOWS_INTERRUPT = re.compile(r"^(irq|napi)/")
"""Kernel threads that run where their interrupt arrives."""
RCU_HELPER = re.compile(r"^rcuo[gpsc]")


def effective(machine: Machine, numbers: Iterable[int]) -> dict[str, Any]:
    """Return where interrupts really arrive, which is a part of where they may.

    A pin takes effect when the interrupt next fires. Until then the kernel shows where it last arrived, outside of the
    pin, or nothing where it never fired: the pin counts.
    """
    found = {}
    for interrupt in numbers:
        path = f"/proc/irq/{interrupt}/effective_affinity_list"
        arrives = parsed(values.cpu_list, machine.host.read(path), path)
        asked = f"/proc/irq/{interrupt}/smp_affinity_list"
        may = parsed(values.cpu_list, machine.host.read(asked), asked)
        found[path] = arrives if arrives and arrives <= may else may
    return found


def interface_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where the interrupts of the judged interfaces arrive, but for management."""
    judged_interfaces(machine)
    known = interrupts.numbers(machine.host)
    names = interrupts.names(machine, "interface")
    if not names:
        raise AbsentError("/sys/class/net/{interface}/device/msi_irqs")
    return effective(machine, [known[name] for name in names])


def management_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where the adapter's management interrupt arrives."""
    known = interrupts.numbers(machine.host)
    names = interrupts.names(machine, "ena_management")
    if not names:
        raise UnreadableError("/proc/interrupts: no line of ena-mgmnt@")
    return effective(machine, [known[name] for name in names])


def other_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where all other interrupts arrive, managed ones and those that each CPU has left out."""
    known = interrupts.numbers(machine.host)
    names = [name for name in interrupts.names(machine, "all_other") if not MANAGED.search(name)]
    movable = [known[name] for name in names if not OF_EVERY_CPU.search(name)]
    if not movable:
        raise NotApplicableError("no interrupt is left that could be moved")
    return effective(machine, movable)


def managed_interrupts(machine: Machine) -> dict[str, Any]:
    """Return where the disks' interrupts arrive that may arrive on a housekeeping CPU.

    One whose mask holds isolated CPUs alone fires only for what is read or written from these.
    """
    known = interrupts.numbers(machine.host)
    found: dict[str, Any] = {}
    for name, number in known.items():
        if not MANAGED.search(name):
            continue
        path = f"/proc/irq/{number}/smp_affinity_list"
        if parsed(values.cpu_list, machine.host.read(path), path) & machine.facts.housekeeping:
            found.update(effective(machine, [number]))
    if not found:
        raise NotApplicableError("no disk has an interrupt that the kernel manages")
    return found


def irqbalance(machine: Machine) -> dict[str, Any]:
    """Tell whether irqbalance may move interrupts to the engine's CPUs."""
    if not any(line_of(machine, path) == "irqbalance" for path in machine.host.matching("/proc/[0-9]*/comm")):
        if not machine.host.matching("/proc/[0-9]*/comm"):
            raise UnreadableError("/proc: no process is in it")
        return {"irqbalance": "not running"}
    for path in ("/etc/default/irqbalance", "/etc/sysconfig/irqbalance"):
        try:
            match = BAN_LINE.search(machine.host.read(path))
        except AbsentError:
            continue
        if match:
            free = machine.facts.isolated - parsed(values.cpu_list, match[1], path)
            return {path: f"may use {values.as_cpu_list(free)}" if free else "keeps off"}
    return {"its default": "keeps off"}


def irqbalance_at_boot(text: str, machine: Machine) -> str:
    """Tell what a unit's state makes of it at the next boot; one that runs now keeps its bans, which are in a file."""
    if text != "enabled":
        return "not running"
    (now,) = irqbalance(machine).values()
    return "starts" if now == "not running" else str(now)


def kernel_threads(machine: Machine) -> dict[str, Any]:
    """Return the CPUs of kernel threads that can run anywhere, RCU's helpers left out."""
    found = {
        task.name: task.cpus
        for task in tasks(machine)
        if task.of_kernel
        and task.movable
        and not FOLLOWS_INTERRUPT.search(task.name)
        and not RCU_HELPER.search(task.name)
    }
    if not found:
        raise UnreadableError("/proc/*/status: no kernel thread in it that could be moved")
    return found


def rcu_helpers(machine: Machine) -> dict[str, Any]:
    """Return the CPUs of the threads that run the callbacks of CPUs that are spared them."""
    found = {task.name: task.cpus for task in tasks(machine) if task.of_kernel and RCU_HELPER.search(task.name)}
    if not found:
        raise NotApplicableError("no CPU is spared RCU's callbacks")
    return found


def stray_processes(machine: Machine) -> dict[str, Any]:
    """Return the processes that may run on housekeeping and isolated CPUs alike."""
    plan = machine.facts
    running = list(tasks(machine))
    if not running:
        raise UnreadableError("/proc/*/status: no process in it")
    stray = sorted(
        {
            task.name
            for task in running
            if not task.of_kernel and task.cpus & plan.isolated and task.cpus & plan.housekeeping
        }
    )
    return {"/proc/*/status": ", ".join(stray) or "none"}


def first_process_cpus(machine: Machine) -> dict[str, Any]:
    """Return the CPUs of process 1, which every service inherits."""
    for line in machine.host.read("/proc/1/status").splitlines():
        name, _colon, value = line.partition(":")
        if name == "Cpus_allowed_list":
            return {"/proc/1/status": parsed(values.cpu_list, value, "/proc/1/status")}
    raise UnreadableError("/proc/1/status: no Cpus_allowed_list")


def systemd_cpus(text: str) -> frozenset[int]:
    """Read ``0-3 8``, which systemd takes as well as commas."""
    return values.cpu_list(",".join(text.replace(",", " ").split()))


IRQ: tuple[Tunable, ...] = (
    Tunable(
        "irq.default_affinity",
        "New interrupts start on housekeeping CPUs",
        File("/proc/irq/default_smp_affinity", values.cpu_mask),
        HOUSEKEEPING,
        "high",
        "A device that resets asks for its interrupts again, and they start from this mask.",
        "kernel: irqaffinity; OpenShift node tuning",
        needs=(isolates,),
        risk="The housekeeping CPUs handle what all of them would.",
        setting=KernelParameter("irqaffinity"),
        persists=lambda text, _machine: values.cpu_list(text),
    ),
    Tunable(
        "irq.interface",
        "The adapter's interrupts arrive on housekeeping CPUs",
        Computed("/proc/irq/*/effective_affinity_list", interface_interrupts, values.cpu_list),
        HOUSEKEEPING,
        "critical",
        "A packet's interrupt on the engine's core stops the engine for the length of the handler.",
        "BP; tuned: realtime",
        needs=(isolates,),
        risk="A wrong map puts every queue on one core.",
        setting=Affinity("interface"),
    ),
    Tunable(
        "irq.ena_management",
        "The adapter's management interrupt arrives on a housekeeping CPU",
        Computed("/proc/interrupts ena-mgmnt@", management_interrupts, values.cpu_list),
        HOUSEKEEPING,
        "high",
        "It fires every second for the keep-alive, and is easily forgotten since it is no queue's.",
        "ENA",
        needs=(with_ena, isolates),
        risk="None.",
        setting=Affinity("ena_management"),
    ),
    Tunable(
        "irq.other",
        "All other interrupts arrive on housekeeping CPUs",
        Computed("/proc/irq/*/effective_affinity_list", other_interrupts, values.cpu_list),
        HOUSEKEEPING,
        "high",
        "A disk or a console that interrupts the engine's core stops it as a packet does.",
        "BP; SEAPATH: issue 865",
        needs=(isolates,),
        risk="None.",
        setting=Affinity("all_other"),
    ),
    Tunable(
        "irq.managed",
        "Disks interrupt housekeeping CPUs where they can",
        Computed("/proc/irq/*/effective_affinity_list", managed_interrupts),
        HOUSEKEEPING,
        "medium",
        "The kernel refuses to move these, and keeps them off isolated CPUs only where it is told at the boot.",
        "kernel: isolcpus=managed_irq",
        needs=(isolates,),
        risk="What is read or written from an isolated CPU still interrupts it.",
        setting=Advice("isolcpus=managed_irq,… among the kernel's parameters, and a boot"),
    ),
    Tunable(
        "irq.irqbalance",
        "irqbalance moves no interrupt to the engine's CPUs",
        Computed("/proc/*/comm irqbalance", irqbalance),
        OneOf(("not running", "keeps off")),
        "high",
        "Setting any ban replaces its default of keeping off isolated CPUs, so a ban that forgets one hands it over.",
        "irqbalance(1); BP",
        needs=(isolates,),
        risk="Interrupts that nobody pins stay where they are, however busy that CPU is.",
        setting=Unit("irqbalance.service", "masked"),
        persists=irqbalance_at_boot,
        default="not running",
    ),
    sysfs(
        "irq.workqueues",
        "Unbound kernel workers run on housekeeping CPUs",
        "/sys/devices/virtual/workqueue/cpumask",
        HOUSEKEEPING,
        "high",
        "Unbound kernel work otherwise runs on whatever CPU is idle, and an isolated one often is.",
        "tuned: cpu-partitioning",
        values.cpu_mask,
        needs=(isolates,),
        risk="Work that all CPUs would share waits for a few.",
    ),
    sysfs(
        "irq.writeback",
        "Writeback runs on housekeeping CPUs",
        "/sys/devices/virtual/workqueue/writeback/cpumask",
        HOUSEKEEPING,
        "medium",
        "Writing dirty pages back takes milliseconds at a time.",
        "tuned: cpu-partitioning",
        values.cpu_mask,
        needs=(isolates,),
        absence=not_in_kernel("this kernel does not show the writeback workers"),
        risk="None.",
    ),
    Tunable(
        "irq.services",
        "Services start on housekeeping CPUs",
        Computed("/proc/1/status Cpus_allowed_list", first_process_cpus, systemd_cpus),
        HOUSEKEEPING,
        "high",
        "Every service inherits the CPUs of process 1 unless its unit says otherwise.",
        "tuned: cpu-partitioning; OpenShift node tuning",
        needs=(isolates,),
        risk="Services share what is left of the CPUs.",
        setting=SystemdKey("/etc/systemd/system.conf.d/90-ironbook.conf", "Manager", "CPUAffinity"),
    ),
    Tunable(
        "irq.kernel_threads",
        "Kernel threads that can run anywhere run on housekeeping CPUs",
        Computed("/proc/*/status Cpus_allowed_list", kernel_threads),
        HOUSEKEEPING,
        "high",
        "kswapd, jbd2 and the like run for milliseconds, and an idle isolated CPU attracts them.",
        "LLTune; canonical/rt-conf",
        needs=(isolates,),
        risk="None.",
        setting=Advice(
            "nohz_full= and isolcpus= keep most off at the boot; the others, such as kswapd: taskset -p LIST PID, as "
            "ironbook-kernel-threads.service of the role host_tuning does at each boot"
        ),
    ),
    Tunable(
        "irq.rcu_helpers",
        "RCU's helpers run on housekeeping CPUs",
        Computed("/proc/*/status rcuo*", rcu_helpers),
        HOUSEKEEPING,
        "medium",
        "The callbacks were taken from the engine's core to be run elsewhere, and not in a thread on the same one.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
        risk="None.",
        setting=Advice("taskset -p LIST PID for each rcuo* thread, as ironbook-kernel-threads.service does"),
    ),
    Tunable(
        "irq.processes",
        "No process may run on the engine's CPUs beside its own",
        Computed("/proc/*/status Cpus_allowed_list", stray_processes),
        exactly("none"),
        "high",
        "A service with CPUs of its own undoes what process 1 was told.",
        "tuned: cpu-partitioning",
        needs=(isolates,),
        risk="None.",
        setting=Advice("CPUAffinity= in its unit, or none there so that systemd's own counts; then restart it"),
    ),
    sysctl(
        "irq.watchdog_cpus",
        "Watchdogs look after housekeeping CPUs alone",
        "kernel.watchdog_cpumask",
        HOUSEKEEPING,
        "medium",
        "A watchdog is a timer and a thread of the highest priority on each CPU that it looks after.",
        "tuned: cpu-partitioning; kernel: nohz_full",
        values.cpu_list,
        needs=(isolates,),
        absence=not_in_kernel("this kernel is built without watchdogs"),
        risk="Nobody notices when an isolated CPU hangs.",
    ),
)
