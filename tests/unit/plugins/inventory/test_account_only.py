# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible ends with one line before it asks AWS for hosts, unless the credentials are of the inventory's account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.ironbook.trading.plugins.inventory import account_only
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import account

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(name="asked")
def asked_accounts(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The account that each question to STS was about; STS knows 111122223333 alone."""
    asked: list[str | None] = []

    def answer(wanted: str | None, _endpoint: str | None) -> list[str]:
        asked.append(wanted)
        return [] if wanted in {None, "111122223333"} else [f"not {wanted}"]

    monkeypatch.setattr(account, "account_problems", answer)
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    return asked


def problems(directory: Path, *options: str) -> list[str]:
    return account_only.problems(directory, options, DataLoader())


@pytest.mark.parametrize("name", ["dev", "example", "production", "staging"])
def test_the_account_of_the_group_variables_is_asked_for(asked: list[str | None], name: str) -> None:
    assert problems(ROOT / "inventories" / name) == []
    assert asked == ["111122223333"]


def test_the_command_line_wins_and_another_account_is_refused(asked: list[str | None]) -> None:
    assert problems(ROOT / "inventories" / "example", "aws_account_id=999999999999") == ["not 999999999999"]
    assert asked == ["999999999999"]


def test_an_account_that_takes_jinja_is_left_to_the_role(asked: list[str | None], tmp_path: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("aws_account_id: \"{{ lookup('env', 'ACCOUNT') }}\"\n")
    assert problems(tmp_path) == []
    assert asked == [None]


def test_nothing_is_asked_without_a_region(asked: list[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    assert problems(ROOT / "inventories" / "example")[0].startswith("AWS_REGION not set")
    assert asked == []


def test_nothing_is_asked_in_another_region_than_the_inventorys(
    asked: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = problems(ROOT / "inventories" / "dr")
    assert line.startswith(
        "AWS_REGION is us-east-1, the inventory is for us-west-2 (aws_region): export AWS_REGION=us-"
    )
    assert asked == []
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-west-2")
    assert problems(ROOT / "inventories" / "dr") == []
    (line,) = problems(ROOT / "inventories" / "dr", "aws_region=eu-west-1")
    assert "the inventory is for eu-west-1" in line


@pytest.mark.parametrize("name", ["AWS_SECRET_KEY", "AWS_SECURITY_TOKEN", "AWS_URL", "AWS_ENDPOINT_URL_STS"])
def test_nothing_is_asked_where_the_modules_would_ask_elsewhere(
    asked: list[str | None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "https://sts.example")
    assert problems(ROOT / "inventories" / "example")[0].startswith(f"{name} is ")
    assert asked == []


def test_nothing_is_asked_where_the_configuration_file_has_one_service_elsewhere(
    asked: list[str | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "c").write_text("[default]\nservices = x\n[services x]\nec2 =\n  endpoint_url = https://e.example\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "c"))
    assert "for ec2 alone" in problems(ROOT / "inventories" / "example")[0]
    assert asked == []


def test_a_problem_ends_ansible_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_only, "problems", lambda *_arguments: ["no"])
    plugin: Any = account_only.InventoryModule()
    with pytest.raises(SystemExit, match=r"^ERROR: x/a_account_only.yml: no$"):
        plugin.parse(None, None, "x/a_account_only.yml")


@pytest.mark.parametrize("name", ["dev", "dr", "example", "production", "staging"])
def test_the_guard_is_read_before_what_asks_aws(name: str) -> None:
    files = sorted(path.name for path in (ROOT / "inventories" / name).glob("*.yml"))
    assert files[0] == "a_account_only.yml"
    assert "engines.aws_ec2.yml" in files
