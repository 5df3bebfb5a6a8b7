# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory says of the premises: a public address, and networks; anything else is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.preflight import declarations, inventory

ROOT = Path(__file__).resolve().parents[5]


def complaints(tmp_path: Path, text: str) -> list[str]:
    """What is wrong with an inventory of this one file, by the declarations of all roles."""
    path = tmp_path / "group_vars" / "all.yml"
    path.parent.mkdir()
    path.write_text(text)
    settings = inventory.read([str(tmp_path)])
    assert settings
    return inventory.problems(settings, declarations.read(ROOT), lambda value: value)


def interface(**otherwise: object) -> str:
    """An exchange's interface, as an inventory lists it."""
    right = {"name": "nyse", "connection": "port", "vlan": 201, "bgp_asn": 65201}
    return f"aws_hybrid_venues: [{json.dumps(right | otherwise)}]\n"


@pytest.mark.feature("HYB-05", by="Stub", part="VLAN and autonomous system are checked before anything is asked")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (interface(), ""),
        (interface(vlan=0), "aws_hybrid_venues has an item that has the key vlan, which is 0; the least is 1"),
        (interface(vlan=4095), "aws_hybrid_venues has an item that has the key vlan, which is 4095; the most is 4094"),
        (interface(bgp_asn=0), "aws_hybrid_venues has an item that has the key bgp_asn, which is 0; the least is 1"),
        (interface(bgp_asn=4294967295), "bgp_asn, which is 4294967295; the most is 4294967294"),
        (interface(vlan="trunk"), "all.yml:1: aws_hybrid_venues"),
        (interface(mtu=9000), "all.yml:1: aws_hybrid_venues"),
        ("aws_hybrid_direct_connects: [{name: port, location: EqDC2, bandwidth: 2Gbps}]\n",
         "all.yml:1: aws_hybrid_direct_connects"),
    ],
)  # fmt: skip
def test_vlans_and_autonomous_systems_are_checked(tmp_path: Path, text: str, complaint: str) -> None:
    lines = complaints(tmp_path, text)
    assert len(lines) == bool(complaint), lines
    assert all(complaint in line for line in lines), lines


@pytest.mark.feature("HYB-04", by="U")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("aws_hybrid_customer_gateway_ip: 203.0.113.10\naws_network_on_premises_cidrs: [192.168.0.0/16]\n", ""),
        ("aws_hybrid_customer_gateway_ip: 52.94.76.1\naws_network_on_premises_cidrs: [10.8.0.0/16, 10.9.0.0/16]\n", ""),
        *(
            (f"aws_hybrid_customer_gateway_ip: {address}\n",
             f"all.yml:1: aws_hybrid_customer_gateway_ip is '{address}'; an IPv4 address that the internet knows")
            for address in ("10.0.0.1", "172.16.4.1", "192.168.1.1", "100.64.0.1", "169.254.0.1", "router.example.com")
        ),
        ("aws_network_on_premises_cidrs: [192.168.0.1/16]\n",
         "all.yml:1: aws_network_on_premises_cidrs has an item that is '192.168.0.1/16'; a network such as"),
        ("aws_network_on_premises_cidrs: [192.168.0.0]\n",
         "all.yml:1: aws_network_on_premises_cidrs has an item that is '192.168.0.0'; a network such as"),
        ("aws_hybrid_customer_gateway_ips: 203.0.113.10\n",
         "all.yml:1: aws_hybrid_customer_gateway_ips is not a variable of any role; did you mean"),
    ],
)  # fmt: skip
def test_address_and_networks_of_the_premises_are_checked(tmp_path: Path, text: str, complaint: str) -> None:
    lines = complaints(tmp_path, text)
    assert len(lines) == bool(complaint), lines
    assert all(complaint in line for line in lines), lines
