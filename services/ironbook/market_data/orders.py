# SPDX-License-Identifier: GPL-3.0-or-later
"""What two firms would have sent to a venue so that the messages of a LOBSTER file come about.

The maker enters, shrinks and deletes the orders of the file; the taker sends, for each execution, an
immediate-or-cancel order of that size and price to the other side. The venue decides what trades: its book holds what
the file shows, and no more, so an incoming order may meet another order than the file's, which changes who trades but
not that every party agrees about it.

Orders that the file never adds. Order ids rise with time, so an id below the first added one was resting when the
file begins; a higher one was added later, outside the levels that the file shows, and is entered when the ids have
come that far (at the latest where the file first takes from it). Its size is all that the file ever takes from it. On
the AAPL hour this gives 99.9 % of the real best bids and offers.

Pure: no clock, no file, no socket, and the same messages give the same commands always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ironbook.market_data import lobster
from ironbook.market_data.lobster import Message
from ironbook.protocols import ouch50

MAKER, TAKER = 0, 1
_TAKES = frozenset((lobster.PARTIAL_CANCEL, lobster.DELETE, lobster.EXECUTION))

SKIPPED_HIDDEN = "execution of a hidden order (type 5): the visible book does not change"
SKIPPED_CROSS = "cross trade (type 6): made in an auction, not in the book"
SKIPPED_HALT = "halt marker (type 7): no order"
SKIPPED_LIVE = "new order (type 1) under the id of one that is still live"
SKIPPED_GONE = "cancel, delete or execution of an order that the file has already removed"
_SKIPPED_TYPES = {
    lobster.HIDDEN_EXECUTION: SKIPPED_HIDDEN,
    lobster.CROSS_TRADE: SKIPPED_CROSS,
    lobster.HALT: SKIPPED_HALT,
}


class Command(NamedTuple):
    """One thing to send. `ordinal` counts from 1 over both firms.

    An order has its own ordinal in `order`, a cancel (`side` empty) that of the order it names. `quantity` of a
    cancel is the order's new size in all, 0 for all that is left. `time_ns` is nanoseconds after midnight, `line` the
    file's line.
    """

    ordinal: int
    sender: int
    order: int
    side: bytes
    quantity: int
    price: int
    immediate: bool
    time_ns: int
    order_id: int
    line: int


@dataclass
class Plan:
    """The commands of a session in order, and how many messages were not sent and why."""

    commands: list[Command] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    resting_at_start: int = 0
    added_unseen: int = 0


@dataclass
class _Live:
    """An order of the file: its ordinal, its size in all, and how much the file has left of it."""

    order: int
    size: int
    left: int


@dataclass
class _Unseen:
    """An order that the file takes from without having added it."""

    order_id: int
    size: int
    price: int
    direction: int


def unseen_orders(messages: Iterable[Message]) -> tuple[list[_Unseen], list[_Unseen]]:
    """(resting at the start, added later), each in the order of ids, which is the order of time."""
    added: set[int] = set()
    unseen: dict[int, _Unseen] = {}
    first = 0
    for message in messages:
        if message.type == lobster.NEW:
            first = first or message.order_id
            added.add(message.order_id)
        elif message.type in _TAKES and message.order_id not in added:
            order = unseen.setdefault(message.order_id, _Unseen(message.order_id, 0, message.price, message.direction))
            order.size += message.size
    in_order = [unseen[key] for key in sorted(unseen)]
    return (
        [order for order in in_order if not first or order.order_id < first],
        [order for order in in_order if first and order.order_id > first],
    )


class _Planner:
    def __init__(self) -> None:
        self.plan = Plan()
        self.live: dict[int, _Live] = {}
        self.known: set[int] = set()

    def send(self, sender: int, message: Message, side: bytes, quantity: int, order: int = 0) -> int:
        """Add one command; `order` is the ordinal of the order that a cancel names. Returns its own ordinal."""
        ordinal = len(self.plan.commands) + 1
        command = Command(
            ordinal,
            sender,
            order or ordinal,
            side,
            quantity,
            message.price,
            sender == TAKER,
            message.time_ns,
            message.order_id,
            message.line,
        )
        self.plan.commands.append(command)
        return ordinal

    def enter(self, message: Message) -> None:
        if message.order_id in self.live:
            self.plan.skipped[SKIPPED_LIVE] += 1
            return
        side = ouch50.BUY if message.direction == 1 else ouch50.SELL
        ordinal = self.send(MAKER, message, side, message.size)
        self.live[message.order_id] = _Live(ordinal, message.size, message.size)
        self.known.add(message.order_id)

    def enter_unseen(self, order: _Unseen, at: Message) -> None:
        if order.order_id not in self.known:
            what = {"order_id": order.order_id, "size": order.size, "price": order.price, "direction": order.direction}
            self.enter(at._replace(**what))

    def take(self, message: Message) -> None:
        """Follow a partial cancel, a delete or an execution."""
        order = self.live.get(message.order_id)
        if order is None:
            self.plan.skipped[SKIPPED_GONE] += 1
            return
        if message.type == lobster.EXECUTION:
            side = ouch50.SELL if message.direction == 1 else ouch50.BUY
            self.send(TAKER, message, side, message.size)
            order.left -= message.size
        elif message.type == lobster.PARTIAL_CANCEL and message.size < order.left:
            order.size -= message.size
            order.left -= message.size
            self.send(MAKER, message, b"", order.size, order.order)
        else:
            order.left = 0
            self.send(MAKER, message, b"", 0, order.order)
        if order.left <= 0:
            del self.live[message.order_id]


def plan_session(messages: Sequence[Message]) -> Plan:
    """Return the commands of a whole file."""
    planner = _Planner()
    resting, later = unseen_orders(messages)
    by_id = {order.order_id: order for order in later}
    for order in resting:
        planner.enter_unseen(order, messages[0])
    next_later = 0
    first = next((m.order_id for m in messages if m.type == lobster.NEW), 0)
    for message in messages:
        if message.type in _SKIPPED_TYPES:
            planner.plan.skipped[_SKIPPED_TYPES[message.type]] += 1
        elif message.type == lobster.NEW:
            # A few ids lie far below the first one (orders that come back); they say nothing of how far the ids are.
            reached = message.order_id if message.order_id >= first else 0
            while next_later < len(later) and later[next_later].order_id < reached:
                planner.enter_unseen(later[next_later], message)
                next_later += 1
            planner.enter(message)
        else:
            if message.order_id in by_id:
                planner.enter_unseen(by_id[message.order_id], message)
            planner.take(message)
    planner.plan.resting_at_start = len(resting)
    planner.plan.added_unseen = len(later)
    return planner.plan
