# SPDX-License-Identifier: GPL-3.0-or-later
"""Trades out of events, and positions out of trades."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from core_events import event
from hypothesis import given
from hypothesis import strategies as st
from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.event_log import UnnamedInstrumentError
from ironbook.reconciliation.journal import holdings
from ironbook.trades import (
    AVERAGE_UNIT,
    EventOrderError,
    Holding,
    Names,
    Portfolio,
    Trade,
    TradeBuilder,
    after_trade,
    average_text,
    price_text,
)

NAMES = Names(["AAPL", "MSFT"], ["MAKR", "TAKR"])


def match(sequence: int, number: int = 1, **what: int) -> list[Event]:
    """Return the two halves of a match: session 0 rested with a sell, session 1 came in with a buy."""
    common = {
        "seq": sequence, "type": EventType.EXECUTED, "match_ref": number, "price": 1_000_000, "quantity": 10,
        "time_ns": 5, **what,
    }  # fmt: skip
    maker = event(**common, index=1, session=0, user_ref=7, side=Side.SELL, flags=EventFlag.RESTING)
    taker = event(**common, index=2, session=1, user_ref=8, side=Side.BUY, flags=EventFlag.INCOMING)
    return [maker, taker]


def test_two_halves_are_one_trade() -> None:
    [trade] = TradeBuilder(3, NAMES).add([event(seq=9, type=EventType.ACCEPTED), *match(9)])
    assert trade == Trade(3, 9, 2, 1, "AAPL", 10, 1_000_000, 5, "MAKR", "TAKR", 7, 8, "B")


def test_halves_in_two_batches_are_one_trade() -> None:
    builder = TradeBuilder(0, NAMES)
    maker, taker = match(9)
    assert not list(builder.add([maker]))
    assert builder.between
    assert len(list(builder.add([taker]))) == 1
    assert not builder.between


def test_an_auction_is_two_orders_that_stood() -> None:
    """The buyer's half comes first and is the maker's; several matches of one price follow each other."""
    halves = []
    for number in (1, 2):
        maker, taker = match(9, number=number)
        both = EventFlag.RESTING | EventFlag.AUCTION
        halves += [
            taker._replace(flags=both, index=2 * number),
            maker._replace(flags=both, index=2 * number + 1),
            event(seq=9, type=EventType.REFRESHED, flags=EventFlag.RESTING),
        ]
    trades = list(TradeBuilder(3, NAMES).add(halves))
    assert [(t.index, t.match_ref, t.maker, t.taker, t.taker_side) for t in trades] == [
        (3, 1, "TAKR", "MAKR", "S"),
        (5, 2, "TAKR", "MAKR", "S"),
    ]
    portfolio = Portfolio()
    for trade in trades:
        portfolio.add(trade)
    assert portfolio.holdings["TAKR", "AAPL"].position == 20
    assert holdings(halves, NAMES) == portfolio.holdings


@pytest.mark.parametrize(
    "events",
    [
        [match(9)[1]],
        [match(9)[0], event(type=EventType.ACCEPTED)],
        [match(9)[0], match(9, number=2)[1]],
        [match(9)[0], match(9, quantity=11)[1]],
        [half._replace(session=5) for half in match(9)],
    ],
)
def test_events_that_do_not_fit_are_refused(events: list[Event]) -> None:
    with pytest.raises(EventOrderError):
        list(TradeBuilder(0, NAMES).add(events))


def test_an_instrument_that_is_newer_than_the_names_is_no_other() -> None:
    """Its reader has to ask for the names again."""
    with pytest.raises(UnnamedInstrumentError, match="instrument 2, which is newer than the names"):
        list(TradeBuilder(0, NAMES).add(match(9, instrument=2)))


@pytest.mark.parametrize(
    ("held", "quantity", "price", "expected"),
    [
        (Holding(), 10, 1_000_000, Holding(10, 100 * AVERAGE_UNIT)),
        (Holding(10, 100 * AVERAGE_UNIT), 30, 1_200_000, Holding(40, 115 * AVERAGE_UNIT)),
        (Holding(40, 115 * AVERAGE_UNIT), -10, 2_000_000, Holding(30, 115 * AVERAGE_UNIT)),
        (Holding(30, 115 * AVERAGE_UNIT), -30, 2_000_000, Holding(0, 0)),
        (Holding(30, 115 * AVERAGE_UNIT), -50, 2_000_000, Holding(-20, 200 * AVERAGE_UNIT)),
        (Holding(-20, 200 * AVERAGE_UNIT), -20, 1_000_000, Holding(-40, 150 * AVERAGE_UNIT)),
        (Holding(-40, 150 * AVERAGE_UNIT), 10, 1, Holding(-30, 150 * AVERAGE_UNIT)),
        (Holding(2, 100 * AVERAGE_UNIT), 1, 1_000_001, Holding(3, 10_000_003_333)),
    ],
)
def test_average_cost(held: Holding, quantity: int, price: int, expected: Holding) -> None:
    assert after_trade(held, quantity, price) == expected


TRADES = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 2 * 10**9), st.booleans()), max_size=40)


@given(TRADES)
def test_average_cost_is_that_of_decimal_arithmetic(trades: list[tuple[int, int, bool]]) -> None:
    held, position, average = Holding(), 0, Decimal(0)
    for size, price, buys in trades:
        quantity = size if buys else -size
        held = after_trade(held, quantity, price)
        cost = Decimal(price) / 10_000
        after = position + quantity
        if after == 0:
            average = Decimal(0)
        elif position == 0 or (position > 0) != (after > 0):
            average = cost
        elif (position > 0) == (quantity > 0):
            total = average * abs(position) + cost * abs(quantity)
            average = (total / abs(after)).quantize(Decimal("1e-8"), ROUND_HALF_EVEN)
        position = after
        assert held.position == position
        assert Decimal(average_text(held.average)) == average


def test_a_firm_that_trades_with_itself_holds_what_it_held() -> None:
    portfolio = Portfolio({("MAKR", "AAPL"): Holding(5, AVERAGE_UNIT)})
    trade = Trade(0, 1, 1, 1, "AAPL", 10, 10_000, 0, "MAKR", "MAKR", 1, 2, "B")
    portfolio.add(trade)
    assert portfolio.holdings == {("MAKR", "AAPL"): Holding(5, AVERAGE_UNIT)}


@given(TRADES)
def test_positions_of_all_firms_add_up_to_nothing(trades: list[tuple[int, int, bool]]) -> None:
    portfolio = Portfolio()
    for number, (size, price, buys) in enumerate(trades):
        side = "B" if buys else "S"
        portfolio.add(Trade(0, number, 1, number, "AAPL", size, price, 0, "A", "B", 1, 2, side))
    assert sum(held.position for held in portfolio.holdings.values()) == 0


def test_prices_as_text() -> None:
    assert (price_text(5_853_300), price_text(1), price_text(-10_001)) == ("585.3300", "0.0001", "-1.0001")
    assert average_text(12_345_678_901) == "123.45678901"
