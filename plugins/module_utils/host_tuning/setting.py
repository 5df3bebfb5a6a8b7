# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of setting has, and where what we set is kept for the next boot."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from . import persistence
from .actions import Line, shape_of
from .persistence import Persisted
from .values import as_cpu_mask

if TYPE_CHECKING:
    from .actions import Action
    from .check import Machine
    from .facts import Facts

SYSCTL_FILE = "/etc/sysctl.d/90-ironbook.conf"
TMPFILES_FILE = "/etc/tmpfiles.d/ironbook.conf"
GRUB_FILE = "/etc/default/grub.d/90-ironbook.cfg"
REAPPLY_FILE = persistence.REAPPLY_FILE
"""What is set again whenever an interface comes up or its driver resets; roles/host_tuning has the program for it."""


GIGANTIC_KIB = 1048576


class CannotSetError(Exception):
    """A host that has no such knob, or nothing that would set it; the text says which."""


class ShortError(CannotSetError):
    """A host that was asked and gave less, without an error; the text says how much."""


Spell = Callable[[Any, "Facts"], str]
"""From the wanted value to what is written, where the two differ: per cent of memory and a size in KiB."""


@dataclass(frozen=True)
class Setting:
    """What every kind has; the defaults are those of a kind without the plane."""

    needs_reboot: ClassVar[bool] = False
    """The live value only follows a boot."""

    def persisted(self, machine: Machine) -> Persisted | None:
        """Return what the next boot will set, and the file that wins; None where nothing sets it."""
        return None

    def boot(self, machine: Machine) -> str | None:
        """Return what this boot was told; None where there is no such plane, or it was told nothing."""
        return None

    def now(self, machine: Machine, value: Any) -> list[Action]:
        """Return what changes the live value; none where only a boot does.

        Raises:
            CannotSetError: the host lacks it.

        """
        return []

    def at_boot(self, machine: Machine, value: Any) -> list[Action]:
        """Return what makes it so at the next boot.

        Raises:
            CannotSetError: the host has nothing that would set it.

        """
        return []

    def fix(self, value: Any, facts: Facts) -> str:
        """Return the exact line or command for a person."""
        raise NotImplementedError


def in_file(setting: Any, value: Any, facts: Facts) -> str:
    """Spell a value as the file of a setting with `path` and `spell` takes it, which of CPUs may be a mask."""
    return as_cpu_mask(value) if shape_of(setting.path, value) == "cpu_mask" else setting.spell(value, facts)


def in_shell(text: str, facts: Facts, between: str = " ") -> str:
    """Write a place or a command for each judged interface and all isolated CPUs, as a shell takes it.

    A captured tree may call an interface anything: its name stays one word.
    """
    cpus = sorted(facts.isolated)
    each = str(cpus[0]) if len(cpus) == 1 else "{" + ",".join(map(str, cpus)) + "}"
    names = [shlex.quote(interface.name) for interface in facts.interfaces] or ["INTERFACE"]
    text = text.replace("{isolated}", each)
    return between.join(dict.fromkeys(text.replace("{interface}", name) for name in names))


def reapply(interface: str, **entry: Any) -> Line:
    """Return the line of what is set again for an interface."""
    return Line(REAPPLY_FILE, json.dumps({"interface": interface, **entry}, sort_keys=True))
