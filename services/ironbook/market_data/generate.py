# SPDX-License-Identifier: GPL-3.0-or-later
"""A trading session of our own, in the format of a LOBSTER message file, for machines without market data.

The same arguments give the same bytes on every machine and version of Python: all chance is a 64-bit xorshift
generator of our own, and no floating point is used. The flow has the mix of the AAPL hour of 2012-06-21 (of 1,000
messages 481 new orders, 446 deletes, 44 executions, 24 executions of hidden orders, 5 partial cancels), and what
makes real files hard: orders that were resting before the file begins, halt markers, and cross trades.

Executions always name the oldest order of the best price, and new orders never cross: the book that the file describes
is one that price-time priority could have made.
"""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ironbook.market_data import lobster

OPENING_NS = 34_200 * 10**9  # 09:30
SESSION_NS = 3_600 * 10**9
TICK = 100  # one cent, in units of 10^-4
_MASK = (1 << 64) - 1
_RESTING = 200
_LEVELS = 12
# Out of 1,000: up to here a new order, a delete, an execution, a hidden execution; above, a partial cancel.
_NEW, _DELETE, _EXECUTION, _HIDDEN = 481, 927, 971, 995


class _Chance:
    """xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016)."""

    def __init__(self, seed: int) -> None:
        self._state = ((seed * 0x9E3779B97F4A7C15) + 0x2545F4914F6CDD1D) & _MASK or 1

    def below(self, limit: int) -> int:
        """Draw a number from 0 to `limit` - 1."""
        state = self._state
        state ^= state >> 12
        state = (state ^ (state << 25)) & _MASK
        state ^= state >> 27
        self._state = state
        return ((state * 0x2545F4914F6CDD1D) & _MASK) * limit >> 64


@dataclass
class _Order:
    order_id: int
    left: int
    price: int
    direction: int


class _Book:
    """A book that gives the oldest order of the best price, and any order by chance."""

    def __init__(self) -> None:
        self.orders: list[_Order] = []
        self._place: dict[int, int] = {}
        self._levels: dict[tuple[int, int], deque[_Order]] = {}

    def add(self, order: _Order) -> None:
        self._place[order.order_id] = len(self.orders)
        self.orders.append(order)
        self._levels.setdefault((order.direction, order.price), deque()).append(order)

    def remove(self, order: _Order) -> None:
        place = self._place.pop(order.order_id)
        last = self.orders.pop()
        if last is not order:
            self.orders[place] = last
            self._place[last.order_id] = place
        level = self._levels[order.direction, order.price]
        level.remove(order)
        if not level:
            del self._levels[order.direction, order.price]

    def best_price(self, direction: int) -> int | None:
        prices = [price for side, price in self._levels if side == direction]
        return None if not prices else max(prices) if direction == 1 else min(prices)

    def oldest(self, direction: int, price: int) -> _Order:
        return self._levels[direction, price][0]


class _Generator:
    def __init__(self, messages: int, seed: int) -> None:
        self.chance = _Chance(seed)
        self.book = _Book()
        self.next_id = 16_000_000
        self.middle = 1_000_000 + TICK * self.chance.below(40_000)
        self.step_ns = SESSION_NS // messages
        self.time_ns = OPENING_NS
        for number in range(_RESTING):
            self.book.add(self._order(10_000_000 + 31 * number))

    def _order(self, order_id: int) -> _Order:
        """Draw an order that does not cross: so many ticks behind the best price of the other side."""
        direction = 1 if self.chance.below(2) else -1
        other = self.book.best_price(-direction)
        if other is None:
            other = self.middle + direction * 5 * TICK
        # Most orders stand near the best price: the lower of two numbers drawn by chance.
        away = 1 + min(self.chance.below(_LEVELS), self.chance.below(_LEVELS))
        price = max(TICK, other - direction * away * TICK)
        size = 100 * (1 + self.chance.below(5)) if self.chance.below(4) else 1 + self.chance.below(99)
        return _Order(order_id, size, price, direction)

    def next_message(self) -> tuple[int, int, int, int, int]:
        """(type, order id, size, price, direction); the book follows."""
        kind = self.chance.below(1000)
        if kind < _NEW or len(self.book.orders) < _RESTING // 2:
            self.next_id += 1 + self.chance.below(40)
            order = self._order(self.next_id)
            self.book.add(order)
            return lobster.NEW, order.order_id, order.left, order.price, order.direction
        order = self.book.orders[self.chance.below(len(self.book.orders))]
        if kind < _DELETE:
            self.book.remove(order)
            return lobster.DELETE, order.order_id, order.left, order.price, order.direction
        if kind < _EXECUTION:
            return self._execution(order.direction)
        if kind < _HIDDEN:
            size = 100 * (1 + self.chance.below(3))
            return lobster.HIDDEN_EXECUTION, 0, size, order.price + order.direction * TICK // 2, order.direction
        if order.left == 1:
            self.book.remove(order)
            return lobster.DELETE, order.order_id, 1, order.price, order.direction
        size = 1 + self.chance.below(order.left - 1)
        order.left -= size
        return lobster.PARTIAL_CANCEL, order.order_id, size, order.price, order.direction

    def _execution(self, direction: int) -> tuple[int, int, int, int, int]:
        price = self.book.best_price(direction)
        assert price is not None, "the drawn order is in the book, so its side has a best price"
        order = self.book.oldest(direction, price)
        size = order.left if self.chance.below(2) else 1 + self.chance.below(order.left)
        order.left -= size
        if order.left == 0:
            self.book.remove(order)
        return lobster.EXECUTION, order.order_id, size, price, direction

    def next_time(self) -> int:
        self.time_ns += self.chance.below(2 * self.step_ns)
        return min(self.time_ns, OPENING_NS + SESSION_NS)


def lines(messages: int, seed: int) -> Iterator[str]:
    """Yield the lines of a session of `messages` messages, each with its newline."""
    if messages < 1:
        raise ValueError("a session has at least one message")
    generator = _Generator(messages, seed)
    for number in range(messages):
        if number == messages // 3:
            fields = (lobster.HALT, 0, 0, -1, -1)
        elif number == messages // 3 + 1:
            fields = (lobster.HALT, 0, 0, 1, -1)
        elif number == messages // 2 and messages > 10:
            fields = (lobster.CROSS_TRADE, -1, 1000, generator.middle, -1)
        else:
            fields = generator.next_message()
        second, nanosecond = divmod(generator.next_time(), 10**9)
        yield f"{second}.{nanosecond:09d}," + ",".join(map(str, fields)) + "\n"


def file_name(symbol: str, seed: int) -> str:
    """Return the name that LOBSTER would give; the date stands for the seed, since no such day has been traded."""
    return f"{symbol}_2000-01-{1 + seed % 28:02d}_34200000_37800000_message_50.csv.gz"


def write_session(path: Path, messages: int, seed: int) -> None:
    """Write a session to `path` (.csv or .csv.gz), whole or not at all."""
    data = "".join(lines(messages, seed)).encode("ascii")
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
