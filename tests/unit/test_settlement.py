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
from psycopg.conninfo import conninfo_to_dict
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


@pytest.mark.parametrize(("sslmode", "bundle"), [("disable", None), ("verify-full", "/ca.pem"), ("require", "/ca.pem")])
def test_a_connection_and_the_question_whether_anybody_is_there_ask_for_the_same_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sslmode: str, bundle: str | None
) -> None:
    """libpq refuses an authority where no certificate is asked for."""
    asked: list[dict[str, Any]] = []

    def connect(**where: Any) -> None:
        asked.append(where)
        raise psycopg.OperationalError(GERMAN, pgconn=SimpleNamespace(used_password=True))

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(psycopg.pq, "PGconn", SimpleNamespace(ping=lambda where: asked.append(parse(where)) or Ping.OK))
    (tmp_path / "password").write_text("p\n")
    database = settlement.Database("h", 5432, "u", "d", tmp_path / "password", sslmode, "/ca.pem")
    with pytest.raises(CommandError):
        settlement.connect(database)
    assert [(where["sslmode"], where.get("sslrootcert")) for where in asked] == [(sslmode, bundle)] * 2


def parse(where: bytes) -> dict[str, Any]:
    return conninfo_to_dict(where.decode())


MEMBER = {"run_directory": "r", "journal_directory": "j", "order_entry": {"host": "h", "port": 1}}
SETTLEMENT: dict[str, Any] = {
    "shard": 0, "members": [MEMBER], "instruments": ["AAPL"], "sessions": [], "stream": "s", "state_directory": "d",
    "database": {"host": "h", "port": 1, "user": "u", "dbname": "d", "password_file": "p", "sslmode": "disable"},
    "shards": [{"shard": 0, "symbols": ["AAPL"]}],
}  # fmt: skip


def read(directory: Path, **change: Any) -> settlement.Config:
    """Read the file, with some of its keys changed."""
    path = directory / "settlement.json"
    path.write_text(json.dumps({**SETTLEMENT, **change}))
    return settlement.read_config(path)


def test_a_configuration_without_its_own_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="shards has no shard 1, whose file this is"):
        read(tmp_path, shard=1)
    assert read(tmp_path).shards == {0: ["AAPL"]}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([], "members is empty: name the engine"),
        ([{**MEMBER, "port": 1}], r"members\[0\]: unknown key 'port'"),
        ([MEMBER, {**MEMBER, "order_entry": {"host": "h"}}], r"members\[1\]: order_entry: key 'port' is missing"),
    ],
)
def test_each_mistake_about_members_is_one_line(tmp_path: Path, members: list[Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        read(tmp_path, members=members)


def answering(monkeypatch: pytest.MonkeyPatch, answers: dict[str, dict[str, Any]]) -> None:
    """Let the admin socket in each of these directories answer `status`, and no other."""

    def request(path: Path, command: str, timeout: float = 10.0) -> dict[str, Any]:
        assert command == "status" and timeout <= 1.0
        if path.parent.name not in answers:
            raise admin.AdminError(f"no engine answers at {path}")
        return answers[path.parent.name]

    monkeypatch.setattr(admin, "request", request)


def status(role: str, epoch: int) -> dict[str, Any]:
    """What a member says of itself."""
    return {"role": role, "replication": {"epoch": epoch}}


def test_the_primary_of_the_highest_epoch_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One does not answer, one follows, one was stopped and does not know yet that it is primary no more."""
    members = [{**MEMBER, "run_directory": name, "journal_directory": f"journal-{name}"} for name in "abcd"]
    config = read(tmp_path, members=members)
    answering(monkeypatch, {"b": status("primary", 4), "c": status("primary", 5), "d": status("standby", 5)})
    followed = settlement.at_primary(config)
    assert (followed.events_socket, followed.journal_directory) == (Path("c/events.sock"), Path("journal-c"))
    assert settlement.at_primary(followed).member == followed.member


def test_without_a_primary_each_member_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line; a shard of one member is not asked at all."""
    config = read(tmp_path, members=[{**MEMBER, "run_directory": name} for name in "ab"])
    answering(monkeypatch, {"b": status("takeover", 5)})
    with pytest.raises(
        admin.AdminError, match=r"no member of shard 0 is primary: no engine .* a/admin.*b.*: is takeover"
    ):
        settlement.at_primary(config)
    alone = read(tmp_path)
    answering(monkeypatch, {})
    assert settlement.at_primary(alone) is alone


def said(role: str | None, sessions: tuple[str, ...] = ("MAKER1",)) -> dict[str, Any]:
    value: dict[str, Any] = {"shard": 0, "sessions": [{"username": name} for name in sessions]}
    return value if role is None else value | {"role": role}


@pytest.mark.parametrize("role", ["standby", "takeover", "opening", "stopped"])
def test_a_member_that_is_no_primary_is_waited_for(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """What it has of the journal may be anything: its sessions are not even looked at."""
    config: Any = SimpleNamespace(
        admin_socket=Path("admin.sock"), shard=0, sessions=[SimpleNamespace(username="MAKER1")]
    )
    monkeypatch.setattr(settlement.admin, "request", lambda *_: said(role, sessions=()))
    with pytest.raises(admin.AdminError, match=f"this member of shard 0 is {role}, not primary"):
        settlement.check_engine(config)
    for primary in ("alone", "primary", None):
        monkeypatch.setattr(settlement.admin, "request", lambda *_, is_role=primary: said(is_role))
        assert settlement.check_engine(config)["shard"] == 0
    monkeypatch.setattr(settlement.admin, "request", lambda *_: said("primary", ()))
    with pytest.raises(CommandError, match="the engine's sessions are"):
        settlement.check_engine(config)
