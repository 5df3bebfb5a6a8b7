# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration file of a VPN connection is read, and its suite said in strongSwan's words."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.vpn_peer import connection

TUNNEL = """<ipsec_tunnel>
<customer_gateway><tunnel_outside_address><ip_address>203.0.113.10</ip_address></tunnel_outside_address>
<tunnel_inside_address><ip_address>169.254.{net}.2</ip_address><network_mask>255.255.255.252</network_mask>
<network_cidr>30</network_cidr></tunnel_inside_address><bgp><asn>65010</asn><hold_time>30</hold_time></bgp></customer_gateway>
<vpn_gateway><tunnel_outside_address><ip_address>198.51.100.{net}</ip_address></tunnel_outside_address>
<tunnel_inside_address><ip_address>169.254.{net}.1</ip_address><network_mask>255.255.255.252</network_mask>
<network_cidr>30</network_cidr></tunnel_inside_address><bgp><asn>64512</asn><hold_time>30</hold_time></bgp></vpn_gateway>
<ike><authentication_protocol>sha1</authentication_protocol><pre_shared_key>a-key-of-{net}</pre_shared_key></ike>
</ipsec_tunnel>"""
BEGIN, END = '<?xml version="1.0" encoding="UTF-8"?>\n<vpn_connection id="vpn-1">', "</vpn_connection>"
FILE = BEGIN + TUNNEL.format(net=7) + TUNNEL.format(net=8) + END


def test_both_tunnels_are_read_from_the_premises_side() -> None:
    first, second = connection.tunnels(FILE)
    assert first == connection.Tunnel(
        number=1, here="203.0.113.10", there="198.51.100.7", inside="169.254.7.2/30", neighbour="169.254.7.1",
        asn=65010, neighbour_asn=64512, key="a-key-of-7",
    )  # fmt: skip
    assert (second.number, second.there, second.key) == (2, "198.51.100.8", "a-key-of-8")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("", "not as AWS writes it"),
        ("<vpn_connection>", "not as AWS writes it"),
        (BEGIN + END, "has 0 tunnels"),
        (BEGIN + TUNNEL.format(net=7) + END, "has 1 tunnels"),
        (FILE.replace("<pre_shared_key>a-key-of-8</pre_shared_key>", ""), "not as AWS writes it"),
        (FILE.replace("169.254.8.1", "169.254.9.1"), "not as AWS writes it"),
        (FILE.replace("169.254.8.", "10.0.8."), "not as AWS writes it"),
        (FILE.replace("198.51.100.8", "nowhere"), "not as AWS writes it"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + FILE.partition("\n")[2], "has a DOCTYPE"),
    ],
)
def test_what_is_no_such_file_is_refused_and_no_key_is_shown(file: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        connection.tunnels(file)
    assert "a-key-of" not in str(refused.value)


@pytest.mark.parametrize(
    ("suite", "ike", "esp"),
    [
        (("AES256-GCM-16", "SHA2-512", 20), "aes256gcm16-prfsha512-ecp384", "aes256gcm16-ecp384"),
        (("AES128-GCM-16", "SHA2-256", 19), "aes128gcm16-prfsha256-ecp256", "aes128gcm16-ecp256"),
        (("AES256", "SHA2-384", 14), "aes256-sha384-modp2048", "aes256-sha384-modp2048"),
    ],
)
def test_a_suite_is_said_in_strongswans_words(suite: tuple[str, str, int], ike: str, esp: str) -> None:
    assert connection.proposals(*suite) == {"ike": ike, "esp": esp}


@pytest.mark.parametrize("suite", [("AES128", "SHA2-512", 20), ("AES256", "SHA1", 20), ("AES256", "SHA2-512", 2)])
def test_a_weak_suite_is_none(suite: tuple[str, str, int]) -> None:
    with pytest.raises(ValueError, match="is no algorithm"):
        connection.proposals(*suite)


def test_each_suite_that_the_connection_takes_has_its_words() -> None:
    from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import (  # noqa: PLC0415
        vpn_connection,
    )

    kind = vpn_connection.KIND
    assert set(kind.field_named("encryption").choices) == set(connection.ENCRYPTION)
    assert set(kind.field_named("integrity").choices) == set(connection.INTEGRITY)
    assert set(kind.field_named("dh_group").choices) == set(connection.GROUPS)
