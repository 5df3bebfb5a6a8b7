# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual private gateway, by which private interfaces of Direct Connect reach one VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, PENDING, READY, Field, Found, Kind, named, specification, tag_ec2, tags_of

STATES = {"available": READY, "pending": PENDING}
ATTACHED = {"attached": READY, "attaching": PENDING, "detaching": PENDING}


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them. Deleted ones are listed for a while, and so is a VPC that was detached."""
    for gateway in aws.pages("describe_vpn_gateways", "VpnGateways", **named(names)):
        if gateway["State"] in STATES:
            tags = tags_of(gateway.get("Tags"))
            attached = [each for each in gateway.get("VpcAttachments", ()) if each["State"] in ATTACHED]
            there = [each["VpcId"] for each in attached if each["State"] != "detaching"]
            fields = {
                "vpc": there[0] if there else None,
                "amazon_side_asn": int(gateway["AmazonSideAsn"]),
            }
            states = {STATES[gateway["State"]], *(ATTACHED[each["State"]] for each in attached)}
            state = PENDING if PENDING in states else READY
            yield Found(tags.get("Name", ""), gateway["VpnGatewayId"], fields, tags, state)


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, and attach it."""
    answer = aws.call(
        "create_vpn_gateway",
        Type="ipsec.1",
        AmazonSideAsn=fields["amazon_side_asn"],
        TagSpecifications=specification("vpn-gateway", name, tags),
    )
    identifier = str(answer["VpnGateway"]["VpnGatewayId"])
    aws.call("attach_vpn_gateway", VpnGatewayId=identifier, VpcId=fields["vpc"])
    return identifier


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Attach it to another VPC."""
    detach(aws, found)
    aws.call("attach_vpn_gateway", VpnGatewayId=found.id, VpcId=fields["vpc"])


def detach(aws: Any, found: Found) -> None:
    """Take it off its VPC, where it has one, and wait until it is off."""
    if not found.fields["vpc"]:
        return
    aws.call("detach_vpn_gateway", VpnGatewayId=found.id, VpcId=found.fields["vpc"])

    def is_off() -> bool:
        (gateway,) = aws.call("describe_vpn_gateways", VpnGatewayIds=[found.id])["VpnGateways"]
        return all(each["State"] == "detached" for each in gateway.get("VpcAttachments", ()))

    aws.wait_until(is_off, "its VPC was not detached")


def delete(aws: Any, found: Found) -> None:
    """Take it off its VPC and delete it."""
    detach(aws, found)
    aws.call("delete_vpn_gateway", VpnGatewayId=found.id)


KIND = Kind(
    name="virtual_private_gateway",
    says="A virtual private gateway, by which private interfaces of Direct Connect reach one VPC.",
    service="ec2",
    fields=(
        Field("vpc", "Name or id of the VPC; one has but one such gateway.", required=True, to="vpc"),
        Field("amazon_side_asn", "The autonomous system, a private one, that AWS is in the eyes of BGP.", "int",
              change=NEVER, default=64512),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidVpnGatewayID.NotFound", "InvalidVpcID.NotFound"),
    example={"name": "trading-venues", "vpc": "trading"},
)  # fmt: skip
