# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiers of production's VPC, and that what stands in it stands in its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from integration.production_site import Venue, tags_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


def subnets(venue: Venue) -> dict[str, dict[str, Any]]:
    """Its subnets by their ids."""
    return {subnet["SubnetId"]: subnet for subnet in venue.subnets.values()}


def tiers(listed: dict[str, dict[str, Any]]) -> Counter[tuple[str, str]]:
    """How many subnets there are of each tier in each zone."""
    return Counter((tags_in(subnet["Tags"])["Tier"], subnet["AvailabilityZone"]) for subnet in listed.values())


def test_there_are_nine_subnets_one_of_each_tier_in_each_zone(venue: Venue) -> None:
    nine = subnets(venue)
    assert tiers(nine) == {(tier, f"us-east-1{zone}"): 1 for tier in ("dmz", "app", "data") for zone in "abc"}


def misplaced(venue: Venue) -> list[str]:
    """A line for each resource that stands in a subnet of another tier than its own."""
    tier = {subnet: tags_in(each["Tags"])["Tier"] for subnet, each in subnets(venue).items()}
    ec2, rds = venue.client("ec2"), venue.client("rds")
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    instances = [
        each for found in ec2.describe_instances(Filters=running)["Reservations"] for each in found["Instances"]
    ]
    groups = {each["DBSubnetGroupName"]: each for each in rds.describe_db_subnet_groups()["DBSubnetGroups"]}
    stands = [
        *(("app", f"engine {tags_in(each['Tags'])['Name']}", [each["SubnetId"]]) for each in instances
          if tags_in(each.get("Tags", [])).get("Role") == "engine"),
        *(("dmz", f"NAT gateway {each['NatGatewayId']}", [each["SubnetId"]])
          for each in ec2.describe_nat_gateways()["NatGateways"] if each["State"] == "available"),
        *(("data", f"database {each['DBInstanceIdentifier']}",
           [subnet["SubnetIdentifier"] for subnet in groups[each["DBSubnetGroup"]["DBSubnetGroupName"]]["Subnets"]])
          for each in rds.describe_db_instances()["DBInstances"]),
        *(("dmz", f"load balancer {each['LoadBalancerName']}", [zone["SubnetId"] for zone in each["AvailabilityZones"]])
          for each in venue.client("elbv2").describe_load_balancers()["LoadBalancers"]),
        *(("app", f"function {each['FunctionName']}", each.get("VpcConfig", {}).get("SubnetIds", []))
          for each in venue.client("lambda").list_functions()["Functions"]),
    ]  # fmt: skip
    return [f"{what} stands in {tier.get(subnet, 'another VPC')}" for wanted, what, places in stands
            for subnet in places if tier.get(subnet) != wanted]  # fmt: skip


@pytest.mark.feature("NET-08", by="M", part="no load balancer, function or cache is there yet; what is, stands right")
def test_each_resource_stands_in_its_tier(venue: Venue) -> None:
    """Engines in app, the database in data; and whatever stands elsewhere is found."""
    assert misplaced(venue) == []
    there = subnets(venue)
    place = {
        tags_in(each["Tags"])["Tier"]: subnet
        for subnet, each in there.items()
        if each["AvailabilityZone"] == "us-east-1a"
    }
    ec2, balancers = venue.client("ec2"), venue.client("elbv2")
    engine = {
        "ResourceType": "instance",
        "Tags": [{"Key": "Role", "Value": "engine"}, {"Key": "Name", "Value": "astray"}],
    }
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    (stray,) = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=place["dmz"],
                                 TagSpecifications=[engine])["Instances"]  # fmt: skip
    inside = [subnet for subnet, each in there.items() if tags_in(each["Tags"])["Tier"] == "app"]
    (balancer,) = balancers.create_load_balancer(Name="astray", Subnets=inside)["LoadBalancers"]
    try:
        assert Counter(misplaced(venue)) == {
            "engine astray stands in dmz": 1, "load balancer astray stands in app": 3
        }  # fmt: skip
    finally:
        ec2.terminate_instances(InstanceIds=[stray["InstanceId"]])
        balancers.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    assert misplaced(venue) == []
