# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that does not serve says why: the last line of its log stands in the one line of the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ironbook import engine_ready
from ironbook.cli import main
from ironbook.errors import CommandError


@pytest.mark.parametrize(
    ("log", "end"),
    [
        ("ironbook: engine: first\nironbook: engine: the journal is damaged\n\n", "the journal is damaged"),
        ("", "is it running?"),
        (None, "is it running?"),
    ],
)
def test_the_log_of_an_engine_that_does_not_serve_is_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], log: str | None, end: str
) -> None:
    path = tmp_path / "engine.log"
    if log is not None:
        path.write_text(log)
    arguments = ["--socket", str(tmp_path / "admin.sock"), "--seconds", "0", "--log", str(path)]
    assert main(["engine-ready", *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ironbook: no engine serves after 0 s: ")
    assert end in line
    assert "first" not in line


def status(role: str, primary: int | None, in_sync: list[int], **more: Any) -> dict[str, Any]:
    """What a member of a shard of three says of itself."""
    members = [{"replica": replica, "connected": replica != 0} for replica in range(3)]
    shard = {"primary": primary, "in_sync": in_sync, "reason": "because", "store_fault": None, "members": members}
    return {"shard": 0, "replica": 1, "role": role, "state": "serving", "seq": 9, "replication": shard, **more}


def answering(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Let an engine answer this, one after the other and the last one for ever."""
    left = list(answers)
    monkeypatch.setattr(engine_ready, "request", lambda *_, **__: left.pop(0) if len(left) > 1 else left[0])
    return left


def test_a_member_is_waited_for_until_its_shard_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It knows no primary, then it does but one is not in sync, then all are; who is, a standby does not know."""
    left = answering(
        monkeypatch,
        status("standby", None, [0, 1, 2]),
        status("primary", 1, [1, 2]),
        status("primary", 1, [0, 1, 2]),
        status("standby", 2, [1, 2]),
    )
    assert main(["engine-ready", "--socket", "s", "--seconds", "5", "--in-sync", "3", "--json"]) == 0
    assert len(left) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"result": {"role": "primary", "primary": 1, "in_sync": [0, 1, 2]}}
    assert main(["engine-ready", "--socket", "s", "--seconds", "0"]) == 0
    assert capsys.readouterr().out == "shard 0 replica 1 follows replica 2 at sequence 9\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status("standby", None, [0, 1, 2]), r"is standby \(because\); no primary yet"),
        (status("standby", 0, [0, 1, 2]), r"is standby \(because\); replica 0, the primary, is away"),
        (status("takeover", 0, [0, 1, 2]), r"is takeover \(because\); no primary yet"),
        (status("primary", 1, [1, 2]), r"is primary \(because\); 2 of 3 members are in sync: \[1, 2\]"),
    ],
)
def test_what_a_shard_lacks_is_said(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], said: str) -> None:
    """When the time is over, in one line; and what the store says against it."""
    answering(monkeypatch, answer)
    with pytest.raises(CommandError, match=f"no engine serves after 0 s: shard 0 replica 1 {said}"):
        engine_ready.wait(Path("s"), 0, in_sync=3)
    answer["replication"]["store_fault"] = "throttled"
    with pytest.raises(CommandError, match="; the store: throttled;"):
        engine_ready.wait(Path("s"), 0, in_sync=3)


def test_a_halted_primary_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only somebody can resume it; an engine that runs alone is asked for nothing more."""
    answering(monkeypatch, status("primary", 1, [0, 1, 2], state="halted"))
    with pytest.raises(CommandError, match="the engine is halted, not serving"):
        engine_ready.wait(Path("s"), 5)
    answering(monkeypatch, status("alone", None, [], replication=None))
    assert engine_ready.wait(Path("s"), 0, in_sync=3)["role"] == "alone"
