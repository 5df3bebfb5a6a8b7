# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a database to a version: plan, lock, plan again, apply one after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .database import Address, Database, connect, reason
from .errors import SchemaError
from .migrations import Migration, load_migrations
from .plan import Plan, make_plan
from .retry import RETRIED, pauses, wait

with suppress(ImportError):  # database.py keeps the reason, and the modules report it
    import psycopg


@dataclass(frozen=True)
class Options:
    """Everything that a run is asked for; the fields are the module's options of the same names."""

    directory: str
    target: int | None
    history_schema: str
    history_table: str
    lock_timeout_ms: int
    lock_retries: int
    statement_timeout_ms: int
    lock_wait_seconds: int
    retry_dirty: bool


def address_of(params: dict[str, Any]) -> Address:
    """Build the address from a module's parameters (see arguments.py)."""
    return Address(
        host=params["host"],
        port=params["port"],
        user=params["user"],
        password=params["password"],
        database=params["database"],
        sslmode=params["sslmode"],
        ca_certificate=params["ca_certificate"],
        connect_timeout_s=params["connect_timeout_seconds"],
    )


def options_of(params: dict[str, Any]) -> Options:
    """Build the options from a module's parameters (see arguments.py)."""
    return Options(**{name: params[name] for name in Options.__dataclass_fields__})


def migrate(
    address: Address, options: Options, check_mode: bool, pause: Callable[[float], None] = wait
) -> dict[str, Any]:
    """Apply what is pending; in check mode say what that is, in a read-only session and without any lock of ours.

    Raises:
        SchemaError: with one line, and with what had been applied before.

    """
    files = load_migrations(options.directory)
    with connect(address, options.history_schema, options.history_table, read_only=check_mode) as database:
        database.refuse_standby()
        plan = _plan(files, database, options)
        if check_mode or not plan.pending:
            return _result(plan, files, applied=None)
        with database.advisory_lock(options.lock_wait_seconds, pause):
            plan = _plan(files, database, options)  # whoever held the lock before us may have done it all
            applied = _apply_all(database, plan, options, pause)
        return _result(plan, files, applied)


def inspect(address: Address, directory: str | None, history_schema: str, history_table: str) -> dict[str, Any]:
    """Read the version, the history and, with a directory, what is pending or contradicts it."""
    with connect(address, history_schema, history_table, read_only=True) as database:
        rows = database.history_rows()
        history = database.history()
        server = database.server()
    state: dict[str, Any] = {
        "server": server,
        "history": [{**row, "applied_at": row["applied_at"].isoformat()} for row in rows],
        "current_version": max((row.version for row in history if row.state == "applied"), default=0),
        "dirty": [row.file_name for row in history if row.state != "applied"],
        "pending": [],
        "problem": None,
    }
    if directory:
        try:
            plan = make_plan(load_migrations(directory), history, retry_dirty=True)
            state["pending"] = [migration.file_name for migration in plan.pending]
        except SchemaError as exc:
            state["problem"] = str(exc)
    return state


def _plan(files: list[Migration], database: Database, options: Options) -> Plan:
    return make_plan(files, database.history(), options.target, options.retry_dirty)


def _apply_all(
    database: Database, plan: Plan, options: Options, pause: Callable[[float], None]
) -> list[dict[str, Any]]:
    applied: list[dict[str, Any]] = []
    for migration in plan.pending:
        left = "nothing of it is in the database"
        try:
            if migration.in_transaction:
                duration_ms, retries = _apply_with_retries(database, migration, options, pause)
            else:
                database.record_dirty(migration)
                left = "it is recorded as dirty"
                duration_ms, retries = database.apply_without_transaction(migration, again=plan.retried is migration), 0
        except psycopg.Error as exc:
            raise SchemaError(f"{migration.file_name}: {reason(exc)}; {left}", applied) from exc
        except SchemaError as exc:
            raise SchemaError(str(exc), applied) from exc
        applied.append(
            {
                "version": migration.version,
                "name": migration.name,
                "sha256": migration.sha256,
                "statements": len(migration.statements),
                "duration_ms": duration_ms,
                "retries": retries,
            }
        )
    return applied


def _apply_with_retries(
    database: Database, migration: Migration, options: Options, pause: Callable[[float], None]
) -> tuple[int, int]:
    """Try until the locks are free at a moment; return the duration in ms, and how many tries did not get them.

    The whole transaction is tried again, never a part of it: what it has locked already must not stay locked while it
    waits.
    """
    schedule = pauses(options.lock_retries)
    retries = 0
    while True:
        try:
            return database.apply(migration, retries, options.lock_timeout_ms, options.statement_timeout_ms), retries
        except psycopg.Error as exc:
            if exc.sqlstate not in RETRIED or database.connection.closed:
                raise
            next_pause = next(schedule, None)
            if next_pause is None:
                raise SchemaError(
                    f"{migration.file_name}: {reason(exc)}, {retries + 1} times; oldest open transactions: "
                    f"{database.oldest_transactions()}. Let them end, or raise lock_retries"
                ) from exc
        retries += 1
        pause(next_pause)


def _result(plan: Plan, files: list[Migration], applied: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Say what the module returns; ``applied`` is None where the database was not touched."""
    current = plan.current if applied is None else plan.target
    return {
        "changed": bool(plan.pending),
        "actions": plan.actions(),
        "applied": applied or [],
        "current_version": current,
        "pending": [migration.file_name for migration in files if migration.version > current],
        "diff": plan.diff(),
    }
