# SPDX-License-Identifier: GPL-3.0-or-later
"""A venue in eu-west-1, in production's account: all of it is there, and of us-east-1 nothing is another."""

from __future__ import annotations

import json
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from integration.production_site import ACCOUNT, Production, Venue
from local_processes import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

REGION = "eu-west-1"
PREFIX = "dr-trading-engine"
ELSEWHERE = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
# dr's inventory, in another region than its own, and with two zones and one host: enough to see where all of it is.
VARIABLES = f"""
aws_region: {REGION}
ironbook_zones: [{REGION}a, {REGION}b]
ironbook_engine_hosts:
  - {{shard: 0, replica: 0, zone: {REGION}a, role: primary}}
"""


def regional(venue: Venue, region: str) -> dict[str, Any]:
    """What the region has of each regional service that provision uses, by names and ids."""
    ec2, kms = venue.client("ec2", region), venue.client("kms", region)
    s3 = venue.client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    return {
        "vpcs": sorted(one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]),
        "networks": sorted(one["CidrBlock"] for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]),
        "subnets": sorted(one["AvailabilityZone"] for one in ec2.describe_subnets()["Subnets"]),
        "nat_gateways": sorted(one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"]),
        "addresses": sorted(one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]),
        "groups": sorted(one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]),
        "instances": sorted(
            (i["InstanceId"], i["Placement"]["AvailabilityZone"])
            for r in ec2.describe_instances()["Reservations"]
            for i in r["Instances"]
        ),
        "placement": sorted(one["GroupName"] for one in ec2.describe_placement_groups()["PlacementGroups"]),
        "endpoints": sorted(one["ServiceName"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]),
        "keys": sorted(one["AliasName"] for one in kms.list_aliases()["Aliases"] if "aws/" not in one["AliasName"]),
        "streams": sorted(venue.client("kinesis", region).list_streams()["StreamNames"]),
        "stores": sorted(venue.client("dynamodb", region).list_tables()["TableNames"]),
        "databases": sorted(
            one["DBInstanceArn"] for one in venue.client("rds", region).describe_db_instances()["DBInstances"]
        ),
        # us-east-1 is told as no place at all.
        "buckets": sorted(
            name
            for name in buckets
            if (s3.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1") == region
        ),
    }


@pytest.mark.feature("ORC-23", by="M")
@pytest.mark.feature("HYB-09", by="M")
def test_everything_is_made_in_the_region_and_nothing_in_us_east_1(venue: Venue, tmp_path: Path) -> None:
    before, empty = regional(venue, "us-east-1"), regional(venue, REGION)
    far = Production(venue.site, venue.environment, tmp_path / "far", ROOT / "inventories" / "dr")
    refused = far.play("provision", variables=VARIABLES)
    assert refused.returncode != 0
    assert "AWS_REGION is us-east-1, the inventory is for eu-west-1 (aws_region): export AWS_REGION=eu-west-1" in (
        refused.output
    )
    far.must("provision", "discover", variables=VARIABLES, **ELSEWHERE)
    made = regional(venue, REGION)
    assert regional(venue, "us-east-1") == before
    new = {kind: [one for one in made[kind] if one not in empty[kind]] for kind in made if kind != "subnets"}
    assert all(new.values()), {kind for kind in new if not new[kind]}
    zones = [f"{REGION}a", f"{REGION}b"]
    assert sorted(set(made["subnets"])) == sorted({*empty["subnets"], *zones})
    pairs = product(map(ip_network, before["networks"]), map(ip_network, new["networks"]))
    assert not [pair for pair in pairs if pair[0].overlaps(pair[1])], "a network could be reached in one of them alone"
    assert len(made["subnets"]) - len(empty["subnets"]) == 6
    assert [zone for _, zone in new["instances"]] == [zones[0]]
    assert new["streams"] == [f"{PREFIX}-market-data"]
    assert new["keys"] == [f"alias/{PREFIX}"]
    assert sorted(new["buckets"]) == [f"{PREFIX}-audit-{ACCOUNT}", f"{PREFIX}-logs-{ACCOUNT}"]
    assert new["databases"] == [f"arn:aws:rds:{REGION}:{ACCOUNT}:db:{PREFIX}-database"]
    assert all(f".{REGION}." in service for service in new["endpoints"])
    policy = venue.client("iam").get_role_policy(RoleName=f"{PREFIX}-engine", PolicyName="engine")["PolicyDocument"]
    said = json.dumps(policy)
    assert f":{REGION}:{ACCOUNT}:" in said and "us-east-1" not in said, "IAM is global, and what it allows is not"
