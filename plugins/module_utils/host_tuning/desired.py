# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is to have, from the catalogue and the plan: values, lines of files, and what stands against them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import owned, persistence
from .actions import BootArgument, Ethtool, Interrupt, Line
from .check import Machine, NotApplicableError
from .host import AbsentError, Host, UnreadableError
from .next_boot import next_boot
from .settings import GRUB_FILE, SYSCTL_FILE, TMPFILES_FILE, CannotSetError, ShortError

if TYPE_CHECKING:
    from .actions import Action, Value
    from .check import Tunable

GRUB_LINE = re.compile(r'\w+="\$\w+ (?P<word>.*)"')
QUEUE = re.compile(r"(?P<name>.*-)(?P<number>\d+)")


class ConflictError(Exception):
    """Two tunables want different values of one thing: the catalogue contradicts itself."""


@dataclass
class Desired:
    """What the selected tunables want."""

    values: dict[str, tuple[Value, frozenset[str]]] = field(default_factory=dict)
    lines: dict[str, owned.Lines] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By file, the command that follows its change."""
    skipped: dict[str, str] = field(default_factory=dict)
    """By tunable, why it is left alone: this host has no such knob."""
    refused: dict[str, str] = field(default_factory=dict)
    """By tunable, what stands against it."""

    def add(self, tunable: str, action: Action) -> None:
        """Add what a tunable wants.

        Raises:
            ConflictError: another one wants something else there.

        """
        if isinstance(action, Line):
            key = (action.section, action.text)
            lines = self.lines.setdefault(action.path, {})
            lines[key] = lines.get(key, frozenset()) | {tunable}
            self.after[action.path] = action.after
            return
        known, wanted_by = self.values.get(action.target, (action, frozenset[str]()))
        if known != action:
            raise ConflictError(
                f"{action.target}: {tunable} wants {action.value}, {', '.join(sorted(wanted_by))} wants {known.value}"
            )
        self.values[action.target] = (action, wanted_by | {tunable})

    def drop(self, tunables: Iterable[str]) -> None:
        """Take out what only these want."""
        gone = frozenset(tunables)
        self.lines = {path: owned.without(lines, gone) for path, lines in self.lines.items()}
        self.values = {
            target: (action, wanted_by - gone)
            for target, (action, wanted_by) in self.values.items()
            if wanted_by - gone
        }


class Overlay(Host):
    """A host with some files as they will be."""

    def __init__(self, host: Host, texts: dict[str, str]) -> None:
        """Take the host and the files."""
        self.root = host.root
        self.texts = texts

    def read(self, path: str) -> str:
        """Return the text that will be there."""
        return self.texts[path] if path in self.texts else super().read(path)

    def exists(self, path: str) -> bool:
        """Tell whether it will be there."""
        return path in self.texts or super().exists(path)

    def matching(self, pattern: str) -> list[str]:
        """Return what will match."""
        expression = re.compile(re.escape(pattern).replace(r"\*", "[^/]*"))
        return sorted({*super().matching(pattern), *(path for path in self.texts if expression.fullmatch(path))})


def value_of(tunable: Tunable, machine: Machine) -> Any:
    """Return the value to set: the best one, or the one that is there, where it is a single one and as right."""
    best = tunable.wanted.best(machine.facts)
    if not isinstance(best, int):
        return best
    try:
        found = set(tunable.live.read(machine).values())
    except (AbsentError, UnreadableError, NotApplicableError):
        return best
    if len(found) != 1:
        return best
    there = found.pop()
    right = type(there) is type(best) and tunable.wanted.accepts(there, machine.facts)
    return there if right else best


def desired(machine: Machine, tunables: Iterable[Tunable]) -> Desired:
    """Collect what the tunables want of a host.

    Raises:
        ConflictError: two of them want different values of one thing.

    """
    result = Desired()
    chosen = [tunable for tunable in tunables if tunable.settable]
    later = next_boot(machine, chosen)
    for tunable in chosen:
        try:
            actions = _actions(tunable, machine, later)
        except ShortError as exc:
            result.refused[tunable.id] = str(exc)
        except (CannotSetError, AbsentError, UnreadableError, NotApplicableError) as exc:
            result.skipped[tunable.id] = str(exc)
        else:
            for action in actions:
                result.add(tunable.id, action)
    _follow_queues(machine, result)
    return result


def _actions(tunable: Tunable, machine: Machine, later: Machine) -> list[Action]:
    """Return what sets a tunable now, on the host as it is, and at the next boot, on the host as it will be."""
    setting = tunable.setting
    found: list[Action] = []
    if setting and not tunable.not_applicable(machine.facts):
        found += setting.now(machine, value_of(tunable, machine))
    if setting and not tunable.not_applicable(later.facts):
        found += setting.at_boot(later, value_of(tunable, later))
    return found


def _follow_queues(machine: Machine, result: Desired) -> None:
    """Expect the interrupts that there will be after a change of the number of queues: as many, of the same names."""
    for action, _ids in list(result.values.values()):
        if not isinstance(action, Ethtool) or action.known_as != "channels-combined":
            continue
        there = machine.ethtool.values(action.interface).get(action.known_as)
        if there == int(action.value):
            continue
        for target, (pin, _wanted_by) in list(result.values.items()):
            queue = QUEUE.fullmatch(pin.name) if isinstance(pin, Interrupt) else None
            if (
                queue
                and pin.target.startswith(f"interrupt {action.interface}-")
                and int(queue["number"]) >= int(action.value)
            ):
                del result.values[target]


def stand_against(machine: Machine, files: dict[str, str], lines: dict[str, owned.Lines]) -> dict[str, str]:
    """Return by tunable who sets it in another file so that our line would not count.

    Args:
        machine: the host.
        files: our files as they will be.
        lines: the lines that the tunables want.

    """
    host = Overlay(machine.host, files)
    found: dict[str, str] = {}
    for path, ours in lines.items():
        for (section, text), wanted_by in ours.items():
            name, value, winner = _winner(host, path, section, text)
            if winner is not None and winner.value != value:
                because = (
                    f"{name}: {winner.file} sets it to {winner.value or 'nothing'}, ours would be {value}: "
                    f"take it out there"
                )
                found.update(dict.fromkeys(wanted_by, because))
    return found


def _winner(host: Host, path: str, section: str, text: str) -> tuple[str, str, persistence.Persisted | None]:
    """Return what a line of ours sets, to what, and who has the last word on it."""
    if path == SYSCTL_FILE:
        name, _equals, value = (part.strip() for part in text.partition("="))
        return name, value, persistence.sysctl(host, name)
    if path == TMPFILES_FILE:
        fields = text.split(None, 6)
        return fields[1], fields[6].replace("%%", "%"), persistence.tmpfiles(host, fields[1])
    if path == GRUB_FILE:
        name, value = kernel_word(text)
        # Whoever passes the same word, before us or after: the kernel takes the first isolcpus= and the last of others.
        others = [(word, file) for word, file in persistence.grub_words(host) if file != GRUB_FILE]
        return f"kernel parameter {name}", value, persistence.last_word(others, name)
    if section and path.startswith("/etc/systemd/"):
        name, _equals, value = text.partition("=")
        return name, value, persistence.systemd_key(host, path, section, name)
    return text, "", None


def kernel_word(line: str) -> tuple[str, str]:
    """Return name and value of the kernel's parameter that a line of our file for GRUB passes."""
    match = GRUB_LINE.fullmatch(line)
    word = match["word"] if match else line
    name, equals, value = word.rpartition("=")
    return (name, value) if equals else (value, "")


def booted(machine: Machine) -> list[tuple[str, str]]:
    """Return the words that this boot was passed."""
    return [(word, "/proc/cmdline") for word in persistence.text_of(machine.host, "/proc/cmdline").split()]


def awaits_boot(machine: Machine, lines: owned.Lines, arguments: Iterable[BootArgument]) -> list[str]:
    """Return the kernel's parameters that are set for the next boot and that this one was not passed."""
    wanted = [kernel_word(text) for _section, text in lines] + [(each.name, each.value) for each in arguments]
    words = booted(machine)
    waiting = []
    for name, value in wanted:
        found = persistence.last_word(words, name)
        if found is None or found.value != value:
            waiting.append(name)
    return sorted(waiting)
