# SPDX-License-Identifier: GPL-3.0-or-later
"""The module and its twin that only reads: what they report, and that a preview sets nothing."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform import parts
from ansible_collections.ironbook.trading.plugins.modules import aws_part_tags, aws_part_tags_info

TAGS = {"Project": "p", "ManagedBy": "ansible"}
LACKING = {"ManagedBy": "ansible", "Name": "engine-0", "Project": "p"}
KNOWN = (
    {"i": TAGS | {"Name": "engine-0"}, "theirs": {"Name": "their-bastion", "CostCenter": "theirs"}},
    {"vol": "i", "eni": "i", "their-vol": "theirs"},
    {"vol": LACKING, "their-vol": {"Name": "their-data"}},
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was set; AWS itself is not asked."""
    actions: list[Any] = []
    monkeypatch.setattr(parts, "read", lambda _ec2, name: KNOWN if name == "v" else None)
    monkeypatch.setattr(parts, "apply", lambda _ec2, planned: actions.extend(planned))
    return actions


def call(module: ModuleType, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    arguments = {
        "vpc_name": "v",
        "name_prefixes": ["v-", "engine-"],
        "tags": TAGS,
        "region": "us-east-1",
        "access_key": "AKIAEXAMPLE",
        "secret_key": "not-a-secret",
        **options,
    }
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_it_sets_what_is_lacking(written: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(aws_part_tags, capsys)
    assert answer["changed"] is True
    assert answer["actions"] == [{"part": "eni", "tags": LACKING}]
    assert answer["diff"] == {"before": {"eni": {}}, "after": {"eni": LACKING}}
    assert [action.part for action in written] == ["eni"]


def test_a_preview_says_it_and_sets_nothing(written: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(aws_part_tags, capsys, _ansible_check_mode=True)["actions"] == [{"part": "eni", "tags": LACKING}]
    assert call(aws_part_tags, capsys, _ansible_check_mode=True, vpc_name="none")["changed"] is True
    assert written == []


def test_without_a_network_there_is_nothing_to_tag(written: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(aws_part_tags, capsys, vpc_name="none")
    assert answer["failed"] is True
    assert answer["msg"] == "no VPC is named none: provision the network first"
    assert written == []


@pytest.mark.parametrize("module", [aws_part_tags, aws_part_tags_info])
def test_tags_that_do_not_tell_what_is_ours_are_refused(
    written: list[Any], capsys: pytest.CaptureFixture[str], module: ModuleType
) -> None:
    answer = call(module, capsys, tags={"Team": "t"})
    assert answer["failed"] is True and answer["msg"].startswith("tags lack Project and ManagedBy")
    assert written == []


def test_the_twin_only_reads(written: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(aws_part_tags_info, capsys)
    assert answer["changed"] is False
    assert answer["parts"] == [
        {"part": "eni", "owner": "i", "tags": {}},
        {"part": "vol", "owner": "i", "tags": LACKING},
    ]
    assert call(aws_part_tags_info, capsys, vpc_name="none")["parts"] == []
    assert written == []
