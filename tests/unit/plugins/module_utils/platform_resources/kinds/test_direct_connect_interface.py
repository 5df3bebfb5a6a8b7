# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual interface of Direct Connect: what is asked for, and what the emulator answers over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources import direct_connect
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import (
    direct_connect_interface as kind,
)
from platform_resources import TAGS, Case, Client, Recorder, converge, first, told

INVENTORIES = Path(__file__).parents[6] / "inventories"
PLACE = {"connection": "dx-port", "gateway": "dx-venues", "vlan": 101, "bgp_asn": 65101}


def shrink(client: Client, interface: str) -> None:
    """Somebody changes how much a packet may hold."""
    there = of(client, interface)
    mtu = 1500 if there["mtu"] != 1500 else 9001
    client("directconnect").update_virtual_interface_attributes(virtualInterfaceId=interface, mtu=mtu)


def of(client: Client, interface: str) -> dict[str, Any]:
    answer = client("directconnect").describe_virtual_interfaces(virtualInterfaceId=interface)
    (there,) = answer["virtualInterfaces"]
    return there


def untag(client: Client, interface: str) -> None:
    """Somebody takes a tag off."""
    name = direct_connect.arn("us-east-1", "123456789012", f"dxvif/{interface}")
    client("directconnect").untag_resource(resourceArn=name, tagKeys=["Compliance"])


CASE = Case(
    variants=(PLACE, {**PLACE, "mtu": 9001}),
    drifts=(
        shrink,
        untag,
        lambda client, interface: client("directconnect").delete_virtual_interface(virtualInterfaceId=interface),
    ),
    beside={
        "direct_connect_connections": [{"name": "dx-port", "location": "EqDC2"}],
        "direct_connect_gateways": [{"name": "dx-venues"}],
    },
)


@pytest.mark.slow
@pytest.mark.feature("HYB-05", by="Stub", part="an interface", repaired="direct_connect")
@pytest.mark.parametrize(
    ("what", "operation", "parameter", "asn"),
    [
        ("private", "create_private_virtual_interface", "newPrivateVirtualInterface", {"asn": 65101}),
        ("transit", "create_transit_virtual_interface", "newTransitVirtualInterface", {"asnLong": 4200000001}),
    ],
)
def test_it_is_asked_for_and_read_back_over_http(
    served: Client, what: str, operation: str, parameter: str, asn: dict[str, int]
) -> None:
    recorder = Recorder(served)
    (number,) = asn.values()
    options = {
        "direct_connect_connections": [{"name": f"port-{what}", "location": "EqDC2"}],
        "direct_connect_gateways": [{"name": f"gateway-{what}"}],
        "direct_connect_interfaces": [
            {"name": f"nyse-{what}", "type": what, "connection": f"port-{what}", "gateway": f"gateway-{what}",
             "vlan": 301, "bgp_asn": number}
        ],
    }  # fmt: skip
    identifier = first(recorder, options)
    (asked,) = [parameters for name, parameters in recorder.calls if name == operation]
    there = of(served, identifier)
    tags = [{"key": key, "value": value} for key, value in {**TAGS, "Name": f"nyse-{what}"}.items()]
    assert asked == {
        "connectionId": there["connectionId"],
        parameter: {
            "virtualInterfaceName": f"nyse-{what}",
            "vlan": 301,
            **asn,
            "mtu": 1500,
            "addressFamily": "ipv4",
            "directConnectGatewayId": there["directConnectGatewayId"],
            "tags": tags,
        },
    }
    assert (there["virtualInterfaceType"], there["vlan"], there["asnLong"]) == (what, 301, number)
    assert there["tags"] == tags
    shown = repr([(step.before, step.found) for step in converge(served, options).steps])
    assert identifier in shown and there["authKey"] not in shown
    gone = converge(served, {key: [{**each, "state": "absent"} for each in listed] for key, listed in options.items()})
    assert gone.problems == [] and len(gone.done) == 3
    assert told(gone)[-1].startswith("delete direct_connect_")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"vlan": 0}, "vlan 0 is none: take 1 to 4094"),
        ({"vlan": 4095}, "vlan 4095 is none: take 1 to 4094"),
        ({"bgp_asn": 0}, "bgp_asn 0 is none: take 1 to 4294967294"),
        ({"bgp_asn": 4294967295}, "bgp_asn 4294967295 is none: take 1 to 4294967294"),
        ({"mtu": 9000}, "mtu 9000 is not one of a private interface: take 1500 or 9001"),
        ({"type": "transit", "mtu": 9001}, "mtu 9001 is not one of a transit interface: take 1500 or 8500"),
    ],
)
@pytest.mark.feature("HYB-05", by="Stub", part="VLAN and autonomous system are checked before anything is asked")
def test_what_no_router_takes_is_refused(fields: dict[str, Any], problem: str) -> None:
    right = {"type": "private", "vlan": 101, "bgp_asn": 65101, "mtu": 1500}
    assert list(kind.problems(right)) == []
    (line,) = kind.problems({**right, **fields})
    assert line.startswith(problem)


@pytest.mark.feature("HYB-05", by="Stub", repaired="direct_connect")
@pytest.mark.feature("HYB-06", by="Stub", repaired="direct_connect")
def test_what_production_asks_for_its_venues_and_clients(recorder: Recorder) -> None:
    """The lists of the inventory, each interface of which the role puts behind the gateway of partners."""
    production = yaml.safe_load((INVENTORIES / "production" / "group_vars" / "all" / "aws_hybrid.yml").read_text())
    partners = [*production["aws_hybrid_venues"], *production["aws_hybrid_clients"]]
    outcome = converge(
        recorder,
        {
            "direct_connect_connections": production["aws_hybrid_direct_connects"],
            "direct_connect_gateways": [{"name": "partners", "amazon_side_asn": 64513}],
            "direct_connect_interfaces": [{**each, "type": "private", "gateway": "partners"} for each in partners],
        },
    )
    assert outcome.problems == []
    (made,) = [asked for name, asked in recorder.calls if name == "create_direct_connect_gateway"]
    assert (made["directConnectGatewayName"], made["amazonSideAsn"]) == ("partners", 64513)
    ports = {outcome.ids["direct_connect_connection", each["name"]]: each["name"]
             for each in production["aws_hybrid_direct_connects"]}  # fmt: skip
    asked = [parameters for name, parameters in recorder.calls if name == "create_private_virtual_interface"]
    found = {}
    for each in asked:
        wanted = each["newPrivateVirtualInterface"]
        assert wanted["directConnectGatewayId"] == outcome.ids["direct_connect_gateway", "partners"]
        assert {pair["key"] for pair in wanted["tags"]} == {*TAGS, "Name"}
        found[wanted["virtualInterfaceName"]] = (ports[each["connectionId"]], wanted["vlan"], wanted["asn"])
    assert found == {
        "nyse": ("production-trading-engine-venues", 201, 65201),
        "nasdaq": ("production-trading-engine-venues", 202, 65202),
        "client-a": ("production-trading-engine-premises", 301, 65301),
    }
