# SPDX-License-Identifier: GPL-3.0-or-later
"""A LOBSTER file as commands of the core, and the core's best bids and offers against the published ones.

Every order of the file is an order of the core. An execution becomes an immediate-or-cancel order of the other side at
that price and size, so that the core itself decides whom it meets; that must be the order that the file names.
Where the file names one that is not first in its queue, sending such an order would hit the wrong one, and the book
would no longer be the file's: that size is taken off the named order instead, and counted under the reason.

Orders that the file never adds are placed as orders.py says: ids rise with time.

Pure: the same messages give the same commands.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from ironbook.core import Command, Event
from ironbook.core.records import (
    RULES_NEWEST,
    CommandType,
    EventFlag,
    EventType,
    OrderType,
    Side,
    TimeInForce,
    instrument_add,
    session_add,
)
from ironbook.market_data import lobster
from ironbook.market_data.lobster import Message
from ironbook.market_data.orders import unseen_orders

MAKER, TAKER = 0, 1
_SIDE = {1: Side.BUY, -1: Side.SELL}
_NO_ASK, _NO_BID = 9_999_999_999, -9_999_999_999  # what LOBSTER writes where a side is empty

# What an execution of the file names.
AT_HEAD = "the first order at the best price: sent to the core, which decides"
SHOWN_LATE = "an order with a lower id than the first one: it is older, but the file showed it later"
PASSED_OVER = "an order behind the first one, which the venue passed over; the file does not say why"
NOT_BEST = "an order that is not at the best price"
UNKNOWN = "an order that the file has already removed"
# What else does not fit.
CROSSING = "new order at a price where it would have traded"
REPEATED = "new order under the id of one that is still live: ignored"
GONE = "cancel or delete of an order that the file has already removed: ignored"


class Best(NamedTuple):
    """A row of an orderbook file with one level: price and size of the best ask, price and size of the best bid."""

    ask: int
    ask_size: int
    bid: int
    bid_size: int


@dataclass
class _Order:
    user_ref: int
    left: int
    total: int  # what CANCEL calls the order's size: what is left and what was executed
    price: int
    direction: int


@dataclass
class Flow:
    """Commands in sequence, how many stand at the end of each message, and what became of the executions."""

    commands: list[Command] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    executions: Counter[str] = field(default_factory=Counter)
    expected: dict[int, int] = field(default_factory=dict)  # seq of a sent execution -> user_ref that it must meet
    oddities: Counter[str] = field(default_factory=Counter)


class _Translator:
    def __init__(self, symbol: str, rules: int) -> None:
        self.flow = Flow()
        self.orders: dict[int, _Order] = {}
        self.queues: dict[int, dict[int, OrderedDict[int, None]]] = {1: {}, -1: {}}
        self.prices: dict[int, list[int]] = {1: [], -1: []}
        self.last_user_ref = [0, 0]
        self.time_ns = 0
        self._send(CommandType.RULES, value=rules)
        self.flow.commands.append(instrument_add(2, 0, 0, symbol, 1))
        for session, name in ((MAKER, "MAKER"), (TAKER, "TAKER")):
            self.flow.commands.append(session_add(3 + session, 0, session, name, name[:4]))

    def _send(self, kind: CommandType, **fields: Any) -> int:
        seq = len(self.flow.commands) + 1
        self.flow.commands.append(Command(seq, self.time_ns, kind, **fields))
        return seq

    def _next_user_ref(self, session: int) -> int:
        self.last_user_ref[session] += 1
        return self.last_user_ref[session]

    def _best(self, direction: int) -> int | None:
        prices = self.prices[direction]
        return (prices[-1] if direction == 1 else prices[0]) if prices else None

    def enter(self, order_id: int, size: int, price: int, direction: int) -> None:
        """A new order; `direction` 1 buy, -1 sell."""
        if order_id in self.orders:
            self.flow.oddities[REPEATED] += 1
            return
        other = self._best(-direction)
        if other is not None and (price - other) * direction >= 0:
            self.flow.oddities[CROSSING] += 1
        user_ref = self._next_user_ref(MAKER)
        self._send(CommandType.ENTER, session=MAKER, user_ref=user_ref, price=price, quantity=size,
                   side=_SIDE[direction], order_type=OrderType.LIMIT, time_in_force=TimeInForce.DAY)  # fmt: skip
        self.orders[order_id] = _Order(user_ref, size, size, price, direction)
        queue = self.queues[direction].get(price)
        if queue is None:
            queue = self.queues[direction][price] = OrderedDict()
            insort(self.prices[direction], price)
        queue[order_id] = None

    def _place(self, order_id: int, order: _Order) -> str:
        if self._best(order.direction) != order.price:
            return NOT_BEST
        first = next(iter(self.queues[order.direction][order.price]))
        if first == order_id:
            return AT_HEAD
        return SHOWN_LATE if order_id < first else PASSED_OVER

    def take(self, message: Message) -> None:
        """Follow a partial cancel, a delete or an execution."""
        order = self.orders.get(message.order_id)
        if order is None:
            if message.type == lobster.EXECUTION:
                self.flow.executions[UNKNOWN] += 1
            else:
                self.flow.oddities[GONE] += 1
            return
        size = min(message.size, order.left)
        order.left -= size
        place = self._place(message.order_id, order) if message.type == lobster.EXECUTION else ""
        if place:
            self.flow.executions[place] += 1
        if place == AT_HEAD:
            seq = self._send(CommandType.ENTER, session=TAKER, user_ref=self._next_user_ref(TAKER), price=order.price,
                             quantity=size, side=_SIDE[-order.direction], order_type=OrderType.LIMIT,
                             time_in_force=TimeInForce.IOC)  # fmt: skip
            self.flow.expected[seq] = order.user_ref
        else:
            order.total -= size
            quantity = order.total if order.left else 0
            self._send(CommandType.CANCEL, session=MAKER, user_ref=order.user_ref, quantity=quantity)
        if order.left == 0:
            self._forget(message.order_id, order)

    def _forget(self, order_id: int, order: _Order) -> None:
        del self.orders[order_id]
        queue = self.queues[order.direction][order.price]
        del queue[order_id]
        if not queue:
            del self.queues[order.direction][order.price]
            prices = self.prices[order.direction]
            del prices[bisect_left(prices, order.price)]

    def follow(self, messages: Sequence[Message]) -> None:
        """Translate a whole file."""
        resting, later = unseen_orders(messages)
        for order in resting:
            self.enter(order.order_id, order.size, order.price, order.direction)
        first = next((message.order_id for message in messages if message.type == lobster.NEW), 0)
        waiting = iter([*later, None])
        unseen = next(waiting)
        for message in messages:
            self.time_ns = message.time_ns
            if message.type == lobster.NEW:
                while unseen is not None and first <= message.order_id > unseen.order_id:
                    self.enter(unseen.order_id, unseen.size, unseen.price, unseen.direction)
                    unseen = next(waiting)
                self.enter(message.order_id, message.size, message.price, message.direction)
            elif message.type in (lobster.PARTIAL_CANCEL, lobster.DELETE, lobster.EXECUTION):
                self.take(message)
            self.flow.ends.append(len(self.flow.commands))


def translate(symbol: str, messages: Sequence[Message], rules: int = RULES_NEWEST) -> Flow:
    """Return the commands of a whole file, definitions included."""
    translator = _Translator(symbol, rules)
    translator.follow(messages)
    return translator.flow


class BookOfEvents:
    """Best bid and offer as somebody sees them who gets nothing but the core's events."""

    def __init__(self) -> None:
        """Begin with an empty book."""
        self.sizes: dict[int, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self.prices: dict[int, list[int]] = {Side.BUY: [], Side.SELL: []}

    def take(self, event: Event) -> None:
        """Follow one event."""
        if event.type == EventType.RESTED:
            self._change(event.side, event.price, event.remaining, event)
        elif event.type in (EventType.EXECUTED, EventType.CANCELED) and event.flags & EventFlag.RESTING:
            self._change(event.side, event.price, -event.quantity, event)

    def _change(self, side: int, price: int, size: int, event: Event) -> None:
        sizes, prices = self.sizes[side], self.prices[side]
        if price not in sizes:
            insort(prices, price)
        sizes[price] = sizes.get(price, 0) + size
        if sizes[price] < 0:
            raise ValueError(f"event {event.seq}/{event.index} takes more than rests at {price}")
        if sizes[price] == 0:
            del sizes[price]
            del prices[bisect_left(prices, price)]

    def best(self) -> Best:
        """Return the row that an orderbook file with one level would have now."""
        bids, asks = self.prices[Side.BUY], self.prices[Side.SELL]
        ask, bid = asks[0] if asks else _NO_ASK, bids[-1] if bids else _NO_BID
        return Best(ask, self.sizes[Side.SELL].get(ask, 0), bid, self.sizes[Side.BUY].get(bid, 0))


def states(flow: Flow, events: Iterable[Event]) -> Iterator[Best]:
    """Yield the best bid and offer after each message. Raises ValueError where the core met another order."""
    book = BookOfEvents()
    source = iter(events)
    event = next(source, None)
    for end in flow.ends:
        while event is not None and event.seq <= end:
            wanted = flow.expected.get(event.seq)
            if wanted and event.flags & EventFlag.RESTING and event.user_ref != wanted:
                raise ValueError(f"command {event.seq} met order {event.user_ref}; the file names {wanted}")
            book.take(event)
            event = next(source, None)
        yield book.best()


class Agreement(NamedTuple):
    """Of consecutive distinct states: ours, the file's, how many from the first on are the same, share in common."""

    ours: int
    published: int
    same_from_start: int
    overlap_percent: float


def compare(ours: Iterable[Best], published: Iterable[Best]) -> Agreement:
    """Hold our states against a published file, which may go on for longer than ours."""
    left = [state for state, _ in groupby(ours)]
    right = [state for state, _ in groupby(published)]
    same = next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]),
                min(len(left), len(right)))  # fmt: skip
    common = Counter(left) & Counter(right[: int(len(left) * 1.02)])
    return Agreement(len(left), len(right), same, round(100 * common.total() / max(len(left), 1), 3))
