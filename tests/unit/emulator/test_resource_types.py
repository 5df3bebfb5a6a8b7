# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeTags knows addresses and NAT gateways by AWS's names."""

from __future__ import annotations

import pytest


def tagged(ec2) -> dict[str, str]:
    """Make an address and a NAT gateway with tags; their ids by AWS's resource types."""
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    ec2.create_tags(Resources=[address, gateway], Tags=[{"Key": "Name", "Value": "egress"}])
    return {"elastic-ip": address, "natgateway": gateway}


def ids_of_type(ec2, resource_type: str) -> list[str]:
    answer = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": [resource_type]}])
    return [tag["ResourceId"] for tag in answer["Tags"]]


@pytest.mark.parametrize("resource_type", ["elastic-ip", "natgateway"])
def test_stock_moto_has_names_of_its_own(stock, resource_type) -> None:
    ec2 = stock("ec2")
    assert tagged(ec2)[resource_type] not in ids_of_type(ec2, resource_type)


@pytest.mark.parametrize("resource_type", ["elastic-ip", "natgateway"])
def test_found_by_awss_name(repaired, resource_type, conforms) -> None:
    ec2 = repaired("ec2")
    resource = tagged(ec2)[resource_type]
    assert resource in ids_of_type(ec2, resource_type)
    answer = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [resource]}])
    conforms(ec2, "DescribeTags", answer)
    assert {tag["ResourceType"] for tag in answer["Tags"]} == {resource_type}
