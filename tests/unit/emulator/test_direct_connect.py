# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct Connect has gateways, what they lead to, and virtual interfaces."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

TAGS = [{"key": "Name", "value": "n"}]


def connection(client: Any, name: str) -> str:
    answer = client.create_connection(location="EqDC2", bandwidth="1Gbps", connectionName=name, tags=TAGS)
    return str(answer["connectionId"])


def gateway(client: Any, name: str) -> str:
    answer = client.create_direct_connect_gateway(directConnectGatewayName=name, amazonSideAsn=64999, tags=TAGS)
    return str(answer["directConnectGateway"]["directConnectGatewayId"])


def interface(client: Any, place: str, to: str, vlan: int = 7) -> dict[str, Any]:
    wanted = {"virtualInterfaceName": "i", "vlan": vlan, "asn": 65001, "directConnectGatewayId": to, "tags": TAGS}
    answer: dict[str, Any] = client.create_private_virtual_interface(
        connectionId=place, newPrivateVirtualInterface=wanted
    )
    return answer


def test_stock_moto_has_connections_alone_and_names_them_itself(stock) -> None:
    client = stock("directconnect")
    assert not connection(client, "s").startswith("dxcon-")
    with pytest.raises(ClientError):
        client.describe_direct_connect_gateways()
    with pytest.raises(ClientError):
        client.describe_virtual_interfaces()


def test_a_connection_is_named_and_tagged_as_aws_does(repaired, conforms) -> None:
    client = repaired("directconnect")
    identifier = connection(client, "c")
    assert identifier.startswith("dxcon-")
    name = f"arn:aws:directconnect:us-east-1:123456789012:dxcon/{identifier}"
    client.tag_resource(resourceArn=name, tags=[{"key": "Team", "value": "t"}])
    client.untag_resource(resourceArn=name, tagKeys=["Name"])
    answer = client.describe_connections(connectionId=identifier)
    conforms(client, "DescribeConnections", answer)
    (there,) = answer["connections"]
    assert (there["ownerAccount"], there["tags"]) == ("123456789012", [{"key": "Team", "value": "t"}])


def test_a_gateway_leads_to_one_kind_of_gateway(repaired, conforms) -> None:
    client = repaired("directconnect")
    identifier = gateway(client, "g")
    conforms(client, "DescribeDirectConnectGateways", client.describe_direct_connect_gateways())
    with pytest.raises(ClientError, match="prefixes are required"):
        client.create_direct_connect_gateway_association(directConnectGatewayId=identifier, gatewayId="tgw-1")
    told = [{"cidr": "10.0.0.0/16"}]
    made = client.create_direct_connect_gateway_association(
        directConnectGatewayId=identifier, gatewayId="tgw-1", addAllowedPrefixesToDirectConnectGateway=told
    )
    conforms(client, "CreateDirectConnectGatewayAssociation", made)
    with pytest.raises(ClientError, match="not to both"):
        client.create_direct_connect_gateway_association(directConnectGatewayId=identifier, gatewayId="vgw-1")
    one = {"associationId": made["directConnectGatewayAssociation"]["associationId"]}
    more = [{"cidr": "10.1.0.0/16"}]
    changed = client.update_direct_connect_gateway_association(
        **one, addAllowedPrefixesToDirectConnectGateway=more, removeAllowedPrefixesToDirectConnectGateway=told
    )
    conforms(client, "UpdateDirectConnectGatewayAssociation", changed)
    listed = client.describe_direct_connect_gateway_associations(directConnectGatewayId=identifier)
    conforms(client, "DescribeDirectConnectGatewayAssociations", listed)
    (there,) = listed["directConnectGatewayAssociations"]
    assert there["allowedPrefixesToDirectConnectGateway"] == more
    with pytest.raises(ClientError, match="has associations"):
        client.delete_direct_connect_gateway(directConnectGatewayId=identifier)
    conforms(client, "DeleteDirectConnectGatewayAssociation", client.delete_direct_connect_gateway_association(**one))
    conforms(
        client,
        "DeleteDirectConnectGateway",
        client.delete_direct_connect_gateway(directConnectGatewayId=identifier),
    )


def test_an_interface_is_on_a_vlan_of_its_own(repaired, conforms) -> None:
    client = repaired("directconnect")
    place, to = connection(client, "p"), gateway(client, "h")
    made = interface(client, place, to)
    conforms(client, "CreatePrivateVirtualInterface", made)
    with pytest.raises(ClientError, match="VLAN 7 is in use"):
        interface(client, place, to)
    with pytest.raises(ClientError, match="does not exist"):
        interface(client, "dxcon-00000000", to)
    with pytest.raises(ClientError, match="does not exist"):
        interface(client, place, "00000000-0000-0000-0000-000000000000", 8)
    wanted = {"virtualInterfaceName": "t", "vlan": 9, "asnLong": 4200000001, "directConnectGatewayId": to}
    transit = client.create_transit_virtual_interface(connectionId=place, newTransitVirtualInterface=wanted)
    conforms(client, "CreateTransitVirtualInterface", transit)
    listed = client.describe_virtual_interfaces(connectionId=place)
    conforms(client, "DescribeVirtualInterfaces", listed)
    assert [each["virtualInterfaceType"] for each in listed["virtualInterfaces"]] == ["private", "transit"]
    assert listed["virtualInterfaces"][0]["tags"] == TAGS
    for each in listed["virtualInterfaces"]:
        one = {"virtualInterfaceId": each["virtualInterfaceId"]}
        conforms(
            client,
            "UpdateVirtualInterfaceAttributes",
            client.update_virtual_interface_attributes(**one, mtu=8500),
        )
        assert client.describe_virtual_interfaces(**one)["virtualInterfaces"][0]["mtu"] == 8500
        conforms(client, "DeleteVirtualInterface", client.delete_virtual_interface(**one))
    assert client.describe_virtual_interfaces(connectionId=place)["virtualInterfaces"] == []
