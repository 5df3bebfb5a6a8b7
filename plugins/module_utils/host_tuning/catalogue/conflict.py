# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0913, PLR0917  (an entry of the catalogue is a row of a table)
"""Conflicts: settings that undo each other, and settings that were copied from somewhere and do nothing or harm.

Each is a state that somebody made: `harmful` and not `drift`, and named only where both sides of it are really there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import interrupts, persistence, values
from ..check import Computed, File, Machine, NotApplicableError, Tunable, exactly, parsed
from ..conditions import isolates, not_in_kernel, on_ec2, with_ena
from ..host import AbsentError
from ..settings import Advice
from .clock import clock_devices
from .cpu import isolcpus_cpus
from .irq import irqbalance

CPU_PATH = "/sys/devices/system/cpu"
NONE = "none"
EXPRESS_MTU = 8900
SHORT_RING = 512
GONE_KEYS = frozenset(
    {
        "vm.mlockall",
        "kernel.sched_min_granularity_ns",
        "kernel.sched_wakeup_granularity_ns",
        "kernel.sched_migration_cost_ns",
        "kernel.sched_latency_ns",
        "kernel.sched_nr_migrate",
        "net.ipv4.tcp_tw_recycle",
        "net.ipv4.tcp_fack",
    }
)
"""Keys that guides still name, which no kernel ever had or current ones have no more."""


def conflict(
    name: str, title: str, read: Callable[[Machine], str], why: str, source: str, fix: str, **more: Any
) -> Tunable:
    """Describe a contradiction; the reader says what contradicts what, or that nothing does."""
    return Tunable(
        f"conflict.{name}",
        title,
        Computed(more.pop("path"), lambda machine: {name: read(machine)}),
        exactly(NONE),
        more.pop("severity", "high"),
        why,
        source,
        risk="None.",
        setting=Advice(fix),
        wrong="harmful",
        **more,
    )


def cpus_of(machine: Machine, path: str) -> frozenset[int]:
    """Read a CPU list that may be missing, which is no CPU."""
    try:
        cpus: frozenset[int] = parsed(values.cpu_list, machine.host.read(path), path)
    except AbsentError:
        return frozenset()
    return cpus


def told(machine: Machine, name: str, parse: Callable[[str], frozenset[int]] = values.cpu_list) -> frozenset[int]:
    """Return the CPUs of a kernel parameter; none where it is not there."""
    value = machine.facts.command_line.get(name)
    cpus: frozenset[int] = frozenset() if value is None else parsed(parse, value, f"/proc/cmdline {name}=")
    return cpus


def isolation_lists(machine: Machine) -> str:
    """Compare what is isolated, what has no tick, and whose RCU callbacks run elsewhere."""
    lists = {
        "isolcpus": cpus_of(machine, f"{CPU_PATH}/isolated"),
        "nohz_full": cpus_of(machine, f"{CPU_PATH}/nohz_full"),
        "rcu_nocbs": told(machine, "rcu_nocbs"),
    }
    given = {name: cpus for name, cpus in lists.items() if cpus}
    if len(set(given.values())) <= 1:
        return NONE
    return ", ".join(f"{name} {values.as_cpu_list(cpus)}" for name, cpus in given.items())


def irqaffinity_overlap(machine: Machine) -> str:
    """Compare where interrupts start with what is isolated."""
    both = told(machine, "irqaffinity") & told(machine, "isolcpus", isolcpus_cpus)
    return f"CPU {values.as_cpu_list(both)} in both" if both else NONE


def first_cpu(machine: Machine) -> str:
    """Tell whether the boot isolated CPU 0."""
    asked = told(machine, "isolcpus", isolcpus_cpus) | told(machine, "nohz_full")
    return "CPU 0 is isolated" if 0 in asked else NONE


def divided_cores(machine: Machine) -> str:
    """Return the isolated CPUs whose sibling is not isolated."""
    isolated = cpus_of(machine, f"{CPU_PATH}/isolated")
    divided = []
    for cpu in sorted(isolated):
        siblings = cpus_of(machine, f"{CPU_PATH}/cpu{cpu}/topology/thread_siblings_list")
        if siblings - isolated:
            divided.append(cpu)
    return f"CPU {values.as_cpu_list(divided)} with a sibling that is not" if divided else NONE


def pins_and_balancer(machine: Machine) -> str:
    """Tell whether irqbalance runs beside pins of our own."""
    if set(irqbalance(machine).values()) == {"not running"}:
        return NONE
    pinned = persistence.text_of(machine.host, persistence.REAPPLY_FILE)
    return "irqbalance runs, and interrupts are pinned" if '"affinity"' in pinned else NONE


def dirty_pair(machine: Machine) -> str:
    """Tell whether files set both a ratio and a size of dirty memory, of which the kernel keeps the last."""
    for which in ("dirty", "dirty_background"):
        pair = [persistence.sysctl(machine.host, f"vm.{which}_{unit}") for unit in ("ratio", "bytes")]
        if all(each is not None and each.value not in ("", "0") for each in pair):
            return f"vm.{which}_ratio and vm.{which}_bytes"
    return NONE


def unlimited_everywhere(machine: Machine) -> str:
    """Tell whether real-time threads are never stopped, although no CPU is kept for the rest."""
    path = "/proc/sys/kernel/sched_rt_runtime_us"
    limit = parsed(values.number, machine.host.read(path), path)
    isolated = cpus_of(machine, f"{CPU_PATH}/isolated")
    return "never stopped, and no CPU is isolated" if limit == -1 and not isolated else NONE


def express_and_mtu(machine: Machine) -> str:
    """Tell whether ENA Express is on while frames are longer than it takes."""
    for interface in machine.facts.interfaces:
        path = f"/sys/class/net/{interface.name}/mtu"
        mode = machine.ethtool.counters(interface.name).get("ena_srd_mode")
        if mode is None:
            raise NotApplicableError("the driver does not know ENA Express")
        if mode and parsed(values.number, machine.host.read(path), path) > EXPRESS_MTU:
            return f"{interface.name}: ENA Express is on, and the MTU is above {EXPRESS_MTU}"
    return NONE


def large_descriptors(machine: Machine) -> str:
    """Tell whether a send ring is asked for that large descriptors do not leave room for."""
    for interface in machine.facts.interfaces:
        path = f"/sys/class/net/{interface.name}/device/large_llq_header"
        large = parsed(values.number, machine.host.read(path), path)
        ring = machine.ethtool.values(interface.name).get("ring-tx", 0)
        if large and ring > SHORT_RING and (machine.facts.nitro or 0) <= 4:
            return f"{interface.name}: large descriptors, and a send ring of {ring}"
    return NONE


def missing_clock(machine: Machine) -> str:
    """Tell whether a clock of the adapter is asked on a type that has none."""
    if machine.facts.can("precision_time") is False and clock_devices(machine):
        return f"refclock PHC on a {machine.facts.instance_type}"
    return NONE


def queue_on_engine(machine: Machine) -> str:
    """Return the isolated CPUs of this boot that the adapter's interrupts are pinned to."""
    isolated = cpus_of(machine, f"{CPU_PATH}/isolated")
    known = interrupts.numbers(machine.host)
    hit: frozenset[int] = frozenset()
    for name in interrupts.names(machine, "interface"):
        path = f"/proc/irq/{known[name]}/smp_affinity_list"
        asked = cpus_of(machine, path)
        hit |= asked & isolated if asked <= isolated else frozenset()
    return f"CPU {values.as_cpu_list(hit)}" if hit else NONE


def gone_keys(machine: Machine) -> str:
    """Return the keys that files set and that this kernel does not have, of those that guides still name."""
    found = set()
    paths = persistence.drop_ins(machine.host, "sysctl.d", ".conf")
    if machine.host.exists("/etc/sysctl.conf"):
        paths.append("/etc/sysctl.conf")
    for path in paths:
        for key, _value in persistence.sysctl_lines(persistence.text_of(machine.host, path)):
            dotted = key.replace("/", ".")
            if dotted in GONE_KEYS and not machine.host.exists(f"/proc/sys/{key}"):
                found.add(dotted)
    return ", ".join(sorted(found)) or NONE


CONFLICT: tuple[Tunable, ...] = (
    conflict(
        "isolation_lists",
        "What is isolated, tickless and spared RCU is one set of CPUs",
        isolation_lists,
        "A CPU that has one of the three alone pays for it and is interrupted all the same.",
        "tuned: cpu-partitioning",
        "the same list in isolcpus=, nohz_full= and rcu_nocbs=",
        path="/proc/cmdline isolcpus=, nohz_full=, rcu_nocbs=",
    ),
    conflict(
        "interrupts_on_isolated",
        "No interrupt starts on an isolated CPU",
        irqaffinity_overlap,
        "irqaffinity= names CPUs that isolcpus= has taken away.",
        "SEAPATH: issue 868",
        "irqaffinity= with the housekeeping CPUs alone",
        path="/proc/cmdline irqaffinity=, isolcpus=",
    ),
    conflict(
        "first_cpu",
        "CPU 0 keeps house",
        first_cpu,
        "The kernel's own work stays on CPU 0 whatever is asked for.",
        "kernel: nohz_full",
        "a plan whose isolated CPUs begin above 0",
        path="/proc/cmdline isolcpus=, nohz_full=",
    ),
    conflict(
        "divided_cores",
        "No core is half isolated",
        divided_cores,
        "The sibling that keeps house takes the caches and units of the one that is isolated.",
        "EC2: CPU options; tuned: cpu-partitioning",
        "nosmt, or both siblings in the same list",
        path=f"{CPU_PATH}/cpu*/topology/thread_siblings_list",
    ),
    conflict(
        "pins_and_balancer",
        "Interrupts are either pinned or balanced",
        pins_and_balancer,
        "irqbalance moves what was pinned, minutes later and without a word.",
        "BP; OpenShift node tuning: issue 396",
        "systemctl mask --now irqbalance.service",
        path=persistence.REAPPLY_FILE,
        absence=not_in_kernel("no process is shown"),
    ),
    conflict(
        "queue_on_engine",
        "No queue of the adapter is pinned to an isolated CPU",
        queue_on_engine,
        "The pin and the isolation cannot both be meant.",
        "BP",
        "the plan's map of interrupts: playbook tune_hosts",
        path="/proc/irq/*/smp_affinity_list",
        needs=(isolates,),
        severity="critical",
    ),
    conflict(
        "dirty_pair",
        "Dirty memory is limited by a share or by a size",
        dirty_pair,
        "The kernel sets one to 0 when the other is written, so that the order of two lines decides.",
        "kernel: sysctl/vm; against T2T",
        "one of the two keys in sysctl.d",
        path="/etc/sysctl.d vm.dirty_{ratio,bytes}",
        severity="medium",
    ),
    conflict(
        "unlimited_everywhere",
        "Real-time threads without a limit have CPUs of their own",
        unlimited_everywhere,
        "One that spins on a CPU that all share stops the kernel's own work there for ever.",
        "tuned: realtime",
        "isolate CPUs first, or kernel.sched_rt_runtime_us=950000",
        path="/proc/sys/kernel/sched_rt_runtime_us",
    ),
    conflict(
        "express_and_mtu",
        "ENA Express is on only where frames are short enough",
        express_and_mtu,
        "A longer frame takes the ordinary way, so that packets of a flow take two.",
        "EC2: ENA Express",
        f"ip link set INTERFACE mtu {EXPRESS_MTU}, or ENA Express off",
        path="ethtool -S {interface}: ena_srd_mode",
        needs=(on_ec2, with_ena),
        severity="medium",
    ),
    conflict(
        "large_descriptors",
        "The send ring has room for large descriptors",
        large_descriptors,
        "Large descriptors leave room for 512, and a call that asks for more is rejected as a whole.",
        "ENA; BP",
        "ethtool -G INTERFACE tx 512, or large_llq_header 0",
        path="/sys/class/net/{interface}/device/large_llq_header",
        needs=(with_ena,),
        absence=not_in_kernel("this driver has no large descriptors"),
        severity="medium",
    ),
    conflict(
        "missing_clock",
        "A clock of the adapter is asked only where there is one",
        missing_clock,
        "chrony waits for a device that never comes, and whoever reads its file believes in microseconds.",
        "EC2: Amazon Time Sync",
        "the line refclock PHC out of chrony's configuration",
        path="/etc/chrony refclock PHC",
        needs=(on_ec2,),
        absence=not_in_kernel("chrony is not installed"),
        severity="medium",
    ),
    Tunable(
        "conflict.low_latency_key",
        "TCP's key that does nothing is not set",
        File("/proc/sys/net/ipv4/tcp_low_latency", values.number),
        exactly(0),
        "low",
        "It has had no effect since kernel 4.14, so whoever set it tuned something else than he believes.",
        "kernel: ip-sysctl; against T2T, LLTune",
        absence=not_in_kernel("this kernel no longer has it"),
        risk="None.",
        setting=Advice("take net.ipv4.tcp_low_latency out of sysctl.d"),
        default=0,
        wrong="harmful",
    ),
    conflict(
        "gone_keys",
        "No file sets keys that the kernel does not have",
        gone_keys,
        "They are skipped in silence, and a reader of the file believes in them.",
        "against T2T: vm.mlockall, kernel.sched_min_granularity_ns",
        "those lines out of sysctl.d",
        path="/etc/sysctl.d",
        severity="low",
    ),
)
