# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done, and what is refused, for each state that a shard may be in."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.engine_failover.plan import (
    Plan,
    Record,
    Refused,
    View,
    Wanted,
    plan,
)

WHOLE = Record(4, 0, frozenset({0, 1, 2}), 9)


def view(replica: int = 0, role: str | None = "primary", record: Record | None = WHOLE, **more: Any) -> View:
    """A member of three; `role` None: its engine is down. `heard`: whom it hears as the primary."""
    replication = {"primary": more.pop("heard", 0), "epoch": 4, "promised": more.pop("promised", 4), "last_seq": 77}
    status = None if role is None else {"role": role, "replication": replication}
    fields = {"alive": role is not None, "min_in_sync": 2, "members": 3} | more
    return View(shard=0, replica=replica, record=record, status=status, **fields)


def actions(made: Plan) -> list[str]:
    return [step.action for step in made.steps]


def refusal(wanted: Wanted, seen: View) -> str:
    with pytest.raises(Refused) as refused:
        plan(wanted, seen)
    return str(refused.value)


def test_the_primary_hands_over() -> None:
    made = plan(Wanted("primary", 1), view())
    assert (actions(made), made.until, made.may_be_lost) == (["switch_over"], "handed_over", "")
    assert made.after == {"role": "standby", "epoch": 5, "primary": 1, "in_sync": [0, 1, 2]}


def test_who_is_primary_already_is_left_alone() -> None:
    assert plan(Wanted("primary", 0), view()) == Plan(after=view().shown())
    assert plan(Wanted("primary", 0), view(1, "standby")).steps == ()
    opening = plan(Wanted("primary", 0), view(role="opening"))
    assert (opening.steps, opening.until) == ((), "leads")


@pytest.mark.parametrize(
    ("to", "seen", "words"),
    [
        (1, view(1, "standby"), "the primary of shard 0 is replica 0, and only it can hand over"),
        (1, view(2, "standby"), "run this on its host; this one has replica 2"),
        (2, view(record=Record(4, 0, frozenset({0, 1}), 9)), "replica 2 is not in sync (replicas 0, 1 are)"),
        (1, view(role="standby"), "its engine is standby: a standby takes over by itself"),
        (1, view(role=None), "its engine is down"),
        (0, view(role=None), "its engine does not answer: a standby takes over by itself"),
        (3, view(), "replica 3: shard 0 has the replicas 0 to 2"),
        (1, view(record=None), "shard 0 has no record in the store"),
        (1, view(members=0), "runs alone"),
        (1, view(2, "standby", Record(0, None, frozenset({0, 1, 2}), 1)), "is nobody, and only it"),
    ],
)
def test_a_switchover_that_cannot_be_is_refused(to: int, seen: View, words: str) -> None:
    assert words in refusal(Wanted("primary", to), seen)


FORCED = Wanted("primary", 2, force=True, allow_data_loss=True)
LOST = Record(4, 0, frozenset({0, 1}), 9)


def test_a_forced_failover_makes_a_new_epoch_with_one_member() -> None:
    made = plan(FORCED, view(2, "standby", LOST, heard=None, promised=7))
    assert (actions(made), made.until, made.steps[0].epoch) == (["promote"], "leads", 8)
    assert made.after == {"role": "primary", "epoch": 8, "primary": 2, "in_sync": [2]}
    assert "after sequence 77" in made.may_be_lost
    assert made.may_be_lost in made.steps[0].why  # so it stands in the report
    assert "replicas 0, 1 may have more" in made.may_be_lost


def test_who_is_down_is_started_once_the_record_is_written() -> None:
    made = plan(FORCED, view(2, None, LOST))
    assert (actions(made), made.steps[0].epoch) == (["promote", "start"], 5)
    assert "what was acknowledged after what the journal of replica 2 has" in made.may_be_lost


def test_a_forced_failover_that_was_cut_off_only_waits() -> None:
    made = plan(FORCED, view(2, "opening", Record(5, 2, frozenset({2}), 10), heard=None))
    assert (made.steps, made.until) == ((), "leads")
    down = plan(FORCED, view(2, None, Record(5, 2, frozenset({2}), 10)))
    assert (actions(down), down.until) == (["start"], "leads")
    done = plan(FORCED, view(2, "primary", Record(5, 2, frozenset({2}), 10), heard=2))
    assert (done.steps, done.until) == ((), "")


@pytest.mark.parametrize(
    ("wanted", "seen", "words"),
    [
        (Wanted("primary", 2, force=True), view(2, "standby", LOST, heard=None), "say allow_data_loss as well"),
        (FORCED, view(2, "standby", LOST, heard=0), "replica 0 is heard as the primary of epoch 4"),
        (FORCED, view(2, None, LOST, alive=True), "answers nothing: fence it first"),
        (FORCED, view(2, None, LOST, fault="x.journal: damaged"), "replica 2 cannot lead; take one whose journal is"),
        (FORCED, view(1, "standby", LOST, heard=None), "made primary by force on its own host"),
    ],
)
def test_a_forced_failover_that_is_not_to_be(wanted: Wanted, seen: View, words: str) -> None:
    assert words in refusal(wanted, seen)


def test_no_plan_loses_data_without_the_word() -> None:
    """Over every state of a shard of three: only the forced failover that says so writes a record."""
    tried = 0
    sets = [frozenset(some) for count in (1, 2, 3) for some in itertools.combinations(range(3), count)]
    for in_sync, primary, replica, role, heard in itertools.product(
        sets, range(3), range(3), (None, "standby", "takeover", "opening", "primary", "stopped"), (None, 0, 1, 2)
    ):
        if primary not in in_sync:
            continue
        seen = view(replica, role, Record(4, primary, in_sync, 9), heard=heard)
        for state, force in itertools.product(("primary", "fenced", "rejoined"), (False, True)):
            try:
                made = plan(Wanted(state, replica, force), seen)
            except Refused:
                continue
            assert "promote" not in actions(made)
            tried += 1
    assert tried > 500


def test_a_member_is_fenced() -> None:
    made = plan(Wanted("fenced", 1), view(1, "standby"))
    assert (actions(made), made.until) == (["stop"], "out")
    assert made.after == {"role": "down", "epoch": 4, "primary": 0, "in_sync": [0, 2]}
    hung = plan(Wanted("fenced", 1), view(1, None, alive=True))  # it answers nothing
    assert actions(hung) == ["stop"]
    half = plan(Wanted("fenced", 1), view(1, None))  # an earlier run has stopped it
    assert (half.steps, half.until) == ((), "out")
    done = plan(Wanted("fenced", 1), view(1, None, Record(4, 0, frozenset({0, 2}), 10)))
    assert (done.steps, done.until) == ((), "")


def test_a_fence_leaves_as_many_as_the_shard_needs() -> None:
    two = view(1, "standby", Record(4, 0, frozenset({0, 1}), 9))
    assert "only replica 0 would be in sync, and 2 are needed" in refusal(Wanted("fenced", 1), two)
    made = plan(Wanted("fenced", 1, force=True), two)
    assert (actions(made), made.until) == (["stop"], "")  # the set stays, so nothing waits for it
    assert "fenced on its own host" in refusal(Wanted("fenced", 0), two)


def test_a_member_rejoins() -> None:
    start = plan(Wanted("rejoined", 1), view(1, None))
    assert (actions(start), start.until) == (["start"], "in_sync")
    wait = plan(Wanted("rejoined", 1), view(1, "standby", Record(4, 0, frozenset({0, 2}), 9)))
    assert (wait.steps, wait.until) == ((), "in_sync")
    done = plan(Wanted("rejoined", 1), view(1, "standby"))
    assert (done.steps, done.until) == ((), "")


def test_a_damaged_journal_is_set_aside_where_another_leads() -> None:
    made = plan(Wanted("rejoined", 1), view(1, None, fault="x.journal: damaged"))
    assert (actions(made), made.steps[0].why) == (["set_aside", "start"], "x.journal: damaged")
    own = view(0, None, fault="x.journal: damaged")
    assert "nothing is set aside before another member leads" in refusal(Wanted("rejoined", 0), own)
    newer = view(1, None, fault="x.journal: format 9", foreign_format=True)
    assert "is to be upgraded, not emptied" in refusal(Wanted("rejoined", 1), newer)
    assert "fence it first" in refusal(Wanted("rejoined", 1), view(1, None, alive=True))
    assert "has stopped for good" in refusal(Wanted("rejoined", 1), view(1, "stopped"))
