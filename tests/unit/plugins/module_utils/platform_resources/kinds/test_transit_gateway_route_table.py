# SPDX-License-Identifier: GPL-3.0-or-later
"""A route table of a transit gateway with its routes, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import (
    transit_gateway_route_table as kind,
)
from platform_resources import TAGS, Case, Client, converge, first, told

VENUES = {"198.51.100.0/24": "venue-a", "203.0.113.0/24": "blackhole"}


def stray(client: Client, table: str) -> None:
    """Somebody adds a route."""
    client("ec2").create_transit_gateway_route(
        TransitGatewayRouteTableId=table, DestinationCidrBlock="192.0.2.0/24", Blackhole=True
    )


def lost(client: Client, table: str) -> None:
    """Somebody takes out a route that is there, if one is."""
    for destination in list(routes(client, table))[:1]:
        client("ec2").delete_transit_gateway_route(TransitGatewayRouteTableId=table, DestinationCidrBlock=destination)


CASE = Case(
    variants=(
        {"transit_gateway": "trading", "routes": VENUES},
        {"transit_gateway": "trading", "routes": {**VENUES, "203.0.113.0/24": "venue-b", "10.0.0.0/8": "venue-b"}},
        {"transit_gateway": "trading"},
        {"transit_gateway": "other", "routes": {"198.51.100.0/24": "venue-b"}},
    ),
    drifts=(
        stray,
        lost,
        lambda client, table: client("ec2").delete_transit_gateway_route_table(TransitGatewayRouteTableId=table),
        lambda client, table: client("ec2").delete_tags(Resources=[table], Tags=[{"Key": "Compliance"}]),
    ),
)


def routes(client: Client, table: str) -> dict[str, str]:
    """Destination -> name of the attachment, or the state of the route."""
    answer = client("ec2").search_transit_gateway_routes(
        TransitGatewayRouteTableId=table, Filters=[{"Name": "type", "Values": ["static"]}]
    )
    attached = {
        there["TransitGatewayAttachmentId"]: tag["Value"]
        for there in client("ec2").describe_transit_gateway_attachments()["TransitGatewayAttachments"]
        for tag in there.get("Tags", ())
        if tag["Key"] == "Name"
    }
    return {
        route["DestinationCidrBlock"]: attached[route["TransitGatewayAttachments"][0]["TransitGatewayAttachmentId"]]
        if route.get("TransitGatewayAttachments")
        else route["State"]
        for route in answer["Routes"]
    }


@pytest.mark.slow
@pytest.mark.feature(
    "HYB-01",
    by="M",
    part="static routes of a transit gateway's table; not in the site yet",
    repaired="transit_gateway_routes",
)
def test_it_is_read_back_over_http(served: Client) -> None:
    options: dict[str, Any] = {"name": "venues", "transit_gateway": "trading", "routes": VENUES}
    table = first(served, {"transit_gateway_route_tables": [options]})
    assert routes(served, table) == VENUES
    (there,) = served("ec2").describe_transit_gateway_route_tables(TransitGatewayRouteTableIds=[table])[
        "TransitGatewayRouteTables"
    ]
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "venues"}
    stray(served, table)
    options["routes"] = {"198.51.100.0/24": "venue-b"}
    assert told(converge(served, {"transit_gateway_route_tables": [options]})) == [
        "update transit_gateway_route_table venues routes"
    ]
    assert routes(served, table) == {"198.51.100.0/24": "venue-b"}


def test_a_destination_that_is_no_network_is_refused() -> None:
    assert list(kind.problems({"routes": {"198.51.100.7/24": "venue-a"}})) == [
        "routes: 198.51.100.7/24 has host bits set: write the network that is meant, such as 198.51.100.0/24"
    ]


def test_more_routes_than_aws_tells_are_not_compared() -> None:
    """Else those that it keeps to itself would be made again in each run."""

    class Aws:
        @staticmethod
        def call(_operation: str, **_parameters: Any) -> dict[str, Any]:
            return {"Routes": [], "AdditionalRoutesAvailable": True}

    with pytest.raises(kind.Refused, match="more static routes than AWS tells"):
        kind.routes_of(Aws, "tgw-rtb-1")
