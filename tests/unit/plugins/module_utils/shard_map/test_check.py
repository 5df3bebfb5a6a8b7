# SPDX-License-Identifier: GPL-3.0-or-later
"""The shard map: what is right in each of our inventories, and each thing that can be wrong, in one line."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ironbook.trading.plugins.filter.shard_map import shard_map
from ansible_collections.ironbook.trading.plugins.module_utils.shard_map.check import Deployed, check, digest

ROOT = Path(__file__).resolve().parents[5]
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


def members(shard: int, count: int = 3) -> list[dict[str, Any]]:
    return [
        {"shard": shard, "replica": n, "zone": ZONES[n], "role": "standby" if n else "primary"} for n in range(count)
    ]


SHARDS = [{"shard": 0, "symbols": ["AAPL", "MSFT"]}, {"shard": 1, "symbols": ["TSLA"]}]
HOSTS = [*members(0), *members(1)]


def problems(
    shards: Any = SHARDS, hosts: Any = HOSTS, environment: str = "production", version: int = 1, deployed: Any = None
) -> list[str]:
    return check(shards, hosts, ZONES, environment, version, deployed).problems


def changed(number: int, **change: Any) -> list[dict[str, Any]]:
    return [host | change if n == number else host for n, host in enumerate(HOSTS)]


def test_three_members_in_three_zones_are_right() -> None:
    found = check(SHARDS, HOSTS, ZONES, "production", 1)
    assert (found.problems, found.consequences) == ([], [])
    assert len(found.sha256) == 64


@pytest.mark.parametrize("name", ["local", "example", "dev", "staging", "production", "dr"])
def test_the_maps_of_our_inventories_are_right(name: str) -> None:
    variables = yaml.safe_load((ROOT / f"inventories/{name}/group_vars/all/ironbook.yml").read_text())
    found = check(
        variables["ironbook_shards"],
        variables["ironbook_engine_hosts"],
        variables["ironbook_zones"],
        variables["ironbook_environment"],
        variables.get("ironbook_shard_map_version", 0),
    )
    assert found.problems == []
    assert len(found.consequences) == (name in {"example", "dev"})  # which have two hosts, and say what that costs


def test_no_shards_and_no_hosts_are_right() -> None:
    assert problems([], []) == []


@pytest.mark.parametrize(
    ("shards", "says"),
    [
        (
            [*SHARDS, {"shard": 1, "symbols": ["NVDA"]}],
            "shard 1 is there 2 times: make it one entry",
        ),
        (
            [SHARDS[0], {"shard": 1, "symbols": ["TSLA", "MSFT"]}],
            "symbol MSFT is in shards 0, 1: leave it in one",
        ),
        ([SHARDS[0], {"shard": 1, "symbols": ["TSLA", "TSLA"]}], "symbol TSLA is in shard 1 twice: name it once"),
        ([SHARDS[0], {"shard": 1, "symbols": []}], "shard 1 has no symbols: add them, or remove it"),
        (
            [SHARDS[0], {"shard": 1, "symbols": ["tsla"]}],
            "symbol 'tsla' of shard 1: 1 to 8 capital letters or digits are wanted",
        ),
    ],
)
def test_each_fault_of_the_symbols_is_one_line(shards: list[dict[str, Any]], says: str) -> None:
    assert problems(shards) == [says]


@pytest.mark.parametrize(
    ("hosts", "says"),
    [
        (
            [*HOSTS, {"shard": 7, "replica": 0, "zone": ZONES[0], "role": "primary"}],
            "engine-7-0 is of shard 7, which the map does not have: add the shard, or remove it",
        ),
        (
            changed(2, zone="us-east-1z"),
            "engine-0-2 is in zone us-east-1z, which is none of ironbook_zones (us-east-1a, us-east-1b, us-east-1c)",
        ),
        (
            changed(2, zone=ZONES[1]),
            "shard 0 has engine-0-1, engine-0-2 in zone us-east-1b, and would lose them together: "
            "give each a zone of its own",
        ),
        (changed(2, replica=8), "engine-0-8: replicas are numbered from 0 to 7"),
        (changed(2, replica=3), "shard 0 has replicas 0, 1, 3: number its hosts from 0 without a gap"),
        (
            changed(0, role="standby"),
            "shard 0 has no host of role primary: say which one is to begin (engine-0-0, engine-0-1, engine-0-2)",
        ),
        (
            changed(4, role="primary"),
            "shard 1 has 2 hosts of role primary (engine-1-0, engine-1-1): one may be preferred",
        ),
        (members(0), "shard 1 has no host: add its hosts to ironbook_engine_hosts"),
        (
            changed(2, replica=1),
            "engine-0-1 is there 2 times: give each host of a shard a replica number of its own",
        ),
        (
            [*members(0), *members(1, 2)],
            "shard 1 has 2 of the 3 hosts that production needs: when one host is lost, the other takes cancels alone "
            "until it is back",
        ),
        (
            [*members(0), *members(1, 1)],
            "shard 1 has 1 of the 3 hosts that production needs: nothing is replicated: with its host trading ends, "
            "and with its disk what was acknowledged is lost",
        ),
    ],
)
def test_each_fault_of_the_hosts_is_one_line(hosts: list[dict[str, Any]], says: str) -> None:
    assert problems(hosts=hosts) == [says]


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_hosts_are_allowed_elsewhere_and_their_price_is_said(count: int) -> None:
    found = check(SHARDS[:1], members(0, count), ZONES, "staging", 0)
    assert found.problems == [] and len(found.consequences) == 1
    assert found.consequences[0].startswith(f"shard 0 has {count} of 3 hosts: ")


def test_the_digest_is_of_what_the_map_says_and_not_of_how() -> None:
    luck = random.Random(1)
    shards, hosts = list(SHARDS), list(HOSTS)
    luck.shuffle(shards)
    luck.shuffle(hosts)
    switched_over = changed(0, role="standby")
    assert digest(shards, hosts) == digest(SHARDS, HOSTS) == digest(SHARDS, switched_over)
    others = [
        digest([SHARDS[0]], HOSTS),
        digest([{"shard": 0, "symbols": ["MSFT", "AAPL"]}, SHARDS[1]], HOSTS),
        digest([{"shard": 0, "symbols": ["AAPL"]}, {"shard": 1, "symbols": ["MSFT", "TSLA"]}], HOSTS),
        digest(SHARDS, changed(1, zone=ZONES[2])),
        digest(SHARDS, changed(1, replica=3)),
        digest(SHARDS, HOSTS[:-1]),
    ]
    assert len({*others, digest(SHARDS, HOSTS)}) == len(others) + 1


MOVED = [{"shard": 0, "symbols": ["AAPL"]}, {"shard": 1, "symbols": ["TSLA", "MSFT"]}]


def test_a_change_needs_a_new_version() -> None:
    deployed = Deployed(3, digest(SHARDS, HOSTS))
    assert problems(version=3, deployed=deployed) == []
    assert problems(version=4, deployed=deployed) == []
    assert problems(MOVED, version=4, deployed=deployed) == []
    (line,) = problems(MOVED, version=3, deployed=deployed)
    assert line.startswith("the map of version 3 is another one than is deployed (sha256 ")
    assert line.endswith("): raise the version to 4 if the change is meant")


def test_an_older_inventory_is_told_so() -> None:
    (line,) = problems(version=2, deployed=Deployed(3, digest(SHARDS, HOSTS)))
    assert line == "the map has version 2, and version 3 is deployed: this inventory is an older one"
    (line,) = problems(environment="staging", version=0, deployed=Deployed(3, digest(SHARDS, HOSTS)))
    assert line.startswith("the map has version 0, and version 3 is deployed")


def test_a_symbol_changes_its_shard_by_its_own_playbook_alone() -> None:
    """A newer map is no reason: a deployment would have both shards trade it. What is new, or gone, is none of this."""
    moved = [{"shard": 0, "symbols": ["AAPL", "NVDA"]}, {"shard": 1, "symbols": ["TSLA", "MSFT"]}]
    symbols = check(SHARDS, HOSTS, ZONES, "production", 1).symbols
    assert symbols == {"AAPL": 0, "MSFT": 0, "TSLA": 1}
    deployed = Deployed(1, digest(SHARDS, HOSTS), symbols | {"GONE": 0})
    (line,) = problems(moved, version=2, deployed=deployed)
    assert line == (
        "symbol MSFT is of shard 0 by the map of version 1 that is deployed, and of shard 1 by this one: both would "
        "trade it; move it with the playbook move_symbol"
    )
    assert problems(moved, version=2, deployed=replace(deployed, moving="MSFT")) == []
    assert len(problems(moved, version=2, deployed=replace(deployed, moving="AAPL"))) == 1
    as_said = {"version": 1, "sha256": deployed.sha256, "symbols": symbols, "moving": ""}
    assert shard_map(moved, HOSTS, ZONES, "production", 2, as_said)["problems"] == [line]
    assert shard_map(moved, HOSTS, ZONES, "production", 2, as_said | {"moving": "MSFT"})["problems"] == []


def test_production_needs_a_version_and_others_do_not() -> None:
    assert problems(version=0) == [
        "the map has no version, and production needs one: set it to 1, and raise it with each change of the map"
    ]
    assert problems(environment="local", version=0) == []
    assert problems(version=-1)[0].startswith("the map's version is -1")


def test_every_fault_is_told_at_once() -> None:
    shards = [SHARDS[0], {"shard": 1, "symbols": ["MSFT"]}]
    assert len(problems(shards, changed(2, zone=ZONES[1]), version=0)) == 3


def test_the_filter_gives_the_same_as_a_dictionary() -> None:
    deployed = {"version": "3", "sha256": digest(SHARDS, HOSTS)}
    found = shard_map(MOVED, HOSTS, ZONES, "production", "3", deployed)
    assert len(found["problems"]) == 1 and found["consequences"] == []
    assert found["sha256"] == digest(MOVED, HOSTS)


def test_the_filter_says_what_is_no_map() -> None:
    from ansible.errors import AnsibleFilterError  # noqa: PLC0415

    with pytest.raises(AnsibleFilterError, match="not a shard map with its hosts: KeyError"):
        shard_map([{"symbols": []}], HOSTS, ZONES, "local", 1)
