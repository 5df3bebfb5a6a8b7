# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook engine-ready`: wait until an engine says at its admin socket that it serves."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ironbook.admin import AdminError, request
from ironbook.errors import CommandError

_STEP_SECONDS = 0.1
_TAIL_BYTES = 65536
_PREFIX = "ironbook: "
# What an engine says that serves, that ended in order, and of its clients; all else is why it does not.
_HEALTHY = ("ironbook: engine: shard ", "ironbook: engine: ended", "ironbook: order entry: ")


def add_parser(subparsers: Any) -> None:
    """Add `ironbook engine-ready` to the command line."""
    parser = subparsers.add_parser("engine-ready", help="wait until an engine serves")
    parser.add_argument("--socket", type=Path, required=True, help="the engine's admin socket")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (default: %(default)s)")
    parser.add_argument("--log", type=Path, help="the engine's log: where it does not serve, its last error is told")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one line as soon as the engine serves; CommandError where it does not in time."""
    try:
        status = wait(arguments.socket, arguments.seconds)
    except CommandError as error:
        said = last_error(arguments.log) if arguments.log is not None else None
        raise CommandError(f"{error}. It said: {said}" if said else str(error)) from error
    print(f"shard {status['shard']} replica {status['replica']} serves at sequence {status['seq']}")
    return 0


def last_error(log: Path) -> str | None:
    """Return why the engine ended, as it says in the last line of its log; None where its last line is no error."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    ours = [line for line in lines if line.startswith(_PREFIX)]
    if not ours or ours[-1].startswith(_HEALTHY):
        return None
    return ours[-1].removeprefix(_PREFIX)


def wait(socket: Path, seconds: float) -> dict[str, Any]:
    """Return the engine's status, as soon as its state is `serving`.

    Any other state that the engine reports is an answer, not a reason to wait: a halted engine stays halted until
    somebody resumes it.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            status = request(socket, "status", timeout=max(1.0, deadline - time.monotonic()))
        except AdminError as error:
            if time.monotonic() > deadline:
                raise CommandError(f"no engine serves after {seconds:g} s: {error}") from error
            time.sleep(_STEP_SECONDS)
            continue
        if status["state"] != "serving":
            raise CommandError(f"{socket}: the engine is {status['state']}, not serving: 'resume' it, or see its log")
        return status
