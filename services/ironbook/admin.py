# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of an engine's admin socket: one line asks, one line of JSON answers.

`status` and `totals` change nothing; `halt`, `resume` and `end_of_day` become part of the journal.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError


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
