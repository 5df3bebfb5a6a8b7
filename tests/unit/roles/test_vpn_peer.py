# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role vpn_peer writes: BGP by which the VPN is the second way, and interfaces with strongSwan's numbers."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles" / "vpn_peer"
TUNNELS = [
    {"number": number, "here": "203.0.113.10", "there": f"198.51.100.{number}", "inside": f"169.254.{number}.2/30",
     "neighbour": f"169.254.{number}.1", "asn": 65010, "neighbour_asn": 64512, "key": f"k{number}"}
    for number in (1, 2)
]  # fmt: skip


def written(name: str, **more: object) -> str:
    """One of the role's files, with its defaults."""
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    plain = {key: value for key, value in defaults.items() if "{{" not in str(value)}
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    text = engine.from_string((ROLE / "templates" / f"{name}.j2").read_text())
    return text.render(
        **plain, vpn_peer_tunnels=TUNNELS, vpn_peer_networks=["192.168.0.0/16"], vpn_peer_connection_name="c",
        __vpn_peer_proposals={"ike": "i", "esp": "e"}, **more,
    )  # fmt: skip


@pytest.mark.feature("HYB-07", by="U")
def test_the_vpn_is_the_second_way_in_both_directions() -> None:
    """RFC 4271, 9.1: the higher local preference wins, 100 where nobody says otherwise; then the shorter path."""
    text = written("bird.conf")
    preference = re.search(r"filter from_aws \{\s+bgp_local_pref = (\d+);\s+accept;", text)
    assert preference and int(preference[1]) < 100
    told = re.search(r"filter to_aws \{(.*?)\n\}", text, re.DOTALL)
    assert told and told[1].count("bgp_path.prepend(65010);") == 2
    sessions = re.findall(r"protocol bgp tunnel(\d) \{(.*?)\n\}", text, re.DOTALL)
    assert [number for number, _ in sessions] == ["1", "2"]
    for number, session in sessions:
        assert f"local 169.254.{number}.2 as 65010;" in session
        assert f"neighbor 169.254.{number}.1 as 64512;" in session
        assert "import filter from_aws;" in session and "export filter to_aws;" in session
    assert re.findall(r"route (\S+) unreachable;", text) == ["192.168.0.0/16"]


def test_interface_and_strongswan_know_each_other_by_one_number() -> None:
    made = re.findall(r"ip link add (vpn\d) type xfrm if_id (\d+)", written("interfaces.service"))
    assert made == [("vpn1", "301"), ("vpn2", "302")]
    assert re.findall(r"if_id_(?:in|out) = (\d+)", written("swanctl.conf")) == ["301", "301", "302", "302"]


def test_no_interface_and_no_neighbour_is_told_a_key() -> None:
    for name in ("interfaces.service", "bird.conf"):
        assert not any(tunnel["key"] in written(name) for tunnel in TUNNELS)
