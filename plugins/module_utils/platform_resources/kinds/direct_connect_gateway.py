# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway of Direct Connect with what it leads to: one transit gateway, or the virtual private gateway of one VPC.

AWS lets private interfaces lead to the latter alone, and transit interfaces to the former. What it tells the other end
are the allowed prefixes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import direct_connect
from ..kind import NEVER, PENDING, READY, Field, Found, Kind

STATES = {"available": READY, "pending": PENDING}
TYPES = {"transitGateway": "transit_gateway", "virtualPrivateGateway": "virtual_gateway"}
ENDED = "disassociated"  # the state of an association that has ended


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """What AWS refuses, or tells in another form than it was given."""
    leads = [fields[name] for name in TYPES.values() if fields[name]]
    if len(leads) > 1:
        yield "it leads to a transit gateway or to a virtual private gateway: name one of them"
    if bool(leads) != bool(fields["allowed_prefixes"]):
        yield "allowed_prefixes are what the gateway tells the other end: give them together with what it leads to"
    for prefix in fields["allowed_prefixes"]:
        try:
            ipaddress.ip_network(prefix)
        except ValueError as error:
            yield f"allowed_prefixes: {error}: write the network that is meant, such as 10.0.0.0/16"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them by their own names, with what they lead to."""
    for each in aws.pages("describe_direct_connect_gateways", "directConnectGateways"):
        if each["directConnectGatewayState"] in STATES and (names is None or each["directConnectGatewayName"] in names):
            leads = associations(aws, each["directConnectGatewayId"])
            fields = {
                "amazon_side_asn": each["amazonSideAsn"],
                **{name: None for name in TYPES.values()},
                **{TYPES[lead["associatedGateway"]["type"]]: lead["associatedGateway"]["id"] for lead in leads},
                "allowed_prefixes": sorted(
                    prefix["cidr"] for lead in leads for prefix in lead["allowedPrefixesToDirectConnectGateway"]
                ),
            }
            settled = all(lead["associationState"] == "associated" for lead in leads)
            state = STATES[each["directConnectGatewayState"]] if settled else PENDING
            tags = direct_connect.tags_of(each.get("tags"))
            yield Found(each["directConnectGatewayName"], each["directConnectGatewayId"], fields, tags, state)


def associations(aws: Any, identifier: str) -> list[Mapping[str, Any]]:
    """Return what it leads to."""
    asked = {"directConnectGatewayId": identifier}
    answer = aws.pages("describe_direct_connect_gateway_associations", "directConnectGatewayAssociations", **asked)
    return [each for each in answer if each["associationState"] != ENDED]


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, and lead it."""
    answer = aws.call(
        "create_direct_connect_gateway",
        directConnectGatewayName=name,
        amazonSideAsn=fields["amazon_side_asn"],
        tags=direct_connect.pairs(name, tags),
    )
    identifier = str(answer["directConnectGateway"]["directConnectGatewayId"])
    lead(aws, identifier, fields)
    return identifier


def lead(aws: Any, identifier: str, fields: Mapping[str, Any]) -> None:
    """Lead it to what is wanted, if to anything."""
    to = next((fields[name] for name in TYPES.values() if fields[name]), None)
    if to:
        aws.call(
            "create_direct_connect_gateway_association",
            directConnectGatewayId=identifier,
            gatewayId=to,
            addAllowedPrefixesToDirectConnectGateway=cidrs(fields["allowed_prefixes"]),
        )


def cidrs(prefixes: Sequence[str]) -> list[dict[str, str]]:
    """Prefixes as Direct Connect takes them."""
    return [{"cidr": prefix} for prefix in prefixes]


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Lead it elsewhere, or only tell other prefixes."""
    if set(TYPES.values()) & set(changed):
        part(aws, found.id)
        lead(aws, found.id, fields)
        return
    there, wanted = set(found.fields["allowed_prefixes"]), set(fields["allowed_prefixes"])
    for each in associations(aws, found.id):
        aws.call(
            "update_direct_connect_gateway_association",
            associationId=each["associationId"],
            addAllowedPrefixesToDirectConnectGateway=cidrs(sorted(wanted - there)),
            removeAllowedPrefixesToDirectConnectGateway=cidrs(sorted(there - wanted)),
        )


def part(aws: Any, identifier: str) -> None:
    """Have it lead nowhere, and wait until it is so."""
    for each in associations(aws, identifier):
        aws.call("delete_direct_connect_gateway_association", associationId=each["associationId"])
    aws.wait_until(lambda: not associations(aws, identifier), "it still led where it shall not")


def delete(aws: Any, found: Found) -> None:
    """Delete it; AWS refuses while an interface is on it."""
    part(aws, found.id)
    aws.call("delete_direct_connect_gateway", directConnectGatewayId=found.id)


def tag(aws: Any, found: Found, tags: Mapping[str, str]) -> None:
    """Set tags. It belongs to no region."""
    listed = aws.pages("describe_direct_connect_gateways", "directConnectGateways")
    there = next(each for each in listed if each["directConnectGatewayId"] == found.id)
    direct_connect.tag(aws, there, f"dx-gateway/{found.id}", tags)


KIND = Kind(
    name="direct_connect_gateway",
    says="A gateway of Direct Connect, with what it leads to.",
    service="directconnect",
    fields=(
        Field("amazon_side_asn", "The autonomous system, a private one, that AWS is in the eyes of BGP; not the "
              "transit gateway's.", "int", change=NEVER, default=64513),
        Field("transit_gateway", "Name of the transit gateway that its transit interfaces lead to.",
              to="transit_gateway"),
        Field("virtual_gateway", "Name of the virtual private gateway that its private interfaces lead to.",
              to="virtual_private_gateway"),
        Field("allowed_prefixes", "The networks that the other end is told of.", "list", elements="str", default=[]),
    ),
    arn="dx-gateway/{id}", is_global=True,
    find=find, create=create, update=update, delete=delete, tag=tag,
    not_found=direct_connect.NOT_FOUND,
    problems=problems,
    example={"name": "trading", "transit_gateway": "trading", "allowed_prefixes": ["10.0.0.0/16"]},
)  # fmt: skip
