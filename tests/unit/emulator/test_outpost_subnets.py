# SPDX-License-Identifier: GPL-3.0-or-later
"""A subnet on an Outpost says on which, and one in a zone says nothing of the kind."""

from __future__ import annotations

from typing import Any

RACK = "arn:aws:outposts:us-east-1:123456789012:outpost/op-0123456789abcdef0"


def placed(ec2: Any) -> dict[str, Any]:
    """Make a subnet on the rack and one beside it; the listing of both by their addresses."""
    vpc = ec2.create_vpc(CidrBlock="10.22.0.0/16")["Vpc"]["VpcId"]
    place = {"VpcId": vpc, "AvailabilityZone": "us-east-1a"}
    ec2.create_subnet(CidrBlock="10.22.0.0/24", OutpostArn=RACK, **place)
    ec2.create_subnet(CidrBlock="10.22.1.0/24", **place)
    answer: dict[str, Any] = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    return answer


def outposts(answer: dict[str, Any]) -> dict[str, str | None]:
    return {each["CidrBlock"]: each.get("OutpostArn") for each in answer["Subnets"]}


def test_stock_moto_forgets_the_outpost(stock) -> None:
    assert outposts(placed(stock("ec2"))) == {"10.22.0.0/24": None, "10.22.1.0/24": None}


def test_it_says_on_which_it_is(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    answer = placed(ec2)
    conforms(ec2, "DescribeSubnets", answer)
    assert outposts(answer) == {"10.22.0.0/24": RACK, "10.22.1.0/24": None}
