# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of an engine's admin socket: one line asks, one line of JSON answers; and `ironbook admin`.

`status`, `totals`, `instruments` and `instrument` change nothing; all others become part of the journal
(docs/protocols/admin.md).
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError

UNCHANGED = 2  # exit status


class AdminError(CommandError):
    """No engine answers at the socket, or what answers is none."""


def request(path: Path, command: str, timeout: float = 10.0) -> dict[str, Any]:
    """Ask the engine whose admin socket is `path`; raises AdminError, also where the engine reports an error."""
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(command.encode("ascii") + b"\n")
            while not data.endswith(b"\n"):
                more = connection.recv(1 << 16)
                if not more:
                    break
                data += more
    except OSError as error:
        reason = error.strerror or error
        raise AdminError(f"no engine answers at {path}: {reason}; is it running?") from error
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise AdminError(f"{path}: answered {command!r} with {data[:80]!r}, which is not JSON") from error
    if not isinstance(answer, dict) or answer.get("error"):
        raise AdminError(f"{path}: {command!r} failed: {answer.get('error') if isinstance(answer, dict) else answer}")
    return answer


def add_parser(subparsers: Any) -> None:
    """Add `ironbook admin` to the command line."""
    parser = subparsers.add_parser(
        "admin",
        help="ask a running engine, or have it do something",
        epilog="requests: status, totals, halt, resume, end_of_day, instruments FROM, instrument SYMBOL, "
        "phase SYMBOL PHASE, instrument_add SYMBOL tick=N [key=value ...], instrument_change SYMBOL key=value ..., "
        "instrument_remove SYMBOL, risk_limit ACCOUNT LIMIT VALUE|unlimited [SYMBOL], kill ACCOUNT, revive ACCOUNT, "
        "mass_cancel session=|account=|symbol=|side= ... or all. ACCOUNT is what the configuration calls it; a session "
        "that names none trades for the account of its firm's name",
    )
    parser.add_argument("--socket", type=Path, required=True, metavar="FILE", help="admin.sock of the engine")
    parser.add_argument("request", nargs="+", help="the request, word by word")
    parser.set_defaults(function=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer, one line of JSON; 2 where it changed nothing, AdminError where the engine refuses."""
    words = " ".join(arguments.request)
    if not words.isascii() or not words.isprintable():
        raise AdminError(f"{words!r} is no request: printable ASCII alone")
    answer = request(arguments.socket, words)
    print(json.dumps(answer))
    if "unchanged" in answer:
        print(f"ironbook: admin: {words} changed nothing: {answer['unchanged']}", file=sys.stderr)
        return UNCHANGED
    return 0
