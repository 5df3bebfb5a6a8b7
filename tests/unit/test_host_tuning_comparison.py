# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/host_tuning_comparison.md names a test for what it says of us, and the test is there."""

from __future__ import annotations

import re

from local_processes import ROOT

PAGE = ROOT / "docs/host_tuning_comparison.md"
SHORT = {"hosts/": "unit/plugins/module_utils/host_tuning/"}
NOTHING = ("none on EC2", "no")
"""What is said of us where there is nothing to show."""


def rows() -> list[list[str]]:
    """The rows of the tables that end in what a test shows."""
    tables = [
        part.splitlines() for part in PAGE.read_text(encoding="utf-8").split("\n\n") if part.startswith("| point")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for table in tables for line in table[2:]]


def missing(named: str) -> list[str]:
    """The tests of a cell that there are not."""
    found = []
    for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", named):
        path = next(
            (where + file.removeprefix(short) for short, where in SHORT.items() if file.startswith(short)), file
        )
        full = ROOT / "tests" / path
        if not full.exists() or f"def {test}(" not in full.read_text(encoding="utf-8"):
            found.append(f"{file}::{test}")
    return found


def test_what_we_claim_names_tests_that_are_there() -> None:
    assert len(rows()) >= 20 and {len(row) for row in rows()} == {7}
    for point, *_others, ours, shown in rows():
        assert (shown == "–") == (ours in NOTHING), f"{point}: {ours}"
        assert shown == "–" or "::" in shown, point
        assert missing(shown) == [], point


def test_one_that_is_not_there_is_found() -> None:
    assert missing("`hosts/test_apply.py::test_nothing`, `unit/no.py::test_x`") == [
        "hosts/test_apply.py::test_nothing",
        "unit/no.py::test_x",
    ]
