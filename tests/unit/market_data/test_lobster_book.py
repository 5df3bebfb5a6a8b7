# SPDX-License-Identifier: GPL-3.0-or-later
"""A LOBSTER file through the core: best bids and offers, and whom each execution meets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ironbook import core, replay
from ironbook.core.records import EventFlag, EventType, pack_commands, unpack_events
from ironbook.errors import CommandError
from ironbook.market_data import lobster_book
from ironbook.market_data.lobster import Message
from ironbook.market_data.lobster_book import AT_HEAD, NOT_BEST, PASSED_OVER, SHOWN_LATE, UNKNOWN, Best, Flow

ROOT = Path(__file__).resolve().parents[3]
HOUR, BOOK = "*_34200000_37800000_message_50.csv.gz", "*_34200000_57600000_orderbook_1.csv.gz"


def messages(*rows: tuple[int, int, int, int, int]) -> list[Message]:
    """(type, order id, size, price, direction) each, one second apart."""
    return [Message(line, line * 10**9, *row) for line, row in enumerate(rows, start=1)]


def run(flow: Flow) -> list[core.Event]:
    with core.Matcher(1000) as matcher:
        return list(unpack_events(matcher.apply_packed(pack_commands(flow.commands))))


def states(*rows: tuple[int, int, int, int, int]) -> list[Best]:
    flow = lobster_book.translate("TEST", messages(*rows))
    return list(lobster_book.states(flow, run(flow)))


def test_best_bid_and_offer_after_each_message() -> None:
    assert states(
        (1, 10, 100, 500, 1), (1, 11, 50, 510, -1), (1, 12, 30, 505, 1), (2, 10, 40, 500, 1), (4, 12, 30, 505, 1),
        (5, 0, 7, 507, 1), (3, 10, 60, 500, 1), (4, 11, 20, 510, -1),
    ) == [
        (9_999_999_999, 0, 500, 100), (510, 50, 500, 100), (510, 50, 505, 30), (510, 50, 505, 30),
        (510, 50, 500, 60), (510, 50, 500, 60), (510, 50, -9_999_999_999, 0), (510, 30, -9_999_999_999, 0),
    ]  # fmt: skip


def test_partial_cancel_after_an_execution_counts_what_was_executed() -> None:
    rows = ((1, 10, 100, 500, 1), (4, 10, 20, 500, 1), (2, 10, 30, 500, 1), (4, 10, 50, 500, 1))
    assert [state.bid_size for state in states(*rows)] == [100, 80, 50, 0]


def test_order_that_was_never_added_rests_from_the_start_or_when_the_ids_reach_it() -> None:
    found = states((1, 10, 100, 500, 1), (1, 30, 5, 499, 1), (3, 20, 40, 501, 1), (3, 5, 8, 510, -1))
    assert found[0] == (510, 8, 500, 100)  # 5 is below the first id
    assert found[1] == (510, 8, 501, 40)  # 20 was added between 10 and 30


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (((1, 10, 9, 500, 1), (4, 10, 3, 500, 1)), AT_HEAD),
        (((1, 10, 9, 500, 1), (1, 8, 9, 500, 1), (4, 8, 3, 500, 1)), SHOWN_LATE),
        (((1, 10, 9, 500, 1), (1, 11, 9, 500, 1), (4, 11, 3, 500, 1)), PASSED_OVER),
        (((1, 10, 9, 500, 1), (1, 11, 9, 501, 1), (4, 10, 3, 500, 1)), NOT_BEST),
        (((1, 10, 9, 500, 1), (3, 10, 9, 500, 1), (4, 10, 3, 500, 1)), UNKNOWN),
    ],
)
def test_execution_is_counted_by_whom_it_names(rows: tuple[tuple[int, int, int, int, int], ...], reason: str) -> None:
    flow = lobster_book.translate("TEST", messages(*rows))
    assert flow.executions == {reason: 1}
    found = list(lobster_book.states(flow, run(flow)))
    if reason not in (UNKNOWN, NOT_BEST):  # the size is gone from the level, whoever it was
        assert found[-1].bid_size == found[-2].bid_size - 3
    assert len(flow.expected) == (reason == AT_HEAD)


def test_oddities_are_counted_and_change_nothing() -> None:
    rows = ((1, 10, 9, 500, 1), (1, 10, 7, 501, 1), (3, 10, 9, 500, 1), (2, 10, 1, 500, 1))
    flow = lobster_book.translate("TEST", messages(*rows))
    assert flow.oddities == {lobster_book.REPEATED: 1, lobster_book.GONE: 1}
    assert [state.bid_size for state in lobster_book.states(flow, run(flow))] == [9, 9, 0, 0]


def test_core_that_meets_another_order_is_found_out() -> None:
    """Negative control: the events of a core that filled the second order of the queue."""
    flow = lobster_book.translate("TEST", messages((1, 10, 9, 500, 1), (1, 11, 9, 500, 1), (4, 10, 3, 500, 1)))
    events = [
        event._replace(user_ref=2) if event.type == EventType.EXECUTED and event.flags & EventFlag.RESTING else event
        for event in run(flow)
    ]
    with pytest.raises(ValueError, match="met order 2; the file names 1"):
        list(lobster_book.states(flow, events))


def test_comparison_counts_distinct_states() -> None:
    one, two, three = Best(2, 1, 1, 1), Best(3, 1, 1, 1), Best(4, 1, 1, 1)
    assert lobster_book.compare([one, one, two, three], [one, two, two, three]) == (3, 3, 3, 100.0)
    assert lobster_book.compare([one, two, one, three], [one, three, one, two]) == (4, 4, 1, 100.0)
    assert lobster_book.compare([one, two], [one, three, two])[2:] == (1, 50.0)


def market_data() -> tuple[Path, Path]:
    """The hour's messages and the day's best bids and offers; skips where they are not there."""
    for place in (os.environ.get("MARKET_DATA"), ROOT.parent / "shared" / "data"):
        files = [sorted(Path(place).glob(pattern)) for pattern in (HOUR, BOOK)] if place else [[], []]
        if all(files):
            return files[0][0], files[1][0]
    pytest.skip("no market data beside the checkout")


@pytest.mark.slow
def test_real_hour_agrees_with_the_published_book() -> None:
    """What the reference checker reaches with a book by ids, the core reaches by matching: every state of it."""
    hour, book = market_data()
    found = replay.replay_lobster(hour, book)
    assert found["published"]["ours"] == 23_439
    assert found["published"]["same_from_start"] >= 15_999
    assert found["published"]["overlap_percent"] >= 99.927
    executions = found["executions"]
    assert executions["total"] == 4067
    assert executions["at_head"] == found["trades"] == 4043
    assert executions["otherwise"] == {SHOWN_LATE: 15, PASSED_OVER: 9}
    assert found["oddities"] == {}
    assert found["rejects"] == 0


def test_published_book_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("5859400,200,5853300,18\n5859400,x,1,2\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"book\.csv:2: is not a row of an orderbook file"):
        replay.read_published(path)
