# SPDX-License-Identifier: GPL-3.0-or-later
"""A route table of a transit gateway with all its static routes: one that nobody described is removed.

What is associated with the table and propagates into it is not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..calls import Refused
from ..kind import PENDING, READY, REPLACE, Field, Found, Kind, named, specification, tag_ec2, tags_of

BLACKHOLE = "blackhole"
STATES = {"available": READY, "pending": PENDING}


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Find what is no network: AWS would clear its last bits, and it would never be as wanted."""
    for destination in fields["routes"]:
        try:
            ipaddress.ip_network(destination)
        except ValueError as error:
            yield f"routes: {error}: write the network that is meant, such as 198.51.100.0/24"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find them with their static routes. Deleted ones are listed for a while."""
    listed = aws.pages("describe_transit_gateway_route_tables", "TransitGatewayRouteTables", **named(names))
    for table in listed:
        if table["State"] in STATES:
            tags, identifier = tags_of(table.get("Tags")), table["TransitGatewayRouteTableId"]
            routes = aws.unless_gone(lambda id_=identifier: routes_of(aws, id_), None)
            if routes is not None:  # deleted since it was listed
                fields = {"transit_gateway": table["TransitGatewayId"], "routes": routes}
                yield Found(tags.get("Name", ""), identifier, fields, tags, STATES[table["State"]])


def routes_of(aws: Any, identifier: str) -> dict[str, str]:
    """Return destination -> attachment of each static route."""
    static = [{"Name": "type", "Values": ["static"]}]
    answer = aws.call("search_transit_gateway_routes", TransitGatewayRouteTableId=identifier, Filters=static)
    if answer.get("AdditionalRoutesAvailable"):
        raise Refused(
            "AdditionalRoutesAvailable",
            f"{identifier} has more static routes than AWS tells, 1,000: it is not compared",
        )
    routes = {}
    for route in answer["Routes"]:
        attachments = [there["TransitGatewayAttachmentId"] for there in route.get("TransitGatewayAttachments", ())]
        if route["State"] in ("active", "blackhole"):
            routes[route["DestinationCidrBlock"]] = attachments[0] if attachments else BLACKHOLE
    return routes


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, and its routes once it takes any."""
    answer = aws.call(
        "create_transit_gateway_route_table",
        TransitGatewayId=fields["transit_gateway"],
        TagSpecifications=specification("transit-gateway-route-table", name, tags),
    )
    identifier = str(answer["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"])
    aws.wait_until(lambda: any(there.id == identifier and there.state == READY for there in find(aws, [name])),
                   "it did not take routes")  # fmt: skip
    route(aws, identifier, {}, fields["routes"])
    return identifier


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Bring its routes to what is wanted."""
    route(aws, found.id, found.fields["routes"], fields["routes"])


def route(aws: Any, identifier: str, there: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Remove what nobody wants, add what is lacking, and lead elsewhere what leads wrong, without a gap."""
    for destination in sorted(there.keys() - wanted.keys()):
        table = {"TransitGatewayRouteTableId": identifier, "DestinationCidrBlock": destination}
        aws.call("delete_transit_gateway_route", **table)
    for destination, target in sorted(wanted.items()):
        if there.get(destination) != target:
            table = {"TransitGatewayRouteTableId": identifier, "DestinationCidrBlock": destination}
            leads = {"Blackhole": True} if target == BLACKHOLE else {"TransitGatewayAttachmentId": target}
            operation = "replace_transit_gateway_route" if destination in there else "create_transit_gateway_route"
            aws.call(operation, **table, **leads)


def delete(aws: Any, found: Found) -> None:
    """Delete it with its routes; AWS refuses while something is associated with it."""
    aws.call("delete_transit_gateway_route_table", TransitGatewayRouteTableId=found.id)


KIND = Kind(
    name="transit_gateway_route_table",
    says="A route table of a transit gateway with all its static routes.",
    service="ec2",
    fields=(
        Field("transit_gateway", "Name of the transit gateway.", change=REPLACE, required=True,
              to="transit_gateway"),
        Field("routes", "For each destination, a CIDR block, the name or id of the attachment that leads there, or "
              "V(blackhole). A static route that is not listed is removed.", "dict", default={},
              to="transit_gateway_attachment", words=(BLACKHOLE,)),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    problems=problems,
    not_found=("InvalidRouteTableID.NotFound", "InvalidTransitGatewayID.NotFound",
               "InvalidTransitGatewayAttachmentID.NotFound"),
    example={"name": "trading-venues", "transit_gateway": "trading",
             "routes": {"198.51.100.0/24": "venue-a", "203.0.113.0/24": BLACKHOLE}},
)  # fmt: skip
