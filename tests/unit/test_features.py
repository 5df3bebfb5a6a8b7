# SPDX-License-Identifier: GPL-3.0-or-later
"""The count of proved rows cannot be had by a wrong mark, a skipped test or a stale page."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from feature_rows import (
    CATALOGUE,
    CLASSES,
    DOCUMENT,
    TESTS,
    Mark,
    Result,
    Row,
    State,
    document,
    parse_mark,
    read_rows,
    standing,
    states,
    summary,
)

BOTH = Row("XXX-01", "text", (frozenset("M"), frozenset("P")), "[M] a; [P] b", "core")
EITHER = Row("XXX-02", "text", (frozenset("MU"),), "[M/U] a", "core")

CONFTEST = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from feature_rows import FeatureMarks

def pytest_configure(config):
    config.pluginmanager.register(FeatureMarks(config))
"""


def result(by: str, outcome: str = "passed", part: str | None = None) -> Result:
    """Make a result of some test of the row."""
    return Result(f"test_{by}", outcome, Mark("XXX-01", by, part))


def run_pytest(directory: Path, body: str, *options: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run pytest on one file in an empty directory. Returns the process and where its report would be."""
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_it.py").write_text("import pytest\n" + body)
    report = directory / "report" / "features.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(directory)]
    environment = {"PATH": "/usr/bin:/bin", "IRONBOOK_FEATURES_REPORT": str(report), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=directory, check=False)
    return process, report


def test_catalogue_holds_the_mission() -> None:
    """All 467 rows, each with words, a check that names its classes, and an owner."""
    rows = read_rows()
    groups = yaml.safe_load(CATALOGUE.read_text())["groups"]
    assert len(rows) == 467
    assert {row.id.split("-")[0] for row in rows.values()} == set(groups)
    for row in rows.values():
        assert row.text and row.work
        assert all(f"[{name}" in row.check or f"/{name}]" in row.check for name in row.classes), row.id


@pytest.mark.parametrize(
    ("entry", "fault"),
    [("proof: [Q]", "proof"), ("proof: []", "proof"), ("proof: [M]", "twice")],
)
def test_catalogue_refuses_what_it_cannot_mean(tmp_path: Path, entry: str, fault: str) -> None:
    """An unknown class, no class, or a row that stands twice is an error that names the row."""
    row = f"  - {{id: NET-01, text: a, {entry}, check: b, work: core}}\n"
    (tmp_path / "features.yml").write_text("rows:\n" + row * (2 if fault == "twice" else 1))
    with pytest.raises(ValueError, match=f"NET-01.*{fault}"):
        read_rows(tmp_path / "features.yml")


@pytest.mark.parametrize(
    ("mark", "fault"),
    [
        (pytest.mark.feature("NET-99", by="M"), "no row 'NET-99'"),
        (pytest.mark.feature("NET-03", by="X"), "unknown class 'X'"),
        (pytest.mark.feature("NET-03", by="U"), "NET-03 is proved by M, not by U"),
        (pytest.mark.feature("NET-03"), "reads feature"),
        (pytest.mark.feature("NET-03", "NET-04", by="M"), "reads feature"),
        (pytest.mark.feature("NET-03", by="M", prat="CIDR"), "reads feature"),
        (pytest.mark.feature("NET-03", by="M", part=" "), "says nothing"),
    ],
)
def test_wrong_mark_is_refused(mark: pytest.MarkDecorator, fault: str) -> None:
    """Each way to write a mark that proves nothing."""
    with pytest.raises(ValueError, match=fault):
        parse_mark(read_rows(), mark.mark)


def test_partial_mark_may_be_of_any_class() -> None:
    """A simulation can prove a part of what only a real host proves wholly."""
    assert parse_mark(read_rows(), pytest.mark.feature("NET-03", by="U", part="the plan").mark).part == "the plan"


@pytest.mark.parametrize(
    ("results", "proved"),
    [
        ([result("M"), result("P")], True),
        ([result("M")], False),
        ([result("M"), result("P", part="half")], False),
        ([result("M"), result("P", "skipped")], False),
        ([result("M"), result("P", "failed")], False),
        ([result("M"), result("P"), result("P", "failed")], False),
        ([result("M"), result("P"), result("P", "skipped")], True),
        ([], False),
    ],
)
def test_row_that_demands_two_classes_takes_both(results: list[Result], proved: bool) -> None:
    """`[M, P]` is met by a passing M and a passing P, and by nothing less."""
    assert State(BOTH, results).proved is proved


def test_row_that_takes_either_class_is_met_by_one() -> None:
    """`M/U` is met by a passing U alone."""
    assert State(EITHER, [Result("test_u", "passed", Mark("XXX-02", "U"))]).proved


@pytest.mark.parametrize("mark", [Mark("NET-99", "M"), Mark("NET-03", "Q")], ids=["row", "class"])
def test_report_of_an_unknown_row_or_class_is_an_error(mark: Mark) -> None:
    """`make features` counts nothing that the catalogue does not know."""
    with pytest.raises(ValueError, match=f"no row '{mark.row}' of class '{mark.by}'"):
        states(read_rows(), [Result("a test", "passed", mark)])


@pytest.mark.slow
def test_report_tells_outcomes_apart(tmp_path: Path) -> None:
    """Skips, expected failures and broken fixtures prove nothing; under xdist the count is the same."""
    body = """
@pytest.fixture
def broken():
    yield
    raise RuntimeError("teardown")

@pytest.mark.feature("NET-01", by="M")
def test_passes(): pass

@pytest.mark.feature("NET-02", by="M")
def test_skipped(): pytest.skip("no")

@pytest.mark.xfail
@pytest.mark.feature("NET-03", by="M")
def test_expected(): assert False

@pytest.mark.xfail
@pytest.mark.feature("NET-03", by="M")
def test_unexpected(): pass

@pytest.mark.feature("NET-04", by="M")
def test_teardown(broken): pass

@pytest.mark.feature("NET-05", by="M", part="one of three")
def test_part(): pass
"""
    counts = []
    for options in ((), ("-n", "2")):
        _, report = run_pytest(tmp_path, body, *options)
        counts.append(sorted((r["mark"]["row"], r["outcome"]) for r in json.loads(report.read_text())["results"]))
        lines = summary(read_rows(), [report]).splitlines()
        assert lines[-1] == "1 / 467 rows proved"
        assert lines[-2] == "in part, not counted: 1 · failing: 1"
        assert "NET-05  in part (M: one of three)" in lines
        assert "NET-01  proved" in lines
    expected = [("NET-01", "passed"), ("NET-02", "skipped"), ("NET-03", "skipped"), ("NET-03", "skipped")]
    assert counts[0] == counts[1] == [*expected, ("NET-04", "failed"), ("NET-05", "passed")]


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_wrong_mark_stops_the_collection(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The run ends before a test has run, with the line that names the mark."""
    body = '@pytest.mark.feature("NET-99", by="M")\ndef test_it(): print("it ran")\n'
    process, _ = run_pytest(tmp_path, body, "-s", *options)
    assert process.returncode != 0
    assert "no row 'NET-99'" in process.stdout + process.stderr
    assert "it ran" not in process.stdout


def test_a_long_proof_counts_until_what_it_covers_is_changed(tmp_path: Path) -> None:
    """By its result file, in a repository: the commit has to be known, and its paths to be as they were."""

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    for name in ("covered/a", "other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    path = tmp_path / "bench" / "results" / "long.json"
    path.parent.mkdir(parents=True)
    stored = {
        "passed": True,
        "commit": git("rev-parse", "HEAD"),
        "covers": ["covered"],
        "results": [asdict(result("M"))],
    }

    def counts(**changes: object) -> bool:
        path.write_text(json.dumps({**stored, **changes}))
        return standing(path)

    assert counts()
    assert not counts(commit="0000000") and not counts(commit=f"{stored['commit']}+") and not counts(commit=None)
    assert not counts(results=[]) and not counts(covers=[]) and not counts(passed=False)
    (tmp_path / "other").write_text("2\n")
    assert counts()
    (tmp_path / "covered/a").write_text("2\n")
    assert not counts()
    git("commit", "-qam", "two")
    assert not counts()
    git("revert", "--no-edit", "HEAD")
    assert counts()


def test_no_run_is_said(tmp_path: Path) -> None:
    """Without a report the count is zero and the reader learns why."""
    lines = summary(read_rows(), sorted(tmp_path.glob("*.json"))).splitlines()
    assert lines[-1] == "0 / 467 rows proved"
    assert lines[-3].startswith("no run yet")


def test_page_is_what_the_catalogue_renders() -> None:
    """docs/features.md is generated and carries no pass marks, so it changes with the catalogue alone."""
    rows = read_rows()
    groups = yaml.safe_load(CATALOGUE.read_text())["groups"]
    rendered = document(rows, groups)
    assert DOCUMENT.read_text() == rendered, "docs/features.md is stale: run `make features`"
    del rows["NET-01"]
    assert document(rows, groups) != rendered
    assert all(f"**{name}**" in rendered for name in CLASSES)
