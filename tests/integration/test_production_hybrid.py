# SPDX-License-Identifier: GPL-3.0-or-later
"""What joins production's VPC to the premises, read back through boto3."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from integration import platform_drift as drift
from integration.production_site import CIDR, PARTNERS, PREFIX, PREMISES, TAGS, TIERS, Venue, tags_in
from local_processes import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

VARIABLES = ROOT / "inventories" / "production" / "group_vars" / "all" / "aws_hybrid.yml"

PORTS = [f"{PREFIX}-premises", f"{PREFIX}-venues"]


def named(listed: list[dict[str, Any]], name: str = PREFIX) -> dict[str, Any]:
    """The one of that Name; its six tags are ours."""
    found = [(each, tags_in(each.get("Tags", []))) for each in listed]
    (one,) = [(each, tags) for each, tags in found if tags.get("Name") == name]
    assert one[1] == {**TAGS, "Name": name}
    return one[0]


@pytest.fixture
def hub(ec2) -> dict[str, Any]:
    return named(ec2.describe_transit_gateways()["TransitGateways"])


@pytest.mark.feature("HYB-01", by="M", repaired="transit_gateway_attachments")
def test_the_private_subnets_reach_the_premises_through_the_transit_gateway(ec2, hub: Any, subnets, tables) -> None:
    assert hub["Options"]["AmazonSideAsn"] == 64512
    assert hub["Options"]["DefaultRouteTableAssociation"] == hub["Options"]["DefaultRouteTablePropagation"] == "enable"
    attachment = named(ec2.describe_transit_gateway_vpc_attachments()["TransitGatewayVpcAttachments"])
    vpc = named(ec2.describe_vpcs()["Vpcs"])
    assert (attachment["TransitGatewayId"], attachment["VpcId"]) == (hub["TransitGatewayId"], vpc["VpcId"])
    private, others = TIERS["private"], TIERS["public"] + TIERS["database"]
    assert sorted(attachment["SubnetIds"]) == sorted(subnets[cidr]["SubnetId"] for cidr in private)
    for cidr in private:
        assert drift.targets(drift.table_of(tables, subnets[cidr]))[PREMISES] == hub["TransitGatewayId"]
    assert not any(PREMISES in drift.targets(drift.table_of(tables, subnets[cidr])) for cidr in others)


@pytest.mark.feature("HYB-02", by="M", repaired="vpn_connections")
def test_two_tunnels_lead_to_the_configured_router(ec2, hub: Any) -> None:
    wanted = yaml.safe_load(VARIABLES.read_text())
    customer = named(ec2.describe_customer_gateways()["CustomerGateways"])
    assert (customer["IpAddress"], customer["BgpAsn"]) == ("203.0.113.10", "65010")
    assert customer["IpAddress"] == wanted["aws_hybrid_customer_gateway_ip"]
    vpn = named(ec2.describe_vpn_connections()["VpnConnections"], f"{PREFIX}-vpn")
    assert (vpn["TransitGatewayId"], vpn["CustomerGatewayId"]) == (
        hub["TransitGatewayId"],
        customer["CustomerGatewayId"],
    )
    tunnels = vpn["Options"]["TunnelOptions"]
    assert len({tunnel["OutsideIpAddress"] for tunnel in tunnels}) == len(vpn["VgwTelemetry"]) == 2
    for tunnel in tunnels:
        assert tunnel["IkeVersions"] == [{"Value": "ikev2"}]
        for phase in ("Phase1", "Phase2"):
            assert tunnel[f"{phase}EncryptionAlgorithms"] == [{"Value": "AES256-GCM-16"}]
            assert tunnel[f"{phase}IntegrityAlgorithms"] == [{"Value": "SHA2-512"}]
            assert tunnel[f"{phase}DHGroupNumbers"] == [{"Value": 20}]
    listed = ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
    assert named(listed, f"{PREFIX}-vpn")["ResourceId"] == vpn["VpnConnectionId"]


def test_no_key_of_a_tunnel_is_in_what_the_runs_said(venue: Venue, ec2) -> None:
    (vpn,) = ec2.describe_vpn_connections()["VpnConnections"]
    keys = [tunnel["PreSharedKey"] for tunnel in vpn["Options"]["TunnelOptions"]]
    assert len(keys) == 2
    assert not any(key in run.output for key in keys for run in (venue.first, venue.second))


@pytest.mark.feature("HYB-05", by="M", repaired="direct_connect")
def test_the_ports_of_direct_connect_are_ordered(venue: Venue) -> None:
    listed = venue.client("directconnect").describe_connections()["connections"]
    found = {each["connectionName"]: (each["location"], each["bandwidth"]) for each in listed}
    assert found == dict.fromkeys(PORTS, ("EqDC2", "10Gbps"))
    for each in listed:
        tags = {pair["key"]: pair["value"] for pair in each["tags"]}
        assert tags == {**TAGS, "Name": each["connectionName"]}


def test_exchanges_and_clients_reach_the_vpc_alone_and_the_premises_the_hub(venue: Venue, ec2, hub: Any) -> None:
    client = venue.client("directconnect")
    gateways = {each["directConnectGatewayId"]: each["directConnectGatewayName"]
                for each in client.describe_direct_connect_gateways()["directConnectGateways"]}  # fmt: skip
    ports = {each["connectionId"]: each["connectionName"] for each in client.describe_connections()["connections"]}
    found = {
        each["virtualInterfaceName"]: (
            each["virtualInterfaceType"],
            gateways[each["directConnectGatewayId"]],
            ports[each["connectionId"]],
            each["vlan"],
            each["asn"],
        )
        for each in client.describe_virtual_interfaces()["virtualInterfaces"]
    }
    premises, venues = PORTS
    assert found == {
        "premises": ("transit", f"{PREFIX}-premises", premises, 100, 65010),
        "nyse": ("private", f"{PREFIX}-partners", venues, 201, 65201),
        "nasdaq": ("private", f"{PREFIX}-partners", venues, 202, 65202),
        "client-a": ("private", f"{PREFIX}-partners", premises, 301, 65301),
    }
    partner = named(ec2.describe_vpn_gateways()["VpnGateways"], f"{PREFIX}-partners")
    assert [each["VpcId"] for each in partner["VpcAttachments"]] == [venue.vpc["VpcId"]]
    leads = {}
    for identifier, name in gateways.items():
        (lead,) = client.describe_direct_connect_gateway_associations(directConnectGatewayId=identifier)[
            "directConnectGatewayAssociations"
        ]
        told = [each["cidr"] for each in lead["allowedPrefixesToDirectConnectGateway"]]
        leads[name] = (lead["associatedGateway"]["id"], told)
    assert leads == {
        f"{PREFIX}-premises": (hub["TransitGatewayId"], [CIDR]),
        f"{PREFIX}-partners": (partner["VpnGatewayId"], [CIDR]),
    }


def test_only_the_private_subnets_reach_exchanges_and_clients(ec2, subnets, tables) -> None:
    partner = named(ec2.describe_vpn_gateways()["VpnGateways"], f"{PREFIX}-partners")
    for tier, cidrs in TIERS.items():
        for cidr in cidrs:
            routes = drift.targets(drift.table_of(tables, subnets[cidr]))
            found = {network: target for network, target in routes.items() if network in PARTNERS}
            assert found == (dict.fromkeys(PARTNERS, partner["VpnGatewayId"]) if tier == "private" else {})


@pytest.mark.feature("HYB-07", by="Stub", part="traffic is not spread, and no route of a VPN is static")
def test_the_vpn_has_no_static_route_that_direct_connect_would_lose_to(ec2, hub: Any) -> None:
    """AWS prefers a static route, then what Direct Connect tells, then what a VPN tells."""
    assert hub["Options"]["VpnEcmpSupport"] == "disable"
    (vpn,) = ec2.describe_vpn_connections()["VpnConnections"]
    assert vpn["Options"]["StaticRoutesOnly"] is False
    static = [{"Name": "type", "Values": ["static"]}]
    table = hub["Options"]["PropagationDefaultRouteTableId"]
    assert hub["Options"]["AssociationDefaultRouteTableId"] == table
    found = ec2.search_transit_gateway_routes(TransitGatewayRouteTableId=table, Filters=static)
    assert found["Routes"] == []
