# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module takes, shows and reports, from its arguments to moto in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.ironbook.trading.plugins.modules import platform_resources as module
from platform_resources import CONNECTION, ROLE, TAGS, clients, in_this_process

GROUP = {"name": "/flow", "retention_days": 2557}
FLOW = {"name": "flow", "vpc": "trading", "log_group": "/flow", "role_arn": ROLE}
WANTED = {"tags": TAGS, "log_groups": [GROUP], "flow_logs": [FLOW]}


@pytest.fixture
def empty() -> Iterator[Any]:
    """An account that nobody has put anything into."""
    with in_this_process():
        yield clients()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the module."""

    def run(**options: Any) -> dict[str, Any]:
        with patch_module_args({**CONNECTION, **options}), pytest.raises(SystemExit):
            module.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


@pytest.mark.slow
def test_from_a_preview_of_nothing_to_a_second_run(empty: Any, call: Callable[..., dict[str, Any]]) -> None:
    shown = call(_ansible_check_mode=True, **WANTED)
    assert shown["changed"] is True and "failed" not in shown
    assert shown["diff"]["before"] == {}
    assert shown["diff"]["after"]["flow_log flow"]["vpc"] == "(known after apply)"
    assert empty("logs").describe_log_groups()["logGroups"] == []
    vpc = empty("ec2").create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    empty("ec2").create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "trading"}])
    done = call(**WANTED)
    assert done["actions"] == [
        {"kind": "log_group", "name": "/flow", "action": "create"},
        {"kind": "flow_log", "name": "flow", "action": "create"},
    ]
    assert done["diff"]["after"]["flow_log flow"]["vpc"] == vpc
    assert done["resources"]["log_group"] == {"/flow": "/flow"}
    again = call(**WANTED)
    assert (again["changed"], again["actions"], again["diff"]) == (False, [], {"before": {}, "after": {}})
    assert again["resources"] == done["resources"]


@pytest.mark.slow
def test_what_is_not_there_is_named_with_its_remedy(empty: Any, call: Callable[..., dict[str, Any]]) -> None:
    answer = call(**WANTED)
    assert answer["failed"] is True and answer["actions"] == []
    assert answer["problems"] == [
        "flow_log flow: it names the vpc trading, which does not exist: correct the name, or provide that first"
    ]
    assert answer["msg"] == answer["problems"][0]
    assert empty("logs").describe_log_groups()["logGroups"] == [], "nothing is done where not all can be"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({**WANTED, "log_groups": [{**GROUP, "retention_days": 2556}]}, "value of retention_days must be one of"),
        ({**WANTED, "flow_logs": [{"name": "flow"}]}, "state is present but all of the following are missing: vpc"),
        ({**WANTED, "tags": {"Team": "devops"}}, "tags lack Environment"),
        ({**WANTED, "log_groups": [{**GROUP, "retention": 1}]}, "Unsupported parameters"),
    ],
)
def test_bad_input_is_refused_before_the_first_call(
    call: Callable[..., dict[str, Any]], options: dict[str, Any], said: str
) -> None:
    answer = call(**options)
    assert answer["failed"] is True and said in answer["msg"]
