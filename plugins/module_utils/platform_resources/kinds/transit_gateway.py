# SPDX-License-Identifier: GPL-3.0-or-later
"""A transit gateway: the hub that a VPC, the tunnels to the premises and Direct Connect are attached to.

What is attached to it is associated with its default route table and propagates into it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, PENDING, READY, Field, Found, Kind, named, specification, tag_ec2, tags_of

STATES = {"available": READY, "pending": PENDING, "modifying": PENDING}
# What a private autonomous system may be called (RFC 6996), 16 and 32 bits wide.
PRIVATE_ASNS = (range(64512, 65535), range(4200000000, 4294967295))


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find an ASN that is somebody's in the internet: AWS takes private ones alone."""
    if not any(fields["amazon_side_asn"] in each for each in PRIVATE_ASNS):
        yield f"amazon_side_asn {fields['amazon_side_asn']} is not private: take 64512 to 65534, or 4200000000 or above"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them. Deleted ones are listed for a while."""
    for gateway in aws.pages("describe_transit_gateways", "TransitGateways", **named(names)):
        if gateway["State"] in STATES:
            tags, options = tags_of(gateway.get("Tags")), gateway["Options"]
            fields = {
                "amazon_side_asn": int(options["AmazonSideAsn"]),
                "vpn_ecmp": options["VpnEcmpSupport"] == "enable",
            }
            yield Found(tags.get("Name", ""), gateway["TransitGatewayId"], fields, tags, STATES[gateway["State"]])


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it."""
    answer = aws.call(
        "create_transit_gateway",
        Options={"AmazonSideAsn": fields["amazon_side_asn"], "VpnEcmpSupport": switch(fields["vpn_ecmp"])},
        TagSpecifications=specification("transit-gateway", name, tags),
    )
    return str(answer["TransitGateway"]["TransitGatewayId"])


def switch(on: bool) -> str:
    """Say a switch as EC2 does."""
    return "enable" if on else "disable"


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Set what can be changed."""
    options = {"VpnEcmpSupport": switch(fields["vpn_ecmp"])}
    aws.call("modify_transit_gateway", TransitGatewayId=found.id, Options=options)


def delete(aws: Any, found: Found) -> None:
    """Delete it once nothing is attached to it any more: AWS refuses before."""
    attached = [{"Name": "transit-gateway-id", "Values": [found.id]}]

    def is_free() -> bool:
        listed = aws.pages("describe_transit_gateway_attachments", "TransitGatewayAttachments", Filters=attached)
        return all(there["State"] != "deleting" for there in listed)

    aws.wait_until(is_free, "what was attached to it was not gone")
    aws.call("delete_transit_gateway", TransitGatewayId=found.id)


KIND = Kind(
    name="transit_gateway",
    says="A transit gateway, the hub of VPCs, VPN connections and Direct Connect.",
    service="ec2",
    fields=(
        Field("amazon_side_asn", "The autonomous system, a private one, that AWS is in the eyes of BGP.", "int",
              change=NEVER, default=64512),
        Field("vpn_ecmp", "Whether traffic is spread over the tunnels of several VPN connections.", "bool",
              default=False),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidTransitGatewayID.NotFound",),
    problems=problems,
    example={"name": "trading", "amazon_side_asn": 64512},
)  # fmt: skip
