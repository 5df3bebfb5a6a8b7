# SPDX-License-Identifier: GPL-3.0-or-later
"""The attachment of a VPC to a transit gateway, by one subnet in each availability zone that is to be reached.

amazon.aws gives it its tags in its second run only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import FAILED, NEVER, PENDING, READY, Field, Found, Kind, named, specification, tag_ec2, tags_of

STATES = {"available": READY, "pending": PENDING, "modifying": PENDING, "initiating": PENDING,
          "pendingAcceptance": PENDING, "failed": FAILED, "rejected": FAILED}  # fmt: skip


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them with the zones of their subnets. Deleted ones are listed for a while."""
    listed = aws.pages("describe_transit_gateway_vpc_attachments", "TransitGatewayVpcAttachments", **named(names))
    there = [each for each in listed if each["State"] in STATES]
    zones = zones_of(aws, sorted({subnet for each in there for subnet in each.get("SubnetIds", ())}))
    for attachment in there:
        tags = tags_of(attachment.get("Tags"))
        fields = {
            "transit_gateway": attachment["TransitGatewayId"],
            "vpc": attachment.get("VpcId"),
            "subnets": {zones.get(subnet, subnet): subnet for subnet in attachment.get("SubnetIds", ())},
        }
        identifier, state = attachment["TransitGatewayAttachmentId"], STATES[attachment["State"]]
        yield Found(tags.get("Name", ""), identifier, fields, tags, state)


def zones_of(aws: Any, subnets: Sequence[str]) -> dict[str, str]:
    """Return the zone of each of these subnets; a filter does not mind one that is gone."""
    if not subnets:
        return {}
    asked = [{"Name": "subnet-id", "Values": list(subnets)}]
    listed = aws.pages("describe_subnets", "Subnets", Filters=asked)
    return {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in listed}


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it."""
    answer = aws.call(
        "create_transit_gateway_vpc_attachment",
        TransitGatewayId=fields["transit_gateway"],
        VpcId=fields["vpc"],
        SubnetIds=sorted(fields["subnets"].values()),
        TagSpecifications=specification("transit-gateway-attachment", name, tags),
    )
    return str(answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"])


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Add and remove subnets, at once: a zone can have but one."""
    there, wanted = set(found.fields["subnets"].values()), set(fields["subnets"].values())
    changes = {"AddSubnetIds": sorted(wanted - there), "RemoveSubnetIds": sorted(there - wanted)}
    changes = {name: subnets for name, subnets in changes.items() if subnets}
    aws.call("modify_transit_gateway_vpc_attachment", TransitGatewayAttachmentId=found.id, **changes)


def delete(aws: Any, found: Found) -> None:
    """Delete it."""
    aws.call("delete_transit_gateway_vpc_attachment", TransitGatewayAttachmentId=found.id)


KIND = Kind(
    name="transit_gateway_vpc_attachment",
    says="The attachment of a VPC to a transit gateway.",
    service="ec2",
    fields=(
        Field("transit_gateway", "Name of the transit gateway.", change=NEVER, required=True, to="transit_gateway"),
        Field("vpc", "Name or id of the VPC.", change=NEVER, required=True, to="vpc"),
        Field("subnets", "For each availability zone, the name or id of the subnet that traffic enters by.", "dict",
              required=True, to="subnet"),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidTransitGatewayAttachmentID.NotFound", "InvalidTransitGatewayID.NotFound",
               "InvalidVpcID.NotFound", "InvalidSubnetID.NotFound"),
    example={"name": "trading", "transit_gateway": "trading", "vpc": "trading",
             "subnets": {"us-east-1a": "trading-private-us-east-1a"}},
)  # fmt: skip
