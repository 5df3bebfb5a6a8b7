# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session says about itself and about its errors; the session itself is tested on a real server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema import remedy
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.database import (
    Address,
    Database,
    connect,
    reason,
)
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from psycopg.pq import Ping

ADDRESS = Address("127.0.0.1", 1, "trading_admin", "a-secret", "trading_platform", "disable", connect_timeout_s=2)


def test_the_password_is_no_part_of_what_is_shown() -> None:
    assert str(ADDRESS) == "database trading_platform at 127.0.0.1:1 as trading_admin"
    assert "a-secret" not in repr(ADDRESS)


def test_a_closed_port_is_one_line_with_its_remedy() -> None:
    with pytest.raises(SchemaError) as caught, connect(ADDRESS, "ironbook", "schema_history", read_only=True):
        pass
    line = str(caught.value)
    assert "127.0.0.1:1" in line and "refused" in line and "Is the server running" in line
    assert "\n" not in line and "a-secret" not in line


def test_several_lines_become_their_cause() -> None:
    assert (
        reason(OSError('connection to server at "h", port 1 failed: No route to host\n\tIs it up?'))
        == "No route to host"
    )


class Session:
    """A connection whose server refuses every statement that has one of these words."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused

    def execute(self, statement: str, _parameters: object) -> Session:
        if any(word in statement for word in self.refused):
            raise psycopg.errors.InsufficientPrivilege(f"permission denied: {statement}")
        return self

    def fetchone(self) -> tuple[bool]:
        return (True,)


def test_a_lock_that_cannot_be_let_go_of_hides_no_error() -> None:
    database = Database(Session("pg_advisory_unlock"), "ironbook", "schema_history")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="the first error"), database.advisory_lock(1.0):
        raise SchemaError("the first error")
    with database.advisory_lock(1.0):
        pass


def failed(connected: bool = True, **facts: bool) -> Any:
    """Return psycopg's error of a refused connection; the server speaks German, as it may."""
    known: Any = SimpleNamespace(**{"needs_password": False, "used_password": False, **facts})
    text = "FATAL:  Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen"
    return psycopg.OperationalError(text, pgconn=known if connected else None)


@pytest.mark.parametrize(
    ("exc", "sslmode", "answer", "helps"),
    [
        (psycopg.errors.ConnectionTimeout("Zeit"), "disable", Ping.OK, remedy.TIMED_OUT),
        (failed(connected=False), "disable", Ping.OK, remedy.NO_HOST),
        (failed(needs_password=True), "disable", Ping.OK, remedy.NO_PASSWORD),
        (failed(used_password=True), "disable", Ping.OK, remedy.REFUSED),
        (failed(), "disable", Ping.NO_RESPONSE, remedy.UNREACHED),
        (failed(), "disable", Ping.REJECT, remedy.BUSY),
        (failed(), "disable", Ping.OK, remedy.NOT_LET_IN),
        (failed(), "verify-full", Ping.OK, remedy.NO_TLS),
    ],
)
def test_a_remedy_is_found_whatever_language_the_server_speaks(
    monkeypatch: pytest.MonkeyPatch, exc: Any, sslmode: str, answer: Ping, helps: str
) -> None:
    monkeypatch.setattr(remedy, "PGconn", SimpleNamespace(ping=lambda _where: answer))
    assert remedy.remedy(exc, "h", 5432, sslmode, 1) == helps
