# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeNatGateways answers with what was asked for."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError


def gateways(ec2) -> dict[str, str]:
    """Make two NAT gateways; their ids by the value of their tag Name."""
    vpc = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
    made = {}
    for index in range(2):
        name = f"nat-{uuid.uuid4().hex[:8]}"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.6.{index}.0/24")["Subnet"]["SubnetId"]
        answer = ec2.create_nat_gateway(
            SubnetId=subnet,
            AllocationId=ec2.allocate_address(Domain="vpc")["AllocationId"],
            TagSpecifications=[{"ResourceType": "natgateway", "Tags": [{"Key": "Name", "Value": name}]}],
        )
        made[name] = answer["NatGateway"]["NatGatewayId"]
    return made


def found(ec2, *filters: tuple[str, str]) -> list[str]:
    answer = ec2.describe_nat_gateways(Filters=[{"Name": name, "Values": [value]} for name, value in filters])
    return [gateway["NatGatewayId"] for gateway in answer["NatGateways"]]


def test_stock_moto_ignores_tags(stock) -> None:
    ec2 = stock("ec2")
    name, _other = gateways(ec2)
    assert len(found(ec2, ("tag:Name", name))) > 1


def test_tags_are_honoured(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    made = gateways(ec2)
    for name, gateway in made.items():
        assert found(ec2, ("tag:Name", name)) == [gateway]
        assert found(ec2, ("tag:Name", name), ("state", "available")) == [gateway]
        assert found(ec2, ("tag:Name", name), ("state", "deleted")) == []
    assert set(made.values()) <= set(found(ec2, ("tag-key", "Name")))
    assert found(ec2, ("tag:Name", "nobody")) == []
    conforms(ec2, "DescribeNatGateways", ec2.describe_nat_gateways())


def test_an_unknown_filter_is_refused(repaired) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        found(repaired("ec2"), ("colour", "red"))
