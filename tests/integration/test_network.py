# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of inventories/production on the emulator, read back through boto3: what lies beside subnets and routes.

One account serves the whole file: previewed, provisioned, provisioned again, then changed by hand and by the inventory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from integration.platform_runs import Production, Run, production

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

PREFIX = "production-trading-engine"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
PRIVATE = ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]
TAGS = {
    "Environment": "production", "Project": "trading-engine", "ManagedBy": "ansible",
    "Team": "devops", "CostCenter": "engineering", "Compliance": "PCI-DSS",
}  # fmt: skip
SERVICES = ["kinesis-streams", "s3", "dynamodb"]


@dataclass
class Venue:
    """The account of this file, and the runs that it began with."""

    production: Production
    preview: Run
    first: Run
    second: Run

    @property
    def ec2(self) -> Any:
        """A client of EC2."""
        return self.production.client("ec2")


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with production(tmp_path_factory.mktemp("network")) as site:
        preview = site.play("provision", check=True)
        yield Venue(site, preview, site.play("provision"), site.play("provision"))


def endpoints(ec2: Any) -> dict[str, dict[str, Any]]:
    """Each endpoint that is there, by its service's short name."""
    listed = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    there = [endpoint for endpoint in listed if endpoint["State"] != "deleted"]
    named = {endpoint["ServiceName"].removeprefix("com.amazonaws.us-east-1."): endpoint for endpoint in there}
    assert len(named) == len(there)
    return named


def the_vpc(ec2: Any) -> str:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [PREFIX]}])["Vpcs"]
    identifier: str = vpc["VpcId"]
    return identifier


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Tags"]}


def private_tables(ec2: Any) -> dict[str, dict[str, Any]]:
    """The route tables that the private subnets follow, by id."""
    subnets = ec2.describe_subnets(Filters=[{"Name": "cidr-block", "Values": PRIVATE}])["Subnets"]
    inside = [{"Name": "association.subnet-id", "Values": [subnet["SubnetId"] for subnet in subnets]}]
    return {table["RouteTableId"]: table for table in ec2.describe_route_tables(Filters=inside)["RouteTables"]}


def group(ec2: Any, name: str) -> list[dict[str, Any]]:
    return ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"{PREFIX}-{name}"]}])[
        "SecurityGroups"
    ]


def test_the_preview_is_what_came_and_a_second_run_changes_nothing(venue: Venue) -> None:
    for run in (venue.preview, venue.first, venue.second):
        assert run.returncode == 0, run.output
    assert set(venue.preview.changed) == set(venue.first.changed)
    assert venue.second.changed == {}


@pytest.mark.feature("NET-13", by="M")
def test_kinesis_s3_and_dynamodb_are_reached_without_the_internet(venue: Venue) -> None:
    ec2 = venue.ec2
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
    assert sorted(subnet["CidrBlock"] for subnet in subnets) == PRIVATE
    (endpoints_group,) = group(ec2, "endpoints")
    assert [each["GroupId"] for each in kinesis["Groups"]] == [endpoints_group["GroupId"]]
    (https,) = endpoints_group["IpPermissions"]
    assert (https["IpProtocol"], https["FromPort"], https["ToPort"]) == ("tcp", 443, 443)
    assert [entry["CidrIp"] for entry in https["IpRanges"]] == ["10.0.0.0/16"]
    assert https["UserIdGroupPairs"] == [] and endpoints_group["IpPermissionsEgress"] == []
    for service, endpoint in there.items():
        assert tags_of(endpoint) == {**TAGS, "Name": f"{PREFIX}-{service}"}


def test_what_somebody_changed_is_found_and_set_back(venue: Venue) -> None:
    ec2 = venue.ec2
    there, (table, *_) = endpoints(ec2), private_tables(ec2)
    ec2.modify_vpc_endpoint(VpcEndpointId=there["s3"]["VpcEndpointId"], RemoveRouteTableIds=[table])
    kinesis = there["kinesis-streams"]
    ec2.modify_vpc_endpoint(VpcEndpointId=kinesis["VpcEndpointId"], RemoveSubnetIds=kinesis["SubnetIds"][:1])
    ec2.delete_vpc_endpoints(VpcEndpointIds=[there["dynamodb"]["VpcEndpointId"]])
    told = [
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-dynamodb", "action": "create"},
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-kinesis-streams", "action": "update", "fields": ["subnets"]},
        {"kind": "vpc_endpoint", "name": f"{PREFIX}-s3", "action": "update", "fields": ["route_tables"]},
    ]
    found = venue.production.play("verify")
    assert "Not as described: " + "; ".join(json.dumps(action) for action in told) in found.output
    mended = venue.production.isolate(the_vpc(ec2))
    assert mended.returncode == 0, mended.output
    assert mended.changed == {"localhost": 1}
    assert endpoints(ec2)["s3"]["VpcEndpointId"] == there["s3"]["VpcEndpointId"]


@pytest.mark.feature("NET-14", by="M")
def test_what_is_taken_off_the_list_is_removed_with_its_group(venue: Venue) -> None:
    """First one of three, then the others: an empty list leaves none, and what is somebody else's stays."""
    ec2, vpc = venue.ec2, the_vpc(venue.ec2)
    theirs = {"VpcId": vpc, "ServiceName": "com.amazonaws.vpce.theirs", "VpcEndpointType": "Interface"}
    bystander = ec2.create_vpc_endpoint(**theirs)["VpcEndpoint"]["VpcEndpointId"]
    fewer = venue.production.isolate(vpc, "aws_network_vpc_endpoints: [kinesis-streams, s3]")
    assert (fewer.returncode, fewer.changed) == (0, {"localhost": 1}), fewer.output
    assert sorted(endpoints(ec2)) == ["com.amazonaws.vpce.theirs", "kinesis-streams", "s3"]
    assert len(group(ec2, "endpoints")) == 1
    emptied = venue.production.isolate(vpc, "aws_network_vpc_endpoints: []")
    assert (emptied.returncode, emptied.changed) == (0, {"localhost": 2}), emptied.output
    routes = [route for table in private_tables(ec2).values() for route in table["Routes"]]
    assert routes and not any("DestinationPrefixListId" in route for route in routes)
    assert group(ec2, "endpoints") == []
    listed = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [each["VpcEndpointId"] for each in listed if each["State"] == "available"] == [bystander]
