# SPDX-License-Identifier: GPL-3.0-or-later
"""One session with PostgreSQL: the history, the advisory lock, and the running of one migration.

The session is in autocommit, so that between migrations it holds no snapshot: a snapshot would make every CREATE INDEX
CONCURRENTLY wait for it. A reading session is read-only in the server's eyes, not only in ours.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from .errors import SchemaError
from .migrations import Migration
from .plan import APPLIED, DIRTY, Applied
from .remedy import remedy
from .retry import LOCK_NOT_AVAILABLE, wait

try:
    import psycopg
    from psycopg import sql

    PSYCOPG_IMPORT_ERROR: Exception | None = None
except ImportError as exc:  # reported by the module as a missing library
    PSYCOPG_IMPORT_ERROR = exc

READER_LOCK_TIMEOUT_MS = 2000
"""A reader waits this long for the history, which a migration locks only while it creates it."""
ADVISORY_POLL_S = 0.1
GONE_CLIENT_CHECK_MS = 1000
"""How soon the server notices that a killed runner's statement has nobody left to report to, and lets go of its
locks."""

LOCK_HOLDER = """
SELECT l.pid, a.application_name, a.usename, a.client_addr, a.backend_start::timestamptz(0)
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.classid = %s::bigint::oid AND l.objid = %s::bigint::oid
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""pg_locks shows a 64-bit advisory key as two 32-bit words, with objsubid 1."""

OLDEST_TRANSACTIONS = """
SELECT pid, coalesce(nullif(application_name, ''), usename),
       round(extract(epoch FROM clock_timestamp() - xact_start))::int
  FROM pg_stat_activity
 WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
 ORDER BY xact_start LIMIT 3
"""

CREATE_HISTORY = """
CREATE TABLE {} (
    version integer PRIMARY KEY CHECK (version > 0),
    name text NOT NULL,
    sha256 text NOT NULL CHECK (length(sha256) = 64),
    state text NOT NULL CHECK (state IN ('applied', 'dirty')),
    statements integer NOT NULL,
    duration_ms bigint NOT NULL,
    retries integer NOT NULL,
    applied_by text NOT NULL DEFAULT session_user,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


@dataclass(frozen=True)
class Address:
    """Where the database is, and how to be let in."""

    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    database: str
    sslmode: str
    ca_certificate: str | None = None
    connect_timeout_s: int = 10

    def __str__(self) -> str:
        """Show everything but the password."""
        return f"database {self.database} at {self.host}:{self.port} as {self.user}"


class Database:
    """A session; use :func:`connect`."""

    def __init__(self, connection: psycopg.Connection[Any], history_schema: str, history_table: str) -> None:
        """Hold the session; the two names say where the history is."""
        self.connection = connection
        self.history_schema = history_schema
        self.history_table = history_table
        self._history = sql.Identifier(history_schema, history_table)

    def server(self) -> dict[str, Any]:
        """Version (as 160014), whether it is a standby, and whether this session is encrypted."""
        query = "SELECT current_setting('server_version_num')::int, pg_is_in_recovery()"
        (row,) = self.connection.execute(query).fetchall()
        return {"version": row[0], "in_recovery": row[1], "tls": bool(self.connection.pgconn.ssl_in_use)}

    def refuse_standby(self) -> None:
        """Raise SchemaError on a server that replays somebody else's log."""
        if self.server()["in_recovery"]:
            raise SchemaError(
                "this server is a standby (pg_is_in_recovery): a migration runs on the primary, use the writer's "
                "endpoint"
            )

    def has_history(self) -> bool:
        """Tell whether the history table exists."""
        row = self.connection.execute("SELECT to_regclass(%s)", (self._history.as_string(self.connection),)).fetchone()
        return row is not None and row[0] is not None

    def history(self) -> list[Applied]:
        """Read the rows of the history; none when there is no table yet."""
        return [Applied(row["version"], row["name"], row["sha256"], row["state"]) for row in self.history_rows()]

    def history_rows(self) -> list[dict[str, Any]]:
        """Read the history with everything that it knows, oldest first."""
        if not self.has_history():
            return []
        query = sql.SQL(
            "SELECT version, name, sha256, state, statements, duration_ms, retries, applied_by, applied_at FROM {} "
            "ORDER BY version"
        )
        cursor = self.connection.execute(query.format(self._history))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    @contextmanager
    def advisory_lock(self, deadline_s: float, pause: Callable[[float], None] = wait) -> Iterator[None]:
        """Hold the lock that lets one runner in at a time.

        The server lets go of it when the session ends, however it ends. It is asked for again and again rather than
        waited for: a session that waits inside a statement holds a snapshot, and would deadlock with the CREATE INDEX
        CONCURRENTLY of the runner that holds the lock.
        """
        key = self._lock_key()
        deadline = time.monotonic() + deadline_s
        while not self._scalar("SELECT pg_try_advisory_lock(%s)", (key,)):
            if time.monotonic() >= deadline:
                raise SchemaError(
                    f"another migration is running: {self._lock_holder(key)} holds the lock, for more than "
                    f"{deadline_s:g} s. Wait for it, or end it with pg_terminate_backend"
                )
            pause(ADVISORY_POLL_S)
        try:
            yield
        finally:
            # The end of the session lets go of it as well: what went wrong here must not hide what went wrong before.
            with suppress(psycopg.Error):
                self.connection.execute("SELECT pg_advisory_unlock(%s)", (key,))

    def _lock_key(self) -> int:
        """Derive a 64-bit key from the history's name; PostgreSQL keeps advisory locks apart by database."""
        digest = hashlib.sha256(f"ironbook.rds_schema:{self.history_schema}.{self.history_table}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    def _lock_holder(self, key: int) -> str:
        words = ((key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF)
        row = self.connection.execute(LOCK_HOLDER, words).fetchone()
        if row is None:
            return "a session that has just ended"
        program, address = row[1] or "no application name", row[3] or "a socket"
        return f"server process {row[0]} ({program}, user {row[2]}, from {address}, since {row[4]})"

    def apply(self, migration: Migration, retries: int, lock_timeout_ms: int, statement_timeout_ms: int) -> int:
        """Run one migration and record it, in one transaction; return the duration in ms.

        Raises psycopg.Error with a note that names the statement; nothing of the migration is then in the database.
        """
        begun = time.monotonic()
        with self.connection.transaction():
            # set_config(…, true) is SET LOCAL with a parameter.
            self.connection.execute(
                "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
                (f"{lock_timeout_ms}ms", f"{statement_timeout_ms}ms"),
            )
            self._ensure_history()
            for number, statement in enumerate(migration.statements, start=1):
                self._run(statement, number)
            duration_ms = round((time.monotonic() - begun) * 1000)
            self._record(migration, APPLIED, duration_ms, retries)
        return duration_ms

    def record_dirty(self, migration: Migration) -> None:
        """Record a no-transaction file as begun and not ended; :meth:`apply_without_transaction` comes next."""
        with self.connection.transaction():
            self._ensure_history()
            self.connection.execute(
                sql.SQL("DELETE FROM {} WHERE version = %s AND state = %s").format(self._history),
                (migration.version, DIRTY),
            )
            self._record(migration, DIRTY, 0, 0)

    def apply_without_transaction(self, migration: Migration, again: bool) -> int:
        """Run the one statement of a no-transaction file and record it as applied; return the duration in ms.

        Neither timeout applies: the concurrent forms block no reader and no writer while they wait, and one that is
        cut short leaves an INVALID index behind.
        """
        begun = time.monotonic()
        self.connection.execute(
            "SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false)"
        )
        if again and migration.creates_index:
            self._drop_invalid_index(migration.creates_index)
        self._run(migration.statements[0], 1)
        duration_ms = round((time.monotonic() - begun) * 1000)
        self.connection.execute(
            sql.SQL(
                "UPDATE {} SET state = %s, duration_ms = %s, applied_at = clock_timestamp() WHERE version = %s"
            ).format(self._history),
            (APPLIED, duration_ms, migration.version),
        )
        return duration_ms

    def _drop_invalid_index(self, name: str) -> None:
        """Take away what the failed attempt left; an index that is valid is somebody's, and stays."""
        parts = sql.Identifier(*name.split("."))
        quoted = parts.as_string(self.connection)
        if self._scalar("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (quoted,)):
            self.connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(parts))

    def oldest_transactions(self) -> str:
        """Name who may hold the lock that we did not get: the three oldest other transactions, by server process."""
        rows = self.connection.execute(OLDEST_TRANSACTIONS).fetchall()
        return ", ".join(f"process {pid} ({name}, {age} s)" for pid, name, age in rows) or "none is open now"

    def _run(self, statement: str, number: int) -> None:
        try:
            self.connection.execute(statement)  # type: ignore[call-overload]  # the file's own SQL, without parameters
        except psycopg.Error as exc:
            exc.add_note(f"statement {number}")
            raise

    def _ensure_history(self) -> None:
        if self.has_history():
            return
        # "IF NOT EXISTS" would ask for the right to create schemas even where the schema is there.
        if not self._scalar(
            "SELECT to_regnamespace(%s)", (sql.Identifier(self.history_schema).as_string(self.connection),)
        ):
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.history_schema)))
        self.connection.execute(sql.SQL(CREATE_HISTORY).format(self._history))

    def _record(self, migration: Migration, state: str, duration_ms: int, retries: int) -> None:
        query = sql.SQL(
            "INSERT INTO {} (version, name, sha256, state, statements, duration_ms, retries) VALUES (%s, %s, %s, %s, "
            "%s, %s, %s)"
        )
        self.connection.execute(
            query.format(self._history),
            (
                migration.version,
                migration.name,
                migration.sha256,
                state,
                len(migration.statements),
                duration_ms,
                retries,
            ),
        )

    def _scalar(self, query: str, parameters: tuple[Any, ...]) -> Any:
        row = self.connection.execute(query, parameters).fetchone()  # type: ignore[call-overload]
        return row[0] if row else None


@contextmanager
def connect(address: Address, history_schema: str, history_table: str, read_only: bool) -> Iterator[Database]:
    """Open a session, and close it whatever happens.

    Raises:
        SchemaError: the server refuses, or the session is lost; the line names the database and the remedy, never the
        password.

    """
    # What a migration names without a schema is made in public, where the services look for it: not in a schema called
    # like the user, nor where a setting of the role points.
    settings = [f"client_connection_check_interval={GONE_CLIENT_CHECK_MS}", "search_path=public"]
    if read_only:
        settings += ["default_transaction_read_only=on", f"lock_timeout={READER_LOCK_TIMEOUT_MS}"]
    try:
        connection = psycopg.connect(
            host=address.host,
            port=address.port,
            user=address.user,
            password=address.password,
            dbname=address.database,
            sslmode=address.sslmode,
            connect_timeout=address.connect_timeout_s,
            autocommit=True,
            prepare_threshold=None,
            application_name=f"ironbook rds_schema, pid {os.getpid()}",
            options=" ".join(f"-c {setting}" for setting in settings),
            # libpq refuses an authority for a connection that will not ask for a certificate.
            sslrootcert=None if address.sslmode == "disable" else address.ca_certificate,
        )
    except psycopg.Error as exc:
        helps = remedy(exc, address.host, address.port, address.sslmode, address.connect_timeout_s)
        raise SchemaError(f"cannot open {address}: {reason(exc)}. {helps}") from exc
    with connection:
        try:
            yield Database(connection, history_schema, history_table)
        except psycopg.errors.LockNotAvailable as exc:
            raise SchemaError(
                f"{address}: the history is locked by a migration that is creating it ({LOCK_NOT_AVAILABLE}): "
                "run again when it has ended"
            ) from exc
        except psycopg.Error as exc:
            raise SchemaError(f"{address}: {reason(exc)}") from exc


def reason(exc: BaseException) -> str:
    """One line out of the server's or libpq's several: the message, the SQLSTATE, and which statement it was."""
    diagnostic = getattr(exc, "diag", None)
    message = getattr(diagnostic, "message_primary", None) or _last_cause(str(exc))
    state = getattr(exc, "sqlstate", None)
    notes = "".join(f", {note}" for note in getattr(exc, "__notes__", ()))
    return f"{message}{f' (SQLSTATE {state}{notes})' if state else ''}"


def _last_cause(text: str) -> str:
    """Take libpq's own words out of what psycopg wraps around them."""
    lines = [line.strip(" \t-") for line in text.splitlines() if line.strip()]
    wanted = [line for line in lines if "failed:" in line or "FATAL" in line] or lines or ["no reason given"]
    return wanted[-1].rsplit("failed: ", 1)[-1].rstrip(".")
