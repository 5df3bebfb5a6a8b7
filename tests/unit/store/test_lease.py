# SPDX-License-Identifier: GPL-3.0-or-later
"""Leases, with a clock for each process that the test turns: they may be hours apart and run at different rates."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from ironbook.store.client import Outcome, Unknown
from ironbook.store.errors import StoreUnreachableError
from ironbook.store.items import Item, Lease
from ironbook.store.lease import CLOCK_MARGIN, Held, Leases, Taken

from .memory_store import MemoryStore

NAME = "failover/shard-0"


class Time:
    """True time, and the clock of one process as it shows it."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self, ahead: float = 0.0, rate: float = 1.0) -> Callable[[], float]:
        return lambda: ahead + rate * self.now


def test_clocks_that_are_hours_apart_are_never_compared() -> None:
    time, items = Time(), dict[str, Item]()
    one = Leases(MemoryStore(items), "one", time.clock(ahead=1e6))
    other = Leases(MemoryStore(items), "other", time.clock(ahead=-1e6))
    held = one.acquire(NAME, 3.0, "work")
    assert isinstance(held, Held)
    assert other.acquire(NAME, 3.0, "work") == Taken(held.lease, 3.0)
    for _ in range(10):  # it is renewed: each time the waiter begins again
        time.now += 2.9
        held = one.renew(held)
        assert isinstance(held, Held)
        assert isinstance(other.acquire(NAME, 3.0, "work"), Taken)
    time.now += 2.99
    assert isinstance(other.acquire(NAME, 3.0, "work"), Taken)
    time.now += 0.02
    assert isinstance(other.acquire(NAME, 3.0, "work"), Held)
    assert isinstance(one.renew(held), Taken)


def test_a_waiter_that_was_not_looking_has_to_wait_its_full_term() -> None:
    """It cannot know for how long the lease had been the same before it looked."""
    time, items = Time(), dict[str, Item]()
    Leases(MemoryStore(items), "one", time.clock()).acquire(NAME, 3.0, "work")
    time.now += 100
    late = Leases(MemoryStore(items), "late", time.clock())
    assert isinstance(late.acquire(NAME, 3.0, "work"), Taken)
    time.now += 3.01
    assert isinstance(late.acquire(NAME, 3.0, "work"), Held)


def test_who_gave_it_back_and_who_holds_it_need_not_wait() -> None:
    time, items = Time(), dict[str, Item]()
    one = Leases(MemoryStore(items), "one", time.clock())
    held = one.acquire(NAME, 3.0, "work")
    assert isinstance(held, Held)
    again = one.acquire(NAME, 3.0, "work")
    assert isinstance(again, Held) and again.lease.counter == 2
    one.release(again)
    assert isinstance(Leases(MemoryStore(items), "other", time.clock()).acquire(NAME, 3.0, "work"), Held)


def test_two_processes_of_one_name_are_two() -> None:
    items = dict[str, Item]()
    assert isinstance(Leases(MemoryStore(items), "alice").acquire(NAME, 3.0, "drill"), Held)
    assert isinstance(Leases(MemoryStore(items), "alice").acquire(NAME, 3.0, "drill"), Taken)


def two_are_sure(seed: int, margin: float) -> bool:
    """A thousand steps of three processes with clocks of different rates; whether two were ever sure at once."""
    luck, time, items = random.Random(seed), Time(), dict[str, Item]()
    rates = (1.0, 1.0 + margin * 0.9, 1.0 / (1.0 + margin * 0.9))
    processes = [Leases(MemoryStore(items), f"p{n}", time.clock(n * 1e4, rate)) for n, rate in enumerate(rates)]
    held: list[Held | Taken | None] = [None] * len(processes)
    for _ in range(1000):
        time.now += luck.choice((0.01, 0.1, 0.5, 1.0))
        number = luck.randrange(len(processes))
        process, mine = processes[number], held[number]
        if luck.random() < 0.3:
            continue  # it is paused
        found = process.renew(mine) if isinstance(mine, Held) else process.acquire(NAME, 3.0, "work")
        held[number] = found
        sure = [isinstance(one, Held) and them.is_sure(one) for one, them in zip(held, processes, strict=True)]
        if sum(sure) > 1:
            return True
    return False


@pytest.mark.parametrize("seed", range(20))
def test_no_two_are_ever_sure_of_it_at_once(seed: int) -> None:
    assert not two_are_sure(seed, CLOCK_MARGIN)


def test_two_are_sure_where_clocks_differ_by_more_than_is_allowed_for() -> None:
    """The control of the test above: it can find two."""
    assert any(two_are_sure(seed, 10 * CLOCK_MARGIN) for seed in range(20))


def test_what_is_not_known_is_not_held() -> None:
    class Lossy(MemoryStore):
        def _write(self, item: Lease, known: Lease | None, doubt: str = "") -> Outcome[Lease]:  # type: ignore[override]
            super()._write(item, known, doubt)
            return Unknown(item, known, "the answer was lost")

    items = dict[str, Item]()
    one = Leases(Lossy(items), "one")
    with pytest.raises(StoreUnreachableError, match="the answer was lost"):
        one.acquire(NAME, 3.0, "work")
    one._store = MemoryStore(items)
    held = one.acquire(NAME, 3.0, "work")  # it was ours, and is known by the holder's name
    assert isinstance(held, Held) and held.lease.counter == 2
