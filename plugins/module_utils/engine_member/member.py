# SPDX-License-Identifier: GPL-3.0-or-later
"""One member of a shard as its own host knows it: what its engine.json says, and what its engine answers.

These modules run on the member's host with the engine's own Python, so that `ironbook` can be imported.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import missing_required_lib  # type: ignore[import-untyped]

# What a module ends with in one line.
FAULTS: tuple[type[Exception], ...] = (ValueError, OSError)
try:
    from ironbook.admin import AdminError, request
    from ironbook.core import CoreError
    from ironbook.errors import CommandError
except ImportError:  # the modules say what is missing
    HAS_IRONBOOK = False
else:
    HAS_IRONBOOK = True
    FAULTS = (*FAULTS, CommandError, CoreError)

STATUS_SECONDS = 3.0  # an engine answers within milliseconds; one that is stopped dead must not hold up who ends it
# What the documentation fragment engine_member describes, and its part `agent` besides.
ARGUMENTS = {"config": {"type": "path", "required": True}}
WITH_AGENT = {**ARGUMENTS, "agent_config": {"type": "path", "required": True}}
_NEEDS = "import it with the engine's own Python: set ansible_python_interpreter, and PYTHONPATH to its directory"


def require_ironbook(module: Any) -> None:
    """End a module that was not started with the engine's own Python."""
    if not HAS_IRONBOOK:
        module.fail_json(msg=f"{missing_required_lib('ironbook')}; {_NEEDS}")


@dataclass(frozen=True)
class Member:
    """What a member's engine.json says of it. `members` is 0 where the engine runs alone."""

    shard: int
    replica: int
    journal: Path
    run: Path
    members: int
    min_in_sync: int

    @property
    def socket(self) -> Path:
        """Where its engine answers."""
        return self.run / "admin.sock"

    @property
    def replicated(self) -> bool:
        """Whether the shard has other members."""
        return self.members > 0


def read(path: Path) -> Member:
    """Read a member's engine.json. ValueError, one line, where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        replication = value.get("replication") or {}
        return Member(
            shard=int(value["shard"]),
            replica=int(value["replica"]),
            journal=_absolute(value, "journal_directory"),
            run=_absolute(value, "run_directory"),
            members=len(replication.get("members", ())),
            min_in_sync=int(replication.get("min_in_sync", 2)) if replication else 1,
        )
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}: give the engine.json of a member") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: is no configuration of an engine ({error})") from error


def _absolute(value: Mapping[str, Any], key: str) -> Path:
    path = Path(value[key])
    if not path.is_absolute():
        raise ValueError(f"{key} {path} is not absolute")
    return path


def status(member: Member, seconds: float = STATUS_SECONDS) -> dict[str, Any] | None:
    """Return what its engine answers, None where none does. ValueError where it is another member's socket."""
    try:
        answer = request(member.socket, "status", timeout=seconds)
    except AdminError:
        return None
    if (answer.get("shard"), answer.get("replica")) != (member.shard, member.replica):
        raise ValueError(
            f"{member.socket} is answered by shard {answer.get('shard')} replica {answer.get('replica')}, and "
            f"engine.json is of shard {member.shard} replica {member.replica}: one of the two is another host's"
        )
    return answer


def is_alive(member: Member) -> bool:
    """Whether any process holds the member's journal, also one that answers nothing."""
    try:
        descriptor = os.open(member.journal, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
