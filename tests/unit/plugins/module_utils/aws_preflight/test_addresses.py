# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a network: production's are right, and each thing that can be wrong is one line that names it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.addresses import problems

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
PUBLIC, PRIVATE, DATABASE = ([f"10.0.{first + n}.0/24" for n in range(3)] for first in (101, 1, 11))
HOSTS = [{"zone": zone} for zone in ZONES]


def judged(cidr: str = "10.0.0.0/16", **changed: Any) -> list[str]:
    tiers = {"public": PUBLIC, "private": PRIVATE, "database": DATABASE}
    tiers |= {tier: changed[tier] for tier in tiers if tier in changed}
    elsewhere = {f"aws_network_{what}_cidrs": changed.get(what, ()) for what in ("on_premises", "partner")}
    return problems(
        cidr,
        tiers,
        changed.get("zones", ZONES),
        elsewhere,
        changed.get("hosts", HOSTS),
        changed.get("endpoints", 1),
        changed.get("outposts", ()),
    )


def test_productions_addresses_are_right() -> None:
    assert judged(on_premises=("192.168.0.0/16", "10.1.0.0/16")) == []


def test_what_two_zones_do_not_use_is_not_judged() -> None:
    assert judged(zones=ZONES[:2], private=["10.0.1.0/24", "10.0.2.0/24", "172.16.0.0/24"]) == []


@pytest.mark.feature("OPS-25", by="U")
@pytest.mark.parametrize(
    ("changed", "both"),
    [
        ({"database": ["10.0.11.0/24", "10.0.1.128/25", "10.0.13.0/24"]}, ("10.0.1.0/24", "10.0.1.128/25")),
        ({"private": ["10.0.1.0/24", "10.0.1.0/24", "10.0.3.0/24"]}, ("10.0.1.0/24", "10.0.1.0/24")),
        ({"on_premises": ("10.0.128.0/17",)}, ("10.0.0.0/16", "10.0.128.0/17")),
        ({"on_premises": ("10.0.0.0/8",)}, ("10.0.0.0/16", "10.0.0.0/8")),
        ({"on_premises": ("172.16.0.0/12", "172.20.0.0/16")}, ("172.16.0.0/12", "172.20.0.0/16")),
        ({"outposts": ("10.0.3.0/25",)}, ("10.0.3.0/24", "10.0.3.0/25")),
        ({"partner": ("10.0.128.0/17",)}, ("10.0.0.0/16", "10.0.128.0/17")),
        ({"on_premises": ("172.16.0.0/12",), "partner": ("172.20.0.0/16",)}, ("172.16.0.0/12", "172.20.0.0/16")),
    ],
)
def test_networks_that_overlap_are_both_named(changed: dict[str, Any], both: tuple[str, str]) -> None:
    (line,) = judged(**changed)
    assert line.startswith(f"{both[0]} (aws_network_")
    assert f" and {both[1]} (aws_network_" in line
    assert "have addresses in common" in line


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"public": PUBLIC[:2]}, "aws_network_public_cidrs has 2 subnets for the 3 zones of ironbook_zones"),
        (
            {"private": ["10.0.1.0/24", "10.9.2.0/24", "10.0.3.0/24"]},
            "10.9.2.0/24 (aws_network_private_cidrs) is not part of the VPC's 10.0.0.0/16 (aws_network_cidr)",
        ),
        (
            {"public": ["10.0.101.0/24", "10.0.102.0/29", "10.0.103.0/24"]},
            "10.0.102.0/29 (aws_network_public_cidrs) is too large or too small: AWS takes /16 to /28",
        ),
        (
            {"outposts": ["10.9.2.0/24"]},
            "10.9.2.0/24 (aws_network_outposts) is not part of the VPC's 10.0.0.0/16 (aws_network_cidr)",
        ),
        ({"cidr": "10.0.0.0/15"}, "10.0.0.0/15 (aws_network_cidr) is too large or too small: AWS takes /16 to /28"),
    ],
)
def test_each_other_mistake_is_one_line(changed: dict[str, Any], line: str) -> None:
    assert judged(**changed) == [line]


@pytest.mark.parametrize(("hosts", "endpoints", "fits"), [(10, 1, True), (11, 1, False), (10, 2, False)])
def test_a_private_subnet_has_room_for_its_hosts_and_endpoints_beside_awss_five(
    hosts: int, endpoints: int, fits: bool
) -> None:
    found = judged(
        private=["10.0.1.0/24", "10.0.2.0/28", "10.0.3.0/24"], hosts=[{"zone": ZONES[1]}] * hosts, endpoints=endpoints
    )
    assert (found == []) is fits
    assert fits or "10.0.2.0/28 (aws_network_private_cidrs) has 11 addresses to give" in found[0]
