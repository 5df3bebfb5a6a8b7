# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces that AWS makes for a gateway or an endpoint are told from those of somebody."""

from __future__ import annotations

import uuid


def interfaces(ec2) -> dict[str, tuple[bool, str]]:
    """Of a NAT gateway, of an endpoint and of nobody: whether AWS manages it, and its type."""
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.kinesis-streams",
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
    )["VpcEndpoint"]
    nobody = ec2.create_network_interface(SubnetId=subnet, Description=uuid.uuid4().hex)["NetworkInterface"]
    ids = {
        "gateway": gateway["NatGatewayAddresses"][0]["NetworkInterfaceId"],
        "endpoint": endpoint["NetworkInterfaceIds"][0],
        "nobody": nobody["NetworkInterfaceId"],
    }
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    there = {
        each["NetworkInterfaceId"]: each
        for each in ec2.describe_network_interfaces(Filters=inside)["NetworkInterfaces"]
    }
    return {name: (there[one]["RequesterManaged"], there[one]["InterfaceType"]) for name, one in ids.items()}


def test_stock_moto_takes_them_all_for_somebody_s(stock) -> None:
    assert set(interfaces(stock("ec2")).values()) == {(False, "interface")}


def test_aws_s_own_are_requester_managed(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    assert interfaces(ec2) == {
        "gateway": (True, "natGateway"), "endpoint": (True, "vpc_endpoint"), "nobody": (False, "interface"),
    }  # fmt: skip
    conforms(ec2, "DescribeNetworkInterfaces", ec2.describe_network_interfaces())
