# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual private gateway with its VPC, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from platform_resources import TAGS, Case, Client, converge, first, told


def of(client: Client, gateway: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_vpn_gateways(VpnGatewayIds=[gateway])["VpnGateways"]
    return there


def detach(client: Client, gateway: str) -> None:
    """Somebody takes it off its VPC."""
    for attached in of(client, gateway)["VpcAttachments"]:
        client("ec2").detach_vpn_gateway(VpnGatewayId=gateway, VpcId=attached["VpcId"])


CASE = Case(
    variants=({"vpc": "trading"}, {"vpc": "other"}),
    drifts=(
        detach,
        lambda client, gateway: client("ec2").delete_vpn_gateway(VpnGatewayId=gateway),
        lambda client, gateway: client("ec2").delete_tags(Resources=[gateway], Tags=[{"Key": "Compliance"}]),
    ),
)


@pytest.mark.slow
def test_it_is_read_back_over_http(served: Client) -> None:
    options = {"name": "venues", "vpc": "other", "amazon_side_asn": 64700}
    identifier = first(served, {"virtual_private_gateways": [options]})
    there = of(served, identifier)
    (vpc,) = served("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["other"]}])["Vpcs"]
    assert [(each["VpcId"], each["State"]) for each in there["VpcAttachments"]] == [(vpc["VpcId"], "attached")]
    assert (there["AmazonSideAsn"], there["Type"]) == (64700, "ipsec.1")
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "venues"}
    detach(served, identifier)
    assert told(converge(served, {"virtual_private_gateways": [options]})) == [
        "update virtual_private_gateway venues vpc"
    ]
    assert vpc["VpcId"] in {each["VpcId"] for each in of(served, identifier)["VpcAttachments"]}
    gone = converge(served, {"virtual_private_gateways": [{"name": "venues", "state": "absent"}]})
    assert (told(gone), gone.problems) == (["delete virtual_private_gateway venues"], [])
