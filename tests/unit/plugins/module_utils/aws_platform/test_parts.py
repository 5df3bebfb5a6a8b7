# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of ours gets what it lacks of our tags, and keeps what else it has; a part of somebody else keeps all."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.aws_platform.parts import Action, Ours, plan, read

TAGS = {"ManagedBy": "ansible", "Project": "p"}
OURS = Ours(["v-", "engine-"], TAGS)
OWNERS = {
    "nat": TAGS | {"Name": "v-a", "Note": "n"},
    "i": TAGS | {"Name": "engine-0", "aws:autoscaling": "x", "Role": "engine"},
}
PARTS = {"eip": "nat", "vol": "i", "eni": "i"}
RIGHT = {part: TAGS | {"Name": OWNERS[owner]["Name"]} for part, owner in PARTS.items()}


def test_a_part_without_tags_gets_ours_and_the_name_of_its_owner() -> None:
    found = plan(OURS, OWNERS, PARTS, {"vol": RIGHT["vol"]})
    assert found == [Action("eip", TAGS | {"Name": "v-a"}), Action("eni", TAGS | {"Name": "engine-0"})]


def test_a_wrong_tag_is_set_and_a_strange_one_is_left_alone() -> None:
    tags = RIGHT | {"eip": RIGHT["eip"] | {"Project": "q", "Backup": "daily"}}
    assert plan(OURS, OWNERS, PARTS, tags) == [Action("eip", {"Project": "p"})]


def test_what_is_right_needs_nothing() -> None:
    assert plan(OURS, OWNERS, PARTS, RIGHT) == []


@pytest.mark.parametrize(
    "owner",
    [
        {"Name": "their-bastion", "Backup": "none", "CostCenter": "theirs"},
        TAGS | {"Name": "their-bastion"},
        TAGS,
        {"Name": "engine-0"},
        TAGS | {"Name": "engine-0", "Project": "theirs"},
        TAGS | {"Name": "engine-0", "ManagedBy": "hand"},
    ],
)
def test_what_belongs_to_somebody_else_is_left_alone(owner: dict[str, str]) -> None:
    """A marked one without a name of ours is no more ours than a named one without the marks."""
    assert plan(OURS, {"i": owner}, {"vol": "i"}, {"vol": {"Name": "their-data", "Backup": "daily"}}) == []


@pytest.mark.parametrize(
    ("prefixes", "tags", "said"),
    [
        (["v-"], {"Project": "p"}, "tags lack ManagedBy"),
        (["v-"], {}, "tags lack Project and ManagedBy"),
        (["v-", ""], TAGS, "name_prefixes has an empty one"),
    ],
)
def test_options_that_would_take_in_everybodys_are_refused(prefixes: list[str], tags: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Ours.given({"name_prefixes": prefixes, "tags": tags})


class Paged:
    """One page, whatever is asked for."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page

    def paginate(self, **_filters: Any) -> list[dict[str, Any]]:
        return [self.page]


class Ec2:
    """A VPC with a public NAT gateway, a private one, which has no allocation, and one that is being made."""

    def describe_vpcs(self, **_filters: Any) -> dict[str, Any]:
        return {"Vpcs": [{"VpcId": "vpc"}]}

    def describe_nat_gateways(self, **_filters: Any) -> dict[str, Any]:
        public = {"NatGatewayId": "nat", "State": "available", "NatGatewayAddresses": [{"AllocationId": "eip"}]}
        private = {"NatGatewayId": "inner", "State": "available", "NatGatewayAddresses": [{"PrivateIp": "10.0.0.9"}]}
        return {"NatGateways": [public, private, {"NatGatewayId": "new", "State": "pending"}]}

    def get_paginator(self, call: str) -> Paged:
        return Paged({"Reservations": []} if call == "describe_instances" else {"Tags": []})


def test_a_nat_gateway_without_an_allocation_has_no_address_to_tag() -> None:
    known = read(Ec2(), "v")
    assert known is not None and known[1] == {"eip": "nat"}
