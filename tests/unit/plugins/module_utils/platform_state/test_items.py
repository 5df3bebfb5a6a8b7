# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose what is found is: by its tags, and without them by where it lies, what it belongs to and how it is named."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import (
    Estate,
    Item,
    Place,
    end_of,
    kind_of,
    sort_out,
)
from platform_resources import TAGS

PLACE = Place("111122223333", "eu-west-1", "trading")
VPC = Item("vpc", "vpc-1", "trading", "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1", TAGS, parts=["acl-7"])


def sorted_out(*items: Item, tagged: dict | None = None) -> Estate:
    return sort_out([VPC, *items], tagged or {}, Run(TAGS), PLACE)


def test_what_carries_our_marks_is_ours_whatever_its_name() -> None:
    other = Item("s3_bucket", "b", "b", "arn:aws:s3:::b", {**TAGS, "Team": "another"})
    assert sorted_out(other).ours == [other, VPC]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Item("subnet", "subnet-1", "", "a", {}, vpc="vpc-1"), "it lies in the VPC trading"),
        (Item("network_acl", "acl-7", "x", "a", {"Team": "devops"}), "it belongs to trading"),
        (Item("kinesis_stream", "trading-x", "trading-x", "a", {}), "its name begins as ours do"),
        (Item("kms_key", "1", "trading", "a", {"ManagedBy": TAGS["ManagedBy"]}), "its name begins as ours do"),
    ],
)
def test_what_carries_nobodys_marks_and_can_only_be_ours_lacks_its_tags(item: Item, reason: str) -> None:
    found = sorted_out(item)
    assert (found.ours, found.unmarked) == ([VPC], [(item, reason)])


@pytest.mark.parametrize(
    "item",
    [
        Item("subnet", "subnet-1", "", "a", {}, vpc="vpc-2"),
        Item("subnet", "subnet-1", "", "a", {"Project": "theirs"}, vpc="vpc-1"),
        Item("kinesis_stream", "tradings", "tradings", "a", {}),
        Item("s3_bucket", "trading-x", "trading-x", "a", {**TAGS, "Environment": "dev"}),
    ],
)
def test_what_is_somebody_elses_is_left_out(item: Item) -> None:
    found = sorted_out(item)
    assert (found.ours, found.unmarked) == ([VPC], [])


def test_what_only_the_tagging_api_knows_is_listed_once() -> None:
    queue = "arn:aws:sqs:eu-west-1:111122223333:trading-orders"
    group = "arn:aws:logs:eu-west-1:111122223333:log-group:/trading/flow:*"
    listed = Item("log_group", "/trading/flow", "/trading/flow", group.removesuffix(":*"), TAGS)
    found = sorted_out(listed, tagged={queue: TAGS, group: TAGS, VPC.arn: TAGS})
    assert [(item.kind, item.name) for item in found.ours] == [
        ("log_group", "/trading/flow"), ("sqs", "trading-orders"), ("vpc", "trading")
    ]  # fmt: skip


def test_a_terminated_instance_of_which_the_tagging_api_still_tells_is_not_listed() -> None:
    terminated, running = (f"arn:aws:ec2:eu-west-1:111122223333:instance/i-{number}" for number in range(2))
    listed = Item("instance", "i-1", "engine-0-0", running, TAGS)
    assert sorted_out(listed, tagged={terminated: TAGS, running: TAGS}).ours == [listed, VPC]


def test_lines_tell_what_there_is_what_lacks_tags_and_how_many() -> None:
    lines = sorted_out(Item("subnet", "subnet-1", "", "a", {}, vpc="vpc-1")).lines()
    assert lines[0].split() == ["vpc", "trading", VPC.arn]
    assert lines[1:] == [
        "drift: subnet subnet-1 (without a Name) does not carry the tags that say whose it is, and it lies in the VPC "
        "trading: tag or remove it",
        "1 resources, and 1 without the tags that say whose they are",
    ]


@pytest.mark.parametrize(
    ("arn", "kind", "end"),
    [
        ("arn:aws:sqs:eu-west-1:1:q", "sqs", "q"),
        ("arn:aws:rds:eu-west-1:1:cluster-snapshot:s", "rds_cluster_snapshot", "s"),
        ("arn:aws:ec2:eu-west-1:1:vpc/vpc-1", "ec2_vpc", "vpc-1"),
    ],
)
def test_an_arn_says_kind_and_name(arn: str, kind: str, end: str) -> None:
    assert (kind_of(arn), end_of(arn)) == (kind, end)
