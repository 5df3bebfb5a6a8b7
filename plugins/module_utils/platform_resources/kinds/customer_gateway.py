# SPDX-License-Identifier: GPL-3.0-or-later
"""A customer gateway: what AWS knows of the router at the other end of a VPN connection.

Neither its address nor its autonomous system can be changed, and a VPN connection rests on it: a new router gets a
customer gateway and a connection of its own, beside the old ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, PENDING, READY, Field, Found, Kind, named, specification, tag_ec2, tags_of, unchangeable

STATES = {"available": READY, "pending": PENDING}
# Addresses of documentation (RFC 5737), which stand for public ones in examples. Python calls them private.
EXAMPLES = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))


def is_public(text: str) -> bool:
    """Whether that is an IPv4 address by which the internet can know a router."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return (address.is_global and not address.is_multicast) or any(address in network for network in EXAMPLES)


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find what is no address of the internet: AWS sends packets nowhere else."""
    if not is_public(fields["ip_address"]):
        yield f"ip_address {fields['ip_address']} is no public IPv4 address: give the one of the router on the premises"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them. Deleted ones are listed for a while."""
    for gateway in aws.pages("describe_customer_gateways", "CustomerGateways", **named(names)):
        if gateway["State"] in STATES:
            tags = tags_of(gateway.get("Tags"))
            fields = {"ip_address": gateway["IpAddress"], "bgp_asn": int(gateway["BgpAsn"])}
            yield Found(tags.get("Name", ""), gateway["CustomerGatewayId"], fields, tags, STATES[gateway["State"]])


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it."""
    answer = aws.call(
        "create_customer_gateway",
        Type="ipsec.1",
        IpAddress=fields["ip_address"],
        BgpAsn=fields["bgp_asn"],
        TagSpecifications=specification("customer-gateway", name, tags),
    )
    return str(answer["CustomerGateway"]["CustomerGatewayId"])


def delete(aws: Any, found: Found) -> None:
    """Delete it; AWS refuses while a VPN connection rests on it."""
    aws.call("delete_customer_gateway", CustomerGatewayId=found.id)


KIND = Kind(
    name="customer_gateway",
    says="A customer gateway, the router at the other end of a VPN connection.",
    service="ec2",
    fields=(
        Field("ip_address", "Its public IPv4 address.", change=NEVER, required=True),
        Field("bgp_asn", "Its autonomous system.", "int", change=NEVER, default=65000),
    ),
    find=find, create=create, update=unchangeable, delete=delete, tag=tag_ec2,
    not_found=("InvalidCustomerGatewayID.NotFound",),
    problems=problems,
    example={"name": "head-office", "ip_address": "203.0.113.10", "bgp_asn": 65010},
)  # fmt: skip
