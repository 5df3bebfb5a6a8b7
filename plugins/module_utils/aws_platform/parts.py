# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of what AWS makes as a part of something else: a part of ours carries our tags and its owner's Name.

Parts are the addresses of NAT gateways, and the volumes and network interfaces of instances.  Modules that make the
whole leave (some of) its parts without tags, or tag them at birth and never look again.  A part may have other tags
beside: snapshots and backups are steered by them.  Others may have gateways and instances in our VPC, and theirs are
left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The tags that tell whose something is.
MARKS = ("Project", "ManagedBy")
# What both modules take.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "vpc_name": {"type": "str", "required": True},
    "name_prefixes": {"type": "list", "elements": "str", "required": True},
    "tags": {"type": "dict", "required": True},
}

Known = tuple[dict[str, dict[str, str]], dict[str, str], dict[str, dict[str, str]]]


@dataclass(frozen=True)
class Ours:
    """What is ours: it carries the MARKS of our `tags`, and its Name begins with one of `name_prefixes`."""

    name_prefixes: Sequence[str]
    tags: Mapping[str, str]

    @classmethod
    def given(cls, options: Mapping[str, Any]) -> Ours:
        """From the options of a module; ValueError where they would take in everybody's."""
        lacking = [mark for mark in MARKS if not options["tags"].get(mark)]
        if lacking:
            raise ValueError(f"tags lack {' and '.join(lacking)}, which tell what is ours: set them in ironbook_tags")
        if not all(options["name_prefixes"]):
            raise ValueError("name_prefixes has an empty one, which every name begins with: remove it")
        return cls(options["name_prefixes"], {key: str(value) for key, value in options["tags"].items()})

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether what has these tags is ours."""
        marked = all(tags.get(mark) == self.tags[mark] for mark in MARKS)
        return marked and tags.get("Name", "").startswith(tuple(self.name_prefixes))


@dataclass(frozen=True)
class Action:
    """Tags that one part lacks or has wrong."""

    part: str
    tags: Mapping[str, str]


def plan(
    ours: Ours, owners: Mapping[str, Mapping[str, str]], parts: Mapping[str, str], tags: Mapping[str, Any]
) -> list[Action]:
    """What to set.

    `owners`: id of each NAT gateway and instance -> its tags.  `parts`: id of each part -> its owner.  `tags`: id of
    each part -> its tags, where it has any.
    """
    actions = []
    for part, owner in sorted(parts.items()):
        if not ours.owns(owners[owner]):
            continue
        has, wanted = tags.get(part, {}), {**ours.tags, "Name": owners[owner]["Name"]}
        lacking = {key: value for key, value in sorted(wanted.items()) if has.get(key) != value}
        if lacking:
            actions.append(Action(part, lacking))
    return actions


def read(ec2: Any, vpc_name: str) -> Known | None:
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
            # A private gateway has none of its own, and one that is being made may have none yet.
            addresses = (address.get("AllocationId") for address in gateway.get("NatGatewayAddresses", ()))
            parts |= {address: gateway["NatGatewayId"] for address in addresses if address}
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
