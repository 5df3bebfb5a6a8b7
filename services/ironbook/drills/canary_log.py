# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary's log: one JSON object a line, written the moment it happens, and read back by the report.

Each line has `at_ns`, the machine's monotonic clock in nanoseconds, which no clock jump touches and which all processes
of the machine share, and `event`:

  begin       who the canary is and what it sends, `first_ref` and `next_sequence` to begin with; the first line
  clock       `wall_ns`, nanoseconds since the Unix epoch at this moment: an anchor for times of day
  sent        order `ref`, just before it is sent
  cancel      a cancel of order `ref`, just before it is sent
  report      a report of the venue: its number `sequence`, its bytes `message` in hexadecimal
  connection  a connection was lost or made, in words: `text`; `connected` says which
  member      `member` says of itself: `role`, `epoch`, `primary`, `in_sync`; or its role is "gone", with `reason`
  mark        `text`, from whoever runs the drill; `fault` says whether it is the moment of a fault
  end         `reason`; the last line, unless the canary was killed
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ironbook.errors import CommandError
from ironbook.protocols import ouch50
from ironbook.service import check_keys

CLOCK_SECONDS = 1.0
_FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2) on 64 bits: type, whence, start, len, pid
_NAME_ANOTHER = "each canary writes a log of its own, name another"
NO_END = "the canary was killed: its log has no end"
BEGIN = {
    "session": str,
    "symbol": str,
    "side": str,
    "quantity": int,
    "price": int,
    "rate": float,
    "first_ref": int,
    "next_sequence": int,
    "endpoints": list,
    "members": list,
}
_KEYS: dict[str, dict[str, type]] = {
    "begin": BEGIN,
    "clock": {"wall_ns": int},
    "sent": {"ref": int},
    "cancel": {"ref": int},
    "report": {"sequence": int, "message": str},
    "connection": {"text": str, "connected": bool},
    "member": {"member": str, "role": str},
    "mark": {"text": str, "fault": bool},
    "end": {"reason": str},
}
_OF_MEMBER = {"epoch": object, "primary": object, "in_sync": object, "reason": object}


class Report(NamedTuple):
    """One report of the venue, as it came."""

    sequence: int
    message: bytes
    at_ns: int


class Moment(NamedTuple):
    """Something that is said of a moment."""

    at_ns: int
    who: str
    what: str


class MemberSaid(NamedTuple):
    """What a member says of itself from here on. `role` "gone": it does not answer."""

    at_ns: int
    member: str
    role: str
    epoch: int | None
    primary: int | None
    in_sync: tuple[int, ...]
    reason: str


@dataclass
class CanaryLog:
    """A log, read. Times are `at_ns`."""

    begin: dict[str, Any] = field(default_factory=dict)
    begin_ns: int = 0
    end_ns: int = 0
    clocks: list[tuple[int, int]] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    canceled: dict[int, int] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    connections: list[Moment] = field(default_factory=list)
    links: list[tuple[int, bool]] = field(default_factory=list)  # connected or not from here on
    members: list[MemberSaid] = field(default_factory=list)
    marks: list[Moment] = field(default_factory=list)
    faults: list[Moment] = field(default_factory=list)
    ended: str = NO_END

    def wall_ns(self, at_ns: int) -> int:
        """Return the time of day of a moment, by the last anchor before it."""
        place = max(bisect_right(self.clocks, (at_ns, 1 << 63)) - 1, 0)
        anchor, wall = self.clocks[place]
        return wall + at_ns - anchor

    def is_connected(self, at_ns: int) -> bool:
        """Whether the canary knew of a primary at this moment."""
        return next((connected for at, connected in reversed(self.links) if at <= at_ns), True)

    def accepted(self) -> dict[int, tuple[ouch50.Accepted, int]]:
        """Return the acceptance of each order of the canary, and when it came."""
        found: dict[int, tuple[ouch50.Accepted, int]] = {}
        for report in self.reports:
            told = ouch50.decode(report.message)
            if isinstance(told, ouch50.Accepted) and told.user_ref in self.sent:
                found.setdefault(told.user_ref, (told, report.at_ns))
        return found


class LogWriter:
    """Appends to a log; whole lines, at once, from any thread."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """`new`: it must be empty or not there yet, and nobody else's; otherwise it must be there. CommandError."""
        try:
            if not new and not path.exists():
                raise CommandError(f"{path}: is no canary's log: start `ironbook canary` first")
            # The canary and whoever marks write to one file: each line goes to its end, wherever that is by then.
            flags = os.O_WRONLY | os.O_APPEND | (os.O_CREAT if new else 0)
            self._file = os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0)
            if new:  # whose log it is: the kernel knows, and forgets it with the process
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(self._file.fileno()).st_size:
                    self._file.close()
                    raise CommandError(f"{path}: is there already: {_NAME_ANOTHER}")
        except BlockingIOError as error:
            self._file.close()
            raise CommandError(f"{path}: another canary writes it: {_NAME_ANOTHER}") from error
        except OSError as error:
            raise CommandError(f"{path}: cannot be written: {error.strerror}") from error
        self._lock = threading.Lock()
        self._clock_ns = 0

    def write(self, event: str, at_ns: int | None = None, **fields: Any) -> None:
        """Write a line of now, or of the moment `at_ns`; a clock's line before it, where one is due."""
        now = time.monotonic_ns()
        lines = b""
        with self._lock:
            if now - self._clock_ns >= CLOCK_SECONDS * 1e9 and event != "begin":
                self._clock_ns = now
                lines = _line("clock", now, {"wall_ns": time.time_ns()})
            self._file.write(lines + _line(event, now if at_ns is None else at_ns, fields))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def writer_of(path: Path) -> int | None:
    """Return the process id of the canary that writes a log; None where none does. CommandError: it cannot be asked."""
    try:
        with path.open("r+b") as file:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    return None if kind == fcntl.F_UNLCK else int(pid)


def _line(event: str, at_ns: int, fields: dict[str, Any]) -> bytes:
    return json.dumps({"at_ns": at_ns, "event": event, **fields}, separators=(",", ":")).encode() + b"\n"


def read_log(path: Path) -> CanaryLog:
    """Read a log; half a last line, of a canary that was killed, is left out. CommandError names the line."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error
    log = CanaryLog()
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except ValueError as error:
            raise CommandError(f"{where}: is not JSON: {error}") from error
        event = value.pop("event", None) if isinstance(value, dict) else None
        if event not in _KEYS or (number == 1) != (event == "begin"):
            raise CommandError(f"{where}: {event!r} is no event that a canary's log has there")
        keys = {"at_ns": int, **_KEYS[event], **(_OF_MEMBER if event == "member" else {})}
        check_keys(value, keys, where, frozenset(_OF_MEMBER) if event == "member" else frozenset())
        at_ns = value.pop("at_ns")
        log.end_ns = max(log.end_ns, at_ns)
        try:
            _TAKE[event](log, at_ns, value)
        except (ValueError, TypeError, ouch50.OuchError) as error:
            raise CommandError(f"{where}: {error}") from error
    if not log.clocks:
        raise CommandError(f"{path}: has no begin and no clock: it is no canary's log, or of one that never began")
    return log


def _begin(log: CanaryLog, at_ns: int, value: dict[str, Any]) -> None:
    log.begin, log.begin_ns = value, at_ns


def _report(log: CanaryLog, at_ns: int, value: dict[str, Any]) -> None:
    message = bytes.fromhex(value["message"])
    ouch50.decode(message)
    log.reports.append(Report(value["sequence"], message, at_ns))


def _connection(log: CanaryLog, at_ns: int, value: dict[str, Any]) -> None:
    log.links.append((at_ns, value["connected"]))
    log.connections.append(Moment(at_ns, "canary", value["text"]))


def _member(log: CanaryLog, at_ns: int, value: dict[str, Any]) -> None:
    in_sync = tuple(int(number) for number in value.get("in_sync") or ())
    said = value["member"], value["role"], value.get("epoch"), value.get("primary"), in_sync, value.get("reason") or ""
    log.members.append(MemberSaid(at_ns, *said))


def _mark(log: CanaryLog, at_ns: int, value: dict[str, Any]) -> None:
    moment = Moment(at_ns, "fault" if value["fault"] else "drill", value["text"])
    (log.faults if value["fault"] else log.marks).append(moment)


def _end(log: CanaryLog, _at_ns: int, value: dict[str, Any]) -> None:
    log.ended = value["reason"]


_TAKE: dict[str, Callable[[CanaryLog, int, dict[str, Any]], None]] = {
    "begin": _begin,
    "clock": lambda log, at_ns, value: log.clocks.append((at_ns, value["wall_ns"])),
    "sent": lambda log, at_ns, value: log.sent.update({value["ref"]: at_ns}),
    "cancel": lambda log, at_ns, value: log.canceled.update({value["ref"]: at_ns}),
    "report": _report,
    "connection": _connection,
    "member": _member,
    "mark": _mark,
    "end": _end,
}
