# SPDX-License-Identifier: GPL-3.0-or-later
"""Tuning and its undoing: what the catalogue wants of a host, carried out in a session."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import owned
from .actions import BootArgument, Ethtool
from .desired import ConflictError, Desired, awaits_boot, booted, desired, kernel_word, stand_against
from .door import RefusedError
from .persistence import kernel_parameter, last_word
from .session import Outcome, Session, TuningError
from .settings import GRUB_FILE
from .state import STATE_FILE, Changed, Remembered

if TYPE_CHECKING:
    from .check import Machine, Tunable

RESETS = ("L", "G")
"""Options of ethtool after which the device begins anew, with other interrupts."""


def tune(
    machine: Machine,
    tunables: Iterable[Tunable],
    groups: frozenset[str],
    *,
    check: bool = False,
    keep_going: bool = False,
) -> Outcome:
    """Bring a host to what the tunables of some groups want; what they wanted once and want no more is undone.

    Args:
        machine: the host, whose `host` is a WritableHost.
        tunables: the catalogue.
        groups: the groups to tune; of the others everything stays.
        check: compare only.
        keep_going: name what the host refuses and do the rest, instead of undoing everything.

    Raises:
        TuningError: it was refused or undone; one line.

    """
    chosen = [tunable for tunable in tunables if tunable.group in groups]
    session = Session(machine, check=check, keep_going=keep_going)
    try:
        wish = desired(machine, chosen)
    except ConflictError as exc:
        raise TuningError(f"{exc}. Nothing was changed") from None
    files, after = _files(session, wish, groups)
    texts = {path: owned.render(path, lines) for path, lines in files.items() if lines}
    wish.refused.update(stand_against(machine, texts, wish.lines))
    session.outcome.skipped.update(wish.skipped)
    session.outcome.refused.update(wish.refused)
    if wish.refused:
        if not keep_going:
            session.fail("; ".join(dict.fromkeys(wish.refused.values())))
        wish.drop(wish.refused)
        files, after = _files(session, wish, groups)
    try:
        _carry_out(session, chosen, wish, groups)
        session.write_files(files, after)
        _boots_so(session, wish)
    except RefusedError as exc:
        session.fail(str(exc))
    arguments = [action for action, _ids in wish.values.values() if isinstance(action, BootArgument)]
    session.outcome.reboot_for = awaits_boot(machine, wish.lines.get(GRUB_FILE, {}), arguments)
    return session.end()


def _files(
    session: Session, wish: Desired, groups: frozenset[str]
) -> tuple[dict[str, owned.Lines], dict[str, tuple[str, ...]]]:
    """Return our files with the lines of these groups as they are wanted, and those of the others as they are."""
    files: dict[str, owned.Lines] = {}
    there = session.read_files(sorted({*wish.lines, *session.state.files}))
    for path, lines in there.items():
        ids = {name for wanted_by in lines.values() for name in wanted_by}
        kept = owned.without(lines, frozenset(name for name in ids if name.partition(".")[0] in groups))
        for key, wanted_by in wish.lines.get(path, {}).items():
            kept[key] = kept.get(key, frozenset()) | wanted_by
        files[path] = kept
    return files, {**session.state.files, **wish.after}


def _carry_out(session: Session, chosen: list[Tunable], wish: Desired, groups: frozenset[str]) -> None:
    """Set the values: first those after which a device begins anew, then the rest, with the interrupts of then."""

    def gone(changed: Changed) -> bool:
        mine = all(name.partition(".")[0] in groups for name in changed.tunables)
        return mine and changed.action.target not in wish.values

    values = list(wish.values.values())
    resets = [each for each in values if isinstance(each[0], Ethtool) and each[0].option in RESETS]
    session.set_values(resets)
    if session.outcome.changes and not session.check:
        again = desired(session.machine, chosen)
        again.drop(wish.refused)
        wish.values = again.values
    session.restore_values(gone)
    session.set_values(each for each in wish.values.values() if each not in resets)


def _boots_so(session: Session, wish: Desired) -> None:
    """Read back that the boot loader passes our words: that its command ended well proves nothing."""
    if session.check:
        return
    for _section, text in wish.lines.get(GRUB_FILE, {}):
        name, value = kernel_word(text)
        found = kernel_parameter(session.host, name)
        if found is None or found.value != value:
            passed = "does not pass it" if found is None else f"passes {found.value}"
            raise RefusedError(f"kernel parameter {name}={value}: after update-grub the next boot {passed}")


def revert(machine: Machine, groups: frozenset[str] | None, *, check: bool = False) -> Outcome:
    """Undo what tuning has changed, all of it or that of some groups.

    Raises:
        TuningError: not all of it could be undone; the line says what is left.

    """
    session = Session(machine, check=check, keep_going=True)

    def mine(name: str) -> bool:
        return groups is None or name.partition(".")[0] in groups

    before = session.state.copy()
    there = session.read_files(sorted(session.state.files))
    files = {
        path: owned.without(lines, frozenset(n for ids in lines.values() for n in ids if mine(n)))
        for path, lines in there.items()
    }
    try:
        session.restore_values(lambda changed: all(map(mine, changed.tunables)))
        session.write_files(files, dict(session.state.files))
    except RefusedError as exc:
        session.save()
        raise TuningError(f"{exc}. What is not undone is in {STATE_FILE}") from None
    session.outcome.reboot_for = _booted_with(session, there, files, before)
    if session.outcome.changes or not check:
        session.save()
    if session.outcome.refused:
        raise TuningError(f"not undone: {'; '.join(session.outcome.refused.values())}. The rest is")
    return session.outcome


def _booted_with(
    session: Session, there: dict[str, owned.Lines], files: dict[str, owned.Lines], before: Remembered
) -> list[str]:
    """Return the kernel's parameters that were taken away and that this boot was still passed."""
    gone = [key for key in there.get(GRUB_FILE, {}) if key not in files.get(GRUB_FILE, {})]
    names = [kernel_word(text)[0] for _section, text in gone]
    names += [
        changed.action.name
        for target, changed in before.values.items()
        if isinstance(changed.action, BootArgument) and target not in session.state.values
    ]
    words = booted(session.machine)
    return sorted(name for name in names if last_word(words, name) is not None)
