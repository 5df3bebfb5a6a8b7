# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/long_proofs.py: what it reads out of a run of pytest, and that a proof of nothing is none."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "long_proofs.py"
CASES = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="integration.test_operations" name="test_an_operation[switch_over]" time="61.4"/>
<testcase classname="integration.test_operations" name="test_an_operation[drill]" time="2.5">{}</testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def proofs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("long_proofs", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("said", "status", "passed"),
    [
        (CASES.format(""), 0, True),
        (CASES.format('<failure message="no"/>'), 1, False),
        (CASES.format('<error message="no"/>'), 1, False),
        (CASES.format('<skipped message="no"/>'), 0, False),  # which pytest calls a success
        (CASES.format(""), 2, False),
        ("<testsuites/>", 0, False),
        (None, 4, False),
    ],
)
def test_each_operation_counts_and_all_have_to_pass(
    proofs: ModuleType, monkeypatch: pytest.MonkeyPatch, said: str | None, status: int, passed: bool
) -> None:
    def run(command: list[str], env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert env["OPERATIONS"] == "all"
        [report] = [word.removeprefix("--junitxml=") for word in command if word.startswith("--junitxml=")]
        if said is not None:
            Path(report).write_text(said)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(proofs.subprocess, "run", run)
    found, succeeded = proofs.operations(argparse.Namespace())
    assert succeeded is passed
    assert found["covers"] == list(proofs.OPERATIONS_COVER)
    if said and "switch_over" in said:
        assert found["operations"]["switch_over"] == {"passed": True, "seconds": 61}
        assert found["operations"]["drill"] == {"passed": said == CASES.format(""), "seconds": 2}
    else:
        assert found["operations"] == {}


def test_what_is_covered_is_there(proofs: ModuleType) -> None:
    for path in (*proofs.OPERATIONS_COVER, *proofs.HOSTS_COVER):
        assert (SCRIPT.parents[1] / path).exists(), path


@pytest.mark.parametrize(("after", "said"), [("1a2b3c", "1a2b3c"), ("4d5e6f", "1a2b3c+")])
def test_the_commit_is_that_of_the_start(
    proofs: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: str, said: str
) -> None:
    commits = iter(["1a2b3c", after])
    monkeypatch.setattr(proofs.machine, "commit", lambda *_paths: next(commits))
    monkeypatch.setattr(proofs, "operations", lambda _arguments: ({}, True))
    assert proofs.main(["operations"]) == 0
    assert json.loads(capsys.readouterr().out)["commit"] == said
