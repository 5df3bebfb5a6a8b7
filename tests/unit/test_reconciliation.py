# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconciliation's own reckoning against the ledger's: two formulations, one result, to the last digit."""

from __future__ import annotations

import pytest
from core_events import event
from hypothesis import given
from hypothesis import strategies as st
from ironbook.core.records import Event, EventFlag, EventType, Side
from ironbook.errors import CommandError
from ironbook.reconciliation.journal import holdings
from ironbook.reconciliation.stream import hash_key
from ironbook.trades import AVERAGE_UNIT, Holding, Names, Portfolio, TradeBuilder

NAMES = Names(["AAPL", "MSFT"], ["MAKR", "TAKR", "OTHR"])


Match = tuple[int, int, bool, int, int, int]


def match(number: int, what: Match) -> list[Event]:
    """Return the two halves of a match, the resting order's first, of maker, taker, whether it buys, and what."""
    maker, taker, taker_buys, instrument, quantity, price = what
    sides = (Side.SELL, Side.BUY) if taker_buys else (Side.BUY, Side.SELL)
    return [
        event(
            seq=number, index=index, type=EventType.EXECUTED, match_ref=number, session=session, side=side, flags=flag,
            instrument=instrument, quantity=quantity, price=price,
        )
        for index, (session, side, flag) in enumerate(
            zip((maker, taker), sides, (EventFlag.RESTING, EventFlag.INCOMING), strict=True), 1
        )
    ]  # fmt: skip


FIRMS, SYMBOLS = st.integers(0, 2), st.integers(0, 1)
MATCHES = st.lists(
    st.tuples(FIRMS, FIRMS, st.booleans(), SYMBOLS, st.integers(1, 10**6), st.integers(1, 2 * 10**9)), max_size=60
)


@given(MATCHES)
def test_positions_and_average_costs_are_the_ledgers(matches: list[Match]) -> None:
    events = [half for number, what in enumerate(matches, 1) for half in match(number, what)]
    ledger = Portfolio()
    for trade in TradeBuilder(0, NAMES).add(events):
        ledger.add(trade)
    assert holdings(events, NAMES) == ledger.holdings


def test_an_average_cost_by_hand() -> None:
    """2 bought at 100.0000 and 1 at 100.0001 cost 100.00003333…; then 5 are sold at 90: short 2, at 90."""
    bought = [*match(1, (0, 1, True, 0, 2, 1_000_000)), *match(2, (0, 1, True, 0, 1, 1_000_001))]
    assert holdings(bought, NAMES)["TAKR", "AAPL"] == Holding(3, 10_000_003_333)
    sold = holdings([*bought, *match(3, (0, 1, False, 0, 5, 900_000))], NAMES)
    assert sold["TAKR", "AAPL"] == Holding(-2, 90 * AVERAGE_UNIT)
    assert sold["MAKR", "AAPL"].position == 2


def test_half_a_match_is_no_execution() -> None:
    with pytest.raises(CommandError, match="has no maker"):
        holdings(match(1, (0, 1, True, 0, 2, 1))[1:], NAMES)


def test_a_partition_key_hashes_as_kinesis_documents_it() -> None:
    """MD5 of the key (Kinesis API reference, PutRecord); the value is that of `printf AAPL | md5sum`."""
    assert f"{hash_key('AAPL'):032x}" == "8b10e4ae9eeb5684921a9ab27e4d87aa"
