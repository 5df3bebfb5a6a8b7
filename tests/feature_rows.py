# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the mission, and which of them the tests prove.

tests/features.yml holds the rows. A test names what it proves::

    @pytest.mark.feature("NET-03", by="M")                      # the whole row, by reading the emulator back
    @pytest.mark.feature("ENG-14", by="P", part="one process")  # a part: listed apart, never counted
    @pytest.mark.feature("HFT-05", by="M", repaired="Placement in RunInstances")  # rests on a repair of the emulator

When is a row proved? Its `proof` is a list, and each entry must be met by a test that passed and carries the whole
row (no `part`): `[M, P]` takes a passing M and a passing P, `["M/U"]` takes one of the two. A failing test that
carries the row takes the proof away again. A skipped test proves nothing, nor does an expected failure.

An unknown row or class is an error of collection, and so is a whole mark of a class that the row's check does not
name. A partial mark may be of any class: an emulator can prove a part of what only a real host proves wholly.

Outcomes go to a JSON report when IRONBOOK_FEATURES_REPORT names a file (each lane of `make test` names its own), so
that running a single test by hand changes nobody's count. `make features` runs this file as a program.

A proof that is too long for `make test` counts by its result file in bench/results, which holds its results, its commit
and the paths that it covers: for as long as nothing below these differs from that commit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

TESTS = Path(__file__).resolve().parent
CATALOGUE = TESTS / "features.yml"
DOCUMENT = TESTS.parent / "docs" / "features.md"
REPORTS = TESTS.parent / ".cache" / "features"
LONG_PROOFS = TESTS.parent / "bench" / "results"

CLASSES = {
    "M": "emulator read back",
    "P": "real server",
    "G": "guest, container, or host in namespaces of its own",
    "U": "pure",
    "Stub": "captured request",
    "D": "documentation",
}
KEYWORDS = {"by", "part", "repaired"}


@dataclass(frozen=True)
class Row:
    """One row of the mission. `proof` lists what is demanded, each entry the set of classes that can meet it."""

    id: str
    text: str
    proof: tuple[frozenset[str], ...]
    check: str
    work: str

    @property
    def classes(self) -> frozenset[str]:
        """Every class that the row's check names."""
        return frozenset().union(*self.proof)


@dataclass(frozen=True)
class Mark:
    """What one test says that it proves."""

    row: str
    by: str
    part: str | None = None
    repaired: str | None = None


@dataclass(frozen=True)
class Result:
    """One mark and how its test ended: "passed", "failed" or "skipped"."""

    test: str
    outcome: str
    mark: Mark


@dataclass
class State:
    """What the last run says about one row."""

    row: Row
    results: list[Result] = field(default_factory=list)

    def _whole(self, outcome: str) -> list[Result]:
        return [result for result in self.results if result.mark.part is None and result.outcome == outcome]

    @property
    def proved(self) -> bool:
        """Whether each demanded class has a passing test, and no test of the whole row failed."""
        passed = {result.mark.by for result in self._whole("passed")}
        return not self._whole("failed") and all(demand & passed for demand in self.row.proof)

    @property
    def parts(self) -> list[str]:
        """What is proved of a row short of the whole, as "M: what"."""
        passed = [result.mark for result in self.results if result.outcome == "passed"]
        whole = {f"{mark.by}: its half" for mark in passed if mark.part is None}
        return sorted(whole | {f"{mark.by}: {mark.part}" for mark in passed if mark.part is not None})

    @property
    def word(self) -> str:
        """The state in a word or a few, as `make features` prints it."""
        if self.proved:
            repairs = sorted({result.mark.repaired for result in self._whole("passed") if result.mark.repaired})
            return f"proved (emulated, repaired: {', '.join(repairs)})" if repairs else "proved"
        if failed := [result for result in self.results if result.outcome == "failed"]:
            return f"FAILING ({failed[0].test})"
        if self.parts:
            return f"in part ({'; '.join(self.parts)})"
        return "skipped" if self.results else "-"


def read_rows(path: Path = CATALOGUE) -> dict[str, Row]:
    """Read the catalogue. Raises ValueError if an id stands twice or a class is unknown."""
    rows: dict[str, Row] = {}
    for entry in yaml.safe_load(path.read_text())["rows"]:
        proof = tuple(frozenset(str(demand).split("/")) for demand in entry["proof"])
        row = Row(entry["id"], entry["text"], proof, entry["check"], entry["work"])
        if row.id in rows:
            raise ValueError(f"{path.name}: row {row.id} stands twice")
        if not proof or not row.classes <= CLASSES.keys():
            raise ValueError(f"{path.name}: row {row.id}: proof {entry['proof']} is not of {' '.join(CLASSES)}")
        rows[row.id] = row
    return rows


def parse_mark(rows: dict[str, Row], mark: pytest.Mark) -> Mark:
    """Turn a pytest mark into ours. Raises ValueError with one line that names what is wrong."""
    if len(mark.args) != 1 or not mark.kwargs.keys() <= KEYWORDS or "by" not in mark.kwargs:
        raise ValueError(f'a feature mark reads feature("NET-03", by="M"), not {mark.args} {mark.kwargs}')
    ours = Mark(mark.args[0], **mark.kwargs)
    if ours.row not in rows:
        raise ValueError(f"no row {ours.row!r} in tests/features.yml")
    if ours.by not in CLASSES:
        raise ValueError(f"{ours.row}: unknown class {ours.by!r}; known: {' '.join(CLASSES)}")
    if ours.part is not None and not ours.part.strip():
        raise ValueError(f'{ours.row}: part="" says nothing; name the part')
    if ours.part is None and ours.by not in rows[ours.row].classes:
        named = " ".join(sorted(rows[ours.row].classes))
        raise ValueError(f"{ours.row} is proved by {named}, not by {ours.by}: {rows[ours.row].check}")
    return ours


class FeatureMarks:
    """The pytest plugin: checks the marks at collection, and writes a report of outcomes at the end.

    Under xdist the workers attach the marks to their reports, and only the controller, which sees every report, writes.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Declare the mark."""
        config.addinivalue_line("markers", "feature(row, by, part=None, repaired=None): the row that this test proves")
        self.rows = read_rows()
        self.is_worker = hasattr(config, "workerinput")
        self.report = os.environ.get("IRONBOOK_FEATURES_REPORT")
        self.outcomes: dict[str, str] = {}
        self.marks: dict[str, list[Mark]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Hand each mark to the reports of its test; a wrong one fails the collection of its file."""
        report = yield
        wrong = []
        for item in (node for node in report.result or [] if isinstance(node, pytest.Item)):
            for mark in item.iter_markers("feature"):
                try:
                    item.user_properties.append(("feature", asdict(parse_mark(self.rows, mark))))
                except ValueError as error:
                    wrong.append(f"{item.nodeid}: {error}")
        if wrong:
            report.outcome = "failed"
            report.longrepr = "\n".join(wrong)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's setup, call and teardown."""
        marks = [Mark(**cast(dict[str, Any], value)) for name, value in report.user_properties if name == "feature"]
        if not marks:
            return
        outcome = "skipped" if hasattr(report, "wasxfail") and not report.failed else report.outcome
        badness = ("passed", "skipped", "failed")
        before = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(before, outcome, key=badness.index)
        self.marks[report.nodeid] = marks

    def pytest_sessionfinish(self) -> None:
        """Write the report, where one is wanted."""
        if self.is_worker or not self.report:
            return
        results = [
            asdict(Result(test, outcome, mark)) for test, outcome in self.outcomes.items() for mark in self.marks[test]
        ]
        path = Path(self.report)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"results": results}, indent=1) + "\n")


def read_results(paths: Iterable[Path]) -> Iterator[Result]:
    """Read the results of the given reports."""
    for path in paths:
        for entry in json.loads(path.read_text())["results"]:
            yield Result(entry["test"], entry["outcome"], Mark(**entry["mark"]))


def standing(path: Path) -> bool:
    """Whether a result file holds results of tests that all passed, and what they cover is as it was at its commit.

    A commit that git does not know, or that was changed (``1a2b3c+``), vouches for nothing.
    """
    stored = json.loads(path.read_text())
    if not isinstance(stored, dict) or not all(stored.get(name) for name in ("passed", "results", "covers")):
        return False
    command = ["git", "diff", "--quiet", str(stored.get("commit")), "--", *stored["covers"]]
    done = subprocess.run(command, cwd=path.parents[2], capture_output=True, check=False)
    return done.returncode == 0


def states(rows: dict[str, Row], results: Iterable[Result]) -> list[State]:
    """Sort results to their rows. Raises ValueError where a report names a row or a class that there is not."""
    by_row = {row.id: State(row) for row in rows.values()}
    for result in results:
        if result.mark.row not in by_row or result.mark.by not in CLASSES:
            raise ValueError(f"{result.test}: no row {result.mark.row!r} of class {result.mark.by!r}")
        by_row[result.mark.row].results.append(result)
    return list(by_row.values())


def document(rows: dict[str, Row], groups: dict[str, str]) -> str:
    """Render docs/features.md: what was asked for, and what would prove it. No pass marks: those belong to a run."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")

    lines = [
        "# The mission, row by row",
        "",
        "Generated by `make features` from `tests/features.yml`; edit that. Each row is one thing that the owners",
        "asked for, in their own words. `make features` prints which of them the last `make test` proved.",
        "",
        "Classes of proof: " + ", ".join(f"**{name}** {text}" for name, text in CLASSES.items()) + ".",
        "Several classes: a passing test of each; with a slash: of either.",
    ]
    for group, title in groups.items():
        mine = [row for row in rows.values() if row.id.startswith(f"{group}-")]
        lines += ["", f"## {group}: {title} ({len(mine)} rows)", ""]
        lines += ["| row | asked for | proof | check |", "|---|---|---|---|"]
        for row in mine:
            proof = ", ".join("/".join(sorted(demand)) for demand in row.proof)
            lines.append(f"| {row.id} | {cell(row.text)} | {proof} | {cell(row.check)} |")
    return "\n".join(lines) + "\n"


def summary(rows: dict[str, Row], reports: list[Path]) -> str:
    """Say the state of every row; the last line is `N / 467 rows proved`."""
    found = states(rows, read_results(reports))
    lines = [f"{state.row.id}  {state.word}" for state in found]
    proved = sum(state.proved for state in found)
    partly = [state for state in found if not state.proved and state.parts]
    failing = [state for state in found if any(result.outcome == "failed" for result in state.results)]
    lines.append("")
    if not reports:
        lines.append("no run yet: `make test` writes the reports that are counted here")
    else:
        lines.append(f"from the reports of the last run: {', '.join(path.stem for path in reports)}")
    lines.append(f"in part, not counted: {len(partly)} · failing: {len(failing)}")
    lines.append(f"{proved} / {len(rows)} rows proved")
    return "\n".join(lines)


def main() -> int:
    """Write docs/features.md and print the state of every row."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="directory of the reports of the last run")
    parser.add_argument("--brief", action="store_true", help="print only the last lines, and write nothing")
    arguments = parser.parse_args()
    try:
        rows = read_rows()
        last_run = sorted(arguments.reports.glob("*.json"))
        text = summary(rows, last_run + [path for path in sorted(LONG_PROOFS.glob("*.json")) if standing(path)])
    except ValueError as error:
        raise SystemExit(str(error)) from error
    if arguments.brief:
        text = text.split("\n\n")[-1]
    else:
        DOCUMENT.write_text(document(rows, yaml.safe_load(CATALOGUE.read_text())["groups"]))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
