# SPDX-License-Identifier: GPL-3.0-or-later
"""An endpoint of a VPC: a service of AWS that is reached without the internet.

A gateway endpoint is a route in tables of the VPC, an interface endpoint an address in some of its subnets.
amazon.aws.ec2_vpc_endpoint changes nothing but the tags of one that exists: a route table or a subnet that was taken
away stays away, and its answer is that all is well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..calls import settle
from ..kind import FAILED, PENDING, READY, REPLACE, Field, Found, Kind, named, specification, tag_ec2, tags_of

GATEWAY, INTERFACE = "gateway", "interface"
# As the API writes the two.
TYPES = {GATEWAY: "Gateway", INTERFACE: "Interface"}
# EC2 API reference, VpcEndpoint; those that are not here are listed for a while after the end.
STATES = {
    "available": READY, "pending": PENDING, "pendingacceptance": PENDING,
    "failed": FAILED, "rejected": FAILED, "expired": FAILED,
}  # fmt: skip
# Field -> what ModifyVpcEndpoint calls it, behind Add and Remove.
LISTS = {"route_tables": "RouteTableIds", "subnets": "SubnetIds", "security_groups": "SecurityGroupIds"}


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """Each type has its own way into the VPC."""
    if fields["type"] == GATEWAY:
        if fields["subnets"] or fields["security_groups"] or fields["private_dns"]:
            yield "a gateway endpoint is a route: give route_tables alone, or type interface"
    elif fields["route_tables"]:
        yield "an interface endpoint has addresses: give subnets and security_groups, or type gateway"
    elif not (fields["subnets"] and fields["security_groups"]):
        yield "an interface endpoint without subnets or security_groups reaches nobody: give both"


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find those of both types."""
    types = {told: given for given, told in TYPES.items()}
    for endpoint in aws.pages("describe_vpc_endpoints", "VpcEndpoints", **named(names)):
        state = STATES.get(endpoint["State"].lower())
        if state and endpoint["VpcEndpointType"] in types:
            type_, tags = types[endpoint["VpcEndpointType"]], tags_of(endpoint.get("Tags"))
            fields = {
                "vpc": endpoint["VpcId"],
                "service": endpoint["ServiceName"],
                "type": type_,
                "route_tables": sorted(endpoint.get("RouteTableIds", ())),
                "subnets": sorted(endpoint.get("SubnetIds", ())),
                "security_groups": sorted(group["GroupId"] for group in endpoint.get("Groups", ())),
                "private_dns": type_ == INTERFACE and endpoint["PrivateDnsEnabled"],
            }
            yield Found(tags.get("Name", ""), endpoint["VpcEndpointId"], fields, tags, state)


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it."""
    dns = {"PrivateDnsEnabled": fields["private_dns"]} if fields["type"] == INTERFACE else {}
    answer = aws.call(
        "create_vpc_endpoint",
        VpcId=fields["vpc"],
        ServiceName=fields["service"],
        VpcEndpointType=TYPES[fields["type"]],
        TagSpecifications=specification("vpc-endpoint", name, tags),
        **{key: fields[field] for field, key in LISTS.items() if fields[field]},
        **dns,
    )
    return str(answer["VpcEndpoint"]["VpcEndpointId"])


def update(aws: Any, found: Found, fields: Mapping[str, Any], changed: Sequence[str]) -> None:
    """Add what is lacking and remove what nobody wants, in one call: it is never without a way in."""
    asked: dict[str, Any] = {}
    for field in changed:
        if field == "private_dns":
            asked["PrivateDnsEnabled"] = fields[field]
        else:
            there, wanted = set(found.fields[field]), set(fields[field])
            asked |= {f"Add{LISTS[field]}": sorted(wanted - there), f"Remove{LISTS[field]}": sorted(there - wanted)}
    asked = {key: value for key, value in asked.items() if value != []}
    aws.call("modify_vpc_endpoint", VpcEndpointId=found.id, **asked)


def delete(aws: Any, found: Found) -> None:
    """Delete it with its routes or addresses. What is refused stands in an answer that says success."""
    settle(aws.call("delete_vpc_endpoints", VpcEndpointIds=[found.id]))


KIND = Kind(
    name="vpc_endpoint",
    says="An endpoint of a VPC, by which a service of AWS is reached without the internet.",
    service="ec2",
    fields=(
        Field("vpc", "Name or id of the VPC.", change=REPLACE, required=True, to="vpc"),
        Field("service", "The service, such as V(com.amazonaws.us-east-1.s3).", change=REPLACE, required=True),
        Field("type", "V(gateway) for S3 and DynamoDB, a route that costs nothing; V(interface) for all others.",
              change=REPLACE, default=INTERFACE, choices=tuple(TYPES)),
        Field("route_tables", "Names or ids of the route tables that lead to a gateway endpoint. Others do not.",
              "list", default=[], elements="str", to="route_table"),
        Field("subnets", "Names or ids of the subnets in which an interface endpoint has an address.",
              "list", default=[], elements="str", to="subnet"),
        Field("security_groups", "Names or ids of the security groups of an interface endpoint.",
              "list", default=[], elements="str", to="security_group"),
        Field("private_dns", "Whether the service's own name leads to an interface endpoint within the VPC.", "bool",
              default=False),
    ),
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound", "InvalidVpcID.NotFound",
               "InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound", "InvalidSubnetID.NotFound",
               "InvalidSubnetId.NotFound", "InvalidGroup.NotFound", "InvalidSecurityGroupId.NotFound"),
    problems=problems,
    example={"name": "trading-s3", "vpc": "trading", "service": "com.amazonaws.us-east-1.s3", "type": GATEWAY,
             "route_tables": ["trading-private"]},
)  # fmt: skip
