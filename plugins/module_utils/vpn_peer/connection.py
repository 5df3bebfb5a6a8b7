# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the configuration file of a VPN connection and says its suite in strongSwan's words.  Pure.

The file is AWS's own (EC2, VpnConnection: customerGatewayConfiguration), XML.  What it says of algorithms is the least
that AWS takes, whatever the connection was made with (Site-to-Site VPN user guide, "Download the configuration file"):
so addresses, keys and autonomous systems are read from it, and the suite comes from the inventory.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, ip_network
from xml.etree import ElementTree

INSIDE = ip_network("169.254.0.0/16")
# What AWS calls an algorithm -> strongSwan's keyword. (docs.strongswan.org, "Algorithm Proposals")
ENCRYPTION = {"AES128-GCM-16": "aes128gcm16", "AES256-GCM-16": "aes256gcm16", "AES256": "aes256"}
INTEGRITY = {"SHA2-256": "sha256", "SHA2-384": "sha384", "SHA2-512": "sha512"}
GROUPS = {14: "modp2048", 15: "modp3072", 16: "modp4096", 19: "ecp256", 20: "ecp384", 21: "ecp521"}


@dataclass(frozen=True)
class Tunnel:
    """One tunnel, from the premises' side. `here`, `there`: outside addresses; `key`: a secret of both ends.

    `inside`: our address in the tunnel with the length of its network; `neighbour`: AWS's. `asn`, `neighbour_asn`: the
    autonomous systems of both.
    """

    number: int
    here: str
    there: str
    inside: str
    neighbour: str
    asn: int
    neighbour_asn: int
    key: str


def tunnels(configuration: str) -> list[Tunnel]:
    """Return the tunnels of a configuration file; ValueError, without any of its secrets, where it is none."""
    text = configuration.strip()
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # AWS writes neither, and they can make a reader swell
        raise ValueError("the configuration of the VPN connection has a DOCTYPE: it is not AWS's")
    try:
        root = ElementTree.fromstring(text)
        found = [_tunnel(number, element) for number, element in enumerate(root.findall("ipsec_tunnel"), 1)]
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(
            "the configuration of the VPN connection is not as AWS writes it: download it again"
        ) from error
    if len(found) != 2:
        raise ValueError(f"the configuration of the VPN connection has {len(found)} tunnels, and AWS gives two")
    return found


def _tunnel(number: int, element: ElementTree.Element) -> Tunnel:
    def said(path: str) -> str:
        text = (element.findtext(path) or "").strip()
        if not text:
            raise ValueError(path)
        return text

    ours, theirs = "customer_gateway", "vpn_gateway"
    outside, inside = "tunnel_outside_address/ip_address", "tunnel_inside_address"
    interface = IPv4Interface(f"{said(f'{ours}/{inside}/ip_address')}/{said(f'{ours}/{inside}/network_cidr')}")
    neighbour = IPv4Address(said(f"{theirs}/{inside}/ip_address"))
    if interface.ip not in INSIDE or neighbour not in interface.network:
        raise ValueError(inside)
    return Tunnel(
        number=number,
        here=str(IPv4Address(said(f"{ours}/{outside}"))),
        there=str(IPv4Address(said(f"{theirs}/{outside}"))),
        inside=str(interface),
        neighbour=str(neighbour),
        asn=int(said(f"{ours}/bgp/asn")),
        neighbour_asn=int(said(f"{theirs}/bgp/asn")),
        key=said("ike/pre_shared_key"),
    )


def proposals(encryption: str, integrity: str, dh_group: int) -> dict[str, str]:
    """Return the one proposal of `ike` and of `esp`; ValueError for what AWS or strongSwan does not have.

    With AES-GCM, which proves by itself that nothing was changed, the integrity is that of IKE's derivation of keys.
    """
    try:
        cipher, proof, group = ENCRYPTION[encryption], INTEGRITY[integrity], GROUPS[dh_group]
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is no algorithm of a VPN connection that strongSwan is told of") from error
    if "gcm" in cipher:
        return {"ike": f"{cipher}-prf{proof}-{group}", "esp": f"{cipher}-{group}"}
    return {"ike": f"{cipher}-{proof}-{group}", "esp": f"{cipher}-{proof}-{group}"}
