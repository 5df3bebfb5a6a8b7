# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook session replay`: two firms trade a LOBSTER file through the order-entry gateway, over TCP.

Sent at most once. The UserRefNum of an order is a base plus the ordinal of its command over both firms, so what the
venue has seen says how far a replay has come: a run that was cut off asks both sessions for their next UserRefNum
(Account Query) and goes on after the higher one. That holds because nothing is sent on one session before all that
was sent on the other has been answered for: whenever the sender changes, an Account Query follows what was sent, and
the venue answers it only after the reports of everything before it. Cancels have no number; they name the order's
new size in all, so those after the highest order are sent again without harm.

The engines may change meanwhile: each firm's session goes on with whichever is primary (order_entry.py), and sends
again only what has not arrived.

A finished replay is known by the SHA-256 of its input, in a small file of the state directory. The base is in it
before the first order is sent, and numbers are reserved by it: another input starts above them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ironbook.errors import CommandError
from ironbook.market_data import generate, lobster, orders
from ironbook.market_data.orders import MAKER, TAKER, Command
from ironbook.order_entry import PATIENCE_SECONDS, Endpoint, NoPrimaryError, OrderEntry, endpoint
from ironbook.protocols import ouch50
from ironbook.replay_state import State, StateDirectory
from ironbook.service import check_keys, read_json, read_secret

PROGRESS_SECONDS = 2.0
_BURST = 512  # commands in one write at most
_NAMES = {MAKER: "maker", TAKER: "taker"}

# Messages that this run has sent, those of runs before, all there are, and what was reported.
Progress = Callable[[int, int, int, "Reports"], None]


@dataclass(frozen=True)
class Login:
    """How one firm logs in."""

    username: str
    password: str


@dataclass(frozen=True)
class Venue:
    """Where the members of the shard listen and who logs in there. `logins` by MAKER and TAKER."""

    endpoints: list[Endpoint]
    logins: dict[int, Login]
    patience: float = PATIENCE_SECONDS


def read_venue(path: Path, patience: float = PATIENCE_SECONDS) -> Venue:
    """Read the client's configuration: endpoints, and of maker and taker the username and the password's file."""
    value = check_keys(read_json(path), {"endpoints": list, "maker": dict, "taker": dict}, str(path))
    logins = {}
    for sender, name in _NAMES.items():
        login = check_keys(value[name], {"username": str, "password_file": str}, f"{path}: {name}")
        logins[sender] = Login(login["username"], read_secret(Path(login["password_file"])))
    try:
        endpoints = [endpoint(str(each)) for each in value["endpoints"]]
    except CommandError as error:
        raise CommandError(f"{path}: endpoints: {error}") from error
    return Venue(endpoints, logins, patience)


@dataclass
class Reports:
    """What the venue has reported of one replay, both firms together. Quantities in units of 1, notional in 10^-4."""

    base: int
    last: int
    reports: int = 0
    accepted: int = 0
    rejected: int = 0
    fills: int = 0
    quantity: int = 0
    notional: int = 0
    first_reject: ouch50.Rejected | None = None
    _matches: set[int] = field(default_factory=set)

    def add(self, message: bytes) -> None:
        """Count one report, if it is about an order of this replay."""
        report = ouch50.decode(message)
        user_ref = getattr(report, "user_ref", 0)
        if not self.base < user_ref <= self.last:
            return
        self.reports += 1
        if isinstance(report, ouch50.Executed):
            self._execution(report)
        elif isinstance(report, ouch50.Accepted):
            self.accepted += 1
        elif isinstance(report, ouch50.Rejected):
            self.rejected += 1
            self.first_reject = self.first_reject or report

    def _execution(self, report: ouch50.Executed) -> None:
        """Count a match once, whether one of its parties is an order of this replay or both are."""
        if report.match_ref in self._matches:
            return
        self._matches.add(report.match_ref)
        self.fills += 1
        self.quantity += report.quantity
        self.notional += report.quantity * report.price

    def unfinished(self, entered: int) -> str:
        """Return what is wrong with the reports of `entered` orders, or nothing."""
        answered = self.accepted + self.rejected
        return "" if answered == entered else f"{entered} orders were sent and {answered} were accepted or rejected"


class Trader:
    """One firm's session during a replay."""

    def __init__(self, venue: Venue, sender: int, sequence: int) -> None:
        """Log in; `sequence` as in OrderEntry."""
        login = venue.logins[sender]
        self.name = _NAMES[sender]
        self.client = OrderEntry(
            venue.endpoints, login.username, login.password, sequence=sequence, patience=venue.patience
        )
        self.queried = True  # nothing sent since the last answered query
        self.highest_sent = 0

    def send(self, messages: list[bytes], highest: int) -> None:
        """Send requests; `highest` is the highest UserRefNum among them and those before."""
        self.client.send(messages)
        self.highest_sent = max(self.highest_sent, highest)
        self.queried = False

    def collect(self, reports: Reports | None, timeout: float = 0.0) -> None:
        """Take in what reports have come."""
        for message in self.client.receive(timeout):
            if reports is not None:
                reports.add(message)
        if self.client.ended:
            raise CommandError("the venue has ended the session: its day is over; nothing more can be sent")

    def next_user_ref(self, reports: Reports | None) -> int:
        """Ask for the next UserRefNum. When this returns, every report of what was sent before has been counted."""
        answer = self.client.next_user_ref()
        self.collect(reports)
        self.queried = True
        return answer

    def settle(self, reports: Reports) -> None:
        """Wait until all that was sent is sequenced and reported. Nothing to do if it already is."""
        if not self.queried:
            answer = self.next_user_ref(reports)
            if answer <= self.highest_sent:
                raise CommandError(
                    f"{self.client.peer} did not take the {self.name}'s order {self.highest_sent}: "
                    f"it names {answer} as the next UserRefNum"
                )


class Replay:
    """One run: from where the venue is to the end of the plan."""

    def __init__(self, venue: Venue, session: lobster.Session, plan: orders.Plan, directory: StateDirectory) -> None:
        """Nothing is connected or sent yet."""
        self.venue = venue
        self.session = session
        self.plan = plan
        self.directory = directory
        self.sent = 0
        self.traders: dict[int, Trader] = {}

    def run(self, speed: float | None, progress: Progress) -> dict[str, Any]:
        """Send what has not been sent; return the result. `speed`: 1 is real time, None as fast as it goes."""
        begin = time.monotonic()
        with self.directory.lock():
            state = self.directory.load(self.session.sha256)
            if state is not None and state.result is not None:
                return finished(state.result)
            try:
                return self._run(state, speed, progress, begin)
            except (NoPrimaryError, KeyboardInterrupt) as error:
                if isinstance(error, NoPrimaryError) and not self.sent:
                    raise
                what = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
                total = len(self.plan.commands)
                raise CommandError(
                    f"{what}, after {self.sent} of {total} messages were sent; run again to go on from there"
                ) from error
            finally:
                for trader in self.traders.values():
                    trader.client.close()

    def _run(self, state: State | None, speed: float | None, progress: Progress, begin: float) -> dict[str, Any]:
        first = state.first if state else {"maker": 0, "taker": 0}
        for sender, name in _NAMES.items():
            self.traders[sender] = Trader(self.venue, sender, first[name])
        if state is None:
            state = self._begin()
        reports = Reports(state.base, state.last_user_ref)
        done = self._done(state, reports)
        self._send(state, done, reports, speed, progress)
        for trader in self.traders.values():
            trader.next_user_ref(reports)
        return self._finish(state, reports, time.monotonic() - begin)

    def _begin(self) -> State:
        """Reserve the numbers of a new replay, before its first order."""
        commands = len(self.plan.commands)
        first = {_NAMES[sender]: trader.client.next_sequence for sender, trader in self.traders.items()}
        following = max(trader.next_user_ref(None) for trader in self.traders.values())
        base = max(following - 1, self.directory.highest_reserved())
        if base + commands > ouch50.USER_REF_MAX:
            raise CommandError(f"UserRefNum would pass {ouch50.USER_REF_MAX}: start the venue's next day first")
        state = State(self.session.sha256, self.session.path.name, base, commands, first)
        self.directory.save(state)
        return state

    def _done(self, state: State, reports: Reports) -> int:
        """Return the ordinal up to which everything was sequenced before this run."""
        if state.commands != len(self.plan.commands):
            raise CommandError(f"{self.session.path}: was begun as {state.commands} messages by another version")
        highest = max(trader.next_user_ref(reports) for trader in self.traders.values()) - 1
        if highest > state.last_user_ref:
            raise CommandError(
                f"{self.session.path}: cannot be resumed: it may use numbers up to {state.last_user_ref}, "
                f"and the venue has seen {highest} from somebody else"
            )
        return max(highest - state.base, 0)

    def _send(self, state: State, done: int, reports: Reports, speed: float | None, progress: Progress) -> None:
        total = len(self.plan.commands)
        pending = self.plan.commands[done:]
        sender = MAKER
        start, told = time.monotonic(), 0.0
        origin = pending[0].time_ns if pending else 0
        for burst in _bursts(pending, speed is not None):
            if burst[0].sender != sender:
                self.traders[sender].settle(reports)
                sender = burst[0].sender
            if speed is not None:
                self._wait_until(start + (burst[0].time_ns - origin) / 1e9 / speed, reports)
            self.sent += len(burst)  # before it is: a part of it may be out when the connection breaks
            self.traders[sender].send([self._encode(c, state.base) for c in burst], _last_order(burst, state.base))
            for trader in self.traders.values():
                trader.collect(reports)
            now = time.monotonic()
            if now - told >= PROGRESS_SECONDS / 10:
                told = now
                progress(self.sent, done, total, reports)
        self.traders[sender].settle(reports)
        progress(self.sent, done, total, reports)

    def _wait_until(self, due: float, reports: Reports) -> None:
        """Wait for the market's time, while reports are taken in and heartbeats are sent."""
        while (left := due - time.monotonic()) > 0:
            for trader in self.traders.values():
                trader.collect(reports, min(left, 0.2) / 2)

    def _encode(self, command: Command, base: int) -> bytes:
        if not command.side:
            return ouch50.cancel_order(base + command.order, command.quantity)
        return ouch50.enter_order(
            base + command.order,
            command.side,
            command.quantity,
            self.session.symbol.encode("ascii"),
            command.price,
            ouch50.IMMEDIATE_OR_CANCEL if command.immediate else ouch50.DAY,
            client_order_id=b"%d" % command.order_id,
        )

    def _finish(self, state: State, reports: Reports, seconds: float) -> dict[str, Any]:
        entered = sum(1 for command in self.plan.commands if command.side)
        wrong = reports.unfinished(entered)
        if wrong:
            raise CommandError(f"{self.session.path}: the reports do not add up: {wrong}")
        if entered and reports.rejected == entered and reports.first_reject is not None:
            raise CommandError(
                f"{self.session.path}: the venue rejected each of {entered} orders in {self.session.symbol}, "
                f"the first with reason {reports.first_reject.reason}; is the symbol traded there?"
            )
        state.result = {
            "input": self.session.path.name,
            "sha256": self.session.sha256,
            "symbol": self.session.symbol,
            "messages": len(self.session.messages),
            "commands": len(self.plan.commands),
            "orders": entered,
            "skipped": dict(self.plan.skipped),
            "resting_at_start": self.plan.resting_at_start,
            "added_unseen": self.plan.added_unseen,
            "reports": reports.reports,
            "rejected": reports.rejected,
            "fills": reports.fills,
            "quantity": reports.quantity,
            "notional": reports.notional,
        }
        self.directory.save(state)
        return {**state.result, "sent": self.sent, "seconds": round(seconds, 3), "changed": self.sent > 0}


def _last_order(burst: list[Command], base: int) -> int:
    """Return the UserRefNum of the last order in a burst, 0 if it has only cancels."""
    return max((base + command.ordinal for command in burst if command.side), default=0)


def _bursts(commands: list[Command], by_time: bool) -> Iterator[list[Command]]:
    """Yield runs of commands of one sender, of one moment too where `by_time`, none longer than _BURST."""
    burst: list[Command] = []
    for command in commands:
        if burst:
            last = burst[-1]
            other_time = by_time and command.time_ns - burst[0].time_ns > 10**6
            if command.sender != last.sender or other_time or len(burst) == _BURST:
                yield burst
                burst = []
        burst.append(command)
    if burst:
        yield burst


def finished(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a replay that an earlier run has finished."""
    return {**result, "sent": 0, "seconds": 0.0, "changed": False}


def planned(session: lobster.Session, plan: orders.Plan) -> dict[str, Any]:
    """Return what would be sent."""
    return {
        "input": session.path.name,
        "symbol": session.symbol,
        "commands": len(plan.commands),
        "skipped": dict(plan.skipped),
        "changed": True,
    }


class Display:
    """Progress: a bar on a terminal, otherwise a line of JSON every few seconds."""

    def __init__(self) -> None:
        """Look at once whether there is a terminal."""
        self._terminal = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._told = 0.0

    def __call__(self, sent: int, before: int, total: int, reports: Reports) -> None:
        """Show how far the replay has come."""
        done = before + sent
        now = time.monotonic()
        if self._terminal:
            width = 40 * done // max(total, 1)
            rate = done / max(now - self._begin, 1e-9)
            bar = "#" * width + "." * (40 - width)
            end = "\n" if done == total else ""
            text = f"\r[{bar}] {done:,} of {total:,} messages, {reports.fills:,} fills, {rate:,.0f}/s "
            print(text, end=end, file=sys.stderr, flush=True)
        elif now - self._told >= PROGRESS_SECONDS or done == total:
            self._told = now
            line = {
                "messages": done,
                "sent": sent,
                "of": total,
                "fills": reports.fills,
                "seconds": round(now - self._begin, 1),
            }
            print(json.dumps({"progress": line}), flush=True)


def add_parser(subparsers: Any) -> None:
    """Add `ironbook session` to the command line."""
    parser = subparsers.add_parser("session", help="replay a trading session through the gateway, or generate one")
    actions = parser.add_subparsers(dest="action", required=True)
    state = Path(os.environ.get("IRONBOOK_STATE", ".site"))
    replay = actions.add_parser("replay", help="send a LOBSTER message file as two firms' orders")
    replay.add_argument("market_data", type=Path, help="message file, or the directory that holds one")
    config = state / "trade" / "client.json"
    replay.add_argument("--config", type=Path, default=config, help="where and as whom to log in")
    replay.add_argument("--state-directory", type=Path, default=state / "trade", help="what is known of each replay")
    replay.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help="how long to look for a primary, at first and whenever one is lost (default %(default)g)",
    )
    replay.add_argument("--speed", type=float, help="1 for real time, 10 for ten times that; default: flat out")
    replay.add_argument("--plan", action="store_true", help="read the file, say what would be sent, and send nothing")
    replay.set_defaults(function=run_replay)
    make = actions.add_parser("generate", help="write a session of our own: same arguments, same bytes")
    make.add_argument("output", type=Path, help="file (.csv, .csv.gz), or a directory")
    make.add_argument("--messages", type=int, default=20_000, help="lines of the file")
    make.add_argument("--seed", type=int, default=1, help="any number; another one gives another session")
    make.add_argument("--symbol", default="AAPL", help="the instrument, for the file's name in a directory")
    make.set_defaults(function=run_generate)


def run_replay(arguments: argparse.Namespace) -> int:
    """Replay, and print the result as the last line."""
    if arguments.speed is not None and not 0 < arguments.speed <= 1e6:
        raise CommandError(f"--speed {arguments.speed}: must be above 0")
    if not 0 <= arguments.patience <= 1e6:
        raise CommandError(f"--patience {arguments.patience:g}: must be 0 or above")
    file = lobster.read_file(lobster.find_message_file(arguments.market_data))
    directory = StateDirectory(arguments.state_directory)
    state = directory.load(file.sha256)
    if state is not None and state.result is not None:  # known by its hash: nothing to parse, and nothing to send
        result = finished(state.result)
    else:
        session = file.session()
        plan = orders.plan_session(session.messages)
        if arguments.plan:
            result = planned(session, plan)
        else:
            venue = read_venue(arguments.config, arguments.patience)
            result = _replay(Replay(venue, session, plan, directory), arguments.speed)
    print(json.dumps({"result": result}), flush=True)
    return 0


def _replay(replay: Replay, speed: float | None) -> dict[str, Any]:
    """Replay; where it fails, still say how much was sent, since that has changed the market."""
    try:
        return replay.run(speed, Display())
    except CommandError:
        print(json.dumps({"sent": replay.sent}), flush=True)
        raise


def run_generate(arguments: argparse.Namespace) -> int:
    """Write a generated session."""
    if arguments.messages < 1:
        raise CommandError(f"--messages {arguments.messages}: must be at least 1")
    path = arguments.output
    if not path.name.endswith((".csv", ".csv.gz")):
        path = path / generate.file_name(arguments.symbol, arguments.seed)
    generate.write_session(path, arguments.messages, arguments.seed)
    print(json.dumps({"result": {"path": str(path), "messages": arguments.messages, "seed": arguments.seed}}))
    return 0
