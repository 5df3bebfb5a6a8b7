# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module reports, and that a preview changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import table
from ansible_collections.ironbook.trading.plugins.modules import aws_configuration_table

CONNECTION = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
WANTED = {"key_arn": "arn:k", "tags": {"Team": "devops"}}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is there and what was done; AWS itself is not asked."""
    seen: dict[str, Any] = {"known": None, "done": []}
    monkeypatch.setattr(table, "read", lambda _client, _name: seen["known"])
    monkeypatch.setattr(table, "apply", lambda _client, _name, _wanted, actions: seen["done"].extend(actions))
    return seen


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the module for the table t."""

    def run(**options: Any) -> dict[str, Any]:
        with patch_module_args({"name": "t", **CONNECTION, **options}), pytest.raises(SystemExit):
            aws_configuration_table.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


def test_it_makes_the_table(account: dict[str, Any], call: Callable[..., dict[str, Any]]) -> None:
    answer = call(**WANTED)
    assert (answer["changed"], answer["actions"], account["done"]) == (
        True,
        ["create", "back_up"],
        ["create", "back_up"],
    )
    assert answer["diff"]["before"] == {}
    assert answer["diff"]["after"] == answer["table"]
    assert answer["table"]["deletion_protection"] is True and answer["table"]["key_arn"] == "arn:k"


def test_a_preview_says_it_and_does_nothing(account: dict[str, Any], call: Callable[..., dict[str, Any]]) -> None:
    account["known"] = table.Table(key_arn="arn:old", tags={"Team": "devops", "Beside": "b"})
    answer = call(_ansible_check_mode=True, **WANTED)
    assert (answer["changed"], answer["actions"], account["done"]) == (True, ["encrypt"], [])
    assert answer["diff"]["before"]["key_arn"] == "arn:old"
    assert answer["diff"]["after"]["tags"] == {"Team": "devops", "Beside": "b"}


def test_nothing_to_do_is_no_change(account: dict[str, Any], call: Callable[..., dict[str, Any]]) -> None:
    account["known"] = table.Table(key_arn="arn:k", tags={"Team": "devops"})
    answer = call(**WANTED)
    assert (answer["changed"], answer["actions"]) == (False, [])
    assert answer["diff"]["before"] == answer["diff"]["after"]


def test_somebody_elses_table_is_an_error(account: dict[str, Any], call: Callable[..., dict[str, Any]]) -> None:
    account["known"] = table.Table(keys=(("id", "S", "HASH"),))
    answer = call(**WANTED)
    assert answer["failed"] is True
    assert answer["msg"] == "the table t has the key id (S), not item (S) alone: it is not ours, give another name"
    assert account["done"] == []
