# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of a file as two firms' orders."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ironbook.market_data import generate, lobster, orders
from ironbook.market_data.lobster import Message
from ironbook.market_data.orders import MAKER, TAKER, plan_session


def messages(*rows: tuple[int, int, int, int, int]) -> list[Message]:
    """(type, order id, size, price, direction) each, one second apart."""
    return [Message(line, line * 10**9, *row) for line, row in enumerate(rows, start=1)]


def brief(plan: orders.Plan) -> list[tuple[int, int, str, int, int]]:
    return [(c.sender, c.order, c.side.decode(), c.quantity, c.price) for c in plan.commands]


def test_each_type_becomes_what_the_firm_would_send() -> None:
    plan = plan_session(messages((1, 10, 100, 500, 1), (2, 10, 30, 500, 1), (4, 10, 20, 500, 1), (3, 10, 50, 500, 1)))
    assert brief(plan) == [
        (MAKER, 1, "B", 100, 500),
        (MAKER, 1, "", 70, 500),  # the new size in all
        (TAKER, 3, "S", 20, 500),
        (MAKER, 1, "", 0, 500),
    ]
    assert [command.immediate for command in plan.commands] == [False, False, True, False]
    assert [command.ordinal for command in plan.commands] == [1, 2, 3, 4]
    assert not plan.skipped


def test_new_size_of_a_partial_cancel_counts_what_was_executed() -> None:
    plan = plan_session(messages((1, 10, 100, 500, -1), (4, 10, 20, 500, -1), (2, 10, 30, 500, -1)))
    # 100 entered, 30 taken off: at most 70 may ever be executed, of which 20 were.
    assert brief(plan)[-1] == (MAKER, 1, "", 70, 500)


def test_partial_cancel_of_all_that_is_left_cancels_the_order() -> None:
    plan = plan_session(messages((1, 10, 100, 500, 1), (4, 10, 60, 500, 1), (2, 10, 40, 500, 1)))
    assert brief(plan)[-1] == (MAKER, 1, "", 0, 500)


def test_what_is_not_sent_is_counted_with_its_reason() -> None:
    plan = plan_session(
        messages(
            (1, 10, 100, 500, 1), (5, 0, 10, 500, 1), (6, -1, 10, 500, -1), (7, 0, 0, -1, -1), (7, 0, 0, 1, -1),
            (1, 10, 5, 500, 1), (3, 10, 100, 500, 1), (3, 10, 100, 500, 1),
        )
    )  # fmt: skip
    assert plan.skipped == Counter(
        {
            orders.SKIPPED_HIDDEN: 1,
            orders.SKIPPED_CROSS: 1,
            orders.SKIPPED_HALT: 2,
            orders.SKIPPED_LIVE: 1,
            orders.SKIPPED_GONE: 1,
        }
    )
    assert len(plan.commands) == 2


def test_an_unseen_id_below_the_first_was_resting_at_the_start() -> None:
    plan = plan_session(messages((1, 10, 100, 500, 1), (4, 5, 30, 490, 1), (3, 5, 70, 490, 1)))
    assert brief(plan)[0] == (MAKER, 1, "B", 100, 490)  # all that the file takes from it
    assert plan.commands[0].order_id == 5
    assert (plan.resting_at_start, plan.added_unseen) == (1, 0)


def test_an_unseen_higher_id_is_entered_when_the_ids_have_passed_it() -> None:
    rows = [(1, 10, 1, 500, 1), (1, 12, 1, 500, 1), (1, 20, 1, 500, 1), (3, 15, 9, 480, -1)]
    plan = plan_session(messages(*rows))
    assert [command.order_id for command in plan.commands] == [10, 12, 15, 20, 15]
    assert brief(plan)[2] == (MAKER, 3, "S", 9, 480)
    assert (plan.resting_at_start, plan.added_unseen) == (0, 1)


def test_a_low_id_that_comes_late_does_not_hold_up_the_ids() -> None:
    rows = [(1, 10, 1, 500, 1), (1, 3, 1, 500, 1), (1, 20, 1, 500, 1), (3, 15, 9, 480, -1)]
    assert [command.order_id for command in plan_session(messages(*rows)).commands] == [10, 3, 15, 20, 15]


def test_an_unseen_id_that_is_taken_from_early_is_there_in_time() -> None:
    rows = [(1, 10, 1, 500, 1), (4, 15, 9, 480, -1), (1, 20, 1, 500, 1)]
    assert [command.order_id for command in plan_session(messages(*rows)).commands] == [10, 15, 15, 20]


def test_a_file_without_new_orders_takes_from_what_was_resting() -> None:
    plan = plan_session(messages((4, 5, 30, 490, 1), (3, 4, 70, 480, -1)))
    assert [command.order_id for command in plan.commands] == [4, 5, 5, 4]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_message_of_a_generated_session_is_sent_or_counted(seed: int) -> None:
    read = lobster.parse("".join(generate.lines(5000, seed)).encode(), "generated")
    plan = plan_session(read)
    unseen = plan.resting_at_start + plan.added_unseen
    assert len(plan.commands) + sum(plan.skipped.values()) == len(read) + unseen
    assert set(plan.skipped) <= {orders.SKIPPED_HIDDEN, orders.SKIPPED_CROSS, orders.SKIPPED_HALT}


ROWS = st.tuples(st.integers(1, 7), st.integers(1, 12), st.integers(1, 9), st.integers(1, 5), st.sampled_from([1, -1]))


@given(st.lists(ROWS, min_size=1, max_size=60))
def test_any_file_gives_commands_in_order_about_orders_that_were_entered(rows: list[tuple[int, ...]]) -> None:
    plan = plan_session(messages(*rows))  # type: ignore[arg-type]
    entered = set()
    for ordinal, command in enumerate(plan.commands, start=1):
        assert command.ordinal == ordinal
        if command.side:
            assert command.order == ordinal
            assert command.quantity > 0
            entered.add(ordinal)
        else:
            assert command.sender == MAKER
            assert command.order in entered
