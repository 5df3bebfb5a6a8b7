# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of what AWS makes as a part of something else: a part carries the tags of what it belongs to.

Parts are the addresses of NAT gateways, and the volumes and network interfaces of instances.  Modules that make the
whole leave (some of) its parts without tags, or tag them at birth and never look again.  A part may have other tags
beside: snapshots and backups are steered by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# How AWS marks tags that it sets itself; nobody else may.
_RESERVED = "aws:"


@dataclass(frozen=True)
class Action:
    """Tags that one part lacks or has wrong."""

    part: str
    tags: Mapping[str, str]


def plan(owners: Mapping[str, Mapping[str, str]], parts: Mapping[str, str], tags: Mapping[str, Any]) -> list[Action]:
    """What to set.

    `owners`: id of each NAT gateway and instance -> its tags.  `parts`: id of each part -> its owner.  `tags`: id of
    each part -> its tags, where it has any.
    """
    actions = []
    for part, owner in sorted(parts.items()):
        has = tags.get(part, {})
        wanted = {key: value for key, value in owners[owner].items() if not key.startswith(_RESERVED)}
        lacking = {key: value for key, value in sorted(wanted.items()) if has.get(key) != value}
        if lacking:
            actions.append(Action(part, lacking))
    return actions


def read(ec2: Any, vpc_name: str) -> tuple[dict[str, dict[str, str]], dict[str, str], dict[str, dict[str, str]]] | None:
    """What `plan` wants to know of the VPCs of that Name; None where there is no such VPC."""
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [vpc_name]}])["Vpcs"]
    if not vpcs:
        return None
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in vpcs]}]
    owners: dict[str, dict[str, str]] = {}
    parts: dict[str, str] = {}
    for gateway in ec2.describe_nat_gateways(Filters=inside)["NatGateways"]:
        if gateway["State"] in ("pending", "available"):
            owners[gateway["NatGatewayId"]] = _tags(gateway.get("Tags"))
            parts |= {a["AllocationId"]: gateway["NatGatewayId"] for a in gateway["NatGatewayAddresses"]}
    for page in ec2.get_paginator("describe_instances").paginate(Filters=inside):
        for instance in (i for reservation in page["Reservations"] for i in reservation["Instances"]):
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                owners[instance["InstanceId"]] = _tags(instance.get("Tags"))
                parts |= dict.fromkeys(_parts_of(instance), instance["InstanceId"])
    return owners, parts, _tags_of_parts(ec2, list(parts))


def _parts_of(instance: Mapping[str, Any]) -> Iterable[str]:
    yield from (mapping["Ebs"]["VolumeId"] for mapping in instance.get("BlockDeviceMappings", ()) if "Ebs" in mapping)
    yield from (interface["NetworkInterfaceId"] for interface in instance.get("NetworkInterfaces", ()))


def _tags_of_parts(ec2: Any, parts: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for begin in range(0, len(parts), 200):  # the most values that AWS takes in one filter
        of_these = [{"Name": "resource-id", "Values": parts[begin : begin + 200]}]
        for page in ec2.get_paginator("describe_tags").paginate(Filters=of_these):
            for tag in page["Tags"]:
                found.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    return found


def apply(ec2: Any, actions: Iterable[Action]) -> None:
    """Set what is planned."""
    for action in actions:
        tags = [{"Key": key, "Value": value} for key, value in action.tags.items()]
        ec2.create_tags(Resources=[action.part], Tags=tags)


def _tags(pairs: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in pairs or ()}
