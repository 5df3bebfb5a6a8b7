# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the matcher once more, in plain Python, written from docs/engine.md and not from the C.

A book is a list of orders in order of arrival; the best counterparty is found by looking at all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

BUY, SELL = 1, 2
DAY, IOC = 0, 3
LIMIT, MARKET = 1, 2
QUANTITY_MAX = 2**40 - 1
RESTING, INCOMING, PRIORITY_KEPT = 1, 2, 4


@dataclass
class Order:
    """A live order, or one on its way into the book."""

    session: int
    user_ref: int
    instrument: int
    side: int
    price: int
    open: int
    filled: int
    order_ref: int
    order_type: int
    time_in_force: int


@dataclass(frozen=True)
class Said:
    """What an event is compared by."""

    type: str
    session: int | None
    user_ref: int
    quantity: int
    remaining: int
    price: int
    order_ref: int
    match_ref: int = 0
    reason: int = 0
    flags: int = 0


@dataclass
class Oracle:
    """One shard: `ticks` of its instruments, how many sessions it has and room for how many orders."""

    ticks: list[int]
    sessions: int
    capacity: int
    book: list[Order] = field(default_factory=list)
    last_user_ref: dict[int, int] = field(default_factory=dict)
    halted: bool = False
    ended: bool = False
    trades: int = 0
    quantity: int = 0
    notional: int = 0

    def apply(self, seq: int, kind: str, **c: int) -> list[Said]:
        """Apply one command; `kind` is the name of its type, `c` its fields."""
        if self.ended:
            return []
        if kind in ("ENTER", "REPLACE"):
            if c["session"] >= self.sessions or c["user_ref"] <= self.last_user_ref.get(c["session"], 0):
                return []
            self.last_user_ref[c["session"]] = c["user_ref"]
            return self._enter(seq, c) if kind == "ENTER" else self._replace(seq, c)
        if kind == "CANCEL":
            return self._cancel(c)
        return self._change_state(kind)

    def _change_state(self, kind: str) -> list[Said]:
        if kind == "END_OF_DAY":
            self.ended = True
            return [Said("END_OF_DAY", session, 0, 0, 0, 0, 0) for session in range(self.sessions)]
        halted = kind == "HALT"
        if halted == self.halted:
            return []
        self.halted = halted
        return [Said("TRADING_STATE", None, 0, 0, 0, 0, 0, reason=16 if halted else 0)]

    def _find(self, session: int, user_ref: int) -> Order | None:
        return next((o for o in self.book if (o.session, o.user_ref) == (session, user_ref)), None)

    def _terms(self, c: dict[str, int], instrument: int, filled: int) -> int:
        if c["order_type"] not in (LIMIT, MARKET):
            return 21
        if c["time_in_force"] not in (DAY, IOC):
            return 22
        if not filled < c["quantity"] <= QUANTITY_MAX:
            return 19
        if c["order_type"] == LIMIT and (c["price"] <= 0 or c["price"] % self.ticks[instrument]):
            return 18
        return 0

    def _rejected(self, c: dict[str, int], reason: int) -> list[Said]:
        return [Said("REJECTED", c["session"], c["user_ref"], c["quantity"], 0, c["price"], 0, reason=reason)]

    def _enter(self, seq: int, c: dict[str, int]) -> list[Said]:
        reason = 16 if self.halted else 0
        if not reason and c["instrument"] >= len(self.ticks):
            reason = 17
        if not reason and c["side"] not in (BUY, SELL):
            reason = 20
        if not reason:
            reason = self._terms(c, c["instrument"], 0)
        rests = c["order_type"] == LIMIT and c["time_in_force"] == DAY
        if not reason and rests and len(self.book) == self.capacity:
            reason = 24
        if reason:
            return self._rejected(c, reason)
        order = Order(
            c["session"], c["user_ref"], c["instrument"], c["side"], c["price"], c["quantity"], 0, seq,
            c["order_type"], c["time_in_force"],
        )  # fmt: skip
        return [self._about(order, "ACCEPTED", order.open, flags=INCOMING), *self._work(order)]

    def _replace(self, seq: int, c: dict[str, int]) -> list[Said]:
        old = self._find(c["session"], c["user_ref_original"])
        reason = 16 if self.halted else 23 if old is None else self._terms(c, old.instrument, old.filled)
        if reason or old is None:
            return self._rejected(c, reason)
        new = replace(
            old, user_ref=c["user_ref"], price=c["price"], open=c["quantity"] - old.filled,
            order_type=c["order_type"], time_in_force=c["time_in_force"],
        )  # fmt: skip
        if new.order_type == LIMIT and new.time_in_force == DAY and new.price == old.price and new.open <= old.open:
            self.book[self.book.index(old)] = new
            return [self._about(new, "REPLACED", new.open, match_ref=old.order_ref, flags=RESTING | PRIORITY_KEPT)]
        self.book.remove(old)
        new.order_ref = seq
        return [self._about(new, "REPLACED", new.open, match_ref=old.order_ref, flags=RESTING), *self._work(new)]

    def _cancel(self, c: dict[str, int]) -> list[Said]:
        order = self._find(c["session"], c["user_ref"])
        if order is None or c["quantity"] >= order.filled + order.open:
            return []
        left = max(0, c["quantity"] - order.filled)
        taken, order.open = order.open - left, left
        if left == 0:
            self.book.remove(order)
        return [self._about(order, "CANCELED", taken, reason=1, flags=RESTING)]

    def _work(self, order: Order) -> list[Said]:
        said = []
        while order.open:
            others = [o for o in self.book if o.instrument == order.instrument and o.side != order.side]
            if order.order_type == LIMIT:
                others = [
                    o for o in others if (o.price <= order.price if order.side == BUY else o.price >= order.price)
                ]
            if not others:
                break
            maker = min(others, key=lambda o: (o.price if order.side == BUY else -o.price, o.order_ref))
            quantity = min(maker.open, order.open)
            for party in (maker, order):
                party.open -= quantity
                party.filled += quantity
            self.trades += 1
            self.quantity += quantity
            self.notional += quantity * maker.price
            if maker.open == 0:
                self.book.remove(maker)
            said.append(self._about(maker, "EXECUTED", quantity, match_ref=self.trades, flags=RESTING))
            fill = self._about(order, "EXECUTED", quantity, match_ref=self.trades, flags=INCOMING)
            said.append(replace(fill, price=maker.price))
        if order.open == 0:
            return said
        if order.order_type == MARKET or order.time_in_force == IOC:
            left, order.open = order.open, 0
            return [*said, self._about(order, "CANCELED", left, reason=2, flags=INCOMING)]
        self.book.append(order)
        return [*said, replace(self._about(order, "RESTED", order.open, flags=RESTING), session=None)]

    @staticmethod
    def _about(order: Order, kind: str, quantity: int, **more: int) -> Said:
        return Said(kind, order.session, order.user_ref, quantity, order.open, order.price, order.order_ref, **more)
