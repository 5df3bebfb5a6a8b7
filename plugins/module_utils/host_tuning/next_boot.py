# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs that a host will have at its next boot, where that is passed `nosmt`: the second threads are gone then.

What is kept for the boot is made for the CPUs of then, so that a run after the boot, of the same wishes, finds each
line as it would write it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from . import persistence, values
from .host import AbsentError, Host, UnreadableError
from .settings import KernelParameter

if TYPE_CHECKING:
    from .check import Machine, Tunable
    from .plan import Plan

NOSMT = "nosmt"


def next_boot(machine: Machine, tunables: Iterable[Tunable] = ()) -> Machine:
    """Return the host with the CPUs of its next boot.

    Args:
        machine: the host as it is.
        tunables: what is about to be set, which may have `nosmt` passed.

    """
    if persistence.kernel_parameter(machine.host, NOSMT) is None and not _will_pass(machine, tunables):
        return machine
    gone = second_threads(machine.host, machine.facts.cpus)
    if not gone:
        return machine
    facts = replace(machine.facts, cpus=machine.facts.cpus - gone, isolated=machine.facts.isolated - gone)
    return replace(machine, facts=facts, plan=_without(machine.plan, gone) if machine.plan else None)


def second_threads(host: Host, cpus: frozenset[int]) -> frozenset[int]:
    """Return all CPUs that are not the first thread of their core."""
    found = set()
    for cpu in cpus:
        try:
            siblings = values.cpu_list(host.read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
        except (AbsentError, UnreadableError, ValueError):
            continue
        if siblings and cpu != min(siblings):
            found.add(cpu)
    return frozenset(found)


def _will_pass(machine: Machine, tunables: Iterable[Tunable]) -> bool:
    wanted = any(
        isinstance(tunable.setting, KernelParameter)
        and tunable.setting.name == NOSMT
        and not tunable.not_applicable(machine.facts)
        for tunable in tunables
    )
    return wanted and persistence.boot_loader(machine.host) != "none"


def _without(plan: Plan, gone: frozenset[int]) -> Plan:
    """Take CPUs out of a plan, as a plan without them is made from the same wishes."""
    kept = [cpu for cpu in dict.fromkeys(plan.interrupts) if cpu not in gone] or list(plan.interrupts)
    return replace(
        plan,
        housekeeping=plan.housekeeping - gone,
        isolated=plan.isolated - gone,
        engine=plan.engine - gone or plan.engine,
        management=plan.management - gone,
        interrupts=tuple(kept[queue % len(kept)] for queue in range(plan.queues)),
    )
