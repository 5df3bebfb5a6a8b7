# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts that were found, held against those that were asked for."""

from __future__ import annotations

import pytest
from ansible_collections.ironbook.trading.plugins.plugin_utils.hosts import host_problems

WANTED = [{"shard": 0, "replica": 0, "role": "primary"}, {"shard": 0, "replica": 1, "role": "standby"}]
RIGHT = {
    "engine_hosts": ["engine-0-0", "engine-0-1"],
    "engine_primary": ["engine-0-0"],
    "engine_standby": ["engine-0-1"],
    "shard_0": ["engine-0-1", "engine-0-0"],
    "all": ["localhost"],
}


def test_exactly_the_hosts_that_were_asked_for() -> None:
    assert host_problems(WANTED, RIGHT) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"engine_hosts": []}, "engine_hosts has no host; wanted: engine-0-0, engine-0-1"),
        ({"engine_hosts": ["engine-0-0"]}, "engine_hosts lacks engine-0-1"),
        ({"engine_standby": ["engine-0-1", "engine-0-2"]}, "engine_standby has engine-0-2, which nobody asked for"),
        ({"shard_1": ["engine-1-0"]}, "shard_1 has engine-1-0, which nobody asked for"),
        ({"engine_primary": ["engine-0-1"]}, "engine_primary lacks engine-0-0"),
    ],
)
def test_each_difference_is_said(change: dict[str, list[str]], complaint: str) -> None:
    assert complaint in host_problems(WANTED, RIGHT | change)


def test_an_empty_inventory_is_a_problem_of_every_group() -> None:
    assert len(host_problems(WANTED, {})) == 4
