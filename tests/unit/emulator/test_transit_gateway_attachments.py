# SPDX-License-Identifier: GPL-3.0-or-later
"""An attachment of a VPC has its tags from the beginning, and is not listed with those of VPN connections."""

from __future__ import annotations

from typing import Any


def attached(ec2: Any) -> tuple[str, dict[str, Any]]:
    """Make a gateway with a VPC and a VPN connection; the attachment of the VPC, and the listing of such."""
    gateway = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    vpc = ec2.create_vpc(CidrBlock="10.21.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.21.0.0/24")["Subnet"]["SubnetId"]
    tags = [{"ResourceType": "transit-gateway-attachment", "Tags": [{"Key": "Name", "Value": "hub"}]}]
    answer = ec2.create_transit_gateway_vpc_attachment(
        TransitGatewayId=gateway, VpcId=vpc, SubnetIds=[subnet], TagSpecifications=tags
    )
    customer = ec2.create_customer_gateway(Type="ipsec.1", IpAddress="203.0.113.1", BgpAsn=65000)["CustomerGateway"]
    ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=customer["CustomerGatewayId"], TransitGatewayId=gateway)
    identifier = answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"]
    mine = [{"Name": "transit-gateway-id", "Values": [gateway]}]
    return identifier, ec2.describe_transit_gateway_vpc_attachments(Filters=mine)


def test_stock_moto_forgets_the_tags_and_lists_a_vpn(stock) -> None:
    _, listed = attached(stock("ec2"))
    assert [each.get("Tags", []) for each in listed["TransitGatewayVpcAttachments"]] == [[], []]


def test_it_has_its_tags_and_is_listed_alone(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    identifier, listed = attached(ec2)
    conforms(ec2, "DescribeTransitGatewayVpcAttachments", listed)
    (there,) = listed["TransitGatewayVpcAttachments"]
    assert there["TransitGatewayAttachmentId"] == identifier
    assert there["Tags"] == [{"Key": "Name", "Value": "hub"}]
