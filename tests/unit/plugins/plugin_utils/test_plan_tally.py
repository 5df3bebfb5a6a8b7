# SPDX-License-Identifier: GPL-3.0-or-later
"""A preview's changes are told apart by what there is, and each resource is counted once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import read
from ansible_collections.ironbook.trading.plugins.plugin_utils.plan_tally import NAMED, Tally

THERE = [
    {"kind": "vpc", "id": "vpc-1", "name": "trading"},
    {"kind": "placement_group", "id": "pg-1", "name": "trading-a"},
    {"kind": "volume", "id": "vol-1", "name": "engine-0-0"},
]


def result(actions: Any = None, **arguments: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"changed": True, "invocation": {"module_args": arguments}}
    return told if actions is None else told | {"actions": actions}


def lines(*results: tuple[str, dict[str, Any]]) -> list[str]:
    tally = Tally()
    tally.begin(THERE)
    for module, told in results:
        tally.note(module, "host: task", told)
    return tally.lines()


@pytest.mark.parametrize(
    ("module", "told", "line"),
    [
        ("amazon.aws.ec2_vpc_net", result(name="trading"), "~ vpc trading"),
        ("amazon.aws.ec2_vpc_net", result(name="trading", state="absent"), "- vpc trading"),
        ("amazon.aws.ec2_vpc_net", result(name="another"), "+ vpc another"),
        ("amazon.aws.ec2_vpc_igw", result(tags={"Name": "trading"}), "+ internet_gateway trading"),
        ("amazon.aws.ec2_tag", result(resource="pg-1"), "~ placement_group trading-a"),
        ("ironbook.trading.aws_part_tags", result([{"part": "vol-1", "tags": {}}]), "~ volume engine-0-0"),
        ("ironbook.trading.preview", result([{"kind": "a", "name": "b", "action": "create"}]), "+ a b"),
        ("ironbook.trading.platform_resources", result([{"kind": "a", "name": "b", "action": "delete"}]), "- a b"),
        ("ironbook.trading.platform_resources", result([{"kind": "a", "name": "b", "action": "tag"}]), "~ a b"),
        ("ironbook.trading.aws_configuration_table", result(["create"], name="t"), "+ dynamodb_table t"),
        ("somebody.elses.module", result(name="x"), "~ task host: task"),
    ],
)
def test_a_change_is_told_by_what_there_is(module: str, told: dict[str, Any], line: str) -> None:
    assert lines((module, told))[:-1] == [line]


def test_each_resource_is_counted_once_and_a_replaced_one_twice() -> None:
    role = ("amazon.aws.iam_role", result(name="r"))
    policy = ("amazon.aws.iam_policy", result(iam_name="r"))
    replaced = ("ironbook.trading.platform_resources", result([{"kind": "a", "name": "b", "action": "replace"}]))
    unchanged = ("amazon.aws.ec2_vpc_net", {**result(name="trading"), "changed": False})
    assert lines(role, policy, policy, replaced, unchanged) == [
        "+ a b", "- a b", "+ iam_role r", "plan: 2 to add, 0 to change, 1 to destroy"
    ]  # fmt: skip


def test_nothing_is_counted_before_it_is_known_what_there_is() -> None:
    tally = Tally()
    tally.note("amazon.aws.ec2_vpc_net", "host: task", result(name="trading"))
    assert tally.lines() == ["plan: 0 to add, 0 to change, 0 to destroy"]


def test_kinds_are_named_as_they_are_listed() -> None:
    assert {kind for kind, _argument in NAMED.values()} <= {listing.kind for listing in read.listings()}
