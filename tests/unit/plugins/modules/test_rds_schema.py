# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around the runner: its arguments, its exits. The runner itself is tested on a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.doc_fragments.database import ModuleDocFragment
from ansible_collections.ironbook.trading.plugins.module_utils.rds_schema.errors import SchemaError
from ansible_collections.ironbook.trading.plugins.modules import rds_schema

WHERE = {"host": "h", "user": "u", "password": "a-secret", "database": "d", "directory": "/migrations"}


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, dict[str, Any]]:
    with patch_module_args({**WHERE, **options}), pytest.raises(SystemExit) as ended:
        rds_schema.main()
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def test_documentation_and_arguments_name_the_same_options() -> None:
    documented = yaml.safe_load(rds_schema.DOCUMENTATION)["options"]
    shared = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert set(documented) | set(shared) == set(rds_schema.ARGUMENTS)


def test_it_hands_over_what_it_was_given_and_returns_what_it_got(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def migrate(address: Any, options: Any, check_mode: bool) -> dict[str, Any]:
        seen.extend((address, options, check_mode))
        return {"changed": True, "actions": ["apply"]}

    monkeypatch.setattr(rds_schema, "migrate", migrate)
    code, result = call(capsys, _ansible_check_mode=True, target=3)
    address, options, check_mode = seen
    assert (code, result["changed"], result["actions"]) == (0, True, ["apply"])
    assert (address.port, address.sslmode, address.password) == (5432, "verify-full", "a-secret")
    assert (options.target, options.lock_timeout_ms, options.directory) == (3, 100, "/migrations")
    assert check_mode is True


def test_an_error_is_its_line_and_what_had_been_applied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(*_arguments: Any) -> dict[str, Any]:
        raise SchemaError("V0002__b.sql: no, with a-secret in it", [{"version": 1}])

    monkeypatch.setattr(rds_schema, "migrate", migrate)
    code, result = call(capsys)
    assert (code, result["failed"], result["changed"], result["applied"]) == (1, True, True, [{"version": 1}])
    assert result["msg"].startswith("V0002__b.sql: no") and "a-secret" not in json.dumps(result)


@pytest.mark.parametrize(("name", "library"), [("PSYCOPG_IMPORT_ERROR", "psycopg"), ("PGLAST_IMPORT_ERROR", "pglast")])
def test_a_missing_library_is_named(
    name: str, library: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rds_schema, name, ImportError("gone"))
    code, result = call(capsys)
    assert code == 1 and library in result["msg"]
