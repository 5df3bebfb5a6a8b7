# SPDX-License-Identifier: GPL-3.0-or-later
"""A member's session with a shard, whichever of the shard's engines is primary: it outlives a failover.

Only the primary listens on order entry: a standby refuses the connection, and one that loses its role closes it. So the
client tries the addresses that it was given, one after the other, until one of them lets it log in, and asks there for
the report that comes next: what it missed reaches it by sequence, nothing twice.

What it has sent and does not know to have arrived, it sends again, in the order in which it was sent and under the same
UserRefNum. Whether something arrived is never guessed: an Account Query right behind the login says which numbers are
used up, and all that was sent before the highest of them went the same way, in the same order. Orders have numbers, and
the venue ignores one that it has had (OUCH 5.0, UserRefNum). Cancel and Modify name the size that the order is to have
in all, Mass Cancel finds what was sent before it, and Disable and Enable Order Entry set a switch: nothing that was
sent behind them is there yet when they are sent again, so each does the second time what it did the first, or nothing.

A member may send heartbeats and answer nothing: a primary that is cut off from its standbys takes what it is sent and
can have none of it durable. So what was sent has to be answered in time; where it is not, the client asks (Account
Query), and where that is not answered either, it looks elsewhere. The time doubles with each such connection, so that a
venue that is merely slow is waited for.

A member that has sent fewer reports than this client has received refuses the login; it is tried again until the time
is over, and never begun anew with: that would hide a loss.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Self

from ironbook.errors import CommandError
from ironbook.protocols import ouch50
from ironbook.protocols.soupbintcp import ConnectionLostError, LoginRejectedError, SoupClient, SoupError

PATIENCE_SECONDS = 30.0  # the owners' promise for a failover (row ENG-15)
# Servers send a heartbeat each second (SoupBinTCP 3.00, 2.2.1). Who can go elsewhere need not wait for fifteen: a
# connection that is given up in error costs a login.
SILENCE_SECONDS = 2.0
ANSWER_SECONDS = 3.0  # for a sign that something of what was sent has arrived; doubled each time that there is none
ATTEMPT_SECONDS = 1.0  # for one address to let us log in; doubled each round, to five times as much
PAUSE_SHARE = 0.1  # of the outage so far: by so much longer than necessary may it last
PAUSE_SECONDS = (0.005, 1.0)
FENCE_EVERY = 4096  # requests that may be unanswered before one asks what became of them
_NOT_AUTHORIZED = "A"
_ENTER, _REPLACE = ord("O"), ord("U")
_ACCEPTED, _REPLACED, _REJECTED, _QUERY_RESPONSE = b"A"[0], b"U"[0], b"J"[0], b"Q"[0]


class Endpoint(NamedTuple):
    """Where a member of the shard listens for clients when it is primary."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(text: str) -> Endpoint:
    """Read `host:port`; CommandError where it is none."""
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise CommandError(f"{text!r} is no endpoint: give it as host:port")
    return Endpoint(host, int(port))


def add_endpoints(parser: argparse.ArgumentParser) -> None:
    """Add `--endpoint`, which is given once for each member of the shard."""
    parser.add_argument(
        "--endpoint",
        type=endpoint,
        action="append",
        required=True,
        metavar="HOST:PORT",
        help="each member's order entry",
    )


class NoPrimaryError(SoupError):
    """No member of the shard has let us log in for as long as we wait; the text says what each of them did."""


def _number(message: bytes) -> int:
    """Return the UserRefNum that a request uses up, 0 for one that uses none (OUCH 5.0, 2.1 and 2.2)."""
    if message[0] == _ENTER:
        return int.from_bytes(message[1:5], "big")
    return int.from_bytes(message[5:9], "big") if message[0] == _REPLACE else 0


def _answered(report: bytes) -> int:
    """Return the UserRefNum whose request this report answers, 0 if none's (OUCH 5.0, 3.2)."""
    if report[0] in (_ACCEPTED, _REJECTED):
        return int.from_bytes(report[9:13], "big")
    return int.from_bytes(report[13:17], "big") if report[0] == _REPLACED else 0


class Unanswered:
    """What was sent and is not known to have arrived, in its order. Pure."""

    def __init__(self) -> None:
        """Nothing was sent."""
        self._requests: deque[bytes] = deque()
        self._numbered: deque[tuple[int, int]] = deque()  # UserRefNum, and its request's place
        self._fences: deque[int] = deque()  # how much had been sent when each open Account Query was
        self._first = 0  # place of the first of _requests

    def __len__(self) -> int:
        """How many."""
        return len(self._requests)

    def sent(self, message: bytes) -> None:
        """Remember a request."""
        if number := _number(message):
            self._numbered.append((number, self._first + len(self._requests)))
        self._requests.append(message)

    def asked(self) -> None:
        """Remember that an Account Query follows what was sent so far."""
        self._fences.append(self._first + len(self._requests))

    @property
    def is_asked(self) -> bool:
        """Whether an answer to an Account Query is to come."""
        return bool(self._fences)

    def reported(self, report: bytes) -> None:
        """Forget the request that a report answers, and all that was sent before it."""
        if self._numbered and (number := _answered(report)):
            self.used_up(number)

    def used_up(self, number: int) -> None:
        """Forget all requests to the last one with a UserRefNum up to `number`."""
        end = self._first
        while self._numbered and self._numbered[0][0] <= number:
            end = self._numbered.popleft()[1] + 1
        self._drop(end)

    def answered(self) -> None:
        """The oldest open Account Query was answered: what was sent before it has arrived."""
        if self._fences:
            self._drop(self._fences.popleft())

    def _drop(self, end: int) -> None:
        while self._first < end:
            self._requests.popleft()
            self._first += 1
        while self._numbered and self._numbered[0][1] < self._first:
            self._numbered.popleft()

    def again(self) -> list[bytes]:
        """Return all that is left, to be sent on a new connection; no Account Query is open there."""
        self._fences.clear()
        return list(self._requests)


class OrderEntry:
    """One session. `next_sequence` is the number of the next report that `receive` returns."""

    def __init__(  # noqa: PLR0913 - a login has this many fields
        self,
        endpoints: Sequence[Endpoint],
        username: str,
        password: str,
        *,
        sequence: int = 1,
        patience: float = PATIENCE_SECONDS,
        silence: float = SILENCE_SECONDS,
        answer: float = ANSWER_SECONDS,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[bool, str], None] = lambda _connected, _text: None,
    ) -> None:
        """Log in to whichever of `endpoints` is primary, `patience` seconds long, and ask for report `sequence`.

        `silence`: so many seconds without a sign of life, and the connection is lost. `answer`: so many without an
        answer to what was sent, and the primary is looked for elsewhere. `pause` waits between attempts. `tell` hears
        of each connection that was lost (False) or made (True), in words. Raises NoPrimaryError, or
        LoginRejectedError where waiting does not help.
        """
        if not endpoints:
            raise CommandError("order entry: no endpoint: name at least one, as host:port")
        self.unsequenced: list[bytes] = []
        self.logins = 0
        self._endpoints = list(endpoints)
        self._username, self._password = username, password
        self._patience, self._silence = patience, silence
        self._answer = self._allowed = answer
        self._progress = time.monotonic()  # when something was answered last, or there was nothing to answer
        self._pause, self._tell = pause, tell
        self._unanswered = Unanswered()
        self._arrived: list[bytes] = []
        self._next_user_ref = 0
        self._turn = 0
        self._soup = self._find(sequence, "", time.monotonic())
        self.session, self.next_sequence = self._soup.session, self._soup.next_sequence

    @property
    def peer(self) -> str:
        """The address of the primary, as `host:port`."""
        return self._soup.peer

    @property
    def ended(self) -> bool:
        """Whether the venue has ended the session: its day is over."""
        return self._soup.ended

    @property
    def unanswered(self) -> int:
        """How many requests are not known to have arrived."""
        return len(self._unanswered)

    # ---- finding the primary

    def _find(self, sequence: int, session: str, since: float) -> SoupClient:
        """Try every address, round after round; the one that served last is the last to be tried."""
        reasons: dict[Endpoint, str] = {}
        attempt = ATTEMPT_SECONDS
        while True:
            for _ in self._endpoints:
                where = self._endpoints[self._turn % len(self._endpoints)]
                try:
                    soup = self._login(where, sequence, session, attempt)
                except LoginRejectedError as error:
                    if error.reason == _NOT_AUTHORIZED:
                        raise
                    reasons[where] = str(error)
                except SoupError as error:
                    reasons[where] = str(error)
                else:
                    self.logins += 1
                    self._tell(True, f"logged in at {where}, next report {soup.next_sequence}")
                    return soup
                self._turn += 1
            self._wait(since, "; ".join(dict.fromkeys(reasons.values())))
            attempt = min(2 * attempt, 5 * ATTEMPT_SECONDS)

    def _wait(self, since: float, reason: str) -> None:
        """Pause before the next round; NoPrimaryError where the outage has lasted for as long as we wait."""
        outage = time.monotonic() - since
        if outage >= self._patience:
            raise NoPrimaryError(f"no primary has served {self._username} for {self._patience:g} s: {reason}")
        longest = min(max(PAUSE_SHARE * outage, PAUSE_SECONDS[0]), PAUSE_SECONDS[1])
        self._pause(longest * random.uniform(0.5, 1.0))

    def _login(self, where: Endpoint, sequence: int, session: str, timeout: float) -> SoupClient:
        soup = SoupClient.connect(
            where.host,
            where.port,
            self._username,
            self._password,
            sequence=sequence,
            session=session,
            timeout=timeout,
            silence=self._silence,
        )
        if sequence and soup.next_sequence != sequence:
            soup.close()
            raise SoupError(f"{where} was asked for report {sequence} and goes on with {soup.next_sequence}")
        return soup

    def _reconnect(self, error: SoupError) -> None:
        """Find the primary and go on there: take in what was missed, send again what has not arrived."""
        since = time.monotonic()
        while True:
            self._tell(False, f"lost {self.peer}: {error}")
            self._turn += 1
            self._soup.close()
            self._soup = self._find(self.next_sequence + len(self._arrived), self.session, since)
            try:
                return self._resume()
            except ConnectionLostError as lost:
                error = lost
                self._wait(since, str(lost))

    def _resume(self) -> None:
        self._unanswered.again()
        self._progress = time.monotonic()
        self._ask()
        while self._unanswered.is_asked and not self.ended:
            self._take(self._soup.receive(min(0.2, self._allowed)), is_resumed=True)
            self._look_for_progress()
        if (again := self._unanswered.again()) and not self.ended:
            self._tell(True, f"sending {len(again)} request{'' if len(again) == 1 else 's'} again")
            self._soup.send(again)

    def _look_for_progress(self) -> None:
        """Ask where what was sent is not answered; ConnectionLostError where that is not answered either."""
        waited = time.monotonic() - self._progress
        if waited > self._allowed / 2 and not self._unanswered.is_asked and len(self._unanswered):
            self._ask()
        elif waited > self._allowed and self._unanswered.is_asked:
            said = f"{self.peer} has answered nothing for {self._allowed:g} s"
            self._allowed = min(2 * self._allowed, max(self._patience, self._answer))
            raise ConnectionLostError(said)

    # ---- the session

    def send(self, messages: Iterable[bytes]) -> None:
        """Send requests. Each will be there once, whatever becomes of the connection, or NoPrimaryError says not."""
        if self.ended:
            raise SoupError(f"{self.peer} has ended the session of {self._username}: nothing more can be sent")
        messages = list(messages)
        if not len(self._unanswered) and not self._unanswered.is_asked:
            self._progress = time.monotonic()
        for message in messages:
            self._unanswered.sent(message)
        try:
            self._soup.send(messages)
            if len(self._unanswered) >= FENCE_EVERY and not self._unanswered.is_asked:
                self._ask()
        except ConnectionLostError as error:
            self._reconnect(error)

    def receive(self, timeout: float = 0.0) -> list[bytes]:
        """Return the reports that have come, in order, none missing and none twice; wait `timeout` seconds at most.

        It takes longer where the connection is lost meanwhile. Answers that are no reports are left in `unsequenced`.
        """
        if not self._arrived and not self.ended:
            try:
                self._take(self._soup.receive(timeout))
                self._look_for_progress()
            except ConnectionLostError as error:
                self._reconnect(error)
        reports, self._arrived = self._arrived, []
        self.next_sequence += len(reports)
        return reports

    def next_user_ref(self) -> int:
        """Return the next free UserRefNum, 0 where none is left.

        When this returns, every report of what was sent before has come: `receive` returns them without waiting.
        """
        while True:
            logins = self.logins
            try:
                if not len(self._unanswered) and not self._unanswered.is_asked:
                    self._progress = time.monotonic()
                self._ask()
                while self._unanswered.is_asked and not self.ended:
                    self._take(self._soup.receive(min(0.2, self._allowed)))
                    self._look_for_progress()
            except ConnectionLostError as error:
                self._reconnect(error)
            if logins == self.logins:
                return self._next_user_ref

    def _ask(self) -> None:
        self._unanswered.asked()
        self._soup.send([ouch50.account_query()])

    def _take(self, reports: list[bytes], is_resumed: bool = False) -> None:
        if reports or self._soup.unsequenced:
            self._progress, self._allowed = time.monotonic(), self._answer
        for report in reports:
            self._unanswered.reported(report)
        self._arrived += reports
        for message in self._soup.unsequenced:
            if message[0] != _QUERY_RESPONSE:
                self.unsequenced.append(message)
                continue
            self._next_user_ref = int.from_bytes(message[9:13], "big")
            if is_resumed:  # asked before anything was sent again: it tells of the connections before
                self._unanswered.used_up((self._next_user_ref or ouch50.USER_REF_MAX + 1) - 1)
                self._unanswered.again()
            else:
                self._unanswered.answered()
        self._soup.unsequenced.clear()

    def close(self) -> None:
        """Log out politely and close."""
        self._soup.close()

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log out and close."""
        self.close()
