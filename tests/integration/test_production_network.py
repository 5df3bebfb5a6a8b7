# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of inventories/production, read back through boto3 and judged here, not by what we wrote."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from integration import platform_drift as drift
from integration.production_site import CIDR, TIERS, ZONES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


@pytest.mark.feature("NET-01", by="M")
def test_vpc_has_its_65536_addresses(vpc) -> None:
    assert vpc["CidrBlock"] == CIDR == "10.0.0.0/16"
    assert ip_network(vpc["CidrBlock"]).num_addresses == 65536


@pytest.mark.feature("NET-02", by="M")
@pytest.mark.parametrize("attribute", ["enableDnsSupport", "enableDnsHostnames"])
def test_vpc_supports_dns(ec2, vpc, attribute: str) -> None:
    answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=attribute)
    assert answer[attribute[0].upper() + attribute[1:]]["Value"] is True


@pytest.mark.parametrize(
    "tier",
    [
        pytest.param("public", marks=pytest.mark.feature("NET-03", by="M")),
        pytest.param("private", marks=pytest.mark.feature("NET-04", by="M")),
        pytest.param("database", marks=pytest.mark.feature("NET-05", by="M")),
    ],
)
def test_each_tier_has_its_address_in_each_zone(subnets, tables, tier: str) -> None:
    found = {cidr: subnets[cidr]["AvailabilityZone"] for cidr in subnets if cidr in TIERS[tier]}
    assert found == dict(zip(TIERS[tier], ZONES, strict=True))
    assert all(ip_network(cidr).num_addresses == 256 for cidr in found)
    assert len(subnets) == 9
    if tier == "database":
        assert [drift.targets(drift.table_of(tables, subnets[cidr])) for cidr in found] == [{}, {}, {}]


@pytest.mark.feature("NET-10", by="M")
def test_only_public_subnets_route_to_the_internet_gateway(ec2, vpc, subnets, tables) -> None:
    (gateway,) = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}])[
        "InternetGateways"
    ]
    assert [(a["VpcId"], a["State"]) for a in gateway["Attachments"]] == [(vpc["VpcId"], "available")]
    through = [table for table in tables if gateway["InternetGatewayId"] in drift.targets(table).values()]
    reached = {a["SubnetId"] for table in through for a in table["Associations"] if "SubnetId" in a}
    assert reached == {subnets[cidr]["SubnetId"] for cidr in TIERS["public"]}
    assert not any(a.get("Main") for table in through for a in table["Associations"])


@pytest.mark.feature("NET-11", by="M", repaired="tags of NAT gateways and addresses")
def test_each_private_subnet_goes_out_through_its_own_zone(ec2, vpc, subnets, tables) -> None:
    gateways = ec2.describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["NatGateways"]
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets.values()}
    by_zone = {zone_of[gateway["SubnetId"]]: gateway["NatGatewayId"] for gateway in gateways}
    assert len(gateways) == 3
    assert sorted(by_zone) == ZONES
    assert {g["SubnetId"] for g in gateways} == {subnets[cidr]["SubnetId"] for cidr in TIERS["public"]}
    assert len({a["AllocationId"] for g in gateways for a in g["NatGatewayAddresses"]}) == 3
    for cidr in TIERS["private"]:
        found = drift.targets(drift.table_of(tables, subnets[cidr]))
        assert found["0.0.0.0/0"] == by_zone[subnets[cidr]["AvailabilityZone"]]


def ways_out(tables: list[dict[str, Any]], subnet: dict[str, Any]) -> set[str]:
    """Kinds of gateway that a subnet's traffic can take: igw, nat, tgw, vgw. Fails unless it has a table of its own."""
    return {gateway.split("-")[0] for gateway in drift.targets(drift.table_of(tables, subnet)).values()}


@pytest.mark.feature("NET-12", by="M")
def test_walking_the_routes_leads_where_each_tier_may_go(subnets, tables) -> None:
    reached = {tier: [ways_out(tables, subnets[cidr]) for cidr in cidrs] for tier, cidrs in TIERS.items()}
    assert reached == {"public": [{"igw"}] * 3, "private": [{"nat", "tgw", "vgw"}] * 3, "database": [set()] * 3}
