# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a VPC endpoint changes its routes, its addresses and its private name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError

SECOND = itertools.count(21)


def network(ec2: Any) -> tuple[str, list[str], list[str]]:
    """A VPC, two route tables and two subnets."""
    second = next(SECOND)
    vpc = ec2.create_vpc(CidrBlock=f"10.{second}.0.0/16")["Vpc"]["VpcId"]
    tables = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2)]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{second}.{third}.0/24")["Subnet"]["SubnetId"] for third in range(2)
    ]
    return vpc, tables, subnets


def gateway(ec2: Any, vpc: str, tables: list[str]) -> dict[str, Any]:
    answer = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", VpcEndpointType="Gateway", RouteTableIds=tables
    )
    endpoint: dict[str, Any] = answer["VpcEndpoint"]
    return endpoint


def interface(ec2: Any, vpc: str, subnets: list[str]) -> dict[str, Any]:
    answer = ec2.create_vpc_endpoint(
        VpcId=vpc,
        ServiceName="com.amazonaws.us-east-1.kinesis-streams",
        VpcEndpointType="Interface",
        SubnetIds=subnets,
        PrivateDnsEnabled=True,
    )
    endpoint: dict[str, Any] = answer["VpcEndpoint"]
    return endpoint


def reached_from(ec2: Any, endpoint: dict[str, Any]) -> list[str]:
    """The route tables with a route to it."""
    listed = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [endpoint["VpcId"]]}])["RouteTables"]
    identifier = endpoint["VpcEndpointId"]
    return [t["RouteTableId"] for t in listed if identifier in [route.get("GatewayId") for route in t["Routes"]]]


def described(ec2: Any, endpoint: dict[str, Any]) -> dict[str, Any]:
    answer = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    there: dict[str, Any] = answer["VpcEndpoints"][0]
    return there


def places(ec2: Any, endpoint: dict[str, Any]) -> list[str]:
    """The subnets in which it has a network interface."""
    interfaces = described(ec2, endpoint)["NetworkInterfaceIds"]
    listed = ec2.describe_network_interfaces(NetworkInterfaceIds=interfaces)["NetworkInterfaces"]
    return sorted(each["SubnetId"] for each in listed)


def test_stock_moto_leaves_routes_addresses_and_names_as_they_were(stock) -> None:
    ec2 = stock("ec2")
    vpc, tables, subnets = network(ec2)
    endpoint = gateway(ec2, vpc, tables[:1])
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"], AddRouteTableIds=tables[1:], RemoveRouteTableIds=tables[:1]
    )
    assert described(ec2, endpoint)["RouteTableIds"] == tables[1:]
    assert reached_from(ec2, endpoint) == tables[:1]
    assert endpoint["PrivateDnsEnabled"] is True  # of a gateway
    gateway(ec2, vpc, tables[:1])  # a second one, which takes its route
    endpoint = interface(ec2, vpc, subnets[:1])
    ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"],
        AddSubnetIds=subnets[1:],
        RemoveSubnetIds=subnets[:1],
        PrivateDnsEnabled=False,
    )
    assert described(ec2, endpoint)["PrivateDnsEnabled"] is True
    assert places(ec2, endpoint) == subnets[:1]


def test_a_gateways_routes_follow_it(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    vpc, tables, _ = network(ec2)
    endpoint = gateway(ec2, vpc, tables[:1])
    assert endpoint["PrivateDnsEnabled"] is False
    answer = ec2.modify_vpc_endpoint(
        VpcEndpointId=endpoint["VpcEndpointId"], AddRouteTableIds=tables[1:], RemoveRouteTableIds=tables[:1]
    )
    conforms(ec2, "ModifyVpcEndpoint", answer)
    assert reached_from(ec2, endpoint) == described(ec2, endpoint)["RouteTableIds"] == tables[1:]
    with pytest.raises(ClientError, match="RouteAlreadyExists"):
        gateway(ec2, vpc, tables)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    assert reached_from(ec2, endpoint) == []


def test_an_interface_endpoint_moves_and_loses_its_name(repaired) -> None:
    ec2 = repaired("ec2")
    vpc, _, subnets = network(ec2)
    endpoint = interface(ec2, vpc, subnets[:1])
    assert described(ec2, endpoint)["PrivateDnsEnabled"] is True
    move = {"AddSubnetIds": subnets[1:], "RemoveSubnetIds": subnets[:1]}
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], **move)
    assert described(ec2, endpoint)["PrivateDnsEnabled"] is True
    assert places(ec2, endpoint) == subnets[1:]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], PrivateDnsEnabled=False)
    assert described(ec2, endpoint)["PrivateDnsEnabled"] is False
