# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what AWS has of one platform, in few calls, into plain lists that check.py judges.

The platform is the VPC whose Name tag is the prefix, all that lies in it, and the keys, buckets, streams and databases
whose names begin with the prefix.  Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Found = dict[str, list[dict[str, Any]]]


def read(client: Callable[[str], Any], prefix: str) -> Found:
    """Everything of the platform `prefix`; `client` makes the boto3 client of a service.

    Keys: vpcs, subnets, route_tables, internet_gateways, nat_gateways, addresses, security_groups, instances,
    placement_groups, keys, buckets, streams, databases.  Each item has `id` and `tags`, and what its kind adds below.
    """
    ec2 = client("ec2")
    found = _network(ec2, prefix)
    found["placement_groups"] = [
        {"id": group["GroupName"], "strategy": group["Strategy"], "tags": _tags(group.get("Tags"))}
        for group in ec2.describe_placement_groups()["PlacementGroups"]
        if group["GroupName"].startswith(f"{prefix}-")
    ]
    found["keys"] = _keys(client("kms"), prefix)
    found["buckets"] = _buckets(client("s3"), prefix)
    found["streams"] = _streams(client("kinesis"), prefix)
    found["databases"] = [
        {"id": database["DBInstanceIdentifier"], "tags": _tags(database.get("TagList"))}
        for page in client("rds").get_paginator("describe_db_instances").paginate()
        for database in page["DBInstances"]
        if database["DBInstanceIdentifier"].startswith(f"{prefix}-")
    ]
    return found


def _network(ec2: Any, prefix: str) -> Found:
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [prefix]}])["Vpcs"]
    ids = [vpc["VpcId"] for vpc in vpcs] or ["vpc-none"]
    inside = [{"Name": "vpc-id", "Values": ids}]
    gateways = [
        gateway
        for gateway in ec2.describe_nat_gateways(Filters=inside)["NatGateways"]
        if gateway["State"] in ("pending", "available")
    ]
    allocations = [a["AllocationId"] for gateway in gateways for a in gateway["NatGatewayAddresses"]]
    return {
        "vpcs": [_vpc(ec2, vpc) for vpc in vpcs],
        "subnets": [
            {"id": s["SubnetId"], "cidr": s["CidrBlock"], "zone": s["AvailabilityZone"], "tags": _tags(s.get("Tags"))}
            for s in ec2.describe_subnets(Filters=inside)["Subnets"]
        ],
        "route_tables": [_route_table(table) for table in ec2.describe_route_tables(Filters=inside)["RouteTables"]],
        "internet_gateways": [
            {"id": gateway["InternetGatewayId"], "tags": _tags(gateway.get("Tags"))}
            for gateway in ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": ids}])[
                "InternetGateways"
            ]
        ],
        "nat_gateways": [
            {"id": gateway["NatGatewayId"], "subnet": gateway["SubnetId"], "tags": _tags(gateway.get("Tags"))}
            for gateway in gateways
        ],
        "addresses": [
            {"id": address["AllocationId"], "tags": _tags(address.get("Tags"))}
            for address in (ec2.describe_addresses(AllocationIds=allocations)["Addresses"] if allocations else [])
        ],
        "security_groups": [
            {"id": group["GroupId"], "name": group["GroupName"], "tags": _tags(group.get("Tags"))}
            for group in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
            if group["GroupName"] != "default"  # made by AWS with the VPC, and used by nothing
        ],
        "instances": [
            _instance(instance)
            for page in ec2.get_paginator("describe_instances").paginate(Filters=inside)
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] in ("pending", "running")
        ],
    }


def _vpc(ec2: Any, vpc: Mapping[str, Any]) -> dict[str, Any]:
    def attribute(name: str) -> bool:
        key = name[0].upper() + name[1:]
        return bool(ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=name)[key]["Value"])

    return {
        "id": vpc["VpcId"],
        "cidr": vpc["CidrBlock"],
        "dns": attribute("enableDnsSupport") and attribute("enableDnsHostnames"),
        "tags": _tags(vpc.get("Tags")),
    }


def _route_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """`routes`: destination -> target, without the VPC's own.  `main`: the one that AWS made with the VPC."""
    associations = table["Associations"]
    return {
        "id": table["RouteTableId"],
        "main": any(association.get("Main") for association in associations),
        "subnets": [association["SubnetId"] for association in associations if association.get("SubnetId")],
        "routes": {
            route.get("DestinationCidrBlock", "?"): route.get("NatGatewayId") or route.get("GatewayId") or "?"
            for route in table["Routes"]
            if route.get("GatewayId") != "local"
        },
        "tags": _tags(table.get("Tags")),
    }


def _instance(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": instance["InstanceId"],
        "zone": instance["Placement"]["AvailabilityZone"],
        "placement_group": instance["Placement"].get("GroupName", ""),
        "subnet": instance.get("SubnetId"),
        "tags": _tags(instance.get("Tags")),
    }


def _keys(kms: Any, prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "id": alias["AliasName"],
            "rotation": kms.get_key_rotation_status(KeyId=alias["TargetKeyId"])["KeyRotationEnabled"],
            "tags": _tags(kms.list_resource_tags(KeyId=alias["TargetKeyId"])["Tags"], "TagKey", "TagValue"),
        }
        for page in kms.get_paginator("list_aliases").paginate()
        for alias in page["Aliases"]
        if alias["AliasName"] == f"alias/{prefix}"
    ]


def _buckets(s3: Any, prefix: str) -> list[dict[str, Any]]:
    names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    return [
        {
            "id": name,
            "versioning": s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled",
            "tags": _bucket_tags(s3, name),
        }
        for name in names
        if name.startswith(f"{prefix}-")
    ]


def _bucket_tags(s3: Any, name: str) -> dict[str, str]:
    try:
        return _tags(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchTagSet":  # how S3 says that there are none
            return {}
        raise


def _streams(kinesis: Any, prefix: str) -> list[dict[str, Any]]:
    names = [name for page in kinesis.get_paginator("list_streams").paginate() for name in page["StreamNames"]]
    return [
        {"id": name, "tags": _tags(kinesis.list_tags_for_stream(StreamName=name)["Tags"])}
        for name in names
        if name.startswith(f"{prefix}-")
    ]


def _tags(pairs: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {pair[key]: pair[value] for pair in pairs or ()}
