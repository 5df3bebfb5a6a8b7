# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle's book: events, orders in their lists, continuous matching and auctions (docs/matching.md, 4 to 6).

Orders stand in sorted lists, quantities are Python's integers, and every rule stands as the page has it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

BUY, SELL = 1, 2
DAY, GTC, AT_OPEN, IOC, FOK, GTD, AT_CLOSE = 0, 1, 2, 3, 4, 6, 7
LIMIT, MARKET, STOP, STOP_LIMIT = 1, 2, 3, 4
HIDDEN, POST_ONLY = 1, 2
NEWEST, OLDEST, BOTH, DECREMENT = 1, 2, 3, 4
CONTINUOUS, CLOSED, PRE_OPEN, OPENING, VOLATILITY, PHASE_HALTED, CLOSING = range(7)
VISIBLE, IN_HIDDEN, IN_STOP, IN_AT_CLOSE = range(4)
ACCEPTED, RESTED, EXECUTED, CANCELED, REPLACED, REJECTED, TRADING_STATE, END_OF_DAY = range(1, 9)
PHASE, INDICATIVE, REFRESHED, RELEASED, INSTRUMENT, RISK, MODIFIED = range(9, 16)
F_RESTING, F_INCOMING, F_KEPT, F_AUCTION, F_HIDDEN = 1, 2, 4, 8, 16
QUANTITY_MAX, POSITION_MAX, UNLIMITED = 2**40 - 1, 2**62, 2**64 - 1
NOBODY, ANY_ACCOUNT, ANY_INSTRUMENT = 0xFFFF, 0xFFFF, 0xFFFFFFFF
RATE, ORDER_QUANTITY, COLLAR, NOTIONAL, LONG, SHORT, OPEN_ORDERS, KILL = range(1, 9)
SLICES_MAX, POINTS, SECOND = 64, 10_000, 1_000_000_000
USER, R_IOC, R_FOK, R_MINIMUM, R_SELF, R_BAND, R_AUCTION, R_DAY, R_EXPIRED, R_MASS, R_REMOVED = range(1, 12)
(HALTED, NO_INSTRUMENT, BAD_PRICE, BAD_QUANTITY, BAD_SIDE, BAD_TYPE, BAD_TIF, NO_ORDER, FULL, _, _, BAD_FLAGS,
 BAD_PHASE, WOULD_TRADE) = range(16, 30)  # fmt: skip
KILLED, R_RATE, R_QUANTITY, R_COLLAR, R_NOTIONAL, R_POSITION, R_ORDERS = range(32, 39)
NEW_FIELDS = ("self_trade", "flags", "account", "displayed", "minimum", "stop_price", "expire_time_ns")
Event = tuple[Any, ...]


@dataclass(slots=True, eq=False)
class Order:
    """A live order, or one on its way into the book."""

    session: int
    user_ref: int
    instrument: int
    side: int
    price: int
    open: int
    filled: int
    ref: int
    kind: int
    tif: int
    hidden: bool
    self_trade: int
    displayed: int
    minimum: int
    stop_price: int
    expires: int
    data: bytes
    place: int = VISIBLE
    slice: int = 0  # what is left of the shown slice of an iceberg

    def shown(self) -> int:
        """Return what the book shows of it."""
        if self.place != VISIBLE:
            return 0
        return min(self.slice, self.open) if self.displayed else self.open

    def key(self) -> tuple[int, int, int]:
        """Return its place in its list: the lowest is first."""
        if self.place == IN_STOP:
            return (self.stop_price if self.side == BUY else -self.stop_price, 0, self.ref)
        if self.place == IN_AT_CLOSE:
            return (0, 0, self.ref)
        if self.kind == MARKET:
            return (-(2**80), self.hidden, self.ref)
        return (self.price if self.side == SELL else -self.price, self.hidden, self.ref)


@dataclass(slots=True)
class Instrument:
    """What an instrument is at the moment. `book`, `stops`: by side, each in order of priority."""

    symbol: bytes
    tick: int
    lot: int
    static_band: int
    dynamic_band: int
    breach: int
    phase: int
    reference: int
    last: int = 0
    removed: bool = False
    book: dict[int, list[Any]] = field(default_factory=lambda: {BUY: [], SELL: []})
    stops: dict[int, list[Any]] = field(default_factory=lambda: {BUY: [], SELL: []})
    at_close: list[Any] = field(default_factory=list)

    def queue(self, order: Order) -> list[Any]:
        """Return the list that the order belongs to."""
        if order.place == IN_AT_CLOSE:
            return self.at_close
        return (self.stops if order.place == IN_STOP else self.book)[order.side]


@dataclass(slots=True)
class Account:
    """Its limits and what it has sent in the present second."""

    limits: dict[int, int] = field(default_factory=dict)
    own: dict[tuple[int, int], int] = field(default_factory=dict)  # (instrument, limit) -> value
    position: dict[int, int] = field(default_factory=dict)
    killed: bool = False
    second: int = -1
    messages: int = 0


class Book:
    """One shard with room for `capacity` live orders."""

    def __init__(self, capacity: int) -> None:
        """Begin with rules 1 and nothing defined."""
        self.capacity = capacity
        self.rules = 1
        self.instruments: list[Instrument] = []
        self.sessions: list[list[Any]] = []  # [username, account, last user_ref, session_seq]
        self.accounts: list[Account] = [Account()]
        self.live: dict[tuple[int, int], Order] = {}
        self.halted = self.ended = False
        self.ref = self.trades = self.quantity = self.notional = self.rejects = 0
        self.events: list[Event] = []
        self.c: dict[str, Any] = {}

    # ---- events

    def say(self, kind: int, session: int = NOBODY, /, **f: Any) -> None:
        """Append an event about `f`; a session gets it as a report."""
        number = 0
        if session != NOBODY:
            self.sessions[session][3] += 1
            number = self.sessions[session][3]
        get = f.get
        self.events.append((
            self.c["seq"], self.c["time_ns"], len(self.events), kind, session, get("instrument", 0), get("user_ref", 0),
            get("user_ref_original", 0), get("side", 0), get("tif", 0), get("kind", 0), get("reason", 0), get("ref", 0),
            get("match", 0), get("price", 0), get("quantity", 0), get("remaining", 0), get("flags", 0), number,
            get("displayed", 0), get("phase", 0), get("limit", 0), get("account", 0), get("data", bytes(24)),
        ))  # fmt: skip

    def about(self, kind: int, o: Order, quantity: int, /, *, report: bool = True, flags: int = 0, **f: Any) -> None:
        """Append an event about an order."""
        if flags & F_RESTING and o.place == VISIBLE and o.shown() < o.open:
            f.setdefault("displayed", o.shown())
        fields = {
            "instrument": o.instrument, "user_ref": o.user_ref, "side": o.side, "tif": o.tif, "kind": o.kind,
            "ref": o.ref, "price": o.price, "quantity": quantity, "remaining": o.open, "data": o.data,
            "flags": flags | (F_HIDDEN if o.hidden else 0),
        }  # fmt: skip
        self.say(kind, o.session if report else NOBODY, **(fields | f))

    # ---- the book

    def account_of(self, o: Order) -> int:
        """Return the account of an order."""
        return int(self.sessions[o.session][1])

    def risk_state(self, account: int, instrument: int) -> tuple[int, int, int, int]:
        """Return position, open buy and sell quantity and number of open orders of an account in an instrument."""
        mine = [o for o in self.live.values() if o.instrument == instrument and self.account_of(o) == account]
        position = self.accounts[account].position.get(instrument, 0)
        return (position, *(sum(o.open for o in mine if o.side == side) for side in (BUY, SELL)), len(mine))

    def same_account(self, a: Order, b: Order) -> bool:
        """Tell whether two orders are of one account; account 0 is nobody's."""
        return a.session == b.session or (self.account_of(a) > 0 and self.account_of(a) == self.account_of(b))

    def put(self, o: Order, place: int) -> None:
        """Make an order live."""
        o.place = place
        o.slice = min(o.displayed, o.open)
        insort(self.instruments[o.instrument].queue(o), (o.key(), id(o), o))
        self.live[o.session, o.user_ref] = o

    def take(self, o: Order) -> None:
        """Take a live order out of its list."""
        queue = self.instruments[o.instrument].queue(o)
        del queue[bisect_left(queue, (o.key(),))]
        del self.live[o.session, o.user_ref]

    def next_ref(self) -> int:
        """Return a new order_ref."""
        if self.rules == 1:
            return int(self.c["seq"])
        self.ref += 1
        return self.ref

    def walk(self) -> Iterator[Order]:
        """All live orders, as section 8 walks."""
        for instrument in self.instruments:
            for side in (BUY, SELL):
                for hidden in (False, True):
                    yield from (o for _, _, o in instrument.book[side] if o.hidden == hidden)
            for side in (BUY, SELL):
                yield from (o for _, _, o in instrument.stops[side])
            yield from (o for _, _, o in instrument.at_close)

    def cancel(self, o: Order, reason: int) -> None:
        """Cancel all of a live order."""
        flags = F_RESTING if o.place in (VISIBLE, IN_HIDDEN) else 0
        self.take(o)
        quantity, o.open = o.open, 0
        self.about(CANCELED, o, quantity, reason=reason, flags=flags)

    def cancel_all(self, which: Callable[[Order], bool], reason: int) -> None:
        """Cancel those of the walk that fit."""
        for o in [o for o in self.walk() if which(o)]:
            self.cancel(o, reason)

    # ---- matching

    def allowed(self, instrument: Instrument, price: int, last: int) -> bool:
        """Tell whether the bands let something trade at `price`."""
        bands = (
            (instrument.static_band, instrument.reference),
            (instrument.dynamic_band, last or instrument.reference),
        )
        return all(not band or not base or abs(price - base) * POINTS <= band * base for band, base in bands)

    @staticmethod
    def within(o: Order, other: Order) -> bool:
        """Tell whether `o` accepts the price of the resting order `other`."""
        if o.kind == MARKET:
            return True
        return other.price <= o.price if o.side == BUY else other.price >= o.price

    def available(self, o: Order) -> int:
        """Sum what an arriving order could trade at once."""
        instrument, total = self.instruments[o.instrument], 0
        for _, _, other in instrument.book[3 - o.side]:
            if not self.within(o, other) or not self.allowed(instrument, other.price, instrument.last):
                break
            if o.self_trade and self.same_account(o, other):
                break
            total += other.open
        return total

    def slice_gone(self, other: Order) -> None:
        """Show the next slice of an iceberg, at the end of its price."""
        before, other.ref = other.ref, self.next_ref()
        self.put(other, VISIBLE)
        self.about(REFRESHED, other, other.open, report=False, match=before, flags=F_RESTING)

    def reduce(self, other: Order, quantity: int) -> bool:
        """Take `quantity` off a resting order; tell whether it must show another slice."""
        key_before = other.key()
        assert key_before
        if quantity == other.open:
            self.take(other)
        other.open -= quantity
        if other.displayed and other.open:
            other.slice -= quantity
            if other.slice == 0:
                self.take(other)
                return True
        return False

    def trade(self, a: Order, b: Order, quantity: int, price: int) -> None:
        """Book a trade in all sums."""
        self.trades += 1
        self.quantity += quantity
        self.notional += price * quantity
        self.instruments[a.instrument].last = price
        for o in (a, b):
            o.filled += quantity
            account = self.accounts[self.account_of(o)]
            account.position[o.instrument] = account.position.get(o.instrument, 0) + (
                quantity if o.side == BUY else -quantity
            )

    def match(self, o: Order) -> None:
        """Section 4: an order that has arrived in a continuous market."""
        instrument = self.instruments[o.instrument]
        if o.tif == FOK and self.available(o) < o.open:
            return self.drop(o, R_FOK)
        if o.minimum and self.available(o) < o.minimum:
            return self.drop(o, R_MINIMUM)
        queue, last = instrument.book[3 - o.side], instrument.last
        may_not_rest = o.tif in (IOC, FOK) or o.kind == MARKET
        while o.open and queue and self.within(o, queue[0][2]):
            other: Order = queue[0][2]
            if not self.allowed(instrument, other.price, last):
                instrument.phase = PHASE_HALTED if instrument.breach else VOLATILITY
                self.say(PHASE, instrument=o.instrument, phase=instrument.phase, reason=R_BAND)
                if may_not_rest:
                    return self.drop(o, R_BAND)
                break
            if o.self_trade and self.same_account(o, other):
                if not self.self_trade(o, other):
                    return None
                continue
            quantity = min(o.open, other.open if other.hidden else other.shown())
            o.open -= quantity
            self.trade(o, other, quantity, other.price)
            again = self.reduce(other, quantity)
            self.about(
                EXECUTED, other, quantity, match=self.trades, flags=F_RESTING, **({"displayed": 0} if again else {})
            )
            self.about(EXECUTED, o, quantity, price=other.price, match=self.trades, flags=F_INCOMING)
            if again:
                self.slice_gone(other)
        if o.open and may_not_rest:
            return self.drop(o, R_IOC)
        return self.rest(o) if o.open else None

    def drop(self, o: Order, reason: int) -> None:
        """Cancel what is left of an order that is not in the book."""
        quantity, o.open = o.open, 0
        self.about(CANCELED, o, quantity, reason=reason, flags=F_INCOMING)

    def rest(self, o: Order) -> None:
        """Put an order into the book."""
        self.put(o, IN_HIDDEN if o.hidden else VISIBLE)
        self.about(RESTED, o, o.open, report=False, flags=F_RESTING)

    def self_trade(self, o: Order, other: Order) -> bool:
        """An order meets one of its own account; tell whether it goes on matching."""
        if o.self_trade == NEWEST:
            self.drop(o, R_SELF)
            return False
        if o.self_trade in (OLDEST, BOTH):
            self.cancel(other, R_SELF)
            if o.self_trade == BOTH:
                self.drop(o, R_SELF)
            return o.self_trade == OLDEST
        quantity = min(o.open, other.open if other.hidden else other.shown())
        again = self.reduce(other, quantity)
        self.about(CANCELED, other, quantity, reason=R_SELF, flags=F_RESTING, **({"displayed": 0} if again else {}))
        o.open -= quantity
        self.about(CANCELED, o, quantity, reason=R_SELF, flags=F_INCOMING)
        if again:
            self.slice_gone(other)
        return o.open > 0

    def arrive(self, o: Order) -> None:
        """What becomes of an order after Accepted or Replaced."""
        instrument = self.instruments[o.instrument]
        if o.kind in (STOP, STOP_LIMIT):
            self.put(o, IN_STOP)
        elif o.tif == AT_CLOSE and instrument.phase != CLOSING:
            self.put(o, IN_AT_CLOSE)
        elif instrument.phase != CONTINUOUS:
            self.rest(o)
        else:
            self.match(o)
        self.release_stops(o.instrument)

    def release(self, o: Order) -> None:
        """Take a parked order out of its list, under a new number."""
        self.take(o)
        before, o.ref = o.ref, self.next_ref()
        o.kind = {STOP: MARKET, STOP_LIMIT: LIMIT}.get(o.kind, o.kind)
        self.about(RELEASED, o, o.open, report=False, match=before)

    def release_stops(self, index: int) -> None:
        """Section 6."""
        instrument = self.instruments[index]
        while instrument.phase == CONTINUOUS and instrument.last and not self.halted:
            buys, sells = instrument.stops[BUY], instrument.stops[SELL]
            if buys and buys[0][2].stop_price <= instrument.last:
                o = buys[0][2]
            elif sells and sells[0][2].stop_price >= instrument.last:
                o = sells[0][2]
            else:
                return
            self.release(o)
            self.match(o)

    # ---- auctions

    def auction(self, instrument: Instrument) -> tuple[int, int, int]:
        """Return (price, volume, D - S) of an uncross; volume 0: nothing would trade."""
        buys = [o for _, _, o in instrument.book[BUY]]
        sells = [o for _, _, o in instrument.book[SELL]]
        if not buys or not sells:
            return (0, 0, 0)
        if MARKET not in (buys[0].kind, sells[0].kind) and min(o.price for o in sells) > max(o.price for o in buys):
            return (0, 0, 0)
        reference = instrument.reference or instrument.last
        rounded = reference - reference % instrument.tick
        candidates = {o.price for o in buys + sells if o.kind != MARKET} or ({rounded} if rounded else set())
        best: list[tuple[int, int]] = []
        key: tuple[int, int] | None = None
        for price in sorted(candidates):
            d = sum(o.open for o in buys if o.kind == MARKET or o.price >= price)
            s = sum(o.open for o in sells if o.kind == MARKET or o.price <= price)
            if key is None or (-min(d, s), abs(d - s)) < key:
                key, best = (-min(d, s), abs(d - s)), []
            if (-min(d, s), abs(d - s)) == key:
                best.append((price, d - s))
        if key is None:
            return (0, 0, 0)
        low, high = best[0][0], best[-1][0]
        if all(surplus > 0 for _, surplus in best):
            price = high
        elif all(surplus < 0 for _, surplus in best):
            price = low
        else:
            price = max(low, min(high, reference or low))
            price -= price % instrument.tick
        d = sum(o.open for o in buys if o.kind == MARKET or o.price >= price)
        s = sum(o.open for o in sells if o.kind == MARKET or o.price <= price)
        return (price, min(d, s), d - s)

    def uncross(self, instrument: Instrument) -> None:
        """Trade all that can trade at the auction price."""
        price, volume, _ = self.auction(instrument)
        while volume:
            buy: Order = instrument.book[BUY][0][2]
            sell: Order = instrument.book[SELL][0][2]
            quantity = min(buy.open, sell.open)
            volume -= quantity
            self.trade(buy, sell, quantity, price)
            instrument.reference = price
            for o in (buy, sell):
                if quantity == o.open:
                    self.take(o)
                o.open -= quantity
                o.slice = min(o.displayed, o.open)
                self.about(EXECUTED, o, quantity, price=price, match=self.trades, flags=F_RESTING | F_AUCTION)
