# SPDX-License-Identifier: GPL-3.0-or-later
"""Clock and timers: that reading the time is an instruction, timers fire where they were set, and the time is right."""

from __future__ import annotations

import re
from typing import Any

from .. import values
from ..check import Between, Computed, File, FromFacts, Machine, OneOf, Tunable, exactly, parsed
from ..conditions import isolates, not_in_kernel, on_ec2, surely_can, x86
from ..facts import Facts
from ..host import AbsentError, UnreadableError
from ..settings import Advice, Offered
from ..shorthand import NOT_RUNNING, parameter, stopped_unit, sysctl, sysfs, units

CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0"
TSC_FLAGS = frozenset({"constant_tsc", "nonstop_tsc"})
AMAZON = "169.254.169.123"
AMAZON_IPV6 = "fd00:ec2::123"
CHRONY_FILES = (
    "/etc/chrony/chrony.conf",
    "/etc/chrony.conf",
    "/etc/chrony/conf.d/*.conf",
    "/etc/chrony/sources.d/*.sources",
    "/etc/chrony.d/*.conf",
    "/run/chrony.d/*.sources",
)
NO_CHRONY = not_in_kernel("chrony is not installed")
TRACKING = ("chronyc", "-n", "tracking")
ROLE = Advice("the role time_sync")
PRECISION = surely_can("precision_time", "a clock of its own")
POLL, UNSET_POLL = 4, 10
"""As powers of two of seconds: the wanted one, and chrony's own where nothing is set."""


def best_source(facts: Facts) -> str:
    """Return the clocksource that an instruction reads."""
    return "arch_sys_counter" if facts.architecture == "aarch64" else "tsc"


def virtual_x86(facts: Facts) -> bool:
    """Tell whether the kernel prefers the hypervisor's clock."""
    return facts.architecture == "x86_64" and not facts.metal


def tsc_flags(machine: Machine) -> dict[str, Any]:
    """Return those of the wanted flags that the CPU has."""
    if not machine.facts.cpu_flags:
        raise AbsentError("/proc/cpuinfo flags")
    return {"/proc/cpuinfo flags": " ".join(sorted(TSC_FLAGS & machine.facts.cpu_flags)) or "neither"}


def source_offered(machine: Machine) -> dict[str, Any]:
    """Tell whether the kernel trusts the CPU's counter enough to offer it."""
    path = f"{CLOCKSOURCE}/available_clocksource"
    best = best_source(machine.facts)
    return {path: best if best in machine.host.read(path).split() else f"no {best}"}


def chrony_lines(machine: Machine) -> list[list[str]]:
    """Return the words of each line of chrony's configuration."""
    paths = [path for pattern in CHRONY_FILES for path in machine.host.matching(pattern)]
    if not paths:
        raise AbsentError("/etc/chrony")
    lines = [line.split() for path in paths for line in machine.host.read(path).splitlines()]
    return [words for words in lines if words and words[0][0] not in "#!;%"]


def sources(machine: Machine, address: str) -> list[list[str]]:
    """Return the lines that name a server."""
    return [words for words in chrony_lines(machine) if words[0] in ("server", "peer", "pool") and address in words]


def amazon_source(machine: Machine) -> dict[str, Any]:
    """Tell whether the clock beside the instance is asked."""
    found = sources(machine, AMAZON)
    preferred = any("prefer" in words for words in found) or bool(clock_devices(machine))
    return {AMAZON: ("preferred" if preferred else "asked") if found else "not asked"}


def asked_often(machine: Machine) -> dict[str, Any]:
    """Return the longest time between two questions, as the power of two of seconds that chrony takes."""
    found = sources(machine, AMAZON)
    if not found:
        raise UnreadableError(f"/etc/chrony: {AMAZON} is not asked")
    longest = [after(words, "maxpoll") or str(UNSET_POLL) for words in found]
    return {AMAZON: max(parsed(values.number, word, "/etc/chrony maxpoll") for word in longest)}


def after(words: list[str], name: str) -> str:
    """Return the word behind an option; empty where the option is not there, or the last word."""
    return words[words.index(name) + 1] if name in words[:-1] else ""


def clock_devices(machine: Machine) -> list[list[str]]:
    """Return the lines that name a clock device of the adapter."""
    return [words for words in chrony_lines(machine) if words[:2] == ["refclock", "PHC"]]


def precise(machine: Machine) -> dict[str, Any]:
    """Tell whether the adapter's own clock is asked."""
    return {"refclock PHC": "asked" if clock_devices(machine) else "not asked"}


def bad_words(machine: Machine) -> dict[str, Any]:
    """Return what in chrony's configuration serves a wrong time."""
    lines = chrony_lines(machine)
    found = []
    if any(words[0] == "local" for words in lines):
        found.append("local stratum")
    if any(words[0] == "leapsectz" for words in lines) and sources(machine, AMAZON):
        found.append("leapsectz beside a source that smears")
    if sources(machine, AMAZON) and sources(machine, AMAZON_IPV6):
        found.append("one clock by two addresses")
    return {"/etc/chrony": ", ".join(found) or "nothing"}


def time_keepers(machine: Machine) -> dict[str, Any]:
    """Tell whether chrony runs."""
    found = units(machine)
    names = ("chrony.service", "chronyd.service")
    return {"chrony": "running" if any(found.get(name) == "running" for name in names) else NOT_RUNNING}


def tracking(machine: Machine) -> dict[str, str]:
    """Return what chronyc says of the clock, by the names that it prints."""
    known = dict(
        (name.strip(), value.strip())
        for name, colon, value in (line.partition(":") for line in machine.runner.run(*TRACKING).splitlines())
        if colon
    )
    if "Reference ID" not in known:
        raise UnreadableError("chronyc tracking: not in the known form")
    return known


def error_bound(machine: Machine) -> dict[str, Any]:
    """Return how wrong the clock can be, in µs: its offset, the dispersion, and half of the delay."""
    known = tracking(machine)
    try:
        offset, dispersion, delay = (
            abs(float(known[name].split()[0])) for name in ("System time", "Root dispersion", "Root delay")
        )
    except (KeyError, ValueError, IndexError):
        raise UnreadableError("chronyc tracking: not in the known form") from None
    return {"chronyc tracking": round(1_000_000 * (offset + dispersion + delay / 2))}


def tracked_source(machine: Machine) -> dict[str, Any]:
    """Return which source chrony follows."""
    reference = tracking(machine)["Reference ID"]
    name = re.search(r"\(([^)]*)\)", reference)
    known = {AMAZON: "the Amazon source", "PHC0": "the adapter's clock"}
    said = name[1] if name else ""
    return {"chronyc tracking": known.get(said, said or "none")}


CLOCK: tuple[Tunable, ...] = (
    sysfs(
        "clock.source",
        "The clock is the CPU's own",
        f"{CLOCKSOURCE}/current_clocksource",
        FromFacts(best_source),
        "critical",
        "Any other source takes a system call or a device access for each time stamp.",
        "tuned: network-latency; BP",
        values.word,
        risk="A counter that errs is noticed by nobody else.",
        # Where the kernel does not offer it yet, a boot with tsc=reliable does.
        setting=Offered(f"{CLOCKSOURCE}/current_clocksource", by=f"{CLOCKSOURCE}/available_clocksource"),
        default=lambda machine: "kvm-clock" if virtual_x86(machine.facts) else best_source(machine.facts),
    ),
    Tunable(
        "clock.offered",
        "The kernel trusts the CPU's counter",
        Computed(f"{CLOCKSOURCE}/available_clocksource", source_offered),
        FromFacts(best_source),
        "high",
        "A counter that was found unstable is offered no more, and the clock falls back to a slow one.",
        "tuned: network-latency; kernel: timekeeping",
        risk="None.",
        setting=Advice("see the kernel's log for why the counter was marked unstable"),
    ),
    Tunable(
        "clock.tsc",
        "The CPU's counter keeps its rate and does not stop",
        Computed("/proc/cpuinfo flags", tsc_flags),
        exactly("constant_tsc nonstop_tsc"),
        "high",
        "A counter that changes with the frequency or stops in idle states cannot be a clock.",
        "kernel: timekeeping",
        needs=(x86,),
        risk="None.",
        setting=Advice("another instance type: it is a property of the CPU"),
    ),
    parameter(
        "clock.reliable",
        "The CPU's counter is not watched",
        "tsc",
        exactly("reliable"),
        "low",
        "The watchdog of the clock is a timer that walks over all CPUs twice a second.",
        "tuned: network-latency",
        values.word,
        needs=(x86, isolates),
        risk="A counter that really errs is not noticed.",
    ),
    sysctl(
        "clock.timer_migration",
        "Timers fire where they were set",
        "kernel.timer_migration",
        exactly(0),
        "medium",
        "A timer that moves to a busy CPU fires on the engine's.",
        "tuned: network-latency; against OpenShift node tuning",
        absence=not_in_kernel("this kernel does not migrate timers"),
        risk="A timer that was set on the engine's CPU stays there.",
    ),
    parameter(
        "clock.skew_tick",
        "The CPUs' ticks do not coincide",
        "skew_tick",
        exactly(1),
        "low",
        "Ticks at the same instant contend for the same locks.",
        "tuned: network-latency",
        needs=(isolates,),
        risk="An idle machine wakes up more often.",
    ),
    Tunable(
        "clock.keeper",
        "chrony keeps the time",
        Computed("systemctl is-active chrony", time_keepers),
        exactly("running"),
        "high",
        "Without it the clock drifts by tens of milliseconds a day.",
        "EC2: Amazon Time Sync",
        needs=(on_ec2,),
        absence=not_in_kernel("no systemd manages this host"),
        risk="None.",
        setting=ROLE,
    ),
    stopped_unit(
        "clock.one_keeper",
        "No second program sets the clock",
        "systemd-timesyncd.service",
        "medium",
        "Two of them pull the clock to and fro.",
        "chrony: FAQ",
        risk="None where chrony runs.",
    ),
    Tunable(
        "clock.amazon_source",
        "The clock beside the instance is asked and preferred",
        Computed("/etc/chrony", amazon_source),
        exactly("preferred"),
        "high",
        "It is a hop away, and no server on the internet is as near.",
        "EC2: Amazon Time Sync",
        needs=(on_ec2,),
        absence=NO_CHRONY,
        risk="It smears leap seconds, as not every source does.",
        setting=ROLE,
    ),
    Tunable(
        "clock.polling",
        "The clock beside the instance is asked every 16 s",
        Computed("/etc/chrony", asked_often),
        Between(POLL, low=0, high=POLL),
        "medium",
        "Between two questions the clock runs by its own rate, which changes with the temperature.",
        "EC2: Amazon Time Sync",
        needs=(on_ec2,),
        absence=NO_CHRONY,
        risk="A packet every 16 s.",
        setting=ROLE,
    ),
    Tunable(
        "clock.adapter_clock",
        "The adapter's own clock is asked",
        Computed("/etc/chrony refclock PHC", precise),
        exactly("asked"),
        "medium",
        "It is right within 5 µs, where packets give 100 to 400.",
        "EC2: Amazon Time Sync, precision-time placement groups",
        needs=(PRECISION,),
        absence=NO_CHRONY,
        risk="It does not smear leap seconds: do not mix it with a source that does on such a day.",
        setting=ROLE,
    ),
    Tunable(
        "clock.adapter_clock_enabled",
        "The driver offers the adapter's clock",
        File("/sys/module/ena/parameters/phc_enable", values.number),
        exactly(1),
        "medium",
        "Without it there is no device to ask.",
        "ENA",
        needs=(PRECISION,),
        absence=not_in_kernel("this driver is built without it, or devlink sets it"),
        risk="125 readings a second at most.",
        setting=Advice("the role ena_driver with phc_enable=1"),
    ),
    Tunable(
        "clock.configuration",
        "Nothing in the configuration serves a wrong time",
        Computed("/etc/chrony", bad_words),
        exactly("nothing"),
        "high",
        "A local stratum gives a wrong time to whoever asks as if it were right.",
        "EC2: Amazon Time Sync; against T2T",
        absence=NO_CHRONY,
        risk="None.",
        setting=ROLE,
        wrong="harmful",
    ),
    Tunable(
        "clock.followed",
        "chrony follows the nearest clock",
        Computed("chronyc tracking", tracked_source),
        OneOf(("the Amazon source", "the adapter's clock")),
        "high",
        "What is configured and what is reachable are two things.",
        "EC2: Amazon Time Sync",
        needs=(on_ec2,),
        absence=NO_CHRONY,
        risk="None.",
        setting=Advice("chronyc sources -v says why a source is not chosen"),
        counter=True,
    ),
    Tunable(
        "clock.error",
        "The clock is right within a millisecond",
        Computed("chronyc tracking", error_bound),
        Between(0, high=1000, unit=" µs"),
        "high",
        "Orders are stamped by it; European rules ask for 100 µs of who trades fastest.",
        "EC2: Amazon Time Sync; MiFID II RTS 25",
        absence=NO_CHRONY,
        risk="None.",
        setting=Advice("chronyc tracking and sourcestats say which part of it is large"),
        counter=True,
    ),
)
