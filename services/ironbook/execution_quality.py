# SPDX-License-Identifier: GPL-3.0-or-later
"""`ironbook execution-quality`: slippage and fill ratio of each account, from a shard's journal.

Computed outside the matcher, as a pure function of the event log; all arithmetic is on integers.

- **Arrival price** of an order: the best visible price on the other side when it was accepted; where nothing stood
  there, the instrument's last trade price; where nothing had traded, none.  A replacement keeps the first order's.
- **Slippage**: for each execution (trade price - arrival price) x quantity of a buy order, the negative of a sell
  order; summed.  Positive is worse than on arrival, negative better.  In units of price x units of quantity; in
  basis points it is divided by the sum of arrival price x quantity.  Executions without an arrival price are left
  out and counted in `unpriced`.
- **Fill ratio**: executed quantity by accepted quantity.  What is cancelled stays accepted; a replacement counts with
  its own total size in place of the old one.

An account is the one that its session trades for; where it has none (account 0), its firm stands for it.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ironbook import core
from ironbook.core.records import Command, CommandType, Event, EventFlag, EventType, Side
from ironbook.errors import CommandError

_BUY = int(Side.BUY)
_RESTING, _HIDDEN, _KEPT = int(EventFlag.RESTING), int(EventFlag.HIDDEN), int(EventFlag.PRIORITY_KEPT)
_ACCEPTED, _RESTED, _EXECUTED = int(EventType.ACCEPTED), int(EventType.RESTED), int(EventType.EXECUTED)
_CANCELED, _REPLACED = int(EventType.CANCELED), int(EventType.REPLACED)
_REFRESHED, _RELEASED = int(EventType.REFRESHED), int(EventType.RELEASED)


@dataclass
class Quality:
    """Sums of one account; quantities and prices in the units of ironbook.h."""

    orders: int = 0
    accepted: int = 0
    executed: int = 0
    unpriced: int = 0  # of `executed`, what had no arrival price
    slippage: int = 0  # price x quantity
    arrival_notional: int = 0  # arrival price x quantity of what is in `slippage`

    def figures(self) -> dict[str, Any]:
        """Everything, with the two ratios: in millionths of `accepted`, and in hundredths of a basis point."""
        return {
            "orders": self.orders,
            "accepted": self.accepted,
            "executed": self.executed,
            "unpriced": self.unpriced,
            "fill_ratio_millionths": _divided(self.executed * 1_000_000, self.accepted),
            "slippage": str(self.slippage),  # may not fit the numbers of other languages' JSON readers
            "slippage_bp_hundredths": _divided(self.slippage * 1_000_000, self.arrival_notional),
        }


def _divided(numerator: int, denominator: int) -> int | None:
    """Rounded to the nearest, halves away from zero; None where there is nothing to divide by."""
    if denominator == 0:
        return None
    whole = (2 * abs(numerator) + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole


@dataclass
class _Order:
    quality: Quality
    buy: bool
    arrival: int | None
    total: int
    executed: int = 0


@dataclass
class _Side:
    """Visible orders by price; the best is found through a heap whose stale entries are dropped when they surface."""

    sign: int  # -1: the best is the highest
    counts: dict[int, int] = field(default_factory=dict)
    heap: list[int] = field(default_factory=list)

    def add(self, price: int) -> None:
        if self.counts.get(price, 0) == 0:
            heapq.heappush(self.heap, self.sign * price)
        self.counts[price] = self.counts.get(price, 0) + 1

    def remove(self, price: int) -> None:
        self.counts[price] -= 1

    def best(self) -> int | None:
        while self.heap and self.counts[self.sign * self.heap[0]] == 0:
            heapq.heappop(self.heap)
        return self.sign * self.heap[0] if self.heap else None


class _Log:
    """What has to be remembered of the events so far."""

    def __init__(self, accounts: Mapping[int, str]) -> None:
        self._accounts = accounts
        self.qualities: dict[str, Quality] = {}
        self._orders: dict[int, _Order] = {}  # by order_ref, while they are alive
        self._standing: dict[int, tuple[_Side, int]] = {}  # visible ones of the book, and their price
        self._sides: dict[tuple[int, bool], _Side] = {}
        self._last: dict[int, int] = {}  # trade price of each instrument

    def _side(self, instrument: int, buy: bool) -> _Side:
        return self._sides.setdefault((instrument, buy), _Side(-1 if buy else 1))

    def _leave(self, order_ref: int) -> None:
        if (place := self._standing.pop(order_ref, None)) is not None:
            place[0].remove(place[1])

    def take(self, event: Event) -> None:
        """Take the next event."""
        if event.type == _ACCEPTED:
            self._accept(event)
        elif event.type == _RESTED:
            if event.price > 0 and not event.flags & _HIDDEN:
                side = self._side(event.instrument, event.side == _BUY)
                side.add(event.price)
                self._standing[event.order_ref] = (side, event.price)
        elif event.type == _EXECUTED:
            self._execute(event)
        elif event.type == _CANCELED:
            if event.remaining == 0:
                self._leave(event.order_ref)
                self._orders.pop(event.order_ref, None)
        elif event.type == _REPLACED:
            self._replace(event)
        elif event.type in {_REFRESHED, _RELEASED}:
            self._orders[event.order_ref] = self._orders.pop(event.match_ref)
            if (place := self._standing.pop(event.match_ref, None)) is not None:
                self._standing[event.order_ref] = place

    def _accept(self, event: Event) -> None:
        buy = event.side == _BUY
        arrival = self._side(event.instrument, not buy).best()
        if arrival is None:
            arrival = self._last.get(event.instrument)
        quality = self.qualities.setdefault(self._accounts[event.session], Quality())
        quality.orders += 1
        quality.accepted += event.quantity
        self._orders[event.order_ref] = _Order(quality, buy, arrival, event.quantity)

    def _execute(self, event: Event) -> None:
        order = self._orders[event.order_ref]
        order.executed += event.quantity
        order.quality.executed += event.quantity
        self._last[event.instrument] = event.price
        if order.arrival is None:
            order.quality.unpriced += event.quantity
        else:
            difference = event.price - order.arrival
            order.quality.slippage += (difference if order.buy else -difference) * event.quantity
            order.quality.arrival_notional += order.arrival * event.quantity
        if event.remaining == 0:
            self._leave(event.order_ref)
            del self._orders[event.order_ref]

    def _replace(self, event: Event) -> None:
        before = event.order_ref if event.flags & _KEPT else event.match_ref
        order = self._orders.pop(before)
        total = order.executed + event.remaining
        order.quality.accepted += total - order.total
        order.total = total
        self._orders[event.order_ref] = order
        if not event.flags & _KEPT:
            self._leave(before)


def measure(events: Iterable[Event], accounts: Mapping[int, str]) -> dict[str, Quality]:
    """Sum up a shard's events, all of them from the first on; `accounts` names the account of each session's index."""
    log = _Log(accounts)
    for event in events:
        log.take(event)
    return log.qualities


def accounts_of(commands: Iterable[Command]) -> dict[int, str]:
    """For whom each session of a journal trades: its account's name, or its firm's where it has none."""
    names: dict[int, str] = {}
    sessions: dict[int, str] = {}
    for command in commands:
        if command.type == CommandType.ACCOUNT_ADD:
            names.setdefault(command.account, command.client_data.rstrip(b"\0 ").decode("ascii", "replace"))
        elif command.type == CommandType.SESSION_ADD:
            firm = command.client_data[6:10].decode("ascii", "replace").strip()
            sessions.setdefault(command.session, names.get(command.account, firm))
    return sessions


def show(arguments: argparse.Namespace) -> int:
    """Print each account's figures, from the journal's beginning to its end or to `--until`."""
    try:
        accounts = accounts_of(core.journal_dump(arguments.directory))
        found = measure(core.events(arguments.directory, arguments.until), accounts)
    except core.CoreError as error:
        raise CommandError(str(error)) from error
    figures = {account: quality.figures() for account, quality in sorted(found.items())}
    if arguments.json:
        print(json.dumps(figures))
        return 0
    print(f"{'account':<12} {'orders':>9} {'accepted':>12} {'executed':>12} {'fill':>9} {'slippage':>16} {'bp':>9}")
    for account, row in figures.items():
        fill, points = row["fill_ratio_millionths"], row["slippage_bp_hundredths"]
        ratio = "-" if fill is None else f"{fill / 10_000:.2f}%"
        basis = "-" if points is None else f"{points / 100:.2f}"
        print(
            f"{account:<12} {row['orders']:>9} {row['accepted']:>12} {row['executed']:>12} {ratio:>9} "
            f"{row['slippage']:>16} {basis:>9}"
        )
    return 0


def add_parser(subparsers: Any) -> None:
    """Add `ironbook execution-quality` to the command line."""
    parser = subparsers.add_parser(
        "execution-quality",
        help="slippage and fill ratio of each account",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", help="the journal's directory")
    parser.add_argument("--until", type=int, metavar="SEQ", help="stop after this sequence number")
    parser.add_argument("--json", action="store_true", help="one JSON object on a line")
    parser.set_defaults(function=show)
