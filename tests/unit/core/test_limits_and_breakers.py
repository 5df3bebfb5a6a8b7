# SPDX-License-Identifier: GPL-3.0-or-later
"""Position limits and circuit breakers of the core: what is refused before it matches, and how trading opens again.

The core has no clock: that a volatility auction ends after so many seconds is sequenced by the running engine
(tests/integration/test_engine_timed.py). What happens when it ends is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ironbook.core import Command, Matcher
from ironbook.core.records import (
    INSTRUMENT_ALL,
    UNLIMITED,
    Breach,
    CommandType,
    Event,
    EventFlag,
    EventType,
    OrderType,
    Phase,
    Reason,
    RiskLimit,
    Side,
    TimeInForce,
    instrument_add,
    session_add,
)

MAKER, TRADER, COLLEAGUE = range(3)  # sessions; the last two trade for one account
ACCOUNTS = (1, 2, 2)
LIMITED = ACCOUNTS[TRADER]
BANDED, OTHER = range(2)  # instruments; the second one has no bands
PRICE = 1000
SECOND = 10**9


class Venue:
    """A core with three sessions, and an instrument whose reference price is PRICE and whose bands are 100 points."""

    def __init__(self, matcher: Matcher, breach: Breach = Breach.VOLATILITY_AUCTION, band: int = 100) -> None:
        self.matcher = matcher
        self.seq, self.time_ns, self.refs = 0, SECOND, [0, 0, 0]
        self.at = BANDED  # where orders go that say nothing else
        self.send(CommandType.RULES, value=2)
        for number in (1, 2):
            self.send(CommandType.ACCOUNT_ADD, account=number, client_data=b"ACCOUNT%d" % number)
        for session, account in enumerate(ACCOUNTS):
            self.apply(session_add(self.next_seq(), self.time_ns, session, f"USER{session}", "FIRM", account=account))
        for index, bands in enumerate((band, 0)):
            self.apply(
                instrument_add(
                    self.next_seq(), self.time_ns, index, f"SYM{index}", 1,
                    static_band=bands, dynamic_band=bands, breach=breach, reference_price=PRICE,
                )
            )  # fmt: skip

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def apply(self, command: Command) -> list[Event]:
        events = self.matcher.apply([command])
        self.matcher.check()
        return events

    def send(self, kind: CommandType, **fields: Any) -> list[Event]:
        return self.apply(Command(self.next_seq(), self.time_ns, kind, **fields))

    def enter(self, session: int, side: Side, quantity: int, price: int, **fields: Any) -> list[Event]:
        self.refs[session] += 1
        order = {"order_type": OrderType.LIMIT, "user_ref": self.refs[session], "instrument": self.at, **fields}
        return self.send(CommandType.ENTER, session=session, side=side, quantity=quantity, price=price, **order)

    def limit(self, which: RiskLimit, value: int) -> None:
        (said,) = self.send(
            CommandType.RISK_LIMIT, account=LIMITED, instrument=INSTRUMENT_ALL, limit=which, value=value
        )
        assert (said.type, said.limit, said.quantity) == (EventType.RISK, which, value)

    def state(self) -> tuple[Any, ...]:
        """What an order can change, but for the numbers of messages."""
        totals = self.matcher.totals()
        rows = [self.matcher.risk_state(account, at) for account in (1, 2) for at in (BANDED, OTHER)]
        return (self.matcher.live_orders(), rows, totals.trades, totals.quantity, totals.notional)


@pytest.fixture
def matcher() -> Iterator[Matcher]:
    with Matcher(100) as opened:
        yield opened


def types(events: list[Event]) -> list[int]:
    return [event.type for event in events]


def traded(events: list[Event]) -> list[tuple[int, int]]:
    """Price and quantity of each trade."""
    return [(event.price, event.quantity) for event in events if event.type == EventType.EXECUTED][::2]


# Where bands are set, an order that crosses is no plain one: both ways of the core to judge it are tried.
either_way = pytest.mark.parametrize("at", [BANDED, OTHER], ids=["looked-at-closely", "plain"])
# limit, its value, and the order that just exceeds it: side, quantity, price. The same with one unit less, or one tick
# nearer, keeps it.
JUST_BEYOND = [
    pytest.param(RiskLimit.ORDER_QUANTITY, 50, (Side.BUY, 51, PRICE), (50, PRICE), Reason.RISK_QUANTITY, id="quantity"),
    pytest.param(
        RiskLimit.ORDER_NOTIONAL, 50_000, (Side.BUY, 51, PRICE), (50, PRICE), Reason.RISK_NOTIONAL, id="value"
    ),
    pytest.param(RiskLimit.COLLAR, 50, (Side.BUY, 20, 1006), (20, 1005), Reason.RISK_COLLAR, id="collar-buy"),
    pytest.param(RiskLimit.COLLAR, 50, (Side.SELL, 20, 994), (20, 995), Reason.RISK_COLLAR, id="collar-sell"),
    pytest.param(RiskLimit.POSITION_LONG, 50, (Side.BUY, 51, PRICE), (50, PRICE), Reason.RISK_POSITION, id="long"),
    pytest.param(RiskLimit.POSITION_SHORT, 50, (Side.SELL, 51, PRICE), (50, PRICE), Reason.RISK_POSITION, id="short"),
]


@pytest.mark.feature("ENG-10", by="U")
@either_way
@pytest.mark.parametrize(("which", "value", "beyond", "within", "reason"), JUST_BEYOND)
def test_an_order_beyond_a_limit_is_refused_before_it_matches(  # noqa: PLR0913, PLR0917 - a row of the table
    matcher: Matcher,
    at: int,
    which: RiskLimit,
    value: int,
    beyond: tuple[Side, int, int],
    within: tuple[int, int],
    reason: Reason,
) -> None:
    """Its counterpart stands in the book: nothing trades, nothing changes, and without the limit it would have."""
    venue = Venue(matcher)
    venue.at = at
    side, quantity, price = beyond
    venue.enter(MAKER, Side.SELL if side == Side.BUY else Side.BUY, 200, PRICE)
    venue.enter(TRADER, Side.BUY, 1, 1)  # the first order of an account in an instrument is a case of its own
    venue.send(CommandType.CANCEL, session=TRADER, user_ref=1)
    venue.limit(which, value)
    before = venue.state()
    (refused,) = venue.enter(TRADER, side, quantity, price)
    assert (refused.type, refused.reason, refused.user_ref) == (EventType.REJECTED, reason, 2)
    assert venue.state() == before
    assert traded(venue.enter(TRADER, side, *within)) == [(PRICE, within[0])]
    venue.limit(which, UNLIMITED)
    assert traded(venue.enter(TRADER, side, quantity, price)) == [(PRICE, quantity)]


@pytest.mark.feature("ENG-10", by="U")
@either_way
def test_the_position_limit_follows_every_fill_and_every_open_order(matcher: Matcher, at: int) -> None:
    """In real time: of all sessions of the account, of what trades, what is open, and what the limit is just now."""
    venue = Venue(matcher)
    venue.at = at
    venue.limit(RiskLimit.POSITION_LONG, 100)

    def refused(session: int, quantity: int) -> bool:
        before = venue.state()
        (said,) = venue.enter(session, Side.BUY, quantity, PRICE)
        assert venue.state() == before
        return (said.type, said.reason) == (EventType.REJECTED, Reason.RISK_POSITION)

    venue.enter(MAKER, Side.SELL, 500, PRICE)
    assert traded(venue.enter(TRADER, Side.BUY, 60, PRICE)) == [(PRICE, 60)]
    assert types(venue.enter(COLLEAGUE, Side.BUY, 40, 995)) == [EventType.ACCEPTED, EventType.RESTED]
    assert refused(TRADER, 1) and refused(COLLEAGUE, 1)  # 60 held, 40 open
    venue.send(CommandType.CANCEL, session=COLLEAGUE, user_ref=1)
    assert refused(TRADER, 41)
    assert traded(venue.enter(TRADER, Side.BUY, 40, PRICE)) == [(PRICE, 40)]
    venue.enter(MAKER, Side.BUY, 30, 999)
    assert traded(venue.enter(COLLEAGUE, Side.SELL, 30, 999)) == [(999, 30)]  # 70 held
    assert refused(TRADER, 31)
    venue.limit(RiskLimit.POSITION_LONG, 90)  # while it trades
    assert refused(TRADER, 21)
    assert traded(venue.enter(TRADER, Side.BUY, 20, PRICE)) == [(PRICE, 20)]
    assert venue.matcher.risk_state(LIMITED, at).position == 90
    # The limit is of each instrument: what the account holds in this one leaves the other's room alone.
    venue.at = OTHER if at == BANDED else BANDED
    venue.enter(MAKER, Side.SELL, 90, PRICE)
    assert traded(venue.enter(TRADER, Side.BUY, 90, PRICE)) == [(PRICE, 90)]


@pytest.mark.feature("ENG-10", by="U")
@either_way
def test_open_orders_message_rate_and_the_kill_switch(matcher: Matcher, at: int) -> None:
    """The limits that are not about one order's size: what they refuse would have traded."""
    venue = Venue(matcher)
    venue.at = at
    venue.enter(MAKER, Side.SELL, 500, PRICE)

    def said(session: int = TRADER) -> tuple[int, int]:
        before = venue.state()
        (event,) = venue.enter(session, Side.BUY, 1, PRICE)
        assert venue.state() == before
        return event.type, event.reason

    venue.limit(RiskLimit.OPEN_ORDERS, 1)
    venue.enter(COLLEAGUE, Side.BUY, 1, 995)
    assert said() == (EventType.REJECTED, Reason.RISK_OPEN_ORDERS)
    venue.limit(RiskLimit.OPEN_ORDERS, UNLIMITED)

    venue.time_ns += SECOND
    venue.limit(RiskLimit.MESSAGE_RATE, 2)
    assert traded(venue.enter(TRADER, Side.BUY, 1, PRICE)) and traded(venue.enter(COLLEAGUE, Side.BUY, 1, PRICE))
    assert said() == said(COLLEAGUE) == (EventType.REJECTED, Reason.RISK_RATE)
    venue.time_ns += SECOND
    assert traded(venue.enter(TRADER, Side.BUY, 1, PRICE))
    venue.limit(RiskLimit.MESSAGE_RATE, UNLIMITED)

    killed = venue.send(CommandType.KILL, account=LIMITED, value=1)
    assert types(killed) == [EventType.RISK, EventType.CANCELED]  # the colleague's order of above
    assert said() == said(COLLEAGUE) == (EventType.REJECTED, Reason.RISK_KILLED)
    venue.send(CommandType.KILL, account=LIMITED, value=0)
    assert traded(venue.enter(TRADER, Side.BUY, 1, PRICE))


@pytest.mark.feature("ENG-10", by="U")
def test_a_price_move_halts_the_symbol_and_an_auction_opens_it_again(matcher: Matcher) -> None:
    """100 points are 10 of 1000: 1010 trades, 1011 does not. The auction's price is then what the bands go by."""
    venue = Venue(matcher)
    venue.enter(MAKER, Side.SELL, 5, 1010)
    venue.enter(MAKER, Side.SELL, 50, 1011)
    events = venue.enter(TRADER, Side.BUY, 30, 1020)
    assert types(events) == [
        EventType.ACCEPTED, EventType.EXECUTED, EventType.EXECUTED, EventType.PHASE, EventType.RESTED,
    ]  # fmt: skip
    assert traded(events) == [(1010, 5)]
    assert (events[3].phase, events[3].reason) == (Phase.VOLATILITY_AUCTION, Reason.PRICE_BAND)
    assert venue.matcher.instrument_state(BANDED).phase == Phase.VOLATILITY_AUCTION
    # Orders come together and nothing trades, however far they cross; the other symbol goes on.
    assert types(venue.enter(MAKER, Side.SELL, 10, 1015)) == [EventType.ACCEPTED, EventType.RESTED]
    assert types(venue.enter(COLLEAGUE, Side.BUY, 10, 1030)) == [EventType.ACCEPTED, EventType.RESTED]
    venue.enter(MAKER, Side.SELL, 1, 1200, instrument=OTHER)
    assert traded(venue.enter(TRADER, Side.BUY, 1, 1200, instrument=OTHER)) == [(1200, 1)]
    (indicated,) = venue.send(CommandType.INDICATE, instrument=BANDED)
    # At 1011 there are 35 to buy and 50 to sell; at 1015 and 1020, 35 and 60: the same volume, and more is left over.
    assert (indicated.price, indicated.quantity, indicated.remaining) == (1011, 35, 15)
    reopened = venue.send(CommandType.PHASE, instrument=BANDED, phase=Phase.CONTINUOUS)
    assert (reopened[0].type, reopened[0].phase) == (EventType.PHASE, Phase.CONTINUOUS)
    assert traded(reopened) == [(1011, 10), (1011, 25)]
    assert all(event.flags & EventFlag.AUCTION for event in reopened[1:])
    state = venue.matcher.instrument_state(BANDED)
    assert (state.phase, state.reference_price, state.last_price) == (Phase.CONTINUOUS, 1011, 1011)
    # Its bands are of 1011 now: 1021 is inside, where it was outside before, and 1022 is not.
    assert traded(venue.enter(TRADER, Side.BUY, 10, 1014)) == [(1011, 10)]
    venue.enter(MAKER, Side.SELL, 1, 1021)
    venue.enter(MAKER, Side.SELL, 1, 1022)
    assert traded(venue.enter(TRADER, Side.BUY, 16, 1021)) == [(1011, 5), (1015, 10), (1021, 1)]
    again = venue.enter(TRADER, Side.BUY, 1, 1022)
    assert EventType.PHASE in types(again) and not traded(again)


@pytest.mark.feature("ENG-10", by="U")
def test_a_price_move_may_halt_the_symbol_outright(matcher: Matcher) -> None:
    """By its definition: then nothing enters, orders can be cancelled, and whoever resumes it finds the same book."""
    venue = Venue(matcher, Breach.HALT)
    venue.enter(MAKER, Side.BUY, 10, 990)
    venue.enter(MAKER, Side.BUY, 20, 989)
    events = venue.enter(TRADER, Side.SELL, 15, 980, time_in_force=TimeInForce.IOC)
    assert traded(events) == [(990, 10)]
    assert [(event.phase, event.reason) for event in events if event.type == EventType.PHASE] == [
        (Phase.HALTED, Reason.PRICE_BAND)
    ]
    assert (events[-1].type, events[-1].reason, events[-1].quantity) == (EventType.CANCELED, Reason.PRICE_BAND, 5)
    book = venue.state()
    for side, price in ((Side.BUY, 980), (Side.SELL, 989)):
        (refused,) = venue.enter(TRADER, side, 1, price)
        assert (refused.type, refused.reason) == (EventType.REJECTED, Reason.HALTED)
    assert venue.state() == book
    assert types(venue.send(CommandType.PHASE, instrument=BANDED, phase=Phase.CONTINUOUS)) == [EventType.PHASE]
    assert venue.state() == book
    # The last trade is what the dynamic band goes by, the reference price what the static one does: 989 is beyond that.
    venue.enter(MAKER, Side.BUY, 5, 991)
    assert traded(venue.enter(TRADER, Side.SELL, 5, 991)) == [(991, 5)]
    assert Phase.HALTED in [event.phase for event in venue.enter(TRADER, Side.SELL, 1, 989)]
    (canceled,) = venue.send(CommandType.CANCEL, session=MAKER, user_ref=2)
    assert (canceled.type, canceled.reason) == (EventType.CANCELED, Reason.USER)


def test_without_bands_the_same_prices_trade(matcher: Matcher) -> None:
    """The control: it is the band that stops them, and nothing else."""
    venue = Venue(matcher, band=0)
    venue.enter(MAKER, Side.SELL, 5, 1010)
    venue.enter(MAKER, Side.SELL, 50, 1011)
    assert traded(venue.enter(TRADER, Side.BUY, 30, 1020)) == [(1010, 5), (1011, 25)]
