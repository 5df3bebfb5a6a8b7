# SPDX-License-Identifier: GPL-3.0-or-later
"""A route of a transit gateway says where it leads, and can be led elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

DESTINATION = "198.51.100.0/24"


def table(ec2: Any) -> tuple[str, list[str]]:
    """Make a gateway with two attachments and a table with a route by the first; the table, the attachments."""
    gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    attachments = []
    for second in (11, 12):
        vpc = ec2.create_vpc(CidrBlock=f"10.{second}.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{second}.0.0/24")["Subnet"]["SubnetId"]
        answer = ec2.create_transit_gateway_vpc_attachment(TransitGatewayId=gateway, VpcId=vpc, SubnetIds=[subnet])
        attachments.append(answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"])
    answer = ec2.create_transit_gateway_route_table(TransitGatewayId=gateway)
    identifier = answer["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
    ec2.create_transit_gateway_route(
        TransitGatewayRouteTableId=identifier,
        DestinationCidrBlock=DESTINATION,
        TransitGatewayAttachmentId=attachments[0],
    )
    return identifier, attachments


def routes(ec2: Any, identifier: str) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.search_transit_gateway_routes(
        TransitGatewayRouteTableId=identifier, Filters=[{"Name": "type", "Values": ["static"]}]
    )
    return answer


def test_stock_moto_does_not_say_where_a_route_leads(stock) -> None:
    ec2 = stock("ec2")
    identifier, _ = table(ec2)
    assert routes(ec2, identifier)["Routes"][0]["TransitGatewayAttachments"] == []


def test_stock_moto_replaces_no_route(stock) -> None:
    ec2 = stock("ec2")
    identifier, attachments = table(ec2)
    with pytest.raises(ResponseParserError):  # it answers a page in HTML
        replace(ec2, identifier, TransitGatewayAttachmentId=attachments[1])


def replace(ec2: Any, identifier: str, destination: str = DESTINATION, **leads: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.replace_transit_gateway_route(
        TransitGatewayRouteTableId=identifier, DestinationCidrBlock=destination, **leads
    )
    return answer


def test_a_route_says_where_it_leads(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    identifier, attachments = table(ec2)
    answer = routes(ec2, identifier)
    conforms(ec2, "SearchTransitGatewayRoutes", answer)
    (there,) = answer["Routes"][0]["TransitGatewayAttachments"]
    assert there["TransitGatewayAttachmentId"] == attachments[0]


def test_a_route_is_led_elsewhere(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    identifier, attachments = table(ec2)
    conforms(ec2, "ReplaceTransitGatewayRoute", replace(ec2, identifier, TransitGatewayAttachmentId=attachments[1]))
    (route,) = routes(ec2, identifier)["Routes"]
    assert route["TransitGatewayAttachments"][0]["TransitGatewayAttachmentId"] == attachments[1]
    replace(ec2, identifier, Blackhole=True)
    (route,) = routes(ec2, identifier)["Routes"]
    assert (route["State"], route.get("TransitGatewayAttachments", [])) == ("blackhole", [])


def test_what_is_not_there_is_not_replaced(repaired) -> None:
    ec2 = repaired("ec2")
    identifier, _ = table(ec2)
    with pytest.raises(ClientError, match=r"InvalidRoute\.NotFound"):
        replace(ec2, identifier, "203.0.113.0/24", Blackhole=True)
    with pytest.raises(ClientError, match=r"InvalidRouteTableID\.NotFound"):
        replace(ec2, "tgw-rtb-0123456789abcdef0", Blackhole=True)
