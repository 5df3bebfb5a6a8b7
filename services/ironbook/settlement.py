# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook settlement wait`: wait until the ledger and the publisher have dealt with all that an engine has released.

One file configures all that follows a shard's event log: the ledger, the publisher, this, and the reconciliation:

    {"shard": 0, "members": [{"run_directory": …, "journal_directory": …, "order_entry": {"host": …, "port": …}}],
     "instruments": ["AAPL"], "sessions": [{"username": …, "firm": …, "password_file": …}],
     "database": {"host": …, "port": …, "user": …, "dbname": …, "password_file": …, "sslmode": …, "ca_certificate": …},
     "stream": …, "state_directory": …, "shards": [{"shard": 0, "symbols": ["AAPL"]}]}

`members` are the shard's engines on this machine; whichever is primary is followed, which is asked anew whenever its
connection ends. `shards` are all that the venue has: what else is in the database, no engine made. Sessions stand in
the order in which the engine knows them; each consumer compares them with the engine's own list before it trusts a
number. What an instrument's number stands for, the engine itself is asked: it keeps instruments that the configuration
has no more, and those of before keep their numbers wherever the configuration puts them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ironbook import admin
from ironbook.errors import CommandError
from ironbook.event_log import START, Position
from ironbook.service import Stop, check_keys, deadline_ticks, read_json, read_secret, write_json
from ironbook.trades import Names

CONSUMER = "ledger"
PUBLISHER = "publisher "  # what the rows of publishers begin with, before their stream (publisher_checkpoint.py)
_LOG_EVERY_SECONDS = 2.0
_STATUS_SECONDS = 1.0  # a member that does not answer must not keep us from the primary for long


@dataclass(frozen=True)
class Database:
    """How to reach PostgreSQL; the password stays in its file until a connection is made."""

    host: str
    port: int
    user: str
    dbname: str
    password_file: Path
    sslmode: str
    ca_certificate: str | None = None

    def place(self) -> dict[str, Any]:
        """Return what a connection needs before anybody logs in."""
        # libpq refuses an authority for a connection that will not ask for a certificate.
        signed = {} if self.sslmode == "disable" else {"sslrootcert": self.ca_certificate}
        return {"host": self.host, "port": self.port, "sslmode": self.sslmode, "connect_timeout": 5, **signed}

    def parameters(self) -> dict[str, Any]:
        """Return the arguments of psycopg.connect."""
        return {
            **self.place(),
            "user": self.user,
            "dbname": self.dbname,
            "password": read_secret(self.password_file),
            "application_name": "ironbook",
            # Our tables are named with their schema: no schema called like the user, no role's setting, and no operator
            # that somebody put beside them comes first. Rows that a policy would hide are an error, not absent.
            "options": "-c search_path=pg_catalog -c row_security=off",
        }


@dataclass(frozen=True)
class SessionName:
    """A session of the engine; `password_file` for those that the reconciliation may log in to."""

    username: str
    firm: str
    password_file: Path | None


@dataclass(frozen=True)
class Member:
    """An engine of the shard on this machine; order entry by address and port."""

    run_directory: Path
    journal_directory: Path
    order_entry: tuple[str, int]

    @property
    def admin_socket(self) -> Path:
        """Where it is asked."""
        return self.run_directory / "admin.sock"


@dataclass(frozen=True)
class Config:
    """The file, checked. `member`: the one that is followed, the first until `at_primary` has asked."""

    shard: int
    members: tuple[Member, ...]
    member: Member
    instruments: list[str]
    sessions: list[SessionName]
    database: Database
    stream: str
    state_directory: Path
    shards: dict[int, list[str]]

    def names(self, symbols: list[str]) -> Names:
        """What the indexes in events stand for; `symbols` are the engine's."""
        return Names(symbols, [session.firm for session in self.sessions])

    @property
    def events_socket(self) -> Path:
        """The engine's event log."""
        return self.member.run_directory / "events.sock"

    @property
    def admin_socket(self) -> Path:
        """The engine's admin socket."""
        return self.member.admin_socket

    @property
    def journal_directory(self) -> Path:
        """The engine's journal."""
        return self.member.journal_directory

    @property
    def order_entry(self) -> tuple[str, int]:
        """The engine's order entry, address and port."""
        return self.member.order_entry

    @property
    def publisher_checkpoint(self) -> Path:
        """How far the publisher has come."""
        return self.state_directory / "publisher" / f"shard-{self.shard}.json"

    @property
    def report(self) -> Path:
        """Where the reconciliation's report goes."""
        return self.state_directory / "reports" / "reconciliation.json"

    def status_file(self, service: str) -> Path:
        """Return where a service of this shard says how it is."""
        return self.state_directory / "run" / f"{service}-{self.shard}.status.json"


_KEYS = {
    "shard": int,
    "members": list,
    "instruments": list,
    "sessions": list,
    "database": dict,
    "stream": str,
    "state_directory": str,
    "shards": list,
}
_MEMBER_KEYS = {"run_directory": str, "journal_directory": str, "order_entry": dict}
_DATABASE_KEYS = {
    "host": str,
    "port": int,
    "user": str,
    "dbname": str,
    "password_file": str,
    "sslmode": str,
    "ca_certificate": str,
}


def read_config(path: Path) -> Config:
    """Read and check the file; raises CommandError that names the key."""
    value = check_keys(read_json(path), _KEYS, str(path))
    database = check_keys(value["database"], _DATABASE_KEYS, f"{path}: database", frozenset({"ca_certificate"}))
    members = _members(value["members"], path)
    sessions = []
    for number, item in enumerate(value["sessions"]):
        keys = {"username": str, "firm": str, "password_file": str}
        session = check_keys(item, keys, f"{path}: sessions[{number}]", frozenset({"password_file"}))
        file = session.get("password_file")
        sessions.append(SessionName(session["username"], session["firm"], Path(file) if file else None))
    return Config(
        shard=value["shard"],
        members=members,
        member=members[0],
        instruments=[str(symbol) for symbol in value["instruments"]],
        sessions=sessions,
        database=Database(**{**database, "password_file": Path(database["password_file"])}),
        stream=value["stream"],
        state_directory=Path(value["state_directory"]),
        shards=_shards(value["shards"], value["shard"], path),
    )


def _members(given: list[Any], path: Path) -> tuple[Member, ...]:
    """Return the shard's engines on this machine."""
    members = []
    for number, item in enumerate(given):
        where = f"{path}: members[{number}]"
        member = check_keys(item, _MEMBER_KEYS, where)
        entry = check_keys(member["order_entry"], {"host": str, "port": int}, f"{where}: order_entry")
        directories = Path(member["run_directory"]), Path(member["journal_directory"])
        members.append(Member(*directories, (entry["host"], entry["port"])))
    if not members:
        raise CommandError(f"{path}: members is empty: name the engine that is followed")
    return tuple(members)


def _shards(given: list[Any], own: int, path: Path) -> dict[int, list[str]]:
    """Return the symbols of each shard of the venue."""
    shards: dict[int, list[str]] = {}
    for number, item in enumerate(given):
        shard = check_keys(item, {"shard": int, "symbols": list}, f"{path}: shards[{number}]")
        shards[shard["shard"]] = [str(symbol) for symbol in shard["symbols"]]
    if own not in shards:
        raise CommandError(f"{path}: shards has no shard {own}, whose file this is")
    return shards


def at_primary(config: Config) -> Config:
    """Return the configuration with `member` the shard's primary; AdminError where no member says that it is.

    A primary that was stopped and goes on may think for a moment that it still is: the one of the highest epoch counts.
    """
    if len(config.members) == 1:
        return config  # whatever is wrong with it, who asks it says
    found: list[tuple[int, Member]] = []
    others: list[str] = []
    for member in config.members:
        try:
            status = admin.request(member.admin_socket, "status", timeout=_STATUS_SECONDS)
        except admin.AdminError as error:
            others.append(str(error))
            continue
        if status["role"] == "primary":
            found.append((status["replication"]["epoch"], member))
        else:
            others.append(f"{member.admin_socket}: is {status['role']}")
    if not found:
        raise admin.AdminError(f"no member of shard {config.shard} is primary: {'; '.join(others)}")
    return replace(config, member=max(found, key=lambda one: one[0])[1])


def check_engine(config: Config) -> dict[str, Any]:
    """Return the engine's status after comparing its sessions with the configuration's, on which every firm rests.

    Raises AdminError, which waiting cures, where the engine is no primary (now): it may not have all of the journal.
    """
    status = admin.request(config.admin_socket, "status")
    if (role := status.get("role", "alone")) not in ("alone", "primary"):
        raise admin.AdminError(f"{config.admin_socket}: this member of shard {config.shard} is {role}, not primary")
    given = [session["username"].strip() for session in status["sessions"]]
    wanted = [session.username for session in config.sessions]
    if status["shard"] != config.shard:
        raise CommandError(f"{config.admin_socket}: is the engine of shard {status['shard']}, not {config.shard}")
    if given != wanted:
        raise CommandError(f"{config.admin_socket}: the engine's sessions are {given}, the configuration says {wanted}")
    return status


def engine_symbols(config: Config) -> list[str]:
    """Return the engine's own names of its instruments, by their numbers."""
    symbols: list[str] = []
    while True:
        answer = admin.request(config.admin_socket, f"instruments {len(symbols)}")
        symbols += answer["symbols"]
        if len(symbols) >= answer["count"] or not answer["symbols"]:
            return symbols


def write_status(path: Path, service: str, state: str, reason: str = "", **figures: object) -> None:
    """Say how a service is: running, waiting (and for what), or failed (and why)."""
    value = {"service": service, "state": state, "reason": reason, "updated_at": time.time(), **figures}
    write_json(path, value, durable=False)


def add_consumer(subparsers: Any, name: str, help_text: str, follow: Callable[[Config, Stop], None]) -> None:
    """Add `ironbook NAME run --config FILE`: `follow` a shard's event log until SIGTERM, with a status that tells."""

    def run(arguments: argparse.Namespace) -> int:
        config = read_config(arguments.config)
        stop = Stop()
        stop.catch_signals()
        try:
            follow(config, stop)
        except CommandError as error:
            write_status(config.status_file(name), name, "failed", str(error))
            raise
        return 0

    parser = subparsers.add_parser(name, help=help_text)
    actions = parser.add_subparsers(dest="action", required=True)
    run_parser = actions.add_parser("run", help="follow a shard's event log until SIGTERM")
    run_parser.add_argument("--config", type=Path, required=True, help="the shard's settlement.json")
    run_parser.set_defaults(function=run)


def connect(database: Database) -> Any:
    """Connect to PostgreSQL. Raises CommandError where waiting does not help, psycopg.OperationalError otherwise."""
    import psycopg  # noqa: PLC0415 - the publisher does without it

    try:
        return psycopg.connect(**database.parameters())
    except psycopg.OperationalError as error:
        if _refused(error, database):
            place = f"{database.user}@{database.host}:{database.port}/{database.dbname}"
            reason = " ".join(str(error).split()).rsplit("FATAL:", maxsplit=1)[-1].strip()
            raise CommandError(f"the database {place} refuses: {reason}") from error
        raise


@contextmanager
def reading(database: Database) -> Iterator[Any]:
    """Connect for a look at the tables; whatever PostgreSQL says against it is one line, a CommandError."""
    import psycopg  # noqa: PLC0415 - the publisher does without it

    try:
        with connect(database) as connection:
            yield connection
    except psycopg.Error as error:
        place = f"{database.host}:{database.port}/{database.dbname}"
        raise CommandError(f"the tables of {place} cannot be read: {' '.join(str(error).split())}") from error


def _refused(error: Any, database: Database) -> bool:
    """Whether a server that is up wanted our password and said no all the same: waiting does not help.

    Its words tell it in its own language (lc_messages), and libpq hands over no SQLSTATE of a connection that failed.
    """
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    from psycopg.pq import PGconn, Ping  # noqa: PLC0415

    if error.pgconn is None or not (error.pgconn.used_password or error.pgconn.needs_password):
        return False
    return bool(PGconn.ping(make_conninfo(**database.place()).encode()) == Ping.OK)


def ledger_position(config: Config) -> Position:
    """Return the last event whose effect is in PostgreSQL."""
    with reading(config.database) as connection:
        row = connection.execute(
            "SELECT sequence, index FROM public.ledger_checkpoint WHERE consumer = %s AND shard = %s",
            (CONSUMER, config.shard),
        ).fetchone()
    return Position(*row) if row else START


def stream_identity(client: Any, stream: str) -> dict[str, str]:
    """Return what tells one stream from another of the same name: its ARN and when it was created."""
    summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return {"stream_arn": summary["StreamARN"], "created": summary["StreamCreationTimestamp"].isoformat()}


def publisher_position(config: Config, identity: dict[str, str]) -> Position:
    """Return the last event that is in this very stream, by the publisher's checkpoint."""
    if not config.publisher_checkpoint.exists():
        return START
    value = read_json(config.publisher_checkpoint)
    if {key: value.get(key) for key in identity} != identity:
        return START
    return Position(value["sequence"], value["index"])


def kinesis_client() -> Any:
    """Return a Kinesis client; endpoint, region and credentials come from the environment."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - the ledger does without it
    from botocore.config import Config as BotoConfig  # type: ignore[import-untyped]  # noqa: PLC0415

    # We retry ourselves, since only we know which record must not overtake which.
    return boto3.client(
        "kinesis", config=BotoConfig(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=30)
    )


def add_parser(subparsers: Any) -> None:
    """Add `ironbook settlement` to the command line."""
    parser = subparsers.add_parser("settlement", help="what is in the ledger and on the stream")
    actions = parser.add_subparsers(dest="action", required=True)
    wait = actions.add_parser("wait", help="wait until both have all that the engine has released")
    wait.add_argument("--config", type=Path, required=True, help="the shard's settlement.json")
    wait.add_argument("--seconds", type=float, default=60.0, help="how long to wait at most")
    wait.set_defaults(function=run_wait)


def _why(config: Config, service: str) -> str:
    path = config.status_file(service)
    if not path.exists():
        return f"it has not started (no {path})"
    status = read_json(path)
    return f"it is {status['state']}" + (f": {status['reason']}" if status["reason"] else "")


def engine_position(config: Config) -> Position:
    """Return the last event that the engine has released."""
    last = check_engine(config)["last_event"]
    return Position(last["seq"], last["index"])


def refuse_lost_end(config: Config, positions: dict[str, Position]) -> None:
    """Raise CommandError where a consumer has had events that the engine, asked after it, does not have any more."""
    engine = engine_position(config)
    for name, position in positions.items():
        if position > engine:
            raise CommandError(
                f"shard {config.shard}: the engine's journal has lost its end: its last event is {tuple(engine)}, "
                f"but the {name} has had {tuple(position)}: stop the engine and restore {config.journal_directory} "
                "from a copy before anybody trades"
            )


def run_wait(arguments: argparse.Namespace) -> int:
    """Wait, and print where everything is; fails with what is behind and why."""
    config = at_primary(read_config(arguments.config))
    target = engine_position(config)
    client = kinesis_client()
    positions: dict[str, Position] = {}
    begin = time.monotonic()
    for _ in deadline_ticks(arguments.seconds, 0.1):
        if positions.get("ledger", START) < target:
            positions["ledger"] = ledger_position(config)
        if positions.get("publisher", START) < target:
            positions["publisher"] = publisher_position(config, stream_identity(client, config.stream))
        if all(position >= target for position in positions.values()):
            refuse_lost_end(config, positions)
            result = {name: list(position) for name, position in positions.items()}
            seconds = round(time.monotonic() - begin, 3)
            print(json.dumps({"result": {"engine": list(target), **result, "seconds": seconds}}))
            return 0
    behind = [
        f"the {name} is at {tuple(position)}; {_why(config, name)}"
        for name, position in positions.items()
        if position < target
    ]
    raise CommandError(
        f"shard {config.shard}: not settled after {arguments.seconds:.0f} s: the engine is at {tuple(target)}, "
        + " and ".join(behind)
    )
