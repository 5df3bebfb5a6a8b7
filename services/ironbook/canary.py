# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook canary`: a firm of its own that keeps sending small orders and writes down what it is told, and when.

Each order is entered far from the market and cancelled as soon as it is accepted. What the log (drills/canary_log.py)
has of them is a client's own view of the venue: when it was served last and first again, and what it was promised.
`ironbook drill report` reckons a drill's RTO and RPO from it, and from nothing that an engine says of itself.

The session and its account are the canary's alone: no order of anybody else's is cancelled or meets one of it. The
members' states, asked on the admin sockets of this machine, are for the timeline only.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path
from typing import Any

from ironbook import admin
from ironbook.drills.canary_log import LogWriter
from ironbook.errors import CommandError
from ironbook.order_entry import OrderEntry, add_endpoints
from ironbook.protocols import ouch50
from ironbook.service import Stop, read_secret

PATIENCE_SECONDS = 300.0  # a drill may take longer than a failover
_RATE_MAX = 1000.0
_ASK_SECONDS = 1.0
_LAST_SECONDS = 2.0  # for the reports of what was sent last
_SIDES = {"buy": ouch50.BUY, "sell": ouch50.SELL}


class StoppedError(Exception):
    """The canary was asked to end while it was looking for a primary."""


class Watch(threading.Thread):
    """Asks one member how it is, again and again, and writes down when it says something else."""

    def __init__(self, name: str, socket: Path, every: float, log: LogWriter, stop: Stop) -> None:
        """`every` in seconds."""
        super().__init__(name=f"watch-{name}", daemon=True)
        self._member, self._socket, self._every, self._log, self._ended = name, socket, every, log, stop

    def run(self) -> None:
        """Until the canary ends."""
        before: dict[str, Any] = {}
        while not self._ended:
            asked_ns = time.monotonic_ns()
            said = self._ask()
            if {**said, "reason": ""} != {**before, "reason": ""}:
                # Who does not answer was lost when it was asked, and not when the time for an answer was over.
                self._log.write("member", asked_ns if said["role"] == "gone" else None, member=self._member, **said)
            before = said
            self._ended.wait(self._every)

    def _ask(self) -> dict[str, Any]:
        try:
            return state_of(admin.request(self._socket, "status", timeout=_ASK_SECONDS))
        except admin.AdminError as error:
            return {"role": "gone", "reason": str(error)}


def state_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return what a timeline needs of a member's status: its role and what it knows of the shard's record."""
    record = status.get("replication") or {}
    return {
        "role": status.get("role", "alone"),
        "epoch": record.get("epoch", status["epoch"]),
        "primary": record.get("primary"),
        "in_sync": record.get("in_sync", []),
        "reason": record.get("reason") or "",
    }


class Canary:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, log: LogWriter, stop: Stop) -> None:
        """Log in; raises NoPrimaryError where nobody serves."""
        self.log, self.stop = log, stop
        self._side, self._quantity, self._price = _SIDES[arguments.side], arguments.quantity, arguments.price
        self._symbol = arguments.symbol.encode("ascii")
        self._every = 1 / arguments.rate
        self._told: list[tuple[bool, str]] = []
        self._began = False
        self.sent: set[int] = set()
        self.accepted = self.rejected = 0
        self._entry = OrderEntry(
            arguments.endpoint,
            arguments.session,
            read_secret(arguments.password_file),
            sequence=0,
            patience=arguments.patience,
            pause=self._pause,
            tell=self._tell,
        )
        self.next_ref = self._entry.next_user_ref()
        if self.next_ref == 0:
            raise CommandError(f"canary: {arguments.session} has no UserRefNum left: start the venue's next day first")

    def _pause(self, seconds: float) -> None:
        self.stop.wait(seconds)
        if self.stop:
            raise StoppedError

    def _tell(self, is_connected: bool, text: str) -> None:
        if self._began:
            self.log.write("connection", connected=is_connected, text=text)
        else:
            self._told.append((is_connected, text))  # the log's first line is not written yet

    def begin(self, arguments: argparse.Namespace) -> None:
        """Write the first lines."""
        first_sequence = self._entry.next_sequence
        self.log.write(
            "begin",
            session=arguments.session,
            symbol=arguments.symbol,
            side=self._side.decode(),
            quantity=self._quantity,
            price=self._price,
            rate=arguments.rate,
            first_ref=self.next_ref,
            next_sequence=first_sequence,
            endpoints=[str(each) for each in arguments.endpoint],
            members=[name for name, _ in arguments.member],
        )
        self._began = True
        for told in self._told:
            self._tell(*told)

    def run(self, until: float) -> None:
        """Send at the stated rate until `until` (monotonic) or until asked to end; then wait for what is still open."""
        due = time.monotonic()
        while not self.stop and (now := time.monotonic()) < until:
            if now >= due:
                self._enter()
                due += self._every
                if due <= now:  # what an outage kept back is not made up for
                    due = now + self._every
            self._take(max(min(due - time.monotonic(), 0.1), 0.0))
            if self._entry.ended:
                raise CommandError(f"canary: {self._entry.peer} has ended the session: its day is over")
        self._finish()

    def _finish(self) -> None:
        self.stop.set()  # no member is watched any more, and no primary looked for
        end = time.monotonic() + _LAST_SECONDS
        while self._entry.unanswered and time.monotonic() < end:
            self._take(0.05)
        self._entry.next_user_ref()
        self._take(0.0)

    def _enter(self) -> None:
        ref = self.next_ref
        self.next_ref += 1
        self.sent.add(ref)
        self.log.write("sent", ref=ref)
        order = ouch50.enter_order(ref, self._side, self._quantity, self._symbol, self._price)
        self._entry.send([order])

    def _take(self, timeout: float) -> None:
        first = self._entry.next_sequence
        for number, message in enumerate(self._entry.receive(timeout), first):
            self.log.write("report", sequence=number, message=message.hex())
            report = ouch50.decode(message)
            if isinstance(report, ouch50.Rejected) and report.user_ref in self.sent:
                self.rejected += 1
            if isinstance(report, ouch50.Accepted) and report.user_ref in self.sent:
                self.accepted += 1
                self.log.write("cancel", ref=report.user_ref)
                self._entry.send([ouch50.cancel_order(report.user_ref)])

    def close(self) -> None:
        """Log out."""
        self._entry.close()


def _member(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise CommandError(f"--member {text!r}: give it as NAME=FILE, FILE is the admin.sock of the member")
    return name, Path(path)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook canary` to the command line."""
    parser = subparsers.add_parser("canary", help="keep sending small orders and write down when they are acknowledged")
    add_endpoints(parser)
    parser.add_argument("--session", required=True, help="user name of a session that is the canary's alone")
    parser.add_argument("--password-file", type=Path, required=True, metavar="FILE", help="one line: its password")
    parser.add_argument("--symbol", required=True, help="what it trades, or rather does not")
    parser.add_argument("--price", type=int, required=True, help="far from the market, in units of 10^-4")
    parser.add_argument("--side", choices=tuple(_SIDES), default="buy")
    parser.add_argument("--quantity", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50.0, help="orders a second (default %(default)g)")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE", help="a new file, one JSON object a line")
    parser.add_argument(
        "--member", type=_member, action="append", default=[], metavar="NAME=FILE",
        help="a member of this machine, for the timeline: its name and its admin.sock",
    )  # fmt: skip
    parser.add_argument("--poll", type=float, default=0.02, metavar="SECONDS", help="how often members are asked")
    parser.add_argument("--seconds", type=float, default=0.0, help="end by itself; 0: at SIGTERM (default)")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS",
        help="how long to look for a primary before it ends with an error (default %(default)g)",
    )  # fmt: skip
    parser.set_defaults(function=run)


def _check(arguments: argparse.Namespace) -> None:
    limits = (
        ("--rate", arguments.rate, 0.1, _RATE_MAX),
        ("--quantity", arguments.quantity, 1, ouch50.QUANTITY_MAX),
        ("--price", arguments.price, 1, 1_999_999_900),
        ("--poll", arguments.poll, 0.001, 60.0),
        ("--seconds", arguments.seconds, 0.0, 1e6),
        ("--patience", arguments.patience, 0.0, 1e6),
    )
    for name, value, least, most in limits:
        if not least <= value <= most:
            raise CommandError(f"canary: {name} is {value:g}: give it a number from {least:g} to {most:g}")
    if not arguments.symbol.isascii() or not 1 <= len(arguments.symbol) <= 8:
        raise CommandError(f"canary: --symbol {arguments.symbol!r}: a symbol has 1 to 8 ASCII characters")


def run(arguments: argparse.Namespace) -> int:
    """Send and write down until asked to end; print the sums as the last line. 1 where nobody served for too long."""
    _check(arguments)
    stop = Stop()
    stop.catch_signals()
    log = LogWriter(arguments.log, new=True)
    watches = [Watch(name, socket, arguments.poll, log, stop) for name, socket in arguments.member]
    canary: Canary | None = None
    reason = "it was asked to end"
    try:
        canary = Canary(arguments, log, stop)
        canary.begin(arguments)
        for watch in watches:
            watch.start()
        canary.run(time.monotonic() + arguments.seconds if arguments.seconds else float("inf"))
    except StoppedError:
        reason = "it was asked to end while no primary served"
    except CommandError as error:
        reason = str(error)
        raise
    finally:
        _end(canary, watches, log, stop, reason)
        if canary is None:
            arguments.log.unlink()  # nothing began
    sums = {"sent": len(canary.sent), "accepted": canary.accepted, "rejected": canary.rejected} if canary else {}
    print(json.dumps({"result": {**sums, "log": str(arguments.log), "ended": reason}}), flush=True)
    return 0


def _end(canary: Canary | None, watches: list[Watch], log: LogWriter, stop: Stop, reason: str) -> None:
    stop.set()
    for watch in watches:
        if watch.is_alive():
            watch.join()
    if canary is not None:
        log.write("end", reason=reason)
        canary.close()
    log.close()
