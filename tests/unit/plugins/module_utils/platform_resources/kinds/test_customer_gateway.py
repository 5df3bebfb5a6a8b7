# SPDX-License-Identifier: GPL-3.0-or-later
"""A customer gateway, read back from the emulator over HTTP; neither its address nor its system ever changes."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import customer_gateway as kind
from platform_resources import TAGS, Case, Client, converge, first, told

OFFICE = {"ip_address": "203.0.113.10", "bgp_asn": 65010}
CASE = Case(
    variants=(OFFICE,),
    drifts=(
        lambda client, gateway: client("ec2").delete_customer_gateway(CustomerGatewayId=gateway),
        lambda client, gateway: client("ec2").delete_tags(Resources=[gateway], Tags=[{"Key": "Compliance"}]),
    ),
)


@pytest.mark.slow
@pytest.mark.feature("HYB-02", by="M", part="a customer gateway with the configured public address")
def test_it_is_read_back_over_http(served: Client) -> None:
    identifier = first(served, {"customer_gateways": [{"name": "office", **OFFICE}]})
    (there,) = served("ec2").describe_customer_gateways(CustomerGatewayIds=[identifier])["CustomerGateways"]
    assert (there["IpAddress"], there["BgpAsn"], there["Type"]) == ("203.0.113.10", "65010", "ipsec.1")
    assert {tag["Key"]: tag["Value"] for tag in there["Tags"]} == {**TAGS, "Name": "office"}
    moved = converge(served, {"customer_gateways": [{"name": "office", **OFFICE, "ip_address": "203.0.113.11"}]})
    assert (moved.done, moved.problems) == (
        [],
        [
            "customer_gateway office: ip_address is 203.0.113.10 and cannot become 203.0.113.11: give the new one "
            "another name, or remove this one (state: absent) first"
        ],
    )
    gone = converge(served, {"customer_gateways": [{"name": "office", "state": "absent"}]})
    assert told(gone) == ["delete customer_gateway office"] and gone.problems == []


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "172.16.0.9", "100.64.0.1", "127.0.0.1", "169.254.1.1",
                                     "0.0.0.0", "224.0.0.1", "office.example.com", "2001:db8::1"])  # fmt: skip
def test_what_the_internet_does_not_know_is_refused(address: str) -> None:
    (problem,) = kind.problems({"ip_address": address})
    assert problem.startswith(f"ip_address {address} is n")


@pytest.mark.parametrize("address", ["203.0.113.10", "198.51.100.1", "52.94.76.1"])
def test_a_public_address_and_those_of_examples_are_taken(address: str) -> None:
    assert list(kind.problems({"ip_address": address})) == []
