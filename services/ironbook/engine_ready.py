# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook engine-ready`: wait until an engine says at its admin socket that it serves, or follows who does."""

from __future__ import annotations

import argparse
import http.client
import json
import time
import xmlrpc.client
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ironbook.admin import AdminError, request
from ironbook.errors import CommandError

_STEP_SECONDS = 0.1


def add_parser(subparsers: Any) -> None:
    """Add `ironbook engine-ready` to the command line."""
    parser = subparsers.add_parser("engine-ready", help="wait until an engine serves")
    parser.add_argument("--socket", type=Path, required=True, help="the engine's admin socket")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (default: %(default)s)")
    parser.add_argument("--log", type=Path, help="what the engine writes; its last line says why it does not serve")
    parser.add_argument("--supervisor", type=Path, metavar="DIRECTORY", help="of the local site that supervises it")
    parser.add_argument("--service", help="its name there: where supervisord has given it up, nobody waits any longer")
    parser.add_argument(
        "--in-sync", type=int, default=0, metavar="N", help="of a shard's primary: and that N members are in sync"
    )
    parser.add_argument("--json", action="store_true", help="print role, primary and in_sync as one line of JSON")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line as soon as the engine serves or follows; CommandError where it does not in time."""
    given_up = partial(is_given_up, arguments.supervisor, arguments.service)
    try:
        status = wait(arguments.socket, arguments.seconds, given_up, arguments.in_sync)
    except CommandError as error:
        said = last_line(arguments.log) if arguments.log else ""
        raise CommandError(f"{error}; its log ends: {said} ({arguments.log})" if said else str(error)) from error
    shard = status["replication"] or {"primary": status["replica"], "in_sync": [status["replica"]]}
    if arguments.json:
        result = {"role": status["role"], "primary": shard["primary"], "in_sync": shard["in_sync"]}
        print(json.dumps({"result": result}))
        return 0
    does = "serves" if status["role"] != "standby" else f"follows replica {shard['primary']}"
    print(f"shard {status['shard']} replica {status['replica']} {does} at sequence {status['seq']}")
    return 0


def is_given_up(site: Path | None, service: str | None) -> bool:
    """Whether the supervisord of the local site in that directory has given the service up; False without a site."""
    if site is None or service is None:
        return False
    from ironbook.supervision import Supervisor  # noqa: PLC0415  (a host under systemd has no supervisor)

    try:
        password = (site / "secrets" / "supervisor_password").read_text(encoding="utf-8").strip()
        return bool(Supervisor(site, password).process(service)["statename"] == "FATAL")
    except (ImportError, OSError, http.client.HTTPException, xmlrpc.client.Error):
        return False  # nobody to ask: the deadline decides


def wait(
    socket: Path, seconds: float, given_up: Callable[[], bool] = lambda: False, in_sync: int = 0
) -> dict[str, Any]:
    """Return the engine's status, as soon as it serves, with `in_sync` members in sync, or follows the one that does.

    `given_up` says that it never will. A state such as `halted` is an answer, not a reason to wait: a halted engine
    stays halted until somebody resumes it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            status = request(socket, "status", timeout=max(1.0, deadline - time.monotonic()))
        except AdminError as error:
            lacks = str(error)
        else:
            lacks = lacking(status, in_sync)
            if status["role"] in {"alone", "primary"} and status["state"] != "serving":
                raise CommandError(
                    f"{socket}: the engine is {status['state']}, not serving: 'resume' it, or see its log"
                )
            if not lacks:
                return status
        waited = seconds - (deadline - time.monotonic())
        if waited > seconds or given_up():
            raise CommandError(f"no engine serves after {min(waited, seconds):.0f} s: {lacks}")
        time.sleep(_STEP_SECONDS)


def lacking(status: Mapping[str, Any], in_sync: int) -> str:
    """Return what a replicated engine waits for; nothing where its shard serves, and of an engine that runs alone."""
    if status["role"] == "alone":
        return ""
    shard = status["replication"]
    said = f"shard {status['shard']} replica {status['replica']} is {status['role']} ({shard['reason']})"
    if shard["store_fault"]:
        said += f"; the store: {shard['store_fault']}"
    if status["role"] not in {"primary", "standby"} or shard["primary"] is None:
        return f"{said}; no primary yet"
    if status["role"] == "standby":
        # Who is in sync, the primary alone knows: a standby has the record that it last read.
        connected = {member["replica"] for member in shard["members"] if member["connected"]}
        return "" if shard["primary"] in connected else f"{said}; replica {shard['primary']}, the primary, is away"
    if len(shard["in_sync"]) < in_sync:
        return f"{said}; {len(shard['in_sync'])} of {in_sync} members are in sync: {shard['in_sync']}"
    return ""


def last_line(log: Path) -> str:
    """Return the last line of a log that says anything, or nothing where there is none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
