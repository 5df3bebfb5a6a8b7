# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints of both types: made, read back from the emulator over HTTP, changed without being made anew, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds.vpc_endpoint import KIND
from platform_resources import TAGS, Case, Client, converge, first, named, told

S3, KINESIS = "com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.kinesis-streams"
GATEWAY = {"vpc": "trading", "service": S3, "type": "gateway", "route_tables": ["endpoints-a", "endpoints-b"]}
INTERFACE = {
    "vpc": "trading", "service": KINESIS, "subnets": ["endpoints-a", "endpoints-b"],
    "security_groups": ["endpoints-a"], "private_dns": True,
}  # fmt: skip


def modify(client: Client, endpoint: str, **change: Any) -> None:
    client("ec2").modify_vpc_endpoint(VpcEndpointId=endpoint, **change)


def lose_a_way(client: Client, endpoint: str) -> None:
    """Somebody takes away what it is reached by."""
    there = client("ec2").describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    if there["VpcEndpointType"] == "Gateway":
        modify(client, endpoint, RemoveRouteTableIds=there["RouteTableIds"][:1])
    else:
        modify(
            client, endpoint, RemoveSubnetIds=there["SubnetIds"][:1], PrivateDnsEnabled=not there["PrivateDnsEnabled"]
        )


CASE = Case(
    variants=(
        GATEWAY,
        {**GATEWAY, "route_tables": ["endpoints-b"]},
        INTERFACE,
        {**INTERFACE, "subnets": ["endpoints-b"], "security_groups": ["endpoints-b"], "private_dns": False},
        {**INTERFACE, "vpc": "other", "subnets": ["endpoints-other"], "security_groups": ["endpoints-other"]},
    ),
    drifts=(
        lambda client, endpoint: client("ec2").delete_vpc_endpoints(VpcEndpointIds=[endpoint]),
        lose_a_way,
        lambda client, endpoint: client("ec2").delete_tags(Resources=[endpoint], Tags=[{"Key": "CostCenter"}]),
    ),
)


def the_endpoint(client: Client, name: str) -> dict[str, Any]:
    listed = client("ec2").describe_vpc_endpoints(Filters=[{"Name": "tag:Name", "Values": [name]}])["VpcEndpoints"]
    (there,) = [endpoint for endpoint in listed if endpoint["State"] == "available"]
    return there


def ids(client: Client, operation: str, key: str, id_key: str, *names: str) -> list[str]:
    filters = [{"Name": "tag:Name", "Values": list(names)}]
    return sorted(item[id_key] for item in getattr(client("ec2"), operation)(Filters=filters)[key])


def tables(client: Client, *names: str) -> list[str]:
    return ids(client, "describe_route_tables", "RouteTables", "RouteTableId", *names)


def subnets(client: Client, *names: str) -> list[str]:
    return ids(client, "describe_subnets", "Subnets", "SubnetId", *names)


def leads_to(client: Client, endpoint: str) -> list[str]:
    """The route tables that have a route to an endpoint."""
    listed = client("ec2").describe_route_tables()["RouteTables"]
    return sorted(t["RouteTableId"] for t in listed if endpoint in [route.get("GatewayId") for route in t["Routes"]])


@pytest.mark.slow
@pytest.mark.feature("NET-13", by="M", part="a gateway and an interface endpoint, made by platform_resources")
def test_both_types_are_read_back_over_http(served: Client) -> None:
    nothing_of_ours(served)
    first(served, {"vpc_endpoints": [{"name": "s3", **GATEWAY}]})
    there = the_endpoint(served, "s3")
    assert (there["VpcEndpointType"], there["ServiceName"], there["PrivateDnsEnabled"]) == ("Gateway", S3, False)
    assert leads_to(served, there["VpcEndpointId"]) == tables(served, "endpoints-a", "endpoints-b")
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "s3"}
    first(served, {"vpc_endpoints": [{"name": "kinesis", **INTERFACE}]})
    there = the_endpoint(served, "kinesis")
    assert (there["VpcEndpointType"], there["ServiceName"], there["PrivateDnsEnabled"]) == ("Interface", KINESIS, True)
    assert sorted(there["SubnetIds"]) == subnets(served, "endpoints-a", "endpoints-b")
    groups = ids(served, "describe_security_groups", "SecurityGroups", "GroupId", "endpoints-a")
    assert [group["GroupId"] for group in there["Groups"]] == groups


@pytest.mark.slow
def test_a_change_keeps_it(served: Client) -> None:
    """Neither type is made anew, since for as long nobody would reach the service."""
    nothing_of_ours(served)
    old = first(served, {"vpc_endpoints": [{"name": "kept", **GATEWAY}]})
    outcome = converge(served, {"vpc_endpoints": [{"name": "kept", **GATEWAY, "route_tables": ["endpoints-b"]}]})
    assert (told(outcome), outcome.problems) == (["update vpc_endpoint kept route_tables"], [])
    assert the_endpoint(served, "kept")["VpcEndpointId"] == old
    assert leads_to(served, old) == tables(served, "endpoints-b")
    old = first(served, {"vpc_endpoints": [{"name": "moved", **INTERFACE}]})
    moved = {"name": "moved", **INTERFACE, "subnets": ["endpoints-b"], "security_groups": ["endpoints-b"]}
    outcome = converge(served, {"vpc_endpoints": [{**moved, "private_dns": False}]})
    assert told(outcome) == ["update vpc_endpoint moved subnets security_groups private_dns"]
    there = the_endpoint(served, "moved")
    assert (there["VpcEndpointId"], there["PrivateDnsEnabled"]) == (old, False)
    assert there["SubnetIds"] == subnets(served, "endpoints-b")
    assert [group["GroupName"] for group in there["Groups"]] == ["endpoints-b"]


@pytest.mark.slow
@pytest.mark.feature("NET-14", by="M", part="what is taken off the list is removed, by platform_resources")
def test_what_nobody_lists_is_purged_and_what_is_anothers_stays(served: Client) -> None:
    nothing_of_ours(served)
    theirs = {"VpcId": the_vpc(served), "TagSpecifications": named("vpc-endpoint", "theirs")}
    served("ec2").create_vpc_endpoint(ServiceName=S3, VpcEndpointType="Gateway", **theirs)
    first(served, {"vpc_endpoints": [{"name": "off", **GATEWAY}, {"name": "stays", **INTERFACE}]})
    first(served, {"log_groups": [{"name": "/not/purged"}]})
    rest = {"vpc_endpoints": [{"name": "stays", **INTERFACE}]}
    gone = ["delete vpc_endpoint off"]
    assert told(converge(served, rest)) == []  # nothing is purged that nobody asked to be
    assert told(converge(served, rest, purge=["vpc_endpoint"], check=True)) == gone
    assert ours(served) == ["off", "stays"]
    outcome = converge(served, rest, purge=["vpc_endpoint"])
    assert (told(outcome), outcome.problems, ours(served)) == (gone, [], ["stays"])
    assert told(converge(served, {}, purge=["vpc_endpoint"])) == ["delete vpc_endpoint stays"]
    assert told(converge(served, {}, purge=["vpc_endpoint"])) == [] and ours(served) == []
    assert the_endpoint(served, "theirs")
    assert converge(served, {"log_groups": [{"name": "/not/purged"}]}).planned == []


def nothing_of_ours(client: Client) -> None:
    """A route table has one gateway endpoint of a service, so each test removes those of the one before."""
    assert converge(client, {}, purge=["vpc_endpoint"]).problems == []


def the_vpc(client: Client) -> str:
    (vpc,) = ids(client, "describe_vpcs", "Vpcs", "VpcId", "trading")
    return vpc


def ours(client: Client) -> list[str]:
    """Names of the endpoints that carry our tags."""
    listed = client("ec2").describe_vpc_endpoints(Filters=[{"Name": "tag:Project", "Values": [TAGS["Project"]]}])
    there = [endpoint for endpoint in listed["VpcEndpoints"] if endpoint["State"] == "available"]
    return sorted(tag["Value"] for endpoint in there for tag in endpoint["Tags"] if tag["Key"] == "Name")


ROUTE = "a gateway endpoint is a route: give route_tables alone, or type interface"
ADDRESSES = "an interface endpoint has addresses: give subnets and security_groups, or type gateway"
NOBODY = "an interface endpoint without subnets or security_groups reaches nobody: give both"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({**GATEWAY, "subnets": ["a"]}, ROUTE),
        ({**GATEWAY, "private_dns": True}, ROUTE),
        ({**INTERFACE, "route_tables": ["a"]}, ADDRESSES),
        ({**INTERFACE, "subnets": []}, NOBODY),
        ({**INTERFACE, "security_groups": []}, NOBODY),
    ],
)
def test_what_is_refused(given: Mapping[str, Any], line: str) -> None:
    whole = {field.name: given.get(field.name, field.default) for field in KIND.fields}
    assert list(KIND.problems(whole)) == [line]
