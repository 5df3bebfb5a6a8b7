# SPDX-License-Identifier: GPL-3.0-or-later
"""The command stream, the client's side: a session's orders as the core knows them, over commands.sock.

`struct ib_command` records go in, the session's reports come back as `struct ib_event` (docs/protocols/commands.md).
Units are those of ironbook.h: prices in the instrument's price units, quantities in its quantity units, times in
nanoseconds since the Unix epoch.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from ironbook.core.records import EVENT, Command, Event, pack_commands
from ironbook.errors import CommandError

MAGIC = b"IBCOMND1"
SHARD_ANY = ONLY_NEW = 0xFFFFFFFF
INSTRUMENT_UNKNOWN = 0xFFFFFFFF
_HELLO = struct.Struct("<8sII6sHII")
_ANSWER = struct.Struct("<8sIIIIIHH")
_NAME_SIZE, _SYMBOL_SIZE = 6, 8
_STATUS = {
    1: "does not speak this version of the command stream",
    2: "is another shard's engine",
    3: "goes by rules 1: set rules to 2 in its configuration and start it again",
    4: "knows no session {session}: name one of its configuration",
    5: "has a connection of {session} already: one at a time",
    6: "never sent a report {after} of {session}: it is another journal; or it began with a snapshot, and the journal "
    "of before it is gone",
}


class CommandStreamError(CommandError):
    """No engine answers at the socket, or it does not serve this session."""


class CommandStream:
    """A connection of one session."""

    def __init__(self, path: Path, session: str, after: int = ONLY_NEW, timeout: float | None = 10.0) -> None:
        """Take the session; its reports come from number `after` + 1 on. Raises CommandStreamError."""
        if not session.isascii() or not 1 <= len(session) <= _NAME_SIZE:
            raise CommandStreamError(f"{session!r} is no session: it has 1 to {_NAME_SIZE} ASCII characters")
        self._path = path
        self._data = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
            name = session.encode("ascii").ljust(_NAME_SIZE)
            self._socket.sendall(_HELLO.pack(MAGIC, 1, SHARD_ANY, name, 0, after, 0))
            _, _, status, self.shard, self.next_user_ref, self.session_seq, self.session, size = _ANSWER.unpack(
                self._read(_ANSWER.size)
            )
        except (ConnectionResetError, BrokenPipeError) as error:
            self.close()
            raise CommandStreamError(f"{path}: the engine closed the connection: its log says why") from error
        except OSError as error:
            self.close()
            raise CommandStreamError(
                f"no engine answers at {path}: {error.strerror or error}; is it running?"
            ) from error
        except CommandStreamError:
            self.close()
            raise
        if status != 0 or size != EVENT.size:
            self.close()
            text = _STATUS.get(status, f"answers with status {status}").format(session=session, after=after)
            raise CommandStreamError(f"{path}: the engine {text}")

    def _read(self, size: int) -> bytes:
        while len(self._data) < size:
            more = self._socket.recv(1 << 16)
            if not more:
                raise CommandStreamError(f"{self._path}: the engine closed the connection: its log says why")
            self._data += more
        found, self._data = self._data[:size], self._data[size:]
        return found

    def send(self, *commands: Command) -> None:
        """Send commands; their seq, time and session are the engine's to fill."""
        try:
            self._socket.sendall(pack_commands(commands))
        except OSError as error:
            raise CommandStreamError(f"{self._path}: the engine closed the connection: its log says why") from error

    def event(self) -> Event:
        """Return the next report, or the answer to a question (type 0)."""
        try:
            return Event._make(EVENT.unpack(self._read(EVENT.size)))
        except TimeoutError as error:
            raise CommandStreamError(f"{self._path}: the engine did not answer in time") from error
        except OSError as error:
            raise CommandStreamError(f"{self._path}: {error.strerror or error}") from error

    def ask(self, symbol: str = "") -> tuple[list[Event], Event]:
        """Wait until all that was sent is dealt with: the reports until then, and the answer.

        The answer's `user_ref` is the next free number, its `instrument` the index of `symbol` (INSTRUMENT_UNKNOWN).
        """
        traded = symbol.isascii() and len(symbol) <= _SYMBOL_SIZE  # what does not fit is nothing that it begins with
        self.send(Command(0, 0, 0, client_data=(symbol if traded else "").encode("ascii").ljust(_SYMBOL_SIZE)))
        reports = []
        while (event := self.event()).type != 0:
            reports.append(event)
        return reports, event

    def events(self) -> Iterator[Event]:
        """Yield reports for ever."""
        while True:
            yield self.event()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
