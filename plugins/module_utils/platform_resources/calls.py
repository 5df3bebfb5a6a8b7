# SPDX-License-Identifier: GPL-3.0-or-later
"""How AWS is asked: one client a service, what is tried again and for how long, and what an error says.

Three things pass by themselves and are waited for here, and nowhere else: throttling, a resource that AWS has made but
does not find yet, and a state that is not the last one. All have one end, the deadline of the run.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

with contextlib.suppress(ImportError):  # the modules say what is missing
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

# Codes by which services say "later": each service has its own.
THROTTLED = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException.Throttled", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException",
})  # fmt: skip
DENIED = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthFailure", "Client.UnauthorizedOperation", "UnauthorizedOperation",
})  # fmt: skip
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
FULL = ("LimitExceeded", "LimitExceededException", "QuotaExceeded", "ServiceQuotaExceededException")
# What reads begin with: all else changes something, and a run that only reads has no business with it.
READS = ("describe_", "get_", "list_", "search_")

# Seconds: the first pause, and the longest. AWS settles most things within seconds and some within minutes.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0

Answer = TypeVar("Answer")


class ResourceError(Exception):
    """One line that names the resource, what was done with it, and the remedy."""


class Refused(Exception):
    """What AWS refuses inside of an answer that says success."""

    def __init__(self, code: str, message: str) -> None:
        """Keep what an error of botocore would have said."""
        super().__init__(message)
        self.code = code


class Clock:
    """Time, and waiting; a test has its own. A pause ends early for nobody: it is short."""

    def now(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let that long pass; other threads work meanwhile."""
        threading.Event().wait(seconds)


class Account:
    """An AWS account for one run: its clients, which all threads share, and the deadline.

    `make` makes the boto3 client of a service. `seconds` is what the whole run may take.
    """

    def __init__(self, make: Callable[[str], Any], seconds: float, clock: Clock | None = None) -> None:
        """Begin the run's time."""
        self._make = make
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.clock = clock or Clock()
        self.seconds = seconds
        self._end = self.clock.now() + seconds

    def client(self, service: str) -> Any:
        """Return the service's one client. Making one is not safe in several threads at a time, using it is."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def pause(self, seconds: float) -> bool:
        """Wait; False at once where the deadline would pass meanwhile."""
        if self.clock.now() + seconds > self._end:
            return False
        self.clock.wait(seconds)
        return True


@dataclass
class Calls:
    """`aws` of a declaration: the calls to a `service` for one resource, or one listing, of the kind `what`.

    `not_found`: the kind's codes for that. `read_only`: whatever would change something is refused before it is sent.
    `patient`: something that this resource rests on was made in this run, so that "not found" means "not found yet".
    """

    account: Account
    service: str
    what: str
    not_found: Sequence[str] = ()
    read_only: bool = False
    patient: bool = False
    operation: str = field(default="", init=False)  # the last one, for the line of an error

    def call(self, operation: str, **parameters: Any) -> Any:
        """Return the answer of one operation, by boto3's name of it."""
        client = self._client(operation)
        return self._insist(lambda: getattr(client, operation)(**parameters))

    def pages(self, operation: str, key: str, **parameters: Any) -> list[Any]:
        """Return what all pages of a listing have under `key`. A page lost to throttling begins the listing anew."""
        client = self._client(operation)
        if not client.can_paginate(operation):
            return list(self.call(operation, **parameters)[key])
        paginator = client.get_paginator(operation)
        return self._insist(lambda: [item for page in paginator.paginate(**parameters) for item in page[key]])

    def unless_gone(self, attempt: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return the attempt's answer, or `otherwise` where AWS says by a code of the kind's that it is not there."""
        try:
            return attempt()
        except ClientError as error:
            if code_of(error) in self.not_found:
                return otherwise
            raise

    def wait_until(self, reached: Callable[[], bool], what: str | Callable[[], str]) -> None:
        """Ask again until it is reached; `what` begins the line of the error at the deadline."""
        for seconds in pauses():
            if reached():
                return
            if not self.account.pause(seconds):
                told = what if isinstance(what, str) else what()
                raise ResourceError(
                    f"{told} within the {self.account.seconds:g} s of this run: run again, it goes on from here"
                )

    @contextlib.contextmanager
    def explained(self, name: str, action: str) -> Iterator[None]:
        """Have what AWS, or the way to it, refuses be a ResourceError of one line."""
        try:
            yield
        except Exception as error:
            if isinstance(error, tuple(expected())):
                raise self.explain(error, name, action) from error
            raise

    def explain(self, error: Exception, name: str, action: str) -> ResourceError:
        """Return the line for what AWS, or the way to it, said."""
        if isinstance(error, ResourceError):
            return ResourceError(f"{self.what} {name}: {action}: {error}")
        return ResourceError(f"{self.what} {name}: {action} failed: {_told(error)}: {self._remedy(code_of(error))}")

    def _client(self, operation: str) -> Any:
        self.operation = operation
        if self.read_only and not operation.startswith(READS):
            raise ResourceError(f"{operation} would change something, and this run only reads: report this, please")
        return self.account.client(self.service)

    def _insist(self, attempt: Callable[[], Answer]) -> Answer:
        waits = pauses()
        while True:
            try:
                return attempt()
            except ClientError as error:
                code = code_of(error)
                later = code in THROTTLED or (self.patient and code in self.not_found)
                if not later or not self.account.pause(next(waits)):
                    raise

    def _remedy(self, code: str) -> str:
        action = "".join(word.capitalize() for word in self.operation.split("_"))
        remedies = (
            (not code, "reach AWS at that endpoint, and run again"),
            (code in DENIED, f"allow {self.service}:{action} to the credentials of this run"),
            (code in EXPIRED, "renew the credentials of this run"),
            (code in THROTTLED, "AWS let no more requests through until the deadline; run again, it goes on from here"),
            (code.endswith(FULL), "raise that quota of the account, or remove what is not needed"),
            (code in self.not_found, "it, or what it names, is not there; correct the name, or provide that first"),
            (True, f"correct what {action} was given, and run again"),
        )
        return next(remedy for holds, remedy in remedies if holds)


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: each up to twice the last, so that many do not come at once."""
    longest = FIRST_PAUSE
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(2 * longest, LONGEST_PAUSE)


def settle(answer: Mapping[str, Any]) -> None:
    """Raise what is refused inside of an answer that says success."""
    for refused in answer.get("Unsuccessful", ()):
        raise Refused(refused["Error"]["Code"], refused["Error"]["Message"])


def code_of(error: Exception) -> str:
    """Return the code by which AWS refused; nothing where it was not AWS."""
    if isinstance(error, Refused):
        return error.code
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def expected() -> Sequence[type[Exception]]:
    """Return what a call may raise; anything else is a fault of ours and shows itself as one."""
    # The last is no error of botocore's own: a page in HTML where an answer should be.
    return (ResourceError, Refused, BotoCoreError, ClientError, ResponseParserError)


def _told(error: Exception) -> str:
    message = getattr(error, "response", {}).get("Error", {}).get("Message", "") or str(error)
    said = " ".join(message.split()).rstrip(".")
    return f"{said} ({code_of(error)})" if code_of(error) else said
