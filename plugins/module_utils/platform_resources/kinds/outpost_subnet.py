# SPDX-License-Identifier: GPL-3.0-or-later
"""A subnet on an Outpost, which is AWS's rack in another's building. amazon.aws places none of its subnets on one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..kind import NEVER, PENDING, READY, Field, Found, Kind, named, specification, tag_ec2, tags_of

STATES = {"available": READY, "pending": PENDING}


def find(aws: Any, names: Sequence[str] | None) -> Iterator[Found]:
    """Find those that are on an Outpost, with the route table that each follows; the VPC's main one is none."""
    placed = [each for each in aws.pages("describe_subnets", "Subnets", **named(names)) if each.get("OutpostArn")]
    tables = tables_of(aws, [each["SubnetId"] for each in placed])
    for subnet in placed:
        if subnet["State"] in STATES:
            tags = tags_of(subnet.get("Tags"))
            fields = {
                "vpc": subnet["VpcId"],
                "zone": subnet["AvailabilityZone"],
                "cidr": subnet["CidrBlock"],
                "outpost_arn": subnet["OutpostArn"],
                "route_table": tables.get(subnet["SubnetId"], ("", None))[1],
            }
            yield Found(tags.get("Name", ""), subnet["SubnetId"], fields, tags, STATES[subnet["State"]])


def tables_of(aws: Any, subnets: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Subnet -> the association with its route table, and the table."""
    if not subnets:
        return {}
    asked = [{"Name": "association.subnet-id", "Values": list(subnets)}]
    return {
        each["SubnetId"]: (each["RouteTableAssociationId"], table["RouteTableId"])
        for table in aws.pages("describe_route_tables", "RouteTables", Filters=asked)
        for each in table["Associations"]
        if "SubnetId" in each
    }


def create(aws: Any, name: str, fields: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Make it, and give it its route table."""
    answer = aws.call(
        "create_subnet",
        VpcId=fields["vpc"],
        AvailabilityZone=fields["zone"],
        CidrBlock=fields["cidr"],
        OutpostArn=fields["outpost_arn"],
        TagSpecifications=specification("subnet", name, tags),
    )
    identifier = str(answer["Subnet"]["SubnetId"])
    aws.call("associate_route_table", RouteTableId=fields["route_table"], SubnetId=identifier)
    return identifier


def update(aws: Any, found: Found, fields: Mapping[str, Any], _changed: Sequence[str]) -> None:
    """Give it another route table."""
    association = tables_of(aws, [found.id]).get(found.id, ("",))[0]
    if association:
        aws.call("replace_route_table_association", AssociationId=association, RouteTableId=fields["route_table"])
    else:
        aws.call("associate_route_table", RouteTableId=fields["route_table"], SubnetId=found.id)


def delete(aws: Any, found: Found) -> None:
    """Delete it."""
    aws.call("delete_subnet", SubnetId=found.id)


KIND = Kind(
    name="outpost_subnet",
    says="A subnet on an Outpost, the rack of AWS in a market's own building.",
    service="ec2",
    fields=(
        Field("vpc", "Name or id of the VPC.", change=NEVER, required=True, to="vpc"),
        Field("zone", "The availability zone that the Outpost belongs to.", change=NEVER, required=True),
        Field("cidr", "Its addresses.", change=NEVER, required=True),
        Field("outpost_arn", "ARN of the Outpost.", change=NEVER, required=True),
        Field("route_table", "Name or id of the route table that it follows.", required=True, to="route_table"),
    ),
    arn="subnet/{id}",
    find=find, create=create, update=update, delete=delete, tag=tag_ec2,
    not_found=("InvalidSubnetID.NotFound", "InvalidSubnetId.NotFound", "InvalidVpcID.NotFound",
               "InvalidRouteTableID.NotFound", "InvalidRouteTableId.NotFound"),
    example={"name": "trading-outpost", "vpc": "trading", "zone": "us-east-1a", "cidr": "10.0.201.0/24",
             "outpost_arn": "arn:aws:outposts:us-east-1:111122223333:outpost/op-0123456789abcdef0",
             "route_table": "trading-private"},
)  # fmt: skip
