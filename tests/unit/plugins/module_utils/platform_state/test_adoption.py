# SPDX-License-Identifier: GPL-3.0-or-later
"""What is nobody's becomes ours with its parts, all of it or nothing; what is somebody else's does not."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.calls import Account
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.kinds import KINDS
from ansible_collections.ironbook.trading.plugins.module_utils.platform_resources.plan import Run
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state import adoption, read
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.adoption import Wanted
from ansible_collections.ironbook.trading.plugins.module_utils.platform_state.items import Item
from platform_estate import Estate
from platform_resources import FOREIGN, TAGS, clients, in_this_process

RUN = Run(TAGS)
VPC = Item("vpc", "vpc-1", "", "")
HOST = Item("instance", "i-1", "old", "", {"Name": "old", "Team": "theirs"}, parts=["vol-1", "vol-2"])
# What is taken with what it belongs to.
PARTS_OF_OTHERS = ("volume", "network_interface", "elastic_ip")
PARTS = [Item("volume", "vol-1", "", ""), Item("volume", "vol-2", "", "", FOREIGN)]


def test_a_resource_gets_our_tags_its_name_and_its_own_and_so_do_its_parts_that_are_nobodys() -> None:
    wanted = [Wanted("vpc", "vpc-1", "trading"), Wanted("instance", "i-1", "engine-0-0", {"Shard": "0"})]
    actions, problems = adoption.plan([VPC, HOST, *PARTS], wanted, RUN)
    assert problems == []
    assert [(action.item.id, dict(action.tags)) for action in actions] == [
        ("vpc-1", {**TAGS, "Name": "trading"}),
        ("i-1", {**TAGS, "Shard": "0", "Name": "engine-0-0"}),
        ("vol-1", {**TAGS, "Name": "engine-0-0"}),
    ]
    ours = Item("vpc", "vpc-1", "trading", "", {**TAGS, "Name": "trading"})
    assert adoption.plan([ours], wanted[:1], RUN) == ([], [])


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ([], "vpc vpc-1: there is none of that id in this region: correct it"),
        ([Item("vpc", "vpc-1", "", "", FOREIGN)],
         "vpc vpc-1: it is somebody else's (Project somebody-elses): ask them"),
        ([VPC, Item("vpc", "vpc-2", "trading", "", TAGS)],
         "vpc vpc-1: vpc-2 is ours and has the name trading: give this one another, or remove that one"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_named(items, problem) -> None:
    assert adoption.plan(items, [Wanted("vpc", "vpc-1", "trading")], RUN)[1] == [problem]


def test_two_cannot_be_given_one_name() -> None:
    wanted = [Wanted("vpc", name, "trading") for name in ("vpc-1", "vpc-2")]
    problems = adoption.plan([VPC, Item("vpc", "vpc-2", "", "")], wanted, RUN)[1]
    assert problems[0] == "vpc vpc-1: another of this run is to have the name trading, too: give it another"
    assert len(problems) == 2


@pytest.mark.slow
def test_each_kind_can_be_taken_and_carries_our_tags_then() -> None:
    with in_this_process():
        client = clients()
        estate = Estate(client, {}, "trading")
        account = Account(client, 60)
        place = read.whereabouts(account, "us-east-1", "trading")
        found, problems = read.read(account, RUN, place, read.listings())
        mine = [item for item in found.everything if item.vpc in ("", estate.vpc) and item.kind not in PARTS_OF_OTHERS]
        wanted = [Wanted(item.kind, item.id, f"trading-{number}") for number, item in enumerate(mine)]
        actions, refused = adoption.plan(found.everything, wanted, RUN)
        assert (problems, refused, found.ours) == ([], [], [])
        adoption.apply(account, actions)
        after, _problems = read.read(account, RUN, place, read.listings())
        there = {(item.kind, item.id) for item in after.ours}
        assert {(item.kind, item.id) for item in mine} <= there and {*PARTS_OF_OTHERS} <= {kind for kind, _ in there}
        assert {kind for kind, _ in there} >= {*adoption.SERVICES, *({"log_group", "flow_log"} & KINDS.keys()), "vpc"}
        again = adoption.plan(after.everything, wanted, RUN)
        assert again == ([], [])
