# SPDX-License-Identifier: GPL-3.0-or-later
"""RunInstances keeps what Placement asks for; stock moto drops the group and the tenancy."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError

IMAGE = (
    "ami-0abcdef1234567890"  # no image of moto's, whose first one calls its platform by a name that EC2 does not know
)


@pytest.fixture
def ec2(repaired):
    return repaired("ec2")


@pytest.fixture
def group(ec2) -> str:
    name = f"group-{uuid.uuid4().hex[:8]}"
    ec2.create_placement_group(GroupName=name, Strategy="cluster")
    return name


@pytest.fixture
def subnets(ec2) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    return {
        zone: ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{index}.0/24", AvailabilityZone=f"us-east-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for index, zone in enumerate("ab")
    }


def launch(ec2, **arguments):
    return ec2.run_instances(ImageId=IMAGE, InstanceType="c5n.metal", MinCount=1, MaxCount=1, **arguments)


def placement_of(ec2, answer):
    instances = [instance["InstanceId"] for instance in answer["Instances"]]
    found = ec2.describe_instances(InstanceIds=instances)
    return found, found["Reservations"][0]["Instances"][0]["Placement"]


def refused(call, *arguments, **more) -> str:
    with pytest.raises(ClientError) as error:
        call(*arguments, **more)
    return error.value.response["Error"]["Code"]


def test_stock_moto_drops_the_tenancy(stock) -> None:
    ec2 = stock("ec2")
    _found, placement = placement_of(ec2, launch(ec2, Placement={"Tenancy": "dedicated"}))
    assert placement["Tenancy"] == "default"


def test_group_and_tenancy_are_kept(ec2, group, subnets, conforms) -> None:
    answer = launch(ec2, SubnetId=subnets["a"], Placement={"GroupName": group, "Tenancy": "dedicated"})
    conforms(ec2, "RunInstances", answer)
    found, placement = placement_of(ec2, answer)
    conforms(ec2, "DescribeInstances", found)
    group_id = ec2.describe_placement_groups(GroupNames=[group])["PlacementGroups"][0]["GroupId"]
    assert placement == {
        "AvailabilityZone": "us-east-1a",
        "GroupName": group,
        "GroupId": group_id,
        "Tenancy": "dedicated",
    }
    assert answer["Instances"][0]["Placement"] == placement


def test_a_group_is_found_by_its_id(ec2, group, subnets) -> None:
    group_id = ec2.describe_placement_groups(GroupNames=[group])["PlacementGroups"][0]["GroupId"]
    _found, placement = placement_of(ec2, launch(ec2, SubnetId=subnets["a"], Placement={"GroupId": group_id}))
    assert placement["GroupName"] == group


def test_without_placement_nothing_is_said(ec2, subnets) -> None:
    _found, placement = placement_of(ec2, launch(ec2, SubnetId=subnets["b"]))
    assert placement["Tenancy"] == "default"
    assert not placement.get("GroupName")


def test_a_dedicated_vpc_makes_dedicated_instances(ec2) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16", InstanceTenancy="dedicated")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/24")["Subnet"]["SubnetId"]
    _found, placement = placement_of(ec2, launch(ec2, SubnetId=subnet))
    assert placement["Tenancy"] == "dedicated"


def test_refusals_leave_no_instance(ec2, group, subnets) -> None:
    assert refused(launch, ec2, Placement={"GroupName": "nobody"}) == "InvalidPlacementGroup.Unknown"
    assert refused(launch, ec2, Placement={"Tenancy": "shared"}) == "InvalidParameterValue"
    launch(ec2, SubnetId=subnets["a"], Placement={"GroupName": group})
    launch(ec2, SubnetId=subnets["a"], Placement={"GroupName": group})
    other_zone = {"SubnetId": subnets["b"], "Placement": {"GroupName": group}}
    assert refused(launch, ec2, **other_zone) == "InvalidParameterValue"
    there = [{"Name": "subnet-id", "Values": [subnets["b"]]}]
    assert ec2.describe_instances(Filters=there)["Reservations"] == []


def test_a_group_in_use_stays(ec2, group, subnets) -> None:
    answer = launch(ec2, SubnetId=subnets["a"], Placement={"GroupName": group})
    assert refused(ec2.delete_placement_group, GroupName=group) == "InvalidPlacementGroup.InUse"
    ec2.terminate_instances(InstanceIds=[answer["Instances"][0]["InstanceId"]])
    ec2.delete_placement_group(GroupName=group)
