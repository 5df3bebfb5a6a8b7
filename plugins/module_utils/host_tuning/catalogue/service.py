# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0913, PLR0917  (an entry of the catalogue is a row of a table)
"""Services: what wakes up beside the engine, and what the engine itself may do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..check import Computed, Machine, NotApplicableError, OneOf, Tunable, exactly
from ..conditions import isolates, metal, not_in_kernel
from ..host import AbsentError, UnreadableError
from ..settings import Advice
from ..shorthand import stopped_unit

LIMITS = ("/etc/security/limits.conf", "/etc/security/limits.d/*.conf")
ENGINE = ("ironbook.cli", "engine", "run")
UNLIMITED = "unlimited"
SECURITY_RISK = "Updates come only when somebody asks for them: a process for security updates has to."


def engines(machine: Machine) -> list[str]:
    """Return the directories of the engine's processes below /proc, by the command that started them."""
    found = []
    for path in machine.host.matching("/proc/[0-9]*/cmdline"):
        try:
            words = machine.host.read(path).split("\0")
        except (AbsentError, UnreadableError):  # it has ended meanwhile
            continue
        if any(tuple(words[start : start + len(ENGINE)]) == ENGINE for start in range(len(words))):
            found.append(path.removesuffix("/cmdline"))
    return found


def engine_limit(name: str) -> Callable[[Machine], dict[str, Any]]:
    """Return a reader of a soft limit of the engine's processes, from the process and not from a file."""

    def read(machine: Machine) -> dict[str, Any]:
        found = {}
        for process in engines(machine):
            path = f"{process}/limits"
            try:
                match = re.search(rf"(?m)^{name}\s+(\S+)", machine.host.read(path))
            except AbsentError:  # it has ended meanwhile
                continue
            if not match:
                raise UnreadableError(f"{path}: no {name}")
            found[path] = match[1]
        if not found:
            raise NotApplicableError("no engine runs here")
        return found

    return read


def limits_for_everybody(machine: Machine) -> dict[str, Any]:
    """Return which dangerous limits a file lifts for every user."""
    paths = [path for pattern in LIMITS for path in machine.host.matching(pattern)]
    if not paths:
        raise AbsentError("/etc/security/limits.conf")
    found: dict[str, str] = {}
    for path in paths:
        for line in machine.host.read(path).splitlines():
            words = line.split("#")[0].split()
            if len(words) == 4 and words[0] == "*" and words[2] in ("rtprio", "nice", "memlock", "priority"):
                found[words[2]] = path
    return {"/etc/security/limits.d": ", ".join(sorted(found)) or "none"}


def engine_allowance(name: str, title: str, limit: str, wanted: Any, why: str, advice: str) -> Tunable:
    """Describe a limit of the engine's service."""
    return Tunable(
        name,
        title,
        Computed(f"/proc/PID/limits {limit}", engine_limit(limit)),
        wanted,
        "high",
        why,
        "kernel: getrlimit(2); T2T",
        risk="The service may do what an ordinary one may not: give it to this unit alone.",
        setting=Advice(advice),
    )


SERVICE: tuple[Tunable, ...] = (
    engine_allowance(
        "service.locked_memory",
        "The engine may lock its memory",
        "Max locked memory",
        exactly(UNLIMITED),
        "A page that is not locked can be taken away, and comes back by a fault.",
        "LimitMEMLOCK=infinity in a drop-in of the engine's unit",
    ),
    engine_allowance(
        "service.realtime_priority",
        "The engine may run in real time",
        "Max realtime priority",
        OneOf(("99", "98", "50")),
        "Without it the scheduler gives the core to others in turn.",
        "LimitRTPRIO=99 in a drop-in of the engine's unit",
    ),
    engine_allowance(
        "service.open_files",
        "The engine may have a connection for each session",
        "Max open files",
        OneOf(("1048576", "524288", "65536")),
        "At the limit a new session is refused.",
        "LimitNOFILE=1048576 in a drop-in of the engine's unit",
    ),
    Tunable(
        "service.limits_for_everybody",
        "No dangerous limit is lifted for everybody",
        Computed("/etc/security/limits.d", limits_for_everybody),
        exactly("none"),
        "high",
        "Any user could then take a core by a real-time thread, or all memory by locking it.",
        "against T2T",
        absence=not_in_kernel("nothing sets limits here"),
        risk="None.",
        setting=Advice("the trading user's name in place of * in that file"),
        wrong="harmful",
    ),
    stopped_unit(
        "service.tuned",
        "No second tuner is at work",
        "tuned.service",
        "medium",
        "It sets values of its own, and clears irqbalance's bans whenever it starts.",
        "OpenShift node tuning: issue 396",
        risk="What its profile set beyond this catalogue is gone.",
    ),
    stopped_unit(
        "service.numad",
        "No daemon moves processes between nodes",
        "numad.service",
        "medium",
        "It migrates pages of what runs, against every plan.",
        "tuned: cpu-partitioning",
        risk="None where places are planned.",
    ),
    stopped_unit(
        "service.power_profiles",
        "No daemon lowers the frequency",
        "power-profiles-daemon.service",
        "medium",
        "It writes the energy preference anew whenever it likes.",
        "kernel: intel_pstate",
        needs=(metal,),
        risk="None on a server.",
    ),
    stopped_unit(
        "service.package_lists",
        "Lists of packages are not fetched by a timer",
        "apt-daily.timer",
        "medium",
        "It unpacks and indexes for seconds, at a time that nobody chose.",
        "OpenShift node tuning",
        risk=SECURITY_RISK,
    ),
    stopped_unit(
        "service.package_upgrades",
        "Packages are not upgraded by a timer",
        "apt-daily-upgrade.timer",
        "medium",
        "It may restart services, the network among them.",
        "OpenShift node tuning",
        risk=SECURITY_RISK,
    ),
    stopped_unit(
        "service.package_cache",
        "The cache of packages is not made by a timer",
        "dnf-makecache.timer",
        "medium",
        "It unpacks and indexes for seconds, every hour.",
        "OpenShift node tuning",
        risk=SECURITY_RISK,
    ),
    stopped_unit(
        "service.manuals",
        "Manuals are not indexed by a timer",
        "man-db.timer",
        "low",
        "It reads every manual of the host once a day.",
        "OpenShift node tuning",
        risk="None.",
    ),
    stopped_unit(
        "service.firmware",
        "Firmware is not looked at by a timer",
        "fwupd-refresh.timer",
        "medium",
        "Looking at firmware raises system management interrupts, which stop every core and show nowhere.",
        "OpenShift node tuning",
        needs=(metal,),
        risk=SECURITY_RISK,
    ),
    stopped_unit(
        "service.trim",
        "Disks are not trimmed by a timer",
        "fstrim.timer",
        "low",
        "A trim of the whole disk holds the journal's writes up, at a time that nobody chose.",
        "kernel: discard",
        risk="Somebody has to trim instance disks in quiet hours.",
    ),
    stopped_unit(
        "service.routes",
        "Routes are not refreshed by a timer",
        "refresh-policy-routes@ens5.timer",
        "low",
        "Amazon Linux asks for metadata and writes routes anew every minute.",
        "amazon-ec2-net-utils",
        needs=(isolates,),
        risk="A second address that is added later gets no route by itself.",
    ),
)
