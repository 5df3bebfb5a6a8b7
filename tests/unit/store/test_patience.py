# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a store is asked, on a clock that goes on only where somebody sleeps or waits for an answer."""

from __future__ import annotations

import random

import pytest
from ironbook.store import client
from ironbook.store.client import AnswerLostError, Done, Patience, Refused, Unknown
from ironbook.store.errors import StoreThrottledError
from ironbook.store.items import Item, Record

from .memory_store import MemoryStore

FIRST = Record.first(1, "", ("engine-1-0",), "test")


class Busy(MemoryStore):
    """Throttles everything, after `takes` seconds; what is given less time than that is lost on the way."""

    def __init__(self, takes: float) -> None:
        super().__init__()
        self.patience = Patience(request=0.4, total=0.8)
        self.takes = takes
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _put(self, key: str, item: Item, known: Item | None, seconds: float) -> Done | Refused:
        self.now += min(seconds, self.takes)
        if seconds < self.takes:
            raise AnswerLostError("no answer")
        raise StoreThrottledError("too much")


@pytest.mark.parametrize("seed", range(50))
def test_a_try_that_has_no_time_does_not_hide_what_the_others_were_told(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random.seed(seed)  # of the pauses
    store = Busy(takes=0.09)
    monkeypatch.setattr(client, "time", store)
    with pytest.raises(StoreThrottledError):
        store.create(FIRST)
    assert store.now <= 0.8


def test_one_that_is_lost_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Busy(takes=0.5)
    monkeypatch.setattr(client, "time", store)
    assert isinstance(store.create(FIRST), Unknown)
