# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services' one configuration says, and when a database that says no is worth waiting for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from ironbook import admin, settlement
from ironbook.errors import CommandError
from psycopg.pq import Ping

GERMAN = "FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen"


@pytest.mark.parametrize(
    ("used_password", "answer", "waits"),
    [(True, Ping.OK, False), (False, Ping.OK, True), (True, Ping.REJECT, True), (False, Ping.NO_RESPONSE, True)],
    ids=["refuses the password", "has no session to spare", "is shutting down", "is not there"],
)
def test_a_refusal_is_known_whatever_language_the_server_speaks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, used_password: bool, answer: Ping, waits: bool
) -> None:
    known: Any = SimpleNamespace(used_password=used_password, needs_password=False)

    def connect(**_where: Any) -> None:
        raise psycopg.OperationalError(GERMAN, pgconn=known)

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(psycopg.pq, "PGconn", SimpleNamespace(ping=lambda _where: answer))
    (tmp_path / "password").write_text("p\n")
    database = settlement.Database("h", 5432, "u", "d", tmp_path / "password", "disable")
    with pytest.raises(psycopg.OperationalError if waits else CommandError) as caught:
        settlement.connect(database)
    assert waits or str(caught.value).startswith("the database u@h:5432/d refuses: Passwort-Authentifizierung")


def test_a_configuration_without_its_own_shard_is_refused(tmp_path: Path) -> None:
    value = {
        "shard": 1, "run_directory": "r", "journal_directory": "j", "order_entry": {"host": "h", "port": 1},
        "instruments": ["AAPL"], "sessions": [], "stream": "s", "state_directory": "d",
        "database": {"host": "h", "port": 1, "user": "u", "dbname": "d", "password_file": "p", "sslmode": "disable"},
        "shards": [{"shard": 0, "symbols": ["AAPL"]}],
    }  # fmt: skip
    path = tmp_path / "settlement.json"
    path.write_text(json.dumps(value))
    with pytest.raises(CommandError, match="shards has no shard 1, whose file this is"):
        settlement.read_config(path)
    path.write_text(json.dumps({**value, "shard": 0}))
    assert settlement.read_config(path).shards == {0: ["AAPL"]}


def status(role: str | None, sessions: tuple[str, ...] = ("MAKER1",)) -> dict[str, Any]:
    value: dict[str, Any] = {"shard": 0, "sessions": [{"username": name} for name in sessions]}
    return value if role is None else value | {"role": role}


@pytest.mark.parametrize("role", ["standby", "takeover", "opening", "stopped"])
def test_a_member_that_is_no_primary_is_waited_for(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """What it has of the journal may be anything: its sessions are not even looked at."""
    config: Any = SimpleNamespace(
        admin_socket=Path("admin.sock"), shard=0, sessions=[SimpleNamespace(username="MAKER1")]
    )
    monkeypatch.setattr(settlement.admin, "request", lambda *_: status(role, sessions=()))
    with pytest.raises(admin.AdminError, match=f"this member of shard 0 is {role}, not primary"):
        settlement.check_engine(config)
    for primary in ("alone", "primary", None):
        monkeypatch.setattr(settlement.admin, "request", lambda *_, is_role=primary: status(is_role))
        assert settlement.check_engine(config)["shard"] == 0
    monkeypatch.setattr(settlement.admin, "request", lambda *_: status("primary", ()))
    with pytest.raises(CommandError, match="the engine's sessions are"):
        settlement.check_engine(config)
