# SPDX-License-Identifier: GPL-3.0-or-later
"""A lease: alone at something for a while, by a store without timers and without trust in anybody's clock.

The holder writes its lease anew, with a counter that rises, before its term is over. Whoever waits looks at it: where
it has stayed the same for its whole term ON THE WAITER'S OWN monotonic clock, the holder is taken for gone, and the
waiter writes itself in its place under the condition that it is still the same. No point of time is ever stored, so no
two clocks are compared; two that run at rates which differ by a tenth are allowed for.

A lease says when to try and keeps two operators apart. It protects no data: that is what epochs are for.

etcd's own leases are not used. They end by the clock of etcd's leader, two seconds at the least, and anew with each new
leader, so that one which ran out with the leader is twice as long; and DynamoDB has none. This one is the same on both.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from ironbook.store.client import Conflict, Outcome, Store, Unknown, Written
from ironbook.store.errors import StoreUnreachableError
from ironbook.store.items import Lease, new_writer

CLOCK_MARGIN = 0.1  # part of the term: how much slower a holder's clock may run than a waiter's

Clock = Callable[[], float]


@dataclass(frozen=True)
class Held:
    """A lease of ours. `sure_until`, on our own clock: until then nobody else can have found it unchanged for its term.

    Counted from before the write was sent: a waiter cannot have seen it earlier.
    """

    lease: Lease
    sure_until: float


@dataclass(frozen=True)
class Taken:
    """Another one's lease, and after how many seconds, at the earliest, it may be taken if it stays the same."""

    lease: Lease
    wait_seconds: float


class Leases:
    """The leases that one process takes and waits for. `clock` is monotonic, in seconds."""

    def __init__(self, store: Store, who: str, clock: Clock = time.monotonic) -> None:
        """`who` is for people; that it is this process and no other, a random part behind it says."""
        self.holder = f"{who}:{uuid.uuid4().hex}"
        self._store = store
        self._who = who
        self._clock = clock
        self._first_seen: dict[str, tuple[Lease, float]] = {}  # by name: what was seen, and since when

    def acquire(self, name: str, seconds: float, purpose: str) -> Held | Taken:
        """Take a lease that is free, given back, or has stayed the same for its term; else say whose it is.

        Raises StoreError, StoreUnreachableError also where it is not known whether it was taken.
        """
        asked = self._clock()
        there = self._store.read(Lease, Lease.key_of(name))
        seen = self._clock()
        term_ms = round(seconds * 1000)
        if there is None:
            first = Lease(name, self.holder, 1, term_ms, purpose, 1, new_writer(self._who))
            return self._held(self._store.create(first), asked)
        if there.holder not in {"", self.holder} and (left := self._left(there, asked, seen)) > 0:
            return Taken(there, left)
        begin = self._clock()
        return self._held(self._store.replace(there, there.next(self.holder, term_ms, purpose, self._who)), begin)

    def renew(self, held: Held) -> Held | Taken:
        """Write it anew with its counter one higher. Taken: it was lost meanwhile. Raises StoreError as `acquire`."""
        lease, begin = held.lease, self._clock()
        wanted = lease.next(self.holder, lease.term_ms, lease.purpose, self._who)
        return self._held(self._store.replace(lease, wanted), begin)

    def release(self, held: Held) -> None:
        """Give it back, so that nobody has to wait; harmless where it was lost meanwhile. Raises StoreError."""
        lease = held.lease
        self._store.replace(lease, lease.next("", lease.term_ms, lease.purpose, self._who))

    def is_sure(self, held: Held) -> bool:
        """Whether a lease is ours beyond doubt at this moment."""
        return self._clock() < held.sure_until

    def _held(self, outcome: Outcome[Lease], begin: float) -> Held | Taken:
        if isinstance(outcome, Unknown):
            raise StoreUnreachableError(
                f"whether the lease {outcome.item.name} is ours is not known ({outcome.reason}): ask again"
            )
        if isinstance(outcome, Written):
            term = outcome.item.term_ms / 1000
            return Held(outcome.item, begin + term * (1 - CLOCK_MARGIN))
        if isinstance(outcome, Conflict) and outcome.item is not None:
            now = self._clock()
            return Taken(outcome.item, max(0.0, self._left(outcome.item, now, now)))
        raise StoreUnreachableError("the lease was removed while it was being taken: ask again")

    def _left(self, lease: Lease, asked: float, seen: float) -> float:
        """How long it must still stay the same; it was, from `seen` of the first look to `asked` of this one."""
        before, since = self._first_seen.get(lease.name, (lease, seen))
        if (before.version, before.writer) != (lease.version, lease.writer):
            since = seen
        self._first_seen[lease.name] = (lease, since)
        return since + lease.term_ms / 1000 - asked
