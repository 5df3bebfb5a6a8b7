# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN connection with its two tunnels, read back from the emulator over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import vpn_connection as kind
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

PLACE = {"transit_gateway": "trading", "customer_gateway": "vpn-office"}


def weaken(client: Client, connection: str) -> None:
    """Somebody lets one tunnel take old algorithms, too."""
    tunnel = of(client, connection)["Options"]["TunnelOptions"][1]["OutsideIpAddress"]
    old = [{"Value": value} for value in ("AES128", "AES256")]
    client("ec2").modify_vpn_tunnel_options(
        VpnConnectionId=connection,
        VpnTunnelOutsideIpAddress=tunnel,
        TunnelOptions={"Phase1EncryptionAlgorithms": old, "Phase2DHGroupNumbers": [{"Value": 2}]},
    )


def age(client: Client, connection: str) -> None:
    """Somebody lets both tunnels take the first version of IKE."""
    for tunnel in of(client, connection)["Options"]["TunnelOptions"]:
        client("ec2").modify_vpn_tunnel_options(
            VpnConnectionId=connection,
            VpnTunnelOutsideIpAddress=tunnel["OutsideIpAddress"],
            TunnelOptions={"IKEVersions": [{"Value": "ikev1"}, {"Value": "ikev2"}]},
        )


def of(client: Client, connection: str) -> dict[str, Any]:
    (there,) = client("ec2").describe_vpn_connections(VpnConnectionIds=[connection])["VpnConnections"]
    return there


def attachment(client: Client, connection: str) -> dict[str, Any]:
    listed = client("ec2").describe_transit_gateway_attachments(
        Filters=[{"Name": "resource-id", "Values": [connection]}]
    )
    (there,) = listed["TransitGatewayAttachments"]
    return there


def untag(client: Client, connection: str) -> None:
    """Somebody takes a tag off the attachment, and puts one on."""
    place = [attachment(client, connection)["TransitGatewayAttachmentId"]]
    client("ec2").delete_tags(Resources=place, Tags=[{"Key": "Team"}])
    client("ec2").create_tags(Resources=place, Tags=[{"Key": "Stray", "Value": "yes"}])


CASE = Case(
    variants=(
        PLACE,
        {**PLACE, "encryption": "AES256", "integrity": "SHA2-384", "dh_group": 21},
        {**PLACE, "attachment_tags": {"Team": "network"}},
    ),
    drifts=(
        weaken,
        age,
        untag,
        lambda client, connection: client("ec2").delete_vpn_connection(VpnConnectionId=connection),
        lambda client, connection: client("ec2").delete_tags(Resources=[connection], Tags=[{"Key": "Compliance"}]),
    ),
    beside={"customer_gateways": [{"name": "vpn-office", "ip_address": "203.0.113.20"}]},
)


def suites(there: dict[str, Any]) -> list[dict[str, list[Any]]]:
    """What each tunnel takes."""
    names = [*(name for names in kind.SUITE.values() for name in names), "IkeVersions"]
    tunnels = there["Options"]["TunnelOptions"]
    return [{name: [each["Value"] for each in tunnel[name]] for name in names} for tunnel in tunnels]


STRONG = {
    "Phase1EncryptionAlgorithms": ["AES256-GCM-16"], "Phase2EncryptionAlgorithms": ["AES256-GCM-16"],
    "Phase1IntegrityAlgorithms": ["SHA2-512"], "Phase2IntegrityAlgorithms": ["SHA2-512"],
    "Phase1DHGroupNumbers": [20], "Phase2DHGroupNumbers": [20], "IkeVersions": ["ikev2"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.feature(
    "HYB-02", by="M", part="a connection of two tunnels with strong IKE options", repaired="vpn_connections"
)
def test_it_is_read_back_over_http(served: Client) -> None:
    options = {
        "transit_gateways": [{"name": "hub-of-vpn"}],
        "customer_gateways": [{"name": "premises", "ip_address": "203.0.113.30", "bgp_asn": 65030}],
        "vpn_connections": [{"name": "premises", "transit_gateway": "hub-of-vpn", "customer_gateway": "premises"}],
    }
    recorder = Recorder(served)
    identifier = first(recorder, options)
    there = of(served, identifier)
    gateways = served("ec2").describe_transit_gateways(TransitGatewayIds=[there["TransitGatewayId"]])
    assert {"Key": "Name", "Value": "hub-of-vpn"} in gateways["TransitGateways"][0]["Tags"]
    assert suites(there) == [STRONG, STRONG]
    assert there["Options"]["StaticRoutesOnly"] is False
    assert len({tunnel["OutsideIpAddress"] for tunnel in there["Options"]["TunnelOptions"]}) == 2
    assert len(there["VgwTelemetry"]) == 2
    tags = {**TAGS, "Name": "premises"}
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == tags
    assert {tag["Key"]: tag["Value"] for tag in attachment(served, identifier)["Tags"]} == tags
    recorder.calls.clear()
    weaken(served, identifier)
    assert told(converge(recorder, options)) == ["update vpn_connection premises encryption dh_group"]
    changed = [asked["VpnTunnelOutsideIpAddress"] for name, asked in recorder.calls if name.startswith("modify")]
    assert changed == [tunnel["OutsideIpAddress"] for tunnel in there["Options"]["TunnelOptions"]]
    assert suites(of(served, identifier)) == [STRONG, STRONG]


def test_a_key_of_a_tunnel_is_in_nothing_that_is_told(moto: Client) -> None:
    options = {
        "customer_gateways": [{"name": "secret", "ip_address": "203.0.113.40"}],
        "vpn_connections": [{"name": "secret", "transit_gateway": "trading", "customer_gateway": "secret"}],
    }
    identifier = first(moto, options)
    keys = [tunnel["PreSharedKey"] for tunnel in of(moto, identifier)["Options"]["TunnelOptions"]]
    outcome = converge(moto, {**options, "vpn_connections": [{**options["vpn_connections"][0], "dh_group": 14}]})
    shown = repr([(step.before, step.after, step.found) for step in outcome.steps])
    assert len(keys) == 2 and identifier in shown
    assert not any(key in shown for key in keys)


@pytest.mark.parametrize(
    ("tunnels", "told_as"),
    [
        ([], ""),
        ([{}, {}], "whatever AWS takes or whatever AWS takes or whatever AWS takes or whatever AWS takes"),
        ([{"Phase1DHGroupNumbers": [{"Value": 20}], "Phase2DHGroupNumbers": [{"Value": 2}]}], "20 or 2"),
        ([{"Phase1DHGroupNumbers": [{"Value": 20}], "Phase2DHGroupNumbers": [{"Value": 20}]}], 20),
    ],
)
def test_what_tunnels_do_not_agree_upon_is_as_no_choice_is(tunnels: list[dict[str, Any]], told_as: Any) -> None:
    assert kind.agreed(tunnels, "dh_group") == told_as
