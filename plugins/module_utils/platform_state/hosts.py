# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the hosts, what AWS makes beside them, and what they may do.

IAM says the tags of one role at a time, and accounts have hundreds: only roles that are named as ours are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..platform_resources.kind import tags_of
from .items import Item, Listing, Place
from .network import item


def instances(aws: Any, place: Place) -> Iterator[Item]:
    """Instances; their volumes and interfaces are parts of them."""
    for reservation in aws.pages("describe_instances", "Reservations"):
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                volumes = [m["Ebs"]["VolumeId"] for m in instance.get("BlockDeviceMappings", ()) if "Ebs" in m]
                interfaces = [each["NetworkInterfaceId"] for each in instance.get("NetworkInterfaces", ())]
                shown = {"private_ip": instance.get("PrivateIpAddress", ""), "type": instance["InstanceType"]}
                yield item(place, "instance", instance, "InstanceId", vpc=instance.get("VpcId", ""),
                           parts=[*volumes, *interfaces], shown=shown)  # fmt: skip


def volumes(aws: Any, place: Place) -> Iterator[Item]:
    """Volumes."""
    for volume in aws.pages("describe_volumes", "Volumes"):
        yield item(place, "volume", volume, "VolumeId")


def interfaces(aws: Any, place: Place) -> Iterator[Item]:
    """Network interfaces of instances, and those of nobody; what AWS keeps for its services is left out."""
    for interface in aws.pages("describe_network_interfaces", "NetworkInterfaces"):
        attachment = interface.get("Attachment", {})
        if attachment.get("InstanceId") or not (attachment or interface.get("RequesterManaged")):
            yield item(place, "network_interface", interface, "NetworkInterfaceId", vpc=interface.get("VpcId", ""))


def placement_groups(aws: Any, place: Place) -> Iterator[Item]:
    """Placement groups, which have a name of their own."""
    for group in aws.pages("describe_placement_groups", "PlacementGroups"):
        name, tags = group["GroupName"], tags_of(group.get("Tags"))
        yield Item("placement_group", group.get("GroupId", name), name,
                   place.arn("ec2", f"placement-group/{name}"), tags)  # fmt: skip


def roles(aws: Any, place: Place) -> Iterator[Item]:
    """Roles that are named as ours; their instance profiles are parts of them."""
    for role in aws.pages("list_roles", "Roles"):
        name = role["RoleName"]
        if place.is_named_as_ours(name):
            tags = aws.unless_gone(lambda name=name: aws.pages("list_role_tags", "Tags", RoleName=name), None)
            profiles = aws.unless_gone(
                lambda name=name: aws.pages("list_instance_profiles_for_role", "InstanceProfiles", RoleName=name), []
            )
            if tags is not None:
                parts = [profile["InstanceProfileName"] for profile in profiles]
                yield Item("iam_role", name, name, role["Arn"], tags_of(tags), parts=parts)


def instance_profiles(aws: Any, place: Place) -> Iterator[Item]:
    """Instance profiles that are named as ours."""
    for profile in aws.pages("list_instance_profiles", "InstanceProfiles"):
        name = profile["InstanceProfileName"]
        if place.is_named_as_ours(name):
            answer = aws.unless_gone(lambda name=name: aws.call("get_instance_profile", InstanceProfileName=name), None)
            if answer is not None:
                tags = tags_of(answer["InstanceProfile"].get("Tags"))
                yield Item("instance_profile", name, name, profile["Arn"], tags)


LISTINGS = (
    Listing("instance", "ec2", instances),
    Listing("volume", "ec2", volumes),
    Listing("network_interface", "ec2", interfaces),
    Listing("placement_group", "ec2", placement_groups),
    Listing("iam_role", "iam", roles, ("NoSuchEntity",)),
    Listing("instance_profile", "iam", instance_profiles, ("NoSuchEntity",)),
)
