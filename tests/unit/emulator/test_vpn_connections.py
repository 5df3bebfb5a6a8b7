# SPDX-License-Identifier: GPL-3.0-or-later
"""A VPN connection keeps its options, and has two tunnels whose addresses and keys its configuration file tells."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

ASKED = {
    "StaticRoutesOnly": False,
    "TunnelOptions": [{"IKEVersions": [{"Value": "ikev2"}], "DPDTimeoutAction": "restart"}] * 2,
}


def connection(ec2: Any) -> dict[str, Any]:
    gateway = ec2.create_transit_gateway(Options={"AmazonSideAsn": 64999})["TransitGateway"]["TransitGatewayId"]
    customer = ec2.create_customer_gateway(Type="ipsec.1", IpAddress="203.0.113.9", BgpAsn=65099)["CustomerGateway"]
    answer = ec2.create_vpn_connection(
        Type="ipsec.1", CustomerGatewayId=customer["CustomerGatewayId"], TransitGatewayId=gateway, Options=ASKED
    )
    made: dict[str, Any] = answer["VpnConnection"]
    return made


def described(ec2: Any, identifier: str) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.describe_vpn_connections(VpnConnectionIds=[identifier])
    return answer


def change(ec2: Any, identifier: str, address: str) -> dict[str, Any]:
    answer: dict[str, Any] = ec2.modify_vpn_tunnel_options(
        VpnConnectionId=identifier,
        VpnTunnelOutsideIpAddress=address,
        TunnelOptions={"Phase1DHGroupNumbers": [{"Value": 21}]},
    )
    return answer


def texts(there: dict[str, Any], path: str) -> list[str]:
    root = ElementTree.fromstring(there["CustomerGatewayConfiguration"].strip())
    return [element.text or "" for element in root.findall(path)]


def test_stock_moto_forgets_the_options_and_has_one_tunnel_twice(stock) -> None:
    ec2 = stock("ec2")
    there = described(ec2, connection(ec2)["VpnConnectionId"])["VpnConnections"][0]
    assert "TunnelOptions" not in there.get("Options", {}) and not there.get("VgwTelemetry")
    assert len(set(texts(there, "ipsec_tunnel/ike/pre_shared_key"))) == 1
    with pytest.raises(ResponseParserError):
        change(ec2, there["VpnConnectionId"], "198.51.100.1")


def test_it_keeps_its_options_and_has_two_tunnels(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    answer = described(ec2, connection(ec2)["VpnConnectionId"])
    conforms(ec2, "DescribeVpnConnections", answer)
    there = answer["VpnConnections"][0]
    assert there["Options"]["StaticRoutesOnly"] is False
    tunnels = there["Options"]["TunnelOptions"]
    assert [(tunnel["IkeVersions"], tunnel["DpdTimeoutAction"]) for tunnel in tunnels] == [
        ([{"Value": "ikev2"}], "restart")
    ] * 2
    assert [each["OutsideIpAddress"] for each in there["VgwTelemetry"]] == [t["OutsideIpAddress"] for t in tunnels]


def test_the_configuration_file_tells_what_is_so(repaired) -> None:
    ec2 = repaired("ec2")
    there = described(ec2, connection(ec2)["VpnConnectionId"])["VpnConnections"][0]
    tunnels = there["Options"]["TunnelOptions"]
    outside = "tunnel_outside_address/ip_address"
    assert texts(there, f"ipsec_tunnel/customer_gateway/{outside}") == ["203.0.113.9"] * 2
    assert texts(there, f"ipsec_tunnel/vpn_gateway/{outside}") == [t["OutsideIpAddress"] for t in tunnels]
    assert texts(there, "ipsec_tunnel/ike/pre_shared_key") == [t["PreSharedKey"] for t in tunnels]
    assert texts(there, "ipsec_tunnel/customer_gateway/bgp/asn") == ["65099"] * 2
    assert texts(there, "ipsec_tunnel/vpn_gateway/bgp/asn") == ["64999"] * 2
    inside = "tunnel_inside_address/ip_address"
    for tunnel, ours, theirs in zip(tunnels, texts(there, f"ipsec_tunnel/customer_gateway/{inside}"),
                                    texts(there, f"ipsec_tunnel/vpn_gateway/{inside}"), strict=True):  # fmt: skip
        network = ip_network(tunnel["TunnelInsideCidr"])
        assert network.subnet_of(ip_network("169.254.0.0/16")) and network.prefixlen == 30  # type: ignore[arg-type]
        assert [ip_address(theirs), ip_address(ours)] == list(network.hosts())
    assert len({t["PreSharedKey"] for t in tunnels}) == len({t["TunnelInsideCidr"] for t in tunnels}) == 2


def test_one_tunnel_is_changed(repaired, conforms) -> None:
    ec2 = repaired("ec2")
    made = connection(ec2)
    first, second = made["Options"]["TunnelOptions"]
    answer = change(ec2, made["VpnConnectionId"], second["OutsideIpAddress"])
    conforms(ec2, "ModifyVpnTunnelOptions", answer)
    there = described(ec2, made["VpnConnectionId"])["VpnConnections"][0]["Options"]["TunnelOptions"]
    assert there == [first, {**second, "Phase1DHGroupNumbers": [{"Value": 21}]}]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        change(ec2, made["VpnConnectionId"], "192.0.2.77")
    with pytest.raises(ClientError, match="InvalidVpnConnectionID"):
        change(ec2, "vpn-0123456789abcdef0", "192.0.2.77")
