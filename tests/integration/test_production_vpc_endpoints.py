# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints of production's VPC, by which AWS's services are reached without the internet, read back by boto3."""

from __future__ import annotations

from typing import Any

import pytest
from integration.production_site import CIDR, PREFIX, TAGS, TIERS, Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

SERVICES = ["kinesis-streams", "s3", "dynamodb"]


def endpoints(ec2: Any) -> dict[str, dict[str, Any]]:
    """Each endpoint that is there, by its service's short name."""
    listed = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    there = [endpoint for endpoint in listed if endpoint["State"] != "deleted"]
    named = {endpoint["ServiceName"].removeprefix("com.amazonaws.us-east-1."): endpoint for endpoint in there}
    assert len(named) == len(there)
    return named


def private_tables(ec2: Any) -> dict[str, dict[str, Any]]:
    """The route tables that the private subnets follow, by id."""
    subnets = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": TIERS["private"]}])["Subnets"]
    inside = [{"Name": "association.subnet-id", "Values": [subnet["SubnetId"] for subnet in subnets]}]
    return {table["RouteTableId"]: table for table in ec2.describe_route_tables(Filters=inside)["RouteTables"]}


def group(ec2: Any, name: str) -> list[dict[str, Any]]:
    return ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{PREFIX}-{name}"]}])[
        "SecurityGroups"
    ]


@pytest.mark.feature("NET-13", by="M")
def test_kinesis_s3_and_dynamodb_are_reached_without_the_internet(ec2) -> None:
    there = endpoints(ec2)
    assert sorted(there) == sorted(SERVICES)
    tables = private_tables(ec2)
    assert len(tables) == 3
    lists = ec2.describe_managed_prefix_lists()["PrefixLists"]
    for service in ("s3", "dynamodb"):
        assert there[service]["VpcEndpointType"] == "Gateway"
        assert sorted(there[service]["RouteTableIds"]) == sorted(tables)
        (prefix,) = [each["PrefixListId"] for each in lists if each["PrefixListName"].endswith(f".{service}")]
        for table in tables.values():
            routes = {route.get("DestinationPrefixListId"): route.get("GatewayId") for route in table["Routes"]}
            assert routes[prefix] == there[service]["VpcEndpointId"]
    kinesis = there["kinesis-streams"]
    assert (kinesis["VpcEndpointType"], kinesis["PrivateDnsEnabled"]) == ("Interface", True)
    subnets = ec2.describe_subnets(SubnetIds=kinesis["SubnetIds"])["Subnets"]
    assert sorted(subnet["CidrBlock"] for subnet in subnets) == TIERS["private"]
    (endpoints_group,) = group(ec2, "endpoints")
    assert [each["GroupId"] for each in kinesis["Groups"]] == [endpoints_group["GroupId"]]
    (https,) = endpoints_group["IpPermissions"]
    assert (https["IpProtocol"], https["FromPort"], https["ToPort"]) == ("tcp", 443, 443)
    assert [entry["CidrIp"] for entry in https["IpRanges"]] == [CIDR]
    assert https["UserIdGroupPairs"] == [] and endpoints_group["IpPermissionsEgress"] == []
    for service, endpoint in there.items():
        assert tags_in(endpoint["Tags"]) == {**TAGS, "Name": f"{PREFIX}-{service}"}


@pytest.mark.feature("NET-14", by="M")
def test_what_is_taken_off_the_list_is_removed_with_its_group(venue: Venue, ec2) -> None:
    """First one of three, then the others: an empty list leaves none, and what is somebody else's stays."""
    theirs = {"VpcId": venue.vpc["VpcId"], "ServiceName": "com.amazonaws.vpce.theirs", "VpcEndpointType": "Interface"}
    bystander = ec2.create_vpc_endpoint(**theirs)["VpcEndpoint"]["VpcEndpointId"]
    fewer = venue.apply("aws_network:isolation", variables="aws_network_vpc_endpoints: [kinesis-streams, s3]")
    assert (fewer.returncode, fewer.changed) == (0, {"localhost": 1}), fewer.output
    assert sorted(endpoints(ec2)) == ["com.amazonaws.vpce.theirs", "kinesis-streams", "s3"]
    assert len(group(ec2, "endpoints")) == 1
    emptied = venue.apply("aws_network:isolation", variables="aws_network_vpc_endpoints: []")
    assert (emptied.returncode, emptied.changed) == (0, {"localhost": 2}), emptied.output
    routes = [route for table in private_tables(ec2).values() for route in table["Routes"]]
    assert routes and not any("DestinationPrefixListId" in route for route in routes)
    assert group(ec2, "endpoints") == []
    listed = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [each["VpcEndpointId"] for each in listed if each["State"] == "available"] == [bystander]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[bystander])
    again = venue.apply("aws_security_groups", "aws_network:isolation")
    assert (again.returncode, again.changed) == (0, {"localhost": 2}), again.output
    assert sorted(endpoints(ec2)) == sorted(SERVICES)
