# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the tuning on one host: it compares, changes, reads back, and undoes where the host did not take it.

What a value was before is on the disk before it is changed, so that a run that was broken off can be undone too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from . import knobs, owned
from .actions import Interrupt
from .door import RefusedError, WritableHost
from .host import AbsentError, UnreadableError
from .persistence import text_of
from .runner import NO_COMMANDS
from .state import STATE_FILE, Changed, remember

if TYPE_CHECKING:
    from .actions import Value
    from .check import Machine


class TuningError(Exception):
    """The tuning was refused or undone; one line says what was changed, if anything."""


@dataclass(frozen=True)
class Change:
    """One difference, made or to be made. Of a file the values are its texts; None is no file."""

    target: str
    before: str | None
    after: str | None
    file: bool = False


@dataclass
class Outcome:
    """What a run has done, or in check mode would do."""

    changes: list[Change] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """By tunable or thing, why it is left alone."""
    refused: dict[str, str] = field(default_factory=dict)
    """By tunable or thing, why it could not be brought about."""
    reboot_for: list[str] = field(default_factory=list)
    """The kernel's parameters that only the next boot brings."""


class Session:
    """One run on one host."""

    def __init__(self, machine: Machine, *, check: bool, keep_going: bool) -> None:
        """Begin; reads what earlier runs have changed.

        Raises:
            TuningError: that cannot be understood.

        """
        assert isinstance(machine.host, WritableHost)
        self.machine = machine
        self.host = machine.host
        self.check = check
        self.keep_going = keep_going
        self.outcome = Outcome()
        self.undo: list[tuple[str, Callable[[], None]]] = []
        try:
            self.state = remember(machine.host)
        except UnreadableError as exc:
            raise TuningError(str(exc)) from None
        self.first_text = text_of(machine.host, STATE_FILE) or None

    # ------------------------------------------------------------------------------------------------ values

    def set_values(self, wanted: Iterable[tuple[Value, frozenset[str]]]) -> None:
        """Give the values that are not there yet."""
        todo: list[tuple[Value, frozenset[str], str]] = []
        for action, wanted_by in wanted:
            try:
                before = knobs.current(self.machine, action)
            except AbsentError as exc:
                self.outcome.skipped[action.target] = f"{exc}: not on this host"
            except UnreadableError as exc:
                self.outcome.refused[action.target] = str(exc)
            else:
                if not knobs.holds(action, before) and action.target not in self.outcome.skipped:
                    todo.append((action, wanted_by, before))
        if self.check:
            self.outcome.changes += [Change(a.target, before, knobs.wanted(a)) for a, _ids, before in todo]
            return
        for action, wanted_by, before in todo:
            known = self.state.values.get(action.target)
            kept = Changed(action, known.before if known else before, wanted_by)
            self.state.values[action.target] = kept
        if todo:
            self.save()
        for action, _wanted_by, before in todo:
            self._set_value(action, before)

    def _set_value(self, action: Value, before: str) -> None:
        try:
            self.undo.append((action.target, lambda: self._give(action, before)))
            self._give(action, knobs.wanted(action))
        except (AbsentError, RefusedError) as exc:
            self._take_back(action, before)
            if getattr(exc, "managed", False) and isinstance(action, Interrupt):
                self.outcome.skipped[action.target] = f"{exc}: the kernel places this interrupt by itself"
            else:
                self.outcome.refused[action.target] = str(exc)
        else:
            self.outcome.changes.append(Change(action.target, before, knobs.wanted(action)))

    def _give(self, action: Value, value: str) -> None:
        """Change and read back: exit codes lie."""
        knobs.change(self.machine, self.host, action, value)
        try:
            found = knobs.current(self.machine, action)
        except (AbsentError, UnreadableError) as exc:
            raise RefusedError(f"{action.target}: set to {value}, and then not readable: {exc}") from None
        if found != value and not (value == knobs.wanted(action) and knobs.holds(action, found)):
            raise RefusedError(f"{action.target}: set to {value}, reads back {found}")

    def _take_back(self, action: Value, before: str) -> None:
        """Leave a value that was not taken as it was; nobody need remember it."""
        target, restore = self.undo.pop()
        try:
            if knobs.current(self.machine, action) != before:
                restore()
        except (AbsentError, UnreadableError, RefusedError):
            self.undo.append((target, restore))  # undone with the rest, or named
            return
        self.state.values.pop(action.target, None)

    def restore_values(self, gone: Callable[[Changed], bool]) -> None:
        """Undo the remembered values that nobody wants any more, the last one first."""
        for target, changed in reversed(list(self.state.values.items())):
            if not gone(changed):
                continue
            try:
                there = knobs.current(self.machine, changed.action)
                if there != changed.before:
                    if not self.check:
                        self.undo.append((target, partial(self._give, changed.action, there)))
                        self._give(changed.action, changed.before)
                    self.outcome.changes.append(Change(target, there, changed.before))
            except AbsentError as exc:
                self.outcome.skipped[target] = f"{exc}: not on this host any more"
            except (UnreadableError, RefusedError) as exc:
                self.outcome.refused[target] = str(exc)
                continue
            del self.state.values[target]

    # ------------------------------------------------------------------------------------------------- files

    def read_files(self, paths: Iterable[str]) -> dict[str, owned.Lines]:
        """Read our files as they are; no lines where one is not there.

        Raises:
            TuningError: one of them is not ours.

        """
        found: dict[str, owned.Lines] = {}
        for path in paths:
            try:
                found[path] = owned.parse(path, self.host.read(path))
            except AbsentError:
                found[path] = {}
            except (owned.ForeignError, UnreadableError) as exc:
                raise TuningError(f"{exc}. Nothing was changed") from None
        return found

    def write_files(self, files: dict[str, owned.Lines], after: dict[str, tuple[str, ...]]) -> None:
        """Bring our files to their lines, and start the commands that have to follow.

        Raises:
            RefusedError: one cannot be written, or a command failed.

        """
        begin = len(self.undo)
        commands: dict[tuple[str, ...], None] = {}
        for path, lines in files.items():
            before = text_of(self.host, path) if self.host.exists(path) else None
            text = owned.render(path, lines) if lines else None
            if text == before:
                if text is None and path in self.state.files:  # undone once, and its command failed then
                    del self.state.files[path]
                    commands[after[path]] = None
                continue
            self.outcome.changes.append(Change(path, before, text, file=True))
            commands[after.get(path, ())] = None
            if not self.check:
                self._write_file(path, before, text, after.get(path, ()))
        for command in filter(None, commands) if not self.check else ():
            self.undo.insert(begin, (" ".join(command), partial(self._start, command)))
            self._start(command)

    def _write_file(self, path: str, before: str | None, text: str | None, after: tuple[str, ...]) -> None:
        if text is None:
            self.host.remove(path)
            self.state.files.pop(path, None)
        else:
            self._make_directories(path)
            self.state.files[path] = after
            self.save()
            self.host.put(path, text)
        self.undo.append((path, lambda: self._put_back(path, before)))

    def _put_back(self, path: str, text: str | None) -> None:
        if text is None:
            self.host.remove(path)
        else:
            self.host.put(path, text)

    def _make_directories(self, path: str) -> None:
        made = self.host.make_directories(path)
        self.state.directories += made
        if made:
            self.undo.append((made[0], lambda: self._remove_directories(made)))

    def _remove_directories(self, directories: list[str]) -> None:
        for directory in reversed(directories):
            self.host.remove_empty(directory)

    def _start(self, command: tuple[str, ...]) -> None:
        if self.machine.runner is NO_COMMANDS:
            return  # a tree of files: nothing runs there that would have to read them again
        try:
            self.machine.runner.run(*command)
        except (AbsentError, UnreadableError) as exc:
            raise RefusedError(f"{' '.join(command)}: {exc}") from None

    # ------------------------------------------------------------------------------------------ the run's end

    def save(self) -> None:
        """Keep what was changed, or remove the file when there is nothing left to undo."""
        if self.check:
            return
        if not self.state.values and not self.state.files:
            self.host.remove(STATE_FILE)
            self.state.directories = [
                each for each in reversed(self.state.directories) if not self.host.remove_empty(each)
            ][::-1]
            return
        self._make_directories(STATE_FILE)
        text = self.state.text()
        if text != text_of(self.host, STATE_FILE):
            self.host.put(STATE_FILE, text, 0o600)

    def end(self) -> Outcome:
        """Finish: keep the state, or undo everything where something was refused.

        Raises:
            TuningError: something was refused; the line says what, and whether the host is as it was.

        """
        if self.outcome.refused and not self.keep_going:
            self.fail("; ".join(dict.fromkeys(self.outcome.refused.values())))
        self.save()  # without what was refused, which nobody has to undo
        return self.outcome

    def fail(self, because: str) -> None:
        """Undo all that was done, in the opposite order.

        Raises:
            TuningError: always.

        """
        left = []
        for target, restore in reversed(self.undo):
            try:
                restore()
            except (AbsentError, UnreadableError, RefusedError) as exc:
                left.append(f"{target} ({exc})")
        if left:
            raise TuningError(f"{because}. Still changed: {'; '.join(left)}. {STATE_FILE} says how it was")
        if not self.check and text_of(self.host, STATE_FILE) != (self.first_text or ""):
            self._put_back(STATE_FILE, self.first_text)
            if self.first_text is None:
                self._remove_directories(self.state.directories)
        raise TuningError(f"{because}. {'The host is as it was' if self.undo else 'Nothing was changed'}")
