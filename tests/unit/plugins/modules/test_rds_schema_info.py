# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the reader: its arguments, its exits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.modules import rds_schema_info

WHERE = {"host": "h", "user": "u", "password": "a-secret", "database": "d"}


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args({**WHERE, **options}), pytest.raises(SystemExit) as ended:
        rds_schema_info.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_it_never_reports_a_change(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def inspect(*arguments: Any) -> dict[str, Any]:
        seen.extend(arguments)
        return {"current_version": 2}

    monkeypatch.setattr(rds_schema_info, "inspect", inspect)
    code, result = call(capsys, directory="/migrations")
    assert (code, result["changed"], result["current_version"]) == (0, False, 2)
    assert seen[1:] == ["/migrations", "ironbook", "schema_history"]


def test_an_error_is_its_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(*_arguments: Any) -> dict[str, Any]:
        raise SchemaError("cannot open database d at h:5432 as u: no")

    monkeypatch.setattr(rds_schema_info, "inspect", inspect)
    code, result = call(capsys)
    assert (code, result["msg"]) == (1, "cannot open database d at h:5432 as u: no")
