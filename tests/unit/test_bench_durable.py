# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/durable.py: what misses its bar, and what is read out of the rounds. Its processes are in tests/integration."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "durable.py"


@pytest.fixture(scope="module")
def durable() -> ModuleType:
    spec = importlib.util.spec_from_file_location("durable", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figure_that_misses_its_bar_is_named(durable: ModuleType) -> None:
    good = {"plain_ratio": 2.0, "durable_ratio": 1.3, "acknowledged_per_s": 300_000, "recovered_per_s": 5_000_000}
    assert durable.misses(good) == []
    bad = {"plain_ratio": 2.001, "durable_ratio": 1.4, "acknowledged_per_s": 299_999, "recovered_per_s": 4_999_999}
    assert durable.misses(bad) == [
        "plain_ratio: 2.001 is over 2.0",
        "durable_ratio: 1.4 is over 1.3",
        "acknowledged_per_s: 299999 is under 300000",
        "recovered_per_s: 4999999 is under 5000000",
    ]


def test_exit_status_says_whether_one_missed(
    durable: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value, status in ((6_000_000, 0), (4_000_000, 1)):
        monkeypatch.setattr(durable, "measure", lambda _, found=value: {"recovery": {"recovered_per_s": found}})
        assert durable.main(["--only", "recovery"]) == status
        said = capsys.readouterr()
        assert f'"recovered_per_s": {value}' in said.out and len(said.out.splitlines()) == 1
        assert bool(said.err) == bool(status)


def test_ratio_is_that_of_each_round(durable: ModuleType) -> None:
    ours, theirs = [{"p50_us": us} for us in (30, 90, 44)], [{"p50_us": us} for us in (20, 100, 40)]
    assert durable.ratio(ours, theirs) == 1.1


def test_rounds_have_a_middle(durable: ModuleType) -> None:
    assert durable.middle([{"orders": 5, "p50_us": 1.5}, {"orders": 5, "p50_us": 2.5}]) == {"orders": 5, "p50_us": 2.0}


def test_sizes_of_reports_are_those_that_came(durable: ModuleType) -> None:
    trips = {"orders": 100, "report_bytes": 6700}
    assert durable.sizes(trips, None) == (67, 0)
    assert durable.sizes(trips, {"orders": 10, "reports": 19, "report_bytes": 670 + 9 * 39}) == (67, 39)
    with pytest.raises(SystemExit, match="the engine sent others than expected"):
        durable.sizes(trips, {"orders": 10, "reports": 19, "report_bytes": 670 + 9 * 39 + 1})
