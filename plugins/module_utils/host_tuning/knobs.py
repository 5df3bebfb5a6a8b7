# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of one knob: how it is read, compared, and changed, for each kind of action that has a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import interrupts, persistence, values
from .actions import BootArgument, Ethtool, Interrupt, Shape, UnitState, Write
from .door import RefusedError, WritableHost
from .host import AbsentError, UnreadableError

if TYPE_CHECKING:
    from .actions import Value
    from .check import Machine

UNIT_STATES = {"masked": "masked inactive", "stopped": "disabled inactive", "running": "enabled active"}
UNIT_RUNS = ("active", "activating", "reloading")
SOFT_WATCHDOG, WATCHDOGS = "/proc/sys/kernel/soft_watchdog", "/proc/sys/kernel/watchdog"
"""Whoever reads the second one while no watchdog runs, such as `sysctl -a`, switches all of them off: the kernel takes
what it shows for what was wished. The first one then takes effect with the second one alone."""
NOT_SET = "not set"
"""A boot entry without the word; no value of a word is spelled so."""


def normal(text: str, shape: Shape) -> str:
    """Bring the kernel's spelling of a value to one that can be compared.

    Raises:
        ValueError: it is not of this shape.

    """
    if shape == "cpu_list":
        return values.as_cpu_list(values.cpu_list(text))
    if shape == "cpu_mask":
        return values.as_cpu_list(values.cpu_mask(text))
    if shape == "choice" and "[" in text:
        return values.choice(text)
    return " ".join(text.split())


def wanted(action: Value) -> str:
    """Return what the knob is to have, as `current` would return it."""
    if isinstance(action, Write):
        return normal(action.value, action.shape)
    if isinstance(action, Interrupt):
        return normal(action.value, "cpu_list")
    if isinstance(action, Ethtool):
        return {"on": "1", "off": "0"}.get(action.value, action.value)
    return UNIT_STATES[action.value] if isinstance(action, UnitState) else action.value


def holds(action: Value, value: str) -> bool:
    """Tell whether a value is what the action wants."""
    if not isinstance(action, UnitState):
        return value == wanted(action)
    kept, _space, runs = value.partition(" ")
    if action.value == "masked":
        return value == UNIT_STATES["masked"]
    # What is static or generated has no link of its own to be enabled or disabled by.
    return runs == ("active" if action.value == "running" else "inactive") and kept not in (
        ("masked", "disabled") if action.value == "running" else ("enabled", "enabled-runtime")
    )


def current(machine: Machine, action: Value) -> str:
    """Return what the knob has.

    Raises:
        AbsentError: the host has no such knob.
        UnreadableError: it cannot be read or understood.

    """
    try:
        if isinstance(action, Write):
            return normal(machine.host.read(action.path), action.shape)
        if isinstance(action, Interrupt):
            return normal(machine.host.read(interrupt_path(machine, action.name)), "cpu_list")
    except ValueError as exc:
        raise UnreadableError(f"{action.target}: {exc}") from None
    if isinstance(action, Ethtool):
        known = machine.ethtool.values(action.interface)
        if action.known_as not in known:
            raise AbsentError(f"{action.target}: the driver does not offer it")
        return str(known[action.known_as])
    if isinstance(action, UnitState):
        return unit_state(machine, action.name)
    found = persistence.kernel_parameter(machine.host, action.name)
    return NOT_SET if found is None else found.value


def unit_state(machine: Machine, name: str) -> str:
    """Return how systemd keeps a unit and whether it runs, such as ``enabled active``.

    Raises:
        AbsentError: there is no such unit, or no systemd.
        UnreadableError: systemd did not answer.

    """
    text = machine.runner.run("systemctl", "show", "--property=LoadState,ActiveState,UnitFileState", name)
    shown = dict(line.partition("=")[::2] for line in text.splitlines())
    if shown.get("LoadState") == "not-found":
        raise AbsentError(f"unit {name}")
    kept = "masked" if shown.get("LoadState") == "masked" else shown.get("UnitFileState") or "static"
    return f"{kept} {'active' if shown.get('ActiveState') in UNIT_RUNS else 'inactive'}"


def interrupt_path(machine: Machine, name: str) -> str:
    """Return the file of an interrupt's CPUs.

    Raises:
        AbsentError: no interrupt has this name now.

    """
    number = interrupts.numbers(machine.host).get(name)
    if number is None:
        raise AbsentError(f"interrupt {name}")
    return f"/proc/irq/{number}/smp_affinity_list"


def change(machine: Machine, door: WritableHost, action: Value, value: str) -> None:
    """Give a knob a value, in the spelling of `current`.

    Raises:
        AbsentError: the host has no such knob.
        RefusedError: it did not take it. That it did take it shows only in what is read back.

    """
    if isinstance(action, Write):
        door.write_value(
            action.path, values.as_cpu_mask(values.cpu_list(value)) if action.shape == "cpu_mask" else value
        )
        if action.path == SOFT_WATCHDOG and value != "0":
            door.write_value(WATCHDOGS, "1")
    elif isinstance(action, Interrupt):
        door.write_value(interrupt_path(machine, action.name), value)
    else:
        for command in commands(action, value):
            try:
                machine.runner.run(*command)
            except UnreadableError as exc:
                raise RefusedError(str(exc)) from None


def commands(action: Ethtool | UnitState | BootArgument, value: str) -> list[tuple[str, ...]]:
    """Return the commands that give a knob a value."""
    if isinstance(action, Ethtool):
        word = {"1": "on", "0": "off"}[value] if action.value in ("on", "off") else value
        return [("ethtool", f"-{action.option}", action.interface, action.name, word)]
    if isinstance(action, BootArgument):
        if value == NOT_SET:
            return [("grubby", "--update-kernel=ALL", f"--remove-args={action.name}")]
        return [("grubby", "--update-kernel=ALL", f"--args={action.name}={value}")]
    kept, _space, runs = value.partition(" ")
    if kept == "masked":
        return [("systemctl", "mask", "--now", action.name)]
    verb = "enable" if kept == "enabled" else "disable"
    return [
        ("systemctl", "unmask", action.name),
        *([("systemctl", verb, action.name)] if kept in ("enabled", "disabled") else []),
        ("systemctl", "start" if runs == "active" else "stop", action.name),
    ]
