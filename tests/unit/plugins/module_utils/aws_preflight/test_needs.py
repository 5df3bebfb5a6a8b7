# SPDX-License-Identifier: GPL-3.0-or-later
"""An account that holds all that is needed passes; each thing that is lacking is one line that names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_preflight.needs import (
    ADDRESSES,
    VCPUS,
    VPCS,
    Found,
    Needs,
    is_standard,
    problems,
)

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]
HOSTS = [{"shard": 0, "replica": n, "zone": zone, "type": "c5n.metal"} for n, zone in enumerate(ZONES)]
NEEDS = Needs.of(
    {
        "vpcs": [{"name": "v", "cidr": "10.0.0.0/16"}],
        "nat_gateways": [f"v-{zone}" for zone in ZONES],
        "instances": HOSTS,
        "streams": [{"name": "v-market-data", "shards": 10}],
    },
    ZONES,
)
FOUND = Found(
    region="us-east-1",
    zones=ZONES,
    vpcs=[{"id": "vpc-d", "name": "", "region": "us-east-1", "cidrs": ["172.31.0.0/16"]}],
    offered={zone: ["c5n.metal"] for zone in ZONES},
    vcpus={"c5n.metal": 72, "t3.micro": 2},
    quotas={ADDRESSES: 5.0, VPCS: 5.0, VCPUS: 216.0},
    shards=(0, 500),
)
MADE = replace(
    FOUND,
    vpcs=[*FOUND.vpcs, {"id": "vpc-1", "name": "v", "region": "us-east-1", "cidrs": ["10.0.0.0/16"]}],
    nat_gateways=NEEDS.nat_gateways,
    addresses=3,
    instances=[{"name": one["name"], "type": "c5n.metal", "ours": True} for one in NEEDS.instances],
    streams={"v-market-data": 10},
    shards=(10, 500),
)


def lacking(found: Found = FOUND, **changed: Any) -> list[str]:
    return problems(NEEDS, replace(found, **changed))


def test_an_empty_account_that_may_have_it_all_passes() -> None:
    assert lacking() == []


def test_what_is_made_already_is_not_needed_once_more() -> None:
    full = {ADDRESSES: 3.0, VPCS: 2.0, VCPUS: 216.0}
    assert lacking(MADE, quotas=full, shards=(10, 10)) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"addresses": 3},
            "3 more Elastic IP addresses are needed (one for each NAT gateway: v-us-east-1a, v-us-east-1b, "
            "v-us-east-1c), and 3 of the 5 that us-east-1 allows are in use: have the quota L-0263D0A3 of ec2 raised, "
            "or remove what is not needed",
        ),
        (
            {"instances": [{"name": "engine-0-0", "type": "t3.micro", "ours": False}]},
            "216 more vCPUs of running on-demand standard instances are needed (engine-0-0 c5n.metal, engine-0-1 "
            "c5n.metal, engine-0-2 c5n.metal), and 2 of the 216 that us-east-1 allows are in use: have the quota "
            "L-1216C47A of ec2 raised, or remove what is not needed",
        ),
        (
            {"vpcs": [{"id": f"vpc-{n}", "name": "", "region": "us-east-1", "cidrs": []} for n in range(5)]},
            "1 more VPCs are needed (v), and 5 of the 5 that us-east-1 allows are in use: have the quota L-F678F1CE of "
            "vpc raised, or remove what is not needed",
        ),
        (
            {"shards": (491, 500)},
            "10 more Kinesis shards are needed (v-market-data), and 491 of the 500 that us-east-1 allows are in use: "
            "have that quota raised, or lower aws_streams_shard_count",
        ),
        (
            {"zones": ["us-east-1a", "us-east-1b", "us-east-1f"]},
            "ironbook_zones has us-east-1c, which us-east-1 does not have for this account; it has us-east-1a, "
            "us-east-1b, us-east-1f",
        ),
        (
            {"offered": {"us-east-1a": {"c5n.metal"}, "us-east-1c": {"c5n.metal"}}},
            "c5n.metal (aws_compute_instance_type) is not offered in us-east-1b, where engine-0-1 is; it is in "
            "us-east-1a, us-east-1c: move the host there, or take another type",
        ),
    ],
)
def test_each_thing_that_is_lacking_is_one_line(changed: dict[str, Any], line: str) -> None:
    assert lacking(**changed) == [line]


def test_one_less_would_do() -> None:
    assert lacking(addresses=2) == []
    assert lacking(shards=(490, 500)) == []
    assert lacking(instances=[{"name": "x", "type": "g4dn.xlarge", "ours": False}]) == [], "which has another quota"


def test_an_unknown_type_is_offered_nowhere() -> None:
    found = lacking(offered={})
    assert len(found) == len(ZONES)
    assert all("nor elsewhere in us-east-1: take another type" in line for line in found)


@pytest.mark.feature("OPS-25", by="U")
@pytest.mark.parametrize(
    ("name", "region", "cidr", "met"),
    [
        ("other", "us-east-1", "10.0.64.0/18", True),
        ("v", "us-west-2", "10.0.0.0/16", True),
        ("v", "us-east-1", "10.0.0.0/16", False),
        ("other", "us-west-2", "10.1.0.0/16", False),
    ],
)
def test_a_vpc_of_any_region_with_addresses_of_ours_is_named_with_both(
    name: str, region: str, cidr: str, met: bool
) -> None:
    vpcs = [{"id": "vpc-9", "name": name, "region": region, "cidrs": ["192.168.0.0/16", cidr]}]
    found = lacking(vpcs=vpcs)
    assert bool(found) is met
    if met:
        (line,) = found
        assert line.startswith(
            f"10.0.0.0/16 (VPC v) and {cidr} (VPC vpc-9 {name} of {region}) have addresses in common"
        )
        assert problems(NEEDS, replace(FOUND, vpcs=vpcs), accepted=["vpc-9"]) == []


def test_what_is_not_known_is_not_judged() -> None:
    unknown = dict.fromkeys((ADDRESSES, VPCS, VCPUS))
    assert lacking(addresses=99, quotas=unknown, shards=None) == []


def test_which_instances_the_quota_of_standard_ones_counts() -> None:
    types = ("c5n.metal", "t3.micro", "inf1.large", "trn1.32xlarge", "g5.large")
    assert [kind for kind in types if is_standard(kind)] == ["c5n.metal", "t3.micro"]


def test_our_vpc_that_has_lost_its_name_is_no_other() -> None:
    """Its tags still say whose it is; the run that is to give it its name back must not be refused."""
    nameless = {"id": "vpc-1", "name": "", "region": "us-east-1", "cidrs": ["10.0.0.0/16"], "ours": True}
    assert problems(NEEDS, replace(FOUND, vpcs=[nameless])) == []
    assert len(problems(NEEDS, replace(FOUND, vpcs=[nameless | {"ours": False}]))) == 1
    assert len(problems(NEEDS, replace(FOUND, vpcs=[nameless | {"region": "us-west-2"}]))) == 1
