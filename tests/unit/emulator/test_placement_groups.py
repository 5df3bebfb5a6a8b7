# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement groups answer as the EC2 API reference says; stock moto does not know them."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError


@pytest.fixture
def ec2(repaired):
    return repaired("ec2")


@pytest.fixture
def name() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


def code_of(call, **arguments) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def test_stock_moto_does_not_know_placement_groups(stock) -> None:
    with pytest.raises((ClientError, ResponseParserError)):  # it answers HTTP 500 and a page in HTML
        stock("ec2").create_placement_group(GroupName="any", Strategy="cluster")


def test_a_group_is_created_found_and_deleted(ec2, name, conforms) -> None:
    tags = [{"Key": "Environment", "Value": "local"}]
    created = ec2.create_placement_group(
        GroupName=name, Strategy="cluster", TagSpecifications=[{"ResourceType": "placement-group", "Tags": tags}]
    )
    conforms(ec2, "CreatePlacementGroup", created)
    group = created["PlacementGroup"]
    assert (group["GroupName"], group["Strategy"], group["State"], group["Tags"]) == (
        name,
        "cluster",
        "available",
        tags,
    )
    assert group["GroupId"].startswith("pg-")
    assert group["GroupArn"] == f"arn:aws:ec2:us-east-1:123456789012:placement-group/{name}"

    for query in (
        {"GroupNames": [name]},
        {"GroupIds": [group["GroupId"]]},
        {"Filters": [{"Name": "group-name", "Values": [name[:-1] + "?"]}]},
        {"Filters": [{"Name": "group-name", "Values": [name]}, {"Name": "tag:Environment", "Values": ["local"]}]},
    ):
        found = ec2.describe_placement_groups(**query)
        conforms(ec2, "DescribePlacementGroups", found)
        assert found["PlacementGroups"] == [group], query

    ec2.delete_placement_group(GroupName=name)
    assert ec2.describe_placement_groups(Filters=[{"Name": "group-name", "Values": [name]}])["PlacementGroups"] == []


def test_tags_are_those_of_a_placement_group(ec2, name, conforms) -> None:
    group = ec2.create_placement_group(GroupName=name)["PlacementGroup"]
    ec2.create_tags(Resources=[group["GroupId"]], Tags=[{"Key": "Team", "Value": name}])
    found = ec2.describe_tags(
        Filters=[{"Name": "resource-type", "Values": ["placement-group"]}, {"Name": "value", "Values": [name]}]
    )
    conforms(ec2, "DescribeTags", found)
    assert [tag["ResourceId"] for tag in found["Tags"]] == [group["GroupId"]]


def test_defaults_of_the_other_strategies(ec2, name) -> None:
    partition = ec2.create_placement_group(GroupName=name, Strategy="partition")["PlacementGroup"]
    spread = ec2.create_placement_group(GroupName=f"{name}-s", Strategy="spread")["PlacementGroup"]
    assert partition["PartitionCount"] == 2
    assert spread["SpreadLevel"] == "rack"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"Strategy": "stack"}, "InvalidParameterValue"),
        ({"Strategy": "cluster", "PartitionCount": 3}, "InvalidParameterValue"),
        ({"Strategy": "partition", "PartitionCount": 8}, "InvalidParameterValue"),
        ({"Strategy": "spread", "SpreadLevel": "street"}, "InvalidParameterValue"),
        ({"GroupName": "x" * 256}, "InvalidParameterValue"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)
def test_what_create_refuses(ec2, name, arguments, code) -> None:
    assert code_of(ec2.create_placement_group, **{"GroupName": name} | arguments) == code
    assert ec2.describe_placement_groups(Filters=[{"Name": "group-name", "Values": [name]}])["PlacementGroups"] == []


def test_a_name_is_taken_once(ec2, name) -> None:
    ec2.create_placement_group(GroupName=name)
    assert code_of(ec2.create_placement_group, GroupName=name) == "InvalidPlacementGroup.Duplicate"


def test_an_unknown_group_is_refused(ec2, name) -> None:
    unknown = "InvalidPlacementGroup.Unknown"
    assert code_of(ec2.describe_placement_groups, GroupNames=[name]) == unknown
    assert code_of(ec2.describe_placement_groups, GroupIds=["pg-00000000000000000"]) == unknown
    assert code_of(ec2.delete_placement_group, GroupName=name) == unknown


def test_an_unknown_filter_is_refused(ec2) -> None:
    query = [{"Name": "colour", "Values": ["red"]}]
    ec2.create_placement_group(GroupName=f"group-{uuid.uuid4().hex[:8]}")
    assert code_of(ec2.describe_placement_groups, Filters=query) == "InvalidParameterValue"
