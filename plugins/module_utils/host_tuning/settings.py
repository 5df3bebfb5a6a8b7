# SPDX-License-Identifier: GPL-3.0-or-later
"""How a tunable is set, now and at the next boot: the kinds of settings, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Setting:
    """What every kind has."""

    needs_reboot: ClassVar[bool] = False
    """The live value only follows a boot."""


@dataclass(frozen=True)
class Sysctl(Setting):
    """A file below /proc/sys, by the key that sysctl.d knows."""

    key: str


@dataclass(frozen=True)
class Sysfs(Setting):
    """A file below /sys, or every file that matches a pattern."""

    path: str


@dataclass(frozen=True)
class KernelParameter(Setting):
    """A word of the kernel's command line."""

    name: str
    needs_reboot: ClassVar[bool] = True


@dataclass(frozen=True)
class EthtoolValue(Setting):
    """A value that ethtool sets: the option is the capital letter of the command."""

    option: str
    name: str


@dataclass(frozen=True)
class Affinity(Setting):
    """Where interrupts arrive, by the plan's map."""

    which: Literal["interface", "ena_management", "all_other"]


@dataclass(frozen=True)
class SystemdKey(Setting):
    """A key of systemd's own configuration, in a drop-in."""

    file: str
    section: str
    key: str


@dataclass(frozen=True)
class Unit(Setting):
    """The state of a unit of systemd."""

    name: str
    wanted: Literal["masked", "stopped", "running"]


@dataclass(frozen=True)
class FileLine(Setting):
    """One line of a configuration file that we own as a drop-in."""

    path: str
    line_key: str


@dataclass(frozen=True)
class Advice(Setting):
    """It cannot be set on the host; the text is the exact remedy."""

    text: str
