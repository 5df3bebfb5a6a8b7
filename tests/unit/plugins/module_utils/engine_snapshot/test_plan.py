# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken and what is removed, for every list of snapshots that may be there."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.engine_snapshot.plan import (
    Action,
    Found,
    Wanted,
    name_of,
    plan,
)

NOW = 1_000_000.0


def found(seq: int, fault: str = "", age: float = 0) -> Found:
    return Found(name_of(seq), seq, NOW - age, fault)


def taken(actions: list[Action]) -> list[int]:
    return [action.seq for action in actions if action.action == "take"]


def removed(actions: list[Action]) -> list[int]:
    return [action.seq for action in actions if action.action == "remove"]


@pytest.mark.parametrize(
    ("wanted", "there", "end", "takes"),
    [
        (Wanted(), [], 9, [9]),
        (Wanted(), [found(9)], 9, []),
        (Wanted(), [found(8)], 9, [9]),
        (Wanted(at_least=8), [found(8)], 9, []),
        (Wanted(at_least=9), [found(8)], 12, [12]),
        (Wanted(at_least=5), [found(8)], 7, []),  # another member has told of less
        (Wanted(max_age=60), [found(8, age=60)], 9, []),
        (Wanted(max_age=60), [found(8, age=61)], 9, [9]),
        (Wanted(max_age=60), [found(9, age=61)], 9, []),  # nothing has happened since
        (Wanted(at_least=4, max_age=60), [found(8, age=61)], 9, [9]),
        (Wanted(), [found(9, "damaged")], 9, [9]),
        (Wanted(at_least=8), [found(8), found(9, "damaged")], 9, []),
        (Wanted(max_age=60), [found(8, "damaged")], 9, [9]),
    ],
)
def test_a_snapshot_is_taken_where_none_is_good_enough(
    wanted: Wanted, there: list[Found], end: int, takes: list[int]
) -> None:
    assert taken(plan(wanted, there, end, NOW)) == takes


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(ValueError, match="at sequence 10 or later is wanted, and what is committed ends at 9"):
        plan(Wanted(at_least=10), [found(8)], 9, NOW)
    with pytest.raises(ValueError, match="the journal is empty"):
        plan(Wanted(), [], 0, NOW)


def test_older_ones_than_the_newest_sound_ones_go() -> None:
    there = [found(1), found(2, "damaged"), found(3), found(4), found(5, "damaged"), found(6)]
    assert removed(plan(Wanted(keep=2), there, 6, NOW)) == [1, 2, 3]
    assert removed(plan(Wanted(keep=3), there, 6, NOW)) == [1, 2]
    assert removed(plan(Wanted(keep=4), there, 6, NOW)) == []
    assert removed(plan(Wanted(keep=2), there, 7, NOW)) == [1, 2, 3, 4, 5]  # the one of 7 is about to be there
    assert removed(plan(Wanted(), there, 7, NOW)) == []


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_sound_ones_are_never_removed(keep: int) -> None:
    """Of every list of up to six, sound and damaged in any order: `keep` sound ones are left, or all of them."""
    tried = 0
    for count in range(1, 7):
        for faults in itertools.product(("", "damaged"), repeat=count):
            there = [found(seq + 1, fault) for seq, fault in enumerate(faults)]
            actions = plan(Wanted(at_least=1, keep=keep), there, count, NOW)
            left = {one.seq for one in there if not one.fault} | set(taken(actions))
            before = len(left)
            left -= set(removed(actions))
            assert len(left) == min(keep, before) >= 1
            tried += 1
    assert tried == 126
