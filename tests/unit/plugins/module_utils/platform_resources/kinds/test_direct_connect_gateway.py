# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway of Direct Connect with what it leads to, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import direct_connect
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import (
    direct_connect_gateway as kind,
)
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

PREFIXES = ["10.0.0.0/16"]


def leads(client: Client, gateway: str) -> list[dict[str, Any]]:
    answer = client("directconnect").describe_direct_connect_gateway_associations(directConnectGatewayId=gateway)
    found: list[dict[str, Any]] = answer["directConnectGatewayAssociations"]
    return found


def part(client: Client, gateway: str) -> None:
    """Somebody has it lead nowhere."""
    for each in leads(client, gateway):
        client("directconnect").delete_direct_connect_gateway_association(associationId=each["associationId"])


def tell_more(client: Client, gateway: str) -> None:
    """Somebody lets the other end hear of another network."""
    for each in leads(client, gateway):
        client("directconnect").update_direct_connect_gateway_association(
            associationId=each["associationId"], addAllowedPrefixesToDirectConnectGateway=[{"cidr": "172.30.0.0/16"}]
        )


def untag(client: Client, gateway: str) -> None:
    """Somebody takes a tag off."""
    name = direct_connect.arn("", "123456789012", f"dx-gateway/{gateway}")
    client("directconnect").untag_resource(resourceArn=name, tagKeys=["Compliance"])


CASE = Case(
    variants=(
        {"transit_gateway": "trading", "allowed_prefixes": PREFIXES},
        {"transit_gateway": "other", "allowed_prefixes": ["10.9.0.0/16", *PREFIXES]},
        {"virtual_gateway": "dx-private", "allowed_prefixes": PREFIXES},
        {},
    ),
    drifts=(part, tell_more, untag),
    beside={"virtual_private_gateways": [{"name": "dx-private", "vpc": "other"}]},
)


@pytest.mark.slow
@pytest.mark.feature(
    "HYB-05", by="Stub", part="a gateway of Direct Connect and what it leads to", repaired="direct_connect"
)
def test_it_is_asked_for_and_read_back_over_http(served: Client) -> None:
    recorder = Recorder(served)
    options: dict[str, Any] = {"name": "hub-dx", "amazon_side_asn": 64800, "transit_gateway": "hub-of-dx",
                               "allowed_prefixes": ["10.1.0.0/16", "10.0.0.0/16"]}  # fmt: skip
    hub = {"transit_gateways": [{"name": "hub-of-dx"}]}
    identifier = first(recorder, {**hub, "direct_connect_gateways": [options]})
    (made,) = [asked for name, asked in recorder.calls if name == "create_direct_connect_gateway"]
    assert (made["directConnectGatewayName"], made["amazonSideAsn"]) == ("hub-dx", 64800)
    assert {pair["key"]: pair["value"] for pair in made["tags"]} == {**TAGS, "Name": "hub-dx"}
    (led,) = leads(served, identifier)
    assert led["associatedGateway"]["type"] == "transitGateway"
    assert {each["cidr"] for each in led["allowedPrefixesToDirectConnectGateway"]} == {"10.0.0.0/16", "10.1.0.0/16"}
    tell_more(served, identifier)
    assert told(converge(served, {**hub, "direct_connect_gateways": [options]})) == [
        "update direct_connect_gateway hub-dx allowed_prefixes"
    ]
    (led,) = leads(served, identifier)
    assert {each["cidr"] for each in led["allowedPrefixesToDirectConnectGateway"]} == {"10.0.0.0/16", "10.1.0.0/16"}
    gone = converge(served, {"direct_connect_gateways": [{"name": "hub-dx", "state": "absent"}]})
    assert (told(gone), gone.problems, leads(served, identifier)) == (["delete direct_connect_gateway hub-dx"], [], [])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"transit_gateway": "t", "virtual_gateway": "v", "allowed_prefixes": PREFIXES}, "name one of them"),
        ({"transit_gateway": "t"}, "give them together with what it leads to"),
        ({"allowed_prefixes": PREFIXES}, "give them together with what it leads to"),
        ({"transit_gateway": "t", "allowed_prefixes": ["10.0.0.1/16"]}, "10.0.0.1/16 has host bits set"),
    ],
)
def test_what_aws_would_refuse_is_refused_before(fields: dict[str, Any], problem: str) -> None:
    (line,) = kind.problems({"transit_gateway": None, "virtual_gateway": None, "allowed_prefixes": [], **fields})
    assert problem in line
