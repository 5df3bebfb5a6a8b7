# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates stop what they should: a failing lane, a missing tool as root, and a tree that is not clean."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from gates import debian, lanes, ports
from gates.lanes import LANES, Lane, chosen, environment, last_line

ROOT = lanes.ROOT
PLAYBOOK = "---\n- name: A play\n  hosts: localhost\n  gather_facts: false\n  roles: []\n"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lane that runs these tests has set the variable for itself."""
    monkeypatch.delenv("IRONBOOK_PORT_BASE", raising=False)


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be someone who may not install packages."""
    monkeypatch.setattr(debian, "may_install", lambda: False)


@pytest.fixture
def clean_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Let git see what the test says: first what is changed before the lanes, then what is changed after them.

    And no site be found: a lane of molecule's name first ends what an interrupted run left, and beside this test runs
    the real one.
    """
    monkeypatch.setattr(lanes, "STATE", tmp_path / "state")
    seen = ["", ""]
    answers = iter(seen)
    monkeypatch.setattr(lanes, "changes", lambda: next(answers))
    yield seen


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
def test_passing_lanes_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each lane has one line, which ends with what its command said last."""
    mine = [Lane("one", "echo first; echo ==== 3 passed in 1 s ====")]
    assert lanes.main([], mine, tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok      one") and lines[0].endswith("3 passed in 1 s")
    assert lines[-1].startswith("1 lanes passed, 0 failed, 0 not run")


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
def test_failing_lane_fails_the_run_and_shows_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other lanes still run."""
    mine = [Lane("bad", "seq 100; echo the reason; exit 3"), Lane("good", "true")]
    assert lanes.main([], mine, tmp_path) == 1
    output = capsys.readouterr().out
    assert "FAIL    bad" in output and "ok      good" in output and "  the reason" in output
    assert "the last 40 of 101 lines" in output and "\n  61\n" not in output
    assert "FAIL: bad" in output


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
def test_the_end_of_a_run_tells_what_failed_first_in_a_playbook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not the cleanup that fails after it, with which the log ends."""
    said = ["ironbook: port 22200 is taken", "PLAY RECAP", *["ERROR    cleanup failed: for that"] * 9]
    mine = [Lane("molecule-x", f"printf '%s\\n' {' '.join(map(shlex.quote, said))}; false"), Lane("good", "true")]
    assert lanes.main([], mine, tmp_path) == 1
    _, _, end = capsys.readouterr().out.rpartition("\n\n")
    assert [line for line in end.splitlines() if line.startswith("  ")] == [f"  {said[0]}", *[f"  {said[-1]}"] * 2] * 2


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
def test_the_end_of_a_run_names_each_test_that_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a lane whose own output is long gone from the screen, and of no lane that passed."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef broken():\n    raise OSError('no disk')\n\n\n"
        "@pytest.mark.parametrize('a', ['x y', 'z'])\ndef test_it(a):\n    assert a == 'z'\n"
        "\n\ndef test_fixture(broken):\n    pass\n"
    )
    mine = [
        Lane("bad", f"python -m pytest -q -p no:cacheprovider {tmp_path}/test_it.py --durations 10"),
        Lane("good", "echo FAILED a.py::test_that_passes later"),
    ]
    assert lanes.main([], mine, tmp_path) == 1
    _, _, end = capsys.readouterr().out.partition("bad: 1 failed, 1 passed, 1 error")
    named = [line.strip() for line in end.splitlines() if "::" in line]
    assert [line.partition("test_it.py::")[2].split(" - ")[0] for line in named] == ["test_it[x y]", "test_fixture"]
    assert named[0].startswith("FAILED ") and named[1].startswith("ERROR ")


def fails_once(name: str) -> Lane:
    """Leaves a mark in its log's directory the first time, and passes where it finds one."""
    runs = ("integration",) if name.startswith("integration") else ()
    mark = f"$LOGS/{name}.mark"
    return Lane(name, f"echo FAILED a.py::test_it - stalled; test -e {mark} || {{ touch {mark}; exit 1; }}", runs=runs)


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
@pytest.mark.parametrize(
    ("mine", "again", "code"),
    [
        ([fails_once("integration-a")], ["integration-a"], 0),
        ([fails_once("molecule-hosts"), fails_once("integration-a")], ["integration-a", "molecule-hosts"], 0),
        ([fails_once(f"integration-{name}") for name in "abc"], [], 1),  # so many are no accident
        ([fails_once("unit")], [], 1),  # what waits for nobody fails by its own fault
        ([fails_once("integration-a"), Lane("ruff", "false")], [], 1),
        (
            [fails_once("integration-a"), Lane("molecule", "false")],
            ["integration-a", "molecule"],
            1,
        ),  # fails alone, too
    ],
)
def test_a_lane_that_waits_for_processes_runs_once_more_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mine: list[Lane], again: list[str], code: int
) -> None:
    """A machine that stalls can fail it. What had failed is told, and its log is kept."""
    logs = tmp_path / "lanes"
    mine = [replace(lane, command=f"LOGS={logs}; {lane.command}") for lane in mine]
    assert lanes.main([], [*mine, Lane("good", "true")], tmp_path) == code
    _, _, end = capsys.readouterr().out.rpartition("\n\n")
    assert sorted(re.findall("run again, alone, since it had failed: ([^,]+)", end)) == again
    assert sorted(path.name for path in logs.glob("*.first.log")) == [f"{name}.first.log" for name in again]
    assert "FAILED a.py::test_it - stalled" in end


@pytest.mark.usefixtures("ordinary_user", "clean_tree")
def test_a_lane_that_ran_alone_is_not_run_again(tmp_path: Path) -> None:
    """Nothing ran beside it that could have been the reason."""
    alone = fails_once("integration-a")
    assert lanes.main([], [replace(alone, command=f"LOGS={tmp_path}; {alone.command}")], tmp_path) == 1


@pytest.mark.usefixtures("clean_tree")
@pytest.mark.parametrize("root", [False, True])
def test_missing_tool_is_not_run_but_fails_as_root(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: bool
) -> None:
    """An ordinary user is told what to install; root on Debian may leave no lane out."""
    monkeypatch.setattr(debian, "may_install", lambda: root)
    monkeypatch.setattr(debian, "has", lambda tool: False)
    assert lanes.main([], [Lane("capture", "true", needs=("tshark",))], tmp_path) == int(root)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("FAIL    capture" if root else "not run capture")
    assert line.endswith("missing: apt-get install tshark")


@pytest.mark.usefixtures("ordinary_user")
@pytest.mark.parametrize(("before", "after", "code"), [("", "?? litter\n", 1), ("?? mine\n", "?? mine\n?? more\n", 0)])
def test_tree_that_was_clean_must_stay_so(
    tmp_path: Path, clean_tree: list[str], before: str, after: str, code: int
) -> None:
    """Who edits while the tests run is not blamed; a clean checkout must stay clean."""
    clean_tree[:] = [before, after]
    assert lanes.main([], [Lane("one", "true")], tmp_path) == code


def test_lane_sees_no_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the caller has set, a lane starts with no credentials, and with state and ports of its own."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("IRONBOOK_STATE", "/somewhere/.site")
    seen = environment(Lane("one", "true"))
    assert {name: value for name, value in seen.items() if value == "real"} == {}
    assert seen["AWS_CONFIG_FILE"] == seen["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert seen["IRONBOOK_STATE"] == str(ROOT / ".test" / "site") and seen["IRONBOOK_PORT_BASE"] == str(ports.first())


def test_every_file_of_the_integration_tests_is_in_one_lane() -> None:
    """None is forgotten and none runs twice; a new one, whatever its name, has a lane at once."""
    files = sorted(path.relative_to(ROOT) for path in ROOT.glob("tests/integration/**/test_*.py"))
    commands = " ".join(lane.command for lane in lanes.integration(path.name for path in files))
    assert sorted(Path(word) for word in commands.split() if word.startswith("tests/integration/")) == files
    there = [lane.name for lane in lanes.integration(["test_rds_proxy.py", "test_something_new.py", "test_session.py"])]
    assert there == ["integration-venue", "integration-database", "integration-site"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reason", "strict", "state"),
    [("tshark is missing", True, "FAIL"), ("tshark is missing", False, "ok"), (lanes.MAY_LACK, True, "ok")],
)
def test_a_skipped_test_hides_nothing_from_root(tmp_path: Path, reason: str, strict: bool, state: str) -> None:
    """Whoever may install what is missing cannot pass without it; the market data is what nobody can install."""
    (tmp_path / "test_it.py").write_text(f"import pytest\n\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    runner = lanes.Runner(tmp_path, strict)
    runner.logs.mkdir()
    outcome = runner.run_one(Lane("one", lanes.pytest(str(tmp_path), "-ra")))
    assert outcome.state == state, outcome
    assert ("skipped: " in outcome.closing and reason in outcome.closing) == (state == "FAIL")


def test_a_package_that_brings_a_service_does_not_start_it(tmp_path: Path) -> None:
    """A machine with a policy of its own keeps it; another one has none afterwards, whatever happened."""
    policy = tmp_path / "policy-rc.d"
    with pytest.raises(subprocess.CalledProcessError), debian.nothing_started(policy):
        assert subprocess.run([policy, "etcd", "start"], check=False).returncode == 101
        raise subprocess.CalledProcessError(100, "apt-get")
    assert not policy.exists()
    policy.write_text("theirs")
    with debian.nothing_started(policy):
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"


def test_every_tool_that_a_lane_needs_has_a_package() -> None:
    """Else the line that tells what to install could not be printed."""
    assert {tool for lane in LANES for tool in lane.needs} <= debian.PACKAGES.keys()


def test_runs_are_made_of_lanes() -> None:
    """`all` leaves out what repeats another in part; the fast one keeps clear of servers."""
    assert {lane.name for lane in LANES} - {lane.name for lane in chosen(LANES, "all")} == {"unit-fast"}
    assert {"ruff", "mypy", "unit-fast", "c-test"} <= {lane.name for lane in chosen(LANES, "fast")}
    assert not {"molecule", "unit"} & {lane.name for lane in chosen(LANES, "fast")}
    assert not any(lane.name.startswith("integration") for lane in chosen(LANES, "fast"))
    assert set(chosen(LANES, "integration")) == {lane for lane in LANES if lane.name.startswith("integration")}
    assert [lane.name for lane in chosen(LANES, "ruff")] == ["ruff"]


# Every gate of the repository and what its command has in it: whoever drops a lane has to say so in two places.
GATES = {
    "ansible-lint": "ansible-lint --offline --strict",
    "c-analyze": "/analyze analyze",
    "c-test": "/test test",
    "changelog": "antsibull-changelog lint",
    "collection": "tests/collection",
    "docs": "antsibull-docs lint-collection-docs",
    "fuzz": "/fuzz fuzz",
    "journal": "/journal journal",
    "limits": "/limits limits",
    "integration-capture": "tests/integration/",
    "integration-database": "tests/integration/",
    "integration-deploy": "tests/integration/",
    "integration-engine": "tests/integration/",
    "integration-input": "tests/integration/",
    "integration-latency": "tests/integration/",
    "integration-operate": "tests/integration/",
    "integration-phases": "tests/integration/",
    "integration-production": "tests/integration/",
    "integration-site": "tests/integration/",
    "integration-failover": "tests/integration/",
    "integration-store": "tests/integration/",
    "integration-throughput": "tests/integration/",
    "integration-venue": "tests/integration/",
    "integration-vpn": "tests/integration/",
    "molecule": "molecule test",
    "molecule-hosts": "containers.py molecule test",
    "probe": "/probe probe",
    "mypy": "mypy services",
    "ruff": "ruff check . && ruff format --check .",
    "sanity": "tests/gates/sanity.py",
    "builds": "/builds builds",
    "threads": "/threads threads",
    "cluster": "/cluster cluster",
    "sim": "/sim sim",
    "core-flow": "tests/core_flow.py",
    "syntax": "tests/gates/syntax.py",
    "unit": "tests/unit tests/tidy",
    "yamllint": "yamllint --strict .",
}


def test_make_test_runs_exactly_these_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the Makefile's own words and the program's own main, which are kept from running anything."""
    recipe = (ROOT / "Makefile").read_text().partition("\ntest:")[2].splitlines()[1]
    words = recipe.partition("tests/gates/lanes.py ")[2].partition(" ||")[0].split()
    ran: list[Lane] = []
    monkeypatch.setattr(lanes.Runner, "run", lambda _runner, mine: ran.extend(mine) or [])
    monkeypatch.setattr(lanes, "changes", lambda: "")
    monkeypatch.setattr(lanes.shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(lanes.ports, "require_fixed", lambda *_: None)
    assert lanes.main(words) == 0
    assert sorted(lane.name for lane in ran) == sorted(GATES)
    assert [lane.name for lane in ran if GATES[lane.name] not in lane.command] == []


def test_unknown_lane_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt lane is an error, never an empty run that passes."""
    with pytest.raises(SystemExit) as error:
        lanes.main(["untit"])
    assert error.value.code == 2 and "no lane untit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "closing"),
    [
        ("a\n===== 2 passed in 0.1s =====\n\n======\n", "2 passed in 0.1s"),
        ("1 failed, 2 passed in 61.10s (0:01:01)\npanic at exit\n", "1 failed, 2 passed in 61.10s (0:01:01)"),
        ("analyze: 28 files, no findings\n", "analyze: 28 files, no findings"),
        ("", ""),
    ],
)
def test_closing_line_is_what_was_counted(tmp_path: Path, text: str, closing: str) -> None:
    """Neither bars, nor empty lines, nor what a library says as the process ends."""
    (tmp_path / "log").write_text(text)
    assert last_line(tmp_path / "log") == closing


def test_ci_calls_make_test_and_nothing_more() -> None:
    """What is tested by hand is what is tested by the machine."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    code = [line for line in lines if line and not line.startswith("#")]
    assert code == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def run_syntax(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the syntax lane's command on another tree."""
    command = [sys.executable, str(ROOT / "tests" / "gates" / "syntax.py"), str(root)]
    return subprocess.run(command, env=environment(Lane("x", "")), capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.feature("ORC-17", by="U")
@pytest.mark.parametrize(
    "broken",
    [
        "---\n- name: A play\n  hosts: localhost\n  rolls: []\n",
        "---\n- name: A play\n  hosts: [localhost\n",
        "---\n- name: A play\n  hosts: localhost\n  tasks:\n    - ansible.builtin.no_such_thing:\n",
    ],
    ids=["unknown key", "no YAML", "unknown module"],
)
def test_ci_fails_on_a_syntax_error_in_a_playbook(tmp_path: Path, broken: str) -> None:
    """The lane that `make test` runs passes a good tree, and fails once an error is injected into it."""
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "good.yml").write_text(PLAYBOOK)
    good = run_syntax(tmp_path)
    assert good.returncode == 0, good.stderr
    (tmp_path / "playbooks" / "zz_bad.yml").write_text(broken)
    bad = run_syntax(tmp_path)
    assert bad.returncode != 0 and "zz_bad.yml" in bad.stderr


@pytest.mark.slow
@pytest.mark.feature("ORC-17", by="U")
@pytest.mark.parametrize(
    ("lane", "name", "good", "bad"),
    [
        ("ruff", "it.py", '"""It."""\n', '"""It."""\nprint((\n'),
        ("yamllint", "it.yml", "---\na: 1\n", "---\na: [1\n"),
        ("ansible-lint", "playbooks/it.yml", PLAYBOOK, PLAYBOOK.replace("roles: []", "tasks:\n    - shell: ls")),
    ],
)
def test_linters_fail_on_an_injected_error(tmp_path: Path, lane: str, name: str, good: str, bad: str) -> None:
    """Each linter's own lane, in a copy with its configuration, before and after the injection."""
    command = next(entry.command for entry in LANES if entry.name == lane)
    for path in (".yamllint", "pyproject.toml", ".config/ansible-lint.yml", "tests/gates/inventory.yml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text())
    (tmp_path / name).parent.mkdir(exist_ok=True)
    codes = []
    for text in (good, bad):
        (tmp_path / name).write_text(text)
        process = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment(Lane("x", "")), capture_output=True, check=False
        )
        codes.append(process.returncode)
    assert codes[0] == 0 and codes[1] != 0


def test_lint_configurations_are_what_we_claim() -> None:
    """The production profile is asked for, and nothing is skipped."""
    configuration = yaml.safe_load((ROOT / ".config" / "ansible-lint.yml").read_text())
    assert configuration["profile"] == "production"
    assert not {"skip_list", "warn_list"} & configuration.keys()
