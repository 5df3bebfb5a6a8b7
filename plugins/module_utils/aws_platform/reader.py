# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what AWS has of one platform, in few calls, into plain lists that check.py judges.

The platform is the VPC whose Name tag is the prefix, all that lies in it, and the keys, buckets, streams, tables and
databases whose names begin with the prefix.  Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from . import stores_reader
from .rules import found_rules

Found = dict[str, list[dict[str, Any]]]
Filters = list[dict[str, Any]]

# States of an instance that is still there, or about to be.
_STATES = ("pending", "running", "stopping", "stopped")


def read(client: Callable[[str], Any], prefix: str) -> Found:
    """Everything of the platform `prefix`; `client` makes the boto3 client of a service.

    Keys: vpcs, subnets, route_tables, internet_gateways, nat_gateways, addresses, security_groups, vpc_endpoints,
    instances, volumes, interfaces, placement_groups, keys, buckets, streams, tables, databases, database_subnet_groups.
    Each item has `id` and `tags`, and what its kind adds below.
    """
    ec2 = client("ec2")
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [prefix]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in vpcs] or ["vpc-none"]}]
    groups = ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
    names = {group["GroupId"]: group["GroupName"] for group in groups}
    return {
        "vpcs": [_vpc(ec2, vpc) for vpc in vpcs],
        **_network(ec2, inside),
        **_gateways(ec2, inside, prefix),
        "security_groups": [
            {
                "id": group["GroupId"],
                "name": group["GroupName"],
                "rules": found_rules(group, names),
                "tags": tags_of(group.get("Tags")),
            }
            for group in groups
            if group["GroupName"] != "default"  # made by AWS with the VPC, and used by nothing
        ],
        "vpc_endpoints": [
            {"id": endpoint["VpcEndpointId"], "tags": tags_of(endpoint.get("Tags"))}
            for endpoint in ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"]
            if endpoint["State"].lower() not in ("deleting", "deleted")
        ],
        **_hosts(ec2, inside, prefix),
        **stores_reader.read(client, prefix, names),
    }


def _vpc(ec2: Any, vpc: Mapping[str, Any]) -> dict[str, Any]:
    def attribute(name: str) -> bool:
        key = name[0].upper() + name[1:]
        return bool(ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=name)[key]["Value"])

    return {
        "id": vpc["VpcId"],
        "cidr": vpc["CidrBlock"],
        "dns": attribute("enableDnsSupport") and attribute("enableDnsHostnames"),
        "tags": tags_of(vpc.get("Tags")),
    }


def _network(ec2: Any, inside: Filters) -> Found:
    return {
        "subnets": [
            {
                "id": subnet["SubnetId"],
                "cidr": subnet["CidrBlock"],
                "zone": subnet["AvailabilityZone"],
                "public_addresses": subnet["MapPublicIpOnLaunch"],
                "tags": tags_of(subnet.get("Tags")),
            }
            for subnet in ec2.describe_subnets(Filters=inside)["Subnets"]
        ],
        "route_tables": [_route_table(table) for table in ec2.describe_route_tables(Filters=inside)["RouteTables"]],
    }


def _route_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """`routes`: destination -> target, without the VPC's own.  `main`: the one that AWS made with the VPC."""
    associations = table["Associations"]
    return {
        "id": table["RouteTableId"],
        "main": any(association.get("Main") for association in associations),
        "subnets": [association["SubnetId"] for association in associations if association.get("SubnetId")],
        "routes": {
            _destination(route): next(
                (route[key] for key in ("NatGatewayId", "TransitGatewayId", "GatewayId") if route.get(key)), "?"
            )
            for route in table["Routes"]
            if route.get("GatewayId") != "local"
        },
        "tags": tags_of(table.get("Tags")),
    }


def _destination(route: Mapping[str, Any]) -> str:
    return str(route.get("DestinationCidrBlock") or route.get("DestinationPrefixListId") or "?")


def _gateways(ec2: Any, inside: Filters, prefix: str) -> Found:
    """`addresses`: those of the NAT gateways, and those that are named like them; `used`: whether a gateway has it."""
    nat_gateways = [
        gateway
        for gateway in ec2.describe_nat_gateways(Filters=inside)["NatGateways"]
        if gateway["State"] in ("pending", "available")
    ]
    # A private gateway has no address of its own, and one that is being made may have none yet.
    used = {
        address.get("AllocationId") for gateway in nat_gateways for address in gateway.get("NatGatewayAddresses", ())
    }
    addresses = [
        {"id": address["AllocationId"], "used": address["AllocationId"] in used, "tags": tags_of(address.get("Tags"))}
        for address in ec2.describe_addresses()["Addresses"]
    ]
    attached = [{"Name": "attachment.vpc-id", "Values": inside[0]["Values"]}]
    return {
        "internet_gateways": [
            {"id": gateway["InternetGatewayId"], "tags": tags_of(gateway.get("Tags"))}
            for gateway in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
        ],
        "nat_gateways": [
            {
                "id": gateway["NatGatewayId"],
                "subnet": gateway["SubnetId"],
                "public": gateway.get("ConnectivityType") != "private",
                "tags": tags_of(gateway.get("Tags")),
            }
            for gateway in nat_gateways
        ],
        "addresses": [
            address
            for address in addresses
            if address["used"] or address["tags"].get("Name", "").startswith(f"{prefix}-")
        ],
    }


def _hosts(ec2: Any, inside: Filters, prefix: str) -> Found:
    states = [*inside, {"Name": "instance-state-name", "Values": list(_STATES)}]
    instances = [
        instance
        for page in ec2.get_paginator("describe_instances").paginate(Filters=states)
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    attached = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"] for instance in instances]}]
    volumes = ec2.describe_volumes(Filters=attached)["Volumes"] if instances else []
    return {
        "instances": [_instance(instance) for instance in instances],
        "volumes": [
            {"id": volume["VolumeId"], "key": volume.get("KmsKeyId"), "tags": tags_of(volume.get("Tags"))}
            for volume in volumes
        ],
        "interfaces": _interfaces(ec2, inside, {instance["InstanceId"] for instance in instances}),
        "placement_groups": [
            {"id": group["GroupName"], "strategy": group["Strategy"], "tags": tags_of(group.get("Tags"))}
            for group in ec2.describe_placement_groups()["PlacementGroups"]
            if group["GroupName"].startswith(f"{prefix}-")
        ],
    }


def _interfaces(ec2: Any, inside: Filters, instances: Container[str]) -> list[dict[str, Any]]:
    """`owner`: nat_gateway, load_balancer, instance, or other. Those of an instance that has ended are not told."""

    def owner(interface: Mapping[str, Any]) -> str:
        # EC2 API reference, NetworkInterface; those of an Application Load Balancer are told by who asked for them.
        if interface["InterfaceType"] == "natGateway":
            return "nat_gateway"
        if interface.get("RequesterId") == "amazon-elb" or "load_balancer" in interface["InterfaceType"]:
            return "load_balancer"
        return "instance" if host(interface) else "other"

    def host(interface: Mapping[str, Any]) -> str:
        return str(interface.get("Attachment", {}).get("InstanceId", ""))

    return [
        {
            "id": interface["NetworkInterfaceId"],
            "subnet": interface["SubnetId"],
            "owner": owner(interface),
            "tags": tags_of(interface.get("TagSet")),
        }
        for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=inside)
        for interface in page["NetworkInterfaces"]
        if not host(interface) or host(interface) in instances
    ]


def _instance(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": instance["InstanceId"],
        "state": instance["State"]["Name"],
        "zone": instance["Placement"]["AvailabilityZone"],
        "placement_group": instance["Placement"].get("GroupName", ""),
        "instance_profile": instance.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2],
        "subnet": instance.get("SubnetId"),
        "security_groups": sorted(group["GroupName"] for group in instance["SecurityGroups"]),
        "tags": tags_of(instance.get("Tags")),
    }


def tags_of(pairs: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """AWS's list of tags as a dictionary; `key` and `value`: what the service calls the two."""
    return {pair[key]: pair[value] for pair in pairs or ()}
