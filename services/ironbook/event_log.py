# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of an engine's event log: every event of a shard, in order, from any point on, over `events.sock`.

A consumer names the last event that it has dealt with, by (sequence, index), and gets all after it, for ever. What it
does not read, waits: a slow consumer lags and never holds up the engine.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import NamedTuple, Self

from ironbook.core.records import EVENT, Event, unpack_events
from ironbook.errors import CommandError

MAGIC = b"IBEVLOG1"
VERSION = 1
REQUEST = struct.Struct("<8sIIQII")
ANSWER = struct.Struct("<8sIIIIII")

_STATUS = {
    1: "the last event that was seen is not in its log: its journal has lost its end, or is another one: stop the "
    "engine and restore its journal from a copy before anybody trades",
    3: "what was asked for is of before its snapshot, and its journal does not reach back so far: restore the older "
    "segments of the journal, or begin behind them",
    6: "it serves another shard",
}
_RECEIVE_BYTES = 1 << 20


class Position(NamedTuple):
    """A place in a shard's event log: that of one event, or (0, 0) before the first."""

    sequence: int
    index: int  # type: ignore[assignment]  # the contract's word, though tuples have a method of that name


START = Position(0, 0)


class UnnamedInstrumentError(CommandError):
    """An event is of an instrument that was defined after its reader had asked for the names: connect again."""


class EventLogError(CommandError):
    """The engine refuses the request; waiting does not help."""


class EventLogLostError(Exception):
    """No engine answers, or it ended: connect again later, from the last event that was dealt with."""


class EventLog:
    """One connection. `epoch` is that of the engine which answers."""

    def __init__(self, path: Path, shard: int, after: Position = START, timeout: float = 10.0) -> None:
        """Connect and ask for all after the event at `after`. Raises EventLogLostError or EventLogError."""
        self.path = path
        self._rest = bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
            self._socket.sendall(REQUEST.pack(MAGIC, VERSION, shard, after.sequence, after.index, 0))
            self._answer(shard)
        except (OSError, EventLogLostError) as error:
            self._socket.close()
            raise EventLogLostError(f"no engine at {path}: {error}") from error
        except BaseException:
            self._socket.close()
            raise

    def _answer(self, shard: int) -> None:
        data = b""
        while len(data) < ANSWER.size:
            more = self._socket.recv(ANSWER.size - len(data))
            if not more:
                raise EventLogLostError("the connection was closed before the answer")
            data += more
        magic, version, status, answered, self.epoch, size, _ = ANSWER.unpack(data)
        if magic != MAGIC or version != VERSION or size != EVENT.size:
            raise EventLogError(f"{self.path}: does not speak version {VERSION} of the event log")
        if status != 0:
            raise EventLogError(f"{self.path}: the engine refuses: {_STATUS.get(status, f'status {status}')}")
        if answered != shard:
            raise EventLogError(f"{self.path}: serves shard {answered}, not {shard}")

    def fileno(self) -> int:
        """Return the socket, for a poll."""
        return self._socket.fileno()

    def read(self, timeout: float | None) -> list[Event]:
        """Return what events have come; wait at most `timeout` seconds (None: for ever) for the first.

        At most about 8,192 at once. An empty list says that the time is over. Raises EventLogLostError at the end.
        """
        self._socket.settimeout(timeout)
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except (TimeoutError, BlockingIOError):
                return []
            except OSError as error:
                raise EventLogLostError(f"the engine at {self.path} is gone: {error}") from error
            if not data:
                raise EventLogLostError(f"the engine at {self.path} has ended")
            self._rest += data
            whole = len(self._rest) - len(self._rest) % EVENT.size
            if whole:
                events = list(unpack_events(bytes(self._rest[:whole])))
                self._rest = self._rest[whole:]
                return events

    def close(self) -> None:
        """Close the connection; the engine keeps nothing of it."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
