# SPDX-License-Identifier: GPL-3.0-or-later
"""The attachment of a VPC to a transit gateway, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

TWO = {"us-east-1a": "other-a", "us-east-1b": "other-b"}
PLACE = {"transit_gateway": "trading", "vpc": "other"}


def subnets(client: Client, names: list[str]) -> list[str]:
    """The ids of subnets by their names."""
    asked = [{"Name": "tag:Name", "Values": names}]
    return [each["SubnetId"] for each in client("ec2").describe_subnets(Filters=asked)["Subnets"]]


def widen(client: Client, attachment: str) -> None:
    """Somebody adds the third zone, where it is not there."""
    there = of(client, attachment)["SubnetIds"]
    more = [each for each in subnets(client, ["other-c"]) if each not in there]
    if more:
        client("ec2").modify_transit_gateway_vpc_attachment(TransitGatewayAttachmentId=attachment, AddSubnetIds=more)


def of(client: Client, attachment: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_transit_gateway_vpc_attachments(TransitGatewayAttachmentIds=[attachment])[
        "TransitGatewayVpcAttachments"
    ]
    return there


CASE = Case(
    variants=({**PLACE, "subnets": TWO}, {**PLACE, "subnets": {"us-east-1c": "other-c"}}),
    drifts=(
        widen,
        lambda client, attachment: client("ec2").delete_transit_gateway_vpc_attachment(
            TransitGatewayAttachmentId=attachment
        ),
        lambda client, attachment: client("ec2").delete_tags(Resources=[attachment], Tags=[{"Key": "Compliance"}]),
    ),
)


@pytest.mark.slow
@pytest.mark.feature(
    "HYB-01", by="M", part="the attachment of a VPC in its private subnets", repaired="transit_gateway_attachments"
)
def test_it_is_read_back_over_http(served: Client) -> None:
    options: dict[str, Any] = {"name": "hub-vpc", "transit_gateway": "hub-of-vpc", "vpc": "other", "subnets": TWO}
    hub = {"transit_gateways": [{"name": "hub-of-vpc"}]}
    recorder = Recorder(served)
    identifier = first(recorder, {**hub, "transit_gateway_vpc_attachments": [options]})
    (made,) = [asked for name, asked in recorder.calls if name == "create_transit_gateway_vpc_attachment"]
    assert {spec["ResourceType"] for spec in made["TagSpecifications"]} == {"transit-gateway-attachment"}
    there = of(served, identifier)
    assert sorted(there["SubnetIds"]) == sorted(subnets(served, ["other-a", "other-b"]))
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "hub-vpc"}
    options["subnets"] = {"us-east-1a": "other-a", "us-east-1c": "other-c"}
    assert told(converge(served, {**hub, "transit_gateway_vpc_attachments": [options]})) == [
        "update transit_gateway_vpc_attachment hub-vpc subnets"
    ]
    assert sorted(of(served, identifier)["SubnetIds"]) == sorted(subnets(served, ["other-a", "other-c"]))


def test_on_an_empty_account_a_preview_shows_what_is_not_known_yet(moto: Client) -> None:
    options = {"name": "v", "transit_gateway": "v", "vpc": "none-yet", "subnets": {"us-east-1a": "none-yet-a"}}
    shown = converge(
        moto, {"transit_gateways": [{"name": "v"}], "transit_gateway_vpc_attachments": [options]}, check=True
    )
    assert shown.problems == []
    after = {step.wanted.kind: step.after for step in shown.planned}["transit_gateway_vpc_attachment"]
    assert after and after["subnets"] == {"us-east-1a": "(known after apply)"}
