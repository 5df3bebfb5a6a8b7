# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done: a pure function of the files and the history.

The answer is at once the work list, the check mode and the diff, so that none of them can say what another does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import SchemaError
from .migrations import Migration

APPLIED = "applied"
DIRTY = "dirty"
"""A statement without a transaction was begun, and nobody has recorded its end."""


@dataclass(frozen=True)
class Applied:
    """One row of the history."""

    version: int
    name: str
    sha256: str
    state: str = APPLIED

    @property
    def file_name(self) -> str:
        """``V0001__name.sql``, as it was called when it was applied."""
        return f"V{self.version:04d}__{self.name}.sql"


@dataclass(frozen=True)
class Plan:
    """The versions that are in, and the migrations that are not."""

    current: int
    pending: tuple[Migration, ...]
    retried: Migration | None = None
    """The first pending one, when it is dirty and the operator said to run it again."""

    @property
    def target(self) -> int:
        """The version after the plan."""
        return self.pending[-1].version if self.pending else self.current

    def actions(self) -> list[str]:
        """One line for each migration, in order."""
        return [
            f"apply {m.file_name} ({_count(m)}{'' if m.in_transaction else ', without a transaction'})"
            for m in self.pending
        ]

    def diff(self) -> list[dict[str, str]]:
        """Show the SQL itself, as Ansible's diff shows it."""
        return [
            {
                "before": "",
                "after": m.text,
                "before_header": f"version {m.version - 1:04d}",
                "after_header": m.file_name,
            }
            for m in self.pending
        ]


def _count(migration: Migration) -> str:
    count = len(migration.statements)
    return f"{count} statement{'' if count == 1 else 's'}"


def make_plan(
    files: Sequence[Migration], history: Sequence[Applied], target: int | None = None, retry_dirty: bool = False
) -> Plan:
    """Compare the files with the history.

    Args:
        files: the migrations of the directory, versions 1 … n without a gap.
        history: the rows of the history, in any order.
        target: the version to stop at; None is the newest file.
        retry_dirty: run a dirty version again, after the operator has looked at what it left.

    Raises:
        SchemaError: the history and the files contradict each other.

    """
    by_version = {migration.version: migration for migration in files}
    applied = {row.version: row for row in history if row.state == APPLIED}
    dirty = [row for row in history if row.state != APPLIED]
    for row in sorted(applied.values(), key=lambda item: item.version):
        _check_unedited(row, by_version.get(row.version))
    current = max(applied, default=0)
    _check_order(by_version, applied, current)
    target = max(by_version) if target is None else target
    if target not in by_version and target != 0:
        raise SchemaError(f"target {target:04d} is not among the files: the newest is {files[-1].file_name}")
    if target < current:
        raise SchemaError(
            f"target {target:04d} lies behind version {current:04d}, which is applied: migrations only go forward, "
            "write a new one"
        )
    pending = tuple(migration for migration in files if current < migration.version <= target)
    return Plan(current=current, pending=pending, retried=_retried(dirty, pending, retry_dirty))


def _check_unedited(row: Applied, file: Migration | None) -> None:
    if file is None:
        raise SchemaError(
            f"{row.file_name} was applied, and the directory lacks it: use the files of the release that applied it"
        )
    if file.sha256 != row.sha256:
        raise SchemaError(
            f"{file.file_name} was edited after it was applied: applied sha256 {row.sha256}, file sha256 "
            f"{file.sha256}. "
            "Restore the file, and put the change into a new migration"
        )
    if file.name != row.name:
        raise SchemaError(f"{file.file_name} was applied as {row.file_name}: a migration keeps its name")


def _check_order(by_version: dict[int, Migration], applied: dict[int, Applied], current: int) -> None:
    for version in range(1, current):
        if version not in applied:
            name = by_version[version].file_name if version in by_version else f"version {version:04d}"
            raise SchemaError(
                f"{name} is not applied, but version {current:04d} is: out of order; renumber it behind the newest one"
            )


def _retried(dirty: list[Applied], pending: tuple[Migration, ...], retry_dirty: bool) -> Migration | None:
    if not dirty:
        return None
    row = dirty[0]
    if not retry_dirty:
        raise SchemaError(
            f"{row.file_name} is dirty: it ran without a transaction and did not come to its end. "
            "Look at what it left (an INVALID index?), then run again with retry_dirty=true"
        )
    if not pending or pending[0].version != row.version:
        raise SchemaError(f"{row.file_name} is dirty, but it is not the next one to run: mend the history by hand")
    return pending[0]
