# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of DRB-08 and DRB-09 to the second, and that a drill is judged by its own row."""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.dr_targets.table import (
    TARGETS,
    Measured,
    check,
    evaluate,
    find,
    parse,
)

ROOT = Path(__file__).resolve().parents[5]
ROWS = [asdict(target) for target in TARGETS]
TEXTS = {row["id"]: row["text"] for row in yaml.safe_load((ROOT / "tests/features.yml").read_text())["rows"]}
UNITS = {"min": 60, "h": 3600, "": 1}


@pytest.mark.feature("DRB-08", by="U")
def test_the_table_is_the_owners() -> None:
    """Read from the row's own words, so that neither can change without the other."""
    words = {"pod": "pod", "node": "node", "zone": "AZ", "region": "region", "data_loss": "complete data loss"}
    text = TEXTS["DRB-08"]
    five = [target for target in TARGETS if target.scenario in words]
    for target in five:
        found = re.search(rf"{words[target.scenario]} <(\d+) (min|h)/<?(\d+) ?(min|h|)", text)
        assert found, target
        assert target.rto_below_seconds == int(found[1]) * UNITS[found[2]]
        assert target.rpo_below_seconds == int(found[3]) * UNITS[found[4]]
        assert find([], target.scenario, target.scope, target.drill) == target
    assert len(five) == text.count("/") - text.count("RTO/RPO") == 5
    assert len({target.drill for target in TARGETS}) == len(TARGETS) == 6
    assert check(ROWS) == [] and parse(ROWS) == TARGETS


@pytest.mark.feature("DRB-09", by="U")
def test_the_full_recovery_is_the_owners() -> None:
    found = re.fullmatch(r"RTO <(\d+) (h) full, RPO <(\d+) (min)", TEXTS["DRB-09"])
    assert found
    full = find([], "full", "venue", "full_recovery")
    assert full.rto_below_seconds == int(found[1]) * UNITS[found[2]] == 4 * 3600
    assert full.rpo_below_seconds == int(found[3]) * UNITS[found[4]] == 15 * 60
    assert evaluate("full_recovery", Measured(4 * 3600 - 1, 15 * 60 - 1, 9)).passed
    assert len(evaluate("full_recovery", Measured(4 * 3600, 15 * 60, 9)).failures) == 2


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (("moon", "shard", "process_crash"), "dr_targets has no row moon/shard; there are pod/shard, node/shard"),
        (("pod", "venue", "process_crash"), "dr_targets has no row pod/venue; there are pod/shard"),
        (("", "", "process_crash"), "dr_targets has no row /; there are"),
        (("region", "venue", "process_crash"), "row region/venue: its drill is region_loss, and this is process_crash"),
    ],
)
def test_a_row_that_is_not_the_drills_is_refused_by_its_name(wanted: tuple[str, str, str], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        find([], *wanted)


@pytest.mark.feature("DRB-08", by="U", part="a measurement is judged by its drill's row")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.scenario)
def test_each_drill_is_judged_by_its_own_row(target: Any) -> None:
    rto, rpo = target.rto_below_seconds, target.rpo_below_seconds
    just = Measured(rto - 0.001, max(0, rpo - 0.001), 0 if rpo == 0 else 7)
    assert evaluate(target.drill, just).passed and evaluate(target.drill, just).target == target
    at_rto = evaluate(target.drill, Measured(rto, 0, 0))
    assert not at_rto.passed and at_rto.failures == (f"RTO {rto} s is not below {rto} s",)
    lost = evaluate(target.drill, Measured(0.1, max(rpo, 0.001), 1))
    assert not lost.passed and len(lost.failures) == 1
    both = evaluate(target.drill, Measured(rto + 1, rpo + 1, 1))
    assert len(both.failures) == 2


def test_where_nothing_may_be_lost_one_missing_order_fails() -> None:
    verdict = evaluate("process_crash", Measured(0.2, 0.0, 1))
    assert verdict.failures == ("1 acknowledged orders are missing, of up to 0 s: none may be",)
    assert evaluate("region_loss", Measured(0.2, 299, 1_000_000)).passed


@pytest.mark.parametrize(
    "measured",
    [
        Measured(None, 0, 0),
        Measured(1, None, 0),
        Measured(1, 0, None),
        Measured(math.nan, 0, 0),
        Measured(1, math.nan, 0),
        Measured(-1, 0, 0),
        Measured(1, 0, -1),
        Measured(math.inf, 0, 0),
    ],
)
def test_what_was_not_measured_has_failed(measured: Measured) -> None:
    for target in TARGETS:
        assert not evaluate(target.drill, measured).passed


def test_a_drill_without_a_row_is_no_pass() -> None:
    with pytest.raises(KeyError, match="no row of dr_targets has the drill coffee; there are process_crash, host_loss"):
        evaluate("coffee", Measured(0, 0, 0))


def changed(number: int, **change: Any) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in (row | change).items() if value is not None} if n == number else row
        for n, row in enumerate(ROWS)
    ]


def test_a_venue_may_promise_more() -> None:
    rows = changed(0, rto_below_seconds=30)
    assert check(rows) == []
    assert not evaluate("process_crash", Measured(45, 0, 0), parse(rows)).passed
    assert evaluate("process_crash", Measured(45, 0, 0)).passed


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (changed(0, rto_below_seconds=61), "row pod/shard: rto_below_seconds is 61, wider than the 60 that are"),
        (changed(1, rpo_below_seconds=1), "row node/shard: rpo_below_seconds is 1, wider than the 0 that are"),
        (changed(2, rto_below_seconds=0), "row zone/shard: rto_below_seconds is 0; whole seconds from 1 are wanted"),
        (changed(2, rpo_below_seconds=True), "row zone/shard: rpo_below_seconds is True; whole seconds from 0 are"),
        (changed(2, rto_below_seconds=None), "row zone/shard: rto_below_seconds is missing"),
        (changed(3, colour="red"), "row region/venue: colour is unknown"),
        (changed(3, drill=""), "row region/venue: drill is ''"),
        (changed(3, drill="host_loss"), "row region/venue: its drill host_loss is that of row node/shard too"),
        (ROWS[:4] + ROWS[5:], "no row data_loss/venue: add it, with the drill restore_from_archive"),
        ([*ROWS, {"scenario": "meteor"}], "a row meteor/None: known are pod/shard, node/shard, zone/shard, region"),
    ],
)
def test_each_fault_of_a_table_is_one_line(rows: list[dict[str, Any]], says: str) -> None:
    (line,) = check(rows)
    assert says in line
    with pytest.raises(ValueError, match="dr_targets"):
        parse(rows)


def test_a_row_that_is_there_twice_is_named() -> None:
    problems = check([*ROWS, ROWS[0] | {"drill": "another"}])
    assert problems == ["dr_targets has 2 rows pod/shard: keep one"]
