# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done, from files and history alone."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.migrations import Migration, parse_migration
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.plan import DIRTY, Applied, make_plan

FILES = [parse_migration(f"V000{n}__m{n}.sql", f"SELECT {n};".encode()) for n in (1, 2, 3)]


def row(migration: Migration, state: str = "applied", **changes: str) -> Applied:
    return Applied(
        migration.version, changes.get("name", migration.name), changes.get("sha256", migration.sha256), state
    )


def test_an_empty_history_makes_everything_pending_and_shows_the_sql() -> None:
    plan = make_plan(FILES, [])
    assert (plan.current, plan.target, plan.pending) == (0, 3, tuple(FILES))
    assert plan.actions()[0] == "apply V0001__m1.sql (1 statement)"
    assert plan.diff()[2] == {
        "before": "",
        "after": "SELECT 3;",
        "before_header": "version 0002",
        "after_header": "V0003__m3.sql",
    }


def test_a_full_history_leaves_nothing() -> None:
    plan = make_plan(FILES, [row(file) for file in FILES])
    assert (plan.current, plan.target, plan.pending, plan.actions(), plan.diff()) == (3, 3, (), [], [])


def test_a_target_stops_there() -> None:
    assert make_plan(FILES, [row(FILES[0])], target=2).pending == (FILES[1],)


def test_a_dirty_version_runs_again_only_when_asked() -> None:
    history = [row(FILES[0]), row(FILES[1], DIRTY)]
    with pytest.raises(SchemaError, match=r"V0002__m2\.sql is dirty.*retry_dirty"):
        make_plan(FILES, history)
    plan = make_plan(FILES, history, retry_dirty=True)
    assert plan.retried is FILES[1] and plan.pending == (FILES[1], FILES[2])


@pytest.mark.parametrize(
    ("history", "target", "words"),
    [
        ([row(FILES[0], sha256="0" * 64)], None, f"V0001__m1.sql was edited.*{'0' * 64}.*{FILES[0].sha256}"),
        ([row(FILES[0], name="other")], None, "was applied as V0001__other.sql"),
        ([row(FILES[0]), row(FILES[2])], None, "V0002__m2.sql is not applied, but version 0003 is: out of order"),
        ([*map(row, FILES), Applied(4, "m4", "0" * 64)], None, "V0004__m4.sql was applied, and the directory lacks it"),
        ([row(FILES[0]), row(FILES[1])], 1, "target 0001 lies behind version 0002"),
        ([], 9, "target 0009 is not among the files"),
        ([row(FILES[0], DIRTY), row(FILES[1])], None, "not applied, but version 0002 is"),
    ],
)
def test_files_and_history_that_contradict_each_other_are_refused(
    history: list[Applied], target: int | None, words: str
) -> None:
    with pytest.raises(SchemaError, match=words) as caught:
        make_plan(FILES, history, target)
    assert "\n" not in str(caught.value)
