# SPDX-License-Identifier: GPL-3.0-or-later
"""What tuning has changed on a host and how it was before, kept on the host so that it can be undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .actions import BootArgument, Ethtool, Interrupt, UnitState, Write
from .host import AbsentError, Host, UnreadableError

if TYPE_CHECKING:
    from .actions import Value

STATE_FILE = "/var/lib/ironbook/host_tuning.json"
SCHEMA_VERSION = 1
DAMAGED = f"{STATE_FILE}: it is damaged, and says what to undo: restore it or move it away"
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Write, Interrupt, Ethtool, UnitState, BootArgument)}


@dataclass(frozen=True)
class Changed:
    """One value that tuning has changed."""

    action: Value
    before: str
    tunables: frozenset[str]


@dataclass
class Remembered:
    """All of it."""

    values: dict[str, Changed] = field(default_factory=dict)
    """By the name of what was changed, in the order in which it was."""
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our files, each with the command that follows its change."""
    directories: list[str] = field(default_factory=list)
    """Those that were not there before, the outermost first."""

    def __bool__(self) -> bool:
        """Tell whether anything is remembered."""
        return bool(self.values or self.files or self.directories)

    def copy(self) -> Remembered:
        """Return one that can be changed."""
        return Remembered(dict(self.values), dict(self.files), list(self.directories))

    def text(self) -> str:
        """Write the file."""
        values = {
            target: {
                "kind": type(changed.action).__name__,
                "action": asdict(changed.action),
                "before": changed.before,
                "tunables": sorted(changed.tunables),
            }
            for target, changed in self.values.items()
        }
        content = {
            "schema_version": SCHEMA_VERSION,
            "values": values,
            "files": {path: list(after) for path, after in sorted(self.files.items())},
            "directories": self.directories,
        }
        return json.dumps(content, indent=1) + "\n"


def remember(host: Host) -> Remembered:
    """Read the file; a host without one was never tuned.

    Raises:
        UnreadableError: the file is not in the known form, so that nothing may be changed before somebody has looked.

    """
    try:
        content = json.loads(host.read(STATE_FILE))
    except AbsentError:
        return Remembered()
    except ValueError:
        raise UnreadableError(
            f"{STATE_FILE}: it is damaged, and says what to undo: restore it or move it away"
        ) from None
    try:
        if content["schema_version"] != SCHEMA_VERSION:
            raise UnreadableError(f"{STATE_FILE}: schema {content['schema_version']}, and this is {SCHEMA_VERSION}")
        return Remembered(
            {
                target: Changed(KINDS[entry["kind"]](**entry["action"]), entry["before"], frozenset(entry["tunables"]))
                for target, entry in content["values"].items()
            },
            {path: tuple(after) for path, after in content["files"].items()},
            list(content["directories"]),
        )
    except (KeyError, TypeError, AttributeError):
        raise UnreadableError(
            f"{STATE_FILE}: it is damaged, and says what to undo: restore it or move it away"
        ) from None
