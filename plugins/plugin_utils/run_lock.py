# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of an environment: one run changes it at a time, and who holds it is written there.

It is an item of a DynamoDB table, put on the condition that there is none. A run gives it back as it ends, however it
ends, but for one that is killed: then it stays until a person clears it, who has seen that nothing runs any more.

Every play's hosts go through here, most of them in runs without a lock: boto3 is imported where it is needed alone.
"""

from __future__ import annotations

import atexit
import contextlib
import getpass
import json
import os
import re
import socket
import sys
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible import constants  # type: ignore[import-untyped]

# The table's key, as module aws_configuration_table makes it.
KEY = "item"


@dataclass(frozen=True)
class Holder:
    """A run of ansible-playbook. `boot` and `started` tell its process from a later one of that number (proc(5))."""

    id: str
    user: str
    host: str
    command: str
    since: str  # UTC, ISO 8601
    pid: int
    boot: str
    started: str  # clock ticks after boot

    def __str__(self) -> str:
        """Say who it is, for a person who has to find it."""
        return f"{self.user}@{self.host}, process {self.pid}, since {self.since} ({self.command}), id {self.id}"

    def is_alive(self) -> bool | None:
        """Whether its process runs; None where that cannot be seen from this machine."""
        if self.host != socket.gethostname():
            return None
        return (self.boot, self.started) == (_boot(), _started(self.pid))


@dataclass(frozen=True)
class Place:
    """Where the lock is: a table, the environment that it is for, and the bucket that a run is recorded in (or "")."""

    table: str
    environment: str
    bucket: str = ""

    @property
    def key(self) -> dict[str, Any]:
        """The key of its item."""
        return {KEY: {"S": f"run-lock/{self.environment}"}}


class LockError(Exception):
    """One line: who holds the lock, or what AWS said."""


class NoTableError(LockError):
    """There is no table yet that the lock could be in."""


def client(service: str) -> Any:
    """Return a client of boto3. LockError where there is no boto3."""
    try:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 (see above)
    except ImportError as error:
        raise LockError("boto3 is not installed: run `make venv` and use its ansible-playbook") from error
    return boto3.client(service)


def this_run(pid: int) -> Holder:
    """Return the run whose main process that is."""
    playbooks = (word for word in sys.argv[1:] if word.startswith("ironbook.") or re.fullmatch("[^@=]+[.]ya?ml", word))
    command = " ".join(["ansible-playbook", *playbooks])  # no other word: -e may give a secret
    since = datetime.now(UTC).isoformat(timespec="seconds")
    host = socket.gethostname()
    return Holder(uuid.uuid4().hex[:8], getpass.getuser(), host, command, since, pid, _boot(), _started(pid))


def read(dynamodb: Any, place: Place) -> Holder | None:
    """Return who holds the lock. LockError where the table cannot be read."""
    answer = _ask(dynamodb.get_item, place, TableName=place.table, Key=place.key, ConsistentRead=True)
    found = answer.get("Item")
    return Holder(**json.loads(found["holder"]["S"])) if found else None


def acquire(dynamodb: Any, place: Place, holder: Holder) -> None:
    """Take the lock, or raise a LockError that names its holder."""
    item = {**place.key, "holder": {"S": json.dumps(asdict(holder))}, "id": {"S": holder.id}}
    condition = {"ConditionExpression": "attribute_not_exists(#key)", "ExpressionAttributeNames": {"#key": KEY}}
    try:
        _ask(dynamodb.put_item, place, TableName=place.table, Item=item, **condition)
    except LockError as error:
        if _code(error.__cause__) != "ConditionalCheckFailedException":
            raise
        other = read(dynamodb, place)
        who = f"is being changed by {other}" if other else "was being changed a moment ago"
        raise LockError(
            f"{place.environment} {who}: wait until that run has ended; where it was killed, ironbook.trading.unlock"
        ) from error


def release(dynamodb: Any, place: Place, identifier: str) -> None:
    """Give the lock back. LockError where another holds it: it was cleared meanwhile, and taken."""
    condition = {
        "ConditionExpression": "#id = :id",
        "ExpressionAttributeNames": {"#id": "id"},
        "ExpressionAttributeValues": {":id": {"S": identifier}},
    }
    _ask(dynamodb.delete_item, place, TableName=place.table, Key=place.key, **condition)


def remember(place: Place, holder: Holder) -> None:
    """Remember for the end of this run that it holds the lock."""
    text = json.dumps({"place": asdict(place), "holder": asdict(holder)})
    _held().write_text(text, encoding="utf-8")


def held_by_this_run() -> Holder | None:
    """Return this run as the holder, where it is."""
    if not _held().exists():
        return None
    return Holder(**json.loads(_held().read_text(encoding="utf-8"))["holder"])


def give_back_at_exit() -> None:
    """Have this process, Ansible's main one, give the lock back as it ends; asked for by every play, done once."""
    if not _registered:
        _registered.append(os.getpid())
        atexit.register(_give_back)


_registered: list[int] = []


def _give_back() -> None:
    """Give back what this run holds, and record the run. A fork of the main process does nothing here."""
    if os.getpid() not in _registered or not _held().exists():
        return
    told: Mapping[str, Any] = json.loads(_held().read_text(encoding="utf-8"))
    place, holder = Place(**told["place"]), Holder(**told["holder"])
    try:
        release(client("dynamodb"), place, holder.id)
    except NoTableError:
        return  # this run has removed the environment, its lock with it
    except LockError as error:
        print(f"{place.environment}: the lock was not given back: {error}", file=sys.stderr)
    try:
        if place.bucket:
            record(client("s3"), place, holder)
    except LockError as error:
        print(f"{place.environment}: the run was not recorded: {error}", file=sys.stderr)


def record(s3: Any, place: Place, holder: Holder) -> None:
    """Keep in the bucket who changed the environment, when and by what."""
    told = {**asdict(holder), "ended": datetime.now(UTC).isoformat(timespec="seconds")}
    key = f"runs/{place.environment}/{holder.since}-{holder.id}.json"
    body = json.dumps(told, indent=1)
    _ask(s3.put_object, place, Bucket=place.bucket, Key=key, Body=body, ContentType="application/json")


def _ask(call: Any, place: Place, **parameters: Any) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        answer: dict[str, Any] = call(**parameters)
    except (BotoCoreError, ClientError) as error:
        where = f"the lock of {place.environment} (table {place.table}, bucket {place.bucket or 'none'}): {error}"
        if _code(error) in ("ResourceNotFoundException", "NoSuchBucket"):
            raise NoTableError(f"{where}: ironbook.trading.bootstrap makes it") from error
        raise LockError(where) from error
    return answer


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _held() -> Path:
    """Return the file in the directory that Ansible makes for a run and removes at its end."""
    return Path(constants.DEFAULT_LOCAL_TMP) / "ironbook-run-lock"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(pid: int) -> str:
    """Return when a process began; "" where it has ended."""
    with contextlib.suppress(OSError):
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if said[0] in "ZX" else said[19]
    return ""
