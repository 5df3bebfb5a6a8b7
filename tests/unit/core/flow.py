# SPDX-License-Identifier: GPL-3.0-or-later
"""A seeded flow of commands over every order type, phase and limit, aimed by the oracle's own state.

A blind flow would trade rarely and cancel nothing. This one looks at the live orders of the oracle, prices around a
walking middle, and now and then sends what makes no sense at all.
"""

from __future__ import annotations

from random import Random
from typing import Any

from unit.core import oracle_book as o
from unit.core.oracle import Oracle

FIELDS = (
    "seq", "time_ns", "type", "session", "instrument", "user_ref", "user_ref_original", "price", "quantity", "side",
    "time_in_force", "order_type", "reason", "self_trade", "flags", "account", "displayed", "minimum", "client_data",
    "stop_price", "expire_time_ns", "value", "phase", "limit",
)  # fmt: skip
EXTREMES = (0, 1, 2**31, 2**40 - 1, 2**40, 2**62, 2**63 - 1)
SESSIONS, INSTRUMENTS = 6, 3
ACCOUNTS = (0, 1, 1, 2, 3, 0)  # of each session
ENTER, REPLACE, CANCEL, MODIFY = 3, 4, 5, 20


class Flow:
    """Commands for one oracle, of rules 1, 2 or 3; a flow of rules 3 begins with rules 2.

    A plain one has only what rules 1 knew: limit and market orders that meet on the core's path of plain orders, which
    icebergs, bands and the like would keep them from.
    """

    def __init__(self, seed: int, oracle: Oracle, *, rules: int = 3, plain: bool = False) -> None:
        """Begin with the definitions, which come first."""
        self.random = Random(seed)
        self.oracle = oracle
        self.rules = rules
        self.is_rich = rules > 1 and not plain
        self.seq = 0
        self.time_ns = 1_700_000_000_000_000_000
        self.middle = [1000, 1000, 2000]
        self.tick = [1, 5, 10]
        self.following: dict[str, int] | None = None  # the plain order that comes next

    def command(self, kind: int, **fields: Any) -> dict[str, Any]:
        """Return a command with all of its fields."""
        self.seq += 1
        self.time_ns += self.random.choice((0, 1, 1000, 300_000_000))
        c = dict.fromkeys(FIELDS, 0) | {"client_data": b""} | fields
        c |= {"seq": self.seq, "time_ns": self.time_ns, "type": kind}
        c["client_data"] = c["client_data"].ljust(24, b"\0")
        return c

    def definitions(self) -> list[dict[str, Any]]:
        """Rules, accounts, sessions and instruments."""
        new = self.rules > 1
        made = [self.command(9, value=2 if self.is_rich else self.rules)] if new else []
        made += [self.command(10, account=i, client_data=b"ACCOUNT%d" % i) for i in (1, 2, 3)] if new else []
        for i in range(SESSIONS):
            account = ACCOUNTS[i] if new else 0
            made.append(self.command(2, session=i, account=account, client_data=b"USER%d FIRM" % i))
        made += [self.instrument(i) for i in range(INSTRUMENTS)]
        return made

    def symbol(self, index: int) -> int:
        """Return which of the symbols an instrument has: its index changes when it was removed and added again."""
        known = self.oracle.instruments
        return known[index].symbol[3] - ord("0") if index < len(known) else index % INSTRUMENTS

    def instrument(self, index: int, kind: int = 1, symbol: int | None = None) -> dict[str, Any]:
        """Return the definition of an instrument, with other bands each time."""
        symbol = self.symbol(index) if symbol is None else symbol
        bands = [self.random.choice((0, 0, 0, 100, 300, 1000)) for _ in range(2)] if self.is_rich else [0, 0]
        return self.command(
            kind, instrument=index, price=self.tick[symbol], quantity=(1, 1, 10)[symbol] if self.rules > 1 else 0,
            displayed=bands[0], minimum=bands[1], reason=self.random.randrange(2) if self.is_rich else 0,
            stop_price=self.random.choice((0, self.middle[symbol], self.middle[symbol] + 3)) if self.is_rich else 0,
            client_data=b"SYM%d" % symbol if kind == 1 else b"",
        )  # fmt: skip

    def terms(self, instrument: int, side: int) -> dict[str, Any]:
        """Return price, quantity and attributes of an order."""
        r = self.random
        symbol = self.symbol(instrument)
        tick = self.tick[symbol]
        away = r.choice((-3, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8)) * (1 if side == o.SELL else -1)
        middle = self.middle[symbol]
        price = (middle // tick + away) * tick
        lot = 10 if symbol == 2 and self.rules > 1 else 1
        quantity = r.randrange(1, 60) * lot
        f: dict[str, Any] = {"price": price, "quantity": quantity, "order_type": o.LIMIT}
        if r.random() < 0.06:
            f |= {"order_type": o.MARKET, "time_in_force": r.choice((o.DAY, o.IOC))}
        elif r.random() < 0.1:
            f["time_in_force"] = o.IOC
        if self.is_rich:
            f |= self.new_terms(f, middle, tick, lot)
        if r.random() < 0.03:
            name = r.choice([*f, "order_type", "time_in_force", "price", "quantity"])
            f[name] = r.choice(EXTREMES) if name in ("price", "quantity", "stop_price") else r.randrange(10)
        if r.random() < 0.02:
            f["price"] = min(f["price"] + r.choice((-1, 1)), 2**63 - 1)
        if side == o.SELL and r.random() < 0.005:  # a notional of 2^64, which 64 bits take for 0
            f |= {"price": 2**62, "quantity": 4}
        return f

    def new_terms(self, f: dict[str, Any], middle: int, tick: int, lot: int) -> dict[str, Any]:
        """What rules 2 know beyond a plain order."""
        r = self.random
        g: dict[str, Any] = {"self_trade": r.choice((0, 0, 0, 1, 2, 3, 4))}
        draw = r.random()
        if draw < 0.10:
            g["displayed"] = max(1, f["quantity"] // lot // r.choice((2, 3, 5))) * lot
            if r.random() < 0.1:  # about as many slices as there may be
                g |= {"displayed": lot, "quantity": r.randrange(62, 68) * lot}
        elif draw < 0.17:
            g["flags"] = o.HIDDEN
        elif draw < 0.22:
            g["flags"] = o.POST_ONLY
        elif draw < 0.27:
            g["minimum"] = r.randrange(1, f["quantity"] // lot + 1) * lot
        elif draw < 0.36:
            stop = (middle // tick + r.choice((-4, -2, -1, 0, 1, 2, 4))) * tick
            g |= {"order_type": r.choice((o.STOP, o.STOP_LIMIT)), "stop_price": stop, "time_in_force": o.DAY}
        if draw > 0.4:
            g["time_in_force"] = r.choice((o.DAY, o.DAY, o.GTC, o.GTC, o.AT_OPEN, o.IOC, o.FOK, o.GTD, o.AT_CLOSE))
        elif draw < 0.22 and r.random() < 0.7:
            g["time_in_force"] = r.choice((o.DAY, o.GTC, o.GTD))
        if g.get("time_in_force") == o.GTD:
            g["expire_time_ns"] = self.time_ns + r.choice((0, 10**9, 5 * 10**10, 10**12))
        return g

    def next(self) -> dict[str, Any]:  # noqa: PLR0911
        """Return the next command."""
        if self.following is not None:
            order, self.following = self.following, None
            return self.plain(**order)
        r = self.random
        draw = r.random()
        if r.random() < 0.05:
            i = r.randrange(INSTRUMENTS)
            self.middle[i] = max(500, min(2500, self.middle[i] + r.choice((-5, 5)) * self.tick[i]))
        if self.is_rich:
            if self.oracle.rules < self.rules and r.random() < 0.005:
                return self.command(9, value=self.rules)
            if draw > 0.955:
                return self.administration(r.random())
            aimed = self.heal() if draw < 0.2 else self.at_a_limit() if draw < 0.27 else None
            if aimed is not None:
                return aimed
        if draw > 0.95:
            return self.command(6 if r.random() < 0.05 else 7)
        live = list(self.oracle.live.values()) if draw > 0.62 else []
        if live and draw > 0.80:
            return (self.modify if self.rules > 2 and r.random() < 0.3 else self.cancel)(r.choice(live))
        session = r.randrange(SESSIONS) if r.random() < 0.99 else 77
        last = self.oracle.sessions[session][2] if session < SESSIONS else 0
        common = {
            "session": session, "user_ref": last + r.choice((1, 1, 1, 1, 1, 1, 2, 0)),
            "reason": r.choice((0,) * 60 + (26,)), "client_data": bytes([r.randrange(3)]) * r.randrange(24),
        }  # fmt: skip
        if live:
            return self.replace(r.choice(live), common)
        instrument = self.some_instrument() if r.random() < 0.99 else r.randrange(len(self.oracle.instruments) + 1)
        side = r.choice((o.BUY, o.SELL)) if r.random() < 0.995 else 3
        return self.command(ENTER, instrument=instrument, side=side, **common, **self.terms(instrument, side))

    def at_a_limit(self) -> dict[str, Any] | None:
        """Return a plain order that just keeps one of its account's limits, or just exceeds it; None where none is set.

        The core judges plain orders by comparisons of their own: one that lets too much through shows nowhere else.
        """
        r = self.random
        session, index, side = r.choice((1, 2, 3, 4)), self.some_instrument(), r.choice((o.BUY, o.SELL))
        number, instrument = ACCOUNTS[session], self.oracle.instruments[index]
        account = self.oracle.accounts[number]
        limits = account.limits | {limit: value for (where, limit), value in account.own.items() if where == index}
        limits.pop(o.SHORT if side == o.BUY else o.LONG, None)
        tight = [limit for limit, value in limits.items() if value < o.POSITION_MAX]
        if not tight or instrument.phase != o.CONTINUOUS:
            return None
        which, beyond = r.choice(tight), r.randrange(2)
        sign, tick, lot = (1 if side == o.BUY else -1), instrument.tick, instrument.lot
        price, quantity = (self.middle[self.symbol(index)] // tick - sign * r.randrange(1, 6)) * tick, lot
        position, *opened, _ = self.oracle.risk_state(number, index)
        base = instrument.last or instrument.reference
        opposite = instrument.book[3 - side]
        if which == o.RATE:  # the next order is the last one that the limit lets through, or the first one beyond it
            self.following = {"session": session, "instrument": index, "side": side, "price": price, "quantity": lot}
            value = account.messages + 1 - beyond
            return self.command(17, account=number, limit=o.RATE, instrument=o.ANY_INSTRUMENT, value=value)
        if which == o.COLLAR and base and opposite and (away := sign * (opposite[0][2].price - base) - tick) > 0:
            # As near to the other side as it gets: what trades is no plain order where icebergs or bands are about.
            price = base + sign * away
            self.following = {"session": session, "instrument": index, "side": side, "price": price, "quantity": lot}
            value = min(-(-away * o.POINTS // base) - beyond, o.UNLIMITED)
            return self.command(17, account=number, limit=o.COLLAR, instrument=index, value=value)
        if which == o.ORDER_QUANTITY:
            quantity = (limits[which] // lot + beyond) * lot
        elif which == o.NOTIONAL:
            quantity = (limits[which] // (price * lot) + beyond) * lot
        elif which in (o.LONG, o.SHORT):
            quantity = ((limits[which] - sign * position - opened[side - 1]) // lot + beyond) * lot
        elif which == o.COLLAR:
            reach = base * limits[which] // o.POINTS
            at = (base + reach) // tick + beyond if side == o.BUY else -((reach - base) // tick) - beyond
            price = min(max(at, 1), (2**63 - 1) // tick) * tick
        return self.plain(session, instrument=index, side=side, price=price, quantity=max(quantity, lot))

    def plain(self, session: int, **fields: int) -> dict[str, Any]:
        """Return an order without attributes, the next one of its session."""
        last = self.oracle.sessions[session][2]
        return self.command(ENTER, session=session, user_ref=last + 1, order_type=o.LIMIT, **fields)

    def some_instrument(self) -> int:
        """Return an instrument that was not removed."""
        return self.random.choice([i for i, known in enumerate(self.oracle.instruments) if not known.removed])

    def cancel(self, order: o.Order) -> dict[str, Any]:
        """Cancel an order, all of it or a part; sometimes somebody else tries."""
        r = self.random
        quantity = r.choice((0, 0, order.filled + r.randrange(order.open + 2)))
        session = order.session if r.random() < 0.97 else r.randrange(SESSIONS + 1)
        return self.command(CANCEL, session=session, user_ref=order.user_ref, quantity=quantity)

    def modify(self, order: o.Order) -> dict[str, Any]:
        """Mark an order, take a part of it off, or both; sometimes of the other side, larger, or somebody else's."""
        r = self.random
        lot = 1 if r.random() < 0.03 else self.oracle.instruments[order.instrument].lot
        left = r.choice((order.open, order.open, r.randrange(order.open // lot + 3) * lot))
        return self.command(
            MODIFY, session=order.session if r.random() < 0.97 else r.randrange(SESSIONS + 1),
            user_ref=order.user_ref, side=order.side if r.random() < 0.95 else r.randrange(4),
            quantity=order.filled + left if r.random() < 0.9 else r.choice((order.filled, *EXTREMES)),
            client_data=bytes([r.randrange(2)]) * r.choice((0, 0, 9, 14)) + r.choice((b"", b"S", b"T", b"E")),
        )  # fmt: skip

    def replace(self, order: o.Order, common: dict[str, Any]) -> dict[str, Any]:
        """Replace an order by anything, or by nearly the same."""
        r = self.random
        common |= {"session": order.session, "user_ref": self.oracle.sessions[order.session][2] + 1}
        terms = self.terms(order.instrument, order.side)
        if r.random() < 0.4:
            terms |= {"price": order.price, "displayed": order.displayed, "flags": o.HIDDEN * order.hidden}
            terms |= {"order_type": order.kind, "time_in_force": order.tif, "minimum": 0}
            terms |= {"stop_price": order.stop_price, "expire_time_ns": order.expires}
        terms["quantity"] = min(terms["quantity"] + order.filled, 2**64 - 1)
        original = order.user_ref if r.random() < 0.99 else 0
        return self.command(REPLACE, user_ref_original=original, **common, **terms)

    def heal(self) -> dict[str, Any] | None:
        """Open again what is closed, so that most of the flow trades."""
        r = self.random
        if self.oracle.halted:
            return self.command(7)
        live = {self.symbol(i) for i, known in enumerate(self.oracle.instruments) if not known.removed}
        for symbol in set(range(INSTRUMENTS)) - live:
            return self.instrument(len(self.oracle.instruments), symbol=symbol)
        for number, account in enumerate(self.oracle.accounts):
            if account.killed and r.random() < 0.3:
                return self.command(18, account=number)
            tight = {(o.ANY_INSTRUMENT, limit): value for limit, value in account.limits.items()} | account.own
            tight = {where: value for where, value in tight.items() if value < o.POSITION_MAX}
            if tight and r.random() < 0.008 * len(tight):
                where, limit = r.choice(list(tight))
                return self.command(17, account=number, limit=limit, instrument=where, value=o.UNLIMITED)
        for index, instrument in enumerate(self.oracle.instruments):
            if not instrument.removed and instrument.phase != o.CONTINUOUS and r.random() < 0.15:
                return self.command(13, instrument=index, phase=r.choice((0, 0, 0, 3, 6)))
        return None

    def administration(self, draw: float) -> dict[str, Any]:  # noqa: PLR0911
        """Phases, limits, mass cancels and the like."""
        r = self.random
        instrument = self.some_instrument()
        if draw < 0.42:
            phase = r.choice((0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6, 9))
            return self.command(13, instrument=instrument, phase=phase)
        if draw < 0.50:
            return self.command(14, instrument=instrument)
        if draw < 0.72:
            limit = r.randrange(9)
            values = {
                1: (2, 5),
                2: (30, 500),
                3: (50, 500),
                4: (30_000, 600_000),
                5: (100, 900),
                6: (100, 900),
                7: (2, 20),
            }
            value = r.choice((*values.get(limit, (0, 1)), *values.get(limit, (0, 1)), o.UNLIMITED))
            where = r.choice((instrument, o.ANY_INSTRUMENT))
            return self.command(17, account=r.randrange(5), limit=limit, instrument=where, value=value)
        if draw < 0.75:
            return self.command(18, account=r.randrange(5), value=r.choice((0, 0, 1)))
        if draw < 0.78:
            return self.command(
                15, session=r.choice((o.NOBODY, *range(SESSIONS), 60)),
                account=r.choice((o.ANY_ACCOUNT, 0, 1, 2, 3, 9)),
                instrument=r.choice((o.ANY_INSTRUMENT, instrument)), side=r.randrange(4),
            )  # fmt: skip
        if draw < 0.92:
            return self.command(16)
        if draw < 0.97:
            return self.instrument(instrument, kind=11)
        if draw < 0.98:
            return self.command(12, instrument=instrument)
        return self.command(r.choice((0, 19, 9, 200)), value=r.choice((0, 1, self.rules, 9)))
