# SPDX-License-Identifier: GPL-3.0-or-later
"""What joins the VPC to premises, read back through boto3: the figures of production on a site of these tests' own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.check import Wanted, problems
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.reader import read
from integration.platform_drift import PREFIX, described_groups
from integration.platform_runs import Run, client_of, of_site, play
from integration.test_provision import ENGINES, TAGS, TIERS, ZONES
from local_processes import ROOT, LocalSite, local_site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PRODUCTION = ROOT / "inventories" / "production" / "group_vars" / "all" / "aws_hybrid.yml"
PREMISES = "192.168.0.0/16"


@dataclass
class Hybrid:
    """The site of this file: previewed, provisioned, provisioned again."""

    site: LocalSite
    environment: dict[str, str]
    inventory: Path
    preview: Run
    first: Run
    second: Run

    def client(self, service: str = "ec2") -> Any:
        """A boto3 client of the emulator."""
        return client_of(self.environment, service)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hybrid]:
    inventory = tmp_path_factory.mktemp("hybrid") / "local"
    shutil.copytree(ROOT / "inventories" / "local", inventory)
    shutil.copy(PRODUCTION, inventory / "group_vars" / "all")
    with local_site() as site:
        environment = of_site(site)
        preview = play(environment, "provision", inventory=inventory, check=True)
        first, second = (play(environment, "provision", inventory=inventory) for _ in range(2))
        yield Hybrid(site, environment, inventory, preview, first, second)


def named(listed: list[dict[str, Any]], name: str = PREFIX) -> dict[str, Any]:
    """The one of that Name; its six tags are ours."""
    found = [(each, {tag["Key"]: tag["Value"] for tag in each.get("Tags", ())}) for each in listed]
    (one,) = [(each, tags) for each, tags in found if tags.get("Name") == name]
    assert one[1] == {**TAGS, "Name": name}
    return one[0]


@pytest.fixture
def hub(hybrid: Hybrid) -> dict[str, Any]:
    return named(hybrid.client().describe_transit_gateways()["TransitGateways"])


def subnets(hybrid: Hybrid, tier: str) -> list[str]:
    """The ids of a tier's subnets, in the order of the zones."""
    listed = hybrid.client().describe_subnets()["Subnets"]
    there = {each["CidrBlock"]: each["SubnetId"] for each in listed}
    return [there[cidr] for cidr in TIERS[tier]]


def routes_of(hybrid: Hybrid, subnet: str) -> dict[str, str]:
    """Destination -> target of the table that a subnet follows, without the VPC's own."""
    asked = [{"Name": "association.subnet-id", "Values": [subnet]}]
    (table,) = hybrid.client().describe_route_tables(Filters=asked)["RouteTables"]
    return {
        route["DestinationCidrBlock"]: route.get("TransitGatewayId") or route.get("NatGatewayId") or route["GatewayId"]
        for route in table["Routes"]
        if route.get("GatewayId") != "local"
    }


def test_a_preview_makes_nothing_and_a_second_run_changes_nothing(hybrid: Hybrid) -> None:
    assert hybrid.preview.returncode == 0, hybrid.preview.output
    assert hybrid.first.returncode == 0, hybrid.first.output
    assert (hybrid.second.returncode, hybrid.second.changed) == (0, {}), hybrid.second.output
    assert set(hybrid.preview.changed) == set(hybrid.first.changed)
    assert {"localhost", "hybrid"} <= set(hybrid.first.changed)


@pytest.mark.feature("HYB-01", by="M", repaired="transit_gateway_attachments")
def test_the_private_subnets_reach_the_premises_through_the_transit_gateway(hybrid: Hybrid, hub: Any) -> None:
    assert hub["Options"]["AmazonSideAsn"] == 64512
    assert hub["Options"]["DefaultRouteTableAssociation"] == hub["Options"]["DefaultRouteTablePropagation"] == "enable"
    attachment = named(hybrid.client().describe_transit_gateway_vpc_attachments()["TransitGatewayVpcAttachments"])
    vpc = named(hybrid.client().describe_vpcs()["Vpcs"])
    assert (attachment["TransitGatewayId"], attachment["VpcId"]) == (hub["TransitGatewayId"], vpc["VpcId"])
    assert sorted(attachment["SubnetIds"]) == sorted(subnets(hybrid, "private"))
    for subnet in subnets(hybrid, "private"):
        found = routes_of(hybrid, subnet)
        assert found.pop("0.0.0.0/0").startswith("nat-")
        assert found == {PREMISES: hub["TransitGatewayId"]}
    for tier in ("public", "database"):
        assert all(PREMISES not in routes_of(hybrid, subnet) for subnet in subnets(hybrid, tier))


@pytest.mark.feature("HYB-02", by="M", repaired="vpn_connections")
def test_two_tunnels_lead_to_the_configured_router(hybrid: Hybrid, hub: Any) -> None:
    wanted = yaml.safe_load(PRODUCTION.read_text())
    customer = named(hybrid.client().describe_customer_gateways()["CustomerGateways"])
    assert (customer["IpAddress"], customer["BgpAsn"]) == ("203.0.113.10", "65010")
    assert customer["IpAddress"] == wanted["aws_hybrid_customer_gateway_ip"]
    vpn = named(hybrid.client().describe_vpn_connections()["VpnConnections"], f"{PREFIX}-vpn")
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
    listed = hybrid.client().describe_transit_gateway_attachments()["TransitGatewayAttachments"]
    assert named(listed, f"{PREFIX}-vpn")["ResourceId"] == vpn["VpnConnectionId"]


def test_no_key_of_a_tunnel_is_in_what_the_runs_said(hybrid: Hybrid) -> None:
    (vpn,) = hybrid.client().describe_vpn_connections()["VpnConnections"]
    keys = [tunnel["PreSharedKey"] for tunnel in vpn["Options"]["TunnelOptions"]]
    assert len(keys) == 2
    assert not any(key in run.output for key in keys for run in (hybrid.first, hybrid.second))


@pytest.mark.feature("HYB-07", by="Stub", part="traffic is not spread, and no route of a VPN is static")
def test_the_vpn_has_no_static_route_that_direct_connect_would_lose_to(hybrid: Hybrid, hub: Any) -> None:
    """AWS prefers a static route, then what Direct Connect tells, then what a VPN tells."""
    assert hub["Options"]["VpnEcmpSupport"] == "disable"
    (vpn,) = hybrid.client().describe_vpn_connections()["VpnConnections"]
    assert vpn["Options"]["StaticRoutesOnly"] is False
    static = [{"Name": "type", "Values": ["static"]}]
    table = hub["Options"]["PropagationDefaultRouteTableId"]
    assert hub["Options"]["AssociationDefaultRouteTableId"] == table
    found = hybrid.client().search_transit_gateway_routes(TransitGatewayRouteTableId=table, Filters=static)
    assert found["Routes"] == []


def test_what_somebody_did_by_hand_is_found_and_mended(hybrid: Hybrid, hub: Any) -> None:
    ec2 = hybrid.client()
    zones = [{"shard": 0, "replica": number, "zone": zone, "role": "primary" if not number else "standby"}
             for number, zone in enumerate(ENGINES.values())]  # fmt: skip
    wanted = Wanted(PREFIX, "10.0.0.0/16", ZONES, TIERS, 3, zones, TAGS,
                    described_groups(hybrid.site.port, TIERS), [PREMISES])  # fmt: skip
    assert problems(wanted, read(hybrid.client, PREFIX)) == []
    asked = [{"Name": "association.subnet-id", "Values": subnets(hybrid, "private")[:1]}]
    (table,) = ec2.describe_route_tables(Filters=asked)["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock=PREMISES)
    options = {"VpnEcmpSupport": "enable"}
    ec2.modify_transit_gateway(TransitGatewayId=hub["TransitGatewayId"], Options=options)
    (vpn,) = ec2.describe_vpn_connections()["VpnConnections"]
    ec2.modify_vpn_tunnel_options(
        VpnConnectionId=vpn["VpnConnectionId"],
        VpnTunnelOutsideIpAddress=vpn["Options"]["TunnelOptions"][0]["OutsideIpAddress"],
        TunnelOptions={"Phase1EncryptionAlgorithms": [{"Value": "AES128"}]},
    )
    assert problems(wanted, read(hybrid.client, PREFIX)) == [
        f"subnet {TIERS['private'][0]} ({ZONES[0]}) has no route to {PREMISES} on the premises"
    ]
    mended = play(hybrid.environment, "provision", inventory=hybrid.inventory)
    assert (mended.returncode, mended.changed) == (0, {"localhost": 1, "hybrid": 1, f"routes_{ZONES[0]}": 1})
    assert problems(wanted, read(hybrid.client, PREFIX)) == []
    test_two_tunnels_lead_to_the_configured_router(hybrid, hub)
    assert named(ec2.describe_transit_gateways()["TransitGateways"])["Options"]["VpnEcmpSupport"] == "disable"
