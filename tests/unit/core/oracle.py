# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of docs/matching.md once more, in plain Python: written from that page and not from the C.

`Oracle.apply` takes one command (the fields of `struct ib_command`) and returns its events as tuples in the order of
the fields of `struct ib_event`. What the oracle does not know: how many risk rows the core has room for.
"""

from __future__ import annotations

from typing import Any

from unit.core.oracle_book import (
    ACCEPTED,
    ANY_ACCOUNT,
    ANY_INSTRUMENT,
    AT_CLOSE,
    AT_OPEN,
    BAD_FLAGS,
    BAD_PHASE,
    BAD_PRICE,
    BAD_QUANTITY,
    BAD_SIDE,
    BAD_TIF,
    BAD_TYPE,
    BUY,
    CANCELED,
    CLOSED,
    CLOSING,
    COLLAR,
    CONTINUOUS,
    DAY,
    DECREMENT,
    END_OF_DAY,
    F_INCOMING,
    F_KEPT,
    F_RESTING,
    FOK,
    FULL,
    GTC,
    GTD,
    HALTED,
    HIDDEN,
    IN_AT_CLOSE,
    IN_HIDDEN,
    INDICATIVE,
    INSTRUMENT,
    IOC,
    KILL,
    KILLED,
    LIMIT,
    LONG,
    MARKET,
    MODIFIED,
    NEW_FIELDS,
    NO_INSTRUMENT,
    NO_ORDER,
    NOBODY,
    NOTIONAL,
    OPEN_ORDERS,
    OPENING,
    ORDER_QUANTITY,
    PHASE,
    PHASE_HALTED,
    POINTS,
    POSITION_MAX,
    POST_ONLY,
    PRE_OPEN,
    QUANTITY_MAX,
    R_AUCTION,
    R_COLLAR,
    R_DAY,
    R_EXPIRED,
    R_MASS,
    R_NOTIONAL,
    R_ORDERS,
    R_POSITION,
    R_QUANTITY,
    R_RATE,
    R_REMOVED,
    RATE,
    REJECTED,
    REPLACED,
    RISK,
    SECOND,
    SELL,
    SHORT,
    SLICES_MAX,
    STOP,
    STOP_LIMIT,
    TRADING_STATE,
    UNLIMITED,
    USER,
    VISIBLE,
    WOULD_TRADE,
    Account,
    Book,
    Event,
    Instrument,
    Order,
)


class Oracle(Book):
    """One shard with room for `capacity` live orders: every command of it."""

    # ---- commands

    def apply(self, c: dict[str, Any]) -> list[Event]:
        """Apply one command, all of its fields given; return its events."""
        self.events, self.c = [], c
        if not self.ended:
            if self.rules == 1:
                c = self.c = c | dict.fromkeys(NEW_FIELDS, 0)
            handler = self.HANDLERS.get(c["type"])
            if handler and self.rules >= (3 if c["type"] == 20 else 2 if c["type"] > 9 else 1):
                handler(self, c)
        return self.events

    def known(self, index: int) -> Instrument | None:
        """Return an instrument that exists and was not removed."""
        if index < len(self.instruments) and not self.instruments[index].removed:
            return self.instruments[index]
        return None

    def on_rules(self, c: dict[str, Any]) -> None:
        if self.rules < c["value"] <= 3:
            self.ref = c["seq"] if self.rules == 1 else self.ref
            self.rules = c["value"]

    def on_instrument(self, c: dict[str, Any]) -> None:
        # struct ib_instrument_command lies in the fields of struct ib_command
        symbol, new = c["client_data"][:8], c["type"] == 1
        read: dict[str, Any] = {
            "tick": c["price"], "lot": c["quantity"] or 1, "static_band": c["displayed"], "dynamic_band": c["minimum"],
            "breach": c["reason"], "phase": c["order_type"], "reference": c["stop_price"],
        }  # fmt: skip
        if self.rules == 1:
            read |= {"lot": 1, "static_band": 0, "dynamic_band": 0, "breach": 0, "phase": 0, "reference": 0}
        if read["tick"] < 1 or max(read["static_band"], read["dynamic_band"]) > POINTS or read["breach"] > 1:
            return
        if read["phase"] > CLOSING or read["reference"] < 0:
            return
        if new:
            taken = any(i.symbol == symbol and not i.removed for i in self.instruments)
            if c["instrument"] != len(self.instruments) or taken:
                return
            self.instruments.append(Instrument(symbol, **read))
        else:
            instrument = self.known(c["instrument"])
            if instrument is None:
                return
            alive = any(o.instrument == c["instrument"] for o in self.live.values())
            if alive and (read["tick"], read["lot"]) != (instrument.tick, instrument.lot):
                return
            del read["phase"]
            for name, value in read.items():
                setattr(instrument, name, value)
        if self.rules > 1:
            self.say(INSTRUMENT, instrument=c["instrument"])

    def on_remove(self, c: dict[str, Any]) -> None:
        instrument = self.known(c["instrument"])
        if instrument is not None:
            self.cancel_all(lambda o: o.instrument == c["instrument"], R_REMOVED)
            instrument.removed = True
            self.say(INSTRUMENT, instrument=c["instrument"], reason=R_REMOVED)

    def on_account(self, c: dict[str, Any]) -> None:
        if c["account"] == len(self.accounts):
            self.accounts.append(Account())

    def on_session(self, c: dict[str, Any]) -> None:
        username = c["client_data"][:6]
        taken = any(session[0] == username for session in self.sessions)
        if c["session"] == len(self.sessions) and not taken and c["account"] < len(self.accounts):
            self.sessions.append([username, c["account"], 0, 0])

    def on_state(self, c: dict[str, Any]) -> None:
        halted = c["type"] == 6
        if halted != self.halted:
            self.halted = halted
            self.say(TRADING_STATE, reason=HALTED if halted else 0)
            for index in range(0 if halted else len(self.instruments)):
                self.release_stops(index)

    def on_end(self, _: dict[str, Any]) -> None:
        self.ended = True
        for session in range(len(self.sessions)):
            self.say(END_OF_DAY, session)

    def on_phase(self, c: dict[str, Any]) -> None:
        instrument, phase = self.known(c["instrument"]), c["phase"]
        if instrument is None or phase > CLOSING or phase == instrument.phase:
            return
        instrument.phase = phase
        self.say(PHASE, instrument=c["instrument"], phase=phase)

        def here(o: Order) -> bool:
            return o.instrument == c["instrument"]

        if phase in (CONTINUOUS, CLOSED):
            self.uncross(instrument)
            self.cancel_all(
                lambda o: (
                    here(o) and o.place in (VISIBLE, IN_HIDDEN) and (o.kind == MARKET or o.tif in (AT_OPEN, AT_CLOSE))
                ),
                R_AUCTION,
            )
        if phase == CLOSED:
            self.cancel_all(lambda o: here(o) and (o.tif == DAY or o.place == IN_AT_CLOSE), R_DAY)
        if phase == CLOSING:
            for _, _, o in list(instrument.at_close):
                self.release(o)
                self.rest(o)
        if phase == CONTINUOUS:
            self.release_stops(c["instrument"])

    def on_indicate(self, c: dict[str, Any]) -> None:
        instrument = self.known(c["instrument"])
        if instrument is not None and instrument.phase not in (CONTINUOUS, CLOSED):
            price, volume, surplus = self.auction(instrument)
            if not volume:
                price = surplus = 0
            side = BUY if surplus > 0 else SELL if surplus < 0 else 0
            self.say(
                INDICATIVE, instrument=c["instrument"], price=price, quantity=volume, remaining=abs(surplus), side=side
            )

    def on_mass_cancel(self, c: dict[str, Any]) -> None:
        session, account, instrument, side = c["session"], c["account"], c["instrument"], c["side"]
        if session not in (NOBODY, *range(len(self.sessions))) or side > SELL:
            return
        if account != ANY_ACCOUNT and account >= len(self.accounts):
            return
        if instrument != ANY_INSTRUMENT and self.known(instrument) is None:
            return
        self.cancel_all(
            lambda o: (
                session in (NOBODY, o.session)
                and account in (ANY_ACCOUNT, self.account_of(o))
                and instrument in (ANY_INSTRUMENT, o.instrument)
                and side in (0, o.side)
            ),
            R_MASS,
        )

    def on_expire(self, c: dict[str, Any]) -> None:
        due = [o for o in self.live.values() if o.tif == GTD and o.expires <= c["time_ns"]]
        for o in sorted(due, key=lambda o: (o.expires, o.ref)):
            self.cancel(o, R_EXPIRED)

    def on_risk_limit(self, c: dict[str, Any]) -> None:
        number, limit, instrument = c["account"], c["limit"], c["instrument"]
        if not 0 < number < len(self.accounts) or not RATE <= limit <= OPEN_ORDERS:
            return
        if instrument == ANY_INSTRUMENT:
            self.accounts[number].limits[limit] = c["value"]
        elif limit == RATE or self.known(instrument) is None:
            return
        else:
            self.accounts[number].own[instrument, limit] = c["value"]
        self.say(RISK, account=number, instrument=instrument, limit=limit, quantity=c["value"])

    def on_kill(self, c: dict[str, Any]) -> None:
        number, killed = c["account"], c["value"] != 0
        if not 0 < number < len(self.accounts) or self.accounts[number].killed == killed:
            return
        self.accounts[number].killed = killed
        self.say(RISK, account=number, instrument=ANY_INSTRUMENT, limit=KILL, quantity=int(killed))
        if killed:
            self.cancel_all(lambda o: self.account_of(o) == number, KILLED)

    # ---- ENTER, REPLACE, CANCEL

    def terms(self, c: dict[str, Any], instrument: Instrument, filled: int) -> int:  # noqa: C901, PLR0911, PLR0912
        """Rules 5 to 10 of section 3."""
        kind, tif, flags = c["order_type"], c["time_in_force"], c["flags"]
        stop, q = kind in (STOP, STOP_LIMIT), c["quantity"] - filled
        if kind not in ((LIMIT, MARKET) if self.rules == 1 else (LIMIT, MARKET, STOP, STOP_LIMIT)):
            return BAD_TYPE
        if tif not in ((DAY, IOC) if self.rules == 1 else (DAY, GTC, AT_OPEN, IOC, FOK, GTD, AT_CLOSE)):
            return BAD_TIF
        if (kind == MARKET and tif in (GTC, GTD)) or (stop and tif not in (DAY, GTC, GTD)):
            return BAD_TIF
        if tif == GTD and c["expire_time_ns"] <= c["time_ns"]:
            return BAD_TIF
        if flags & ~(HIDDEN | POST_ONLY) or c["self_trade"] > DECREMENT:
            return BAD_FLAGS
        if flags & POST_ONLY and (kind != LIMIT or tif not in (DAY, GTC, GTD) or c["minimum"]):
            return BAD_FLAGS
        if (flags & HIDDEN or c["displayed"]) and kind in (MARKET, STOP):
            return BAD_FLAGS
        if flags & HIDDEN and c["displayed"]:
            return BAD_FLAGS
        if c["minimum"] and (stop or tif in (AT_OPEN, AT_CLOSE)):
            return BAD_FLAGS
        if q <= 0 or c["quantity"] > QUANTITY_MAX or q % instrument.lot:
            return BAD_QUANTITY
        for part in (c["displayed"], c["minimum"]):
            if part > q or part % instrument.lot:
                return BAD_QUANTITY
        if c["displayed"] and c["displayed"] * SLICES_MAX < q:
            return BAD_QUANTITY
        prices = [c["price"]] if kind in (LIMIT, STOP_LIMIT) else []
        if any(price < 1 or price % instrument.tick for price in prices + ([c["stop_price"]] if stop else [])):
            return BAD_PRICE
        return self.phase_refuses(c, instrument.phase)

    @staticmethod
    def phase_refuses(c: dict[str, Any], phase: int) -> int:
        """Rule 10."""
        if phase == PHASE_HALTED:
            return HALTED
        if phase == CLOSED:
            return BAD_PHASE
        at_once = c["time_in_force"] in (IOC, FOK) or c["flags"] & POST_ONLY or c["minimum"]
        if phase != CONTINUOUS and at_once:
            return BAD_PHASE
        if c["time_in_force"] == AT_OPEN and phase not in (PRE_OPEN, OPENING):
            return BAD_PHASE
        return 0

    def risk(self, c: dict[str, Any], side: int, index: int, q: int, old: Order | None) -> int:  # noqa: PLR0911
        """Section 7."""
        number = self.sessions[c["session"]][1]
        if number == 0:
            return 0
        account, instrument = self.accounts[number], self.instruments[index]

        def limit(which: int) -> int:
            value = account.own.get((index, which), account.limits.get(which, UNLIMITED))
            return min(value, POSITION_MAX) if which in (LONG, SHORT) else value

        kind, base = c["order_type"], instrument.last or instrument.reference
        price = {MARKET: base, STOP: c["stop_price"]}.get(kind, c["price"])
        away = price - base if side == BUY else base - price
        mine = [
            o for o in self.live.values() if o.instrument == index and self.account_of(o) == number and o is not old
        ]
        open_side = sum(o.open for o in mine if o.side == side)
        position = account.position.get(index, 0)
        if account.killed:
            return KILLED
        if account.messages > account.limits.get(RATE, UNLIMITED):
            return R_RATE
        if q > limit(ORDER_QUANTITY):
            return R_QUANTITY
        collar = limit(COLLAR)
        if kind in (LIMIT, STOP_LIMIT) and base and collar != UNLIMITED and away * POINTS > collar * base:
            return R_COLLAR
        if limit(NOTIONAL) != UNLIMITED and price * q > limit(NOTIONAL):
            return R_NOTIONAL
        if (position if side == BUY else -position) + open_side + q > limit(LONG if side == BUY else SHORT):
            return R_POSITION
        if old is None and limit(OPEN_ORDERS) != UNLIMITED and len(mine) + 1 > limit(OPEN_ORDERS):
            return R_ORDERS
        return 0

    def is_new(self, c: dict[str, Any]) -> bool:
        """Apply the number rule, and count the message."""
        if c["session"] >= len(self.sessions) or c["user_ref"] <= self.sessions[c["session"]][2]:
            return False
        self.sessions[c["session"]][2] = c["user_ref"]
        account = self.accounts[self.sessions[c["session"]][1]]
        if account.second != c["time_ns"] // SECOND:
            account.second, account.messages = c["time_ns"] // SECOND, 0
        account.messages += 1
        return True

    def reject(self, c: dict[str, Any], reason: int) -> None:
        self.rejects += 1
        self.say(
            REJECTED, c["session"], instrument=c["instrument"], user_ref=c["user_ref"], side=c["side"], reason=reason,
            user_ref_original=c["user_ref_original"], tif=c["time_in_force"], kind=c["order_type"], price=c["price"],
            quantity=c["quantity"], data=c["client_data"],
        )  # fmt: skip

    def order_of(self, c: dict[str, Any], index: int, side: int) -> Order:
        """Build the order that a command describes; it has no number yet."""
        no_price = self.rules > 1 and c["order_type"] in (MARKET, STOP)
        return Order(
            c["session"], c["user_ref"], index, side, 0 if no_price else c["price"], c["quantity"], 0, 0,
            c["order_type"], c["time_in_force"], bool(c["flags"] & HIDDEN), c["self_trade"],
            c["displayed"], c["minimum"], c["stop_price"], c["expire_time_ns"], c["client_data"],
        )  # fmt: skip

    def would_trade(self, c: dict[str, Any], o: Order) -> bool:
        """Rule 13."""
        instrument = self.instruments[o.instrument]
        queue = instrument.book[3 - o.side]
        post_only = c["flags"] & POST_ONLY and instrument.phase == CONTINUOUS
        return bool(post_only and queue and self.within(o, queue[0][2]))

    def on_enter(self, c: dict[str, Any]) -> None:
        if not self.is_new(c):
            return
        instrument = self.known(c["instrument"])
        reason = c["reason"] or (HALTED if self.halted else 0)
        reason = reason or (NO_INSTRUMENT if instrument is None else 0)
        reason = reason or (BAD_SIDE if c["side"] not in (BUY, SELL) else 0)
        if not reason and instrument is not None:
            market_now = c["order_type"] == MARKET and c["time_in_force"] == DAY and instrument.phase == CONTINUOUS
            may_stay = c["time_in_force"] not in (IOC, FOK) and not market_now
            reason = self.terms(c, instrument, 0) or self.risk(c, c["side"], c["instrument"], c["quantity"], None)
            reason = reason or (FULL if may_stay and len(self.live) == self.capacity else 0)
            o = self.order_of(c, c["instrument"], c["side"])
            reason = reason or (WOULD_TRADE if self.would_trade(c, o) else 0)
        if reason:
            self.reject(c, reason)
            return
        o.ref = self.next_ref()
        self.about(ACCEPTED, o, o.open, flags=F_INCOMING)
        self.arrive(o)

    def on_replace(self, c: dict[str, Any]) -> None:
        if not self.is_new(c):
            return
        old = self.live.get((c["session"], c["user_ref_original"]))
        reason = c["reason"] or (HALTED if self.halted else 0) or (NO_ORDER if old is None else 0)
        if reason or old is None:
            self.reject(c, reason)
            return
        instrument = self.instruments[old.instrument]
        q = c["quantity"] - old.filled
        reason = self.terms(c, instrument, old.filled) or self.risk(c, old.side, old.instrument, q, old)
        o = self.order_of(c, old.instrument, old.side)
        reason = reason or (WOULD_TRADE if self.would_trade(c, o) else 0)
        if reason:
            self.reject(c, reason)
            return
        o.open, o.filled, o.ref = q, old.filled, old.ref
        o.data = bytes(new or before for new, before in zip(o.data, old.data, strict=True))
        rested = old.place in (VISIBLE, IN_HIDDEN)
        may_rest = o.tif not in (IOC, FOK) and not (o.tif == AT_CLOSE and instrument.phase != CLOSING)
        same = (old.kind, old.price, old.hidden, old.displayed) == (LIMIT, o.price, o.hidden, o.displayed)
        facts = {"match": old.ref, "user_ref_original": old.user_ref}
        if rested and may_rest and o.kind == LIMIT and same and q <= old.open and not o.minimum:
            left = old.slice
            self.take(old)
            self.put(o, old.place)
            o.slice = min(left, o.open)
            self.about(REPLACED, o, o.open, flags=F_RESTING | F_KEPT, **facts)
            return
        self.take(old)
        o.ref = self.next_ref()
        self.about(REPLACED, o, o.open, displayed=0, flags=F_RESTING if rested else 0, **facts)
        self.arrive(o)

    def on_cancel(self, c: dict[str, Any]) -> None:
        o = self.live.get((c["session"], c["user_ref"]))
        if o is None:
            return
        left = max(0, c["quantity"] - o.filled)
        if left >= o.open or left % self.instruments[o.instrument].lot:
            return
        if left == 0:
            self.cancel(o, USER)
            return
        quantity, o.open = o.open - left, left
        o.slice = min(o.slice, left)
        flags = F_RESTING if o.place in (VISIBLE, IN_HIDDEN) else 0
        self.about(CANCELED, o, quantity, reason=USER, flags=flags)

    def on_modify(self, c: dict[str, Any]) -> None:
        o = self.live.get((c["session"], c["user_ref"]))
        if o is None or c["side"] != o.side or c["quantity"] > o.filled + o.open:
            return
        left = max(0, c["quantity"] - o.filled)
        data = bytes(new or before for new, before in zip(c["client_data"], o.data, strict=True))
        if left % self.instruments[o.instrument].lot or (left, data) == (o.open, o.data):
            return
        if left == 0:
            self.cancel(o, USER)
            return
        quantity, o.open, o.data = o.open - left, left, data
        o.slice = min(o.slice, left)
        self.about(MODIFIED, o, quantity, flags=F_RESTING if o.place in (VISIBLE, IN_HIDDEN) else 0)

    HANDLERS = {  # noqa: RUF012
        1: on_instrument, 2: on_session, 3: on_enter, 4: on_replace, 5: on_cancel, 6: on_state, 7: on_state, 8: on_end,
        9: on_rules, 10: on_account, 11: on_instrument, 12: on_remove, 13: on_phase, 14: on_indicate,
        15: on_mass_cancel, 16: on_expire, 17: on_risk_limit, 18: on_kill, 20: on_modify,
    }  # fmt: skip
