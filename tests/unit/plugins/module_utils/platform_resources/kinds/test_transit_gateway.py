# SPDX-License-Identifier: GPL-3.0-or-later
"""A transit gateway, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import transit_gateway as kind
from platform_resources import TAGS, Case, Client, FastClock, converge, first, told

CASE = Case(
    variants=({"amazon_side_asn": 64600}, {"amazon_side_asn": 64600, "vpn_ecmp": True}),
    drifts=(
        lambda client, gateway: client("ec2").modify_transit_gateway(
            TransitGatewayId=gateway, Options={"VpnEcmpSupport": "enable"}
        ),
        lambda client, gateway: client("ec2").modify_transit_gateway(
            TransitGatewayId=gateway, Options={"VpnEcmpSupport": "disable"}
        ),
        lambda client, gateway: client("ec2").delete_transit_gateway(TransitGatewayId=gateway),
        lambda client, gateway: client("ec2").delete_tags(Resources=[gateway], Tags=[{"Key": "Compliance"}]),
    ),
)


@pytest.mark.slow
@pytest.mark.feature("HYB-01", by="M", part="a transit gateway")
def test_it_is_read_back_over_http(served: Client) -> None:
    hub: dict[str, Any] = {"name": "hub", "amazon_side_asn": 64601}
    identifier = first(served, {"transit_gateways": [hub]})
    (there,) = served("ec2").describe_transit_gateways(TransitGatewayIds=[identifier])["TransitGateways"]
    assert (there["Options"]["AmazonSideAsn"], there["Options"]["VpnEcmpSupport"]) == (64601, "disable")
    assert there["Options"]["DefaultRouteTableAssociation"] == "enable"
    assert there["Options"]["DefaultRouteTablePropagation"] == "enable"
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "hub"}
    other = converge(served, {"transit_gateways": [{**hub, "amazon_side_asn": 64602}]})
    assert other.problems == [
        "transit_gateway hub: amazon_side_asn is 64601 and cannot become 64602: give the new one another name, or "
        "remove this one (state: absent) first"
    ]
    assert told(converge(served, {"transit_gateways": [{"name": "hub", "state": "absent"}]})) == [
        "delete transit_gateway hub"
    ]
    left = served("ec2").describe_transit_gateways()["TransitGateways"]
    assert identifier not in {gateway["TransitGatewayId"] for gateway in left if gateway["State"] != "deleted"}


@pytest.mark.parametrize(
    ("asn", "fits"), [(64512, True), (64534, True), (65535, False), (4200000000, True), (7224, False)]
)
def test_amazons_autonomous_system_is_a_private_one(asn: int, fits: bool) -> None:
    assert (list(kind.problems({"amazon_side_asn": asn})) == []) is fits


def test_it_is_deleted_once_nothing_is_attached_any_more() -> None:
    """AWS refuses before."""
    states, done = iter(["deleting", "deleting", "deleted"]), []

    class Aws:
        clock = FastClock()

        @staticmethod
        def pages(*_: Any, **__: Any) -> list[dict[str, str]]:
            return [{"State": next(states)}]

        @staticmethod
        def call(operation: str, **_: Any) -> None:
            done.append((operation, list(states)))

        @staticmethod
        def wait_until(reached: Any, _what: str) -> None:
            assert [reached(), reached(), reached()] == [False, False, True]

    kind.delete(Aws, kind.Found("hub", "tgw-1", {}, {}))
    assert done == [("delete_transit_gateway", [])]
