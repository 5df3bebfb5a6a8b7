# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning does to a host, as data: a setting says which actions it takes, and apply.py carries them out.

An action names one place of the host and what is to stand there, so that it can be compared with what stands there now,
carried out, read back, and undone. Nothing here touches a host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Union

from .values import as_cpu_list

Shape = Literal["word", "choice", "cpu_list", "cpu_mask"]
"""How the kernel spells a value: it answers another spelling than the one it was given."""


@dataclass(frozen=True)
class Write:
    """A value of a file of /proc or /sys."""

    path: str
    value: str
    shape: Shape = "word"

    @property
    def target(self) -> str:
        """Name what it changes."""
        return self.path


@dataclass(frozen=True)
class Interrupt:
    """The CPUs of an interrupt, which is known by its name: its number changes whenever the device resets."""

    name: str
    value: str
    """A CPU list."""

    @property
    def target(self) -> str:
        """Name what it changes."""
        return f"interrupt {self.name}"


@dataclass(frozen=True)
class Ethtool:
    """A value of an interface, set by ``ethtool -OPTION INTERFACE NAME VALUE``."""

    interface: str
    option: str
    name: str
    known_as: str
    """The name under which it is read."""
    value: str

    @property
    def target(self) -> str:
        """Name what it changes."""
        return f"ethtool -{self.option} {self.interface} {self.name}"


@dataclass(frozen=True)
class UnitState:
    """The state of a systemd unit: masked and stopped, disabled and stopped, or enabled and running."""

    name: str
    value: str

    @property
    def target(self) -> str:
        """Name what it changes."""
        return f"unit {self.name}"


@dataclass(frozen=True)
class BootArgument:
    """A word of every boot entry, where grubby keeps them."""

    name: str
    value: str

    @property
    def target(self) -> str:
        """Name what it changes."""
        return f"boot argument {self.name}"


@dataclass(frozen=True)
class Line:
    """One line of a file that is ours alone; other tunables have other lines of it."""

    path: str
    text: str
    section: str = ""
    """Of a systemd drop-in, the section that it stands in."""
    after: tuple[str, ...] = ()
    """The command that has to follow when the file changes."""

    @property
    def target(self) -> str:
        """Name what it changes."""
        return self.path


# A host's Python may be 3.9, which has no | for these.
Value = Union[Write, Interrupt, Ethtool, UnitState, BootArgument]  # noqa: UP007
"""What has a value of its own on the host, which is kept for the day when it is to be undone."""
Action = Union[Value, Line]  # noqa: UP007


def spelled(value: Any, _facts: Any = None) -> str:
    """Spell a value as the kernel's files take it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, frozenset):
        return as_cpu_list(value)
    return "" if value is None else str(value)


LISTED = ("list", "/isolated", "/nohz_full", "/watchdog_cpumask")
"""The ends of the paths of files that have CPUs as a list; all others have them as a mask."""


def shape_of(path: str, value: Any) -> Shape:
    """Tell how the kernel spells a file: CPUs as a list or as a mask, a choice in brackets, or a plain word."""
    if isinstance(value, frozenset):
        return "cpu_list" if path.endswith(LISTED) else "cpu_mask"
    return "choice" if isinstance(value, str) else "word"
