# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0913, PLR0917  (an entry of the catalogue is a row of a table)
"""The kinds of tunable that are read where they are set, so that a catalogue entry says the place once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import values
from .check import UNKNOWN, Computed, File, Machine, Offload, Parameter, Parse, Severity, Tunable, Wanted, exactly
from .conditions import not_in_kernel
from .host import AbsentError, UnreadableError
from .settings import Advice, EthtoolValue, KernelParameter, Setting, Spell, Sysctl, Sysfs, Unit, spelled

UNITS_COMMAND = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--full")
NOT_RUNNING = "not running"


def sysctl(
    name: str,
    title: str,
    key: str,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    parse: Parse = values.number,
    **more: Any,
) -> Tunable:
    """Describe a file below /proc/sys."""
    path = f"/proc/sys/{key.replace('.', '/')}"
    return Tunable(name, title, File(path, parse), wanted, severity, why, source, **{"setting": Sysctl(key), **more})


def sysfs(
    name: str,
    title: str,
    path: str,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    parse: Parse = values.number,
    **more: Any,
) -> Tunable:
    """Describe a file of /sys or /proc, or all that match a pattern."""
    return Tunable(name, title, File(path, parse), wanted, severity, why, source, **{"setting": Sysfs(path), **more})


def parameter(
    name: str,
    title: str,
    word: str,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    parse: Parse = values.number,
    spell: Spell = spelled,
    **more: Any,
) -> Tunable:
    """Describe a word of the kernel's command line."""
    setting = KernelParameter(word, spell)
    return Tunable(name, title, Parameter(word, parse), wanted, severity, why, source, **{"setting": setting, **more})


def ethtool(
    name: str,
    title: str,
    known_as: str,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    setting: Setting | None = None,
    **more: Any,
) -> Tunable:
    """Describe a value that `ethtool -cglk` prints; a feature is set by its short name, the rest by the printed one."""
    option = {"ring": "g", "channels": "l"}.get(known_as.partition("-")[0], "c")
    reader = Offload(option, known_as, switch=known_as == "adaptive-rx")
    chosen = setting or EthtoolValue(option.upper(), known_as.removeprefix("ring-").removeprefix("channels-"))
    return Tunable(name, title, reader, wanted, severity, why, source, **{"setting": chosen, **more})


def feature(
    name: str,
    title: str,
    long_name: str,
    short_name: str,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    **more: Any,
) -> Tunable:
    """Describe a feature of an interface, which is on or off."""
    reader = Offload("k", long_name, switch=True)
    setting = EthtoolValue("K", short_name)
    return Tunable(name, title, reader, wanted, severity, why, source, **{"setting": setting, **more})


def counted(
    name: str,
    title: str,
    live: Computed,
    wanted: Wanted,
    severity: Severity,
    why: str,
    source: str,
    advice: str,
    **more: Any,
) -> Tunable:
    """Describe a counter since the boot: nothing sets it, and it moves by itself."""
    return Tunable(
        name, title, live, wanted, severity, why, source, **{"counter": True, "setting": Advice(advice), **more}
    )


def of_ena(value: Any) -> Callable[[Machine], Any]:
    """Say what an interface has by itself where its driver is that of the ENA; of others nobody knows."""

    def default(machine: Machine) -> Any:
        if any(interface.driver != "ena" for interface in machine.facts.interfaces):
            return UNKNOWN
        return value(machine.facts) if callable(value) else value

    return default


def units(machine: Machine) -> dict[str, str]:
    """Return the units that systemd has loaded, each with what it does, such as running or dead.

    Raises:
        AbsentError: no systemd manages the host.
        UnreadableError: it did not answer.

    """
    if machine.host.live and not machine.host.exists("/run/systemd/system"):
        raise AbsentError("/run/systemd/system")
    found = {}
    for line in machine.runner.run(*UNITS_COMMAND).splitlines():
        fields = line.lstrip("●* ").split(None, 4)
        if len(fields) >= 4:
            found[fields[0]] = "not-found" if fields[1] == "not-found" else fields[3]
    if not found:
        raise UnreadableError(f"{' '.join(UNITS_COMMAND)}: no unit in it")
    return found


def stopped_unit(name: str, title: str, unit: str, severity: Severity, why: str, source: str, **more: Any) -> Tunable:
    """Describe a unit that must not run."""

    def state(machine: Machine) -> dict[str, Any]:
        found = units(machine).get(unit, "not-found")
        return {unit: NOT_RUNNING if found in ("dead", "failed", "not-found", "exited") else found}

    def at_boot(text: str) -> str:
        return NOT_RUNNING if text in ("masked", "disabled") else text

    return Tunable(
        name,
        title,
        Computed(f"systemctl is-active {unit}", state, at_boot),
        exactly(NOT_RUNNING),
        severity,
        why,
        source,
        absence=not_in_kernel("no systemd manages this host"),
        default=NOT_RUNNING,
        setting=Unit(unit, "masked"),
        **more,
    )
