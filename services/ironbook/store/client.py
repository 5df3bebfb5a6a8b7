# SPDX-License-Identifier: GPL-3.0-or-later
"""How the configuration store is read and written, whichever it is.

A read is strongly consistent. A write has one of three outcomes: `Written`, `Conflict` (with what is there), `Unknown`.
A lost answer is never taken for either of the others: the very same write is sent again while there is time, which can
do no harm (its condition holds once at most, and its `writer` is recognised), and what is still not known then is
`Unknown`. `resolve` asks again later. An item that is unchanged does not resolve it: the write may still be on its way.

What is certain not to have been written raises a StoreError. An answer that cannot be is refused, whoever gives it: an
older version than this client has seen, or another item of the same version.

A store is used by one thread. A backend does one request at a time (`_get`, `_put`); all patience is here.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ironbook.store.errors import StoreContradictionError, StoreError, StoreThrottledError, StoreUnreachableError
from ironbook.store.items import Item, Record

I = TypeVar("I", bound=Item)  # noqa: E741
T = TypeVar("T")

POLL_SECONDS = 0.25
_PAUSE_FIRST, _PAUSE_MOST = 0.02, 0.5  # between two tries of one call, doubled each time
# Part of a request's time that has to be left for one more try. With less it would fail for want of time alone, and
# hide why the tries before it did: a write that was throttled, and is not there for certain, would end as unknown.
_LEAST_OF_A_TRY = 0.25


@dataclass(frozen=True)
class Patience:
    """How long one request may take, and all tries of one call together, in seconds."""

    request: float = 1.0
    total: float = 3.0


@dataclass(frozen=True)
class Stored:
    """An item as it stands in a store: nothing of it is believed yet."""

    document: Mapping[str, Any]
    revision: int


@dataclass(frozen=True)
class Done:
    """A backend's word that it wrote."""

    revision: int


@dataclass(frozen=True)
class Refused:
    """A backend's word that its condition did not hold, and what is there (None: nothing)."""

    there: Stored | None


class AnswerLostError(Exception):
    """A write was sent, and what became of it is not known. Never leaves this package."""


@dataclass(frozen=True)
class Written(Generic[I]):
    """It is in the store, and was written by this very call or by the one that it resolves."""

    item: I


@dataclass(frozen=True)
class Conflict(Generic[I]):
    """What is in the store is another write's (None: nothing is there)."""

    item: I | None


@dataclass(frozen=True)
class Unknown(Generic[I]):
    """It may be in the store, or come there yet. `known`: what it was to take the place of."""

    item: I
    known: I | None
    reason: str


Outcome = Written[I] | Conflict[I] | Unknown[I]


class Store(ABC):
    """A configuration store. `name` is what people call it, in every line about it."""

    name = "the configuration store"

    def __init__(self, patience: Patience | None = None, poll_seconds: float = POLL_SECONDS) -> None:
        """`poll_seconds`: between two looks of `wait_for_change`, where the store cannot tell of a change itself."""
        self.patience = patience or Patience()
        self.poll_seconds = poll_seconds
        self._seen: dict[str, tuple[int, str]] = {}  # key -> version and writer of the newest item

    # ------------------------------------------------------------------------------------- what a backend does

    @abstractmethod
    def _get(self, key: str, seconds: float) -> Stored | None:
        """Read one item, consistently, with one request. Raises a StoreError."""

    @abstractmethod
    def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
        """Write one item if `known` is what is there, with one request.

        Raises AnswerLostError where it may have been written, a StoreError where it was certainly not.
        """

    def _wait(self, _key: str, _known: Item | None, seconds: float) -> None:
        """Return when something may have changed, after `seconds` at the latest."""
        time.sleep(min(seconds, self.poll_seconds))

    def close(self) -> None:
        """Give back what it holds open."""
        return

    # ------------------------------------------------------------------------------------------- what is asked

    def read(self, kind: type[I], key: str) -> I | None:
        """Return the item at a key, None where there is none. Raises a StoreError."""
        floor = self._seen.get(key)
        stored = self._patiently(lambda seconds: self._get(key, seconds))
        return self._believed(kind, key, stored, floor)

    def record(self, shard: int) -> Record | None:
        """Return a shard's record, None where there is none. Raises a StoreError."""
        return self.read(Record, Record.key_of(shard))

    def create(self, item: I) -> Outcome[I]:
        """Write an item where nothing is. Raises InvalidChangeError before anything is sent, or another StoreError."""
        item.require_valid()
        return self._write(item, None)

    def replace(self, known: I, item: I, allow_data_loss: bool = False) -> Outcome[I]:
        """Write an item in the place of `known`, which must be what is there.

        Raises InvalidChangeError before anything is sent, or another StoreError.
        """
        item.require_valid()
        item.require_follows(known, allow_data_loss)
        return self._write(item, known)

    def again(self, unknown: Unknown[I]) -> Outcome[I]:
        """Send the very same write again: the one way to be sure where nothing has changed since."""
        return self._write(unknown.item, unknown.known, unknown.reason)

    def resolve(self, unknown: Unknown[I]) -> Outcome[I]:
        """Find out by reading what became of a write.

        Conflict: what is there is another's, whether or not it took the place of ours. Unknown: nothing has changed
        yet. Raises a StoreError where it cannot be read.
        """
        item = self.read(type(unknown.item), unknown.item.key)
        if item is not None and item.writer == unknown.item.writer:
            return Written(item)
        if _same(item, unknown.known):
            return unknown
        return Conflict(item)

    def wait_for_change(self, kind: type[I], key: str, known: I | None, seconds: float) -> I | None:
        """Return the item as soon as it is another than `known`, None where it is not within `seconds`.

        Raises a StoreError where it cannot be read.
        """
        end = time.monotonic() + seconds
        while True:
            item = self.read(kind, key)
            if not _same(item, known):
                return item
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._wait(key, known, left)

    # ------------------------------------------------------------------------------------------------- inside

    def _write(self, item: I, known: I | None, doubt: str = "") -> Outcome[I]:
        """Send a write until its outcome is certain or the time is over; `doubt`: why it is not, from before."""
        key, floor = item.key, self._seen.get(item.key)
        doubts = [doubt] if doubt else []

        def once(seconds: float) -> Done | Refused:
            try:
                return self._put(key, item, known, seconds)
            except AnswerLostError as error:
                doubts.append(str(error))
                raise StoreUnreachableError(str(error)) from error

        try:
            answer = self._patiently(once)
        except StoreError:
            if doubts:
                return Unknown(item, known, doubts[-1])
            raise
        if isinstance(answer, Done):
            self._remember(item)
            return Written(item.at(answer.revision))
        there = self._believed(type(item), key, answer.there, floor)
        if there is not None and there.writer == item.writer:
            return Written(there)
        if _same(there, known):
            raise StoreContradictionError(
                f"{self.name} refused to write {key} over version {known.version if known else 0}, "
                "which it says is there"
            )
        return Conflict(there)

    def _patiently(self, once: Callable[[float], T]) -> T:
        """Call until it does not fail for want of an answer, or the time is over; then raises its last error."""
        end = time.monotonic() + self.patience.total
        pause = _PAUSE_FIRST
        while True:
            left = end - time.monotonic()
            try:
                return once(max(0.001, min(left, self.patience.request)))
            except (StoreUnreachableError, StoreThrottledError):
                pause = min(2 * pause, _PAUSE_MOST)
                # So that those who were refused together do not return together.
                wait = pause * random.uniform(0.5, 1.0)
                if time.monotonic() + wait + _LEAST_OF_A_TRY * self.patience.request > end:
                    raise
                time.sleep(wait)

    def _believed(self, kind: type[I], key: str, stored: Stored | None, floor: tuple[int, str] | None) -> I | None:
        """Check what a store says is there. `floor`: the newest that had been seen when it was asked."""
        if stored is None:
            if floor is not None:
                raise StoreContradictionError(
                    f"{self.name} has nothing at {key}, where version {floor[0]} was before: it lost it, or is another"
                )
            return None
        item = kind.parse(key, stored.document, stored.revision)
        if floor is not None and item.version < floor[0]:
            raise StoreContradictionError(
                f"{self.name} answers version {item.version} of {key}, where version {floor[0]} was before"
            )
        if floor is not None and item.version == floor[0] and item.writer != floor[1]:
            raise StoreContradictionError(
                f"{self.name} answers another version {item.version} of {key} than before, written by {item.writer}"
            )
        self._remember(item)
        return item

    def _remember(self, item: Item) -> None:
        if item.version >= self._seen.get(item.key, (0, ""))[0]:
            self._seen[item.key] = (item.version, item.writer)


def _same(one: Item | None, other: Item | None) -> bool:
    """Whether both are the same write, or both nothing."""
    if one is None or other is None:
        return one is other
    return (one.version, one.writer) == (other.version, other.writer)
