# SPDX-License-Identifier: GPL-3.0-or-later
"""engine_native/bench/peers.py: turns, ratios, and what a peer may print."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "engine_native" / "bench" / "peers.py"


@pytest.fixture
def peers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


def test_ratio_is_the_median_of_the_rounds(peers: ModuleType) -> None:
    found = {
        "Ironbook": [{"ns_per_op": ns} for ns in (10, 40, 12)],
        "other": [{"ns_per_op": ns} for ns in (40, 100, 60)],
    }
    assert peers.summary(found)["peers"] == {"other": {"ns_per_op": 60, "ratio": 0.25}}


def test_results_of_other_workloads_stay(peers: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "match.json"
    number, line = command("print(80)"), command('print("{\\"ns_per_op\\": 20, \\"resting\\": 7}")')
    for workload in ("a.lobw", "b.lobw"):
        assert peers.main(["--workload", workload, "--ours", line, "--peer", f"other={number}", "--rounds", "2",
                           "--save", str(save)]) == 0  # fmt: skip
    saved = json.loads(save.read_text(encoding="utf-8"))
    assert sorted(saved) == ["a.lobw", "b.lobw"]
    assert saved["a.lobw"]["peers"]["other"] == {"ns_per_op": 80, "ratio": 0.25}
    assert saved["a.lobw"]["resting"] == 7
    assert saved["a.lobw"]["machine"] and saved["a.lobw"]["compiler"]
    assert "Ironbook / other = 0.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('raise SystemExit("no such file")', "peers: other failed on a.lobw: no such file"),
        ("pass", "peers: other failed on a.lobw: it printed nothing"),
        ('print("fast")', "peers: other: no ns_per_op in the last line that it printed: 'fast'"),
        ("print(0)", "peers: other: no ns_per_op in the last line that it printed: '0'"),
    ],
)
def test_peer_that_gives_no_figure_is_named(peers: ModuleType, code: str, said: str) -> None:
    with pytest.raises(SystemExit) as failed:
        peers.run("other", [sys.executable, "-c", code], Path("a.lobw"))
    assert str(failed.value) == said


def test_command_that_is_not_there_is_named(peers: ModuleType) -> None:
    with pytest.raises(SystemExit, match="peers: other: /nowhere/engine: No such file or directory"):
        peers.run("other", ["/nowhere/engine"], Path("a.lobw"))
