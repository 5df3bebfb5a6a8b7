# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger and the reconciliation both mean by a trade and by a position.

A trade is one match: two `Executed` events of the same match number, one directly after the other: the resting order's
(the maker's), then the incoming one's (the taker's); in an auction, where both stood, the buyer's, then the seller's.
Its place in the shard is that of the second event, with which it is complete.

A position is held by the average-cost method: buying more, or selling shorter, averages the price in; reducing leaves
the average as it is; crossing zero starts again at the price of the trade. Averages are integers in units of 10^-8,
rounded half to even after each trade, so that the same trades give the same figures on every machine. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.errors import CommandError
from ironbook.event_log import UnnamedInstrumentError

# Plain integers: comparing with an enumeration costs more than all else here.
_EXECUTED, _RESTING, _BUY = int(EventType.EXECUTED), int(EventFlag.RESTING), int(Side.BUY)
PRICE_UNIT = 10_000  # a price of 1 in the currency
AVERAGE_UNIT = 100_000_000  # an average cost of 1 in the currency


@dataclass(frozen=True)
class Names:
    """What the indexes of a shard's events stand for: symbols by instrument, firms by session.

    Those of the engine or of its journal, and never a configuration's: there an instrument may have another place.
    """

    symbols: Sequence[str]
    firms: Sequence[str]


class Trade(NamedTuple):
    """One match. `price` in units of 10^-4, `time_ns` since the Unix epoch, `taker_side` B or S."""

    shard: int
    sequence: int
    index: int  # type: ignore[assignment]  # the schema's word, though tuples have a method of that name
    match_ref: int
    symbol: str
    quantity: int
    price: int
    time_ns: int
    maker: str
    taker: str
    maker_user_ref: int
    taker_user_ref: int
    taker_side: str


class Holding(NamedTuple):
    """A position in units of 1 (negative: short) and its average cost in units of 10^-8."""

    position: int = 0
    average: int = 0


class EventOrderError(CommandError):
    """Events that cannot come from one engine: half a match, or two halves that do not fit."""


class TradeBuilder:
    """Turns events, in order, into trades. Keeps the maker's half of a match until the taker's comes."""

    def __init__(self, shard: int, names: Names) -> None:
        """`names` of the shard `shard`."""
        self._shard = shard
        self._names = names
        self._maker: Event | None = None

    @property
    def between(self) -> bool:
        """Whether the last event was the first half of a match: no place to stop."""
        return self._maker is not None

    def add(self, events: Iterable[Event]) -> Iterator[Trade]:
        """Yield the trades that the events complete."""
        for event in events:
            maker = self._maker
            if event.type != _EXECUTED:
                if maker is not None:
                    raise EventOrderError(f"match {maker.match_ref} at sequence {maker.seq} has no taker")
            elif maker is None and event.flags & _RESTING:
                self._maker = event
            else:
                if maker is None or (maker.match_ref, maker.quantity, maker.price) != (
                    event.match_ref,
                    event.quantity,
                    event.price,
                ):
                    raise EventOrderError(f"match {event.match_ref} at sequence {event.seq} has no fitting maker")
                self._maker = None
                yield self._trade(maker, event)

    def _trade(self, maker: Event, taker: Event) -> Trade:
        names = self._names
        if taker.instrument >= len(names.symbols):
            raise UnnamedInstrumentError(
                f"match {taker.match_ref} at sequence {taker.seq} is in instrument {taker.instrument}, which is newer "
                "than the names that were asked for"
            )
        if max(maker.session, taker.session) >= len(names.firms):
            raise EventOrderError(
                f"match {taker.match_ref} at sequence {taker.seq} names a session that the configuration does not have"
            )
        return Trade(
            self._shard,
            taker.seq,
            taker.index,
            taker.match_ref,
            names.symbols[taker.instrument],
            taker.quantity,
            taker.price,
            taker.time_ns,
            names.firms[maker.session],
            names.firms[taker.session],
            maker.user_ref,
            taker.user_ref,
            "B" if taker.side == _BUY else "S",
        )


def _divide_half_even(numerator: int, denominator: int) -> int:
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (1 if twice > denominator or (twice == denominator and quotient % 2) else 0)


def after_trade(held: Holding, quantity: int, price: int) -> Holding:
    """Return what is held after `quantity` (negative: sold) at `price` (units of 10^-4)."""
    position = held.position + quantity
    cost = price * (AVERAGE_UNIT // PRICE_UNIT)
    if position == 0:
        return Holding(0, 0)
    if held.position == 0 or (held.position > 0) != (position > 0):
        return Holding(position, cost)
    if (held.position > 0) == (quantity > 0):
        total = held.average * abs(held.position) + cost * abs(quantity)
        return Holding(position, _divide_half_even(total, abs(position)))
    return Holding(position, held.average)


class Portfolio:
    """All holdings by (firm, symbol)."""

    def __init__(self, holdings: Mapping[tuple[str, str], Holding] | None = None) -> None:
        """Start from `holdings`, or from nothing."""
        self.holdings = dict(holdings or {})

    def add(self, trade: Trade) -> tuple[tuple[str, str], tuple[str, str]]:
        """Take a trade in, the buyer first; return whose holdings it touched."""
        buyer, seller = (trade.taker, trade.maker) if trade.taker_side == "B" else (trade.maker, trade.taker)
        touched = (buyer, trade.symbol), (seller, trade.symbol)
        for key, quantity in zip(touched, (trade.quantity, -trade.quantity), strict=True):
            self.holdings[key] = after_trade(self.holdings.get(key, Holding()), quantity, trade.price)
        return touched


def price_text(price: int) -> str:
    """Return a price as a decimal with all its places."""
    sign = "-" if price < 0 else ""
    return f"{sign}{abs(price) // PRICE_UNIT}.{abs(price) % PRICE_UNIT:04d}"


def average_text(average: int) -> str:
    """Return an average cost as a decimal with all its places."""
    return f"{average // AVERAGE_UNIT}.{average % AVERAGE_UNIT:08d}"
