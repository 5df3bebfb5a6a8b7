# SPDX-License-Identifier: GPL-3.0-or-later
"""A dedicated host of EC2: a machine of AWS that nobody else has instances on. It costs from its allocation on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..calls import settle
from ..kind import FAILED, NEVER, PENDING, READY, Field, Found, Kind, specification, tag_ec2, tags_of

STATES = {"available": READY, "under-assessment": READY, "pending": PENDING, "permanent-failure": FAILED}


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them: DescribeHosts has no filter for the value of a tag. Released ones are listed for a while."""
    for host in aws.pages("describe_hosts", "Hosts"):
        tags = tags_of(host.get("Tags"))
        fields = {
            "zone": host["AvailabilityZone"],
            "instance_type": host["HostProperties"].get("InstanceType"),
            "auto_placement": host["AutoPlacement"] == "on",
            "recovery": host["HostRecovery"] == "on",
        }
        if host["State"] in STATES and (names is None or tags.get("Name") in names):
            yield Found(tags.get("Name", ""), host["HostId"], fields, tags, STATES[host["State"]])


def switches(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what both calls take of what can be changed."""
    said = {True: "on", False: "off"}
    return {"AutoPlacement": said[fields["auto_placement"]], "HostRecovery": said[fields["recovery"]]}


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Allocate one."""
    answer = aws.call(
        "allocate_hosts",
        AvailabilityZone=fields["zone"],
        InstanceType=fields["instance_type"],
        Quantity=1,
        TagSpecifications=specification("dedicated-host", name, tags),
        **switches(fields),
    )
    return str(answer["HostIds"][0])


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Set both switches."""
    settle(aws.call("modify_hosts", HostIds=[found.id], **switches(fields)))


def delete(aws: Any, found: Found) -> None:
    """Release it; AWS refuses while an instance is on it."""
    settle(aws.call("release_hosts", HostIds=[found.id]))


KIND = Kind(
    name="dedicated_host",
    says="A dedicated host of EC2, for instances that share no machine with others.",
    service="ec2",
    fields=(
        Field("zone", "Availability zone.", change=NEVER, required=True),
        Field("instance_type", "Type of the instances that it takes.", change=NEVER, required=True),
        Field("auto_placement", "Whether it takes instances that do not name it.", "bool", default=False),
        Field("recovery", "Whether AWS restarts its instances elsewhere where it fails.", "bool", default=False),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidHostID.NotFound", "InvalidHostId.NotFound"),
    example={"name": "trading-host-a", "zone": "us-east-1a", "instance_type": "c5n.metal"},
)  # fmt: skip
