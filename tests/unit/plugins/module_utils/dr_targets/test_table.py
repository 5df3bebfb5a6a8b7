# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of DRB-08 to the second, and that a drill is judged by its own row."""

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
    parse,
)

ROOT = Path(__file__).resolve().parents[5]
ROWS = [asdict(target) for target in TARGETS]
ROW_TEXT = next(
    row["text"] for row in yaml.safe_load((ROOT / "tests/features.yml").read_text())["rows"] if row["id"] == "DRB-08"
)


@pytest.mark.feature("DRB-08", by="U", part="the table")
def test_the_table_is_the_owners() -> None:
    """Read from the row's own words, so that neither can change without the other."""
    words = {"pod": "pod", "node": "node", "zone": "AZ", "region": "region", "data_loss": "complete data loss"}
    units = {"min": 60, "h": 3600, "": 1}
    for target in TARGETS:
        found = re.search(rf"{words[target.scenario]} <(\d+) (min|h)/<?(\d+) ?(min|h|)", ROW_TEXT)
        assert found, target
        assert target.rto_below_seconds == int(found[1]) * units[found[2]]
        assert target.rpo_below_seconds == int(found[3]) * units[found[4]]
    assert len(TARGETS) == ROW_TEXT.count("/") - ROW_TEXT.count("RTO/RPO") == 5
    assert len({target.drill for target in TARGETS}) == 5
    assert check(ROWS) == [] and parse(ROWS) == TARGETS


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
        (changed(0, rto_below_seconds=61), "row pod: rto_below_seconds is 61, wider than the 60 that are promised"),
        (changed(1, rpo_below_seconds=1), "row node: rpo_below_seconds is 1, wider than the 0 that are promised"),
        (changed(2, rto_below_seconds=0), "row zone: rto_below_seconds is 0; whole seconds from 1 are wanted"),
        (changed(2, rpo_below_seconds=True), "row zone: rpo_below_seconds is True; whole seconds from 0 are wanted"),
        (changed(2, rto_below_seconds=None), "row zone: rto_below_seconds is missing"),
        (changed(3, colour="red"), "row region: colour is unknown"),
        (changed(3, drill=""), "row region: drill is ''"),
        (changed(3, drill="host_loss"), "row region: its drill host_loss is that of row node too"),
        (ROWS[:4], "dr_targets has no row data_loss: add it, with the drill restore_from_archive"),
        ([*ROWS, {"scenario": "meteor"}], "a row 'meteor': known are pod, node, zone, region, data_loss"),
    ],
)
def test_each_fault_of_a_table_is_one_line(rows: list[dict[str, Any]], says: str) -> None:
    (line,) = check(rows)
    assert says in line
    with pytest.raises(ValueError, match="dr_targets"):
        parse(rows)


def test_a_row_that_is_there_twice_is_named() -> None:
    problems = check([*ROWS, ROWS[0] | {"drill": "another"}])
    assert problems == ["dr_targets has 2 rows pod: keep one"]
