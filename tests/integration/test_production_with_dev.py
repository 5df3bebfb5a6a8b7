# SPDX-License-Identifier: GPL-3.0-or-later
"""dev in production's account and region: no name of one is in the way of the other.  A last file: dev stays there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.production_site import ACCOUNT, PREFIX, Production, Venue, tags_in
from local_processes import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

DEV = "dev-trading-engine"


def everything(venue: Venue, prefix: str) -> dict[str, Any]:
    """What boto3 tells of all that lies in the VPC of that name, and of all whose names begin with it."""
    ec2, iam, kms = (venue.client(service) for service in ("ec2", "iam", "kms"))
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [prefix]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    named = [{"Name": "tag:Name", "Values": [f"{prefix}*"]}]
    streams = [name for name in venue.client("kinesis").list_streams()["StreamNames"] if name.startswith(prefix)]
    databases = venue.client("rds").describe_db_instances()["DBInstances"]
    tables = [name for name in venue.client("dynamodb").list_tables()["TableNames"] if name.startswith(prefix)]
    role = f"{prefix}-engine"
    found: dict[str, Any] = {
        "vpc": vpc,
        "subnets": ec2.describe_subnets(Filters=inside)["Subnets"],
        "tables": ec2.describe_route_tables(Filters=inside)["RouteTables"],
        "groups": ec2.describe_security_groups(Filters=inside)["SecurityGroups"],
        "nat_gateways": ec2.describe_nat_gateways(Filters=inside)["NatGateways"],
        "endpoints": ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"],
        "instances": [
            instance
            for reservation in ec2.describe_instances(Filters=inside)["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ],
        "addresses": ec2.describe_addresses(Filters=named)["Addresses"],
        "placement": [
            group
            for group in ec2.describe_placement_groups()["PlacementGroups"]
            if group["GroupName"].startswith(prefix)
        ],
        "aliases": [a for a in kms.list_aliases()["Aliases"] if a["AliasName"].startswith(f"alias/{prefix}")],
        "buckets": [b["Name"] for b in venue.client("s3").list_buckets()["Buckets"] if b["Name"].startswith(prefix)],
        "streams": [
            venue.client("kinesis").describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
            for name in streams
        ],
        "databases": [
            {key: value for key, value in one.items() if key != "LatestRestorableTime"}  # which is always now
            for one in databases
            if one["DBInstanceIdentifier"].startswith(prefix)
        ],
        "stores": [venue.client("dynamodb").describe_table(TableName=name)["Table"] for name in tables],
        "role": iam.get_role(RoleName=role)["Role"],
        "policy": iam.get_role_policy(RoleName=role, PolicyName="engine")["PolicyDocument"],
    }
    return json.loads(json.dumps(found, default=str, sort_keys=True))


def ids(found: dict[str, Any], kind: str, key: str) -> set[str]:
    return {one[key] for one in found[kind]}


@pytest.mark.feature("ORC-22", by="M")
def test_dev_stands_beside_production_and_each_is_as_its_inventory_says(venue: Venue, tmp_path: Path) -> None:
    before = everything(venue, PREFIX)
    dev = Production(venue.site, venue.environment, tmp_path / "dev", ROOT / "inventories" / "dev")
    dev.must("provision", "discover")
    production, made = everything(venue, PREFIX), everything(venue, DEV)
    assert production == before, "nothing of production was touched"

    keys = {
        "subnets": "SubnetId", "tables": "RouteTableId", "groups": "GroupId", "nat_gateways": "NatGatewayId",
        "instances": "InstanceId", "addresses": "AllocationId", "placement": "GroupName", "aliases": "TargetKeyId",
        "streams": "StreamARN", "databases": "DBInstanceArn", "stores": "TableArn",
    }  # fmt: skip
    for kind, key in keys.items():
        theirs, ours = ids(production, kind, key), ids(made, kind, key)
        assert theirs and ours and not theirs & ours, kind
    for found, prefix in ((production, PREFIX), (made, DEV)):
        assert sorted(found["buckets"]) == [f"{prefix}-audit-{ACCOUNT}", f"{prefix}-logs-{ACCOUNT}"]
    assert PREFIX not in json.dumps(made), "nothing of dev's names what is production's"

    def sizes(found: dict[str, Any]) -> dict[str, Any]:
        (database,), (stream,) = found["databases"], found["streams"]
        return {
            "cidr": found["vpc"]["CidrBlock"],
            "subnets": len(found["subnets"]),
            "nat_gateways": len([one for one in found["nat_gateways"] if one["State"] == "available"]),
            "hosts": sorted(one["InstanceType"] for one in found["instances"]),
            "class": database["DBInstanceClass"],
            "multi_az": database["MultiAZ"],
            "storage": (database["AllocatedStorage"], database["MaxAllocatedStorage"]),
            "backups": database["BackupRetentionPeriod"],
            "shards": (stream["OpenShardCount"], stream["RetentionPeriodHours"]),
        }

    assert sizes(production) == {
        "cidr": "10.0.0.0/16", "subnets": 9, "nat_gateways": 3, "hosts": ["c5n.metal"] * 3,
        "class": "db.r6i.xlarge", "multi_az": True, "storage": (100, 1000), "backups": 30, "shards": (10, 168),
    }  # fmt: skip
    assert sizes(made) == {
        "cidr": "10.2.0.0/16", "subnets": 6, "nat_gateways": 1, "hosts": ["c5n.large"] * 2,
        "class": "db.t4g.medium", "multi_az": False, "storage": (20, 100), "backups": 1, "shards": (1, 24),
    }  # fmt: skip


@pytest.mark.feature("NET-06", by="M")
@pytest.mark.feature("NET-07", by="M")
def test_nine_subnets_lie_in_three_zones_and_of_dev_six_in_two(venue: Venue) -> None:
    """Of the two inventories, which the test before has left side by side: each tier once in each zone."""
    nine, six = (everything(venue, prefix)["subnets"] for prefix in (PREFIX, DEV))
    assert (len(nine), len(six)) == (9, 6)
    for listed, zones in ((nine, "abc"), (six, "ab")):
        tier = [tags_in(subnet["Tags"])["Tier"] for subnet in listed]
        places = sorted(zip(tier, (subnet["AvailabilityZone"] for subnet in listed), strict=True))
        assert places == [(tier, f"us-east-1{zone}") for tier in ("app", "data", "dmz") for zone in zones]
