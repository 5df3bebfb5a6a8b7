# SPDX-License-Identifier: GPL-3.0-or-later
"""A subnet on an Outpost: what is asked for, what a preview says. The emulator has no Outposts, and takes any ARN."""

from __future__ import annotations

from typing import Any

import pytest
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

RACK = "arn:aws:outposts:us-east-1:123456789012:outpost/op-0123456789abcdef0"
PLACE = {"vpc": "trading", "zone": "us-east-1a", "cidr": "10.1.201.0/24", "outpost_arn": RACK}


def leave(client: Client, subnet: str) -> None:
    """Somebody takes its route table away, so that it follows the VPC's main one."""
    asked = [{"Name": "association.subnet-id", "Values": [subnet]}]
    for table in client("ec2").describe_route_tables(Filters=asked)["RouteTables"]:
        for association in table["Associations"]:
            if association.get("SubnetId") == subnet:
                client("ec2").disassociate_route_table(AssociationId=association["RouteTableAssociationId"])


CASE = Case(
    variants=({**PLACE, "route_table": "endpoints-a"}, {**PLACE, "route_table": "endpoints-b"}),
    drifts=(
        leave,
        lambda client, subnet: client("ec2").delete_tags(Resources=[subnet], Tags=[{"Key": "Compliance"}]),
        lambda client, subnet: client("ec2").delete_subnet(SubnetId=subnet),
    ),
)


def of(client: Client, subnet: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"]
    return there


@pytest.mark.slow
@pytest.mark.feature("HYB-08", by="Stub", repaired="outpost_subnets")
def test_it_is_asked_for_on_the_outpost(served: Client) -> None:
    """A preview says on which, and asks for nothing; a run asks for it and for its route table."""
    options = {"outpost_subnets": [{**CASE.variants[0], "name": "mahwah", "cidr": "10.1.202.0/24"}]}
    preview = Recorder(served)
    shown = converge(preview, options, check=True)
    assert (told(shown), shown.problems, preview.writes) == (["create outpost_subnet mahwah"], [], [])
    (step,) = shown.planned
    assert step.after is not None and (step.before, step.after["outpost_arn"]) == (None, RACK)
    recorder = Recorder(served)
    identifier = first(recorder, options)
    asked = dict(recorder.calls)
    vpc = of(served, identifier)["VpcId"]
    assert asked["create_subnet"] == {
        "VpcId": vpc,
        "AvailabilityZone": "us-east-1a",
        "CidrBlock": "10.1.202.0/24",
        "OutpostArn": RACK,
        "TagSpecifications": [
            {
                "ResourceType": "subnet",
                "Tags": [{"Key": key, "Value": value} for key, value in {**TAGS, "Name": "mahwah"}.items()],
            }
        ],
    }
    assert asked["associate_route_table"]["SubnetId"] == identifier
    assert of(served, identifier)["OutpostArn"] == RACK
    elsewhere = {"outpost_subnets": [{**options["outpost_subnets"][0], "outpost_arn": f"{RACK}1"}]}
    (line,) = converge(served, elsewhere).problems
    assert f"outpost_subnet mahwah: outpost_arn is {RACK} and cannot become {RACK}1" in line
    gone = converge(served, {"outpost_subnets": [{"name": "mahwah", "state": "absent"}]})
    assert (told(gone), gone.problems) == (["delete outpost_subnet mahwah"], [])


@pytest.mark.slow
def test_a_subnet_of_that_name_in_a_zone_is_another(served: Client) -> None:
    """What is not on an Outpost is not taken for one that is."""
    ec2 = served("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["trading"]}])["Vpcs"]
    tags = [{"Key": key, "Value": value} for key, value in {**TAGS, "Name": "carteret"}.items()]
    beside = {"VpcId": vpc["VpcId"], "CidrBlock": "10.1.203.0/24"}
    ec2.create_subnet(TagSpecifications=[{"ResourceType": "subnet", "Tags": tags}], **beside)
    options = [{**CASE.variants[0], "name": "carteret", "cidr": "10.1.204.0/24"}]
    assert told(converge(served, {"outpost_subnets": options}, check=True)) == ["create outpost_subnet carteret"]
