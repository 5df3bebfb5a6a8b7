# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin session_replay, with a command in place of the real one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.action import session_replay

RESULT = {
    "input": "file.csv", "commands": 10, "sent": 10, "seconds": 1.0, "fills": 2, "quantity": 3, "notional": 4,
    "skipped": {"hidden": 5}, "changed": True,
}  # fmt: skip


@pytest.fixture(name="arguments")
def made_arguments(tmp_path: Path) -> dict[str, Any]:
    return {
        "market_data": str(tmp_path),
        "generate": {"messages": 100, "seed": 1, "symbol": "AAPL"},
        "endpoints": ["127.0.0.1:1", "127.0.0.1:2"],
        "maker": "MAKER1",
        "taker": "TAKER1",
        "secrets_directory": "/secrets",
        "directory": str(tmp_path / "trade"),
        "speed": 0.0,
    }


def stand_in(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let the plugin run a script of ours instead of `ironbook session`."""
    monkeypatch.setattr(session_replay, "_COMMAND", (sys.executable, "-c", f"import json, sys\n{script}"))


def task(arguments: dict[str, Any]) -> session_replay.ActionModule:
    """Return the plugin as Ansible would call it, with these arguments."""
    module = session_replay.ActionModule.__new__(session_replay.ActionModule)
    module._task = SimpleNamespace(
        args=arguments, check_mode=False, async_val=0, diff=False, environment=[], action="x"
    )
    module._display = SimpleNamespace(display=lambda _text: None)
    module._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
    module._supports_check_mode = module._supports_async = True
    return module


def test_progress_is_shown_and_the_result_returned(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    line = {"progress": {"messages": 5, "sent": 5, "of": 10, "fills": 1, "seconds": 2.4}}
    stand_in(monkeypatch, f"print({json.dumps(line)!r})\nprint({json.dumps({'result': RESULT})!r})")
    shown: list[str] = []
    result = session_replay.replay(arguments, shown.append)
    assert shown == ["5 of 10 messages, 1 fills, 2 s"]
    assert result["changed"]
    assert "skipped" not in result, "Ansible would show the task as skipped"
    assert result["not_sent"] == {"hidden": 5}
    assert result["actions"] == ["sent 10 messages of file.csv"]
    assert "5 x hidden" in result["summary"]


def test_configuration_holds_no_password(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    stand_in(monkeypatch, f"print({json.dumps({'result': RESULT})!r})")
    session_replay.replay(arguments, lambda _line: None)
    written = json.loads((Path(arguments["directory"]) / "client.json").read_text())
    assert written["maker"] == {"username": "MAKER1", "password_file": "/secrets/session_MAKER1"}
    assert written["endpoints"] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert set(written) == {"endpoints", "maker", "taker"}


def test_a_failure_is_its_one_line(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    stand_in(monkeypatch, "sys.exit('ironbook: f.csv:7: field price: wrong')")
    with pytest.raises(session_replay.ReplayError, match=r"^ironbook: f\.csv:7: field price: wrong$"):
        session_replay.replay(arguments, lambda _line: None)


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        ([], 0),
        ([{"sent": 0}], 0),
        ([{"progress": {"messages": 9, "sent": 4, "of": 10, "fills": 1, "seconds": 2.4}}], 4),
        ([{"progress": {"messages": 9, "sent": 4, "of": 10, "fills": 1, "seconds": 2.4}}, {"sent": 5}], 5),
    ],
    ids=["failed at once", "sent nothing", "killed", "failed on the way"],
)
def test_a_replay_that_fails_after_it_has_sent_has_changed_the_market(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], lines: list[dict[str, Any]], sent: int
) -> None:
    script = "".join(f"print({json.dumps(line)!r})\n" for line in lines)
    stand_in(monkeypatch, f"{script}sys.exit('ironbook: the venue closed the connection')")
    result = task(arguments).run()
    assert (result["failed"], result["changed"], result["sent"]) == (True, sent > 0, sent)
    assert result["msg"] == "ironbook: the venue closed the connection"


def test_a_finished_session_is_no_change(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    stand_in(monkeypatch, f"print({json.dumps({'result': {**RESULT, 'sent': 0, 'changed': False}})!r})")
    result = session_replay.replay(arguments, lambda _line: None)
    assert (result["changed"], result["actions"]) == (False, [])
    assert "nothing was sent" in result["summary"]


def test_a_plan_names_what_is_wrong_and_the_remedy(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    stand_in(monkeypatch, "sys.exit('ironbook: f.csv:7: field price: wrong')")
    with pytest.raises(session_replay.ReplayError) as refused:
        session_replay.plan(arguments)
    assert str(refused.value) == "ironbook: f.csv:7: field price: wrong; mend it, or name another file as MARKET_DATA"


def test_a_plan_changes_nothing(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    line = {"result": {"input": "f", "symbol": "AAPL", "commands": 7, "skipped": {}, "changed": True}}
    stand_in(monkeypatch, f"assert '--plan' in sys.argv\nprint({json.dumps(line)!r})")
    result = session_replay.plan(arguments)
    assert (result["changed"], result["sent"], result["symbol"]) == (False, 0, "AAPL")


def test_a_preview_only_plans(monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]) -> None:
    plan = {"result": {"input": "f", "commands": 7, "skipped": {}, "changed": True}}
    stand_in(monkeypatch, f"assert '--plan' in sys.argv\nprint({json.dumps(plan)!r})")
    result = session_replay.preview(arguments)
    assert (result["changed"], result["sent"], result["actions"]) == (True, 0, ["would replay 7 messages of f"])
    assert not Path(arguments["directory"]).exists()


def test_a_preview_without_market_data_generates_nothing(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any]
) -> None:
    stand_in(monkeypatch, "sys.exit('must not run')")
    result = session_replay.preview({**arguments, "market_data": ""})
    assert result["changed"]
    assert "would generate and replay 100 messages" in result["summary"]
    assert not Path(arguments["directory"]).exists()
