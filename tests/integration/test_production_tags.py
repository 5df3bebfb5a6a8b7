# SPDX-License-Identifier: GPL-3.0-or-later
"""All six tags on everything that production has. What was made, the requests say, so that no kind can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account, Calls
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Item, Place
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.read import listings
from botocore import xform_name
from integration import platform_drift as drift
from integration.production_site import ACCOUNT, PREFIX, TAGS, Venue

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

# What begins so makes something.
MAKES = ("create_", "run_", "allocate_", "request_", "register_", "import_", "copy_", "restore_", "purchase_")
# What modules of others ask for, by the kinds of platform_state that then have to be there. Ours say it themselves.
MADE_BY: dict[str, tuple[str, ...]] = {
    "allocate_address": ("elastic_ip",),
    "create_bucket": ("s3_bucket",),
    "create_db_instance": ("db_instance",),
    "create_db_subnet_group": ("db_subnet_group",),
    "create_instance_profile": ("instance_profile",),
    "create_internet_gateway": ("internet_gateway",),
    "create_key": ("kms_key",),
    "create_nat_gateway": ("nat_gateway",),
    "create_network_acl": ("network_acl",),
    "create_placement_group": ("placement_group",),
    "create_role": ("iam_role",),
    "create_route_table": ("route_table",),
    "create_security_group": ("security_group",),
    "create_stream": ("kinesis_stream",),
    "create_subnet": ("subnet",),
    "create_table": ("dynamodb_table",),
    "create_vpc": ("vpc",),
    "run_instances": ("instance", "volume", "network_interface"),
}
# What cannot carry a tag, being a part of something that does.
NO_RESOURCE = {"create_alias", "create_network_acl_entry", "create_route", "create_tags"}


def made_by_ours() -> dict[str, tuple[str, ...]]:
    """The same for each kind of our own: the operations that its file names."""
    found: dict[str, tuple[str, ...]] = {}
    for name, kind in KINDS.items():
        text = Path(str(getsourcefile(kind.create))).read_text()
        found |= dict.fromkeys(re.findall(r'"((?:create|allocate)_\w+)"', text), (name,))
    return found


def swept(venue: Venue) -> list[Item]:
    """Everything that any listing finds, whosever it is, but for what every account and every gateway has by itself."""
    account, place = Account(venue.client, 300), Place(ACCOUNT, "us-east-1", PREFIX)
    found: list[Item] = []
    for listing in listings():
        found += listing.find(Calls(account, listing.service, listing.kind, listing.not_found, read_only=True), place)
    own = of_aws(venue.client("ec2"))
    return [item for item in found if item.id not in own]


def of_aws(ec2) -> set[str]:
    """Ids of the subnets of each default VPC, and of the route table that is made with a transit gateway."""
    default = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["IsDefault"]]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": default}])["Subnets"]
    hubs = ec2.describe_transit_gateways()["TransitGateways"]
    tables = {hub["Options"].get("AssociationDefaultRouteTableId", "") for hub in hubs}
    return {subnet["SubnetId"] for subnet in subnets} | tables


def wrong(items: Iterable[Item]) -> dict[str, dict[str, str]]:
    """What lacks a tag, or has another value: kind and id -> the tags that it has."""
    return {f"{item.kind} {item.id}": dict(item.tags) for item in items if not TAGS.items() <= item.tags.items()}


def unswept(asked: Mapping[str, Any], items: Iterable[Item]) -> set[str]:
    """The requests that made what no listing has found."""
    known, there = made_by_ours() | MADE_BY, {item.kind for item in items}
    made = {xform_name(action) for action in asked if xform_name(action).startswith(MAKES)} - NO_RESOURCE
    return {request for request in made if request not in known or not there.issuperset(known[request])}


@pytest.mark.feature("CMP-11", by="M")
def test_everything_that_was_made_is_swept_and_carries_the_six_tags(venue: Venue, ec2, vpc) -> None:
    """By our listings, and by each service's own as the test has them; volumes, interfaces and roles among them."""
    items = swept(venue)
    assert len(items) >= 50
    assert {"volume", "network_interface", "iam_role", "instance_profile", "kms_key"} <= {item.kind for item in items}
    assert wrong(items) == {}
    assert unswept(venue.made_by, items) == set()
    listed = drift.tags_of_everything(venue.client, ec2, vpc)
    assert {name: tags for name, tags in listed.items() if not TAGS.items() <= tags.items()} == {}


def test_a_kind_that_nobody_sweeps_fails(venue: Venue) -> None:
    items = swept(venue)
    assert unswept({"CreateFileSystem": 1, "DescribeVpcs": 9, "CreateTags": 3}, items) == {"create_file_system"}
    volumes = [item for item in items if item.kind != "volume"]
    assert unswept({"RunInstances": 3, "CreateVpc": 1}, volumes) == {"run_instances"}


def test_one_tag_off_anything_is_found(venue: Venue, ec2) -> None:
    """A volume without its team, an interface of another project, and a role without its cost centre."""
    host, iam = drift.engine(ec2, "engine-0-2"), venue.client("iam")
    volume = host["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    interface = host["NetworkInterfaces"][0]["NetworkInterfaceId"]
    role = next(item for item in swept(venue) if item.kind == "iam_role")
    ec2.delete_tags(Resources=[volume], Tags=[{"Key": "Team"}])
    ec2.create_tags(Resources=[interface], Tags=[{"Key": "Project", "Value": "theirs"}])
    iam.untag_role(RoleName=role.name, TagKeys=["CostCenter"])
    try:
        found = set(wrong(swept(venue)))
        assert found == {f"volume {volume}", f"network_interface {interface}", f"iam_role {role.id}"}
    finally:
        pairs = [{"Key": key, "Value": value} for key, value in TAGS.items()]
        ec2.create_tags(Resources=[volume, interface], Tags=pairs)
        iam.tag_role(RoleName=role.name, Tags=pairs)
    assert wrong(swept(venue)) == {}
