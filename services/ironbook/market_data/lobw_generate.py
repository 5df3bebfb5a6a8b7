# SPDX-License-Identifier: GPL-3.0-or-later
"""Order flow for benchmarks, made up: 60 % new orders, 35 % cancels of any resting order, 5 % that sweep several.

The book that tells here what trades is dictionaries and lists, and shares nothing with the core: a LOBW file's sums
come from it. Prices lie around a middle that wanders; most orders rest near it and some far away, as in real books.
The same arguments give the same bytes.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections import deque

from ironbook.market_data.lobw import BUY, CANCEL, CROSS, NEW, RECORD, SELL, Header

_MIDDLE = 32_768
_PRICE_MAX = 65_536
_DEPTH = 66.0  # ticks from the middle: standard deviation
_SWEEP = 5  # resting orders that a crossing one takes, about
_THIN = 8  # a side with fewer orders is not swept


class _Book:
    """One symbol: for each side the prices in order and a queue of ids at each."""

    def __init__(self) -> None:
        self.prices: tuple[list[int], list[int]] = ([], [])
        self.queues: tuple[dict[int, deque[int]], dict[int, deque[int]]] = ({}, {})
        self.count = [0, 0]
        self.middle = _MIDDLE

    def best(self, side: int) -> int | None:
        prices = self.prices[side]
        return (prices[-1] if side == BUY else prices[0]) if prices else None

    def rest(self, side: int, price: int, order: int) -> None:
        queue = self.queues[side].get(price)
        if queue is None:
            queue = self.queues[side][price] = deque()
            insort(self.prices[side], price)
        queue.append(order)
        self.count[side] += 1

    def remove(self, side: int, price: int, order: int) -> None:
        queue = self.queues[side][price]
        if queue[0] == order:
            queue.popleft()
        else:
            queue.remove(order)
        if not queue:
            del self.queues[side][price]
            del self.prices[side][bisect_left(self.prices[side], price)]
        self.count[side] -= 1


class _Generator:
    def __init__(self, symbols: int, resting: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.books = [_Book() for _ in range(symbols)]
        self.weights = [1 / (1 + symbol) for symbol in range(symbols)]  # few symbols have most of the flow
        for symbol in range(1, symbols):
            self.weights[symbol] += self.weights[symbol - 1]
        self.resting = resting
        self.orders: dict[int, tuple[int, int, int, int]] = {}  # id -> symbol, side, price, quantity
        self.live: list[int] = []
        self.place: dict[int, int] = {}  # id -> where it is in `live`
        self.records = bytearray()
        self.last_id = self.trades = self.quantity = self.notional = 0

    def _forget(self, order: int) -> None:
        symbol, side, price, _ = self.orders.pop(order)
        self.books[symbol].remove(side, price, order)
        place, last = self.place.pop(order), self.live.pop()
        if last != order:
            self.live[place], self.place[last] = last, place

    def enter(self, symbol: int, side: int) -> None:
        book = self.books[symbol]
        away = 1 + min(int(abs(self.random.gauss(0.0, _DEPTH))), 4 * int(_DEPTH))
        other = book.best(1 - side)
        if side == BUY:
            price = book.middle - away if other is None else min(book.middle - away, other - 1)
        else:
            price = book.middle + away if other is None else max(book.middle + away, other + 1)
        self.last_id += 1
        quantity = 1 + int(self.random.random() * 100)
        self.orders[self.last_id] = (symbol, side, price, quantity)
        self.place[self.last_id] = len(self.live)
        self.live.append(self.last_id)
        book.rest(side, price, self.last_id)
        self.records += RECORD.pack(NEW, side, symbol, self.last_id, price, quantity)

    def cancel(self) -> None:
        order = self.live[int(self.random.random() * len(self.live))]
        symbol, side, price, quantity = self.orders[order]
        self._forget(order)
        self.records += RECORD.pack(CANCEL, side, symbol, order, price, quantity)

    def cross(self, symbol: int, side: int) -> None:
        """Take some orders of the other side, the last of them perhaps in part; more when too many rest."""
        book, other = self.books[symbol], 1 - side
        orders = max(1, min(2 * _SWEEP, _SWEEP + 20 * (len(self.live) - self.resting) // self.resting))
        total = price = 0
        for left in range(min(orders, book.count[other] - 2), 0, -1):
            best = book.best(other)
            assert best is not None  # _THIN orders rest there at least
            price = best
            order = book.queues[other][price][0]
            open_quantity = self.orders[order][3]
            taken = 1 + int(self.random.random() * open_quantity) if left == 1 else open_quantity
            total += taken
            self.trades += 1
            self.quantity += taken
            self.notional += taken * price
            if taken == open_quantity:
                self._forget(order)
            else:
                self.orders[order] = (symbol, other, price, open_quantity - taken)
        self.last_id += 1
        self.records += RECORD.pack(CROSS, side, symbol, self.last_id, price, total)

    def step(self, warm: bool) -> None:
        kind = 0.0 if warm or not self.live else self.random.random()
        symbol = bisect_left(self.weights, self.random.random() * self.weights[-1])
        side = SELL if self.random.random() < 0.5 else BUY
        book = self.books[symbol]
        if self.random.random() < 1 / 64:
            step = 1 if self.random.random() < 0.5 else -1
            book.middle = min(max(book.middle + step, _PRICE_MAX // 4), _PRICE_MAX * 3 // 4)
        if 0.6 <= kind < 0.95:
            self.cancel()
        elif kind >= 0.95 and book.count[1 - side] >= _THIN:
            self.cross(symbol, side)
        else:
            self.enter(symbol, side)


def generate(messages: int, symbols: int, resting: int, seed: int) -> tuple[Header, bytes]:
    """Return a flow of `resting` warm orders and then `messages` messages."""
    generator = _Generator(symbols, resting, seed)
    for number in range(resting + messages):
        generator.step(warm=number < resting)
    header = Header(
        symbols=symbols,
        warm=resting,
        messages=messages,
        id_max=generator.last_id,
        price_max=_PRICE_MAX,
        trades=generator.trades,
        quantity=generator.quantity,
        notional=generator.notional,
        resting=len(generator.live),
    )
    return header, bytes(generator.records)
