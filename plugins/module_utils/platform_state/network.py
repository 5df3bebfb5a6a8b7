# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the network that modules of amazon.aws make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..platform_resources.kind import tags_of
from .items import Item, Listing, Place

GONE = ("deleted", "deleting", "failed")


# Words of ARNs that are not as the kind's name (Service Authorization Reference, "Amazon EC2").
ARN_WORDS = {"nat_gateway": "natgateway", "transit_gateway_vpn_attachment": "transit-gateway-attachment"}


def item(place: Place, kind: str, found: Mapping[str, Any], id_key: str, **more: Any) -> Item:
    """Return what EC2 told under `found`: its name is its tag Name."""
    tags, identifier = tags_of(found.get("Tags", found.get("TagSet"))), str(found[id_key])
    arn = place.arn("ec2", f"{ARN_WORDS.get(kind, kind.replace('_', '-'))}/{identifier}")
    return Item(kind, identifier, tags.get("Name", ""), arn, tags, **more)


def vpcs(aws: Any, place: Place) -> Iterator[Item]:
    """VPCs, but for the one that AWS gives to each account."""
    for vpc in aws.pages("describe_vpcs", "Vpcs"):
        if not vpc.get("IsDefault"):
            yield item(place, "vpc", vpc, "VpcId", shown={"cidr": vpc["CidrBlock"]})


def subnets(aws: Any, place: Place) -> Iterator[Item]:
    """Subnets, but for those on Outposts, which are a kind of their own."""
    for subnet in aws.pages("describe_subnets", "Subnets"):
        if not subnet.get("OutpostArn"):
            shown = {"cidr": subnet["CidrBlock"], "zone": subnet["AvailabilityZone"]}
            yield item(place, "subnet", subnet, "SubnetId", vpc=subnet["VpcId"], shown=shown)


def route_tables(aws: Any, place: Place) -> Iterator[Item]:
    """Route tables, but for the one that AWS makes with a VPC."""
    for table in aws.pages("describe_route_tables", "RouteTables"):
        if not any(association.get("Main") for association in table["Associations"]):
            yield item(place, "route_table", table, "RouteTableId", vpc=table["VpcId"])


def internet_gateways(aws: Any, place: Place) -> Iterator[Item]:
    """Internet gateways; one that is not attached lies in no VPC."""
    for gateway in aws.pages("describe_internet_gateways", "InternetGateways"):
        attached = [attachment["VpcId"] for attachment in gateway.get("Attachments", ())]
        yield item(place, "internet_gateway", gateway, "InternetGatewayId", vpc=(attached or [""])[0])


def nat_gateways(aws: Any, place: Place) -> Iterator[Item]:
    """NAT gateways; their addresses are parts of them."""
    for gateway in aws.pages("describe_nat_gateways", "NatGateways"):
        if gateway["State"] not in GONE:
            addresses = gateway.get("NatGatewayAddresses", ())
            yield item(
                place, "nat_gateway", gateway, "NatGatewayId", vpc=gateway["VpcId"],
                parts=[address["AllocationId"] for address in addresses if address.get("AllocationId")],
                shown={"public_ip": next((address.get("PublicIp", "") for address in addresses), "")},
            )  # fmt: skip


def addresses(aws: Any, place: Place) -> Iterator[Item]:
    """Elastic IP addresses."""
    for address in aws.pages("describe_addresses", "Addresses"):
        if address.get("AllocationId"):
            yield item(place, "elastic_ip", address, "AllocationId", shown={"public_ip": address["PublicIp"]})


def security_groups(aws: Any, place: Place) -> Iterator[Item]:
    """Security groups, but for the one that AWS makes with a VPC; their names are no tags."""
    for group in aws.pages("describe_security_groups", "SecurityGroups"):
        if group["GroupName"] != "default":
            found = item(place, "security_group", group, "GroupId", vpc=group.get("VpcId", ""))
            yield Item(found.kind, found.id, group["GroupName"], found.arn, found.tags, found.vpc)


def network_acls(aws: Any, place: Place) -> Iterator[Item]:
    """Network ACLs, but for the one that AWS makes with a VPC."""
    for acl in aws.pages("describe_network_acls", "NetworkAcls"):
        if not acl["IsDefault"]:
            yield item(place, "network_acl", acl, "NetworkAclId", vpc=acl["VpcId"])


def endpoints(aws: Any, place: Place) -> Iterator[Item]:
    """Endpoints of services."""
    for endpoint in aws.pages("describe_vpc_endpoints", "VpcEndpoints"):
        if endpoint["State"].lower() not in GONE:
            shown = {"service": endpoint["ServiceName"]}
            yield item(place, "vpc_endpoint", endpoint, "VpcEndpointId", vpc=endpoint["VpcId"], shown=shown)


def vpn_attachments(aws: Any, place: Place) -> Iterator[Item]:
    """Attachments to transit gateways that AWS makes with a VPN connection."""
    for attachment in aws.pages("describe_transit_gateway_attachments", "TransitGatewayAttachments"):
        if attachment["ResourceType"] == "vpn" and attachment["State"] not in GONE:
            yield item(place, "transit_gateway_vpn_attachment", attachment, "TransitGatewayAttachmentId")


LISTINGS = (
    Listing("vpc", "ec2", vpcs),
    Listing("subnet", "ec2", subnets),
    Listing("route_table", "ec2", route_tables),
    Listing("internet_gateway", "ec2", internet_gateways),
    Listing("nat_gateway", "ec2", nat_gateways),
    Listing("elastic_ip", "ec2", addresses),
    Listing("security_group", "ec2", security_groups),
    Listing("network_acl", "ec2", network_acls),
    Listing("vpc_endpoint", "ec2", endpoints),
    Listing("transit_gateway_vpn_attachment", "ec2", vpn_attachments),
)
