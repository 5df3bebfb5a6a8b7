# SPDX-License-Identifier: GPL-3.0-or-later
"""A subnet of production's VPC on an Outpost: one of the private tier, made by a part of the role, and gone afterwards.

The emulator has no Outposts. It takes any ARN and remembers it: what a rack does with a subnet is not shown here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reach import End, Network
from integration.platform_drift import found_problems, table_of, targets
from integration.production_site import ACCOUNT, PORT, PREFIX, TAGS, TIERS, Venue, tags_in
from integration.test_production_isolation import (
    ACLS,
    BACK,
    NOTHING,
    acls,
    asked,
    described,
    ends,
    only,
    reached,
)  # fmt: skip

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

RACK = f"arn:aws:outposts:us-east-1:{ACCOUNT}:outpost/op-0123456789abcdef0"
CIDR = "10.0.201.0/24"
ON_A_RACK = f"""aws_network_outposts:
  - {{name: mahwah, arn: "{RACK}", zone: us-east-1b, cidr: {CIDR}}}
aws_network_acl_quota: 40
"""


@pytest.fixture(scope="module")
def runs(venue: Venue) -> Iterator[list[dict[str, int]]]:
    """What two runs of the part that makes it changed; afterwards it is taken away, and the ACLs are as they were."""
    ec2 = venue.client("ec2")
    before = {tier: (asked(acl, False), asked(acl, True)) for tier, acl in acls(ec2, venue.vpc).items()}
    changed = []
    for _ in range(2):
        run = venue.apply("aws_network:isolation", variables=ON_A_RACK)
        assert run.returncode == 0, run.output
        changed.append(run.changed)
    yield changed
    rack = venue.subnets[CIDR]
    for association in (each for table in venue.tables for each in table["Associations"]):
        if association.get("SubnetId") == rack["SubnetId"]:  # as AWS does, with the subnet
            ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_subnet(SubnetId=rack["SubnetId"])
    back = venue.apply("aws_network:isolation")
    assert (back.returncode, back.changed) == (0, {"localhost": 1}), back.output
    after = {tier: (asked(acl, False), asked(acl, True)) for tier, acl in acls(ec2, venue.vpc).items()}
    assert after == before == ACLS


@pytest.mark.feature("HYB-08", by="Stub", part="in production: the subnet", repaired="outpost_subnets")
def test_the_subnet_is_on_the_outpost_and_one_of_the_private_tier(runs, venue: Venue, ec2, subnets, tables) -> None:
    """The subnet and its ACL are what the first run changes; the second one changes nothing."""
    assert runs == [{"localhost": 2}, {}]
    rack = subnets[CIDR]
    assert (rack["OutpostArn"], rack["AvailabilityZone"], rack["MapPublicIpOnLaunch"]) == (RACK, "us-east-1b", False)
    assert tags_in(rack["Tags"]) == TAGS | {"Name": f"{PREFIX}-outpost-mahwah", "Tier": "app"}
    beside = table_of(tables, subnets["10.0.2.0/24"])
    assert table_of(tables, rack)["RouteTableId"] == beside["RouteTableId"]
    assert targets(beside)["0.0.0.0/0"].startswith("nat-")
    (call,) = venue.requests("CreateSubnet")[-1:]
    assert (call["OutpostArn"], call["CidrBlock"]) == (RACK, CIDR)


def test_every_subnet_is_behind_the_acl_of_its_tier_that_on_the_outpost_too(runs, ec2, vpc, subnets) -> None:
    found = acls(ec2, vpc)
    behind = {tier: {each["SubnetId"] for each in acl["Associations"]} for tier, acl in found.items()}
    tiers = TIERS | {"private": [*TIERS["private"], CIDR]}
    assert behind == {tier: {subnets[cidr]["SubnetId"] for cidr in cidrs} for tier, cidrs in tiers.items()}
    assert f"allow all {CIDR}" in asked(found["private"], False) and f"allow all {CIDR}" in asked(
        found["private"], True
    )
    for port in (5432, 6379):
        assert f"allow tcp {port} {CIDR}" in asked(found["database"], False)
    assert f"{BACK} {CIDR}" in asked(found["database"], True)


def on_the_rack(network: Network, name: str) -> list[End]:
    """Hosts of this group in the subnet on the Outpost."""
    (end,) = ends(network, "private", name)[:1]
    return [replace(end, network=CIDR)]


def test_who_stands_there_reaches_what_the_private_tier_reaches_and_is_reached_by_no_other(runs, ec2, vpc) -> None:
    network = described(ec2, vpc)
    nodes, engines = on_the_rack(network, "eks-nodes"), on_the_rack(network, "engine")
    internet = ends(network, "internet")
    assert reached(network, nodes, ends(network, "database", "database")) == only((5432, 5432))
    assert reached(network, nodes, ends(network, "database", "redis")) == only((6379, 6379))
    assert reached(network, engines, internet) == only((443, 443))
    assert reached(network, ends(network, "public", "alb"), nodes) == only((7999, 7999), (8080, 8080))
    assert reached(network, engines, ends(network, "private", "engine")) == only((PORT + 2, PORT + 99))
    for outside in (internet, ends(network, "premises"), ends(network, "database", "database")):
        assert reached(network, outside, engines) == NOTHING


def test_it_passes_the_audit_as_long_as_the_inventory_has_it(runs, venue: Venue, ec2, subnets) -> None:
    """Verification asks the same of it as of the private tier, and knows of no other."""
    told = venue.apply("platform_check", variables=ON_A_RACK)
    assert told.returncode == 0, told.output
    stray = f"subnet {subnets[CIDR]['SubnetId']} ({CIDR}) is not described anywhere"
    assert stray in found_problems(venue.client)
    ec2.delete_tags(Resources=[subnets[CIDR]["SubnetId"]], Tags=[{"Key": "Tier"}])
    drift = venue.apply("platform_check", variables=ON_A_RACK)
    assert drift.returncode != 0
    assert f"{PREFIX}-outpost-mahwah" in drift.output and "outpost_subnet" in drift.output
    ec2.create_tags(Resources=[subnets[CIDR]["SubnetId"]], Tags=[{"Key": "Tier", "Value": "app"}])


def test_the_routes_of_its_zone_leave_it_its_route_table(runs, venue: Venue, ec2, subnets, tables) -> None:
    """The module that provides the table takes each subnet off that it was not given; here it is told not to."""
    table = table_of(tables, subnets[CIDR])
    gateways = targets(table)
    known: dict[str, Any] = {
        "vpc": {"aws_network_vpc_id": venue.vpc["VpcId"], "aws_network_route_tables": []},
        "zone_us-east-1b": {
            "aws_network_subnet_ids": {"private": subnets["10.0.2.0/24"]["SubnetId"]},
            "aws_network_nat_gateway_id": gateways["0.0.0.0/0"],
        },
    }
    given = {
        "aws_network_part": "private_routes",
        "aws_network_zone": "us-east-1b",
        "aws_network_transit_gateway_id": next(each for each in gateways.values() if each.startswith("tgw-")),
        "aws_network_virtual_private_gateway_id": next(each for each in gateways.values() if each.startswith("vgw-")),
    }
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.add_host": {"name": name, **facts}, "changed_when": False} for name, facts in known.items()
    ]
    role = {"name": "ironbook.trading.aws_network", "rolespec_validate": False}
    tasks.append({"ansible.builtin.include_role": role, "vars": given})
    playbook = venue.directory / "routes.yml"
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    run = venue.play(str(playbook), variables=ON_A_RACK)
    assert (run.returncode, run.changed) == (0, {}), run.output
    assert table_of(venue.tables, subnets[CIDR])["RouteTableId"] == table["RouteTableId"]
