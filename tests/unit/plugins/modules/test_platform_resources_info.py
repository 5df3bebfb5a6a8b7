# SPDX-License-Identifier: GPL-3.0-or-later
"""The twin tells what is ours, every field of it, and nothing of anybody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import platform_resources_info as module
from platform_resources import CONNECTION, FOREIGN, TAGS, clients, converge, in_this_process

HOST = {"zone": "us-east-1a", "instance_type": "c5n.metal"}


def call(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args({**CONNECTION, **options}), pytest.raises(SystemExit):
        module.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.slow
def test_it_tells_what_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with in_this_process():
        client = clients()
        options = {"log_groups": [{"name": "/a", "retention_days": 7}], "dedicated_hosts": [{"name": "h", **HOST}]}
        ours = converge(client, options)
        assert converge(client, {"dedicated_hosts": [{"name": "h", **HOST}], "tags": FOREIGN}).problems == []
        answer = call(capsys, tags=TAGS)
        assert answer["changed"] is False
        assert [(there["kind"], there["name"]) for there in answer["resources"]] == [
            ("dedicated_host", "h"),
            ("log_group", "/a"),
        ]
        host, group = answer["resources"]
        assert host["id"] == ours.ids["dedicated_host", "h"]
        assert host["fields"] == {**HOST, "auto_placement": False, "recovery": False}
        assert group["tags"] == TAGS and group["fields"]["retention_days"] == 7
        assert [there["kind"] for there in call(capsys, tags=TAGS, kinds=["log_group"])["resources"]] == ["log_group"]


def test_tags_that_do_not_say_whose_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, tags={"Project": "trading-engine"})
    assert answer["problems"] == [
        "tags lack Environment and ManagedBy, which tell what is ours: set them in ironbook_tags"
    ]
