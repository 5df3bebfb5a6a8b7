# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin that only reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import table
from ansible_collections.ironbook.trading.plugins.modules import aws_configuration_table_info

OPTIONS = {"name": "t", "region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}


def read(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run it for the table t."""
    with patch_module_args(OPTIONS), pytest.raises(SystemExit):
        aws_configuration_table_info.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_it_says_what_the_table_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Or that there is none; it changes nothing."""
    found: list[table.Table | None] = [None, table.Table(key_arn="arn:k", tags={"Team": "devops"})]
    monkeypatch.setattr(table, "read", lambda _client, _name: found.pop(0))
    assert read(capsys)["table"] == {}
    answer = read(capsys)
    assert answer["changed"] is False
    assert answer["table"] == {
        "billing_mode": "PAY_PER_REQUEST",
        "key_arn": "arn:k",
        "deletion_protection": True,
        "point_in_time_recovery": True,
        "tags": {"Team": "devops"},
    }
